"""Ligand depletion after the GraphPad Prism 7 and 8 Curve Fitting Guides; roots of the same equations found independently."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq

from fusin.assays.binding import BindingOptions, analyse_binding
from fusin.assays.binding_radioligand import Radioligand
from fusin.assays.binding_tables import read_competition, read_saturation
from fusin.assays.depletion import (
    bound_in_competition,
    bound_in_saturation,
    cheng_prusoff,
    kd_in_counts,
    munson_rodbard,
    radioligand_nm,
)
from fusin.assays.saturation import SaturationOptions, analyse_saturation
from fusin.provenance import NoticeLog

BMAX, NS, HOT = 20000.0, 0.02, 30000.0
KD_COUNTS = kd_in_counts(0.5, volume_ml=0.25, specific_activity=100.0)


def test_kd_in_counts_is_the_product_of_the_guide():
    assert pytest.approx(12500.0, rel=1e-12) == KD_COUNTS
    assert radioligand_nm(12500.0, volume_ml=0.25, specific_activity=100.0) == pytest.approx(0.5, rel=1e-12)


def test_saturation_with_depletion_binds_a_sixth_less_than_without():
    """12126.586 cpm; the formula without depletion gives 14717.648, 21 % more."""
    found = float(bound_in_saturation(np.array([HOT]), BMAX, KD_COUNTS, NS)[0])
    plain = BMAX * HOT / (KD_COUNTS + HOT) + NS * HOT
    assert found == pytest.approx(12126.586, abs=5e-4)
    assert plain == pytest.approx(14717.648, abs=1e-3)
    assert plain / found - 1 == pytest.approx(0.21, abs=0.005)


@pytest.mark.parametrize(("log_x", "expected"), [(-9.0, 9437.352), (-8.0, 3733.169), (-6.0, 634.146)])
def test_competition_with_depletion_gives_the_three_points(log_x, expected):
    found = bound_in_competition(np.array([log_x]), HOT, BMAX, -9.0, KD_COUNTS, NS)
    assert float(found[0]) == pytest.approx(expected, abs=5e-4)


def test_competition_without_compound_is_saturation_and_with_endless_compound_non_specific():
    ends = bound_in_competition(np.array([-np.inf, np.inf, 3.0]), HOT, BMAX, -9.0, KD_COUNTS, NS)
    assert ends[0] == pytest.approx(12126.586, abs=5e-4)
    assert ends[1] == pytest.approx(HOT * NS / (1 + NS), rel=1e-12)
    assert ends[2] == pytest.approx(ends[1], rel=1e-6)


def test_the_ki_of_the_guide_comes_back_where_cheng_prusoff_is_off():
    """Points of the guide's curve with Ki 1 nM; 40 % of the radioligand is bound, and the competitor is taken as free."""
    x = np.array([-np.inf, *np.linspace(-11, -6, 11)])
    y = bound_in_competition(x, HOT, BMAX, -9.0, KD_COUNTS, NS)
    frame = pd.DataFrame({"concentration_nM": 10 ** (x + 9), "cpm": y})
    hot = Radioligand(kd_nm=0.5, added=HOT, volume_ml=0.25, specific_activity=100.0)
    log = NoticeLog()
    found = analyse_binding(
        read_competition(frame, log), log, options=BindingOptions(radioligand=hot, ki_method="hot-depletion")
    )[0]
    assert found.ki.value == pytest.approx(1.0, rel=1e-8)
    assert found.ki_method == "hot-depletion"
    assert found.ki_by("cheng-prusoff").value > 1.03
    # Were these concentrations those added, 0.8 nM of receptor would have taken part of the competitor.
    assert found.ki_by("exact").value < 0.9
    assert found.experiments[0].bound_over_added == pytest.approx(12126.586 / HOT, rel=1e-6)
    assert "LIGAND_DEPLETION" in {n.code for n in log}


def test_bmax_and_kd_come_back_from_a_saturation_with_depletion():
    per_nm = kd_in_counts(1.0, volume_ml=0.25, specific_activity=100.0)
    x = np.array([0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0])
    total = bound_in_saturation(x * per_nm, BMAX, KD_COUNTS, NS) + 100.0
    blocked = x * per_nm * NS / (1 + NS) + 100.0
    frame = pd.DataFrame({"concentration_nM": x, "total_cpm": total, "nonspecific_cpm": blocked})
    log = NoticeLog()
    options = SaturationOptions(deplete=True, volume_ml=0.25, specific_activity=100.0, cells=1e5, protein_mg=0.05)
    found = analyse_saturation(read_saturation(frame, log), log, options=options)[0].quantities
    assert found["bmax"].value == pytest.approx(BMAX, rel=1e-8)
    assert found["kd_nm"].value == pytest.approx(0.5, rel=1e-8)
    assert found["ns"].value == pytest.approx(NS, rel=1e-7)
    assert found["background"].value == pytest.approx(100.0, rel=1e-6)
    # 20000 cpm at 100 cpm/fmol are 200 fmol.
    assert found["bmax_fmol_mg"].value == pytest.approx(4000.0, rel=1e-8)
    assert found["bmax_sites_cell"].value == pytest.approx(200e-15 * 6.02214076e23 / 1e5, rel=1e-8)


@pytest.mark.parametrize(
    ("hot", "receptors", "kd", "ki"), [(2.0, 1.0, 0.5, 3.0), (1.0, 5.0, 2.0, 0.7), (0.1, 0.01, 1.0, 10.0)]
)
def test_munson_rodbard_is_exact_where_both_ligands_are_depleted(hot, receptors, kd, ki):
    """Against the equilibrium of two ligands at one receptor, solved by bisection of the mass balance."""

    def bound(cold):
        def balance(free):
            return free + hot * free / (kd + free) + cold * free / (ki + free) - receptors

        free = brentq(balance, 0.0, receptors, xtol=1e-15)
        return hot * free / (kd + free)

    full = bound(0.0)
    ic50 = brentq(lambda cold: bound(cold) - full / 2, 0.0, 1e6, xtol=1e-12)
    assert munson_rodbard(ic50, radioligand=hot, kd=kd, bound_over_free=full / (hot - full)) == pytest.approx(
        ki, rel=1e-9
    )
    assert cheng_prusoff(ic50, radioligand=hot, kd=kd) > ki
