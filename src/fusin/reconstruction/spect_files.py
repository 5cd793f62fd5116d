"""Reading the projections of a SPECT: one file, or a folder with the beds, heads and windows of one acquisition."""

from __future__ import annotations

from pathlib import Path

from fusin.errors import InputError, Unsupported
from fusin.provenance import NoticeLog
from fusin.reconstruction.interfile_header import is_interfile
from fusin.reconstruction.spect_acquisition import SpectAcquisition, join_acquisitions
from fusin.reconstruction.spect_dicom import is_dicom, read_nm_projections
from fusin.reconstruction.spect_interfile import read_interfile_projections

__all__ = ["read_spect"]

# Objects that often lie beside projections: CT slices, maps, reconstructions.
_BESIDE = ("NOT_NM", "SPECT_RECONSTRUCTED", "SPECT_PLANAR")


def read_spect(
    path: Path, *, log: NoticeLog, radius_mm: float | None = None, zero_angle_deg: float | None = None
) -> SpectAcquisition:
    """Read a SPECT.

    Parameters
    ----------
    path : DICOM file, Interfile header, or a folder of one acquisition
    log : receives notices
    radius_mm : of the orbit where the files state none
    zero_angle_deg : where angle 0 of an Interfile header stands: 0 at the back, 90 left, 180 in front; DICOM says so itself

    Raises
    ------
    InputError
        For a missing or damaged file, negative counts, a wrong byte order.
    NotComputable
        For objects that are no projections, missing views, contradictions, files that do not belong together.
    """
    if not path.exists():
        raise InputError(path.name, "file", "nothing", "a DICOM file, an Interfile header or a folder")
    if path.is_file():
        return _one(path, log, radius_mm, zero_angle_deg)
    files = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
    usable = [p for p in files if is_dicom(p) or is_interfile(p)]
    if not usable:
        raise InputError(path.name, "folder", f"{len(files)} files", "DICOM files or Interfile headers of projections")
    parts: list[SpectAcquisition] = []
    beside: list[Unsupported] = []
    for file in usable:
        try:
            parts.append(_one(file, log, radius_mm, zero_angle_deg))
        except Unsupported as err:
            if err.code not in _BESIDE:
                raise
            beside.append(err)
    if not parts:
        raise beside[0]
    if beside:
        log.info("NOT_PROJECTIONS", f"{len(beside)} files of the folder hold no projections and were left out", where=path.name,
                 used=len(parts))  # fmt: skip
    return join_acquisitions(parts)


def _one(path: Path, log: NoticeLog, radius_mm: float | None, zero_angle_deg: float | None) -> SpectAcquisition:
    if is_interfile(path):
        return read_interfile_projections(path, log=log, radius_mm=radius_mm, zero_angle_deg=zero_angle_deg)
    if zero_angle_deg is not None:
        raise InputError(
            path.name, "zero_angle_deg", zero_angle_deg, "nothing: angles of DICOM files count from the back"
        )
    return read_nm_projections(path, log=log, radius_mm=radius_mm)
