"""Where DICOM bytes come from: files in a folder, members of a zip archive, the files that a DICOMDIR names."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fusin.errors import InputError
from fusin.provenance import NoticeLog

__all__ = ["FileSource", "Source", "ZipSource", "find_sources"]

_LOCAL_HEADER = 30
_BLOCK = 65536


@dataclass(frozen=True, slots=True)
class FileSource:
    """One file on disk; ``name`` is its path relative to the study folder."""

    path: Path
    name: str
    size: int

    def head(self, count: int) -> bytes:
        """First ``count`` bytes."""
        with self.path.open("rb", buffering=0) as stream:
            return stream.read(count)

    def read(self) -> bytes:
        """All bytes."""
        return self.path.read_bytes()

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill a buffer from an offset; returns the bytes read."""
        with self.path.open("rb", buffering=0) as stream:
            stream.seek(offset)
            done = 0
            while done < len(buffer):
                count = stream.readinto(buffer[done:])
                if not count:
                    break
                done += count
            return done


@dataclass(frozen=True, slots=True)
class ZipSource:
    """One member of a zip archive; ``info`` is its entry in the archive's directory."""

    path: Path
    name: str
    size: int
    info: zipfile.ZipInfo

    def head(self, count: int) -> bytes:
        """First ``count`` bytes."""
        return self._unpacked(count)

    def read(self) -> bytes:
        """All bytes.

        Raises
        ------
        zipfile.BadZipFile
            When they are not those that were packed.
        """
        data = self._unpacked(self.size)
        if len(data) != self.size or zlib.crc32(data) != self.info.CRC:
            raise zipfile.BadZipFile(f"{self.name}: the member is damaged")
        return data

    def read_into(self, buffer: memoryview, offset: int) -> int:
        """Fill a buffer from an offset; returns the bytes read."""
        part = self.read()[offset : offset + len(buffer)]
        buffer[: len(part)] = part
        return len(part)

    def _unpacked(self, count: int) -> bytes:
        """First ``count`` bytes, from the member's own place: opening an archive parses all of its directory."""
        if self.info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            with zipfile.ZipFile(self.path) as archive, archive.open(self.info) as stream:
                return stream.read(count)
        with self.path.open("rb") as packed:
            packed.seek(self.info.header_offset)
            local = packed.read(_LOCAL_HEADER)
            if len(local) < _LOCAL_HEADER or local[:4] != b"PK\x03\x04":
                raise zipfile.BadZipFile(f"{self.name}: no member where the archive's directory says")
            packed.seek(sum(struct.unpack_from("<HH", local, 26)), os.SEEK_CUR)
            if self.info.compress_type == zipfile.ZIP_STORED:
                return packed.read(min(count, self.size))
            return _inflated(packed, self.info.compress_size, count)


def _inflated(packed: BinaryIO, left: int, count: int) -> bytes:
    """First ``count`` bytes of a raw deflate stream of ``left`` packed bytes."""
    inflate, parts, done = zlib.decompressobj(-zlib.MAX_WBITS), [], 0
    while left > 0 and done < count:
        block = packed.read(min(left, _BLOCK))
        if not block:
            break
        left -= len(block)
        parts.append(inflate.decompress(block, count - done))
        done += len(parts[-1])
    return b"".join(parts)


Source = FileSource | ZipSource


def find_sources(path: Path, log: NoticeLog) -> list[Source]:
    """All files that may be DICOM below a folder, in a zip archive, or named by a DICOMDIR; sorted by name.

    Parameters
    ----------
    path : folder, zip archive, DICOMDIR or single file
    log : receives notices on unreadable archives and on files that a DICOMDIR names and nobody finds

    Raises
    ------
    InputError
        When the path does not exist, or is an archive that cannot be read.
    """
    if not path.exists():
        raise InputError(
            str(path), "DICOM folder", "nothing there", "a folder, zip archive, DICOMDIR or file that exists"
        )
    if path.is_file():
        if zipfile.is_zipfile(path):
            return list(_in_zip(path, path.name))
        if path.name.upper() == "DICOMDIR":
            return _named_by_dicomdir(path, log)
        return [FileSource(path, path.name, path.stat().st_size)]
    sources: list[Source] = []
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        for name in sorted(files):
            file = Path(folder) / name
            relative = file.relative_to(path).as_posix()
            if name.startswith(".") or name.upper() == "DICOMDIR":
                continue
            if name.lower().endswith(".zip"):
                sources.extend(_zip_or_notice(file, relative, log))
            elif file.is_file():
                sources.append(FileSource(file, relative, file.stat().st_size))
    return sources


def _zip_or_notice(file: Path, relative: str, log: NoticeLog) -> list[Source]:
    if zipfile.is_zipfile(file):
        return list(_in_zip(file, relative))
    log.warning("UNREADABLE_FILE", f"{relative}: named .zip and is no readable zip archive; left out", where=relative)
    return []


def _in_zip(file: Path, label: str) -> Iterator[Source]:
    try:
        with zipfile.ZipFile(file) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            encrypted = [m.filename for m in members if m.flag_bits & 1]
    except (zipfile.BadZipFile, OSError) as err:
        raise InputError(str(file), "zip archive", str(err), "an intact archive") from err
    if encrypted:
        raise InputError(str(file), "zip archive", f"encrypted member {encrypted[0]}", "an archive without a password")
    for member in sorted(members, key=lambda m: m.filename):
        base = member.filename.rsplit("/", 1)[-1]
        if not base.startswith(".") and base.upper() != "DICOMDIR" and "__MACOSX" not in member.filename:
            yield ZipSource(file, f"{label}/{member.filename}", member.file_size, member)


def _named_by_dicomdir(path: Path, log: NoticeLog) -> list[Source]:
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        records = pydicom.dcmread(path).get("DirectoryRecordSequence") or []
    except (InvalidDicomError, OSError, ValueError, EOFError) as err:
        raise InputError(str(path), "DICOMDIR", str(err), "a readable DICOMDIR, or the folder that holds it") from err
    sources: list[Source] = []
    for record in records:
        parts = record.get("ReferencedFileID")
        if not parts:
            continue
        names = [parts] if isinstance(parts, str) else [str(p) for p in parts]
        file = path.parent.joinpath(*names)
        if file.is_file():
            sources.append(FileSource(file, "/".join(names), file.stat().st_size))
        else:
            log.warning(
                "DICOMDIR_FILE_MISSING", f"DICOMDIR names {'/'.join(names)}, which is not there", where=path.name
            )
    return sorted(sources, key=lambda s: s.name)
