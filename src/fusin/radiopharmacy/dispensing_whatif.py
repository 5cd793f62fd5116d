"""What if: the same day with everybody later, another dose, one patient more or one less.

Grammar: ``later=15``, ``later:P3=15``, ``dose:P3=120``, ``extra:P9=150@TIME``, ``drop:P3``; minutes, MBq, ISO time or minutes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.dispensing import Order
from fusin.radiopharmacy.dispensing_files import DispenseRequest, order_from_text, typed_patient
from fusin.radiopharmacy.dispensing_plan import DispensePlan, plan_doses
from fusin.radiopharmacy.toml_fields import existing_mbq

__all__ = ["WhatIf", "what_if"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """One change and the plan that follows from it."""

    change: str
    plan: DispensePlan


def what_if(request: DispenseRequest, change: str) -> WhatIf:
    """Plan the day again with one change.

    Parameters
    ----------
    request : the day as it is
    change : text of the grammar above

    Raises
    ------
    InputError
        For a text that is none of these, and for a patient that is not there.
    """
    word, equals, value = change.partition("=")
    kind, _, name = (part.strip() for part in word.partition(":"))
    orders = list(request.orders)
    if kind == "later" and equals:
        seconds = 60.0 * _number(value, change)
        chosen = [o.id for o in orders] if not name else [_known(orders, name, change)]
        orders = [_later(o, seconds) if o.id in chosen and o.drawn_ml is None else o for o in orders]
    elif kind == "dose" and equals and name:
        dose = _number(value, change)
        if dose <= 0:
            raise InputError("--what-if", "dose", change, "a dose above 0 MBq")
        existing_mbq(dose, "--what-if", "dose")
        chosen = [_known(orders, name, change)]
        orders = [replace(o, dose_mbq=dose) if o.id in chosen else o for o in orders]
    elif kind == "extra" and equals and name:
        new, dose, at = typed_patient(f"{name}={value}")
        orders.append(order_from_text(new, dose, at, request.defaults, request.clock))
    elif kind == "drop" and name and not equals:
        left = _known(orders, name, change)
        orders = [o for o in orders if o.id != left]
    else:
        raise InputError(
            "--what-if", "change", change, "later=15, later:P3=15, dose:P3=120, extra:P9=150@TIME or drop:P3"
        )
    plan = plan_doses(orders, request.vials, request.rules, clock=request.clock, log=NoticeLog())
    return WhatIf(change=change, plan=plan)


def _later(order: Order, seconds: float) -> Order:
    return replace(order, earliest_s=order.earliest_s + seconds, latest_s=order.latest_s + seconds)


def _known(orders: Sequence[Order], name: str, change: str) -> str:
    if name not in {o.id for o in orders}:
        raise InputError("--what-if", "patient", change, "one of " + ", ".join(o.id for o in orders))
    return name


def _number(text: str, change: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError("--what-if", "number", change, "a plain number")
    return value
