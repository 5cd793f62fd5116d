"""The generator of the demonstration: a made-up log of five months, one elution of which went wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fusin.files import write_bytes_atomically
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.generator_log import GeneratorOptions
from fusin.radiopharmacy.synthetic_generator import GeneratorTruth, make_log_csv
from fusin.report.generator_report import generator_report
from fusin.report.job_output import JobOutput

__all__ = ["run_part"]

_TOML = """\
# A made-up generator; its log is elutions.csv.
log = "elutions.csv"

[generator]
name = "G1"
ge68_mbq = {ge68:g}
calibrated = {calibrated}
ge68_u_percent = 2.5

[rules]
minimum_yield = 0.60            # of this site
calibrator_u_percent = 1.5

[plan]
time = 2026-07-20T10:00:00
wanted_mbq = 600
lead_min = 35                   # labelling and quality control
"""


def run_part(folder: Path, *, seed: int = 0) -> JobOutput:
    """Write ``generator.toml`` and ``elutions.csv``, and read them like any other.

    Parameters
    ----------
    folder : receives the two files
    seed : of the noise of the yields
    """
    truth = GeneratorTruth()
    document = _TOML.format(ge68=truth.ge68_mbq, calibrated=truth.calibrated.isoformat())
    log_text = make_log_csv(truth, rng=np.random.default_rng([seed, 68]))
    write_bytes_atomically(folder / "elutions.csv", log_text.encode("utf-8"))
    path = write_bytes_atomically(folder / "generator.toml", document.encode("utf-8"))
    return generator_report(path, options=GeneratorOptions(), log=NoticeLog())
