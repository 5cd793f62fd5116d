"""SPECT projections from DICOM NM objects: energy windows, heads, rotations, orbits, beds.

What a frame is stands in vectors (one number per frame for window, detector, rotation, angular view); where the detector stood
stands in the detectors and rotations that they point to. Every combination has to be there exactly once.

References
----------
DICOM PS3.3 C.8.4.8 to C.8.4.12 (NM Multi-frame, Isotope, Detector, TOMO Acquisition).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, InvalidValue, MissingValue, NotComputable, Unsupported
from fusin.imaging.dicom_values import clean_text, combine, parse_dt
from fusin.nuclides import nuclide, nuclide_from_code
from fusin.provenance import NoticeLog
from fusin.reconstruction.spect_acquisition import EnergyWindow, SpectAcquisition
from fusin.reconstruction.spect_dicom_geometry import Head, head_geometry, number_of, numbers_of
from fusin.reconstruction.spect_dicom_position import axis_of_rotation, note_orientation, shifted_beds
from fusin.reconstruction.spect_geometry import SpectGeometry

__all__ = ["is_dicom", "nuclide_of", "read_nm_projections"]

_NM = "1.2.840.10008.5.1.4.1.1.20"
_NM_RETIRED = "1.2.840.10008.5.1.4.1.1.5"
_PLANAR = ("STATIC", "WHOLE BODY", "DYNAMIC", "GATED")
_RECONSTRUCTED = ("RECON TOMO", "RECON GATED TOMO", "RECON")
# A sum of neighbouring differences in the wrong byte order is some hundred times larger; counts alone never reach this.
_RLE = "1.2.840.10008.1.2.5"
_ROUGHER = 8.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Frames:
    """Vectors of the frames, each (frames,), from 1."""

    window: NDArray[np.intp]
    detector: NDArray[np.intp]
    rotation: NDArray[np.intp]
    view: NDArray[np.intp]
    slot: NDArray[np.intp]


def is_dicom(path: Path) -> bool:
    """Whether a file looks like DICOM: by its preamble, or by a group length or class at its beginning."""
    try:
        with path.open("rb") as stream:
            head = stream.read(140)
    except OSError:
        return False
    return head[128:132] == b"DICM" or head[:4] in (b"\x08\x00\x05\x00", b"\x08\x00\x08\x00", b"\x02\x00\x00\x00")


def read_nm_projections(path: Path, *, log: NoticeLog, radius_mm: float | None = None) -> SpectAcquisition:
    """Read the projections of one DICOM file.

    Parameters
    ----------
    path : NM Image Storage with TOMO frames
    log : receives notices
    radius_mm : of the orbit, where the file states none

    Raises
    ------
    InputError
        For files that are no DICOM or are damaged, and negative counts.
    NotComputable
        For other objects than projections, missing views, window tables and vectors that contradict each other, missing radii.
    """
    dataset = _opened(path)
    where = path.name
    _require_projections(dataset, where, log)
    windows = _windows(dataset, where)
    frames = _vectors(dataset, where, len(windows))
    pixels = _pixels(dataset, where, log)
    heads = _heads(frames, where)
    counts = _arranged(pixels, frames, heads, len(windows), where, log)
    found = [head_geometry(dataset, h, where=where, radius_mm=radius_mm, log=log) for h in heads]
    found = shifted_beds(dataset, heads, found, where=where, log=log)
    rows, columns = pixels.shape[1:]
    counts = _oriented(counts, found, [len(h.views) for h in heads])
    step, width = _spacing(dataset, where)
    note_orientation(found, where=where, log=log)
    geometry = SpectGeometry(
        angles_deg=np.concatenate([f.angles_deg for f in found]), radii_mm=np.concatenate([f.radii_mm for f in found]),
        pixel_mm=width, row_mm=step, rows=rows, columns=columns, direction=found[0].direction,
        first_row_mm=np.concatenate([np.full(len(f.angles_deg), f.lowest_row_mm(rows, step)) for f in found]),
        bin_shift_mm=np.concatenate([np.full(len(f.angles_deg), f.shift_mm) for f in found]),
        axis_mm=axis_of_rotation(found, width_mm=width, columns=columns, where=where, log=log),
    )  # fmt: skip
    durations = [f.duration_s for f in found]
    starts, times = _times(durations, [len(h.views) for h in heads], [h.rotation for h in heads])
    return SpectAcquisition(
        counts=counts,
        windows=windows,
        geometry=geometry,
        durations_s=times,
        starts_s=starts,
        started=_started(dataset, where, log),
        nuclide=nuclide_of(dataset),
        frame_of_reference_uid=clean_text(str(dataset.get("FrameOfReferenceUID", "") or "")),
        header=_without_pixels(dataset),
        inputs=(path,),
        name=where,
    )


def _opened(path: Path) -> Any:
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        with warnings.catch_warnings():
            # pydicom warns about each value that breaks a rule; here only values that are used matter, and they are checked.
            warnings.simplefilter("ignore")
            dataset = dcmread(path, force=is_dicom(path))
            str(dataset.get("SOPClassUID", ""))
    except InvalidDicomError as err:
        raise InputError(
            path.name, "file", "no DICOM file and no Interfile header", "projections as DICOM NM or Interfile"
        ) from err
    except (OSError, EOFError, ValueError, KeyError, AttributeError, NotImplementedError, TypeError) as err:
        first = (str(err).splitlines() or [""])[0][:120]
        raise InputError(
            path.name, "file", f"{type(err).__name__}: {first}", "an undamaged DICOM file of projections"
        ) from err
    return dataset


def _require_projections(dataset: Any, where: str, log: NoticeLog) -> None:
    """Refuse whatever is no set of SPECT projections, with what it is."""
    sop = clean_text(str(dataset.get("SOPClassUID", "") or ""))
    if sop not in (_NM, _NM_RETIRED):
        what = clean_text(str(dataset.get("Modality", "") or "")) or "no modality"
        raise Unsupported(
            "SPECT projections",
            f"{where} is of class {sop or 'none'} ({what})",
            "an NM Image Storage object with TOMO frames",
            "NOT_NM",
        )
    kind = [str(v).strip().upper() for v in _listed(dataset, "ImageType")]
    third = kind[2] if len(kind) > 2 else ""
    if third in _RECONSTRUCTED:
        raise Unsupported(
            "SPECT projections",
            f"{where} is a reconstructed image ({third})",
            "the projections (TOMO) it was made of",
            "SPECT_RECONSTRUCTED",
        )
    if third in _PLANAR:
        raise Unsupported(
            "SPECT projections", f"{where} is planar ({third})", "a tomographic acquisition (TOMO)", "SPECT_PLANAR"
        )
    if third not in ("TOMO", "GATED TOMO"):
        if "AngularViewVector" not in dataset or "RotationInformationSequence" not in dataset:
            raise Unsupported("SPECT projections", f"{where} has the image type {'/'.join(kind) or 'none'}", "one with TOMO as its "
                              "third value", "SPECT_PLANAR")  # fmt: skip
        log.adapted("IMAGE_TYPE_ASSUMED", f"the image type {'/'.join(kind) or '(none)'} does not say TOMO; the angular views do",
                    where=where, raw="/".join(kind), used="TOMO")  # fmt: skip
    if "TRANSMISSION" in kind[3:4]:
        raise Unsupported(
            "SPECT projections", f"{where} is a transmission scan", "emission projections", "SPECT_PLANAR"
        )


def _listed(dataset: Any, keyword: str) -> list[Any]:
    try:
        value = dataset.get(keyword)
    except Exception:  # a malformed value makes pydicom raise many kinds; here it is a value that cannot be read
        return []
    if value is None or value == "":
        return []
    return list(value) if not isinstance(value, (str, bytes)) and isinstance(value, Iterable) else [value]


def _windows(dataset: Any, where: str) -> tuple[EnergyWindow, ...]:
    """Energy windows in the order of the vector."""
    items = _listed(dataset, "EnergyWindowInformationSequence")
    stated = number_of(dataset, "NumberOfEnergyWindows")
    if stated is not None and items and int(stated) != len(items):
        raise InvalidValue("the energy windows", f"{where} states {int(stated)} windows and describes {len(items)}",
                           "a window table that agrees with itself", "WINDOW_TABLE")  # fmt: skip
    found = []
    for number, item in enumerate(items, start=1):
        ranges = _listed(item, "EnergyWindowRangeSequence")
        limits = [(number_of(r, "EnergyWindowLowerLimit"), number_of(r, "EnergyWindowUpperLimit")) for r in ranges]
        known = [(a, b) for a, b in limits if a is not None and b is not None]
        if any(a >= b or a < 0 for a, b in known):
            raise InvalidValue("the energy windows", f"window {number} of {where} goes from {known[0][0]:g} to {known[0][1]:g} keV",
                               "a lower limit below the upper one", "WINDOW_TABLE")  # fmt: skip
        name = clean_text(str(item.get("EnergyWindowName", "") or "")) or f"window {number}"
        # Several ranges of one window are one count; its width is not that of their hull, so that it has no limits.
        only = known[0] if len(known) == 1 and len(ranges) == 1 else (None, None)
        found.append(EnergyWindow(name, *only))
    return tuple(found) if found else tuple(EnergyWindow(f"window {n}") for n in range(1, int(stated or 1) + 1))


def _vectors(dataset: Any, where: str, windows: int) -> _Frames:
    count = int(number_of(dataset, "NumberOfFrames") or 1)
    vectors: dict[str, NDArray[np.intp]] = {}
    for name, keyword, table in (
        ("window", "EnergyWindowVector", "NumberOfEnergyWindows"),
        ("detector", "DetectorVector", "NumberOfDetectors"),
        ("rotation", "RotationVector", "NumberOfRotations"),
        ("view", "AngularViewVector", ""),
        ("slot", "TimeSlotVector", ""),
    ):
        values = _listed(dataset, keyword)
        if not values and name == "view" and count > 1:
            raise MissingValue(
                "SPECT projections",
                f"{where} has no Angular View Vector (0054,0090)",
                "a number of the view for each frame",
                "FRAME_VECTORS",
            )
        if not values:
            stated = number_of(dataset, table) if table else None
            if stated is not None and stated > 1 and name != "view":
                raise MissingValue("SPECT projections", f"{where} has {stated:g} {name}s and no vector that assigns the frames",
                                   f"the {name} vector", "FRAME_VECTORS")  # fmt: skip
            vectors[name] = np.ones(count, np.intp)
            continue
        try:
            whole = np.array([int(v) for v in values], np.intp)
        except (TypeError, ValueError) as err:
            raise InvalidValue("SPECT projections", f"the {name} vector of {where} holds what is no number", "whole numbers",
                               "FRAME_VECTORS") from err  # fmt: skip
        if whole.size != count or whole.min() < 1:
            raise InvalidValue(
                "SPECT projections",
                f"the {name} vector of {where} holds {whole.size} numbers from {whole.min()} for {count} frames",
                "one number from 1 for each frame",
                "FRAME_VECTORS",
            )
        vectors[name] = whole
    if vectors["window"].max() > windows:
        raise InvalidValue("the energy windows", f"frames of {where} belong to window {vectors['window'].max()} and {windows} are "
                           "described", "a window table that agrees with the frames", "WINDOW_TABLE")  # fmt: skip
    return _Frames(**vectors)


def _heads(frames: _Frames, where: str) -> list[Head]:
    """Each rotation of each detector with its views, in order."""
    found = []
    for rotation, detector in sorted({(int(r), int(d)) for r, d in zip(frames.rotation, frames.detector, strict=True)}):
        mine = (frames.rotation == rotation) & (frames.detector == detector)
        found.append(Head(detector=detector, rotation=rotation, views=np.unique(frames.view[mine])))
    return found


def _arranged(
    pixels: NDArray[np.float32], frames: _Frames, heads: list[Head], windows: int, where: str, log: NoticeLog
) -> NDArray[np.float32]:
    """(windows, views, rows, columns); refuses views that are missing or stand twice, and sums gates."""
    total = sum(len(h.views) for h in heads)
    counts = np.zeros((windows, total, *pixels.shape[1:]), np.float32)
    slots = np.unique(frames.slot)
    if slots.size > 1:
        log.info("GATES_SUMMED", f"{slots.size} time slots were added up", where=where, used=int(slots.size))
    used = [w for w in range(1, windows + 1) if (frames.window == w).any()]
    if len(used) < windows:
        raise NotComputable("SPECT projections", f"{where} describes {windows} energy windows and has frames of {len(used)}",
                            "frames of each window", "WINDOW_TABLE")  # fmt: skip
    place = 0
    for head in heads:
        mine = (frames.rotation == head.rotation) & (frames.detector == head.detector)
        for view in head.views:
            for window in range(1, windows + 1):
                hits = np.flatnonzero(mine & (frames.view == view) & (frames.window == window))
                named = f"view {view} of detector {head.detector}, window {window}"
                if hits.size == 0:
                    raise NotComputable(
                        "SPECT projections", f"{where} lacks {named}", "all views of each window", "VIEWS_MISSING"
                    )
                if hits.size != np.unique(frames.slot[hits]).size:
                    raise NotComputable("SPECT projections", f"{where} holds {named} {hits.size} times", "each view once",
                                        "VIEWS_MISSING")  # fmt: skip
                counts[window - 1, place] = pixels[hits].sum(axis=0)
            place += 1
    return counts


def _oriented(counts: NDArray[np.float32], found: list[Any], sizes: list[int]) -> NDArray[np.float32]:
    """Rows of each head turned to run towards the patient's head."""
    place = 0
    for head, size in zip(found, sizes, strict=True):
        if head.rows_to_feet:
            counts[:, place : place + size] = counts[:, place : place + size, ::-1].copy()
        place += size
    return counts


def _pixels(dataset: Any, where: str, log: NoticeLog) -> NDArray[np.float32]:
    """(frames, rows, columns) counts."""
    bits = number_of(dataset, "BitsAllocated") or 16
    count = int(number_of(dataset, "NumberOfFrames") or 1)
    rows, columns = int(number_of(dataset, "Rows") or 0), int(number_of(dataset, "Columns") or 0)
    syntax = clean_text(str(getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", "")))
    native = not (syntax.startswith("1.2.840.10008.1.2.4") or syntax == _RLE)
    needed = count * rows * columns * int(bits) // 8
    if native and "PixelData" in dataset and len(dataset.PixelData) < needed:
        raise InputError(
            where,
            "Pixel Data (7FE0,0010)",
            f"{len(dataset.PixelData)} bytes",
            f"{needed} bytes for {count} frames of {rows} x {columns}: the file is truncated",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stored = np.asarray(dataset.pixel_array)
    except Exception as err:  # codecs and damaged elements raise many kinds; each means that these pixels cannot be had
        raise InputError(
            where, "Pixel Data (7FE0,0010)", f"{type(err).__name__}: {str(err)[:120]}", "readable pixels of each frame"
        ) from err
    stored = stored.reshape(-1, *stored.shape[-2:])
    if stored.shape != (count, rows, columns):
        raise InputError(where, "Pixel Data (7FE0,0010)", stored.shape, f"{count} grey frames of {rows} x {columns}")
    _check_byte_order(stored, dataset, where)
    slope, intercept = number_of(dataset, "RescaleSlope"), number_of(dataset, "RescaleIntercept")
    values = stored.astype(np.float64)
    if slope not in (None, 1.0) or intercept not in (None, 0.0):
        values = values * (1.0 if slope is None else slope) + (intercept or 0.0)
        log.info("COUNTS_RESCALED", f"stored values times {slope or 1:g} plus {intercept or 0:g}, as the file says", where=where,
                 raw=slope, used=slope)  # fmt: skip
    if (values < 0).any():
        raise InputError(where, "counts", f"{int((values < 0).sum())} negative bins, lowest {values.min():g}",
                         "counts of 0 or more, not corrected by subtraction")  # fmt: skip
    return values.astype(np.float32)


def _check_byte_order(stored: NDArray[Any], dataset: Any, where: str) -> None:
    """Refuse 16-bit counts whose bytes are swapped: neighbours then differ wildly, and the total is not that of the header."""
    if stored.dtype.itemsize != 2 or not stored.any():
        return
    own, other = stored.astype(np.int64), stored.byteswap().view(stored.dtype).astype(np.int64)
    stated = number_of(dataset, "CountsAccumulated")
    agrees = stated is not None and stated > 0 and abs(float(own.sum()) / stated - 1.0) < 0.01

    def rough(values: NDArray[np.int64]) -> float:
        return float(np.abs(np.diff(values, axis=2)).mean())

    if (
        not agrees
        and other.min() >= 0
        and rough(own) > _ROUGHER * rough(other)
        and own.mean() > _ROUGHER * other.mean()
    ):
        raise InputError(where, "byte order", f"a mean of {own.mean():.4g} counts a bin, {other.mean():.4g} with the bytes swapped",
                         "counts in the byte order of the transfer syntax")  # fmt: skip


def _spacing(dataset: Any, where: str) -> tuple[float, float]:
    """(between rows, between columns) in mm."""
    found = numbers_of(dataset, "PixelSpacing")
    if len(found) != 2 or min(found) <= 0:
        raise MissingValue("SPECT projections", f"{where} has the Pixel Spacing (0028,0030) {list(found) or 'none'}",
                           "two positive numbers in mm", "PIXEL_SPACING_MISSING")  # fmt: skip
    return found[0], found[1]


def _times(
    durations: list[float | None], sizes: list[int], rotations: list[int]
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """(starts, durations) of the views [s]; heads of one rotation count at the same time, rotations after each other."""
    if any(d is None for d in durations):
        return None, None
    starts, begin, previous, length = [], 0.0, rotations[0], 0.0
    for duration, size, rotation in zip(durations, sizes, rotations, strict=True):
        assert duration is not None
        if rotation != previous:
            begin, previous, length = begin + length, rotation, 0.0
        starts.append(begin + duration * np.arange(size))
        length = max(length, duration * size)
    known = [np.full(s, d) for d, s in zip(durations, sizes, strict=True)]
    return np.concatenate(starts), np.concatenate(known).astype(np.float64)


def _started(dataset: Any, where: str, log: NoticeLog) -> Any:
    exact = parse_dt(str(dataset.get("AcquisitionDateTime", "") or ""))
    if exact is not None:
        return exact.replace(tzinfo=None)
    for day, clock in (("Acquisition", "Acquisition"), ("Series", "Series")):
        found = combine(str(dataset.get(f"{day}Date", "") or ""), str(dataset.get(f"{clock}Time", "") or ""))
        if found is not None:
            if day == "Series":
                log.adapted("SPECT_START_FROM_SERIES", "Acquisition Time (0008,0032) is absent; the series' is taken", where=where,
                            used=found.isoformat(sep=" "))  # fmt: skip
            return found
    return None


def nuclide_of(dataset: Any) -> str:
    """Nuclide that an object names by code, by words, or by its energy window; empty without."""
    for item in _listed(dataset, "RadiopharmaceuticalInformationSequence"):
        for code in _listed(item, "RadionuclideCodeSequence"):
            try:
                return nuclide_from_code(
                    str(code.get("CodeValue", "")), str(code.get("CodingSchemeDesignator", ""))
                ).name
            except InputError:
                pass
            try:
                return nuclide(clean_text(str(code.get("CodeMeaning", "")))).name
            except InputError:
                continue
    for item in _listed(dataset, "EnergyWindowInformationSequence"):
        text = clean_text(str(item.get("EnergyWindowName", "") or "")).replace("_", " ").split(" ")[0]
        try:
            return nuclide(text).name
        except InputError:
            continue
    return ""


def _without_pixels(dataset: Any) -> Any:
    from pydicom.dataset import Dataset

    held = Dataset()
    held.update({e.tag: e for e in dataset if e.tag != 0x7FE00010})
    return held
