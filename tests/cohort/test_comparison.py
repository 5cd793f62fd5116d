"""Comparison of two tracers from counts and from rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.cohort.comparison import compare, compare_counts, summarise
from fusin.cohort.synthetic import CohortDesign, LatentShares, TracerDesign, make_cohort
from fusin.cohort.tables import FINDINGS
from fusin.errors import InputError, InvalidValue, MissingValue
from fusin.provenance import NoticeLog
from fusin.tabular.schema import read_table

COUNTS = st.tuples(*[st.integers(0, 40)] * 4).filter(any)


def table(rows: list[tuple[object, ...]], *more: str) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["patient", "lesion", "tracer", "detected", *more])
    return read_table(frame, FINDINGS, NoticeLog())


def one_lesion_each(counts: tuple[int, int, int, int]) -> pd.DataFrame:
    seen = (
        [(True, True)] * counts[0]
        + [(True, False)] * counts[1]
        + [(False, True)] * counts[2]
        + [(False, False)] * counts[3]
    )
    return table([(f"P{i}", "L1", t, s) for i, pair in enumerate(seen) for t, s in zip("AB", pair, strict=True)])


def codes(log: NoticeLog) -> set[str]:
    return {n.code for n in log}


def test_the_contract_has_p_values_by_variant_and_names_the_default():
    found = compare_counts(9, 7, 1, 0).to_json()
    assert set(found["mcnemar"]) == {"exact", "mid_p", "chi2_corrected", "chi2", "default", "tests"}
    assert found["mcnemar"]["default"] == "mid_p"
    assert found["mcnemar"]["tests"]["exact"]["p"] == found["mcnemar"]["exact"] == pytest.approx(0.0703125)
    assert set(found["rates"]) == {"first", "second", "difference"}
    assert {"value", "low", "high", "method"} <= set(found["kappa"])


@settings(max_examples=40, deadline=None)
@given(COUNTS)
def test_swapping_the_tracers_swaps_rates_and_keeps_p_and_kappa(counts):
    a, b, c, d = counts
    one, two = compare_counts(a, b, c, d), compare_counts(a, c, b, d)
    assert one.difference.value == -two.difference.value
    assert one.mcnemar.default.p == two.mcnemar.default.p
    assert one.kappa.value == pytest.approx(two.kappa.value, abs=1e-12) if one.kappa.value is not None else True
    assert one.first_rate == two.second_rate


@settings(max_examples=15, deadline=None)
@given(st.tuples(*[st.integers(0, 8)] * 4).filter(any))
def test_rows_give_what_their_counts_give(counts):
    found = compare(one_lesion_each(counts), "A", "B", NoticeLog()).overall
    wanted = compare_counts(*counts)
    assert (found.both, found.first_only, found.second_only, found.neither) == counts
    assert found.mcnemar == wanted.mcnemar
    assert found.gee is None, "one lesion in each patient is not clustered"


@pytest.mark.parametrize("counts", [(-1, 0, 0, 1), (1.5, 0, 0, 1), (None, 0, 0, 1), (0, 0, 0, 0)])
def test_impossible_counts_are_refused(counts):
    with pytest.raises((InvalidValue, MissingValue)):
        compare_counts(*counts)


def test_all_concordant_units_give_p_1_and_no_chi2():
    found = compare_counts(5, 0, 0, 5)
    assert (found.mcnemar.exact.p, found.mcnemar.chi2.p, found.kappa.value) == (1.0, None, 1.0)


def test_few_discordant_units_are_named():
    assert [n.code for n in compare_counts(5, 5, 0, 5).notices] == ["FEW_DISCORDANT"]
    assert compare_counts(5, 6, 0, 5).notices == ()
    assert compare_counts(0, 5, 0, 0).mcnemar.exact.p > 0.05 > compare_counts(0, 6, 0, 0).mcnemar.exact.p


def test_lesions_within_patients_get_gee_and_a_warning_with_both_p():
    cohort = make_cohort(CohortDesign(patients=30, lesions_per_patient=6.0), seed=7)
    log = NoticeLog()
    found = compare(cohort.findings, "CXCR4", "SSTR", log)
    assert found.overall.gee is not None
    assert found.overall.primary is found.overall.gee.test
    assert "LESIONS_CLUSTERED" in codes(log)
    assert compare(cohort.findings, "CXCR4", "SSTR", NoticeLog(), unit="patient").overall.gee is None


def test_two_patients_are_too_few_for_gee_and_still_warned_of():
    log = NoticeLog()
    rows = [(p, f"L{i}", t, t == "A") for p in ("P1", "P2") for i in range(4) for t in "AB"]
    assert compare(table(rows), "A", "B", log).overall.gee is None
    assert "LESIONS_CLUSTERED" in codes(log)


def test_paired_values_by_hand():
    suv = {"P1": (5.0, 3.0), "P2": (9.0, 4.0), "P3": (7.0, 8.0), "P4": (6.0, 2.0)}
    rows = [(p, "L1", t, True, v) for p, pair in suv.items() for t, v in zip("AB", pair, strict=True)]
    rows += [("P5", "L1", "A", True, 4.0), ("P5", "L1", "B", False, None)]
    log = NoticeLog()
    (found,) = compare(table(rows, "suv_max"), "A", "B", log).values
    assert (found.first.n, found.first.median, found.second.median, found.unpaired) == (4, 6.5, 3.5, 1)
    # Walsh averages of 2, 5, -1, 4: -1, .5, 1.5, 2, 2, 3, 3.5, 4, 4.5, 5, median 2.5.
    # Signed ranks 2, 4, 3 against 1: W = 9 and exact p = 4/16.
    assert found.test.effect.value == pytest.approx(2.5)
    assert (found.test.statistic, found.test.p) == (9.0, 0.25)
    assert "PAIRS_INCOMPLETE" in codes(log)


def test_the_paired_t_test_is_there_on_request():
    rows = [(f"P{i}", "L1", t, True, v) for i, d in enumerate((1.0, 2.0, 3.0)) for t, v in (("A", 5 + d), ("B", 5.0))]
    (found,) = compare(table(rows, "suv_max"), "A", "B", NoticeLog(), value_test="t").values
    # mean 2, SD 1, t = 2 sqrt(3) = 3.4641 with 2 degrees of freedom
    assert found.test.statistic == pytest.approx(3.4641, abs=5e-5)
    with pytest.raises(InvalidValue):
        compare(table(rows, "suv_max"), "A", "B", NoticeLog(), value_test="z")


def test_lesions_of_one_patient_count_once_in_the_quoted_test_of_values():
    rows = [("P1", f"L{i}", t, True, v) for i in range(20) for t, v in (("A", 6.0 + i), ("B", 5.0 + i / 2))]
    rows += [("P2", "L1", t, True, v) for t, v in (("A", 3.0), ("B", 4.0))]
    (found,) = compare(table(rows, "suv_max"), "A", "B", NoticeLog()).values
    assert found.test.p < 0.001
    assert (found.patients, found.primary.n) == (2, 2)
    assert found.primary.p == 1.0


def test_holm_covers_every_quoted_test():
    cohort = make_cohort(CohortDesign(patients=50), seed=3)
    found = compare(cohort.findings, "CXCR4", "FDG", NoticeLog(), by=("grade",))
    assert len(found.tests) == 1 + 3 + len(found.values)
    assert all(t.adjusted >= t.p for t in found.tests)
    smallest = min(found.tests, key=lambda t: t.p)
    assert smallest.adjusted == pytest.approx(min(1.0, smallest.p * len(found.tests)))


def test_strata_add_up_to_the_whole():
    found = compare(make_cohort(seed=6).findings, "CXCR4", "FDG", NoticeLog(), by=("site",))
    assert sum(s.n for s in found.strata) == found.overall.n
    assert sum(s.both for s in found.strata) == found.overall.both
    assert len(found.to_table()) == 1 + len(found.strata)
    assert len(found.values_table()) == len(found.values)


def test_patients_are_positive_by_any_lesion_with_the_hottest_suv():
    rows = [("P1", "L1", "A", True, 4.0), ("P1", "L2", "A", True, 9.0), ("P1", "L1", "B", False, None),
            ("P1", "L2", "B", True, 3.0)]  # fmt: skip
    found = compare(table(rows, "suv_max"), "A", "B", NoticeLog(), unit="patient")
    assert (found.overall.both, found.overall.n) == (1, 1)
    assert (found.values[0].first.median, found.values[0].second.median) == (9.0, 3.0)


def test_wrong_names_are_refused():
    rows = one_lesion_each((1, 1, 1, 1))
    for arguments in (("A", "A"), ("A", "C")):
        with pytest.raises(InputError):
            compare(rows, *arguments, NoticeLog())
    with pytest.raises(InputError, match="grade"):
        compare(rows, "A", "B", NoticeLog(), by=("grade",))
    with pytest.raises(MissingValue):
        compare(table([("P1", "L1", "A", True), ("P2", "L1", "B", True)]), "A", "B", NoticeLog())


def test_a_summary_says_when_mean_and_sd_mislead():
    # Weich 2021: TBR 7.2 +- 7.9, SD above the mean
    skewed = summarise(np.exp(np.random.default_rng(0).normal(1.0, 1.2, 400)))
    assert skewed.skewed
    assert skewed.geometric_mean == pytest.approx(skewed.median, rel=0.15)
    assert not summarise([4.0, 5.0, 6.0]).skewed
    assert (summarise([]).median, summarise([3.0]).sd) == (None, None)


def test_a_true_difference_is_found_and_covered():
    tracers = tuple(TracerDesign(name=n, detection={"G": p}, suv_median=5.0) for n, p in (("A", 0.8), ("B", 0.6)))
    design = CohortDesign(patients=400, grades={"G": 1.0}, tracers=tracers, shares=LatentShares())
    found = compare(make_cohort(design, seed=11).findings, "A", "B", NoticeLog(), metrics=())
    assert found.overall.gee.difference.low < 0.2 < found.overall.gee.difference.high
    assert found.overall.primary.p < 1e-6


def test_a_hundred_thousand_findings_of_ten_thousand_patients_are_compared():
    design = CohortDesign(
        patients=10_000, lesions_per_patient=5.0, tracers=CohortDesign().tracers[:2], adrenal_patients=1
    )
    findings = make_cohort(design, seed=1).findings
    assert len(findings) > 99_000
    found = compare(findings, "CXCR4", "FDG", NoticeLog(), by=("grade", "site"))
    assert found.overall.patients == 10_000
