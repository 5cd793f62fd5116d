"""RT Dose: the doses come back in place from pydicom, and a validator of the standard finds no error."""

from __future__ import annotations

import copy
import math
import shutil
import subprocess
from datetime import datetime

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from fusin.dosimetry.rtdose import write_rtdose
from fusin.errors import InputError
from fusin.imaging.volume import Grid, Volume
from fusin.provenance import NoticeLog

FRAME = "1.2.826.0.1.3680043.8.498.77"


def grid_of(step=3.0, angle=0.0, shape=(5, 6, 7)):
    affine = np.eye(4)
    turn = math.radians(angle)
    affine[:2, :2] = [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    affine[:3, :3] = affine[:3, :3] @ np.diag([2.0, 2.5, step])
    affine[:3, 3] = (-11.0, -22.0, 33.0)
    return Grid(shape=shape, affine=affine, frame_of_reference_uid=FRAME)


def header():
    ds = Dataset()
    ds.StudyInstanceUID, ds.FrameOfReferenceUID = "1.2.3.4", FRAME
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Müller^Jörg", "P1", "19700101", "M"
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20260102", "101500", "1", "A1"
    ds.ReferringPhysicianName = ""
    return ds


def dose_of(grid=None, unit="Gy", top=42.0):
    grid = grid or grid_of()
    return Volume(values=np.random.default_rng(0).random(grid.shape) * top, grid=grid, unit=unit)


def written(folder, dose, **more):
    log = more.pop("log", NoticeLog())
    return write_rtdose(folder / "d.dcm", dose, source=more.pop("source", header()), log=log, **more)


@pytest.mark.parametrize("bits", [16, 32])
@pytest.mark.parametrize(("step", "angle"), [(3.0, 0.0), (-3.0, 0.0), (3.0, 20.0), (-4.2, -15.0)])
def test_every_dose_comes_back_where_it_was(tmp_path, bits, step, angle):
    dose = dose_of(grid_of(step, angle))
    ds = pydicom.dcmread(written(tmp_path, dose, bits=bits))
    gray = ds.pixel_array * float(ds.DoseGridScaling)
    across, down = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
    normal = np.cross(across, down)
    offsets = [float(o) for o in ds.GridFrameOffsetVector]
    assert offsets[0] == 0
    assert min(np.diff(offsets)) > 0
    for k, j, i in ((0, 0, 0), (4, 5, 6), (2, 1, 3)):
        place = np.array(ds.ImagePositionPatient, float) + normal * offsets[k]
        place = place + across * float(ds.PixelSpacing[1]) * i + down * float(ds.PixelSpacing[0]) * j
        at = np.rint(dose.grid.to_index(place)).astype(int)
        np.testing.assert_allclose(dose.grid.to_mm(at), place, atol=1e-6)
        assert gray[k, j, i] == pytest.approx(dose.values[at[2], at[1], at[0]], abs=0.51 * 42.0 / (2**bits - 1))
    assert (ds.DoseUnits, ds.DoseType, ds.FrameOfReferenceUID) == ("GY", "PHYSICAL", FRAME)
    assert str(ds.PatientName) == "Müller^Jörg"


@pytest.mark.parametrize(
    "change", [{}, {"grid": grid_of(-3.0, 20.0)}, {"grid": grid_of(shape=(1, 4, 4))}, {"unit": "Gy{BED}"}]
)
def test_the_file_is_valid_dicom(tmp_path, change):
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (dicom3tools) is not installed")
    path = written(tmp_path, dose_of(**change), comment="made-up dose", created=datetime(2026, 1, 2, 3, 4, 5))
    found = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    assert [line for line in found.stderr.splitlines() if "Error" in line] == []
    assert "RTDose" in found.stderr


def test_the_highest_dose_fits_and_no_dose_at_all_is_zero(tmp_path):
    for top in (1e-6, 1.0, 12345.678, 0.0):
        dose = dose_of(top=top)
        ds = pydicom.dcmread(written(tmp_path, dose))
        assert ds.pixel_array.max() * float(ds.DoseGridScaling) == pytest.approx(dose.values.max(), rel=1e-5)


def test_bed_is_an_effective_dose(tmp_path):
    assert pydicom.dcmread(written(tmp_path, dose_of(unit="Gy{EQD2}"))).DoseType == "EFFECTIVE"


def test_a_missing_plan_and_missing_doses_are_said(tmp_path):
    values = np.ones((5, 6, 7))
    values[0, 0, :3] = np.nan
    log = NoticeLog()
    ds = pydicom.dcmread(written(tmp_path, Volume(values=values, grid=grid_of(), unit="Gy"), log=log))
    assert [n.code for n in log] == ["RTDOSE_MISSING_AS_ZERO", "RTDOSE_WITHOUT_PLAN"]
    assert np.count_nonzero(ds.pixel_array == 0) == 3
    log = NoticeLog()
    ds = pydicom.dcmread(written(tmp_path, dose_of(), plan_uid="1.2.99", log=log))
    assert ds.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID == "1.2.99"
    assert len(log) == 0


def test_equal_inputs_give_equal_bytes_and_others_other_uids(tmp_path):
    first = written(tmp_path, dose_of()).read_bytes()
    uid = pydicom.dcmread(tmp_path / "d.dcm").SOPInstanceUID
    assert written(tmp_path, dose_of()).read_bytes() == first
    assert pydicom.dcmread(written(tmp_path, dose_of(top=41.0))).SOPInstanceUID != uid


def test_what_cannot_be_stored_is_refused(tmp_path):
    other = copy.deepcopy(header())
    other.FrameOfReferenceUID = "9.9"
    bare = Grid(shape=(5, 6, 7), affine=np.eye(4))
    nowhere = header()
    del nowhere.FrameOfReferenceUID
    tilted = np.diag([2.0, 2.0, 3.0, 1.0])
    tilted[1, 2] = 1.0
    for dose, source, more, says in (
        (dose_of(unit="Gy/h"), header(), {}, "unit"),
        (dose_of(top=-1.0), header(), {}, "zero or more"),
        (dose_of(top=math.inf), header(), {}, "finite"),
        (dose_of(top=math.nan), header(), {}, "finite"),
        (dose_of(), other, {}, "Frame of Reference"),
        (dose_of(bare), nowhere, {}, "Frame of Reference"),
        (dose_of(), Dataset(), {}, "StudyInstanceUID"),
        (dose_of(), header(), {"bits": 8}, "bits"),
        (dose_of(), header(), {"plan_uid": "plan A"}, "plan_uid"),
        (dose_of(Grid(shape=(5, 6, 7), affine=tilted, frame_of_reference_uid=FRAME)), header(), {}, "right angle"),
    ):
        with pytest.raises(InputError, match=says):
            written(tmp_path, dose, source=source, **more)
    assert list(tmp_path.iterdir()) == []
