"""Scan protocols by name: the windows outside of which the audit doubts a scan."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

from fusin.errors import InputError
from fusin.imaging.audit import Protocol

__all__ = ["DEFAULT_PROTOCOL", "protocol", "protocol_names"]

DEFAULT_PROTOCOL = "oncology"


@cache
def _protocols() -> dict[str, Protocol]:
    text = resources.files("fusin.quantification").joinpath("protocols.toml").read_text(encoding="utf-8")
    return {
        name: Protocol(
            name=name,
            uptake_min=(row["uptake_min"][0], row["uptake_min"][1]),
            activity_mbq=(row["activity_mbq"][0], row["activity_mbq"][1]),
            source=row["source"],
        )
        for name, row in tomllib.loads(text).items()
    }


def protocol_names() -> tuple[str, ...]:
    """Names of the protocols."""
    return tuple(_protocols())


def protocol(name: str) -> Protocol:
    """Protocol of that name.

    Raises
    ------
    InputError
        For an unknown name.
    """
    found = _protocols().get(name)
    if found is None:
        raise InputError("--protocol", "protocol", name, f"one of {', '.join(_protocols())}")
    return found
