"""Batches in a record: sequence, roles, signatures that end with a change, old and new values, export."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import re
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from fusin.errors import InputError, Refused
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.batch_files import batch_from_text
from fusin.radiopharmacy.batch_record import (
    advance,
    changes_between,
    check_step,
    enter,
    export_record,
    sign_batch,
    status_of,
)
from fusin.radiopharmacy.record import GENESIS, Record, entry_hash
from fusin.radiopharmacy.record_verify import verify_record
from fusin.radiopharmacy.release import assess
from fusin.radiopharmacy.release_states import PERMITTED, STATES, state_of
from fusin.radiopharmacy.signature import (
    canonical_bytes,
    load_private_key,
    load_public_key,
    new_key,
    verify_signature,
    write_key,
)
from fusin.radiopharmacy.specification import find_specification
from fusin.radiopharmacy.synthetic_batch import DANIEL_2023, SyntheticBatch, batch_text
from fusin.report.release_report import trail_report

END = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
SPEC = find_specification("pentixafor-daniel-2023@1")
KEY, OTHER = (new_key(hashlib.sha256(w).digest()) for w in (b"releaser", b"analyst"))


def text_of(**more):
    return batch_text(SyntheticBatch(number="B1", end=END, values=DANIEL_2023[1], **more))


def entered(record, text, *, reason="", released=False, log=None):
    log = NoticeLog() if log is None else log
    batch = batch_from_text(text, where="b.toml", folder=None, log=log)
    return enter(
        record, assess(batch, SPEC, log=log, released=released), now=END, actor="M. Maker", reason=reason, log=log
    )


@pytest.fixture
def record(tmp_path):
    with Record(tmp_path / "r.fusin", now=END, actor="M. Maker") as found:
        entered(found, text_of())
        yield found


def go(record, *steps, actor="R. Releaser", key=KEY):
    for step in steps:
        status = advance(
            record,
            "B1",
            to=step,
            now=END,
            actor=actor,
            reason="next",
            key=key if step not in ("in-process", "qc") else None,
        )
    return status


def test_a_batch_walks_through_its_states_to_the_end(record):
    assert go(record, "in-process", "qc", "released").state == "released"
    entered(record, text_of(ge68_percent="1.48e-5"), reason="results after release", released=True)
    assert go(record, "closed").state == "closed"


@pytest.mark.parametrize("to", [s for s in STATES if s not in PERMITTED["draft"]])
def test_no_state_can_be_skipped(record, to):
    with pytest.raises(Refused) as refusal:
        advance(record, "B1", to=to, now=END, actor="R. Releaser", reason="x", key=KEY)
    assert refusal.value.code == "STEP_NOT_PERMITTED"


@pytest.mark.parametrize(
    ("actor", "key", "reason", "code"),
    [
        ("m.  maker", KEY, "x", "MAKER_IS_RELEASER"),
        ("R. Releaser", None, "x", "SIGNATURE_MISSING"),
        ("R. Releaser", KEY, " ", "REASON_MISSING"),
    ],
)
def test_a_release_needs_another_person_a_signature_and_a_reason(record, actor, key, reason, code):
    go(record, "in-process", "qc")
    with pytest.raises(Refused) as refusal:
        advance(record, "B1", to="released", now=END, actor=actor, reason=reason, key=key)
    assert refusal.value.code == code
    assert status_of(record, "B1").state == "qc"


def test_a_batch_on_hold_is_not_released(record):
    entered(record, text_of(extra='[[deviation]]\ntext = "x"\nstatus = "open"\n'), reason="deviation found")
    go(record, "in-process", "qc")
    with pytest.raises(Refused, match="hold") as refusal:
        go(record, "released")
    assert refusal.value.code == "DECISION_STANDS_AGAINST"


def test_a_batch_is_not_closed_with_open_tests(record):
    go(record, "in-process", "qc", "released")
    with pytest.raises(Refused) as refusal:
        go(record, "closed")
    assert refusal.value.code == "POST_RELEASE_TESTS_OPEN"


def test_a_recall_is_possible_from_released_and_from_closed(record):
    go(record, "in-process", "qc", "released")
    assert check_step(record, "B1", to="recalled", actor="x", reason="sterility").state == "released"
    assert go(record, "recalled").state == "recalled"


def test_a_change_ends_the_signatures_and_keeps_old_and_new_values(record):
    go(record, "in-process", "qc")
    assert sign_batch(record, "B1", meaning="QC approval", key=OTHER, now=END, actor="Q. Analyst").signatures[0].holds
    log = NoticeLog()
    status = entered(record, text_of().replace("value = 6.5", "value = 6.6"), reason="typing error", log=log)
    assert not status.signatures[0].holds
    assert "SIGNATURES_ENDED" in {n.code for n in log}
    change = next(e for e in record.entries("B1") if e.action == "batch changed")
    assert [(c["old"], c["new"]) for c in change.data["changes"]] == [("6.5", "6.6")]
    assert change.body["reason"] == "typing error"


def test_a_change_without_a_reason_is_refused_and_nothing_is_written(record):
    before = record.head().seq
    with pytest.raises(InputError, match="reason"):
        entered(record, text_of().replace("value = 6.5", "value = 6.6"))
    assert record.head().seq == before


def test_the_same_content_is_entered_once(record):
    before = record.head().seq
    entered(record, text_of())
    assert record.head().seq == before


def test_a_key_signs_under_one_name(record):
    sign_batch(record, "B1", meaning="QC approval", key=KEY, now=END, actor="M. Maker")
    go(record, "in-process", "qc", actor="M. Maker")
    with pytest.raises(InputError, match="one name"):
        go(record, "released")


def test_an_unknown_batch_is_refused_with_those_that_exist(record):
    with pytest.raises(InputError, match="B1"):
        sign_batch(record, "B2", meaning="x", key=KEY, now=END, actor="y")


def test_an_exported_bundle_is_verified_without_the_database(record, tmp_path):
    go(record, "in-process", "qc", "released")
    export_record(record, tmp_path / "bundle")
    assert verify_record(tmp_path / "bundle", keys=[KEY.public_hex]).intact
    lines = tmp_path / "bundle" / "entries.jsonl"
    lines.write_text(lines.read_text().replace("in-process", "in-procezz"))
    found = verify_record(tmp_path / "bundle")
    assert (found.breaks[0].kind, found.breaks[0].seq) == ("edited", 4)


@pytest.mark.parametrize(
    "line", ["", "{", "[]", '{"seq": "x"}', '{"seq": 1, "prev": "0", "body": "\\ud800", "hash": "0"}']
)
def test_a_damaged_bundle_is_named_and_never_ends_in_a_traceback(record, tmp_path, line):
    export_record(record, tmp_path / "bundle")
    lines = tmp_path / "bundle" / "entries.jsonl"
    lines.write_text(line + "\n" + "\n".join(lines.read_text().splitlines()[1:]))
    assert not verify_record(tmp_path / "bundle").intact


def test_a_private_key_is_private_locked_and_never_overwritten(tmp_path):
    public = write_key(KEY, tmp_path / "k", passphrase=b"open sesame")
    assert (tmp_path / "k").stat().st_mode & 0o777 == 0o600
    assert (
        load_public_key(public)
        == KEY.public_hex
        == load_private_key(tmp_path / "k", passphrase=b"open sesame").public_hex
    )
    for wrong in (None, b"other"):
        with pytest.raises(InputError):
            load_private_key(tmp_path / "k", passphrase=wrong)
    with pytest.raises(InputError, match="never overwritten"):
        write_key(OTHER, tmp_path / "k")
    assert "PRIVATE" not in repr(KEY)


def test_a_signature_holds_for_its_words_and_its_key_only():
    signature = KEY.sign({"meaning": "release"})
    assert verify_signature(KEY.public_hex, signature, {"meaning": "release"})
    assert not verify_signature(KEY.public_hex, signature, {"meaning": "reject"})
    assert not verify_signature(OTHER.public_hex, signature, {"meaning": "release"})
    assert not verify_signature("zz", signature, {"meaning": "release"})


def test_changes_are_listed_field_by_field():
    before, after = {"a": {"b": [1, 2]}, "c": 3}, {"a": {"b": [1, 5, 6]}, "d": 4}
    found = {c["field"]: (c["old"], c["new"]) for c in changes_between(before, after)}
    assert found == {"a.b[2]": (2, 5), "a.b[3]": (None, 6), "c": (3, None), "d": (None, 4)}


def test_states_are_understood_in_the_spellings_of_people():
    assert state_of("Conditionally Released") == "conditionally-released"
    with pytest.raises(InputError):
        state_of("shipped")


def test_a_later_event_never_changes_an_earlier_hash(record):
    first = [e.hash for e in record.entries()]
    go(record, "in-process")
    record.append("note", now=END + timedelta(days=1), actor="x")
    assert [e.hash for e in record.entries()][: len(first)] == first


@pytest.mark.parametrize("zone", ["+00:00", ""])
def test_a_batch_past_its_expiry_is_not_released(record, zone):
    """The shelf life of the batch ends 65 min after the end of its synthesis."""
    text = re.sub(r"decision = .*\n", "", text_of()).replace("+00:00", zone)
    entered(record, text, reason="no moment of decision")
    go(record, "in-process", "qc")
    late = {"to": "released", "actor": "R. Releaser", "reason": "x", "key": KEY}
    with pytest.raises(Refused) as refusal:
        advance(record, "B1", now=END + timedelta(minutes=70), **late)
    assert refusal.value.code == "BATCH_EXPIRED"
    assert advance(record, "B1", now=END + timedelta(minutes=60), **late).state == "released"


def behind(record, *bodies, edit=None):
    """Rewrite the record behind its back with right hashes: edited where asked, with further entries, as a colleague could."""
    db = sqlite3.connect(record.path)
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    rows = [json.loads(b) for (b,) in db.execute("SELECT body FROM entries ORDER BY seq")]
    prev, made = GENESIS, []
    for seq, body in enumerate([*rows, *bodies], start=1):
        text = canonical_bytes({**(edit(body) if edit else body), "seq": seq})
        made.append((seq, prev, text.decode(), entry_hash(prev, text)))
        prev = made[-1][3]
    db.execute("DELETE FROM entries")
    db.executemany("INSERT INTO entries VALUES (?, ?, ?, ?)", made)
    db.execute("UPDATE heads SET seq = ?, hash = ?", (made[-1][0], made[-1][3]))
    db.commit()
    db.close()


def bodies_of(record, action):
    return [dict(e.body) for e in record.entries() if e.action == action]


def first_break(record):
    found = verify_record(record.path)
    return (found.breaks[0].kind, found.breaks[0].sentence) if found.breaks else None


def test_every_step_of_a_batch_keeps_the_rules_that_verification_asks_for(record):
    go(record, "in-process", "qc")
    sign_batch(record, "B1", meaning="QC approval", key=OTHER, now=END, actor="Q. Analyst")
    go(record, "released")
    entered(record, text_of(ge68_percent="1.48e-5"), reason="results after release", released=True)
    go(record, "closed")
    assert first_break(record) is None


def test_a_release_that_nobody_signed_is_found(record):
    go(record, "in-process", "qc")
    step = {**bodies_of(record, "batch moved")[-1], "data": {"from": "qc", "to": "released"}, "actor": "R. Releaser"}
    behind(record, step)
    assert first_break(record) == ("not-permitted", "entry 6 moves batch B1 to released and nobody signed it")


def test_a_signature_that_is_copied_to_another_batch_is_found(record):
    go(record, "in-process", "qc", "released")
    other = text_of().replace('number = "B1"', 'number = "B2"')
    entered(record, other)
    for step in ("in-process", "qc"):
        advance(record, "B2", to=step, now=END, actor="M. Maker", reason="next")
    copied = [{**b, "batch": "B2"} for b in (bodies_of(record, "batch moved")[2], bodies_of(record, "signature")[0])]
    behind(record, *copied)
    kinds = {b.seq: b.kind for b in verify_record(record.path).breaks}
    assert set(kinds) == {12, 13}, "the step that lacks a signature of its own, and the signature of the other batch"
    assert kinds[13] == "signature"


def test_a_release_by_its_maker_is_found_though_it_is_signed(record):
    """Somebody with a key of their own and the file goes round the program."""
    go(record, "in-process", "qc")
    status = status_of(record, "B1")
    record.append(
        "batch moved", now=END, actor="M. Maker", batch="B1", reason="x", data={"from": "qc", "to": "released"}
    )
    record.sign(KEY, meaning="released", batch="B1", content_sha256=status.content_sha256, now=END, actor="M. Maker")
    kind, sentence = first_break(record)
    assert kind == "not-permitted"
    assert "M. Maker made the batch" in sentence


def test_a_key_that_signs_under_two_names_is_found(record):
    content = status_of(record, "B1").content_sha256
    for name in ("R. Releaser", "Somebody Else"):
        record.sign(KEY, meaning="review", batch="B1", content_sha256=content, now=END, actor=name)
    assert first_break(record) == ("not-permitted", "entry 5 is signed by Somebody Else with the key of R. Releaser")


def test_a_signature_on_another_content_is_found(record):
    record.sign(KEY, meaning="review", batch="B1", content_sha256="ab", now=END, actor="R. Releaser")
    assert first_break(record)[0] == "signature"


def test_the_hash_of_its_content_names_the_edited_batch_though_the_chain_was_built_anew(record):
    go(record, "in-process", "qc", "released")
    behind(record, edit=lambda body: json.loads(json.dumps(body).replace("6.5", "7.5")))
    assert verify_record(record.path).breaks[0].seq == 2
    assert "content of batch B1" in first_break(record)[1]


@pytest.mark.parametrize(
    "write",
    [
        lambda record: entered(record, text_of(ge68_percent="1.48e-5"), reason="x"),
        lambda record: go(record, "released"),
        lambda record: sign_batch(record, "B1", meaning="review", key=OTHER, now=END, actor="Q. Analyst"),
    ],
    ids=["enter", "advance", "sign"],
)
def test_nothing_is_signed_on_top_of_a_change(record, write):
    """A decision that was edited from hold to release must not be released: the chain behind it no longer holds."""
    go(record, "in-process", "qc")
    db = sqlite3.connect(record.path)
    db.execute("DROP TRIGGER entries_are_not_edited")
    db.execute("UPDATE entries SET body = replace(body, '6.5', '7.5') WHERE seq = 2")
    db.commit()
    db.close()
    with pytest.raises(Refused) as refusal:
        write(record)
    assert refusal.value.code == "RECORD_NOT_INTACT"
    assert "entry 2" in str(refusal.value)


def test_a_cut_bundle_is_found_through_its_head(record, tmp_path):
    export_record(record, tmp_path / "bundle")
    lines = tmp_path / "bundle" / "entries.jsonl"
    lines.write_text("\n".join(lines.read_text().splitlines()[:-1]) + "\n")
    assert verify_record(tmp_path / "bundle").breaks[0].kind == "truncated"


def test_a_record_is_read_without_being_written(record):
    before = record.path.read_bytes()
    with Record.reading(record.path) as found:
        assert [e.seq for e in found.entries()] == [1, 2, 3]
        with pytest.raises(InputError, match="readonly"):
            found.append("note", now=END, actor="x")
    assert record.path.read_bytes() == before


def test_a_record_that_holds_anything_at_all_is_still_read_or_refused_in_one_sentence(record):
    """Each field of each entry replaced by something else, with right hashes."""
    go(record, "in-process", "qc", "released")
    rng = random.Random(7)
    original = [dict(e.body) for e in record.entries()]
    for value in (None, -1, "", [], {}, [1], {"a": 1}, 1e308):
        for _ in range(6):
            number = rng.randrange(len(original))
            body = original[number]
            field = rng.choice([*(k for k in body if k != "seq"), *(f"data.{k}" for k in body["data"])])
            changed = {**body, "data": {**body["data"], field[5:]: value}} if "." in field else {**body, field: value}
            behind(record, edit=lambda b, n=number, c=changed: c if b["seq"] == n + 1 else original[b["seq"] - 1])
            found = verify_record(record.path)
            if canonical_bytes(changed) != canonical_bytes(body):
                assert not found.intact, (number, field, value)
            with contextlib.suppress(InputError):
                trail_report(record.path, None, log=NoticeLog())
