"""Ryegrass and ferulic acid: four-parameter log-logistic of the R package drc (DoseResponse/drc, reference pages of coef, confint,
ED; data of DoseResponse/drcData, after Inderjit, Streibig, Olofsdotter, Physiol Plant 2002;114:422).
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from fusin.assays.binding import BindingOptions, analyse_binding
from fusin.assays.binding_tables import read_competition
from fusin.assays.fitting import fit
from fusin.assays.intervals import derived, profiled
from fusin.assays.models import variable_slope
from fusin.provenance import NoticeLog

CONCENTRATION = [0.0] * 6 + [c for c in (0.94, 1.88, 3.75, 7.5, 15.0, 30.0) for _ in range(3)]
ROOT_LENGTH = [
    7.58, 8.0, 8.328571429, 7.25, 7.375, 7.9625, 8.355555556, 6.914285714, 7.75, 6.871428571, 6.45, 5.922222222,
    1.925, 2.885714286, 4.233333333, 1.1875, 0.857142857, 1.057142857, 0.6875, 0.525, 0.825, 0.25, 0.22, 0.44,
]  # fmt: skip


@pytest.fixture(scope="module")
def found():
    with np.errstate(divide="ignore"):
        x = np.log10(np.array(CONCENTRATION))
    return fit(variable_slope, x, ROOT_LENGTH)


def test_the_four_parameters_are_those_of_drc_to_four_digits(found):
    """b 2.9822191, c 0.4814132, d 7.7929583, e 3.0579550; drc stops a little before the minimum."""
    v = found.values
    assert v["hill"] == pytest.approx(2.9822191, rel=2e-5)
    assert v["end"] == pytest.approx(0.4814132, rel=2e-5)
    assert v["start"] == pytest.approx(7.7929583, rel=2e-5)
    assert 10 ** v["log_ic50"] == pytest.approx(3.0579550, rel=2e-5)


def test_the_standard_error_of_the_ed50_is_that_of_least_squares(found):
    """0.18583 by J'J; drc prints 0.18573 from the observed Hessian."""
    e, se = derived(found, lambda v: 10 ** v["log_ic50"])
    assert se == pytest.approx(0.18583, abs=5e-6)
    assert se == pytest.approx(0.18573, rel=1e-3)
    assert (e.low, e.high) == (pytest.approx(2.67053, abs=5e-4), pytest.approx(3.44538, abs=5e-4))


def test_the_residual_standard_error_is_the_published_one(found):
    assert math.sqrt(found.variance) == pytest.approx(0.51963, abs=5e-6)


@pytest.mark.parametrize(("percent", "published"), [(10, 1.46371), (90, 6.38864)])
def test_effective_doses_are_those_of_drc(found, percent, published):
    share = percent / (100 - percent)
    dose, _ = derived(found, lambda v: 10 ** v["log_ic50"] * share ** (1 / v["hill"]))
    assert dose.value == pytest.approx(published, rel=1e-5)


def test_the_profile_agrees_with_that_of_lmfit(found):
    """An independent profile: lmfit.conf_interval steps each parameter with an F criterion."""
    import lmfit

    with np.errstate(divide="ignore"):
        x = np.log10(np.array(CONCENTRATION))
    parameters = lmfit.Parameters()
    for name, value in found.values.items():
        parameters.add(name, value=value)

    def residual(p):
        return variable_slope(x, **p.valuesdict()) - np.array(ROOT_LENGTH)

    minimiser = lmfit.Minimizer(residual, parameters)
    limits = lmfit.conf_interval(minimiser, minimiser.minimize(), sigmas=[0.95])
    _, ours = profiled(found)
    for name, rows in limits.items():
        assert ours[name].low == pytest.approx(rows[0][1], rel=2e-3), name
        assert ours[name].high == pytest.approx(rows[2][1], rel=2e-3), name


def test_the_same_numbers_come_out_of_a_plain_two_column_table():
    """Zero doses are tubes without compound; the unit is only a label here."""
    frame = pd.DataFrame({"concentration_nM": CONCENTRATION, "response": ROOT_LENGTH})
    log = NoticeLog()
    result = analyse_binding(read_competition(frame, log), log, options=BindingOptions())[0]
    assert result.ic50_nm.value == pytest.approx(3.0579550, rel=2e-5)
    assert result.ic50_nm.se == pytest.approx(0.18583, abs=5e-6)
    assert result.top.value == pytest.approx(7.7929583, rel=2e-5)
    assert result.direction == "decreasing"
    assert result.experiments[0].comparison.preferred_by_test == "variable-slope competition"
