"""Time the record: entries appended and verified each second, against plain SQLite inserts with the same safety."""

from __future__ import annotations

import hashlib
import itertools
import json
import sqlite3
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fusin.radiopharmacy.record import Record
from fusin.radiopharmacy.record_verify import verify_record
from timing import FUSIN, Table, print_table, race

__all__ = ["main", "tables"]

ENTRIES, VERIFIED = 200, 2000
NOW = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
DATA = {"document": {"results": [{"test": f"t{i}", "value": str(i)} for i in range(40)]}}


def fusin_append(folder: Path, count: int, counter: itertools.count[int]) -> Path:
    """Append entries to a new record, each on the disk before the next."""
    path = folder / f"record-{next(counter)}.fusin"
    with Record(path, now=NOW, actor="bench") as record:
        for _ in range(count):
            record.append("note", now=NOW, actor="bench", batch="B1", data=DATA)
    return path


def plain_append(folder: Path, count: int, counter: itertools.count[int]) -> None:
    """Insert the same content, a transaction each, with WAL and synchronous FULL; no chain, no hash."""
    db = sqlite3.connect(folder / f"plain-{next(counter)}.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE entries (seq INTEGER PRIMARY KEY, body TEXT)")
    for _ in range(count):
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO entries (body) VALUES (?)", (json.dumps(DATA, sort_keys=True),))
        db.execute("COMMIT")
    db.close()


def plain_hash(path: Path) -> str:
    """Read all entries and hash them, without looking at any."""
    db = sqlite3.connect(path)
    digest = hashlib.sha256()
    for (body,) in db.execute("SELECT body FROM entries ORDER BY seq"):
        digest.update(body.encode())
    db.close()
    return digest.hexdigest()


def tables() -> list[Table]:
    """Appending and verifying."""
    with tempfile.TemporaryDirectory() as name:
        folder, counter = Path(name), itertools.count()
        appending: dict[str, Callable[[], Any]] = {
            FUSIN + ", chained entries": lambda: fusin_append(folder, ENTRIES, counter),
            "sqlite3, plain inserts, WAL and FULL": lambda: plain_append(folder, ENTRIES, counter),
        }
        first = Table(f"Record: {ENTRIES} entries appended one by one", race(appending), [])
        path = fusin_append(folder, VERIFIED, counter)
        checking: dict[str, Callable[[], Any]] = {
            FUSIN + ", verify": lambda: verify_record(path),
            "sqlite3 + hashlib, read and hash only": lambda: plain_hash(path),
        }
        second = Table(f"Record: {VERIFIED} entries verified", race(checking), [])
    return [first, second]


def main() -> None:
    """Print the tables."""
    for table in tables():
        print_table(table)


if __name__ == "__main__":
    main()
