"""The points of an empirical ROC curve, with cut-offs that honour the operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from fusin.errors import InvalidValue
from fusin.stats._arrays import BoolArray, FloatArray, Record, finite, flags, frozen, same_length

__all__ = ["OPERATORS", "Operator", "RocCurve", "roc_curve", "split_scores"]

Operator = Literal[">=", ">", "<=", "<"]
OPERATORS: tuple[Operator, ...] = (">=", ">", "<=", "<")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RocCurve(Record):
    """Empirical ROC curve, one point per distinct score and one where nothing is called positive.

    Attributes
    ----------
    thresholds : (m,) cut-offs from the strictest to the laxest; a finding is positive where ``score operator threshold``
    sensitivity, specificity : (m,) at each cut-off
    operator : comparison that makes a finding positive
    positives, negatives : number of findings with and without the condition
    """

    thresholds: FloatArray
    sensitivity: FloatArray
    specificity: FloatArray
    operator: Operator
    positives: int
    negatives: int


def split_scores(scores: ArrayLike, truth: ArrayLike, operator: Operator, *, what: str) -> tuple[FloatArray, BoolArray]:
    """Return checked scores, turned so that high means positive, and the truth.

    Raises
    ------
    InvalidValue
        For missing values, unequal lengths, an unknown operator, or a truth with one class only.
    """
    if operator not in OPERATORS:
        raise InvalidValue(what, f"operator {operator!r}", "one of " + " ".join(OPERATORS), "BAD_OPERATOR")
    values, condition = finite(scores, "scores", what=what), flags(truth, "truth", what=what)
    same_length(what, scores=values, truth=condition)
    if condition.all() or not condition.any():
        found = "positive" if condition.all() else "negative"
        raise InvalidValue(
            what, f"all {len(values)} findings are {found}", "both classes in the reference", "ONE_CLASS"
        )
    return (values if operator in (">=", ">") else -values), condition


def roc_curve(scores: ArrayLike, truth: ArrayLike, *, operator: Operator = ">=") -> RocCurve:
    """Empirical ROC curve whose cut-offs honour the operator.

    ``>=`` and ``>`` give the same points with different cut-offs: with ``>=`` a cut-off is the smallest score that is
    called positive, with ``>`` the largest that is not. A published ">= 1.65" and "> 1.65" therefore differ at ties.

    Parameters
    ----------
    scores : (n,) measured values
    truth : (n,) reference, booleans or 0/1
    operator : ``">="`` or ``">"`` where high means disease, ``"<="`` or ``"<"`` where low does

    Returns
    -------
    RocCurve
        First point: nothing positive; last point: everything positive.
    """
    values, condition = split_scores(scores, truth, operator, what="ROC curve")
    levels, index = np.unique(values, return_inverse=True)
    positive = np.bincount(index[condition], minlength=len(levels))[::-1]
    negative = np.bincount(index[~condition], minlength=len(levels))[::-1]
    sensitivity = np.concatenate([[0.0], np.cumsum(positive) / positive.sum()])
    specificity = np.concatenate([[1.0], 1.0 - np.cumsum(negative) / negative.sum()])
    down = levels[::-1]
    thresholds = np.append(np.inf, down) if operator in (">=", "<=") else np.append(down, -np.inf)
    return RocCurve(
        thresholds=frozen(thresholds if operator in (">=", ">") else -thresholds),
        sensitivity=frozen(sensitivity),
        specificity=frozen(specificity),
        operator=operator,
        positives=int(positive.sum()),
        negatives=int(negative.sum()),
    )
