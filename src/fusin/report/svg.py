"""A small SVG writer: elements with escaped attributes and short numbers, and the report's colours.

Presentation attributes are used and never ``style``, so that the page's content security policy stays strict.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any

import numpy as np

from fusin.imaging.volume import FloatArray

__all__ = [
    "AMBER",
    "FAINT",
    "GRID",
    "INK",
    "LESION",
    "MUTED",
    "PHYSIOLOGICAL",
    "REFERENCE",
    "REFERENCE_COLOURS",
    "Canvas",
    "path_data",
    "short",
    "ticks",
]

# Okabe and Ito, "Color Universal Design" (2008): told apart with every common form of colour blindness.
LESION, REFERENCE, AMBER = "#D55E00", "#0072B2", "#E69F00"
REFERENCE_COLOURS = {
    "blood_pool": "#0072B2",
    "liver": "#009E73",
    "spleen": "#CC79A7",
    "marrow": "#E69F00",
    "brain": "#56B4E9",
    "adrenal": "#8A6D00",
    "muscle": "#666666",
}
PHYSIOLOGICAL, INK, MUTED, FAINT, GRID = "#6B7280", "#1B2430", "#5B6673", "#9AA4B0", "#E3E8EE"


def short(value: float, digits: int = 2) -> str:
    """A number with at most ``digits`` decimals and no trailing zeros."""
    text = f"{value:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{value:.0f}"
    return "0" if text in {"-0", ""} else text


def path_data(outlines: Sequence[FloatArray], scale: float = 1.0, *, digits: int = 1, most: int = 400) -> str:
    """SVG path of closed outlines.

    Parameters
    ----------
    outlines : (n, 2) points each, as (x, y)
    scale : factor on the coordinates
    digits : decimals kept
    most : outlines with more points are thinned evenly to about this number
    """
    parts = []
    for outline in outlines:
        points = outline[:: max(1, math.ceil(len(outline) / most))] * scale
        parts.append("M" + "L".join(f"{short(x, digits)} {short(y, digits)}" for x, y in points) + "Z")
    return "".join(parts)


def ticks(high: float, about: int = 5) -> list[float]:
    """Round axis positions from 0 to just above ``high``: steps of 1, 2 or 5 times a power of ten."""
    if not (math.isfinite(high) and high > 0):
        return [0.0, 1.0]
    raw = high / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if raw <= m * power * (1 + 1e-9))
    return [float(v) for v in np.arange(0, math.ceil(high / step - 1e-9) + 1) * step]


class Canvas:
    """An SVG picture that is written from back to front.

    Parameters
    ----------
    width, height : size of the view box; one unit is one CSS pixel at natural size
    label : what a screen reader says
    css : class of the ``svg`` element
    """

    def __init__(self, width: float, height: float, *, label: str, css: str) -> None:
        self.width, self.height = width, height
        self._parts = [
            f'<svg class="{escape(css)}" viewBox="0 0 {short(width)} {short(height)}" width="{short(width)}" '
            f'height="{short(height)}" role="img" aria-label="{escape(label)}">'
        ]

    def add(self, tag: str, *, text: str | None = None, title: str | None = None, **attributes: Any) -> None:
        """Append an element; ``class_`` is written ``class``, underscores become hyphens, None is left out."""
        inner = (f"<title>{escape(title)}</title>" if title else "") + (escape(text) if text is not None else "")
        head = self._head(tag, attributes)
        self._parts.append(f"{head}>{inner}</{tag}>" if inner else f"{head}/>")

    def text(self, x: float, y: float, text: str, *, size: float = 11, fill: str = INK, **attributes: Any) -> None:
        """Append a text at its baseline."""
        self.add("text", text=text, x=x, y=y, font_size=size, fill=fill, **attributes)

    @contextmanager
    def group(self, tag: str = "g", *, title: str | None = None, **attributes: Any) -> Iterator[None]:
        """Append a group (or a link with ``tag="a"``) around what follows."""
        self._parts.append(self._head(tag, attributes) + ">" + (f"<title>{escape(title)}</title>" if title else ""))
        yield
        self._parts.append(f"</{tag}>")

    def render(self) -> str:
        """Return the finished element."""
        return "".join(self._parts) + "</svg>"

    @staticmethod
    def _head(tag: str, attributes: dict[str, Any]) -> str:
        """Opening of an element without its closing bracket."""
        words = [f"<{tag}"]
        for name, value in attributes.items():
            if value is not None:
                shown = short(value) if isinstance(value, (int, float)) else str(value)
                words.append(f'{name.rstrip("_").replace("_", "-")}="{escape(shown)}"')
        return " ".join(words)
