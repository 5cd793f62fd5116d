"""From images at several times to the time integral of each voxel.

Three ways, of which the first is the default:

``region``     one image gives the distribution within a region, the region's own curve gives the integral::

                   a~(v) = c(v, t*) TIA / sum of c(u, t*) V over the region

               t* is the measured time nearest to the mean time of the region's decays, integral of t A over integral of A, which
               for one exponential is 1.44 T_eff. The sum over the region is its TIA. What lies outside of all regions takes the
               curve of the remainder.
``trapezoid``  trapezoids in each voxel; beyond the last time the voxel's last value times the mean time that the curve of its
               region has left, integral of A beyond t_n over A(t_n). Linear in the images.
``mono``       one exponential in each voxel, by least squares of the logarithms weighted with the values (as counts have them),
               no slower than physical decay.

Regions may share voxels (a lesion in the liver): the smaller one takes them with its curve, and the larger one gets what is left
of its own integral, so that the voxels of each region still add up to the region.

References
----------
Ljungberg M et al., J Nucl Med 2016;57:151 (MIRD pamphlet 26) · Jackson PA et al., Med Phys 2013;40:112503 (curves of voxels).
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from fusin.dosimetry.dvh import partial_volumes_ml
from fusin.dosimetry.time_activity_region import RegionIntegral
from fusin.dosimetry.time_activity_trapezoid import Start
from fusin.errors import InputError, NotComputable
from fusin.imaging.volume import FloatArray, Grid, Region, Volume
from fusin.nuclides import nuclide as nuclide_of
from fusin.provenance import NoticeLog

__all__ = [
    "METHODS",
    "SUMS_APART",
    "RegionCurve",
    "TimedVolume",
    "VoxelIntegral",
    "VoxelMethod",
    "curve_terms",
    "integrate_voxels",
    "mean_time_h",
    "recovery_factors",
    "remaining_h",
]

VoxelMethod = Literal["region", "trapezoid", "mono"]
METHODS: Mapping[str, str] = {
    "region": "one image distributes the integral of the region's curve (Ljungberg M et al., J Nucl Med 2016;57:151)",
    "trapezoid": "trapezoids in each voxel with the tail of its region (Ljungberg M et al., J Nucl Med 2016;57:151)",
    "mono": "one exponential in each voxel (Jackson PA et al., Med Phys 2013;40:112503)",
}
"""Method names with the citations that a report prints."""

_INTEGRALS = {"MBq/ml": "MBq.h/ml", "Gy/h": "Gy"}
_RATE = re.compile(r"lambda_\d+_per_h")
_SLIVER = 1e-3
SUMS_APART = 0.1
"""Relative difference of the voxels of a region and its curve beyond which the method is not trusted (project-defined)."""

_GRID = 4000
_ALL = (slice(None), slice(None), slice(None))


class TimedVolume(Protocol):
    """An image with the time that it belongs to."""

    @property
    def volume(self) -> Volume:
        """Activity concentration [MBq/mL], or dose rate [Gy/h]."""
        ...

    @property
    def time_h(self) -> float:
        """Hours after administration."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegionCurve:
    """A region with its integral."""

    region: Region
    integral: RegionIntegral


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VoxelIntegral:
    """Time integral of each voxel.

    Attributes
    ----------
    tia : ``MBq.h/ml``, or ``Gy`` for dose rates
    method : how it was made
    t_eff_h : effective half-life of each voxel, NaN where a region's curve was taken; None without rates of voxels
    sums : by region, what its voxels add up to in the unit of the integral times mL; empty name for outside of all regions
    times_h : by region, the time of the image that gave the distribution (region method)
    at_physical_decay : number of voxels whose rate was held at physical decay
    borrowed : number of voxels that took the curve of their region
    """

    tia: Volume
    method: str
    t_eff_h: Volume | None
    sums: Mapping[str, float]
    times_h: Mapping[str, float]
    at_physical_decay: int = 0
    borrowed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Share:
    """What one curve holds: within a box, fractions of voxels of its own and fractions that smaller regions took."""

    name: str
    integral: RegionIntegral
    box: tuple[slice, slice, slice]
    own: FloatArray
    taken: FloatArray
    inside: float = 1.0


def integrate_voxels(
    points: Sequence[TimedVolume],
    *,
    nuclide: str,
    method: VoxelMethod = "region",
    regions: Sequence[RegionCurve],
    remainder: RegionIntegral | None,
    start: Start = "zero",
    log: NoticeLog,
) -> VoxelIntegral:
    """Time integral of each voxel from 0 to infinity.

    Parameters
    ----------
    points : images on one grid with their times, in ``MBq/ml`` or ``Gy/h``
    nuclide : for its physical decay, which no rate falls below
    method : see the module
    regions : with their integrals
    remainder : curve of what lies outside of all regions; None where regions cover every activity
    start : before the first time, trapezoids rise from ``zero`` at t = 0, or hold the first value (``flat``)
    log : receives overlaps, voxels at physical decay and sums that differ

    Raises
    ------
    InputError
        For images on different grids or in another unit, equal times, or another method.
    NotComputable
        ``TOO_FEW_POINTS`` for voxel curves of one image, ``NO_ACTIVITY_IN_REGION`` for a region without activity.
    """
    ordered = _checked(points, method)
    times = np.array([p.time_h for p in ordered])
    stack = [np.asarray(p.volume.values, dtype=np.float64) for p in ordered]
    grid = ordered[0].volume.grid
    shares = _shares(regions, remainder, ordered[0].volume, log)
    slowest = math.log(2.0) / (nuclide_of(nuclide).half_life_s / 3600.0)
    t_eff, held, borrowed = None, 0, 0
    used: dict[str, float] = {}
    if method == "region":
        values, used = _by_region(shares, stack, times, grid.voxel_volume_ml, log)
    elif method == "trapezoid":
        values = _by_trapezoids(shares, stack, times, start)
    else:
        values, rates, held, borrowed = _by_exponentials(shares, stack, times, slowest)
        t_eff = Volume(values=math.log(2.0) / rates, grid=grid, unit="h")
        _say_rates(held, borrowed, values.size, log)
    tia = Volume(values=values, grid=grid, unit=_INTEGRALS[ordered[0].volume.unit])
    sums = {s.name: float(np.nansum((s.own + s.taken) * values[s.box])) * grid.voxel_volume_ml for s in shares}
    if tia.unit == "MBq.h/ml" and method != "region":
        _compare(shares, sums, log)
    return VoxelIntegral(tia=tia, method=method, t_eff_h=t_eff, sums=sums, times_h=used, at_physical_decay=held,
                         borrowed=borrowed)  # fmt: skip


def curve_terms(integral: RegionIntegral) -> tuple[FloatArray, FloatArray] | None:
    """Rates [1/h] and amplitudes of the exponentials of a curve; None where it has none, as trapezoids.

    Amplitudes of methods with a half-life alone are 1, as their shape is all that a factor needs.
    """
    rates = [v for k, v in integral.parameters.items() if _RATE.fullmatch(k)]
    if not rates:
        return None
    amplitudes = [integral.parameters.get(f"a_{j}_mbq") for j in range(1, len(rates) + 1)]
    known = [a for a in amplitudes if a is not None]
    return np.array(rates), np.array(known if len(known) == len(rates) else [1.0] * len(rates))


def mean_time_h(integral: RegionIntegral) -> float:
    """Mean time of the decays under a curve, integral of t A over integral of A [h]; 1.44 T_eff for one exponential."""
    terms = curve_terms(integral)
    if terms is not None:
        rates, amplitudes = terms
        return float((amplitudes / rates**2).sum() / (amplitudes / rates).sum())
    rate, drawn = integral.parameters.get("lambda_tail_per_h"), integral.drawn
    if rate is None or drawn is None:
        return float(integral.points.time_h[-1])
    last = float(integral.points.time_h[-1])
    grid = np.linspace(0.0, last, _GRID)
    curve = drawn.band(grid)[0]
    tail = float(curve[-1]) / rate
    inside = float(np.trapezoid(curve, grid))
    return (float(np.trapezoid(grid * curve, grid)) + tail * (last + 1.0 / rate)) / (inside + tail)


def remaining_h(integral: RegionIntegral, time_h: float) -> float:
    """Integral of a curve beyond a time over its value at that time [h]; 1/lambda for one exponential."""
    terms = curve_terms(integral)
    if terms is None:
        rate = integral.parameters.get("lambda_tail_per_h")
        if rate is None:
            raise NotComputable(f"the tail of {integral.region}", f"the method {integral.model} has no curve",
                                "a curve, or a prior of the half-life", "NO_CURVE_FOR_VOXELS")  # fmt: skip
        return 1.0 / rate
    rates, amplitudes = terms
    decayed = amplitudes * np.exp(-(rates - rates.min()) * time_h)
    return float((decayed / rates).sum() / decayed.sum())


def recovery_factors(regions: Sequence[tuple[Region, float]], grid: Grid) -> FloatArray:
    """Factor of each voxel that puts back what blur took out of its region: 1/R in it, 1 outside of all, a mean at edges.

    Parameters
    ----------
    regions : with their recovery coefficients; where they share voxels the smaller one counts
    grid : of the images
    """
    factors, free = np.ones(grid.shape), np.ones(grid.shape)
    for region, recovery in sorted(regions, key=lambda one: one[0].volume_ml):
        own = np.minimum(partial_volumes_ml(region, grid) / grid.voxel_volume_ml, free)
        factors += own * (1.0 / recovery - 1.0)
        free -= own
    return factors


def _checked(points: Sequence[TimedVolume], method: str) -> list[TimedVolume]:
    where = "voxel integration"
    if method not in METHODS:
        raise InputError(where, "method", method, "one of " + ", ".join(METHODS))
    if not points:
        raise InputError(where, "images", 0, "at least one")
    ordered = sorted(points, key=lambda p: p.time_h)
    first = ordered[0].volume
    if first.unit not in _INTEGRALS:
        raise InputError(where, "unit", first.unit, " or ".join(_INTEGRALS))
    for before, after in itertools.pairwise(ordered):
        if not after.time_h > before.time_h:
            raise InputError(where, "time_h", after.time_h, "each time once")
    for point in ordered:
        if not (math.isfinite(point.time_h) and point.time_h >= 0):
            raise InputError(where, "time_h", point.time_h, "hours after administration, zero or more")
        if point.volume.unit != first.unit or not point.volume.grid.matches(first.grid):
            raise InputError(where, f"image at {point.time_h:g} h", f"{point.volume.shape} in {point.volume.unit}",
                             f"the grid {first.shape} of the first image, in {first.unit}; resample first")  # fmt: skip
    if method != "region" and len(ordered) < 2:
        raise NotComputable(f"the {method} in each voxel", "there is 1 image", "at least 2 images, or the method region",
                            "TOO_FEW_POINTS")  # fmt: skip
    return ordered


def _shares(
    regions: Sequence[RegionCurve], remainder: RegionIntegral | None, volume: Volume, log: NoticeLog
) -> list[_Share]:
    """Fractions of voxels by curve, small regions first; what no region takes is left to the remainder."""
    grid = volume.grid
    free = np.ones(grid.shape)
    found: list[_Share] = []
    for one in sorted(regions, key=lambda r: r.region.volume_ml):
        whole = np.minimum(partial_volumes_ml(one.region, grid) / grid.voxel_volume_ml, 1.0)
        box = _box(whole)
        part, left = whole[box], free[box]
        own = np.minimum(part, left)
        # Of what others hold of a voxel, the part that lies in this region too.
        with np.errstate(divide="ignore", invalid="ignore"):
            taken = np.where(left < 1.0, (part - own) / (1.0 - left), 0.0)
        shared = float((part - own).sum()) * grid.voxel_volume_ml
        if shared > _SLIVER * one.region.volume_ml:
            log.info("REGIONS_SHARE_VOXELS", f"{shared:.3g} mL of {one.region.name} belong to smaller regions as well; these took "
                     "them with their own curves", where=one.region.name, raw=one.region.volume_ml, used=shared)  # fmt: skip
        free[box] = left - own
        inside = min(float(part.sum()) * grid.voxel_volume_ml / one.region.volume_ml, 1.0) if one.region.voxels else 0.0
        if inside < 1.0 - _SLIVER:
            log.warning("REGION_OUTSIDE_GRID", f"{100 * (1 - inside):.1f} % of the region lies outside of the images; "
                        "that part of its integral is in no voxel", where=one.region.name, raw=1.0, used=inside)  # fmt: skip
        found.append(_Share(name=one.region.name, integral=one.integral, box=box, own=own, taken=np.clip(taken, 0.0, 1.0),
                            inside=inside if inside < 1.0 - _SLIVER else 1.0))  # fmt: skip
    if remainder is not None:
        found.append(
            _Share(name="", integral=remainder, box=_ALL, own=np.maximum(free, 0.0), taken=np.zeros((1, 1, 1)))
        )
    return found


def _box(values: FloatArray) -> tuple[slice, slice, slice]:
    """Bounds of what is not zero."""
    spans = []
    for axis in range(3):
        hits = np.flatnonzero(values.any(axis=tuple(a for a in range(3) if a != axis)))
        spans.append(slice(int(hits[0]), int(hits[-1]) + 1) if hits.size else slice(0, 0))
    return spans[0], spans[1], spans[2]


def _nearest(times: FloatArray, wanted: float) -> int:
    return int(np.argmin(np.abs(times - wanted)))


def _by_region(
    shares: Sequence[_Share], stack: Sequence[FloatArray], times: FloatArray, volume_ml: float, log: NoticeLog
) -> tuple[FloatArray, dict[str, float]]:
    """The integral of each region, distributed as one image is."""
    values, used = np.zeros(stack[0].shape), {}
    for share in shares:
        at = _nearest(times, mean_time_h(share.integral))
        name = share.name or "the remainder"
        image = stack[at][share.box]
        activity = float((share.own * image).sum()) * volume_ml
        whole = (share.integral.tia_mbq_h.value or 0.0) * share.inside
        rest = whole - float((share.taken * values[share.box]).sum()) * volume_ml
        if not activity > 0:
            if not bool((share.own > 0).any()):
                continue
            if not share.name:
                said = f"the image at {times[at]:g} h, nearest to the mean time of decay, has no activity outside of all regions"
                log.warning("REMAINDER_WITHOUT_ACTIVITY", f"{said}; voxels there get none", where="voxel integration")
                continue
            raise NotComputable(f"the integral of the voxels of {name}", f"the image at {times[at]:g} h has no activity in it",
                                "an image with activity, or another region", "NO_ACTIVITY_IN_REGION")  # fmt: skip
        if not rest > 0:
            log.warning("SHARED_VOXELS_EXCEED_REGION", f"the smaller regions within {name} hold more than its own integral of "
                        f"{whole:.4g} MBq h; its other voxels took their part of it", where=name, raw=whole, used=rest)  # fmt: skip
            both = float(((share.own + share.taken) * image).sum()) * volume_ml
            rest = whole * activity / both if both > 0 else whole
        values[share.box] += share.own * image * (rest / activity)
        used[share.name] = float(times[at])
    return values, used


def _by_trapezoids(
    shares: Sequence[_Share], stack: Sequence[FloatArray], times: FloatArray, start: Start
) -> FloatArray:
    if start not in ("zero", "flat"):
        raise InputError("voxel integration", "start", start, "zero or flat")
    steps = np.diff(times)
    weights = np.zeros(times.size)
    weights[:-1] += steps / 2.0
    weights[1:] += steps / 2.0
    weights[0] += times[0] * (0.5 if start == "zero" else 1.0)
    values = sum((w * image for w, image in zip(weights[1:], stack[1:], strict=True)), weights[0] * stack[0])
    tail = np.zeros(stack[0].shape)
    for share in shares:
        tail[share.box] += share.own * remaining_h(share.integral, float(times[-1]))
    return np.asarray(values + tail * stack[-1])


def _by_exponentials(
    shares: Sequence[_Share], stack: Sequence[FloatArray], times: FloatArray, slowest: float
) -> tuple[FloatArray, FloatArray, int, int]:
    """Integrals and rates by weighted least squares of logarithms, and how many were held or borrowed."""
    total, by_time, by_log = (np.zeros(stack[0].shape) for _ in range(3))
    count = np.zeros(stack[0].shape, dtype=np.int16)
    logs = []
    for t, image in zip(times, stack, strict=True):
        positive = image > 0
        weight = np.where(positive, image, 0.0)
        logs.append(np.log(np.where(positive, image, 1.0)))
        count += positive
        total += weight
        by_time += weight * t
        by_log += weight * logs[-1]
    safe = np.where(total > 0, total, 1.0)
    mean_t, mean_log = by_time / safe, by_log / safe
    slope, width = np.zeros_like(total), np.zeros_like(total)
    for t, image, own in zip(times, stack, logs, strict=True):
        weight = np.where(image > 0, image, 0.0)
        slope += weight * (t - mean_t) * (own - mean_log)
        width += weight * (t - mean_t) ** 2
    enough = (count >= 2) & (width > 0)
    fitted = -slope / np.where(enough, width, 1.0)
    held = enough & (fitted < slowest)
    rates = np.where(held, slowest, fitted)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        values = np.where(enough, np.exp(mean_log + rates * mean_t) / np.where(enough, rates, 1.0), 0.0)
    nothing: NDArray[np.bool_] = ~enough
    values = np.where(nothing, _borrowed(shares, stack, times), values)
    rates = np.where(nothing, np.nan, rates)
    return values, rates, int(held.sum()), int((nothing & (count > 0)).sum())


def _borrowed(shares: Sequence[_Share], stack: Sequence[FloatArray], times: FloatArray) -> FloatArray:
    """Integrals by the curve of the region: the image nearest its mean time, times the hours that it stands for."""
    values = np.zeros(stack[0].shape)
    for share in shares:
        terms = curve_terms(share.integral)
        at = _nearest(times, mean_time_h(share.integral))
        if terms is None:
            before = float(times[at])
            hours = before + remaining_h(share.integral, before)
        else:
            rates, amplitudes = terms
            hours = float((amplitudes / rates).sum() / (amplitudes * np.exp(-rates * times[at])).sum())
        values[share.box] += share.own * stack[at][share.box] * hours
    return values


def _say_rates(held: int, borrowed: int, size: int, log: NoticeLog) -> None:
    if held:
        log.info("VOXELS_AT_PHYSICAL_DECAY", f"{held} of {size} voxels fell slower than physical decay and were held at it",
                 where="voxel integration", raw=size, used=held)  # fmt: skip
    if borrowed:
        log.info("VOXELS_WITHOUT_CURVE", f"{borrowed} of {size} voxels have activity at one time only and took the curve of their "
                 "region", where="voxel integration", raw=size, used=borrowed)  # fmt: skip


def _compare(shares: Sequence[_Share], sums: Mapping[str, float], log: NoticeLog) -> None:
    """Say where the voxels of a region add up to something else than its curve."""
    for share in shares:
        whole = (share.integral.tia_mbq_h.value or 0.0) * share.inside
        if not whole or not share.name:
            continue
        ratio = sums[share.name] / whole
        if abs(ratio - 1.0) > SUMS_APART:
            log.warning("VOXEL_SUM_DIFFERS", f"the voxels of {share.name} add up to {sums[share.name]:.4g} MBq h, "
                        f"{100 * ratio:.0f} % of its curve (uptake before the first image, noise, or a curve that does not fit)",
                        where=share.name, raw=whole, used=sums[share.name])  # fmt: skip
