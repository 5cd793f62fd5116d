"""Fits of curves whose rates are known, and the coverage of their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from fusin.errors import InputError, NotComputable
from fusin.receptor.compartments import derived, tissue_curve
from fusin.receptor.frames import Frames
from fusin.receptor.input_function import InputFunction
from fusin.receptor.kinetic_fit import FitSettings, fit_compartments
from fusin.receptor.synthetic_kinetics import bolus_input, dynamic_frames

SOURCE, FRAMES = bolus_input(scale_kbq_ml=12.0), dynamic_frames()
DURATION = np.asarray(FRAMES.duration_min)
RATES = {
    "1tcm": {"K1": 0.2, "k2": 0.1},
    "2tcm": {"K1": 0.2, "k2": 0.25, "k3": 0.12, "k4": 0.04},
    "2tcm-irreversible": {"K1": 0.2, "k2": 0.25, "k3": 0.05},
}
MEAN = FitSettings(average=True, interval="none")


def fitted(model, activity, settings=MEAN, **more):
    return fit_compartments(model, FRAMES, activity, SOURCE, settings=settings, weights=DURATION, **more)


@pytest.mark.parametrize("model", sorted(RATES))
def test_a_curve_without_noise_gives_its_rates_back(model):
    found = fitted(model, tissue_curve(model, RATES[model], SOURCE, FRAMES, vb=0.05))
    assert {n: found.rates[n] for n in RATES[model]} == pytest.approx(RATES[model], rel=1e-4)
    for name, value in derived(model, RATES[model]).items():
        assert found.estimates[name].value == pytest.approx(value, rel=1e-4)


def test_blood_and_delay_are_found_too():
    true = tissue_curve("2tcm", RATES["2tcm"], SOURCE, FRAMES, vb=0.08, delay_min=0.25)
    found = fitted("2tcm", true, FitSettings(average=True, interval="none", vb=None, delay_min=None))
    assert found.rates["vB"] == pytest.approx(0.08, rel=1e-3)
    assert found.rates["delay_min"] == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize(("scale", "time"), [(1e3, 1.0), (1e-4, 1.0)])
def test_rates_do_not_depend_on_the_unit_of_activity(scale, time):
    true = tissue_curve("2tcm", RATES["2tcm"], SOURCE, FRAMES, vb=0.05)
    source = bolus_input(scale_kbq_ml=12.0 * scale)
    found = fit_compartments("2tcm", FRAMES, scale * true, source, settings=MEAN, weights=DURATION)
    assert found.rates["k3"] == pytest.approx(RATES["2tcm"]["k3"], rel=1e-4)


def _coverage(model, noise, n, seed):
    true = tissue_curve(model, RATES[model], SOURCE, FRAMES, vb=0.05)
    values = {**RATES[model], **derived(model, RATES[model])}
    rng = np.random.default_rng(seed)
    sd = noise * true.max() / np.sqrt(DURATION / 5.0)
    hits = dict.fromkeys(values, 0)
    for _ in range(n):
        found = fitted(model, true + sd * rng.normal(size=sd.size), FitSettings(average=True))
        for name, value in values.items():
            e = found.estimates[name]
            hits[name] += (e.low is None or e.low <= value) and (e.high is None or value <= e.high)
    return {name: hit / n for name, hit in hits.items()}


def test_intervals_of_one_compartment_hold_the_truth_as_often_as_they_say():
    # 95 % of 200: 190 with a standard deviation of 3.1.
    for share in _coverage("1tcm", 0.03, 200, 11).values():
        assert 0.90 <= share <= 0.99


def test_intervals_of_two_compartments_hold_the_truth_as_often_as_they_say():
    for share in _coverage("2tcm", 0.005, 40, 12).values():
        assert 0.85 <= share <= 1.0


def test_the_profile_agrees_with_the_covariance_where_the_model_is_nearly_linear():
    rng = np.random.default_rng(3)
    true = tissue_curve("1tcm", RATES["1tcm"], SOURCE, FRAMES, vb=0.05)
    seen = true + 0.002 * true.max() * rng.normal(size=FRAMES.n)
    profile = fitted("1tcm", seen, FitSettings(average=True)).estimates["VT"]
    wald = fitted("1tcm", seen, FitSettings(average=True, interval="covariance")).estimates["VT"]
    assert (profile.low, profile.high) == pytest.approx((wald.low, wald.high), rel=2e-3)


def test_more_noise_makes_wider_intervals():
    rng = np.random.default_rng(5)
    true = tissue_curve("2tcm", RATES["2tcm"], SOURCE, FRAMES, vb=0.05)
    noise = true.max() * rng.normal(size=FRAMES.n)
    widths = []
    for size in (0.002, 0.008):
        e = fitted("2tcm", true + size * noise, FitSettings(average=True)).estimates["VT"]
        widths.append(e.high - e.low)
    assert widths[1] > 3 * widths[0]


def test_binding_that_is_not_there_is_not_identified():
    """Two compartments fitted to one: k3 and k4 say that the data do not bound them; VT of one compartment stays right."""
    rng = np.random.default_rng(8)
    true = tissue_curve("1tcm", RATES["1tcm"], SOURCE, FRAMES, vb=0.05)
    seen = true + 0.01 * true.max() * rng.normal(size=FRAMES.n) / np.sqrt(DURATION / 5.0)
    found = fitted("2tcm", seen, FitSettings(average=True))
    assert found.estimates["k4"].note
    one = fitted("1tcm", seen, FitSettings(average=True))
    assert one.aicc < found.aicc
    assert one.estimates["VT"].low < 2.0 < one.estimates["VT"].high


def test_frames_without_weight_have_no_influence():
    true = tissue_curve("2tcm", RATES["2tcm"], SOURCE, FRAMES, vb=0.05)
    spoiled = true.copy()
    spoiled[4] = 1e6
    weights = DURATION.copy()
    weights[4] = 0.0
    found = fit_compartments("2tcm", FRAMES, spoiled, SOURCE, settings=MEAN, weights=weights)
    assert found.rates["K1"] == pytest.approx(0.2, rel=1e-4)
    assert found.n == FRAMES.n - 1


def test_a_reference_region_gives_bp_without_blood():
    fine = Frames(mid_min=np.linspace(0.0, 62.0, 3000))
    reference = tissue_curve("1tcm", {"K1": 0.1, "k2": 0.08}, SOURCE, fine)
    seen = InputFunction(time_min=np.asarray(fine.mid_min), plasma=reference)
    mids = Frames(mid_min=FRAMES.mid_min)
    target = tissue_curve("1tcm", {"K1": 0.15, "k2": 0.12 / 3.0}, SOURCE, mids)
    found = fit_compartments("srtm", mids, target, seen, settings=FitSettings(interval="none"))
    assert {n: e.value for n, e in found.estimates.items()} == pytest.approx(
        {"R1": 1.5, "k2": 0.12, "BP_ND": 2.0}, rel=2e-3
    )


@pytest.mark.parametrize(
    ("activity", "code"), [(np.zeros(30), "CURVE_EMPTY"), (np.ones(30), "FRAMES_FEW")], ids=["empty", "few"]
)
def test_what_cannot_be_fitted_is_refused(activity, code):
    weights = DURATION if code == "CURVE_EMPTY" else np.where(np.arange(30) < 4, 1.0, 0.0)
    with pytest.raises(NotComputable) as caught:
        fit_compartments("2tcm", FRAMES, activity, SOURCE, settings=MEAN, weights=weights)
    assert caught.value.code == code


def test_blood_that_was_not_measured_is_asked_for():
    source = InputFunction(time_min=SOURCE.time_min, plasma=SOURCE.plasma)
    with pytest.raises(InputError, match="whole blood"):
        fit_compartments("1tcm", FRAMES, np.ones(30), source, settings=MEAN)
