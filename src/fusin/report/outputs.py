"""Writing a reading: tables, JSON, volumes, DICOM objects and the page, each beside first and then renamed."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusin.errors import FusinError
from fusin.files import write_bytes_atomically
from fusin.imaging.nifti import write_nifti
from fusin.imaging.volume import Region
from fusin.provenance import NoticeLog, canonical_json
from fusin.quantification.lesions import Lesion
from fusin.quantification.measuring import Measured
from fusin.quantification.metrics import RegionMetrics
from fusin.quantification.reading import Reading
from fusin.quantification.references import ReferenceRegion
from fusin.quantification.study import Stage, Study, silent
from fusin.quantification.tables import lesion_table, reference_table, region_table

if TYPE_CHECKING:
    import pandas as pd

    from fusin.imaging.structured_report import Measurement, MeasurementGroup

__all__ = ["write_measured", "write_reading"]

_SITES = {
    "blood_pool": "aorta_descending",
    "liver": "liver",
    "spleen": "spleen",
    "marrow": "bone_marrow",
    "brain": "brain",
    "muscle": "muscle",
    "adrenal": "adrenal_gland",
}


_NAMES = (
    "lesions.csv", "lesions.parquet", "references.csv", "suv.nii", "segmentation.dcm", "measurements.dcm", "suv_map.dcm",
    "report.html", "reading.json",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Job:
    key: str
    name: str
    write: Callable[[Path], Any]


def write_reading(
    reading: Reading,
    study: Study,
    folder: Path,
    log: NoticeLog,
    *,
    dicom: bool = True,
    report: bool = True,
    window: tuple[float, float] = (0.0, 10.0),
    title: str | None = None,
    created: datetime | None = None,
    progress: Stage = silent,
) -> Reading:
    """Write everything a reading leaves behind.

    Parameters
    ----------
    reading : result
    study : the study it came from; its headers go into the DICOM objects
    folder : made when absent
    log : receives notices of the writers; an object that cannot be written is named and the others are written
    dicom : whether SEG, SR and parametric map are written
    report : whether the page is written
    window : SUV limits of the pictures
    title : heading of the page
    created : moment stamped into the DICOM objects, for byte-identical output
    progress : called with (stage, done, total)

    Returns
    -------
    Reading
        The same reading with ``outputs`` (name to file name) and the writers' notices.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # What an earlier reading left here would be taken for this one's, and its SEG would be cited by a new SR.
    for name in _NAMES:
        (folder / name).unlink(missing_ok=True)
    jobs = _plain_jobs(reading)
    if dicom:
        jobs.extend(_dicom_jobs(reading, study, folder, log, created))
    outputs: dict[str, str] = {}
    for number, job in enumerate(jobs, start=1):
        _run(job, folder, outputs, log)
        progress("writing", number, len(jobs) + report + 1)
    if report:
        from fusin.report.page import render_report

        complete = replace(reading, outputs={**outputs, "report": "report.html"}, notices=log.notices)
        page = _Job("report", "report.html", lambda p: render_report(complete, p, window=window, title=title))
        _run(page, folder, outputs, log)
        progress("writing", len(jobs) + 1, len(jobs) + 2)
    outputs["json"] = "reading.json"
    reading = replace(reading, outputs=dict(outputs), notices=log.notices)
    write_bytes_atomically(folder / "reading.json", (canonical_json(reading.to_json()) + "\n").encode())
    progress("writing", len(jobs) + report + 1, len(jobs) + report + 1)
    return reading


def _plain_jobs(reading: Reading) -> list[_Job]:
    return [
        _Job("lesions_csv", "lesions.csv", lambda p: _csv(lesion_table(reading), p)),
        _Job("lesions_parquet", "lesions.parquet", lambda p: _parquet(lesion_table(reading), p)),
        _Job("physiological_csv", "physiological.csv", lambda p: _csv(lesion_table(reading, physiological=True), p)),
        _Job("references_csv", "references.csv", lambda p: _csv(reference_table(reading), p)),
        _Job("suv_nifti", "suv.nii", lambda p: write_nifti(p, reading.pet)),
    ]


def _run(job: _Job, folder: Path, outputs: dict[str, str], log: NoticeLog) -> None:
    try:
        job.write(folder / job.name)
    except FusinError as err:
        log.warning("OUTPUT_NOT_WRITTEN", f"{job.name} was not written: {err}", where=job.name)
        return
    outputs[job.key] = job.name


def _csv(table: pd.DataFrame, path: Path) -> None:
    write_bytes_atomically(path, table.to_csv(index=False, lineterminator="\n", float_format="%.10g").encode())


def _parquet(table: pd.DataFrame, path: Path) -> None:
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    write_bytes_atomically(path, buffer.getvalue())


def _dicom_jobs(reading: Reading, study: Study, folder: Path, log: NoticeLog, created: datetime | None) -> list[_Job]:
    from fusin.imaging.parametric_map import write_parametric_map
    from fusin.imaging.segment_objects import write_seg
    from fusin.imaging.structured_report import write_sr

    source = study.source_headers()
    regions, groups = _segments(reading)
    description = "fusin lesion candidates and reference regions"

    def seg(path: Path) -> None:
        write_seg(path, regions, source=source, log=log, series_description=description, created=created)

    def report(path: Path) -> None:
        write_sr(
            path, groups, source=source, seg_path=folder / "segmentation.dcm", log=log, created=created,
            comments=_comments(reading), series_description="fusin PET measurements",
        )  # fmt: skip

    def suv(path: Path) -> None:
        write_parametric_map(
            path, reading.pet, source=source, log=log, series_description="fusin SUVbw", created=created
        )

    jobs = [_Job("suv_parametric_map", "suv_map.dcm", suv)]
    if regions:
        jobs = [
            _Job("segmentation", "segmentation.dcm", seg),
            _Job("structured_report", "measurements.dcm", report),
            *jobs,
        ]
    else:
        log.info(
            "NO_SEGMENTS",
            "there is no lesion and no reference region, so that no SEG and SR were written",
            where="outputs",
        )
    return jobs


def _comments(reading: Reading) -> tuple[str, ...]:
    threshold = reading.threshold
    lines = [f"Threshold: {threshold.get('because')}"]
    lines += [f"{n.code}: {n.message}" for n in reading.notices if n.severity != "info"]
    return tuple(lines)


def _segments(reading: Reading) -> tuple[list[Region], list[MeasurementGroup]]:
    """Regions of the SEG in order, and the measurements of each."""
    from fusin.imaging.structured_report import MeasurementGroup

    regions: list[Region] = []
    groups: list[MeasurementGroup] = []
    for lesion in reading.lesions:
        if not lesion.region.voxels:
            continue
        name = f"lesion {lesion.number}" if lesion.status == "candidate" else lesion.region.name
        kind = "AUTOMATIC" if lesion.status == "candidate" else "MANUAL"
        regions.append(lesion.region.renamed(name, site=lesion.site, algorithm_type=kind))
        groups.append(
            MeasurementGroup(
                segment_number=len(regions),
                measurements=_lesion_measurements(lesion, reading.references),
                site=lesion.site,
            )
        )
    for reference in reading.references:
        site = _SITES[reference.kind]
        kind = "AUTOMATIC" if reference.method in ("automatic", "labels") else "SEMIAUTOMATIC"
        regions.append(reference.region.renamed(f"reference {reference.kind}", code=site, algorithm_type=kind))
        groups.append(
            MeasurementGroup(segment_number=len(regions), measurements=_reference_measurements(reference), site=site)
        )
    return regions, groups


def _lesion_measurements(lesion: Lesion, references: Sequence[ReferenceRegion]) -> tuple[Measurement, ...]:
    from fusin.imaging.structured_report import Measurement

    means = {r.kind: r for r in references}
    found = list(_suv_measurements(lesion.metrics))
    for ratio in lesion.tbrs:
        if ratio.statistic != "max/mean" or ratio.reference not in means:
            continue
        background = means[ratio.reference]
        site = _SITES[background.kind]
        found.append(
            Measurement(
                concept="lesion_to_background_ratio",
                value=ratio.value,
                unit="1",
                site=site,
                low=_finite(ratio.low),
                high=_finite(ratio.high),
            )
        )
        found.append(
            Measurement(concept="lesion_to_background_background", value=background.mean, unit="g/ml{SUVbw}", site=site)
        )
    return tuple(found)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _suv_measurements(metrics: RegionMetrics) -> tuple[Measurement, ...]:
    from fusin.imaging.structured_report import Measurement

    suv, found = "g/ml{SUVbw}", []
    for derivation in ("max", "mean", "min", "median", "sd"):
        value = getattr(metrics, f"suv_{derivation}")
        if value is not None:
            found.append(Measurement(concept="suvbw", value=value, unit=suv, derivation=derivation))
    if metrics.suv_peak is not None:
        found.append(
            Measurement(
                concept="suvbw", value=metrics.suv_peak, unit=suv, derivation="peak", method=metrics.suv_peak_definition
            )
        )
    found.append(Measurement(concept="metabolic_volume", value=metrics.volume_ml, unit="ml"))
    if metrics.total_lesion_uptake is not None:
        found.append(Measurement(concept="total_lesion_uptake", value=metrics.total_lesion_uptake, unit="g"))
    return tuple(found)


def _reference_measurements(reference: ReferenceRegion) -> tuple[Measurement, ...]:
    from fusin.imaging.structured_report import Measurement

    suv = "g/ml{SUVbw}"
    return (
        Measurement(
            concept="suvbw", value=reference.mean, unit=suv, derivation="mean", low=_finite(reference.mean_low),
            high=_finite(reference.mean_high),
        ),
        Measurement(concept="suvbw", value=reference.sd, unit=suv, derivation="sd"),
        Measurement(concept="metabolic_volume", value=reference.volume_ml, unit="ml"),
    )  # fmt: skip


def write_measured(measured: Measured, folder: Path) -> Mapping[str, str]:
    """Write the table of measured regions as CSV and Parquet, and the JSON; returns name to file name."""
    folder.mkdir(parents=True, exist_ok=True)
    table = region_table(measured.series, measured.metrics)
    _csv(table, folder / "regions.csv")
    _parquet(table, folder / "regions.parquet")
    outputs = {"regions_csv": "regions.csv", "regions_parquet": "regions.parquet", "json": "regions.json"}
    document = {**measured.to_json(), "outputs": outputs}
    write_bytes_atomically(folder / "regions.json", (canonical_json(document) + "\n").encode())
    return outputs
