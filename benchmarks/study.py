"""The study that every benchmark reads: 400 PET slices of 200 x 200 with a slope each, 400 CT slices of 512 x 512.

It is the digital patient of :mod:`fusin.imaging.phantom`, written once into a folder of the system's temporary
directory (about 300 MB) and found there again by later runs; ``FUSIN_BENCH_CACHE`` names another place.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fusin.imaging.phantom import make_patient, write_patient

__all__ = ["BenchStudy", "bench_study"]

SLICES = 400
SPACING_MM = (4.0728, 4.0728, 2.5)
NAME = "fusin-bench-study-1"


@dataclass(frozen=True, slots=True)
class BenchStudy:
    """Where the study lies.

    Attributes
    ----------
    folder : PET and CT below it, and nothing else: what a user would read
    pet, ct : one folder for each series
    organs : organ labels as DICOM SEG, beside the study so that scanning it does not meet them
    """

    folder: Path
    pet: Path
    ct: Path
    organs: Path


def bench_study() -> BenchStudy:
    """Find the study, or make it (about a minute)."""
    base = Path(os.environ.get("FUSIN_BENCH_CACHE") or tempfile.gettempdir()) / NAME
    images, organs = base / "images", base / "SEG_organs.dcm"
    if not organs.exists():
        _make(base)
    found = BenchStudy(images, images / "PET", images / "CT", organs)
    counts = [len(list(folder.glob("*.dcm"))) for folder in (found.pet, found.ct)]
    if counts != [SLICES, SLICES]:
        raise SystemExit(f"{base} holds {counts} files instead of {[SLICES, SLICES]}; remove the folder")
    return found


def _make(base: Path) -> None:
    shutil.rmtree(base, ignore_errors=True)
    base.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=base.parent, prefix=NAME) as beside:
        written = write_patient(Path(beside) / "images", make_patient(seed=1, spacing_mm=SPACING_MM, slices=SLICES))
        if written.organs is None:
            raise SystemExit("the digital patient came without organ labels")
        organs = written.organs.rename(Path(beside) / written.organs.name)
        for path in (written.seg, written.rtstruct):
            if path is not None:
                path.unlink()
        base.mkdir()
        (Path(beside) / "images").rename(base / "images")
        organs.rename(base / "SEG_organs.dcm")


if __name__ == "__main__":
    study = bench_study()
    print(f"PET {study.pet}\nCT {study.ct}\nlabels {study.organs}")
