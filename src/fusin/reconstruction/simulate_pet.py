"""Simulated PET sinograms of analytic phantoms: another model than the one that reconstructs them.

Each bin of each pair of rings is the mean over lines spread across the faces of its crystals, whose integrals through the solids
are exact; the projectors of the reconstruction walk one line through voxels. Scatter is a wide blur of the attenuated counts across
bins and planes, randoms follow the singles of the two crystals, and all of it is Poisson.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, Unsupported
from fusin.reconstruction.collimator import FWHM_PER_SIGMA
from fusin.reconstruction.pet_geometry import SinogramGeometry
from fusin.reconstruction.phantoms import Phantom

__all__ = ["PetSimulation", "simulate_pet"]

FloatArray = NDArray[np.float64]
WHERE = "PET simulation"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PetSimulation:
    """A simulated sinogram with its truth; arrays have the shape of the data.

    Attributes
    ----------
    counts : Poisson prompts
    trues, scatter, randoms : expected
    delayed : Poisson counts of a delayed window of the same length
    attenuation : exact factors exp(-int mu), averaged like the trues
    scale : expected counts of a pair of rings for 1 Bq/mL along 1 mm: divide an image by it for Bq/mL
    truth : phantom, fractions and totals; ready for JSON
    """

    counts: NDArray[np.float32]
    trues: FloatArray
    scatter: FloatArray
    randoms: FloatArray
    delayed: NDArray[np.float32]
    attenuation: FloatArray
    scale: float
    truth: dict[str, Any]


def simulate_pet(
    phantom: Phantom, geometry: SinogramGeometry, *, trues: float, rng: np.random.Generator, scatter_fraction: float = 0.0,
    randoms_fraction: float = 0.0, lines: tuple[int, int] = (2, 2), scatter_width_mm: tuple[float, float] = (80.0, 60.0),
    blur_mm: float = 0.0,
) -> PetSimulation:  # fmt: skip
    """Simulate the prompts of a phantom.

    Parameters
    ----------
    phantom : in the coordinates of the geometry
    geometry : of the sinogram, without time of flight
    trues : expected number of true coincidences in all bins
    rng : of the Poisson counts
    scatter_fraction : scatter / (scatter + trues)
    randoms_fraction : randoms / prompts
    lines : across and along the face of the crystals
    scatter_width_mm : standard deviation of the blur across bins and along the axis
    blur_mm : FWHM of a blur of the trues, for what crystals do not see alone: range of the positrons, angle of the photons, depth

    Raises
    ------
    InputError
        For fractions that are not from 0 to below 1, trues that are not positive, a phantom that the scanner does not see.
    Unsupported
        ``PET_TOF_NOT_SIMULATED``.
    """
    if geometry.tof is not None:
        raise Unsupported("a PET simulation", "the geometry has time of flight", "one without", "PET_TOF_NOT_SIMULATED")
    if not (np.isfinite(trues) and trues > 0):
        raise InputError(WHERE, "trues", trues, "a positive number of counts")
    for name, value in (("scatter_fraction", scatter_fraction), ("randoms_fraction", randoms_fraction)):
        if not 0 <= value < 1:
            raise InputError(WHERE, name, value, "a share from 0 to below 1")
    if not (np.isfinite(blur_mm) and blur_mm >= 0):
        raise InputError(WHERE, "blur_mm", blur_mm, "0 or a positive width in mm")
    if min(lines) < 1:
        raise InputError(WHERE, "lines", lines, "one line or more across and along")
    emission, passed = _expected(phantom, geometry, lines)
    total = float(emission.sum())
    if total <= 0:
        raise InputError(WHERE, "phantom", phantom.name, "activity within the scanner")
    scale = trues / total
    expected = emission * scale
    if blur_mm > 0:
        expected = _wider(expected, geometry, (blur_mm / FWHM_PER_SIGMA,) * 2)
    scattered = _wider(expected, geometry, scatter_width_mm)
    scattered *= trues * scatter_fraction / (1.0 - scatter_fraction) / max(float(scattered.sum()), 1e-300)
    accidental = _randoms(expected + scattered, geometry)
    accidental *= (trues + scattered.sum()) * randoms_fraction / (1.0 - randoms_fraction) / accidental.sum()
    counts = rng.poisson(expected + scattered + accidental).astype(np.float32)
    truth = {
        **phantom.truth(),
        "expected_counts": {"trues": trues, "scatter": float(scattered.sum()), "randoms": float(accidental.sum())},
        "counts_per_bq_ml_mm": scale, "scatter_fraction": scatter_fraction, "randoms_fraction": randoms_fraction,
    }  # fmt: skip
    return PetSimulation(
        counts=counts, trues=expected, scatter=scattered, randoms=accidental, delayed=rng.poisson(accidental).astype(np.float32),
        attenuation=passed, scale=scale, truth=truth,
    )  # fmt: skip


def _expected(phantom: Phantom, geometry: SinogramGeometry, lines: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """Sum over the pairs of rings of the mean attenuated integral [Bq/mL mm], and the mean attenuation factors."""
    planes, pairs = geometry.ring_pairs
    firsts = np.searchsorted(planes, np.arange(geometry.planes))
    scanner = geometry.scanner
    heights = scanner.rings_z_mm[pairs] + geometry.centre_mm[2]
    across = 0.5 * _bin_mm(geometry)
    emission, passed = (np.zeros(geometry.data_shape) for _ in range(2))
    for view in range(geometry.views):
        ends = geometry.ends_mm[view]
        along = ends[:, 1] - ends[:, 0]
        normal = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
        for i in range(lines[0]):
            shift = ((i + 0.5) / lines[0] - 0.5) * across
            for j in range(lines[1]):
                rise = ((j + 0.5) / lines[1] - 0.5) * scanner.ring_pitch_mm
                three = np.empty((2, geometry.bins, len(planes), 3))
                for end in (0, 1):
                    three[end, ..., :2] = (ends[:, end] + shift * normal)[:, None]
                    three[end, ..., 2] = heights[:, end] + rise
                activity, optical = phantom.line_integrals(three[0], three[1])
                factor = np.exp(-optical)
                # The pairs are sorted by plane, and each plane has at least one.
                emission[view] += np.add.reduceat(activity * factor, firsts, axis=1)
                passed[view] += np.add.reduceat(factor, firsts, axis=1)
    share = 1.0 / (lines[0] * lines[1])
    return emission * share, passed * share / geometry.pairs_per_plane


def _bin_mm(geometry: SinogramGeometry) -> float:
    """Distance between the middles of crystals next to each other."""
    ring = geometry.scanner.crystals_xy_mm
    return float(np.linalg.norm(ring[1] - ring[0]))


def _wider(expected: FloatArray, geometry: SinogramGeometry, width_mm: tuple[float, float]) -> FloatArray:
    """Blur across bins and along the planes of each segment; tails are kept by a wider frame of bins."""
    from scipy.ndimage import gaussian_filter

    sigma_bins = width_mm[0] / (0.5 * _bin_mm(geometry))
    out = np.empty_like(expected)
    weights = geometry.pairs_per_plane
    for part in geometry.segment_slices():
        sigma = (0.0, sigma_bins, 2.0 * width_mm[1] / geometry.scanner.ring_pitch_mm)
        level = expected[:, :, part] / weights[part]
        out[:, :, part] = gaussian_filter(level, sigma, mode=("nearest", "constant", "nearest")) * weights[part]
    return out


def _randoms(expected: FloatArray, geometry: SinogramGeometry) -> FloatArray:
    """Product of the singles of both crystals, from the coincidences that each takes part in, over all rings."""
    per_bin = expected.sum(axis=2)
    pairs = geometry.crystal_pairs
    singles = np.zeros(geometry.scanner.crystals)
    for end in (0, 1):
        np.add.at(singles, pairs[..., end], per_bin[..., None] / pairs.shape[2])
    # Activity beyond the field of view and singles that find no partner make them more even.
    singles = singles + 0.5 * singles.mean()
    product = (singles[pairs[..., 0]] * singles[pairs[..., 1]]).mean(axis=2)
    return np.asarray(product[..., None] * geometry.pairs_per_plane)
