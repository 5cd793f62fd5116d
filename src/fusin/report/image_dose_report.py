"""Doses from images for people: the page of the curves, then the voxels, the dose map, the budget, and the images read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from fusin.dosimetry.dose_table import DoseOptions, DoseTable
from fusin.dosimetry.image_dose import ImageDose, ImageDoseOptions, RegionImageDose, image_dose
from fusin.dosimetry.image_files import read_image_study
from fusin.dosimetry.image_points import ImageOptions, ImagePoint
from fusin.dosimetry.voxel_time import METHODS as TIME_METHODS
from fusin.dosimetry.voxels import METHODS as VOXEL_METHODS
from fusin.dosimetry.voxels import EnergyShares
from fusin.provenance import Method, NoticeLog, jsonable
from fusin.report.dose_map_figures import dose_map_figure, histogram_figures
from fusin.report.dose_report import dose_output
from fusin.report.image_dose_files import image_dose_files
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.table_text import estimate_text, shown_columns
from fusin.stats.results import Estimate
from fusin.tabular.columns import Column
from fusin.tabular.rows import to_frame

__all__ = [
    "BED_COLUMNS",
    "IMAGE_COLUMNS",
    "LINK_COLUMNS",
    "VOXEL_COLUMNS",
    "image_dose_output",
    "image_dose_report",
]

_PERCENTS = (98.0, 95.0, 50.0, 5.0, 2.0)
VOXEL_COLUMNS = (
    Column("region", "string", "organ or lesion"),
    Column("kind", "string", "`organ`, `lesion`, `marrow` or `blood`"),
    Column("volume_ml", "float64", "volume of the outline"),
    Column("mean_gy", "float64", "mean dose of its voxels"),
    Column("mean_gy_low", "float64", "lower limit of `mean_gy`"),
    Column("mean_gy_high", "float64", "upper limit of `mean_gy`"),
    Column("least_gy", "float64", "lowest dose of a voxel"),
    *(Column(f"d{p:g}_gy", "float64", f"dose that {p:g} % of the volume get at least") for p in _PERCENTS),
    Column("most_gy", "float64", "highest dose of a voxel"),
    Column("bed_mean_gy", "float64", "mean BED of its voxels, where parameters were given"),
    Column("without_dose_ml", "float64", "part of the outline without a dose, which is in no figure"),
    Column("reason", "string", "why there is no dose of voxels"),
)
BED_COLUMNS = (
    Column("region", "string", "organ or lesion"),
    Column("alpha_beta_gy", "float64", "as given"),
    Column("repair_half_time_h", "float64", "as given"),
    Column("bed_gy", "float64", "biologically effective dose of the self-dose"),
    Column("bed_gy_low", "float64", "lower limit of `bed_gy`"),
    Column("bed_gy_high", "float64", "upper limit of `bed_gy`"),
    Column("eqd2_gy", "float64", "the same in fractions of 2 Gy"),
    Column("eqd2_gy_low", "float64", "lower limit of `eqd2_gy`"),
    Column("eqd2_gy_high", "float64", "upper limit of `eqd2_gy`"),
    Column("reason", "string", "why there is none"),
)
LINK_COLUMNS = (
    Column("region", "string", "organ or lesion"),
    Column("quantity", "string", "link of the chain; a `volume through` row is a part of `volume`"),
    Column("u_percent", "float64", "relative standard uncertainty of the quantity"),
    Column("sensitivity", "float64", "change of the dose per change of the quantity, both relative"),
    Column("contribution_percent", "float64", "part of the relative standard uncertainty of the dose"),
    Column("share", "float64", "part of the variance of the dose"),
)
IMAGE_COLUMNS = (
    Column("image", "string", "series or file"),
    Column("time_h", "float64", "hours after administration to which the activity belongs"),
    Column("measured", "string", "that moment, where the file states one"),
    Column("duration_s", "float64", "of the acquisition"),
    Column("calibration_u_percent", "float64", "standard uncertainty of the calibration, 0 when not known"),
    Column("scaling", "string", "how stored values became activity"),
    Column("correction", "string", "what the decay correction was and what was done"),
)
_HEADINGS = {
    "volume_ml": "volume, mL", "mean_gy": "mean [Gy]", "least_gy": "min [Gy]", "most_gy": "max [Gy]",
    "bed_mean_gy": "mean BED [Gy]", "without_dose_ml": "no dose, mL", "u_percent": "u [%]", "time_h": "time, h",
    "contribution_percent": "of the dose [%]", "share": "of the variance", "duration_s": "duration, s",
    "calibration_u_percent": "calibration u [%]", "bed_gy": "BED [Gy]", "eqd2_gy": "EQD2 [Gy]",
    "alpha_beta_gy": "alpha/beta [Gy]", "repair_half_time_h": "repair, h",
    **{f"d{p:g}_gy": f"D{p:g} [Gy]" for p in _PERCENTS},
}  # fmt: skip


def image_dose_report(
    source: Path, *, reading: ImageOptions, options: ImageDoseOptions, log: NoticeLog, files: bool = True,
    extra_inputs: Sequence[Path] = (), created: datetime | None = None,
) -> JobOutput:  # fmt: skip
    """Read the images of a treatment, compute doses, and make the page.

    Parameters
    ----------
    source : folder of DICOM, or the TOML file that names the images
    reading : what the images do not say
    options : curves, priors, voxels
    log : receives notices
    files : whether maps and the study of a plan are made
    extra_inputs : further files that entered, such as priors
    created : moment stamped into DICOM

    Raises
    ------
    InputError, NotComputable
        See :func:`fusin.dosimetry.image_files.read_image_study` and :func:`fusin.dosimetry.image_dose.image_dose`.
    """
    study = read_image_study(source, options=reading, log=log)
    found = image_dose(study, options=options, log=log)
    return image_dose_output(found, options=options, log=log, files=files, extra_inputs=extra_inputs, created=created)


def image_dose_output(
    found: ImageDose, *, options: ImageDoseOptions, log: NoticeLog, files: bool = True, extra_inputs: Sequence[Path] = (),
    created: datetime | None = None,
) -> JobOutput:  # fmt: skip
    """The page and the document of doses from images; see `image_dose_report`."""
    table = DoseTable(nuclide=found.study.nuclide, half_life_h=found.half_life_h,
                      administered_mbq=found.study.administered_mbq, regions=tuple(r.dose for r in found.regions))  # fmt: skip
    base = dose_output(table, options=DoseOptions(integration=options.integration, priors=options.priors), log=log)
    written = image_dose_files(found, log=log, created=created) if files else {}
    parameters = {**base.provenance.parameters, **_parameters(found, options)}
    provenance = provenance_of(
        found.study.inputs, parameters, methods=(*base.provenance.methods, *_methods(found, options))
    )
    return JobOutput(
        title="Doses from images", document=_document(found, options, base.document), summary=_summary(found, base.summary),
        sections=_sections(found, options, base.sections), notices=log.notices, provenance=provenance, files=written,
    )  # fmt: skip


def _parameters(found: ImageDose, options: ImageDoseOptions) -> dict[str, Any]:
    study = found.study
    own: dict[str, Any] = {
        "density_u_percent": options.density_u_percent,
        "fwhm_mm": study.fwhm_mm,
        "outline_fwhm_mm": study.outline_fwhm_mm,
        "random_u": study.random_u,
    }
    if options.voxels is not None:
        own |= {f"voxel_{n}": getattr(options.voxels, n) for n in options.voxels.__slots__}
    # These belong to tables of activities.
    for name in ("decay_correction", "uncertainty_percent", "mass_u_percent"):
        own[name] = None
    return own


def _document(found: ImageDose, options: ImageDoseOptions, base: Mapping[str, Any]) -> dict[str, Any]:
    regions = [{**plain, **_region(one, found)} for plain, one in zip(base["regions"], found.regions, strict=True)]
    return {
        **base,
        "regions": regions,
        "images": [_image(p) for p in found.study.points],
        "energy": None if found.voxels is None else _energy(found.voxels.dose.energy),
        "voxels": _voxels(found, options),
        "remainder": _remainder(found),
    }


def _region(one: RegionImageDose, found: ImageDose) -> dict[str, Any]:
    times = one.times
    used = {} if found.voxels is None else found.voxels.integral.times_h
    activities = []
    if times is not None:
        u = times.curve.uncertainty_mbq
        shares = [None] * times.curve.n if u is None else u.tolist()
        activities = [
            {"time_h": t, "activity_mbq": a, "uncertainty_mbq": s}
            for t, a, s in zip(times.curve.time_h.tolist(), times.curve.activity_mbq.tolist(), shares, strict=True)
        ]
    recovery = None if times is None or times.recovery is None else times.recovery
    return {
        "kind": one.kind,
        "volume_ml": one.volume_ml,
        "activities": activities,
        "recovery": None if recovery is None else {"value": recovery.value, "u": recovery.u},
        "shared_u_percent": None if times is None else 100.0 * times.shared_u,
        "bed_gy": one.bed_gy.to_json() if one.bed_gy else None,
        "eqd2_gy": one.eqd2_gy.to_json() if one.eqd2_gy else None,
        "bed_reason": one.bed_reason or None,
        "voxel_dose_gy": _figures(one),
        "voxel_reason": one.voxel_reason or None,
        "distributed_by_image_at_h": used.get(one.dose.name),
        "budget": [_link(r) for r in one.links],
    }


def _figures(one: RegionImageDose) -> dict[str, Any] | None:
    if one.voxels is None:
        return None
    histogram, bed = one.voxels.histogram, one.voxels.bed_histogram
    return {
        "mean": one.voxels.mean_gy.to_json(),
        "min": histogram.least,
        **{f"d{p:g}": histogram.dose_at_percent(p) for p in _PERCENTS},
        "max": histogram.most,
        "bed_mean": None if bed is None else bed.mean,
        "without_dose_ml": histogram.without_dose_ml,
    }


def _link(row: Any) -> dict[str, Any]:
    return {
        "quantity": row.quantity, "u_percent": 100.0 * row.u_relative, "sensitivity": row.sensitivity,
        "contribution_percent": 100.0 * row.contribution, "share": row.share,
    }  # fmt: skip


def _image(point: ImagePoint) -> dict[str, Any]:
    return {
        "image": point.where,
        "time_h": point.time_h,
        "measured": None if point.measured is None else point.measured.isoformat(),
        "duration_s": point.duration_s,
        "calibration_u_percent": 100.0 * point.u_relative,
        "scaling": point.scaling or None,
        "correction": point.correction,
        "facts": jsonable(point.facts),
    }


def _energy(shares: EnergyShares) -> dict[str, float]:
    return {name: getattr(shares, name) for name in shares.__slots__}


def _voxels(found: ImageDose, options: ImageDoseOptions) -> dict[str, Any] | None:
    done, chosen = found.voxels, options.voxels
    if done is None or chosen is None:
        return None
    grid = done.dose.dose.grid
    return {
        "method": chosen.method,
        "via": chosen.via,
        "electrons": done.dose.electrons,
        "photons": done.dose.photons,
        "density_g_ml": done.dose.density_g_ml,
        "heterogeneous": done.dose.heterogeneous,
        "shape": list(grid.shape[::-1]),
        "spacing_mm": list(grid.spacing_mm),
        "at_physical_decay": done.integral.at_physical_decay,
        "without_curve": done.integral.borrowed,
    }


def _remainder(found: ImageDose) -> dict[str, Any] | None:
    done = None if found.voxels is None else found.voxels.remainder
    return None if done is None else {"model": done.model, "tia_mbq_h": done.tia_mbq_h.to_json()}


def _summary(found: ImageDose, base: tuple[str, ...]) -> tuple[str, ...]:
    points = found.study.points
    hours = ", ".join(f"{p.time_h:.4g}" for p in points)
    words = "image" if len(points) == 1 else "images"
    first = f"{len(points)} {words} at {hours} h after {found.study.administered_mbq:g} MBq {found.study.nuclide}."
    if found.voxels is None:
        return (first, *base, f"No dose of voxels: {found.voxel_reason}.")
    lines = [
        f"{r.dose.name}: mean of its voxels {estimate_text(r.voxels.mean_gy)} Gy, "
        f"D98 {r.voxels.histogram.dose_at_percent(98):.3g} Gy, D2 {r.voxels.histogram.dose_at_percent(2):.3g} Gy."
        for r in found.regions if r.voxels is not None
    ]  # fmt: skip
    return (first, *base, *lines)


def _sections(found: ImageDose, options: ImageDoseOptions, base: tuple[JobSection, ...]) -> tuple[JobSection, ...]:
    sections = [_first(found, base[0])]
    if found.voxels is not None:
        sections += [_map_section(found), _voxel_section(found, options)]
    biology = _biology(found)
    if biology is not None:
        sections.append(biology)
    budget = _budget(found)
    return (*sections, *base[1:], *((budget,) if budget else ()), _read(found))


def _first(found: ImageDose, section: JobSection) -> JobSection:
    """The table of the regions with its reasons as sentences, which would break inside of a narrow column."""
    table = section.tables[0]
    shown = tuple(s for s in table.shown or () if s.name != "reason")
    reasons = [f"{r.dose.name}: {r.dose.reason or 'no self-dose, ' + r.dose.dose_reason}." for r in found.regions
               if r.dose.reason or r.dose.dose_reason]  # fmt: skip
    return replace(section, text=(*section.text, *reasons), tables=(replace(table, shown=shown), *section.tables[1:]))


def _map_section(found: ImageDose) -> JobSection:
    figure = dose_map_figure(found)
    text = "The dose map is in the files dose.nii.gz and, for DICOM studies, dose.dcm."
    return JobSection(name="map", title="Dose map", text=(text,), figures=() if figure is None else (figure,))


def _voxel_section(found: ImageDose, options: ImageDoseOptions) -> JobSection:
    rows = [_voxel_row(r) for r in found.regions]
    frame = to_frame(rows, VOXEL_COLUMNS)
    hidden = {c for c in ("bed_mean_gy", "without_dose_ml", "reason") if frame[c].isna().all()}
    if not frame["without_dose_ml"].fillna(0.0).any():
        hidden.add("without_dose_ml")
    shown = shown_columns(frame, VOXEL_COLUMNS, headings=_HEADINGS, leave_out=hidden)
    table = JobTable(name="voxel-doses", title="Doses of the voxels of each region", frame=frame, shown=shown)
    return JobSection(name="voxels", title="Doses of voxels", text=_voxel_text(found, options), tables=(table,),
                      figures=histogram_figures(found.regions))  # fmt: skip


def _voxel_text(found: ImageDose, options: ImageDoseOptions) -> tuple[str, ...]:
    done, chosen = found.voxels, options.voxels
    if done is None or chosen is None:
        return ()
    energy = done.dose.energy
    lost = [
        f"{100 * getattr(energy, name):.2g} % {words}"
        for name, words in (("left_grid", "left the images"), ("beyond_kernel", "went beyond the kernel"),
                            ("without_density", "lies in voxels without a dose"))
        if getattr(energy, name) > 5e-5
    ]  # fmt: skip
    where = f"{100 * energy.in_grid:.4g} % of the energy of all decays lie in the voxels"
    where += f"; {', '.join(lost)}." if lost else "."
    medium = (
        "the density of each voxel from CT"
        if done.dose.heterogeneous
        else f"{done.dose.density_g_ml:g} g/mL everywhere"
    )
    how = {"region": "one image distributes the integral of each region's curve",
           "trapezoid": "trapezoids in each voxel with the tail of its region's curve",
           "mono": "one exponential in each voxel"}[chosen.method]  # fmt: skip
    path = "dose rates of each image, integrated" if chosen.via == "dose-rate" else "activity integrated, then spread"
    spread = "spread by the kernel" if done.dose.electrons == "convolution" else "left where they are emitted"
    return (
        f"Over time: {how} ({path}). Electrons {spread}; photons {done.dose.photons}; {medium}.",
        where,
        "A mean holds what other regions add; its interval holds fit, calibration, recovery, outline and kernel.",
    )


def _voxel_row(one: RegionImageDose) -> dict[str, Any]:
    row: dict[str, Any] = {
        "region": one.dose.name,
        "kind": one.kind,
        "volume_ml": one.volume_ml,
        "reason": one.voxel_reason or None,
    }
    if one.voxels is None:
        return row
    histogram, mean = one.voxels.histogram, one.voxels.mean_gy
    bed = one.voxels.bed_histogram
    return row | {
        "mean_gy": mean.value, "mean_gy_low": mean.low, "mean_gy_high": mean.high, "least_gy": histogram.least,
        **{f"d{p:g}_gy": histogram.dose_at_percent(p) for p in _PERCENTS}, "most_gy": histogram.most,
        "bed_mean_gy": None if bed is None else bed.mean, "without_dose_ml": histogram.without_dose_ml,
    }  # fmt: skip


def _biology(found: ImageDose) -> JobSection | None:
    asked = [r for r in found.regions if r.bed_gy is not None or r.bed_reason]
    if not asked:
        return None
    rows = [
        {
            "region": r.dose.name, "alpha_beta_gy": r.notes.alpha_beta_gy, "repair_half_time_h": r.notes.repair_half_time_h,
            **_spread("bed_gy", r.bed_gy), **_spread("eqd2_gy", r.eqd2_gy), "reason": r.bed_reason or None,
        }
        for r in asked
    ]  # fmt: skip
    frame = to_frame(rows, BED_COLUMNS)
    hidden = ("reason",) if frame["reason"].isna().all() else ()
    shown = shown_columns(frame, BED_COLUMNS, headings=_HEADINGS, leave_out=hidden)
    text = "BED of the self-dose with the fitted curve; alpha/beta and repair are yours and count as known."
    return JobSection(name="biology", title="BED and EQD2", text=(text,),
                      tables=(JobTable(name="biology", title="BED and EQD2", frame=frame, shown=shown),))  # fmt: skip


def _spread(name: str, e: Estimate | None) -> dict[str, float | None]:
    if e is None:
        return {}
    return {name: e.value, f"{name}_low": e.low, f"{name}_high": e.high}


def _budget(found: ImageDose) -> JobSection | None:
    rows = [
        {
            "region": r.dose.name, "quantity": link.quantity, "u_percent": 100.0 * link.u_relative,
            "sensitivity": link.sensitivity, "contribution_percent": 100.0 * link.contribution, "share": link.share,
        }
        for r in found.regions for link in r.links
    ]  # fmt: skip
    if not rows:
        return None
    frame = to_frame(rows, LINK_COLUMNS)
    shown = shown_columns(frame, LINK_COLUMNS, headings=_HEADINGS, percent=("share",))
    shown = tuple(
        replace(s, digits=2) if s.name in ("u_percent", "contribution_percent", "sensitivity") else s for s in shown
    )
    text = "Standard uncertainties (k = 1) of the self-dose. The outline acts through counts, recovery and mass with their signs."
    return JobSection(name="budget", title="What the uncertainty is made of", text=(text,),
                      tables=(JobTable(name="budget", title="Budget", frame=frame, shown=shown),))  # fmt: skip


def _read(found: ImageDose) -> JobSection:
    rows = [{k: v for k, v in _image(p).items() if k != "facts"} for p in found.study.points]
    frame = to_frame(rows, IMAGE_COLUMNS)
    hidden = {c for c in ("measured", "duration_s", "scaling") if frame[c].isna().all()}
    shown = shown_columns(frame, IMAGE_COLUMNS, headings=_HEADINGS, leave_out=hidden)
    return JobSection(name="images", title="Images read",
                      tables=(JobTable(name="images", title="Images", frame=frame, shown=shown),))  # fmt: skip


def _methods(found: ImageDose, options: ImageDoseOptions) -> tuple[Method, ...]:
    used = [Method("outline", "Uncertainty of outlines and their covariance: Gear J et al., Eur J Nucl Med Mol Imaging "
                   "2018;45:2456.")]  # fmt: skip
    if found.voxels is not None and options.voxels is not None:
        method = options.voxels.method
        used.append(Method(f"voxel-time {method}", f"Over time: {TIME_METHODS[method]}."))
        used += [Method(name, f"{text[0].upper()}{text[1:]}.") for name, text in VOXEL_METHODS.items()
                 if name != "density" or found.voxels.dose.heterogeneous]  # fmt: skip
    if any(r.bed_gy for r in found.regions):
        used.append(Method("bed", "BED with the Lea-Catcheside factor: Brenner DJ et al., Radiat Res 1998;150:83; Bodey RK et al., "
                           "Cancer Biother Radiopharm 2003;18:89."))  # fmt: skip
    return tuple(used)
