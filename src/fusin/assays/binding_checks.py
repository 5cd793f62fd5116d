"""What a competition curve is refused for: no displacement, too few concentrations, an IC50 beyond what was tested."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fusin.assays.binding_results import Quantity
from fusin.assays.fitting import Fit, fit
from fusin.assays.fitting_solver import refine
from fusin.assays.intervals import critical_value
from fusin.assays.models import one_site, rising_share
from fusin.assays.noise import Noise
from fusin.errors import NotComputable

__all__ = ["limit_of", "refuse_extrapolated", "refuse_few_concentrations", "refuse_flat", "refuse_open"]

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

    df = y.size - len(one_site.parameters)
    if fixed or df <= 0 or np.ptp(y) == 0.0:
        return
    try:
        found = fit(one_site, x, y, what=what, noise=noise, sd=sd)
        if found.exact:
            return
        curve, weights = found.weighted_rss, found.root**2
    except NotComputable:
        # Without a curve there are no weights of a curve; those of a constant are equal.
        weights = 1.0 / sd**2 if noise == "given" and sd is not None else np.ones_like(y)
        curve = _nearest_one_site(x, y, weights)
    mean = float(np.sum(weights * y) / np.sum(weights))
    flat = float(np.sum(weights * (y - mean) ** 2))
    if curve <= 1e-12 * flat:
        return
    p = float(fdtrc(2, df, max(flat - curve, 0.0) / 2 / (curve / df)))
    if p > _ALPHA:
        raise NotComputable(
            what,
            f"the response does not change with the concentration (p = {p:.2g}, F test of one site against a constant)",
            "a compound that displaces, or higher concentrations",
            "NO_DISPLACEMENT",
        )


def _nearest_one_site(x: FloatArray, y: FloatArray, weights: FloatArray) -> float:
    """Least weighted sum of squares of one-site curves over a grid of IC50; it exists where no minimum does."""
    finite = x[np.isfinite(x)]
    middles = np.linspace(float(finite.min()) - 1.0, float(finite.max()) + 1.0, 200)
    share = np.asarray(rising_share(x, middles[:, None], 1.0), dtype=float)
    total = float(weights.sum())
    share = share - (share @ weights / total)[:, None]
    away = y - float(weights @ y) / total
    size = share**2 @ weights
    explained = np.divide((share @ (weights * away)) ** 2, size, out=np.zeros_like(size), where=size > 1e-12)
    return max(float(weights @ away**2 - explained.max()), 0.0)


def limit_of(log_ic50: Quantity | None, log_x: FloatArray) -> str:
    """What an interval says of an IC50 that is refused [nM], such as ``> 1200``; empty when nothing.

    Of an IC50 beyond the concentrations it is the limit on their side, of an open interval the limit that there is.
    """
    if log_ic50 is None:
        return ""
    e = log_ic50.estimate
    tested = log_x[np.isfinite(log_x)]
    if log_ic50.value > float(tested.max()) or (e.high is None and log_ic50.value >= float(tested.min())):
        return "" if e.low is None else f"> {_nm(e.low)}"
    return "" if e.high is None else f"< {_nm(e.high)}"


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
    limit = limit_of(log_ic50, log_x)
    said = f" (the data say {limit} nM at {100 * log_ic50.estimate.level:g} %)" if limit else ""
    raise NotComputable(
        what,
        f"the fitted {_nm(log_ic50.value)} nM lies {side} concentration tested, {_nm(edge)} nM{said}",
        f"{'higher' if above else 'lower'} concentrations",
        "IC50_EXTRAPOLATED",
    )


def _nm(log_molar: float) -> str:
    return f"{10 ** (log_molar + 9):.4g}" if abs(log_molar) < 200 else f"10^{log_molar + 9:.0f}"


def refuse_open(log_ic50: Quantity | None, found: Fit | None, log_x: FloatArray, what: str, *, level: float) -> None:
    """Refuse an IC50 that may as well lie beyond the concentrations tested: its profile does not close within them.

    Raises
    ------
    NotComputable
        ``FIT_NOT_IDENTIFIABLE``, with the limit that the data do give.

    References
    ----------
    Raue et al., Bioinformatics 2009;25:1923: a parameter is practically non-identifiable when its profile does not reach
    the threshold on either side or both.
    """
    if log_ic50 is None or found is None or found.exact:
        return
    e = log_ic50.estimate
    tested = log_x[np.isfinite(log_x)]
    open_below = e.low is None and _agrees(found, float(tested.min()), level)
    open_above = e.high is None and _agrees(found, float(tested.max()), level)
    if not open_below and not open_above:
        return
    if open_above and e.low is not None:
        because = f"the data do not bound it above; they say > {_nm(e.low)} nM at {100 * level:g} %"
    elif open_below and e.high is not None:
        because = f"the data do not bound it below; they say < {_nm(e.high)} nM at {100 * level:g} %"
    else:
        because = "the data bound it on neither side: its profile is flat"
    raise NotComputable(
        what, because, "more concentrations around the IC50, or plateaus with a known value", "FIT_NOT_IDENTIFIABLE"
    )


def _agrees(found: Fit, log_ic50: float, level: float) -> bool:
    """Whether the data agree with an IC50 there: the sum of squares with it lies within the interval's limit.

    A side can be open without that: the profile of a curve as steep as a step jumps between two concentrations.
    """
    place = found.names.index("log_ic50")
    slopes = [1.0] if "hill" not in found.names else [0.3, 0.6, 1.0, 2.0, 4.0]
    theta = np.tile(found.theta, (1 + len(slopes), 1))
    theta[:, place] = log_ic50
    if "hill" in found.names:
        theta[1:, found.names.index("hill")] = slopes
    frozen = np.zeros(theta.shape, dtype=bool)
    frozen[:, place] = True
    _, rss = refine(found.problem, theta, found.root, frozen=frozen)
    rise = (float(np.min(rss)) - found.weighted_rss) / found.variance
    return rise <= critical_value(found, level) ** 2
