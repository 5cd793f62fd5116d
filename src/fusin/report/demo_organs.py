"""Organ doses, marrow, budget, scan and record of the demonstration: made-up files, read like any other."""

from __future__ import annotations

from pathlib import Path

from fusin.dosimetry.synthetic_organs import PATIENT_G, T_EFF_H, made_up_table, measured_tia
from fusin.files import write_bytes_atomically
from fusin.provenance import NoticeLog
from fusin.report.dose_marrow_report import budget_report, marrow_report
from fusin.report.dose_organs_report import OrganOptions, organs_report
from fusin.report.dose_record_report import exposure_report, record_report
from fusin.report.job_output import JobOutput, joined

__all__ = ["run_part"]

_BIOLOGY = """\
# Parameters that a site would cite from its own reading.
[[organ]]
name = "kidneys"
alpha_beta_gy = 2.6
repair_half_time_h = 2.8
citation = "example values, as in the radiobiology table of PyTheranostics"
"""

_MARROW = """\
# A made-up marrow case: vertebrae in the images, and blood samples.
nuclide = "Lu-177"
residual_day = 14

[energy]                            # of a skeletal model, never of a sphere
electron_absorbed_fraction = 0.57
electron_absorbed_fraction_u_percent = 5
source = "example: self-S times mass of a reference skeleton"

[blood]
tia_mbq_h_per_ml = 0.0105
tia_mbq_h_per_ml_u_percent = 6
density_g_ml = 1.06
hematocrit = 0.41
rmecff = "sgouros-1993"
t_eff_h = 19

[[region]]
name = "L2 to L4"
tia_mbq_h = 92
tia_mbq_h_u_percent = 11
total_g = 1170
share = 0.067
marrow_u_percent = 15
source = "example: active marrow of a reference adult"
t_eff_h = 92

[cross]
dose_gy = 0.011
dose_gy_u_percent = 30
t_eff_h = 75
"""

_BUDGET = """\
# Two doses with their chains: a lesion that is small for the resolution, and an organ that is not.
[[dose]]
name = "lesion"
dose_gy = 1.10
volume_ml = 25
outline_voxel_mm = 2.0
outline_fwhm_mm = 6.0
fwhm_mm = 12.0
calibration_u_percent = 4
fit_u_percent = 8
s_u_percent = 2
s_exponent = 0.99
density_u_percent = 3

[dose.recovery]
b1_ml = 5.1
b2 = 0.92
u_b1_ml = 0.5
u_b2 = 0.06
correlation = -0.4

[[dose]]
name = "kidneys"
dose_gy = 0.54
volume_ml = 260
outline_voxel_mm = 2.0
outline_fwhm_mm = 2.0
fwhm_mm = 12.0
calibration_u_percent = 4
fit_u_percent = 7
s_u_percent = 3
s_exponent = 0.98
density_u_percent = 2
"""

_RECORD = """\
# A made-up treated patient. Parameters and limits are examples: a site enters and cites its own.
patient = "DIGITAL-1"

[[organ]]
name = "kidneys"
alpha_beta_gy = 2.6
repair_half_time_h = 2.8
limit_gy = 23
citation = "example values"

[[cycle]]
number = 1
date = 2026-02-03
nuclide = "Lu-177"
prescribed_gbq = 9.0
given_gbq = 8.85
dose = [
  { organ = "kidneys", dose_gy = 8.1, dose_gy_u_percent = 12, t_eff_h = 41 },
  { organ = "red marrow", dose_gy = 4.2, dose_gy_u_percent = 22, t_eff_h = 92 },
]

[[cycle]]
number = 2
date = 2026-04-14
nuclide = "Y-90"
prescribed_gbq = 2.5
given_gbq = 2.53
dose = [
  { organ = "kidneys", dose_gy = 9.4, dose_gy_u_percent = 14, t_eff_h = 29.7 },
  { organ = "red marrow", dose_gy = 2.7, dose_gy_u_percent = 25, t_eff_h = 49.5 },
]

[[toxicity]]
term = "Creatinine increased"
grade = 1
organ = "kidneys"
date = 2026-05-20

[[toxicity]]
term = "Platelet count decreased"
grade = 4
organ = "red marrow"
date = 2026-02-24
"""


def run_part(folder: Path, *, seed: int = 0) -> JobOutput:
    """Write the files, compute from them, and return one page.

    Parameters
    ----------
    folder : receives the files
    seed : of the measured activities
    """
    paths = _write(folder, seed)
    options = OrganOptions(nuclide="Lu-177", administered_mbq=200.0, s_tables=(paths["s_values"],), s_u_percent=3.0,
                           spheres=("lesion",), biology=paths["biology"])  # fmt: skip
    outputs = {
        "organs": organs_report(paths["organs"], options=options, log=NoticeLog()),
        "marrow": marrow_report(paths["marrow"], log=NoticeLog()),
        "budget": budget_report(paths["budget"], draws=20000, seed=seed, log=NoticeLog()),
        "record": record_report(paths["record"], log=NoticeLog()),
        "exposure": exposure_report(administered_mbq=150.0, name="herrmann-2015-unverified", log=NoticeLog()),
    }
    return joined("Organs, marrow and record", outputs)


def _write(folder: Path, seed: int) -> dict[str, Path]:
    table = made_up_table()
    s_rows = ["source,target,s_mgy_per_mbq_s,u_percent,target_mass_g"]
    s_rows += [
        f"{source},{target},{table.values[i, j]:.6e},2,{table.masses_g[target]:g}"
        for j, source in enumerate(table.sources)
        for i, target in enumerate(table.targets)
    ]
    rows = ["region,tia_mbq_h,u_percent,mass_g,mass_u_percent,t_eff_h"]
    rows += [
        f"{name},{value:.2f},{100 * u:g},{PATIENT_G[name]:g},6,{T_EFF_H[name]:g}"
        for name, (value, u) in measured_tia(seed=seed).items()
    ]
    texts = {
        "s_values.csv": "\n".join(s_rows) + "\n", "organs.csv": "\n".join(rows) + "\n", "biology.toml": _BIOLOGY,
        "marrow.toml": _MARROW, "budget.toml": _BUDGET, "record.toml": _RECORD,
    }  # fmt: skip
    written = {n: write_bytes_atomically(folder / n, text.encode("utf-8")) for n, text in texts.items()}
    return {path.stem: path for path in written.values()}
