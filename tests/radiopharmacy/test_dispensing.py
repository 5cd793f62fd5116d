"""One dose: volume, residue, limits, interval; a day: delays, drawn doses, reasons."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.dispensing import (
    DispenseRules,
    Order,
    Vial,
    administered_mbq,
    cap_ml,
    draw_volume_ml,
    last_injection_s,
)
from fusin.radiopharmacy.dispensing_plan import plan_doses, vial_course
from fusin.radiopharmacy.moments import Clock

VIAL = Vial(name="A", nuclide="Ga-68", activity_mbq=1000.0, volume_ml=10.0)


def order(minutes=60.0, name="P", **more):
    return Order(**({"id": name, "dose_mbq": 100.0, "earliest_s": 60 * minutes, "latest_s": 60 * minutes} | more))


def plan(orders, vials=(VIAL,), log=None, **rules):
    return plan_doses(
        orders, list(vials), DispenseRules(**rules), clock=Clock(), log=NoticeLog() if log is None else log
    )


@given(
    minutes=st.floats(-200, 400),
    share=st.floats(0, 0.5),
    residue=st.floats(0, 0.5),
    dose=st.floats(1, 500),
)
def test_what_is_administered_is_the_dose_whatever_stays_in_the_syringe(minutes, share, residue, dose):
    one = order(minutes, dose_mbq=dose, residual_fraction=share, residual_ml=residue)
    volume = draw_volume_ml(one, VIAL, one.earliest_s)
    assert administered_mbq(one, VIAL, one.earliest_s, volume) == pytest.approx(dose, rel=1e-9)


def test_the_volume_does_not_depend_on_when_it_is_drawn():
    early, late = (plan([order(lead_s=60.0 * m)]).servings[0] for m in (5, 30))
    assert early.volume_ml == late.volume_ml
    assert late.activity_mbq == pytest.approx(early.activity_mbq * 2 ** (25 / 67.71))


def test_a_dose_of_177lu_hardly_decays():
    vial = Vial(name="L", nuclide="Lu-177", activity_mbq=7400.0, volume_ml=20.0)
    # 6.647 d half-life (ICRP Publication 107): 24 h leave 0.9010
    assert draw_volume_ml(order(1440.0, dose_mbq=7400.0 * 0.9010), vial, 86400.0) == pytest.approx(20.0, rel=1e-4)


def test_the_smallest_cap_is_named():
    vial = replace(VIAL, content_per_ml={"peptide_ug": 10.0, "endotoxin_eu": 1.0})
    rules = DispenseRules(limits={"peptide_ug": 50.0, "endotoxin_eu": 17.5})
    assert cap_ml(order(), vial, rules).limit == "limit:peptide_ug"
    assert cap_ml(order(), vial, rules).ml == pytest.approx(5.0)
    assert cap_ml(order(max_volume_ml=3.0), vial, rules).limit == "max_volume"


def test_the_last_injection_is_where_the_volume_meets_its_cap():
    one = order(max_volume_ml=4.0, residual_ml=0.2, residual_fraction=0.03)
    last, binding = last_injection_s(one, VIAL, DispenseRules())
    assert binding == "max_volume"
    assert draw_volume_ml(one, VIAL, last) == pytest.approx(4.0)


def test_an_expiry_comes_before_the_volume():
    vial = replace(VIAL, expires_s=3000.0)
    assert last_injection_s(order(), vial, DispenseRules()) == (3000.0, "expiry")
    found = plan([order(60)], [vial])
    assert found.binding == "expiry"
    assert "expiry of vial A" in found.reason


def test_an_expiry_at_the_moment_of_the_injection_is_kept():
    assert plan([order(60)], [replace(VIAL, expires_s=3600.0)]).feasible


def test_a_dose_that_is_too_early_for_its_vial_says_so():
    found = plan([order(10, lead_s=600.0)], [replace(VIAL, available_s=1200.0)])
    assert found.binding == "not_available"
    assert "ready at 20.0 min" in found.reason


def test_a_window_waits_for_the_vial():
    found = plan([order(earliest_s=0.0, latest_s=7200.0, lead_s=600.0)], [replace(VIAL, available_s=1200.0)])
    assert found.servings[0].injection_s == 1800.0
    assert found.servings[0].draw_s == 1200.0


def test_the_dead_volume_is_never_drawn():
    needs = [order(0, name=f"P{i}", dose_mbq=250.0) for i in range(4)]
    assert plan(needs).feasible
    assert not plan(needs, [replace(VIAL, dead_volume_ml=0.1)]).feasible


def test_the_common_delay_is_where_the_plan_breaks():
    orders = [order(20, name="P1"), order(50, name="P2")]
    found = plan(orders)
    for shift, fits in ((-1.0, True), (1.0, False)):
        seconds = found.delay.delay_s + shift
        later = [replace(o, earliest_s=o.earliest_s + seconds, latest_s=o.latest_s + seconds) for o in orders]
        assert plan(later).feasible is fits
    assert found.delay.binding == "vial_volume"


def test_a_drawn_dose_takes_its_volume_and_gives_what_it_holds():
    found = plan([order(60, name="P1", drawn_ml=3.0), order(60, name="P2")])
    first = next(s for s in found.servings if s.order.id == "P1")
    assert first.administered.value == pytest.approx(300.0 * 2 ** (-60 / 67.71))
    assert found.vials[0].used_ml == pytest.approx(3.0 + 100 / (100 * 2 ** (-60 / 67.71)))


def test_more_drawn_than_the_vial_holds_is_doubted():
    log = NoticeLog()
    plan([order(60, drawn_ml=12.0)], log=log)
    assert [n.code for n in log] == ["VIAL_OVERDRAWN"]


def test_a_limit_without_a_content_is_said_not_to_be_checked():
    log = NoticeLog()
    plan([order()], log=log, limits={"endotoxin_eu": 175.0})
    assert [n.code for n in log] == ["LIMIT_NOT_CHECKED"]


def test_a_patient_is_never_given_another_nuclide():
    lutetium = Vial(name="L", nuclide="Lu-177", activity_mbq=7400.0, volume_ml=20.0)
    found = plan([order(nuclide="Ga-68")], [lutetium])
    assert found.binding == "nuclide"
    with pytest.raises(InputError, match="Ga-68 and Lu-177"):
        plan([order()], [VIAL, lutetium])


def test_contents_of_a_dose_follow_its_volume():
    found = plan([order(0)], [replace(VIAL, content_per_ml={"peptide_ug": 5.0})])
    assert found.servings[0].amounts == pytest.approx({"peptide_ug": 5.0})


def test_the_interval_of_the_administered_activity_covers_simulated_doses():
    """Vial activity, moment and volume vary as stated; about 95 of 100 doses lie within the interval."""
    vial = replace(VIAL, activity_u_relative=0.02)
    estimate = plan([order(60)], [vial], time_tolerance_s=240.0, volume_u_ml=0.03).servings[0].administered
    volume = draw_volume_ml(order(60), vial, 3600.0)
    rng = np.random.default_rng(3)
    n = 20_000
    activity = 100.0 * (1 + 0.02 * rng.standard_normal(n))
    moment_s = 3600.0 + rng.uniform(-240.0, 240.0, n)
    given_mbq = activity * 2 ** (-moment_s / 4062.6) * (volume + 0.03 * rng.standard_normal(n))
    assert 0.93 <= np.mean((estimate.low <= given_mbq) & (given_mbq <= estimate.high)) <= 0.97


def test_without_a_stated_uncertainty_there_is_no_interval():
    given_mbq = plan([order()]).servings[0].administered
    assert (given_mbq.low, given_mbq.high) == (None, None)
    assert given_mbq.note


def test_the_course_of_a_vial_ends_with_what_is_left():
    found = plan([order(20, name="P1"), order(50, name="P2")])
    course = vial_course(found, VIAL)
    assert course[0][1:] == pytest.approx((10.0, 1000.0))
    assert course[-1][1] == pytest.approx(found.vials[0].left_ml)


def test_names_that_stand_twice_are_refused():
    with pytest.raises(InputError, match="each name once"):
        plan([order(name="P"), order(name="P")])


def test_a_time_of_another_year_is_refused():
    with pytest.raises(InputError, match="half-lives"):
        plan([order(60 * 24 * 365)])


def test_a_dose_that_is_drawn_keeps_its_place_in_the_injection_room():
    drawn = order(30, name="P1", drawn_ml=2.0)
    found = plan([drawn, order(name="P2", earliest_s=1200.0, latest_s=7200.0)], gap_s=1200.0)
    assert next(s.injection_s for s in found.servings if s.order.id == "P2") == 3000.0


def test_what_was_drawn_from_no_vial_is_refused():
    with pytest.raises(InputError, match="drawn from"):
        plan([order(nuclide="Lu-177", drawn_ml=1.0)])


def test_two_fixed_times_closer_than_the_gap_name_the_gap():
    found = plan([order(30, name="P1"), order(40, name="P2")], gap_s=1200.0)
    assert found.binding == "gap"


def test_a_residue_above_the_largest_volume_can_never_be_served():
    found = plan([order(residual_ml=0.5, max_volume_ml=0.4)])
    assert "it never can be" in found.reason
    assert found.servings[0].latest_s == -np.inf


def test_the_reason_names_the_activity_that_a_whole_vial_holds():
    weak = replace(VIAL, activity_mbq=200.0, volume_ml=10.0, dead_volume_ml=0.0, reference_s=0.0)
    reason = plan([order(15.0, dose_mbq=250.0, lead_s=600.0)], [weak]).reason
    # 200 MBq x 2^(-15 / 67.71) = 171.5 MBq
    assert "10.000 mL are possible (volume of the vial), which then hold 171.5 MBq" in reason
    assert "last possible" not in reason


def test_the_reason_names_the_residue_and_that_a_dose_comes_from_one_vial():
    two = [replace(VIAL, name=n, activity_mbq=200.0, volume_ml=5.0, dead_volume_ml=0.0, reference_s=0.0) for n in "AB"]
    doses = [order(m, str(m), dose_mbq=d, residual_fraction=0.01) for m, d in ((10, 120.0), (12, 120.0), (14, 90.0))]
    reason = plan(doses, two).reason
    assert "0.034 mL of it for the residue" in reason
    assert "a dose is drawn from one vial" in reason
