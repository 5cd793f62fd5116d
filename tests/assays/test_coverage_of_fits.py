"""How often 95 % intervals hold the truth: ten concentrations in duplicate with totals, as most competitions are made.

Longer runs (2000 each) stand in docs/methods.md; here 200 keep the limits from drifting. Limits: 95 % within 2.6 standard errors.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fusin.assays.binding import BindingOptions, analyse_binding
from fusin.assays.binding_tables import read_competition
from fusin.assays.fitting import fit
from fusin.assays.intervals import profiled
from fusin.assays.models import one_site, rising_share, variable_slope
from fusin.provenance import NoticeLog

X = np.repeat(np.array([-np.inf, *np.linspace(-10.5, -5.5, 10)]), 2)
RUNS, TRUTH = 200, -8.0


def drawn(kind, rng):
    mean = 100.0 + 900.0 * (1.0 - rising_share(X, TRUTH, 1.0))
    if kind == "constant":
        return mean + 50.0 * rng.standard_normal(X.size)
    if kind == "relative":
        return mean * (1.0 + 0.1 * rng.standard_normal(X.size))
    return rng.poisson(mean).astype(float)


@pytest.mark.parametrize(
    ("model", "noise"),
    [(one_site, "constant"), (variable_slope, "constant"), (variable_slope, "relative"), (variable_slope, "poisson")],
)
def test_the_profile_of_the_log_ic50_holds_the_truth_in_95_of_100(model, noise):
    rng = np.random.default_rng(20260101)
    hits = 0
    for _ in range(RUNS):
        found = fit(model, X, drawn(noise, rng), noise=noise, starts=2)
        e = profiled(found, names=("log_ic50",))[1]["log_ic50"]
        hits += e.low <= TRUTH <= e.high
    assert 0.91 <= hits / RUNS <= 0.995


def test_the_t_interval_over_three_experiments_holds_the_mean_of_all_experiments():
    """Experiments differ by 0.1 on the log scale; the interval of one experiment knows nothing of that."""
    rng = np.random.default_rng(5)
    pooled = single = 0
    runs = 60
    for _ in range(runs):
        parts = []
        for number in range(3):
            mean = 100.0 + 900.0 * (1.0 - rising_share(X, TRUTH + 0.1 * rng.standard_normal(), 1.0))
            y = mean + 20.0 * rng.standard_normal(X.size)
            parts.append(pd.DataFrame({"concentration_nM": 10 ** (X + 9), "cpm": y, "experiment": number}))
        log = NoticeLog()
        options = BindingOptions(model="one-site")
        found = analyse_binding(read_competition(pd.concat(parts), log), log, options=options)[0]
        for e, hit in ((found.log_ic50.estimate, "pooled"), (found.experiments[0].log_ic50.estimate, "single")):
            inside = e.low <= TRUTH <= e.high
            pooled += inside and hit == "pooled"
            single += inside and hit == "single"
    assert 0.86 <= pooled / runs <= 1.0
    assert single / runs < 0.75
