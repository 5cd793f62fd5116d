"""Histograms: exact overlap of boxes, known figures, and what is left out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.dosimetry.dvh import dvh, partial_volumes_ml
from fusin.errors import InputError, NotComputable
from fusin.imaging.volume import Grid, Region, Volume
from fusin.provenance import NoticeLog


def grid_of(shape, spacing=(4.0, 4.0, 4.0), origin=(0.0, 0.0, 0.0), frame="1.2.3"):
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    return Grid(shape=shape, affine=affine, frame_of_reference_uid=frame)


def ramp(shape=(1, 1, 10)):
    """Doses 1 to n in voxels of 0.064 mL."""
    return Volume(values=np.arange(1.0, np.prod(shape) + 1).reshape(shape), grid=grid_of(shape), unit="Gy")


def whole(volume, name="all"):
    return Region.from_mask(name, volume.grid, np.ones(volume.shape))


def test_figures_of_ten_voxels_can_be_counted_by_hand():
    found = dvh(ramp(), whole(ramp()), log=NoticeLog())
    assert found.total_ml == pytest.approx(0.64)
    assert (found.mean, found.least, found.most) == pytest.approx((5.5, 1.0, 10.0))
    assert found.dose_at_percent(95) == 1.0
    assert found.dose_at_percent(90) == 2.0
    assert found.dose_at_percent(50) == 6.0
    assert found.dose_at_percent(0) == 10.0
    assert found.dose_at_ml(0.064) == 10.0
    assert found.dose_at_ml(0.065) == 9.0
    assert found.percent_at(9.0) == pytest.approx(20.0)
    assert found.percent_at(9.5) == pytest.approx(10.0)
    assert found.volume_at(11.0) == 0.0
    assert found.cumulative([0, 5, 10, 11]) == pytest.approx([0.64, 0.384, 0.064, 0.0])
    assert found.differential([1, 5, 10]) == pytest.approx([0.256, 0.384])


@given(
    st.tuples(*[st.floats(0.7, 6.0)] * 3), st.tuples(*[st.floats(-9.0, 9.0)] * 3), st.integers(0, 2**31),
    st.tuples(*[st.sampled_from([1.0, -1.0])] * 3),
)  # fmt: skip
@settings(max_examples=30, deadline=None)
def test_partial_volumes_add_up_to_the_region_on_any_grid_that_holds_it(spacing, origin, seed, signs):
    mask = np.random.default_rng(seed).random((5, 6, 7)) < 0.4
    steps = np.array(spacing) * np.array(signs)
    region = Region.from_mask("r", grid_of(mask.shape, tuple(steps), origin), mask)
    dose_grid = grid_of((40, 40, 40), (4.0, 4.0, 4.0), (-78.0, -78.0, -78.0))
    volumes = partial_volumes_ml(region, dose_grid)
    assert volumes.sum() == pytest.approx(region.volume_ml, rel=1e-9, abs=1e-12)
    assert volumes.max() <= dose_grid.voxel_volume_ml * (1 + 1e-9)
    if region.voxels:
        k, j, i = np.indices(dose_grid.shape)
        centres = dose_grid.to_mm(np.stack([i, j, k], axis=-1))
        # The centroid survives only when each part goes to its own voxel, to half a voxel.
        mean = (centres * volumes[..., None]).sum(axis=(0, 1, 2)) / volumes.sum()
        assert np.abs(mean - region.centroid_mm()).max() <= 2.0


def test_a_box_that_cuts_voxels_in_known_parts_counts_with_these_parts():
    """A cube of 4 mm shifted by 1 mm along columns lies to 3/4 in one voxel and to 1/4 in the next."""
    dose = ramp((1, 1, 3))
    region = Region.from_mask("r", grid_of((1, 1, 1), origin=(1.0, 0.0, 0.0)), np.ones((1, 1, 1)))
    found = dvh(dose, region, log=NoticeLog())
    assert found.dose.tolist() == [1.0, 2.0]
    assert found.volume_ml == pytest.approx([0.048, 0.016])
    assert found.mean == pytest.approx(1.25)


def test_a_region_on_the_dose_grid_counts_whole_voxels():
    dose = ramp((3, 4, 5))
    mask = np.random.default_rng(0).random((3, 4, 5)) < 0.5
    assert np.array_equal(partial_volumes_ml(Region.from_mask("r", dose.grid, mask), dose.grid) > 0, mask)
    assert dvh(dose, Region.from_mask("r", dose.grid, mask), log=NoticeLog()).mean == pytest.approx(
        dose.values[mask].mean()
    )


def test_what_lies_off_the_map_or_has_no_dose_is_said_and_left_out():
    values = np.array([[[1.0, np.nan, 3.0]]])
    dose = Volume(values=values, grid=grid_of((1, 1, 3)), unit="Gy")
    region = Region.from_mask("r", grid_of((1, 1, 5)), np.ones((1, 1, 5)))
    log = NoticeLog()
    found = dvh(dose, region, log=log)
    assert found.mean == pytest.approx(2.0)
    assert found.without_dose_ml == pytest.approx(3 * 0.064)
    assert [n.code for n in log] == ["DVH_PART_WITHOUT_DOSE"]


def test_regions_that_cannot_have_a_histogram_are_refused():
    dose = ramp()
    far = Region.from_mask("far", grid_of((1, 1, 1), origin=(900.0, 0.0, 0.0)), np.ones((1, 1, 1)))
    empty = Region.from_mask("empty", dose.grid, np.zeros(dose.shape))
    for region in (far, empty):
        with pytest.raises(NotComputable, match=region.name):
            dvh(dose, region, log=NoticeLog())
    other = Region.from_mask("other", grid_of((1, 1, 10), frame="9.9"), np.ones((1, 1, 10)))
    with pytest.raises(InputError, match="Frame of Reference"):
        dvh(dose, other, log=NoticeLog())
    turned = np.diag([4.0, 4.0, 4.0, 1.0])
    turned[:2, :2] = 4.0 * np.array([[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]])
    tilted = Grid(shape=(1, 1, 10), affine=turned, frame_of_reference_uid="1.2.3")
    with pytest.raises(InputError, match="parallel"):
        dvh(dose, Region.from_mask("t", tilted, np.ones((1, 1, 10))), log=NoticeLog())


@pytest.mark.parametrize(
    "ask",
    [lambda h: h.dose_at_percent(101), lambda h: h.dose_at_ml(1.0), lambda h: h.volume_at(np.nan),
     lambda h: h.differential([1, 1]), lambda h: h.cumulative(["x"]), lambda h: h.dose_at_percent(-1)],
)  # fmt: skip
def test_questions_without_an_answer_are_refused(ask):
    with pytest.raises(InputError, match="all"):
        ask(dvh(ramp(), whole(ramp()), log=NoticeLog()))
