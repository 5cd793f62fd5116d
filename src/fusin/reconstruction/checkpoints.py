"""The state of a reconstruction as a file, so that an interrupted run goes on to the same image, bit for bit."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fusin.errors import InputError
from fusin.files import write_bytes_atomically
from fusin.provenance import canonical_json
from fusin.reconstruction.algorithms import State

__all__ = ["read_checkpoint", "write_checkpoint"]

_FORMAT = "fusin reconstruction checkpoint 1"


def write_checkpoint(path: Path, state: State, settings: Mapping[str, Any]) -> Path:
    """Write a state with the settings that decide what follows it.

    Parameters
    ----------
    path : file, replaced as a whole
    state : after a whole iteration
    settings : everything that has to be the same for the run to go on: digests of data, geometry, algorithm; not the number
        of iterations
    """
    buffer = io.BytesIO()
    head = canonical_json({"format": _FORMAT, "settings": settings, "iteration": state.iteration})
    np.savez(
        buffer,
        head=np.frombuffer(head.encode("utf-8"), np.uint8),
        image=state.image,
        log_likelihood=_numbers(state.log_likelihood),
        objective=_numbers(state.objective),
        changes=np.array(state.changes, dtype=np.float64),
        rest=np.array([state.unexplained, state.delta], dtype=np.float64),
    )
    return write_bytes_atomically(path, buffer.getvalue())


def read_checkpoint(path: Path, settings: Mapping[str, Any]) -> State:
    """Read a state and refuse one that belongs to other data or another algorithm.

    Raises
    ------
    InputError
        For a file that is no checkpoint, and for the first setting that differs.
    """
    if not path.is_file():
        raise InputError(
            path.name, "checkpoint", "a folder" if path.is_dir() else "nothing", "a file of an earlier run"
        )
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as held:
            head = json.loads(held["head"].tobytes().decode("utf-8"))
            arrays = {name: held[name] for name in ("image", "log_likelihood", "objective", "changes", "rest")}
        if not isinstance(head, dict) or head.get("format") != _FORMAT or arrays["image"].dtype != np.float32:
            raise ValueError("another format")
        iteration, found = int(head["iteration"]), dict(head["settings"])
        unexplained, delta = (float(v) for v in arrays["rest"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as err:
        raise InputError(
            path.name, "checkpoint", "a file that is none, or is damaged", "checkpoint.npz of an earlier run"
        ) from err
    wanted = json.loads(canonical_json(settings))
    for name in sorted(set(found) | set(wanted)):
        if found.get(name) != wanted.get(name):
            raise InputError(
                path.name,
                name,
                _short(found.get(name)),
                f"{_short(wanted.get(name))}, as in this run: start anew without it",
            )
    image = np.ascontiguousarray(arrays["image"])
    return State(
        image=image, iteration=iteration, log_likelihood=_optional(arrays["log_likelihood"]),
        objective=_optional(arrays["objective"]), unexplained=unexplained, delta=delta,
        changes=tuple(float(c) for c in arrays["changes"]),
    )  # fmt: skip


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    return np.array([math.nan if v is None else v for v in values], dtype=np.float64)


def _optional(values: np.ndarray) -> tuple[float | None, ...]:
    return tuple(None if math.isnan(v) else float(v) for v in values)


def _short(value: object) -> object:
    text = json.dumps(value)
    return value if len(text) <= 60 else text[:57] + "..."
