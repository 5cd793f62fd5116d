"""Each row of a specification beside the result of a batch: entered, or computed from the record."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from scipy.special import ndtri

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.batch import Batch, Result
from fusin.radiopharmacy.half_life import HalfLife
from fusin.radiopharmacy.limits import (
    ENDOTOXIN_PER_DOSE_IU,
    Limit,
    Measured,
    compared_value,
    convert,
    decimal_text,
    endotoxin_limit_iu_ml,
    judge,
    unit_key,
)
from fusin.radiopharmacy.release_computed import activity_at_mbq, identity_of, mass_balances
from fusin.radiopharmacy.specification import Phase, Specification, SpecRow

__all__ = ["TestOutcome", "outcomes"]

_TIMED = ("ge68", "lu177m", "sr90")
_ENDOTOXIN = ("eu/ml", "iu/ml", "eu/l", "iu/l")
_SIGNED = ("%", "percent", "fraction", "ppm", "c", "", "ph")
"""Units whose results may lie below zero: shares of signed net counts, degrees Celsius, pH."""
_LEVEL = 0.95
_HALF_LIFE_DIGITS = 4
"""Digits to which a half-life from readings is judged and printed: 0.01 min for 68Ga, far below its uncertainty."""

_ALL = 100
"""Percent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestOutcome:
    """One test of a batch.

    Attributes
    ----------
    id, test, method, phase, source, tag : of the row
    measured : the result in the unit of the limit; None while it is missing
    unit, limit : unit of both, and the limit in words
    passed : None where it cannot be said, and ``reason`` says why
    computed : whether fusin computed the value from the record
    low, high, interval : limits of the result's 95 % interval where it has one, and the name of the method
    rounding : how the number was held against the limit, in words; empty for a statement
    statement : for results that are words, what was found
    """

    __test__ = False  # the name is the field's own; pytest must not collect it

    id: str
    test: str
    method: str
    phase: Phase
    source: str
    tag: str
    limit: str
    measured: Measured | None = None
    unit: str = ""
    passed: bool | None = None
    reason: str = ""
    computed: bool = False
    low: float | None = None
    high: float | None = None
    interval: str = ""
    rounding: str = ""
    statement: str = ""
    deferrable: bool = False
    note: str = ""
    reference_time: datetime | None = None

    @property
    def value(self) -> float | str | None:
        """A number where the result is one, else its text; None while missing."""
        if self.statement:
            return self.statement
        if self.measured is None:
            return None
        if self.measured.value is not None and self.measured.qualifier == "=":
            return float(self.measured.value)
        return self.measured.text()

    def value_text(self) -> str:
        """The result with its digits."""
        if self.statement or self.measured is None:
            return self.statement
        if self.computed and self.measured.value is not None:
            # Six digits are enough for people; a verdict at the very edge is told by its reason.
            return replace(self.measured, value=Decimal(f"{self.measured.value:.6g}")).text()
        return self.measured.text()

    def to_json(self) -> dict[str, Any]:
        """Return the contract of one test."""
        return {
            "id": self.id, "test": self.test, "value": self.value, "unit": self.unit, "limit": self.limit,
            "pass": self.passed, "phase": self.phase, "reason": self.reason, "method": self.method,
            "computed": self.computed, "low": self.low, "high": self.high, "interval": self.interval,
            "rounding": self.rounding, "reference_time": None if self.reference_time is None else self.reference_time.isoformat(),
            "source": self.source, "tag": self.tag, "note": self.note,
        }  # fmt: skip


def outcomes(
    batch: Batch, specification: Specification, *, half_life: HalfLife | None, half_life_s: float, log: NoticeLog
) -> tuple[TestOutcome, ...]:
    """Judge every row of the specification.

    Parameters
    ----------
    batch, specification : what was found, and what must be met
    half_life : from the readings of the record, None without
    half_life_s : of the product's nuclide, for activities at other times
    log : receives doubts about single results

    Raises
    ------
    InputError
        For a result of a test that the specification does not know, and for a unit that is missing or of another kind.
    """
    for result in batch.results:
        if specification.row(result.test) is None:
            known = [r.id for r in specification.rows]
            near = difflib.get_close_matches(result.test.casefold(), known, n=1, cutoff=0.6)
            needed = f"{near[0]} perhaps; {specification.name} has " if near else "one of "
            raise InputError(f"{batch.where}: result {result.test}", "test", result.test, needed + ", ".join(known))
    whole = frozenset(t for b in mass_balances(batch, specification) if b.consistent for t in b.tests)
    found = (_outcome(row, batch, half_life, half_life_s, log) for row in specification.rows)
    return tuple(o if o.id in whole else _refuse_more_than_all(o, specification) for o in found)


def _refuse_more_than_all(outcome: TestOutcome, specification: Specification) -> TestOutcome:
    """A share above 100 % is no result, unless its parts add up to 100 % (signed areas) or its limit reaches beyond."""
    row, measured = specification.row(outcome.id), outcome.measured
    if row is None or measured is None or measured.value is None or row.kind == "content":
        return outcome
    beyond = row.limit.high is not None and row.limit.high > _ALL
    if outcome.passed is None or unit_key(outcome.unit) != "%" or beyond or measured.value <= _ALL:
        return outcome
    return replace(outcome, passed=None, reason=f"{measured.text()} % is more than all there is: no share can be that")


def _outcome(row: SpecRow, batch: Batch, half_life: HalfLife | None, half_life_s: float, log: NoticeLog) -> TestOutcome:
    limit, text = _effective(row, batch)
    blank = TestOutcome(
        id=row.id, test=row.test, method=row.method, phase=row.phase, source=row.source, tag=row.tag, limit=text,
        deferrable=row.deferrable, note=row.note,
    )  # fmt: skip
    entered = batch.result(row.id)
    made = _computed(row, batch, half_life, half_life_s, blank)
    if made is not None:
        if entered is not None:
            _compare(made, entered, limit, batch, log)
        shown = made
    elif entered is None:
        return replace(blank, reason="no result yet" if row.judged else _no_limit(row))
    else:
        shown = _entered(blank, entered, limit, batch, log)
    if shown.statement and shown.computed:
        return shown
    if not row.judged:
        return replace(shown, reason=_no_limit(row))
    return _judged(shown, row, limit, batch, log)


def _no_limit(row: SpecRow) -> str:
    return f"no limit: site must set ({row.note or row.source})"


def _effective(row: SpecRow, batch: Batch) -> tuple[Limit, str]:
    """The limit of this batch, per volume where the row or the route of injection says so, and its words."""
    limit, volume = row.limit, batch.max_injected_volume_ml
    if not row.judged or limit.high is None:
        return limit, limit.text()
    if row.kind == "endotoxin" and not limit.per_volume and volume is not None and unit_key(limit.unit) in _ENDOTOXIN:
        where = f"{batch.where}: {row.id}"
        printed = convert(limit.high, limit.unit, "IU/mL", where=where, field="unit")
        if endotoxin_limit_iu_ml(volume) < printed:
            # A limit per mL holds for the volume that its author had in mind; 175 IU per injection hold for any.
            kept = Limit(operator="<", high=ENDOTOXIN_PER_DOSE_IU, unit="IU/mL", per_volume=True)
            return kept, f"{_per_volume_text(kept, volume)}; the row itself: {limit.text()}"
    if not limit.per_volume:
        return limit, limit.text()
    if volume is None:
        return limit, f"{limit.text()} (V not recorded)"
    return replace(limit, unit="IU/mL"), _per_volume_text(limit, volume)


def _per_volume_text(limit: Limit, volume: Decimal) -> str:
    assert limit.high is not None
    shown = decimal_text(Decimal(f"{endotoxin_limit_iu_ml(volume, limit_iu=limit.high):.4g}"))
    return f"{limit.operator} {shown} IU/mL ({decimal_text(limit.high)} IU/V, V = {decimal_text(volume)} mL)"


def _computed(
    row: SpecRow, batch: Batch, half_life: HalfLife | None, half_life_s: float, blank: TestOutcome
) -> TestOutcome | None:
    """A result that follows from the record, in the unit of the limit; None where nothing does."""
    where, unit = f"{batch.where}: {row.id}", row.limit.unit
    product = batch.of_role("product")

    def made(value: float, given: str, *, at_most: bool = False, form: str = ".12g", **more: Any) -> TestOutcome:
        # Twelve digits are what a computed number means; the rest is binary noise at the bound.
        number = Decimal(f"{convert(Decimal(value), given, unit, where=where, field='unit'):{form}}")
        measured = Measured(value=number, qualifier="<=" if at_most else "=")
        return replace(blank, measured=measured, unit=unit, computed=True, **more)

    if row.kind == "half_life" and half_life is not None:
        estimate = half_life.estimate
        scale = float(convert(Decimal(1), "min", unit or "min", where=where, field="unit"))
        return made(
            half_life.half_life_s, "s", form=f".{_HALF_LIFE_DIGITS}g", interval=estimate.method,
            low=None if estimate.low is None else estimate.low * scale,
            high=None if estimate.high is None else estimate.high * scale,
        )  # fmt: skip
    if row.kind == "identity" and batch.lines is not None and row.lines_kev:
        identity = identity_of(row, batch.lines)
        reason = "" if identity.verdict else "lines are missing or unexplained"
        return replace(
            blank, statement=identity.text(), passed=identity.verdict, reason=reason, computed=True,
            measured=Measured(statement="complies" if identity.verdict else "fails"),
        )  # fmt: skip
    if row.kind == "activity" and product:
        at = batch.times.end_of_synthesis if row.reference_time == "end of synthesis" else None
        return made(
            activity_at_mbq(product[0], at or product[0].time, half_life_s=half_life_s), "MBq",
            reference_time=at or product[0].time,
        )  # fmt: skip
    if row.kind == "content" and product and batch.declared_mbq and batch.declared_time:
        found = activity_at_mbq(product[0], batch.declared_time, half_life_s=half_life_s)
        return made(100.0 * found / float(batch.declared_mbq), "%", reference_time=batch.declared_time)
    if row.kind == "peptide" and batch.result(row.id) is None and batch.precursor.amount_ug is not None:
        mass, volume, most = float(batch.precursor.amount_ug), batch.volume_ml, batch.max_injected_volume_ml
        share = min(1.0, float(most) / float(volume)) if volume and most else 1.0
        return made(mass * share, "ug", at_most=True, note="upper bound: the whole precursor")
    if row.kind == "ethanol_dose" and batch.ethanol_g_ml is not None and batch.max_injected_volume_ml is not None:
        return made(float(batch.ethanol_g_ml * batch.max_injected_volume_ml), "g")
    return None


def _compare(made: TestOutcome, entered: Result, limit: Limit, batch: Batch, log: NoticeLog) -> None:
    """Warn where an entered number and the one computed from the record differ beyond the digits that were entered."""
    value, found = entered.measured.value, made.measured.value if made.measured else None
    if value is None or found is None or entered.measured.qualifier != "=":
        return
    same = convert(
        found, made.unit, entered.unit or limit.unit, where=f"{batch.where}: result {entered.test}", field="unit"
    )
    if abs(same - value) > Decimal("0.5").scaleb(cast(int, value.as_tuple().exponent)) + abs(value) * Decimal("0.001"):
        log.warning(
            "RESULT_DIFFERS_FROM_COMPUTED",
            f"{made.test}: {entered.measured.text()} {entered.unit} was entered and {float(same):.6g} follows from the record; "
            "the computed value is judged",
            where=f"{batch.where}: {entered.test}", raw=entered.measured.text(), used=float(found),
        )  # fmt: skip


def _entered(blank: TestOutcome, result: Result, limit: Limit, batch: Batch, log: NoticeLog) -> TestOutcome:
    """An entered result in the unit of the limit."""
    where, measured, unit = f"{batch.where}: result {result.test}", result.measured, limit.unit
    if measured.value is None:
        if limit.operator not in ("complies", "none"):
            log.warning(
                "RESULT_WITHOUT_NUMBER",
                f"{blank.test}: stated as '{measured.statement}' without its number, against {blank.limit}",
                where=where, raw=measured.statement,
            )  # fmt: skip
        return replace(blank, measured=measured, unit="", reference_time=result.reference_time)
    if limit.operator == "complies":
        raise InputError(where, "value", measured.text(), f"'complies' or 'fails' ({blank.limit})")
    if limit.operator == "none":
        return replace(blank, measured=measured, unit=result.unit, reference_time=result.reference_time)
    if unit and not result.unit:
        raise InputError(where, "unit", "nothing", f"the unit of {measured.text()}, such as {unit}")
    if limit.per_volume and unit.upper().endswith("/V"):
        # Without V the limit has no number; the result stands as it was reported.
        return replace(blank, measured=measured, unit=result.unit, reference_time=result.reference_time)
    value = convert(measured.value, result.unit, unit, where=where, field="unit")
    if value < 0 and unit_key(unit) not in _SIGNED:
        raise InputError(where, "value", measured.text(), f"zero or a positive number of {unit}")
    if value != measured.value:
        shown = f"{measured.text()} {result.unit} is {decimal_text(Decimal(f'{value:.12g}'))} {unit}"
        log.info("RESULT_UNIT_CONVERTED", f"{blank.test}: {shown}", where=where, raw=measured.text(), used=float(value))
    low = high = None
    if result.u is not None and measured.qualifier == "=":
        wide = float(ndtri(0.5 + _LEVEL / 2.0)) * float(convert(result.u, result.unit, unit, where=where, field="u"))
        low, high = float(value) - wide, float(value) + wide
    return replace(
        blank, measured=replace(measured, value=value), unit=unit, low=low, high=high,
        interval="stated uncertainty, normal" if low is not None else "", reference_time=result.reference_time,
    )  # fmt: skip


def _judged(shown: TestOutcome, row: SpecRow, limit: Limit, batch: Batch, log: NoticeLog) -> TestOutcome:
    """The verdict, with the doubts about it."""
    assert shown.measured is not None
    where = f"{batch.where}: {row.id}"
    if row.kind in _TIMED and shown.measured.value is not None and shown.reference_time is None:
        return replace(
            shown, reason="the share has no reference_time: it changes with time, so the number means nothing"
        )
    if limit.per_volume and batch.max_injected_volume_ml is None and shown.measured.value is not None:
        return replace(shown, reason="the limit is per V, and max_injected_volume_ml is not recorded")
    passed = judge(limit, shown.measured, volume_ml=batch.max_injected_volume_ml)
    if passed is None:
        return replace(shown, reason=f"{shown.measured.text()} does not tell whether {shown.limit} is met")
    _warn_of_rounding(shown, limit, passed, batch, where, log)
    _warn_of_interval(shown, limit, passed, where, log)
    return replace(
        shown, passed=passed, rounding=_rounding_text(shown, limit, row, batch),
        reason="" if passed else f"{shown.measured.text()} does not meet {shown.limit}",
    )  # fmt: skip


def _rounding_text(shown: TestOutcome, limit: Limit, row: SpecRow, batch: Batch) -> str:
    """The rule by which a number was compared, in words that stand beside the verdict."""
    assert shown.measured is not None
    if shown.measured.value is None:
        return ""
    if limit.rounding == "none":
        if not shown.computed:
            return "as recorded"
        return f"computed, {_HALF_LIFE_DIGITS} digits" if row.kind == "half_life" else "as computed"
    value = compared_value(limit, shown.measured.value, volume_ml=batch.max_injected_volume_ml)
    return f"rounded to {decimal_text(value)} (digits of the limit{' per V' if limit.per_volume else ''})"


def _warn_of_rounding(shown: TestOutcome, limit: Limit, passed: bool, batch: Batch, where: str, log: NoticeLog) -> None:
    """Say when the verdict hangs on the rounding rule, whichever it is, and when the value is the bound itself."""
    assert shown.measured is not None
    value, volume = shown.measured.value, batch.max_injected_volume_ml
    if value is None:
        return
    asked = limit.rounding == "limit-digits"
    other = replace(limit, rounding="none" if asked else "limit-digits")
    if judge(other, shown.measured, volume_ml=volume) != passed:
        rounded = compared_value(replace(limit, rounding="limit-digits"), value, volume_ml=volume)
        word, opposite = ("passes", "fail") if passed else ("fails", "pass")
        held = decimal_text(value) + (f" {limit.unit} x {volume} mL" if limit.per_volume else "")
        raw, used = decimal_text(value), str(rounded)
        if asked:
            message = (
                f"{shown.test}: {held} was rounded to {rounded} by the rule of the specification, and {word} only so"
            )
            log.warning("ROUNDED_ACROSS_LIMIT", message, where=where, raw=raw, used=used)
        else:
            message = (
                f"{shown.test}: {held} {word} {shown.limit} as recorded; rounded to the digits of the limit it would be"
            )
            log.warning(
                "VERDICT_HANGS_ON_ROUNDING", f"{message} {rounded} and {opposite}", where=where, raw=raw, used=used
            )
    elif shown.measured.qualifier == "=" and value in (limit.low, limit.high) and not limit.per_volume:
        side = "belongs to what is permitted" if passed else "does not belong to what is permitted"
        message = f"{shown.test}: {decimal_text(value)} is the limit itself, which {side} ({shown.limit})"
        log.info("VALUE_AT_LIMIT", message, where=where, raw=decimal_text(value))


def _warn_of_interval(shown: TestOutcome, limit: Limit, passed: bool, where: str, log: NoticeLog) -> None:
    """A pass by value whose interval reaches beyond the bound is a pass, and a reader should know."""
    if not passed or not shown.interval or limit.per_volume:
        return
    below = limit.low is not None and shown.low is not None and shown.low < float(limit.low)
    above = limit.high is not None and (shown.high if shown.high is not None else math.inf) > float(limit.high)
    if below or above:
        ends = " to ".join("no end" if e is None else f"{e:.4g}" for e in (shown.low, shown.high))
        log.warning(
            "INTERVAL_BEYOND_LIMIT",
            f"{shown.test}: the value passes {shown.limit}, its 95 % interval ({ends} {shown.unit}; {shown.interval}) "
            "reaches beyond",
            where=where, raw=[shown.low, shown.high],
        )  # fmt: skip
