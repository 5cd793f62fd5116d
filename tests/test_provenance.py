"""Notices and provenance: kept once, in order, strict when asked, and always JSON."""

from __future__ import annotations

import hashlib
import json
import math
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.errors import StrictRefusal
from fusin.provenance import (
    InputFile,
    Method,
    Notice,
    NoticeLog,
    Provenance,
    canonical_json,
    jsonable,
    notice_codes,
    sha256_of,
    versions,
)


def test_a_notice_said_twice_is_kept_once_and_in_order():
    log = NoticeLog()
    log.info("B", "second")
    log.warning("A", "first")
    log.info("B", "second")
    assert [(n.code, n.severity) for n in log] == [("B", "info"), ("A", "warning")]


@pytest.mark.parametrize("difference", [{"where": "elsewhere"}, {"message": "other"}, {"code": "OTHER"}])
def test_notices_that_differ_are_both_kept(difference):
    log = NoticeLog()
    for parts in ({}, difference):
        told = {"code": "A", "message": "m", "where": "w"} | parts
        log.info(told["code"], told["message"], where=told["where"])
    assert len(log) == 2


def test_strict_refuses_adaptations_and_lets_the_rest_pass():
    log = NoticeLog(strict=True)
    log.info("I", "worth knowing")
    log.warning("W", "doubtful")
    with pytest.raises(StrictRefusal, match="weight") as caught:
        log.adapted("WEIGHT_IN_GRAMS", "the weight is in grams", where="series")
    assert caught.value.code == "WEIGHT_IN_GRAMS"


def test_strictness_is_that_of_the_log_that_receives():
    lenient, strict = NoticeLog(), NoticeLog(strict=True)
    lenient.adapted("A", "adapted elsewhere")
    with pytest.raises(StrictRefusal):
        strict.extend(lenient)


def test_a_notice_is_json_whatever_it_carries():
    notice = Notice("A", "adapted", "m", "w", raw=np.float32(1.5), used=[datetime(2024, 1, 1, tzinfo=UTC), math.nan])
    assert json.loads(canonical_json(notice.to_json())) == {
        "code": "A", "severity": "adapted", "message": "m", "where": "w", "raw": 1.5,
        "used": ["2024-01-01T00:00:00+00:00", None],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, None), (math.inf, None), (np.nan, None), (np.int64(3), 3), (np.array([1.0, np.nan]), [1.0, None]),
        (np.bool_(True), True), ((1, 2), [1, 2]), ({1: "a"}, {"1": "a"}), (None, None), (True, True),
        (np.float32(0.5), 0.5), (b"\xff", "b'\\xff'"), ({"a": {"b": math.inf}}, {"a": {"b": None}}),
    ],
)  # fmt: skip
def test_jsonable_turns_values_into_what_json_can_hold(value, expected):
    assert jsonable(value) == expected
    json.loads(canonical_json(value))


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(NESTED)
def test_canonical_json_is_valid_and_stable(value):
    text = canonical_json(value)
    assert canonical_json(json.loads(text)) == text


def test_canonical_json_keeps_letters_of_other_languages():
    assert "Müller" in canonical_json({"name": "Müller"})


def test_a_digest_is_that_of_the_bytes(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"abc" * 100_000)
    assert sha256_of(path) == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_versions_name_what_is_installed_and_what_is_not():
    found = versions("numpy", "no-such-package-at-all")
    assert found["fusin"] == version("fusin")
    assert found["numpy"] == np.__version__
    assert found["no-such-package-at-all"] == "not installed"


def test_provenance_is_json():
    made = Provenance(
        inputs=(InputFile("a/b.dcm", "00", "1.2"),), parameters={"x": np.float64(2.0)}, methods=(Method("m", "c"),),
        versions=versions(),
    )  # fmt: skip
    document = json.loads(canonical_json(made.to_json()))
    assert document["inputs"] == [{"path": "a/b.dcm", "sha256": "00", "uid": "1.2"}]
    assert document["parameters"] == {"x": 2.0}
    assert document["methods"] == [{"id": "m", "citation": "c"}]


def test_the_registry_of_notices_gives_each_code_a_meaning():
    assert all(code.isupper() or "_" in code for code in notice_codes())
    assert all(len(meaning) > 10 for meaning in notice_codes().values())
