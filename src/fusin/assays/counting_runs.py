"""A whole run of tubes: blanks found, one reference time, every tube corrected, repeats of a tube pooled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from fusin.assays.counting import (
    Background,
    CountingSetup,
    CountReading,
    DeadTimeModel,
    NetRate,
    background_of_blanks,
    correct_reading,
)
from fusin.assays.counting_times import same_zone
from fusin.assays.counting_uncertainty import Measured, Source, measured, summed
from fusin.decay import decay_factor, elapsed_s
from fusin.errors import InputError, MissingValue, Unsupported
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog, jsonable

__all__ = ["APPLIED", "CountedRun", "RunSetup", "activity_at_reference", "correct_run", "pooled_rate"]

APPLIED = ("dead-time", "background", "decay")
"""What a counter may have corrected already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSetup:
    """What the user states about a run.

    Attributes
    ----------
    nuclide : name; None leaves the decay uncorrected, which is refused for a run of unknown decay
    applied : what the counter has corrected already, of `APPLIED`
    background_cpm, background_u_cpm : stated background instead of blanks [1/min]
    dead_time_us : dead time of the instrument [us]
    dead_time_model : ``nonparalysable`` or ``paralysable``
    efficiency : detector to (efficiency, standard uncertainty)
    reference : common time; the start of the first count when None
    blanks : names of tubes that are blanks, beside those of kind blank
    date_order : order of day and month in times that are not ISO
    half_life_h : of a nuclide that is not in the table of nuclides [h]
    """

    nuclide: str | None = None
    applied: tuple[str, ...] = ()
    background_cpm: float | None = None
    background_u_cpm: float | None = None
    dead_time_us: float = 0.0
    dead_time_model: DeadTimeModel = "nonparalysable"
    efficiency: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    reference: datetime | None = None
    blanks: tuple[str, ...] = ()
    date_order: str | None = None
    half_life_h: float | None = None

    def __post_init__(self) -> None:
        for word in self.applied:
            if word not in APPLIED:
                raise InputError("the run", "corrections of the counter", word, "one of " + ", ".join(APPLIED))
        for name in ("background_cpm", "background_u_cpm"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise InputError("the run", name, value, "zero or a positive rate")
        if self.half_life_h is not None and not (math.isfinite(self.half_life_h) and self.half_life_h > 1e-6):
            raise InputError("the run", "half_life_h", self.half_life_h, "a half-life above 0 in hours")

    def to_json(self) -> dict[str, Any]:
        """Return the parameters as a JSON-ready mapping."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CountedRun:
    """All tubes of a run at one time.

    Attributes
    ----------
    rates : of every reading but blanks, in the order of the file
    backgrounds : by (detector, window); empty when the counter subtracted it
    reference : common time, None when no decay was corrected here
    half_life_s, half_life_u_s : of the nuclide, None without one
    nuclide : its name
    """

    rates: tuple[NetRate, ...]
    backgrounds: Mapping[tuple[str, str], Background]
    reference: datetime | None
    half_life_s: float | None
    half_life_u_s: float | None
    nuclide: str

    def pooled(self) -> dict[tuple[str, str], Measured]:
        """Net rate of each (tube, window); repeats are weighted by the counts that the same activity gives in each."""
        groups: dict[tuple[str, str], list[NetRate]] = {}
        for one in self.rates:
            groups.setdefault((one.reading.tube, one.reading.window), []).append(one)
        return {key: pooled_rate(group) for key, group in groups.items()}


def pooled_rate(group: Sequence[NetRate]) -> Measured:
    """Net rate of several counts of one tube, weighted by live time over the corrections."""
    if len(group) == 1:
        return group[0].rate
    weights = []
    for one in group:
        gain = math.prod(s.factor for s in one.steps if s.factor is not None) or 1.0
        weights.append((one.reading.live_time_s or 1.0) / gain)
    total = math.fsum(weights)
    return summed(one.rate.scaled(w / total) for one, w in zip(group, weights, strict=True))


def correct_run(readings: Sequence[CountReading], setup: RunSetup, log: NoticeLog, *, decay: bool = True) -> CountedRun:
    """Correct all tubes of a run.

    Parameters
    ----------
    readings : of the counter; blanks by their kind or by ``setup.blanks``
    setup : what the user states
    log : receives what is doubtful
    decay : False leaves every rate as it was during its count

    Raises
    ------
    MissingValue
        Without blank and stated background, without a nuclide, or without starting times.
    InputError
        For a blank that is not in the run, or times of which some have a zone.
    """
    applied = set(setup.applied)
    listed = [
        replace(
            r, dead_time_done=r.dead_time_done or "dead-time" in applied, decay_done=r.decay_done or "decay" in applied,
            background_done=r.background_done or "background" in applied,
            kind="blank" if r.tube in setup.blanks else r.kind,
        )
        for r in readings
    ]  # fmt: skip
    known = {r.tube for r in listed}
    for name in setup.blanks:
        if name not in known:
            raise InputError("the run", "blank", name, "a tube of the run: " + ", ".join(sorted(known)[:12]))
    same_zone([(r.where or r.tube, r.start) for r in listed])
    chain = _chain(listed, setup, decay)
    tubes = [r for r in listed if r.kind != "blank"]
    if not tubes:
        raise InputError("the run", "tubes", "blanks only", "at least one tube that is no blank")
    backgrounds = _backgrounds(listed, tubes, chain, setup, log)
    rates = []
    for one in tubes:
        background = None if one.background_done else backgrounds[_detector_of(one, backgrounds)]
        rates.append(correct_reading(one, background, chain, log))
    _warn_of_unknown_counts(rates, log)
    return CountedRun(
        rates=tuple(rates), backgrounds=backgrounds, reference=chain.reference, half_life_s=chain.half_life_s,
        half_life_u_s=chain.half_life_u_s, nuclide=chain.nuclide,
    )  # fmt: skip


def _chain(readings: Sequence[CountReading], setup: RunSetup, decay: bool) -> CountingSetup:
    decays = decay and any(not r.decay_done for r in readings if r.kind != "blank")
    half_life: float | None
    u: float | None = None
    if setup.half_life_h is not None:
        half_life = _stated_half_life(setup)
    elif setup.nuclide is None:
        if decays:
            raise MissingValue(
                "decay correction", "no nuclide is named", "the nuclide (or the word that the counter corrected decay)",
                "NO_NUCLIDE",
            )  # fmt: skip
        half_life = None
    else:
        found = nuclide(setup.nuclide)
        half_life, u = found.half_life_s, found.half_life_u_total_s
    starts = [r.start for r in readings if r.start is not None and r.kind != "blank"]
    reference = setup.reference or (min(starts) if starts else None)
    if decays and reference is None:
        first = next(r for r in readings if r.kind != "blank")
        raise MissingValue(
            f"the rate of {first.tube} at a common time", "no count has a starting time",
            "start_time in every row (or the word that the counter corrected decay)", "NO_START_TIME",
        )  # fmt: skip
    if reference is not None and starts and setup.reference is not None:
        same_zone([("the reference time", reference), ("the counts", starts[0])])
    return CountingSetup(
        half_life_s=half_life, half_life_u_s=u, reference=reference, nuclide=setup.nuclide or "",
        dead_time_s=setup.dead_time_us * 1e-6, dead_time_model=setup.dead_time_model, efficiency=setup.efficiency,
    )  # fmt: skip


def _stated_half_life(setup: RunSetup) -> float:
    """Half-life [s] that the user states; never against the table of nuclides."""
    if setup.nuclide is not None:
        try:
            known = nuclide(setup.nuclide).name
        except InputError:
            known = ""
        if known:
            raise InputError("the run", "half_life_h", setup.half_life_h, f"none: {known} is in the table of nuclides")
    return 3600.0 * (setup.half_life_h or 0.0)


def _backgrounds(
    readings: Sequence[CountReading],
    tubes: Sequence[CountReading],
    chain: CountingSetup,
    setup: RunSetup,
    log: NoticeLog,
) -> dict[tuple[str, str], Background]:
    if all(t.background_done for t in tubes):
        return {}
    if setup.background_cpm is not None:
        rate = measured(setup.background_cpm / 60.0, (setup.background_u_cpm or 0.0) / 60.0, "background", "stated")
        stated = Background(rate, 0, "stated")
        return {("", w): stated for w in {t.window for t in tubes}}
    blanks = [replace(b, background_done=False) for b in readings if b.kind == "blank"]
    found: dict[tuple[str, str], Background] = {}
    for window in dict.fromkeys(t.window for t in tubes):
        here = [b for b in blanks if b.window == window]
        detectors = {b.detector for b in here}
        # Blanks without a detector stand for all; with detectors each needs its own.
        for detector in detectors or {""}:
            found[(detector, window)] = background_of_blanks([b for b in here if b.detector == detector], chain, log)
    return found


def _detector_of(reading: CountReading, backgrounds: Mapping[tuple[str, str], Background]) -> tuple[str, str]:
    own = (reading.detector, reading.window)
    if own in backgrounds:
        return own
    if ("", reading.window) in backgrounds:
        return "", reading.window
    raise MissingValue(
        f"the net rate of {reading.tube}", f"detector {reading.detector!r} has no blank", "a blank on each detector",
        "NO_BLANK",
    )  # fmt: skip


def _warn_of_unknown_counts(rates: Sequence[NetRate], log: NoticeLog) -> None:
    broken = [r.reading for r in rates if r.rate.complete and r.reading.counts is not None and r.reading.counts % 1.0]
    if broken:
        log.warning(
            "COUNTS_NOT_WHOLE",
            f"{len(broken)} of {len(rates)} counts are no whole numbers (first: {broken[0].tube} {broken[0].counts:g}); something "
            "has changed them already, so that their Poisson uncertainty may be wrong",
            where=broken[0].where.split(" row")[0].split(" line")[0],
        )
    unknown = [r for r in rates if not r.rate.complete]
    if unknown:
        log.warning(
            "COUNTING_UNCERTAINTY_UNKNOWN",
            f"{len(unknown)} of {len(rates)} rates come without the counts behind them, so they have no interval of their own",
            where=unknown[0].reading.where.split(" row")[0].split(" line")[0],
        )
    below = [r for r in rates if r.detected is False]
    if below:
        shown = ", ".join(r.reading.tube for r in below[:5]) + (", ..." if len(below) > 5 else "")
        log.info(
            "BELOW_DECISION_LIMIT",
            f"{len(below)} of {len(rates)} counts do not exceed Currie's decision limit: {shown}",
        )


def activity_at_reference(
    activity_mbq: float, when: datetime | None, run: CountedRun, *, where: str, field: str, name: str
) -> Measured:
    """Activity at the common time of a run [MBq].

    Raises
    ------
    MissingValue
        Without a reference time of the activity, or a run whose decay was corrected elsewhere.
    """
    if run.half_life_s is None or run.reference is None:
        raise Unsupported(
            "%ID from activities", "the counter corrected decay to a time that is not known here",
            "standards as a share, mass or volume of the injectate", "REFERENCE_UNKNOWN",
        )  # fmt: skip
    if when is None:
        raise MissingValue(
            f"%ID of {name}", f"{where}: {field} is missing", "the time of the activity", "NO_START_TIME"
        )
    same_zone([(where, when), ("the counts", run.reference)])
    value = activity_mbq * decay_factor(elapsed_s(when, run.reference), run.half_life_s)
    if not run.half_life_u_s:
        return Measured(value)
    # The same error of the half-life is in every tube; only what the times differ by remains in %ID.
    relative = math.log(2.0) * elapsed_s(when, run.reference) * run.half_life_u_s / run.half_life_s**2
    return Measured(value, {Source("half-life", run.nuclide): value * relative})
