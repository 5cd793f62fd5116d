"""Timing shared by the benchmarks: contenders take turns, medians are kept, and ratios are against fusin."""

from __future__ import annotations

import gc
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata

__all__ = [
    "BY_A_SMALL_ONE",
    "FUSIN",
    "RUNS",
    "RateTable",
    "Table",
    "Timing",
    "machine",
    "print_table",
    "race",
    "version",
]

FUSIN = "fusin"
# A new process counts the peak memory of the one that forked it as its own, so that a small one starts it.
BY_A_SMALL_ONE = (sys.executable, "-c", "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))")
RUNS = 7
_PACKAGES = (
    "fusin",
    "numpy",
    "scipy",
    "numba",
    "pydicom",
    "SimpleITK",
    "connected-components-3d",
    "highdicom",
    "pandas",
)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one contender, and its peak memory where that was measured."""

    wall_s: float
    cpu_s: float
    peak_mb: float | None = None


@dataclass(slots=True)
class Table:
    """One table: the first row is fusin, the others say how many times as long they take.

    Attributes
    ----------
    title : what was timed
    rows : contender -> timing
    remarks : sentences below the table
    """

    title: str
    rows: dict[str, Timing]
    remarks: list[str] = field(default_factory=list)

    def cells(self) -> list[tuple[str, ...]]:
        """Heading and rows as text."""
        memory = any(t.peak_mb is not None for t in self.rows.values())
        first = next(iter(self.rows.values()))
        lines = [("", "wall ms", "CPU ms", "wall ratio", "CPU ratio", *(("peak MB",) if memory else ()))]
        for name, timing in self.rows.items():
            ratios = (f"{timing.wall_s / first.wall_s:.2f}", f"{timing.cpu_s / first.cpu_s:.2f}")
            peak = ("" if timing.peak_mb is None else f"{timing.peak_mb:.0f}",) if memory else ()
            lines.append((name, f"{1e3 * timing.wall_s:.0f}", f"{1e3 * timing.cpu_s:.0f}", *ratios, *peak))
        return lines

    def markdown(self) -> str:
        """The table as Markdown."""
        head, *body = self.cells()
        lines = [f"### {self.title}", "", _row(head), _row(("---", *["---:"] * (len(head) - 1)))]
        lines += [_row(cells) for cells in body]
        lines += ["", *(f"- {remark}" for remark in self.remarks)] if self.remarks else []
        return "\n".join(lines) + "\n"


@dataclass(slots=True)
class RateTable(Table):
    """A table of other figures than times.

    Attributes
    ----------
    head : of the columns after the name
    figures : contender -> its cells
    """

    rows: dict[str, Timing] = field(default_factory=dict)
    head: tuple[str, ...] = ()
    figures: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def cells(self) -> list[tuple[str, ...]]:
        """Heading and rows as text."""
        return [("", *self.head), *((name, *cells) for name, cells in self.figures.items())]


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


def print_table(table: Table) -> None:
    """Print a table with aligned columns."""
    lines = table.cells()
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    print(f"\n{table.title}")
    for line in lines:
        cells = [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]
        print("  " + "  ".join(cells))
    for remark in table.remarks:
        print(f"  {remark}")


def race(contenders: Mapping[str, Callable[[], object]], *, runs: int = RUNS) -> dict[str, Timing]:
    """Median wall and CPU seconds of each contender.

    Every contender runs once unmeasured (compilation, imports, file cache); then they take turns, so that load on
    the machine falls on all of them alike. CPU seconds are those of all threads of this process.
    """
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for call in contenders.values():
        call()
    for _ in range(runs):
        for name, call in contenders.items():
            gc.collect()
            wall, cpu = time.perf_counter(), time.process_time()
            kept = call()
            samples[name].append((time.perf_counter() - wall, time.process_time() - cpu))
            del kept
    return {
        name: Timing(statistics.median(w for w, _ in times), statistics.median(c for _, c in times))
        for name, times in samples.items()
    }


def version(package: str) -> str:
    """Installed version, or "not installed"."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def machine() -> list[str]:
    """What the figures were taken with: cores and versions, no names."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return [
        f"{platform.system()} {platform.machine()}, {cores} cores shared with other work, Python {platform.python_version()}",
        ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
    ]
