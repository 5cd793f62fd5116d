"""Made-up organs, S values and cycles with known truth, for the demonstration and for tests.

The S values are not those of a phantom: self-doses are those of water spheres by our own transport, and cross-doses spread
photons over the body. They serve to show the tables that a user imports.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from fusin.dosimetry.organ_energy import approximate_table
from fusin.dosimetry.s_tables import STable

__all__ = ["BODY_G", "MODEL_G", "PATIENT_G", "TRUE_TIA_MBQ_H", "T_EFF_H", "made_up_table", "measured_tia"]

MODEL_G: Mapping[str, float] = {"kidneys": 300.0, "liver": 1700.0, "spleen": 160.0}
"""Masses of the made-up model [g]."""

PATIENT_G: Mapping[str, float] = {"kidneys": 270.0, "liver": 1500.0, "spleen": 240.0, "lesion": 25.0}
"""Masses of the made-up patient [g]."""

T_EFF_H: Mapping[str, float] = {"kidneys": 41.0, "liver": 109.0, "spleen": 86.0, "lesion": 70.0}
"""Effective half-lives [h]."""

TRUE_TIA_MBQ_H: Mapping[str, float] = {"kidneys": 480.0, "liver": 1900.0, "spleen": 260.0, "lesion": 90.0}
"""Time-integrated activities [MBq h] of 200 MBq."""

BODY_G = 72000.0
_U = 0.08


def made_up_table(nuclide: str = "Lu-177") -> STable:
    """S values of the made-up model."""
    return approximate_table(MODEL_G, nuclide_name=nuclide, body_mass_g=BODY_G)


def measured_tia(*, seed: int = 0) -> dict[str, tuple[float, float]]:
    """TIA as measured [MBq h] with its relative standard uncertainty, log-normal about the truth."""
    rng = np.random.default_rng(seed)
    spread = math.sqrt(math.log1p(_U**2))
    return {name: (value * math.exp(rng.normal(0.0, spread)), _U) for name, value in TRUE_TIA_MBQ_H.items()}
