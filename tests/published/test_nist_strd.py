"""NIST Statistical Reference Datasets, non-linear regression (https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml).

Certified values have 11 digits. Parameters are held to 6 digits, standard errors and sums of squares to 5, from both
starting points that NIST gives.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fusin.assays import models
from fusin.assays.fitting import fit
from fusin.assays.intervals import derived
from fusin.assays.models import Model

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "assay" / "nist_strd"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="NIST StRD files are not redistributed here")


def _curve(function, count, linear=()):
    names = tuple(f"b{i + 1}" for i in range(count))
    return Model(name="as certified", parameters=names, function=function, formula="", linear=linear)


def _two_peaks(x, a, b, c, d, e, f, g, h):
    return a * np.exp(-b * x) + c * np.exp(-((x - d) ** 2) / e**2) + f * np.exp(-((x - g) ** 2) / h**2)


# Model, and the places of the certified parameters in the order of the model's own.
CURVES = {
    "BoxBOD": (models.association, (0, 1)),
    "Misra1a": (models.association, (0, 1)),
    "Misra1d": (_curve(lambda x, a, b: a * b * x / (1 + b * x), 2), (0, 1)),
    "Chwirut2": (_curve(lambda x, a, b, c: np.exp(-a * x) / (b + c * x), 3), (0, 1, 2)),
    "DanWood": (_curve(lambda x, a, b: a * x**b, 2), (0, 1)),
    "Rat42": (_curve(lambda x, a, b, c: a / (1 + np.exp(b - c * x)), 3), (0, 1, 2)),
    "MGH17": (models.bi_exponential, (0, 2, 4, 1, 3)),
    "Lanczos3": (models.tri_exponential, (4, 5, 2, 3, 0, 1)),
    "Gauss1": (_curve(_two_peaks, 8), tuple(range(8))),
    "Gauss3": (_curve(_two_peaks, 8), tuple(range(8))),
}


@dataclass(frozen=True)
class Reference:
    """What a file certifies, with its data."""

    starts: np.ndarray
    values: np.ndarray
    errors: np.ndarray
    rss: float
    x: np.ndarray
    y: np.ndarray


def reference(name):
    text = (FOLDER / f"{name}.dat").read_text()
    rows = np.array(re.findall(r"b\d+ =\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)", text), dtype=float)
    rss = float(re.search(r"Residual Sum of Squares:\s+(\S+)", text)[1])
    data = np.array([line.split()[:2] for line in text.splitlines()[60:] if line.strip()], dtype=float)
    return Reference(rows[:, :2].T, rows[:, 2], rows[:, 3], rss, data[:, 1], data[:, 0])


def digits(found, certified):
    """Number of digits that agree (the LRE of NIST)."""
    return float(np.min(-np.log10(np.maximum(np.abs(np.asarray(found) / np.asarray(certified) - 1), 1e-15))))


@pytest.mark.parametrize("start", [0, 1], ids=["start 1", "start 2"])
@pytest.mark.parametrize("name", CURVES)
def test_certified_parameters_errors_and_sums_of_squares_are_reached_from_both_starts(name, start):
    known, (model, order) = reference(name), CURVES[name]
    place = list(order)
    given = dict(zip(model.parameters, known.starts[start][place], strict=True))
    found = fit(model, known.x, known.y, start=given, what=name)
    assert found.n == known.y.size
    assert digits(found.theta, known.values[place]) >= 6
    assert digits(list(found.se.values()), known.errors[place]) >= 5
    assert digits(found.rss, known.rss) >= 5


def test_misra1d_is_the_saturation_curve_with_its_kd():
    """Bmax b1 and Kd 1/b2 = 3308.2650 ± 32.11 (delta method of the certified standard error)."""
    known = reference("Misra1d")
    found = fit(models.hyperbola, known.x, known.y)
    kd, se = derived(found, lambda v: 10 ** v["log_kd"])
    assert found.values["bmax"] == pytest.approx(437.36970754, rel=1e-6)
    assert found.se["bmax"] == pytest.approx(3.6489174345, rel=1e-5)
    assert kd.value == pytest.approx(3308.2650, rel=1e-7)
    assert se == pytest.approx(32.11, abs=0.005)


def test_rat42_is_the_variable_slope_with_bottom_zero():
    """logEC50 = b2/b3 = 38.86740 ± 1.179 and Hill = b3/ln 10 = 0.029253729."""
    known = reference("Rat42")
    found = fit(models.variable_slope, known.x, known.y, fixed={"start": 0.0})
    assert found.values["end"] == pytest.approx(72.462237576, rel=1e-6)
    assert found.values["log_ic50"] == pytest.approx(38.86740, abs=5e-6)
    assert found.se["log_ic50"] == pytest.approx(1.179, abs=5e-4)
    assert found.values["hill"] == pytest.approx(0.029253729, rel=1e-7)
    assert found.rss == pytest.approx(known.rss, rel=1e-5)


@pytest.mark.parametrize(("name", "share"), [("Gauss1", 63.7103), ("Gauss3", 61.8102)])
def test_two_gaussian_peaks_share_the_area_as_the_certified_widths_say(name, share):
    """Areas b w √π of the certified parameters."""
    known, (model, _) = reference(name), CURVES[name]
    found = fit(model, known.x, known.y, start=dict(zip(model.parameters, known.starts[1], strict=True))).values
    first, second = found["b3"] * found["b5"], found["b6"] * found["b8"]
    assert 100 * first / (first + second) == pytest.approx(share, abs=5e-5)
