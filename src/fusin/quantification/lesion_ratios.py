"""Tumour-to-background ratios with their interval, and the whole-body burden."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from fusin.imaging.volume import Region
from fusin.provenance import NoticeLog
from fusin.quantification.lesions import Burden, Lesion, Tbr
from fusin.quantification.metrics import RegionMetrics
from fusin.quantification.references import ReferenceRegion
from fusin.quantification.resels import degrees_of_freedom, standard_error_resels

__all__ = ["BOTH_ERRORS", "REFERENCE_ERROR", "burden", "tbrs_for"]

BOTH_ERRORS = "log-delta, resolution elements"
"""Interval that holds the errors of both means."""

REFERENCE_ERROR = "log-delta, resolution elements, reference error only"
"""Interval of max/mean and peak/mean: one sphere or voxel has no error of its own in one image."""


def tbrs_for(
    metrics: RegionMetrics,
    region: Region,
    references: Sequence[ReferenceRegion],
    *,
    log: NoticeLog,
    fwhm_mm: float = 6.0,
) -> tuple[Tbr, ...]:
    """Ratios max/mean, mean/mean and peak/mean of a lesion against each reference region, with 95 % limits.

    The limits are ``exp(ln r +- t sqrt(v))`` where v sums the squared relative standard errors of the two means
    (delta method on the logarithm), the standard errors count resolution elements, and t has the
    Welch-Satterthwaite degrees of freedom. For max/mean and peak/mean only the reference has an error; ``method``
    says so. Limits are NaN where a region holds fewer than two independent samples.

    Parameters
    ----------
    metrics : of the lesion
    region : of the lesion; a reference that overlaps it is named
    references : reference regions; one whose mean is not positive gives no ratio
    log : receives what was refused or doubtful
    fwhm_mm : smoothness of the noise, mm
    """
    found: list[Tbr] = []
    for reference in references:
        if not (math.isfinite(reference.mean) and reference.mean > 0):
            log.warning(
                "REFERENCE_NOT_POSITIVE",
                f"{reference.kind} mean {reference.mean:.3g} is not positive: no ratio against it",
                where=metrics.name,
                raw=reference.mean,
            )
            continue
        _doubt_overlap(region, reference, log, metrics.name)
        share = _relative(reference.mean, reference.sd, reference.volume_ml, fwhm_mm)
        for statistic, value in (("max", metrics.suv_max), ("mean", metrics.suv_mean), ("peak", metrics.suv_peak)):
            if value is None:
                continue
            if value <= 0:
                log.warning(
                    "LESION_NOT_POSITIVE",
                    f"SUV{statistic} {value:.3g} is not positive: no ratio against {reference.kind}",
                    where=metrics.name,
                    raw=value,
                )
                continue
            errors = [share]
            if statistic == "mean":
                errors.append(
                    _relative(value, math.nan if metrics.suv_sd is None else metrics.suv_sd, metrics.volume_ml, fwhm_mm)
                )
            found.append(_tbr(reference, statistic, value, errors))
    return tuple(found)


def _tbr(reference: ReferenceRegion, statistic: str, value: float, errors: Sequence[tuple[float, float]]) -> Tbr:
    """One ratio with its limits."""
    ratio = value / reference.mean
    factor = _factor(errors)
    method = BOTH_ERRORS if statistic == "mean" else REFERENCE_ERROR
    return Tbr(
        reference=reference.kind,
        statistic=f"{statistic}/mean",
        value=ratio,
        low=ratio / factor,
        high=ratio * factor,
        method=method if math.isfinite(factor) else f"{method}: too few elements for an interval",
    )


def _relative(mean: float, sd: float, volume_ml: float, fwhm_mm: float) -> tuple[float, float]:
    """Squared relative standard error of a mean and its degrees of freedom."""
    error = standard_error_resels(sd, volume_ml, fwhm_mm=fwhm_mm) / mean
    return error * error, degrees_of_freedom(volume_ml, fwhm_mm=fwhm_mm)


def _factor(errors: Sequence[tuple[float, float]]) -> float:
    """Factor by which the limits lie below and above the ratio; NaN when an error is unknown."""
    from scipy.special import stdtrit

    variance = sum(v for v, _ in errors)
    if not math.isfinite(variance):
        return math.nan
    if variance == 0.0:
        return 1.0
    freedom = variance**2 / sum(v * v / f for v, f in errors)
    return math.exp(float(stdtrit(freedom, 0.975)) * math.sqrt(variance))


def _doubt_overlap(region: Region, reference: ReferenceRegion, log: NoticeLog, where: str) -> None:
    """Warn when the background region holds voxels of the lesion."""
    other = reference.region
    if (
        region.voxels == 0
        or other.voxels == 0
        or (region.grid is not other.grid and not region.grid.matches(other.grid))
    ):
        return
    low = np.maximum(region.start, other.start)
    high = np.minimum(np.add(region.start, region.crop.shape), np.add(other.start, other.crop.shape))
    if (high <= low).any():
        return
    ours, theirs = (
        r.crop[tuple(slice(a - s, b - s) for a, b, s in zip(low, high, r.start, strict=True))] for r in (region, other)
    )
    shared = int(np.count_nonzero(ours & theirs))
    if shared:
        log.warning(
            "REFERENCE_OVERLAPS_LESION",
            f"{shared} of {other.voxels} voxels of the {reference.kind} reference belong to the lesion",
            where=where,
            raw=shared,
        )


def burden(lesions: Iterable[Lesion]) -> Burden:
    """Whole-body sums over lesions; those set aside as physiological do not count.

    Returns
    -------
    Burden
        Tumour volume [mL], TLU [g] and the volume-weighted SUVmean; SUVs are None when there is no lesion with values.
    """
    counted = [lesion.metrics for lesion in lesions if lesion.status != "physiological"]
    measured = [m for m in counted if m.total_lesion_uptake is not None]
    uptake = math.fsum(m.total_lesion_uptake or 0.0 for m in measured)
    volume = math.fsum(m.volume_ml for m in measured)
    return Burden(
        lesions=len(counted),
        tumour_volume_ml=math.fsum(m.volume_ml for m in counted),
        total_lesion_uptake=uptake,
        suv_max=max((m.suv_max for m in measured if m.suv_max is not None), default=None),
        suv_mean=uptake / volume if volume > 0 else None,
    )
