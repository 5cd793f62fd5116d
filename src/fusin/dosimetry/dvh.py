"""Dose-volume histograms in which every voxel counts with the part of it that lies in the region.

A region drawn on a finer or shifted grid, CT as a rule, cuts through dose voxels. The part inside is the overlap of boxes, which is
a product along the three axes; no sampling is done. A histogram holds the doses themselves: bins exist only where asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.errors import InputError, NotComputable
from fusin.imaging.resample import index_map
from fusin.imaging.volume import FloatArray, Grid, Region, Volume
from fusin.provenance import NoticeLog

__all__ = ["Dvh", "dvh", "partial_volumes_in_box", "partial_volumes_ml"]

# A sum of volumes that reaches its target but for rounding has reached it.
_ROUNDING = 1e-12
_PARALLEL = 1e-4
# NIfTI states places to seven digits; a smaller part of a region lies outside by rounding alone.
_LEAST_MISSING = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dvh:
    """Doses of a region with their volumes.

    Attributes
    ----------
    name : of the region
    dose : (n,) rising, each once, in ``unit``
    volume_ml : (n,) volume that gets each dose
    unit : Gy, Gy/h, ``Gy{BED}`` or ``Gy{EQD2}``
    without_dose_ml : part of the region in which no dose is known; it is in no figure
    """

    name: str
    dose: FloatArray
    volume_ml: FloatArray
    unit: str
    without_dose_ml: float = 0.0

    @property
    def total_ml(self) -> float:
        """Volume with a dose."""
        return float(self.volume_ml.sum())

    @property
    def mean(self) -> float:
        """Mean dose over the volume."""
        return float(self.dose @ self.volume_ml) / self.total_ml

    @property
    def least(self) -> float:
        """Lowest dose."""
        return float(self.dose[0])

    @property
    def most(self) -> float:
        """Highest dose."""
        return float(self.dose[-1])

    def dose_at_percent(self, percent: float) -> float:
        """D95 and the like: the highest dose that this share of the volume gets at least.

        Parameters
        ----------
        percent : of the volume, above 0 to 100; 0 gives the highest dose, 100 the lowest
        """
        if not 0.0 <= percent <= 100.0:
            raise InputError(self.name, "percent of the volume", percent, "a number from 0 to 100")
        return self._hottest(percent / 100.0 * self.total_ml)

    def dose_at_ml(self, volume_ml: float) -> float:
        """D2cc and the like: the highest dose that this volume gets at least.

        Raises
        ------
        InputError
            For a volume below 0 or larger than the region.
        """
        if not 0.0 <= volume_ml <= self.total_ml * (1.0 + _ROUNDING):
            raise InputError(self.name, "volume", volume_ml, f"0 to {self.total_ml:.4g} mL, the volume of the region")
        return self._hottest(volume_ml)

    def volume_at(self, dose: float) -> float:
        """V20 and the like: volume that gets at least this dose [mL]."""
        if not math.isfinite(dose):
            raise InputError(self.name, "dose", dose, "a finite dose")
        return float(self.volume_ml[np.searchsorted(self.dose, dose, side="left") :].sum())

    def percent_at(self, dose: float) -> float:
        """V20 and the like: share of the volume that gets at least this dose [%]."""
        return 100.0 * self.volume_at(dose) / self.total_ml

    def cumulative(self, doses: ArrayLike) -> FloatArray:
        """Volume that gets at least each of the doses [mL]."""
        edges = _edges(doses, self.name)
        above = np.concatenate([np.cumsum(self.volume_ml[::-1])[::-1], [0.0]])
        return np.asarray(above[np.searchsorted(self.dose, edges, side="left")])

    def differential(self, edges: ArrayLike) -> FloatArray:
        """Volume between neighbouring edges [mL]; the lower edge counts to its bin, and the last upper one too."""
        bounds = _edges(edges, self.name)
        if bounds.size < 2 or not bool((np.diff(bounds) > 0).all()):
            raise InputError(self.name, "edges of the bins", bounds.tolist()[:4], "at least two rising doses")
        return np.asarray(np.histogram(self.dose, bins=bounds, weights=self.volume_ml)[0])

    def _hottest(self, volume_ml: float) -> float:
        above = np.cumsum(self.volume_ml[::-1])
        reached = int(np.searchsorted(above, volume_ml * (1.0 - _ROUNDING), side="left"))
        return float(self.dose[::-1][min(reached, self.dose.size - 1)])


def dvh(dose: Volume, region: Region, *, log: NoticeLog) -> Dvh:
    """Dose-volume histogram of a region.

    Parameters
    ----------
    dose : on its grid; NaN where no dose is known
    region : on any grid with axes parallel to those of the dose, in the same frame of reference
    log : receives what part of the region has no dose

    Raises
    ------
    InputError
        For another frame of reference or axes that are not parallel.
    NotComputable
        For a region that is empty or without any dose.
    """
    if region.voxels == 0:
        raise NotComputable(f"DVH of {region.name}", "the region is empty", "a region with voxels", "EMPTY_DVH_REGION")
    weights, box = partial_volumes_in_box(region, dose.grid)
    values = np.asarray(dose.values[box], dtype=np.float64)
    known = (weights > 0) & np.isfinite(values)
    with_dose = float(weights[known].sum())
    if not with_dose > 0:
        raise NotComputable(
            f"DVH of {region.name}",
            "no voxel of the region has a dose",
            "a dose map that covers it",
            "EMPTY_DVH_REGION",
        )
    missing = region.volume_ml - with_dose
    if missing > _LEAST_MISSING * region.volume_ml:
        log.warning("DVH_PART_WITHOUT_DOSE",
                    f"{100 * missing / region.volume_ml:.3g} % of {region.name} ({missing:.4g} mL) has no dose and is in no figure",
                    where=region.name, raw=region.volume_ml, used=with_dose)  # fmt: skip
    else:
        missing = 0.0
    levels, place = np.unique(values[known], return_inverse=True)
    volumes = np.zeros(levels.size)
    np.add.at(volumes, place.ravel(), weights[known])
    return Dvh(name=region.name, dose=levels, volume_ml=volumes, unit=dose.unit,
               without_dose_ml=missing)  # fmt: skip


def partial_volumes_ml(region: Region, grid: Grid) -> FloatArray:
    """Volume of each voxel of a grid that lies in a region [mL].

    Parameters
    ----------
    region : on any grid with axes parallel to those of ``grid``, in the same frame of reference
    grid : voxels to share it out to

    Raises
    ------
    InputError
        For another frame of reference or axes that are not parallel.
    """
    out = np.zeros(grid.shape)
    if region.voxels:
        weights, box = partial_volumes_in_box(region, grid)
        out[box] = weights
    return out


def partial_volumes_in_box(region: Region, grid: Grid) -> tuple[FloatArray, tuple[slice, slice, slice]]:
    """As :func:`partial_volumes_ml`, only for the part of the grid that the region can touch.

    Parameters
    ----------
    region, grid : as there

    Raises
    ------
    InputError
        As there; the field is ``axes`` for axes that are not parallel.
    """
    region.grid.require_frame(grid, region.name)
    matrix = index_map(region.grid, grid)
    slope = np.diag(matrix[:, :3])
    skew = np.abs(matrix[:, :3] - np.diag(slope)) * np.array(grid.shape)
    if bool((slope == 0).any()) or float(skew.max()) > _PARALLEL * max(1.0, float(np.abs(slope).max())):
        raise InputError(
            region.name,
            "axes",
            "turned against those of the dose",
            "parallel axes; resample the region to the dose grid",
        )
    overlaps, box = [], []
    for axis in range(3):
        overlap = _overlap(
            float(slope[axis]), float(matrix[axis, 3]), grid.shape[axis], region.start[axis], region.crop.shape[axis]
        )
        touched = np.flatnonzero(overlap.any(axis=1))
        span = slice(int(touched[0]), int(touched[-1]) + 1) if touched.size else slice(0, 0)
        overlaps.append(overlap[span])
        box.append(span)
    first, second, third = overlaps
    share = np.einsum("ai,ijk->ajk", first, region.crop.astype(np.float64), optimize=True)
    share = np.einsum("bj,ajk->abk", second, share, optimize=True)
    share = np.einsum("ck,abk->abc", third, share, optimize=True)
    return np.asarray(share * region.grid.voxel_volume_ml), (box[0], box[1], box[2])


def _overlap(slope: float, offset: float, count: int, start: int, length: int) -> FloatArray:
    """(count, length) overlap of each dose voxel with each region voxel along one axis, in region voxels."""
    middle = slope * np.arange(count) + offset
    half = 0.5 * abs(slope)
    faces = np.arange(start, start + length) - 0.5
    low = np.maximum((middle - half)[:, None], faces[None])
    high = np.minimum((middle + half)[:, None], faces[None] + 1.0)
    overlap = high - low
    # Faces that should touch may miss each other by rounding.
    return np.asarray(np.where(overlap > _ROUNDING * max(1.0, float(np.abs(middle).max())), overlap, 0.0))


def _edges(doses: ArrayLike, where: str) -> NDArray[np.float64]:
    try:
        edges = np.atleast_1d(np.asarray(doses, dtype=np.float64))
    except (TypeError, ValueError) as err:
        raise InputError(where, "doses", str(doses)[:40], "numbers") from err
    if edges.ndim != 1 or not bool(np.isfinite(edges).all()):
        raise InputError(where, "doses", str(doses)[:40], "finite numbers")
    return edges
