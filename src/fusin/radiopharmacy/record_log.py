"""The write-ahead log beside a record: whether SQLite reads all of it.

SQLite ends the log in silence at the first page whose checksum does not hold. After a crash that is right: what follows was
never acknowledged. A log that somebody changed, or a disk that failed, looks the same from inside, but then finished
transactions stand behind the bad page.

References
----------
SQLite, Database File Format, section 4 (The Write-Ahead Log).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LogState", "log_of", "log_state"]

_HEADER, _FRAME = 32, 24
_MAGIC = (0x377F0682, 0x377F0683)


@dataclass(frozen=True, slots=True)
class LogState:
    """What stands in a log.

    Attributes
    ----------
    readable : whether its head is one
    lost : finished transactions that stand behind a page that does not hold
    """

    readable: bool = True
    lost: int = 0


def log_of(path: Path) -> Path:
    """The log beside a record."""
    return path.with_name(path.name + "-wal")


def log_state(log: Path) -> LogState:
    """Read a log as SQLite does, and look behind the page at which SQLite stops.

    Parameters
    ----------
    log : the file; absent and empty ones are whole
    """
    try:
        data = log.read_bytes()
    except OSError:
        return LogState(readable=not log.exists())
    if not data:
        return LogState()
    if len(data) < _HEADER:
        return LogState(readable=False)
    magic, _, page, _, *salts, first, second = struct.unpack(">8I", data[:_HEADER])
    order = ">" if magic & 1 else "<"
    if magic not in _MAGIC or _sum(data[:24], order, (0, 0)) != (first, second) or not 512 <= page <= 65536:
        return LogState(readable=False)
    state, whole, lost = (first, second), True, 0
    for start in range(_HEADER, len(data) - _FRAME - page + 1, _FRAME + page):
        _, commit, *own, one, other = struct.unpack(">6I", data[start : start + _FRAME])
        mine = own == salts
        if whole and mine:
            state = _sum(data[start : start + 8], order, state)
            state = _sum(data[start + _FRAME : start + _FRAME + page], order, state)
        whole = whole and mine and state == (one, other)
        # Pages of an earlier round of the log have other salts; they are leftovers and no loss.
        lost += not whole and mine and commit > 0
    return LogState(lost=lost)


def _sum(data: bytes, order: str, state: tuple[int, int]) -> tuple[int, int]:
    """The checksum of SQLite's log: two sums of 32-bit words that feed each other."""
    one, other = state
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for index in range(0, len(words), 2):
        one = (one + words[index] + other) & 0xFFFFFFFF
        other = (other + words[index + 1] + one) & 0xFFFFFFFF
    return one, other
