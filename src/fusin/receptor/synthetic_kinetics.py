"""A made-up dynamic scan after a CXCR4 ligand, whose rates are known: input, frames, regions, and the noise of counts.

The rates are chosen for the picture and are no measurement: no dynamic study of [68Ga]Ga-pentixafor with blood samples is known
to us.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fusin.decay import decay_factor, mean_over_frame
from fusin.nuclides import nuclide
from fusin.receptor.compartments import CompartmentName, tissue_curve
from fusin.receptor.frames import FloatArray, Frames
from fusin.receptor.input_function import InputFunction

__all__ = [
    "FRAME_LENGTHS_S",
    "TRUE_REGIONS",
    "TrueRegion",
    "bolus_input",
    "counted",
    "dynamic_frames",
    "make_dynamic_tables",
]

FRAME_LENGTHS_S = (10,) * 6 + (20,) * 3 + (30,) * 4 + (60,) * 4 + (120,) * 4 + (300,) * 9
"""Thirty frames of an hour."""

_HAEMATOCRIT_SHARE = 0.62


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueRegion:
    """A region with its model, its rates and its volume."""

    model: CompartmentName
    rates: Mapping[str, float]
    volume_ml: float
    vb: float = 0.05


TRUE_REGIONS: Mapping[str, TrueRegion] = {
    "lesion": TrueRegion(model="2tcm", rates={"K1": 0.20, "k2": 0.25, "k3": 0.12, "k4": 0.02}, volume_ml=8.0),
    "spleen": TrueRegion(model="2tcm", rates={"K1": 0.60, "k2": 0.50, "k3": 0.15, "k4": 0.025}, volume_ml=40.0),
    "marrow": TrueRegion(model="2tcm", rates={"K1": 0.15, "k2": 0.30, "k3": 0.06, "k4": 0.03}, volume_ml=20.0),
    "muscle": TrueRegion(model="1tcm", rates={"K1": 0.025, "k2": 0.08}, volume_ml=40.0),
}
"""Regions of the demonstration; made up."""


def bolus_input(
    *, scale_kbq_ml: float = 1.0, fast_per_min: float = 4.0, middle_per_min: float = 0.12, slow_per_min: float = 0.012,
    until_min: float = 70.0,
) -> InputFunction:  # fmt: skip
    """Plasma and blood after a short injection, finely sampled.

    The plasma is (a t - b - c) exp(-l1 t) + b exp(-l2 t) + c exp(-l3 t), the form of Feng D et al., Int J Biomed Comput 1993;32:95.

    Parameters
    ----------
    scale_kbq_ml : level of the slow part
    fast_per_min, middle_per_min, slow_per_min : its three rates
    until_min : end
    """
    t = np.concatenate([np.arange(0.0, 5.0, 1.0 / 60.0), np.arange(5.0, until_min + 0.25, 0.25)])
    b, c = 1.3 * scale_kbq_ml, scale_kbq_ml
    plasma = (45.0 * scale_kbq_ml * t - b - c) * np.exp(-fast_per_min * t)
    plasma += b * np.exp(-middle_per_min * t) + c * np.exp(-slow_per_min * t)
    return InputFunction(time_min=t, plasma=plasma, blood_time_min=t, blood=_HAEMATOCRIT_SHARE * plasma, unit="kBq/mL")


def dynamic_frames(lengths_s: tuple[int, ...] = FRAME_LENGTHS_S) -> Frames:
    """Frames without gaps, from their lengths in seconds."""
    edges = np.concatenate([[0.0], np.cumsum(lengths_s)]) / 60.0
    return Frames.between(edges[:-1], edges[1:])


def counted(
    activity_kbq_ml: FloatArray,
    frames: Frames,
    *,
    volume_ml: float,
    sensitivity: float,
    half_life_s: float,
    rng: np.random.Generator,
) -> FloatArray:
    """Activities as counts would give them, decay-corrected to time 0.

    Parameters
    ----------
    activity_kbq_ml : true and decay-corrected
    frames : when
    volume_ml : of the region
    sensitivity : true counts per decay that reach the image, after all its losses
    half_life_s : of the nuclide
    rng : source of the noise
    """
    duration_s = 60.0 * np.asarray(frames.duration_min)
    start_s = 60.0 * np.asarray(frames.start_min)
    decayed = decay_factor(start_s, half_life_s) * mean_over_frame(duration_s, half_life_s)
    per_unit = 1e3 * volume_ml * sensitivity * duration_s * decayed
    return np.asarray(rng.poisson(np.maximum(activity_kbq_ml, 0.0) * per_unit) / per_unit)


def make_dynamic_tables(*, rng: np.random.Generator, sensitivity: float = 2e-3) -> tuple[str, str]:
    """TAC.csv and BLOOD.csv of the made-up scan, as text.

    Parameters
    ----------
    rng : source of the noise
    sensitivity : counts per decay; the smaller, the noisier
    """
    source, frames = bolus_input(scale_kbq_ml=12.0), dynamic_frames()
    half_life_s = nuclide("Ga-68").half_life_s
    columns = {}
    for name, one in TRUE_REGIONS.items():
        true = tissue_curve(one.model, one.rates, source, frames, vb=one.vb)
        columns[name] = counted(
            true, frames, volume_ml=one.volume_ml, sensitivity=sensitivity, half_life_s=half_life_s, rng=rng
        )
    start, end = 60.0 * np.asarray(frames.start_min), 60.0 * np.asarray(frames.end_min)
    lines = ["start_s,end_s," + ",".join(f"{name}_kBq_mL" for name in columns)]
    for i in range(frames.n):
        lines.append(f"{start[i]:g},{end[i]:g}," + ",".join(f"{v[i]:.6g}" for v in columns.values()))
    return "\n".join(lines) + "\n", _blood_text(source)


def _blood_text(source: InputFunction) -> str:
    """Samples by hand: dense at first, parent fraction at a few times."""
    times = (
        np.unique(np.concatenate([np.arange(0, 181, 3), np.arange(200, 301, 20), np.arange(360, 3601, 180), [3720]]))
        / 60.0
    )
    parent = {3.0: 0.99, 10.0: 0.97, 20.0: 0.95, 34.0 + 1.0: 0.92, 60.0: 0.88}
    shares = np.interp(times, [0.0, *parent], [1.0, *parent.values()])
    now = np.interp(times, source.time_min, source.plasma)
    lines = ["time_s,whole_blood_kBq_mL,plasma_kBq_mL,parent_fraction"]
    for t, cp, share in zip(times.tolist(), now.tolist(), shares.tolist(), strict=True):
        stated = f"{share:.4g}" if any(abs(t - p) < 0.51 for p in parent) and t in times else ""
        lines.append(f"{60 * t:g},{_HAEMATOCRIT_SHARE * cp:.6g},{cp / share:.6g},{stated}")
    return "\n".join(lines) + "\n"
