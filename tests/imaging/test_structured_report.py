"""Structured reports: what was measured is what highdicom and fusin read back, tied to the segments of the SEG."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from source_headers import SERIES, STUDY, enhanced_header, make_grid, pet_headers, validation_errors

from fusin.errors import InputError
from fusin.imaging.derived_objects import RESEARCH_USE
from fusin.imaging.segment_objects import write_seg
from fusin.imaging.structured_report import Measurement, MeasurementGroup, read_sr, write_sr
from fusin.imaging.volume import Region
from fusin.provenance import NoticeLog

CREATED = datetime(2026, 1, 6, 9, 30)
SUV = "g/ml{SUVbw}"

LESION = (
    Measurement(concept="suvbw", value=9.125, unit=SUV, derivation="max", method="method_suvbw"),
    Measurement(concept="suvbw", value=7.5, unit=SUV, derivation="peak", method="peak_exact_1ml_global"),
    Measurement(concept="suvbw", value=4.0, unit=SUV, derivation="mean", method="method_suvbw"),
    Measurement(concept="metabolic_volume", value=3.2, unit="ml", method="method_sum_of_voxels"),
    Measurement(concept="total_lesion_uptake", value=12.8, unit="g"),
    Measurement(
        concept="lesion_to_background_ratio",
        value=5.5,
        unit="1",
        derivation="max",
        site="aorta_descending",
        low=5.0,
        high=6.0,
    ),
    Measurement(
        concept="lesion_to_background_background", value=1.66, unit=SUV, derivation="mean", site="aorta_descending"
    ),
)


def make_seg(folder: Path, names=("lesion 1", "blood_pool"), source=None) -> Path:
    grid = make_grid()
    regions = [
        Region(name=name, grid=grid, start=(1 + i, 2, 2), crop=np.ones((1, 2, 2), bool)) for i, name in enumerate(names)
    ]
    return write_seg(folder / "seg.dcm", regions, source=source or pet_headers(grid), log=NoticeLog(), created=CREATED)


def write(folder: Path, groups, *, source=None, name="sr.dcm", **more) -> Path:
    seg = folder / "seg.dcm" if (folder / "seg.dcm").exists() else make_seg(folder, source=source)
    headers = source or pet_headers(make_grid())
    return write_sr(folder / name, groups, source=headers, seg_path=seg, log=NoticeLog(), **more)


def both_groups() -> list[MeasurementGroup]:
    reference = (Measurement(concept="suvbw", value=1.66, unit=SUV, derivation="mean", method="method_suvbw"),)
    return [
        MeasurementGroup(segment_number=1, measurements=LESION, site="kidney_left"),
        MeasurementGroup(segment_number=2, measurements=reference, site="blood_pool"),
    ]


def test_measurements_come_back_as_they_were_given(tmp_path):
    first, second = read_sr(write(tmp_path, both_groups()))
    assert first.measurements == LESION
    assert (first.segment_number, first.finding, first.site) == (1, "lesion", "kidney_left")
    assert (second.segment_number, second.finding, second.site) == (2, "aorta_descending", "aorta_descending")
    assert second.measurements[0].value == 1.66


def test_highdicom_reads_the_same_groups(tmp_path):
    ds = pydicom.dcmread(write(tmp_path, both_groups()))
    report = hd.sr.Comprehensive3DSR.from_dataset(ds).content
    groups = report.get_volumetric_roi_measurement_groups()
    assert [g.tracking_identifier for g in groups] == ["lesion 1", "blood_pool"]
    (ratio,) = groups[0].get_measurements(name=pydicom.sr.codedict.codes.DCM.LesionToBackgroundSUVRatio)
    assert (ratio.value, ratio.unit.value) == (5.5, "1")
    assert ratio.finding_sites[0].topographical_modifier is None
    assert ratio.finding_sites[0].value.meaning == "Descending aorta"
    assert groups[0].finding_sites[0].laterality.meaning == "Left"


def test_the_report_passes_the_validator(tmp_path):
    assert validation_errors(write(tmp_path, both_groups(), comments=["Threshold: 2 x blood pool mean."])) == []


def test_groups_carry_the_tracking_identity_of_their_segments(tmp_path):
    groups = read_sr(write(tmp_path, both_groups()))
    segments = pydicom.dcmread(tmp_path / "seg.dcm").SegmentSequence
    assert [(g.tracking_id, g.tracking_uid) for g in groups] == [(s.TrackingID, s.TrackingUID) for s in segments]


def test_groups_refer_to_the_segment_and_the_source_series(tmp_path):
    ds = pydicom.dcmread(write(tmp_path, both_groups()))
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    group = hd.sr.Comprehensive3DSR.from_dataset(ds).content.get_volumetric_roi_measurement_groups()[1]
    reference = group.referenced_segment[0].ReferencedSOPSequence[0]
    assert reference.ReferencedSOPInstanceUID == seg.SOPInstanceUID
    assert reference.ReferencedSegmentNumber == 2
    assert group.referenced_segment[1].UID == SERIES
    (study,) = ds.CurrentRequestedProcedureEvidenceSequence
    counts = {s.SeriesInstanceUID: len(s.ReferencedSOPSequence) for s in study.ReferencedSeriesSequence}
    assert counts == {seg.SeriesInstanceUID: 1, SERIES: 7}
    assert study.StudyInstanceUID == ds.StudyInstanceUID == STUDY


def test_the_report_says_who_measured_and_for_what_use(tmp_path):
    ds = pydicom.dcmread(write(tmp_path, both_groups(), comments=["Threshold: SUV 3."]))
    remarks = ds.ContentSequence[-1]
    assert remarks.ConceptNameCodeSequence[0].CodeMeaning == "Qualitative Evaluations"
    assert [item.TextValue for item in remarks.ContentSequence] == ["Threshold: SUV 3.", RESEARCH_USE]
    assert (ds.CompletionFlag, ds.VerificationFlag, ds.PreliminaryFlag) == ("COMPLETE", "UNVERIFIED", "PRELIMINARY")
    report = hd.sr.Comprehensive3DSR.from_dataset(ds).content
    (observer,) = report.get_observer_contexts()
    assert observer.observer_identifying_attributes.name == "fusin"
    assert str(ds.PatientName) == "Test^Phantom"
    assert ds.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99FUSIN"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.floats(-1e12, 1e12, allow_nan=False), min_size=1, max_size=5))
def test_any_finite_number_comes_back_exactly(tmp_path, values):
    measurements = tuple(Measurement(concept="suvbw", value=v, unit=SUV, derivation="mean") for v in values)
    (group,) = read_sr(write(tmp_path, [MeasurementGroup(segment_number=1, measurements=measurements)]))
    assert [m.value for m in group.measurements] == values


def test_an_interval_comes_back_to_rounding(tmp_path):
    ratio = Measurement(concept="lesion_to_background_ratio", value=5.1, unit="1", low=4.7, high=5.9)
    (group,) = read_sr(write(tmp_path, [MeasurementGroup(segment_number=1, measurements=(ratio,))]))
    assert (group.measurements[0].low, group.measurements[0].high) == pytest.approx((4.7, 5.9), rel=1e-12)


def test_a_finding_may_be_named_and_a_group_may_be_empty(tmp_path):
    groups = read_sr(write(tmp_path, [MeasurementGroup(segment_number=1, measurements=(), finding="neoplasm")]))
    assert (groups[0].finding, groups[0].measurements) == ("neoplasm", ())


def test_a_source_with_gaps_and_one_enhanced_object_will_do(tmp_path):
    grid = make_grid()
    header = enhanced_header(grid, list(range(7)))
    for keyword in ("AccessionNumber", "StudyID", "PatientBirthDate", "ReferringPhysicianName"):
        delattr(header, keyword)
    path = write(tmp_path, both_groups(), source=[header])
    assert validation_errors(path) == []
    assert read_sr(path)[0].measurements == LESION


def test_a_name_of_one_component_is_kept_without_warning(tmp_path):
    source = pet_headers(make_grid(), PatientName="TRIAL-007")
    assert str(pydicom.dcmread(write(tmp_path, both_groups(), source=source)).PatientName) == "TRIAL-007"


def test_equal_inputs_give_equal_bytes(tmp_path):
    paths = [write(tmp_path, both_groups(), name=name, created=CREATED) for name in ("a.dcm", "b.dcm")]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def one(**more) -> list[MeasurementGroup]:
    fields = {"concept": "suvbw", "value": 1.0, "unit": SUV, **more}
    return [MeasurementGroup(segment_number=1, measurements=(Measurement(**fields),))]


@pytest.mark.parametrize(
    ("groups", "field"),
    [
        ([], "groups and source"),
        ([MeasurementGroup(segment_number=9, measurements=LESION)], "segment number"),
        ([MeasurementGroup(segment_number=1, measurements=LESION, tracking_uid="1.2.3")], "Tracking UID"),
        ([MeasurementGroup(segment_number=1, measurements=LESION, site="elbow")], "site"),
        (one(value=float("nan")), "suvbw"),
        (one(unit="furlong"), "name"),
        (one(concept="suv"), "name"),
        (one(low=0.5), "interval of suvbw"),
        (one(low=2.0, high=3.0), "interval of suvbw"),
    ],
)
def test_what_cannot_be_reported_is_refused_and_leaves_no_file(tmp_path, groups, field):
    with pytest.raises(InputError) as caught:
        write(tmp_path, groups)
    assert caught.value.field == field
    assert [p.name for p in tmp_path.iterdir()] == ["seg.dcm"]


def test_a_seg_of_another_series_is_refused(tmp_path):
    make_seg(tmp_path)
    with pytest.raises(InputError, match="Referenced Series"):
        write(tmp_path, both_groups(), source=pet_headers(make_grid(), SeriesInstanceUID="1.2.3.4"))


def test_files_that_are_no_seg_or_no_report_are_refused(tmp_path):
    report = write(tmp_path, both_groups())
    with pytest.raises(InputError, match="SOP Class"):
        write_sr(tmp_path / "b.dcm", both_groups(), source=pet_headers(make_grid()), seg_path=report, log=NoticeLog())
    (tmp_path / "text").write_text("no DICOM")
    for name in ("seg.dcm", "text", "absent"):
        with pytest.raises(InputError):
            read_sr(tmp_path / name)
    with pytest.raises(InputError, match="SEG"):
        write_sr(
            tmp_path / "b.dcm",
            both_groups(),
            source=pet_headers(make_grid()),
            seg_path=tmp_path / "text",
            log=NoticeLog(),
        )
