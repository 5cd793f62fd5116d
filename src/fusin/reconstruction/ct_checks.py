"""What makes a CT doubtful as a map of attenuation: metal, a patient wider than its field of view, a couch, missing air.

The patient is the largest solid thing on a coarse copy of the CT, after thin things (a couch shell, tubes) are worn off.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.imaging.volume import BoolArray, Volume
from fusin.provenance import NoticeLog

__all__ = ["METAL_HU", "note_ct"]

METAL_HU = 2500
"""Above dense bone and most teeth; 12-bit CT end at 3071."""

_METAL_LEAST_ML = 0.1
_COARSE_MM = 4.0
_SOLID_HU, _PADDING_HU, _AIR_HU = -300, -1100, -500
_TRUNCATED_LEAST_MM = 30.0
_COUCH_LEAST_ML = 20.0


def note_ct(ct: Volume, log: NoticeLog) -> None:
    """Record what is doubtful about a CT.

    Parameters
    ----------
    ct : in Hounsfield units, without gaps
    log : receives CT_WITHOUT_AIR, METAL_IN_CT, CT_TRUNCATED, COUCH_IN_CT
    """
    if ct.values.size == 0:
        return
    lowest = float(ct.values.min())
    if lowest > _AIR_HU:
        log.warning("CT_WITHOUT_AIR", f"the lowest value of the CT is {lowest:g}; a CT of a patient holds air near -1000 HU",
                    where="CT", raw=lowest)  # fmt: skip
    metal_ml = int(np.count_nonzero(ct.values > METAL_HU)) * ct.voxel_volume_ml
    if metal_ml >= _METAL_LEAST_ML:
        log.warning(
            "METAL_IN_CT",
            f"{metal_ml:.1f} mL lie above {METAL_HU} HU; no line holds for metal, and its streaks reach into the tissue around it",
            where="CT", raw=round(metal_ml, 2),
        )  # fmt: skip
    along, down, across = (max(1, round(_COARSE_MM / s)) for s in ct.spacing_mm[::-1])
    steps = (along, down, across)
    coarse = ct.values[:: steps[0], :: steps[1], :: steps[2]]
    voxel_ml = ct.voxel_volume_ml * math.prod(steps)
    body = _body(coarse)
    if body is None:
        return
    _note_truncation(ct, coarse, body, steps, log)
    _note_couch(coarse, body, voxel_ml, log)


def _body(coarse: NDArray[Any]) -> BoolArray | None:
    """Largest connected solid thing, its holes filled slice by slice."""
    from scipy.ndimage import binary_dilation, binary_fill_holes, binary_opening, label

    solid = coarse > _SOLID_HU
    # The outermost voxels have no neighbours outside: a cut patient must not be worn off at the edge.
    padded = np.pad(solid, 1, mode="edge")
    core = binary_opening(padded, np.ones((3, 3, 3), bool))[1:-1, 1:-1, 1:-1]
    parts, count = label(core)
    if count == 0:
        return None
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    body = binary_dilation(parts == int(sizes.argmax()), mask=solid, iterations=1)
    return np.stack([binary_fill_holes(plane) for plane in body])


def _edge(coarse: NDArray[Any]) -> BoolArray:
    """Outermost voxels of the field of view of each slice: of the array, beside padding, and of the inscribed circle."""
    from scipy.ndimage import binary_erosion

    valid = coarse > _PADDING_HU
    rows, columns = coarse.shape[1:]
    y, x = np.ogrid[:rows, :columns]
    outside = ((y - (rows - 1) / 2) / (rows / 2)) ** 2 + ((x - (columns - 1) / 2) / (columns / 2)) ** 2 > 1.0
    if outside.any() and np.ptp(coarse[:, outside]) == 0:
        # One constant value in the corners is what a round field of view is filled up with.
        valid = valid & ~outside
    inner = binary_erosion(valid, np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]], bool))
    return np.asarray(valid & ~inner)


def _note_truncation(
    ct: Volume, coarse: NDArray[Any], body: BoolArray, steps: tuple[int, int, int], log: NoticeLog
) -> None:
    pitch = min(ct.spacing_mm[0] * steps[2], ct.spacing_mm[1] * steps[1])
    cut = (_edge(coarse) & body).sum(axis=(1, 2)) * pitch >= _TRUNCATED_LEAST_MM
    if cut.any():
        share = float(cut.mean())
        log.warning(
            "CT_TRUNCATED",
            f"the patient reaches beyond the field of view of the CT in {100 * share:.0f} % of its slices; attenuation is missing "
            "there",
            where="CT", raw=round(share, 3),
        )  # fmt: skip


def _note_couch(coarse: NDArray[Any], body: BoolArray, voxel_ml: float, log: NoticeLog) -> None:
    from scipy.ndimage import binary_dilation

    near = binary_dilation(body, np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]], bool))
    other_ml = float(np.count_nonzero((coarse > _AIR_HU) & ~near)) * voxel_ml
    if other_ml >= _COUCH_LEAST_ML:
        log.info(
            "COUCH_IN_CT",
            f"{other_ml:.0f} mL outside the patient (couch, arms apart, supports) stay in the map: photons pass them too",
            where="CT", raw=round(other_ml),
        )  # fmt: skip
