"""The append-only record: what it takes, what it refuses, what a kill leaves, and every tampering that is found."""

from __future__ import annotations

import hashlib
import json
import os
import random
import select
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fusin.errors import InputError
from fusin.radiopharmacy.batch import RawFile
from fusin.radiopharmacy.record import GENESIS, Record, entry_hash
from fusin.radiopharmacy.record_source import read_checkpoint
from fusin.radiopharmacy.record_verify import parse_head, trusted_keys, verify_record
from fusin.radiopharmacy.signature import canonical_bytes, new_key

NOW = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
KEY = new_key(hashlib.sha256(b"releaser").digest())
RAW = b"t;counts\n0;10\n"
FILE = RawFile(name="run.csv", sha256=hashlib.sha256(RAW).hexdigest(), size=len(RAW), content=RAW)
KILLS = 200


@pytest.fixture
def path(tmp_path):
    """A record of 9 entries: opened, 5 notes, a raw file, a signature (over entry 7) with its checkpoint, a late note."""
    found = tmp_path / "record.fusin"
    with Record(found, now=NOW, actor="M. Maker") as record:
        for number in range(5):
            record.append("note", now=NOW + timedelta(minutes=number), actor="M. Maker", data={"number": number})
        named = [{"name": FILE.name, "sha256": FILE.sha256, "size": FILE.size}]
        record.append(
            "raw file", now=NOW + timedelta(minutes=6), actor="Q. Analyst", data={"files": named}, files=(FILE,)
        )
        record.sign(
            KEY, meaning="release", batch="B1", content_sha256="ab", now=NOW + timedelta(minutes=7), actor="R. Releaser"
        )
        record.append("note", now=NOW + timedelta(minutes=8), actor="M. Maker", data={"number": 5})
    return found


def tamper(path, *statements):
    """Change a record behind its back: without triggers, as somebody with the file would."""
    db = sqlite3.connect(path)
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    for statement, values in statements:
        db.execute(statement, values)
    db.commit()
    db.close()


def rows_of(path):
    db = sqlite3.connect(path)
    found = db.execute("SELECT seq, prev, body, hash FROM entries ORDER BY seq").fetchall()
    db.close()
    return found


def rebuilt(path, *, edit=None, keep=None, keep_signature=True):
    """Edit or cut the record and build its whole chain anew, with a consistent head."""
    prev, made = GENESIS, []
    for seq, _, body, _ in rows_of(path):
        if keep is not None and seq > keep:
            break
        found = json.loads(body)
        if edit is not None:
            found = edit(seq, found)
        if found["action"] == "signature" and not keep_signature:
            found["data"] |= {"signed_hash": made[found["data"]["signed_seq"] - 1][3]}
        text = canonical_bytes(found)
        digest = entry_hash(prev, text)
        made.append((seq, prev, text.decode(), digest))
        prev = digest
    statements = [("DELETE FROM entries", ())]
    statements += [("INSERT INTO entries VALUES (?, ?, ?, ?)", row) for row in made]
    statements += [("UPDATE heads SET seq = ?, hash = ?", (made[-1][0], made[-1][3]))]
    tamper(path, *statements)


def first_break(path, **more):
    found = verify_record(path, **more)
    assert not found.intact
    return found.breaks[0].seq, found.breaks[0].kind


def test_an_untouched_record_is_intact(path):
    found = verify_record(path, keys=[KEY.public_hex])
    assert found.intact
    assert (found.entries, found.signatures, found.checkpoints, found.files, found.anchored_seq) == (9, 1, 1, 1, 8)


def test_the_hash_of_an_entry_is_sha256_of_the_previous_hash_and_the_canonical_entry(path):
    _, prev, body, digest = rows_of(path)[2]
    assert digest == hashlib.sha256(prev.encode() + body.encode()).hexdigest()
    assert body == json.dumps(json.loads(body), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize("seq", range(1, 10))
def test_an_edited_entry_is_found_where_it_stands(path, seq):
    body = rows_of(path)[seq - 1][2].replace("M. Maker", "N. Maker").replace("Q. A", "P. A").replace("R. R", "S. R")
    tamper(path, ("UPDATE entries SET body = ? WHERE seq = ?", (body, seq)))
    assert first_break(path) == (seq, "edited")


@pytest.mark.parametrize("seq", range(1, 9))
def test_an_edited_entry_with_its_own_new_hash_is_found_through_the_next_one(path, seq):
    _, prev, body, _ = rows_of(path)[seq - 1]
    body = body.replace("2026-03-02", "2026-03-03")
    tamper(path, ("UPDATE entries SET body = ?, hash = ? WHERE seq = ?", (body, entry_hash(prev, body.encode()), seq)))
    assert first_break(path) == (seq, "edited")


@pytest.mark.parametrize("seq", range(1, 9))
def test_a_deleted_entry_is_found(path, seq):
    tamper(path, ("DELETE FROM entries WHERE seq = ?", (seq,)))
    assert first_break(path) == (seq, "deleted")


@pytest.mark.parametrize("seq", range(1, 9))
def test_a_deleted_entry_is_found_though_the_others_were_numbered_anew(path, seq):
    tamper(
        path, ("DELETE FROM entries WHERE seq = ?", (seq,)), ("UPDATE entries SET seq = -seq WHERE seq > ?", (seq,)),
        ("UPDATE entries SET seq = -seq - 1 WHERE seq < 0", ()),
    )  # fmt: skip
    assert first_break(path) == (seq, "deleted")


@pytest.mark.parametrize(("one", "other"), [(2, 3), (2, 5), (1, 9), (8, 9)])
def test_swapped_entries_are_found(path, one, other):
    tamper(
        path, ("UPDATE entries SET seq = -1 WHERE seq = ?", (one,)), ("UPDATE entries SET seq = ? WHERE seq = ?", (one, other)),
        ("UPDATE entries SET seq = ? WHERE seq = -1", (other,)),
    )  # fmt: skip
    assert first_break(path) == (one, "reordered")


@pytest.mark.parametrize("last", [3, 8])
def test_a_cut_end_is_found_through_the_noted_head(path, last):
    tamper(path, ("DELETE FROM entries WHERE seq > ?", (last,)))
    assert first_break(path) == (last + 1, "truncated")


def test_a_cut_end_with_a_new_noted_head_is_found_through_the_checkpoint(path):
    rebuilt(path, keep=4)
    assert first_break(path) == (5, "truncated")


def test_a_cut_end_without_checkpoints_inside_needs_what_was_kept_elsewhere(path):
    with Record(path, now=NOW, actor="x") as record:
        kept = tuple(record.checkpoints())
    head = (9, rows_of(path)[-1][3])
    rebuilt(path, keep=4)
    tamper(path, ("DELETE FROM checkpoints", ()))
    assert verify_record(path).intact, "without an anchor a truncation cannot be seen; the page says so"
    assert first_break(path, checkpoints=kept) == (5, "truncated")
    assert first_break(path, head=head) == (5, "truncated")


def edit_entry_3(seq, body):
    return {**body, "data": {"number": 99}} if seq == 3 else body


def test_an_edit_with_the_whole_chain_built_anew_is_found_through_the_signature(path):
    rebuilt(path, edit=edit_entry_3)
    found = verify_record(path, keys=[KEY.public_hex])
    assert not found.intact
    assert "signed" in found.breaks[0].sentence


def test_a_signature_moved_to_the_new_chain_does_not_hold(path):
    rebuilt(path, edit=edit_entry_3, keep_signature=False)
    tamper(path, ("DELETE FROM checkpoints", ()))
    assert first_break(path) == (8, "signature")


def test_a_signature_forged_with_another_key_is_found_when_the_right_key_is_given(path):
    forger = new_key(hashlib.sha256(b"forger").digest())

    def forge(seq, body):
        if body["action"] != "signature":
            return edit_entry_3(seq, body)
        data = {**body["data"], "key": forger.public_hex}
        data.pop("signature")
        return {**body, "data": {**data, "signature": forger.sign({"what": "fusin record signature", **data})}}

    rebuilt(path, edit=forge)
    tamper(path, ("DELETE FROM checkpoints", ()))
    kinds = {b.kind for b in verify_record(path, keys=[KEY.public_hex]).breaks}
    assert kinds & {"unknown-key", "edited"}


@pytest.mark.parametrize("field", ["meaning", "signer", "time", "content_sha256", "batch"])
def test_a_signature_covers_who_what_and_when(path, field):
    def edit(seq, body):
        return {**body, "data": {**body["data"], field: "other"}} if body["action"] == "signature" else body

    rebuilt(path, edit=edit)
    tamper(path, ("DELETE FROM checkpoints", ()))
    assert first_break(path) == (8, "signature")


def test_a_replaced_raw_file_is_found(path):
    tamper(path, ("UPDATE files SET content = ?", (b"t;counts\n0;99\n",)))
    assert first_break(path) == (7, "raw-file")


def test_a_missing_raw_file_is_found(path):
    tamper(path, ("DELETE FROM files", ()))
    assert first_break(path) == (7, "raw-file")


def test_an_entry_added_behind_the_back_is_found(path):
    seq, _, body, digest = rows_of(path)[-1]
    text = body.replace(f'"seq":{seq}', f'"seq":{seq + 1}')
    tamper(
        path, ("INSERT INTO entries VALUES (?, ?, ?, ?)", (seq + 1, digest, text, entry_hash(digest, text.encode())))
    )
    assert first_break(path) == (seq + 1, "inserted")


def test_a_record_whose_end_was_cut_takes_no_further_entry(path):
    tamper(path, ("DELETE FROM entries WHERE seq > 5", ()))
    with Record(path, now=NOW, actor="x") as record, pytest.raises(InputError, match="verify"):
        record.append("note", now=NOW, actor="x")


def test_entries_cannot_be_updated_or_deleted_by_plain_sql(path):
    db = sqlite3.connect(path)
    for statement in ("UPDATE entries SET body = '{}'", "DELETE FROM entries", "DELETE FROM files"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute(statement)
    db.close()


def test_a_clock_that_went_back_is_pointed_out(path):
    with Record(path, now=NOW, actor="x") as record:
        record.append("note", now=NOW - timedelta(days=1), actor="x")
    found = verify_record(path)
    assert found.intact
    assert found.clock_steps == (10,)


def test_a_change_needs_a_reason_an_actor_and_a_zone(path):
    with Record(path, now=NOW, actor="x") as record:
        with pytest.raises(InputError, match="reason"):
            record.append("batch changed", now=NOW, actor="x")
        with pytest.raises(InputError, match="actor"):
            record.append("note", now=NOW, actor=" ")
        with pytest.raises(InputError, match="zone"):
            record.append("note", now=NOW.replace(tzinfo=None), actor="x")
        assert record.head().seq == 9


def _two_notes(record):
    """Two entries of which the second is refused."""
    with record.together():
        record.append("note", now=NOW, actor="x")
        record.append("note", now=NOW, actor="")


def test_several_steps_are_kept_together_or_not_at_all(path):
    with Record(path, now=NOW, actor="x") as record:
        with pytest.raises(InputError):
            _two_notes(record)
        assert record.head().seq == 9


def test_times_are_utc_with_the_declared_zone(path):
    local = datetime.fromisoformat("2026-03-02T10:00:00+01:00")
    with Record(path, now=NOW, actor="x") as record:
        body = record.append("note", now=local, actor="x").body
    assert (body["time"], body["zone"]) == ("2026-03-02T09:00:00.000000+00:00", "+01:00")


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3\x00" + b"\x00" * 200, bytes(range(256)) * 20])
def test_what_is_no_record_is_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "other.db"
    path.write_bytes(content)
    with pytest.raises(InputError) as refusal:
        verify_record(path)
    assert "\n" not in str(refusal.value)


def test_a_database_of_something_else_is_left_alone(tmp_path):
    path = tmp_path / "other.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE patients (name TEXT)")
    db.commit()
    db.close()
    before = path.read_bytes()
    with pytest.raises(InputError, match="something else"):
        Record(path, now=NOW, actor="x")
    assert (
        path.read_bytes()[:100] == before[:100]
        or sqlite3.connect(path).execute("SELECT * FROM patients").fetchall() == []
    )


def test_random_damage_never_ends_in_a_traceback(path):
    rng, data = random.Random(5), path.read_bytes()
    for _ in range(60):
        broken = bytearray(data)
        for _ in range(rng.randint(1, 40)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        path.write_bytes(broken)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        assert _verdict(path) in ("intact", "broken", "refused")


def _verdict(path):
    """What a verification says; any other exception than a refusal goes on."""
    try:
        found = verify_record(path)
    except InputError as err:
        return "refused" if "\n" not in str(err) else "several lines"
    return "intact" if found.intact else "broken"


def test_heads_and_keys_are_refused_unless_they_are_some(tmp_path):
    for text in ("12", "12:ab", "x:" + "0" * 64, "1:" + "z" * 64):
        with pytest.raises(InputError):
            parse_head(text)
    with pytest.raises(InputError):
        trusted_keys(["nonsense"])
    bad = tmp_path / "checkpoint.json"
    bad.write_text('{"seq": 1}')
    with pytest.raises(InputError):
        read_checkpoint(bad)


def test_a_signature_that_is_replayed_later_does_not_count(path):
    """It holds for its bytes; the entry around it says another number than the one that was signed."""
    _, _, body, _ = rows_of(path)[7]
    _append(path, json.loads(body))
    assert first_break(path, keys=[KEY.public_hex]) == (10, "signature")


@pytest.mark.parametrize("field", ["actor", "batch", "reason", "time"])
def test_the_entry_around_a_signature_says_what_was_signed(path, field):
    """Without its checkpoint nothing but the signature itself covers the last signed entry."""
    rebuilt(path, edit=lambda seq, body: {**body, field: "2026"} if seq == 8 else body)
    tamper(path, ("DELETE FROM checkpoints", ()))
    assert first_break(path) == (8, "signature")


def test_a_missing_checkpoint_of_a_signature_is_found(path):
    tamper(path, ("DELETE FROM checkpoints", ()))
    assert first_break(path) == (8, "deleted")


def test_a_missing_note_of_the_head_is_found(path):
    tamper(path, ("DELETE FROM heads", ()))
    assert first_break(path) == (10, "truncated")


def test_an_entry_that_stands_twice_is_found(path):
    row = rows_of(path)[2]
    tamper(
        path, ("ALTER TABLE entries RENAME TO was", ()), ("CREATE TABLE entries (seq, prev, body, hash)", ()),
        ("INSERT INTO entries SELECT * FROM was", ()), ("INSERT INTO entries VALUES (?, ?, ?, ?)", row),
    )  # fmt: skip
    assert first_break(path) == (3, "inserted")


def test_what_cannot_be_seen_is_said_until_it_is_given_from_elsewhere(path):
    rows = rows_of(path)
    alone = " ".join(verify_record(path).cannot_see)
    assert "older copy" in alone
    assert "keep elsewhere" in alone
    assert "entries after 8" in alone
    head = (9, rows[-1][3])
    given = " ".join(verify_record(path, keys=[KEY.public_hex], head=head).cannot_see)
    assert "older copy" not in given
    assert "--key" not in given
    stranger = new_key(hashlib.sha256(b"stranger").digest()).public_hex
    assert any(stranger[:16] in s for s in verify_record(path, keys=[KEY.public_hex, stranger]).cannot_see)


def test_removed_triggers_are_a_remark_and_no_finding(path):
    tamper(path)
    found = verify_record(path)
    assert found.intact
    assert "triggers" in found.remarks[0]


def test_an_older_copy_in_the_place_of_the_record_needs_what_was_kept_elsewhere(path):
    older = path.read_bytes()
    with Record(path, now=NOW, actor="x") as record:
        entry = record.append("note", now=NOW, actor="x")
    path.write_bytes(older)
    assert verify_record(path).intact, "the page says so"
    assert first_break(path, head=(entry.seq, entry.hash)) == (10, "truncated")


def test_a_head_is_read_with_the_marks_that_a_pdf_puts_between_its_digits():
    digest = "ab" * 32
    assert parse_head(" 12:" + "\u200b".join(digest) + "\n") == (12, digest)


def _append(path, body):
    """Append an entry behind the record's back, with a right hash and a right head."""
    seq, _, _, prev = rows_of(path)[-1]
    text = canonical_bytes({**body, "seq": seq + 1})
    digest = entry_hash(prev, text)
    tamper(
        path, ("INSERT INTO entries VALUES (?, ?, ?, ?)", (seq + 1, prev, text.decode(), digest)),
        ("UPDATE heads SET seq = ?, hash = ?", (seq + 1, digest)),
    )  # fmt: skip


def _write_until_killed(path, pipe):
    """Append, and sign every third entry; tell what was acknowledged only after it was."""
    with Record(path, now=NOW, actor="writer") as record:
        number = 0
        while True:
            number += 1
            if number % 3:
                entry = record.append(
                    "note", now=NOW, actor="writer", data={"filler": "x" * (number % 700)}, files=(FILE,)
                )
            else:
                entry = record.sign(KEY, meaning="release", batch="B", content_sha256="c", now=NOW, actor="writer")
            os.write(pipe, f"{entry.seq}:{entry.hash}\n".encode())


def _kill(path, rng):
    """Kill one writer at a random moment; (entries it acknowledged, the last of them)."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            _write_until_killed(path, writing)
        finally:
            os._exit(1)
    os.close(writing)
    if rng.random() < 0.75:
        # Most writers are killed after their first entry, however slow the machine; the others perhaps while they open.
        select.select([reading], [], [], 30.0)
    time.sleep(rng.uniform(0.0, 0.03))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the writer failed instead of being killed"
    with os.fdopen(reading, "rb") as stream:
        lines = stream.read().decode().split("\n")[:-1]
    seq, _, digest = lines[-1].partition(":") if lines else ("0", "", "")
    return len(lines), (int(seq), digest)


def kill_many(folder):
    """Kill 200 writers of ten records, 20 each, and verify after every kill."""
    rng, told = random.Random(3), 0
    for number in range(KILLS // 20):
        path, last = folder / f"record-{number}.fusin", (0, "")
        for _ in range(20):
            count, newest = _kill(path, rng)
            told, last = told + count, newest if count else last
            if last[0]:
                found = verify_record(path, keys=[KEY.public_hex], head=last)
                assert found.intact, found.breaks[0]
                assert found.head_seq >= last[0]
    return told


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_no_kill_in_mid_write_breaks_the_chain_or_loses_an_acknowledged_entry(tmp_path):
    """200 writers are killed with SIGKILL at random moments. They are forked in a process of its own without threads."""
    done = subprocess.run([sys.executable, __file__, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > KILLS // 2, "the writers wrote"


if __name__ == "__main__":
    sys.stdout.write(f"{kill_many(Path(sys.argv[1]))}\n")
