"""Tables of binding assays: reading and checking them, and their documented columns."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    "KI_COLUMNS",
    "SATURATION_COLUMNS",
    "SATURATION_TABLE",
    "Points",
    "read_competition",
    "read_saturation",
]

FloatArray = NDArray[np.float64]
# Nobody dissolves more than 1 mol/L of a ligand, and below this not one molecule is left in a litre.
_MOST_MOLAR, _LEAST_LOG = 1.0, -24.0
# Net counts scatter around 0; below this share of the largest response a sign or a column is wrong (project-defined).
_NEGATIVE = 0.5
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
        InputColumn("hot_u_nM", "float64", "its standard uncertainty", least=0.0),
        InputColumn("kd_nM", "float64", "dissociation constant of the radioligand", least=0.0),
        InputColumn("kd_u_nM", "float64", "its standard uncertainty", least=0.0),
        InputColumn("receptor_nM", "float64", "binding sites in the reaction, for the exact Ki", least=0.0),
        InputColumn("receptor_u_nM", "float64", "its standard uncertainty", least=0.0),
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
        InputColumn(
            "added", "float64", "radioligand added, in the unit of the response: shows depletion, and serves `--deplete` "
            "instead of volume and specific activity", least=0.0,
        ),
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
    ("ki_nm", "inhibition constant [nM], by the way that `ki_method` names"),
    ("ki_cheng_prusoff_nm", "Ki by Cheng-Prusoff [nM]"),
    ("ki_hot_depletion_nm", "Ki with depletion of the radioligand, the competitor taken as free [nM]"),
    ("ki_exact_nm", "Ki at exact equilibrium, both depleted [nM]"),
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
    Column("ki_method", "string", "`cheng-prusoff`, `hot-depletion`, `exact` or `homologous`; empty without Ki"),
    Column("direction", "string", "`decreasing` or `increasing` with the concentration"),
    Column("residual_ss", "float64", "sum of squared residuals, without weights"),
    Column("refused", "string", "why there is no IC50"),
)
"""Columns of the result of `fusin assay binding`."""

KI_COLUMNS = (
    Column("compound", "string", "ligand that was tested; empty for one"),
    Column("way", "string", "`cheng-prusoff`, `hot-depletion` or `exact`"),
    Column("assumes", "string", "what is taken as free"),
    *_with_limits((("ki_nm", "inhibition constant [nM]; geometric mean over experiments"),)),
    Column("reported", "boolean", "whether it is the Ki that is reported"),
)
"""Columns of Ki by every way that the inputs allow."""

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
    Column("refused", "string", "why there is no Bmax and Kd"),
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
    radioligand : by the name of the constant (``kd_nm``, ``concentration_nm``, ``added``, ``receptor_nm`` and the
        uncertainties), (n,) with NaN where the table has none
    response : header of the response
    reference : whether the table marks the compound as the reference
    """

    compound: str
    experiment: str
    log_x: FloatArray
    y: FloatArray
    kind: NDArray[np.str_]
    sd: FloatArray | None
    response: str
    radioligand: Mapping[str, FloatArray] = field(default_factory=dict)
    reference: bool = False

    @property
    def label(self) -> str:
        """Name of the curve for messages."""
        experiment = f"experiment {self.experiment}" if self.experiment and not self.compound else self.experiment
        return ", ".join(part for part in (self.compound, experiment) if part)

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
    stacked, origin = _stacked(frame)
    rows, header, name = _rows(stacked, SATURATION_TABLE, log, unit, response, name=name)
    rows = tuple(replace(row, where=f"{name} row {at}") for row, at in zip(rows, origin, strict=True))
    return _grouped(rows, header, name, log, default="specific")


_THOUSANDS = re.compile(r"\d{1,3}(?:\.\d{3})+")
_SIDE = re.compile(r"total(?![a-z])|nonspecific(?![a-z])|nsb(?![a-z])|tb(?![a-z])")
_KNOWN = [plain(n) for n in (*COMPETITION_TABLE.names(), "concentration_um", "concentration_m", "log10_concentration_m",
                             "cpm", "response", "bound", "bound_percent", "total_cpm", "nonspecific_cpm")]  # fmt: skip


def _stacked(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[int]]:
    """Columns of total and non-specific binding side by side become rows with a kind; with the row that each came from."""
    import pandas as pd

    every = list(range(1, len(frame) + 1))
    sides: dict[str, list[str]] = {}
    for column in frame.columns:
        stem = _SIDE.match(plain(column).replace("non_specific", "nonspecific"))
        if stem and "added" not in plain(column):
            sides.setdefault("nonspecific" if stem[0].startswith("n") else "total", []).append(column)
    # Two columns of one name are left as they are, to be refused by it.
    if len(sides) < 2 or not frame.columns.is_unique or any(plain(c) in ("kind", "type") for c in frame.columns):
        return frame, every
    taken = [c for columns in sides.values() for c in columns]
    others = [c for c in frame.columns if c not in taken]
    parts, origin = [], []
    for kind, columns in sides.items():
        for column in columns:
            part = frame[others].copy()
            part["response"], part["kind"] = frame[column], kind
            # A tube that was not measured leaves its cell empty; the other tubes of the row stand.
            measured = (part["response"].astype("string").str.strip().fillna("") != "").to_numpy(dtype=bool)
            parts.append(part[measured])
            origin += [row for row, there in zip(every, measured.tolist(), strict=True) if there]
    return pd.concat(parts, ignore_index=True), origin


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
    for column in header.responses:
        _refuse_thousands(frame[column], column, found)
    try:
        return rows_of(frame, _schema(header, schema), log, where=found), header, found
    except InputError as err:
        # nM and nm are not the same: messages name a column as it stands in the file.
        names = {plain(c): str(c) for c in frame.columns}
        needed = re.sub(r"(?<=column )\S+", lambda m: names.get(m[0], m[0]), err.needed)
        raise InputError(err.where, names.get(err.field, err.field), err.found, needed) from err


def _refuse_thousands(cells: pd.Series[Any], column: str, where: str) -> None:
    """Refuse 9.800 beside 800: a column of one format would have 800.000, so that the point seems to separate thousands."""
    texts = [str(c).strip() for c in cells if c is not None]
    pointed = [t for t in texts if "." in t]
    whole = [t for t in texts if t.isdigit()]
    if not pointed or not whole or not all(_THOUSANDS.fullmatch(t) for t in pointed):
        return
    if any(t.endswith("0") for t in pointed) and all(len(t) <= 3 for t in whole):
        row = texts.index(pointed[0]) + 1
        raise InputError(
            f"{where} row {row}", column, pointed[0],
            f"no separator of thousands; {whole[0]} in the same column says that the point may be one",
        )  # fmt: skip


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
    for amount in (*header.again, *header.amounts.values()):
        columns.append(InputColumn(plain(amount.column), "float64", "amount", least=None if amount.log10 else 0.0))
    seen: dict[str, InputColumn] = {}
    for column_spec in columns:
        seen.setdefault(column_spec.name, column_spec)
    return Schema(name=documented.name, columns=tuple(seen.values()))


def _grouped(rows: Sequence[Row], header: Header, name: str, log: NoticeLog, *, default: str) -> tuple[Points, ...]:
    """Rows by compound and experiment; controls without one of the two belong to all that the other leaves."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    common: list[tuple[str | None, str | None, dict[str, Any]]] = []
    named = {role: any(_text(row, header, role) for row in rows) for role in ("compound", "experiment")}
    controls = ("total", "nonspecific") if default == "sample" else ("nonspecific",)
    for row in rows:
        labels = {role: _text(row, header, role) for role in named}
        missing = [role for role, used in named.items() if used and labels[role] is None]
        for record in _records(row, header, default):
            if missing and record["kind"] not in controls:
                raise InputError(
                    row.where, header.roles[missing[0]], "nothing",
                    f"a name, as in other rows; a control of all may leave it out (kind {' or '.join(controls)})",
                )  # fmt: skip
            if missing:
                common.append((labels["compound"], labels["experiment"], record))
            else:
                groups.setdefault((labels["compound"] or "", labels["experiment"] or ""), []).append(record)
    for compound, experiment, record in common:
        for key, records in groups.items():
            if compound in (None, key[0]) and experiment in (None, key[1]):
                records.append(record)
    if all(record["kind"] in controls for records in groups.values() for record in records):
        raise InputError(name, "rows", "controls only", f"rows of kind {default if default == 'sample' else 'total'}")
    if len(header.responses) > 1:
        log.info("REPLICATE_COLUMNS", f"{', '.join(header.responses)} are read as replicates", where=name)
    if header.again:
        others = ", ".join(a.column for a in header.again)
        log.info(
            "CONCENTRATION_TWICE", f"{others} agrees with {header.concentration.column}, which is used", where=name
        )
    _doubt_negative(groups, header, name, log)
    return tuple(_points(key, records, header) for key, records in groups.items())


def _doubt_negative(
    groups: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]], header: Header, name: str, log: NoticeLog
) -> None:
    """Counts as a counter gives them cannot be negative; net ones can, a little.

    Raises
    ------
    InputError
        For negative counts that no background explains.
    """
    response = header.responses[0]
    if not set(re.split(r"[^a-z]+", plain(response))) & {"count", "counts", "cpm", "cps", "dpm"}:
        return
    every = [record for records in groups.values() for record in records]
    largest = max(abs(record["y"]) for record in every)
    below = [record for record in every if record["y"] < 0]
    for record in below:
        if record["y"] < -_NEGATIVE * largest:
            raise InputError(
                record["where"], response, record["y"], "counts that are not negative, or net counts near 0 at least"
            )
    if below and plain(response) in ("counts", "count"):
        log.warning(
            "NEGATIVE_COUNTS",
            f"{len(below)} of the {response} are negative, such as {below[0]['y']:g}, which net counts can be and counted ones "
            "cannot",
            where=name,
        )


def _text(row: Row, header: Header, role: str) -> str | None:
    column = header.roles.get(role)
    return None if column is None else row.text(plain(column))


def _records(row: Row, header: Header, default: str) -> list[dict[str, Any]]:
    """One record for each response of a row."""
    kind = _text(row, header, "kind") or default
    competition = default == "sample"
    log_x = _log_molar(row, header.concentration, kind, competition=competition)
    for other in header.again:
        second = _log_molar(row, other, kind, competition=competition)
        # Half a percent, because a logarithm is written with few digits.
        if second != log_x and not abs(second - log_x) <= 0.0022:
            raise InputError(
                row.where, other.column, row.number(plain(other.column)),
                f"the concentration that {header.concentration.column} holds, or one of the two columns",
            )  # fmt: skip
    values = [(c, row.number(plain(c))) for c in header.responses]
    if all(v is None for _, v in values):
        raise InputError(row.where, header.responses[0], "nothing", "a response in every row")

    def own(amount: Amount) -> float:
        value = row.number(plain(amount.column))
        return math.nan if value is None else value * amount.molar * 1e9

    def of(role: str) -> float:
        column = header.roles.get(role)
        value = None if column is None else row.number(plain(column))
        return math.nan if value is None else value

    flag = row.flag(plain(header.roles["reference"])) if "reference" in header.roles else None
    return [
        {"where": row.where, "kind": kind, "log_x": log_x, "y": value, "sd": of("sd"), "reference": bool(flag),
         "added": of("added"), **{name: own(amount) for name, amount in header.amounts.items()}}
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
        raise InputError(row.where, amount.column, "nothing", "a concentration; 0 where there was no compound")
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


_CONSTANTS = {"kd": "kd_nm", "kd_u": "kd_u_nm", "hot": "concentration_nm", "hot_u": "concentration_u_nm",
              "receptor": "receptor_nm", "receptor_u": "receptor_u_nm", "added": "added"}  # fmt: skip


def _power(exponent: float) -> str:
    return f"{10.0**exponent:.3g}" if abs(exponent) < 300 else f"10^{exponent:g}"


def _points(key: tuple[str, str], records: Sequence[Mapping[str, Any]], header: Header) -> Points:
    def column(name: str) -> FloatArray:
        return np.array([r[name] for r in records], dtype=float)

    sd = column("sd")
    return Points(
        compound=key[0], experiment=key[1], log_x=column("log_x"), y=column("y"),
        kind=np.array([str(r["kind"]) for r in records]), sd=None if np.isnan(sd).all() else sd,
        radioligand={_CONSTANTS[name]: column(name) for name in (*header.amounts, "added")},
        response=header.responses[0], reference=any(bool(r["reference"]) for r in records),
    )  # fmt: skip
