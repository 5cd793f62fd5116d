"""Liver and spleen on CT: homogeneous soft tissue under the right lung, and hot soft tissue under the left one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusin.imaging.volume import BoolArray, FloatArray
from fusin.quantification.placement_anatomy import Anatomy, FloatImage, smooth_mm, voxels_of
from fusin.quantification.placement_criteria import Candidate, Criterion, ramp
from fusin.quantification.reference_search import QuietPlace, eroded, quiet_place, shape_offsets
from fusin.quantification.references import reference_shape

__all__ = ["Side", "find_liver", "find_spleen", "liver_level", "sides_of_liver"]

SOFT_HU = (-20.0, 220.0)
LIVER_DEPTH_MM = 150.0
SAME_TISSUE_HU = 30.0
LIVER_MIN_ML = 450.0
LIVER_MARGIN_MM = 5.0
SPLEEN_MARGIN_MM = 3.0
SPLEEN_REACH_MM = 45.0
"""Largest distance of the spleen's reference from the left lung: the kidney lies deeper."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Side:
    """Homogeneous soft tissue under one lung.

    Attributes
    ----------
    tissue : its voxels
    bulk_ml : volume of the part in which a 3 cm sphere fits
    hu : its typical HU
    """

    tissue: BoolArray
    bulk_ml: float
    hu: float


def sides_of_liver(anatomy: Anatomy) -> tuple[Side, Side] | None:
    """Homogeneous tissue below the right and the left lung, or None without lungs or diaphragm."""
    frame = anatomy.frame
    if anatomy.spine is None or anatomy.dome is None or anatomy.recess is None:
        return None
    calm = smooth_mm(frame.ct, (4.0, 3.0, 3.0), frame)
    return _side(anatomy, calm, left=False), _side(anatomy, calm, left=True)


def liver_level(anatomy: Anatomy, sides: tuple[Side, Side] | None) -> float | None:
    """Median PET of the tissue under the right lung, 1 cm inside its edges; None without counts there."""
    if sides is None:
        return None
    inner = eroded(sides[0].tissue, 10.0, anatomy.frame.spacing)
    level = float(np.median(anatomy.frame.pet[inner])) if inner.any() else 0.0
    return level if level > 0.0 else None


def find_liver(anatomy: Anatomy, sides: tuple[Side, Side] | None) -> Candidate | str:
    """Find the place for the liver sphere, or say in one sentence why there is none."""
    if sides is None or anatomy.dome is None:
        return "the right lung's base and the diaphragm are not wholly in the field of view"
    frame = anatomy.frame
    right, left = sides
    volume = float(right.tissue.sum()) * frame.grid.voxel_volume_ml
    if volume < LIVER_MIN_ML:
        return f"only {volume:.0f} mL of homogeneous soft tissue lie under the right lung"
    shape = reference_shape("liver")
    inner = eroded(right.tissue, LIVER_MARGIN_MM, frame.spacing)
    deep = eroded(right.tissue, LIVER_MARGIN_MM + shape.diameter_mm / 2.0, frame.spacing)
    if not deep.any():
        return "no 3 cm sphere fits into the tissue under the right lung with 5 mm to its edges"
    # The right lobe: the rightmost three fifths of the deep tissue, half-way between dome and lower edge.
    z, _, x = np.nonzero(deep)
    lobe = deep & (np.arange(deep.shape[2]) <= np.quantile(x, 0.6))[None, None, :]
    _, y, x = np.nonzero(lobe)
    ideal = (0.5 * (z.min() + z.max()), float(np.median(y)), float(np.median(x)))
    place = quiet_place(frame.pet, inner, shape_offsets(shape, frame.grid), ideal, frame.spacing, centres_in=lobe)
    if place is None:
        return "the PET holds no counts in the tissue under the right lung"
    ball = _ball_ct(frame.ct, place, shape_offsets(shape, frame.grid))
    ratio = left.bulk_ml / right.bulk_ml if right.bulk_ml > 0.0 else 9.0
    edge = 0.5 * (z.max() - z.min()) * frame.spacing[0]
    criteria = (
        Criterion(
            "volume", ramp(volume, LIVER_MIN_ML, 900.0), f"{volume:.0f} mL of homogeneous tissue at {right.hu:.0f} HU"
        ),
        Criterion("density", ramp(right.hu, -10.0, 25.0), f"{right.hu:.0f} HU"),
        Criterion("right-sided", ramp(ratio, 1.1, 0.7), f"{ratio:.2f} times as much such tissue under the left lung"),
        Criterion("even-on-ct", ramp(ball - right.hu, 40.0, 15.0), f"CT of the sphere {ball:.0f} HU"),
        Criterion("even-on-pet", ramp(place.cov, 0.45, 0.25), f"PET varies by {100 * place.cov:.0f} %"),
        Criterion(
            "typical-on-pet",
            ramp(abs(place.mean / place.typical - 1.0), 0.3, 0.12),
            f"PET {place.mean:.2f} against {place.typical:.2f} over {place.centres} other places",
        ),
        Criterion("height", ramp(edge, 5.0, 15.0), f"{edge:.0f} mm from the upper and lower ends of the deep part"),
    )
    px, py, pz = (float(v) for v in frame.to_mm(place.index))
    sentence = "right liver lobe: homogeneous soft tissue under the right diaphragm, quiet on PET, 5 mm from its edges"
    return Candidate(kind="liver", centre_mm=(px, py, pz), criteria=criteria, sentence=sentence)


def find_spleen(anatomy: Anatomy, sides: tuple[Side, Side] | None) -> Candidate | str:
    """Find the place for the spleen sphere, or say in one sentence why there is none."""
    spine, lung, dome = anatomy.spine, anatomy.lung_left, anatomy.dome
    if sides is None or spine is None or lung is None or dome is None:
        return "the left lung's base and the diaphragm are not wholly in the field of view"
    frame = anatomy.frame
    level = liver_level(anatomy, sides)
    if level is None or anatomy.recess is None:
        return "without a liver to compare with, a spleen cannot be told from stomach or bowel"
    dz, _, dx = frame.spacing
    low, high = max(0, dome - round(140.0 / dz)), min(lung.shape[0], dome + round(20.0 / dz))
    box = slice(low, high)
    column = np.nan_to_num(spine[box, 1], nan=float(np.nanmean(spine[:, 1])))
    zone = _spleen_zone(anatomy, spine, lung, box)
    if not zone.any():
        return "no soft tissue lies under the left lung beside and behind the stomach"
    pet = np.ascontiguousarray(frame.pet[box])
    peak = float(np.quantile(pet[zone], 0.97))
    hot = _largest_hot(zone & (pet > 0.6 * peak), frame.spacing)
    volume = float(hot.sum()) * frame.grid.voxel_volume_ml
    if volume < 20.0:
        return "no hot soft tissue of the size of a spleen lies under the left lung"
    shape = reference_shape("spleen")
    offsets = shape_offsets(shape, frame.grid)
    inner = eroded(hot, SPLEEN_MARGIN_MM, frame.spacing)
    if not inner.any():
        return "no 2 cm sphere fits into the hot tissue under the left lung"
    z, y, x = np.nonzero(inner)
    # Lateral and high within the tissue: away from the kidney, which lies medial and low.
    ideal = (float(np.quantile(z, 0.6)), float(np.median(y)), float(np.quantile(x, 0.6)))
    place = quiet_place(pet, inner, offsets, ideal, frame.spacing)
    if place is None:
        return "no 2 cm sphere fits into the hot tissue under the left lung"
    at = (place.index[0] + low, place.index[1], place.index[2])
    aside = (place.index[2] - float(column[place.index[0]])) * dx
    above = (at[0] - anatomy.recess) * dz
    ratio = place.mean / level
    ball = _ball_ct(frame.ct[box], place, offsets)
    criteria = (
        Criterion("hotter-than-liver", ramp(ratio, 1.15, 1.6), f"{ratio:.1f} times the liver"),
        Criterion("height", ramp(above, -40.0, -15.0), f"{above:.0f} mm above the lowest lung"),
        Criterion("lateral", ramp(aside, 60.0, 75.0), f"{aside:.0f} mm left of the spine"),
        Criterion("volume", min(ramp(volume, 20.0, 60.0), 1.0), f"{volume:.0f} mL of hot soft tissue"),
        Criterion(
            "soft-tissue", min(ramp(ball, 0.0, 25.0), ramp(ball, 260.0, 200.0)), f"CT of the sphere {ball:.0f} HU"
        ),
        Criterion("even-on-pet", ramp(place.cov, 0.45, 0.25), f"PET varies by {100 * place.cov:.0f} %"),
        Criterion(
            "liver-on-the-right", ramp(_ratio(sides), 1.1, 0.7), f"{_ratio(sides):.2f} times the liver side's bulk"
        ),
    )
    px, py, pz = (float(v) for v in frame.to_mm(at))
    sentence = "spleen: hot soft tissue under the left lung, lateral and behind the stomach"
    return Candidate(kind="spleen", centre_mm=(px, py, pz), criteria=criteria, sentence=sentence)


def _spleen_zone(anatomy: Anatomy, spine: FloatArray, lung: BoolArray, box: slice) -> BoolArray:
    """Soft tissue close to the left lung, beside the spine and not far in front of it."""
    from scipy import ndimage as ndi

    frame = anatomy.frame
    _, dy, dx = frame.spacing
    calm = smooth_mm(frame.ct[box], (3.0, 2.0, 2.0), frame)
    y0, x0 = (np.nan_to_num(spine[box, a], nan=float(np.nanmean(spine[:, a]))) for a in (0, 1))
    rows = (np.arange(lung.shape[1])[None, :, None] - y0[:, None, None]) * dy
    cols = (np.arange(lung.shape[2])[None, None, :] - x0[:, None, None]) * dx
    # The left half alone: a distance transform of the whole trunk would take most of the time.
    first = max(0, int(x0.min()))
    near_lung = np.zeros(calm.shape, dtype=bool)
    distance = ndi.distance_transform_edt(~lung[box, :, first:], sampling=frame.spacing)
    near_lung[:, :, first:] = distance <= SPLEEN_REACH_MM
    zone: BoolArray = (calm > 10.0) & (calm < SOFT_HU[1]) & near_lung & (cols > 45.0) & (rows > -65.0)
    return zone


def _ratio(sides: tuple[Side, Side]) -> float:
    """Bulk under the left lung over that under the right one."""
    right, left = sides
    return left.bulk_ml / right.bulk_ml if right.bulk_ml > 0.0 else 9.0


def _side(anatomy: Anatomy, calm: FloatImage, *, left: bool) -> Side:
    """Homogeneous soft tissue of one side, around its most frequent HU."""
    from scipy import ndimage as ndi

    from fusin.quantification.placement_anatomy import largest

    frame, spine, dome = anatomy.frame, anatomy.spine, anatomy.dome
    assert spine is not None
    assert dome is not None
    dz, _, dx = frame.spacing
    low = max(0, dome - round(LIVER_DEPTH_MM / dz))
    box = slice(low, dome + 1)
    known = np.flatnonzero(np.isfinite(spine[:, 1]))
    column = np.interp(np.arange(low, dome + 1), known, spine[known, 1])
    aside = (np.arange(calm.shape[2])[None, None, :] - column[:, None, None]) * dx
    half = anatomy.body[box] & ((aside > 10.0) if left else (aside < -10.0))
    soft = half & (calm[box] > SOFT_HU[0]) & (calm[box] < SOFT_HU[1])
    # Muscle of the wall is soft tissue as well; 15 mm of erosion leaves organs.
    deep = eroded(soft, 15.0, frame.spacing)
    empty = np.zeros_like(frame.ct, dtype=bool)
    if np.count_nonzero(deep) < voxels_of(20.0, frame):
        return Side(tissue=empty, bulk_ml=0.0, hu=float("nan"))
    counts, edges = np.histogram(calm[box][deep], bins=np.arange(SOFT_HU[0], SOFT_HU[1] + 5.0, 5.0))
    smooth = np.convolve(counts, [1.0, 2.0, 3.0, 2.0, 1.0], mode="same")
    hu = float(edges[int(np.argmax(smooth))] + 2.5)
    same = soft & (np.abs(calm[box] - hu) < SAME_TISSUE_HU)
    core = ndi.binary_opening(same, ndi.generate_binary_structure(3, 1), iterations=2)
    tissue = empty
    tissue[box] = largest(core)
    bulk = float(eroded(tissue[box], 17.0, frame.spacing).sum()) * frame.grid.voxel_volume_ml
    return Side(tissue=tissue, bulk_ml=bulk, hu=hu)


def _largest_hot(mask: BoolArray, spacing: tuple[float, float, float]) -> BoolArray:
    """Largest component that survives an erosion of 4 mm, grown back within the mask."""
    from scipy import ndimage as ndi

    from fusin.quantification.placement_anatomy import largest

    core = largest(eroded(mask, 4.0, spacing))
    if not core.any():
        return core
    # Six voxels hold the 5 mm that the component may grow back, at every spacing of the working grid.
    box = ndi.find_objects(core.view(np.uint8))[0]
    wide = tuple(slice(max(0, s.start - 6), s.stop + 6) for s in box)
    out = np.zeros_like(mask)
    out[wide] = (ndi.distance_transform_edt(~core[wide], sampling=spacing) <= 5.0) & mask[wide]
    return out


def _ball_ct(ct: FloatImage, place: QuietPlace, offsets: NDArray[np.int64]) -> float:
    """Mean CT of the shape at a place."""
    index = offsets + np.array(place.index)
    return float(ct[index[:, 0], index[:, 1], index[:, 2]].mean())
