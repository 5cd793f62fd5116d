"""Adrenal vein sampling: indices do not depend on units, verdicts name their thresholds, and doubts stay doubts."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.cohort.avs import (
    AvsProcedure,
    AvsRules,
    AvsSample,
    assess_both_phases,
    assess_procedure,
    avs_indices,
    default_rules,
    to_nmol_l,
)
from fusin.cohort.avs_table import AVS_RESULT_COLUMNS, avs_table, read_procedures
from fusin.errors import InputError
from fusin.evidence.catalogue import all_records
from fusin.provenance import NoticeLog


def procedure(ac_left=8.0, ac_right=1.0, si_left=10.0, si_right=10.0, phase="cosyntropin", ac_periphery=2.0, **changes):
    """Samples with a peripheral cortisol of 1, so that each index is the number set."""

    def adrenal(ac, si):
        return AvsSample(aldosterone_nmol_l=ac * si, cortisol_nmol_l=si, metanephrine_nmol_l=si)

    made = AvsProcedure(
        patient="P1",
        phase=phase,
        left=adrenal(ac_left, si_left),
        right=adrenal(ac_right, si_right),
        peripheral=AvsSample(aldosterone_nmol_l=ac_periphery, cortisol_nmol_l=1.0, metanephrine_nmol_l=1.0),
    )
    return dataclasses.replace(made, **changes)


def assess(made, rules=None):
    return assess_procedure(made, rules=rules, log=NoticeLog())


# Conversion factors as clinical laboratories print them (AMA Manual of Style, SI conversion): aldosterone 1 ng/dL is
# 27.74 pmol/L, cortisol 1 ug/dL is 27.59 nmol/L, metanephrine 1 pg/mL is 0.00507 nmol/L.
@pytest.mark.parametrize(
    ("value", "unit", "hormone", "nmol", "rel"),
    [
        (1.0, "ng/dL", "aldosterone", 0.02774, 2e-4),
        (1.0, "ug/dL", "cortisol", 27.59, 2e-4),
        (1.0, "pg/mL", "metanephrine", 0.00507, 1e-3),
        (500.0, "pmol/L", "aldosterone", 0.5, 1e-12),
        (3.0, "nmol/L", "cortisol", 3.0, 1e-12),
        (1.0, "ng/mL", "cortisol", 2.759, 2e-4),
    ],
)
def test_units_convert_by_the_factors_of_the_laboratories(value, unit, hormone, nmol, rel):
    assert to_nmol_l(value, unit, hormone) == pytest.approx(nmol, rel=rel)


def test_an_unknown_unit_is_refused():
    with pytest.raises(InputError, match="ng/dL"):
        to_nmol_l(1.0, "ng/l", "cortisol")


def test_indices_are_those_of_the_formulas():
    # Hand calculation: A/C left 4000/400 = 10, right 600/300 = 2, periphery 100/20 = 5.
    made = AvsProcedure(
        patient="P1",
        phase="cosyntropin",
        left=AvsSample(aldosterone_nmol_l=4000, cortisol_nmol_l=400),
        right=AvsSample(aldosterone_nmol_l=600, cortisol_nmol_l=300),
        peripheral=AvsSample(aldosterone_nmol_l=100, cortisol_nmol_l=20),
    )
    i = avs_indices(made)
    assert (i.si_left, i.si_right, i.dominant, i.li) == (20.0, 15.0, "left", 5.0)
    assert (i.csi, i.rasi_left, i.rasi_right) == (0.4, 2.0, 0.4)


concentration = st.floats(0.1, 1e4)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(concentration, min_size=6, max_size=6), factor=st.floats(1e-3, 1e3))
def test_swapping_sides_swaps_the_verdict_and_scaling_a_hormone_changes_nothing(values, factor):
    samples = [
        AvsSample(aldosterone_nmol_l=a, cortisol_nmol_l=c) for a, c in zip(values[::2], values[1::2], strict=True)
    ]
    scaled = [dataclasses.replace(s, aldosterone_nmol_l=s.aldosterone_nmol_l * factor) for s in samples]
    make = {"patient": "P", "phase": "cosyntropin"}
    one = avs_indices(AvsProcedure(left=samples[0], right=samples[1], peripheral=samples[2], **make))
    two = avs_indices(AvsProcedure(left=samples[1], right=samples[0], peripheral=samples[2], **make))
    big = avs_indices(AvsProcedure(left=scaled[0], right=scaled[1], peripheral=scaled[2], **make))
    assert (one.li, one.csi, one.si_left, one.rasi_left) == (two.li, two.csi, two.si_right, two.rasi_right)
    assert one.li >= 1.0
    assert big.li == pytest.approx(one.li, rel=1e-9)
    assert big.csi == pytest.approx(one.csi, rel=1e-9)


@pytest.mark.parametrize(
    ("li", "verdict", "grey"),
    [(4.01, "left", False), (4.0, "indeterminate", True), (3.01, "indeterminate", True), (3.0, "bilateral", False)],
)
def test_default_thresholds_under_cosyntropin_are_literal_at_their_limits(li, verdict, grey):
    result = assess(procedure(ac_left=li))
    assert (result.verdict, result.grey_zone) == (verdict, grey)


@pytest.mark.parametrize(("si", "selective"), [(3.0, True), (2.99, False)])
def test_selectivity_of_exactly_three_is_enough(si, selective):
    result = assess(procedure(si_right=si))
    assert result.selective_right is selective
    assert (result.verdict == "left") is selective


@pytest.mark.parametrize(("periphery", "suppressed"), [(1.0, False), (1.001, True)])
def test_a_csi_of_exactly_one_is_no_suppression(periphery, suppressed):
    assert assess(procedure(ac_periphery=periphery)).suppressed is suppressed


def test_a_failed_cannulation_gives_no_verdict_and_shows_the_other_side():
    result = assess(procedure(si_right=1.5))
    assert result.verdict == "indeterminate"
    assert "annulation of the right vein failed" in result.reason
    assert "SI left 10.00, right 1.50 against >= 3 [avs-si-cosyntropin-3]" in result.reason
    assert "RASI of the left side is 4.00" in result.reason


def test_a_missing_sample_is_no_failed_cannulation():
    result = assess(procedure(right=AvsSample()))
    assert (result.verdict, result.selective_right) == ("indeterminate", None)
    assert "selectivity of the right vein is unknown" in result.reason.lower()


def test_without_cosyntropin_no_unverified_selectivity_becomes_a_default():
    made = procedure(phase="basal")
    assert assess(made).verdict == "indeterminate"
    assert "name one by id" in assess(made).reason
    log = NoticeLog()
    asked = dataclasses.replace(default_rules("basal"), selectivity="avs-si-basal-2")
    result = assess_procedure(made, rules=asked, log=log)
    assert result.verdict == "left"
    assert [n.code for n in log] == ["AVS_THRESHOLD_UNVERIFIED"]


@pytest.mark.parametrize("phase", ["basal", "cosyntropin"])
@pytest.mark.parametrize("normaliser", ["cortisol", "metanephrine"])
def test_every_default_threshold_was_read_in_its_source(phase, normaliser):
    grades = {r.id: r.is_default_grade for r in all_records()}
    rules = default_rules(phase, normaliser)
    used = [i for i in (rules.selectivity, rules.lateralised, rules.bilateral, rules.suppression) if i]
    assert used
    assert all(grades[i] for i in used)


def test_a_basal_li_of_four_is_lateralised_and_below_is_not():
    rules = AvsRules(selectivity="avs-si-basal-2", lateralised="avs-li-4", bilateral="avs-li-4-bilateral")
    verdicts = [assess(procedure(ac_left=li, phase="basal"), rules).verdict for li in (4.0, 3.99)]
    assert verdicts == ["left", "bilateral"]


def test_a_threshold_of_the_other_phase_is_doubted():
    log = NoticeLog()
    rules = dataclasses.replace(default_rules("cosyntropin"), lateralised="avs-li-basal-2")
    assess_procedure(procedure(), rules=rules, log=log)
    assert {n.code for n in log} == {"AVS_THRESHOLD_UNVERIFIED", "AVS_THRESHOLD_CONDITION"}


def test_a_record_of_another_index_is_refused():
    rules = dataclasses.replace(default_rules("cosyntropin"), lateralised="avs-csi-1")
    with pytest.raises(InputError, match="threshold of li"):
        assess(procedure(), rules)


def test_suppression_can_be_required():
    rules = dataclasses.replace(default_rules("cosyntropin"), require_suppression=True)
    assert assess(procedure(ac_periphery=0.5), rules).verdict == "indeterminate"
    assert assess(procedure(ac_periphery=2.0), rules).verdict == "left"


def test_cortisol_cosecretion_is_doubted_and_metanephrine_is_the_way_out():
    log = NoticeLog()
    made = procedure(si_left=13.0, si_right=13.0, cortisol_cosecretion=True)
    assess_procedure(made, log=log)
    assert "AVS_CORTISOL_COSECRETION" in [n.code for n in log]
    quiet = NoticeLog()
    result = assess_procedure(made, rules=default_rules("cosyntropin", "metanephrine"), log=quiet)
    assert (result.verdict, len(quiet)) == ("left", 0)
    assert "metanephrine ratio left 13.00" in result.reason


@pytest.mark.parametrize(("ratio", "selective"), [(12.0, True), (11.99, False)])
def test_the_metanephrine_ratio_is_literal_at_twelve(ratio, selective):
    result = assess(procedure(si_left=ratio), default_rules("cosyntropin", "metanephrine"))
    assert result.selective_left is selective


def test_equal_sides_are_bilateral():
    result = assess(procedure(ac_left=1.0))
    assert (result.verdict, result.indices.dominant, result.indices.li) == ("bilateral", "equal", 1.0)


def test_both_phases_have_to_agree():
    basal_rules = dataclasses.replace(
        default_rules("basal"), selectivity="avs-si-basal-2", lateralised="avs-li-trial-reference", bilateral=None
    )

    def both(basal_li, stimulated_li):
        first, second = procedure(ac_left=basal_li, phase="basal"), procedure(ac_left=stimulated_li)
        return assess_both_phases(first, second, basal_rules=basal_rules, log=NoticeLog())

    assert both(4.0, 4.0).verdict == "left"
    assert both(3.9, 3.9).verdict == "bilateral"
    split = both(4.0, 3.9)
    assert split.verdict == "indeterminate"
    assert split.reason.startswith("The phases disagree.")


ROWS = [
    ("left", 4000.0, "pmol/L", 400.0),
    ("right", 600.0, "pmol/L", 300.0),
    ("peripheral", 100.0, "pmol/L", 20.0),
]


def frame(rows=ROWS, **columns):
    made = pd.DataFrame(rows, columns=["site", "aldosterone", "aldosterone_unit", "cortisol"])
    return made.assign(**({"patient": "P1", "phase": "cosyntropin", "cortisol_unit": "nmol/L"} | columns))


def test_a_table_of_samples_becomes_procedures():
    (made,) = read_procedures(frame(), log=NoticeLog())
    assert made.left.aldosterone_nmol_l == pytest.approx(4.0)
    assert avs_indices(made).li == pytest.approx(5.0)
    assert made.cortisol_cosecretion is None


def test_the_unit_of_a_table_does_not_change_an_index():
    other = frame([(s, a / 27.743, "ng/dL", c) for s, a, _, c in ROWS])
    one, two = (avs_indices(read_procedures(f, log=NoticeLog())[0]) for f in (frame(), other))
    assert two.li == pytest.approx(one.li, rel=1e-9)
    assert two.csi == pytest.approx(one.csi, rel=1e-9)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (frame([("left", 400.0, "ng/dL", 4.0), *ROWS[1:]]), "pmol/L|ng/dL"),
        (frame([("left", 0.0, "pmol/L", 4.0), *ROWS[1:]]), "above 0"),
        (frame([("left", 4.0, None, 4.0), *ROWS[1:]]), "aldosterone_unit"),
        (frame([("left", 4.0, "mmol/L", 4.0), *ROWS[1:]]), "nmol/L"),
        (frame([ROWS[0], *ROWS]), "one row for each"),
        (frame([("middle", 4.0, "pmol/L", 4.0), *ROWS[1:]]), "left, right, peripheral"),
        (frame(phase="rest"), "basal, cosyntropin"),
        (frame().drop(columns="site"), "site"),
        (frame(cortisol_cosecretion=["yes", "no", None]), "one answer"),
    ],
)
def test_a_bad_table_is_refused_with_row_and_column(bad, words):
    with pytest.raises(InputError, match=words):
        read_procedures(bad, log=NoticeLog())


def test_a_result_goes_to_json():
    found = assess(procedure()).to_json()
    assert found["verdict"] == "left"
    assert found["rules"]["lateralised"] == "avs-li-cosyntropin-4"
    assert found["indices"]["li"] == 8.0


def test_results_make_a_table_with_the_documented_columns():
    table = avs_table([assess(procedure()), assess(procedure(si_right=1.0))])
    assert list(table.columns) == [c.name for c in AVS_RESULT_COLUMNS]
    assert list(table["verdict"]) == ["left", "indeterminate"]
    assert list(table["selective_right"]) == [True, False]
    assert table.loc[0, "lateralised_rule"] == "avs-li-cosyntropin-4"
