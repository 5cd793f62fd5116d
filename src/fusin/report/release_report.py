"""A release for people: the decision first, its tests and shelf life, the certificate, and the record it stands in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.batch import Batch
from fusin.radiopharmacy.batch_files import read_batch
from fusin.radiopharmacy.batch_record import BatchStatus, enter, status_of
from fusin.radiopharmacy.recipe import find_recipe, shipped_recipes
from fusin.radiopharmacy.record import Record
from fusin.radiopharmacy.record_verify import Verification, verify_record
from fusin.radiopharmacy.release import Release, assess
from fusin.radiopharmacy.release_tables import (
    ACTIVITY_COLUMNS,
    EXPIRY_COLUMNS,
    IMPURITY_COLUMNS,
    RELEASE_TEST_COLUMNS,
    SPECIFICATION_COLUMNS,
    TRAIL_COLUMNS,
    activity_rows,
    expiry_rows,
    impurity_rows,
    recipe_rows,
    specification_rows,
    test_rows,
    trail_rows,
)
from fusin.radiopharmacy.signature import fingerprint
from fusin.radiopharmacy.specification import (
    Specification,
    find_specification,
    load_specification,
    shipped_specifications,
)
from fusin.report.certificate import certificate, certificate_html, certificate_pdf
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.release_figures import shelf_life_figure
from fusin.report.release_methods import RECORD_METHODS, impurity_lines, release_methods, use_until
from fusin.report.table_text import estimate_text, shown_columns
from fusin.tabular.columns import Column

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ReleaseOptions",
    "recipe_report",
    "release_report",
    "specification_of",
    "specification_report",
    "trail_report",
    "verification_report",
]

_DECISIONS = {
    "release": "RELEASE", "conditional": "CONDITIONAL RELEASE", "hold": "HOLD", "reject": "REJECT", "recall": "RECALL",
}  # fmt: skip


_HEADINGS = {
    "activity_mbq": "MBq", "concentration_mbq_ml": "MBq/mL", "specific_activity_mbq_ug": "MBq/ug",
    "molar_activity_gbq_umol": "GBq/umol",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseOptions:
    """How a batch is assessed and kept.

    Attributes
    ----------
    record : append-only record; None keeps nothing
    actor, reason : who enters it, and why it changed
    pdf : print the certificate as PDF too
    now : present moment with a zone, for the record
    issued : moment on the certificate; None leaves it out
    """

    record: Path | None = None
    actor: str = ""
    reason: str = ""
    pdf: bool = False
    now: datetime | None = None
    issued: datetime | None = None


def release_report(source: Path, *, options: ReleaseOptions, log: NoticeLog) -> JobOutput:
    """Read a batch record, assess it, keep it where a record is named, and print its certificate.

    Raises
    ------
    InputError
        For a batch, a specification or a record that cannot be used.
    NotComputable
        When readings give no half-life.
    MissingExtra
        For a PDF without the package typst.
    """
    batch = read_batch(source, log)
    specification = specification_of(batch, source.parent)
    release, status = assess(batch, specification, log=log), None
    if options.record is not None:
        release, status = _kept(batch, release, options, log)
    document = {**release.to_json(), "record": None if status is None else status.to_json()}
    content = certificate(release, status=status, notices=log.notices, issued=options.issued)
    files: dict[str, str | bytes] = {"certificate.html": certificate_html(content)}
    if options.pdf:
        files["certificate.pdf"] = certificate_pdf(content)
    inputs = [source] + ([source.parent / batch.specification_file] if batch.specification_file else [])
    return JobOutput(
        title=f"Batch {batch.number}: {batch.product}", document=document, sections=tuple(_sections(release, status)),
        summary=_summary(release, status), notices=log.notices,
        provenance=provenance_of(
            (*inputs, *(source.parent / r.raw.name for r in batch.results if r.raw is not None)),
            {"specification": specification.name, "specification_sha256": specification.sha256, "recipe": batch.recipe},
            methods=release_methods(release, record=status is not None),
        ),
        files=files,
    )  # fmt: skip


def specification_of(batch: Batch, folder: Path) -> Specification:
    """The specification that a batch names: its own file, or one that ships with fusin.

    Raises
    ------
    InputError
        When the file holds another specification than the batch names.
    """
    if not batch.specification_file:
        return find_specification(batch.specification)
    found = load_specification(folder / batch.specification_file)
    if batch.specification not in (found.name, found.id):
        raise InputError(
            batch.specification_file, "id and version", found.name, f"{batch.specification}, as the batch says"
        )
    return found


def _kept(batch: Batch, release: Release, options: ReleaseOptions, log: NoticeLog) -> tuple[Release, BatchStatus]:
    """Enter the batch; what the record knows about its state changes what a late failure means."""
    assert options.record is not None
    assert options.now is not None
    actor = options.actor
    if not actor:
        actor = batch.people.maker
        if not actor:
            raise InputError(batch.where, "--actor", "nothing", "the name of the person who enters the batch")
        log.adapted(
            "RECORD_ACTOR_FROM_BATCH", f"no --actor was given, {actor} of people.maker is taken as the one who enters it",
            where=batch.where, used=actor,
        )  # fmt: skip
    with Record(options.record, now=options.now, actor=actor) as record:
        before = status_of(record, batch.number)
        if before is not None and before.state in ("released", "conditionally-released", "recalled", "closed"):
            release = assess(batch, release.specification, log=log, released=True)
        return release, enter(record, release, now=options.now, actor=actor, reason=options.reason, log=log)


def _summary(release: Release, status: BatchStatus | None) -> tuple[str, ...]:
    expiry = release.expiry
    lines = [f"{_DECISIONS[release.decision]}: batch {release.batch.number}, {release.reason}."]
    heading, moment = use_until(release)
    if release.decision in ("reject", "recall"):
        lines.append(f"{heading} {moment}.")
    elif expiry.time is not None:
        lines.append(f"{heading} {moment}: {expiry.binding}.")
    if release.open_tests and release.decision in ("release", "conditional"):
        lines.append(f"Open after release: {', '.join(release.open_tests)}.")
    if status is not None:
        lines.append(f"Record: state {status.state}, entry {status.seq}, head {status.hash[:16]}.")
    return tuple(lines)


def _sections(release: Release, status: BatchStatus | None) -> list[JobSection]:
    tests = _frame(test_rows(release), RELEASE_TEST_COLUMNS)
    shown = shown_columns(
        tests,
        RELEASE_TEST_COLUMNS,
        leave_out=("id", "method", "tag", "computed", "source", "low", "high", "interval_method"),
    )
    lead = [_summary(release, status)[0]]
    if release.gates:
        lead.append("Against a release stand: " + "; ".join(g.reason for g in release.gates) + ".")
    found = [
        JobSection(
            name="tests", title="Tests", text=tuple(lead),
            tables=(JobTable(name="release-tests", title="Tests", frame=tests, shown=shown),),
        )
    ]  # fmt: skip
    figure = shelf_life_figure(release)
    expiry = _frame(expiry_rows(release), EXPIRY_COLUMNS)
    found.append(
        JobSection(
            name="expiry", title="Shelf life", text=(_expiry_sentence(release),),
            tables=(
                JobTable(
                    name="release-expiry", title="Limits", frame=expiry,
                    shown=shown_columns(expiry, EXPIRY_COLUMNS, leave_out=("binding",)),
                ),
            ),
            figures=(figure,) if figure is not None else (),
        )
    )  # fmt: skip
    if release.impurities:
        found.append(_impurities(release))
    if release.activities:
        frame = _frame(activity_rows(release), ACTIVITY_COLUMNS)
        shown = shown_columns(frame, ACTIVITY_COLUMNS, headings=_HEADINGS)
        table = JobTable(name="release-activities", title="Activity of the product", frame=frame, shown=shown)
        found.append(JobSection(name="computed", title="Computed", text=tuple(_computed(release)), tables=(table,)))
    return found


def _impurities(release: Release) -> JobSection:
    """Shares of long-lived impurities, which grow while the product decays."""
    frame = _frame(impurity_rows(release), IMPURITY_COLUMNS)
    shown = shown_columns(frame, IMPURITY_COLUMNS, leave_out=("percent", "at_most", "limit_percent", "crosses"))
    table = JobTable(name="release-impurities", title="Share of the product's activity", frame=frame, shown=shown)
    return JobSection(
        name="impurities", title="Long-lived impurities", text=impurity_lines(release.impurities), tables=(table,)
    )


def _expiry_sentence(release: Release) -> str:
    expiry = release.expiry
    if expiry.time is None:
        return f"No expiry can be given: {expiry.reason}."
    return f"The earliest limit binds: {expiry.binding}, {expiry.time.isoformat(sep=' ', timespec='minutes')}."


def _computed(release: Release) -> list[str]:
    found = []
    if release.yields is not None:
        one = release.yields
        found.append(
            f"Yield {estimate_text(one.decay_corrected, percent=True, method=True)} decay-corrected, "
            f"{estimate_text(one.not_corrected, percent=True)} not corrected, over {one.minutes:.3g} min."
        )
    if release.half_life is not None:
        one_half = release.half_life
        u = "" if one_half.u_s is None else f", standard uncertainty {one_half.u_s / 60.0:.2f} min"
        found.append(f"Half-life {estimate_text(one_half.estimate, method=True)} min{u}.")
    found += [
        f"{' + '.join(b.tests)} = {b.sum_percent} %: {'consistent' if b.consistent else 'not 100 %, and not rescaled'}."
        for b in release.balances
    ]
    return found


def specification_report(name: str | None, *, log: NoticeLog) -> JobOutput:
    """All specifications, or one of them: a shipped one by its name, a site's by its file."""
    if name is None:
        rows = [
            {
                "specification": s.name, "product": s.product, "tests": len(s.rows),
                "without_limit": sum(not r.judged for r in s.rows), "status": s.status, "source": s.source, "sha256": s.sha256,
            }
            for s in shipped_specifications().values()
        ]  # fmt: skip
        frame = _plain(rows)
        table = JobTable(
            name="specifications",
            title="Specifications",
            frame=frame,
            shown=shown_columns(frame, leave_out=("sha256", "source")),
        )
        return _listing("Specifications", {"specifications": rows}, (table,), f"{len(rows)} specifications.", log)
    path = Path(name)
    found = load_specification(path) if name.endswith(".toml") or path.is_file() else find_specification(name)
    frame = _frame(specification_rows(found), SPECIFICATION_COLUMNS)
    shown = shown_columns(frame, SPECIFICATION_COLUMNS, leave_out=("rounding", "source", "reference_time", "method"))
    tables = [JobTable(name="specification", title=found.title, frame=frame, shown=shown)]
    if found.overrides:
        changed = _plain(
            [
                {"row": o.row, "before": o.before, "after": o.after, "reason": o.reason, "source": o.source}
                for o in found.overrides
            ]
        )
        tables.append(JobTable(name="overrides", title=f"Changed from {found.base}", frame=changed))
    document = {"specification": {**found.to_json(), "name": found.name, "sha256": found.sha256}}
    sentence = f"{found.name}, {found.product}. {found.source}. SHA-256 {found.sha256}."
    return _listing(found.title, document, tuple(tables), sentence, log, inputs=(path,) if path.is_file() else ())


def recipe_report(name: str | None, *, log: NoticeLog) -> JobOutput:
    """All recipes, or one of them."""
    recipes = list(shipped_recipes().values()) if name is None else [find_recipe(name)]
    rows = recipe_rows(recipes)
    table = JobTable(name="recipes", title="Recipes", frame=_plain(rows))
    sentence = "None is a default; S, U and M are not verified in a publication."
    return _listing("Recipes", {"recipes": rows}, (table,), sentence, log)


def trail_report(source: Path, number: str | None, *, log: NoticeLog) -> JobOutput:
    """The entries of a record in words, and where its batches stand."""
    from fusin.radiopharmacy.batch_record import known_status

    checked = verify_record(source)
    with Record.reading(source) as record:
        entries = list(record.entries(number))
        names = [number] if number else list(dict.fromkeys(e.batch for e in entries if e.batch))
        statuses = [known_status(record, n) for n in names]
    frame = _frame(trail_rows(entries), TRAIL_COLUMNS)
    stand = _plain(
        [
            {"batch": s.number, "state": s.state, "decision": s.decision or None, "changes": s.changes,
             "signatures": "; ".join(f"{x.meaning}: {x.signer}{'' if x.holds else ' (ended by a change)'}" for x in s.signatures)}
            for s in statuses
        ]
    )  # fmt: skip
    tables = (
        *((JobTable(name="record-batches", title="Batches", frame=stand),) if statuses else ()),
        JobTable(
            name="record-trail",
            title="Trail",
            frame=frame,
            shown=shown_columns(frame, TRAIL_COLUMNS, leave_out=("zone",)),
        ),
    )
    document = {"batches": [s.to_json() for s in statuses], "entries": trail_rows(entries), "intact": checked.intact}
    sentence = f"{len(entries)} entries."
    if not checked.intact:
        first = checked.breaks[0]
        sentence += f" NOT INTACT at entry {first.seq} ({first.kind}): fusin release verify says more."
    return _listing(f"Record {source.name}", document, tables, sentence, log, inputs=(source,))


def verification_report(source: Path, found: Verification, *, log: NoticeLog) -> JobOutput:
    """What a verification found, in words."""
    if found.breaks:
        first = found.breaks[0]
        sentence = f"NOT INTACT at entry {first.seq} ({first.kind}): {first.sentence}."
    else:
        sentence = (
            f"Intact: {found.entries} entries, {found.signatures} signatures, {found.checkpoints} checkpoints, "
            f"{found.files} raw files."
        )
    lines = [sentence, f"Head: entry {found.head_seq}, {found.head_hash}."]
    for key, trusted in found.keys.items():
        names = ", ".join(found.signers.get(key, ())) or "a checkpoint"
        lines.append(f"Key {fingerprint(key)}: {names} ({'given' if trusted else 'known from the record only'}).")
    if found.clock_steps:
        lines.append(f"The clock went back before entries {', '.join(map(str, found.clock_steps))}.")
    lines += [f"{r[0].upper()}{r[1:]}." for r in found.remarks]
    lines += [f"Not visible here: {one}." for one in found.cannot_see]
    frame = _plain([b.to_json() for b in found.breaks])
    tables = (JobTable(name="breaks", title="Where", frame=frame),) if found.breaks else ()
    return JobOutput(
        title=f"Verification of {source.name}", document=found.to_json(),
        sections=(JobSection(name="verification", title="Verification", text=tuple(lines), tables=tables),),
        summary=tuple(lines), notices=log.notices,
        provenance=provenance_of((source,) if source.is_file() else (), {}, methods=RECORD_METHODS),
    )  # fmt: skip


def _listing(
    title: str,
    document: dict[str, Any],
    tables: tuple[JobTable, ...],
    sentence: str,
    log: NoticeLog,
    *,
    inputs: Sequence[Path] = (),
) -> JobOutput:
    return JobOutput(
        title=title, document=document, sections=(JobSection(name="list", title=title, text=(sentence,), tables=tables),),
        summary=(sentence,), notices=log.notices, provenance=provenance_of(inputs, {}),
    )  # fmt: skip


def _frame(rows: list[dict[str, Any]], columns: Sequence[Column]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(rows, columns=[c.name for c in columns])
    return frame.astype({c.name: c.dtype for c in columns})


def _plain(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows)
