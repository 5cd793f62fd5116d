"""From quantitative images to doses: curves of regions, their self-dose, and the dose of each voxel, with intervals.

The interval of a dose joins the fit with what does not differ from time to time, link by link. The outlined volume V counts three
times, and its sensitivity is the sum of what it does to each (counts, recovery, mass)::

    d ln D / d ln V = phi / (2 R) - d ln R / d ln V - c,    S ~ m^-c

(see :mod:`fusin.dosimetry.uncertainty`). The mean dose of the voxels of a region has c = 1, as its energy stays and its mass is
that of its voxels.

References
----------
Gear J et al., Eur J Nucl Med Mol Imaging 2018;45:2456 (PMC6208822).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fusin.dosimetry.biological import bed_estimate, eqd2_estimate
from fusin.dosimetry.dose_table import MARROW_NAME, RegionDose
from fusin.dosimetry.dvh import Dvh, dvh
from fusin.dosimetry.emissions import say_alpha_assumptions
from fusin.dosimetry.image_points import ImageStudy, RegionNotes
from fusin.dosimetry.image_regions import RegionTimes, region_curve, study_regions
from fusin.dosimetry.image_voxels import VoxelOptions, VoxelResult, VoxelSource, bed_map, voxel_histogram, voxel_result
from fusin.dosimetry.priors import Prior, prior_for
from fusin.dosimetry.spheres import SphereS, sphere_s
from fusin.dosimetry.time_activity import widened
from fusin.dosimetry.time_activity_region import IntegrationOptions, RegionIntegral, integrate_region
from fusin.dosimetry.uncertainty import BudgetRow, edge_fraction
from fusin.dosimetry.voxel_time import SUMS_APART, curve_terms
from fusin.errors import FusinError, InputError, NotComputable, StrictRefusal
from fusin.imaging.volume import Region, Volume
from fusin.nuclides import nuclide as nuclide_of
from fusin.provenance import NoticeLog
from fusin.stats.results import Estimate

__all__ = ["ImageDose", "ImageDoseOptions", "RegionImageDose", "VoxelFigures", "dose_links", "image_dose"]

_STEP = 0.02
_OF_VOXELS = ("voxel dose", "voxel kernel", "emissions")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDoseOptions:
    """How doses are made from images.

    Attributes
    ----------
    integration : of the curves of regions
    priors : of effective half-lives, by region
    voxels : of the dose of voxels; None for regions alone
    density_u_percent : relative standard uncertainty of the density that turns a volume into mass
    """

    integration: IntegrationOptions = field(default_factory=IntegrationOptions)
    priors: tuple[Prior, ...] = ()
    voxels: VoxelOptions | None = field(default_factory=VoxelOptions)
    density_u_percent: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VoxelFigures:
    """What the voxels of a region say.

    Attributes
    ----------
    mean_gy : over the volume of the region, with its interval
    histogram : dose-volume histogram
    bed_histogram : the same of BED, where parameters were given
    """

    mean_gy: Estimate
    histogram: Dvh
    bed_histogram: Dvh | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegionImageDose:
    """One region.

    Attributes
    ----------
    dose : curve, integral and self-dose, as of a table
    kind : organ, lesion, marrow or blood
    notes : what was stated of it
    times : activities with their uncertainties, None where they cannot be had
    volume_ml : of the outline
    fitted_mbq_h : time-integrated activity with the interval of the fit alone
    links : what the uncertainty of the dose is made of
    bed_gy, eqd2_gy : of the self-dose, where parameters were given
    bed_reason : why there is none where parameters were given, else empty
    voxels : None where there are none
    voxel_reason : why, else empty
    """

    dose: RegionDose
    kind: str
    notes: RegionNotes
    times: RegionTimes | None = None
    volume_ml: float | None = None
    fitted_mbq_h: Estimate | None = None
    links: tuple[BudgetRow, ...] = ()
    bed_gy: Estimate | None = None
    eqd2_gy: Estimate | None = None
    bed_reason: str = ""
    voxels: VoxelFigures | None = None
    voxel_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageDose:
    """Doses of a study.

    Attributes
    ----------
    study : what was read
    half_life_h : of the nuclide
    regions : in the order of the study
    voxels : None where there are none
    voxel_reason : why, else empty
    bed : BED of the voxels of regions with parameters [Gy], NaN elsewhere
    """

    study: ImageStudy
    half_life_h: float
    regions: tuple[RegionImageDose, ...]
    voxels: VoxelResult | None
    voxel_reason: str = ""
    bed: Volume | None = None

    @property
    def failed(self) -> tuple[str, ...]:
        """Sentences of the regions that could not be integrated."""
        return tuple(r.dose.reason for r in self.regions if r.dose.integral is None)


def image_dose(study: ImageStudy, *, options: ImageDoseOptions, log: NoticeLog) -> ImageDose:
    """Doses of all regions and voxels of a study.

    Parameters
    ----------
    study : images, regions, nuclide and administered activity
    options : curves, priors, voxels
    log : receives notices

    Raises
    ------
    InputError
        For a study without regions, and for what cannot be used.
    NotComputable
        Where no region can be integrated; one that can is enough for a result that names the others.
    """
    regions = study_regions(study)
    if not regions:
        raise InputError(
            "study", "regions", "none", "a file of regions (--regions), or a SEG or RT Structure Set beside the images"
        )
    _check(study, options)
    say_alpha_assumptions(study.nuclide, log)
    half_life_h = nuclide_of(study.nuclide).half_life_s / 3600.0
    found: list[RegionImageDose] = []
    first: FusinError | None = None
    for region in regions:
        name = region if isinstance(region, str) else region.name
        try:
            found.append(_integrated(study, name, region, options, half_life_h, log))
        except StrictRefusal:
            raise
        except (InputError, NotComputable) as err:
            first = first or err
            notes = study.notes_of(name)
            failed = RegionDose(name=name, integral=None, reason=str(err), dose_reason="no time-integrated activity")
            found.append(RegionImageDose(dose=failed, kind=_kind(name, notes), notes=notes, voxel_reason="no curve"))
            log.warning("REGION_NOT_INTEGRATED", str(err), where=name)
    if first is not None and all(r.dose.integral is None for r in found):
        raise first
    voxels, why = _voxels(study, found, options, log)
    bed = None if voxels is None else bed_map(voxels, _biology(found), log=log)
    if voxels is not None:
        found = [_with_voxels(one, voxels, bed, study, options, log) for one in found]
    noted = [replace(r, dose=replace(r.dose, notices=tuple(n for n in log if n.where == r.dose.name))) for r in found]
    return ImageDose(
        study=study, half_life_h=half_life_h, regions=tuple(noted), voxels=voxels, voxel_reason=why, bed=bed
    )


def dose_links(
    study: ImageStudy, times: RegionTimes, *, fit_u: float | None, s_u: float, s_exponent: float, density_u: float,
    mass_u: float | None = None,
) -> tuple[BudgetRow, ...]:  # fmt: skip
    """What the relative uncertainty of a dose is made of.

    Parameters
    ----------
    study : for the resolution and the recovery curve
    times : activities of the region
    fit_u : relative standard uncertainty of the fit, None when unknown
    s_u : of the S value or kernel
    s_exponent : c of S ~ m^-c
    density_u : of the density that turns the volume into mass
    mass_u : of a mass that was measured apart; None where the mass is that of the outline
    """
    rows: list[BudgetRow] = []
    u_v = times.volume_u
    if u_v is not None and study.fwhm_mm is not None:
        through = {} if times.outlines > 1 else _through_outline(study, times)
        if mass_u is None:
            through["mass"] = -s_exponent
            # Outlines drawn on each image err on their own, and their mean the less.
            u_v = u_v / math.sqrt(times.outlines)
        net = sum(through.values())
        rows.append(_row("volume", u_v, net))
        rows += [_row(f"volume through {n}", u_v, s, part_of="volume") for n, s in through.items()]
    rows += [_row(n.replace("_", " "), u, -1.0) for n, u in times.budget.items() if n not in ("outline", "random")]
    if fit_u is not None:
        rows.append(_row("time-activity fit", fit_u, 1.0))
    rows.append(_row("S value", s_u, 1.0))
    rows.append(_row("density", density_u, -s_exponent) if mass_u is None else _row("mass", mass_u, -s_exponent))
    variance = sum(r.contribution**2 for r in rows if not r.part_of)
    return tuple(
        r if r.part_of else replace(r, share=r.contribution**2 / variance if variance > 0 else 0.0) for r in rows
    )


def _through_outline(study: ImageStudy, times: RegionTimes) -> dict[str, float]:
    """What one outline at all times does to the activity."""
    radius = math.cbrt(3000.0 * times.volume_ml / (4.0 * math.pi))
    fwhm = study.fwhm_mm or 0.0
    recovery = 1.0 if times.recovery is None else times.recovery.value
    through = {"counts": (edge_fraction(radius, fwhm) if fwhm > 0 else 1.0) / (2.0 * recovery)}
    if times.notes.recovery is None and study.recovery is not None:
        through["recovery"] = -study.recovery.b2 * (1.0 - recovery)
    return through


def _row(quantity: str, u_relative: float, sensitivity: float, *, part_of: str = "") -> BudgetRow:
    return BudgetRow(quantity=quantity, u_relative=u_relative, sensitivity=sensitivity,
                     contribution=abs(sensitivity) * u_relative, part_of=part_of)  # fmt: skip


def _joined(rows: Sequence[BudgetRow]) -> float:
    """Relative uncertainty of all links but the fit."""
    return math.hypot(0.0, *(r.contribution for r in rows if not r.part_of and r.quantity != "time-activity fit"))


def _check(study: ImageStudy, options: ImageDoseOptions) -> None:
    for name, notes in study.notes.items():
        if (notes.alpha_beta_gy is None) != (notes.repair_half_time_h is None):
            missing = "repair_half_time_h" if notes.repair_half_time_h is None else "alpha_beta_gy"
            raise InputError(name, missing, "nothing", "alpha_beta_gy and repair_half_time_h together, or neither")
        if notes.mass_g is not None and not (math.isfinite(notes.mass_g) and notes.mass_g > 0):
            raise InputError(
                name, "mass_g", notes.mass_g, "a positive mass in grams; leave it empty where it is not known"
            )
    if not 0.0 <= options.density_u_percent < 100.0:
        raise InputError("--density-u-percent", "percentage", options.density_u_percent, "0 to below 100")
    if not (math.isfinite(study.administered_mbq) and study.administered_mbq > 0):
        raise InputError("study", "administered activity", study.administered_mbq, "a positive number of MBq")


def _kind(name: str, notes: RegionNotes) -> str:
    """The stated kind; a marrow by its name is one, since no sphere describes it."""
    return "marrow" if notes.kind == "organ" and MARROW_NAME.search(name.casefold()) else notes.kind


def _integrated(
    study: ImageStudy, name: str, region: Region | str, options: ImageDoseOptions, half_life_h: float, log: NoticeLog
) -> RegionImageDose:
    times = region_curve(study, region, log=log)
    own = replace(options.integration, common_u=0.0)
    integral = integrate_region(times.curve, log, half_life_h=half_life_h, options=own,
                                prior=prior_for(options.priors, name, study.nuclide))  # fmt: skip
    shared = math.hypot(times.shared_u, options.integration.common_u)
    fitted, whole = integral.tia_mbq_h, _with_shared(integral, shared)
    one = RegionImageDose(
        dose=RegionDose(name=name, integral=whole), kind=_kind(name, times.notes), notes=times.notes, times=times,
        volume_ml=times.volume_ml, fitted_mbq_h=fitted,
    )  # fmt: skip
    if times.volume_u is None:
        log.info("OUTLINE_UNCERTAINTY_MISSING", "the resolution of the images was not stated, so that the uncertainty of the "
                 "outline is in no interval", where=name)  # fmt: skip
    return _with_biology(_with_dose(one, study, fitted, integral, options, log), log)


def _with_shared(integral: RegionIntegral, shared_u: float) -> RegionIntegral:
    """The integral with what all its times share."""
    tia = integral.tia_mbq_h
    if not shared_u or tia.value is None or tia.low is None or integral.tia_u_mbq_h is None:
        return integral
    method = f"{tia.method}, and what all points of a region share"
    return replace(integral, tia_mbq_h=widened(tia, shared_u, method=method),
                   tia_u_mbq_h=math.hypot(integral.tia_u_mbq_h, shared_u * tia.value))  # fmt: skip


def _with_dose(
    one: RegionImageDose, study: ImageStudy, fitted: Estimate, integral: RegionIntegral, options: ImageDoseOptions,
    log: NoticeLog,
) -> RegionImageDose:  # fmt: skip
    """Add the coefficient, the mass and the self-dose."""
    assert one.times is not None
    name, times = one.dose.name, one.times
    whole = one.dose.integral.tia_mbq_h if one.dose.integral is not None else fitted
    tiac = widened(whole, 0.0, scale=1.0 / study.administered_mbq)
    apart = one.notes.mass_g is not None
    density = one.notes.density_g_ml or (options.voxels.density_g_ml if options.voxels else VoxelOptions().density_g_ml)
    mass_g = one.notes.mass_g if one.notes.mass_g is not None else times.volume_ml * density
    if not apart:
        log.info("MASS_FROM_OUTLINE", f"mass {mass_g:.4g} g from {times.volume_ml:.4g} mL of outline and {density:g} g/mL",
                 where=name, used=mass_g)  # fmt: skip
    mass_u = None if not apart else (one.notes.mass_u_g or 0.0) / mass_g
    dose = replace(one.dose, tiac_h=tiac, mass_g=mass_g, mass_u_g=one.notes.mass_u_g)
    s, why = _sphere(one.kind, study.nuclide, mass_g)
    if s is None:
        return replace(one, dose=replace(dose, dose_reason=why))
    links = dose_links(
        study, times, fit_u=_relative(integral), s_u=s.u_relative, s_exponent=_exponent(study.nuclide, s),
        density_u=options.density_u_percent / 100.0, mass_u=mass_u,
    )  # fmt: skip
    relative = math.hypot(_joined(links), options.integration.common_u)
    gray = widened(
        fitted, relative, scale=s.s_mgy_per_mbq_s * 3.6, method=f"{fitted.method}; sphere S of the mass; budget"
    )
    if apart and one.notes.mass_u_g is None:
        log.info("MASS_UNCERTAINTY_MISSING", "the uncertainty of the mass is not stated and not in the interval of the dose",
                 where=name)  # fmt: skip
    log.info(
        "SPHERE_SELF_DOSE",
        "dose from the region to itself as a sphere of its mass; no dose from other regions",
        where=name,
    )
    return replace(one, dose=replace(dose, dose_gy=gray), links=links)


def _sphere(kind: str, nuclide: str, mass_g: float) -> tuple[SphereS | None, str]:
    if kind == "marrow":
        return None, "the skeleton is no sphere: marrow dose needs fusin dose marrow"
    if kind == "blood":
        return None, "blood is no sphere: its part in the marrow dose needs fusin dose marrow"
    try:
        return sphere_s(nuclide, mass_g), ""
    except FusinError as err:
        return None, str(err)


def _exponent(nuclide: str, s: SphereS) -> float:
    """c of S ~ m^-c about a mass; at the ends of the range of masses 1, that of electrons that stay inside."""
    try:
        above, below = sphere_s(nuclide, s.mass_g * (1 + _STEP)), sphere_s(nuclide, s.mass_g / (1 + _STEP))
    except FusinError:
        return 1.0
    return math.log(below.s_mgy_per_mbq_s / above.s_mgy_per_mbq_s) / (2.0 * math.log(1 + _STEP))


def _relative(integral: RegionIntegral) -> float | None:
    u, value = integral.tia_u_mbq_h, integral.tia_mbq_h.value
    return None if u is None or not value else u / value


def _with_biology(one: RegionImageDose, log: NoticeLog) -> RegionImageDose:
    """Add BED and EQD2 where alpha/beta and the repair half-time were given."""
    ratio, repair = one.notes.alpha_beta_gy, one.notes.repair_half_time_h
    if ratio is None or repair is None or one.dose.integral is None:
        return one
    terms = curve_terms(one.dose.integral)
    if one.dose.dose_gy is None or terms is None:
        why = one.dose.dose_reason if one.dose.dose_gy is None else "the method has no curve for the dose rate"
        log.info("BED_NOT_COMPUTED", f"no BED of the region: {why}", where=one.dose.name)
        return replace(one, bed_reason=why)
    found = bed_estimate(one.dose.dose_gy, *terms, ratio, repair)
    return replace(one, bed_gy=found, eqd2_gy=eqd2_estimate(found, ratio))


def _biology(found: Sequence[RegionImageDose]) -> dict[str, tuple[RegionIntegral, float, float]]:
    return {
        r.dose.name: (r.dose.integral, r.notes.alpha_beta_gy, r.notes.repair_half_time_h)
        for r in found
        if r.dose.integral is not None and r.notes.alpha_beta_gy is not None and r.notes.repair_half_time_h is not None
    }


def _voxels(
    study: ImageStudy, found: Sequence[RegionImageDose], options: ImageDoseOptions, log: NoticeLog
) -> tuple[VoxelResult | None, str]:
    """Doses of voxels, or why there are none; doses of regions stand without them."""
    if options.voxels is None:
        return None, "not asked for"
    sources = [
        VoxelSource(times=r.times, integral=r.dose.integral)
        for r in found
        if r.times is not None and r.dose.integral is not None
    ]
    try:
        done = voxel_result(
            study, sources, options=options.voxels, integration=options.integration, priors=options.priors, log=log
        )
    except NotComputable as err:
        if isinstance(err, StrictRefusal):
            raise
        log.warning(
            "NO_VOXEL_DOSE", f"doses of regions stand, those of voxels cannot be had: {err}", where="voxel dose"
        )
        return None, str(err)
    return done, ""


def _with_voxels(
    one: RegionImageDose, voxels: VoxelResult, bed: Volume | None, study: ImageStudy, options: ImageDoseOptions,
    log: NoticeLog,
) -> RegionImageDose:  # fmt: skip
    """Add the histogram of a region and the interval of its mean."""
    name, integral = one.dose.name, one.dose.integral
    if one.times is None or integral is None or one.fitted_mbq_h is None:
        return one
    try:
        histogram = voxel_histogram(voxels, name, log=log)
    except NotComputable as err:
        return replace(one, voxel_reason=str(err))
    links = dose_links(study, one.times, fit_u=None, s_u=voxels.dose.u_relative, s_exponent=1.0,
                       density_u=options.density_u_percent / 100.0)  # fmt: skip
    relative = math.hypot(_joined(links), options.integration.common_u)
    # The fit alone: what all times share enters link by link.
    fitted, whole = one.fitted_mbq_h, integral.tia_mbq_h.value or math.nan
    apart = 0.0
    if options.voxels is not None and options.voxels.method != "region":
        # Voxels that add up to something else than their curve may be wrong by that much (rectangular).
        apart = abs(voxels.integral.sums.get(name, whole) / whole - 1.0)
    mean = widened(fitted, math.hypot(relative, apart / math.sqrt(3.0)), scale=histogram.mean / (fitted.value or math.nan),
                   method=f"{fitted.method}; voxels; budget")  # fmt: skip
    if apart > SUMS_APART:
        note = f"no interval: the voxels and the curve of the region are {100 * apart:.0f} % apart"
        mean = replace(mean, low=None, high=None, note=note)
    if one.kind == "marrow":
        log.info("MARROW_VOXEL_DOSE", "the voxels hold bone, fat and marrow together; the dose of active marrow needs fusin dose "
                 "marrow", where=name)  # fmt: skip
    own = None
    if bed is not None and name in _biology([one]):
        try:
            own = dvh(bed, voxels.outlines[name], log=NoticeLog())
        except NotComputable:
            own = None
    return replace(one, voxels=VoxelFigures(mean_gy=mean, histogram=histogram, bed_histogram=own))
