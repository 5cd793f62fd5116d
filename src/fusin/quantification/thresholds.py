"""SUV thresholds: one small pure function per published rule.

Each function returns a `Threshold` that carries its rule id, the sentence of why, the citation and how firmly the
formula is known: ``S`` stated in the source, ``D`` derived by arithmetic from it, ``U`` known from secondary accounts
only, ``P`` defined by this project. A rule that needs calibration refuses without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fusin.errors import InvalidValue, MissingValue
from fusin.imaging.volume import FloatArray, Volume
from fusin.provenance import jsonable
from fusin.quantification.references import ReferenceRegion

__all__ = [
    "Threshold",
    "threshold_a50p",
    "threshold_background",
    "threshold_fixed",
    "threshold_iterative",
    "threshold_jentzen",
    "threshold_liver",
    "threshold_nestle",
    "threshold_otsu",
    "threshold_percent_max",
    "threshold_percist_blood",
    "threshold_reference",
    "threshold_reference_max",
    "threshold_ridler",
    "threshold_schaefer",
    "threshold_van_dalen",
    "van_dalen_level",
]

REVIEW = "Im et al., PET segmentation review, PMC7139791, table 2"
PERCIST = "Wahl et al., J Nucl Med 2009;50 Suppl 1:122S, 10.2967/jnumed.108.057307; O and Wahl, PMC4976461"
MAX_ITERATIONS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """An SUV threshold; a voxel belongs to the region when its value is at least ``suv``.

    Attributes
    ----------
    rule : id of the rule, for example ``"percent-max-41"``
    suv : threshold [g/mL]
    because : one sentence with the values that led to it
    citation : source of the rule
    tag : how firmly the formula is known (``S``, ``D``, ``U`` or ``P``)
    parameters : the numbers that went in
    """

    rule: str
    suv: float
    because: str
    citation: str
    tag: str = "S"
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not math.isfinite(self.suv) or self.suv <= 0:
            raise InvalidValue(
                f"threshold {self.rule}",
                f"it comes out as {self.suv:g} ({self.because})",
                "a positive SUV, for otherwise the whole image would belong to the region",
                "THRESHOLD_NOT_POSITIVE",
            )

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__}


def threshold_fixed(suv: float) -> Threshold:
    """Threshold at a fixed SUV (2.5, 3.0, 4.0 or the user's own)."""
    return Threshold(
        rule=f"fixed-{suv:g}",
        suv=float(suv),
        because=f"SUV {suv:g} was asked for",
        citation=REVIEW,
        parameters={"suv": suv},
    )


def threshold_percent_max(suv_max: float, percent: float) -> Threshold:
    """Threshold at a percentage of the lesion's SUVmax (40, 41, 42, 45, 50 or 70 % are in use).

    Raises
    ------
    InvalidValue
        When the percentage is not between 0 and 100, or the threshold is not positive.
    """
    _require(
        0 < percent < 100, f"threshold percent-max-{percent:g}", f"{percent:g} %", "a percentage between 0 and 100"
    )
    return Threshold(
        rule=f"percent-max-{percent:g}",
        suv=suv_max * percent / 100.0,
        because=f"{percent:g} % of SUVmax {suv_max:.3g}",
        citation=REVIEW,
        parameters={"percent": percent, "suv_max": suv_max},
    )


def threshold_a50p(suv_peak: float, background: float | None = None, *, percent: float = 50.0) -> Threshold:
    """50 % of SUVpeak, lifted by half the background when one is given (A50P).

    Parameters
    ----------
    suv_peak : SUVpeak of the lesion
    background : mean SUV around the lesion; None gives plain 50 % of SUVpeak
    percent : percentage, 50 in the name

    Notes
    -----
    With a background the form is B + 0.5 (peak - B). That formula is known from secondary accounts only (tag ``U``).
    """
    _require(0 < percent < 100, "threshold a50p", f"{percent:g} %", "a percentage between 0 and 100")
    base = 0.0 if background is None else background
    lift = "" if background is None else f" above the background {background:.3g}"
    return Threshold(
        rule="a50p" if background is not None else "percent-peak-50",
        suv=base + (suv_peak - base) * percent / 100.0,
        because=f"{percent:g} % of SUVpeak {suv_peak:.3g}{lift}",
        citation="Boellaard et al., EANM guidelines 2.0, 10.1007/s00259-014-2961-x; background form [U]",
        tag="U",
        parameters={"suv_peak": suv_peak, "background": background, "percent": percent},
    )


def threshold_reference(reference: ReferenceRegion, *, factor: float = 2.0, sd_factor: float = 2.0) -> Threshold:
    """Threshold at ``factor`` x mean + ``sd_factor`` x SD of a reference region; 2 x blood pool + 2 SD by default.

    The default is the cut-off for CXCR4: with Pentixafor the liver is colder than blood, and liver rules flood the
    image.
    """
    return Threshold(
        rule=f"reference-{reference.kind}-{factor:g}mean-{sd_factor:g}sd",
        suv=factor * reference.mean + sd_factor * reference.sd,
        because=f"{factor:g} x {reference.kind} mean {reference.mean:.3g} + {sd_factor:g} x SD {reference.sd:.3g}",
        citation=PERCIST,
        tag="S" if (factor, sd_factor) == (2.0, 2.0) and reference.kind == "blood_pool" else "P",
        parameters={"factor": factor, "sd_factor": sd_factor, "mean": reference.mean, "sd": reference.sd},
    )


def threshold_liver(liver: ReferenceRegion) -> Threshold:
    """PERCIST cut-off for measurable lesions: 1.5 x liver mean + 2 SD.

    PERCIST defines it for SUV normalised to lean mass; with another SUV it is an adaptation.

    Raises
    ------
    InvalidValue
        When the region is not a liver region.
    """
    _require(liver.kind == "liver", "threshold percist-liver", f"a {liver.kind} region", "a liver region")
    return Threshold(
        rule="percist-liver",
        suv=1.5 * liver.mean + 2.0 * liver.sd,
        because=f"1.5 x liver mean {liver.mean:.3g} + 2 x SD {liver.sd:.3g}",
        citation=PERCIST,
        parameters={"mean": liver.mean, "sd": liver.sd},
    )


def threshold_percist_blood(blood: ReferenceRegion) -> Threshold:
    """PERCIST cut-off when the liver is diseased: 2 x blood-pool mean + 2 SD.

    Raises
    ------
    InvalidValue
        When the region is not a blood-pool region.
    """
    _require(blood.kind == "blood_pool", "threshold percist-blood", f"a {blood.kind} region", "a blood-pool region")
    return Threshold(
        rule="percist-blood",
        suv=2.0 * blood.mean + 2.0 * blood.sd,
        because=f"2 x blood-pool mean {blood.mean:.3g} + 2 x SD {blood.sd:.3g}",
        citation=PERCIST,
        parameters={"mean": blood.mean, "sd": blood.sd},
    )


def threshold_reference_max(reference: ReferenceRegion, volume: Volume) -> Threshold:
    """Threshold at the hottest voxel of a reference region ("liver max").

    Raises
    ------
    InvalidValue
        When the region holds no voxel with a value.
    """
    values = reference.region.values_in(volume)
    values = values[np.isfinite(values)]
    _require(values.size > 0, f"threshold {reference.kind}-max", "a region without values", "a region with voxels")
    hottest = float(values.max())
    return Threshold(
        rule=f"{reference.kind}-max",
        suv=hottest,
        because=f"hottest {reference.kind} voxel {hottest:.3g}",
        citation=REVIEW,
        parameters={"max": hottest},
    )


def threshold_background(suv_max: float, background: float, *, fraction: float = 0.41) -> Threshold:
    """Background-adapted relative threshold B + f (max - B) (tag ``U``: known from secondary accounts).

    Raises
    ------
    InvalidValue
        When the maximum is not above the background.
    """
    _require(0 < fraction < 1, "threshold background", f"{fraction:g}", "a fraction between 0 and 1")
    _require_contrast("background", suv_max, background)
    return Threshold(
        rule=f"background-{100 * fraction:g}",
        suv=background + fraction * (suv_max - background),
        because=f"background {background:.3g} + {fraction:g} x (SUVmax {suv_max:.3g} - background)",
        citation=REVIEW,
        tag="U",
        parameters={"fraction": fraction, "background": background, "suv_max": suv_max},
    )


def threshold_nestle(mean70: float, background: float, *, beta: float = 0.15) -> Threshold:
    """Nestle's threshold ``beta`` x mean of the voxels at or above 70 % of SUVmax + background (tag ``U``)."""
    return Threshold(
        rule="nestle",
        suv=beta * mean70 + background,
        because=f"{beta:g} x mean {mean70:.3g} of the voxels above 70 % of SUVmax + background {background:.3g}",
        citation="Nestle et al., J Nucl Med 2005;46:1342; formula [U]",
        tag="U",
        parameters={"beta": beta, "mean70": mean70, "background": background},
    )


def threshold_schaefer(
    mean70: float, background: float, *, a: float | None = None, b: float | None = None
) -> Threshold:
    """Schaefer's threshold a x mean70 + b x background with the scanner's own coefficients.

    Raises
    ------
    MissingValue
        Without both coefficients: they come from a phantom measured on the same scanner.
    """
    if a is None or b is None:
        raise MissingValue(
            "threshold schaefer",
            "the coefficients a and b are not given",
            "both, fitted to a sphere phantom on the same scanner and reconstruction",
            "CALIBRATION_MISSING",
        )
    return Threshold(
        rule="schaefer",
        suv=a * mean70 + b * background,
        because=f"{a:g} x mean {mean70:.3g} of the voxels above 70 % of SUVmax + {b:g} x background {background:.3g}",
        citation="Schaefer et al., Eur J Nucl Med Mol Imaging 2008;35:1989; formula [U]",
        tag="U",
        parameters={"a": a, "b": b, "mean70": mean70, "background": background},
    )


def van_dalen_level(volume_ml: float, fwhm_mm: float) -> float:
    """Relative level at the edge of a homogeneous sphere seen with a Gaussian resolution, background removed.

    Parameters
    ----------
    volume_ml : volume of the sphere
    fwhm_mm : resolution

    Returns
    -------
    float
        Value at the radius divided by the value at the centre: below 0.5 for large spheres (0.5 in the limit of a
        plane) and towards 1 for spheres far smaller than the resolution.
    """
    sigma = fwhm_mm / (2.0 * math.sqrt(2.0 * math.log(2.0)))
    q: float = (volume_ml * 1000.0 * 0.75 / math.pi) ** (1.0 / 3.0) / sigma
    if q < 0.05:
        # Both closed forms lose all digits to cancellation here; a point source has its own profile, exp(-q^2/2).
        return math.exp(-q * q / 2.0)
    edge = 0.5 * math.erf(math.sqrt(2.0) * q) - (1.0 - math.exp(-2.0 * q * q)) / (q * math.sqrt(2.0 * math.pi))
    centre = math.erf(q / math.sqrt(2.0)) - q * math.sqrt(2.0 / math.pi) * math.exp(-q * q / 2.0)
    return edge / centre


def threshold_iterative(
    volume_at: Callable[[float], float],
    level: Callable[[float], float],
    *,
    suv_max: float,
    background: float,
    rule: str,
    citation: str,
    tag: str = "U",
    parameters: Mapping[str, Any] | None = None,
) -> Threshold:
    """Threshold that agrees with the volume it encloses.

    Starting at half the contrast, ``level(volume)`` gives the relative level above the background and the level gives
    the next volume, until the threshold moves by less than 0.1 %. On a voxel grid the volume jumps, so the step is
    halved whenever the threshold starts to swing.

    Parameters
    ----------
    volume_at : volume in mL of the connected region at a threshold
    level : relative level between 0 and 1 that suits a volume in mL
    suv_max, background : hottest voxel and mean background

    Raises
    ------
    InvalidValue
        When SUVmax is not above the background, a level is not between 0 and 1, or no agreement is found.
    """
    _require_contrast(rule, suv_max, background)
    share, step, last = 0.5, 1.0, 0.0
    for count in range(1, MAX_ITERATIONS + 1):
        volume_ml = volume_at(background + share * (suv_max - background))
        wanted = level(volume_ml)
        _require(
            0 < wanted < 1, f"threshold {rule}", f"level {wanted:g} at {volume_ml:.3g} mL", "a level between 0 and 1"
        )
        move = wanted - share
        if move * last < 0:
            step *= 0.5
        share, last = share + step * move, move
        if abs(step * move) < 1e-3 * share:
            return Threshold(
                rule=rule,
                suv=background + share * (suv_max - background),
                because=f"level {share:.3f} of the contrast between background {background:.3g} and SUVmax"
                f" {suv_max:.3g} suits the {volume_ml:.3g} mL it encloses ({count} iterations)",
                citation=citation,
                tag=tag,
                parameters={**(parameters or {}), "background": background, "suv_max": suv_max, "level": share},
            )
    raise InvalidValue(
        f"threshold {rule}", f"no agreement after {MAX_ITERATIONS} iterations", "another rule", "NOT_CONVERGED"
    )


def threshold_van_dalen(
    volume_at: Callable[[float], float], *, suv_max: float, background: float, fwhm_mm: float
) -> Threshold:
    """Iterative threshold from the blurred homogeneous sphere (van Dalen); it needs the scanner's resolution."""
    return threshold_iterative(
        volume_at,
        lambda ml: van_dalen_level(ml, fwhm_mm),
        suv_max=suv_max,
        background=background,
        rule="van-dalen",
        citation="van Dalen et al., Nucl Med Commun 2007;28:485; level derived from a sphere with Gaussian resolution",
        tag="D",
        parameters={"fwhm_mm": fwhm_mm},
    )


def threshold_jentzen(
    volume_at: Callable[[float], float],
    *,
    suv_max: float,
    background: float,
    a: float | None = None,
    b: float | None = None,
) -> Threshold:
    """Iterative threshold with the scanner's calibration ``level = a + b / volume`` (Jentzen, tag ``U``).

    Raises
    ------
    MissingValue
        Without both coefficients (a without unit, b in mL).
    """
    if a is None or b is None:
        raise MissingValue(
            "threshold jentzen",
            "the calibration a + b / volume is not given",
            "a and b [mL], fitted to a sphere phantom on the same scanner and reconstruction",
            "CALIBRATION_MISSING",
        )
    return threshold_iterative(
        volume_at,
        lambda ml: a + b / ml,
        suv_max=suv_max,
        background=background,
        rule="jentzen",
        citation="Jentzen et al., J Nucl Med 2007;48:108; shape of the calibration curve [U]",
        parameters={"a": a, "b": b},
    )


def threshold_ridler(values: ArrayLike) -> Threshold:
    """Ridler-Calvard threshold: the midpoint of the means of the two classes that it makes."""
    data = _two_or_more("ridler", values)
    cut = float(data.mean())
    for _ in range(MAX_ITERATIONS):
        after = 0.5 * (float(data[data < cut].mean()) + float(data[data >= cut].mean()))
        if math.isclose(after, cut, rel_tol=1e-9):
            break
        cut = after
    return Threshold(
        rule="ridler",
        suv=cut,
        because=f"midpoint of the two class means over {data.size} voxels",
        citation="Ridler and Calvard, IEEE Trans SMC 1978;8:630, 10.1109/TSMC.1978.4310039",
        parameters={"voxels": int(data.size)},
    )


def threshold_otsu(values: ArrayLike) -> Threshold:
    """Otsu threshold: the split of the sorted values with the largest variance between classes (no histogram)."""
    data = np.sort(_two_or_more("otsu", values))
    below = np.arange(1, data.size)
    sums = np.cumsum(data)
    low = sums[:-1] / below
    high = (sums[-1] - sums[:-1]) / (data.size - below)
    between = below * (data.size - below) * (high - low) ** 2.0
    # Equal values cannot be told apart by a threshold.
    between[data[1:] == data[:-1]] = -1.0
    at = int(np.argmax(between))
    return Threshold(
        rule="otsu",
        suv=0.5 * float(data[at] + data[at + 1]),
        because=f"largest variance between classes over {data.size} voxels",
        citation="Otsu, IEEE Trans SMC 1979;9:62, 10.1109/TSMC.1979.4310076",
        parameters={"voxels": int(data.size)},
    )


def _two_or_more(rule: str, values: ArrayLike) -> FloatArray:
    """Finite values as float64; refused when all are equal."""
    data = np.asarray(values, dtype=np.float64).ravel()
    data = data[np.isfinite(data)]
    _require(data.size > 1 and bool(np.ptp(data) > 0), f"threshold {rule}", "values that are all equal", "two classes")
    return data


def _require(ok: bool, what: str, found: str, needed: str) -> None:
    if not ok:
        raise InvalidValue(what, f"found {found}", needed, "THRESHOLD_INPUT")


def _require_contrast(rule: str, suv_max: float, background: float) -> None:
    if not suv_max > background:
        raise InvalidValue(
            f"threshold {rule}",
            f"SUVmax {suv_max:.3g} is not above the background {background:.3g}",
            "a lesion hotter than its surroundings",
            "NO_CONTRAST",
        )
