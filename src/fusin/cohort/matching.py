"""Which lesion of one scan is which of another: overlap and centroid distance, one to one, with a review table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fusin.errors import InputError, InvalidValue, MissingValue
from fusin.imaging.volume import Grid, Region
from fusin.provenance import Notice, NoticeLog
from fusin.stats.checks import FloatArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LesionPlace", "Match", "Matching", "match_lesions", "place_of"]

_RIGID_TOLERANCE = 1e-3  # rotation entries of a registration written with four decimals
_CLOSE_CALL = 0.8  # a rival of 80 % of the chosen score is worth a look


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LesionPlace:
    """Where a lesion lies.

    Attributes
    ----------
    name : identifier in its scan
    centroid_mm : (3,) LPS millimetres in the frame of its own scan
    volume_ml : tumour volume, None when unknown
    region : its voxels, None when only the centroid is known
    """

    name: str
    centroid_mm: tuple[float, float, float]
    volume_ml: float | None = None
    region: Region | None = None


def place_of(region: Region) -> LesionPlace:
    """The place of a drawn lesion.

    Raises
    ------
    InputError
        For an empty region.
    """
    if not region.voxels:
        raise InputError(region.name, "voxels", 0, "a lesion of at least one voxel")
    x, y, z = (float(v) for v in region.centroid_mm())
    return LesionPlace(name=region.name, centroid_mm=(x, y, z), volume_ml=region.volume_ml, region=region)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One row of the review table.

    Attributes
    ----------
    first, second : names; None on the side where nothing matched
    dice, iou : overlap after alignment, None without voxels on both sides
    distance_mm : between the centroids after alignment
    score : 0 to 2, Dice + closeness, by which the assignment was made
    review : why a person should look, empty when clear
    """

    first: str | None
    second: str | None
    dice: float | None = None
    iou: float | None = None
    distance_mm: float | None = None
    score: float | None = None
    review: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """Lesions of two scans side by side; unmatched ones are kept.

    Attributes
    ----------
    rows : matched pairs, then the rest of the first and of the second scan
    max_distance_mm, min_dice : rule of the match
    """

    rows: tuple[Match, ...]
    max_distance_mm: float
    min_dice: float
    notices: tuple[Notice, ...] = ()

    @property
    def pairs(self) -> tuple[Match, ...]:
        """Rows with a lesion on both sides."""
        return tuple(r for r in self.rows if r.first is not None and r.second is not None)

    def to_table(self) -> pd.DataFrame:
        """The review table."""
        import pandas as pd

        return pd.DataFrame([r.to_json() for r in self.rows], columns=list(Match.__slots__))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "rule": {"max_distance_mm": self.max_distance_mm, "min_dice": self.min_dice},
            "matches": [r.to_json() for r in self.rows],
            "notices": [n.to_json() for n in self.notices],
        }


def match_lesions(
    first: Sequence[LesionPlace],
    second: Sequence[LesionPlace],
    log: NoticeLog,
    *,
    alignment: ArrayLike | None = None,
    max_distance_mm: float = 15.0,
    min_dice: float = 0.1,
) -> Matching:
    """Assign lesions one to one.

    A pair is possible when it overlaps by ``min_dice`` or its centroids lie within ``max_distance_mm``. Its score is
    Dice + max(0, 1 - distance / max_distance_mm); the assignment has the largest sum of scores
    (``scipy.optimize.linear_sum_assignment``). The rule is project-defined.

    Parameters
    ----------
    first, second : lesions of the two scans; overlap is used where both have voxels
    log : receives notices
    alignment : (4, 4) rigid transform from LPS of the second scan to LPS of the first; None says that both share one frame
    max_distance_mm : largest distance of the centroids of a pair that does not overlap
    min_dice : smallest overlap of a pair further apart

    Returns
    -------
    Matching
        A row asks for review when a rival was nearly as good, or when a lesion without a partner overlaps one that has
        another (split or merged lesions).

    Raises
    ------
    InvalidValue
        For a transform that is not rigid, or limits outside their range.
    MissingValue
        When no transform is given and the frames of reference differ.
    InputError
        For two lesions of one name in a scan.
    """
    what = "lesion matching"
    if not max_distance_mm > 0 or not 0 < min_dice <= 1:
        raise InvalidValue(what, f"max_distance_mm {max_distance_mm:g}, min_dice {min_dice:g}",
                           "a distance above 0 and a Dice in (0, 1]")  # fmt: skip
    for side in (first, second):
        names = [p.name for p in side]
        if len(set(names)) != len(names):
            raise InputError(what, "lesion", next(n for n in names if names.count(n) > 1), "each name once in a scan")
    transform = _rigid(alignment)
    if alignment is None:
        _require_one_frame(first, second)
    distance = _distances(first, second, transform)
    dice, iou = _overlaps(first, second, transform)
    score = np.nan_to_num(dice) + np.maximum(0.0, 1.0 - distance / max_distance_mm)
    score[~((distance <= max_distance_mm) | (np.nan_to_num(dice) >= min_dice))] = 0.0
    rows = _rows(first, second, _Scores(distance=distance, dice=dice, iou=iou, score=score))
    doubtful = sum(bool(r.review) for r in rows)
    if doubtful:
        log.warning(
            "MATCH_NEEDS_REVIEW", f"{doubtful} of {len(rows)} rows of the lesion matching need a look", where=what
        )
    return Matching(rows=tuple(rows), max_distance_mm=max_distance_mm, min_dice=min_dice, notices=log.notices)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Scores:
    """(first, second) arrays."""

    distance: FloatArray
    dice: FloatArray
    iou: FloatArray
    score: FloatArray


def _rigid(alignment: ArrayLike | None) -> FloatArray:
    if alignment is None:
        return np.eye(4)
    matrix = np.asarray(alignment, dtype=np.float64)
    needed = "a 4x4 rigid transform in LPS millimetres"
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise InvalidValue("lesion matching", f"an alignment of shape {matrix.shape}", needed, "NOT_RIGID")
    rotation = matrix[:3, :3]
    orthogonal = np.allclose(rotation @ rotation.T, np.eye(3), atol=_RIGID_TOLERANCE)
    if not orthogonal or np.linalg.det(rotation) < 0 or not np.allclose(matrix[3], [0, 0, 0, 1], atol=1e-9):
        raise InvalidValue("lesion matching", "an alignment that scales, shears or mirrors", needed, "NOT_RIGID")
    return matrix


def _require_one_frame(first: Sequence[LesionPlace], second: Sequence[LesionPlace]) -> None:
    frames = [{p.region.grid.frame_of_reference_uid for p in side if p.region} - {""} for side in (first, second)]
    if frames[0] and frames[1] and frames[0] != frames[1]:
        raise MissingValue("lesion matching", "the scans have different frames of reference", "a rigid alignment",
                           "NO_ALIGNMENT")  # fmt: skip


def _distances(first: Sequence[LesionPlace], second: Sequence[LesionPlace], transform: FloatArray) -> FloatArray:
    one = np.array([p.centroid_mm for p in first], dtype=np.float64).reshape(-1, 3)
    two = np.array([p.centroid_mm for p in second], dtype=np.float64).reshape(-1, 3)
    two = two @ transform[:3, :3].T + transform[:3, 3]
    apart: FloatArray = np.linalg.norm(one[:, None] - two[None], axis=2)
    return apart


def _overlaps(
    first: Sequence[LesionPlace], second: Sequence[LesionPlace], transform: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Dice and intersection over union by volume, NaN where one side has no voxels."""
    dice = np.full((len(first), len(second)), np.nan)
    iou = np.full_like(dice, np.nan)
    for i, a in enumerate(first):
        if a.region is None:
            continue
        for j, b in enumerate(second):
            if b.region is None:
                continue
            shared = _shared_ml(a.region, b.region, transform)
            total = a.region.volume_ml + b.region.volume_ml
            dice[i, j] = 2.0 * shared / total
            iou[i, j] = shared / (total - shared)
    return dice, iou


def _shared_ml(a: Region, b: Region, transform: FloatArray) -> float:
    """Common volume: the finer region's voxel centres that fall into the other's voxels."""
    # The coarser grid would miss or count double; the centres of the finer one sample the overlap best.
    backwards = b.grid.voxel_volume_ml < a.grid.voxel_volume_ml
    if backwards:
        a, b, transform = b, a, np.asarray(np.linalg.inv(transform), dtype=np.float64)
    if not _boxes_touch(a, b, transform):
        return 0.0
    points = a.grid.to_mm(a.indices()[:, ::-1])
    inverse = np.linalg.inv(transform)
    index = b.grid.to_index(points @ inverse[:3, :3].T + inverse[:3, 3])
    # Half-way points of equal grids sit at .5 within rounding; the nudge keeps both sides of such a pair alike.
    voxel = np.floor(index[:, ::-1] + 0.5 + 1e-6).astype(np.int64) - np.array(b.start)
    inside = ((voxel >= 0) & (voxel < np.array(b.crop.shape))).all(axis=1)
    hits = int(np.count_nonzero(b.crop[tuple(voxel[inside].T)]))
    return hits * a.grid.voxel_volume_ml


def _boxes_touch(a: Region, b: Region, transform: FloatArray) -> bool:
    low_a, high_a = _box_mm(a, np.eye(4))
    low_b, high_b = _box_mm(b, transform)
    return bool((low_a <= high_b).all() and (low_b <= high_a).all())


def _box_mm(region: Region, transform: FloatArray) -> tuple[FloatArray, FloatArray]:
    grid: Grid = region.grid
    start = np.array(region.start) - 0.5
    ends = np.array([start, start + region.crop.shape])
    corners = np.array(np.meshgrid(*ends.T, indexing="ij")).reshape(3, -1).T
    points = grid.to_mm(corners[:, ::-1]) @ transform[:3, :3].T + transform[:3, 3]
    return points.min(axis=0), points.max(axis=0)


def _rows(first: Sequence[LesionPlace], second: Sequence[LesionPlace], s: _Scores) -> list[Match]:
    from scipy.optimize import linear_sum_assignment

    chosen = {int(i): int(j) for i, j in zip(*linear_sum_assignment(-s.score), strict=True) if s.score[i, j] > 0}
    rows = []
    for i, j in chosen.items():
        rivals = max(np.delete(s.score[i], j).max(initial=0.0), np.delete(s.score[:, j], i).max(initial=0.0))
        close = rivals >= _CLOSE_CALL * s.score[i, j]
        known = not np.isnan(s.dice[i, j])
        rows.append(
            Match(
                first=first[i].name,
                second=second[j].name,
                dice=float(s.dice[i, j]) if known else None,
                iou=float(s.iou[i, j]) if known else None,
                distance_mm=float(s.distance[i, j]),
                score=float(s.score[i, j]),
                review=f"another pair scores {rivals:.2f}" if close else "",
            )
        )
    partners = {j: i for i, j in chosen.items()}
    for i, place in enumerate(first):
        if i not in chosen:
            rows.append(Match(first=place.name, second=None, review=_shares_with(s.dice[i], second, partners, first)))
    for j, place in enumerate(second):
        if j not in partners:
            rows.append(Match(first=None, second=place.name, review=_shares_with(s.dice[:, j], first, chosen, second)))
    return rows


def _shares_with(
    dice: FloatArray, others: Sequence[LesionPlace], partners: dict[int, int], own: Sequence[LesionPlace]
) -> str:
    """Sentence when a lesion without a partner overlaps one that has another."""
    overlap = np.nan_to_num(dice)
    if not overlap.size or overlap.max() <= 0:
        return ""
    other = int(overlap.argmax())
    taken = f", which is matched with {own[partners[other]].name}" if other in partners else ""
    return f"overlaps {others[other].name} (Dice {overlap[other]:.2f}){taken}"
