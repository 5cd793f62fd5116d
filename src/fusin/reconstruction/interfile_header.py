"""Interfile headers and the binary files beside them: keys, lists, number formats, byte order.

References
----------
Todd-Pokropek A, Cradduck T, Deconinck F, Nucl Med Commun 1992;13:673 (Interfile 3.3) · Thielemans K et al., Phys Med Biol 2012;
57:867 (STIR, whose headers extend it to PET).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.imaging.dicom_values import parse_number

__all__ = ["InterfileHeader", "is_interfile", "read_values"]

_LINE = re.compile(r"^\s*!?\s*([^:;]+?)\s*:\s*=\s*(.*?)\s*(?:;.*)?$")
_LARGEST_HEADER = 4_000_000
_INTEGERS = {"unsigned integer": "u", "signed integer": "i", "integer": "i", "bit": "?"}
_SIZES = {"u": (1, 2, 4), "i": (1, 2, 4)}
_SWAPPED = 8.0
_BLOCK = 2048


def _plain(name: str) -> str:
    return re.sub(r"[\s_!]+", "", name).lower()


def is_interfile(path: Path) -> bool:
    """Whether a file begins as an Interfile header does."""
    try:
        with path.open("rb") as stream:
            return stream.read(64).lstrip(b"\xef\xbb\xbf \t\r\n!;").lower().startswith(b"interfile")
    except OSError:
        return False


class InterfileHeader:
    """Keys and values of a header; keys are compared without case, blanks and underscores, and the last value counts.

    Parameters
    ----------
    path : of the header

    Raises
    ------
    InputError
        For a file that cannot be read or is no Interfile header.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.where = path, path.name
        try:
            with path.open("rb") as stream:
                raw = stream.read(_LARGEST_HEADER)
        except OSError as err:
            raise InputError(
                path.name, "header", "a file that cannot be read", "an Interfile header (.hs, .hv, .hdr)"
            ) from err
        text = raw.split(b"\x1a")[0].decode("latin-1").lstrip("\xef\xbb\xbf")
        if not text.lstrip("!; \t\r\n").lower().startswith("interfile"):
            raise InputError(
                path.name, "first line", text.strip()[:40], "!INTERFILE := (the header, not the binary file)"
            )
        # STIR lets a value go on in the next line after a backslash.
        lines = re.sub(r"\\\s*\r?\n", " ", text).splitlines()
        found = (_LINE.match(line) for line in lines)
        # Keys of several windows come again; what they all hold stands here.
        self.pairs = [(_plain(m.group(1)), m.group(2)) for m in found if m]
        self.values = dict(self.pairs)

    def text(self, *names: str) -> str:
        """Value of the first of the keys that has one; empty without."""
        return next((self.values[k] for k in map(_plain, names) if self.values.get(k)), "")

    def number(self, *names: str) -> float | None:
        """Number of the first key that has a value; None without.

        Raises
        ------
        InputError
            For a value that is no finite number.
        """
        text = self.text(*names)
        if not text:
            return None
        found = parse_number(text)
        if found is None or not np.isfinite(found):
            raise InputError(self.where, names[0], text[:60], "a number")
        return found

    def positive(self, *names: str) -> float:
        """A number above 0 that has to be there.

        Raises
        ------
        InputError
            Without one.
        """
        found = self.number(*names)
        if found is None or found <= 0:
            raise InputError(self.where, names[0], "nothing" if found is None else found, "a positive number")
        return found

    def whole(self, *names: str, default: int | None = None) -> int:
        """A whole number of 1 or more.

        Raises
        ------
        InputError
            For another number, or none and no default.
        """
        found = self.number(*names)
        if found is None and default is not None:
            return default
        if found is None or found < 1 or found != int(found):
            raise InputError(self.where, names[0], "nothing" if found is None else found, "a whole number of 1 or more")
        return int(found)

    def wholes(self, *names: str) -> tuple[int, ...]:
        """Whole numbers of a list in braces, or one of them; empty without.

        Raises
        ------
        InputError
            For values that are no whole numbers.
        """
        text = self.text(*names)
        parts = [p for p in re.split(r"[,\s]+", text.strip("{}() ")) if p]
        found = [parse_number(p) for p in parts]
        if any(f is None or f != int(f) for f in found):
            raise InputError(self.where, names[0], text[:60], "whole numbers in braces")
        return tuple(int(f) for f in found if f is not None)

    def numbers(self, *names: str) -> tuple[float, ...]:
        """Numbers of a list in braces, or one number; empty without.

        Raises
        ------
        InputError
            For values that are no numbers.
        """
        text = self.text(*names)
        found = [parse_number(p) for p in re.split(r"[,\s]+", text.strip("{} ")) if p]
        if any(f is None for f in found):
            raise InputError(self.where, names[0], text[:60], "a list of numbers")
        return tuple(float(f) for f in found if f is not None)

    def data_path(self) -> Path:
        """The binary file.

        Raises
        ------
        InputError
            Where it is not beside the header.
        """
        name = self.text("name of data file")
        if not name:
            raise InputError(self.where, "name of data file", "nothing", "the binary file beside the header")
        beside = (self.path.parent / name, self.path.parent / Path(name.replace("\\", "/")).name)
        for path in beside:
            if path.is_file():
                return path
        raise InputError(self.where, "name of data file", name, "a binary file that exists beside the header")


def _type_of(header: InterfileHeader) -> np.dtype[Any]:
    words, size = header.text("number format").lower(), header.whole("number of bytes per pixel")
    if "float" in words and size in (4, 8):
        kind = f"f{size}"
    else:
        letter = _INTEGERS.get(words, "")
        if size not in _SIZES.get(letter, ()):
            raise InputError(header.where, "number format", f"{words or 'nothing'} of {size} bytes",
                             "signed or unsigned integer of 1, 2 or 4 bytes, or float of 4 or 8")  # fmt: skip
        kind = f"{letter}{size}"
    order = _plain(header.text("imagedata byte order"))
    if order not in ("", "bigendian", "littleendian"):
        raise InputError(header.where, "imagedata byte order", order, "BIGENDIAN or LITTLEENDIAN")
    # Interfile 3.3 says that big endian is meant where nothing is said.
    return np.dtype(("<" if order == "littleendian" else ">") + kind)


def read_values(header: InterfileHeader, count: int, *, said: str, padding: int = 0) -> NDArray[np.float32]:
    """Read the binary file.

    Parameters
    ----------
    header : that describes it
    count : numbers it has to hold
    said : what the header says of them, for messages, such as ``252 views of 344 bins and 837 planes``
    padding : numbers that may follow them, where writers fill up blocks

    Returns
    -------
    ndarray
        (count,) float32, scaled by the header's quantification.

    Raises
    ------
    InputError
        For a file that is shorter or longer, numbers in another byte order, negative values or no numbers.
    """
    path, kind = header.data_path(), _type_of(header)
    offset = int(header.number("data offset in bytes", "data offset in bytes[1]", "data offset in bytes [1]") or 0)
    offset = offset or _BLOCK * int(header.number("data starting block") or 0)
    held, needed = path.stat().st_size - offset, count * kind.itemsize
    if offset < 0:
        raise InputError(header.where, "data offset in bytes", offset, "0 or more")
    if not needed <= held <= needed + padding * kind.itemsize:
        how = "truncated" if held < needed else "longer than the header says"
        raise InputError(path.name, "size", f"{held} bytes", f"{needed} bytes for {said}: the file is {how}")
    with path.open("rb") as stream:
        stream.seek(offset)
        stored = np.frombuffer(stream.read(needed), dtype=kind)
    _check_order(stored, header)
    scale = _scale_of(header)
    with np.errstate(over="ignore"):
        values = stored.astype(np.float32)
    if scale != 1.0:
        values *= np.float32(scale)
    bad = int(np.count_nonzero(~(values >= 0) | ~np.isfinite(values)))
    if bad:
        raise InputError(path.name, "values", f"{bad} values below 0 or no numbers", "values of 0 or more")
    return values


def _scale_of(header: InterfileHeader) -> float:
    """Factor of the values: STIR writes it under both names, and where they differ its own is meant."""
    own = header.number("image scaling factor[1]", "image scaling factor [1]", "image scaling factor")
    if own in (None, 0.0, 1.0):
        own = header.number("quantification units")
    return own or 1.0


def _check_order(stored: NDArray[Any], header: InterfileHeader) -> None:
    """Refuse numbers that only make sense with their bytes swapped."""
    if stored.dtype.itemsize == 1 or not stored.size:
        return
    step = max(1, stored.size // 2_000_000)
    sample = stored[::step]
    with np.errstate(all="ignore"):
        own, other = sample.astype(np.float64), sample.view(sample.dtype.newbyteorder()).astype(np.float64)
    if stored.dtype.kind == "f":
        sound = [
            bool(np.isfinite(v).all() and not ((v != 0) & ((abs(v) < 1e-20) | (abs(v) > 1e20))).any())
            for v in (own, other)
        ]
        wrong = sound[1] and not sound[0]
    else:
        wrong = bool(other.min() >= 0 and np.abs(own).mean() > _SWAPPED * np.abs(other).mean())
    if wrong:
        raise InputError(header.where, "imagedata byte order", header.text("imagedata byte order") or "nothing (big endian)",
                         "the order of the file: its numbers only make sense with the bytes swapped")  # fmt: skip
