"""Whole numbers stay whole, whatever the stored type, and never leave int16 by wrapping."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.imaging.pixels import _shift_int16
from fusin.imaging.series import scan
from fusin.imaging.volume import Grid, Volume
from fusin.provenance import NoticeLog

LIMITS = {"u1": (0, 255), "i1": (-128, 127), "<u2": (0, 65535), "<i2": (-32768, 32767), ">i2": (-32768, 32767)}


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(sorted(LIMITS)),
    seed=st.integers(0, 2**32 - 1),
    intercept=st.sampled_from([0, -1024, -8192, 1024, 32767, -32768]),
    edges=st.booleans(),
)
def test_a_shift_equals_wide_arithmetic_held_within_int16(kind, seed, intercept, edges):
    low, high = LIMITS[kind] if edges else (0, 100)
    stored = np.random.default_rng(seed).integers(low, high, (3, 4), endpoint=True).astype(kind)
    stored.flat[:2] = low, high
    out = np.empty((3, 4), np.int16)
    _shift_int16(stored, intercept, out)
    np.testing.assert_array_equal(out, np.clip(stored.astype(np.int64) + intercept, -32768, 32767))


@pytest.mark.parametrize("kind", ["<u2", "<i2"])
def test_values_may_be_shifted_where_they_lie(kind):
    out = np.empty(4, np.int16)
    stored = out.view(kind)
    stored[:] = 0, 1, 1024, 4095
    _shift_int16(stored, -1024, out)
    assert out.tolist() == [-1024, -1023, 0, 3071]


def test_a_ct_reads_alike_by_both_readers(tmp_path):
    from fusin.imaging.dicom_write import StudyHeader, write_ct_series

    grid = Grid(shape=(5, 6, 7), affine=np.diag([1.0, 1.0, 2.0, 1.0]), frame_of_reference_uid="1.2.3")
    values = np.random.default_rng(3).integers(-1024, 3000, grid.shape).astype(np.int16)
    write_ct_series(tmp_path, Volume(values=values, grid=grid, unit="[hnsf'U]"), study=StudyHeader(), seed_uid="1.2.9")
    series = scan(tmp_path, NoticeLog()).series[0]
    ours, theirs = (series.load(NoticeLog(), plain=plain).values for plain in (True, False))
    assert ours.dtype == np.int16
    np.testing.assert_array_equal(ours, values)
    np.testing.assert_array_equal(theirs, values)
