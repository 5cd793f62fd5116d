"""Interfile images: STIR's axes and offsets, number formats and byte orders, round trips, and headers that cannot be used."""

from __future__ import annotations

import numpy as np
import pytest

from fusin.errors import FusinError
from fusin.imaging.nifti import write_nifti
from fusin.imaging.volume import Grid, Volume
from fusin.provenance import NoticeLog
from fusin.reconstruction.interfile_image import files_of_image, interfile_image, read_image

# As STIR 6 writes them, for an image of 4 x 3 x 5 voxels.
HEADER = """!INTERFILE  :=
!imaging modality := PT
name of data file := image.v
!version of keys := STIR4.0
!GENERAL DATA :=
!GENERAL IMAGE DATA :=
!type of data := PET
patient orientation := head_in
patient rotation := supine
imagedata byte order := LITTLEENDIAN
!PET STUDY (General) :=
!PET data type := Image
process status := Reconstructed
!number format := float
!number of bytes per pixel := 4
number of dimensions := 3
matrix axis label [1] := x
!matrix size [1] := 4
scaling factor (mm/pixel) [1] := 2
matrix axis label [2] := y
!matrix size [2] := 3
scaling factor (mm/pixel) [2] := 2.5
matrix axis label [3] := z
!matrix size [3] := 5
scaling factor (mm/pixel) [3] := 4
first pixel offset (mm) [1] := -4
first pixel offset (mm) [2] := -2.5
first pixel offset (mm) [3] := 0
number of time frames := 1
!END OF INTERFILE :=
"""
VALUES = np.arange(60, dtype=np.float64).reshape(5, 3, 4)


def write(folder, *, header=HEADER, kind="<f4", values=VALUES, changes=()):
    for before, after in changes:
        assert before in header
        header = header.replace(before, after)
    (folder / "image.hv").write_text(header)
    (folder / "image.v").write_bytes(values.astype(kind).tobytes())
    return folder / "image.hv"


def place_of(volume, value):
    """Patient coordinates of a voxel by its value."""
    index = np.argwhere(volume.values == value)[0]
    return volume.grid.to_mm(index[::-1][None].astype(float))[0]


@pytest.mark.parametrize(
    ("orientation", "rotation", "place"),
    # Voxel x = 3, y = 2, z = 4 of STIR: 2 mm, 2.5 mm, and 8 mm from the middle towards the opening of the scanner.
    [
        ("head_in", "supine", (2.0, 2.5, -8.0)),
        ("head_in", "prone", (-2.0, -2.5, -8.0)),
        ("feet_in", "supine", (-2.0, 2.5, 8.0)),
        ("feet_in", "prone", (2.0, -2.5, 8.0)),
    ],
)
def test_the_last_voxel_lies_where_the_patient_position_puts_it(tmp_path, orientation, rotation, place):
    path = write(tmp_path, changes=[("head_in", orientation), ("supine", rotation)])
    found = read_image(path, log=NoticeLog())
    np.testing.assert_allclose(place_of(found, 59.0), place, atol=1e-9)
    assert found.grid.affine[0, 0] == 2.0
    assert found.grid.affine[2, 2] == 4.0
    assert found.grid.shape == (5, 3, 4)
    moved = read_image(path, log=NoticeLog(), placement=("", (10.0, 20.0, 30.0)))
    np.testing.assert_allclose(place_of(moved, 59.0), np.add(place, (10, 20, 30)), atol=1e-9)


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", "<u2", ">i2", "<i4", "u1"])
def test_number_formats_byte_orders_and_factors_give_the_same_values(tmp_path, kind):
    formats = {"f": "float", "u": "unsigned integer", "i": "signed integer"}
    letter, size = kind[-2], kind[-1]
    path = write(
        tmp_path, kind=kind,
        changes=[("!number format := float", f"!number format := {formats[letter]}"), ("pixel := 4", f"pixel := {size}"),
                 ("LITTLEENDIAN", "BIGENDIAN" if kind[0] == ">" else "LITTLEENDIAN"),
                 ("frames := 1", "frames := 1\nimage scaling factor[1] := 0.5\nquantification units := 0.5")],
    )  # fmt: skip
    found = read_image(path, log=NoticeLog())
    np.testing.assert_allclose(np.sort(found.values.ravel()), 0.5 * np.arange(60))


def test_an_offset_within_the_binary_file_and_one_factor_alone_are_followed(tmp_path):
    write(tmp_path, changes=[("frames := 1", "frames := 1\ndata offset in bytes[1] := 8\nquantification units := 3")])
    (tmp_path / "image.v").write_bytes(b"\1" * 8 + VALUES.astype("<f4").tobytes())
    assert read_image(tmp_path / "image.hv", log=NoticeLog()).values.max() == 3 * 59


@pytest.mark.parametrize("position", ["HFS", "HFP", "FFS", "FFP"])
def test_what_is_written_comes_back(tmp_path, position):
    rng = np.random.default_rng(0)
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    affine[:3, 3] = [-31.0, -20.0, 105.0]
    volume = Volume(
        values=rng.random((6, 9, 8), dtype=np.float32), grid=Grid(shape=(6, 9, 8), affine=affine), unit="Bq/ml"
    )
    placement = (position, (-24.0, -8.0, 115.0))
    header, data = interfile_image(volume, data_name="image.v", placement=placement)
    (tmp_path / "image.hv").write_text(header)
    (tmp_path / "image.v").write_bytes(data)
    log = NoticeLog()
    found = read_image(tmp_path / "image.hv", log=log, placement=placement)
    np.testing.assert_array_equal(found.values, volume.values)
    np.testing.assert_allclose(found.grid.affine, affine, atol=1e-9)
    assert list(log) == []
    assert [p.name for p in files_of_image(tmp_path / "image.hv")] == ["image.hv", "image.v"]


def test_an_image_without_offsets_lies_as_in_stir_and_one_beside_the_scanner_is_noticed(tmp_path):
    lines = [line for line in HEADER.splitlines() if "first pixel" not in line]
    log = NoticeLog()
    found = read_image(write(tmp_path, header="\n".join(lines)), log=log)
    assert [n.code for n in log] == ["IMAGE_OFFSETS_ASSUMED"]
    np.testing.assert_allclose(place_of(found, 0.0), [-4.0, -2.5, 8.0])
    log = NoticeLog()
    read_image(write(tmp_path, changes=[("offset (mm) [1] := -4", "offset (mm) [1] := 0")]), log=log)
    assert [n.code for n in log] == ["IMAGE_BESIDE_SCANNER"]


def test_nifti_is_still_read(tmp_path):
    volume = Volume(values=VALUES.astype(np.float32), grid=Grid(shape=(5, 3, 4), affine=np.eye(4)), unit="")
    write_nifti(tmp_path / "a.nii.gz", volume)
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii.gz", log=NoticeLog()).values, VALUES)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([("LITTLEENDIAN", "BIGENDIAN")], "bytes swapped"),
        ([("!matrix size [3] := 5", "!matrix size [3] := 6")], "truncated"),
        ([("!matrix size [3] := 5", "!matrix size [3] := 4")], "longer"),
        ([("!matrix size [3] := 5", "")], "matrix size"),
        ([("!matrix size [3] := 5", "!matrix size [3] := 5.5")], "whole number"),
        ([("scaling factor (mm/pixel) [1] := 2", "scaling factor (mm/pixel) [1] := 0")], "positive number"),
        ([("scaling factor (mm/pixel) [3] := 4", "")], "slice thickness"),
        ([("scaling factor (mm/pixel) [3] := 4", "scaling factor (mm/pixel) [3] := -4")], "positive number"),
        ([("pixel offset (mm) [1] := -4", "pixel offset (mm) [1] := abc")], "number"),
        ([("number of dimensions := 3", "number of dimensions := 4")], "4 dimensions"),
        ([("frames := 1", "frames := 3")], "3 time frames"),
        ([("data type := Image", "data type := Emission")], "emission data"),
        ([("image.v", "none.v")], "binary file"),
        ([("float", "complex")], "number format"),
        ([("supine", "left")], "left side"),
    ],
)  # fmt: skip
def test_each_header_that_cannot_be_used_gets_one_sentence(tmp_path, changes, words):
    with pytest.raises(FusinError, match=words) as caught:
        read_image(write(tmp_path, changes=changes), log=NoticeLog())
    assert "\n" not in str(caught.value)


def test_damaged_headers_never_end_in_a_traceback(tmp_path):
    rng = np.random.default_rng(3)
    values = ["", "-1", "0", "1e300", "nan", "inf", "99999999999999999999", "abc", "{1,2}", "5.5", "float", "head_in"]
    write(tmp_path)
    refused = []
    for _ in range(300):
        lines = HEADER.splitlines()
        for i in rng.integers(1, len(lines), rng.integers(1, 4)):
            lines[i] = lines[i].split(":=")[0] + ":= " + values[rng.integers(len(values))]
        (tmp_path / "image.hv").write_text("\n".join(lines))
        try:
            assert np.isfinite(read_image(tmp_path / "image.hv", log=NoticeLog()).values).all()
        except FusinError as err:
            refused.append(str(err))
    assert len(refused) > 100
    assert not any("\n" in sentence for sentence in refused)
