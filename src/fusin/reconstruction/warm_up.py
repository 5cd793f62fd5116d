"""Compile the kernels of a modality before the first run on a computer, step by step, so that a user sees what takes so long.

A scanner of a few crystals or a camera of a few bins is projected there and back; numba keeps the machine code on the disk.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

__all__ = ["compile_kernels", "kernels_compiled"]

Modality = Literal["spect", "pet", "matrix"]

_KERNELS = {
    "matrix": (("poisson_kernels", "quotients"),),
    "spect": (("poisson_kernels", "quotients"), ("spect_kernels", "rotate_forward"), ("spect_kernels", "rotate_back")),
    "pet": (("poisson_kernels", "quotients"), ("pet_kernels", "")),
}


def kernels_compiled(modality: Modality) -> bool:
    """Whether every kernel of a modality lies in the cache of numba.

    Parameters
    ----------
    modality : whose kernels
    """
    from fusin.reconstruction.poisson_kernels import quotients

    place = quotients.stats.cache_path
    if place is None:
        return False
    folder = Path(place)
    for module, function in _KERNELS[modality]:
        import_module(f"fusin.reconstruction.{module}")
        if not any(folder.glob(f"{module}.{function}*.nbi")):
            return False
    return True


def compile_kernels(modality: Modality, progress: Callable[[int, int], None] = lambda done, total: None) -> None:
    """Compile, or load, the kernels of a modality.

    Parameters
    ----------
    modality : whose kernels
    progress : called with (done, total) before each step and after the last
    """
    projector = _small_camera() if modality == "spect" else _small_scanner() if modality == "pet" else None
    steps: list[Callable[[], Any]] = [_poisson]
    if projector is not None:
        image, data = np.ones(projector.image_shape, np.float32), np.ones(projector.data_shape, np.float32)
        steps += [lambda: projector.forward(image), lambda: projector.back(data)]
    for number, step in enumerate(steps):
        progress(number, len(steps))
        step()
    progress(len(steps), len(steps))


def _poisson() -> None:
    from fusin.reconstruction.poisson_kernels import log_terms, quotients

    ones = np.ones((1, 1), np.float32)
    quotients(ones, ones, 0.0)
    log_terms(ones, ones, np.empty((0, 0), np.float32))


def _small_camera() -> Any:
    from fusin.imaging.volume import Volume
    from fusin.reconstruction.collimator import CollimatorResponse
    from fusin.reconstruction.spect import SpectProjector
    from fusin.reconstruction.spect_geometry import SpectGeometry

    geometry = SpectGeometry.circular(views=2, radius_mm=100.0, pixel_mm=10.0, rows=2, columns=4)
    mu = Volume(values=np.full(geometry.grid().shape, 0.1, np.float32), grid=geometry.grid(), unit="/cm")
    return SpectProjector(geometry, None, mu, CollimatorResponse.linear(slope=0.05, intercept_mm=4.0))


def _small_scanner() -> Any:
    from fusin.reconstruction.pet import PetSinogramProjector
    from fusin.reconstruction.pet_geometry import CylindricalScanner, SinogramGeometry

    scanner = CylindricalScanner(crystals=16, rings=2, radius_mm=100.0, ring_pitch_mm=5.0)
    geometry = SinogramGeometry.of_span(scanner, bins=5)
    return PetSinogramProjector(geometry, geometry.grid(pixel_mm=10.0, columns=4))
