"""Spill-over: truth comes back from mixed windows, and its uncertainty is that of simulation."""

from __future__ import annotations

import numpy as np
import pytest

from fusin.assays.counting_uncertainty import counted, exact
from fusin.assays.spillover import SpillOver, spill_over_from_standards
from fusin.errors import InvalidValue, MissingValue

OWN = {"Ga-68": "high", "Lu-177": "low"}


def test_two_nuclides_by_hand():
    # pure Ga: 1000 high, 200 low (0.2); pure Lu: 500 low, 5 high (0.01)
    matrix = spill_over_from_standards(
        {"Ga-68": {"high": exact(1000.0), "low": exact(200.0)}, "Lu-177": {"high": exact(5.0), "low": exact(500.0)}},
        OWN,
    )
    found = matrix.unmix({"high": exact(400 + 0.01 * 300), "low": exact(0.2 * 400 + 300)})
    assert found["Ga-68"].value == pytest.approx(400)
    assert found["Lu-177"].value == pytest.approx(300)


def test_any_number_of_windows():
    rng = np.random.default_rng(0)
    matrix = np.eye(4) + 0.3 * rng.random((4, 4)) * (1 - np.eye(4))
    truth = np.array([10.0, 200.0, 3.0, 50.0])
    rates = matrix @ truth
    names = [f"n{i}" for i in range(4)]
    windows = [f"w{i}" for i in range(4)]
    standards = {n: {w: exact(1000 * matrix[i, j]) for i, w in enumerate(windows)} for j, n in enumerate(names)}
    found = spill_over_from_standards(standards, dict(zip(names, windows, strict=True))).unmix(
        {w: exact(r) for w, r in zip(windows, rates, strict=True)}
    )
    assert [found[n].value for n in names] == pytest.approx(truth)


def test_uncertainty_is_that_of_simulation():
    """Poisson noise of the sample and of both standards, drawn and propagated."""
    true = {"gh": 4000.0, "gl": 800.0, "lh": 20.0, "ll": 3000.0, "sh": 900.0, "sl": 700.0}

    def unmixed(n):
        matrix = spill_over_from_standards(
            {"Ga-68": {"high": counted(n["gh"], "gh"), "low": counted(n["gl"], "gl")},
             "Lu-177": {"high": counted(n["lh"], "lh"), "low": counted(n["ll"], "ll")}}, OWN)  # fmt: skip
        return matrix.unmix({"high": counted(n["sh"], "sh"), "low": counted(n["sl"], "sl")})

    rng = np.random.default_rng(5)
    draws = [unmixed({k: float(rng.poisson(v)) for k, v in true.items()}) for _ in range(3000)]
    found = unmixed(true)
    for name in OWN:
        assert found[name].u == pytest.approx(np.std([d[name].value for d in draws]), rel=0.06)


def test_windows_that_see_the_same_are_refused():
    with pytest.raises(InvalidValue, match="same proportions"):
        SpillOver.of(["a", "b"], ["x", "y"], [[exact(1.0), exact(1.0)], [exact(1.0), exact(1.0)]])
    with pytest.raises(InvalidValue):
        SpillOver.of(["a"], ["x", "y"], [[exact(1.0), exact(1.0)]])


def test_a_missing_window_is_one_sentence():
    standards = {"Ga-68": {"high": exact(1.0)}, "Lu-177": {"high": exact(0.1), "low": exact(1.0)}}
    with pytest.raises(MissingValue, match="not counted in window low"):
        spill_over_from_standards(standards, OWN)
    empty = {"Ga-68": {"high": exact(0.0), "low": exact(0.0)}, "Lu-177": {"high": exact(0.1), "low": exact(1.0)}}
    with pytest.raises(InvalidValue, match="positive rate"):
        spill_over_from_standards(empty, OWN)
