"""Single scatter with time of flight: sums, places, a Monte Carlo of its own, and the estimate from counts."""

from __future__ import annotations

import numpy as np
import pytest
from test_pet_scatter import COARSE, MU, SCANNER, detected, simulated, way_out

from fusin.reconstruction.pet import PetSinogramProjector, SinogramGeometry, TofBins
from fusin.reconstruction.pet_corrections import attenuation_factors, timing_covers
from fusin.reconstruction.pet_scatter import energy_efficiency, klein_nishina, single_scatter, total_cross_section
from fusin.reconstruction.pet_scatter_estimate import estimate_scatter

# 21 bins of 60 mm reach 630 mm: beyond the crystals on either side.
TOF = TofBins(count=21, width_ps=400.0, resolution_ps=500.0)
PLAIN = SinogramGeometry.of_span(SCANNER, bins=81)
TIMED = SinogramGeometry.of_span(SCANNER, bins=81, tof=TOF)
SOURCE_X, SOURCE_RADIUS = 60.0, 20.0


@pytest.fixture(scope="module")
def source():
    """A rod of activity beside the axis of the water cylinder."""
    grid, inside, mu = simulated()
    x, y = np.meshgrid(*[5.0 * (np.arange(48) - 23.5)] * 2)
    rod = (np.hypot(x - SOURCE_X, y) < SOURCE_RADIUS) & (inside > 0)
    return grid, rod.astype(np.float32), mu


@pytest.fixture(scope="module")
def timed(source):
    grid, rod, mu = source
    return single_scatter(TIMED, rod, grid, mu, sampling=COARSE)


def test_timing_bins_sum_to_the_scatter_without_time_of_flight(source, timed):
    grid, rod, mu = source
    plain = single_scatter(PLAIN, rod, grid, mu, sampling=COARSE)
    np.testing.assert_allclose(timed.sum(axis=1), plain, rtol=1e-4, atol=1e-5 * plain.max())


def test_a_symmetric_cylinder_scatters_alike_into_early_and_late_bins():
    grid, inside, mu = simulated()
    found = single_scatter(TIMED, inside, grid, mu, sampling=COARSE).sum(axis=(0, 2, 3))
    np.testing.assert_allclose(found, found[::-1], rtol=1e-3, atol=1e-4 * found.max())


def towards_x(values):
    """Sums over bins by the place along x: timing bins counted towards the end of the line with the larger x."""
    flip = TIMED.ends_mm[:, :, 1, 0] < TIMED.ends_mm[:, :, 0, 0]
    by_line = values.sum(axis=3).transpose(0, 2, 1)
    return np.where(flip[..., None], by_line[..., ::-1], by_line)


def weights():
    """What the projector leaves out of a pair: cosines of incidence over squared distance, as the mean over the planes."""
    chord = np.linalg.norm(TIMED.ends_mm[:, :, 1] - TIMED.ends_mm[:, :, 0], axis=-1)[..., None]
    planes, pairs = TIMED.ring_pairs
    square = chord**2 + (20.0 * (pairs[:, 1] - pairs[:, 0])[np.argsort(planes)]) ** 2
    return ((chord / 660.0) ** 2 * chord**2 / square**2)[:, None]


def monte_carlo(pairs, rng):
    """Place along the line, towards larger x, and weight of singly scattered pairs of the rod, one by one."""
    r, phi = SOURCE_RADIUS * np.sqrt(rng.random(pairs)), rng.uniform(0, 2 * np.pi, pairs)
    place = np.stack([SOURCE_X + r * np.cos(phi), r * np.sin(phi), rng.uniform(-82.5, 82.5, pairs)], 1)
    w, phi = rng.uniform(-1, 1, pairs), rng.uniform(0, 2 * np.pi, pairs)
    one = np.stack([np.sqrt(1 - w * w) * np.cos(phi), np.sqrt(1 - w * w) * np.sin(phi), w], 1)
    d1, d2 = way_out(place, one), way_out(place, -one)
    met = 1 - np.exp(-MU * d1)
    first = -np.log(1 - rng.random(pairs) * met) / MU
    point = place + one * first[:, None]
    grid = np.linspace(-1, 1, 4001)
    summed = np.concatenate([[0], np.cumsum(0.5 * (klein_nishina(grid[1:]) + klein_nishina(grid[:-1])))])
    cosine = np.interp(rng.random(pairs), summed / summed[-1], grid)
    side = np.cross(one, np.where(np.abs(one[:, :1]) < 0.9, [[1.0, 0, 0]], [[0, 1.0, 0]]))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    turn = rng.uniform(0, 2 * np.pi, pairs)[:, None]
    two = cosine[:, None] * one + np.sqrt(1 - cosine**2)[:, None] * (
        np.cos(turn) * side + np.sin(turn) * np.cross(one, side)
    )
    energy = 510.99895 / (2 - cosine)
    thinner = total_cross_section(energy) / total_cross_section(510.99895)
    share = energy_efficiency(energy, SCANNER)
    weight = met * np.exp(-MU * d2 - MU * thinner * way_out(point, two)) * share
    seen = detected(place, -one) & detected(point, two)
    straight, turned = to_ring(place, -one), to_ring(point, two)
    ends = place[:, 0] - straight * one[:, 0], point[:, 0] + turned * two[:, 0]
    # Half the difference of both ways, from the middle of the line towards the end that the shorter way leads to.
    along = 0.5 * (straight - first - turned) * np.where(ends[1] > ends[0], 1.0, -1.0)
    # Pairs of crystals with too many bins between them are not in the sinogram.
    y = place[:, 1] - straight * one[:, 1], point[:, 1] + turned * two[:, 1]
    angle = np.abs(np.angle(np.exp(1j * (np.arctan2(y[1], ends[1]) - np.arctan2(y[0], ends[0])))))
    near = (np.pi - angle) / (2 * np.pi / 96) <= 40.5
    return (along + TOF.sigma_mm * rng.normal(size=pairs))[seen & near], weight[seen & near]


def to_ring(place, direction):
    a = (direction[:, :2] ** 2).sum(1)
    b = (place[:, :2] * direction[:, :2]).sum(1)
    c = (place[:, :2] ** 2).sum(1) - SCANNER.radius_mm**2
    return (-b + np.sqrt(b * b - a * c)) / a


def test_the_timing_of_a_source_beside_the_axis_agrees_with_a_monte_carlo(timed):
    found = towards_x(weights() * timed).sum(axis=(0, 1))
    along, weight = monte_carlo(500_000, np.random.default_rng(5))
    expected, _ = np.histogram(along, bins=TOF.edges_mm, weights=weight)
    found, expected = found / found.sum(), expected / expected.sum()
    centres = 0.5 * (TOF.edges_mm[1:] + TOF.edges_mm[:-1])
    assert (found * centres).sum() == pytest.approx((expected * centres).sum(), abs=1.5)
    assert (expected * centres).sum() > 15
    np.testing.assert_allclose(found, expected, atol=0.012)


def test_scatter_of_a_far_scatterer_is_timed_apart_from_the_source():
    """Watson 2007: a pair that scatters behind the source seems to come from where the difference of both ways puts it."""
    from fusin.reconstruction.pet_scatter_kernels import timed_pair_sums

    a, b, p = np.array([300.0, 0, 0]), np.array([-200.0, -150.0, 0]), np.array([-60.0, 40.0, 0])
    emitted = 100.0
    legs = np.zeros((1, 2, 400), np.float32)
    legs[0, 0, 200 + 100] = 1.0  # samples every millimetre from -200 mm
    normals = np.stack([(p - a), (p - b)]) * -1.0
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    centres = np.arange(-300.0, 301.0)
    out = np.zeros((2, 2, centres.size))
    table = np.ones((2, 11))
    timed_pair_sums(
        np.stack([a, b]), normals, p[None], np.ones(1), legs, -200.0, 1.0, np.zeros((1, 2)), table, centres, out
    )
    way_a, way_b = np.linalg.norm(a - p), np.linalg.norm(b - p)
    expected = 0.5 * ((way_a - emitted) - (emitted + way_b))
    assert (out[0, 1] * centres).sum() / out[0, 1].sum() == pytest.approx(expected, abs=0.51)


@pytest.mark.parametrize("tof", [TOF, TofBins(count=5, width_ps=500.0, resolution_ps=500.0)], ids=["covering", "short"])
def test_scatter_is_estimated_from_timed_counts(tof):
    """With bins that reach beyond the image the sums are reconstructed, with shorter ones the timed counts themselves."""
    geometry = SinogramGeometry.of_span(SCANNER, bins=41, max_ring_difference=1, mashing=2, tof=tof)
    grid, inside, mu = simulated()
    assert timing_covers(geometry, grid) == (tof is TOF)
    efficiencies = np.random.default_rng(2).uniform(0.8, 1.2, (24, 41, geometry.planes)).astype(np.float32)
    factors = attenuation_factors(geometry, mu) * efficiencies
    scatter = single_scatter(geometry, inside, grid, mu, sampling=COARSE) * efficiencies[:, None]
    trues = PetSinogramProjector(geometry, grid, factors=factors).forward(inside)
    counts = np.random.default_rng(3).poisson(trues + scatter).astype(np.float32)
    found = estimate_scatter(geometry, counts, mu, efficiencies=efficiencies, sampling=COARSE)
    assert found.values.shape == geometry.data_shape
    assert found.values.sum() == pytest.approx(scatter.sum(), rel=0.05)
    np.testing.assert_allclose(
        found.values.sum(axis=(0, 2, 3)), scatter.sum(axis=(0, 2, 3)), rtol=0.08, atol=0.01 * scatter.sum()
    )
