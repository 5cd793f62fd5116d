"""The page of a body: what it shows, and the activities that ``fusin dose`` takes over."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from fusin.dosimetry.dose_table import DoseOptions, dose_table
from fusin.provenance import NoticeLog
from fusin.receptor.pbpk_case import body_case
from fusin.report.pbpk_report import POPULATION_FILE, TIMES_FILE, pbpk_report
from fusin.report.pbpk_tables import significant

THERAPY = {
    "ligand": "pentixather", "given": {"nuclide": "Lu-177", "activity_mbq": 7400, "peptide_nmol": 100, "duration_min": 30},
    "tumour": [{"name": "lesion", "volume_ml": 30, "receptor_nm": 60}], "limits_gy": {"kidneys": 23.0, "red marrow": 2.0},
    "drug": [{"name": "plerixafor"}], "cxcl12": {"free_nm": 1.0, "ki_nm": 25.0},
}  # fmt: skip


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    log = NoticeLog()
    return pbpk_report(body_case(THERAPY, "case.toml", log=log), inputs=[], draws=5, log=log)


def test_every_question_has_its_figure_and_table(output):
    assert {f.name for f in output.figures()} == {"curves", "mass", "amount", "sink", "drug-plerixafor", "cxcl12"}
    names = {t.name for t in output.tables()}
    assert {"regions", "curves", "mass", "mass-rows", "amount", "amounts", "sink", "parameters"} <= names


def test_figures_are_well_formed_and_hold_no_undefined_number(output):
    for figure in output.figures():
        ET.fromstring(figure.svg)
        assert "nan" not in figure.svg
        assert "inf" not in figure.svg.replace("infor", "")


def test_every_number_stands_with_its_interval(output):
    for row in output.document["regions"]:
        assert row["suv_low"] <= row["suv_high"]
        assert row["tia_mbq_h_low"] <= row["tia_mbq_h_high"]
        assert "drawn bodies" in row["suv_method"]


def test_the_amount_keeps_the_limits(output):
    kidneys = [r for r in output.document["amount"]["rows"] if r["region"] == "kidneys"]
    marrow = [r for r in output.document["amount"]["rows"] if r["region"] == "red marrow"]
    assert max(r["dose_gy"] for r in kidneys) <= 23.0 * (1 + 1e-9)
    assert max(r["dose_gy"] for r in marrow) <= 2.0 * (1 + 1e-9)
    assert {r["limiting"] for r in kidneys} <= {"carrier-free label", "kidneys", "red marrow"}


def test_balances_hold_to_a_billionth(output):
    assert max(output.document["balances"].values()) < 1e-9


def test_activities_go_into_the_dose_of_regions(output, tmp_path):
    """The time-integrated activity of the model comes back from its own samples."""
    path = tmp_path / TIMES_FILE
    path.write_text(output.files[TIMES_FILE], encoding="utf-8")
    found = dose_table(path, options=DoseOptions(administered_mbq=7400.0), log=NoticeLog())
    regions = {r.name: r for r in found.regions}
    for row in output.document["regions"]:
        if row["region"] in ("kidneys", "liver"):
            integral = regions[row["region"]].integral
            assert integral is not None
            assert integral.tia_mbq_h.value == pytest.approx(row["tia_mbq_h"] + row["tail_mbq_h"], rel=0.1)


def test_virtual_patients_are_kept_and_taken_up_again(tmp_path):
    case = {"given": {"nuclide": "Ga-68", "activity_mbq": 150, "peptide_nmol": 30}, "ask": [], "until_h": 1.0}
    read = body_case(case, "case.toml", log=NoticeLog())
    first = pbpk_report(read, inputs=[], draws=0, patients=3, folder=tmp_path, log=NoticeLog())
    assert (tmp_path / POPULATION_FILE).is_file()
    more = pbpk_report(read, inputs=[], draws=0, patients=6, folder=tmp_path, log=NoticeLog())
    alone = pbpk_report(read, inputs=[], draws=0, patients=6, log=NoticeLog())
    assert first.document["patients"]["computed"] == 3
    assert more.document["patients"] == alone.document["patients"]


def test_a_nuclide_without_emissions_has_uptake_and_no_dose():
    log = NoticeLog()
    case = body_case(
        {"given": {"nuclide": "F-18", "activity_mbq": 200, "peptide_nmol": 30}, "ask": ["mass"]}, "case.toml", log=log
    )
    found = pbpk_report(case, inputs=[], draws=0, log=log)
    assert {r["dose_gy"] for r in found.document["regions"]} == {None}
    assert "NO_SELF_DOSE" in {n.code for n in log}


def test_without_draws_no_interval_is_invented():
    case = body_case(
        {"given": {"nuclide": "Ga-68", "activity_mbq": 150, "peptide_nmol": 30}}, "case.toml", log=NoticeLog()
    )
    found = pbpk_report(case, inputs=[], draws=0, log=NoticeLog())
    assert {(r["suv_low"], r["suv_high"]) for r in found.document["regions"]} == {(None, None)}


@pytest.mark.parametrize(
    ("value", "text"), [(0.00029, "0.00029"), (1834.2, "1,830"), (3e-9, "3.00e-09"), (0.0, "0"), (12.345, "12.3")]
)
def test_numbers_have_three_digits(value, text):
    assert significant(value) == text
