"""What a reading leaves on disk: complete, readable elsewhere, the same twice, and never half a file."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from fusin.errors import InputError, NotComputable
from fusin.imaging.nifti import read_nifti
from fusin.provenance import NoticeLog, canonical_json
from fusin.quantification.measuring import Measured
from fusin.quantification.metrics import measure_region
from fusin.quantification.tables import LESION_COLUMNS
from fusin.report.outputs import write_measured, write_reading

pytestmark = pytest.mark.xdist_group("phantom-write")

CREATED = datetime(2024, 5, 6, 7, 8, 9)
FILES = {
    "lesions.csv", "lesions.parquet", "physiological.csv", "references.csv",
    "suv.nii", "segmentation.dcm", "measurements.dcm", "suv_map.dcm",
    "report.html", "reading.json",
}  # fmt: skip
needs_dciodvfy = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")


@pytest.fixture(scope="module")
def written(labelled, tmp_path_factory):
    """(reading with its outputs, folder)."""
    folder = tmp_path_factory.mktemp("outputs") / "new" / "folder"
    log = NoticeLog()
    return write_reading(labelled.reading, labelled.study, folder, log, created=CREATED), folder


def test_every_file_is_written_and_listed(written):
    reading, folder = written
    assert {f.name for f in folder.iterdir()} == FILES
    assert set(reading.outputs.values()) == FILES


def test_the_json_is_the_readings_own(written):
    reading, folder = written
    assert json.loads((folder / "reading.json").read_text()) == json.loads(canonical_json(reading.to_json()))


def test_the_lesion_table_has_a_row_for_each_lesion_and_what_was_set_aside(written):
    reading, folder = written
    with (folder / "lesions.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(reading.lesions)
    assert list(rows[0]) == [c.name for c in LESION_COLUMNS]


def test_parquet_and_csv_hold_the_same_table(written):
    """The CSV keeps ten significant digits."""
    _, folder = written
    kinds = {c.name: c.dtype for c in LESION_COLUMNS}
    parquet = pd.read_parquet(folder / "lesions.parquet")
    plain = pd.read_csv(folder / "lesions.csv", dtype=kinds)
    assert {name: str(kind) for name, kind in parquet.dtypes.items()} == {
        name: str(kind) for name, kind in plain.dtypes.items()
    }
    pd.testing.assert_frame_equal(parquet, plain, rtol=1e-9, check_exact=False)


def test_the_nifti_volume_is_the_suv_volume(written, labelled):
    _, folder = written
    volume = read_nifti(folder / "suv.nii")
    assert volume.grid.matches(labelled.reading.pet.grid)
    np.testing.assert_array_equal(volume.values, labelled.reading.pet.values)


def test_the_nifti_volume_means_the_same_to_another_reader(written, labelled):
    """nibabel has x to the patient's left negative (RAS), DICOM positive (LPS)."""
    nibabel = pytest.importorskip("nibabel")
    _, folder = written
    image = nibabel.load(folder / "suv.nii")
    lesion = labelled.reading.lesions[0]
    ras = np.array(lesion.metrics.max_mm) * [-1, -1, 1]
    index = np.rint(np.linalg.inv(image.affine) @ [*ras, 1.0]).astype(int)[:3]
    assert image.get_fdata()[tuple(index)] == pytest.approx(lesion.metrics.suv_max)


def test_the_segmentation_holds_every_region_voxel_for_voxel(written, labelled):
    from fusin.imaging.masks import read_regions

    reading, folder = written
    found = {r.name: r for r in read_regions(folder / "segmentation.dcm", grid=reading.pet.grid, log=NoticeLog())}
    expected = {f"lesion {x.number}": x.region for x in reading.lesions}
    expected |= {f"reference {r.kind}": r.region for r in reading.references}
    assert set(found) == set(expected)
    for name, region in expected.items():
        np.testing.assert_array_equal(found[name].mask(), region.mask())


def test_the_segmentation_is_read_by_highdicom(written):
    highdicom = pytest.importorskip("highdicom")
    reading, folder = written
    seg = highdicom.seg.segread(folder / "segmentation.dcm")
    assert seg.number_of_segments == len(reading.lesions) + len(reading.references)
    labels = [seg.get_segment_description(n).segment_label for n in seg.segment_numbers]
    assert labels[: len(reading.lesions)] == [f"lesion {x.number}" for x in reading.lesions]


def measurement_groups(folder):
    highdicom = pytest.importorskip("highdicom")
    report = highdicom.sr.srread(folder / "measurements.dcm")
    return report.content.get_volumetric_roi_measurement_groups()


def test_the_structured_report_holds_the_numbers_of_each_lesion(written):
    reading, folder = written
    groups = measurement_groups(folder)
    assert len(groups) == len(reading.lesions) + len(reading.references)
    for lesion, group in zip(reading.lesions, groups, strict=False):
        values = [float(m.value) for m in group.get_measurements()]
        for expected in (lesion.metrics.suv_max, lesion.metrics.suv_mean, lesion.metrics.volume_ml):
            assert any(value == pytest.approx(expected, rel=1e-6) for value in values), (lesion.identity, expected)


def test_the_structured_report_holds_the_ratios(written):
    """(126039, DCM) lesion to background SUV ratio."""
    reading, folder = written
    groups = measurement_groups(folder)
    for lesion, group in zip(reading.lesions, groups, strict=False):
        ratios = [float(m.value) for m in group.get_measurements() if m.name.value == "126039"]
        assert any(value == pytest.approx(lesion.tbr("blood_pool").value, rel=1e-6) for value in ratios)


@needs_dciodvfy
@pytest.mark.parametrize("name", ["segmentation.dcm", "measurements.dcm"])
def test_dicom_objects_pass_dciodvfy(written, name):
    done = subprocess.run(["dciodvfy", str(written[1] / name)], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert lines
    assert [line for line in lines if line.startswith("Error")] == []


def test_the_parametric_map_holds_suv(written, labelled):
    import pydicom

    dataset = pydicom.dcmread(written[1] / "suv_map.dcm")
    values = np.frombuffer(dataset.FloatPixelData, dtype=np.float32).reshape(labelled.reading.pet.values.shape)
    np.testing.assert_allclose(np.sort(values.ravel()), np.sort(labelled.reading.pet.values.ravel()), rtol=1e-6)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    mapping = shared if "RealWorldValueMappingSequence" in shared else dataset.PerFrameFunctionalGroupsSequence[0]
    unit = mapping.RealWorldValueMappingSequence[0].MeasurementUnitsCodeSequence[0].CodeValue
    assert unit == "g/ml{SUVbw}"


def test_the_report_holds_every_lesion_and_asks_for_no_network(written):
    reading, folder = written
    page = (folder / "report.html").read_text()
    assert all(lesion.identity in page or str(lesion.number) in page for lesion in reading.lesions)
    assert "Research use only" in page
    assert "http-equiv" in page
    assert "Content-Security-Policy" in page


def test_writing_twice_gives_the_same_bytes(written, labelled, tmp_path):
    """With the moment of creation given, DICOM objects included."""
    _, folder = written
    write_reading(labelled.reading, labelled.study, tmp_path, NoticeLog(), created=CREATED)
    differ = [f.name for f in sorted(folder.iterdir()) if f.read_bytes() != (tmp_path / f.name).read_bytes()]
    assert differ == []


def test_without_dicom_and_report_only_tables_and_volumes_are_written(labelled, tmp_path):
    reading = write_reading(labelled.reading, labelled.study, tmp_path, NoticeLog(), dicom=False, report=False)
    assert {f.name for f in tmp_path.iterdir()} == {
        "lesions.csv", "lesions.parquet", "physiological.csv", "references.csv",
    "suv.nii", "reading.json",
    }  # fmt: skip
    assert set(reading.outputs.values()) == {f.name for f in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("writer", "missing"),
    [
        ("fusin.imaging.segment_objects.write_seg", {"segmentation.dcm", "measurements.dcm"}),
        ("fusin.imaging.structured_report.write_sr", {"measurements.dcm"}),
        ("fusin.imaging.parametric_map.write_parametric_map", {"suv_map.dcm"}),
        ("fusin.report.outputs.write_nifti", {"suv.nii"}),
        ("fusin.report.page.render_report", {"report.html"}),
    ],
)
def test_a_writer_that_fails_leaves_the_others_and_a_notice(labelled, tmp_path, monkeypatch, writer, missing):
    def fail(*_args, **_options):
        raise NotComputable("the object", "the test says so", "another test")

    monkeypatch.setattr(writer, fail)
    log = NoticeLog()
    reading = write_reading(labelled.reading, labelled.study, tmp_path, log, created=CREATED)
    names = {f.name for f in tmp_path.iterdir()}
    assert names == FILES - missing
    assert set(reading.outputs.values()) == names
    assert missing <= {n.where for n in log if n.code == "OUTPUT_NOT_WRITTEN"}


def test_the_notice_of_a_failed_writer_stands_in_the_json(labelled, tmp_path, monkeypatch):
    def fail(*_args, **_options):
        raise NotComputable("the object", "the test says so", "another test")

    monkeypatch.setattr("fusin.imaging.parametric_map.write_parametric_map", fail)
    write_reading(labelled.reading, labelled.study, tmp_path, NoticeLog(), report=False)
    document = json.loads((tmp_path / "reading.json").read_text())
    assert "OUTPUT_NOT_WRITTEN" in {n["code"] for n in document["notices"]}


def test_nothing_half_written_is_left_when_the_disk_fills(labelled, tmp_path, monkeypatch):
    """Files are written beside and renamed; a failure in between leaves neither a part nor a temporary file."""
    from pathlib import Path

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", lambda *a, **k: full(None, None))
    monkeypatch.setattr(Path, "replace", full)
    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="space"):
        write_reading(labelled.reading, labelled.study, tmp_path, NoticeLog(), dicom=False, report=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writer", ["fusin.report.outputs.write_nifti", "fusin.report.outputs._parquet"])
def test_a_crash_in_the_middle_leaves_no_part_of_that_file(labelled, tmp_path, monkeypatch, writer):
    def crash(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(writer, crash)
    with pytest.raises(KeyboardInterrupt):
        write_reading(labelled.reading, labelled.study, tmp_path, NoticeLog(), dicom=False, report=False)
    assert {f.name for f in tmp_path.iterdir()} <= {
        "lesions.csv",
        "lesions.parquet",
        "physiological.csv",
        "references.csv",
    }


def test_an_earlier_reading_in_the_folder_is_replaced(labelled, tmp_path):
    (tmp_path / "lesions.csv").write_text("old")
    write_reading(labelled.reading, labelled.study, tmp_path, NoticeLog(), dicom=False, report=False)
    assert (tmp_path / "lesions.csv").read_text() != "old"


def test_results_of_an_earlier_reading_do_not_mix_with_a_new_one(labelled, tmp_path):
    """A SEG of yesterday's threshold beside today's table would be read as today's."""
    write_reading(labelled.reading, labelled.study, tmp_path, NoticeLog(), report=False, created=CREATED)
    write_reading(labelled.reading, labelled.study, tmp_path, NoticeLog(), report=False, dicom=False)
    assert "segmentation.dcm" not in {f.name for f in tmp_path.iterdir()}


def test_a_reading_without_regions_writes_no_empty_segmentation(labelled, tmp_path):
    from dataclasses import replace

    empty = replace(labelled.reading, lesions=(), references=(), physiological=())
    log = NoticeLog()
    reading = write_reading(empty, labelled.study, tmp_path, log, created=CREATED)
    assert "segmentation" not in reading.outputs
    assert "structured_report" not in reading.outputs
    assert "NO_SEGMENTS" in {n.code for n in log}
    assert "report" in reading.outputs


def test_progress_ends_where_it_says(labelled, tmp_path):
    seen = []
    write_reading(
        labelled.reading, labelled.study, tmp_path, NoticeLog(), dicom=False,
        progress=lambda stage, done, total: seen.append((done, total)),
    )  # fmt: skip
    assert len({total for _, total in seen}) == 1
    assert seen[-1][0] == seen[-1][1]
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_folder_that_is_a_file_is_refused(labelled, tmp_path):
    target = tmp_path / "out"
    target.write_text("precious")
    with pytest.raises((InputError, OSError)):
        write_reading(labelled.reading, labelled.study, target, NoticeLog())
    assert target.read_text() == "precious"


def test_measured_regions_are_written_as_table_and_json(labelled, tmp_path):
    region = labelled.reading.references[0].region
    metrics = measure_region(labelled.reading.pet, region, log=NoticeLog())
    measured = Measured(
        series=labelled.reading.series, study=labelled.study, regions=(region,), metrics=(metrics,), notices=(),
        provenance=labelled.reading.provenance,
    )  # fmt: skip
    outputs = write_measured(measured, tmp_path)
    assert set(outputs.values()) == {f.name for f in tmp_path.iterdir()}
    frame = pd.read_csv(tmp_path / "regions.csv")
    assert frame.suv_mean.iloc[0] == pytest.approx(metrics.suv_mean, rel=1e-9)
    assert json.loads((tmp_path / "regions.json").read_text())["outputs"] == dict(outputs)
