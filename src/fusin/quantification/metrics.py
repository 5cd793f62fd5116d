"""SUV metrics of a region; each SUVpeak carries the id of its definition."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.imaging.volume import Region, Volume
from fusin.provenance import NoticeLog, jsonable
from fusin.quantification.morphology import shell, values_of

__all__ = ["SHELL_MM", "RegionMetrics", "measure_region"]

SHELL_MM = 8.0
"""Default thickness of the SAM shell: two voxels of 4 mm, in millimetres so that it does not follow the voxel size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionMetrics:
    """All metrics of one region; a value that cannot be had is None, never 0.

    SUV in g/mL, volumes in mL, positions in LPS millimetres.
    """

    name: str
    voxels: int
    volume_ml: float
    suv_max: float | None = None
    suv_mean: float | None = None
    suv_min: float | None = None
    suv_median: float | None = None
    suv_sd: float | None = None
    suv_peak: float | None = None
    suv_peak_definition: str = "exact-1ml-global"
    suv_peak_exact: float | None = None
    suv_peak_ibsi_local: float | None = None
    suv_peak_ibsi_global: float | None = None
    suv_peak_percist: float | None = None
    total_lesion_uptake: float | None = None
    sam: float | None = None
    sam_background: float | None = None
    centroid_mm: tuple[float, float, float] | None = None
    max_mm: tuple[float, float, float] | None = None
    peak_mm: tuple[float, float, float] | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the metrics as a JSON-ready mapping with the documented keys."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__}


@dataclass(slots=True)
class _Doubts:
    """Sentences that go both into the log and into the notes of the metrics."""

    log: NoticeLog
    where: str
    notes: list[str]

    def info(self, code: str, message: str, **values: Any) -> None:
        self.log.info(code, message, where=self.where, **values)
        self.notes.append(message)

    def warning(self, code: str, message: str, **values: Any) -> None:
        self.log.warning(code, message, where=self.where, **values)
        self.notes.append(message)


def measure_region(
    volume: Volume,
    region: Region,
    *,
    log: NoticeLog,
    fwhm_mm: float | None = None,
    shell_mm: float = SHELL_MM,
) -> RegionMetrics:
    """Measure a region: SUVmax, mean, min, median, SD, all forms of SUVpeak, TLU and SAM.

    Parameters
    ----------
    volume : SUV volume; sums are accumulated in float64
    region : voxels on the volume's grid
    log : receives what was doubtful; the same sentences stand in ``notes``
    fwhm_mm : resolution of the image; when given, regions below twice this width are named as underestimated
    shell_mm : thickness of the background shell of SAM, millimetres

    Returns
    -------
    RegionMetrics
        ``suv_sd`` is the population SD. ``total_lesion_uptake`` is SUVmean x volume in grams and ``volume_ml`` the
        CXCR4 tumour volume (all voxels of the region, also those without a value).
        ``sam`` is (mean inside - mean in the shell) x volume. Voxels without a value (NaN, infinite) are left out of
        all statistics; negative voxels are kept.

    Raises
    ------
    InputError
        When the region lies on another grid, or ``shell_mm`` or ``fwhm_mm`` is not positive.

    References
    ----------
    SAM: as in PET-IndiC. TLU and tumour volume: 10.1007/s11307-022-01717-1. Peaks: `fusin.quantification.peaks`.
    """
    for field, length in (("shell_mm", shell_mm), ("fwhm_mm", fwhm_mm)):
        if length is not None and not length > 0:
            raise InputError(region.name, field, length, "a positive length")
    own = values_of(region, volume)
    values = own[np.isfinite(own)].astype(np.float64)
    doubts = _Doubts(log, region.name, [])
    _doubt_values(doubts, volume, own, values)
    size: dict[str, Any] = {"name": region.name, "voxels": int(own.size), "volume_ml": region.volume_ml}
    if values.size == 0:
        return RegionMetrics(**size, notes=tuple(doubts.notes))
    mean = float(values.mean())
    background = _shell_mean(volume, region, shell_mm, doubts)
    if fwhm_mm is not None:
        _doubt_size(doubts, region.volume_ml, fwhm_mm)
    return RegionMetrics(
        **size,
        **_statistics(values),
        total_lesion_uptake=mean * region.volume_ml,
        sam=None if background is None else (mean - background) * region.volume_ml,
        sam_background=background,
        centroid_mm=_point(region.centroid_mm()),
        max_mm=_max_position(region, own),
        **_peak_fields(volume, region, doubts),
        notes=tuple(doubts.notes),
    )


def _statistics(values: NDArray[np.float64]) -> dict[str, Any]:
    """Fields of `RegionMetrics` that follow from the finite values alone."""
    return {
        "suv_max": float(values.max()),
        "suv_mean": float(values.mean()),
        "suv_min": float(values.min()),
        "suv_median": float(np.median(values)),
        "suv_sd": float(values.std()),
    }


def _doubt_values(doubts: _Doubts, volume: Volume, own: NDArray[Any], values: NDArray[np.float64]) -> None:
    """Say what is unusual about the voxels of the region."""
    if not volume.unit.startswith(("g/ml", "cm2/ml")):
        doubts.warning("UNIT_NOT_SUV", f"values are in {volume.unit!r}, not an SUV", raw=volume.unit)
    if own.size == 0:
        doubts.warning("REGION_EMPTY", "the region holds no voxel of the PET grid; nothing can be measured", raw=0)
        return
    missing = own.size - values.size
    if missing:
        doubts.warning(
            "VOXELS_WITHOUT_VALUE", f"{missing} of {own.size} voxels hold no value and are left out", raw=missing
        )
    if values.size and values.min() < 0:
        count = int(np.count_nonzero(values < 0))
        doubts.info(
            "NEGATIVE_VOXELS", f"{count} voxels are negative (lowest {values.min():.3g}) and are kept", raw=count
        )
    if own.size == 1:
        doubts.warning("ONE_VOXEL_REGION", "the region is one voxel: mean, SD and SAM say little", raw=1)


def _doubt_size(doubts: _Doubts, volume_ml: float, fwhm_mm: float) -> None:
    """Name regions that the scanner cannot resolve (partial-volume effect)."""
    diameter = 2.0 * (volume_ml * 1000.0 * 0.75 / math.pi) ** (1.0 / 3.0)
    if diameter < 2.0 * fwhm_mm:
        doubts.info(
            "PARTIAL_VOLUME",
            f"equivalent diameter {diameter:.1f} mm is below twice the resolution of {fwhm_mm:g} mm: uptake is"
            " underestimated",
            raw=diameter,
        )


def _peak_fields(volume: Volume, region: Region, doubts: _Doubts) -> dict[str, Any]:
    """Fields of `RegionMetrics` that hold SUVpeaks, with what is doubtful about them."""
    from fusin.quantification.peaks import find_peaks

    peaks = find_peaks(volume, region)
    exact = peaks.exact
    if exact is not None and exact.coverage < 1.0 - 1e-6:
        doubts.warning(
            "PEAK_SPHERE_CUT",
            f"{100 * (1 - exact.coverage):.0f} % of the 1 mL sphere of SUVpeak lies outside the image or on voxels"
            " without a value; it averages what exists",
            raw=exact.coverage,
        )
    if peaks.percist is None:
        doubts.info(
            "NO_PERCIST_PEAK", "no whole 1 mL sphere lies at least half inside the region", raw=region.volume_ml
        )
    return {
        "suv_peak": exact.value if exact else None,
        "suv_peak_exact": exact.value if exact else None,
        "suv_peak_ibsi_local": peaks.ibsi_local.value if peaks.ibsi_local else None,
        "suv_peak_ibsi_global": peaks.ibsi_global.value if peaks.ibsi_global else None,
        "suv_peak_percist": peaks.percist.value if peaks.percist else None,
        "peak_mm": exact.centre_mm if exact else None,
    }


def _shell_mean(volume: Volume, region: Region, shell_mm: float, doubts: _Doubts) -> float | None:
    """Mean of the shell around a region, None when no voxel with a value lies in it."""
    around = values_of(shell(region, shell_mm), volume)
    around = around[np.isfinite(around)]
    if around.size == 0:
        doubts.info("NO_SHELL", f"no voxel with a value lies within {shell_mm:g} mm around the region; SAM is missing")
        return None
    return float(around.mean(dtype=np.float64))


def _point(position: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in position)
    return x, y, z


def _max_position(region: Region, own: NDArray[Any]) -> tuple[float, float, float]:
    """LPS millimetres of the hottest voxel; the first in C order when several are equal."""
    at = int(np.nanargmax(np.where(np.isfinite(own), own, -np.inf)))
    return _point(region.grid.to_mm(region.indices()[at][::-1]))
