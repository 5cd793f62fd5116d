"""Marrow, muscle and brain on CT: lumbar vertebral body, paraspinal muscle, normal brain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusin.imaging.volume import BoolArray, FloatArray
from fusin.quantification.placement_anatomy import Anatomy, FloatImage, smooth_mm
from fusin.quantification.placement_criteria import Candidate, Criterion, ramp
from fusin.quantification.reference_search import eroded, quiet_place, shape_offsets
from fusin.quantification.references import reference_shape

__all__ = ["find_brain", "find_marrow", "find_muscle"]

CREST_TO_L3_MM = (5.0, 55.0)
"""Height above the iliac crests searched: Tuffier's line crosses L4 or the disc below it, L3 stands one level higher."""
MARROW_HU = (60.0, 420.0)
MARROW_SPREAD_HU = 70.0
MUSCLE_HU = (15.0, 110.0)
CREST_BELOW_LUNG_MM = (60.0, 220.0)


def find_marrow(anatomy: Anatomy) -> Candidate | str:
    """Find the place for the marrow sphere in the third or fourth lumbar vertebral body."""
    frame, spine, crest, recess = anatomy.frame, anatomy.spine, anatomy.crest, anatomy.recess
    if spine is None or recess is None or crest is None:
        return "lung bases and iliac crests are not both in the field of view, so that no lumbar level can be counted"
    dz, dy, dx = frame.spacing
    gap = (recess - crest) * dz
    low, high = crest + round(CREST_TO_L3_MM[0] / dz), crest + round(CREST_TO_L3_MM[1] / dz)
    if high >= spine.shape[0] or not np.isfinite(spine[low : high + 1]).all():
        return "the lumbar spine could not be followed above the iliac crests"
    box = slice(low, high + 1)
    calm = smooth_mm(frame.ct[box], (2.0, 2.0, 2.0), frame)
    rows = (np.arange(calm.shape[1])[None, :, None] - spine[box, 0, None, None]) * dy
    cols = (np.arange(calm.shape[2])[None, None, :] - spine[box, 1, None, None]) * dx
    near = (np.abs(cols) < 26.0) & (rows > -45.0) & (rows < 20.0)
    body = near & _filled_bone(calm, rows)
    shape = reference_shape("marrow")
    inside = body & (calm > MARROW_HU[0]) & (calm < MARROW_HU[1])
    core = eroded(inside, 6.0, frame.spacing)
    # End plates and discs differ from the trabecular bone of the same patient, whatever its density.
    usual = float(np.median(calm[core])) if core.any() else np.nan
    inner = eroded(inside & (np.abs(calm - usual) < MARROW_SPREAD_HU), 1.0, frame.spacing)
    z, y, x = np.nonzero(inner)
    if z.size == 0:
        return "no lumbar vertebral body wide enough for the sphere was found above the iliac crests"
    pet = np.ascontiguousarray(frame.pet[box])
    ideal = (float(np.median(z)), float(np.median(y)), float(np.median(x)))
    offsets = shape_offsets(shape, frame.grid)
    even = _even_on_ct(calm, inner, offsets)
    place = quiet_place(pet, inner, offsets, ideal, frame.spacing, usual=0.35, centres_in=even)
    if place is None:
        return "no lumbar vertebral body wide enough for the sphere was found above the iliac crests"
    k, j, i = place.index
    ball = _values(calm, place.index, offsets)
    above = (k + low - crest) * dz
    criteria = (
        Criterion(
            "level",
            min(ramp(gap, CREST_BELOW_LUNG_MM[0] - 20.0, CREST_BELOW_LUNG_MM[0]), ramp(gap, 260.0, 220.0)),
            f"the iliac crests lie {gap:.0f} mm below the lowest lung",
        ),
        Criterion("bone", min(ramp(ball.mean(), 60.0, 95.0), ramp(ball.mean(), 450.0, 350.0)), f"{ball.mean():.0f} HU"),
        Criterion("trabecular", ramp(float(ball.std()), 130.0, 60.0), f"CT varies by {ball.std():.0f} HU"),
        Criterion(
            "midline", ramp(abs(float(cols[k, 0, i])), 22.0, 12.0), f"{abs(float(cols[k, 0, i])):.0f} mm off the spine"
        ),
        Criterion(
            "in-front-of-canal",
            ramp(float(rows[k, j, 0]), 12.0, 2.0),
            f"{-float(rows[k, j, 0]):.0f} mm before the arch",
        ),
        Criterion("even-on-pet", ramp(place.cov, 0.5, 0.3), f"PET varies by {100 * place.cov:.0f} %"),
    )
    px, py, pz = (float(v) for v in frame.to_mm((k + low, j, i)))
    sentence = f"vertebral body {above:.0f} mm above the iliac crests, taken as L3 or L4 (not counted from the sacrum)"
    return Candidate(kind="marrow", centre_mm=(px, py, pz), criteria=criteria, sentence=sentence)


def find_muscle(anatomy: Anatomy, liver_level: float | None) -> Candidate | str:
    """Find the place for the muscle sphere beside the lumbar spine, in the erector of the back.

    Parameters
    ----------
    liver_level : PET of the liver; muscle is colder than it with every tracer known to us
    """
    frame, spine, crest, recess = anatomy.frame, anatomy.spine, anatomy.crest, anatomy.recess
    if spine is None or recess is None or crest is None:
        return "lung bases and iliac crests are not both in the field of view, so that no lumbar level can be counted"
    dz, dy, dx = frame.spacing
    box = slice(crest, min(recess, crest + round(90.0 / dz)))
    if not np.isfinite(spine[box]).all() or box.stop - box.start < 4:
        return "the lumbar spine could not be followed above the iliac crests"
    calm = smooth_mm(frame.ct[box], (3.0, 2.0, 2.0), frame)
    rows = (np.arange(calm.shape[1])[None, :, None] - spine[box, 0, None, None]) * dy
    cols = (np.arange(calm.shape[2])[None, None, :] - spine[box, 1, None, None]) * dx
    if liver_level is None:
        return "without a liver to compare with, muscle cannot be told from kidney"
    zone = (np.abs(cols) > 15.0) & (np.abs(cols) < 65.0) & (rows > 10.0) & (rows < 75.0)
    tissue = zone & anatomy.body[box] & (calm > MUSCLE_HU[0]) & (calm < MUSCLE_HU[1])
    shape = reference_shape("muscle")
    # The kidneys reach into this zone from the front; blurred over a voxel or two they are hotter than the liver.
    warm = smooth_mm(frame.pet[box], (3.0, 3.0, 3.0), frame)
    tissue &= warm < liver_level
    inner = eroded(tissue, 2.0, frame.spacing)
    if not inner.any():
        return "no muscle beside the lumbar spine is thick enough for the sphere"
    pet = np.ascontiguousarray(frame.pet[box])
    deepest = _deepest(inner, frame.spacing)
    place = quiet_place(pet, inner, shape_offsets(shape, frame.grid), deepest, frame.spacing, usual=0.35)
    if place is None:
        return "no muscle beside the lumbar spine is thick enough for the sphere"
    ball = _values(calm, place.index, shape_offsets(shape, frame.grid))
    ratio = place.mean / liver_level
    choice = place.centres * frame.grid.voxel_volume_ml
    criteria = (
        Criterion("colder-than-liver", ramp(ratio, 1.0, 0.8), f"{ratio:.2f} times the liver"),
        Criterion(
            "density", min(ramp(ball.mean(), 15.0, 30.0), ramp(ball.mean(), 120.0, 95.0)), f"{ball.mean():.0f} HU"
        ),
        Criterion("even-on-ct", ramp(float(ball.std()), 45.0, 20.0), f"CT varies by {ball.std():.0f} HU"),
        Criterion("even-on-pet", ramp(place.cov, 0.6, 0.35), f"PET varies by {100 * place.cov:.0f} %"),
        Criterion("choice", ramp(choice, 0.05, 0.5), f"{choice:.2f} mL of places to choose from"),
    )
    k, j, i = place.index
    px, py, pz = (float(v) for v in frame.to_mm((k + box.start, j, i)))
    side = "left" if float(cols[k, 0, i]) > 0 else "right"
    sentence = f"erector muscle of the back, {side}, beside the lumbar spine"
    return Candidate(kind="muscle", centre_mm=(px, py, pz), criteria=criteria, sentence=sentence)


def find_brain(anatomy: Anatomy) -> Candidate | str:
    """Find the place for the brain sphere, deep in a hemisphere's white matter."""
    frame, head = anatomy.frame, anatomy.head
    if head is None:
        return "no closed skull with at least 350 mL of brain is in the field of view"
    lungs = anatomy.lungs
    z, _, x = np.nonzero(head)
    if lungs is not None and z.min() < np.flatnonzero(lungs.any(axis=(1, 2)))[-1]:
        return "what looks like a skull does not lie above the lungs"
    dz = frame.spacing[0]
    shape = reference_shape("brain")
    inner = eroded(head, 10.0, frame.spacing)
    middle = float(np.median(x))
    # Above the middle the skull holds hemispheres only: no pituitary, no choroid plexus of the fourth ventricle.
    planes = np.arange(head.shape[0])[:, None, None] >= np.median(z)
    hemisphere = inner & planes & (np.abs(np.arange(head.shape[2]) - middle) * frame.spacing[2] > 2.0)[None, None, :]
    if not hemisphere.any():
        return "the upper half of the brain is not in the field of view"
    ideal = _deepest(hemisphere, frame.spacing)
    offsets = shape_offsets(shape, frame.grid)
    place = quiet_place(frame.pet, inner, offsets, ideal, frame.spacing, usual=0.4, centres_in=hemisphere)
    if place is None:
        return "no 3 cm sphere with counts fits into the upper brain"
    ball = _values(frame.ct, place.index, offsets)
    volume = float(head.sum()) * frame.grid.voxel_volume_ml
    height = (z.max() - z.min()) * dz
    criteria = (
        Criterion(
            "volume", min(ramp(volume, 300.0, 500.0), ramp(volume, 2600.0, 2100.0)), f"{volume:.0f} mL inside the skull"
        ),
        Criterion("height", ramp(height, 30.0, 55.0), f"{height:.0f} mm of it in the field of view"),
        Criterion("density", min(ramp(ball.mean(), 5.0, 18.0), ramp(ball.mean(), 85.0, 60.0)), f"{ball.mean():.0f} HU"),
        Criterion("even-on-pet", ramp(place.cov, 0.9, 0.5), f"PET varies by {100 * place.cov:.0f} %"),
    )
    px, py, pz = (float(v) for v in frame.to_mm(place.index))
    side = "left" if place.index[2] > middle else "right"
    sentence = f"{side} cerebral hemisphere, upper half of the skull; whether it is free of disease is not known"
    return Candidate(kind="brain", centre_mm=(px, py, pz), criteria=criteria, sentence=sentence)


def _filled_bone(calm: FloatImage, rows: FloatArray) -> BoolArray:
    """Bone of a vertebral body with its trabecular core, even where the core alone is no denser than muscle."""
    from scipy import ndimage as ndi

    from fusin.quantification.placement_kernels import fill_plane_holes

    bone = calm > 130.0
    closed = ndi.binary_closing(bone, np.ones((1, 3, 3), dtype=bool))
    filled = fill_plane_holes(np.ascontiguousarray(closed))
    # The canal is a hole in bone too; it lies behind the body.
    out: BoolArray = filled & ((rows < 6.0) | bone)
    return out


def _even_on_ct(calm: FloatImage, allowed: BoolArray, offsets: NDArray[np.int64]) -> BoolArray:
    """Fifth of the admissible centres whose shape varies least on CT: farthest from discs and cortex."""
    from fusin.quantification.placement_kernels import probe_statistics

    centres = np.argwhere(allowed).astype(np.int64)
    _, sd = probe_statistics(calm, allowed, centres, offsets)
    out = np.zeros_like(allowed)
    fits = np.isfinite(sd)
    if fits.any():
        best = centres[fits & (sd <= np.quantile(sd[fits], 0.2))]
        out[tuple(best.T)] = True
    return out


def _deepest(mask: BoolArray, spacing: tuple[float, float, float]) -> tuple[float, float, float]:
    """Voxel farthest from everything outside a mask."""
    from scipy import ndimage as ndi

    box = ndi.find_objects(mask.view(np.uint8))[0]
    distance = ndi.distance_transform_edt(np.pad(mask[box], 1), sampling=spacing)
    z, y, x = np.unravel_index(int(np.argmax(distance)), distance.shape)
    return float(z + box[0].start) - 1.0, float(y + box[1].start) - 1.0, float(x + box[2].start) - 1.0


def _values(ct: FloatImage, centre: tuple[int, int, int], offsets: NDArray[np.int64]) -> FloatArray:
    """Values of a shape."""
    index = offsets + np.array(centre)
    return np.asarray(ct[index[:, 0], index[:, 1], index[:, 2]], dtype=np.float64)
