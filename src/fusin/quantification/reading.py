"""The main job: from a PET (and its CT) to references, lesions, ratios and a readout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fusin.imaging.volume import Region, Volume
from fusin.provenance import Notice, Provenance, jsonable
from fusin.quantification.adrenal import AdrenalIndices
from fusin.quantification.lesions import Burden, Lesion
from fusin.quantification.positivity import Readout
from fusin.quantification.references import ReferenceRegion

__all__ = ["Reading"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Reading:
    """Everything one reading found; writing and drawing happen elsewhere.

    Attributes
    ----------
    series : facts of the PET series: ``series_uid, description, modality, manufacturer, model, patient_id,
        study_date, radiopharmaceutical, nuclide, activity_mbq, injection_time, uptake_time_min, weight_kg,
        units, rule, factor_suvbw_per_bqml, slices, spacing_mm`` (missing ones are None)
    pet : SUVbw volume
    ct : CT resampled to the PET grid (int16 HU), or None
    references : reference regions that could be placed
    lesions : candidates (or given regions), ranked by SUVpeak
    physiological : hot regions set aside as physiological, same type, for the report
    excluded : organ regions that were excluded from the search
    threshold : ``{"rule": id, "suv": value, "because": sentence, "citation": text}``
    burden : whole-body sums
    readout : rules and score
    adrenal : adrenal indices when adrenals are known, else None
    """

    series: Mapping[str, Any]
    pet: Volume
    ct: Volume | None
    references: tuple[ReferenceRegion, ...]
    lesions: tuple[Lesion, ...]
    physiological: tuple[Lesion, ...]
    excluded: tuple[Region, ...]
    threshold: Mapping[str, Any]
    burden: Burden
    readout: Readout
    adrenal: AdrenalIndices | None
    notices: tuple[Notice, ...]
    provenance: Provenance
    outputs: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the documented contract of ``fusin read --json``."""
        return {
            "series": jsonable(self.series),
            "references": [r.to_json() for r in self.references],
            "threshold": jsonable(self.threshold),
            "lesions": [lesion.to_json() for lesion in self.lesions],
            "physiological": [lesion.to_json() for lesion in self.physiological],
            "burden": self.burden.to_json(),
            "readout": self.readout.to_json(),
            "adrenal": self.adrenal.to_json() if self.adrenal else None,
            "outputs": jsonable(self.outputs),
            "notices": [n.to_json() for n in self.notices],
            "provenance": self.provenance.to_json(),
        }
