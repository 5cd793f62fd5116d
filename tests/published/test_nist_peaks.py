"""NIST StRD Gauss1 and Gauss3: two Gaussians on a decaying exponential, through fusin's own peak fit.

National Institute of Standards and Technology, Statistical Reference Datasets, nonlinear regression (Rust B, 1996); public
domain. Certified parameters and standard deviations stand in each file, as do two starts. Areas are b sqrt(pi) w.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from fusin.radiopharmacy.peak_fit import StartPeak, fit_peaks

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "assay" / "nist_strd"
AREAS = {"Gauss1": (4119.730, 2346.614, 63.7103), "Gauss3": (4158.631, 2569.432, 61.8102)}
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"public data absent: {DATA}")


def certified(name):
    """(parameters x (start 1, start 2, value, sd), x, y, residual sum of squares)."""
    text = (DATA / f"{name}.dat").read_text()
    lines = text.splitlines()
    table = np.array(
        [re.findall(r"[-+.\dE]+", ln.split("=")[1]) for ln in lines if re.match(r"\s*b\d =", ln)], dtype=float
    )
    y, x = np.array([ln.split() for ln in lines[60:310]], dtype=float).T
    return table, x, y, float(re.findall(r"Residual Sum of Squares:\s*([\d.E+-]+)", text)[0])


@pytest.mark.parametrize("name", sorted(AREAS))
@pytest.mark.parametrize("start", [0, 1])
def test_parameters_agree_to_six_and_standard_errors_to_five_digits(name, start):
    table, x, y, rss = certified(name)
    b = table[:, start]
    starts = [
        StartPeak(area=b[i] * b[i + 2] * math.sqrt(math.pi), centre=b[i + 1], sigma=b[i + 2] / math.sqrt(2))
        for i in (2, 5)
    ]
    found = fit_peaks(x, y, starts, baseline="exponential", baseline_start=(b[0], b[1]))
    values = [found.baseline["amplitude"], found.baseline["rate"]]
    errors = [found.baseline_u["amplitude"], found.baseline_u["rate"]]
    for peak in found.peaks:
        values += [peak.values["height"], peak.values["centre"], peak.values["sigma"] * math.sqrt(2)]
        errors += [
            peak.uncertainties["height"],
            peak.uncertainties["centre"],
            peak.uncertainties["sigma"] * math.sqrt(2),
        ]
    np.testing.assert_allclose(values, table[:, 2], rtol=1e-6)
    np.testing.assert_allclose(errors, table[:, 3], rtol=1e-5)
    assert found.residual_ss == pytest.approx(rss, rel=1e-9)
    first, second, percent = AREAS[name]
    assert [p.area for p in found.peaks] == pytest.approx([first, second], abs=1e-3)
    assert 100 * found.peaks[0].area / (first + second) == pytest.approx(percent, abs=6e-5)
