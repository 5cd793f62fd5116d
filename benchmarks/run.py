"""Run every benchmark, print the tables, and write them to ``benchmarks/results.md``.

``python benchmarks/run.py`` takes about ten minutes; names such as ``reading pipeline`` pick some, and then no file
is written. Nothing here is part of the test suite: a busy machine may be slow, and is not wrong.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from timing import RUNS, machine, print_table

__all__ = ["main"]

NAMES = (
    "reading",
    "audit",
    "pipeline",
    "quantification",
    "statistics",
    "fitting",
    "generator",
    "chromatogram",
    "read_command",
    "release",
    "voxel_dose",
    "kinetics",
    "receptor",
    "pbpk",
    "spect",
    "spect_command",
    "pet",
    "backends",
)
RESULTS = Path(__file__).resolve().parent / "results.md"
_HEAD = f"""# Speed

Ratios say how many times as long as fusin the alternative takes, in the same run on the same files; above 1 fusin is
faster. Contenders take turns; the figures are medians of {RUNS} runs (5 for lesion stages, 3 for whole commands) with
warm file cache and compiled code, after one run that is not counted. CPU time is that of all threads. The machine is
shared: trust ratios of CPU time more than milliseconds.

The study is the digital patient: 400 PET slices of 200 x 200 with a slope each, 400 CT slices of 512 x 512, explicit
little endian, one file per slice. `python benchmarks/run.py` makes the study and this page.
"""


def main(names: list[str]) -> None:
    """Run the benchmarks named, all when none is."""
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        raise SystemExit(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    print("\n".join(machine()))
    pages = [_HEAD, "\n".join(f"- {line}" for line in machine()) + "\n"]
    for name in names or NAMES:
        for table in importlib.import_module(f"bench_{name}").tables():
            print_table(table)
            pages.append(table.markdown())
    if not names:
        RESULTS.write_text("\n".join(pages))
        print(f"\nwritten to {RESULTS.relative_to(Path.cwd()) if RESULTS.is_relative_to(Path.cwd()) else RESULTS}")


if __name__ == "__main__":
    main(sys.argv[1:])
