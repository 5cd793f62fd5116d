"""The audit: a verdict, a rule and a reason for each series, from headers alone, and what looks doubtful."""

from __future__ import annotations

import json

import pydicom
import pytest

from fusin.imaging.audit import Protocol, audit_catalogue
from fusin.imaging.instances import Instance
from fusin.imaging.series import scan
from fusin.imaging.sources import FileSource
from fusin.imaging.suv import SuvOptions
from fusin.provenance import NoticeLog, canonical_json
from fusin.quantification.protocols import protocol
from fusin.testing import (
    make_ct_series,
    make_enhanced_pet,
    make_legacy_enhanced_pet,
    make_nac_series,
    make_nm,
    make_pet_series,
)

PROTOCOL = protocol("oncology")
CONTRACT = {"series_uid", "modality", "computable", "rule", "reason", "factor_suvbw_per_bqml", "notices"}
# What the audit says beyond the contract; a script may rely on the contract alone.
MORE = {"description", "instances", "uptake_time_min", "suv"}


def audited(path, **options):
    catalogue = scan(path, NoticeLog())
    return audit_catalogue(catalogue, protocol=options.pop("protocol", PROTOCOL), **options)


def one(path, **options):
    (entry,) = audited(path, **options).series
    return entry


def codes(entry):
    return {n.code for n in entry.notices}


def test_the_json_contract_is_kept_exactly(tmp_path):
    make_pet_series(tmp_path / "pet")
    make_ct_series(tmp_path / "ct")
    make_nac_series(tmp_path / "nac")
    document = json.loads(canonical_json(audited(tmp_path).to_json()))
    assert set(document) == {"series", "notices"}
    assert all(set(entry) == CONTRACT | MORE for entry in document["series"])


def test_types_of_the_contract_hold_for_every_verdict(tmp_path):
    make_pet_series(tmp_path / "pet")
    make_ct_series(tmp_path / "ct")
    for entry in json.loads(canonical_json(audited(tmp_path).to_json()))["series"]:
        assert isinstance(entry["computable"], bool)
        assert isinstance(entry["reason"], str)
        assert entry["computable"] == (entry["rule"] is not None)
        assert entry["computable"] == isinstance(entry["factor_suvbw_per_bqml"], float)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"dialect": "SIEMENS"}, "BQML/START/start-private-siemens"),
        ({"dialect": "GE"}, "BQML/START/start-private-ge"),
        ({"decay": "ADMIN"}, "BQML/ADMIN"),
        ({"units": "GML", "suv_type": "BW"}, "GML/"),
        ({"dialect": "PHILIPS", "units": "CNTS"}, "CNTS-philips-activity"),
        ({"units": "CM2ML", "suv_type": "BSA"}, "CM2ML/"),
    ],
)
def test_the_rule_that_applies_is_named(tmp_path, options, rule):
    entry = one(make_pet_series(tmp_path, **options))
    assert entry.computable
    assert entry.rule.startswith(rule)


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"PatientWeight": None}, "(0010,1030)"),
        ({"Units": "PROPCPS"}, "PROPCPS"),
        ({"Units": None}, "(0054,1001)"),
        ({"DecayCorrection": None}, "(0054,1102)"),
        ({"CorrectedImage": ["DECY", "SCAT"]}, "attenuation"),
        ({"RadiopharmaceuticalInformationSequence": None}, "(0018,1074)"),
    ],
)
def test_a_series_without_suv_has_the_tag_in_its_reason(tmp_path, tags, reason):
    entry = one(make_pet_series(tmp_path, tags=tags))
    assert not entry.computable
    assert entry.rule is None
    assert reason in entry.reason


def test_an_uncorrected_series_is_not_computable(tmp_path):
    entry = one(make_nac_series(tmp_path))
    assert not entry.computable
    assert "NOT_ATTENUATION_CORRECTED" in codes(entry)


def test_a_ct_is_listed_and_is_no_fault(tmp_path):
    entry = one(make_ct_series(tmp_path))
    assert not entry.computable
    assert "CT" in entry.reason
    assert not [n for n in entry.notices if n.severity == "warning"]


def test_spect_is_listed_with_its_reason(tmp_path):
    make_nm(tmp_path)
    entry = one(tmp_path)
    assert not entry.computable
    assert "NM" in entry.reason


@pytest.mark.parametrize("make", [make_enhanced_pet, make_legacy_enhanced_pet])
def test_multi_frame_objects_are_audited(tmp_path, make):
    make(tmp_path)
    entry = next(e for e in audited(tmp_path).series if e.series.first.frames > 1)
    assert entry.computable, entry.reason


def test_the_factor_is_the_hand_calculation(tmp_path):
    """70 kg, 150 MBq, 60 min of a half-life of 4062.6 s: 70000 / (150e6 * 2**(-3600/4062.6))."""
    entry = one(make_pet_series(tmp_path))
    expected = 70_000 / (150e6 * 2 ** (-3600 / 4062.6))
    assert entry.to_json()["factor_suvbw_per_bqml"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("minutes", "doubted"), [(20, True), (44, True), (46, False), (89, False), (91, True)])
def test_an_uptake_time_outside_the_window_is_doubted(tmp_path, minutes, doubted):
    entry = one(make_pet_series(tmp_path, uptake_s=60.0 * minutes))
    assert entry.computable
    assert entry.uptake_time_min == pytest.approx(minutes)
    assert ("UPTAKE_OUTSIDE_PROTOCOL" in codes(entry)) is doubted


@pytest.mark.parametrize(("activity", "doubted"), [(40.0, True), (51.0, False), (249.0, False), (260.0, True)])
def test_an_activity_outside_50_to_250_mbq_is_doubted(tmp_path, activity, doubted):
    entry = one(make_pet_series(tmp_path, activity_mbq=activity))
    assert entry.computable
    assert ("ACTIVITY_OUTSIDE_PROTOCOL" in codes(entry)) is doubted


def test_a_half_life_that_is_not_the_nuclides_is_doubted(tmp_path):
    entry = one(make_pet_series(tmp_path, injection_tags={"RadionuclideHalfLife": "6586.2"}))
    assert entry.computable
    assert "HALF_LIFE_DIFFERS" in codes(entry)


def test_a_pause_between_beds_is_doubted(tmp_path):
    folder = make_pet_series(tmp_path, beds=2)
    entry = one(folder)
    assert "BED_PAUSE" not in codes(entry)
    for file in folder.glob("*.dcm"):
        dataset = pydicom.dcmread(file)
        if dataset.AcquisitionTime >= "1001":
            dataset.AcquisitionTime = "104500"
            dataset.save_as(file)
    assert "BED_PAUSE" in codes(one(folder))


def test_beds_are_counted(tmp_path):
    entry = one(make_pet_series(tmp_path, beds=3))
    assert next(n.raw for n in entry.notices if n.code == "BEDS") == 3


def test_a_protocol_brings_its_own_window(tmp_path):
    narrow = Protocol(name="mine", uptake_min=(0.0, 1.0), activity_mbq=(0.0, 1e6), source="this test")
    entry = one(make_pet_series(tmp_path), protocol=narrow)
    notice = next(n for n in entry.notices if n.code == "UPTAKE_OUTSIDE_PROTOCOL")
    assert "this test" in notice.message


def test_strict_turns_an_adaptation_into_a_no(tmp_path):
    folder = make_pet_series(tmp_path, tags={"PatientWeight": "70000"})
    assert one(folder).computable
    strict = one(folder, strict=True)
    assert not strict.computable
    assert "strict" in strict.reason


def test_strict_leaves_a_clean_series_alone(tmp_path):
    assert one(make_pet_series(tmp_path), strict=True).computable


def test_options_reach_the_plan(tmp_path):
    folder = make_pet_series(tmp_path, injection_tags={"RadionuclideHalfLife": None})
    assert not one(folder).computable
    assert one(folder, options=SuvOptions(half_life_from_code=True)).computable


def test_no_pixel_is_read(tmp_path, monkeypatch):
    """The audit opens headers; pixels must be there (a file without them is cut off) and are never looked at."""

    def refuse(*_args, **_options):
        raise AssertionError("the audit read pixels")

    folder = make_pet_series(tmp_path)
    monkeypatch.setattr(Instance, "stored", refuse)
    monkeypatch.setattr(FileSource, "read_into", refuse)
    assert one(folder).computable


def test_zeroed_pixels_change_nothing(tmp_path):
    folder = make_pet_series(tmp_path)
    before = one(folder).to_json()
    for file in folder.glob("*.dcm"):
        data = file.read_bytes()
        size = 16 * 16 * 2
        file.write_bytes(data[:-size] + bytes(size))
    assert one(folder).to_json() == before


def test_a_file_without_its_pixels_is_named(tmp_path):
    folder = make_pet_series(tmp_path)
    victim = sorted(folder.glob("*.dcm"))[0]
    victim.write_bytes(victim.read_bytes()[:-100])
    found = audited(folder)
    assert any(n.code == "TRUNCATED_FILE" and victim.name in n.message for n in found.notices)


def test_mixed_frames_of_reference_are_the_reason(tmp_path):
    folder = make_pet_series(tmp_path)
    victim = sorted(folder.glob("*.dcm"))[0]
    dataset = pydicom.dcmread(victim)
    dataset.FrameOfReferenceUID = "1.2.3"
    dataset.save_as(victim)
    entry = one(folder)
    assert not entry.computable
    assert "frames of reference" in entry.reason


def test_auditing_twice_gives_the_same_bytes(tmp_path):
    make_pet_series(tmp_path / "pet", beds=3)
    make_ct_series(tmp_path / "ct")
    assert canonical_json(audited(tmp_path).to_json()) == canonical_json(audited(tmp_path).to_json())
