"""A made-up uptake assay with known rates: bound, internalised and released activity of two tracers.

From M(0) = I(0) = 0 the membrane fills as M = p (1 - e^-at), and I grows as k times the integral of M. For efflux the
internalised share falls as q + (1 - q) e^-rt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np

from fusin.assays.synthetic_counts import REFERENCE, draw_counts, expected_counts
from fusin.nuclides import nuclide

__all__ = ["UptakeDesign", "make_uptake"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UptakeDesign:
    """What is made up.

    Attributes
    ----------
    nuclide : half-life
    rate_per_min : tracer to internalisation rate constant
    membrane_percent, filling_per_min : plateau and rate of the membrane fraction
    blocked : share of binding that a blocker leaves
    times_min, efflux_min : of the two phases
    plateau_percent, efflux_per_min : of the retained activity
    wells : replicates
    applied_cps : activity given to a well [1/s]
    background_cps : of the counter
    spread : SD of the logarithm between wells
    """

    nuclide: str = "Ga-68"
    rate_per_min: Mapping[str, float] = field(default_factory=lambda: {"test": 0.03, "reference": 0.02})
    membrane_percent: float = 4.0
    filling_per_min: float = 0.08
    blocked: float = 0.06
    times_min: tuple[float, ...] = (5.0, 15.0, 30.0, 60.0)
    efflux_min: tuple[float, ...] = (0.0, 5.0, 15.0, 30.0, 60.0)
    plateau_percent: float = 55.0
    efflux_per_min: float = 0.05
    wells: int = 3
    applied_cps: float = 4000.0
    background_cps: float = 0.7
    spread: float = 0.04


def make_uptake(design: UptakeDesign, *, seed: int = 0) -> str:
    """Make the table of an assay in its long form, as ``fusin assay uptake`` reads it (CSV).

    Parameters
    ----------
    design : what is made up
    seed : of the noise
    """
    rng = np.random.default_rng(seed)
    half_life = nuclide(design.nuclide).half_life_s
    lines = ["well,fraction,kind,condition,tracer,time_min,phase,counts,live_time_s,start_time,cells_million"]
    tube = 0

    def counted(rate: float) -> str:
        nonlocal tube
        start = REFERENCE + timedelta(hours=1, seconds=38 * tube)
        tube += 1
        mean = expected_counts(
            rate, start=start, seconds=30.0, half_life_s=half_life, background_cps=design.background_cps
        )
        return f"{draw_counts(rng, mean)},30,{start.isoformat()}"

    lines += [f",,blank,,,,,{counted(0.0)}," for _ in range(3)]
    number = 0
    for tracer, rate in design.rate_per_min.items():
        lines += [f",,standard,,{tracer},,,{counted(design.applied_cps)}," for _ in range(3)]
        for phase, times in (("uptake", design.times_min), ("efflux", design.efflux_min)):
            for minutes in times:
                for condition in ("unblocked", "blocked") if phase == "uptake" else ("unblocked",):
                    for _ in range(design.wells):
                        number += 1
                        m, i = _shares(design, phase, minutes, rate, condition == "blocked")
                        noise = float(np.exp(design.spread * rng.standard_normal()))
                        m, i = m * noise, i * noise
                        for fraction, share in (("supernatant", 1 - m - i), ("acid_wash", m), ("lysate", i)):
                            lines.append(
                                f"w{number},{fraction},sample,{condition},{tracer},{minutes:g},{phase},"
                                f"{counted(design.applied_cps * share)},0.4"
                            )
    return "\n".join(lines) + "\n"


def _shares(design: UptakeDesign, phase: str, minutes: float, rate: float, blocked: bool) -> tuple[float, float]:
    """Membrane and internalised shares of the applied activity."""
    top, fill = design.membrane_percent / 100.0, design.filling_per_min
    if phase == "efflux":
        left = design.plateau_percent / 100.0
        inside = 0.08 * (left + (1.0 - left) * math.exp(-design.efflux_per_min * minutes))
        return 0.0, inside
    factor = design.blocked if blocked else 1.0
    membrane = top * -math.expm1(-fill * minutes) * factor
    integral = top * (minutes + math.expm1(-fill * minutes) / fill) * factor
    return membrane, rate * integral
