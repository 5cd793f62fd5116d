"""Places for the numbers beside the lesions, so that they cover neither each other nor a lesion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fusin.imaging.volume import FloatArray

__all__ = ["Label", "place_labels"]

_DIRECTIONS = np.array(
    [(1, -0.6), (1, 0.4), (-1, -0.6), (-1, 0.4), (0.3, -1), (0.3, 1), (1, -1.6), (-1, -1.6), (1, 1.6), (-1, 1.6)]
)
_DISTANCES = np.array([4.0, 12.0, 24.0, 40.0, 60.0])


@dataclass(frozen=True, slots=True)
class Label:
    """Middle of a text, the point on the outline's box that a leader starts from, and whether it needs a leader."""

    x: float
    y: float
    from_x: float
    from_y: float
    leader: bool


def place_labels(
    boxes: Sequence[tuple[float, float, float, float]],
    texts: Sequence[str],
    *,
    width: float,
    height: float,
    size: float = 11.0,
    avoid: Sequence[tuple[float, float, float, float]] = (),
    before: Sequence[Label] | None = None,
) -> list[Label]:
    """Place one text beside each box, first come first served.

    Parameters
    ----------
    boxes : (left, top, right, bottom) of what each text names
    texts : the texts
    width, height : of the picture; texts stay inside
    size : font size in the picture's units
    avoid : further boxes that are better left clear
    before : places on the previous frame of a film, kept where possible so that numbers do not jump
    """
    box = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    taken: list[FloatArray] = []
    placed = []
    for number, text in enumerate(texts):
        half = np.array([0.31 * size * len(text) + 1.0, 0.5 * size])
        middle = (box[number, :2] + box[number, 2:]) / 2
        reach = (box[number, 2:] - box[number, :2]) / 2
        offset = (reach + half) * np.clip(_DIRECTIONS, -1, 1)[None]
        far = _DISTANCES[:, None, None] * _DIRECTIONS[None] / np.hypot(*_DIRECTIONS.T)[None, :, None]
        spots = (middle + offset + far).reshape(-1, 2)
        frame = np.hstack([spots - half, spots + half])
        cost = np.repeat(_DISTANCES, len(_DIRECTIONS)) + 0.3 * np.tile(np.arange(len(_DIRECTIONS)), len(_DISTANCES))
        cost += 1e4 * ((frame[:, :2] < 0).any(axis=1) | (frame[:, 2] > width) | (frame[:, 3] > height))
        if taken:
            cost += 1e3 * _overlaps(frame, np.array(taken)).sum(axis=1)
        cost += 25.0 * _overlaps(frame, np.delete(box, number, axis=0)).sum(axis=1)
        if avoid:
            cost += 10.0 * _overlaps(frame, np.array(avoid, dtype=np.float64)).sum(axis=1)
        if before is not None:
            moved = np.hypot(*(spots - middle - _offset(before[number], middle, reach)).T)
            cost += 0.5 * moved
        best = int(np.argmin(cost))
        taken.append(frame[best])
        x, y = spots[best]
        edge = np.clip(spots[best], box[number, :2], box[number, 2:])
        gap = float(np.hypot(*(spots[best] - edge)))
        placed.append(Label(float(x), float(y), float(edge[0]), float(edge[1]), gap > half.sum() + 8.0))
    return placed


def _offset(label: Label, middle: FloatArray, reach: FloatArray) -> FloatArray:
    """Offset of the former place from the box's middle, measured from the former edge point."""
    step = np.array([label.x - label.from_x, label.y - label.from_y])
    out: FloatArray = step + np.sign(step) * reach
    return out


def _overlaps(frames: FloatArray, others: FloatArray) -> FloatArray:
    """(n, m) 1 where two boxes overlap, else 0."""
    a, b = frames[:, None], others[None]
    hit = (a[..., 0] < b[..., 2]) & (b[..., 0] < a[..., 2]) & (a[..., 1] < b[..., 3]) & (b[..., 1] < a[..., 3])
    return np.asarray(hit, dtype=np.float64)
