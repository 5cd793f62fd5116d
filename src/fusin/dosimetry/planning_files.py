"""Studies and limits as people write them: TOML, a table, the JSON document of ``fusin dose``, or a line of the command."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from fusin.dosimetry.case_fields import CaseFields, estimate_from, read_case
from fusin.dosimetry.organ_cases import Curve, curve_of
from fusin.dosimetry.planning import Limit, Quantity
from fusin.dosimetry.planning_draws import Study, StudyOrgan
from fusin.errors import InputError
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.stats.results import Estimate
from fusin.tabular.schema import InputColumn, Schema, read_table

__all__ = ["LIMITS_TABLE", "STUDY_TABLE", "parse_limit", "read_limits", "read_study"]

_WORDS = tuple((q, (q,)) for q in get_args(Quantity))

STUDY_TABLE = Schema(
    name="plan study",
    key=("organ",),
    columns=(
        InputColumn("organ", "string", "organ or lesion", required=True, label=True),
        InputColumn(
            "dose_gy_per_gbq", "float64", "dose per administered activity of the study [Gy/GBq]", required=True, least=0
        ),
        InputColumn("dose_gy_per_gbq_low", "float64", "lower limit of its 95 % interval", least=0),
        InputColumn("dose_gy_per_gbq_high", "float64", "upper limit of its 95 % interval", least=0),
        InputColumn(
            "dose_gy_per_gbq_u_percent", "float64", "or its relative standard uncertainty [%]", least=0, most=199
        ),
        InputColumn(
            "t_eff_h", "float64", "effective half-life [h]; for another nuclide, BED or residual dose", least=0
        ),
        InputColumn("t_eff_h_low", "float64", "lower limit of its 95 % interval", least=0),
        InputColumn("t_eff_h_high", "float64", "upper limit of its 95 % interval", least=0),
        InputColumn("t_eff_h_u_percent", "float64", "or its relative standard uncertainty [%]", least=0, most=199),
        InputColumn("mass_g", "float64", "mass [g]; its sphere gives the energy ratio of two nuclides", least=0),
        InputColumn("lu_177_kev", "float64", "energy absorbed per decay of 177Lu [keV], instead of the mass", least=0),
        InputColumn("y_90_kev", "float64", "energy absorbed per decay of 90Y [keV], instead of the mass", least=0),
    ),
)
LIMITS_TABLE = Schema(
    name="plan limits",
    columns=(
        InputColumn("organ", "string", "organ or lesion of the study", required=True, label=True),
        InputColumn("at_most_gy", "float64", "upper limit [Gy]; this or `at_least_gy`"),
        InputColumn("at_least_gy", "float64", "minimum [Gy]"),
        InputColumn(
            "probability", "float64", "probability of passing it that is accepted, 0.05 for 5 %", required=True
        ),
        InputColumn("quantity", "string", "`dose` when empty, `bed`, `eqd2`, or `residual`", words=_WORDS),
        InputColumn("alpha_beta_gy", "float64", "of BED and EQD2 [Gy]"),
        InputColumn("repair_half_time_h", "float64", "of BED and EQD2 [h]"),
        InputColumn("residual_day", "float64", "of a residual limit: days after the administration"),
        InputColumn("citation", "string", "where the limit comes from"),
    ),
)
_LIMIT = re.compile(
    r"^\s*(?P<organ>[^<>=]+?)\s*(?P<sign><=|>=)\s*(?P<value>[^\s:]+)(?P<rest>[^:]*)(:\s*(?P<citation>.*))?$", re.S
)
_SHORT = {"p": "probability", "ab": "alpha_beta_gy", "repair": "repair_half_time_h", "day": "residual_day"}
_SHARED = ("common", "change", "activity")


def read_study(path: Path, log: NoticeLog, *, nuclide_name: str | None = None) -> tuple[Study, tuple[Limit, ...]]:
    """A study, with the limits that its TOML file holds.

    Parameters
    ----------
    path : ``.toml``, ``.json`` (of ``fusin dose`` or ``fusin dose organs``), or a table
    log : receives notices
    nuclide_name : of the study; a table needs it, other files name their own

    Raises
    ------
    InputError
        For a file that cannot be used, or contradicts ``nuclide_name``.
    """
    if not path.is_file():
        raise InputError(
            path.name, "file", "a folder" if path.is_dir() else "nothing", "a study: .toml, .json or a table"
        )
    suffix = path.suffix.lower()
    if suffix == ".toml":
        return _toml_study(read_case(path), nuclide_name)
    if suffix == ".json":
        return _json_study(path, nuclide_name, log), ()
    if nuclide_name is None:
        raise InputError(path.name, "nuclide of the study", "nothing", "--study-nuclide, for example Lu-177")
    organs = tuple(_table_organ(dict(row), f"{path.name}, row {i}")
                   for i, row in enumerate(_rows(path, STUDY_TABLE, log), start=1))  # fmt: skip
    return Study(nuclide=nuclide(nuclide_name).name, organs=organs), ()


def read_limits(path: Path, log: NoticeLog) -> tuple[Limit, ...]:
    """Limits of a TOML file (``[[limit]]``) or a table.

    Raises
    ------
    InputError
        For a file or a limit that cannot be used.
    """
    if path.suffix.lower() == ".toml":
        fields = read_case(path)
        found = tuple(_limit(one) for one in fields.tables("limit"))
        fields.finish()
    elif not path.is_file():
        raise InputError(path.name, "file", "nothing", "limits: .toml or a table")
    else:
        found = tuple(_limit(CaseFields({n: v for n, v in row.items() if n in LIMITS_TABLE.names()}, f"{path.name}, row {i}"))
                      for i, row in enumerate(_rows(path, LIMITS_TABLE, log), start=1))  # fmt: skip
    if not found:
        raise InputError(path.name, "limits", "none", "at least one [[limit]]")
    return found


def parse_limit(text: str, option: str = "--limit") -> Limit:
    """A limit from one line: ``ORGAN<=GY [bed|eqd2|residual] p=P [ab=GY] [repair=H] [day=D]: CITATION``.

    Raises
    ------
    InputError
        For a line that is none.

    Examples
    --------
    >>> parse_limit("kidneys<=23 p=0.05: site protocol 4.2").text
    'kidneys at most 23 Gy'
    """
    found = _LIMIT.match(text.replace("≤", "<=").replace("≥", ">="))
    if found is None:
        raise InputError(option, "limit", text, "'ORGAN<=GY p=0.05: CITATION', or >= for a minimum")
    values: dict[str, Any] = {
        "organ": found["organ"],
        "at_most_gy" if found["sign"] == "<=" else "at_least_gy": _float(found["value"], option, "limit"),
        "citation": (found["citation"] or "").strip(),
    }
    for word in found["rest"].split():
        name, equals, value = word.partition("=")
        if equals and name in _SHORT:
            values[_SHORT[name]] = _float(value, option, name)
        elif not equals and word.lower() in get_args(Quantity):
            values["quantity"] = word.lower()
        elif word.lower() != "gy":
            raise InputError(
                option, "word", word, "bed, eqd2, residual, p=, ab=, repair= or day=; a citation after a colon"
            )
    return _limit(CaseFields(values, option))


def _float(text: str, option: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError as err:
        raise InputError(option, name, text, "a number such as 23 or 0.05") from err
    if not math.isfinite(value):
        raise InputError(option, name, text, "a finite number")
    return value


def _rows(path: Path, schema: Schema, log: NoticeLog) -> list[dict[str, Any]]:
    """Rows without their empty cells."""
    import pandas as pd

    rows = read_table(path, schema, log, where=path.name).to_dict("records")
    if not rows:
        raise InputError(path.name, "rows", "none", "one row per organ or limit")
    return [{str(n): v for n, v in row.items() if not pd.isna(v)} for row in rows]


def _limit(fields: CaseFields) -> Limit:
    """One limit; the fields are those of `LIMITS_TABLE`."""
    organ, citation = fields.text("organ", required=True), fields.text("citation")
    most, least = fields.number("at_most_gy"), fields.number("at_least_gy")
    if (most is None) == (least is None):
        raise InputError(
            fields.where, "at_most_gy, at_least_gy", "nothing" if most is None else "both", "one of the two"
        )
    probability = fields.number("probability")
    if probability is None:
        raise InputError(
            fields.where, f"probability (p) of {organ}", "nothing", "the probability that you accept, such as 0.05"
        )
    quantity: Any = fields.text("quantity") or "dose"
    out = Limit(
        organ=organ, value_gy=most if most is not None else least or 0.0, at_most=most is not None, probability=probability,
        quantity=quantity, alpha_beta_gy=fields.number("alpha_beta_gy"), citation=citation,
        repair_half_time_h=fields.number("repair_half_time_h"), residual_day=fields.number("residual_day"),
    )  # fmt: skip
    fields.finish()
    return out


def _toml_study(fields: CaseFields, nuclide_name: str | None) -> tuple[Study, tuple[Limit, ...]]:
    own = fields.text("nuclide")
    shared = {f"{n}_u": (fields.number(f"{n}_u_percent", least=0.0, most=199.0) or 0.0) / 100.0 for n in _SHARED}
    organs = tuple(_toml_organ(one) for one in fields.tables("organ"))
    limits = tuple(_limit(one) for one in fields.tables("limit"))
    fields.finish()
    return Study(nuclide=_one_nuclide(own, nuclide_name, fields.where), organs=organs, **shared), limits


def _toml_organ(fields: CaseFields) -> StudyOrgan:
    name = fields.text("name", required=True)
    fields.where = f"{fields.where} ({name})"
    for field in ("dose_gy_per_gbq_u_percent", "t_eff_h_u_percent"):
        fields.number(field, least=0.0, most=199.0)
    dose = fields.estimate("dose_gy_per_gbq")
    if dose is None:
        raise InputError(
            fields.where, "dose_gy_per_gbq", "nothing", "the dose per GBq of the study, with its uncertainty"
        )
    energies = fields.table("absorbed_kev")
    kev: dict[str, float] = {}
    for given in energies.names() if energies is not None else ():
        assert energies is not None
        kev[nuclide(given).name] = energies.needed(given, above=0.0)
    correlation = fields.number("correlation", least=-1.0, most=1.0) or 0.0
    u = (fields.number("absorbed_kev_u_percent", least=0.0, most=199.0) or 0.0) / 100.0
    rates, weights = _stated_curve(fields.take("curve"), fields.where) or ((), ())
    out = StudyOrgan(name=name, dose_gy_per_gbq=dose, t_eff_h=fields.estimate("t_eff_h"), absorbed_kev=kev, absorbed_kev_u=u,
                     mass_g=fields.number("mass_g", above=0.0), correlation=correlation, rates_per_h=rates,
                     weights=weights)  # fmt: skip
    fields.finish()
    return out


def _table_organ(row: Mapping[str, Any], where: str) -> StudyOrgan:
    def estimate(name: str) -> Estimate | None:
        if name not in row:
            return None
        if row[name] <= 0:
            raise InputError(where, name, row[name], "a positive number")
        return estimate_from(float(row[name]), low=row.get(f"{name}_low"), high=row.get(f"{name}_high"), where=where,
                             u_percent=row.get(f"{name}_u_percent"), field=name)  # fmt: skip

    dose = estimate("dose_gy_per_gbq")
    if dose is None:
        raise InputError(where, "dose_gy_per_gbq", "nothing", "the dose per GBq of the study")
    kev = {n: float(row[c]) for n, c in (("Lu-177", "lu_177_kev"), ("Y-90", "y_90_kev")) if row.get(c, 0) > 0}
    mass = float(row["mass_g"]) if row.get("mass_g", 0) > 0 else None
    return StudyOrgan(
        name=str(row["organ"]), dose_gy_per_gbq=dose, t_eff_h=estimate("t_eff_h"), mass_g=mass, absorbed_kev=kev
    )


def _one_nuclide(own: str, given: str | None, where: str) -> str:
    if not own and given is None:
        raise InputError(where, "nuclide", "nothing", "the nuclide of the study, for example Lu-177")
    if own and given is not None and nuclide(own).name != nuclide(given).name:
        raise InputError(where, "nuclide", own, f"{given}, which --study-nuclide says")
    return nuclide(own or given or "").name


def _json_study(path: Path, nuclide_name: str | None, log: NoticeLog) -> Study:
    """Doses of a document of ``fusin dose``, per administered GBq."""
    where = path.name
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, ValueError, RecursionError) as err:
        raise InputError(where, "JSON", str(err)[:80], "the JSON document of fusin dose") from err
    entries = (document.get("regions") or document.get("organs")) if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise InputError(where, "regions or organs", "nothing", "the JSON document of fusin dose or fusin dose organs")
    given = document.get("administered_mbq")
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 < given < math.inf:
        raise InputError(
            where, "administered_mbq", given, "the administered activity: run fusin dose with --administered-mbq"
        )
    organs = []
    for entry in entries:
        name = str(entry.get("name", ""))
        dose = _stated(entry.get("dose_gy"), f"{where}, {name}", "dose_gy", 1000.0 / given)
        if dose is None:
            log.warning("ORGAN_WITHOUT_DOSE", f"{name} has no dose and is not in the plan", where=where)
            continue
        mass = entry.get("mass_g")
        rates, weights = _curve(entry, f"{where}, {name}")
        organs.append(StudyOrgan(
            name=name, dose_gy_per_gbq=dose, t_eff_h=_stated(entry.get("t_eff_h"), f"{where}, {name}", "t_eff_h", 1.0),
            mass_g=float(mass) if isinstance(mass, (int, float)) and mass > 0 else None, rates_per_h=rates, weights=weights,
        ))  # fmt: skip
    own = document.get("nuclide")
    return Study(nuclide=_one_nuclide(own if isinstance(own, str) else "", nuclide_name, where), organs=tuple(organs))


def _curve(entry: Mapping[str, Any], where: str) -> Curve:
    """Rates [1/h] and weights of a region (``parameters``) or organ (``curve``); empty where it has none."""
    stated = _stated_curve(entry.get("curve"), where)
    if stated is not None:
        return stated
    parameters = entry.get("parameters")
    return (curve_of(parameters) if isinstance(parameters, Mapping) else None) or ((), ())


def _stated_curve(found: object, where: str) -> Curve | None:
    """A curve as a table with two lists; None where there is none."""
    if found is None:
        return None
    stated = found if isinstance(found, Mapping) and set(found) == {"rates_per_h", "weights"} else {}
    lists: list[Any] = [stated["rates_per_h"], stated["weights"]] if stated else []
    if not lists or not all(isinstance(v, list) and v and all(map(_is_number, v)) for v in lists):
        raise InputError(where, "curve", str(found)[:40], "rates_per_h and weights, two lists of numbers")
    return tuple(map(float, lists[0])), tuple(map(float, lists[1]))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _stated(found: object, where: str, field: str, factor: float) -> Estimate | None:
    """An estimate of a document, times a factor."""
    if not isinstance(found, Mapping) or found.get("value") is None:
        return None
    values: Sequence[Any] = [found.get(n) for n in ("value", "low", "high", "level")]
    for value in values:
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value)
        ):
            raise InputError(where, field, str(value)[:40], "numbers")
    value, low, high = (None if v is None else v * factor for v in values[:3])
    return Estimate(value=value, low=low, high=high, method="fusin dose", n=1, level=values[3] or 0.95)
