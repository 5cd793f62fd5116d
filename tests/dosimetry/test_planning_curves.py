"""Plans count every exponential of an organ's curve: BED by a differential equation, residual dose and exchange by quadrature."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

from fusin.dosimetry.organs import log_normal
from fusin.dosimetry.planning import Limit, PlanOptions, plan
from fusin.dosimetry.planning_draws import Study, StudyOrgan, dose_rate, draw_study, residual_dose
from fusin.dosimetry.planning_files import read_study
from fusin.errors import InputError
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.report.plan_report import plan_report

LU, Y = "Lu-177", "Y-90"
LN2 = math.log(2.0)
DECAY = {n: LN2 * 3600.0 / nuclide(n).half_life_s for n in (LU, Y)}
KEV = {LU: 147.0, Y: 800.0}
# Slowest first: uptake into a lesion (half-time 6 h), a fast part beside a slow one, and a part within an hour.
CURVES = {
    "uptake": ((0.009, 0.12), (1.0, -1.0)),
    "two parts": ((0.010, 0.15), (1.0, 2.5)),
    "three parts": ((0.008, 0.05, 0.7), (1.0, 0.6, -1.3)),
}
ALPHA_BETA, REPAIR_H = 2.6, 2.8


def rate_with(curve, name, per_gbq=1.0, stretch=1.0):
    """Dose rate [Gy/h] per GBq of a nuclide as a function, scaled so that 177Lu gives ``per_gbq`` Gy/GBq."""
    rates, weights = (np.array(v) for v in curve)
    rates = rates * stretch
    scale = per_gbq / quad(lambda t: float(np.sum(weights * np.exp(-rates * t))), 0, 3000, limit=400)[0]
    step = DECAY[name] - DECAY[LU]
    return lambda t: scale * KEV[name] / KEV[LU] * float(np.sum(weights * np.exp(-(rates + step) * t)))


def integral(function, start=0.0):
    return quad(function, start, start + 100.0, limit=400)[0] + quad(function, start + 100.0, 5000.0, limit=400)[0]


def effective(function):
    """Dose and BED by the differential equation of unrepaired damage: x' = R - mu x, BED = D + 2 / (a/b) integral of R x."""
    repair = LN2 / REPAIR_H
    found = solve_ivp(
        lambda t, y: (function(t) - repair * y[0], function(t) * y[0], function(t)), (0.0, 2500.0), (0.0, 0.0, 0.0),
        rtol=1e-9, atol=1e-12, method="LSODA",
    )  # fmt: skip
    _, crossed, dose = found.y[:, -1]
    return dose, dose + 2.0 / ALPHA_BETA * crossed


def certain(curve, **more):
    """A study that knows dose and half-life exactly."""
    rates, weights = curve
    given = {"rates_per_h": rates, "weights": weights, **more}
    organ = StudyOrgan(
        name="kidneys", dose_gy_per_gbq=log_normal(1.0, 0.0, level=0.95, n=1), absorbed_kev=KEV,
        t_eff_h=log_normal(LN2 / min(rates), 0.0, level=0.95, n=1), **given,
    )  # fmt: skip
    return Study(nuclide=LU, organs=(organ,))


def bed_limit(value):
    return Limit(organ="kidneys", value_gy=value, probability=0.05, quantity="bed", alpha_beta_gy=ALPHA_BETA,
                 repair_half_time_h=REPAIR_H, citation="test")  # fmt: skip


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
@pytest.mark.parametrize("name", [LU, Y])
def test_a_bed_limit_is_met_by_the_whole_curve(curve, name):
    """BED of A GBq from the differential equation is the limit at which A GBq are planned."""
    activity = 17.0 if name == LU else 4.0
    rate = rate_with(curve, name)
    _, expected = effective(lambda t: activity * rate(t))
    found = plan(certain(curve), [bed_limit(expected)], PlanOptions(nuclides=(name,), draws=1000), log=NoticeLog())
    assert found.activity_gbq[name].value == pytest.approx(activity, rel=1e-5)


def test_a_bed_limit_counts_the_curves_of_both_nuclides_together():
    curve = CURVES["two parts"]
    lutetium, yttrium = rate_with(curve, LU), rate_with(curve, Y)
    _, expected = effective(lambda t: 9.0 * lutetium(t) + 2.0 * yttrium(t))
    drawn = draw_study(certain(curve), (LU, Y), draws=1000, seed=0, log=NoticeLog())["kidneys"]
    from fusin.dosimetry.planning import limit_scales

    scales = limit_scales(bed_limit(expected), drawn, {LU: 9.0, Y: 2.0}, 1)
    assert scales == pytest.approx(np.ones(1000), rel=1e-5)


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
@pytest.mark.parametrize("name", [LU, Y])
@pytest.mark.parametrize("day", [0.0, 0.25, 7.0])
def test_residual_dose_is_the_integral_of_the_curve_after_the_day(curve, name, day):
    drawn = draw_study(certain(curve), (name,), draws=1000, seed=0, log=NoticeLog())["kidneys"]
    expected = 3.0 * integral(rate_with(curve, name), 24.0 * day)
    assert residual_dose(drawn, {name: 3.0}, day, "kidneys") == pytest.approx(np.full(1000, expected), rel=1e-6)


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_another_nuclide_has_the_integral_of_the_whole_curve(curve):
    drawn = draw_study(certain(curve), (LU, Y), draws=1000, seed=0, log=NoticeLog())["kidneys"]
    expected = integral(rate_with(curve, Y)) / integral(rate_with(curve, LU))
    ratio = drawn.dose_gy_per_gbq[Y] / drawn.dose_gy_per_gbq[LU]
    assert ratio == pytest.approx(np.full(1000, expected), rel=1e-6)


def test_a_fast_part_raises_bed_and_leaves_less_for_later():
    """Against one exponential of the same dose and half-life: the known weakness that this replaces."""
    curve = CURVES["two parts"]
    whole, alone = certain(curve), certain((curve[0][:1], (1.0,)))
    drawn = [draw_study(s, (LU,), draws=1000, seed=0, log=NoticeLog())["kidneys"] for s in (whole, alone)]
    asked = PlanOptions(nuclides=(LU,), draws=1000)
    activity = [plan(s, [bed_limit(40.0)], asked, log=NoticeLog()).activity_gbq[LU].value for s in (whole, alone)]
    assert activity[0] < 0.95 * activity[1]
    late = [residual_dose(d, {LU: 1.0}, 7.0, "kidneys")[0] for d in drawn]
    assert late[0] == pytest.approx(late[1] * 100.0 / (100.0 + 2.5 / 0.15), rel=1e-9)


def test_a_drawn_half_life_stretches_the_curve_and_keeps_its_dose():
    rates, weights = CURVES["uptake"]
    organ = StudyOrgan(
        name="kidneys", dose_gy_per_gbq=log_normal(1.0, 0.0, level=0.95, n=1), absorbed_kev=KEV, rates_per_h=rates,
        weights=weights, t_eff_h=log_normal(LN2 / rates[0], 0.3, level=0.95, n=1),
    )  # fmt: skip
    drawn = draw_study(Study(nuclide=LU, organs=(organ,)), (LU, Y), draws=1000, seed=3, log=NoticeLog())["kidneys"]
    found, starts = dose_rate(drawn, {LU: 1.0}, "kidneys")
    assert np.std(found[:, 0]) / np.mean(found[:, 0]) == pytest.approx(0.3, abs=0.05)
    assert found[:, 1] / found[:, 0] == pytest.approx(np.full(1000, rates[1] / rates[0]))
    assert np.sum(starts / found, axis=-1) == pytest.approx(np.ones(1000))
    assert np.sum(starts, axis=-1) == pytest.approx(np.zeros(1000), abs=1e-12)
    for i in (0, 500):
        stretch = found[i, 0] / rates[0]
        expected = integral(rate_with(CURVES["uptake"], Y, stretch=stretch))
        assert drawn.dose_gy_per_gbq[Y][i] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("limit", "nuclides", "said"),
    [("kidneys<=23", (LU,), False), ("kidneys<=23", (Y,), True), ("kidneys<=40 bed ab=2.6 repair=2.8", (LU,), True),
     ("kidneys<=1 residual day=7", (LU,), True)],
)  # fmt: skip
@pytest.mark.parametrize("curve", ["", "curve = { rates_per_h = [0.0169, 0.45], weights = [2, -2] }"])
def test_a_half_life_alone_is_said_where_it_matters(tmp_path, limit, nuclides, said, curve):
    path = tmp_path / "plan.toml"
    path.write_text(
        'nuclide = "Lu-177"\n[[organ]]\nname = "kidneys"\ndose_gy_per_gbq = 0.91\ndose_gy_per_gbq_u_percent = 12\n'
        f"t_eff_h = 41\nt_eff_h_u_percent = 8\nmass_g = 150\n{curve}\n", encoding="utf-8",
    )  # fmt: skip
    log = NoticeLog()
    plan_report(path, options=PlanOptions(nuclides=nuclides), limits=[f"{limit} p=0.05: test"], log=log)
    assert ("SLOWEST_COMPONENT_ALONE" in [n.code for n in log.notices]) is (said and not curve)


@pytest.mark.parametrize(("slowest", "said"), [(0.0169, False), (0.0155, False), (0.0125, True), (0.002, True)])
def test_a_curve_that_contradicts_its_half_life_is_named(slowest, said):
    organ = StudyOrgan(name="kidneys", dose_gy_per_gbq=log_normal(1.0, 0.1, level=0.95, n=1), absorbed_kev=KEV,
                       t_eff_h=log_normal(41.0, 0.08, level=0.95, n=1), rates_per_h=(slowest, 0.45),
                       weights=(1.0, -1.0))  # fmt: skip
    log = NoticeLog()
    drawn = draw_study(Study(nuclide=LU, organs=(organ,)), (LU,), draws=1000, seed=0, log=log)["kidneys"]
    assert ("CURVE_STRETCHED" in [n.code for n in log.notices]) is said
    assert np.median(drawn.t_eff_h[LU]) == pytest.approx(41.0, rel=0.02)


@pytest.mark.parametrize(
    ("curve", "word"),
    [
        ("{ rates_per_h = [0.02, 0.4], weights = [1, -2] }", "never negative"),
        ("{ rates_per_h = [0.02], weights = [1, -1] }", "one positive rate for each weight"),
        ("{ rates_per_h = [0.02] }", "two lists of numbers"),
        ("{ rates_per_h = [0.02, 'x'], weights = [1, 1] }", "two lists of numbers"),
        ("[0.02]", "two lists of numbers"),
        ("{ rates_per_h = [-0.02], weights = [1] }", "one positive rate for each weight"),
        ("{ rates_per_h = [], weights = [] }", "two lists of numbers"),
    ],
)
def test_a_curve_that_is_none_is_refused_in_a_sentence(tmp_path, curve, word):
    path = tmp_path / "plan.toml"
    path.write_text(f'nuclide = "Lu-177"\n[[organ]]\nname = "kidneys"\ndose_gy_per_gbq = 1\ncurve = {curve}\n', "utf-8")
    with pytest.raises(InputError, match=word):
        read_study(path, NoticeLog())


def test_a_document_with_a_negative_curve_is_refused_by_the_name_of_its_organ(tmp_path):
    path = tmp_path / "doses.json"
    stated = {"value": 1.0, "low": 0.9, "high": 1.1, "level": 0.95}
    curve = {"rates_per_h": [0.02, 0.4], "weights": [1.0, -2.0]}
    organs = [{"name": "kidneys", "dose_gy": stated, "t_eff_h": stated, "curve": curve}]
    document = {"nuclide": LU, "administered_mbq": 200.0, "organs": organs}
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(InputError, match="kidneys"):
        read_study(path, NoticeLog())
