"""Organs whose uptake is physiological, from labels: what the search for lesions sets aside."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib import resources

import numpy as np

from fusin.imaging.volume import Region

__all__ = ["organ_exclusions", "with_renal_pelvis"]


@cache
def _organs() -> dict[str, list[str]]:
    text = resources.files("fusin.quantification").joinpath("physiological_labels.toml").read_text(encoding="utf-8")
    found: dict[str, list[str]] = tomllib.loads(text)["organs"]
    return found


def organ_exclusions(labels: Sequence[Region], *, keep_adrenals: bool = False) -> tuple[Region, ...]:
    """Labels that are set aside, by the list in ``physiological_labels.toml``.

    Parameters
    ----------
    labels : organ labels by TotalSegmentator's names
    keep_adrenals : leave the adrenals in the search, where they are what is asked about
    """
    names = set(_organs()["always"])
    if not keep_adrenals:
        names |= set(_organs()["adrenals"])
    chosen = [region for region in labels if region.name.lower() in names and region.voxels]
    return tuple(with_renal_pelvis(region) if region.name.lower().startswith("kidney") else region for region in chosen)


def with_renal_pelvis(kidney: Region) -> Region:
    """Kidney label filled to its convex hull, so that urine in the renal pelvis belongs to it.

    Labels of the kidney follow the parenchyma; the excreted tracer stands in the hollow at its hilum.
    """
    from scipy.spatial import Delaunay, QhullError

    index = np.argwhere(kidney.crop)
    try:
        hull = Delaunay(index[_outermost(kidney.crop)])
    except (QhullError, ValueError):
        # A label of one plane or line has no hull; its voxels are all that is known.
        return kidney
    box = np.indices(kidney.crop.shape).reshape(3, -1).T
    filled = (hull.find_simplex(box) >= 0).reshape(kidney.crop.shape) | kidney.crop
    return Region(
        name=kidney.name,
        grid=kidney.grid,
        start=kidney.start,
        crop=filled,
        source=kidney.source,
        label=kidney.label,
        attributes={**kidney.attributes, "filled": "convex hull, with the renal pelvis"},
    )


def _outermost(
    crop: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Which voxels (in C order) end a run along the columns; the hull of the others lies inside theirs."""
    before = np.zeros_like(crop)
    after = np.zeros_like(crop)
    before[..., 1:], after[..., :-1] = crop[..., :-1], crop[..., 1:]
    return (~before | ~after)[crop]
