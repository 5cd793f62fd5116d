"""What a verb of the cohort hands over, and writing it: tables in three forms, figures, one page, one JSON document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusin.errors import InputError
from fusin.files import write_bytes_atomically
from fusin.provenance import InputFile, Method, Notice, Provenance, canonical_json, sha256_of, versions
from fusin.report.job_page import ReportTable, Section, render_job_html
from fusin.report.plate import Figure
from fusin.report.table_text import Shown, csv_text, markdown_table, word_html

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["JobOutput", "JobSection", "JobTable", "joined", "provenance_of", "write_job"]

DOCUMENT = "results.json"
PAGE = "report.html"
SLICES = "dicom/"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JobTable:
    """One table of a result.

    Attributes
    ----------
    name : stem of its files
    title : heading
    frame : the numbers
    shown : how its columns are printed; chosen by their names when None
    on_page : False for a table that is written to files only, because it is too long to read
    """

    name: str
    title: str
    frame: pd.DataFrame
    shown: tuple[Shown, ...] | None = None
    on_page: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JobSection:
    """One part of the page.

    Attributes
    ----------
    name : anchor
    title : heading
    text : sentences below the heading
    tables, figures : in the order of the page
    """

    name: str
    title: str
    text: tuple[str, ...] = ()
    tables: tuple[JobTable, ...] = ()
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JobOutput:
    """Everything that one verb found.

    Attributes
    ----------
    title : heading of the page
    document : the JSON contract of the verb
    sections : the page
    summary : what a person wants to know first, one sentence each
    notices : doubts and adaptations
    provenance : inputs, parameters and versions
    files : further files by name, such as drafts of trials; text, or the bytes of a PDF
    written : names of files that the verb wrote into the folder as it went
    """

    title: str
    document: Mapping[str, Any]
    sections: tuple[JobSection, ...]
    summary: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    written: tuple[str, ...] = ()

    def tables(self) -> tuple[JobTable, ...]:
        """All tables in the order of the page."""
        return tuple(t for s in self.sections for t in s.tables)

    def figures(self) -> tuple[Figure, ...]:
        """All figures in the order of the page."""
        return tuple(f for s in self.sections for f in s.figures)

    def to_json(self) -> dict[str, Any]:
        """Return the contract of the verb with its notices and provenance."""
        return {
            **self.document,
            "notices": [n.to_json() for n in self.notices],
            "provenance": self.provenance.to_json(),
        }


def provenance_of(inputs: Iterable[Path], parameters: Mapping[str, Any], methods: Iterable[Method] = ()) -> Provenance:
    """Inputs by name and digest (of a folder, the files of a reading in it), parameters, methods, and versions."""
    listed: list[InputFile] = []
    for path in inputs:
        if path.is_dir():
            names = ("lesions.parquet", "lesions.csv", "reading.json")
            listed += [InputFile(f"{path.name}/{n}", sha256_of(path / n)) for n in names if (path / n).is_file()]
        else:
            listed.append(InputFile(path.name, sha256_of(path)))
    return Provenance(
        inputs=tuple(listed),
        parameters=parameters,
        methods=tuple(methods),
        versions=versions("numpy", "scipy", "numba", "pandas", "statsmodels", "lifelines"),
    )


def write_job(output: JobOutput, folder: Path) -> Mapping[str, str]:
    """Write tables (CSV, Markdown, HTML for a word processor), figures (SVG), the page and the JSON document.

    Parameters
    ----------
    output : result of a verb
    folder : made when absent; what an earlier run of a verb wrote there is removed first

    Returns
    -------
    Mapping
        Name to path below the folder, the JSON document last.

    Raises
    ------
    InputError
        When the folder is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(folder.name, "--out", "a file", "a folder, or a name that is free")
    folder.mkdir(parents=True, exist_ok=True)
    _remove_earlier(folder, keep=output.written)
    outputs: dict[str, str] = {}

    def put(key: str, name: str, text: str | bytes) -> None:
        write_bytes_atomically(folder / name, text.encode("utf-8") if isinstance(text, str) else text)
        outputs[key] = name

    for table in output.tables():
        put(f"{table.name}_csv", f"tables/{table.name}.csv", csv_text(table.frame))
        if table.on_page:
            put(f"{table.name}_markdown", f"tables/{table.name}.md", markdown_table(table.frame, table.shown))
            put(
                f"{table.name}_word",
                f"tables/{table.name}.html",
                word_html(table.frame, table.shown, title=table.title),
            )
    for figure in output.figures():
        put(f"{figure.name}_svg", f"figures/{figure.name}.svg", figure.standalone())
    for name, text in output.files.items():
        put(name, name, text)
    outputs |= {name: name for name in output.written}
    put("report", PAGE, _page(output, outputs))
    outputs["json"] = DOCUMENT
    document = {**output.to_json(), "outputs": outputs}
    write_bytes_atomically(folder / DOCUMENT, (canonical_json(document) + "\n").encode("utf-8"))
    return outputs


def _page(output: JobOutput, outputs: Mapping[str, str]) -> str:
    sections = [
        Section(
            title=s.title,
            lead=" ".join(s.text),
            tables=tuple(
                ReportTable(title=t.title, frame=t.frame, shown=t.shown, name=t.name) for t in s.tables if t.on_page
            ),
            figures=s.figures,
        )
        for s in output.sections
    ]
    return render_job_html(
        sections, title=output.title, provenance=output.provenance, notices=output.notices, outputs=_listed(outputs)
    )


def _listed(outputs: Mapping[str, str]) -> dict[str, str]:
    """Outputs as the page lists them: the slices of a DICOM series are one entry."""
    slices = [name for name in outputs.values() if name.startswith(SLICES)]
    found = {key: name for key, name in outputs.items() if not name.startswith(SLICES)}
    return found | ({SLICES: f"{len(slices)} DICOM files"} if slices else {})


def _remove_earlier(folder: Path, *, keep: Iterable[str]) -> None:
    """Remove what the JSON document of an earlier run names, so that old tables are not taken for new ones."""
    try:
        earlier = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
        names = [str(n) for n in earlier["outputs"].values() if str(n) not in keep]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return
    inside = folder.resolve()
    for name in names:
        path = (folder / name).resolve()
        if path.is_relative_to(inside) and path.is_file():
            path.unlink()


def joined(title: str, outputs: Mapping[str, JobOutput]) -> JobOutput:
    """Several results as one page.

    Parameters
    ----------
    title : heading of the page
    outputs : by a short name, which is put before the names of their tables, figures and files
    """
    sections: list[JobSection] = []
    notices: dict[tuple[str, str, str], Notice] = {}
    for name, output in outputs.items():
        for section in output.sections:
            sections.append(
                replace(
                    section,
                    name=f"{name}-{section.name}",
                    title=f"{output.title} · {section.title}",
                    tables=tuple(replace(t, name=f"{name}-{t.name}") for t in section.tables),
                    figures=tuple(replace(f, name=f"{name}-{f.name}") for f in section.figures),
                )
            )
        notices |= {(n.code, n.where, n.message): n for n in output.notices}
    inputs = {i.path: i for o in outputs.values() for i in o.provenance.inputs}
    found = next((o.provenance.versions for o in outputs.values()), {})
    return JobOutput(
        title=title,
        document={name: o.document for name, o in outputs.items()},
        sections=tuple(sections),
        summary=tuple(s for o in outputs.values() for s in o.summary),
        notices=tuple(notices.values()),
        provenance=Provenance(
            inputs=tuple(inputs.values()),
            parameters={name: o.provenance.parameters for name, o in outputs.items()},
            methods=tuple({m.id: m for o in outputs.values() for m in o.provenance.methods}.values()),
            versions=found,
        ),
        files={f"{name}-{file}": text for name, o in outputs.items() for file, text in o.files.items()},
    )
