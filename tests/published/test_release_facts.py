"""Numbers about half-lives, impurities, endotoxin and shelf life that follow from print by hand calculation."""

from __future__ import annotations

import pytest

from fusin.radiopharmacy.breakthrough import impurity_of
from fusin.radiopharmacy.half_life import two_reading_u_s
from fusin.radiopharmacy.limits import endotoxin_limit_iu_ml


@pytest.mark.parametrize(
    ("minutes", "u_min", "digit"), [(5, 5.6, 0.05), (10, 2.8, 0.05), (20, 1.40, 0.005), (30, 0.94, 0.005)]
)
def test_uncertainty_of_a_two_reading_half_life(minutes, u_min, digit):
    # u(T) = T^2 sqrt(2) r / (dt ln 2) with T = 67.71 min and r = 0.3 %
    u = two_reading_u_s(67.71 * 60, interval_s=60 * minutes, repeatability=0.003) / 60
    assert u == pytest.approx(u_min, abs=digit)


def test_germanium_after_four_hours_and_its_crossing_times():
    # Daniel 2023: 1.48e-5 % 68Ge; 2^(t/T) by hand
    germanium = impurity_of("Ge-68", "Ga-68")
    assert germanium.percent_at(1.48e-5, 4 * 3600) == pytest.approx(1.73e-4, rel=0.003)
    assert germanium.crossing_s(1.48e-5, 0.001) / 60 == pytest.approx(412, abs=0.5)
    assert germanium.crossing_s(0.0005, 0.001) / 60 == pytest.approx(67.7, abs=0.05)


@pytest.mark.parametrize(("days", "factor", "digit"), [(7, 2.01, 0.005), (14, 4.05, 0.005), (30, 20.1, 0.05)])
def test_share_of_lutetium_177m_grows(days, factor, digit):
    lutetium = impurity_of("Lu-177m", "Lu-177")
    assert lutetium.percent_at(1e-5, days * 86400) / 1e-5 == pytest.approx(factor, abs=digit)


@pytest.mark.parametrize(("volume_ml", "limit"), [(3, 58.3), (10, 17.5), (16, 10.94)])
def test_endotoxin_limits_that_are_printed(volume_ml, limit):
    # 58.3, 17.5 (PSMA-11, UCLA and UCSF) and 10.9 IU/mL (University of Michigan) are printed
    assert float(endotoxin_limit_iu_ml(volume_ml)) == pytest.approx(limit, abs=0.05 if volume_ml == 3 else 0.005)
