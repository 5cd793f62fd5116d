"""The public builders: what they write is what they say, and equal seeds give equal bytes."""

from __future__ import annotations

import csv
import tarfile
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from fusin._jpeg_lossless import encode_jpeg_lossless
from fusin.errors import InputError
from fusin.imaging.volume import Volume
from fusin.testing import (
    TRANSFER_SYNTAXES,
    assert_same_geometry,
    assert_volumes_close,
    dro_volume,
    ibsi_dro,
    ibsi_dro_ids,
    make_ct_series,
    make_enhanced_pet,
    make_grid,
    make_legacy_enhanced_pet,
    make_nac_series,
    make_nm,
    make_pet_series,
    suv_pattern,
)

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "pet" / "ibsi_suv_dro"
PUBLIC = ("DRO_0_0", "DRO_1_0", "DRO_2_0", "DRO_3_1", "DRO_4_0")


def slices_in(folder: Path) -> list[Dataset]:
    return sorted((dcmread(path) for path in folder.glob("*.dcm")), key=lambda ds: ds.InstanceNumber)


def values_in(folder: Path) -> np.ndarray:
    return np.stack([ds.pixel_array * float(ds.RescaleSlope) for ds in slices_in(folder)])


def test_the_default_series_is_what_the_module_promises(tmp_path: Path) -> None:
    ds = slices_in(make_pet_series(tmp_path))[0]
    drug = ds.RadiopharmaceuticalInformationSequence[0]
    assert (ds.NumberOfSlices, ds.Rows, ds.Columns, ds.PatientWeight) == (8, 16, 16, 70)
    assert (ds.Units, ds.DecayCorrection, ds.Manufacturer) == ("BQML", "START", "SIEMENS")
    assert (drug.RadionuclideTotalDose, drug.RadionuclideHalfLife) == (150e6, 4062.6)
    assert drug.RadionuclideCodeSequence[0].CodeMeaning == "^68^Gallium"


def test_the_default_values_are_the_pattern_as_suv(tmp_path: Path) -> None:
    # 150 MBq Ga-68 (4062.6 s), 70 kg, 60 min: SUV 1 is 150e6 * 2**(-3600/4062.6) / 70000 = 1159.5 Bq/mL
    found = values_in(make_pet_series(tmp_path)) / (150e6 * 2.0 ** (-3600.0 / 4062.6) / 70000.0)
    np.testing.assert_allclose(found, suv_pattern(), atol=2e-4)


@pytest.mark.parametrize("name", [n for n in TRANSFER_SYNTAXES if n != "explicit"])
def test_every_transfer_syntax_holds_the_same_pixels(tmp_path: Path, name: str) -> None:
    """JPEG 2000 needs 32 x 32 pixels, so all are tested on them."""
    values = suv_pattern((2, 32, 32))
    pytest.importorskip("pylibjpeg" if name.startswith("jpeg") else "pydicom", reason="needs fusin[compressed]")
    plain = make_pet_series(tmp_path / "plain", values=values)
    other = make_pet_series(tmp_path / name, values=values, transfer_syntax=name)
    assert slices_in(other)[0].file_meta.TransferSyntaxUID == TRANSFER_SYNTAXES[name]
    np.testing.assert_array_equal(values_in(other), values_in(plain))


def test_signed_ct_survives_jpeg_lossless(tmp_path: Path) -> None:
    pytest.importorskip("libjpeg", reason="needs fusin[compressed]")
    plain, packed = make_ct_series(tmp_path / "a"), make_ct_series(tmp_path / "b", transfer_syntax="jpeg_lossless")
    np.testing.assert_array_equal(values_in(plain), values_in(packed))


def test_jpeg_lossless_codes_the_extreme_steps(tmp_path: Path) -> None:
    """A difference of 32768 has a category of its own without further bits (T.81 table H.2)."""
    libjpeg = pytest.importorskip("libjpeg", reason="needs fusin[compressed]")
    steps = np.array([[0, 32767, -32768, -1], [0, -32768, 32767, 1], [-1, 0, 255, -256]], dtype=np.int16)
    found = libjpeg.decode(encode_jpeg_lossless(steps)).reshape(3, 4)
    np.testing.assert_array_equal(found.astype(np.uint16).view(np.int16), steps)


def test_equal_seeds_give_equal_files_and_others_do_not(tmp_path: Path) -> None:
    def content(name: str, seed: int) -> list[bytes]:
        return [path.read_bytes() for path in sorted(make_pet_series(tmp_path / name, seed=seed).glob("*"))]

    assert content("a", 3) == content("b", 3)
    assert content("a", 3) != content("c", 4)


def test_fields_can_be_overridden_deleted_and_nested(tmp_path: Path) -> None:
    folder = make_pet_series(
        tmp_path,
        weight_kg=90.0,
        nuclide="F-18",
        tags={"PatientWeight": None},
        injection_tags={"RadionuclideHalfLife": None},
    )
    ds = slices_in(folder)[0]
    drug = ds.RadiopharmaceuticalInformationSequence[0]
    assert "PatientWeight" not in ds
    assert "RadionuclideHalfLife" not in drug
    assert drug.RadionuclideCodeSequence[0].CodeMeaning == "^18^Fluorine"


@pytest.mark.parametrize("options", [{"transfer_syntax": "mp3"}, {"nuclide": "Rb-82"}])
def test_a_choice_without_a_default_is_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        make_pet_series(tmp_path, **options)


def test_ac_and_nac_series_share_a_folder_and_a_study(tmp_path: Path) -> None:
    make_pet_series(tmp_path)
    make_nac_series(tmp_path)
    found = [dcmread(path, stop_before_pixels=True) for path in tmp_path.glob("*.dcm")]
    assert len(found) == 16
    assert len({ds.SeriesInstanceUID for ds in found}) == 2
    assert len({ds.StudyInstanceUID for ds in found}) == 1
    assert {("ATTN" in ds.CorrectedImage) for ds in found} == {True, False}


def test_ct_and_pet_share_patient_study_and_frame(tmp_path: Path) -> None:
    pet, ct = slices_in(make_pet_series(tmp_path / "pet"))[0], slices_in(make_ct_series(tmp_path / "ct"))[0]
    for keyword in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert pet[keyword].value == ct[keyword].value


def test_multi_frame_builders_write_their_class(tmp_path: Path) -> None:
    names = {
        make_enhanced_pet(tmp_path / "e"): "Enhanced PET Image Storage",
        make_legacy_enhanced_pet(tmp_path / "l"): "Legacy Converted Enhanced PET Image Storage",
        make_nm(tmp_path / "n"): "Nuclear Medicine Image Storage",
    }
    for path, name in names.items():
        ds = dcmread(path)
        assert ds.SOPClassUID.name == name
        assert ds.pixel_array.shape == (8, 16, 16)


def test_geometry_assertions_tell_grids_apart() -> None:
    a = make_grid()
    assert_same_geometry(a, make_grid(frame_of_reference_uid="1.2.3"))
    with pytest.raises(AssertionError, match="shapes"):
        assert_same_geometry(a, make_grid((8, 16, 15)))
    with pytest.raises(AssertionError, match="elsewhere"):
        assert_same_geometry(a, make_grid(origin_mm=(-30.0, -30.0, -99.9)))
    with pytest.raises(AssertionError, match="frames"):
        assert_same_geometry(make_grid(frame_of_reference_uid="1.2"), make_grid(frame_of_reference_uid="1.3"))


def test_volume_assertion_compares_units_and_values() -> None:
    a = Volume(values=suv_pattern(), grid=make_grid(), unit="g/ml{SUVbw}")
    assert_volumes_close(a, a)
    with pytest.raises(AssertionError, match="units"):
        assert_volumes_close(a, Volume(values=a.values, grid=a.grid, unit="Bq/ml"))
    with pytest.raises(AssertionError, match="Not equal"):
        assert_volumes_close(a, Volume(values=a.values + 1, grid=a.grid, unit=a.unit))


def test_the_phantom_has_the_published_minimum_median_and_maximum() -> None:
    volume, mask = dro_volume()
    inside = volume.values[mask]
    assert (inside.min(), np.median(inside), inside.max()) == (0.2, 1.0, 4.0)
    assert not volume.values[~mask].any()


def test_the_list_holds_43_values_and_15_refusals() -> None:
    refused = [case for case in ibsi_dro_ids() if "error" in case]
    assert (len(ibsi_dro_ids()), len(refused)) == (58, 15)


def test_the_list_is_the_published_one() -> None:
    table = SHARED / "DRO_list_v3.csv"
    if not table.exists():
        pytest.skip("shared data are absent")
    with table.open(encoding="utf-8", newline="") as stream:
        rows = {row["ID"]: row["SUVmax_expected"] for row in csv.DictReader(stream)}
    assert set(ibsi_dro_ids()) == set(rows)
    assert {case for case, suv in rows.items() if suv == "ERROR"} == {c for c in ibsi_dro_ids() if "error" in c}


@pytest.mark.parametrize("case", ["DRO_0_0", "DRO_4_4", "DRO_error_3_2", "DRO_7_0_0"])
def test_a_reference_object_has_twenty_slices_and_its_mask(tmp_path: Path, case: str) -> None:
    dro = ibsi_dro(case, tmp_path)
    frames = sum(int(dcmread(p, stop_before_pixels=True).get("NumberOfFrames", 1)) for p in dro.folder.iterdir())
    assert frames == dro.mask.shape[0] == 20
    assert dro.expected == (None if "error" in case else (0.2, 1.0, 4.0))


def test_an_unknown_reference_object_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ibsi_dro_ids"):
        ibsi_dro("DRO_9_9", tmp_path)


@pytest.mark.parametrize(
    ("case", "where", "keyword", "expected"),
    [
        ("DRO_3_0", "drug", "RadionuclideTotalDose", 368.08),
        ("DRO_4_1", "drug", "RadiopharmaceuticalStartDateTime", None),
        ("DRO_4_4", "drug", "RadiopharmaceuticalStartDateTime", "20250101233000.000000"),
        ("DRO_4_4", "image", "AcquisitionDate", "19600101"),
        ("DRO_4_5", "drug", "RadiopharmaceuticalStartDateTime", "20241229110000.000000"),
        ("DRO_error_2_3", "image", "PatientSex", "X"),
        ("DRO_error_3_2", "image", "ActualFrameDuration", None),
        ("DRO_error_4_2", "drug", "RadiopharmaceuticalStartDateTime", "19601229110000.000000"),
    ],
)
def test_reference_objects_carry_the_fault_they_are_named_for(
    tmp_path: Path, case: str, where: str, keyword: str, expected: Any
) -> None:
    ds = slices_in(ibsi_dro(case, tmp_path).folder)[0]
    holder = ds.RadiopharmaceuticalInformationSequence[0] if where == "drug" else ds
    assert holder.get(keyword) == expected


@pytest.mark.parametrize("index", [0, 1, 2, 3])
def test_time_cases_cannot_be_passed_by_the_wrong_rule(tmp_path: Path, index: int) -> None:
    """3_2 has a late series time and two bed starts, 3_5 an empty frame reference time."""
    late = slices_in(ibsi_dro(f"DRO_3_2_{index}", tmp_path).folder)
    starts = {ds.AcquisitionTime for ds in late}
    assert starts == {"110000.000000", "110500.000000"}
    assert all(ds.SeriesTime > max(starts) for ds in late)
    equal = slices_in(ibsi_dro(f"DRO_3_5_{index}", tmp_path).folder)[0]
    assert equal.SeriesTime == equal.AcquisitionTime
    assert equal.FrameReferenceTime == 0


@pytest.mark.parametrize(
    ("case", "group", "creator", "offset"),
    [("DRO_3_3_0", 0x0071, "SIEMENS MED PT", 0x22), ("DRO_3_3_1", 0x0009, "GEMS_PETD_01", 0x0D)],
)
def test_private_date_times_stand_in_the_cases_about_them_only(
    tmp_path: Path, case: str, group: int, creator: str, offset: int
) -> None:
    ds = slices_in(ibsi_dro(case, tmp_path).folder)[0]
    assert ds.private_block(group, creator)[offset].value == "20250101110000.000000"
    assert not slices_in(ibsi_dro(case.replace("3_3", "3_2"), tmp_path).folder)[0].group_dataset(group)


def public_slices(folder: Path, case: str) -> list[Dataset]:
    with tarfile.open(SHARED / "DRO_public.tar.xz") as archive:
        members = [m for m in archive.getmembers() if f"{case}/PT/" in m.name and m.name.endswith(".dcm")]
        archive.extractall(folder, members=members, filter="data")
    return sorted((dcmread(p) for p in folder.rglob("*.dcm")), key=lambda ds: ds.InstanceNumber)


@pytest.mark.parametrize("case", PUBLIC)
def test_our_objects_agree_with_the_public_ones_where_it_matters(tmp_path: Path, case: str) -> None:
    if not (SHARED / "DRO_public.tar.xz").exists():
        pytest.skip("shared data are absent")
    theirs, ours = public_slices(tmp_path / "public", case), slices_in(ibsi_dro(case, tmp_path).folder)
    for keyword in (
        "Units", "SUVType", "DecayCorrection", "PatientWeight", "PatientSize", "PatientSex", "SeriesDate", "SeriesTime",
        "AcquisitionDate", "AcquisitionTime", "ActualFrameDuration", "SeriesType", "Manufacturer", "SliceThickness",
    ):  # fmt: skip
        assert theirs[0].get(keyword) == ours[0].get(keyword), keyword
    a, b = (ds[0].RadiopharmaceuticalInformationSequence[0] for ds in (theirs, ours))
    for keyword in ("RadionuclideTotalDose", "RadionuclideHalfLife", "RadiopharmaceuticalStartTime",
                    "RadiopharmaceuticalStartDateTime"):  # fmt: skip
        assert a.get(keyword) == b.get(keyword), keyword
    assert {float(ds.RescaleSlope) for ds in theirs} == {float(ds.RescaleSlope) for ds in ours}
    values = [
        np.unique(np.stack([ds.pixel_array * float(ds.RescaleSlope) for ds in stack])) for stack in (theirs, ours)
    ]
    np.testing.assert_allclose(values[0], values[1], atol=1.0)


def test_the_setup_start_moves_all_times(tmp_path: Path) -> None:
    ds = slices_in(make_pet_series(tmp_path, acquisition_start=datetime(2023, 5, 6, 0, 20), uptake_s=3600.0))[0]
    assert (ds.AcquisitionDate, ds.StudyDate, ds.StudyTime) == ("20230506", "20230506", "001000.000000")
    assert ds.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartTime == "232000.000000"
