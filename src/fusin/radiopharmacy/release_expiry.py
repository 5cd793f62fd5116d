"""Until when a batch may be used: the earliest of all limits, with the binding one named."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from fusin.decay import elapsed_s
from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.batch import Activity, Batch, DoseLimit
from fusin.radiopharmacy.breakthrough import Impurity, impurity_of, strontium
from fusin.radiopharmacy.limits import ENDOTOXIN_PER_DOSE_IU, convert, decimal_text
from fusin.radiopharmacy.release_tests import TestOutcome
from fusin.radiopharmacy.specification import Specification

__all__ = ["IMPURITY_KINDS", "Expiry", "ExpiryLimit", "expiry_of", "shares_of"]

_IMPURITIES = {"ge68": "Ge-68", "lu177m": "Lu-177m"}
IMPURITY_KINDS = (*_IMPURITIES, "sr90")
"""Kinds of rows whose share changes with time."""
_WHOLE = 99
"""Percent; beyond it the product is gone, and its own share cannot be followed back."""

_FARTHEST_S = 100.0 * 365.25 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryLimit:
    """One limit of the shelf life: short name, moment (None where it never binds), and why."""

    name: str
    time: datetime | None
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {"name": self.name, "time": None if self.time is None else self.time.isoformat(), "reason": self.reason}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """The shelf life: the earliest limit, its name and reason, and all limits in the order of their times."""

    time: datetime | None
    binding: str
    reason: str
    limits: tuple[ExpiryLimit, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the contract of the shelf life."""
        return {
            "time": None if self.time is None else self.time.isoformat(), "binding": self.binding or None,
            "reason": self.reason, "limits": [one.to_json() for one in self.limits],
        }  # fmt: skip


def expiry_of(
    batch: Batch, specification: Specification, tests: Sequence[TestOutcome], *, half_life_s: float, log: NoticeLog
) -> Expiry:
    """The earliest of all limits that follow from the record.

    Parameters
    ----------
    batch, specification : the record and its specification
    tests : judged results, for what grows per dose and with time
    half_life_s : of the product's nuclide [s]
    log : receives doubts about the limits

    Returns
    -------
    Expiry
        Without a time when nothing in the record limits the shelf life; the reason says what is missing.

    Raises
    ------
    InputError
        For a request that contradicts itself, such as doses without their activity.
    """
    found = [
        *_stability(batch, specification, log),
        *_in_use(batch),
        *_doses(batch, specification, tests, half_life_s, log),
    ]
    found += _impurities(batch, specification, tests)
    found += [ExpiryLimit(name=f.name, time=f.time, reason=f.reason) for f in batch.expiry.fixed]
    timed = sorted((one for one in found if one.time is not None), key=lambda one: _stamp(one.time))
    limits = (*timed, *(one for one in found if one.time is None))
    if not timed:
        return Expiry(time=None, binding="", reason=_nothing(batch, specification), limits=limits)
    return Expiry(time=timed[0].time, binding=timed[0].name, reason=timed[0].reason, limits=limits)


def _stamp(time: datetime | None) -> float:
    """Order of moments of one record, with or without a zone."""
    assert time is not None
    base = datetime(2000, 1, 1, tzinfo=time.tzinfo)
    return (
        (time - base).total_seconds()
        - (time.utcoffset() or timedelta(0)).total_seconds()
        + (base.utcoffset() or timedelta(0)).total_seconds()
    )


def _nothing(batch: Batch, specification: Specification) -> str:
    if specification.stability_h is not None or batch.expiry.stability_h is not None:
        return "times.end_of_synthesis is not recorded, from which the validated stability counts"
    return "no validated stability is known: state expiry.stability_h with its source"


def _later(start: datetime, seconds: float) -> datetime | None:
    """A moment so much later; None where it lies beyond a hundred years, which limits nothing."""
    if not math.isfinite(seconds) or abs(seconds) > _FARTHEST_S:
        return None
    return start + timedelta(seconds=round(seconds, 3))


def _stability(batch: Batch, specification: Specification, log: NoticeLog) -> list[ExpiryLimit]:
    own, printed, end = batch.expiry.stability_h, specification.stability_h, batch.times.end_of_synthesis
    hours, source = (printed, specification.stability_source) if own is None else (own, batch.expiry.stability_source)
    if hours is None or end is None:
        return []
    if own is not None and not source:
        raise InputError(f"{batch.where}: expiry", "stability_source", "nothing", "the study behind stability_h")
    if own is not None and printed is not None and own > printed:
        log.warning(
            "STABILITY_LONGER_THAN_SPECIFICATION",
            f"a stability of {own} h is claimed and {specification.name} has {printed} h ({specification.stability_source})",
            where=f"{batch.where}: expiry", raw=float(own), used=float(own),
        )  # fmt: skip
    reason = f"{decimal_text(hours)} h after the end of synthesis ({source})"
    return [ExpiryLimit(name="validated stability", time=_later(end, float(hours) * 3600.0), reason=reason)]


def _in_use(batch: Batch) -> list[ExpiryLimit]:
    asked = batch.expiry
    if asked.in_use_h is None:
        return []
    if asked.first_puncture is None:
        return [ExpiryLimit(name="in-use sterility", time=None, reason=f"{asked.in_use_h} h after the first puncture")]
    time = _later(asked.first_puncture, float(asked.in_use_h) * 3600.0)
    return [ExpiryLimit(name="in-use sterility", time=time, reason=f"{asked.in_use_h} h after the first puncture")]


def _doses(
    batch: Batch, specification: Specification, tests: Sequence[TestOutcome], half_life_s: float, log: NoticeLog
) -> list[ExpiryLimit]:
    """Limits by activity: n doses in the vial, and what one dose may hold as its volume grows."""
    asked, product = batch.expiry, batch.of_role("product")
    if asked.doses is not None and asked.dose_mbq is None:
        raise InputError(
            f"{batch.where}: expiry", "dose_mbq", "nothing", f"the activity of each of the {asked.doses} doses"
        )
    if asked.dose_mbq is None and asked.dose_limits:
        names = ", ".join(one.name for one in asked.dose_limits)
        raise InputError(
            f"{batch.where}: expiry", "dose_mbq", "nothing", f"the activity of a dose, which limits {names} per dose"
        )
    if asked.dose_mbq is None or not product:
        return []
    found, count = [], asked.doses or 1
    wanted = count * float(asked.dose_mbq)
    name = f"activity for {count} dose{'' if count == 1 else 's'} of {decimal_text(asked.dose_mbq)} MBq"
    found.append(
        ExpiryLimit(
            name=name, time=_reaches(product[0], wanted, half_life_s), reason=f"the vial then holds {wanted:g} MBq"
        )
    )
    if batch.volume_ml is None:
        log.info(
            "EXPIRY_WITHOUT_VOLUME", "the product volume is not recorded: limits per dose do not enter the shelf life",
            where=f"{batch.where}: product",
        )  # fmt: skip
        return found
    for label, most_ml, why in _volume_caps(batch, specification, tests):
        # The volume of a dose is D V / A(t); it reaches its cap when A = D V / cap.
        least = float(asked.dose_mbq) * float(batch.volume_ml) / most_ml
        time = _reaches(product[0], least, half_life_s)
        found.append(ExpiryLimit(name=label, time=time, reason=f"a dose then takes {most_ml:.3g} mL, {why}"))
    return found


def _reaches(product: Activity, activity_mbq: float, half_life_s: float) -> datetime | None:
    """Moment at which the product has decayed to an activity."""
    if activity_mbq <= 0 or product.activity_mbq <= 0:
        return product.time
    return _later(product.time, half_life_s * math.log2(float(product.activity_mbq) / activity_mbq))


def _volume_caps(
    batch: Batch, specification: Specification, tests: Sequence[TestOutcome]
) -> list[tuple[str, float, str]]:
    """(name, largest volume of a dose [mL], why) from everything that is limited per dose."""
    caps: list[tuple[str, float, str]] = []
    if batch.max_injected_volume_ml is not None:
        caps.append(("injected volume", float(batch.max_injected_volume_ml), "the maximum injected volume"))
    by_id = {t.id: t for t in tests}
    endotoxin = by_id.get("endotoxin")
    if endotoxin is not None and endotoxin.measured is not None and endotoxin.measured.value:
        at = f"{batch.where}: endotoxin"
        if endotoxin.unit.upper() in ("EU/ML", "IU/ML") and endotoxin.measured.qualifier in ("=", "<", "<="):
            per_ml = convert(endotoxin.measured.value, endotoxin.unit, "EU/mL", where=at, field="unit")
            caps.append(
                (
                    "endotoxin per dose",
                    float(ENDOTOXIN_PER_DOSE_IU / per_ml),
                    f"{ENDOTOXIN_PER_DOSE_IU} EU at {endotoxin.measured.text()} EU/mL",
                )
            )
    limits = list(batch.expiry.dose_limits)
    for kind, name, content, unit in (
        ("ethanol_dose", "ethanol", batch.ethanol_g_ml, "g"),
        ("peptide", "peptide", _precursor_ug_ml(batch), "ug"),
    ):
        row = next((r for r in specification.rows if r.kind == kind and r.judged and r.limit.high is not None), None)
        if row is not None and row.limit.high is not None and content:
            most = convert(row.limit.high, row.limit.unit, unit, where=specification.name, field=row.id)
            limits.append(DoseLimit(name=name, per_ml=content, per_dose=most, unit=unit, reason=row.source))
    for one in limits:
        if one.per_ml > 0:
            why = f"{decimal_text(one.per_dose)} {one.unit} of {one.name}" + (f" ({one.reason})" if one.reason else "")
            caps.append((f"{one.name} per dose", float(one.per_dose / one.per_ml), why))
    return caps


def _precursor_ug_ml(batch: Batch) -> Decimal | None:
    """The whole precursor per volume of the product, an upper bound of the peptide."""
    mass, volume = batch.precursor.amount_ug, batch.volume_ml
    return None if mass is None or volume is None else mass / volume


def shares_of(
    specification: Specification, tests: Sequence[TestOutcome], moments: Mapping[str, datetime]
) -> tuple[dict[str, Any], ...]:
    """Shares of long-lived impurities at several moments [%]; below a limit of detection, at most.

    Parameters
    ----------
    specification, tests : rows with their judged results
    moments : by name, as for the activities of the product

    Returns
    -------
    tuple of mapping
        Each share with the limit of its row and the moment at which it reaches that limit, None where it never does.
    """
    found = []
    for test in tests:
        row = specification.row(test.id)
        measured, reference = test.measured, test.reference_time
        if row is None or row.kind not in IMPURITY_KINDS or measured is None or measured.value is None:
            continue
        if reference is None or measured.qualifier in (">", ">=") or test.unit != "%" or measured.value >= _WHOLE:
            continue
        impurity, limit = _impurity(row.kind, specification), row.limit.high if row.judged else None
        crosses = None if limit is None else _crossing(impurity, measured.value, limit, reference)
        for when, time in {"reference time of the share": reference, **moments}.items():
            percent = impurity.percent_at(float(measured.value), elapsed_s(reference, time))
            found.append(
                {"impurity": impurity.impurity, "when": when, "time": time.isoformat(), "percent": percent,
                 "at_most": measured.qualifier != "=", "limit_percent": None if limit is None else float(limit),
                 "crosses": None if crosses is None else crosses.isoformat()}
            )  # fmt: skip
    return tuple(found)


def _crossing(impurity: Impurity, percent: Decimal, limit: Decimal, reference: datetime) -> datetime | None:
    """Moment at which a share reaches its limit; None where it never does."""
    elapsed = impurity.crossing_s(float(percent), float(limit)) if limit > 0 else None
    return None if elapsed is None else _later(reference, elapsed)


def _impurity(kind: str, specification: Specification) -> Impurity:
    if kind == "sr90":
        return strontium(specification.nuclide)
    return impurity_of(_IMPURITIES[kind], specification.nuclide)


def _impurities(batch: Batch, specification: Specification, tests: Sequence[TestOutcome]) -> list[ExpiryLimit]:
    """Moments at which a long-lived impurity reaches its limit; below a limit of detection, that limit counts."""
    found = []
    for test in tests:
        row = specification.row(test.id)
        if row is None or row.kind not in IMPURITY_KINDS or not row.judged or row.limit.high is None:
            continue
        measured, time = test.measured, test.reference_time
        if measured is None or measured.value is None or time is None or measured.qualifier in (">", ">="):
            continue
        impurity = _impurity(row.kind, specification)
        reason = f"{measured.text()} % at {time.isoformat(sep=' ', timespec='minutes')} reaches {decimal_text(row.limit.high)} %"
        moment = _crossing(impurity, measured.value, row.limit.high, time)
        found.append(ExpiryLimit(name=f"{impurity.impurity} share", time=moment, reason=reason))
    return found
