"""The certificate of a batch: a page (HTML) and a print (PDF) that a qualified person could sign.

Both say the same words from one mapping. The page carries its style under a strict policy and asks the network for nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from importlib import resources
from typing import Any

from fusin.errors import MissingExtra
from fusin.provenance import Notice, versions
from fusin.radiopharmacy.batch_record import BatchStatus, SignedBy, content_sha256
from fusin.radiopharmacy.limits import decimal_text
from fusin.radiopharmacy.release import Release
from fusin.radiopharmacy.release_expiry import IMPURITY_KINDS
from fusin.radiopharmacy.signature import fingerprint
from fusin.report.release_methods import impurity_lines, use_until
from fusin.report.table_text import number_text

__all__ = ["certificate", "certificate_html", "certificate_pdf"]

_WORDS = {
    "release": ("Meets the specification", "good"),
    "conditional": ("Conditional release", "doubt"),
    "hold": ("On hold", "doubt"),
    "reject": ("Rejected", "bad"),
    "recall": ("Recall", "bad"),
}
_VERDICTS = {True: ("pass", "good"), False: ("FAIL", "bad"), None: ("open", "doubt")}
_ROLES = (("Made by", "maker"), ("Tested by", "analyst"), ("Released by", "releaser"))


def certificate(
    release: Release, *, status: BatchStatus | None, notices: Iterable[Notice], issued: datetime | None
) -> dict[str, Any]:
    """Everything that a certificate says, as text.

    Parameters
    ----------
    release : the assessment
    status : of the batch in a record, with its signatures; None without a record
    notices : doubts; warnings and adaptations are printed
    issued : moment of printing; None leaves it out, so that equal inputs give equal bytes
    """
    batch, spec, expiry = release.batch, release.specification, release.expiry
    word, tone = _WORDS[release.decision]
    sources = list(dict.fromkeys(t.source for t in release.tests))
    product, most = batch.of_role("product"), batch.max_injected_volume_ml
    facts = [
        ("Product", spec.product), ("Batch", batch.number), ("Specification", spec.name), ("Recipe", batch.recipe or "not named"),
        ("Activity", f"{decimal_text(product[0].activity_mbq)} MBq at {_time(product[0].time)}" if product else "not recorded"),
        ("Volume", f"{decimal_text(batch.volume_ml)} mL" if batch.volume_ml is not None else "not recorded"),
        ("End of synthesis", _time(batch.times.end_of_synthesis)),
        ("Largest injected volume", "not recorded" if most is None else f"{decimal_text(most)} mL"),
    ]  # fmt: skip
    return {
        "title": "Certificate of analysis and release", "word": word, "tone": tone, "reason": _signs(release.reason),
        "batch": batch.number, "state": status.state if status else "", "facts": facts,
        "expiry": _use(release),
        "tests": [_test(t, sources) for t in release.tests], "sources": sources, "gates": [_signs(g.reason) for g in release.gates],
        "activities": [_activity(a) for a in release.activities], "impurities": impurity_lines(release.impurities),
        "impurity_open": _impurity_open(release), "yields": _yields(release), "half_life": _half_life(release),
        "limits": [(one.name, _time(one.time) if one.time else "never", one.reason) for one in expiry.limits],
        "deviations": [
            (d.id, d.text, f"closed by {d.closed_by}: {d.reason}" if d.closed else "open") for d in batch.deviations
        ],
        "departures": [(d.parameter, d.template, d.found or "not recorded") for d in release.departures],
        "materials": _materials(release), "notices": [(n.severity, n.message) for n in notices if n.severity != "info"],
        "files": [(f.name, f.sha256) for f in batch.raw_files()], "signatures": _signatures(release, status),
        "hashes": _hashes(release, status), "issued": "" if issued is None else issued.isoformat(sep=" ", timespec="minutes"),
        "version": versions()["fusin"], "balances": [_balance(b) for b in release.balances],
    }  # fmt: skip


def certificate_html(content: Mapping[str, Any]) -> str:
    """The certificate as one self-contained page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("fusin.report", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    css = _asset("certificate.css")
    digest = base64.b64encode(hashlib.sha256(css.encode("utf-8")).digest()).decode("ascii")
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return environment.get_template("certificate.html").render(css=Markup(css), policy=policy, **content)


def certificate_pdf(content: Mapping[str, Any]) -> bytes:
    """The certificate as a PDF (A4).

    Raises
    ------
    MissingExtra
        Without the package typst.
    """
    try:
        import typst
    except ImportError as err:
        raise MissingExtra("typst", "pdf", "a certificate as PDF") from err
    made = typst.compile(
        _asset("certificate.typ").encode("utf-8"), sys_inputs={"content": json.dumps(content, ensure_ascii=False)}
    )
    return bytes(made)


def _asset(name: str) -> str:
    return resources.files("fusin.report").joinpath("templates", name).read_text(encoding="utf-8")


def _use(release: Release) -> dict[str, str]:
    """Until when the batch may be used, and why; nothing of it for one that must not be used."""
    heading, moment = use_until(release)
    if release.decision in ("reject", "recall"):
        return {
            "heading": heading,
            "time": moment,
            "binding": f"{_WORDS[release.decision][0].lower()}, see the decision",
            "reason": "",
        }
    return {
        "heading": heading,
        "time": moment,
        "binding": release.expiry.binding or "unknown",
        "reason": release.expiry.reason,
    }


def _impurity_open(release: Release) -> str:
    """What is said where a share of a long-lived impurity belongs and none can be given."""
    rows = [r for r in release.specification.rows if r.kind in IMPURITY_KINDS]
    if not rows or release.impurities:
        return ""
    return f"{', '.join(r.test for r in rows)}: no share with a reference time is recorded yet."


def _balance(one: Any) -> str:
    stands = "consistent" if one.consistent else "NOT 100 %"
    return f"{' + '.join(one.tests)} = {one.sum_percent} % ({stands}, tolerance {one.tolerance_percent})"


def _time(time: datetime | None) -> str:
    return "not recorded" if time is None else time.isoformat(sep=" ", timespec="minutes")


def _test(test: Any, sources: list[str]) -> dict[str, str]:
    word, tone = _VERDICTS[test.passed]
    value = test.value_text()
    if test.computed and test.measured is not None and test.measured.value is not None:
        value = number_text(float(test.measured.value), 4)
        value = f"≤ {value}" if test.measured.qualifier == "<=" else value
    unit = f" {test.unit}" if value and test.unit and not test.statement else ""
    ends = (
        ""
        if test.low is None
        else f"{number_text(test.low)} to {'no end' if test.high is None else number_text(test.high)}"
    )
    return {
        "test": test.test, "method": test.method, "limit": _signs(test.limit), "value": f"{value}{unit}" if value else "—",
        "interval": f"95 %: {ends} ({test.interval})" if ends else "", "verdict": word, "tone": tone,
        "phase": "pre" if test.phase == "pre-release" else "post", "source": str(sources.index(test.source) + 1),
        "reason": "" if test.passed or test.measured is None else _signs(test.reason),
        "how": "computed" if test.computed else "", "rounding": test.rounding,
    }  # fmt: skip


def _signs(text: str) -> str:
    """Comparison signs as they are printed."""
    return text.replace(">=", "≥").replace("<=", "≤")


def _activity(one: Any) -> tuple[str, ...]:
    return (
        one.when, _time(one.time), number_text(one.activity_mbq, 4), number_text(one.concentration_mbq_ml, 4),
        number_text(one.specific_mbq_ug), number_text(one.molar_gbq_umol),
    )  # fmt: skip


def _yields(release: Release) -> list[tuple[str, str]]:
    if release.yields is None:
        return []
    found = []
    for name, one in (
        ("Yield, decay-corrected", release.yields.decay_corrected),
        ("Yield, not corrected", release.yields.not_corrected),
        ("Activity recovered", release.yields.recovery),
    ):
        if one is None or one.value is None:
            continue
        text = f"{100 * one.value:.1f} %"
        if one.low is not None and one.high is not None:
            text += f" ({100 * one.low:.1f} to {100 * one.high:.1f}; 95 %, {one.method})"
        else:
            text += f" ({one.note})"
        found.append((name, text))
    return found


def _half_life(release: Release) -> str:
    found = release.half_life
    if found is None:
        return ""
    chi2 = "" if found.chi2 is None else f"; chi2 {found.chi2:.2f} with {found.df} df, p {found.p:.2f}"
    u = "" if found.u_s is None else f", standard uncertainty {found.u_s / 60:.2f} min"
    readings = f"{found.readings} readings over {found.span_s / 60:.0f} min"
    return f"{found.half_life_s / 60:.2f} min{u} ({readings}; {found.estimate.method}{chi2})"


def _materials(release: Release) -> list[tuple[str, str, str]]:
    batch = release.batch

    def day(value: Any) -> str:
        return "not recorded" if value is None else str(value.isoformat())

    rows = [(r.name, r.lot or "no lot", f"good through {day(r.expiry)}") for r in batch.reagents]
    precursor = batch.precursor
    if precursor.lot or precursor.amount_ug is not None:
        amount = "" if precursor.amount_ug is None else f"{decimal_text(precursor.amount_ug)} ug, "
        rows.insert(
            0,
            (precursor.name or "precursor", precursor.lot or "no lot", f"{amount}good through {day(precursor.expiry)}"),
        )
    return rows + [(i.name, i.id, f"calibration due {day(i.calibration_due)}") for i in batch.instruments]


def _signatures(release: Release, status: BatchStatus | None) -> list[dict[str, str]]:
    """Signatures of the record, or lines to sign by hand."""
    if status is not None and status.signatures:
        return [
            {
                "who": s.signer, "meaning": s.meaning, "time": s.time.replace("T", " ")[:16] + " UTC",
                "key": f"Ed25519 {fingerprint(s.key)} · entry {s.seq}",
                "standing": _standing(release, s),
            }
            for s in status.signatures
        ]  # fmt: skip
    people = release.batch.people
    return [
        {"who": getattr(people, field), "meaning": meaning, "time": "", "key": "", "standing": ""}
        for meaning, field in _ROLES
    ]


def _standing(release: Release, signature: SignedBy) -> str:
    """What a signature stands for; one that releases after the expiry says so, whatever moment of decision was typed."""
    if not signature.holds:
        return "ended by a later change"
    expiry = release.expiry.time
    late = (
        signature.meaning in ("released", "conditionally-released") and expiry is not None and expiry.utcoffset() is not None
        and datetime.fromisoformat(signature.time) > expiry
    )  # fmt: skip
    return "covers this content" + ("; signed after the expiry" if late else "")


def _hashes(release: Release, status: BatchStatus | None) -> list[tuple[str, str]]:
    found = [
        ("Content of the batch record (SHA-256)", content_sha256(release.batch, release.specification)),
        ("Specification (SHA-256)", release.specification.sha256),
    ]
    if status is not None:
        found.append((f"Head of the record, entry {status.seq} (SHA-256)", status.hash))
    return found
