"""Resolution of a scanner as a Gaussian blur of the image.

The taps are those of the discrete Gaussian, ``exp(-t) I_n(t)`` with the variance t in voxels: they are positive, sum to 1 and have
exactly that variance however narrow it is, which sampled values of a Gaussian have not. The blur is its own transpose: beyond the
image there is nothing, and what is blurred out of it is lost.

References
----------
Lindeberg T, IEEE Trans Pattern Anal Mach Intell 1990;12:234 · Reader A et al., IEEE Trans Nucl Sci 2003;50:1392.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.reconstruction.projector import FloatImage

__all__ = ["ImageResolution", "gaussian_taps"]

FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))
_LEFT_OUT = 1e-7


def gaussian_taps(variance: float) -> NDArray[np.float64]:
    """Symmetric taps of unit sum and of that variance [voxels^2]; what is left out of the tails is below 1e-7."""
    from scipy.special import ive

    reach = 1
    while 1.0 - 2.0 * ive(np.arange(1, reach + 1), variance).sum() - ive(0, variance) > _LEFT_OUT:
        reach += 1
    half = ive(np.arange(reach + 1), variance)
    taps = np.concatenate([half[:0:-1], half])
    return np.asarray(taps / taps.sum(), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageResolution:
    """Full widths at half maximum of the Gaussian [mm].

    Attributes
    ----------
    across_mm : along x and y
    along_mm : along the axis of the scanner

    Raises
    ------
    InputError
        For negative widths.
    """

    across_mm: float
    along_mm: float

    def __post_init__(self) -> None:
        for name in ("across_mm", "along_mm"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise InputError("resolution", name, value, "a FWHM of 0 mm or more")

    def blur(self, image: FloatImage, spacing_mm: NDArray[np.float64]) -> FloatImage:
        """Return the blurred image; the blur is its own transpose.

        Parameters
        ----------
        image : (slices, rows, columns)
        spacing_mm : along x, y, z
        """
        from scipy.ndimage import correlate1d

        out = image
        for axis, width in ((0, self.along_mm), (1, self.across_mm), (2, self.across_mm)):
            if width > 0:
                taps = gaussian_taps((width / FWHM_PER_SIGMA / float(spacing_mm[2 - axis])) ** 2)
                out = correlate1d(out, taps, axis=axis, mode="constant", cval=0.0)
        return np.asarray(out, dtype=np.float32)
