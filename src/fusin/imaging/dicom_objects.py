"""Opening derived DICOM objects (SEG, RT Structure Set) so that damage ends in one kind of error."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from fusin.errors import InputError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["read_object", "sop_class_of"]

T = TypeVar("T")


def _damage() -> tuple[type[Exception], ...]:
    """What pydicom raises on truncated or malformed files."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (
        EOFError, OSError, ValueError, AttributeError, KeyError, IndexError, TypeError, NotImplementedError,
        RecursionError, struct.error, zlib.error, BytesLengthException, InvalidDicomError,
    )  # fmt: skip


def read_object(path: Path, sop_classes: Sequence[str], what: str, use: Callable[[Dataset], T]) -> T:
    """Open a DICOM object of certain classes and hand it to a function.

    Parameters
    ----------
    path : the file
    sop_classes : SOP Class UIDs that are accepted
    what : name of the object in messages
    use : makes the result from the dataset; whatever it stumbles over counts as damage

    Returns
    -------
    object
        What ``use`` returns.

    Raises
    ------
    InputError
        Another kind of file, or a damaged one.
    """
    from pydicom import dcmread

    try:
        # pydicom warns about each value that breaks a rule; here only values that are used matter, and they are checked.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(path, force=True)
            sop_class = str(dataset.get("SOPClassUID", ""))
            if sop_class not in sop_classes:
                raise InputError(str(path), "SOP Class UID (0008,0016)", sop_class, what)
            return use(dataset)
    except _damage() as err:
        raise InputError(str(path), what, f"{type(err).__name__}: {err}", "an undamaged file") from err


def sop_class_of(path: Path) -> str:
    """SOP Class UID of a DICOM file with or without its preamble, empty when the file is no DICOM.

    Parameters
    ----------
    path : any file
    """
    from pydicom import dcmread

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(path, force=True, stop_before_pixels=True, specific_tags=["SOPClassUID"])
            return str(dataset.get("SOPClassUID") or "")
    except _damage():
        return ""
