"""Becquerels from counts: closed forms, and a 177Lu phantom that another model simulated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, rotate

from fusin.errors import InputError, NotComputable
from fusin.imaging.volume import Volume
from fusin.reconstruction.collimator import FWHM_PER_SIGMA, CollimatorResponse
from fusin.reconstruction.spect import SpectGeometry, SpectProjector
from fusin.reconstruction.spect_calibration import dead_time_shares, recovered, recovery_coefficient, spect_scale

RESPONSE = CollimatorResponse.linear(slope=0.0246 * FWHM_PER_SIGMA, intercept_mm=0.7 * FWHM_PER_SIGMA)


def test_the_scale_is_that_of_the_sensitivity_by_hand():
    """One count of a view of 30 s at 10 cps/MBq is 1/300 MBq, in 0.1 mL 33333 Bq/mL."""
    found = spect_scale(
        cps_per_mbq=10.0,
        u_cps_per_mbq=0.3,
        view_time_s=30.0,
        voxel_ml=0.1,
        dead_time_factor=1.2,
        u_dead_time_factor=0.048,
    )
    assert found.bq_ml_per_count == pytest.approx(1.2e6 / 300 / 0.1)
    assert found.u_relative == pytest.approx(0.05)


@pytest.mark.parametrize("rate", [0.0, 1e3, 5e4, 1e5])
def test_dead_time_undoes_the_loss_of_its_own_model(rate):
    tau = 3e-6
    assert dead_time_shares(rate / (1 + rate * tau), tau_s=tau, kind="non-paralysable") == pytest.approx(
        1 / (1 + rate * tau)
    )
    assert dead_time_shares(rate * math.exp(-rate * tau), tau_s=tau) == pytest.approx(math.exp(-rate * tau))


@pytest.mark.parametrize(("kind", "rate"), [("paralysable", 1.3e5), ("non-paralysable", 3.4e5)])
def test_rates_beyond_what_a_detector_can_show_are_refused(kind, rate):
    with pytest.raises(NotComputable) as refused:
        dead_time_shares(rate, tau_s=3e-6, kind=kind)
    assert refused.value.code == "VIEW_BEYOND_DEAD_TIME"


def test_dead_time_of_the_views_belongs_to_their_weights():
    """Half of the views lose 20 % of their counts; with the shares in the weights the expected counts are those."""
    shares = np.where(np.arange(8) % 2 == 0, 1.0, 0.8)
    plain = SpectGeometry.circular(views=8, radius_mm=200, pixel_mm=5, rows=4, columns=24)
    lossy = SpectGeometry(angles_deg=plain.angles_deg, radii_mm=plain.radii_mm, pixel_mm=5, row_mm=5, rows=4, columns=24,
                          first_row_mm=plain.first_row_mm, weights=shares)  # fmt: skip
    image = np.random.default_rng(0).random(plain.grid().shape, dtype=np.float32)
    one, other = (SpectProjector(g, plain.grid(), None, RESPONSE).forward(image) for g in (plain, lossy))
    assert other == pytest.approx(one * shares[:, None, None], rel=1e-5)


def test_recovery_of_a_sphere_and_its_interval_by_hand():
    found = recovery_coefficient(0.7, 1.0, u_measured=0.03, u_truth=0.02, background=0.1)
    assert found.value == pytest.approx(2 / 3)
    half = 1.959964 * math.hypot(0.03 / 0.9, 2 / 3 * 0.02 / 0.9)
    assert (found.low, found.high) == pytest.approx((2 / 3 - half, 2 / 3 + half))
    value, u = recovered(7.0, 0.7, recovery=0.7, u_recovery=0.07)
    assert (value, u) == pytest.approx((10.0, 10.0 * math.hypot(0.1, 0.1)))


def test_a_background_that_spills_in_is_taken_out_and_put_back():
    value, u = recovered(0.7, 0.03, recovery=2 / 3, u_recovery=0.05, background=0.1, u_background=0.02)
    assert value == pytest.approx(1.0)
    assert u == pytest.approx(math.hypot(0.03 * 1.5, 0.9 * 0.075, 0.02 * 0.5))
    with pytest.raises(InputError, match="background"):
        recovered(0.7, 0.03, recovery=0.5, u_recovery=0.05, background=-1.0)


@pytest.mark.parametrize(
    "wrong", [{"cps_per_mbq": 0.0}, {"view_time_s": -1.0}, {"dead_time_factor": 0.5}, {"u_cps_per_mbq": math.nan}]
)
def test_numbers_that_are_no_calibration_are_refused(wrong):
    given = {"cps_per_mbq": 9.0, "u_cps_per_mbq": 0.3, "view_time_s": 30.0, "voxel_ml": 0.1}
    with pytest.raises(InputError):
        spect_scale(**{**given, **wrong})


@pytest.mark.parametrize(
    "made",
    [
        lambda: CollimatorResponse.linear(slope=-0.1, intercept_mm=3.0),
        lambda: CollimatorResponse.linear(slope=0.0, intercept_mm=0.0),
        lambda: CollimatorResponse.table([0, 100], [3.0]),
        lambda: CollimatorResponse.table([100, 0], [3.0, 9.0]),
        lambda: CollimatorResponse.table([0, 100], [3.0, 0.0]),
        lambda: CollimatorResponse.holes(hole_mm=2.0, length_mm=10.0, mu_per_cm=1.0, intrinsic_fwhm_mm=4.0),
    ],
)
def test_a_collimator_that_cannot_be_is_refused(made):
    with pytest.raises(InputError, match="collimator"):
        made()


def test_the_three_descriptions_of_a_collimator_agree():
    """A medium-energy collimator: the hole formula by hand, and a table and a line through it."""
    holes = CollimatorResponse.holes(hole_mm=2.94, length_mm=40.64, mu_per_cm=10.0, intrinsic_fwhm_mm=3.9)
    effective = 40.64 - 2.0
    at_100 = math.hypot(3.9, 2.94 * (effective + 100) / effective)
    assert float(holes.fwhm_mm(100.0)) == pytest.approx(at_100)
    distances = np.linspace(0, 400, 81)
    table = CollimatorResponse.table(distances, holes.fwhm_mm(distances))
    assert table.fwhm_mm(123.0) == pytest.approx(holes.fwhm_mm(123.0), rel=1e-3)
    assert table.fwhm_mm(500.0) == pytest.approx(holes.fwhm_mm(500.0), rel=0.01)
    line = CollimatorResponse.linear(slope=0.1, intercept_mm=4.0)
    assert line.sigma_mm(100.0) == pytest.approx(14.0 / FWHM_PER_SIGMA)


def _phantom(pixel_mm, size, slices):
    """Cylinder of water, activity 1 within and two spheres of 8; all in Bq/mL, one voxel as a point sample of 3^3."""
    offset = (np.arange(3) - 1) / 3 * pixel_mm
    axis = ((np.arange(size) - (size - 1) / 2) * pixel_mm)[:, None] + offset
    z = ((np.arange(slices) - (slices - 1) / 2) * pixel_mm)[:, None] + offset
    zz, yy, xx = z[:, None, None, :, None, None], axis[None, :, None, None, :, None], axis[None, None, :, None, None, :]
    body = (xx**2 + yy**2 < 90.0**2) & (np.abs(zz) < 60.0)
    spheres = [((xx - x) ** 2 + (yy - y) ** 2 + zz**2 < r * r) for x, y, r in ((40.0, 0.0, 22.0), (-35.0, 25.0, 14.0))]
    activity = np.where(spheres[0] | spheres[1], 8.0, 1.0) * body
    return [v.mean(axis=(3, 4, 5)) for v in (activity, body)]


def _foreign_projections(geometry, activity, body, *, pixel_mm, mu_per_cm, bin_factor):
    """Projections by turning a grid of half the voxel size and exact Gaussians for each plane: another model."""
    size = activity.shape[1]
    depth = (0.5 * (size - 1) - np.arange(size)) * pixel_mm
    out = []
    for angle, radius in zip(geometry.angles_deg, geometry.radii_mm, strict=True):
        # scipy turns rows towards columns; our detector at angle t looks along (sin t, cos t).
        turned = [
            rotate(v, 180.0 - angle, axes=(1, 2), reshape=False, order=1, mode="constant") for v in (activity, body)
        ]
        passed = np.cumsum(np.clip(turned[1], 0, 1), axis=1) - 0.5 * np.clip(turned[1], 0, 1)
        planes = turned[0] * np.exp(-mu_per_cm * 0.1 * pixel_mm * passed)
        total = np.zeros((activity.shape[0], size))
        for row in range(size):
            sigma = float(RESPONSE.sigma_mm(radius - depth[row])) / pixel_mm
            total += gaussian_filter(planes[:, row], sigma, mode="constant", truncate=5.0)
        out.append(
            total.reshape(total.shape[0] // bin_factor, bin_factor, size // bin_factor, bin_factor).sum(axis=(1, 3))
        )
    return np.array(out)


@pytest.fixture(scope="module")
def reconstructed():
    """A 177Lu cylinder with spheres, counted by another model and reconstructed with attenuation and response."""
    pixel, size, slices, views, seconds, sensitivity = 4.8, 48, 32, 24, 30.0, 9.0
    geometry = SpectGeometry.circular(
        views=views, radius_mm=200, pixel_mm=pixel, rows=slices, columns=size, start_deg=0.0
    )
    grid = geometry.grid()
    fine_activity, fine_body = _phantom(pixel / 2, 2 * size, 2 * slices)
    activity, body = _phantom(pixel, size, slices)
    concentration = 2e5
    per_voxel = concentration * 1e-6 * sensitivity * seconds * (pixel / 20) ** 3
    clean = _foreign_projections(
        geometry, fine_activity * per_voxel, fine_body, pixel_mm=pixel / 2, mu_per_cm=0.135, bin_factor=2
    )
    counts = np.random.default_rng(0).poisson(np.maximum(clean, 0)).astype(np.float32)
    mu = Volume(values=(0.135 * body).astype(np.float32), grid=grid, unit="1/cm")
    projector = SpectProjector(geometry, grid, mu, RESPONSE)
    subsets = [np.arange(k, views, 4) for k in (0, 2, 1, 3)]
    norms = [projector.sensitivity(s) for s in subsets]
    image = np.ones(grid.shape, np.float32)
    for _ in range(15):
        for views_of, norm in zip(subsets, norms, strict=True):
            expected = projector.forward(image, views_of)
            ratio = np.divide(counts[views_of], expected, out=np.zeros_like(expected), where=expected > 1e-8)
            image = image * np.divide(projector.back(ratio, views_of), norm, out=np.zeros_like(norm), where=norm > 1e-8)
    scale = spect_scale(cps_per_mbq=sensitivity, u_cps_per_mbq=0.0, view_time_s=seconds, voxel_ml=(pixel / 10) ** 3)
    return image * scale.bq_ml_per_count, activity * concentration, (pixel / 10) ** 3, grid


def test_the_total_activity_of_a_simulated_177lu_phantom_is_right_within_two_percent(reconstructed):
    image, truth, voxel_ml, _ = reconstructed
    assert float(image.sum()) * voxel_ml == pytest.approx(float(truth.sum()) * voxel_ml, rel=0.02)


def test_the_background_of_the_phantom_is_flat_and_right(reconstructed):
    image, _, _, grid = reconstructed
    _, row, column = np.indices(grid.shape)
    x, y = (column - 23.5) * 4.8, (row - 23.5) * 4.8
    around = (np.hypot(x, y + 45) < 30) & (np.abs(np.indices(grid.shape)[0] - 15.5) < 7)
    assert float(image[around].mean()) == pytest.approx(2e5, rel=0.03)


def test_the_recovery_of_spheres_grows_with_their_size_and_stays_below_one(reconstructed):
    image, _, _, grid = reconstructed
    slice_, row, column = (n.astype(float) for n in np.indices(grid.shape))
    found = []
    for x, y, radius in ((40.0, 0.0, 22.0), (-35.0, 25.0, 14.0)):
        away = np.sqrt(((column - 23.5) * 4.8 - x) ** 2 + ((row - 23.5) * 4.8 - y) ** 2 + ((slice_ - 15.5) * 4.8) ** 2)
        mean = float(image[away < radius].mean())
        found.append(recovery_coefficient(mean, 1.6e6, u_measured=0.01 * mean, u_truth=0.0, background=2e5).value)
    assert 0.55 < found[1] < found[0] < 1.0
