"""The batches of the demonstration: three of a published table, one pinned, recorded, released and signed, one on hold.

Keys and people are made up; the keys come from the seed, so that equal seeds give equal files, and are no keys for real use.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from fusin.files import write_bytes_atomically
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.batch_files import read_batch
from fusin.radiopharmacy.batch_record import advance, enter, sign_batch
from fusin.radiopharmacy.record import Record
from fusin.radiopharmacy.release import assess
from fusin.radiopharmacy.signature import KeyPair, new_key, write_key
from fusin.radiopharmacy.synthetic_batch import DANIEL_2023, SyntheticBatch, batch_text, half_life_readings
from fusin.report.job_output import JobOutput
from fusin.report.release_report import ReleaseOptions, release_report, specification_of

__all__ = ["run_part"]

_END = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
_OPEN = """
[[deviation]]
id = "D-14"
text = "module stopped for 3 min at the cartridge"
status = "open"
"""


def run_part(folder: Path, *, seed: int = 0) -> JobOutput:
    """Write batch records, a record with signatures and its keys; return the release of the first batch.

    Parameters
    ----------
    folder : receives ``batch.toml``, ``daniel2023-1.toml`` to ``-3.toml``, ``batch-on-hold.toml``, ``record.fusin``, ``keys``
    seed : of the readings and of the keys
    """
    rng = np.random.default_rng(seed)
    readings = half_life_readings(586.0, (1.0, 11.0, 21.0), repeatability=0.003, rng=rng)
    first = SyntheticBatch(number="2026-031", end=_END, values=DANIEL_2023[1], readings=readings)
    _write(folder / "batch.toml", batch_text(first))
    for number, values in DANIEL_2023.items():
        made = SyntheticBatch(
            number=f"Daniel 2023, batch {number}", end=_END + timedelta(days=number), product_mbq=values["activity"],
            starting_mbq=str(round(1.48 * float(values["activity"]))), values=values, ge68_percent="1.48e-5",
        )  # fmt: skip
        _write(folder / f"daniel2023-{number}.toml", batch_text(made))
    held = SyntheticBatch(
        number="2026-032", end=_END + timedelta(hours=5), product_mbq="661", starting_mbq="990", values=DANIEL_2023[2],
        releaser="m. maker", extra=_OPEN,
    )  # fmt: skip
    _write(folder / "batch-on-hold.toml", batch_text(held))
    _record(folder, seed)
    moment = _END + timedelta(minutes=26)
    options = ReleaseOptions(record=folder / "record.fusin", actor=first.releaser, now=moment, issued=moment)
    return release_report(folder / "batch.toml", options=options, log=NoticeLog())


def _record(folder: Path, seed: int) -> None:
    """A record in which the batch went from draft to released, signed by analyst and releaser."""
    path = folder / "record.fusin"
    for old in (path, *(folder / f"record.fusin{s}" for s in ("-wal", "-shm"))):
        old.unlink(missing_ok=True)
    keys = {role: _key(folder / "keys" / role, f"fusin demo {seed} {role}") for role in ("analyst", "releaser")}
    log = NoticeLog()
    batch = read_batch(folder / "batch.toml", log)
    release = assess(batch, specification_of(batch, folder), log=log)
    maker, analyst, releaser = batch.people.maker, batch.people.analyst, batch.people.releaser
    at = _END - timedelta(minutes=30)
    with Record(path, now=at, actor=maker) as record:
        enter(record, release, now=at, actor=maker, reason="", log=log)
        advance(record, batch.number, to="in-process", now=at, actor=maker, reason="synthesis started")
        advance(record, batch.number, to="qc", now=_END, actor=maker, reason="synthesis finished")
        sign_batch(
            record,
            batch.number,
            meaning="QC approval",
            key=keys["analyst"],
            now=_END + timedelta(minutes=24),
            actor=analyst,
        )
        advance(
            record, batch.number, to="released", now=_END + timedelta(minutes=25), actor=releaser,
            reason="all pre-release tests pass", key=keys["releaser"],
        )  # fmt: skip
        points = [p.to_json() for p in record.checkpoints()]
    _write(folder / "checkpoint.json", json.dumps(points[-1], indent=2) + "\n")


def _key(path: Path, words: str) -> KeyPair:
    key = new_key(hashlib.sha256(words.encode("utf-8")).digest())
    path.unlink(missing_ok=True)
    path.with_name(path.name + ".pub").unlink(missing_ok=True)
    write_key(key, path)
    return key


def _write(path: Path, text: str) -> None:
    write_bytes_atomically(path, text.encode("utf-8"))
