"""Which image series a file of regions was drawn on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["referenced_series_uid"]


def referenced_series_uid(path: Path) -> str:
    """Series Instance UID that a SEG or RTSTRUCT refers to; empty when there is none or several.

    Parameters
    ----------
    path : file, or a folder with one DICOM object
    """
    uids = {uid for file in _dicom_files(path) for uid in _uids(file)}
    return uids.pop() if len(uids) == 1 else ""


def _dicom_files(path: Path) -> list[Path]:
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path] if path.is_file() else []
    found = []
    for file in files[:50]:
        with file.open("rb") as stream:
            if stream.read(132)[128:] == b"DICM":
                found.append(file)
    return found


def _uids(file: Path) -> set[str]:
    import pydicom

    try:
        dataset = pydicom.dcmread(file, stop_before_pixels=True)
        series = list(dataset.get("ReferencedSeriesSequence") or [])
        for frame in dataset.get("ReferencedFrameOfReferenceSequence") or []:
            for study in frame.get("RTReferencedStudySequence") or []:
                series.extend(study.get("RTReferencedSeriesSequence") or [])
        return {_text(item) for item in series} - {""}
    except Exception:  # damaged objects are named by the reader of regions; here they just refer to nothing
        return set()


def _text(item: Any) -> str:
    return str(item.get("SeriesInstanceUID", "") or "")
