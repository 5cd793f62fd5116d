"""Fused tiles: three planes through a point, CT in grey with PET above it, outlines, crosshair and scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.imaging.volume import FloatArray, Grid, Region, Volume
from fusin.report.mip import trace
from fusin.report.png import data_uri, palette_png
from fusin.report.svg import Canvas, path_data, short

__all__ = [
    "GREY",
    "PLANES",
    "SOFT_TISSUE_HU",
    "Mark",
    "Plane",
    "contiguous",
    "display_levels",
    "pet_colour_bar",
    "three_planes",
]

SOFT_TISSUE_HU = (-160.0, 240.0)
"""Level 40 HU, width 400 HU."""

_PANEL, _GAP, _BAR = 160.0, 5.0, 44.0
_LEVELS = 64
_SMALLEST_FOV_MM, _LARGEST_FOV_MM = 150.0, 420.0

# Image right and image down in LPS; head up, patient left on the image right, lateral plane seen from the left.
PLANES = (
    ("axial", (1, 0, 0), (0, 1, 0), ("R", "L", "A", "P")),
    ("coronal", (1, 0, 0), (0, 0, -1), ("R", "L", "H", "F")),
    ("sagittal", (0, 1, 0), (0, 0, -1), ("A", "P", "H", "F")),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A region to outline on tiles, with what is needed to know quickly whether a plane can meet it."""

    region: Region
    low: FloatArray
    high: FloatArray

    @classmethod
    def of(cls, region: Region) -> Mark | None:
        """Mark of a region, None when it is empty."""
        if region.voxels == 0:
            return None
        spans = [(s - 0.5, s + n - 0.5) for s, n in zip(region.start[::-1], region.crop.shape[::-1], strict=True)]
        box = region.grid.to_mm(np.array(np.meshgrid(*spans)).reshape(3, -1).T)
        return cls(region, box.min(axis=0), box.max(axis=0))

    @property
    def extent_mm(self) -> float:
        """Longest side of the box in patient axes."""
        return float((self.high - self.low).max())


def three_planes(
    pet: Volume,
    ct: Volume | None,
    centre_mm: Sequence[float],
    *,
    main: Mark,
    others: Sequence[Mark] = (),
    window: tuple[float, float],
    label: str,
    reference: bool = False,
) -> str:
    """Draw axial, coronal and sagittal planes through a point as one SVG picture.

    Parameters
    ----------
    pet, ct : SUV volume and CT on any grid of the same frame; without CT the PET is shown in inverted grey
    centre_mm : LPS point in the middle of each plane
    main : region the tile is about
    others : neighbours, outlined more thinly where a plane meets them
    window : SUV limits of the colours
    label : what a screen reader says
    reference : draw a reference region instead of a lesion
    """
    fov = min(max(_SMALLEST_FOV_MM, 1.7 * main.extent_mm), _LARGEST_FOV_MM)
    pixels = round(min(150, max(100, fov / 1.4)))
    centre = np.array(centre_mm, dtype=np.float64)
    tile = Canvas(3 * _PANEL + 2 * _GAP + _BAR, _PANEL, label=label, css="tile")
    for number, (name, right, down, letters) in enumerate(PLANES):
        frame = Plane(centre, np.array(right, float), np.array(down, float), fov, pixels)
        with tile.group(transform=f"translate({short(number * (_PANEL + _GAP))} 0)"):
            _pictures(tile, frame, pet, ct, window)
            for other in others:
                if other.region is not main.region:
                    _outline(tile, frame, other, ct is not None, thin=True, reference=False)
            _outline(tile, frame, main, ct is not None, thin=False, reference=reference)
            _furniture(tile, name, letters, fov, dark=ct is not None)
    _colour_bar(tile, 3 * _PANEL + 2 * _GAP + 8, window, fused=ct is not None)
    return tile.render()


@dataclass(frozen=True, slots=True)
class Plane:
    """A square plane: middle, directions to the right and downwards, side in millimetres and in pixels."""

    centre: FloatArray
    right: FloatArray
    down: FloatArray
    fov: float
    pixels: int

    @property
    def step(self) -> float:
        """Millimetres of one pixel."""
        return self.fov / self.pixels

    @property
    def first(self) -> FloatArray:
        """LPS millimetres of the first pixel's centre."""
        out: FloatArray = self.centre - (self.right + self.down) * (self.fov - self.step) / 2
        return out

    def cut(
        self, values: NDArray[np.float32] | NDArray[np.int16], grid: Grid, shift: FloatArray
    ) -> NDArray[np.float32]:
        """Sample an array whose voxel (0, 0, 0) has index ``shift`` on ``grid``; NaN outside."""
        from fusin.report.mip_kernels import sample_plane

        origin = grid.to_index(self.first)
        right = grid.to_index(self.first + self.right * self.step) - origin
        down = grid.to_index(self.first + self.down * self.step) - origin
        out = np.empty((self.pixels, self.pixels), dtype=np.float32)
        sample_plane(values, origin - shift, right, down, out)
        return out

    def meets(self, mark: Mark) -> bool:
        """Whether the plane's square touches the mark's box."""
        half = (self.right + np.abs(self.down)) * self.fov / 2
        return bool((mark.low <= self.centre + half).all() and (mark.high >= self.centre - half).all())


def _pictures(tile: Canvas, frame: Plane, pet: Volume, ct: Volume | None, window: tuple[float, float]) -> None:
    """CT below and PET above it, each its own picture so that a reader can take the PET away."""
    zero = np.zeros(3)
    uptake = display_levels(frame.cut(contiguous(pet), pet.grid, zero), *window)
    box: dict[str, Any] = {"x": 0, "y": 0, "width": _PANEL, "height": _PANEL, "preserveAspectRatio": "none"}
    tile.add("rect", x=0, y=0, width=_PANEL, height=_PANEL, fill="#000000" if ct else "#FFFFFF")
    if ct is not None:
        grey = display_levels(frame.cut(contiguous(ct), ct.grid, zero), *SOFT_TISSUE_HU)
        tile.add("image", href=data_uri(palette_png(grey, GREY)), class_="ct", **box)
        tile.add("image", href=data_uri(palette_png(uptake, _HOT)), class_="pet", **box)
    else:
        tile.add("image", href=data_uri(palette_png(uptake, GREY[::-1])), class_="pet-alone", **box)


def _outline(tile: Canvas, frame: Plane, mark: Mark, fused: bool, *, thin: bool, reference: bool) -> None:
    """Edge of a region in the plane: where half of the interpolated mask is reached."""
    if not frame.meets(mark):
        return
    crop = np.pad(mark.region.crop, 1).astype(np.float32)
    shift = np.array(mark.region.start[::-1], dtype=np.float64) - 1.0
    inside = np.nan_to_num(frame.cut(crop, mark.region.grid, shift))
    paths = trace(inside, 0.5)
    if not paths:
        return
    data = path_data([p + 0.5 for p in paths], _PANEL / frame.pixels)
    light, dark = ("#7CFC9B", "#00702A") if reference else ("#35E0FF", "#D55E00")
    colour = light if fused else dark
    dashes = "3 2" if reference else None
    if fused:
        tile.add("path", d=data, fill="none", stroke="#000000", stroke_width=2.0 if thin else 2.8, stroke_opacity=0.6)
    tile.add("path", d=data, fill="none", stroke=colour, stroke_width=0.8 if thin else 1.5, stroke_dasharray=dashes,
             stroke_opacity=0.8 if thin else None, class_="outline-other" if thin else "outline")  # fmt: skip


def _furniture(tile: Canvas, name: str, letters: tuple[str, ...], fov: float, *, dark: bool) -> None:
    """Crosshair with a gap, directions, name of the plane and scale bar."""
    colour = "#FFFFFF" if dark else "#1B2430"
    middle, gap = _PANEL / 2, max(14.0, _PANEL * 13.0 / fov)
    for x1, y1, x2, y2 in (
        (middle, 16, middle, middle - gap),
        (middle, middle + gap, middle, _PANEL - 16),
        (14, middle, middle - gap, middle),
        (middle + gap, middle, _PANEL - 14, middle),
    ):
        tile.add("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=colour, stroke_width=0.6, stroke_opacity=0.55)
    halo: dict[str, Any] = {"stroke": "#000000" if dark else "#FFFFFF", "stroke_width": 2.2, "paint_order": "stroke"}
    places = ((7, middle + 3, "middle"), (_PANEL - 7, middle + 3, "middle"), (middle, 11, "middle"))
    for letter, (x, y, anchor) in zip((*letters[:2], letters[2]), places, strict=True):
        tile.text(x, y, letter, size=9, fill=colour, text_anchor=anchor, **halo)
    tile.text(middle, _PANEL - 5, letters[3], size=9, fill=colour, text_anchor="middle", **halo)
    tile.text(5, 12, name, size=9, fill=colour, **halo)
    if name == "axial":
        length = 20.0 if fov <= 250 else 50.0
        width = length / fov * _PANEL
        tile.add("line", x1=6, y1=_PANEL - 7, x2=6 + width, y2=_PANEL - 7, stroke=colour, stroke_width=2)
        tile.text(6, _PANEL - 11, f"{short(length / 10)} cm", size=8.5, fill=colour, **halo)


def _colour_bar(tile: Canvas, x: float, window: tuple[float, float], *, fused: bool) -> None:
    """SUV colours with their limits."""
    top, height = 14.0, _PANEL - 26
    tile.add("image", href=pet_colour_bar(fused), x=x, y=top, width=9, height=height, preserveAspectRatio="none")
    tile.add("rect", x=x, y=top, width=9, height=height, fill="none", stroke="#5B6673", stroke_width=0.6)
    tile.text(x, 9, "SUV", size=9, fill="#5B6673")
    for share, value in ((0.0, window[1]), (0.5, (window[0] + window[1]) / 2), (1.0, window[0])):
        y = top + share * height
        tile.add("line", x1=x + 9, y1=y, x2=x + 12, y2=y, stroke="#5B6673", stroke_width=0.6)
        tile.text(x + 14, y + 3, short(value, 1), size=8.5, fill="#5B6673")


def pet_colour_bar(fused: bool) -> str:
    """Return the colours of the PET levels, highest on top, as a data URI; opaque on black or inverted grey."""
    ramp = np.arange(_LEVELS - 1, -1, -1, dtype=np.uint8)[:, None]
    opaque = _HOT.copy()
    opaque[:, :3] = np.round(_HOT[:, :3] * (_HOT[:, 3:] / 255.0))
    opaque[:, 3] = 255
    return data_uri(palette_png(ramp, opaque if fused else GREY[::-1]))


def display_levels(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    """Display levels 0 to 63; outside the volume 0."""
    scaled = np.nan_to_num((values - low) / (high - low), nan=0.0) * (_LEVELS - 1)
    levels: NDArray[np.uint8] = np.round(np.clip(scaled, 0, _LEVELS - 1)).astype(np.uint8)
    return levels


def contiguous(volume: Volume) -> NDArray[np.float32] | NDArray[np.int16]:
    """Values as the kernel needs them; CT stays int16."""
    if volume.values.dtype == np.int16:
        return np.ascontiguousarray(volume.values)
    return np.ascontiguousarray(volume.values, dtype=np.float32)


def _grey_palette() -> NDArray[np.uint8]:
    """Black to white."""
    grey = np.round(np.linspace(0, 255, _LEVELS)).astype(np.uint8)
    return np.stack([grey, grey, grey, np.full(_LEVELS, 255, np.uint8)], axis=1)


def _hot_palette() -> NDArray[np.uint8]:
    """Black, red, yellow, white; clear where there is no uptake so that the CT shows through."""
    x = np.linspace(0, 1, _LEVELS)
    red, green, blue = np.clip(x / 0.365, 0, 1), np.clip((x - 0.365) / 0.381, 0, 1), np.clip((x - 0.746) / 0.254, 0, 1)
    opacity = 0.85 * np.clip((x - 0.06) / 0.34, 0, 1)
    return np.round(np.stack([red, green, blue, opacity], axis=1) * 255).astype(np.uint8)


GREY, _HOT = _grey_palette(), _hot_palette()
