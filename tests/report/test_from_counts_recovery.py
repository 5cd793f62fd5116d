"""Recovery of the counted patient: from spheres of one phantom to outlines of another, without knowing what was planted."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from fusin.imaging.volume import Grid, Volume
from fusin.reconstruction.phantoms import Part, Phantom
from fusin.reconstruction.solids import cylinder, ellipsoid, sphere
from fusin.report.from_counts_recovery import DIAMETERS_MM, measured_recovery, recovery_of, sphere_phantom

SIGMA_MM = 12.0 / 2.3548


def grid_of(half, pitch=4.0):
    counts = [2 * int(h / pitch) for h in half]
    affine = np.diag([pitch, pitch, pitch, 1.0])
    affine[:3, 3] = [-0.5 * (n - 1) * pitch for n in counts]
    return Grid(shape=(counts[2], counts[1], counts[0]), affine=affine)


def blurred(phantom, grid):
    values = phantom.on_grid(grid, samples=(3, 3, 3))[0].values
    return Volume(values=gaussian_filter(values, SIGMA_MM / 4.0), grid=grid, unit="Bq/ml")


@pytest.fixture(scope="module")
def recovery():
    phantom, grid = sphere_phantom(middle_z_mm=0.0, mu_per_cm=0.1), grid_of((140.0, 140.0, 128.0))
    return measured_recovery(blurred(phantom, grid), phantom, grid)


def test_the_width_of_a_gaussian_is_found_again_on_the_spheres(recovery):
    assert recovery.width_mm == pytest.approx(12.0, rel=0.03)
    assert [s.diameter_mm for s in recovery.spheres] == sorted(DIAMETERS_MM)
    found = [s.recovery for s in recovery.spheres]
    assert found == sorted(found)
    assert 0.0 < found[0] < found[-1] < 1.0
    for one in recovery.spheres:
        assert abs(one.recovery - one.fitted) < 3.0 * recovery.spread * (1.0 - one.fitted)


def test_outlines_of_other_shapes_get_their_activity_back(recovery):
    """A kidney of 2:1, a large ball and a small one, in another background and beside each other."""
    parts = (
        Part(name="water", solid=cylinder((0, 0, 0), (110, 90, 90)), activity_bq_ml=4e3, mu_per_cm=0.1),
        Part(name="kidney", solid=ellipsoid((55, 10, 0), (24, 26, 54)), activity_bq_ml=9e4, mu_per_cm=0.1),
        Part(name="ball", solid=sphere((-50, 0, 0), 80.0), activity_bq_ml=3e4, mu_per_cm=0.1),
        Part(name="lesion", solid=sphere((2, -50, 30), 26.0), activity_bq_ml=6e4, mu_per_cm=0.1),
    )
    phantom, grid = Phantom(name="other", parts=parts), grid_of((120.0, 100.0, 100.0))
    image = blurred(phantom, grid)
    regions = [phantom.region(p.name, grid) for p in parts[1:]]
    divided_by = recovery_of(recovery, image, regions)
    for part, region in zip(parts[1:], regions, strict=True):
        by = divided_by[part.name]
        value = float(image.values[region.mask()].mean()) / by.value
        assert abs(value / part.activity_bq_ml - 1.0) < 2.5 * by.relative, part.name
        assert value == pytest.approx(part.activity_bq_ml, rel=0.1)
    assert divided_by["lesion"].relative > divided_by["ball"].relative


def test_a_sphere_thinner_than_its_layer_keeps_a_recovery(recovery):
    assert recovery.at(2.0).value == pytest.approx(0.05)
    assert recovery.at(1000.0).value > 0.98
