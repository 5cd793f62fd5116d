"""Time fusin's lesion stages against what a user would pick instead, on the same 200 x 200 x 400 volume.

Run ``python benchmarks/bench_quantification.py``; each line is the median of five runs after one warm-up (compilation
is not counted), and the ratio says how many times the alternative takes as long as fusin.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from fusin.imaging.volume import Grid, Region, Volume
from fusin.provenance import NoticeLog
from fusin.quantification.candidates import find_candidates
from fusin.quantification.components import label_components
from fusin.quantification.metrics import measure_region
from fusin.quantification.peaks import find_peaks, sphere_weights
from fusin.quantification.thresholds import threshold_fixed

SHAPE = (400, 200, 200)
SPACING_MM = (4.0728, 4.0728, 3.0)
THRESHOLD = 4.0
RUNS = 5


def median_ms(call: Callable[[], object]) -> tuple[float, float]:
    """Median wall and CPU time of five runs after a warm-up, milliseconds."""
    call()
    wall, cpu = [], []
    for _ in range(RUNS):
        start, start_cpu = time.perf_counter(), time.process_time()
        call()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    return 1000.0 * statistics.median(wall), 1000.0 * statistics.median(cpu)


def report(stage: str, ours: tuple[float, float], others: dict[str, Callable[[], object]]) -> None:
    """Print fusin's times and each alternative with its ratios."""
    print(f"\n{stage}\n  {'':46s}   wall ms    CPU ms   wall ratio  CPU ratio")
    print(f"  {'fusin':46s} {ours[0]:9.1f} {ours[1]:9.1f}")
    for name, call in others.items():
        wall, cpu = median_ms(call)
        print(f"  {name:46s} {wall:9.1f} {cpu:9.1f} {wall / ours[0]:10.1f} x {cpu / ours[1]:8.1f} x")


def lesion_volume(rng: np.random.Generator, lesions: int = 150) -> Volume:
    """Warm noisy background with hot blurred spheres of 8 to 24 mm radius; about 77 000 voxels above 4."""
    from scipy.ndimage import gaussian_filter

    grid = Grid(shape=SHAPE, affine=np.diag([*SPACING_MM, 1.0]))
    values = (1.0 + 0.2 * rng.standard_normal(SHAPE)).astype(np.float32)
    step = np.array(SPACING_MM[::-1])
    for _ in range(lesions):
        centre = rng.uniform([15, 15, 15], np.array(SHAPE) - 15)
        low = np.floor(centre - 26 / step).astype(int).clip(0)
        high = np.minimum(np.ceil(centre + 26 / step).astype(int), SHAPE)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        offsets = np.stack(np.meshgrid(*[np.arange(a, b) for a, b in zip(low, high, strict=True)], indexing="ij"), -1)
        inside = (((offsets - centre) * step) ** 2).sum(axis=-1) <= rng.uniform(8, 24) ** 2
        values[box] += (rng.uniform(6, 20) * inside).astype(np.float32)
    values = gaussian_filter(values, 6.0 / 2.3548 / step)
    return Volume(values=values, grid=grid, unit="g/ml{SUVbw}")


def noise_volume(rng: np.random.Generator) -> Volume:
    """The sheet's stress case: 77 000 hot voxels scattered over the image, 60 000 components."""
    values = rng.random(SHAPE, dtype=np.float32)
    values[rng.random(SHAPE, dtype=np.float32) < 77_000 / values.size] += 5.0
    return Volume(values=values, grid=Grid(shape=SHAPE, affine=np.diag([*SPACING_MM, 1.0])), unit="g/ml{SUVbw}")


def fft_peak(volume: Volume) -> np.ndarray:
    """Whole-volume mean over the 1 mL sphere by Fourier convolution."""
    from scipy.signal import fftconvolve

    return fftconvolve(volume.values, kernel_of(volume.grid), mode="same")


def direct_peak(volume: Volume) -> np.ndarray:
    """The same by direct convolution."""
    from scipy.ndimage import convolve

    return convolve(volume.values, kernel_of(volume.grid))


def kernel_of(grid: Grid) -> np.ndarray:
    """Dense, normalised 1 mL sphere."""
    offsets, weights = sphere_weights(grid)
    reach = np.abs(offsets).max(axis=0)
    kernel = np.zeros(2 * reach + 1, dtype=np.float32)
    kernel[tuple((offsets + reach).T)] = weights / weights.sum()
    return kernel


def scipy_pipeline(volume: Volume) -> object:
    """Label, count, per-label maximum and mean, whole-volume FFT peak and its per-label maximum (of large labels)."""
    from scipy import ndimage

    labels, _ = ndimage.label(volume.values >= THRESHOLD, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel())
    large = np.flatnonzero(sizes[1:] * volume.voxel_volume_ml >= 0.5) + 1
    peaks = ndimage.maximum(fft_peak(volume), labels, large)
    return ndimage.maximum(volume.values, labels, large), ndimage.mean(volume.values, labels, large), peaks


def scipy_foreground(volume: Volume) -> object:
    """The same with the statistics on the foreground voxels only, as a careful user would write it."""
    from scipy import ndimage

    labels, _ = ndimage.label(volume.values >= THRESHOLD, structure=np.ones((3, 3, 3)))
    hot = np.flatnonzero(labels)
    names, values = labels.ravel()[hot], volume.values.ravel()[hot]
    large = np.flatnonzero(np.bincount(names)[1:] * volume.voxel_volume_ml >= 0.5) + 1
    peaks = ndimage.maximum(fft_peak(volume).ravel()[hot], names, large)
    return ndimage.maximum(values, names, large), ndimage.mean(values, names, large), peaks


def sitk_components(volume: Volume) -> object:
    """SimpleITK's 26-connected components."""
    import SimpleITK as sitk  # noqa: N813 - its own documentation's name

    return sitk.ConnectedComponent(sitk.GetImageFromArray((volume.values >= THRESHOLD).astype(np.uint8)), True)


def sitk_pipeline(volume: Volume) -> object:
    """SimpleITK components, size filter and LabelIntensityStatistics, with the FFT peak."""
    import SimpleITK as sitk  # noqa: N813 - its own documentation's name

    labels = sitk.RelabelComponent(sitk_components(volume), minimumObjectSize=11)
    filter_ = sitk.LabelIntensityStatisticsImageFilter()
    filter_.Execute(labels, sitk.GetImageFromArray(volume.values))
    return filter_, fft_peak(volume)


def scipy_components(volume: Volume) -> object:
    """SciPy's 26-connected components."""
    from scipy import ndimage

    return ndimage.label(volume.values >= THRESHOLD, structure=np.ones((3, 3, 3)))


def run(title: str, volume: Volume) -> None:
    """Time all stages on one volume."""
    mask = volume.values >= THRESHOLD
    threshold = threshold_fixed(THRESHOLD)
    result = find_candidates(volume, threshold, log=NoticeLog())
    print(
        f"\n=== {title}: {np.count_nonzero(mask)} hot voxels, {result.components} components, "
        f"{len(result.lesions)} candidates ==="
    )
    others = {"scipy.ndimage.label": lambda: scipy_components(volume)}
    pipelines = {
        "scipy label + maximum + mean + FFT peak": lambda: scipy_pipeline(volume),
        "the same, statistics on the foreground only": lambda: scipy_foreground(volume),
    }
    try:
        import SimpleITK  # noqa: F401
    except ImportError:
        print("SimpleITK is not installed: its lines are missing")
    else:
        others["SimpleITK ConnectedComponent"] = lambda: sitk_components(volume)
        pipelines["SimpleITK components + LabelIntensity + FFT"] = lambda: sitk_pipeline(volume)
    report(
        "threshold and 26-connected components", median_ms(lambda: label_components(volume.values >= THRESHOLD)), others
    )
    hot = Region.from_mask("hot", volume.grid, mask)
    report(
        "SUVpeak of all hot voxels (exact, IBSI local and global, PERCIST)",
        median_ms(lambda: find_peaks(volume, hot)),
        {
            "fftconvolve, whole volume, one form": lambda: fft_peak(volume),
            "ndimage.convolve, whole volume, one form": lambda: direct_peak(volume),
        },
    )
    report(
        "all metrics of one region of all hot voxels",
        median_ms(lambda: measure_region(volume, hot, log=NoticeLog())),
        {},
    )
    report(
        "candidates with split, all metrics and all peaks",
        median_ms(lambda: find_candidates(volume, threshold, log=NoticeLog())),
        pipelines,
    )


def main() -> None:
    """Run both cases."""
    rng = np.random.default_rng(7)
    run("lesions", lesion_volume(rng))
    run("noise stress", noise_volume(rng))


if __name__ == "__main__":
    main()
