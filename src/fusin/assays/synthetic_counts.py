"""Made-up raw data of counters and of a biodistribution with known truth, for tests and the demonstration.

A tube of net rate a at the reference, counted from ``start`` for ``seconds``, gives Poisson counts about
``(a 2^(-dt/T) (1 - e^-x)/x + b) seconds``, after the dead time m = n / (1 + n tau) of a non-paralysable counter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from fusin.decay import decay_factor, elapsed_s, mean_over_frame
from fusin.nuclides import nuclide

__all__ = [
    "REFERENCE",
    "WIZARD_MAP",
    "BiodistributionDesign",
    "MadeTube",
    "SyntheticStudy",
    "draw_counts",
    "expected_counts",
    "hidex_text",
    "make_biodistribution",
    "wizard_text",
]

REFERENCE = datetime(2026, 3, 2, 9, 0, 0)
"""Time to which made-up rates refer."""

# Tumour, liver, intestine and kidney: Daudi xenografts, doi:10.1186/s13550-016-0227-2; the others are made up.
_UPTAKE: Mapping[str, tuple[float, float]] = {
    "blood": (0.9, 0.15), "heart": (0.5, 0.06), "lung": (1.1, 0.25), "liver": (2.0, 0.06), "spleen": (0.9, 0.5),
    "kidney": (1.7, 0.6), "intestine": (0.7, 0.05), "muscle": (0.2, 0.03), "bone": (0.5, 0.08), "tumor": (16.2, 0.35),
}  # fmt: skip
_BLOCKED = {"tumor": 0.12, "spleen": 0.6, "lung": 0.8}
_BODY_G = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeTube:
    """A tube as the counter saw it.

    Attributes
    ----------
    name : vial
    counts : drawn
    start : of the count
    seconds : counting time [s]
    factor : dead-time factor of the counter
    """

    name: str
    counts: int
    start: datetime
    seconds: float
    factor: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BiodistributionDesign:
    """What is made up.

    Attributes
    ----------
    nuclide : half-life
    animals : per group
    groups : group to (organ to factor on the uptake)
    uptake : organ to (%ID/g, mass [g])
    spread : SD of the logarithm between animals
    dose_cps : rate of the injected dose at the reference [1/s]
    background_cps : of the counter [1/s]
    seconds : counting time [s]
    pipetting : SD of the amount in a standard, as a fraction
    balance_mg : SD of one weighing [mg]
    tail : share of the dose left in the tail; the last animal of the first group has ten times as much
    """

    nuclide: str = "Ga-68"
    animals: int = 5
    groups: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: {"unblocked": {}, "blocked": _BLOCKED})
    uptake: Mapping[str, tuple[float, float]] = field(default_factory=lambda: dict(_UPTAKE))
    spread: float = 0.2
    dose_cps: float = 3.0e6
    background_cps: float = 0.8
    seconds: float = 60.0
    pipetting: float = 0.004
    balance_mg: float = 0.1
    tail: float = 0.012


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticStudy:
    """A made-up study.

    Attributes
    ----------
    files : name to text: ``animals.csv`` and ``tubes.csv``
    truth : (animal, organ) to true %ID/g of what reached the circulation
    """

    files: Mapping[str, str]
    truth: Mapping[tuple[str, str], float]


def expected_counts(
    rate_cps: float,
    *,
    start: datetime,
    seconds: float,
    half_life_s: float,
    background_cps: float = 0.0,
    dead_time_s: float = 0.0,
    reference: datetime = REFERENCE,
) -> float:
    """Mean number of counts that a counter records; see the module."""
    at_start = rate_cps * decay_factor(elapsed_s(reference, start), half_life_s)
    true = at_start * mean_over_frame(seconds, half_life_s) + background_cps
    return true / (1.0 + true * dead_time_s) * seconds


def draw_counts(rng: np.random.Generator, expected: float) -> int:
    """Poisson counts about an expectation."""
    return int(rng.poisson(max(expected, 0.0)))


def hidex_text(tubes: Sequence[MadeTube], *, title: str = "made up") -> str:
    """A file as a Hidex 300 SL writes it, without spectra."""
    lines = [title, "Start Time 09:00:00", "- ROI1 Free Channel Limits 1 - 1023, Type Beta", "Counting type: Low"]
    for number, tube in enumerate(tubes, start=1):
        factor = round(tube.factor, 3)
        cpm = tube.counts / tube.seconds * 60.0 * factor
        end = tube.start + timedelta(seconds=tube.seconds)
        lines += [
            "Sample start", f"Samp.;{number}", "Repe.;1", f"Vial;{number}", f"WName;{tube.name}", f"CPM;{cpm:.3f}", "DPM;0",
            "TDCR;0.000", "Chemi;0.000", f"Counts;{tube.counts}", f"DTime;{factor:.3f}", f"Time;{tube.seconds:g}",
            f"EndTime;{end:%d/%m/%Y %H:%M:%S}", "QPE;0.000", "Temp;22.00",
        ]  # fmt: skip
    return "\n".join(lines) + "\n"


WIZARD_MAP = """\
name = "gamma counter of the demonstration"
date_order = "day-first"
separator = ";"
decimal = ","
header = "Rack"

[columns]
rack = "Rack"
tube = "Pos"
counts = "Ga-68 Counts"
live_time_s = "Count time (s)"
start_time = "Measurement date & time"
dead_time_factor = "Dead time factor"

[applied]
dead_time = false
background = false
decay = false
"""
"""Column map of `wizard_text`."""


def wizard_text(tubes: Sequence[MadeTube]) -> str:
    """A table as a gamma counter with fields of the user's choice writes it: semicolons, decimal commas, days first."""
    lines = [
        "Protocol;3;made up",
        "Rack;Pos;Ga-68 Counts;Count time (s);Measurement date & time;Dead time factor",
    ]
    for number, tube in enumerate(tubes):
        seconds, factor = (f"{v:.3f}".replace(".", ",") for v in (tube.seconds, tube.factor))
        lines.append(f"{number // 10 + 1};{tube.name};{tube.counts};{seconds};{tube.start:%d.%m.%Y %H:%M:%S};{factor}")
    return "\n".join(lines) + "\n"


def make_biodistribution(design: BiodistributionDesign, *, seed: int = 0) -> SyntheticStudy:
    """Make the tables of a study, as `fusin assay biodistribution` reads them.

    Parameters
    ----------
    design : what is made up
    seed : of the noise
    """
    rng = np.random.default_rng(seed)
    half_life = nuclide(design.nuclide).half_life_s
    clock = _Clock(REFERENCE + timedelta(hours=3), design, half_life, rng)
    tubes = ["animal,organ,kind,counts,live_time_s,start_time,full_g,empty_g,stock_g,relative_u_percent"]
    animals = ["animal,group,body_weight_g,time_h,injection_time,sacrifice_time,syringe_full_g,syringe_residual_g"]
    truth: dict[tuple[str, str], float] = {}
    tubes += [f",,blank,{clock.count(0.0)},,,," for _ in range(3)]
    injected_g = 0.15
    for _ in range(3):
        amount = injected_g / 100.0
        real = amount * (1.0 + design.pipetting * rng.standard_normal())
        tubes.append(
            f",,standard,{clock.count(design.dose_cps * real / injected_g)},,,{amount:.6f},{100 * design.pipetting:g}"
        )
    for g, (group, factors) in enumerate(design.groups.items()):
        for i in range(design.animals):
            name = f"m{g * design.animals + i + 1:02d}"
            weight = _BODY_G * (1.0 + 0.05 * rng.standard_normal())
            begun = REFERENCE + timedelta(minutes=4 * (g * design.animals + i))
            given = injected_g * (1.0 + 0.05 * rng.standard_normal())
            animals.append(
                f"{name},{group},{weight:.2f},1,{begun.isoformat()},{(begun + timedelta(hours=1)).isoformat()},"
                f"{0.5 + given:.4f},0.5000"
            )
            share = design.tail * (10.0 if g == 0 and i == design.animals - 1 else 1.0)
            dose = design.dose_cps * given / injected_g
            tubes.append(f"{name},tail,sample,{clock.count(dose * share)},,,,")
            for organ, (level, mass) in design.uptake.items():
                value = level * factors.get(organ, 1.0) * float(np.exp(design.spread * rng.standard_normal()))
                grams = mass * float(np.exp(0.15 * rng.standard_normal()))
                truth[name, organ] = value
                counts = clock.count(dose * (1.0 - share) * value / 100.0 * grams)
                empty = 6.5 + 0.05 * rng.standard_normal()
                full = empty + grams + design.balance_mg / 1000.0 * rng.standard_normal()
                seen = empty + design.balance_mg / 1000.0 * rng.standard_normal()
                tubes.append(f"{name},{organ},sample,{counts},{full:.5f},{seen:.5f},,")
    return SyntheticStudy(
        files={"animals.csv": "\n".join(animals) + "\n", "tubes.csv": "\n".join(tubes) + "\n"}, truth=truth
    )


class _Clock:
    """A counter that takes one tube after the other."""

    def __init__(
        self, start: datetime, design: BiodistributionDesign, half_life_s: float, rng: np.random.Generator
    ) -> None:
        self._now, self._design, self._half_life_s, self._rng = start, design, half_life_s, rng

    def count(self, rate_cps: float) -> str:
        """Counts, time and start of the next tube, as cells of a row."""
        design, start = self._design, self._now
        expected = expected_counts(
            rate_cps, start=start, seconds=design.seconds, half_life_s=self._half_life_s,
            background_cps=design.background_cps,
        )  # fmt: skip
        self._now = start + timedelta(seconds=design.seconds + 8.0)
        return f"{draw_counts(self._rng, expected)},{design.seconds:g},{start.isoformat()}"
