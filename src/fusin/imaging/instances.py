"""Headers of single DICOM files and the frames they hold, behind one small interface for both readers."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from fusin.errors import InputError, MissingExtra
from fusin.imaging.dicom_values import clean_text, parse_number, parse_numbers
from fusin.imaging.plain_dicom import NeedMoreBytes, NotPlain, PlainHeader, parse_plain
from fusin.imaging.sources import Source

__all__ = ["DatasetHeader", "Header", "Instance", "Tag", "Unreadable", "read_instance"]

HEAD_BYTES = 16384
_PIXELS = (0x7FE00010, 0x7FE00008, 0x7FE00009)


class Tag:
    """Tags used by name throughout the wing."""

    SPECIFIC_CHARACTER_SET = 0x00080005
    IMAGE_TYPE = 0x00080008
    SOP_CLASS_UID = 0x00080016
    SOP_INSTANCE_UID = 0x00080018
    STUDY_DATE = 0x00080020
    SERIES_DATE = 0x00080021
    ACQUISITION_DATE = 0x00080022
    ACQUISITION_DATETIME = 0x0008002A
    STUDY_TIME = 0x00080030
    SERIES_TIME = 0x00080031
    ACQUISITION_TIME = 0x00080032
    MODALITY = 0x00080060
    MANUFACTURER = 0x00080070
    SERIES_DESCRIPTION = 0x0008103E
    MODEL = 0x00081090
    TIMEZONE = 0x00080201
    PATIENT_NAME = 0x00100010
    PATIENT_ID = 0x00100020
    SLICE_THICKNESS = 0x00180050
    TRIGGER_TIME = 0x00181060
    FRAME_DURATION = 0x00181242
    SPACING_BETWEEN_SLICES = 0x00180088
    KERNEL = 0x00181210
    STUDY_UID = 0x0020000D
    SERIES_UID = 0x0020000E
    SERIES_NUMBER = 0x00200011
    INSTANCE_NUMBER = 0x00200013
    POSITION = 0x00200032
    ORIENTATION = 0x00200037
    FRAME_OF_REFERENCE = 0x00200052
    TEMPORAL_POSITION = 0x00200100
    SAMPLES = 0x00280002
    PHOTOMETRIC = 0x00280004
    NUMBER_OF_FRAMES = 0x00280008
    ROWS = 0x00280010
    COLUMNS = 0x00280011
    PIXEL_SPACING = 0x00280030
    CORRECTED_IMAGE = 0x00280051
    BITS_ALLOCATED = 0x00280100
    BITS_STORED = 0x00280101
    HIGH_BIT = 0x00280102
    NUMBER_OF_SLICES = 0x00540081
    PIXEL_REPRESENTATION = 0x00280103
    INTERCEPT = 0x00281052
    SLOPE = 0x00281053
    RADIOPHARMACEUTICAL = 0x00540016
    UNITS = 0x00541001
    ATTENUATION_METHOD = 0x00541101
    DECAY_CORRECTION = 0x00541102
    FRAME_REFERENCE_TIME = 0x00541300
    DECAY_FACTOR = 0x00541321


class Unreadable(Exception):
    """A file that cannot be used: the code of the notice and one sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message


class Header(Protocol):
    """What the rooms above ask of a file's header."""

    def raw(self, tag: int) -> bytes | None:
        """Bytes of an element, None when absent."""
        ...

    def text(self, tag: int) -> str:
        """Text of an element, empty when absent."""
        ...

    def number(self, tag: int) -> float | None:
        """Number of an element, None when absent or unreadable."""
        ...

    def numbers(self, tag: int) -> tuple[float, ...]:
        """Numbers of a multi-valued element."""
        ...

    def unsigned(self, tag: int) -> int | None:
        """Whole number of an element."""
        ...

    def private(self, group: int, creator: str, element: int) -> bytes | None:
        """Bytes of a private element found through its creator."""
        ...


@dataclass(slots=True)
class DatasetHeader:
    """The same interface on a pydicom dataset, for files that are not plain."""

    dataset: Any

    def _element(self, tag: int) -> Any:
        try:
            return self.dataset[tag]
        except Exception:  # a malformed value makes pydicom raise many kinds; here it is a value that cannot be read
            return None

    def raw(self, tag: int) -> bytes | None:
        """The value as bytes, None when absent."""
        if tag not in self.dataset:
            return None
        element = self._element(tag)
        if element is None:
            return b""
        if element.VR == "SQ":
            return str(element.value).encode()
        return element.value if isinstance(element.value, bytes) else self.text(tag).encode("latin-1", "replace")

    def text(self, tag: int) -> str:
        """Text of an element; several values joined by a backslash."""
        element = self._element(tag)
        if element is None or element.value is None or element.VR == "SQ":
            return ""
        value = element.value
        if isinstance(value, bytes):
            return clean_text(value)
        if isinstance(value, str) or not hasattr(value, "__iter__"):
            return clean_text(getattr(value, "original_string", None) or str(value))
        return "\\".join(clean_text(getattr(v, "original_string", None) or str(v)) for v in value)

    def number(self, tag: int) -> float | None:
        """Number of an element."""
        return parse_number(self.text(tag))

    def numbers(self, tag: int) -> tuple[float, ...]:
        """Numbers of an element."""
        return parse_numbers(self.text(tag))

    def unsigned(self, tag: int) -> int | None:
        """Whole number of an element."""
        value = parse_number(self.text(tag))
        return None if value is None else int(value)

    def private(self, group: int, creator: str, element: int) -> bytes | None:
        """Bytes of a private element found through its private creator."""
        for block in range(0x10, 0x100):
            if self.text((group << 16) | block) == creator:
                tag = (group << 16) | (block << 8) | element
                if tag not in self.dataset:
                    continue
                value = self._element(tag)
                if value is None:
                    continue
                return _private_bytes(value)
        return None


def _private_bytes(element: Any) -> bytes:
    value = element.value
    if isinstance(value, bytes):
        return value
    if element.VR == "FL" and isinstance(value, (int, float)):
        return struct.pack("<f", value)
    return clean_text(str(value)).encode("latin-1", "replace")


@dataclass(slots=True, eq=False)
class Instance:
    """One DICOM file.

    Attributes
    ----------
    source : where its bytes are
    header : its top-level elements
    plain : whether the pixels lie native and little endian at ``pixel_offset``
    """

    source: Source
    header: Header
    plain: bool
    pixel_offset: int = 0
    pixel_length: int = 0
    _memo: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Path relative to the study folder."""
        return self.source.name

    @property
    def path(self) -> Any:
        """Path of the file, or of the archive that holds it."""
        return self.source.path

    @property
    def sop_instance_uid(self) -> str:
        """SOP Instance UID (0008,0018)."""
        return self.header.text(Tag.SOP_INSTANCE_UID)

    @property
    def sop_class_uid(self) -> str:
        """SOP Class UID (0008,0016)."""
        return self.header.text(Tag.SOP_CLASS_UID)

    @property
    def frames(self) -> int:
        """Number of frames, 1 when the attribute is absent."""
        return int(self.header.number(Tag.NUMBER_OF_FRAMES) or 1)

    def dataset(self) -> Any:
        """The pydicom dataset without pixels (read again when the plain reader was used).

        Raises
        ------
        InputError
            When pydicom cannot read what the plain reader could.
        """
        import pydicom

        if isinstance(self.header, DatasetHeader):
            return self.header.dataset
        if "dataset" not in self._memo:
            assert isinstance(self.header, PlainHeader)
            try:
                found = pydicom.dcmread(io.BytesIO(self.header.data), stop_before_pixels=True, force=True)
            except Exception as err:  # pydicom raises many kinds on damaged headers
                reason = f"{type(err).__name__}: {err}"
                raise InputError(self.name, "header", reason, "an intact header") from err
            self._memo["dataset"] = found
        return self._memo["dataset"]

    def stored(self) -> np.ndarray[Any, Any]:
        """Stored pixel values, (frames, rows, columns), in the stored integer or float type, decoded by pydicom."""
        import pydicom

        dataset = pydicom.dcmread(io.BytesIO(self.source.read()), force=True)
        if "TransferSyntaxUID" not in dataset.file_meta:
            dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
        array = dataset.pixel_array
        return array if array.ndim > 2 else array[np.newaxis]

    def decoded(self) -> np.ndarray[Any, Any]:
        """As :meth:`stored`, with decoders' many errors as ours.

        Raises
        ------
        MissingExtra
            When the codec is not installed.
        InputError
            When the pixels cannot be decoded.
        """
        try:
            return self.stored()
        except MemoryError:
            raise
        except Exception as err:  # decoders raise many kinds; the user needs the file and the reason
            text = str(err)
            if "missing required dependencies" in text or "missing dependencies" in text:
                raise MissingExtra("pylibjpeg", "compressed", f"decoding {self.name}") from err
            raise InputError(self.name, "Pixel Data (7FE0,0010)", text[:200], "pixels that can be decoded") from err


def read_instance(source: Source) -> Instance:
    """Read the header of one file, by the plain reader or, where that steps aside, by pydicom.

    Raises
    ------
    Unreadable
        For an empty, truncated or damaged file, and for a file that is not DICOM.
    """
    if source.size == 0:
        raise Unreadable("EMPTY_FILE", f"{source.name}: the file is empty")
    try:
        data = source.head(HEAD_BYTES)
        try:
            header = parse_plain(data, whole=len(data) >= source.size)
        except NeedMoreBytes:
            header = parse_plain(source.read(), whole=True)
    except (NotPlain, NeedMoreBytes):  # the second: a file that ends inside its meta information
        return _by_pydicom(source, data)
    except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError) as err:
        raise Unreadable("UNREADABLE_FILE", f"{source.name}: cannot be read ({err})") from err
    if header.pixel_tag and header.pixel_offset + header.pixel_length > source.size:
        raise Unreadable(
            "TRUNCATED_FILE",
            f"{source.name}: the pixels need {header.pixel_length} bytes and only "
            f"{max(source.size - header.pixel_offset, 0)} are there",
        )
    if not header.text(Tag.SOP_CLASS_UID):
        raise Unreadable("NOT_DICOM", f"{source.name}: no SOP Class UID")
    _require_image_fields(source, header)
    if not header.pixel_tag and header.unsigned(Tag.ROWS):
        raise Unreadable("TRUNCATED_FILE", f"{source.name}: has Rows and Columns and no pixels")
    return Instance(source, header, header.pixel_tag == 0x7FE00010, header.pixel_offset, header.pixel_length)


def _looks_like_dicom(data: bytes) -> bool:
    """Whether the bytes are a data set without preamble: group 0002 or 0008 first, in either byte order."""
    if data[128:132] == b"DICM":
        return True
    return len(data) > 8 and ((data[:2] in (b"\x02\x00", b"\x08\x00") and data[3] == 0) or data[:2] == b"\x00\x08")


def _by_pydicom(source: Source, data: bytes) -> Instance:
    import warnings

    import pydicom

    if not _looks_like_dicom(data):
        raise Unreadable("NOT_DICOM", f"{source.name}: not a DICOM file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(io.BytesIO(source.read()), force=True, defer_size=None)
            header = DatasetHeader(dataset)
            header.text(Tag.SOP_CLASS_UID)
    except Exception as err:  # pydicom raises many kinds on damaged files; all of them mean "unreadable"
        raise Unreadable("UNREADABLE_FILE", f"{source.name}: damaged DICOM ({type(err).__name__}: {err})") from err
    if not header.text(Tag.SOP_CLASS_UID):
        code = "TRUNCATED_FILE" if data[128:132] == b"DICM" else "NOT_DICOM"
        raise Unreadable(code, f"{source.name}: no SOP Class UID; the file is cut off or not DICOM")
    _require_image_fields(source, header)
    _check_native_length(source, dataset, header)
    for tag in _PIXELS:
        if tag in dataset:
            del dataset[tag]
    return Instance(source, header, plain=False)


def _require_image_fields(source: Source, header: Header) -> None:
    """An image file that ends before its matrix size is cut off, however well its beginning reads."""
    if header.text(Tag.MODALITY) in ("PT", "CT", "MR", "NM", "") and not header.unsigned(Tag.ROWS):
        raise Unreadable("TRUNCATED_FILE", f"{source.name}: an image without Rows (0028,0010); the file is cut off")


def _is_compressed(dataset: Any) -> bool:
    """Whether the transfer syntax is a compressed one; a damaged UID is none."""
    syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    try:
        return bool(syntax is not None and syntax.is_compressed)
    except (AttributeError, ValueError):  # several values, or a UID that is no transfer syntax
        return False


def _check_native_length(source: Source, dataset: Any, header: Header) -> None:
    """Refuse native pixels that are shorter than the matrix needs; compressed ones show their truth when decoded."""
    rows, columns = header.unsigned(Tag.ROWS), header.unsigned(Tag.COLUMNS)
    if not rows or not columns:
        return
    if 0x7FE00010 not in dataset:
        if not any(tag in dataset for tag in _PIXELS):
            raise Unreadable("TRUNCATED_FILE", f"{source.name}: has Rows and Columns and no pixels")
        return
    if _is_compressed(dataset):
        return
    bits = header.unsigned(Tag.BITS_ALLOCATED) or 16
    frames = int(header.number(Tag.NUMBER_OF_FRAMES) or 1)
    needed = rows * columns * frames * (header.unsigned(Tag.SAMPLES) or 1) * bits // 8
    try:
        found = len(dataset[0x7FE00010].value or b"")
    except Exception as err:  # a damaged representation or length makes pydicom raise many kinds
        raise Unreadable("UNREADABLE_FILE", f"{source.name}: damaged pixels ({type(err).__name__}: {err})") from err
    if found < needed:
        raise Unreadable("TRUNCATED_FILE", f"{source.name}: the pixels need {needed} bytes and only {found} are there")
