"""Reading a generator and its log: a TOML document, a CSV log with the generator from options, or options alone."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time
from itertools import pairwise
from pathlib import Path
from typing import Any

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.generator import ElutionEntry, Generator, Start, checked_efficiency
from fusin.radiopharmacy.generator_rules import DENOMINATORS, GeneratorRules, retirement_rules
from fusin.radiopharmacy.moments import Clock, Moment, clock_of, day_of, moment
from fusin.radiopharmacy.toml_fields import ACTIVITY_UNITS, Fields, csv_fields, read_toml
from fusin.tabular.schema import InputColumn, Schema

__all__ = ["ELUTION_LOG", "GeneratorLog", "GeneratorOptions", "PlanRequest", "read_generator"]

_STARTS = ("equilibrium", "empty")

ELUTION_LOG = Schema(
    name="elution log",
    columns=(
        InputColumn("time", "string", "ISO date with time of the elution, with or without zone throughout the log"),
        InputColumn("time_min", "float64", "instead of `time`: minutes after the reference of the 68Ge activity"),
        InputColumn("generator", "string", "which generator; `A+B` when two were eluted together; empty: all of them"),
        InputColumn("yield", "float64", "share of the 68Ga on the column, for this elution alone; 0 when it was broken off",
                    least=0.0, most=1.0),
        *(
            InputColumn(f"eluted_{unit}", "float64", f"measured 68Ga activity [{shown}]", least=0.0)
            for unit, shown in (("mbq", "MBq"), ("gbq", "GBq"), ("mci", "mCi"))
        ),
        InputColumn("eluted_u_percent", "float64", "its relative standard uncertainty [%]", least=0.0),
        InputColumn("reference_time", "string", "ISO time to which the measured activity refers"),
        InputColumn("reference_min", "float64", "instead of `reference_time`: minutes, as `time_min`"),
        InputColumn("volume_ml", "float64", "volume of the eluate [mL]", least=0.0),
        InputColumn("breakthrough_percent", "float64", "68Ge [%] of what `breakthrough_of` says", least=0.0),
        InputColumn("breakthrough_of", "string", "denominator: `ge68_on_column` or `ga68_eluted`"),
        InputColumn("breakthrough_time", "string", "ISO time to which a 68Ga denominator refers"),
        InputColumn("breakthrough_min", "float64", "instead of `breakthrough_time`: minutes, as `time_min`"),
        InputColumn("ge68_eluate_bq", "float64", "instead of a percentage: 68Ge in the eluate [Bq]", least=0.0),
        InputColumn("pool", "string", "name that eluates share which were combined in one vial"),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What the next elution shall give.

    Attributes
    ----------
    time : when the activity is wanted; None as early as it can be had
    wanted_mbq : how much; None asks what there is
    lead_min : minutes from the elution to that moment
    """

    time: Moment | None
    wanted_mbq: float | None = None
    lead_min: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.lead_min <= 1440.0:
            raise InputError("plan", "lead_min", self.lead_min, "minutes from 0 to 1440, in which 68Ga is there")


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorOptions:
    """What the command line gives; None leaves it to the file.

    Attributes
    ----------
    ge68_mbq, calibrated : activity of one generator and the time it refers to
    yields : one efficiency, or one for each elution
    yield_u, ge68_u_percent : standard uncertainties
    elute_at : times of elutions, ISO text, or minutes after the reference
    start : state of the column before the first elution
    ga68_mbq : 68Ga on the column at the reference instead
    retire : name of a retirement rule, ``none``, or empty for the published one
    rules : further rules that replace those of the file
    plan : the next elution
    """

    ge68_mbq: float | None = None
    calibrated: str | None = None
    yields: tuple[float, ...] = ()
    yield_u: float | None = None
    ge68_u_percent: float | None = None
    elute_at: tuple[str | float, ...] = ()
    start: Start | None = None
    ga68_mbq: float | None = None
    retire: str = ""
    rules: Mapping[str, Any] = field(default_factory=dict)
    plan: PlanRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorLog:
    """A generator, or several, with every elution.

    Attributes
    ----------
    generators, entries : entries in order of time
    clock : what second 0 is
    rules : of the site
    plan_s : when the next elution is wanted [s]; None without a plan, or for as early as possible
    plan : the wish
    inputs : files that were read
    """

    generators: tuple[Generator, ...]
    entries: tuple[ElutionEntry, ...]
    clock: Clock
    rules: GeneratorRules
    plan: PlanRequest | None = None
    plan_s: float | None = None
    inputs: tuple[Path, ...] = ()


def read_generator(source: Path | None, options: GeneratorOptions, log: NoticeLog) -> GeneratorLog:
    """Read a generator with its log.

    Parameters
    ----------
    source : TOML document, CSV log, or None for options alone
    options : of the command line; they replace what the file says
    log : receives notices

    Raises
    ------
    InputError
        For anything that cannot be used: which file, which row, which field.
    """
    for value in options.yields:
        checked_efficiency(value, "--yield", "yield", zero=len(options.yields) > 1)
    inputs: list[Path] = []
    document: dict[str, Any] = {}
    rows: list[Fields] = []
    where = "generator"
    if source is not None:
        where, inputs = source.name, [source]
        if source.suffix.lower() == ".toml":
            document = read_toml(source)
        else:
            rows = _csv_rows(source, log)
    top = Fields(document, where)
    generators = list(top.tables("generator", "generators"))
    rows += [Fields(values, name) for name, values in top.tables("elution", "elutions")]
    if (named := top.text("log")) is not None and source is not None:
        inputs.append(source.parent / named)
        rows += _csv_rows(inputs[-1], log)
    rules, wish = _rules(Fields(top.take("rules") or {}, f"{where}, rules"), options), options.plan
    if (planned := top.take("plan")) is not None and wish is None:
        wish = _plan(Fields(planned, f"{where}, plan"))
    top.finish()
    return _assembled(generators, rows, rules, wish, options, log, where=where, inputs=tuple(inputs))


def _csv_rows(path: Path, log: NoticeLog) -> list[Fields]:
    return csv_fields(path, ELUTION_LOG, log, without_unit=("eluted", "activity", "eluted_activity"))


def _assembled(
    tables: Sequence[tuple[str, Any]], rows: Sequence[Fields], rules: GeneratorRules, wish: PlanRequest | None,
    options: GeneratorOptions, log: NoticeLog, *, where: str, inputs: tuple[Path, ...],
) -> GeneratorLog:  # fmt: skip
    if options.elute_at and rows:
        raise InputError("--elute-at", "elutions", "a log too", "times of elutions in one place")
    times = [_time(f, "time", "time_min", required=True) for f in rows]
    if options.elute_at:
        times = [t if isinstance(t, float) else moment(t, "--elute-at", "time") for t in options.elute_at]
        rows = [Fields({}, f"elution {i + 1}") for i in range(len(times))]
    if not times and wish is None:
        raise InputError(where, "elutions", "none", "a log, times with --elute-at or --elute-at-min, or a plan")
    planned = [] if wish is None or wish.time is None else [wish.time]
    if not times and not planned:
        raise InputError(where, "plan", "an activity alone", "elutions, or the time at which it is wanted (--want-at)")
    stated = [t for t in times if t is not None]
    first = next((t for t in [*stated, *planned] if isinstance(t, datetime)), None)
    made, calibrations = _generators(tables, options, first, log, where)
    clock = clock_of([*(c for c in calibrations if c is not None), *stated, *planned])
    if clock.origin is not None and any(c is None for c in calibrations):
        raise InputError(where, "calibrated", "nothing", "the time to which the 68Ge activity refers (--calibrated)")
    generators = tuple(g.placed(clock) for g in made)
    names = tuple(g.name for g in generators)
    yields = _yields(options, len(rows))
    entries = [
        _entry(f, clock.seconds(t, f.where, "time"), names, clock, y, log)
        for f, t, y in zip(rows, stated, yields, strict=True)
    ]
    ordered = _ordered(entries, clock, bool(options.elute_at), log, where)
    _notice_early(generators, ordered, clock, log)
    return GeneratorLog(
        generators=generators, entries=ordered, clock=clock, rules=rules, plan=wish,
        plan_s=clock.seconds(planned[0], "plan", "time") if planned else None, inputs=inputs,
    )  # fmt: skip


def _notice_early(
    generators: Sequence[Generator], entries: Sequence[ElutionEntry], clock: Clock, log: NoticeLog
) -> None:
    """Say where the 68Ge was calculated back: a label may be calibrated for later, or its year be wrong."""
    for generator in generators:
        first = next((e for e in entries if generator.name in e.generators), None)
        if first is not None and first.time_s < generator.reference_s - 60.0:
            log.info(
                "ELUTION_BEFORE_CALIBRATION",
                f"generator {generator.name} is eluted {(generator.reference_s - first.time_s) / 86400.0:.3g} d before the "
                f"reference of its 68Ge, {clock.text(generator.reference_s)}; the activity was calculated back",
                where=first.where,
            )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unplaced:
    """A generator whose times are not on a clock yet."""

    generator: Generator
    calibrated: Moment
    start: Moment | None
    in_use: Moment | None
    where: str

    def placed(self, clock: Clock) -> Generator:
        reference = clock.seconds(self.calibrated, self.where, "calibrated")
        return replace(
            self.generator,
            reference_s=reference,
            start_s=reference if self.start is None else clock.seconds(self.start, self.where, "start_time"),
            in_use_s=None if self.in_use is None else clock.seconds(self.in_use, self.where, "in_use_since"),
        )


def _generators(
    tables: Sequence[tuple[str, Any]], options: GeneratorOptions, first: datetime | None, log: NoticeLog, where: str
) -> tuple[list[_Unplaced], list[datetime | None]]:
    listed: list[tuple[str, Any]] = list(tables) or [("generator of the options", {})]
    if len(listed) > 1 and (options.ge68_mbq is not None or options.calibrated is not None):
        raise InputError(
            "--ge68-mbq", "generators", f"{len(listed)} in {where}", "activities of several generators in the file"
        )
    made, calibrations = [], []
    for number, (name, values) in enumerate(listed, start=1):
        one, calibrated = _generator(Fields(_replaced(values, options), name), number, options, first, log)
        made.append(one)
        calibrations.append(calibrated)
    names = [m.generator.name for m in made]
    if len(set(names)) < len(names):
        raise InputError(where, "name of generator", ", ".join(names), "each name once")
    return made, calibrations


def _replaced(values: Any, options: GeneratorOptions) -> Any:
    """The fields of a generator with what the command line replaces, so that both are checked alike."""
    given = {
        "ge68_mbq": options.ge68_mbq, "calibrated": options.calibrated, "yield_u": options.yield_u,
        "ge68_u_percent": options.ge68_u_percent, "ga68_mbq": options.ga68_mbq,
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None}
    if not given or not isinstance(values, Mapping):
        return values
    kept = {
        k: v for k, v in values.items() if options.ge68_mbq is None or k not in {f"ge68_{u}" for u in ACTIVITY_UNITS}
    }
    return {**kept, **given}


def _generator(
    fields: Fields, number: int, options: GeneratorOptions, first: datetime | None, log: NoticeLog
) -> tuple[_Unplaced, datetime | None]:
    activity = fields.activity_mbq("ge68")
    if activity is None:
        needed = "the 68Ge activity of the generator [MBq] (--ge68-mbq)"
        raise InputError(fields.where, "ge68_mbq", "nothing", needed)
    stated = fields.take("calibrated")
    calibrated = None if stated is None else _calibrated(stated, fields.where, first, log)
    own, u = fields.number("yield", above=0.0, most=1.0), fields.number("yield_u", least=0.0, most=1.0)
    percent = fields.number("ge68_u_percent", least=0.0, most=100.0)
    start, held = options.start or fields.word("start", _STARTS), fields.activity_mbq("ga68", zero=True)
    fields.take("start")
    if held is not None and start is not None:
        raise InputError(fields.where, "ga68_mbq", f"start {start} too", "the 68Ga at the start, or a word for it")
    generator = Generator(
        name=fields.text("name") or f"G{number}", ge68_mbq=activity,
        efficiency=options.yields[0] if len(options.yields) == 1 else own, efficiency_u=u,
        ge68_u_relative=None if percent is None else percent / 100.0,
        start="stated" if held is not None else "empty" if start == "empty" else "equilibrium", start_ga68_mbq=held or 0.0,
        eluted_before=fields.whole("eluted_before") or 0,
    )  # fmt: skip
    started, used = fields.moment("start_time"), fields.moment("in_use_since")
    fields.finish()
    if "+" in generator.name:
        raise InputError(fields.where, "name", generator.name, "a name without +, which stands for pooled generators")
    unplaced = _Unplaced(generator=generator, calibrated=0.0 if calibrated is None else calibrated, start=started,
                         in_use=used, where=fields.where)  # fmt: skip
    return unplaced, calibrated


def _calibrated(value: Any, where: str, first: datetime | None, log: NoticeLog) -> datetime:
    """The reference of the 68Ge; a day alone is taken at noon, which is wrong by 0.13 % at most."""
    day = day_of(value)
    if day is None:
        return moment(value, where, "calibrated")
    noon = datetime.combine(day, time(12), tzinfo=None if first is None else first.tzinfo)
    log.adapted(
        "CALIBRATION_DAY_ONLY",
        f"the 68Ge activity has a day without time, taken as {noon.isoformat()}; 12 h are 0.13 % of 68Ge",
        where=where, raw=day.isoformat(), used=noon.isoformat(),
    )  # fmt: skip
    return noon


def _yields(options: GeneratorOptions, n: int) -> list[float | None]:
    if len(options.yields) <= 1:
        return [None] * n
    if len(options.yields) != n:
        raise InputError("--yield", "number of yields", len(options.yields), f"one, or one for each of {n} elutions")
    return list(options.yields)


def _time(fields: Fields, name: str, minutes: str, *, required: bool = False) -> Moment | None:
    clock, relative = fields.moment(name), fields.number(minutes)
    if clock is not None and relative is not None:
        raise InputError(fields.where, name, f"{name} and {minutes}", "one of them")
    if clock is None and relative is None and required:
        raise InputError(fields.where, name, "nothing", f"{name} (ISO) or {minutes}")
    return relative if clock is None else clock


def _entry(
    fields: Fields, time_s: float, names: tuple[str, ...], clock: Clock, own_yield: float | None, log: NoticeLog
) -> ElutionEntry:
    stated = fields.take("generator")
    listed = (
        stated
        if isinstance(stated, list)
        else re.split(r"\s*[+]\s*", str(stated).strip())
        if stated is not None
        else names
    )
    chosen = tuple(str(n) for n in listed)
    for name in chosen:
        if name not in names:
            raise InputError(fields.where, "generator", name, "one of " + ", ".join(names))
    if len(set(chosen)) < len(chosen) or not chosen:
        raise InputError(fields.where, "generator", "+".join(chosen) or "nothing", "each generator once")
    share = fields.number("yield", least=0.0, most=1.0)
    activity = fields.activity_mbq("eluted", zero=True)
    percent = fields.number("eluted_u_percent", least=0.0, most=100.0)
    read = _time(fields, "reference_time", "reference_min")
    if activity is not None and read is None:
        log.adapted(
            "REFERENCE_TIME_ASSUMED",
            "a measured activity without its reference time was taken to refer to the elution; ten minutes are 10 %",
            where=fields.where, raw=None, used=clock.json(time_s),
        )  # fmt: skip
    ratio_time = _time(fields, "breakthrough_time", "breakthrough_min")
    in_eluate = fields.activity_mbq("ge68_eluate", zero=True)
    entry = ElutionEntry(
        time_s=time_s, generators=chosen, efficiency=own_yield if share is None else share,
        measured_mbq=activity,
        measured_u_mbq=None if activity is None or percent is None else activity * percent / 100.0,
        measured_s=None if read is None else clock.seconds(read, fields.where, "reference_time"),
        volume_ml=fields.number("volume_ml", least=1e-6, most=1e6),
        breakthrough_percent=fields.number("breakthrough_percent", least=0.0, most=100.0),
        breakthrough_of=fields.word("breakthrough_of", DENOMINATORS),
        breakthrough_s=None if ratio_time is None else clock.seconds(ratio_time, fields.where, "breakthrough_time"),
        ge68_eluate_bq=None if in_eluate is None else 1e6 * in_eluate, pool=fields.text("pool"),
        where=fields.where,
    )  # fmt: skip
    for unit in ACTIVITY_UNITS:
        fields.take(f"eluted_{unit}")
    for known in ("time", "time_min"):
        fields.take(known)
    fields.finish()
    _check_reading(entry, clock)
    return entry


def _check_reading(entry: ElutionEntry, clock: Clock) -> None:
    """An eluate is read after its elution and while there is something to read."""
    for name, moment_s in (("reference_time", entry.measured_s), ("breakthrough_time", entry.breakthrough_s)):
        if moment_s is None:
            continue
        late = moment_s - entry.time_s
        if late < -60.0:
            raise InputError(
                entry.where, name, clock.text(moment_s), f"a time not before the elution, {clock.text(entry.time_s)}"
            )
        if late > 86400.0:
            raise InputError(entry.where, name, clock.text(moment_s), "a time within a day of the elution")


def _ordered(
    entries: list[ElutionEntry], clock: Clock, typed: bool, log: NoticeLog, where: str
) -> tuple[ElutionEntry, ...]:
    ordered = sorted(entries, key=lambda e: e.time_s)
    if ordered != entries:
        if typed:
            a, b = next((a, b) for a, b in pairwise(entries) if b.time_s < a.time_s)
            raise InputError(
                "--elute-at", "times", f"{clock.text(b.time_s)} after {clock.text(a.time_s)}", "rising times"
            )
        log.info("ROWS_SORTED", "the elutions were not in order of time and have been sorted", where=where)
    last: dict[str, ElutionEntry] = {}
    for entry in ordered:
        for name in entry.generators:
            if name in last and last[name].time_s == entry.time_s:
                found = f"{clock.text(entry.time_s)} twice"
                raise InputError(entry.where, "time", found, f"each elution of generator {name} once")
            last[name] = entry
    return tuple(ordered)


def _rules(fields: Fields, options: GeneratorOptions) -> GeneratorRules:
    def number(name: str, **limits: float) -> float | None:
        stated = fields.number(name, **limits)
        given = options.rules.get(name)
        return (
            Fields({name: given}, f"--{name.replace('_', '-')}").number(name, **limits) if given is not None else stated
        )

    elutions, months = number("retire_elutions", least=1.0), number("retire_months", above=0.0)
    if elutions is not None and not elutions == math.floor(elutions):
        raise InputError(fields.where, "retire_elutions", elutions, "a whole number")
    source = fields.text("retire_source") or ""
    name = options.retire or fields.text("retire") or ""
    fields.take("retire")
    known = retirement_rules()
    if name and name != "none" and name not in known:
        raise InputError("--retire", "rule", name, "one of " + ", ".join([*known, "none"]))
    if elutions is None and months is None and name != "none":
        rule = known[name or "itm"]
        elutions, months, source = float(rule["elutions"]), float(rule["months"]), str(rule["source"])
    limit, of = (
        number("breakthrough_limit_percent", least=1e-9, most=100.0),
        fields.word("breakthrough_limit_of", DENOMINATORS),
    )
    of = options.rules.get("breakthrough_limit_of") or of
    if (limit is None) != (of is None):
        raise InputError(fields.where, "breakthrough limit", "a limit or a denominator alone",
                         "breakthrough_limit_percent with breakthrough_limit_of, " + " or ".join(DENOMINATORS))  # fmt: skip
    if of is not None and of not in DENOMINATORS:
        raise InputError("--breakthrough-limit-of", "denominator", of, " or ".join(DENOMINATORS))
    calibrator = number("calibrator_u_percent", least=0.0, most=100.0)
    rules = GeneratorRules(
        retire_elutions=None if elutions is None else int(elutions), retire_months=months, retire_source=source,
        minimum_yield=number("minimum_yield", above=0.0, most=1.0),
        discard_after_idle_h=number("discard_after_idle_h", above=0.0),
        calibrator_u_relative=0.0 if calibrator is None else calibrator / 100.0,
        breakthrough_percent=limit, breakthrough_of=of,
        breakthrough_source=fields.text("breakthrough_source") or "",
    )  # fmt: skip
    fields.finish()
    return rules.with_published_breakthrough()


def _plan(fields: Fields) -> PlanRequest:
    wanted, lead = fields.activity_mbq("wanted"), fields.number("lead_min", least=0.0)
    time_of = _time(fields, "time", "time_min", required=wanted is None)
    fields.finish()
    return PlanRequest(time=time_of, wanted_mbq=wanted, lead_min=lead or 0.0)
