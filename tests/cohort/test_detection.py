"""Detection rates and shared lesions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.cohort.detection import detection_rates, shared_from_cells, shared_lesions, sum_shared
from fusin.cohort.synthetic import CohortDesign, make_cohort
from fusin.cohort.tables import FINDINGS
from fusin.errors import InputError, InvalidValue, MissingValue
from fusin.provenance import NoticeLog
from fusin.tabular.schema import read_table

COLUMNS = ["patient", "lesion", "tracer", "detected", "site", "grade"]


def table(*rows: tuple[object, ...]) -> pd.DataFrame:
    return read_table(pd.DataFrame(list(rows), columns=COLUMNS), FINDINGS, NoticeLog())


def small() -> pd.DataFrame:
    return table(
        ("P1", "L1", "C", True, "liver", "G1"), ("P1", "L1", "F", False, "liver", "G1"),
        ("P1", "L2", "C", True, "bone", "G1"), ("P1", "L2", "F", True, "bone", "G1"),
        ("P2", "L1", "C", False, "liver", "G2"), ("P2", "L1", "F", True, "liver", "G2"),
        ("P3", None, "C", False, None, "G2"), ("P3", None, "F", False, None, "G2"),
    )  # fmt: skip


def test_patients_and_lesions_are_counted_by_hand():
    found = detection_rates(small(), NoticeLog(), by=("grade", "site"))
    counted = {(r.unit, r.tracer, r.group): (r.rate.k, r.rate.n) for r in found.rates}
    assert counted["lesion", "C", ""] == (2, 3)
    assert counted["patient", "C", ""] == (1, 3), "the patient without a lesion counts"
    assert counted["patient", "F", "G2"] == (1, 2)
    assert counted["patient", "F", "liver"] == (1, 2)
    assert counted["lesion", "F", "bone"] == (1, 1)
    assert ("lesion", "F", "G3") not in counted


def test_lesions_of_one_patient_get_a_clustered_interval_and_a_warning():
    log = NoticeLog()
    found = detection_rates(small(), log)
    lesion = found.rate("C")
    assert lesion.clustered is not None
    assert lesion.clustered.value == lesion.rate.value
    assert found.rate("C", unit="patient").clustered is None
    assert "LESIONS_CLUSTERED" in [n.code for n in log]


def test_the_clustered_interval_is_the_wider_one_when_lesions_are_alike():
    cohort = make_cohort(CohortDesign(patients=40, lesions_per_patient=6.0), seed=4)
    for row in detection_rates(cohort.findings, NoticeLog(), units=("lesion",)).rates:
        assert row.clustered is not None
        assert row.clustered.high - row.clustered.low > row.rate.high - row.rate.low


def test_a_missing_row_is_left_out_with_a_warning_or_counted_as_asked():
    rows = table(("P1", "L1", "C", True, "", ""), ("P1", "L2", "C", True, "", ""), ("P1", "L2", "F", True, "", ""))
    log = NoticeLog()
    assert detection_rates(rows, log, units=("lesion",)).rate("F").rate.n == 1
    assert "LESIONS_WITHOUT_ROW" in [n.code for n in log]
    log = NoticeLog()
    assert detection_rates(rows, log, units=("lesion",), absent="negative").rate("F").rate.n == 2
    assert "ABSENT_AS_NEGATIVE" in [n.code for n in log]


def test_a_patient_is_not_negative_while_a_lesion_is_unknown():
    rows = table(("P1", "L1", "C", False, "", ""), ("P1", "L2", "C", None, "", ""), ("P2", "L1", "C", False, "", ""))
    found = detection_rates(rows, NoticeLog(), units=("patient",)).rate("C", unit="patient")
    assert (found.rate.k, found.rate.n, found.unassessed) == (0, 1, 1)


def test_a_patient_who_is_negative_and_has_a_seen_lesion_is_refused():
    rows = table(("P1", None, "C", False, "", ""), ("P1", "L1", "C", True, "", ""))
    with pytest.raises(InputError, match="P1"):
        detection_rates(rows, NoticeLog())


def test_a_lesion_at_two_sites_is_refused():
    rows = table(("P1", "L1", "C", False, "liver", ""), ("P1", "L1", "F", True, "bone", ""))
    with pytest.raises(InputError) as caught:
        detection_rates(rows, NoticeLog())
    assert (caught.value.field, caught.value.found) == ("site", "bone")


def test_a_site_that_one_tracer_leaves_open_is_taken_from_the_other():
    rows = table(("P1", "L1", "C", False, None, ""), ("P1", "L1", "F", True, "bone", ""))
    assert detection_rates(rows, NoticeLog(), by=("site",)).rate("C", by="site", group="bone").rate.n == 1


def test_an_unknown_tracer_or_column_is_refused():
    with pytest.raises(InputError, match="'C'"):
        detection_rates(small(), NoticeLog(), tracers=("c",))
    with pytest.raises(InputError, match="stage"):
        detection_rates(small(), NoticeLog(), by=("stage",))
    with pytest.raises(MissingValue):
        detection_rates(small(), NoticeLog()).rate("X")


def test_the_table_has_one_row_per_rate_with_both_intervals():
    found = detection_rates(small(), NoticeLog(), by=("grade",))
    assert len(found.to_table()) == len(found.rates) == len(found.to_json()["rates"])
    assert {"rate_method", "clustered_method"} <= set(found.to_table().columns)


def test_shared_lesions_by_hand():
    every, one, two = shared_lesions(small(), NoticeLog(), by="grade")
    assert (every.n, every.only("C"), every.only("F"), every.only("C", "F")) == (3, 1, 1, 1)
    assert (one.label, one.n, two.label, two.n) == ("G1", 2, "G2", 1)


def test_lesions_not_assessed_with_all_tracers_are_left_out_with_a_warning():
    log = NoticeLog()
    rows = table(("P1", "L1", "C", True, "", ""), ("P1", "L1", "F", None, "", ""), ("P1", "L2", "C", True, "", ""),
                 ("P1", "L2", "F", False, "", ""))  # fmt: skip
    (found,) = shared_lesions(rows, log)
    assert (found.n, found.left_out) == (1, 1)
    assert "UNITS_LEFT_OUT" in [n.code for n in log]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=8, max_size=8))
def test_totals_follow_from_cells_by_inclusion_and_exclusion(counts):
    cells = dict(zip(("", "A", "B", "C", "AB", "AC", "BC", "ABC"), counts, strict=True))
    m = shared_from_cells("ABC", cells)
    union = (
        sum(m.total(t) for t in "ABC")
        - m.shared("A", "B")
        - m.shared("A", "C")
        - m.shared("B", "C")
        + m.shared("A", "B", "C")
    )
    assert union == m.n == sum(counts[1:])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_rows_in_another_order_give_the_same_matrix(seed):
    findings = make_cohort(CohortDesign(patients=6), seed=1).findings
    mixed = findings.sample(frac=1.0, random_state=np.random.RandomState(seed)).reset_index(drop=True)
    assert shared_lesions(mixed, NoticeLog())[0].cells == shared_lesions(findings, NoticeLog())[0].cells


def test_groups_add_up_to_the_whole():
    findings = make_cohort(seed=2).findings
    every, *groups = shared_lesions(findings, NoticeLog(), by="grade")
    assert dict(sum_shared(groups).cells) == dict(every.cells)


@pytest.mark.parametrize(
    ("tracers", "cells"),
    [("A", {"A": 1}), ("AB", {"C": 1}), ("AB", {"A": -1}), ("AB", {"A": 1.5}), ("AB", {"AB": 1, "BA": 2})],
)
def test_impossible_cells_are_refused(tracers, cells):
    with pytest.raises(InvalidValue):
        shared_from_cells(tracers, cells)


def test_matrices_of_other_tracers_do_not_add():
    with pytest.raises(InvalidValue):
        sum_shared([shared_from_cells("AB", {}), shared_from_cells("AC", {})])
