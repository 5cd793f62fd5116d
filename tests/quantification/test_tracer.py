"""Rules made for CXCR4 tracers say nothing of another tracer."""

from __future__ import annotations

import pytest

from fusin.errors import StrictRefusal
from fusin.provenance import NoticeLog
from fusin.quantification.positivity import Readout, RuleResult
from fusin.quantification.tracer import check_tracer, evidence_tracer, withheld


@pytest.mark.parametrize("name", ["Pentixafor", "[68Ga]Ga-Pentixafor", "68Ga-CPCR4.2", "PentixaTher", "PTF"])
def test_cxcr4_tracers_are_read(name):
    log = NoticeLog()
    assert check_tracer({"radiopharmaceutical": name}, log)
    assert len(log) == 0


@pytest.mark.parametrize("name", ["FDG", "68Ga-DOTATATE", "Fluorodeoxyglucose", "PSMA-11"])
def test_other_tracers_are_named_and_refused_in_strict_mode(name):
    log = NoticeLog()
    assert not check_tracer({"radiopharmaceutical": name}, log)
    assert [n.code for n in log] == ["TRACER_NOT_CXCR4"]
    with pytest.raises(StrictRefusal):
        check_tracer({"radiopharmaceutical": name}, NoticeLog(strict=True))


def test_an_unnamed_tracer_is_a_warning():
    log = NoticeLog()
    assert check_tracer({"radiopharmaceutical": None}, log)
    assert [n.code for n in log] == ["TRACER_UNKNOWN"]


def test_a_withheld_readout_holds_no_verdict_and_no_score():
    rule = RuleResult(rule_id="r", title="t", verdict=True, because="x", citation="c", tag="V", lesions=(1,))
    readout = withheld(Readout(rules=(rule,), score=5, score_name="s", score_because="b"), "FDG")
    assert [r.verdict for r in readout.rules] == [None]
    assert readout.score is None
    assert "FDG" in readout.score_because


@pytest.mark.parametrize(
    ("name", "nuclide", "expected"),
    [
        ("Pentixafor", "Ga-68", "68Ga-pentixafor"),
        (None, None, "68Ga-pentixafor"),
        ("AlF-NOTA-Pentixafor", "F-18", "18F-AlF-NOTA-pentixafor"),
        ("AlF-NOTA-Pentixather", "F-18", "18F-AlF-NOTA-pentixather"),
        ("FDG", "F-18", "FDG"),
    ],
)
def test_the_evidence_tables_are_asked_for_the_scans_own_tracer(name, nuclide, expected):
    assert evidence_tracer({"radiopharmaceutical": name, "nuclide": nuclide}) == expected
