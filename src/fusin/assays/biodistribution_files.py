"""From the tables of a study to %ID/g: tubes, animals, standards, and counts that may stand in a counter file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from fusin.assays.biodistribution import (
    CARCASS,
    TAIL,
    AnimalDose,
    Calibration,
    DoseUnit,
    Exclusion,
    OrganValue,
    StandardTube,
    Tissue,
    TissueValues,
    calibrate,
    injected_dose,
    organ_values,
    tail_exclusion,
    tissue_mass,
)
from fusin.assays.biodistribution_tables import ANIMALS_TABLE, SAMPLES_TABLE
from fusin.assays.biodistribution_values import time_label
from fusin.assays.counter_columns import named_rows
from fusin.assays.counter_tables import reading_of_row
from fusin.assays.counting import CountReading, NetRate
from fusin.assays.counting_runs import CountedRun, RunSetup, activity_at_reference, correct_run, pooled_rate
from fusin.assays.counting_times import parse_time
from fusin.assays.counting_uncertainty import Measured, exact
from fusin.decay import decay_factor, elapsed_s
from fusin.errors import InputError, MissingValue
from fusin.provenance import NoticeLog
from fusin.tabular.rows import Row

__all__ = ["StudyFiles", "StudySetup", "read_study"]

# A time point is nominal; further off than this share of the time it is another one.
_NOMINAL = 0.25

_UNIT_FIELDS: Mapping[str, DoseUnit] = {
    "fraction_of_dose": "fraction", "stock_g": "g", "stock_ml": "mL", "activity_mbq": "MBq",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySetup:
    """What the user states about a study.

    Attributes
    ----------
    run : of the counter
    balance_sd_mg : SD of one weighing [mg]; a mass by difference has it twice
    subtract_tail : whether activity in the tail is taken from the injected dose
    tail_limit_percent : extravasation rule; None excludes nobody by it
    window : energy window of the counter file, where there are several
    """

    run: RunSetup = field(default_factory=RunSetup)
    balance_sd_mg: float | None = None
    subtract_tail: bool = True
    tail_limit_percent: float | None = None
    window: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFiles:
    """Files of a study: tubes, animals, further tables of tubes (standards, blanks), and readings of a counter file."""

    samples: Path
    animals: Path | None = None
    standards: Path | None = None
    readings: tuple[CountReading, ...] | None = None


def read_study(files: StudyFiles, setup: StudySetup, log: NoticeLog) -> tuple[TissueValues, CountedRun]:
    """%ID/g of a study from its tables.

    Raises
    ------
    InputError, NotComputable
        With one sentence: which file and row, what stands there, what would do.
    """
    rows = list(named_rows(files.samples, SAMPLES_TABLE, log))
    if files.standards is not None:
        rows += named_rows(files.standards, SAMPLES_TABLE, log)
    animals = {r.needed("animal"): r for r in named_rows(files.animals, ANIMALS_TABLE, log)} if files.animals else {}
    tubes = _tubes(rows, files.readings, setup)
    run = correct_run([reading for t in tubes for reading in t.readings], setup.run, log)
    # Rates come back in the order of the readings, without the blanks.
    rates = iter(run.rates)
    blanks = set(setup.run.blanks)
    by_row = {
        i: [next(rates) for r in t.readings if r.tube not in blanks] for i, t in enumerate(tubes) if t.kind != "blank"
    }
    calibration = calibrate(
        [_standard(t.row, by_row[i], run, setup.run.date_order) for i, t in enumerate(tubes) if t.kind == "standard"],
        log,
    )
    tissues = _tissues(tubes, by_row, setup, log)
    return _assembled(tissues, animals, calibration, run, setup, log), run


@dataclass(frozen=True, slots=True)
class _Tube:
    row: Row
    kind: str
    readings: tuple[CountReading, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Counted:
    """A tissue with its row and the start of its first count."""

    tissue: Tissue
    row: Row
    start: datetime | None


def _tubes(rows: Sequence[Row], counted: Sequence[CountReading] | None, setup: StudySetup) -> list[_Tube]:
    """Rows with the readings that belong to them."""
    by_name: dict[str, list[CountReading]] = {}
    for one in _one_window(counted or (), setup.window):
        by_name.setdefault(one.tube, []).append(one)
    out = []
    used: dict[str, str] = {}
    for row in rows:
        kind = row.text("kind") or ("blank" if (row.text("organ") or "").lower() == "blank" else "sample")
        if kind == "sample" and (row.text("animal") is None or row.text("organ") is None):
            missing = "animal" if row.text("animal") is None else "organ"
            raise InputError(
                row.where, missing, "nothing", "a value for each tissue; blanks and standards say so in kind"
            )
        tube = row.text("tube")
        if tube is not None and tube in used:
            raise InputError(row.where, "tube", tube, f"each tube once; {used[tube]} holds it already")
        if tube is not None:
            used[tube] = row.where
        name = tube or " ".join(filter(None, (row.text("animal"), row.text("organ")))) or f"{kind} of {row.where}"
        if counted is None:
            reading = reading_of_row(row, tube=name, kind=kind, date_order=setup.run.date_order)
            out.append(_Tube(row, kind, (replace(reading, kind=kind),)))
            continue
        if tube is None:
            raise InputError(row.where, "tube", "nothing", "the name of the tube in the counter file")
        if tube not in by_name:
            raise InputError(row.where, "tube", tube, "a tube of the counter file: " + ", ".join(list(by_name)[:8]))
        out.append(_Tube(row, kind, tuple(replace(r, kind=kind, where=row.where) for r in by_name[tube])))
    return out


def _one_window(counted: Sequence[CountReading], window: str | None) -> list[CountReading]:
    """Readings of the window that is asked for; of several one must be named."""
    windows = list(dict.fromkeys(r.window for r in counted))
    if window is not None and window not in windows:
        named = ", ".join(map(repr, filter(None, windows)))
        needed = f"one of {named}" if named else "a counter file (--counts) with several windows"
        raise InputError("the counter file", "window", window, needed)
    if window is None and len(windows) > 1:
        raise InputError("the counter file", "windows", ", ".join(windows), "the name of one window")
    return [r for r in counted if window is None or r.window == window]


def _standard(row: Row, rates: Sequence[NetRate], run: CountedRun, order: str | None) -> StandardTube:
    given = [(f, row.number(f)) for f in _UNIT_FIELDS if row.number(f) is not None]
    if len(given) != 1:
        found = " and ".join(f for f, _ in given) or "none"
        raise InputError(row.where, "amount of the standard", found, "one of " + ", ".join(_UNIT_FIELDS))
    field, amount = given[0][0], float(given[0][1] or 0.0)
    if field == "activity_mbq":
        amount = activity_at_reference(
            amount,
            _moment(row, "activity_time", order),
            run,
            where=row.where,
            field="activity_time",
            name="the standard",
        ).value
    relative = (row.number("relative_u_percent") or 0.0) / 100.0
    return StandardTube(
        name=row.text("tube") or row.where, rate=pooled_rate(rates), amount=amount, unit=_UNIT_FIELDS[field],
        relative_u=relative,
    )  # fmt: skip


def _tissues(
    tubes: Sequence[_Tube], by_row: Mapping[int, Sequence[NetRate]], setup: StudySetup, log: NoticeLog
) -> list[_Counted]:
    out: list[_Counted] = []
    seen: dict[tuple[str, str], str] = {}
    unweighed_u = False
    for index, tube in enumerate(tubes):
        if tube.kind != "sample":
            continue
        row = tube.row
        animal, organ = row.needed("animal"), row.needed("organ")
        if (animal, organ) in seen:
            raise InputError(
                row.where, "animal + organ", f"{animal}, {organ}", f"each once; {seen[animal, organ]} holds it already"
            )
        seen[animal, organ] = row.where
        mass = _mass(row, setup)
        unweighed_u |= mass is not None and not mass.parts
        fraction = row.number("counted_fraction")
        rates = by_row[index]
        known = [r.detected for r in rates if r.detected is not None]
        tissue = Tissue(
            animal=animal, organ=organ, rate=pooled_rate(rates), mass=mass,
            counted_fraction=1.0 if fraction is None else fraction, detected=any(known) if known else None,
        )  # fmt: skip
        starts = [r.reading.start for r in rates if r.reading.start is not None]
        out.append(_Counted(tissue, row, min(starts) if starts else None))
    if unweighed_u:
        log.info(
            "WEIGHING_UNCERTAINTY_MISSING", "no uncertainty of weighing is stated, so that intervals of %ID/g hold none"
        )
    return out


def _mass(row: Row, setup: StudySetup) -> Measured | None:
    grams, milligrams = row.number("mass_g"), row.number("mass_mg")
    if grams is not None and milligrams is not None:
        raise InputError(row.where, "mass_mg", milligrams, "mass_g or mass_mg, not both")
    grams = milligrams / 1000.0 if milligrams is not None else grams
    stated, balance = row.number("mass_u_g"), setup.balance_sd_mg
    by_difference = row.number("full_g") is not None
    if stated is None and balance is not None:
        stated = balance / 1000.0 * (2.0**0.5 if by_difference else 1.0)
    return tissue_mass(
        mass_g=grams, full_g=row.number("full_g"), empty_g=row.number("empty_g"), u_g=stated, where=row.where,
        name=f"{row.text('animal')} {row.text('organ')}",
    )  # fmt: skip


def _assembled(
    tissues: Sequence[_Counted],
    animals: Mapping[str, Row],
    calibration: Calibration,
    run: CountedRun,
    setup: StudySetup,
    log: NoticeLog,
) -> TissueValues:
    by_animal: dict[str, list[_Counted]] = {}
    for one in tissues:
        by_animal.setdefault(one.tissue.animal, []).append(one)
    for name, row in animals.items():
        if name not in by_animal:
            log.warning("ANIMAL_WITHOUT_TISSUES", f"animal {name} has no tissue in the table of tubes", where=row.where)
    values: list[OrganValue] = []
    doses: dict[str, AnimalDose] = {}
    recovery: dict[str, Measured] = {}
    exclusions: list[Exclusion] = []
    whole = set()
    for name, own in by_animal.items():
        animal = animals.get(name)
        if animals and animal is None:
            raise InputError(
                own[0].row.where, "animal", name, "an animal of the table of animals: " + ", ".join(list(animals)[:8])
            )
        tail = next((c.tissue.rate for c in own if c.tissue.organ.strip().lower() == TAIL), None)
        dose = injected_dose(
            name, _injected(name, animal, calibration, run, setup.run.date_order, log), calibration, tail=tail,
            subtract_tail=setup.subtract_tail, where=animal.where if animal else f"animal {name}",
        )  # fmt: skip
        doses[name] = dose
        found, recovered = organ_values(
            [c.tissue for c in own], dose, body_weight_g=animal.number("body_weight_g") if animal else None
        )
        recovery[name] = recovered
        if any(c.tissue.organ.strip().lower() == CARCASS for c in own):
            whole.add(name)
        reason = _exclusion(name, animal, dose, setup, log)
        if reason is not None:
            exclusions.append(reason)
            continue
        values += _labelled(found, own, animal, run, setup, log)
    _notice_tails(doses, setup, log)
    if not values:
        raise MissingValue("%ID/g", "every animal is excluded", "at least one animal that is not", "ALL_EXCLUDED")
    return TissueValues(
        values=tuple(values), doses=doses, recovery=recovery, whole_body=frozenset(whole), exclusions=tuple(exclusions),
        calibration=calibration,
    )  # fmt: skip


def _exclusion(name: str, animal: Row | None, dose: AnimalDose, setup: StudySetup, log: NoticeLog) -> Exclusion | None:
    stated = animal.text("excluded_because") if animal else None
    if stated:
        return Exclusion(name, "", stated, "stated")
    if setup.tail_limit_percent is None:
        return None
    if dose.tail is None:
        log.warning(
            "TAIL_NOT_COUNTED", f"the tail of animal {name} was not counted, so the extravasation rule cannot judge it"
        )
        return None
    return tail_exclusion(dose, setup.tail_limit_percent)


def _notice_tails(doses: Mapping[str, AnimalDose], setup: StudySetup, log: NoticeLog) -> None:
    with_tail = [d for d in doses.values() if d.tail is not None]
    if with_tail and setup.subtract_tail:
        log.info(
            "TAIL_SUBTRACTED",
            f"activity in the tail of {len(with_tail)} of {len(doses)} animals is not part of their injected dose",
        )
    if with_tail and len(with_tail) < len(doses):
        missing = ", ".join(d.animal for d in doses.values() if d.tail is None)
        log.warning("TAIL_NOT_COUNTED", f"no tail was counted for {missing}; their injected dose is taken without it")


def _injected(
    name: str, animal: Row | None, calibration: Calibration, run: CountedRun, order: str | None, log: NoticeLog
) -> Measured:
    """Amount that left the syringe, in the unit of the standards."""
    unit, where = calibration.unit, animal.where if animal else f"animal {name}"

    def need(field: str) -> float:
        value = animal.number(field) if animal else None
        if value is None:
            raise InputError(where, field, "nothing", f"a value: the standards are given in {unit}")
        return value

    if unit == "g":
        whole = _whole(animal, "injected_g", ("syringe_full_g", "syringe_residual_g"))
        return exact(need("syringe_full_g") - need("syringe_residual_g") if whole is None else whole)
    if unit == "mL":
        return exact(need("injected_ml"))
    if unit == "MBq":
        whole = _whole(animal, "injected_mbq", ("syringe_full_mbq", "syringe_residual_mbq"))
        if whole is not None and animal is not None:
            when = _moment(animal, "injection_time", order)
            return activity_at_reference(whole, when, run, where=where, field="injection_time", name=f"animal {name}")
        parts = []
        for which in ("full", "residual"):
            when = _moment(animal, f"syringe_{which}_time", order) if animal else None
            parts.append(
                activity_at_reference(
                    need(f"syringe_{which}_mbq"),
                    when,
                    run,
                    where=where,
                    field=f"syringe_{which}_time",
                    name=f"animal {name}",
                )
            )
        return parts[0] - parts[1]
    share = animal.number("injected_fraction") if animal else None
    if share is None:
        log.adapted(
            "NOMINAL_DOSE_ASSUMED", "every animal is taken to have got the whole nominal dose, for no injected share is given",
            used=1.0,
        )  # fmt: skip
    return exact(1.0 if share is None else share)


def _whole(animal: Row | None, field: str, parts: Sequence[str]) -> float | None:
    """What was injected where the table says it in one number; never beside the readings of the syringe."""
    value = animal.number(field) if animal else None
    if animal is not None and value is not None and any(animal.number(p) is not None for p in parts):
        raise InputError(animal.where, field, value, f"this, or {' and '.join(parts)}, not both")
    return value


def _labelled(
    values: Sequence[OrganValue],
    counted: Sequence[_Counted],
    animal: Row | None,
    run: CountedRun,
    setup: StudySetup,
    log: NoticeLog,
) -> list[OrganValue]:
    """Group, time and decay until sacrifice of each value."""
    out = []
    elapsed = _until_sacrifice(animal, counted, setup) if animal else None
    stated = time_label(animal)[1] if animal else None
    if animal and stated is not None and elapsed is not None and abs(stated * 3600.0 - elapsed) > _NOMINAL * elapsed:
        log.warning(
            "TIME_POINT_CONTRADICTED", f"the time point is {stated:g} h and injection to sacrifice {elapsed / 3600:.3g} h; "
            "groups go by the time point, decay by the clock", where=animal.where, raw=stated, used=elapsed / 3600,
        )  # fmt: skip
    for value, one in zip(values, counted, strict=True):
        source = animal or one.row
        label, hours = time_label(source)
        seconds = hours * 3600.0 if elapsed is None and hours is not None else elapsed
        factor = None
        if seconds is not None and run.half_life_s is not None:
            factor = decay_factor(seconds, run.half_life_s)
        out.append(
            replace(value, group=source.text("group") or "", time=label, time_h=hours, decay_to_sacrifice=factor)
        )
    return out


def _until_sacrifice(animal: Row, counted: Sequence[_Counted], setup: StudySetup) -> float | None:
    """Seconds from injection to sacrifice, where both are given; a tissue cannot be counted before either."""
    order = setup.run.date_order
    moments = {f: _moment(animal, f, order) for f in ("injection_time", "sacrifice_time")}
    for name, moment in moments.items():
        for one in counted:
            if moment is not None and one.start is not None and elapsed_s(moment, one.start) < 0:
                raise InputError(
                    one.row.where, "start_time", one.start.isoformat(),
                    f"a count after {name} of animal {one.tissue.animal}, {moment.isoformat()}",
                )  # fmt: skip
    injected, killed = moments.values()
    if injected is None or killed is None:
        return None
    seconds = elapsed_s(injected, killed)
    if seconds < 0:
        raise InputError(
            animal.where, "sacrifice_time", killed.isoformat(), f"a time after the injection, {injected.isoformat()}"
        )
    return seconds


def _moment(row: Row, field: str, order: str | None) -> datetime | None:
    text = row.text(field)
    return None if text is None else parse_time(text, row.where, field, order=order)
