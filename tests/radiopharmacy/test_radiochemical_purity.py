"""Percentages and purity: Wilson and Fieller as limits, coverage by simulation, sums that are told and never rescaled."""

from __future__ import annotations

import numpy as np
import pytest
from chromatogram_builders import gauss, signal
from hypothesis import given
from hypothesis import strategies as st

from fusin.errors import InputError, InvalidValue, NotComputable
from fusin.radiopharmacy import baseline as lines
from fusin.radiopharmacy.chromatogram_corrections import Decay
from fusin.radiopharmacy.integration import Areas, Part, integrate
from fusin.radiopharmacy.radiochemical_purity import (
    column_recovery,
    mass_balance,
    percentage,
    rcp_tlc_hplc,
    rcp_two_tlc,
)
from fusin.stats.proportions import proportion
from fusin.stats.results import Estimate

X = np.arange(0.5, 100.0, 1.0)
PARTS = [Part(name="impurity", start=5, end=35), Part(name="product", start=60, end=90)]


def areas_of(values, covariance=None, counted=True):
    values = np.asarray(values, dtype=float)
    k = values.size
    return Areas(
        names=tuple("abcdef"[:k]), start=np.zeros(k), end=np.ones(k), area=values, gross=values,
        covariance=np.zeros((k, k)) if covariance is None else np.asarray(covariance, dtype=float),
        per_area=np.full(k, 1.0 if counted else 0.0), counted=counted, source="test",
    )  # fmt: skip


@given(k=st.integers(0, 300), rest=st.integers(1, 5000))
def test_without_background_the_interval_is_wilsons(k, rest):
    found = percentage(areas_of([k, rest]), [0], [0, 1]).estimate
    wilson = proportion(k, k + rest)
    assert found.low == pytest.approx(100 * wilson.low, abs=1e-6)
    assert found.high == pytest.approx(100 * wilson.high, abs=1e-6)


def test_without_poisson_statistics_the_interval_is_fiellers():
    """Fieller 1954 for A/(A+B): roots of (A - pN)^2 = z^2 (Vaa - 2 p Van + p^2 Vnn)."""
    covariance = np.array([[4.0, 1.0], [1.0, 9.0]])
    found = percentage(areas_of([50.0, 150.0], covariance, counted=False), [0], [0, 1]).estimate
    z2, vaa, van, vnn = 1.959963984540054**2, 4.0, 5.0, 15.0
    roots = np.roots([200.0**2 - z2 * vnn, -2 * (50.0 * 200.0 - z2 * van), 50.0**2 - z2 * vaa])
    assert [found.low, found.high] == pytest.approx(sorted(100 * roots), rel=1e-9)


def test_the_standard_uncertainty_is_the_binomial_one_at_high_counts():
    found = percentage(areas_of([2000, 98000]), [0], [0, 1])
    assert found.u == pytest.approx(100 * np.sqrt(0.02 * 0.98 / 100000), rel=1e-9)


def test_no_count_at_all_still_has_a_width_and_an_uncertainty():
    found = percentage(areas_of([0, 1000]), [0], [0, 1])
    assert found.value == 0.0
    assert found.estimate.high == pytest.approx(100 * proportion(0, 1000).high, rel=1e-6)
    assert found.u > 0.05


def test_a_negative_net_area_stays_a_negative_percentage():
    found = percentage(areas_of([-12.0, 1000.0], np.diag([100.0, 100.0])), [0], [0, 1])
    assert found.value == pytest.approx(-1.2146, abs=1e-3)
    assert found.estimate.low < found.value < found.estimate.high


def test_a_denominator_within_its_noise_has_no_percentages():
    with pytest.raises(NotComputable, match="above the background") as refused:
        percentage(areas_of([5.0, 20.0], np.diag([100.0, 400.0])), [0], [0, 1])
    assert refused.value.code == "NET_NOT_POSITIVE"


@pytest.mark.parametrize(
    ("total", "impurity", "background"),
    [(10000, 0.02, 0.0), (10000, 0.001, 2.0), (1000, 0.02, 0.0), (1000, 0.0, 2.0), (300, 0.05, 0.5)],
)
def test_the_95_percent_interval_of_purity_holds_the_truth_in_93_to_97_of_100(total, impurity, background):
    """Poisson counts of two spots, decay of 20 min corrected; 700 strips, so the mean of 95 has a deviation of 0.8."""
    rng = np.random.default_rng(20)
    left = 2.0 ** (-X / 100 * 20 / 67.71)
    true = (gauss(X, total * impurity, 20, 3) + gauss(X, total * (1 - impurity), 75, 3)) * left + background
    hits, tried = 0, 700
    for _ in range(tried):
        y = rng.poisson(true).astype(float)
        one = signal(X, y, axis="mm", decay=Decay(nuclide="Ga-68", scan_duration_s=1200))
        base = lines.constant(y, (X > 38) & (X < 58), where="") if background else lines.no_baseline(y)
        found = percentage(integrate(one, base, PARTS), [1], [0, 1]).estimate
        hits += found.low <= 100 * (1 - impurity) <= found.high
    assert 0.93 <= hits / tried <= 0.97


def test_the_combined_interval_holds_the_truth_in_93_to_97_of_100():
    rng = np.random.default_rng(4)
    hits, tried = 0, 1500
    for _ in range(tried):
        a, t = rng.binomial(2000, 0.01), rng.binomial(50000, 0.97)
        one, two = proportion(int(a), 2000), proportion(int(t), 50000)
        scaled = [Estimate(value=100 * e.value, low=100 * e.low, high=100 * e.high, method="", n=1) for e in (one, two)]
        found = rcp_tlc_hplc(*scaled)
        hits += found.low <= 99.0 * 0.97 <= found.high
    assert 0.93 <= hits / tried <= 0.97


def exact(value):
    return Estimate(value=value, low=value, high=value, method="", n=1)


def test_two_strips_subtract_both_impurities_and_add_their_uncertainties_in_square():
    first = Estimate(value=1.0, low=0.7, high=1.4, method="", n=1)
    second = Estimate(value=2.0, low=1.6, high=2.3, method="", n=1)
    found = rcp_two_tlc(first, second)
    assert found.value == 97.0
    assert found.low == pytest.approx(97.0 - 0.5)  # sqrt(0.4^2 + 0.3^2)
    assert found.high == pytest.approx(97.0 + 0.5)


def test_a_percentage_without_interval_gives_a_purity_without_interval_and_says_so():
    found = rcp_two_tlc(Estimate(value=1.0, low=None, high=None, method="", n=1), exact(2.0))
    assert (found.value, found.low) == (97.0, None)
    assert found.note


@pytest.mark.parametrize("bad", [None, float("nan"), 970.0])
def test_an_impossible_percentage_is_not_combined(bad):
    with pytest.raises(InvalidValue):
        rcp_tlc_hplc(Estimate(value=bad, low=None, high=None, method="", n=1), exact(95.0))


def test_recovery_is_eluted_over_injected_with_fiellers_interval():
    found = column_recovery(eluted=950.0, eluted_u=10.0, injected=1000.0, injected_u=10.0)
    assert found.value == pytest.approx(95.0)
    assert (found.high - found.low) / 3.92 == pytest.approx(100 * np.hypot(0.01, 0.0095), rel=1e-3)
    with pytest.raises(NotComputable):
        column_recovery(eluted=950.0, eluted_u=10.0, injected=1000.0, injected_u=600.0)


def test_a_mass_balance_takes_a_stated_tolerance_and_refuses_what_is_no_percentage():
    assert mass_balance([99.2, 0.85, 0.56], tolerance=1.0).balanced
    assert not mass_balance([97.0, 1.0], tolerance=1.0).balanced
    with pytest.raises(InputError):
        mass_balance(["99.2", "-1"])
    with pytest.raises(InputError):
        mass_balance(["n.d."])
