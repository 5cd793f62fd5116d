"""When to scan the next cycle, for people: the expected error of each organ's integral by schedule and method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fusin.dosimetry.planning_draws import Study, half_life_distribution
from fusin.dosimetry.schedules import METHODS, ScheduleError, schedule_errors
from fusin.errors import NotComputable
from fusin.provenance import Method, NoticeLog
from fusin.report.job_output import JobSection, JobTable
from fusin.report.plate import (
    DOUBLE_MM,
    SERIES,
    Box,
    Entry,
    Figure,
    Plate,
    axis_over,
    fit_text,
    legend_height,
    text_width,
)
from fusin.report.table_text import Shown
from fusin.tabular.columns import Column
from fusin.tabular.rows import to_frame

__all__ = [
    "SCHEDULE_COLUMNS",
    "SCHEDULE_METHOD",
    "ScheduleOptions",
    "schedule_document",
    "schedule_rows",
    "schedule_section",
]

SCHEDULE_COLUMNS = (
    Column("organ", "string", "organ or lesion"),
    Column("times_h", "string", "times of the scans [h]"),
    Column("method", "string", "method of the integral"),
    Column("rms", "float64", "root mean square of its relative error"),
    Column("rms_low", "float64", "95 % lower limit of `rms` from the number of draws"),
    Column("rms_high", "float64", "95 % upper limit of `rms`"),
    Column("bias", "float64", "median relative error"),
    Column("beyond_10_percent", "float64", "probability of an error above 10 %"),
    Column("beyond_10_percent_low", "float64", "its lower limit from the number of draws (Wilson)"),
    Column("beyond_10_percent_high", "float64", "its upper limit"),
)
SCHEDULE_METHOD = Method(
    "schedules", "Simulation of mono-exponential patients; Hänscheid H et al., J Nucl Med 2018;59:75; Madsen M et al., "
    "Med Phys 2018;45:2318.",
)  # fmt: skip
Row = tuple[str, ScheduleError]
_ROW, _TOP, _MOST = 13.0, 8.0, 40
_Z95 = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleOptions:
    """Which schedules are compared.

    Attributes
    ----------
    times_h : times of scans of each schedule
    scan_u : relative standard uncertainty of each measured activity
    """

    times_h: tuple[tuple[float, ...], ...]
    scan_u: float


def schedule_rows(study: Study, options: ScheduleOptions, *, seed: int, log: NoticeLog) -> tuple[Row, ...]:
    """Expected errors of every organ whose half-life the study knows.

    Raises
    ------
    NotComputable
        ``PLAN_T_EFF_MISSING`` where no organ has one.
    """
    found: list[Row] = []
    for one in study.organs:
        if one.t_eff_h is None:
            continue
        median, sigma = half_life_distribution(one, log)
        errors = schedule_errors(
            options.times_h, median_h=median, sigma=sigma, nuclide=study.nuclide, scan_u=options.scan_u, seed=seed
        )
        found += [(one.name, e) for e in errors]
    if not found:
        raise NotComputable("when to scan", "no organ of the study has an effective half-life",
                            "t_eff_h with its uncertainty", "PLAN_T_EFF_MISSING")  # fmt: skip
    return tuple(found)


def schedule_section(rows: Sequence[Row], options: ScheduleOptions) -> JobSection:
    """Table and figure of the errors."""
    frame = to_frame([_row(organ, e) for organ, e in rows], SCHEDULE_COLUMNS)
    shown = (
        Shown(name="organ", heading="organ"), Shown(name="times_h", heading="scans, h"), Shown(name="method", heading="method"),
        Shown(name="rms", heading="rms error", percent=True, low="rms_low", high="rms_high"),
        Shown(name="bias", heading="median error", percent=True),
        Shown(name="beyond_10_percent", heading="error above 10 %", percent=True, low="beyond_10_percent_low",
              high="beyond_10_percent_high"),
    )  # fmt: skip
    text = (
        f"Half-lives are drawn from the study's own intervals, each scan has an error of {100 * options.scan_u:g} %; curves are "
        "mono-exponential, so scans during the uptake are worse than they look here."
    )
    table = JobTable(name="plan-schedules", title="Expected error of the integral", frame=frame, shown=shown)
    return JobSection(name="schedules", title="When to scan", text=(text,), tables=(table,), figures=(_figure(rows),))


def schedule_document(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows of the JSON document."""
    return [
        {"organ": organ, "times_h": list(e.times_h), "method": e.method, "rms": e.rms, "rms_u": e.rms_u, "bias": e.bias,
         "beyond_10_percent": e.beyond_10_percent.to_json()} for organ, e in rows
    ]  # fmt: skip


def _times(one: ScheduleError) -> str:
    return ", ".join(f"{t:g}" for t in one.times_h)


def _row(organ: str, one: ScheduleError) -> dict[str, Any]:
    share = one.beyond_10_percent
    return {
        "organ": organ, "times_h": _times(one), "method": one.method, "rms": one.rms, "bias": one.bias,
        "rms_low": max(one.rms - _Z95 * one.rms_u, 0.0), "rms_high": one.rms + _Z95 * one.rms_u,
        "beyond_10_percent": share.value, "beyond_10_percent_low": share.low, "beyond_10_percent_high": share.high,
    }  # fmt: skip


def _figure(rows: Sequence[Row]) -> Figure:
    labels = list(dict.fromkeys(f"{organ}: {_times(e)} h" for organ, e in rows))[:_MOST]
    width = DOUBLE_MM * 72 / 25.4
    left = min(190.0, max(text_width(n) for n in labels) + 14)
    box = Box(left, width - 14, _TOP, _TOP + _ROW * len(labels))
    axis = axis_over([e.rms for _, e in rows], box.left, box.right, zero=True, percent=True, about=6)
    used = [m for m in METHODS if any(e.method == m for _, e in rows)]
    entries = [Entry(m, SERIES[METHODS.index(m)], "mark") for m in used]
    plate = Plate(DOUBLE_MM, box.bottom + 30 + legend_height(entries, box.right - left) + 4, label="Error by schedule")
    plate.bottom_axis(axis, box, "rms error of the time-integrated activity [%]", grid=True)
    for number, label in enumerate(labels):
        y = box.top + _ROW * (number + 0.5)
        plate.label(left - 6, y, fit_text(label, left - 10), text_anchor="end", class_="schedule")
        for organ, one in rows:
            if f"{organ}: {_times(one)} h" == label:
                style = SERIES[METHODS.index(one.method)]
                plate.mark(style.shape, axis(one.rms), y, style.colour, class_="rms", data_method=one.method)
    plate.legend(entries, left, box.bottom + 28, box.right - left)
    return plate.figure("plan-schedules", "Expected error of each organ's time-integrated activity by the times of scans and the "
                        "method.")  # fmt: skip
