"""Areas are signed, linear in the counts, and carry the covariance of what they share."""

from __future__ import annotations

import numpy as np
import pytest
from chromatogram_builders import gauss, signal
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog
from fusin.radiopharmacy import baseline as lines
from fusin.radiopharmacy.chromatogram_corrections import Decay
from fusin.radiopharmacy.chromatogram_run import gaps, percentages
from fusin.radiopharmacy.integration import Part, cover, integrate

X = np.arange(0.0, 100.0, 0.5)
PARTS = (Part(name="a", start=10.0, end=30.0), Part(name="b", start=60.0, end=90.0))
BLANK = (X > 35) & (X < 55)


def strip(seed, decay=None):
    expected = gauss(X, 300, 20, 3) + gauss(X, 5000, 75, 3) + 2.0
    counts = np.random.default_rng(seed).poisson(expected).astype(float)
    return signal(X, counts, axis="mm", decay=decay or Decay(nuclide="Ga-68", scan_duration_s=600))


def area(y, model="constant"):
    one = signal(X, y, axis="mm")
    base = lines.constant(y, BLANK, where="") if model == "constant" else lines.linear(X, y, BLANK, where="")
    return integrate(one, base, PARTS).area


@settings(max_examples=40, deadline=None)
@given(factor=st.floats(0.1, 50), seed=st.integers(0, 99), model=st.sampled_from(["constant", "linear"]))
def test_net_area_is_linear_in_the_counts(factor, seed, model):
    rng = np.random.default_rng(seed)
    one, two = rng.poisson(5.0, (2, X.size)).astype(float)
    np.testing.assert_allclose(
        area(one + factor * two, model), area(one, model) + factor * area(two, model), rtol=1e-9, atol=1e-7
    )


@pytest.mark.parametrize("model", ["constant", "linear"])
def test_a_background_that_the_model_can_follow_changes_no_area(model):
    y = np.random.default_rng(1).poisson(20.0, X.size).astype(float)
    added = 30.0 + (0.2 * X if model == "linear" else 0.0)
    np.testing.assert_allclose(area(y + added, model), area(y, model), atol=1e-8)


def test_areas_do_not_depend_on_where_the_axis_begins():
    one = strip(3)
    other = signal(X + 40.0, one.y, axis="mm", decay=Decay(nuclide="Ga-68", scan_duration_s=600))
    moved = [Part(name=p.name, start=p.start + 40.0, end=p.end + 40.0) for p in PARTS]
    np.testing.assert_allclose(
        integrate(one, lines.constant(one.y, BLANK, where=""), PARTS).area,
        integrate(other, lines.constant(one.y, BLANK, where=""), moved).area,
        rtol=1e-9,
    )


def test_a_window_without_activity_is_zero_on_average_and_often_negative():
    """Clamping at 0 would make the mean positive."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(400):
        y = rng.poisson(3.0, X.size).astype(float)
        base = lines.constant(y, BLANK, where="")
        areas = integrate(signal(X, y, axis="mm"), base, PARTS[:1])
        found.append((areas.area[0], areas.u()[0]))
    values, deviations = np.array(found).T
    assert abs(values.mean()) < 3.0 * values.std() / 20.0
    assert 0.4 < (values < 0).mean() < 0.6
    assert values.std() == pytest.approx(deviations.mean(), rel=0.12)


@pytest.mark.parametrize("model", ["constant", "linear", "arpls", "local"])
def test_stated_covariance_is_the_covariance_of_repeated_counts(model):
    rng = np.random.default_rng(8)
    expected = gauss(X, 400, 20, 3) + gauss(X, 600, 75, 3) + 8.0
    areas, u, shared = [], [], []
    for _ in range(250):
        y = rng.poisson(expected).astype(float)
        one = signal(X, y, axis="mm")
        if model == "local":
            base = lines.chords(X, y, [(20, 60), (120, 180)], reach=3)
        elif model == "arpls":
            base = lines.penalised(y, model="arpls", lam=1e6, where="")
        else:
            base = lines.constant(y, BLANK, where="") if model == "constant" else lines.linear(X, y, BLANK, where="")
        found = integrate(one, base, PARTS)
        areas.append(found.area)
        u.append(found.u())
        shared.append(found.covariance[0, 1])
    covariance = np.cov(np.array(areas).T)
    tolerance = 0.2 if model == "arpls" else 0.15  # the weights of arPLS follow the noise too
    np.testing.assert_allclose(np.mean(u, axis=0), np.sqrt(np.diag(covariance)), rtol=tolerance)
    if model in ("constant", "linear"):
        assert np.mean(shared) == pytest.approx(covariance[0, 1], abs=0.3 * np.sqrt(np.prod(np.diag(covariance))))


def test_bins_at_a_bound_are_shared_and_nothing_is_counted_twice():
    left, right = cover(X, -0.25, 33.3), cover(X, 33.3, 99.75)
    np.testing.assert_allclose(left + right, 1.0, atol=1e-12)
    assert ((left > 0) & (left < 1)).sum() == 1


def test_percentages_with_the_unassigned_rest_add_up_to_100():
    one = strip(11)
    base = lines.constant(one.y, BLANK, where="")
    areas = integrate(one, base, [*PARTS, *gaps(one, PARTS)])
    shares, rest = percentages(areas, len(PARTS), whole=True, level=0.95, log=NoticeLog(), where="")
    assert rest is not None
    assert sum(s.value for s in shares if s) + rest.value == pytest.approx(100.0, abs=1e-9)


@pytest.mark.parametrize("kind", ["tangent", "exponential"])
def test_a_rider_and_its_parent_keep_the_sum_of_a_drop_line(kind):
    x = np.linspace(0, 20, 801)
    y = 1000 * np.exp(-(x - 3) / 3) * (x > 3) + 1000 * np.exp(-0.5 * ((x - 3) / 0.3) ** 2) * (x <= 3)
    rider = 40 * np.exp(-0.5 * ((x - 9) / 0.25) ** 2)
    one = signal(x, y + rider, quantity="analogue", channel="uv")
    base = lines.no_baseline(one.y)
    skimmed = integrate(
        one,
        base,
        [Part(name="main", start=0.1, end=19.9), Part(name="rider", start=7.9, end=10.1, skim=kind, parent="main")],
    )
    whole = integrate(one, base, [Part(name="main", start=0.1, end=19.9)])
    assert skimmed.area.sum() == pytest.approx(whole.area[0], rel=1e-12)
    true = 40 * 0.25 * np.sqrt(2 * np.pi) * 60.0
    # An exponential tail is followed exactly by an exponential skim, and cut too high by a straight one.
    if kind == "exponential":
        assert skimmed.area[1] == pytest.approx(true, rel=2e-3)
    else:
        assert 0 < skimmed.area[1] < 0.99 * true


def test_an_exponential_skim_below_the_baseline_is_refused():
    y = np.where(X > 50, -1.0, 5.0)
    with pytest.raises(NotComputable, match="tangent"):
        integrate(
            signal(X, y, quantity="analogue"),
            lines.no_baseline(y),
            [Part(name="r", start=40, end=60, skim="exponential")],
        )


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ([Part(name="a", start=10, end=30), Part(name="b", start=29, end=40)], "a and b"),
        ([Part(name="a", start=10, end=130)], "a"),
        ([Part(name="a", start=-20, end=30)], "a"),
        ([Part(name="a", start=30, end=30)], "a"),
    ],
)
def test_parts_that_overlap_or_leave_the_run_are_refused(parts, field):
    y = np.ones(X.size)
    with pytest.raises(InputError) as refused:
        integrate(signal(X, y), lines.no_baseline(y), parts)
    assert refused.value.field == field
