"""Is a record what was written? The first entry that was edited, deleted, reordered or cut off, and how one knows."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from fusin.errors import InputError
from fusin.radiopharmacy.record import GENESIS, Checkpoint, Record, entry_hash, signed_payload
from fusin.radiopharmacy.record_rules import broken_rules
from fusin.radiopharmacy.record_source import Stored, read_bundle, read_database
from fusin.radiopharmacy.signature import canonical_text, load_public_key, verify_signature

__all__ = [
    "Break",
    "Verification",
    "first_break_of",
    "parse_head",
    "trusted_keys",
    "verify_record",
]

Kind = Literal[
    "edited", "deleted", "reordered", "truncated", "inserted", "raw-file", "signature", "unknown-key", "unreadable",
    "not-permitted",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """One place at which a record is not what was written.

    Attributes
    ----------
    seq : number of the entry; for what is missing, the first missing number
    kind : how it was changed
    sentence : how one knows
    """

    seq: int
    kind: Kind
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {"seq": self.seq, "kind": self.kind, "sentence": self.sentence}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a verification found.

    Attributes
    ----------
    intact : nothing was found
    breaks : in the order of the entries, the first one first
    entries, signatures, checkpoints, files : what was checked
    head_seq, head_hash : the last entry
    keys : public keys that signed, and whether each was given from outside
    anchored_seq : last entry that a signature or checkpoint of a trusted key covers; 0 when none
    signers : names under which each key signed
    clock_steps : entries whose time lies before that of the entry before them
    remarks : what was noticed and proves nothing by itself
    cannot_see : what this verification cannot tell, and what would
    """

    intact: bool
    breaks: tuple[Break, ...]
    entries: int
    signatures: int
    checkpoints: int
    files: int
    head_seq: int
    head_hash: str
    keys: Mapping[str, bool] = field(default_factory=dict)
    anchored_seq: int = 0
    signers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    clock_steps: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()
    cannot_see: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the contract of ``fusin release verify``."""
        return {
            "intact": self.intact, "first_break": self.breaks[0].to_json() if self.breaks else None,
            "breaks": [b.to_json() for b in self.breaks], "entries": self.entries, "signatures": self.signatures,
            "checkpoints": self.checkpoints, "files": self.files, "head": {"seq": self.head_seq, "hash": self.head_hash},
            "keys": [{"key": k, "trusted": t, "signers": list(self.signers.get(k, ()))} for k, t in self.keys.items()],
            "anchored_seq": self.anchored_seq, "clock_steps": list(self.clock_steps), "remarks": list(self.remarks),
            "cannot_see": list(self.cannot_see),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """All hashes that stand in a record, and all numbers under which its entries were written."""

    hashes: frozenset[str]
    written: frozenset[int]


@dataclass(slots=True)
class _Chain:
    """The rows of a record and what was found in them."""

    rows: list[tuple[int, str, str, str]]
    breaks: list[Break] = field(default_factory=list)
    bodies: dict[int, dict[str, Any]] = field(default_factory=dict)
    hashes: dict[int, str] = field(default_factory=dict)


def verify_record(
    path: Path,
    *,
    keys: Collection[str] = (),
    checkpoints: Sequence[Checkpoint] = (),
    head: tuple[int, str] | None = None,
) -> Verification:
    """Verify a record, or the folder of an exported bundle.

    Parameters
    ----------
    path : record, or folder with ``entries.jsonl``
    keys : public keys that are trusted; without any, those inside of the record are believed, which somebody who rewrites
        everything can replace
    checkpoints : signed heads that were kept elsewhere
    head : (seq, hash) that was kept elsewhere, for example on a printed certificate

    Raises
    ------
    InputError
        For what is no record.
    """
    read = read_bundle(path) if path.is_dir() else read_database(path)
    chain = _Chain(read.rows)
    if read.trouble:
        chain.breaks.append(Break(seq=len(read.rows) + 1, kind="unreadable", sentence=read.trouble))
    _walk(chain)
    seen, anchored = _signatures(chain, keys, (*read.points, *checkpoints))
    anchored = max([anchored, *_checkpoints(chain, (*read.points, *checkpoints), keys, seen)])
    _truncation(chain, (*read.points, *checkpoints), read, head)
    _files(chain, read.files)
    last = read.rows[-1] if read.rows else (0, "", "", GENESIS)
    breaks = tuple(sorted(chain.breaks, key=lambda b: b.seq))
    signers = _signers(chain)
    outside = max([p.seq for p in checkpoints] + ([head[0]] if head else []), default=0)
    return Verification(
        intact=not breaks, breaks=breaks, entries=len(read.rows), signatures=sum(len(v) for v in signers.values()),
        checkpoints=len(read.points) + len(checkpoints), files=len(read.files), head_seq=last[0], head_hash=last[3], keys=seen,
        anchored_seq=anchored, signers={k: tuple(dict.fromkeys(v)) for k, v in signers.items()},
        clock_steps=tuple(_clock_steps(chain)), remarks=read.remarks,
        cannot_see=tuple(_unseen(last[0], anchored, outside, keys, signers)),
    )  # fmt: skip


def first_break_of(record: Record) -> Break | None:
    """The first entry of an open record that is not what was written, without its raw files; None when all hold."""
    read = Stored(rows=list(record.rows()), points=tuple(record.checkpoints()), marked=record.noted_head(), noting=True)
    chain = _Chain(read.rows)
    _walk(chain)
    _signatures(chain, (), read.points)
    list(_checkpoints(chain, read.points, (), {}))
    _truncation(chain, read.points, read, None)
    return min(chain.breaks, key=lambda b: b.seq, default=None)


def _unseen(
    last: int, anchored: int, outside: int, keys: Collection[str], signers: Mapping[str, list[str]]
) -> Iterator[str]:
    """What nobody can tell from what was given, and what would tell it."""
    if anchored < last:
        bare = (
            f"entries after {anchored} are covered by no signature"
            if anchored
            else "no entry is covered by a signature that holds"
        )
        yield f"{bare}: who holds the file can rewrite them and build the chain anew"
    if not keys:
        whose = (
            "the keys are those inside of the record, which" if signers else "a record without signatures is one that"
        )
        yield f"{whose} somebody who rewrites everything can make; --key KEY.pub compares with a key that you keep elsewhere"
    for key in keys:
        if key not in signers:
            yield f"nothing here is signed by the given key {key[:16]}: it covers no entry"
    if outside < last or not last:
        since = f"entries after {outside} were" if outside else "the end was"
        yield (
            f"whether {since} cut off, or the file is an older copy, cannot be told from the file alone; a head or checkpoint that "
            "is kept elsewhere tells (--head, --checkpoint)"
        )  # fmt: skip


def _walk(chain: _Chain) -> None:
    """Follow the chain; the first entry that does not fit says how it was changed."""
    parsed = [_body(text) for _, _, text, _ in chain.rows]
    known = _Known(
        hashes=frozenset(h for _, _, _, h in chain.rows), written=frozenset(_number(b) for b in parsed if b is not None)
    )
    prev, expected = GENESIS, 1
    for (seq, before, text, stated), body in zip(chain.rows, parsed, strict=True):
        chain.hashes[seq] = stated
        if body is not None:
            chain.bodies[seq] = body
        if entry_hash(before, text.encode("utf-8", errors="surrogatepass")) != stated:
            sentence = f"the content of entry {seq} does not have the hash that stands with it"
            chain.breaks.append(Break(seq=seq, kind="edited", sentence=sentence))
        elif body is None:
            chain.breaks.append(Break(seq=seq, kind="edited", sentence=f"entry {seq} is no JSON object"))
        else:
            problem = _misplaced(seq, _number(body), before, prev, expected, known)
            if problem is not None:
                chain.breaks.append(problem)
            elif not _canonical(body, text):
                chain.breaks.append(Break(seq=seq, kind="edited", sentence=f"entry {seq} is not in canonical form"))
        prev, expected = stated, seq + 1
    for seq, kind, sentence in broken_rules(chain.bodies):
        chain.breaks.append(Break(seq=seq, kind=cast(Kind, kind), sentence=sentence))


def _misplaced(seq: int, said: int, before: str, prev: str, expected: int, known: _Known) -> Break | None:
    """How an entry whose own hash holds does not fit where it stands."""
    if said != seq:
        if seq in known.written:
            return Break(seq=seq, kind="reordered", sentence=f"entry {said} stands in the place of entry {seq}")
        return Break(seq=seq, kind="deleted", sentence=f"entry {seq} is missing and entry {said} was put in its place")
    if seq < expected:
        return Break(seq=seq, kind="inserted", sentence=f"entry {seq} stands a second time, after entry {expected - 1}")
    if seq != expected:
        which = f"entry {expected}" if seq - expected == 1 else f"entries {expected} to {seq - 1}"
        return Break(seq=expected, kind="deleted", sentence=f"{which} missing before entry {seq}")
    if before != prev:
        kind: Kind = "reordered" if before in known.hashes else "edited"
        sentence = f"entry {seq} was built on another entry {seq - 1} than the one that stands there"
        return Break(seq=max(seq - 1, 1), kind=kind, sentence=sentence)
    return None


def _number(body: Mapping[str, Any]) -> int:
    """Number under which an entry was written, 0 when it says none."""
    said = body.get("seq")
    return said if isinstance(said, int) and not isinstance(said, bool) else 0


def _canonical(body: Mapping[str, Any], text: str) -> bool:
    try:
        return canonical_text(body) == text
    except (ValueError, RecursionError):
        return False


def _body(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _signatures(chain: _Chain, trusted: Collection[str], points: Sequence[Checkpoint]) -> tuple[dict[str, bool], int]:
    """Check every signature; (keys seen, last entry that a trusted one covers)."""
    seen: dict[str, bool] = {}
    pointed, anchored = {p.seq for p in points}, 0
    for seq, body in chain.bodies.items():
        data = body.get("data")
        if body.get("action") != "signature" or not isinstance(data, dict):
            continue
        key, covered = str(data.get("key", "")), data.get("signed_seq")
        seen.setdefault(key, key in trusted)
        if not verify_signature(key, str(data.get("signature", "")), signed_payload(data)):
            sentence = f"the signature in entry {seq} does not hold: it, its meaning or what it signs was changed"
            chain.breaks.append(Break(seq=seq, kind="signature", sentence=sentence))
        elif not isinstance(covered, int) or chain.hashes.get(covered) != data.get("signed_hash"):
            which = f"one of the entries {anchored + 1} to {covered}"
            sentence = f"{which} is not what entry {seq} signed: the chain was built anew"
            first = covered if isinstance(covered, int) else seq
            chain.breaks.append(Break(seq=first, kind="edited", sentence=sentence))
        elif (wrong := _misapplied(seq, body, data)) is not None:
            sentence = f"the signature in entry {seq} was made for another entry: its {wrong} is another one"
            chain.breaks.append(Break(seq=seq, kind="signature", sentence=sentence))
        elif trusted and key not in trusted:
            sentence = f"entry {seq} is signed by a key that is not among those given ({key[:16]})"
            chain.breaks.append(Break(seq=seq, kind="unknown-key", sentence=sentence))
        else:
            anchored = max(anchored, covered)
            if seq not in pointed:
                sentence = f"the checkpoint that was made with the signature in entry {seq} is gone"
                chain.breaks.append(Break(seq=seq, kind="deleted", sentence=sentence))
    return seen, anchored


def _misapplied(seq: int, body: Mapping[str, Any], data: Mapping[str, Any]) -> str | None:
    """The field in which a valid signature and the entry around it differ: it was copied from elsewhere, or edited around."""
    said = {
        "number": data.get("signed_seq"),
        "batch": data.get("batch"),
        "signer": data.get("signer"),
        "time": data.get("time"),
    }
    stands = {"number": seq - 1, "batch": body.get("batch"), "signer": body.get("actor"), "time": body.get("time")}
    if "reason" in data:
        said["reason"], stands["reason"] = data["reason"], body.get("reason")
    return next((name for name in said if said[name] != stands[name]), None)


def _signers(chain: _Chain) -> dict[str, list[str]]:
    """Names by key, one for each signature."""
    found: dict[str, list[str]] = {}
    for body in chain.bodies.values():
        data = body.get("data")
        if body.get("action") == "signature" and isinstance(data, dict):
            found.setdefault(str(data.get("key", "")), []).append(str(data.get("signer", "")))
    return found


def _checkpoints(
    chain: _Chain, points: Sequence[Checkpoint], trusted: Collection[str], seen: dict[str, bool]
) -> Iterator[int]:
    """Check every checkpoint against the chain; yields the entries that hold."""
    for point in points:
        seen.setdefault(point.key, point.key in trusted)
        if not verify_signature(point.key, point.signature, point.payload()):
            sentence = f"the checkpoint of entry {point.seq} is not signed by its key"
            chain.breaks.append(Break(seq=point.seq, kind="signature", sentence=sentence))
        elif trusted and point.key not in trusted:
            sentence = f"the checkpoint of entry {point.seq} is signed by a key that is not among those given"
            chain.breaks.append(Break(seq=point.seq, kind="unknown-key", sentence=sentence))
        elif point.seq in chain.hashes and chain.hashes[point.seq] != point.hash:
            sentence = f"entry {point.seq} or one before it is not what its checkpoint of {point.time} signed"
            chain.breaks.append(Break(seq=point.seq, kind="edited", sentence=sentence))
        elif point.seq in chain.hashes:
            yield point.seq


def _truncation(chain: _Chain, points: Sequence[Checkpoint], read: Stored, head: tuple[int, str] | None) -> None:
    """Whether the end is missing: a head that was noted, signed or printed lies beyond the last entry."""
    last, marked = max(chain.hashes, default=0), read.marked
    if marked is None and read.noting:
        sentence = f"the head that the record notes is gone: entries after {last} may have been cut off"
        chain.breaks.append(Break(seq=last + 1, kind="truncated", sentence=sentence))
    noted = [(p.seq, p.hash, f"a checkpoint of {p.time}") for p in points]
    noted += [(*marked, "the head that the record itself notes")] if marked else []
    noted += [(*head, "the head that was given")] if head else []
    beyond = [n for n in noted if n[0] > last]
    if beyond:
        seq, _, who = max(beyond)
        count = seq - last
        which = f"entry {seq}" if count == 1 else f"entries {last + 1} to {seq}"
        chain.breaks.append(Break(seq=last + 1, kind="truncated", sentence=f"{which} cut off: {who} names entry {seq}"))
    for seq, expected, who in noted:
        if seq in chain.hashes and chain.hashes[seq] != expected and "checkpoint" not in who:
            sentence = f"entry {seq} or one before it was changed: {who} names another hash"
            chain.breaks.append(Break(seq=seq, kind="edited", sentence=sentence))
    if marked and marked[0] < last:
        sentence = f"entries after {marked[0]} were added without the head that the record notes"
        chain.breaks.append(Break(seq=marked[0] + 1, kind="inserted", sentence=sentence))


def _files(chain: _Chain, files: Mapping[str, str]) -> None:
    """Raw files that an entry names must be there and have the content that their hash says."""
    for seq, body in chain.bodies.items():
        data = body.get("data")
        named = data.get("files") if isinstance(data, dict) else None
        for file in named if isinstance(named, list) else []:
            sha = str(file.get("sha256", "")) if isinstance(file, dict) else ""
            name = file.get("name") if isinstance(file, dict) else file
            if sha not in files:
                sentence = f"the raw file {name} of entry {seq} is not in the record"
                chain.breaks.append(Break(seq=seq, kind="raw-file", sentence=sentence))
            elif files[sha] != sha:
                sentence = f"the raw file {name} of entry {seq} has another content than its hash says"
                chain.breaks.append(Break(seq=seq, kind="raw-file", sentence=sentence))


def _clock_steps(chain: _Chain) -> Iterator[int]:
    """Entries that claim to be older than the one before; a clock was set back, or somebody was careless."""
    before = ""
    for seq in sorted(chain.bodies):
        time = str(chain.bodies[seq].get("time", ""))
        if before and time < before:
            yield seq
        before = max(time, before)


def trusted_keys(sources: Sequence[str]) -> frozenset[str]:
    """Public keys from files or digits."""
    return frozenset(load_public_key(s) for s in sources)


def parse_head(text: str) -> tuple[int, str]:
    """Entry and hash from ``12:ab34...``.

    Raises
    ------
    InputError
        For anything else.
    """
    # Hashes that are copied out of a PDF carry the invisible marks at which it may break them.
    seq, _, digest = "".join(c for c in text if c.isprintable() and not c.isspace()).partition(":")
    if not seq.isdigit() or len(digest) != len(GENESIS) or set(digest.lower()) - set("0123456789abcdef"):
        raise InputError(
            "record head", "--head", text[:80], "ENTRY:HASH with the 64 digits of the hash, such as 12:ab34..."
        )
    return int(seq), digest.lower()
