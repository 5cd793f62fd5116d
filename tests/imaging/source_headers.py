"""Source headers and read-back helpers for the tests of the DICOM writers, made with pydicom alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from fusin.imaging.volume import Grid

STUDY, SERIES, FRAME = "1.2.826.0.1.3680043.10.1", "1.2.826.0.1.3680043.10.2", "1.2.826.0.1.3680043.10.3"
PET_CLASS, ENHANCED_PET_CLASS = "1.2.840.10008.5.1.4.1.1.128", "1.2.840.10008.5.1.4.1.1.130"


def rotation(x_deg: float, y_deg: float, z_deg: float) -> np.ndarray:
    """Rotation matrix about the three axes in turn."""
    cx, cy, cz = np.cos(np.radians([x_deg, y_deg, z_deg]))
    sx, sy, sz = np.sin(np.radians([x_deg, y_deg, z_deg]))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def make_grid(
    shape: tuple[int, int, int] = (7, 9, 11),
    *,
    spacing: tuple[float, float, float] = (4.0728, 4.0728, 3.0),
    angles: tuple[float, float, float] = (0.0, 0.0, 0.0),
    origin: tuple[float, float, float] = (-150.5, -260.25, 37.125),
    reverse: bool = False,
) -> Grid:
    """Grid in any orientation; ``reverse`` stacks the slices against the normal."""
    affine = np.eye(4)
    affine[:3, :3] = rotation(*angles) @ np.diag([*spacing[:2], -spacing[2] if reverse else spacing[2]])
    affine[:3, 3] = origin
    return Grid(shape=shape, affine=affine, frame_of_reference_uid=FRAME)


def _decimal(values: Any) -> list[str]:
    return [f"{float(v):.10g}" for v in values]


def common_header(**tags: Any) -> Dataset:
    """Patient, study and series attributes; a tag given as None is left out of the object."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    values: dict[str, Any] = {
        "SOPClassUID": PET_CLASS,
        "PatientName": "Test^Phantom",
        "PatientID": "T001",
        "PatientBirthDate": "19600101",
        "PatientSex": "F",
        "PatientWeight": "70",
        "StudyInstanceUID": STUDY,
        "StudyDate": "20260105",
        "StudyTime": "101500",
        "StudyID": "1",
        "AccessionNumber": "A1",
        "ReferringPhysicianName": "",
        "SeriesInstanceUID": SERIES,
        "FrameOfReferenceUID": FRAME,
        "Modality": "PT",
        "Manufacturer": "SIEMENS",
        "ManufacturerModelName": "Biograph",
    }
    for keyword, value in {**values, **tags}.items():
        if value is not None:
            setattr(ds, keyword, value)
    return ds


def pet_headers(grid: Grid, *, transfer_syntax: str = ExplicitVRLittleEndian, **tags: Any) -> list[Dataset]:
    """One header per slice of a grid, as after ``dcmread(..., stop_before_pixels=True)``."""
    headers = []
    sx, sy, sz = grid.spacing_mm
    for index in range(grid.shape[0]):
        ds = common_header(**tags)
        ds.file_meta.TransferSyntaxUID = transfer_syntax
        ds.SOPInstanceUID = f"{SERIES}.{index + 1}"
        ds.Rows, ds.Columns = grid.shape[1:]
        ds.ImagePositionPatient = _decimal(grid.to_mm([0, 0, index]))
        ds.ImageOrientationPatient = _decimal([*(grid.affine[:3, 0] / sx), *(grid.affine[:3, 1] / sy)])
        ds.PixelSpacing = _decimal([sy, sx])
        ds.SliceThickness = _decimal([sz])[0]
        headers.append(ds)
    return headers


def enhanced_header(grid: Grid, order: list[int]) -> Dataset:
    """Header of an Enhanced PET object whose frame i + 1 shows grid slice ``order[i]``."""
    ds = common_header(SOPClassUID=ENHANCED_PET_CLASS)
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPInstanceUID = f"{SERIES}.1"
    ds.Rows, ds.Columns = grid.shape[1:]
    ds.NumberOfFrames = len(order)
    ds.SharedFunctionalGroupsSequence = [Dataset()]
    groups = []
    for index in order:
        position, group = Dataset(), Dataset()
        position.ImagePositionPatient = _decimal(grid.to_mm([0, 0, index]))
        group.PlanePositionSequence = [position]
        groups.append(group)
    ds.PerFrameFunctionalGroupsSequence = groups
    return ds


def through_disk(headers: list[Dataset], folder: Path, *, implicit: bool) -> list[Dataset]:
    """The headers after a round trip through files in one transfer syntax."""
    from pydicom import dcmread

    out = []
    for number, ds in enumerate(headers):
        path = folder / f"{number}.dcm"
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        dcmwrite(path, ds, enforce_file_format=True)
        out.append(dcmread(path, stop_before_pixels=True))
    return out


def on_grid(volume: Any, grid: Grid) -> np.ndarray:
    """Array of a highdicom volume in the slice order of a grid, after checking that it has the grid's geometry."""
    array, affine = volume.array, np.array(volume.affine)
    if affine[:3, 0] @ grid.affine[:3, 2] < 0:
        array = array[::-1]
        affine[:3, 3] += affine[:3, 0] * (array.shape[0] - 1)
        affine[:3, 0] *= -1
    # highdicom counts (slice, row, column), fusin (column, row, slice).
    np.testing.assert_allclose(affine[:3, [2, 1, 0, 3]], grid.affine[:3], atol=1e-6)
    assert array.shape[:3] == grid.shape
    return np.asarray(array)


def validation_errors(path: Path) -> list[str]:
    """Lines with which dciodvfy calls an object wrong."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy (Debian dicom3tools) is not installed")
    done = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert lines, "dciodvfy said nothing"
    return [line for line in lines if line.startswith("Error")]
