"""Werner et al., Theranostics 2017;7:1489, table 3 (PMC5436508): lesions of three tracers in twelve NET patients."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest

from fusin.cohort.detection import SharedLesions, shared_from_cells, shared_lesions, sum_shared
from fusin.cohort.tables import FINDINGS
from fusin.provenance import NoticeLog
from fusin.tabular.schema import read_table

TRACERS = ("SSTR", "FDG", "CXCR4")
S, F, C = TRACERS
CELLS = {
    "G1": {(S,): 104, (S, F): 11},
    "G2": {(S,): 107, (S, F): 7, (F,): 3, (S, F, C): 3},
    "G3": {(F,): 47, (C,): 9, (S, C): 1, (F, C): 45, (S, F, C): 11},
}
# printed pairwise columns, which include triple-positive lesions: SSTR+FDG, SSTR+CXCR4, FDG+CXCR4
PAIRWISE = {"G1": (11, 0, 0), "G2": (10, 3, 3), "G3": (11, 12, 56)}
TOTALS = {"G1": (115, 115, 11, 0), "G2": (120, 117, 13, 3), "G3": (113, 12, 103, 66)}


def matrix(grade: str) -> SharedLesions:
    return shared_from_cells(TRACERS, CELLS[grade], label=grade)


@pytest.mark.parametrize("grade", CELLS)
def test_exclusive_cells_give_the_printed_pairwise_columns(grade):
    found = tuple(matrix(grade).shared(*pair) for pair in itertools.combinations(TRACERS, 2))
    assert found == PAIRWISE[grade]


@pytest.mark.parametrize("grade", CELLS)
def test_exclusive_cells_give_lesions_and_totals_of_each_grade(grade):
    m = matrix(grade)
    assert (m.n, *(m.total(t) for t in TRACERS)) == TOTALS[grade]


def test_all_grades_together_are_348_lesions_and_244_127_69():
    every = sum_shared([matrix(g) for g in CELLS])
    assert (every.n, *(every.total(t) for t in TRACERS)) == (348, 244, 127, 69)


def test_rows_of_lesions_give_the_same_matrix_as_the_cells():
    rows = []
    for grade, cells in CELLS.items():
        seen = [s for s, count in cells.items() for _ in range(count)]
        rows += [(grade, f"L{i}", t, t in s, grade) for i, s in enumerate(seen) for t in TRACERS]
    table = pd.DataFrame(rows, columns=["patient", "lesion", "tracer", "detected", "grade"])
    every, *grades = shared_lesions(read_table(table, FINDINGS, NoticeLog()), NoticeLog(), tracers=TRACERS, by="grade")
    assert {k: v for k, v in every.cells.items() if v} == dict(sum_shared([matrix(g) for g in CELLS]).cells)
    assert [(m.label, m.n) for m in grades] == [("G1", 115), ("G2", 120), ("G3", 113)]
