"""Files of the digital therapy patient: all forms hold one activity, and validators of the standard accept them."""

from __future__ import annotations

import csv
import json
import math
import shutil
import subprocess
from datetime import datetime

import numpy as np
import pydicom
import pytest

from fusin.dosimetry.digital_therapy_files import FORMS, write_therapy_patient
from fusin.dosimetry.digital_therapy_patient import TherapyStudy, make_therapy_patient, therapy_facts
from fusin.dosimetry.image_notes import read_region_notes
from fusin.errors import InputError
from fusin.imaging.masks import read_regions
from fusin.imaging.nifti import read_nifti
from fusin.provenance import NoticeLog

HALF_LIFE_S = 6.647 * 86400.0


@pytest.fixture(scope="module")
def patient():
    return make_therapy_patient(seed=0, study=TherapyStudy(times_h=(24.0, 96.0)))


@pytest.fixture(scope="module", params=list(FORMS))
def written(request, patient, tmp_path_factory):
    return request.param, write_therapy_patient(tmp_path_factory.mktemp(request.param), patient, form=request.param)


def total_mbq(form, path, patient, index):
    """Activity of an image at the middle of its acquisition, by the letter of its header."""
    if form == "nifti":
        volume = read_nifti(path, unit="Bq/ml", log=NoticeLog())
        return float(np.sum(volume.values, dtype=np.float64)) * volume.voxel_volume_ml / 1e6
    if form.startswith("nm"):
        ds = pydicom.dcmread(path)
        stored = float(ds.pixel_array.sum(dtype=np.float64))
        if form == "nm":
            slope = float(ds.RealWorldValueMappingSequence[0].RealWorldValueSlope)
            return stored * slope * patient.grid.voxel_volume_ml / 1e6
        rotation = ds.RotationInformationSequence[0]
        seconds = rotation.ActualFrameDuration / 1000.0 * rotation.NumberOfFramesInRotation
        return stored / seconds / therapy_facts()["spect"]["calibration_cps_per_mbq"]
    total = 0.0
    for file in sorted(path.iterdir()):
        ds = pydicom.dcmread(file)
        total += float(ds.pixel_array.sum(dtype=np.float64)) * float(ds.RescaleSlope)
    total *= patient.grid.voxel_volume_ml / 1e6
    decay = math.log(2.0) / HALF_LIFE_S
    x = decay * patient.duration_s
    mean = -math.expm1(-x) / x
    since = patient.times_h[index] * 3600.0
    return {"pet-none": total, "pet-start": total * mean, "pet-admin": total * math.exp(-decay * since) * mean}[form]


def test_all_forms_hold_one_activity(written, patient):
    form, found = written
    for index, (path, volume) in enumerate(zip(found.spect, patient.spect, strict=True)):
        planted = float(np.sum(volume.values, dtype=np.float64)) * volume.voxel_volume_ml
        assert total_mbq(form, path, patient, index) == pytest.approx(planted, rel=0.005), form


def test_headers_say_when_and_what(written, patient):
    form, found = written
    if form == "nifti":
        assert not list(found.images.rglob("*.dcm"))
        return
    path = found.spect[1] if found.spect[1].is_file() else sorted(found.spect[1].iterdir())[0]
    ds = pydicom.dcmread(path, stop_before_pixels=True)
    moment = datetime.strptime(ds.AcquisitionDate + ds.AcquisitionTime[:6], "%Y%m%d%H%M%S")
    assert (moment - patient.injected).total_seconds() == pytest.approx(96 * 3600.0)
    injection = ds.RadiopharmaceuticalInformationSequence[0]
    stated = float(injection.RadionuclideTotalDose) / (1e6 if ds.Modality == "PT" else 1.0)
    assert stated == pytest.approx(patient.administered_mbq)
    assert injection.RadionuclideCodeSequence[0].CodeMeaning == "^177^Lutetium"
    assert ds.FrameOfReferenceUID == patient.grid.frame_of_reference_uid
    wanted = {"pet-start": "START", "pet-admin": "ADMIN"}.get(form, "NONE")
    assert ds.DecayCorrection == wanted


def test_regions_are_read_back_with_their_volumes(written, patient):
    _, found = written
    regions = {r.name: r for r in read_regions(found.regions, log=NoticeLog())}
    assert list(regions) == [r.name for r in patient.regions]
    for one in patient.regions:
        assert regions[one.name].volume_ml == pytest.approx(one.volume_ml, rel=1e-6)


def test_notes_are_read_with_mass_kind_and_recovery(written, patient):
    _, found = written
    notes = read_region_notes(found.notes, NoticeLog())
    assert {n.kind for n in notes.values()} == {"organ", "marrow", "lesion"}
    for name, one in notes.items():
        assert one.mass_g == pytest.approx(patient.compartments[name].mass_g, rel=1e-3)
        assert one.recovery.value == pytest.approx(patient.recovery[name], rel=1e-3)
    assert notes["left kidney"].alpha_beta_gy == therapy_facts()["biology"]["alpha_beta_gy"]
    assert notes["liver"].alpha_beta_gy is None


def test_truth_and_samples_belong_to_the_patient(written, patient):
    _, found = written
    truth = json.loads(found.truth.read_text(encoding="utf-8"))
    assert [r["name"] for r in truth["regions"]] == [r.name for r in patient.regions]
    assert truth["calibration_factor"] == patient.calibration_factor
    with found.blood.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    part = patient.compartments["blood"]
    for row in rows:
        true = part.activity_mbq(float(row["time_h"])) / part.volume_ml
        assert abs(float(row["activity_mbq"]) - true) < 4.0 * float(row["uncertainty_mbq"])


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy of dicom3tools is not installed")
def test_a_validator_of_the_standard_finds_no_error(written):
    _, found = written
    first = [p if p.is_file() else sorted(p.iterdir())[0] for p in found.spect]
    files = [p for p in (*first, found.regions, *sorted(found.images.glob("CT/*"))[:1]) if p.suffix == ".dcm"]
    for path in files:
        done = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)
        errors = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]
        assert errors == [], path.name


def test_writing_twice_gives_equal_bytes(patient, tmp_path):
    a, b = (write_therapy_patient(tmp_path / name, patient) for name in ("a", "b"))
    for one, two in zip(a.spect, b.spect, strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert a.truth.read_bytes() == b.truth.read_bytes()


def test_an_unknown_form_is_refused(patient, tmp_path):
    with pytest.raises(InputError, match="form"):
        write_therapy_patient(tmp_path / "x", patient, form="mhd")
