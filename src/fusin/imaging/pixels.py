"""Filling a volume with rescaled values, slice by slice, straight from the files where they are plain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.imaging.frames import FrameRecord
from fusin.imaging.instances import Tag
from fusin.imaging.stack import Stack

__all__ = ["fill_volume"]

AIR_HU = -1024
_TYPES = {(8, 0): "u1", (8, 1): "i1", (16, 0): "<u2", (16, 1): "<i2", (32, 0): "<u4", (32, 1): "<i4"}

Progress = Callable[[int, int], None]


def fill_volume(
    stack: Stack, phase: int, *, prefer_int16: bool, progress: Progress | None = None, plain: bool = True
) -> NDArray[Any]:
    """Rescaled values of one time point.

    Parameters
    ----------
    stack : ordered frames
    phase : time point
    prefer_int16 : give int16 when slope and intercept are whole and the stored range allows it (CT)
    progress : called with (slices done, slices)
    plain : read plain files with our own reader; False sends every file through pydicom (same values)

    Returns
    -------
    ndarray
        (slices, rows, columns), int16 or float32; missing slices are NaN, or air in an int16 volume.
    """
    frames = stack.phases[phase]
    count, rows, columns = stack.grid.shape
    present = [frame for frame in frames if frame is not None]
    as_int16 = prefer_int16 and all(_fits_int16(frame) for frame in present)
    values = np.empty((count, rows, columns), dtype=np.int16 if as_int16 else np.float32)
    decoded: dict[int, NDArray[Any]] = {}
    scratch = np.empty(rows * columns, dtype=np.int16)
    for number, frame in enumerate(frames):
        if frame is None:
            values[number] = AIR_HU if as_int16 else np.nan
            continue
        # Whole numbers are read to where they stay; others are read to one small buffer that stays in the cache.
        target = values[number].reshape(-1) if as_int16 else scratch
        stored = _plain_frame(frame, target, rows, columns) if plain else None
        if stored is None:
            stored = _decoded_frame(frame, decoded, rows, columns)
        _rescale(stored, frame, values[number])
        if progress is not None:
            progress(number + 1, count)
    return values


def _fits_int16(frame: FrameRecord) -> bool:
    header = frame.instance.header
    if frame.slope != 1 or frame.intercept != int(frame.intercept):
        return False
    bits = header.unsigned(Tag.BITS_STORED) or 16
    signed = (header.unsigned(Tag.PIXEL_REPRESENTATION) or 0) == 1
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    # A signed 16-bit CT with intercept -1024 cannot leave int16 downwards in practice: air is near -1000 HU.
    return high + frame.intercept <= 32767 and (low + frame.intercept >= -32768 or signed)


def _rescale(stored: NDArray[Any], frame: FrameRecord, out: NDArray[Any]) -> None:
    if out.dtype == np.int16:
        _shift_int16(stored, int(frame.intercept), out)
        return
    np.multiply(stored, np.float64(frame.slope), out=out, dtype=np.float64, casting="same_kind")
    if frame.intercept != 0:
        out += np.float32(frame.intercept)


def _shift_int16(stored: NDArray[Any], intercept: int, out: NDArray[Any]) -> None:
    """Stored values plus a whole intercept, held within int16; ``stored`` may be the memory of ``out`` itself."""
    fits = int(stored.min()) + intercept >= -32768 and int(stored.max()) + intercept <= 32767
    if fits and stored.dtype.itemsize == 2 and stored.dtype.isnative:
        # Sixteen-bit sums that wrap still give every result that fits, whatever sign the stored type has.
        np.add(stored.view(np.uint16), np.uint16(intercept % 65536), out=out.view(np.uint16))
        return
    wide = stored.astype(np.int32)
    wide += intercept
    np.clip(wide, -32768, 32767, out=wide)
    out[...] = wide


def _plain_frame(frame: FrameRecord, scratch: NDArray[np.int16], rows: int, columns: int) -> NDArray[Any] | None:
    """Stored values of one frame straight from the file, None when the file is not plain."""
    instance = frame.instance
    header = instance.header
    if not instance.plain or (header.unsigned(Tag.SAMPLES) or 1) != 1:
        return None
    bits, sign = header.unsigned(Tag.BITS_ALLOCATED) or 16, header.unsigned(Tag.PIXEL_REPRESENTATION) or 0
    kind = _TYPES.get((bits, sign))
    used = header.unsigned(Tag.BITS_STORED) or bits
    high = header.unsigned(Tag.HIGH_BIT)
    if kind is None or not 0 < used <= bits or (high is not None and high != used - 1):
        return None
    size = rows * columns * bits // 8
    if instance.pixel_length < size * instance.frames:
        return None
    buffer: NDArray[Any] = scratch if bits == 16 else np.empty(rows * columns, dtype=kind)
    view = memoryview(buffer.data).cast("B")
    read = instance.source.read_into(view, instance.pixel_offset + frame.index * size)
    if read != size:
        raise InputError(instance.name, "Pixel Data (7FE0,0010)", f"{read} bytes", f"{size} bytes for each frame")
    stored = buffer.view(kind).reshape(rows, columns)
    return _without_unused_bits(stored, header.unsigned(Tag.BITS_STORED) or bits, bits)


def _without_unused_bits(stored: NDArray[Any], used: int, allocated: int) -> NDArray[Any]:
    """Values of the lowest ``used`` bits; what stands above them (overlays, nothing) is no part of a value."""
    if used == allocated:
        return stored
    unused = allocated - used
    # Shifting up and down again extends the sign of signed types and clears the rest of unsigned ones.
    np.left_shift(stored, unused, out=stored)
    np.right_shift(stored, unused, out=stored)
    return stored


def _decoded_frame(frame: FrameRecord, decoded: dict[int, NDArray[Any]], rows: int, columns: int) -> NDArray[Any]:
    """Stored values of one frame decoded by pydicom; a multi-frame object is decoded once."""
    key = id(frame.instance)
    if key not in decoded:
        decoded.clear()
        decoded[key] = frame.instance.decoded()
    pixels = decoded[key]
    if pixels.ndim != 3 or pixels.shape[0] <= frame.index or pixels.shape[1:] != (rows, columns):
        raise InputError(
            frame.instance.name, "Pixel Data (7FE0,0010)", pixels.shape, f"grey frames of {rows} x {columns}"
        )
    picked: NDArray[Any] = pixels[frame.index]
    return picked
