"""Binding at equilibrium: Cheng-Prusoff, and the exact equations where the tissue takes up much of the radioligand.

Amounts of radioligand are in the unit of the counts (cpm), so that bound and free can be compared with what was added.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.assays.models import LN10, Model, bounded_exp, decades_around, kd_domain, log_candidates
from fusin.errors import InputError

__all__ = [
    "AVOGADRO",
    "bound_in_competition",
    "bound_in_saturation",
    "cheng_prusoff",
    "competition_depleted",
    "kd_in_counts",
    "munson_rodbard",
    "nonspecific_depleted",
    "radioligand_nm",
    "saturation_depleted",
]

FloatArray = NDArray[np.float64]
AVOGADRO = 6.02214076e23
"""Per mole, exact (SI 2019)."""


def positive(value: float, name: str, unit: str) -> float:
    """Return a number above 0.

    Raises
    ------
    InputError
        For 0, a negative number, NaN or infinity.
    """
    if not (math.isfinite(value) and value > 0):
        raise InputError(name, "value", value, f"a number above 0 in {unit}")
    return float(value)


def cheng_prusoff(ic50: float, *, radioligand: float, kd: float) -> float:
    """Inhibition constant from an IC50, for one site, slope 1 and no depletion; all three in one unit.

    References
    ----------
    Cheng, Prusoff, Biochem Pharmacol 1973;22:3099: Ki = IC50 / (1 + [L]/Kd).
    """
    return positive(ic50, "IC50", "nM") / (1.0 + positive(radioligand, "[L]", "nM") / positive(kd, "Kd", "nM"))


def munson_rodbard(ic50: float, *, radioligand: float, kd: float, bound_over_free: float) -> float:
    """Inhibition constant where radioligand and competitor are depleted.

    Parameters
    ----------
    ic50 : total competitor that halves the specific binding
    radioligand : total radioligand, same unit
    kd : of the radioligand, same unit
    bound_over_free : ratio of specifically bound to free radioligand without competitor

    References
    ----------
    Munson, Rodbard, J Recept Res 1988;8:533: Ki = IC50 / (1 + [L](y + 2) / (2 Kd (y + 1)) + y) - Kd y / (y + 2).
    """
    y = bound_over_free
    if not (math.isfinite(y) and y >= 0):
        raise InputError("bound/free", "value", y, "a number of at least 0")
    middle = 1.0 + positive(radioligand, "[L]", "nM") * (y + 2.0) / (2.0 * positive(kd, "Kd", "nM") * (y + 1.0)) + y
    return positive(ic50, "IC50", "nM") / middle - kd * y / (y + 2.0)


def kd_in_counts(kd_nm: float, *, volume_ml: float, specific_activity: float) -> float:
    """Kd as the counts that a reaction volume holds at that concentration.

    Parameters
    ----------
    kd_nm : dissociation constant [nM]
    volume_ml : reaction volume [mL]
    specific_activity : counts per fmol of radioligand [cpm/fmol]
    """
    # 1 nM is 1000 fmol/mL.
    return (
        positive(kd_nm, "Kd", "nM")
        * positive(volume_ml, "volume", "mL")
        * 1000.0
        * positive(specific_activity, "specific activity", "cpm/fmol")
    )


def radioligand_nm(added: float, *, volume_ml: float, specific_activity: float) -> float:
    """Concentration [nM] of the radioligand from the counts added; the inverse of `kd_in_counts`."""
    per_nm = kd_in_counts(1.0, volume_ml=volume_ml, specific_activity=specific_activity)
    return positive(added, "added", "cpm") / per_nm


def _root(a: Any, b: Any, c: Any) -> Any:
    """(-b + √(b² - 4ac)) / 2a without the loss of digits where b is large."""
    return 2.0 * c / (-b - (b**2 - 4.0 * a * c) ** 0.5)


def bound_in_saturation(x: FloatArray, bmax: Any, kd_counts: Any, ns: Any) -> Any:
    """Bound radioligand [cpm] at ``x`` added, specific and non-specific, with depletion.

    References
    ----------
    GraphPad Prism 7 Curve Fitting Guide, One site - Total, accounting for ligand depletion.
    """
    a = -1.0 - ns
    b = kd_counts * (1.0 + ns) + x + 2.0 * x * ns + bmax
    c = -x * (ns * kd_counts + x * ns + bmax)
    return _root(a, b, c)


def bound_in_competition(log_x: FloatArray, hot: Any, bmax: Any, log_ki: Any, kd_counts: Any, ns: Any) -> Any:
    """Bound radioligand [cpm] at log10 molar competitor, specific and non-specific, with depletion of the radioligand.

    ``-inf`` is no competitor, ``+inf`` complete displacement.

    References
    ----------
    GraphPad Prism 8 Curve Fitting Guide, One site competition, accounting for ligand depletion.
    """
    finite = np.isfinite(log_x)
    ratio = np.where(finite, bounded_exp(LN10 * (np.where(finite, log_x, 0.0) - log_ki)), 0.0)
    r = ns + 1.0
    s = (1.0 + ratio) * kd_counts + hot
    bound = _root(-r, r * s + ns * hot + bmax, -hot * (s * ns + bmax))
    return np.where(np.isposinf(log_x), hot * ns / r, bound)


def _competition(x: FloatArray, bmax: Any, log_ki: Any, ns: Any, kd_counts: Any) -> Any:
    return bound_in_competition(x[0], x[1], bmax, log_ki, kd_counts, ns)


def _saturation(x: FloatArray, bmax: Any, log_kd: Any, ns: Any, background: Any, counts_per_nm: Any) -> Any:
    kd_counts = bounded_exp(LN10 * log_kd) * counts_per_nm
    return bound_in_saturation(x * counts_per_nm, bmax, kd_counts, ns) + background


def _nonspecific(x: FloatArray, ns: Any, background: Any, counts_per_nm: Any) -> Any:
    # Non-specific binding is a share of the free, not of the added, radioligand.
    return x * counts_per_nm * ns / (1.0 + ns) + background


competition_depleted = Model(
    name="one-site competition with depletion",
    parameters=("bmax", "log_ki", "ns", "kd_counts"),
    function=_competition,
    formula="R = NS + 1, S = (1 + 10^(X - logKi)) KdC + Hot; Y = root of -R Y² + (R S + NS Hot + Bmax) Y - Hot (S NS + Bmax)",
    candidates=lambda x: {
        "log_ki": log_candidates(x[0])["log_ic50"],
        "ns": [1e-4, 3e-3, 0.03, 0.2],
        "bmax": [float(np.max(x[1])) * f for f in (0.03, 0.3, 3.0)],
    },
    domain=lambda x: decades_around(x[0], "log_ki"),
    citation="GraphPad Prism 8 Curve Fitting Guide, One site - accounting for ligand depletion",
)
"""``x`` has two rows: log10 molar competitor and added radioligand [cpm]; ``kd_counts`` is to be fixed."""

saturation_depleted = Model(
    name="one-site saturation with depletion",
    parameters=("bmax", "log_kd", "ns", "background", "counts_per_nm"),
    function=_saturation,
    formula="Y = root of -(1 + NS) Y² + (KdC (1 + NS) + X + 2 X NS + Bmax) Y - X (NS KdC + X NS + Bmax), + background",
    domain=kd_domain,
    citation="GraphPad Prism 7 Curve Fitting Guide, One site - Total, accounting for ligand depletion",
)
"""``x`` is the added radioligand [nM]; ``counts_per_nm`` turns it into counts and is to be fixed; it takes starting values."""

nonspecific_depleted = Model(
    name="non-specific binding with depletion",
    parameters=("ns", "background", "counts_per_nm"),
    function=_nonspecific,
    formula="Y = X NS / (1 + NS) + background",
)
