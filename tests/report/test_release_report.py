"""Certificate, figure and demonstration of a release."""

from __future__ import annotations

import builtins
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from fusin.errors import MissingExtra
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.batch_files import batch_from_text
from fusin.radiopharmacy.batch_record import BatchStatus, SignedBy
from fusin.radiopharmacy.record_verify import verify_record
from fusin.radiopharmacy.release import assess
from fusin.radiopharmacy.specification import find_specification
from fusin.radiopharmacy.synthetic_batch import DANIEL_2023, SyntheticBatch, batch_text
from fusin.report.certificate import certificate, certificate_html, certificate_pdf
from fusin.report.demo_release import run_part
from fusin.report.release_figures import shelf_life_figure

END = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)


def made(**more):
    log = NoticeLog()
    batch = batch_from_text(
        batch_text(SyntheticBatch(number="B<1>", end=END, values=DANIEL_2023[2], **more)),
        where="b.toml",
        folder=None,
        log=log,
    )
    return assess(batch, find_specification(batch.specification), log=log), log


def test_the_certificate_says_everything_that_was_judged():
    release, log = made()
    content = certificate(release, status=None, notices=log.notices, issued=None)
    html = certificate_html(content)
    for test in release.tests:
        assert test.test in html
    assert release.expiry.binding in html
    assert release.specification.sha256 in html
    assert "Daniel et al." in html
    assert "100.61" in html
    assert "RESEARCH USE ONLY" in html


def test_the_certificate_prints_what_becomes_of_a_long_lived_impurity():
    """1.48e-5 % doubles every 67.73 min: 2.89e-5 % after 65.4 min, 0.001 % after 411.6 min (15:21)."""
    release, log = made(ge68_percent="1.48e-5")
    html = certificate_html(certificate(release, status=None, notices=log.notices, issued=None))
    line = re.search(r"<p>(Ge-68: .*?)</p>", html)[1]
    assert "0.0000148 % at 2026-03-02 08:30" in line
    assert "0.0000289 % at the expiry, 2026-03-02 09:35" in line
    assert "0.001 % is reached at 2026-03-02 15:21" in line


def test_the_certificate_says_that_no_share_of_an_impurity_is_known():
    release, log = made()
    html = certificate_html(certificate(release, status=None, notices=log.notices, issued=None))
    assert "68Ge breakthrough: no share with a reference time is recorded yet." in html


def test_the_rule_of_comparison_stands_below_each_verdict():
    release, log = made(ge68_percent="1.48e-5")
    content = certificate(release, status=None, notices=log.notices, issued=None)
    rules = {t["test"]: t["rounding"] for t in content["tests"]}
    assert rules["pH"] == "as recorded"
    assert rules["Activity"] == "as computed"
    assert rules["Appearance"] == ""
    assert certificate_html(content).count("as recorded") == sum(r == "as recorded" for r in rules.values())


def test_a_rejected_batch_has_no_moment_until_which_it_may_be_used():
    release, log = made(product_mbq="199")
    content = certificate(release, status=None, notices=log.notices, issued=None)
    assert (content["expiry"]["heading"], content["expiry"]["time"]) == ("Not to be used", "at all")


def test_the_page_lists_the_methods_that_were_used_with_their_citations(tmp_path):
    cited = {m.id: m.citation for m in run_part(tmp_path).provenance.methods}
    assert set(cited) == {
        "specification", "recipe", "comparison", "half-life-of-nuclide", "half-life", "yield", "endotoxin-limit", "hash-chain",
        "ed25519",
    }  # fmt: skip
    assert "Bevington" in cited["half-life"]
    assert "RFC 8032" in cited["ed25519"]
    assert "Daniel et al." in cited["specification"]


def test_text_of_the_record_cannot_become_markup():
    release, log = made(maker="<b>x</b>")
    html = certificate_html(certificate(release, status=None, notices=log.notices, issued=None))
    assert "<b>x</b>" not in html
    assert "B&lt;1&gt;" in html


def test_without_signatures_there_are_lines_to_sign_by_hand():
    release, log = made()
    content = certificate(release, status=None, notices=log.notices, issued=None)
    assert [s["who"] for s in content["signatures"]] == ["M. Maker", "Q. Analyst", "R. Releaser"]
    assert certificate_html(content).count("signature, date and time") == 3


def test_a_pdf_survives_text_that_is_code_elsewhere():
    pytest.importorskip("typst")
    release, log = made(maker="#panic(1) $a$ *b* [c]")
    assert certificate_pdf(certificate(release, status=None, notices=log.notices, issued=END)).startswith(b"%PDF")


def test_a_pdf_without_typst_names_the_extra(monkeypatch):
    plain = builtins.__import__

    def without(name, *arguments, **more):
        if name == "typst":
            raise ImportError(name)
        return plain(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match="pdf"):
        certificate_pdf({})


def test_the_figure_has_a_bar_and_a_time_for_each_limit():
    release, _ = made()
    figure = shelf_life_figure(release)
    names = re.findall(r'class="limit">([^<]+)<', figure.svg)
    assert names == [one.name for one in release.expiry.limits if one.time]
    assert "style=" not in figure.svg


@pytest.mark.parametrize(("minutes", "late"), [(60, False), (70, True)])
def test_a_signature_after_the_expiry_says_so(minutes, late):
    """586 MBq hold two doses of 150 MBq for 65.4 min."""
    release, log = made()
    signed = SignedBy(
        signer="R", meaning="released", time=(END + timedelta(minutes=minutes)).isoformat(), key="ab" * 32, seq=8, holds=True
    )  # fmt: skip
    status = BatchStatus(
        number="B", state="released", maker="M", document={}, content_sha256="", specification={}, decision="release", gates=(),
        open_tests=(), expiry=None, signatures=(signed,), seq=8, hash="cd" * 32, changes=0,
    )  # fmt: skip
    content = certificate(release, status=status, notices=log.notices, issued=None)
    assert ("signed after the expiry" in content["signatures"][0]["standing"]) is late


def test_the_demonstration_keeps_a_signed_record_that_verifies(tmp_path):
    output = run_part(tmp_path, seed=3)
    assert output.document["decision"] == "release"
    assert output.document["record"]["state"] == "released"
    keys = [(tmp_path / "keys" / f"{role}.pub").read_text().strip() for role in ("analyst", "releaser")]
    found = verify_record(tmp_path / "record.fusin", keys=keys)
    assert found.intact
    assert found.anchored_seq == found.head_seq


def test_equal_seeds_give_equal_certificates_and_another_run_replaces_the_first(tmp_path):
    first, second = run_part(tmp_path, seed=1), run_part(tmp_path, seed=1)
    assert first.files["certificate.html"] == second.files["certificate.html"]
    assert json.dumps(first.to_json(), default=str) == json.dumps(second.to_json(), default=str)


def test_the_half_life_of_the_demonstration_covers_its_truth(tmp_path):
    found = run_part(tmp_path).document["half_life"]
    assert found["low_min"] < 67.71 < found["high_min"]
