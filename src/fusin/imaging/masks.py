"""Regions from whatever a user has: DICOM SEG, RT Structure Set, NIfTI masks and label maps, or a folder.

What a file is is seen from its content, never from its name.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.files import write_bytes_atomically
from fusin.imaging.dicom_objects import sop_class_of
from fusin.imaging.nifti import is_nifti, read_nifti, read_nifti_header, write_nifti
from fusin.imaging.regions import region_from_crop, regions_of_labels, unique_region_names
from fusin.imaging.resample import resample_region
from fusin.imaging.rtstruct import RTSTRUCT_SOP_CLASS, read_structure_set, structure_set_regions, write_rtstruct
from fusin.imaging.segread import SEG_SOP_CLASSES, read_seg
from fusin.imaging.volume import Grid, Region, Volume, stack_labels
from fusin.provenance import NoticeLog, canonical_json

__all__ = ["read_regions", "write_label_nifti", "write_rtstruct"]

_WANTED = "a DICOM SEG, an RT Structure Set, a NIfTI mask or label map, or a folder with one of these"
_LABEL_XML = re.compile(rb'<Label\s[^>]*?Key="(\d+)"[^>]*>\s*(?:<!\[CDATA\[(.*?)\]\]>|([^<]*))\s*</Label>', re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Found:
    """What a file is."""

    path: Path
    kind: Literal["seg", "rtstruct", "nifti", "dicom", "other"]
    description: str = ""


def read_regions(
    path: Path | str, *, grid: Grid | None = None, log: NoticeLog, threshold: float = 0.5
) -> tuple[Region, ...]:
    """Read regions from a file or folder.

    Parameters
    ----------
    path : DICOM SEG, RT Structure Set, NIfTI mask (one region, named after the file), NIfTI label map (named
        by the label table that TotalSegmentator puts into the header, or by a ``.json`` file of the
        same stem), a folder with one DICOM object of these, or a folder with one NIfTI mask per organ as
        TotalSegmentator writes it
    grid : voxels that the regions shall be on; ``None`` keeps each on its own grid, which an RT Structure
        Set does not have
    log : receives the notices of the readers and of :func:`fusin.imaging.resample.resample_region`,
        REGION_RENAMED and LABELS_UNNAMED
    threshold : for FRACTIONAL segmentations, see :func:`fusin.imaging.segread.read_seg`

    Returns
    -------
    tuple of Region
        Names exactly as stored; a second region of one name gets a number behind it.

    Raises
    ------
    InputError
        When nothing usable is there; it says what was found and what would do.
    MissingExtra
        For compressed objects that need an optional decoder.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(str(path), "REGIONS", "no such file or folder", _WANTED)
    regions: list[Region] = []
    for found in _choose(path):
        if found.kind == "rtstruct":
            if grid is None:
                raise InputError(str(found.path), "grid", None, "an image whose voxels an RT Structure Set is put on")
            regions.extend(structure_set_regions(read_structure_set(found.path), grid, log=log))
            continue
        own = (
            read_seg(found.path, log=log, threshold=threshold) if found.kind == "seg" else _from_nifti(found.path, log)
        )
        regions.extend(own if grid is None else (resample_region(r, grid, log) for r in own))
    return unique_region_names(regions, log)


def write_label_nifti(path: Path | str, regions: Sequence[Region], grid: Grid, *, log: NoticeLog | None = None) -> Path:
    """Write regions as a NIfTI label map with a ``.json`` of names beside it.

    Region i gets label i + 1. Where regions overlap, the later one is stored.

    Parameters
    ----------
    path : the ``.nii`` or ``.nii.gz`` file
    regions : at least one, all on ``grid``
    grid : voxels of the file
    log : receives LABELS_OVERLAP; without a log, overlapping regions are refused

    Returns
    -------
    Path
        The NIfTI file.

    Raises
    ------
    InputError
        A region on another grid, or an overlap without ``log``.
    """
    path = Path(path)
    for region in regions:
        if not region.grid.matches(grid):
            raise InputError(str(path), region.name, region.grid.shape, f"the grid {grid.shape}; resample it first")
    labels = stack_labels(regions, grid)
    hidden = sum(r.voxels for r in regions) - int(np.count_nonzero(labels))
    if hidden and log is None:
        raise InputError(str(path), "regions", f"{hidden} voxels in more than one region", "regions that are disjoint")
    if hidden and log is not None:
        log.warning("LABELS_OVERLAP", f"{hidden} voxels belong to more than one region; the label map holds the last",
                    where=str(path), raw=hidden)  # fmt: skip
    values: NDArray[Any] = labels.astype(np.uint8) if len(regions) < 256 else labels
    names = {str(number): region.name for number, region in enumerate(regions, start=1)}
    write_bytes_atomically(_sidecar(path), (canonical_json({"labels": names}) + "\n").encode())
    return write_nifti(path, Volume(values=values, grid=grid, unit=""))


def _choose(path: Path) -> list[_Found]:
    """The objects to read, or a refusal that says what is there."""
    if path.is_file():
        found = _recognise(path)
        if found.kind in ("seg", "rtstruct", "nifti"):
            return [found]
        raise InputError(str(path), "REGIONS", found.description, _WANTED)
    files = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
    everything = [_recognise(p) for p in files]
    masks = [f for f in everything if f.kind in ("seg", "rtstruct")]
    nifti = [f for f in everything if f.kind == "nifti"]
    if len(masks) == 1 and not nifti:
        return masks
    if nifti and not masks:
        return nifti
    if masks:
        names = ", ".join(f.path.name for f in [*masks, *nifti][:5])
        raise InputError(str(path), "REGIONS", f"several objects with regions: {names}", "one of them, named directly")
    kinds = sorted({f.description for f in everything})
    raise InputError(str(path), "REGIONS", "; ".join(kinds[:4]) if kinds else "an empty folder", _WANTED)


def _recognise(path: Path) -> _Found:
    """What one file is, from its first bytes."""
    try:
        with path.open("rb") as stream:
            head = stream.read(1024)
        if head[:2] == b"\x1f\x8b":
            with gzip.open(path) as unpacked:
                head = unpacked.read(1024)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return _Found(path, "other", "a damaged gzip file")
    except OSError as err:
        return _Found(path, "other", f"a file that cannot be read ({err.strerror})")
    if is_nifti(head):
        return _Found(path, "nifti")
    sop_class = sop_class_of(path)
    if sop_class in SEG_SOP_CLASSES:
        return _Found(path, "seg")
    if sop_class == RTSTRUCT_SOP_CLASS:
        return _Found(path, "rtstruct")
    if sop_class:
        from pydicom.config import IGNORE
        from pydicom.uid import UID

        return _Found(path, "dicom", f"DICOM {UID(sop_class, validation_mode=IGNORE).name}")
    return _Found(path, "other", "a file that is neither DICOM nor NIfTI" if head else "an empty file")


def _from_nifti(path: Path, log: NoticeLog) -> tuple[Region, ...]:
    """Regions of a mask (0 and 1) or of a label map."""
    volume = read_nifti(path, log=log)
    names = _label_names(path)
    regions = regions_of_labels(_whole_labels(path, volume.values), volume.grid, names, source=str(path))
    if not regions:
        log.info("SEGMENT_EMPTY", "the mask holds no voxel", where=str(path))
        return (region_from_crop(_stem(path), volume.grid, (0, 0, 0), np.zeros((0, 0, 0), bool), source=str(path)),)
    if len(regions) == 1 and not names:
        return (regions[0].renamed(_stem(path)),)
    unnamed = [region.label for region in regions if region.label not in names]
    if unnamed:
        log.info("LABELS_UNNAMED", f"label numbers without a name: {unnamed[:10]}", where=str(path), raw=unnamed[:10])
    return regions


def _whole_labels(path: Path, values: NDArray[Any]) -> NDArray[Any]:
    """Values as whole numbers; anything else is an image and is refused."""
    if np.issubdtype(values.dtype, np.floating):
        if not np.isfinite(values).all():
            raise InputError(str(path), "values", "NaN or infinity", "a mask or label map of whole numbers")
        whole = np.rint(values)
        if not np.array_equal(whole, values):
            example = float(values[whole != values][0])
            raise InputError(str(path), "values", example, "a mask or label map of whole numbers, not an image")
        values = whole
    low, high = (values.min(), values.max()) if values.size else (0, 0)
    if low < 0 or high > np.iinfo(np.int32).max:
        raise InputError(str(path), "values", float(low if low < 0 else high), "labels from 0 to 2147483647")
    return values if np.issubdtype(values.dtype, np.integer) else values.astype(np.int32)


def _stem(path: Path) -> str:
    """File name without ``.nii`` and ``.gz``."""
    name = path.name
    for ending in (".gz", ".nii"):
        name = name[: -len(ending)] if name.lower().endswith(ending) else name
    return name


def _sidecar(path: Path) -> Path:
    """The ``.json`` of the same stem."""
    return path.with_name(_stem(path) + ".json")


def _label_names(path: Path) -> dict[int, str]:
    """Names from the ``.json`` beside the file, else from the label table in the NIfTI header."""
    sidecar = _sidecar(path)
    if sidecar.is_file():
        return _names_from_json(sidecar)
    names: dict[int, str] = {}
    for _, content in read_nifti_header(path).extensions:
        for number, marked, plain in _LABEL_XML.findall(content):
            names[int(number)] = (marked or plain).decode("utf-8", errors="replace").strip()
    return names


def _names_from_json(path: Path) -> dict[int, str]:
    """Names from ``{"1": "liver"}`` or ``{"liver": 1}``, directly or under ``"labels"`` as nnU-Net keeps them."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise InputError(str(path), "label names", str(err), "a JSON object") from err
    table = content.get("labels", content) if isinstance(content, dict) else None
    if not isinstance(table, Mapping):
        raise InputError(str(path), "label names", type(content).__name__, 'a JSON object such as {"1": "liver"}')
    readers: tuple[Callable[[str, Any], tuple[int, str]], ...] = (_number_first, _name_first)
    for read in readers:
        try:
            return dict(read(key, value) for key, value in table.items())
        except (TypeError, ValueError):
            continue
    raise InputError(str(path), "label names", str(dict(table))[:80], '{"1": "liver"} or {"liver": 1}')


def _number_first(key: str, value: Any) -> tuple[int, str]:
    if not isinstance(value, str):
        raise TypeError("a name is text")
    return int(key), value


def _name_first(key: str, value: Any) -> tuple[int, str]:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("a label is a whole number")
    return value, key
