"""A missing value is a dash and never a zero."""

from __future__ import annotations

import math
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusin.report.wording import DASH, KIND_TITLES, any_value, flat, interval, millimetres, number, verdict, words


@pytest.mark.parametrize("missing", [None, math.nan, math.inf, -math.inf])
def test_missing_numbers_are_dashes(missing: float | None) -> None:
    assert number(missing) == DASH
    assert interval(missing, missing) == DASH
    assert any_value(missing) == DASH
    assert millimetres(None if missing is None else (1.0, 2.0, missing)) == DASH


def test_a_true_zero_is_shown_as_zero() -> None:
    assert number(0.0) == "0.00"
    assert any_value(0) == "0"


@given(st.floats(-1e6, 1e6))
def test_printed_numbers_are_right_to_their_decimals(value: float) -> None:
    assert float(number(value, 2).replace(",", "")) == pytest.approx(value, abs=0.00501)


def test_intervals_with_one_end_say_which_is_missing() -> None:
    assert interval(1.0, None) == f"1.00 to {DASH}"


def test_positions_are_whole_millimetres_without_negative_zero() -> None:
    assert millimetres((-0.2, 12.6, -300.4)) == "0, 13, -300"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("20260412", "2026-04-12"),
        ("12345678", "12345678"),
        (datetime(2026, 4, 12, 9, 31, 7, 500000), "2026-04-12 09:31:07"),
        (date(2026, 4, 12), "2026-04-12"),
        ((4.0, 4.0, 3.5), "4, 4, 3.5"),
        (True, "yes"),
        ("", DASH),
        ((), DASH),
        ({"a": None}, '{"a": null}'),
    ],
)
def test_facts_of_any_type_have_a_plain_text(value: object, text: str) -> None:
    assert any_value(value) == text


def test_nested_parameters_become_dotted_names_in_order() -> None:
    assert flat({"b": {"x": 1, "a": {"z": None}}, "a": {}}) == [("b.x", "1"), ("b.a.z", DASH), ("a", "{}")]


def test_the_three_verdicts_differ_in_word_and_symbol() -> None:
    found = [verdict(v) for v in (True, False, None)]
    assert len({f["word"] for f in found}) == len({f["symbol"] for f in found}) == 3


def test_every_reference_kind_has_a_title() -> None:
    from typing import get_args

    from fusin.quantification.references import ReferenceKind

    assert set(KIND_TITLES) == set(get_args(ReferenceKind))
    assert words("lesion_table") == "Lesion table"
