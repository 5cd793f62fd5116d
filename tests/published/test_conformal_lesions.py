"""8771 real PSMA-PET lesions (autoPET III, reviewed; CC BY 4.0): total uptake is SUVmean x volume in every row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fusin.imaging.volume import Grid, Region, Volume
from fusin.provenance import NoticeLog
from fusin.quantification.lesion_ratios import burden
from fusin.quantification.lesions import Lesion
from fusin.quantification.metrics import measure_region

TABLES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "tables" / "conformal_lesions"
pytestmark = pytest.mark.skipif(not TABLES.is_dir(), reason="the public lesion table lies outside the repository")


@pytest.fixture(scope="module")
def table():
    pandas = pytest.importorskip("pandas")
    return pandas.read_parquet(TABLES / "autopet_iii_lesions_reviewed.parquet")


def measured(row):
    """Metrics of a region with the row's voxel count, voxel size, mean and maximum."""
    count = int(row.n_voxels)
    values = np.full((1, 1, count + 2), 0.5)
    values[0, 0, 1] = row.suvmax
    values[0, 0, 2 : count + 1] = (row.suvmean * count - row.suvmax) / max(count - 1, 1)
    spacing = (row.voxel_spacing_0, row.voxel_spacing_1, row.voxel_spacing_2)
    grid = Grid(shape=values.shape, affine=np.diag([*spacing, 1.0]))
    region = Region(name="lesion", grid=grid, start=(0, 0, 1), crop=np.ones((1, 1, count), bool))
    volume = Volume(values=values, grid=grid, unit="g/ml{SUVbw}")
    return region, measure_region(volume, region, log=NoticeLog())


def test_tlu_volume_and_max_reproduce_the_table(table):
    rows = table.sample(60, random_state=1)
    for row in rows[rows.n_voxels < 3000].itertuples():
        _, metrics = measured(row)
        assert metrics.volume_ml == pytest.approx(row.volume_ml, rel=1e-9)
        assert metrics.total_lesion_uptake == pytest.approx(row.tlg, rel=1e-9)
        assert metrics.suv_max == row.suvmax


def test_burden_of_a_patient_is_the_sum_of_the_rows(table):
    case = table[table.n_voxels < 3000].case_id.value_counts().index[3]
    rows = table[(table.case_id == case) & (table.n_voxels < 3000)]
    pairs = [measured(row) for row in rows.itertuples()]
    lesions = [Lesion(number=i, identity=str(i), region=r, metrics=m) for i, (r, m) in enumerate(pairs)]
    total = burden(lesions)
    assert total.lesions == len(rows)
    assert total.tumour_volume_ml == pytest.approx(rows.volume_ml.sum(), rel=1e-9)
    assert total.total_lesion_uptake == pytest.approx(rows.tlg.sum(), rel=1e-9)
    assert total.suv_mean == pytest.approx(rows.tlg.sum() / rows.volume_ml.sum(), rel=1e-9)
