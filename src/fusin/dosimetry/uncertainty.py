"""The uncertainty of one dose, link by link: volume, recovery, calibration, fit, S value, mass, with what they share.

The chain of the EANM guidance, written as one product so that every covariance follows from it. With v the outlined volume::

    D = F x C(v) / (Q R(v; b)) x S(rho v)

F is the fitted time integral of the counts, Q the calibration, R the recovery with its fitted parameters b, and S falls with the
mass as m^-c. The volume enters three times, and its net sensitivity is the sum of what it does to each::

    d ln D / d ln v = phi / (2 R) - (v / R) dR/dv - c
    phi = erf(2 r / (sigma sqrt 2)) - 2 sigma / (r sqrt(2 pi)) (1 - exp(-2 r^2 / sigma^2)),  sigma = FWHM / (2 sqrt(2 ln 2))
    u(v) / v = 3 u(d) / d,   u(d)^2 = voxel^2 / 6 + FWHM^2 / (4 ln 2)

phi/2 is the concentration at the edge of a sphere blurred by the point spread, relative to the sphere's own.

References
----------
Gear JI et al., Eur J Nucl Med Mol Imaging 45 (2018) 2456-2474 (EANM practical guidance, PMC6208822).
JCGM 100:2008, 5.2 (correlated quantities); JCGM 101:2008 (Monte Carlo, and its comparison with first order in clause 8).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.dosimetry.organs import log_normal
from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.stats.results import Estimate

__all__ = [
    "Budget",
    "BudgetRow",
    "DoseChain",
    "MonteCarlo",
    "RecoveryCurve",
    "budget",
    "edge_fraction",
    "monte_carlo",
    "volume_u_relative",
]

FloatArray = NDArray[np.float64]

_SIGMA_PER_FWHM = 1.0 / (2.0 * math.sqrt(2.0 * math.log(2.0)))
_LARGE_U, _MOST_APART = 0.5, 0.1
_GRID = 800


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCurve:
    """Recovery of spheres by volume: R = 1 - 1 / (1 + (v / b1)^b2).

    Attributes
    ----------
    b1_ml : volume of half recovery [mL]
    b2 : steepness
    u_b1_ml, u_b2 : their standard uncertainties
    correlation : of both, from the fit, -1 to 1
    """

    b1_ml: float
    b2: float
    u_b1_ml: float = 0.0
    u_b2: float = 0.0
    correlation: float = 0.0

    def __post_init__(self) -> None:
        for name in ("b1_ml", "b2"):
            _check("recovery", name, getattr(self, name), above=0.0)
        for name in ("u_b1_ml", "u_b2"):
            _check("recovery", name, getattr(self, name), least=0.0)
        if not -1.0 <= self.correlation <= 1.0:
            raise InputError("recovery", "correlation", self.correlation, "a number from -1 to 1")

    def __call__(self, volume_ml: Any, b1_ml: Any = None, b2: Any = None) -> Any:
        """Recovery at a volume, with other parameters where given."""
        b1, steep = (self.b1_ml if b1_ml is None else b1_ml), (self.b2 if b2 is None else b2)
        power = (np.asarray(volume_ml, np.float64) / b1) ** steep
        return power / (1.0 + power)

    def slopes(self, volume_ml: float) -> tuple[float, float, float]:
        """d ln R by d ln v, d ln b1 and d b2."""
        lost = 1.0 - float(self(volume_ml))
        return self.b2 * lost, -self.b2 * lost, lost * math.log(volume_ml / self.b1_ml)


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseChain:
    """What one dose was made of; None or 0 where a link does not apply.

    Attributes
    ----------
    dose_gy : the dose
    volume_ml, volume_u_relative : of the outline; see `volume_u_relative`
    fwhm_mm : of the images; None when the counts do not depend on the outline
    recovery : curve that the activity was divided by; None without recovery correction
    calibration_u : relative standard uncertainty of the calibration factor
    fit_u : of the time integral, from the fit (random: counts, noise, times)
    s_u : of the S value as a model of this patient
    s_exponent : c of S ~ m^-c; 1 for electrons that stay inside, see `mass_exponent`
    density_u : of the density that turns the volume into mass
    mass_from_volume : the mass comes from the same outline; False when it was measured apart, with ``mass_u``
    mass_u : relative standard uncertainty of a mass that was measured apart
    """

    dose_gy: float
    volume_ml: float
    volume_u_relative: float
    fwhm_mm: float | None = None
    recovery: RecoveryCurve | None = None
    calibration_u: float = 0.0
    fit_u: float = 0.0
    s_u: float = 0.0
    s_exponent: float = 1.0
    density_u: float = 0.0
    mass_from_volume: bool = True
    mass_u: float = 0.0

    def __post_init__(self) -> None:
        for name in ("dose_gy", "volume_ml"):
            _check("budget", name, getattr(self, name), above=0.0)
        for name in ("volume_u_relative", "calibration_u", "fit_u", "s_u", "density_u", "mass_u"):
            _check("budget", name, getattr(self, name), least=0.0, hint=" (0.05, not 5 for percent)")
        _check("budget", "s_exponent", self.s_exponent, least=0.0)
        if self.fwhm_mm is not None:
            _check("budget", "fwhm_mm", self.fwhm_mm, above=0.0)
        if not self.mass_from_volume and self.density_u > 0:
            raise InputError("budget", "density_u", self.density_u, "no density where the mass was measured apart")

    @property
    def radius_mm(self) -> float:
        """Radius of the sphere of the same volume [mm]."""
        return float((3000.0 * self.volume_ml / (4.0 * math.pi)) ** (1.0 / 3.0))

    @property
    def recovered(self) -> float:
        """Recovery at the volume; 1 without a curve."""
        return 1.0 if self.recovery is None else float(self.recovery(self.volume_ml))


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRow:
    """One link: relative uncertainty of the quantity, what the dose does with it, and what comes of it.

    Attributes
    ----------
    quantity : in words
    u_relative : relative standard uncertainty of the quantity
    sensitivity : d ln D / d ln quantity
    contribution : u_relative x sensitivity, as part of the dose's relative uncertainty
    share : of the variance of the dose, None for a line that is part of another
    part_of : the row that it is a part of, empty for a row of its own
    """

    quantity: str
    u_relative: float
    sensitivity: float
    contribution: float
    share: float | None = None
    part_of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Uncertainty of a dose.

    Attributes
    ----------
    dose_gy : with its interval
    u_relative : relative standard uncertainty, coverage factor 1
    rows : the links
    u_without_covariance : what the same links give when the volume's three effects count as independent
    """

    dose_gy: Estimate
    u_relative: float
    rows: tuple[BudgetRow, ...]
    u_without_covariance: float

    @property
    def largest(self) -> BudgetRow:
        """The row with the largest share of the variance."""
        return max((r for r in self.rows if r.share is not None), key=lambda r: r.share or 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonteCarlo:
    """The same chain by simulation.

    Attributes
    ----------
    dose_gy : median with the interval of the draws
    u_relative : standard deviation of the draws over their mean
    draws, seed : of the simulation
    agrees : the first-order uncertainty lies within a tenth of it
    """

    dose_gy: Estimate
    u_relative: float
    draws: int
    seed: int
    agrees: bool = field(default=True)


def volume_u_relative(*, volume_ml: float, voxel_mm: float, fwhm_mm: float) -> float:
    """Relative standard uncertainty of an outlined volume: 3 u(d) / d with u(d)^2 = voxel^2/6 + FWHM^2/(4 ln 2).

    Parameters
    ----------
    volume_ml : outlined [mL]; d is the diameter of the sphere of that volume
    voxel_mm : edge of the voxels that the outline follows [mm]; the cube root of their volume where they are no cubes
    fwhm_mm : resolution of the image that was outlined [mm]; 0 for a sharp one

    Raises
    ------
    InputError
        For a volume or voxel that is not positive.

    Examples
    --------
    >>> round(volume_u_relative(volume_ml=150.0, voxel_mm=1.0, fwhm_mm=1.0), 4)
    0.033
    """
    _check("volume", "volume_ml", volume_ml, above=0.0)
    _check("volume", "voxel_mm", voxel_mm, above=0.0)
    _check("volume", "fwhm_mm", fwhm_mm, least=0.0)
    diameter = 2.0 * math.cbrt(3000.0 * volume_ml / (4.0 * math.pi))
    return 3.0 * math.sqrt(voxel_mm**2 / 6.0 + fwhm_mm**2 / (4.0 * math.log(2.0))) / diameter


def edge_fraction(radius_mm: float, fwhm_mm: float) -> float:
    """phi: twice the concentration at the edge of a blurred sphere, relative to the sphere's own; 1 for a large one."""
    sigma = fwhm_mm * _SIGMA_PER_FWHM
    near = 1.0 - math.exp(-2.0 * (radius_mm / sigma) ** 2)
    return math.erf(math.sqrt(2.0) * radius_mm / sigma) - 2.0 * sigma / (radius_mm * math.sqrt(2.0 * math.pi)) * near


def budget(chain: DoseChain, *, level: float = 0.95) -> Budget:
    """First-order budget of a dose.

    Parameters
    ----------
    chain : the links
    level : of the interval

    Returns
    -------
    Budget
        Rows in the order of the chain. The volume is one row, with its effects on counts, recovery and mass below it.
    """
    through = _through_volume(chain)
    net = sum(through.values())
    u_v = chain.volume_u_relative
    rows = [_row("volume", u_v, net)]
    parts = [
        BudgetRow(
            quantity=f"volume through {name}",
            u_relative=u_v,
            sensitivity=s,
            contribution=abs(s) * u_v,
            part_of="volume",
        )
        for name, s in through.items()
    ]
    if chain.recovery is not None:
        rows.append(_row("recovery curve", _recovery_u(chain.recovery, chain.volume_ml), -1.0))
    rows += [_row("calibration", chain.calibration_u, -1.0), _row("time-activity fit", chain.fit_u, 1.0),
             _row("S value", chain.s_u, 1.0)]  # fmt: skip
    if chain.mass_from_volume:
        rows.append(_row("density", chain.density_u, -chain.s_exponent))
    else:
        rows.append(_row("mass", chain.mass_u, -chain.s_exponent))
    variance = sum(r.contribution**2 for r in rows)
    alone = variance - rows[0].contribution ** 2 + sum(p.contribution**2 for p in parts)
    shared = [
        BudgetRow(quantity=r.quantity, u_relative=r.u_relative, sensitivity=r.sensitivity, contribution=r.contribution,
                  share=r.contribution**2 / variance if variance > 0 else 0.0)
        for r in rows
    ]  # fmt: skip
    u = math.sqrt(variance)
    return Budget(
        dose_gy=log_normal(chain.dose_gy, u, level=level, n=1, method="log-normal, first-order chain (Gear 2018)"), u_relative=u,
        rows=(shared[0], *parts, *shared[1:]), u_without_covariance=math.sqrt(alone),
    )  # fmt: skip


def monte_carlo(
    chain: DoseChain, *, draws: int = 20000, seed: int = 0, level: float = 0.95, log: NoticeLog | None = None
) -> MonteCarlo:
    """The chain by simulation, without linearising recovery, counts and mass.

    Every quantity is drawn log-normal with its relative uncertainty (b2 and the counts of the fit normal), and counts follow
    the blurred sphere beyond its edge.

    Parameters
    ----------
    chain : the links
    draws, seed : of the simulation
    level : of the interval
    log : receives a warning where first order and simulation differ by more than a tenth (JCGM 101, clause 8)

    Raises
    ------
    InputError
        For fewer than 1000 draws, or a negative seed.
    """
    if draws < 1000:
        raise InputError("Monte Carlo", "draws", draws, "at least 1000")
    if seed < 0:
        raise InputError("Monte Carlo", "seed", seed, "a whole number of zero or more")
    rng = np.random.default_rng(seed)
    volume = chain.volume_ml * _factor(rng, chain.volume_u_relative, draws)
    dose = chain.dose_gy * _factor(rng, chain.fit_u, draws) * _factor(rng, chain.s_u, draws)
    dose = dose / _factor(rng, chain.calibration_u, draws)
    if chain.fwhm_mm is not None:
        dose = dose * _counts(volume, chain)
    if chain.recovery is not None:
        b1, b2 = _curves(rng, chain.recovery, draws)
        dose = dose * chain.recovered / chain.recovery(volume, b1, b2)
    mass = volume / chain.volume_ml if chain.mass_from_volume else np.ones(draws)
    mass = mass * _factor(rng, chain.density_u if chain.mass_from_volume else chain.mass_u, draws)
    dose = dose * mass**-chain.s_exponent
    tail = (1.0 - level) / 2.0
    low, middle, high = (float(v) for v in np.quantile(dose, (tail, 0.5, 1.0 - tail)))
    # Relative to the mean of the draws, as the log-normal inputs are: one input alone then gives back its own uncertainty.
    spread = float(np.std(dose, ddof=1)) / float(np.mean(dose))
    first = budget(chain).u_relative
    agrees = abs(first - spread) <= _MOST_APART * max(spread, 1e-12)
    if not agrees and log is not None:
        log.warning("MONTE_CARLO_DIFFERS", f"first order gives {100 * first:.1f} %, the simulation {100 * spread:.1f} %: "
                    "take the interval of the simulation", where="budget", raw=first, used=spread)  # fmt: skip
    found = Estimate(value=middle, low=low, high=high, method=f"Monte Carlo, {draws} draws", n=1, level=level,
                     note="the value is the median of the draws")  # fmt: skip
    return MonteCarlo(dose_gy=found, u_relative=spread, draws=draws, seed=seed, agrees=agrees)


def _through_volume(chain: DoseChain) -> dict[str, float]:
    """What the volume does to the dose through each link."""
    out: dict[str, float] = {}
    if chain.fwhm_mm is not None:
        out["counts"] = edge_fraction(chain.radius_mm, chain.fwhm_mm) / (2.0 * chain.recovered)
    if chain.recovery is not None:
        out["recovery"] = -chain.recovery.slopes(chain.volume_ml)[0]
    if chain.mass_from_volume:
        out["mass"] = -chain.s_exponent
    return out


def _recovery_u(curve: RecoveryCurve, volume_ml: float) -> float:
    """Relative uncertainty of the recovery from its fitted parameters, with their covariance."""
    _, by_b1, by_b2 = curve.slopes(volume_ml)
    first, second = by_b1 * curve.u_b1_ml / curve.b1_ml, by_b2 * curve.u_b2
    return math.sqrt(max(first**2 + second**2 + 2.0 * curve.correlation * first * second, 0.0))


def _row(quantity: str, u_relative: float, sensitivity: float) -> BudgetRow:
    return BudgetRow(
        quantity=quantity, u_relative=u_relative, sensitivity=sensitivity, contribution=abs(sensitivity) * u_relative
    )


def _factor(rng: np.random.Generator, u_relative: float, draws: int) -> FloatArray:
    out: FloatArray = np.exp(rng.normal(0.0, math.sqrt(math.log1p(u_relative**2)), draws))
    return out


def _curves(rng: np.random.Generator, curve: RecoveryCurve, draws: int) -> tuple[FloatArray, FloatArray]:
    first = rng.normal(size=draws)
    second = curve.correlation * first + math.sqrt(1.0 - curve.correlation**2) * rng.normal(size=draws)
    b1 = curve.b1_ml * np.exp(first * math.sqrt(math.log1p((curve.u_b1_ml / curve.b1_ml) ** 2)))
    # A steepness at or below zero is no recovery curve; such draws are beyond any fit that one would use.
    return b1, np.maximum(curve.b2 + curve.u_b2 * second, 0.05 * curve.b2)


def _counts(volume_ml: FloatArray, chain: DoseChain) -> FloatArray:
    """Counts within spheres of other volumes about the same blurred sphere, relative to its own volume."""
    sigma, true = (chain.fwhm_mm or 0.0) * _SIGMA_PER_FWHM, chain.radius_mm
    radius = true * (volume_ml / chain.volume_ml) ** (1.0 / 3.0)
    grid = np.linspace(1e-6 * true, max(float(radius.max()), true), _GRID)
    root = sigma * math.sqrt(2.0)
    from scipy.special import erf

    edge = np.exp(-(((true - grid) / root) ** 2)) - np.exp(-(((true + grid) / root) ** 2))
    blurred = (
        0.5 * (erf((true + grid) / root) + erf((true - grid) / root)) - sigma / (grid * math.sqrt(2 * math.pi)) * edge
    )
    shell = 4.0 * math.pi * grid**2 * blurred
    inside = np.concatenate([[0.0], np.cumsum(0.5 * (shell[1:] + shell[:-1]) * np.diff(grid))])
    own = float(np.interp(true, grid, inside))
    # The recovery that was measured sets the level; the blurred sphere sets what a shell more or less adds.
    added = (np.interp(radius, grid, inside) - own) / (4.0 / 3.0 * math.pi * true**3 * chain.recovered)
    out: FloatArray = np.maximum(1.0 + added, 1e-6)
    return out


def _check(
    where: str, name: str, value: float, *, above: float | None = None, least: float | None = None, hint: str = ""
) -> None:
    if not isinstance(value, (int, float)) or not math.isfinite(value) or (above is not None and not value > above):
        raise InputError(where, name, value, f"a finite number above {above or 0:g}{hint}")
    if least is not None and value < least:
        raise InputError(where, name, value, f"a number of at least {least:g}{hint}")
