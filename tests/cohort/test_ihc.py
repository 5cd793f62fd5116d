"""IHC scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fusin.cohort.ihc import (
    correlate_with_uptake,
    extent_class,
    h_score,
    immunoreactive_score,
    irs_category,
    score_table,
)
from fusin.cohort.synthetic import CohortDesign, make_cohort
from fusin.cohort.tables import IHC_SCORES
from fusin.errors import InputError, InvalidValue, MissingValue
from fusin.provenance import NoticeLog
from fusin.tabular.schema import read_table


@pytest.mark.parametrize(
    ("percent", "wanted"), [(0, 0), (0.5, 1), (9.9, 1), (10, 2), (50, 2), (51, 3), (80, 3), (81, 4), (100, 4)]
)
def test_extent_classes_follow_remmele_and_stegner(percent, wanted):
    # Remmele and Stegner, Pathologe 1987;8:138: none, <10 %, 10-50 %, 51-80 %, >80 %
    assert extent_class(percent) == wanted


def test_the_score_is_a_product_from_0_to_12():
    scores = {immunoreactive_score(i, e) for i in range(1, 4) for e in range(1, 5)} | {immunoreactive_score(0, 0)}
    assert (min(scores), max(scores)) == (0, 12)
    # PC-3 tumours of Schwarzenboeck 2017 have an IRS of 3: weak, or one class of extent
    assert irs_category(3) == "weak"


@pytest.mark.parametrize(
    ("score", "word"), [(0, "negative"), (1, "negative"), (2, "weak"), (4, "moderate"), (8, "moderate"), (9, "strong")]
)
def test_words_for_scores(score, word):
    assert irs_category(score) == word


@pytest.mark.parametrize("score", [5, 7, 10, 11, 13, -1])
def test_a_score_that_no_product_gives_is_refused(score):
    with pytest.raises(InvalidValue):
        irs_category(score)


@pytest.mark.parametrize(("intensity", "extent"), [(4, 1), (1, 5), (1.5, 2), (0, 2), (2, 0), (True, 1)])
def test_impossible_scores_are_refused(intensity, extent):
    with pytest.raises(InvalidValue):
        immunoreactive_score(intensity, extent)


def test_the_h_score_spans_0_to_300():
    assert h_score(0, 0, 0) == 0
    assert h_score(0, 0, 100) == 300
    assert h_score(20, 30, 10) == 110


@pytest.mark.parametrize("shares", [(60, 30, 20), (-1, 0, 0), (0.2, 0.3, 0.1)])
def test_impossible_shares_and_fractions_are_refused(shares):
    with pytest.raises(InvalidValue):
        h_score(*shares)


def test_a_missing_part_has_no_score():
    with pytest.raises(MissingValue):
        h_score(10, float("nan"), 0)
    with pytest.raises(MissingValue):
        immunoreactive_score(2, float("nan"))


def test_a_table_is_scored_row_by_row_and_missing_stays_missing():
    frame = pd.DataFrame({"patient": ["a", "b", "c"], "intensity": [2, 3, None], "stained_fraction": [0.4, 0.9, 0.5],
                          "weak_percent": [10, 0, 5], "moderate_percent": [30, 0, 5], "strong_percent": [0, 90, None]})  # fmt: skip
    scored = score_table(read_table(frame, IHC_SCORES, NoticeLog()))
    assert scored["irs"].tolist()[:2] == [4, 12]
    assert scored["h_score"].tolist()[:2] == [70, 270]
    assert scored[["irs", "h_score"]].isna().iloc[2].all()


def test_an_impossible_row_is_named():
    frame = pd.DataFrame({"patient": ["a", "b"], "intensity": [2, 0], "extent_class": [2, 3]})
    with pytest.raises(InputError, match="row 2"):
        score_table(read_table(frame, IHC_SCORES, NoticeLog()))
    frame = pd.DataFrame({"patient": ["a"], "intensity": [2], "extent_class": [4], "stained_fraction": [0.3]})
    with pytest.raises(InputError, match="extent_class"):
        score_table(read_table(frame, IHC_SCORES, NoticeLog()))


def test_correlation_leaves_out_incomplete_lesions_with_a_notice():
    log = NoticeLog()
    found = correlate_with_uptake([1, 2, 4, 8, np.nan], [2.0, 3.0, 5.0, 9.0, 4.0], log)
    assert (found.n, found.effect.value) == (4, pytest.approx(1.0))
    assert [n.code for n in log] == ["PAIRS_INCOMPLETE"]


def test_the_made_up_cohort_has_the_correlation_it_was_given():
    scored = score_table(make_cohort(CohortDesign(patients=2000, ihc_correlation=0.6), seed=5).ihc)
    found = correlate_with_uptake(scored["irs"].astype(float), scored["suv_max"], NoticeLog())
    # Spearman of a normal pair is 6/pi asin(r/2) = 0.582; twelve steps of the score take a little off.
    assert found.effect.value == pytest.approx(0.58, abs=0.05)
