"""One OSEM iteration of a SPECT with attenuation and collimator response, against PyTomography on the same counts.

PyTomography and torch are looked for in this environment, or in the one whose interpreter ``FUSIN_BENCH_PYTOMOGRAPHY`` names;
without them the table holds fusin alone. The counts come from fusin's own model, which favours neither speed; the images are
compared with the blur of the turning left in, as PyTomography leaves it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from timing import BY_A_SMALL_ONE, Table, Timing, print_table, race

SIZE, VIEWS, SUBSETS, PIXEL_MM, ITERATIONS = 128, 64, 8, 4.8, 3
SIGMA = (0.0246, 0.07)
_OWN = "from bench_spect import own; import sys; own(sys.argv[1], sys.argv[2])"


def case(path: Path) -> None:
    """Write counts of a body with lungs and spheres, 6 million of them."""
    from fusin.imaging.volume import Volume
    from fusin.reconstruction.spect import SpectGeometry, SpectProjector

    geometry = SpectGeometry.circular(views=VIEWS, radius_mm=250, pixel_mm=PIXEL_MM, rows=SIZE, columns=SIZE)
    grid = geometry.grid()
    z, y, x = (
        (n - (SIZE - 1) / 2).astype(np.float32) * PIXEL_MM for n in np.meshgrid(*[np.arange(SIZE)] * 3, indexing="ij")
    )
    body = ((x / 160) ** 2 + (y / 110) ** 2 < 1) & (np.abs(z) < 220)
    lung = ((x + 70) ** 2 / 40**2 + (y + 10) ** 2 / 60**2 < 1) & (np.abs(z) < 80) & body
    mu = np.where(lung, 0.035, np.where(body, 0.135, 0.0)).astype(np.float32)
    image = (0.5 * body).astype(np.float32)
    for a, b, c, radius, value in (
        (60, 20, 0, 40, 5),
        (-60, 40, 30, 15, 10),
        (0, -60, -40, 25, 4),
        (100, 30, -60, 12, 12),
    ):
        image[(x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2 < radius**2] = value
    clean = SpectProjector(geometry, grid, Volume(values=mu, grid=grid, unit="1/cm"), response()).forward(image)
    counts = np.random.default_rng(0).poisson(clean * (6e6 / clean.sum())).astype(np.float32)
    np.savez(path, mu=mu, counts=counts, angles_deg=geometry.angles_deg, radii_mm=geometry.radii_mm, pixel_mm=PIXEL_MM, sigma=SIGMA,
             subsets=SUBSETS)  # fmt: skip


def response():
    """sigma = 0.0246 d + 0.07 cm."""
    from fusin.reconstruction.collimator import FWHM_PER_SIGMA, CollimatorResponse

    return CollimatorResponse.linear(slope=SIGMA[0] * FWHM_PER_SIGMA, intercept_mm=10 * SIGMA[1] * FWHM_PER_SIGMA)


def steps(path: Path):
    """(start image, one iteration of OSEM as a function of an image)."""
    from fusin.imaging.volume import Volume
    from fusin.reconstruction.spect import SpectGeometry, SpectProjector

    data = np.load(path)
    geometry = SpectGeometry.circular(views=VIEWS, radius_mm=250, pixel_mm=PIXEL_MM, rows=SIZE, columns=SIZE)
    mu = Volume(values=data["mu"], grid=geometry.grid(), unit="1/cm")
    projector = SpectProjector(geometry, None, mu, response(), compensate_turning=False)
    subsets = [np.arange(k, VIEWS, SUBSETS) for k in range(SUBSETS)]
    norms = [projector.sensitivity(s) for s in subsets]
    counts = data["counts"]

    def iterate(image):
        for views, norm in zip(subsets, norms, strict=True):
            expected = projector.forward(image, views)
            ratio = np.divide(counts[views], expected, out=np.zeros_like(expected), where=expected > 1e-9)
            image = image * np.divide(projector.back(ratio, views), norm, out=np.zeros_like(norm), where=norm > 1e-9)
        return image

    return np.ones(projector.image_shape, np.float32), iterate


def own(path: str, result: str) -> None:
    """Reconstruct alone in a process, for its image, its peak memory and the time of an iteration."""
    import resource

    image, iterate = steps(Path(path))
    times = race({"fusin": lambda: iterate(image)}, runs=5)
    for _ in range(ITERATIONS):
        image = iterate(image)
    np.savez(result, image=image)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    print(json.dumps({"wall_s": times["fusin"].wall_s, "cpu_s": times["fusin"].cpu_s, "peak_mb": peak}))


def _alone(command: list[str]) -> dict[str, float]:
    here = Path(__file__).resolve().parent
    done = subprocess.run([*BY_A_SMALL_ONE, *command], cwd=here, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def tables() -> list[Table]:
    """One table: an iteration of each."""
    other = os.environ.get("FUSIN_BENCH_PYTOMOGRAPHY") or (sys.executable if find_spec("pytomography") else "")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, mine, theirs = folder / "case.npz", folder / "fusin.npz", folder / "other.npz"
        case(data)
        rows = {"fusin": Timing(**_alone([sys.executable, "-c", _OWN, str(data), str(mine)]))}
        remarks = [
            f"{SIZE}^3 voxels, {VIEWS} views, {SUBSETS} subsets; without the first iteration, which holds the sensitivities."
        ]
        if other:
            rows["PyTomography"] = Timing(
                **_alone([other, "bench_spect_pytomography.py", str(data), str(theirs), str(ITERATIONS)])
            )
            remarks.append(_compared(np.load(mine)["image"], np.load(theirs)["image"]))
        else:
            remarks.append("PyTomography is not installed and was not run.")
    return [Table("One OSEM iteration of a SPECT with attenuation and collimator response", rows, remarks)]


def _compared(one, other) -> str:
    """Difference within the circle that all views see."""
    row, column = np.indices(one.shape[1:]) - (SIZE - 1) / 2
    seen = np.broadcast_to(np.hypot(row, column) < SIZE / 2 - 2, one.shape)
    rms = float(np.sqrt(((one - other)[seen] ** 2).mean() / (other[seen] ** 2).mean()))
    total = float(one[seen].sum(dtype=float) / other[seen].sum(dtype=float))
    return f"After {ITERATIONS} iterations the images differ by {100 * rms:.2f} % rms and {100 * (total - 1):.2f} % in total."


if __name__ == "__main__":
    for table in tables():
        print_table(table)
