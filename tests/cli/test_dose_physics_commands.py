"""``fusin dose sphere`` and ``fusin dose kernel`` as they are typed."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from fusin.cli.app import app
from fusin.dosimetry.spheres import sphere_s
from fusin.dosimetry.voxel_kernels import voxel_kernel
from fusin.errors import FusinError


def run(*words):
    return CliRunner().invoke(app, ["dose", *words])


def test_a_sphere_gives_one_json_document_with_the_contract():
    found = run("sphere", "--nuclide", "Lu-177", "--mass-g", "10", "--json")
    document = json.loads(found.stdout)
    assert document["s_mgy_per_mbq_s"] == sphere_s("Lu-177", 10.0).s_mgy_per_mbq_s
    assert document["low"] < document["s_mgy_per_mbq_s"] < document["high"]
    assert document["interval_method"]


def test_several_masses_are_listed_in_their_order():
    document = json.loads(run("sphere", "--nuclide", "90Y", "--mass-g", "100", "--mass-g", "1", "--json").stdout)
    assert [s["mass_g"] for s in document["spheres"]] == [100.0, 1.0]
    assert document["mass_g"] == 100.0


def test_a_volume_is_a_mass_over_the_density():
    by_volume = json.loads(run("sphere", "--nuclide", "Y-90", "--volume-ml", "5", "--density", "1.04", "--json").stdout)
    assert by_volume["mass_g"] == pytest.approx(5.2)


def test_a_kernel_gives_eleven_voxels_along_each_axis():
    words = ("kernel", "--nuclide", "Lu-177", "--spacing-mm", "4.8,4.8,4.8", "--density", "1.04", "--json")
    document = json.loads(run(*words).stdout)
    assert document["values"] == voxel_kernel("Lu-177", (4.8, 4.8, 4.8), 1.04).values.tolist()
    assert [len(document["values"]), len(document["values"][0]), len(document["values"][0][0])] == [11, 11, 11]


@pytest.mark.parametrize("text", ["4,8;4,8;4,8", "4.8, 4.8, 4.8", "4.8 4.8 4.8", "4.8", "4.8x4.8x4.8", "4,8 4,8 4,8"])
def test_a_spacing_is_read_however_it_is_written(text):
    document = json.loads(run("kernel", "--nuclide", "Lu-177", "--spacing-mm", text, "--json").stdout)
    assert document["spacing_mm"] == [4.8, 4.8, 4.8]


def test_actinium_says_its_alphas_progeny_and_that_there_is_no_rbe():
    document = json.loads(run("sphere", "--nuclide", "Ac-225", "--mass-g", "1", "--json").stdout)
    parts = [document[f"{kind}_mgy_per_mbq_s"] for kind in ("alpha", "electron", "photon")]
    assert sum(parts) == pytest.approx(document["s_mgy_per_mbq_s"])
    assert 0.99 < document["alpha_fraction"] < 1.0
    assert [n["code"] for n in document["notices"]] == ["PROGENY_STAYS", "ALPHA_WITHOUT_RBE"]
    assert "absorbed dose, no RBE" in run("sphere", "--nuclide", "Ac-225", "--mass-g", "1").stdout
    kernel = json.loads(run("kernel", "--nuclide", "Ac-225", "--spacing-mm", "4.8", "--json").stdout)
    assert [n["code"] for n in kernel["notices"]] == ["PROGENY_STAYS", "ALPHA_WITHOUT_RBE"]
    assert kernel["energy_emitted_kev"] == pytest.approx(28891.0, rel=1e-4)


def test_a_nuclide_without_alphas_has_no_share_and_no_method_of_them():
    document = json.loads(run("sphere", "--nuclide", "Lu-177", "--mass-g", "1", "--json").stdout)
    assert document["alpha_fraction"] is None
    assert "alphas" not in {m["id"] for m in document["provenance"]["methods"]}
    assert document["notices"] == []


def test_a_small_mass_is_shown_with_its_decimals():
    found = run("sphere", "--nuclide", "Lu-177", "--mass-g", "0.025", "--mass-g", "10").stdout
    assert "0.025 " in found.split("S values")[1]


def test_an_enlarged_kernel_says_so():
    document = json.loads(run("kernel", "--nuclide", "Y-90", "--spacing-mm", "1.5", "--json").stdout)
    assert document["size"] > 11
    assert [n["code"] for n in document["notices"]] == ["KERNEL_ENLARGED"]


def test_the_folder_holds_page_tables_and_figures(tmp_path):
    assert run("sphere", "--nuclide", "Lu-177", "--mass-g", "2", "--out", str(tmp_path / "a")).exit_code == 0
    assert run("kernel", "--nuclide", "Lu-177", "--spacing-mm", "4", "--out", str(tmp_path / "b")).exit_code == 0
    for name in ("a/report.html", "a/tables/spheres.csv", "a/figures/absorbed-energy.svg", "b/tables/kernel.csv"):
        assert (tmp_path / name).stat().st_size > 100
    assert len((tmp_path / "b/tables/kernel.csv").read_text().splitlines()) == 11**3 + 1
    assert "Berger 1970" in (tmp_path / "a/report.html").read_text()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("sphere --nuclide Lu-177 --mass-g 0", "mass_g"),
        ("sphere --nuclide Lu-177 --mass-g nan", "mass_g"),
        ("sphere --nuclide Lu-177,Y-90 --mass-g 1", "one nuclide"),
        ("sphere --nuclide Xx-99 --mass-g 1", "nuclide"),
        ("sphere --nuclide Lu-177m --mass-g 1", "isomeric transition"),
        ("sphere --nuclide Lu-177", "--mass-g"),
        ("sphere --nuclide Lu-177 --mass-g 1 --volume-ml 1", "both"),
        ("sphere --nuclide Lu-177 --mass-g 1 --density 0", "density"),
        ("kernel --nuclide Y-90 --spacing-mm 0,3,3", "spacing_mm"),
        ("kernel --nuclide Y-90 --spacing-mm 4,8", "--spacing-mm"),
        ("kernel --nuclide Y-90 --spacing-mm wide", "--spacing-mm"),
        ("kernel --nuclide Y-90 --spacing-mm 3 --size 10", "odd"),
        ("kernel --nuclide Y-90 --spacing-mm 3 --medium bone", "--medium"),
        ("kernel --nuclide Y-90 --spacing-mm 3 --part alphas", "--part"),
        ("kernel --nuclide Y-90 --spacing-mm 0.2 --density 0.3", "larger voxels"),
    ],
)
def test_a_mistake_is_answered_in_one_sentence(words, part):
    found = run(*words.split())
    assert isinstance(found.exception, FusinError)
    assert found.exception.exit_code == 3
    assert part in str(found.exception)
    assert "\n" not in str(found.exception)
