"""Methods of a release with their citations, as its page lists them, and shares of impurities in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from fusin.nuclides import nuclide
from fusin.provenance import Method
from fusin.radiopharmacy.limits import decimal_text
from fusin.radiopharmacy.recipe import find_recipe
from fusin.radiopharmacy.release import Release
from fusin.radiopharmacy.release_tables import share_text
from fusin.radiopharmacy.specification import find_specification

__all__ = ["RECORD_METHODS", "impurity_lines", "release_methods", "use_until"]

RECORD_METHODS = (
    Method(
        "hash-chain", "Entries chained by SHA-256 (FIPS PUB 180-4) over canonical JSON: hash = SHA-256(previous hash + entry)."
    ),
    Method("ed25519", "Ed25519 signatures: RFC 8032; printed name, time and meaning, bound to the record: 21 CFR 11.50, 11.70."),
)  # fmt: skip


def release_methods(release: Release, *, record: bool = False) -> tuple[Method, ...]:
    """What a release was computed with: only methods that were used."""
    return (*_methods(release), *(RECORD_METHODS if record else ()))


def _methods(release: Release) -> Iterator[Method]:
    batch, specification = release.batch, release.specification
    source = f"{specification.name}: {specification.source}"
    if specification.base:
        source += f", derived from {specification.base}: {find_specification(specification.base).source}"
    yield Method("specification", f"{source}.")
    if batch.recipe:
        yield Method("recipe", f"{batch.recipe}: {find_recipe(batch.recipe).source}.")
    rounded = any(r.limit.rounding != "none" for r in specification.rows if r.judged)
    yield Method(
        "comparison",
        "Result against limit as recorded, not rounded: absolute method of ASTM E29"
        + ("; where the specification says so, rounded half up to the digits of the limit: USP General Notices 7.20."
           if rounded else "."),
    )  # fmt: skip
    one = nuclide(specification.nuclide)
    yield Method("half-life-of-nuclide", f"{one.name}, {one.half_life:g} {one.half_life_unit}: {one.source}.")
    if release.half_life is not None:
        yield _half_life(release)
    if release.yields is not None:
        yield Method(
            "yield", "Quotients of activities, first-order propagation of their uncertainties: JCGM 100:2008, 5.1.2."
        )
    if release.impurities:
        yield Method("impurity-share", "Two-member chain: Bateman H, Proc Cambridge Philos Soc 15 (1910) 423-427.")
    if batch.max_injected_volume_ml is not None and any(r.kind == "endotoxin" for r in specification.rows):
        yield Method("endotoxin-limit", "175 IU per maximum injected volume: Ph. Eur. monograph 2464 (draft text).")


def _half_life(release: Release) -> Method:
    found = release.half_life
    assert found is not None
    text = "Weighted straight line through ln A: Bevington and Robinson, 3rd ed., ch. 6"
    if found.readings == 2:
        text = "T = dt ln 2 / ln(A1/A2)"
    shared = release.batch.half_life is not None and release.batch.half_life.background_u > 0
    text += ", with one background for all readings: Aitken AC, Proc R Soc Edinb 55 (1936) 42-48" if shared else ""
    return Method("half-life", f"{text}; propagation: JCGM 100:2008, 5.1.2. Interval: {found.estimate.method}.")


def impurity_lines(impurities: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """One sentence per impurity: its share at its reference time, at the expiry, and when it reaches its limit."""
    found = []
    for name in dict.fromkeys(str(i["impurity"]) for i in impurities):
        rows = {str(i["when"]): i for i in impurities if i["impurity"] == name}
        first = rows["reference time of the share"]
        parts = [f"{share_text(first['percent'], at_most=first['at_most'])} at {_moment(first['time'])}"]
        if "expiry" in rows:
            last = rows["expiry"]
            parts.append(
                f"{share_text(last['percent'], at_most=last['at_most'])} at the expiry, {_moment(last['time'])}"
            )
        if first["limit_percent"] is None:
            parts.append("no limit that may be used")
        else:
            limit = decimal_text(Decimal(str(first["limit_percent"])))
            never = f"{limit} % is never reached"
            parts.append(f"{limit} % is reached at {_moment(first['crosses'])}" if first["crosses"] else never)
        found.append(f"{name}: {'; '.join(parts)}.")
    return tuple(found)


def _moment(time: str) -> str:
    return datetime.fromisoformat(time).isoformat(sep=" ", timespec="minutes")


def use_until(release: Release) -> tuple[str, str]:
    """(heading, moment) of the use of a batch in view of its decision: a rejected one is not used at all."""
    time = release.expiry.time
    moment = "not known" if time is None else time.isoformat(sep=" ", timespec="minutes")
    if release.decision in ("reject", "recall"):
        return "Not to be used", "at all" if release.decision == "reject" else "any more"
    if release.decision == "hold":
        return "Not to be used before it is released, nor after", moment
    return "Not to be used after", moment
