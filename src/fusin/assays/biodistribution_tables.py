"""Tables of a biodistribution: animals, tubes, values that are ready, and printed summaries."""

from __future__ import annotations

from fusin.assays.counter_tables import COUNT_COLUMNS, KINDS
from fusin.tabular.columns import Column
from fusin.tabular.schema import InputColumn, Schema

__all__ = [
    "ANIMALS_TABLE",
    "EXCLUSION_COLUMNS",
    "ORGAN_COLUMNS",
    "SAMPLES_TABLE",
    "SUMMARY_TABLE",
    "VALUES_TABLE",
    "VALUE_COLUMNS",
]

_UNITS = (
    ("%ID/g", ("%id/g", "% id/g", "id%/g", "percent_id_per_g", "%ia/g", "% ia/g", "%id/ml")),
    ("%ID", ("%id", "% id", "%id/organ", "%ia", "percent_id")),
    ("SUV", ("suv", "g/ml")),
)


_LARGEST = 1e9
"""No mass, volume, activity or uptake is larger in its unit; a number beyond is a slip of the keyboard."""


def _text(name: str, meaning: str, *, required: bool = False, label: bool = False) -> InputColumn:
    return InputColumn(name, "string", meaning, required=required, label=label)


def _amount(name: str, meaning: str) -> InputColumn:
    return InputColumn(name, "float64", meaning, least=0.0, most=_LARGEST)


_ANIMAL = _text("animal", "animal identifier, kept as text", required=True, label=True)
_GROUP = _text("group", "group: tracer, blocked, model; kept as it is spelt", label=True)
_TIMES = (
    InputColumn("time_h", "float64", "time from injection to sacrifice [h]", least=0.0, most=_LARGEST),
    InputColumn("time_min", "float64", "the same [min], instead of hours", least=0.0, most=_LARGEST),
    InputColumn("time_d", "float64", "the same [d], instead of hours", least=0.0, most=_LARGEST),
)

ANIMALS_TABLE = Schema(
    name="table of animals",
    columns=(
        _ANIMAL,
        _GROUP,
        InputColumn("body_weight_g", "float64", "body weight [g]; needed for SUV", least=0.0, most=_LARGEST),
        _text("injection_time", "when the animal was injected, ISO 8601"),
        _text("sacrifice_time", "when it was killed, ISO 8601"),
        *_TIMES,
        _amount("syringe_full_g", "full syringe [g]; with standards in `stock_g`"),
        _amount("syringe_residual_g", "syringe after injection [g]"),
        _amount("injected_g", "injected mass [g], instead of the two weights of the syringe"),
        _amount("injected_ml", "injected volume [mL]; with standards in `stock_ml`"),
        _amount("syringe_full_mbq", "activity of the full syringe [MBq]; with standards in `activity_mbq`"),
        _text("syringe_full_time", "reference time of that activity, ISO 8601"),
        _amount("syringe_residual_mbq", "activity left in the syringe [MBq]"),
        _text("syringe_residual_time", "reference time of that activity, ISO 8601"),
        _amount(
            "injected_mbq", "injected activity [MBq] at `injection_time`, instead of the two readings of the syringe"
        ),
        _amount(
            "injected_fraction",
            "injected share of the nominal dose; with standards in `fraction_of_dose`; 1 when absent",
        ),
        _text("excluded_because", "why the animal is left out; it is listed and not analysed"),
    ),
    key=("animal",),
)
"""One row per animal."""

SAMPLES_TABLE = Schema(
    name="table of tubes",
    columns=(
        _text("animal", "animal identifier; empty for blanks and standards", label=True),
        _text("organ", "tissue, kept as it is spelt; `tail` is the place of injection, `carcass` the rest", label=True),
        InputColumn("kind", "string", "what the tube is", words=KINDS),
        _text("tube", "name of the tube, where the counts stand in a counter file"),
        *COUNT_COLUMNS,
        InputColumn("mass_g", "float64", "wet mass of the tissue [g]", least=-_LARGEST, most=_LARGEST),
        InputColumn("mass_mg", "float64", "the same [mg], instead of grams", least=-_LARGEST, most=_LARGEST),
        InputColumn("full_g", "float64", "tube with tissue [g], instead of a mass", least=-_LARGEST, most=_LARGEST),
        InputColumn("empty_g", "float64", "empty tube [g]", least=-_LARGEST, most=_LARGEST),
        _amount("mass_u_g", "standard uncertainty of the mass [g]"),
        InputColumn(
            "counted_fraction", "float64", "share of the organ that the tube holds; 1 when absent", least=0.0, most=1.0
        ),
        _amount("fraction_of_dose", "standard: share of the nominal dose in the tube"),
        _amount("stock_g", "standard: mass of undiluted injectate in the tube [g] (drawn x aliquot / dilution)"),
        _amount("stock_ml", "standard: volume of undiluted injectate in the tube [mL]"),
        _amount("activity_mbq", "standard: activity in the tube [MBq]"),
        _text("activity_time", "reference time of that activity, ISO 8601"),
        _amount("relative_u_percent", "standard: standard uncertainty of its share, volume or mass [%]"),
        _GROUP,
        *_TIMES,
    ),
)
"""One row per tube: tissues, blanks and standards of the injected dose."""

VALUES_TABLE = Schema(
    name="table of values",
    columns=(
        _ANIMAL,
        _text("organ", "tissue, kept as it is spelt", required=True, label=True),
        InputColumn("percent_id_per_g", "float64", "%ID/g", least=-_LARGEST, most=_LARGEST),
        InputColumn("percent_id", "float64", "%ID of the organ", least=-_LARGEST, most=_LARGEST),
        InputColumn("suv", "float64", "SUV", least=-_LARGEST, most=_LARGEST),
        InputColumn("value", "float64", "the value, with its unit in `unit`", least=-_LARGEST, most=_LARGEST),
        InputColumn("unit", "string", "unit of `value`; %ID/g is assumed with a notice when absent", words=_UNITS),
        _GROUP,
        _text("time", "label of the time point, where it is no number"),
        *_TIMES,
        _text("excluded_because", "why the value is left out; it is listed and not analysed"),
    ),
)
"""Values that are %ID/g already, one row per animal and organ."""

SUMMARY_TABLE = Schema(
    name="table of means",
    columns=(
        _text("organ", "tissue", required=True, label=True),
        InputColumn("mean", "float64", "printed mean %ID/g", required=True, least=-_LARGEST, most=_LARGEST),
        _amount("sd", "printed standard deviation"),
        _amount("sem", "printed standard error of the mean, instead of `sd`"),
        InputColumn("n", "Int64", "animals", required=True, least=1),
        _GROUP,
        _text("time", "label of the time point"),
        *_TIMES,
    ),
    key=("organ", "group", "time", "time_h", "time_min", "time_d"),
)
"""Means and SDs of a paper."""

VALUE_COLUMNS = (
    Column("animal", "string", "animal"),
    Column("group", "string", "group"),
    Column("time", "string", "time point"),
    Column("organ", "string", "tissue as it was spelt"),
    Column("percent_id_per_g", "float64", "%ID/g, decay-corrected"),
    Column("percent_id_per_g_low", "float64", "lower 95 % limit: counting, background, weighing, standard"),
    Column("percent_id_per_g_high", "float64", "upper limit"),
    Column(
        "percent_id_per_g_at_sacrifice", "float64", "%ID/g without correction for decay between injection and sacrifice"
    ),
    Column("percent_id", "float64", "%ID of the organ, decay-corrected"),
    Column("suv", "float64", "%ID/g times body weight [g] / 100"),
    Column("mass_g", "float64", "wet mass [g]"),
    Column("detected", "boolean", "whether the net counts exceed Currie's decision limit"),
)
"""Written values."""

ORGAN_COLUMNS = (
    Column("group", "string", "group"),
    Column("time", "string", "time point"),
    Column("organ", "string", "tissue"),
    Column("n", "Int64", "animals"),
    Column("mean", "float64", "mean of the quantity"),
    Column("mean_low", "float64", "lower 95 % limit of the mean (t)"),
    Column("mean_high", "float64", "upper limit"),
    Column("sd", "float64", "standard deviation of the animals"),
    Column("sem", "float64", "standard error of the mean"),
)
"""Written summary per organ."""

EXCLUSION_COLUMNS = (
    Column("animal", "string", "animal"),
    Column("organ", "string", "tissue; empty for the whole animal"),
    Column("reason", "string", "why it was left out"),
    Column("rule", "string", "`extravasation` or `stated`"),
)
"""Written exclusions."""
