"""Metrics in regions that somebody drew, on any PET series that can be brought to SUV."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fusin.imaging.mask_sources import referenced_series_uid
from fusin.imaging.masks import read_regions
from fusin.imaging.suv import SUV_METHOD
from fusin.imaging.volume import Region
from fusin.provenance import Notice, NoticeLog, Provenance, jsonable, versions
from fusin.quantification.methods import METRICS_METHODS
from fusin.quantification.metrics import RegionMetrics, measure_region
from fusin.quantification.study import Stage, Study, StudyOptions, input_files, open_study, silent

__all__ = ["Measured", "measure_study"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Measured:
    """Metrics of given regions.

    Attributes
    ----------
    series : facts of the PET series
    study : the opened study
    regions : regions on the PET grid, in the order of the file
    metrics : one entry per region
    """

    series: Mapping[str, Any]
    study: Study
    regions: tuple[Region, ...]
    metrics: tuple[RegionMetrics, ...]
    notices: tuple[Notice, ...]
    provenance: Provenance
    outputs: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The contract of ``fusin measure --json``."""
        return {
            "series": jsonable(self.series),
            "regions": [m.to_json() for m in self.metrics],
            "outputs": jsonable(self.outputs),
            "notices": [n.to_json() for n in self.notices],
            "provenance": self.provenance.to_json(),
        }


def measure_study(
    dicom: Path, regions_path: Path, log: NoticeLog, *, options: StudyOptions | None = None, progress: Stage = silent
) -> Measured:
    """Measure regions in a PET series.

    Parameters
    ----------
    dicom : folder, zip archive, DICOMDIR or file with the PET
    regions_path : DICOM SEG, RTSTRUCT, NIfTI mask or label map, or a folder with one of them
    log : receives every notice
    options : choices of the user
    progress : called with (stage, done, total)
    """
    options = options or StudyOptions()
    uid = referenced_series_uid(regions_path)
    study = open_study(dicom, log, options=options, referenced_uid=uid, with_ct=False, progress=progress)
    if uid and uid != study.pet_series.uid:
        log.info(
            "REGIONS_OF_OTHER_SERIES",
            f"the regions were drawn on series {uid} and are measured on {study.pet_series.uid}",
            where=regions_path.name,
        )
    regions = read_regions(regions_path, grid=study.pet.grid, log=log)
    metrics = []
    for number, region in enumerate(regions, start=1):
        metrics.append(measure_region(study.pet, region, log=log))
        progress("measuring", number, len(regions))
    provenance = Provenance(
        inputs=input_files(study, (regions_path,)),
        parameters={
            "norm": options.suv.norm,
            "series": options.series,
            "protocol": options.protocol,
            "strict": options.strict,
        },
        methods=(SUV_METHOD, *METRICS_METHODS),
        versions=versions("numpy", "pydicom"),
    )
    return Measured(
        series=study.facts,
        study=study,
        regions=regions,
        metrics=tuple(metrics),
        notices=log.notices,
        provenance=provenance,
    )
