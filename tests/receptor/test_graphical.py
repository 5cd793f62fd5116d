"""Limits of the graphical methods, and the standard errors of their slopes."""

from __future__ import annotations

import numpy as np
import pytest

from fusin.errors import NotComputable
from fusin.receptor.compartments import derived, tissue_curve
from fusin.receptor.frames import Frames, TissueCurve, cumulative
from fusin.receptor.graphical import fit_line
from fusin.receptor.reference_tissue import reference_input
from fusin.receptor.synthetic_kinetics import bolus_input, dynamic_frames

LONG = (10,) * 6 + (30,) * 6 + (120,) * 8 + (300,) * 70
FRAMES = dynamic_frames(LONG)
SOURCE = bolus_input(until_min=400.0)
RATES = {"K1": 0.2, "k2": 0.3, "k3": 0.1, "k4": 0.08}


def test_the_slope_of_patlak_is_k1_k3_over_k2_plus_k3():
    rates = {k: RATES[k] for k in ("K1", "k2", "k3")}
    curve = tissue_curve("2tcm-irreversible", rates, SOURCE, FRAMES)
    found = fit_line("patlak", FRAMES, curve, SOURCE, t_star_min=120.0)
    assert found.value == pytest.approx(derived("2tcm-irreversible", rates)["Ki"], rel=2e-3)


@pytest.mark.parametrize("method", ["logan", "ma1"])
def test_logan_and_ma1_reach_vt_at_long_times(method):
    curve = tissue_curve("2tcm", RATES, SOURCE, FRAMES)
    late = fit_line(method, FRAMES, curve, SOURCE, t_star_min=200.0).value
    vt = derived("2tcm", RATES)["VT"]
    assert late == pytest.approx(vt, rel=2e-3)
    early = fit_line(method, FRAMES, curve, SOURCE, t_star_min=5.0).value
    assert abs(early - vt) > abs(late - vt)


def test_logan_with_a_reference_gives_the_ratio_of_the_volumes():
    reference = tissue_curve("1tcm", {"K1": 0.1, "k2": 0.1}, SOURCE, FRAMES)
    target = tissue_curve("1tcm", {"K1": 0.12, "k2": 0.04}, SOURCE, FRAMES)
    seen = reference_input(TissueCurve(region="muscle", frames=FRAMES, activity=reference))
    assert fit_line("logan-ref", FRAMES, target, seen, t_star_min=150.0, k2_ref=0.1).value == pytest.approx(
        3.0, rel=5e-3
    )


def test_slopes_do_not_depend_on_the_unit():
    curve = tissue_curve("2tcm", RATES, SOURCE, FRAMES)
    plain = fit_line("logan", FRAMES, curve, SOURCE)
    scaled = fit_line("logan", FRAMES, 1e3 * curve, bolus_input(scale_kbq_ml=1e3, until_min=400.0))
    assert scaled.value == pytest.approx(plain.value, rel=1e-10)


def test_the_integral_of_frames_is_that_of_the_curve():
    rates = {"K1": 0.2, "k2": 0.1}
    curve = tissue_curve("1tcm", rates, SOURCE, FRAMES)
    fine = np.linspace(0.0, FRAMES.mid_min[-1], 400_001)
    exact = np.trapezoid(tissue_curve("1tcm", rates, SOURCE, Frames(mid_min=fine)), fine)
    assert cumulative(FRAMES, curve)[-1] == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize(("method", "model"), [("logan", "1tcm"), ("ma1", "1tcm"), ("patlak", "2tcm-irreversible")])
def test_the_standard_error_is_the_spread_of_repeated_scans(method, model):
    frames, source = dynamic_frames(), bolus_input()
    curve = tissue_curve(model, RATES | {"k2": 0.1}, source, frames)
    duration = np.asarray(frames.duration_min)
    sd = 0.01 * curve.max() / np.sqrt(duration / 5.0)
    rng = np.random.default_rng(4)
    fits = [
        fit_line(method, frames, curve + sd * rng.normal(size=sd.size), source, weights=duration) for _ in range(250)
    ]
    spread = np.std([f.value for f in fits], ddof=1)
    assert np.sqrt(np.mean([f.standard_error**2 for f in fits])) == pytest.approx(spread, rel=0.15)


def test_too_few_frames_are_refused():
    curve = tissue_curve("2tcm", RATES, SOURCE, FRAMES)
    with pytest.raises(NotComputable) as caught:
        fit_line("logan", FRAMES, curve, SOURCE, t_star_min=FRAMES.mid_min[-2])
    assert caught.value.code == "FRAMES_FEW"
