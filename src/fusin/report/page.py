"""The report: one self-contained HTML file that opens anywhere, prints on A4 and asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fusin.errors import InputError
from fusin.files import write_bytes_atomically
from fusin.quantification.reading import Reading
from fusin.report.content import page_content

__all__ = ["render_html", "render_report"]

_TITLE = "CXCR4 PET/CT reading"


def render_report(
    reading: Reading, path: Path, *, window: tuple[float, float] = (0.0, 10.0), title: str | None = None
) -> Path:
    """Write the report of a reading as one HTML file.

    The same reading gives the same bytes. The file is written beside its place and then renamed, so that a half
    report is never found.

    Parameters
    ----------
    reading : result of a reading
    path : file to write; its folder is made when absent
    window : SUV limits of all pictures
    title : heading; the patient's name does not belong there, because browsers keep titles

    Returns
    -------
    The path written.

    Raises
    ------
    InputError
        When the window is empty.
    """
    return write_bytes_atomically(path, render_html(reading, window=window, title=title).encode("utf-8"))


def render_html(reading: Reading, *, window: tuple[float, float] = (0.0, 10.0), title: str | None = None) -> str:
    """Return the report as HTML text; see `render_report`."""
    if not window[1] > window[0]:
        raise InputError("report", "window", window, "an upper limit above the lower one")
    templates = Environment(
        loader=PackageLoader("fusin.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    css, script = _asset("report.css"), _asset("report.js")
    content = page_content(reading, window=window)
    return templates.get_template("report.html").render(
        title=title or _TITLE,
        css=Markup(css),
        script=Markup(script),
        policy=_policy(css, script),
        turning_json=_json_for_html(content.pop("turning")),
        **content,
    )


def _asset(name: str) -> str:
    """Text of a file beside the templates."""
    return resources.files("fusin.report").joinpath("templates", name).read_text(encoding="utf-8")


def _policy(css: str, script: str) -> str:
    """Content security policy that allows this style, this script and embedded pictures, and nothing else."""
    digests = [base64.b64encode(hashlib.sha256(t.encode("utf-8")).digest()).decode("ascii") for t in (css, script)]
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digests[0]}'; script-src 'sha256-{digests[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _json_for_html(value: dict[str, Any]) -> Markup:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)
