"""Reading vials and patients: a TOML document, or a CSV of patients with one vial from options, or options alone."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fusin.errors import InputError
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.dispensing import DispenseRules, Order, Vial
from fusin.radiopharmacy.moments import Clock, Moment, clock_of, moment
from fusin.radiopharmacy.toml_fields import Fields, bound, csv_fields, existing_mbq, read_toml
from fusin.tabular.schema import InputColumn, Schema

__all__ = ["PATIENT_DOSES", "DispenseOptions", "DispenseRequest", "order_from_text", "read_dispensing", "typed_patient"]

PATIENT_DOSES = Schema(
    name="patients",
    key=("id",),
    columns=(
        InputColumn("id", "string", "name or number of the patient (also `patient`)", required=True),
        *(
            InputColumn(f"dose_{unit}", "float64", f"activity to be administered at the injection [{shown}]", least=0.0)
            for unit, shown in (("mbq", "MBq"), ("gbq", "GBq"), ("mci", "mCi"))
        ),
        InputColumn("injection_time", "string", "ISO time of the injection (also `time`)"),
        InputColumn(
            "injection_min", "float64", "instead: minutes from the zero of the day, the reference of the first vial"
        ),
        InputColumn("earliest", "string", "ISO time: first moment of a window"),
        InputColumn("latest", "string", "ISO time: last moment of a window"),
        InputColumn("earliest_min", "float64", "instead of `earliest`: minutes"),
        InputColumn("latest_min", "float64", "instead of `latest`: minutes"),
        InputColumn("lead_min", "float64", "minutes from the draw to the injection", least=0.0),
        InputColumn("max_volume_ml", "float64", "largest volume for this patient [mL]", least=0.0),
        InputColumn("residual_percent", "float64", "share that stays in the syringe [%]", least=0.0),
        InputColumn("residual_ml", "float64", "volume that stays in syringe and line [mL]", least=0.0),
        InputColumn("vial", "string", "which vial it must be"),
        InputColumn("nuclide", "string", "which nuclide it must be; needed when vials differ"),
        InputColumn("weight", "float64", "of the patient when not all can be served; 1 when empty", least=0.0),
        InputColumn("drawn_ml", "float64", "volume that was drawn already [mL]", least=0.0),
    ),
)
_ALIASES = {"patient": "id", "patient_id": "id", "time": "injection_time", "time_min": "injection_min",
            "activity_mbq": "dose_mbq", "activity_gbq": "dose_gbq", "activity_mci": "dose_mci"}  # fmt: skip


_DRAW_HINT = "lead_min, the minutes from the draw to the injection; the moment of the draw is computed"


@dataclass(frozen=True, slots=True, kw_only=True)
class DispenseOptions:
    """What the command line gives; None leaves it to the file.

    Attributes
    ----------
    vial : fields of one vial as a TOML document has them
    rules : fields of the rules
    contents : other contents of the vial, ``name=amount`` in the whole vial
    limits : largest amounts per dose, ``name=amount``
    patients : ``ID=MBq@time``
    """

    vial: Mapping[str, Any] = field(default_factory=dict)
    rules: Mapping[str, Any] = field(default_factory=dict)
    contents: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DispenseRequest:
    """Vials, doses and rules.

    Attributes
    ----------
    vials, orders, rules : what to plan
    clock : what second 0 is: the reference of the first vial
    defaults : order that a further patient starts from
    inputs : files that were read
    """

    vials: tuple[Vial, ...]
    orders: tuple[Order, ...]
    rules: DispenseRules
    clock: Clock
    defaults: Mapping[str, float]
    inputs: tuple[Path, ...] = ()


def read_dispensing(source: Path | None, options: DispenseOptions, log: NoticeLog) -> DispenseRequest:
    """Read what is to be dispensed.

    Parameters
    ----------
    source : TOML document with vials and patients, CSV of patients, or None for options alone
    options : of the command line
    log : receives notices

    Raises
    ------
    InputError
        For anything that cannot be used: which file, which row, which field.
    """
    document: dict[str, Any] = {}
    rows: list[Fields] = []
    where, inputs = "dispensing", []
    if source is not None:
        where, inputs = source.name, [source]
        if source.suffix.lower() == ".toml":
            document = read_toml(source)
        else:
            rows = _csv_rows(source, log)
    top = Fields(document, where)
    vials = [Fields(values, name) for name, values in top.tables("vial", "vials")]
    rows += [Fields(_renamed(values, name), name) for name, values in top.tables("patient", "patients")]
    if (named := top.text("patient_table")) is not None and source is not None:
        inputs.append(source.parent / named)
        rows += _csv_rows(inputs[-1], log)
    rules_fields = Fields({**_table(top, "rules"), **options.rules}, f"{where}, rules")
    limits = top.amounts("limits") | _pairs(options.limits, "--limit")
    top.finish()
    if options.vial or options.contents:
        if vials:
            raise InputError(where, "vial", f"{len(vials)} in the file and one in the options", "vials in one place")
        contents = {"content": _pairs(options.contents, "--content")} if options.contents else {}
        vials = [Fields({**options.vial, **contents}, "vial of the options")]
    if not vials:
        raise InputError(where, "vial", "none", "a [[vial]] in the file, or --vial-mbq, --volume-ml and --nuclide")
    typed = [typed_patient(text) for text in options.patients]
    return _assembled(vials, rows, typed, rules_fields, limits, inputs=tuple(inputs))


def _table(top: Fields, name: str) -> dict[str, Any]:
    value = top.take(name)
    if value is not None and not isinstance(value, dict):
        raise InputError(top.where, name, type(value).__name__, "a table of fields")
    return dict(value or {})


def _csv_rows(path: Path, log: NoticeLog) -> list[Fields]:
    return csv_fields(path, PATIENT_DOSES, log, aliases=_ALIASES, without_unit=("dose", "activity"))


def _renamed(values: Any, where: str) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise InputError(where, "table", type(values).__name__, "a table of fields")
    return {(_ALIASES[k] if k in _ALIASES and _ALIASES[k] not in values else k): v for k, v in values.items()}


def _pairs(texts: Sequence[str], option: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or name.strip() in found:
            raise InputError(option, "NAME=AMOUNT", text, "for example peptide_ug=50, each name once")
        found[name.strip()] = bound(value, option, name.strip())
    return found


def typed_patient(text: str) -> tuple[str, float, Moment]:
    """Patient, dose [MBq] and time of ``P1=150@2026-01-31T08:20`` or ``P1=150@20``.

    Raises
    ------
    InputError
        For a text of another form.
    """
    found = re.fullmatch(r"\s*([^=]+?)\s*=\s*([^@]+?)\s*@\s*(.+?)\s*", text)
    try:
        dose = float(found[2]) if found else math.nan
    except ValueError:
        dose = math.nan
    if found is None or not (math.isfinite(dose) and dose > 0):
        raise InputError("--patient", "ID=MBq@time", text, "for example P1=150@2026-01-31T08:20, or minutes: P1=150@20")
    existing_mbq(dose, "--patient", "dose")
    try:
        minutes = float(found[3])
    except ValueError:
        return found[1], dose, moment(found[3], "--patient", "time")
    if not math.isfinite(minutes):
        raise InputError("--patient", "time", found[3], "an ISO time or minutes")
    return found[1], dose, minutes


def _moment_of(fields: Fields, name: str, minutes: str) -> Moment | None:
    clock, relative = fields.moment(name), fields.number(minutes)
    if clock is not None and relative is not None:
        raise InputError(fields.where, name, f"{name} and {minutes}", "one of them")
    return relative if clock is None else clock


def _assembled(
    vial_fields: Sequence[Fields], rows: Sequence[Fields], typed: Sequence[tuple[str, float, Moment]],
    rules_fields: Fields, limits: Mapping[str, float], *, inputs: tuple[Path, ...],
) -> DispenseRequest:  # fmt: skip
    references = [_moment_of(f, "reference_time", "reference_min") for f in vial_fields]
    times = [{name: _moment_of(f, clock, minutes) for name, clock, minutes in _TIMES} for f in rows]
    every = [*references, *(t for one in times for t in one.values()), *(t for *_, t in typed)]
    clock = clock_of([t for t in every if t is not None])
    for fields, reference in zip(vial_fields, references, strict=True):
        if reference is None and clock.origin is not None:
            raise InputError(
                fields.where, "reference_time", "nothing", "the time to which the activity of the vial refers (--at)"
            )
    vials = tuple(
        _vial(f, number, 0.0 if r is None else r, clock)
        for number, (f, r) in enumerate(zip(vial_fields, references, strict=True), start=1)
    )
    rules, defaults = _rules(rules_fields, limits)
    orders = [_order(f, t, defaults, clock) for f, t in zip(rows, times, strict=True)]
    orders += [order_from_text(name, dose, at, defaults, clock) for name, dose, at in typed]
    if not orders:
        raise InputError("dispensing", "patients", "none", "at least one patient, in the file or with --patient")
    return DispenseRequest(
        vials=vials, orders=tuple(orders), rules=rules, clock=clock, defaults=defaults, inputs=inputs
    )


_TIMES = (("injection", "injection_time", "injection_min"), ("earliest", "earliest", "earliest_min"),
          ("latest", "latest", "latest_min"))  # fmt: skip


def _vial(fields: Fields, number: int, reference: Moment, clock: Clock) -> Vial:
    activity, volume = fields.activity_mbq("activity"), fields.number("volume_ml", above=0.0, least=1e-6, most=1e6)
    named = fields.text("nuclide")
    for name, value, option in (("activity_mbq", activity, "--vial-mbq"), ("volume_ml", volume, "--volume-ml"),
                                ("nuclide", named, "--nuclide")):  # fmt: skip
        if value is None:
            raise InputError(fields.where, name, "nothing", f"a value ({option} for a vial of the options)")
    assert activity is not None
    assert volume is not None
    assert named is not None
    contents = {name: total / volume for name, total in fields.amounts("content").items()}
    per_ml = fields.amounts("content_per_ml")
    if twice := sorted(set(contents) & set(per_ml)):
        raise InputError(fields.where, "content", twice[0], "each content in the whole vial or per mL, not both")
    percent = fields.number("activity_u_percent", least=0.0, most=100.0)
    ready, expires = (_moment_of(fields, n, f"{n}_min") for n in ("available_from", "expires"))
    dead = fields.number("dead_volume_ml", least=0.0)
    if dead is not None and dead >= volume:
        raise InputError(fields.where, "dead_volume_ml", dead, f"a number below the volume, {volume:g} mL")
    reference_s = clock.seconds(reference, fields.where, "reference_time")
    expires_s = None if expires is None else clock.seconds(expires, fields.where, "expires")
    ready_s = None if ready is None else clock.seconds(ready, fields.where, "available_from")
    if expires_s is not None and expires_s <= (reference_s if ready_s is None else ready_s):
        raise InputError(fields.where, "expires", clock.text(expires_s), "a time after the vial is there")
    vial = Vial(
        name=fields.text("name") or f"V{number}", nuclide=nuclide(named).name, activity_mbq=activity, volume_ml=volume,
        reference_s=reference_s, dead_volume_ml=dead or 0.0, available_s=ready_s, expires_s=expires_s,
        activity_u_relative=None if percent is None else percent / 100.0, content_per_ml={**contents, **per_ml},
    )  # fmt: skip
    fields.finish()
    return vial


def _rules(fields: Fields, limits: Mapping[str, float]) -> tuple[DispenseRules, dict[str, float]]:
    """Rules, and what a patient gets who states nothing of his own."""
    defaults = {
        "lead_min": fields.number("lead_min", least=0.0),
        "residual_percent": _share(fields),
        "residual_ml": fields.number("residual_ml", least=0.0),
        "max_volume_ml": fields.number("max_volume_ml", above=0.0),
    }
    rules = DispenseRules(
        gap_s=60.0 * (fields.number("gap_min", least=0.0) or 0.0),
        limits=dict(limits),
        time_tolerance_s=60.0 * (fields.number("time_tolerance_min", least=0.0) or 0.0),
        volume_u_ml=fields.number("volume_u_ml", least=0.0) or 0.0,
    )
    fields.finish()
    return rules, {k: v for k, v in defaults.items() if v is not None}


def _share(fields: Fields) -> float | None:
    share = fields.number("residual_percent", least=0.0)
    if share is not None and share >= 100.0:
        raise InputError(fields.where, "residual_percent", share, "below 100")
    return share


def _order(fields: Fields, times: Mapping[str, Moment | None], defaults: Mapping[str, float], clock: Clock) -> Order:
    name = fields.text("id", required=True)
    dose = fields.activity_mbq("dose")
    if dose is None:
        raise InputError(fields.where, "dose_mbq", "no number", "the activity to be administered")
    seconds = {k: None if t is None else clock.seconds(t, fields.where, k) for k, t in times.items()}
    at, first, last = seconds["injection"], seconds["earliest"], seconds["latest"]
    if at is not None and (first is not None or last is not None):
        raise InputError(fields.where, "injection_time", "a window too", "a time or a window")
    if at is None and first is None and last is None:
        raise InputError(fields.where, "injection_time", "nothing", "injection_time, or earliest and latest")
    if first is not None and last is not None and last < first:
        raise InputError(fields.where, "latest", clock.text(last), f"a time not before {clock.text(first)}")
    own = {
        "lead_min": fields.number("lead_min", least=0.0), "residual_percent": _share(fields),
        "residual_ml": fields.number("residual_ml", least=0.0), "max_volume_ml": fields.number("max_volume_ml", above=0.0),
    }  # fmt: skip
    kind, weight = fields.text("nuclide"), fields.number("weight", above=0.0)
    drawn = fields.number("drawn_ml", above=0.0)
    if drawn is not None and at is None:
        raise InputError(
            fields.where, "injection_time", "a window", "the time of the injection for what is drawn already"
        )
    order = Order(
        id=str(name), dose_mbq=dose, earliest_s=_first(at, first), latest_s=_last(at, last),
        vial=fields.text("vial"), nuclide=None if kind is None else nuclide(kind).name,
        weight=1.0 if weight is None else weight, drawn_ml=drawn,
        **_own({**defaults, **{k: v for k, v in own.items() if v is not None}}),
    )  # fmt: skip
    fields.finish(dict.fromkeys(("draw_min", "draw_time", "draw"), _DRAW_HINT))
    return order


def _first(at: float | None, first: float | None) -> float:
    return at if at is not None else -math.inf if first is None else first


def _last(at: float | None, last: float | None) -> float:
    return at if at is not None else math.inf if last is None else last


def _own(values: Mapping[str, float]) -> dict[str, Any]:
    return {
        "lead_s": 60.0 * values.get("lead_min", 0.0),
        "residual_fraction": values.get("residual_percent", 0.0) / 100.0,
        "residual_ml": values.get("residual_ml", 0.0),
        "max_volume_ml": values.get("max_volume_ml"),
    }


def order_from_text(name: str, dose_mbq: float, at: Moment, defaults: Mapping[str, float], clock: Clock) -> Order:
    """A patient with a fixed time and what the rules say about lead time, residue and volume.

    Raises
    ------
    InputError
        For a time that the clock cannot place.
    """
    seconds = clock.seconds(at, f"patient {name}", "time")
    return Order(id=name, dose_mbq=dose_mbq, earliest_s=seconds, latest_s=seconds, **_own(defaults))
