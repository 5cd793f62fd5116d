"""Every key of a reconstruction's TOML file: where it stands, what it holds, its unit and its default."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from fusin.errors import InputError

__all__ = ["Key", "check_names", "known_keys"]


@dataclass(frozen=True, slots=True)
class Key:
    """One key.

    Attributes
    ----------
    table : name of its table; empty at the top of the file
    name : as written
    kind : what it holds, with the unit
    default : what is used without it; ``needed`` where nothing is
    meaning : one sentence part
    modality : the modality that knows it; empty for all
    """

    table: str
    name: str
    kind: str
    default: str
    meaning: str
    modality: str = ""


@cache
def known_keys() -> tuple[Key, ...]:
    """All keys in the order of the pages; they stand in ``config_keys.toml``."""
    text = resources.files("fusin.reconstruction").joinpath("config_keys.toml").read_text(encoding="utf-8")
    return tuple(
        Key("" if table == "top" else table, name, **row)
        for table, rows in tomllib.loads(text).items()
        for name, row in rows.items()
    )


def check_names(document: Mapping[str, Any], where: str) -> None:
    """Refuse a table or key that does not exist, or that the modality does not know.

    Raises
    ------
    InputError
        With the nearest name that exists.
    """
    modality = document.get("modality")
    tables = {key.table for key in known_keys()}
    for name, value in document.items():
        if name in tables and name:
            rows = value if isinstance(value, list) else [value]
            if (
                not rows
                or not all(isinstance(row, dict) for row in rows)
                or (isinstance(value, list) != (name == "region"))
            ):
                form = "[[region]] tables" if name == "region" else f"a [{name}] table"
                raise InputError(where, name, type(value).__name__, form)
            for row in rows:
                for key in row:
                    _check(key, name, modality, f"{where}, {name}")
        else:
            _check(name, "", modality, where)


def _check(name: str, table: str, modality: Any, where: str) -> None:
    known = [k for k in known_keys() if k.table == table]
    tables = sorted({k.table for k in known_keys() if k.table}) if not table else []
    for key in known:
        if key.name == name:
            if key.modality and isinstance(modality, str) and modality not in key.modality.split():
                raise InputError(
                    where, "key", name, f"modality {' or '.join(key.modality.split())} for it, not {modality}"
                )
            return
    names = [k.name for k in known] + tables
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    raise InputError(where, "key", name, f"{near[0]} instead" if near else "one of " + ", ".join(names))
