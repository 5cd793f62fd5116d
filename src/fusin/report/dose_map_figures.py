"""Dose maps on CT in three planes with isodoses, and dose-volume histograms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.dosimetry.image_dose import ImageDose, RegionImageDose
from fusin.dosimetry.image_points import ImagePoint
from fusin.dosimetry.voxel_time import mean_time_h
from fusin.imaging.volume import FloatArray, Region, Volume
from fusin.report.mip import trace
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
    legend_height,
    number_label,
    polyline,
)
from fusin.report.png import data_uri, palette_png
from fusin.report.svg import GRID, MUTED, path_data, short, ticks
from fusin.report.tiles import GREY, PLANES, SOFT_TISSUE_HU, Plane, contiguous, display_levels

__all__ = ["dose_map_figure", "histogram_figures"]

_PANEL, _GAP, _LEGEND = 142.0, 5.0, 46.0
_LEAST_FOV_MM, _MOST_FOV_MM = 120.0, 420.0
_PIXELS = 190
_LEVELS = 64
_LINES = 5
_SERIES_OF_PANEL = len(SERIES)
_PLOT, _HEAD, _FOOT = 138.0, 20.0, 32.0
# Of the voxels of the shown planes, the share that the colours reach; single hot voxels do not set the scale.
_REACH = 99.9
# Anchors of a ramp whose lightness rises evenly, from blue over grey to yellow: told apart with every colour blindness.
_ANCHORS = ((0, 32, 77), (54, 65, 106), (107, 110, 118), (161, 153, 111), (213, 197, 79), (255, 234, 70))


def dose_map_figure(found: ImageDose) -> Figure | None:
    """Three planes through the lesion or organ of the highest mean dose; None without a dose of voxels.

    The dose lies on the CT, or without one on the emission image in inverted grey; a second row shows the emission image with the
    same isodoses.

    Parameters
    ----------
    found : of `image_dose`
    """
    if found.voxels is None:
        return None
    shown = _highest(found)
    dose = found.voxels.dose.dose
    centre = _hottest_mm(dose, None if shown is None else found.voxels.outlines[shown.dose.name])
    planes = [_plane(dose, centre, np.array(right, float), np.array(down, float)) for _, right, down, _ in PLANES]
    cuts = [plane.cut(contiguous(dose), dose.grid, np.zeros(3)) for plane in planes]
    highest = float(np.nanpercentile(np.concatenate([c.ravel() for c in cuts]), _REACH))
    levels = _isodoses(highest)
    point = _image(found, shown)
    ct = found.study.ct
    rows = 1 if ct is None else 2
    height = 12.0 + rows * (_PANEL + _GAP)
    name = shown.dose.name if shown is not None else "the highest dose"
    plate = Plate(DOUBLE_MM, height, label=f"Dose map in three planes through {name}")
    for row in range(rows):
        top = 12.0 + row * (_PANEL + _GAP)
        for column, plane in enumerate(planes):
            left = column * (_PANEL + _GAP)
            _picture(plate, plane, ct if rows == 2 and row == 0 else None, point, left, top)
            _wash(plate, cuts[column], levels, left, top, washed=row == 0)
            _outlines(plate, plane, found, shown, left, top, dark=rows == 2 and row == 0)
            _furniture(plate, plane, column, left, top, dark=rows == 2 and row == 0)
    plate.label(0, 5, fit_text(f"through {name}", 3 * _PANEL), size=SMALL, fill=MUTED)
    _legend(plate, levels, 3 * _PANEL + 2 * _GAP + 10, 12.0)
    return plate.figure("dose-map", _caption(found, name, point, rows))


def histogram_figures(regions: Sequence[RegionImageDose]) -> tuple[Figure, ...]:
    """Cumulative dose-volume histograms, organs and lesions apart, six regions to a panel.

    Parameters
    ----------
    regions : results; those without voxels are left out
    """
    drawn = [r for r in regions if r.voxels is not None]
    groups: list[tuple[str, list[RegionImageDose]]] = []
    for title, kinds in (("organs", ("organ", "marrow", "blood")), ("lesions", ("lesion",))):
        part = [r for r in drawn if r.kind in kinds]
        groups += [(title, part[i : i + _SERIES_OF_PANEL]) for i in range(0, len(part), _SERIES_OF_PANEL)]
    figures = []
    for number, start in enumerate(range(0, len(groups), 2), start=1):
        name = "dvh" if len(groups) <= 2 else f"dvh-{number}"
        figures.append(_histograms(groups[start : start + 2], name))
    return tuple(figures)


def _highest(found: ImageDose) -> RegionImageDose | None:
    """The lesion or organ of the highest mean dose."""
    with_dose = [r for r in found.regions if r.voxels is not None]
    solid = [r for r in with_dose if r.kind in ("lesion", "organ")] or with_dose
    return max(solid, key=lambda r: r.voxels.histogram.mean if r.voxels else 0.0, default=None)


def _hottest_mm(dose: Volume, region: Region | None) -> FloatArray:
    """Middle of a region, or the voxel of the highest dose."""
    if region is not None and region.voxels:
        return region.centroid_mm()
    place = np.unravel_index(int(np.nanargmax(dose.values)), dose.shape)
    return dose.grid.to_mm(np.array(place[::-1], dtype=np.float64))


def _plane(dose: Volume, centre: FloatArray, right: FloatArray, down: FloatArray) -> Plane:
    """A square that holds the image, not more than fits legibly; moved so that its middle is the image's where it can."""
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in dose.shape[::-1]])).reshape(3, -1).T
    points = dose.grid.to_mm(corners)
    low, high = points.min(axis=0), points.max(axis=0)
    wanted = max(float(np.abs((high - low) @ np.abs(right))), float(np.abs((high - low) @ np.abs(down))))
    fov = min(max(wanted, _LEAST_FOV_MM), _MOST_FOV_MM)
    middle = centre.copy()
    for axis in (right, down):
        along = np.abs(axis) > 0.5
        reach = fov / 2.0
        if float((high - low)[along][0]) <= fov:
            middle[along] = ((low + high) / 2.0)[along]
        else:
            middle[along] = np.clip(centre[along], low[along] + reach, high[along] - reach)
    return Plane(middle, right, down, fov, _PIXELS)


def _isodoses(highest: float) -> tuple[float, ...]:
    """Up to five round doses; the colours end at the last."""
    if not (math.isfinite(highest) and highest > 0):
        return (1.0,)
    return tuple(ticks(highest, _LINES)[1:][: _LINES + 1])


def _image(found: ImageDose, shown: RegionImageDose | None) -> ImagePoint:
    """The image nearest the mean time of the region that is shown."""
    points = found.study.points
    if shown is None or shown.dose.integral is None:
        return points[0]
    wanted = mean_time_h(shown.dose.integral)
    return min(points, key=lambda p: abs(p.time_h - wanted))


def _picture(plate: Plate, plane: Plane, ct: Volume | None, point: ImagePoint, left: float, top: float) -> None:
    box: dict[str, Any] = {"x": left, "y": top, "width": _PANEL, "height": _PANEL, "preserveAspectRatio": "none"}
    zero = np.zeros(3)
    if ct is not None:
        grey = display_levels(plane.cut(contiguous(ct), ct.grid, zero), *SOFT_TISSUE_HU)
        plate.add("image", href=data_uri(palette_png(grey, GREY)), class_="ct", **box)
        return
    values = plane.cut(contiguous(point.volume), point.volume.grid, zero)
    high = float(np.nanpercentile(values, _REACH)) if bool(np.isfinite(values).any()) else 1.0
    grey = display_levels(values, 0.0, max(high, 1e-30))
    plate.add("image", href=data_uri(palette_png(grey, GREY[::-1])), class_="emission", **box)


def _wash(
    plate: Plate, cut: NDArray[np.float32], levels: Sequence[float], left: float, top: float, *, washed: bool
) -> None:
    """Colours of the dose and lines of equal dose."""
    if washed:
        shades = display_levels(cut, 0.0, levels[-1])
        plate.add("image", href=data_uri(palette_png(shades, _RAMP)), x=left, y=top, width=_PANEL, height=_PANEL,
                  preserveAspectRatio="none", class_="dose")  # fmt: skip
    known = np.nan_to_num(cut, nan=0.0)
    with plate.group(transform=f"translate({short(left)} {short(top)})"):
        for level in levels:
            paths = trace(known, level)
            if not paths:
                continue
            data = path_data([p + 0.5 for p in paths], _PANEL / _PIXELS)
            # A light halo about dark lines and a dark one about light lines stand out on any grey.
            halo = "#FFFFFF" if level < 0.5 * levels[-1] else "#000000"
            plate.add("path", d=data, fill="none", stroke=halo, stroke_width=1.9, stroke_opacity=0.7)
            plate.add("path", d=data, fill="none", stroke=_colour(level / levels[-1]), stroke_width=0.9, class_="isodose",
                      data_gy=f"{level:.6g}")  # fmt: skip


def _outlines(
    plate: Plate, plane: Plane, found: ImageDose, shown: RegionImageDose | None, left: float, top: float, *, dark: bool
) -> None:
    """The region that the planes go through."""
    if shown is None or found.voxels is None:
        return
    region = found.voxels.outlines[shown.dose.name]
    crop = np.pad(region.crop, 1).astype(np.float32)
    shift = np.array(region.start[::-1], dtype=np.float64) - 1.0
    paths = trace(np.nan_to_num(plane.cut(crop, region.grid, shift)), 0.5)
    if not paths:
        return
    with plate.group(transform=f"translate({short(left)} {short(top)})"):
        data = path_data([p + 0.5 for p in paths], _PANEL / _PIXELS)
        plate.add("path", d=data, fill="none", stroke="#FFFFFF" if dark else "#000000", stroke_width=0.9,
                  stroke_dasharray="1.2 1.6", class_="outline")  # fmt: skip


def _furniture(plate: Plate, plane: Plane, column: int, left: float, top: float, *, dark: bool) -> None:
    """Directions, name of the plane, scale bar, frame."""
    name, _, _, letters = PLANES[column]
    colour = "#FFFFFF" if dark else "#1B2430"
    halo: dict[str, Any] = {"stroke": "#000000" if dark else "#FFFFFF", "stroke_width": 1.6, "paint_order": "stroke"}
    middle_x, middle_y = left + _PANEL / 2.0, top + _PANEL / 2.0
    places = ((left + 5, middle_y), (left + _PANEL - 5, middle_y), (middle_x, top + 6), (middle_x, top + _PANEL - 6))
    for letter, (x, y) in zip(letters, places, strict=True):
        plate.label(x, y, letter, size=SMALL, fill=colour, text_anchor="middle", **halo)
    plate.label(left + 3, top + 7, name, size=SMALL, fill=colour, **halo)
    length = 50.0 if plane.fov > 200 else 20.0
    width = length / plane.fov * _PANEL
    plate.line(left + 5, top + _PANEL - 5, left + 5 + width, top + _PANEL - 5, stroke=colour, stroke_width=1.6)
    plate.label(left + 5, top + _PANEL - 11, f"{short(length / 10)} cm", size=SMALL, fill=colour, **halo)
    plate.add("rect", x=left, y=top, width=_PANEL, height=_PANEL, fill="none", stroke=GRID, stroke_width=0.5)


def _legend(plate: Plate, levels: Sequence[float], left: float, top: float) -> None:
    """Colours with the isodoses at their place."""
    height = _PANEL - 16
    plate.label(left, top + 4, "dose [Gy]", size=SMALL, fill=MUTED)
    ramp = np.arange(_LEVELS - 1, -1, -1, dtype=np.uint8)[:, None]
    solid = _RAMP.copy()
    solid[:, 3] = 255
    plate.add("image", href=data_uri(palette_png(ramp, solid)), x=left, y=top + 12, width=9, height=height,
              preserveAspectRatio="none", class_="legend-ramp")  # fmt: skip
    plate.add("rect", x=left, y=top + 12, width=9, height=height, fill="none", stroke=MUTED, stroke_width=0.5)
    step = levels[0]
    for number, level in enumerate((0.0, *levels)):
        y = top + 12 + height * (1.0 - level / levels[-1])
        if number:
            plate.line(left + 9, y, left + 21, y, stroke="#000000", stroke_width=1.9)
            plate.line(left + 9, y, left + 21, y, stroke=_colour(level / levels[-1]), stroke_width=1.1)
        plate.label(left + 24, y, number_label(level, step), size=SMALL, class_="legend-gy")


def _caption(found: ImageDose, name: str, point: ImagePoint, rows: int) -> str:
    text = f"Absorbed dose in the axial, coronal and sagittal plane through the middle of {name} (dotted outline). "
    under = (
        "on CT (level 40 HU, width 400 HU)" if rows == 2 else f"on the image at {point.time_h:.4g} h in inverted grey"
    )
    text += f"Colours and lines of equal dose {under}; the lines stand at the doses that the legend marks. "
    if rows == 2:
        text += f"Below: the image at {point.time_h:.4g} h in inverted grey with the same lines. "
    thin = found.voxels is not None and found.voxels.dose.heterogeneous
    text += "Voxels too thin for a dose have none." if thin else ""
    return text.strip()


def _histograms(groups: Sequence[tuple[str, Sequence[RegionImageDose]]], name: str) -> Figure:
    """One or two panels side by side."""
    count = len(groups)
    width_mm = DOUBLE_MM if count == 2 else 0.6 * DOUBLE_MM
    probe = Plate(width_mm, 10.0, label="")
    each = probe.width / count
    legends = [_entries(part) for _, part in groups]
    tall = max(legend_height(entries, each - 14) for entries in legends)
    plate = Plate(width_mm, _HEAD + _PLOT + _FOOT + tall + 4, label="Dose-volume histograms")
    for place, ((title, part), entries) in enumerate(zip(groups, legends, strict=True)):
        left = place * each
        doses = [r.voxels.histogram for r in part if r.voxels is not None]
        y_axis = axis_over([0.0, 100.0], 0.0, 1.0, zero=True, about=5)
        box = Box(left + left_margin(y_axis) + 4, left + each - 8, _HEAD, _HEAD + _PLOT)
        y_axis = Axis(low=0.0, high=100.0, start=box.bottom, stop=box.top, ticks=y_axis.ticks)
        x_axis = axis_over([0.0, *(d.dose_at_percent(0.0) for d in doses)], box.left, box.right, zero=True, about=5)
        plate.label(box.left, 8, title, font_weight="bold", class_="panel-title")
        for value, label in zip(y_axis.ticks, y_axis.labels(), strict=True):
            plate.line(box.left, y_axis(value), box.right, y_axis(value), stroke=GRID, stroke_width=0.5)
            plate.label(box.left - 4.5, y_axis(value), label, size=SMALL, text_anchor="end", class_="tick-y")
        plate.turned(
            left + 7, (box.top + box.bottom) / 2, "volume with at least this dose [%]", size=SMALL, text_anchor="middle"
        )
        _curves(plate, part, x_axis, y_axis)
        plate.bottom_axis(x_axis, box, "")
        plate.label((box.left + box.right) / 2, box.bottom + 20, "absorbed dose [Gy]", size=SMALL, text_anchor="middle")
        plate.line(box.left, box.top, box.left, box.bottom, stroke=MUTED)
        plate.legend(entries, left + 8, box.bottom + _FOOT, each - 14)
    caption = "Cumulative dose-volume histograms of the voxels; those at the edge count with the part that lies in the region."
    return plate.figure(name, caption)


def _curves(plate: Plate, part: Sequence[RegionImageDose], x_axis: Axis, y_axis: Axis) -> None:
    for series, one in zip(SERIES, part, strict=False):
        if one.voxels is None:
            continue
        histogram = one.voxels.histogram
        share = 100.0 * np.cumsum(histogram.volume_ml[::-1])[::-1] / histogram.total_ml
        steps = [(x_axis(0.0), y_axis(100.0))]
        before = 100.0
        for gray, percent in zip(histogram.dose.tolist(), share.tolist(), strict=True):
            steps += [(x_axis(max(gray, 0.0)), y_axis(before))]
            before = percent
        steps += [(steps[-1][0], y_axis(0.0))]
        plate.add("path", d=polyline(steps), fill="none", stroke=series.colour, stroke_width=1.3, stroke_dasharray=series.dash,
                  class_="dvh", data_region=one.dose.name)  # fmt: skip


def _entries(part: Sequence[RegionImageDose]) -> list[Entry]:
    return [Entry(one.dose.name, series) for series, one in zip(SERIES, part, strict=False)]


def _ramp() -> NDArray[np.uint8]:
    """Colours of the levels; clear where there is no dose, so that the anatomy shows through."""
    x = np.linspace(0.0, 1.0, _LEVELS)
    anchors = np.array(_ANCHORS, dtype=np.float64)
    places = np.linspace(0.0, 1.0, len(anchors))
    colours = np.stack([np.interp(x, places, anchors[:, c]) for c in range(3)], axis=1)
    opacity = 255.0 * 0.72 * np.clip((x - 0.03) / 0.35, 0.0, 1.0)
    return np.round(np.column_stack([colours, opacity])).astype(np.uint8)


_RAMP = _ramp()


def _colour(share: float) -> str:
    """Colour of the ramp at a share of its length."""
    red, green, blue = (int(v) for v in _RAMP[round(min(max(share, 0.0), 1.0) * (_LEVELS - 1)), :3])
    return f"#{red:02X}{green:02X}{blue:02X}"
