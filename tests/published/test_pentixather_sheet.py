"""Numbers of the project's dosimetry sheet, sections 5.1, 5.3 and 5.4: computed there from the cited formulas.

Kidney BED with alpha/beta 2.6 Gy and repair 2.8 h (values as in PyTheranostics' radiobiology table); T_eff of
177Lu-pentixather: Haenscheid et al., J Nucl Med 2022 (abstract).
"""

from __future__ import annotations

import math

import pytest

from fusin.dosimetry.biological import bed, eqd2, lea_catcheside
from fusin.dosimetry.nuclide_exchange import (
    biological_half_life_h,
    exchange_dose_ratio,
    exchange_half_life_h,
    residual_fraction,
)


@pytest.mark.parametrize(
    ("t_eff_h", "factor", "bed_gy", "eqd2_gy"), [(41.0, 0.06393, 36.007, 20.352), (29.654, 0.086276, 40.554, 22.922)]
)
def test_kidney_bed_of_23_gray_by_both_nuclides(t_eff_h, factor, bed_gy, eqd2_gy):
    rate = math.log(2) / t_eff_h
    assert lea_catcheside([rate], [1.0], 2.8) == pytest.approx(factor, abs=5e-6)
    found = bed(23.0, [rate], [1.0], 2.6, 2.8)
    assert found == pytest.approx(bed_gy, abs=1e-3)
    assert eqd2(found, 2.6) == pytest.approx(eqd2_gy, abs=1e-3)


@pytest.mark.parametrize(
    ("t_eff_h", "t_bio_h", "t_eff_90y_h"),
    [(41.0, 55.18, 29.654), (109.0, 344.0, 54.04), (86.0, 186.6, 47.71), (92.0, 217.3, 49.50)],
)
def test_effective_half_lives_of_the_organs_with_90y(t_eff_h, t_bio_h, t_eff_90y_h):
    assert biological_half_life_h(t_eff_h, "Lu-177") == pytest.approx(t_bio_h, rel=1e-3)
    assert exchange_half_life_h(t_eff_h, "Lu-177", "Y-90") == pytest.approx(t_eff_90y_h, rel=1e-3)


def test_kidney_dose_ratio_of_90y_to_177lu():
    """0.723 x 872 / 149.8 keV = 4.21; the published medians 3.75 / 0.91 give 4.12."""
    found = exchange_dose_ratio(41.0, "Lu-177", "Y-90", from_kev=149.8, to_kev=872.0)
    assert found == pytest.approx(4.21, rel=1e-3)


@pytest.mark.parametrize(
    ("day", "t_eff_h", "percent", "tolerance"),
    [(14, 92.0, 7.95, 0.005), (14, 49.5, 0.90, 0.01), (10, 92.0, 16.4, 0.05), (10, 49.5, 3.5, 0.05)],
)
def test_marrow_dose_that_is_left_on_the_day_of_the_transplant(day, t_eff_h, percent, tolerance):
    assert 100 * residual_fraction(day, t_eff_h) == pytest.approx(percent, abs=tolerance)
