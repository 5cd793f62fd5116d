"""Which of two curves the data ask for: extra sum of squares F test, and AICc; both are reported, neither decides alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from fusin.assays.fitting import Fit
from fusin.errors import InputError
from fusin.stats.results import TestResult

__all__ = ["Comparison", "aicc", "compare_models"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A simpler and a fuller model of the same points.

    Attributes
    ----------
    simple, full : their names
    test : extra sum of squares F test
    aicc_simple, aicc_full : corrected Akaike criteria; None with too few points
    preferred_by_test, preferred_by_aicc : the name each of them points to; empty when it cannot
    """

    simple: str
    full: str
    test: TestResult
    aicc_simple: float | None
    aicc_full: float | None
    preferred_by_test: str
    preferred_by_aicc: str

    @property
    def aicc_difference(self) -> float | None:
        """AICc of the fuller model less that of the simpler one; below 0 the fuller one is better."""
        if self.aicc_simple is None or self.aicc_full is None:
            return None
        return self.aicc_full - self.aicc_simple

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "simple": self.simple,
            "full": self.full,
            "test": self.test.to_json(),
            "aicc_simple": self.aicc_simple,
            "aicc_full": self.aicc_full,
            "aicc_difference": self.aicc_difference,
            "preferred_by_test": self.preferred_by_test,
            "preferred_by_aicc": self.preferred_by_aicc,
        }


def aicc(found: Fit) -> float | None:
    """Akaike's criterion with the correction for small samples, up to a constant of the data.

    n ln(RSS/n) + 2K + 2K(K+1)/(n-K-1) with K parameters and the variance (Burnham, Anderson 2002, equation 7.4); for known
    standard deviations the chi square takes the place of the first term and K counts parameters only.

    Returns
    -------
    float or None
        None when n - K - 1 is not positive, or the curve goes through every point.
    """
    known = found.noise == "given"
    n, k = found.n, len(found.names) + (0 if known else 1)
    if n - k - 1 <= 0 or found.exact:
        return None
    first = found.weighted_rss if known else n * math.log(found.weighted_rss / n)
    return first + 2 * k + 2 * k * (k + 1) / (n - k - 1)


def compare_models(simple: Fit, full: Fit, *, alpha: float = 0.05) -> Comparison:
    """Compare two nested fits of the same points.

    Parameters
    ----------
    simple, full : fits with the same weights; ``full`` has more parameters
    alpha : level of the test for ``preferred_by_test``

    Raises
    ------
    InputError
        When the points or the noise models differ, or the models are not in this order.
    """
    from scipy.special import chdtrc, fdtrc

    if simple.n != full.n or simple.noise != full.noise:
        raise InputError("model comparison", "points", f"{simple.n} and {full.n}", "the same points and weights")
    extra = len(full.names) - len(simple.names)
    if extra <= 0:
        raise InputError("model comparison", "parameters", extra, "more parameters in the second model")
    names = (simple.datasets[0].model.name, full.datasets[0].model.name)
    fall = max(simple.weighted_rss - full.weighted_rss, 0.0)
    statistic: float | None
    p: float | None
    if simple.noise == "given":
        test_name = "chi square test of nested models"
        statistic, df, p = fall, float(extra), float(chdtrc(extra, fall))
    else:
        test_name, df = "extra sum of squares F test", float(extra)
        if full.exact:
            # Without any scatter left the ratio is 0/0 or infinite.
            statistic, p = None, (1.0 if simple.exact else 0.0)
        else:
            statistic = (fall / extra) / (full.weighted_rss / full.df)
            p = float(fdtrc(extra, full.df, statistic))
    test = TestResult(
        test=test_name, p=p, n=full.n, statistic=statistic, df=df, alternative="greater",
        details={"df_denominator": full.df},
    )  # fmt: skip
    a, b = aicc(simple), aicc(full)
    by_aicc = "" if a is None or b is None else (names[1] if b < a else names[0])
    return Comparison(
        simple=names[0], full=names[1], test=test, aicc_simple=a, aicc_full=b,
        preferred_by_test=names[1] if p is not None and p < alpha else names[0], preferred_by_aicc=by_aicc,
    )  # fmt: skip
