"""Input tables: what is read, what is normalised with a notice, and what is refused by row and column."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from fusin.cohort.tables import ACCURACY_COUNTS, ACCURACY_ROWS, FINDINGS, IHC_SCORES, PAIRED_COUNTS, PATIENTS
from fusin.errors import InputError, StrictRefusal
from fusin.provenance import NoticeLog
from fusin.tabular.schema import Schema, read_table

HEADER = "patient,lesion,tracer,detected,grade,suv_max,suv_mean"
ROWS = ("P1,L1,CXCR4,yes,G1,5.2,3.1", "P1,L1,FDG,no,G1,,", "P2,L1,CXCR4,yes,G2,7.5,4.0")


def codes(log: NoticeLog) -> list[str]:
    return [n.code for n in log]


def write(folder: Path, *lines: str, name: str = "findings.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def refusal(path: Path | pd.DataFrame, schema: Schema = FINDINGS) -> InputError:
    with pytest.raises(InputError) as caught:
        read_table(path, schema, NoticeLog())
    return caught.value


def test_a_plain_table_gets_the_documented_types_without_a_notice(tmp_path):
    log = NoticeLog()
    table = read_table(write(tmp_path, HEADER, *ROWS), FINDINGS, log)
    assert codes(log) == []
    assert table["detected"].tolist() == [True, False, True]
    assert table["suv_max"].dtype == "float64"
    assert pd.isna(table["suv_max"][1]), "missing stays missing and is not 0"


@pytest.mark.parametrize(("separator", "name"), [(",", "a.csv"), (";", "b.csv"), ("\t", "c.tsv")])
def test_comma_semicolon_and_tab_give_the_same_table(tmp_path, separator, name):
    lines = [line.replace(",", separator) for line in (HEADER, *ROWS)]
    found = read_table(write(tmp_path, *lines, name=name), FINDINGS, NoticeLog())
    wanted = read_table(write(tmp_path, HEADER, *ROWS), FINDINGS, NoticeLog())
    pd.testing.assert_frame_equal(found, wanted)


def test_parquet_and_frame_give_what_csv_gives(tmp_path):
    wanted = read_table(write(tmp_path, HEADER, *ROWS), FINDINGS, NoticeLog())
    wanted.to_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet", FINDINGS, NoticeLog()), wanted)
    pd.testing.assert_frame_equal(read_table(wanted, FINDINGS, NoticeLog()), wanted)


def test_a_table_that_was_read_can_be_read_again_unchanged(tmp_path):
    once = read_table(write(tmp_path, HEADER, *ROWS), FINDINGS, NoticeLog())
    log = NoticeLog()
    pd.testing.assert_frame_equal(read_table(once, FINDINGS, log), once)
    assert codes(log) == []


def test_patient_numbers_stay_text_and_keep_leading_zeros(tmp_path):
    table = read_table(write(tmp_path, HEADER, "007,1,CXCR4,yes,G1,5,3"), FINDINGS, NoticeLog())
    assert table["patient"].tolist() == ["007"]
    frame = pd.DataFrame({"patient": [7.0], "tracer": ["CXCR4"], "detected": [True]})
    assert read_table(frame, FINDINGS, NoticeLog())["patient"].tolist() == ["7"]


def test_a_decimal_comma_between_semicolons_is_read_with_a_notice(tmp_path):
    lines = (HEADER.replace(",", ";"), "P1;L1;CXCR4;yes;G1;5,2;3,1", "P2;L1;CXCR4;yes;G1;12,75;4")
    log = NoticeLog()
    table = read_table(write(tmp_path, *lines), FINDINGS, log)
    assert table["suv_max"].tolist() == [5.2, 12.75]
    assert codes(log) == ["DECIMAL_COMMA"]
    with pytest.raises(StrictRefusal):
        read_table(write(tmp_path, *lines), FINDINGS, NoticeLog(strict=True))


def test_a_comma_that_may_separate_thousands_is_refused_with_row_and_column(tmp_path):
    lines = (HEADER.replace(",", ";"), "P1;L1;CXCR4;yes;G1;9;3", "P2;L1;CXCR4;yes;G1;1,234;0,512")
    error = refusal(write(tmp_path, *lines))
    assert ("row 2" in error.where, error.field, error.found) == (True, "suv_max", "1,234")


def test_points_and_commas_in_one_table_are_refused(tmp_path):
    lines = (HEADER.replace(",", ";"), "P1;L1;CXCR4;yes;G1;5.2;3.1", "P2;L1;CXCR4;yes;G1;7,5;4.0")
    error = refusal(write(tmp_path, *lines))
    assert ("row 2" in error.where, error.field) == (True, "suv_max")


def test_a_decimal_comma_between_commas_is_refused_by_the_number_of_fields(tmp_path):
    error = refusal(write(tmp_path, HEADER, ROWS[0], "P2,L1,CXCR4,yes,G2,7,5,4,0"))
    assert "row 2" in error.where
    assert "decimal comma" in error.needed


def test_a_wrong_column_is_refused_with_the_nearest(tmp_path):
    error = refusal(write(tmp_path, HEADER.replace("detected", "detection"), *ROWS))
    assert error.found == "detection"
    assert "detected" in error.needed


def test_an_optional_column_with_a_nearly_right_name_is_named_and_not_lost_silently(tmp_path):
    log = NoticeLog()
    table = read_table(write(tmp_path, HEADER.replace("suv_max", "suvmax"), *ROWS), FINDINGS, log)
    assert codes(log) == ["COLUMN_NOT_USED"]
    assert "suvmax" in table.columns


def test_capitals_and_blanks_in_a_header_do_not_matter(tmp_path):
    table = read_table(write(tmp_path, "Patient,Lesion,Tracer,Detected,SUV max", "P1,L1,F,1,2"), FINDINGS, NoticeLog())
    assert table["suv_max"].tolist() == [2.0]


def test_a_column_twice_is_refused(tmp_path):
    assert refusal(write(tmp_path, "patient,Patient,tracer,detected", "1,1,F,yes")).field == "column patient"


def test_a_duplicated_lesion_is_refused_with_both_rows(tmp_path):
    error = refusal(write(tmp_path, HEADER, *ROWS, "P1,L1,CXCR4,no,G1,,"))
    assert "row 4" in error.where
    assert error.found == "P1, L1, CXCR4"
    assert "row 1" in error.needed


def test_two_findings_of_a_whole_patient_with_one_tracer_are_duplicates():
    frame = pd.DataFrame(
        {"patient": ["P1", "P1"], "lesion": [None, None], "tracer": ["F", "F"], "detected": [True, False]}
    )
    assert refusal(frame).found == "P1, missing, F"


@pytest.mark.parametrize("value", ["<20", "5.2 g/ml", "high", "inf", "-1"])
def test_what_is_no_possible_suv_is_refused(tmp_path, value):
    error = refusal(write(tmp_path, HEADER, ROWS[0], f"P2,L1,CXCR4,yes,G1,{value},1"))
    assert ("row 2" in error.where, error.field) == (True, "suv_max")


def test_a_mean_above_the_maximum_is_refused(tmp_path):
    error = refusal(write(tmp_path, HEADER, ROWS[0], "P2,L1,CXCR4,yes,G1,4,5"))
    assert ("row 2" in error.where, error.field, error.found) == (True, "suv_mean", 5.0)


def test_a_percentage_where_a_fraction_is_due_is_refused():
    frame = pd.DataFrame({"patient": ["P1", "P2"], "ki67_fraction": [0.2, 15.0]})
    error = refusal(frame, PATIENTS)
    assert ("row 2" in error.where, error.field, error.found) == (True, "ki67_fraction", 15.0)
    assert "percentage" in error.needed


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ((17, -2, 0, 7, 22), "fn"),
        ((17, 2.5, 0, 7, 26.5), "fn"),
        ((17, 2, 0, 7, 27), "n"),
        ((17, None, 0, 7, None), "fn"),
    ],
)
def test_impossible_counts_are_refused(row, field):
    frame = pd.DataFrame([["PET", *row]], columns=["study", "tp", "fn", "fp", "tn", "n"])
    error = refusal(frame, ACCURACY_COUNTS)
    assert ("row 1" in error.where, error.field) == (True, field)


def test_paired_counts_must_add_up():
    frame = pd.DataFrame(
        {"label": ["any"], "both": [10], "first_only": [7], "second_only": [0], "neither": [0], "n": [17]}
    )
    assert read_table(frame, PAIRED_COUNTS, NoticeLog())["n"].tolist() == [17]
    assert refusal(frame.assign(n=18), PAIRED_COUNTS).field == "n"


@pytest.mark.parametrize(
    ("yes", "no"), [("positive", "negative"), ("+", "-"), ("Y", "N"), ("detected", "not detected")]
)
def test_spellings_of_yes_and_no_are_understood_with_a_notice(tmp_path, yes, no):
    log = NoticeLog()
    table = read_table(write(tmp_path, HEADER, f"1,1,F,{yes},,,", f"2,1,F,{no},,,", "3,1,F,not done,,,"), FINDINGS, log)
    assert table["detected"].isna().tolist() == [False, False, True]
    assert table["detected"].tolist()[:2] == [True, False]
    assert set(codes(log)) == {"SPELLING_NORMALISED"}


@pytest.mark.parametrize("value", ["-", "maybe", "2"])
def test_a_lone_dash_or_another_word_is_no_answer(tmp_path, value):
    error = refusal(write(tmp_path, HEADER, "1,1,F,yes,,,", f"2,1,F,{value},,,"))
    assert ("row 2" in error.where, error.field, error.found) == (True, "detected", value)


def test_results_have_three_values():
    frame = pd.DataFrame(
        {"patient": [1, 2, 3, 4], "result": ["Pos", 0, "equivocal", None], "reference": ["yes", "no", "no", "yes"]}
    )
    table = read_table(frame, ACCURACY_ROWS, NoticeLog())
    assert table["result"].tolist()[:3] == ["positive", "negative", "indeterminate"]
    assert pd.isna(table["result"][3])


def test_tracers_that_differ_in_case_are_a_warning(tmp_path):
    log = NoticeLog()
    read_table(write(tmp_path, HEADER, ROWS[0], "P2,L1,cxcr4,yes,G1,5,3"), FINDINGS, log)
    assert codes(log) == ["LABELS_DIFFER_IN_CASE"]


def test_stain_intensity_above_three_is_refused():
    frame = pd.DataFrame({"patient": ["P1"], "intensity": [4], "extent_class": [1]})
    assert refusal(frame, IHC_SCORES).needed == "at most 3"


@pytest.mark.parametrize("name", ["absent.csv", "t.xlsx", "latin.csv", "empty.csv", "bad.parquet"])
def test_files_that_hold_no_table_are_refused(tmp_path, name):
    contents = {
        "t.xlsx": b"PK",
        "latin.csv": "patient\nMüller\n".encode("latin-1"),
        "empty.csv": b"\n",
        "bad.parquet": b"no",
    }
    if name in contents:
        (tmp_path / name).write_bytes(contents[name])
    assert refusal(tmp_path / name).where == name
