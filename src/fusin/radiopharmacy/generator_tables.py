"""The result of a generator as rows and as one JSON document."""

from __future__ import annotations

from typing import Any

from fusin.provenance import jsonable
from fusin.radiopharmacy.generator import Elution
from fusin.radiopharmacy.generator_analysis import GeneratorResult
from fusin.radiopharmacy.generator_plan import Between, ElutionPlan
from fusin.tabular.columns import Column

__all__ = ["ELUTION_COLUMNS", "elution_rows", "generator_json"]

ELUTION_COLUMNS = (
    Column("number", "Int64", "elutions in order of time, from 1"),
    Column("time", "object", "moment of the elution: ISO text, or minutes after the reference"),
    Column("generator", "string", "generator; names joined by + when pooled"),
    Column("idle_h", "float64", "hours since the elution before"),
    Column("ge68_mbq", "float64", "68Ge on the column at the elution [MBq]"),
    Column("on_column_mbq", "float64", "calculated 68Ga on the column just before the elution [MBq]"),
    Column("efficiency", "float64", "share of it that the calculation takes"),
    Column("eluted_mbq", "float64", "calculated 68Ga at the moment of the elution [MBq]"),
    Column("eluted_mbq_low", "float64", "lower 95 % limit [MBq]"),
    Column("eluted_mbq_high", "float64", "upper 95 % limit [MBq]"),
    Column("eluted_mbq_method", "string", "name of the interval"),
    Column("residual_mbq", "float64", "calculated 68Ga left on the column [MBq]"),
    Column("measured_mbq", "float64", "measured 68Ga, decay-corrected to the moment of the elution [MBq]"),
    Column("measured_u_mbq", "float64", "its standard uncertainty as stated [MBq]"),
    Column("measured_yield", "float64", "measured 68Ga per 68Ga on the column, following the measured elutions before"),
    Column("volume_ml", "float64", "volume of the eluate [mL]"),
    Column("discard", "boolean", "whether a rule on idle time discards the eluate"),
)


def elution_rows(result: GeneratorResult) -> list[dict[str, Any]]:
    """One row for each elution, with the columns of ``ELUTION_COLUMNS``."""
    return [
        _row(result, elution, estimate.low, estimate.high, estimate.method)
        for elution, estimate in zip(result.elutions, result.eluted, strict=True)
    ]


def _row(result: GeneratorResult, e: Elution, low: float | None, high: float | None, method: str) -> dict[str, Any]:
    return {
        "number": e.number,
        "time": result.log.clock.json(e.time_s),
        "generator": "+".join(p.generator for p in e.parts),
        "idle_h": None if e.idle_s is None else e.idle_s / 3600.0,
        "ge68_mbq": e.ge68_mbq,
        "on_column_mbq": e.on_column_mbq,
        "efficiency": e.eluted_mbq / e.on_column_mbq if e.on_column_mbq else None,
        "eluted_mbq": e.eluted_mbq,
        "eluted_mbq_low": low,
        "eluted_mbq_high": high,
        "eluted_mbq_method": None if low is None else method,
        "residual_mbq": e.residual_mbq,
        "measured_mbq": e.entry.eluted_measured_mbq,
        "measured_u_mbq": e.entry.eluted_measured_u_mbq,
        "measured_yield": result.yields.get(e.number),
        "volume_ml": e.entry.volume_ml,
        "discard": e.number in result.discard,
    }


def generator_json(result: GeneratorResult) -> dict[str, Any]:
    """The JSON contract of the verb."""
    clock = result.log.clock
    elutions = []
    for row, elution in zip(elution_rows(result), result.elutions, strict=True):
        parts = [{n: getattr(p, n) for n in ("generator", "ge68_mbq", "on_column_mbq", "eluted_mbq", "residual_mbq")}
                 for p in elution.parts]  # fmt: skip
        elutions.append({**row, "parts": parts})
    return {
        "elutions": jsonable(elutions),
        "generators": [
            {
                "name": g.name, "ge68_mbq": g.ge68_mbq, "calibrated": clock.json(g.reference_s),
                "efficiency": g.efficiency, "start": g.start,
                "start_ga68_mbq": g.start_ga68_mbq if g.start == "stated" else None,
                "on_column_mbq": result.states[g.name].on_column_mbq(clock_end(result)) if result.elutions else None,
            }
            for g in result.log.generators
        ],
        "efficiency_fitted": result.fitted,
        "trends": [
            {**t.to_json(), "numbers": [p.number for p in t.points], "yields": [p.value for p in t.points]}
            for t in result.trends
        ],
        "minimum_reached": [
            {"series": s, "minimum": c.minimum, "time": clock.json(c.time_s), "earliest": clock.json(c.earliest_s),
             "latest": clock.json(c.latest_s), "method": c.method}
            for s, c in result.crossings.items()
        ],
        "breakthrough": [{n: getattr(b, n) for n in b.__slots__} for b in result.breakthrough],
        "retirement": [{n: getattr(r, n) for n in r.__slots__} for r in result.retirement],
        "pools": [
            {"name": p.name, "numbers": list(p.numbers), "time": clock.json(p.time_s), "eluted_mbq": p.eluted_mbq,
             "measured_mbq": p.measured_mbq}
            for p in result.pools
        ],
        "plan": _plan(result, result.plan) if result.plan else None,
    }  # fmt: skip


def clock_end(result: GeneratorResult) -> float:
    """Moment of the last elution [s]."""
    return result.elutions[-1].time_s


def _plan(result: GeneratorResult, plan: ElutionPlan) -> dict[str, Any]:
    clock = result.log.clock

    def between(one: Between) -> dict[str, Any]:
        return {"time": clock.json(one.time_s), "eluted_mbq": one.eluted_mbq, "then_mbq": one.then_mbq,
                "loss_mbq": one.loss_mbq, "total_mbq": one.total_mbq}  # fmt: skip

    return {
        "time": clock.json(plan.time_s),
        "elution_time": clock.json(plan.time_s - plan.lead_s),
        "lead_min": plan.lead_s / 60.0,
        "wanted_mbq": plan.wanted_mbq,
        "available_mbq": plan.available_mbq,
        "available": result.planned.to_json() if result.planned else None,
        "enough": plan.enough,
        "earliest_time": clock.json(plan.earliest_s),
        "largest_time": clock.json(plan.largest_s),
        "largest_mbq": plan.largest_mbq,
        "last_day": clock.json(plan.last_day_s),
        "between": [between(b) for b in plan.between],
        "best_between": between(plan.best_between) if plan.best_between else None,
    }
