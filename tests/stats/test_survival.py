"""Survival against R's survival package, and limits where the answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.errors import InvalidValue
from fusin.stats.survival import cox, kaplan_meier, logrank, logrank_trend, median_follow_up, restricted_mean

# R: survival::aml, Miller (1997) Survival Analysis, p. 49.
TIME = np.array([9, 13, 13, 18, 23, 28, 31, 34, 45, 48, 161, 5, 5, 8, 8, 12, 16, 23, 27, 30, 33, 43, 45], dtype=float)
EVENT = np.array([1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1], dtype=bool)
ARM = np.repeat(["Maintained", "Nonmaintained"], [11, 12])
# R: 60 rows of survival::lung, ordered by inst and time.
LUNG_TIME = np.fromstring(
    """
    11 12 13 26 61 62 65 93 116 122 144 145 163 176 180 181 188 218 225 246 252 267 276 284 303 303 345 376
    457 524 558 559 588 705 731 883 132 175 197 285 348 11 65 163 166 179 201 202 212 259 305 306 351 404 455
    519 550 687 735 1010
    """,
    sep=" ",
)
LUNG_EVENT = np.array([int(c) for c in "111111111111111101010100101011100111101111111110101110111110"])
AGE = np.fromstring(
    """
    67 74 76 73 56 65 62 74 76 62 67 53 72 73 56 44 77 53 64 58 60 67 52 39 74 53 64 56 54 68 70 58 69 51 64
    60 40 57 56 72 58 81 68 69 70 69 75 50 49 58 48 74 75 74 68 63 69 58 72 56
    """,
    sep=" ",
)
SEX = np.array([int(c) for c in "111122111212111111112121112211122221121221112122112121112221"])
ECOG = np.array([int(c) for c in "122221021211202111100000011112000010101200210100201121011110"])


def test_kaplan_meier_is_that_of_r():
    # R 4.2.2, survival 3.5.3: survfit(Surv(time, status) ~ 1, aml, conf.type = "log-log") at 13, 23, 48
    curve = kaplan_meier(TIME, EVENT)
    for time, value, low, high in [
        (13, 0.69565217391304, 0.46564174976200, 0.84172129139176),
        (23, 0.54658385093168, 0.31925041397119, 0.72644917382063),
        (48, 0.08281573498965, 0.00695596679854, 0.28676036798091),
    ]:
        found = curve.at(time)
        assert (found.value, found.low, found.high) == pytest.approx((value, low, high), rel=1e-9)
    assert curve.numbers_at_risk([13, 23, 31, 48, 200]).tolist() == [17, 13, 8, 2, 0]


@pytest.mark.parametrize(
    ("rows", "median", "low", "high"),
    [(slice(None), 27, 13, 34), (slice(0, 11), 31, 13, None), (slice(11, None), 23, 5, 33)],
)
def test_medians_are_those_of_r(rows, median, low, high):
    found = kaplan_meier(TIME[rows], EVENT[rows]).median
    assert (found.value, found.low, found.high) == (median, low, high)


def test_median_follow_up_turns_events_and_censoring_round():
    # R: survfit(Surv(time, 1 - status) ~ 1): 161, 28 to NA
    found = median_follow_up(TIME, EVENT)
    assert (found.value, found.low, found.high) == (161, 28, None)


def test_restricted_mean_is_that_of_r():
    # R: summary(survfit, rmean = 40): 25.23947550035, se 2.69840254106
    found = restricted_mean(TIME, EVENT, horizon=40)
    assert found.value == pytest.approx(25.23947550035, rel=1e-11)
    assert (found.high - found.low) / 2 / 1.959963985 == pytest.approx(2.69840254106, rel=1e-8)


def test_a_curve_without_events_stays_at_one_and_has_no_median():
    curve = kaplan_meier([3.0, 5.0, 8.0], [0, 0, 0])
    assert curve.median.value is None
    assert curve.at(5.0).value == 1.0
    assert curve.at(5.0).low is None
    assert curve.at(9.0).value is None


def test_everybody_dead_ends_at_zero():
    curve = kaplan_meier([3.0, 5.0, 8.0], [1, 1, 1])
    assert curve.at(20.0).value == 0.0
    assert curve.median.value == 5.0


def test_log_rank_of_two_groups_is_that_of_r():
    # R: survdiff(Surv(time, status) ~ x, aml): chisq 3.39638869898, expected 10.6893359923, 7.3106640077
    found = logrank(TIME, EVENT, ARM)
    assert found.statistic == pytest.approx(3.39638869898, rel=1e-11)
    assert found.details["expected"]["Maintained"] == pytest.approx(10.6893359923, rel=1e-11)


def test_log_rank_of_three_groups_and_their_trend_are_those_of_r():
    # R: survdiff(Surv(time, status) ~ ph.ecog): 15.9339976809; trend from its obs, exp, var: 13.1304670174
    assert logrank(LUNG_TIME, LUNG_EVENT, ECOG).statistic == pytest.approx(15.9339976809, rel=1e-11)
    assert logrank(LUNG_TIME, LUNG_EVENT, ECOG).df == 2
    assert logrank_trend(LUNG_TIME, LUNG_EVENT, ECOG).statistic == pytest.approx(13.1304670174, rel=1e-11)


def test_trend_of_two_groups_is_the_log_rank_test():
    assert logrank_trend(TIME, EVENT, ARM).statistic == pytest.approx(logrank(TIME, EVENT, ARM).statistic)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_log_rank_agrees_with_lifelines(seed):
    from lifelines.statistics import multivariate_logrank_test

    rng = np.random.default_rng(seed)
    time, event, group = rng.integers(1, 9, 30), rng.random(30) < 0.7, np.arange(30) % 3
    found, other = logrank(time, event, group), multivariate_logrank_test(time, group, event)
    assert found.statistic == pytest.approx(other.test_statistic, rel=1e-6)


def test_log_rank_without_events_has_no_p():
    assert logrank([1, 2, 3, 4], [0, 0, 0, 0], ["a", "a", "b", "b"]).p is None
    assert logrank_trend([1, 2, 3, 4], [0, 0, 0, 0], ["a", "a", "b", "b"]).p is None


def test_cox_of_one_covariate_is_that_of_r():
    # R: coxph(Surv(time, status) ~ x, aml): 0.9155, se 0.51193; logtest 3.38444733; cox.zph(transform = "km") 0.0078751.
    # R stops its iterations at 1e-9 of the likelihood, which leaves 1e-6 in the coefficient.
    found = cox({"nonmaintained": ARM == "Nonmaintained"}, TIME, EVENT)
    ratio = found.hazard_ratios["nonmaintained"]
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx(
        (2.49810532617, 0.915907257436, 6.81349576606), rel=3e-6
    )
    assert found.model.statistic == pytest.approx(3.3844473326037, rel=1e-9)
    assert found.proportional["nonmaintained"].statistic == pytest.approx(0.0078750777, rel=1e-3)
    assert found.notes == ()


def test_cox_of_three_covariates_is_that_of_r():
    found = cox({"age": AGE, "sex": SEX, "ecog": ECOG}, LUNG_TIME, LUNG_EVENT)
    coefficients = [found.tests[name].details["coefficient"] for name in ("age", "sex", "ecog")]
    errors = [found.tests[name].details["standard_error"] for name in ("age", "sex", "ecog")]
    assert coefficients == pytest.approx([0.019943088798, -0.618453779566, 0.726228224170], rel=1e-9)
    assert errors == pytest.approx([0.0185600453318, 0.3235243103371, 0.2219914902647], rel=1e-9)
    assert [t.statistic for t in found.proportional.values()] == pytest.approx(
        [1.0798747593, 0.7583722147, 0.0043498314], rel=1e-7
    )
    assert found.model.p == pytest.approx(6.45296121815e-04, rel=1e-8)
    assert found.concordance == pytest.approx(0.6969178082192)


def test_complete_separation_is_named_and_not_estimated():
    found = cox(
        {"metastases": [0, 0, 0, 1, 1, 1], "age": [50, 61, 47, 55, 66, 40]}, [9, 8, 7, 3, 2, 1], [0, 0, 0, 1, 1, 1]
    )
    assert "metastases" in found.separated
    assert found.hazard_ratios["metastases"].value is None
    assert "complete separation" in found.notes[-1]


def test_separation_by_two_covariates_together_is_found():
    first, second = np.array([0.0, 1.0, 2.0, 3.0, 1.0, 2.0]), np.array([3.0, 2.1, 1.2, 0.3, 1.0, 0.2])
    score = first + second
    order = np.argsort(np.argsort(-score, kind="stable"))
    assert cox({"a": first, "b": second}, order + 1.0, np.ones(6)).separated
    assert not cox({"a": AGE, "b": SEX}, LUNG_TIME, LUNG_EVENT).separated


def test_few_events_for_each_covariate_are_named():
    found = cox({"age": AGE[:20], "sex": SEX[:20]}, LUNG_TIME[:20], LUNG_EVENT[:20])
    assert found.events_per_variable == 9.0
    assert "fewer than 10" in found.notes[0]


@pytest.mark.parametrize(
    ("covariates", "time", "event"),
    [
        ({"x": [1, 1, 1]}, [1, 2, 3], [1, 1, 0]),
        ({"x": [1, 2, 3], "y": [2, 4, 6]}, [1, 2, 3], [1, 1, 0]),
        ({"x": [1, 2, 3]}, [1, 2, 3], [0, 0, 0]),
        ({"x": [1, np.nan, 3]}, [1, 2, 3], [1, 1, 0]),
        ({"x": [1, 2, 3]}, [-1, 2, 3], [1, 1, 0]),
    ],
)
def test_a_model_that_cannot_be_fitted_is_refused(covariates, time, event):
    with pytest.raises(InvalidValue):
        cox(covariates, time, event)


def test_a_horizon_beyond_follow_up_is_refused():
    with pytest.raises(InvalidValue, match="follow-up"):
        restricted_mean([1, 2, 3], [1, 0, 0], horizon=10)
    with pytest.raises(InvalidValue):
        kaplan_meier([-1.0, 2.0], [1, 1])


def test_results_are_ready_for_json():
    assert kaplan_meier(TIME, EVENT).to_json()["median"]["value"] == 27
    assert cox({"age": AGE}, LUNG_TIME, LUNG_EVENT).to_json()["hazard_ratios"]["age"]["n"] == 60
