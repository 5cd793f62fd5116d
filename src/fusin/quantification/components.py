"""Connected components of a mask, as lists of foreground voxels instead of full-size label volumes."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fusin.errors import MissingExtra
from fusin.imaging.volume import BoolArray

__all__ = ["Backend", "label_components"]

Backend = Literal["cc3d", "scipy"]


def label_components(
    mask: BoolArray, *, backend: Backend | None = None
) -> tuple[NDArray[np.intp], NDArray[np.int64], int]:
    """Label the 26-connected components of a mask.

    Parameters
    ----------
    mask : (slices, rows, columns)
    backend : ``"cc3d"`` (fast, optional) or ``"scipy"`` with the same answer; None takes cc3d when it is installed

    Returns
    -------
    tuple
        (n,) flat C-order positions of the foreground voxels, increasing; (n,) label of each, 0-based and numbered by
        the first voxel in C order; number of components.

    Raises
    ------
    MissingExtra
        When cc3d is asked for and not installed.
    """
    foreground = np.flatnonzero(mask)
    if foreground.size == 0:
        return foreground, np.empty(0, np.int64), 0
    labels = _label(mask, backend).ravel()[foreground]
    # The two libraries number components in different orders.
    first = np.full(int(labels.max()) + 1, foreground.size, dtype=np.int64)
    np.minimum.at(first, labels, np.arange(foreground.size))
    order = np.argsort(first, kind="stable")
    count = int(np.count_nonzero(first < foreground.size))
    number = np.empty_like(first)
    number[order] = np.arange(first.size)
    return foreground, number[labels], count


def _label(mask: BoolArray, backend: Backend | None) -> NDArray[Any]:
    """Full-size label volume of one library."""
    if backend != "scipy":
        try:
            import cc3d
        except ImportError as err:
            if backend == "cc3d":
                raise MissingExtra("cc3d", "fast", "labelling components with cc3d") from err
        else:
            labels: NDArray[Any] = cc3d.connected_components(np.ascontiguousarray(mask), connectivity=26)
            return labels
    from scipy.ndimage import label

    found, _ = label(mask, structure=np.ones((3, 3, 3), bool))
    return np.asarray(found)
