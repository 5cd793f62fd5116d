"""Planar shape on the scale of a SPECT: the planar unit cancels, and the uncertainty is that of a simulation."""

from __future__ import annotations

import numpy as np
import pytest

from fusin.dosimetry.hybrid import hybrid
from fusin.dosimetry.time_activity import fit_curve, time_activity
from fusin.errors import InputError

LU = 159.528
T = np.array([4.0, 24.0, 48.0, 72.0, 120.0])


def planar(values, u=None, unit=1.0):
    points = time_activity("kidney", T, unit * np.asarray(values), None if u is None else unit * np.asarray(u))
    return fit_curve(points, "mono", half_life_h=LU, weights="none" if u is None else "given")


def test_the_unit_of_the_planar_images_cancels():
    y = 90.0 * np.exp2(-T / 45.0) * np.array([1.01, 0.98, 1.02, 0.99, 1.0])
    results = [
        hybrid(planar(y, 0.04 * y, unit), spect_time_h=48.0, spect_mbq=40.0, spect_u_mbq=2.0).tia_mbq_h()
        for unit in (1.0, 1e5)
    ]
    assert results[0].value == pytest.approx(results[1].value, rel=1e-8)
    assert results[0].high == pytest.approx(results[1].high, rel=1e-6)


def test_the_curve_goes_through_the_spect():
    y = 90.0 * np.exp2(-T / 45.0)
    found = hybrid(planar(y), spect_time_h=48.0, spect_mbq=40.0)
    assert found.band([48.0])[0] == pytest.approx([40.0])
    assert found.tia_mbq_h().value == pytest.approx(40.0 * 2 ** (48 / 45) * 45.0 / np.log(2.0), rel=1e-6)
    assert "not stated" in found.tia_mbq_h().note


def test_the_uncertainty_is_that_of_a_simulation():
    y = 90.0 * np.exp2(-T / 45.0)
    rng = np.random.default_rng(4)
    drawn = []
    for _ in range(500):
        fit = planar(y * (1 + 0.04 * rng.standard_normal(T.size)), 0.04 * y)
        drawn.append(
            hybrid(fit, spect_time_h=48.0, spect_mbq=40.0 * (1 + 0.05 * rng.standard_normal())).tia_mbq_h().value
        )
    found = hybrid(planar(y, 0.04 * y), spect_time_h=48.0, spect_mbq=40.0, spect_u_mbq=2.0)
    assert found.tia_u_mbq_h == pytest.approx(float(np.std(drawn)), rel=0.1)


@pytest.mark.parametrize(
    ("time", "activity", "u"), [(2.0, 40.0, 2.0), (130.0, 40.0, 2.0), (48.0, 0.0, 2.0), (48.0, 40.0, -1.0)]
)
def test_a_spect_that_cannot_scale_the_curve_is_refused(time, activity, u):
    with pytest.raises(InputError, match="kidney"):
        hybrid(planar(90.0 * np.exp2(-T / 45.0)), spect_time_h=time, spect_mbq=activity, spect_u_mbq=u)
