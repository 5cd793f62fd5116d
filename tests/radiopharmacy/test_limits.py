"""Limits: bounds, values beyond a limit of detection, rounding and units."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusin.errors import InputError
from fusin.radiopharmacy.limits import Limit, Measured, convert, endotoxin_limit_iu_ml, judge, read_measured, unit_key

D = Decimal
NUMBERS = st.decimals(min_value=-1000, max_value=1000, places=3, allow_nan=False, allow_infinity=False)


def measured(text):
    return read_measured(text, where="batch", field="value")[0]


@pytest.mark.parametrize(
    ("operator", "text", "passed"),
    [
        ("<", "4.9", True), ("<", "5", False), ("<=", "5", True), ("<=", "5.0", True), (">", "5", False), (">=", "5", True),
        ("<", "<5", True), ("<=", "<5", True), ("<", "<6", None), ("<", "<=5", None), ("<=", "<=5", True), ("<", ">5", False),
        ("<=", ">=5", None), ("<", ">=5", False), (">", ">5", True), (">", ">=5", None), (">=", ">=5", True), (">", "<5", False),
        (">=", "<=5", None), (">", "<=5", False), (">=", "<7", None), (">", ">4", None),
    ],
)  # fmt: skip
def test_one_bound_of_five_against_exact_and_censored_values(operator, text, passed):
    side = {"low": D(5)} if operator[0] == ">" else {"high": D(5)}
    assert judge(Limit(operator=operator, **side), measured(text)) is passed


def test_the_verdict_uses_the_digits_that_were_written_and_not_their_binary_neighbours():
    assert judge(Limit(operator=">=", low=D("64.4")), Measured(value=D("64.4"))) is True
    assert judge(Limit(operator="<=", high=D("0.001")), Measured(value=D("0.0010000000001"))) is False


@given(value=NUMBERS, low=NUMBERS, width=st.decimals(min_value=0, max_value=100, places=3))
def test_a_range_is_met_exactly_when_both_its_sides_are(value, low, width):
    both = Limit(operator="range", low=low, high=low + width)
    sides = (Limit(operator=">=", low=low), Limit(operator="<=", high=low + width))
    assert judge(both, Measured(value=value)) == all(judge(s, Measured(value=value)) for s in sides)


@given(bound=NUMBERS, lod=NUMBERS, truth=NUMBERS)
def test_a_censored_verdict_is_never_contradicted_by_a_value_that_it_covers(bound, lod, truth):
    verdict = judge(Limit(operator="<=", high=bound), Measured(value=lod, qualifier="<"))
    if truth < lod and verdict is not None:
        assert judge(Limit(operator="<=", high=bound), Measured(value=truth)) is verdict


def test_a_failing_value_passes_only_where_the_limit_asks_for_rounding():
    # USP General Notices 7.20: 2.4 against 2 is 2 after rounding to the digits of the limit; 2.5 is 3.
    exact = Limit(operator="<=", high=D(2))
    rounded = Limit(operator="<=", high=D(2), rounding="limit-digits")
    assert judge(exact, Measured(value=D("2.4"))) is False
    assert judge(rounded, Measured(value=D("2.4"))) is True
    assert judge(rounded, Measured(value=D("2.5"))) is False


def test_a_limit_per_volume_rounds_to_the_digits_of_the_printed_bound():
    """175 IU/V at 40 mL: 4.4 IU/mL are 176 IU and fail, though 4.4 rounded to a whole number would be below 4.375."""
    limit = Limit(operator="<=", high=D(175), unit="IU/mL", per_volume=True, rounding="limit-digits")
    assert judge(limit, Measured(value=D("4.4")), volume_ml=D(40)) is False
    assert judge(limit, Measured(value=D("4.38")), volume_ml=D(40)) is True, "175.2 IU are 175 IU"


def test_a_limit_without_a_number_is_never_judged():
    assert judge(Limit(operator="none"), Measured(value=D(1))) is None
    assert judge(Limit(operator="none"), Measured(statement="complies")) is None


@pytest.mark.parametrize("text", ["1,000", "abc", "5 EU/mL", "nan", "inf", "", "<", "--5", "1.2.3"])
def test_what_is_no_result_is_refused_in_one_sentence(text):
    with pytest.raises(InputError) as refusal:
        measured(text)
    assert "\n" not in str(refusal.value)


def test_below_the_limit_of_detection_needs_that_limit():
    with pytest.raises(InputError, match="lod"):
        measured("<LOD")
    found, _ = read_measured("<LOD", where="batch", field="value", lod=D(5))
    assert (found.qualifier, found.value) == ("<", D(5))


@pytest.mark.parametrize(
    ("value", "unit", "to", "expected"),
    [
        ("50", "psi", "mbar", 3447.378646584), ("3.45", "bar", "mbar", 3450), ("0.6", "GBq", "MBq", 600),
        ("67.71", "min", "s", 4062.6),
        ("10", "mCi", "MBq", 370), ("5", "EU/mL", "IU/mL", 5), ("0.95", "fraction", "%", 95), ("20", "µg/mL", "mg/L", 20),
    ],
)  # fmt: skip
def test_units_of_one_kind_convert(value, unit, to, expected):
    assert float(convert(D(value), unit, to, where="b", field="unit")) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("unit", "to"), [("", "%"), ("min", "%"), ("mBq", "MBq"), ("EU", "EU/mL"), ("furlong", "min")])
def test_units_of_different_kinds_are_refused(unit, to):
    with pytest.raises(InputError):
        convert(D(1), unit, to, where="b", field="unit")


def test_millibecquerel_is_not_megabecquerel():
    assert unit_key("mBq") != unit_key("MBq")


@pytest.mark.parametrize("volume", [None, 0, -3, float("nan")])
def test_a_limit_per_volume_needs_a_positive_volume(volume):
    with pytest.raises(InputError):
        endotoxin_limit_iu_ml(volume)
