"""The exact equilibrium of two ligands at one receptor, and Ki by three ways with the uncertainty of its inputs."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import ndtri

from fusin.assays.binding import BindingOptions, analyse_binding
from fusin.assays.binding_equilibrium import free_receptor
from fusin.assays.binding_ki import widened
from fusin.assays.binding_radioligand import Radioligand
from fusin.assays.binding_results import Quantity
from fusin.assays.binding_tables import read_competition
from fusin.assays.depletion import munson_rodbard
from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.stats.results import Estimate

KD, HOT, RECEPTOR, NS, PER_NM = 1.0, 0.1, 0.458, 0.01, 25000.0
X = np.array([-np.inf, *np.linspace(-11.5, -5.5, 13)])
COUNTED = Radioligand(kd_nm=KD, concentration_nm=HOT, added=HOT * PER_NM)
amounts = st.floats(-4, 4).map(lambda v: 10.0**v)


def bound_nm(ki, cold, ns=NS):
    """Radioligand in the tube by bisection of the mass balance, specific and non-specific."""
    kd = KD * (1 + ns)

    def balance(free):
        return free + HOT * free / (kd + free) + cold * free / (ki + free) - RECEPTOR

    free = brentq(balance, 0.0, RECEPTOR, xtol=1e-300, rtol=1e-15)
    specific = HOT * free / (kd + free)
    return specific + ns * (HOT - specific) / (1 + ns)


def table(ki, *, scale=PER_NM, scatter=0.0, seed=0, **columns):
    cold = np.where(np.isneginf(X), 0.0, 10 ** (X + 9))
    y = np.array([scale * bound_nm(ki, c) for c in cold])
    x, y = np.tile(cold, 2 if scatter else 1), np.tile(y, 2 if scatter else 1)
    y = y * (1 + scatter * np.random.default_rng(seed).standard_normal(y.size))
    return pd.DataFrame({"concentration_nM": x, "cpm": y, **columns})


def analysed(frame, log=None, **options):
    log = NoticeLog() if log is None else log
    return analyse_binding(
        read_competition(frame, log), log, options=BindingOptions(**{"model": "variable-slope", **options})
    )


@settings(max_examples=200, deadline=None)
@given(amounts, amounts, amounts, amounts, amounts)
def test_free_receptor_fulfils_the_mass_balance_over_eight_decades(receptor, hot, kd, cold, ki):
    free = float(free_receptor(receptor, hot, kd, cold, ki))
    assert 0 < free <= receptor
    assert free + hot * free / (kd + free) + cold * free / (ki + free) == pytest.approx(receptor, rel=1e-12)


def test_its_derivative_is_that_of_finite_differences():
    step = free_receptor(RECEPTOR, HOT, KD, 2.0, 0.3 + 1e-30j).imag / 1e-30
    sides = [float(free_receptor(RECEPTOR, HOT, KD, 2.0, 0.3 + d)) for d in (-1e-5, 1e-5)]
    assert step == pytest.approx((sides[1] - sides[0]) / 2e-5, rel=1e-7)


@pytest.mark.parametrize("ki", [0.05, 1.0, 50.0])
def test_the_true_ki_comes_back_where_radioligand_and_competitor_are_depleted(ki):
    """30 % of the radioligand is bound; Cheng-Prusoff is off by 38 % or more, and hot-only depletion by what it neglects."""
    log = NoticeLog()
    found = analysed(table(ki), log, radioligand=COUNTED)[0]
    assert found.ki.value == pytest.approx(ki, rel=1e-9)
    assert found.ki_method == "exact"
    assert "exact equilibrium" in found.ki_note
    assert "Kd and [L] taken as exact" in found.ki_note
    assert found.ki_by("cheng-prusoff").value > 1.37 * ki
    assert found.ki_by("hot-depletion").value > 1.003 * ki
    assert {"KI_WAYS_DIFFER", "LIGAND_DEPLETION"} <= {n.code for n in log}


def test_a_known_receptor_gives_the_same_ki_from_percent():
    """Without counts the non-specific share is not known; at 1 % of the free radioligand it costs less than 1 % of Ki."""
    frame = table(1.0, scale=100 / bound_nm(1.0, 0.0)).rename(columns={"cpm": "bound_percent"})
    known = Radioligand(kd_nm=KD, concentration_nm=HOT, receptor_nm=RECEPTOR)
    found = analysed(frame, radioligand=known)[0]
    assert found.ki.value == pytest.approx(1.0, rel=0.01)
    assert found.ki_method == "exact"
    assert found.ki_by("hot-depletion") is None


@pytest.mark.parametrize("known", [{"receptor_nm": RECEPTOR}, {"bmax": RECEPTOR * PER_NM}])
def test_a_receptor_in_nm_or_counts_is_used_with_the_counts_added(known):
    hot = Radioligand(kd_nm=KD, concentration_nm=HOT, added=HOT * PER_NM, **known)
    assert analysed(table(0.05), radioligand=hot)[0].ki.value == pytest.approx(0.05, rel=1e-8)


def test_the_middle_of_the_exact_curve_is_that_of_munson_and_rodbard():
    """Their closed formula for the IC50, without non-specific binding."""
    cold = brentq(lambda c: bound_nm(1.0, c, ns=0.0) - bound_nm(1.0, 0.0, ns=0.0) / 2, 0, 1e4, xtol=1e-13)
    ratio = bound_nm(1.0, 0.0, ns=0.0) / (HOT - bound_nm(1.0, 0.0, ns=0.0))
    assert munson_rodbard(cold, radioligand=HOT, kd=KD, bound_over_free=ratio) == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("method", ["cheng-prusoff", "hot-depletion", "exact"])
def test_the_way_that_is_asked_for_is_reported(method):
    found = analysed(table(1.0), radioligand=COUNTED, ki_method=method)[0]
    assert found.ki_method == method
    assert found.ki is found.ki_by(method)
    assert found.to_json()["ki_method"] == method


def test_a_way_without_its_inputs_is_refused_and_so_are_statements_that_disagree():
    with pytest.raises(InputError, match="--receptor-nm"):
        analysed(table(1.0), radioligand=Radioligand(kd_nm=1.0, concentration_nm=0.1), ki_method="exact")
    with pytest.raises(InputError, match="the Kd"):
        analysed(table(1.0), ki_method="cheng-prusoff")
    with pytest.raises(InputError, match=r"0\.2 nM"):
        Radioligand(concentration_nm=0.4, added=50000.0, volume_ml=0.25, specific_activity=1000.0)
    with pytest.raises(InputError, match="one of the two"):
        Radioligand(receptor_nm=1.0, bmax=1000.0)
    with pytest.raises(InputError, match="Kd itself"):
        analysed(table(1.0), radioligand=Radioligand(kd_u_nm=0.1))
    with pytest.raises(InputError, match="counts added"):
        analysed(table(1.0), radioligand=Radioligand(kd_nm=1.0, concentration_nm=0.1, bmax=1000.0))


def test_an_uncertain_kd_enters_the_interval_of_cheng_prusoff_as_its_derivative_says():
    """d ln Ki / d ln Kd = [L]/(Kd + [L]), added in squares to the interval of the curve."""
    frame = table(1.0, scatter=0.05)
    exact = Radioligand(kd_nm=0.5, concentration_nm=2.0)
    uncertain = Radioligand(kd_nm=0.5, concentration_nm=2.0, kd_u_nm=0.05)
    plain, wide = (analysed(frame, radioligand=hot)[0].ki for hot in (exact, uncertain))
    assert wide.value == plain.value
    part = 2.0 / 2.5 * 0.1
    assert wide.se == pytest.approx(math.hypot(plain.se, part * plain.value), rel=0.02)
    upper = math.hypot(math.log(plain.estimate.high / plain.value), ndtri(0.975) * part)
    assert math.log(wide.estimate.high / wide.value) == pytest.approx(upper, rel=0.02)
    assert "MOVER" in wide.estimate.method
    assert "0.5 ± 0.05" in analysed(frame, radioligand=uncertain)[0].ki_note


@pytest.mark.parametrize("named", ["kd_u_nm", "concentration_u_nm"])
def test_an_uncertain_input_widens_the_exact_ki(named):
    frame = table(1.0, scatter=0.03)
    plain = analysed(frame, radioligand=COUNTED)[0].ki.estimate
    hot = Radioligand(
        kd_nm=KD, concentration_nm=HOT, added=HOT * PER_NM, **{named: 0.2 * (KD if "kd" in named else HOT)}
    )
    wide = analysed(frame, radioligand=hot)[0].ki.estimate
    assert wide.value == plain.value
    assert wide.low < plain.low
    assert wide.high > plain.high


def test_what_is_uncertain_in_all_experiments_does_not_average_out():
    """Nine experiments agree closely; a Kd that is uncertain by 30 % leaves Ki as uncertain as in one."""
    frame = pd.concat([table(1.0, scatter=0.005, seed=i).assign(experiment=i) for i in range(9)])
    hot = Radioligand(kd_nm=0.5, concentration_nm=2.0, kd_u_nm=0.15)
    wide = analysed(frame, radioligand=hot, model="one-site")[0].ki.estimate
    assert math.log(wide.high / wide.value) > 0.9 * ndtri(0.975) * 0.3 * 2.0 / 2.5
    own = frame.assign(kd_nM=0.5 + 0.001 * frame["experiment"], kd_u_nM=0.15)
    alone = analysed(own, radioligand=Radioligand(concentration_nm=2.0), model="one-site")[0].ki.estimate
    # Kd of each experiment on its own: their scatter is in the mean already.
    assert math.log(alone.high / alone.value) < 0.1


def test_constants_with_their_uncertainty_may_stand_in_the_table():
    frame = table(1.0, kd_nM=KD, kd_u_nM=0.1, hot_nM=HOT, hot_u_nM=0.01, receptor_nM=RECEPTOR, receptor_u_pM=40.0)
    found = analysed(frame)[0]
    assert found.ki_method == "exact"
    assert "receptor 0.458 ± 0.04 nM" in found.ki_note
    assert "taken as exact" not in found.ki_note
    stated = found.experiments[0].ki_ways["exact"].inputs
    assert stated["kd_nm"] == pytest.approx((1.0, 0.1))
    assert stated["concentration_nm"] == pytest.approx((0.1, 0.01))
    assert stated["receptor_nm"] == pytest.approx((0.458, 0.04))


def test_an_open_side_stays_open_with_uncertain_inputs():
    estimate = Estimate(value=1.0, low=None, high=2.0, method="profile likelihood", n=9, level=0.95)
    found = widened(Quantity(estimate=estimate, se=0.2), {"kd_nm": (-0.1, 0.1)}).estimate
    assert found.low is None
    assert math.log(found.high) == pytest.approx(math.hypot(math.log(2.0), 0.1))


def test_too_much_receptor_only_bounds_ki_and_keeps_the_ic50():
    """100 nM of receptor titrate a compound of 1 pM: the curve says that Ki is small, and no more."""
    receptor, kd, ki, hot = 100.0, 1.0, 1e-3, 0.5
    cold = np.repeat([0.0, 1, 10, 30, 60, 80, 95, 105, 120, 150, 300, 1000], 2)
    free = np.array([float(free_receptor(receptor, hot, kd, c, ki)) for c in cold])
    y = 1000 * hot * free / (kd + free) * (1 + 0.03 * np.random.default_rng(1).standard_normal(cold.size))
    frame = pd.DataFrame({"concentration_nM": cold, "cpm": y})
    known = Radioligand(kd_nm=kd, concentration_nm=hot, receptor_nm=receptor)
    log = NoticeLog()
    found = analysed(frame, log, radioligand=known)[0]
    assert found.ic50_nm.value > 50
    assert found.ki is None or found.ki.estimate.low is None
