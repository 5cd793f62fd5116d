"""One door for all kinds of regions: recognised by content, named as stored, refused in plain words."""

import json

import numpy as np
import pytest
from geometry_builders import blob, make_grid, source_headers

from fusin.errors import InputError
from fusin.imaging.masks import read_regions, write_label_nifti, write_rtstruct
from fusin.imaging.nifti import write_nifti
from fusin.imaging.volume import Region, Volume
from fusin.provenance import NoticeLog

GRID = make_grid((12, 20, 20))
FINE = make_grid((24, 40, 40), spacing=(2.0, 2.0, 1.5), origin=(-51, -71, -300.75))


def region(name="ball", radius=12.0, grid=GRID):
    return Region.from_mask(name, grid, blob(grid, centre=GRID.to_mm((9.5, 9.5, 5.5)), radius_mm=radius))


def labels_file(path, labels, grid=GRID):
    return write_nifti(path, Volume(values=labels, grid=grid, unit=""))


def two_labels(dtype=np.uint8):
    labels = np.zeros(GRID.shape, dtype)
    labels[2:4, 3:9, 4:8] = 1
    labels[6:9, 3:9, 4:8] = 5
    return labels


def image_file(path):
    dataset = source_headers(GRID)[0]
    dataset.PixelData = np.zeros(GRID.shape[1:], np.int16).tobytes()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.128"
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_content_decides_and_not_the_name(tmp_path):
    ball = region()
    for name, target in (("rt.nii.gz", "r"), ("label.dcm", "n")):
        if target == "r":
            write_rtstruct(tmp_path / name, [ball], source=source_headers(GRID))
        else:
            labels_file(tmp_path / "x.nii.gz", ball.mask()).rename(tmp_path / name)
        (found,) = read_regions(tmp_path / name, grid=GRID, log=NoticeLog())
        assert np.array_equal(found.mask(), ball.mask())


def test_dicom_without_its_preamble_is_still_recognised(tmp_path):
    data = write_rtstruct(tmp_path / "a.dcm", [region()], source=source_headers(GRID)).read_bytes()
    bare = tmp_path / "bare"
    # The group length (0002,0000) is the first element; what it counts is followed by the dataset.
    bare.write_bytes(data[144 + int.from_bytes(data[140:144], "little") :])
    assert bare.read_bytes()[:4] == b"\x08\0\x05\0"
    assert read_regions(bare, grid=GRID, log=NoticeLog())[0].voxels == region().voxels


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_a_mask_is_one_region_named_after_its_file(tmp_path, dtype):
    ball = region()
    (found,) = read_regions(labels_file(tmp_path / "GTV 1.v2.nii.gz", ball.mask().astype(dtype)), log=NoticeLog())
    assert found.name == "GTV 1.v2"
    assert np.array_equal(found.mask(), ball.mask())


@pytest.mark.parametrize("table", [
    {"1": "liver", "5": "spleen"}, {"liver": 1, "spleen": 5}, {"labels": {"background": 0, "liver": 1, "spleen": 5}},
])  # fmt: skip
def test_a_json_beside_a_label_map_gives_the_names(tmp_path, table):
    path = labels_file(tmp_path / "seg.nii.gz", two_labels())
    (tmp_path / "seg.json").write_text(json.dumps(table))
    found = read_regions(path, log=NoticeLog())
    assert [(r.name, r.label) for r in found] == [("liver", 1), ("spleen", 5)]
    assert np.array_equal(found[1].mask(), two_labels() == 5)


def test_the_label_table_in_a_totalsegmentator_header_gives_the_names(tmp_path):
    nib = pytest.importorskip("nibabel")
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?><CaretExtension><VolumeInformation Index="0"><LabelTable>\n'
        '<Label Key="1" Red="0.1" Green="0.2" Blue="0.3" Alpha="1"><![CDATA[kidney_right]]></Label>\n'
        '<Label Key="5" Red="0.1" Green="0.2" Blue="0.3" Alpha="1"><![CDATA[vertebrae_L3]]></Label>\n'
        "</LabelTable></VolumeInformation></CaretExtension>"
    )
    image = nib.Nifti1Image(two_labels().T, np.diag([-1.0, -1, 1, 1]) @ GRID.affine)
    image.header.extensions.append(nib.nifti1.Nifti1Extension(0, xml.encode()))
    nib.save(image, tmp_path / "total.nii.gz")
    found = read_regions(tmp_path / "total.nii.gz", grid=GRID, log=NoticeLog())
    assert [r.name for r in found] == ["kidney_right", "vertebrae_L3"]
    assert np.array_equal(found[0].mask(), two_labels() == 1)


def test_labels_without_names_are_numbered_and_told(tmp_path):
    log = NoticeLog()
    found = read_regions(labels_file(tmp_path / "seg.nii", two_labels()), log=log)
    assert [r.name for r in found] == ["label_1", "label_5"]
    assert [n.code for n in log] == ["LABELS_UNNAMED"]


def test_a_folder_of_masks_is_one_region_per_organ(tmp_path):
    for name, radius in (("liver", 15.0), ("kidney_left", 8.0), ("adrenal_gland_left", 0.0)):
        labels_file(tmp_path / f"{name}.nii.gz", region(radius=radius).mask().astype(np.uint8))
    (tmp_path / ".hidden").write_text("x")
    (tmp_path / "statistics.json").write_text("{}")
    log = NoticeLog()
    found = {r.name: r for r in read_regions(tmp_path, grid=GRID, log=log)}
    assert list(found) == ["adrenal_gland_left", "kidney_left", "liver"]
    assert found["liver"].voxels == region(radius=15.0).voxels
    assert found["adrenal_gland_left"].voxels == 0
    assert [n.code for n in log] == ["SEGMENT_EMPTY"]


def test_a_folder_with_one_object_is_that_object(tmp_path):
    write_rtstruct(tmp_path / "RS.1.2.3", [region()], source=source_headers(GRID))
    image_file(tmp_path / "image.dcm")
    assert [r.name for r in read_regions(tmp_path, grid=GRID, log=NoticeLog())] == ["ball"]
    write_rtstruct(tmp_path / "RS.4", [region()], source=source_headers(GRID))
    with pytest.raises(InputError, match="several objects") as caught:
        read_regions(tmp_path, grid=GRID, log=NoticeLog())
    assert "RS.4" in str(caught.value)


def test_regions_on_ct_arrive_on_the_pet_grid_with_both_volumes_told(tmp_path):
    path = labels_file(tmp_path / "ball.nii.gz", region(grid=FINE).mask(), FINE)
    log = NoticeLog()
    (found,) = read_regions(path, grid=GRID, log=log)
    assert found.grid.matches(GRID)
    assert found.volume_ml == pytest.approx(region(grid=FINE).volume_ml, rel=0.1)
    (notice,) = log
    assert notice.code == "REGION_RESAMPLED"
    assert notice.raw == pytest.approx(region(grid=FINE).volume_ml)
    assert notice.used == pytest.approx(found.volume_ml)


def test_a_segmentation_with_empty_frames_left_out_lands_on_the_image_exactly(tmp_path):
    from test_segread import write

    mask = region().mask()
    path = write(tmp_path / "s.dcm", mask[..., None], GRID, "BINARY", labels=["ball"])
    log = NoticeLog()
    (alone,) = read_regions(path, log=log)
    (found,) = read_regions(path, grid=GRID, log=log)
    assert alone.grid.shape[0] < GRID.shape[0]
    assert np.array_equal(found.mask(), mask)
    assert len(log) == 0


def test_names_are_kept_exactly_and_second_ones_get_a_number(tmp_path):
    same = [region("GTV"), region("GTV", 8.0), region(" odd Name_1")]
    log = NoticeLog()
    found = read_regions(write_rtstruct(tmp_path / "a", same, source=source_headers(GRID)), grid=GRID, log=log)
    assert [r.name for r in found] == ["GTV", "GTV (2)", " odd Name_1"]
    assert [n.code for n in log] == ["REGION_RENAMED"]


def test_a_pet_file_is_refused_by_name_and_so_are_other_files(tmp_path):
    with pytest.raises(InputError) as caught:
        read_regions(image_file(tmp_path / "p.dcm"), log=NoticeLog())
    assert caught.value.found == "DICOM Positron Emission Tomography Image Storage"
    assert "RT Structure Set" in caught.value.needed
    for name, content, found in (
        ("a.txt", b"hello " * 300, "neither DICOM nor NIfTI"), ("b.nii.gz", b"\x1f\x8bxx", "damaged gzip"),
        ("c", b"", "empty file"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=found):
            read_regions(tmp_path / name, log=NoticeLog())
    with pytest.raises(InputError, match="no such file"):
        read_regions(tmp_path / "gone", log=NoticeLog())
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty folder"):
        read_regions(tmp_path / "empty", log=NoticeLog())


def test_a_folder_of_images_is_refused_by_what_it_holds(tmp_path):
    for i in range(3):
        image_file(tmp_path / f"{i}.dcm")
    with pytest.raises(InputError, match="Positron Emission"):
        read_regions(tmp_path, log=NoticeLog())


def test_a_structure_set_needs_a_grid(tmp_path):
    path = write_rtstruct(tmp_path / "a", [region()], source=source_headers(GRID))
    with pytest.raises(InputError, match="grid"):
        read_regions(path, log=NoticeLog())


@pytest.mark.parametrize("values", [0.37, -1.0, np.nan])
def test_an_image_is_not_a_mask(tmp_path, values):
    path = labels_file(tmp_path / "pet.nii", np.full(GRID.shape, values, np.float32))
    with pytest.raises(InputError, match="values"):
        read_regions(path, log=NoticeLog())


def test_a_damaged_name_table_is_refused(tmp_path):
    path = labels_file(tmp_path / "seg.nii", two_labels())
    for text in ("{", "[1]", '{"a": "b"}', '{"a": 1.5}'):
        (tmp_path / "seg.json").write_text(text)
        with pytest.raises(InputError, match="label names"):
            read_regions(path, log=NoticeLog())


def test_a_label_map_that_we_write_comes_back_with_its_names(tmp_path):
    parts = [
        Region.from_mask("Läsion 1", GRID, two_labels() == 5), Region.from_mask("liver", GRID, two_labels() == 1),
    ]  # fmt: skip
    path = write_label_nifti(tmp_path / "out.nii.gz", parts, GRID)
    found = read_regions(path, grid=GRID, log=NoticeLog())
    assert [r.name for r in found] == ["Läsion 1", "liver"]
    assert all(np.array_equal(a.mask(), b.mask()) for a, b in zip(found, parts, strict=True))


def test_overlap_is_refused_or_told(tmp_path):
    both = [region("a"), region("b", 8.0)]
    with pytest.raises(InputError, match="more than one region"):
        write_label_nifti(tmp_path / "o.nii", both, GRID)
    assert list(tmp_path.iterdir()) == []
    log = NoticeLog()
    write_label_nifti(tmp_path / "o.nii", both, GRID, log=log)
    assert [(n.code, n.raw) for n in log] == [("LABELS_OVERLAP", both[1].voxels)]
    with pytest.raises(InputError, match="resample it first"):
        write_label_nifti(tmp_path / "p.nii", [region(grid=FINE)], GRID)
