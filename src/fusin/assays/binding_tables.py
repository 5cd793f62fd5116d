"""Tables of binding assays: reading and checking them, and their documented columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fusin.assays.binding_columns import Amount, Header, plain, recognise
from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.tabular.columns import Column
from fusin.tabular.files import load
from fusin.tabular.rows import Row, rows_of
from fusin.tabular.schema import InputColumn, Schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "BINDING_COLUMNS",
    "COMPETITION_TABLE",
    "SATURATION_COLUMNS",
    "SATURATION_TABLE",
    "Points",
    "read_competition",
    "read_saturation",
]

FloatArray = NDArray[np.float64]
# Nobody dissolves more than 1 mol/L of a ligand, and below this not one molecule is left in a litre.
_MOST_MOLAR, _LEAST_LOG = 1.0, -24.0
_SAMPLE = ("sample", ("samples", "unknown", "s", "compound", "test"))
_TOTAL = ("total", ("totals", "total binding", "tb", "b0", "zero", "maximum", "total_binding"))
_NONSPECIFIC = ("nonspecific", ("non-specific", "non specific", "nsb", "ns", "nonspecific binding", "non_specific",
                                "non-specific binding", "blocked", "block"))  # fmt: skip
_SPECIFIC = ("specific", ("specific binding", "sb"))

_GROUPING = (
    InputColumn(
        "compound", "string", "ligand that is tested; one result for each (also `ligand`, `group`, `state`)", label=True
    ),
    InputColumn(
        "experiment", "string", "independent experiment; each is fitted on its own (also `run`, `day`, `plate`)", label=True
    ),
    InputColumn("replicate", "string", "number of the replicate; replicates are separate rows"),
)  # fmt: skip
_SD = InputColumn("sd", "float64", "known standard deviation of the response, for `--noise given`", least=0.0)

COMPETITION_TABLE = Schema(
    name="competition table",
    columns=(
        InputColumn(
            "concentration_nM", "float64",
            "competitor, 0 for none; the unit is part of the header (`_pM`, `_nM`, `_uM`, `_mM`, `_M`, `[µM]`), or "
            "`log10_concentration_M` for logarithms", required=True, least=0.0,
        ),
        InputColumn(
            "counts", "float64",
            "response: `counts`, `cpm`, `bound_percent`, `response` or another name; replicates side by side as `cpm_1`, `cpm_2`",
            required=True,
        ),
        *_GROUPING,
        InputColumn("kind", "string", "what a row is; `sample` without the column", words=(_SAMPLE, _TOTAL, _NONSPECIFIC)),
        InputColumn("reference", "boolean", "the compound that the others are related to"),
        InputColumn("hot_nM", "float64", "concentration of the radioligand (also `radioligand_nM`, other units)", least=0.0),
        InputColumn("kd_nM", "float64", "dissociation constant of the radioligand", least=0.0),
        InputColumn("added", "float64", "radioligand added, in the unit of the response (also `added_cpm`)", least=0.0),
        _SD,
    ),
)  # fmt: skip
"""Documented columns of `fusin assay binding`."""

SATURATION_TABLE = Schema(
    name="saturation table",
    columns=(
        InputColumn(
            "concentration_nM", "float64", "radioligand; free, or added where depletion is asked for; unit in the header",
            required=True, least=0.0,
        ),
        InputColumn(
            "counts", "float64", "response, named as above; or two columns `total_cpm` and `nonspecific_cpm`", required=True
        ),
        *_GROUPING,
        InputColumn("kind", "string", "what a row is; `specific` without the column", words=(_TOTAL, _NONSPECIFIC, _SPECIFIC)),
        _SD,
    ),
)  # fmt: skip
"""Documented columns of `fusin assay saturation`."""

_ESTIMATES = (
    ("log_ic50", "log10 of the IC50 in mol/L"),
    ("ic50_nm", "IC50 [nM]; geometric mean over experiments"),
    ("hill", "steepness of the curve, positive"),
    ("top", "upper plateau, unit of the response"),
    ("bottom", "lower plateau, unit of the response"),
    ("ki_nm", "inhibition constant [nM]"),
    ("kd_nm", "Kd of a homologous competition [nM]"),
    ("bmax", "Bmax of a homologous competition, unit of the response"),
    ("relative_ic50", "IC50 over that of the reference compound"),
)


def _with_limits(names: Sequence[tuple[str, str]]) -> tuple[Column, ...]:
    return tuple(
        column
        for name, meaning in names
        for column in (
            Column(name, "float64", meaning),
            Column(f"{name}_low", "float64", "lower limit; empty where the data do not bound it"),
            Column(f"{name}_high", "float64", "upper limit; empty where the data do not bound it"),
        )
    )


BINDING_COLUMNS = (
    Column("compound", "string", "ligand that was tested"),
    Column("experiment", "string", "experiment, or `all` for the summary over experiments"),
    Column("model", "string", "curve that was fitted, or over how many experiments the row is the mean"),
    Column("n", "Int64", "points"),
    *_with_limits(_ESTIMATES),
    Column("direction", "string", "`decreasing` or `increasing` with the concentration"),
    Column("residual_ss", "float64", "sum of squared residuals, without weights"),
    Column("refused", "string", "why there is no IC50"),
)
"""Columns of the result of `fusin assay binding`."""

SATURATION_COLUMNS = (
    Column("group", "string", "compound, group or state; empty for one curve"),
    Column("experiment", "string", "experiment, or `all` for the summary over experiments"),
    Column("model", "string", "curve that was fitted, or over how many experiments the row is the mean"),
    Column("n", "Int64", "points"),
    *_with_limits(
        (
            ("bmax", "maximal specific binding, unit of the response"),
            ("kd_nm", "dissociation constant [nM]"),
            ("ns", "non-specific binding, response per nM (with depletion: per free counts)"),
            ("background", "response without radioligand"),
        )
    ),
    Column("residual_ss", "float64", "sum of squared residuals, without weights"),
)
"""Columns of the result of `fusin assay saturation`."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Points:
    """Rows of one compound in one experiment.

    Attributes
    ----------
    compound, experiment : names; empty where the table has none
    log_x : (n,) log10 mol/L; -inf without compound, +inf for non-specific binding
    y : (n,) response
    kind : (n,) ``sample``, ``total``, ``nonspecific`` or ``specific``
    sd : (n,) standard deviations where the table has them
    hot_nm, kd_nm, added : of the radioligand, (n,) with NaN where the table has none
    response : header of the response
    reference : whether the table marks the compound as the reference
    """

    compound: str
    experiment: str
    log_x: FloatArray
    y: FloatArray
    kind: NDArray[np.str_]
    sd: FloatArray | None
    hot_nm: FloatArray
    kd_nm: FloatArray
    added: FloatArray
    response: str
    reference: bool = False

    @property
    def x_nm(self) -> FloatArray:
        """Concentrations [nM]; infinite for non-specific binding."""
        found: FloatArray = 10.0 ** (self.log_x + 9.0)
        return found


def read_competition(
    source: str | Path | pd.DataFrame, log: NoticeLog, *, unit: str | None = None, response: str | None = None
) -> tuple[Points, ...]:
    """Read a competition table: one item for each compound and experiment, in the order of the file.

    Parameters
    ----------
    source : CSV (comma, semicolon, tab), Parquet, or a frame
    log : receives notices
    unit : molar unit of a concentration column whose header has none
    response : header of the response where several could be it

    Raises
    ------
    InputError
        For a table that cannot be used, with file, row and column.
    """
    rows, header, name = _rows(source, COMPETITION_TABLE, log, unit, response)
    return _grouped(rows, header, name, log, default="sample")


def read_saturation(
    source: str | Path | pd.DataFrame, log: NoticeLog, *, unit: str | None = None, response: str | None = None
) -> tuple[Points, ...]:
    """Read a saturation table: one item for each group and experiment; arguments as in `read_competition`."""
    frame, name = load(source, _KNOWN, SATURATION_TABLE.name)
    rows, header, name = _rows(_stacked(frame), SATURATION_TABLE, log, unit, response, name=name)
    return _grouped(rows, header, name, log, default="specific")


_KNOWN = [plain(n) for n in (*COMPETITION_TABLE.names(), "concentration_um", "concentration_m", "log10_concentration_m",
                             "cpm", "response", "bound", "bound_percent", "total_cpm", "nonspecific_cpm")]  # fmt: skip


def _stacked(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns of total and non-specific binding side by side become rows with a kind."""
    import pandas as pd

    sides = {}
    for column in frame.columns:
        stem, _, _ = plain(column).replace("non_specific", "nonspecific").replace("nsb", "nonspecific").partition("_")
        if stem in ("total", "nonspecific", "specific") and stem not in sides and "added" not in plain(column):
            sides[stem] = column
    if not {"total", "nonspecific"} <= set(sides) or any(plain(c) in ("kind", "type") for c in frame.columns):
        return frame
    others = [c for c in frame.columns if c not in sides.values()]
    parts = []
    for kind in ("total", "nonspecific"):
        part = frame[others].copy()
        part["response"], part["kind"] = frame[sides[kind]], kind
        # A tube that was not measured leaves its cell empty; the other tubes of the row stand.
        parts.append(part[part["response"].astype("string").str.strip().fillna("") != ""])
    return pd.concat(parts, ignore_index=True)


def _rows(
    source: str | Path | pd.DataFrame,
    schema: Schema,
    log: NoticeLog,
    unit: str | None,
    response: str | None,
    *,
    name: str = "",
) -> tuple[tuple[Row, ...], Header, str]:
    frame, found = load(source, _KNOWN, name or schema.name)
    header = recognise([str(c) for c in frame.columns], found, unit=unit, response=response)
    return rows_of(frame, _schema(header, schema), log, where=found), header, found


def _schema(header: Header, documented: Schema) -> Schema:
    """The documented columns under the names that this file gives them."""
    own = {c.name: c for c in documented.columns}
    c = header.concentration
    columns = [InputColumn(plain(c.column), "float64", "concentration", least=None if c.log10 else 0.0)]
    columns += [InputColumn(plain(r), "float64", "response") for r in header.responses]
    for role, column in header.roles.items():
        if role in own:
            spec = own[role]
            columns.append(
                InputColumn(
                    plain(column), spec.dtype, spec.meaning, least=spec.least, label=spec.label, words=spec.words
                )
            )
    columns += [InputColumn(plain(a.column), "float64", "amount", least=0.0) for a in (header.hot, header.kd) if a]
    seen: dict[str, InputColumn] = {}
    for column_spec in columns:
        seen.setdefault(column_spec.name, column_spec)
    return Schema(name=documented.name, columns=tuple(seen.values()))


def _grouped(rows: Sequence[Row], header: Header, name: str, log: NoticeLog, *, default: str) -> tuple[Points, ...]:
    """Rows by compound and experiment; controls without a compound belong to all compounds of their experiment."""
    groups: dict[tuple[str, str], list[dict[str, object]]] = {}
    common: list[tuple[str | None, dict[str, object]]] = []
    for row in rows:
        compound, experiment = (_text(row, header, r) for r in ("compound", "experiment"))
        for record in _records(row, header, default):
            if compound is None and "compound" in header.roles:
                if record["kind"] not in ("total", "nonspecific"):
                    raise InputError(row.where, header.roles["compound"], None, "a compound, or a control as kind")
                common.append((experiment, record))
            else:
                groups.setdefault((compound or "", experiment or ""), []).append(record)
    for experiment, record in common:
        for (_, own), records in groups.items():
            if experiment is None or experiment == own:
                records.append(record)
    if not groups:
        raise InputError(name, "rows", "controls only", "rows of kind sample")
    if len(header.responses) > 1:
        log.info("REPLICATE_COLUMNS", f"{', '.join(header.responses)} are read as replicates", where=name)
    return tuple(_points(key, records, header) for key, records in groups.items())


def _text(row: Row, header: Header, role: str) -> str | None:
    column = header.roles.get(role)
    return None if column is None else row.text(plain(column))


def _records(row: Row, header: Header, default: str) -> list[dict[str, object]]:
    """One record for each response of a row."""
    kind = _text(row, header, "kind") or default
    log_x = _log_molar(row, header.concentration, kind, competition=default == "sample")
    values = [(c, row.number(plain(c))) for c in header.responses]
    if all(v is None for _, v in values):
        raise InputError(row.where, header.responses[0], None, "a response in every row")

    def own(amount: Amount | None) -> float:
        value = None if amount is None else row.number(plain(amount.column))
        return math.nan if value is None or amount is None else value * amount.molar * 1e9

    def of(role: str) -> float:
        column = header.roles.get(role)
        value = None if column is None else row.number(plain(column))
        return math.nan if value is None else value

    flag = row.flag(plain(header.roles["reference"])) if "reference" in header.roles else None
    return [
        {"kind": kind, "log_x": log_x, "y": value, "sd": of("sd"), "hot": own(header.hot), "kd": own(header.kd),
         "added": of("added"), "reference": bool(flag)}
        for _, value in values
        if value is not None
    ]  # fmt: skip


def _log_molar(row: Row, amount: Amount, kind: str, *, competition: bool) -> float:
    """Log10 mol/L of a row; -inf for no compound, +inf for a row of non-specific binding of a competition."""
    value = row.number(plain(amount.column))
    if competition and kind == "nonspecific":
        # Whatever blocked these tubes, they stand for complete displacement.
        return math.inf
    if competition and kind == "total":
        if value is not None and (amount.log10 or value > 0):
            raise InputError(row.where, amount.column, value, "0 or nothing in a row of kind total, or another kind")
        return -math.inf
    if value is None:
        raise InputError(row.where, amount.column, None, "a concentration; 0 where there was no compound")
    if amount.log10:
        found = value + math.log10(amount.molar)
        if not _LEAST_LOG <= found <= math.log10(_MOST_MOLAR):
            raise InputError(
                row.where, amount.column, value,
                f"a log10 of a concentration up to 1 M; this would be {_power(found)} M (nM are log10 nM - 9)",
            )  # fmt: skip
        return found
    molar = value * amount.molar
    if molar > _MOST_MOLAR * (1 + 1e-9):
        raise InputError(
            row.where, amount.column, value, f"at most 1 M; this would be {molar:.3g} M, so look at the unit"
        )
    return math.log10(molar) if molar > 0 else -math.inf


def _power(exponent: float) -> str:
    return f"{10.0**exponent:.3g}" if abs(exponent) < 300 else f"10^{exponent:g}"


def _points(key: tuple[str, str], records: Sequence[Mapping[str, object]], header: Header) -> Points:
    def column(name: str) -> FloatArray:
        return np.array([r[name] for r in records], dtype=float)

    sd = column("sd")
    return Points(
        compound=key[0], experiment=key[1], log_x=column("log_x"), y=column("y"),
        kind=np.array([str(r["kind"]) for r in records]), sd=None if np.isnan(sd).all() else sd,
        hot_nm=column("hot"), kd_nm=column("kd"), added=column("added"), response=header.responses[0],
        reference=any(bool(r["reference"]) for r in records),
    )  # fmt: skip
