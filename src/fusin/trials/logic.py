"""Three-valued (Kleene) evaluation of rules: true, false, or unknown, each with its reason.

An unknown never becomes a pass: ``any_of`` is true when one part is, whatever is unknown beside it; ``all_of`` is false
when one part is; everything else that contains an unknown stays unknown and says what to ask for.

References
----------
Kleene, Introduction to Metamathematics (1952), section 64 (strong three-valued logic).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from fusin.trials.fields import diagnoses, field_spec, normal
from fusin.trials.rules import Condition
from fusin.trials.values import Birth, Event, Names, Patient, Span, Unknown, Value, completed, earlier

__all__ = ["Finding", "describe", "evaluate"]

# Days per unit for the width of a window around an age known in completed years only.
_PER_YEAR = {"years": 1, "months": 12}


@dataclass(frozen=True, slots=True)
class Finding:
    """Truth of a condition: True, False or None (unknown), why, and what to ask for."""

    truth: bool | None
    reason: str
    ask: tuple[str, ...] = ()


def describe(condition: Condition) -> str:
    """Return a condition in words, for reasons and tables."""
    if condition.op == "not":
        return f"not ({describe(condition.parts[0])})"
    if condition.parts:
        word = " or " if condition.op == "any_of" else " and "
        return "(" + word.join(describe(p) for p in condition.parts) + ")"
    value = condition.value
    if isinstance(value, bool):
        text = f"{condition.field} {'yes' if value else 'no'}"
    elif condition.op == "between" and isinstance(value, tuple):
        text = f"{condition.field} {value[0]} to {value[1]} {condition.unit}"
    elif isinstance(value, tuple):
        text = f"{condition.field} {condition.op.replace('_', ' ')} {', '.join(str(v) for v in value)}"
    else:
        text = f"{condition.field} {condition.op} {value} {condition.unit}"
    window = f" within {condition.window_days} days" if condition.window_days is not None else ""
    return text.strip() + window


def evaluate(condition: Condition, patient: Patient, reference: date) -> Finding:
    """Return the truth of a condition for a patient at a reference date.

    Parameters
    ----------
    condition : comparison or combination
    patient : whose cells are read
    reference : date at which ages, windows and times since an event are taken
    """
    if condition.op == "not":
        inner = evaluate(condition.parts[0], patient, reference)
        return Finding(None if inner.truth is None else not inner.truth, inner.reason, inner.ask)
    if condition.parts:
        findings = [evaluate(part, patient, reference) for part in condition.parts]
        return _combine(findings, deciding=condition.op == "any_of")
    value = patient.value(condition.field)
    if isinstance(value, Unknown):
        return _unknown(condition, value.reason)
    stale = _outside_window(condition, patient, reference)
    if stale is not None:
        return stale
    truth, found = _compare(condition, value, patient, reference)
    if truth is None:
        return _unknown(condition, found)
    return Finding(truth, f"{condition.field} is {found}; asked: {describe(condition)}")


def _combine(findings: Sequence[Finding], *, deciding: bool) -> Finding:
    """Kleene or (deciding value True) and Kleene and (deciding value False)."""
    settled = [f for f in findings if f.truth is deciding]
    if settled:
        return Finding(deciding, settled[0].reason)
    open_ones = [f for f in findings if f.truth is None]
    word = "; or " if deciding else "; and "
    if open_ones:
        ask = tuple(dict.fromkeys(a for f in open_ones for a in f.ask))
        return Finding(None, word.join(f.reason for f in open_ones), ask)
    return Finding(not deciding, "; ".join(f.reason for f in findings))


def _unknown(condition: Condition, reason: str) -> Finding:
    return Finding(None, f"{reason}; asked: {describe(condition)}", (field_spec(condition.field).ask,))


def _outside_window(condition: Condition, patient: Patient, reference: date) -> Finding | None:
    """Unknown when the date beside a value is missing or outside its window; None when nothing stands against it."""
    if condition.window_days is None or field_spec(condition.field).kind == "date":
        return None
    taken = patient.dated(condition.field)
    if isinstance(taken, Unknown):
        return _unknown(condition, taken.reason)
    age_days = (reference - taken).days
    if 0 <= age_days <= condition.window_days:
        return None
    when = f"{age_days} days before" if age_days >= 0 else f"{-age_days} days after"
    return _unknown(condition, f"{condition.field} of {taken} is {when} the reference date, outside the window")


def _compare(condition: Condition, value: Value, patient: Patient, reference: date) -> tuple[bool | None, str]:
    if isinstance(value, Event):
        return _event(condition, value, patient, reference)
    if isinstance(value, bool):
        return value is condition.value, "yes" if value else "no"
    if isinstance(value, Names):
        return _names(condition, value)
    if isinstance(value, Birth) or condition.field == "age":
        return _age(condition, value, patient, reference)
    if isinstance(value, Span):
        return _span(condition, value, field_spec(condition.field).factor(condition.unit) or 1.0), value.text
    return None, "not comparable"


def _event(condition: Condition, value: Event, patient: Patient, reference: date) -> tuple[bool | None, str]:
    if value.on is not None and value.on > reference:
        message = f"patient {patient.id}: {condition.field} {value.on} lies after the reference date {reference}"
        patient.log.warning("TRIAL_DATE_AFTER_REFERENCE", message, where=f"patient {patient.id}")
        return None, f"{condition.field} {value.on} lies after the reference date {reference}"
    if not value.happened:
        return (condition.value is False if condition.op == "==" else False), "never"
    if condition.op == "==" and condition.window_days is None:
        return condition.value is True, str(value.on or "yes")
    if value.on is None:
        return None, f"{condition.field} has no date"
    if condition.op == "==":
        inside = value.on >= earlier(reference, condition.window_days or 0, "days")
        return inside is condition.value, str(value.on)
    limits = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    marks = [earlier(reference, float(v), condition.unit) for v in limits if isinstance(v, (int, float))]
    # More time since the event is an earlier date, so each comparison turns round.
    truth = {
        "<=": value.on >= marks[0],
        "<": value.on > marks[0],
        ">=": value.on <= marks[0],
        ">": value.on < marks[0],
        "between": marks[-1] <= value.on <= marks[0],
    }[condition.op]
    return truth, str(value.on)


def _age(condition: Condition, value: Value, patient: Patient, reference: date) -> tuple[bool | None, str]:
    if isinstance(value, Birth):
        if value.on > reference:
            message = f"patient {patient.id}: birth date {value.on} lies after the reference date {reference}"
            patient.log.warning("TRIAL_DATE_AFTER_REFERENCE", message, where=f"patient {patient.id}")
            return None, f"birth date {value.on} lies after the reference date"
        number = float(completed(value.on, reference, condition.unit))
        return _span(condition, Span(number, number), 1.0), f"{number:g} {condition.unit} (born {value.on})"
    if not isinstance(value, Span):
        return None, "not comparable"
    factor = _PER_YEAR.get(condition.unit)
    if factor is None:
        return None, f"{value.text}, too coarse for {condition.unit} without the birth date"
    if not value.exact:
        return (_span(condition, value, 1.0) if factor == 1 else None), value.text
    whole = math.floor(value.low)
    return _span(condition, Span(whole * factor, whole * factor + factor - 1), 1.0), value.text


def _span(condition: Condition, span: Span, factor: float) -> bool | None:
    """Compare an interval with a limit: true or false only when every number in it agrees."""
    if condition.op == "between" and isinstance(condition.value, tuple):
        low, high = (float(v) * factor for v in condition.value if isinstance(v, (int, float)))
        parts = (_at_least(span, low, strict=False), _invert(_at_least(span, high, strict=True)))
        return False if False in parts else (None if None in parts else True)
    limits = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    numbers = [float(v) * factor for v in limits if isinstance(v, (int, float))]
    if condition.op in ("==", "in", "not_in"):
        equal = _equal(span, numbers)
        return _invert(equal) if condition.op == "not_in" else equal
    if condition.op in (">=", ">"):
        return _at_least(span, numbers[0], strict=condition.op == ">")
    return _invert(_at_least(span, numbers[0], strict=condition.op == "<="))


def _at_least(span: Span, limit: float, *, strict: bool) -> bool | None:
    if span.low > limit or (span.low == limit and (span.low_open or not strict)):
        return True
    if span.high < limit or (span.high == limit and (span.high_open or strict)):
        return False
    return None


def _equal(span: Span, numbers: Sequence[float]) -> bool | None:
    if span.exact:
        return span.low in numbers

    def may_be(n: float) -> bool:
        return (span.low < n or (span.low == n and not span.low_open)) and (
            n < span.high or (n == span.high and not span.high_open)
        )

    return None if any(may_be(n) for n in numbers) else False


def _invert(truth: bool | None) -> bool | None:
    return None if truth is None else not truth


def _names(condition: Condition, value: Names) -> tuple[bool | None, str]:
    wanted = [str(v) for v in (condition.value if isinstance(condition.value, tuple) else (condition.value,))]
    found = ", ".join(value.names) or "none"
    if field_spec(condition.field).diagnosis:
        truth = _diagnosis(value.names, wanted)
        if truth is None:
            found = f"diagnosis {found} is less specific than {', '.join(wanted)}"
    else:
        truth = bool({normal(n) for n in value.names} & {normal(w) for w in wanted})
    return (_invert(truth) if condition.op == "not_in" else truth), found


def _diagnosis(names: Sequence[str], wanted: Sequence[str]) -> bool | None:
    known = diagnoses()
    if any(known[n].is_a(w) for n in names for w in wanted):
        return True
    # "Lymphoma" may still be the marginal zone lymphoma that a trial asks for.
    return None if any(known[w].is_a(n) for n in names for w in wanted) else False
