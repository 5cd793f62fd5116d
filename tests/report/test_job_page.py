"""The page of a cohort is whole, safe, self-contained and the same in every run."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from fusin.provenance import InputFile, Method, Notice, Provenance
from fusin.report.cohort_figures import paired_plot, survival_plot
from fusin.report.job_page import MOST_ROWS, ReportTable, Section, render_job_html, render_job_report
from fusin.report.table_text import csv_text
from fusin.stats.survival import kaplan_meier

HOSTILE = '</style><script>alert("x")</script>'
PROVENANCE = Provenance(
    inputs=(InputFile("findings.csv", "ab" * 32),),
    parameters={"interval": "wilson"},
    methods=(Method("mcnemar-exact", "McNemar, Psychometrika 1947;12:153"),),
    versions={"fusin": "0.1.0"},
)
NOTICES = (
    Notice("A_DETAIL", "info", "A detail."),
    Notice("LESIONS_CLUSTERED", "warning", "Lesions of one patient are not independent.", "FDG"),
)


def table(rows: int = 2) -> pd.DataFrame:
    return pd.DataFrame({"tracer": [f"T{i}" for i in range(rows)], "rate": 0.5, "rate_low": 0.3, "rate_high": 0.7})


def sections() -> tuple[Section, ...]:
    return (
        Section(
            title="Detection", lead="Both tracers were read.", notices=NOTICES[1:],
            tables=(ReportTable(title="Rates", frame=table(), note="Of all lesions."),),
            figures=(paired_plot([1.0, 2.0], [2.0, 3.0], names=("A", "B"), title="SUV"),),
        ),
        Section(title="Outcome", figures=(survival_plot({"all": kaplan_meier([3.0, 9.0], [True, False])}, title="OS [%]"),)),
    )  # fmt: skip


def html(**more: object) -> str:
    given = {"title": "Cohort", "provenance": PROVENANCE, "notices": NOTICES} | more
    return render_job_html(given.pop("sections", sections()), **given)  # type: ignore[arg-type]


class Elements(HTMLParser):
    """Every element with its attributes, and whether each opening tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {k: v or "" for k, v in attrs}))
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {k: v or "" for k, v in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_every_element_is_closed_and_every_link_of_the_page_arrives() -> None:
    page = Elements(html())
    assert page.open == []
    ids = [a["id"] for _, a in page.found if "id" in a]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.found:
        if tag == "a" and attributes["href"].startswith("#"):
            assert attributes["href"][1:] in ids


def test_the_policy_allows_the_one_style_by_its_digest_and_no_script() -> None:
    text = html()
    style = text.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = next(a["content"] for _, a in Elements(text).found if a.get("http-equiv") == "Content-Security-Policy")
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "script-src" not in policy
    for tag, attributes in Elements(text).found:
        assert tag != "script"
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]


def test_the_page_asks_the_network_for_nothing() -> None:
    for _, attributes in Elements(html()).found:
        for name in ("src", "href", "data"):
            assert attributes.get(name, "#").startswith(("#", "data:"))


def test_equal_arguments_give_equal_bytes_and_nothing_else_is_left(tmp_path: Path) -> None:
    paths = [
        render_job_report(sections(), tmp_path / name / "report.html", title="Cohort", provenance=PROVENANCE, notices=NOTICES)
        for name in "ab"
    ]  # fmt: skip
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert [p.name for p in paths[0].parent.iterdir()] == ["report.html"]


def test_words_from_tables_notices_and_titles_stay_text() -> None:
    frame = pd.DataFrame({HOSTILE: [HOSTILE]})
    text = html(
        title=HOSTILE,
        facts={HOSTILE: HOSTILE},
        notices=(Notice("X", "warning", HOSTILE, HOSTILE, HOSTILE, HOSTILE),),
        sections=(
            Section(title=HOSTILE, lead=HOSTILE, tables=(ReportTable(title=HOSTILE, frame=frame, note=HOSTILE),)),
        ),
        provenance=Provenance(methods=(Method(HOSTILE, HOSTILE),), inputs=(InputFile(HOSTILE, ""),)),
    )
    assert "<script" not in text
    assert text.count("</style>") == 1
    assert Elements(text).open == []


def test_a_notice_of_a_section_and_of_the_analysis_is_listed_once_the_gravest_first() -> None:
    notices = html().split('<section id="notices">')[1].split("</section>")[0]
    assert notices.count("LESIONS_CLUSTERED") == 1
    assert notices.index("LESIONS_CLUSTERED") < notices.index("A_DETAIL")


def test_methods_inputs_and_the_research_banner_are_there() -> None:
    text = html()
    for words in (
        "RESEARCH USE ONLY",
        "Psychometrika",
        "findings.csv",
        "ab" * 32,
        "interval",
        "0.50 (0.30 to 0.70)",
        "Of all lesions.",
    ):
        assert words in text


def test_tables_and_figures_can_be_saved_from_the_page() -> None:
    links = {a["download"]: a["href"] for t, a in Elements(html()).found if t == "a" and "download" in a}
    assert set(links) == {"rates.csv", "paired.svg", "survival.svg"}
    assert base64.b64decode(links["rates.csv"].split(",")[1]).decode() == csv_text(table())
    assert base64.b64decode(links["survival.svg"].split(",")[1]).startswith(b"<?xml")


def test_sections_of_one_title_and_of_a_taken_name_get_anchors_of_their_own() -> None:
    text = html(sections=(Section(title="Methods"), Section(title="A"), Section(title="A"), Section(title="→")))
    found = re.findall(r'<section id="([^"]+)"', text)
    assert found == ["methods-2", "a", "a-2", "section", "notices", "methods", "provenance"]


def test_an_empty_analysis_says_so() -> None:
    text = html(sections=(), provenance=Provenance(), notices=())
    assert "Nothing was analysed." in text
    assert "No rows." in html(sections=(Section(title="x", tables=(ReportTable(title="t", frame=table(0)),)),))
    assert "No method was recorded." in text


def test_ten_thousand_rows_are_shortened_on_the_page_and_whole_in_the_csv() -> None:
    text = html(sections=(Section(title="x", tables=(ReportTable(title="t", frame=table(10_000)),)),))
    body = text.split("<tbody>")[1].split("</tbody>")[0]
    assert body.count("<tr>") == MOST_ROWS
    assert "The first 200 of 10,000 rows." in text
    link = next(a["href"] for t, a in Elements(text).found if t == "a" and "download" in a)
    assert base64.b64decode(link.split(",")[1]).count(b"\n") == 10_001


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_a_browser_refuses_nothing_of_the_page(tmp_path: Path) -> None:
    path = render_job_report(sections(), tmp_path / "report.html", title="Cohort", provenance=PROVENANCE)
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --enable-logging=stderr --virtual-time-budget=500"
    command = [str(shutil.which("chromium")), *flags.split(), f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [*command, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=120, check=False
    )
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert "Kaplan-Meier" in done.stdout
