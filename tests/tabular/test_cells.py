"""Cells of a table: numbers that no parser should be handed."""

from __future__ import annotations

import pandas as pd
import pytest

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.tabular.schema import InputColumn, Schema, read_table

SCHEMA = Schema(name="table", columns=(InputColumn("x", "float64", "a number"),))


@pytest.mark.parametrize("text", ["6.1e3001111111", "1e99999", "1E+1234567", "-2e-30011111111"])
def test_an_absurd_exponent_is_refused_and_does_not_end_the_interpreter(text):
    """pandas.to_numeric of 2.3 reads beyond its buffer for an exponent of ten digits."""
    with pytest.raises(InputError, match=f"row 2: x: found '{text}'".replace("+", r"\+").replace(".", r"\.")):
        read_table(pd.DataFrame({"x": ["1", text]}), SCHEMA, NoticeLog())


def test_a_whole_number_beyond_all_counting_is_refused():
    schema = Schema(name="table", columns=(InputColumn("n", "Int64", "a count", least=1),))
    with pytest.raises(InputError, match="whole number up to"):
        read_table(pd.DataFrame({"n": ["4", "1e300"]}), schema, NoticeLog())
    assert read_table(pd.DataFrame({"n": ["4", ""]}), schema, NoticeLog())["n"].tolist()[0] == 4


def test_a_quotation_mark_that_is_never_closed_does_not_print_the_file():
    with pytest.raises(InputError) as caught:
        read_table(pd.DataFrame({"x": ["1", "2\n" * 500]}), SCHEMA, NoticeLog())
    assert len(str(caught.value)) < 300
    assert "row 2" in str(caught.value)


def test_usual_exponents_are_numbers():
    frame = read_table(pd.DataFrame({"x": ["1e3", "2.5E-7", "3e+08", "4e0001", ""]}), SCHEMA, NoticeLog())
    assert frame["x"].tolist()[:4] == [1e3, 2.5e-7, 3e8, 40.0]
