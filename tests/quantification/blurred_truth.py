"""What an ideal threshold makes of a planted ellipsoid: drawn on 1 mm, blurred, averaged over voxels, cut.

Independent of the phantom's painter: plain NumPy and SciPy on a grid of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter

MARGIN_MM = 16
SIGMA_PER_FWHM = 1.0 / (2.0 * math.sqrt(2.0 * math.log(2.0)))


@dataclass(frozen=True)
class Expected:
    """Maximum, and volume and mean above the threshold."""

    suv_max: float
    volume_ml: float
    suv_mean: float


def expected(
    semi_axes_mm: tuple[float, float, float],
    suv: float,
    *,
    background: float,
    threshold: float,
    fwhm_mm: float,
    voxel_mm: int,
) -> Expected:
    """Blur one ellipsoid in a uniform background and cut it at a threshold; its orientation does not matter."""
    half = [math.ceil(s) + MARGIN_MM for s in semi_axes_mm]
    x, y, z = np.meshgrid(*(np.arange(-h, h + 1, dtype=np.float64) for h in half), indexing="ij")
    a, b, c = semi_axes_mm
    # A voxel of 1 mm counts by the distance of its centre from the surface, which keeps the volume to about 0.1 %.
    radius = np.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2)
    steep = np.sqrt((x / a**2) ** 2 + (y / b**2) ** 2 + (z / c**2) ** 2) / np.maximum(radius, 1e-9)
    share = np.clip(0.5 + (1.0 - radius) / np.maximum(steep, 1e-9), 0.0, 1.0)
    share[radius < 0.2] = 1.0
    image = background + (suv - background) * share
    image = uniform_filter(gaussian_filter(image, fwhm_mm * SIGMA_PER_FWHM, mode="nearest"), voxel_mm, mode="nearest")
    above = image[image >= threshold]
    return Expected(float(image.max()), above.size / 1000.0, float(above.mean()) if above.size else math.nan)
