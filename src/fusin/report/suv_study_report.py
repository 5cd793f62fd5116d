"""A simulated study of the SUV against binding, for people: sentences, one table, one figure, one document."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fusin.provenance import Method, NoticeLog
from fusin.quantification.study import Stage, silent
from fusin.receptor.suv_study import MEASURES, SuvStudy, SuvStudySettings, simulate_suv_study
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.plate import DOUBLE_MM, SERIES, SMALL, Axis, Box, Figure, Plate, axis_over, fit_text, left_margin
from fusin.report.svg import GRID, MUTED
from fusin.report.table_text import number_text
from fusin.tabular.columns import Column
from fusin.tabular.rows import to_frame

__all__ = ["SUV_LESION_COLUMNS", "SUV_MEASURE_COLUMNS", "suv_study_report"]

SUV_MEASURE_COLUMNS = (
    Column("measure", "string", "what was measured"),
    Column("rho_vt", "float64", "Spearman's correlation with the true VT"),
    Column("rho_k3", "float64", "Spearman's correlation with k3, the rate of binding"),
    Column(
        "clearance_percent", "float64", "change when plasma clears twice as fast, all rates of the lesion the same [%]"
    ),
    Column("missing", "Int64", "lesions without a value, such as rates at the limit of their search"),
)
SUV_LESION_COLUMNS = (
    *(Column(name, "float64", f"true {name}") for name in ("K1", "k2", "k3", "k4", "VT")),
    Column("clearance", "float64", "slow rate of the plasma [1/min]"),
    *(Column(name, "float64", text) for name, text in MEASURES.items()),
)


def suv_study_report(settings: SuvStudySettings, *, log: NoticeLog, progress: Stage = silent) -> JobOutput:
    """Simulate, and make the page.

    Parameters
    ----------
    settings : what is drawn
    log : receives notices
    progress : called with (stage, done, total)
    """
    found = simulate_suv_study(settings, progress=lambda done, total: progress("lesions", done, total))
    rows = _rows(found)
    lesions = to_frame(
        [{n: float(v[i]) for n, v in {**found.truth, **found.measured}.items()} for i in range(settings.lesions)],
        SUV_LESION_COLUMNS,
    )
    values = {name: getattr(settings, name) for name in settings.__slots__}
    section = JobSection(
        name="study", title="Measures against the truth", text=(
            "Rates are drawn from made-up ranges, so the numbers belong to these ranges; the direction of an effect does not. "
            "In a static scan faster clearance and lower density look alike.",),
        tables=(JobTable(name="measures", title="Measures", frame=to_frame(rows, SUV_MEASURE_COLUMNS)),
                JobTable(name="lesions", title="Lesions", frame=lesions, on_page=False)),
        figures=(_figure(found),),
    )  # fmt: skip
    return JobOutput(
        title="SUV against binding, simulated", sections=(section,), notices=log.notices, summary=_summary(rows, settings),
        document={"lesions": settings.lesions, "until_min": settings.until_min, "measures": rows, "settings": values},
        provenance=provenance_of([], values, methods=(Method("suv", "SUV depends on time and clearance: Hamberg L et al., "
                                                             "J Nucl Med 1994;35:1308."),)),
    )  # fmt: skip


def _rows(found: SuvStudy) -> list[dict[str, Any]]:
    rows = []
    for name in MEASURES:
        effect = found.clearance_effect(name)
        rows.append({
            "measure": MEASURES[name], "rho_vt": found.rank_correlation(name), "rho_k3": found.rank_correlation(name, "k3"),
            "clearance_percent": None if math.isnan(effect) else effect, "missing": int(np.isnan(found.measured[name]).sum()),
        })  # fmt: skip
    return rows


def _summary(rows: list[dict[str, Any]], settings: SuvStudySettings) -> tuple[str, ...]:
    first = (
        f"{settings.lesions} simulated lesions, {settings.nuclide}, {settings.until_min:g} min, seed {settings.seed}."
    )
    lines = []
    for row in rows:
        text = f"{row['measure']}: rho {number_text(row['rho_vt'])} with VT"
        if row["clearance_percent"] is not None:
            text += f"; {row['clearance_percent']:+.0f} % when plasma clears twice as fast"
        lines.append(text.replace("-", "\u2212") + ".")
    return (first, *lines)


def _figure(found: SuvStudy) -> Figure:
    """Each measure against the true VT, lesions coloured by the clearance of their plasma."""
    shown = [m for m in MEASURES if m != "patlak"]
    height = 128.0
    plate = Plate(DOUBLE_MM, 2 * height + 4, label="Measures against the true VT of simulated lesions")
    slow = found.truth["clearance"] <= float(np.median(found.truth["clearance"]))
    truth = found.truth["VT"]
    for place, name in enumerate(shown):
        left, top = (place % 2) * plate.width / 2, (place // 2) * height
        values = found.measured[name]
        good = np.isfinite(values)
        limit = 1.5 * float(truth.max())
        values = np.minimum(values, limit) if name in ("logan", "fit") else values
        y_axis = axis_over([0.0, *values[good].tolist()], 0.0, 1.0, zero=True, about=4)
        box = Box(left + left_margin(y_axis) + 2, left + plate.width / 2 - 10, top + 16, top + height - 28)
        y_axis = Axis(low=y_axis.low, high=y_axis.high, start=box.bottom, stop=box.top, ticks=y_axis.ticks)
        x_axis = axis_over([0.0, *truth.tolist()], box.left, box.right, zero=True, about=5)
        plate.label(
            box.left, top + 7, fit_text(MEASURES[name], plate.width / 2 - 40), font_weight="bold", class_="panel-title"
        )
        for value, label in zip(y_axis.ticks, y_axis.labels(), strict=True):
            plate.line(box.left, y_axis(value), box.right, y_axis(value), stroke=GRID, stroke_width=0.5)
            plate.label(box.left - 4.5, y_axis(value), label, size=SMALL, text_anchor="end", class_="tick-y")
        plate.line(box.left, box.top, box.left, box.bottom, stroke=MUTED)
        plate.bottom_axis(x_axis, box, "")
        plate.label((box.left + box.right) / 2, box.bottom + 18, "true VT [mL/cm³]", size=SMALL, text_anchor="middle")
        if name in ("logan", "fit"):
            end = min(x_axis.high, y_axis.high)
            plate.line(
                x_axis(0), y_axis(0), x_axis(end), y_axis(end), stroke=MUTED, stroke_width=0.6, stroke_dasharray="3 2"
            )
        for i in np.flatnonzero(good):
            series = SERIES[0] if slow[i] else SERIES[1]
            plate.mark(
                series.shape,
                x_axis(float(truth[i])),
                y_axis(float(values[i])),
                series.colour,
                size=1.4,
                fill_opacity=0.75,
            )
    caption = (
        "Simulated lesions. Circles: plasma that clears slowly; squares: fast. Dashed: equality. Values beyond one and a half "
        "times the largest true VT are drawn there."
    )
    return plate.figure("suv-study", caption)
