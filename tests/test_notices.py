"""Every notice code that the sources use is registered, explained and nowhere misspelt."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

import fusin
from fusin import errors
from fusin.errors import NotComputable
from fusin.provenance import notice_codes

SOURCES = Path(fusin.__file__).parent
PAGE = Path(__file__).resolve().parents[1] / "docs" / "notices.md"
LOGGED = ("info", "adapted", "warning")
REFUSALS = {name for name in errors.__all__ if issubclass(getattr(errors, name), NotComputable)}
CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")


def _texts(node: ast.expr, function: ast.AST) -> set[str]:
    """Codes that an argument can hold: a text, either branch of a choice, or what a local name was given."""
    if isinstance(node, ast.IfExp):
        return _texts(node.body, function) | _texts(node.orelse, function)
    if isinstance(node, ast.Name):
        given = (n.value for n in ast.walk(function) if isinstance(n, ast.Assign) and node.id in map(_name, n.targets))
        return {text for value in given if not isinstance(value, ast.Name) for text in _texts(value, function)}
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
        return {node.value}
    return set()


def _name(node: ast.AST) -> str:
    return getattr(node, "id", getattr(node, "attr", ""))


def _severities(function: ast.expr, within: ast.AST) -> set[str]:
    """Severities that a call can record: ``log.info``, or a local name that was given one of several."""
    if isinstance(function, ast.Attribute):
        return {function.attr} & set(LOGGED)
    if isinstance(function, ast.Name):
        given = (
            n.value for n in ast.walk(within) if isinstance(n, ast.Assign) and function.id in map(_name, n.targets)
        )
        choices = (
            v for value in given for v in ([value.body, value.orelse] if isinstance(value, ast.IfExp) else [value])
        )
        return {v.attr for v in choices if isinstance(v, ast.Attribute)} & set(LOGGED)
    return set()


def _stated(call: ast.Call, within: ast.AST) -> tuple[set[str], ast.expr] | None:
    """(severities, argument with the code) of a call that records a notice or makes a refusal."""
    name = _name(call.func)
    if name in REFUSALS:
        stated = [k.value for k in call.keywords if k.arg == "code"] + call.args[3:4]
        return {"refusal"}, stated[0] if stated else ast.Constant("NOT_COMPUTABLE")
    severities = {"warning"} if name == "Unreadable" else _severities(call.func, within)
    return (severities, call.args[0]) if severities and call.args else None


def used_codes() -> dict[str, set[str]]:
    """Severities of each code in the sources; ``refusal`` for the code of an error."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(SOURCES.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)] or [tree]
        for function in functions:
            for call in (n for n in ast.walk(function) if isinstance(n, ast.Call)):
                severities, argument = _stated(call, function) or (set(), ast.Constant(None))
                for code in _texts(argument, function):
                    found[code] |= severities
    return found


def page_rows() -> dict[str, tuple[str, str]]:
    """(severities, meaning) of each code on the page."""
    rows = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and CODE.fullmatch(cells[0].strip("`")):
            rows[cells[0].strip("`")] = (cells[1], cells[2])
    return rows


def test_every_code_that_is_used_is_registered_and_every_registered_one_is_used():
    """A reader who looks up a code must find it; a code nobody uses is a leftover."""
    used, registered = set(used_codes()), set(notice_codes())
    assert sorted(used - registered) == [], "add to notices.toml and docs/notices.md"
    assert sorted(registered - used) == [], "remove from notices.toml and docs/notices.md"


def test_the_scan_of_the_sources_sees_every_way_to_state_a_code():
    used = used_codes()
    assert {"adapted"} == used["DUPLICATE_SLICES"]
    assert {"info", "adapted"} <= used["DOSE_IN_MBQ"]
    assert used["INJECTION_DATE_REBUILT"] == {"adapted"}, "a code that a local name holds"
    assert used["TRUNCATED_FILE"] == {"warning"}
    assert used["REGION_RESAMPLED"] == {"info", "warning"}, "a severity that a local name holds"
    assert used["WEIGHT_MISSING"] == {"refusal"}


@pytest.mark.parametrize("code", sorted(notice_codes()))
def test_a_meaning_is_one_sentence_for_the_reader(code):
    meaning = notice_codes()[code]
    assert CODE.fullmatch(code)
    assert meaning[0].isupper()
    assert meaning.endswith(".")
    assert "\n" not in meaning


def test_the_page_lists_every_code_with_its_meaning_and_severity():
    """docs/notices.md and notices.toml say the same words."""
    rows, used = page_rows(), used_codes()
    assert sorted(rows) == sorted(notice_codes())
    for code, (severities, meaning) in rows.items():
        assert meaning == notice_codes()[code], code
        assert severities.split(", ") == sorted(used[code]), code
