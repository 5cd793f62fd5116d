"""The page is whole, safe, self-contained and says what it does not know."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from fusin.errors import InputError
from fusin.provenance import Notice, Provenance
from fusin.quantification.lesions import Burden
from fusin.quantification.positivity import Readout
from fusin.quantification.reading import Reading
from fusin.report.page import render_html, render_report
from fusin.report.wording import DASH


class Page(HTMLParser):
    """Elements, ids, attributes and visible text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._hidden = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {k: v or "" for k, v in attrs}))
        self._hidden += tag in {"script", "style"}

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {k: v or "" for k, v in attrs}))

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in {"script", "style"}

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def having(self, css: str) -> int:
        return sum(css in attributes.get("class", "").split() for _, attributes in self.elements)


def section(text: str, name: str) -> str:
    """HTML of one section."""
    return text.split(f'<section id="{name}">')[1].split("</section>", maxsplit=1)[0]


@pytest.fixture(scope="module")
def html(reading: Reading) -> str:
    return render_html(reading)


@pytest.fixture(scope="module")
def empty(make_reading: Callable[..., Reading]) -> Reading:
    """Nothing found, nothing known."""
    reading = make_reading(spots=(), with_ct=False, with_references=False, with_adrenal=False)
    return replace(
        reading, physiological=(), excluded=(), notices=(), series={}, threshold={}, provenance=Provenance(), outputs={},
        burden=Burden(lesions=0, tumour_volume_ml=0.0, total_lesion_uptake=0.0, suv_max=None, suv_mean=None),
        readout=Readout(rules=(), score=None, score_name="", score_because=""),
    )  # fmt: skip


def test_the_policy_names_the_style_and_the_script_that_are_there(html: str) -> None:
    """A wrong digest would leave the reader with an unstyled page and a dead picture."""
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    assert policy is not None
    rules = dict(part.strip().split(" ", 1) for part in policy[1].replace("&#39;", "'").split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"


def test_nothing_needs_a_permission_that_the_policy_denies(html: str) -> None:
    for tag, attributes in Page(html).elements:
        assert "style" not in attributes, tag
        assert not [name for name in attributes if name.startswith("on")]
        assert tag not in {"link", "iframe", "object", "embed", "base", "form"}


def test_nothing_is_fetched_from_outside(html: str) -> None:
    for tag, attributes in Page(html).elements:
        for name in ("src", "href", "xlink:href", "action", "srcset", "data"):
            value = attributes.get(name, "data:")
            assert value.startswith(("data:image/png;base64,", "#", "data:")), (tag, value[:80])
    assert "@import" not in html
    assert "url(http" not in html


def test_links_and_ids_meet(html: str) -> None:
    page = Page(html)
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for t, a in page.elements if t == "a"} <= set(ids)


def test_markup_in_names_is_shown_and_not_obeyed(make_reading: Callable[..., Reading], reading: Reading) -> None:
    """Headers come from anywhere."""
    nasty = "<script>alert(1)</script></style>\"'&"
    lesion = replace(reading.lesions[0], site=nasty, reason=nasty, identity=nasty)
    poisoned = replace(
        reading,
        series={**reading.series, "patient_name": nasty, "patient_id": nasty, "description": nasty, nasty: nasty},
        lesions=(lesion, *reading.lesions[1:]),
        physiological=(replace(lesion, status="physiological"),),
        notices=(Notice(nasty, "warning", nasty, nasty, nasty, nasty),),
        threshold={"rule": nasty, "suv": 3.0, "because": nasty, "citation": nasty},
        outputs={nasty: nasty},
    )
    text = render_html(poisoned, title=nasty)
    page = Page(text)
    assert [t for t, _ in page.elements].count("script") == 2
    assert [t for t, _ in page.elements].count("style") == 1
    assert text.count("alert(1)") > 10
    assert "<script>alert" not in text
    data = re.search(r'<script type="application/json" id="turning-data">(.*?)</script>', text, flags=re.DOTALL)
    assert data is not None
    assert any(nasty in r["title"] for r in json.loads(data[1])["regions"])


def test_the_same_reading_gives_the_same_bytes(reading: Reading, tmp_path: Path) -> None:
    one, two = (render_report(reading, tmp_path / name).read_bytes() for name in ("a/one.html", "two.html"))
    assert one == two
    assert sorted(p.name for p in tmp_path.rglob("*.html")) == ["one.html", "two.html"]
    assert len(list(tmp_path.rglob("*"))) == 3


def test_every_lesion_has_a_row_a_tile_and_its_numbers(html: str, reading: Reading) -> None:
    table, tiles = section(html, "lesions"), section(html, "tiles")
    for lesion in reading.lesions:
        row = table.split(f'id="lesion-{lesion.number}"')[1].split("</tr>")[0]
        m, tbr = lesion.metrics, lesion.tbr("liver")
        assert tbr is not None
        for shown in (m.suv_max, m.suv_peak, m.suv_mean, m.volume_ml, tbr.value, tbr.low, tbr.high):
            assert f"{shown:.2f}" in row
        assert lesion.identity in row
        assert f'id="tile-{lesion.number}"' in tiles
    assert Page(tiles).having("tile") == len(reading.lesions)
    assert "exact-1ml-global" in table


def test_the_page_says_research_use_only_and_project_defined(html: str) -> None:
    text = Page(html).text
    assert "RESEARCH USE ONLY" in text
    assert "Defined by this project; not a published or validated criterion" in text
    assert "candidates are not diagnoses" in text


def test_suv_provenance_and_key_figures_are_shown(html: str, reading: Reading) -> None:
    text = Page(html).text
    for shown in ("0.00092418 SUVbw per Bq/mL", "148.2 MBq", "61 min", "74.0 kg", "2026-04-12 09:31:00", "PHANTOM-01"):
        assert shown in text
    assert f"{reading.burden.tumour_volume_ml:.1f}" in text
    assert f"{reading.burden.total_lesion_uptake:.1f}" in text


def test_verdicts_are_words_and_symbols(html: str) -> None:
    readout = section(html, "readout")
    for word, symbol in (("positive", "+"), ("negative", "−"), ("indeterminate", "?")):
        assert f'<span class="verdict {word}"><i aria-hidden="true">{symbol}</i>{word}</span>' in readout


def test_notices_come_with_the_gravest_first(html: str) -> None:
    order = re.findall(r'class="severity (\w+)"', section(html, "notices"))
    assert order == ["warning", "adapted", "info"]
    assert "23:58 → 00:04" in section(html, "notices")


def test_a_declined_reference_says_why(html: str) -> None:
    assert "marrow was not measured" in section(html, "references")


def test_missing_facts_are_dashes_and_never_zero(empty: Reading) -> None:
    text = render_html(empty)
    for name, value in re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", text):
        assert value == DASH, name
    cards = re.findall(r'class="label">(.*?)</div>\n<div class="value">(.*?)<', text)
    assert dict(cards) == {
        "Lesion candidates": "0", "CXCR4-TV": "0.0", "TLU": "0.0", "Hottest lesion": DASH, "Blood pool": DASH, "Liver": DASH,
    }  # fmt: skip


def test_empty_sections_say_that_they_are_empty(empty: Reading) -> None:
    text = render_html(empty)
    page = Page(text)
    for sentence in (
        "not that there is no disease",
        "No reference region was placed",
        "No hot region was set aside",
        "No rule was applied",
        "Nothing was adapted, assumed or doubted",
        "No score",
    ):
        assert sentence in page.text
    assert '<section id="tiles">' not in text
    assert '<section id="adrenal">' not in text
    assert page.having("mip") == 3


def test_without_a_search_nothing_is_claimed_about_lesions(empty: Reading) -> None:
    """No threshold means that nobody looked, which is not the same as nothing found."""
    unknown = Burden(lesions=None, tumour_volume_ml=None, total_lesion_uptake=None, suv_max=None, suv_mean=None)
    why = {"rule": "blood-2mean-2sd", "suv": None, "because": "the blood pool reference is missing."}
    text = render_html(replace(empty, burden=unknown, threshold=why))
    shown = Page(text).text
    assert "No search was made" in shown
    assert "Nothing can be said about lesions" in shown
    assert "not that there is no disease" not in shown
    assert "No lesion threshold" in shown
    assert set(re.findall(r'class="value">(.*?)</div>', text)) == {DASH}


def test_verdicts_that_a_rule_could_reach_come_before_the_indeterminate(html: str) -> None:
    order = re.findall(r'class="verdict (\w+)"', section(html, "readout"))
    assert order == ["positive", "negative", "indeterminate"]


def test_adrenal_cutoffs_show_what_they_ask_and_whether_they_apply(reading: Reading) -> None:
    assert reading.adrenal is not None
    cutoff = {
        "id": "adrenal-llr-ding2020", "metric": "llr", "op": ">=", "cutoff": 2.36, "value": 4.2341, "applicable": True,
        "verdict": True, "because": "LLR 4.23", "tracer": "68Ga-pentixafor", "time_min": None, "endpoint": "APA", "n": 39,
        "sensitivity": None, "specificity": 0.93, "citation": "Ding 2020", "tag": "V",
    }  # fmt: skip
    other = {**cutoff, "id": "other", "metric": "suv_max", "applicable": False, "verdict": None, "value": None}
    text = section(render_html(replace(reading, adrenal=replace(reading.adrenal, cutoffs=(other, cutoff)))), "adrenal")
    first, second = (row.split("</tr>")[0] for row in text.split('<tr><td><span class="verdict ')[1:])
    assert first.startswith("positive")
    for shown in ("LLR ≥ 2.36", "4.23", "n = 39, specificity 0.93", "68Ga-pentixafor, APA", "read in the source"):
        assert shown in first
    assert second.startswith("not-applicable")
    assert "SUVmax ≥ 2.36" in second
    assert f'<td class="n">{DASH}</td>' in second


def test_a_lesion_without_numbers_or_voxels_is_still_listed(reading: Reading) -> None:
    from fusin.imaging.volume import Region
    from fusin.quantification.metrics import RegionMetrics

    nothing = Region.from_mask("empty", reading.pet.grid, np.zeros(reading.pet.shape, bool))
    bare = replace(
        reading.lesions[0], region=nothing, metrics=RegionMetrics(name="empty", voxels=0, volume_ml=0.0), tbrs=()
    )
    text = render_html(replace(reading, lesions=(bare,)))
    row = section(text, "lesions").split('id="lesion-1"')[1].split("</tr>")[0]
    assert row.count(f">{DASH}<") == 7
    assert "The region holds no voxels" in text


def test_hundreds_of_lesions_all_have_a_row_and_the_first_have_tiles(make_reading: Callable[..., Reading]) -> None:
    rng = np.random.default_rng(5)
    spots = [(tuple(rng.uniform((-110, -60, -230), (110, 60, 230))), 9.0, 7.0, f"site {n}") for n in range(150)]
    text = render_html(make_reading(spots=spots, with_ct=False))
    assert len(re.findall(r'<tr id="lesion-\d+"', text)) == 150
    assert len(re.findall(r'<article class="tile-card" id="tile-\d+"', text)) == 24
    assert "Tiles show the first 24 of 150" in text
    assert len(text) < 6e6


def test_different_peak_definitions_are_shown_in_each_row(reading: Reading) -> None:
    first = replace(reading.lesions[0], metrics=replace(reading.lesions[0].metrics, suv_peak_definition="percist"))
    table = section(render_html(replace(reading, lesions=(first, *reading.lesions[1:]))), "lesions")
    assert table.count(">percist<") == 1
    assert table.count(">exact-1ml-global<") == 4


def test_given_regions_are_not_called_candidates(reading: Reading) -> None:
    given = tuple(replace(lesion, status="given") for lesion in reading.lesions)
    text = Page(render_html(replace(reading, lesions=given))).text
    assert "Lesions given" in text
    assert "Lesion candidates" not in text


def test_the_patients_name_does_not_reach_the_title(reading: Reading) -> None:
    named = replace(reading, series={**reading.series, "patient_name": "Doe^Jane"})
    text = render_html(named)
    assert "Doe^Jane" in text
    assert "<title>CXCR4 PET/CT reading</title>" in text
    assert "<title>Case 7</title>" in render_html(named, title="Case 7")


def test_an_empty_window_is_refused(reading: Reading, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        render_report(reading, tmp_path / "x.html", window=(3.0, 3.0))
    assert not list(tmp_path.iterdir())


def test_a_report_names_each_of_twelve_lesions(make_reading: Callable[..., Reading]) -> None:
    rng = np.random.default_rng(6)
    spots = [(tuple(rng.uniform((-110, -60, -230), (110, 60, 230))), 9.0, 7.0, f"site {n}") for n in range(12)]
    reading = make_reading(shape=(180, 100, 100), spacing=(4.0, 4.0, 3.5), spots=spots)
    page = render_html(reading)
    assert page.count("site 11") >= 1


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_a_browser_runs_the_script_and_refuses_nothing(reading: Reading, tmp_path: Path) -> None:
    path = render_report(reading, tmp_path / "report.html")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --enable-logging=stderr --virtual-time-budget=1500"
    command = [str(shutil.which("chromium")), *flags.split(), f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [*command, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=120, check=False
    )
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    turning = done.stdout.split('<svg id="turning"')[1].split('<div class="controls">')[0]
    assert turning.count('class="outline-lesion"') == 5
    assert "viewBox" in turning
    assert "°" in done.stdout.split('id="turning-words"')[1][:40]
