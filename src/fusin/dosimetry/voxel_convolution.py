"""Convolution of activity per voxel with a symmetric kernel, by one transform forth and one back.

A kernel that is the same forth and back along each axis has a real spectrum, a sum of cosines, which three small matrix products
give without a third transform. The grid is padded by half a kernel only: what wraps round falls into the padding, where it is
exactly what leaves the grid.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError

__all__ = ["Convolved", "convolve"]

FloatArray = NDArray[np.float64]

_SMALL = 16


@dataclass(frozen=True, slots=True, eq=False)
class Convolved:
    """What a convolution leaves in a grid and beyond it.

    Attributes
    ----------
    values : of the shape of the activity
    outside : sum over all places beyond the grid that the kernel reaches
    """

    values: FloatArray
    outside: float


def convolve(activity: NDArray[np.floating], kernel: FloatArray, *, workers: int | None = None) -> Convolved:
    """Spread the content of each voxel by a kernel.

    Parameters
    ----------
    activity : (slices, rows, columns), finite; taken as zero beyond the grid
    kernel : three axes of odd length, the source in the middle, the same forth and back along each axis
    workers : threads; all processors when None

    Raises
    ------
    InputError
        For a kernel of even length or one that is not symmetric, an activity without three axes, or values that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> spread = convolve(np.array([[[0.0, 0.0, 8.0]]]), np.array([[[1.0, 2.0, 1.0]]]))
    >>> spread.values.round(12).tolist(), round(spread.outside, 12)
    ([[[0.0, 8.0, 16.0]]], 8.0)
    """
    from scipy.fft import irfftn, next_fast_len, rfftn

    _check(activity, kernel)
    shape = activity.shape
    half = [n // 2 for n in kernel.shape]
    padded = [next_fast_len(max(n + h, 2 * h + 1), real=True) for n, h in zip(shape, half, strict=True)]
    threads = workers or _processors()
    spectrum = rfftn(np.asarray(activity, dtype=np.float64), s=padded, workers=threads)
    spectrum *= _cosine_spectrum(kernel, padded)
    full = irfftn(spectrum, s=padded, overwrite_x=True, workers=threads)
    del spectrum
    inside = full[: shape[0], : shape[1], : shape[2]]
    outside = (
        full[shape[0] :].sum() + full[: shape[0], shape[1] :].sum() + full[: shape[0], : shape[1], shape[2] :].sum()
    )
    return Convolved(np.ascontiguousarray(inside), float(outside))


def _cosine_spectrum(kernel: FloatArray, padded: list[int]) -> FloatArray:
    """Real half spectrum of a symmetric kernel on a padded grid, the source at the origin."""
    a, b, c = (n // 2 for n in kernel.shape)
    octant = kernel[a:, b:, c:]
    counts = (padded[0], padded[1], padded[2] // 2 + 1)
    first, second, third = (
        _cosines(count, length, part)
        for count, length, part in zip(counts, padded, octant.shape, strict=True)
    )  # fmt: skip
    # Threads of a matrix library wait in a busy loop after their work and would slow the transforms; a large kernel is worth it.
    library = max(octant.shape) > _SMALL
    rows = np.einsum("ijk,ck->ijc", octant, third, optimize=library)
    planes = np.einsum("bj,ijc->ibc", second, rows, optimize=library)
    return np.asarray(np.einsum("ai,ibc->abc", first, planes, optimize=library))


def _cosines(count: int, length: int, reach: int) -> FloatArray:
    """(count, reach) weights of a displacement and its mirror image at each frequency."""
    table = np.cos(2.0 * math.pi * (np.outer(np.arange(count), np.arange(reach)) % length) / length)
    table[:, 1:] *= 2.0
    return np.asarray(table)


def _check(activity: NDArray[np.floating], kernel: FloatArray) -> None:
    if kernel.ndim != 3 or any(n % 2 == 0 for n in kernel.shape):
        raise InputError("convolution", "kernel", kernel.shape, "three axes of odd length")
    if not bool(np.isfinite(kernel).all()):
        raise InputError("convolution", "kernel", "values that are not finite", "finite numbers")
    top = float(np.abs(kernel).max())
    if any(float(np.abs(kernel - np.flip(kernel, axis)).max()) > 1e-12 * top for axis in range(3)):
        raise InputError(
            "convolution", "kernel", "other values forth than back", "a kernel that is symmetric along each axis"
        )
    if activity.ndim != 3 or not activity.size:
        raise InputError("convolution", "activity", activity.shape, "three axes with at least one voxel")
    missing = int(activity.size - np.count_nonzero(np.isfinite(activity)))
    if missing:
        raise InputError(
            "convolution", "activity", f"{missing} voxels without a finite value", "a number in every voxel"
        )


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
