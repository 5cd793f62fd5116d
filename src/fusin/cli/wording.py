"""Numbers and texts as a console shows them."""

from __future__ import annotations

import math

__all__ = ["number", "printable"]


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits; a dash when it is missing or no number."""
    if value is None or not math.isfinite(value):
        return "-"
    if value != 0 and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.{digits}g}"
    whole = len(str(int(abs(value))))
    return f"{value:.{max(digits - whole, 0)}f}" if abs(value) >= 1 else f"{value:.{digits}f}"


def printable(text: str) -> str:
    """Text for one line of a terminal: what a header smuggles in (escape sequences, line breaks) becomes a space."""
    return "".join(c if c.isprintable() else " " for c in text)
