"""Adrenal indices and published cut-offs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.evidence.catalogue import all_records
from fusin.imaging.volume import Grid, Region
from fusin.provenance import NoticeLog
from fusin.quantification.adrenal import adrenal_indices
from fusin.quantification.metrics import RegionMetrics
from fusin.quantification.references import ReferenceRegion

GRID = Grid(shape=(1, 1, 1), affine=np.diag([10.0, 10.0, 10.0, 1.0]))
LIVER = ReferenceRegion(
    kind="liver", region=Region.from_mask("liver", GRID, np.ones((1, 1, 1))), mean=1.25, sd=0.1, voxels=1, volume_ml=1.0,
    mean_low=1.2, mean_high=1.3, method="given",
)  # fmt: skip


def gland(suv_max, suv_mean=None):
    return RegionMetrics(name="adrenal", voxels=9, volume_ml=4.0, suv_max=suv_max, suv_mean=suv_mean)


def indices(left, right, liver=LIVER, log=None, **more):
    return adrenal_indices(left, right, liver, log=log if log is not None else NoticeLog(), **more)


def cutoff(result, record_id):
    return next(c for c in result.cutoffs if c["id"] == record_id)


def test_indices_are_the_quotients_of_their_definitions():
    # hand calculation: LI 12/8, LLR 12/1.25, LCR 12/5, LAR 12/4
    got = indices(gland(12.0, 7.0), gland(8.0, 5.0), adjacent_left=gland(5.0, 4.0), adjacent_right=gland(5.0, 1.0))
    assert (got.dominant, got.li, got.llr, got.lcr, got.lar) == ("left", 1.5, 9.6, 2.4, 3.0)
    assert (got.suv_max_left, got.suv_max_right) == (12.0, 8.0)


@settings(deadline=None, max_examples=50)
@given(a=st.floats(0.1, 60.0), b=st.floats(0.1, 60.0))
def test_mirroring_the_patient_mirrors_the_side_only(a, b):
    here, there = indices(gland(a, a / 2), gland(b, b / 2)), indices(gland(b, b / 2), gland(a, a / 2))
    mirror = {"left": "right", "right": "left", "equal": "equal"}
    assert there.dominant == mirror[here.dominant]
    assert (there.li, there.llr, there.lcr) == (here.li, here.llr, here.lcr)
    assert here.li >= 1.0


def test_equal_glands_have_index_one_and_no_dominant_side():
    got = indices(gland(5.0, 3.0), gland(5.0, 3.0))
    assert (got.dominant, got.li) == ("equal", 1.0)


@pytest.mark.parametrize(("left", "right", "side"), [(gland(9.0, 4.0), None, "left"), (None, gland(9.0, 4.0), "right")])
def test_one_missing_side_leaves_the_other_measured(left, right, side):
    log = NoticeLog()
    got = indices(left, right, log=log, time_min=10.0)
    assert (got.dominant, got.li, got.lcr) == ("", None, None)
    assert got.llr == pytest.approx(9.0 / 1.25)
    assert f"LLR and LAR are of the {side}" in got.because
    assert [n.code for n in log] == ["ADRENAL_SIDE_MISSING"]
    assert cutoff(got, "adrenal-li-hu2023")["verdict"] is None
    assert cutoff(got, "adrenal-suvmax-nodules")["verdict"] is True


def test_nothing_measured_gives_no_index_and_no_verdict():
    got = indices(None, gland(None), liver=None)
    assert (got.dominant, got.li, got.llr, got.lcr, got.lar) == ("", None, None, None, None)
    assert all(c["verdict"] is None for c in got.cutoffs)
    assert got.to_json()["because"] == "Neither adrenal has a usable SUVmax."


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan")])
def test_a_denominator_that_is_no_uptake_gives_no_ratio(bad):
    got = indices(gland(9.0, 4.0), gland(6.0, bad))
    assert got.lcr is None
    assert indices(gland(9.0), gland(bad)).li is None


def test_missing_liver_and_unknown_time_are_said():
    log = NoticeLog()
    got = indices(gland(9.0, 4.0), gland(6.0, 3.0), liver=None, log=log)
    assert got.llr is None
    assert [n.code for n in log] == ["ADRENAL_LIVER_MISSING", "ADRENAL_TIME_UNKNOWN"]
    assert cutoff(got, "adrenal-llr-ding2020")["verdict"] is None
    assert "time of this scan is unknown" in cutoff(got, "adrenal-li-hu2023")["because"]


def test_every_published_cutoff_is_listed_once():
    got = indices(gland(9.0, 4.0), gland(6.0, 3.0), time_min=10.0)
    assert [c["id"] for c in got.cutoffs] == [r.id for r in all_records() if r.kind == "adrenal-cutoff"]
    assert all(c["because"] and c["citation"] for c in got.cutoffs)
    assert all(c["verdict"] is None for c in got.cutoffs if not c["applicable"])


def test_cutoffs_of_another_tracer_or_time_do_not_apply():
    got = indices(gland(20.0, 9.0), gland(6.0, 3.0), time_min=40.0)
    assert cutoff(got, "adrenal-suvmax-alf-pentixather")["applicable"] is False
    assert "18F-AlF-NOTA-pentixather" in cutoff(got, "adrenal-suvmax-alf-pentixather")["because"]
    assert "made for 10 min, this scan is at 40 min" in cutoff(got, "adrenal-li-hu2023")["because"]
    assert cutoff(got, "adrenal-suvmax-ding2020")["verdict"] is True
    fluorine = indices(gland(20.0, 9.0), gland(6.0, 3.0), tracer="[18F]AlF-NOTA-pentixather", time_min=40.0)
    assert cutoff(fluorine, "adrenal-suvmax-alf-pentixather")["verdict"] is True
    assert cutoff(fluorine, "adrenal-suvmax-ding2020")["applicable"] is False


@pytest.mark.parametrize("spelling", ["68Ga-pentixafor", "[68Ga]Ga-PentixaFor", "68Ga-Pentixafor", "[68Ga]Pentixafor"])
def test_spellings_of_the_tracer_are_one_tracer(spelling):
    got = indices(gland(9.0, 4.0), gland(6.0, 3.0), tracer=spelling, time_min=10.0)
    assert cutoff(got, "adrenal-li-hu2023")["applicable"] is True


@pytest.mark.parametrize(("time_min", "applies"), [(5.0, True), (15.0, True), (15.1, False), (4.9, False)])
def test_time_may_differ_by_the_project_tolerance(time_min, applies):
    got = indices(gland(9.0, 4.0), gland(6.0, 3.0), time_min=time_min)
    assert cutoff(got, "adrenal-li-hu2023")["applicable"] is applies


def test_a_circulating_claim_is_listed_and_never_applied():
    claim = cutoff(indices(gland(20.0, 9.0), gland(6.0, 3.0), time_min=10.0), "adrenal-suvmax-claim")
    assert (claim["applicable"], claim["verdict"], claim["tag"]) == (False, None, "U")
