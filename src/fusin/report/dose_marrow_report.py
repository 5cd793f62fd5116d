"""Marrow dose, BED of one dose, and the budget of doses, for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fusin.dosimetry.biological import bed, eqd2, lea_catcheside
from fusin.dosimetry.emissions import say_alpha_assumptions
from fusin.dosimetry.marrow import MarrowDose, marrow_dose
from fusin.dosimetry.marrow_files import MarrowCase, read_chains, read_marrow_case
from fusin.dosimetry.nuclide_exchange import exchange_half_life_h
from fusin.dosimetry.uncertainty import Budget, MonteCarlo, budget, monte_carlo
from fusin.errors import InputError
from fusin.nuclides import nuclide
from fusin.provenance import Method, NoticeLog
from fusin.report.dose_organ_figures import budget_figure, dose_figure
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.table_text import Shown, estimate_text
from fusin.tabular.columns import Column
from fusin.tabular.rows import to_frame

__all__ = ["BUDGET_COLUMNS", "MARROW_COLUMNS", "bed_report", "budget_report", "marrow_report"]

MARROW_COLUMNS = (
    Column("component", "string", "blood, specific, image (both together), cross, or total"),
    Column("dose_gy", "float64", "dose of red marrow [Gy]"),
    Column("dose_gy_low", "float64", "lower limit"),
    Column("dose_gy_high", "float64", "upper limit"),
    Column("tia_mbq_h_per_g", "float64", "time-integrated activity per gram of active marrow [MBq h/g]"),
    Column("t_eff_h", "float64", "effective half-life [h]"),
)
BUDGET_COLUMNS = (
    Column("dose", "string", "name of the dose"),
    Column("quantity", "string", "link of the chain; `volume through` is a part of the row volume"),
    Column("u_percent", "float64", "relative standard uncertainty of the quantity"),
    Column("sensitivity", "float64", "relative change of the dose per relative change of the quantity"),
    Column("contribution_percent", "float64", "what it adds to the relative standard uncertainty of the dose"),
    Column("variance_percent", "float64", "share of the variance of the dose; empty for a part of another row"),
)
_SHOWN_MARROW = (
    Shown(name="component", heading="component"),
    Shown(name="dose_gy", heading="dose, Gy", low="dose_gy_low", high="dose_gy_high"),
    Shown(name="tia_mbq_h_per_g", heading="MBq h/g", digits=4),
    Shown(name="t_eff_h", heading="T_eff, h", digits=1),
)
_SHOWN_BUDGET = (
    Shown(name="dose", heading="dose"),
    Shown(name="quantity", heading="link"),
    Shown(name="u_percent", heading="u, %", digits=1),
    Shown(name="sensitivity", heading="sensitivity", digits=2),
    Shown(name="contribution_percent", heading="adds, %", digits=1),
    Shown(name="variance_percent", heading="of the variance, %", digits=1),
)
_MARROW = (
    Method("marrow-concentration", "Dose of a concentration in active marrow, energy of a skeletal model: Hindorf C et al., "
           "Eur J Nucl Med Mol Imaging 37 (2010) 1238-1250."),
    Method("marrow-blood", "Marrow-to-blood ratio RMECFF / (1 - haematocrit): Sgouros G, J Nucl Med 34 (1993) 689-694."),
)  # fmt: skip
_CHAIN = (
    Method("dose-chain", "Volume, recovery, calibration, fit, S value and mass with their covariances: Gear JI et al., "
           "Eur J Nucl Med Mol Imaging 45 (2018) 2456-2474."),
    Method("dose-chain-simulation", "The same chain by Monte Carlo: JCGM 101:2008."),
)  # fmt: skip
_BED = (
    Method("lea-catcheside", "Dose-protraction factor of a sum of exponentials in closed form: Brenner DJ et al., Radiat Res 150 "
           "(1998) 83-91; Dale RG, Br J Radiol 58 (1985) 515-528."),
)  # fmt: skip


def marrow_report(path: Path, *, log: NoticeLog) -> JobOutput:
    """Marrow dose of a case; see :func:`fusin.dosimetry.marrow.marrow_dose`.

    Raises
    ------
    InputError, NotComputable
        For a case that cannot be used, or that contradicts itself.
    """
    case = read_marrow_case(path)
    found = marrow_dose(
        absorbed_kev=case.absorbed_kev,
        blood=case.blood,
        regions=case.regions,
        cross_gy=case.cross_gy,
        cross_t_eff_h=case.cross_t_eff_h,
        log=log,
    )
    say_alpha_assumptions(case.nuclide, log)
    residual = None
    if case.residual_day is not None:
        residual = found.residual_gy(case.residual_day)
    rows = [
        {"component": p.name, "dose_gy": p.dose_gy.value, "dose_gy_low": p.dose_gy.low, "dose_gy_high": p.dose_gy.high,
         "tia_mbq_h_per_g": p.tia_mbq_h_per_g, "t_eff_h": p.t_eff_h}
        for p in found.components
    ]  # fmt: skip
    rows.append({"component": "total", "dose_gy": found.dose_gy.value, "dose_gy_low": found.dose_gy.low,
                 "dose_gy_high": found.dose_gy.high})  # fmt: skip
    table = JobTable(name="marrow", title="Red marrow", frame=to_frame(rows, MARROW_COLUMNS), shown=_SHOWN_MARROW)
    sentences = _marrow_sentences(case, found, residual)
    figure = dose_figure(
        [(p.name, p.dose_gy, 0.0) for p in found.components] + [("total", found.dose_gy, 0.0)], name="marrow-dose"
    )
    return JobOutput(
        title="Red marrow dose", document=_marrow_document(case, found, residual),
        sections=(JobSection(name="marrow", title="Red marrow", text=sentences, tables=(table,), figures=(figure,)),),
        summary=sentences[:1], notices=log.notices,
        provenance=provenance_of((path,), {"nuclide": case.nuclide, "residual_day": case.residual_day}, _MARROW),
    )  # fmt: skip


def bed_report(
    *, dose_gy: float, alpha_beta_gy: float, repair_half_time_h: float, t_eff_h: Sequence[float], weights: Sequence[float],
    from_nuclide: str | None, to_nuclide: str | None, log: NoticeLog,
) -> JobOutput:  # fmt: skip
    """BED and EQD2 of one dose whose rate falls with one or several half-lives.

    Parameters
    ----------
    dose_gy, alpha_beta_gy, repair_half_time_h : see :func:`fusin.dosimetry.biological.bed`
    t_eff_h : effective half-lives of the components [h]
    weights : their dose rates at t = 0 in any unit, negative for uptake; equal when empty
    from_nuclide, to_nuclide : exchange the half-lives first; both or neither
    log : receives notices

    Raises
    ------
    InputError, NotComputable
        For what no tissue or curve has.
    """
    if not t_eff_h:
        raise InputError("--t-eff-h", "half-life", "nothing", "at least one effective half-life")
    amounts = list(weights) or ([1.0] if len(t_eff_h) == 1 else [])
    if len(amounts) != len(t_eff_h):
        raise InputError("--weight", "number", len(weights), f"one weight for each of {len(t_eff_h)} half-lives")
    if (from_nuclide is None) != (to_nuclide is None):
        raise InputError("--to", "option", "one nuclide", "--from and --to together, or neither")
    times = list(t_eff_h)
    if from_nuclide is not None and to_nuclide is not None:
        times = [exchange_half_life_h(t, from_nuclide, to_nuclide) for t in times]
        say_alpha_assumptions(to_nuclide, log)
    for t in times:
        if not (math.isfinite(t) and t > 0):
            raise InputError("--t-eff-h", "half-life", t, "a positive number of hours")
    rates = [math.log(2.0) / t for t in times]
    factor = lea_catcheside(rates, amounts, repair_half_time_h)
    gray = bed(dose_gy, rates, amounts, alpha_beta_gy, repair_half_time_h)
    equivalent = eqd2(gray, alpha_beta_gy)
    document: dict[str, Any] = {
        "dose_gy": dose_gy, "t_eff_h": times, "weights": amounts, "alpha_beta_gy": alpha_beta_gy,
        "repair_half_time_h": repair_half_time_h, "g": factor, "bed_gy": gray, "eqd2_gy": equivalent,
        "from": None if from_nuclide is None else nuclide(from_nuclide).name,
        "to": None if to_nuclide is None else nuclide(to_nuclide).name,
    }  # fmt: skip
    sentence = (
        f"{dose_gy:g} Gy with T_eff {', '.join(f'{t:.4g}' for t in times)} h: G {factor:.5f}, BED {gray:.3f} Gy, EQD2 "
        f"{equivalent:.3f} Gy (alpha/beta {alpha_beta_gy:g} Gy, repair {repair_half_time_h:g} h, as given; no interval without one "
        "of the dose)."
    )
    return JobOutput(
        title="Biologically effective dose", document=document, summary=(sentence,), notices=log.notices,
        sections=(JobSection(name="bed", title="Biologically effective dose", text=(sentence,)),),
        provenance=provenance_of((), {k: v for k, v in document.items() if k not in {"g", "bed_gy", "eqd2_gy"}}, _BED),
    )  # fmt: skip


def budget_report(path: Path, *, draws: int, seed: int, log: NoticeLog) -> JobOutput:
    """Budgets of doses, each judged by simulation.

    Raises
    ------
    InputError
        For a chain that cannot be used.
    """
    chains = read_chains(path)
    found = [(name, budget(chain), monte_carlo(chain, draws=draws, seed=seed, log=log)) for name, chain in chains]
    rows = [
        {"dose": name, "quantity": r.quantity, "u_percent": 100 * r.u_relative, "sensitivity": r.sensitivity,
         "contribution_percent": 100 * r.contribution, "variance_percent": None if r.share is None else 100 * r.share}
        for name, one, _ in found for r in one.rows
    ]  # fmt: skip
    table = JobTable(name="budget", title="Budget", frame=to_frame(rows, BUDGET_COLUMNS), shown=_SHOWN_BUDGET)
    sentences = tuple(_budget_sentence(*one) for one in found)
    section = JobSection(name="budget", title="What the uncertainty is made of", text=sentences, tables=(table,),
                         figures=(budget_figure([(n, b) for n, b, _ in found]),))  # fmt: skip
    return JobOutput(
        title="Uncertainty of doses", document={"doses": [_budget_json(*one) for one in found]}, sections=(section,),
        summary=sentences, notices=log.notices,
        provenance=provenance_of((path,), {"draws": draws, "seed": seed}, _CHAIN),
    )  # fmt: skip


def _marrow_sentences(case: MarrowCase, found: MarrowDose, residual: float | None) -> tuple[str, ...]:
    bound = "at least " if found.lower_bound else ""
    note = f" ({found.dose_gy.note})" if found.dose_gy.note else ""
    sentences = [
        f"Red marrow: {bound}{estimate_text(found.dose_gy)} Gy{note}, {found.method}, {found.absorbed_kev:.1f} keV absorbed "
        f"per decay ({case.energy_source})."
    ]
    if residual is not None and case.residual_day is not None:
        share = 100.0 * residual / found.dose_gy.value if found.dose_gy.value else 0.0
        sentences.append(
            f"On day {case.residual_day:g}, {residual:.3g} Gy ({share:.2g} %) are still to come, by the half-lives given."
        )
    sentences += [f"{r.name}: active marrow from {r.source}." for r in case.regions]
    return tuple(sentences)


def _marrow_document(case: MarrowCase, found: MarrowDose, residual: float | None) -> dict[str, Any]:
    return {
        "nuclide": case.nuclide, "dose_gy": found.dose_gy.to_json(), "absorbed_kev": found.absorbed_kev,
        "energy_source": case.energy_source, "dose_method": found.method, "lower_bound": found.lower_bound,
        "blood_ratio": None if case.blood is None else case.blood.ratio,
        "components": [
            {"name": p.name, "dose_gy": p.dose_gy.to_json(), "tia_mbq_h_per_g": p.tia_mbq_h_per_g, "t_eff_h": p.t_eff_h}
            for p in found.components
        ],
        "residual_day": case.residual_day, "residual_gy": residual,
    }  # fmt: skip


def _budget_sentence(name: str, one: Budget, many: MonteCarlo) -> str:
    return (
        f"{name}: {estimate_text(one.dose_gy)} Gy, u = {100 * one.u_relative:.1f} % (k = 1), most of it from the "
        f"{one.largest.quantity}; {many.draws} draws give {100 * many.u_relative:.1f} % and {estimate_text(many.dose_gy)} Gy."
    )


def _budget_json(name: str, one: Budget, many: MonteCarlo) -> dict[str, Any]:
    return {
        "name": name, "dose_gy": one.dose_gy.to_json(), "u_percent": 100 * one.u_relative,
        "u_without_covariance_percent": 100 * one.u_without_covariance, "largest": one.largest.quantity,
        "rows": [
            {"quantity": r.quantity, "u_percent": 100 * r.u_relative, "sensitivity": r.sensitivity,
             "contribution_percent": 100 * r.contribution, "variance_percent": None if r.share is None else 100 * r.share,
             "part_of": r.part_of or None}
            for r in one.rows
        ],
        "monte_carlo": {"dose_gy": many.dose_gy.to_json(), "u_percent": 100 * many.u_relative, "draws": many.draws,
                        "seed": many.seed, "agrees": many.agrees},
    }  # fmt: skip
