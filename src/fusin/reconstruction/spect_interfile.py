"""SPECT projections from Interfile 3.3 headers, as cameras, converters and simulation programs write them.

Interfile does not say from where its start angle is measured. Zero is taken at the patient's front, 180 degrees from DICOM's
zero, and clockwise as seen from the feet for ``CW``; both are stated by a notice. Without an attenuation map this only turns
the image.

References
----------
Todd-Pokropek A, Cradduck T, Deconinck F, Nucl Med Commun 1992;13:673 (Interfile 3.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, MissingValue, Unsupported
from fusin.imaging.dicom_values import parse_number
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.reconstruction.spect_acquisition import EnergyWindow, SpectAcquisition
from fusin.reconstruction.spect_geometry import SpectGeometry, radii_words

__all__ = ["is_interfile", "read_interfile_projections"]

_LINE = re.compile(r"^\s*!?\s*([^:=;]+?)\s*:\s*=\s*(.*?)\s*(?:;.*)?$")
_LARGEST_HEADER = 1_000_000
_BLOCK = 2048
_INTEGERS = {
    ("unsigned integer", 1): "u1",
    ("unsigned integer", 2): "u2",
    ("unsigned integer", 4): "u4",
    ("signed integer", 1): "i1",
    ("signed integer", 2): "i2",
    ("signed integer", 4): "i4",
}
_FLOATS = {4: "f4", 8: "f8"}
_ROUGHER = 8.0
# Keys of several windows or heads may come again; a geometry of two kinds may not.
_ONCE = {
    re.sub(r"\s+", "", name): name
    for name in ("extent of rotation", "start angle", "direction of rotation", "matrix size [1]", "matrix size [2]",
                 "number of projections")
}  # fmt: skip
_SAME_MM, _TURN = 0.5, 360.0


def is_interfile(path: Path) -> bool:
    """Whether a file begins as an Interfile header does."""
    try:
        with path.open("rb") as stream:
            return stream.read(64).lstrip(b"\xef\xbb\xbf \t\r\n!;").lower().startswith(b"interfile")
    except OSError:
        return False


class _Header:
    """Keys and values; spelling of keys is compared without case, blanks and underscores, and the last value of a key counts."""

    def __init__(self, path: Path) -> None:
        raw = path.read_bytes()[:_LARGEST_HEADER]
        text = raw.split(b"\x1a")[0].decode("latin-1").lstrip("\xef\xbb\xbf")
        self.where = path.name
        self.values: dict[str, str] = {}
        self.order: list[tuple[str, str]] = []
        for key, value in _pairs(text):
            if key in _ONCE and self.values.get(key, value) != value:
                raise InputError(self.where, _ONCE[key], f"{self.values[key][:40]} and {value[:40]}", "one value")
            self.values[key] = value
            self.order.append((key, value))

    def text(self, *names: str) -> str:
        """First of the keys that has a value."""
        return next((self.values[k] for k in map(_key, names) if self.values.get(k)), "")

    def number(self, *names: str) -> float | None:
        """Number of the first key that has a value.

        Raises
        ------
        InputError
            For a value that is no number.
        """
        text = self.text(*names)
        if not text:
            return None
        found = parse_number(text.split()[0])
        if found is None:
            raise InputError(self.where, names[0], text[:60], "a number")
        return found

    def needed(self, *names: str) -> float:
        """A positive number that has to be there."""
        found = self.number(*names)
        if found is None or found <= 0:
            raise InputError(self.where, names[0], "nothing" if found is None else found, "a positive number")
        return found

    def listed(self, *names: str) -> tuple[float, ...]:
        """Numbers of a list in braces, or one number."""
        text = self.text(*names).strip("{} ")
        if not text:
            return ()
        found = [parse_number(t) for t in re.split(r"[,\s]+", text) if t]
        if any(f is None for f in found):
            raise InputError(self.where, names[0], text[:60], "a list of numbers")
        return tuple(float(f) for f in found if f is not None)


def _key(name: str) -> str:
    return re.sub(r"[\s_!]+", "", name).lower()


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        found = _LINE.match(line)
        if found:
            yield _key(found.group(1)), found.group(2)


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
    views, columns = int(header.needed("number of projections")), int(header.needed("matrix size [1]"))
    rows = int(header.needed("matrix size [2]"))
    windows = _windows(header)
    shape = (len(windows), views, rows, columns)
    counts = _counts(header, path, shape)
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
        inputs=(path, _data_path(header, path)),
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
    lows = [parse_number(v) for k, v in header.order if k.startswith("energywindowlowerlevel")]
    highs = [parse_number(v) for k, v in header.order if k.startswith("energywindowupperlevel")]
    names = [v for k, v in header.order if k == "energywindow" or k.startswith("energywindow[")]
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


def _data_path(header: _Header, path: Path) -> Path:
    name = header.text("name of data file")
    if not name:
        raise InputError(header.where, "name of data file", "nothing", "the binary file beside the header")
    found = path.parent / name
    if not found.is_file() and (path.parent / Path(name.replace("\\", "/")).name).is_file():
        found = path.parent / Path(name.replace("\\", "/")).name
    if not found.is_file():
        raise InputError(header.where, "name of data file", name, "a binary file that exists beside the header")
    return found


def _counts(header: _Header, path: Path, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Counts of the binary file, (windows, views, rows, columns)."""
    data = _data_path(header, path)
    size = int(header.needed("number of bytes per pixel"))
    words = header.text("number format").lower()
    kind = _FLOATS.get(size) if "float" in words else _INTEGERS.get((words, size))
    if kind is None:
        raise InputError(header.where, "number format", f"{words} of {size} bytes",
                         "unsigned or signed integer of 1, 2 or 4 bytes, or float of 4 or 8")  # fmt: skip
    order = header.text("imagedata byte order").lower()
    if order not in ("", "bigendian", "littleendian"):
        raise InputError(header.where, "imagedata byte order", order, "BIGENDIAN or LITTLEENDIAN")
    # Interfile 3.3 says that big endian is meant where nothing is said.
    little = order == "littleendian"
    offset = int(header.number("data offset in bytes") or 0) or _BLOCK * int(header.number("data starting block") or 0)
    if offset < 0:
        raise InputError(header.where, "data offset in bytes", offset, "0 or more")
    needed = int(np.prod([int(n) for n in shape], dtype=object)) * size
    held = data.stat().st_size - offset
    if held < needed:
        raise InputError(
            data.name,
            "size",
            f"{max(held, 0)} bytes after the offset",
            f"{needed} bytes for {shape[0]} windows of {shape[1]} x {shape[2]} x {shape[3]}: the file is truncated",
        )
    if held - needed >= shape[2] * shape[3] * size:
        raise InputError(
            data.name,
            "size",
            f"{held} bytes after the offset",
            f"{needed} bytes for {shape[0]} windows of {shape[1]} x {shape[2]} x {shape[3]}: the file is longer than "
            "the header says",
        )
    with data.open("rb") as stream:
        stream.seek(offset)
        stored = np.frombuffer(stream.read(needed), dtype=("<" if little else ">") + kind).reshape(shape)
    _check_order(stored, header)
    values = np.asarray(stored, dtype=np.float64)
    wrong = int((~(np.isfinite(values) & (values >= 0))).sum())
    if wrong:
        raise InputError(data.name, "counts", f"{wrong} bins below 0 or no numbers", "counts of 0 or more")
    return values.astype(np.float32)


def _check_order(stored: NDArray[np.generic], header: _Header) -> None:
    """Refuse numbers that only make sense with their bytes swapped."""
    if stored.dtype.itemsize == 1:
        return
    with np.errstate(all="ignore"):
        own = stored.astype(np.float64)
        other = stored.byteswap().view(stored.dtype).astype(np.float64)
    sound = [
        np.isfinite(v).all() and (np.abs(v) < 1e12).all() and not ((v != 0) & (np.abs(v) < 1e-12)).any()
        for v in (own, other)
    ]
    wrong = sound[1] and not sound[0]
    if all(sound) and stored.dtype.kind in "iu" and own.any() and other.min() >= 0:
        rough = [float(np.abs(np.diff(v, axis=-1)).mean()) for v in (own, other)]
        wrong = rough[0] > _ROUGHER * rough[1] and abs(own.mean()) > _ROUGHER * abs(other.mean())
    if wrong:
        raise InputError(header.where, "imagedata byte order", header.text("imagedata byte order") or "nothing (big endian)",
                         "the order of the file: with the bytes swapped its numbers are counts")  # fmt: skip


def _geometry(
    header: _Header, views: int, rows: int, columns: int, radius_mm: float | None, zero_deg: float
) -> SpectGeometry:
    direction = header.text("direction of rotation").upper()
    if direction not in ("CW", "CC", "CCW"):
        raise InputError(header.where, "direction of rotation", direction or "nothing", "CW or CCW")
    start = header.number("start angle", "first projection angle in data set")
    extent = header.needed("extent of rotation")
    if extent > _TURN:
        raise InputError(header.where, "extent of rotation", extent, "at most 360 degrees")
    if start is None:
        raise InputError(header.where, "start angle", "nothing", "the angle of the first projection in degrees")
    radii = header.listed("radius", "radii", "radius of rotation")
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
    height = header.needed("scaling factor (mm/pixel) [2]")
    return SpectGeometry(
        angles_deg=np.asarray(zero_deg + start + sign * extent / views * np.arange(views), dtype=np.float64),
        radii_mm=np.array(radii), pixel_mm=header.needed("scaling factor (mm/pixel) [1]"), row_mm=height, rows=rows,
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
