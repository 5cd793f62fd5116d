"""A small encoder for JPEG Lossless, which the usual codecs can only read.

It exists so that readers can be tested on the syntax that many archives send.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["encode_jpeg_lossless"]

_CODE_BITS = 5


def encode_jpeg_lossless(pixels: NDArray[Any]) -> bytes:
    """Encode 16-bit pixels as JPEG Lossless, process 14, selection value 1 (ITU-T T.81 annex H).

    Parameters
    ----------
    pixels : (rows, columns) of a 16-bit integer type; signed values keep their bit pattern

    Returns
    -------
    one JPEG stream, padded to an even length
    """
    samples = pixels.astype(pixels.dtype.newbyteorder("="), copy=False).view(np.uint16).astype(np.int64)
    rows, columns = samples.shape
    predicted = np.empty_like(samples)
    predicted[:, 1:] = samples[:, :-1]
    predicted[1:, 0] = samples[:-1, 0]
    predicted[0, 0] = 1 << 15
    # Differences are taken modulo 2^16 and lie in -32767..32768 (H.1.2.1).
    difference = (samples - predicted + 32767) % 65536 - 32767
    frame = struct.pack(">HBHHBBBB", 11, 16, rows, columns, 1, 1, 0x11, 0)
    # All 17 categories get a code of five bits: valid, and free of a table to optimise.
    lengths = bytes(17 if n == _CODE_BITS else 0 for n in range(1, 17))
    table = struct.pack(">HB", 2 + 1 + 16 + 17, 0) + lengths + bytes(range(17))
    scan = struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 0, 0)
    data = _entropy_code(difference.ravel())
    stream = b"\xff\xd8\xff\xc3" + frame + b"\xff\xc4" + table + b"\xff\xda" + scan + data + b"\xff\xd9"
    return stream + b"\0" * (len(stream) % 2)


def _entropy_code(difference: NDArray[np.int64]) -> bytes:
    magnitude = np.abs(difference)
    category = np.ceil(np.log2(magnitude + 1.0)).astype(np.int64)
    # Category 16 means 32768 and carries no further bits (table H.2).
    extra_bits = np.where(category == 16, 0, category)
    extra = np.where(difference < 0, difference + (1 << extra_bits) - 1, difference) & ((1 << extra_bits) - 1)
    word = (category << extra_bits) | extra
    length = _CODE_BITS + extra_bits
    end = np.cumsum(length)
    bits = np.ones(-(-int(end[-1]) // 8) * 8, dtype=np.uint8)
    for k in range(int(length.max())):
        inside = length > k
        bits[end[inside] - 1 - k] = (word[inside] >> k) & 1
    return np.packbits(bits).tobytes().replace(b"\xff", b"\xff\x00")
