"""Tables are contracts: names, types, order, and a missing value that stays missing."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from fusin.imaging.volume import Grid, Region
from fusin.quantification.metrics import RegionMetrics
from fusin.quantification.tables import (
    LESION_COLUMNS,
    REFERENCE_COLUMNS,
    REGION_COLUMNS,
    lesion_table,
    reference_table,
    region_table,
)

UNITS = ("_ml", "_mm", "_uid", "_date", "_id")
SERIES = {"patient_id": "P", "study_date": "20240115", "series_uid": "1.2", "radiopharmaceutical": "Pentixafor"}


def empty_metrics():
    return RegionMetrics(
        name="nothing", voxels=0, volume_ml=0.0, suv_max=None, suv_mean=None, suv_min=None, suv_median=None, suv_sd=None,
        suv_peak=None, total_lesion_uptake=None, centroid_mm=None, max_mm=None,
    )  # fmt: skip


@pytest.mark.parametrize("columns", [LESION_COLUMNS, REFERENCE_COLUMNS, REGION_COLUMNS])
def test_every_column_has_a_name_a_type_and_a_meaning(columns):
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", c.name) for c in columns)
    assert all(c.dtype in ("string", "float64", "Int64") for c in columns)
    assert all(c.meaning for c in columns)


@pytest.mark.parametrize("columns", [LESION_COLUMNS, REFERENCE_COLUMNS, REGION_COLUMNS])
def test_no_column_stands_twice(columns):
    names = [c.name for c in columns]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("columns", [LESION_COLUMNS, REFERENCE_COLUMNS, REGION_COLUMNS])
def test_what_the_name_does_not_say_about_the_unit_the_meaning_does(columns):
    for column in columns:
        if column.dtype == "float64" and column.name.startswith("suv"):
            assert "[g/mL]" in column.meaning, column.name


@pytest.mark.xdist_group("phantom-read")
def test_the_lesion_table_follows_its_schema(labelled):
    table = lesion_table(labelled.reading)
    assert list(table.columns) == [c.name for c in LESION_COLUMNS]
    assert {c.name: str(table[c.name].dtype) for c in LESION_COLUMNS} == {
        c.name: str(pd.Series([], dtype=c.dtype).dtype) for c in LESION_COLUMNS
    }


@pytest.mark.xdist_group("phantom-read")
def test_a_row_of_the_lesion_table_holds_the_lesions_numbers(labelled):
    table = lesion_table(labelled.reading).set_index("lesion")
    for lesion in labelled.reading.lesions:
        row = table.loc[lesion.number]
        assert row.suv_max == lesion.metrics.suv_max
        assert row.volume_ml == lesion.metrics.volume_ml
        assert row.identity == lesion.identity
        assert row.tbr_max_blood_pool == lesion.tbr("blood_pool").value


@pytest.mark.xdist_group("phantom-read")
def test_every_ratio_of_a_lesion_has_its_column(labelled):
    table = lesion_table(labelled.reading)
    for ratio in labelled.reading.lesions[0].tbrs:
        name = f"tbr_{ratio.statistic.split('/')[0]}_{ratio.reference}"
        assert table[name].iloc[0] == pytest.approx(ratio.value)
        assert table[f"{name}_low"].iloc[0] <= table[name].iloc[0] <= table[f"{name}_high"].iloc[0]


@pytest.mark.xdist_group("phantom-read")
def test_what_was_set_aside_stands_in_a_table_of_its_own(labelled):
    """Sums over a table that mixed both would mean nothing."""
    lesions, aside = lesion_table(labelled.reading), lesion_table(labelled.reading, physiological=True)
    assert set(lesions.status) == {"candidate"}
    assert set(aside.status) == {"physiological"}
    assert len(aside) == len(labelled.reading.physiological)


@pytest.mark.xdist_group("phantom-read")
def test_the_reference_table_follows_its_schema(labelled):
    table = reference_table(labelled.reading)
    assert list(table.columns) == [c.name for c in REFERENCE_COLUMNS]
    assert list(table.kind) == [r.kind for r in labelled.reading.references]
    np.testing.assert_allclose(table.suv_mean, [r.mean for r in labelled.reading.references])


@pytest.mark.xdist_group("phantom-read")
def test_a_reference_that_was_not_placed_automatically_has_no_confidence(labelled):
    table = reference_table(labelled.reading).set_index("kind")
    assert pd.isna(table.loc["liver", "confidence"])


def test_a_missing_metric_is_missing_and_not_zero():
    table = region_table(SERIES, [empty_metrics()])
    assert table.suv_max.isna().all()
    assert table.centroid_x_mm.isna().all()
    assert table.voxels.iloc[0] == 0


def test_a_missing_metric_is_an_empty_field_in_csv():
    line = region_table(SERIES, [empty_metrics()]).to_csv(index=False).splitlines()[1]
    assert "nan" not in line.lower()
    assert ",," in line


def test_a_missing_patient_is_missing_and_not_the_word_none():
    table = region_table({}, [empty_metrics()])
    assert table.patient_id.isna().all()
    assert "None" not in table.to_csv()


def test_an_empty_table_keeps_its_schema():
    table = region_table(SERIES, [])
    assert list(table.columns) == [c.name for c in REGION_COLUMNS]
    assert len(table) == 0
    assert str(table.voxels.dtype) == "Int64"


def test_a_region_table_holds_the_metrics_it_was_given():
    from fusin.imaging.volume import Volume
    from fusin.provenance import NoticeLog
    from fusin.quantification.metrics import measure_region

    grid = Grid(shape=(8, 8, 8), affine=np.diag([4.0, 4.0, 4.0, 1.0]))
    values = np.arange(512, dtype=np.float32).reshape(8, 8, 8) / 100
    region = Region(name="a", grid=grid, start=(2, 2, 2), crop=np.ones((3, 3, 3), dtype=bool))
    metrics = measure_region(Volume(values=values, grid=grid, unit="g/ml{SUVbw}"), region, log=NoticeLog())
    row = region_table(SERIES, [metrics]).iloc[0]
    assert (row.region, row.voxels) == ("a", 27)
    assert row.suv_mean == pytest.approx(values[2:5, 2:5, 2:5].mean())
    assert row.centroid_x_mm == pytest.approx(12.0)


@pytest.mark.xdist_group("phantom-read")
def test_tables_survive_parquet(labelled, tmp_path):
    table = lesion_table(labelled.reading, physiological=True)
    table.to_parquet(tmp_path / "t.parquet", index=False)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), table)
