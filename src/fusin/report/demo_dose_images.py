"""Images of the demonstration: four SPECT of a digital patient, read like any other, with marrow, a plan, and the truth beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fusin.dosimetry.digital_therapy_files import WrittenTherapy, write_therapy_patient
from fusin.dosimetry.digital_therapy_patient import TherapyPatient, make_therapy_patient, therapy_facts
from fusin.dosimetry.digital_therapy_truth import EXAMPLE_LIMITS_GY, RegionTruth, true_regions
from fusin.dosimetry.dose_table import DoseOptions, dose_table
from fusin.dosimetry.image_dose import ImageDose, ImageDoseOptions, RegionImageDose, image_dose
from fusin.dosimetry.image_files import read_image_study
from fusin.dosimetry.image_points import ImageOptions
from fusin.files import write_bytes_atomically
from fusin.provenance import NoticeLog
from fusin.report.dose_marrow_report import marrow_report
from fusin.report.image_dose_files import marrow_text, study_text
from fusin.report.image_dose_report import image_dose_output
from fusin.report.job_output import JobOutput, JobSection, JobTable, joined
from fusin.report.table_text import shown_columns
from fusin.stats.results import Estimate
from fusin.tabular.columns import Column
from fusin.tabular.rows import to_frame

__all__ = ["FOLDER", "TRUTH_COLUMNS", "marrow_case", "plan_study", "reading_options", "run_part"]

FOLDER = "therapy"
"""Folder of the digital patient within the demonstration."""

TRUTH_COLUMNS = (
    Column("region", "string", "organ or lesion"),
    Column("kind", "string", "`organ`, `lesion` or `marrow`"),
    Column("tia_mbq_h", "float64", "time-integrated activity from the images"),
    Column("true_tia_mbq_h", "float64", "what was planted"),
    Column("tia_difference_percent", "float64", "the first against the second"),
    Column("dose_gy", "float64", "self-dose from the images"),
    Column("dose_gy_low", "float64", "lower limit of `dose_gy`"),
    Column("dose_gy_high", "float64", "upper limit of `dose_gy`"),
    Column("voxel_mean_gy", "float64", "mean dose of the voxels"),
    Column("true_dose_gy", "float64", "dose of what was planted, with photons from elsewhere"),
    Column("within", "boolean", "whether the interval of `dose_gy` holds `true_dose_gy`"),
)
_HEADINGS = {
    "tia_mbq_h": "TIA [MBq h]", "true_tia_mbq_h": "true", "tia_difference_percent": "off by [%]", "dose_gy": "dose [Gy]",
    "voxel_mean_gy": "voxels [Gy]", "true_dose_gy": "true [Gy]", "within": "in its interval",
}  # fmt: skip
_ONE_DIGIT = ("tia_mbq_h", "true_tia_mbq_h", "tia_difference_percent")
_TEXT = (
    "The digital patient was made with these activities. Its camera blurs more in the middle of the body than at its surface, its "
    "noise is correlated, its calibration is off by a draw from the stated uncertainty, and its recovery coefficients come from "
    "inserts in an even background.",
    "Self-doses leave out photons from elsewhere, which the true doses hold.",
)


def run_part(folder: Path, *, seed: int = 0) -> JobOutput:
    """Write the patient into ``therapy``, compute doses, marrow and the files of a plan, and compare with the truth.

    Parameters
    ----------
    folder : receives ``therapy`` with images, regions, blood samples, truth, and the cases ``marrow.toml`` and ``plan.toml``
    seed : of noise and calibration
    """
    patient = make_therapy_patient(seed=seed)
    written = write_therapy_patient(folder / FOLDER, patient)
    log, options = NoticeLog(), ImageDoseOptions()
    found = image_dose(
        read_image_study(written.source, options=reading_options(written), log=log), options=options, log=log
    )
    output = _with_truth(image_dose_output(found, options=options, log=log, created=patient.start(3)), found, patient)
    marrow = write_bytes_atomically(written.folder / "marrow.toml", marrow_case(found, written.blood).encode("utf-8"))
    write_bytes_atomically(written.folder / "plan.toml", plan_study(found).encode("utf-8"))
    both = joined(output.title, {"doses": output, "marrow": marrow_report(marrow, log=NoticeLog())})
    # The page of the demonstration puts the title of its part before each of these.
    return replace(both, sections=tuple(replace(s, title=s.title.split(" · ")[-1]) for s in both.sections))


def reading_options(written: WrittenTherapy) -> ImageOptions:
    """What the images of the digital patient do not say."""
    return ImageOptions(
        notes=written.notes, calibration_u_percent=float(therapy_facts()["spect"]["calibration_u_percent"])
    )


def marrow_case(found: ImageDose, blood: Path) -> str:
    """The case that the images gave, with what images do not say, and the blood samples.

    Parameters
    ----------
    found : with a region of marrow
    blood : table of samples, as a region of one millilitre
    """
    facts, samples = therapy_facts(), NoticeLog()
    marrow = facts["marrow"]
    region = next(r for r in found.regions if r.kind == "marrow")
    table = dose_table(blood, options=DoseOptions(nuclide=found.study.nuclide), log=samples)
    curve = next(r.integral for r in table.regions if r.integral is not None)
    energy = f'[energy]\nabsorbed_kev = {marrow["absorbed_kev"]:g}\nsource = "example: red-marrow self-S times mass"'
    lines = [
        marrow_text(found).replace("[energy]", f"residual_day = 14\n\n{energy}").rstrip(),
        f"volume_ml = {region.volume_ml:.5g}",
        *(f"{n} = {marrow[n]:g}" for n in ("marrow_volume_share", "cellularity", "density_g_ml")),
        'marrow_u_percent = 10\nsource = "example values of a digital patient"',
        "\n[blood]",
        *_limits("tia_mbq_h_per_ml", curve.tia_mbq_h),
        f"density_g_ml = {facts['blood']['density_g_ml']:g}\nhematocrit = {facts['study']['hematocrit']:g}",
        'rmecff = "sgouros-1993"',
    ]
    if curve.t_eff_h is not None and curve.t_eff_h.value is not None:
        lines.append(f"t_eff_h = {curve.t_eff_h.value:.5g}")
    return "\n".join(lines) + "\n"


def plan_study(found: ImageDose) -> str:
    """The study that the images gave, with example limits."""
    text = study_text(found).replace("\n\n[[organ]]", "\nchange_u_percent = 10\n\n[[organ]]", 1)
    names = {r.dose.name for r in found.regions if r.dose.dose_gy is not None}
    limits = [
        f'\n[[limit]]\norgan = "{name}"\nat_most_gy = {limit:g}\nprobability = 0.05\ncitation = "example value, no advice"'
        for name, limit in EXAMPLE_LIMITS_GY.items()
        if name in names
    ]
    return text + "\n".join(limits) + "\n"


def _limits(name: str, estimate: Estimate) -> list[str]:
    lines = [f"{name} = {estimate.value:.6g}"]
    if estimate.low is not None and estimate.high is not None:
        lines += [f"{name}_low = {estimate.low:.6g}", f"{name}_high = {estimate.high:.6g}"]
    return lines


def _with_truth(output: JobOutput, found: ImageDose, patient: TherapyPatient) -> JobOutput:
    """The page with a section that compares with what was planted."""
    truth = {t.name: t for t in true_regions(patient)}
    rows = [_row(one, truth[one.dose.name]) for one in found.regions]
    frame = to_frame(rows, TRUTH_COLUMNS)
    shown = shown_columns(frame, TRUTH_COLUMNS, headings=_HEADINGS)
    shown = tuple(replace(s, digits=1) if s.name in _ONE_DIGIT else s for s in shown)
    table = JobTable(name="truth", title="Images against the truth", frame=frame, shown=shown)
    section = JobSection(name="truth", title="Against the truth", text=_TEXT, tables=(table,))
    first, *others = output.sections
    return replace(output, sections=(first, section, *others), document={**output.document, "truth": rows},
                   summary=(*output.summary, _sentence(rows)))  # fmt: skip


def _row(one: RegionImageDose, true: RegionTruth) -> dict[str, Any]:
    integral, dose = one.dose.integral, one.dose.dose_gy
    tia = None if integral is None else integral.tia_mbq_h.value
    row: dict[str, Any] = {
        "region": true.name, "kind": true.kind, "tia_mbq_h": tia, "true_tia_mbq_h": true.tia_mbq_h,
        "tia_difference_percent": None if tia is None else 100.0 * (tia / true.tia_mbq_h - 1.0),
        "voxel_mean_gy": None if one.voxels is None or true.kind == "marrow" else one.voxels.mean_gy.value,
        "true_dose_gy": true.dose_gy,
    }  # fmt: skip
    if dose is None or dose.value is None:
        return row
    row |= {"dose_gy": dose.value, "dose_gy_low": dose.low, "dose_gy_high": dose.high}
    if dose.low is not None and dose.high is not None:
        row["within"] = dose.low <= true.dose_gy <= dose.high
    return row


def _sentence(rows: list[dict[str, Any]]) -> str:
    """The comparison in one sentence."""
    off = [
        r["tia_difference_percent"] for r in rows if r["kind"] == "organ" and r["tia_difference_percent"] is not None
    ]
    judged: list[Mapping[str, Any]] = [r for r in rows if "within" in r]
    held = sum(bool(r["within"]) for r in judged)
    return (
        f"Against the truth: time-integrated activities of organs are off by {min(off):+.1f} to {max(off):+.1f} %, and "
        f"{held} of {len(judged)} intervals hold the true dose."
    )
