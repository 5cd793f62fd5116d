"""The demonstration that starts from counts, with a small camera."""

from __future__ import annotations

import json
from functools import partial

import pytest

from fusin.errors import InputError
from fusin.report import from_counts_pet, from_counts_spect
from fusin.report.demo import run_counts_demo
from fusin.report.demo_from_counts import run_from_counts
from fusin.report.from_counts_pet import ct_grid


@pytest.fixture
def small_cameras(monkeypatch):
    """Coarser cameras: a minute becomes some seconds."""
    for name, value in (
        ("_CRYSTALS", 96),
        ("_BINS", 35),
        ("_RINGS", 46),
        ("_RING_MM", 24.0),
        ("_PIXEL_MM", 12.0),
        ("_COLUMNS", 37),
    ):
        monkeypatch.setattr(from_counts_pet, name, value)
    for name, value in (
        ("_VIEWS", 16),
        ("_PIXEL_MM", 12.0),
        ("_BINS", 36),
        ("_ROWS", 32),
        ("_VIEW_S", 75.0),
        ("_MESH", 1),
    ):
        monkeypatch.setattr(from_counts_spect, name, value)
    for module in (from_counts_pet, from_counts_spect):
        monkeypatch.setattr(module, "ct_grid", partial(ct_grid, pitch_mm=6.0))


def test_counts_become_a_reading_and_doses(small_cameras, tmp_path):
    found = run_from_counts(tmp_path, seed=1)
    lesions = {row["lesion"]: row for row in found.output.document["lesions"]}
    assert lesions["lesion pelvis 40 mm"]["found"]
    assert 5.0 < lesions["lesion pelvis 40 mm"]["suv_mean"] < 9.0
    regions = {row["region"]: row for row in found.output.document["regions"]}
    assert set(regions) == {
        "liver",
        "spleen",
        "left kidney",
        "right kidney",
        "lesion abdomen 20 mm",
        "lesion pelvis 40 mm",
    }
    assert abs(regions["liver"]["off_percent"]) < 15
    for row in regions.values():
        assert row["tia_mbq_h_low"] < row["tia_mbq_h"] < row["tia_mbq_h_high"]
        assert 0.0 < row["recovery_u"] < row["recovery"] < 1.1
    spheres = found.output.document["spheres"]
    assert [s["diameter_mm"] for s in spheres] == [16, 18, 20, 24, 28, 34, 40, 48, 56, 66]
    assert spheres[0]["recovery"] < spheres[-1]["recovery"] < 1.0
    # Volume times concentration times the half-life over ln 2.
    truth = json.loads((tmp_path / "truth.json").read_text())
    liver = truth["pet"]["regions"]["liver"]["volume_ml"] * 1.28 * 7400e3 / 78 * 1e-6
    assert truth["tia_mbq_h"]["liver"] == pytest.approx(liver * 109.0 / 0.693147, rel=2e-3)
    assert truth["pet"]["regions"]["liver"]["activity_bq_ml"] > 0
    for name in (
        "report.html",
        "pet/report.html",
        "therapy/projections_24h.dcm",
        "therapy/projections_spheres.dcm",
        "therapy/spect_spheres.toml",
        "therapy/spect_24h.toml",
        "therapy/study.toml",
    ):
        assert (tmp_path / name).is_file()


def test_a_folder_of_somebody_else_is_not_touched(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="things that no demo wrote"):
        run_counts_demo(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"
