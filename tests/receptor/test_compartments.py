"""Tissue curves against closed forms, quadrature and an integrator of differential equations."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp

from fusin.errors import InputError
from fusin.receptor.compartment_kernels import frame_response
from fusin.receptor.compartments import derived, exponential_response, tissue_curve
from fusin.receptor.frames import Frames
from fusin.receptor.input_function import InputFunction
from fusin.receptor.synthetic_kinetics import bolus_input, dynamic_frames

RATES = {
    "1tcm": {"K1": 0.2, "k2": 0.1},
    "2tcm": {"K1": 0.2, "k2": 0.25, "k3": 0.12, "k4": 0.03},
    "2tcm-irreversible": {"K1": 0.2, "k2": 0.25, "k3": 0.05},
}
AMPLITUDES, DECAYS = (8.0, 2.0), (0.8, 0.02)


def points(times):
    return Frames(mid_min=np.asarray(times, dtype=float))


@pytest.fixture(scope="module")
def dense():
    """A bi-exponential input so finely sampled that lines between the samples are as good as the curve."""
    time = np.concatenate([np.linspace(0.0, 20.0, 400_001), np.linspace(20.0, 90.0, 140_001)[1:]])
    value = sum(a * np.exp(-r * time) for a, r in zip(AMPLITUDES, DECAYS, strict=True))
    return InputFunction(time_min=time, plasma=value)


@pytest.mark.parametrize("model", sorted(RATES))
def test_a_bi_exponential_input_gives_the_closed_form_to_1e_8(model, dense):
    at = np.array([0.1, 1.0, 5.0, 20.0, 60.0, 90.0])
    exact = exponential_response(model, RATES[model], AMPLITUDES, DECAYS, at)
    assert tissue_curve(model, RATES[model], dense, points(at)) == pytest.approx(exact, rel=1e-8)


@pytest.mark.parametrize("model", sorted(RATES))
def test_the_closed_form_solves_the_differential_equations(model):
    rates = {"k3": 0.0, "k4": 0.0} | RATES[model]

    def change(t, c):
        plasma = sum(a * np.exp(-r * t) for a, r in zip(AMPLITUDES, DECAYS, strict=True))
        return [
            rates["K1"] * plasma - (rates["k2"] + rates["k3"]) * c[0] + rates["k4"] * c[1],
            rates["k3"] * c[0] - rates["k4"] * c[1],
        ]

    solved = solve_ivp(change, (0.0, 60.0), [0.0, 0.0], method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1].sum()
    assert exponential_response(model, RATES[model], AMPLITUDES, DECAYS, np.array([60.0]))[0] == pytest.approx(
        solved, rel=1e-9
    )


@settings(max_examples=40, deadline=None)
@given(theta=st.floats(1e-6, 50.0), knots=st.lists(st.floats(-5, 50), min_size=4, max_size=8))
def test_the_convolution_of_lines_is_exact_for_every_rate(theta, knots):
    """Quadrature of the definition, piece by piece; small rates use another branch than large ones."""
    time = np.linspace(0.0, 7.0, len(knots))
    value = np.array(knots)
    at = np.array([0.3, 2.9, 7.0])
    places = np.arange(3)
    found = frame_response(time, value, theta, at, places, places, 0.0)

    def by_quadrature(end):
        limits = [*time[time < end], end]
        return sum(
            quad(lambda s: np.interp(s, time, value) * np.exp(-theta * (end - s)), a, b, epsabs=1e-13, limit=200)[0]
            for a, b in pairwise(limits)
        )

    assert found == pytest.approx([by_quadrature(t) for t in at], rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("model", sorted(RATES))
def test_a_frame_holds_the_mean_of_the_curve(model):
    source, frames = bolus_input(), dynamic_frames((60, 300, 600))
    fine = np.linspace(0.0, 16.0, 160_001)
    values = tissue_curve(model, RATES[model], source, points(fine), vb=0.05)
    step = fine[1]
    for i, (a, b) in enumerate(zip(frames.start_min, frames.end_min, strict=True)):
        inside = values[round(a / step) : round(b / step) + 1]
        assert tissue_curve(model, RATES[model], source, frames, vb=0.05)[i] == pytest.approx(
            np.trapezoid(inside, dx=step) / (b - a), rel=1e-6
        )


def test_a_delay_moves_the_curve_by_that_time():
    source = bolus_input()
    at = np.array([5.0, 20.0, 40.0])
    late = tissue_curve("2tcm", RATES["2tcm"], source, points(at), vb=0.05, delay_min=0.7)
    assert late == pytest.approx(tissue_curve("2tcm", RATES["2tcm"], source, points(at - 0.7), vb=0.05), rel=1e-12)


def test_two_compartments_without_binding_are_one():
    source, frames = bolus_input(), dynamic_frames()
    one = tissue_curve("1tcm", RATES["1tcm"], source, frames)
    two = tissue_curve("2tcm", RATES["1tcm"] | {"k3": 0.0, "k4": 0.5}, source, frames)
    assert two == pytest.approx(one, rel=1e-10)


def test_the_tissue_doubles_with_its_input():
    frames = dynamic_frames()
    assert tissue_curve("2tcm", RATES["2tcm"], bolus_input(scale_kbq_ml=2.0), frames, vb=0.1) == pytest.approx(
        2 * tissue_curve("2tcm", RATES["2tcm"], bolus_input(scale_kbq_ml=1.0), frames, vb=0.1), rel=1e-12
    )


def test_constant_plasma_fills_the_tissue_to_vt():
    """The definition of VT: tissue to plasma at equilibrium."""
    source = InputFunction(time_min=np.array([0.0, 5000.0]), plasma=np.array([3.0, 3.0]))
    for model in ("1tcm", "2tcm"):
        vt = derived(model, RATES[model])["VT"]
        assert tissue_curve(model, RATES[model], source, points([4000.0]))[0] / 3.0 == pytest.approx(vt, rel=1e-9)


def test_a_region_with_one_compartment_beside_its_reference_is_srtm_exactly():
    """Lammertsma and Hume 1996: with one compartment in both regions the reference model is no approximation."""
    source = bolus_input()
    fine = np.linspace(0.0, 60.0, 60_001)
    reference = tissue_curve("1tcm", {"K1": 0.1, "k2": 0.08}, source, points(fine))
    seen = InputFunction(time_min=fine, plasma=reference)
    frames = dynamic_frames()
    # R1 = 1.5, k2 = R1 k2', BP = 2.
    rates = {"R1": 1.5, "k2": 1.5 * 0.08, "BP_ND": 2.0}
    target = tissue_curve("1tcm", {"K1": 0.15, "k2": 0.12 / 3.0}, source, points(frames.mid_min))
    assert tissue_curve("srtm", rates, seen, points(frames.mid_min)) == pytest.approx(target, rel=1e-4)


def test_a_negative_rate_and_blood_that_is_missing_are_refused():
    source = InputFunction(time_min=np.array([0.0, 90.0]), plasma=np.array([1.0, 1.0]))
    with pytest.raises(InputError, match="k2"):
        tissue_curve("1tcm", {"K1": 0.1, "k2": -0.1}, source, dynamic_frames())
    with pytest.raises(InputError, match="whole blood"):
        tissue_curve("1tcm", RATES["1tcm"], source, dynamic_frames(), vb=0.05)
