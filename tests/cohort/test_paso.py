"""PASO outcome: literal at its limits, and never more certain than its inputs."""

from __future__ import annotations

import dataclasses
import itertools

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.cohort.paso import PASO_RESULT_COLUMNS, PasoInput, paso_outcome, paso_table, read_paso
from fusin.errors import InputError
from fusin.provenance import NoticeLog


def outcome(**fields):
    return paso_outcome(PasoInput(patient="P", **fields), log=NoticeLog())


def clinical(sbp=(150, 150), dbp=(90, 90), ddd=(3.0, 3.0), normal=False):
    return outcome(
        sbp_before_mmhg=sbp[0], sbp_after_mmhg=sbp[1], dbp_before_mmhg=dbp[0], dbp_after_mmhg=dbp[1],
        ddd_before=ddd[0], ddd_after=ddd[1], normal_bp_after=normal,
    ).clinical  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"normal": True, "ddd": (3.0, 0.0)}, "complete"),
        ({"normal": True, "ddd": (3.0, 1.0)}, "partial"),
        ({"sbp": (150, 130)}, "partial"),  # exactly 20 mmHg is a reduction
        ({"sbp": (150, 130.1)}, "absent"),
        ({"dbp": (90, 80)}, "partial"),  # exactly 10 mmHg
        ({"dbp": (90, 80.1)}, "absent"),
        ({"ddd": (3.0, 2.5)}, "partial"),  # exactly 0.5 DDD less
        ({"ddd": (3.0, 2.51)}, "absent"),
        ({"ddd": (1.3, 0.8)}, "partial"),  # 0.5 also in decimal digits that binary numbers miss
        ({"ddd": (0.8, 1.3)}, "absent"),
        ({"sbp": (150, 170)}, "absent"),
        ({"sbp": (150, 130), "dbp": (80, 90)}, "partial"),  # opposing: systolic decides
        ({"sbp": (150, 170), "dbp": (90, 80)}, "absent"),
        ({"sbp": (150, 130), "ddd": (3.0, 3.5)}, "unclassified"),  # lower with more medication has no row
        ({"sbp": (150, 170), "ddd": (3.0, 2.5)}, "unclassified"),
        ({"sbp": (150, 130), "ddd": (3.0, 3.49)}, "partial"),
        ({"normal": True, "ddd": (0.0, 0.0)}, "complete"),
    ],
)
def test_clinical_outcome_is_that_of_the_table(changes, expected):
    assert clinical(**changes) == expected


def biochemical(**fields):
    return outcome(**fields).biochemical


@pytest.mark.parametrize(
    ("potassium", "raised", "test", "after", "expected"),
    [
        (False, False, "not-done", 90.0, "complete"),
        (False, True, "suppressed", 90.0, "complete"),
        (False, True, "improved", 90.0, "partial"),
        (False, True, "abnormal", 50.0, "partial"),  # exactly 50 % less
        (False, True, "abnormal", 50.1, "absent"),
        (False, True, "not-done", 20.0, "partial"),
        (False, True, "not-done", 90.0, "unclassified"),
        (True, False, "suppressed", 10.0, "absent"),
    ],
)
def test_biochemical_outcome_is_that_of_the_table(potassium, raised, test, after, expected):
    found = biochemical(
        hypokalaemia_after=potassium, arr_raised_after=raised, confirmatory_test=test,
        aldosterone_before=100.0, aldosterone_after=after,
    )  # fmt: skip
    assert found == expected


def test_missing_inputs_that_cannot_matter_do_not_matter():
    assert biochemical(hypokalaemia_after=True) == "absent"
    assert biochemical(hypokalaemia_after=False, arr_raised_after=False) == "complete"
    assert biochemical(hypokalaemia_after=False, arr_raised_after=True) == "indeterminate"
    # Systolic 25 mmHg less decides whatever the diastolic did, and medication was stopped.
    found = outcome(sbp_before_mmhg=160, sbp_after_mmhg=135, ddd_before=2.0, ddd_after=0.0, normal_bp_after=False)
    assert found.clinical == "partial"


def test_nothing_known_is_indeterminate_and_says_what_is_possible():
    found = outcome()
    assert (found.clinical, found.biochemical) == ("indeterminate", "indeterminate")
    assert "Possible: absent, complete, partial, unclassified" in found.clinical_reason


CHOICES = {
    "sbp_before_mmhg": (150.0,),
    "sbp_after_mmhg": (120.0, 150.0, 180.0),
    "dbp_before_mmhg": (90.0,),
    "dbp_after_mmhg": (70.0, 90.0, 110.0),
    "ddd_before": (0.0, 0.4, 2.0),
    "ddd_after": (0.0, 0.2, 1.8, 4.0),
    "normal_bp_after": (True, False),
    "hypokalaemia_after": (True, False),
    "arr_raised_after": (True, False),
    "confirmatory_test": ("suppressed", "improved", "abnormal", "not-done"),
    "aldosterone_before": (100.0,),
    "aldosterone_after": (40.0, 80.0),
}


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_hiding_a_value_never_turns_one_outcome_into_another(data):
    """An unknown makes a verdict indeterminate or leaves it alone; it never changes it."""
    full = {name: data.draw(st.sampled_from(values), label=name) for name, values in CHOICES.items()}
    hidden = data.draw(st.sets(st.sampled_from(sorted(full))))
    known = outcome(**full)
    partly = outcome(**{k: v for k, v in full.items() if k not in hidden})
    assert partly.clinical in (known.clinical, "indeterminate")
    assert partly.biochemical in (known.biochemical, "indeterminate")


def test_every_full_input_has_an_outcome():
    keys = (
        "sbp_before_mmhg",
        "sbp_after_mmhg",
        "dbp_before_mmhg",
        "dbp_after_mmhg",
        "ddd_before",
        "ddd_after",
        "normal_bp_after",
    )
    for values in itertools.product(*(CHOICES[k] for k in keys)):
        assert outcome(**dict(zip(keys, values, strict=True))).clinical != "indeterminate"


def test_time_outside_the_window_and_rows_without_a_match_are_noticed():
    log = NoticeLog()
    patient = PasoInput(
        patient="P", months_after=3.0, sbp_before_mmhg=150, sbp_after_mmhg=120, dbp_before_mmhg=90, dbp_after_mmhg=90,
        ddd_before=1.0, ddd_after=3.0, normal_bp_after=False,
    )  # fmt: skip
    paso_outcome(patient, log=log)
    assert [n.code for n in log] == ["PASO_FOLLOW_UP", "PASO_UNCLASSIFIED"]
    quiet = NoticeLog()
    paso_outcome(dataclasses.replace(patient, months_after=12.0, ddd_after=1.0), log=quiet)
    assert len(quiet) == 0


def test_a_table_is_read_and_written():
    frame = pd.DataFrame(
        {
            "patient": ["A", "B"],
            "sbp_before_mmhg": [160, 150],
            "sbp_after_mmhg": [120, None],
            "ddd_before": [2, 1],
            "ddd_after": [0, 0],
            "normal_bp_after": ["yes", "no"],
            "confirmatory_test": ["suppressed", None],
        }
    )
    log = NoticeLog()
    patients = read_paso(frame, log=log)
    assert patients[1].sbp_after_mmhg is None
    assert patients[0].confirmatory_test == "suppressed"
    table = paso_table([paso_outcome(p, log=log) for p in patients])
    assert list(table.columns) == [c.name for c in PASO_RESULT_COLUMNS]
    assert list(table["clinical"]) == ["complete", "indeterminate"]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"patient": ["A", "A"]}, "one row for each"),
        ({"patient": ["A", "B"], "sbp_before_mmhg": [0, 120]}, "above 0"),
        ({"patient": ["A", "B"], "ddd_after": [-1, 0]}, "at least 0"),
        ({"patient": ["A", "B"], "confirmatory_test": ["good", None]}, "suppressed"),
        ({"name": ["A", "B"]}, "patient"),
    ],
)
def test_a_bad_table_is_refused(columns, words):
    with pytest.raises(InputError, match=words):
        read_paso(pd.DataFrame(columns), log=NoticeLog())
