"""Diagnostic accuracy from counts, rows and a marker."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.cohort.accuracy import accuracy_counts, accuracy_of_marker, accuracy_rows
from fusin.cohort.tables import ACCURACY_ROWS
from fusin.errors import InputError, InvalidValue, MissingValue
from fusin.provenance import NoticeLog
from fusin.tabular.schema import read_table

CELLS = st.tuples(*[st.integers(0, 60)] * 4).filter(any)


def table(rows: list[tuple[object, ...]], *columns: str) -> pd.DataFrame:
    return read_table(pd.DataFrame(rows, columns=list(columns)), ACCURACY_ROWS, NoticeLog())


def from_counts(tp: int, fn: int, fp: int, tn: int, *, missing: tuple[tuple[object, object], ...] = ()) -> pd.DataFrame:
    pairs = (
        [("pos", "pos")] * tp + [("neg", "pos")] * fn + [("pos", "neg")] * fp + [("neg", "neg")] * tn + list(missing)
    )
    return table([(f"P{i}", *pair) for i, pair in enumerate(pairs)], "patient", "result", "reference")


def codes(log) -> set[str]:
    return {n.code for n in log}


def test_the_contract_of_each_share():
    found = accuracy_counts(55, 17, 7, 6).to_json()
    for name in ("sensitivity", "specificity", "ppv", "npv", "accuracy"):
        assert {"value", "low", "high", "method", "k", "n"} <= set(found[name])
    assert (found["sensitivity"]["k"], found["sensitivity"]["n"], found["sensitivity"]["method"]) == (55, 72, "Wilson")
    assert "notices" in found


def test_ratios_by_hand():
    found = accuracy_counts(40, 10, 5, 45)
    assert found.lr_positive.value == pytest.approx(0.8 / 0.1)
    assert found.lr_negative.value == pytest.approx(0.2 / 0.9)
    assert found.dor.value == pytest.approx(40 * 45 / (10 * 5))
    # ln 36 +- 1.96 sqrt(1/40 + 1/10 + 1/5 + 1/45): 11.3 to 114.4
    assert (found.dor.low, found.dor.high) == (pytest.approx(11.33, abs=0.02), pytest.approx(114.4, abs=0.2))
    assert found.youden.value == pytest.approx(0.7)


@settings(max_examples=40, deadline=None)
@given(CELLS)
def test_swapping_health_and_disease_swaps_the_measures(cells):
    tp, fn, fp, tn = cells
    one, two = accuracy_counts(tp, fn, fp, tn), accuracy_counts(tn, fp, fn, tp)
    assert (one.sensitivity, one.ppv, one.accuracy) == (two.specificity, two.npv, two.accuracy)


@settings(max_examples=40, deadline=None)
@given(CELLS)
def test_each_estimate_lies_in_its_interval(cells):
    found = accuracy_counts(*cells)
    for name in ("sensitivity", "specificity", "ppv", "npv", "accuracy", "lr_positive", "lr_negative", "youden"):
        e = getattr(found, name)
        if None not in (e.value, e.low, e.high):
            assert e.low - 1e-9 <= e.value <= e.high + 1e-9, name


@pytest.mark.parametrize("cells", [(-1, 2, 3, 4), (1.5, 2, 3, 4), (None, 1, 1, 1), (0, 0, 0, 0)])
def test_impossible_counts_are_refused(cells):
    with pytest.raises((InvalidValue, MissingValue)):
        accuracy_counts(*cells)


def test_a_class_without_units_has_no_value_and_says_so():
    found = accuracy_counts(10, 2, 0, 0)
    assert (found.specificity.value, found.dor.value, found.youden.value) == (None, None, None)
    assert "ONE_CLASS" in codes(found.notices)


@settings(max_examples=20, deadline=None)
@given(st.tuples(*[st.integers(0, 12)] * 4).filter(any))
def test_rows_give_what_their_counts_give(cells):
    found = accuracy_rows(from_counts(*cells), NoticeLog(), reference="histology")
    assert (found.tp, found.fn, found.fp, found.tn) == cells
    assert found.sensitivity == accuracy_counts(*cells).sensitivity


def test_a_reference_must_be_declared():
    with pytest.raises(InputError):
        accuracy_rows(from_counts(1, 1, 1, 1), NoticeLog(), reference=" ")


@pytest.mark.parametrize(("test", "reference", "tests", "biased"), [
    ("PET", "lateralised by PET or AVS", (), True),
    ("pentixafor PET", "composite of CT and histology", ("Pentixafor-PET", "CT"), True),
    ("PET", "histopathology", ("biopsy",), False), ("", "PET", (), False),
])  # fmt: skip
def test_incorporation_is_found_by_name(test, reference, tests, biased):
    found = accuracy_counts(20, 20, 20, 20, index_test=test, reference=reference, reference_tests=tests)
    assert ("INCORPORATION_BIAS" in codes(found.notices)) == biased


def test_only_verified_positives_are_verification_bias():
    assert "VERIFICATION_BIAS" in codes(accuracy_counts(30, 0, 10, 0).notices)
    log = NoticeLog()
    rows = from_counts(20, 5, 5, 10, missing=(("neg", None),) * 30)
    found = accuracy_rows(rows, log, reference="biopsy")
    assert "VERIFICATION_BIAS" in codes(log)
    assert (found.flow.not_verified, found.flow.verified_positive, found.flow.verified_negative) == (30, 1.0, 15 / 45)


def test_even_verification_is_no_bias():
    log = NoticeLog()
    accuracy_rows(from_counts(20, 10, 10, 20, missing=(("neg", None), ("pos", None))), log, reference="biopsy")
    assert "VERIFICATION_BIAS" not in codes(log)


@pytest.mark.parametrize(
    ("rule", "cells"), [("excluded", (8, 2, 3, 7)), ("worst", (8, 4, 4, 7)), ("best", (10, 2, 3, 8))]
)
def test_indeterminate_results_count_as_asked(rule, cells):
    log = NoticeLog()
    rows = from_counts(8, 2, 3, 7, missing=(("equivocal", "pos"), ("equivocal", "pos"), ("equivocal", "neg")))
    found = accuracy_rows(rows, log, reference="histology", indeterminate=rule)
    assert (found.tp, found.fn, found.fp, found.tn) == cells
    assert "INDETERMINATE_RESULTS" in codes(log)


@pytest.mark.parametrize("rule", ["excluded", "worst", "best"])
def test_the_flow_accounts_for_every_row(rule):
    gone = (("equivocal", "pos"), (None, "neg"), (None, None), ("pos", None), ("neg", "equivocal"), ("equivocal", None))
    log = NoticeLog()
    flow = accuracy_rows(from_counts(3, 1, 1, 3, missing=gone), log, reference="histology", indeterminate=rule).flow
    left_out = (
        flow.not_tested + flow.not_verified + flow.reference_unclear + (flow.indeterminate if rule == "excluded" else 0)
    )
    assert flow.enrolled == 14 == flow.analysed + left_out
    assert {"RESULTS_MISSING", "REFERENCE_UNCLEAR"} <= codes(log)
    assert flow.to_json()["analysed"] == flow.to_table().set_index("stage").loc["analysed", "n"]


def test_lesions_of_one_patient_get_clustered_intervals_and_a_warning():
    rng = np.random.default_rng(0)
    rows = []
    for p in range(30):
        good = rng.random() < 0.7
        rows += [(f"P{p}", f"L{i}", "pos" if good else "neg", "pos") for i in range(5)]
        rows += [(f"P{p}", "N1", "neg", "neg")]
    log = NoticeLog()
    found = accuracy_rows(
        table(rows, "patient", "lesion", "result", "reference"), log, reference="follow-up", unit="lesion"
    )
    assert "LESIONS_CLUSTERED" in codes(log)
    robust, plain = found.clustered["sensitivity"], found.sensitivity
    assert robust.value == plain.value
    # All five lesions of a patient agree: the interval is that of 30 patients, sqrt(5) times as wide.
    assert (robust.high - robust.low) / (plain.high - plain.low) == pytest.approx(np.sqrt(5), rel=0.08)
    assert "specificity" not in found.clustered


def test_patients_as_units_come_once():
    rows = table([("P1", "a", "pos", "pos"), ("P1", "b", "neg", "pos")], "patient", "lesion", "result", "reference")
    with pytest.raises(InputError, match="row 2"):
        accuracy_rows(rows, NoticeLog(), reference="histology")


def test_one_of_several_tests_is_chosen_by_name():
    rows = table([("P1", "PET", "pos", "pos"), ("P1", "CT", "neg", "pos"), ("P2", "PET", "neg", "neg")],
                 "patient", "test", "result", "reference")  # fmt: skip
    assert accuracy_rows(rows, NoticeLog(), index_test="PET", reference="histology").n == 2
    with pytest.raises(InputError, match="CT, PET"):
        accuracy_rows(rows, NoticeLog(), reference="histology")


def test_rows_without_both_results_are_refused():
    with pytest.raises(MissingValue):
        accuracy_rows(
            table([("P1", None, "pos")], "patient", "result", "reference"), NoticeLog(), reference="histology"
        )
    with pytest.raises(InvalidValue):
        accuracy_rows(from_counts(1, 1, 1, 1), NoticeLog(), reference="histology", indeterminate="half")


def test_small_groups_are_named():
    assert "SMALL_GROUP" in codes(accuracy_counts(20, 5, 1, 6).notices)
    assert "SMALL_GROUP" not in codes(accuracy_counts(20, 5, 5, 6).notices)


def marker_rows(seed: int = 0, n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(1.0, 1.0, n), rng.normal(0.0, 1.0, n)])
    truth = ["pos"] * n + ["neg"] * n
    return table(
        [(f"P{i}", t, v) for i, (t, v) in enumerate(zip(truth, values, strict=True))], "patient", "reference", "marker"
    )


def test_the_area_of_two_normals_is_covered():
    # Area of N(1,1) against N(0,1): Phi(1 / sqrt 2) = 0.7602
    found = accuracy_of_marker(marker_rows(1, 400), NoticeLog(), reference="histology", resamples=200)
    assert found.area.low < 0.7602 < found.area.high


def test_a_cut_off_from_the_data_is_corrected_and_warned_of():
    log = NoticeLog()
    found = accuracy_of_marker(marker_rows(), log, reference="histology", cut_offs=(0.5, 1.0), resamples=300)
    assert found.optimism.corrected["youden"] < found.optimism.apparent["youden"]
    assert {"CUTOFF_FROM_DATA", "MULTIPLE_CUTOFFS"} <= codes(log)
    at = found.fixed[0.5]
    assert at.n == 120
    assert at.index_test == "marker >= 0.5"
    assert set(found.to_json()) == {"auc", "youden", "optimism", "fixed", "roc", "notices"}


def test_the_same_seed_gives_the_same_cut_off_interval():
    one, two = (accuracy_of_marker(marker_rows(), NoticeLog(), reference="h", resamples=200, seed=3) for _ in range(2))
    assert one.best.threshold == two.best.threshold


def test_a_marker_needs_both_classes_and_its_column():
    with pytest.raises(MissingValue):
        accuracy_of_marker(marker_rows().iloc[:60], NoticeLog(), reference="histology")
    with pytest.raises(InputError):
        accuracy_of_marker(from_counts(1, 1, 1, 1), NoticeLog(), reference="histology")
