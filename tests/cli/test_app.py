"""The command itself: help, version, exit codes, and what is loaded to show them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fusin.errors import FusinError, InputError, MissingExtra, NotComputable, PartlyFailed

HEAVY = ("numpy", "scipy", "pandas", "matplotlib", "pydicom", "numba", "highdicom", "pyarrow", "statsmodels", "jinja2")
VERBS = ("demo", "read", "audit", "measure")


@pytest.mark.parametrize("module", ["fusin", "fusin.cli.app"])
def test_importing_the_command_loads_nothing_heavy(module):
    """What is not loaded cannot make ``fusin --help`` slow."""
    code = f"import sys, {module}; print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_loads_nothing_heavy():
    code = (
        "import sys; sys.argv = ['fusin', '--help']\nfrom fusin.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"sys.stderr.write(str(sorted(set({HEAVY!r}) & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "read" in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(fusin, verb):
    ran = fusin(verb, "--help")
    assert ran.code == 0
    assert f"Example: fusin {verb}" in ran.out


def test_help_names_every_verb_and_the_limits_of_use(fusin):
    ran = fusin("--help")
    assert all(verb in ran.out for verb in VERBS)
    assert "Research use only" in ran.out


def test_no_arguments_show_the_help(fusin):
    ran = fusin()
    assert "measure" in ran.out + ran.err


def test_version_is_that_of_the_package(fusin):
    from importlib.metadata import version

    ran = fusin("--version")
    assert (ran.code, ran.out.strip()) == (0, f"fusin {version('fusin')}")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",), ("read",), ("audit", "x", "--nonsense"), ("measure", "only-one"), ("demo", "--seed", "many"),
        ("read", "x", "--phase", "0"), ("read", "x", "--min-volume", "-1"), ("read", "x", "--radiopharmaceutical", "0"),
    ],
)  # fmt: skip
def test_a_mistyped_command_is_one_sentence_with_exit_2(fusin, arguments):
    ran = fusin(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert "--help" in ran.refusal


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FusinError("plain"), 1),
        (InputError("f", "x", 1, "y"), 3),
        (NotComputable("SUV", "because", "more"), 3),
        (MissingExtra("p", "e", "decoding"), 2),
        (PartlyFailed(("a",), 1), 4),
        (KeyboardInterrupt(), 130),
        (PermissionError(13, "Permission denied", "x"), 1),
        (MemoryError(), 1),
    ],
)
def test_the_exit_code_belongs_to_the_class_of_the_error(fusin, monkeypatch, error, code):
    def fail(*_args, **_options):
        raise error

    monkeypatch.setattr("fusin.imaging.series.scan", fail)
    ran = fusin("audit", "anything")
    assert ran.code == code
    assert ran.refusal
    assert ran.out == ""


def test_a_programming_mistake_is_not_hidden(fusin, monkeypatch):
    """Only refusals become one sentence: a defect of the program must show where it is."""

    def fail(*_args, **_options):
        raise ZeroDivisionError

    monkeypatch.setattr("fusin.imaging.series.scan", fail)
    with pytest.raises(ZeroDivisionError):
        fusin("audit", "anything")


def test_a_closed_pipe_leaves_no_traceback(tmp_path):
    """``fusin ... | head -1`` is everyday use."""
    from fusin.testing import make_pet_series

    folder = make_pet_series(tmp_path)
    code = "import sys; from fusin.cli.app import main; main()"
    command = [sys.executable, "-c", code, "audit", str(folder), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        error = process.stderr.read()
    assert "Traceback" not in error
    assert "Exception ignored" not in error


def test_warnings_of_libraries_do_not_reach_the_user(tmp_path):
    """Standard error of a refusal is one sentence, also where pydicom has remarks of its own on the header."""
    import pydicom

    from fusin.testing import make_pet_series

    folder = make_pet_series(tmp_path, transfer_syntax="big_endian", tags={"PatientWeight": None})
    for file in folder.glob("*.dcm"):
        dataset = pydicom.dcmread(file)
        element = dataset["StationName"] if "StationName" in dataset else dataset["Manufacturer"]
        element._value = "far too long for its representation " * 3
        dataset.save_as(file)
    code = "from fusin.cli.app import main; main()"
    command = [sys.executable, "-c", code, "read", str(folder), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("fusin: ")


def test_a_reader_that_has_seen_enough_is_no_failure():
    """``fusin ... | head -1`` closes the pipe early; that is what pipes are for."""
    script = "from fusin.cli.app import main; main()"
    shell = f"{sys.executable} -c '{script}' evidence --topic detection --json | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["{", "0"]
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_a_group_without_a_verb_prints_its_help_in_lines(monkeypatch, capsys):
    from fusin.cli.app import main

    monkeypatch.setattr(sys, "argv", ["fusin", "assay"])
    main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Usage:")
    assert "assay" in lines[0]
    assert any(line.strip().startswith("binding") for line in lines)
