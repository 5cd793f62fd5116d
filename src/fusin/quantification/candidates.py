"""Whole-body lesion candidates: threshold, components, split, physiological exclusion, metrics, rank.

A candidate is a proposal for a reader, never a diagnosis. The steps, all on foreground voxels only:

1. Voxels at or above the threshold, 26-connected components, those below the minimum size dropped.
2. Each component is flooded from its maxima. Two basins stay apart when the lower maximum stands out from their saddle
   by ``prominence`` (relative) and the maxima lie at least ``min_distance_mm`` apart; pieces below the minimum size
   join the neighbour behind their highest saddle, so splitting throws no volume away.
3. Exclusions (organ labels, user boxes) take part in the flooding: a maximum inside an exclusion never joins one
   outside, and a maximum outside joins the organ only when it stands out by less than ``organ_prominence``
   (``prominence`` within ``spill_out_mm`` of the organ). Spill-out falls off steadily and so has no maximum of its own:
   it goes to the organ. A lesion that touches the organ has one: it stays.
4. A piece is physiological when its maximum lies inside an exclusion, or when at least ``hot_fraction`` of its hot part
   (voxels at half of its maximum or more) does, as happens when a mask is shifted. From any other piece the voxels
   inside exclusions are removed; the part connected to the hottest voxel left is the candidate if it is large enough.
   A lesion that is colder than the organ it touches may have no maximum of its own and is then set aside with it; what
   lies further than ``spill_out_mm`` from the organ cannot be spill-out and is named by a warning.
5. Metrics, ratios, rank by SUVpeak.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.imaging.volume import Grid, Region, Volume
from fusin.provenance import NoticeLog, jsonable
from fusin.quantification.components import label_components
from fusin.quantification.lesion_ratios import burden, tbrs_for
from fusin.quantification.lesions import Lesion
from fusin.quantification.metrics import measure_region
from fusin.quantification.morphology import axes_of, dilate, region_from_indices, values_of
from fusin.quantification.references import ReferenceRegion
from fusin.quantification.thresholds import Threshold

__all__ = [
    "CandidateResult",
    "CandidateSearch",
    "box_region",
    "burden",
    "find_candidates",
    "label_components",
    "lesion_identity",
    "tbrs_for",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateSearch:
    """Parameters of the search; see the module's text for the rules.

    Attributes
    ----------
    min_volume_ml, min_voxels : a candidate has at least both
    split : whether touching lesions are split
    prominence : share by which the lower of two maxima must exceed their saddle to be a lesion of its own
    min_distance_mm : maxima closer than this are one lesion
    spill_out_mm : rim around an exclusion in which a maximum must stand out by ``prominence``
    organ_prominence : share by which a maximum beyond the rim must exceed its saddle to a hotter organ
    hot_fraction : share of a piece's hot part inside exclusions from which on it is physiological
    fwhm_mm : resolution of the image, for the error of means and the partial-volume notice
    """

    min_volume_ml: float = 0.3
    min_voxels: int = 3
    split: bool = True
    prominence: float = 0.1
    min_distance_mm: float = 10.0
    spill_out_mm: float = 5.0
    organ_prominence: float = 0.05
    hot_fraction: float = 0.5
    fwhm_mm: float = 6.0

    def __post_init__(self) -> None:
        for name in ("prominence", "organ_prominence", "hot_fraction"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError("candidate search", name, getattr(self, name), "a share above 0, at most 1")
        for name in ("min_volume_ml", "min_distance_mm", "spill_out_mm"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError("candidate search", name, getattr(self, name), "0 or more")
        if self.min_voxels < 1:
            raise InputError("candidate search", "min_voxels", self.min_voxels, "1 or more")

    def voxels_needed(self, grid: Grid) -> int:
        """Number of voxels that the minimum volume and the minimum count ask for."""
        return max(self.min_voxels, math.ceil(self.min_volume_ml / grid.voxel_volume_ml - 1e-9))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CandidateResult:
    """What a search found.

    Attributes
    ----------
    lesions : candidates by falling SUVpeak, numbered from 1
    physiological : pieces set aside, same order, each with the organ in ``site`` and the reason
    threshold, search : what was asked for
    components : number of connected components above the threshold, before any selection
    too_small : number of components and pieces that were dropped for their size
    """

    lesions: tuple[Lesion, ...]
    physiological: tuple[Lesion, ...]
    threshold: Threshold
    search: CandidateSearch
    components: int
    too_small: int


@dataclass(slots=True, eq=False)
class _Foreground:
    """Hot voxels of the components that are large enough: (n, 3) indices, (n,) values, (n,) exclusion numbers."""

    index: NDArray[np.int32]
    values: NDArray[Any]
    owner: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """A piece of a component: voxel indices, why, and the organ when it was set aside.

    ``beyond`` counts the voxels of a piece set aside that lie outside every exclusion and its spill-out rim.
    """

    index: NDArray[np.int32]
    reason: str
    organ: str = ""
    beyond: int = 0


def find_candidates(
    volume: Volume,
    threshold: Threshold,
    *,
    log: NoticeLog,
    exclusions: Sequence[Region] = (),
    references: Sequence[ReferenceRegion] = (),
    sites: Sequence[Region] = (),
    search: CandidateSearch | None = None,
) -> CandidateResult:
    """Find lesion candidates in a whole-body volume.

    Parameters
    ----------
    volume : SUV volume
    threshold : what counts as hot
    log : receives what was dropped and what is doubtful about each candidate
    exclusions : organs with physiological uptake, and user boxes (`box_region`), on the volume's grid; where two
        overlap the first one counts
    references : reference regions for the ratios
    sites : anatomical labels; the first one that holds a candidate's hottest voxel names its site
    search : parameters, defaults when None

    Raises
    ------
    InputError
        When an exclusion or a site lies on another grid, or a voxel is infinite.

    Notes
    -----
    The identity of a lesion is made from the position of its hottest voxel (`lesion_identity`). It survives a change
    of the threshold. Where lowering the threshold merges two lesions, the merged one carries the identity of the
    hotter; the other identity ends and comes back unchanged when they part again.
    """
    search = search or CandidateSearch()
    for region in (*exclusions, *sites):
        if region.grid is not volume.grid and not region.grid.matches(volume.grid):
            raise InputError(
                region.name, "grid", region.grid.shape, f"the volume's grid {volume.shape}; resample first"
            )
    foreground, components, dropped = _foreground(volume, threshold, exclusions, search)
    pieces, small = _pieces(volume.grid, foreground, exclusions, search)
    too_small = dropped + small
    if too_small:
        log.info(
            "COMPONENTS_TOO_SMALL",
            f"{too_small} of {components} connected regions above SUV {threshold.suv:.3g}, or parts of them, are below"
            f" {search.voxels_needed(volume.grid)} voxels ({search.min_volume_ml:g} mL) and are not reported",
            raw=too_small,
        )
    _doubt_exclusions(volume.grid, pieces, search, log)
    lesions = [_measured(volume, piece, references, sites, search) for piece in pieces]
    return CandidateResult(
        lesions=_ranked([found for found in lesions if found[0].status == "candidate"], "candidate", log),
        physiological=_ranked([found for found in lesions if found[0].status != "candidate"], "physiological", None),
        threshold=threshold,
        search=search,
        components=components,
        too_small=too_small,
    )


def box_region(grid: Grid, name: str, low_mm: Sequence[float], high_mm: Sequence[float]) -> Region:
    """Region of the voxels whose centre lies in a box along the patient axes (LPS millimetres).

    Raises
    ------
    InputError
        When a lower bound is not below its upper bound.
    """
    low, high = np.asarray(low_mm, np.float64), np.asarray(high_mm, np.float64)
    if low.shape != (3,) or high.shape != (3,) or not (low < high).all():
        raise InputError(
            name, "box", (tuple(low_mm), tuple(high_mm)), "three lower bounds below three upper bounds [mm]"
        )
    corners = np.array(np.meshgrid(*np.stack([low, high], axis=1))).reshape(3, -1).T
    index = grid.to_index(corners)[:, ::-1]
    first = np.clip(np.floor(index.min(axis=0)), 0, None).astype(int)
    last = np.minimum(np.ceil(index.max(axis=0)), np.array(grid.shape) - 1).astype(int)
    if (first > last).any():
        return region_from_indices(name, grid, np.empty((0, 3), np.intp), source="box")
    ranges = [np.arange(a, b + 1) for a, b in zip(first, last, strict=True)]
    voxels = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
    centre = grid.to_mm(voxels[:, ::-1])
    return region_from_indices(name, grid, voxels[((centre >= low) & (centre <= high)).all(axis=1)], source="box")


def lesion_identity(point_mm: Sequence[float]) -> str:
    """Identity from the LPS position of the hottest voxel, to 0.1 mm.

    Two lesions never share a voxel, so on any grid of 0.1 mm or coarser two identities never collide. Of several
    equally hot voxels the first in C order (slice, row, column) counts.
    """
    # Adding 0.0 turns -0.0 into 0.0.
    return "lps_" + "_".join(f"{round(float(v), 1) + 0.0:.1f}" for v in point_mm)


def _foreground(
    volume: Volume, threshold: Threshold, exclusions: Sequence[Region], search: CandidateSearch
) -> tuple[_Foreground, int, int]:
    """Hot voxels of large enough components, the number of components, and how many were dropped."""
    flat, labels, count = label_components(volume.values >= threshold.suv)
    keep = np.bincount(labels, minlength=count) >= search.voxels_needed(volume.grid)
    flat = flat[keep[labels]]
    index = np.stack(np.unravel_index(flat, volume.shape), axis=1).astype(np.int32)
    owner = np.zeros(len(index), dtype=np.int32)
    for number, region in enumerate(exclusions, start=1):
        owner[(owner == 0) & _inside(region, index)] = number
    if search.spill_out_mm > 0:
        for number, region in enumerate(exclusions, start=1):
            owner[(owner == 0) & _inside(dilate(region, search.spill_out_mm), index)] = -number
    values = volume.values[tuple(index.T)]
    if not np.isfinite(values).all():
        raise InputError("candidate search", "voxel values", "infinite", "finite SUVs (a voxel without a value is NaN)")
    return _Foreground(index, values, owner), count, int(np.count_nonzero(~keep))


def _inside(region: Region, index: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(n,) whether each voxel belongs to a region."""
    local = index - np.array(region.start, dtype=np.int32)
    inside = np.asarray(((local >= 0) & (local < np.array(region.crop.shape))).all(axis=1), dtype=np.bool_)
    inside[inside] = region.crop[tuple(local[inside].T)]
    return inside


def _basins(grid: Grid, found: _Foreground, search: CandidateSearch) -> NDArray[np.int32]:
    """(n,) position of the maximum that each hot voxel belongs to."""
    from fusin.quantification.segmentation_kernels import flood_basins, merge_small

    order = np.argsort(-found.values.astype(np.float64), kind="stable")
    lookup = np.zeros(grid.shape, dtype=np.int32)
    lookup[tuple(found.index.T)] = np.arange(1, len(found.index) + 1, dtype=np.int32)
    prominence = search.prominence if search.split else math.inf
    rules = np.array([prominence, search.min_distance_mm, search.organ_prominence, search.min_voxels], dtype=np.float64)
    basins: NDArray[np.int32] = flood_basins(
        found.values, found.index, order, lookup, axes_of(grid), found.owner, rules
    )
    sizes = np.bincount(basins)
    if (sizes[sizes > 0] < search.voxels_needed(grid)).any():
        merge_small(basins, found.index, order, lookup, found.owner, search.voxels_needed(grid))
    return basins


def _pieces(
    grid: Grid, found: _Foreground, exclusions: Sequence[Region], search: CandidateSearch
) -> tuple[list[_Piece], int]:
    """Candidates and physiological pieces, and the number of pieces that were too small."""
    if len(found.index) == 0:
        return [], 0
    basins = _basins(grid, found, search)
    order = np.argsort(basins, kind="stable")
    cuts = np.flatnonzero(np.diff(basins[order])) + 1
    needed = search.voxels_needed(grid)
    pieces: list[_Piece] = []
    small = 0
    for members in np.split(order, cuts):
        piece = _judged(found, members, int(basins[members[0]]), exclusions, search)
        if len(piece.index) >= needed:
            pieces.append(piece)
        else:
            small += 1
    return pieces, small


def _judged(
    found: _Foreground, members: NDArray[np.intp], top: int, exclusions: Sequence[Region], search: CandidateSearch
) -> _Piece:
    """Decide whether a piece is physiological, and cut the voxels of exclusions out of one that is not."""
    index, owner = found.index[members], found.owner[members]
    if found.owner[top] > 0:
        name = exclusions[found.owner[top] - 1].name
        return _Piece(index, f"its maximum lies in {name}", name, int(np.count_nonzero(owner == 0)))
    inside = owner > 0
    if not inside.any():
        return _Piece(index, "above the threshold" + _rim(found, top, exclusions))
    hot = owner[found.values[members] >= 0.5 * found.values[top]]
    share = np.count_nonzero(hot > 0) / hot.size
    if share >= search.hot_fraction:
        name = exclusions[int(np.bincount(hot[hot > 0]).argmax()) - 1].name
        reason = f"{100 * share:.0f} % of its hot part lies in {name}"
        return _Piece(index, reason, name, int(np.count_nonzero(owner == 0)))
    names = ", ".join(exclusions[n - 1].name for n in np.unique(owner[inside]))
    rest = _connected_to(index[~inside], found.index[top])
    cut = len(index) - len(rest)
    return _Piece(
        rest, f"above the threshold; {cut} voxels in or behind {names} removed" + _rim(found, top, exclusions)
    )


def _rim(found: _Foreground, top: int, exclusions: Sequence[Region]) -> str:
    """What to say of a maximum in the spill-out rim of an organ."""
    number = -int(found.owner[top])
    return f"; its maximum lies at the border of {exclusions[number - 1].name}" if number > 0 else ""


def _connected_to(index: NDArray[np.int32], start: NDArray[np.int32]) -> NDArray[np.int32]:
    """The voxels of a set that are 26-connected to one of them."""
    low = index.min(axis=0)
    mask = np.zeros(tuple(index.max(axis=0) - low + 1), dtype=bool)
    mask[tuple((index - low).T)] = True
    flat, labels, _ = label_components(mask, backend="scipy")
    at = int(np.searchsorted(flat, np.ravel_multi_index(tuple(int(v) for v in start - low), mask.shape)))
    kept = np.unravel_index(flat[labels == labels[at]], mask.shape)
    out: NDArray[np.int32] = (np.stack(kept, axis=1) + low).astype(np.int32)
    return out


def _doubt_exclusions(grid: Grid, pieces: Sequence[_Piece], search: CandidateSearch, log: NoticeLog) -> None:
    """Warn when a piece that was set aside reaches far beyond its organ: no spill-out does that."""
    for piece in pieces:
        if piece.beyond >= search.voxels_needed(grid):
            volume_ml = piece.beyond * grid.voxel_volume_ml
            log.warning(
                "EXCLUSION_EXCEEDED",
                f"{volume_ml:.1f} mL of the uptake set aside as {piece.organ} lie more than {search.spill_out_mm:g} mm"
                " outside every exclusion: look for a shifted mask, or for a lesion without a maximum of its own",
                where=piece.organ,
                raw=volume_ml,
            )


def _measured(
    volume: Volume,
    piece: _Piece,
    references: Sequence[ReferenceRegion],
    sites: Sequence[Region],
    search: CandidateSearch,
) -> tuple[Lesion, NoticeLog]:
    """A lesion without its rank, and the notices about it."""
    log = NoticeLog()
    order = np.lexsort(piece.index.T[::-1])
    region = region_from_indices("lesion", volume.grid, piece.index[order], source="candidates")
    metrics = measure_region(volume, region, log=log, fwhm_mm=search.fwhm_mm)
    hottest = piece.index[order][[int(np.argmax(values_of(region, volume)))]]
    site = piece.organ or next((label.name for label in sites if _inside(label, hottest)[0]), "")
    lesion = Lesion(
        number=0,
        identity=lesion_identity(volume.grid.to_mm(hottest[0, ::-1]).tolist()),
        region=region,
        metrics=metrics,
        tbrs=tbrs_for(metrics, region, references, log=log, fwhm_mm=search.fwhm_mm),
        site=site,
        status="physiological" if piece.organ else "candidate",
        reason=piece.reason,
    )
    return lesion, log


def _ranked(found: Sequence[tuple[Lesion, NoticeLog]], noun: str, log: NoticeLog | None) -> tuple[Lesion, ...]:
    """Number lesions by falling SUVpeak (then SUVmax, then identity) and hand on their notices under the final name."""

    def heat(item: tuple[Lesion, NoticeLog]) -> tuple[float, float, str]:
        peak, hottest = item[0].metrics.suv_peak, item[0].metrics.suv_max
        return math.inf if peak is None else -peak, math.inf if hottest is None else -hottest, item[0].identity

    order = sorted(found, key=heat)
    ranked = []
    for number, (lesion, notices) in enumerate(order, start=1):
        name = f"{noun} {number}"
        if log is not None:
            for notice in notices:
                log.add(replace(notice, where=name))
        ranked.append(
            replace(
                lesion,
                number=number,
                region=lesion.region.renamed(name),
                metrics=replace(lesion.metrics, name=name),
            )
        )
    return tuple(ranked)
