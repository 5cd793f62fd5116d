"""Two nuclides in one tube: known activities come back although windows share them and tubes wait for different times."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from fusin.assays.counting import CountReading
from fusin.assays.counting_nuclides import nuclide_rates
from fusin.assays.counting_runs import RunSetup
from fusin.errors import FusinError, InputError, MissingValue
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog

OWN = {"Ga-68": ("high", "std-Ga"), "Lu-177": ("low", "std-Lu")}
INTO = {"Ga-68": {"high": 1.0, "low": 0.22}, "Lu-177": {"high": 0.015, "low": 1.0}}
START = datetime(2026, 3, 2, 9)
SECONDS = 120.0


def expected(tube, minutes, rates, repeat=1, background=2.0):
    """Counts of both windows by integrating each nuclide's own decay over the count."""
    out = []
    for window in ("high", "low"):
        total = background * SECONDS
        for name, rate in rates.items():
            decay = math.log(2.0) / nuclide(name).half_life_s
            total += INTO[name][window] * rate * math.exp(-decay * 60 * minutes) * -math.expm1(-decay * SECONDS) / decay
        out.append(
            CountReading(tube=tube, window=window, counts=total, live_time_s=SECONDS, repeat=repeat,
                         start=START + timedelta(minutes=minutes), where="made.csv row 1")
        )  # fmt: skip
    return out


def study():
    return [
        *expected("std-Ga", 40, {"Ga-68": 900.0}), *expected("std-Lu", 3, {"Lu-177": 700.0}),
        *expected("early", 0, {"Ga-68": 500.0, "Lu-177": 800.0}), *expected("late", 95, {"Ga-68": 500.0, "Lu-177": 800.0}),
        *expected("twice", 5, {"Ga-68": 50.0, "Lu-177": 80.0}), *expected("twice", 65, {"Ga-68": 50.0, "Lu-177": 80.0}, repeat=2),
    ]  # fmt: skip


SETUP = RunSetup(background_cpm=120.0)


def test_each_nuclide_decays_with_its_own_half_life_after_the_windows_are_separated():
    found = nuclide_rates(study(), SETUP, OWN, NoticeLog())
    assert set(found.rates) == {"early", "late", "twice"}
    for tube, ga, lu in (("early", 500.0, 800.0), ("late", 500.0, 800.0), ("twice", 50.0, 80.0)):
        assert found.rates[tube]["Ga-68"].value == pytest.approx(ga, rel=1e-9)
        assert found.rates[tube]["Lu-177"].value == pytest.approx(lu, rel=1e-9)
    fractions = [[m.value for m in row] for row in found.matrix.fractions]
    assert fractions == [[1.0, pytest.approx(0.015)], [pytest.approx(0.22), 1.0]]


def test_a_tube_that_waited_is_known_less_well():
    rates = nuclide_rates(study(), SETUP, OWN, NoticeLog()).rates
    assert rates["late"]["Ga-68"].u > 1.3 * rates["early"]["Ga-68"].u
    assert rates["late"]["Lu-177"].u == pytest.approx(rates["early"]["Lu-177"].u, rel=0.1)


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"own": {**OWN, "Ga-68": ("high", "std-X")}}, InputError, "std-X"),
        ({"own": {"Ga-68": ("middle", "std-Ga")}}, InputError, "middle"),
        ({"own": {"Ga-68": ("high", "std-Ga"), "Xx-1": ("low", "std-Lu")}}, InputError, "Xx-1"),
        ({"shift": True}, InputError, "one count"),
        ({"timeless": True}, MissingValue, "starting time"),
    ],
)
def test_what_cannot_be_separated_is_one_sentence(changed, error, words):
    readings = study()
    if changed.get("shift"):
        readings[5] = replace(readings[5], start=START + timedelta(minutes=9))
    if changed.get("timeless"):
        readings = [replace(r, start=None) for r in readings]
    with pytest.raises(error) as caught:
        nuclide_rates(readings, SETUP, changed.get("own", OWN), NoticeLog())
    assert isinstance(caught.value, FusinError)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
