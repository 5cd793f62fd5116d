"""Choice of curves by AICc, averages, and the bootstrap."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fusin.dosimetry.time_activity import fit_curve, time_activity
from fusin.dosimetry.time_activity_choice import choose_curve
from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog

LU = 159.528
TIMES = np.array([1.0, 4.0, 10.0, 24.0, 72.0, 120.0, 168.0])


def points(curve, times=TIMES, seed=0, share=0.03):
    rng = np.random.default_rng(seed)
    y = curve(times)
    return time_activity("r", times, y * (1 + share * rng.standard_normal(times.size)), share * y)


def mono(t):
    return 80.0 * np.exp(-0.015 * t)


def uptake(t):
    return 80.0 * (np.exp(-0.012 * t) - np.exp(-0.25 * t))


def two(t):
    return 20.0 * np.exp(-0.006 * t) + 90.0 * np.exp(-0.15 * t)


@pytest.mark.parametrize(("curve", "name"), [(mono, "mono"), (uptake, "uptake-bi"), (two, "bi")])
def test_the_form_that_made_the_points_is_chosen(curve, name):
    for seed in range(6):
        found = choose_curve(points(curve, seed=seed), NoticeLog(), half_life_h=LU, weights="given")
        assert found.best.model.name == name


def test_weights_are_those_of_akaike_and_the_average_is_theirs():
    found = choose_curve(points(mono, seed=4), NoticeLog(), half_life_h=LU, weights="given")
    used = [c for c in found.candidates if c.weight > 0]
    assert len(used) > 1
    assert found.averaged
    lowest = min(c.aicc for c in used)
    raw = [math.exp(-(c.aicc - lowest) / 2) for c in used]
    assert [c.weight for c in used] == pytest.approx([r / sum(raw) for r in raw])
    mean = sum(c.weight * c.fit.integral_mbq_h() for c in used)
    assert found.tia_mbq_h.value == pytest.approx(mean)
    assert found.tia_u_mbq_h >= min(c.fit.tia_u_mbq_h for c in used)
    assert sum(c.weight for c in found.candidates) == pytest.approx(1.0)


def test_without_averaging_the_best_model_stands_alone():
    found = choose_curve(points(mono, seed=4), NoticeLog(), half_life_h=LU, weights="given", average=False)
    assert not found.averaged
    assert found.tia_mbq_h.value == pytest.approx(found.best.integral_mbq_h())
    assert found.tia_mbq_h.low == pytest.approx(found.best.tia_mbq_h().low)


def test_points_on_a_curve_exactly_choose_the_curve_with_fewest_parameters():
    exact = time_activity("r", TIMES, mono(TIMES))
    found = choose_curve(exact, NoticeLog(), half_life_h=LU)
    assert found.best.model.name == "mono"
    assert found.tia_mbq_h.value == pytest.approx(80.0 / 0.015, rel=1e-9)


@pytest.mark.parametrize(
    ("n", "known"),
    [(4, {"mono"}), (5, {"mono", "uptake-bi"}), (6, {"mono", "uptake-bi", "bi"}), (7, {"mono", "uptake-bi", "bi"})],
)
def test_a_model_that_aicc_cannot_compare_is_left_out_with_the_reason(n, known):
    log = NoticeLog()
    found = choose_curve(points(uptake, TIMES[-n:]), log, half_life_h=LU, weights="given")
    left = {c.model for c in found.candidates if "n <= k + 1" in c.reason}
    assert left == {"mono", "uptake-bi", "bi", "tri"} - known
    assert all(c.weight == 0 for c in found.candidates if c.reason)
    assert [n.code for n in log] == ["MODELS_NOT_COMPARED"]


@pytest.mark.parametrize(("n", "word"), [(1, "haenscheid"), (2, "map"), (3, "mono")])
def test_too_few_points_for_any_comparison_are_refused_with_a_way_out(n, word):
    with pytest.raises(NotComputable, match=word) as caught:
        choose_curve(time_activity("liver", TIMES[:n], mono(TIMES[:n])), NoticeLog(), half_life_h=LU)
    assert caught.value.code == "MODEL_NOT_COMPARABLE"
    assert str(caught.value).startswith("liver")


def test_the_bootstrap_agrees_with_propagation_where_the_model_is_nearly_linear():
    data = points(uptake, seed=2)
    gum = choose_curve(data, NoticeLog(), half_life_h=LU, model="uptake-bi", weights="given")
    boot = choose_curve(
        data, NoticeLog(), half_life_h=LU, model="uptake-bi", weights="given", interval="bootstrap", resamples=2000
    )
    assert boot.draws == 2000
    assert boot.tia_u_mbq_h == pytest.approx(gum.tia_u_mbq_h, rel=0.06)
    assert boot.tia_mbq_h.low == pytest.approx(gum.tia_mbq_h.low, rel=0.01)
    assert boot.tia_mbq_h.high == pytest.approx(gum.tia_mbq_h.high, rel=0.01)


def test_the_bootstrap_has_students_tails_where_the_scatter_is_estimated():
    """Three degrees of freedom: t = 3.182 instead of 1.960."""
    data = time_activity("r", [4, 24, 48, 96, 144], [90.0, 77.0, 49.0, 26.0, 11.0])
    gum = fit_curve(data, "mono", half_life_h=LU).tia_mbq_h()
    boot = choose_curve(data, NoticeLog(), half_life_h=LU, model="mono", interval="bootstrap", resamples=3000).tia_mbq_h
    assert math.log(boot.high / boot.low) == pytest.approx(math.log(gum.high / gum.low), rel=0.1)


def test_the_same_seed_gives_the_same_interval():
    data = points(mono)
    runs = [
        choose_curve(data, NoticeLog(), half_life_h=LU, interval="bootstrap", resamples=100, seed=s).tia_mbq_h.low
        for s in (1, 1, 2)
    ]
    assert runs[0] == runs[1] != runs[2]


def test_words_and_numbers_that_are_none_are_refused():
    with pytest.raises(InputError, match="gum or bootstrap"):
        choose_curve(points(mono), NoticeLog(), half_life_h=LU, interval="jackknife")
    with pytest.raises(InputError, match="at least 100"):
        choose_curve(points(mono), NoticeLog(), half_life_h=LU, interval="bootstrap", resamples=10)
