"""Manual integration: bounds that somebody moved, each with before, after, reason and name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.chromatogram_method import Edit
from fusin.radiopharmacy.chromatogram_run import AppliedEdit, ChromatogramRun
from fusin.radiopharmacy.integration import Part

__all__ = ["edited_parts", "recorded"]


def edited_parts(
    parts: Sequence[Part], edits: Sequence[Edit], *, where: str, log: NoticeLog
) -> tuple[list[Part], tuple[Edit, ...]]:
    """Apply edits to bounds.

    Parameters
    ----------
    parts : as the method made them
    edits : in their order; one of a name that is not there adds a peak, and then needs both bounds
    where : file for messages
    log : receives one warning per edit

    Raises
    ------
    InputError
        For the removal of what is not there, and an addition without both bounds.
    """
    out = list(parts)
    for edit in edits:
        places = [i for i, p in enumerate(out) if p.name == edit.peak]
        if edit.remove:
            if not places:
                raise InputError(where, "edit", edit.peak, "one of " + ", ".join(p.name for p in out))
            del out[places[0]]
        elif places:
            old = out[places[0]]
            out[places[0]] = replace(
                old,
                start=old.start if edit.start is None else edit.start,
                end=old.end if edit.end is None else edit.end,
            )
        else:
            if edit.start is None or edit.end is None:
                raise InputError(where, "edit", edit.peak, "start and end for a peak that is added, or one of "
                                 + ", ".join(p.name for p in out))  # fmt: skip
            out.append(Part(name=edit.peak, start=edit.start, end=edit.end))
        log.warning("MANUAL_INTEGRATION", f"{edit.peak} was changed by hand by {edit.user}: {edit.reason}", where=where,
                    raw=edit.peak)  # fmt: skip
    return sorted(out, key=lambda p: p.start), tuple(edits)


def recorded(run: ChromatogramRun, before: ChromatogramRun, edits: Sequence[Edit]) -> ChromatogramRun:
    """The edited run with what each edited peak was before and is now."""
    touched = {e.peak for e in edits}
    return replace(
        run,
        pieces=tuple(replace(p, how="edited") if p.name in touched else p for p in run.pieces),
        edits=tuple(
            AppliedEdit(peak=e.peak, reason=e.reason, user=e.user, time=e.time, before=_state(before, e.peak),
                        after=_state(run, e.peak))
            for e in edits
        ),
    )  # fmt: skip


def _state(run: ChromatogramRun, name: str) -> dict[str, Any] | None:
    piece = next((p for p in run.pieces if p.name == name), None)
    if piece is None:
        return None
    return {
        "start": piece.start, "end": piece.end, "area": piece.area,
        "percent": None if piece.percent is None else piece.percent.value,
    }  # fmt: skip
