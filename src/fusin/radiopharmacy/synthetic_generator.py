"""A made-up log of a generator with known truth: yield, its decline, its scatter, and one elution that went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from fusin.decay import decay_factor
from fusin.nuclides import nuclide
from fusin.radiopharmacy.generator import Generator, State

__all__ = ["GeneratorTruth", "make_log_csv"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorTruth:
    """The truth of a made-up log.

    Attributes
    ----------
    ge68_mbq, calibrated : the generator
    first, days : first elution, and days between elutions in turn
    n : number of elutions
    efficiency, fall_per_month : yield at the first elution, and how much it loses in 30.4375 days
    scatter : standard deviation of a yield
    wrong, wrong_by : number of the elution that went wrong (0 for none), and how much its yield lost
    delay_min : from the elution to its reading
    """

    ge68_mbq: float = 1850.0
    calibrated: datetime = datetime(2026, 3, 2, 12, 0)
    first: datetime = datetime(2026, 3, 3, 8, 0)
    days: tuple[int, ...] = (2, 5)
    n: int = 40
    efficiency: float = 0.74
    fall_per_month: float = 0.008
    scatter: float = 0.008
    wrong: int = 23
    wrong_by: float = 0.07
    delay_min: float = 6.0


def make_log_csv(truth: GeneratorTruth, *, rng: np.random.Generator) -> str:
    """The log as CSV text, with the columns that the reader documents.

    Parameters
    ----------
    truth : what the log is made of
    rng : noise of the yields
    """
    generator = Generator(name="G1", ge68_mbq=truth.ge68_mbq)
    state = State.at_start(generator)
    lines = [
        "time,eluted_mbq,eluted_u_percent,reference_time,volume_ml,breakthrough_percent,breakthrough_of,breakthrough_time"
    ]
    moment = truth.first
    for number in range(1, truth.n + 1):
        seconds = (moment - truth.calibrated).total_seconds()
        months = (moment - truth.first).total_seconds() / (30.4375 * 86400.0)
        share = truth.efficiency - truth.fall_per_month * months + truth.scatter * float(rng.standard_normal())
        share -= truth.wrong_by if number == truth.wrong else 0.0
        eluted = share * state.on_column_mbq(seconds)
        state = state.after(seconds, eluted)
        read = moment + timedelta(minutes=truth.delay_min)
        measured = eluted * decay_factor(60.0 * truth.delay_min, nuclide("Ga-68").half_life_s)
        breakthrough = ""
        if number % 8 == 1:
            breakthrough = f"{2e-4 * (1.0 + 0.1 * float(rng.standard_normal())):.3g},ga68_eluted,{read.isoformat()}"
        lines.append(f"{moment.isoformat()},{measured:.1f},2,{read.isoformat()},5.0,{breakthrough or ',,'}")
        moment += timedelta(days=truth.days[(number - 1) % len(truth.days)])
    return "\n".join(lines) + "\n"
