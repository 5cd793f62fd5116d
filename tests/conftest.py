"""Fixtures that several wings share: one digital patient for the whole run, and one reading of it for each worker."""

from __future__ import annotations

import pickle
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fusin.imaging.phantom import DigitalPatient, WrittenPatient

WAIT_S = 300.0


@dataclass(frozen=True)
class PhantomStudy:
    """The digital patient with 5 mm voxels, and its files; tests must not write into ``written.folder``."""

    patient: DigitalPatient
    written: WrittenPatient


@dataclass(frozen=True)
class PhantomReading:
    """A reading of the digital patient, the study behind it, and the log that it filled."""

    reading: Any
    study: Any
    log: Any


def _build(root: Path) -> None:
    from fusin.imaging.phantom import make_patient, write_patient

    patient = make_patient(spacing_mm=(5.0, 5.0, 5.0), seed=0)
    written = write_patient(root / "study", patient)
    part = root / "patient.part"
    part.write_bytes(pickle.dumps((patient, written)))
    # The file appears whole or not at all, so that a waiting worker never reads half of it.
    part.rename(root / "patient.pickle")


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> PhantomStudy:
    """Build the digital patient once for the whole run; the first worker builds, the others wait."""
    base = tmp_path_factory.getbasetemp()
    # Without xdist the parent outlives the run and would be shared with other runs.
    root = (base if worker_id == "master" else base.parent) / "digital-patient"
    done = root / "patient.pickle"
    try:
        root.mkdir()
    except FileExistsError:
        deadline = time.monotonic() + WAIT_S
        while not done.exists():
            if (root / "failed").exists() or time.monotonic() > deadline:
                pytest.fail("another worker could not build the digital patient")
            time.sleep(0.2)
    else:
        try:
            _build(root)
        except BaseException:
            (root / "failed").touch()
            raise
    return PhantomStudy(*pickle.loads(done.read_bytes()))


def _read(phantom: PhantomStudy, **options: Any) -> PhantomReading:
    from fusin.provenance import NoticeLog
    from fusin.quantification.pipeline import ReadOptions, read_study

    log = NoticeLog()
    reading, study = read_study(phantom.written.folder, log, options=ReadOptions(**options))
    return PhantomReading(reading, study, log)


@pytest.fixture(scope="session")
def labelled(phantom: PhantomStudy) -> PhantomReading:
    """Read with the true organ labels."""
    return _read(phantom, labels=phantom.written.organs)


@pytest.fixture(scope="session")
def unlabelled(phantom: PhantomStudy) -> PhantomReading:
    """Read with what the CT alone gives."""
    return _read(phantom)
