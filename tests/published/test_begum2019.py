"""Three laws of ligand amount, affinity and internalisation: Begum NJ et al., Sci Rep 2019;9:20041, PMC6934468.

Their combinations of association and dissociation, 1 to 1000 nmol and internalisation of 1e-4 to 1e-2 per min, in the body of this
package with receptors as of PSMA: tumours of 25 nM, kidneys of 14 nM.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from fusin.receptor.pbpk import Administration, simulate_body
from fusin.receptor.pbpk_body import Tumour
from fusin.receptor.pbpk_calibration import calibrated
from fusin.receptor.pbpk_parameters import defaults

# (k_on [L/nmol/min], k_off [1/min]): KD of 0.01, 0.1 and 1 nM, each by two pairs.
PAIRS = ((0.01, 1e-4), (0.1, 1e-3), (0.01, 1e-3), (0.1, 1e-2), (0.01, 1e-2), (0.1, 1e-1))
AMOUNTS = np.geomspace(1.0, 1000.0, 16)


@cache
def body():
    return calibrated(defaults("pentixafor"))


def simulated(k_on, k_off, k_int, amount, *, nuclide, end_min):
    values = {
        **body(),
        "k_on_l_nmol_min": k_on,
        "kd_nm": k_off / k_on,
        "k_int_per_min": k_int,
        "receptor_kidney_nm": 14.0,
    }
    given = [Administration(nuclide=nuclide, activity_mbq=1.0, peptide_nmol=amount)]
    return simulate_body(
        values, given, [end_min], tumours=[Tumour(name="tumour", volume_ml=10, receptor_nm=25)], relative=1e-6
    )


def uptake(k_on, k_off, amount, k_int=1e-3):
    return float(simulated(k_on, k_off, k_int, amount, nuclide="Ga-68", end_min=60.0).suv("tumour")[0])


@cache
def tumour_to_kidney(k_on, k_off, k_int):
    rows = [simulated(k_on, k_off, k_int, a, nuclide="Lu-177", end_min=20000.0) for a in AMOUNTS.tolist()]
    return np.array([r.tia_mbq_h("tumour") / r.tia_mbq_h("kidneys") for r in rows])


@pytest.mark.parametrize("amount", [1.0, 3.0])
def test_uptake_at_an_hour_is_highest_with_fast_binding_and_medium_release(amount):
    found = {pair: uptake(*pair, amount) for pair in PAIRS}
    assert max(found, key=found.get) == (0.1, 1e-2)


def test_at_ten_nmol_that_pair_is_within_a_tenth_of_the_best():
    found = {pair: uptake(*pair, 10.0) for pair in PAIRS}
    assert found[(0.1, 1e-2)] > 0.9 * max(found.values())


@pytest.mark.parametrize("pair", [(0.1, 1e-2), (0.1, 1e-3)])
def test_faster_internalisation_needs_more_ligand_for_the_best_tumour_to_kidney_ratio(pair):
    best = [AMOUNTS[tumour_to_kidney(*pair, k_int).argmax()] for k_int in (1e-4, 1e-3, 1e-2)]
    assert best == sorted(best)
    assert best[0] < best[2]


@pytest.mark.parametrize("k_on", [0.01, 0.1])
@pytest.mark.parametrize("k_int", [1e-4, 1e-3, 1e-2])
def test_higher_affinity_makes_the_best_amount_matter_more(k_on, k_int):
    """What the best amount gains over 1 nmol rises from KD 1 over 0.1 to 0.01 nM."""
    curves = [tumour_to_kidney(k_on, kd * k_on, k_int) for kd in (1.0, 0.1, 0.01)]
    gain = [float(curve.max() / curve[0]) for curve in curves]
    assert gain == sorted(gain)
    assert gain[0] < gain[2]
