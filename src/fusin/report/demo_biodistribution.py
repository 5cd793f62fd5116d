"""The biodistribution of the demonstration: made-up tubes and animals with known truth, counter files, a time course."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import numpy as np

from fusin.assays.biodistribution_files import StudySetup
from fusin.assays.counting_runs import RunSetup
from fusin.assays.synthetic_counts import (
    REFERENCE,
    WIZARD_MAP,
    BiodistributionDesign,
    MadeTube,
    draw_counts,
    expected_counts,
    hidex_text,
    make_biodistribution,
    wizard_text,
)
from fusin.files import write_bytes_atomically
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.report.biodistribution_report import BiodistributionInputs, BiodistributionOptions, biodistribution_report
from fusin.report.job_output import JobOutput

__all__ = ["demo_files", "run_part"]

_TAU_S, _BACKGROUND_CPS = 4e-6, 1.2
_RATES = {"blank-1": 0.0, "blank-2": 0.0, "tumour": 5200.0, "blood": 140.0, "muscle": 3.0, "syringe": 42000.0}
_COURSE = {"tumor": (9.0, 14.0, 16.0, 15.0, 13.5), "blood": (3.6, 1.9, 0.9, 0.5, 0.3), "kidney": (6.0, 3.4, 1.8, 1.4, 1.1),
           "liver": (3.1, 2.6, 2.0, 1.9, 1.7)}  # fmt: skip
_TIMES_H = (0.25, 0.5, 1.0, 2.0, 4.0)


def demo_files(*, seed: int = 0) -> Mapping[str, str]:
    """Made-up input files by name: a study, a Hidex file, a gamma counter with its map, and ready values over time."""
    study = make_biodistribution(BiodistributionDesign(), seed=seed)
    rng = np.random.default_rng(seed + 1)
    tubes = _tubes(rng)
    lines = ["animal,organ,percent_id_per_g,time_h"]
    for t, hours in enumerate(_TIMES_H):
        for i in range(4):
            body = float(np.exp(0.1 * rng.standard_normal()))
            for organ, means in _COURSE.items():
                value = means[t] * body * float(np.exp(0.12 * rng.standard_normal()))
                lines.append(f"t{t + 1}{'abcd'[i]},{organ},{value:.3f},{hours:g}")
    return {
        **study.files,
        "hidex.csv": hidex_text(tubes, title="Ga-68 made up"),
        "gamma_counter.csv": wizard_text(tubes),
        "gamma_counter.toml": WIZARD_MAP,
        "time_course.csv": "\n".join(lines) + "\n",
    }


def _tubes(rng: np.random.Generator) -> list[MadeTube]:
    half_life = nuclide("Ga-68").half_life_s
    out = []
    for number, (name, rate) in enumerate(_RATES.items()):
        start = REFERENCE + timedelta(hours=2, seconds=75 * number)
        expected = expected_counts(rate, start=start, seconds=60.0, half_life_s=half_life,
                                   background_cps=_BACKGROUND_CPS, dead_time_s=_TAU_S)  # fmt: skip
        factor = 1.0 / (1.0 - expected / 60.0 * _TAU_S)
        out.append(MadeTube(name=name, counts=draw_counts(rng, expected), start=start, seconds=60.0, factor=factor))
    return out


def run_part(folder: Path, *, seed: int = 0) -> JobOutput:
    """Write the made-up files into a folder, read them like any other, and return the biodistribution.

    Parameters
    ----------
    folder : receives the input files
    seed : of the noise
    """
    for name, text in demo_files(seed=seed).items():
        write_bytes_atomically(folder / name, text.encode("utf-8"))
    inputs = BiodistributionInputs(table=folder / "tubes.csv", animals=folder / "animals.csv")
    setup = StudySetup(run=RunSetup(nuclide="Ga-68"), balance_sd_mg=0.1, tail_limit_percent=5.0)
    return biodistribution_report(inputs, options=BiodistributionOptions(setup=setup), log=NoticeLog())
