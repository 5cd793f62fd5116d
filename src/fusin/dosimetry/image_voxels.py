"""Dose of each voxel of a study: one grid, the curve of what lies outside of all regions, the integral, and the dose."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fusin.dosimetry.dvh import Dvh, dvh, partial_volumes_ml
from fusin.dosimetry.image_points import ImagePoint, ImageStudy, on_one_grid
from fusin.dosimetry.image_regions import RegionTimes
from fusin.dosimetry.priors import Prior, prior_for
from fusin.dosimetry.time_activity import TimeActivity, time_activity
from fusin.dosimetry.time_activity_region import IntegrationOptions, RegionIntegral, integrate_region
from fusin.dosimetry.time_activity_trapezoid import trapezoid
from fusin.dosimetry.voxel_biology import BED_UNIT, bed_volume
from fusin.dosimetry.voxel_time import (
    RegionCurve,
    VoxelIntegral,
    VoxelMethod,
    curve_terms,
    integrate_voxels,
    mean_time_h,
    recovery_factors,
)
from fusin.dosimetry.voxels import Electrons, EnergyShares, Photons, VoxelDose, density_from_ct, voxel_dose
from fusin.errors import InputError, NotComputable, StrictRefusal
from fusin.imaging.resample import index_map, resample_region
from fusin.imaging.volume import Grid, Region, Volume
from fusin.nuclides import nuclide as nuclide_of
from fusin.provenance import NoticeLog
from fusin.stats.results import Estimate

__all__ = [
    "REMAINDER",
    "Via",
    "VoxelOptions",
    "VoxelResult",
    "VoxelSource",
    "bed_map",
    "voxel_histogram",
    "voxel_result",
]

Via = Literal["activity", "dose-rate"]
REMAINDER = "outside of all regions"
# Grids turned by less than this, in voxels over the whole region, count as parallel.
_TURNED = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class VoxelOptions:
    """How doses of voxels are made.

    Attributes
    ----------
    method : see :mod:`fusin.dosimetry.voxel_time`
    via : integrate the activity and convolve once, or convolve each image and integrate the dose rates
    electrons, photons : see :func:`fusin.dosimetry.voxels.voxel_dose`
    density_g_ml : of tissue, of the kernels and of voxels without a CT curve
    ct_curve : (Hounsfield units, g/mL) of the CT scanner; empty for one density everywhere
    """

    method: VoxelMethod = "region"
    via: Via = "activity"
    electrons: Electrons = "convolution"
    photons: Photons = "far"
    density_g_ml: float = 1.04
    ct_curve: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VoxelSource:
    """A region that was integrated: its times and its integral."""

    times: RegionTimes
    integral: RegionIntegral


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VoxelResult:
    """Dose of each voxel of a study.

    Attributes
    ----------
    integral : of the activity over time
    tia : ``MBq.h/ml`` on the same grid
    dose : Gy with the shares of energy
    density : g/mL from CT, or None
    remainder : curve of what lies outside of all regions, None when there is no activity
    outlines : region of each name on the grid of the dose, or parallel to it
    """

    integral: VoxelIntegral
    tia: Volume
    dose: VoxelDose
    density: Volume | None
    remainder: RegionIntegral | None
    outlines: Mapping[str, Region]


def voxel_result(
    study: ImageStudy, sources: Sequence[VoxelSource], *, options: VoxelOptions, integration: IntegrationOptions,
    priors: Sequence[Prior] = (), log: NoticeLog,
) -> VoxelResult:  # fmt: skip
    """Dose of each voxel.

    Parameters
    ----------
    study : images, regions and CT
    sources : regions that were integrated; others count to the remainder
    options : of the voxels
    integration : of the curve of the remainder
    priors : of effective half-lives; one named ``outside of all regions`` or for all regions is for the remainder
    log : receives notices

    Raises
    ------
    NotComputable
        For images that cannot be put on one grid, and for what `integrate_voxels` refuses.
    InputError
        For options that contradict each other or the study.
    """
    if options.via not in ("activity", "dose-rate"):
        raise InputError("voxel dose", "via", options.via, "activity or dose-rate")
    if options.via == "dose-rate" and options.method == "region":
        raise InputError("--via", "choice", "dose-rate with the voxel method region",
                         "--voxel-method trapezoid or mono, because a region's curve distributes activity")  # fmt: skip
    points, unknown = _with_values(on_one_grid(study.points, log=log), log)
    grid = points[0].volume.grid
    outlines = {s.times.name: _outline(study, s, grid, log) for s in sources}
    curves = [RegionCurve(region=outlines[s.times.name], integral=s.integral) for s in sources]
    remainder = _remainder(points, list(outlines.values()), study.nuclide, integration, priors, log)
    density = _density(study, grid, options, log)

    def dose_of(activity: Volume) -> VoxelDose:
        done = voxel_dose(activity, nuclide=study.nuclide, log=log, electrons=options.electrons, photons=options.photons,
                          density_g_ml=options.density_g_ml, density=density)  # fmt: skip
        return replace(done, dose=_without(done.dose, unknown))

    def over_time(images: Sequence[ImagePoint]) -> VoxelIntegral:
        return integrate_voxels(images, nuclide=study.nuclide, method=options.method, regions=curves, remainder=remainder,
                                start=integration.start, log=log)  # fmt: skip

    if options.method != "region":
        points = _recovered(points, sources, outlines, log)
    found = over_time(points)
    if options.via == "activity":
        return VoxelResult(integral=found, tia=_without(found.tia, unknown), dose=dose_of(found.tia), density=density,
                           remainder=remainder, outlines=outlines)  # fmt: skip
    rates = [dose_of(p.volume) for p in points]
    total = over_time([replace(p, volume=r.dose) for p, r in zip(points, rates, strict=True)])
    dose = replace(rates[0], dose=total.tia, energy=_mean_shares(points, rates))
    return VoxelResult(integral=found, tia=_without(found.tia, unknown), dose=dose, density=density, remainder=remainder,
                       outlines=outlines)  # fmt: skip


def voxel_histogram(result: VoxelResult, name: str, *, log: NoticeLog) -> Dvh:
    """Dose-volume histogram of a region.

    Raises
    ------
    NotComputable
        For a region without a voxel that has a dose.
    """
    return dvh(result.dose.dose, result.outlines[name], log=log)


def bed_map(
    result: VoxelResult, parameters: Mapping[str, tuple[RegionIntegral, float, float]], *, log: NoticeLog
) -> Volume | None:
    """BED of the voxels of regions with parameters, each with its region's curve; NaN elsewhere, None without such a region.

    Parameters
    ----------
    result : of `voxel_result`
    parameters : integral, alpha/beta [Gy] and repair half-time [h] by region; where regions share voxels the smaller one counts
    log : receives BED_WITHOUT_CURVE
    """
    dose = result.dose.dose
    values = np.full(dose.shape, np.nan)
    done = False
    for name in sorted(parameters, key=lambda n: -result.outlines[n].volume_ml):
        integral, alpha_beta_gy, repair_half_time_h = parameters[name]
        terms = curve_terms(integral)
        inside = partial_volumes_ml(result.outlines[name], dose.grid) > 0
        gray = np.where(inside, dose.values, np.nan)
        if terms is None or bool((gray < 0).any()):
            because = "its method has no curve" if terms is None else "some of its voxels have a negative dose"
            log.warning("BED_WITHOUT_CURVE", f"no BED of the voxels of {name}, because {because}", where=name)
            continue
        found = bed_volume(Volume(values=gray, grid=dose.grid, unit="Gy"), rates_per_h=terms[0], weights=terms[1],
                           alpha_beta_gy=alpha_beta_gy, repair_half_time_h=repair_half_time_h)  # fmt: skip
        values = np.where(inside, found.values, values)
        done = True
    return Volume(values=values, grid=dose.grid, unit=BED_UNIT) if done else None


def _outline(study: ImageStudy, source: VoxelSource, grid: Grid, log: NoticeLog) -> Region:
    """The outline of a region on the common grid: that of the study, else the one on the image that distributes it."""
    name = source.times.name
    wanted = mean_time_h(source.integral)
    nearest = sorted(study.points, key=lambda p: abs(p.time_h - wanted))
    drawn = [r for p in nearest for r in p.regions if r.name == name]
    region = next((r for r in (*drawn, *study.regions) if r.name == name), None)
    if region is None:
        raise NotComputable(f"the voxels of {name}", "it has no outline", "an outline in the frame of the images",
                            "REGION_NOT_ON_IMAGE")  # fmt: skip
    region.grid.require_frame(grid, name)
    matrix = index_map(region.grid, grid)[:, :3]
    turned = np.abs(matrix - np.diag(np.diag(matrix))) * np.array(grid.shape)
    parallel = bool((np.diag(matrix) != 0).all()) and float(turned.max()) < _TURNED
    return region if parallel else resample_region(region, grid, log)


def _with_values(
    points: Sequence[ImagePoint], log: NoticeLog
) -> tuple[tuple[ImagePoint, ...], NDArray[np.bool_] | None]:
    """Images in which voxels without a value hold nothing, and those voxels, which get no dose; None where all have one."""
    known = [np.isfinite(p.volume.values) for p in points]
    everywhere = np.logical_and.reduce(known)
    missing = int(everywhere.size - np.count_nonzero(everywhere))
    if not missing:
        return tuple(points), None
    log.warning("VOXELS_WITHOUT_ACTIVITY_VALUE", f"{missing} of {everywhere.size} voxels have no value in at least one image; they "
                "get no dose and give none to others", where="voxel dose", raw=missing)  # fmt: skip
    out = tuple(
        replace(
            p, volume=Volume(values=np.where(everywhere, p.volume.values, 0.0), grid=p.volume.grid, unit=p.volume.unit)
        )
        for p in points
    )
    return out, ~everywhere


def _without(volume: Volume, unknown: NDArray[np.bool_] | None) -> Volume:
    """A map with no value where nothing is known."""
    if unknown is None:
        return volume
    return Volume(values=np.where(unknown, np.nan, volume.values), grid=volume.grid, unit=volume.unit)


def _recovered(
    points: Sequence[ImagePoint], sources: Sequence[VoxelSource], outlines: Mapping[str, Region], log: NoticeLog
) -> tuple[ImagePoint, ...]:
    """Images with the recovery of each region in its voxels, as its curve has it."""
    known = [(outlines[s.times.name], s.times.recovery.value) for s in sources if s.times.recovery is not None]
    if not known:
        return tuple(points)
    factors = recovery_factors(known, points[0].volume.grid)
    log.info("RECOVERY_IN_VOXELS", f"the voxels of {len(known)} regions were divided by the recovery of their region",
             where="voxel dose", used=len(known))  # fmt: skip
    return tuple(
        replace(p, volume=Volume(values=p.volume.values * factors, grid=p.volume.grid, unit=p.volume.unit))
        for p in points
    )


def _remainder(
    points: Sequence[ImagePoint], regions: Sequence[Region], nuclide: str, options: IntegrationOptions,
    priors: Sequence[Prior], log: NoticeLog,
) -> RegionIntegral | None:  # fmt: skip
    """Curve of what lies outside of all regions; a plainer method where the wanted one has no answer."""
    grid = points[0].volume.grid
    covered = np.zeros(grid.shape)
    for region in regions:
        covered += partial_volumes_ml(region, grid)
    free = np.maximum(grid.voxel_volume_ml - covered, 0.0)
    activities = [float((free * np.asarray(p.volume.values, dtype=np.float64)).sum()) for p in points]
    known = [(p.time_h, a) for p, a in zip(points, activities, strict=True) if a > 0]
    if len(known) < len(points):
        if any(a < 0 for a in activities) or known:
            log.warning("REMAINDER_WITHOUT_ACTIVITY", f"{len(points) - len(known)} of {len(points)} images have no activity "
                        "outside of all regions", where=REMAINDER)  # fmt: skip
        if not known:
            return None
    curve = time_activity(REMAINDER, [t for t, _ in known], [a for _, a in known])
    half_life_h = nuclide_of(nuclide).half_life_s / 3600.0
    prior = prior_for(priors, REMAINDER, nuclide)
    wanted = replace(options, weights=None if options.weights == "given" else options.weights)
    try:
        return integrate_region(curve, log, half_life_h=half_life_h, options=wanted, prior=prior)
    except StrictRefusal:
        raise
    except (NotComputable, InputError) as err:
        return _plain(curve, half_life_h, wanted, str(err), log)


def _plain(
    curve: TimeActivity, half_life_h: float, options: IntegrationOptions, because: str, log: NoticeLog
) -> RegionIntegral:
    """Trapezoids with physical decay beyond the last time, or physical decay alone from one image."""
    words = "trapezoids and physical decay" if curve.n > 1 else "physical decay, which gives the largest integral"
    log.warning("REMAINDER_BY_PHYSICAL_DECAY", f"the wanted method has no answer there ({because}), and it was "
                f"integrated by {words}",
                where=REMAINDER)  # fmt: skip
    if curve.n > 1:
        # Not by integrate_region, which refuses a rise at the end: physical decay bounds that too, short of more uptake.
        found = trapezoid(curve, half_life_h=half_life_h, tail="physical", start=options.start)
        return RegionIntegral(
            region=curve.region, points=curve, model="trapezoid", tia_mbq_h=found.tia_mbq_h(options.level),
            tia_u_mbq_h=found.tia_u_mbq_h, extrapolated_fraction=found.tail_fraction, before_fraction=found.head_fraction,
            drawn=found, parameters={"lambda_tail_per_h": found.tail_rate_per_h},
        )  # fmt: skip
    rate = math.log(2.0) / half_life_h
    start = float(curve.activity_mbq[0]) * math.exp(rate * float(curve.time_h[0]))
    tia = Estimate(value=start / rate, low=None, high=None, method="physical decay from one image", n=1,
                   note="no interval: nothing is known of the half-life")  # fmt: skip
    return RegionIntegral(
        region=curve.region, points=curve, model="physical decay", tia_mbq_h=tia, tia_u_mbq_h=None, extrapolated_fraction=1.0,
        before_fraction=0.0, drawn=None, parameters={"lambda_1_per_h": rate, "a_1_mbq": start},
    )  # fmt: skip


def _density(study: ImageStudy, grid: Grid, options: VoxelOptions, log: NoticeLog) -> Volume | None:
    if not options.ct_curve:
        if study.ct is not None:
            log.info("CT_WITHOUT_CURVE", f"one density of {options.density_g_ml:g} g/mL for all voxels: no curve of the CT "
                     "scanner was given", where="voxel dose", used=options.density_g_ml)  # fmt: skip
        return None
    if study.ct is None:
        raise InputError("--ct-curve", "CT", "none in the study", "a CT in the frame of the images, or no curve")
    return density_from_ct(study.ct, grid, curve=options.ct_curve, log=log)


def _mean_shares(points: Sequence[ImagePoint], rates: Sequence[VoxelDose]) -> EnergyShares:
    """Shares of energy of all images, weighted with their activity."""
    weights = np.array([float(np.asarray(p.volume.values, dtype=np.float64).sum()) for p in points])
    weights /= weights.sum()
    shares = {
        n: float(sum(w * getattr(r.energy, n) for w, r in zip(weights, rates, strict=True)))
        for n in EnergyShares.__slots__
    }
    return EnergyShares(**shares)
