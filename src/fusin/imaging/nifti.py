"""NIfTI-1 and NIfTI-2 files to volumes and back.

The format stores RAS millimetres (or another unit named in ``xyzt_units``) and arrays whose first
index runs fastest. In fusin everything is LPS and indexed ``[slice, row, column]``; since the first
NIfTI index is the column, the array needs no transposition, only the signs of the first two
coordinates change.

References
----------
nifti1.h and nifti2.h of the NIfTI Data Format Working Group (sform before qform, section "3D IMAGE
ORIENTATION AND LOCATION IN SPACE").
"""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.files import write_bytes_atomically
from fusin.imaging.volume import FloatArray, Grid, Volume
from fusin.provenance import NoticeLog

__all__ = ["NiftiHeader", "is_nifti", "read_nifti", "read_nifti_header", "write_nifti"]

_DTYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8",
    256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
_REFUSED_DTYPES = {
    1: "1-bit binary", 32: "complex64", 128: "RGB colour", 1536: "float128", 1792: "complex128",
    2048: "complex256", 2304: "RGBA colour",
}  # fmt: skip
_CODES = {np.dtype(text): code for code, text in _DTYPES.items()}
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_UNIT_MARK = "unit="
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MAGIC = {348: (b"n+1\0", b"ni1\0"), 540: (b"n+2\0\r\n\x1a\n", b"ni2\0\r\n\x1a\n")}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class NiftiHeader:
    """What fusin uses of a NIfTI header.

    Attributes
    ----------
    grid : geometry in LPS millimetres
    dtype : stored data type with its byte order
    offset : bytes before the first voxel
    slope, intercept : value = stored * slope + intercept; (1, 0) when the file asks for no scaling
    unit : unit of the values when fusin wrote the file, else empty
    extensions : (code, content) of each header extension
    """

    grid: Grid
    dtype: np.dtype[Any]
    offset: int
    slope: float
    intercept: float
    unit: str
    extensions: tuple[tuple[int, bytes], ...]


def is_nifti(first_bytes: bytes) -> bool:
    """Whether the first bytes of a file (already decompressed; 540 suffice) are a NIfTI-1 or NIfTI-2 header."""
    for order in "<>":
        if len(first_bytes) >= 348 and struct.unpack_from(order + "i", first_bytes)[0] == 348:
            return first_bytes[344:348] in _MAGIC[348]
        if len(first_bytes) >= 12 and struct.unpack_from(order + "i", first_bytes)[0] == 540:
            return first_bytes[4:12] in _MAGIC[540]
    return False


def read_nifti(path: Path | str, *, unit: str = "", log: NoticeLog | None = None) -> Volume:
    """Read a ``.nii`` or ``.nii.gz`` file.

    Integers without scaling keep their type; scaled integers of up to 16 bits become float32, wider
    ones float64.

    Parameters
    ----------
    path : the file; whether it is compressed is seen from its content
    unit : UCUM unit of the values, for files that do not say (NIfTI has no field for it)
    log : receives NIFTI_FORMS_DIFFER and NIFTI_UNIT_SCALED

    Returns
    -------
    Volume
        Frame of reference unknown (empty), since NIfTI has none.

    Raises
    ------
    InputError
        Not NIfTI, truncated, a data type or a number of dimensions that is not supported, or no
        orientation (both ``sform_code`` and ``qform_code`` zero).
    """
    path = Path(path)
    data = _content(path, None)
    header = _parse(path, data, log)
    count = math.prod(header.grid.shape)
    needed = header.offset + count * header.dtype.itemsize
    if len(data) < needed:
        raise InputError(str(path), "file size", len(data), f"{needed} bytes for {header.grid.shape} voxels")
    stored = np.frombuffer(data, dtype=header.dtype, count=count, offset=header.offset).reshape(header.grid.shape)
    return Volume(values=_scaled(stored, header), grid=header.grid, unit=unit or header.unit)


def read_nifti_header(path: Path | str, *, log: NoticeLog | None = None) -> NiftiHeader:
    """Read geometry, data type and extensions without the voxels.

    Parameters
    ----------
    path : ``.nii`` or ``.nii.gz``
    log : as in :func:`read_nifti`

    Raises
    ------
    InputError
        As :func:`read_nifti`.
    """
    path = Path(path)
    head = _content(path, 352)
    order, size = _byte_order(path, head)
    at = struct.unpack_from(order + "f", head, 108) if size == 348 else struct.unpack_from(order + "q", head, 168)
    return _parse(path, _content(path, max(int(_finite(path, "vox_offset", at[0])), size + 4)), log)


def write_nifti(path: Path | str, volume: Volume) -> Path:
    """Write a volume as NIfTI-1 (NIfTI-2 when an axis is longer than 32767), compressed when named ``.gz``.

    Equal volumes give equal bytes: the gzip header holds neither time nor name. The unit is kept in
    ``descrip``; the frame of reference has no field in NIfTI and is not kept.

    Parameters
    ----------
    path : where to; written beside and renamed, so that a broken file is never left
    volume : boolean values are stored as uint8, float16 as float32

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        For a data type that NIfTI cannot hold.
    """
    path = Path(path)
    values: NDArray[Any] = np.asarray(volume.values)
    if values.dtype == np.bool_:
        values = values.astype(np.uint8)
    elif values.dtype == np.float16:
        values = values.astype(np.float32)
    values = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    code = _CODES.get(values.dtype.newbyteorder("="))
    if code is None:
        raise InputError(str(path), "data type", str(values.dtype), "an integer or floating point type of 8 to 64 bits")
    raw = _header_bytes(volume, code, values.dtype.itemsize) + values.tobytes()
    if path.name.endswith(".gz"):
        buffer = io.BytesIO()
        with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=4, mtime=0) as stream:
            stream.write(raw)
        raw = buffer.getvalue()
    return write_bytes_atomically(path, raw)


def _content(path: Path, limit: int | None) -> bytes:
    """First ``limit`` bytes of a file (all for None), decompressed when it is gzip."""
    try:
        with path.open("rb") as stream:
            compressed = stream.read(2) == b"\x1f\x8b"
            stream.seek(0)
            source: Any = gzip.GzipFile(fileobj=stream) if compressed else stream
            return bytes(source.read() if limit is None else source.read(limit))
    except (EOFError, zlib.error, gzip.BadGzipFile) as err:
        raise InputError(str(path), "gzip stream", str(err), "a complete .nii.gz file") from err
    except OSError as err:
        raise InputError(str(path), "file", err.strerror or str(err), "a readable NIfTI file") from err


def _byte_order(path: Path, data: bytes) -> tuple[str, int]:
    """Byte order mark and header size (348 for NIfTI-1, 540 for NIfTI-2)."""
    if len(data) < 348:
        raise InputError(str(path), "file size", len(data), "at least a NIfTI header of 348 bytes")
    for order in "<>":
        size = int(struct.unpack_from(order + "i", data)[0])
        if size not in _MAGIC:
            continue
        magic = data[344:348] if size == 348 else data[4:12]
        if magic == _MAGIC[size][0]:
            return order, size
        if magic == _MAGIC[size][1]:
            raise InputError(str(path), "magic", "a header with its voxels in an .img file", "one .nii or .nii.gz file")
        if size == 348:
            raise InputError(str(path), "magic", magic, "NIfTI's n+1 (an ANALYZE file has no safe orientation)")
    raise InputError(str(path), "sizeof_hdr", data[:4].hex(), "348 or 540: a NIfTI file")


def _parse(path: Path, data: bytes, log: NoticeLog | None) -> NiftiHeader:
    """Header of either version."""
    order, size = _byte_order(path, data)
    if size == 540 and len(data) < 540:
        raise InputError(str(path), "file size", len(data), "a NIfTI-2 header of 540 bytes")

    def get(form: str, one: int, two: int) -> tuple[Any, ...]:
        if size == 348:
            return struct.unpack_from(order + form, data, one)
        wide = form.replace("h", "q") if one == 40 else form.replace("f", "d")
        return struct.unpack_from(order + wide, data, two)

    shape = _shape(path, get("8h", 40, 16))
    code = struct.unpack_from(order + "h", data, 70 if size == 348 else 12)[0]
    if code not in _DTYPES:
        found = _REFUSED_DTYPES.get(code, f"code {code}")
        raise InputError(str(path), "datatype", found, "integers of 8 to 64 bits, float32 or float64")
    offset_raw = get("f", 108, 0)[0] if size == 348 else struct.unpack_from(order + "q", data, 168)[0]
    offset = int(_finite(path, "vox_offset", offset_raw))
    offset = max(offset, size + 4)  # a zero offset is written by old programs and means directly after the header
    slope, intercept = get("2f", 112, 176)
    forms = {
        "pixdim": get("8f", 76, 104),
        "quaternion": get("3f", 256, 352),
        "shift": get("3f", 268, 376),
        "srow": get("12f", 280, 400),
    }
    codes = struct.unpack_from(order + "2h", data, 252) if size == 348 else struct.unpack_from(order + "2i", data, 344)
    space = data[123] if size == 348 else struct.unpack_from(order + "i", data, 500)[0]
    descrip = data[148:228] if size == 348 else data[240:320]
    affine = _affine(path, codes, forms, log) * np.array([[_millimetres(path, int(space) & 7, log)]] * 3 + [[1.0]])
    scaling = _scaling(path, slope, intercept)
    return NiftiHeader(
        grid=Grid(shape=shape, affine=_RAS_TO_LPS @ affine),
        dtype=np.dtype(_DTYPES[code]).newbyteorder("<" if order == "<" else ">"),
        offset=offset,
        slope=scaling[0],
        intercept=scaling[1],
        unit=_unit(descrip),
        extensions=_extensions(data[size:offset], order),
    )


def _finite(path: Path, field: str, value: float) -> float:
    """Value, refused unless finite and not negative."""
    if not math.isfinite(value) or value < 0:
        raise InputError(str(path), field, value, "a finite number that is not negative")
    return float(value)


def _shape(path: Path, dim: tuple[int, ...]) -> tuple[int, int, int]:
    """(slices, rows, columns) of a 3-D file, or of a longer one whose further axes hold one element."""
    rank = dim[0]
    if not 3 <= rank <= 7 or any(n < 1 for n in dim[1 : rank + 1]):
        raise InputError(str(path), "dim", tuple(dim), "three dimensions of at least one voxel")
    further = dim[4 : rank + 1]
    if any(n != 1 for n in further):
        found = f"{dim[4]} time points" if rank == 4 else f"further axes {further}"
        raise InputError(str(path), "dim", found, "one 3-D volume per file")
    return int(dim[3]), int(dim[2]), int(dim[1])


def _scaling(path: Path, slope: float, intercept: float) -> tuple[float, float]:
    """Slope and intercept; a zero or non-finite slope means that no scaling is meant."""
    if slope == 0 or not math.isfinite(slope):
        return 1.0, 0.0
    if not math.isfinite(intercept):
        raise InputError(str(path), "scl_inter", intercept, f"a finite number beside scl_slope {slope}")
    return float(slope), float(intercept)


def _millimetres(path: Path, code: int, log: NoticeLog | None) -> float:
    """Millimetres per spatial unit; an unknown unit is read as millimetres, as every NIfTI program does."""
    if code not in _MM_PER_UNIT:
        raise InputError(str(path), "xyzt_units", code, "0 (unknown), 1 (metre), 2 (millimetre) or 3 (micrometre)")
    factor = _MM_PER_UNIT[code]
    if factor != 1.0 and log is not None:
        unit = "metres" if code == 1 else "micrometres"
        log.info("NIFTI_UNIT_SCALED", f"coordinates are stored in {unit} and were turned into millimetres",
                 where=str(path), raw=unit, used="mm")  # fmt: skip
    return factor


def _affine(
    path: Path, codes: tuple[int, int], forms: dict[str, tuple[float, ...]], log: NoticeLog | None
) -> FloatArray:
    """RAS affine in the file's unit: sform when its code is positive, else qform, else refused."""
    q_code, s_code = codes
    if s_code <= 0 and q_code <= 0:
        raise InputError(str(path), "sform_code and qform_code", (s_code, q_code), "an orientation: one code above 0")
    affine = np.eye(4)
    if s_code > 0:
        affine[:3] = np.array(forms["srow"]).reshape(3, 4)
        if q_code > 0 and log is not None:
            _compare_forms(path, affine, _qform(path, forms), log)
    else:
        affine = _qform(path, forms)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        name = "sform" if s_code > 0 else "qform"
        raise InputError(str(path), name, "a singular matrix", "three independent axes")
    return affine


def _compare_forms(path: Path, sform: FloatArray, qform: FloatArray, log: NoticeLog) -> None:
    """Doubt the position when the two orientations of one file disagree by more than 1 %  of a voxel axis."""
    scale = np.abs(sform[:3, :3]).max()
    apart = max(np.abs(sform[:3, :3] - qform[:3, :3]).max() / scale, np.abs(sform[:3, 3] - qform[:3, 3]).max() / scale)
    if not apart <= 0.01:
        log.warning("NIFTI_FORMS_DIFFER", "sform and qform place the voxels differently; the sform is used",
                    where=str(path), raw=qform.tolist(), used=sform.tolist())  # fmt: skip


def _qform(path: Path, forms: dict[str, tuple[float, ...]]) -> FloatArray:
    """Affine of the quaternion form (nifti1.h, METHOD 2)."""
    b, c, d = (float(x) for x in forms["quaternion"])
    pixdim = forms["pixdim"]
    norm = b * b + c * c + d * d
    if not norm <= 1.0 + 1e-5:
        raise InputError(str(path), "quatern_b, c, d", (b, c, d), "a unit quaternion")
    a = math.sqrt(max(0.0, 1.0 - norm))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    if a == 0.0:
        rotation /= norm
    affine = np.eye(4)
    qfac = -1.0 if pixdim[0] < 0 else 1.0
    affine[:3, :3] = rotation * np.array([pixdim[1], pixdim[2], pixdim[3] * qfac])
    affine[:3, 3] = forms["shift"]
    return affine


def _extensions(data: bytes, order: str) -> tuple[tuple[int, bytes], ...]:
    """Header extensions between the header and the voxels; a damaged one ends the list."""
    found = []
    if len(data) >= 4 and data[0] != 0:
        at = 4
        while at + 8 <= len(data):
            size, code = struct.unpack_from(order + "2i", data, at)
            if size < 8 or at + size > len(data):
                break
            found.append((int(code), data[at + 8 : at + size]))
            at += size
    return tuple(found)


def _unit(descrip: bytes) -> str:
    """Unit that :func:`write_nifti` left in ``descrip``."""
    text = descrip.split(b"\0")[0].decode("utf-8", errors="replace")
    return text[len(_UNIT_MARK) :] if text.startswith(_UNIT_MARK) else ""


def _scaled(stored: NDArray[Any], header: NiftiHeader) -> NDArray[Any]:
    """Values in native byte order with slope and intercept applied."""
    native = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    if (header.slope, header.intercept) == (1.0, 0.0):
        return native
    wide = native.astype(np.float64) * header.slope + header.intercept
    return wide if native.dtype.itemsize > 2 and native.dtype != np.float32 else wide.astype(np.float32)


def _header_bytes(volume: Volume, code: int, itemsize: int) -> bytes:
    """Header and empty extension block, little endian."""
    affine = _RAS_TO_LPS @ volume.affine
    slices, rows, columns = volume.shape
    dim = (3, columns, rows, slices, 1, 1, 1, 1)
    quaternion, qfac, q_code = _quaternion(affine)
    pixdim = (qfac, *volume.spacing_mm, 0.0, 0.0, 0.0, 0.0)
    descrip = (_UNIT_MARK + volume.unit).encode() if volume.unit else b""
    if len(descrip) > 79:
        raise InputError("NIfTI header", "unit", volume.unit, "at most 74 bytes of text")
    srow = affine[:3].ravel().tolist()
    if max(dim) > 32767:
        head = bytearray(540)
        struct.pack_into("<i8s2h8q", head, 0, 540, _MAGIC[540][0], code, itemsize * 8, *dim)
        struct.pack_into("<8d", head, 104, *pixdim)
        struct.pack_into("<q2d", head, 168, 544, 1.0, 0.0)
        head[240 : 240 + len(descrip)] = descrip
        struct.pack_into("<2i6d12d", head, 344, q_code, 1, *quaternion, *affine[:3, 3], *srow)
        struct.pack_into("<i", head, 500, 2)
        return bytes(head) + bytes(4)
    head = bytearray(348)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, *dim)
    struct.pack_into("<2h", head, 70, code, itemsize * 8)
    struct.pack_into("<8f", head, 76, *pixdim)
    struct.pack_into("<3f", head, 108, 352.0, 1.0, 0.0)
    head[123] = 2
    head[148 : 148 + len(descrip)] = descrip
    struct.pack_into("<2h6f12f", head, 252, q_code, 1, *quaternion, *affine[:3, 3], *srow)
    head[344:348] = _MAGIC[348][0]
    return bytes(head) + bytes(4)


def _quaternion(affine: FloatArray) -> tuple[tuple[float, float, float], float, int]:
    """(b, c, d), qfac and qform code; code 0 when the axes are not perpendicular, which a qform cannot say."""
    from scipy.spatial.transform import Rotation

    rotation = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    if np.abs(rotation.T @ rotation - np.eye(3)).max() > 1e-4:
        return (0.0, 0.0, 0.0), 1.0, 0
    qfac = 1.0
    if np.linalg.det(rotation) < 0:
        qfac = -1.0
        rotation = rotation * np.array([1.0, 1.0, -1.0])
    b, c, d, a = (float(x) for x in Rotation.from_matrix(rotation).as_quat())
    sign = -1.0 if a < 0 else 1.0
    return (b * sign, c * sign, d * sign), qfac, 1
