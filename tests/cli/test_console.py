"""What all commands share: where text goes, how notices look, and one document of JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from fusin.cli.console import emit_json, print_notices, relative, say, stages, table, talk
from fusin.provenance import Notice

NOTICES = (
    Notice("I", "info", "worth knowing"),
    Notice("A", "adapted", "changed", "series x"),
    Notice("W", "warning", "doubtful"),
)


def test_people_read_standard_output(capsys):
    say(talk(), "hello")
    assert capsys.readouterr() == ("hello\n", "")


def test_with_json_people_read_standard_error(capsys):
    say(talk(as_json=True), "hello")
    assert capsys.readouterr() == ("", "hello\n")


def test_a_document_is_json_with_nulls_for_what_is_no_number(capsys):
    emit_json({"a": math.nan, "b": [1.5, math.inf], "c": "é"})
    out = capsys.readouterr().out
    assert json.loads(out) == {"a": None, "b": [1.5, None], "c": "é"}
    assert "NaN" not in out


@pytest.mark.parametrize("text", ["[bold]x[/bold]", "[/]", "[red]", "a [1] b", "\\[x]"])
def test_text_is_printed_as_it_stands(capsys, text):
    say(talk(), text)
    assert capsys.readouterr().out == text + "\n"


def test_notices_come_by_weight_and_information_only_when_asked_for(capsys):
    print_notices(talk(), NOTICES)
    assert capsys.readouterr().out.splitlines() == [" ! W: doubtful", " ~ A: changed [series x]"]
    print_notices(talk(), NOTICES, at_least="info")
    assert capsys.readouterr().out.splitlines()[-1] == " i I: worth knowing"


def test_a_table_keeps_markup_and_breaks_out_of_its_cells(capsys):
    talk().print(table("[title]", [("name", False), ("[n]", True)], [("[red]a\nb[/red]", "1")]))
    out = capsys.readouterr().out
    assert "[red]a b[/red]" in out
    assert "[title]" in out


def test_long_lines_are_not_broken_where_nobody_looks(capsys):
    say(talk(), "word " * 60)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_progress_is_silent_without_a_terminal(capsys):
    with stages() as report:
        report("reading", 1, 2)
    assert capsys.readouterr() == ("", "")


def test_progress_on_a_terminal_goes_to_standard_error(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with stages() as report:
        for done in range(3):
            report("reading", done, 2)
    assert capsys.readouterr().out == ""


def test_paths_are_as_a_person_would_type_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert relative(tmp_path / "a" / "b") == str(Path("a", "b"))
    assert relative(Path("/elsewhere/x")) == str(Path("/elsewhere/x").resolve())
