"""Simulated SPECT projections of analytic phantoms: another model than the one that reconstructs them.

For each view, lines leave a mesh finer than the bins and cross the solids themselves, so that activity and attenuation are exact
and nothing is turned or interpolated. Slabs behind the collimator are blurred with the sampled Gaussian of their distance, in
Fourier space, and bins are the means of the mesh over them. What tissue takes out of the primary beam comes back in part as
scatter: wide, and with a spectrum that is not straight across the windows, so that a triple energy window estimate is near it and
not equal to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.nuclides import nuclide as nuclide_of
from fusin.reconstruction.collimator import CollimatorResponse
from fusin.reconstruction.phantoms import Phantom
from fusin.reconstruction.spect_acquisition import EnergyWindow, SpectAcquisition
from fusin.reconstruction.spect_geometry import SpectGeometry

__all__ = ["LU177_WINDOWS", "ScatterModel", "SpectSimulation", "simulate_spect"]

FloatArray = NDArray[np.float64]
LU177_WINDOWS = (
    EnergyWindow("peak", 187.5, 229.2), EnergyWindow("lower", 166.7, 187.5), EnergyWindow("upper", 229.2, 250.0),
)  # fmt: skip
"""20 % about 208.37 keV with 10 % on both sides, as MIRD pamphlet 26 does (J Nucl Med 2016;57:151)."""

_REACH = 4.0
_GOLDEN = 0.5 * (np.sqrt(5.0) - 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScatterModel:
    """Made-up scatter: a share of what attenuation takes out of the beam, blurred.

    Attributes
    ----------
    share : of the removed counts that arrive in the photopeak window
    width_mm : standard deviation of the blur
    lower_per_kev, upper_per_kev : density in the scatter windows relative to that in the photopeak; a triple energy window estimate
        is (lower + upper) / 2 times the truth
    """

    share: float = 0.2
    width_mm: float = 40.0
    lower_per_kev: float = 1.55
    upper_per_kev: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpectSimulation:
    """A simulated acquisition with its truth.

    Attributes
    ----------
    acquisition : Poisson counts of all windows
    primary, scatter : expected counts in the photopeak, (views, rows, bins)
    expected : expected counts of all windows, (windows, views, rows, bins)
    truth : phantom, sensitivity, times, totals; ready for JSON
    """

    acquisition: SpectAcquisition
    primary: FloatArray
    scatter: FloatArray
    expected: FloatArray
    truth: dict[str, Any]

    def repeated(self, rng: np.random.Generator) -> SpectAcquisition:
        """Count the same phantom once more."""
        return replace(self.acquisition, counts=rng.poisson(self.expected).astype(np.float32))


def simulate_spect(
    phantom: Phantom, geometry: SpectGeometry, *, response: CollimatorResponse | None, cps_per_mbq: float, view_time_s: float,
    rng: np.random.Generator, nuclide: str = "Lu-177", heads: int = 1, started: datetime | None = None,
    windows: tuple[EnergyWindow, ...] = LU177_WINDOWS, scatter: ScatterModel | None = None, mesh: int = 2,
    slab_mm: float | None = None, frame_of_reference_uid: str = "",
) -> SpectSimulation:  # fmt: skip
    """Simulate the projections of a phantom.

    Parameters
    ----------
    phantom : activities are those at the start of the acquisition
    geometry : of the views, those of each head one after the other
    response : of the collimator; None for none
    cps_per_mbq : sensitivity of one head in the photopeak window, in air [1/(s MBq)]
    view_time_s : time of a view [s]
    rng : of the Poisson counts
    nuclide : decays while the heads move on; no name for none
    heads : views are split evenly among them and taken at the same time
    started : start of the acquisition
    windows : photopeak first; with scatter also lower and upper
    scatter : None for none
    mesh : lines across and along each bin
    slab_mm : thickness of the slabs that are blurred alike; the width of a bin without it
    frame_of_reference_uid : of the patient coordinates

    Raises
    ------
    InputError
        For numbers that are not positive, views that do not divide among the heads, windows that are missing.
    """
    _check({"cps_per_mbq": cps_per_mbq, "view_time_s": view_time_s, "mesh": mesh}, heads, geometry.views)
    if scatter is not None and len(windows) != 3:
        raise InputError("SPECT simulation", "windows", len(windows), "photopeak, lower and upper window")
    starts_s: FloatArray = np.tile(np.arange(geometry.views // heads, dtype=np.float64), heads) * float(view_time_s)
    decayed = _mean_decay(nuclide, starts_s, view_time_s) * geometry.weights
    primary, removed = _expected(phantom, geometry, response, scatter, int(mesh), slab_mm)
    # Bq/mL mm times mm^2 is 1e-3 Bq, and 1e-6 of it MBq.
    scale = (1e-9 * geometry.pixel_mm * geometry.row_mm * cps_per_mbq * view_time_s * decayed)[:, None, None]
    primary = primary * scale
    scattered = removed * scale * (0.0 if scatter is None else scatter.share)
    expected = [primary + scattered]
    if scatter is not None:
        density = scattered / windows[0].width_kev()
        expected += [density * s * w.width_kev() for s, w in
                     zip((scatter.lower_per_kev, scatter.upper_per_kev), windows[1:], strict=True)]  # fmt: skip
    held = windows[: len(expected)]
    stacked = np.stack(expected)
    acquisition = SpectAcquisition(
        counts=rng.poisson(stacked).astype(np.float32), windows=held, geometry=geometry,
        durations_s=np.full(geometry.views, float(view_time_s)), starts_s=starts_s, started=started, nuclide=nuclide,
        frame_of_reference_uid=frame_of_reference_uid, name=phantom.name,
    )  # fmt: skip
    truth = {
        **phantom.truth(), "nuclide": nuclide, "cps_per_mbq": cps_per_mbq, "view_time_s": view_time_s, "views": geometry.views,
        "heads": heads, "started": None if started is None else started.isoformat(), "activity_bq": phantom.activity_bq(),
        "expected_counts": {"primary": float(primary.sum()), "scatter": float(scattered.sum())},
    }  # fmt: skip
    return SpectSimulation(acquisition=acquisition, primary=primary, scatter=scattered, expected=stacked, truth=truth)


def _check(positive: dict[str, float], heads: int, views: int) -> None:
    for name, value in positive.items():
        if not (np.isfinite(value) and value > 0):
            raise InputError("SPECT simulation", name, value, "a positive number")
    if heads < 1 or views % heads:
        raise InputError("SPECT simulation", "heads", heads, f"a divisor of the {views} views")


def _mean_decay(name: str, starts_s: FloatArray, view_time_s: float) -> FloatArray:
    if not name:
        return np.ones_like(starts_s)
    rate = np.log(2.0) / nuclide_of(name).half_life_s
    return np.asarray(np.exp(-rate * starts_s) * -np.expm1(-rate * view_time_s) / (rate * view_time_s))


def _expected(
    phantom: Phantom, geometry: SpectGeometry, response: CollimatorResponse | None, scatter: ScatterModel | None, mesh: int,
    slab_mm: float | None,
) -> tuple[FloatArray, FloatArray]:  # fmt: skip
    """Means over each bin [Bq/mL mm] of what arrives, and of what attenuation removes, blurred as scatter."""
    low, high = phantom.bounds_mm()
    corners = np.array(np.meshgrid(*zip(low[:2], high[:2], strict=True))).reshape(2, -1).T - np.array(geometry.axis_mm)
    reach_mm = float(np.linalg.norm(corners, axis=1).max())
    thick = geometry.pixel_mm if slab_mm is None else slab_mm
    primary, removed = (np.zeros(geometry.data_shape) for _ in range(2))
    for view in range(geometry.views):
        radius = float(geometry.radii_mm[view])
        slabs = int(np.ceil((radius + reach_mm) / thick))
        distance = (np.arange(slabs) + 0.5) * thick
        sigma = np.zeros(slabs) if response is None else response.sigma_mm(distance)
        widest = max(float(sigma.max()), 0.0 if scatter is None else scatter.width_mm)
        pads = [int(np.ceil(_REACH * widest / size)) for size in (geometry.row_mm, geometry.pixel_mm)]
        starts, direction, shape = _lines(geometry, view, mesh, pads)
        seen, emitted = phantom.attenuated_planes(starts, direction, slab_mm=thick, slabs=slabs)
        steps = (geometry.row_mm / mesh, geometry.pixel_mm / mesh)
        primary[view] = _bins(_blurred(seen, sigma, shape, steps), mesh, pads)
        if scatter is not None:
            lost = (emitted - seen).sum(axis=0, keepdims=True)
            removed[view] = _bins(_blurred(lost, np.array([scatter.width_mm]), shape, steps), mesh, pads)
    # The Gaussian rings below zero by rounding alone.
    return np.maximum(primary, 0.0), np.maximum(removed, 0.0)


def _lines(
    geometry: SpectGeometry, view: int, mesh: int, pads: list[int]
) -> tuple[FloatArray, FloatArray, tuple[int, int]]:
    """Starts of the lines on the collimator face, their direction, and the shape (rows, bins) of the mesh."""
    angle = np.deg2rad(geometry.angles_deg[view])
    sine, cosine = np.sin(angle), np.cos(angle)
    rows, bins = ((n + 2 * p) * mesh for n, p in zip((geometry.rows, geometry.columns), pads, strict=True))
    # Lines of a straight mesh along a flat wall would count whole rows of themselves in or out.
    sway_along, sway_height = ((_GOLDEN * np.arange(n)) % 1.0 - 0.5 for n in (rows, bins))
    along = (np.arange(bins) + 0.5 + sway_along[:, None]) / mesh - 0.5 - pads[1] - 0.5 * (geometry.columns - 1)
    along = along * geometry.pixel_mm + geometry.bin_shift_mm[view]
    height = (np.arange(rows)[:, None] + 0.5 + sway_height) / mesh - 0.5 - pads[0]
    starts = np.empty((rows, bins, 3))
    starts[..., 0] = geometry.axis_mm[0] + sine * geometry.radii_mm[view] - cosine * along
    starts[..., 1] = geometry.axis_mm[1] + cosine * geometry.radii_mm[view] + sine * along
    starts[..., 2] = height * geometry.row_mm + geometry.first_row_mm[view]
    return starts.reshape(-1, 3), np.array([-sine, -cosine, 0.0]), (rows, bins)


def _blurred(
    planes: FloatArray, sigma_mm: FloatArray, shape: tuple[int, int], steps_mm: tuple[float, float]
) -> FloatArray:
    """Sum of the planes, each blurred with its Gaussian."""
    from scipy.fft import fftfreq, irfft2, next_fast_len, rfft2, rfftfreq

    size = (next_fast_len(shape[0]), next_fast_len(shape[1], real=True))
    square = fftfreq(size[0], steps_mm[0])[:, None] ** 2 + rfftfreq(size[1], steps_mm[1])[None, :] ** 2
    total = np.zeros(square.shape, dtype=np.complex128)
    for plane, sigma in zip(planes, sigma_mm, strict=True):
        if plane.any():
            total += rfft2(plane.reshape(shape), s=size) * np.exp(-2.0 * np.pi**2 * sigma**2 * square)
    return np.asarray(irfft2(total, s=size)[: shape[0], : shape[1]])


def _bins(fine: FloatArray, mesh: int, pads: list[int]) -> FloatArray:
    """Mean over each bin, without the border."""
    rows, bins = (n // mesh for n in fine.shape)
    means = fine.reshape(rows, mesh, bins, mesh).mean(axis=(1, 3))
    return np.asarray(means[pads[0] : rows - pads[0], pads[1] : bins - pads[1]])
