"""An append-only record: canonical JSON events in SQLite, chained by SHA-256, raw files by hash, signed checkpoints.

``entry hash = SHA-256(previous hash + canonical entry)``. An entry is acknowledged when its transaction is on the disk (WAL,
synchronous FULL); a crash in mid-write loses at most what was never acknowledged. Nothing is ever updated or deleted: a
correction is a new entry with a reason, and the old value stays.

A hash chain shows that entries were changed after others had been built on them. It cannot show a change by somebody who
rebuilds the chain to its end: that takes a signature whose key they do not have. Nor can it show that the last entries are
gone: that takes a checkpoint that is kept elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fusin.errors import InputError
from fusin.radiopharmacy.batch import RawFile
from fusin.radiopharmacy.record_log import log_of
from fusin.radiopharmacy.signature import KeyPair, canonical_bytes

__all__ = ["GENESIS", "GUARDS", "Checkpoint", "Entry", "Record", "entry_hash", "open_readonly", "signed_payload"]

GENESIS = "0" * 64
"""Hash that stands before the first entry."""

_FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
  seq INTEGER PRIMARY KEY, prev TEXT NOT NULL, body TEXT NOT NULL, hash TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS files (sha256 TEXT PRIMARY KEY, name TEXT NOT NULL, size INTEGER NOT NULL, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS checkpoints (
  seq INTEGER NOT NULL, hash TEXT NOT NULL, time TEXT NOT NULL, key TEXT NOT NULL, signature TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS heads (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS entries_are_not_edited BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER IF NOT EXISTS entries_are_not_deleted BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER IF NOT EXISTS files_are_not_edited BEFORE UPDATE ON files BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER IF NOT EXISTS files_are_not_deleted BEFORE DELETE ON files BEGIN SELECT RAISE(ABORT, 'append-only'); END;
"""
GUARDS = frozenset(
    f"{table}_are_not_{what}" for table in ("entries", "files") for what in ("edited", "deleted")
)  # fmt: skip
"""Triggers that keep other programs from editing by plain SQL."""

_TABLES = frozenset({"entries", "files", "checkpoints", "heads"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry.

    Attributes
    ----------
    seq : number, from 1
    prev, hash : hash of the entry before, and of this one
    body : what was recorded: ``seq``, ``time`` (UTC), ``zone``, ``actor``, ``action``, ``batch``, ``reason``, ``data``
    """

    seq: int
    prev: str
    hash: str
    body: Mapping[str, Any]

    @property
    def action(self) -> str:
        """What was done."""
        return str(self.body.get("action", ""))

    @property
    def batch(self) -> str:
        """Number of the batch, empty for entries about the record itself."""
        return str(self.body.get("batch", ""))

    @property
    def data(self) -> Mapping[str, Any]:
        """Content of the entry."""
        found = self.body.get("data")
        return found if isinstance(found, Mapping) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The head of a record at a moment, signed; kept elsewhere, it shows truncation."""

    seq: int
    hash: str
    time: str
    key: str
    signature: str

    def payload(self) -> dict[str, Any]:
        """What the signature covers."""
        return {
            "what": "fusin record checkpoint",
            "seq": self.seq,
            "hash": self.hash,
            "time": self.time,
            "key": self.key,
        }

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {"seq": self.seq, "hash": self.hash, "time": self.time, "key": self.key, "signature": self.signature}


def entry_hash(prev: str, body: bytes) -> str:
    """SHA-256 of the previous hash (hexadecimal text) followed by the canonical entry."""
    return hashlib.sha256(prev.encode("utf-8", errors="surrogatepass") + body).hexdigest()


def signed_payload(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a signature in an entry covers: everything about it but the signature itself."""
    return {"what": "fusin record signature", **{k: v for k, v in data.items() if k != "signature"}}


class Record:
    """An open record.

    Parameters
    ----------
    path : SQLite file; made when absent
    now : moment of a new record's first entry, with a zone
    actor : who makes it

    Raises
    ------
    InputError
        For a file that is no record of fusin.
    """

    def __init__(self, path: Path, *, now: datetime, actor: str) -> None:
        self.path, self._depth = path, 0
        self._db = _connected(path)
        try:
            with self.together():
                if not self._db.execute("SELECT 1 FROM entries LIMIT 1").fetchone():
                    data = {"format": _FORMAT, "hash": "SHA-256", "signature": "Ed25519"}
                    self._put("record opened", now=now, actor=actor, data=data)
        except BaseException:
            self._db.close()
            raise

    @classmethod
    def reading(cls, path: Path) -> Self:
        """A record that is only read, also from a medium that cannot be written.

        Raises
        ------
        InputError
            For a file that is absent or no record.
        """
        record = cls.__new__(cls)
        record.path, record._depth, record._db = path, 0, open_readonly(path)
        return record

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def append(
        self, action: str, *, now: datetime, actor: str, batch: str = "", reason: str = "", data: Mapping[str, Any] | None = None,
        files: tuple[RawFile, ...] = (),
    ) -> Entry:  # fmt: skip
        """Append one entry with its raw files; it is on the disk when this returns.

        Parameters
        ----------
        action : what was done
        now : moment, with a zone; kept in UTC with the zone declared
        actor, batch, reason, data : who, about what, why, and the content
        files : raw files that the entry names by hash

        Raises
        ------
        InputError
            For a moment without a zone, an empty actor, or a change without a reason.
        """
        with self.together():
            for file in files:
                self._db.execute(
                    "INSERT OR IGNORE INTO files VALUES (?, ?, ?, ?)", (file.sha256, file.name, file.size, file.content)
                )
            return self._put(action, now=now, actor=actor, batch=batch, reason=reason, data=data or {})

    def sign(
        self,
        key: KeyPair,
        *,
        meaning: str,
        batch: str,
        content_sha256: str,
        now: datetime,
        actor: str,
        reason: str = "",
    ) -> Entry:
        """Append a signature over the present head, and a signed checkpoint of the entry that holds it.

        Parameters
        ----------
        key : that signs
        meaning : such as ``QC approval`` or ``release``
        batch, content_sha256 : what is signed; a later change of the content ends the signature
        now, actor, reason : as for `append`
        """
        with self.together():
            head = self.head()
            data = {
                "meaning": meaning, "signer": actor, "content_sha256": content_sha256, "batch": batch, "signed_seq": head.seq,
                "signed_hash": head.hash, "time": _utc(now), "key": key.public_hex, "reason": reason.strip(),
            }  # fmt: skip
            signature = key.sign(signed_payload(data))
            entry = self._put(
                "signature", now=now, actor=actor, batch=batch, reason=reason, data={**data, "signature": signature}
            )
            self._checkpoint(key, entry, now)
            return entry

    def checkpoint(self, key: KeyPair, *, now: datetime) -> Checkpoint:
        """Sign the present head."""
        with self.together():
            return self._checkpoint(key, self.head(), now)

    def head(self) -> Entry:
        """The last entry."""
        row = self._db.execute("SELECT seq, prev, hash, body FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
        return _entry(row)

    def entries(self, batch: str | None = None) -> Iterator[Entry]:
        """All entries in order, or those of a batch."""
        for row in self._db.execute("SELECT seq, prev, hash, body FROM entries ORDER BY seq"):
            entry = _entry(row)
            if batch is None or entry.batch == batch:
                yield entry

    def rows(self) -> Iterator[tuple[int, str, str, str]]:
        """(seq, prev, body as it stands, hash) of all entries in order."""
        for row in self._db.execute("SELECT seq, prev, body, hash FROM entries ORDER BY seq"):
            yield int(row[0]), str(row[1]), str(row[2]), str(row[3])

    def checkpoints(self) -> Iterator[Checkpoint]:
        """All signed checkpoints in order."""
        for row in self._db.execute("SELECT seq, hash, time, key, signature FROM checkpoints ORDER BY seq"):
            yield Checkpoint(
                seq=int(row[0]), hash=str(row[1]), time=str(row[2]), key=str(row[3]), signature=str(row[4])
            )

    def noted_head(self) -> tuple[int, str] | None:
        """Number and hash of the last entry as the record notes them; None where the note is gone."""
        row = self._db.execute("SELECT seq, hash FROM heads").fetchone()
        return None if row is None else (int(row[0]), str(row[1]))

    def file(self, sha256: str) -> bytes | None:
        """The content of a raw file, or None."""
        row = self._db.execute("SELECT content FROM files WHERE sha256 = ?", (sha256,)).fetchone()
        return None if row is None else bytes(row[0])

    def _put(
        self, action: str, *, now: datetime, actor: str, batch: str = "", reason: str = "", data: Mapping[str, Any]
    ) -> Entry:
        if not actor.strip():
            raise InputError("record", "actor", "nothing", "the name of the person who acts")
        if action.endswith("changed") and not reason.strip():
            raise InputError("record", "reason", "nothing", "why it was changed (--reason)")
        last = self._db.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
        if (None if last is None else (int(last[0]), str(last[1]))) != self.noted_head():
            # Writing on would bury a truncation under new entries.
            raise InputError(
                self.path.name, "--record", "a last entry that is not the one noted", "fusin release verify first"
            )
        seq, prev = (1, GENESIS) if last is None else (int(last[0]) + 1, str(last[1]))
        body = canonical_bytes(
            {
                "seq": seq, "time": _utc(now), "zone": _zone(now), "actor": actor.strip(), "action": action, "batch": batch,
                "reason": reason.strip(), "data": data,
            }
        )  # fmt: skip
        made = entry_hash(prev, body)
        self._db.execute("INSERT INTO entries VALUES (?, ?, ?, ?)", (seq, prev, body.decode("utf-8"), made))
        self._db.execute("INSERT OR REPLACE INTO heads VALUES (1, ?, ?)", (seq, made))
        return Entry(seq=seq, prev=prev, hash=made, body=json.loads(body))

    def _checkpoint(self, key: KeyPair, entry: Entry, now: datetime) -> Checkpoint:
        point = Checkpoint(seq=entry.seq, hash=entry.hash, time=_utc(now), key=key.public_hex, signature="")
        signed = Checkpoint(
            seq=point.seq, hash=point.hash, time=point.time, key=point.key, signature=key.sign(point.payload())
        )
        row = (signed.seq, signed.hash, signed.time, signed.key, signed.signature)
        self._db.execute("INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?)", row)
        return signed

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """One transaction around several steps: all of them are on the disk afterwards, or none."""
        if self._depth:
            yield
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as err:
            needed = "a record that nobody else holds, on a disk with room"
            raise InputError(self.path.name, "--record", str(err), needed) from err
        self._depth = 1
        try:
            yield
            self._db.execute("COMMIT")
        except sqlite3.Error as err:
            self._rollback()
            raise InputError(self.path.name, "--record", str(err), "an undamaged record on a disk with room") from err
        except BaseException:
            self._rollback()
            raise
        finally:
            self._depth = 0

    def _rollback(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("ROLLBACK")


def open_readonly(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, for verification.

    Raises
    ------
    InputError
        For a file that is absent or no record.
    """
    if not path.is_file():
        raise InputError(path.name, "record", "nothing", "a record made by fusin release --record")
    _refuse_foreign(path)
    log = log_of(path)
    ways = ["mode=ro"] if log.is_file() and log.stat().st_size else ["mode=ro", "mode=ro&immutable=1"]
    for options in ways:
        try:
            # Without write access to the folder SQLite cannot map a log; an immutable view reads a file that has none.
            db = sqlite3.connect(f"{path.resolve().as_uri()}?{options}", uri=True, isolation_level=None)
            tables = {str(r[0]) for r in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        except (sqlite3.Error, ValueError):
            continue
        if not tables >= _TABLES:
            db.close()
            raise InputError(
                path.name, "record", "a database without entries", "a record made by fusin release --record"
            )
        return db
    if len(ways) == 1:
        raise InputError(
            path.name, "record", f"a log beside it ({log.name}) that cannot be read from here, or a damaged database",
            "a copy of both files in a folder that can be written to",
        )  # fmt: skip
    raise InputError(path.name, "record", "a damaged database", "an undamaged copy of the record")


def _connected(path: Path) -> sqlite3.Connection:
    if path.exists():
        _refuse_foreign(path)
    elif not path.parent.is_dir():
        raise InputError(path.name, "--record", "a folder that is absent", "a folder that exists")
    try:
        db = sqlite3.connect(path, isolation_level=None, timeout=30.0)
        # FULL waits until each commit is on the disk: what is acknowledged survives the loss of power.
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA journal_mode = WAL")
        found = {str(r[0]) for r in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if found and not found >= _TABLES:
            db.close()
            raise InputError(
                path.name, "--record", "a database of something else", "a record made by fusin, or a new name"
            )
        if not found:
            db.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")
    except (sqlite3.Error, ValueError) as err:
        raise InputError(path.name, "--record", str(err), "a record made by fusin, or a new name") from err
    return db


def _refuse_foreign(path: Path) -> None:
    if path.is_dir():
        raise InputError(path.name, "--record", "a folder", "a record file")
    with path.open("rb") as stream:
        head = stream.read(16)
    if head and not head.startswith(b"SQLite format 3\x00"):
        raise InputError(path.name, "--record", "a file of something else", "a record made by fusin, or a new name")


def _entry(row: tuple[Any, ...]) -> Entry:
    try:
        body = json.loads(row[3])
        if not isinstance(body, dict):
            raise TypeError(type(body).__name__)
        return Entry(seq=int(row[0]), prev=str(row[1]), hash=str(row[2]), body=body)
    except (ValueError, TypeError, RecursionError) as err:
        found, needed = "something else", "an entry as fusin writes it: fusin release verify says more"
        raise InputError("record", f"entry {row[0]}", found, needed) from err


def _utc(now: datetime) -> str:
    if now.utcoffset() is None:
        raise InputError("record", "time", now.isoformat(), "a moment with a zone")
    return now.astimezone(UTC).isoformat(timespec="microseconds")


def _zone(now: datetime) -> str:
    return now.isoformat()[-6:] if now.utcoffset() else "+00:00"
