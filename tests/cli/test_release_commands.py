"""The command line of the release: first word a batch or a verb, JSON contract, exit codes, keys that stay private."""

from __future__ import annotations

import json
import sqlite3
from html import unescape

import pytest

from fusin.report.demo_release import run_part


@pytest.fixture(scope="module")
def vial(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vial")
    run_part(folder)
    return folder


@pytest.fixture
def fusin(capsys, monkeypatch, tmp_path):
    """Run ``fusin release`` in a folder of its own: (exit code, standard output, standard error)."""
    from fusin.cli.app import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["fusin", "release", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as leave:
            code = int(leave.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.mark.parametrize("order", [("--json", "batch"), ("batch", "--json")])
def test_options_may_stand_before_and_after_the_batch(fusin, vial, order):
    code, out, err = fusin(*(vial / "batch.toml" if word == "batch" else word for word in order))
    document = json.loads(out)
    assert (code, document["decision"]) == (0, "release")
    assert set(document["tests"][0]) >= {"id", "value", "limit", "pass", "phase"}
    assert set(document["expiry"]) >= {"time", "binding"}
    assert "RELEASE" in err


def test_a_file_with_the_name_of_a_verb_is_reached_by_its_path(fusin, vial, tmp_path):
    (tmp_path / "verify").write_bytes((vial / "batch.toml").read_bytes())
    assert fusin("./verify", "--json")[0] == 0
    assert fusin("verify")[0] == 2


@pytest.mark.parametrize("arguments", [(), ("batch.toml", "more"), ("batch.toml", "--nonsense")])
def test_usage_mistakes_exit_2_in_one_line(fusin, arguments):
    code, out, err = fusin(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_batch_that_is_no_file_exits_3_in_one_line(fusin, name):
    code, _, err = fusin(name)
    assert (code, err.count("\n")) == (3, 1)


def test_the_decision_does_not_change_the_exit_code(fusin, vial):
    code, out, _ = fusin(vial / "batch-on-hold.toml", "--json")
    assert (code, json.loads(out)["decision"]) == (0, "hold")


def test_strict_refuses_to_take_the_maker_as_the_one_who_enters(fusin, vial):
    code, _, err = fusin(vial / "batch.toml", "--record", "r.fusin", "--strict")
    assert code == 3
    assert "--strict" in err or "strict" in err


def test_the_certificate_is_one_page_without_network_and_a_pdf(fusin, vial, tmp_path):
    pytest.importorskip("typst")
    code, out, _ = fusin(vial / "daniel2023-2.toml", "--out", "out", "--pdf", "--json")
    assert code == 0
    assert json.loads(out)["outputs"]["certificate.pdf"] == "certificate.pdf"
    html = unescape((tmp_path / "out" / "certificate.html").read_text())
    assert "default-src 'none'" in html
    assert "<script" not in html
    assert "style=" not in html
    assert "100.61" in html
    assert (tmp_path / "out" / "certificate.pdf").read_bytes().startswith(b"%PDF")


def test_a_pdf_without_a_folder_is_refused(fusin, vial):
    code, _, err = fusin(vial / "batch.toml", "--pdf")
    assert code == 3
    assert "--out" in err


def test_verify_exits_1_and_names_the_first_change(fusin, vial, tmp_path):
    copy = tmp_path / "copy.fusin"
    source = sqlite3.connect(vial / "record.fusin")
    target = sqlite3.connect(copy)
    source.backup(target)
    source.close()
    target.execute("DROP TRIGGER entries_are_not_edited")
    target.execute("UPDATE entries SET body = replace(body, 'release', 'Release') WHERE seq = 3")
    target.commit()
    target.close()
    code, out, err = fusin("verify", copy, "--json")
    assert code == 1
    assert json.loads(out)["first_break"]["seq"] == 3
    assert "NOT INTACT at entry 3 (edited)" in err


def test_a_new_key_is_never_printed(fusin, tmp_path):
    code, out, err = fusin("keygen", "k")
    assert code == 0
    secret = (tmp_path / "k").read_text().splitlines()[1]
    assert secret not in out + err
    assert (tmp_path / "k").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("arguments", [("--to", "shipped"), ("--to", "qc"), ("--to", "recalled", "--key", "nothing")])
def test_a_step_that_cannot_be_taken_exits_3_in_one_line(fusin, vial, arguments):
    code, _, err = fusin(
        "advance", vial / "record.fusin", "--batch", "2026-031", "--actor", "X", "--reason", "y", *arguments
    )
    assert (code, err.count("\n")) == (3, 1)


def test_trail_of_a_record_that_is_none_exits_3(fusin, vial):
    assert fusin("trail", vial / "batch.toml")[0] == 3
    assert fusin("export", vial / "nothing", "--out", "x")[0] == 3
