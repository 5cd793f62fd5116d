"""RT Structure Sets: what is written comes back, is valid DICOM, and damaged files are refused."""

import shutil
import subprocess
from datetime import datetime

import numpy as np
import pydicom
import pytest
from geometry_builders import FRAME, blob, make_grid, source_headers
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.errors import InputError
from fusin.imaging.rtstruct import read_structure_set, structure_set_regions, write_rtstruct
from fusin.imaging.volume import Region
from fusin.provenance import NoticeLog


def written(path, masks, grid, **more):
    regions = [Region.from_mask(name, grid, mask) for name, mask in masks.items()]
    return write_rtstruct(path, regions, source=source_headers(grid), **more)


def read_back(path, grid, log=None):
    return structure_set_regions(read_structure_set(path), grid, log=NoticeLog() if log is None else log)


def edited(path, change):
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)
    return path


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    density=st.sampled_from([0.05, 0.5, 0.8]),
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    flip=st.sampled_from([1.0, -1.0]),
)
def test_any_mask_with_holes_comes_back_identical_on_any_grid(tmp_path_factory, seed, density, angles, flip):
    grid = make_grid((5, 9, 11), spacing=(4.07, 3.9, 2.5 * flip), angles=angles)
    rng = np.random.default_rng(seed)
    mask = rng.random(grid.shape) < density
    mask[1] = False  # a slice without any voxel between others must stay empty
    path = written(tmp_path_factory.mktemp("rt") / "a.dcm", {"noise": mask, "rest": ~mask}, grid)
    a, b = read_back(path, grid)
    assert np.array_equal(a.mask(), mask)
    assert np.array_equal(b.mask(), ~mask)


def test_every_second_slice_comes_back_as_every_second_slice(tmp_path):
    grid = make_grid((9, 8, 8))
    mask = np.zeros(grid.shape, bool)
    mask[::2, 2:5, 3:6] = True
    (region,) = read_back(written(tmp_path / "a.dcm", {"comb": mask}, grid), grid)
    assert np.array_equal(region.mask(), mask)


def test_names_numbers_colours_and_references_survive(tmp_path):
    grid = make_grid((12, 20, 20))
    names = ["GTV Mass (größer)", "Läsion 2", "leer", "x" * 64]
    regions = [Region.from_mask(n, grid, blob(grid) * (n != "leer"), attributes={"colour": (1, 2, 3)}) for n in names]
    source = source_headers(grid)
    path = write_rtstruct(tmp_path / "a.dcm", regions, source=source, created=datetime(2026, 1, 2, 3, 4, 5))
    structure_set = read_structure_set(path)
    assert [r.name for r in structure_set.rois] == names
    assert [r.number for r in structure_set.rois] == [1, 2, 3, 4]
    assert all(r.colour == (1, 2, 3) and r.frame_of_reference_uid == FRAME for r in structure_set.rois)
    assert structure_set.series_uids == (source[0].SeriesInstanceUID,)
    log = NoticeLog()
    again = read_back(path, grid, log)
    assert [r.voxels for r in again] == [r.voxels for r in regions]
    assert [n.code for n in log] == ["ROI_WITHOUT_CONTOURS"]
    dataset = pydicom.dcmread(path)
    assert (dataset.StructureSetDate, dataset.StructureSetTime) == ("20260102", "030405")
    uid_of = {round(float(d.ImagePositionPatient[2]), 3): d.SOPInstanceUID for d in source}
    for contour in dataset.ROIContourSequence[0].ContourSequence:
        height = round(float(contour.ContourData[2]), 3)
        assert contour.ContourImageSequence[0].ReferencedSOPInstanceUID == uid_of[height]


def test_the_file_is_valid_dicom(tmp_path):
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (dicom3tools) is not installed")
    grid = make_grid((12, 20, 20), angles=(5, 10, 15))
    path = written(tmp_path / "a.dcm", {"ball": blob(grid), "none": blob(grid) * 0}, grid)
    found = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    assert [line for line in found.stderr.splitlines() if line.startswith("Error")] == []
    assert "RTStructureSet" in found.stderr


def test_equal_regions_give_equal_bytes_and_other_regions_other_uids(tmp_path):
    grid = make_grid((12, 20, 20))
    a = written(tmp_path / "a.dcm", {"ball": blob(grid)}, grid)
    b = written(tmp_path / "b.dcm", {"ball": blob(grid)}, grid)
    c = written(tmp_path / "c.dcm", {"ball": blob(grid, radius_mm=12)}, grid)
    assert a.read_bytes() == b.read_bytes()
    assert pydicom.dcmread(a).SOPInstanceUID != pydicom.dcmread(c).SOPInstanceUID


def test_structures_drawn_on_ct_keep_their_volume_on_pet(tmp_path):
    ct = make_grid((60, 80, 80), spacing=(0.98, 0.98, 1.5), origin=(-39, -39, -45))
    pet = make_grid((30, 20, 20), spacing=(4.07, 4.07, 3.0), origin=(-38, -39, -45.4))
    path = written(tmp_path / "a.dcm", {"ball": blob(ct, centre=(0, 0, 0), radius_mm=30)}, ct)
    (region,) = read_back(path, pet)
    assert region.volume_ml == pytest.approx(4 / 3 * np.pi * 27, rel=0.02)


def test_a_structure_on_every_second_slice_borrows_the_spacing_of_its_neighbours(tmp_path):
    grid = make_grid((9, 8, 8))
    comb, full = np.zeros(grid.shape, bool), np.zeros(grid.shape, bool)
    comb[::4, 2:5, 3:6] = True
    full[:, 1:3, 1:3] = True
    path = written(tmp_path / "a.dcm", {"comb": comb, "full": full}, grid)

    def strip(dataset):
        for item in dataset.ROIContourSequence:
            del item.SourcePixelPlanesCharacteristicsSequence

    region, _ = read_back(edited(path, strip), grid)
    assert np.array_equal(region.mask(), comb)


def test_regions_and_images_of_different_frames_never_meet(tmp_path):
    grid = make_grid((12, 20, 20))
    path = written(tmp_path / "a.dcm", {"ball": blob(grid)}, grid)
    with pytest.raises(InputError, match="Frame of Reference"):
        read_back(path, make_grid((12, 20, 20), frame="1.2.3"))
    with pytest.raises(InputError, match="Frame of Reference"):
        write_rtstruct(path, [Region.from_mask("r", grid, blob(grid))], source=source_headers(make_grid(frame="1.2.3")))


@pytest.mark.parametrize("name", ["", "  ", "a\\b", "x" * 65, "line\nbreak"])
def test_names_that_dicom_cannot_hold_are_refused_and_nothing_is_written(tmp_path, name):
    grid = make_grid()
    with pytest.raises(InputError, match="region name"):
        written(tmp_path / "a.dcm", {name: blob(grid)}, grid)
    assert list(tmp_path.iterdir()) == []


def _drop_points(dataset):
    del dataset.ROIContourSequence[0].ContourSequence[0].ContourData


def _two_coordinates(dataset):
    dataset.ROIContourSequence[0].ContourSequence[0].ContourData = ["1", "2"]


def _wrong_count(dataset):
    dataset.ROIContourSequence[0].ContourSequence[0].NumberOfContourPoints = 3


def _orphan(dataset):
    dataset.ROIContourSequence[0].ReferencedROINumber = 77


def _no_rois(dataset):
    dataset.StructureSetROISequence = []
    dataset.ROIContourSequence = []


def _same_number(dataset):
    for item in dataset.StructureSetROISequence:
        item.ROINumber = 1


def _no_contours(dataset):
    del dataset.ROIContourSequence


def _image(dataset):
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.128"


DAMAGE = [_drop_points, _two_coordinates, _wrong_count, _orphan, _no_rois, _same_number, _no_contours, _image]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_sequences_are_refused(tmp_path, damage):
    grid = make_grid((12, 20, 20))
    path = written(tmp_path / "a.dcm", {"ball": blob(grid), "two": blob(grid, radius_mm=12)}, grid)
    with pytest.raises(InputError) as caught:
        read_structure_set(edited(path, damage))
    assert caught.value.where.startswith(str(path))


def test_truncated_files_are_refused_at_every_length(tmp_path):
    grid = make_grid((12, 20, 20))
    data = written(tmp_path / "a.dcm", {"ball": blob(grid)}, grid).read_bytes()
    cut = tmp_path / "cut.dcm"
    for size in range(0, int(0.97 * len(data)), len(data) // 60):
        cut.write_bytes(data[:size])
        with pytest.raises(InputError):
            read_back(cut, grid)


def test_labels_that_dicom_cannot_hold_are_refused(tmp_path):
    grid = make_grid()
    for more in ({"label": "x" * 17}, {"description": "x" * 65}):
        with pytest.raises(InputError, match="at most"):
            written(tmp_path / "a.dcm", {"r": blob(grid)}, grid, **more)
