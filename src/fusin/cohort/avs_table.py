"""Tables of adrenal vein sampling: samples in, judged procedures out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fusin.cohort.avs import AvsProcedure, AvsResult, AvsSample, Hormone, Phase, to_nmol_l
from fusin.cohort.tables import PATIENT_COLUMN
from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.tabular.columns import Column
from fusin.tabular.rows import Row, rows_of, to_frame, words
from fusin.tabular.schema import InputColumn, Schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AVS_RESULT_COLUMNS", "AVS_TABLE", "avs_table", "read_procedures"]

_HORMONES: tuple[Hormone, ...] = ("aldosterone", "cortisol", "metanephrine")
_UNITS = ("nmol/L", "pmol/L", "ng/dL", "ug/dL", "pg/mL", "ng/mL")


def _amount(name: str) -> tuple[InputColumn, InputColumn]:
    return (
        InputColumn(name, "float64", f"{name} concentration in {name}_unit, above 0", least=0.0),
        InputColumn(f"{name}_unit", "string", f"unit of {name}, one per procedure: " + ", ".join(_UNITS)),
    )


AVS_TABLE = Schema(
    name="AVS table",
    columns=(
        PATIENT_COLUMN,
        InputColumn("phase", "string", "sampling without or during cosyntropin", required=True,
                    words=(("basal", ("basal",)), ("cosyntropin", ("cosyntropin", "acth", "stimulated")))),
        InputColumn("site", "string", "left or right adrenal vein, or peripheral (inferior vena cava or arm)",
                    required=True, words=words("left", "right", "peripheral")),
        *_amount("aldosterone"),
        *_amount("cortisol"),
        *_amount("metanephrine"),
        InputColumn("cortisol_cosecretion", "boolean", "whether autonomous cortisol secretion is known"),
    ),
    key=("patient", "phase", "site"),
)  # fmt: skip
"""One row per sample. A value below the detection limit is not a number and is left empty."""

AVS_RESULT_COLUMNS = (
    Column("patient", "string", "patient identifier"),
    Column("phase", "string", "basal, cosyntropin, or both combined"),
    Column("verdict", "string", "left, right, bilateral or indeterminate"),
    Column("grey_zone", "boolean", "LI lies between the threshold of lateralised and that of bilateral"),
    Column("selective_left", "boolean", "left vein entered; missing when it cannot be judged"),
    Column("selective_right", "boolean", "right vein entered; missing when it cannot be judged"),
    Column("suppressed", "boolean", "contralateral suppression; missing when it cannot be judged"),
    Column("normaliser", "string", "hormone by which aldosterone is divided"),
    Column("dominant", "string", "side of the higher corrected aldosterone"),
    Column("si_left", "float64", "selectivity index, left"),
    Column("si_right", "float64", "selectivity index, right"),
    Column("li", "float64", "lateralisation index"),
    Column("csi", "float64", "contralateral suppression index"),
    Column("rasi_left", "float64", "relative aldosterone secretion index, left"),
    Column("rasi_right", "float64", "relative aldosterone secretion index, right"),
    Column("selectivity_rule", "string", "evidence id"),
    Column("lateralised_rule", "string", "evidence id"),
    Column("bilateral_rule", "string", "evidence id; missing where whatever is not lateralised is bilateral"),
    Column("reason", "string", "the verdict in words"),
)


def read_procedures(source: str | Path | pd.DataFrame, *, log: NoticeLog) -> tuple[AvsProcedure, ...]:
    """Procedures of a table of samples, concentrations converted to nmol/L.

    Parameters
    ----------
    source : file or frame with the columns of ``AVS_TABLE``
    log : receives what the reader of tables normalised

    Raises
    ------
    InputError
        For a missing column, a concentration that is not above 0, a missing or unknown unit, two units of one hormone in
        one procedure, or the same sample twice.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows_of(source, AVS_TABLE, log):
        groups.setdefault((row.needed("patient"), row.needed("phase")), []).append(row)
    return tuple(_procedure(patient, cast("Phase", phase), rows) for (patient, phase), rows in groups.items())


def _procedure(patient: str, phase: Phase, rows: Iterable[Row]) -> AvsProcedure:
    samples: dict[str, AvsSample] = {}
    units: dict[Hormone, str] = {}
    cosecretion: bool | None = None
    for row in rows:
        samples[row.needed("site")] = AvsSample(**{f"{h}_nmol_l": _concentration(row, h, units) for h in _HORMONES})
        stated = row.flag("cortisol_cosecretion")
        if None not in (stated, cosecretion) and stated != cosecretion:
            raise InputError(row.where, "cortisol_cosecretion", stated, "one answer per procedure")
        cosecretion = cosecretion if stated is None else stated
    return AvsProcedure(patient=patient, phase=phase, cortisol_cosecretion=cosecretion, **samples)


def _concentration(row: Row, hormone: Hormone, units: dict[Hormone, str]) -> float | None:
    value = row.number(hormone, positive=True)
    if value is None:
        return None
    unit = row.choice(f"{hormone}_unit", _UNITS)
    if unit is None:
        raise InputError(row.where, f"{hormone}_unit", None, "one of " + ", ".join(_UNITS))
    # Ratios hide a mixed unit perfectly: a factor of 27.7 in aldosterone turns bilateral into unilateral disease.
    if units.setdefault(hormone, unit) != unit:
        raise InputError(row.where, f"{hormone}_unit", unit, f"{units[hormone]}, the unit of the other samples")
    return to_nmol_l(value, unit, hormone, where=row.where)


def avs_table(results: Iterable[AvsResult]) -> pd.DataFrame:
    """One row per judged procedure; columns as in ``AVS_RESULT_COLUMNS``."""
    return to_frame([_result_row(r) for r in results], AVS_RESULT_COLUMNS)


def _result_row(result: AvsResult) -> dict[str, Any]:
    values, rules = result.to_json(), result.rules.to_json()
    chosen = {f"{name}_rule": rules[name] for name in ("selectivity", "lateralised", "bilateral")}
    return values | result.indices.to_json() | chosen
