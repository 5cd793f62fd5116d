"""Diagnostic accuracy against a declared reference standard, from counts or rows, with the biases that the data show."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fusin.cohort.stard import AccuracyRows, IndeterminateRule, StardFlow, stard_rows
from fusin.cohort.units import clustered
from fusin.errors import InputError, InvalidValue, MissingValue
from fusin.provenance import Notice, NoticeLog
from fusin.stats._arrays import BoolArray, FloatArray
from fusin.stats.checks import whole_number
from fusin.stats.clustered import ratio_proportion
from fusin.stats.pooling import diagnostic_odds_ratio
from fusin.stats.proportions import ProportionMethod, proportion, proportion_ratio
from fusin.stats.proportions import proportion_difference as difference_of
from fusin.stats.results import Estimate
from fusin.stats.roc import Auc, CutOff, Optimism, RocCurve, auc, optimism_bootstrap, roc_curve, youden

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Accuracy",
    "MarkerAccuracy",
    "accuracy_counts",
    "accuracy_of_marker",
    "accuracy_rows",
]

_SHARES = ("sensitivity", "specificity", "ppv", "npv", "accuracy")
_SMALL_GROUP = 10  # a Wilson interval around 90 % of 10 patients is 38 points wide


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Accuracy of one index test.

    Attributes
    ----------
    tp, fn, fp, tn : counts
    sensitivity, specificity, ppv, npv, accuracy : proportions
    lr_positive, lr_negative : likelihood ratios (Koopman score intervals)
    dor : diagnostic odds ratio
    youden : sensitivity + specificity - 1 (Newcombe hybrid score interval)
    clustered : the proportions with patients as clusters, where patients have several units; else empty
    index_test, reference, unit : what was compared with what, by patient or lesion
    prevalence : share of diseased units; PPV and NPV hold at this prevalence only
    flow : STARD flow of the rows, None for counts
    """

    tp: int
    fn: int
    fp: int
    tn: int
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate
    accuracy: Estimate
    lr_positive: Estimate
    lr_negative: Estimate
    dor: Estimate
    youden: Estimate
    prevalence: Estimate
    index_test: str = ""
    reference: str = ""
    unit: str = "patient"
    clustered: Mapping[str, Estimate] = field(default_factory=dict)
    flow: StardFlow | None = None
    notices: tuple[Notice, ...] = ()

    @property
    def n(self) -> int:
        """Number of units."""
        return self.tp + self.fn + self.fp + self.tn

    def to_json(self) -> dict[str, Any]:
        """Return the documented contract of ``fusin accuracy --json``."""
        estimates = (*_SHARES, "lr_positive", "lr_negative", "dor", "youden", "prevalence")
        return {
            **{name: getattr(self, name).to_json() for name in estimates},
            "counts": {"tp": self.tp, "fn": self.fn, "fp": self.fp, "tn": self.tn, "n": self.n},
            "index_test": self.index_test,
            "reference": self.reference,
            "unit": self.unit,
            "clustered": {name: e.to_json() for name, e in self.clustered.items()},
            "flow": self.flow.to_json() if self.flow else None,
            "notices": [n.to_json() for n in self.notices],
        }

    def to_table(self) -> pd.DataFrame:
        """One row per measure."""
        import pandas as pd

        names = (*_SHARES, "lr_positive", "lr_negative", "dor", "youden", "prevalence")
        rows = []
        for name in names:
            e, other = getattr(self, name), self.clustered.get(name)
            row = {
                "measure": name,
                "value": e.value,
                "low": e.low,
                "high": e.high,
                "method": e.method,
                "k": e.k,
                "n": e.n,
            }
            rows.append(
                row | {"clustered_low": other.low if other else None, "clustered_high": other.high if other else None}
            )
        return pd.DataFrame(rows)


def accuracy_counts(
    tp: int,
    fn: int,
    fp: int,
    tn: int,
    *,
    interval: ProportionMethod = "wilson",
    level: float = 0.95,
    index_test: str = "",
    reference: str = "",
    unit: str = "patient",
    reference_tests: Sequence[str] = (),
) -> Accuracy:
    """Accuracy from the four counts.

    Parameters
    ----------
    tp, fn, fp, tn : true positives, false negatives, false positives, true negatives
    interval, level : of the proportions; ``wald`` only to reproduce published intervals
    index_test, reference, unit : names, and what was counted
    reference_tests : tests that make up the reference standard, for the check of incorporation

    Raises
    ------
    InvalidValue, MissingValue
        For impossible or missing counts, or no units at all.

    Examples
    --------
    >>> hu = accuracy_counts(33, 10, 0, 57, interval="clopper-pearson")
    >>> [round(x, 3) for x in (hu.sensitivity.value, hu.sensitivity.low, hu.sensitivity.high)]
    [0.767, 0.614, 0.882]
    """
    a, b, c, d = (whole_number(v, k, what="accuracy") for v, k in ((tp, "tp"), (fn, "fn"), (fp, "fp"), (tn, "tn")))
    if not a + b + c + d:
        raise MissingValue("accuracy", "all four counts are 0", "at least one unit", "NO_UNITS")
    log = NoticeLog()
    _warn_of_design(index_test, reference, reference_tests, log)
    _warn_of_counts(a, b, c, d, log)
    shares = _shares(a, b, c, d, interval, level)
    return Accuracy(
        tp=a,
        fn=b,
        fp=c,
        tn=d,
        sensitivity=shares[0],
        specificity=shares[1],
        ppv=shares[2],
        npv=shares[3],
        accuracy=shares[4],
        prevalence=shares[5],
        lr_positive=proportion_ratio(a, a + b, c, c + d, level=level),
        lr_negative=proportion_ratio(b, a + b, d, c + d, level=level),
        dor=_odds_ratio(a, b, c, d, level),
        youden=_youden_index(a, b, c, d, level),
        index_test=index_test,
        reference=reference,
        unit=unit,
        notices=log.notices,
    )


def _shares(tp: int, fn: int, fp: int, tn: int, interval: ProportionMethod, level: float) -> tuple[Estimate, ...]:
    """Sensitivity, specificity, PPV, NPV, accuracy and prevalence."""
    n = tp + fn + fp + tn
    parts = ((tp, tp + fn), (tn, fp + tn), (tp, tp + fp), (tn, fn + tn), (tp + tn, n), (tp + fn, n))
    return tuple(proportion(k, of, method=interval, level=level) for k, of in parts)


def _youden_index(tp: int, fn: int, fp: int, tn: int, level: float) -> Estimate:
    """Sensitivity minus false-positive rate: a difference of two independent proportions."""
    found = difference_of(tp, tp + fn, fp, fp + tn, level=level)
    return replace(found, method=f"{found.method}, as sensitivity - (1 - specificity)")


def _odds_ratio(tp: int, fn: int, fp: int, tn: int, level: float) -> Estimate:
    if not tp + fn or not fp + tn:
        return Estimate(value=None, low=None, high=None, method="Woolf logit", n=tp + fn + fp + tn, level=level,
                        note="one class is empty")  # fmt: skip
    return diagnostic_odds_ratio(tp=tp, fp=fp, fn=fn, tn=tn, level=level)


def _plain_words(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def _warn_of_design(index_test: str, reference: str, reference_tests: Sequence[str], log: NoticeLog) -> None:
    """Incorporation: the index test is named among the tests of its own reference."""
    name = _plain_words(index_test)
    if not name:
        return
    inside = next(
        (t for t in (*reference_tests, reference) if re.search(rf"\b{re.escape(name)}\b", _plain_words(t))), None
    )
    if inside is not None:
        log.warning(
            "INCORPORATION_BIAS",
            f"the reference standard {inside!r} contains the index test {index_test!r}: agreement is built in, and "
            "sensitivity and specificity are too high",
            where=index_test,
        )


def _warn_of_counts(tp: int, fn: int, fp: int, tn: int, log: NoticeLog) -> None:
    for name, n in (("diseased", tp + fn), ("healthy", fp + tn)):
        if n == 0:
            log.warning("ONE_CLASS", f"no {name} unit: {'sensitivity' if name == 'diseased' else 'specificity'} is unknown",
                        where="accuracy")  # fmt: skip
        elif n < _SMALL_GROUP:
            log.warning(
                "SMALL_GROUP", f"only {n} {name} units: read the interval, not the percentage", where="accuracy", raw=n
            )
    if tp + fp and not fn + tn:
        log.warning(
            "VERIFICATION_BIAS",
            "every unit with a reference is positive by the index test: negatives were not verified, so that sensitivity "
            "is 100 % and specificity 0 % by construction",
            where="accuracy",
        )


def accuracy_rows(
    rows: pd.DataFrame,
    log: NoticeLog,
    *,
    index_test: str = "",
    reference: str,
    reference_tests: Sequence[str] = (),
    unit: Literal["patient", "lesion"] = "patient",
    indeterminate: IndeterminateRule = "excluded",
    interval: ProportionMethod = "wilson",
    level: float = 0.95,
) -> Accuracy:
    """Accuracy from one row per patient or lesion.

    Parameters
    ----------
    rows : as read with the accuracy schema
    log : receives the doubts
    index_test : value of the ``test`` column when the table holds several, and the test's name
    reference : the declared reference standard in words
    reference_tests : tests that it is made of, for the check of incorporation
    unit : ``"lesion"`` adds intervals with patients as clusters
    indeterminate : what an indeterminate index result counts as: ``"excluded"``, ``"worst"`` (always wrong) or ``"best"``
        (always right)
    interval, level : of the proportions

    Raises
    ------
    InputError
        For an empty reference, several tests and none named, or several rows of one patient where patients are the unit.
    MissingValue
        When no row has both results.
    """
    if not reference.strip():
        raise InputError("accuracy table", "reference", "", "the reference standard in words")
    kept = _of_test(rows, index_test)
    prepared = stard_rows(kept, unit=unit, indeterminate=indeterminate)
    positive, truth, patient = prepared.positive, prepared.truth, prepared.patient
    cells = [int(np.count_nonzero(x)) for x in
             (positive & truth, ~positive & truth, positive & ~truth, ~positive & ~truth)]  # fmt: skip
    found = accuracy_counts(*cells, interval=interval, level=level, index_test=index_test, reference=reference, unit=unit,
                            reference_tests=reference_tests)  # fmt: skip
    log.extend(found.notices)
    _warn_of_flow(prepared.flow, log)
    others = _clustered(prepared, level) if unit == "lesion" else {}
    if others:
        patients, _ = clustered(patient)
        log.warning(
            "LESIONS_CLUSTERED",
            f"{found.n} lesions of {patients} patients: the {found.sensitivity.method} intervals take them as independent; "
            "quote the clustered ones",
            where="accuracy",
        )
    return replace(found, clustered=others, flow=prepared.flow, notices=log.notices)


def _of_test(rows: pd.DataFrame, index_test: str) -> pd.DataFrame:
    if "test" not in rows.columns:
        return rows
    tests = sorted(str(t) for t in rows["test"].dropna().unique())
    if index_test in tests:
        return rows[rows["test"] == index_test]
    if len(tests) > 1 or (tests and index_test):
        raise InputError("accuracy table", "test", index_test or "none named", "one of " + ", ".join(tests))
    return rows


def _warn_of_flow(flow: StardFlow, log: NoticeLog) -> None:
    where = "accuracy table"
    if flow.indeterminate:
        how = {"excluded": "left out", "worst": "counted as wrong", "best": "counted as right"}[flow.rule]
        log.warning(
            "INDETERMINATE_RESULTS",
            f"{flow.indeterminate} indeterminate index results are {how}; report the other two ways beside this one",
            where=where,
            used=flow.rule,
        )
    if flow.reference_unclear:
        log.warning("REFERENCE_UNCLEAR", f"{flow.reference_unclear} units have an indeterminate reference and are left out",
                    where=where)  # fmt: skip
    if flow.not_tested:
        log.warning("RESULTS_MISSING", f"{flow.not_tested} units have no index result and are left out", where=where)
    positive, negative = flow.verified_positive, flow.verified_negative
    if positive is not None and negative is not None and positive - negative >= 0.2:
        log.warning(
            "VERIFICATION_BIAS",
            f"the reference was had in {positive:.0%} of the positive and {negative:.0%} of the negative index results: "
            "sensitivity is too high and specificity too low",
            where=where,
        )


def _clustered(rows: AccuracyRows, level: float) -> dict[str, Estimate]:
    """Each proportion with patients as clusters; none where no patient has two units of its kind."""
    right = rows.positive == rows.truth
    parts = {
        "sensitivity": rows.truth,
        "specificity": ~rows.truth,
        "ppv": rows.positive,
        "npv": ~rows.positive,
        "accuracy": np.ones(len(right), dtype=bool),
    }
    found: dict[str, Estimate] = {}
    for name, part in parts.items():
        patients, most = clustered(rows.patient[part])
        if most > 1 and patients > 1:
            found[name] = ratio_proportion(right[part], rows.patient[part], level=level)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerAccuracy:
    """A continuous marker against a reference.

    Attributes
    ----------
    curve, area : ROC curve and its area
    best : Youden cut-off, apparent
    optimism : how much the cut-off flatters itself
    fixed : accuracy at cut-offs fixed before the data were seen, by cut-off
    operator : comparison that makes a unit positive
    """

    curve: RocCurve
    area: Auc
    best: CutOff
    optimism: Optimism
    fixed: Mapping[float, Accuracy]
    operator: str
    notices: tuple[Notice, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "auc": self.area.to_json(),
            "youden": self.best.to_json(),
            "optimism": self.optimism.to_json(),
            "fixed": {f"{self.operator} {cut:g}": a.to_json() for cut, a in self.fixed.items()},
            "roc": self.curve.to_json(),
            "notices": [n.to_json() for n in self.notices],
        }


def accuracy_of_marker(
    rows: pd.DataFrame,
    log: NoticeLog,
    *,
    reference: str,
    cut_offs: Sequence[float] = (),
    operator: Literal[">=", ">", "<=", "<"] = ">=",
    interval: ProportionMethod = "wilson",
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> MarkerAccuracy:
    """ROC of a continuous marker, its best cut-off with the optimism, and accuracy at cut-offs fixed in advance.

    Parameters
    ----------
    rows : as read with the accuracy schema, with ``marker``
    log : receives the doubts
    reference : the declared reference standard in words
    cut_offs : fixed in advance, for example published ones
    operator : what makes a unit positive
    interval, level : of the proportions and the area
    resamples, seed : of the bootstrap

    Raises
    ------
    InputError
        For a table without marker.
    MissingValue
        When fewer than two classes have a marker.
    """
    values, truth = _marker_values(rows, log)
    rng = np.random.default_rng(seed)
    best = youden(values, truth, operator=operator, level=level, resamples=resamples, rng=rng)
    optimism = optimism_bootstrap(values, truth, operator=operator, resamples=resamples, rng=rng)
    log.warning(
        "CUTOFF_FROM_DATA",
        f"the cut-off {operator} {optimism.threshold:g} was chosen among {np.unique(values).size} values on the same "
        f"{truth.size} units: Youden {optimism.apparent['youden']:.2f} falls to {optimism.corrected['youden']:.2f} after "
        "correction for optimism",
        where="ROC",
    )
    if len(cut_offs) > 1:
        log.warning("MULTIPLE_CUTOFFS", f"{len(cut_offs)} cut-offs on the same units: no one of them may be picked afterwards",
                    where="ROC")  # fmt: skip
    fixed = {float(c): _at(values, truth, c, operator, reference, interval, level) for c in cut_offs}
    return MarkerAccuracy(
        curve=roc_curve(values, truth, operator=operator),
        area=auc(values, truth, operator=operator, level=level),
        best=best,
        optimism=optimism,
        fixed=fixed,
        operator=operator,
        notices=log.notices,
    )


def _marker_values(rows: pd.DataFrame, log: NoticeLog) -> tuple[FloatArray, BoolArray]:
    """Marker and truth of the units that have both."""
    if "marker" not in rows.columns:
        raise InputError("accuracy table", "columns", ", ".join(map(str, rows.columns)), "a column named marker")
    known = (rows["marker"].notna() & rows["reference"].isin(["positive", "negative"])).to_numpy(dtype=bool)
    part = rows[known]
    truth = (part["reference"] == "positive").to_numpy(dtype=bool)
    if truth.all() or not truth.any():
        raise MissingValue(
            "ROC", f"{int(truth.sum())} of {truth.size} units are diseased", "units of both classes", "ONE_CLASS"
        )
    values = part["marker"].to_numpy(dtype=np.float64)
    if not known.all():
        log.warning(
            "RESULTS_MISSING", f"{int((~known).sum())} units lack marker or reference and are left out", where="ROC"
        )
    patients, most = clustered(part["patient"].to_numpy(dtype=object))
    if most > 1:
        log.warning("LESIONS_CLUSTERED", f"{truth.size} units of {patients} patients are taken as independent",
                    where="ROC")  # fmt: skip
    return values, truth


def _at(
    values: np.ndarray,
    truth: np.ndarray,
    cut: float,
    operator: str,
    reference: str,
    interval: ProportionMethod,
    level: float,
) -> Accuracy:
    compare = {">=": np.greater_equal, ">": np.greater, "<=": np.less_equal, "<": np.less}
    if operator not in compare:
        raise InvalidValue("accuracy", f"operator {operator!r}", "one of " + ", ".join(compare))
    positive = compare[operator](values, cut)
    cells = [int(np.count_nonzero(x)) for x in
             (positive & truth, ~positive & truth, positive & ~truth, ~positive & ~truth)]  # fmt: skip
    return accuracy_counts(
        *cells, interval=interval, level=level, index_test=f"marker {operator} {cut:g}", reference=reference
    )
