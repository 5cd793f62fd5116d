"""A day of doses for people: the draw sheet holds what the plan says, and names cannot break it."""

from __future__ import annotations

import re

import pytest

from fusin.provenance import NoticeLog
from fusin.radiopharmacy.dispensing_files import DispenseOptions
from fusin.report.demo_dispense import run_part
from fusin.report.dispense_report import dispense_report
from fusin.report.job_output import write_job

VIAL = {"activity_mbq": 600.0, "volume_ml": 10.0, "nuclide": "Ga-68"}


def report(*patients, changes=(), **rules):
    options = DispenseOptions(vial=VIAL, rules={"lead_min": 10.0} | rules, patients=patients)
    return dispense_report(None, options=options, changes=changes, log=NoticeLog())


def test_the_draw_sheet_prints_volumes_and_leaves_fields_empty():
    sheet = report("P1=150@20", "P2=150@50").files["draw-sheet.html"]
    assert re.findall(r'<td class="big">(\d\.\d{3})</td>', sheet) == ["3.068", "4.171"]
    assert sheet.count('<td class="blank"></td>') == 2 * 5
    assert "NOT ALL" not in sheet


def test_the_draw_sheet_says_aloud_who_is_not_served():
    sheet = report("P1=150@20", "P2=150@50", "P3=150@80").files["draw-sheet.html"]
    assert "NOT ALL PATIENTS CAN BE SERVED" in sheet
    assert "12.909 mL" in sheet


def test_a_name_with_markup_stays_a_name(tmp_path):
    output = report("<b>P&1</b>=150@20")
    write_job(output, tmp_path)
    for name in ("draw-sheet.html", "report.html"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "<b>P&1</b>" not in text
        assert "&lt;b&gt;P&amp;1&lt;/b&gt;" in text


def test_the_figure_names_every_draw():
    figure = report("P1=150@20", "P2=150@50").figures()[0]
    assert re.findall(r'class="draw">([^<]*)', figure.svg) == ["P1", "P2"]
    assert figure.svg.count('class="course"') == 2


def test_a_day_on_which_nobody_is_served_still_has_a_page(tmp_path):
    output = report("P1=700@20", max_volume_ml=2.0)
    write_job(output, tmp_path)
    assert output.document["feasible"] is False
    assert output.document["binding"] == "max_volume"
    assert output.document["patients"][0]["administered_mbq"] is None


def test_what_if_stands_in_table_and_document():
    output = report("P1=150@20", "P2=150@50", changes=("extra:P3=150@80", "later=5"))
    assert [c["served"] for c in output.document["what_if"]] == [2, 2]
    assert [t.name for t in output.tables()][-1] == "what-if"


def test_the_demonstration_serves_everybody_from_two_vials(tmp_path):
    output = run_part(tmp_path)
    assert output.document["feasible"] is True
    assert {p["vial"] for p in output.document["patients"]} == {"morning", "noon"}
    assert sum(p["amounts"][0]["amount"] for p in output.document["patients"] if p["vial"] == "noon") == pytest.approx(
        5.0 * output.document["vials"][1]["used_ml"]
    )


def test_doses_of_two_days_are_printed_with_their_days():
    options = DispenseOptions(
        vial={"activity_mbq": 20000.0, "volume_ml": 20.0, "nuclide": "Lu-177", "reference_time": "2026-07-20T08:00"},
        patients=("P1=7400@2026-07-20T10:00", "P2=7400@2026-07-21T10:00"),
    )
    sheet = dispense_report(None, options=options, log=NoticeLog()).files["draw-sheet.html"]
    assert "2026-07-21 10:00" in sheet


def test_draws_whose_names_have_no_room_are_numbered():
    figure = report(*(f"PENTIXAFOR-{k:03d}=10@{20 + 10 * k}" for k in range(9))).figures()[0]
    assert re.findall(r'class="draw">([^<]*)', figure.svg) == [str(k) for k in range(1, 10)]
    assert "numbered in the order of the draw sheet" in figure.caption


def test_the_page_says_first_who_is_not_served():
    output = report("P1=150@20", "P2=150@50", "P3=150@80")
    assert output.sections[0].text[0].startswith("Not all can be served: 2 of 3")


def test_a_long_list_of_names_is_shortened():
    output = report(*(f"P{k}=10@{20 + k}" for k in range(12)), "Q=900@60")
    assert "P5, 6 more)" in output.document["reason"]
