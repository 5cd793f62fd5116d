"""Subtype lines: each method keeps its own verdict, left against right is a discordance, and every line says why."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest

from fusin.cohort.aldosteronism import (
    SUBTYPE_COLUMNS,
    PetScan,
    pet_verdict,
    read_pet_scans,
    read_verdicts,
    relation_of,
    subtype_table,
)
from fusin.cohort.avs import AvsProcedure, AvsSample, assess_procedure
from fusin.cohort.concordance import CATEGORIES, CONCORDANCE_COLUMNS, concordance
from fusin.errors import InputError
from fusin.provenance import NoticeLog

GA, ALF = "68Ga-pentixafor", "18F-AlF-NOTA-pentixafor"


def scan(left=None, right=None, time_min=10.0, tracer=GA, patient="P1", **fields):
    return PetScan(patient=patient, tracer=tracer, time_min=time_min, suv_max_left=left, suv_max_right=right, **fields)


def judge(made, rule=None, log=None):
    return pet_verdict(made, rule=rule, log=NoticeLog() if log is None else log)


@pytest.mark.parametrize(
    ("left", "right", "verdict"), [(16.5, 10.0, "left"), (10.0, 16.5, "right"), (16.4, 10.0, "bilateral")]
)
def test_the_10_minute_cut_off_is_literal_and_names_itself(left, right, verdict):
    result = judge(scan(left, right))
    assert (result.verdict, result.by) == (verdict, "adrenal-li-hu2023")
    assert "[adrenal-li-hu2023]" in result.reason


def test_at_40_minutes_the_cut_off_that_states_no_time_is_used():
    result = judge(scan(15.0, 10.0, time_min=40.0))
    assert (result.verdict, result.by) == ("left", "adrenal-li-jcem2024")


def test_another_tracer_has_no_lateralisation_cut_off():
    result = judge(scan(20.0, 5.0, tracer=ALF))
    assert (result.verdict, result.by) == ("indeterminate", "")
    assert result.indices.li == 4.0


def test_a_rule_of_another_time_does_not_judge():
    result = judge(scan(20.0, 5.0, time_min=60.0), rule="adrenal-li-hu2023")
    assert result.verdict == "indeterminate"
    assert "made for 10 min" in result.reason


def test_a_missing_side_is_indeterminate_and_not_bilateral():
    log = NoticeLog()
    result = judge(scan(20.0, None), log=log)
    assert result.verdict == "indeterminate"
    assert "ADRENAL_SIDE_MISSING" in [n.code for n in log]


def test_cut_offs_that_disagree_are_noticed():
    log = NoticeLog()
    assert judge(scan(15.5, 10.0, liver_suv_mean=2.0), log=log).verdict == "bilateral"
    (notice,) = [n for n in log if n.code == "PET_CUTOFFS_DISAGREE"]
    assert "adrenal-li-jcem2024]" in notice.message


def test_the_reader_stands_before_the_index_unless_a_rule_is_named():
    made = scan(20.0, 5.0, reader_verdict="bilateral")
    assert judge(made).by == "reader"
    assert judge(made, rule="adrenal-li-hu2023").verdict == "left"


def test_a_rule_that_is_no_li_cut_off_is_refused():
    with pytest.raises(InputError, match="LI cut-off"):
        judge(scan(20.0, 5.0), rule="adrenal-llr-ding2020")


def test_all_four_indices_come_from_the_table():
    frame = pd.DataFrame(
        {
            "patient": ["P1"], "tracer": [GA], "time_min": [10], "suv_max_left": [12.0], "suv_max_right": [6.0],
            "suv_mean_left": [8.0], "suv_mean_right": [4.0], "adjacent_suv_mean_left": [3.0], "liver_suv_mean": [2.0],
        }
    )  # fmt: skip
    log = NoticeLog()
    table = subtype_table(read_pet_scans(frame, log=log), log=log).to_table()
    assert list(table.columns) == [c.name for c in SUBTYPE_COLUMNS]
    row = table.iloc[0]
    assert (row["li_early"], row["llr_early"], row["lcr_early"], row["lar_early"]) == (2.0, 6.0, 3.0, 4.0)
    assert row["li_late"] != row["li_late"]


def avs(verdict="left", patient="P1"):
    high, low = (
        AvsSample(aldosterone_nmol_l=80, cortisol_nmol_l=10),
        AvsSample(aldosterone_nmol_l=10, cortisol_nmol_l=10),
    )
    left, right = (high, low) if verdict == "left" else (low, high)
    peripheral = AvsSample(aldosterone_nmol_l=2, cortisol_nmol_l=1)
    made = AvsProcedure(patient=patient, phase="cosyntropin", left=left, right=right, peripheral=peripheral)
    return assess_procedure(made, log=NoticeLog())


def test_a_line_explains_itself():
    verdicts = {"P1": {"ct": "right", "avs": None}}
    (line,) = subtype_table([scan(20.0, 10.0)], verdicts=verdicts, avs=[avs()], log=NoticeLog()).lines
    assert line.relation == "opposite sides"
    assert line.sentence.startswith(
        "P1: CT right; PET left (at 10 min, LI 2.00 is >= 1.65 [adrenal-li-hu2023], dominant left)"
    )
    assert (
        "AVS left (Left: LI 8.00 (dominant left) is > 4 [avs-li-cosyntropin-4]; contralateral suppression"
        in line.sentence
    )
    assert line.sentence.endswith("Together: opposite sides.")


def test_times_that_disagree_and_reports_that_differ_are_noticed():
    log = NoticeLog()
    scans = [scan(20.0, 10.0), scan(11.0, 10.0, time_min=45.0), scan(20.0, 10.0, time_min=25.0)]
    (line,) = subtype_table(scans, verdicts={"P1": {"avs": "right"}}, avs=[avs()], log=log).lines
    assert (line.pet, line.avs, line.avs_by) == ("left", "left", "cosyntropin")
    assert {"PET_TIMES_DISAGREE", "PET_TIME_OTHER", "AVS_REPORTED_DIFFERS"} <= {n.code for n in log}
    (late,) = subtype_table(scans, prefer="late", log=NoticeLog()).lines
    assert (late.pet, late.row()["pet_time_min"]) == ("bilateral", 45.0)


def test_two_scans_in_one_window_or_two_avs_results_are_refused():
    with pytest.raises(InputError, match="one scan"):
        subtype_table([scan(2.0, 1.0), scan(2.0, 1.0, time_min=12.0)], log=NoticeLog())
    with pytest.raises(InputError, match="per patient"):
        subtype_table(avs=[avs(), avs()], log=NoticeLog())


@pytest.mark.parametrize(
    ("verdicts", "relation"),
    [
        (["left", "left", "left"], "concordant"),
        (["left", "right"], "opposite sides"),
        (["left", "bilateral", "right"], "opposite sides"),
        (["left", "bilateral"], "one does not lateralise"),
        (["left", "indeterminate"], "not comparable"),
        (["left"], "not comparable"),
        (["left", "indeterminate", "left"], "concordant"),
    ],
)
def test_relations_keep_opposite_sides_apart(verdicts, relation):
    assert {relation_of(p) for p in itertools.permutations(verdicts)} == {relation}


def test_verdicts_are_read_in_their_usual_spellings():
    log = NoticeLog()
    frame = pd.DataFrame(
        {"patient": ["A", "B"], "ct_verdict": ["Left", None], "avs_verdict": ["unilateral-right", "bilateral"]}
    )
    assert read_verdicts(frame, log=log) == {"A": {"ct": "left", "avs": "right"}, "B": {"ct": None, "avs": "bilateral"}}
    with pytest.raises(InputError, match="bilateral"):
        read_verdicts(frame.assign(ct_verdict="normal"), log=log)


def lines(pairs):
    verdicts = {f"P{i}": {"ct": one, "avs": two} for i, (one, two) in enumerate(pairs)}
    return subtype_table(verdicts=verdicts, log=NoticeLog()).lines


def test_opposite_sides_weigh_double_in_the_weighted_kappa_and_are_named():
    near = [("left", "bilateral")] * 3
    far = [("left", "right")] * 3
    base = [("left", "left")] * 5 + [("right", "right")] * 5 + [("bilateral", "bilateral")] * 5
    log = NoticeLog()
    mild, severe = (concordance(lines(base + extra), "ct", "avs", log=log) for extra in (near, far))
    assert severe.weighted_kappa.value < mild.weighted_kappa.value
    assert (severe.opposite_sides, severe.one_does_not_lateralise) == (3, 0)
    assert (mild.opposite_sides, mild.one_does_not_lateralise) == (0, 3)
    (notice,) = [n for n in log if n.code == "CONCORDANCE_OPPOSITE_SIDES"]
    assert "P15, P16, P17" in notice.message


def test_weighted_kappa_of_three_categories_is_the_hand_calculation():
    # Rows left, bilateral, right: [[5,1,0],[0,4,0],[1,0,5]]; weights 1, 1/2, 0. Observed 14/16 + (1/2)(1/16) = 14.5/16.
    # Expected: rows (6,4,6)/16, columns (6,5,5)/16: [36+20+30 + (30+24+20+30)/2]/256 = (86 + 52)/256.
    pairs = [("left", "left")] * 5 + [("left", "bilateral")] + [("bilateral", "bilateral")] * 4
    pairs += [("right", "left")] + [("right", "right")] * 5
    found = concordance(lines(pairs), "ct", "avs", log=NoticeLog())
    observed, expected = 14.5 / 16, 138 / 256
    assert found.weighted_kappa.value == pytest.approx((observed - expected) / (1 - expected))


def test_the_table_has_four_categories_and_indeterminate_is_not_compared():
    pairs = [("left", "left"), ("indeterminate", "left"), ("right", None), ("bilateral", "bilateral")]
    found = concordance(lines(pairs), "ct", "avs", log=NoticeLog())
    assert (found.n, found.missing, found.comparable, found.concordant) == (3, 1, 2, 2)
    table = found.to_table()
    assert list(table.columns) == [c.name for c in CONCORDANCE_COLUMNS]
    assert table.set_index("first").loc["indeterminate", "left"] == 1
    assert found.to_json()["categories"] == list(CATEGORIES)


def test_no_comparable_patient_gives_no_kappa():
    found = concordance(lines([("indeterminate", "left")]), "ct", "avs", log=NoticeLog())
    assert found.kappa is None
    assert found.agreement.value is None
