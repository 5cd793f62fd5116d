"""Pictures of a reconstruction: three planes of the image and of its uncertainty, and the likelihood by iteration."""

from __future__ import annotations

from typing import Any

import numpy as np

from fusin.imaging.volume import FloatArray, Volume
from fusin.reconstruction.run import Run
from fusin.report.plate import (
    DOUBLE_MM,
    SERIES,
    SMALL,
    Axis,
    Box,
    Entry,
    Figure,
    Plate,
    axis_over,
    fit_text,
    left_margin,
    number_label,
    polyline,
)
from fusin.report.png import data_uri, palette_png
from fusin.report.svg import GRID, MUTED, short, ticks
from fusin.report.tiles import GREY, PLANES, Plane, contiguous, display_levels

__all__ = ["image_figure", "likelihood_figure"]

_PANEL, _GAP, _HEAD = 142.0, 5.0, 14.0
_PIXELS = 220
_PLOT = 120.0
# Of all voxels of the shown planes, the share that the grey scale reaches; single hot voxels do not set it.
_REACH = 99.9
_STEPS = 64


def image_figure(run: Run) -> Figure:
    """Axial, coronal and sagittal plane through the largest value of the smoothed image; the uncertainty in a second row.

    Parameters
    ----------
    run : of `run_reconstruction`
    """
    volumes = [("image", run.image)] + ([("standard deviation", run.sd)] if run.sd is not None else [])
    centre = _place(run)
    height = len(volumes) * (_HEAD + _PANEL + _GAP)
    plate = Plate(DOUBLE_MM, height, label=f"Three planes of the reconstruction {run.config.title}")
    unit = _unit(run)
    for row, (name, volume) in enumerate(volumes):
        top = row * (_HEAD + _PANEL + _GAP) + _HEAD
        _row(plate, volume, centre, f"{name} [{unit}]", top)
    shown = ", ".join(f"{v:.0f}" for v in centre)
    caption = f"Planes through ({shown}) mm (x, y, z; LPS), the place of the largest value. Black is the upper end of each scale."
    if run.sd is not None:
        caption += f" Below: standard deviation of {run.config.replicates} reconstructions of redrawn counts."
    return plate.figure("image", caption)


def likelihood_figure(run: Run) -> Figure | None:
    """Log-likelihood by iteration, and with a prior the objective; None where no iteration has one."""
    state = run.result.state
    series = [("log-likelihood", state.log_likelihood)]
    if run.config.prior is not None:
        series.append(("log-likelihood less the prior", state.objective))
    known = [v for _, values in series for v in values if v is not None]
    if not known:
        return None
    # Differences to the last are what a reader wants to see; the values themselves have too many digits for an axis.
    last = max(known)
    plate = Plate(DOUBLE_MM, _PLOT + 58, label="Log-likelihood by iteration")
    start = run.result.start_log_likelihood
    y_axis = axis_over([v - last for v in known] + [0.0], 0.0, 1.0, about=5)
    box = Box(max(left_margin(y_axis), 30.0) + 8, plate.width - 10, 8, 8 + _PLOT)
    y_axis = Axis(low=y_axis.low, high=y_axis.high, start=box.bottom, stop=box.top, ticks=y_axis.ticks)
    count = len(state.log_likelihood)
    ends = sorted({1, *[int(t) for t in ticks(count, 6) if 1 <= t <= count and t == int(t)]})
    x_axis = Axis(low=0.5, high=count + 0.5, start=box.left, stop=box.right, ticks=tuple(float(t) for t in ends))
    plate.left_axis(y_axis, box, "difference to the highest")
    plate.bottom_axis(x_axis, box, "iteration")
    for (_, values), look in zip(series, SERIES, strict=False):
        points = [(x_axis(i), y_axis(v - last), v) for i, v in enumerate(values, start=1) if v is not None]
        if len(points) > 1:
            plate.add("path", d=polyline([(x, y) for x, y, _ in points]), fill="none", stroke=look.colour, stroke_width=1.2,
                      stroke_dasharray=look.dash)  # fmt: skip
        for x, y, value in points:
            plate.mark(look.shape, x, y, look.colour, size=2.0, data_y=f"{value:.10g}")
    plate.legend([Entry(name, look, "line") for (name, _), look in zip(series, SERIES, strict=False)], box.left,
                 box.bottom + 30, plate.width - box.left)  # fmt: skip
    caption = f"Poisson log-likelihood without the term log(y!), less its highest value {last:.8g}."
    if start is not None:
        caption += (
            f" The uniform start image has {start - last:.5g}." if run.config.algorithm in ("mlem", "osem") else ""
        )
    return plate.figure("likelihood", caption)


def _unit(run: Run) -> str:
    return "Bq/mL" if run.image.unit == "Bq/ml" else "counts"


def _place(run: Run) -> FloatArray:
    """LPS millimetres of the largest value of the image, smoothed by three voxels so that noise does not choose."""
    from scipy.ndimage import uniform_filter

    smooth = uniform_filter(run.image.values.astype(np.float32), 3)
    place = np.unravel_index(int(np.argmax(smooth)), smooth.shape)
    return run.image.grid.to_mm(np.array(place[::-1], dtype=np.float64))


def _row(plate: Plate, volume: Volume, centre: FloatArray, title: str, top: float) -> None:
    planes = [_plane(volume, centre, np.array(right, float), np.array(down, float)) for _, right, down, _ in PLANES]
    cuts = [plane.cut(contiguous(volume), volume.grid, np.zeros(3)) for plane in planes]
    known = np.concatenate([c[np.isfinite(c)] for c in cuts])
    high = float(np.percentile(known, _REACH)) if known.size and known.max() > 0 else 1.0
    plate.label(0, top - 7, title, size=SMALL, fill=MUTED)
    for column, (plane, cut) in enumerate(zip(planes, cuts, strict=True)):
        left = column * (_PANEL + _GAP)
        plate.add("image", href=data_uri(palette_png(display_levels(np.nan_to_num(cut), 0.0, max(high, 1e-30)), GREY[::-1])),
                  x=left, y=top, width=_PANEL, height=_PANEL, preserveAspectRatio="none", class_="emission")  # fmt: skip
        _furniture(plate, plane, column, left, top)
    _scale(plate, high, 3 * _PANEL + 2 * _GAP + 8, top)


def _plane(volume: Volume, centre: FloatArray, right: FloatArray, down: FloatArray) -> Plane:
    """A square that holds the whole image."""
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in volume.shape[::-1]])).reshape(3, -1).T
    points = volume.grid.to_mm(corners)
    low, high = points.min(axis=0), points.max(axis=0)
    middle = np.where(np.abs(right) + np.abs(down) > 0.5, (low + high) / 2.0, centre)
    fov = max(float(np.abs((high - low) @ np.abs(right))), float(np.abs((high - low) @ np.abs(down))))
    return Plane(middle, right, down, fov, _PIXELS)


def _furniture(plate: Plate, plane: Plane, column: int, left: float, top: float) -> None:
    name, _, _, letters = PLANES[column]
    halo: dict[str, Any] = {"stroke": "#FFFFFF", "stroke_width": 1.6, "paint_order": "stroke"}
    colour, middle = "#1B2430", _PANEL / 2.0
    places = ((5, middle), (_PANEL - 5, middle), (middle, 6), (middle, _PANEL - 6))
    for letter, (x, y) in zip(letters, places, strict=True):
        plate.label(left + x, top + y, letter, size=SMALL, fill=colour, text_anchor="middle", **halo)
    plate.label(left + 3, top + 7, name, size=SMALL, fill=colour, **halo)
    length = next(mm for mm in (100.0, 50.0, 20.0, 10.0, 5.0, 2.0, 1.0, 0.0) if mm < 0.4 * plane.fov)
    width = length / plane.fov * _PANEL
    plate.line(left + 5, top + _PANEL - 5, left + 5 + width, top + _PANEL - 5, stroke=colour, stroke_width=1.6)
    plate.label(left + 5, top + _PANEL - 11, f"{short(length / 10)} cm", size=SMALL, fill=colour, **halo)
    plate.add("rect", x=left, y=top, width=_PANEL, height=_PANEL, fill="none", stroke=GRID, stroke_width=0.5)


def _scale(plate: Plate, high: float, left: float, top: float) -> None:
    height = _PANEL - 16
    ramp = display_levels(np.linspace(1.0, 0.0, _STEPS, dtype=np.float32)[:, None], 0.0, 1.0)
    plate.add("image", href=data_uri(palette_png(ramp, GREY[::-1])), x=left, y=top + 8, width=9, height=height,
              preserveAspectRatio="none", class_="legend-ramp")  # fmt: skip
    plate.add("rect", x=left, y=top + 8, width=9, height=height, fill="none", stroke=MUTED, stroke_width=0.5)
    marks = [t for t in ticks(high, 4) if t <= high * 1.0001]
    step = marks[1] - marks[0] if len(marks) > 1 else high
    for mark in marks:
        y = top + 8 + height * (1.0 - mark / high)
        text = number_label(mark, step) if 1e-3 < step < 1e4 else f"{mark:.3g}"
        plate.line(left + 9, y, left + 12, y, stroke=MUTED, stroke_width=0.5)
        plate.label(left + 14, y, fit_text(text, plate.width - left - 14, SMALL), size=SMALL, class_="legend-value")
