"""Curves of R's own data sets, fitted by R 4.2.2 (nls with tol 1e-9, confint, anova): DNase run 1 and Puromycin."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from fusin.assays.binding import BindingOptions, analyse_binding
from fusin.assays.binding_tables import read_competition, read_saturation
from fusin.assays.saturation import SaturationOptions, analyse_saturation
from fusin.provenance import NoticeLog

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "assay" / "rdatasets"
LN10 = math.log(10.0)
needs_data = pytest.mark.skipif(not FOLDER.is_dir(), reason="R data sets are not redistributed here")


def dnase(options):
    frame = pd.read_csv(FOLDER / "DNase.csv").rename(columns={"conc": "concentration_nM"})
    log = NoticeLog()
    return analyse_binding(read_competition(frame[frame["Run"] == 1], log), log, options=options)[0].experiments[0]


@needs_data
def test_dnase_run_1_is_the_logistic_of_r():
    """R 4.2.2, nls(density ~ Asym/(1 + exp((xmid - log(conc))/scal))): coefficients, errors, and confint (profile)."""
    found = dnase(BindingOptions(bottom=0.0))
    assert found.top.value == pytest.approx(2.345179295, rel=1e-8)
    assert math.log(found.ic50_nm.value) == pytest.approx(1.483089316, rel=1e-8)
    assert 1 / found.hill.value == pytest.approx(1.041454693, rel=1e-8)
    assert found.top.se == pytest.approx(0.07815383958, rel=1e-6)
    assert found.log_ic50.se * LN10 == pytest.approx(0.08135312509, rel=1e-6)
    assert found.direction == "increasing"
    assert math.log(found.ic50_nm.estimate.low) == pytest.approx(1.32145398, rel=1e-4)
    assert math.log(found.ic50_nm.estimate.high) == pytest.approx(1.6787514, rel=1e-4)


@needs_data
def test_dnase_run_1_with_four_parameters_is_ssfpl_with_its_profiles():
    """R 4.2.2, nls(density ~ SSfpl(log(conc), A, B, xmid, scal)) and confint, which profiles each parameter."""
    found = dnase(BindingOptions())
    ic50, hill = found.ic50_nm.estimate, found.hill.estimate
    assert found.bottom.value == pytest.approx(-0.007897174796, rel=1e-6)
    assert found.bottom.se == pytest.approx(0.01719970591, rel=1e-6)
    assert found.top.value == pytest.approx(2.377238869820, rel=1e-8)
    assert found.top.se == pytest.approx(0.10951632196, rel=1e-6)
    assert (found.top.estimate.low, found.top.estimate.high) == (
        pytest.approx(2.173110173, rel=1e-4),
        pytest.approx(2.68247358, rel=1e-4),
    )
    assert math.log(ic50.value) == pytest.approx(1.507402927754, rel=1e-8)
    assert [math.log(v) for v in (ic50.low, ic50.high)] == pytest.approx([1.313369279, 1.78353941], rel=2e-4)
    assert [1 / v for v in (hill.high, hill.low)] == pytest.approx([0.947542217, 1.20631637], rel=2e-4)


@needs_data
def test_the_f_test_of_slope_one_is_that_of_anova():
    """R 4.2.2, anova of the curve with scal = 1 against SSfpl: F 1.277795, p 0.280397."""
    comparison = dnase(BindingOptions()).comparison
    assert comparison.test.statistic == pytest.approx(1.277795119, rel=1e-6)
    assert comparison.test.p == pytest.approx(0.2803970581, rel=1e-6)
    assert comparison.preferred_by_test == "one-site competition"


# R's Puromycin as printed in ?Puromycin.
CONCENTRATION = [0.02, 0.02, 0.06, 0.06, 0.11, 0.11, 0.22, 0.22, 0.56, 0.56, 1.10, 1.10]
TREATED = [76, 47, 97, 107, 123, 139, 159, 152, 191, 201, 207, 200]
UNTREATED = [67, 51, 84, 86, 98, 115, 131, 124, 144, 158, 160]


def test_puromycin_gives_vm_and_k_of_both_states():
    """R 4.2.2, nls(rate ~ Vm * conc / (K + conc)) for each state."""
    frame = pd.DataFrame(
        {
            "concentration_mM": CONCENTRATION + CONCENTRATION[:11],
            "rate": TREATED + UNTREATED,
            "state": ["treated"] * 12 + ["untreated"] * 11,
        }
    )
    log = NoticeLog()
    found = analyse_saturation(read_saturation(frame, log), log, options=SaturationOptions())
    expected = {
        "treated": (212.68374286052, 6.947155114135, 0.06412128127, 0.008280949385),
        "untreated": (160.280046503, 6.480245492139, 0.047708185, 0.007781875461),
    }
    assert {g.group for g in found} == set(expected)
    for group in found:
        vm, vm_se, k, k_se = expected[group.group]
        assert group.quantities["bmax"].value == pytest.approx(vm, rel=1e-7)
        assert group.quantities["bmax"].se == pytest.approx(vm_se, rel=1e-6)
        assert group.quantities["kd_nm"].value / 1e6 == pytest.approx(k, rel=1e-7)
        assert group.quantities["kd_nm"].se / 1e6 == pytest.approx(k_se, rel=1e-6)
