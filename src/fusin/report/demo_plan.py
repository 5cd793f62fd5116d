"""The plan of the demonstration: a made-up study with 177Lu, and example limits that a site would replace by its own."""

from __future__ import annotations

from pathlib import Path

from fusin.dosimetry.planning import PlanOptions
from fusin.files import write_bytes_atomically
from fusin.provenance import NoticeLog
from fusin.report.job_output import JobOutput
from fusin.report.plan_report import plan_report
from fusin.report.plan_schedules import ScheduleOptions

__all__ = ["run_part"]

_STUDY = """\
# A made-up study: doses per GBq and effective half-lives of one patient.
nuclide = "Lu-177"
common_u_percent = 5                # calibration: a part of the uncertainty of each dose
change_u_percent = 10               # between study and treatment, of each organ on its own
activity_u_percent = 3              # of the treatment

[[organ]]
name = "kidneys"
dose_gy_per_gbq = 0.91
dose_gy_per_gbq_u_percent = 12
t_eff_h = 41
t_eff_h_u_percent = 8
mass_g = 150                        # of one kidney

[[organ]]
name = "red marrow"
dose_gy_per_gbq = 0.47
dose_gy_per_gbq_u_percent = 20
t_eff_h = 92
t_eff_h_u_percent = 10
absorbed_kev = { "Lu-177" = 84, "Y-90" = 480 }    # made up: a skeletal model gives them
absorbed_kev_u_percent = 10

[[organ]]
name = "lesion"
dose_gy_per_gbq = 3.4
dose_gy_per_gbq_u_percent = 20
t_eff_h = 80
t_eff_h_u_percent = 12
mass_g = 25
"""
_LIMITS = """\
# Example limits for the arithmetic, no advice: a site sets and cites its own.
[[limit]]
organ = "kidneys"
at_most_gy = 23
probability = 0.05
citation = "example value"

[[limit]]
organ = "red marrow"
quantity = "residual"
residual_day = 14
at_most_gy = 0.5
probability = 0.1
citation = "example value"
"""
_TABLE = """\
organ;dose_gy_per_gbq;dose_gy_per_gbq_u_percent;t_eff_h;t_eff_h_u_percent;mass_g
kidneys;0,91;12;41;8;150
lesion;3,4;20;80;12;25
"""
_DRAWS = 10000


def run_part(folder: Path, *, seed: int = 0) -> JobOutput:
    """Write ``plan.toml``, ``plan_limits.toml`` and ``plan.csv``, and plan from the first two.

    Parameters
    ----------
    folder : receives the files
    seed : of the simulation
    """
    study = write_bytes_atomically(folder / "plan.toml", _STUDY.encode("utf-8"))
    limits = write_bytes_atomically(folder / "plan_limits.toml", _LIMITS.encode("utf-8"))
    write_bytes_atomically(folder / "plan.csv", _TABLE.encode("utf-8"))
    options = PlanOptions(
        nuclides=("Lu-177", "Y-90"), target="lesion", mixture=True, marrow="red marrow", transplant_day=14, draws=_DRAWS,
        seed=seed,
    )  # fmt: skip
    schedules = ScheduleOptions(times_h=((48.0,), (96.0,), (48.0, 120.0), (24.0, 48.0, 120.0)), scan_u=0.05)
    return plan_report(study, options=options, limits_file=limits, schedules=schedules, log=NoticeLog())
