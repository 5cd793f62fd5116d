"""[11C]PBR28 with arterial blood, 20 scans, against kinfitr 0.9.1 (Matheson G, github.com/mathesong/kinfitr, MIT).

The golden values were computed with kinfitr in R 4.2.2: region FC, vB 0.05, no delay; Logan and MA1 of the last ten frames.
kinfitr convolves by the rectangle rule on 6000 points. A copy of that rule in this test gives kinfitr's VT to 0.05 %, so
it stands for kinfitr on the other 16 scans; fusin's own convolution is exact and differs from it by up to 1 %.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.signal import fftconvolve

from fusin.provenance import NoticeLog
from fusin.receptor.kinetic_fit import FitSettings
from fusin.receptor.kinetics import KineticOptions, kinetics_of

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "tables" / "kinfitr_pbr28"
TAC, BLOOD = FOLDER / "pbr28_tacdata.csv", FOLDER / "pbr28_blooddata.csv"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the public data beside the project are absent")

# scan: K1, k2, k3, k4, VT of 2TCM, VT of 1TCM, Logan, MA1
GOLDEN = {
    "cgyu_1": (0.116240, 0.122514, 0.0581486, 0.0427306, 2.23993, 1.88124, 2.40228, 2.38474),
    "cgyu_2": (0.112086, 0.0885873, 0.0467334, 0.0486997, 2.47943, 2.19364, 2.59900, 2.57502),
    "flfp_1": (0.318035, 0.212932, 0.216474, 0.0586236, 7.00887, 6.43125, 7.38958, 7.35857),
    "flfp_2": (0.276690, 0.118624, 0.121511, 0.0579265, 7.22532, 6.60383, 7.59420, 7.54827),
}
# Scans whose k4 the data do not bound from below: VT is not identified, and small differences move it.
OPEN = ("ytdh_1", "ytdh_2", "rbqc_1", "jdcs_1", "kzcp_1", "rtvg_1")


@cache
def fitted(model, interval="none"):
    options = KineticOptions(model=model, regions=("FC",), fit=FitSettings(interval=interval))
    found = kinetics_of(TAC, BLOOD, options=options, log=NoticeLog())
    return {r.curve.scan: r for r in found.regions}


def value(model, scan, name):
    return fitted(model)[scan].estimates[name].value


@pytest.mark.parametrize("scan", sorted(GOLDEN))
def test_vt_of_two_compartments_is_that_of_kinfitr_to_one_percent(scan):
    assert value("2tcm", scan, "VT") == pytest.approx(GOLDEN[scan][4], rel=0.01)


@pytest.mark.parametrize("scan", sorted(GOLDEN))
def test_rates_of_two_compartments_are_those_of_kinfitr_to_fifteen_percent(scan):
    """k3 is poorly identified; the tolerance is that of the comparison's own authors."""
    found = [value("2tcm", scan, name) for name in ("K1", "k2", "k3", "k4")]
    assert found == pytest.approx(GOLDEN[scan][:4], rel=0.15)


@pytest.mark.parametrize("scan", sorted(GOLDEN))
@pytest.mark.parametrize(("model", "place"), [("1tcm", 5), ("logan", 6), ("ma1", 7)])
def test_vt_of_the_smaller_methods_is_that_of_kinfitr_to_a_fifth_of_a_percent(scan, model, place):
    assert value(model, scan, "VT") == pytest.approx(GOLDEN[scan][place], rel=0.002)


def _kinfitr_like(scan):
    """VT by least squares with the rectangle rule on 6000 points, as kinfitr does it."""
    one = fitted("2tcm")[scan]
    source, until = one.source, one.source.sampled_until_min
    sampled = source.time_min <= until + 1e-9
    grid = np.linspace(0.0, max(until, one.curve.frames.mid_min[-1]), 6000)
    plasma = np.interp(grid, source.time_min[sampled], source.plasma[sampled])
    blood = np.interp(grid, source.blood_time_min[sampled], source.blood[sampled])

    def model(k):
        k1, k2, k3, k4 = k
        total = k2 + k3 + k4
        gap = np.sqrt(total**2 - 4 * k2 * k4)
        slow, fast = (total - gap) / 2, (total + gap) / 2
        response = k1 * ((k3 + k4 - slow) * np.exp(-slow * grid) + (fast - k3 - k4) * np.exp(-fast * grid)) / gap
        tissue = fftconvolve(response, plasma)[: grid.size] * grid[1]
        return np.interp(one.curve.frames.mid_min, grid, 0.95 * tissue + 0.05 * blood)

    root = np.sqrt(one.weights)
    found = least_squares(
        lambda z: root * (model(np.exp(z)) - one.curve.activity), np.log([0.15, 0.12, 0.05, 0.04]),
        bounds=(np.log(1e-4), np.log(0.5)), xtol=1e-10, ftol=1e-12,
    )  # fmt: skip
    k1, k2, k3, k4 = np.exp(found.x)
    return k1 / k2 * (1 + k3 / k4)


def test_the_stand_in_for_kinfitr_gives_the_values_of_kinfitr():
    for scan, golden in GOLDEN.items():
        assert _kinfitr_like(scan) == pytest.approx(golden[4], rel=5e-4)


def test_the_other_scans_agree_to_one_percent_where_the_data_identify_vt():
    others = sorted(set(fitted("2tcm")) - set(GOLDEN) - set(OPEN))
    assert len(others) == 10
    ratios = [value("2tcm", scan, "VT") / _kinfitr_like(scan) for scan in others]
    assert np.abs(np.array(ratios) - 1.0).max() < 0.01


@pytest.mark.parametrize("scan", OPEN)
def test_a_scan_that_does_not_identify_vt_says_so(scan):
    """kinfitr prints a VT of 102 for one of them; here its interval is open above."""
    options = KineticOptions(model="2tcm", scans=(scan,), regions=("FC",))
    log = NoticeLog()
    found = kinetics_of(TAC, BLOOD, options=options, log=log).regions[0]
    assert found.estimates["VT"].high is None
    assert "RATE_NOT_IDENTIFIED" in [n.code for n in log]


def test_frame_means_keep_the_golden_values_too():
    options = KineticOptions(scans=tuple(GOLDEN), regions=("FC",), fit=FitSettings(average=True, interval="none"))
    for one in kinetics_of(TAC, BLOOD, options=options, log=NoticeLog()).regions:
        assert one.estimates["VT"].value == pytest.approx(GOLDEN[one.curve.scan][4], rel=0.01)


def test_times_without_a_unit_are_read_in_the_only_possible_one():
    log = NoticeLog()
    kinetics_of(TAC, BLOOD, options=KineticOptions(model="logan", scans=("cgyu_1",), regions=("FC",)), log=log)
    assert [n.used for n in log if n.code == "TIME_UNIT_INFERRED"] == ["s", "s"]
