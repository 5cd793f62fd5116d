"""Outcome: percent changes, entered categories, worst grades, survival from dates."""

from __future__ import annotations

import datetime as dt
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.cohort.follow_up import (
    FollowUp,
    event_times,
    prognosis,
    read_follow_up,
    selected_cut_p,
    survival_curve,
    swimmer_lanes,
)
from fusin.cohort.outcome import (
    CHANGE_COLUMNS,
    best_response,
    change_table,
    cross_tabulate,
    read_response,
    response_changes,
)
from fusin.cohort.toxicity import TOXICITY_COLUMNS, toxicity, toxicity_table
from fusin.errors import InputError, MissingValue
from fusin.provenance import NoticeLog

SCANS = pd.DataFrame(
    {
        "patient": ["A", "A", "A", "B", "B", "C", "D", "D"],
        "date": ["2024-03-01", "2024-01-01", "2024-06-01", "2024-01-01", "2024-02-01", "2024-01-01", "2024-01-01", "2024-02-01"],
        "ctv_ml": [50.0, 100.0, 80.0, 10.0, 12.0, 5.0, 0.0, 4.0],
        "suv_peak": [5.0, 10.0, 2.0, 4.0, None, 3.0, 2.0, 2.2],
        "lugano": ["PMR", None, "CMR", None, "pmd", None, None, "NMR"],
        "imwg": ["PR", None, None, None, "PD", None, None, "SD"],
    }
)  # fmt: skip


def changes(**options):
    log = NoticeLog()
    return response_changes(read_response(SCANS, log=log), log=log, **options), log


def test_changes_refer_to_the_earliest_scan_whatever_the_order_of_rows():
    found, log = changes()
    a = [c for c in found if c.patient == "A"]
    assert [c.changes["ctv_ml"].change_percent for c in a] == [-50.0, -20.0]
    assert [c.days for c in a] == [60, 152]
    codes = {n.code for n in log}
    assert {"RESPONSE_NO_REPEATABILITY", "RESPONSE_NO_FOLLOW_UP", "RESPONSE_BASELINE_ZERO"} <= codes


def test_a_baseline_of_zero_and_a_missing_value_have_no_percentage():
    found, _ = changes()
    d = next(c for c in found if c.patient == "D")
    assert d.changes["ctv_ml"].change_percent is None
    b = next(c for c in found if c.patient == "B")
    assert b.changes["suv_peak"].change_percent is None
    assert b.changes["tlu_g"].change_percent is None
    table = change_table(found)
    assert list(table.columns) == [c.name for c in CHANGE_COLUMNS]


def test_own_repeatability_limits_are_inclusive_and_silence_the_caveat():
    found, log = changes(repeatability_percent={"ctv_ml": (-20.0, 20.0)})
    assert [c.changes["ctv_ml"].within_repeatability for c in found] == [False, True, True, None]
    assert "RESPONSE_NO_REPEATABILITY" not in {n.code for n in log}
    with pytest.raises(InputError, match="below 0"):
        changes(repeatability_percent={"ctv_ml": (5.0, 20.0)})


def test_the_waterfall_falls_and_names_those_without_a_bar():
    found, _ = changes()
    fall = best_response(found, "ctv_ml")
    assert (fall.patients, fall.change_percent, fall.missing) == (("B", "A"), (20.0, -50.0), ("D",))
    assert fall.categories[1]["lugano"] == "PMR"
    peak = best_response(found, "suv_peak")
    assert peak.change_percent[-1] == -80.0


def test_categories_are_counted_as_entered():
    table = cross_tabulate(read_response(SCANS, log=NoticeLog()), "lugano", "imwg")
    frame = table.to_table()
    assert frame.loc["PMR", "PR"] == frame.loc["PMD", "PD"] == frame.loc["NMR", "SD"] == 1
    assert (int(frame.to_numpy().sum()), table.missing) == (3, 5)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"lugano": "better"}, "CMR"),
        ({"date": [f"0{i}/03/2024" for i in range(1, 9)]}, "ISO"),
        ({"ctv_ml": -1.0}, "at least 0"),
        ({"date": "2024-01-01"}, "one row"),
    ],
)
def test_a_bad_response_table_is_refused(columns, words):
    with pytest.raises(InputError, match=words):
        read_response(SCANS.assign(**columns), log=NoticeLog())


def test_frameworks_differ():
    with pytest.raises(InputError):
        cross_tabulate([], "imwg", "imwg")


EVENTS = pd.DataFrame(
    {"patient": ["A", "A", "B", "C"], "term": ["anaemia", "anaemia", "anaemia", "nausea"], "grade": [2, 4, 1, 0]}
)


def test_the_worst_grade_counts_once_and_all_treated_are_the_denominator():
    terms = toxicity(EVENTS, treated=["A", "B", "C", "D"], log=NoticeLog())
    anaemia, nausea = terms
    assert (anaemia.worst, anaemia.any.k, anaemia.severe.k, anaemia.treated) == ((1, 0, 0, 1, 0), 2, 1, 4)
    assert (nausea.worst, nausea.any.k) == ((0,) * 5, 0)
    table = toxicity_table(terms)
    assert list(table.columns) == [c.name for c in TOXICITY_COLUMNS]
    assert table.loc[0, "severe_fraction"] == 0.25


def test_a_stranger_or_an_impossible_grade_is_refused():
    with pytest.raises(InputError, match="treated"):
        toxicity(EVENTS, treated=["A"], log=NoticeLog())
    with pytest.raises(InputError, match="at most 5"):
        toxicity(EVENTS.assign(grade=6), treated=["A", "B", "C"], log=NoticeLog())


START = dt.date(2024, 1, 1)


def patient(name="A", **days):
    dates = {k: None if v is None else START + dt.timedelta(days=v) for k, v in days.items() if k != "marker"}
    return FollowUp(patient=name, start=START, markers={"suv_max": days.get("marker")}, **dates)


@pytest.mark.parametrize(
    ("days", "os", "pfs"),
    [
        ({"progression": 100, "death": 200}, (200, True), (100, True)),
        ({"death": 200}, (200, True), (200, True)),
        ({"progression": 100, "last": 300}, (300, False), (100, True)),
        ({"last": 300}, (300, False), (300, False)),
        ({"last": 300, "assessed": 250}, (300, False), (250, False)),
        ({"progression": 100}, None, (100, True)),
        ({}, None, None),
    ],
)
def test_endpoints_follow_from_the_dates(days, os, pfs):
    p = patient(**days)
    for endpoint, expected in (("os", os), ("pfs", pfs)):
        found = p.time(endpoint)
        assert found == (None if expected is None else (pytest.approx(expected[0] / 30.4375), expected[1]))


@settings(max_examples=60, deadline=None)
@given(progression=st.none() | st.integers(0, 900), death=st.none() | st.integers(900, 1000), last=st.integers(0, 900))
def test_progression_free_survival_never_exceeds_overall_survival(progression, death, last):
    p = patient(progression=progression, death=death, last=max(last, progression or 0))
    os, pfs = p.time("os"), p.time("pfs")
    assert pfs[0] <= os[0]
    assert pfs[1] >= os[1]


def follow_up(**columns):
    made = pd.DataFrame({"patient": ["A", "B"], "start_date": "2024-01-01", "last_date": "2024-12-31"})
    return made.assign(**columns)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"death_date": "2023-12-31"}, "not before the start"),
        ({"death_date": "2024-06-01"}, "not after death"),
        ({"start_date": "1.1.2024"}, "ISO"),
        ({"start_date": None}, "start_date"),
    ],
)
def test_impossible_dates_are_refused_with_their_row(columns, words):
    with pytest.raises(InputError, match=words):
        read_follow_up(follow_up(**columns), log=NoticeLog())


def test_markers_are_read_and_a_missing_column_is_refused():
    (a, b) = read_follow_up(follow_up(suv_max=[8.0, None]), markers=["suv_max"], log=NoticeLog())
    assert (a.markers["suv_max"], b.markers["suv_max"]) == (8.0, None)
    with pytest.raises(InputError, match="tlu"):
        read_follow_up(follow_up(), markers=["tlu"], log=NoticeLog())


def test_patients_without_follow_up_are_named_and_none_at_all_is_refused():
    log = NoticeLog()
    kept, months, events = event_times([patient(last=100), patient("B")], "os", log=log)
    assert ([p.patient for p in kept], list(events), months.size) == (["A"], [False], 1)
    assert "B" in next(iter(log)).message
    with pytest.raises(MissingValue):
        survival_curve([patient()], "os", log=NoticeLog())


def cohort(n=40, effect=1.0, seed=1):
    rng = np.random.default_rng(seed)
    marker = rng.normal(8.0, 3.0, n)
    days = rng.exponential(400.0 * np.exp(-effect * (marker - 8.0) / 3.0)).astype(int) + 1
    return [
        patient(str(i), marker=float(m), **({"death": int(d)} if d < 900 else {"last": 900}))
        for i, (m, d) in enumerate(zip(marker, days, strict=True))
    ]


def test_a_hazard_ratio_scales_with_the_unit_and_points_the_right_way():
    one = prognosis(cohort(), "suv_max", "os", log=NoticeLog())
    three = prognosis(cohort(), "suv_max", "os", unit=3.0, log=NoticeLog())
    ratio = one.per_unit.hazard_ratios["suv_max"].value
    assert ratio > 1
    assert three.per_unit.hazard_ratios["suv_max"].value == pytest.approx(ratio**3, rel=1e-4)
    assert one.cut is None
    assert one.n == 40


def test_a_cut_off_found_in_the_data_is_called_optimistic_and_its_p_is_raised():
    log = NoticeLog()
    found = prognosis(cohort(), "suv_max", "os", cut="best", log=log)
    assert found.optimistic
    assert [n.code for n in log] == ["OUTCOME_CUT_FROM_DATA"]
    assert found.logrank.p > found.logrank.details["p_selected"]
    assert found.low.n + found.high.n == found.n
    fixed = prognosis(cohort(), "suv_max", "os", cut=8.0, cut_source="own earlier cohort", log=NoticeLog())
    assert not fixed.optimistic
    with pytest.raises(InputError, match="source"):
        prognosis(cohort(), "suv_max", "os", cut=8.0, log=NoticeLog())
    with pytest.raises(InputError, match="both sides"):
        prognosis(cohort(), "suv_max", "os", cut=1000.0, cut_source="x", log=NoticeLog())


# Altman et al., J Natl Cancer Inst 1994;86:829: for a search between the 10th and 90th percentile
# p = -1.63 p_min (1 + 2.35 ln p_min), between the 5th and 95th p = -3.13 p_min (1 + 1.65 ln p_min).
@pytest.mark.parametrize("p", [0.0005, 0.001, 0.005, 0.01])
@pytest.mark.parametrize(("tail", "a", "b"), [(0.1, 1.63, 2.35), (0.05, 3.13, 1.65)])
def test_the_p_of_a_selected_cut_off_agrees_with_altmans_formula(p, tail, a, b):
    assert selected_cut_p(p, tail) == pytest.approx(-a * p * (1 + b * math.log(p)), rel=0.04)


@given(p=st.floats(1e-12, 1.0))
@settings(max_examples=60, deadline=None)
def test_a_corrected_p_is_never_smaller_and_stays_a_probability(p):
    assert p <= selected_cut_p(p) <= 1.0


def test_swimmer_lanes_are_sorted_and_their_marks_lie_inside():
    people = [patient("A", progression=60, death=200), patient("B", last=400), patient("C")]
    log = NoticeLog()
    lanes = swimmer_lanes(people, events={"B": [(START + dt.timedelta(days=30), "cycle 2")]}, log=log)
    assert [(lane.patient, lane.ended) for lane in lanes] == [("B", "last contact"), ("A", "death")]
    assert lanes[0].marks == ((pytest.approx(30 / 30.4375), "cycle 2"),)
    assert [n.code for n in log] == ["OUTCOME_NO_FOLLOW_UP"]
    with pytest.raises(InputError, match="a date from"):
        swimmer_lanes(people, events={"A": [(START + dt.timedelta(days=300), "cycle 9")]}, log=log)


def test_results_are_plain_json():
    found, _ = changes()
    curves = prognosis(cohort(), "suv_max", "os", cut="median", log=NoticeLog())
    fall = best_response(found, "ctv_ml")
    terms = toxicity(EVENTS, treated=["A", "B", "C"], log=NoticeLog())
    text = json.dumps([curves.to_json(), fall.to_json(), [c.to_json() for c in found], [t.to_json() for t in terms]])
    assert "NaN" not in text
    assert json.loads(text)[0]["per_unit"]["hazard_ratios"]["suv_max"]["low"] > 1.0
