"""Radiochemical purity from two systems, with each impurity counted once.

A strip shows sums of species: colloid stays at the origin of both usual systems, free gallium moves with citrate and stays at
the origin with methanol and ammonium acetate. ``100 - A - B`` holds only where the two impurity regions share no species; where
the origin of B holds the free gallium of A as well, 100 - B is the purity and B - A the colloid. What a region contains is
therefore stated in the method, and the terms are chosen so that each impurity enters once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Literal

from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.chromatogram_run import ChromatogramRun
from fusin.radiopharmacy.radiochemical_purity import difference, rcp_tlc_hplc, remainder
from fusin.stats.results import Estimate

__all__ = ["Combination", "Rule", "Species", "Term", "combined"]

Rule = Literal["tlc-tlc", "tlc-hplc"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """What one system adds: its letter, the parts that were summed, and their percentage."""

    letter: str
    run: ChromatogramRun
    parts: tuple[str, ...]
    estimate: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Species:
    """The share of one species, and the formula that gives it."""

    name: str
    formula: str
    estimate: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """Two systems together.

    Attributes
    ----------
    rule : ``tlc-tlc`` or ``tlc-hplc``
    formula : in the letters of the terms
    terms : A and B of two strips, A and T of a strip and a run
    rcp : radiochemical purity
    species : shares of single impurities, where two strips tell them
    """

    rule: Rule
    formula: str
    terms: tuple[Term, ...]
    rcp: Estimate
    species: tuple[Species, ...] = ()


@dataclass(frozen=True, slots=True)
class _Region:
    """An impurity region: which strip, which piece, and what it contains."""

    strip: int
    piece: int
    name: str
    species: frozenset[str]


def combined(runs: Sequence[ChromatogramRun], rule: Rule, log: NoticeLog) -> tuple[Combination | None, str]:
    """Combine two systems.

    Parameters
    ----------
    runs : two strips, or a strip and a run, in the order of the files
    rule : which of both
    log : receives what is not stated or contradicts

    Returns
    -------
    tuple
        The combination, or None and the reason.

    Raises
    ------
    InputError
        For an impurity that stands in both systems and cannot be counted once.
    """
    strips = [r for r in runs if r.kind == "tlc"]
    for strip in strips:
        if strip.impurity is None:
            return None, f"no region of {strip.system} has the role impurity"
    regions = [
        _Region(number, place, piece.name, frozenset(piece.contains))
        for number, strip in enumerate(strips)
        for place, piece in enumerate(strip.pieces)
        if piece.role == "impurity"
    ]
    silent = [r.name for r in regions if not r.species]
    if silent:
        log.warning(
            "SPECIES_NOT_STATED",
            f"what {' and '.join(silent)} contain is not stated: a species that lies in both systems (free gallium stays at the "
            'origin with methanol and ammonium acetate) would count twice; state contains = ["free", "colloid"] in the method',
            where=" and ".join(r.trace.where for r in runs),
        )
    if rule == "tlc-tlc":
        return _two_strips(strips, regions, bool(silent), log)
    return _strip_and_run(strips[0], next(r for r in runs if r.kind == "hplc"), regions)


def _two_strips(
    strips: Sequence[ChromatogramRun], regions: Sequence[_Region], silent: bool, log: NoticeLog
) -> tuple[Combination | None, str]:
    if silent:
        names = [{r.name for r in regions if r.strip == n} for n in (0, 1)]
        _refuse_twice(names[0] & names[1], "each impurity in one of the two systems, or contains in both methods")
        chosen: Sequence[_Region] | None = regions
    else:
        against = _contradiction(strips, regions, log)
        if against:
            return None, against
        chosen = _each_once(regions)
    if chosen is None:
        listed = "; ".join(f"{strips[r.strip].system} {r.name}: {' + '.join(sorted(r.species))}" for r in regions)
        return None, f"no sum of the regions counts each impurity once ({listed})"
    shown = frozenset().union(*(r.species for r in regions))
    hidden = {s for strip in strips for p in strip.pieces for s in p.contains} - shown - {"product"}
    if hidden:
        log.warning("PRODUCT_NOT_ALONE", f"neither system parts {' and '.join(sorted(hidden))} from the product: the radiochemical "
                    "purity holds it too", where=" and ".join(s.trace.where for s in strips))  # fmt: skip
    terms = []
    for number, strip in enumerate(strips):
        own = [r for r in chosen if r.strip == number] or [r for r in regions if r.strip == number]
        estimate = strip.share([r.piece for r in own])
        terms.append(Term(letter="AB"[number], run=strip, parts=tuple(r.name for r in own), estimate=estimate))
    used = sorted({r.strip for r in chosen})
    rcp = remainder([terms[n].estimate for n in used], ["AB"[n] for n in used])
    formula = " - ".join(["100", *("AB"[n] for n in used)])
    species = () if silent else tuple(_species(strips, regions))
    return Combination(rule="tlc-tlc", formula=formula, terms=tuple(terms), rcp=rcp, species=species), ""


def _contradiction(strips: Sequence[ChromatogramRun], regions: Sequence[_Region], log: NoticeLog) -> str:
    """Two regions that hold the same species, or one more, and whose percentages say otherwise; empty when there are none."""
    for big, small in permutations(regions, 2):
        if big.strip == small.strip or not small.species <= big.species:
            continue
        shares = [strips[r.strip].share([r.piece]) for r in (big, small)]
        found = difference(*shares)
        if found.high is not None and found.high < 0.0:
            said = " and ".join(
                f"{strips[r.strip].system} {r.name} ({' + '.join(sorted(r.species))}) reads {share.value:.2f} %"
                for r, share in zip((big, small), shares, strict=True)
            )
            said += ", which cannot both be"
            log.warning("SYSTEMS_CONTRADICT", said, where=strips[big.strip].trace.where, raw=found.value)
            return said
    return ""


def _each_once(regions: Sequence[_Region]) -> Sequence[_Region] | None:
    """The fewest regions that hold every impurity exactly once; of several, those of both systems."""
    wanted = frozenset().union(*(r.species for r in regions))
    for count in range(1, len(regions) + 1):
        found = [
            chosen
            for chosen in combinations(regions, count)
            if sum(len(r.species) for r in chosen) == len(wanted)
            and frozenset().union(*(r.species for r in chosen)) == wanted
        ]
        if found:
            return max(found, key=lambda chosen: len({r.strip for r in chosen}))
    return None


def _species(strips: Sequence[ChromatogramRun], regions: Sequence[_Region]) -> Iterator[Species]:
    """Each impurity by a region of its own, or by the difference of two regions of different strips."""
    for name in sorted(frozenset().union(*(r.species for r in regions))):
        alone = next((r for r in regions if r.species == {name}), None)
        if alone is not None:
            yield Species(name=name, formula="AB"[alone.strip], estimate=strips[alone.strip].share([alone.piece]))
            continue
        pair = next(
            ((big, small) for big in regions for small in regions
             if big.strip != small.strip and big.species - small.species == {name} and small.species < big.species),
            None,
        )  # fmt: skip
        if pair is None:
            continue
        shares = [strips[r.strip].share([r.piece]) for r in pair]
        yield Species(name=name, formula=f"{'AB'[pair[0].strip]} - {'AB'[pair[1].strip]}", estimate=difference(*shares))


def _strip_and_run(
    strip: ChromatogramRun, run: ChromatogramRun, regions: Sequence[_Region]
) -> tuple[Combination | None, str]:
    if run.rcp is None or strip.impurity is None:
        return None, f"{run.system}: {run.rcp_reason}"
    on_strip = frozenset().union(*(r.species or {r.name} for r in regions))
    shared, product = [], []
    for place, piece in enumerate(run.pieces):
        if piece.role == "product":
            product.append(place)
            continue
        species = set(piece.contains) or {piece.name}
        if species & on_strip and not species <= on_strip:
            _refuse_twice(
                species & on_strip, f"species of the peak {piece.name} that all lie in the strip's regions, or none"
            )
        if species <= on_strip:
            shared.append(place)
    purity = run.share(product, without=shared) if shared else run.rcp
    formula = "(100 - A) x T"
    if shared:
        formula += f", T without {' and '.join(run.pieces[n].name for n in shared)}"
    terms = (
        Term(letter="A", run=strip, parts=tuple(r.name for r in regions), estimate=strip.impurity),
        Term(letter="T", run=run, parts=tuple(run.pieces[n].name for n in product), estimate=purity),
    )
    try:
        return Combination(rule="tlc-hplc", formula=formula, terms=terms, rcp=rcp_tlc_hplc(strip.impurity, purity)), ""
    except NotComputable as err:
        return None, str(err)


def _refuse_twice(names: set[str], needed: str) -> None:
    if names:
        raise InputError("combination", "impurity", " and ".join(sorted(names)), f"{needed}, or it counts twice")
