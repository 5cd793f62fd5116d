"""The keys of a reconstruction's TOML file stand on its page: rendered from the table that the reader uses.

After a change of ``config_keys.toml`` run ``python tests/docs/test_reconstruct_keys.py``, which writes the page again.
"""

from __future__ import annotations

import re
from pathlib import Path

from fusin.reconstruction.config_keys import known_keys

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reconstruct.md"
FIRST = "<!-- keys: rendered by python tests/docs/test_reconstruct_keys.py -->\n"
LAST = "<!-- end of keys -->"


def rendered():
    """The keys as Markdown tables, one per table of the file."""
    lines, table = [], None
    for key in known_keys():
        if key.table != table:
            table = key.table
            name = {"": "At the top", "region": "`[[region]]`"}.get(table, f"`[{table}]`")
            lines += ["", f"### {name}", "", "| key | holds | without it | meaning |", "|---|---|---|---|"]
        modality = f" ({', '.join(key.modality.split())})" if key.modality else ""
        lines.append(f"| `{key.name}` | {key.kind} | {key.default} | {key.meaning}{modality} |")
    return "\n".join(lines[1:]) + "\n\n"


def test_every_key_stands_on_the_page_with_its_unit_and_default():
    text = PAGE.read_text(encoding="utf-8")
    assert text.split(FIRST)[1].split(LAST)[0] == rendered(), "run python tests/docs/test_reconstruct_keys.py"


def test_the_reader_asks_for_no_key_that_the_table_lacks():
    """A key that the reader knows and the table does not would be refused before it is read."""
    source = PAGE.parents[1] / "src" / "fusin" / "reconstruction"
    names = {key.name for key in known_keys()}
    asked = set()
    for path in [source / "config.py", *source.glob("acquire*.py")]:
        text = path.read_text(encoding="utf-8")
        asked |= set(
            re.findall(r"\.(?:needed|number|numbers|whole|flag|word|path|stated_text|take)\(\"([a-z_]+)\"", text)
        )
    assert len(asked) > 30
    assert asked - names - {"spect", "pet"} == set()


if __name__ == "__main__":
    before, rest = PAGE.read_text(encoding="utf-8").split(FIRST)
    PAGE.write_text(before + FIRST + rendered() + LAST + rest.split(LAST)[1], encoding="utf-8")
