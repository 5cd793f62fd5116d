"""The PNG writer is read back by an independent decoder (Pillow)."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from fusin.errors import InputError
from fusin.report.png import data_uri, grey_png, palette_png

pictures = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=24))


@settings(max_examples=25, deadline=None)
@given(levels=pictures)
def test_grey_pictures_survive_the_round_trip(levels: np.ndarray) -> None:
    with Image.open(io.BytesIO(grey_png(levels))) as image:
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), levels)


@settings(max_examples=25, deadline=None)
@given(indices=pictures, seed=st.integers(0, 99))
def test_palette_pictures_keep_colour_and_opacity(indices: np.ndarray, seed: int) -> None:
    palette = np.random.default_rng(seed).integers(0, 256, (256, 4)).astype(np.uint8)
    with Image.open(io.BytesIO(palette_png(indices, palette))) as image:
        assert np.array_equal(np.asarray(image.convert("RGBA")), palette[indices])


def test_an_index_outside_the_palette_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        palette_png(np.full((2, 2), 9, np.uint8), np.zeros((4, 4), np.uint8))
    assert caught.value.found == 9


def test_the_data_uri_holds_the_same_bytes() -> None:
    png = grey_png(np.eye(5, dtype=np.uint8))
    assert base64.b64decode(data_uri(png).removeprefix("data:image/png;base64,")) == png
