"""The time-activity curves of the demonstration: six scans after a made-up study activity of 177Lu-pentixather."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fusin.dosimetry.dose_table import DoseOptions
from fusin.dosimetry.synthetic_time_activity import STUDY, make_times_csv
from fusin.files import write_bytes_atomically
from fusin.provenance import NoticeLog
from fusin.report.dose_report import dose_report
from fusin.report.job_output import JobOutput

__all__ = ["run_part"]

_ADMINISTERED_MBQ = 200.0
_SINGLE_H = 96.0


def run_part(folder: Path, *, seed: int = 0) -> JobOutput:
    """Write ``time_activity.csv`` and ``single_scan.csv``, and read the first like any other.

    Parameters
    ----------
    folder : receives the two files
    seed : of the noise of the activities
    """
    rng = np.random.default_rng([seed, 71])
    path = write_bytes_atomically(folder / "time_activity.csv", make_times_csv(rng=rng).encode("utf-8"))
    single = make_times_csv(STUDY[:2], (_SINGLE_H,), rng=rng)
    write_bytes_atomically(folder / "single_scan.csv", single.encode("utf-8"))
    options = DoseOptions(nuclide="Lu-177", administered_mbq=_ADMINISTERED_MBQ)
    return dose_report(path, options=options, log=NoticeLog())
