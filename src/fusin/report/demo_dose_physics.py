"""Lesions of the demonstration by mass: what a decay of 177Lu and of 90Y gives to spheres, and the kernel of a SPECT grid."""

from __future__ import annotations

from pathlib import Path

from fusin.files import write_bytes_atomically
from fusin.provenance import NoticeLog
from fusin.report.dose_physics_report import kernel_report, sphere_report
from fusin.report.job_output import JobOutput, joined
from fusin.report.table_text import csv_text

__all__ = ["run_part"]

MASSES_G = (0.1, 1.0, 10.0, 100.0)
SPACING_MM = (4.8, 4.8, 4.8)


def run_part(folder: Path, *, seed: int = 0) -> JobOutput:
    """Compute S values of lesions and a voxel kernel; nothing is made up, so the seed has no effect.

    Parameters
    ----------
    folder : receives ``kernel_lu177_4.8mm.csv``
    seed : not used
    """
    outputs = {
        name: sphere_report(nuclide, MASSES_G, density=1.0, log=NoticeLog())
        for name, nuclide in (("lutetium", "Lu-177"), ("yttrium", "Y-90"))
    }
    outputs["kernel"] = kernel_report(
        "Lu-177", SPACING_MM, density=1.04, size=None, medium="soft-tissue", part="all", log=NoticeLog()
    )
    voxels = next(t for t in outputs["kernel"].tables() if t.name == "kernel")
    write_bytes_atomically(folder / "kernel_lu177_4.8mm.csv", csv_text(voxels.frame).encode("utf-8"))
    return joined("S values", outputs)
