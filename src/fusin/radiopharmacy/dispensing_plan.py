"""A day of doses: who gets how much from which vial when, why somebody gets none, and how much later it may become."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fusin.errors import InputError
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.dispensing import (
    DispenseRules,
    Order,
    Vial,
    administered_mbq,
    cap_ml,
    draw_volume_ml,
    last_injection_s,
)
from fusin.radiopharmacy.dispensing_search import best_assignment, window_of
from fusin.radiopharmacy.moments import Clock
from fusin.stats.results import Estimate

__all__ = ["Delay", "DispensePlan", "Serving", "VialUse", "plan_doses", "vial_course"]

_NORMAL_95 = 1.959963984540054
_MOST_NAMES = 8
_LIMIT_WORDS = {
    "vial_volume": "volume of the vial", "max_volume": "largest volume of the patient", "expiry": "expiry of the vial",
    "window": "time of the patient", "gap": "least gap between injections", "nuclide": "no vial of its kind",
    "not_available": "vial not available yet",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """One dose, served or not; what is not served is listed with what it would need.

    Attributes
    ----------
    order : what was asked for
    served : whether it can be had
    vial : name of the vial; of the one that comes nearest when it is not served, None when none fits
    injection_s, draw_s : moments
    volume_ml : to draw
    activity_mbq, injection_mbq : in the syringe at the draw and at the injection
    administered : what reaches the patient, with the interval of the stated uncertainties
    amounts : other contents of the dose by name
    latest_s, latest_binding : last injection that the full vial would allow for this dose alone, and what sets it
    reason, binding : why it is not served; empty when it is
    """

    order: Order
    served: bool
    vial: str | None
    injection_s: float | None
    draw_s: float | None
    volume_ml: float | None
    activity_mbq: float | None
    injection_mbq: float | None
    administered: Estimate | None
    amounts: Mapping[str, float] = field(default_factory=dict)
    latest_s: float | None = None
    latest_binding: str = ""
    reason: str = ""
    binding: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VialUse:
    """One vial at the end of the plan: volume used and left [mL], doses, and the activity left after the last draw [MBq]."""

    vial: Vial
    doses: int
    used_ml: float
    left_ml: float
    left_mbq: float
    last_draw_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """How much later all doses that are still to be drawn can be injected.

    Attributes
    ----------
    delay_s : largest common delay
    binding : what a longer one breaks
    where : patient or vial of that limit
    """

    delay_s: float
    binding: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DispensePlan:
    """The plan.

    Attributes
    ----------
    servings : in order of draw, those not served last
    vials : use of each vial
    feasible : whether everybody is served
    reason, binding : why not; empty when feasible
    exact : whether no other plan can serve more
    delay : largest common delay of what is served; None when nothing is left to draw
    rules, clock : as given
    """

    servings: tuple[Serving, ...]
    vials: tuple[VialUse, ...]
    feasible: bool
    reason: str
    binding: str
    exact: bool
    delay: Delay | None
    rules: DispenseRules
    clock: Clock


def plan_doses(
    orders: Sequence[Order], vials: Sequence[Vial], rules: DispenseRules, *, clock: Clock, log: NoticeLog
) -> DispensePlan:
    """Find who is served from which vial and when.

    Parameters
    ----------
    orders, vials : with unique names
    rules : gap, limits, tolerances
    clock : to name moments
    log : receives notices

    Raises
    ------
    InputError
        For names that stand twice, a vial that nobody knows, and an order that could be for several nuclides.
    """
    _check(orders, vials, rules, log)
    best = best_assignment(orders, vials, rules)
    if not best.exact:
        log.warning(
            "DISPENSE_NOT_EXACT",
            f"{len(orders)} doses from {len(vials)} vials are too many to try all ways; a better plan may exist",
            where="dispensing",
        )
    used = {v.name: 0.0 for v in vials}
    served, order_of = [], {}
    for i, (v, time_s) in best.chosen.items():
        one = _served(orders[i], vials[v], time_s, rules)
        used[vials[v].name] += one.volume_ml or 0.0
        order_of[one.order.id] = i
        served.append(one)
    served.sort(key=lambda s: (s.draw_s if s.draw_s is not None else math.inf, order_of[s.order.id]))
    _notice_use(served, vials, used, clock, log)
    missed = [
        _missed(o, vials, rules, used, clock)
        for i, o in sorted(enumerate(orders), key=lambda p: (p[1].earliest_s, p[0]))
        if i not in best.chosen
    ]
    reason = _reason(served, missed)
    return DispensePlan(
        servings=(*served, *missed), vials=tuple(_use(v, served) for v in vials), feasible=not missed, reason=reason,
        binding=missed[0].binding if missed else "", exact=best.exact, delay=_delay(served, vials, rules),
        rules=rules, clock=clock,
    )  # fmt: skip


def _check(orders: Sequence[Order], vials: Sequence[Vial], rules: DispenseRules, log: NoticeLog) -> None:
    for what, names in (("vial", [v.name for v in vials]), ("patient", [o.id for o in orders])):
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise InputError("dispensing", what, f"{', '.join(twice)} more than once", "each name once")
        if not names:
            raise InputError("dispensing", what, "none", f"at least one {what}")
    kinds = sorted({v.nuclide for v in vials})
    for order in orders:
        where = f"patient {order.id}"
        if order.vial is not None and order.vial not in {v.name for v in vials}:
            raise InputError(where, "vial", order.vial, "one of " + ", ".join(v.name for v in vials))
        if order.vial is None and order.nuclide is None and len(kinds) > 1:
            raise InputError(
                where, "nuclide", "nothing", "a nuclide or a vial, for there are vials of " + " and ".join(kinds)
            )
        if order.drawn_ml is not None and not any(order.fits(v) for v in vials):
            raise InputError(where, "drawn_ml", order.drawn_ml, f"a vial of {order.nuclide} that it was drawn from")
        if order.drawn_ml is not None and order.vial is None and len(vials) > 1:
            raise InputError(where, "vial", "nothing", "the vial that drawn_ml was taken from")
    for name in rules.limits:
        lacking = [v.name for v in vials if name not in v.content_per_ml]
        if lacking:
            log.warning(
                "LIMIT_NOT_CHECKED",
                f"the limit of {name} per dose cannot be checked: vial {', '.join(lacking)} does not state how much it holds",
                where="limits", raw=name,
            )  # fmt: skip


def _served(order: Order, vial: Vial, time_s: float, rules: DispenseRules) -> Serving:
    latest, binding = last_injection_s(order, vial, rules)
    return Serving(**_dose(order, vial, time_s, rules), served=True, latest_s=latest, latest_binding=binding)


def _dose(order: Order, vial: Vial, time_s: float, rules: DispenseRules) -> dict[str, Any]:
    volume = draw_volume_ml(order, vial, time_s)
    draw_s = time_s - order.lead_s
    return {
        "order": order, "vial": vial.name, "injection_s": time_s, "draw_s": draw_s, "volume_ml": volume,
        "activity_mbq": volume * vial.concentration_mbq_ml(draw_s),
        "injection_mbq": volume * vial.concentration_mbq_ml(time_s),
        "administered": _administered(order, vial, time_s, volume, rules),
        "amounts": {name: volume * per_ml for name, per_ml in vial.content_per_ml.items()},
    }  # fmt: skip


def _administered(order: Order, vial: Vial, time_s: float, volume_ml: float, rules: DispenseRules) -> Estimate:
    """Administered activity with the interval of vial activity, half-life, time and volume (first order, JCGM 100)."""
    value = administered_mbq(order, vial, time_s, volume_ml)
    if vial.activity_u_relative is None:
        return Estimate(value=value, low=None, high=None, n=1, method="none",
                        note="the activity of the vial has no stated uncertainty")  # fmt: skip
    half_life, entry = vial.half_life_s, nuclide(vial.nuclide)
    per_s = math.log(2.0) / half_life
    relative = math.hypot(
        vial.activity_u_relative,
        per_s * (time_s - vial.reference_s) * (entry.half_life_u_total_s or 0.0) / half_life,
        per_s * rules.time_tolerance_s / math.sqrt(3.0),
        rules.volume_u_ml / max(volume_ml - order.residual_ml, 1e-12),
    )
    half = _NORMAL_95 * relative * value
    return Estimate(value=value, low=value - half, high=value + half, n=1,
                    method="normal interval, first-order propagation (JCGM 100)")  # fmt: skip


def _missed(
    order: Order, vials: Sequence[Vial], rules: DispenseRules, used: Mapping[str, float], clock: Clock
) -> Serving:
    """A dose that is not served: the vial that comes nearest, what it would need, and why it fails."""
    fitting = [v for v in vials if order.fits(v)]
    if not fitting:
        return Serving(order=order, served=False, vial=None, injection_s=None, draw_s=None, volume_ml=None,
                       activity_mbq=None, injection_mbq=None, administered=None, binding="nuclide",
                       reason=f"no vial is {order.nuclide or order.vial}")  # fmt: skip

    def over(vial: Vial) -> float:
        return used[vial.name] + draw_volume_ml(order, vial, window_of(order, vial, rules).first_s) - vial.usable_ml

    open_ = [v for v in fitting if window_of(order, v, rules).open]
    vial = min(open_ or fitting, key=over)
    window = window_of(order, vial, rules)
    dose = _dose(order, vial, window.first_s, rules)
    reason, binding = (
        _crowded(order, vial, dose["volume_ml"], used[vial.name], rules, one_of=len(open_))
        if window.open
        else _impossible(order, vial, dose["volume_ml"], window.first_s, rules, clock)
    )
    latest, latest_binding = last_injection_s(order, vial, rules)
    return Serving(**dose, served=False, latest_s=latest, latest_binding=latest_binding, reason=reason, binding=binding)


def _crowded(
    order: Order, vial: Vial, volume: float, used: float, rules: DispenseRules, *, one_of: int
) -> tuple[str, str]:
    total = used + volume
    if total > vial.usable_ml:
        dead = f" and {vial.dead_volume_ml:g} mL dead volume" if vial.dead_volume_ml else ""
        alone = "; no other vial has enough either, and a dose is drawn from one vial" if one_of > 1 else ""
        return (
            f"{order.id} needs {volume:.3f} mL{_residue(order, volume)}, {vial.usable_ml - used:.3f} mL are left of vial "
            f"{vial.name}: cumulative {total:.3f} mL{dead} of {vial.volume_ml:g} mL{alone}",
            "vial_volume",
        )
    return (
        f"{order.id} finds no moment {rules.gap_s / 60.0:g} min away from the other injections with enough left",
        "gap",
    )


def _residue(order: Order, volume: float) -> str:
    stays = order.residual_ml + (volume - order.residual_ml) * order.residual_fraction
    return f" ({stays:.3f} mL of it for the residue)" if stays > 0 else ""


def _impossible(
    order: Order, vial: Vial, volume: float, first_s: float, rules: DispenseRules, clock: Clock
) -> tuple[str, str]:
    last, binding = last_injection_s(order, vial, rules)
    at = clock.text(first_s)
    if last < first_s - 1e-6:
        if binding == "expiry":
            return (
                f"{order.id} at {at} is later than the expiry of vial {vial.name}, {clock.text(last)}",
                binding,
            )
        cap = cap_ml(order, vial, rules)
        return (
            f"{order.id} needs {volume:.3f} mL{_residue(order, volume)} of vial {vial.name} at {at}, at most {cap.ml:.3f} mL "
            f"are possible ({limit_words(binding)}), which then hold {_holds(cap.ml, vial, first_s)} MBq"
            + (f"; the last possible injection is {clock.text(last)}" if last >= _ready_s(order, vial) else "")
            + ("; it never can be" if not math.isfinite(last) else ""),
            binding,
        )
    ready = clock.text(vial.available_s)
    return (
        f"{order.id} has to be injected by {clock.text(order.latest_s)}, vial {vial.name} is ready at {ready}",
        "not_available",
    )


def _holds(volume_ml: float, vial: Vial, time_s: float) -> str:
    return f"{volume_ml * vial.concentration_mbq_ml(time_s):.4g}"


def _ready_s(order: Order, vial: Vial) -> float:
    """First injection that the vial itself allows."""
    return (vial.reference_s if vial.available_s is None else vial.available_s) + order.lead_s


def limit_words(binding: str) -> str:
    """A binding constraint in words."""
    return _LIMIT_WORDS.get(
        binding, binding.replace("limit:", "limit of ") + " per dose" if ":" in binding else binding
    )


def _reason(served: Sequence[Serving], missed: Sequence[Serving]) -> str:
    if not missed:
        return ""
    total = len(served) + len(missed)
    names = [s.order.id for s in served]
    shown = names if len(names) <= _MOST_NAMES else [*names[: _MOST_NAMES - 2], f"{len(names) - _MOST_NAMES + 2} more"]
    who = ", ".join(shown) or "nobody"
    verb = "fit" if len(served) != 1 else "fits"
    return f"{len(served)} of {total} patients {verb} ({who}); {missed[0].reason} (binding: {limit_words(missed[0].binding)})"


def _notice_use(
    served: Sequence[Serving], vials: Sequence[Vial], used: Mapping[str, float], clock: Clock, log: NoticeLog
) -> None:
    by_name = {v.name: v for v in vials}
    for s in served:
        assert s.vial is not None
        vial = by_name[s.vial]
        if s.draw_s is not None and s.draw_s < vial.reference_s - 1e-6 and vial.available_s is None:
            log.info(
                "DRAW_BEFORE_REFERENCE",
                f"{s.order.id} is drawn at {clock.text(s.draw_s)}, before the reference of vial {vial.name}; the activity was "
                "calculated back",
                where=f"patient {s.order.id}",
            )  # fmt: skip
    for vial in vials:
        if used[vial.name] > vial.usable_ml * (1 + 1e-9):
            log.warning(
                "VIAL_OVERDRAWN",
                f"{used[vial.name]:.3f} mL are said to be drawn of vial {vial.name}, which gives {vial.usable_ml:g} mL",
                where=f"vial {vial.name}", raw=used[vial.name],
            )  # fmt: skip


def _use(vial: Vial, served: Sequence[Serving]) -> VialUse:
    own = [s for s in served if s.vial == vial.name]
    used = math.fsum(s.volume_ml for s in own if s.volume_ml is not None)
    last = max((s.draw_s for s in own if s.draw_s is not None), default=None)
    left = vial.volume_ml - used
    return VialUse(
        vial=vial, doses=len(own), used_ml=used, left_ml=left, last_draw_s=last,
        left_mbq=left * vial.concentration_mbq_ml(vial.reference_s if last is None else last),
    )  # fmt: skip


def _delay(served: Sequence[Serving], vials: Sequence[Vial], rules: DispenseRules) -> Delay | None:
    """Largest common delay of the doses that are still to be drawn, their vials kept."""
    if not any(s.order.drawn_ml is None for s in served):
        return None
    by_name = {v.name: v for v in vials}

    def broken(delay_s: float) -> tuple[str, str] | None:
        used: dict[str, float] = {}
        for s in served:
            assert s.vial is not None
            assert s.injection_s is not None
            vial = by_name[s.vial]
            later = s.injection_s + (delay_s if s.order.drawn_ml is None else 0.0)
            volume = draw_volume_ml(s.order, vial, later)
            used[vial.name] = used.get(vial.name, 0.0) + volume
            if s.order.drawn_ml is not None:
                continue
            if vial.expires_s is not None and later > vial.expires_s + 1e-6:
                return "expiry", f"patient {s.order.id}"
            cap = cap_ml(s.order, vial, rules)
            if cap.limit != "vial_volume" and volume > cap.ml * (1 + 1e-9):
                return cap.limit, f"patient {s.order.id}"
            if used[vial.name] > vial.usable_ml * (1 + 1e-9):
                return "vial_volume", f"vial {vial.name}"
        return None

    if (now := broken(0.0)) is not None:
        return Delay(delay_s=0.0, binding=now[0], where=now[1])
    low, high = 0.0, 60.0
    while broken(high) is None:
        low, high = high, 2.0 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if broken(middle) is None else (low, middle)
    binding, where = broken(high) or ("", "")
    return Delay(delay_s=low, binding=binding, where=where)


def vial_course(plan: DispensePlan, vial: Vial) -> list[tuple[float, float, float]]:
    """Time [s], volume [mL] and activity [MBq] of a vial before and after each draw, and between them."""
    draws = sorted(
        (s.draw_s, s.volume_ml) for s in plan.servings if s.served and s.vial == vial.name
        if s.draw_s is not None and s.volume_ml is not None
    )  # fmt: skip
    start = min([vial.reference_s if vial.available_s is None else vial.available_s, *(t for t, _ in draws)])
    ends = [s.injection_s for s in plan.servings if s.served and s.vial == vial.name and s.injection_s is not None]
    end = max([start + vial.half_life_s / 2, *ends])
    course: list[tuple[float, float, float]] = []
    volume, begun = vial.volume_ml, start
    for until, taken in [*draws, (end, 0.0)]:
        for k in range(21):
            t = begun + (until - begun) * k / 20
            course.append((t, volume, volume * vial.concentration_mbq_ml(t)))
        volume, begun = volume - taken, until
    return course
