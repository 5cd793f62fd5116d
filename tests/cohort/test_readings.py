"""Finding tables from the folders of fusin read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fusin.cohort.comparison import compare
from fusin.cohort.readings import findings_from_readings
from fusin.cohort.tables import FINDINGS
from fusin.errors import InputError, InvalidValue, MissingValue, StrictRefusal
from fusin.provenance import NoticeLog
from fusin.quantification.tables import LESION_COLUMNS
from fusin.tabular.schema import read_table

SERIES = {"patient_id": "P1", "study_date": "20240312", "series_uid": "1.2", "radiopharmaceutical": "Pentixafor"}


def lesion(
    number: int, centre: tuple[float, float, float], suv: float = 5.0, status: str = "candidate"
) -> dict[str, Any]:
    return {"number": number, "status": status, "site": "liver", "suv_max": suv, "suv_mean": suv / 2, "suv_peak": suv * 0.8,
            "volume_ml": 2.0, "centroid_mm": list(centre),
            "tbrs": [{"reference": "blood_pool", "statistic": "max/mean", "value": suv / 1.5}]}  # fmt: skip


def row(series: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    x, y, z = one["centroid_mm"]
    return {"patient_id": series["patient_id"], "study_date": series["study_date"], "series_uid": series["series_uid"],
            "tracer": series["radiopharmaceutical"], "lesion": one["number"], "site": one["site"], "status": one["status"],
            "suv_max": one["suv_max"], "suv_mean": one["suv_mean"], "suv_peak": one["suv_peak"], "volume_ml": 2.0,
            "centroid_x_mm": x, "centroid_y_mm": y, "centroid_z_mm": z, "tbr_max_blood_pool": one["suv_max"] / 1.5}  # fmt: skip


def reading(folder: Path, *lesions: dict[str, Any], files: tuple[str, ...] = ("csv", "json"), **series: Any) -> Path:
    folder.mkdir()
    facts = SERIES | series
    rows = [row(facts, one) for one in lesions]
    data = {c.name: pd.Series([r.get(c.name) for r in rows], dtype=c.dtype) for c in LESION_COLUMNS}
    if "csv" in files:
        pd.DataFrame(data).to_csv(folder / "lesions.csv", index=False)
    if "parquet" in files:
        pd.DataFrame(data).to_parquet(folder / "lesions.parquet", index=False)
    if "json" in files:
        kept = [one for one in lesions if one["status"] != "physiological"]
        (folder / "reading.json").write_text(json.dumps({"series": facts, "lesions": kept}), encoding="utf-8")
    return folder


def both(tmp_path: Path) -> list[Path]:
    spleen = lesion(3, (90, 0, 0), status="physiological")
    return [
        reading(tmp_path / "a", lesion(1, (0, 0, 0)), lesion(2, (100, 0, 0), 7.0), spleen),
        reading(tmp_path / "b", lesion(1, (3, 0, 0), 9.0), lesion(2, (0, 200, 0)), radiopharmaceutical="FDG"),
    ]


def test_lesions_of_two_tracers_are_matched_and_missed_ones_are_not_detected(tmp_path):
    log = NoticeLog()
    found = findings_from_readings(both(tmp_path), log)
    seen = found.findings.pivot(index="lesion", columns="tracer", values="detected")
    assert seen.loc[["L1", "L2", "L3"], "Pentixafor"].tolist() == [True, True, False]
    assert seen.loc[["L1", "L2", "L3"], "FDG"].tolist() == [True, False, True]
    assert {"CANDIDATES_AS_FINDINGS", "SCANS_TAKEN_AS_ALIGNED"} <= {n.code for n in log}
    assert len(found.review) == 3


def test_the_table_is_a_finding_table_and_can_be_compared(tmp_path):
    found = findings_from_readings(both(tmp_path), NoticeLog()).findings
    pd.testing.assert_frame_equal(read_table(found, FINDINGS, NoticeLog()), found)
    compared = compare(found, "Pentixafor", "FDG", NoticeLog()).overall
    assert (compared.both, compared.first_only, compared.second_only) == (1, 1, 1)


def test_physiological_uptake_is_no_finding(tmp_path):
    found = findings_from_readings(both(tmp_path)[:1], NoticeLog()).findings
    assert found["lesion"].tolist() == ["L1", "L2"]
    assert found["tbr_blood_pool"].tolist() == pytest.approx([5 / 1.5, 7 / 1.5])


@pytest.mark.parametrize("files", [("parquet", "json"), ("csv",), ("json",), ("parquet",)])
def test_each_file_of_a_reading_gives_the_same_findings(tmp_path, files):
    ones = lesion(1, (0, 0, 0)), lesion(2, (50, 0, 0), 8.0)
    wanted = findings_from_readings([reading(tmp_path / "all", *ones)], NoticeLog()).findings
    found = findings_from_readings([reading(tmp_path / "some", *ones, files=files)], NoticeLog()).findings
    pd.testing.assert_frame_equal(found, wanted)


def test_a_reading_without_lesions_is_a_negative_patient(tmp_path):
    found = findings_from_readings([reading(tmp_path / "a")], NoticeLog()).findings
    assert (found["lesion"].isna().tolist(), found["detected"].tolist()) == ([True], [False])


def test_an_alignment_is_applied_and_silences_the_assumption(tmp_path):
    folders = [
        reading(tmp_path / "a", lesion(1, (0, 0, 0))),
        reading(tmp_path / "b", lesion(1, (60, 0, 0)), radiopharmaceutical="FDG"),
    ]
    apart = findings_from_readings(folders, NoticeLog()).findings
    move = np.eye(4)
    move[0, 3] = -60.0
    log = NoticeLog()
    together = findings_from_readings(folders, log, alignments={("P1", "FDG"): move}).findings
    assert (apart["lesion"].nunique(), together["lesion"].nunique()) == (2, 1)
    assert "SCANS_TAKEN_AS_ALIGNED" not in {n.code for n in log}
    with pytest.raises(StrictRefusal):
        findings_from_readings(folders, NoticeLog(strict=True))


def test_a_third_tracer_meets_the_lesions_that_only_the_second_showed(tmp_path):
    folders = [*both(tmp_path), reading(tmp_path / "c", lesion(1, (0, 202, 0)), radiopharmaceutical="SSTR")]
    found = findings_from_readings(folders, NoticeLog()).findings
    assert found[found["detected"] & (found["lesion"] == "L3")]["tracer"].tolist() == ["FDG", "SSTR"]
    assert len(found) == 9


def test_names_given_as_arguments_win_over_the_header(tmp_path):
    found = findings_from_readings(both(tmp_path), NoticeLog(), tracers=["C", "F"], patients=["X", "X"]).findings
    assert (set(found["patient"]), set(found["tracer"])) == ({"X"}, {"C", "F"})


def test_folders_that_cannot_be_used_are_refused(tmp_path):
    one, two = both(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no reading"):
        findings_from_readings([tmp_path / "empty"], NoticeLog())
    with pytest.raises(InputError, match="one reading of patient P1"):
        findings_from_readings([one, two], NoticeLog(), tracers=["C", "C"])
    with pytest.raises(InputError):
        findings_from_readings([one], NoticeLog(), tracers=["C", "F"])
    with pytest.raises(MissingValue):
        findings_from_readings([reading(tmp_path / "n", lesion(1, (0, 0, 0)), patient_id=None)], NoticeLog())
    with pytest.raises(InvalidValue):
        findings_from_readings([one, two], NoticeLog(), alignments={("P1", "FDG"): 2 * np.eye(4)})
