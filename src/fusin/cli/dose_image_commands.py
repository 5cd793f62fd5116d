"""``fusin dose images``: doses of regions and voxels from images of a treatment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusin.cli.dose_options import (
    AdministeredOption,
    AverageOption,
    CommonOption,
    DecayOption,
    IntervalOption,
    LevelOption,
    ModelOption,
    NuclideOption,
    PriorGsdOption,
    PriorOption,
    ResamplesOption,
    SeedOption,
    StartOption,
    TailLimitOption,
    TailOption,
    TeffOption,
    TeffSdOption,
    WeightsOption,
    integration_options,
    percent,
    priors,
    word,
)
from fusin.cli.options import JsonFlag, OutOption, StrictFlag, choice, finish
from fusin.errors import InputError, PartlyFailed

if TYPE_CHECKING:
    from fusin.dosimetry.image_voxels import VoxelOptions
    from fusin.dosimetry.priors import Prior
    from fusin.dosimetry.time_activity_region import IntegrationOptions

__all__ = ["are_images", "register", "run"]

StudyPath = Annotated[
    Path, typer.Argument(help="Folder of DICOM, or the TOML file that names the images.", show_default=False)
]
RegionsOption = Annotated[
    Path | None, typer.Option("--regions", help="SEG, RT Structure Set or NIfTI labels; found in the folder without.")
]
NotesOption = Annotated[
    Path | None, typer.Option("--notes", help="Masses, kinds, recovery, alpha/beta of the regions (CSV, TOML).")
]
InjectedOption = Annotated[str | None, typer.Option("--injected", help="Moment of injection, 2026-03-02T09:30.")]
CpsOption = Annotated[
    float | None, typer.Option("--calibration-cps-per-mbq", help="Sensitivity of the camera, for images in counts.")
]
CalibrationUOption = Annotated[
    float | None, typer.Option("--calibration-u-percent", help="Standard uncertainty of the calibration.")
]
DurationOption = Annotated[float | None, typer.Option("--duration-s", help="Of the acquisition, for images in counts.")]
SeriesOption = Annotated[
    list[str] | None, typer.Option("--series", help="Number, description or UID of a series to read. Repeatable.")
]
RegisteredFlag = Annotated[
    bool, typer.Option("--registered", help="The images are registered although their frames of reference differ.")
]
RandomOption = Annotated[
    float | None, typer.Option("--random-u-percent", help="Standard uncertainty of each activity, random in time.")
]
FwhmOption = Annotated[
    float | None, typer.Option("--fwhm-mm", help="Resolution of the images, for the uncertainty of outlines.")
]
OutlineOption = Annotated[
    float | None, typer.Option("--outline-fwhm-mm", help="Resolution of the images that were outlined, such as the CT.")
]
RecoveryOption = Annotated[
    Path | None, typer.Option("--recovery", help="Recovery curve: inserts of a phantom, or b1_ml and b2 (TOML).")
]
VoxelsOption = Annotated[bool, typer.Option("--voxels/--no-voxels", help="Doses of voxels, or regions alone.")]
MethodOption = Annotated[
    str, typer.Option("--voxel-method", help="Over time: region (its curve, one image), trapezoid, or mono.")
]
ViaOption = Annotated[str, typer.Option("--via", help="activity (integrated, then spread), or dose-rate.")]
ElectronsOption = Annotated[str, typer.Option("--electrons", help="convolution, or local.")]
PhotonsOption = Annotated[str, typer.Option("--photons", help="far, near or none.")]
DensityOption = Annotated[float, typer.Option("--density-g-ml", help="Of tissue, where no CT curve is given.")]
DensityUOption = Annotated[float, typer.Option("--density-u-percent", help="Its standard uncertainty.")]
CurveOption = Annotated[
    str | None, typer.Option("--ct-curve", help="HU:g/mL of the CT scanner, -1000:0.001,0:1,1500:1.85.")
]


def register(group: typer.Typer) -> None:
    """Add the verb to the group of ``fusin dose``."""
    group.command("images")(images)


def images(
    study: StudyPath, out: OutOption = None, regions: RegionsOption = None, notes: NotesOption = None,
    nuclide: NuclideOption = "", administered_mbq: AdministeredOption = None, injected: InjectedOption = None,
    decay_correction: DecayOption = None, calibration_cps_per_mbq: CpsOption = None,
    calibration_u_percent: CalibrationUOption = None, duration_s: DurationOption = None, series: SeriesOption = None,
    registered: RegisteredFlag = False, random_u_percent: RandomOption = None, fwhm_mm: FwhmOption = None,
    outline_fwhm_mm: OutlineOption = None, recovery: RecoveryOption = None, model: ModelOption = "auto",
    weights: WeightsOption = None,
    average: AverageOption = True, interval: IntervalOption = "gum", resamples: ResamplesOption = 500, seed: SeedOption = 0,
    level: LevelOption = 0.95, tail: TailOption = "physical", start: StartOption = "zero", tail_limit: TailLimitOption = 0.2,
    prior: PriorOption = None, prior_gsd: PriorGsdOption = None, t_eff_h: TeffOption = None, t_eff_sd_h: TeffSdOption = None,
    common_percent: CommonOption = 0.0, voxels: VoxelsOption = True, voxel_method: MethodOption = "region",
    via: ViaOption = "activity", electrons: ElectronsOption = "convolution", photons: PhotonsOption = "far",
    density_g_ml: DensityOption = 1.04, density_u_percent: DensityUOption = 0.0, ct_curve: CurveOption = None,
    strict: StrictFlag = False, as_json: JsonFlag = False,
) -> None:  # fmt: skip
    """Doses of regions and voxels from SPECT or PET at several times: curves, maps, histograms, RT Dose.

    \b
    Example: fusin dose images fusin-demo/dose/therapy/images --notes fusin-demo/dose/therapy/regions.csv
    """
    integration = integration_options(
        model=model, weights=weights, average=average, interval=interval, resamples=resamples, seed=seed, level=level, tail=tail,
        start=start, tail_limit=tail_limit, common_percent=common_percent,
    )  # fmt: skip
    known, files = priors(prior or [], nuclide, t_eff_h, t_eff_sd_h, prior_gsd)
    reading = {
        "regions": regions, "notes": notes, "nuclide": nuclide, "administered_mbq": administered_mbq,
        "injected": None if injected is None else _moment(injected), "series": tuple(series or ()), "registered": registered,
        "decay_correction": word(decay_correction, ("none", "start", "admin"), "--decay-correction"),
        "calibration_cps_per_mbq": calibration_cps_per_mbq, "calibration_u_percent": calibration_u_percent,
        "duration_s": duration_s, "random_u_percent": random_u_percent, "fwhm_mm": fwhm_mm,
        "outline_fwhm_mm": outline_fwhm_mm, "recovery": recovery,
    }  # fmt: skip
    chosen = _voxels(voxel_method, via, electrons, photons, density_g_ml, ct_curve)
    run(study, out, strict=strict, as_json=as_json, integration=integration, priors=known, files=files, reading=reading,
        voxels=chosen, with_voxels=voxels, density_u_percent=density_u_percent)  # fmt: skip


def are_images(source: Path) -> bool:
    """Whether the input of ``fusin dose`` is a study of images and not a table."""
    return source.is_dir() or source.suffix.lower() in (".toml", ".zip")


def run(
    study: Path, out: Path | None, *, strict: bool, as_json: bool, integration: IntegrationOptions, priors: Sequence[Prior],
    files: Sequence[Path], reading: Mapping[str, Any], voxels: VoxelOptions | None = None, with_voxels: bool = True,
    density_u_percent: float = 0.0, mass_u_percent: float | None = None,
) -> None:  # fmt: skip
    """Read, compute, write and print; exit with 4 where some regions could not be integrated."""
    from fusin.dosimetry.image_dose import ImageDoseOptions
    from fusin.dosimetry.image_points import ImageOptions
    from fusin.dosimetry.image_voxels import VoxelOptions
    from fusin.provenance import NoticeLog
    from fusin.report.image_dose_report import image_dose_report

    if mass_u_percent is not None:
        raise InputError("--mass-u-percent", "option", mass_u_percent, "mass_u_g in --notes of fusin dose images")
    percent(density_u_percent, "--density-u-percent")
    given = dict(reading)
    curve = given.pop("recovery", None)
    options = ImageDoseOptions(
        integration=integration, priors=tuple(priors), density_u_percent=density_u_percent,
        voxels=(voxels or VoxelOptions()) if with_voxels else None,
    )  # fmt: skip
    output = image_dose_report(
        study, reading=ImageOptions(**given, recovery=None if curve is None else _recovery(curve)), options=options,
        log=NoticeLog(strict=strict), files=out is not None, extra_inputs=(*files, *(() if curve is None else (curve,))),
    )  # fmt: skip
    finish(output, out, as_json=as_json)
    regions = output.document["regions"]
    failed = tuple(r["reason"] for r in regions if r["model"] is None)
    if failed:
        raise PartlyFailed(failed, len(regions) - len(failed))


def _voxels(
    method: str, via: str, electrons: str, photons: str, density_g_ml: float, ct_curve: str | None
) -> VoxelOptions:
    from fusin.dosimetry.image_voxels import VoxelOptions

    if not 0.1 <= density_g_ml <= 3.0:
        raise InputError("--density-g-ml", "density", density_g_ml, "0.1 to 3 g/mL")
    return VoxelOptions(
        method=choice(method, ("region", "trapezoid", "mono"), "--voxel-method"),
        via=choice(via, ("activity", "dose-rate"), "--via"),
        electrons=choice(electrons, ("convolution", "local"), "--electrons"),
        photons=choice(photons, ("far", "near", "none"), "--photons"), density_g_ml=density_g_ml,
        ct_curve=() if ct_curve is None else _pairs(ct_curve),
    )  # fmt: skip


def _pairs(text: str) -> tuple[tuple[float, float], ...]:
    """Pairs of Hounsfield units and densities from ``HU:g/mL,HU:g/mL``."""
    try:
        pairs = tuple((float(a), float(b)) for a, b in (part.split(":") for part in text.split(",")))
    except ValueError as err:
        raise InputError("--ct-curve", "pairs", text, "HU:g/mL,HU:g/mL, for example -1000:0.001,0:1,1500:1.85") from err
    return pairs


def _moment(text: str) -> datetime:
    """A moment with its time of day; a date alone would be a guess."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as err:
        raise InputError("--injected", "moment", text, "an ISO date and time such as 2026-03-02T09:30:00") from err
    if not any(mark in text for mark in "T:"):
        raise InputError("--injected", "moment", text, "the time of day as well, such as 2026-03-02T09:30:00")
    return found


def _recovery(path: Path) -> Any:
    from fusin.dosimetry.case_fields import read_case
    from fusin.dosimetry.image_notes import read_recovery

    fields = read_case(path)
    return read_recovery(fields.table("recovery") or fields)
