"""The dynamic scan of the demonstration: four regions with known rates, and blood samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fusin.files import write_bytes_atomically
from fusin.provenance import NoticeLog
from fusin.receptor.kinetic_fit import FitSettings
from fusin.receptor.kinetics import KineticOptions
from fusin.receptor.synthetic_kinetics import make_dynamic_tables
from fusin.report.job_output import JobOutput
from fusin.report.kinetics_report import kinetics_report

__all__ = ["run_part"]


def run_part(folder: Path, *, seed: int = 0) -> JobOutput:
    """Write ``TAC.csv`` and ``BLOOD.csv`` of a made-up scan, and read them like any other.

    Parameters
    ----------
    folder : receives the two files
    seed : of the noise of the counts
    """
    tac, blood = make_dynamic_tables(rng=np.random.default_rng([seed, 83]))
    tac_path = write_bytes_atomically(folder / "TAC.csv", tac.encode("utf-8"))
    blood_path = write_bytes_atomically(folder / "BLOOD.csv", blood.encode("utf-8"))
    options = KineticOptions(model="2tcm", compare=True, nuclide="Ga-68", fit=FitSettings(average=True))
    return kinetics_report(tac_path, blood_path, options=options, log=NoticeLog())
