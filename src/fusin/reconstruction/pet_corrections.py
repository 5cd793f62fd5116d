"""Attenuation, detection efficiencies and randoms of a PET sinogram.

::

    attenuation   a = exp(-integral of mu)                             along the line of the bin
    efficiency    e = mean of e_i e_j g                                over the pairs (i, j) of the bin
    randoms       R = sum of 2 tau S_i S_j T                           singles rates S, window 2 tau, time T
                  R = sum of s_i s_j                                   s by maximum likelihood from delayed coincidences

The likelihood of delayed counts is largest where the modelled and the measured delayed counts of every crystal agree; s is found by
scaling each crystal with the square root of their ratio, again and again.

References
----------
Casey M, Hoffman E, J Comput Assist Tomogr 1986;10:845 (variance reduction) · Panin V et al., IEEE Trans Med Imaging 2007;26:1172
(fan sums and singles from delayed counts) · Knoll G, Radiation Detection and Measurement, 4th ed., ch. 17 (2 tau r1 r2).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.errors import InputError, NotComputable
from fusin.imaging.volume import Grid, Volume
from fusin.reconstruction.attenuation import MU_UNIT
from fusin.reconstruction.pet import PetSinogramProjector
from fusin.reconstruction.pet_geometry import SinogramGeometry
from fusin.reconstruction.projector import FloatImage

__all__ = [
    "attenuation_factors",
    "detection_efficiencies",
    "over_timing_bins",
    "randoms_from_delayed",
    "randoms_from_singles",
    "singles_from_delayed",
    "timing_covers",
    "untimed",
]

FloatArray = NDArray[np.float64]
MU = "attenuation map"
_MM_PER_CM = 10.0
# No tissue, implant or contrast medium reaches it at 511 keV; lead has 1.8.
_LARGEST_MU_PER_CM = 5.0


def untimed(geometry: SinogramGeometry) -> SinogramGeometry:
    """Return the same sinogram without time of flight."""
    return replace(geometry, tof=None)


def timing_covers(geometry: SinogramGeometry, grid: Grid) -> bool:
    """Whether the timing bins of every line reach beyond an image, so that they sum to the projection without them."""
    from fusin.reconstruction.pet_ray_kernels import CUT

    if geometry.tof is None:
        return True
    centre = np.array(geometry.centre_mm)
    corners = [grid.to_mm(np.array(grid.shape[::-1]) * side - 0.5) for side in (0.0, 1.0)]
    # The middle of an oblique line may lie at one end of the image and what it passes at the other.
    reach = float(np.linalg.norm(np.maximum(*(np.abs(c - centre) for c in corners)) * (1.0, 1.0, 2.0)))
    return bool(geometry.tof.edges_mm[-1] >= reach + CUT * geometry.tof.sigma_mm)


def attenuation_factors(geometry: SinogramGeometry, mu: Volume, *, image: Grid | None = None) -> FloatImage:
    """Share of photon pairs that leave the patient unscattered, for each line.

    Parameters
    ----------
    geometry : of the sinogram
    mu : linear attenuation coefficient at 511 keV [1/cm], over all the patient
    image : grid of the emission image, whose frame of reference the map must share

    Returns
    -------
    ndarray
        (views, bins, planes), above 0 and up to 1.

    Raises
    ------
    InputError
        For a map of another frame or unit, negative coefficients, or coefficients beyond those of metal.
    """
    if image is not None:
        image.require_frame(mu.grid, MU)
    if mu.unit not in (MU_UNIT, "1/cm"):
        raise InputError(MU, "unit", mu.unit, "1/cm")
    values = np.asarray(mu.values, dtype=np.float32)
    if not np.isfinite(values).all() or (values < 0).any():
        raise InputError(MU, "values", "negative coefficients or no numbers", "0 or a positive number in each voxel")
    if values.size and values.max() > _LARGEST_MU_PER_CM:
        raise InputError(
            MU,
            "values",
            float(values.max()),
            f"coefficients below {_LARGEST_MU_PER_CM:g} 1/cm; is it in 1/m or Hounsfield?",
        )
    plain = untimed(geometry)
    integral = PetSinogramProjector(plain, mu.grid).forward(values)
    integral /= (_MM_PER_CM * plain.lines_per_plane).astype(np.float32)
    return np.asarray(np.exp(-integral), dtype=np.float32)


def detection_efficiencies(
    geometry: SinogramGeometry, crystals: ArrayLike, *, geometric: ArrayLike | None = None
) -> FloatImage:
    """Mean efficiency of the pairs of each bin.

    Parameters
    ----------
    geometry : of the sinogram
    crystals : (rings, crystals) relative efficiencies; 0 for one that is dead
    geometric : factors that the bins have beside, broadcast to (views, bins, planes); None for 1

    Returns
    -------
    ndarray
        (views, bins, planes), for the ``factors`` of `PetSinogramProjector`.

    Raises
    ------
    InputError
        For another shape, or efficiencies that are negative or no numbers.
    """
    values = _of_crystals(geometry, crystals, "crystals")
    out = _products(geometry, values) / geometry.lines_per_plane.astype(np.float32)
    if geometric is not None:
        beside = np.asarray(geometric, dtype=np.float32)
        try:
            fits = np.broadcast_shapes(beside.shape, out.shape) == out.shape
        except ValueError:
            fits = False
        if not fits or not np.isfinite(beside).all() or (beside < 0).any():
            raise InputError("normalisation", "geometric", beside.shape,
                             f"0 or positive factors that fit the shape {out.shape}")  # fmt: skip
        out = out * beside
    return np.asarray(out, dtype=np.float32)


def randoms_from_singles(
    geometry: SinogramGeometry, singles_cps: ArrayLike, *, window_ns: float, duration_s: float
) -> FloatImage:
    """Expected random coincidences of each bin.

    Parameters
    ----------
    geometry : of the sinogram
    singles_cps : (rings, crystals) mean rate of single events within the energy window
    window_ns : full width 2 tau of the coincidence window: twice the largest difference of arrival
    duration_s : of the acquisition

    Returns
    -------
    ndarray
        (views, bins, planes) counts, of all timing bins together; see `over_timing_bins`.

    Raises
    ------
    InputError
        For rates of another shape or below 0, or a window or time that is not positive.
    """
    for name, value in (("window_ns", window_ns), ("duration_s", duration_s)):
        if not (np.isfinite(value) and value > 0):
            raise InputError("randoms", name, value, "a positive number")
    rates = _of_crystals(geometry, singles_cps, "singles_cps")
    return np.asarray(_products(geometry, rates) * np.float32(window_ns * 1e-9 * duration_s), dtype=np.float32)


def singles_from_delayed(
    geometry: SinogramGeometry, delayed: ArrayLike, *, iterations: int = 100, tolerance: float = 1e-5
) -> FloatArray:
    """Relative singles of each crystal whose products explain delayed coincidences, by maximum likelihood.

    Parameters
    ----------
    geometry : of the sinogram
    delayed : (views, bins, planes) delayed coincidences
    iterations : most to run
    tolerance : stop where no crystal's modelled delayed counts differ from the measured ones by more

    Returns
    -------
    ndarray
        (rings, crystals); the product of two is the expected number of delayed coincidences of their pair.

    Raises
    ------
    InputError
        For another shape or negative counts.
    NotComputable
        Without any delayed coincidence.
    """
    from fusin.reconstruction.pet_pair_kernels import CHUNKS, crystal_sums

    counts = np.asarray(delayed, dtype=np.float64)
    plain = (geometry.views, geometry.bins, geometry.planes)
    if counts.shape != plain:
        raise InputError("delayed coincidences", "counts", counts.shape, f"the shape {plain} of the sinogram")
    if not np.isfinite(counts).all() or (counts < 0).any():
        raise InputError("delayed coincidences", "counts", "negative counts or no numbers", "counts of 0 or more")
    if counts.sum() == 0:
        raise NotComputable(
            "randoms", "there is no delayed coincidence", "delayed coincidences or singles", "NO_DELAYED"
        )
    crystals, (planes, rings) = _lines(geometry), geometry.ring_pairs
    shape = (geometry.scanner.rings, geometry.scanner.crystals)
    pairs = geometry.views * geometry.bins * float(geometry.lines_per_plane.sum())
    values = np.full(shape, np.sqrt(counts.sum() / pairs))
    for _ in range(iterations):
        model = _products(geometry, values).astype(np.float64)
        ratios = np.divide(counts, model, out=np.zeros_like(counts), where=model > 0).reshape(len(crystals), -1)
        parts = np.zeros((CHUNKS, 2, *shape))
        crystal_sums(crystals, rings, planes, values, ratios, parts)
        plain_sums, weighted = parts.sum(axis=0)
        ratio = np.divide(weighted, plain_sums, out=np.ones(shape), where=plain_sums > 0)
        values = values * np.sqrt(ratio)
        if np.abs(ratio[weighted > 0] - 1.0).max(initial=0.0) < tolerance:
            break
    return values


def randoms_from_delayed(geometry: SinogramGeometry, delayed: ArrayLike, *, iterations: int = 100) -> FloatImage:
    """Delayed coincidences freed of most of their noise; see `singles_from_delayed`.

    Returns
    -------
    ndarray
        (views, bins, planes) counts, of all timing bins together.
    """
    return _products(geometry, singles_from_delayed(geometry, delayed, iterations=iterations))


def over_timing_bins(geometry: SinogramGeometry, randoms: FloatImage, *, window_ns: float | None = None) -> FloatImage:
    """Spread randoms evenly over the timing bins, as they arrive.

    Parameters
    ----------
    geometry : of the sinogram, with time of flight
    randoms : (views, bins, planes) of the whole coincidence window
    window_ns : full width of that window; None: the timing bins cover it

    Returns
    -------
    ndarray
        (views, timing bins, bins, planes).

    Raises
    ------
    InputError
        Without time of flight, for another shape, or a window that is narrower than the timing bins.
    """
    tof = geometry.tof
    if tof is None:
        raise InputError("randoms", "tof", None, "a sinogram with time of flight")
    if randoms.shape != (geometry.views, geometry.bins, geometry.planes):
        raise InputError(
            "randoms", "counts", randoms.shape, f"the shape {untimed(geometry).data_shape} of the sinogram"
        )
    whole_ps = tof.count * tof.width_ps if window_ns is None else 1000.0 * window_ns
    if not whole_ps >= tof.count * tof.width_ps * (1.0 - 1e-6):
        raise InputError(
            "randoms",
            "window_ns",
            window_ns,
            f"at least the {tof.count * tof.width_ps / 1000.0:g} ns of the timing bins",
        )
    share = np.float32(tof.width_ps / whole_ps)
    return np.asarray(np.repeat((randoms * share)[:, None], tof.count, axis=1), dtype=np.float32)


def _of_crystals(geometry: SinogramGeometry, values: ArrayLike, field: str) -> FloatArray:
    held = np.ascontiguousarray(values, dtype=np.float64)
    needed = (geometry.scanner.rings, geometry.scanner.crystals)
    if held.shape != needed or not np.isfinite(held).all() or (held < 0).any():
        raise InputError(
            "PET crystals", field, held.shape, f"0 or a positive number for each of {needed} (rings, crystals)"
        )
    return held


def _lines(geometry: SinogramGeometry) -> NDArray[np.intp]:
    """(lines, mashing, 2) crystals of each line."""
    return np.ascontiguousarray(geometry.crystal_pairs.reshape(-1, geometry.mashing, 2))


def _products(geometry: SinogramGeometry, values: FloatArray) -> FloatImage:
    from fusin.reconstruction.pet_pair_kernels import bin_products

    planes, rings = geometry.ring_pairs
    out = np.empty((geometry.views * geometry.bins, geometry.planes), np.float32)
    bin_products(_lines(geometry), rings, planes, values, out)
    return out.reshape(geometry.views, geometry.bins, geometry.planes)
