"""The chain from counts to a rate: each factor against its formula, nothing applied twice, nothing clipped."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusin.assays.counting import (
    Background,
    CountingSetup,
    CountReading,
    background_of_blanks,
    correct_reading,
    count_decay_factor,
    counting_rate,
    reference_decay_factor,
    true_rate,
)
from fusin.assays.counting_runs import RunSetup, correct_run
from fusin.assays.counting_uncertainty import counted, covariance, exact, measured
from fusin.decay import decay_factor
from fusin.errors import Ambiguous, InputError, InvalidValue, MissingValue
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog

GA68 = nuclide("Ga-68").half_life_s
START = datetime(2026, 3, 2, 12, 0, 0)


def reading(counts=6000.0, **changes):
    return replace(CountReading(tube="t", counts=counts, live_time_s=60.0, start=START, where="f.csv row 1"), **changes)


NONE = Background(exact(0.0), 0, "stated")


@pytest.mark.parametrize(("seconds", "factor"), [(60.0, 1.0051), (300.0, 1.0258), (600.0, 1.0521)])
def test_decay_of_ga68_during_the_count(seconds, factor):
    # lambda t / (1 - exp(-lambda t)) with 67.71 min, by hand
    assert count_decay_factor(seconds, GA68) == pytest.approx(factor, abs=5e-5)


def test_dead_time_of_both_models():
    # 1e5/s at 2 us: 1e5 / (1 - 0.2) = 1.25e5
    assert true_rate(exact(1e5), dead_time_s=2e-6).value == pytest.approx(1.25e5, rel=1e-12)
    n = true_rate(exact(1e5), dead_time_s=2e-6, model="paralysable").value
    assert n * math.exp(-n * 2e-6) == pytest.approx(1e5, rel=1e-10)
    assert n > 1.25e5


@given(st.floats(0.0, 4e5), st.floats(0.0, 2e-6))
def test_dead_time_and_its_loss_are_inverse(true, tau):
    observed = true / (1.0 + true * tau)
    assert true_rate(exact(observed), dead_time_s=tau).value == pytest.approx(true, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("model", ["nonparalysable", "paralysable"])
def test_dead_time_uncertainty_is_the_derivative(model):
    base = measured(8e4, 100.0, "background", "t")
    found = true_rate(base, dead_time_s=2e-6, dead_time_u_s=1e-7, model=model)
    d_rate = (true_rate(exact(8e4 + 1), dead_time_s=2e-6, model=model).value
              - true_rate(exact(8e4 - 1), dead_time_s=2e-6, model=model).value) / 2 * 100  # fmt: skip
    d_tau = (true_rate(exact(8e4), dead_time_s=2.001e-6, model=model).value
             - true_rate(exact(8e4), dead_time_s=1.999e-6, model=model).value) / 2e-9 * 1e-7  # fmt: skip
    assert found.u == pytest.approx(math.hypot(d_rate, d_tau), rel=1e-4)


@pytest.mark.parametrize("model", ["nonparalysable", "paralysable"])
def test_the_scatter_of_counts_after_a_dead_time_is_that_of_simulation(model):
    """Arrivals drawn one by one: a counter that is dead after each count evens them out (Mueller 1973)."""
    rng = np.random.default_rng(11)
    true, tau, seconds = 1.5e5, 2e-6, 0.02
    recorded = []
    for _ in range(1500):
        at = np.cumsum(rng.exponential(1.0 / true, int(true * seconds * 1.3)))
        at = at[at < seconds]
        if model == "paralysable":
            recorded.append(1 + int((np.diff(at) > tau).sum()))
            continue
        n, free = 0, 0.0
        for t in at.tolist():
            if t >= free:
                n, free = n + 1, t + tau
        recorded.append(n)
    found = [true_rate(counting_rate(n, live_time_s=seconds, name="t"), dead_time_s=tau, model=model) for n in recorded]
    scatter = float(np.std([f.value for f in found], ddof=1))
    # The SD of 1500 draws has a relative standard error of 1.8 %; Poisson's would be 30 % and more too large.
    assert np.mean([f.u for f in found]) == pytest.approx(scatter, rel=0.06)
    assert np.mean([f.value for f in found]) == pytest.approx(true, rel=0.002)


@pytest.mark.parametrize(("model", "rate"), [("nonparalysable", 5e5), ("paralysable", 1.9e5)])
def test_a_saturated_counter_is_refused(model, rate):
    with pytest.raises(InvalidValue, match="saturated"):
        true_rate(exact(rate), dead_time_s=2e-6, model=model)


def test_the_whole_chain_by_hand():
    setup = CountingSetup(half_life_s=GA68, reference=START - timedelta(minutes=60), efficiency={"": (0.5, 0.0)})
    background = Background(exact(2.0), 0, "stated")
    found = correct_reading(reading(), background, setup, NoticeLog())
    by_hand = (6000 / 60 - 2.0) / 0.5 * count_decay_factor(60.0, GA68) * 2 ** (60 / 67.71)
    assert found.rate.value == pytest.approx(by_hand, rel=1e-12)
    assert found.rate.u / found.rate.value == pytest.approx(math.sqrt(6000) / 60 / 98.0, rel=1e-9)
    assert [s.name for s in found.steps] == [
        "rate", "background", "efficiency", "decay during the count", "decay to the reference"
    ]  # fmt: skip


def test_the_uncertainty_of_the_half_life_is_the_derivative():
    setup = CountingSetup(half_life_s=GA68, half_life_u_s=4.0, reference=START - timedelta(hours=3), nuclide="Ga-68")
    found = correct_reading(reading(), NONE, setup, NoticeLog())
    part = next(v for s, v in found.rate.parts.items() if s.kind == "half-life")
    up, down = (
        correct_reading(
            reading(), NONE, replace(setup, half_life_s=GA68 + d, half_life_u_s=None), NoticeLog()
        ).rate.value
        for d in (1.0, -1.0)
    )
    assert part == pytest.approx((up - down) / 2 * 4.0, rel=1e-5)


def test_a_net_rate_below_zero_stays_below_zero():
    found = correct_reading(
        reading(50.0), Background(measured(1.0, 0.1, "background", "b"), 1, "x"), CountingSetup(), NoticeLog()
    )
    assert found.rate.value == pytest.approx(50 / 60 - 1.0)
    assert found.rate.value < 0
    assert found.detected is False


def test_a_dead_time_is_never_corrected_twice():
    setup = CountingSetup(dead_time_s=2e-6)
    with pytest.raises(Ambiguous) as caught:
        correct_reading(reading(dead_time_factor=1.1), NONE, setup, NoticeLog())
    assert caught.value.code == "DEAD_TIME_TWICE"
    with pytest.raises(Ambiguous):
        correct_reading(reading(dead_time_done=True), NONE, setup, NoticeLog())


def test_the_counter_own_rate_is_taken_as_it_is_when_it_is_corrected():
    one = reading(6000.0, rate_cps=111.0, dead_time_factor=1.11, dead_time_done=True)
    found = correct_reading(one, NONE, CountingSetup(), NoticeLog())
    assert found.rate.value == 111.0
    assert found.rate.u == pytest.approx(111.0 / math.sqrt(6000))


def test_a_rate_without_counts_has_no_interval():
    one = reading(None, rate_cps=20.0, live_time_s=None)
    found = correct_reading(one, NONE, CountingSetup(), NoticeLog())
    assert found.rate.limits() is None
    assert found.rate.estimate().note


def test_efficiency_zero_and_an_unknown_detector_are_refused():
    with pytest.raises(InputError, match="efficiency"):
        correct_reading(reading(), NONE, CountingSetup(efficiency={"": (0.0, 0.0)}), NoticeLog())
    with pytest.raises(InputError, match="detector"):
        correct_reading(reading(detector="9"), NONE, CountingSetup(efficiency={"1": (0.3, 0.0)}), NoticeLog())


def test_a_missing_blank_is_one_sentence():
    with pytest.raises(MissingValue) as caught:
        correct_run([reading()], RunSetup(nuclide="Ga-68"), NoticeLog())
    assert caught.value.code == "NO_BLANK"
    assert "\n" not in str(caught.value)


def test_blanks_that_agree_have_the_poisson_uncertainty_and_others_the_scatter():
    log = NoticeLog()
    good = [reading(c, tube=f"b{i}", kind="blank") for i, c in enumerate((60.0, 66.0, 54.0))]
    assert background_of_blanks(good, CountingSetup(), log).rate.u == pytest.approx(math.sqrt(180) / 180)
    assert len(log) == 0
    bad = [reading(c, tube=f"b{i}", kind="blank") for i, c in enumerate((60.0, 66.0, 300.0))]
    found = background_of_blanks(bad, CountingSetup(), log)
    rates = np.array([60.0, 66.0, 300.0]) / 60
    assert found.rate.u == pytest.approx(rates.std(ddof=1) / math.sqrt(3))
    assert [n.code for n in log] == ["BLANKS_SCATTER"]


def test_a_shared_background_makes_tubes_covary():
    tubes = [reading(200.0, tube="a"), reading(300.0, tube="b"), reading(60.0, tube="z", kind="blank")]
    run = correct_run(tubes, RunSetup(nuclide="Lu-177"), NoticeLog())
    a, b = (r.rate for r in run.rates)
    assert covariance(a, b) == pytest.approx(60 / 60**2, rel=1e-3)
    assert (a - b).u == pytest.approx(math.sqrt(500) / 60, rel=1e-3)


def test_repeats_are_pooled_as_one_long_count_would_be():
    short = reading(1000.0, repeat=1)
    second = reading(2000.0, repeat=2, live_time_s=120.0, start=START)
    run = correct_run([short, second], RunSetup(nuclide="Lu-177", background_cpm=0.0), NoticeLog())
    assert run.pooled()["t", ""].value == pytest.approx(3000 / 180, rel=2e-4)
    assert run.pooled()["t", ""].u == pytest.approx(math.sqrt(3000) / 180, rel=2e-4)


def test_counts_that_the_counter_changed_are_no_poisson_number():
    run = correct_run([reading()], RunSetup(applied=("decay",), background_cpm=0.0), NoticeLog())
    assert run.rates[0].rate.value == 100.0
    assert run.rates[0].rate.u is None


def test_each_detector_uses_its_own_blank():
    tubes = [reading(600.0, tube=d, detector=d) for d in "12"]
    blanks = [reading(c, tube=f"b{d}", kind="blank", detector=d) for d, c in (("1", 60.0), ("2", 120.0))]
    run = correct_run([*tubes, *blanks], RunSetup(applied=("decay",)), NoticeLog())
    assert [r.rate.value for r in run.rates] == pytest.approx([9.0, 8.0])
    with pytest.raises(MissingValue, match="detector '3'"):
        correct_run([reading(detector="3"), *blanks], RunSetup(applied=("decay",)), NoticeLog())


def test_decay_needs_a_nuclide_and_a_start():
    with pytest.raises(MissingValue) as caught:
        correct_run([reading()], RunSetup(background_cpm=0.0), NoticeLog())
    assert caught.value.code == "NO_NUCLIDE"
    with pytest.raises(MissingValue) as caught:
        correct_run([reading(start=None)], RunSetup(nuclide="Ga-68", background_cpm=0.0), NoticeLog())
    assert caught.value.code == "NO_START_TIME"


def test_the_reference_time_cancels_in_a_ratio():
    tubes = [reading(9000.0, tube="a"), reading(4000.0, tube="b", start=START + timedelta(minutes=50))]
    ratios = []
    for hours in (-3, 0, 5):
        setup = RunSetup(nuclide="Ga-68", background_cpm=0.0, reference=START + timedelta(hours=hours))
        a, b = (r.rate for r in correct_run(tubes, setup, NoticeLog()).rates)
        ratios.append((a / b).value)
        assert (a / b).u == pytest.approx((a / b).value * math.sqrt(1 / 9000 + 1 / 4000), rel=3e-3)
    assert ratios == pytest.approx([ratios[0]] * 3, rel=1e-12)


def test_decay_to_the_reference_is_the_closed_form():
    assert reference_decay_factor(START, START + timedelta(seconds=GA68), GA68) == pytest.approx(0.5)
    assert reference_decay_factor(START, START - timedelta(seconds=GA68), GA68) == pytest.approx(2.0)
    assert decay_factor(GA68, GA68) == 0.5


def test_counts_and_times_that_cannot_be_are_refused():
    with pytest.raises(InvalidValue):
        counting_rate(-1.0, live_time_s=60.0)
    with pytest.raises(InvalidValue):
        counting_rate(10.0, live_time_s=0.0)


def test_a_quotient_with_a_shared_part_agrees_with_simulation():
    """Fractions of one total covary; first order is compared with draws of the same Poisson numbers."""
    s, m, i = (counted(n, name) for n, name in ((40000.0, "s"), (900.0, "m"), (2500.0, "i")))
    total = s + m + i
    first, second = i / total, m / total
    rng = np.random.default_rng(3)
    draws = np.stack([rng.poisson(v, 200_000) for v in (40000, 900, 2500)]).astype(float)
    sums = draws.sum(axis=0)
    simulated = np.cov(draws[2] / sums, draws[1] / sums)
    assert first.u**2 == pytest.approx(simulated[0, 0], rel=0.02)
    assert covariance(first, second) == pytest.approx(simulated[0, 1], abs=0.03 * first.u * second.u)
    assert (i / (i + m)).u == pytest.approx((draws[2] / (draws[1] + draws[2])).std(), rel=0.02)


@pytest.mark.parametrize("mean", [0.5, 2.0, 5.0, 12.0, 100.0])
def test_limits_of_few_counts_cover(mean):
    """Score limits of a Poisson mean: exact coverage by summing the distribution, within 93 to 97.5 % from 2 counts on."""
    from scipy.stats import poisson

    n = np.arange(0, 400)
    limits = [counted(float(k), "t").limits() for k in n]
    inside = np.array([low <= mean <= high for low, high in limits])
    coverage = poisson.pmf(n, mean)[inside].sum()
    assert 0.90 <= coverage <= 0.985
    assert mean < 2 or 0.93 <= coverage <= 0.975


def test_no_counts_have_an_upper_limit():
    low, high = counted(0.0, "t").limits()
    assert low == pytest.approx(0.0)
    assert high == pytest.approx(1.959964**2, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "field"),
    [({"live_time_s": 1e8}, "live_time_s"), ({"start": datetime(1999, 3, 2, 9)}, "start_time"),
     ({"start": datetime(2999, 3, 2, 9)}, "start_time")],
)  # fmt: skip
def test_a_count_of_another_century_is_refused_and_never_an_infinite_rate(change, field):
    one = CountReading(
        **(
            {"tube": "a", "counts": 9.0, "live_time_s": 60.0, "start": datetime(2026, 3, 2, 9), "where": "t row 1"}
            | change
        )
    )
    other = CountReading(tube="b", counts=9.0, live_time_s=60.0, start=datetime(2026, 3, 2, 9), where="t row 2")
    setup = RunSetup(nuclide="Ga-68", background_cpm=0.0, reference=datetime(2026, 3, 2, 9))
    with pytest.raises(InputError) as caught:
        correct_run([one, other], setup, NoticeLog())
    assert (caught.value.field, caught.value.where) == (field, "t row 1")
    assert "half-lives" in str(caught.value)
