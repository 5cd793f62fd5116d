"""The vial, the bench, the dose and the receptor of the demonstration: each is one page made of the results of several verbs."""

from __future__ import annotations

import importlib
from pathlib import Path

from fusin.quantification.study import Stage, silent
from fusin.report.job_output import JobOutput, joined, write_job

__all__ = ["run_bench_demo", "run_dose_demo", "run_receptor_demo", "run_reconstruction_demo", "run_vial_demo"]

# Each module offers run_part(folder, seed): it writes its input files, reads them like any other, and returns the result.
_VIAL: dict[str, str] = {
    "release": "fusin.report.demo_release",
    "generator": "fusin.report.demo_generator",
    "chromatogram": "fusin.report.demo_chromatogram",
    "dispense": "fusin.report.demo_dispense",
}
_BENCH: dict[str, str] = {
    "binding": "fusin.report.demo_binding",
    "uptake": "fusin.report.demo_uptake",
    "biodistribution": "fusin.report.demo_biodistribution",
}
_DOSE: dict[str, str] = {
    "images": "fusin.report.demo_dose_images",
    "curves": "fusin.report.demo_time_activity",
    "organs": "fusin.report.demo_organs",
    "s-values": "fusin.report.demo_dose_physics",
    "plan": "fusin.report.demo_plan",
}

_RECEPTOR: dict[str, str] = {
    "simulation": "fusin.report.demo_simulation",
    "kinetics": "fusin.report.demo_kinetics",
    "occupancy": "fusin.report.demo_occupancy",
    "body": "fusin.report.demo_pbpk",
}
_RECONSTRUCTION: dict[str, str] = {
    "slice": "fusin.report.demo_reconstruct",
}


def run_vial_demo(folder: Path, *, seed: int = 0, progress: Stage = silent) -> JobOutput:
    """Make the files of a day in the radiopharmacy, read them like any other, and write one page.

    Parameters
    ----------
    folder : receives the input files, ``report.html``, ``results.json``, ``tables`` and ``figures``
    seed : of the noise
    progress : called with (stage, done, total)
    """
    return _run(_VIAL, "A day in the radiopharmacy, made up", "the vial", folder, seed, progress)


def run_bench_demo(folder: Path, *, seed: int = 0, progress: Stage = silent) -> JobOutput:
    """Make the files of the bench, read them like any other, and write one page; see `run_vial_demo`."""
    return _run(_BENCH, "The bench, made up", "the bench", folder, seed, progress)


def run_dose_demo(folder: Path, *, seed: int = 0, progress: Stage = silent) -> JobOutput:
    """Make the measurements of a treated digital patient, compute doses and plan; see `run_vial_demo`."""
    return _run(_DOSE, "Doses of a digital patient", "the dose", folder, seed, progress)


def run_receptor_demo(folder: Path, *, seed: int = 0, progress: Stage = silent) -> JobOutput:
    """Make a dynamic scan and run the models of the receptor; see `run_vial_demo`."""
    return _run(_RECEPTOR, "The receptor, made up", "the receptor", folder, seed, progress)


def run_reconstruction_demo(folder: Path, *, seed: int = 0, progress: Stage = silent) -> JobOutput:
    """Make counts with known truth and reconstruct them; see `run_vial_demo`."""
    return _run(_RECONSTRUCTION, "Counts with known truth, reconstructed", "the reconstruction", folder, seed, progress)


def _run(parts: dict[str, str], title: str, stage: str, folder: Path, seed: int, progress: Stage) -> JobOutput:
    folder.mkdir(parents=True, exist_ok=True)
    outputs: dict[str, JobOutput] = {}
    for number, (name, module) in enumerate(parts.items()):
        progress(stage, number, len(parts) + 1)
        outputs[name] = importlib.import_module(module).run_part(folder, seed=seed)
    output = joined(title, outputs)
    write_job(output, folder)
    progress(stage, len(parts) + 1, len(parts) + 1)
    return output
