"""Marrow dose: blood ratio, images, components, residual dose, refusals."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusin.dosimetry.marrow import BloodCurve, MarrowRegion, active_marrow_g, marrow_dose, sgouros_ratio
from fusin.dosimetry.organs import log_normal
from fusin.errors import InputError, InvalidValue, MissingValue
from fusin.provenance import NoticeLog


def region(tia=30.0, marrow=75.0, **more):
    return MarrowRegion(**{"name": "L2-L4", "tia_mbq_h": tia, "marrow_g": marrow, "source": "made up", **more})


def codes(log):
    return [n.code for n in log]


def test_the_blood_ratio_is_that_of_sgouros_1993():
    """Ratio at haematocrit 0.47 with 0.19: 0.3585, printed as 0.36."""
    assert sgouros_ratio(0.47, 0.19) == pytest.approx(0.3585, abs=5e-5)


def test_dose_of_a_concentration_is_energy_times_decays_per_gram():
    """1 MBq h/g at 84 keV: 3.6e9 decays/g x 84e3 x 1.602e-19 J / 1e-3 kg = 0.04845 Gy."""
    found = marrow_dose(absorbed_kev=84.0, regions=[region(tia=75.0, marrow=75.0)], cross_gy=0.0)
    assert found.dose_gy.value == pytest.approx(3.6e9 * 84e3 * 1.602176634e-19 / 1e-3, rel=1e-12)


@given(share=st.floats(0.01, 1.0), total=st.floats(500.0, 2000.0))
def test_one_concentration_gives_one_dose_whatever_part_of_the_skeleton_was_seen(share, total):
    mass = active_marrow_g(total_g=total, share=share)
    found = marrow_dose(absorbed_kev=84.0, regions=[region(tia=0.4 * mass, marrow=mass)], cross_gy=0.0)
    assert found.dose_gy.value == pytest.approx(0.4 * 0.048449822, rel=1e-6)


def test_marrow_of_a_region_is_its_volume_times_the_shares():
    assert active_marrow_g(
        volume_ml=150.0, marrow_volume_share=0.8, cellularity=0.7, density_g_ml=1.03
    ) == pytest.approx(86.52)


def test_blood_alone_is_flagged_as_a_lower_bound():
    log = NoticeLog()
    found = marrow_dose(absorbed_kev=84.0, blood=BloodCurve(tia_mbq_h_per_g=0.05, ratio=0.36), cross_gy=0.0, log=log)
    assert found.lower_bound
    assert found.method == "blood only"
    assert codes(log) == ["MARROW_BLOOD_ONLY"]
    assert found.dose_gy.value == pytest.approx(0.05 * 0.36 * 0.048449822, rel=1e-6)


def test_images_and_blood_are_split_and_their_sum_is_the_images():
    log = NoticeLog()
    found = marrow_dose(absorbed_kev=84.0, regions=[region(tia=log_normal(30.0, 0.1, level=0.95, n=4))],
                        blood=BloodCurve(tia_mbq_h_per_g=log_normal(0.05, 0.05, level=0.95, n=6), ratio=0.36),
                        cross_gy=0.0, log=log)  # fmt: skip
    parts = {p.name: p.dose_gy for p in found.components}
    assert not found.lower_bound
    assert parts["specific"].value + parts["blood"].value == pytest.approx(found.dose_gy.value, rel=1e-12)
    assert parts["specific"].low < parts["specific"].value < parts["specific"].high
    assert codes(log) == []


def test_a_specific_part_near_zero_is_a_warning_and_a_negative_one_is_refused():
    log = NoticeLog()
    curve = BloodCurve(tia_mbq_h_per_g=log_normal(1.0, 0.05, level=0.95, n=6), ratio=0.36)
    marrow_dose(
        absorbed_kev=84.0,
        regions=[region(tia=log_normal(27.5, 0.1, level=0.95, n=4))],
        blood=curve,
        cross_gy=0.0,
        log=log,
    )
    assert codes(log) == ["NO_SPECIFIC_MARROW"]
    with pytest.raises(InvalidValue) as caught:
        marrow_dose(
            absorbed_kev=84.0, regions=[region(tia=log_normal(10.0, 0.1, level=0.95, n=4))], blood=curve, cross_gy=0.0
        )
    assert caught.value.code == "BLOOD_EXCEEDS_IMAGE"


def test_regions_are_pooled_by_their_marrow():
    found = marrow_dose(
        absorbed_kev=84.0, regions=[region(tia=10.0, marrow=50.0), region(tia=50.0, marrow=70.0)], cross_gy=0.0
    )
    assert found.components[0].tia_mbq_h_per_g == pytest.approx(60.0 / 120.0)


def test_dose_after_the_transplant_day_is_that_of_each_half_life():
    found = marrow_dose(
        absorbed_kev=84.0,
        regions=[region(t_eff_h=92.0)],
        blood=BloodCurve(tia_mbq_h_per_g=0.2, ratio=0.36, t_eff_h=20.0),
    )
    specific, blood = (p.dose_gy.value for p in found.components)
    expected = specific * 2 ** (-14 * 24 / 92) + blood * 2 ** (-14 * 24 / 20)
    assert found.residual_gy(14) == pytest.approx(expected, rel=1e-12)
    assert found.residual_gy(0) == pytest.approx(found.dose_gy.value, rel=1e-12)
    with pytest.raises(MissingValue):
        marrow_dose(absorbed_kev=84.0, regions=[region()]).residual_gy(14)


def test_cross_dose_is_added_or_its_absence_is_said():
    log = NoticeLog()
    alone = marrow_dose(absorbed_kev=84.0, regions=[region(tia=log_normal(30.0, 0.1, level=0.95, n=4))], log=log)
    assert codes(log) == ["MARROW_CROSS_DOSE_LEFT_OUT"]
    both = marrow_dose(absorbed_kev=84.0, regions=[region(tia=log_normal(30.0, 0.1, level=0.95, n=4))],
                       cross_gy=log_normal(0.01, 0.2, level=0.95, n=1))  # fmt: skip
    assert both.dose_gy.value == pytest.approx(alone.dose_gy.value + 0.01)
    assert math.log(both.dose_gy.high / both.dose_gy.low) < math.log(alone.dose_gy.high / alone.dose_gy.low)


def test_a_dose_without_uncertainties_has_no_limits():
    assert marrow_dose(absorbed_kev=84.0, regions=[region()], cross_gy=0.0).dose_gy.low is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: sgouros_ratio(42.0, 0.19),
        lambda: sgouros_ratio(1.0, 0.19),
        lambda: sgouros_ratio(0.42, 0.0),
        lambda: sgouros_ratio(math.nan, 0.19),
        lambda: marrow_dose(absorbed_kev=84.0),
        lambda: marrow_dose(absorbed_kev=0.0, regions=[region()]),
        lambda: marrow_dose(absorbed_kev=84.0, regions=[region(marrow=0.0)]),
        lambda: marrow_dose(absorbed_kev=84.0, regions=[region(tia=-1.0)]),
        lambda: marrow_dose(absorbed_kev=84.0, blood=BloodCurve(tia_mbq_h_per_g=0.05, ratio=0.0)),
        active_marrow_g,
        lambda: active_marrow_g(total_g=1170.0),
        lambda: active_marrow_g(total_g=1170.0, share=6.8),
        lambda: active_marrow_g(total_g=1170.0, share=0.1, volume_ml=3.0),
        lambda: active_marrow_g(volume_ml=150.0, marrow_volume_share=0.8, cellularity=70.0, density_g_ml=1.03),
    ],
)
def test_shares_in_percent_and_missing_parts_are_refused(call):
    with pytest.raises(InputError):
        call()
