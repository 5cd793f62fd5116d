"""Cells: units are converted or refused, never guessed, and every doubt is told once."""

from __future__ import annotations

import pytest

from fusin.errors import InputError, StrictRefusal
from fusin.provenance import NoticeLog
from fusin.trials.values import Names, Patient, Span, Unknown, column_map


def read(name, log=None, **cells):
    log = NoticeLog() if log is None else log
    return Patient("p1", cells, column_map(list(cells), [name], log), log).value(name)


@pytest.mark.parametrize(
    "cells",
    [
        {"glucose_mmol_l": 10},
        {"glucose_mg_dl": "180.156"},
        {"Blood Glucose [mmol/L]": 10.0},
        {"glucose": "10 mmol/l"},
        {"glucose": 10, "glucose_unit": "mmol/L"},
    ],
)
def test_a_unit_may_stand_in_name_header_cell_or_beside(cells):
    value = read("glucose", **cells)
    assert isinstance(value, Span)
    assert value.low == pytest.approx(180.156)


def test_glucose_without_a_unit_is_unknown_because_two_are_usual():
    log = NoticeLog()
    value = read("glucose", log, glucose=10)
    assert isinstance(value, Unknown)
    assert "no unit" in value.reason
    assert [n.code for n in log] == ["TRIAL_VALUE_UNUSABLE"]


def test_an_egfr_without_a_unit_is_taken_as_usual_with_a_notice_and_refused_in_strict_mode():
    log = NoticeLog()
    assert read("egfr", log, egfr=45).low == 45
    assert [(n.code, n.severity) for n in log] == [("TRIAL_UNIT_ASSUMED", "adapted")]
    with pytest.raises(StrictRefusal):
        read("egfr", NoticeLog(strict=True), egfr=45)


def test_years_of_age_need_no_unit_even_in_strict_mode():
    assert read("age", NoticeLog(strict=True), age=45).low == 45


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({"lesion_size_cm": "1,5"}, "decimal comma"),
        ({"lesion_size_cm": "15 mm"}, "unit other than"),
        ({"lesion_size_cm": "-2"}, "impossible"),
        ({"lesion_size_cm": "large"}, "no number"),
        ({"lesion_size": "2 inch"}, "cannot be converted"),
        ({"lesion_size_cm": True}, "no number"),
        ({"lesion_size_cm": 2, "lesion_size_mm": 30}, "disagree"),
    ],
)
def test_what_cannot_be_read_is_unknown_with_its_reason(cells, why):
    value = read("lesion_size", **cells)
    assert isinstance(value, Unknown)
    assert why in value.reason


def test_two_columns_that_agree_are_one_value():
    assert read("lesion_size", lesion_size_cm=2, lesion_size_mm=20).low == 2


def test_a_second_column_fills_a_gap():
    assert read("egfr", egfr_ml_min_1_73m2=None, egfr_ml_s_1_73m2=1.0).low == 60


def test_diagnoses_are_read_as_codes():
    assert read("diagnosis", diagnosis="Conn's syndrome | MALT") == Names(("PA", "EMZL"))


def test_columns_that_are_missing_or_unused_are_told():
    log = NoticeLog()
    column_map(["id", "shoe_size", "age"], ["age", "sex"], log)
    assert [(n.code, n.where) for n in log] == [("TRIAL_COLUMN_UNUSED", "shoe_size"), ("TRIAL_COLUMN_MISSING", "sex")]


def test_a_column_that_occurs_twice_is_refused():
    with pytest.raises(InputError, match="each column once"):
        column_map(["Age", "age "], ["age"], NoticeLog())


def test_a_birth_date_goes_before_a_stated_age():
    log = NoticeLog()
    row = {"birth_date": "2000-01-01", "age": 12}
    value = Patient("p", row, column_map(list(row), ["age"], log), log).value("age")
    assert value.on.year == 2000
