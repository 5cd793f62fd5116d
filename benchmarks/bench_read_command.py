"""Time the whole command: a new process that reads the study, writes every output and the report, and ends.

Wall and CPU seconds and the peak resident memory are those the operating system counted for the process. No other
program does the same job in one command, so that the rows compare the command's own variants and its limits.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from study import bench_study
from timing import FUSIN, Table, Timing, print_table

__all__ = ["main", "tables"]

RUNS = 3
LIMIT_WALL_S, LIMIT_PEAK_MB = 15.0, 1500.0
_COMMAND = (sys.executable, "-c", "from fusin.cli.app import main; main()")
# A new process counts the peak memory of the one that forked it as its own, so that a small one starts the command.
_WATCH = """
import json, os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(json.dumps([time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def timed(arguments: Sequence[str], cache: Path | None = None) -> Timing:
    """Run the command once; ``cache`` is where compiled code is looked for and kept."""
    environment = {**os.environ, **({"NUMBA_CACHE_DIR": str(cache)} if cache else {})}
    command = [sys.executable, "-c", _WATCH, *_COMMAND, *arguments]
    watched = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if watched.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{watched.stderr[-2000:]}")
    wall, cpu, peak = json.loads(watched.stdout.splitlines()[-1])
    return Timing(wall, cpu, peak / (2**20 if sys.platform == "darwin" else 2**10))


def median(timings: Sequence[Timing]) -> Timing:
    """Medians of wall and CPU, the highest peak."""
    wall, cpu = (statistics.median(getattr(t, name) for t in timings) for name in ("wall_s", "cpu_s"))
    return Timing(wall, cpu, max(t.peak_mb or 0.0 for t in timings))


def tables() -> list[Table]:
    """One table of the command's variants."""
    study = bench_study()
    with tempfile.TemporaryDirectory() as folder:
        read = ["read", str(study.folder), "--out", str(Path(folder) / "reading")]
        variants = {
            FUSIN + " read, all outputs": read,
            FUSIN + " read --labels SEG": [*read, "--labels", str(study.organs)],
            FUSIN + " read --no-dicom": [*read, "--no-dicom"],
            FUSIN + " read --no-dicom --no-report": [*read, "--no-dicom", "--no-report"],
            FUSIN + " audit": ["audit", str(study.folder)],
            FUSIN + " --help": ["--help"],
        }
        cold = timed(read, Path(folder) / "compiled")
        for arguments in variants.values():
            timed(arguments)
        samples: dict[str, list[Timing]] = {name: [] for name in variants}
        for _ in range(RUNS):
            for name, arguments in variants.items():
                samples[name].append(timed(arguments))
    rows = {name: median(timings) for name, timings in samples.items()}
    rows[FUSIN + " read, first run on a machine (compiles)"] = cold
    slowest = max(rows.values(), key=lambda t: t.wall_s)
    peak = max(t.peak_mb or 0.0 for t in rows.values())
    remark = (
        f"limits for reading: {LIMIT_WALL_S:.0f} s wall and {LIMIT_PEAK_MB:.0f} MB; "
        f"most seen: {slowest.wall_s:.1f} s and {peak:.0f} MB"
    )
    return [Table("The whole command", rows, [remark])]


def main() -> None:
    """Print the table."""
    for table in tables():
        print_table(table)


if __name__ == "__main__":
    main()
