"""What made the numbers of the verbs that start from counts, each with its citation; only what a run used is listed."""

from __future__ import annotations

from collections.abc import Iterable

from fusin.assays.counting import NetRate
from fusin.assays.counting_runs import CountedRun, RunSetup
from fusin.nuclides import nuclide
from fusin.provenance import Method

__all__ = [
    "BOOTSTRAP",
    "DELTA",
    "EFFLUX",
    "FIELLER",
    "HOLM",
    "INTERNALISATION",
    "T_INTERVAL",
    "WELCH",
    "WELCH_DIFFERENCE",
    "counting_methods",
]

_COUNTING = Method(
    "counting", "Rates and their Poisson uncertainty: Knoll GF, Radiation Detection and Measurement, 4th ed., Wiley 2010, ch. 3."
)  # fmt: skip
_PROPAGATION = Method(
    "propagation", "First-order propagation with the covariances of shared sources: JCGM 100:2008 (GUM), 5.2."
)
_LIMITS = Method(
    "interval-of-one-tube",
    "Score limits of the counts joined with the other sources by recovered variances: Zou GY, Donner A, Stat Med "
    "2008;27:1693-1702.",
)
_DEAD_TIME = Method(
    "dead-time",
    "Non-paralysable and paralysable models: Knoll 2010, ch. 4; scatter of the recorded counts: Müller JW, Nucl Instrum Methods "
    "1973;112:47-57.",
)
_DECAY = Method(
    "decay",
    "To one time and during each count: Cherry SR, Sorenson JA, Phelps ME, Physics in Nuclear Medicine, 4th ed., Elsevier 2012, "
    "ch. 4.",
)
_CURRIE = Method("detection-limits", "Currie LA, Anal Chem 1968;40:586-593.")
_SPILL_OVER = Method(
    "spill-over", "Inverse of the matrix of the pure standards, its uncertainty propagated: JCGM 100:2008, 5.2."
)
T_INTERVAL = Method("interval-of-a-mean", "Student's t of independent units: Student, Biometrika 1908;6:1-25.")
WELCH = Method("comparison", "Welch's t test: Welch BL, Biometrika 1947;34:28-35.")
WELCH_DIFFERENCE = Method(
    "interval-of-a-difference", "Unequal variances: Welch BL, Biometrika 1947;34:28-35."
)  # fmt: skip
HOLM = Method("adjustment", "Step-down over the organs of one comparison: Holm S, Scand J Stat 1979;6:65-70.")
FIELLER = Method("interval-of-a-ratio", "Fieller EC, J R Stat Soc B 1954;16:175-185.")
DELTA = Method("delta", "SD and interval of a ratio by the delta method: Oehlert GW, Am Stat 1992;46:27-29.")
BOOTSTRAP = Method("bootstrap", "Percentile bootstrap of animals: Efron B, Ann Stat 1979;7:1-26.")
INTERNALISATION = Method(
    "internalisation-rate",
    "Slope of the internalised share against the integral of the membrane share: Wiley HS, Cunningham DD, Cell 1981;25:433-440; "
    "integral along a monotone cubic: Fritsch FN, Carlson RE, SIAM J Numer Anal 1980;17:238-246.",
)
EFFLUX = Method(
    "efflux",
    "Mono-exponential to a plateau by least squares, profile-likelihood intervals: Bates DM, Watts DG, Nonlinear Regression "
    "Analysis and Its Applications, Wiley 1988, ch. 6.",
)


def counting_methods(runs: Iterable[CountedRun], setup: RunSetup, separated: Iterable[str] = ()) -> tuple[Method, ...]:
    """Methods from counts to net rates, as far as these runs used them.

    Parameters
    ----------
    runs : corrected
    setup : what was stated about them
    separated : nuclides that were separated by their spill-over, each with its own decay
    """
    listed = list(runs)
    rates = [r for run in listed for r in run.rates]
    used = [_COUNTING, _PROPAGATION] if rates else []
    if any(r.rate.complete for r in rates):
        used.append(_LIMITS)
    if setup.dead_time_us or _step(rates, "dead time"):
        used.append(_DEAD_TIME)
    apart = list(separated)
    used += [_SPILL_OVER] if apart else []
    names = dict.fromkeys([*(run.nuclide for run in listed if run.nuclide), *apart])
    if _step(rates, "decay") or (apart and "decay" not in setup.applied):
        used.append(_DECAY)
        used += [
            Method(f"half-life-{name}", f"{found.half_life:g} {found.half_life_unit}: {found.source}.")
            for name, found in ((n, nuclide(n)) for n in names if setup.half_life_h is None)
        ]
    if any(r.limits is not None for r in rates):
        used.append(_CURRIE)
    return tuple(used)


def _step(rates: Iterable[NetRate], start: str) -> bool:
    return any(s.name.startswith(start) for r in rates for s in r.steps)
