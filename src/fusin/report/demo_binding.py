"""The binding assays of the demonstration: three ligands in three experiments, a saturation, a homologous competition."""

from __future__ import annotations

from pathlib import Path

from fusin.assays.binding import BindingOptions
from fusin.assays.binding_radioligand import Radioligand
from fusin.assays.saturation import SaturationOptions
from fusin.assays.synthetic_binding import CompetitionTruth, make_competition, make_homologous, make_saturation
from fusin.files import write_bytes_atomically
from fusin.provenance import NoticeLog
from fusin.report.binding_report import binding_of_table, saturation_of_table
from fusin.report.job_output import JobOutput, joined
from fusin.report.table_text import csv_text

__all__ = ["run_part"]

# Made-up ligands; the numbers say nothing about any real one.
TRUTHS = (
    CompetitionTruth(name="ligand A (reference)", ki_nm=1.5),
    CompetitionTruth(name="ligand B", ki_nm=9.0),
    CompetitionTruth(name="ligand C", ki_nm=60.0),
)


def run_part(folder: Path, *, seed: int = 0) -> JobOutput:
    """Write made-up binding assays, analyse them as the verbs do, and return one result.

    Parameters
    ----------
    folder : receives ``competition.csv``, ``homologous.csv`` and ``saturation.csv``
    seed : of the noise
    """
    tables = {
        "competition": make_competition(TRUTHS, seed=seed),
        "homologous": make_homologous(seed=seed + 1),
        "saturation": make_saturation(seed=seed + 2),
    }
    for name, frame in tables.items():
        write_bytes_atomically(folder / f"{name}.csv", csv_text(frame).encode("utf-8"))
    hot = Radioligand(kd_nm=0.5, added=50000.0, volume_ml=0.25, specific_activity=1000.0)
    competition = binding_of_table(
        folder / "competition.csv", log=NoticeLog(),
        options=BindingOptions(model="one-site", radioligand=hot, reference=TRUTHS[0].name),
    )  # fmt: skip
    homologous = binding_of_table(
        folder / "homologous.csv", log=NoticeLog(), options=BindingOptions(model="homologous", noise="relative")
    )
    saturation = saturation_of_table(
        folder / "saturation.csv", log=NoticeLog(),
        options=SaturationOptions(noise="relative", deplete=True, volume_ml=0.25, specific_activity=1000.0, cells=2e5),
    )  # fmt: skip
    return joined("Binding", {"competition": competition, "homologous": homologous, "saturation": saturation})
