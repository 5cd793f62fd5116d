"""Ingrowth and elution history: conservation, limits, pooling."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusin.errors import InputError
from fusin.radiopharmacy.generator import (
    ElutionEntry,
    Generator,
    State,
    elution_history,
    equilibrium_ratio,
    ga68_on_column_mbq,
    largest_after_s,
)


def eluted_at(*minutes, generator=None, **entry):
    generator = generator or Generator(name="G", ge68_mbq=1000.0, efficiency=0.7)
    entries = [ElutionEntry(time_s=60.0 * m, generators=(generator.name,), **entry) for m in minutes]
    return elution_history([generator], entries)


@given(
    efficiency=st.floats(0.05, 1.0),
    gaps=st.lists(st.floats(1.0, 5000.0), min_size=1, max_size=8),
)
def test_nothing_is_lost_and_no_column_exceeds_equilibrium(efficiency, gaps):
    generator = Generator(name="G", ge68_mbq=1000.0, efficiency=efficiency)
    times = [sum(gaps[: k + 1]) for k in range(len(gaps))]
    elutions, _ = eluted_at(*times, generator=generator)
    for e in elutions:
        assert e.eluted_mbq + e.residual_mbq == pytest.approx(e.on_column_mbq, rel=1e-12)
        assert e.on_column_mbq <= equilibrium_ratio() * e.ge68_mbq * (1 + 1e-9)


def test_equilibrium_stays_equilibrium_for_a_year():
    state = State.at_start(Generator(name="G", ge68_mbq=500.0))
    year = 365.25 * 86400.0
    expected = 500.0 * 2.0 ** (-365.25 / 270.95) * equilibrium_ratio()
    assert state.on_column_mbq(year) == pytest.approx(expected, rel=1e-12)


def test_the_68ge_decays_between_calibration_and_elution():
    generator = Generator(name="G", ge68_mbq=1000.0, efficiency=1.0, reference_s=0.0)
    elutions, _ = eluted_at(270.95 * 1440, generator=generator)
    assert elutions[0].ge68_mbq == pytest.approx(500.0, rel=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_the_fullest_moment_is_a_maximum(share):
    residual = share * 1000.0
    best = largest_after_s(ge68_mbq=1000.0, residual_mbq=residual)

    def held(seconds):
        return ga68_on_column_mbq(ge68_mbq=1000.0, residual_mbq=residual, elapsed_s=seconds)

    assert held(best) >= max(held(best - 600.0), held(best + 600.0))


def test_a_column_above_equilibrium_only_falls():
    assert largest_after_s(ge68_mbq=100.0, residual_mbq=200.0) == 0.0


def test_an_empty_start_grows_from_its_own_time():
    generator = Generator(name="G", ge68_mbq=1000.0, efficiency=1.0, start="empty", start_s=3600.0)
    elutions, _ = eluted_at(120, generator=generator)
    assert elutions[0].eluted_mbq == pytest.approx(1000.0 * 0.45891, rel=2e-4)


def test_pooled_generators_give_the_sum_of_each_alone():
    pair = [Generator(name="A", ge68_mbq=1850.0, efficiency=0.7), Generator(name="B", ge68_mbq=600.0, efficiency=0.5)]
    entries = [ElutionEntry(time_s=60.0 * m, generators=("A", "B")) for m in (0, 240)]
    both, _ = elution_history(pair, entries)
    alone = [eluted_at(0, 240, generator=g)[0] for g in pair]
    for k in range(2):
        assert both[k].eluted_mbq == pytest.approx(sum(a[k].eluted_mbq for a in alone), rel=1e-12)
        assert both[k].residual_mbq == pytest.approx(sum(a[k].residual_mbq for a in alone), rel=1e-12)


def test_a_measured_elution_changes_what_the_next_one_finds():
    entries = [
        ElutionEntry(time_s=0.0, generators=("G",), measured_mbq=350.0),
        ElutionEntry(time_s=3600.0, generators=("G",)),
    ]
    generator = Generator(name="G", ge68_mbq=1000.0, efficiency=0.7)
    followed, _ = elution_history([generator], entries, follow_measured=True)
    left = 1000.0 * equilibrium_ratio() - 350.0
    expected = ga68_on_column_mbq(ge68_mbq=1000.0, residual_mbq=left, elapsed_s=3600.0)
    assert followed[1].on_column_mbq == pytest.approx(expected, rel=1e-12)


def test_a_reading_after_the_elution_is_corrected_back():
    entry = ElutionEntry(time_s=0.0, generators=("G",), measured_mbq=500.0, measured_u_mbq=10.0, measured_s=67.71 * 60)
    assert entry.eluted_measured_mbq == pytest.approx(1000.0)
    assert entry.eluted_measured_u_mbq == pytest.approx(20.0)


def test_idle_time_counts_from_the_elution_before():
    elutions, _ = eluted_at(0, 180)
    assert elutions[0].idle_s is None
    assert elutions[1].idle_s == 10800.0


@pytest.mark.parametrize("value", [70.0, 0.0, -0.1, math.nan])
def test_a_yield_that_is_no_fraction_is_refused(value):
    with pytest.raises(InputError, match=r"0\.7, not 70"):
        Generator(name="G", ge68_mbq=1000.0, efficiency=value)


def test_a_generator_without_a_yield_is_refused_by_name():
    with pytest.raises(InputError, match="generator G"):
        eluted_at(0, generator=Generator(name="G", ge68_mbq=1000.0))


def test_an_elution_before_the_one_before_it_is_refused():
    with pytest.raises(InputError, match="too early"):
        eluted_at(60, 0)
