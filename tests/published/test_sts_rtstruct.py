"""Voxel counts of real structure sets, as independent teams count them.

Ten sarcoma patients of the IBSI validation data (10.1148/radiol.231319; images CC BY 3.0, The Cancer Imaging
Archive): the number of voxels in the mass is a consensus of up to five teams. The IBSI-SUV digital
reference objects (oncoray/suv_computation, CC BY 4.0) give a region both as contours and as NIfTI.
"""

import csv
import tarfile
from pathlib import Path

import numpy as np
import pydicom
import pytest

from fusin.imaging.masks import read_regions
from fusin.imaging.volume import Grid
from fusin.provenance import NoticeLog

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "pet"
ARCHIVES = {
    "sts": "sts_ibsi/public_STS_001-010_PET.tar.xz",
    "raw": "sts001_raw/sts_images_raw_STS_001_FDG_PET.tar.xz",
    "dro": "ibsi_suv_dro/DRO_public.tar.xz",
}
REFERENCE = DATA / "sts_ibsi" / "public_reference.csv"
COUNT = "int_mask_vox_count_init_roi"
PATIENTS = [f"STS_{i:03d}" for i in range(1, 11)]
pytestmark = [
    pytest.mark.skipif(not REFERENCE.exists(), reason=f"public data absent: {REFERENCE}"),
    pytest.mark.xdist_group("sts"),
]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """Folder of each archive, unpacked once."""
    out = {}
    for name, archive in ARCHIVES.items():
        out[name] = tmp_path_factory.mktemp(name)
        with tarfile.open(DATA / archive) as packed:
            packed.extractall(out[name], filter="data")
    return out


def find(root, *parts):
    """The one folder below ``root`` whose path ends with ``parts``."""
    found = [p for p in root.rglob(parts[-1]) if p.is_dir() and p.parts[-len(parts) :] == parts]
    assert len(found) == 1, found
    return found[0]


def read_series(folder):
    """(headers sorted along the normal, grid) of a plain single-frame series."""
    headers = [pydicom.dcmread(p) for p in folder.iterdir() if p.is_file()]
    first = headers[0]
    across, down = np.array(first.ImageOrientationPatient, float).reshape(2, 3)
    headers.sort(key=lambda d: float(np.cross(across, down) @ np.array(d.ImagePositionPatient, float)))
    positions = np.array([d.ImagePositionPatient for d in headers], float)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = across * float(first.PixelSpacing[1]), down * float(first.PixelSpacing[0])
    affine[:3, 2], affine[:3, 3] = (positions[-1] - positions[0]) / (len(headers) - 1), positions[0]
    shape = (len(headers), int(first.Rows), int(first.Columns))
    return headers, Grid(shape=shape, affine=affine, frame_of_reference_uid=first.FrameOfReferenceUID)


def published_counts():
    with REFERENCE.open() as stream:
        return {row["id"]: float(row["consensus"]) for row in csv.DictReader(stream) if row["tag"] == COUNT}


@pytest.mark.parametrize("patient", PATIENTS)
def test_the_mass_has_the_number_of_voxels_that_the_teams_agree_on(unpacked, patient):
    _, grid = read_series(find(unpacked["sts"], patient, "PET", "image"))
    log = NoticeLog()
    (region,) = read_regions(find(unpacked["sts"], patient, "PET", "mask"), grid=grid, log=log)
    assert region.name == "GTV_Mass_PET"
    assert region.voxels == published_counts()[patient]
    assert [n.code for n in log] == []


def test_every_published_count_was_compared():
    assert sorted(published_counts()) == PATIENTS


def test_the_raw_series_has_5095_voxels_in_the_mass(unpacked):
    _, grid = read_series(find(unpacked["raw"], "FDG_PET", "image"))
    regions = {r.name: r for r in read_regions(find(unpacked["raw"], "FDG_PET", "mask"), grid=grid, log=NoticeLog())}
    assert sorted(regions) == ["GTV_Edema", "GTV_Mass"]
    assert regions["GTV_Mass"].voxels == 5095


@pytest.mark.parametrize("case", ["DRO_0_0", "DRO_1_0", "DRO_2_0", "DRO_3_1", "DRO_4_0"])
def test_dro_contours_lie_one_voxel_inside_the_nifti_mask_and_hold_the_same_insert(unpacked, case):
    """The two regions of the reference objects are not the same one.

    The contours (x from 69.1 to 186.9, slices 2 to 17) run one voxel inside the disc of the mask (columns
    68 to 188, slices 1 to 18). Both hold the whole insert, so minimum, median and maximum agree.
    """
    headers, grid = read_series(find(unpacked["dro"], case, "PT"))
    (drawn,) = read_regions(find(unpacked["dro"], case, "RS"), grid=grid, log=NoticeLog())
    (mask,) = read_regions(find(unpacked["dro"], case, "mask"), grid=grid, log=NoticeLog())
    assert (drawn.name, mask.name) == ("region_1", "DRO_mask")
    a, b = drawn.mask(), mask.mask()
    assert mask.voxels == 203202
    assert not (a & ~b).any()
    assert np.flatnonzero(a.any(axis=(1, 2))).tolist() == list(range(2, 18))
    assert np.flatnonzero(b.any(axis=(1, 2))).tolist() == list(range(1, 19))
    values = np.stack([d.pixel_array * float(d.get("RescaleSlope", 1)) for d in headers])
    for summary in (np.min, np.median, np.max):
        assert summary(values[a]) == summary(values[b])
    assert summary(values[a]) / np.median(values[a]) == pytest.approx(4.0, rel=0.01)


@pytest.mark.parametrize("case", ["DRO_0_0"])
def test_dro_contours_are_filled_as_another_point_in_polygon_test_fills_them(unpacked, case):
    path = pytest.importorskip("matplotlib.path")
    _, grid = read_series(find(unpacked["dro"], case, "PT"))
    (drawn,) = read_regions(find(unpacked["dro"], case, "RS"), grid=grid, log=NoticeLog())
    dataset = pydicom.dcmread(next(find(unpacked["dro"], case, "RS").iterdir()))
    j, i = np.mgrid[: grid.shape[1], : grid.shape[2]]
    centres = np.column_stack([i.ravel(), j.ravel()]).astype(float)
    differ = total = 0
    for contour in dataset.ROIContourSequence[0].ContourSequence:
        index = grid.to_index(np.array(contour.ContourData, float).reshape(-1, 3))
        inside = path.Path(index[:, :2]).contains_points(centres).reshape(j.shape)
        differ += int((inside != drawn.mask()[round(index[0, 2])]).sum())
        total += len(index)
    # Many vertices lie exactly on voxel centres here; only those may be decided differently.
    assert differ < total
    assert differ / drawn.voxels < 0.02
