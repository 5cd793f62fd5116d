"""Competitive binding: exact for any spread of amounts, its limits, and where Cheng-Prusoff fails."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fusin.errors import InputError, NotComputable
from fusin.receptor.occupancy import (
    bound_exactly,
    bound_with_supply,
    check_cheng_prusoff,
    cheng_prusoff_ki,
    ki_exactly,
)

WIDE = st.floats(-12.0, 12.0).map(lambda x: 10.0**x)
LIGANDS = st.lists(st.tuples(WIDE, WIDE), min_size=1, max_size=5)


def balance(free, receptor, ligands):
    """Exact residue of the mass balance in rational arithmetic."""
    total = sum((Fraction(a) * free / (Fraction(k) + free) for a, k in ligands), Fraction(0))
    return free + total - Fraction(receptor)


@settings(max_examples=300, deadline=None)
@given(receptor=WIDE, ligands=LIGANDS)
def test_the_root_of_the_balance_is_right_to_the_last_digits(receptor, ligands):
    found = bound_exactly(receptor, [a for a, _ in ligands], [k for _, k in ligands])
    free = Fraction(float(found.free_fraction)) * Fraction(receptor)
    assume(free > 0)
    off = Fraction(1, 10**13)
    assert balance(free * (1 - off), receptor, ligands) < 0 < balance(free * (1 + off), receptor, ligands)


@settings(max_examples=100, deadline=None)
@given(receptor=WIDE, ligands=LIGANDS)
def test_receptor_and_every_ligand_are_conserved(receptor, ligands):
    totals = [a for a, _ in ligands]
    found = bound_exactly(receptor, totals, [k for _, k in ligands])
    assert float(found.free_fraction + found.occupied.sum()) == pytest.approx(1.0, rel=1e-12)
    assert list(found.bound_nm + found.free_nm) == pytest.approx(totals, rel=1e-12)
    assert list(found.bound_nm) == pytest.approx(list(found.occupied * receptor), rel=1e-9, abs=1e-9 * receptor)


@settings(max_examples=100, deadline=None)
@given(receptor=WIDE, ligands=LIGANDS, factor=st.floats(1.001, 1e3))
def test_more_of_a_ligand_holds_more_and_leaves_others_less(receptor, ligands, factor):
    totals, constants = [a for a, _ in ligands], [k for _, k in ligands]
    before = bound_exactly(receptor, totals, constants).occupied
    after = bound_exactly(receptor, [totals[0] * factor, *totals[1:]], constants).occupied
    assert after[0] >= before[0] * (1 - 1e-12)
    assert np.all(after[1:] <= before[1:] * (1 + 1e-12))


@settings(max_examples=50, deadline=None)
@given(receptor=WIDE, ligands=LIGANDS, scale=st.floats(1e-3, 1e3))
def test_units_do_not_matter(receptor, ligands, scale):
    totals, constants = np.array(ligands).T
    one = bound_exactly(receptor, list(totals), list(constants)).occupied
    other = bound_exactly(receptor * scale, list(totals * scale), list(constants * scale)).occupied
    assert list(other) == pytest.approx(list(one), rel=1e-9)


def test_one_ligand_agrees_with_the_quadratic():
    receptor, total, kd = 3.0, 5.0, 2.0
    b = receptor + total + kd
    bound = (b - math.sqrt(b * b - 4 * receptor * total)) / 2
    assert float(bound_exactly(receptor, [total], [kd]).bound_nm[0]) == pytest.approx(bound, rel=1e-14)


def test_a_ligand_split_in_two_binds_as_one():
    whole = bound_exactly(4.0, [6.0, 1.0], [2.0, 9.0])
    split = bound_exactly(4.0, [2.5, 3.5, 1.0], [2.0, 2.0, 9.0])
    assert float(split.occupied[0] + split.occupied[1]) == pytest.approx(float(whole.occupied[0]), rel=1e-14)


def test_little_receptor_depletes_nothing():
    left, held = bound_with_supply([3.0, 10.0], [1.5, 5.0])
    assert float(left) == pytest.approx(1 / (1 + 2 + 2), rel=1e-14)
    assert list(held) == pytest.approx([0.4, 0.4], rel=1e-14)
    assert list(bound_exactly(1e-12, [3.0, 10.0], [1.5, 5.0]).occupied) == pytest.approx(list(held), rel=1e-9)


@pytest.mark.parametrize(
    ("case", "free"),
    [
        ((1e300, [1e-300], [1e-300]), 1.0),
        ((0.0, [1e300], [1e-300]), 0.0),
        ((5.0, [5.0], [1e-200]), math.sqrt(1e-200 / 5.0)),
        ((1.0, [0.0], [1.0]), 1.0),
        ((1e-300, [1e300], [1e-300]), 0.0),
    ],
)
def test_extreme_amounts_have_their_limits(case, free):
    found = bound_exactly(*case)
    assert float(found.free_fraction) == pytest.approx(free, rel=1e-6, abs=1e-290)
    assert np.all(np.isfinite(found.occupied))


def test_arrays_give_what_single_cases_give():
    kd = np.array([0.1, 1.0, 25.0])
    many = bound_exactly(10.0, [np.array([[1.0], [30.0]]), 5.0], [kd, 2.0])
    assert many.occupied.shape == (2, 2, 3)
    one = bound_exactly(10.0, [30.0, 5.0], [1.0, 2.0])
    assert list(many.occupied[:, 1, 1]) == pytest.approx(list(one.occupied), rel=1e-14)


@pytest.mark.parametrize(
    "case",
    [(1.0, [1.0], [0.0]), (1.0, [-1.0], [1.0]), (-1.0, [1.0], [1.0]), (1.0, [math.nan], [1.0]), (1.0, [1.0], [math.inf]),
     (1.0, [], []), (1.0, [1.0, 2.0], [1.0])],
)  # fmt: skip
def test_what_is_no_amount_is_refused(case):
    with pytest.raises(InputError):
        bound_exactly(*case)


@settings(max_examples=200, deadline=None)
@given(ki=WIDE, kd=WIDE, ligand=WIDE, receptor=WIDE)
def test_the_exact_ki_gives_back_what_the_tube_was_made_with(ki, kd, ligand, receptor):
    """V9: find the competitor that halves the binding in a simulated tube, and read its Ki back."""
    alone = float(bound_exactly(receptor, [ligand], [kd]).bound_nm[0])
    half = alone / 2
    assume(half < 0.999 * ligand)
    free = kd * half / (ligand - half)
    held = receptor - half - free
    assume(held > 1e-3 * receptor)
    ic50 = held * (1 + ki / free)
    assume(ic50 > held * (1 + 1e-4))
    again = float(bound_exactly(receptor, [ligand, ic50], [kd, ki]).bound_nm[0])
    assert again == pytest.approx(half, rel=1e-6)
    assert ki_exactly(ic50, radioligand_nm=ligand, kd_nm=kd, receptor_nm=receptor) == pytest.approx(ki, rel=1e-6)


def test_cheng_prusoff_is_the_limit_of_little_receptor():
    simple = cheng_prusoff_ki(24.8, radioligand_nm=0.2, kd_nm=0.5)
    assert simple == pytest.approx(24.8 / 1.4, rel=1e-14)
    exact = ki_exactly(24.8, radioligand_nm=0.2, kd_nm=0.5, receptor_nm=1e-9)
    assert exact == pytest.approx(simple, rel=1e-8)


@pytest.mark.parametrize(("receptor", "valid"), [(0.001, True), (0.049, True), (0.05, False), (5.0, False)])
def test_cheng_prusoff_fails_from_a_tenth_of_kd_on(receptor, valid):
    found = check_cheng_prusoff(24.8, radioligand_nm=0.2, kd_nm=0.5, receptor_nm=receptor)
    assert found.valid is valid
    assert bool(found.because) is not valid
    assert found.error_percent > 0


def test_a_tight_competitor_is_depleted_before_the_radioligand_is():
    """Receptor is far below Kd of the radioligand, but not below the IC50."""
    found = check_cheng_prusoff(0.02, radioligand_nm=0.2, kd_nm=0.5, receptor_nm=0.03)
    assert not found.valid
    assert "competitor is depleted" in found.because


def test_a_titrated_receptor_has_no_ki():
    with pytest.raises(NotComputable) as caught:
        ki_exactly(0.1, radioligand_nm=0.2, kd_nm=0.5, receptor_nm=1.0)
    assert caught.value.code == "TITRATED_RECEPTOR"
    found = check_cheng_prusoff(0.1, radioligand_nm=0.2, kd_nm=0.5, receptor_nm=1.0)
    assert (found.exact_nm, found.valid) == (None, False)
