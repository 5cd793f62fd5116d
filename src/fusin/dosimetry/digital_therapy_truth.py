"""True doses of the digital therapy patient, on another way than an analysis of its images takes.

Electrons: the integral of the compartment times the S value of a sphere of its mass, without any voxel. Photons, which are some
ten percent for 177Lu: from the sharp, noiseless activity of all compartments. What the electrons of neighbours add across a
surface is left out; it is below 0.3 % of the dose of each region here, whose own concentration is the larger one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from fusin.dosimetry.digital_therapy_patient import OTHER_MARROW, TherapyPatient, sharp_image, therapy_facts
from fusin.dosimetry.spheres import sphere_s
from fusin.dosimetry.voxels import voxel_dose
from fusin.imaging.volume import FloatArray, Volume
from fusin.provenance import NoticeLog

__all__ = ["EXAMPLE_LIMITS_GY", "RegionTruth", "photon_dose_gy", "true_regions", "truth_document"]

EXAMPLE_LIMITS_GY: Mapping[str, float] = {"left kidney": 23.0, "right kidney": 23.0, "liver": 40.0, "spleen": 40.0}
"""Limits for the arithmetic of the demonstration, no advice: a site sets and cites its own."""

_WITH_AND_WITHOUT: tuple[Literal["far"], Literal["none"]] = ("far", "none")
_MGY_PER_GY, _SECONDS_PER_HOUR = 1000.0, 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionTruth:
    """Truth of one region.

    Attributes
    ----------
    name, kind : of the region
    volume_ml, mass_g : of the compartment
    tia_mbq_h, t_eff_h : time-integrated activity, and half-life of the clearance
    activities_mbq : mean over each acquisition
    electron_gy, photon_gy : parts of the mean dose; of marrow the dose to active marrow by its own activity, without photons
        from elsewhere
    """

    name: str
    kind: str
    volume_ml: float
    mass_g: float
    tia_mbq_h: float
    t_eff_h: float
    activities_mbq: tuple[float, ...]
    electron_gy: float
    photon_gy: float

    @property
    def dose_gy(self) -> float:
        """Mean dose [Gy]."""
        return self.electron_gy + self.photon_gy


def photon_dose_gy(patient: TherapyPatient) -> FloatArray:
    """Dose by photons of all compartments [Gy], on the grid of the SPECT."""
    return _photons(patient.nuclide, tuple((p.name, p.tia_mbq_h) for p in patient.compartments.values()))


@lru_cache(maxsize=4)
def _photons(name: str, integrals: tuple[tuple[str, float], ...]) -> FloatArray:
    sharp = sharp_image(dict(integrals))
    activity = Volume(values=sharp.values, grid=sharp.grid, unit="MBq.h/ml")
    doses = [
        voxel_dose(activity, nuclide=name, log=NoticeLog(), electrons="local", photons=photons).dose.values
        for photons in _WITH_AND_WITHOUT
    ]
    found = np.asarray(doses[0] - doses[1], np.float64)
    found.flags.writeable = False
    return found


def true_regions(patient: TherapyPatient) -> tuple[RegionTruth, ...]:
    """Truth of every outlined region, in their order."""
    photons, facts = photon_dose_gy(patient), therapy_facts()
    found = []
    for region in patient.regions:
        part = patient.compartments[region.name]
        share = np.asarray(patient.shares[region.name], np.float64)
        if part.kind == "marrow":
            electron = facts["marrow"]["gy_per_gbq"] * patient.administered_mbq / 1000.0
            photon = 0.0
        else:
            sphere = sphere_s(patient.nuclide, part.mass_g, part.density_g_ml)
            electron = sphere.electron_mgy_per_mbq_s * part.tia_mbq_h * _SECONDS_PER_HOUR / _MGY_PER_GY
            photon = float((photons * share).sum() / share.sum())
        held = tuple(part.activity_mbq(t, duration_h=patient.duration_s / 3600.0) for t in patient.times_h)
        one = RegionTruth(
            name=region.name, kind=part.kind, volume_ml=part.volume_ml, mass_g=part.mass_g, tia_mbq_h=part.tia_mbq_h,
            t_eff_h=part.t_eff_h, activities_mbq=held, electron_gy=electron, photon_gy=photon,
        )  # fmt: skip
        found.append(one)
    return tuple(found)


def truth_document(patient: TherapyPatient) -> dict[str, Any]:
    """All that is known of a patient, ready for JSON."""
    regions = true_regions(patient)
    doses = {r.name: r.dose_gy for r in regions}
    given_gbq = patient.administered_mbq / 1000.0
    allowed = {name: limit * given_gbq / doses[name] for name, limit in EXAMPLE_LIMITS_GY.items()}
    marrow, blood = therapy_facts()["marrow"], patient.compartments["blood"]
    part = patient.compartments[marrow["name"]]
    active = part.volume_ml * marrow["marrow_volume_share"] * marrow["cellularity"] * marrow["density_g_ml"]
    return {
        "seed": patient.seed,
        "nuclide": patient.nuclide,
        "administered_mbq": patient.administered_mbq,
        "injected": patient.injected.isoformat(),
        "times_h": list(patient.times_h),
        "duration_s": patient.duration_s,
        "calibration_factor": patient.calibration_factor,
        "regions": [
            {
                "name": r.name,
                "kind": r.kind,
                "volume_ml": r.volume_ml,
                "mass_g": r.mass_g,
                "tia_mbq_h": r.tia_mbq_h,
                "tiac_h": r.tia_mbq_h / patient.administered_mbq,
                "t_eff_h": r.t_eff_h,
                "activities_mbq": list(r.activities_mbq),
                "dose_gy": r.dose_gy,
                "electron_gy": r.electron_gy,
                "photon_gy": r.photon_gy,
            }
            for r in regions
        ],
        "marrow": {
            "region": part.name,
            "active_marrow_g": active,
            "tia_mbq_h_per_g": part.tia_mbq_h / active,
            "absorbed_kev": marrow["absorbed_kev"],
            "self_dose_gy": doses[part.name],
            "other_marrow_tia_mbq_h": patient.compartments[OTHER_MARROW].tia_mbq_h,
        },
        "blood": {"tia_mbq_h_per_ml": blood.tia_mbq_h / blood.volume_ml, "t_eff_h": blood.t_eff_h},
        "plan": {
            "limits_gy": dict(EXAMPLE_LIMITS_GY),
            "activity_gbq": allowed,
            "binding": min(allowed, key=lambda name: allowed[name]),
        },
    }
