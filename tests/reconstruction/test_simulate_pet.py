"""Simulated PET, and what the reconstruction makes of another model's counts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fusin.errors import InputError, Unsupported
from fusin.provenance import NoticeLog
from fusin.reconstruction.algorithms import Options, reconstruct
from fusin.reconstruction.data import Measured
from fusin.reconstruction.pet import PetSinogramProjector
from fusin.reconstruction.pet_geometry import CylindricalScanner, SinogramGeometry, TofBins
from fusin.reconstruction.phantoms import Part, Phantom
from fusin.reconstruction.simulate_pet import simulate_pet
from fusin.reconstruction.solids import cylinder, sphere


def geometry(crystals=128, rings=8, bins=65, span=3, **more):
    scanner = CylindricalScanner(crystals=crystals, rings=rings, radius_mm=200.0, ring_pitch_mm=6.0)
    return SinogramGeometry.of_span(scanner, bins=bins, span=span, **more)


def jar(mu=0.096, half=60.0, hot=True):
    parts = [Part(name="water", solid=cylinder((0, 0, 0), (70, 60, half)), activity_bq_ml=1000.0, mu_per_cm=mu)]
    if hot:
        parts.append(Part(name="hot", solid=sphere((25, 10, 0), 36.0), activity_bq_ml=6000.0, mu_per_cm=mu))
    return Phantom(name="jar", parts=tuple(parts))


def simulated(phantom=None, geo=None, **more):
    given = {"trues": 2e6, "rng": np.random.default_rng(1)} | more
    return simulate_pet(jar() if phantom is None else phantom, geometry() if geo is None else geo, **given)


def test_the_middle_bin_is_the_diameter_with_its_attenuation():
    geo = geometry(rings=1, span=1)
    found = simulated(jar(hot=False), geo, lines=(1, 1))
    first = geo.ends_mm[0, 32]
    assert first[0, 0] == pytest.approx(first[1, 0], abs=1e-9)
    expected = 120.0 * 1000.0 * math.exp(-0.0096 * 120.0)
    assert found.trues[0, 32, 0] / found.scale == pytest.approx(expected, rel=1e-3)
    assert found.attenuation[0, 32, 0] == pytest.approx(math.exp(-0.0096 * 120.0), rel=1e-3)


def test_totals_and_fractions_are_as_asked():
    found = simulated(scatter_fraction=0.3, randoms_fraction=0.25)
    assert found.trues.sum() == pytest.approx(2e6)
    assert found.scatter.sum() / (found.scatter.sum() + 2e6) == pytest.approx(0.3)
    prompts = found.trues.sum() + found.scatter.sum() + found.randoms.sum()
    assert found.randoms.sum() / prompts == pytest.approx(0.25)
    assert found.counts.sum() == pytest.approx(prompts, abs=5 * math.sqrt(prompts))
    assert found.delayed.sum() == pytest.approx(found.randoms.sum(), rel=0.01)


def test_the_seed_decides_the_counts():
    small = geometry(crystals=32, rings=2, bins=17)
    first, again, other = (simulated(geo=small, rng=np.random.default_rng(seed)).counts for seed in (4, 4, 5))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_scatter_reaches_beyond_the_object():
    found = simulated(geo=geometry(rings=2), scatter_fraction=0.3)
    profile_trues, profile_scatter = (v.sum(axis=(0, 2)) for v in (found.trues, found.scatter))
    assert profile_trues[:6].max() == 0
    assert profile_scatter[:6].min() > 0


def test_the_projector_expects_nearly_the_same_counts():
    """Two models of one scanner: voxels along one line, and solids across the faces of the crystals."""
    geo = geometry()
    grid = geo.grid(pixel_mm=3.0, columns=61)
    activity, mu = jar().on_grid(grid)
    optical = PetSinogramProjector(geo, grid).forward(0.1 * mu.values) / geo.pairs_per_plane
    projector = PetSinogramProjector(geo, grid, factors=np.exp(-optical))
    modelled = projector.forward(activity.values)
    found = simulated()
    exact = found.trues / found.scale
    assert modelled.sum() == pytest.approx(exact.sum(), rel=0.01)
    assert np.sqrt(((modelled - exact) ** 2).mean()) < 0.02 * exact.max()


def test_the_activity_of_a_jar_is_found_within_two_per_cent():
    geo = geometry()
    found = simulated(scatter_fraction=0.3, randoms_fraction=0.25, trues=5e6)
    grid = geo.grid(pixel_mm=4.0, columns=45)
    projector = PetSinogramProjector(geo, grid, factors=found.attenuation)
    measured = Measured(counts=found.counts, additive=(found.scatter + found.randoms).astype(np.float32))
    image = reconstruct(
        projector, measured, options=Options(algorithm="osem", iterations=4, subsets=8), log=NoticeLog()
    ).image
    image = image / found.scale
    hot = jar().region("hot", grid).mask()
    z = grid.to_mm(np.stack([np.zeros(grid.shape[0])] * 2 + [np.arange(grid.shape[0])], axis=1))[:, 2]
    middle = np.abs(z) < 15
    inside = jar().region("water", grid).mask() & middle[:, None, None]
    far = inside & (
        np.linalg.norm(grid.to_mm(np.argwhere(np.ones(grid.shape))[:, ::-1]) - [25, 10, 0], axis=1).reshape(grid.shape)
        > 30
    )
    rim = (
        np.hypot(*(grid.to_mm(np.argwhere(np.ones(grid.shape))[:, ::-1])[:, :2] / [70, 60]).T).reshape(grid.shape)
        < 0.85
    )
    assert image[far & rim].mean() == pytest.approx(1000.0, rel=0.02)
    assert 0.75 < image[hot].mean() / 6000.0 < 1.02


def test_a_blur_adds_its_variance_to_a_profile_and_keeps_the_counts():
    geo = geometry(rings=1, span=1)
    solid = cylinder((0, 0, 0), (4.0, 4.0, 60.0))
    rod = Phantom(name="rod", parts=(Part(name="rod", solid=solid, activity_bq_ml=1.0, mu_per_cm=0.0),))
    bins = np.arange(65) * geo.scanner.radius_mm * math.pi / 128
    found = [simulated(rod, geo, blur_mm=blur, trues=1e6).trues[0, :, 0] for blur in (0.0, 12.0)]
    assert found[1].sum() == pytest.approx(found[0].sum(), rel=1e-3)
    before, after = (float(np.cov(bins, aweights=profile, ddof=0)) for profile in found)
    assert after - before == pytest.approx((12.0 / 2.3548) ** 2, rel=0.03)
    with pytest.raises(InputError, match="blur_mm"):
        simulated(blur_mm=-1.0)


def test_what_cannot_be_simulated_gets_one_sentence():
    with pytest.raises(Unsupported, match="time of flight"):
        simulated(geo=geometry(tof=TofBins(count=5, width_ps=200.0, resolution_ps=400.0)))
    with pytest.raises(InputError, match="scatter_fraction"):
        simulated(scatter_fraction=1.0)
    with pytest.raises(InputError, match="trues"):
        simulated(trues=-1.0)
    away = Phantom(
        name="away", parts=(Part(name="p", solid=sphere((0, 0, 900), 10.0), activity_bq_ml=1.0, mu_per_cm=0.1),)
    )
    with pytest.raises(InputError, match="within the scanner"):
        simulated(away)
    with pytest.raises(InputError, match="lines"):
        simulated(lines=(0, 1))
