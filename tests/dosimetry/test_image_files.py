"""Images of every vendor form give the same activities, and what a header leaves open is refused in one sentence."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pydicom
import pytest

from fusin.dosimetry.image_files import read_image_study
from fusin.dosimetry.image_points import ImageOptions
from fusin.dosimetry.image_regions import region_curve
from fusin.errors import FusinError, InputError, NotComputable, StrictRefusal
from fusin.imaging.dicom_headers import InjectionHeader, StudyHeader
from fusin.imaging.dicom_write import write_ct_series, write_pet_series
from fusin.imaging.dicom_write_multiframe import write_enhanced_pet, write_nm
from fusin.imaging.masks import write_label_nifti, write_rtstruct
from fusin.imaging.volume import Grid, Region, Volume
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog

ROOT = Path(__file__).resolve().parents[2]
HALF_LIFE_S = nuclide("Lu-177").half_life_s
INJECTED = datetime(2026, 3, 2, 9, 30)
TIMES_H = (4.0, 24.0, 72.0, 144.0)
T_EFF_H = 41.0
AFFINE = np.array([[4.8, 0, 0, -38.4], [0, 4.8, 0, -38.4], [0, 0, 4.8, 100.0], [0, 0, 0, 1.0]])
GRID = Grid(shape=(10, 14, 14), affine=AFFINE, frame_of_reference_uid="1.2.826.0.1.5")
MASK = np.zeros(GRID.shape, bool)
MASK[3:7, 4:8, 5:10] = True
KIDNEY = Region.from_mask("kidney", GRID, MASK)
STUDY = StudyHeader(study_datetime=INJECTED)
DOSE = InjectionHeader(activity_mbq=200.0, time=INJECTED, half_life_s=HALF_LIFE_S, nuclide="Lu-177",
                       radiopharmaceutical="Pentixather")  # fmt: skip
CORRECTED = ["ATTN", "SCAT", "DECY"]
NM_START = {"DecayCorrection": "START", "CorrectedImage": CORRECTED}
OPTIONS = ImageOptions(calibration_u_percent=4.0, fwhm_mm=11.0)


def truth_bq_ml(time_h):
    """Concentration at a time after injection [Bq/mL]."""
    values = np.full(GRID.shape, 300.0)
    values[MASK] = 6e4
    return values * np.exp2(-time_h / T_EFF_H)


def kidney_mbq(time_h):
    return truth_bq_ml(time_h)[MASK].sum() * GRID.voxel_volume_ml / 1e6


def bq_ml(values):
    return Volume(values=values, grid=GRID, unit="Bq/ml")


def regions_file(folder):
    return write_label_nifti(folder / "regions" / "kidney.nii.gz", [KIDNEY], GRID)


def nm_study(folder, *, times=TIMES_H, tags=None, study=STUDY, dose=DOSE, **more):
    for number, hours in enumerate(times):
        write_nm(folder / "dicom" / f"spect{number}.dcm", bq_ml(truth_bq_ml(hours)), study=study, injection=dose,
                 acquisition_start=INJECTED + timedelta(hours=hours), seed_uid="x", series_number=10 + number,
                 description=f"SPECT {hours:g} h", tags=NM_START if tags is None else tags, **more)  # fmt: skip
    return folder / "dicom"


def pt_study(folder, *, decay, beds=1, times=TIMES_H, dose=DOSE, **more):
    """The writer wants the concentration at the scan start, and makes of it what a scanner stores."""
    for number, hours in enumerate(times):
        write_pet_series(folder / "dicom" / f"pt{number}", bq_ml(truth_bq_ml(hours)), study=STUDY, injection=dose,
                         acquisition_start=INJECTED + timedelta(hours=hours), seed_uid=f"x{number}", decay=decay, beds=beds,
                         frame_duration_s=1200.0, series_number=10 + number, description=f"PT {hours:g} h", **more)  # fmt: skip
    return folder / "dicom"


def curve_of(source, folder, log=None, **more):
    log = log if log is not None else NoticeLog()
    options = replace(OPTIONS, regions=regions_file(folder), **more)
    study = read_image_study(source, options=options, log=log)
    return study, region_curve(study, study.regions[0], log=log)


def same_activities(found, rel=1e-3):
    # What a value decays in a few minutes between start and mean of the scan is in the time of its point.
    expected = [
        kidney_mbq(t) * np.exp2(-(u - t) * 3600 / HALF_LIFE_S) for t, u in zip(TIMES_H, found.time_h, strict=True)
    ]
    return found.activity_mbq == pytest.approx(np.array(expected), rel=rel)


def test_spect_in_becquerels_corrected_to_its_start(tmp_path):
    study, found = curve_of(nm_study(tmp_path), tmp_path)
    assert same_activities(found.curve)
    assert found.curve.time_h == pytest.approx(TIMES_H)
    assert (study.nuclide, study.administered_mbq, study.injected) == ("Lu-177", 200.0, INJECTED)
    assert study.source_headers.PatientID == STUDY.patient_id
    assert len(study.inputs) == 5


@pytest.mark.parametrize("dialect", ["SIEMENS", "GE", "PHILIPS"])
@pytest.mark.parametrize("decay", ["START", "ADMIN", "NONE"])
def test_pet_objects_of_every_vendor_and_correction(tmp_path, decay, dialect):
    """SPECT exported as PET objects, 20 min per scan: the correction to injection is undone, uncorrected means keep their time."""
    study, found = curve_of(pt_study(tmp_path, decay=decay, dialect=dialect), tmp_path)
    assert same_activities(found.curve)
    delay_h = 0.0 if decay != "NONE" else 600.0 / 3600.0
    assert found.curve.time_h == pytest.approx(np.array(TIMES_H) + delay_h, abs=1e-3)
    assert decay in study.points[0].correction


def test_beds_without_decay_correction_are_brought_to_one_moment(tmp_path):
    short = replace(DOSE, nuclide="Ga-68", half_life_s=nuclide("Ga-68").half_life_s)
    one, _ = curve_of(pt_study(tmp_path / "a", decay="NONE", times=(1.0,), dose=short), tmp_path)
    three, _ = curve_of(pt_study(tmp_path / "b", decay="NONE", beds=3, times=(1.0,), dose=short), tmp_path)
    assert three.points[0].volume.values == pytest.approx(one.points[0].volume.values, rel=2e-3)
    assert "brought there" in three.points[0].correction


def test_enhanced_pet_and_philips_counts(tmp_path):
    write_enhanced_pet(tmp_path / "e" / "e.dcm", bq_ml(truth_bq_ml(24.0)), study=STUDY, injection=DOSE,
                       acquisition_start=INJECTED + timedelta(hours=24), seed_uid="e")  # fmt: skip
    study, _ = curve_of(tmp_path / "e", tmp_path)
    assert study.points[0].volume.values == pytest.approx(truth_bq_ml(24.0) / 1e6, rel=1e-3, abs=5e-7)
    write_pet_series(tmp_path / "c", bq_ml(truth_bq_ml(24.0)), study=STUDY, injection=DOSE, units="CNTS", dialect="PHILIPS",
                     acquisition_start=INJECTED + timedelta(hours=24), seed_uid="c")  # fmt: skip
    study, _ = curve_of(tmp_path / "c", tmp_path)
    assert study.points[0].volume.values == pytest.approx(truth_bq_ml(24.0) / 1e6, rel=1e-3, abs=5e-7)


def counts_study(folder, *, cps_per_mbq=9.0, views=64, view_s=20.0, hours=24.0, tags=None):
    mean = truth_bq_ml(hours) / 1e6 * np.exp2(-views * view_s / 2 / HALF_LIFE_S)
    counts = mean * GRID.voxel_volume_ml * cps_per_mbq * views * view_s
    gain = 60000.0 / counts.max()
    write_nm(folder / "dicom" / "counts.dcm", Volume(values=counts * gain, grid=GRID, unit="{counts}"), study=STUDY,
             injection=DOSE, acquisition_start=INJECTED + timedelta(hours=hours), seed_uid="c", frame_duration_s=view_s,
             tags={"DecayCorrection": "NONE", "CorrectedImage": ["ATTN", "SCAT"], **(tags or {})})  # fmt: skip
    return folder / "dicom", cps_per_mbq * gain


def test_counts_become_activity_by_calibration_and_the_duration_of_the_header(tmp_path):
    source, factor = counts_study(tmp_path)
    study, found = curve_of(source, tmp_path, calibration_cps_per_mbq=factor)
    point = study.points[0]
    assert point.duration_s == 1280.0
    assert point.time_h == pytest.approx(24.0 + 640.0 / 3600.0, abs=2e-4)
    # Stored counts are whole numbers, which is what the tolerance of the background is for.
    assert found.curve.activity_mbq[0] == pytest.approx(kidney_mbq(24.0) * np.exp2(-640 / HALF_LIFE_S), rel=1e-3)
    assert point.counts_per_mbq == pytest.approx(factor * 1280.0)
    with pytest.raises(NotComputable, match="calibration-cps-per-mbq") as caught:
        curve_of(source, tmp_path)
    assert caught.value.code == "CALIBRATION_NEEDED"


def test_a_stated_duration_goes_before_that_of_the_header_with_a_warning(tmp_path):
    source, factor = counts_study(tmp_path)
    log = NoticeLog()
    half, _ = curve_of(source, tmp_path, log, calibration_cps_per_mbq=factor, duration_s=640.0)
    full, _ = curve_of(source, tmp_path, calibration_cps_per_mbq=factor)
    ratio = half.points[0].volume.values[MASK].mean() / full.points[0].volume.values[MASK].mean()
    assert ratio == pytest.approx(2.0, rel=1e-6)
    assert "DURATION_DIFFERS" in [n.code for n in log]


def test_counts_without_a_duration_are_refused(tmp_path):
    source, factor = counts_study(tmp_path, tags={"RotationInformationSequence": None})
    with pytest.raises(NotComputable, match="duration") as caught:
        curve_of(source, tmp_path, calibration_cps_per_mbq=factor)
    assert caught.value.code == "DURATION_NEEDED"


def test_a_rescale_slope_beside_a_real_world_value_is_not_applied_twice(tmp_path):
    nm_study(tmp_path, times=(24.0,))
    plain, _ = curve_of(tmp_path / "dicom", tmp_path)
    file = tmp_path / "dicom" / "spect0.dcm"
    dataset = pydicom.dcmread(file)
    dataset.RescaleSlope, dataset.RescaleIntercept = "2.5", "0"
    dataset.save_as(file)
    both, _ = curve_of(tmp_path / "dicom", tmp_path)
    assert both.points[0].volume.values == pytest.approx(plain.points[0].volume.values, rel=1e-6)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"DecayCorrection": None, "CorrectedImage": None}, "absent, so that the moment"),
        ({"DecayCorrection": None, "CorrectedImage": CORRECTED}, "lists DECY"),
        ({"DecayCorrection": "YES", "CorrectedImage": CORRECTED}, "is YES"),
    ],
)
def test_an_unknown_decay_correction_is_refused_unless_it_is_stated(tmp_path, tags, words):
    source = nm_study(tmp_path, tags=tags)
    with pytest.raises(NotComputable, match=words) as caught:
        curve_of(source, tmp_path)
    assert caught.value.code == "DECAY_CORRECTION_UNKNOWN"
    _, found = curve_of(source, tmp_path, decay_correction="start")
    assert same_activities(found.curve)


def test_a_pet_without_decay_correction_is_refused(tmp_path):
    source = pt_study(tmp_path, decay="START", tags={"DecayCorrection": None})
    with pytest.raises(NotComputable, match="Decay Correction") as caught:
        curve_of(source, tmp_path)
    assert caught.value.code == "DECAY_CORRECTION_UNKNOWN"


def test_a_correction_list_without_decay_is_an_adaptation_that_strict_refuses(tmp_path):
    source = nm_study(tmp_path, tags={"DecayCorrection": None, "CorrectedImage": ["ATTN", "SCAT"]})
    log = NoticeLog()
    curve_of(source, tmp_path, log)
    assert "DECAY_CORRECTION_INFERRED" in [n.code for n in log]
    with pytest.raises(StrictRefusal, match="no DECY"):
        curve_of(source, tmp_path, NoticeLog(strict=True))


def test_an_option_against_the_header_is_refused_or_warned_of(tmp_path):
    source = nm_study(tmp_path)
    with pytest.raises(InputError, match="--decay-correction"):
        curve_of(source, tmp_path, decay_correction="admin")
    with pytest.raises(NotComputable, match="Y-90") as caught:
        curve_of(source, tmp_path, nuclide="Y-90")
    assert caught.value.code == "NUCLIDES_DIFFER"
    log = NoticeLog()
    study, _ = curve_of(source, tmp_path, log, administered_mbq=190.0, injected=INJECTED - timedelta(minutes=10))
    assert (study.administered_mbq, study.points[0].time_h) == (190.0, pytest.approx(4.0 + 1 / 6))
    assert {"ADMINISTERED_CONTRADICTS", "INJECTION_CONTRADICTS"} <= {n.code for n in log}


def test_therapeutic_activities_in_megabecquerels_are_not_taken_for_becquerels(tmp_path):
    """15 200 MBq, as were given of pentixather: above the 10 000 where SUV headers turn to becquerels."""
    study, _ = curve_of(nm_study(tmp_path, dose=replace(DOSE, activity_mbq=15200.0)), tmp_path)
    assert study.administered_mbq == pytest.approx(15200.0)
    study, _ = curve_of(pt_study(tmp_path / "p", decay="START", dose=replace(DOSE, activity_mbq=15200.0)), tmp_path)
    assert study.administered_mbq == pytest.approx(15200.0)


BROKEN = {
    "patients": ("PATIENTS_DIFFER", {"study": replace(STUDY, patient_id="OTHER")}, {}),
    "nuclides": ("NUCLIDES_DIFFER", {"dose": replace(DOSE, nuclide="Y-90", half_life_s=230760.0)}, {}),
    "activities": ("ADMINISTERED_DIFFER", {"dose": replace(DOSE, activity_mbq=250.0)}, {}),
    "injections": ("INJECTIONS_DIFFER", {"dose": replace(DOSE, time=INJECTED - timedelta(hours=2))}, {}),
    "same time": ("IMAGES_AT_SAME_TIME", {"times": (24.0,)}, {}),
    "zones": ("TIMEZONE_MIXED", {"tags": {**NM_START, "TimezoneOffsetFromUTC": "+0100"}}, {}),
    "frames": ("FRAMES_DIFFER", {}, {"FrameOfReferenceUID": "1.2.826.0.1.6"}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_images_that_do_not_belong_together_are_refused_in_one_sentence(tmp_path, name):
    code, more, change = BROKEN[name]
    nm_study(tmp_path)
    nm_study(tmp_path / "other", **{"times": (48.0,), **more})
    file = tmp_path / "dicom" / "other.dcm"
    dataset = pydicom.dcmread(tmp_path / "other" / "dicom" / "spect0.dcm")
    dataset.SeriesInstanceUID, dataset.SOPInstanceUID = "1.2.826.0.1.77", "1.2.826.0.1.78"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.SeriesNumber = 20
    for keyword, value in change.items():
        setattr(dataset, keyword, value)
    dataset.save_as(file)
    with pytest.raises(NotComputable) as caught:
        curve_of(tmp_path / "dicom", tmp_path)
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


def test_registered_images_of_different_frames_are_read_when_the_user_says_so(tmp_path):
    source = nm_study(tmp_path)
    for number, file in enumerate(sorted(source.glob("*.dcm"))):
        dataset = pydicom.dcmread(file)
        dataset.FrameOfReferenceUID = f"1.2.826.0.1.{60 + number}"
        dataset.save_as(file)
    log = NoticeLog()
    _, found = curve_of(source, tmp_path, log, registered=True)
    assert same_activities(found.curve)
    assert "FRAMES_TAKEN_AS_ONE" in [n.code for n in log]
    with pytest.raises(StrictRefusal, match="registered"):
        curve_of(source, tmp_path, NoticeLog(strict=True), registered=True)


def test_contours_in_any_frame_of_registered_images_are_taken(tmp_path):
    source = nm_study(tmp_path)
    for number, file in enumerate(sorted(source.glob("*.dcm"))):
        dataset = pydicom.dcmread(file)
        dataset.FrameOfReferenceUID = f"1.2.826.0.1.{60 + number}"
        dataset.save_as(file)
    third = pydicom.dcmread(source / "spect2.dcm")
    grid = Grid(shape=GRID.shape, affine=GRID.affine, frame_of_reference_uid=third.FrameOfReferenceUID)
    write_rtstruct(source / "rt.dcm", [Region.from_mask("kidney", grid, MASK)], source=[third])
    study = read_image_study(source, options=replace(OPTIONS, registered=True), log=NoticeLog())
    assert same_activities(region_curve(study, study.regions[0], log=NoticeLog()).curve, rel=0.02)
    with pytest.raises(NotComputable) as caught:
        read_image_study(source, options=OPTIONS, log=NoticeLog())
    assert caught.value.code == "FRAMES_DIFFER"


def test_outlines_on_each_image_need_no_common_frame(tmp_path):
    """Four SPECT in four frames, each with its own structure set: the patient lay differently each time."""
    source = nm_study(tmp_path)
    for number, file in enumerate(sorted(source.glob("*.dcm"))):
        dataset = pydicom.dcmread(file)
        frame = f"1.2.826.0.1.{60 + number}"
        dataset.FrameOfReferenceUID = frame
        dataset.save_as(file)
        grid = Grid(shape=GRID.shape, affine=GRID.affine, frame_of_reference_uid=frame)
        write_rtstruct(source / f"rt{number}.dcm", [Region.from_mask("kidney", grid, MASK)], source=[dataset])
    log = NoticeLog()
    study = read_image_study(source, options=OPTIONS, log=log)
    assert study.regions == ()
    found = region_curve(study, "kidney", log=log)
    assert found.outlines == 4
    assert same_activities(found.curve, rel=0.02)


def test_times_with_a_zone_pass_the_hour_of_daylight_saving_as_it_passed(tmp_path):
    winter = {**NM_START, "TimezoneOffsetFromUTC": "+0100"}
    summer = {**NM_START, "TimezoneOffsetFromUTC": "+0200"}
    nm_study(tmp_path, times=(4.0,), tags=winter)
    second = replace(DOSE, time=INJECTED + timedelta(hours=1))
    write_nm(tmp_path / "dicom" / "later.dcm", bq_ml(truth_bq_ml(24.0)), study=STUDY, injection=second, tags=summer,
             acquisition_start=INJECTED + timedelta(hours=25), seed_uid="y", series_number=30)  # fmt: skip
    study, _ = curve_of(tmp_path / "dicom", tmp_path)
    assert [p.time_h for p in study.points] == pytest.approx([4.0, 24.0])
    assert study.injected.astimezone(UTC) == datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
    aware = INJECTED.replace(tzinfo=timezone(timedelta(hours=1)))
    study, _ = curve_of(tmp_path / "dicom", tmp_path, injected=aware)
    assert study.injected == aware
    with pytest.raises(NotComputable, match="UTC offset"):
        curve_of(tmp_path / "dicom", tmp_path, injected=INJECTED)


def test_a_missing_or_later_injection_is_refused_and_can_be_stated(tmp_path):
    source = nm_study(
        tmp_path, injection_tags={"RadiopharmaceuticalStartDateTime": None, "RadiopharmaceuticalStartTime": None}
    )
    with pytest.raises(NotComputable, match="time of injection") as caught:
        curve_of(source, tmp_path)
    assert caught.value.code == "INJECTION_TIME_MISSING"
    _, found = curve_of(source, tmp_path, injected=INJECTED)
    assert same_activities(found.curve)
    with pytest.raises(NotComputable, match="before the injection") as caught:
        curve_of(source, tmp_path, injected=INJECTED + timedelta(hours=30))
    assert caught.value.code == "IMAGE_BEFORE_INJECTION"


def test_a_start_taken_from_the_series_is_an_adaptation(tmp_path):
    source = nm_study(tmp_path, tags={**NM_START, "AcquisitionDate": None, "AcquisitionTime": None})
    log = NoticeLog()
    curve_of(source, tmp_path, log)
    assert [n.severity for n in log if n.code == "ACQUISITION_TIME_FROM_SERIES"] == ["adapted"] * 4
    source = nm_study(tmp_path / "day", tags={**NM_START, "AcquisitionDate": None})
    log = NoticeLog()
    curve_of(source, tmp_path, log)
    assert "ACQUISITION_DATE_ASSUMED" in [n.code for n in log]


def test_a_clock_time_without_a_date_of_injection_asks_for_the_option(tmp_path):
    source = nm_study(tmp_path, injection_tags={"RadiopharmaceuticalStartDateTime": None})
    with pytest.raises(NotComputable, match="--injected") as caught:
        curve_of(source, tmp_path)
    assert caught.value.code == "INJECTION_DATE_UNKNOWN"


@pytest.mark.parametrize(("given", "warned"), [(200.0, False), (0.4, True), (200_000.0, True)])
def test_images_that_hold_more_than_was_given_or_next_to_nothing_are_doubted(tmp_path, given, warned):
    """The image holds 0.55 MBq: less was given, or the given activity is stated in kBq."""
    log = NoticeLog()
    curve_of(nm_study(tmp_path, times=(4.0,)), tmp_path, log, administered_mbq=given)
    holds = truth_bq_ml(4.0).sum() * GRID.voxel_volume_ml / 1e6
    left = given * np.exp2(-4.0 * 3600 / HALF_LIFE_S)
    assert warned == (holds > 1.15 * left or holds < 1e-3 * left)
    assert warned == ("IMAGE_ACTIVITY_IMPLAUSIBLE" in [n.code for n in log])


def test_dicom_images_without_a_frame_of_reference_are_a_warning(tmp_path):
    log = NoticeLog()
    curve_of(nm_study(tmp_path, tags={**NM_START, "FrameOfReferenceUID": None}), tmp_path, log)
    assert [n.severity for n in log if n.code == "FRAME_UNKNOWN"] == ["warning"]


def test_missing_facts_are_named_with_the_option_that_states_them(tmp_path):
    bare = {"RadionuclideTotalDose": None, "RadionuclideCodeSequence": None, "Radiopharmaceutical": None,
            "RadionuclideHalfLife": None}  # fmt: skip
    source = nm_study(tmp_path, injection_tags=bare)
    for known, needed in (({}, "--nuclide"), ({"nuclide": "177Lu"}, "--administered-mbq")):
        with pytest.raises(NotComputable, match=needed):
            curve_of(source, tmp_path, **known)
    _, found = curve_of(source, tmp_path, nuclide="177Lu", administered_mbq=200.0)
    assert same_activities(found.curve)
    with pytest.raises(NotComputable, match="--regions") as caught:
        read_image_study(source, options=replace(OPTIONS, nuclide="Lu-177", administered_mbq=1.0), log=NoticeLog())
    assert caught.value.code == "REGIONS_MISSING"


def test_structure_sets_on_the_ct_are_found_beside_the_images(tmp_path):
    source = nm_study(tmp_path)
    fine = np.diag([1.6, 1.6, 1.6, 1.0])
    fine[:3, 3] = AFFINE[:3, 3] - 1.6
    grid = Grid(shape=(30, 42, 42), affine=fine, frame_of_reference_uid=GRID.frame_of_reference_uid)
    ct = write_ct_series(source / "ct", Volume(values=np.zeros(grid.shape, np.int16), grid=grid, unit="[hnsf'U]"), study=STUDY,
                         seed_uid="ct")  # fmt: skip
    mask = np.repeat(np.repeat(np.repeat(MASK, 3, 0), 3, 1), 3, 2)
    headers = [pydicom.dcmread(f, stop_before_pixels=True) for f in sorted((source / "ct").rglob("*.dcm"))]
    assert ct
    write_rtstruct(source / "rt.dcm", [Region.from_mask("kidney", grid, mask)], source=headers)
    log = NoticeLog()
    study = read_image_study(source, options=OPTIONS, log=log)
    assert study.regions[0].grid.shape == grid.shape
    assert study.ct is not None
    assert study.ct.unit == "[hnsf'U]"
    found = region_curve(study, study.regions[0], log=log)
    assert same_activities(found.curve, rel=0.02)


def test_contours_beyond_the_image_are_measured_whole_and_not_cut_to_it(tmp_path):
    # Contours of a wider image, which is not in the folder: 5 of the 8 columns of "arm" lie beyond the SPECT.
    source = nm_study(tmp_path, tags=NM_START)
    wide = Grid(shape=(*GRID.shape[:2], 40), affine=AFFINE, frame_of_reference_uid=GRID.frame_of_reference_uid)
    kidney, arm, far = (np.zeros(wide.shape, bool) for _ in range(3))
    kidney[3:7, 4:8, 5:10], arm[3:7, 4:8, 11:19], far[3:7, 4:8, 30:34] = True, True, True
    drawn = [Region.from_mask(n, wide, m) for n, m in (("kidney", kidney), ("arm", arm), ("far", far))]
    header = pydicom.dcmread(sorted(source.glob("*.dcm"))[0], stop_before_pixels=True)
    write_rtstruct(tmp_path / "rt.dcm", drawn, source=[header])
    study = read_image_study(source, options=replace(OPTIONS, regions=tmp_path / "rt.dcm"), log=NoticeLog())
    volumes = {r.name: r.volume_ml for r in study.regions}
    assert volumes == pytest.approx({r.name: r.volume_ml for r in drawn}, rel=1e-6)
    log = NoticeLog()
    assert same_activities(region_curve(study, study.regions[0], log=log).curve)
    with pytest.raises(NotComputable, match=r"62\.5 % of its outline lies outside of the image"):
        region_curve(study, study.regions[1], log=log)
    with pytest.raises(NotComputable, match=r"100\.0 % of its outline lies outside of the image"):
        region_curve(study, study.regions[2], log=log)


def test_a_small_lesion_outlined_elsewhere_keeps_its_volume_on_a_coarse_image(tmp_path):
    # Circles of a sphere of 2 mL every 2 mm, as on a CT that is not in the folder; the SPECT has voxels of 4.8 mm.
    source = nm_study(tmp_path, tags=NM_START)
    fine = Grid(shape=(40, 60, 60), affine=np.diag([1.0, 1.0, 2.0, 1.0]) + np.pad([[-30.0], [-30.0], [101.0]], ((0, 1), (3, 0))),
                frame_of_reference_uid=GRID.frame_of_reference_uid)  # fmt: skip
    header = pydicom.dcmread(sorted(source.glob("*.dcm"))[0], stop_before_pixels=True)
    # Whole voxels of the SPECT would make 17 % less of it.
    middle, radius = np.array([-1.3, 2.2, 119.9]), np.cbrt(3.0 * 2000.0 / (4.0 * np.pi))
    slices, rows, columns = np.indices(fine.shape)
    away = np.linalg.norm(fine.to_mm(np.stack([columns, rows, slices], axis=-1)) - middle, axis=-1)
    drawn = Region.from_mask("lesion", fine, away <= radius)
    write_rtstruct(tmp_path / "rt.dcm", [drawn], source=[header])
    log = NoticeLog()
    (lesion,) = read_image_study(source, options=replace(OPTIONS, regions=tmp_path / "rt.dcm"), log=log).regions
    assert lesion.volume_ml == pytest.approx(drawn.volume_ml, rel=0.03)
    assert "CONTOUR_SPARSE" not in {n.code for n in log}


def test_series_can_be_named_and_others_are_set_aside_with_their_reason(tmp_path):
    source = nm_study(tmp_path)
    nm_study(tmp_path / "nac", times=(4.0,), tags={**NM_START, "CorrectedImage": ["DECY", "SCAT"]})
    dataset = pydicom.dcmread(tmp_path / "nac" / "dicom" / "spect0.dcm")
    dataset.SeriesInstanceUID, dataset.SOPInstanceUID = "1.2.826.0.1.80", "1.2.826.0.1.81"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.SeriesDescription, dataset.SeriesNumber = "NAC", 40
    dataset.save_as(source / "nac.dcm")
    log = NoticeLog()
    study, _ = curve_of(source, tmp_path, log)
    assert len(study.points) == 4
    assert any(n.code == "IMAGE_SET_ASIDE" and "attenuation" in n.message for n in log)
    study, _ = curve_of(source, tmp_path, series=("11", "NAC"))
    assert [p.where for p in study.points] == ["series 40 'NAC'", "series 11 'SPECT 24 h'"]
    with pytest.raises(InputError, match="--series"):
        curve_of(source, tmp_path, series=("99",))


def test_suv_and_projections_and_folders_without_images_are_refused(tmp_path):
    source = pt_study(tmp_path, decay="START", units="GML", times=(4.0,))
    with pytest.raises(NotComputable, match="GML") as caught:
        curve_of(source, tmp_path)
    assert caught.value.code == "ACTIVITY_UNIT"
    with pytest.raises(NotComputable, match="projections"):
        curve_of(nm_study(tmp_path / "p", times=(4.0,), kind="TOMO"), tmp_path)
    with pytest.raises(InputError):
        read_image_study(tmp_path / "nothing", options=OPTIONS, log=NoticeLog())


def test_a_real_planar_image_is_refused_as_spect_with_the_reason():
    planar = ROOT.parent / "shared" / "data" / "spect" / "nm_planar_ge"
    if not planar.is_dir():
        pytest.skip("the planar NM of shared/data is not here")
    with pytest.raises(NotComputable, match="planar nuclear medicine image"):
        read_image_study(planar, options=OPTIONS, log=NoticeLog())


@pytest.mark.parametrize("seed", range(12))
def test_damaged_files_end_in_one_sentence(tmp_path, seed):
    source = nm_study(tmp_path, times=(4.0, 24.0))
    shutil.copy(source / "spect0.dcm", source / "keep.bin")
    rng = np.random.default_rng(seed)
    data = bytearray((source / "spect0.dcm").read_bytes())
    for _ in range(20):
        data[int(rng.integers(132, 2400))] = int(rng.integers(256))
    (source / "spect0.dcm").write_bytes(bytes(data[: int(rng.integers(400, len(data) + 1))]))
    (source / "keep.bin").unlink()
    sentence = "read"
    try:
        curve_of(source, tmp_path)
    except FusinError as err:
        sentence = str(err)
    assert sentence
    assert "\n" not in sentence


def test_numbers_that_no_one_could_mean_are_refused_before_anything_is_read(tmp_path):
    source = nm_study(tmp_path, times=(4.0,))
    for bad in ({"administered_mbq": -1.0}, {"calibration_u_percent": 120.0}, {"fwhm_mm": -3.0}, {"duration_s": 0.0},
                {"random_u_percent": float("nan")}, {"decay_correction": "later"}):  # fmt: skip
        with pytest.raises(InputError):
            curve_of(source, tmp_path, **bad)
