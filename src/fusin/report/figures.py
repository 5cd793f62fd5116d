"""Maximum-intensity pictures with numbered lesions: for the page, for a turn in the browser, and as a PNG file."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fusin.files import write_bytes_atomically
from fusin.imaging.volume import FloatArray, Region
from fusin.quantification.reading import Reading
from fusin.report.labels import Label, place_labels
from fusin.report.mip import RotatingMip, project_region, rotating_mip
from fusin.report.png import data_uri, grey_png, palette_png
from fusin.report.svg import INK, LESION, MUTED, PHYSIOLOGICAL, REFERENCE, Canvas, path_data, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

__all__ = [
    "MOST_NUMBERED",
    "MOST_TURNING",
    "MipOverlay",
    "Shadow",
    "mip_overlay",
    "region_tile_centre",
    "scale_note",
    "static_mip",
    "turning_mip",
    "write_mip_png",
]

MOST_NUMBERED = 24
"""Lesions that carry a number on the pictures and have a tile."""
MOST_TURNING = 100
"""Lesions outlined on the rotating picture; the static ones show all."""

_TALLEST, _WIDEST = 560.0, 300.0
_STYLES: dict[str, dict[str, Any]] = {
    "lesion": {"stroke": LESION, "stroke_width": 1.5},
    "reference": {"stroke": REFERENCE, "stroke_width": 1.5, "stroke_dasharray": "1.5 2.2"},
    "physiological": {"stroke": PHYSIOLOGICAL, "stroke_width": 1.1, "stroke_dasharray": "5 3"},
}
_SHORT_NAMES = {
    "blood_pool": "BP",
    "liver": "Li",
    "spleen": "Sp",
    "marrow": "BM",
    "brain": "Br",
    "adrenal": "Ad",
    "muscle": "Mu",
}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Shadow:
    """One region's outlines on every kept frame.

    Attributes
    ----------
    kind : ``lesion``, ``reference`` or ``physiological``
    key : number of the lesion, or kind of the reference
    text : label beside it, empty for none
    title : what a pointer shows
    frames : outlines per kept frame, in frame pixels
    """

    kind: str
    key: str
    text: str
    title: str
    frames: list[tuple[FloatArray, ...]]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MipOverlay:
    """A MIP with the outlines that belong on it; ``scale`` turns frame pixels into picture units."""

    mip: RotatingMip
    shadows: tuple[Shadow, ...]
    scale: float

    @property
    def width(self) -> float:
        """Width of one picture."""
        return self.mip.width * self.scale

    @property
    def height(self) -> float:
        """Height of one picture."""
        return self.mip.height * self.scale


def mip_overlay(reading: Reading, *, window: tuple[float, float] = (0.0, 10.0), angles: int = 36) -> MipOverlay:
    """Project the PET of a reading with its lesions, references and physiological regions."""
    regions = [lesion.region for lesion in (*reading.lesions, *reading.physiological)]
    regions += [ref.region for ref in reading.references]
    mip = rotating_mip(reading.pet, window=window, angles=angles, regions=regions)
    shadows = [
        Shadow(
            kind="physiological",
            key=str(spot.number),
            text="",
            title=f"set aside: {spot.site or spot.reason or spot.region.name}",
            frames=project_region(spot.region, mip),
        )
        for spot in reading.physiological
    ]
    shadows += [
        Shadow(
            kind="reference",
            key=ref.kind,
            text=_SHORT_NAMES[ref.kind],
            title=f"reference: {ref.kind.replace('_', ' ')}",
            frames=project_region(ref.region, mip),
        )
        for ref in reading.references
    ]
    shown = (0, mip.quarter)
    for rank, lesion in enumerate(reading.lesions):
        frames: list[tuple[FloatArray, ...]]
        if rank < MOST_TURNING:
            frames = project_region(lesion.region, mip)
        else:
            frames = [()] * len(mip.half)
            for number, outlines in zip(shown, project_region(lesion.region, mip, shown), strict=True):
                frames[number] = outlines
        text = str(lesion.number) if rank < MOST_NUMBERED else ""
        title = f"lesion {lesion.number}" + (f": {lesion.site}" if lesion.site else "")
        shadows.append(Shadow(kind="lesion", key=str(lesion.number), text=text, title=title, frames=frames))
    scale = min(_TALLEST / mip.height, _WIDEST / mip.width)
    return MipOverlay(mip=mip, shadows=tuple(shadows), scale=scale)


def static_mip(overlay: MipOverlay, view: str = "anterior") -> str:
    """Draw one still projection as SVG: inverted grey, outlines, numbers and directions.

    Parameters
    ----------
    overlay : from `mip_overlay`
    view : ``anterior`` (coronal MIP) or ``left`` (sagittal MIP)
    """
    frame, sides, name = {
        "anterior": (0, ("R", "L"), "Coronal MIP, seen from the front"),
        "left": (overlay.mip.quarter, ("A", "P"), "Sagittal MIP, seen from the patient's left"),
    }[view]
    canvas = Canvas(overlay.width, overlay.height, label=name, css="mip")
    picture = data_uri(grey_png(255 - overlay.mip.frame(frame)))
    canvas.add("image", href=picture, x=0, y=0, width=overlay.width, height=overlay.height, preserveAspectRatio="none")
    for shadow in overlay.shadows:
        outlines = shadow.frames[frame]
        if not outlines:
            continue
        data = path_data([p + 0.5 for p in outlines], overlay.scale)
        with _link(canvas, shadow):
            if shadow.kind == "lesion":
                canvas.add("path", d=data, fill="none", stroke="#FFFFFF", stroke_width=3, stroke_opacity=0.6)
            canvas.add("path", d=data, fill=LESION if shadow.kind == "lesion" else "none", fill_opacity=0.08,
                       class_=f"outline-{shadow.kind}", data_key=shadow.key, **_STYLES[shadow.kind])  # fmt: skip
    _numbers(canvas, overlay, frame)
    for letter, x in zip(sides, (9.0, overlay.width - 9.0), strict=True):
        canvas.text(x, 15, letter, size=11, fill=MUTED, text_anchor="middle")
    return canvas.render()


def turning_mip(overlay: MipOverlay) -> dict[str, Any]:
    """What the browser needs to turn the projection: one strip of frames and, per frame, outlines and label places.

    The second half of the turn is the mirror image of the first and is not repeated.
    """
    mip, scale = overlay.mip, overlay.scale
    strip = np.round(np.hstack(list(mip.half)) / 255.0 * 63.0).astype(np.uint8)
    grey = np.round(np.linspace(255, 0, 64)).astype(np.uint8)
    palette = np.stack([grey, grey, grey, np.full(64, 255, np.uint8)], axis=1)
    turning = [s for s in overlay.shadows if s.kind != "lesion"]
    turning += [s for s in overlay.shadows if s.kind == "lesion"][:MOST_TURNING]
    places: dict[int, list[list[float]]] = {}
    before: list[Label] | None = None
    for frame in range(len(mip.half)):
        owners, before = _place(overlay, frame, before)
        for owner, label in zip(owners, before, strict=True):
            places.setdefault(owner, []).append([round(v, 1) for v in (label.x, label.y, label.from_x, label.from_y)])
    regions = [
        {
            "kind": shadow.kind,
            "key": shadow.key,
            "text": shadow.text,
            "title": shadow.title,
            "paths": [path_data([p + 0.5 for p in f], scale, most=24) for f in shadow.frames],
            "labels": places.get(overlay.shadows.index(shadow), []),
        }
        for shadow in turning
    ]
    return {
        "frames": len(mip.half),
        "width": round(overlay.width, 2),
        "height": round(overlay.height, 2),
        "picture": data_uri(palette_png(strip, palette)),
        "regions": regions,
    }


def write_mip_png(reading: Reading, path: Path, *, window: tuple[float, float] = (0.0, 10.0), dpi: int = 200) -> Path:
    """Write coronal and sagittal MIP with numbered outlines as a PNG file for a slide or a paper.

    Parameters
    ----------
    reading : result of a reading
    path : file to write
    window : SUV limits of the grey scale
    dpi : resolution; the longer side of the figure is about 10 inches
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    overlay = mip_overlay(reading, window=window)
    tall, wide = float(overlay.mip.height), 2.0 * overlay.mip.width
    figure = Figure(figsize=(9.0 * wide / max(tall, wide) + 0.9, 9.0 * tall / max(tall, wide) + 0.5))
    FigureCanvasAgg(figure)
    panels = ((0, ("R", "L")), (overlay.mip.quarter, ("A", "P")))
    for column, (frame, sides) in enumerate(panels):
        axes = figure.add_axes((0.02 + 0.45 * column, 0.04, 0.44, 0.93))
        picture = _draw_panel(axes, overlay, frame, sides)
    figure.colorbar(picture, cax=figure.add_axes((0.93, 0.3, 0.014, 0.4)), label="SUV")
    figure.text(0.03, 0.012, "Research use only. Candidates are not diagnoses.", fontsize=7, color=MUTED)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
    return write_bytes_atomically(path, stream.getvalue())


def _draw_panel(axes: Axes, overlay: MipOverlay, frame: int, sides: tuple[str, str]) -> AxesImage:
    """One projection with outlines, numbers and directions on matplotlib axes."""
    low, high = overlay.mip.window
    shown = overlay.mip.frame(frame) / 255.0 * (high - low) + low
    picture = axes.imshow(shown, cmap="gray_r", vmin=low, vmax=high, interpolation="bilinear")
    dashes = {"lesion": "-", "reference": ":", "physiological": "--"}
    for shadow in overlay.shadows:
        for outline in shadow.frames[frame]:
            colour = _STYLES[shadow.kind]["stroke"]
            axes.plot(outline[:, 0], outline[:, 1], dashes[shadow.kind], color=colour, linewidth=0.9)
    owners, labels = _place(overlay, frame, None)
    for owner, label in zip(owners, labels, strict=True):
        shadow = overlay.shadows[owner]
        if shadow.frames[frame]:
            axes.text(label.x / overlay.scale, label.y / overlay.scale, shadow.text, ha="center", va="center", fontsize=8,
                      fontweight="bold", color=_STYLES[shadow.kind]["stroke"])  # fmt: skip
    for letter, x in zip(sides, (0.03, 0.97), strict=True):
        axes.text(x, 0.985, letter, transform=axes.transAxes, ha="center", va="top", color=MUTED)
    axes.set_axis_off()
    return picture


def _link(canvas: Canvas, shadow: Shadow) -> Any:
    """Group of a shadow's elements; a lesion's leads to its tile or table row."""
    if shadow.kind == "lesion":
        target = f"#tile-{shadow.key}" if shadow.text else f"#lesion-{shadow.key}"
        return canvas.group("a", title=shadow.title, href=target)
    return canvas.group("g", title=shadow.title)


def _place(overlay: MipOverlay, frame: int, before: list[Label] | None) -> tuple[list[int], list[Label]]:
    """Owners (positions in ``shadows``) and places of the texts on one frame, in picture units."""
    boxes = [_box(shadow.frames[frame], overlay.scale) for shadow in overlay.shadows]
    owners = [i for i, shadow in enumerate(overlay.shadows) if shadow.text]
    dark = [box for box, shadow in zip(boxes, overlay.shadows, strict=True) if shadow.kind == "physiological"]
    texts = [overlay.shadows[i].text for i in owners]
    places = place_labels(
        [boxes[i] for i in owners],
        texts,
        width=overlay.width,
        height=overlay.height,
        size=12,
        avoid=dark,
        before=before,
    )
    return owners, places


def _box(outlines: Sequence[FloatArray], scale: float) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) around outlines in picture units; far away when there are none."""
    if not outlines:
        return (-1e6, -1e6, -1e6, -1e6)
    points = (np.concatenate(list(outlines)) + 0.5) * scale
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return (float(left), float(top), float(right), float(bottom))


def _numbers(canvas: Canvas, overlay: MipOverlay, frame: int) -> None:
    """Write numbers and reference letters with a white edge, and a leader where they stand off."""
    owners, labels = _place(overlay, frame, None)
    for owner, label in zip(owners, labels, strict=True):
        shadow = overlay.shadows[owner]
        if not shadow.frames[frame] or not math.isfinite(label.x):
            continue
        colour = _STYLES[shadow.kind]["stroke"]
        with _link(canvas, shadow):
            if label.leader:
                canvas.add("line", x1=label.x, y1=label.y, x2=label.from_x, y2=label.from_y, stroke=colour,
                           stroke_width=0.7, stroke_opacity=0.7)  # fmt: skip
            canvas.add(
                "text", text=shadow.text, x=label.x, y=label.y + 4, font_size=12, font_weight=700, text_anchor="middle",
                fill=INK if shadow.kind == "lesion" else colour, stroke="#FFFFFF", stroke_width=3, paint_order="stroke",
                class_=f"number-{shadow.kind}",
            )  # fmt: skip


def region_tile_centre(region: Region, preferred: Sequence[float] | None) -> tuple[float, float, float] | None:
    """LPS point a tile is centred on: the preferred one, else the centroid; None for an empty region."""
    if preferred is not None and all(math.isfinite(v) for v in preferred):
        return (float(preferred[0]), float(preferred[1]), float(preferred[2]))
    if region.voxels == 0:
        return None
    x, y, z = region.centroid_mm()
    return (float(x), float(y), float(z))


def scale_note(overlay: MipOverlay) -> str:
    """Pixel size and window in words."""
    low, high = overlay.mip.window
    return f"SUV {short(low)} to {short(high)}, pixel {short(overlay.mip.spacing_mm, 1)} mm"
