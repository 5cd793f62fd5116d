"""NIfTI files against nibabel, which is the reference implementation in Python."""

import gzip
import hashlib
import struct

import numpy as np
import pytest
from geometry_builders import make_grid
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.errors import InputError
from fusin.imaging.nifti import is_nifti, read_nifti, read_nifti_header, write_nifti
from fusin.imaging.volume import Grid, Volume
from fusin.provenance import NoticeLog

nib = pytest.importorskip("nibabel")
FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])
TYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]


def volume_of(dtype="f4", *, angles=(10, -20, 30), unit="g/ml{SUVbw}"):
    grid = make_grid((3, 4, 5), angles=angles)
    values = np.arange(60).reshape(grid.shape).astype(dtype)
    return Volume(values=values, grid=grid, unit=unit)


def nib_file(path, *, cls=nib.Nifti1Image, shape=(5, 4, 3), dtype="<i2", affine=None, endianness="<"):
    data = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    header = cls.header_class(endianness=endianness)
    header.set_data_dtype(np.dtype(dtype).newbyteorder(endianness))
    image = cls(data, FLIP @ make_grid(angles=(5, 6, 7)).affine if affine is None else affine, header)
    nib.save(image, path)
    return image


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_nibabel_reads_what_we_write(tmp_path, dtype, name):
    volume = volume_of(dtype)
    image = nib.load(write_nifti(tmp_path / name, volume))
    assert np.array_equal(np.asarray(image.dataobj).T, volume.values)
    assert image.get_data_dtype() == np.dtype(dtype)
    assert np.allclose(FLIP @ image.affine, volume.affine, atol=1e-4)
    assert np.allclose(FLIP @ image.get_qform(), volume.affine, atol=1e-3)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("endianness", ["<", ">"])
@pytest.mark.parametrize("cls", [nib.Nifti1Image, nib.Nifti2Image])
def test_we_read_what_nibabel_writes(tmp_path, dtype, endianness, cls):
    image = nib_file(tmp_path / "b.nii", cls=cls, dtype=dtype, endianness=endianness)
    volume = read_nifti(tmp_path / "b.nii")
    assert np.array_equal(volume.values, np.asarray(image.dataobj).T)
    assert volume.values.dtype == np.dtype(dtype)
    assert np.allclose(volume.affine, FLIP @ image.affine, atol=1e-4)


def test_an_axis_beyond_nifti_1_is_written_as_nifti_2(tmp_path):
    grid = Grid(shape=(1, 1, 40000), affine=np.eye(4))
    path = write_nifti(tmp_path / "long.nii", Volume(values=np.zeros(grid.shape, np.uint8), grid=grid, unit="1"))
    assert isinstance(nib.load(path), nib.Nifti2Image)
    assert read_nifti(path).shape == grid.shape
    assert read_nifti(path).unit == "1"


@settings(max_examples=40, deadline=None)
@given(angles=st.tuples(*[st.floats(-180, 180)] * 3), flip=st.sampled_from([1.0, -1.0]))
def test_any_rotation_survives_in_sform_and_qform(tmp_path_factory, angles, flip):
    grid = make_grid((2, 2, 2), angles=angles, spacing=(2.0, 3.0, 4.0 * flip))
    path = tmp_path_factory.mktemp("q") / "r.nii"
    write_nifti(path, Volume(values=np.zeros(grid.shape, np.float32), grid=grid, unit=""))
    assert np.allclose(read_nifti(path).affine, grid.affine, atol=1e-4)
    # A qform keeps b, c, d as float32 and a = sqrt(1 - b2 - c2 - d2): near a half turn that is 5e-4 rad, 2e-3 of 4 mm.
    image = nib.load(path)
    assert np.allclose(FLIP @ image.get_qform(), grid.affine, atol=5e-3)
    data = bytearray(path.read_bytes())
    struct.pack_into("<h", data, 254, 0)
    path.write_bytes(data)
    assert np.allclose(read_nifti(path).affine, grid.affine, atol=5e-3)


def test_unit_and_values_survive_the_round_trip(tmp_path):
    volume = volume_of()
    again = read_nifti(write_nifti(tmp_path / "u.nii.gz", volume))
    assert again.unit == volume.unit
    assert np.array_equal(again.values, volume.values)


def test_equal_volumes_give_equal_bytes(tmp_path):
    digests = {
        hashlib.sha256(write_nifti(tmp_path / name, volume_of()).read_bytes()).hexdigest()
        for name in ("x.nii.gz", "y.nii.gz")
    }
    assert len(digests) == 1


def test_scaling_is_applied_and_a_zero_or_missing_slope_is_not(tmp_path):
    path = tmp_path / "s.nii"
    nib_file(path)
    for slope, intercept, expected in ((0.5, -3.0, 0.5 * 59 - 3), (0.0, 7.0, 59), (float("nan"), float("nan"), 59)):
        data = bytearray(path.read_bytes())
        struct.pack_into("<2f", data, 112, slope, intercept)
        path.write_bytes(data)
        assert read_nifti(path).values[-1, -1, -1] == pytest.approx(expected, rel=1e-6)
    assert read_nifti(path).values.dtype == np.int16


def test_sform_is_used_before_qform_and_a_difference_is_told(tmp_path):
    path = tmp_path / "both.nii"
    image = nib_file(path)
    image.set_sform(np.diag([2.0, 2, 2, 1]), 1)
    image.set_qform(np.diag([3.0, 3, 3, 1]), 1)
    nib.save(image, path)
    log = NoticeLog()
    assert read_nifti(path, log=log).spacing_mm == pytest.approx((2, 2, 2))
    assert [n.code for n in log] == ["NIFTI_FORMS_DIFFER"]
    image.set_sform(np.diag([2.0, 2, 2, 1]), 0)
    nib.save(image, path)
    assert read_nifti(path).spacing_mm == pytest.approx((3, 3, 3))


def test_metres_become_millimetres(tmp_path):
    path = tmp_path / "m.nii"
    image = nib_file(path, affine=np.diag([0.002, 0.002, 0.003, 1]))
    image.header.set_xyzt_units("meter")
    nib.save(image, path)
    log = NoticeLog()
    assert read_nifti(path, log=log).spacing_mm == pytest.approx((2, 2, 3), rel=1e-5)
    assert [n.code for n in log] == ["NIFTI_UNIT_SCALED"]


def test_one_time_point_is_a_volume_and_several_are_refused_by_name(tmp_path):
    nib_file(tmp_path / "one.nii", shape=(5, 4, 3, 1))
    assert read_nifti(tmp_path / "one.nii").shape == (3, 4, 5)
    nib_file(tmp_path / "two.nii", shape=(5, 4, 3, 2))
    with pytest.raises(InputError) as caught:
        read_nifti(tmp_path / "two.nii")
    assert caught.value.found == "2 time points"


def test_a_file_without_orientation_is_refused(tmp_path):
    path = tmp_path / "o.nii"
    nib_file(path)
    data = bytearray(path.read_bytes())
    struct.pack_into("<2h", data, 252, 0, 0)
    path.write_bytes(data)
    with pytest.raises(InputError, match="sform_code and qform_code"):
        read_nifti(path)


@pytest.mark.parametrize("name", ["t.nii", "t.nii.gz"])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.95])
def test_a_truncated_file_is_refused(tmp_path, name, keep):
    path = write_nifti(tmp_path / name, volume_of("i4"))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(InputError):
        read_nifti(path)


@pytest.mark.parametrize(("dtype", "found"), [("c8", "complex64"), ("c16", "complex128")])
def test_other_data_types_are_refused_by_name(tmp_path, dtype, found):
    nib_file(tmp_path / "c.nii", dtype=dtype)
    with pytest.raises(InputError) as caught:
        read_nifti(tmp_path / "c.nii")
    assert caught.value.found == found


def test_text_and_a_pair_header_are_refused(tmp_path):
    (tmp_path / "x.nii").write_bytes(b"not an image" * 100)
    with pytest.raises(InputError, match="a NIfTI file"):
        read_nifti(tmp_path / "x.nii")
    nib.save(nib.Nifti1Pair(np.zeros((2, 2, 2), np.int16), np.eye(4)), tmp_path / "p.hdr")
    with pytest.raises(InputError, match=r"\.img"):
        read_nifti(tmp_path / "p.hdr")


def test_header_alone_holds_geometry_and_extensions(tmp_path):
    image = nib_file(tmp_path / "e.nii")
    image.header.extensions.append(nib.nifti1.Nifti1Extension(6, b"a comment of ours"))
    nib.save(image, tmp_path / "e.nii.gz")
    header = read_nifti_header(tmp_path / "e.nii.gz")
    assert header.grid.shape == (3, 4, 5)
    assert header.extensions[0][0] == 6
    assert header.extensions[0][1].startswith(b"a comment of ours")
    assert is_nifti(gzip.decompress((tmp_path / "e.nii.gz").read_bytes())[:348])
    assert np.array_equal(read_nifti(tmp_path / "e.nii.gz").values, np.asarray(image.dataobj).T)


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    grid = make_grid((1, 2, 2))
    with pytest.raises(InputError, match="data type"):
        write_nifti(tmp_path / "c.nii", Volume(values=np.zeros(grid.shape, np.complex64), grid=grid, unit=""))
    assert list(tmp_path.iterdir()) == []
