"""Time the convolution of an activity map with a voxel kernel against one bare transform, scipy and a direct loop.

Run ``python benchmarks/bench_voxel_dose.py``; all contenders spread the same random activity with the same 11^3 kernel of Lu-177.
"""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np

from fusin.dosimetry.voxel_convolution import convolve
from fusin.dosimetry.voxel_kernels import voxel_kernel
from fusin.dosimetry.voxels import voxel_dose
from fusin.imaging.volume import Grid, Volume
from fusin.provenance import NoticeLog
from timing import FUSIN, Table, Timing, print_table, race, version

SPACING_MM = (4.8, 4.8, 4.8)

__all__ = ["main", "tables"]


def direct_loop() -> Any:
    """Voxel by voxel, compiled and parallel, over a padded map: what one would write by hand."""
    import numba

    @numba.njit(parallel=True, fastmath=True)
    def spread(padded: np.ndarray, kernel: np.ndarray, out: np.ndarray) -> None:
        size = kernel.shape[0]
        for k in numba.prange(out.shape[0]):
            for j in range(out.shape[1]):
                for i in range(out.shape[2]):
                    total = 0.0
                    for c in range(size):
                        for b in range(size):
                            for a in range(size):
                                total += padded[k + c, j + b, i + a] * kernel[c, b, a]
                    out[k, j, i] = total

    return spread


def peak_mb(call: Any) -> float:
    """Peak of what numpy holds during a call, its result included."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def convolution(count: int, *, runs: int, slow: bool) -> Table:
    """One table for a cubic grid."""
    from scipy.fft import next_fast_len, rfftn
    from scipy.signal import fftconvolve

    kernel = np.array(voxel_kernel("Lu-177", SPACING_MM).values)
    activity = np.random.default_rng(0).random((count,) * 3)
    length = next_fast_len(count + kernel.shape[0] // 2, real=True)
    contenders = {
        FUSIN: lambda: convolve(activity, kernel),
        "one bare padded rfftn (scipy.fft)": lambda: rfftn(activity, s=(length,) * 3, workers=-1),
        "scipy.signal.fftconvolve": lambda: fftconvolve(activity, kernel, mode="same"),
    }
    if slow:
        loop, half = direct_loop(), kernel.shape[0] // 2
        padded, out = np.pad(activity, half), np.empty_like(activity)
        contenders["direct loop (numba)"] = lambda: loop(padded, kernel, out)
    rows = race(contenders, runs=runs)
    rows = {name: Timing(t.wall_s, t.cpu_s, peak_mb(contenders[name])) for name, t in rows.items()}
    remarks = [f"scipy {version('scipy')}; memory is the peak of arrays during the call, the input not counted."]
    if slow:
        loop(padded, kernel, out)
        away = float(np.abs(out - convolve(activity, kernel).values).max() / out.max())
        remarks.append(f"fusin and the direct loop differ by {away:.1e} of the highest dose.")
    return Table(f"Convolution of {count}^3 voxels with an 11^3 kernel", rows, remarks)


def whole_dose(count: int) -> Table:
    """The dose of a map with photons over the whole image and the check of energy."""
    grid = Grid(shape=(count,) * 3, affine=np.diag([*SPACING_MM, 1.0]))
    activity = Volume(values=np.random.default_rng(0).random(grid.shape), grid=grid, unit="MBq.h/ml")

    def dose(photons: Any) -> object:
        return voxel_dose(activity, nuclide="Lu-177", log=NoticeLog(), photons=photons)

    rows = race({FUSIN: lambda: dose("far"), "fusin, photons within the kernel": lambda: dose("near")}, runs=3)
    return Table(
        f"Dose of {count}^3 voxels, kernels made", rows, ["Kernels are made once per grid spacing, about 1 s."]
    )


def tables() -> list[Table]:
    """One table per grid, and the whole dose."""
    return [convolution(128, runs=7, slow=True), convolution(256, runs=3, slow=False), whole_dose(128)]


def main() -> None:
    """Print all tables."""
    for table in tables():
        print_table(table)


if __name__ == "__main__":
    main()
