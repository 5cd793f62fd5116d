"""Batches in a record: entered, changed with old and new values, assessed, moved from state to state, signed, exported."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fusin.decay import elapsed_s
from fusin.errors import InputError, Refused
from fusin.files import write_bytes_atomically
from fusin.provenance import NoticeLog, versions
from fusin.radiopharmacy.batch import Batch
from fusin.radiopharmacy.record import Entry, Record
from fusin.radiopharmacy.record_rules import content_hash
from fusin.radiopharmacy.record_verify import first_break_of
from fusin.radiopharmacy.release import Release
from fusin.radiopharmacy.release_states import SIGNED_STATES, State, check_transition, state_of
from fusin.radiopharmacy.signature import KeyPair, canonical_bytes, fingerprint
from fusin.radiopharmacy.specification import Specification

__all__ = [
    "BatchStatus",
    "SignedBy",
    "advance",
    "changes_between",
    "check_step",
    "content_sha256",
    "enter",
    "export_record",
    "known_status",
    "sign_batch",
    "status_of",
]

_README = """Export of a fusin record, verifiable without the program that wrote it.

entries.jsonl     one entry per line: seq, prev, body (canonical JSON as text), hash
checkpoints.json  signed heads
head.json         number and hash of the last entry when this was exported; unsigned
files/            raw files, each named by its SHA-256
keys.json         public keys (Ed25519) that signed, with the names they signed under

hash = SHA-256(prev as text, followed by body as UTF-8); prev of the first entry is 64 zeros.
A signature (Ed25519) covers the canonical JSON of its data without "signature", plus {"what": "fusin record signature"}.
A checkpoint covers the canonical JSON of seq, hash, time, key, plus {"what": "fusin record checkpoint"}.
Canonical JSON: keys sorted, no blanks, UTF-8. With fusin: fusin release verify THIS_FOLDER --key KEY.pub
Research use only. The software supports compliance and does not confer it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedBy:
    """A signature on a batch.

    Attributes
    ----------
    signer, meaning, time, key : who, what it means, when (UTC), and the public key
    seq : entry that holds it
    holds : whether it covers the present content of the batch; a later change ends it
    """

    signer: str
    meaning: str
    time: str
    key: str
    seq: int
    holds: bool

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "signer": self.signer, "meaning": self.meaning, "time": self.time, "key": fingerprint(self.key), "seq": self.seq,
            "holds": self.holds,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchStatus:
    """What a record knows about a batch.

    Attributes
    ----------
    number, state, maker : of the batch
    document, content_sha256 : what was entered last, and its hash
    decision, gates, open_tests, expiry : of the last assessment of this content
    signatures : in their order
    seq, hash : last entry about the batch
    changes : number of changes after the first entry
    """

    number: str
    state: State
    maker: str
    document: Mapping[str, Any]
    content_sha256: str
    specification: Mapping[str, Any]
    decision: str
    gates: tuple[str, ...]
    open_tests: tuple[str, ...]
    expiry: str | None
    signatures: tuple[SignedBy, ...]
    seq: int
    hash: str
    changes: int

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "batch": self.number, "state": self.state, "content_sha256": self.content_sha256, "decision": self.decision,
            "signatures": [s.to_json() for s in self.signatures], "seq": self.seq, "hash": self.hash, "changes": self.changes,
        }  # fmt: skip


def content_sha256(batch: Batch, specification: Specification) -> str:
    """Hash of everything that a signature on a batch covers: the record as read, its raw files, its specification."""
    named = {"name": specification.name, "sha256": specification.sha256}
    return content_hash(batch.document, [f.sha256 for f in batch.raw_files()], named)


def status_of(record: Record, number: str) -> BatchStatus | None:
    """What the record knows about a batch; None when it was never entered."""
    first: Entry | None = None
    last: Entry | None = None
    content: Mapping[str, Any] = {}
    assessed: Mapping[str, Any] = {}
    signed: list[Entry] = []
    state: State = "draft"
    changes = 0
    for entry in record.entries(number):
        last = entry
        if entry.action in ("batch entered", "batch changed"):
            first, content, changes = first or entry, entry.data, changes + (first is not None)
        elif entry.action == "batch assessed":
            assessed = entry.data
        elif entry.action == "batch moved":
            state = state_of(str(entry.data.get("to", "")))
        elif entry.action == "signature":
            signed.append(entry)
    if first is None or last is None:
        return None
    sha, document = str(content.get("content_sha256", "")), content.get("document")
    document = document if isinstance(document, Mapping) else {}
    people = document.get("people")
    current = assessed if assessed.get("content_sha256") == sha else {}
    return BatchStatus(
        number=number, state=state, maker=str(people.get("maker", "")) if isinstance(people, Mapping) else "",
        document=document, content_sha256=sha, specification=_table(content.get("specification")),
        decision=str(current.get("decision", "")), gates=_words(current.get("gates")),
        open_tests=_words(current.get("open_tests")), expiry=_moment(_table(current.get("expiry")).get("time")),
        signatures=tuple(_signed(e, sha) for e in signed), seq=last.seq, hash=last.hash, changes=changes,
    )  # fmt: skip


def enter(record: Record, release: Release, *, now: datetime, actor: str, reason: str, log: NoticeLog) -> BatchStatus:
    """Enter a batch, or what changed in it, and its assessment; equal content and assessment are entered once.

    Parameters
    ----------
    record : open record
    release : assessment of the batch
    now, actor : moment and person
    reason : why it changed; needed when the batch is in the record with another content

    Raises
    ------
    InputError
        For a change without a reason, and a specification that changed under its version.
    """
    with record.together():
        _refuse_damaged(record)
        batch, specification = release.batch, release.specification
        sha, before = content_sha256(batch, specification), status_of(record, batch.number)
        files = batch.raw_files()
        data = {
            "document": batch.document, "content_sha256": sha, "files": [_file(f.name, f.sha256, f.size) for f in files],
            "specification": {"name": specification.name, "sha256": specification.sha256},
        }  # fmt: skip
        if before is None:
            record.append(
                "batch entered", now=now, actor=actor, batch=batch.number, reason=reason, data=data, files=files
            )
        elif before.content_sha256 != sha:
            _refuse_silent_specification(before, specification)
            changes = _changes(before, batch, reason)
            record.append(
                "batch changed", now=now, actor=actor, batch=batch.number, reason=reason, data={**data, "changes": changes},
                files=files,
            )  # fmt: skip
            if any(s.holds for s in before.signatures):
                log.warning(
                    "SIGNATURES_ENDED", f"the change ends the signatures on batch {batch.number}: they cover the content before it",
                    where=batch.where,
                )  # fmt: skip
        assessment = {
            "content_sha256": sha, "decision": release.decision, "reason": release.reason,
            "gates": [g.reason for g in release.gates],
            "open_tests": list(release.open_tests), "expiry": release.expiry.to_json(), "versions": versions(),
            "tests": [{"id": t.id, "value": t.value, "limit": t.limit, "pass": t.passed} for t in release.tests],
        }  # fmt: skip
        if not _same_assessment(record, batch.number, assessment):
            record.append("batch assessed", now=now, actor=actor, batch=batch.number, data=assessment)
        status = status_of(record, batch.number)
        assert status is not None
        return status


def advance(
    record: Record, number: str, *, to: State, now: datetime, actor: str, reason: str, key: KeyPair | None = None
) -> BatchStatus:
    """Move a batch to its next state, signed where it leaves quality control.

    Raises
    ------
    InputError
        For a batch that the record does not hold.
    Refused
        When the sequence, the decision, the roles or a missing signature stand against it.
    """
    with record.together():
        _refuse_damaged(record)
        status = known_status(record, number)
        check_transition(
            status.state, to, decision=status.decision, gates=status.gates, open_tests=status.open_tests, actor=actor,
            maker=status.maker, reason=reason,
        )  # fmt: skip
        if key is None and to in SIGNED_STATES:
            raise Refused(f"the step to {to}", "nobody signs it", "a signature (--key)", "SIGNATURE_MISSING")
        if to in ("released", "conditionally-released"):
            _refuse_expired(status, now)
        if key is not None:
            _refuse_foreign_key(record, key, actor)
        record.append(
            "batch moved", now=now, actor=actor, batch=number, reason=reason, data={"from": status.state, "to": to},
        )  # fmt: skip
        if key is not None:
            record.sign(
                key, meaning=to, batch=number, content_sha256=status.content_sha256, now=now, actor=actor, reason=reason
            )
        return known_status(record, number)


def check_step(record: Record, number: str, *, to: State, actor: str, reason: str) -> BatchStatus:
    """Whether a step would be permitted; nothing is written.

    Raises
    ------
    InputError, Refused
        As for `advance`, except for a missing signature.
    """
    status = known_status(record, number)
    check_transition(
        status.state, to, decision=status.decision, gates=status.gates, open_tests=status.open_tests, actor=actor,
        maker=status.maker, reason=reason,
    )  # fmt: skip
    return status


def sign_batch(
    record: Record, number: str, *, meaning: str, key: KeyPair, now: datetime, actor: str, reason: str = ""
) -> BatchStatus:
    """Sign the present content of a batch with a meaning, such as ``QC approval``.

    Raises
    ------
    InputError
        For an unknown batch, no meaning, or a key that belongs to somebody else.
    """
    with record.together():
        if not meaning.strip():
            raise InputError("signature", "--meaning", "nothing", "what the signature means, such as 'QC approval'")
        _refuse_damaged(record)
        status = known_status(record, number)
        _refuse_foreign_key(record, key, actor)
        record.sign(
            key,
            meaning=meaning.strip(),
            batch=number,
            content_sha256=status.content_sha256,
            now=now,
            actor=actor,
            reason=reason,
        )
        return known_status(record, number)


def known_status(record: Record, number: str) -> BatchStatus:
    """Status of a batch that must be there.

    Raises
    ------
    InputError
        With the batches that are.
    """
    status = status_of(record, number)
    if status is None:
        names = list(dict.fromkeys(e.batch for e in record.entries() if e.batch))
        shown = ", ".join(names[-10:]) or "none yet: fusin release BATCH.toml --record enters one"
        raise InputError(record.path.name, "--batch", number, f"a batch of the record ({shown})")
    return status


def export_record(record: Record, folder: Path) -> tuple[Path, ...]:
    """Write a record as plain files that can be verified offline, without SQLite and without fusin.

    Raises
    ------
    InputError
        When the folder is there and not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(folder.name, "--out", "something that is not empty", "a new folder")
    lines, shas, keys = list[str](), set[str](), dict[str, str]()
    for seq, prev, body, made in record.rows():
        lines.append(json.dumps({"seq": seq, "prev": prev, "body": body, "hash": made}, ensure_ascii=False))
        entry = json.loads(body)
        shas.update(str(f["sha256"]) for f in entry["data"].get("files", ()))
        if entry["action"] == "signature":
            keys[entry["data"]["key"]] = entry["data"]["signer"]
    points = [p.to_json() for p in record.checkpoints()]
    last = record.noted_head() or (0, "")
    noted = json.dumps({"seq": last[0], "hash": last[1]}, indent=2) + "\n"
    written = [
        write_bytes_atomically(folder / "head.json", noted.encode("utf-8")),
        write_bytes_atomically(folder / "entries.jsonl", ("\n".join(lines) + "\n").encode("utf-8")),
        write_bytes_atomically(folder / "checkpoints.json", (json.dumps(points, indent=2) + "\n").encode("utf-8")),
        write_bytes_atomically(
            folder / "keys.json", (json.dumps(keys, indent=2, ensure_ascii=False) + "\n").encode("utf-8")
        ),
        write_bytes_atomically(folder / "README.txt", _README.encode("utf-8")),
    ]
    for sha in sorted(shas):
        content = record.file(sha)
        if content is not None:
            written.append(write_bytes_atomically(folder / "files" / sha, content))
    return tuple(written)


def changes_between(before: Any, after: Any, path: str = "") -> Iterator[dict[str, Any]]:
    """Fields of two documents that differ, with the old and the new value."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in [*before, *(k for k in after if k not in before)]:
            yield from changes_between(before.get(key), after.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(before, list) and isinstance(after, list):
        for number in range(max(len(before), len(after))):
            old = before[number] if number < len(before) else None
            new = after[number] if number < len(after) else None
            yield from changes_between(old, new, f"{path}[{number + 1}]")
    elif before != after:
        yield {"field": path, "old": before, "new": after}


def _table(value: Any) -> Mapping[str, Any]:
    """What should be a table; a record that was changed behind its back may hold anything."""
    return value if isinstance(value, Mapping) else {}


def _words(value: Any) -> tuple[str, ...]:
    return tuple(str(v) for v in value) if isinstance(value, list) else ()


def _moment(value: Any) -> str | None:
    try:
        return str(value) if datetime.fromisoformat(str(value)) else None
    except ValueError:
        return None


def _changes(before: BatchStatus, batch: Batch, reason: str) -> list[dict[str, Any]]:
    """Fields that changed since the batch was entered; they need a reason."""
    changed = list(changes_between(before.document, batch.document))
    if not reason.strip():
        shown = ", ".join(str(c["field"]) for c in changed[:3]) or "a raw file"
        raise InputError(
            batch.where, "reason", f"{len(changed)} changed fields ({shown})", "why they changed (--reason)"
        )
    return changed


def _file(name: str, sha256: str, size: int) -> dict[str, Any]:
    return {"name": name, "sha256": sha256, "size": size}


def _signed(entry: Entry, content: str) -> SignedBy:
    data = entry.data
    return SignedBy(
        signer=str(data.get("signer", "")), meaning=str(data.get("meaning", "")), time=str(data.get("time", "")),
        key=str(data.get("key", "")), seq=entry.seq, holds=data.get("content_sha256") == content,
    )  # fmt: skip


def _refuse_silent_specification(before: BatchStatus, specification: Specification) -> None:
    known = before.specification
    if known.get("name") == specification.name and known.get("sha256") != specification.sha256:
        raise InputError(
            specification.name, "content", "another content than the record pinned under this version",
            "a new version for a changed specification",
        )  # fmt: skip


def _same_assessment(record: Record, number: str, assessment: Mapping[str, Any]) -> bool:
    last = next((e for e in reversed(list(record.entries(number))) if e.action == "batch assessed"), None)
    return last is not None and canonical_bytes(last.data) == canonical_bytes(assessment)


def _refuse_damaged(record: Record) -> None:
    """Nothing is written or signed on top of a change: it would look as if the signer had seen and covered it."""
    found = first_break_of(record)
    if found is not None:
        raise Refused(
            "a further entry", f"{record.path.name} is not intact at entry {found.seq} ({found.kind}): {found.sentence}",
            "a look at fusin release verify, and a copy from before", "RECORD_NOT_INTACT",
        )  # fmt: skip


def _refuse_expired(status: BatchStatus, now: datetime) -> None:
    """Without a moment of decision in the record, the present one must lie before the expiry."""
    times = status.document.get("times")
    if status.expiry is None or (isinstance(times, Mapping) and times.get("decision")):
        return
    expiry = datetime.fromisoformat(status.expiry)
    # Times without an offset are those of the site, like the clock of the computer.
    present = now if expiry.utcoffset() is not None else now.replace(tzinfo=None)
    if elapsed_s(expiry, present) > 0:
        raise Refused(
            "the release",
            f"the batch expired at {status.expiry}",
            "times.decision, where it was decided before",
            "BATCH_EXPIRED",
        )


def _refuse_foreign_key(record: Record, key: KeyPair, actor: str) -> None:
    """A key signs under one name: a second name would let a maker release under it."""
    for entry in record.entries():
        if entry.action != "signature":
            continue
        same_key = entry.data.get("key") == key.public_hex
        if same_key and entry.data.get("signer") != actor.strip():
            raise InputError(
                record.path.name,
                "--key",
                f"the key of {entry.data.get('signer')}",
                f"the key of {actor}: a key signs under one name",
            )
