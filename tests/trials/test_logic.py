"""Three-valued logic: an unknown never becomes a pass, and every comparison is literal at its limit."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.provenance import NoticeLog
from fusin.trials.logic import describe, evaluate
from fusin.trials.rules import Condition
from fusin.trials.values import Patient, column_map, completed, earlier

DAY = date(2026, 11, 21)


def finding(condition, log=None, **cells):
    log = NoticeLog() if log is None else log
    made = condition if isinstance(condition, Condition) else Condition.model_validate(condition)
    columns = column_map(list(cells), made.fields, log)
    return evaluate(made, Patient("p", cells, columns, log), DAY)


def truth(condition, **cells):
    return finding(condition, **cells).truth


def comparison(field, op, value, **more):
    return {"field": field, "op": op, "value": value, **more}


YES = comparison("allergy", "==", True)
GVHD = comparison("gvhd", "==", True)
CELL = {True: "yes", False: "no", None: None}
TABLE = [True, False, None]


@pytest.mark.parametrize("a", TABLE)
@pytest.mark.parametrize("b", TABLE)
def test_and_or_not_follow_kleenes_tables(a, b):
    # Kleene 1952, section 64: with F < U < T, "and" is the minimum, "or" the maximum, "not" turns the order round
    rank = {False: 0, None: 1, True: 2}
    back = {v: k for k, v in rank.items()}
    cells = {"allergy": CELL[a], "gvhd": CELL[b]}
    assert truth({"op": "all_of", "value": (YES, GVHD)}, **cells) is back[min(rank[a], rank[b])]
    assert truth({"op": "any_of", "value": (YES, GVHD)}, **cells) is back[max(rank[a], rank[b])]
    assert truth({"op": "not", "value": (YES,)}, **cells) is back[2 - rank[a]]


def test_an_unknown_says_what_to_ask_for_and_a_settled_one_asks_nothing():
    both = {"op": "all_of", "value": (YES, GVHD)}
    assert finding(both, allergy="yes", gvhd=None).ask == ("graft-versus-host disease",)
    assert finding(both, allergy="no", gvhd=None).ask == ()


@pytest.mark.parametrize(("op", "expected"), [(">=", True), ("<=", True), (">", False), ("<", False), ("==", True)])
def test_operators_are_literal_at_the_limit(op, expected):
    assert truth(comparison("lesion_size", op, 1.5, unit="cm"), lesion_size_cm=1.5) is expected
    assert truth(comparison("lesion_size", op, 1.5, unit="cm"), lesion_size_mm="15") is expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("> 60", True), ("<30", False), ("<=30", False), (">20", None), ("<90", None), (">30", True), (">=30", None)],
)
def test_a_laboratory_bound_is_an_interval(cell, expected):
    assert truth(comparison("egfr", ">", 30, unit="mL/min/1.73m2"), egfr_ml_min_1_73m2=cell) is expected


def test_between_is_inclusive_and_takes_bounds_into_account():
    rule = comparison("performance_status", "between", (0, 2))
    assert [truth(rule, ecog=v) for v in (0, 2, 3, "<2", ">2", ">1")] == [True, True, False, True, False, None]


def test_membership_of_a_number_is_three_valued():
    rule = comparison("performance_status", "in", (0, 1))
    assert [truth(rule, ecog=v) for v in (1, 2, "<1", ">1", ">=1")] == [True, False, None, False, None]
    assert truth({**rule, "op": "not_in"}, ecog=2) is True


def test_clearance_never_stands_in_for_egfr():
    rule = {
        "op": "any_of",
        "value": (
            comparison("egfr", ">", 30, unit="mL/min/1.73m2"),
            comparison("creatinine_clearance", ">", 60, unit="mL/min"),
        ),
    }
    assert truth(rule, egfr=25, creatinine_clearance=70) is True
    assert truth(rule, egfr=25, creatinine_clearance=50) is False
    assert truth(rule, egfr=None, creatinine_clearance=50) is None
    assert truth(rule, egfr="50 mL/min", creatinine_clearance=50) is None


ADULT = comparison("age", ">=", 18, unit="years")


@pytest.mark.parametrize(
    ("birth", "expected"),
    [("2008-11-21", True), ("2008-11-22", False), ("1950-01-01", True), (None, None), ("21.11.2008", None)],
)
def test_age_is_completed_years_at_the_reference_date(birth, expected):
    assert truth(ADULT, birth_date=birth) is expected


def test_a_stated_age_counts_in_completed_years():
    up_to_80 = comparison("age", "<=", 80, unit="years")
    assert [truth(ADULT, age=v) for v in (18, 17.99, "17 years", "<18", "130.5")] == [True, False, False, False, None]
    assert [truth(up_to_80, age=v) for v in (80.9, 81)] == [True, False]


def test_months_of_age_need_the_birth_date_unless_years_decide():
    infant = comparison("age", ">=", 6, unit="months")
    assert truth(infant, birth_date="2026-05-21") is True
    assert truth(infant, birth_date="2026-05-22") is False
    assert [truth(infant, age_years=v) for v in (0, 1)] == [None, True]
    assert truth(comparison("age", ">=", 10, unit="days"), age_years=3) is None


def test_a_leap_day_birthday_is_reached_on_the_first_of_march():
    assert completed(date(2008, 2, 29), date(2026, 2, 28), "years") == 17
    assert completed(date(2008, 2, 29), date(2026, 3, 1), "years") == 18


def test_months_before_a_date_keep_the_calendar():
    assert earlier(date(2024, 5, 31), 3, "months") == date(2024, 2, 29)
    assert earlier(date(2026, 1, 15), 1, "months") == date(2025, 12, 15)
    assert earlier(date(2024, 2, 29), 1, "years") == date(2023, 2, 28)


@given(st.dates(date(1930, 1, 1), date(2026, 1, 1)), st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_going_back_by_months_and_completing_them_agree(day, months):
    start = earlier(day, months, "months")
    assert start <= day
    # a clamped month end may fall short of the day by which the month would be complete
    assert completed(start, day, "months") - months in (0,)


FDG = comparison("fdg_pet_date", "==", True, window_days=14)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (DAY - timedelta(days=14), True),
        (DAY - timedelta(days=15), False),
        (DAY, True),
        (DAY + timedelta(days=1), None),
        ("never", False),
        ("yes", None),
        ("07/11/2026", None),
        (None, None),
    ],
)
def test_imaging_must_lie_in_its_window_before_the_reference_date(cell, expected):
    assert truth(FDG, fdg_pet_date=cell) is expected


def test_washout_is_the_absence_of_an_event_in_its_window():
    washout = comparison("allo_sct_date", "==", False, window_days=365)
    assert truth(washout, allo_sct="never") is True
    assert truth(washout, allo_sct=date(2025, 1, 1)) is True
    assert truth(washout, allo_sct=date(2026, 1, 1)) is False
    assert truth(washout, allo_sct=None) is None


@pytest.mark.parametrize(("op", "expected"), [(">", False), (">=", True), ("<=", True), ("<", False)])
def test_time_since_an_event_is_literal_at_the_limit(op, expected):
    assert truth(comparison("allo_sct_date", op, 12, unit="months"), allo_sct_date="2025-11-21") is expected
    assert truth(comparison("allo_sct_date", op, 12, unit="months"), allo_sct_date="never") is False


def test_a_date_after_the_reference_date_is_a_doubt():
    log = NoticeLog()
    assert finding(FDG, log, fdg_pet_date="2027-01-01").truth is None
    assert [n.code for n in log] == ["TRIAL_DATE_AFTER_REFERENCE"]
    assert truth(ADULT, birth_date="2027-01-01") is None


def test_a_value_with_a_window_needs_its_date():
    rule = comparison("egfr", ">", 30, unit="mL/min/1.73m2", window_days=28)
    assert truth(rule, egfr=60, egfr_date="2026-11-01") is True
    assert truth(rule, egfr=60, egfr_date="2026-10-01") is None
    assert truth(rule, egfr=60, egfr_date="2026-12-01") is None
    assert truth(rule, egfr=60) is None


MZL = comparison("diagnosis", "in", ("MZL",))


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("MZL", True),
        ("splenic marginal-zone lymphoma", True),
        ("lymphoma", None),
        ("NHL", None),
        ("multiple myeloma", False),
        ("PA; MALT lymphoma", True),
        ("PA; NHL", None),
        ("something else", None),
    ],
)
def test_a_general_diagnosis_may_still_be_the_one_asked_for(cell, expected):
    assert truth(MZL, diagnosis=cell) is expected
    inverted = {True: False, False: True, None: None}[expected]
    assert truth({**MZL, "op": "not_in"}, diagnosis=cell) is inverted


def test_lists_and_choices_compare_without_case_and_punctuation():
    rule = comparison("registry_membership", "in", ("19-DK-0066",))
    assert truth(rule, registry_membership="18 ch 0031; 19 dk 0066") is True
    assert truth(rule, registry_membership="none") is False
    assert truth(comparison("sex", "==", "female"), gender="F") is True


@pytest.mark.parametrize("cell", ["yes", "Y", "TRUE", True, 1, 1.0, "1", "positive", "ja"])
def test_yes_in_several_spellings(cell):
    assert truth(comparison("pregnancy", "==", True), pregnancy_test=cell) is True


@pytest.mark.parametrize("cell", ["no", "N", "false", False, 0, 0.0, "0", "negative", "nein"])
def test_no_in_several_spellings(cell):
    assert truth(comparison("pregnancy", "==", True), pregnant=cell) is False


@pytest.mark.parametrize("cell", ["perhaps", "", "n/a", "unknown", "?", "-", 2, "not done", None])
def test_anything_else_is_unknown(cell):
    assert truth(comparison("pregnancy", "==", True), pregnancy=cell) is None


def test_a_condition_reads_as_a_sentence():
    rule = Condition.model_validate({"op": "not", "value": ({"op": "any_of", "value": (FDG, MZL)},)})
    assert describe(rule) == "not ((fdg_pet_date yes within 14 days or diagnosis in MZL))"
    assert describe(Condition.model_validate(comparison("age", "between", (18, 80), unit="years"))) == (
        "age 18 to 80 years"
    )


@given(st.floats(0, 300), st.floats(0, 300))
@settings(max_examples=80, deadline=None)
def test_a_bound_never_claims_more_than_every_number_in_it(bound, actual):
    rule = comparison("egfr", ">", 30, unit="mL/min/1.73m2")
    for sign, holds in ((">", actual > bound), ("<=", actual <= bound)):
        claimed = truth(rule, egfr=f"{sign}{bound:.6f}")
        if holds and abs(actual - bound) > 1e-5 and claimed is not None:
            assert claimed is (actual > 30)
