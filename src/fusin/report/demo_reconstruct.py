"""The slice of the demonstration: counts with known truth, reconstructed with three algorithms."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np

from fusin.provenance import NoticeLog
from fusin.reconstruction.acquired import acquire
from fusin.reconstruction.config import read_config
from fusin.reconstruction.run import run_reconstruction
from fusin.reconstruction.synthetic_slice import SyntheticSlice, make_slice
from fusin.report.job_output import JobOutput
from fusin.report.reconstruct_report import reconstruct_report

__all__ = ["run_part"]

_HEAD = """# A made-up slice with its system matrix; the truth stands in slice_truth.json.
modality = "matrix"
title = "slice"

[data]
matrix = "slice.npz"

[image]
shape = [1, 32, 32]
voxel_mm = 8.0
"""
_TAIL = {
    "small.toml": """
[algorithm]
name = "osem"
iterations = 6
subsets = 8

[bootstrap]
replicates = 20
seed = 1
""",
    "small_map.toml": """
[algorithm]
name = "map"
iterations = 60
subsets = 8

[prior]
beta = 0.2

[stop]
background = "background"
""",
}


def run_part(folder: Path, *, seed: int = 0) -> JobOutput:
    """Write the counts, reconstruct them like any others, and return the result.

    Parameters
    ----------
    folder : receives ``slice.npz``, ``small.toml``, ``small_map.toml`` and ``slice_truth.json``
    seed : of the noise
    """
    made = make_slice(seed=seed)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, matrix=made.matrix.astype(np.float32), counts=made.counts, additive=made.additive,
                        angles_deg=made.angles_deg)  # fmt: skip
    (folder / "slice.npz").write_bytes(buffer.getvalue())
    for name, tail in _TAIL.items():
        (folder / name).write_text(_HEAD + tail + _regions(made), encoding="utf-8")
    truth = {"unit": "decays per voxel", **made.truth}
    (folder / "slice_truth.json").write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")
    log = NoticeLog()
    config = read_config(folder / "small.toml")
    run = run_reconstruction(config, acquire(config, log=log), log=log)
    return reconstruct_report(run, log=log)


def _regions(made: SyntheticSlice) -> str:
    """The inner part of each disc, where the resolution of the image loses little; background between the discs."""
    discs = {**{n: (c, 0.6 * r) for n, (c, r) in made.discs.items()}, "background": ((0.0, 75.0), 16.0)}
    return "".join(
        f'\n[[region]]\nname = "{name}"\ncentre_mm = [{x:g}, {y:g}, 0]\nradius_mm = {radius:g}\n'
        for name, ((x, y), radius) in discs.items()
    )
