"""Time reading one series of 400 files to a volume: fusin against pydicom and SimpleITK, warm file cache.

All give the same values: PET as float32 in Bq/mL with the slope of each slice, CT as int16 in Hounsfield units. Only
fusin checks the geometry, looks for gaps and copies, and keeps the headers; it is timed with all of that.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fusin.imaging.series import scan
from fusin.provenance import NoticeLog
from study import bench_study
from timing import FUSIN, Table, print_table, race, version

__all__ = ["main", "tables"]


def read_fusin(folder: Path) -> np.ndarray:
    """Scan the folder and load its only series."""
    log = NoticeLog()
    return scan(folder, log).series[0].load(log).values


def read_pydicom(folder: Path, *, as_int16: bool) -> np.ndarray:
    """Read every file with pydicom, sort along the normal, rescale."""
    import pydicom

    datasets = [pydicom.dcmread(path) for path in folder.iterdir()]
    datasets.sort(key=lambda ds: float(ds.ImagePositionPatient[2]))
    shape = (len(datasets), datasets[0].Rows, datasets[0].Columns)
    volume = np.empty(shape, dtype=np.int16 if as_int16 else np.float32)
    for index, ds in enumerate(datasets):
        if as_int16:
            volume[index] = ds.pixel_array + int(ds.RescaleIntercept)
        else:
            volume[index] = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
    return volume


def read_sitk_series(folder: Path) -> Any:
    """GDCM finds and sorts the files, SimpleITK reads them in the type it chooses (float64 for a PET with slopes)."""
    import SimpleITK as sitk  # noqa: N813 - its own documentation's name

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return sitk.GetArrayViewFromImage(reader.Execute()).shape


def read_sitk_known(names: list[str], *, as_int16: bool) -> Any:
    """SimpleITK reads files whose order is known already, into the type wanted: its fastest way."""
    import SimpleITK as sitk  # noqa: N813 - its own documentation's name

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(names)
    reader.SetOutputPixelType(sitk.sitkInt16 if as_int16 else sitk.sitkFloat32)
    return sitk.GetArrayFromImage(reader.Execute())


def contenders(folder: Path, *, as_int16: bool) -> tuple[dict[str, Callable[[], Any]], list[str]]:
    """All ways to read a folder, and what is missing."""
    found: dict[str, Callable[[], Any]] = {
        FUSIN + " scan + load": lambda: read_fusin(folder),
        "pydicom, pixel_array of every file": lambda: read_pydicom(folder, as_int16=as_int16),
    }
    if version("SimpleITK") == "not installed":
        return found, ["SimpleITK is not installed: skipped"]
    import SimpleITK as sitk  # noqa: N813 - its own documentation's name

    names = list(sitk.ImageSeriesReader().GetGDCMSeriesFileNames(str(folder)))
    found["SimpleITK, GDCM file names + series reader"] = lambda: read_sitk_series(folder)
    found["SimpleITK, file order known, no search"] = lambda: read_sitk_known(names, as_int16=as_int16)
    return found, []


def agree(calls: dict[str, Callable[[], Any]]) -> str:
    """Largest difference of the readers' values from fusin's, relative to the largest value."""
    arrays = [np.asarray(value, dtype=np.float64) for call in calls.values() if isinstance(value := call(), np.ndarray)]
    worst = max(float(np.abs(other - arrays[0]).max()) for other in arrays[1:]) / float(np.abs(arrays[0]).max())
    return f"largest difference of the values: {worst:.1e} of the maximum"


def tables() -> list[Table]:
    """PET, CT and their sum."""
    study = bench_study()
    found = []
    for name, folder, as_int16 in (("PET to float32", study.pet, False), ("CT to int16", study.ct, True)):
        calls, missing = contenders(folder, as_int16=as_int16)
        found.append(Table(f"Reading the {name}", race(calls), [agree(calls), *missing]))
    return found


def main() -> None:
    """Print both tables."""
    for table in tables():
        print_table(table)


if __name__ == "__main__":
    main()
