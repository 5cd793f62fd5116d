"""A made-up 177Lu-pentixather study as a table: regions with known curves, seeded noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["STUDY", "STUDY_TIMES_H", "TrueRegion", "make_times_csv"]

_LN2 = math.log(2.0)
STUDY_TIMES_H = (1.5, 4.0, 24.0, 48.0, 96.0, 168.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueRegion:
    """One region whose curve is known: a (2^(-t/T_eff) - 2^(-t/T_up)), without uptake phase for ``uptake_h`` 0.

    Attributes
    ----------
    name, mass_g : of the region
    amplitude_mbq : a
    t_eff_h, uptake_h : half-lives of the decline and of the rise [h]
    """

    name: str
    mass_g: float
    amplitude_mbq: float
    t_eff_h: float
    uptake_h: float

    def activity_mbq(self, time_h: float) -> float:
        """Activity at a time [MBq]."""
        rise = math.pow(2.0, -time_h / self.uptake_h) if self.uptake_h else 0.0
        return self.amplitude_mbq * (math.pow(2.0, -time_h / self.t_eff_h) - rise)

    @property
    def tia_mbq_h(self) -> float:
        """Time-integrated activity [MBq h]."""
        return self.amplitude_mbq * (self.t_eff_h - self.uptake_h) / _LN2


# Made up for 200 MBq; the half-lives are of the size that is published for these tissues (evidence: haenscheid-teff-*).
STUDY = (
    TrueRegion(name="left kidney", mass_g=155.0, amplitude_mbq=4.6, t_eff_h=41.0, uptake_h=1.2),
    TrueRegion(name="right kidney", mass_g=148.0, amplitude_mbq=4.2, t_eff_h=43.0, uptake_h=1.4),
    TrueRegion(name="liver", mass_g=1720.0, amplitude_mbq=13.0, t_eff_h=109.0, uptake_h=3.0),
    TrueRegion(name="spleen", mass_g=210.0, amplitude_mbq=2.4, t_eff_h=86.0, uptake_h=2.5),
    TrueRegion(name="lesion 1", mass_g=14.0, amplitude_mbq=1.1, t_eff_h=78.0, uptake_h=6.0),
    TrueRegion(name="lesion 2", mass_g=4.5, amplitude_mbq=0.42, t_eff_h=66.0, uptake_h=0.0),
)


def make_times_csv(
    regions: Sequence[TrueRegion] = STUDY,
    times_h: Sequence[float] = STUDY_TIMES_H,
    *,
    relative_u: float = 0.04,
    rng: np.random.Generator,
) -> str:
    """The table of a study as CSV.

    Parameters
    ----------
    regions : with their truth
    times_h : of the scans
    relative_u : relative standard deviation of the normal noise, which is also what the table states
    rng : of the noise
    """
    lines = ["region,time_h,activity_mbq,uncertainty_mbq,mass_g,mass_u_g"]
    for region in regions:
        for time in times_h:
            truth = region.activity_mbq(time)
            value = truth * (1.0 + relative_u * float(rng.standard_normal()))
            lines.append(
                f"{region.name},{time:g},{value:.4g},{relative_u * truth:.3g},{region.mass_g:g},{0.05 * region.mass_g:.3g}"
            )
    return "\n".join(lines) + "\n"
