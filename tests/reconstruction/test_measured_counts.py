"""Counts as they are checked at the door, and as they are drawn anew."""

from __future__ import annotations

import numpy as np
import pytest

from fusin.errors import InputError
from fusin.reconstruction.data import Measured


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
@pytest.mark.parametrize("field", ["counts", "additive", "weights"])
def test_a_bin_that_no_camera_could_count_is_refused_with_its_place(bad, field):
    good = np.ones((2, 3), np.float32)
    wrong = good.copy()
    wrong[1, 2] = bad
    with pytest.raises(InputError) as caught:
        Measured(**{"counts": good, field: wrong})
    assert caught.value.field == field
    assert "(1, 2)" in str(caught.value) or "no number" in str(caught.value)


def test_an_additive_part_of_another_shape_is_refused():
    with pytest.raises(InputError, match="shape"):
        Measured(counts=np.ones((2, 3)), additive=np.ones((2, 4)))


def test_no_bins_at_all_are_refused():
    with pytest.raises(InputError, match="at least one bin"):
        Measured(counts=np.ones((0, 3)))


def test_counts_are_read_only_and_the_original_stays_writeable():
    mine = np.ones((2, 3), np.float32)
    held = Measured(counts=mine)
    with pytest.raises(ValueError, match="read-only"):
        held.counts[0, 0] = 5
    mine[0, 0] = 7.0
    assert mine[0, 0] == 7.0


def test_redrawn_counts_have_the_mean_and_the_variance_of_poisson():
    held = Measured(counts=np.full((200, 200), 9.0))
    drawn = held.redrawn(np.random.default_rng(3)).counts
    assert drawn.mean() == pytest.approx(9.0, abs=0.06)
    assert drawn.var() == pytest.approx(9.0, rel=0.03)


def test_scatter_is_redrawn_where_it_has_counts_of_its_own():
    held = Measured(counts=np.full((4, 4), 9.0), additive=np.ones((4, 4)),
                    redraw_additive=lambda rng: rng.poisson(np.full((4, 4), 50.0)).astype(np.float32))  # fmt: skip
    assert (held.redrawn(np.random.default_rng(1)).additive > 10).all()
