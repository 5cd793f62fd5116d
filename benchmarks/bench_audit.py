"""Time the audit: all headers of both series, how SUV would be computed, and what is doubtful; no pixel is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fusin.imaging.audit import audit_catalogue
from fusin.imaging.series import scan
from fusin.provenance import NoticeLog
from fusin.quantification.protocols import DEFAULT_PROTOCOL, protocol
from study import bench_study
from timing import FUSIN, Table, print_table, race, version

__all__ = ["main", "tables"]

TAGS = ("SeriesInstanceUID", "Modality", "ImagePositionPatient", "RescaleSlope", "AcquisitionTime", "Units")


def fusin_audit(folder: Path) -> object:
    """Scan and audit every series."""
    return audit_catalogue(scan(folder, NoticeLog()), protocol=protocol(DEFAULT_PROTOCOL))


def pydicom_headers(folder: Path, tags: tuple[str, ...] | None = None) -> int:
    """Read the same headers with pydicom and touch a few values of each."""
    import pydicom

    seen = set()
    for path in folder.rglob("*.dcm"):
        ds = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(tags) if tags else None)
        seen.add(tuple(str(ds.get(name)) for name in TAGS))
    return len(seen)


def gdcm_names(folder: Path) -> int:
    """Let GDCM find the series and sort their files; no value of the headers is given back."""
    import SimpleITK as sitk  # noqa: N813 - its own documentation's name

    reader = sitk.ImageSeriesReader()
    return sum(
        len(reader.GetGDCMSeriesFileNames(str(below), uid))
        for below in folder.iterdir()
        for uid in reader.GetGDCMSeriesIDs(str(below))
    )


def tables() -> list[Table]:
    """One table of 800 headers."""
    folder = bench_study().folder
    calls: dict[str, Callable[[], Any]] = {
        FUSIN + " scan + audit": lambda: fusin_audit(folder),
        "pydicom, headers only": lambda: pydicom_headers(folder),
        f"pydicom, {len(TAGS)} attributes only": lambda: pydicom_headers(folder, TAGS),
    }
    remarks = []
    if version("SimpleITK") == "not installed":
        remarks.append("SimpleITK is not installed: skipped")
    else:
        calls["SimpleITK, GDCM series and file order"] = lambda: gdcm_names(folder)
    return [Table("Audit of 800 headers", race(calls), remarks)]


def main() -> None:
    """Print the table."""
    for table in tables():
        print_table(table)


if __name__ == "__main__":
    main()
