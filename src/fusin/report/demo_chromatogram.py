"""The chromatograms of the demonstration: two strips and a run of one made-up batch, evaluated as the command line does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from fusin.files import write_bytes_atomically
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.synthetic_chromatograms import TruePeak, make_radio_run, make_strip, make_uv_run
from fusin.report.chromatogram_report import ChromatogramInputs, chromatogram_report
from fusin.report.job_output import JobOutput

__all__ = ["TRUTH", "run_part", "write_files"]

# Shares of the batch, known because it was made up: free 68Ga, colloid and the product with a by-product.
TRUTH = {"free 68Ga": 0.6, "colloid": 0.9, "by-product": 1.1, "product": 97.4}

_HEAD = """# {title}
kind = "{kind}"
system = "{system}"
version = "1"
nuclide = "Ga-68"
decay_correction = true
"""
_TLC = (
    _HEAD
    + """scan_duration_s = 120
origin_mm = 15
front_mm = 90
denominator = "strip"
unassigned_limit_percent = 2

[baseline]
model = "constant"
windows_mm = [[{blank}]]

[[regions]]
name = "{low}"
rf = [-0.15, 0.25]
contains = [{low_holds}]

[[regions]]
name = "{high}"
rf = [{split}, 1.1]
contains = [{high_holds}]
"""
)
_HPLC = (
    _HEAD
    + """denominator = "peaks"

[delay]
seconds = 12

[baseline]
model = "constant"

[[peaks]]
name = "free 68Ga"
window_min = [1.6, 2.8]
role = "free"

[[peaks]]
name = "by-product"
retention_min = 8.6
tolerance_min = 0.3
role = "impurity"

[[peaks]]
name = "product"
retention_min = 9.8
tolerance_min = 0.4
role = "product"
"""
)
_MAP = """# Column map of a detector that writes German numbers, no units in its headings, and two lines about itself
delimiter = "semicolon"
decimal = "comma"
header_line = 3
x_column = "Weg"
x_unit = "mm"
y_column = "Impulse"
y_unit = "counts"
live_time_s = 0.6
"""


def write_files(folder: Path, *, seed: int = 0) -> None:
    """Write two strips, one run with its UV channel, their methods and a column map into a folder."""
    free, colloid, by_product, product = (2500.0 * TRUTH[n] for n in ("free 68Ga", "colloid", "by-product", "product"))
    _strip(folder / "tlc_citrate.csv", ((free, 84.0), (colloid + by_product + product, 15.0)), seed + 1)
    _german(folder / "tlc_acetate.txt", ((by_product + product, 76.0), (colloid + free, 15.0)), seed + 2)
    x, counts = make_radio_run(
        [TruePeak(counts=4.0 * free, centre=2.2, sigma=0.10, tau=0.08),
         TruePeak(counts=4.0 * by_product, centre=8.75, sigma=0.11, tau=0.05),
         TruePeak(counts=4.0 * product, centre=9.93, sigma=0.13, tau=0.09)],
        seed=seed + 3,
    )  # fmt: skip
    uv = make_uv_run([TruePeak(counts=1.2, centre=1.1, sigma=0.07, tau=0.05),
                      TruePeak(counts=4.0, centre=9.73, sigma=0.12, tau=0.08)],
                     seed=seed + 4)[1]  # fmt: skip
    rows = ["time_min,counts,uv_mAU", *(f"{t:.5f},{c:.0f},{u:.4f}" for t, c, u in zip(x, counts, uv, strict=True))]
    texts = {
        "hplc.csv": "\n".join(rows) + "\n",
        "tlc_citrate.toml": _TLC.format(
            title="Free gallium moves with citrate, everything else stays", kind="tlc", system="citrate", blank="35, 55",
            low="bound", low_holds='"product", "by-product", "colloid"', high="free 68Ga", high_holds='"free"', split="0.7"),
        "tlc_acetate.toml": _TLC.format(
            title="Colloid and free gallium stay at the origin", kind="tlc", system="ammonium acetate / methanol",
            blank="35, 55", low="origin", low_holds='"colloid", "free"', high="moving", high_holds='"product", "by-product"',
            split="0.6"),
        "hplc.toml": _HPLC.format(title="C18, gradient", kind="hplc", system="C18"),
        "tlc_acetate_map.toml": _MAP,
        # Batch 2 of Daniel et al., doi 10.1186/s41181-023-00187-2, table 3: more than 100 %.
        "percentages.csv": "name,percent\nproduct,99.2\nfree and colloid,0.85\nother,0.56\n",
    }  # fmt: skip
    for name, text in texts.items():
        write_bytes_atomically(folder / name, text.encode("utf-8"))


def run_part(folder: Path, *, seed: int = 0) -> JobOutput:
    """Write the files of a made-up batch, and combine what does not leave the column with what HPLC finds.

    Parameters
    ----------
    folder : receives the files
    seed : of the counting noise
    """
    write_files(folder, seed=seed)
    inputs = ChromatogramInputs(
        files=(folder / "tlc_acetate.txt", folder / "hplc.csv"),
        methods=(folder / "tlc_acetate.toml", folder / "hplc.toml"),
        maps=(folder / "tlc_acetate_map.toml", Path("none")),
    )
    return replace(chromatogram_report(inputs, log=NoticeLog()), title="Chromatograms of the batch")


def _strip(path: Path, spots: tuple[tuple[float, float], ...], seed: int) -> None:
    x, counts = _scan(spots, seed)
    rows = ["distance_mm,counts", *(f"{a:.1f},{c:.0f}" for a, c in zip(x, counts, strict=True))]
    write_bytes_atomically(path, ("\n".join(rows) + "\n").encode("utf-8"))


def _german(path: Path, spots: tuple[tuple[float, float], ...], seed: int) -> None:
    x, counts = _scan(spots, seed)
    rows = ["Streifenscanner;Kanal 1", "Messzeit;120 s", "Weg;Impulse"]
    rows += [f"{a:.1f};{c:.0f}".replace(".", ",") for a, c in zip(x, counts, strict=True)]
    write_bytes_atomically(path, ("\r\n".join(rows) + "\r\n").encode("utf-8"))


def _scan(spots: tuple[tuple[float, float], ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    return make_strip([TruePeak(counts=c, centre=at, sigma=2.2) for c, at in spots], seed=seed)
