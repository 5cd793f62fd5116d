"""Small helpers that every reader of regions shares: trimming to the bounding box, unique names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.imaging.volume import Grid, Region
from fusin.provenance import NoticeLog

__all__ = ["region_from_crop", "regions_of_labels", "unique_region_names"]

_DENSE_LIMIT = 65_535
_MOST_LABELS = 4096


def region_from_crop(name: str, grid: Grid, start: Sequence[int], crop: NDArray[Any], **more: Any) -> Region:
    """Build a region from part of a mask, without ever making the full-size mask.

    Parameters
    ----------
    name : name of the region
    grid : the grid whose voxels are meant
    start : (slice, row, column) of the first voxel of ``crop``
    crop : (slices, rows, columns) part of a mask inside the grid; non-zero voxels belong to the region
    more : further fields of :class:`Region`

    Returns
    -------
    Region
        Trimmed to its bounding box.
    """
    part = np.asarray(crop) != 0
    box = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        hits = np.flatnonzero(part.any(axis=others))
        if hits.size == 0:
            return Region(name=name, grid=grid, start=(0, 0, 0), crop=np.zeros((0, 0, 0), bool), **more)
        box.append(slice(int(hits[0]), int(hits[-1]) + 1))
    first = (int(start[0]) + box[0].start, int(start[1]) + box[1].start, int(start[2]) + box[2].start)
    return Region(name=name, grid=grid, start=first, crop=part[tuple(box)].copy(), **more)


def unique_region_names(regions: Iterable[Region], log: NoticeLog) -> tuple[Region, ...]:
    """Give the second and later regions of one name a number, so that a name means one region.

    Parameters
    ----------
    regions : regions in the order of their file
    log : receives REGION_RENAMED for each changed name

    Returns
    -------
    tuple of Region
        Names that were unique are unchanged.
    """
    given = list(regions)
    taken = {region.name for region in given}
    seen: set[str] = set()
    out = []
    for region in given:
        name = region.name
        number = 2
        while name in seen or (name != region.name and name in taken):
            name = f"{region.name} ({number})"
            number += 1
        seen.add(name)
        if name != region.name:
            log.info(
                "REGION_RENAMED",
                f"another region is also called {region.name!r}; this one is called {name!r} here",
                where=region.source,
                raw=region.name,
                used=name,
            )
            out.append(region.renamed(name))
        else:
            out.append(region)
    return tuple(out)


def regions_of_labels(
    labels: NDArray[Any], grid: Grid, names: Mapping[int, str], *, source: str, start: Sequence[int] = (0, 0, 0)
) -> tuple[Region, ...]:
    """Split a label map into regions, without a full-size mask per label.

    Parameters
    ----------
    labels : (slices, rows, columns) whole numbers that are not negative; 0 is background
    grid : the grid whose voxels are meant
    names : name of each label number; numbers without a name are called ``label_7``
    source : file the labels came from
    start : (slice, row, column) of the first voxel of ``labels`` in ``grid``

    Returns
    -------
    tuple of Region
        In the order of the label numbers present; ``label`` is the number.

    Raises
    ------
    InputError
        When there are so many different numbers that it must be an image.
    """
    from scipy.ndimage import find_objects

    if labels.size == 0:
        return ()
    numbers: Any = range(1, int(labels.max()) + 1)
    dense = labels
    if labels.max() > _DENSE_LIMIT:
        # Consecutive numbers keep the list of boxes short whatever the label numbers are.
        numbers = np.unique(labels[labels > 0]).tolist()
        dense = np.where(labels > 0, np.searchsorted(numbers, labels) + 1, 0)
    present = [(number, box) for number, box in zip(numbers, find_objects(dense), strict=True) if box is not None]
    if len(present) > _MOST_LABELS:
        raise InputError(source, "values", f"{len(present)} different numbers", "a mask or label map, not an image")
    regions = []
    for number, box in present:
        first = [s.start + offset for s, offset in zip(box, start, strict=True)]
        name = names.get(number, f"label_{number}")
        regions.append(region_from_crop(name, grid, first, labels[box] == number, source=source, label=number))
    return tuple(regions)
