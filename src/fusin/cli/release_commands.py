"""Verbs of the release: assess a batch, keep it, move and sign it, verify a record, list specifications and recipes."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusin.cli.console import say, talk
from fusin.cli.groups import InputOrVerb
from fusin.cli.options import JsonFlag, OutOption, StrictFlag, finish
from fusin.errors import InputError

if TYPE_CHECKING:
    from fusin.radiopharmacy.signature import KeyPair

__all__ = ["register"]

BatchFile = Annotated[Path | None, typer.Argument(help="Batch record (TOML).", show_default=False)]
RecordFile = Annotated[Path, typer.Argument(help="Record made with --record.", show_default=False)]
RecordOption = Annotated[
    Path | None, typer.Option("--record", help="Append-only record to keep the batch in; made when absent.")
]
ActorOption = Annotated[str, typer.Option("--actor", help="Name of the person who acts.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; needed for a change and for each step.")]
PdfFlag = Annotated[
    bool, typer.Option("--pdf", help="Print the certificate as PDF too; needs --out and the extra [pdf].")
]
BatchOption = Annotated[str, typer.Option("--batch", help="Number of the batch.")]
KeyOption = Annotated[Path, typer.Option("--key", help="Private key of the person who signs.")]
OptionalKey = Annotated[Path | None, typer.Option("--key", help="Private key of the person who signs.")]
PassphraseOption = Annotated[
    Path | None, typer.Option("--passphrase-file", help="File with the passphrase of the key, one line.")
]
PublicKeys = Annotated[
    list[str] | None, typer.Option("--key", help="Public key that is trusted: a .pub file or its digits. Repeatable.")
]
CheckpointOption = Annotated[
    list[Path] | None, typer.Option("--checkpoint", help="Checkpoint that was kept elsewhere (JSON). Repeatable.")
]
HeadOption = Annotated[
    str | None, typer.Option("--head", help="Head that was kept elsewhere: ENTRY:HASH, as a certificate prints it.")
]
NameArgument = Annotated[str | None, typer.Argument(help="One of them, or a site's own file.", show_default=False)]
_TAMPERED = 1


class _BatchOrVerb(InputOrVerb):
    """A group whose first word is a batch record unless it names one of its verbs."""

    input_word = "one batch record"


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    group = typer.Typer(rich_markup_mode=None, add_completion=False, cls=_BatchOrVerb)
    group.callback(invoke_without_command=True)(release)
    for name, verb in (
        ("specifications", specifications), ("recipes", recipes), ("keygen", keygen), ("advance", advance), ("sign", sign),
        ("trail", trail), ("verify", verify), ("export", export),
    ):  # fmt: skip
        group.command(name)(verb)
    app.add_typer(group, name="release")


def release(
    context: typer.Context,
    batch: BatchFile = None,
    out: OutOption = None,
    record: RecordOption = None,
    actor: ActorOption = "",
    reason: ReasonOption = "",
    pdf: PdfFlag = False,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Decide about a batch: its tests, what stands against a release, until when it may be used; with a certificate.

    \b
    Example: fusin release fusin-demo/vial/batch.toml
    """
    if context.invoked_subcommand is not None:
        return
    if batch is None:
        raise typer.BadParameter("a batch record (TOML) is missing; fusin release --help lists the verbs")
    if pdf and out is None:
        raise InputError("--pdf", "option", "no folder", "--out FOLDER, in which the certificate is written")
    from fusin.provenance import NoticeLog
    from fusin.report.release_report import ReleaseOptions, release_report

    now = datetime.now().astimezone()
    options = ReleaseOptions(record=record, actor=actor, reason=reason, pdf=pdf, now=now, issued=now if pdf else None)
    finish(release_report(batch, options=options, log=NoticeLog(strict=strict)), out, as_json=as_json)


def specifications(name: NameArgument = None, out: OutOption = None, as_json: JsonFlag = False) -> None:
    """The specifications that ship with fusin, one of them row by row, or a site's own file.

    \b
    Example: fusin release specifications pentixafor-daniel-2023
    """
    from fusin.provenance import NoticeLog
    from fusin.report.release_report import specification_report

    finish(specification_report(name, log=NoticeLog()), out, as_json=as_json)


def recipes(name: NameArgument = None, out: OutOption = None, as_json: JsonFlag = False) -> None:
    """The recipes that ship with fusin; none is a default.

    \b
    Example: fusin release recipes
    """
    from fusin.provenance import NoticeLog
    from fusin.report.release_report import recipe_report

    finish(recipe_report(name, log=NoticeLog()), out, as_json=as_json)


def keygen(
    file: Annotated[
        Path, typer.Argument(help="File of the new private key; FILE.pub is the public one.", show_default=False)
    ],
    passphrase_file: PassphraseOption = None,
) -> None:
    """Make a key for signatures: a private one that only you can read, and a public one to give away.

    \b
    Example: fusin release keygen my-key
    """
    from fusin.radiopharmacy.signature import fingerprint, new_key, write_key

    key = new_key()
    public = write_key(key, file, passphrase=_passphrase(passphrase_file))
    say(talk(), f"{file} is the private key: keep it. {public} is the public one, {fingerprint(key.public_hex)}.")


def advance(
    record: RecordFile,
    batch: BatchOption,
    to: Annotated[
        str, typer.Option("--to", help="in-process, qc, released, conditionally-released, rejected, recalled, closed.")
    ],
    actor: ActorOption,
    reason: ReasonOption = "",
    key: OptionalKey = None,
    passphrase_file: PassphraseOption = None,
    check: Annotated[bool, typer.Option("--check", help="Only say whether the step is permitted.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Move a batch to its next state; leaving quality control needs a signature.

    \b
    Example: fusin release advance fusin-demo/vial/record.fusin --batch 2026-031 --to recalled --actor R --reason sterility --check
    """
    from fusin.radiopharmacy.batch_record import advance as move
    from fusin.radiopharmacy.batch_record import check_step
    from fusin.radiopharmacy.release_states import state_of

    state = state_of(to)
    with _opened(record, actor) as found:
        if check:
            status = check_step(found, batch, to=state, actor=actor, reason=reason)
        else:
            signer = None if key is None else _key(key, passphrase_file)
            status = move(found, batch, to=state, now=_now(), actor=actor, reason=reason, key=signer)
    _show(
        f"Batch {batch}: {f'the step from {status.state} to {state} is permitted' if check else status.state}",
        status,
        as_json,
    )


def sign(
    record: RecordFile,
    batch: BatchOption,
    key: KeyOption,
    meaning: Annotated[str, typer.Option("--meaning", help="What the signature means, such as 'QC approval'.")],
    actor: ActorOption,
    reason: ReasonOption = "",
    passphrase_file: PassphraseOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Sign the present content of a batch with a meaning; a later change ends the signature.

    \b
    Example: fusin release sign fusin-demo/vial/record.fusin --batch 2026-031 --key fusin-demo/vial/keys/analyst --meaning "QC approval" --actor "Q. Analyst"
    """  # noqa: E501 - a line to paste
    from fusin.radiopharmacy.batch_record import sign_batch

    with _opened(record, actor) as found:
        status = sign_batch(
            found, batch, meaning=meaning, key=_key(key, passphrase_file), now=_now(), actor=actor, reason=reason
        )
    _show(f"Batch {batch}: signed '{meaning}' by {actor}, entry {status.seq}", status, as_json)


def trail(
    record: RecordFile,
    batch: Annotated[str | None, typer.Option("--batch", help="Number of the batch; all without it.")] = None,
    out: OutOption = None,
    as_json: JsonFlag = False,
) -> None:
    """The entries of a record in words: who did what when and why, with old and new values.

    \b
    Example: fusin release trail fusin-demo/vial/record.fusin
    """
    from fusin.provenance import NoticeLog
    from fusin.report.release_report import trail_report

    finish(trail_report(record, batch, log=NoticeLog()), out, as_json=as_json)


def verify(
    record: Annotated[Path, typer.Argument(help="Record, or the folder of an export.", show_default=False)],
    key: PublicKeys = None,
    checkpoint: CheckpointOption = None,
    head: HeadOption = None,
    out: OutOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Verify a record: the first entry that was edited, deleted, reordered or cut off, and how one knows.

    \b
    Example: fusin release verify fusin-demo/vial/record.fusin
    """
    from fusin.provenance import NoticeLog
    from fusin.radiopharmacy.record_source import read_checkpoint
    from fusin.radiopharmacy.record_verify import parse_head, trusted_keys, verify_record
    from fusin.report.release_report import verification_report

    points = [p for path in checkpoint or () for p in read_checkpoint(path)]
    found = verify_record(
        record, keys=trusted_keys(key or ()), checkpoints=points, head=None if head is None else parse_head(head)
    )
    finish(verification_report(record, found, log=NoticeLog()), out, as_json=as_json)
    if not found.intact:
        raise typer.Exit(_TAMPERED)


def export(
    record: RecordFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder for the bundle.")],
    actor: ActorOption = "export",
) -> None:
    """Write a record as plain files that can be verified offline, without fusin.

    \b
    Example: fusin release export fusin-demo/vial/record.fusin --out bundle
    """
    from fusin.radiopharmacy.batch_record import export_record
    from fusin.radiopharmacy.record import Record

    with Record.reading(record) as found:
        written = export_record(found, out)
    say(talk(), f"{len(written)} files in {out}; fusin release verify {out} checks them.")


def _opened(path: Path, actor: str) -> Any:
    from fusin.radiopharmacy.record import Record, open_readonly

    open_readonly(path).close()
    return Record(path, now=_now(), actor=actor)


def _now() -> datetime:
    return datetime.now().astimezone()


def _passphrase(path: Path | None) -> bytes | None:
    if path is None:
        return None
    if not path.is_file():
        raise InputError(path.name, "--passphrase-file", "nothing", "a file with the passphrase, one line")
    text = path.read_bytes().split(b"\n")[0].strip()
    if not text:
        raise InputError(path.name, "--passphrase-file", "an empty line", "a passphrase")
    return text


def _key(path: Path, passphrase_file: Path | None) -> KeyPair:
    from fusin.radiopharmacy.signature import load_private_key

    return load_private_key(path, passphrase=_passphrase(passphrase_file))


def _show(sentence: str, status: Any, as_json: bool) -> None:
    from fusin.cli.console import emit_json

    if as_json:
        emit_json(status.to_json())
    say(talk(as_json=as_json), sentence)
