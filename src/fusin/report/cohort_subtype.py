"""Subtype of primary aldosteronism: from PET, vein samples and verdicts to tables, figures and one document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from fusin.cohort.aldosteronism import (
    MethodName,
    SubtypeLine,
    SubtypeTable,
    read_pet_scans,
    read_verdicts,
    subtype_table,
)
from fusin.cohort.avs import AvsProcedure, AvsResult, AvsRules, assess_both_phases, assess_procedure, default_rules
from fusin.cohort.avs_table import avs_table, read_procedures
from fusin.cohort.concordance import CATEGORIES, Concordance, concordance
from fusin.cohort.paso import PasoResult, paso_outcome, paso_table, read_paso
from fusin.errors import InputError
from fusin.evidence.catalogue import evidence
from fusin.provenance import NoticeLog
from fusin.report.cohort_figures import Figure, concordance_map
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.table_text import estimate_text, shown_columns

__all__ = ["SubtypeInputs", "SubtypeOptions", "subtype_report"]

_METHODS: tuple[MethodName, ...] = ("ct", "pet", "avs")


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtypeInputs:
    """Tables of the patients; None where a method was not done."""

    pet: Path | None = None
    avs: Path | None = None
    verdicts: Path | None = None
    paso: Path | None = None

    def paths(self) -> list[Path]:
        """Those that are there."""
        return [p for p in (self.pet, self.avs, self.verdicts, self.paso) if p is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtypeOptions:
    """Thresholds by evidence id, and which scan gives the verdict; None takes the verified defaults."""

    pet_rule: str | None = None
    prefer: Literal["early", "late"] = "early"
    selectivity: str | None = None
    lateralised: str | None = None
    bilateral: str | None = None
    normaliser: Literal["cortisol", "metanephrine"] = "cortisol"

    def to_json(self) -> dict[str, Any]:
        """Return the parameters as a JSON-ready mapping."""
        return {name: getattr(self, name) for name in self.__slots__}


def subtype_report(inputs: SubtypeInputs, *, options: SubtypeOptions, log: NoticeLog) -> JobOutput:
    """Put CT, PET and AVS of each patient side by side, count how they agree, and class outcomes by PASO.

    Raises
    ------
    InputError
        Without any table, for a table that cannot be used, or an unknown evidence id.
    """
    if not inputs.paths():
        raise InputError("subtype", "tables", "none", "a PET table, or --avs, --verdicts or --paso")
    named = [n for n in ("selectivity", "lateralised", "bilateral") if getattr(options, n)]
    if named and inputs.avs is None:
        raise InputError("subtype", f"--{named[0]}", "no samples", "--avs with the table of samples")
    for name in named:
        # An id that no patient's samples happen to need is still a mistake to be told at once.
        evidence(getattr(options, name))
    if options.pet_rule and inputs.pet is None:
        raise InputError("subtype", "--pet-rule", "no PET table", "a PET table")
    scans = read_pet_scans(inputs.pet, log=log) if inputs.pet else ()
    verdicts = read_verdicts(inputs.verdicts, log=log) if inputs.verdicts else {}
    sampled = _judged(read_procedures(inputs.avs, log=log), options, log) if inputs.avs else ()
    found = subtype_table(
        scans, verdicts=verdicts, avs=sampled, pet_rule=options.pet_rule, prefer=options.prefer, log=log
    )
    outcomes = tuple(paso_outcome(p, log=log) for p in read_paso(inputs.paso, log=log)) if inputs.paso else ()
    pairs = [concordance(found.lines, a, b, log=log) for a, b in _pairs(found.lines)]
    sections = []
    if found.lines:
        sections.append(_patients_section(found, sampled))
    if pairs:
        sections.append(_concordance_section(pairs))
    if outcomes:
        sections.append(_paso_section(outcomes))
    document = found.to_json() | {
        "avs": [r.to_json() for r in sampled],
        "concordance": [c.to_json() for c in pairs],
        "paso": [r.to_json() for r in outcomes],
    }
    summary = tuple(_sentence(c) for c in pairs) or (f"{len(found.lines)} patients.",)
    if sampled and not options.selectivity and all(r.verdict == "indeterminate" for r in sampled):
        summary += ("Vein sampling is indeterminate throughout: name a selectivity threshold (--selectivity).",)
    return JobOutput(
        title="Subtype of primary aldosteronism", document=document, sections=tuple(sections), summary=summary,
        notices=log.notices, provenance=provenance_of(inputs.paths(), options.to_json()),
    )  # fmt: skip


def _judged(procedures: Sequence[AvsProcedure], options: SubtypeOptions, log: NoticeLog) -> tuple[AvsResult, ...]:
    """One result per patient: of both phases where both were sampled."""
    by_patient: dict[str, dict[str, AvsProcedure]] = {}
    for p in procedures:
        by_patient.setdefault(p.patient, {})[p.phase] = p
    results = []
    for phases in by_patient.values():
        if len(phases) == 1:
            (one,) = phases.values()
            results.append(assess_procedure(one, rules=_rules(one, options), log=log))
            continue
        basal, stimulated = phases["basal"], phases["cosyntropin"]
        both = [_rules(p, options) if _asked(options) else None for p in (basal, stimulated)]
        results.append(assess_both_phases(basal, stimulated, basal_rules=both[0], stimulated_rules=both[1], log=log))
    return tuple(results)


def _asked(options: SubtypeOptions) -> bool:
    return any((options.selectivity, options.lateralised, options.bilateral)) or options.normaliser != "cortisol"


def _rules(procedure: AvsProcedure, options: SubtypeOptions) -> AvsRules:
    rules = default_rules(procedure.phase, options.normaliser)
    named = {n: getattr(options, n) for n in ("selectivity", "lateralised", "bilateral") if getattr(options, n)}
    if "lateralised" in named and "bilateral" not in named:
        # The bilateral limit of another threshold would put a grey zone where this one has none.
        named["bilateral"] = None
    return replace(rules, **named)


def _pairs(lines: Sequence[SubtypeLine]) -> list[tuple[MethodName, MethodName]]:
    done = [m for m in _METHODS if any(line.verdict(m) is not None for line in lines)]
    return list(combinations(done, 2))


def _patients_section(found: SubtypeTable, sampled: Sequence[AvsResult]) -> JobSection:
    frame = found.to_table()
    short = ["patient", "ct", "pet", "pet_by", "avs", "relation", "li_early", "li_late"]
    tables = [
        JobTable(name="subtype", title="Patients", frame=frame[short]),
        JobTable(name="subtype-lines", title="Patients, all indices", frame=frame, on_page=False),
    ]
    if sampled:
        judged = avs_table(sampled)
        tables.append(
            JobTable(
                name="avs", title="Adrenal vein sampling",
                frame=judged[["patient", "phase", "verdict", "si_left", "si_right", "li", "csi", "grey_zone"]],
            )
        )  # fmt: skip
        tables.append(JobTable(name="avs-all", title="Adrenal vein sampling, all", frame=judged, on_page=False))
    opposite = frame[frame["relation"] == "opposite sides"][["patient", "sentence"]]
    if len(opposite):
        tables.append(JobTable(name="opposite-sides", title="Methods that name opposite sides", frame=opposite))
    text = ("fusin names no final subtype: each line says which method says what, and by which threshold.",)
    return JobSection(name="patients", title="Patients", text=text, tables=tuple(tables))


def _concordance_section(pairs: Sequence[Concordance]) -> JobSection:
    import pandas as pd

    rows = []
    tables = []
    drawn: list[Figure] = []
    for c in pairs:
        kappa = c.kappa
        rows.append(
            {
                "methods": f"{c.first.upper()} and {c.second.upper()}", "both_done": c.n, "comparable": c.comparable,
                "concordant": c.concordant, "opposite_sides": c.opposite_sides,
                "one_does_not_lateralise": c.one_does_not_lateralise, "agreement": c.agreement.value,
                "agreement_low": c.agreement.low, "agreement_high": c.agreement.high,
                "agreement_method": c.agreement.method, "kappa": kappa.value if kappa else None,
                "kappa_low": kappa.low if kappa else None, "kappa_high": kappa.high if kappa else None,
                "kappa_method": kappa.method if kappa else None,
                "mcnemar_p": c.mcnemar.default.p if c.mcnemar else None,
                "mcnemar_test": c.mcnemar.default.test if c.mcnemar else None,
            }
        )  # fmt: skip
        name = f"concordance-{c.first}-{c.second}"
        title = f"{c.first.upper()} (rows) against {c.second.upper()} (columns)"
        tables.append(JobTable(name=name, title=title, frame=c.to_table()))
        drawn.append(
            concordance_map(
                c.table, CATEGORIES, names=(c.first.upper(), c.second.upper()), agreement=c.agreement, kappa=c.kappa,
                name=name,
            )
        )  # fmt: skip
    frame = pd.DataFrame(rows)
    summary = JobTable(
        name="concordance", title="Concordance", frame=frame, shown=shown_columns(frame, percent=("agreement",))
    )
    text = "Left against right is a discordance of side and is counted apart from one method that does not lateralise."
    return JobSection(
        name="concordance", title="Concordance", text=(text,), tables=(summary, *tables), figures=tuple(drawn)
    )


def _paso_section(outcomes: Sequence[PasoResult]) -> JobSection:
    import pandas as pd

    frame = paso_table(outcomes)
    counts = pd.crosstab(frame["clinical"], frame["biochemical"]).reset_index()
    counts.columns.name = None
    open_cases = frame[frame[["clinical", "biochemical"]].isin(["indeterminate", "unclassified"]).any(axis=1)]
    tables = [
        JobTable(name="paso", title="Clinical (rows) and biochemical (columns) outcome by PASO", frame=counts),
        JobTable(name="paso-patients", title="Outcome of each patient", frame=frame, on_page=False),
    ]
    if len(open_cases):
        tables.append(JobTable(name="paso-open", title="Patients whose outcome stays open", frame=open_cases))
    return JobSection(name="paso", title="Outcome after adrenalectomy", tables=tuple(tables))


def _sentence(c: Concordance) -> str:
    text = f"{c.first.upper()} and {c.second.upper()} agree in {estimate_text(c.agreement, percent=True)} of {c.comparable} "
    text += f"patients ({c.agreement.method} interval), name opposite sides in {c.opposite_sides}"
    return text + (f"; kappa {estimate_text(c.kappa)}." if c.kappa else ".")
