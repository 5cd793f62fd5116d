"""Whether the SUV of one late frame stands for binding: a simulated dynamic study whose truth is known.

Lesions with different receptor density (k3) and perfusion (K1) are drawn in patients with different blood clearance. Each scan
gets the noise of its counts. SUV, the ratio to blood, Patlak's Ki, Logan's VT and the fitted VT are then held against the truth.
Ranges are made up; what the study shows is the direction, and how clearance enters the SUV and not VT.

References
----------
Hamberg LM et al., J Nucl Med 1994;35:1308-1312 (SUV depends on time and clearance). Keyes JW, J Nucl Med 1995;36:1836-1839.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from fusin.decay import decay_factor, mean_over_frame
from fusin.errors import InputError, NotComputable
from fusin.nuclides import nuclide
from fusin.receptor.compartments import derived, tissue_curve
from fusin.receptor.frames import FloatArray
from fusin.receptor.graphical import fit_line
from fusin.receptor.kinetic_fit import FitSettings, fit_compartments
from fusin.receptor.synthetic_kinetics import bolus_input, counted, dynamic_frames

__all__ = ["MEASURES", "SuvStudy", "SuvStudySettings", "simulate_suv_study"]

MEASURES: Mapping[str, str] = {
    "suv": "SUV of the last frame", "ratio": "ratio of the last frame to plasma", "logan": "VT by Logan's plot",
    "patlak": "Ki by Patlak's plot", "fit": "VT by the fitted 2TCM",
}  # fmt: skip
"""What is held against the truth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuvStudySettings:
    """What is drawn; ranges are drawn evenly on the logarithmic scale.

    Attributes
    ----------
    lesions : number of lesions, one per patient
    until_min : end of the last frame
    k1, k2, k3, k4 : ranges of the rates [mL/cm3/min, 1/min]
    clearance : range of the slow rate of the plasma [1/min]; the same number twice for patients alike
    nuclide : its decay makes late frames noisy
    sensitivity : true counts per decay that reach the image; 0 for scans without noise
    volume_ml : of a lesion
    seed : of draws and noise
    """

    lesions: int = 200
    until_min: float = 60.0
    k1: tuple[float, float] = (0.05, 0.4)
    k2: tuple[float, float] = (0.15, 0.4)
    k3: tuple[float, float] = (0.01, 0.2)
    k4: tuple[float, float] = (0.02, 0.02)
    clearance: tuple[float, float] = (0.006, 0.02)
    nuclide: str = "Ga-68"
    sensitivity: float = 2e-4
    volume_ml: float = 4.0
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SuvStudy:
    """Drawn lesions and what was measured in them.

    Attributes
    ----------
    truth : name to value per lesion: K1, k2, k3, k4, VT, clearance
    measured : name of :data:`MEASURES` to value per lesion; NaN where it could not be had
    settings : what was drawn
    """

    truth: Mapping[str, FloatArray]
    measured: Mapping[str, FloatArray]
    settings: SuvStudySettings

    def rank_correlation(self, measure: str, truth: str = "VT") -> float:
        """Spearman's rho of a measure with a truth."""
        from scipy.stats import spearmanr

        keep = np.isfinite(self.measured[measure])
        return float(spearmanr(self.measured[measure][keep], self.truth[truth][keep]).statistic)

    def clearance_effect(self, measure: str) -> float:
        """Percent by which a measure changes when clearance doubles, VT and K1 held (log-linear regression)."""
        y = self.measured[measure]
        span = np.ptp(np.log(self.truth["clearance"]))
        keep = np.isfinite(y) & (y > 0)
        if span < 1e-9 or int(keep.sum()) < 10:
            return math.nan
        names = [n for n in ("clearance", "VT", "K1", "k2") if np.ptp(np.log(self.truth[n])) > 1e-9]
        design = np.column_stack([np.ones(int(keep.sum())), *(np.log(self.truth[n][keep]) for n in names)])
        slope = np.linalg.lstsq(design, np.log(y[keep]), rcond=None)[0][1]
        return float(100.0 * (2.0**slope - 1.0))


def simulate_suv_study(settings: SuvStudySettings, *, progress: Callable[[int, int], None] | None = None) -> SuvStudy:
    """Draw lesions, scan them and measure.

    Parameters
    ----------
    settings : what is drawn
    progress : called with (lesions done, lesions)

    Raises
    ------
    InputError
        For fewer than three lesions, a range out of order, and a scan shorter than ten minutes.
    """
    _checked(settings)
    rng = np.random.default_rng(settings.seed)

    def draw(limits: tuple[float, float]) -> FloatArray:
        return np.exp(rng.uniform(math.log(limits[0]), math.log(limits[1]), settings.lesions))

    rates = {name: draw(getattr(settings, name.lower())) for name in ("K1", "k2", "k3", "k4")}
    clearance = draw(settings.clearance)
    measured = {name: np.full(settings.lesions, math.nan) for name in MEASURES}
    volumes = np.empty(settings.lesions)
    for i in range(settings.lesions):
        one = {name: float(v[i]) for name, v in rates.items()}
        volumes[i] = derived("2tcm", one)["VT"]
        for name, value in _scan(one, float(clearance[i]), settings, rng).items():
            measured[name][i] = value
        if progress is not None:
            progress(i + 1, settings.lesions)
    return SuvStudy(truth={**rates, "VT": volumes, "clearance": clearance}, measured=measured, settings=settings)


def _checked(settings: SuvStudySettings) -> None:
    if settings.lesions < 3:
        raise InputError("SUV study", "lesions", settings.lesions, "at least 3")
    if not 10.0 <= settings.until_min <= 600.0:
        raise InputError("SUV study", "until_min", settings.until_min, "10 to 600 minutes")
    for name in ("k1", "k2", "k3", "k4", "clearance"):
        low, high = getattr(settings, name)
        if not 0 < low <= high:
            raise InputError("SUV study", name, f"{low:g},{high:g}", "two positive numbers in order")
    if not settings.sensitivity >= 0 or not settings.volume_ml > 0:
        raise InputError(
            "SUV study", "sensitivity and volume", (settings.sensitivity, settings.volume_ml), "positive numbers"
        )


def _scan(
    rates: Mapping[str, float], clearance: float, settings: SuvStudySettings, rng: np.random.Generator
) -> dict[str, float]:
    """One dynamic scan and its measures."""
    # The dose distributes in the same volume whatever the clearance, so the level of the slow part is the same.
    source = bolus_input(scale_kbq_ml=4.0, slow_per_min=clearance, until_min=settings.until_min + 5.0)
    lengths = (10,) * 6 + (30,) * 6 + (60,) * 4 + (120,) * 1
    frames = dynamic_frames(lengths + (300,) * max(1, round((settings.until_min - 10.0) / 5.0)))
    true = tissue_curve("2tcm", rates, source, frames, vb=0.05)
    half_life_s = nuclide(settings.nuclide).half_life_s
    seen = true
    if settings.sensitivity:
        seen = counted(
            true,
            frames,
            volume_ml=settings.volume_ml,
            sensitivity=settings.sensitivity,
            half_life_s=half_life_s,
            rng=rng,
        )
    duration = np.asarray(frames.duration_min)
    decayed = decay_factor(60.0 * np.asarray(frames.start_min), half_life_s) * mean_over_frame(
        60.0 * duration, half_life_s
    )
    weights = duration * decayed / np.maximum(true, 1e-3 * float(true.max()))
    blood = np.interp(frames.mid_min, source.time_min, np.asarray(source.blood))
    tissue = (seen - 0.05 * blood) / 0.95
    late = float(source.plasma_at(np.asarray(frames.mid_min))[-1])
    # 150 MBq in 75 kg: SUV 1 is 2 kBq/mL.
    found = {"suv": float(seen[-1]) / 2.0, "ratio": float(seen[-1]) / late}
    for name, method in (("logan", "logan"), ("patlak", "patlak")):
        try:
            found[name] = fit_line(
                "logan" if method == "logan" else "patlak", frames, tissue, source, weights=weights
            ).value
        except NotComputable:
            found[name] = math.nan
    fitted = fit_compartments(
        "2tcm", frames, seen, source, settings=FitSettings(average=True, interval="none"), weights=weights
    )
    found["fit"] = math.nan if fitted.at_limit else float(fitted.estimates["VT"].value or math.nan)
    return found
