"""Compartment models in the time domain: 1TCM, 2TCM, irreversible 2TCM, and the simplified reference tissue model.

::

    1tcm               dC/dt  = K1 Cp - k2 C                                      VT = K1/k2
    2tcm               dC1/dt = K1 Cp - (k2 + k3) C1 + k4 C2, dC2/dt = k3 C1 - k4 C2   VT = K1/k2 (1 + k3/k4)
    2tcm-irreversible  k4 = 0                                                     Ki = K1 k3/(k2 + k3)
    srtm               C = R1 Cr + (k2 - R1 k2a) Cr (x) exp(-k2a t), k2a = k2/(1 + BP_ND)

A region holds (1 - vB) C + vB Cb. Rates are per minute, K1 is in mL/cm3/min.

References
----------
Gunn RN et al., J Cereb Blood Flow Metab 2001;21:635-652. Lammertsma AA, Hume SP, Neuroimage 1996;4:153-158.
Innis RB et al., J Cereb Blood Flow Metab 2007;27:1533-1539 (names).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.receptor.frames import FloatArray, Frames
from fusin.receptor.input_function import InputFunction

__all__ = [
    "MODELS",
    "CompartmentModel",
    "CompartmentName",
    "derived",
    "exponential_response",
    "exponentials_of",
    "tissue_curve",
]

CompartmentName = Literal["1tcm", "2tcm", "2tcm-irreversible", "srtm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompartmentModel:
    """One model: its rates in the order of the kernel, what follows from them, and the view that profiles each of these.

    Attributes
    ----------
    rates : names of the fitted rates
    derived : name to (view of the kernel, place of the parameter that it replaces)
    title : in words
    """

    rates: tuple[str, ...]
    derived: Mapping[str, tuple[str, int]]
    title: str


MODELS: Mapping[str, CompartmentModel] = {
    "1tcm": CompartmentModel(rates=("K1", "k2"), derived={"VT": ("VT", 0)}, title="one tissue compartment"),
    "2tcm": CompartmentModel(
        rates=("K1", "k2", "k3", "k4"),
        derived={"VT": ("VT", 0), "BP_ND": ("BP_ND", 2)},
        title="two tissue compartments, reversible",
    ),
    "2tcm-irreversible": CompartmentModel(
        rates=("K1", "k2", "k3"), derived={"Ki": ("Ki", 0)}, title="two tissue compartments, irreversible"
    ),
    "srtm": CompartmentModel(
        rates=("R1", "k2", "BP_ND"), derived={}, title="simplified reference tissue model"
    ),
}  # fmt: skip


def derived(model: CompartmentName, rates: Mapping[str, float]) -> dict[str, float]:
    """VT, Ki, BP_ND of a set of rates, as far as the model has them."""
    if model == "1tcm":
        return {"VT": rates["K1"] / rates["k2"]}
    if model == "2tcm":
        bound = rates["k3"] / rates["k4"]
        return {"VT": rates["K1"] / rates["k2"] * (1.0 + bound), "BP_ND": bound}
    if model == "2tcm-irreversible":
        return {"Ki": rates["K1"] * rates["k3"] / (rates["k2"] + rates["k3"])}
    return {}


def exponentials_of(model: CompartmentName, rates: Mapping[str, float]) -> tuple[tuple[float, float], ...]:
    """(coefficient, rate [1/min]) of each exponential of the impulse response.

    >>> exponentials_of("1tcm", {"K1": 0.1, "k2": 0.05})
    ((0.1, 0.05),)
    """
    k1, k2 = rates["K1"], rates["k2"]
    if model == "1tcm":
        return ((k1, k2),)
    k3, k4 = rates["k3"], rates.get("k4", 0.0) if model == "2tcm" else 0.0
    total = k2 + k3 + k4
    gap = math.sqrt(max(total**2 - 4.0 * k2 * k4, 0.0))
    if gap == 0.0:
        return ((k1, 0.5 * total),)
    fast = 0.5 * (total + gap)
    slow = k2 * k4 / fast
    return ((k1 * (fast - k3 - k4) / gap, fast), (k1 * (k3 + k4 - slow) / gap, slow))


def exponential_response(
    model: CompartmentName,
    rates: Mapping[str, float],
    amplitudes: Sequence[float],
    decays: Sequence[float],
    at_min: FloatArray,
) -> FloatArray:
    """Tissue activity after the input sum_i A_i exp(-l_i t), in closed form.

    Parameters
    ----------
    model, rates : model and its rates [1/min]
    amplitudes, decays : A_i and l_i [1/min] of the input
    at_min : times
    """
    total = np.zeros(np.shape(at_min))
    for c, theta in exponentials_of(model, rates):
        for a, decay in zip(amplitudes, decays, strict=True):
            x = (theta - decay) * at_min
            # (exp(-l t) - exp(-theta t))/(theta - l) without its 0/0.
            total = total + c * a * at_min * np.exp(-decay * at_min) * np.where(
                x == 0, 1.0, -np.expm1(-x) / np.where(x == 0, 1.0, x)
            )
    return np.asarray(total)


def tissue_curve(
    model: CompartmentName, rates: Mapping[str, float], source: InputFunction, frames: Frames,
    *, vb: float = 0.0, delay_min: float = 0.0, average: bool = True,
) -> FloatArray:  # fmt: skip
    """Activity of a region in each frame.

    Parameters
    ----------
    model, rates : as in :data:`MODELS`
    source : input that reaches the last frame; the reference region of ``srtm``
    frames : when
    vb : share of blood in the region
    delay_min : by which the tissue follows the input
    average : mean over each frame; False takes its middle

    Raises
    ------
    InputError
        For a rate that is missing, negative or not finite, and blood that is missing.
    """
    from fusin.receptor.compartment_kernels import KINDS, curve

    spec = MODELS[model]
    for name in spec.rates:
        if not (math.isfinite(rates.get(name, math.nan)) and rates[name] >= 0):
            raise InputError("compartment model", name, rates.get(name), "zero or a positive number")
    if vb and source.blood is None:
        raise InputError("compartment model", "vB", vb, "whole blood, or 0")
    p = np.zeros(6)
    p[: len(spec.rates)] = [rates[name] for name in spec.rates]
    p[4], p[5] = vb, delay_min
    edges, first, last = frames.edges(average=average)
    empty: NDArray[np.float64] = np.empty(0)
    blood_time = empty if source.blood_time_min is None else source.blood_time_min
    blood = empty if source.blood is None else source.blood
    direct = np.interp(frames.mid_min, source.time_min, source.plasma) if model == "srtm" else empty
    # Copies, because compiled code is made anew for arrays that are read-only.
    arrays: tuple[Any, ...] = (source.time_min, source.plasma, edges, first, last, blood_time, blood, direct)
    return np.asarray(curve(KINDS[model], p, *(np.array(a) for a in arrays)))
