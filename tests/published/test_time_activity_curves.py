"""Curves that others fitted: the left kidney of a public 177Lu case, NIST Lanczos3, and the single-time factors.

Kidney: four activities and lmfit's unweighted fit of A (exp(-l1 t) - exp(-l2 t)), as PyTheranostics prints them (Apache-2.0; real
177Lu patient, 7.2104 GBq). Lanczos3: NIST StRD, sum of three exponentials, certified values and standard deviations.
Factors: 2x 2^(-x) of Hänscheid et al., J Nucl Med 2018;59:75, for the half-lives that are published for pentixather.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from fusin.dosimetry.single_time_point import haenscheid_factor, haenscheid_mbq_h, madsen_mbq_h
from fusin.dosimetry.time_activity import fit_curve, time_activity
from fusin.nuclides import nuclide

LU_H = nuclide("Lu-177").half_life_s / 3600.0
TIMES_H = (3.741111111111111, 27.725277777777777, 103.09416666666667, 123.98361111111112)
KIDNEY_MBQ = (98.561432, 73.599408, 25.39568, 19.046609999999998)
LANCZOS_Y = (
    2.5134, 2.0443, 1.6684, 1.3664, 1.1232, 0.9269, 0.7679, 0.6389, 0.5338, 0.4479, 0.3776, 0.3197, 0.2720, 0.2325, 0.1997,
    0.1723, 0.1493, 0.1301, 0.1138, 0.1000, 0.0883, 0.0783, 0.0698, 0.0624,
)  # fmt: skip


def test_the_left_kidney_has_the_rates_and_the_integral_that_lmfit_found():
    fit = fit_curve(time_activity("Kidney_Left", TIMES_H, KIDNEY_MBQ), "uptake-bi", half_life_h=LU_H)
    assert fit.parameters["lambda_1_per_h"] == pytest.approx(0.01408142600216577, rel=1e-6)
    assert fit.parameters["lambda_2_per_h"] == pytest.approx(0.8454291286325252, rel=1e-6)
    assert fit.parameters["a_1_mbq"] == pytest.approx(108.74206751059795, rel=1e-6)
    assert fit.integral_mbq_h() == pytest.approx(7593.752576123306, rel=1e-6)
    assert fit.integral_mbq_h() / 7210.4 == pytest.approx(1.0531628780002906, rel=1e-5)


def test_the_left_kidney_comes_out_of_the_command(fusin_table):
    text = "region,time_h,activity_mbq\n" + "".join(
        f"Kidney_Left,{t!r},{a!r}\n" for t, a in zip(TIMES_H, KIDNEY_MBQ, strict=True)
    )
    document = fusin_table(
        text, "--nuclide", "Lu-177", "--administered-mbq", "7210.4", "--model", "uptake-bi", "--weights", "none"
    )
    region = document["regions"][0]
    assert region["tia_mbq_h"]["value"] == pytest.approx(7593.7526, rel=1e-6)
    assert region["tiac_h"]["value"] == pytest.approx(1.0531629, rel=1e-5)
    assert region["parameters"]["lambda_1_per_h"] == pytest.approx(0.01408142600, rel=1e-6)
    assert region["parameters"]["lambda_2_per_h"] == pytest.approx(0.84542913, rel=1e-6)
    assert region["tia_mbq_h"]["low"] < 7593.75 < region["tia_mbq_h"]["high"]


def test_three_exponentials_have_the_values_that_nist_certifies():
    x = 0.05 * np.arange(24)
    fit = fit_curve(time_activity("Lanczos3", x, LANCZOS_Y), "tri", half_life_h=100.0)
    rates = {"lambda_1_per_h": 9.5498101505e-01, "lambda_2_per_h": 2.9515951832, "lambda_3_per_h": 4.9863565084}
    amplitudes = {"a_1_mbq": 8.6816414977e-02, "a_2_mbq": 8.4400777463e-01, "a_3_mbq": 1.5825685901}
    deviations = {
        "lambda_1_per_h": 9.7041624475e-02, "lambda_2_per_h": 1.0766312506e-01, "lambda_3_per_h": 3.4436403035e-02,
        "a_1_mbq": 1.7197908859e-02, "a_2_mbq": 4.1488663282e-02, "a_3_mbq": 5.8371576281e-02,
    }  # fmt: skip
    assert fit.parameters == pytest.approx({**rates, **amplitudes}, rel=1e-6)
    assert fit.parameter_u == pytest.approx(deviations, rel=1e-5)
    assert fit.rss == pytest.approx(1.6117193594e-08, rel=1e-6)


@pytest.mark.parametrize(
    ("time_h", "expected"),
    [
        (48.0, (1.000, 1.040, 0.892, 0.649, 0.758, 0.727)),
        (72.0, (0.750, 1.040, 1.032, 0.836, 0.937, 0.910)),
        (96.0, (0.500, 0.924, 1.061, 0.957, 1.030, 1.013)),
        (120.0, (0.312, 0.770, 1.022, 1.027, 1.061, 1.056)),
    ],
)
def test_the_single_time_factor_has_the_values_of_the_table(time_h, expected):
    """Kidney 24, 41 and 64 h, liver 109 h, spleen 86 h, marrow 92 h."""
    factors = haenscheid_factor(time_h, t_eff_h=np.array([24.0, 41.0, 64.0, 109.0, 86.0, 92.0]))
    assert factors == pytest.approx(expected, abs=1e-3)


def test_the_single_time_factor_is_largest_at_x_of_one_over_ln_2():
    x = np.linspace(0.5, 3.0, 250_001)
    factors = haenscheid_factor(x, t_eff_h=1.0)
    assert x[factors.argmax()] == pytest.approx(1.4427, abs=1e-4)
    assert factors.max() == pytest.approx(1.0615, abs=5e-5)
    inside = x[(factors >= 0.9) & (factors <= 1.1)]
    assert (inside.min(), inside.max()) == pytest.approx((0.7644, 2.4373), abs=1e-4)


def test_madsen_is_exact_where_the_half_life_is_true_and_haenscheid_off_by_its_factor():
    truth = 50.0 * 41.0 / math.log(2.0)
    seen = 50.0 * 2.0 ** (-96.0 / 41.0)
    assert madsen_mbq_h(seen, time_h=96.0, t_eff_h=41.0) == pytest.approx(truth, rel=1e-12)
    assert haenscheid_mbq_h(seen, time_h=96.0) / truth == pytest.approx(0.924, abs=1e-3)


@pytest.fixture
def fusin_table(tmp_path, monkeypatch, capsys):
    """Run ``fusin dose`` on the text of a table and return the document."""
    from fusin.cli.app import main

    def run(text, *options):
        path = tmp_path / "times.csv"
        path.write_text(text, encoding="utf-8")
        monkeypatch.setattr("sys.argv", ["fusin", "dose", str(path), *options, "--json"])
        main()
        return json.loads(capsys.readouterr().out)

    return run
