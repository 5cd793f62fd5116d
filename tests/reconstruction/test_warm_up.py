"""What a first run compiles ahead is what the reconstruction then uses."""

from __future__ import annotations

import numpy as np
import pytest

from fusin.reconstruction import warm_up
from fusin.reconstruction.warm_up import compile_kernels, kernels_compiled


@pytest.mark.parametrize("modality", ["matrix", "spect", "pet"])
def test_progress_counts_every_step_and_the_kernels_are_found_afterwards(modality):
    seen = []
    compile_kernels(modality, lambda done, total: seen.append((done, total)))
    total = seen[0][1]
    assert seen == [(n, total) for n in range(total + 1)]
    assert kernels_compiled(modality)


def test_a_camera_of_another_size_needs_no_further_compilation():
    from fusin.reconstruction import spect_kernels
    from fusin.reconstruction.spect import SpectGeometry, SpectProjector

    compile_kernels("spect")
    kernels = [
        getattr(spect_kernels, name)
        for name in ("rotate_forward", "rotate_back", "blur_forward", "blur_back", "to_slabs")
    ]
    before = [len(k.signatures) for k in kernels]
    geometry = SpectGeometry.circular(views=6, radius_mm=200.0, pixel_mm=5.0, rows=5, columns=9)
    projector = SpectProjector(geometry)
    projector.back(projector.forward(np.ones(projector.image_shape, np.float32), np.array([0, 3])), np.array([0, 3]))
    assert [len(k.signatures) for k in kernels] == before


def test_a_cache_without_a_place_counts_as_not_compiled(monkeypatch):
    from fusin.reconstruction import poisson_kernels

    class Nowhere:
        class stats:  # noqa: N801
            cache_path = None

    monkeypatch.setattr(poisson_kernels, "quotients", Nowhere)
    assert not warm_up.kernels_compiled("matrix")
