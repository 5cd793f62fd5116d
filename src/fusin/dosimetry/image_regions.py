"""Activity of a region in each image, with what is random from time to time and what all times share.

With c_v the concentration [MBq/mL], w_v the volume of voxel v that lies in the region [mL], R its recovery and V its volume::

    A = f / R(V) * sum_v w_v c_v
    (u_shared / A)^2 = u(Q)^2 + u(R; b)^2 + u(f)^2 + (phi / (2 R) - d ln R / d ln V)^2 (u(V) / V)^2

Q is the calibration, b the parameters of the recovery curve, f the dead time, phi/2 the concentration at the edge of the blurred
region. One outline used at all times is wrong at all times alike; outlines drawn on each image err independently, and then that
term is random.

References
----------
Gear J et al., Eur J Nucl Med Mol Imaging 2018;45:2456 (PMC6208822).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.dosimetry.dvh import partial_volumes_in_box
from fusin.dosimetry.image_points import ImagePoint, ImageStudy, RegionNotes
from fusin.dosimetry.quantitative_spect import Measured
from fusin.dosimetry.time_activity import TimeActivity, time_activity
from fusin.dosimetry.uncertainty import edge_fraction, volume_u_relative
from fusin.errors import InputError, NotComputable
from fusin.imaging.resample import index_map
from fusin.imaging.volume import FloatArray, Grid, Region
from fusin.provenance import NoticeLog

__all__ = ["RegionShare", "RegionTimes", "region_curve", "region_share", "sphere_recovery", "study_regions"]

# Share of a region that may lie beyond an image without more than a warning, and the recovery below which its loss is named.
# NIfTI states places to seven digits.
_MOST_OUTSIDE, _LEAST_RECOVERY, _ROUNDING = 0.01, 0.95, 1e-5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegionShare:
    """Voxels of an image that a region covers.

    Attributes
    ----------
    index : (n, 3) slice, row, column
    volume_ml : (n,) volume of each voxel that lies in the region
    outside : share of the region beyond the image
    """

    index: NDArray[np.intp]
    volume_ml: FloatArray
    outside: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegionTimes:
    """Activities of one region.

    Attributes
    ----------
    name : of the region
    notes : what was stated of it
    curve : activities with their random uncertainty; without one where none is known, so that a fit takes its scatter
    shared_u : relative standard uncertainty that all times share, for ``IntegrationOptions.common_u``
    budget : relative standard uncertainty of each source; ``random`` differs from time to time, the others do not
    volume_ml : of the outline (the mean of outlines drawn on each image)
    volume_u : its relative standard uncertainty, None where the resolution of the images is not known
    recovery : what activities were divided by, None without a correction
    uncorrected_mbq : activities before the recovery
    outlines : 1 for one outline at all times, else their number
    images : names of the images in the order of the curve
    """

    name: str
    notes: RegionNotes
    curve: TimeActivity
    shared_u: float
    budget: Mapping[str, float]
    volume_ml: float
    volume_u: float | None
    recovery: Measured | None
    uncorrected_mbq: FloatArray
    outlines: int
    images: tuple[str, ...]


def region_share(region: Region, grid: Grid) -> RegionShare:
    """Voxels of a grid that a region covers, each with the volume covered; the region's volume is kept exactly.

    Parameters
    ----------
    region : on its own grid
    grid : of the image, in the same frame of reference

    Raises
    ------
    InputError
        For different frames of reference.
    """
    if not region.voxels:
        return RegionShare(index=np.zeros((0, 3), np.intp), volume_ml=np.zeros(0), outside=0.0)
    try:
        weights, box = partial_volumes_in_box(region, grid)
    except InputError as err:
        if err.field != "axes":
            raise
        return _share_by_points(region, grid)
    inside = np.argwhere(weights > 0)
    volume_ml = weights[tuple(inside.T)]
    outside = 1.0 - float(volume_ml.sum()) / region.volume_ml
    return RegionShare(
        index=inside + [s.start for s in box],
        volume_ml=volume_ml,
        outside=outside if outside > _ROUNDING else 0.0,
    )


def _share_by_points(region: Region, grid: Grid) -> RegionShare:
    """The same for grids that are turned against each other, by points within each voxel of the region."""
    matrix = index_map(grid, region.grid)
    # Four points along the longer side of an image voxel place a region voxel to an eighth of it.
    parts = np.maximum(1, np.ceil(4.0 * np.abs(matrix[:, :3]).max(axis=0) - 1e-6)).astype(int)
    part_ml = region.grid.voxel_volume_ml / float(parts.prod())
    inside = region.indices().astype(np.float64)
    size = np.array(grid.shape)
    reach = 0.5 * np.abs(matrix[:, :3]).sum(axis=1)
    centres = inside @ matrix[:, :3].T + matrix[:, 3]
    low = np.clip(np.floor((centres - reach).min(axis=0) + 0.5).astype(np.intp), 0, size)
    box = np.clip(np.floor((centres + reach).max(axis=0) + 1.5).astype(np.intp), low, size) - low
    hits: NDArray[np.intp] = np.zeros(int(box.prod()), dtype=np.intp)
    for number in np.ndindex(*parts):
        shift = (np.array(number) + 0.5) / parts - 0.5
        voxel = np.floor(centres + matrix[:, :3] @ shift + 0.5 + 1e-9).astype(np.intp) - low
        ok = ((voxel >= 0) & (voxel < box)).all(axis=1)
        if ok.any():
            hits += np.bincount(np.ravel_multi_index(tuple(voxel[ok].T), tuple(box)), minlength=hits.size)
    flat = np.flatnonzero(hits)
    total = inside.shape[0] * int(parts.prod())
    return RegionShare(
        index=np.stack(np.unravel_index(flat, tuple(box)), axis=1) + low,
        volume_ml=np.asarray(hits[flat] * part_ml, dtype=np.float64),
        outside=1.0 - float(hits.sum()) / total,
    )


def region_curve(study: ImageStudy, region: Region | str, *, log: NoticeLog) -> RegionTimes:
    """Activities of a region at all times.

    Parameters
    ----------
    study : images and notes; images may stay on their own grids
    region : one of the study, or the name of outlines drawn on each image
    log : receives REGION_PARTLY_OUTSIDE, RECOVERY_APPLIED, RECOVERY_NOT_APPLIED, RECOVERY_EXTRAPOLATED

    Raises
    ------
    NotComputable
        ``FRAMES_DIFFER``, ``REGION_OUTSIDE_IMAGE``, ``REGION_NOT_ON_IMAGE``, ``REGION_WITHOUT_VOXELS``,
        ``REGION_WITHOUT_ACTIVITY``.
    """
    name = region if isinstance(region, str) else region.name
    notes = study.notes_of(name)
    drawn = [_outline(point, name, region) for point in study.points]
    apart = len({id(outline) for outline in drawn}) > 1
    raw, volumes, counts = [], [], []
    for point, outline in zip(study.points, drawn, strict=True):
        activity, volume = _activity(point, outline, log)
        raw.append(activity)
        volumes.append(volume)
        counts.append(None if point.counts_per_mbq is None else activity * point.counts_per_mbq)
    volume_ml = float(np.mean(volumes))
    volume_u = _volume_u(study, drawn, volume_ml)
    recovery, curve_u, slope = _recovery(study, notes, name, volume_ml, log)
    shared = _shared(study.points, curve_u)
    outline_u = _outline_u(study, volume_ml, volume_u, 1.0 if recovery is None else recovery.value, slope)
    random = study.random_u
    if apart and outline_u is not None:
        random = math.hypot(random or 0.0, outline_u)
    elif outline_u is not None:
        shared["outline"] = outline_u
    raw_mbq = np.array(raw)
    activity_mbq = raw_mbq / (1.0 if recovery is None else recovery.value)
    u_mbq = None if random is None else activity_mbq * _with_counts(random, counts)
    budget = shared if random is None else {**shared, "random": random}
    return RegionTimes(
        name=name, notes=notes, curve=time_activity(name, [p.time_h for p in study.points], activity_mbq, u_mbq),
        shared_u=math.hypot(*shared.values()) if shared else 0.0, budget=budget, volume_ml=volume_ml, volume_u=volume_u,
        recovery=recovery, uncorrected_mbq=raw_mbq, outlines=len(drawn) if apart else 1,
        images=tuple(p.where for p in study.points),
    )  # fmt: skip


def study_regions(study: ImageStudy) -> tuple[Region | str, ...]:
    """Regions of a study: those of its common frame, then the names of outlines that every image has for itself."""
    common = {r.name for r in study.regions}
    own = [r.name for p in study.points[:1] for r in p.regions if r.name not in common]
    return (*study.regions, *own)


def sphere_recovery(volume_ml: float, fwhm_mm: float) -> float:
    """Share of a uniform sphere's activity that a Gaussian blur leaves within it.

    Parameters
    ----------
    volume_ml : of the sphere [mL]
    fwhm_mm : of the blur [mm]; 0 leaves all of it
    """
    if fwhm_mm <= 0:
        return 1.0
    radius = math.cbrt(3000.0 * volume_ml / (4.0 * math.pi))
    sigma = fwhm_mm / (2.0 * math.sqrt(2.0 * math.log(2.0)))
    # Points of a sphere at a distance d lie both in it with the share 1 - 3d/4r + d^3/16r^3; d is Maxwellian.
    distance = np.linspace(0.0, min(2.0 * radius, 12.0 * sigma), 4001)
    both = 1.0 - 0.75 * distance / radius + (distance / radius) ** 3 / 16.0
    density = math.sqrt(2.0 / math.pi) * distance**2 / sigma**3 * np.exp(-0.5 * (distance / sigma) ** 2)
    return float(np.trapezoid(both * density, distance))


def _outline(point: ImagePoint, name: str, region: Region | str) -> Region:
    """The outline of a region on one image: its own, else that of the study."""
    own = next((r for r in point.regions if r.name == name), None)
    if own is not None:
        return own
    if isinstance(region, str):
        known = ", ".join(sorted(r.name for r in point.regions)) or "none"
        raise NotComputable(
            f"the activity of {name}", f"{point.where} has no outline of it (there are: {known})",
            "an outline of every region on every image, or one in their common frame of reference", "REGION_NOT_ON_IMAGE",
        )  # fmt: skip
    if not region.grid.same_frame(point.volume.grid):
        raise NotComputable(
            f"the activity of {name}",
            f"its outline ({region.source or 'drawn'}) and {point.where} lie in different frames of reference "
            f"({region.grid.frame_of_reference_uid} and {point.volume.frame_of_reference_uid})",
            "images registered to the frame of the outlines, or outlines drawn on each image", "FRAMES_DIFFER",
        )  # fmt: skip
    return region


def _activity(point: ImagePoint, outline: Region, log: NoticeLog) -> tuple[float, float]:
    """Activity [MBq] and volume [mL] of an outline on one image."""
    what = f"the activity of {outline.name} in {point.where}"
    if not outline.voxels:
        raise NotComputable(what, "its outline holds no voxel", "an outline with a volume", "REGION_WITHOUT_VOXELS")
    share = region_share(outline, point.volume.grid)
    if share.outside > _MOST_OUTSIDE:
        raise NotComputable(
            what, f"{100 * share.outside:.1f} % of its outline lies outside of the image", "an image that holds all of it",
            "REGION_OUTSIDE_IMAGE",
        )  # fmt: skip
    if share.outside > 0:
        log.warning("REGION_PARTLY_OUTSIDE", f"{100 * share.outside:.2g} % of {outline.name} lies outside of the image; the rest "
                    "was scaled up to its volume", where=point.where, raw=share.outside)  # fmt: skip
    values = np.asarray(point.volume.values[tuple(share.index.T)], dtype=np.float64)
    if not np.isfinite(values).all():
        raise NotComputable(what, f"{int((~np.isfinite(values)).sum())} of its voxels have no value (missing slices)",
                            "an image without gaps in it", "REGION_OUTSIDE_IMAGE")  # fmt: skip
    activity = float(values @ share.volume_ml) / (1.0 - share.outside)
    if not activity > 0:
        raise NotComputable(
            what, f"it is {activity:g} MBq", "an image in which the region holds activity, or an outline that fits it",
            "REGION_WITHOUT_ACTIVITY",
        )  # fmt: skip
    return activity, outline.volume_ml


def _volume_u(study: ImageStudy, drawn: Sequence[Region], volume_ml: float) -> float | None:
    fwhm = study.fwhm_mm if study.outline_fwhm_mm is None else study.outline_fwhm_mm
    if fwhm is None:
        return None
    voxel = max(math.cbrt(1000.0 * r.grid.voxel_volume_ml) for r in drawn)
    return volume_u_relative(volume_ml=volume_ml, voxel_mm=voxel, fwhm_mm=fwhm)


def _recovery(
    study: ImageStudy, notes: RegionNotes, name: str, volume_ml: float, log: NoticeLog
) -> tuple[Measured | None, float, float]:
    """(recovery, relative uncertainty of its coefficient alone, d ln R by d ln V)."""
    if notes.recovery is not None:
        log.info("RECOVERY_APPLIED", f"divided by the stated recovery coefficient {notes.recovery.value:g}", where=name,
                 used=notes.recovery.value)  # fmt: skip
        return notes.recovery, notes.recovery.relative, 0.0
    if study.recovery is not None:
        curve = study.recovery
        found = curve.at(volume_ml)
        log.info("RECOVERY_APPLIED", f"divided by {found.value:.4g}, the recovery curve at {volume_ml:.4g} mL", where=name,
                 used=found.value)  # fmt: skip
        if volume_ml < curve.low_ml or (volume_ml > curve.high_ml and found.value < _LEAST_RECOVERY):
            log.warning("RECOVERY_EXTRAPOLATED", f"{volume_ml:.4g} mL lies outside of the {curve.low_ml:g} to {curve.high_ml:g} mL "
                        "that the recovery curve was measured at", where=name, raw=volume_ml)  # fmt: skip
        return found, found.relative, curve.b2 * (1.0 - found.value)
    if study.fwhm_mm is None:
        log.warning("RECOVERY_NOT_APPLIED", "neither a recovery coefficient of every region nor the resolution of the images "
                    "(--fwhm-mm) was stated, so that the loss of small regions cannot be told", where="recovery")  # fmt: skip
    else:
        left = sphere_recovery(volume_ml, study.fwhm_mm)
        if left < _LEAST_RECOVERY:
            log.warning("RECOVERY_NOT_APPLIED", f"no recovery coefficient was stated; a sphere of {volume_ml:.3g} mL keeps "
                        f"{100 * left:.0f} % of its activity in its outline at {study.fwhm_mm:g} mm resolution", where=name,
                        raw=left)  # fmt: skip
    return None, 0.0, 0.0


def _shared(points: Sequence[ImagePoint], recovery_u: float) -> dict[str, float]:
    """Relative uncertainties that all times share; of several calibrations the largest counts for all."""
    dead = max((p.dead_time.relative for p in points if p.dead_time is not None), default=0.0)
    found = {"calibration": max(p.u_relative for p in points), "recovery": recovery_u, "dead_time": dead}
    return {name: u for name, u in found.items() if u > 0}


def _outline_u(
    study: ImageStudy, volume_ml: float, volume_u: float | None, recovery: float, slope: float
) -> float | None:
    """What the uncertain volume does to the activity: more counts in a larger outline, less recovery correction."""
    if volume_u is None or study.fwhm_mm is None:
        return None
    radius = math.cbrt(3000.0 * volume_ml / (4.0 * math.pi))
    edge = edge_fraction(radius, study.fwhm_mm) if study.fwhm_mm > 0 else 1.0
    return abs(edge / (2.0 * recovery) - slope) * volume_u


def _with_counts(random: float, counts: Sequence[float | None]) -> FloatArray:
    """Random uncertainty of each time, with the Poisson share of its counts where these are known."""
    poisson = np.array([0.0 if n is None else 1.0 / n for n in counts])
    out: Any = np.sqrt(random**2 + poisson)
    return np.asarray(out, dtype=np.float64)
