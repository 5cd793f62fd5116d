"""The page of doses from images: its document, figures, and files that other programs read."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from fusin.dosimetry.image_dose import ImageDoseOptions, image_dose
from fusin.dosimetry.image_points import ImagePoint, ImageStudy, RegionNotes
from fusin.dosimetry.image_voxels import VoxelOptions
from fusin.dosimetry.marrow_files import read_marrow_case
from fusin.dosimetry.planning_files import read_study
from fusin.dosimetry.time_activity_region import IntegrationOptions
from fusin.errors import InputError
from fusin.imaging.nifti import read_nifti
from fusin.imaging.volume import Grid, Region, Volume
from fusin.provenance import NoticeLog
from fusin.report.dose_map_figures import dose_map_figure, histogram_figures
from fusin.report.image_dose_files import study_text
from fusin.report.image_dose_report import image_dose_output
from fusin.report.job_output import write_job

FRAME = "1.2.826.0.1.3680043.8.498.77"
SHAPE, SPACING = (20, 22, 24), 4.0
AFFINE = np.diag([SPACING, SPACING, SPACING, 1.0])
GRID = Grid(shape=SHAPE, affine=AFFINE, frame_of_reference_uid=FRAME)
TIMES = (4.0, 24.0, 72.0, 144.0)


def ball(name, centre, radius_mm):
    index = np.indices(SHAPE) * SPACING
    return Region.from_mask(
        name, GRID, sum((i - c * SPACING) ** 2 for i, c in zip(index, centre, strict=True)) <= radius_mm**2
    )


REGIONS = (
    ball('left "kidney" & co', (10, 6, 12), 20.0),
    ball("lesion", (10, 16, 12), 9.0),
    ball("vertebra", (10, 11, 4), 10.0),
)


def header():
    ds = Dataset()
    ds.StudyInstanceUID, ds.FrameOfReferenceUID = "1.2.3.4", FRAME
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "A^B", "P1", "19700101", "M"
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20260102", "101500", "1", "A1"
    ds.ReferringPhysicianName = ""
    return ds


def study_of(**more):
    points = []
    for t in TIMES:
        values = np.full(SHAPE, 0.01 * 2 ** (-t / 90.0))
        for region, start, t_eff in zip(REGIONS, (0.5, 1.0, 0.2), (41.0, 60.0, 92.0), strict=True):
            values[region.mask()] = start * 2 ** (-t / t_eff)
        points.append(ImagePoint(volume=Volume(values=values, grid=GRID, unit="MBq/ml"), time_h=t, u_relative=0.04,
                                 where=f"series {t:g}", correction="none"))  # fmt: skip
    notes = {
        REGIONS[0].name: RegionNotes(alpha_beta_gy=2.6, repair_half_time_h=2.8),
        "lesion": RegionNotes(kind="lesion"),
    }
    ct = Volume(values=np.zeros(SHAPE, np.int16), grid=GRID, unit="[hnsf'U]")
    fields = {"nuclide": "Lu-177", "administered_mbq": 200.0, "injected": None, "regions": REGIONS, "notes": notes, "ct": ct,
              "source_headers": header(), "fwhm_mm": 10.0, "outline_fwhm_mm": 1.0, **more}  # fmt: skip
    return ImageStudy(points=tuple(points), **fields)


OPTIONS = ImageDoseOptions(integration=IntegrationOptions(model="mono"))


def output_of(study=None, options=OPTIONS, log=None):
    log = NoticeLog() if log is None else log
    found = image_dose(study or study_of(), options=options, log=log)
    return found, image_dose_output(found, options=options, log=log)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    log = NoticeLog()
    found, output = output_of(log=log)
    folder = tmp_path_factory.mktemp("image-dose")
    outputs = write_job(output, folder)
    return found, output, folder, outputs


def test_the_document_keeps_the_contract_of_the_table_and_adds_its_own(made):
    _, output, _, _ = made
    kidney = output.to_json()["regions"][0]
    for key in ("name", "model", "parameters", "tia_mbq_h", "tiac_h", "extrapolated_fraction", "dose_gy", "notices"):
        assert key in kidney
    assert {"value", "low", "high"} <= set(kidney["dose_gy"])
    assert kidney["voxel_dose_gy"]["mean"]["value"] == pytest.approx(kidney["dose_gy"]["value"], rel=0.05)
    doses = kidney["voxel_dose_gy"]
    assert doses["min"] <= doses["d98"] <= doses["d95"] <= doses["d50"] <= doses["d5"] <= doses["d2"] <= doses["max"]
    assert [a["time_h"] for a in kidney["activities"]] == list(TIMES)
    assert kidney["bed_gy"]["value"] > kidney["dose_gy"]["value"]
    document = output.to_json()
    assert sum(v for k, v in document["energy"].items()) == pytest.approx(1.0, abs=1e-9)
    assert [i["time_h"] for i in document["images"]] == list(TIMES)
    assert json.dumps(document)


def test_the_maps_come_back_as_they_were(made):
    found, _, folder, outputs = made
    assert {"dose.nii.gz", "tia.nii.gz", "bed.nii.gz", "dose.dcm", "study.toml", "marrow.toml"} <= set(outputs)
    dose = read_nifti(folder / "dose.nii.gz")
    assert dose.unit == "Gy"
    np.testing.assert_allclose(dose.values, found.voxels.dose.dose.values, rtol=1e-6)
    np.testing.assert_allclose(dose.affine, AFFINE, atol=1e-5)
    ds = pydicom.dcmread(folder / "dose.dcm")
    gray = ds.pixel_array * float(ds.DoseGridScaling)
    assert np.abs(gray - found.voxels.dose.dose.values).max() <= float(ds.DoseGridScaling)
    assert ds.StudyInstanceUID == "1.2.3.4"
    with gzip.open(folder / "bed.nii.gz") as stream:
        assert stream.read(4)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
def test_the_rt_dose_passes_the_validator(made):
    done = subprocess.run(["dciodvfy", str(made[2] / "dose.dcm")], capture_output=True, text=True, check=False)
    assert "Error" not in done.stderr + done.stdout


@pytest.mark.skipif(shutil.which("dcm2json") is None, reason="dcm2json (dcmtk) is not installed")
def test_dcmtk_reads_the_rt_dose(made):
    done = subprocess.run(["dcm2json", "-q", str(made[2] / "dose.dcm")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["30040002"]["Value"] == ["GY"]


def test_the_study_goes_into_a_plan_with_its_names_and_intervals(made):
    found, _, folder, _ = made
    study, limits = read_study(folder / "study.toml", NoticeLog())
    assert limits == ()
    assert study.nuclide == "Lu-177"
    assert study.common_u == pytest.approx(0.04)
    assert [o.name for o in study.organs] == ['left "kidney" & co', "lesion"], "the marrow has no self-dose"
    one = found.regions[0].dose.dose_gy
    assert study.organs[0].dose_gy_per_gbq.value == pytest.approx(one.value * 5.0, rel=1e-5)
    assert study.organs[0].dose_gy_per_gbq.high == pytest.approx(one.high * 5.0, rel=1e-5)
    assert study.organs[0].t_eff_h.value == pytest.approx(41.0, rel=1e-5)
    from_json, _ = read_study(folder / "results.json", NoticeLog())
    for written, stated in zip(study.organs, from_json.organs, strict=True):
        assert written.rates_per_h == pytest.approx(stated.rates_per_h, rel=1e-9)
        assert written.weights == pytest.approx(stated.weights, rel=1e-9)
    assert study.organs[0].rates_per_h
    assert from_json.organs[0].dose_gy_per_gbq.value == pytest.approx(study.organs[0].dose_gy_per_gbq.value, rel=1e-4)


def test_the_marrow_case_asks_for_what_images_do_not_say_and_works_with_it(made, tmp_path):
    text = (made[2] / "marrow.toml").read_text()
    with pytest.raises(InputError, match="absorbed_kev"):
        read_marrow_case(made[2] / "marrow.toml")
    filled = text.replace("# absorbed_kev =      or electron_absorbed_fraction =", "absorbed_kev = 84.0").replace(
        "# source =", 'source = "example"'
    )
    (tmp_path / "m.toml").write_text(filled.replace("# total_g =      with share =", "total_g = 1170\nshare = 0.05"))
    case = read_marrow_case(tmp_path / "m.toml")
    assert [r.name for r in case.regions] == ["vertebra"]
    assert case.regions[0].tia_mbq_h.value == pytest.approx(made[0].regions[2].dose.integral.tia_mbq_h.value, rel=1e-5)


def test_the_dose_map_shows_three_planes_with_isodoses_that_the_legend_names(made):
    figure = dose_map_figure(made[0])
    assert figure.svg.count('class="ct"') == 3
    assert figure.svg.count('class="emission"') == 3
    lines = {float(v) for v in re.findall(r'class="isodose" data-gy="([^"]+)"', figure.svg)}
    named = {float(v) for v in re.findall(r'class="legend-gy"[^>]*>([^<]+)<', figure.svg)}
    assert lines
    assert lines <= named
    assert "5 cm" in figure.svg or "2 cm" in figure.svg
    assert "style=" not in figure.svg


def test_without_a_ct_the_dose_lies_on_the_emission_image():
    found, _ = output_of(study_of(ct=None))
    figure = dose_map_figure(found)
    assert 'class="ct"' not in figure.svg
    assert figure.svg.count('class="emission"') == 3
    assert "inverted grey" in figure.caption


def test_histograms_fall_from_the_whole_volume_and_keep_lesions_apart(made):
    (figure,) = histogram_figures(made[0].regions)
    assert figure.svg.count('class="dvh"') == 3
    assert ">organs<" in figure.svg
    assert ">lesions<" in figure.svg


def test_many_regions_take_several_panels(made):
    one = made[0].regions[0]
    many = [replace(one, dose=replace(one.dose, name=f"organ {n}")) for n in range(15)]
    figures = histogram_figures(many)
    assert sum(f.svg.count('class="dvh"') for f in figures) == 15
    assert [f.name for f in figures] == ["dvh-1", "dvh-2"]


def test_the_page_says_why_there_is_no_self_dose_and_names_every_method(made):
    page = (made[2] / "report.html").read_text()
    assert "marrow dose needs fusin dose marrow" in page
    assert "Ljungberg" in page
    assert "Gear J" in page
    assert "Brenner" in page


def test_without_dicom_there_is_no_rt_dose_and_a_notice_says_so():
    log = NoticeLog()
    _, output = output_of(study_of(source_headers=None), log=log)
    assert "dose.dcm" not in output.files
    assert "dose.nii.gz" in output.files
    assert [n.where for n in output.notices if n.code == "RTDOSE_WITHOUT_STUDY"] == ["dose.dcm"]


def test_regions_alone_make_a_page_without_maps():
    found, output = output_of(options=replace(OPTIONS, voxels=None))
    assert dose_map_figure(found) is None
    assert output.document["voxels"] is None
    assert output.document["regions"][0]["voxel_dose_gy"] is None
    assert set(output.files) == {"study.toml", "marrow.toml"}


def test_voxel_half_lives_are_written_where_voxels_have_them():
    options = replace(OPTIONS, voxels=VoxelOptions(method="mono", photons="near"))
    _, output = output_of(options=options)
    assert "t_eff.nii.gz" in output.files
    assert output.document["voxels"]["method"] == "mono"


def test_no_dose_makes_no_study():
    found, _ = output_of(study_of(regions=(REGIONS[2],), notes={}))
    assert study_text(found) == ""
