"""Two tracers on the same patients: paired detection, paired uptake, and what clustering does to either."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from fusin.cohort.comparison_results import AdjustedTest, Comparison, PairedDetection, PairedValues, Summary
from fusin.cohort.readings import findings_from_readings
from fusin.cohort.units import METRICS, Absent, Unit, Units, clustered, patients_of, side_by_side, tracers_of
from fusin.errors import InputError, InvalidValue, MissingValue
from fusin.provenance import NoticeLog
from fusin.stats._arrays import BoolArray
from fusin.stats.agreement import cohen_kappa
from fusin.stats.checks import FloatArray, whole_number
from fusin.stats.clustered import gee_compare
from fusin.stats.effects import EffectTest
from fusin.stats.multiplicity import adjust
from fusin.stats.paired import mcnemar, paired_t, wilcoxon_signed_rank
from fusin.stats.proportions import ProportionMethod, paired_difference, proportion
from fusin.stats.results import TestResult

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "AdjustedTest",
    "Comparison",
    "PairedDetection",
    "PairedValues",
    "Summary",
    "compare",
    "compare_counts",
    "findings_from_readings",
    "summarise",
]


def compare_counts(
    both: int,
    first_only: int,
    second_only: int,
    neither: int,
    *,
    first: str = "first",
    second: str = "second",
    unit: Unit = "patient",
    label: str = "",
    interval: ProportionMethod = "wilson",
    level: float = 0.95,
) -> PairedDetection:
    """Compare the detection of two tracers from the four counts.

    Parameters
    ----------
    both, first_only, second_only, neither : number of units seen by both, one alone, none
    first, second : names of the tracers
    unit : what was counted; lesions of few patients need rows, because counts cannot show the clustering
    label : stratum
    interval, level : of the rates; the difference has Newcombe's paired interval

    Raises
    ------
    InvalidValue, MissingValue
        For impossible or missing counts, or no units at all.

    Examples
    --------
    >>> found = compare_counts(10, 7, 0, 0, first="CXCR4", second="FDG")
    >>> round(found.mcnemar.chi2_corrected.p, 4), round(found.mcnemar.exact.p, 4)
    (0.0233, 0.0156)
    """
    what = "paired comparison"
    cells = [
        whole_number(v, k, what=what)
        for v, k in ((both, "both"), (first_only, "first only"), (second_only, "second only"), (neither, "neither"))
    ]
    a, b, c, d = cells
    if (n := sum(cells)) == 0:
        raise MissingValue(what, "all four counts are 0", "at least one unit", "NO_UNITS")
    log = NoticeLog()
    _warn_of_counts(log, unit, label, d, b + c)
    return PairedDetection(
        label=label,
        unit=unit,
        first=first,
        second=second,
        both=a,
        first_only=b,
        second_only=c,
        neither=d,
        mcnemar=mcnemar(b, c),
        first_rate=proportion(a + b, n, method=interval, level=level),
        second_rate=proportion(a + c, n, method=interval, level=level),
        difference=paired_difference(a, b, c, d, level=level),
        kappa=cohen_kappa([[a, b], [c, d]], level=level),
        notices=log.notices,
    )


def _warn_of_counts(log: NoticeLog, unit: Unit, label: str, neither: int, discordant: int) -> None:
    if unit == "lesion" and neither == 0:
        log.warning(
            "UNION_DENOMINATOR",
            "no lesion was missed by both tracers: rates are shares of what either saw, and kappa says little",
            where=label,
        )
    if 0 < discordant < 6:
        log.info(
            "FEW_DISCORDANT",
            f"{discordant} discordant units cannot reach p < 0.05 in the exact McNemar test whatever their direction",
            where=label,
        )


def compare(
    findings: pd.DataFrame,
    first: str,
    second: str,
    log: NoticeLog,
    *,
    unit: Unit = "lesion",
    by: Sequence[str] = (),
    metrics: Sequence[str] | None = None,
    value_test: Literal["wilcoxon", "t"] = "wilcoxon",
    multiplicity: Literal["holm", "bh"] = "holm",
    interval: ProportionMethod = "wilson",
    level: float = 0.95,
    absent: Absent = "unknown",
) -> Comparison:
    """Compare two tracers over the rows of a finding table.

    Parameters
    ----------
    findings : as read with the finding schema
    first, second : tracers; every difference is first - second
    log : receives the doubts
    unit : lesions, or patients (seen when any lesion is; SUV of the hottest lesion)
    by, metrics : group columns for strata, and columns to compare (all that the table holds without it)
    value_test : Wilcoxon signed-rank with the Hodges-Lehmann difference, or paired t
    multiplicity : adjustment over all quoted tests
    interval, level : of rates and effects
    absent : meaning of a lesion without a row for a tracer, as in `side_by_side`

    Raises
    ------
    InputError
        For an unknown tracer or column, or two names of one tracer.
    MissingValue
        When no unit was assessed with both tracers.
    """
    _require_columns(findings, (*by, *(metrics or ())))
    if first == second:
        raise InputError("comparison", "second tracer", second, f"another tracer than {first}")
    names = tracers_of(findings, (first, second))
    lesions = side_by_side(findings, names, log, absent=absent)
    units = lesions.part(lesions.frame["lesion"].notna().to_numpy()) if unit == "lesion" else patients_of(lesions)
    overall = _detection(units, "", log, interval, level)
    strata = tuple(
        _detection(part, f"{column} {name}", log, interval, level)
        for column in by
        for name, part in (units if unit == "lesion" else patients_of(lesions, column)).groups(column)
        if _assessed(part).any()
    )
    wanted = metrics if metrics is not None else [m for m in METRICS if m in units.values]
    values = tuple(v for m in wanted if (v := _values(units, m, value_test, level)) is not None)
    _warn_of_clusters(overall, log)
    _warn_of_values(values, log)
    return Comparison(
        overall=replace(overall, notices=()),
        strata=strata,
        values=values,
        tests=_adjusted(overall, strata, values, multiplicity),
        notices=log.notices,
    )


def _require_columns(findings: pd.DataFrame, names: Sequence[str]) -> None:
    for name in names:
        if name not in findings.columns:
            present = ", ".join(map(str, findings.columns))
            raise InputError("finding table", "columns", present, f"a column named {name}")


def _assessed(units: Units) -> BoolArray:
    return np.asarray(~np.isnan(units.detected).any(axis=1), dtype=bool)


def _detection(units: Units, label: str, log: NoticeLog, interval: ProportionMethod, level: float) -> PairedDetection:
    known = _assessed(units)
    if not known.any():
        raise MissingValue("comparison", f"no {units.unit} was assessed with both {' and '.join(units.tracers)}",
                           "rows of both tracers for one unit", "NO_UNITS")  # fmt: skip
    one, two = (units.detected[known, i] == 1.0 for i in range(2))
    owner = units.patients()[known]
    patients, most = clustered(owner)
    counts = [int(np.count_nonzero(x)) for x in (one & two, one & ~two, ~one & two, ~one & ~two)]
    found = compare_counts(*counts, first=units.tracers[0], second=units.tracers[1], unit=units.unit, label=label,
                           interval=interval, level=level)  # fmt: skip
    log.extend(found.notices)
    # Two proportions and their errors need more patients than parameters.
    gee = gee_compare(one, two, owner, level=level) if most > 1 and patients > 2 else None
    return replace(found, gee=gee, patients=patients, unassessed=int((~known).sum()))


def _warn_of_clusters(d: PairedDetection, log: NoticeLog) -> None:
    if d.unassessed:
        log.warning(
            "UNITS_LEFT_OUT",
            f"{d.unassessed} {d.unit}s were not assessed with both {d.first} and {d.second} and are not compared",
            where="finding table",
        )
    if d.patients is not None and d.n > d.patients:
        gee = (
            f"; GEE with patients as clusters gives p = {d.gee.test.p:.3g}"
            if d.gee and d.gee.test.p is not None
            else ""
        )
        log.warning(
            "LESIONS_CLUSTERED",
            f"{d.n} lesions of {d.patients} patients: McNemar takes lesions as independent "
            f"({d.mcnemar.default.test} p = {d.mcnemar.default.p:.3g}){gee}",
            where="finding table",
        )


def _warn_of_values(values: Sequence[PairedValues], log: NoticeLog) -> None:
    for v in values:
        if v.unpaired:
            log.warning(
                "PAIRS_INCOMPLETE",
                f"{v.metric}: {v.unpaired} {v.unit}s have a value of one tracer only; the {v.first.n} pairs are a selection "
                "when values are missing where a tracer saw nothing",
                where=v.metric,
            )
        skewed = [side for side, s in (("first", v.first), ("second", v.second)) if s.skewed]
        if skewed:
            log.info("SKEWED_VALUES", f"{v.metric}: SD reaches the mean for the {' and '.join(skewed)} tracer; quote medians",
                     where=v.metric)  # fmt: skip


def _values(units: Units, metric: str, value_test: str, level: float) -> PairedValues | None:
    if metric not in units.values:
        raise InvalidValue("comparison", f"metric {metric!r}", "one of " + ", ".join(METRICS))
    pairs = units.values[metric]
    present = ~np.isnan(pairs)
    complete = present.all(axis=1)
    if not complete.any():
        return None
    one, two = pairs[complete, 0], pairs[complete, 1]
    owner = units.patients()[complete]
    patients, most = clustered(owner)
    over_patients = None
    if most > 1:
        # One difference per patient: medians of x and y would not give the median of x - y.
        apart = _patient_medians(one - two, owner)
        over_patients = _tested(apart, np.zeros_like(apart), value_test, level)
        over_patients = replace(over_patients, test=f"{over_patients.test}, median difference of each patient")
    return PairedValues(
        metric=metric,
        unit=units.unit,
        first=summarise(one),
        second=summarise(two),
        test=_tested(one, two, value_test, level),
        patient_test=over_patients,
        patients=patients,
        unpaired=int((present.any(axis=1) & ~complete).sum()),
    )


def _tested(x: FloatArray, y: FloatArray, value_test: str, level: float) -> EffectTest:
    if value_test == "wilcoxon":
        return wilcoxon_signed_rank(x, y, level=level)
    if value_test == "t":
        return paired_t(x, y, level=level)
    raise InvalidValue("comparison", f"test {value_test!r}", "'wilcoxon' or 't'")


def _patient_medians(values: FloatArray, owner: np.ndarray) -> FloatArray:
    import pandas as pd

    return np.asarray(pd.Series(values).groupby(pd.factorize(owner)[0]).median(), dtype=np.float64)


def summarise(values: Sequence[float] | FloatArray) -> Summary:
    """Median with quartiles and range, mean with SD, geometric mean.

    Parameters
    ----------
    values : (n,) without missing ones; an empty sample has no numbers
    """
    x = np.asarray(values, dtype=np.float64)
    if not x.size:
        return Summary(n=0, median=None, q1=None, q3=None, low=None, high=None, mean=None, sd=None, geometric_mean=None,
                       skewed=False)  # fmt: skip
    low, q1, median, q3, high = (float(v) for v in np.quantile(x, [0, 0.25, 0.5, 0.75, 1]))
    mean, sd = float(x.mean()), float(x.std(ddof=1)) if x.size > 1 else None
    geometric = float(np.exp(np.log(x).mean())) if low > 0 else None
    return Summary(n=x.size, median=median, q1=q1, q3=q3, low=low, high=high, mean=mean, sd=sd,
                   geometric_mean=geometric, skewed=sd is not None and 0 < mean <= sd)  # fmt: skip


def _adjusted(
    overall: PairedDetection,
    strata: Sequence[PairedDetection],
    values: Sequence[PairedValues],
    method: Literal["holm", "bh"],
) -> tuple[AdjustedTest, ...]:
    quoted = list(_quoted(overall, strata, values))
    adjusted = adjust([test.p for _, test in quoted], method=method)
    return tuple(
        AdjustedTest(label=label, test=test.test, p=test.p, adjusted=q, method=method)
        for (label, test), q in zip(quoted, adjusted, strict=True)
        if test.p is not None and q is not None
    )


def _quoted(
    overall: PairedDetection, strata: Sequence[PairedDetection], values: Sequence[PairedValues]
) -> Iterator[tuple[str, TestResult]]:
    yield "detection, all", overall.primary
    yield from ((f"detection, {s.label}", s.primary) for s in strata)
    yield from ((v.metric, v.primary) for v in values)
