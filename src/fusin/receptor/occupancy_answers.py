"""Answers to an occupancy case: occupancy, mass effect, drugs by hours, chemokine, and Ki of papers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.receptor.blocking import Drug, concentration_nm
from fusin.receptor.occupancy import ChengPrusoff, bound_exactly, bound_with_supply, check_cheng_prusoff
from fusin.receptor.occupancy_case import Case, published_affinities
from fusin.receptor.ranges import from_draws
from fusin.stats.results import Estimate

__all__ = ["AMOUNTS_NMOL", "Answers", "answers_to", "occupancy_grid"]

FloatArray = NDArray[np.float64]
DRAWS = 4000
AMOUNTS_NMOL: tuple[float, ...] = tuple(float(v) for v in np.logspace(-1, 4, 51))
DROPS = (0.1, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """What follows from a case; a part that was not asked for is empty or None.

    Attributes
    ----------
    tracer_nm : free tracer at the tissue
    occupied : share of the receptor by ligand, and ``free``
    self_ratio : specific uptake against that of a vanishing amount of peptide
    suv_ratio : SUV with the competitors against without them, at the same amount of peptide
    mass_effect : rows of amount and relative specific uptake
    drops : amounts at which specific uptake has fallen by a share
    drugs : rows by drug and hour
    cxcl12 : rows by concentration
    ki : rows by paper
    affinities : occupancy of the tracer at each published affinity
    """

    tracer_nm: Estimate | None
    occupied: dict[str, Estimate]
    self_ratio: Estimate | None
    suv_ratio: Estimate | None
    mass_effect: tuple[dict[str, Any], ...]
    drops: tuple[dict[str, Any], ...]
    drugs: tuple[dict[str, Any], ...]
    cxcl12: tuple[dict[str, Any], ...]
    ki: tuple[dict[str, Any], ...]
    affinities: tuple[dict[str, Any], ...]


def answers_to(case: Case, *, log: NoticeLog, seed: int = 0, draws: int = DRAWS) -> Answers:
    """Answer a case; every range is drawn from, so every answer has its interval.

    Parameters
    ----------
    case : see `fusin.receptor.occupancy_case.Case`
    log : receives notices
    seed : of the draws
    draws : number of them

    Raises
    ------
    InputError
        For a number of draws below 100.
    """
    if draws < 100:
        raise InputError("--draws", "number of draws", draws, "at least 100")
    rng = np.random.default_rng(seed)
    kd = case.kd_nm.draws(rng, draws)
    tracer, tracer_draws = _tracer(case, rng, draws)
    occupied, suv_ratio = _shares(case, tracer, tracer_draws, kd, rng)
    if (case.competitors or case.drugs) and not case.nonspecific_share.stated:
        message = (
            "the SUV ratio is that of specific uptake; what no competitor lowers raises it: state nonspecific_share"
        )
        log.info("NONSPECIFIC_IGNORED", message, where=case.tracer)
    message = (
        "occupancy at equilibrium leaves internalisation out, and may even rank two ligands wrongly: NOTA-pentixafor "
        "binds 1.4 times better and is taken up nine times less"
    )
    log.warning("EQUILIBRIUM_ONLY", message, where=case.tracer)
    self_ratio = None
    if tracer is not None:
        self_ratio = from_draws(1.0 / (1.0 + tracer / case.kd_nm.value), 1.0 / (1.0 + tracer_draws / kd))
    return Answers(
        tracer_nm=from_draws(tracer, tracer_draws) if tracer is not None else None,
        occupied=occupied, self_ratio=self_ratio, suv_ratio=suv_ratio,
        mass_effect=_mass_effect(case, rng, draws), drops=_drops(case, rng, draws),
        drugs=tuple(row for d in case.drugs for row in _drug_rows(d, case, tracer, rng, draws)),
        cxcl12=_chemokine(case, tracer, rng, draws), ki=_ki_rows(case, log), affinities=_affinity_rows(case, tracer),
    )  # fmt: skip


def _shares(
    case: Case, tracer: float | None, tracer_draws: FloatArray, kd: FloatArray, rng: np.random.Generator
) -> tuple[dict[str, Estimate], Estimate | None]:
    """Share of the receptor by ligand, and the SUV with the competitors against without them."""
    draws = kd.size
    names = [case.tracer] if tracer is not None else []
    levels: list[float] = [tracer] if tracer is not None else []
    constants = [case.kd_nm.value] if tracer is not None else []
    many_levels, many_constants = ([tracer_draws], [kd]) if tracer is not None else ([], [])
    for one in case.competitors:
        names.append(one.name)
        levels.append(one.free_nm.value)
        constants.append(one.kd_nm.value)
        many_constants.append(one.kd_nm.draws(rng, draws))
        many_levels.append(one.free_nm.draws(rng, draws))
    if not names:
        return {}, None
    left, held = bound_with_supply(levels, constants)
    many_left, many_held = bound_with_supply(many_levels, many_constants)
    occupied = {name: from_draws(float(held[i]), many_held[i]) for i, name in enumerate(names)}
    occupied["free"] = from_draws(float(left), np.broadcast_to(many_left, (draws,)))
    if not case.competitors:
        return occupied, None
    ns = case.nonspecific_share
    alone = bound_with_supply([tracer or 0.0], [case.kd_nm.value])[0]
    many_alone = bound_with_supply([tracer_draws], [kd])[0]
    ratio = _mixed(float(left), float(alone), ns.value)
    return occupied, from_draws(float(ratio), _mixed(many_left, many_alone, ns.draws(rng, draws)))


def _mixed(free: Any, alone: Any, nonspecific: Any) -> Any:
    """Ratio of SUV, of which a share is not specific."""
    return nonspecific + (1.0 - nonspecific) * free / alone


def _tracer(case: Case, rng: np.random.Generator, draws: int) -> tuple[float | None, FloatArray]:
    """Free tracer at the tissue [nM]: SUV times nmol per kg, where a kilogram counts as a litre."""
    if case.amount is None or case.free_suv is None:
        return None, np.zeros(draws)
    scale = case.amount.peptide_nmol / case.weight_kg
    return scale * case.free_suv.value, scale * case.free_suv.draws(rng, draws)


def _mass_effect(case: Case, rng: np.random.Generator, draws: int) -> tuple[dict[str, Any], ...]:
    """Relative specific uptake by amount, where plasma keeps the tracer up, and where the tissue must do with what it got."""
    if case.free_suv is None:
        return ()
    kd, suv = case.kd_nm.draws(rng, draws), case.free_suv.draws(rng, draws)
    tissue = case.receptor_nm
    tissue_draws = tissue.draws(rng, draws) if tissue is not None else None
    rows = []
    for amount in AMOUNTS_NMOL:
        scale = amount / case.weight_kg
        found = from_draws(1.0 / (1.0 + scale * case.free_suv.value / case.kd_nm.value), 1.0 / (1.0 + scale * suv / kd))
        row: dict[str, Any] = {"amount_nmol": amount, **_flat("relative_uptake", found)}
        if tissue is not None and tissue_draws is not None:
            row |= _flat(
                "closed_uptake",
                from_draws(
                    float(_closed(tissue.value, scale * case.free_suv.value, case.kd_nm.value)),
                    _closed(tissue_draws, scale * suv, kd),
                ),
            )
        rows.append(row)
    return tuple(rows)


def _closed(receptor: Any, total: Any, kd: Any) -> Any:
    """Bound share of a ligand that is not replaced, against that of a trace of it."""
    found = bound_exactly(receptor, [total], [kd])
    return found.bound_nm[0] / total * (np.asarray(kd) + receptor) / receptor


def _drops(case: Case, rng: np.random.Generator, draws: int) -> tuple[dict[str, Any], ...]:
    """Amounts at which specific uptake has fallen: C = KD drop / (1 - drop)."""
    if case.free_suv is None:
        return ()
    kd, suv = case.kd_nm.draws(rng, draws), case.free_suv.draws(rng, draws)
    rows = []
    for drop in DROPS:
        odds = drop / (1.0 - drop) * case.weight_kg
        found = from_draws(odds * case.kd_nm.value / case.free_suv.value, odds * kd / suv)
        rows.append({"drop": drop, **_flat("amount_nmol", found)})
    return tuple(rows)


def _drug_rows(
    drug: Drug, case: Case, tracer: float | None, rng: np.random.Generator, draws: int
) -> list[dict[str, Any]]:
    """Drug, occupancy and SUV ratio by hours after the dose."""
    spans = (
        drug.tmax_h,
        drug.half_life_h,
        drug.volume_l_per_kg,
        drug.free_share,
        drug.kd_nm,
        case.kd_nm,
        case.nonspecific_share,
    )
    drawn = [s.draws(rng, draws) for s in spans]
    rows: list[dict[str, Any]] = []
    for hour in case.hours:
        values = _blocked(drug, hour, [np.asarray(s.value) for s in spans], tracer or 0.0)
        spread = _blocked(drug, hour, drawn, tracer or 0.0)
        names = ("free_nm", "occupied", "suv_ratio")
        row: dict[str, Any] = {"drug": drug.name, "hours": hour}
        for name, value, many in zip(names, values, spread, strict=True):
            row |= _flat(name, from_draws(float(value), many))
        rows.append(row)
    return rows


def _blocked(
    drug: Drug, hour: float, spans: Sequence[FloatArray], tracer: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    tmax, half, volume, share, kd_drug, kd, nonspecific = spans
    plasma = concentration_nm(
        np.asarray(hour), dose_mg_per_kg=drug.dose_mg_per_kg, molar_mass_g_mol=drug.molar_mass_g_mol, tmax_h=tmax, half_life_h=half,
        volume_l_per_kg=volume,
    )  # fmt: skip
    free = plasma * share
    left, held = bound_with_supply([tracer, free], [kd, kd_drug])
    alone = bound_with_supply([tracer], [kd])[0]
    return free, held[1], np.asarray(_mixed(left, alone, nonspecific))


def _chemokine(case: Case, tracer: float | None, rng: np.random.Generator, draws: int) -> tuple[dict[str, Any], ...]:
    """Receptor that CXCL12 holds, and specific uptake with it, at equilibrium."""
    kd, kd_draws = case.cxcl12_kd_nm, case.cxcl12_kd_nm.draws(rng, draws)
    own = case.kd_nm.draws(rng, draws)
    rows = []
    for level in case.cxcl12_nm:
        left, held = bound_with_supply([tracer or 0.0, level], [case.kd_nm.value, kd.value])
        many_left, many_held = bound_with_supply([tracer or 0.0, level], [own, kd_draws])
        alone = bound_with_supply([tracer or 0.0], [case.kd_nm.value])[0]
        many_alone = bound_with_supply([tracer or 0.0], [own])[0]
        rows.append(
            {
                "cxcl12_nm": level,
                **_flat("occupied", from_draws(float(held[1]), np.asarray(many_held[1]))),
                **_flat("uptake_ratio", from_draws(float(left / alone), np.asarray(many_left / many_alone))),
            }
        )
    return tuple(rows)


def _ki_rows(case: Case, log: NoticeLog) -> tuple[dict[str, Any], ...]:
    rows = []
    for one in case.ic50:
        found: ChengPrusoff = check_cheng_prusoff(
            one.ic50_nm, radioligand_nm=one.radioligand_nm, kd_nm=one.radioligand_kd_nm, receptor_nm=one.receptor_nm
        )
        if not found.valid:
            log.warning(
                "CHENG_PRUSOFF_FAILS", f"Cheng-Prusoff does not hold for {one.name}: {found.because}", where=one.name
            )
        rows.append({"name": one.name, "ic50_nm": one.ic50_nm, **found.to_json()})
    return tuple(rows)


def _affinity_rows(case: Case, tracer: float | None) -> tuple[dict[str, Any], ...]:
    """Published IC50 of the tracer side by side; each is shown as if it were the KD."""
    rows = []
    for record in published_affinities():
        if case.tracer.casefold() not in str(record.tracer).casefold() or not isinstance(record.value, (int, float)):
            continue
        share = None if tracer is None else tracer / (tracer + float(record.value))
        rows.append(
            {
                "record": record.id,
                "tracer": record.tracer,
                "ic50_nm": float(record.value),
                "tag": record.tag,
                "source": record.source,
                "occupied": share,
            }
        )
    return tuple(rows)


def _flat(name: str, found: Estimate) -> dict[str, float | None]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def occupancy_grid(case: Case, amounts_nmol: Sequence[float], kd_nm: Sequence[float]) -> FloatArray:
    """Occupancy by the tracer, rows by KD and columns by amount, at the middle of the free SUV.

    Raises
    ------
    InputError
        Without a free SUV.
    """
    if case.free_suv is None:
        raise InputError("occupancy map", "free_suv", "nothing", "the SUV of free tracer, or published")
    level = np.asarray(amounts_nmol)[None, :] * case.free_suv.value / case.weight_kg
    return np.asarray(bound_with_supply([level], [np.asarray(kd_nm)[:, None]])[1][0])
