"""What is known of one lesion candidate, and of the whole body's burden."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fusin.imaging.volume import Region
from fusin.provenance import jsonable
from fusin.quantification.metrics import RegionMetrics

__all__ = ["Burden", "Lesion", "Tbr"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tbr:
    """One tumour-to-background ratio with its interval.

    Attributes
    ----------
    reference : kind of the reference region
    statistic : ``"max/mean"``, ``"mean/mean"`` or ``"peak/mean"``
    value, low, high : ratio and 95 % limits
    method : name of the method that gave the interval
    """

    reference: str
    statistic: str
    value: float
    low: float
    high: float
    method: str

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Lesion:
    """A lesion candidate; never a diagnosis.

    Attributes
    ----------
    number : 1-based rank by SUVpeak in this reading
    identity : stays the same when the threshold changes (made from the position of its hottest voxel)
    region : voxels on the PET grid
    metrics : SUV metrics
    tbrs : one ratio per reference and statistic
    site : anatomical site when labels or the reader gave one, else empty
    status : ``"candidate"``, ``"given"`` (somebody drew it) or ``"physiological"`` (set aside)
    reason : why it has this status
    """

    number: int
    identity: str
    region: Region
    metrics: RegionMetrics
    tbrs: tuple[Tbr, ...] = ()
    site: str = ""
    status: str = "candidate"
    reason: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)

    def tbr(self, reference: str, statistic: str = "max/mean") -> Tbr | None:
        """The ratio against one reference, or None when that reference is absent."""
        return next((t for t in self.tbrs if (t.reference, t.statistic) == (reference, statistic)), None)

    def to_json(self) -> dict[str, Any]:
        """Return metrics, TBRs and centroid under the documented keys."""
        return {
            "number": self.number,
            "identity": self.identity,
            "site": self.site,
            "status": self.status,
            "reason": self.reason,
            **self.metrics.to_json(),
            "tbrs": [t.to_json() for t in self.tbrs],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Burden:
    """Whole-body sums over the candidates.

    CXCR4 tumour volume [mL] and total lesion uptake (TLU = sum of SUVmean x volume) [g]. All are None when no search
    was made, because no threshold could be set; a search that found nothing has 0 lesions and 0 mL.
    """

    lesions: int | None
    tumour_volume_ml: float | None
    total_lesion_uptake: float | None
    suv_max: float | None
    suv_mean: float | None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__}
