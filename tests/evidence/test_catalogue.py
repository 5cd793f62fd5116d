"""Evidence: every number has a source and a tag, and nothing unverified becomes a default."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from fusin.errors import InputError, NotComputable
from fusin.evidence.catalogue import (
    Catalogue,
    Record,
    all_records,
    cite,
    default_value,
    evidence,
    holds,
)

# Second transcription from the clinical and imaging fact sheets: id -> (op, value, low, high, n, time_min, tag)
SECOND = {
    "normal-uptake-spleen": (None, 5.2, 2.44, 10.55, 90, None, "V"),
    "normal-uptake-kidney": (None, 3.27, 1.52, 17.4, 90, None, "V"),
    "normal-uptake-marrow": (None, 1.76, 0.84, 3.98, 90, None, "V"),
    "normal-uptake-heart": (None, 1.66, 0.88, 2.89, 90, None, "V"),
    "normal-uptake-liver": (None, 1.28, 0.73, 2.45, 90, None, "V"),
    "normal-uptake-waldeyer": (None, 7.41, None, None, 26, None, "V"),
    "normal-uptake-spleen-glioma": (None, 6.62, None, None, 26, None, "V"),
    "positivity-solid-dreher2023": (">", 1.0, None, None, 142, None, "V"),
    "therapy-dreher2023": (">", 10.0, None, None, 142, None, "V"),
    "adrenal-li-hu2023": (">=", 1.65, None, None, 100, 10.0, "V"),
    "adrenal-li-jcem2024": (">=", 1.50, None, None, 208, None, "V"),
    "adrenal-li-jcem2024-specific": (">=", 1.65, None, None, 208, None, "V"),
    "adrenal-li-australia": (">=", 1.50, None, None, 29, 10.0, "V"),
    "adrenal-suvmax-ding2020": (">=", 11.18, None, None, 39, None, "V"),
    "adrenal-lcr-ding2020": (">=", 2.12, None, None, 39, None, "V"),
    "adrenal-llr-ding2020": (">=", 2.36, None, None, 39, None, "V"),
    "adrenal-suvmax-masses": (">=", 7.1, None, None, 81, None, "V"),
    "adrenal-llr-masses": (">=", 2.5, None, None, 81, None, "V"),
    "adrenal-suvmax-nodules": (">", 8.17, None, None, 61, 10.0, "V"),
    "adrenal-suvmean-nodules": (">", 5.57, None, None, 61, 10.0, "V"),
    "adrenal-suvmax-alf-pentixafor": (">=", 5.45, None, None, 95, None, "V"),
    "adrenal-lar-alf-pentixafor": (">=", 1.43, None, None, 95, None, "V"),
    "adrenal-suvmax-alf-pentixather": (None, 11.60, None, None, 48, None, "V"),
    "adrenal-lcr-alf-pentixather": (None, 1.38, None, None, 48, None, "V"),
    "adrenal-llr-alf-pentixather": (None, 5.28, None, None, 48, None, "V"),
    "adrenal-suvmax-claim": (">=", 7.3, None, None, None, None, "U"),
    "protocol-uptake-oncology": (None, 60.0, None, None, None, None, "V"),
    "protocol-uptake-nci": (None, 60.0, 45.0, 90.0, None, None, "V"),
    "protocol-uptake-pa-early": (None, 10.0, None, None, None, None, "V"),
    "protocol-uptake-pa-late": (None, 40.0, None, None, None, None, "V"),
    "protocol-activity-trials": (None, 150.0, 100.0, 200.0, 148, None, "V"),
    "protocol-activity-literature": (None, None, 57.0, 182.0, None, None, "U"),
}


def test_every_record_has_an_id_of_its_own_a_source_and_a_tag():
    records = all_records()
    assert len({r.id for r in records}) == len(records) > 40
    for record in records:
        assert record.source.strip()
        assert record.tag in "VDCUSM"
        if record.is_default_grade:
            assert record.doi or record.pmid or record.url, f"{record.id} has no locator"


@pytest.mark.parametrize("record_id", sorted(SECOND))
def test_record_agrees_with_a_second_transcription(record_id):
    r = evidence(record_id)
    assert (r.op, r.value, r.low, r.high, r.n, r.time_min, r.tag) == SECOND[record_id]


def test_all_adrenal_and_normal_uptake_records_are_transcribed_twice():
    ids = {r.id for r in all_records() if r.kind in ("adrenal-cutoff", "normal-uptake")}
    assert ids <= set(SECOND)


def test_nothing_unverified_is_reachable_as_a_default():
    unverified = [r for r in all_records() if r.tag in "USM"]
    assert {"adrenal-suvmax-claim", "therapy-above-liver", "protocol-activity-literature"} <= {r.id for r in unverified}
    for record in unverified:
        with pytest.raises(NotComputable) as caught:
            default_value(record.id)
        assert caught.value.code == "EVIDENCE_UNVERIFIED"
        assert record.optional or record.method is None


def test_every_verified_single_number_is_a_default():
    for record in all_records():
        if record.is_default_grade and record.value is not None:
            assert default_value(record.id) == record.value


def test_a_window_without_a_single_number_is_no_default():
    with pytest.raises(NotComputable) as caught:
        default_value("protocol-activity-mm")
    assert caught.value.code == "EVIDENCE_NO_SINGLE_VALUE"


def test_an_unknown_id_is_refused_with_near_ones():
    with pytest.raises(InputError, match="adrenal-li-hu2023") as caught:
        evidence("adrenal-li-hu")
    assert pickle.loads(pickle.dumps(caught.value)).found == "adrenal-li-hu"
    with pytest.raises(InputError):
        default_value("no-such-thing")


def test_citation_names_the_source_and_its_best_locator():
    assert cite("adrenal-suvmax-ding2020") == (
        "Ding et al., Eur J Nucl Med Mol Imaging 2020; doi:10.1007/s00259-020-04722-0"
    )
    assert cite("adrenal-li-jcem2024") == "Zhang et al., J Clin Endocrinol Metab 2024; PMID 39626105"
    assert cite("adrenal-suvmax-claim") == "circulating claim; no public source known"


def test_records_cannot_be_changed_and_go_to_json():
    record = evidence("therapy-dreher2023")
    with pytest.raises(ValueError, match="frozen"):
        record.value = 3.0
    assert record.to_json()["clauses"][0]["count"] == 5


def test_operators_are_literal_at_the_limit():
    assert [holds(op, 1.65, 1.65) for op in (">", ">=", "<", "<=")] == [False, True, False, True]


ROW = """
[[record]]
id = "a-b"
title = "x"
kind = "reading"
source = "y"
tag = "V"
"""


def write(folder: Path, text: str) -> Path:
    (folder / "table.toml").write_text(text, encoding="utf-8")
    return folder


def test_another_catalogue_can_be_injected(tmp_path):
    mine = Catalogue.load(write(tmp_path, ROW + "value = 3.0\n"))
    assert default_value("a-b", catalogue=mine) == 3.0
    assert cite("a-b", catalogue=mine) == "y"
    assert [r.id for r in all_records(catalogue=mine)] == ["a-b"]
    with pytest.raises(InputError):
        evidence("adrenal-li-hu2023", catalogue=mine)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (ROW + "vlaue = 3.0\n", "vlaue"),
        (ROW.replace('tag = "V"', 'tag = "X"'), "tag"),
        (ROW.replace('source = "y"', 'source = ""'), "source"),
        (ROW + 'value = "3"\n', "value"),
        (ROW + "low = 1.0\n", "interval"),
        (ROW + 'low = 5.0\nvalue = 3.0\ninterval = "range"\n', "low <= value"),
        (ROW + 'method = "threshold"\n', "clauses"),
        (ROW.replace('tag = "V"', 'tag = "U"') + 'method = "visual"\n', "optional"),
        (ROW.replace("reading", "adrenal-cutoff"), "metric, value and tracer"),
        (ROW.replace("a-b", "A b"), "id"),
        (ROW + ROW, "each id once"),
        ("nonsense", "TOML"),
    ],
)
def test_an_invalid_table_is_refused_with_the_reason(tmp_path, text, complaint):
    with pytest.raises(InputError, match=complaint):
        Catalogue.load(write(tmp_path, text))


def test_a_record_made_in_code_follows_the_same_rules():
    with pytest.raises(ValueError, match="optional"):
        Record(id="a", title="t", kind="therapy", source="s", tag="M", method="visual")
