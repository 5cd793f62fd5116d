"""Time the PET projectors per line and core, and a clinical OSEM; scikit-image's radon stands beside them as the 2D reference.

scikit-image is used where it is installed. A pair of rings of a sinogram counts as a line. Figures of other projectors are quoted,
from another machine, and say so.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from fusin.reconstruction.algorithms import osem
from fusin.reconstruction.data import Measured
from fusin.reconstruction.pet import CylindricalScanner, ListmodeProjector, PetSinogramProjector, SinogramGeometry
from fusin.reconstruction.resolution import ImageResolution
from timing import BY_A_SMALL_ONE, RateTable, Table, print_table, version

__all__ = ["clinical", "tables"]

RUNS = 5
_QUOTED = (
    "Quoted, not run here, from measurements on 2 cores of another x86-64 machine (CPU time, one thread): single random lines "
    "through 128^3 with parallelproj 1.10.2 0.47 forward and 0.29 back; all ring pairs of 64 rings with libparallelproj 2.0.8.dev0 "
    "0.78 and 0.31; STIR 6.5 (ray tracing matrix, symmetries, without -march=native, another model: length of intersection) 1.1 "
    "and 1.5 over 27.2 M bins."
)


def rate(call: Any, lines: int) -> tuple[float, float]:
    """Million lines per second of CPU time and of wall time: the best of some runs after one that is not counted."""
    call()
    cpu, wall = [], []
    for _ in range(RUNS):
        a, b = time.process_time(), time.perf_counter()
        call()
        cpu.append(time.process_time() - a)
        wall.append(time.perf_counter() - b)
    return lines / 1e6 / min(cpu), lines / 1e6 / min(wall)


def sinogram_case() -> tuple[PetSinogramProjector, np.ndarray]:
    """All ring pairs of 64 rings and an image of 128 x 128 x 127; every 21st view."""
    scanner = CylindricalScanner(crystals=504, rings=64, radius_mm=335.0, ring_pitch_mm=4.0625)
    geometry = SinogramGeometry.of_span(scanner, bins=193)
    return PetSinogramProjector(geometry, geometry.grid(pixel_mm=3.125, columns=128)), np.arange(0, 252, 21)


def single_rays(count: int = 500_000) -> ListmodeProjector:
    """Random lines through a ring of 400 mm that meet the field of view."""
    scanner = CylindricalScanner(crystals=504, rings=128, radius_mm=400.0, ring_pitch_mm=3.125)
    grid = SinogramGeometry.of_span(scanner, bins=3).grid(pixel_mm=3.125, columns=128, planes_per_ring=1)
    rng = np.random.default_rng(0)
    angle, z = rng.uniform(0, 2 * np.pi, (2, 4 * count)), rng.uniform(-190, 190, (2, 4 * count))
    starts, ends = (np.stack([400 * np.cos(a), 400 * np.sin(a), h], 1) for a, h in zip(angle, z, strict=True))
    way = (ends - starts)[:, :2]
    distance = np.abs(starts[:, 0] * way[:, 1] - starts[:, 1] * way[:, 0]) / np.linalg.norm(way, axis=1)
    meets = np.flatnonzero(distance < 190.0)[:count]
    return ListmodeProjector(starts[meets], ends[meets], grid, sensitivity_image=np.ones(grid.shape, np.float32))


def projectors() -> RateTable:
    """Millions of lines per second."""
    rng = np.random.default_rng(0)
    figures: dict[str, tuple[str, ...]] = {}
    sinogram, views = sinogram_case()
    image, data = (
        rng.random(sinogram.image_shape, np.float32),
        rng.random((len(views), *sinogram.data_shape[1:]), np.float32),
    )
    found = rate(lambda: sinogram.forward(image, views), data.size), rate(lambda: sinogram.back(data, views), data.size)
    figures["fusin, sinogram of 64 rings, 128 x 128 x 127"] = _cells(*found)
    rays = single_rays()
    image, data = rng.random(rays.image_shape, np.float32), rng.random(rays.data_shape, np.float32)
    found = rate(lambda: rays.forward(image), data.size), rate(lambda: rays.back(data), data.size)
    figures["fusin, single random lines, 128^3"] = _cells(*found)
    try:
        from skimage.transform import iradon, radon
    except ImportError:
        figures["scikit-image radon (not installed)"] = ("", "", "", "")
    else:
        picture, angles = rng.random((128, 128)), np.linspace(0.0, 180.0, 180, endpoint=False)
        flat = radon(picture, theta=angles, circle=False)
        found = (rate(lambda: radon(picture, theta=angles, circle=False), flat.size),
                 rate(lambda: iradon(flat, theta=angles, filter_name=None, circle=False), flat.size))  # fmt: skip
        figures[f"scikit-image {version('scikit-image')} radon and iradon, 2D, 128^2 x 180 views"] = _cells(*found)
    head = ("M lines/s/core forward", "back", "M lines/s wall forward", "back")
    return RateTable("PET projectors, non-TOF", head=head, figures=figures, remarks=[_QUOTED])


def _cells(forward: tuple[float, float], back: tuple[float, float]) -> tuple[str, ...]:
    return tuple(f"{value:.2f}" for value in (forward[0], back[0], forward[1], back[1]))


def clinical() -> str:
    """3 iterations x 21 subsets of 200 x 200 x 109 voxels from 168 x 400 x 621 bins, with resolution and randoms."""
    scanner = CylindricalScanner(crystals=672, rings=55, radius_mm=428.0, ring_pitch_mm=4.054)
    geometry = SinogramGeometry.of_span(scanner, bins=400, span=11, max_ring_difference=49, mashing=2)
    grid = geometry.grid(pixel_mm=4.07, columns=200)
    projector = PetSinogramProjector(geometry, grid, resolution=ImageResolution(across_mm=4.5, along_mm=4.5))
    x, y = np.meshgrid(*[4.07 * (np.arange(200) - 99.5)] * 2)
    truth = np.broadcast_to(np.hypot(x / 1.4, y) < 120.0, grid.shape).astype(np.float32)
    expected = projector.forward(truth)
    scale = 3e7 / expected.sum(dtype=np.float64)
    additive = np.full(expected.shape, 1e7 / expected.size, np.float32)
    counts = np.random.default_rng(0).poisson(expected * scale + additive).astype(np.float32)
    start, begun = time.perf_counter(), time.process_time()
    osem(projector, Measured(counts=counts, additive=additive), iterations=3, subsets=21)
    wall, cpu = time.perf_counter() - start, time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return f"{expected.size / 1e6:.1f} M bins, {wall:.0f}, {cpu:.0f}, {peak:.2f}"


def tables() -> list[Table]:
    """The projectors, and the clinical reconstruction alone in a process for its peak memory."""
    here = Path(__file__).resolve().parent
    command = [*BY_A_SMALL_ONE, sys.executable, "-c", "import bench_pet; print(bench_pet.clinical())"]
    done = subprocess.run(command, cwd=here, check=True, capture_output=True, text=True)
    bins, *figures = done.stdout.strip().splitlines()[-1].split(", ")
    name = (
        f"fusin, 200 x 200 x 109 voxels, {bins}, 3 x 21 updates with resolution, randoms, sensitivities and likelihoods"
    )
    whole = RateTable(
        "OSEM of a clinical PET, non-TOF", head=("wall s", "CPU s", "peak GiB"), figures={name: tuple(figures)}
    )
    return [projectors(), whole]


if __name__ == "__main__":
    for table in tables():
        print_table(table)
