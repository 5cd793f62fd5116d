"""Scatter of SPECT from energy windows beside the photopeak: dual and triple energy window estimates.

::

    triple   S = (C_low / w_low + C_up / w_up) w_peak / 2
    dual     S = k C_low

with counts C and widths w [keV]. A window that is not there (no upper one: no photons from above scatter down) counts as 0 and
leaves half of the trapezoid. The estimate stands in the model beside the projection and is never subtracted, so that counts
stay Poisson. Single bins of scatter windows hold few counts; a Gaussian filter with the mean and the transpose of the data
makes the estimate steady, and at the edges of the detector it is normalised by what lies inside.

References
----------
Ogawa K et al., IEEE Trans Med Imaging 1991;10:408 (triple) · Jaszczak R et al., J Nucl Med 1984;25:893 (dual) · Dewaraja Y et
al., J Nucl Med 2012;53:1310 (MIRD pamphlet 23) · Ljungberg M et al., J Nucl Med 2016;57:151 (MIRD pamphlet 26, 177Lu).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.reconstruction.collimator import FWHM_PER_SIGMA
from fusin.reconstruction.projector import FloatImage
from fusin.reconstruction.spect_acquisition import SpectAcquisition

__all__ = ["SMOOTH_MM", "Scatter", "dual_window", "smoothed", "triple_window"]

# Two bins of 4.8 mm: narrower than any structure of scatter, wide enough to make a bin of one count steady.
SMOOTH_MM = 10.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scatter:
    """An estimate of scatter with how sure it is.

    Attributes
    ----------
    counts : (views, rows, bins) expected scattered counts
    variance : of each bin, from the Poisson counts of the windows
    share : of the counts of the photopeak
    sentence : what was done
    windows, factors : counts that were used and what each was multiplied with; for redrawing in a bootstrap
    smooth_bins : standard deviation of the filter along (rows, bins)
    """

    counts: FloatImage
    variance: FloatImage
    share: float
    sentence: str
    windows: tuple[NDArray[np.float32], ...]
    factors: tuple[float, ...]
    smooth_bins: tuple[float, float]

    def redraw(self, rng: np.random.Generator) -> FloatImage:
        """Draw the windows anew from their own counts and estimate again, for the bootstrap."""
        drawn = [rng.poisson(w).astype(np.float32) for w in self.windows]
        return _combined(drawn, self.factors, self.smooth_bins)


def triple_window(
    acquisition: SpectAcquisition, *, peak: str | float | None, lower: str | float, upper: str | float | None,
    smooth_mm: float = SMOOTH_MM, log: NoticeLog,
) -> Scatter:  # fmt: skip
    """Triple energy window estimate.

    Parameters
    ----------
    acquisition : with all windows
    peak, lower, upper : windows as for `SpectAcquisition.index`; without an upper one its counts are taken as 0
    smooth_mm : FWHM of the filter, 0 for none
    log : receives notices

    Raises
    ------
    InputError
        For windows that do not exist, are the same or lie on the wrong side of the photopeak.
    NotComputable
        For windows without limits.
    """
    main, low = acquisition.index(peak), acquisition.index(lower)
    width = acquisition.windows[main].width_kev()
    places, factors = [low], [0.5 * width / acquisition.windows[low].width_kev()]
    if upper is not None:
        up = acquisition.index(upper)
        places.append(up)
        factors.append(0.5 * width / acquisition.windows[up].width_kev())
        _check_sides(acquisition, main, low, up)
    else:
        log.warning(
            "SCATTER_UPPER_MISSING",
            "no window above the photopeak was given: nothing was taken for what scatters down from "
            "photons of higher energy",
            where=acquisition.name,
        )
        _check_sides(acquisition, main, low, None)
    names = " and ".join(acquisition.windows[p].words() for p in places)
    return _estimate(acquisition, main, places, factors, f"triple energy window from {names}", smooth_mm, log)


def dual_window(
    acquisition: SpectAcquisition, *, peak: str | float | None, lower: str | float, k: float, smooth_mm: float = SMOOTH_MM,
    log: NoticeLog,
) -> Scatter:  # fmt: skip
    """Dual energy window estimate.

    Parameters
    ----------
    acquisition : with both windows
    peak, lower : windows as for `SpectAcquisition.index`
    k : counts of scatter in the photopeak for each count of the lower window; camera and nuclide decide it
    smooth_mm : FWHM of the filter, 0 for none
    log : receives notices

    Raises
    ------
    InputError
        For windows that do not exist or lie on the wrong side, and a factor that is not positive.
    """
    if not (np.isfinite(k) and k > 0):
        raise InputError("scatter", "k", k, "a positive factor")
    main, low = acquisition.index(peak), acquisition.index(lower)
    _check_sides(acquisition, main, low, None)
    return _estimate(acquisition, main, [low], [k], f"dual energy window, {k:g} times {acquisition.windows[low].words()}",
                     smooth_mm, log)  # fmt: skip


def smoothed(counts: FloatImage, smooth_bins: tuple[float, float]) -> FloatImage:
    """Gaussian filter of each view by (rows, bins), normalised at the edges by what lies inside."""
    if max(smooth_bins) <= 0:
        return counts
    from scipy.ndimage import gaussian_filter

    sigma = (0.0, *smooth_bins)
    held: FloatImage = gaussian_filter(np.asarray(counts, np.float64), sigma, mode="constant").astype(np.float32)
    inside = gaussian_filter(np.ones((1, *counts.shape[1:])), sigma, mode="constant")
    held /= inside.astype(np.float32)
    return held


def _combined(
    windows: list[NDArray[np.float32]] | tuple[NDArray[np.float32], ...],
    factors: tuple[float, ...],
    smooth: tuple[float, float],
) -> FloatImage:
    total = np.zeros(windows[0].shape, np.float32)
    for counts, factor in zip(windows, factors, strict=True):
        total += np.float32(factor) * counts
    return smoothed(total, smooth)


def _check_sides(acquisition: SpectAcquisition, main: int, low: int, up: int | None) -> None:
    windows = acquisition.windows
    if len({main, low, up}) < 3 and (up is not None or main == low):
        raise InputError(
            acquisition.name, "energy window", windows[low].words(), "different windows for photopeak and scatter"
        )
    peak = windows[main]
    for place, below in ((low, True), (up, False)):
        if place is None:
            continue
        own = windows[place]
        if None in (peak.low_kev, peak.high_kev, own.low_kev, own.high_kev):
            continue
        middle, centre = own.low_kev + own.high_kev, peak.low_kev + peak.high_kev  # type: ignore[operator]
        if (middle < centre) != below:
            raise InputError(acquisition.name, "energy window", own.words(),
                             f"a window {'below' if below else 'above'} the photopeak {peak.words()}")  # fmt: skip


def _estimate(
    acquisition: SpectAcquisition,
    main: int,
    places: list[int],
    factors: list[float],
    words: str,
    smooth_mm: float,
    log: NoticeLog,
) -> Scatter:
    if not (np.isfinite(smooth_mm) and smooth_mm >= 0):
        raise InputError("scatter", "smooth_mm", smooth_mm, "0 or a positive width in mm")
    geometry = acquisition.geometry
    sigma = smooth_mm / FWHM_PER_SIGMA
    smooth = (sigma / geometry.row_mm, sigma / geometry.pixel_mm)
    windows = tuple(np.asarray(acquisition.counts[p]) for p in places)
    counts = _combined(windows, tuple(factors), smooth)
    squared = tuple(f * f for f in factors)
    # A filter of sigma bins averages 4 pi sigma_rows sigma_bins of them, where that is more than one.
    share_of_bins = 1.0 / max(1.0, 4.0 * np.pi * smooth[0] * smooth[1])
    variance = _combined(windows, squared, smooth) * np.float32(share_of_bins)
    peak = acquisition.counts[main].sum(dtype=np.float64)
    share = float(counts.sum(dtype=np.float64) / peak) if peak > 0 else 0.0
    if share >= 1.0:
        log.warning(
            "SCATTER_ABOVE_PEAK",
            f"the scatter estimate holds {100 * share:.0f} % of the counts of the photopeak; check the windows",
            where=acquisition.name,
            raw=share,
        )
    filtered = f", smoothed to {smooth_mm:g} mm FWHM" if smooth_mm > 0 else ""
    sentence = f"Scatter: {words}{filtered}, {100 * share:.1f} % of the photopeak, in the model and not subtracted."
    return Scatter(counts=counts, variance=variance, share=share, sentence=sentence, windows=windows, factors=tuple(factors),
                   smooth_bins=smooth)  # fmt: skip
