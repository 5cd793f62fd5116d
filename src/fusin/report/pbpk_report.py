"""A body for people: sentences, tables, figures, one document, and the activities that ``fusin dose`` reads."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from fusin.dosimetry.spheres import sphere_s
from fusin.errors import InputError, NotComputable
from fusin.provenance import Method, NoticeLog
from fusin.quantification.study import Stage, silent
from fusin.receptor.pbpk import hot_nmol, output_times
from fusin.receptor.pbpk_calibration import ORGAN_SUV
from fusin.receptor.pbpk_case import BodyCase
from fusin.receptor.pbpk_parameters import CALIBRATED, LIGAND_FIELDS, records_for
from fusin.receptor.pbpk_population import Population, read_population, run_population, write_population
from fusin.receptor.pbpk_questions import Amounts, Response, amounts_for_therapy, response_rows
from fusin.receptor.pbpk_study import BodyStudy, sampling_times, setup_of, study_body
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.pbpk_figures import amount_figure, curve_figure, population_figure, response_figure
from fusin.report.pbpk_tables import (
    BODY_AMOUNT_COLUMNS,
    BODY_CURVE_COLUMNS,
    BODY_IDENTIFIED_COLUMNS,
    BODY_PARAMETER_COLUMNS,
    BODY_REGION_COLUMNS,
    BODY_RESPONSE_COLUMNS,
    identified_table,
    limit_table,
    of_draws,
    parameter_table,
    ratio_table,
    significant,
)
from fusin.report.table_text import estimate_text, shown_columns
from fusin.stats.results import Estimate
from fusin.tabular.columns import Column
from fusin.tabular.rows import to_frame

__all__ = ["POPULATION_FILE", "TIMES_FILE", "pbpk_report"]

POPULATION_FILE = "patients.npz"
TIMES_FILE = "TIMES.csv"
_POPULATION_POINTS = 25
_METHODS = (
    Method("rosenbrock", "RODAS: Hairer E, Wanner G, Solving Ordinary Differential Equations II, 2nd ed. 1996, IV.7."),
    Method("reference-man", "Volumes, flows, blood: ICRP Publication 89, Ann ICRP 2002;32(3-4)."),
    Method("organ-suv", "Organ SUV of [68Ga]pentixafor: doi 10.1007/s11307-022-01717-1."),
    Method("tumour-suv", "SUVmax of solid tumours: Werner 2019, CXCR4-directed imaging in solid tumors."),
)
_HEADINGS = {
    "volume_ml": "Volume [mL]", "suv": "SUV", "tia_mbq_h": "TIA [MBq h]", "tail_mbq_h": "Tail [MBq h]", "dose_gy": "Self-dose [Gy]",
}  # fmt: skip
_CAPTIONS = {
    "mass": "Uptake by the amount of peptide, hot and cold together, over that of the label alone.",
    "sink": "Uptake by the volume of further tumour with the receptor of the reference lesion, over that without it.",
    "cxcl12": "Uptake by free CXCL12 in every tissue, over that without it.",
}


def pbpk_report(
    case: BodyCase, *, inputs: list[Path], draws: int = 40, seed: int = 0, patients: int = 0, folder: Path | None = None,
    log: NoticeLog, progress: Stage = silent,
) -> JobOutput:  # fmt: skip
    """Run a case and describe it.

    Parameters
    ----------
    case : what is asked
    inputs : files that were read
    draws, seed : of the intervals
    patients : virtual patients; 0 for none
    folder : keeps what is finished of the virtual patients
    log : receives notices
    progress : called with (stage, done, total)

    Raises
    ------
    InputError, NotComputable
        As the study and the population.
    """
    found = study_body(case, draws=draws, seed=seed, log=log, progress=progress)
    amounts = _amounts(case, found) if "amount" in case.ask else None
    population = _population(found, patients, folder, progress) if patients else None
    regions = _region_rows(found, log)
    sections = [_regions_section(found, regions), *_answer_sections(found, amounts)]
    if population is not None:
        sections.append(_population_section(population))
    sections += [_calibration_section(found), _parameter_section(found)]
    return JobOutput(
        title=f"Whole body: {_label(case)}", sections=tuple(sections), summary=_summary(found, amounts, population),
        document=_document(found, regions, amounts, population), notices=log.notices,
        provenance=provenance_of(inputs, {
            "ligand": case.ligand, "given": [_given(g) for g in case.given], "stated": case.stated, "draws": draws, "seed": seed,
            "patients": patients,
        }, _METHODS),
        files={TIMES_FILE: _times_file(found)},
    )  # fmt: skip


def _label(case: BodyCase) -> str:
    name = case.nuclide
    return f"[{name.split('-')[1]}{name.split('-')[0]}]{case.ligand}"


def _given(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__}


def _flat(name: str, found: Estimate) -> dict[str, float | None]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def _region_rows(found: BodyStudy, log: NoticeLog) -> list[dict[str, Any]]:
    """SUV, time-integrated activity and self-dose of each region."""
    case = found.case
    factors = _dose_factors(found, log)
    rows = []
    for name in found.setup.regions:
        tia = found.tia_mbq_h[name]
        factor = factors.get(name, math.nan)
        dose = {k: None if v is None or math.isnan(factor) else v * factor for k, v in _flat("dose_gy", tia).items()}
        rows.append({
            "region": name, "volume_ml": 1000.0 * found.typical.volumes_l[name], "at_min": case.at_min,
            **_flat("suv", found.suv[name]), **_flat("tia_mbq_h", tia), "tail_mbq_h": found.typical.tail_mbq_h(name), **dose,
            "suv_method": found.suv[name].method,
        })  # fmt: skip
    return rows


def _dose_factors(found: BodyStudy, log: NoticeLog | None = None) -> dict[str, float]:
    """Self-dose per time-integrated activity [Gy/(MBq h)].

    A sphere of the region's volume at 1 g/mL; of marrow, which no sphere describes, the charged particles alone, all absorbed.
    Blood and the rest have no self-dose of this kind, and no region has one of a nuclide whose emissions are not known.
    """
    factors: dict[str, float] = {}
    for name, volume in found.typical.volumes_l.items():
        mass = 1000.0 * volume
        if name in ("blood", "rest") or not 0.001 <= mass <= 10000.0:
            continue
        try:
            sphere = sphere_s(found.case.nuclide, mass)
        except (InputError, NotComputable) as err:
            if log is not None:
                log.info("NO_SELF_DOSE", f"no self-dose of {found.case.nuclide}: {err}", where=found.case.nuclide)
            return {}
        per_s = sphere.charged_mgy_per_mbq_s if name == "red marrow" else sphere.s_mgy_per_mbq_s
        factors[name] = per_s * 3.6
    return factors


def _amounts(case: BodyCase, found: BodyStudy) -> Amounts | None:
    response = found.responses["mass"]
    tumour = max(case.tumours, key=lambda t: t.volume_ml).name if case.tumours else ""
    factors = _dose_factors(found)
    if response.measure != "tia" or not tumour or not factors:
        return None
    return amounts_for_therapy(
        response, gy_per_mbq_h=factors, limits_gy=case.limits_gy, tumour=tumour, nuclide=case.nuclide
    )


def _population(found: BodyStudy, patients: int, folder: Path | None, progress: Stage) -> Population:
    path = None if folder is None else folder / POPULATION_FILE
    times = np.unique([*output_times(60.0 * found.case.until_h, _POPULATION_POINTS), found.case.at_min])
    setup = setup_of(found.case, times, found.setup.seed)
    earlier = read_population(path, setup) if path is not None and path.is_file() else None
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    return run_population(
        setup, patients, earlier=earlier, progress=progress,
        keep=None if path is None else lambda done: write_population(done, path),
    )  # fmt: skip


def _regions_section(found: BodyStudy, rows: list[dict[str, Any]]) -> JobSection:
    case = found.case
    activity = found.typical.activity_mbq
    text = (
        f"{_label(case)}, {activity:g} MBq with {found.typical.peptide_nmol:g} nmol peptide "
        f"({hot_nmol(activity, case.nuclide):.3g} nmol of it labelled). SUV at {case.at_min:g} min; "
        f"time-integrated activity and self-dose until {case.until_h:g} h; the tail is what physical decay alone would add.",
        "No CXCR4 body model has been published to match; the intervals hold what is not known of the parameters.",
    )
    curves = [
        {"region": name, "time_min": float(t), "suv": float(s), "activity_mbq": float(a)}
        for name in found.setup.regions
        for t, s, a in zip(found.typical.time_min, found.typical.suv(name), found.typical.activity(name), strict=True)
    ]
    return JobSection(
        name="regions", title="Organs and tumours", text=text,
        tables=(
            _table("regions", "Organs and tumours", rows, BODY_REGION_COLUMNS, leave_out=("at_min",), headings=_HEADINGS),
            _table("curves", "Curves of the typical body", curves, BODY_CURVE_COLUMNS, on_page=False),
        ),
        figures=(curve_figure(found),),
    )  # fmt: skip


def _table(
    name: str, title: str, rows: list[dict[str, Any]], columns: tuple[Column, ...], *, on_page: bool = True,
    leave_out: tuple[str, ...] = (), headings: dict[str, str] | None = None,
) -> JobTable:  # fmt: skip
    frame = to_frame(rows, columns)
    shown = shown_columns(frame, columns, leave_out=leave_out, headings=headings) if on_page else None
    return JobTable(name=name, title=title, frame=frame, shown=shown, on_page=on_page)


def _answer_sections(found: BodyStudy, amounts: Amounts | None) -> list[JobSection]:
    sections = []
    for key, response in found.responses.items():
        name = key.replace(" ", "-")
        caption = _CAPTIONS.get(key, f"Uptake by {response.x_name} at the injection, over that without it.")
        figures = [response_figure(response, name, caption)]
        every = _table(
            f"{name}-rows", f"{_title(key)}: all regions", response_rows(response), BODY_RESPONSE_COLUMNS, on_page=False
        )
        tables = [every, ratio_table(name, _title(key), response)]
        if key == "mass" and amounts is not None:
            figures.append(amount_figure(amounts))
            tables += [
                _table(
                    "amounts",
                    "Amount of peptide for therapy",
                    _amount_rows(amounts),
                    BODY_AMOUNT_COLUMNS,
                    on_page=False,
                ),
                limit_table(amounts),
            ]
        sections.append(JobSection(name=name, title=_title(key), text=_answer_text(found, key, response), tables=tuple(tables),
                                   figures=tuple(figures)))  # fmt: skip
    return sections


def _title(key: str) -> str:
    known = {"mass": "How much cold peptide", "sink": "Tumour sink effect", "cxcl12": "CXCL12 in the tissue"}
    return known.get(key, f"With {key.removeprefix('drug ')} on board")


def _answer_text(found: BodyStudy, key: str, response: Response) -> tuple[str, ...]:
    tumours = [t.name for t in found.case.tumours]
    if key == "mass":
        return tuple(
            f"{name}: a tenth less at {_crossing(response, name, 0.9)} nmol, half at {_crossing(response, name, 0.5)} nmol."
            for name in (*tumours[:3], "spleen")
        )
    if key == "sink":
        organs = ("spleen", "red marrow", "kidneys")
        lines = [f"{name}: a tenth less at {_crossing(response, name, 0.9)} mL of tumour." for name in organs]
        rho = [f"{name} {estimate_text(e)}" for name, e in found.correlations.items() if e.value is not None]
        if rho:
            lines.append(
                "Spearman's rho of SUV with tumour volume over virtual patients, 1 to 2000 mL: " + ", ".join(rho) + "."
            )
        return tuple(lines)
    return (f"The reference is {response.reference_text}. The competitor is in fast exchange with free receptor.",)


def _crossing(response: Response, name: str, level: float) -> str:
    found = response.crossing(name, level)
    beyond = f"more than {significant(float(response.x[-1]))}"
    value = beyond if found.value is None else significant(found.value)
    if found.n <= 2:
        return value
    low = beyond if found.low is None else significant(found.low)
    return f"{value} ({low} to {beyond if found.high is None else significant(found.high)})"


def _amount_rows(found: Amounts) -> list[dict[str, Any]]:
    rows = []
    for k, x in enumerate(found.response.x.tolist()):
        allowed = found.activity_mbq[:, k] / 1000.0
        for name in found.response.regions:
            gy = 1000.0 * found.gy_per_mbq[:, k, found.response.regions.index(name)]
            if np.isfinite(gy).all():
                rows.append({
                    "peptide_nmol": x, "region": name, **of_draws("gy_per_gbq", gy), **of_draws("allowed_gbq", allowed),
                    "limiting": found.limiting[k] if found.limiting else "",
                    **of_draws("dose_gy", gy * allowed),
                })  # fmt: skip
    return rows


def _population_section(found: Population) -> JobSection:
    return JobSection(
        name="patients", title="Virtual patients",
        text=(f"{int(found.usable.sum()):,} virtual patients, each calibrated to SUV drawn from the published distributions.",),
        figures=(population_figure(found),),
    )  # fmt: skip


def _calibration_section(found: BodyStudy) -> JobSection:
    rows = [one.to_json() for one in found.identified]
    own = found.case.ligand == "pentixafor"
    values = {n: found.typical.values[n] for n in CALIBRATED if own or n not in LIGAND_FIELDS}
    text = [
        "Numbers of the body are set such that SUV of five organs and a solid tumour with [68Ga]pentixafor come out: "
        + ", ".join(f"{name} {significant(value)}" for name, value in values.items())
        + "."
    ]
    if rows:
        text.append(
            "What keeps its whole range below is not identified by SUV at one moment: KD, rates and receptor number of a patient "
            "cannot be told apart from one scan; the ratio of receptor to KD is known better than either."
        )
    plain = _table("identified", "What organ SUV tell", rows, BODY_IDENTIFIED_COLUMNS, on_page=False)
    tables = (plain, identified_table(rows)) if rows else ()
    return JobSection(name="calibration", title="Calibration", text=tuple(text), tables=tables)


def _parameter_section(found: BodyStudy) -> JobSection:
    rows = _parameter_rows(found)
    tables = (_table("parameters", "Parameters", rows, BODY_PARAMETER_COLUMNS, on_page=False), parameter_table(rows))
    return JobSection(name="parameters", title="Parameters", tables=tables)


def _parameter_rows(found: BodyStudy) -> list[dict[str, Any]]:
    rows = []
    for name, record in records_for(found.case.ligand).items():
        stated = name in found.case.stated
        source = "user" if stated else record.source
        rows.append({
            "parameter": name, "value": found.typical.values[name], "unit": record.unit, "low": record.low, "high": record.high,
            "status": "stated" if stated else record.status, "meaning": record.meaning, "source": source,
        })  # fmt: skip
    return rows


def _times_file(found: BodyStudy) -> str:
    """Activities of regions over time, as ``fusin dose`` reads them; without blood, whose region is no organ."""
    times = sampling_times(found.case)
    places = np.searchsorted(found.typical.time_min, times)
    lines = ["region,time_h,activity_mbq,mass_g,nuclide"]
    for name in found.setup.regions:
        if name in ("blood", "rest"):
            continue
        activity, mass = found.typical.activity(name)[places], 1000.0 * found.typical.volumes_l[name]
        lines += [
            f"{name},{t / 60.0:.6g},{a:.6g},{mass:.6g},{found.case.nuclide}"
            for t, a in zip(times, activity.tolist(), strict=True)
        ]
    return "\n".join(lines) + "\n"


def _summary(found: BodyStudy, amounts: Amounts | None, population: Population | None) -> tuple[str, ...]:
    case = found.case
    names = [t.name for t in case.tumours][:3]
    suv = "; ".join(
        f"{n} {estimate_text(found.suv[n])}" for n in (*names, "kidneys", "spleen", "red marrow", "liver", "blood")
    )
    lines = [f"{_label(case)}: SUV at {case.at_min:g} min: {suv}."]
    for key in ("mass", "sink"):
        if key in found.responses:
            lines += list(_answer_text(found, key, found.responses[key]))[: 1 if key == "mass" else 4]
    if amounts is not None and case.limits_gy:
        best = amounts.best()
        lines.append(
            f"Within the limits the dose of {amounts.tumour} is largest with {estimate_text(best)} nmol of peptide."
        )
    if population is not None:
        lines.append(f"{int(population.usable.sum()):,} virtual patients were computed.")
    return tuple(lines)


def _answer(found: BodyStudy, response: Response) -> dict[str, Any]:
    names = [r for r in response.regions if r != "blood"]
    drops = [
        {"region": n, "level": level, "at": response.crossing(n, level).to_json()} for n in names for level in (0.9, 0.5)
    ] if response.question in ("mass", "sink") else []  # fmt: skip
    return {"setting": response.x_name, "measure": response.measure, "reference": response.reference_text,
            "rows": response_rows(response), "drops": drops}  # fmt: skip


def _document(
    found: BodyStudy, regions: list[dict[str, Any]], amounts: Amounts | None, population: Population | None
) -> dict[str, Any]:
    case = found.case
    curves = [
        {"region": n, "time_min": found.typical.time_min.tolist(), "suv": found.typical.suv(n).tolist(),
         "activity_mbq": found.typical.activity(n).tolist()} for n in found.setup.regions
    ]  # fmt: skip
    answers = {("drugs" if k.startswith("drug ") else k): _answer(found, r) for k, r in found.responses.items()}
    return {
        "ligand": case.ligand, "nuclide": case.nuclide, "activity_mbq": found.typical.activity_mbq,
        "peptide_nmol": found.typical.peptide_nmol, "hot_nmol": found.typical.course.given_hot_nmol, "at_min": case.at_min,
        "until_h": case.until_h, "draws": len(found.drawn), "regions": regions, "curves": curves,
        "mass": answers.get("mass"), "sink": answers.get("sink"), "drugs": answers.get("drugs"), "cxcl12": answers.get("cxcl12"),
        "correlations": [{"region": n, **_flat("rho", e), "method": e.method} for n, e in found.correlations.items()],
        "amount": None if amounts is None else {"tumour": amounts.tumour, "rows": _amount_rows(amounts),
                                                "best_nmol": amounts.best().to_json() if case.limits_gy else None},
        "calibration": {"targets": [o.to_json() for o in ORGAN_SUV],
                        "values": [{"parameter": n, "value": found.typical.values[n]} for n in CALIBRATED],
                        "identified": [one.to_json() for one in found.identified]},
        "parameters": _parameter_rows(found), "balances": found.typical.course.balances(),
        "patients": None if population is None else _population_json(population),
    }  # fmt: skip


def _population_json(found: Population) -> dict[str, Any]:
    rows = []
    usable = found.usable
    for place, name in enumerate(found.setup.regions):
        tia = found.tia_h[usable, place]
        low, middle, high = np.percentile(tia, [2.5, 50.0, 97.5]).tolist()
        rows.append({"region": name, "tiac_h": middle, "tiac_h_low": low, "tiac_h_high": high})
    return {"asked": int(found.done.size), "computed": int(usable.sum()), "rows": rows}
