"""Consistency checks: rounding is never an error, and every impossible table is found."""

from __future__ import annotations

import itertools
import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.cohort.arithmetic import (
    INTERVAL_METHODS,
    TwoByTwo,
    check_hazard_ratio,
    check_interval,
    check_mean_sd,
    check_percentage,
    check_quotient,
    check_sum,
    check_two_by_two,
    detect_interval_method,
)
from fusin.cohort.consistency import check_document, check_lesion_matrix, check_table
from fusin.cohort.findings import FINDING_COLUMNS, Printed
from fusin.cohort.lesion_matrix import MatrixRow, solve_lesion_matrix
from fusin.errors import InputError
from fusin.stats.proportions import proportion


def printed(value):
    return Printed.parse(value, where="test", field="number")


@pytest.mark.parametrize(
    ("value", "half"), [("2.0", 0.05), ("2", 0.5), (2.5, 0.05), (2.0, 0.5), (3, 0.5), ("0.005", 0.0005)]
)
def test_the_printed_digits_say_how_far_a_number_was_rounded(value, half):
    assert printed(value).half_unit == pytest.approx(half)


@pytest.mark.parametrize("value", ["1,5", "", "<0.05", "nan", "inf", True])
def test_text_that_is_no_number_is_refused(value):
    with pytest.raises(InputError):
        printed(value)


@settings(max_examples=60, deadline=None)
@given(log_hr=st.floats(-2, 2), error=st.floats(0.05, 1.0))
def test_a_wald_interval_and_its_own_p_are_never_called_inconsistent(log_hr, error):
    z = 1.959963984540054
    numbers = [math.exp(log_hr + s * z * error) for s in (0, -1, 1)]
    p = math.erfc(abs(log_hr) / error / math.sqrt(2))
    ratio, low, high = (printed(f"{x:.4f}") for x in numbers)
    if low.low <= 0:
        return
    found = check_hazard_ratio("x", ratio, low, high, p=printed(f"{p:.3f}"))
    assert found.severity == "ok", found.sentence


def test_a_ratio_outside_its_interval_is_a_conflict():
    found = check_hazard_ratio("x", printed("2.5"), printed("1.1"), printed("2.3"))
    assert found.severity == "conflict"


def test_a_ratio_off_the_middle_of_its_interval_is_noted():
    found = check_hazard_ratio("x", printed("1.20"), printed("1.10"), printed("2.90"))
    assert found.severity == "note"
    assert "not a Wald interval" in found.sentence


def test_p_below_a_limit_is_compared_as_printed():
    weak = check_hazard_ratio("x", printed("1.50"), printed("1.00"), printed("2.25"), p_less_than=0.001)
    strong = check_hazard_ratio("x", printed("5.00"), printed("2.50"), printed("10.0"), p_less_than=0.001)
    assert (weak.severity, strong.severity) == ("suspect", "ok")


def test_p_below_a_limit_is_read_from_a_document():
    claims = [{"name": "x", "ratio": "1.50", "low": "1.00", "high": "2.25", "p": "<0.001"}]
    assert check_document({"hazard_ratio": claims}).findings[0].severity == "suspect"


def test_a_ratio_of_zero_is_refused():
    with pytest.raises(InputError):
        check_hazard_ratio("x", printed("0"), printed("0"), printed("1"))


@settings(max_examples=80, deadline=None)
@given(n=st.integers(5, 200), data=st.data(), method=st.sampled_from(INTERVAL_METHODS))
def test_an_interval_made_by_a_method_is_recognised_as_that_method(n, data, method):
    k = data.draw(st.integers(0, n))
    made = proportion(k, n, method=method)
    low, high = (printed(f"{100 * x:.1f}") for x in (made.low, made.high))
    matches = detect_interval_method(k, n, low, high, percent=True)
    assert method in [m.method for m in matches if m.matches]


def test_an_interval_of_no_method_is_suspect_and_the_nearest_is_named():
    found = check_interval("x", 33, 43, printed("55.0"), printed("90.0"), percent=True)
    assert found.severity == "suspect"
    assert found.values["nearest"] == "clopper-pearson"


@settings(max_examples=80, deadline=None)
@given(n=st.integers(1, 300), data=st.data(), digits=st.integers(0, 2))
def test_every_rounded_percentage_of_a_count_is_possible(n, data, digits):
    k = data.draw(st.integers(0, n))
    found = check_percentage("x", printed(f"{100 * k / n:.{digits}f}"), n)
    assert found.severity == "ok"
    assert k in found.values["counts"]


def test_a_percentage_against_a_stated_count():
    assert check_percentage("x", printed("76.9"), 26, k=20).severity == "ok"
    assert check_percentage("x", printed("77.9"), 26, k=20).severity == "conflict"
    with pytest.raises(InputError):
        check_percentage("x", printed("50"), 0)


@settings(max_examples=80, deadline=None)
@given(values=st.lists(st.integers(-20, 90), min_size=2, max_size=25))
def test_mean_and_sd_of_real_integers_are_always_possible(values):
    mean, sd = statistics.mean(values), statistics.stdev(values)
    found = check_mean_sd("x", printed(f"{mean:.2f}"), len(values), sd=printed(f"{sd:.2f}"))
    assert found.severity == "ok", found.sentence


def test_impossible_means_and_standard_deviations_agree_with_complete_enumeration():
    # All multisets of 4 integers from 0 to 12: every (mean, SD) to two digits that occurs, and none other nearby.
    real = {
        (f"{statistics.mean(v):.2f}", f"{statistics.stdev(v):.2f}")
        for v in itertools.combinations_with_replacement(range(13), 4)
    }
    for hundredths in range(201):
        sd = f"{hundredths / 100:.2f}"
        found = check_mean_sd("x", printed("6.25"), 4, sd=printed(sd))
        assert (found.severity == "ok") == (("6.25", sd) in real), sd


def test_a_mean_that_no_integers_have_is_a_conflict():
    assert check_mean_sd("age", printed("52.13"), 10).severity == "conflict"


def test_grim_says_so_when_it_can_say_nothing():
    assert check_mean_sd("age", printed("52.1"), 41).severity == "note"


def test_cells_that_do_not_add_up_are_found():
    table = TwoByTwo(name="t", tp=10, fp=2, fn=3, tn=2)
    found = check_two_by_two(table, n=18, percent={}, intervals={})
    assert [f.severity for f in found] == ["conflict"]
    with pytest.raises(InputError):
        check_two_by_two(table, percent={"recall": printed("1")}, intervals={})


@pytest.mark.parametrize("count", [-1, 1.5, True])
def test_a_count_that_is_none_is_refused(count):
    with pytest.raises(InputError):
        TwoByTwo(name="t", tp=count, fp=0, fn=0, tn=0)


def test_sums_and_quotients_allow_rounding_and_no_more():
    assert check_sum("x", [14, 5, 7], printed("26")).severity == "ok"
    assert check_sum("x", [14, 5, 7], printed("27")).severity == "conflict"
    assert check_quotient("x", printed("10"), printed("4"), printed("2.5")).severity == "ok"
    assert check_quotient("x", printed("10.0"), printed("4.0"), printed("2.7")).severity == "conflict"


counts = st.integers(0, 12)


@settings(max_examples=60, deadline=None)
@given(cells=st.lists(st.tuples(*[counts] * 7), min_size=1, max_size=4))
def test_the_true_triples_are_always_among_the_solutions(cells):
    """Build the printed table from exclusive cells (A, B, C, AB, AC, BC, ABC), then solve it back."""
    rows = [
        MatrixRow(name=str(i), only=(a, b, c), pairs=(ab + t, ac + t, bc + t))
        for i, (a, b, c, ab, ac, bc, t) in enumerate(cells)
    ]
    totals = {
        "A": sum(a + ab + ac + t for a, _, _, ab, ac, _, t in cells),
        "C": sum(c + ac + bc + t for _, _, c, _, ac, bc, t in cells),
    }
    solved = solve_lesion_matrix(
        rows, tracers=("A", "B", "C"), totals=totals, lesions=sum(map(sum, cells)), limit=100_000
    )
    assert solved.complete
    truth = {str(i): row[-1] for i, row in enumerate(cells)}
    assert truth in [dict(s.triple) for s in solved.solutions]
    for s in solved.solutions:
        assert s.total_lesions == sum(map(sum, cells))
        assert {n: s.totals[n] for n in totals} == totals
        assert all(v >= 0 for row in s.exclusive.values() for v in row.values())
        assert all(sum(row.values()) == s.lesions[name] for name, row in s.exclusive.items())


def test_totals_of_a_row_fix_its_triple_count():
    row = MatrixRow(name="r", only=(5, 5, 5), pairs=(4, 4, 4), totals=(11, None, None))
    one = solve_lesion_matrix([row], tracers=("A", "B", "C")).unique
    assert one is not None
    assert one.triple == {"r": 2}


@pytest.mark.parametrize(
    ("totals", "lesions", "words"),
    [
        ({"A": 99}, None, "allow 0 to 4"),
        ({"A": 11, "B": 12}, None, "different sums"),
        ({}, 26, "parity"),
    ],
)
def test_a_matrix_without_solution_says_why(totals, lesions, words):
    row = MatrixRow(name="r", only=(5, 5, 5), pairs=(4, 4, 4))
    solved = solve_lesion_matrix([row], tracers=("A", "B", "C"), totals=totals, lesions=lesions)
    assert solved.solutions == ()
    assert words in solved.because


def test_a_row_that_contradicts_itself_is_named():
    row = MatrixRow(name="G3", only=(5, 5, 5), pairs=(4, 4, 4), totals=(14, None, None))
    assert "row G3" in solve_lesion_matrix([row], tracers=("A", "B", "C")).because


def test_many_solutions_are_a_note_and_cut_at_the_limit():
    rows = [MatrixRow(name=str(i), only=(1, 1, 1), pairs=(9, 9, 9)) for i in range(4)]
    solved = solve_lesion_matrix(rows, tracers=("A", "B", "C"), limit=50)
    assert (len(solved.solutions), solved.complete, solved.unique) == (50, False, None)
    found = check_lesion_matrix("x", rows, tracers=("A", "B", "C"))
    assert found.severity == "note"
    assert "more than 1000" in found.sentence


def test_matrix_input_is_checked():
    with pytest.raises(InputError):
        MatrixRow(name="r", only=(5, 5, -1), pairs=(4, 4, 4))
    row = MatrixRow(name="r", only=(5, 5, 5), pairs=(4, 4, 4))
    with pytest.raises(InputError):
        solve_lesion_matrix([row], tracers=("A", "B", "C"), totals={"D": 1})
    with pytest.raises(InputError):
        solve_lesion_matrix([row, row], tracers=("A", "B", "C"))


TOML = """
title = "claims"

[[hazard_ratio]]
name = "TRB"
ratio = "1.004"
low = "1.0001"
high = "1.007"
p = "0.005"

[[lesion_matrix]]
name = "NET"
tracers = ["SSTR", "FDG", "CXCR4"]
rows = [{ name = "G2", only = [107, 3, 0], pairs = [10, 3, 3], totals = [117, 13, 3] }]
"""
CSV = """check,name,ratio,low,high,p,k,n,unit,parts,total
hazard_ratio,TRB,1.004,1.0001,1.007,0.005,,,,,
interval,AVS,,49.7,91.8,,10,13,percent,,
sum,lesions,,,,,,,,14+5+7,26
"""


def test_toml_and_csv_documents_are_checked(tmp_path):
    for name, text, checks in (
        ("a.toml", TOML, ["hazard ratio", "lesion matrix"]),
        ("b.csv", CSV, ["hazard ratio", "interval", "sum"]),
    ):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        result = check_table(path)
        assert [f.check for f in result.findings] == checks
        assert [f.severity for f in result.findings] == ["suspect"] + ["ok"] * (len(checks) - 1)
        assert list(result.to_table().columns) == [c.name for c in FINDING_COLUMNS]
        assert result.to_json()["flagged"] == 1


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.toml", "[[hazard]]\nname='x'", "hazard_ratio"),
        ("a.toml", "[[percentage]]\nname='x'\npercnt='3'\nn=4", "percnt"),
        ("a.toml", "[[percentage]]\nname='x'\nn=4", "percent"),
        ("a.toml", "[[percentage]]\nname='x'\npercent='3,5'\nn=4", "3,5"),
        ("a.toml", "[[percentage]]\nname='x'\npercent='3.5'\nn=4.5", "count"),
        ("a.toml", "[percentage]\nname='x'", "list of claims"),
        ("a.toml", "[[sum]]\nname='x'\nparts='3'\ntotal=3", "list of numbers"),
        ("a.toml", "[[interval]]\nname='x'\nk=1\nn=2\nlow='1'\nhigh='2'\nunit='%'", "percent or fraction"),
        ("a.toml", "nonsense", "TOML"),
        ("a.csv", "name,n\nx,3\n", "check"),
        ("a.xlsx", "", "toml or .csv"),
    ],
)
def test_a_bad_document_is_refused_with_the_place(tmp_path, name, text, words):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words):
        check_table(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="readable"):
        check_table(tmp_path / "none.toml")
