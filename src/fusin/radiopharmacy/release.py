"""The decision about a batch: its tests, what stands against a release, until when it may be used.

A failed pre-release test rejects; whatever is missing, expired, open or undecided holds; a failed post-release test of a
released batch recalls it. Nobody releases what they made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from fusin.decay import elapsed_s
from fusin.errors import InputError
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.batch import Batch, good_through
from fusin.radiopharmacy.half_life import HalfLife
from fusin.radiopharmacy.limits import endotoxin_limit_iu_ml
from fusin.radiopharmacy.recipe import Departure, departures, find_recipe
from fusin.radiopharmacy.release_computed import (
    ActivityAt,
    MassBalance,
    Yields,
    half_life_of_batch,
    mass_balances,
    molar_activities,
    yields_of,
)
from fusin.radiopharmacy.release_expiry import Expiry, expiry_of, shares_of
from fusin.radiopharmacy.release_states import same_person
from fusin.radiopharmacy.release_tests import TestOutcome, outcomes
from fusin.radiopharmacy.specification import Specification

__all__ = ["STERILITY_START_H", "Decision", "Gate", "Release", "assess"]

STERILITY_START_H = 30
"""Hours after the end of production within which a sterility test starts (21 CFR 212.70)."""

Decision = Literal["release", "conditional", "hold", "reject", "recall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One thing that stands against a release.

    Attributes
    ----------
    id : kind of the gate
    reason : one sentence
    test : the test that it is about, empty otherwise
    """

    id: str
    reason: str
    test: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {"id": self.id, "reason": self.reason, "test": self.test or None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The whole assessment of a batch.

    Attributes
    ----------
    decision, reason : the word, and the sentence behind it
    tests, gates, expiry : judged rows, what stands against a release, and the shelf life
    yields, half_life, activities, balances, departures, impurities : what follows from the record
    open_tests : post-release tests without a result
    """

    batch: Batch
    specification: Specification
    decision: Decision
    reason: str
    tests: tuple[TestOutcome, ...]
    gates: tuple[Gate, ...]
    expiry: Expiry
    yields: Yields | None
    half_life: HalfLife | None
    activities: tuple[ActivityAt, ...]
    balances: tuple[MassBalance, ...]
    departures: tuple[Departure, ...]
    impurities: tuple[dict[str, Any], ...]
    open_tests: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the contract of ``fusin release --json`` without notices."""
        batch, spec = self.batch, self.specification
        volume = batch.max_injected_volume_ml
        return {
            "decision": self.decision, "reason": self.reason, "batch": batch.number, "product": batch.product,
            "specification": {
                "name": spec.name, "sha256": spec.sha256, "pinned": bool(batch.specification_sha256), "source": spec.source,
                "base": spec.base or None,
            },
            "recipe": batch.recipe or None, "tests": [t.to_json() for t in self.tests],
            "gates": [g.to_json() for g in self.gates], "expiry": self.expiry.to_json(), "open_tests": list(self.open_tests),
            "yields": None if self.yields is None else self.yields.to_json(),
            "half_life": None if self.half_life is None else self.half_life.to_json(),
            "activities": [a.to_json() for a in self.activities], "mass_balance": [b.to_json() for b in self.balances],
            "impurities": list(self.impurities),
            "endotoxin_limit_iu_ml": None if volume is None else float(endotoxin_limit_iu_ml(volume)),
            "recipe_departures": [
                {"parameter": d.parameter, "template": d.template, "found": d.found or None} for d in self.departures
            ],
            "deviations": [
                {"id": d.id, "text": d.text, "status": "closed" if d.closed else "open", "reason": d.reason or None,
                 "closed_by": d.closed_by or None}
                for d in batch.deviations
            ],
        }  # fmt: skip


def assess(batch: Batch, specification: Specification, *, log: NoticeLog, released: bool = False) -> Release:
    """Assess a batch against its specification.

    Parameters
    ----------
    batch : the record
    specification : the one that the batch names; its id and version must agree
    log : receives doubts
    released : whether the batch has left; a failed post-release test then recalls it. A record that holds
        ``times.released`` says so itself

    Raises
    ------
    InputError
        When the specification is another one, and for what single tests refuse.
    NotComputable
        When readings give no half-life.
    """
    if batch.specification not in (specification.name, specification.id):
        raise InputError(f"{batch.where}: batch", "specification", batch.specification, specification.name)
    half_life_s = nuclide(specification.nuclide).half_life_s
    half_life = None if batch.half_life is None else half_life_of_batch(batch.half_life)
    _warn_of_half_life(half_life, specification, batch, log)
    tests = outcomes(batch, specification, half_life=half_life, half_life_s=half_life_s, log=log)
    expiry = expiry_of(batch, specification, tests, half_life_s=half_life_s, log=log)
    balances, yields = mass_balances(batch, specification), yields_of(batch, half_life_s=half_life_s)
    _warn_of_balances(balances, batch, log)
    _warn_of_yields(yields, batch, log)
    _warn_of_times(batch, log)
    gates = tuple(_gates(batch, specification, tests, expiry, log))
    decision, reason = _decide(batch, tests, gates, released=released or batch.times.released is not None)
    open_tests = tuple(t.id for t in tests if t.phase == "post-release" and t.passed is None)
    if open_tests and decision in ("release", "conditional"):
        log.info(
            "POST_RELEASE_TESTS_PENDING",
            f"released with open tests: {', '.join(open_tests)}; a failure is an alert and leads to a recall",
            where=f"{batch.where}",
        )  # fmt: skip
    moments = _moments(batch, expiry)
    return Release(
        batch=batch, specification=specification, decision=decision, reason=reason, tests=tests, gates=gates, expiry=expiry,
        yields=yields, half_life=half_life,
        activities=molar_activities(batch, moments, half_life_s=half_life_s), balances=balances,
        impurities=shares_of(specification, tests, moments),
        departures=_departures(batch, log), open_tests=open_tests,
    )  # fmt: skip


def _moments(batch: Batch, expiry: Expiry) -> dict[str, datetime]:
    """The moments at which the activity of the product is of interest."""
    product = batch.of_role("product")
    found = {
        "reference time": product[0].time if product else None, "end of synthesis": batch.times.end_of_synthesis,
        "label": batch.declared_time, "decision": batch.times.decision, "expiry": expiry.time,
    }  # fmt: skip
    return {name: time for name, time in found.items() if time is not None}


def _decide(
    batch: Batch, tests: Sequence[TestOutcome], gates: Sequence[Gate], *, released: bool
) -> tuple[Decision, str]:
    failed = [t for t in tests if t.passed is False]
    late = [t for t in failed if t.phase == "post-release"]
    if failed:
        named = "; ".join(f"{t.test}: {t.reason}" for t in failed)
        if released:
            return "recall", f"a released batch fails: {named}. Tell every user of the batch" if late else named
        return "reject", named
    if gates:
        more = f" ({len(gates)} reasons)" if len(gates) > 1 else ""
        return "hold", gates[0].reason + more
    if batch.conditional is not None:
        left = ", ".join(batch.conditional.tests)
        return (
            "conditional",
            f"without {left}: {batch.conditional.reason} (approved by {batch.conditional.approved_by})",
        )
    return "release", "every pre-release test passes and nothing stands against it"


def _gates(
    batch: Batch, specification: Specification, tests: Sequence[TestOutcome], expiry: Expiry, log: NoticeLog
) -> Iterator[Gate]:
    yield from _pin_gates(batch, specification, log)
    yield from _test_gates(batch, tests)
    yield from _material_gates(batch)
    for deviation in batch.deviations:
        if not deviation.closed:
            yield Gate(id="deviation_open", reason=f"deviation {deviation.id} is open: {deviation.text}")
    yield from _people_gates(batch)
    if expiry.time is None:
        yield Gate(id="expiry_unknown", reason=f"no expiry can be given: {expiry.reason}")
    elif batch.times.decision is not None and elapsed_s(expiry.time, batch.times.decision) > 0:
        yield Gate(
            id="expired",
            reason=f"the decision at {batch.times.decision.isoformat()} comes after the expiry ({expiry.binding})",
        )
    for raw in batch.raw_files():
        if raw.stated and raw.stated != raw.sha256:
            yield Gate(id="raw_file_changed", reason=f"{raw.name} is not the file whose hash the record states")


def _pin_gates(batch: Batch, specification: Specification, log: NoticeLog) -> Iterator[Gate]:
    if batch.product.casefold().replace(" ", "") != specification.product.casefold().replace(" ", ""):
        yield Gate(
            id="product_differs",
            reason=f"the batch is {batch.product}, {specification.name} is for {specification.product}",
        )
    if not batch.specification_sha256:
        log.warning(
            "SPECIFICATION_NOT_PINNED",
            f"the batch names {specification.name} without its hash; to pin it: specification_sha256 = \"{specification.sha256}\"",
            where=f"{batch.where}: batch", used=specification.sha256,
        )  # fmt: skip
    elif batch.specification_sha256 != specification.sha256:
        pinned, now = batch.specification_sha256[:12], specification.sha256[:12]
        reason = f"{specification.name} has changed since the batch pinned it ({pinned}, now {now})"
        yield Gate(id="specification_changed", reason=reason)


def _test_gates(batch: Batch, tests: Sequence[TestOutcome]) -> Iterator[Gate]:
    asked = batch.conditional.tests if batch.conditional else ()
    known = {t.id: t for t in tests}
    for name in asked:
        test = known.get(name)
        if test is None or not test.deferrable:
            yield Gate(
                id="not_deferrable", test=name,
                reason=f"{name} cannot be left out of a conditional release: the specification does not mark it deferrable",
            )  # fmt: skip
    for test in tests:
        if test.passed is not None:
            continue
        if test.phase == "pre-release" and not (test.id in asked and test.deferrable and test.measured is None):
            kind = (
                "limit_missing"
                if test.reason.startswith("no limit")
                else ("test_missing" if test.measured is None else "test_undecided")
            )
            yield Gate(id=kind, test=test.id, reason=f"{test.test}: {test.reason}")
        elif test.phase == "post-release" and test.measured is not None and not test.reason.startswith("no limit"):
            yield Gate(id="test_undecided", test=test.id, reason=f"{test.test}: {test.reason}")


def _material_gates(batch: Batch) -> Iterator[Gate]:
    """Reagents at the start of the synthesis, instruments when they were used."""
    times, used = _activity_times(batch), _start(batch)
    for name, lot, expiry in _stock(batch):
        label = f"{name} (lot {lot})" if lot else name
        if not lot:
            yield Gate(id="lot_missing", reason=f"{label} has no lot")
        if expiry is None:
            yield Gate(id="reagent_expiry_missing", reason=f"{label} has no expiry")
        elif used is not None and not good_through(expiry, used):
            yield Gate(
                id="reagent_expired", reason=f"{label} expired on {expiry.isoformat()}, before {used.isoformat()}"
            )
    for instrument in batch.instruments:
        due = instrument.calibration_due
        moments = [a.time for a in batch.activities if a.instrument == instrument.id]
        moments += [r.time for r in batch.results if r.instrument == instrument.id and r.time is not None]
        last = max(moments, key=lambda t: elapsed_s(moments[0], t)) if moments else (times[-1] if times else used)
        if due is None:
            yield Gate(id="calibration_missing", reason=f"{instrument.name} has no calibration_due")
        elif last is not None and not good_through(due, last):
            yield Gate(
                id="calibration_expired",
                reason=f"the calibration of {instrument.name} was due on {due.isoformat()}, before its use at {last.isoformat()}",
            )  # fmt: skip


def _activity_times(batch: Batch) -> list[datetime]:
    return sorted((a.time for a in batch.activities), key=lambda t: elapsed_s(batch.activities[0].time, t))


def _start(batch: Batch) -> datetime | None:
    """When the reagents were used: the start of the synthesis, else the first activity."""
    return batch.times.start_of_synthesis or next(iter(_activity_times(batch)), None)


def _stock(batch: Batch) -> list[tuple[str, str, date | datetime | None]]:
    """(name, lot, expiry) of reagents and precursor."""
    stock = [(r.name, r.lot, r.expiry) for r in batch.reagents]
    precursor = batch.precursor
    if precursor.name or precursor.lot or precursor.amount_ug is not None:
        stock.append((precursor.name or "precursor", precursor.lot, precursor.expiry))
    return stock


def _people_gates(batch: Batch) -> Iterator[Gate]:
    people = batch.people
    if not people.maker:
        yield Gate(
            id="maker_missing", reason="people.maker is not recorded: nobody can check that maker and releaser differ"
        )
    if same_person(people.maker, people.releaser):
        yield Gate(id="maker_is_releaser", reason=f"{people.releaser} made the batch and cannot release it")


def _departures(batch: Batch, log: NoticeLog) -> tuple[Departure, ...]:
    where = f"{batch.where}: process"
    if not batch.recipe:
        log.warning(
            "RECIPE_NOT_NAMED", "the batch names no recipe: how it was made is not compared with anything", where=where
        )
        return ()
    recipe = find_recipe(batch.recipe)
    if recipe.tag not in ("V", "D", "C"):
        log.warning(
            "RECIPE_UNVERIFIED", f"{recipe.name} is stated by a secondary source only ({recipe.source})", where=where,
            used=recipe.tag,
        )  # fmt: skip
    found = departures(recipe, batch.parameters)
    for one in found:
        stands = f"was run at {one.found}" if one.found else "is not recorded"
        log.warning(
            "RECIPE_DEPARTURE", f"{one.parameter} {stands}; {recipe.name} has {one.template}", where=where,
            raw=one.template, used=one.found or None,
        )  # fmt: skip
    return found


def _warn_of_half_life(half_life: HalfLife | None, specification: Specification, batch: Batch, log: NoticeLog) -> None:
    if half_life is None:
        return
    where, minutes = f"{batch.where}: half_life", half_life.span_s / 60.0
    if half_life.short:
        told = "" if half_life.u_s is None else f", standard uncertainty {half_life.u_s / 60.0:.2g} min"
        log.warning(
            "HALF_LIFE_WEAK_EVIDENCE",
            f"the readings span {minutes:.3g} min, less than 22 % of the half-life{told}: a pass is weak evidence",
            where=where, used=minutes,
        )  # fmt: skip
    if half_life.u_s is None:
        log.warning(
            "HALF_LIFE_WITHOUT_INTERVAL",
            "two readings without repeatability_percent give no interval: the half-life stands alone", where=where,
        )  # fmt: skip
    if half_life.p is not None and half_life.p < 0.01:
        log.warning(
            "HALF_LIFE_BAD_FIT",
            f"the readings scatter more than their errors allow (chi2 {half_life.chi2:.3g}, {half_life.df} df, "
            f"p {half_life.p:.2g}, chi-square test)",
            where=where, used=half_life.chi2,
        )  # fmt: skip


def _warn_of_balances(balances: Sequence[MassBalance], batch: Batch, log: NoticeLog) -> None:
    for one in balances:
        if not one.consistent:
            log.warning(
                "RELEASE_MASS_BALANCE",
                f"{' + '.join(one.tests)} = {one.sum_percent} %, not 100 % within {one.tolerance_percent}: inconsistent, or "
                "different systems; nothing was rescaled",
                where=batch.where, raw=float(one.sum_percent),
            )  # fmt: skip


def _warn_of_yields(yields: Yields | None, batch: Batch, log: NoticeLog) -> None:
    """More came out than went in: an activity, its unit or its reference time is wrong, and all that follows from it."""
    if yields is None:
        return
    for name, one in (("yield", yields.decay_corrected), ("recovery", yields.recovery)):
        if one is not None and one.value is not None and one.value > 1.0:
            log.warning(
                "YIELD_ABOVE_100",
                f"the decay-corrected {name} is {100.0 * one.value:.1f} %, more than was put in: an activity, its unit or its "
                "reference time is wrong, or the readings are less certain than they seem",
                where=f"{batch.where}: activity", used=one.value,
            )  # fmt: skip


def _warn_of_times(batch: Batch, log: NoticeLog) -> None:
    """Reagents on their last day, and a sterility test that started late."""
    used, end, started = _start(batch), batch.times.end_of_synthesis, batch.times.sterility_started
    for name, _, expiry in _stock(batch):
        if used is not None and expiry == used.date() and not isinstance(expiry, datetime):
            log.info(
                "REAGENT_ON_ITS_LAST_DAY", f"{name} expires on {expiry.isoformat()}, the day of its use: a day counts to its end",
                where=batch.where,
            )  # fmt: skip
    if started is not None and end is not None and elapsed_s(end, started) > STERILITY_START_H * 3600.0:
        hours = elapsed_s(end, started) / 3600.0
        log.warning(
            "STERILITY_STARTED_LATE",
            f"the sterility test started {hours:.3g} h after the end of synthesis; 21 CFR 212.70 asks for a start within "
            f"{STERILITY_START_H} h: a deviation",
            where=f"{batch.where}: times", used=hours,
        )  # fmt: skip
