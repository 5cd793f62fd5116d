"""Several nuclides in one tube: windows after dead time and background, spill-over removed, then each nuclide's own decay.

The order matters. A window holds nuclides that decay at different speeds, so no window has a half-life; only what is left of one
nuclide has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fusin.assays.counting import CountingSetup, CountReading, NetRate, decay_corrected
from fusin.assays.counting_runs import CountedRun, RunSetup, correct_run, pooled_rate
from fusin.assays.counting_uncertainty import Measured, summed
from fusin.assays.spillover import SpillOver, spill_over_from_standards
from fusin.errors import InputError, MissingValue
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog

__all__ = ["NuclideRates", "nuclide_rates"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NuclideRates:
    """Net rates by tube and nuclide [1/s], at ``run.reference`` where decay was corrected, and the matrix behind them.

    Attributes
    ----------
    run : the windows after dead time and background, without decay
    matrix : of the pure standards
    rates : tube to (nuclide to rate in its own window); the standards are left out
    """

    run: CountedRun
    matrix: SpillOver
    rates: Mapping[str, Mapping[str, Measured]]


def nuclide_rates(
    readings: Sequence[CountReading], setup: RunSetup, own: Mapping[str, tuple[str, str]], log: NoticeLog
) -> NuclideRates:
    """Separate the nuclides of every tube.

    Parameters
    ----------
    readings : of the counter, one for each window
    setup : what the user states; its nuclide is not used, for each of ``own`` decays with its own half-life
    own : nuclide to (its window, tube of its pure standard)
    log : receives what is doubtful

    Raises
    ------
    InputError
        For a tube or window that is not in the file, an unknown nuclide, or windows of one count that began at different times.
    NotComputable
        As `correct_run` and `spill_over_from_standards`.
    """
    run = correct_run(readings, replace(setup, nuclide=None, half_life_h=None), log, decay=False)
    tubes = list(dict.fromkeys(r.reading.tube for r in run.rates))
    windows = list(dict.fromkeys(r.reading.window for r in run.rates))
    for name, (window, tube) in own.items():
        if tube not in tubes or window not in windows:
            found, needed = (tube, tubes) if tube not in tubes else (window, windows)
            listed = ", ".join(n for n in needed[:12] if n)
            raise InputError(
                "--spill-over", name, found, f"one of {listed}" if listed else "a file with energy windows"
            )
    pooled = run.pooled()
    standards = {n: {w: pooled[t, w] for w in windows if (t, w) in pooled} for n, (_, t) in own.items()}
    matrix = spill_over_from_standards(standards, {n: window for n, (window, _) in own.items()})
    pure = {tube for _, tube in own.values()}
    if run.reference is None and "decay" not in setup.applied:
        raise MissingValue(
            "the rate of each nuclide at a common time", "no count has a starting time",
            "start_time in every row (or the word that the counter corrected decay)", "NO_START_TIME",
        )  # fmt: skip
    chains = {n: _chain(n, run, setup) for n in own}
    rates = {}
    for tube in tubes:
        if tube not in pure:
            counts = _counts_of([r for r in run.rates if r.reading.tube == tube])
            each = [_separated(count, matrix, chains) for count in counts]
            rates[tube] = {n: _pooled([(one[n], weight) for one, weight in each]) for n in own}
    return NuclideRates(run=run, matrix=matrix, rates=rates)


def _chain(name: str, run: CountedRun, setup: RunSetup) -> CountingSetup:
    """Decay of one nuclide, unless the counter has corrected it."""
    if "decay" in setup.applied:
        return CountingSetup()
    found = nuclide(name)
    return CountingSetup(
        half_life_s=found.half_life_s,
        half_life_u_s=found.half_life_u_total_s,
        reference=run.reference,
        nuclide=found.name,
    )


def _counts_of(rates: Sequence[NetRate]) -> list[dict[str, NetRate]]:
    """Windows of each count of one tube."""
    found: dict[int, dict[str, NetRate]] = {}
    for one in rates:
        found.setdefault(one.reading.repeat, {})[one.reading.window] = one
    for windows in found.values():
        first, *others = windows.values()
        for other in others:
            if (other.reading.start, other.reading.live_time_s) != (first.reading.start, first.reading.live_time_s):
                raise InputError(
                    other.reading.where, "start_time", f"{other.reading.start} in window {other.reading.window}",
                    f"the start and live time of window {first.reading.window}, {first.reading.start}, for one count",
                )  # fmt: skip
    return list(found.values())


def _separated(
    windows: Mapping[str, NetRate], matrix: SpillOver, chains: Mapping[str, CountingSetup]
) -> tuple[dict[str, Measured], float]:
    """Rates of the nuclides of one count at the common time, and the weight of the count."""
    alone = matrix.unmix({w: pooled_rate([r]) for w, r in windows.items()})
    reading = next(iter(windows.values())).reading
    return {n: decay_corrected(reading, rate, chains[n], []) for n, rate in alone.items()}, reading.live_time_s or 1.0


def _pooled(rates: Sequence[tuple[Measured, float]]) -> Measured:
    """Mean of the repeats, weighted by their live times."""
    total = sum(weight for _, weight in rates)
    return summed(rate.scaled(weight / total) for rate, weight in rates)
