"""The doses of the demonstration: two made-up 68Ga vials and five patients, two of them with a window."""

from __future__ import annotations

from pathlib import Path

from fusin.files import write_bytes_atomically
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.dispensing_files import DispenseOptions
from fusin.report.dispense_report import dispense_report
from fusin.report.job_output import JobOutput

__all__ = ["run_part"]

_TOML = """\
# Two made-up batches and their patients.
[rules]
lead_min = 10
gap_min = 20                    # one injection room
residual_percent = 2.0
max_volume_ml = 8
time_tolerance_min = 2
volume_u_ml = 0.03

[limits]                        # per dose
peptide_ug = 50

[[vial]]
name = "morning"
nuclide = "Ga-68"
activity_mbq = 760
activity_u_percent = 2.0
reference_time = 2026-07-20T09:00:00
volume_ml = 10
dead_volume_ml = 0.3
expires = 2026-07-20T13:00:00
content = { peptide_ug = 50 }   # in the whole vial

[[vial]]
name = "noon"
nuclide = "Ga-68"
activity_mbq = 580
activity_u_percent = 2.0
reference_time = 2026-07-20T12:30:00
available_from = 2026-07-20T12:30:00
volume_ml = 10
dead_volume_ml = 0.3
expires = 2026-07-20T16:30:00
content = { peptide_ug = 50 }

[[patient]]
id = "P1"
dose_mbq = 150
injection_time = 2026-07-20T09:30:00

[[patient]]
id = "P2"
dose_mbq = 120
earliest = 2026-07-20T09:30:00
latest = 2026-07-20T11:30:00

[[patient]]
id = "P3"
dose_mbq = 130
injection_time = 2026-07-20T10:20:00

[[patient]]
id = "P4"
dose_mbq = 150
injection_time = 2026-07-20T12:45:00

[[patient]]
id = "P5"
dose_mbq = 140
earliest = 2026-07-20T12:30:00
latest = 2026-07-20T15:00:00
"""


def run_part(folder: Path, *, seed: int = 0) -> JobOutput:
    """Write ``day.toml`` and read it like any other; nothing in it is drawn by lot.

    Parameters
    ----------
    folder : receives the file
    seed : not used, because the day holds no noise
    """
    del seed
    path = write_bytes_atomically(folder / "day.toml", _TOML.encode("utf-8"))
    changes = ("later=15", "extra:P6=150@2026-07-20T14:30:00", "extra:P6=150@2026-07-20T15:30:00")
    return dispense_report(path, options=DispenseOptions(), changes=changes, log=NoticeLog())
