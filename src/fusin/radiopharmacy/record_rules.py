"""Entries that the program would never have written: a release without a signature, by its maker, or out of sequence.

A chain that holds says that nothing was changed after others had been built on it. Whoever holds the file can still append
entries of their own with right hashes; these must then also keep the rules, which takes a signature for every step that counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fusin.errors import InputError, Refused
from fusin.radiopharmacy.release_states import SIGNED_STATES, State, check_transition, state_of
from fusin.radiopharmacy.signature import canonical_bytes

__all__ = ["broken_rules", "content_hash"]


@dataclass(slots=True)
class _Batch:
    """Where a batch stands while its entries are read in order."""

    state: State = "draft"
    content: str = ""
    maker: str = ""
    assessed: Mapping[str, Any] = field(default_factory=dict)


def content_hash(document: Any, files: list[str], specification: Mapping[str, Any]) -> str:
    """Hash of what a signature on a batch covers: the record as read, its raw files, its specification."""
    content = {
        "document": document, "files": sorted(files),
        "specification": {"name": specification.get("name"), "sha256": specification.get("sha256")},
    }  # fmt: skip
    return hashlib.sha256(canonical_bytes(content)).hexdigest()


def broken_rules(bodies: Mapping[int, Mapping[str, Any]]) -> Iterator[tuple[int, str, str]]:
    """(entry, kind, sentence) of each entry that does not follow from the ones before it.

    Parameters
    ----------
    bodies : entries by their numbers
    """
    batches: dict[str, _Batch] = {}
    names: dict[str, str] = {}
    for seq in sorted(bodies):
        body = bodies[seq]
        data, action = _table(body.get("data")), str(body.get("action", ""))
        number = str(body.get("batch", ""))
        if action in ("batch entered", "batch changed"):
            batch = batches.setdefault(number, _Batch())
            batch.content, people = (
                str(data.get("content_sha256", "")),
                _table(_table(data.get("document")).get("people")),
            )
            batch.maker = str(people.get("maker", ""))
            if _content(data) != batch.content:
                yield (
                    seq,
                    "edited",
                    f"the content of batch {number} in entry {seq} does not have the hash that stands with it",
                )
        elif action == "batch assessed":
            batches.setdefault(number, _Batch()).assessed = data
        elif action == "batch moved":
            yield from _moved(seq, body, bodies.get(seq + 1), batches)
        elif action == "signature":
            yield from _signed(seq, body, batches, names)


def _moved(
    seq: int, body: Mapping[str, Any], following: Mapping[str, Any] | None, batches: Mapping[str, _Batch]
) -> Iterator[tuple[int, str, str]]:
    """Whether a step was permitted, and signed where it must be."""
    number, actor, data = str(body.get("batch", "")), str(body.get("actor", "")), _table(body.get("data"))
    batch = batches.get(number)
    if batch is None:
        yield seq, "not-permitted", f"entry {seq} moves batch {number}, which was never entered"
        return
    said = batch.assessed if batch.assessed.get("content_sha256") == batch.content else {}
    try:
        to = state_of(str(data.get("to", "")))
        check_transition(
            batch.state, to, decision=str(said.get("decision", "")), gates=_words(said.get("gates")),
            open_tests=_words(said.get("open_tests")), actor=actor, maker=batch.maker, reason=str(body.get("reason", "")),
        )  # fmt: skip
    except (InputError, Refused) as err:
        because = err.because if isinstance(err, Refused) else str(err)
        yield (
            seq,
            "not-permitted",
            f"entry {seq} moves batch {number} to {data.get('to')}, which is not permitted: {because}",
        )
        return
    batch.state = to
    if to not in SIGNED_STATES:
        return
    after = following or {}
    signature = _table(after.get("data")) if after.get("action") == "signature" else {}
    if (signature.get("batch"), signature.get("meaning"), signature.get("signer")) != (number, to, actor):
        yield seq, "not-permitted", f"entry {seq} moves batch {number} to {to} and nobody signed it"


def _signed(
    seq: int, body: Mapping[str, Any], batches: Mapping[str, _Batch], names: dict[str, str]
) -> Iterator[tuple[int, str, str]]:
    """Whether a signature is about this batch and its content, and its key belongs to one name."""
    data, number = _table(body.get("data")), str(body.get("batch", ""))
    batch, signer = batches.get(number), str(data.get("signer", ""))
    if batch is not None and data.get("content_sha256") != batch.content:
        yield seq, "signature", f"the signature in entry {seq} is on another content than batch {number} had then"
    first = names.setdefault(str(data.get("key", "")), signer)
    if first != signer:
        yield seq, "not-permitted", f"entry {seq} is signed by {signer} with the key of {first}"


def _content(data: Mapping[str, Any]) -> str:
    listed = data.get("files")
    files = [str(_table(f).get("sha256", "")) for f in listed] if isinstance(listed, list) else []
    try:
        return content_hash(data.get("document"), files, _table(data.get("specification")))
    except (ValueError, RecursionError):
        return ""


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _words(value: Any) -> tuple[str, ...]:
    return tuple(str(v) for v in value) if isinstance(value, list) else ()
