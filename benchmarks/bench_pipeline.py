"""Time a reading's arithmetic: read, SUV, CT on the PET grid, threshold from a reference, lesions, their metrics.

The reference is a sphere at a known place, so that every stack does the same work; placing references automatically
is timed with the whole command (``bench_read_command.py``). What fusin does beyond the others in the same time:
geometry and header checks, several definitions of the peak, ratios with their uncertainty, splitting of touching
lesions and stable identities. The others take their statistics on the hot voxels only, as a careful user would:
``scipy.ndimage.maximum`` on the whole volume costs seconds more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np

from fusin.provenance import NoticeLog
from fusin.quantification.candidates import CandidateResult, find_candidates
from fusin.quantification.peaks import sphere_weights
from fusin.quantification.references import reference_at
from fusin.quantification.study import open_study
from fusin.quantification.thresholds import threshold_reference
from study import BenchStudy, bench_study
from timing import FUSIN, Table, print_table, race, version

__all__ = ["main", "tables"]

AORTA_MM = (22.4, 32.6, -509.25)
RADIUS_MM = 8.0
MIN_VOLUME_ML = 0.3


def fusin_pipeline(study: BenchStudy) -> CandidateResult:
    """What ``fusin read`` computes without placing references: lesions with all metrics and ratios."""
    log = NoticeLog()
    opened = open_study(study.folder, log)
    blood = reference_at(opened.pet, "blood_pool", AORTA_MM, log=log)
    return find_candidates(opened.pet, threshold_reference(blood), log=log, references=[blood])


def suv_with_pydicom(study: BenchStudy) -> tuple[np.ndarray, np.ndarray, list[Any], list[Any]]:
    """SUV and CT arrays with the sorted headers of both, by pydicom and numpy."""
    import pydicom

    series = []
    for folder in (study.pet, study.ct):
        datasets = [pydicom.dcmread(path) for path in folder.iterdir()]
        datasets.sort(key=lambda ds: float(ds.ImagePositionPatient[2]))
        series.append(datasets)
    pet, ct = series
    suv = np.empty((len(pet), pet[0].Rows, pet[0].Columns), dtype=np.float32)
    drug = pet[0].RadiopharmaceuticalInformationSequence[0]
    start = datetime.strptime(pet[0].SeriesDate + pet[0].SeriesTime[:6], "%Y%m%d%H%M%S")
    injected = datetime.strptime(drug.RadiopharmaceuticalStartDateTime[:14], "%Y%m%d%H%M%S")
    lives = (start - injected).total_seconds() / float(drug.RadionuclideHalfLife)
    factor = float(pet[0].PatientWeight) * 1000.0 / (float(drug.RadionuclideTotalDose) * 0.5**lives)
    for index, ds in enumerate(pet):
        suv[index] = ds.pixel_array * (float(ds.RescaleSlope) * factor)
    hounsfield = np.empty((len(ct), ct[0].Rows, ct[0].Columns), dtype=np.int16)
    for index, ds in enumerate(ct):
        hounsfield[index] = ds.pixel_array + int(ds.RescaleIntercept)
    return suv, hounsfield, pet, ct


def geometry(datasets: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Origin and spacing (x, y, z) of an axis-aligned stack."""
    first, last = (np.array(datasets[i].ImagePositionPatient, dtype=float) for i in (0, -1))
    row, column = (float(v) for v in datasets[0].PixelSpacing)
    return first, np.array([column, row, (last - first)[2] / (len(datasets) - 1)])


def blood_threshold(suv: np.ndarray, origin: np.ndarray, spacing: np.ndarray) -> float:
    """Twice the mean plus two standard deviations in a sphere at the known place."""
    axes = [origin[i] + spacing[i] * np.arange(suv.shape[2 - i]) for i in range(3)]
    z, y, x = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij", sparse=True)
    inside = (x - AORTA_MM[0]) ** 2 + (y - AORTA_MM[1]) ** 2 + (z - AORTA_MM[2]) ** 2 <= RADIUS_MM**2
    return float(2.0 * suv[inside].mean() + 2.0 * suv[inside].std())


def peak_volume(suv: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Mean over the 1 mL sphere around every voxel, by Fourier convolution of the whole volume."""
    from scipy.signal import fftconvolve

    from fusin.imaging.volume import Grid

    offsets, weights = sphere_weights(Grid(shape=suv.shape, affine=np.diag([*spacing, 1.0])))
    reach = np.abs(offsets).max(axis=0)
    kernel = np.zeros(2 * reach + 1, dtype=np.float32)
    kernel[tuple((offsets + reach).T)] = weights / weights.sum()
    return fftconvolve(suv, kernel, mode="same")


def scipy_pipeline(study: BenchStudy) -> int:
    """The stack of pydicom, numpy and scipy.ndimage."""
    from scipy import ndimage

    suv, hounsfield, pet, ct = suv_with_pydicom(study)
    origin, spacing = geometry(pet)
    ct_origin, ct_spacing = geometry(ct)
    step, shift = (spacing / ct_spacing)[::-1], ((origin - ct_origin) / ct_spacing)[::-1]
    on_pet = ndimage.affine_transform(hounsfield, step, shift, output_shape=suv.shape, order=1, cval=-1024)
    labels, _ = ndimage.label(suv >= blood_threshold(suv, origin, spacing), structure=np.ones((3, 3, 3)))
    needed = math.ceil(MIN_VOLUME_ML / (spacing.prod() / 1000.0))
    large = np.flatnonzero(np.bincount(labels.ravel())[1:] >= needed) + 1
    hot = np.flatnonzero(labels)
    names, values = labels.ravel()[hot], suv.ravel()[hot]
    peaks = ndimage.maximum(peak_volume(suv, spacing).ravel()[hot], names, large)
    with np.errstate(invalid="ignore"):
        for statistic in (ndimage.maximum, ndimage.mean, ndimage.standard_deviation, ndimage.median, ndimage.sum):
            statistic(values, names, large)
    assert on_pet.shape == suv.shape
    return len(peaks)


def sitk_pipeline(study: BenchStudy) -> int:
    """The stack of pydicom, SimpleITK and a Fourier peak."""
    import SimpleITK as sitk  # noqa: N813 - its own documentation's name
    from scipy import ndimage

    suv, hounsfield, pet, ct = suv_with_pydicom(study)
    images = []
    for values, datasets in ((suv, pet), (hounsfield, ct)):
        image = sitk.GetImageFromArray(values)
        origin, spacing = geometry(datasets)
        image.SetOrigin(origin.tolist())
        image.SetSpacing(spacing.tolist())
        images.append(image)
    on_pet = sitk.Resample(images[1], images[0], sitk.Transform(), sitk.sitkLinear, -1024)
    origin, spacing = geometry(pet)
    mask = sitk.BinaryThreshold(images[0], lowerThreshold=blood_threshold(suv, origin, spacing), upperThreshold=1e9)
    needed = math.ceil(MIN_VOLUME_ML / (spacing.prod() / 1000.0))
    labels = sitk.RelabelComponent(sitk.ConnectedComponent(mask, True), minimumObjectSize=needed)
    statistics = sitk.LabelIntensityStatisticsImageFilter()
    statistics.Execute(labels, images[0])
    names = sitk.GetArrayViewFromImage(labels).ravel()
    hot = np.flatnonzero(names)
    ndimage.maximum(peak_volume(suv, spacing).ravel()[hot], names[hot], statistics.GetLabels())
    assert on_pet.GetSize() == images[0].GetSize()
    return len(statistics.GetLabels())


def tables() -> list[Table]:
    """One table of the whole pipeline."""
    study = bench_study()
    calls: dict[str, Callable[[], Any]] = {
        FUSIN: lambda: fusin_pipeline(study),
        "pydicom + scipy.ndimage + FFT peak": lambda: scipy_pipeline(study),
    }
    remarks = []
    result = fusin_pipeline(study)
    counts = [
        f"fusin {result.components} components, {len(result.lesions)} candidates at SUV {result.threshold.suv:.3f}"
    ]
    if version("SimpleITK") == "not installed":
        remarks.append("SimpleITK is not installed: skipped")
    else:
        calls["pydicom + SimpleITK resample, components, LabelIntensity + FFT peak"] = lambda: sitk_pipeline(study)
        counts.append(f"SimpleITK stack {sitk_pipeline(study)} components of {MIN_VOLUME_ML} mL or more")
    counts.append(f"scipy stack {scipy_pipeline(study)}")
    return [Table("Read + SUV + CT on the PET grid + lesions + metrics", race(calls), ["; ".join(counts), *remarks])]


def main() -> None:
    """Print the table."""
    for table in tables():
        print_table(table)


if __name__ == "__main__":
    main()
