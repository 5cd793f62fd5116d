"""Time fusin's lesion stages against what a user would pick instead, on the same 200 x 200 x 400 volume.

Each line is a median after one warm-up (compilation is not counted), and the ratio says how many times the
alternative takes as long as fusin.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fusin.imaging.volume import Grid, Region, Volume
from fusin.provenance import NoticeLog
from fusin.quantification.candidates import find_candidates
from fusin.quantification.components import label_components
from fusin.quantification.metrics import measure_region
from fusin.quantification.peaks import find_peaks, sphere_weights
from fusin.quantification.thresholds import threshold_fixed
from timing import FUSIN, Table, print_table, race, version

SHAPE = (400, 200, 200)
SPACING_MM = (4.0728, 4.0728, 3.0)
THRESHOLD = 4.0
RUNS = 5

__all__ = ["main", "tables"]


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


def compared(title: str, ours: Callable[[], object], others: dict[str, Callable[[], object]]) -> Table:
    """One stage of fusin and its alternatives."""
    return Table(title, race({FUSIN: ours, **others}, runs=RUNS))


def stages(case: str, volume: Volume) -> list[Table]:
    """All stages on one volume."""
    mask = volume.values >= THRESHOLD
    threshold = threshold_fixed(THRESHOLD)
    hot = Region.from_mask("hot", volume.grid, mask)
    labelling = {"scipy.ndimage.label": lambda: scipy_components(volume)}
    pipelines = {
        "scipy label + maximum + mean + FFT peak": lambda: scipy_pipeline(volume),
        "the same, statistics on the foreground only": lambda: scipy_foreground(volume),
    }
    if version("SimpleITK") != "not installed":
        labelling["SimpleITK ConnectedComponent"] = lambda: sitk_components(volume)
        pipelines["SimpleITK components + LabelIntensity + FFT peak"] = lambda: sitk_pipeline(volume)
    peaks = {
        "fftconvolve, whole volume, one form": lambda: fft_peak(volume),
        "ndimage.convolve, whole volume, one form": lambda: direct_peak(volume),
    }
    found = [
        compared(
            f"{case}: threshold and 26-connected components",
            lambda: label_components(volume.values >= THRESHOLD),
            labelling,
        ),
        compared(
            f"{case}: SUVpeak of all hot voxels (exact, IBSI local and global, PERCIST)",
            lambda: find_peaks(volume, hot),
            peaks,
        ),
        compared(
            f"{case}: all metrics of one region of all hot voxels",
            lambda: measure_region(volume, hot, log=NoticeLog()),
            {},
        ),
        compared(
            f"{case}: candidates with split, all metrics and all peaks",
            lambda: find_candidates(volume, threshold, log=NoticeLog()),
            pipelines,
        ),
    ]
    result = find_candidates(volume, threshold, log=NoticeLog())
    found[0].remarks.append(
        f"{np.count_nonzero(mask)} hot voxels, {result.components} components, {len(result.lesions)} candidates"
    )
    if version("SimpleITK") == "not installed":
        found[0].remarks.append("SimpleITK is not installed: skipped")
    return found


def tables() -> list[Table]:
    """Both cases."""
    rng = np.random.default_rng(7)
    return [*stages("Lesions", lesion_volume(rng)), *stages("Noise stress", noise_volume(rng))]


def main() -> None:
    """Print all tables."""
    for table in tables():
        print_table(table)


if __name__ == "__main__":
    main()
