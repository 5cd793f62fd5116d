"""S values from files that the user holds: OpenDose JSON, a matrix or a list as CSV; see `saf_files` for ICRP 133.

OpenDose JSON is a list of rows ``[target, S in mGy/(MBq s), its statistical sigma, mass in g]`` for one source, and says
neither nuclide nor source: these stand in the name of the file (``lu-177_liver.json``) or are given. A CSV matrix has a
column of targets and one column per source; its unit stands in its first heading (``target [mGy/(MBq s)]``) or is given.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fusin.dosimetry.s_tables import STable, joined_tables
from fusin.dosimetry.saf_files import read_saf, s_table_from_saf
from fusin.errors import InputError
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.tabular.schema import InputColumn, Schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["S_UNITS", "S_VALUES_TABLE", "read_masses", "read_s_csv", "read_s_json", "read_s_tables"]

S_UNITS = {
    "mGy/(MBq s)": 1.0,
    "Gy/(Bq s)": 1e9,
    "Gy/(MBq s)": 1e3,
    "Gy/(GBq s)": 1.0,
    "mGy/(GBq s)": 1e-3,
    "mGy/(MBq h)": 1.0 / 3600.0,
    "Gy/(GBq h)": 1.0 / 3600.0,
    "Gy/(MBq h)": 1e3 / 3600.0,
    "mGy/(GBq h)": 1e-3 / 3600.0,
    "rad/(uCi h)": 10.0 / 0.037 / 3600.0,
}
"""mGy/(MBq s) per unit of an S value."""

S_VALUES_TABLE = Schema(
    name="S values",
    columns=(
        InputColumn("source", "string", "where the decays are", required=True),
        InputColumn("target", "string", "what receives the dose", required=True),
        InputColumn("s_mgy_per_mbq_s", "float64", "S value [mGy/(MBq s)]", required=True, least=0.0),
        InputColumn("u_percent", "float64", "relative standard uncertainty [%]", least=0.0),
        InputColumn("target_mass_g", "float64", "mass of the target in the model [g]", least=0.0),
    ),
    key=("source", "target"),
)

_MASSES = Schema(
    name="masses",
    columns=(
        InputColumn("organ", "string", "name of the organ", required=True),
        InputColumn("mass_g", "float64", "mass [g]", required=True, least=0.0),
    ),
    key=("organ",),
)
_FIELDS, _MOST_BYTES = 4, 50_000_000
_MASS_HEADING = ("massg", "targetmassg", "referencemassg")


def read_s_tables(
    paths: Sequence[Path], log: NoticeLog, *, nuclide_name: str | None = None, unit: str | None = None
) -> STable:
    """One table from one or several files of one model; the kind is told by the name's ending.

    Parameters
    ----------
    paths : OpenDose JSON (one per source), one CSV, or electrons and photons of ICRP 133 (SAF)
    log : receives what was taken from names of files
    nuclide_name : the nuclide, where a file does not say it; must agree where it does
    unit : of a CSV that does not say it; a key of `S_UNITS`

    Raises
    ------
    InputError
        For a file that cannot be read, and for files of different nuclides or models.
    """
    tables, saf = [], []
    for path in paths:
        if not path.is_file():
            raise InputError(path.name, "file", "a folder" if path.is_dir() else "nothing", "a table of S values")
        suffix = path.suffix.lower()
        if suffix == ".json":
            tables.append(read_s_json(path, log, nuclide_name=nuclide_name))
        elif suffix in {".csv", ".tsv", ".txt"}:
            tables.append(read_s_csv(path, log, nuclide_name=nuclide_name, unit=unit))
        elif suffix == ".saf":
            saf.append(read_saf(path))
        else:
            raise InputError(path.name, "file type", suffix or "none", "OpenDose JSON, CSV or ICRP 133 SAF")
    if saf:
        if nuclide_name is None:
            raise InputError(saf[0].name, "nuclide", "none stated", "--nuclide")
        tables.append(s_table_from_saf(saf, log, nuclide_name=nuclide_name))
    return joined_tables(tables)


def read_s_json(path: Path, log: NoticeLog, *, nuclide_name: str | None = None, source: str | None = None) -> STable:
    """One source of OpenDose.

    Parameters
    ----------
    nuclide_name, source : None takes them from the file's name, ``lu-177_left kidney c+m+p.json``

    Raises
    ------
    InputError
        For text that is no such list, with the row; for a nuclide that contradicts the name of the file.
    """
    rows = _rows_of_json(path)
    named = re.fullmatch(r"(?P<nuclide>[A-Za-z]{1,2}-?\d+m?)[_ ](?P<source>.+)", path.stem)
    stated = named["nuclide"] if named else None
    used = nuclide(nuclide_name).name if nuclide_name else nuclide(stated).name if stated else None
    if used is None:
        raise InputError(path.name, "nuclide", "a name without one", "--nuclide, or a name such as lu-177_liver.json")
    if stated and nuclide(stated).name != used:
        raise InputError(path.name, "nuclide", stated, f"{used}, or another file")
    origin = source or (named["source"] if named else None)
    if origin is None:
        raise InputError(path.name, "source", "a name without one", "a name such as lu-177_liver.json")
    targets, values, sigmas, masses = [], [], [], {}
    for number, row in enumerate(rows, start=1):
        where = f"{path.name} row {number}"
        if not isinstance(row, list) or len(row) != _FIELDS or not isinstance(row[0], str) or not row[0].strip():
            raise InputError(where, "row", str(row)[:60], "[target, S, sigma, mass]")
        if row[0].strip() in masses:
            raise InputError(where, "target", row[0], "each target once")
        value, sigma, mass = (_number(v, where, n) for v, n in zip(row[1:], ("S", "sigma", "mass"), strict=True))
        targets.append(row[0].strip())
        values.append(value)
        sigmas.append(sigma / value if value > 0 else math.nan)
        masses[row[0].strip()] = mass
    log.info("S_VALUES_READ", f"{len(targets)} targets of {used} in {origin}", where=path.name)
    return STable(
        name=path.name, nuclide=used, sources=(origin,), targets=tuple(targets),
        values=np.array(values)[:, None], u_relative=np.array(sigmas)[:, None],
        masses_g={n: m for n, m in masses.items() if m > 0}, citation="OpenDose, imported by the user",
    )  # fmt: skip


def read_s_csv(path: Path, log: NoticeLog, *, nuclide_name: str | None = None, unit: str | None = None) -> STable:
    """A matrix of targets (rows) and sources (columns), or a list with the columns of `S_VALUES_TABLE`.

    A column ``mass_g`` of a matrix holds the masses of the targets in the model.

    Raises
    ------
    InputError
        For a nuclide or a unit that nobody states, and for cells that are no S values.
    """
    from fusin.tabular.cells import Cells
    from fusin.tabular.files import load

    if nuclide_name is None:
        raise InputError(path.name, "nuclide", "none stated", "--nuclide")
    used = nuclide(nuclide_name).name
    frame, where = load(path, S_VALUES_TABLE.names(), "")
    names = [str(c).strip() for c in frame.columns]
    if {"source", "target"} <= {n.lower() for n in names}:
        return _listed(path, used, log)
    if len(names) < 2:
        raise InputError(where, "columns", ", ".join(names), "a column of targets and one for each source")
    factor = S_UNITS[_unit(where, names[0], unit)]
    if len(set(names)) < len(names):
        raise InputError(where, "columns", next(n for n in names if names.count(n) > 1), "each source once")
    frame.columns = frame.columns.__class__(names)
    cells = Cells(frame, where, log)
    cells.settle_decimal_commas(names[1:])
    targets = [str(t) for t in cells.labels(names[0], required=True, check_case=False)]
    if len(set(targets)) < len(targets):
        raise InputError(where, names[0], next(t for t in targets if targets.count(t) > 1), "each target once")
    columns = {n: cells.numbers(n, "float64", 0.0, None, required=False).to_numpy() for n in names[1:]}
    mass = next((n for n in names[1:] if re.sub(r"\W|_", "", n.lower()) in _MASS_HEADING), None)
    masses = dict(zip(targets, columns.pop(mass), strict=True)) if mass else {}
    values = np.stack([columns[n] for n in columns], axis=1) * factor if columns else np.empty((len(targets), 0))
    if not columns:
        raise InputError(where, "columns", ", ".join(names), "at least one source")
    return STable(
        name=path.name, nuclide=used, sources=tuple(columns), targets=tuple(targets), values=values,
        u_relative=np.full(values.shape, np.nan),
        masses_g={n: float(m) for n, m in masses.items() if m > 0}, citation=f"{path.name}, imported by the user",
    )  # fmt: skip


def read_masses(path: Path, log: NoticeLog) -> dict[str, float]:
    """Masses [g] by organ, from a table with the columns organ and mass_g.

    Raises
    ------
    InputError
        For a mass of 0 or less.
    """
    from fusin.tabular.rows import rows_of

    found = {}
    for row in rows_of(path, _MASSES, log):
        mass = row.number("mass_g", positive=True)
        found[row.needed("organ")] = mass if mass is not None else math.nan
    return found


def _listed(path: Path, used: str, log: NoticeLog) -> STable:
    from fusin.tabular.schema import read_table

    frame = read_table(path, S_VALUES_TABLE, log)
    sources, targets = (list(dict.fromkeys(map(str, frame[n]))) for n in ("source", "target"))
    at = [(targets.index(t), sources.index(s)) for t, s in zip(frame["target"], frame["source"], strict=True)]
    values, spread = np.full((2, len(targets), len(sources)), np.nan)
    u_percent = _column(frame, "u_percent")
    for place, value, u in zip(at, frame["s_mgy_per_mbq_s"], u_percent, strict=True):
        values[place], spread[place] = value, u / 100.0
    masses: dict[str, float] = {}
    for number, (target, mass) in enumerate(
        zip(frame["target"], _column(frame, "target_mass_g"), strict=True), start=1
    ):
        if not math.isnan(mass) and masses.setdefault(str(target), mass) != mass:
            raise InputError(f"{path.name} row {number}", "target_mass_g", mass, f"{masses[str(target)]:g}, as above")
    return STable(
        name=path.name, nuclide=used, sources=tuple(sources), targets=tuple(targets), values=values, u_relative=spread,
        masses_g={n: m for n, m in masses.items() if m > 0}, citation=f"{path.name}, imported by the user",
    )  # fmt: skip


def _column(frame: pd.DataFrame, name: str) -> list[float]:
    return [float(v) for v in frame[name]] if name in frame.columns else [math.nan] * len(frame)


def _unit(where: str, heading: str, given: str | None) -> str:
    """The unit of a matrix: of its first heading, or as given; both must agree."""
    by_key = {_unit_key(u): u for u in S_UNITS}
    stated = re.search(r"[\[(]([^\[\]]*/.*?)[\])]*$", heading)
    found = by_key.get(_unit_key(stated[1])) if stated else None
    if stated and found is None:
        raise InputError(where, "unit", stated[1], "one of " + ", ".join(S_UNITS))
    wanted = by_key.get(_unit_key(given)) if given else None
    if given and wanted is None:
        raise InputError("--s-unit", "unit", given, "one of " + ", ".join(S_UNITS))
    if found and wanted and S_UNITS[found] != S_UNITS[wanted]:
        raise InputError(where, "unit", found, f"{wanted}, or the unit that the file states")
    unit = found or wanted
    if unit is None:
        raise InputError(
            where, "unit", heading or "an empty heading", "--s-unit, or a first heading such as target [mGy/(MBq s)]"
        )
    return unit


def _unit_key(text: str) -> str:
    """Units without blanks, brackets and signs of multiplication: mGy/MBq-s, mGy/(MBq·s) and mGy MBq^-1 s^-1 are one."""
    plain = re.sub(r"\s*([a-z]+)\s*\^?[-−]1", r"/\1", text.lower().replace("µ", "u").replace("μ", "u"))
    return re.sub(r"[\s()\[\]·*.\-_]", "", plain).replace("/s", "s").replace("/h", "h")


def _rows_of_json(path: Path) -> list[Any]:
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(path.name, "file", f"{path.stat().st_size} bytes", "a list of S values")
    try:
        rows = json.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as err:
        raise InputError(path.name, "text", f"byte {err.object[err.start]:#04x} at {err.start}", "UTF-8 text") from err
    except (json.JSONDecodeError, RecursionError) as err:
        raise InputError(path.name, "JSON", str(err).splitlines()[0], "a list of [target, S, sigma, mass]") from err
    if not isinstance(rows, list) or not rows:
        raise InputError(path.name, "JSON", type(rows).__name__, "a list of [target, S, sigma, mass]")
    return rows


def _number(value: Any, where: str, name: str) -> float:
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not (math.isfinite(found) and found >= 0):
        raise InputError(where, name, value if isinstance(value, (str, int, float)) else type(value).__name__,
                         "a number of zero or more")  # fmt: skip
    return found
