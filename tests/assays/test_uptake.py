"""Uptake of wells: shares by hand, covariance by simulation, rates by known truth, and what is missing said."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from fusin.assays.counting_runs import RunSetup
from fusin.assays.counting_uncertainty import counted, covariance, exact
from fusin.assays.synthetic_uptake import UptakeDesign, make_uptake
from fusin.assays.uptake import Well, well_shares
from fusin.assays.uptake_files import read_uptake
from fusin.assays.uptake_groups import group_wells, reference_normalised, specific_uptake
from fusin.assays.uptake_kinetics import effluxes, internalisation_rates
from fusin.errors import FusinError, InputError, MissingValue, StrictRefusal
from fusin.provenance import NoticeLog

HEAD = "well,fraction,kind,condition,tracer,time_min,counts,live_time_s,start_time,cells_million,experiment"
START = "2026-03-02T10:00:00"


def rows(well, s, m, i, condition="unblocked", tracer="", time=30, cells="0.5", experiment=""):
    return [f"{well},{f},sample,{condition},{tracer},{time},{n},60,{START},{cells},{experiment}"
            for f, n in (("S", s), ("M", m), ("I", i)) if n is not None]  # fmt: skip


BLANK = [f",,blank,,,,0,60,{START},,"]
STANDARD = [f",,standard,,,,100000,60,{START},,"]


def study(tmp_path, lines, log=None, head=HEAD, **changes):
    (tmp_path / "u.csv").write_text("\n".join([head, *lines]) + "\n")
    log = NoticeLog() if log is None else log
    return read_uptake(tmp_path / "u.csv", RunSetup(**({"nuclide": "Lu-177"} | changes)), log)


def shares(tmp_path, lines, log=None, **changes):
    log = NoticeLog() if log is None else log
    found = study(tmp_path, lines, log, **changes)
    return well_shares(found.wells, found.standards, log)


def test_shares_of_a_well_by_hand(tmp_path):
    (one,) = shares(tmp_path, BLANK + STANDARD + rows("a", 90000, 4000, 6000))
    assert one.uptake_percent.value == pytest.approx(10.0)
    assert one.membrane_percent.value == pytest.approx(4.0)
    assert one.internalised_percent.value == pytest.approx(6.0)
    assert one.internalised_of_cell_percent.value == pytest.approx(60.0)
    assert one.recovery_percent.value == pytest.approx(100.0)


def test_the_covariance_of_the_shared_total_is_that_of_simulation():
    counts = {"s": 20000.0, "m": 400.0, "i": 900.0}
    well = Well(name="a", supernatant=counted(counts["s"], "s"), acid_wash=counted(counts["m"], "m"),
                lysate=counted(counts["i"], "i"))  # fmt: skip
    (one,) = well_shares([well], {}, NoticeLog())
    rng = np.random.default_rng(1)
    s, m, i = (rng.poisson(v, 200_000).astype(float) for v in counts.values())
    total = s + m + i
    assert one.internalised_percent.u == pytest.approx((100 * i / total).std(), rel=0.01)
    assert one.uptake_percent.u == pytest.approx((100 * (m + i) / total).std(), rel=0.01)
    assert one.internalised_of_cell_percent.u == pytest.approx((100 * i / (m + i)).std(), rel=0.01)
    simulated = np.cov(100 * i / total, 100 * m / total)[0, 1]
    own = covariance(one.internalised_percent, one.membrane_percent)
    assert own == pytest.approx(simulated, abs=0.01 * one.internalised_percent.u * one.membrane_percent.u)
    # Taking I and the total as independent would be wrong by the share itself; for I of (M + I) it is far off.
    naive = math.hypot(1 / 30, math.sqrt(1300) / 1300)
    assert one.internalised_of_cell_percent.u / one.internalised_of_cell_percent.value < 0.6 * naive


def test_a_recovery_outside_the_limits_is_pointed_out_by_well(tmp_path):
    log = NoticeLog()
    shares(tmp_path, BLANK + STANDARD + rows("a", 90000, 4000, 6000) + rows("b", 80000, 4000, 6000), log)
    (notice,) = (n for n in log if n.code == "RECOVERY_OUTSIDE")
    assert "well b" in notice.message
    assert "90.0 %" in notice.message


def test_without_supernatant_the_standard_is_the_applied_activity(tmp_path):
    (one,) = shares(tmp_path, BLANK + STANDARD + rows("a", None, 4000, 6000))
    assert one.denominator == "standard"
    assert one.uptake_percent.value == pytest.approx(10.0)
    with pytest.raises(MissingValue) as caught:
        shares(tmp_path, BLANK + rows("a", None, 4000, 6000))
    assert caught.value.code == "NO_APPLIED_ACTIVITY"


def test_without_an_acid_wash_nothing_is_called_internalised(tmp_path):
    (one,) = shares(tmp_path, BLANK + rows("a", 90000, None, 10000))
    assert one.uptake_percent.value == pytest.approx(10.0)
    assert one.internalised_percent is None
    assert one.internalised_of_cell_percent is None


def test_the_wide_form_is_the_long_one(tmp_path):
    long = shares(tmp_path, BLANK + rows("a", 90000, 4000, 6000))
    head = (
        "well;kind;condition;time_min;supernatant_counts;acid_wash_counts;lysate_counts;counts;live_time_s;start_time"
    )
    wide = shares(
        tmp_path, [f";blank;;;;;;0;60;{START}", f"a;sample;unblocked;30;90000;4000;6000;;60;{START}"], head=head
    )
    for name in ("uptake_percent", "internalised_percent"):
        assert wide[0].quantity(name).value == long[0].quantity(name).value


def test_specific_is_unblocked_less_blocked_with_welchs_interval(tmp_path):
    inside, blocked = (6000, 6600, 5700), (500, 650, 560)
    lines = [r for k, i in enumerate(inside) for r in rows(f"a{k}", 90000, 4000, i)]
    lines += [r for k, i in enumerate(blocked) for r in rows(f"b{k}", 99000, 400, i, condition="blocked")]
    groups = group_wells(shares(tmp_path, BLANK + lines))
    found = next(
        g for g in specific_uptake(groups, NoticeLog()) if (g.quantity, g.per) == ("internalised_percent", "percent")
    )
    a = [100 * i / (94000 + i) for i in inside]
    b = [100 * i / (99400 + i) for i in blocked]
    assert found.mean.value == pytest.approx(np.mean(a) - np.mean(b), rel=1e-6)
    ci = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    assert (found.mean.low, found.mean.high) == (pytest.approx(ci.low, rel=1e-4), pytest.approx(ci.high, rel=1e-4))


def test_a_missing_blocked_twin_is_one_sentence_and_no_zero(tmp_path):
    log = NoticeLog()
    groups = group_wells(shares(tmp_path, BLANK + rows("a", 90000, 4000, 6000)))
    assert specific_uptake(groups, log) == ()
    assert [n.code for n in log] == ["NO_BLOCKED_TWIN"]


def test_values_per_cells_are_divided_and_per_protein_only_where_given(tmp_path):
    groups = group_wells(shares(tmp_path, BLANK + rows("a", 90000, 4000, 6000)))
    per = {g.per: g.mean.value for g in groups if g.quantity == "uptake_percent"}
    assert per == {"percent": pytest.approx(10.0), "per 1e6 cells": pytest.approx(20.0)}


def test_experiments_are_the_units_when_there_are_several(tmp_path):
    lines = []
    for e, i in (("x", (5000, 7000)), ("y", (8000, 8000)), ("z", (6500, 6700))):
        lines += [r for k, n in enumerate(i) for r in rows(f"{e}{k}", 90000, 4000, n, experiment=e)]
    groups = group_wells(shares(tmp_path, BLANK + lines))
    one = next(g for g in groups if (g.quantity, g.per) == ("internalised_percent", "percent"))
    assert (one.unit, one.mean.n) == ("experiments", 3)


def test_reference_normalisation_of_parallel_and_of_dual_label_wells(tmp_path):
    parallel, dual = [], []
    for k in range(3):
        for tracer, level in (("test", 6000 + 100 * k), ("ref", 4000 + 70 * k)):
            for condition, factor in (("unblocked", 1.0), ("blocked", 0.05)):
                args = (90000, 1000, round(level * factor))
                dual += rows(f"w{k}{condition}", *args, condition=condition, tracer=tracer)
                parallel += rows(f"{tracer}{k}{condition}", *args, condition=condition, tracer=tracer)
    out = {}
    for name, lines in (("parallel", parallel), ("dual-label", dual)):
        (one,) = reference_normalised(shares(tmp_path, BLANK + lines), "ref", NoticeLog())
        assert one.design == name
        out[name] = one.ratio
    assert out["parallel"].value == pytest.approx(150, rel=0.03)
    assert out["dual-label"].value == out["parallel"].value
    # Wells move together here, so the dual label is the sharper one.
    width = {k: v.high - v.low for k, v in out.items()}
    assert width["dual-label"] < width["parallel"]
    with pytest.raises(InputError, match="one of test, ref"):
        reference_normalised(shares(tmp_path, BLANK + dual), "other", NoticeLog())


def test_two_nuclides_decay_with_their_own_half_lives(tmp_path):
    head = HEAD + ",nuclide"
    late = START.replace("T10", "T12")
    lines = [f"{BLANK[0]},"]
    for tracer, nuclide in (("a", "Ga-68"), ("b", "Lu-177")):
        lines += [f"w,{f},sample,unblocked,{tracer},30,{n},60,{t},,,{nuclide}"
                  for f, n, t in (("S", 90000, START), ("M", 4000, START), ("I", 6000, late))]  # fmt: skip
    found = {s.well.tracer: s for s in shares(tmp_path, lines, head=head, nuclide=None)}
    grown = 6000 * 2 ** (120 / 67.71)
    assert found["a"].internalised_percent.value == pytest.approx(100 * grown / (94000 + grown), rel=1e-6)
    assert found["b"].internalised_percent.value == pytest.approx(6.05, abs=0.01)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A clean assay: many counts and little scatter, so that truth must come back."""
    folder = tmp_path_factory.mktemp("uptake")
    (folder / "u.csv").write_text(make_uptake(UptakeDesign(applied_cps=1e5, spread=0.005), seed=2))
    log = NoticeLog()
    found = read_uptake(folder / "u.csv", RunSetup(nuclide="Ga-68"), log)
    return well_shares(found.wells, found.standards, log)


def test_internalisation_rates_come_back(made):
    log = NoticeLog()
    found = {r.tracer: r for r in internalisation_rates(made, log)}
    for tracer, rate in UptakeDesign().rate_per_min.items():
        assert found[tracer].rate.value == pytest.approx(rate, rel=0.01)
        assert found[tracer].specific
        assert found[tracer].rate.low < found[tracer].rate.value < found[tracer].rate.high
        # Trapezoids below a curve that bends down give too small an integral.
        assert found[tracer].trapezoid > found[tracer].rate.value
    assert "NOTHING_BOUND_AT_ZERO" in [n.code for n in log]
    with pytest.raises(StrictRefusal):
        internalisation_rates(made, NoticeLog(strict=True))


def test_the_interval_of_the_rate_covers(tmp_path):
    """50 assays with three wells: residuals of a line would cover 63 %, the scatter of the replicates 93 to 97 %."""
    design = UptakeDesign(efflux_min=())
    hits = []
    for seed in range(50):
        (tmp_path / "u.csv").write_text(make_uptake(design, seed=seed))
        found = read_uptake(tmp_path / "u.csv", RunSetup(nuclide="Ga-68"), NoticeLog())
        rates = internalisation_rates(well_shares(found.wells, found.standards, NoticeLog()), NoticeLog())
        hits += [r.rate.low <= design.rate_per_min[r.tracer] <= r.rate.high for r in rates]
    assert len(hits) == 100
    assert 0.9 <= np.mean(hits) <= 0.99


def test_efflux_comes_back(made):
    for one in effluxes(made, NoticeLog()):
        assert one.plateau.value == pytest.approx(55.0, rel=0.02)
        assert one.rate.value == pytest.approx(0.05, rel=0.05)
        assert one.half_life.value == pytest.approx(math.log(2) / one.rate.value)
        assert one.half_life.low == pytest.approx(math.log(2) / one.rate.high)


def test_efflux_without_a_start_is_said_and_not_invented(made):
    log = NoticeLog()
    assert effluxes([s for s in made if s.well.time_min != 0.0], log) == ()
    assert {n.code for n in log} == {"KINETICS_NOT_COMPUTED"}


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("a,S,", "a,Q,", "one of"),
        ("a,I,", "a,M,", "once"),
        ("a,I,", ",I,", "each tube"),
        ("6000", "6,000", "decimal"),
        ("6000", "-6000", "at least 0"),
        ("6000", "lost", "plain number"),
        (",blank,", ",standard,", "blank"),
        (START, "03/04/2026 10:00", "order"),
        (",30,90000", ",20,90000", "without"),
        (",0.5,", ",0,", "above 0"),
    ],
)
def test_a_bad_table_of_wells_is_one_sentence(tmp_path, old, new, word):
    text = "\n".join(BLANK + rows("a", 90000, 4000, 6000)).replace(old, new, 1)
    text = text.replace("6,000", '"6,000"')
    with pytest.raises(FusinError) as caught:
        shares(tmp_path, text.splitlines())
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_total_below_background_is_refused():
    well = Well(name="a", supernatant=exact(-5.0), acid_wash=exact(1.0), lysate=exact(1.0))
    with pytest.raises(InputError, match="above background"):
        well_shares([well], {}, NoticeLog())


def test_a_well_number_that_returns_in_another_condition_or_time_is_another_well(tmp_path):
    """Replicates are numbered 1 to 3 in every group of most sheets."""
    lines = BLANK + rows("1", 90000, 4000, 6000) + rows("1", 99000, 500, 500, condition="blocked")
    found = shares(tmp_path, lines + rows("1", 80000, 4000, 9000, time=60))
    assert [(s.well.condition, s.well.time_min) for s in found] == [
        ("unblocked", 30),
        ("blocked", 30),
        ("unblocked", 60),
    ]


def test_a_well_that_lacks_a_fraction_of_the_others_is_named(tmp_path):
    lines = BLANK + rows("1", 90000, 4000, 6000) + rows("2", 90000, None, 6000)
    with pytest.raises(InputError, match="well 2 unblocked 30 min without acid_wash"):
        shares(tmp_path, lines)


def test_equal_counting_times_cancel_in_shares_and_are_said(tmp_path):
    head = "well,fraction,kind,condition,time_min,counts"
    lines = [",,blank,,,60", "a,S,,unblocked,30,90060", "a,M,,unblocked,30,4060", "a,I,,unblocked,30,6060"]
    log = NoticeLog()
    found = study(tmp_path, lines, log, head=head, nuclide=None, applied=("decay",))
    (one,) = well_shares(found.wells, {}, log)
    assert one.uptake_percent.value == pytest.approx(10.0)
    assert "EQUAL_COUNTING_TIME" in {n.code for n in log}
    with pytest.raises(StrictRefusal):
        study(tmp_path, lines, NoticeLog(strict=True), head=head, nuclide=None, applied=("decay",))
    for changes in ({"background_cpm": 60.0}, {"dead_time_us": 4.0}, {"nuclide": "Ga-68", "applied": ()}):
        with pytest.raises(InputError, match="counting time of each tube"):
            study(tmp_path, lines, head=head, **({"nuclide": None, "applied": ("decay",)} | changes))


def test_a_nuclide_that_is_not_in_the_table_decays_with_the_half_life_that_is_stated(tmp_path):
    lines = BLANK + rows("a", 90000, 4000, 6000)
    stated = study(tmp_path, lines, nuclide=None, half_life_h=67.71 / 60).wells[0].lysate.value
    assert stated == pytest.approx(study(tmp_path, lines, nuclide="Ga-68").wells[0].lysate.value, rel=1e-12)
    assert study(tmp_path, lines, nuclide="I-125", half_life_h=1425.6).runs["I-125"].half_life_s == 1425.6 * 3600
    with pytest.raises(InputError, match="Ga-68 is in the table"):
        study(tmp_path, lines, nuclide="68Ga", half_life_h=1.0)
    with pytest.raises(InputError, match="above 0"):
        study(tmp_path, lines, half_life_h=0.0)
