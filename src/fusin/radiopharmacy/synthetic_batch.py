"""Made-up batch records with known truth, for the demonstration and for tests.

The numbers of the three batches are those printed in Daniel et al. 2023, table 3; people, lots, dates and readings are made up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from fusin.nuclides import nuclide
from fusin.radiopharmacy.specification import find_specification

__all__ = ["DANIEL_2023", "SyntheticBatch", "batch_text", "half_life_readings"]

DANIEL_2023: Mapping[int, Mapping[str, str]] = {
    1: {"half_life": "66.3", "ph": "6.5", "hplc_product": "99.8", "hplc_free_ga": "0.22", "itlc_product": "98.8",
        "itlc_free_colloid": "0.42", "itlc_other": "0.77", "activity": "586", "specific_activity": "11.7"},
    2: {"half_life": "69.3", "ph": "6.5", "hplc_product": "99.8", "hplc_free_ga": "0.24", "itlc_product": "99.2",
        "itlc_free_colloid": "0.85", "itlc_other": "0.56", "activity": "661", "specific_activity": "13.2"},
    3: {"half_life": "64.4", "ph": "6.5", "hplc_product": "99.9", "hplc_free_ga": "0.07", "itlc_product": "99.3",
        "itlc_free_colloid": "0.20", "itlc_other": "0.49", "activity": "594", "specific_activity": "11.9"},
}  # fmt: skip
"""Daniel et al., EJNMMI Radiopharm Chem 8 (2023), table 3, doi 10.1186/s41181-023-00187-2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticBatch:
    """What a made-up batch record is written from.

    Attributes
    ----------
    number : of the batch
    end : end of the synthesis, the reference time of the product
    product_mbq, starting_mbq : at their reference times [MBq]
    values : results by test, as printed
    readings : (minutes after the end, MBq) for the half-life; empty takes the value among the results
    maker, analyst, releaser : people
    ge68_percent : share of 68Ge at the end of the synthesis; None leaves the post-release tests open
    extra : further lines of TOML
    """

    number: str
    end: datetime
    product_mbq: str = "586"
    starting_mbq: str = "880"
    values: Mapping[str, str] = field(default_factory=dict)
    readings: tuple[tuple[float, float], ...] = ()
    maker: str = "M. Maker"
    analyst: str = "Q. Analyst"
    releaser: str = "R. Releaser"
    ge68_percent: str | None = None
    extra: str = ""


def half_life_readings(
    activity_mbq: float, minutes: tuple[float, ...], *, repeatability: float, rng: np.random.Generator
) -> tuple[tuple[float, float], ...]:
    """Readings of a 68Ga source with a relative normal error, rounded to 0.01 MBq.

    Parameters
    ----------
    activity_mbq : at 0 min
    minutes : moments of the readings
    repeatability : relative standard deviation of a reading
    rng : source of the noise
    """
    half_life = nuclide("Ga-68").half_life_s / 60.0
    true = [activity_mbq * math.exp2(-t / half_life) for t in minutes]
    return tuple(
        (t, round(float(a * (1.0 + repeatability * rng.standard_normal())), 2))
        for t, a in zip(minutes, true, strict=True)
    )


def batch_text(batch: SyntheticBatch) -> str:
    """The record of a made-up [68Ga]Ga-Pentixafor batch as TOML text."""
    end, spec = batch.end, find_specification("pentixafor-daniel-2023@1")

    def at(minutes: float) -> str:
        return (end + timedelta(minutes=minutes)).isoformat(timespec="seconds")

    parts = [
        f'[batch]\nnumber = "{batch.number}"\nproduct = "[68Ga]Ga-Pentixafor"\nspecification = "{spec.name}"\n'
        f'specification_sha256 = "{spec.sha256}"\nrecipe = "gaia-luna-daniel-2023@1"\n',
        f'[people]\nmaker = "{batch.maker}"\nanalyst = "{batch.analyst}"\nreleaser = "{batch.releaser}"\n',
        f"[times]\nstart_of_synthesis = {at(-24.5)}\nend_of_synthesis = {at(0)}\ndecision = {at(25)}\n",
        '[process]\nmodule = "Gaia/Luna"\ntemperature_c = 97\nreaction_time_min = 4\nprecursor_ug = 50\n',
        _activities(batch, at),
        '[precursor]\nname = "Pentixafor"\nlot = "P-2207"\namount_ug = 50\nmolar_mass_g_mol = 1221.39\n'
        f"expiry = {_day(end, 200)}\n",
        *(
            f'[[reagent]]\nname = "{name}"\nlot = "{lot}"\nexpiry = {_day(end, days)}\n'
            for name, lot, days in (
                ("cassette", "C-118", 90),
                ("sodium acetate buffer", "B-31", 30),
                ("sterile filter", "F-9", 400),
            )
        ),
        f'[[instrument]]\nid = "dc1"\nname = "dose calibrator 1"\ncalibration_due = {_day(end, 60)}\n',
        f'[[instrument]]\nid = "hplc1"\nname = "radio-HPLC 1"\ncalibration_due = {_day(end, 120)}\n',
        "[expiry]\ndoses = 2\ndose_mbq = 150\n",
        _half_life(batch, at),
        "[spectrum]\nlines_kev = [511.2, 1077.1, 1021.6]\ntolerance_kev = 2\n",
        _results(batch, at),
        batch.extra,
    ]
    return "\n".join(part for part in parts if part)


def _day(end: datetime, days: int) -> str:
    return (end + timedelta(days=days)).date().isoformat()


def _activities(batch: SyntheticBatch, moment: Callable[[float], str]) -> str:
    rows = (
        ("eluate", "starting", batch.starting_mbq, -24.0), ("product vial", "product", batch.product_mbq, 0.0),
        ("module and cartridge", "residual", "52", 6.0),
    )  # fmt: skip
    text = "".join(
        f'[[activity]]\nname = "{name}"\nrole = "{role}"\nactivity_mbq = {value}\ntime = {moment(minutes)}\n'
        f'u_percent = 2\ninstrument = "dc1"\n\n'
        for name, role, value, minutes in rows
    )
    return text + "[product]\nvolume_ml = 10\nmax_injected_volume_ml = 10\n"


def _half_life(batch: SyntheticBatch, moment: Callable[[float], str]) -> str:
    if not batch.readings:
        return ""
    head = "[half_life]\nrepeatability_percent = 0.3\n\n"
    return head + "\n".join(
        f"[[half_life.reading]]\ntime = {moment(minutes)}\nactivity_mbq = {value:.2f}\n"
        for minutes, value in batch.readings
    )


def _results(batch: SyntheticBatch, moment: Callable[[float], str]) -> str:
    units = {"half_life": "min", "endotoxin": "EU/mL", "bubble_point": "mbar", "ph": ""}
    values: dict[str, str] = {"appearance": '"complies"', "endotoxin": '"<5"', "bubble_point": "3620"}
    skipped = {"activity", "specific_activity", *(("half_life",) if batch.readings else ())}
    values |= {name: value for name, value in batch.values.items() if name not in skipped}
    rows = []
    for test, value in values.items():
        unit = units.get(test, "" if test == "appearance" else "%")
        instrument = '\ninstrument = "hplc1"' if test.startswith("hplc") else ""
        rows.append(
            f'[[result]]\ntest = "{test}"\nvalue = {value}\nunit = "{unit}"\nanalyst = "{batch.analyst}"\n'
            f"time = {moment(15)}{instrument}\n"
        )
    if batch.ge68_percent is not None:
        rows.append('[[result]]\ntest = "ga68_purity"\nvalue = "complies"\n')
        rows.append(
            f'[[result]]\ntest = "ge68"\nvalue = {batch.ge68_percent}\nunit = "%"\nreference_time = {moment(0)}\n'
            f"time = {moment(2 * 1440 + 30)}\n"
        )
        rows.append(f'[[result]]\ntest = "sterility"\nvalue = "complies"\ntime = {moment(14 * 1440)}\n')
    return "\n".join(rows)
