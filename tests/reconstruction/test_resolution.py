"""Gaussian resolution in image space."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusin.errors import InputError
from fusin.reconstruction.resolution import ImageResolution, gaussian_taps


@given(st.floats(0.0, 30.0))
def test_taps_have_the_variance_they_are_asked_for_however_narrow(variance):
    taps = gaussian_taps(variance)
    offset = np.arange(taps.size) - taps.size // 2
    assert taps.sum() == pytest.approx(1.0, abs=1e-12)
    assert (taps >= 0).all()
    assert (taps * offset**2).sum() == pytest.approx(variance, abs=2e-4 * max(variance, 0.1))


def test_a_blurred_point_has_the_stated_widths():
    image = np.zeros((41, 61, 61), np.float32)
    image[20, 30, 30] = 1.0
    blurred = ImageResolution(across_mm=12.0, along_mm=9.0).blur(image, np.array([2.0, 2.0, 3.0])).astype(float)
    for axis, spacing, width in ((0, 3.0, 9.0), (1, 2.0, 12.0), (2, 2.0, 12.0)):
        profile = blurred.sum(axis=tuple({0, 1, 2} - {axis}))
        place = spacing * (np.arange(profile.size) - profile.size // 2)
        assert np.sqrt((profile * place**2).sum()) * 2.3548200 == pytest.approx(width, rel=1e-3)


def test_the_blur_is_its_own_transpose_also_at_the_border():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 9, 8, 7))
    blur = ImageResolution(across_mm=6.0, along_mm=4.0).blur
    spacing = np.array([2.0, 2.0, 3.0])
    assert np.vdot(blur(x, spacing), y) == pytest.approx(np.vdot(x, blur(y, spacing)), abs=1e-5)


def test_no_width_changes_nothing():
    image = np.random.default_rng(0).random((3, 4, 5), np.float32)
    np.testing.assert_array_equal(ImageResolution(across_mm=0.0, along_mm=0.0).blur(image, np.ones(3)), image)


def test_negative_widths_are_refused():
    with pytest.raises(InputError, match="across_mm"):
        ImageResolution(across_mm=-1.0, along_mm=4.0)
