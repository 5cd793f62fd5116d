"""Builders of grids, masks and source headers for the region tests; every random choice has a seed."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from fusin.imaging.volume import Grid

FRAME = "1.2.826.0.1.3680043.8.498.1234"


def rotation(angles_deg):
    """Rotation about x, then y, then z."""
    ax, ay, az = np.radians(angles_deg)
    rx = np.array([[1, 0, 0], [0, np.cos(ax), -np.sin(ax)], [0, np.sin(ax), np.cos(ax)]])
    ry = np.array([[np.cos(ay), 0, np.sin(ay)], [0, 1, 0], [-np.sin(ay), 0, np.cos(ay)]])
    rz = np.array([[np.cos(az), -np.sin(az), 0], [np.sin(az), np.cos(az), 0], [0, 0, 1]])
    return rz @ ry @ rx


def make_grid(
    shape=(6, 9, 11), *, spacing=(4.0, 4.0, 3.0), origin=(-50.0, -70.0, -300.0), angles=(0, 0, 0), frame=FRAME
):
    """Grid with spacing along (column, row, slice) and its axes turned by ``angles``."""
    affine = np.eye(4)
    affine[:3, :3] = rotation(angles) @ np.diag(spacing)
    affine[:3, 3] = origin
    return Grid(shape=shape, affine=affine, frame_of_reference_uid=frame)


def source_headers(grid, *, series="1.2.3.4.5"):
    """One CT header per slice of a grid, as a scanner writes them."""
    out = []
    step = np.linalg.norm(grid.affine[:3, 2])
    for k in range(grid.shape[0]):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        ds.SOPInstanceUID = generate_uid(entropy_srcs=[series, str(k)])
        ds.SeriesInstanceUID, ds.StudyInstanceUID, ds.FrameOfReferenceUID = (
            series,
            "1.2.3.4",
            grid.frame_of_reference_uid,
        )
        ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Doe^Jane", "P1", "19700101", "F"
        ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20260102", "101500", "1", "A1"
        ds.ReferringPhysicianName, ds.PositionReferenceIndicator = "", ""
        ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "CT", 2, k + 1
        ds.Rows, ds.Columns = grid.shape[1:]
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        sx, sy, _ = grid.spacing_mm
        ds.PixelSpacing = [round(sy, 8), round(sx, 8)]
        ds.SliceThickness = round(float(step), 8)
        axes = [*(grid.affine[:3, 0] / sx), *(grid.affine[:3, 1] / sy)]
        ds.ImageOrientationPatient = [round(float(x), 10) for x in axes]
        ds.ImagePositionPatient = [round(float(x), 8) for x in grid.to_mm((0, 0, k))]
        out.append(ds)
    return out


def blob(grid, *, centre=None, radius_mm=9.0):
    """Mask of a ball."""
    k, j, i = np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij")
    points = grid.to_mm(np.stack([i, j, k], axis=-1))
    middle = grid.to_mm([(n - 1) / 2 for n in grid.shape[::-1]]) if centre is None else np.asarray(centre)
    return ((points - middle) ** 2).sum(axis=-1) <= radius_mm**2
