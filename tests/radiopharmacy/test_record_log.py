"""The log beside a record: a kill leaves a torn end, a change leaves finished transactions that nobody reads."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from fusin.radiopharmacy.record import Record
from fusin.radiopharmacy.record_log import LogState, log_of, log_state
from fusin.radiopharmacy.record_verify import verify_record

NOW = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)


@pytest.fixture
def logged(tmp_path):
    """A record whose last five entries stand in the log only, as after a kill."""
    path = tmp_path / "record.fusin"
    with Record(path, now=NOW, actor="x") as record:
        for number in range(8):
            record.append("note", now=NOW, actor="x", data={"number": number})
    script = (
        "import os, sys; from datetime import UTC, datetime; from pathlib import Path\n"
        "from fusin.radiopharmacy.record import Record\n"
        "record, now = Record(Path(sys.argv[1]), now=datetime.now(UTC), actor='x'), datetime.now(UTC)\n"
        "for number in range(5): record.append('note', now=now, actor='x', data={'number': number})\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    return path, log_of(path)


def test_a_log_that_was_left_behind_is_read_and_whole(logged):
    path, log = logged
    assert log_state(log) == LogState()
    found = verify_record(path)
    assert found.intact
    assert found.entries == 14


def test_a_changed_log_is_found_though_sqlite_stops_before_it_in_silence(logged):
    path, log = logged
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 1
    log.write_bytes(data)
    found = verify_record(path)
    assert found.entries < 14
    assert (found.breaks[0].seq, found.breaks[0].kind) == (found.entries + 1, "unreadable")
    assert "finished transactions" in found.breaks[0].sentence


def test_a_torn_last_transaction_is_a_remark_because_a_kill_leaves_one(logged):
    path, log = logged
    data = bytearray(log.read_bytes())
    data[-1] ^= 1
    log.write_bytes(data)
    found = verify_record(path)
    assert found.intact
    assert found.entries == 13
    assert "not whole" in found.remarks[0]


@pytest.mark.parametrize("content", [b"junk" * 100, b"x"])
def test_a_log_that_is_none_is_found(logged, content):
    path, log = logged
    log.write_bytes(content)
    found = verify_record(path)
    assert (found.breaks[0].seq, found.breaks[0].kind) == (10, "unreadable")


def test_leftovers_of_an_earlier_round_of_the_log_are_no_loss(tmp_path):
    """SQLite writes a new round over the old one; the rest of the old pages stays behind with other salts."""
    path = tmp_path / "record.fusin"
    with Record(path, now=NOW, actor="x") as record:
        for number in range(20):
            record.append("note", now=NOW, actor="x", data={"number": number})
        record._db.execute("PRAGMA wal_checkpoint(RESTART)")
        record.append("note", now=NOW, actor="x")
        assert log_of(path).stat().st_size > 20 * 4096
        assert log_state(log_of(path)) == LogState()
        assert verify_record(path).intact
