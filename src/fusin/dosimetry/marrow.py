"""Red marrow dose from blood, from images, or from both, with the components apart.

The dose is that of a concentration: with c the time-integrated activity per gram of active marrow and E the energy that active
marrow absorbs per decay in it::

    D = c E + cross-dose
    c(blood) = ratio x c of blood per gram,   ratio = RMECFF / (1 - haematocrit)
    c(image) = sum of TIA of the regions / sum of their active marrow;   c(specific) = c(image) - c(blood)

E comes from a skeletal model: an absorbed fraction of the electrons with its source, or the red-marrow self-S of a table times
its marrow mass. It is never that of a sphere, whose dose to marrow would be some 1.8 times too high.

Blood alone holds only for a molecule that does not bind in marrow. Ligands of CXCR4 bind to its cells: blood alone is then a
lower bound, and is named so.

References
----------
Sgouros G, J Nucl Med 34 (1993) 689-694 (extracellular fluid of marrow, ratio to blood).
Hindorf C et al., Eur J Nucl Med Mol Imaging 37 (2010) 1238-1250 (EANM guidance on blood and marrow).
Hagmarker L et al., J Nucl Med 60 (2019) 1406-1413 (image-based marrow dose).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fusin.dosimetry.nuclide_exchange import residual_fraction
from fusin.dosimetry.organs import Uncertain, log_normal, relative_u
from fusin.dosimetry.s_tables import KEV_PER_S_GRAM
from fusin.errors import InputError, InvalidValue, MissingValue
from fusin.provenance import NoticeLog
from fusin.stats.results import Estimate

__all__ = [
    "NAMED_RMECFF",
    "BloodCurve",
    "MarrowComponent",
    "MarrowDose",
    "MarrowRegion",
    "active_marrow_g",
    "marrow_dose",
    "sgouros_ratio",
]

NAMED_RMECFF = {"sgouros-1993": 0.19}
"""Extracellular fluid fractions of marrow that a user can ask for by name; none is a default."""

_GY_G_PER_MBQ_H_KEV = KEV_PER_S_GRAM * 3600.0 / 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BloodCurve:
    """Time-integrated activity of blood.

    Attributes
    ----------
    tia_mbq_h_per_g : per gram of blood; divide a value per millilitre by the density of blood
    ratio : activity per gram of marrow to that per gram of blood, see `sgouros_ratio`
    t_eff_h : effective half-life in blood [h], None when unknown
    """

    tia_mbq_h_per_g: Uncertain | float
    ratio: float
    t_eff_h: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarrowRegion:
    """Part of the skeleton that was measured in images.

    Attributes
    ----------
    name : for example vertebrae L2 to L4
    tia_mbq_h : time-integrated activity of the region
    marrow_g : active marrow in it [g], see `active_marrow_g`
    source : where the marrow mass comes from
    t_eff_h : effective half-life in it [h], None when unknown
    """

    name: str
    tia_mbq_h: Uncertain | float
    marrow_g: Uncertain | float
    source: str
    t_eff_h: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarrowComponent:
    """One part of the dose.

    Attributes
    ----------
    name : ``blood``, ``specific``, ``image`` (both together) or ``cross``
    dose_gy : with its interval
    tia_mbq_h_per_g : per gram of active marrow; None for cross-dose
    t_eff_h : effective half-life; None when unknown
    """

    name: str
    dose_gy: Estimate
    tia_mbq_h_per_g: float | None = None
    t_eff_h: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarrowDose:
    """Dose of red marrow.

    Attributes
    ----------
    dose_gy : all components
    components : what it is made of
    absorbed_kev : energy per decay in active marrow that it absorbs [keV]
    method : ``image``, ``image and blood`` or ``blood only``
    lower_bound : the dose is at least this; set for blood alone
    """

    dose_gy: Estimate
    components: tuple[MarrowComponent, ...]
    absorbed_kev: float
    method: str
    lower_bound: bool

    def residual_gy(self, days: float) -> float:
        """Dose that is still to come after some days [Gy], each component by its effective half-life.

        Raises
        ------
        MissingValue
            For a component whose half-life is unknown.
        """
        total = 0.0
        for part in self.components:
            if not part.dose_gy.value:
                continue
            if part.t_eff_h is None:
                raise MissingValue("residual marrow dose", f"the effective half-life of the {part.name} part is unknown",
                                   "t_eff_h of each component", "T_EFF_MISSING")  # fmt: skip
            total += part.dose_gy.value * residual_fraction(days, part.t_eff_h)
        return total


def sgouros_ratio(hematocrit: float, rmecff: float) -> float:
    """Activity per gram of marrow to that per gram of blood: RMECFF / (1 - haematocrit).

    Parameters
    ----------
    hematocrit : volume share of red cells, 0 to below 1
    rmecff : extracellular fluid fraction of red marrow; 0.19 in Sgouros 1993

    Raises
    ------
    InputError
        For a percentage, or shares outside of their range.

    Examples
    --------
    >>> round(sgouros_ratio(0.47, 0.19), 4)
    0.3585
    """
    if not 0.0 <= hematocrit < 1.0:
        raise InputError("marrow", "hematocrit", hematocrit, "a fraction from 0 to below 1 (0.42, not 42)")
    if not 0.0 < rmecff <= 1.0:
        raise InputError("marrow", "rmecff", rmecff, "a fraction above 0, up to 1")
    return rmecff / (1.0 - hematocrit)


def active_marrow_g(
    *,
    total_g: float | None = None,
    share: float | None = None,
    volume_ml: float | None = None,
    marrow_volume_share: float | None = None,
    cellularity: float | None = None,
    density_g_ml: float | None = None,
) -> float:
    """Active marrow of a region [g], by one of two ways.

    Parameters
    ----------
    total_g, share : active marrow of the whole body, and the share of it that lies in the region
    volume_ml, marrow_volume_share, cellularity, density_g_ml : volume of the region, the share of it that is marrow space,
        the share of the marrow that is active, and its density

    Raises
    ------
    InputError
        When neither way or both are given whole, or for shares outside 0 to 1.
    """
    distributed = {"total_g": total_g, "share": share}
    local = {"volume_ml": volume_ml, "marrow_volume_share": marrow_volume_share, "cellularity": cellularity,
             "density_g_ml": density_g_ml}  # fmt: skip
    given = [w for w in (distributed, local) if all(v is not None for v in w.values())]
    touched = [w for w in (distributed, local) if any(v is not None for v in w.values())]
    if len(given) != 1 or len(touched) != 1:
        stated = ", ".join(n for w in (distributed, local) for n, v in w.items() if v is not None)
        raise InputError("marrow", "active marrow of the region", stated or "nothing",
                         f"{' and '.join(distributed)}, or {', '.join(local)}")  # fmt: skip
    out = 1.0
    for name, value in given[0].items():
        is_share = name in {"share", "marrow_volume_share", "cellularity"}
        if value is None or not (math.isfinite(value) and value > 0) or (is_share and value > 1.0):
            raise InputError("marrow", name, value, "a fraction above 0, up to 1" if is_share else "a positive number")
        out *= value
    return out


def marrow_dose(
    *,
    absorbed_kev: Uncertain | float,
    blood: BloodCurve | None = None,
    regions: Sequence[MarrowRegion] = (),
    cross_gy: Uncertain | float | None = None,
    cross_t_eff_h: float | None = None,
    log: NoticeLog | None = None,
    level: float = 0.95,
) -> MarrowDose:
    """Dose of red marrow from images, from blood, or from both.

    Parameters
    ----------
    absorbed_kev : energy that active marrow absorbs per decay in it [keV], of a skeletal model
    blood : of the blood; with regions it tells the part of the blood from the specific part
    regions : of the images; activity per gram is taken as the same in all active marrow
    cross_gy : dose from activity elsewhere [Gy]; None leaves it out, with a notice
    cross_t_eff_h : its effective half-life [h], for the residual dose
    log : receives notices
    level : of the intervals

    Raises
    ------
    InputError
        For neither blood nor regions, or a mass of 0.
    InvalidValue
        When blood alone explains more activity than the images hold.
    """
    log = log if log is not None else NoticeLog()
    kev, u_kev = relative_u(absorbed_kev, "absorbed_kev")
    if not kev > 0:
        raise InputError("marrow", "absorbed_kev", kev, "a positive energy per decay")
    to_gy = kev * _GY_G_PER_MBQ_H_KEV
    if regions:
        method = "image and blood" if blood is not None else "image"
        main, parts = _from_images(regions, blood, to_gy, u_kev, level, log)
    else:
        method = "blood only"
        main, parts = _from_blood(blood, to_gy, u_kev, level, log)
    total = main
    if cross_gy is None:
        log.warning(
            "MARROW_CROSS_DOSE_LEFT_OUT", "dose from activity outside of the marrow is not counted", where="red marrow"
        )
    else:
        total, cross = _with_cross(main, cross_gy, level)
        parts.append(MarrowComponent(name="cross", dose_gy=cross, t_eff_h=cross_t_eff_h))
    return MarrowDose(dose_gy=total, components=tuple(parts), absorbed_kev=kev, method=method, lower_bound=not regions)


def _from_images(
    regions: Sequence[MarrowRegion],
    blood: BloodCurve | None,
    to_gy: float,
    u_kev: float | None,
    level: float,
    log: NoticeLog,
) -> tuple[Estimate, list[MarrowComponent]]:
    """Dose by the images, and its parts: specific and of the blood, or both together."""
    concentration, u_image = _concentration(regions)
    half_life = _common_half_life(regions)
    main = log_normal(concentration * to_gy, _root(u_image, u_kev), level=level, n=len(regions))
    if blood is None:
        return main, [MarrowComponent(name="image", dose_gy=main, tia_mbq_h_per_g=concentration, t_eff_h=half_life)]
    return main, _split(concentration, u_image, blood, half_life, to_gy, u_kev, level, log)


def _from_blood(
    blood: BloodCurve | None, to_gy: float, u_kev: float | None, level: float, log: NoticeLog
) -> tuple[Estimate, list[MarrowComponent]]:
    """Dose by the blood alone, which is a lower bound where a molecule binds in marrow."""
    if blood is None:
        raise InputError("marrow", "input", "neither blood nor regions", "at least one of them")
    concentration, u = _blood(blood)
    main = log_normal(concentration * to_gy, _root(u, u_kev), level=level, n=1)
    log.warning("MARROW_BLOOD_ONLY", "the dose rests on blood alone: a lower bound for a molecule that binds to marrow "
                "cells, as ligands of CXCR4 do", where="red marrow")  # fmt: skip
    return main, [MarrowComponent(name="blood", dose_gy=main, tia_mbq_h_per_g=concentration, t_eff_h=blood.t_eff_h)]


def _blood(blood: BloodCurve) -> tuple[float, float | None]:
    value, u = relative_u(blood.tia_mbq_h_per_g, "blood")
    if not (math.isfinite(blood.ratio) and blood.ratio > 0):
        raise InputError("blood", "ratio", blood.ratio, "a positive ratio of marrow to blood")
    return value * blood.ratio, u


def _concentration(regions: Sequence[MarrowRegion]) -> tuple[float, float | None]:
    """TIA per gram over all regions; activities as correlated (one calibration), masses as independent."""
    tia = [relative_u(r.tia_mbq_h, f"TIA of {r.name}") for r in regions]
    mass = [relative_u(r.marrow_g, f"marrow of {r.name}") for r in regions]
    for region, (grams, _) in zip(regions, mass, strict=True):
        if not grams > 0:
            raise InputError(region.name, "marrow_g", grams, "a positive mass of active marrow")
    activity, grams = sum(v for v, _ in tia), sum(v for v, _ in mass)
    if any(u is None for v, u in tia if v > 0) or not activity > 0:
        return activity / grams, None
    u_tia = sum(v * (u or 0.0) for v, u in tia) / activity
    u_mass = math.sqrt(sum((v * (u or 0.0)) ** 2 for v, u in mass)) / grams
    return activity / grams, math.hypot(u_tia, u_mass)


def _common_half_life(regions: Sequence[MarrowRegion]) -> float | None:
    """Half-life of the regions together, weighted by their activity; None when one is unknown."""
    pairs = [(relative_u(r.tia_mbq_h, r.name)[0], r.t_eff_h) for r in regions]
    total = sum(v for v, _ in pairs)
    if not total > 0 or any(t is None for _, t in pairs):
        return None
    return sum(v * (t or 0.0) for v, t in pairs) / total


def _split(
    concentration: float, u_image: float | None, blood: BloodCurve, half_life: float | None, to_gy: float,
    u_kev: float | None, level: float, log: NoticeLog,
) -> list[MarrowComponent]:  # fmt: skip
    """The part of the blood and the specific part of what the images hold."""
    part, u_part = _blood(blood)
    specific = concentration - part
    spread = math.hypot(concentration * (u_image or 0.0), part * (u_part or 0.0))
    if specific < -2.0 * spread or (specific < 0 and spread == 0):
        raise InvalidValue("specific marrow dose", f"blood explains {part:.4g} MBq h/g and the images hold {concentration:.4g}",
                           "blood and images of the same patient and units", "BLOOD_EXCEEDS_IMAGE")  # fmt: skip
    if specific <= 2.0 * spread:
        log.warning("NO_SPECIFIC_MARROW", f"specific activity of {specific:.4g} MBq h/g is within twice its uncertainty of 0",
                    where="red marrow", raw=specific)  # fmt: skip
    known = u_image is not None and u_part is not None
    blood_dose = log_normal(part * to_gy, _root(u_part, u_kev), level=level, n=1)
    own = Estimate(value=specific * to_gy, low=None, high=None, method="difference", n=1, level=level,
                   note="no uncertainty of images or blood")  # fmt: skip
    if known:
        own = _normal(specific * to_gy, math.hypot(spread, specific * (u_kev or 0.0)) * to_gy, level)
    return [
        MarrowComponent(name="specific", dose_gy=own, tia_mbq_h_per_g=specific, t_eff_h=half_life),
        MarrowComponent(
            name="blood", dose_gy=blood_dose, tia_mbq_h_per_g=part, t_eff_h=blood.t_eff_h if blood else None
        ),
    ]


def _normal(value: float, u: float, level: float) -> Estimate:
    """Symmetric interval, which may include 0, because a difference can."""
    from fusin.stats.checks import normal_quantile

    width = normal_quantile(level) * u
    return Estimate(
        value=value, low=value - width, high=value + width, method="normal, difference of two", n=1, level=level
    )


def _with_cross(main: Estimate, cross_gy: Uncertain | float, level: float) -> tuple[Estimate, Estimate]:
    value, u = relative_u(cross_gy, "cross_gy")
    cross = log_normal(value, u, level=level, n=1)
    own, u_own = relative_u(main, "marrow")
    total = own + value
    known = u_own is not None and (u is not None or value == 0)
    combined = math.hypot(own * (u_own or 0.0), value * (u or 0.0)) / total if known and total > 0 else None
    return log_normal(total, combined, level=level, n=main.n), cross


def _root(first: float | None, second: float | None) -> float | None:
    """Relative uncertainties combined; None when the first is unknown, because then the dose has no interval."""
    return None if first is None else math.hypot(first, second or 0.0)
