"""docs/tables.md is the schema of the tables in words: rendered from the same objects that the writers use.

After a change of a schema run ``python tests/docs/test_tables_doc.py``, which writes the page again.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from fusin.quantification import tables
from fusin.quantification.tables import LESION_COLUMNS, REFERENCE_COLUMNS, REGION_COLUMNS, Column

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tables.md"
HEAD = """\
# Tables

Tables are tidy: one row per finding, names in snake case with their unit. CSV is for people, Parquet keeps the types.
A missing value is empty, never 0. Columns and their order are a contract: renaming one is a breaking change and stands in
the changelog. Positions are LPS millimetres (x to the patient's left, y to the back, z to the head); SUV is in g/mL.

This page is rendered from the schemas in `fusin.quantification.tables`.
"""
SECTIONS = (
    (
        "lesions",
        "`lesions.csv` and `lesions.parquet` of [`fusin read`](read.md): lesions by falling SUVpeak, then the hot regions that "
        "were set aside (status `physiological`). A `tbr_*` column is empty where its reference is absent.",
        LESION_COLUMNS,
    ),
    ("references", "`references.csv` of [`fusin read`](read.md): one row per reference region.", REFERENCE_COLUMNS),
    (
        "regions",
        "`regions.csv` and `regions.parquet` of [`fusin measure`](measure.md): one row per region, in the order of the file.",
        REGION_COLUMNS,
    ),
)


def _rows(columns: Iterable[Column]) -> list[str]:
    return [f"| `{c.name}` | {c.dtype} | {c.meaning} |" for c in columns]


def rendered() -> str:
    """The whole page."""
    lines = [HEAD]
    for title, sentence, columns in SECTIONS:
        lines += [f"## {title}", "", sentence, "", "| column | type | meaning |", "|---|---|---|", *_rows(columns), ""]
    return "\n".join(lines).rstrip() + "\n"


def test_the_page_is_what_the_schemas_say():
    assert PAGE.read_text(encoding="utf-8") == rendered(), "run python tests/docs/test_tables_doc.py"


def test_every_schema_of_the_module_has_its_section():
    schemas = {name for name in tables.__all__ if name.endswith("_COLUMNS")}
    assert schemas == {name for name in schemas if getattr(tables, name) in [columns for _, _, columns in SECTIONS]}


@pytest.mark.parametrize(("title", "columns"), [(title, columns) for title, _, columns in SECTIONS])
def test_column_names_are_distinct_and_their_meaning_fits_a_table_cell(title, columns):
    names = [c.name for c in columns]
    assert len(names) == len(set(names)), title
    assert all(c.meaning and "|" not in c.meaning and "\n" not in c.meaning for c in columns)


if __name__ == "__main__":
    PAGE.write_text(rendered(), encoding="utf-8")
