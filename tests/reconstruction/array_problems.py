"""Small SPECT and PET projectors, and the libraries that stand in for a GPU, for the tests of projectors on arrays."""

from __future__ import annotations

import numpy as np
import pytest

from fusin.errors import InputError
from fusin.imaging.volume import Volume
from fusin.provenance import NoticeLog
from fusin.reconstruction.array_library import open_library
from fusin.reconstruction.collimator import CollimatorResponse
from fusin.reconstruction.pet import CylindricalScanner, PetSinogramProjector, SinogramGeometry, TofBins
from fusin.reconstruction.resolution import ImageResolution
from fusin.reconstruction.spect import SpectGeometry, SpectProjector

RESPONSE = CollimatorResponse.linear(slope=0.058, intercept_mm=1.65)
SCANNER = CylindricalScanner(crystals=64, rings=6, radius_mm=150.0, ring_pitch_mm=6.0, tilt_deg=3.0)
TOF = TofBins(count=7, width_ps=300.0, resolution_ps=350.0)


def library(name, device="cpu"):
    """The library, or a skip with the reason where it is absent."""
    try:
        return open_library(name, device, log=NoticeLog())
    except InputError as err:
        pytest.skip(str(err))


def spect(*, attenuated=True, response=RESPONSE, beds=1, double=False):
    """Views of a non-circular orbit that are shifted, weighted, and lie on one bed or two."""
    count = 10
    geometry = SpectGeometry(
        angles_deg=37.0 * np.arange(count), radii_mm=np.linspace(110.0, 250.0, count), pixel_mm=4.8, row_mm=4.0, rows=18,
        columns=28, bin_shift_mm=np.linspace(-3.0, 4.0, count), weights=np.linspace(0.5, 2.0, count),
        first_row_mm=np.where(np.arange(count) % beds, 50.3 * 4.0, 0.0),
    )  # fmt: skip
    grid = geometry.grid()
    mu = np.random.default_rng(0).random(grid.shape, np.float32) * np.float32(0.15)
    return SpectProjector(
        geometry, grid, Volume(values=mu, grid=grid, unit="1/cm") if attenuated else None, response, double=double
    )


def pet(*, span=1, mashing=1, tof=None, factors=False, blurred=False, per_ring=2, rays="mean"):
    """A ring of 64 crystals about an image that is not square and lies beside the middle of the scanner."""
    geometry = SinogramGeometry.of_span(
        SCANNER, bins=31, span=span, mashing=mashing, tof=tof, centre_mm=(1.0, -2.0, 3.0)
    )
    grid = geometry.grid(pixel_mm=6.0, columns=31, rows=27, planes_per_ring=per_ring)
    rng = np.random.default_rng(1)
    shape = (geometry.views, geometry.bins, geometry.planes)
    return PetSinogramProjector(
        geometry, grid, factors=rng.random(shape) if factors else None, rays=rays,
        resolution=ImageResolution(across_mm=7.0, along_mm=5.0) if blurred else None,
    )  # fmt: skip


def difference(one, other):
    """Largest difference over the maximum."""
    return float(np.abs(one - other).max() / np.abs(other).max())


def largest_difference(host, projector, *, views=None):
    """Of forward and back projection on noise."""
    rng = np.random.default_rng(2)
    image = rng.random(host.image_shape, np.float32)
    count = host.data_shape[0] if views is None else len(views)
    data = rng.random((count, *host.data_shape[1:]), np.float32)
    return max(difference(projector.forward(image, views), host.forward(image, views)),
               difference(projector.back(data, views), host.back(data, views)))  # fmt: skip
