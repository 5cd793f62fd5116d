"""IBSI 1 digital phantom: consensus values of Zwanenburg et al., Radiology 2020;295:328 (10.1148/radiol.2020191145)."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from fusin.imaging.volume import Grid, Region, Volume
from fusin.provenance import NoticeLog
from fusin.quantification.metrics import measure_region

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "ibsi"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the public IBSI data lie outside the repository")


@pytest.fixture(scope="module")
def phantom():
    nibabel = pytest.importorskip("nibabel")
    folder = DATA / "ibsi_1_digital_phantom" / "nifti"
    image = nibabel.load(folder / "image" / "phantom.nii.gz")
    mask = nibabel.load(folder / "mask" / "mask.nii.gz")
    values = np.asarray(image.dataobj, dtype=np.float32).T
    grid = Grid(shape=values.shape, affine=np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine)
    region = Region.from_mask("phantom", grid, np.asarray(mask.dataobj).T)
    volume = Volume(values=values, grid=grid, unit="g/ml{SUVbw}")
    return measure_region(volume, region, log=NoticeLog())


@pytest.fixture(scope="module")
def consensus():
    with (DATA / "reference" / "ibsi_1_dig_phantom.csv").open() as stream:
        return {row["tag"]: row for row in csv.DictReader(stream, delimiter=";")}


CASES = [
    ("suv_mean", "stat_mean"),
    ("suv_median", "stat_median"),
    ("suv_min", "stat_min"),
    ("suv_max", "stat_max"),
    ("suv_peak_ibsi_local", "loc_peak_loc"),
    ("suv_peak_ibsi_global", "loc_peak_glob"),
]


@pytest.mark.parametrize(("field", "tag"), CASES)
def test_metric_equals_the_consensus_to_its_digits(phantom, consensus, field, tag):
    reference = consensus[tag]["reference value"]
    digits = len(reference.partition(".")[2])
    assert getattr(phantom, field) == pytest.approx(float(reference), abs=0.5 * 10**-digits + 1e-9)


def test_population_sd_squared_is_the_consensus_variance(phantom, consensus):
    assert phantom.suv_sd**2 == pytest.approx(float(consensus["stat_var"]["reference value"]), abs=0.005)


def test_volume_is_the_voxel_counting_volume(phantom, consensus):
    row = consensus["morph_vol_approx"]
    assert phantom.volume_ml * 1000 == pytest.approx(float(row["reference value"]), abs=0.5)


def test_integrated_intensity_uses_the_voxel_volume_here(phantom):
    # IBSI's integrated intensity 1200 (10) multiplies the mean by the mesh volume 556 (4); TLU by the voxel volume 592.
    assert phantom.total_lesion_uptake * 1000 * 556 / 592 == pytest.approx(1200, abs=10)
