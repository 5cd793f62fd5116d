"""Two ligands at one receptor at equilibrium, both depleted: the exact curve of a competition.

The free receptor is the one positive root of the mass balance, found by Newton's method from below; nothing is taken as free
that is bound. Amounts have one unit throughout.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.assays.models import LN10, Model, bounded_exp, decades_around, log_candidates

__all__ = ["competition_exact", "competition_of_receptor", "free_receptor"]

FloatArray = NDArray[np.float64]
_ROUNDS = 200


def free_receptor(receptor: Any, hot: Any, kd: Any, cold: Any, ki: Any) -> Any:
    """Receptor that neither ligand occupies.

    R + Hot R/(Kd + R) + Cold R/(Ki + R) = Receptor, a cubic with one root between 0 and Receptor.

    Parameters
    ----------
    receptor, hot, cold : total amounts, all in one unit
    kd, ki : dissociation constants, same unit; arguments may be arrays, also complex ones for derivatives

    References
    ----------
    Wang, FEBS Lett 1995;360:111.
    """
    given = np.broadcast_arrays(receptor, hot, kd, cold, ki)
    total, l_all, k_l, c_all, k_c = (np.asarray(v.real, dtype=float) for v in given)
    with np.errstate(all="ignore"):
        root: Any = np.maximum(total / (1.0 + l_all / k_l + c_all / k_c), total - l_all - c_all)
        # The balance is concave, so that steps from below never pass the root.
        for _ in range(_ROUNDS):
            step = _step(root, total, l_all, k_l, c_all, k_c)
            root = root + step
            if not (np.abs(step) > 1e-15 * np.abs(root)).any():
                break
        if any(np.iscomplexobj(v) for v in given):
            # One exact step carries the derivative; the real part is at the root already.
            root = root + _step(root, *given)
    return root


def _step(root: Any, receptor: Any, hot: Any, kd: Any, cold: Any, ki: Any) -> Any:
    balance = root + hot * root / (kd + root) + cold * root / (ki + root) - receptor
    slope = 1.0 + hot * kd / (kd + root) ** 2 + cold * ki / (ki + root) ** 2
    return -balance / slope


def _occupied(log_x: FloatArray, receptor: Any, hot: Any, kd: Any, log_ki: Any, per_molar: Any) -> Any:
    """Radioligand at the receptor at log10 molar competitor; ``-inf`` is none, ``+inf`` complete displacement."""
    blocked = np.isposinf(log_x)
    cold = np.where(blocked, 0.0, 10.0 ** np.where(blocked, 0.0, log_x)) * per_molar
    ki = bounded_exp(LN10 * log_ki) * per_molar
    free = free_receptor(receptor, hot, kd, cold, ki)
    return np.where(blocked, 0.0, hot * free / (kd + free))


def _counts(x: FloatArray, bmax: Any, log_ki: Any, ns: Any, kd_counts: Any, counts_per_nm: Any) -> Any:
    log_x, hot = x
    # Non-specific binding takes its share of the free radioligand, so that the receptor sees a Kd of Kd (1 + NS).
    specific = _occupied(log_x, bmax, hot, kd_counts * (1.0 + ns), log_ki, 1e9 * counts_per_nm)
    return (specific + ns * hot) / (1.0 + ns)


def _plateaus(
    log_x: FloatArray, start: Any, end: Any, log_ki: Any, receptor_nm: Any, hot_nm: Any, kd_nm: Any, added: Any
) -> Any:
    ns = end / (added - end)
    kd = kd_nm * (1.0 + ns)
    bound = _occupied(log_x, receptor_nm, hot_nm, kd, log_ki, 1e9)
    most = _occupied(np.full(1, -np.inf), receptor_nm, hot_nm, kd, log_ki, 1e9)
    return end + (start - end) * bound / most


_FORMULA = "R + Hot R/(Kd(1 + NS) + R) + Cold R/(Ki + R) = Rt"

competition_exact = Model(
    name="one-site competition at exact equilibrium",
    parameters=("bmax", "log_ki", "ns", "kd_counts", "counts_per_nm"),
    function=_counts,
    formula=f"{_FORMULA} = Bmax; Y = (Hot R/(Kd(1 + NS) + R) + NS Hot) / (1 + NS)",
    candidates=lambda x: {
        "log_ki": log_candidates(x[0])["log_ic50"],
        "ns": [1e-4, 3e-3, 0.03, 0.2],
        "bmax": [float(np.max(x[1])) * f for f in (0.03, 0.3, 3.0)],
    },
    domain=lambda x: decades_around(x[0], "log_ki"),
    citation="Wang, FEBS Lett 1995;360:111",
)
"""``x``: log10 molar competitor and added radioligand [cpm]; ``kd_counts`` and ``counts_per_nm`` are to be fixed."""

competition_of_receptor = Model(
    name="one-site competition at exact equilibrium, known receptor",
    parameters=("start", "end", "log_ki", "receptor_nm", "hot_nm", "kd_nm", "added"),
    function=_plateaus,
    formula=f"{_FORMULA}; Y = end + (start - end) RL(Cold)/RL(0)",
    # In ``end`` only nearly so, which is near enough for a start.
    linear=("start", "end"),
    candidates=lambda x: {"log_ki": log_candidates(x)["log_ic50"]},
    domain=lambda x: decades_around(x, "log_ki"),
    citation="Wang, FEBS Lett 1995;360:111",
)
"""``x``: log10 molar competitor; all but the plateaus and ``log_ki`` are to be fixed. ``added`` is the radioligand in the
unit of the response, infinite where it is not known, and tells how much of it non-specific binding takes."""
