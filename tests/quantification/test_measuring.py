"""Metrics in drawn regions, end to end from files."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from fusin.errors import FusinError, InputError, StrictRefusal
from fusin.imaging.masks import write_label_nifti, write_rtstruct
from fusin.imaging.suv import SuvOptions
from fusin.imaging.volume import Region
from fusin.provenance import NoticeLog, canonical_json
from fusin.quantification.measuring import measure_study
from fusin.quantification.study import StudyOptions, open_study
from fusin.testing import make_grid, make_pet_series, suv_pattern

SHAPE = (12, 32, 32)
PATTERN = suv_pattern(SHAPE)
REGION_KEYS = {
    "name", "voxels", "volume_ml", "suv_max", "suv_mean", "suv_min", "suv_median", "suv_sd", "suv_peak",
}  # fmt: skip


def block(grid, name="block", start=(4, 10, 10), size=(3, 5, 6)):
    return Region(name=name, grid=grid, start=start, crop=np.ones(size, dtype=bool))


@pytest.fixture
def case(tmp_path):
    """(folder of the PET, study, region)."""
    folder = make_pet_series(tmp_path / "pet", grid=make_grid(SHAPE))
    study = open_study(folder, NoticeLog(), with_ct=False)
    return folder, study, block(study.pet.grid)


def test_a_region_is_measured_on_the_voxels_it_was_drawn_on(case, tmp_path):
    folder, study, region = case
    path = tmp_path / "regions.nii"
    write_label_nifti(path, [region], study.pet.grid)
    (found,) = measure_study(folder, path, NoticeLog()).metrics
    values = PATTERN[region.box]
    assert found.voxels == values.size
    assert found.volume_ml == pytest.approx(values.size * 4 * 4 * 3 / 1000)
    assert found.suv_max == pytest.approx(values.max(), rel=2e-3)
    assert found.suv_mean == pytest.approx(values.mean(), rel=2e-3)
    assert found.suv_sd == pytest.approx(values.std(), rel=2e-3)


def test_contours_and_a_label_map_of_one_region_agree(case, tmp_path):
    folder, study, region = case
    write_label_nifti(tmp_path / "a.nii", [region], study.pet.grid)
    write_rtstruct(tmp_path / "b.dcm", [region], source=study.source_headers())
    a, b = (measure_study(folder, tmp_path / name, NoticeLog()).metrics[0] for name in ("a.nii", "b.dcm"))
    assert a.voxels == b.voxels
    assert a.suv_mean == pytest.approx(b.suv_mean, rel=1e-12)


def test_the_json_contract_is_kept_for_every_region(case, tmp_path):
    folder, study, region = case
    write_label_nifti(tmp_path / "r.nii", [region, block(study.pet.grid, "second", (1, 2, 2))], study.pet.grid)
    document = json.loads(canonical_json(measure_study(folder, tmp_path / "r.nii", NoticeLog()).to_json()))
    assert {"series", "regions", "notices"} <= set(document)
    assert [r["name"] for r in document["regions"]] == ["block", "second"]
    assert all(set(r) >= REGION_KEYS for r in document["regions"])
    assert all(set(n) >= {"code", "severity", "message"} for n in document["notices"])


def test_a_region_outside_of_the_scan_has_no_uptake_and_is_named(case, tmp_path):
    folder, _, _ = case
    far = make_grid(SHAPE, origin_mm=(5000.0, 5000.0, 5000.0))
    write_label_nifti(tmp_path / "far.nii", [block(far)], far)
    log = NoticeLog()
    (found,) = measure_study(folder, tmp_path / "far.nii", log).metrics
    assert (found.voxels, found.suv_mean) == (0, None)
    assert {"REGION_OUTSIDE_GRID", "REGION_EMPTY"} <= {n.code for n in log}


def test_a_region_over_a_missing_slice_says_so(case, tmp_path):
    folder, study, region = case
    write_label_nifti(tmp_path / "r.nii", [region], study.pet.grid)
    missing = study.pet_series.instances[5]
    missing.path.unlink()
    log = NoticeLog()
    (found,) = measure_study(folder, tmp_path / "r.nii", log).metrics
    assert "MISSING_SLICES" in {n.code for n in log}
    assert np.isfinite(found.suv_mean)
    assert len([n for n in log if "without" in n.message or "NaN" in n.message or "no value" in n.message]) >= 1


def test_lean_body_mass_is_allowed_in_measure(case, tmp_path):
    """Janmahasatian for a woman of 70 kg and 1.70 m: 9270 W / (8780 + 244 BMI) = 44.16 kg."""
    folder, study, region = case
    write_label_nifti(tmp_path / "r.nii", [region], study.pet.grid)
    body, lean = (
        measure_study(folder, tmp_path / "r.nii", NoticeLog(), options=StudyOptions(suv=SuvOptions(norm=norm))).metrics[
            0
        ]
        for norm in ("bw", "lbm-janmahasatian")
    )
    mass = 9270 * 70 / (8780 + 244 * 70 / 1.7**2)
    assert lean.suv_mean / body.suv_mean == pytest.approx(mass / 70, rel=1e-6)


def test_a_series_already_in_suv_is_measured(tmp_path):
    folder = make_pet_series(tmp_path / "pet", grid=make_grid(SHAPE), units="GML", suv_type="BW")
    study = open_study(folder, NoticeLog(), with_ct=False)
    region = block(study.pet.grid)
    write_label_nifti(tmp_path / "r.nii", [region], study.pet.grid)
    (found,) = measure_study(folder, tmp_path / "r.nii", NoticeLog()).metrics
    assert found.suv_max == pytest.approx(PATTERN[region.box].max(), rel=2e-3)


def test_a_structure_set_chooses_the_series_that_it_was_drawn_on(tmp_path):
    make_pet_series(tmp_path / "dicom" / "a", grid=make_grid(SHAPE), description="one", series_number=1)
    other = make_pet_series(
        tmp_path / "dicom" / "b", grid=make_grid(SHAPE), description="two", series_number=2, seed_uid="x"
    )
    drawn_on = open_study(other, NoticeLog(), with_ct=False)
    write_rtstruct(tmp_path / "r.dcm", [block(drawn_on.pet.grid)], source=drawn_on.source_headers())
    found = measure_study(tmp_path / "dicom", tmp_path / "r.dcm", NoticeLog())
    assert found.series["description"] == "two"


def test_regions_drawn_on_another_series_are_said_to_be_so(tmp_path):
    a = make_pet_series(tmp_path / "a", grid=make_grid(SHAPE))
    b = make_pet_series(tmp_path / "b", grid=make_grid(SHAPE), seed_uid="other")
    drawn_on = open_study(b, NoticeLog(), with_ct=False)
    write_rtstruct(tmp_path / "r.dcm", [block(drawn_on.pet.grid)], source=drawn_on.source_headers())
    log = NoticeLog()
    measure_study(a, tmp_path / "r.dcm", log)
    assert "REGIONS_OF_OTHER_SERIES" in {n.code for n in log}


def test_provenance_holds_the_regions_file(case, tmp_path):
    folder, study, region = case
    path = tmp_path / "r.nii"
    write_label_nifti(path, [region], study.pet.grid)
    found = measure_study(folder, path, NoticeLog()).provenance
    digests = {i.path: i.sha256 for i in found.inputs}
    assert digests["r.nii"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.parameters["norm"] == "bw"


def test_measuring_twice_gives_the_same_bytes(case, tmp_path):
    folder, study, region = case
    write_label_nifti(tmp_path / "r.nii", [region], study.pet.grid)
    first, second = (canonical_json(measure_study(folder, tmp_path / "r.nii", NoticeLog()).to_json()) for _ in "ab")
    assert first == second


@pytest.mark.parametrize("content", ["pet", "text", "absent", "empty", "nifti-of-noise"])
def test_a_file_that_holds_no_regions_is_refused_by_name(case, tmp_path, content):
    folder, _, _ = case
    path = {"pet": next(folder.glob("*.dcm")), "nifti-of-noise": tmp_path / "x.nii"}.get(content, tmp_path / "x.dcm")
    if content == "text":
        path.write_text("not a mask")
    elif content == "empty":
        path.touch()
    elif content == "nifti-of-noise":
        path.write_bytes(bytes(range(256)) * 4)
    with pytest.raises(FusinError) as caught:
        measure_study(folder, path, NoticeLog())
    assert path.name in str(caught.value)


def test_strict_measuring_refuses_an_adaptation(tmp_path):
    folder = make_pet_series(tmp_path / "pet", grid=make_grid(SHAPE), tags={"PatientWeight": "70000"})
    study = open_study(folder, NoticeLog(), with_ct=False)
    write_label_nifti(tmp_path / "r.nii", [block(study.pet.grid)], study.pet.grid)
    with pytest.raises(StrictRefusal):
        measure_study(folder, tmp_path / "r.nii", NoticeLog(strict=True), options=StudyOptions(strict=True))


def test_an_unknown_series_is_refused(case, tmp_path):
    folder, study, region = case
    write_label_nifti(tmp_path / "r.nii", [region], study.pet.grid)
    with pytest.raises(InputError, match="series"):
        measure_study(folder, tmp_path / "r.nii", NoticeLog(), options=StudyOptions(series="absent"))
