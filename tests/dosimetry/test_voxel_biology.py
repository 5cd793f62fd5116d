"""BED and EQD2 per voxel: the published number in every voxel, and voxels without a dose."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fusin.dosimetry.biological import bed
from fusin.dosimetry.voxel_biology import bed_volume, eqd2_volume
from fusin.errors import InputError
from fusin.imaging.volume import Grid, Volume

KIDNEY = {"alpha_beta_gy": 2.6, "repair_half_time_h": 2.8}
RATES = [math.log(2) / 41]


def volume(values, unit="Gy"):
    values = np.asarray(values, dtype=float)
    return Volume(values=values, grid=Grid(shape=values.shape, affine=np.eye(4)), unit=unit)


def test_a_voxel_of_23_gy_has_the_bed_of_an_organ_of_23_gy():
    """36.007 Gy: T_eff 41 h, repair 2.8 h, alpha/beta 2.6 Gy, as for the organ."""
    found = bed_volume(volume([[[23.0, 0.0, np.nan]]]), rates_per_h=RATES, weights=[1.0], **KIDNEY)
    assert found.values[0, 0, 0] == pytest.approx(36.007, abs=5e-4)
    assert found.values[0, 0, 1] == 0.0
    assert np.isnan(found.values[0, 0, 2])
    assert found.unit == "Gy{BED}"
    again = eqd2_volume(found, alpha_beta_gy=2.6)
    assert again.values[0, 0, 0] == pytest.approx(20.352, abs=5e-4)
    assert again.unit == "Gy{EQD2}"


def test_each_voxel_may_have_a_curve_of_its_own():
    rates = np.array([[[[0.01], [0.02], [0.03]]]])
    dose = volume([[[10.0, 20.0, np.nan]]])
    found = bed_volume(dose, rates_per_h=rates, weights=np.ones_like(rates), **KIDNEY).values
    for at, rate in ((0, 0.01), (1, 0.02)):
        assert found[0, 0, at] == pytest.approx(bed(dose.values[0, 0, at], [rate], [1.0], 2.6, 2.8))


@pytest.mark.parametrize(
    ("change", "says"), [({"rates_per_h": np.ones((2, 2, 2, 1))}, "curve"), ({"rates_per_h": ["x"]}, "numbers"),
                         ({"alpha_beta_gy": 0.0}, "alpha_beta")],
)  # fmt: skip
def test_curves_and_parameters_that_do_not_fit_are_refused(change, says):
    with pytest.raises(InputError, match=says):
        bed_volume(volume([[[1.0, 2.0]]]), **{"rates_per_h": RATES, "weights": [1.0], **KIDNEY, **change})


def test_a_map_of_another_kind_is_refused():
    with pytest.raises(InputError, match="unit"):
        bed_volume(volume([[[1.0]]], "Gy/h"), rates_per_h=RATES, weights=[1.0], **KIDNEY)
    with pytest.raises(InputError, match="bed_volume"):
        eqd2_volume(volume([[[1.0]]]), alpha_beta_gy=2.6)
