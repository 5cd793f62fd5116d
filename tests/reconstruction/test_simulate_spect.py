"""Simulated SPECT, and what the reconstruction makes of another model's counts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.reconstruction.algorithms import Options, reconstruct
from fusin.reconstruction.collimator import CollimatorResponse
from fusin.reconstruction.data import Measured
from fusin.reconstruction.phantoms import Part, Phantom
from fusin.reconstruction.scatter_windows import triple_window
from fusin.reconstruction.simulate_spect import ScatterModel, simulate_spect
from fusin.reconstruction.solids import cylinder, sphere
from fusin.reconstruction.spect import SpectProjector
from fusin.reconstruction.spect_acquisition import decay_weights
from fusin.reconstruction.spect_calibration import spect_scale
from fusin.reconstruction.spect_geometry import SpectGeometry

RESPONSE = CollimatorResponse.linear(slope=0.04, intercept_mm=4.0)


def geometry(views=32, pixel=6.0, bins=48, rows=24):
    return SpectGeometry.circular(views=views, radius_mm=200.0, pixel_mm=pixel, rows=rows, columns=bins)


def jar(mu=0.135, hot=True):
    """Its ends are faces of voxels: a voxel half full of water attenuates unlike half of its activity."""
    parts = [Part(name="water", solid=cylinder((0, 0, 0), (100, 80, 48)), activity_bq_ml=1e5, mu_per_cm=mu)]
    if hot:
        parts.append(Part(name="hot", solid=sphere((40, 10, 0), 50.0), activity_bq_ml=8e5, mu_per_cm=mu))
    return Phantom(name="jar", parts=tuple(parts))


def simulated(phantom, geo=None, *, response=RESPONSE, **more):
    given = {"cps_per_mbq": 10.0, "view_time_s": 20.0, "rng": np.random.default_rng(1), "nuclide": ""} | more
    return simulate_spect(phantom, geometry() if geo is None else geo, response=response, **given)


def test_without_attenuation_every_view_counts_the_whole_activity():
    phantom = jar(mu=0.0)
    found = simulated(phantom, geometry(views=12), mesh=1)
    expected = phantom.activity_bq() * 1e-6 * 10.0 * 20.0
    assert found.primary.sum(axis=(1, 2)) == pytest.approx(expected, rel=3e-3)
    assert found.truth["activity_bq"] == pytest.approx(phantom.activity_bq())


def test_a_cylinder_is_attenuated_by_its_exponential():
    """Middle of a uniform cylinder from the side: activity (1 - exp(-mu L)) / mu."""
    geo = geometry(views=4, pixel=2.0, bins=120, rows=12)
    found = simulated(jar(hot=False), geo, response=None, mesh=1)
    for view, length in ((0, 160.0), (1, 200.0)):
        middle = found.primary[view, 6, 59:61].mean()
        scale = 1e5 * 1e-9 * 4.0 * 10.0 * 20.0
        assert middle == pytest.approx(scale * -math.expm1(-0.0135 * length) / 0.0135, rel=5e-4)


@pytest.mark.parametrize("place", [-60.0, 0.0, 80.0])
def test_the_width_of_a_small_sphere_is_that_of_the_collimator(place):
    """Variance of a profile: Gaussian, bin and sphere (d^2 / 20) add up."""
    geo = geometry(views=1, pixel=2.0, bins=96, rows=60)
    dot = Phantom(
        name="dot", parts=(Part(name="dot", solid=sphere((0, place, 0), 6.0), activity_bq_ml=1e6, mu_per_cm=0.0),)
    )
    profile = simulated(dot, geo, mesh=4, slab_mm=1.0).primary[0].sum(axis=0)
    bins = np.arange(96) * 2.0
    middle = (bins * profile).sum() / profile.sum()
    variance = ((bins - middle) ** 2 * profile).sum() / profile.sum()
    sigma = float(RESPONSE.sigma_mm(200.0 - place))
    assert variance == pytest.approx(sigma**2 + 4.0 / 12 + 36.0 / 20, rel=5e-3)


def test_a_sphere_off_the_axis_appears_where_the_geometry_says():
    """At 0 degrees the detector lies at +y and bins run along -x; at 90 it lies at +x and bins run along +y."""
    geo = geometry(views=4, pixel=4.0, bins=64, rows=40)
    dot = Phantom(
        name="dot", parts=(Part(name="dot", solid=sphere((50, 20, 12), 10.0), activity_bq_ml=1e6, mu_per_cm=0.0),)
    )
    found = simulated(dot, geo, mesh=4).primary
    across = (np.arange(64) - 31.5) * 4.0
    for view, place in enumerate((-50.0, 20.0, 50.0, -20.0)):
        profile = found[view].sum(axis=0)
        assert (across * profile).sum() / profile.sum() == pytest.approx(place, abs=0.1)
    heights = (np.arange(40) - 19.5) * 4.0
    rows = found.sum(axis=(0, 2))
    assert (heights * rows).sum() / rows.sum() == pytest.approx(12.0, abs=0.1)


def test_views_decay_and_heads_measure_at_the_same_time():
    phantom, geo = jar(mu=0.0), geometry(views=8)
    found = simulated(phantom, geo, nuclide="Tc-99m", heads=2, view_time_s=1800.0)
    totals = found.primary.sum(axis=(1, 2))
    assert totals[:4] == pytest.approx(totals[4:], rel=3e-3)
    half_life = 6.0067 * 3600
    assert totals[1] / totals[0] == pytest.approx(2 ** (-1800 / half_life), rel=4e-3)
    assert found.acquisition.starts_s.tolist() == [0, 1800, 3600, 5400] * 2


def test_the_windows_hold_scatter_that_the_triple_window_nearly_finds():
    found = simulated(jar(), geometry(views=8), scatter=ScatterModel(), view_time_s=400.0)
    scatter = triple_window(found.acquisition, peak="peak", lower="lower", upper="upper", log=NoticeLog())
    assert scatter.counts.sum() == pytest.approx(found.scatter.sum(), rel=0.05)
    assert scatter.counts.sum() != pytest.approx(found.scatter.sum(), rel=0.005)
    assert 0.1 < found.scatter.sum() / found.primary.sum() < 0.6


def test_the_counts_are_poisson_and_of_the_seed():
    geo = geometry(views=8)
    first, again = (simulated(jar(), geo, rng=np.random.default_rng(7)) for _ in range(2))
    other = simulated(jar(), geo, rng=np.random.default_rng(8))
    assert np.array_equal(first.acquisition.counts, again.acquisition.counts)
    assert not np.array_equal(first.acquisition.counts, other.acquisition.counts)
    mean = first.primary + first.scatter
    busy = mean > 5
    chi = ((first.acquisition.counts[0] - mean)[busy] ** 2 / mean[busy]).mean()
    assert chi == pytest.approx(1.0, abs=0.05)


def test_the_projector_of_the_reconstruction_expects_nearly_the_same_counts():
    """Two models of one camera: turned voxels with levels of blur, and lines through solids with a Gaussian each."""
    geo = geometry(views=16, pixel=4.0, bins=72, rows=36)
    grid = geo.grid()
    activity, mu = jar().on_grid(grid)
    projector = SpectProjector(geo, grid, mu=mu, response=RESPONSE)
    modelled = projector.forward(activity.values.astype(np.float32)).astype(np.float64)
    exact = simulated(jar(), geo).primary / (1e-6 * activity.voxel_volume_ml * 200.0)
    assert modelled.sum() == pytest.approx(exact.sum(), rel=3e-3)
    assert np.sqrt(((modelled - exact) ** 2).mean()) < 0.012 * exact.max()


def test_the_activity_of_a_lutetium_jar_is_found_within_two_per_cent():
    """Another model's counts, with scatter, decay and noise, through the whole chain."""
    geo = geometry(views=48, pixel=6.0, bins=48, rows=28)
    found = simulated(
        jar(), geo, scatter=ScatterModel(), nuclide="Lu-177", heads=2, view_time_s=40.0, rng=np.random.default_rng(3)
    )
    log = NoticeLog()
    scatter = triple_window(found.acquisition, peak="peak", lower="lower", upper="upper", log=log)
    weighted, time_s, _ = decay_weights(found.acquisition, log)
    grid = geo.grid()
    mu = jar().on_grid(grid)[1]
    projector = SpectProjector(weighted, grid, mu=mu, response=RESPONSE)
    measured = Measured(counts=found.acquisition.of_window("peak"), additive=scatter.counts)
    options = Options(algorithm="osem", iterations=6, subsets=8, angles_deg=geo.angles_deg)
    image = reconstruct(projector, measured, options=options, log=log).image
    scale = spect_scale(
        cps_per_mbq=10.0, u_cps_per_mbq=0.2, view_time_s=time_s, voxel_ml=grid.voxel_volume_ml
    ).bq_ml_per_count
    total = float(image.sum(dtype=np.float64)) * scale * grid.voxel_volume_ml
    assert total == pytest.approx(found.truth["activity_bq"], rel=0.02)
    hot = jar().region("hot", grid).mask()
    assert 0.7 < image[hot].mean() * scale / 8e5 < 1.0


def test_what_cannot_be_simulated_gets_one_sentence():
    with pytest.raises(InputError, match="heads"):
        simulated(jar(), heads=5)
    with pytest.raises(InputError, match="view_time_s"):
        simulated(jar(), view_time_s=0.0)
    with pytest.raises(InputError, match="lower and upper window"):
        simulated(jar(), scatter=ScatterModel(), windows=simulated(jar()).acquisition.windows)


def test_shifted_bins_and_beds_are_followed():
    geo = geometry(views=2, pixel=4.0, bins=64, rows=40)
    dot = Phantom(
        name="dot", parts=(Part(name="dot", solid=sphere((0, 0, 0), 10.0), activity_bq_ml=1e6, mu_per_cm=0.0),)
    )
    moved = replace(geo, bin_shift_mm=np.array([8.0, 0.0]), first_row_mm=geo.first_row_mm + 12.0)
    before, after = (simulated(dot, g, mesh=4).primary for g in (geo, moved))
    assert after[0, :, :-2] == pytest.approx(np.roll(before[0], (-3, -2), (0, 1))[:, :-2], abs=0.02 * before.max())
