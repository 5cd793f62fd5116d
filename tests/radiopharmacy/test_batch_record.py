"""Batches in a record: sequence, roles, signatures that end with a change, old and new values, export."""

from __future__ import annotations

import hashlib
import re
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
from fusin.radiopharmacy.record import Record
from fusin.radiopharmacy.record_verify import verify_record
from fusin.radiopharmacy.release import assess
from fusin.radiopharmacy.release_states import PERMITTED, STATES, state_of
from fusin.radiopharmacy.signature import load_private_key, load_public_key, new_key, verify_signature, write_key
from fusin.radiopharmacy.specification import find_specification
from fusin.radiopharmacy.synthetic_batch import DANIEL_2023, SyntheticBatch, batch_text

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
