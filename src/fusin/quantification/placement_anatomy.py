"""Landmarks of a CT on the PET grid: body, lungs, spine, carina, diaphragm, iliac crests, skull.

Everything works on one small array in patient axes: z towards the head, y towards the back, x to the patient's left,
about 4 mm per voxel. Patient position, row direction and slice order are settled by the affine before anything is
looked at. No learned weights: thresholds in Hounsfield units and lengths of adult anatomy, each named here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusin.imaging.volume import BoolArray, FloatArray, Grid, Volume

__all__ = ["Anatomy", "Frame", "find_anatomy", "largest", "patient_axes", "patient_frame", "smooth_mm", "voxels_of"]

WORKING_MM = 4.0
SKIN_HU = -350.0
LUNG_HU = -400.0
LUNG_MEAN_HU = (-935.0, -450.0)
LUNG_MIN_ML = 250.0
BONE_HU = 130.0
SPINE_DEPTH_MM = (25.0, 165.0)
SPINE_HALF_WIDTH_MM = 60.0
TRACHEA_HU = -850.0
TRACHEA_MM2 = (30.0, 700.0)
SKULL_HU = 180.0
BRAIN_MIN_ML = 350.0
"""Only planes above the orbits are closed by bone all round; they hold about half of the brain."""
LEAST_COSINE = 0.94
"""Cosine of 20 degrees: a scan tilted more than that is not searched in patient axes."""

FloatImage = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Frame:
    """CT and PET on the working grid (z up, y back, x left).

    Attributes
    ----------
    ct : (nz, ny, nx) HU
    pet : (nz, ny, nx) SUVbw
    grid : working grid; its affine maps (x, y, z) indices to LPS millimetres
    """

    ct: FloatImage
    pet: FloatImage
    grid: Grid

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size (dz, dy, dx) in mm."""
        dx, dy, dz = self.grid.spacing_mm
        return dz, dy, dx

    def z_mm(self, index: float) -> float:
        """LPS z of a plane, taken at the middle of the plane."""
        _, ny, nx = self.grid.shape
        return float(self.grid.to_mm(((nx - 1) / 2, (ny - 1) / 2, index))[2])

    def to_mm(self, zyx: tuple[float, float, float]) -> FloatArray:
        """LPS millimetres of working-grid indices (z, y, x)."""
        return self.grid.to_mm(zyx[::-1])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Anatomy:
    """What was found; None where it was not.

    Attributes
    ----------
    frame : working arrays
    body : body without couch, holes filled
    lung_right, lung_left : lungs, split at the spine
    spine : (nz, 2) row and column of the spine in each plane, NaN where there is none
    carina, dome, recess, crest : planes of the tracheal bifurcation, the right diaphragm's dome, the lowest lung (None
        when the field of view cuts the lungs) and the top of the iliac crests
    head : brain inside a closed skull
    """

    frame: Frame
    body: BoolArray
    lung_right: BoolArray | None
    lung_left: BoolArray | None
    spine: FloatArray | None
    carina: int | None
    dome: int | None
    recess: int | None
    crest: int | None
    head: BoolArray | None

    @property
    def lungs(self) -> BoolArray | None:
        """Both lungs."""
        if self.lung_right is None or self.lung_left is None:
            return None
        return self.lung_right | self.lung_left


def patient_axes(grid: Grid) -> tuple[tuple[int, int, int], tuple[slice, slice, slice]] | None:
    """Order of the array's axes, and their reversals, that give (z up, y back, x left).

    Use as ``values.transpose(order)[flips]``. None when the grid is tilted by more than 20 degrees.
    """
    directions = grid.affine[:3, :3] / np.array(grid.spacing_mm)
    column_of = np.argmax(np.abs(directions), axis=1)
    cosines = directions[np.arange(3), column_of]
    if len(set(column_of.tolist())) < 3 or np.abs(cosines).min() < LEAST_COSINE:
        return None
    # An index axis (column, row, slice) c is array axis 2 - c.
    z, y, x = (int(2 - column_of[a]) for a in (2, 1, 0))
    up, back, left = (slice(None, None, -1 if cosines[a] < 0 else 1) for a in (2, 1, 0))
    return (z, y, x), (up, back, left)


def patient_frame(pet: Volume, ct_on_pet: Volume) -> Frame | None:
    """Turn PET and CT into patient axes and average them to about 4 mm.

    Returns
    -------
    Frame or None
        None when the grid is tilted by more than 20 degrees against the patient axes, or the CT shows air only.
    """
    from fusin.quantification.placement_kernels import block_mean

    axes = patient_axes(pet.grid)
    if axes is None:
        return None
    order, flips = axes
    affine = np.eye(4)
    origin = pet.affine[:3, 3].copy()
    factors = []
    for axis in range(3):
        column = 2 - order[2 - axis]
        step = pet.affine[:3, column].copy()
        if step[axis] < 0:
            origin += step * (pet.shape[2 - column] - 1)
            step = -step
        factor = max(1, round(WORKING_MM / float(np.linalg.norm(step))))
        origin += step * (factor - 1) / 2.0
        affine[:3, axis] = step * factor
        factors.append(factor)
    affine[:3, 3] = origin
    fx, fy, fz = factors
    arrays = [block_mean(np.asarray(v.values).transpose(order)[flips], fz, fy, fx) for v in (ct_on_pet, pet)]
    ct = np.nan_to_num(arrays[0], nan=-1000.0)
    # Two thirds of a whole-body field of view are air beside the patient.
    solid: BoolArray = np.any(ct > SKIN_HU, axis=0)
    rows, columns = np.flatnonzero(np.any(solid, axis=1)), np.flatnonzero(np.any(solid, axis=0))
    if rows.size == 0:
        return None
    box = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    affine[:3, 3] += affine[:3, 0] * box[1].start + affine[:3, 1] * box[0].start
    ct, values = (np.ascontiguousarray(a[:, box[0], box[1]]) for a in (ct, arrays[1]))
    shape = (int(ct.shape[0]), int(ct.shape[1]), int(ct.shape[2]))
    return Frame(ct=ct, pet=values, grid=Grid(shape=shape, affine=affine))


def find_anatomy(frame: Frame) -> Anatomy:
    """Find the landmarks in a working frame."""
    body = _body(frame)
    lungs = _lungs(frame, body)
    spine = _spine(frame, body, lungs)
    right = left = None
    carina = dome = recess = crest = None
    if lungs is not None and spine is not None:
        right, left = _split(frame, lungs, spine)
    if right is not None and left is not None and spine is not None:
        both = right | left
        carina = _carina(frame, body, both, spine)
        dome = _dome(frame, right)
        recess = _recess(both)
        crest = _crest(frame, spine, recess) if recess is not None else None
    return Anatomy(
        frame=frame,
        body=body,
        lung_right=right,
        lung_left=left,
        spine=spine,
        carina=carina,
        dome=dome,
        recess=recess,
        crest=crest,
        head=_head(frame, body),
    )


def smooth_mm(values: NDArray[np.float32], sigma_mm: tuple[float, float, float], frame: Frame) -> FloatImage:
    """Gaussian smoothing with standard deviations (z, y, x) in mm."""
    from scipy import ndimage as ndi

    sigma = [s / d for s, d in zip(sigma_mm, frame.spacing, strict=True)]
    out: FloatImage = ndi.gaussian_filter(values, sigma, truncate=3.0)
    return out


def voxels_of(volume_ml: float, frame: Frame) -> float:
    """Number of working voxels in a volume."""
    return volume_ml / frame.grid.voxel_volume_ml


def largest(mask: BoolArray) -> BoolArray:
    """Largest 6-connected component, empty if there is none."""
    from scipy import ndimage as ndi

    labels, count = ndi.label(mask)
    if count == 0:
        return np.zeros_like(mask)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    out: BoolArray = labels == int(sizes.argmax())
    return out


def _box_open(mask: BoolArray, size: tuple[int, int, int]) -> BoolArray:
    """Opening with a box, by separable running minima and maxima."""
    from scipy import ndimage as ndi

    out = mask.view(np.uint8)
    for filter1d in (ndi.minimum_filter1d, ndi.maximum_filter1d):
        for axis, width in enumerate(size):
            if width > 1:
                out = filter1d(out, width, axis=axis, mode="constant", cval=0)
    return out.view(np.bool_)


def _body(frame: Frame) -> BoolArray:
    """Body: the largest solid of soft tissue, with lungs and bowel gas filled in each plane, without couch."""
    from fusin.quantification.placement_kernels import fill_plane_holes

    solid = fill_plane_holes(frame.ct > SKIN_HU)
    return largest(_box_open(solid, (1, 3, 3)))


def _lungs(frame: Frame, body: BoolArray) -> BoolArray | None:
    """Air of lung density inside the body, in components of at least 250 mL (one or two of them)."""
    from scipy import ndimage as ndi

    air = body & (frame.ct < LUNG_HU)
    labels, count = ndi.label(_box_open(air, (3, 3, 3)))
    if count == 0:
        return None
    sizes = np.bincount(labels.ravel())
    means = ndi.mean(frame.ct, labels, np.arange(count + 1))
    low, high = LUNG_MEAN_HU
    good = [n for n in range(1, count + 1) if sizes[n] >= voxels_of(LUNG_MIN_ML, frame) and low <= means[n] <= high]
    good = sorted(good, key=lambda n: -int(sizes[n]))[:2]
    if not good:
        return None
    core = np.isin(labels, good)
    grown: BoolArray = ndi.binary_dilation(core, ndi.generate_binary_structure(3, 1), iterations=2, mask=air)
    return grown


def _spine(frame: Frame, body: BoolArray, lungs: BoolArray | None) -> FloatArray | None:
    """Path of the spine: the heaviest bone near the midline and the back, smooth from plane to plane."""
    from scipy import ndimage as ndi

    from fusin.quantification.placement_kernels import best_path

    if lungs is None:
        return None
    dz, dy, dx = frame.spacing
    nz, ny, nx = frame.ct.shape
    columns = np.flatnonzero(lungs.any(axis=(0, 1)))
    middle = 0.5 * (columns[0] + columns[-1])
    # The skin of the back, as the last body row near the midline.
    strip: BoolArray = np.any(body[:, :, max(0, round(middle - 30 / dx)) : round(middle + 30 / dx) + 1], axis=2)
    has: BoolArray = np.any(strip, axis=1)
    if not has.any():
        return None
    back = np.where(has, ny - 1 - np.argmax(strip[:, ::-1], axis=1), np.nan)
    planes = np.flatnonzero(has)
    back = np.interp(np.arange(nz), planes, back[planes])
    bone = np.clip((frame.ct - BONE_HU) / 120.0, 0.0, 1.0).astype(np.float32)
    # Closing makes an osteoporotic vertebral body as solid as a dense one: its rim is always bone.
    close = max(3, 2 * round(8.0 / dy) + 1), max(3, 2 * round(8.0 / dx) + 1)
    low = max(0, int(np.floor(back.min() - SPINE_DEPTH_MM[1] / dy)))
    high = min(ny, int(np.ceil(back.max())) + 1)
    left, right = max(0, round(middle - 90.0 / dx)), min(nx, round(middle + 90.0 / dx) + 1)
    closed = ndi.grey_closing(bone[:, low:high, left:right], size=(1, *close))
    heavy = smooth_mm(closed, (10.0, 11.0, 11.0), frame).astype(np.float64)
    rows = np.arange(low, high)[None, :, None]
    cols = np.arange(left, right)[None, None, :]
    depth = (back[:, None, None] - rows) * dy
    aside = (cols - middle) * dx
    window = (depth >= SPINE_DEPTH_MM[0]) & (depth <= SPINE_DEPTH_MM[1]) & (np.abs(aside) <= SPINE_HALF_WIDTH_MM)
    score = np.where(window, heavy - 0.15 * (aside / SPINE_HALF_WIDTH_MM) ** 2, -1.0)
    path = best_path(score, 1, 0.02)
    weight = heavy[np.arange(nz), path[:, 0], path[:, 1]]
    chest = np.flatnonzero(lungs.any(axis=(1, 2)))
    usual = float(np.median(weight[chest]))
    if usual < 0.2:
        return None
    good = weight > 0.4 * usual
    first = last = int(chest[chest.size // 2])
    while first > 0 and good[first - 1]:
        first -= 1
    while last < nz - 1 and good[last + 1]:
        last += 1
    spine = np.full((nz, 2), np.nan)
    line = ndi.gaussian_filter1d(path[first : last + 1].astype(np.float64), 12.0 / dz, axis=0, mode="nearest")
    spine[first : last + 1] = line + np.array([low, left])
    return spine


def _split(frame: Frame, lungs: BoolArray, spine: FloatArray) -> tuple[BoolArray | None, BoolArray | None]:
    """Cut the lungs at the spine; None for a side with less than 250 mL."""
    column = spine[:, 1]
    known = np.flatnonzero(np.isfinite(column))
    column = np.interp(np.arange(column.size), known, column[known])
    is_left = np.arange(lungs.shape[2])[None, None, :] > column[:, None, None]
    left, right = lungs & is_left, lungs & ~is_left
    least = voxels_of(LUNG_MIN_ML, frame)
    return (right if right.sum() >= least else None), (left if left.sum() >= least else None)


def _recess(lungs: BoolArray) -> int | None:
    """Plane above which 99 % of the lungs lie; None when the field of view ends within the lungs.

    The last thin edge of a recess depends on the voxel size, the 99 % do not.
    """
    if lungs[:2].any():
        return None
    below = np.cumsum(lungs.sum(axis=(1, 2)))
    return int(np.searchsorted(below, 0.01 * below[-1]))


def _carina(frame: Frame, body: BoolArray, lungs: BoolArray, spine: FloatArray) -> int | None:
    """Follow the trachea down from the lung apices until it parts in two."""
    from scipy import ndimage as ndi

    dz, dy, dx = frame.spacing
    planes = np.flatnonzero(lungs.any(axis=(1, 2)))
    air = body & (smooth_mm(frame.ct, (4.0, 0.0, 0.0), frame) < TRACHEA_HU)
    centre: FloatArray | None = None
    missed = 0
    for k in range(int(planes[-1]), int(planes[0]), -1):
        if not np.isfinite(spine[k, 0]):
            continue
        y0, x0 = spine[k]
        rows = slice(max(0, int(y0 - 90 / dy)), max(0, int(y0)))
        cols = slice(max(0, int(x0 - 45 / dx)), int(x0 + 45 / dx) + 1)
        labels, count = ndi.label(air[k, rows, cols], np.ones((3, 3)))
        sizes = np.bincount(labels.ravel(), minlength=count + 1) * dy * dx
        corner = np.array((rows.start * dy, cols.start * dx))
        here = {
            n: np.array(ndi.center_of_mass(labels == n)) * (dy, dx) + corner
            for n in range(1, count + 1)
            if TRACHEA_MM2[0] <= sizes[n] <= TRACHEA_MM2[1]
        }
        if centre is None:
            # Above the carina the trachea is the one tube; a wide one is taken first.
            start = sorted((n for n in here if sizes[n] >= 2 * TRACHEA_MM2[0]), key=lambda n: -float(sizes[n]))
            centre = here[start[0]] if start else None
            continue
        near = [n for n, spot in here.items() if np.linalg.norm(spot - centre) < 32.0]
        sides = sorted(float(here[n][1] - centre[1]) for n in near)
        if len(near) >= 2 and sides[0] < -2.0 and sides[-1] > 2.0:
            return k
        missed = 0 if near else missed + 1
        if missed * dz > 15.0:
            return None
        nearest = min(near, key=lambda n: float(np.linalg.norm(here[n] - centre)), default=None)
        if nearest is not None and np.linalg.norm(here[nearest] - centre) < 12.0:
            centre = here[nearest]
    return None


def _dome(frame: Frame, lung_right: BoolArray) -> int | None:
    """Plane of the right diaphragm's dome: where soft tissue first stands up into the lateral right lung."""
    dz, _, _ = frame.spacing
    nz = frame.ct.shape[0]
    deep = lung_right.sum(axis=0) * dz >= 40.0
    cols = np.flatnonzero(deep.any(axis=0))
    if cols.size < 4:
        return None
    weight = deep.sum(axis=0)
    middle = int(np.searchsorted(np.cumsum(weight), weight.sum() / 2))
    lateral = deep.copy()
    # Columns nearer to the spine may end on the heart instead of the diaphragm.
    lateral[:, middle + 1 :] = False
    bottom = np.argmax(lung_right, axis=0)
    soft = (frame.ct > -20.0) & (frame.ct < 250.0)
    need = round(40.0 / dz)
    heights = []
    for y, x in np.argwhere(lateral):
        base = int(bottom[y, x])
        # Two planes of partial volume lie between lung and liver.
        if base - 2 - need >= 0 and soft[base - 2 - need : base - 2, y, x].mean() > 0.9:
            heights.append(base)
    if len(heights) < 12 or nz < need:
        return None
    return int(np.percentile(heights, 95))


def _crest(frame: Frame, spine: FloatArray, recess: int) -> int | None:
    """Plane of the iliac crests: going down from the lungs, where bone appears on both sides of the spine.

    Ribs are lateral bone too; so the search starts at the plane with the least lateral bone between the lowest lung
    and 250 mm below it.
    """
    dz, dy, dx = frame.spacing
    known = np.flatnonzero(np.isfinite(spine[:, 0]))
    lowest = int(known[0])
    sides = np.zeros((recess + 1, 2))
    calm = smooth_mm(frame.ct[: recess + 1], (3.0, 2.0, 2.0), frame)
    for k in range(lowest, recess + 1):
        y0, x0 = spine[k]
        rows = slice(max(0, int(y0 - 70 / dy)), int(y0 + 70 / dy) + 1)
        for side, (a, b) in enumerate(((-150.0, -42.0), (42.0, 150.0))):
            cols = slice(max(0, int(x0 + a / dx)), max(0, int(x0 + b / dx)) + 1)
            sides[k, side] = np.count_nonzero(calm[k, rows, cols] > BONE_HU) * dy * dx
    least = sides.min(axis=1)
    top, bottom = recess, max(lowest, recess - round(250.0 / dz))
    if top - bottom < round(40.0 / dz):
        return None
    # The waist: the middle of the run of planes with almost no lateral bone.
    total = sides.sum(axis=1)
    start = bottom + int(np.argmin(np.convolve(total[bottom : top + 1], np.ones(5), mode="same")[2:-2])) + 2
    run = 0
    for k in range(start, lowest - 1, -1):
        run = run + 1 if least[k] > 130.0 else 0
        # The wings stay visible below their crest; a rib leaves the plane after a centimetre or two.
        if run * dz >= 24.0:
            return k + run - 1
    return None


def _head(frame: Frame, body: BoolArray) -> BoolArray | None:
    """Brain: what a closed shell of bone encloses in axial planes, at least 350 mL of soft tissue."""
    from fusin.quantification.placement_kernels import fill_plane_holes

    shell = body & (frame.ct > SKULL_HU)
    enclosed = fill_plane_holes(shell) & ~shell
    calm = smooth_mm(frame.ct, (4.0, 4.0, 4.0), frame)
    brain = largest(_box_open(enclosed & (calm > -20.0) & (calm < 150.0), (3, 3, 3)))
    if brain.sum() < voxels_of(BRAIN_MIN_ML, frame):
        return None
    return fill_plane_holes(brain)
