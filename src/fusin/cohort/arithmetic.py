"""Do printed numbers agree with each other? Hazard ratios, intervals, percentages, means, 2x2 tables, sums, quotients.

Every check widens the printed numbers by half a unit of their last digit first, so that rounding is never called an error.

References
----------
Hazard ratios: Altman and Bland, BMJ 2011;343:d2090 and d2304 (p from an interval). Percentages and means of integers: Brown
and Heathers, GRIM, Soc Psychol Personal Sci 2017;8:363. Standard deviations of integers: Anaya, GRIMMER, PeerJ Preprints
2016;4:e2400.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from fusin.cohort.findings import Finding, FindingSeverity, Printed
from fusin.errors import InputError
from fusin.stats.proportions import ProportionMethod, proportion

__all__ = [
    "INTERVAL_METHODS",
    "IntervalMatch",
    "TwoByTwo",
    "check_hazard_ratio",
    "check_interval",
    "check_mean_sd",
    "check_percentage",
    "check_quotient",
    "check_sum",
    "check_truth_vector",
    "check_two_by_two",
    "detect_interval_method",
]

INTERVAL_METHODS: tuple[ProportionMethod, ...] = ("wilson", "clopper-pearson", "wald", "jeffreys")
"""In the order in which a tie is named; ``wald`` is clipped to 0-100 %."""


def check_hazard_ratio(
    claim: str,
    ratio: Printed,
    low: Printed,
    high: Printed,
    *,
    p: Printed | None = None,
    p_less_than: float | None = None,
    level: float = 0.95,
) -> Finding:
    """Whether a ratio, its interval and its p belong together.

    Parameters
    ----------
    claim : name for the finding
    ratio, low, high : hazard, odds or risk ratio with its interval as printed, all above 0
    p : printed two-sided p
    p_less_than : where the paper prints "p < 0.001"
    level : of the interval

    Returns
    -------
    Finding
        ``conflict`` when the ratio lies outside its interval; ``suspect`` when p differs from the z test of the interval
        beyond rounding (a likelihood-ratio test could explain it) or the interval is not symmetric on the log scale.
    """
    name, width = "hazard ratio", NormalDist().inv_cdf((1.0 + level) / 2.0)
    if min(ratio.value, low.value, high.value) <= 0:
        raise InputError(claim, "hazard ratio", ratio.text, "ratios above 0")
    values: dict[str, float] = {}
    text = f"{claim}: {ratio.text} ({low.text}-{high.text})"
    if not (low.low <= ratio.high and ratio.low <= high.high and low.value < high.value):
        return Finding(check=name, claim=claim, severity="conflict", sentence=f"{text} lies outside its own interval.")
    values["z_p"] = _z_p(ratio.value, low.value, high.value, width)
    span = _p_range(ratio, low, high, width)
    least, most = min(*span, values["z_p"]), max(*span, values["z_p"])
    values |= {"z_p_low": least, "z_p_high": most}
    shown = f"z test p {values['z_p']:.2g} (rounding leaves {least:.2g} to {most:.2g})"
    if p is not None and not (p.low <= most and least <= p.high):
        why = "another test (likelihood ratio) or a rounded interval could explain it"
        return _finding(name, claim, "suspect", f"{text} gives {shown}, printed p {p.text}; {why}.", values)
    if p_less_than is not None and least >= p_less_than:
        return _finding(name, claim, "suspect", f"{text} gives {shown}, printed p < {p_less_than:g}.", values)
    middle = math.sqrt(max(low.low, 1e-300) * high.low), math.sqrt(low.high * high.high)
    if ratio.high < middle[0] or ratio.low > middle[1]:
        odd = f"its middle on the log scale is {math.sqrt(low.value * high.value):.4g}: not a Wald interval"
        return _finding(name, claim, "note", f"{text}: {odd}; {shown}.", values)
    printed = "" if p is None else f", printed {p.text}"
    return _finding(name, claim, "ok", f"{text} agrees: {shown}{printed}.", values)


def _z_p(ratio: float, low: float, high: float, width: float) -> float:
    error = (math.log(high) - math.log(low)) / (2.0 * width)
    return math.erfc(abs(math.log(ratio)) / error / math.sqrt(2.0))


def _p_range(ratio: Printed, low: Printed, high: Printed, width: float) -> tuple[float, float]:
    """Smallest and largest p of all Wald intervals that round to the printed numbers.

    A Wald interval has its ratio in the middle of the log scale, so z = width (h + l) / (h - l) with the log limits l and
    h. Over the numbers that round to the print, a polygon, z is largest and smallest at corners. Where no symmetric
    interval fits the print, the ratio and the limits are taken as unrelated.
    """
    box_l, box_h, middle = ((math.log(max(x.low, 1e-300)), math.log(x.high)) for x in (low, high, ratio))
    corners = [(a, b) for a, b in itertools.product(box_l, box_h) if 2 * middle[0] <= a + b <= 2 * middle[1]]
    for m in middle:
        corners += [(a, 2 * m - a) for a in box_l if box_h[0] <= 2 * m - a <= box_h[1]]
        corners += [(2 * m - b, b) for b in box_h if box_l[0] <= 2 * m - b <= box_l[1]]
    scores = [width * (b + a) / (b - a) for a, b in corners if b > a]
    if not scores:
        scores = [2 * width * m / (b - a) for m, a, b in itertools.product(middle, box_l, box_h) if b > a]
    # The ratio 1 lies inside: its p is 1 and no corner shows it.
    nearest = 0.0 if min(scores) <= 0.0 <= max(scores) else min(abs(z) for z in scores)
    furthest = max(abs(z) for z in scores)
    return math.erfc(furthest / math.sqrt(2.0)), math.erfc(nearest / math.sqrt(2.0))


def _finding(check: str, claim: str, severity: FindingSeverity, sentence: str, values: Mapping[str, object]) -> Finding:
    return Finding(check=check, claim=claim, severity=severity, sentence=sentence, values=values)


@dataclass(frozen=True, slots=True)
class IntervalMatch:
    """How far one method is from a printed interval, in the unit of the print."""

    method: str
    low: float
    high: float
    distance: float
    matches: bool


def detect_interval_method(
    k: int, n: int, low: Printed, high: Printed, *, percent: bool, tolerance: float = 0.0, level: float = 0.95
) -> tuple[IntervalMatch, ...]:
    """Which methods reproduce a printed interval of k of n, the nearest first.

    Parameters
    ----------
    low, high : printed limits
    percent : whether they are percentages (else fractions)
    tolerance : allowed beyond rounding, in the unit of the print
    level : confidence level
    """
    scale = 100.0 if percent else 1.0
    found = []
    for method in INTERVAL_METHODS:
        estimate = proportion(k, n, method=method, level=level)
        if estimate.low is None or estimate.high is None:
            continue
        limits = estimate.low * scale, estimate.high * scale
        distance = max(abs(limits[0] - low.value), abs(limits[1] - high.value))
        ok = low.admits(limits[0], slack=tolerance + 1e-9) and high.admits(limits[1], slack=tolerance + 1e-9)
        found.append(IntervalMatch(method, *limits, distance, ok))
    return tuple(sorted(found, key=lambda m: (not m.matches, m.distance)))


def check_interval(
    claim: str, k: int, n: int, low: Printed, high: Printed, *, percent: bool, tolerance: float = 0.0
) -> Finding:
    """Name the method behind a printed interval; ``suspect`` when none of the four reproduces it."""
    matches = detect_interval_method(k, n, low, high, percent=percent, tolerance=tolerance)
    good = [m.method for m in matches if m.matches]
    values = {"methods": good, "nearest": matches[0].method, "distance": matches[0].distance}
    text = f"{claim}: {k} of {n}, printed {low.text}-{high.text}"
    if good:
        doubt = " Wald intervals clipped at the limits are too short at small n." if good == ["wald"] else ""
        return _finding("interval", claim, "ok", f"{text}: {' or '.join(good)} reproduces it.{doubt}", values)
    best = matches[0]
    near = f"nearest is {best.method} with {best.low:.4g}-{best.high:.4g}"
    return _finding("interval", claim, "suspect", f"{text}: no known method reproduces it; {near}.", values)


def check_percentage(claim: str, percent: Printed, n: int, *, k: int | None = None) -> Finding:
    """Whether a printed percentage can come from an integer count of n (GRIM)."""
    if n <= 0:
        raise InputError(claim, "n", n, "a number above 0")
    first, last = math.ceil(percent.low * n / 100.0 - 1e-9), math.floor(percent.high * n / 100.0 + 1e-9)
    counts = list(range(max(first, 0), min(last, n) + 1))
    values = {"counts": counts}
    text = f"{claim}: {percent.text} % of {n}"
    if k is not None:
        exact = 100.0 * k / n
        good = 0 <= k <= n and percent.admits(exact)
        return _finding(
            "percentage", claim, "ok" if good else "conflict", f"{text}, {k} of {n} is {exact:.4g} %.", values
        )
    if not counts:
        near = round(percent.value * n / 100.0)
        return _finding(
            "percentage",
            claim,
            "conflict",
            f"{text} is no integer count; the nearest, {near}, is {100.0 * near / n:.4g} %.",
            values,
        )
    shown = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return _finding("percentage", claim, "ok", f"{text} is {shown}.", values)


def check_mean_sd(claim: str, mean: Printed, n: int, *, sd: Printed | None = None) -> Finding:
    """Whether a mean (GRIM) and a sample SD (GRIMMER) can come from n integers, for example ages or counts.

    Returns
    -------
    Finding
        ``note`` when n is so large that every printed mean is possible, so the check says nothing.
    """
    if n <= 0 or (sd is not None and n < 2):
        raise InputError(claim, "n", n, "at least 1 value, 2 for a standard deviation")
    sums = range(math.ceil(mean.low * n - 1e-9), math.floor(mean.high * n + 1e-9) + 1)
    shown = f"{mean.text}" + (f" ± {sd.text}" if sd else "")
    text = f"{claim}: {shown} of {n} integers"
    if not sums:
        near = round(mean.value * n)
        return _finding(
            "mean", claim, "conflict", f"{text}: no integer sum gives this mean ({near}/{n} = {near / n:.4g}).", {}
        )
    values = {"sums": [sums[0], sums[-1]]}
    if sd is not None and not any(_square_sum_exists(total, n, sd) for total in sums):
        return _finding(
            "mean", claim, "conflict", f"{text}: no integers have this mean and standard deviation.", values
        )
    if 2.0 * mean.half_unit * n >= 1.0 and sd is None:
        return _finding("mean", claim, "note", f"{text}: at this n every printed mean is possible.", values)
    return _finding("mean", claim, "ok", f"{text} is possible.", values)


def _square_sum_exists(total: int, n: int, sd: Printed) -> bool:
    """Whether some integers with this sum have a sample SD that rounds to the printed one.

    The sum of squares is an integer of the parity of the sum, and integers spread least when they are equal up to 1.
    """
    base, extra = divmod(total, n)
    least = base * base * (n - extra) + (base + 1) ** 2 * extra
    offset = total * total / n
    low = (n - 1) * max(sd.low, 0.0) ** 2 + offset
    high = (n - 1) * sd.high**2 + offset
    first = max(math.ceil(low - 1e-7), least)
    first += (first - total) % 2
    return first <= high + 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoByTwo:
    """Counts of an index test against a reference."""

    name: str
    tp: int
    fp: int
    fn: int
    tn: int

    def __post_init__(self) -> None:
        for field in ("tp", "fp", "fn", "tn"):
            count = getattr(self, field)
            if isinstance(count, bool) or not isinstance(count, int) or count < 0:
                raise InputError(self.name, field, count, "a count of 0 or more")

    @property
    def positives(self) -> int:
        """Reference-positive subjects."""
        return self.tp + self.fn

    @property
    def negatives(self) -> int:
        """Reference-negative subjects."""
        return self.tn + self.fp

    @property
    def n(self) -> int:
        """All subjects."""
        return self.positives + self.negatives

    def parts(self) -> dict[str, tuple[int, int]]:
        """Numerator and denominator of each measure."""
        return {
            "sensitivity": (self.tp, self.positives),
            "specificity": (self.tn, self.negatives),
            "accuracy": (self.tp + self.tn, self.n),
            "ppv": (self.tp, self.tp + self.fp),
            "npv": (self.tn, self.tn + self.fn),
        }


def check_two_by_two(
    table: TwoByTwo,
    *,
    n: int | None = None,
    percent: Mapping[str, Printed],
    intervals: Mapping[str, tuple[Printed, Printed]],
    tolerance: float = 0.0,
) -> tuple[Finding, ...]:
    """Check the size, the printed percentages and the printed intervals (percent) of a 2x2 table.

    A table whose intervals need two methods is called ``suspect``: no single method reproduces them.
    """
    findings: list[Finding] = []
    if n is not None and n != table.n:
        sentence = f"{table.name}: the cells add up to {table.n}, printed n is {n}."
        findings.append(_finding("2x2 table", table.name, "conflict", sentence, {"n": table.n}))
    parts = table.parts()
    for measure in (*percent, *intervals):
        if measure not in parts:
            raise InputError(table.name, "measure", measure, "one of " + ", ".join(parts))
    for measure, value in percent.items():
        k, size = parts[measure]
        findings.append(check_percentage(f"{table.name} {measure}", value, size, k=k))
    shared: set[str] = set(INTERVAL_METHODS)
    for measure, (low, high) in intervals.items():
        k, size = parts[measure]
        found = check_interval(f"{table.name} {measure}", k, size, low, high, percent=True, tolerance=tolerance)
        findings.append(found)
        shared &= set(found.values["methods"])
    if intervals and not shared:
        used = sorted({m for f in findings if f.check == "interval" for m in f.values["methods"][:1]})
        sentence = f"{table.name}: no single method reproduces all intervals; nearest are {', '.join(used) or 'none'}."
        findings.append(_finding("interval methods", table.name, "suspect", sentence, {"methods": used}))
    return tuple(findings)


def check_truth_vector(claim: str, tables: Sequence[TwoByTwo]) -> Finding:
    """Whether 2x2 tables of the same subjects share one reference: equal positives and negatives.

    Parameters
    ----------
    claim : name of the group of subjects
    tables : two or more tables said to be of the same subjects against the same reference
    """
    margins = {t.name: (t.positives, t.negatives) for t in tables}
    listed = ", ".join(f"{name} {p} positive and {q} negative" for name, (p, q) in margins.items())
    same = len(set(margins.values())) <= 1
    values = {"margins": {k: list(v) for k, v in margins.items()}}
    if same:
        return _finding("truth vector", claim, "ok", f"{claim}: one reference fits all rows ({listed}).", values)
    sentence = f"{claim}: the rows cannot share one reference: {listed}."
    return _finding("truth vector", claim, "conflict", sentence, values)


def check_sum(claim: str, parts: Iterable[int | float], total: Printed) -> Finding:
    """Whether parts add up to a printed total."""
    listed = list(parts)
    found = math.fsum(listed)
    shown = " + ".join(f"{p:g}" for p in listed)
    good = total.admits(found)
    sentence = f"{claim}: {shown} is {found:g}, printed {total.text}."
    return _finding("sum", claim, "ok" if good else "conflict", sentence, {"sum": found})


def check_quotient(claim: str, numerator: Printed, denominator: Printed, quotient: Printed) -> Finding:
    """Whether a printed quotient fits two printed numbers, all three widened by rounding."""
    if min(numerator.low, denominator.low) <= 0:
        raise InputError(claim, "quotient", f"{numerator.text} / {denominator.text}", "numbers above 0")
    least, most = numerator.low / denominator.high, numerator.high / denominator.low
    exact = numerator.value / denominator.value
    good = quotient.low <= most and least <= quotient.high
    sentence = f"{claim}: {numerator.text} / {denominator.text} is {exact:.4g}, printed {quotient.text}."
    return _finding("quotient", claim, "ok" if good else "conflict", sentence, {"quotient": exact})
