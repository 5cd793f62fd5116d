"""``fusin reconstruct`` as a user types it."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from fusin.cli.app import main
from fusin.imaging.nifti import read_nifti
from fusin.report.demo_reconstruct import run_part

CONTRACT = ("modality", "algorithm", "iterations", "subsets", "log_likelihood", "corrections", "outputs", "notices")


@pytest.fixture(scope="module")
def slice_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reconstruction")
    run_part(folder)
    return folder


@pytest.fixture
def folder(slice_folder, tmp_path, monkeypatch):
    for name in ("slice.npz", "small.toml", "small_map.toml"):
        (tmp_path / name).write_bytes((slice_folder / name).read_bytes())
    text = (tmp_path / "small.toml").read_text().replace("replicates = 20", "replicates = 0")
    (tmp_path / "quick.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def fusin(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["fusin", "reconstruct", *arguments])
        code = 0
        try:
            main()
        except SystemExit as leave:
            code = int(leave.code or 0)
        found = capsys.readouterr()
        return code, found.out, found.err

    return run


def test_the_document_holds_the_keys_of_the_contract(folder, fusin):
    code, out, err = fusin("quick.toml", "--json")
    document = json.loads(out)
    assert code == 0
    assert set(CONTRACT) <= set(document)
    assert (document["modality"], document["algorithm"], document["iterations"], document["subsets"]) == (
        "matrix",
        "osem",
        6,
        8,
    )
    assert len(document["log_likelihood"]) == 6
    assert document["log_likelihood"] == sorted(document["log_likelihood"])
    assert document["outputs"] == {}
    assert err.count("log-likelihood") == 6 + 1, "a line per iteration, and one sentence at the end"


def test_quiet_prints_no_line_per_iteration(folder, fusin):
    _, _, err = fusin("quick.toml", "--json", "--quiet")
    assert "iteration 1" not in err


def test_every_file_of_the_outputs_is_there(folder, fusin):
    code, out, _ = fusin("small.toml", "--out", "out", "--json")
    outputs = json.loads(out)["outputs"]
    assert code == 0
    assert {"image.nii.gz", "sd.nii.gz", "corrections.json", "likelihood_svg", "image_svg", "report"} <= set(outputs)
    assert all((folder / "out" / name).is_file() for name in outputs.values())
    assert json.loads((folder / "out" / "corrections.json").read_text())["corrections"]


def test_the_image_is_the_truth_within_its_intervals(folder, fusin):
    """Discs far wider than the resolution: the mean lies within 6 % of the truth that made the counts."""
    code, out, _ = fusin("small.toml", "--json")
    truth = {"hot": 8.0, "warm": 4.0, "background": 1.0}
    regions = {r["name"]: r["mean"] for r in json.loads(out)["regions"]}
    assert code == 0
    for name in ("hot", "warm"):
        assert regions[name]["value"] / regions["background"]["value"] == pytest.approx(truth[name], rel=0.1)
        assert regions[name]["low"] < regions[name]["value"] < regions[name]["high"]
        assert "20 replicates" in regions[name]["method"]


def test_a_second_run_into_the_same_folder_keeps_its_checkpoint(folder, fusin):
    for extra in ((), ("--resume", "again/checkpoint.npz", "--iterations", "3")):
        assert fusin("quick.toml", "--out", "again", *extra)[0] == 0
        outputs = json.loads((folder / "again" / "results.json").read_text())["outputs"]
        assert outputs["checkpoint.npz"] == "checkpoint.npz"
        assert all((folder / "again" / name).is_file() for name in outputs.values())


def test_a_resumed_run_gives_the_identical_image(folder, fusin):
    assert fusin("quick.toml", "--out", "whole")[0] == 0
    assert fusin("quick.toml", "--out", "part", "--iterations", "2")[0] == 0
    assert fusin("quick.toml", "--out", "rest", "--resume", "part/checkpoint.npz")[0] == 0
    whole, rest = (read_nifti(folder / name / "image.nii.gz").values for name in ("whole", "rest"))
    assert np.array_equal(whole, rest)
    a, b = (json.loads((folder / name / "results.json").read_text()) for name in ("whole", "rest"))
    assert a["log_likelihood"] == b["log_likelihood"]


def test_an_interrupt_leaves_a_checkpoint_and_says_how_to_go_on(folder, fusin, monkeypatch):
    from fusin.reconstruction import algorithms

    calls = []
    plain = algorithms._em

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 12:
            raise KeyboardInterrupt
        return plain(*arguments)

    monkeypatch.setattr(algorithms, "_em", interrupted)
    code, _, err = fusin("quick.toml", "--out", "stopped")
    assert code == 130
    assert "1 of 6 iterations are in checkpoint.npz; go on with --resume" in err
    assert (folder / "stopped" / "checkpoint.npz").is_file()
    monkeypatch.setattr(algorithms, "_em", plain)
    assert fusin("quick.toml", "--resume", "stopped/checkpoint.npz", "--out", "on")[0] == 0


def test_an_interrupt_without_a_folder_says_what_would_have_helped(folder, fusin, monkeypatch):
    from fusin.reconstruction import algorithms

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(algorithms, "_em", interrupted)
    code, _, err = fusin("quick.toml")
    assert code == 130
    assert "give --out or --checkpoint" in err


def test_a_checkpoint_of_other_settings_is_refused_by_the_setting(folder, fusin):
    assert fusin("quick.toml", "--out", "part", "--iterations", "2")[0] == 0
    text = (folder / "quick.toml").read_text().replace("subsets = 8", "subsets = 4")
    (folder / "other.toml").write_text(text)
    code, _, err = fusin("other.toml", "--resume", "part/checkpoint.npz")
    assert code == 3
    assert "checkpoint.npz: subsets: found 8, need 4" in err


def _one_sentence(code, err):
    lines = [line for line in err.splitlines() if line.startswith("fusin:")]
    return code == 3 and len(lines) == 1 and "Traceback" not in err


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('modality = "matrix"', 'modality = "ct"', "modality"),
        ('modality = "matrix"', "", "modality"),
        ("iterations = 6", "iteration = 6", "iterations instead"),
        ("iterations = 6", "iterations = 0", "1 or more"),
        ("iterations = 6", 'iterations = "6"', "whole number"),
        ("iterations = 6", "iterations = true", "whole number"),
        ("subsets = 8", "subsets = 64", "1 to 32"),
        ('name = "osem"', 'name = "fbp"', "mlem, osem, bsrem, map"),
        ('name = "osem"', 'name = "mlem"', "1 for mlem"),
        ("[bootstrap]", "[prior]\nbeta = 1\n[bootstrap]", "bsrem or map"),
        ("[bootstrap]", "[calibration]\nbq_ml_per_count = 3\n[bootstrap]", "u_percent"),
        ("[bootstrap]", "[calibration]\ncps_per_mbq = 3\n[bootstrap]", "modality spect"),
        ("[bootstrap]", "[stop]\nbackground = 'liver'\n[bootstrap]", "liver"),
        ("[bootstrap]", "[scatter]\nmethod = 'tew'\n[bootstrap]", "modality spect or pet"),
        ("[bootstrap]", "[bootstraps]", "bootstrap instead"),
        ("replicates = 0", "replicates = 1", "2 or more"),
        ("replicates = 0", "replicates = -3", "0 or more"),
        ('matrix = "slice.npz"', 'matrix = "none.npz"', "none.npz"),
        ('matrix = "slice.npz"', 'matrix = "quick.toml"', "damaged"),
        ("shape = [1, 32, 32]", "shape = [2, 32, 32]", "1024 voxels"),
        ("shape = [1, 32, 32]", "shape = [1, 32]", "3 numbers"),
        ("voxel_mm = 8.0", "voxel_mm = -8.0", "sizes in mm"),
        ("radius_mm = 15.6", "", "radius_mm"),
        ("radius_mm = 15.6", "radius_mm = nan", "plain number"),
        ('name = "warm"', 'name = "hot"', "no other region"),
        ("centre_mm = [-50, 25, 0]", "centre_mm = [900, 25, 0]", "no centre of a voxel"),
        ("[image]", "[image\n", "TOML"),
    ],
)
def test_each_mistake_of_the_file_gets_one_sentence(folder, fusin, before, after, words):
    text = (folder / "quick.toml").read_text()
    assert before in text
    (folder / "wrong.toml").write_text(text.replace(before, after))
    code, _, err = fusin("wrong.toml", "--json")
    assert _one_sentence(code, err), err
    assert words in err


def changed(folder, **arrays):
    with np.load(folder / "slice.npz") as held:
        all_of_it = {name: held[name] for name in held.files}
    np.savez(folder / "slice.npz", **{k: v for k, v in {**all_of_it, **arrays}.items() if v is not None})


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"counts": -np.ones((32, 32))}, "negative"),
        ({"counts": np.ones((31, 32))}, "1024 bins"),
        ({"counts": np.full((32, 32), np.nan)}, "no number"),
        ({"counts": np.zeros((32, 32))}, "0 counts"),
        ({"counts": None}, "counts"),
        ({"counts": np.array(["a", "b"])}, "numeric"),
        ({"matrix": -np.ones((1024, 1024))}, "0 or more"),
        ({"matrix": np.ones((1024, 16))}, "16 voxels"),
        ({"matrix": np.array(5.0)}, "bins"),
        ({"additive": np.full((32, 32), 1e6)}, "scatter"),
        ({"additive": np.ones((4, 4))}, "shape"),
        ({"angles_deg": np.arange(5)}, "angles"),
    ],
)
def test_each_mistake_of_the_arrays_gets_one_sentence(folder, fusin, arrays, words):
    changed(folder, **arrays)
    code, _, err = fusin("quick.toml")
    assert _one_sentence(code, err), err
    assert words in err


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_file_never_ends_in_a_traceback(folder, fusin, seed):
    rng = np.random.default_rng(seed)
    name = ("quick.toml", "slice.npz")[seed % 2]
    data = bytearray((folder / name).read_bytes())
    for place in rng.integers(0, len(data), 5):
        data[place] = int(rng.integers(0, 256))
    (folder / name).write_bytes(bytes(data[: int(rng.integers(1, len(data)))]) if seed % 3 else bytes(data))
    code, _, err = fusin("quick.toml", "--quiet")
    assert code in (0, 3), err
    assert "Traceback" not in err
