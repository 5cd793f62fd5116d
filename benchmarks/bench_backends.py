"""One OSEM iteration on the compiled loops against the same model on arrays of PyTorch, both on the CPU.

Without PyTorch the tables hold fusin alone. No GPU is timed here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from bench_spect import response
from fusin.errors import InputError
from fusin.imaging.volume import Volume
from fusin.provenance import NoticeLog
from fusin.reconstruction.algorithms import Options, reconstruct
from fusin.reconstruction.array_library import ArrayLibrary, open_library
from fusin.reconstruction.array_pet import ArrayPetSinogramProjector
from fusin.reconstruction.array_spect import ArraySpectProjector
from fusin.reconstruction.data import Measured
from fusin.reconstruction.pet import CylindricalScanner, PetSinogramProjector, SinogramGeometry
from fusin.reconstruction.spect import SpectGeometry, SpectProjector
from timing import FUSIN, Table, print_table, race

__all__ = ["tables"]

RUNS = 2
# Threads that wait busily would count as CPU time on a machine that other work shares.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def spect_case() -> SpectProjector:
    """32 views of 96 x 96 bins about a cylinder of water."""
    geometry = SpectGeometry.circular(views=32, radius_mm=250, pixel_mm=4.8, rows=96, columns=96)
    grid = geometry.grid()
    x, y = np.meshgrid(*[4.8 * (np.arange(96) - 47.5)] * 2)
    mu = np.broadcast_to(0.135 * (np.hypot(x / 1.4, y) < 110.0), grid.shape).astype(np.float32)
    return SpectProjector(geometry, grid, Volume(values=mu, grid=grid, unit="1/cm"), response())


def pet_case() -> PetSinogramProjector:
    """10 rings of 252 crystals, 126 views of 97 bins and 100 planes."""
    scanner = CylindricalScanner(crystals=252, rings=10, radius_mm=335.0, ring_pitch_mm=4.0625)
    geometry = SinogramGeometry.of_span(scanner, bins=97)
    return PetSinogramProjector(geometry, geometry.grid(pixel_mm=5.0, columns=80))


def _iteration(projector: Any, subsets: int) -> Callable[[], Any]:
    """One iteration with sensitivities, from counts that stay the same for all backends."""
    counts = np.random.default_rng(0).poisson(20.0, projector.data_shape).astype(np.float32)
    options = Options(algorithm="osem", iterations=1, subsets=subsets)
    return lambda: reconstruct(projector, Measured(counts=counts), options=options, likelihood=False).image


def _table(
    title: str, host: Any, other: Callable[[ArrayLibrary], Any], subsets: int, library: ArrayLibrary | None
) -> Table:
    contenders = {FUSIN: _iteration(host, subsets)}
    remarks = ["Sensitivities of the subsets are part of the iteration; the counts are noise."]
    if library is None:
        remarks.append("PyTorch is not installed and was not run.")
    else:
        contenders[f"the same on {library.words}"] = _iteration(other(library), subsets)
        one, two = (call() for call in contenders.values())
        remarks.append(
            f"The images differ by at most {float(np.abs(one - two).max() / one.max()):.1e} of the largest value."
        )
    return Table(title, race(contenders, runs=RUNS), remarks)


def tables() -> list[Table]:
    """SPECT and PET."""
    try:
        library = open_library("torch", "cpu", log=NoticeLog())
    except InputError:
        library = None
    spect, pet = spect_case(), pet_case()
    return [
        _table("Backends: OSEM iteration of a SPECT, 96^3, 32 views, 4 subsets, attenuation and collimator", spect,
               lambda lib: ArraySpectProjector(spect, lib), 4, library),
        _table("Backends: OSEM iteration of a PET, 80 x 80 x 19, 1.2 M bins, 6 subsets", pet,
               lambda lib: ArrayPetSinogramProjector(pet, lib), 6, library),
    ]  # fmt: skip


if __name__ == "__main__":
    for table in tables():
        print_table(table)
