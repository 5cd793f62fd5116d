"""Reading a batch record: units, times, commas, raw files, chromatogram documents; every mistake in one sentence."""

from __future__ import annotations

import hashlib
import json
import random
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from fusin.errors import FusinError, InputError, StrictRefusal
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.batch_files import batch_from_text, read_batch
from fusin.radiopharmacy.release import assess
from fusin.radiopharmacy.specification import find_specification
from fusin.radiopharmacy.synthetic_batch import DANIEL_2023, SyntheticBatch, batch_text

TEXT = batch_text(
    SyntheticBatch(
        number="T1", end=datetime(2026, 3, 2, 8, 30, tzinfo=UTC), values=DANIEL_2023[1], ge68_percent="1.48e-5"
    )
)


def read(text=TEXT, *, folder=None, strict=False):
    log = NoticeLog(strict=strict)
    return batch_from_text(text, where="batch.toml", folder=folder, log=log), log


@pytest.mark.parametrize(
    "written", ["activity_gbq = 0.586", "activity_kbq = 586000", "activity_bq = 586e6", "activity_mbq = '586'"]
)
def test_an_activity_in_another_unit_is_the_same_activity(written):
    batch, _ = read(TEXT.replace("activity_mbq = 586", written))
    assert batch.of_role("product")[0].activity_mbq == 586


def test_byte_order_mark_and_crlf_change_nothing(tmp_path):
    path = tmp_path / "batch.toml"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    assert read_batch(path, NoticeLog()).results == read()[0].results


def test_a_decimal_comma_in_quotes_is_read_with_a_notice_and_refused_under_strict():
    text = TEXT.replace("value = 6.5", 'value = "6,5"')
    batch, log = read(text)
    assert batch.result("ph").measured.value == Decimal("6.5")
    assert {n.code for n in log} == {"BATCH_DECIMAL_COMMA"}
    with pytest.raises(StrictRefusal):
        read(text, strict=True)


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("time = 2026-03-02T08:30:00+00:00\n", "", "reference time"),
        ("activity_mbq = 586", "activity = 586", "unit"),
        ("activity_mbq = 586", "activity_mbq = -586", "zero or a positive"),
        ("activity_mbq = 586", "activity_mbq = 1,000", "decimal point in that line"),
        ("activity_mbq = 586", 'activity_mbq = "1,000"', "thousands"),
        ("activity_mbq = 586", 'activity_mbq = "586 MBq"', "plain number"),
        ("amount_ug = 50", "amount_ug = -50", "positive"),
        ("volume_ml = 10", "volume_ml = 0", "positive"),
        ("time = 2026-03-02T08:30:00+00:00", "time = 2026-03-02T08:30:00", "offset"),
        ("time = 2026-03-02T08:30:00+00:00", "time = 2026-03-02", "date and time"),
        ("time = 2026-03-02T08:30:00+00:00", 'time = "02/03/2026 08:30"', "ISO"),
        ("time = 2026-03-02T08:30:00+00:00", "time = 08:30:00", "ISO"),
        ("end_of_synthesis = 2026-03-02T08:30", "end_of_synthesis = 2026-03-02T07:30", "after start_of_synthesis"),
        ("decision = 2026-03-02T08:55", "decision = 2026-03-02T08:05", "after end_of_synthesis"),
        ('role = "product"', 'role = "produkt"', "role"),
        ("[people]", "[poeple]", "people"),
        ("lot = ", "lott = ", "lot"),
        ('instrument = "dc1"', 'instrument = "dc7"', "instrument"),
        ("value = 6.5", "value = nan", "finite"),
        ("value = 6.5", "value = [1]", "number"),
        ("value = 6.5", "", "pending"),
        ('test = "ph"', 'test = "half_life"', "one result per test"),
        ("tolerance_kev = 2", "", "tolerance_kev"),
        ("lines_kev = [511.2, 1077.1, 1021.6]", "lines_kev = 511", "list"),
        ("doses = 2", "doses = 2.5", "whole"),
        ('number = "T1"', "", "number"),
        ("expiry = 2026-05-31", 'expiry = "31.05.2026"', "ISO date"),
    ],
)
def test_a_mistake_is_refused_in_one_sentence_that_names_it(old, new, word):
    assert old in TEXT
    with pytest.raises(InputError, match=word) as refusal:
        read(TEXT.replace(old, new, 1))
    assert "\n" not in str(refusal.value)


def test_a_result_is_read_out_of_a_chromatogram_by_its_key(tmp_path):
    document = {
        "rcp_percent": 99.1,
        "peaks": [{"name": "free Ga", "percent": 0.30000000000000004}, {"name": "product", "percent": 99.7}],
    }
    (tmp_path / "hplc.json").write_text(json.dumps(document))
    text = TEXT.replace("value = 99.8", 'raw_file = "hplc.json"\nkey = "peaks.product.percent"')
    text = text.replace("value = 0.22", 'raw_file = "hplc.json"\nkey = "peaks.free Ga.percent"')
    batch, _ = read(text, folder=tmp_path)
    assert batch.result("hplc_product").measured.value == Decimal("99.7")
    assert batch.result("hplc_free_ga").measured.value == Decimal("0.3"), "binary noise is no digit"
    assert batch.raw_files()[0].sha256 == hashlib.sha256((tmp_path / "hplc.json").read_bytes()).hexdigest()


@pytest.mark.parametrize("key", ["rcp", "peaks.other.percent", "peaks", "rcp_percent.x", "null"])
def test_a_key_that_leads_nowhere_is_refused(tmp_path, key):
    (tmp_path / "hplc.json").write_text('{"rcp_percent": 99.1, "peaks": [{"name": "p", "percent": 1}], "null": null}')
    with pytest.raises(InputError, match="key"):
        read(TEXT.replace("value = 99.8", f'raw_file = "hplc.json"\nkey = "{key}"'), folder=tmp_path)


def test_a_raw_file_that_is_absent_is_refused(tmp_path):
    with pytest.raises(InputError, match="raw_file"):
        read(TEXT.replace("value = 6.5", 'value = 6.5\nraw_file = "ph.jpg"'), folder=tmp_path)


def test_random_edits_never_end_in_a_traceback():
    rng, alphabet = random.Random(2), "0123456789-:.,[]{}=\"'\n abcTZ_µ\x00"
    spec, outcomes = find_specification("pentixafor-daniel-2023@1"), set()
    for _ in range(400):
        text = list(TEXT)
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(text))
            text[place : place + rng.randint(0, 3)] = rng.choice(alphabet)
        outcomes.add(_outcome("".join(text), spec))
    assert outcomes <= {"refused", "release", "hold", "reject"}
    assert "refused" in outcomes


def _outcome(text, spec):
    """The decision, or that the record was refused in one line; any other exception goes on."""
    log = NoticeLog()
    try:
        return assess(batch_from_text(text, where="b.toml", folder=None, log=log), spec, log=log).decision
    except FusinError as err:
        return "refused" if "\n" not in str(err).strip() else f"several lines: {err}"


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"x" * 10, b"[" * 5000])
def test_what_is_no_record_at_all_is_refused(tmp_path, content):
    path = tmp_path / "batch.toml"
    path.write_bytes(content)
    with pytest.raises(InputError):
        read_batch(path, NoticeLog())
    with pytest.raises(InputError):
        read_batch(tmp_path, NoticeLog())
