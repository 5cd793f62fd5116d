"""Tables of a dynamic study: TAC.csv with frames and regions, BLOOD.csv with blood and plasma."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.receptor.frames import FloatArray, Frames, TissueCurve
from fusin.receptor.kinetic_headers import Header, concentration_factor, headers_of, time_factor, unit_word
from fusin.tabular.schema import InputColumn, Schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BLOOD_TABLE", "TAC_TABLE", "BloodTable", "read_blood", "read_tacs"]

TAC_TABLE = Schema(
    name="time-activity curves",
    columns=(
        InputColumn("start_s", "float64", "start of the frame; `start_min` in minutes, or a unit in brackets"),
        InputColumn("end_s", "float64", "end of the frame; `duration_s` instead of it"),
        InputColumn("mid_s", "float64", "middle of the frame (`times`, `time`), with `duration_s` or alone"),
        InputColumn("weights", "float64", "weight of the frame in least squares; 0 leaves it out"),
        InputColumn("scan", "string", "scan or patient (`PET`), where a table holds several"),
        InputColumn("REGION_kBq_mL", "float64", "decay-corrected activity of a region; any number of such columns", required=True),
        InputColumn("region", "string", "in a long table: name of the region, beside a column `activity_kBq_mL`"),
    ),
)  # fmt: skip
BLOOD_TABLE = Schema(
    name="blood samples",
    columns=(
        InputColumn("time_s", "float64", "time of the sample; `time_min` in minutes", required=True),
        InputColumn("parent_plasma_kBq_mL", "float64", "unchanged tracer in plasma (`Cpl_metabcorr`)"),
        InputColumn("plasma_kBq_mL", "float64", "all activity in plasma; needs the parent fraction"),
        InputColumn("whole_blood_kBq_mL", "float64", "all activity in whole blood (`Cbl_dispcorr`), for the blood in the region"),
        InputColumn("parent_fraction", "float64", "unchanged share of the plasma activity; `parent_percent` in percent", least=0.0),
        InputColumn("scan", "string", "scan or patient (`PET`), where a table holds several"),
    ),
)  # fmt: skip

_START = (
    "start",
    "frame_start",
    "starttime",
    "start_time",
    "t_start",
    "frame_start_time",
    "frametimesstart",
    "frame_times_start",
)
_END = ("end", "frame_end", "endtime", "end_time", "t_end", "stop", "frame_end_time")
_MID = (
    "mid",
    "midtime",
    "mid_time",
    "midpoint",
    "frame_mid",
    "mid_frame",
    "time",
    "times",
    "t",
    "frame_time",
    "tac_time",
)
_DURATION = ("duration", "frame_duration", "frameduration", "dur", "length", "frame_length", "durations")
_WEIGHT = ("weights", "weight", "w")
_SCAN = (
    "scan",
    "pet",
    "subject",
    "session",
    "patient",
    "participant",
    "participant_id",
    "scan_id",
    "study",
    "subjname",
)
_REGION = ("region", "roi", "tissue", "voi", "structure")
_ACTIVITY = ("activity", "tac", "value", "radioactivity", "concentration", "c", "uptake", "mean")
_IGNORED = ("frame", "frame_number", "frame_no", "no", "nr", "index", "row", "rownames", "unnamed:_0", "", "comment",
            "note", "sd", "measurement")  # fmt: skip
_SAMPLE = ("time", "times", "sample_time", "t", "mid", "mid_time", "blood_time", "plasma_time", "time_blood")
_PARENT_PLASMA = ("parent_plasma", "cpl_metabcorr", "cp_metabcorr", "metabolite_corrected_plasma", "plasma_parent",
                  "plasma_metabcorr", "corrected_plasma", "aif", "input", "cp", "c_p", "plasma_corrected",
                  "plasma_metabolite_corrected", "parent", "arterial_input")  # fmt: skip
_PLASMA = ("plasma", "total_plasma", "cpl", "plasma_radioactivity", "plasma_total", "cpl_dispcorr", "plasma_activity")
_BLOOD = ("whole_blood", "blood", "wb", "wholeblood", "cbl", "cbl_dispcorr", "whole_blood_radioactivity", "cwb",
          "blood_activity", "whole_blood_activity", "cb", "c_b")  # fmt: skip
_FRACTION = ("parent_fraction", "parentfraction", "metabolite_parent_fraction", "parent_share", "fraction_parent", "ppf",
             "unchanged_fraction", "intact_fraction")  # fmt: skip
_PERCENT = ("parent_percent", "percent_parent", "parent_fraction_percent", "intact_percent")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BloodTable:
    """Samples of one scan; each quantity has its own times, in minutes.

    Attributes
    ----------
    where : file and scan, for messages
    parent_plasma, plasma, blood, fraction : (times, values) of what was measured
    unit : of activities, empty when it is not stated
    """

    where: str
    parent_plasma: tuple[FloatArray, FloatArray] | None
    plasma: tuple[FloatArray, FloatArray] | None
    blood: tuple[FloatArray, FloatArray] | None
    fraction: tuple[FloatArray, FloatArray] | None
    unit: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """A table as it stands, with the meaning of its headers."""

    frame: pd.DataFrame
    name: str
    headers: tuple[Header, ...]
    cells: Any

    def named(self, words: Sequence[str], *, share: bool = False) -> Header | None:
        """First column of some names; one in percent only where a share is meant."""
        return next((h for w in words for h in self.headers if h.name == w and (share or h.kind != "share")), None)

    def numbers(self, header: Header, *, least: float | None = None, required: bool = False) -> FloatArray:
        return np.asarray(
            self.cells.numbers(header.column, "float64", least, None, required=required).to_numpy(dtype=np.float64)
        )

    def numeric(self, header: Header) -> bool:
        """Whether no cell of a column is a word."""
        import pandas as pd

        return bool(pd.to_numeric(self.frame[header.column].replace("", None), errors="coerce").notna().any())

    def labels(self, header: Header) -> list[str]:
        return [str(v) for v in self.cells.labels(header.column, required=True, check_case=False)]


def _open(path: Path, log: NoticeLog, labels: Sequence[str], title: str) -> _Table:
    from fusin.tabular.cells import Cells
    from fusin.tabular.files import load

    frame, name = load(path, [*_START, *_END, *_MID, *_DURATION, *_SAMPLE, "pet", "scan"], title)
    headers = tuple(headers_of([str(c) for c in frame.columns], name, (*_START, *_END, *_MID, *_DURATION, *_SAMPLE)))
    cells = Cells(frame, name, log)
    cells.settle_decimal_commas([h.column for h in headers if h.name not in labels])
    return _Table(frame, name, headers, cells)


def read_tacs(
    path: Path, log: NoticeLog, *, time_unit: str | None = None, unit: str | None = None,
    scans: Sequence[str] = (), regions: Sequence[str] = (),
) -> tuple[TissueCurve, ...]:  # fmt: skip
    """Read time-activity curves.

    Parameters
    ----------
    path : CSV, TSV or Parquet; one column per region, or a long table with ``region`` and ``activity``
    log : receives notices
    time_unit, unit : of time and of activity, where the headers state none
    scans, regions : which ones; all without

    Raises
    ------
    InputError, Ambiguous
        For missing columns, units, values, unknown names, and frames out of order.
    """
    table = _open(path, log, (*_SCAN, *_REGION), "time-activity table")
    scan, region, weight = table.named(_SCAN), table.named(_REGION), table.named(_WEIGHT)
    if region is not None and table.numeric(region):
        # A column ``tissue`` of numbers is a region, not the names of regions.
        region = None
    times = {
        role: table.named(words)
        for role, words in (("start", _START), ("end", _END), ("mid", _MID), ("duration", _DURATION))
    }
    columns = _region_columns(table, times, region)
    limits = _limits(table, times, time_unit, log)
    scan_of = np.array(table.labels(scan) if scan else [""] * len(table.frame))
    region_of = np.array(table.labels(region)) if region else None
    given = None if weight is None else table.numbers(weight, least=0.0, required=True)
    _known(scans, scan_of, "--scan")
    found: list[TissueCurve] = []
    for one in dict.fromkeys(scan_of.tolist()):
        if scans and one not in scans:
            continue
        for header in columns:
            values = table.numbers(header)
            rows = scan_of == one
            if region_of is None:
                found.append(_curve(table, rows, limits, values, given, header, _region_name(header), one, unit))
                continue
            for name in dict.fromkeys(region_of[rows].tolist()):
                one_rows = rows & (region_of == name)
                found.append(_curve(table, one_rows, limits, values, given, header, str(name), one, unit))
    _known(regions, np.array([c.region for c in found]), "--region")
    kept = [c for c in found if not regions or c.region in regions]
    return tuple(kept)


def _region_name(header: Header) -> str:
    """The header without its unit, in its own spelling."""
    return (
        header.column.strip().lstrip("\ufeff")[: len(header.name)]
        if header.kind
        else header.column.strip().lstrip("\ufeff")
    )


def _known(wanted: Sequence[str], present: Any, option: str) -> None:
    for name in wanted:
        if name not in present:
            shown = list(dict.fromkeys(str(p) for p in present))
            raise InputError(
                option, "name", name, "one of " + ", ".join(shown[:12]) + (", ..." if len(shown) > 12 else "")
            )


def _region_columns(table: _Table, times: Mapping[str, Header | None], region: Header | None) -> list[Header]:
    """Columns that hold activities."""
    taken = {h.column for h in times.values() if h}
    # A PMOD table states the unit of its activities in the header of the frame's end.
    free = [
        h
        for h in table.headers
        if h.column not in taken
        and h is not region
        and h.kind != "time"
        and h.name not in (*_IGNORED, *_WEIGHT, *_SCAN)
    ]
    if region is not None:
        named = [h for h in free if h.name in _ACTIVITY] or free
        if len(named) != 1:
            raise InputError(
                table.name,
                "columns",
                ", ".join(h.column for h in named) or "none",
                "one column of activities beside the region",
            )
        return named
    if not free:
        raise InputError(
            table.name,
            "columns",
            ", ".join(h.column for h in table.headers),
            "at least one region, such as lesion_kBq_mL",
        )
    return free


def _limits(
    table: _Table, times: Mapping[str, Header | None], stated: str | None, log: NoticeLog
) -> dict[str, FloatArray]:
    """Start and end, or the middle, of all rows in minutes."""
    present = {role: h for role, h in times.items() if h is not None}
    if not present or set(present) in ({"end"}, {"duration"}):
        found = ", ".join(h.column for h in table.headers[:8])
        raise InputError(
            table.name, "columns", found, "the time of the frames: start_s and end_s, or mid_s and duration_s"
        )
    values = {role: table.numbers(h, required=True) for role, h in present.items()}
    every = np.concatenate([v for role, v in values.items() if role != "duration"])
    # The end column of PMOD carries the unit of the activities in place of its own.
    own = [h for h in present.values() if h.kind == "time"] or list(present.values())
    factor = time_factor(own, every, stated=stated, known_min=None, log=log, where=table.name)
    at = {role: v * factor for role, v in values.items()}
    if "start" in at and "end" not in at and "duration" in at:
        at["end"] = at["start"] + at["duration"]
    if "start" not in at and "mid" in at and "duration" in at:
        at["start"], at["end"] = at["mid"] - 0.5 * at["duration"], at["mid"] + 0.5 * at["duration"]
    if "start" in at and "mid" in at and "end" not in at:
        at["end"] = 2.0 * at["mid"] - at["start"]
    if "end" in at and "duration" in at and "start" not in at:
        at["start"] = at["end"] - at["duration"]
    if "start" in at and "end" not in at:
        raise InputError(table.name, "columns", present["start"].column, "the end or the duration of the frames too")
    if "start" in at and "mid" in at:
        off = np.abs(at["mid"] - 0.5 * (at["start"] + at["end"]))
        worst = int(off.argmax())
        if off[worst] > 0.02 + 0.01 * (at["end"] - at["start"])[worst]:
            raise InputError(f"{table.name} row {worst + 1}", "middle of the frame", float(at["mid"][worst]),
                             f"{0.5 * (at['start'] + at['end'])[worst]:g} min, the middle of its start and end")  # fmt: skip
    return at


def _curve(
    table: _Table, rows: Any, at: Mapping[str, FloatArray], values: FloatArray, given: FloatArray | None, header: Header,
    region: str, scan: str, unit: str | None,
) -> TissueCurve:  # fmt: skip
    where = f"{table.name} {scan}".strip()
    present = rows & np.isfinite(values)
    place = np.flatnonzero(present)
    if place.size == 0:
        raise InputError(where, f"column {header.column}", "no value", "activities")
    key = "start" if "start" in at else "mid"
    order = place[np.argsort(at[key][place], kind="stable")]
    if key == "start":
        frames = Frames.between(at["start"][order], at["end"][order], where=where)
    else:
        frames = Frames(mid_min=at["mid"][order])
    again = np.flatnonzero(np.diff(frames.mid_min) <= 0)
    if again.size:
        raise InputError(
            where,
            f"times of {region}",
            f"{frames.mid_min[again[0]]:g} min twice",
            "one value per region and time, or a column that names the scan",
        )
    if frames.mid_min[0] < 0:
        raise InputError(where, "time", float(frames.mid_min[0]), "times after the injection, zero or more")
    return TissueCurve(
        region=region, scan=scan, frames=frames, activity=values[order], weights=None if given is None else given[order],
        unit=_unit(table, header, unit),
    )  # fmt: skip


def _unit(table: _Table, header: Header, stated: str | None) -> str:
    found = header.unit if header.kind == "concentration" else ""
    if not found:
        found = next((h.unit for h in table.headers if h.name in _END and h.kind == "concentration"), "")
    if stated is None:
        return found
    word, kind = unit_word(stated)
    if kind != "concentration":
        raise InputError("--unit", "unit", stated, "kBq/mL, Bq/mL, MBq/mL, nCi/mL, uCi/mL or SUV")
    return found or word


def read_blood(
    path: Path, log: NoticeLog, *, scan_min: float, time_unit: str | None = None, unit: str | None = None, wanted: str = "",
) -> dict[str, BloodTable]:  # fmt: skip
    """Read blood samples by scan (one with an empty name where the table has no column of scans).

    Parameters
    ----------
    path : CSV, TSV or Parquet
    log : receives notices
    scan_min : length of the scan, which settles a missing unit of time where only one fits
    time_unit, unit : of time and of activity, where the headers state none
    wanted : unit into which activities are converted

    Raises
    ------
    InputError, Ambiguous
        For missing columns and samples, and units that are missing or do not fit.
    """
    table = _open(path, log, _SCAN, "blood table")
    time = table.named(_SAMPLE)
    if time is None:
        shown = ", ".join(h.column for h in table.headers[:8])
        raise InputError(table.name, "columns", shown, "the time of the samples, such as time_s")
    minutes = table.numbers(time, required=True)
    minutes = minutes * time_factor(
        [time], minutes, stated=time_unit, known_min=scan_min, log=log, where=table.name, regular=False
    )
    scan = table.named(_SCAN)
    scan_of = np.array(table.labels(scan) if scan else [""] * len(minutes))
    roles = {"parent_plasma": _PARENT_PLASMA, "plasma": _PLASMA, "blood": _BLOOD}
    columns = {role: h for role, words in roles.items() if (h := table.named(words)) is not None}
    if not columns:
        found = ", ".join(h.column for h in table.headers[:8])
        raise InputError(
            table.name, "columns", found, "plasma or blood: parent_plasma_kBq_mL, plasma_kBq_mL or whole_blood_kBq_mL"
        )
    values = {
        role: table.numbers(h) * concentration_factor(_unit(table, h, unit), wanted, table.name)
        for role, h in columns.items()
    }
    fraction = _fractions(table)
    out = {}
    for one in dict.fromkeys(scan_of.tolist()):
        rows = scan_of == one
        where = f"{table.name} {one}".strip()
        series = {role: _series(minutes, v, rows, where, columns[role].column) for role, v in values.items()}
        out[one] = BloodTable(
            where=where, parent_plasma=series.get("parent_plasma"), plasma=series.get("plasma"), blood=series.get("blood"),
            fraction=None if fraction is None else _series(minutes, fraction[1], rows, where, fraction[0], fewest=1), unit=wanted,
        )  # fmt: skip
    return out


def _fractions(table: _Table) -> tuple[str, FloatArray] | None:
    percents = [h for h in table.headers if h.kind == "share" and h.name in ("parent", "intact", "unchanged")]
    header = table.named((*_FRACTION, *_PERCENT), share=True) or (percents[0] if percents else None)
    if header is None:
        return None
    percent = header.unit == "%" or header.name in _PERCENT
    values = table.numbers(header, least=0.0)
    if percent:
        values = values / 100.0
    wrong = np.flatnonzero(values > 1.05)
    if wrong.size:
        row = int(wrong[0])
        raise InputError(f"{table.name} row {row + 1}", header.column, float(values[row]),
                         "a share from 0 to 1 (name the column parent_percent if it is in percent)")  # fmt: skip
    return header.column, values


def _series(
    minutes: FloatArray, values: FloatArray, rows: Any, where: str, column: str, *, fewest: int = 3
) -> tuple[FloatArray, FloatArray]:
    keep = np.flatnonzero(rows & np.isfinite(values))
    if keep.size < fewest:
        raise InputError(where, f"column {column}", f"{keep.size} samples", f"at least {fewest}")
    order = keep[np.argsort(minutes[keep], kind="stable")]
    time = minutes[order]
    again = np.flatnonzero(np.diff(time) <= 0)
    if again.size:
        raise InputError(
            where,
            f"times of {column}",
            f"{time[again[0]]:g} min twice",
            "one sample per time, or a column that names the scan",
        )
    return np.asarray(time), np.asarray(values[order])
