"""Voxel dose: the transform against a direct sum, energy, limits, density, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.dosimetry.emissions import JOULE_PER_KEV
from fusin.dosimetry.voxel_convolution import convolve
from fusin.dosimetry.voxel_kernels import voxel_kernel
from fusin.dosimetry.voxels import density_from_ct, voxel_dose
from fusin.errors import FusinError, InputError, NotComputable
from fusin.imaging.volume import Grid, Volume
from fusin.provenance import NoticeLog

SPACING = (5.0, 4.0, 3.0)


def grid_of(shape, spacing=SPACING, frame="1.2.3", origin=(0.0, 0.0, 0.0)):
    affine = np.diag([*spacing[::-1], 1.0])
    affine[:3, 3] = origin
    return Grid(shape=shape, affine=affine, frame_of_reference_uid=frame)


def activity_of(values, unit="MBq.h/ml", spacing=SPACING):
    values = np.asarray(values, dtype=float)
    return Volume(values=values, grid=grid_of(values.shape, spacing), unit=unit)


def dose_of(activity, nuclide="Lu-177", **more):
    return voxel_dose(activity, nuclide=nuclide, log=more.pop("log", NoticeLog()), **more)


def direct(activity, kernel):
    """Every voxel times every displacement, on a grid that holds all; the middle of it is the image."""
    reach = [n // 2 for n in kernel.shape]
    full = np.zeros([n + 2 * r for n, r in zip(activity.shape, reach, strict=True)])
    for at in np.ndindex(activity.shape):
        full[tuple(slice(a, a + n) for a, n in zip(at, kernel.shape, strict=True))] += activity[at] * kernel
    inside = full[tuple(slice(r, r + n) for r, n in zip(reach, activity.shape, strict=True))]
    return inside, full.sum() - inside.sum()


@given(st.tuples(*[st.integers(1, 9)] * 3), st.tuples(*[st.sampled_from([1, 3, 5, 9, 13])] * 3), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_the_transform_gives_the_direct_sum_inside_and_beyond_any_grid(shape, size, seed):
    rng = np.random.default_rng(seed)
    activity = rng.random(shape)
    octant = rng.random([n // 2 + 1 for n in size])
    index = np.ix_(*[np.abs(np.arange(n) - n // 2) for n in size])
    kernel = octant[index]
    found = convolve(activity, kernel)
    inside, outside = direct(activity, kernel)
    np.testing.assert_allclose(found.values, inside, rtol=0, atol=1e-12 * inside.max())
    assert found.outside == pytest.approx(outside, rel=1e-9, abs=1e-12 * inside.sum())


@pytest.mark.parametrize("nuclide", ["Lu-177", "Y-90"])
def test_the_dose_is_the_direct_sum_of_voxel_s_values_times_activities(nuclide):
    rng = np.random.default_rng(1)
    activity = activity_of(rng.random((6, 7, 8)))
    kernel = voxel_kernel(nuclide, SPACING)
    inside, _ = direct(np.asarray(activity.values) * 3600.0 * math.prod(SPACING) * 1e-3, kernel.values)
    found = dose_of(activity, nuclide, photons="near").dose
    np.testing.assert_allclose(found.values, inside * 1e-3, rtol=1e-9)
    assert found.unit == "Gy"


@pytest.mark.parametrize("electrons", ["convolution", "local"])
@pytest.mark.parametrize("photons", ["far", "near", "none"])
@pytest.mark.parametrize("nuclide", ["Lu-177", "Y-90"])
def test_energy_is_conserved_with_and_without_density(electrons, photons, nuclide):
    rng = np.random.default_rng(2)
    activity = activity_of(rng.random((9, 10, 11)))
    density = Volume(values=rng.uniform(0.02, 1.9, activity.shape), grid=activity.grid, unit="g/ml")
    for own in (None, density):
        energy = dose_of(activity, nuclide, electrons=electrons, photons=photons, density=own).energy
        shares = energy.in_grid + energy.without_density + energy.left_grid + energy.beyond_kernel
        assert shares == pytest.approx(1.0, abs=1e-9)
        assert energy.mismatch == pytest.approx(0.0, abs=1e-9)
        assert (energy.without_density > 0) == (own is not None)


def test_the_energy_in_the_grid_is_that_of_an_independent_sum():
    """Mass times dose against decays times the energy per decay, from the published units alone."""
    activity = activity_of(np.random.default_rng(3).random((5, 6, 7)))
    result = dose_of(activity, density_g_ml=1.1)
    joule = float(result.dose.values.sum()) * math.prod(SPACING) * 1e-6 * 1.1
    decays = float(np.asarray(activity.values).sum()) * 3600e6 * math.prod(SPACING) * 1e-3
    emitted = sum(voxel_kernel("Lu-177", SPACING, 1.1, part=p).energy_emitted_kev for p in ("electrons", "photons"))
    assert joule / (decays * emitted * JOULE_PER_KEV) == pytest.approx(result.energy.in_grid, rel=1e-12)


def test_far_from_edges_even_activity_gives_local_deposition():
    activity = activity_of(np.ones((23, 23, 23)))
    spread = dose_of(activity, "Y-90", photons="none").dose.values[11, 11, 11]
    local = dose_of(activity, "Y-90", photons="none", electrons="local").dose.values
    assert spread == pytest.approx(local[11, 11, 11], rel=1e-6)
    # Equilibrium dose: energy per mass, by hand.
    kept = voxel_kernel("Y-90", SPACING, part="electrons").energy_absorbed_kev
    assert local[0, 0, 0] == pytest.approx(3600e6 * kept * JOULE_PER_KEV / (1.04e-3), rel=1e-9)


def test_photons_over_the_image_agree_with_a_fine_kernel_of_the_same_reach():
    values = np.zeros((21, 21, 21))
    values[4:17, 4:17, 4:17] = 1.0
    activity = activity_of(values, spacing=(4.0, 4.0, 4.0))
    far = dose_of(activity, "Lu-177", electrons="local").dose.values
    fine = dose_of(activity, "Lu-177", electrons="local", photons="near", size=41).dose.values
    only = fine - dose_of(activity, "Lu-177", electrons="local", photons="none", size=41).dose.values
    assert np.abs(far - fine)[6:15, 6:15, 6:15].max() < 0.04 * only.max()
    assert far[10, 10, 10] == pytest.approx(fine[10, 10, 10], rel=2e-3)


def test_an_empty_corner_far_away_never_gets_a_negative_dose():
    values = np.zeros((40, 8, 8))
    values[0] = 1e6
    for photons in ("far", "near", "none"):
        assert dose_of(activity_of(values), photons=photons).dose.values.min() >= 0.0


@pytest.mark.parametrize(
    ("unit", "factor", "gives"),
    [("Bq/ml", 1e-6, "Gy/h"), ("kBq/ml", 1e-3, "Gy/h"), ("MBq/ml", 1.0, "Gy/h"), ("Bq.s/ml", 1e-6 / 3600, "Gy"),
     ("kBq.h/ml", 1e-3, "Gy"), ("MBq.s/ml", 1 / 3600, "Gy")],
)  # fmt: skip
def test_units_of_activity_lead_to_their_dose(unit, factor, gives):
    values = np.random.default_rng(4).random((4, 4, 4))
    whole = dose_of(activity_of(values, "MBq.h/ml"), photons="none").dose
    found = dose_of(activity_of(values, unit), photons="none").dose
    assert found.unit == gives
    np.testing.assert_allclose(found.values, whole.values * factor, rtol=1e-12)


def test_twice_the_density_halves_the_dose_of_a_voxel_and_leaves_others():
    activity = activity_of(np.ones((5, 5, 5)))
    own = np.full((5, 5, 5), 1.04)
    own[2, 2, 2] = 2.08
    plain = dose_of(activity).dose.values
    found = dose_of(activity, density=Volume(values=own, grid=activity.grid, unit="g/ml")).dose.values
    assert found[2, 2, 2] == pytest.approx(plain[2, 2, 2] / 2)
    assert found[0, 0, 0] == pytest.approx(plain[0, 0, 0])


def test_air_has_no_dose_and_its_energy_is_stated():
    activity = activity_of(np.ones((5, 5, 5)))
    own = np.full((5, 5, 5), 1.0)
    own[0], own[1, 0, 0] = 0.0012, np.nan
    log = NoticeLog()
    result = dose_of(activity, density=Volume(values=own, grid=activity.grid, unit="g/ml"), log=log)
    assert np.count_nonzero(np.isnan(result.dose.values)) == 26
    assert result.energy.without_density > 0.1
    assert [n.code for n in log] == ["DOSE_WITHOUT_DENSITY"]


def test_negative_activity_is_kept_and_said():
    values = np.ones((5, 5, 5))
    values[2, 2, 2] = -3.0
    log = NoticeLog()
    assert dose_of(activity_of(values), log=log, photons="none").dose.values[2, 2, 2] < 0
    assert [n.code for n in log] == ["NEGATIVE_VOXEL_ACTIVITY"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"unit": "Bq"}, "unit of the activity"),
        ({"values": np.full((3, 3, 3), np.nan)}, "27 voxels"),
        ({"values": np.zeros((3, 3, 3))}, "above zero"),
        ({"nuclide": "Xx-1"}, "Xx-1"),
        ({"electrons": "guess"}, "convolution or local"),
        ({"photons": "guess"}, "far, near or none"),
        ({"density_g_ml": 0.0}, "density"),
        ({"size": 4}, "odd"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(change, says):
    change = dict(change)
    values, unit = change.pop("values", np.ones((3, 3, 3))), change.pop("unit", "MBq.h/ml")
    with pytest.raises(FusinError, match=says) as caught:
        dose_of(activity_of(values, unit), **{"nuclide": "Lu-177", **change})
    assert "\n" not in str(caught.value)


def test_a_density_of_another_grid_frame_or_unit_is_refused():
    activity = activity_of(np.ones((3, 3, 3)))
    for grid, unit, says in (
        (grid_of((3, 3, 4)), "g/ml", "resample"),
        (grid_of((3, 3, 3), frame="9.9"), "g/ml", "Frame of Reference"),
        (activity.grid, "kg/m3", "g/ml"),
    ):
        with pytest.raises(InputError, match=says):
            dose_of(activity, density=Volume(values=np.ones(grid.shape), grid=grid, unit=unit))
    with pytest.raises(InputError, match="at most"):
        dose_of(activity, density=Volume(values=np.full((3, 3, 3), 1040.0), grid=activity.grid, unit="g/ml"))


def test_a_tilted_grid_is_refused():
    affine = np.diag([3.0, 4.0, 5.0, 1.0])
    affine[1, 2] = 1.0
    tilted = Volume(values=np.ones((3, 3, 3)), grid=Grid(shape=(3, 3, 3), affine=affine), unit="MBq.h/ml")
    with pytest.raises(InputError, match="right angle"):
        dose_of(tilted)


def test_energy_that_is_lost_refuses_the_dose(monkeypatch):
    from fusin.dosimetry import voxels

    def lossy(activity, kernel, *, workers=None):
        done = convolve(activity, kernel, workers=workers)
        return type(done)(done.values * (1 - 1e-5), done.outside)

    monkeypatch.setattr(voxels, "convolve", lossy)
    with pytest.raises(NotComputable, match="unaccounted"):
        dose_of(activity_of(np.ones((5, 5, 5))))


def test_a_kernel_that_is_not_symmetric_is_refused():
    kernel = np.ones((3, 3, 3))
    kernel[0, 1, 1] = 2.0
    with pytest.raises(InputError, match="symmetric"):
        convolve(np.ones((3, 3, 3)), kernel)
    with pytest.raises(InputError, match="odd"):
        convolve(np.ones((3, 3, 3)), np.ones((2, 3, 3)))


CURVE = [(-1000.0, 0.0012), (0.0, 1.0), (1000.0, 1.6)]


def ct_of(values, grid):
    return Volume(values=np.asarray(values), grid=grid, unit="[hnsf'U]")


def test_density_follows_the_curve_and_ct_padding_is_said():
    grid = grid_of((1, 1, 4))
    log = NoticeLog()
    found = density_from_ct(ct_of([[[-1024, -500, 0, 3000]]], grid), grid, curve=CURVE, log=log)
    assert found.values[0, 0] == pytest.approx([0.0012, 0.5006, 1.0, 1.6])
    assert [(n.code, n.severity) for n in log] == [("CT_BEYOND_CURVE", "info"), ("CT_BEYOND_CURVE", "warning")]


def test_a_dose_voxel_gets_the_mean_density_of_its_ct_voxels_whatever_their_pattern():
    """Point sampling of a chequered CT would give one of its two densities."""
    fine = grid_of((30, 30, 30), (1.0, 1.0, 1.0))
    chequered = np.where(np.indices(fine.shape).sum(axis=0) % 2, -1000.0, 1000.0)
    coarse = grid_of((4, 4, 4), (5.0, 5.0, 5.0), origin=(7.0, 7.0, 7.0))
    found = density_from_ct(ct_of(chequered, fine), coarse, curve=CURVE, log=NoticeLog()).values
    np.testing.assert_allclose(found, 0.8006, atol=0.01)


def test_beyond_the_ct_there_is_no_density():
    ct, grid = grid_of((3, 3, 3)), grid_of((3, 3, 6))
    found = density_from_ct(ct_of(np.zeros((3, 3, 3)), ct), grid, curve=CURVE, log=NoticeLog()).values
    assert np.isnan(found[:, :, 3:]).all()
    assert found[:, :, :3] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "curve", [[(0.0, 1.0)], [(0.0, 1.0), (0.0, 2.0)], [(0.0, 2.0), (1.0, 1.0)], [(0.0, math.nan), (1.0, 1.0)]]
)
def test_a_curve_that_does_not_rise_is_refused(curve):
    grid = grid_of((2, 2, 2))
    with pytest.raises(InputError, match="curve"):
        density_from_ct(ct_of(np.zeros((2, 2, 2)), grid), grid, curve=curve, log=NoticeLog())


@pytest.mark.parametrize(("nuclide", "sphere", "within"), [("Lu-177", 2.359e-3, 0.015), ("Y-90", 1.275e-2, 0.025)])
def test_a_ball_of_small_voxels_gets_the_dose_of_a_sphere(nuclide, sphere, within):
    """S of 10 g of water by EGSnrc; steps on the surface let a little more escape than a smooth sphere does."""
    shape = (27, 27, 27)
    ball = ((np.indices(shape) - 13) ** 2).sum(axis=0) <= 6.7**2
    grams = ball.sum() * 0.008
    found = dose_of(activity_of(ball, "MBq.s/ml", (2.0, 2.0, 2.0)), nuclide, density_g_ml=1.0, medium="water").dose
    mean = 1e3 * found.values[ball].mean() / grams
    assert mean == pytest.approx(sphere * 10.0 / grams, rel=within)
    assert mean < sphere * 10.0 / grams
