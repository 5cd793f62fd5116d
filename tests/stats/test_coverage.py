"""Coverage of every default 95 % interval at n = 12 and 30: enumerated for counts, simulated for measurements.

The mean coverage has to lie between 94 and 97 %. The one interval that does not, Fisher's exact odds ratio, never falls
below the nominal level and is wider than needed; its docstring and the test below say so.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.special import gammaln

from fusin.stats.groups import fisher_exact, mann_whitney, pearson, spearman, student_t, welch_t
from fusin.stats.paired import paired_t, wilcoxon_signed_rank
from fusin.stats.proportions import (
    paired_difference,
    paired_ratio,
    proportion,
    proportion_difference,
    proportion_ratio,
)

SIZES = (12, 30)
DRAWS = 5000  # standard error 0.3 points; 2000 and 0.5 points for the rank methods, which take longer
SHARES = np.arange(0.05, 0.96, 0.05)


def ends(estimates):
    low = np.array([-math.inf if one.low is None else one.low for one in estimates])
    return low, np.array([math.inf if one.high is None else one.high for one in estimates])


def one_proportion(n, method):
    shares = np.arange(0.005, 1.0, 0.005)
    low, high = ends([proportion(k, n, method=method) for k in range(n + 1)])
    chances = stats.binom.pmf(np.arange(n + 1)[:, None], n, shares)
    return (chances * ((low[:, None] <= shares) & (shares <= high[:, None]))).sum(axis=0)


def two_groups(n, estimate, truth):
    """Coverage for all pairs of shares; ``estimate(k1, k2)`` gives the interval."""
    chances = stats.binom.pmf(np.arange(n + 1)[:, None], n, SHARES)
    true = truth(*np.meshgrid(SHARES, SHARES, indexing="ij"))
    covered = np.zeros_like(true)
    for i in range(n + 1):
        low, high = ends([estimate(i, j) for j in range(n + 1)])
        inside = (low[:, None, None] <= true + 1e-12) & (true - 1e-12 <= high[:, None, None])
        covered += np.einsum("a,jb,jab->ab", chances[i], chances, inside)
    return covered


def pairs(n, function, truth):
    """Coverage at 200 random points of the space of paired tables."""
    points = np.random.default_rng(0).dirichlet(np.ones(4), 200)
    tables = np.array(
        [(a, b, c, n - a - b - c) for a in range(n + 1) for b in range(n + 1 - a) for c in range(n + 1 - a - b)]
    )
    low, high = ends([function(*table) for table in tables.tolist()])
    ways = gammaln(n + 1) - gammaln(tables + 1).sum(axis=1)
    chances = np.exp(ways[:, None] + tables @ np.log(points.T))
    true = truth(points.T)
    return (chances * ((low[:, None] <= true) & (true <= high[:, None]))).sum(axis=0)


@pytest.mark.parametrize(("n", "mean", "worst"), [(12, 0.955, 0.886), (30, 0.952, 0.860)])
def test_wilson(n, mean, worst):
    coverage = one_proportion(n, "wilson")
    assert (coverage.mean(), coverage.min()) == pytest.approx((mean, worst), abs=6e-4)


@pytest.mark.parametrize("n", SIZES)
def test_clopper_pearson_never_falls_below_the_level(n):
    coverage = one_proportion(n, "clopper-pearson")
    assert coverage.min() >= 0.95
    assert coverage.mean() > 0.97


@pytest.mark.parametrize("n", SIZES)
def test_jeffreys_covers(n):
    assert 0.94 < one_proportion(n, "jeffreys").mean() < 0.97


@pytest.mark.parametrize(("n", "mean"), [(12, 0.797), (30, 0.879)])
def test_wald_does_not_cover_and_is_for_reproduction_only(n, mean):
    coverage = one_proportion(n, "wald")
    assert coverage.mean() == pytest.approx(mean, abs=6e-4)
    assert coverage.min() < 0.15


@pytest.mark.parametrize("n", SIZES)
def test_difference_of_independent_proportions(n):
    coverage = two_groups(n, lambda i, j: proportion_difference(i, n, j, n), lambda a, b: a - b)
    assert coverage.mean() == pytest.approx(0.950, abs=6e-4)
    assert coverage.min() > 0.90


@pytest.mark.parametrize(("n", "mean"), [(12, 0.953), (30, 0.951)])
def test_ratio_of_independent_proportions(n, mean):
    coverage = two_groups(n, lambda i, j: proportion_ratio(i, n, j, n), lambda a, b: a / b)
    assert coverage.mean() == pytest.approx(mean, abs=6e-4)
    assert coverage.min() > 0.92


@pytest.mark.parametrize("n", SIZES)
def test_paired_difference(n):
    coverage = pairs(n, paired_difference, lambda p: p[1] - p[2])
    assert 0.95 < coverage.mean() < 0.96
    assert coverage.min() > 0.87


@pytest.mark.parametrize("n", SIZES)
def test_paired_ratio(n):
    coverage = pairs(n, paired_ratio, lambda p: (p[0] + p[1]) / (p[0] + p[2]))
    assert 0.95 < coverage.mean() < 0.965
    assert coverage.min() > 0.87


def inverse(ratio):
    """Interval of one over the ratio; None above means unbounded, and so does 0 below after turning over."""
    low = 0.0 if ratio.high is None else 1.0 / ratio.high
    return replace(ratio, value=None, low=low, high=1.0 / ratio.low if ratio.low else None)


@pytest.mark.parametrize(("n", "mean"), [(12, 0.9876), pytest.param(30, 0.9788, marks=pytest.mark.slow)])
def test_odds_ratio_is_conservative(n, mean):
    cache = {}

    def estimate(i, j):
        # Recoding the event or exchanging the groups turns the odds ratio over: a quarter of the tables gives all.
        for twin in ((n - i, n - j), (j, i)):
            if twin in cache:
                cache[i, j] = inverse(cache[twin])
        if (i, j) not in cache:
            cache[i, j] = fisher_exact([[i, n - i], [j, n - j]]).effect
        return cache[i, j]

    coverage = two_groups(n, estimate, lambda a, b: a / (1 - a) / (b / (1 - b)))
    assert coverage.mean() == pytest.approx(mean, abs=6e-4)
    assert coverage.min() >= 0.95


def simulated(n, effect, truth, *, spread=1.0, rho=0.0, draws=DRAWS):
    rng = np.random.default_rng(n)
    x, noise = rng.normal(size=(2, draws, n))
    y = spread * (rho * x + math.sqrt(1 - rho * rho) * noise)
    low, high = ends([effect(x[i], y[i]) for i in range(draws)])
    return np.mean((low <= truth) & (truth <= high))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("test", [paired_t, student_t, welch_t])
def test_mean_difference(test, n):
    assert 0.94 <= simulated(n, lambda x, y: test(x, y).effect, 0.0) <= 0.97


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("test", [wilcoxon_signed_rank, mann_whitney])
def test_shift(test, n):
    assert 0.94 <= simulated(n, lambda x, y: test(x, y).effect, 0.0, draws=2000) <= 0.97


@pytest.mark.parametrize("n", SIZES)
def test_welch_covers_when_spreads_differ(n):
    assert 0.94 <= simulated(n, lambda x, y: welch_t(x, y).effect, 0.0, spread=3.0) <= 0.97


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_pearson(n, rho):
    assert 0.94 <= simulated(n, lambda x, y: pearson(x, y).effect, rho, rho=rho) <= 0.97


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_spearman(n, rho):
    """The true rank correlation of a bivariate normal is 6 / pi * asin(rho / 2)."""
    truth = 6 / math.pi * math.asin(rho / 2)
    assert 0.94 <= simulated(n, lambda x, y: spearman(x, y).effect, truth, rho=rho, draws=2000) <= 0.97
