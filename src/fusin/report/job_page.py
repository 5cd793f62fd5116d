"""The report of a cohort: one self-contained HTML file with its tables, figures, methods and doubts."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fusin.files import write_bytes_atomically
from fusin.provenance import Notice, Provenance
from fusin.report.plate import DOUBLE_MM, SINGLE_MM, Figure
from fusin.report.table_text import Shown, csv_text, html_table, print_table
from fusin.report.wording import DASH, SEVERITIES, any_value, flat

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MOST_ROWS", "ReportTable", "Section", "render_job_html", "render_job_report"]

MIDDLE_SHARE = 0.85
MOST_ROWS = 200
"""Rows of a table that the page prints; the whole table can be saved from the page as CSV."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportTable:
    """One table of a section.

    Attributes
    ----------
    title : what stands above it
    frame : the table
    shown : how its columns are printed; None chooses by their names
    note : a line below it
    name : stem of the CSV file that can be saved; from the title when empty
    """

    title: str
    frame: pd.DataFrame
    shown: Sequence[Shown] | None = None
    note: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Section:
    """One section of the report.

    Attributes
    ----------
    title, lead : heading, and one sentence on what was found
    tables, figures : in the order in which they stand
    notices : doubts about this section, shown in it and among all notices
    """

    title: str
    lead: str = ""
    tables: tuple[ReportTable, ...] = ()
    figures: tuple[Figure, ...] = ()
    notices: tuple[Notice, ...] = ()


def render_job_report(
    sections: Sequence[Section],
    path: Path,
    *,
    title: str,
    provenance: Provenance,
    notices: Iterable[Notice] = (),
    facts: Mapping[str, str] | None = None,
    outputs: Mapping[str, str] | None = None,
) -> Path:
    """Write the report of a cohort as one HTML file; equal arguments give equal bytes.

    Parameters
    ----------
    sections : in the order of the page
    path : file to write; its folder is made when absent, and a half file is never found
    title : heading
    provenance : inputs, parameters, methods with citations, versions
    notices : of the whole analysis; those of the sections are added
    facts : a few numbers below the heading, such as patients and lesions
    outputs : files written beside the report, by what they are

    Returns
    -------
    The path written.
    """
    html = render_job_html(sections, title=title, provenance=provenance, notices=notices, facts=facts, outputs=outputs)
    return write_bytes_atomically(path, html.encode("utf-8"))


def render_job_html(
    sections: Sequence[Section],
    *,
    title: str,
    provenance: Provenance,
    notices: Iterable[Notice] = (),
    facts: Mapping[str, str] | None = None,
    outputs: Mapping[str, str] | None = None,
) -> str:
    """Return the report as HTML text; see `render_job_report`."""
    templates = Environment(
        loader=PackageLoader("fusin.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    css = "".join(
        resources.files("fusin.report").joinpath("templates", name).read_text(encoding="utf-8")
        for name in ("report.css", "cohort.css")
    )
    every = dict.fromkeys(_key(n) for n in (*notices, *(n for s in sections for n in s.notices)))
    anchors = _anchors([s.title for s in sections])
    return templates.get_template("cohort.html").render(
        title=title,
        css=Markup(css),
        policy=_policy(css),
        facts=list((facts or {}).items()),
        sections=[_section(s, anchor) for s, anchor in zip(sections, anchors, strict=True)],
        notices=_notices([n.notice for n in every]),
        methods=[(m.id, m.citation) for m in provenance.methods],
        inputs=provenance.inputs,
        versions=sorted(provenance.versions.items()),
        parameters=flat(provenance.parameters),
        series_more=[],
        outputs=list((outputs or {}).items()),
        dash=DASH,
    )


@dataclass(frozen=True, slots=True)
class _Key:
    """A notice that is counted once by what it says, whatever its raw value is."""

    words: tuple[str, str, str]
    notice: Notice

    def __hash__(self) -> int:
        return hash(self.words)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.words == other.words


def _key(notice: Notice) -> _Key:
    return _Key((notice.code, notice.where, notice.message), notice)


def _policy(css: str) -> str:
    """Content security policy that allows this style and nothing else; the page has no script."""
    digest = base64.b64encode(hashlib.sha256(css.encode("utf-8")).digest()).decode("ascii")
    return f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _anchors(titles: Sequence[str]) -> list[str]:
    """Names of the sections for links: unique, and none that the page uses itself."""
    taken = {"notices", "methods", "provenance"}
    found = []
    for title in titles:
        base = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"
        anchor, number = base, 2
        while anchor in taken:
            anchor, number = f"{base}-{number}", number + 1
        taken.add(anchor)
        found.append(anchor)
    return found


def _section(section: Section, anchor: str) -> dict[str, Any]:
    return {
        "title": section.title,
        "anchor": anchor,
        "lead": section.lead,
        "tables": [_table(t) for t in section.tables],
        "figures": [_figure(f) for f in section.figures],
        "notices": _notices(section.notices),
    }


def _table(table: ReportTable) -> dict[str, Any]:
    printed = print_table(table.frame, table.shown, most=MOST_ROWS)
    name = table.name or _anchors([table.title])[0]
    return {
        "title": table.title,
        "element": Markup(html_table(printed)) if printed.rows else "",
        "notes": [*printed.notes, *([table.note] if table.note else [])],
        "meanings": [(h, m) for h, m in zip(printed.headings, printed.meanings, strict=True) if m],
        "file": f"{name}.csv",
        "data": _data_uri("text/csv", csv_text(table.frame)),
    }


def _figure(figure: Figure) -> dict[str, Any]:
    return {
        "svg": Markup(figure.svg),
        "caption": figure.caption,
        "size": _size(figure),
        "file": f"{figure.name}.svg",
        "data": _data_uri("image/svg+xml", figure.standalone()),
    }


def _size(figure: Figure) -> str:
    """Class of a figure, so that its type is as large on the page as that of the others."""
    if figure.width_mm <= SINGLE_MM:
        return "single"
    return "middle" if figure.width_mm < MIDDLE_SHARE * DOUBLE_MM else "wide"


def _data_uri(kind: str, text: str) -> str:
    """A file inside of a link, so that the page stays one file."""
    return f"data:{kind};base64,{base64.b64encode(text.encode('utf-8')).decode('ascii')}"


def _notices(notices: Iterable[Notice]) -> list[dict[str, str]]:
    """Notices, the gravest first, otherwise in the order in which they came."""
    return [
        {
            "severity": n.severity,
            "code": n.code,
            "message": n.message,
            "where": n.where or DASH,
            "change": "" if n.raw is None and n.used is None else f"{any_value(n.raw)} → {any_value(n.used)}",
        }
        for n in sorted(notices, key=lambda n: SEVERITIES.index(n.severity))
    ]
