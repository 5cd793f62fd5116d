"""Every example of the README, of the pages and of ``--help`` runs, in a folder where ``fusin demo`` ran.

A console block runs each line that starts with ``$ fusin``; ``<!-- exit: 3 -->`` before a block announces that it is a
mistake and what it exits with. A Python block runs as it stands. The demo is made once for the whole run, with coarse voxels.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.main

from fusin.cli.app import app, main

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?:<!-- exit: (?P<exit>\d+) -->\n)?```(?P<kind>console|python)\n(?P<text>.*?)```", re.DOTALL)
VERBS = sorted(typer.main.get_command(app).commands)
DEMO = ("demo", "--quick", "--out", "fusin-demo")
WAIT_S = 300.0
pytestmark = pytest.mark.xdist_group("docs")


@dataclass(frozen=True)
class Block:
    """One example: where it stands, what it is, the exit code that it announces."""

    page: str
    line: int
    kind: str
    text: str
    exit_code: int

    @property
    def commands(self) -> list[str]:
        """Lines that a reader would type."""
        return [line.removeprefix("$ ") for line in self.text.splitlines() if line.startswith("$ ")]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """All examples of a page that run."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("kind")) + 1
        yield Block(page.name, line, found["kind"], found["text"], int(found["exit"] or 0))


EXAMPLES = [block for page in PAGES for block in blocks(page)]


def run(arguments: list[str]) -> tuple[int, str, str]:
    """(exit code, standard output, standard error) of ``fusin`` with these arguments, in this process."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["fusin", *arguments])
        try:
            main()
        except SystemExit as leave:
            code = int(leave.code or 0)
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Folder in which ``fusin demo --quick --out fusin-demo`` ran; the first worker makes it, the others wait."""
    base = tmp_path_factory.getbasetemp()
    root = (base if worker_id == "master" else base.parent) / "documented-demo"
    try:
        root.mkdir()
    except FileExistsError:
        deadline = time.monotonic() + WAIT_S
        while not (root / "ready").exists():
            assert time.monotonic() < deadline, "another worker could not make the demo"
            time.sleep(0.2)
        return root / "fusin-demo"
    with contextlib.chdir(root):
        code, _, err = run(list(DEMO))
    assert code == 0, err
    (root / "ready").touch()
    return root / "fusin-demo"


@pytest.fixture
def workspace(demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh folder with the demo, and the names that ``--help`` uses for a study and its regions."""
    (tmp_path / "fusin-demo").symlink_to(demo)
    (tmp_path / "study").symlink_to(demo / "dicom")
    (tmp_path / "regions.dcm").symlink_to(demo / "dicom" / "SEG_lesions.dcm")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(command: str) -> tuple[int, str, str]:
    """Run a line as a reader types it; ``> FILE`` is understood, and a demo is made with coarse voxels."""
    words = shlex.split(command)
    assert words[0] == "fusin", f"an example that does not run: {command}"
    target = words[words.index(">") + 1] if ">" in words else None
    words = words[1 : words.index(">")] if target else words[1:]
    if words[0] == "demo" and "--quick" not in words:
        words.insert(1, "--quick")
    if tuple(words) == DEMO:
        return 0, "", ""  # the workspace is the folder in which it ran
    code, out, err = run(words)
    if target:
        Path(target).write_text(out, encoding="utf-8")
    return code, out, err


@pytest.mark.parametrize("block", [b for b in EXAMPLES if b.kind == "console"], ids=str)
def test_console_example_runs(workspace, block):
    """A command that a page shows works as shown, and a mistake is refused as announced."""
    assert block.commands
    for command in block.commands:
        code, out, err = typed(command)
        assert code == block.exit_code, f"{block}: {command}\n{out}{err}"
    if block.exit_code:
        shown = block.text.splitlines()[1].split("...")
        assert all(part.strip() in err for part in shown), f"{block} shows another sentence than {err}"


@pytest.mark.parametrize("block", [b for b in EXAMPLES if b.kind == "python"], ids=str)
def test_python_example_runs(workspace, block):
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(block.text, str(block), "exec"), {"__name__": "example"})


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_page_that_names_all_its_options(verb):
    """A verb without a page, or a page without an option, is not documented."""
    page = (ROOT / "docs" / f"{verb}.md").read_text(encoding="utf-8")
    linked = page + (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
    assert page.startswith(f"# fusin {verb}\n")
    for option in typer.main.get_command(app).commands[verb].params:
        names = [name for name in (*option.opts, *option.secondary_opts) if name.startswith("--")]
        for name in names:
            assert f"`{name}" in page, f"docs/{verb}.md does not name {name}"
            assert f"| `{name}" in linked or f"/ `{name}" in linked or f", `{name}" in linked, (
                f"{name} is not explained"
            )
    assert f"docs/{verb}.md" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("verb", VERBS)
def test_the_example_of_the_help_runs(workspace, verb):
    code, out, _ = run([verb, "--help"])
    assert code == 0
    found = re.search(r"Example: (fusin .+)", out)
    assert found, f"fusin {verb} --help has no example"
    code, _, err = typed(found[1].strip())
    assert code == 0, err


def _keys(value: Any, free: frozenset[str] = frozenset({"raw", "used", "parameters", "versions"})) -> set[str]:
    """Keys of a document; what lies below a free key is no contract."""
    if isinstance(value, dict):
        return set(value) | {k for name, v in value.items() if name not in free for k in _keys(v, free)}
    return {k for item in value for k in _keys(item, free)} if isinstance(value, list) else set()


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("audit", "audit fusin-demo/dicom --json"),
        ("measure", "measure fusin-demo/dicom fusin-demo/dicom/SEG_lesions.dcm --json"),
    ],
)
def test_every_key_of_the_json_stands_on_the_page(workspace, verb, arguments):
    """The JSON is a contract: a key that no page explains is not part of it."""
    code, out, err = run(arguments.split())
    assert code == 0, err
    _check_keys(json.loads(out), verb)


def test_every_key_of_a_reading_stands_on_the_page(demo):
    _check_keys(json.loads((demo / "reading.json").read_text(encoding="utf-8")), "read")


def _check_keys(document: Any, verb: str) -> None:
    pages = "".join((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in {verb, "read", "audit"})
    missing = sorted(key for key in _keys(document) if f"`{key}`" not in pages)
    assert missing == [], f"docs/{verb}.md does not explain {missing}"


def test_links_of_the_pages_lead_somewhere():
    """Relative links and pictures exist, and an anchor is a heading of its page."""
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text(encoding="utf-8")):
            path, _, anchor = target.partition("#")
            file = page.parent / path if path else page
            assert file.exists(), f"{page.name} links to {target}"
            if anchor:
                headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
                assert anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}, target


def test_no_page_names_a_machine_or_an_index():
    """Documents are read elsewhere: no home folder, no temporary folder, no package index."""
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"(?<![\w.])/(home|tmp|root|work|Users)/", text), page.name
        assert "--index-url" not in text, page.name
