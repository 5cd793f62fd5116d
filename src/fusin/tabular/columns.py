"""One column of a table: the contract that writer, reader, documentation and tests share."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Column"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: name with unit suffix, pandas dtype, meaning."""

    name: str
    dtype: str
    meaning: str
