"""Time a chromatogram from file to percentages against pandas with pybaselines and scipy, and hplc-py where it is present.

Run ``python benchmarks/bench_chromatogram.py``. hplc-py (GPL-3) is an outside comparator: install it by hand, never with fusin.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from pybaselines import Baseline
from scipy.signal import find_peaks

from fusin.provenance import NoticeLog
from fusin.radiopharmacy.chromatogram_files import read_chromatogram
from fusin.radiopharmacy.chromatogram_method import ChromatogramMethod
from fusin.radiopharmacy.hplc import evaluate_hplc
from fusin.radiopharmacy.synthetic_chromatograms import TruePeak, make_radio_run
from timing import FUSIN, Table, print_table, race, version

SIZES = (4651, 20_001)
RUNS = 5
_MINUTES = 20.0
_PEAKS = [
    TruePeak(counts=c, centre=t, sigma=0.12, tau=0.06)
    for c, t in ((4e4, 2.2), (1e4, 5.0), (2e4, 8.0), (3e4, 8.7), (2e6, 10.5), (5e3, 14.0))
]


def write_run(folder: Path, points: int) -> Path:
    """A run of six peaks as CSV."""
    x, y = make_radio_run(_PEAKS, seed=1, length_min=_MINUTES, step_s=_MINUTES * 60.0 / (points - 1))
    path = folder / f"run_{points}.csv"
    pd.DataFrame({"time_min": x, "counts": y.astype(int)}).to_csv(path, index=False)
    return path


def with_fusin(path: Path, fit: str | None = None) -> list[float]:
    """Percentages with intervals, decay corrected, suitability included."""
    trace = read_chromatogram(path, NoticeLog())[0]
    run = evaluate_hplc(trace, ChromatogramMethod(nuclide="Ga-68", fit=fit), NoticeLog())
    return [p.percent.value for p in run.pieces if p.percent]


def by_hand(path: Path) -> list[float]:
    """Percentages alone: arPLS on all points, find_peaks, valleys as bounds, trapezoids; no intervals."""
    table = pd.read_csv(path)
    x, y = (
        table["time_min"].to_numpy(),
        table["counts"].to_numpy(dtype=float) * 2 ** (table["time_min"].to_numpy() / 67.71),
    )
    net = y - Baseline(x).arpls(y, lam=1e7)[0]
    apexes, found = find_peaks(net, prominence=0.002 * net.max(), width=5)
    areas = [
        float(np.trapezoid(net[a:b], x[a:b])) for a, b in zip(found["left_bases"], found["right_bases"], strict=True)
    ]
    return [100 * a / sum(areas) for a in areas] if len(apexes) else []


def with_hplc_py(path: Path) -> list[float]:
    """Skew-normal fits by hplc-py; no intervals."""
    from hplc.quant import Chromatogram

    table = pd.read_csv(path)
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        found = Chromatogram(table, cols={"time": "time_min", "signal": "counts"}).fit_peaks(
            prominence=0.002, verbose=False
        )
    return [float(v) for v in 100 * found["area"] / found["area"].sum()]


def tables() -> list[Table]:
    """One table per number of points; fits are timed on the shorter run."""
    out = []
    with tempfile.TemporaryDirectory() as name:
        for points in SIZES:
            path = write_run(Path(name), points)
            contenders: dict[str, Callable[[], object]] = {
                FUSIN: lambda p=path: with_fusin(p),
                f"pandas + pybaselines {version('pybaselines')} + scipy": lambda p=path: by_hand(p),
            }
            rows = race(contenders, runs=RUNS)
            seen = len(with_fusin(path)), len(by_hand(path))
            remarks = [
                f"{seen[0]} and {seen[1]} peaks of {len(_PEAKS)}; fusin's time holds intervals, covariance and suitability"
            ]
            out.append(Table(f"Chromatogram of {points:,} points, CSV to percentages", rows, remarks))
        path = write_run(Path(name), SIZES[0])
        fits: dict[str, Callable[[], object]] = {f"{FUSIN}, skew-normal": lambda: with_fusin(path, "skew-normal")}
        if importlib.util.find_spec("hplc") is not None:
            fits[f"hplc-py {version('hplc-py')}"] = lambda: with_hplc_py(path)
        out.append(Table(f"Skew-normal fits of {SIZES[0]:,} points", race(fits, runs=3)))
    return out


if __name__ == "__main__":
    for one in tables():
        print_table(one)
