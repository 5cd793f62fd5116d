"""Writers of DICOM images, read back with pydicom only, so that no reader of fusin can hide a writer's mistake."""

from __future__ import annotations

import math
import shutil
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes
from pydicom.uid import ImplicitVRLittleEndian, JPEGLSLossless

from fusin.errors import InputError
from fusin.imaging import dicom_headers
from fusin.imaging.dicom_headers import apply_tags, ds_text, plane_geometry
from fusin.imaging.dicom_write import (
    DIALECTS,
    InjectionHeader,
    StudyHeader,
    write_ct_series,
    write_enhanced_pet,
    write_legacy_enhanced_pet,
    write_nm,
    write_pet_series,
)
from fusin.imaging.pet_encoding import average_count_rate_time_s, body_size
from fusin.imaging.volume import Grid, Volume

INJECTED = datetime(2024, 1, 15, 9, 0)
SCAN = datetime(2024, 1, 15, 10, 0)
PHILIPS = "Philips PET Private Group"
STUDY = StudyHeader(sex="M", weight_kg=82.0, height_m=1.78)
INJECTION = InjectionHeader(activity_mbq=150.0, time=INJECTED, half_life_s=4062.6)
COMMON: dict[str, Any] = {"study": STUDY, "injection": INJECTION, "acquisition_start": SCAN, "seed_uid": "test"}

needs_validator = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")


def volume(shape: tuple[int, int, int] = (6, 9, 7), unit: str = "g/ml{SUVbw}", affine: Any = None) -> Volume:
    values = np.random.default_rng(7).uniform(0.2, 12.0, shape)
    if affine is None:
        affine = np.array([[4.07, 0, 0, -50], [0, 4.07, 0, -60], [0, 0, 3.0, -700], [0, 0, 0, 1]])
    return Volume(values=values, grid=Grid(shape=shape, affine=affine), unit=unit)


def read(paths: list[Path]) -> list[Dataset]:
    return [dcmread(path) for path in paths]


def rescaled(slices: list[Dataset]) -> np.ndarray:
    return np.stack([s.pixel_array * float(s.RescaleSlope) for s in slices])


def moment(date: str, time: str) -> datetime:
    return datetime.strptime(date + time, "%Y%m%d%H%M%S.%f")


def hand_suv(ds: Dataset) -> np.ndarray:
    """SUVbw of one slice by the IBSI SUV manual, without private date-times: units, then the decay of the dose."""
    drug = ds.RadiopharmaceuticalInformationSequence[0]
    rate = math.log(2.0) / float(drug.RadionuclideHalfLife)
    value = ds.pixel_array * float(ds.RescaleSlope)
    kilo, cm = float(ds.PatientWeight), 100.0 * float(ds.PatientSize)
    if ds.Units == "GML":
        sizes = {
            "BW": kilo,
            "LBM": 1.10 * kilo - 120.0 * kilo**2 / cm**2,
            "LBMJAMES128": 1.10 * kilo - 128.0 * kilo**2 / cm**2,
            "LBMJANMA": 9270.0 * kilo / (6680.0 + 216.0 * kilo / (cm / 100.0) ** 2),
            "IBW": 48.0 + 1.06 * (cm - 152.0),
        }
        return value * kilo / sizes[ds.get("SUVType", "BW")]
    if ds.Units == "CM2ML":
        return value * kilo * 1000.0 / (0.007184 * cm**0.725 * kilo**0.425 * 10000.0)
    if ds.Units == "CNTS":
        value = value * float(ds.private_block(0x7053, PHILIPS)[0x09].value)
    begin = moment(ds.AcquisitionDate, ds.AcquisitionTime)
    duration = ds.ActualFrameDuration / 1000.0
    mean = math.log(rate * duration / (1.0 - math.exp(-rate * duration))) / rate
    shift = 0.0 if ds.Manufacturer.startswith("GE") else mean
    injected = datetime.strptime(drug.RadiopharmaceuticalStartDateTime, "%Y%m%d%H%M%S.%f")
    reference = {
        "ADMIN": injected,
        "NONE": begin + timedelta(seconds=mean),
        "START": begin + timedelta(seconds=shift - float(ds.FrameReferenceTime) / 1000.0),
    }[ds.DecayCorrection]
    left = float(drug.RadionuclideTotalDose) * math.exp(-rate * (reference - injected).total_seconds())
    return value * kilo * 1000.0 / left


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_values_times_slope_give_the_volume_within_half_a_step(tmp_path: Path, dialect: str) -> None:
    """A volume in Bq/mL at the scan start is stored as it is, each slice at its own scale."""
    wanted = volume(unit="Bq/ml")
    slices = read(write_pet_series(tmp_path, wanted, dialect=dialect, **COMMON))
    steps = np.array([float(s.RescaleSlope) for s in slices])[:, None, None]
    assert np.all(np.abs(rescaled(slices) - wanted.values) <= 0.5 * steps * (1 + 1e-9))
    assert len(set(steps.ravel())) == wanted.shape[0]


@pytest.mark.parametrize("decay", ["START", "ADMIN", "NONE"])
@pytest.mark.parametrize(
    ("dialect", "units"),
    [*((name, unit) for name in sorted(DIALECTS) for unit in ("BQML", "GML", "CM2ML")), ("PHILIPS", "CNTS")],
)
def test_a_right_reader_gets_the_suv_back(tmp_path: Path, dialect: str, units: Any, decay: Any) -> None:
    """The same SUV volume is meant by every combination of dialect, unit and decay reference."""
    wanted = volume()
    slices = read(write_pet_series(tmp_path, wanted, dialect=dialect, units=units, decay=decay, beds=3, **COMMON))
    found = np.stack([hand_suv(s) for s in slices])
    # Half a step of int16 is 1/65534 of the slice's maximum; stored times are exact to a microsecond.
    np.testing.assert_allclose(found, wanted.values, atol=12.0 / 65534 * 1.01)


@pytest.mark.parametrize("suv_type", ["", "BW", "LBM", "LBMJAMES128", "LBMJANMA", "IBW"])
def test_each_suv_type_converts_back_to_body_weight(tmp_path: Path, suv_type: Any) -> None:
    slices = read(write_pet_series(tmp_path, volume(), units="GML", suv_type=suv_type, **COMMON))
    assert ("SUVType" in slices[0]) == bool(suv_type)
    np.testing.assert_allclose(np.stack([hand_suv(s) for s in slices]), volume().values, atol=2e-4)


def test_stored_values_follow_the_hand_calculation_for_one_hour(tmp_path: Path) -> None:
    # SUV 1 at 60 min: 150e6 * 2**(-3600/4062.6) / 82000 = 989.75 Bq/mL; ADMIN 150e6 / 82000 = 1829.27 Bq/mL
    ones = Volume(values=np.ones((1, 2, 2)), grid=volume((1, 2, 2)).grid, unit="g/ml{SUVbw}")
    start = rescaled(read(write_pet_series(tmp_path / "s", ones, decay="START", **COMMON)))
    admin = rescaled(read(write_pet_series(tmp_path / "a", ones, decay="ADMIN", **COMMON)))
    assert start[0, 0, 0] == pytest.approx(989.75, rel=2e-5)
    assert admin[0, 0, 0] == pytest.approx(1829.27, rel=2e-5)


def test_siemens_timing_matches_a_real_biograph(tmp_path: Path) -> None:
    """ACRIN-FLT-Breast slice 1: F-18, 300 s, first bed: FrameReferenceTime 149605.34445734 ms, DecayFactor 1.01587."""
    fluorine = InjectionHeader(activity_mbq=200.0, time=INJECTED, half_life_s=6586.2, nuclide="F-18")
    ds = read(write_pet_series(tmp_path, volume(), frame_duration_s=300.0, **{**COMMON, "injection": fluorine}))[0]
    assert float(ds.FrameReferenceTime) == pytest.approx(149605.34445734, abs=0.01)
    assert float(ds.DecayFactor) == pytest.approx(1.01587, abs=5e-6)
    assert ds.AcquisitionTime == ds.SeriesTime


def test_ge_timing_matches_a_real_discovery(tmp_path: Path) -> None:
    """Soft-tissue sarcoma STS_001: F-18 6588 s, 240 s frames, frame start 729 s after the scan: DecayFactor 1.09341."""
    fluorine = InjectionHeader(activity_mbq=388.8, time=INJECTED, half_life_s=6588.0, nuclide="F-18")
    rate = math.log(2.0) / 6588.0
    assert math.exp(rate * (729.0 + average_count_rate_time_s(240.0, rate))) == pytest.approx(1.09341, abs=5e-6)
    options = {**COMMON, "injection": fluorine, "dialect": "GE", "frame_duration_s": 240.0, "beds": 3}
    slices = read(write_pet_series(tmp_path, volume(), **options))
    assert [float(s.FrameReferenceTime) for s in slices] == [0, 0, 240_000, 240_000, 480_000, 480_000]
    assert float(slices[-1].DecayFactor) == pytest.approx(math.exp(rate * (480 + 119.75)), rel=1e-4)


@pytest.mark.parametrize(
    ("dialect", "key", "expected"),
    [
        ("SIEMENS", (0x0071, "SIEMENS MED PT", 0x22), "20240115100000.000000"),
        ("GE", (0x0009, "GEMS_PETD_01", 0x0D), "20240115100000.000000"),
        ("GE", (0x0009, "GEMS_PETD_01", 0x3B), "20240115090000.000000"),
    ],
)
def test_private_date_times_stand_under_their_creator(tmp_path: Path, dialect: str, key: Any, expected: str) -> None:
    ds = read(write_pet_series(tmp_path, volume(), dialect=dialect, **COMMON))[0]
    assert ds.private_block(key[0], key[1])[key[2]].value == expected


def test_philips_factors_agree_and_vanish_where_one_factor_would_be_wrong(tmp_path: Path) -> None:
    """An SUV factor holds for a series whose slices share a reference time, and not for DecayCorrection NONE."""
    options = {**COMMON, "dialect": "PHILIPS", "units": "CNTS"}
    slices = read(write_pet_series(tmp_path / "start", volume(), **options))
    block = slices[0].private_block(0x7053, PHILIPS)
    found = np.stack([s.pixel_array * float(s.RescaleSlope) for s in slices]) * float(block[0x00].value)
    np.testing.assert_allclose(found, volume().values, atol=2e-4)
    uncorrected = read(write_pet_series(tmp_path / "none", volume(), decay="NONE", **options))[0]
    block = uncorrected.private_block(0x7053, PHILIPS)
    assert 0x09 in block
    assert 0x00 not in block


def test_uncorrected_images_say_so(tmp_path: Path) -> None:
    nac = read(write_pet_series(tmp_path / "nac", volume(), attenuation_corrected=False, **COMMON))[0]
    raw = read(write_pet_series(tmp_path / "raw", volume(), decay="NONE", **COMMON))[0]
    assert not {"ATTN", "SCAT"} & set(nac.CorrectedImage)
    assert "AttenuationCorrectionMethod" not in nac
    assert "DECY" not in raw.CorrectedImage
    assert "DecayFactor" not in raw


def test_tags_change_the_header_and_never_the_pixels(tmp_path: Path) -> None:
    plain = read(write_pet_series(tmp_path / "plain", volume(), **COMMON))
    changed = read(
        write_pet_series(
            tmp_path / "changed",
            volume(),
            tags={"PatientWeight": None, (0x0010, 0x1020): 1.5, (0x0071, "SIEMENS MED PT", 0x22): None},
            injection_tags={"RadionuclideTotalDose": 150.0, "RadiopharmaceuticalStartDateTime": None},
            slice_tags=lambda k: {"AcquisitionTime": SCAN + timedelta(seconds=k)},
            **COMMON,
        )
    )
    np.testing.assert_array_equal(rescaled(plain), rescaled(changed))
    assert "PatientWeight" not in changed[0]
    assert changed[0].PatientSize == 1.5
    assert not changed[0].group_dataset(0x0071)
    drug = changed[0].RadiopharmaceuticalInformationSequence[0]
    assert drug.RadionuclideTotalDose == 150
    assert "RadiopharmaceuticalStartDateTime" not in drug
    assert [s.AcquisitionTime for s in changed[:2]] == ["100000.000000", "100001.000000"]


def test_an_unknown_keyword_is_refused() -> None:
    with pytest.raises(InputError, match="PatientWeigth"):
        apply_tags(Dataset(), {"PatientWeigth": 70.0})


def test_uids_depend_on_the_seed_alone(tmp_path: Path) -> None:
    paths = [
        write_pet_series(tmp_path / name, volume(), **{**COMMON, "seed_uid": name[0]}) for name in ("a", "a2", "b")
    ]
    first, again, other = (path[0].read_bytes() for path in paths)
    assert first == again
    assert first != other


def test_geometry_survives_an_oblique_and_reversed_grid(tmp_path: Path) -> None:
    c, s = math.cos(0.3), math.sin(0.3)
    axes = np.array([[c, -s, 0], [s, c, 0], [0, 0, -1.0]]) * np.array([2.0, 3.0, 5.0])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes, (11.0, -7.0, 300.0)
    wanted = volume((4, 6, 5), affine=affine)
    slices = read(write_pet_series(tmp_path, wanted, **COMMON))
    column, row = np.array(slices[0].ImageOrientationPatient, float).reshape(2, 3)
    rows_mm, columns_mm = (float(v) for v in slices[0].PixelSpacing)
    for k, ds in enumerate(slices):
        corner = np.array(ds.ImagePositionPatient, float) + 4 * columns_mm * column + 5 * rows_mm * row
        np.testing.assert_allclose(corner, wanted.grid.to_mm([4, 5, k]), atol=1e-6)
    assert plane_geometry(wanted.grid).slice_spacing == pytest.approx(-5.0)


def test_a_sheared_grid_is_refused(tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[0, 2] = 0.5
    with pytest.raises(InputError, match="orthogonal"):
        write_pet_series(tmp_path, volume((2, 3, 3), affine=affine), **COMMON)


def test_values_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="32767"):
        write_pet_series(tmp_path, volume(unit="Bq/ml"), slopes=1e-4, **COMMON)
    hot = Volume(values=np.full((1, 2, 2), 40000), grid=volume((1, 2, 2)).grid, unit="[hnsf'U]")
    with pytest.raises(InputError, match="Hounsfield"):
        write_ct_series(tmp_path, hot, study=STUDY, seed_uid="ct")


@pytest.mark.parametrize("change", [{"dialect": "ACME"}, {"units": "CNTS"}, {"units": "CPS"}, {"beds": 9}])
def test_impossible_requests_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        write_pet_series(tmp_path, volume(), **{**COMMON, **change})


def test_ct_round_trip_is_exact_and_shares_study_and_frame(tmp_path: Path) -> None:
    hounsfield = np.random.default_rng(1).integers(-2000, 3072, (3, 5, 4)).astype(np.int16)
    ct = Volume(values=hounsfield, grid=volume((3, 5, 4)).grid, unit="[hnsf'U]")
    slices = read(write_ct_series(tmp_path / "ct", ct, study=STUDY, seed_uid="x"))
    found = np.stack([s.pixel_array * float(s.RescaleSlope) + float(s.RescaleIntercept) for s in slices])
    np.testing.assert_array_equal(found, hounsfield)
    pet = read(write_pet_series(tmp_path / "pet", volume(), **COMMON))[0]
    assert pet.StudyInstanceUID == slices[0].StudyInstanceUID
    assert pet.FrameOfReferenceUID == slices[0].FrameOfReferenceUID


def enhanced_suv(ds: Dataset) -> np.ndarray:
    """SUVbw of an Enhanced PET object by its own functional groups."""
    drug = ds.RadiopharmaceuticalInformationSequence[0]
    rate = math.log(2.0) / float(drug.RadionuclideHalfLife)
    injected = datetime.strptime(drug.RadiopharmaceuticalStartDateTime, "%Y%m%d%H%M%S.%f")
    out = []
    for frame, stored in zip(ds.PerFrameFunctionalGroupsSequence, ds.pixel_array, strict=True):
        mapping = frame.RealWorldValueMappingSequence[0]
        value = stored * mapping.RealWorldValueSlope
        assert float(frame.PixelValueTransformationSequence[0].RescaleSlope) == mapping.RealWorldValueSlope
        if mapping.MeasurementUnitsCodeSequence[0].CodeValue == "Bq/ml":
            text = (
                ds.DecayCorrectionDateTime
                if ds.DecayCorrected == "YES"
                else frame.FrameContentSequence[0].FrameReferenceDateTime
            )
            elapsed = (datetime.strptime(text, "%Y%m%d%H%M%S.%f") - injected).total_seconds()
            # PS3.3 C.8.22.4: the dose of this object is in MBq.
            dose = 1e6 * float(drug.RadionuclideTotalDose) * math.exp(-rate * elapsed)
            value = value * float(ds.PatientWeight) * 1000.0 / dose
        out.append(value)
    return np.stack(out)


@pytest.mark.parametrize("decay", ["START", "ADMIN", "NONE"])
@pytest.mark.parametrize("units", ["BQML", "GML"])
def test_enhanced_pet_gives_the_suv_back(tmp_path: Path, units: Any, decay: Any) -> None:
    path = write_enhanced_pet(tmp_path / "e.dcm", volume(), units=units, decay=decay, beds=2, **COMMON)
    ds = dcmread(path)
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.130"
    np.testing.assert_allclose(enhanced_suv(ds), volume().values, atol=2e-4)


@pytest.mark.parametrize(("suv_type", "code"), [("LBMJANMA", "g/ml{SUVlbm(Janma)}"), ("IBW", "g/ml{SUVibw}")])
def test_enhanced_pet_names_the_suv_type_by_its_unit(tmp_path: Path, suv_type: Any, code: str) -> None:
    ds = dcmread(write_enhanced_pet(tmp_path / "e.dcm", volume(), units="GML", suv_type=suv_type, **COMMON))
    unit = ds.PerFrameFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0].MeasurementUnitsCodeSequence[0]
    assert code in [unit.get("CodeValue"), unit.get("LongCodeValue")]


def test_legacy_conversion_keeps_pixels_slopes_and_classic_attributes(tmp_path: Path) -> None:
    slices = read(write_pet_series(tmp_path / "c", volume(), beds=2, **COMMON))
    path = write_legacy_enhanced_pet(tmp_path / "l.dcm", slices, seed_uid="l")
    again = write_legacy_enhanced_pet(tmp_path / "l2.dcm", slices, seed_uid="l")
    ds = dcmread(path)
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.128.1"
    slope = [float(f.PixelValueTransformationSequence[0].RescaleSlope) for f in ds.PerFrameFunctionalGroupsSequence]
    place = [float(f.PlanePositionSequence[0].ImagePositionPatient[2]) for f in ds.PerFrameFunctionalGroupsSequence]
    order = np.argsort(place)
    found = ds.pixel_array[order] * np.array(slope)[order][:, None, None]
    np.testing.assert_array_equal(found, rescaled(slices))
    shared = ds.SharedFunctionalGroupsSequence[0].UnassignedSharedConvertedAttributesSequence[0]
    assert shared.Units == "BQML"
    assert path.read_bytes() == again.read_bytes()


def test_nm_reconstruction_carries_counts_or_a_real_world_slope(tmp_path: Path) -> None:
    counts = Volume(values=np.arange(24.0).reshape(2, 3, 4), grid=volume((2, 3, 4)).grid, unit="{counts}")
    ds = dcmread(write_nm(tmp_path / "c.dcm", counts, **COMMON))
    np.testing.assert_array_equal(ds.pixel_array, counts.values)
    assert list(ds.ImageType)[2] == "RECON TOMO"
    assert ds.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose == 150
    quantitative = volume((2, 3, 4), unit="Bq/ml")
    ds = dcmread(write_nm(tmp_path / "q.dcm", quantitative, **COMMON))
    slope = ds.RealWorldValueMappingSequence[0].RealWorldValueSlope
    np.testing.assert_allclose(ds.pixel_array * slope, quantitative.values, atol=0.5001 * slope)


def test_nm_projections_name_every_view(tmp_path: Path) -> None:
    counts = Volume(values=np.ones((5, 4, 4)), grid=volume((5, 4, 4)).grid, unit="{counts}")
    ds = dcmread(write_nm(tmp_path / "t.dcm", counts, kind="TOMO", **COMMON))
    assert list(ds.AngularViewVector) == [1, 2, 3, 4, 5]
    assert ds.RotationInformationSequence[0].AngularStep == 72
    with pytest.raises(InputError, match="65535"):
        write_nm(tmp_path / "x.dcm", volume(unit="Bq/ml"), slope=1e-6, **COMMON)


def errors_of(path: Path) -> list[str]:
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    return [line for line in done.stderr.splitlines() if line.startswith("Error")]


@needs_validator
@pytest.mark.parametrize(
    "options",
    [
        *({"dialect": name, "beds": 2} for name in sorted(DIALECTS)),
        {"dialect": "PHILIPS", "units": "CNTS", "decay": "NONE"},
        {"units": "GML", "suv_type": "IBW", "attenuation_corrected": False},
        {"units": "CM2ML", "decay": "ADMIN"},
        {"transfer_syntax": JPEGLSLossless},
        {"transfer_syntax": ImplicitVRLittleEndian},
    ],
)
def test_classic_pet_is_valid(tmp_path: Path, options: dict[str, Any]) -> None:
    assert errors_of(write_pet_series(tmp_path, volume(), **{**COMMON, **options})[1]) == []


@needs_validator
def test_ct_is_valid(tmp_path: Path) -> None:
    ct = Volume(values=np.zeros((2, 4, 4)), grid=volume((2, 4, 4)).grid, unit="[hnsf'U]")
    assert errors_of(write_ct_series(tmp_path, ct, study=STUDY, seed_uid="x")[0]) == []


@needs_validator
@pytest.mark.parametrize("decay", ["START", "NONE"])
def test_enhanced_pet_is_valid(tmp_path: Path, decay: Any) -> None:
    assert errors_of(write_enhanced_pet(tmp_path / "e.dcm", volume(), decay=decay, **COMMON)) == []


@needs_validator
def test_converted_pet_is_valid(tmp_path: Path) -> None:
    slices = read(write_pet_series(tmp_path / "c", volume(), **COMMON))
    found = errors_of(write_legacy_enhanced_pet(tmp_path / "l.dcm", slices, seed_uid="l"))
    # The validator does not count the Conversion Source Attributes Sequence as a reference; the standard does.
    assert [e for e in found if "ReferencedSeriesSequence present but" not in e] == []


@needs_validator
@pytest.mark.parametrize("kind", ["RECON TOMO", "TOMO"])
def test_nm_is_valid(tmp_path: Path, kind: Any) -> None:
    assert errors_of(write_nm(tmp_path / "n.dcm", volume(unit="Bq/ml"), kind=kind, **COMMON)) == []


def test_nuclide_codes_are_those_of_the_dictionary() -> None:
    """CID 4020 and CID 18 of PS3.16, as pydicom ships them."""
    names = {"C": "Carbon", "Cu": "Copper", "F": "Fluorine", "Ga": "Gallium", "I": "Iodine", "In": "Indium",
             "Lu": "Lutetium", "Tc": "Technetium", "Y": "Yttrium", "Zr": "Zirconium"}  # fmt: skip
    for nuclide, (sct, _, meaning) in dicom_headers._NUCLIDE_CODES.items():
        symbol, mass = nuclide.split("-")
        group = codes.cid4020 if f"_{mass}{names[symbol]}" in codes.cid4020.dir() else codes.cid18
        code = getattr(group, f"_{mass}{names[symbol]}")
        assert (code.value, code.meaning) == (sct, meaning)


def test_body_sizes_match_worked_examples() -> None:
    # 70 kg, 175 cm, by hand: James128 M 77 - 128*0.16 = 56.52, F 74.9 - 148*0.16 = 51.22; IBW M 48 + 1.06*23 = 72.38,
    # F 45.5 + 0.91*23 = 66.43; Janmahasatian (BMI 22.857) M 648900/11617.14 = 55.857, F 648900/14357.14 = 45.197;
    # Du Bois 1.8481 m2.
    def size(sex: str, kind: str) -> float:
        return body_size(kind, StudyHeader(sex=sex, weight_kg=70.0, height_m=1.75))

    assert size("M", "LBMJAMES128") == pytest.approx(56.52)
    assert size("F", "LBMJAMES128") == pytest.approx(51.22)
    assert size("M", "IBW") == pytest.approx(72.38)
    assert size("O", "IBW") == pytest.approx((72.38 + 66.43) / 2)
    assert size("M", "LBMJANMA") == pytest.approx(55.857, abs=1e-3)
    assert size("F", "LBMJANMA") == pytest.approx(45.197, abs=1e-3)
    assert size("F", "BSA") == pytest.approx(18481.0, rel=1e-3)


@given(duration=st.floats(1e-3, 7200.0), half_life=st.floats(60.0, 1e7))
@settings(max_examples=40, deadline=None)
def test_count_rate_at_the_mean_time_is_the_average_over_the_frame(duration: float, half_life: float) -> None:
    rate = math.log(2.0) / half_life
    mean = average_count_rate_time_s(duration, rate)
    average = -math.expm1(-rate * duration) / (rate * duration)
    assert math.exp(-rate * mean) == pytest.approx(average, rel=1e-9)
    assert 0.0 < mean <= duration / 2.0


@given(value=st.floats(1e-30, 1e30) | st.floats(-1e30, -1e-30))
@settings(max_examples=60, deadline=None)
def test_decimal_strings_fit_and_keep_nine_digits(value: float) -> None:
    text = ds_text(value)
    assert len(text) <= 16
    assert float(text) == pytest.approx(value, rel=1e-8)


@given(st.integers(0, 2**31), st.floats(1e-6, 1e6))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_scale_is_kept_to_half_a_step(tmp_path: Path, seed: int, scale: float) -> None:
    values = np.random.default_rng(seed).normal(0.0, scale, (2, 3, 3))
    wanted = Volume(values=values, grid=volume((2, 3, 3)).grid, unit="Bq/ml")
    found = rescaled(read(write_pet_series(tmp_path, wanted, **COMMON)))
    peak = np.abs(values).max(axis=(1, 2))[:, None, None]
    assert np.all(np.abs(found - values) <= peak / 65534 * (1 + 1e-6))
