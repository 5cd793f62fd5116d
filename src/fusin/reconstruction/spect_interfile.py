"""SPECT projections from Interfile 3.3 headers, as cameras, converters and simulation programs write them.

Interfile does not say from where its start angle is measured. Zero is taken at the patient's front, 180 degrees from DICOM's
zero, and clockwise as seen from the feet for ``CW``; both are stated by a notice. Without an attenuation map this only turns
the image.

References
----------
Todd-Pokropek A, Cradduck T, Deconinck F, Nucl Med Commun 1992;13:673 (Interfile 3.3).
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from pathlib import Path

import numpy as np

from fusin.errors import InputError, MissingValue, Unsupported
from fusin.imaging.dicom_values import parse_number
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.reconstruction.interfile_header import InterfileHeader, read_values
from fusin.reconstruction.spect_acquisition import EnergyWindow, SpectAcquisition
from fusin.reconstruction.spect_geometry import SpectGeometry, radii_words

__all__ = ["read_interfile_projections"]

# Keys of several windows or heads may come again; a geometry of two kinds may not.
_ONCE = {
    re.sub(r"\s+", "", name): name
    for name in ("extent of rotation", "start angle", "direction of rotation", "matrix size [1]", "matrix size [2]",
                 "number of projections")
}  # fmt: skip
_SAME_MM, _TURN = 0.5, 360.0


class _Header(InterfileHeader):
    """A header whose numbers may have their unit behind them, and whose geometry stands once."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        for key, value in self.pairs:
            if key in _ONCE and self.values[key] != value:
                raise InputError(self.where, _ONCE[key], f"{value[:40]} and {self.values[key][:40]}", "one value")

    def number(self, *names: str) -> float | None:
        """First word of the first key that has a value, as a number; None without.

        Raises
        ------
        InputError
            For a value that is no number.
        """
        text = self.text(*names)
        found = parse_number(text.split()[0]) if text else None
        if text and found is None:
            raise InputError(self.where, names[0], text[:60], "a number")
        return found


def read_interfile_projections(
    path: Path, *, log: NoticeLog, radius_mm: float | None = None, zero_angle_deg: float | None = None
) -> SpectAcquisition:
    """Read a header and its binary file.

    Parameters
    ----------
    path : of the header
    log : receives notices
    radius_mm : of the orbit, where the header states none
    zero_angle_deg : where angle 0 of the header stands: 0 at the back, 90 left, 180 in front; the top of the camera without it

    Raises
    ------
    InputError
        For keys that are missing or unusable, a missing or truncated binary file, negative counts, a wrong byte order.
    NotComputable
        For reconstructed and planar data, and a missing radius.
    """
    header = _Header(path)
    _require_projections(header)
    views, columns = int(header.positive("number of projections")), int(header.positive("matrix size [1]"))
    rows = int(header.positive("matrix size [2]"))
    windows = _windows(header)
    shape = (len(windows), views, rows, columns)
    said = f"{shape[0]} windows of {views} x {rows} x {columns}"
    counts = read_values(header, math.prod(shape), said=said, padding=rows * columns - 1).reshape(shape)
    duration = header.number("time per projection (sec)", "image duration (sec)", "image duration (sec) [1]")
    zero = _zero_angle(header, zero_angle_deg, log)
    return SpectAcquisition(
        # Rows of Interfile matrices run from head to feet, as they are displayed.
        counts=np.ascontiguousarray(counts[:, :, ::-1]),
        windows=windows,
        geometry=_geometry(header, views, rows, columns, radius_mm, zero),
        durations_s=np.full(views, duration) if duration else None,
        starts_s=np.asarray(duration * np.arange(views), dtype=np.float64) if duration else None,
        started=_started(header),
        nuclide=_nuclide(header),
        inputs=(path, header.data_path()),
        name=header.where,
    )


def _require_projections(header: _Header) -> None:
    """Refuse what is reconstructed, planar, of another modality, or of several heads."""
    where = header.where
    status = header.text("process status").lower()
    if status.startswith("recon"):
        raise Unsupported(
            "SPECT projections", f"{where} is a reconstructed image", "acquired projections", "SPECT_RECONSTRUCTED"
        )
    modality = header.text("imaging modality").lower()
    if modality and not modality.startswith(("nucmed", "nm", "spect")):
        raise Unsupported(
            "SPECT projections", f"{where} is of the imaging modality {modality[:40]}", "nucmed", "NOT_NM"
        )
    kind = header.text("type of data").lower()
    if kind and not kind.startswith("tomo"):
        raise Unsupported(
            "SPECT projections", f"{where} is of the type {kind[:40]}", "tomographic data", "SPECT_PLANAR"
        )
    heads = int(header.number("number of detector heads") or 1)
    if heads != 1:
        raise Unsupported(
            "SPECT projections",
            f"{where} describes {heads} detector heads",
            "one header for each head, or one with all projections of one head",
            "INTERFILE_HEADS",
        )


def _zero_angle(header: _Header, stated: float | None, log: NoticeLog) -> float:
    """Where angle 0 of the header stands about the patient [degrees from the back]."""
    orientation, rotation = (header.text(f"patient {n}").lower().replace(" ", "_") for n in ("orientation", "rotation"))
    if orientation.startswith("feet"):
        raise Unsupported(
            "SPECT projections",
            f"the patient of {header.where} lay feet first",
            "a patient who lies head first, or the projections as DICOM, whose angles count about the patient",
            "PATIENT_POSITION_UNSUPPORTED",
        )
    if stated is not None:
        return stated
    zero = 0.0 if rotation == "prone" else 180.0
    log.adapted(
        "INTERFILE_ANGLE_ASSUMED",
        f"the start angle was taken from the top of the camera, the {'back' if zero == 0.0 else 'front'} of the patient, rows from "
        "head to feet, and z = 0 in the middle of the rows: the header does not say; state zero_angle_deg",
        where=header.where, used=zero,
    )  # fmt: skip
    return zero


def _windows(header: _Header) -> tuple[EnergyWindow, ...]:
    count = int(header.number("number of energy windows") or 1)
    lows = [parse_number(v) for k, v in header.pairs if k.startswith("energywindowlowerlevel")]
    highs = [parse_number(v) for k, v in header.pairs if k.startswith("energywindowupperlevel")]
    names = [v for k, v in header.pairs if k == "energywindow" or k.startswith("energywindow[")]
    if not 1 <= count <= 64:
        raise InputError(header.where, "number of energy windows", count, "1 to 64")
    if len(lows) not in (0, count) or len(highs) != len(lows) or None in (*lows, *highs):
        raise InputError(
            header.where,
            "energy window lower level",
            f"{len(lows)} lower and {len(highs)} upper levels for {count} windows",
            "both levels of each window, or none",
        )
    limits = list(zip(lows, highs, strict=True)) or [(None, None)] * count
    for low, high in limits:
        if low is not None and high is not None and low >= high:
            raise InputError(
                header.where,
                "energy window lower level",
                f"{low:g} to {high:g} keV",
                "a lower level below the upper one",
            )
    return tuple(EnergyWindow(names[n] if len(names) == count else f"window {n + 1}", *limits[n]) for n in range(count))


def _geometry(
    header: _Header, views: int, rows: int, columns: int, radius_mm: float | None, zero_deg: float
) -> SpectGeometry:
    direction = header.text("direction of rotation").upper()
    if direction not in ("CW", "CC", "CCW"):
        raise InputError(header.where, "direction of rotation", direction or "nothing", "CW or CCW")
    start = header.number("start angle", "first projection angle in data set")
    extent = header.positive("extent of rotation")
    if extent > _TURN:
        raise InputError(header.where, "extent of rotation", extent, "at most 360 degrees")
    if start is None:
        raise InputError(header.where, "start angle", "nothing", "the angle of the first projection in degrees")
    radii = header.numbers("radius", "radii", "radius of rotation")
    if not any(radii):
        if radius_mm is None:
            raise MissingValue("SPECT projections", f"{header.where} has no radius", "radius_mm, from the axis of rotation to the "
                               "collimator face", "RADIUS_MISSING")  # fmt: skip
        radii = (radius_mm,)
    elif radius_mm is not None and max(abs(r - radius_mm) for r in radii) > _SAME_MM:
        raise InputError(
            header.where, "radius_mm", radius_mm, f"{radii_words(radii)} mm, as the file states, or nothing"
        )
    if len(radii) not in (1, views) or min(radii) <= 0:
        raise InputError(
            header.where, "radius", f"{len(radii)} numbers from {min(radii):g}", f"one positive number, or {views}"
        )
    sign = -1.0 if direction == "CW" else 1.0
    height = header.positive("scaling factor (mm/pixel) [2]")
    return SpectGeometry(
        angles_deg=np.asarray(zero_deg + start + sign * extent / views * np.arange(views), dtype=np.float64),
        radii_mm=np.array(radii), pixel_mm=header.positive("scaling factor (mm/pixel) [1]"), row_mm=height, rows=rows,
        columns=columns, direction="CW" if direction == "CW" else "CC", first_row_mm=np.array([-0.5 * (rows - 1) * height]),
    )  # fmt: skip


def _started(header: _Header) -> datetime | None:
    text = header.text("study date").replace(":", "-").replace("/", "-"), header.text("study time")
    try:
        return datetime.fromisoformat(f"{text[0]}T{text[1]}") if all(text) else None
    except ValueError:
        return None


def _nuclide(header: _Header) -> str:
    for name in ("isotope name", "isotope name [1]", "radionuclide name", "radionuclide name [1]"):
        try:
            if header.text(name):
                return nuclide(header.text(name)).name
        except InputError:
            continue
    return ""
