"""The chain of uncertainties: hand calculations, the covariance of the volume, simulation as the judge."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusin.dosimetry.uncertainty import (
    DoseChain,
    RecoveryCurve,
    budget,
    edge_fraction,
    monte_carlo,
    volume_u_relative,
)
from fusin.errors import InputError
from fusin.provenance import NoticeLog

CURVE = RecoveryCurve(b1_ml=5.0, b2=0.9, u_b1_ml=0.4, u_b2=0.05, correlation=-0.3)


def chain(**changes):
    fields = {"dose_gy": 10.0, "volume_ml": 20.0, "volume_u_relative": 0.12, "fwhm_mm": 12.0, "recovery": CURVE,
              "calibration_u": 0.04, "fit_u": 0.06, "s_u": 0.02, "s_exponent": 0.98}  # fmt: skip
    return DoseChain(**{**fields, **changes})


def test_a_volume_of_voxels_has_the_uncertainty_of_its_diameter():
    """150 mL: d = 65.9 mm; 1 mm voxels and 6 mm FWHM: u(d) = sqrt(1/6 + 36/2.7726) = 3.626 mm; 3 u(d)/d = 0.165."""
    assert volume_u_relative(volume_ml=150.0, voxel_mm=1.0, fwhm_mm=6.0) == pytest.approx(0.165, abs=5e-4)


def test_the_edge_of_a_blurred_sphere_has_half_of_phi():
    """By integrating the Gaussian over the sphere numerically, at a point of its surface."""
    radius, fwhm = 10.0, 12.0
    sigma = fwhm / 2.354820045
    axis = np.linspace(-radius, radius, 161)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    inside = x**2 + y**2 + z**2 <= radius**2
    distance2 = (x - radius) ** 2 + y**2 + z**2
    step = axis[1] - axis[0]
    value = np.sum(np.exp(-distance2[inside] / (2 * sigma**2))) * step**3 / (sigma * math.sqrt(2 * math.pi)) ** 3
    assert edge_fraction(radius, fwhm) / 2 == pytest.approx(value, rel=0.01)


@given(radius=st.floats(0.5, 200.0), fwhm=st.floats(1.0, 25.0))
def test_phi_lies_between_zero_and_one_and_is_one_for_large_spheres(radius, fwhm):
    assert 0.0 <= edge_fraction(radius, fwhm) < 1.0 + 1e-12
    assert edge_fraction(1000.0 * fwhm, fwhm) == pytest.approx(1.0, abs=1e-3)


def test_slopes_of_the_recovery_are_its_derivatives():
    v, step = 20.0, 1e-5
    base = math.log(CURVE(v))
    by_volume, by_b1, by_b2 = CURVE.slopes(v)
    assert by_volume == pytest.approx((math.log(CURVE(v * (1 + step))) - base) / step, rel=1e-4)
    assert by_b1 == pytest.approx((math.log(CURVE(v, 5.0 * (1 + step), 0.9)) - base) / step, rel=1e-4)
    assert by_b2 == pytest.approx((math.log(CURVE(v, 5.0, 0.9 + step)) - base) / step, rel=1e-4)


def test_the_budget_is_the_hand_calculation():
    found = budget(chain())
    recovery = float(CURVE(20.0))
    radius = (3000 * 20 / (4 * math.pi)) ** (1 / 3)
    net = edge_fraction(radius, 12.0) / (2 * recovery) - 0.9 * (1 - recovery) - 0.98
    b1, b2 = -0.9 * (1 - recovery) * 0.08, (1 - recovery) * math.log(4.0) * 0.05
    u_curve2 = b1**2 + b2**2 - 2 * 0.3 * b1 * b2
    expected = math.sqrt((net * 0.12) ** 2 + u_curve2 + 0.04**2 + 0.06**2 + 0.02**2)
    assert found.u_relative == pytest.approx(expected, rel=1e-12)
    assert sum(r.share for r in found.rows if r.share is not None) == pytest.approx(1.0)
    assert {r.part_of for r in found.rows} == {"", "volume"}


def test_the_covariance_of_the_volume_is_that_of_the_guidance():
    """Terms of Gear 2018: u2 = sum of squares - 2 cov(C, R) - 2 cov(A, S), each from the shared volume."""
    found = budget(chain())
    parts = {r.quantity: r.sensitivity for r in found.rows if r.part_of}
    counts, recovery, mass = (parts[f"volume through {n}"] for n in ("counts", "recovery", "mass"))
    covariance = 2 * 0.12**2 * (counts * recovery + (counts + recovery) * mass)
    assert found.u_relative**2 == pytest.approx(found.u_without_covariance**2 + covariance, rel=1e-12)


def test_a_volume_that_is_too_large_takes_in_counts_and_mass_and_its_effects_cancel_in_part():
    found = budget(chain(recovery=None, fwhm_mm=12.0, volume_ml=200.0))
    assert found.u_relative < found.u_without_covariance


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"recovery": None, "fwhm_mm": None}, {"volume_ml": 200.0}, {"volume_ml": 5.0, "volume_u_relative": 0.2},
        {"density_u": 0.03}, {"mass_from_volume": False, "mass_u": 0.05}, {"fit_u": 0.2}, {"volume_u_relative": 0.0},
    ],
)  # fmt: skip
def test_simulation_agrees_with_the_first_order(changes):
    log = NoticeLog()
    one, many = budget(chain(**changes)), monte_carlo(chain(**changes), draws=40000, seed=1, log=log)
    assert many.u_relative == pytest.approx(one.u_relative, rel=0.08)
    assert many.agrees
    assert len(log) == 0
    assert many.dose_gy.low == pytest.approx(one.dose_gy.low, rel=0.05)
    assert many.dose_gy.high == pytest.approx(one.dose_gy.high, rel=0.05)


def test_a_small_lesion_with_a_vague_outline_is_beyond_first_order_and_that_is_said():
    log = NoticeLog()
    found = monte_carlo(chain(volume_ml=0.5, volume_u_relative=1.0), seed=2, log=log)
    assert not found.agrees
    assert [n.code for n in log] == ["MONTE_CARLO_DIFFERS"]


def test_the_same_seed_gives_the_same_draws():
    assert monte_carlo(chain(), seed=4).dose_gy == monte_carlo(chain(), seed=4).dose_gy


@pytest.mark.parametrize("link", ["calibration_u", "fit_u", "s_u"])
def test_one_uncertainty_alone_comes_back_from_the_simulation(link):
    """The input is log-normal with that coefficient of variation, and so is the dose: 30 % stay 30 %, where the standard
    deviation over the median would be sqrt(1 + 0.3^2) times as large (JCGM 101, 6.4.4 and the moments of a log-normal)."""
    none = {
        "volume_u_relative": 0.0,
        "recovery": None,
        "calibration_u": 0.0,
        "fit_u": 0.0,
        "s_u": 0.0,
        "density_u": 0.0,
    }
    found = monte_carlo(chain(**none | {link: 0.3}), draws=200_000, seed=5)
    assert found.u_relative == pytest.approx(0.3, abs=0.003)


def test_without_any_uncertainty_the_interval_is_the_dose():
    still = chain(
        volume_u_relative=0.0, recovery=RecoveryCurve(b1_ml=5.0, b2=0.9), calibration_u=0.0, fit_u=0.0, s_u=0.0
    )
    found = budget(still)
    assert (found.dose_gy.low, found.dose_gy.high) == (10.0, 10.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: chain(dose_gy=0.0),
        lambda: chain(volume_ml=-1.0),
        lambda: chain(fit_u=-0.1),
        lambda: chain(fwhm_mm=0.0),
        lambda: chain(calibration_u=math.nan),
        lambda: chain(mass_from_volume=False, density_u=0.1),
        lambda: RecoveryCurve(b1_ml=0.0, b2=1.0),
        lambda: RecoveryCurve(b1_ml=1.0, b2=1.0, correlation=2.0),
        lambda: volume_u_relative(volume_ml=0.0, voxel_mm=4.0, fwhm_mm=12.0),
        lambda: monte_carlo(chain(), draws=10),
        lambda: monte_carlo(chain(), seed=-1),
    ],
)
def test_a_link_that_cannot_be_is_refused(call):
    with pytest.raises(InputError):
        call()
