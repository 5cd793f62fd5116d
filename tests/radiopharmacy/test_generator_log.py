"""Reading generators and their logs, and judging them: units, separators, missing reference times, mixed zones, broken files."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fusin.errors import FusinError, InputError, NotComputable, StrictRefusal
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.generator_analysis import assess_generator
from fusin.radiopharmacy.generator_log import GeneratorOptions, PlanRequest, read_generator
from fusin.radiopharmacy.generator_tables import elution_rows
from fusin.radiopharmacy.generator_yield import YieldPoint, fit_yields
from fusin.radiopharmacy.synthetic_generator import GeneratorTruth, make_log_csv

OPTIONS = GeneratorOptions(ge68_mbq=1850.0, calibrated="2026-03-02T12:00")


def assessed(tmp_path, text, options=OPTIONS, log=None, name="log.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    log = NoticeLog() if log is None else log
    return assess_generator(read_generator(path, options, log), log), [n.code for n in log]


def test_a_made_up_log_gives_its_truth_back(tmp_path):
    truth = GeneratorTruth(wrong=0)
    result, codes = assessed(tmp_path, make_log_csv(truth, rng=np.random.default_rng(5)))
    trend = result.trends[0]
    assert trend.slope_per_month.low <= -truth.fall_per_month <= trend.slope_per_month.high
    last_months = (trend.points[-1].time_s - trend.points[0].time_s) / (30.4375 * 86400)
    assert trend.latest.value == pytest.approx(truth.efficiency - truth.fall_per_month * last_months, abs=0.01)
    assert "YIELD_OUT_OF_CONTROL" not in codes


def test_the_elution_that_went_wrong_is_named(tmp_path):
    result, codes = assessed(tmp_path, make_log_csv(GeneratorTruth(), rng=np.random.default_rng(5)))
    assert result.trends[0].chart.outside == (23,)
    assert codes.count("YIELD_OUT_OF_CONTROL") == 1


def test_semicolons_decimal_commas_and_gigabecquerels_are_read(tmp_path):
    text = "\ufefftime;eluted_gbq;reference_time\r\n2026-03-03T08:00;1,2955;2026-03-03T08:00\r\n"
    result, codes = assessed(tmp_path, text)
    assert result.elutions[0].entry.measured_mbq == pytest.approx(1295.5)
    assert "DECIMAL_COMMA" in codes


def test_millicuries_are_37_megabecquerels(tmp_path):
    result, _ = assessed(tmp_path, "time,eluted_mci,reference_time\n2026-03-03T08:00,35,2026-03-03T08:00\n")
    assert result.elutions[0].entry.measured_mbq == pytest.approx(1295.0)


def test_a_reading_without_its_time_is_adapted_and_strict_refuses_it(tmp_path):
    text = "time,eluted_mbq\n2026-03-03T08:00,1295\n"
    assert "REFERENCE_TIME_ASSUMED" in assessed(tmp_path, text)[1]
    with pytest.raises(StrictRefusal):
        assessed(tmp_path, text, log=NoticeLog(strict=True))


def test_a_calibration_day_is_taken_at_noon_with_a_notice(tmp_path):
    options = GeneratorOptions(ge68_mbq=1850.0, calibrated="2026-03-02", yields=(0.7,))
    day, codes = assessed(tmp_path, "time\n2026-03-03T12:00\n", options)
    assert "CALIBRATION_DAY_ONLY" in codes
    assert day.elutions[0].ge68_mbq == pytest.approx(1850.0 * 2 ** (-1 / 270.95), rel=1e-12)


def test_rows_out_of_order_are_sorted_with_a_notice(tmp_path):
    options = GeneratorOptions(ge68_mbq=1850.0, calibrated="2026-03-02T12:00", yields=(0.7,))
    result, codes = assessed(tmp_path, "time\n2026-03-04T08:00\n2026-03-03T08:00\n", options)
    assert "ROWS_SORTED" in codes
    assert result.elutions[0].time_s < result.elutions[1].time_s


def test_a_yield_above_one_is_doubted_and_a_mean_above_one_refused(tmp_path):
    head = "time,eluted_mbq,reference_time\n"
    rows = [
        f"2026-03-{d:02d}T08:00,{a},2026-03-{d:02d}T08:00\n" for d, a in ((3, 1300), (5, 1290), (10, 1900), (12, 1280))
    ]
    assert "YIELD_ABOVE_ONE" in assessed(tmp_path, head + "".join(rows))[1]
    with pytest.raises(NotComputable) as refused:
        assessed(tmp_path, head + "2026-03-03T08:00,2500,2026-03-03T08:00\n")
    assert refused.value.code == "YIELD_IMPOSSIBLE"


def test_a_short_gap_is_judged_by_what_the_column_held(tmp_path):
    """Two elutions 30 min apart: the second gives little, and its yield is as good as the first."""
    truth = GeneratorTruth(n=4, days=(1,), scatter=0.0, fall_per_month=0.0, wrong=0)
    csv = make_log_csv(truth, rng=np.random.default_rng(0))
    later = 0.74 * (0.26 * 1842.0 * 2 ** (-30 / 67.71) + 1842.0 * 0.26442)
    csv += f"2026-03-06T08:30:00,{later * 0.99:.1f},2,2026-03-06T08:30:00,5.0,,,\n"
    result, _ = assessed(tmp_path, csv)
    assert result.yields[5] == pytest.approx(0.74 * 0.99, abs=0.005)
    assert result.elutions[4].on_column_mbq < 0.5 * result.elutions[3].on_column_mbq


def test_pooled_generators_are_read_from_toml(tmp_path):
    text = """
[[generator]]
name = "A"
ge68_mbq = 1850
calibrated = 2026-03-02T12:00:00
yield = 0.7
[[generator]]
name = "B"
ge68_gbq = 0.74
calibrated = 2025-09-02T12:00:00
yield = 0.6
[[elution]]
time = 2026-03-03T08:00:00
generator = "A+B"
eluted_mbq = 1550
reference_time = 2026-03-03T08:00:00
[[elution]]
time = 2026-03-03T12:00:00
generator = ["B"]
"""
    result, _ = assessed(tmp_path, text, GeneratorOptions(), name="pool.toml")
    first, second = result.elutions
    assert [p.generator for p in first.parts] == ["A", "B"]
    assert [p.generator for p in second.parts] == ["B"]
    assert first.parts[1].ge68_mbq == pytest.approx(740.0 * 2 ** (-(181 + 20 / 24) / 270.95), rel=1e-6)
    assert result.trends[0].series == "A+B"


def test_breakthrough_of_the_column_and_of_the_eluate_stay_apart(tmp_path):
    text = (
        "time,eluted_mbq,reference_time,breakthrough_percent,breakthrough_of,breakthrough_time\n"
        "2026-03-03T08:00,1295,2026-03-03T08:00,0.001,ge68_on_column,\n"
        "2026-03-04T08:00,1295,2026-03-04T08:00,0.0005,ga68_eluted,2026-03-04T08:00\n"
        "2026-03-05T08:00,1295,2026-03-05T08:00,0.0005,ga68_eluted,\n"
    )
    result, codes = assessed(tmp_path, text)
    column, eluate, bare = result.breakthrough
    assert column.of_column_percent == pytest.approx(0.001)
    assert column.of_ga68_percent == pytest.approx(0.001 * result.elutions[0].ge68_mbq / 1295.0, rel=1e-9)
    assert eluate.of_ga68_percent == pytest.approx(0.0005)
    assert (bare.of_ga68_percent, bare.within) == (None, None)
    assert codes.count("BREAKTHROUGH_ABOVE_LIMIT") == 1
    assert "BREAKTHROUGH_NO_REFERENCE" in codes


def test_a_percentage_of_68ge_without_its_denominator_is_refused(tmp_path):
    with pytest.raises(InputError, match="ge68_on_column or ga68_eluted"):
        assessed(tmp_path, "time,eluted_mbq,breakthrough_percent\n2026-03-03T08:00,1295,0.001\n")


@pytest.mark.parametrize(
    ("rules", "due"), [({}, False), ({"retire_elutions": 3}, True), ({"retire_months": 0.05}, True)]
)
def test_retirement_follows_the_rule_that_was_set(tmp_path, rules, due):
    options = GeneratorOptions(ge68_mbq=1850.0, calibrated="2026-03-02T12:00", yields=(0.7,), rules=rules)
    text = "time\n" + "".join(f"2026-03-0{d}T08:00\n" for d in (3, 4, 5))
    result, codes = assessed(tmp_path, text, options)
    assert result.retirement[0].due is due
    assert ("GENERATOR_RETIREMENT" in codes) is due


def test_an_idle_rule_exists_only_where_it_was_set(tmp_path):
    text = "time\n2026-03-03T08:00\n2026-03-07T08:00\n"
    without = GeneratorOptions(ge68_mbq=1850.0, calibrated="2026-03-02T12:00", yields=(0.7,))
    assert assessed(tmp_path, text, without)[0].discard == ()
    stated = GeneratorOptions(
        ge68_mbq=1850.0, calibrated="2026-03-02T12:00", yields=(0.7,), rules={"discard_after_idle_h": 48.0}
    )
    assert assessed(tmp_path, text, stated)[0].discard == (2,)


def test_a_plan_alone_needs_no_log():
    options = GeneratorOptions(
        ge68_mbq=1850.0, yields=(0.7,), yield_u=0.02, plan=PlanRequest(time=0.0, wanted_mbq=1000.0)
    )
    result = assess_generator(read_generator(None, options, NoticeLog()), NoticeLog())
    assert result.plan.available_mbq == pytest.approx(1295.2, abs=0.05)
    assert result.planned.low == pytest.approx(1295.2 - 1.96 * 0.02 * 1850.3, abs=0.1)


def test_the_interval_of_an_elution_knows_that_a_better_one_before_left_less():
    """A higher yield takes more from the column and leaves less for the next: the effects partly cancel."""
    options = GeneratorOptions(ge68_mbq=1850.0, yields=(0.7,), yield_u=0.02, elute_at=(0.0, 60.0))
    first, second = assess_generator(read_generator(None, options, NoticeLog()), NoticeLog()).eluted
    assert (second.high - second.low) / second.value < (first.high - first.low) / first.value


BAD = {
    "no text": "",
    "no rows": "time,eluted_mbq\n",
    "no such column": "when\n2026-03-03T08:00\n",
    "an American date": "time\n03/03/2026 08:00\n",
    "a day": "time\n2026-03-03\n",
    "a zone against none": "time\n2026-03-03T08:00\n2026-03-04T08:00Z\n",
    "a negative activity": "time,eluted_mbq,reference_time\n2026-03-03T08:00,-5,2026-03-03T08:00\n",
    "an activity in words": "time,eluted_mbq,reference_time\n2026-03-03T08:00,1.3 GBq,2026-03-03T08:00\n",
    "a yield in percent": "time,yield\n2026-03-03T08:00,70\n",
    "a reading before its elution": "time,eluted_mbq,reference_time\n2026-03-03T08:00,900,2026-03-03T07:00\n",
    "a reading of next year": "time,eluted_mbq,reference_time\n2026-03-03T08:00,900,2027-03-03T07:00\n",
    "the same elution twice": "time\n2026-03-03T08:00\n2026-03-03T08:00\n",
    "another generator": "time,generator\n2026-03-03T08:00,G9\n",
    "an unknown denominator": "time,breakthrough_percent,breakthrough_of\n2026-03-03T08:00,0.001,column\n",
    "two units": "time,eluted_mbq,eluted_gbq\n2026-03-03T08:00,900,0.9\n",
    "bytes": b"\xff\xfe\x00time",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_a_log_that_cannot_be_used_is_refused_in_one_sentence(tmp_path, text):
    options = GeneratorOptions(ge68_mbq=1850.0, calibrated="2026-03-02T12:00", yields=(0.7,))
    with pytest.raises(InputError) as refused:
        assessed(tmp_path, text, options)
    assert "\n" not in str(refused.value)
    assert "log.csv" in str(refused.value) or "generator" in str(refused.value)


@pytest.mark.parametrize("seed", range(40))
def test_broken_files_end_in_a_refusal_or_a_result(tmp_path, seed):
    """Bytes of a good log, changed at random: never another exception."""
    rng = np.random.default_rng(seed)
    good = bytearray(make_log_csv(GeneratorTruth(n=6), rng=rng).encode())
    for _ in range(int(rng.integers(1, 8))):
        good[int(rng.integers(len(good)))] = int(rng.choice(list(b'0123456789,;-:T.\n"ex\xff')))
    try:
        said = [f"{len(assessed(tmp_path, bytes(good))[0].elutions)} elutions"]
    except FusinError as err:
        said = str(err).split("\n")
    assert len(said) == 1
    assert said[0] != "0 elutions"


def test_each_elution_has_the_interval_of_the_efficiency_that_it_used(tmp_path):
    """One generator states its yield, the other is fitted: neither borrows the other's interval."""
    text = """
[[generator]]
name = "A"
ge68_mbq = 1850
yield = 0.7
yield_u = 0.02
[[generator]]
name = "B"
ge68_mbq = 700
[[elution]]
time_min = 0
generator = "A"
[[elution]]
time_min = 0
generator = "B"
eluted_mbq = 420
reference_min = 0
eluted_u_percent = 3
"""
    result, _ = assessed(tmp_path, text, GeneratorOptions(), name="two.toml")
    stated, fitted = result.eluted
    assert stated.high - stated.value == pytest.approx(1.96 * 0.02 * 1850.3, rel=1e-3)
    assert fitted.high - fitted.value == pytest.approx(1.96 * 0.03 * 420.0, rel=1e-3)


def test_an_elution_that_gave_nothing_is_a_yield_of_zero(tmp_path):
    text = "time,eluted_mbq,reference_time,yield\n2026-03-03T08:00,0,2026-03-03T08:00,0.7\n"
    assert assessed(tmp_path, text)[0].yields == {1: 0.0}


@pytest.mark.parametrize("activity", [1e308, 1e-300])
def test_an_activity_that_no_source_has_is_refused(activity):
    options = GeneratorOptions(ge68_mbq=activity, yields=(0.7,), elute_at=(0.0,))
    with pytest.raises(InputError, match="an activity that exists"):
        read_generator(None, options, NoticeLog())


def test_a_generator_without_stated_uncertainty_adds_none_to_the_pool(tmp_path):
    text = """
[[generator]]
name = "A"
ge68_mbq = 1850
yield = 0.7
yield_u = 0.02
[[generator]]
name = "B"
ge68_mbq = 700
yield = 0.6
[[elution]]
time_min = 0
"""
    pooled = assessed(tmp_path, text, GeneratorOptions(), name="pool.toml")[0].eluted[0]
    assert pooled.high - pooled.value == pytest.approx(1.96 * 0.02 * 1850.3, rel=1e-3)


def test_a_broken_off_elution_of_a_log_is_no_yield(tmp_path):
    text = "time_min,yield,eluted_mbq,reference_min\n0,,1300,0\n200,0,,\n400,,1230,400\n"
    result, _ = assessed(tmp_path, text, GeneratorOptions(ge68_mbq=1850.0))
    assert result.elutions[1].eluted_mbq == 0.0
    assert result.elutions[1].residual_mbq == result.elutions[1].on_column_mbq
    assert [p.number for p in result.trends[0].points] == [1, 3]


def test_what_was_measured_of_a_broken_off_elution_is_taken_off_the_column(tmp_path):
    text = "time_min,yield,eluted_mbq,reference_min\n0,0,100,0\n0.01,,1225.2,0.01\n"
    result, _ = assessed(tmp_path, text, GeneratorOptions(ge68_mbq=1850.0))
    assert result.yields[2] == pytest.approx(1225.2 / (1850.32 - 100), abs=1e-3)


def test_a_plan_after_broken_off_elutions_alone_asks_for_a_yield(tmp_path):
    options = GeneratorOptions(ge68_mbq=1850.0, plan=PlanRequest(time=400.0))
    with pytest.raises(InputError, match="a yield for the next elution"):
        assessed(tmp_path, "time_min,yield\n0,0\n", options)


def test_pooled_measurements_are_decayed_to_the_last_elution(tmp_path):
    text = "time_min,eluted_mbq,reference_min,pool\n0,1300,0,a\n67.71,600,67.71,a\n200,900,200,\n"
    result, _ = assessed(tmp_path, text, GeneratorOptions(ge68_mbq=1850.0))
    (pool,) = result.pools
    assert (pool.name, pool.numbers) == ("a", (1, 2))
    assert pool.measured_mbq == pytest.approx(1300 / 2 + 600)


def test_a_fall_within_a_day_is_scatter_and_the_last_elution_is_unusual(tmp_path):
    # Yields 0.74, 0.71, 0.69 and 0.52 within 25 hours: a slope per month would be nonsense, the drop is not.
    rows = [(0, 1327.826, 3), (170, 1085.727, 175), (335, 1055.6, 339), (1500, 902.435, 1506)]
    text = "time_min,eluted_mbq,reference_min\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows)
    result, codes = assessed(tmp_path, text, GeneratorOptions(ge68_mbq=1850.0))
    assert list(result.yields.values()) == pytest.approx([0.74, 0.71, 0.69, 0.52], abs=2e-4)
    trend = result.trends[0]
    assert trend.slope_per_month is None
    assert trend.chart.unusual == (4,)
    assert "YIELD_UNUSUAL" in codes


def test_the_warning_limits_are_students_t_of_the_other_elutions(tmp_path):
    rows = [(0, 0.70), (1000, 0.72), (2000, 0.71), (3000, 0.69)]
    points = [YieldPoint(number=k + 1, time_s=60.0 * m, value=y) for k, (m, y) in enumerate(rows)]
    chart = fit_yields(points, series="G").chart
    others = np.array([0.70, 0.72, 0.71])
    half = stats.t.ppf(0.5 + 0.9544997361036416 / 2, 2) * others.std(ddof=1) * np.sqrt(1 + 1 / 3)
    assert chart.warning_low[3] == pytest.approx(others.mean() - half)
    assert chart.warning_high[3] == pytest.approx(others.mean() + half)


def test_an_elution_before_the_calibration_is_said(tmp_path):
    options = GeneratorOptions(ge68_mbq=1850.0, calibrated="2026-03-11T08:00", yields=(0.7,))
    result, codes = assessed(tmp_path, "time\n2026-03-01T08:00\n", options)
    assert "ELUTION_BEFORE_CALIBRATION" in codes
    assert result.elutions[0].ge68_mbq == pytest.approx(1850 * 2 ** (10 / 270.95))


@pytest.mark.parametrize("header", ["Eluted (MBq)", "Eluted [MBq]", "ELUTED-MBQ", "eluted mbq"])
def test_brackets_and_capitals_of_a_column_do_not_matter(tmp_path, header):
    text = f"Time (min),{header},Reference min\n0,1300,0\n"
    result, _ = assessed(tmp_path, text, GeneratorOptions(ge68_mbq=1850.0))
    assert result.elutions[0].entry.measured_mbq == 1300.0


@pytest.mark.parametrize("header", ["eluted", "Activity"])
def test_an_activity_without_unit_is_refused(tmp_path, header):
    with pytest.raises(InputError, match="eluted_mbq or eluted_gbq"):
        assessed(tmp_path, f"time_min,{header}\n0,1300\n", GeneratorOptions(ge68_mbq=1850.0))


def test_an_empty_column_has_no_yield_and_no_reading(tmp_path):
    options = GeneratorOptions(ge68_mbq=1850.0, yields=(0.7,), start="empty")
    result, _ = assessed(tmp_path, "time_min\n0\n60\n", options)
    assert result.elutions[0].eluted_mbq == 0.0
    assert elution_rows(result)[0]["efficiency"] is None
    with pytest.raises(InputError, match="empty at that moment"):
        assessed(tmp_path, "time_min,eluted_mbq,reference_min\n0,5,0\n60,400,60\n", options)
