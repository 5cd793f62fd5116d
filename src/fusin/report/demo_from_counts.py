"""From counts to a reading and to doses: a patient of solids is counted, reconstructed, read, and compared with the truth."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusin.dosimetry.image_dose import ImageDose
from fusin.files import write_bytes_atomically
from fusin.provenance import Method, NoticeLog
from fusin.quantification.reading import Reading
from fusin.quantification.study import Stage, silent
from fusin.reconstruction.phantoms import Phantom
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of, write_job
from fusin.report.table_text import shown_columns
from fusin.tabular.columns import Column
from fusin.tabular.rows import to_frame

if TYPE_CHECKING:
    import pandas as pd

    from fusin.report.from_counts_spect import CountedTherapy

__all__ = ["READING_COLUMNS", "SPHERE_COLUMNS", "TIA_COLUMNS", "FromCounts", "run_from_counts"]

READING_COLUMNS = (
    Column("lesion", "string", "planted lesion"),
    Column("diameter_mm", "float64", "of the sphere"),
    Column("true_suv", "float64", "planted uptake"),
    Column("found", "boolean", "whether the reading has a lesion there"),
    Column("suv_max", "float64", "of the reading"),
    Column("suv_mean", "float64", "of the reading, above its threshold"),
)
TIA_COLUMNS = (
    Column("region", "string", "organ or lesion"),
    Column("tia_mbq_h", "float64", "time-integrated activity from the reconstructed images"),
    Column("tia_mbq_h_low", "float64", "lower limit of `tia_mbq_h`"),
    Column("tia_mbq_h_high", "float64", "upper limit of `tia_mbq_h`"),
    Column("true_tia_mbq_h", "float64", "what was planted"),
    Column("off_percent", "float64", "the first against the truth"),
    Column("recovery", "float64", "what the mean of the region was divided by"),
    Column("recovery_u", "float64", "its standard uncertainty"),
    Column("dose_gy", "float64", "self-dose"),
    Column("dose_gy_low", "float64", "lower limit of `dose_gy`"),
    Column("dose_gy_high", "float64", "upper limit of `dose_gy`"),
)
SPHERE_COLUMNS = (
    Column("diameter_mm", "float64", "of the sphere"),
    Column("volume_ml", "float64", "of the sphere"),
    Column("recovery", "float64", "measured contrast over the true one"),
    Column("fitted", "float64", "1 - c / d with the mean layer c of all spheres"),
)
_HEADINGS = {
    "diameter_mm": "diameter [mm]", "true_suv": "true SUV", "suv_max": "SUVmax", "suv_mean": "SUVmean", "tia_mbq_h": "TIA [MBq h]",
    "true_tia_mbq_h": "true", "off_percent": "off by [%]", "dose_gy": "dose [Gy]", "recovery": "recovery",
    "recovery_u": "u of recovery",
    "volume_ml": "volume [mL]", "fitted": "of the layer",
}  # fmt: skip
_PET_TEXT = (
    "The coincidences come from lines across the faces of the crystals through solids, with scatter and randoms; the "
    "reconstruction walks single lines through voxels. Attenuation comes from a CT of the same solids. Scatter and randoms are "
    "taken as known in the mean, which a real scan has to estimate.",
)
_SPECT_TEXT = (
    "The projections of three days come from lines through solids with a Gaussian response of each slab; the reconstruction turns "
    "voxels. Scatter is estimated from two windows beside the photopeak, attenuation from the CT.",
    "Recovery coefficients come from ten spheres of another phantom, counted by the same camera in the same run and reconstructed "
    "with the same settings. What a blur takes is a layer at the surface, c / d of a sphere; a region takes that of the sphere "
    "that a Gaussian would blur as much as its outline, and what shines into it from around it is taken from a shell of the image "
    "of the first day. Nothing of what was planted in the patient enters; the interval holds how far single spheres lie from the "
    "layer.",
)


_METHODS = (
    Method(
        "analytic-phantom",
        "Counts from exact line integrals through solids; docs/methods.md, phantoms and simulated counts.",
    ),
    Method("osem", "Hudson HM, Larkin RS, IEEE Trans Med Imaging 1994;13:601."),
    Method("triple-energy-window", "Ogawa K et al., IEEE Trans Med Imaging 1991;10:408."),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FromCounts:
    """What came of it.

    Attributes
    ----------
    reading : of the PET that was reconstructed
    doses : of the SPECT that were reconstructed
    output : the page
    """

    reading: Reading
    doses: ImageDose
    output: JobOutput


def run_from_counts(folder: Path, *, seed: int = 0, progress: Stage = silent) -> FromCounts:
    """Simulate counts of a patient before and after therapy, reconstruct, read and compute doses.

    Parameters
    ----------
    folder : receives ``pet`` (counts, images, reading), ``therapy`` (projections, configurations, images) and the page
    seed : of the counts
    progress : called with (stage, done, total)
    """
    from fusin.report.from_counts_pet import count_and_read
    from fusin.report.from_counts_spect import TIMES_H, count_and_dose

    folder.mkdir(parents=True, exist_ok=True)
    scan, log = datetime(2026, 3, 2, 11, 0), NoticeLog()
    reading, patient = count_and_read(folder / "pet", scan_start=scan, seed=seed, log=log, progress=progress)
    therapy = count_and_dose(
        folder / "therapy", injected=scan + timedelta(days=7), seed=seed, log=log, progress=progress
    )
    frames = to_frame(_lesion_rows(reading, patient), READING_COLUMNS), to_frame(_tia_rows(therapy), TIA_COLUMNS)
    spheres = to_frame([asdict(s) for s in therapy.recovery.spheres], SPHERE_COLUMNS)
    write_bytes_atomically(
        folder / "truth.json",
        (json.dumps({"pet": patient.truth(), "tia_mbq_h": therapy.truth}, indent=1) + "\n").encode(),
    )
    found = int(frames[0]["found"].sum())
    summary = (
        f"{found} of {len(frames[0])} planted lesions were found in the PET that was reconstructed from counts.",
        f"Time-integrated activities of {len(frames[1])} regions come from SPECT of {len(TIMES_H)} days; "
        f"{_held(frames[1])} of them have what was planted within their 95 % interval.",
    )
    sections = (
        JobSection(name="reading", title="From coincidences to a reading", text=_PET_TEXT,
                   tables=(JobTable(name="lesions", title="Planted lesions", frame=frames[0],
                   shown=shown_columns(frames[0], READING_COLUMNS, headings=_HEADINGS)),)),
        JobSection(name="dose", title="From projections to doses", text=_SPECT_TEXT,
                   tables=(JobTable(name="tia", title="Time-integrated activity", frame=frames[1],
                   shown=shown_columns(frames[1], TIA_COLUMNS, headings=_HEADINGS)),
                   JobTable(name="spheres", title="Spheres of the phantom", frame=spheres,
                   shown=shown_columns(spheres, SPHERE_COLUMNS, headings=_HEADINGS))), figures=therapy.figures),
    )  # fmt: skip
    document = {
        "lesions": frames[0].to_dict("records"),
        "regions": frames[1].to_dict("records"),
        "spheres": spheres.to_dict("records"),
    }
    output = JobOutput(
        title="From counts to reading and dose",
        document=document,
        sections=sections,
        summary=summary,
        notices=log.notices,
        provenance=provenance_of([], {"seed": seed}, methods=_METHODS),
    )
    write_job(output, folder)
    return FromCounts(reading=reading, doses=therapy.doses, output=output)


def _held(frame: pd.DataFrame) -> int:
    """Integrals whose interval holds the truth."""
    truth = frame["true_tia_mbq_h"]
    return int(((frame["tia_mbq_h_low"] <= truth) & (truth <= frame["tia_mbq_h_high"])).sum())


def _lesion_rows(reading: Reading, patient: Phantom) -> list[dict[str, Any]]:
    rows = []
    for part in (p for p in patient.parts if p.name.startswith("lesion")):
        radius = part.solid.half_mm[0]
        near = [
            one for one in reading.lesions
            if float(sum((a - b) ** 2 for a, b in zip(one.region.centroid_mm(), part.solid.centre_mm, strict=True))) ** 0.5
            < max(radius, _NEAR_MM)
        ]  # fmt: skip
        best = max(near, key=lambda one: one.metrics.suv_max or 0.0, default=None)
        rows.append({
            "lesion": part.name, "diameter_mm": 2 * radius, "true_suv": float(part.source.split()[1].rstrip(",")),
            "found": best is not None, "suv_max": None if best is None else best.metrics.suv_max,
            "suv_mean": None if best is None else best.metrics.suv_mean,
        })  # fmt: skip
    return rows


_NEAR_MM = 12.0


def _tia_rows(therapy: CountedTherapy) -> list[dict[str, Any]]:
    rows = []
    for one in therapy.doses.regions:
        planted, dose, by = therapy.truth[one.dose.name], one.dose.dose_gy, therapy.divided_by[one.dose.name]
        row: dict[str, Any] = {
            "region": one.dose.name,
            "true_tia_mbq_h": planted,
            "recovery": by.value,
            "recovery_u": by.u,
        }
        if dose is not None:
            row |= {"dose_gy": dose.value, "dose_gy_low": dose.low, "dose_gy_high": dose.high}
        if one.dose.integral is not None:
            tia = one.dose.integral.tia_mbq_h
            row |= {"tia_mbq_h": tia.value, "tia_mbq_h_low": tia.low, "tia_mbq_h_high": tia.high}
            row["off_percent"] = None if tia.value is None else 100.0 * (tia.value / planted - 1.0)
        rows.append({**dict.fromkeys((c.name for c in TIA_COLUMNS), None), **row})
    return rows
