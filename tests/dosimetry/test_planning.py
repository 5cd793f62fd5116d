"""Plans under chance constraints: closed forms for one lognormal, independent draws for the rest."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.dosimetry.biological import bed
from fusin.dosimetry.organs import log_normal
from fusin.dosimetry.planning import Limit, PlanOptions, plan
from fusin.dosimetry.planning_draws import Study, StudyOrgan, draw_study
from fusin.errors import FusinError, InputError, InvalidValue, NotComputable
from fusin.provenance import NoticeLog
from fusin.stats.results import Estimate

LU, Y = "Lu-177", "Y-90"
Z05 = 1.6448536269514722


def stated(value, u):
    return log_normal(value, u, level=0.95, n=1)


def organ(name, dose, u=0.15, t_eff=41.0, u_t=0.1, **more):
    kev = more.pop("absorbed_kev", {LU: 149.8, Y: 872.0})
    return StudyOrgan(
        name=name,
        dose_gy_per_gbq=stated(dose, u),
        t_eff_h=None if t_eff is None else stated(t_eff, u_t),
        absorbed_kev=kev,
        **more,
    )


STUDY = Study(
    nuclide=LU, common_u=0.05, change_u=0.08, activity_u=0.03,
    organs=(
        organ("kidneys", 0.91), organ("red marrow", 0.47, 0.2, 92.0, absorbed_kev={LU: 84.0, Y: 480.0}),
        organ("lesion", 3.4, 0.2, 80.0, absorbed_kev={LU: 147.0, Y: 800.0}),
    ),
)  # fmt: skip
KIDNEY = Limit(organ="kidneys", value_gy=23.0, probability=0.05, citation="test")


FAR_AWAY = Limit(organ="red marrow", value_gy=0.5, probability=0.1, quantity="residual", residual_day=5000)


def options(**more):
    return PlanOptions(**{"nuclides": (LU,), "draws": 20000, **more})


def test_one_nuclide_has_the_activity_of_the_closed_form():
    """For a lognormal dose P(A d > L) = p at A = L / (median exp(z sigma))."""
    found = plan(STUDY, [KIDNEY], options(draws=200_000), log=NoticeLog())
    sigma = math.sqrt(sum(math.log1p(u**2) for u in (0.15, 0.08, 0.03)))
    expected = 23.0 / (0.91 * math.exp(Z05 * sigma))
    estimate = found.activity_gbq[LU]
    assert estimate.value == pytest.approx(expected, rel=4e-3)
    assert estimate.low < expected < estimate.high
    assert found.chosen.binding == KIDNEY


def test_a_certain_patient_gets_the_limit_over_the_dose():
    """Uncertainties of zero: 23 Gy / 0.91 Gy/GBq = 25.3 GBq, as in the sheet's arithmetic."""
    study = Study(nuclide=LU, organs=(organ("kidneys", 0.91, 0.0, u_t=0.0),))
    found = plan(study, [KIDNEY], options(), log=NoticeLog())
    assert found.activity_gbq[LU].value == pytest.approx(25.2747, abs=1e-3)


def test_exchange_in_the_draws_gives_the_kidney_ratio_of_both_nuclides():
    study = Study(nuclide=LU, organs=(organ("kidneys", 1.0, 0.0, u_t=0.0),))
    drawn = draw_study(study, (LU, Y), draws=1000, seed=0, log=NoticeLog())["kidneys"]
    assert np.median(drawn.dose_gy_per_gbq[Y] / drawn.dose_gy_per_gbq[LU]) == pytest.approx(4.21, rel=1e-3)


@pytest.mark.parametrize("mixture", [False, True])
@pytest.mark.parametrize("cycles", [1, 3])
def test_constraints_hold_in_independent_draws(mixture, cycles):
    """Other seed, other code: doses, BED and residual dose of each draw are computed one by one."""
    limits = [
        Limit(organ="kidneys", value_gy=36.0, probability=0.1, quantity="bed", alpha_beta_gy=2.6, repair_half_time_h=2.8),
        Limit(organ="red marrow", value_gy=0.4, probability=0.1, quantity="residual", residual_day=14),
    ]  # fmt: skip
    asked = options(nuclides=(LU, Y), target="lesion", mixture=mixture, cycles=cycles)
    found = plan(STUDY, limits, asked, log=NoticeLog())
    given_gbq = {n: e.value / cycles for n, e in found.activity_gbq.items()}
    drawn = draw_study(STUDY, (LU, Y), draws=4000, seed=991, log=NoticeLog())
    passed = np.zeros(2)
    for i in range(4000):
        k, m = drawn["kidneys"], drawn["red marrow"]
        doses = {n: a * k.dose_gy_per_gbq[n][i] for n, a in given_gbq.items()}
        rates = [math.log(2) / k.t_eff_h[n][i] for n in doses]
        weights = [d * r for d, r in zip(doses.values(), rates, strict=True)]
        passed[0] += cycles * bed(sum(doses.values()), rates, weights, 2.6, 2.8) > 36.0
        residual = sum(a * m.dose_gy_per_gbq[n][i] * 2 ** (-14 * 24 / m.t_eff_h[n][i]) for n, a in given_gbq.items())
        passed[1] += residual > 0.4
    assert np.all(passed / 4000 < 0.1 + 4 * math.sqrt(0.09 / 4000))
    assert np.max(passed) / 4000 > 0.1 - 4 * math.sqrt(0.09 / 4000)


def test_a_mixture_is_never_worse_than_either_nuclide():
    limits = [KIDNEY, Limit(organ="red marrow", value_gy=0.5, probability=0.1, quantity="residual", residual_day=14)]
    found = plan(STUDY, limits, options(nuclides=(LU, Y), target="lesion", mixture=True), log=NoticeLog())
    worth = [a.target_gy * a.t_max for a in found.alternatives]
    assert worth[2] >= max(worth[:2])
    assert found.chosen is found.alternatives[2]


def test_residual_marrow_dose_has_the_shares_of_the_sheet():
    """7.95 % at 92 h after 14 d; with 90Y (T_eff 49.5 h) 0.90 %."""
    study = Study(nuclide=LU, organs=(organ("marrow", 1.0, 0.0, 92.0, 0.0),))
    limit = Limit(organ="marrow", value_gy=10.0, probability=0.05)
    for nuclide, percent in ((LU, 7.95), (Y, 0.90)):
        asked = options(nuclides=(nuclide,), marrow="marrow", transplant_day=14.0)
        found = plan(study, [limit], asked, log=NoticeLog())
        assert 100 * found.residual_gy.value / found.doses_gy["marrow"].value == pytest.approx(percent, abs=0.01)


def test_more_cycles_allow_more_under_bed_and_the_same_under_dose():
    effective = Limit(
        organ="kidneys", value_gy=36.0, probability=0.05, quantity="bed", alpha_beta_gy=2.6, repair_half_time_h=2.8
    )
    amounts = {
        (limit.quantity, n): plan(STUDY, [limit], options(cycles=n), log=NoticeLog()).activity_gbq[LU].value
        for limit in (KIDNEY, effective) for n in (1, 4)
    }  # fmt: skip
    assert amounts["dose", 4] == pytest.approx(amounts["dose", 1])
    assert amounts["bed", 4] > 1.1 * amounts["bed", 1]


def test_bed_limit_of_a_certain_patient_is_that_of_the_sheet():
    """BED 36.007 Gy belongs to 23 Gy from 177Lu at 41 h (alpha/beta 2.6 Gy, repair 2.8 h); EQD2 20.352 Gy."""
    study = Study(nuclide=LU, organs=(organ("kidneys", 1.0, 0.0, u_t=0.0),))
    for quantity, value in (("bed", 36.007), ("eqd2", 20.352)):
        limit = Limit(organ="kidneys", value_gy=value, probability=0.05, quantity=quantity, alpha_beta_gy=2.6,
                      repair_half_time_h=2.8)  # fmt: skip
        found = plan(study, [limit], options(), log=NoticeLog())
        assert found.activity_gbq[LU].value == pytest.approx(23.0, abs=2e-3)


def test_an_infeasible_plan_names_both_limits_and_how_far():
    minimum = Limit(organ="red marrow", value_gy=12.0, probability=0.1, at_most=False)
    log = NoticeLog()
    found = plan(STUDY, [KIDNEY, minimum], options(), log=log)
    assert not found.feasible
    assert "kidneys at most 23 Gy" in found.reason
    assert "red marrow at least 12 Gy" in found.reason
    factor = found.chosen.t_min / found.chosen.t_max
    assert f"{factor:.2f} times" in found.reason
    assert "PLAN_INFEASIBLE" in [n.code for n in log.notices]


def test_a_minimum_that_is_kept_changes_nothing():
    minimum = Limit(organ="red marrow", value_gy=3.0, probability=0.1, at_most=False)
    with_it = plan(STUDY, [KIDNEY, minimum], options(), log=NoticeLog())
    assert with_it.feasible
    assert with_it.activity_gbq[LU].value == plan(STUDY, [KIDNEY], options(), log=NoticeLog()).activity_gbq[LU].value
    assert with_it.kept[1].probability <= 0.1


def test_the_supply_can_bind():
    found = plan(STUDY, [KIDNEY], options(available_gbq={LU: 7.4}), log=NoticeLog())
    assert found.activity_gbq[LU].value == pytest.approx(7.4)
    assert found.chosen.binding == LU
    assert found.kept[0].headroom > 2


def test_a_common_uncertainty_makes_organs_pass_together():
    """Two organs whose whole uncertainty is common have one and the same relative draw."""
    organs = (organ("a", 1.0, 0.2, None), organ("b", 2.0, 0.2, None))
    drawn = draw_study(Study(nuclide=LU, organs=organs, common_u=0.2), (LU,), draws=2000, seed=1, log=NoticeLog())
    assert drawn["b"].dose_gy_per_gbq[LU] == pytest.approx(2 * drawn["a"].dose_gy_per_gbq[LU])
    apart = draw_study(Study(nuclide=LU, organs=organs), (LU,), draws=2000, seed=1, log=NoticeLog())
    assert abs(np.corrcoef(apart["a"].dose_gy_per_gbq[LU], apart["b"].dose_gy_per_gbq[LU])[0, 1]) < 0.1


def test_half_lives_end_at_physical_decay():
    study, log = Study(nuclide=LU, organs=(organ("marrow", 1.0, 0.2, 150.0, 0.4),)), NoticeLog()
    drawn = draw_study(study, (LU, Y), draws=5000, seed=0, log=log)["marrow"]
    assert drawn.t_eff_h[LU].max() <= 159.53
    assert "HALF_LIFE_CUT" in [n.code for n in log.notices]
    assert drawn.t_eff_h[Y].max() <= 64.11


@settings(max_examples=25, deadline=None)
@given(st.floats(0.05, 20.0), st.floats(0.02, 0.6), st.floats(1.0, 100.0), st.sampled_from([0.01, 0.05, 0.2, 0.5, 0.9]))
def test_the_probability_that_is_kept_is_the_one_asked_for(dose, u, limit, p):
    study = Study(nuclide=LU, organs=(organ("kidneys", dose, u, None),))
    found = plan(study, [Limit(organ="kidneys", value_gy=limit, probability=p)], options(draws=5000), log=NoticeLog())
    assert found.kept[0].probability <= p
    assert found.kept[0].probability == pytest.approx(p, abs=1e-3)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Limit(organ="a", value_gy=0.0, probability=0.1), "above 0 Gy"),
        (lambda: Limit(organ="a", value_gy=math.nan, probability=0.1), "above 0 Gy"),
        (lambda: Limit(organ="a", value_gy=1.0, probability=5), "between 0 and 1"),
        (lambda: Limit(organ="a", value_gy=1.0, probability=0.0), "between 0 and 1"),
        (lambda: Limit(organ="a", value_gy=1.0, probability=0.1, quantity="bed"), "alpha_beta_gy"),
        (lambda: Limit(organ="a", value_gy=1.0, probability=0.1, quantity="residual"), "residual_day"),
        (lambda: Limit(organ="a", value_gy=1.0, probability=0.1, quantity="residual", residual_day=-1), "zero or more"),
        (lambda: options(transplant_day=-1.0), "zero or more days"),
        (lambda: options(cycles=0), "whole number"),
        (lambda: options(nuclides=()), "at least one"),
        (lambda: options(nuclides=("Xx-1",)), "nuclide"),
        (lambda: options(available_gbq={LU: -1.0}), "positive"),
        (lambda: Study(nuclide=LU, organs=()), "at least one organ"),
        (lambda: Study(nuclide=LU, organs=(organ("kidneys", 1.0), organ("Kidney", 1.0))), "each organ once"),
        (lambda: plan(STUDY, [], options(), log=NoticeLog()), "at least one limit"),
        (lambda: plan(STUDY, [FAR_AWAY], options(), log=NoticeLog()), "can reach"),
        (lambda: options(seed=-1) and plan(STUDY, [KIDNEY], options(seed=-1), log=NoticeLog()), "zero or more"),
        (lambda: plan(STUDY, [KIDNEY, KIDNEY], options(), log=NoticeLog()), "once"),
        (lambda: plan(STUDY, [KIDNEY], options(nuclides=(LU, Y)), log=NoticeLog()), "target"),
        (lambda: plan(STUDY, [KIDNEY], options(draws=10), log=NoticeLog()), "at least"),
        (lambda: plan(STUDY, [KIDNEY], options(target="spleen"), log=NoticeLog()), "organ of the study"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(make, words):
    with pytest.raises(InputError, match=words) as found:
        make()
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("one", "error", "words"),
    [
        (organ("kidneys", 1.0, t_eff=200.0), InvalidValue, "longer than"),
        (organ("kidneys", 1.0, t_eff=None), NotComputable, "no effective half-life"),
        (organ("kidneys", 1.0, absorbed_kev={}), NotComputable, "energy"),
        (organ("red marrow", 1.0, absorbed_kev={}, mass_g=1100.0), NotComputable, "no sphere"),
        (organ("kidneys", 1.0, 0.02), InputError, "no more than"),
        (StudyOrgan(name="kidneys", dose_gy_per_gbq=Estimate(value=1.0, low=None, high=None, method="", n=1)), NotComputable,
         "no stated uncertainty"),
        (StudyOrgan(name="kidneys", dose_gy_per_gbq=Estimate(value=-1.0, low=-2.0, high=1.0, method="", n=1)), InputError,
         "positive"),
    ],
)  # fmt: skip
def test_a_study_that_cannot_answer_is_refused(one, error, words):
    study = Study(nuclide=LU, organs=(one,), common_u=0.05)
    limit = Limit(organ=one.name, value_gy=23.0, probability=0.05)
    with pytest.raises(error, match=words) as found:
        plan(study, [limit], options(nuclides=(LU, Y), target=one.name), log=NoticeLog())
    assert isinstance(found.value, FusinError)


def test_a_limit_without_a_source_is_said_aloud():
    log = NoticeLog()
    plan(STUDY, [Limit(organ="kidneys", value_gy=23.0, probability=0.05)], options(), log=log)
    assert [n.severity for n in log.notices if n.code == "LIMIT_WITHOUT_CITATION"] == ["warning"]


def test_an_asymmetric_interval_counts_with_its_wider_side():
    log = NoticeLog()
    dose = Estimate(value=1.0, low=0.5, high=1.5, method="normal", n=1)
    study = Study(nuclide=LU, organs=(StudyOrgan(name="kidneys", dose_gy_per_gbq=dose),))
    drawn = draw_study(study, (LU,), draws=50_000, seed=0, log=log)["kidneys"].dose_gy_per_gbq[LU]
    assert np.quantile(drawn, 0.025) == pytest.approx(0.5, rel=0.03)
    assert "INTERVAL_NOT_LOGNORMAL" in [n.code for n in log.notices]
