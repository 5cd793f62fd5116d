"""From texts of the command line to the options of a reading."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusin.cli.scan_options import read_options, study_options, window_limits
from fusin.errors import InputError
from fusin.imaging.body_size import NORMS

STUDY = study_options(None, None, "bw", None, False, None, "oncology", False)
NOTHING = {"reference": None, "at": None, "exclude": None, "visual": None, "min_volume": 0.3, "split": True}


@pytest.mark.parametrize("norm", NORMS)
def test_every_norm_is_known(norm):
    assert study_options(None, None, norm, None, False, None, "oncology", False).suv.norm == norm


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("--norm", (None, None, "lean", None, False, None, "oncology", False)),
        ("--protocol", (None, None, "bw", None, False, None, "nonsense", False)),
        ("--residual", (None, None, "bw", "much", False, None, "oncology", False)),
        ("--residual", (None, None, "bw", "-3", False, None, "oncology", False)),
        ("--residual", (None, None, "bw", "inf", False, None, "oncology", False)),
    ],
)
def test_an_impossible_choice_names_its_option(field, arguments):
    with pytest.raises(InputError, match=field):
        study_options(*arguments)


@pytest.mark.parametrize(("text", "value"), [(None, None), ("header", "header"), ("0", 0.0), ("12.5", 12.5)])
def test_residual_is_a_number_or_the_header(text, value):
    assert study_options(None, None, "bw", text, False, None, "oncology", False).suv.residual == value


def test_options_arrive_where_they_belong():
    made = study_options("PET", 2, "bw", None, True, 1, "oncology", True)
    assert (made.series, made.phase, made.protocol, made.strict) == ("PET", 2, "oncology", True)
    assert (made.suv.half_life_from_code, made.suv.item) == (True, 1)


def test_a_reading_without_options_is_the_default_one():
    made = read_options(STUDY, **NOTHING)
    assert (made.references, made.at, made.exclude, made.visual) == ((), (), (), {})
    assert made.search.min_volume_ml == 0.3


def test_references_and_answers_are_parsed():
    made = read_options(
        STUDY,
        **{
            **NOTHING,
            "reference": ["liver=a=b.nii", "aorta=x.dcm"],
            "visual": ["r1=yes", "r2=NO"],
            "at": ["liver=1,2,3"],
        },
    )
    assert made.references == (("liver", Path("a=b.nii")), ("blood_pool", Path("x.dcm")))
    assert made.visual == {"r1": True, "r2": False}
    assert made.at == ("liver=1,2,3",)


@pytest.mark.parametrize(
    ("option", "texts"),
    [
        ("reference", ["liver"]), ("reference", ["liver="]), ("reference", ["foot=x"]), ("reference", [""]),
        ("visual", ["rule"]), ("visual", ["rule=maybe"]), ("visual", [""]),
    ],
)  # fmt: skip
def test_a_text_that_cannot_be_parsed_names_its_option(option, texts):
    with pytest.raises(InputError, match=f"--{option}"):
        read_options(STUDY, **{**NOTHING, option: texts})


@pytest.mark.parametrize(
    ("text", "limits"), [("0,10", (0.0, 10.0)), ("-1, 2.5", (-1.0, 2.5)), ("1e-3,1", (0.001, 1.0))]
)
def test_a_window_is_two_rising_numbers(text, limits):
    assert window_limits(text) == limits


@given(st.text(max_size=12) | st.from_regex(r"[-0-9.einfa]{0,6},[-0-9.einfa]{0,6}", fullmatch=True))
def test_any_other_window_is_refused(text):
    try:
        low, high = window_limits(text)
    except InputError:
        low, high = 0.0, 1.0
    assert float("-inf") < low < high < float("inf")
