"""Doses of [68Ga]Ga-Pentixafor from one vial: case B of the project's radiopharmacy sheet, section 7."""

from __future__ import annotations

import pytest

from fusin.provenance import NoticeLog
from fusin.radiopharmacy.dispensing import DispenseRules, Order, Vial, last_injection_s
from fusin.radiopharmacy.dispensing_plan import plan_doses
from fusin.radiopharmacy.moments import Clock

VIAL = Vial(name="A", nuclide="Ga-68", activity_mbq=600.0, volume_ml=10.0)
ORDERS = [
    Order(id=f"P{i}", dose_mbq=150.0, earliest_s=60.0 * m, latest_s=60.0 * m, lead_s=600.0)
    for i, m in enumerate((20, 50, 80, 110), start=1)
]


@pytest.fixture(scope="module")
def plan():
    return plan_doses(ORDERS, [VIAL], DispenseRules(), clock=Clock(), log=NoticeLog())


def test_volumes_of_all_four_patients_are_case_b(plan):
    assert [s.volume_ml for s in plan.servings] == pytest.approx([3.068, 4.171, 5.670, 7.709], abs=5e-4)


def test_only_two_patients_fit_and_the_third_would_need_12_909_ml(plan):
    assert not plan.feasible
    assert plan.exact
    assert [s.served for s in plan.servings] == [True, True, False, False]
    assert plan.vials[0].used_ml == pytest.approx(7.239, abs=5e-4)
    assert "12.909 mL" in plan.reason
    assert plan.binding == "vial_volume"


def test_the_vial_falls_to_one_dose_after_135_4_minutes():
    last, binding = last_injection_s(ORDERS[0], VIAL, DispenseRules())
    assert last / 60.0 == pytest.approx(135.4, abs=0.05)
    assert binding == "vial_volume"


def test_the_syringe_holds_more_at_the_draw_than_at_the_injection(plan):
    first = plan.servings[0]
    assert first.injection_mbq == pytest.approx(150.0)
    # 150 MBq x 2**(10/67.71)
    assert first.activity_mbq == pytest.approx(166.17, abs=0.005)
