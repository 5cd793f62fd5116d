"""Contrast recovery, background variability and lung residual of the NEMA NU 2 phantom, with intervals, from counts to table.

Prompts with scatter and randoms come from exact line integrals through the phantom's solids; they are written as Interfile with a
CT, and ``fusin reconstruct`` makes each image from a TOML file. Bootstrap replicates of the counts run through the same settings.
``python benchmarks/proof_nema.py`` takes about ten minutes on two cores, prints the table, and writes
``benchmarks/proof_nema.json`` and the picture of docs/reconstruction-proof.md. ``--work FOLDER`` keeps the files and goes on there.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np

from proof import command, kept_folder, markdown, write_ct

CRYSTALS, RINGS, RADIUS_MM, PITCH_MM, BINS = 360, 40, 400.0, 5.3, 101
SPAN, MOST = 3, 1
TRUES, SCATTER, RANDOMS, BLUR_MM = 1.2e8, 0.35, 0.3, 4.0
MU_WATER, WIDTH_MM = 0.096, 5.0
RATIOS = (4.0, 8.0)
REPLICATES, REPEATS = 12, 6
STUDENT = 2.201  # 97.5 % with 11 degrees of freedom
CONFIG = """modality = "pet"
[data]
projections = "prompts.hs"
[image]
shape = [79, 84, 84]
voxel_mm = 4.0
[attenuation]
ct = "CT"
[scatter]
method = "file"
file = "scatter.hs"
[randoms]
delayed = "delayed.hs"
[algorithm]
name = "osem"
iterations = 3
subsets = 20
"""
RESOLUTION = f"[resolution]\nfwhm_mm = {WIDTH_MM:g}\n"


def geometry():
    """The scanner, its middle at 0 as an Interfile header has it."""
    from fusin.reconstruction.pet_geometry import CylindricalScanner, SinogramGeometry

    scanner = CylindricalScanner(crystals=CRYSTALS, rings=RINGS, radius_mm=RADIUS_MM, ring_pitch_mm=PITCH_MM)
    return SinogramGeometry.of_span(scanner, bins=BINS, span=SPAN, max_ring_difference=MOST)


def write_case(folder: Path, ratio: float):
    """Counts, scatter, delayed coincidences, CT and both configurations; the simulation comes back."""
    from fusin.reconstruction.nema_iq import nema_iq_phantom
    from fusin.reconstruction.pet_interfile import write_sinogram
    from fusin.reconstruction.simulate_pet import simulate_pet

    phantom, scanner = nema_iq_phantom(background_bq_ml=5300.0, ratio=ratio, mu_water_per_cm=MU_WATER), geometry()
    counted = simulate_pet(phantom, scanner, trues=TRUES, rng=np.random.default_rng(int(ratio)), scatter_fraction=SCATTER,
                           randoms_fraction=RANDOMS, blur_mm=BLUR_MM)  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    values = {"prompts": counted.counts, "scatter": counted.scatter.astype(np.float32), "delayed": counted.delayed}
    for name, held in values.items():
        write_sinogram(folder / f"{name}.hs", scanner, held)
    write_ct(folder / "CT", phantom, MU_WATER)
    (folder / "plain.toml").write_text(CONFIG)
    (folder / "psf.toml").write_text(CONFIG + RESOLUTION)
    return counted


def images(folder: Path, name: str, counted, *, repeats: int):
    """The image of the command, replicates of its counts, and images of other acquisitions of the same phantom."""
    from dataclasses import replace

    from fusin.imaging.nifti import read_nifti
    from fusin.provenance import NoticeLog
    from fusin.reconstruction.acquired import acquire
    from fusin.reconstruction.algorithms import reconstruct
    from fusin.reconstruction.config import read_config
    from fusin.reconstruction.run import options_of

    command(folder / f"{name}.toml", folder / name)
    config = read_config(folder / f"{name}.toml")
    acquired = acquire(config, log=NoticeLog())
    options, measured = options_of(config, acquired), acquired.measured

    def image_of(given):
        return reconstruct(acquired.projector, given, options=options, log=NoticeLog(), likelihood=False).image

    replicates = [image_of(measured.redrawn(np.random.default_rng([1, k]))) for k in range(REPLICATES)]
    others = []
    for k in range(repeats):
        expected = counted.trues + counted.scatter + counted.randoms
        others.append(
            image_of(replace(measured, counts=np.random.default_rng([2, k]).poisson(expected).astype(np.float32)))
        )
    return read_nifti(folder / name / "image.nii.gz"), replicates, others


def figures(folder: Path, ratio: float) -> list[dict]:
    """Table rows of both reconstructions of one filling."""
    from fusin.imaging.volume import Volume
    from fusin.reconstruction.nema_iq import lung_residual, nema_figures

    counted = write_case(folder, ratio)
    rows = []
    for name in ("plain", "psf"):
        image, replicates, others = images(folder, name, counted, repeats=REPEATS if ratio == RATIOS[0] else 0)
        found = nema_figures(image, ratio=ratio, replicates=replicates)
        again = [nema_figures(Volume(values=o, grid=image.grid, unit=""), ratio=ratio) for o in others]
        lung = lung_residual(image, replicates=replicates)
        for k, sphere in enumerate(found):
            row = {"ratio": ratio, "model": name, "diameter_mm": sphere.diameter_mm}
            for key, one in (("recovery", sphere.recovery), ("variability", sphere.variability)):
                row[key] = [one.value, one.low, one.high]
                row[f"{key}_again"] = [getattr(a[k], key).value for a in again]
            rows.append(row)
        rows.append({"ratio": ratio, "model": name, "diameter_mm": 0.0, "lung": [lung.value, lung.low, lung.high],
                     "lung_again": [lung_residual(Volume(values=o, grid=image.grid, unit="")).value for o in others]})  # fmt: skip
    return rows


def main() -> list[dict]:
    """Run the proof."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for ratio in RATIOS:
            rows += figures(kept_folder(name) / f"ratio_{ratio:g}", ratio)
    return rows


def words(values: list[float], digits: int) -> str:
    """Value with its interval."""
    value, low, high = values
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def tables(rows: list[dict]) -> str:
    """The table of the page, and how the intervals compare with other acquisitions."""
    lines = []
    for ratio in RATIOS:
        for d in (10, 13, 17, 22, 28, 37):
            mine = {r["model"]: r for r in rows if r["ratio"] == ratio and r["diameter_mm"] == d}
            lines.append((f"{ratio:g}:1, {d} mm", *(words(mine[m][k], n) for m in ("plain", "psf")
                                                    for k, n in (("recovery", 1), ("variability", 2)))))  # fmt: skip
        mine = {r["model"]: r for r in rows if r["ratio"] == ratio and "lung" in r}
        lines.append(
            (f"{ratio:g}:1, lung residual", words(mine["plain"]["lung"], 1), "", words(mine["psf"]["lung"], 1), "")
        )
    head = ("sphere", "recovery [%]", "variability [%]", "recovery with PSF [%]", "variability with PSF [%]")
    text = markdown(head, lines)
    inside, count, ratios = 0, 0, []
    for row in rows:
        for key in ("recovery", "variability", "lung"):
            again = row.get(f"{key}_again")
            if not again:
                continue
            _, low, high = row[key]
            inside, count = inside + (low <= float(np.mean(again)) <= high), count + 1
            if key != "variability":
                ratios.append((high - low) / 2.0 / STUDENT / float(np.std(again, ddof=1)))
    spread = float(np.exp(np.mean(np.log(ratios))))
    return text + (f"\n{inside} of {count} intervals hold the mean of {REPEATS} other acquisitions; spread of the replicates over "
                   f"theirs, geometric mean: {spread:.2f}\n")  # fmt: skip


def figure(rows: list[dict], path: Path) -> None:
    """Recovery and variability by diameter."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, 2, figsize=(9.2, 3.6), constrained_layout=True)
    looks = {(4.0, "plain"): ("#0072B2", "o", "-"), (4.0, "psf"): ("#0072B2", "s", "--"), (8.0, "plain"): ("#D55E00", "o", "-"),
             (8.0, "psf"): ("#D55E00", "s", "--")}  # fmt: skip
    for shift, ((ratio, model), (colour, marker, line)) in zip((-0.3, 0.1, -0.1, 0.3), looks.items(), strict=True):
        mine = [r for r in rows if r["ratio"] == ratio and r["model"] == model and "recovery" in r]
        for axis, key in zip(axes, ("recovery", "variability"), strict=True):
            x = np.array([r["diameter_mm"] for r in mine]) + shift
            y = np.array([r[key] for r in mine])
            axis.errorbar(x, y[:, 0], np.abs(y[:, 1:] - y[:, :1]).T, color=colour, marker=marker, ls=line, ms=4, lw=1.2,
                          label=f"{ratio:g}:1, OSEM{' with PSF' if model == 'psf' else ''}")  # fmt: skip
    for axis, name in zip(axes, ("contrast recovery [%]", "background variability [%]"), strict=True):
        axis.set(xlabel="diameter [mm]", ylabel=name, xticks=(10, 13, 17, 22, 28, 37))
        axis.set_ylim(bottom=0)
    axes[0].axhline(100.0, color="0.6", lw=0.8)
    axes[0].legend(frameon=False, fontsize=8, loc="lower right")
    fig.savefig(path, dpi=130)


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    result = main()
    (here / "proof_nema.json").write_text(json.dumps(result, indent=1) + "\n")
    figure(result, here.parent / "docs" / "images" / "proof_nema.png")
    print(tables(result))
