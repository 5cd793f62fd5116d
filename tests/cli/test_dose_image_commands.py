"""``fusin dose images`` on the command line: folder and verb, exit codes, and one sentence for each mistake."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fusin.imaging.nifti import write_nifti
from fusin.imaging.volume import Grid, Volume

SHAPE = (16, 16, 16)
TIMES = (4.0, 24.0, 72.0, 144.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four NIfTI images, labels, and the TOML file that describes them."""
    path = tmp_path_factory.mktemp("nifti-study")
    grid = Grid(shape=SHAPE, affine=np.diag([4.0, 4.0, 4.0, 1.0]))
    labels = np.zeros(SHAPE, np.uint8)
    labels[4:9, 4:9, 4:9], labels[11:14, 11:14, 11:14] = 1, 2
    write_nifti(path / "labels.nii.gz", Volume(values=labels, grid=grid, unit=""))
    lines = ['nuclide = "Lu-177"', "administered_mbq = 200.0", 'regions = "labels.nii.gz"']
    for t in TIMES:
        values = np.full(SHAPE, 1e4 * 2 ** (-t / 90.0))
        values[labels == 1], values[labels == 2] = 5e5 * 2 ** (-t / 41.0), 1e6 * 2 ** (-t / 60.0)
        write_nifti(path / f"t{t:g}.nii.gz", Volume(values=values.astype(np.float32), grid=grid, unit="Bq/ml"))
        lines += ["[[image]]", f'file = "t{t:g}.nii.gz"', f"time_h = {t}", 'unit = "Bq/ml"', 'decay_correction = "none"',
                  "duration_s = 60"]  # fmt: skip
    (path / "study.toml").write_text("\n".join(lines) + "\n")
    return path


def test_one_document_stands_on_standard_output_and_talk_apart(fusin, folder):
    ran = fusin("dose", "images", folder / "study.toml", "--model", "mono", "--json")
    assert ran.code == 0, ran.err
    document = ran.document()
    one = document["regions"][0]
    assert one["parameters"]["lambda_1_per_h"] == pytest.approx(np.log(2) / 41.0, rel=1e-4)
    # 125 voxels of 0.064 mL at 0.5 MBq/mL.
    assert one["tia_mbq_h"]["value"] == pytest.approx(0.5 * 8.0 * 41.0 / np.log(2), rel=1e-3)
    assert "Lu-177" in ran.err


def test_the_group_takes_a_study_as_its_input(fusin, folder):
    verb = fusin("dose", "images", folder / "study.toml", "--model", "mono", "--json").document()
    group = fusin("dose", folder / "study.toml", "--model", "mono", "--json").document()
    assert group["regions"] == verb["regions"]


def test_a_study_takes_the_options_of_its_verb_without_its_name(fusin, folder):
    options = (folder / "study.toml", "--model", "mono", "--no-voxels", "--fwhm-mm", "10", "--json")
    group = fusin("dose", *options).document()
    assert group["regions"] == fusin("dose", "images", *options).document()["regions"]


def test_a_folder_of_results_holds_page_maps_and_the_study_of_a_plan(fusin, folder, tmp_path):
    ran = fusin("dose", "images", folder / "study.toml", "--model", "mono", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert {"report.html", "results.json", "dose.nii.gz", "tia.nii.gz", "study.toml"} <= names
    assert json.loads((tmp_path / "out" / "results.json").read_text())["outputs"]["dose.nii.gz"] == "dose.nii.gz"


def test_regions_alone_are_quick_and_a_curve_of_recovery_is_read(fusin, folder, tmp_path):
    (tmp_path / "r.toml").write_text("b1_ml = 1.0\nb2 = 1.0\n")
    ran = fusin("dose", "images", folder / "study.toml", "--model", "mono", "--no-voxels", "--recovery", tmp_path / "r.toml",
                "--json")  # fmt: skip
    assert ran.code == 0, ran.err
    document = ran.document()
    assert document["voxels"] is None
    # R(8 mL) = 1 / (1 + 1/8).
    assert document["regions"][0]["recovery"]["value"] == pytest.approx(8.0 / 9.0, rel=1e-3)


def test_a_region_that_rises_leaves_with_four_and_its_name(fusin, folder, tmp_path):
    text = (folder / "study.toml").read_text().replace("time_h = 144.0", "time_h = 144.1")
    swapped = text.replace('file = "t', f'file = "{folder}/t').replace('regions = "', f'regions = "{folder}/')
    grid = Grid(shape=SHAPE, affine=np.diag([4.0, 4.0, 4.0, 1.0]))
    late = np.full(SHAPE, 5e3)
    late[4:9, 4:9, 4:9], late[11:14, 11:14, 11:14] = 5e4, 9e6
    write_nifti(tmp_path / "late.nii.gz", Volume(values=late.astype(np.float32), grid=grid, unit="Bq/ml"))
    (tmp_path / "s.toml").write_text(swapped.replace(f"{folder}/t144.nii.gz", str(tmp_path / "late.nii.gz")))
    ran = fusin("dose", "images", tmp_path / "s.toml", "--model", "mono", "--json")
    assert ran.code == 4
    reasons = [r["reason"] for r in ran.document()["regions"]]
    assert reasons[0] is None
    assert "the activity rises" in reasons[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--injected", "2026-03-02"), "the time of day as well"),
        (("--injected", "yesterday"), "an ISO date and time"),
        (("--ct-curve", "a:b"), "HU:g/mL,HU:g/mL"),
        (("--ct-curve", "0:1,1000:2"), "a CT in the frame of the images"),
        (("--density-g-ml", "1040"), "0.1 to 3 g/mL"),
        (("--density-u-percent", "100"), "0 to below 100"),
        (("--voxel-method", "spline"), "one of region, trapezoid, mono"),
        (("--via", "dose-rate"), "--voxel-method trapezoid or mono"),
        (("--electrons", "all"), "one of convolution, local"),
        (("--photons", "all"), "one of far, near, none"),
        (("--model", "tri"), "cannot determine"),
        (("--notes", "missing.csv"), "missing.csv"),
        (("--recovery", "missing.toml"), "missing.toml"),
        (("--fwhm-mm", "-3"), "--fwhm-mm"),
        (("--nuclide", "Y-90"), "Lu-177"),
    ],
)
def test_every_mistake_is_one_sentence(fusin, folder, options, words):
    ran = fusin("dose", "images", folder / "study.toml", *options)
    assert ran.code == 3, ran.err
    assert words in ran.refusal


def test_an_option_of_tables_is_refused_for_images(fusin, folder):
    ran = fusin("dose", folder / "study.toml", "--mass-u-percent", "5")
    assert ran.code == 3
    assert "--notes" in ran.refusal


def test_a_folder_that_is_none_is_refused(fusin, tmp_path):
    assert fusin("dose", "images", tmp_path / "nothing").code == 3
    assert "no files" in fusin("dose", "images", tmp_path).refusal
