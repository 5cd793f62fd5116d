"""Criteria text: heads in their varieties, backslashes, lists, and signs that a mirror lost."""

from __future__ import annotations

import pytest

from fusin.provenance import NoticeLog
from fusin.trials.criteria import split_criteria, unescape


def split(text, log=None):
    return split_criteria(text, NoticeLog() if log is None else log, where="NCT00000001")


def test_markdown_backslashes_are_removed_and_others_kept():
    assert (
        unescape(r"\[68Ga\]Ga-Pentixafor, eGFR \> 30, \>= 2, C:\temp")
        == "[68Ga]Ga-Pentixafor, eGFR > 30, >= 2, C:\\temp"
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Inclusion Criteria:", "Exclusion Criteria:"),
        ("INCLUSION CRITERIA", "EXCLUSION CRITERIA"),
        ("**Inclusion Criteria**", "**Exclusion Criteria**"),
        ("* Inclusion criteria :", "* Exclusion criteria :"),
        ("Key Inclusion Criteria -", "Key Exclusion Criteria -"),
        ("Inclusion Criteria for Cohort A:", "Exclusion Criteria (all cohorts):"),
        ("Inclusion:", "Exclusion:"),
        ("Inclusion criteria", "Non-inclusion criteria"),
        ("Main inclusion criterion:", "Non inclusion criteria:"),
    ],
)
def test_heads_in_their_varieties(first, second):
    found = split(f"{first}\n\n* Adult\n* Lymphoma\n\n{second}\n\n* Pregnancy")
    assert (found.inclusion, found.exclusion, found.unsplit) == (("Adult", "Lymphoma"), ("Pregnancy",), ())


def test_a_criterion_on_the_line_of_its_head_counts():
    found = split("Inclusion Criteria: 1. Age over 18\n2. Lymphoma\nExclusion Criteria: pregnancy")
    assert found.inclusion == ("Age over 18", "Lymphoma")
    assert found.exclusion == ("pregnancy",)


def test_a_criterion_that_mentions_exclusion_is_no_head():
    found = split(
        "Inclusion Criteria:\n* Adult\n* Exclusion of brain metastases by MRI\n* Patients who meet exclusion criteria of X"
    )
    assert len(found.inclusion) == 3


def test_deeper_levels_follow_their_parent():
    found = split("Inclusion Criteria:\n\n1. One of:\n   * AML\n   * ALL\n2. Adult\n   and fit\n")
    assert found.inclusion == ("One of:\n* AML\n* ALL", "Adult\nand fit")


def test_lines_without_bullets_are_one_criterion_each():
    assert split("Inclusion Criteria:\nAdult\nLymphoma").inclusion == ("Adult", "Lymphoma")


def test_a_text_without_heads_is_kept_whole_and_told():
    log = NoticeLog()
    found = split("Adults with lymphoma", log)
    assert found.unsplit == ("Adults with lymphoma",)
    assert found.items == ("unsplit: Adults with lymphoma",)
    assert [n.code for n in log] == ["TRIAL_CRITERIA_UNSPLIT"]


@pytest.mark.parametrize("line", ["Age = 18 years", "Age ? 18", "Age \ufffd 18", "eGFR =30"])
def test_a_sign_that_a_mirror_lost_is_a_doubt(line):
    log = NoticeLog()
    split(f"Inclusion Criteria:\n* {line}", log)
    assert [n.code for n in log] == ["TRIAL_OPERATOR_LOST"]


@pytest.mark.parametrize("line", ["Age >= 18", "Age \\>= 18", "Age ≥ 18", "ECOG <= 2", "a != 3"])
def test_a_sign_that_is_there_is_no_doubt(line):
    log = NoticeLog()
    split(f"Inclusion Criteria:\n* {line}", log)
    assert not list(log)
