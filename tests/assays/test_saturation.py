"""Saturation and homologous binding: Bmax, Kd and non-specific binding, one experiment or several."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fusin.assays.binding import BindingOptions, analyse_binding
from fusin.assays.binding_tables import read_competition, read_saturation
from fusin.assays.depletion import bound_in_saturation
from fusin.assays.fitting import fit
from fusin.assays.intervals import intervals
from fusin.assays.models import hyperbola
from fusin.assays.saturation import SaturationOptions, analyse_saturation
from fusin.assays.synthetic_binding import make_homologous, make_saturation
from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog

X = np.array([0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])


def table(bmax=2000.0, kd=0.8, ns=40.0, background=25.0, scatter=0.0, seed=0):
    rng = np.random.default_rng(seed)
    blocked = ns * X + background
    total = bmax * X / (kd + X) + blocked
    y = np.concatenate([total, blocked]) + scatter * rng.standard_normal(2 * X.size)
    return pd.DataFrame({"concentration_nM": np.tile(X, 2), "cpm": y, "kind": ["total"] * 8 + ["nonspecific"] * 8})


def analysed(frame, log=None, **options):
    log = NoticeLog() if log is None else log
    return analyse_saturation(read_saturation(frame, log), log, options=SaturationOptions(**options))


def values(group):
    return {name: q.value for name, q in group.quantities.items()}


def test_total_and_non_specific_binding_share_ns_and_background():
    found = analysed(table())[0]
    assert values(found) == pytest.approx({"bmax": 2000.0, "kd_nm": 0.8, "ns": 40.0, "background": 25.0}, rel=1e-7)
    assert found.to_json()["kd"] == found.to_json()["kd_nm"]


def test_the_global_fit_is_more_certain_than_total_binding_alone():
    frame = table(scatter=20.0, seed=2)
    both, alone = analysed(frame)[0], analysed(frame[frame["kind"] == "total"])[0]
    assert both.quantities["bmax"].se < 0.8 * alone.quantities["bmax"].se


def test_without_background_it_is_zero():
    found = analysed(table(background=0.0), background=False)[0]
    assert "background" not in found.quantities
    assert values(found)["bmax"] == pytest.approx(2000.0, rel=1e-7)


@pytest.mark.parametrize(("low", "chosen"), [(0.0, "one-site total binding"), (3000.0, "two-site total binding")])
def test_two_sites_are_chosen_only_where_the_data_ask_for_them(low, chosen):
    frame = table(scatter=8.0, kd=0.1, seed=3)
    frame.loc[:7, "cpm"] += low * X / (8.0 + X)
    found = analysed(frame, sites="f-test")[0].experiments[0]
    assert found.model == chosen


def test_a_second_site_that_binds_nothing_is_no_site():
    """Depletion bends the curve; the bend is no second site with a negative Bmax."""
    frame = make_saturation(seed=2)
    found = analysed(frame, sites="f-test")[0].experiments[0]
    assert found.model == "one-site total binding"
    with pytest.raises(NotComputable, match="one of two sites"):
        analysed(frame, sites="two")


def test_a_kd_beyond_the_concentrations_is_warned():
    log = NoticeLog()
    analysed(table(kd=30.0, scatter=1.0), log)
    assert "KD_BEYOND_DATA" in {n.code for n in log}


def test_experiments_are_averaged_with_kd_on_the_log_scale():
    frame = pd.concat([table(kd=k, scatter=5.0, seed=i).assign(experiment=i) for i, k in enumerate((0.6, 0.8, 1.1))])
    found = analysed(frame)[0]
    kds = [c.quantities["kd_nm"].value for c in found.experiments]
    assert found.quantities["kd_nm"].value == pytest.approx(np.exp(np.mean(np.log(kds))))
    assert found.quantities["bmax"].value == pytest.approx(
        np.mean([c.quantities["bmax"].value for c in found.experiments])
    )


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (table().query("kind == 'nonspecific'"), "rows of kind total"),
        (table().assign(kind=["specific"] * 8 + ["nonspecific"] * 8), "specific alone"),
        (table().drop(columns="concentration_nM"), "column of concentrations"),
    ],
)
def test_rows_that_do_not_belong_together_are_refused(frame, sentence):
    with pytest.raises(InputError, match=sentence):
        analysed(frame)


def test_total_below_non_specific_binding_is_no_bmax():
    frame = table(scatter=1.0)
    frame["kind"] = ["nonspecific"] * 8 + ["total"] * 8
    with pytest.raises(NotComputable):
        analysed(frame)


def test_bmax_per_cell_and_per_protein_need_the_specific_activity():
    with pytest.raises(InputError, match="cpm per fmol"):
        SaturationOptions(cells=1e5)
    with pytest.raises(InputError, match="--volume-ml"):
        analysed(table(), deplete=True)
    with pytest.raises(InputError, match="above 0"):
        SaturationOptions(volume_ml=-1.0)


def test_depletion_is_warned_where_the_amounts_are_known():
    log = NoticeLog()
    frame = table(bmax=20000.0)
    found = analysed(frame, log, volume_ml=0.1, specific_activity=100.0)[0]
    assert found.experiments[0].bound_over_added > 0.1
    assert "LIGAND_DEPLETION" in {n.code for n in log}


def test_the_made_up_saturation_comes_back():
    options = {"noise": "relative", "deplete": True, "volume_ml": 0.25, "specific_activity": 1000.0}
    hits = 0
    for seed in range(12):
        found = analysed(make_saturation(seed=seed), **options)[0].quantities["kd_nm"].estimate
        hits += found.low < 0.5 < found.high
    assert hits >= 9


def test_homologous_competition_gives_kd_and_bmax_from_all_hot_concentrations():
    frame = make_homologous(pipetting=0.0, bmax_cpm=8e9, ns_cpm_per_nm=1.5e8, seed=1)
    log = NoticeLog()
    options = BindingOptions(model="homologous")
    found = analyse_binding(read_competition(frame, log), log, options=options)[0]
    assert found.constants["kd_nm"].value == pytest.approx(2.0, rel=1e-3)
    assert found.constants["bmax"].value == pytest.approx(8e9, rel=1e-3)
    assert found.constants["ns"].value == pytest.approx(1.5e8, rel=1e-3)
    # At 0.5 nM hot the IC50 is Kd + hot.
    assert found.ic50_nm.value == pytest.approx(2.5, rel=1e-3)
    one = NoticeLog()
    single = analyse_binding(read_competition(frame[frame["hot_nM"] == 0.5], one), one, options=options)[0]
    assert single.constants["kd_nm"].value == pytest.approx(2.0, rel=1e-2)
    assert "ONE_HOT_CONCENTRATION" in {n.code for n in one}


def test_homologous_competition_needs_the_hot_concentration_and_a_kd_within_reach():
    options = BindingOptions(model="homologous")
    frame = make_homologous(seed=1)
    with pytest.raises(InputError, match="hot"):
        analyse_binding(read_competition(frame.drop(columns="hot_nM"), NoticeLog()), NoticeLog(), options=options)
    far = make_homologous(kd_nm=5000.0, log_m=(-10, -9.5, -9, -8.5, -8, -7.5, -7, -6.5), bmax_cpm=4e6, seed=1)
    with pytest.raises(NotComputable):
        analyse_binding(read_competition(far, NoticeLog()), NoticeLog(), options=options)


def test_binding_that_does_not_bend_has_no_kd_and_its_slope_is_named():
    """A straight line determines Bmax/Kd only."""
    rng = np.random.default_rng(3)
    x = np.repeat([0.05, 0.1, 0.25, 0.5, 1.0, 2.0], 3)
    frame = pd.DataFrame({"concentration_nM": x, "specific_cpm": 2000 * x + 60 * rng.standard_normal(x.size)})
    for interval in ("profile", "wald"):
        with pytest.raises(NotComputable, match=r"Bmax/Kd only, (19|20)\d\d per nM") as refused:
            analysed(frame, interval=interval)
        assert refused.value.code == "FIT_NOT_IDENTIFIABLE"


@pytest.mark.parametrize("noise", ["relative", "poisson"])
def test_a_limit_of_the_search_is_no_limit_of_the_data(noise):
    """Bmax used to be closed where Kd met the edge of its search, six decades above the concentrations."""
    x = np.repeat([0.05, 0.1, 0.25, 0.5, 1.0, 2.0], 3)
    y = 2000 * x * (1 + 0.1 * np.random.default_rng(4).standard_normal(x.size))
    found = fit(hyperbola, x, y, noise=noise)
    assert intervals(found, names=["bmax"])["bmax"].high is None


def test_a_group_without_a_kd_leaves_the_others_standing():
    x = np.repeat(X, 2)
    noise = 200 * np.random.default_rng(8).standard_normal(x.size)
    flat = pd.DataFrame({"group": "flat", "concentration_nM": x, "cpm": 2000 * x + noise, "kind": "total"})
    good = table(scatter=15.0, seed=1).assign(group="good")
    log = NoticeLog()
    found = {g.group: g for g in analysed(pd.concat([flat, good]), log)}
    assert found["good"].quantities["kd_nm"].value == pytest.approx(0.8, rel=0.2)
    assert found["flat"].to_json()["bmax"] is None
    assert "Bmax" in found["flat"].to_json()["refused"][0]["reason"]
    assert "CURVE_REFUSED" in {n.code for n in log}


def test_totals_alone_are_said_to_be_alone():
    log = NoticeLog()
    analysed(table(scatter=5.0).query("kind == 'total'"), log)
    assert "NONSPECIFIC_FROM_TOTALS" in {n.code for n in log}


def test_counts_added_in_the_table_show_depletion_and_serve_it():
    """1 nM is 1000 cpm in the tube; the curve bends by depletion and comes back with it."""
    added = 1000.0 * X
    total = bound_in_saturation(added, 2000.0, 800.0, 0.04) + 25.0
    blocked = added * 0.04 / 1.04 + 25.0
    frame = pd.DataFrame(
        {"concentration_nM": np.tile(X, 2), "cpm": np.concatenate([total, blocked]), "added_cpm": np.tile(added, 2),
         "kind": ["total"] * 8 + ["nonspecific"] * 8}
    )  # fmt: skip
    log = NoticeLog()
    analysed(frame, log)
    assert "LIGAND_DEPLETION" in {n.code for n in log}
    found = values(analysed(frame, deplete=True)[0])
    assert (found["kd_nm"], found["bmax"]) == (pytest.approx(0.8, rel=1e-6), pytest.approx(2000, rel=1e-6))
    frame.loc[3, "added_cpm"] *= 2
    with pytest.raises(InputError, match="in proportion"):
        analysed(frame, deplete=True)
