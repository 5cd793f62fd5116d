"""The descending thoracic aorta on CT: a round soft tube left-anterior of the spine whose outer wall meets the lung."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusin.imaging.volume import FloatArray
from fusin.quantification.placement_anatomy import Anatomy, smooth_mm
from fusin.quantification.placement_criteria import Candidate, Criterion, ramp

__all__ = ["find_blood_pool"]

WALL_HU = 45.0
LUNG_BEYOND_HU = -300.0
LUMEN_HU = (10.0, 550.0)
RADIUS_MM = (7.0, 19.0)
SECTOR_DEG = np.arange(-30.0, 76.0, 15.0)
"""Directions from the patient's left towards the back in which the aorta of an adult meets the left lower lobe."""
OTHER_DEG = np.arange(90.0, 330.0, 30.0)
WINDOW_MM = ((-58.0, 10.0), (2.0, 58.0))
"""Where the axis may lie: (back) and (left) of the spine's centre of bone."""
USUAL_MM = (-26.0, 25.0)
USUAL_SD_MM = 22.0
REACH_MM = 30
SEGMENT_MM = 24.0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Tube:
    """A tube followed through planes: centres (rows, columns), quality and shape per plane."""

    planes: FloatArray
    centre: FloatArray
    score: FloatArray
    lung: FloatArray
    radius: FloatArray
    spread: FloatArray


def find_blood_pool(anatomy: Anatomy) -> Candidate | str:
    """Find the place for the blood-pool cylinder, or say in one sentence why there is none."""
    frame, spine = anatomy.frame, anatomy.spine
    if anatomy.lungs is None or spine is None:
        return "two lungs and a spine between them are not in the field of view"
    bounds = _levels(anatomy)
    dz = frame.spacing[0]
    if (bounds[1] - bounds[0]) * dz < 2 * SEGMENT_MM:
        return "less than 5 cm of the chest lie between the carina and the diaphragm in the field of view"
    calm = smooth_mm(frame.ct, (5.0, 0.0, 0.0), frame)
    left = _follow(calm, anatomy, bounds, 1.0)
    right = _follow(calm, anatomy, bounds, -1.0)
    if left is None:
        return "the spine leaves the field of view between the carina and the diaphragm"
    other = 0.0 if right is None else _best_run(right, dz)[1]
    middle, quality = _best_run(left, dz)
    if quality <= 0.05:
        return "no round soft-tissue tube meets the left lung beside the spine"
    return _judge(anatomy, left, middle, quality, other)


def _levels(anatomy: Anatomy) -> tuple[int, int]:
    """Lowest and highest plane of the search: above the dome, below the carina."""
    lungs, dz = anatomy.lungs, anatomy.frame.spacing[0]
    assert lungs is not None
    planes = np.flatnonzero(lungs.any(axis=(1, 2)))
    low, high = int(planes[0]), int(planes[-1])
    base = anatomy.recess if anatomy.recess is not None else low
    if anatomy.carina is not None:
        top = anatomy.carina - round(15.0 / dz)
    elif high >= lungs.shape[0] - 2:
        top = high
    else:
        # The carina stands about three tenths of the lungs' height below the apices.
        top = high - round(0.38 * (high - base))
    bottom = anatomy.dome - round(15.0 / dz) if anatomy.dome is not None else base + round(0.3 * (high - base))
    return max(bottom, low), top


def _directions(degrees: FloatArray, side: float, spacing: tuple[float, float, float]) -> FloatArray:
    """Steps (dy, dx) of half a millimetre; 0 degrees points to `side`, 90 to the back."""
    angle = np.deg2rad(degrees)
    _, dy, dx = spacing
    return np.ascontiguousarray(np.stack([0.5 * np.sin(angle) / dy, 0.5 * side * np.cos(angle) / dx], axis=1))


def _measure(
    calm: np.ndarray, centres: FloatArray, side: float, spacing: tuple[float, float, float]
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Score, share of lung rays, radius and spread of the wall for each centre (z, y, x)."""
    from fusin.quantification.placement_kernels import ray_edges

    directions = _directions(np.concatenate([SECTOR_DEG, OTHER_DEG]), side, spacing)
    settle = 2.0 * 1.5 * max(spacing[1:])
    length, beyond, lumen = ray_edges(calm, centres, directions, WALL_HU, 2 * REACH_MM, settle)
    length = length / 2.0
    n = SECTOR_DEG.size
    is_lung = beyond[:, :n] < LUNG_BEYOND_HU
    share = is_lung.mean(axis=1)
    walls = np.where(is_lung, length[:, :n], np.nan)
    some = is_lung.sum(axis=1) >= 3
    radius = np.zeros(centres.shape[0])
    spread = np.full(centres.shape[0], 99.0)
    radius[some] = np.nanmedian(walls[some], axis=1)
    spread[some] = np.nanstd(walls[some], axis=1)
    nearest = length.min(axis=1)
    plausible = (lumen >= LUMEN_HU[0]) & (lumen <= LUMEN_HU[1])
    score = (
        ramp(share, 0.4, 0.85)
        * ramp(radius, RADIUS_MM[0], RADIUS_MM[0] + 3.0)
        * ramp(radius, RADIUS_MM[1], RADIUS_MM[1] - 3.0)
        * np.exp(-((spread / 2.5) ** 2))
        * ramp(nearest / np.maximum(radius, 1.0), 0.3, 0.75)
        * plausible
    )
    return score, share, radius, spread


def _follow(calm: np.ndarray, anatomy: Anatomy, bounds: tuple[int, int], side: float) -> _Tube | None:
    """Best tube on one side of the spine, refined to a third of a voxel."""
    from scipy import ndimage as ndi

    from fusin.quantification.placement_kernels import best_path

    spine, spacing = anatomy.spine, anatomy.frame.spacing
    assert spine is not None
    dz, dy, dx = spacing
    planes = np.arange(bounds[0], bounds[1] + 1)
    if not np.isfinite(spine[planes]).all():
        return None
    ys = np.arange(np.floor(WINDOW_MM[0][0] / dy), np.ceil(WINDOW_MM[0][1] / dy) + 1)
    xs = np.arange(np.floor(WINDOW_MM[1][0] / dx), np.ceil(WINDOW_MM[1][1] / dx) + 1)
    grid = np.stack(np.meshgrid(planes, ys, side * xs, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.float64)
    shift = np.rint(spine[planes])
    grid[:, 1:] += np.repeat(shift, ys.size * xs.size, axis=0)
    score = _measure(calm, grid, side, spacing)[0].reshape(planes.size, ys.size, xs.size)
    away2 = (ys[:, None] * dy - USUAL_MM[0]) ** 2 + (xs[None, :] * dx - USUAL_MM[1]) ** 2
    score = score * np.exp(-0.5 * away2 / USUAL_SD_MM**2)
    path = best_path(np.ascontiguousarray(score), 1, 0.03)
    coarse = np.stack([ys[path[:, 0]], side * xs[path[:, 1]]], axis=1) + shift
    fine = np.arange(-3, 4) / 3.0
    steps = np.stack(np.meshgrid(fine, fine, indexing="ij"), axis=-1).reshape(-1, 2)
    tries = np.concatenate(
        [np.concatenate([np.full((steps.shape[0], 1), k), coarse[n] + steps], axis=1) for n, k in enumerate(planes)]
    )
    quality = _measure(calm, tries, side, spacing)[0].reshape(planes.size, -1)
    weight = quality**2 + 1e-9
    centre = (weight[..., None] * (coarse[:, None] + steps[None])).sum(axis=1) / weight.sum(axis=1, keepdims=True)
    centre = ndi.gaussian_filter1d(centre, 5.0 / dz, axis=0, mode="nearest")
    final = _measure(calm, np.column_stack([planes.astype(np.float64), centre]), side, spacing)
    return _Tube(
        planes=planes.astype(np.float64), centre=centre, score=final[0], lung=final[1], radius=final[2], spread=final[3]
    )


def _best_run(tube: _Tube, dz: float) -> tuple[int, float]:
    """Position (index into the tube) and mean score of the best segment."""
    width = max(3, round(SEGMENT_MM / dz))
    mean = np.convolve(tube.score, np.ones(width) / width, mode="same")
    half = width // 2
    mean[:half] = mean[-half:] = -1.0
    best = int(np.argmax(mean))
    return best, float(mean[best])


def _judge(anatomy: Anatomy, tube: _Tube, middle: int, quality: float, other: float) -> Candidate | str:
    """Choose the segment whose PET agrees with the whole tube, and say how sure that is."""
    from scipy import ndimage as ndi

    frame = anatomy.frame
    dz = frame.spacing[0]
    half = max(1, round(10.0 / dz))
    coordinates = np.column_stack([tube.planes, tube.centre]).T
    local = ndi.uniform_filter(frame.pet, size=(1, 3, 3), mode="nearest")
    pet = ndi.map_coordinates(local, coordinates, order=1, mode="nearest").astype(np.float64)
    sure = tube.score >= 0.5 * quality
    if not np.isfinite(pet).all() or np.median(pet[sure]) <= 0.0:
        return "the PET holds no counts along the tube beside the spine"
    typical = float(np.median(pet[sure]))
    width = max(3, round(SEGMENT_MM / dz))
    kernel = np.ones(width) / width
    mean_score = np.convolve(tube.score, kernel, mode="same")
    mean_pet = np.convolve(pet, kernel, mode="same")
    worth = mean_score - 1.5 * np.abs(mean_pet / typical - 1.0)
    worth[: width // 2] = worth[-(width // 2) :] = -np.inf
    at = int(np.argmax(worth)) if np.isfinite(worth).any() else middle
    part = slice(max(0, at - half), at + half + 1)
    run = _run_length(tube.score >= 0.35, at) * dz
    deviation = abs(float(pet[part].mean()) / typical - 1.0)
    radius = float(np.median(tube.radius[part]))
    lung = float(tube.lung[part].mean())
    spread = float(tube.spread[part].mean())
    centre = tube.centre[part].mean(axis=0)
    centre_mm = frame.to_mm((float(tube.planes[at]), float(centre[0]), float(centre[1])))
    criteria = (
        Criterion(
            "lung-border", ramp(lung, 0.3, 0.7), f"{100 * lung:.0f} % of the rays to the left and back meet lung"
        ),
        Criterion("round-wall", ramp(spread, 4.0, 1.5), f"the wall's radius varies by {spread:.1f} mm"),
        Criterion("calibre", min(ramp(radius, 6.0, 8.5), ramp(radius, 20.0, 17.0)), f"diameter {2 * radius:.0f} mm"),
        Criterion("continuity", ramp(run, 20.0, 45.0), f"followed over {run:.0f} mm"),
        Criterion(
            "left-of-spine",
            ramp(other / float(mean_score[at]) if mean_score[at] > 0 else 9.0, 1.1, 0.65),
            f"tube score {mean_score[at]:.2f} on the left, {other:.2f} on the right",
        ),
        Criterion(
            "pet-agrees", ramp(deviation, 0.35, 0.15), f"PET differs by {100 * deviation:.0f} % from the whole tube"
        ),
    )
    x, y, z = (float(v) for v in centre_mm)
    sentence = "descending thoracic aorta: round soft tube left of the spine, bordered by the left lung"
    return Candidate(kind="blood_pool", centre_mm=(x, y, z), criteria=criteria, sentence=sentence)


def _run_length(good: np.ndarray, at: int) -> int:
    """Planes of the unbroken run around a plane."""
    if not good[at]:
        return 0
    first = last = at
    while first > 0 and good[first - 1]:
        first -= 1
    while last < good.size - 1 and good[last + 1]:
        last += 1
    return last - first + 1
