"""One dose from one vial: volume, activity, limits and the last moment at which it can be had.

A dose D is what the patient receives at the injection. With the concentration c of the vial, the share r and the volume v
that stay in the syringe, the volume to draw is D / (c (1 - r)) + v; it does not depend on when it is drawn, because vial and
syringe decay alike. Times are seconds from one origin.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from fusin.errors import InputError
from fusin.nuclides import nuclide

__all__ = [
    "Amount",
    "DispenseRules",
    "Order",
    "Vial",
    "administered_mbq",
    "cap_ml",
    "draw_volume_ml",
    "last_injection_s",
]

_MOST_HALF_LIVES = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Vial:
    """One vial.

    Attributes
    ----------
    name : unique
    nuclide : canonical name
    activity_mbq, reference_s : whole activity, and the time that it refers to
    volume_ml, dead_volume_ml : whole volume, and what cannot be drawn
    available_s, expires_s : first draw and last injection; None without such a limit
    activity_u_relative : relative standard uncertainty of the activity; None when none was stated
    content_per_ml : other contents by name, such as ``peptide_ug``, per mL
    """

    name: str
    nuclide: str
    activity_mbq: float
    volume_ml: float
    reference_s: float = 0.0
    dead_volume_ml: float = 0.0
    available_s: float | None = None
    expires_s: float | None = None
    activity_u_relative: float | None = None
    content_per_ml: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        where = f"vial {self.name}"
        for name, value in (("activity_mbq", self.activity_mbq), ("volume_ml", self.volume_ml)):
            if not (math.isfinite(value) and value > 0):
                raise InputError(where, name, value, "a number above 0")
        if not 0 <= self.dead_volume_ml < self.volume_ml:
            raise InputError(
                where, "dead_volume_ml", self.dead_volume_ml, f"zero or more and below {self.volume_ml:g} mL"
            )
        if self.expires_s is not None and self.available_s is not None and self.expires_s <= self.available_s:
            raise InputError(where, "expires", "not after available_from", "a vial that can be used")

    @property
    def half_life_s(self) -> float:
        """Half-life of the nuclide [s]."""
        return nuclide(self.nuclide).half_life_s

    @property
    def usable_ml(self) -> float:
        """Volume that can be drawn [mL]."""
        return self.volume_ml - self.dead_volume_ml

    def concentration_mbq_ml(self, time_s: float) -> float:
        """Activity concentration at a time [MBq/mL].

        Raises
        ------
        InputError
            For a time more than a thousand half-lives from the reference, which is a wrong date.
        """
        half_lives = (time_s - self.reference_s) / self.half_life_s
        if abs(half_lives) > _MOST_HALF_LIVES:
            found = f"{half_lives:.3g} half-lives from the reference of vial {self.name}"
            raise InputError("dispensing", "time", found, f"a time at which the {self.nuclide} is there")
        return float(self.activity_mbq / self.volume_ml * 2.0**-half_lives)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One dose that is asked for.

    Attributes
    ----------
    id : of the patient, unique
    dose_mbq : activity that the patient shall receive at the injection
    earliest_s, latest_s : window of the injection; equal for a fixed time; infinite without a limit
    lead_s : seconds from the draw to the injection
    residual_fraction, residual_ml : share and volume that stay in the syringe
    max_volume_ml : largest volume that may be drawn for this patient; None without a limit
    vial, nuclide : which vial or nuclide it must be; None for any
    weight : of the patient when not all can be served
    drawn_ml : volume that has been drawn already; None when it is still to be drawn
    """

    id: str
    dose_mbq: float
    earliest_s: float
    latest_s: float
    lead_s: float = 0.0
    residual_fraction: float = 0.0
    residual_ml: float = 0.0
    max_volume_ml: float | None = None
    vial: str | None = None
    nuclide: str | None = None
    weight: float = 1.0
    drawn_ml: float | None = None

    def __post_init__(self) -> None:
        where = f"patient {self.id}"
        if not (math.isfinite(self.dose_mbq) and self.dose_mbq > 0):
            raise InputError(where, "dose_mbq", self.dose_mbq, "a number above 0")
        if not 0 <= self.residual_fraction < 1:
            raise InputError(where, "residual_percent", 100 * self.residual_fraction, "zero or more and below 100")
        if self.latest_s < self.earliest_s:
            raise InputError(where, "latest", "before earliest", "a window that ends after it begins")

    def fits(self, vial: Vial) -> bool:
        """Whether this vial is one that the patient may get a dose from."""
        return self.vial in (None, vial.name) and self.nuclide in (None, vial.nuclide)


@dataclass(frozen=True, slots=True, kw_only=True)
class DispenseRules:
    """What holds for all doses.

    Attributes
    ----------
    gap_s : least time between two injections
    limits : largest amount per dose, by the names of the vial's contents
    time_tolerance_s : half-width of the window about the planned injection in which it happens (rectangular)
    volume_u_ml : standard uncertainty of a drawn volume
    """

    gap_s: float = 0.0
    limits: Mapping[str, float] = field(default_factory=dict)
    time_tolerance_s: float = 0.0
    volume_u_ml: float = 0.0


@dataclass(frozen=True, slots=True)
class Amount:
    """A volume, and the limit that sets it."""

    ml: float
    limit: str


def draw_volume_ml(order: Order, vial: Vial, injection_s: float) -> float:
    """Volume to draw for an injection at a time [mL]; what was drawn already stays as it is."""
    if order.drawn_ml is not None:
        return order.drawn_ml
    return (
        order.dose_mbq / (vial.concentration_mbq_ml(injection_s) * (1.0 - order.residual_fraction)) + order.residual_ml
    )


def administered_mbq(order: Order, vial: Vial, injection_s: float, volume_ml: float) -> float:
    """Activity that reaches the patient from a drawn volume: the full syringe less its residue [MBq]."""
    left = max(volume_ml - order.residual_ml, 0.0)
    return left * vial.concentration_mbq_ml(injection_s) * (1.0 - order.residual_fraction)


def cap_ml(order: Order, vial: Vial, rules: DispenseRules) -> Amount:
    """Largest volume that this dose may have, and the limit that sets it: vial, patient, or a content per dose."""
    caps = [Amount(vial.usable_ml, "vial_volume")]
    if order.max_volume_ml is not None:
        caps.append(Amount(order.max_volume_ml, "max_volume"))
    for name, limit in rules.limits.items():
        per_ml = vial.content_per_ml.get(name)
        if per_ml:
            caps.append(Amount(limit / per_ml, f"limit:{name}"))
    return min(caps, key=lambda c: c.ml)


def last_injection_s(order: Order, vial: Vial, rules: DispenseRules) -> tuple[float, str]:
    """Last moment at which this dose alone can be had from the full vial, and what sets it.

    Returns
    -------
    tuple
        Seconds (minus infinity when it never can), and ``expiry``, ``vial_volume``, ``max_volume`` or ``limit:NAME``.
    """
    cap = cap_ml(order, vial, rules)
    room = (cap.ml - order.residual_ml) * (1.0 - order.residual_fraction) * vial.activity_mbq / vial.volume_ml
    by_volume = vial.reference_s + vial.half_life_s * math.log2(room / order.dose_mbq) if room > 0 else -math.inf
    if vial.expires_s is not None and vial.expires_s < by_volume:
        return vial.expires_s, "expiry"
    return by_volume, cap.limit
