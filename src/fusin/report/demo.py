"""The demonstration: a digital patient is written as DICOM, read like any other, and compared with its truth."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from fusin.errors import InputError
from fusin.imaging.phantom import DigitalPatient, Subject, TrueLesion, make_patient, write_patient
from fusin.provenance import NoticeLog, jsonable
from fusin.quantification.lesions import Lesion
from fusin.quantification.pipeline import ReadOptions, read_study
from fusin.quantification.protocols import DEFAULT_PROTOCOL
from fusin.quantification.reading import Reading
from fusin.quantification.study import Stage, StudyOptions, silent
from fusin.report.outputs import write_reading

__all__ = ["Match", "TruthComparison", "compare_with_truth", "run_demo"]

MARKER = ".fusin-demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One planted lesion and what the reading made of it; values of the reading are None when it was missed."""

    name: str
    planted_volume_ml: float
    planted_suv: float
    number: int | None
    volume_ml: float | None
    suv_max: float | None
    suv_mean: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthComparison:
    """A reading of the digital patient against what was planted.

    Attributes
    ----------
    matches : one entry per planted lesion above the threshold
    below : planted lesions whose uptake lies below the threshold
    extra : numbers of candidates that hold no planted lesion
    """

    matches: tuple[Match, ...]
    below: tuple[str, ...]
    extra: tuple[int, ...]

    @property
    def found(self) -> int:
        """Number of planted lesions that were found."""
        return sum(match.number is not None for match in self.matches)

    def sentence(self) -> str:
        """The comparison in one sentence."""
        return (
            f"Against the truth: {self.found} of {len(self.matches)} planted lesions above the threshold were found, "
            f"{len(self.extra)} candidates are no planted lesion"
            + (f", {len(self.below)} planted lesions lie below the threshold." if self.below else ".")
        )

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "matches": [{name: jsonable(getattr(m, name)) for name in m.__slots__} for m in self.matches],
            "below": list(self.below),
            "extra": list(self.extra),
        }


def _holds(lesion: Lesion, truth: TrueLesion) -> bool:
    """Whether a candidate shares voxels with a planted lesion."""
    inside = {tuple(index) for index in truth.region.indices().tolist()}
    return any(tuple(index) in inside for index in lesion.region.indices().tolist())


def compare_with_truth(reading: Reading, patient: DigitalPatient) -> TruthComparison:
    """Match candidates and planted lesions by shared voxels."""
    threshold = reading.threshold.get("suv")
    matches, below, used = [], [], set()
    for truth in patient.lesions:
        if threshold is not None and float(truth.region.values_in(reading.pet).max()) < threshold:
            below.append(truth.name)
            continue
        holders = [lesion for lesion in reading.lesions if _holds(lesion, truth)]
        best = max(holders, key=lambda lesion: lesion.metrics.suv_max or 0.0, default=None)
        used |= {lesion.number for lesion in holders}
        matches.append(
            Match(
                name=truth.name, planted_volume_ml=truth.volume_ml, planted_suv=truth.suv,
                number=best.number if best else None, volume_ml=best.metrics.volume_ml if best else None,
                suv_max=best.metrics.suv_max if best else None, suv_mean=best.metrics.suv_mean if best else None,
            )
        )  # fmt: skip
    extra = tuple(lesion.number for lesion in reading.lesions if lesion.number not in used)
    return TruthComparison(matches=tuple(matches), below=tuple(below), extra=extra)


def run_demo(
    out: Path, *, quick: bool = False, adenoma: bool = False, seed: int = 0, progress: Stage = silent
) -> tuple[Reading, TruthComparison]:
    """Make the digital patient, read it with its organ labels, write everything, compare with the truth.

    Parameters
    ----------
    out : folder; a folder that an earlier demo made is replaced, any other must be empty or absent
    quick : coarse voxels
    adenoma : an aldosterone-producing adenoma of the left adrenal instead of lesions, scanned at 40 min
    seed : of the noise
    progress : called with (stage, done, total)

    Raises
    ------
    InputError
        When the folder holds something that no demo made, or for a negative seed.
    """
    if seed < 0:
        raise InputError("demo", "seed", seed, "0 or more")
    if out.exists():
        if not out.is_dir() or (any(out.iterdir()) and not (out / MARKER).exists()):
            raise InputError(
                str(out),
                "--out",
                "a folder with other things in it",
                "a new or empty folder, or that of an earlier demo",
            )
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out / MARKER).touch()
    progress("making the patient", 0, 2)
    subject = Subject(scan_start=Subject().injected_at + timedelta(minutes=40)) if adenoma else Subject()
    spacing = (5.0, 5.0, 5.0) if quick else (4.0728, 4.0728, 3.0)
    patient = make_patient(seed=seed, spacing_mm=spacing, adenoma=adenoma, subject=subject)
    progress("making the patient", 1, 2)
    written = write_patient(out / "dicom", patient)
    progress("making the patient", 2, 2)
    log = NoticeLog()
    protocol = "aldosteronism-late" if adenoma else DEFAULT_PROTOCOL
    options = ReadOptions(labels=written.organs, study=StudyOptions(protocol=protocol))
    reading, study = read_study(written.folder, log, options=options, progress=progress)
    title = "Digital patient with an adrenal adenoma" if adenoma else "Digital patient: CXCR4 PET/CT reading"
    reading = write_reading(reading, study, out, log, title=title, progress=progress)
    return reading, compare_with_truth(reading, patient)
