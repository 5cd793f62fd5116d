"""Finding the series in a folder, and loading one of them as a volume."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fusin.errors import Ambiguous, FusinError, InputError, NotComputable
from fusin.imaging.frames import ENHANCED_CLASSES, FrameRecord, frames_of
from fusin.imaging.instances import Header, Instance, Tag, Unreadable, read_instance
from fusin.imaging.pixels import fill_volume
from fusin.imaging.sources import find_sources
from fusin.imaging.stack import Stack, build_stack, doubt_completeness
from fusin.imaging.volume import Volume
from fusin.provenance import Notice, NoticeLog

__all__ = ["IMAGE_MODALITIES", "Catalogue", "OtherObject", "Series", "scan"]

IMAGE_MODALITIES = ("PT", "CT", "NM", "MR")
_PARTS_OF_OTHER_WINGS = ("SEG", "RTSTRUCT", "SR", "REG", "RWV", "RTPLAN", "RTDOSE", "KO", "PR")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class OtherObject:
    """A DICOM file that is no image series: SEG, RTSTRUCT, SR and the like."""

    path: Path
    name: str
    modality: str
    series_uid: str


@dataclass(slots=True, eq=False, kw_only=True)
class Series:
    """One image series.

    Attributes
    ----------
    uid, study_uid, modality, description, number : from the header of the first image
    instances : its files, in slice order when they form a stack
    stack : ordered frames, None when they do not form a regular volume
    problem : why there is no stack
    notices : what was found while ordering
    """

    uid: str
    study_uid: str
    modality: str
    description: str
    number: int | None
    instances: tuple[Instance, ...]
    stack: Stack | None
    problem: FusinError | None
    notices: tuple[Notice, ...] = ()
    _memo: dict[str, Any] = field(default_factory=dict)

    @property
    def first(self) -> Instance:
        """The first file in slice order."""
        return self.instances[0]

    @property
    def frames(self) -> tuple[FrameRecord, ...]:
        """Frames of the first time point that exist, in slice order; empty without a stack."""
        if "frames" not in self._memo:
            self._memo["frames"] = tuple(f for f in self.stack.phases[0] if f is not None) if self.stack else ()
        found: tuple[FrameRecord, ...] = self._memo["frames"]
        return found

    @property
    def phases(self) -> int:
        """Number of time points (gates, dynamic frames)."""
        return len(self.stack.phases) if self.stack else 0

    @property
    def label(self) -> str:
        """How messages name the series."""
        return f"series {self.description or self.uid}"

    @property
    def enhanced(self) -> bool:
        """Whether it is an Enhanced object whose units and times stand in functional groups (not a converted one)."""
        if self.frames and self.frames[0].own_header is not None:
            return False
        return self.first.sop_class_uid in ENHANCED_CLASSES

    @property
    def header(self) -> Header:
        """Header of the first frame, or of the first file when there is no stack."""
        return self.frames[0].header if self.stack else self.first.header

    def text(self, tag: int) -> str:
        """Text of an element in the first frame."""
        return self.header.text(tag)

    def dataset(self) -> Any:
        """pydicom dataset of the first frame, without pixels."""
        return self.frames[0].dataset() if self.stack else self.first.dataset()

    def require_stack(self) -> Stack:
        """The ordered frames.

        Raises
        ------
        FusinError
            What made them no regular volume.
        """
        if self.stack is None:
            raise self.problem or NotComputable(f"the volume of {self.label}", "it holds no images", "an image series")
        return self.stack

    def load(
        self, log: NoticeLog, *, phase: int | None = None, progress: Progress | None = None, plain: bool = True
    ) -> Volume:
        """Rescaled values in the stored unit.

        Parameters
        ----------
        log : receives the notices found while ordering
        phase : 0-based time point of a 4-D series; needed when there are several
        progress : called with (slices done, slices)
        plain : False reads every file through pydicom (same values, slower)

        Raises
        ------
        Ambiguous
            For a 4-D series without a phase.
        """
        stack = self.require_stack()
        log.extend(self.notices)
        if phase is None and self.phases > 1:
            raise Ambiguous(
                f"the volume of {self.label}",
                f"it is 4-D with {self.phases} time points or gates",
                f"a choice of one (--phase 1 to {self.phases})",
                "FOUR_DIMENSIONAL",
            )
        chosen = 0 if phase is None else phase
        if not 0 <= chosen < self.phases:
            raise InputError(self.label, "phase", chosen + 1, f"a time point from 1 to {self.phases}")
        is_ct = self.modality == "CT"
        values = fill_volume(stack, chosen, prefer_int16=is_ct, progress=progress, plain=plain)
        return Volume(values=values, grid=stack.grid, unit="[hnsf'U]" if is_ct else self.stored_unit)

    @property
    def stored_unit(self) -> str:
        """Units (0054,1001), or the UCUM code of an Enhanced object, as it stands in the header."""
        if self.enhanced and self.frames:
            return str(self.frames[0].timing.get("units", "")) or self.text(Tag.UNITS)
        return self.text(Tag.UNITS)


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """What a folder holds.

    Attributes
    ----------
    root : the path that was scanned
    series : image series, in order of study, number and UID
    objects : other DICOM objects
    notices : files that could not be used
    files : number of files looked at
    """

    root: Path
    series: tuple[Series, ...]
    objects: tuple[OtherObject, ...]
    notices: tuple[Notice, ...]
    files: int

    def of(self, modality: str) -> tuple[Series, ...]:
        """All series of one modality."""
        return tuple(s for s in self.series if s.modality == modality)


def scan(path: Path | str, log: NoticeLog, progress: Progress | None = None) -> Catalogue:
    """Read the headers of everything below a path and group them into series.

    Parameters
    ----------
    path : folder (nested or flat), zip archive, DICOMDIR or single file
    log : receives a notice for each file that cannot be used
    progress : called with (files done, files)

    Raises
    ------
    InputError
        When the path does not exist or holds no DICOM at all.
    """
    root = Path(path)
    sources = find_sources(root, log)
    groups: dict[tuple[str, str], list[Instance]] = defaultdict(list)
    objects: list[OtherObject] = []
    not_dicom: list[str] = []
    local = NoticeLog()
    for number, source in enumerate(sources, start=1):
        try:
            instance = read_instance(source)
        except Unreadable as err:
            if err.code == "NOT_DICOM":
                not_dicom.append(source.name)
            else:
                local.warning(err.code, err.message, where=source.name)
            continue
        finally:
            if progress is not None:
                progress(number, len(sources))
        header = instance.header
        modality, uid = header.text(Tag.MODALITY), header.text(Tag.SERIES_UID)
        if modality in _PARTS_OF_OTHER_WINGS or not header.unsigned(Tag.ROWS):
            objects.append(OtherObject(Path(source.path), source.name, modality, uid))
        else:
            groups[(uid, instance.sop_class_uid)].append(instance)
    if not_dicom:
        shown = ", ".join(not_dicom[:5]) + (" ..." if len(not_dicom) > 5 else "")
        local.info("NOT_DICOM", f"{len(not_dicom)} files are not DICOM and were left out: {shown}", raw=not_dicom[:50])
    log.extend(local)
    if not groups and not objects:
        found = f"{len(sources)} files, none of them readable DICOM" if sources else "no files"
        detail = f" ({next(iter(local)).message})" if len(local) else ""
        raise InputError(str(path), "DICOM folder", found + detail, "a folder with a PET series")
    series = sorted((_series(items) for items in groups.values()), key=_order)
    return Catalogue(root, tuple(series), tuple(objects), local.notices, len(sources))


def _order(series: Series) -> tuple[str, str, int, str]:
    return (series.text(Tag.STUDY_DATE), series.study_uid, series.number or 0, series.uid)


def _series(instances: list[Instance]) -> Series:
    head = instances[0].header
    description = _description(instances[0])
    label = f"series {description or head.text(Tag.SERIES_UID)}"
    local = NoticeLog()
    stack: Stack | None = None
    problem: FusinError | None = None
    modality = head.text(Tag.MODALITY)
    try:
        if modality not in IMAGE_MODALITIES:
            raise NotComputable(
                f"the volume of {label}",
                f"its modality is {modality or 'missing'}",
                "PT, CT, NM or MR images",
                "NO_IMAGE_SERIES",
            )
        stack = build_stack([frame for i in instances for frame in frames_of(i)], label, local)
        if modality == "PT":
            doubt_completeness(stack, label, local)
        instances = _in_order(f.instance for phase in stack.phases for f in phase if f is not None)
    except FusinError as err:
        problem = err
    number = head.number(Tag.SERIES_NUMBER)
    return Series(
        uid=head.text(Tag.SERIES_UID),
        study_uid=head.text(Tag.STUDY_UID),
        modality=modality,
        description=description,
        number=None if number is None else int(number),
        instances=tuple(instances),
        stack=stack,
        problem=problem,
        notices=local.notices,
    )


def _in_order(instances: Iterable[Instance]) -> list[Instance]:
    return list({id(i): i for i in instances}.values())


def _description(instance: Instance) -> str:
    """Series Description in the header's own character set."""
    text = instance.header.text(Tag.SERIES_DESCRIPTION)
    if text.isascii():
        return text
    try:
        return str(instance.dataset().get("SeriesDescription", "") or "")
    except Exception:  # a damaged character set leaves the bytes as they were read
        return text
