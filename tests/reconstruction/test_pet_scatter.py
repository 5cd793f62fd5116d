"""Single-scatter simulation against a Monte Carlo of its own, Klein-Nishina, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from fusin.errors import MissingValue, NotComputable
from fusin.imaging.volume import Volume
from fusin.provenance import NoticeLog
from fusin.reconstruction.pet import CylindricalScanner, PetSinogramProjector, SinogramGeometry
from fusin.reconstruction.pet_corrections import attenuation_factors
from fusin.reconstruction.pet_scatter import (
    ScatterSampling,
    energy_efficiency,
    klein_nishina,
    single_scatter,
    tail_scale,
    total_cross_section,
)
from fusin.reconstruction.pet_scatter_estimate import estimate_scatter

SCANNER = CylindricalScanner(
    crystals=96, rings=9, radius_mm=330.0, ring_pitch_mm=20.0, energy_resolution=0.12, energy_window_kev=(435.0, 650.0)
)
GEOMETRY = SinogramGeometry.of_span(SCANNER, bins=81)
COARSE = ScatterSampling(point_mm=25, crystals=24, rings=4)
RADIUS, HALF, MU = 100.0, 80.0, 0.0096  # mm, mm, 1/mm


def test_klein_nishina_integrates_to_one_and_thomson_is_the_low_limit():
    """8 pi / 3 is Thomson's cross section in squared electron radii."""
    assert 2 * np.pi * quad(klein_nishina, -1, 1)[0] == pytest.approx(1.0, rel=1e-8)
    assert total_cross_section(1.0) == pytest.approx(8 * np.pi / 3 * (1 - 2 / 511.0), rel=1e-4)


def test_cross_section_of_an_electron_at_511_kev():
    """0.2866 barn per electron (Knoll; NIST XCOM gives 0.2866 b for free electrons at 511 keV); r_e = 2.8179403 fm."""
    assert total_cross_section(510.99895) * 0.28179403**2 == pytest.approx(0.2866, rel=1e-3)


def test_a_window_accepts_almost_all_true_and_few_scattered_photons():
    assert energy_efficiency(510.99895, SCANNER) == pytest.approx(0.998, abs=2e-3)
    # 90 degrees: 255.5 keV.
    assert energy_efficiency(255.5, SCANNER) < 1e-6
    sigma = 0.12 * np.sqrt(435.0 * 510.99895) / 2.35482
    assert energy_efficiency(435.0, SCANNER) == pytest.approx(0.5, abs=1e-3)
    assert sigma == pytest.approx(24.03, abs=0.05)


def cylinder():
    grid = GEOMETRY.grid(pixel_mm=5.0, columns=48, planes_per_ring=4)
    x, y = np.meshgrid(*[5.0 * (np.arange(48) - 23.5)] * 2)
    inside = np.broadcast_to(np.hypot(x, y) < RADIUS, grid.shape)
    return grid, inside.astype(np.float32)


def way_out(place, direction):
    """Distance to the mantle or the ends of the water cylinder."""
    a = (direction[:, :2] ** 2).sum(1)
    b = (place[:, :2] * direction[:, :2]).sum(1)
    c = (place[:, :2] ** 2).sum(1) - RADIUS**2
    mantle = (-b + np.sqrt(np.maximum(b * b - a * c, 0.0))) / a
    ends = (np.sign(direction[:, 2]) * (HALF + 2.5) - place[:, 2]) / direction[:, 2]
    return np.minimum(mantle, ends)


def detected(place, direction):
    """Whether a photon meets the cylinder of crystals."""
    a = (direction[:, :2] ** 2).sum(1)
    b = (place[:, :2] * direction[:, :2]).sum(1)
    c = (place[:, :2] ** 2).sum(1) - SCANNER.radius_mm**2
    way = (-b + np.sqrt(b * b - a * c)) / a
    return np.abs(place[:, 2] + way * direction[:, 2]) < 90.0


def monte_carlo_ratio(pairs, rng):
    """Single scatter over trues of a uniform water cylinder: photons followed one by one."""
    r, phi = RADIUS * np.sqrt(rng.random(pairs)), rng.uniform(0, 2 * np.pi, pairs)
    place = np.stack([r * np.cos(phi), r * np.sin(phi), rng.uniform(-HALF - 2.5, HALF + 2.5, pairs)], 1)
    w, phi = rng.uniform(-1, 1, pairs), rng.uniform(0, 2 * np.pi, pairs)
    one = np.stack([np.sqrt(1 - w * w) * np.cos(phi), np.sqrt(1 - w * w) * np.sin(phi), w], 1)
    d1, d2 = way_out(place, one), way_out(place, -one)
    straight = detected(place, one) & detected(place, -one)
    trues = (np.exp(-MU * (d1 + d2)) * straight).sum()
    met = 1 - np.exp(-MU * d1)
    point = place + one * (-np.log(1 - rng.random(pairs) * met) / MU)[:, None]
    grid = np.linspace(-1, 1, 4001)
    summed = np.concatenate([[0], np.cumsum(0.5 * (klein_nishina(grid[1:]) + klein_nishina(grid[:-1])))])
    cosine = np.interp(rng.random(pairs), summed / summed[-1], grid)
    side = np.cross(one, np.where(np.abs(one[:, :1]) < 0.9, [[1.0, 0, 0]], [[0, 1.0, 0]]))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    turn = rng.uniform(0, 2 * np.pi, pairs)[:, None]
    off = np.cos(turn) * side + np.sin(turn) * np.cross(one, side)
    two = cosine[:, None] * one + np.sqrt(1 - cosine**2)[:, None] * off
    energy = 510.99895 / (2 - cosine)
    thinner = total_cross_section(energy) / total_cross_section(510.99895)
    share = energy_efficiency(energy, SCANNER) / energy_efficiency(510.99895, SCANNER)
    weight = met * np.exp(-MU * d2 - MU * thinner * way_out(point, two)) * share
    # Either photon may be the one that scatters.
    return 2 * (weight * (detected(place, -one) & detected(point, two))).sum() / trues


def simulated():
    grid, inside = cylinder()
    mu = Volume(values=inside * np.float32(10 * MU), grid=grid, unit="1/cm")
    return grid, inside, mu


def test_scatter_of_a_water_cylinder_agrees_with_a_monte_carlo_of_single_photons():
    """Sums over all crystal pairs, weighted by what the projector leaves out: cosines of incidence over squared distance."""
    geometry = SinogramGeometry.of_span(SCANNER, bins=95)
    grid, inside, mu = simulated()
    scatter = single_scatter(geometry, inside, grid, mu)
    factors = attenuation_factors(geometry, mu)
    trues = PetSinogramProjector(geometry, grid, factors=factors).forward(inside)
    chord = np.linalg.norm(geometry.ends_mm[:, :, 1] - geometry.ends_mm[:, :, 0], axis=-1)[..., None]
    planes, pairs = geometry.ring_pairs
    rise = 20.0 * (pairs[:, 1] - pairs[:, 0])[np.argsort(planes)]
    square = chord**2 + rise**2
    weight = (chord / (2 * 330.0)) ** 2 * chord**2 / square / square
    expected = monte_carlo_ratio(400_000, np.random.default_rng(0))
    assert (weight * scatter).sum() / (weight * trues).sum() == pytest.approx(expected, rel=0.04)


def test_finer_sampling_changes_little():
    grid, inside, mu = simulated()
    coarse = single_scatter(GEOMETRY, inside, grid, mu)
    fine = single_scatter(GEOMETRY, inside, grid, mu, sampling=ScatterSampling(point_mm=16, crystals=48, rings=6))
    assert np.abs(coarse - fine).max() < 0.05 * fine.max()


def test_scatter_is_linear_in_the_image_and_the_same_for_all_views_of_a_cylinder():
    grid, inside, mu = simulated()
    once = single_scatter(GEOMETRY, inside, grid, mu, sampling=COARSE)
    np.testing.assert_allclose(single_scatter(GEOMETRY, 3 * inside, grid, mu, sampling=COARSE), 3 * once, rtol=1e-4)
    centre = once[:, 40, 4]
    assert centre.std() < 0.03 * centre.mean()
    assert (once >= 0).all()


def test_tails_find_the_scale_of_the_scatter():
    grid, inside, mu = simulated()
    factors = attenuation_factors(GEOMETRY, mu)
    scatter = single_scatter(GEOMETRY, inside, grid, mu, sampling=COARSE) * 5.0
    trues = PetSinogramProjector(GEOMETRY, grid, factors=factors).forward(inside) * 5.0
    rng = np.random.default_rng(1)
    randoms = np.full_like(trues, 3.0)
    counts = rng.poisson(trues + 1.2 * scatter + randoms).astype(np.float32)
    found = tail_scale(counts, randoms, scatter, factors)
    assert abs(found.scale - 1.2) < 4 * found.standard_error
    assert found.standard_error < 0.02


@pytest.mark.parametrize("extra", [1.0, 2.0])
def test_scatter_is_estimated_from_counts_that_hold_it(extra):
    """Counts made with the scatter of the true image: found within 3 % from the counts; twice as much is told by the tails."""
    grid, inside, mu = simulated()
    rng = np.random.default_rng(2)
    efficiencies = rng.uniform(0.8, 1.2, GEOMETRY.data_shape).astype(np.float32)
    factors = attenuation_factors(GEOMETRY, mu) * efficiencies
    scatter = single_scatter(GEOMETRY, inside, grid, mu, sampling=COARSE) * efficiencies
    trues = PetSinogramProjector(GEOMETRY, grid, factors=factors).forward(inside)
    randoms = np.full_like(trues, 10.0)
    counts = rng.poisson(trues + extra * scatter + randoms).astype(np.float32)
    log = NoticeLog()
    found = estimate_scatter(GEOMETRY, counts, mu, randoms=randoms, efficiencies=efficiencies, sampling=COARSE,
                             rounds=3, log=log)  # fmt: skip
    if extra == 1.0:
        assert found.values.sum() == pytest.approx(scatter.sum(), rel=0.03)
        assert found.fraction == pytest.approx(scatter.sum() / (scatter + trues).sum(), rel=0.03)
        assert [n.code for n in log] == []
    else:
        assert [n.code for n in log] == ["SCATTER_TAILS_DISAGREE"]


def test_what_cannot_be_simulated_is_refused():
    grid, inside, mu = simulated()
    blind = SinogramGeometry.of_span(CylindricalScanner(crystals=96, rings=9, radius_mm=330, ring_pitch_mm=20), bins=81)
    with pytest.raises(MissingValue, match="energy window"):
        single_scatter(blind, inside, grid, mu)
    with pytest.raises(NotComputable, match="nothing that scatters"):
        single_scatter(GEOMETRY, inside, grid, Volume(values=0 * mu.values, grid=grid, unit="1/cm"))
    with pytest.raises(NotComputable, match="beside the patient"):
        tail_scale(inside, None, inside, np.full_like(inside, 0.5))
