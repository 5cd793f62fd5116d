"""Headers that real exports hold and that would give a silently wrong number: each is refused, doubted or read right."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pydicom
import pytest
from test_gotchas import PATTERN, assert_suv, codes, read
from test_suv_rules import GA68_S, START, START_FACTOR, header, plan, timing

from fusin.errors import Ambiguous, InputError, InvalidValue, NotComputable
from fusin.imaging.series import scan
from fusin.imaging.suv_witness import is_ge
from fusin.provenance import NoticeLog
from fusin.testing import make_ct_series, make_enhanced_pet, make_pet_series


def rewrite(folder: Path, change, *, only=lambda number: True) -> None:
    """Change the datasets of a series on disk."""
    for number, file in enumerate(sorted(folder.glob("*.dcm"))):
        if only(number):
            dataset = pydicom.dcmread(file)
            change(dataset)
            dataset.save_as(file)


def _set(**values):
    def change(dataset):
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    return change


def _dose(dataset):
    dataset.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose = 75e6


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (_set(Units="GML"), "0054,1001"),
        (_set(DecayCorrection="ADMIN"), "0054,1102"),
        (_set(PatientWeight=90), "0010,1030"),
        (_set(CorrectedImage=["DECY", "SCAT"]), "0028,0051"),
        (_dose, "RadionuclideTotalDose"),
    ],
)
def test_slices_that_disagree_on_what_suv_hangs_on_are_refused_by_field(tmp_path, change, field):
    folder = make_pet_series(tmp_path)
    rewrite(folder, change, only=lambda number: number >= 4)
    with pytest.raises(Ambiguous, match="disagree") as caught:
        read(folder)
    assert field in str(caught.value)


def test_slices_that_say_the_same_in_other_bytes_are_read(tmp_path):
    folder = make_pet_series(tmp_path)
    rewrite(folder, _set(PatientWeight="70.000"), only=lambda number: number >= 4)
    assert_suv(read(folder))


def _groups(dataset):
    return [*dataset.PerFrameFunctionalGroupsSequence, *dataset.SharedFunctionalGroupsSequence]


def test_enhanced_pet_takes_unit_and_slope_from_one_real_world_value_item(tmp_path):
    """SUVbw in the real world value item with its own slope, Bq/mL in the pixel value transformation: x 1159 if mixed."""
    plain = make_enhanced_pet(tmp_path / "plain")
    truth = read(plain.parent)
    factor = truth.plan.factors[0]
    path = make_enhanced_pet(tmp_path / "suv")
    dataset = pydicom.dcmread(path)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for groups in dataset.PerFrameFunctionalGroupsSequence:
        held = groups if "PixelValueTransformationSequence" in groups else shared
        slope = float(held.PixelValueTransformationSequence[0].RescaleSlope)
        source = groups if "RealWorldValueMappingSequence" in groups else shared
        item = pydicom.Dataset()
        item.update(source.RealWorldValueMappingSequence[0])
        code = pydicom.Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "g/ml{SUVbw}", "UCUM", "SUVbw"
        item.MeasurementUnitsCodeSequence = [code]
        item.RealWorldValueSlope, item.RealWorldValueIntercept = slope * factor, 0.0
        groups.RealWorldValueMappingSequence = [item]
    dataset.save_as(path)
    found = read(path.parent)
    assert found.plan.rule.startswith("GML")
    np.testing.assert_allclose(found.volume.values, truth.volume.values, rtol=1e-4)


def test_real_world_values_given_by_a_table_are_refused(tmp_path):
    path = make_enhanced_pet(tmp_path)
    dataset = pydicom.dcmread(path)
    for groups in _groups(dataset):
        for item in groups.get("RealWorldValueMappingSequence", []):
            del item.RealWorldValueSlope
            item.RealWorldValueLUTData = [0.0, 1.0]
    dataset.save_as(path)
    with pytest.raises(NotComputable, match="table"):
        read(tmp_path)


def test_utc_offsets_are_converted_on_the_side_of_the_reference_too():
    """09:00 UTC is 10:00 on a +0100 clock: injection at 08:00 UTC is 60 min before, not 0."""
    p = plan(
        enhanced=True, decay_correction="DATETIME", timezone="+0100", decay_reference="20260302100000+0000",
        injection_datetime="20260302090000+0000",
    )  # fmt: skip
    assert p.uptake_time_min == 60.0


@pytest.mark.parametrize("shift_min", [45, 90])
def test_a_private_reference_time_that_was_not_shifted_with_the_dates_is_doubted(shift_min):
    log = NoticeLog()
    moved = START + timedelta(minutes=shift_min)
    plan(log, private_vendor="SIEMENS", frames=(timing(private_reference=moved, frame_reference_time_ms=89_540.0),))
    assert {"REFERENCE_DOUBTED", "PRIVATE_TIME_DOUBTED"} & codes(log)


def test_a_late_frame_in_a_series_of_its_own_is_doubted():
    """Series Time equals Acquisition Time, and Frame Reference Time says the scan began 40 min before."""
    log = NoticeLog()
    plan(log, frames=(timing(frame_reference_time_ms=2_490_000.0, decay_factor=1.53),))
    assert "REFERENCE_DOUBTED" in codes(log)


def test_consistent_witnesses_raise_no_doubt():
    log = NoticeLog()
    plan(log, frames=(timing(frame_reference_time_ms=89_540.0, decay_factor=2 ** (89.54 / GA68_S)),))
    assert "REFERENCE_DOUBTED" not in codes(log)


@pytest.mark.parametrize(("signed", "bits"), [(0, 12), (1, 12), (1, 14)])
def test_unused_high_bits_are_no_part_of_a_value_in_either_reader(tmp_path, signed, bits):
    folder = make_ct_series(tmp_path)

    def change(dataset):
        stored = np.frombuffer(dataset.PixelData, dtype="<u2").copy()
        stored &= (1 << bits) - 1
        stored[0] |= 1 << 15
        dataset.PixelData = stored.tobytes()
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits - 1, signed

    rewrite(folder, change)
    series = scan(folder, NoticeLog()).series[0]
    assert all(instance.plain for instance in series.instances)
    fast, slow = series.load(NoticeLog()), series.load(NoticeLog(), plain=False)
    np.testing.assert_array_equal(fast.values, slow.values)


def test_a_series_that_lost_slices_at_its_end_is_named(tmp_path):
    folder = make_pet_series(tmp_path)
    sorted(folder.glob("*.dcm"))[-1].unlink()
    log = NoticeLog()
    read(folder, log)
    assert "SERIES_INCOMPLETE" in codes(log)


def test_a_series_that_lost_every_other_slice_is_named(tmp_path):
    folder = make_pet_series(tmp_path)
    for file in sorted(folder.glob("*.dcm"))[1::2]:
        file.unlink()
    log = NoticeLog()
    read(folder, log)
    assert {"SERIES_INCOMPLETE", "SLICES_FAR_APART"} <= codes(log)


def test_the_half_life_is_checked_by_the_tracers_name_when_the_code_is_gone():
    log = NoticeLog()
    plan(log, half_life=6586.2, nuclide_code="", radiopharmaceutical="68Ga-Pentixafor")
    assert "HALF_LIFE_DIFFERS" in codes(log)
    unnamed = NoticeLog()
    plan(unnamed, nuclide_code="")
    assert "NUCLIDE_UNKNOWN" in codes(unnamed)


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("GE MEDICAL SYSTEMS", True), ("GE Healthcare", True), ("GEMS", True), ("General Electric", True),
        ("ACME IMAGE Co", False), ("SIEMENS", False), ("", False), ("GEORGE Inc", False),
    ],
)  # fmt: skip
def test_ge_is_told_by_its_name_and_not_by_two_letters_anywhere(name, verdict):
    assert is_ge(name) is verdict


def test_a_weight_in_pounds_shows_in_the_body_mass_index():
    log = NoticeLog()
    plan(log, weight=154.3, size=1.70)
    assert any(n.code == "BODY_MASS_IMPLAUSIBLE" and "70.0 kg" in n.message for n in log)


def test_a_date_without_a_clock_does_not_overrule_the_start_time():
    for text in ("20260302", "19000101"):
        assert plan(injection_datetime=text, injection_time="100000").uptake_time_min == 60.0


def test_an_anonymisers_midnight_does_not_overrule_the_start_time():
    log = NoticeLog()
    assert plan(log, injection_datetime="19000101000000", injection_time="100000").uptake_time_min == 60.0
    assert "INJECTION_TIMES_DISAGREE" in codes(log)


def test_a_utc_suffix_is_resolved_by_the_local_start_time():
    p = plan(injection_datetime="20260302090000+0000", injection_time="100000")
    assert p.uptake_time_min == 60.0


def test_start_has_one_reference_moment_or_none():
    frames = tuple(
        timing(acquisition=START + timedelta(minutes=3 * k), frame_reference_time_ms=90_000.0) for k in range(4)
    )
    with pytest.raises(Ambiguous, match="one reference moment"):
        plan(frames=frames, series_time_text="134500")


def test_frame_reference_times_from_the_scan_start_are_one_convention_for_all_beds():
    frames = tuple(
        timing(acquisition=START + timedelta(seconds=180 * k), frame_reference_time_ms=180_000.0 * k) for k in range(3)
    )
    p = plan(frames=frames, series_time_text="134500", manufacturer="UIH")
    assert p.factors == pytest.approx([START_FACTOR] * 3, rel=1e-12)


def test_beds_across_midnight_with_one_date_are_one_scan():
    late = datetime(2026, 3, 2, 23, 58)
    early = datetime(2026, 3, 2, 0, 4)
    log = NoticeLog()
    p = plan(
        log, injection_datetime="", injection_time="225800", series_time_text="235800",
        frames=(timing(acquisition=late), timing(acquisition=early)),
    )  # fmt: skip
    assert "MIDNIGHT_UNWRAPPED" in codes(log)
    assert p.factors == pytest.approx([START_FACTOR] * 2, rel=1e-9)


def test_a_later_time_point_refers_to_the_start_of_the_whole_scan():
    """Phase 2 of a dynamic scan without Frame Reference Times: the first phase proves where the scan began."""
    later = timing(acquisition=START + timedelta(minutes=20), frame_reference_time_ms=0.0)
    p = plan(frames=(later,), series_begun=START)
    assert p.factors[0] == pytest.approx(START_FACTOR, rel=1e-12)


def test_a_valid_injection_beyond_two_half_lives_is_no_adaptation():
    log = NoticeLog(strict=True)
    assert plan(log, injection_datetime="20260302084000").uptake_time_min == 140.0


def test_immuno_pet_a_week_after_injection_is_read_with_a_remark():
    log = NoticeLog()
    p = plan(log, half_life=282_276.0, nuclide_code="", injection_datetime="20260223110000")
    assert p.uptake_time_min == 7 * 1440
    assert "UPTAKE_LONG" in codes(log)


def test_a_damaged_copy_is_an_input_error_and_no_crash(tmp_path):
    folder = make_pet_series(tmp_path, transfer_syntax="rle")
    file = sorted(folder.glob("*.dcm"))[2]
    dataset = pydicom.dcmread(file)
    dataset.PixelData = pydicom.encaps.encapsulate([b"\x01\x00\x00\x00" + bytes(40)])
    dataset.save_as(folder / "copy.dcm")
    series = scan(folder, NoticeLog()).series[0]
    assert isinstance(series.problem, InputError)


@pytest.mark.parametrize("dose", [150_000.0, 4.05])
def test_an_activity_in_kbq_or_mci_is_doubted_in_words(dose):
    log = NoticeLog()
    plan(log, dose=dose)
    assert any(n.code == "ACTIVITY_IMPLAUSIBLE" and ("kBq" in n.message or "mCi" in n.message) for n in log)


def test_a_negative_slope_is_refused():
    with pytest.raises(InvalidValue, match="Slope"):
        plan(slopes=(-1.0, -1.0))


def test_philips_images_are_each_scaled_by_their_own_factor():
    frames = (timing(activity_factor=2.5), timing(activity_factor=5.0))
    p = plan(units="CNTS", manufacturer="Philips", philips_activity_factor=2.5, frames=frames)
    assert p.factors[1] == pytest.approx(2 * p.factors[0])
    assert replace(header(), units="CNTS").units == "CNTS"


def test_a_stored_suv_does_not_report_a_weight_that_nobody_checked():
    assert plan(units="GML", weight=70_000.0).weight_kg is None


def test_the_default_pattern_is_still_read(tmp_path):
    assert_suv(read(make_pet_series(tmp_path)), PATTERN)
