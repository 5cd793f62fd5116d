"""Scatter of measured counts: reconstruct coarsely, simulate the scatter of that image, and again with it in the model.

References
----------
Watson C, IEEE Trans Nucl Sci 2000;47:1587 · Thielemans K et al., IEEE NSS-MIC 2007, 3554 (scale from the tails).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusin.errors import InputError, NotComputable
from fusin.imaging.volume import Grid, Volume
from fusin.provenance import NoticeLog
from fusin.reconstruction.algorithms import osem
from fusin.reconstruction.data import Measured
from fusin.reconstruction.pet import PetSinogramProjector
from fusin.reconstruction.pet_corrections import attenuation_factors, timing_covers, untimed
from fusin.reconstruction.pet_geometry import SinogramGeometry
from fusin.reconstruction.pet_scatter import ScatterSampling, TailScale, single_scatter, tail_scale
from fusin.reconstruction.projector import FloatImage

__all__ = ["ScatterEstimate", "estimate_scatter"]

_PIXEL_MM = 8.0
_VIEWS_PER_SUBSET = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScatterEstimate:
    """Expected scatter of a sinogram.

    Attributes
    ----------
    values : of the geometry's ``data_shape``, counts, efficiencies included
    fraction : of all counts less randoms
    tails : scale that lines beside the patient would ask for; None where there is none
    sentence : what was done
    """

    values: FloatImage
    fraction: float
    tails: TailScale | None
    sentence: str


def estimate_scatter(
    geometry: SinogramGeometry, counts: FloatImage, mu: Volume, *, randoms: FloatImage | None = None,
    efficiencies: FloatImage | None = None, sampling: ScatterSampling | None = None, rounds: int = 3, log: NoticeLog | None = None,
) -> ScatterEstimate:  # fmt: skip
    """Estimate the scatter in measured counts.

    Parameters
    ----------
    geometry : of the sinogram
    counts : prompts
    mu : coefficient of attenuation at 511 keV [1/cm]
    randoms : expected counts; None for none
    efficiencies : of each bin, with or without timing bins; None for 1
    sampling : how finely scatter is simulated
    rounds : of reconstruction and simulation
    log : receives a notice where tails and simulation disagree

    Raises
    ------
    InputError, NotComputable
        As in `single_scatter`, and for no rounds.
    """
    if rounds < 1:
        raise InputError("scatter", "rounds", rounds, "1 or more")
    log = NoticeLog() if log is None else log
    grid = _coarse(geometry, mu)
    attenuation = attenuation_factors(geometry, mu)
    whole, counted, noise, passed = _untimed_where_possible(geometry, grid, counts, randoms, efficiencies)
    lines = attenuation if passed.ndim == 3 else attenuation[:, None]
    projector = PetSinogramProjector(whole, grid, factors=np.broadcast_to(lines * passed, passed.shape))
    scatter = np.zeros_like(counted)
    subsets = max(1, geometry.views // _VIEWS_PER_SUBSET)
    for number in range(rounds):
        found = osem(
            projector, Measured(counts=counted, additive=noise + scatter, name="prompts"), iterations=2, subsets=subsets
        )
        if whole is geometry or number < rounds - 1:
            scatter = single_scatter(whole, found.image, grid, mu, sampling=sampling) * passed
    values = scatter
    if whole is not geometry:
        values = single_scatter(geometry, found.image, grid, mu, sampling=sampling) * passed[:, None]
        scatter = values.sum(axis=1)
    fraction = float(scatter.sum(dtype=np.float64)) / max(
        float(counted.sum(dtype=np.float64) - noise.sum(dtype=np.float64)), 1.0
    )
    tails = _tails(_summed(counted), _summed(noise), _summed(scatter), attenuation, log)
    sentence = (
        f"Scatter: single scatter simulated from the image in {rounds} rounds on an absolute scale, {100 * fraction:.1f} % of the "
        "counts less randoms; in the model and not subtracted."
    )
    return ScatterEstimate(
        values=np.asarray(values, dtype=np.float32), fraction=fraction, tails=tails, sentence=sentence
    )


def _untimed_where_possible(
    geometry: SinogramGeometry,
    grid: Grid,
    counts: FloatImage,
    randoms: FloatImage | None,
    efficiencies: FloatImage | None,
) -> tuple[SinogramGeometry, FloatImage, FloatImage, FloatImage]:
    """Geometry, counts, randoms and efficiencies, added up over timing bins where these lose nothing: the image needs no timing."""
    noise = np.zeros_like(counts) if randoms is None else np.asarray(randoms, dtype=np.float32)
    plain = untimed(geometry)
    passed = (
        np.ones(plain.data_shape, np.float32) if efficiencies is None else np.asarray(efficiencies, dtype=np.float32)
    )
    if geometry.tof is None:
        return geometry, counts, noise, passed
    if passed.ndim == 3 and timing_covers(geometry, grid):
        return plain, _summed(counts), _summed(noise), passed
    return (
        geometry,
        counts,
        noise,
        np.broadcast_to(passed if passed.ndim == 4 else passed[:, None], geometry.data_shape),
    )


def _summed(values: FloatImage) -> FloatImage:
    return values if values.ndim == 3 else np.asarray(values.sum(axis=1), dtype=np.float32)


def _coarse(geometry: SinogramGeometry, mu: Volume) -> Grid:
    """Grid over the map, with the planes of the rings."""
    low = mu.grid.to_mm(np.full(3, -0.5))
    high = mu.grid.to_mm(np.array(mu.grid.shape[::-1]) - 0.5)
    centre = np.array(geometry.centre_mm)
    half = np.maximum(np.abs(low - centre), np.abs(high - centre))[:2]
    pixel = min(_PIXEL_MM, float(half.max()) / 8.0)
    columns, rows = (2 * int(np.ceil(h / pixel)) for h in half)
    return geometry.grid(
        pixel_mm=pixel, columns=columns, rows=rows, frame_of_reference_uid=mu.grid.frame_of_reference_uid
    )


def _tails(
    counts: FloatImage, noise: FloatImage, scatter: FloatImage, attenuation: FloatImage, log: NoticeLog
) -> TailScale | None:
    try:
        found = tail_scale(counts, noise, scatter, attenuation)
    except NotComputable:
        return None
    error = max(found.standard_error, 1e-12)
    if abs(found.scale - 1.0) > max(0.25, 4.0 * error):
        log.warning(
            "SCATTER_TAILS_DISAGREE",
            f"lines beside the patient hold {found.scale:.3g} (standard error {error:.2g}) times the simulated scatter; the "
            "simulation was kept",
            raw=found.scale,
            used=1.0,
        )
    return found
