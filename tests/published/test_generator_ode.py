"""Elution histories against the chain integrated as differential equations, without the closed form.

dN1/dt = -k1 N1, dN2/dt = k1 N1 - k2 N2, propagated by the matrix exponential of a 40-digit Taylor series and, below two days,
by DOP853 (scipy); half-lives 270.95 d and 67.71 min (ICRP Publication 107). The printed digits are those of that integration.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.linalg import expm

from fusin.radiopharmacy.generator import ElutionEntry, Generator, elution_history
from fusin.radiopharmacy.generator_pools import pools_of

GE, GA = 270.95 * 1440, 67.71
# Columns: time in min, efficiency, then 68Ga eluted and left in MBq.
BROKEN_OFF = [
    (0, 0.82, 910.358, 199.8347), (95, 0.75, 574.3281, 191.4427), (101, 0.3, 73.8459, 172.3071), (320, 0.68, 686.7502, 323.1766),
    (330, 0.0, 0.0, 399.6757), (500, 0.91, 896.0288, 88.6182), (1500, 0.55, 608.9609, 498.2407),
]  # fmt: skip
LONG = [
    (0, 1295.2248, 555.0963), (7, 451.2482, 193.3921), (25, 330.5163, 141.6498), (60, 459.2333, 196.8143),
    (240, 1111.3588, 476.2966), (245, 381.3605, 163.4402), (1440, 1291.9098, 553.6756), (4320, 1285.3224, 550.8525),
    (43200, 1199.5397, 514.0885), (43240, 641.9122, 275.1052), (129600, 1028.8537, 440.9373), (288000, 776.5006, 332.786),
]  # fmt: skip
# 68Ga at the start, efficiency, and then minutes and eluted [MBq], of 1500 and 1000 MBq 68Ge
STARTS = [
    (1500, 0.0, 0.7, [(15, 149.4617), (33, 213.9849), (90, 499.93), (600, 1044.2009)]),
    (1500, 200.0, 0.7, [(15, 269.5332), (33, 243.9445), (90, 504.9447), (600, 1044.209)]),
    (1000, 2500.0, 0.8, [(30, 1682.6777), (60, 459.0724)]),
]


def histories(generator, rows):
    entries = [ElutionEntry(time_s=60.0 * m, generators=("G",), efficiency=e) for m, e in rows]
    return elution_history([generator], entries)[0]


def test_an_elution_that_was_broken_off_leaves_everything_on_the_column():
    found = histories(Generator(name="G", ge68_mbq=1110.0), [row[:2] for row in BROKEN_OFF])
    assert [e.eluted_mbq for e in found] == pytest.approx([row[2] for row in BROKEN_OFF], abs=1e-4)
    assert [e.residual_mbq for e in found] == pytest.approx([row[3] for row in BROKEN_OFF], abs=1e-4)


def test_elutions_from_minutes_to_months_apart():
    found = histories(Generator(name="G", ge68_mbq=1850.0), [(m, 0.7) for m, *_ in LONG])
    assert [e.eluted_mbq for e in found] == pytest.approx([row[1] for row in LONG], abs=2e-4)
    assert [e.residual_mbq for e in found] == pytest.approx([row[2] for row in LONG], abs=2e-4)


@pytest.mark.parametrize(("ge68", "ga68", "efficiency", "rows"), STARTS)
def test_a_column_that_starts_with_some_68ga(ge68, ga68, efficiency, rows):
    generator = Generator(name="G", ge68_mbq=float(ge68), start="stated", start_ga68_mbq=ga68)
    found = histories(generator, [(m, efficiency) for m, _ in rows])
    assert [e.eluted_mbq for e in found] == pytest.approx([value for _, value in rows], abs=1e-4)


def test_two_generators_into_one_vial_are_added_up_at_the_last_elution():
    made = [Generator(name="A", ge68_mbq=1850.0, efficiency=0.65), Generator(name="B", ge68_mbq=740.0, efficiency=0.78,
            reference_s=(170 * 1440 + 6) * 60.0)]  # fmt: skip
    start = 200 * 86400.0
    entries = [ElutionEntry(time_s=start, generators=("A",), pool="p"),
               ElutionEntry(time_s=start + 360.0, generators=("B",), pool="p")]  # fmt: skip
    (pool,) = pools_of(elution_history(made, entries)[0])
    # A gives 721.0363 MBq, of which 2^(-6/67.71) are left when B gives 534.6520 MBq.
    assert pool.eluted_mbq == pytest.approx(1212.7335, abs=1e-3)
    assert (pool.numbers, pool.time_s, pool.measured_mbq) == ((1, 2), start + 360.0, None)


@pytest.mark.parametrize("minutes", [0.5, 20.0, 300.0, 5000.0])
def test_the_closed_form_is_the_matrix_exponential(minutes):
    k1, k2 = math.log(2) / GE, math.log(2) / GA
    # Activities instead of numbers: dA2/dt = k2 (A1 - A2).
    _, expected = expm(minutes * np.array([[-k1, 0.0], [k2, -k2]])) @ [900.0, 120.0]
    generator = Generator(name="G", ge68_mbq=900.0, start="stated", start_ga68_mbq=120.0)
    assert histories(generator, [(minutes, 1.0)])[0].eluted_mbq == pytest.approx(expected, rel=1e-9)
