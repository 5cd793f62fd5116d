"""What a record or an exported bundle holds, read for verification as it stands."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fusin.errors import InputError
from fusin.radiopharmacy.record import GUARDS, Checkpoint, open_readonly
from fusin.radiopharmacy.record_log import log_of, log_state

__all__ = ["Stored", "read_bundle", "read_checkpoint", "read_database"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a record or a bundle holds.

    Attributes
    ----------
    rows, files, points, marked : entries, digests of raw files by their names, checkpoints, and the head that is noted
    noting : whether a head must be noted
    trouble : why it could not be read to its end
    remarks : what was noticed
    """

    rows: list[tuple[int, str, str, str]]
    files: Mapping[str, str] = field(default_factory=dict)
    points: tuple[Checkpoint, ...] = ()
    marked: tuple[int, str] | None = None
    noting: bool = False
    trouble: str = ""
    remarks: tuple[str, ...] = ()


def read_database(path: Path) -> Stored:
    """Everything that a record holds, and whether its log could be read.

    Raises
    ------
    InputError
        For what is no record.
    """
    state, remarks = log_state(log_of(path)), list[str]()
    db = open_readonly(path)
    rows: list[tuple[int, str, str, str]] = []
    files: dict[str, str] = {}
    points: list[Checkpoint] = []
    marked: tuple[int, str] | None = None
    trouble = ""
    try:
        for row in db.execute("SELECT seq, prev, body, hash FROM entries ORDER BY rowid"):
            rows.append((int(row[0]), str(row[1]), str(row[2]), str(row[3])))
        for sha, content in db.execute("SELECT sha256, content FROM files"):
            data = content if isinstance(content, bytes) else str(content).encode("utf-8")
            files[str(sha)] = hashlib.sha256(data).hexdigest()
        for row in db.execute("SELECT seq, hash, time, key, signature FROM checkpoints ORDER BY seq"):
            points.append(
                Checkpoint(seq=int(row[0]), hash=str(row[1]), time=str(row[2]), key=str(row[3]), signature=str(row[4]))
            )
        found = db.execute("SELECT seq, hash FROM heads").fetchone()
        marked = None if found is None else (int(found[0]), str(found[1]))
        guards = {str(r[0]) for r in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
        if not guards >= GUARDS:
            remarks.append("the triggers that keep entries from being edited are gone: another program opened the file")
    except (sqlite3.Error, ValueError, TypeError) as err:
        trouble = f"the database cannot be read on: {err}"
    finally:
        db.close()
    log = log_of(path).name
    if not state.readable:
        trouble = (
            trouble or f"{log} beside the record is no log of SQLite any more: the entries that stood in it are lost"
        )
    elif state.lost > 1:
        trouble = (
            trouble
            or f"{log} holds {state.lost} finished transactions that cannot be read: it was changed or is damaged"
        )
    elif state.lost:
        remarks.append(f"the last transaction in {log} is not whole: a write was interrupted, or the log was changed")
    return Stored(
        rows=rows, files=files, points=tuple(points), marked=marked, noting=True, trouble=trouble, remarks=tuple(remarks)
    )  # fmt: skip


def read_bundle(folder: Path) -> Stored:
    """The same from an exported folder, which needs no database to be verified."""
    lines = folder / "entries.jsonl"
    if not lines.is_file():
        raise InputError(folder.name, "bundle", "no entries.jsonl", "a folder written by fusin release export")
    rows: list[tuple[int, str, str, str]] = []
    trouble = ""
    try:
        for line in lines.read_text(encoding="utf-8").split("\n"):
            if line.strip():
                row = json.loads(line)
                rows.append((int(row["seq"]), str(row["prev"]), str(row["body"]), str(row["hash"])))
    except (ValueError, KeyError, TypeError, RecursionError) as err:
        trouble = f"line {len(rows) + 1} of entries.jsonl cannot be read: {err}"
    files = {
        p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted((folder / "files").glob("*")) if p.is_file()
    }
    points = read_checkpoint(folder / "checkpoints.json") if (folder / "checkpoints.json").is_file() else ()
    marked: tuple[int, str] | None = None
    noted = folder / "head.json"
    try:
        if noted.is_file():
            found = json.loads(noted.read_bytes().decode("utf-8"))
            marked = int(found["seq"]), str(found["hash"])
    except (ValueError, KeyError, TypeError, RecursionError) as err:
        trouble = trouble or f"head.json cannot be read: {err}"
    return Stored(rows=rows, files=files, points=tuple(points), marked=marked, trouble=trouble)


def read_checkpoint(path: Path) -> tuple[Checkpoint, ...]:
    """Checkpoints of a file: one JSON object, or a list of them.

    Raises
    ------
    InputError
        For anything else.
    """
    try:
        found = json.loads(path.read_bytes().decode("utf-8-sig"))
        listed = found if isinstance(found, list) else [found]
        return tuple(_point(row) for row in listed)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as err:
        raise InputError(
            path.name, "--checkpoint", "no checkpoint", "a file written by fusin release sign or export"
        ) from err


def _point(row: Mapping[str, Any]) -> Checkpoint:
    return Checkpoint(
        seq=int(row["seq"]),
        hash=str(row["hash"]),
        time=str(row["time"]),
        key=str(row["key"]),
        signature=str(row["signature"]),
    )
