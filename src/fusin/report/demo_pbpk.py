"""The whole body of the demonstration: a scan with its questions, and a therapy with limits."""

from __future__ import annotations

from pathlib import Path

from fusin.files import write_bytes_atomically
from fusin.provenance import NoticeLog
from fusin.receptor.pbpk_case import read_body_case
from fusin.report.job_output import JobOutput, joined
from fusin.report.pbpk_report import TIMES_FILE, pbpk_report

__all__ = ["run_part"]

SCAN = """\
# A scan, made up: how much cold peptide, how much tumour, and what does plerixafor do?
ligand = "pentixafor"
ask = ["mass", "sink", "drug"]

[given]
nuclide = "Ga-68"
activity_mbq = 150
peptide_nmol = 30          # hot and cold together; or peptide_ug with molar_mass_g_mol

[body]
weight_kg = 75
gfr_l_min = 0.10
kd_nm = [1, 25]            # a range: published values disagree about tenfold

[[tumour]]
name = "lesion"
volume_ml = 12             # without receptor_nm it has the SUV of a solid tumour

[[drug]]
name = "plerixafor"        # without hours_before it is asked about, and not on board
"""

THERAPY = """\
# A therapy, made up: which amount of peptide, and what limits the activity? The limits are examples, no recommendation.
ligand = "pentixather"
ask = ["amount"]

[given]
nuclide = "Lu-177"
activity_mbq = 7400
peptide_nmol = 100
duration_min = 30

[[tumour]]
name = "lesion"
volume_ml = 30
receptor_nm = 60

[limits_gy]
kidneys = 23
"red marrow" = 2
"""


def run_part(folder: Path, *, seed: int = 0) -> JobOutput:
    """Write ``body.toml`` and ``therapy.toml``, read them like any other, and write the activities of the therapy.

    Parameters
    ----------
    folder : receives the files and ``TIMES.csv``, which ``fusin dose`` reads
    seed : of the draws
    """
    outputs = {}
    for name, text, draws in (("scan", SCAN, 8), ("therapy", THERAPY, 8)):
        path = write_bytes_atomically(
            folder / ("body.toml" if name == "scan" else "therapy.toml"), text.encode("utf-8")
        )
        log = NoticeLog()
        outputs[name] = pbpk_report(read_body_case(path, log=log), inputs=[path], draws=draws, seed=seed, log=log)
    times = outputs["therapy"].files[TIMES_FILE]
    write_bytes_atomically(folder / TIMES_FILE, times.encode("utf-8") if isinstance(times, str) else times)
    return joined("Whole body", outputs)
