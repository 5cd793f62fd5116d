"""Tables are pasted with their intervals, tests and methods, and a p value is never 0."""

from __future__ import annotations

import csv
import doctest
import io
import xml.etree.ElementTree as ET

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.report import table_text
from fusin.report.table_text import (
    Shown,
    csv_text,
    estimate_text,
    html_table,
    markdown_table,
    number_text,
    p_text,
    p_value_text,
    print_table,
    shown_columns,
    word_html,
)
from fusin.stats.proportions import proportion
from fusin.stats.results import Estimate, TestResult
from fusin.tabular.columns import Column

HOSTILE = "<b>&|`*_[x](y)\n\"'"


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "tracer": ["FDG", "Pentixafor"],
            "n": pd.array([115, None], dtype="Int64"),
            "rate": [0.1043, None],
            "rate_low": [0.0607, None],
            "rate_high": [0.1736, None],
            "rate_method": ["Wilson", "Wilson"],
            "primary_test": ["McNemar, continuity-corrected", "exact McNemar"],
            "primary_p": [0.0233, 0.00001],
        }
    )


def test_the_examples_of_the_module_are_right() -> None:
    assert doctest.testmod(table_text).failed == 0


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 1))
def test_a_p_value_is_never_zero_nor_moved_across_five_percent(p: float) -> None:
    text = p_value_text(p)
    if text[0] in "<>":
        assert p < 0.001 or p > 0.99
        return
    assert float(text) > 0
    assert float(text) == pytest.approx(p, abs=0.0006 if p < 0.099 else 0.006)
    assert (float(text) < 0.05) == (p < 0.05)


def test_a_p_value_stands_with_its_test() -> None:
    test = TestResult(test="McNemar, continuity-corrected", p=0.02334, n=40)
    assert p_text(test) == "p = 0.023 (McNemar, continuity-corrected)"
    assert p_text(TestResult(test="log-rank test", p=1e-9, n=40)) == "p < 0.001 (log-rank test)"
    assert p_text(TestResult(test="exact McNemar", p=1.0, n=40)) == "p > 0.99 (exact McNemar)"
    assert p_text(TestResult(test="x", p=None, n=0, note="no pairs")) == "no p value (x: no pairs)"


def test_an_estimate_stands_with_its_interval_and_on_wish_its_method() -> None:
    rate = proportion(19, 24)
    assert estimate_text(rate, percent=True) == "79.2 % (59.5 to 90.8)"
    assert estimate_text(rate, percent=True, method=True).endswith("[95 %, Wilson]")
    assert estimate_text(Estimate(value=-1.234, low=-2.5, high=0.1, method="t", n=5)) == "−1.2 (−2.5 to 0.1)"
    assert estimate_text(Estimate(value=None, low=None, high=None, method="x", n=0, note="0 of 0")) == "— (0 of 0)"
    assert estimate_text(Estimate(value=12.0, low=7.9, high=None, method="x", n=9)) == "12.0 (7.9 to —)"


def test_columns_of_limits_tests_and_methods_are_brought_together() -> None:
    shown = shown_columns(frame(), (Column("rate", "float64", "share seen"),), percent=("rate",))
    assert [c.name for c in shown] == ["tracer", "n", "rate", "primary_p"]
    table = print_table(frame(), shown)
    assert table.headings == ("Tracer", "N", "Rate [%]", "Primary p")
    assert table.meanings[2] == "share seen"
    assert table.rows[0] == ("FDG", "115", "10.4 (6.1 to 17.4)", "0.023 (McNemar, continuity-corrected)")
    assert table.rows[1] == ("Pentixafor", "—", "—", "< 0.001 (exact McNemar)")
    assert table.notes == ("Interval of Rate: Wilson.",)


def test_methods_that_differ_keep_their_column() -> None:
    mixed = frame().assign(rate_method=["Wilson", "Wald"])
    assert "rate_method" in [c.name for c in shown_columns(mixed)]


def test_an_interval_without_its_value_is_printed_and_one_that_no_row_has_is_not() -> None:
    table = pd.DataFrame({"x_low": [1.0, None], "x_high": [2.0, None], "y_low": [None, None], "y_high": [None, None]})
    printed = print_table(table)
    assert printed.headings == ("X",)
    assert printed.rows == (("1.0 to 2.0",), ("—",))


def test_csv_keeps_the_numbers_and_leaves_missing_empty() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(frame()))))
    assert float(rows[0]["rate"]) == 0.1043
    assert rows[1]["rate"] == rows[1]["n"] == ""
    pd.testing.assert_frame_equal(
        pd.read_csv(io.StringIO(csv_text(frame())), dtype={"n": "Int64"}), frame(), check_dtype=False
    )


def test_markdown_has_one_line_for_each_row_whatever_the_cells_hold() -> None:
    text = markdown_table(pd.DataFrame({"a|b": [HOSTILE], "n": [1]}))
    head, rule, row = text.strip().split("\n")
    assert rule == "| --- | ---: |"
    for line in (head, row):
        assert line.replace("\\|", "").count("|") == 3
    assert "<b>" not in row.replace("\\<b>", "")


def test_word_html_carries_its_borders_and_no_script() -> None:
    text = word_html(pd.DataFrame({"site": [HOSTILE, "bone"], "p": [0.0, 0.5]}), title="Table <1>")
    root = ET.fromstring(text.removeprefix("<!DOCTYPE html>\n").replace('<meta charset="utf-8">', ""))
    cells = [c.text for c in root.iter("td")]
    assert cells[0] == HOSTILE
    assert cells[1] == "< 0.001"
    assert all("border-bottom" in (c.get("style") or "") for c in list(root.iter("td"))[-2:])
    assert not list(root.iter("script"))
    assert root.find(".//caption").text == "Table <1>"  # type: ignore[union-attr]


def test_the_table_of_the_page_has_no_inline_style_and_escapes_cells() -> None:
    text = html_table(print_table(pd.DataFrame({"x": [HOSTILE]}), (Shown(name="x", heading="<x>", meaning='"m"'),)))
    assert "style" not in text
    assert "<b>" not in text
    ET.fromstring(text)


def test_numbers_of_one_column_share_their_decimals() -> None:
    table = print_table(
        pd.DataFrame({"suv_max": [12.345, 3.2, 150.0], "voxels": [1234, 5, 6], "ok": [True, None, False]})
    )
    assert [r[0] for r in table.rows] == ["12.3", "3.2", "150.0"]
    assert [r[1] for r in table.rows] == ["1,234", "5", "6"]
    assert [r[2] for r in table.rows] == ["yes", "—", "no"]
    assert table.numeric == (True, True, False)


def test_estimates_and_tests_may_stand_in_cells() -> None:
    table = print_table(pd.DataFrame({"e": [proportion(1, 2)], "t": [TestResult(test="sign test", p=0.4, n=3)]}))
    assert table.rows[0] == ("0.50 (0.09 to 0.91)", "p = 0.40 (sign test)")


def test_short_numbers() -> None:
    assert [number_text(v) for v in (0.59321, 12.0, 1234.5, -0.00148, 0.0, None)] == [
        "0.593", "12", "1,234", "−0.00148", "0", "—",
    ]  # fmt: skip


def test_an_empty_table_prints_nothing_but_its_headings() -> None:
    assert print_table(frame().head(0)).rows == ()
    assert markdown_table(pd.DataFrame()) == ""
    assert csv_text(frame().head(0)).count("\n") == 1
    assert "<tbody></tbody>" in word_html(frame().head(0))


def test_rows_beyond_the_limit_are_counted() -> None:
    table = print_table(pd.DataFrame({"x": range(1000)}), most=10)
    assert len(table.rows) == 10
    assert table.notes == ("The first 10 of 1,000 rows.",)


def test_a_column_of_many_sizes_keeps_the_digits_of_each():
    frame = pd.DataFrame({"rate": [8.5e-9, 0.00074, 1.5, 0.0, 5.1e6], "n": [1, 2, 3, 4, 5]})
    shown = shown_columns(frame, significant={"rate": 3, "n": 3})
    assert [row[0] for row in print_table(frame, shown).rows] == ["8.5e−9", "0.00074", "1.5", "0", "5,100,000"]
    assert [row[1] for row in print_table(frame, shown).rows] == ["1", "2", "3", "4", "5"]
