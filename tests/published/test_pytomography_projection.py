"""SPECT projections that PyTomography 3.4.0 computed: rotate and sum, attenuation, Gaussian response by depth.

The values were computed once by PyTomography (MIT; Polson L et al., SoftwareX 2025;29:102020) on torch 2.13.0, for the phantom
below: the fifth detector row of six views, and the sum of each view.
"""

from __future__ import annotations

import numpy as np
import pytest

from fusin.imaging.volume import Volume
from fusin.reconstruction.collimator import FWHM_PER_SIGMA, CollimatorResponse
from fusin.reconstruction.spect import SpectGeometry, SpectProjector

ANGLES = np.array([0.0, 35.0, 90.0, 150.0, 222.0, 301.0])
RADII_MM = np.array([150.0, 160.0, 170.0, 150.0, 165.0, 180.0])
PIXEL_MM = 9.6
SUMS = (249.00, 276.38, 284.67, 287.63, 270.66, 198.76)
# fmt: off
ROWS = (
    (0.1382, 0.3360, 0.6818, 1.1531, 1.6165, 2.0338, 2.4264, 2.7283, 2.8462, 2.7396, 2.4570, 2.1304,
     1.9233, 1.9379, 2.1283, 2.3011, 2.2408, 1.8719, 1.3095, 0.7551, 0.3535, 0.1336, 0.0410, 0.0102),
    (0.2390, 0.5462, 1.0713, 1.7709, 2.4189, 2.8720, 3.1813, 3.3607, 3.3013, 3.0094, 2.5080, 1.9392,
     1.4323, 1.1104, 1.0605, 1.2611, 1.6020, 1.8958, 1.9328, 1.6339, 1.1059, 0.5964, 0.2624, 0.0943),
    (0.0512, 0.1399, 0.3353, 0.7157, 1.3398, 2.1428, 2.9434, 3.6323, 4.1146, 4.2915, 4.1243, 3.6683,
     3.0560, 2.4405, 1.9299, 1.5570, 1.3049, 1.1500, 1.0115, 0.7259, 0.3828, 0.1550, 0.0508, 0.0135),
    (0.0008, 0.0036, 0.0146, 0.0488, 0.1302, 0.2935, 0.5886, 1.0784, 1.7683, 2.6202, 3.5039, 4.2924,
     4.7901, 4.9397, 4.6544, 4.0366, 3.2102, 2.3374, 1.5728, 0.9590, 0.5109, 0.2259, 0.0835, 0.0242),
    (0.1053, 0.2842, 0.6238, 1.0774, 1.4154, 1.4667, 1.3278, 1.1098, 0.9013, 0.8126, 0.9294, 1.2781,
     1.8230, 2.4724, 3.0946, 3.5514, 3.7506, 3.6615, 3.2963, 2.6583, 1.8321, 1.0683, 0.5372, 0.2357),
    (0.0051, 0.0176, 0.0531, 0.1405, 0.3175, 0.6117, 1.0819, 1.7754, 2.6040, 3.3544, 3.7551, 3.6985,
     3.2293, 2.5619, 1.8863, 1.3251, 0.9147, 0.6431, 0.4623, 0.3061, 0.1620, 0.0668, 0.0222, 0.0059),
)
# fmt: on


@pytest.fixture(scope="module")
def projections():
    z, y, x = np.meshgrid(np.arange(10) - 4.5, np.arange(24) - 11.5, np.arange(24) - 11.5, indexing="ij")
    image = np.exp(-((x - 3) ** 2 + (y + 2) ** 2 + z**2) / 18.0)
    image += 0.6 * np.exp(-((x + 4) ** 2 + (y - 4) ** 2 + (z - 1) ** 2) / 10.0)
    mu = 0.135 / (1 + np.exp((np.hypot(x / 8.0, y / 6.5) - 1) * 12))
    geometry = SpectGeometry(angles_deg=ANGLES, radii_mm=RADII_MM, pixel_mm=PIXEL_MM, row_mm=PIXEL_MM, rows=10, columns=24,
                             first_row_mm=np.array([-4.5 * PIXEL_MM]))  # fmt: skip
    response = CollimatorResponse.linear(slope=0.0246 * FWHM_PER_SIGMA, intercept_mm=0.7 * FWHM_PER_SIGMA)
    volume = Volume(values=mu.astype(np.float32), grid=geometry.grid(), unit="1/cm")
    # PyTomography leaves the blur of the turning in.
    return SpectProjector(geometry, None, volume, response, compensate_turning=False).forward(image.astype(np.float32))


def test_projections_are_those_of_pytomography_within_one_percent_of_the_largest(projections):
    """Angle, direction, bins, attenuation and response, at six angles of a non-circular orbit."""
    assert np.abs(projections[:, 4] - np.array(ROWS)).max() < 0.01 * np.max(ROWS)


def test_the_counts_of_each_view_are_those_of_pytomography(projections):
    assert projections.sum(axis=(1, 2)) == pytest.approx(SUMS, rel=0.004)
