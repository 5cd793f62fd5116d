"""Occupancy and pathway of the demonstration: a case of four questions, the network in three states, and both workflows."""

from __future__ import annotations

from pathlib import Path

from fusin.errors import MissingExtra
from fusin.files import write_bytes_atomically
from fusin.provenance import NoticeLog
from fusin.receptor.engines import Experiment, open_model
from fusin.receptor.occupancy_case import read_case
from fusin.receptor.quantities import parse_pairs, parse_quantity
from fusin.report.job_output import JobOutput, joined
from fusin.report.receptor_occupancy import occupancy_report
from fusin.report.receptor_pathway import pathway_report
from fusin.report.workflow_figures import workflow_report

__all__ = ["run_part"]

CASE = """\
# Who holds the receptor? Made up: an injection of 30 nmol, plerixafor the evening before, CXCL12 in the tissue.
hours = [0.5, 1, 2, 4, 6, 8, 10, 12, 16, 20, 24, 36]

[tracer]
name = "pentixafor"
kd_nm = [0.1, 25]        # a range: published values disagree about tenfold
amount_nmol = 30
activity_mbq = 150
nuclide = "Ga-68"
weight_kg = 75
free_suv = "published"   # heart blood, 1.66 (0.88 to 2.89)

[tissue]
receptor_nm = [50, 170]
nonspecific_share = [0.05, 0.2]

[[drug]]
name = "plerixafor"
kd_nm = [10, 1000]

[cxcl12]
free_nm = [1, 10, 100]

[[ic50]]
name = "paper A"
ic50_nm = 24.8
radioligand_nm = 0.2
radioligand_kd_nm = 0.5
receptor_nm = 0.01

[[ic50]]
name = "paper B"
ic50_nm = 2.7
radioligand_nm = 0.2
radioligand_kd_nm = 0.5
receptor_nm = 1.0
"""


def run_part(folder: Path, *, seed: int = 0) -> JobOutput:
    """Write the case, answer it, and draw the network where its packages are installed.

    Parameters
    ----------
    folder : receives ``occupancy.toml``
    seed : of the draws
    """
    path = write_bytes_atomically(folder / "occupancy.toml", CASE.encode("utf-8"))
    log = NoticeLog()
    parts = {"occupancy": occupancy_report(read_case(path, log=log), inputs=(path,), seed=seed, draws=2000, log=log)}
    try:
        parts["pathway"] = _pathway()
    except MissingExtra as err:
        log.info("TRAFFICKING_LEFT_OUT", f"the pathway is not drawn: {err}", where="pathway")
    parts["workflow"] = workflow_report(log=NoticeLog())
    return joined("Occupancy and pathway", parts)


def _pathway() -> JobOutput:
    experiment = Experiment(
        until=parse_quantity("30min", "until"), points=181, dose=parse_pairs(["CXCL12=10nM"], "dose"),
        block=parse_pairs(["pentixafor=50nM"], "block"),
    )  # fmt: skip
    at = parse_quantity("10min", "at")
    return pathway_report(open_model("cxcr4-pathway"), experiment, at=at, log=NoticeLog())
