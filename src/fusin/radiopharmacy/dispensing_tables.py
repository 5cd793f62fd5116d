"""The plan of a day as rows and as one JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fusin.provenance import jsonable
from fusin.radiopharmacy.dispensing_plan import DispensePlan, Serving
from fusin.radiopharmacy.dispensing_whatif import WhatIf
from fusin.tabular.columns import Column

__all__ = ["DOSE_COLUMNS", "dispense_json", "dose_rows"]

DOSE_COLUMNS = (
    Column("id", "string", "patient"),
    Column("served", "boolean", "whether the dose can be had"),
    Column("vial", "string", "vial to draw from; for a dose that is not served, the one that comes nearest"),
    Column("nuclide", "string", "nuclide of the vial"),
    Column("draw_time", "object", "moment of the draw: ISO text, or minutes after the reference"),
    Column("volume_ml", "float64", "volume to draw [mL]"),
    Column("activity_mbq", "float64", "activity in the syringe at the draw [MBq]"),
    Column("injection_time", "object", "moment of the injection"),
    Column("injection_mbq", "float64", "activity in the syringe at the injection [MBq]"),
    Column("administered_mbq", "float64", "what reaches a patient who is served: full syringe less residue [MBq]"),
    Column("administered_mbq_low", "float64", "lower 95 % limit [MBq]"),
    Column("administered_mbq_high", "float64", "upper 95 % limit [MBq]"),
    Column("administered_mbq_method", "string", "name of the interval"),
    Column("wanted_mbq", "float64", "dose asked for [MBq]"),
    Column("latest_injection_time", "object", "last injection that the full vial would allow for this dose alone"),
    Column("latest_binding", "string", "what sets that time"),
    Column("drawn", "boolean", "whether the dose was drawn before the plan was made"),
    Column("binding", "string", "what keeps the dose from being served"),
    Column("reason", "string", "the same in a sentence"),
)


def dose_rows(plan: DispensePlan) -> list[dict[str, Any]]:
    """One row for each dose, with the columns of ``DOSE_COLUMNS``."""
    return [_row(plan, s) for s in plan.servings]


def _row(plan: DispensePlan, s: Serving) -> dict[str, Any]:
    clock, given = plan.clock, s.administered if s.served else None
    kinds = {u.vial.name: u.vial.nuclide for u in plan.vials}
    return {
        "id": s.order.id,
        "served": s.served,
        "vial": s.vial,
        "nuclide": kinds.get(s.vial or ""),
        "draw_time": clock.json(s.draw_s),
        "volume_ml": s.volume_ml,
        "activity_mbq": s.activity_mbq,
        "injection_time": clock.json(s.injection_s),
        "injection_mbq": s.injection_mbq,
        "administered_mbq": given.value if given else None,
        "administered_mbq_low": given.low if given else None,
        "administered_mbq_high": given.high if given else None,
        "administered_mbq_method": given.method if given and given.low is not None else None,
        "wanted_mbq": s.order.dose_mbq,
        "latest_injection_time": clock.json(s.latest_s),
        "latest_binding": s.latest_binding or None,
        "drawn": s.order.drawn_ml is not None,
        "binding": s.binding or None,
        "reason": s.reason or None,
    }


def dispense_json(plan: DispensePlan, changes: Sequence[WhatIf]) -> dict[str, Any]:
    """The JSON contract of the verb."""
    clock = plan.clock
    return {
        "feasible": plan.feasible,
        "patients": [{**jsonable(row), "amounts": [{"name": n, "amount": a} for n, a in s.amounts.items()]}
                     for row, s in zip(dose_rows(plan), plan.servings, strict=True)],
        "reason": plan.reason or None,
        "binding": plan.binding or None,
        "served": sum(s.served for s in plan.servings),
        "exact": plan.exact,
        "delay": None if plan.delay is None else {
            "delay_min": plan.delay.delay_s / 60.0, "binding": plan.delay.binding, "where": plan.delay.where,
        },
        "vials": [
            {
                "name": u.vial.name, "nuclide": u.vial.nuclide, "activity_mbq": u.vial.activity_mbq,
                "reference_time": clock.json(u.vial.reference_s), "volume_ml": u.vial.volume_ml,
                "dead_volume_ml": u.vial.dead_volume_ml, "expires": clock.json(u.vial.expires_s), "doses": u.doses,
                "used_ml": u.used_ml, "left_ml": u.left_ml, "left_mbq": u.left_mbq,
                "last_draw_time": clock.json(u.last_draw_s),
            }
            for u in plan.vials
        ],
        "what_if": [
            {"change": c.change, "feasible": c.plan.feasible, "served": sum(s.served for s in c.plan.servings),
             "reason": c.plan.reason or None,
             "volumes": [{"id": s.order.id, "volume_ml": s.volume_ml} for s in c.plan.servings if s.served]}
            for c in changes
        ],
    }  # fmt: skip
