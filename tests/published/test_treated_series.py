"""Treated-patient mini-series as records: T-cell lymphoma 2023 (J Nucl Med 64:34, 4 patients) and Maurer 2019 (PMC6785788,
22 patients, 25 treatments)."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from fusin.cohort.follow_up import FollowUp, survival_curve, swimmer_lanes
from fusin.cohort.toxicity import toxicity
from fusin.provenance import NoticeLog


def test_one_of_four_lymphoma_patients_had_transient_grade_3_kidney_failure():
    events = pd.DataFrame({"patient": ["T1"], "term": ["acute kidney injury"], "grade": [3]})
    (term,) = toxicity(events, treated=["T1", "T2", "T3", "T4"], log=NoticeLog())
    assert (term.severe.k, term.severe.n) == (1, 4)
    # Wilson by hand, z = 1.96: (1 + 1.9207 -+ 1.96 sqrt(0.75 + 0.9604)) / (4 + 3.8415)
    assert (term.severe.low, term.severe.high) == (pytest.approx(0.0456, abs=5e-5), pytest.approx(0.6994, abs=5e-5))


def test_one_of_22_had_grade_3_kidney_injury_and_all_were_cytopenic():
    names = [f"M{i}" for i in range(22)]
    # The sheet states no grade of the cytopenia, so any grade above 0 stands for it and only its presence is checked.
    rows = [(n, "cytopenia", 1) for n in names] + [("M0", "acute kidney injury", 3)]
    events = pd.DataFrame(rows, columns=["patient", "term", "grade"])
    terms = {t.term: t for t in toxicity(events, treated=names, log=NoticeLog())}
    assert (terms["cytopenia"].any.k, terms["acute kidney injury"].severe.k) == (22, 1)


def test_the_death_of_day_16_is_an_event_and_the_living_are_censored():
    start = dt.date(2020, 1, 1)
    died = FollowUp(patient="T1", start=start, death=start + dt.timedelta(days=16), markers={})
    alive = [FollowUp(patient=f"T{i}", start=start, last=start + dt.timedelta(days=100), markers={}) for i in (2, 3, 4)]
    curve = survival_curve([died, *alive], "os", log=NoticeLog())
    assert (curve.n, curve.n_events) == (4, 1)
    assert curve.at(1.0).value == pytest.approx(0.75)
    lanes = swimmer_lanes([died, *alive], log=NoticeLog())
    assert (lanes[-1].patient, lanes[-1].ended) == ("T1", "death")
