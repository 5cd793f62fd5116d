"""What a competition curve is refused for: no displacement, too few concentrations, an IC50 beyond what was tested."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fusin.assays.binding_results import Quantity
from fusin.assays.fitting import fit
from fusin.assays.models import one_site
from fusin.assays.noise import Noise
from fusin.errors import NotComputable

__all__ = ["limit_beyond", "refuse_extrapolated", "refuse_few_concentrations", "refuse_flat", "refuse_open"]

FloatArray = NDArray[np.float64]
_ALPHA = 0.05


def refuse_few_concentrations(x: FloatArray, what: str) -> None:
    """Refuse data without at least two concentrations above 0 and three places in all.

    Raises
    ------
    NotComputable
        ``TOO_FEW_CONCENTRATIONS``.
    """
    places = np.unique(x)
    above = int(np.isfinite(places).sum())
    if above < 2 or places.size < 3:
        raise NotComputable(
            what,
            f"there {'is' if above == 1 else 'are'} {above} different concentration{'' if above == 1 else 's'} above 0",
            "concentrations on both sides of the IC50",
            "TOO_FEW_CONCENTRATIONS",
        )


def refuse_flat(
    x: FloatArray, y: FloatArray, fixed: Mapping[str, float], what: str, *, noise: Noise, sd: FloatArray | None
) -> None:
    """Refuse responses that a constant describes as well as a curve.

    Raises
    ------
    NotComputable
        ``NO_DISPLACEMENT`` with the p value of the F test.
    """
    from scipy.special import fdtrc

    if fixed or y.size <= len(one_site.parameters):
        return
    try:
        found = fit(one_site, x, y, what=what, noise=noise, sd=sd)
    except NotComputable as err:
        if err.code != "FIT_NOT_IDENTIFIABLE":
            raise
        return
    if found.exact:
        return
    weights = found.root**2
    mean = float(np.sum(weights * y) / np.sum(weights))
    flat = float(np.sum(weights * (y - mean) ** 2))
    ratio = max(flat - found.weighted_rss, 0.0) / 2 / (found.weighted_rss / found.df)
    p = float(fdtrc(2, found.df, ratio))
    if p > _ALPHA:
        raise NotComputable(
            what,
            f"the response does not change with the concentration (p = {p:.2g}, F test of one site against a constant)",
            "a compound that displaces, or higher concentrations",
            "NO_DISPLACEMENT",
        )


def limit_beyond(log_ic50: Quantity | None, log_x: FloatArray) -> str:
    """What an interval says of an IC50 outside of the concentrations tested [nM], such as ``> 1200``; empty when nothing."""
    if log_ic50 is None:
        return ""
    above = log_ic50.value > float(log_x[np.isfinite(log_x)].max())
    limit = log_ic50.estimate.low if above else log_ic50.estimate.high
    return "" if limit is None else f"{'>' if above else '<'} {_nm(limit)}"


def refuse_extrapolated(log_ic50: Quantity | None, log_x: FloatArray, what: str) -> None:
    """Refuse an IC50 outside of the concentrations tested.

    Raises
    ------
    NotComputable
        ``IC50_EXTRAPOLATED``, with the limit that the data do give.
    """
    tested = log_x[np.isfinite(log_x)]
    low, high = float(tested.min()), float(tested.max())
    # Half a percent of slack, because 10^-6 M and 1000 nM need not be the same number.
    if log_ic50 is None or low - 0.002 <= log_ic50.value <= high + 0.002:
        return
    above = log_ic50.value > high
    side, edge = ("above the highest", high) if above else ("below the lowest", low)
    limit = limit_beyond(log_ic50, log_x)
    said = f" (the data say {limit} nM at {100 * log_ic50.estimate.level:g} %)" if limit else ""
    raise NotComputable(
        what,
        f"the fitted {_nm(log_ic50.value)} nM lies {side} concentration tested, {_nm(edge)} nM{said}",
        f"{'higher' if above else 'lower'} concentrations",
        "IC50_EXTRAPOLATED",
    )


def _nm(log_molar: float) -> str:
    return f"{10 ** (log_molar + 9):.4g}" if abs(log_molar) < 200 else f"10^{log_molar + 9:.0f}"


def refuse_open(log_ic50: Quantity, what: str) -> None:
    """Refuse an IC50 that the data bound on neither side.

    Raises
    ------
    NotComputable
        ``FIT_NOT_IDENTIFIABLE``.
    """
    if log_ic50.estimate.low is None and log_ic50.estimate.high is None:
        raise NotComputable(
            what,
            "the data bound log_ic50 on neither side: its profile is flat",
            "more concentrations around the IC50, or plateaus with a known value",
            "FIT_NOT_IDENTIFIABLE",
        )
