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
SUBVERBS = [
    f"{name} {sub}" for name in VERBS for sub in getattr(typer.main.get_command(app).commands[name], "commands", ())
]
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

    @property
    def exact(self) -> bool:
        """Whether what is shown has to be printed: tables and counts do not depend on the voxels of the demo."""
        return all("/cohort/" in line or "evidence" in line or " --tp " in line for line in self.commands)

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
    printed = ""
    for command in block.commands:
        code, out, err = typed(command)
        assert code == block.exit_code, f"{block}: {command}\n{out}{err}"
        printed += out + err
    if block.exit_code or block.exact:
        shown = [line for line in block.text.splitlines() if not line.startswith("$ ")]
        for part in (part.strip() for line in shown for part in line.split("...")):
            assert part in printed, f"{block} shows '{part}', which is not in\n{printed}"


@pytest.mark.parametrize("block", [b for b in EXAMPLES if b.kind == "python"], ids=str)
def test_python_example_runs(workspace, block):
    """The assertions are those of the example itself; an example that raises is wrong."""
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(block.text, str(block), "exec"), {"__name__": "example"})


def _command(verb: str) -> Any:
    """The command of a verb, or of a verb below a verb."""
    command = typer.main.get_command(app)
    for word in verb.split():
        command = command.commands[word]
    return command


@pytest.mark.parametrize("verb", [*VERBS, *SUBVERBS])
def test_every_verb_has_a_page_that_names_all_its_options(verb):
    """A verb without a page, or a page without an option, is not documented."""
    name = verb.split()[0]
    page = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    linked = page + (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
    assert page.startswith(f"# fusin {name}\n")
    assert f"# fusin {verb}\n" in page
    for option in _command(verb).params:
        for flag in (o for o in (*option.opts, *option.secondary_opts) if o.startswith("--")):
            assert f"`{flag}" in page, f"docs/{name}.md does not name {flag}"
            assert f"| `{flag}" in linked or f"/ `{flag}" in linked or f", `{flag}" in linked, (
                f"{flag} is not explained"
            )
    assert f"docs/{name}.md" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("verb", [*VERBS, *SUBVERBS])
def test_the_example_of_the_help_runs(workspace, verb):
    """The help of a terminal folds long lines, so the example is taken from the text behind it."""
    code, out, _ = run([*verb.split(), "--help"])
    assert code == 0
    assert "Example: fusin" in out
    found = re.search(r"Example: (fusin .+)", _command(verb).help or "")
    assert found, f"fusin {verb} --help has no example"
    code, _, err = typed(found[1].strip())
    assert code == 0, err


FREE = frozenset(
    {"raw", "used", "parameters", "versions", "details", "values", "totals", "fixed", "hazard_ratios"}
    | {"by_first", "by_any", "undecided", "outputs"}
)


def _keys(value: Any) -> set[str]:
    """Keys of a document; names below a free key, such as those of rules and markers, are no contract."""
    if isinstance(value, dict):
        below = (v for name, v in value.items() if name not in FREE or not isinstance(v, dict))
        return set(value) | {key for v in below for key in _keys(v)}
    return {key for item in value for key in _keys(item)} if isinstance(value, list) else set()


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("audit", "audit fusin-demo/dicom --json"),
        ("measure", "measure fusin-demo/dicom fusin-demo/dicom/SEG_lesions.dcm --json"),
        ("compare", "compare {}/findings.csv --first CXCR4 --second FDG --by grade --ihc {}/ihc.csv --json"),
        ("compare", "compare {}/repeated_scans.csv --first 'scan 1' --second 'scan 2' --agreement suv_max --json"),
        ("compare", "compare {}/luo2019.csv --json"),
        ("compare", "compare --both 30 --first-only 7 --second-only 2 --neither 5 --json"),
        ("compare", "compare --plan-first-only 0.25 --plan-second-only 0.1 --json"),
        ("accuracy", "accuracy {}/accuracy.csv --reference histology --cut-off 4 --json"),
        ("accuracy", "accuracy {}/studies.csv --json"),
        ("accuracy", "accuracy --plan-sensitivity 0.9 --plan-specificity 0.8 --plan-prevalence 0.5 --json"),
        (
            "subtype",
            "subtype {}/adrenal_pet.csv --avs {}/avs.csv --verdicts {}/ct_verdicts.csv --paso {}/surgery.csv "
            "--selectivity avs-si-basal-2 --json",
        ),
        (
            "outcome",
            "outcome {}/follow_up.csv --marker suv_max --cut median --response {}/response.csv --toxicity {}/toxicity.csv "
            "--cross lugano,percist --json",
        ),
        ("screen", "screen {}/screening.csv --trial NCT06125028 --reference-date 2026-01-31 --json"),
        ("generator", "generator fusin-demo/vial/generator.toml --json"),
        (
            "chromatogram",
            "chromatogram fusin-demo/vial/tlc_citrate.csv --method fusin-demo/vial/tlc_citrate.toml --json",
        ),
        (
            "chromatogram",
            "chromatogram fusin-demo/vial/percentages.csv --mass-balance --json",
        ),
        (
            "chromatogram",
            "chromatogram fusin-demo/vial/tlc_acetate.txt fusin-demo/vial/hplc.csv --method fusin-demo/vial/tlc_acetate.toml "
            "--method fusin-demo/vial/hplc.toml --map fusin-demo/vial/tlc_acetate_map.toml --map none --json",
        ),
        ("dispense", "dispense fusin-demo/vial/day.toml --what-if later=15 --json"),
        ("evidence", "evidence --topic detection --forest detection --discrepancies --json"),
        ("evidence", "evidence check {}/claims.toml --json"),
        ("release", "release fusin-demo/vial/batch.toml --record new.fusin --actor Q --json"),
        ("release", "release fusin-demo/vial/batch-on-hold.toml --json"),
        ("release", "release specifications --json"),
        ("release", "release specifications pentixafor-daniel-2023 --json"),
        ("release", "release recipes --json"),
        ("release", "release trail fusin-demo/vial/record.fusin --json"),
        ("release", "release verify fusin-demo/vial/record.fusin --json"),
        (
            "assay",
            "assay binding fusin-demo/bench/competition.csv --kd-nm 0.5 --radioligand-nm 0.2 --model one-site --json",
        ),
        ("assay", "assay binding fusin-demo/bench/homologous.csv --model homologous --json"),
        ("assay", "assay saturation fusin-demo/bench/saturation.csv --sites f-test --json"),
        ("assay", "assay uptake fusin-demo/bench/uptake.csv --nuclide Ga-68 --reference reference --json"),
        ("assay", "assay counts fusin-demo/bench/hidex.csv --nuclide Ga-68 --blank blank-1 --blank blank-2 --json"),
        (
            "assay",
            "assay biodistribution fusin-demo/bench/tubes.csv --animals fusin-demo/bench/animals.csv --nuclide Ga-68 "
            "--tail-limit 5 --json",
        ),
        ("dose", "dose fusin-demo/dose/time_activity.csv --nuclide Lu-177 --administered-mbq 200 --json"),
        ("dose", "dose fusin-demo/dose/time_activity.csv --nuclide Lu-177 --model trapezoid --json"),
        ("dose", "dose fusin-demo/dose/single_scan.csv --nuclide Lu-177 --model map --prior population --json"),
        (
            "dose",
            "dose organs fusin-demo/dose/organs.csv --nuclide Lu-177 --administered-mbq 200 --sphere lesion "
            "--s-table fusin-demo/dose/s_values.csv --biology fusin-demo/dose/biology.toml --json",
        ),
        (
            "dose",
            "dose images fusin-demo/dose/therapy/images --notes fusin-demo/dose/therapy/regions.csv --fwhm-mm 11 --json",
        ),
        ("dose", "dose marrow fusin-demo/dose/marrow.toml --json"),
        ("dose", "dose budget fusin-demo/dose/budget.toml --json"),
        ("dose", "dose record fusin-demo/dose/record.toml --json"),
        ("dose", "dose bed --dose-gy 23 --t-eff-h 41 --alpha-beta-gy 2.6 --repair-half-time-h 2.8 --json"),
        ("dose", "dose exposure --administered-mbq 150 --coefficients herrmann-2015-unverified --json"),
        ("dose", "dose sphere --nuclide Lu-177 --mass-g 10 --json"),
        ("dose", "dose kernel --nuclide Lu-177 --spacing-mm 4.8,4.8,4.8 --density 1.04 --json"),
        (
            "receptor",
            "receptor kinetics fusin-demo/receptor/TAC.csv fusin-demo/receptor/BLOOD.csv --region lesion --compare --json",
        ),
        (
            "receptor",
            "receptor kinetics fusin-demo/receptor/TAC.csv fusin-demo/receptor/BLOOD.csv --model logan --json",
        ),
        ("receptor", "receptor occupancy fusin-demo/receptor/occupancy.toml --json"),
        ("receptor", "receptor pathway cxcr4 --dose CXCL12=10nM --block pentixafor=5nM --json"),
        ("receptor", "receptor workflow --json"),
        (
            "receptor",
            "receptor identify cxcr4 --dose CXCL12=110nM --output recruited_CXCR4 --parameter KD_L_R4 --parameter k_int_C4 "
            "--profile KD_L_R4 --json",
        ),
        ("receptor", "receptor suv-study --lesions 12 --json"),
        ("reconstruct", "reconstruct fusin-demo/reconstruction/small.toml --json"),
        ("reconstruct", "reconstruct fusin-demo/reconstruction/small_map.toml --json"),
        (
            "receptor",
            "receptor pbpk --nuclide Ga-68 --activity-mbq 150 --peptide-nmol 30 --tumour lesion=10 --draws 12 --drug plerixafor "
            "--ask mass --ask sink --ask drug --ask cxcl12 --json",
        ),
        ("receptor", "receptor pbpk fusin-demo/receptor/therapy.toml --draws 4 --patients 4 --out body --json"),
        ("receptor", "receptor models --json"),
        ("receptor", "receptor simulate fusin-demo/receptor/ligand.xml --until 600 --out course.csv --json"),
        (
            "receptor",
            "receptor simulate fusin-demo/receptor/ligand.xml --until 10min --scan koff=0.001:0.1:4:log --steady-state "
            "--sensitivity --dose-response L=1nM:100nM:4:log --draws 12 --range kon=0.001:0.1:log --json",
        ),
        (
            "plan",
            "plan fusin-demo/dose/plan.toml --limits fusin-demo/dose/plan_limits.toml --nuclide Lu-177 --nuclide Y-90 --mixture "
            "--target lesion --marrow 'red marrow' --transplant-day 14 --draws 2000 --schedule 48,96 --scan-u-percent 5 --json",
        ),
    ],
)
def test_every_key_of_the_json_stands_on_the_page(workspace, verb, arguments):
    """The JSON is a contract: a key that no page explains is not part of it."""
    code, out, err = run(shlex.split(arguments.replace("{}", "fusin-demo/cohort")))
    assert code == 0, err
    _check_keys(json.loads(out), verb)


def test_every_key_of_a_reading_stands_on_the_page(demo):
    _check_keys(json.loads((demo / "reading.json").read_text(encoding="utf-8")), "read")


def _check_keys(document: Any, verb: str) -> None:
    names = {verb, "read", "audit", "compare", "tables"}
    pages = "".join((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in names)
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
