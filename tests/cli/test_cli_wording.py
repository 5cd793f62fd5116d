"""Numbers and texts of the console."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusin.cli.wording import number, printable


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (None, 3, "-"), (math.nan, 3, "-"), (math.inf, 3, "-"), (-math.inf, 3, "-"), (0.0, 3, "0.000"), (1.0, 3, "1.00"),
        (12.345, 3, "12.3"), (1234.5, 3, "1234"), (0.1234, 3, "0.123"), (-2.5, 3, "-2.50"), (2.429029766e-4, 9, "0.000242902977"),
        (1e9, 3, "1e+09"), (60.0, 3, "60.0"), (7.91067, 4, "7.911"),
    ],
)  # fmt: skip
def test_a_number_has_its_significant_digits(value, digits, text):
    assert number(value, digits) == text


@given(st.floats(1e-3, 1e6), st.integers(3, 9))
def test_a_number_keeps_its_value(value, digits):
    assert float(number(value, digits)) == pytest.approx(
        value, rel=0.5 * 10.0 ** (1 - digits), abs=0.51 * 10.0**-digits + 0.5 * (value >= 100)
    )


@given(st.text())
def test_printable_text_is_one_line_without_control_characters(text):
    shown = printable(text)
    assert len(shown) == len(text)
    assert shown.isprintable()


@pytest.mark.parametrize("text", ["\x1b[2J", "\r\n", "\x00", "\u202e", "\x9b31m"])
def test_escape_sequences_lose_their_power(text):
    assert not set(printable(text)) & set("\x1b\r\n\x00\u202e\x9b")


def test_letters_of_other_languages_stay():
    assert printable("Müller, 山田^太郎") == "Müller, 山田^太郎"
