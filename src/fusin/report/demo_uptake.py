"""The uptake assay of the demonstration: two tracers with blocked twins and an efflux phase, made up with known rates."""

from __future__ import annotations

from pathlib import Path

from fusin.assays.counting_runs import RunSetup
from fusin.assays.synthetic_uptake import UptakeDesign, make_uptake
from fusin.files import write_bytes_atomically
from fusin.provenance import NoticeLog
from fusin.report.job_output import JobOutput
from fusin.report.uptake_report import UptakeOptions, uptake_report

__all__ = ["run_part"]


def run_part(folder: Path, *, seed: int = 0) -> JobOutput:
    """Write ``uptake.csv`` into a folder, read it like any other, and return the assay.

    Parameters
    ----------
    folder : receives the input file
    seed : of the noise
    """
    path = folder / "uptake.csv"
    write_bytes_atomically(path, make_uptake(UptakeDesign(), seed=seed).encode("utf-8"))
    options = UptakeOptions(run=RunSetup(nuclide="Ga-68"), reference="reference")
    return uptake_report(path, options=options, log=NoticeLog())
