"""What the proofs by simulation share: the command in a process of its own, a CT of a phantom, tables."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

__all__ = ["FRAME", "command", "estimate", "kept_folder", "markdown", "study", "write_ct"]

FRAME = "2.25.167283940516273849506172839405162738"
_COMMAND = (sys.executable, "-c", "from fusin.cli.app import main; main()")


def command(config: Path, out: Path) -> dict:
    """Run ``fusin reconstruct``, and return its document; what an earlier proof left in the same folder is taken as it is."""
    written = out / "results.json"
    if not written.exists():
        arguments = ("reconstruct", str(config), "--quiet", "--out", str(out))
        done = subprocess.run([*_COMMAND, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"fusin {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
        print("done:", config.name, file=sys.stderr, flush=True)
    return json.loads(written.read_text())


def kept_folder(temporary: str) -> Path:
    """The folder that ``--work FOLDER`` names, which stays and lets a proof go on; else a temporary one."""
    folder = Path(sys.argv[sys.argv.index("--work") + 1] if "--work" in sys.argv else temporary)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def study():
    """Header of the study that all objects belong to."""
    from fusin.imaging.dicom_write import StudyHeader

    return StudyHeader(patient_name="Phantom^Jar", patient_id="PROOF", frame_of_reference_uid=FRAME,
                       study_datetime=datetime(2026, 3, 2, 9), study_description="Proof by simulation")  # fmt: skip


def write_ct(folder: Path, phantom, mu_water: float, *, pitch_mm: float = 3.0) -> None:
    """CT of a phantom without noise; attenuation that is that of water becomes 0 HU, and none air."""
    from fusin.imaging.dicom_write import write_ct_series
    from fusin.imaging.volume import Grid, Volume

    if folder.exists():
        return
    low, high = phantom.bounds_mm()
    counts = np.ceil((high - low + 60.0) / pitch_mm).astype(int)
    affine = np.diag([pitch_mm, pitch_mm, pitch_mm, 1.0])
    affine[:3, 3] = 0.5 * (low + high) - 0.5 * (counts - 1) * pitch_mm
    shape = (int(counts[2]), int(counts[1]), int(counts[0]))
    grid = Grid(shape=shape, affine=affine, frame_of_reference_uid=FRAME)
    mu = phantom.on_grid(grid, samples=(3, 3, 3))[1]
    numbers = np.rint(1000.0 * (np.asarray(mu.values) / mu_water - 1.0)).astype(np.int16)
    write_ct_series(folder, Volume(values=numbers, grid=grid, unit="[hnsf'U]"), study=study(), seed_uid=f"{FRAME} {folder.name}",
                    dialect="SYNTHETIC")  # fmt: skip


def estimate(found: dict, region: str, quantity: str) -> dict:
    """Mean or total of a region in the document of ``fusin reconstruct``."""
    return next(r[quantity] for r in found["regions"] if r["name"] == region)


def markdown(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table."""
    lines = [
        "| " + " | ".join(str(c) for c in cells) + " |" for cells in (head, ["---"] + ["---:"] * (len(head) - 1), *rows)
    ]
    return "\n".join(lines) + "\n"
