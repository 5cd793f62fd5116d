"""The demonstration: a digital patient is written as DICOM, read like any other, and compared with its truth."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from fusin.errors import InputError
from fusin.files import write_bytes_atomically
from fusin.imaging.phantom import DigitalPatient, Subject, TrueLesion, make_patient, write_patient
from fusin.provenance import NoticeLog, jsonable
from fusin.quantification.lesions import Lesion
from fusin.quantification.pipeline import ReadOptions, read_study
from fusin.quantification.protocols import DEFAULT_PROTOCOL
from fusin.quantification.reading import Reading
from fusin.quantification.study import Stage, StudyOptions, silent
from fusin.report.job_output import JobOutput
from fusin.report.outputs import write_reading

__all__ = ["Match", "TruthComparison", "compare_with_truth", "run_counts_demo", "run_demo"]

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


def _shared(lesion: Lesion, truth: TrueLesion) -> int:
    """Voxels that a candidate shares with a planted lesion."""
    inside = {tuple(index) for index in truth.region.indices().tolist()}
    return sum(tuple(index) in inside for index in lesion.region.indices().tolist())


def compare_with_truth(reading: Reading, patient: DigitalPatient) -> TruthComparison:
    """Match candidates and planted lesions by shared voxels; a candidate stands for one planted lesion only."""
    threshold = reading.threshold.get("suv")
    above: list[TrueLesion] = []
    below: list[TrueLesion] = []
    for truth in patient.lesions:
        dim = threshold is not None and float(truth.region.values_in(reading.pet).max()) < threshold
        (below if dim else above).append(truth)
    owners: dict[str, list[Lesion]] = {truth.name: [] for truth in above}
    extra: list[int] = []
    for lesion in reading.lesions:
        shares = [(_shared(lesion, truth), truth.name) for truth in above]
        share, name = max(shares, default=(0, ""))
        if share:
            owners[name].append(lesion)
        else:
            extra.append(lesion.number)
    matches = tuple(_match(truth, owners[truth.name]) for truth in above)
    return TruthComparison(matches=matches, below=tuple(truth.name for truth in below), extra=tuple(extra))


def _match(truth: TrueLesion, candidates: list[Lesion]) -> Match:
    best = max(candidates, key=lambda lesion: lesion.metrics.suv_max or 0.0, default=None)
    return Match(
        name=truth.name,
        planted_volume_ml=truth.volume_ml,
        planted_suv=truth.suv,
        number=best.number if best else None,
        volume_ml=best.metrics.volume_ml if best else None,
        suv_max=best.metrics.suv_max if best else None,
        suv_mean=best.metrics.suv_mean if best else None,
    )


def _fresh_folder(out: Path) -> None:
    """An empty folder; what an earlier demo wrote is replaced, what somebody else put there is never touched."""
    if out.exists() and not out.is_dir():
        raise InputError(str(out), "--out", "a file", "a folder, or a name that is free")
    present = {item.name for item in out.iterdir()} if out.exists() else set()
    marker = out / MARKER
    own = {MARKER, *marker.read_text(encoding="utf-8").split()} if MARKER in present else set()
    foreign = sorted(present - own)
    if foreign:
        found = f"things that no demo wrote ({', '.join(foreign[:3])})"
        raise InputError(str(out), "--out", found, "a new or empty folder, or that of an earlier demo")
    if present:
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    marker.write_text("dicom\n", encoding="utf-8")


def _sign_folder(out: Path) -> None:
    """Note what the demo wrote, so that the next one knows what it may replace."""
    names = sorted(item.name for item in out.iterdir() if item.name != MARKER)
    write_bytes_atomically(out / MARKER, ("\n".join(names) + "\n").encode())


def run_demo(
    out: Path, *, quick: bool = False, adenoma: bool = False, seed: int = 0, progress: Stage = silent
) -> tuple[Reading, TruthComparison]:
    """Make the digital patient, read it with its organ labels, write everything, compare with the truth.

    A made-up cohort with its tables, figures and page goes into ``cohort``, a day of the radiopharmacy into ``vial`` and
    assays into ``bench``, a dosimetry study into ``dose`` (not with ``adenoma``).

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
    _fresh_folder(out)
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
    if not adenoma:
        from fusin.report.demo_cohort import run_cohort_demo
        from fusin.report.demo_parts import (
            run_bench_demo,
            run_dose_demo,
            run_receptor_demo,
            run_reconstruction_demo,
            run_vial_demo,
        )

        run_cohort_demo(out / "cohort", seed=seed, progress=progress)
        run_vial_demo(out / "vial", seed=seed, progress=progress)
        run_bench_demo(out / "bench", seed=seed, progress=progress)
        run_dose_demo(out / "dose", seed=seed, progress=progress)
        run_receptor_demo(out / "receptor", seed=seed, progress=progress)
        run_reconstruction_demo(out / "reconstruction", seed=seed, progress=progress)
    _sign_folder(out)
    return reading, compare_with_truth(reading, patient)


def run_counts_demo(out: Path, *, seed: int = 0, progress: Stage = silent) -> JobOutput:
    """Simulate counts of a patient, reconstruct them, read the PET, compute doses from the SPECT; see `run_from_counts`.

    Parameters
    ----------
    out : folder; a folder that an earlier demo made is replaced, any other must be empty or absent
    seed : of the counts
    progress : called with (stage, done, total)

    Raises
    ------
    InputError
        When the folder holds something that no demo made.
    """
    from fusin.report.demo_from_counts import run_from_counts

    _fresh_folder(out)
    output = run_from_counts(out, seed=seed, progress=progress).output
    _sign_folder(out)
    return output
