"""Dose against risk: the front agrees with plans of its own, and rises with the risk."""

from __future__ import annotations

import numpy as np
import pytest

from fusin.dosimetry.organs import log_normal
from fusin.dosimetry.planning import Limit, PlanOptions, plan
from fusin.dosimetry.planning_draws import Study, StudyOrgan
from fusin.dosimetry.planning_front import pareto_front, risk_curves, target_estimate
from fusin.provenance import NoticeLog

KEV = {"Lu-177": 149.8, "Y-90": 872.0}


def organ(name, dose, t_eff):
    return StudyOrgan(name=name, dose_gy_per_gbq=log_normal(dose, 0.15, level=0.95, n=1), absorbed_kev=KEV,
                      t_eff_h=log_normal(t_eff, 0.1, level=0.95, n=1))  # fmt: skip


STUDY = Study(
    nuclide="Lu-177", organs=(organ("kidneys", 0.91, 41.0), organ("marrow", 0.47, 92.0), organ("lesion", 3.4, 80.0))
)


def limits(p):
    return [
        Limit(organ="kidneys", value_gy=23.0, probability=p),
        Limit(organ="marrow", value_gy=0.5, probability=p, quantity="residual", residual_day=14),
    ]  # fmt: skip


def found(p=0.05, **more):
    asked = {"nuclides": ("Lu-177", "Y-90"), "target": "lesion", "mixture": True, "draws": 4000} | more
    return plan(STUDY, limits(p), PlanOptions(**asked), log=NoticeLog())


def test_the_front_rises_with_the_risk_and_has_one_best_choice_at_each():
    front = pareto_front(found())
    for choice in ("Lu-177", "Y-90", "mixture"):
        doses = [p.target_gy.value for p in front if p.choice == choice]
        assert doses == sorted(doses)
    best = [p for p in front if p.on_front]
    assert [p.probability for p in best] == sorted({p.probability for p in front})


@pytest.mark.parametrize("risk", [0.01, 0.2])
def test_a_point_of_the_front_is_the_plan_at_that_risk(risk):
    point = next(p for p in pareto_front(found(), (risk,)) if p.choice == "Y-90")
    again = found(risk, nuclides=("Y-90",), mixture=False)
    assert point.activity_gbq["Y-90"] == pytest.approx(again.activity_gbq["Y-90"].value)
    assert point.target_gy.value == pytest.approx(again.doses_gy["lesion"].value)


def test_the_front_keeps_the_supply():
    front = pareto_front(found(available_gbq={"Y-90": 1.0}))
    assert max(p.activity_gbq.get("Y-90", 0.0) for p in front) <= 1.0 + 1e-12


def test_without_a_target_there_is_no_front():
    alone = found(nuclides=("Lu-177",), target=None, mixture=False)
    assert pareto_front(alone) == ()
    assert target_estimate(alone, {"Lu-177": 1.0}) is None


def test_risk_curves_rise_and_meet_the_accepted_probability_at_the_plan():
    one = found(nuclides=("Lu-177",), mixture=False)
    activity, curves = risk_curves(one)
    for kept, curve in zip(one.kept, curves, strict=True):
        assert np.all(np.diff(curve) >= 0)
        at = np.interp(one.activity_gbq["Lu-177"].value, activity, curve)
        assert at == pytest.approx(kept.probability, abs=0.02)
