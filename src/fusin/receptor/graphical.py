"""Lines through transformed curves: Patlak, Logan, MA1 and Logan with a reference region.

Each method is a function of the measured activities, so the standard error of its slope follows from their noise by its
derivatives. The noise is what makes the points leave the line; frames with a small weight are noisier in proportion. The line's own
standard error would take the points for independent, which integrals of the same frames are not.

References
----------
Patlak CS et al., J Cereb Blood Flow Metab 1983;3:1-7. Logan J et al., J Cereb Blood Flow Metab 1990;10:740-747 and 1996;16:834-840.
Ichise M et al., J Cereb Blood Flow Metab 2002;22:1271-1281 (MA1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fusin.errors import NotComputable
from fusin.receptor.frames import FloatArray, Frames, cumulative
from fusin.receptor.input_function import InputFunction

__all__ = ["LINES", "GraphicalFit", "GraphicalName", "fit_line"]

GraphicalName = Literal["patlak", "logan", "ma1", "logan-ref"]
BoolArray = NDArray[np.bool_]
LINES: dict[str, str] = {"patlak": "Ki", "logan": "VT", "ma1": "VT", "logan-ref": "DVR"}
"""What the slope of each method is."""

_FEWEST = 4
_LARGEST_ERROR = 0.1


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GraphicalFit:
    """One line.

    Attributes
    ----------
    method : name
    value, standard_error : slope (VT, Ki or DVR), and its standard error by the noise of the frames
    intercept : of the line
    x, y : all points of the plot; not finite where a frame has no activity
    used : which of them the line passes
    t_star_min : start of the first frame that is used
    largest_error : greatest relative distance of a used point from the line
    df : degrees of freedom
    chosen : ``given``, ``automatic`` or ``convention``
    """

    method: str
    value: float
    standard_error: float
    intercept: float
    x: FloatArray
    y: FloatArray
    used: BoolArray
    t_star_min: float
    largest_error: float
    df: int
    chosen: str


@dataclass(frozen=True, slots=True, eq=False)
class _Setting:
    method: GraphicalName
    frames: Frames
    area: FloatArray
    now: FloatArray
    k2_ref: float | None
    weights: FloatArray


def _points(setting: _Setting, activity: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Abscissa and ordinate of each frame."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if setting.method == "patlak":
            return setting.area / setting.now, activity / setting.now
        integral = cumulative(setting.frames, activity)
        if setting.method == "ma1":
            return setting.area / integral, activity / integral
        area = setting.area
        if setting.method == "logan-ref" and setting.k2_ref is not None:
            area = area + setting.now / setting.k2_ref
        return area / activity, integral / activity


def _line(x: FloatArray, y: FloatArray, w: FloatArray) -> tuple[float, float]:
    """(slope, intercept) of weighted least squares."""
    total = float(w.sum())
    mx, my = float((w * x).sum()) / total, float((w * y).sum()) / total
    spread = float((w * (x - mx) ** 2).sum())
    if not spread > 0:
        return math.nan, math.nan
    slope = float((w * (x - mx) * (y - my)).sum()) / spread
    return slope, my - slope * mx


def _solve(setting: _Setting, activity: FloatArray, used: BoolArray) -> tuple[float, float, FloatArray]:
    """(slope as the method means it, intercept, residuals of the used frames)."""
    w = setting.weights[used]
    if setting.method == "ma1":
        integral = cumulative(setting.frames, activity)[used]
        design = np.column_stack([setting.area[used], integral])
        root = np.sqrt(w)
        (a, b), *_ = np.linalg.lstsq(design * root[:, None], activity[used] * root, rcond=None)
        if b == 0.0:
            return math.nan, math.nan, np.zeros(int(used.sum()))
        return -float(a) / float(b), 1.0 / float(b), np.asarray(activity[used] - design @ np.array([a, b]))
    x, y = _points(setting, activity)
    slope, intercept = _line(x[used], y[used], w)
    return slope, intercept, np.asarray(y[used] - slope * x[used] - intercept)


def fit_line(
    method: GraphicalName, frames: Frames, activity: FloatArray, source: InputFunction, *, t_star_min: float | None = None,
    last_frames: int | None = None, automatic: bool = False, weights: FloatArray | None = None, k2_ref: float | None = None,
    what: str = "the curve",
) -> GraphicalFit:  # fmt: skip
    """Fit one line.

    Parameters
    ----------
    method : ``patlak``, ``logan``, ``ma1``, ``logan-ref``
    frames, activity : of the region, without blood
    source : plasma, or the reference region for ``logan-ref``
    t_star_min : frames that begin at or after it are used
    last_frames : so many frames are used instead
    automatic : take the earliest start from which all points lie within a tenth of the line; without any of the three the last
        ten frames are used, or the second half of fewer than twenty
    weights : of the frames; equal when None. The line itself is not weighted, except that of ``ma1``
    k2_ref : rate of the reference region [1/min]; None leaves its term out
    what : name for messages

    Raises
    ------
    NotComputable
        For fewer than four usable points, or a line that is not determined.
    """
    mid = np.asarray(frames.mid_min)
    area, now = source.area_until(mid), source.plasma_at(mid)
    given = np.ones(mid.size) if weights is None else weights
    flat = given if method == "ma1" else np.ones(mid.size)
    setting = _Setting(method, frames, area, now, k2_ref, flat)
    x, y = _points(setting, activity)
    usable = np.isfinite(x) & np.isfinite(y) & (given > 0) & (mid > 0)
    usable &= now > 0 if method == "patlak" else activity > 0
    if last_frames is None and t_star_min is None and not automatic:
        last_frames, chosen_by = max(min(10, int(usable.sum()) // 2), _FEWEST), "convention"
    else:
        chosen_by = "automatic" if automatic else "given"
    # Values of 1e300 overflow when they are squared; the line is then not finite and refused.
    with np.errstate(all="ignore"):
        used = _chosen(setting, activity, usable, t_star_min, last_frames, what)
        slope, intercept, residuals = _solve(setting, activity, used)
        error = _standard_error(lambda a: _solve(setting, a, used), activity, used, residuals, given)
        largest = _error(setting, activity, used)
    if not (math.isfinite(slope) and math.isfinite(error)):
        raise NotComputable(
            f"{LINES[method]} of {what}", "its points give no line", "frames at different times", "LINE_UNDETERMINED"
        )
    start = float((mid if frames.start_min is None else frames.start_min)[used][0])
    return GraphicalFit(
        method=method, value=slope, standard_error=error, intercept=intercept, x=x, y=y, used=used, t_star_min=start,
        largest_error=largest, df=int(used.sum()) - 2, chosen=chosen_by,
    )  # fmt: skip


def _chosen(
    setting: _Setting,
    activity: FloatArray,
    usable: BoolArray,
    t_star_min: float | None,
    last_frames: int | None,
    what: str,
) -> BoolArray:
    mid = np.asarray(setting.frames.mid_min)
    begin = mid if setting.frames.start_min is None else np.asarray(setting.frames.start_min)
    places = np.flatnonzero(usable)
    if last_frames is not None:
        used = usable & (np.arange(mid.size) >= mid.size - last_frames)
    elif t_star_min is not None:
        used = usable & (begin >= t_star_min - 1e-9)
    else:
        if places.size < _FEWEST:
            raise _few(setting, what, int(places.size))
        options = [usable & (np.arange(mid.size) >= p) for p in places[: places.size - _FEWEST + 1]]
        fitting = (o for o in options if _error(setting, activity, o) <= _LARGEST_ERROR)
        return next(fitting, options[-1])
    if int(used.sum()) < _FEWEST:
        raise _few(setting, what, int(used.sum()))
    return np.asarray(used)


def _few(setting: _Setting, what: str, n: int) -> NotComputable:
    return NotComputable(
        f"{LINES[setting.method]} of {what}", f"{n} frames with activity after t*", f"at least {_FEWEST}", "FRAMES_FEW"
    )


def _error(setting: _Setting, activity: FloatArray, used: BoolArray) -> float:
    """Greatest relative distance of a used point from the line."""
    _, _, residuals = _solve(setting, activity, used)
    shown = activity[used] if setting.method == "ma1" else _points(setting, activity)[1][used]
    return float(np.abs(residuals / shown).max())


def _standard_error(
    solve: Callable[[FloatArray], tuple[float, float, FloatArray]], activity: FloatArray, used: BoolArray,
    residuals: FloatArray, weights: FloatArray,
) -> float:  # fmt: skip
    """Standard error of the slope from the noise of the frames, sigma^2/weight, by derivatives."""
    pulled = 0.0
    through = np.zeros(activity.size)
    for i in np.flatnonzero(weights > 0):
        h = 1e-5 * max(abs(float(activity[i])), 1e-3 * float(np.abs(activity).max()))
        moved = activity.copy()
        moved[i] += h
        slope_up, _, r_up = solve(moved)
        moved[i] -= 2 * h
        slope_down, _, r_down = solve(moved)
        through[i] = (slope_up - slope_down) / (2 * h)
        pulled += float((((r_up - r_down) / (2 * h)) ** 2).sum()) / float(weights[i])
    # The squared residuals are expected to be sigma^2 times this sum, to first order in the noise.
    variance = float((residuals**2).sum()) / max(pulled, 1e-300)
    counted = weights > 0
    return math.sqrt(variance * float((through[counted] ** 2 / weights[counted]).sum()))
