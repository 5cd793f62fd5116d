"""A TOML file that describes the images gives the same study as their headers would."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fusin.dosimetry.image_files import read_image_study
from fusin.dosimetry.image_points import ImageOptions
from fusin.dosimetry.image_regions import region_curve
from fusin.errors import FusinError, InputError, NotComputable
from fusin.imaging.dicom_headers import InjectionHeader, StudyHeader
from fusin.imaging.dicom_write_multiframe import write_nm
from fusin.imaging.masks import write_label_nifti
from fusin.imaging.nifti import write_nifti
from fusin.imaging.volume import Grid, Region, Volume
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog

HALF_LIFE_S = nuclide("Lu-177").half_life_s
TIMES_H = (4.0, 24.0, 72.0)
GRID = Grid(shape=(8, 10, 10), affine=np.diag([4.8, 4.8, 4.8, 1.0]))
MASK = np.zeros(GRID.shape, bool)
MASK[2:5, 3:7, 3:7] = True
HEAD = 'nuclide = "Lu-177"\nadministered_mbq = 200.0\ninjected = 2026-03-02T09:30:00\nregions = "regions.nii.gz"\n'
CALIBRATION = "[calibration]\ncps_per_mbq = 9.0\nu_percent = 4.0\n"


def bq_ml(time_h):
    values = np.full(GRID.shape, 200.0)
    values[MASK] = 5e4
    return values * np.exp2(-time_h / 50.0)


def kidney_mbq(time_h):
    return bq_ml(time_h)[MASK].sum() * GRID.voxel_volume_ml / 1e6


def folder_of(tmp_path, scale=1.0, unit=""):
    for hours in TIMES_H:
        write_nifti(
            tmp_path / f"s{hours:g}.nii.gz", Volume(values=np.float32(bq_ml(hours) * scale), grid=GRID, unit=unit)
        )
    write_label_nifti(tmp_path / "regions.nii.gz", [Region.from_mask("kidney", GRID, MASK)], GRID)
    return tmp_path


def images(fields, times=TIMES_H):
    return "".join(f'[[image]]\nfile = "s{t:g}.nii.gz"\n' + fields(t) + "\n" for t in times)


def read(folder, text, **options):
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    log = NoticeLog()
    study = read_image_study(path, options=ImageOptions(**options), log=log)
    regions = study.regions or ("kidney",)
    return study, region_curve(study, regions[0], log=log).curve, log


def start(fields=""):
    return lambda t: f'time_h = {t}\nunit = "Bq/mL"\ndecay_correction = "start"\n{fields}'


def test_activity_images_with_hours_after_injection(tmp_path):
    study, curve, log = read(folder_of(tmp_path), HEAD + images(start()), calibration_u_percent=4.0)
    assert curve.activity_mbq == pytest.approx([kidney_mbq(t) for t in TIMES_H], rel=1e-5)
    assert curve.time_h.tolist() == list(TIMES_H)
    assert study.points[0].u_relative == 0.04
    assert {f.name for f in study.inputs} == {"study.toml", "regions.nii.gz", "s4.nii.gz", "s24.nii.gz", "s72.nii.gz"}
    assert "FRAME_UNKNOWN" in [n.code for n in log]


def test_moments_and_the_correction_to_the_injection(tmp_path):
    injected = datetime(2026, 3, 2, 9, 30)
    for hours in TIMES_H:
        values = bq_ml(hours) * np.exp2(hours * 3600 / HALF_LIFE_S)
        write_nifti(tmp_path / f"s{hours:g}.nii.gz", Volume(values=np.float32(values / 1e3), grid=GRID, unit=""))
    write_label_nifti(tmp_path / "regions.nii.gz", [Region.from_mask("kidney", GRID, MASK)], GRID)
    moment = lambda t: (injected + timedelta(hours=t)).isoformat()  # noqa: E731
    text = HEAD + images(lambda t: f'measured = {moment(t)}\nunit = "kBq/ml"\ndecay_correction = "admin"')
    study, curve, _ = read(tmp_path, text)
    assert curve.activity_mbq == pytest.approx([kidney_mbq(t) for t in TIMES_H], rel=1e-5)
    assert "decayed from the injection" in study.points[1].correction


def test_uncorrected_counts_with_calibration_duration_and_dead_time(tmp_path):
    factor = GRID.voxel_volume_ml * 9.0 * 1200.0 / 1e6 / 1.03
    text = (
        HEAD
        + CALIBRATION
        + images(
            lambda t: (
                f'time_h = {t}\nunit = "counts"\ndecay_correction = "none"\nduration_s = 1200.0\ndead_time_factor = 1.03\n'
                "dead_time_u = 0.01"
            )
        )
    )
    study, curve, log = read(folder_of(tmp_path, factor), text)
    assert curve.activity_mbq == pytest.approx([kidney_mbq(t) for t in TIMES_H], rel=1e-5)
    assert curve.time_h == pytest.approx(np.array(TIMES_H) + 600.0 / 3600.0, abs=1e-3)
    assert study.points[0].dead_time.value == 1.03
    assert {"COUNTS_CALIBRATED", "DEAD_TIME_APPLIED"} <= {n.code for n in log}


def test_counts_per_second_need_no_duration(tmp_path):
    text = HEAD + CALIBRATION + images(lambda t: f'time_h = {t}\nunit = "counts/s"\ndecay_correction = "start"')
    _, curve, _ = read(folder_of(tmp_path, GRID.voxel_volume_ml * 9.0 / 1e6), text)
    assert curve.activity_mbq == pytest.approx([kidney_mbq(t) for t in TIMES_H], rel=1e-5)


def test_dicom_and_nifti_may_stand_side_by_side_with_a_stated_time(tmp_path):
    """An anonymised DICOM image without usable dates takes its time from the description."""
    folder_of(tmp_path)
    injected = datetime(2026, 3, 2, 9, 30)
    write_nm(tmp_path / "dicom" / "a.dcm", Volume(values=bq_ml(24.0), grid=GRID, unit="Bq/ml"), study=StudyHeader(),
             injection=InjectionHeader(activity_mbq=200.0, time=injected, half_life_s=HALF_LIFE_S, nuclide="Lu-177"),
             acquisition_start=injected + timedelta(days=400), seed_uid="a",
             injection_tags={"RadiopharmaceuticalStartDateTime": None, "RadiopharmaceuticalStartTime": None},
             tags={"DecayCorrection": "START", "CorrectedImage": ["ATTN", "DECY"], "FrameOfReferenceUID": None})  # fmt: skip
    text = HEAD + images(start(), times=(4.0, 72.0)) + '[[image]]\nname = "day 1"\nfile = "dicom"\ntime_h = 24.0\n'
    study, curve, _ = read(tmp_path, text)
    assert curve.activity_mbq == pytest.approx([kidney_mbq(t) for t in TIMES_H], rel=1e-3)
    assert study.points[1].where == "image 'day 1'"
    assert study.source_headers is not None


def test_outlines_recovery_notes_and_ct_of_the_description(tmp_path):
    folder_of(tmp_path)
    write_nifti(tmp_path / "ct.nii.gz", Volume(values=np.zeros(GRID.shape, np.int16), grid=GRID, unit="[hnsf'U]"))
    text = (
        HEAD.replace('regions = "regions.nii.gz"\n', 'ct = "ct.nii.gz"\nfwhm_mm = 11.0\nrandom_u_percent = 3.0\n')
        + "[recovery]\nvolume_ml = [0.5, 2.0, 8.0, 30.0]\ncoefficient = [0.2, 0.45, 0.7, 0.9]\n"
        + '[[region]]\nname = "kidney"\nkind = "organ"\nmass_g = 160.0\nalpha_beta_gy = 2.6\nrepair_half_time_h = 2.8\n'
        + images(start('regions = "regions.nii.gz"'))
    )
    study, curve, _ = read(tmp_path, text)
    assert study.ct.unit == "[hnsf'U]"
    assert (study.notes["kidney"].mass_g, study.notes["kidney"].alpha_beta_gy) == (160.0, 2.6)
    volume = MASK.sum() * GRID.voxel_volume_ml
    recovered = study.recovery.at(volume).value
    assert curve.activity_mbq == pytest.approx([kidney_mbq(t) / recovered for t in TIMES_H], rel=1e-5)
    assert curve.uncertainty_mbq is not None


BAD = {
    "misspelt": (HEAD + images(start("mesured = 2026-03-02T10:00:00")), "mesured"),
    "no images": (HEAD, "image"),
    "no time": (HEAD + images(lambda t: 'unit = "Bq/ml"\ndecay_correction = "start"'), "time_h or measured"),
    "two times": (HEAD + images(start("measured = 2026-03-03T10:00:00")), "time_h and measured"),
    "no unit": (HEAD + images(lambda t: f'time_h = {t}\ndecay_correction = "start"'), "unit"),
    "no correction": (HEAD + images(lambda t: f'time_h = {t}\nunit = "Bq/ml"'), "decay_correction"),
    "odd unit": (HEAD + images(lambda t: f'time_h = {t}\nunit = "SUV"\ndecay_correction = "start"'), "SUV"),
    "odd correction": (HEAD + images(lambda t: f'time_h = {t}\nunit = "Bq/ml"\ndecay_correction = "yes"'), "none, start or admin"),
    "no file": (HEAD + '[[image]]\nfile = "absent.nii"\ntime_h = 1.0\n', "absent.nii"),
    "twice": (HEAD + images(start(), times=(4.0, 4.0)), "a name of its own"),
    "before": (HEAD + images(lambda t: 'measured = 2026-03-01T09:30:00\nunit = "Bq/ml"\ndecay_correction = "start"', (4.0,)),
               "before the injection"),
    "day alone": (HEAD + images(lambda t: 'measured = 2026-03-03\nunit = "Bq/ml"\ndecay_correction = "start"', (4.0,)), "ISO date"),
    "zones": (HEAD + images(lambda t: 'measured = 2026-03-03T09:30:00Z\nunit = "Bq/ml"\ndecay_correction = "start"', (4.0,)),
              "UTC offset"),
    "dead time": (HEAD + images(start("dead_time_u = 0.1"), (4.0,)), "dead_time_factor itself"),
    "mass": (HEAD + '[[region]]\nname = "kidney"\nmass_g = 0\n' + images(start()), "mass_g"),
    "kind": (HEAD + '[[region]]\nname = "kidney"\nkind = "tumor"\n' + images(start()), "lesion"),
    "recovery": (HEAD + "[recovery]\nb1_ml = 2.0\n" + images(start()), "b1_ml with b2"),
    "inserts": (HEAD + '[recovery]\nvolume_ml = "1"\ncoefficient = [0.5]\n' + images(start()), "a list of numbers"),
    "not TOML": ("nuclide = Lu", "TOML"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_description_that_cannot_be_used_is_refused_in_one_sentence(tmp_path, name):
    text, words = BAD[name]
    with pytest.raises((InputError, NotComputable)) as caught:
        read(folder_of(tmp_path), text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_option_that_says_the_same_is_welcome_and_a_contradiction_is_refused(tmp_path):
    folder, text = folder_of(tmp_path), HEAD + images(start())
    study, _, _ = read(folder, text, nuclide="177Lu", administered_mbq=200, injected=datetime(2026, 3, 2, 9, 30),
                       regions=folder / ".." / folder.name / "regions.nii.gz")  # fmt: skip
    assert study.nuclide == "Lu-177"
    zoned = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    for other in (
        {"administered_mbq": 190.0},
        {"nuclide": "Y-90"},
        {"injected": zoned},
        {"regions": Path("other.nii")},
    ):
        with pytest.raises(InputError, match="what the option says"):
            read(folder, text, **other)


def test_a_note_without_a_region_is_pointed_out_with_the_name_that_is_near(tmp_path):
    text = HEAD + '[[region]]\nname = "Kidneys"\nmass_g = 300.0\n' + images(start())
    _, _, log = read(folder_of(tmp_path), text)
    assert any(n.code == "NOTES_WITHOUT_REGION" and "'kidney'" in n.message for n in log)


_TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
_VALUES = st.one_of(
    st.integers(-(10**6), 10**6), st.floats(), st.booleans(), _TEXT, st.lists(st.integers(), max_size=2)
)
_FIELDS = (
    "nuclide",
    "administered_mbq",
    "injected",
    "regions",
    "duration_s",
    "fwhm_mm",
    "registered",
    "calibration",
    "ct",
)


_TOP = st.dictionaries(st.sampled_from(_FIELDS), _VALUES, max_size=4)
_IMAGE = st.dictionaries(
    st.sampled_from(("file", "time_h", "unit", "decay_correction", "series", "regions")), _VALUES, max_size=4
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_TOP, _IMAGE)
def test_whatever_stands_in_a_description_ends_in_a_study_or_a_sentence(tmp_path, top, image):
    def lines(values):
        return "".join(f"{k} = {_toml(v)}\n" for k, v in values.items())

    folder = folder_of(tmp_path) if not (tmp_path / "regions.nii.gz").exists() else tmp_path
    sentence = "read"
    try:
        read(folder, lines(top) + "[[image]]\n" + lines(image))
    except FusinError as err:
        sentence = str(err).strip()
    assert sentence
    assert "\n" not in sentence


def _toml(value):
    import json

    if isinstance(value, float):
        return {"nan": "nan", "inf": "inf", "-inf": "-inf"}.get(str(value), repr(value))
    return json.dumps(value)
