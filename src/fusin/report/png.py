"""A small PNG writer: grey and palette pictures as bytes and as data URIs."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError

__all__ = ["data_uri", "grey_png", "palette_png"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def grey_png(levels: NDArray[np.uint8]) -> bytes:
    """Encode a (height, width) uint8 picture as 8-bit grey."""
    return _png(levels, colour_type=0)


def palette_png(indices: NDArray[np.uint8], palette: NDArray[np.uint8]) -> bytes:
    """Encode a (height, width) picture of palette indices.

    Parameters
    ----------
    indices : uint8 numbers of palette rows
    palette : (n, 4) uint8 red, green, blue, opacity; n <= 256

    Raises
    ------
    InputError
        When an index lies outside the palette.
    """
    if indices.size and int(indices.max()) >= len(palette):
        raise InputError("PNG", "palette index", int(indices.max()), f"at most {len(palette) - 1}")
    colours = _chunk(b"PLTE", palette[:, :3].astype(np.uint8).tobytes())
    opacity = _chunk(b"tRNS", palette[:, 3].astype(np.uint8).tobytes()) if (palette[:, 3] < 255).any() else b""
    return _png(indices, colour_type=3, extra=colours + opacity)


def data_uri(png: bytes) -> str:
    """Return the picture as a ``data:`` URI."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _png(pixels: NDArray[np.uint8], *, colour_type: int, extra: bytes = b"") -> bytes:
    """Assemble the file (PNG specification, third edition, sections 5 and 11)."""
    height, width = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    rows = np.ascontiguousarray(pixels, dtype=np.uint8)
    plain = np.hstack([np.zeros((height, 1), np.uint8), rows])
    difference = rows.copy()
    difference[1:] -= rows[:-1]
    upward = np.hstack([np.full((height, 1), 2, np.uint8), difference])
    # Which filter packs better depends on the noise; both are cheap at these sizes.
    body = min((zlib.compress(image.tobytes(), 6) for image in (plain, upward)), key=len)
    return _SIGNATURE + _chunk(b"IHDR", header) + extra + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    """One length-prefixed, checksummed chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
