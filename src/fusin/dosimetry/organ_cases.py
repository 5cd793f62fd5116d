"""What an organ dose needs, from the files that people have: activities over time, or their integrals; masses; biology."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fusin.dosimetry.case_fields import estimate_from, read_case
from fusin.dosimetry.dose_table import DoseOptions, dose_table
from fusin.dosimetry.organ_names import organ
from fusin.dosimetry.treatment_record import OrganBiology
from fusin.errors import InputError
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.stats.results import Estimate
from fusin.tabular.files import load
from fusin.tabular.rows import Row, rows_of
from fusin.tabular.schema import InputColumn, Schema

__all__ = ["TIA_TABLE", "Curve", "OrganCase", "curve_of", "names_of", "read_biology", "read_organ_case"]

TIA_TABLE = Schema(
    name="time-integrated activities",
    columns=(
        InputColumn("region", "string", "source: organ, lesion, or `remainder` of the body", required=True),
        InputColumn("tia_mbq_h", "float64", "time-integrated activity [MBq h]", least=0.0),
        InputColumn("tiac_h", "float64", "the same per administered activity [h], instead of it", least=0.0),
        InputColumn("low", "float64", "lower 95 % limit, in the unit of the value", least=0.0),
        InputColumn("high", "float64", "upper 95 % limit, in the unit of the value", least=0.0),
        InputColumn("u_percent", "float64", "relative standard uncertainty instead of limits [%]", least=0.0),
        InputColumn("mass_g", "float64", "mass of the patient's organ [g]", least=0.0),
        InputColumn("mass_u_percent", "float64", "relative standard uncertainty of the mass [%]", least=0.0),
        InputColumn("t_eff_h", "float64", "effective half-life, for BED and `fusin plan` [h]", least=0.0),
        InputColumn("t_eff_h_u_percent", "float64", "its relative standard uncertainty [%]", least=0.0),
    ),
    key=("region",),
)

Curve = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganCase:
    """One administration to one patient.

    Attributes
    ----------
    nuclide : canonical name
    administered_mbq : None when it is not known
    tia_mbq_h : by source
    masses_g : of the patient's organs, where they are known
    curves : rates [1/h] and amplitudes of the activity, for BED, where they are known
    t_eff_h : effective half-lives of the slowest component, where they are known
    """

    nuclide: str
    administered_mbq: float | None
    tia_mbq_h: Mapping[str, Estimate]
    masses_g: Mapping[str, Estimate] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    t_eff_h: Mapping[str, Estimate] = field(default_factory=dict)


def read_organ_case(
    path: Path, log: NoticeLog, *, nuclide_name: str | None = None, administered_mbq: float | None = None
) -> OrganCase:
    """A case from activities over time (CSV), from time-integrated activities (CSV), or from the JSON of ``fusin dose``.

    Parameters
    ----------
    path : the file; a table with a column ``time_h`` is integrated first, see :func:`fusin.dosimetry.dose_table.dose_table`
    log : receives notices
    nuclide_name, administered_mbq : where the file does not say them; must agree where it does

    Raises
    ------
    InputError
        For a file that cannot be used, and for a nuclide that nobody states.
    """
    if not path.is_file():
        raise InputError(
            path.name, "file", "a folder" if path.is_dir() else "nothing", "a table, or results.json of fusin dose"
        )
    if path.suffix.lower() == ".json":
        return _from_json(path, nuclide_name, administered_mbq)
    frame, _ = load(path, TIA_TABLE.names(), "")
    headers = [str(c).strip().lower() for c in frame.columns]
    if any(h.startswith("time") for h in headers):
        return _from_times(path, log, nuclide_name, administered_mbq)
    if nuclide_name is None:
        raise InputError(path.name, "nuclide", "none stated", "--nuclide")
    _positive_or_none(administered_mbq)
    tia, masses, curves, half_lives = {}, {}, {}, {}
    for row in rows_of(path, TIA_TABLE, log):
        name = row.needed("region")
        tia[name] = _tia(row, administered_mbq)
        mass = row.number("mass_g", positive=True)
        if mass is not None:
            masses[name] = estimate_from(mass, low=None, high=None, u_percent=row.number("mass_u_percent"), where=row.where,
                                         field="mass_g")  # fmt: skip
        half_life = row.number("t_eff_h", positive=True)
        if half_life is not None:
            curves[name] = ((math.log(2.0) / half_life,), (1.0,))
            half_lives[name] = estimate_from(half_life, low=None, high=None, u_percent=row.number("t_eff_h_u_percent"),
                                             where=row.where, field="t_eff_h")  # fmt: skip
    return OrganCase(nuclide=nuclide(nuclide_name).name, administered_mbq=administered_mbq, tia_mbq_h=tia, masses_g=masses,
                     curves=curves, t_eff_h=half_lives)  # fmt: skip


def read_biology(path: Path) -> tuple[OrganBiology, ...]:
    """Parameters of organs, ``[[organ]]`` with name, alpha_beta_gy, repair_half_time_h and citation.

    Raises
    ------
    InputError
        For a parameter without a citation, or that is not positive.
    """
    case = read_case(path)
    found: list[OrganBiology] = []
    for fields in case.tables("organ"):
        one = OrganBiology(
            organ=fields.text("name", required=True), citation=fields.text("citation", required=True),
            alpha_beta_gy=fields.needed("alpha_beta_gy", above=0.0),
            repair_half_time_h=fields.needed("repair_half_time_h", above=0.0),
        )  # fmt: skip
        fields.finish()
        if organ(one.organ) in {organ(o.organ) for o in found}:
            raise InputError(fields.where, "name", one.organ, "each organ once")
        found.append(one)
    case.finish()
    if not found:
        raise InputError(path.name, "organ", "none", "at least one [[organ]]")
    return tuple(found)


def _tia(row: Row, administered_mbq: float | None) -> Estimate:
    """TIA of a row [MBq h], from its own column or from the coefficient."""
    whole, per = row.number("tia_mbq_h"), row.number("tiac_h")
    if (whole is None) == (per is None):
        raise InputError(row.where, "tia_mbq_h or tiac_h", "both" if whole is not None else "neither", "one of them")
    factor = 1.0
    if per is not None:
        if administered_mbq is None:
            raise InputError(row.where, "tiac_h", per, "--administered-mbq, to which it refers")
        factor = administered_mbq
    low, high = row.number("low"), row.number("high")
    value = whole if whole is not None else per or 0.0
    return estimate_from(
        value * factor, low=None if low is None else low * factor, high=None if high is None else high * factor,
        u_percent=row.number("u_percent"), where=row.where, field="tia_mbq_h" if per is None else "tiac_h",
    )  # fmt: skip


def _from_times(path: Path, log: NoticeLog, nuclide_name: str | None, administered_mbq: float | None) -> OrganCase:
    found = dose_table(
        path, options=DoseOptions(nuclide=nuclide_name or "", administered_mbq=administered_mbq), log=log
    )
    tia, masses, curves, half_lives = {}, {}, {}, {}
    for region in found.regions:
        if region.integral is None:
            continue
        tia[region.name] = region.integral.tia_mbq_h
        curve = curve_of(region.integral.parameters)
        if curve is not None:
            curves[region.name] = curve
        if region.integral.t_eff_h is not None:
            half_lives[region.name] = region.integral.t_eff_h
        if region.mass_g is not None:
            u = None if region.mass_u_g is None else 100.0 * region.mass_u_g / region.mass_g
            masses[region.name] = estimate_from(
                region.mass_g, low=None, high=None, u_percent=u, where=region.name, field="mass_g"
            )
    return OrganCase(
        nuclide=found.nuclide, administered_mbq=administered_mbq, tia_mbq_h=tia, masses_g=masses, curves=curves,
        t_eff_h=half_lives,
    )  # fmt: skip


def _from_json(path: Path, nuclide_name: str | None, administered_mbq: float | None) -> OrganCase:
    """The document of ``fusin dose --json``."""
    try:
        document = json.loads(path.read_bytes().decode("utf-8-sig"))
        regions = document["regions"]
        names = [str(r["name"]) for r in regions]
        stated = document.get("nuclide")
    except (UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        raise InputError(path.name, "JSON", type(err).__name__, "the document of fusin dose TIMES.csv --json") from err
    if nuclide_name and stated and nuclide(nuclide_name).name != stated:
        raise InputError(path.name, "nuclide", stated, f"{nuclide(nuclide_name).name}, or another file")
    used = nuclide_name or stated
    if not isinstance(used, str) or not used:
        raise InputError(path.name, "nuclide", used, "--nuclide")
    given = document.get("administered_mbq")
    if given is not None:
        given = _finite(given, path.name, "administered_mbq")
    if administered_mbq is not None and given is not None and abs(given - administered_mbq) > 1e-6 * administered_mbq:
        raise InputError(path.name, "administered_mbq", given, f"{administered_mbq:g}, as --administered-mbq says")
    tia, masses, curves, half_lives = {}, {}, {}, {}
    for name, region in zip(names, regions, strict=True):
        where = f"{path.name}, region {name}"
        if region.get("tia_mbq_h") is None:
            continue
        if name in tia:
            raise InputError(where, "name", name, "each region once")
        tia[name] = _estimate(region["tia_mbq_h"], where, "tia_mbq_h")
        if region.get("t_eff_h") is not None:
            half_lives[name] = _estimate(region["t_eff_h"], where, "t_eff_h")
        if region.get("mass_g") is not None:
            masses[name] = _mass(region, where)
        curve = curve_of(_fields(region, "parameters", where))
        if curve is not None:
            curves[name] = curve
    if not tia:
        raise InputError(path.name, "regions", "none with tia_mbq_h", "at least one")
    return OrganCase(nuclide=nuclide(used).name, administered_mbq=_positive_or_none(administered_mbq or given), tia_mbq_h=tia,
                     masses_g=masses, curves=curves, t_eff_h=half_lives)  # fmt: skip


def _estimate(value: Any, where: str, name: str) -> Estimate:
    if not isinstance(value, Mapping):
        raise InputError(where, name, type(value).__name__, "an object with value, low and high")
    low, high = value.get("low"), value.get("high")
    return Estimate(
        value=_finite(value.get("value"), where, f"{name}.value"),
        low=None if low is None else _finite(low, where, f"{name}.low"),
        high=None if high is None else _finite(high, where, f"{name}.high"), method=str(value.get("method", "stated")),
        n=int(value["n"]) if isinstance(value.get("n"), int) else 1,
        level=_finite(value.get("level", 0.95), where, f"{name}.level"),
    )  # fmt: skip


def _fields(region: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    found = region.get(name) or {}
    if not isinstance(found, Mapping):
        raise InputError(where, name, type(found).__name__, "an object with numbers by name")
    return found


def _mass(region: Mapping[str, Any], where: str) -> Estimate:
    """Mass of a region with its standard uncertainty, where the document has one."""
    value, u = _finite(region["mass_g"], where, "mass_g"), region.get("mass_u_g")
    if value <= 0:
        raise InputError(where, "mass_g", value, "a positive mass in grams")
    share = None if u is None else 100.0 * _finite(u, where, "mass_u_g") / value
    return estimate_from(value, low=None, high=None, u_percent=share, where=where, field="mass_g")


def curve_of(parameters: Mapping[str, Any]) -> Curve | None:
    """Rates [1/h] and amplitudes of a fitted curve, in the order of their numbers; None where they do not make one.

    Parameters
    ----------
    parameters : ``lambda_1_per_h`` and so on with ``a_1_mbq`` and so on, as `fusin dose` prints them. One rate makes a curve
        without an amplitude: a method for one scan states its half-life alone
    """
    rates, amounts = [], []
    for number in range(1, len(parameters) + 1):
        rate, amount = parameters.get(f"lambda_{number}_per_h"), parameters.get(f"a_{number}_mbq")
        if isinstance(rate, (int, float)) and isinstance(amount, (int, float)) and rate > 0:
            rates.append(float(rate))
            amounts.append(float(amount))
    only = parameters.get("lambda_1_per_h")
    if not rates and "lambda_2_per_h" not in parameters and isinstance(only, (int, float)) and only > 0:
        return (float(only),), (1.0,)
    return (tuple(rates), tuple(amounts)) if rates else None


def _finite(value: Any, where: str, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InputError(
            where, name, value if isinstance(value, (str, int, float)) else type(value).__name__, "a finite number"
        )
    return float(value)


def _positive_or_none(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (math.isfinite(value) and value > 0):
        raise InputError("--administered-mbq", "activity", value, "a positive activity")
    return float(value)


def names_of(pairs: Sequence[str], option: str) -> dict[str, str]:
    """Texts by name from ``NAME=TEXT``.

    Raises
    ------
    InputError
        For a text without ``=``, or a name that stands twice.
    """
    found: dict[str, str] = {}
    for text in pairs:
        name, sign, value = text.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise InputError(option, "pair", text, "NAME=VALUE")
        if name.strip() in found:
            raise InputError(option, "name", name.strip(), "each name once")
        found[name.strip()] = value.strip()
    return found
