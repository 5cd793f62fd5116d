"""Occupancy of the receptor: from a case to tables, figures, sentences and one document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fusin.errors import MissingExtra
from fusin.provenance import Method, NoticeLog
from fusin.receptor.occupancy_answers import Answers, answers_to
from fusin.receptor.occupancy_case import Case
from fusin.receptor.occupancy_trafficking import chemokine_trafficking
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.receptor_occupancy_figures import drug_figure, mass_effect_figure, occupancy_map
from fusin.report.table_text import shown_columns
from fusin.stats.results import Estimate

__all__ = ["occupancy_report"]

_HEADINGS = {
    "drop": "Fall of uptake",
    "amount_nmol": "Peptide, nmol",
    "free_nm": "Free drug, nM",
    "suv_ratio": "SUV ratio",
    "cxcl12_nm": "CXCL12, nM",
    "uptake_ratio": "Uptake ratio",
    "ic50_nm": "IC50, nM",
    "simple_nm": "Ki by Cheng-Prusoff, nM",
    "exact_nm": "Ki exactly, nM",
    "error_percent": "Error of Cheng-Prusoff, %",
}
_PERCENT = ("occupied", "drop", "surface", "unoccupied")

_METHODS = (
    Method("competitive-binding", "Mass balance of one receptor and any number of ligands, solved exactly."),
    Method("cheng-prusoff", "Cheng, Prusoff, Biochem Pharmacol 1973;22:3099."),
)


def occupancy_report(case: Case, *, inputs: Sequence[Path], seed: int, draws: int, log: NoticeLog) -> JobOutput:
    """Answer a case; the document is the contract of ``fusin receptor occupancy --json``.

    Parameters
    ----------
    case : what is asked
    inputs : files that were read
    seed, draws : of the intervals
    log : receives notices
    """
    found = answers_to(case, log=log, seed=seed, draws=draws)
    trafficking = _trafficking(case, log)
    document = _document(case, found, trafficking)
    return JobOutput(
        title=f"Occupancy of CXCR4 by {case.tracer}",
        document=document,
        sections=tuple(_sections(case, found, trafficking)),
        summary=tuple(_sentences(case, found)),
        notices=log.notices,
        provenance=provenance_of(inputs, {"tracer": document["tracer"], "seed": seed, "draws": draws}, _METHODS),
    )


def _trafficking(case: Case, log: NoticeLog) -> tuple[dict[str, Any], ...]:
    if not case.cxcl12_nm:
        return ()
    try:
        return chemokine_trafficking(case.cxcl12_nm)
    except MissingExtra as err:
        log.info(
            "TRAFFICKING_LEFT_OUT", f"the receptor that CXCL12 takes inside is not computed: {err}", where=case.tracer
        )
        return ()


def _document(case: Case, found: Answers, trafficking: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    def maybe(one: Estimate | None) -> dict[str, Any] | None:
        return None if one is None else one.to_json()

    return {
        "tracer": {
            "name": case.tracer,
            "kd_nm": case.kd_nm.to_json(),
            "weight_kg": case.weight_kg if case.amount is not None or case.free_suv is not None else None,
            "free_suv": None if case.free_suv is None else case.free_suv.to_json(),
            "receptor_nm": None if case.receptor_nm is None else case.receptor_nm.to_json(),
            "nonspecific_share": case.nonspecific_share.to_json(),
            "peptide": None if case.amount is None else case.amount.to_json(),
        },
        "tracer_nm": maybe(found.tracer_nm),
        "occupied": [{"ligand": name, **one.to_json()} for name, one in found.occupied.items()],
        "self_ratio": maybe(found.self_ratio),
        "suv_ratio": maybe(found.suv_ratio),
        "mass_effect": list(found.mass_effect),
        "drops": list(found.drops),
        "drugs": list(found.drugs),
        "cxcl12": list(found.cxcl12),
        "trafficking": list(trafficking),
        "ki": list(found.ki),
        "affinities": list(found.affinities),
    }


def _sections(case: Case, found: Answers, trafficking: Sequence[Mapping[str, Any]]) -> list[JobSection]:
    sections: list[JobSection] = []
    if found.occupied:
        rows = [
            {"ligand": name, "occupied": one.value, "occupied_low": one.low, "occupied_high": one.high}
            for name, one in found.occupied.items()
        ]
        text = ["Shares of the receptor at equilibrium, with free concentrations kept up by plasma."]
        sections.append(
            JobSection(
                name="occupancy", title="Occupancy", text=tuple(text),
                tables=(_table("occupancy", "Shares of the receptor", rows),),
            )
        )  # fmt: skip
    if found.mass_effect:
        amount = None if case.amount is None else case.amount.peptide_nmol
        sections.append(
            JobSection(
                name="mass", title="How much cold peptide", text=(_MASS,),
                tables=(
                    _table("drops", "Amounts at which specific uptake falls", found.drops),
                    _table("mass_effect", "Mass effect", found.mass_effect, on_page=False),
                ),
                figures=(
                    occupancy_map(case, found.affinities),
                    mass_effect_figure(found.mass_effect, amount_nmol=amount, tracer=case.tracer),
                ),
            )
        )  # fmt: skip
    if found.drugs:
        table = _table("drugs", "Drug on board by hours after its dose", found.drugs)
        sections.append(
            JobSection(
                name="drugs",
                title="A drug on board",
                text=(_DRUG,),
                tables=(table,),
                figures=(drug_figure(found.drugs, tracer=case.tracer),),
            )
        )
    if found.cxcl12:
        tables = [_table("cxcl12", "CXCL12 at equilibrium", found.cxcl12)]
        if trafficking:
            tables.append(_table("trafficking", "CXCR4 at the surface after CXCL12", trafficking))
        sections.append(
            JobSection(name="cxcl12", title="Does CXCL12 hide receptors?", text=(_CHEMOKINE,), tables=tuple(tables))
        )
    if found.ki:
        table = _table("ki", "Ki from the IC50 of papers", found.ki)
        sections.append(JobSection(name="ki", title="IC50 of papers", text=(_KI,), tables=(table,)))
    if found.affinities:
        table = _table("affinities", "Published affinities of the tracer", found.affinities)
        sections.append(JobSection(name="affinities", title="What is published", text=(_CONFLICT,), tables=(table,)))
    return sections


def _table(name: str, title: str, rows: Sequence[Mapping[str, Any]], *, on_page: bool = True) -> JobTable:
    import pandas as pd

    frame = pd.DataFrame(list(rows))
    shown = shown_columns(frame, headings=_HEADINGS, percent=[c for c in _PERCENT if c in frame.columns])
    return JobTable(name=name, title=title, frame=frame, shown=shown, on_page=on_page)


_MASS = (
    "Free tracer is SUV times amount over weight. Where plasma keeps it up, specific uptake falls as KD / (KD + C); where "
    "the tissue must do with the tracer that it got, receptors run out much later. The tumour lies between both."
)
_DRUG = (
    "One compartment with absorption from under the skin, drawn over the ranges of its kinetics, and competition at equilibrium. "
    "A ratio of 1 means a scan that sees no drug."
)
_CHEMOKINE = (
    "At equilibrium CXCL12 competes. In cells it also takes receptors inside: surface counts CXCR4 outside of the cell, unoccupied "
    "that without CXCL12, both against rest, by layer A of the network."
)
_KI = (
    "Cheng-Prusoff takes both ligands as not depleted; the exact Ki does not. Where receptor is at least a tenth of the Kd of the "
    "radioligand, only the exact one counts."
)
_CONFLICT = (
    "Published IC50 contradict each other about tenfold while their ratio of 1.4 agrees; those with tag U or M were not read in "
    "their source. None is used unless you state it. The last column is the occupancy if the IC50 were the KD."
)


def _plain(value: float) -> str:
    """Three digits, without powers of ten."""
    return f"{float(f'{value:.3g}'):,.10g}"


def _between(one: Estimate, *, percent: bool = False) -> str:
    def text(value: float | None) -> str:
        return "?" if value is None else (f"{_plain(100 * value)} %" if percent else _plain(value))

    return text(one.value) if one.low is None else f"{text(one.value)} ({text(one.low)} to {text(one.high)})"


def _sentences(case: Case, found: Answers) -> list[str]:
    """What a person wants to know first."""
    said = []
    if found.tracer_nm is not None and case.tracer in found.occupied:
        held = _between(found.occupied[case.tracer], percent=True)
        said.append(f"{case.tracer} holds {held} of the receptor at {_between(found.tracer_nm)} nM free.")
    for row in found.drops:
        low = row["amount_nmol_low"]
        span = f" ({_plain(low)} to {_plain(row['amount_nmol_high'])})" if low is not None else ""
        said.append(
            f"Specific uptake falls by {row['drop']:.0%} at {_plain(row['amount_nmol'])}{span} nmol of peptide."
        )
    if found.suv_ratio is not None:
        said.append(f"With the competitors the SUV is {_between(found.suv_ratio)} of that without them.")
    for drug in dict.fromkeys(row["drug"] for row in found.drugs):
        rows = [row for row in found.drugs if row["drug"] == drug]
        worst = min(rows, key=lambda row: row["suv_ratio"])
        low = worst["suv_ratio_low"]
        span = f" ({low:.2g} to {worst['suv_ratio_high']:.2g})" if low is not None else ""
        said.append(
            f"{drug} leaves least {worst['hours']:g} h after its dose: an SUV ratio of {worst['suv_ratio']:.2g}{span}."
        )
    if not said and not found.ki and not found.cxcl12:
        said.append("Nothing was asked: state an amount and a free SUV, a drug, a competitor, CXCL12 or an IC50.")
    return said
