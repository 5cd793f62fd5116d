"""Curves of saturation binding: one site and two, specific binding and totals with non-specific binding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.assays.models import LN10, Model, bounded_exp, kd_candidates, kd_domain

__all__ = ["nonspecific_line", "total_binding", "two_sites", "two_sites_total"]

FloatArray = NDArray[np.float64]


def _total(x: FloatArray, bmax: Any, log_kd: Any, ns: Any, background: Any) -> Any:
    return bmax * x / (bounded_exp(LN10 * log_kd) + x) + ns * x + background


def _nonspecific(x: FloatArray, ns: Any, background: Any) -> Any:
    return ns * x + background


def _two_sites(x: FloatArray, bmax: Any, log_kd: Any, bmax_low: Any, log_kd_low: Any) -> Any:
    return bmax * x / (bounded_exp(LN10 * log_kd) + x) + bmax_low * x / (bounded_exp(LN10 * log_kd_low) + x)


def _two_sites_total(
    x: FloatArray, bmax: Any, log_kd: Any, bmax_low: Any, log_kd_low: Any, ns: Any, background: Any
) -> Any:
    return _two_sites(x, bmax, log_kd, bmax_low, log_kd_low) + ns * x + background


def _two_candidates(x: FloatArray) -> dict[str, Sequence[float]]:
    every = kd_candidates(x)["log_kd"]
    return {"log_kd": every, "log_kd_low": [v + 0.05 for v in every]}


def _high_first(p: tuple[float, ...]) -> tuple[float, ...]:
    return p if p[1] <= p[3] else (p[2], p[3], p[0], p[1], *p[4:])


total_binding = Model(
    name="one-site total binding",
    parameters=("bmax", "log_kd", "ns", "background"),
    function=_total,
    formula="Y = Bmax X / (Kd + X) + NS X + background",
    linear=("bmax", "ns", "background"),
    candidates=kd_candidates,
    domain=kd_domain,
    citation="GraphPad Prism 7 Curve Fitting Guide, One site - Fit total and nonspecific binding",
)
nonspecific_line = Model(
    name="non-specific binding",
    parameters=("ns", "background"),
    function=_nonspecific,
    formula="Y = NS X + background",
    linear=("ns", "background"),
)
two_sites = Model(
    name="two-site specific binding",
    parameters=("bmax", "log_kd", "bmax_low", "log_kd_low"),
    function=_two_sites,
    formula="Y = Bmax1 X / (Kd1 + X) + Bmax2 X / (Kd2 + X)",
    linear=("bmax", "bmax_low"),
    candidates=_two_candidates,
    domain=kd_domain,
    canonical=_high_first,
)
two_sites_total = Model(
    name="two-site total binding",
    parameters=("bmax", "log_kd", "bmax_low", "log_kd_low", "ns", "background"),
    function=_two_sites_total,
    formula="Y = Bmax1 X / (Kd1 + X) + Bmax2 X / (Kd2 + X) + NS X + background",
    linear=("bmax", "bmax_low", "ns", "background"),
    candidates=_two_candidates,
    domain=kd_domain,
    canonical=_high_first,
)
