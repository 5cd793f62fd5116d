"""%ID/g of single animals: by hand, by known truth, by what must not change, and by what must be refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from fusin.assays.biodistribution_files import StudyFiles, StudySetup, read_study
from fusin.assays.biodistribution_groups import compare_groups, organ_ratios, summarise
from fusin.assays.biodistribution_values import kind_of_table, read_means, read_values
from fusin.assays.counter_files import read_counter_file
from fusin.assays.counting_runs import RunSetup
from fusin.assays.synthetic_counts import BiodistributionDesign, make_biodistribution
from fusin.errors import FusinError, InputError, InvalidValue, MissingValue, StrictRefusal
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog

HEAD = "animal,organ,kind,counts,live_time_s,start_time,mass_g,full_g,empty_g,fraction_of_dose"
ROWS = [
    ",,blank,60,60,2026-03-02T12:00:00,,,,",
    ",,standard,60060,60,2026-03-02T12:02:00,,,,0.01",
    "m1,blood,,12060,60,2026-03-02T12:04:00,0.5,,,",
    "m1,tumor,,120060,60,2026-03-02T12:06:00,,6.75,6.5,",
    "m1,tail,,300060,60,2026-03-02T12:08:00,,,,",
]
ANIMALS = "animal,group,body_weight_g,time_h,injected_fraction\nm1,a,20,1,1\n"


def study(tmp_path, rows=ROWS, animals=ANIMALS, log=None, head=HEAD, **setup):
    (tmp_path / "tubes.csv").write_text("\n".join([head, *rows]) + "\n")
    path = None
    if animals:
        path = tmp_path / "animals.csv"
        path.write_text(animals)
    run = setup.pop("run", RunSetup(nuclide="Lu-177"))
    found, _ = read_study(
        StudyFiles(samples=tmp_path / "tubes.csv", animals=path), StudySetup(run=run, **setup),
        NoticeLog() if log is None else log,
    )  # fmt: skip
    return found


def by_organ(found, name):
    return next(v for v in found.values if v.organ == name)


def test_a_small_study_by_hand(tmp_path):
    found = study(tmp_path)
    # net counts: standard 60000 = 1 %, so the dose is 6e6; tail 300000 is subtracted; decay of 177Lu in minutes is 1e-4 each
    net_dose = 6e6 - 3e5
    assert by_organ(found, "blood").percent_id_per_g.value == pytest.approx(100 * 12000 / net_dose / 0.5, rel=1e-3)
    assert by_organ(found, "tumor").percent_id_per_g.value == pytest.approx(100 * 120000 / net_dose / 0.25, rel=1e-3)
    assert by_organ(found, "tumor").percent_id.value == pytest.approx(100 * 120000 / net_dose, rel=1e-3)
    assert by_organ(found, "blood").suv.value == pytest.approx(
        by_organ(found, "blood").percent_id_per_g.value * 20 / 100
    )
    assert found.doses["m1"].tail_percent.value == pytest.approx(5.0, rel=1e-3)
    assert found.recovery["m1"].value == pytest.approx(100 * 432000 / 6e6, rel=1e-3)
    assert "m1" not in found.whole_body
    kept = study(tmp_path, subtract_tail=False)
    assert by_organ(kept, "blood").percent_id_per_g.value == pytest.approx(100 * 12000 / 6e6 / 0.5, rel=1e-3)


def test_uncertainty_of_a_value_by_hand(tmp_path):
    found = by_organ(study(tmp_path, balance_sd_mg=1.0, subtract_tail=False), "tumor").percent_id_per_g
    mass = math.sqrt(2) * 0.001 / 0.25
    by_hand = math.sqrt(120060 + 60) / 120000, math.sqrt(60060 + 60) / 60000, mass
    assert found.u / found.value == pytest.approx(math.hypot(*by_hand), rel=2e-3)
    assert set(found.variance_shares()) >= {"counting", "background", "weighing"}


def test_uncorrected_value_is_the_corrected_one_decayed_until_sacrifice(tmp_path):
    found = by_organ(study(tmp_path, run=RunSetup(nuclide="Ga-68")), "blood")
    assert found.decay_to_sacrifice == pytest.approx(2 ** (-3600 / nuclide("Ga-68").half_life_s))


def test_truth_comes_back_from_made_up_tubes(tmp_path):
    """All values of two groups lie within four of their own standard uncertainties of what was put in."""
    made = make_biodistribution(BiodistributionDesign(), seed=3)
    for name, text in made.files.items():
        (tmp_path / name).write_text(text)
    setup = StudySetup(run=RunSetup(nuclide="Ga-68"), balance_sd_mg=0.1)
    found, _ = read_study(
        StudyFiles(samples=tmp_path / "tubes.csv", animals=tmp_path / "animals.csv"), setup, NoticeLog()
    )
    pulls = [
        (v.percent_id_per_g.value - made.truth[v.animal, v.organ]) / v.percent_id_per_g.u
        for v in found.values
        if v.organ != "tail"
    ]
    assert len(pulls) == len(made.truth) == 100
    assert max(map(abs, pulls)) < 4


def test_twice_the_counts_and_twice_the_time_change_nothing(tmp_path):
    once = by_organ(study(tmp_path), "blood").percent_id_per_g.value
    doubled = []
    for row in ROWS:
        cells = row.split(",")
        cells[3], cells[4] = str(2 * int(cells[3])), "120"
        doubled.append(",".join(cells))
    assert by_organ(study(tmp_path, rows=doubled), "blood").percent_id_per_g.value == pytest.approx(once, rel=1e-3)


@pytest.mark.parametrize(
    ("standard", "animal_head", "animal_row"),
    [
        ("stock_g,0.0015", "syringe_full_g,syringe_residual_g", "0.65,0.5"),
        ("stock_ml,0.0015", "injected_ml", "0.15"),
        ("fraction_of_dose,0.01", "injected_fraction", "1"),
    ],
)
def test_the_ways_to_state_the_dose_agree(tmp_path, standard, animal_head, animal_row):
    column, amount = standard.split(",")
    rows = [",".join([*r.split(",")[:-1], amount if "standard" in r else ""]) for r in ROWS]
    head = HEAD.replace("fraction_of_dose", column)
    found = study(tmp_path, rows=rows, head=head, animals=f"animal,{animal_head}\nm1,{animal_row}\n")
    assert by_organ(found, "blood").percent_id.value == pytest.approx(100 * 12000 / (6e6 - 3e5), rel=1e-3)


def test_activities_are_brought_to_one_time(tmp_path):
    """A syringe measured one half-life before the standard holds half of its reading then."""
    half_life = nuclide("Ga-68").half_life_s
    from datetime import datetime, timedelta

    when = datetime(2026, 3, 2, 12, 2)
    rows = [",".join([*r.split(",")[:-1], "0.5,2026-03-02T12:02:00" if "standard" in r else ","]) for r in ROWS]
    head = HEAD.replace("fraction_of_dose", "activity_mbq,activity_time")
    early = (when - timedelta(seconds=half_life)).isoformat()
    animals = f"animal,syringe_full_mbq,syringe_full_time,syringe_residual_mbq,syringe_residual_time\nm1,110,{early},10,{early}\n"
    found = study(tmp_path, rows=rows, head=head, animals=animals, run=RunSetup(nuclide="Ga-68"))
    # 100 MBq net, 50 at the time of the standard, which is 0.5 MBq: a hundredth
    again = study(tmp_path, run=RunSetup(nuclide="Ga-68"))
    assert by_organ(found, "blood").percent_id.value == pytest.approx(
        by_organ(again, "blood").percent_id.value, rel=1e-9
    )


def test_extravasation_is_listed_with_its_reason_and_never_silent(tmp_path):
    rows = [*ROWS, "m2,blood,,12060,60,2026-03-02T12:10:00,0.5,,,", "m2,tail,,60,60,2026-03-02T12:12:00,,,,"]
    animals = ANIMALS + "m2,a,20,1,1\n"
    found = study(tmp_path, rows=rows, animals=animals, tail_limit_percent=3.0)
    assert [(e.animal, e.rule) for e in found.exclusions] == [("m1", "extravasation")]
    assert "5.0 %" in found.exclusions[0].reason
    assert {v.animal for v in found.values} == {"m2"}
    assert study(tmp_path, rows=rows, animals=animals).exclusions == ()
    with pytest.raises(MissingValue) as caught:
        study(tmp_path, tail_limit_percent=3.0)
    assert caught.value.code == "ALL_EXCLUDED"


def test_a_tail_that_nobody_counted_is_pointed_out(tmp_path):
    log = NoticeLog()
    study(tmp_path, rows=ROWS[:-1], tail_limit_percent=3.0, log=log)
    assert "TAIL_NOT_COUNTED" in [n.code for n in log]


def test_the_carcass_completes_the_recovery(tmp_path):
    found = study(tmp_path, rows=[*ROWS, "m1,Carcass,,5568060,60,2026-03-02T12:10:00,,,,"])
    assert "m1" in found.whole_body
    assert found.recovery["m1"].value == pytest.approx(100.0, rel=1e-3)


def test_a_negative_net_rate_gives_a_negative_value(tmp_path):
    rows = [r.replace("12060,60", "30,60") for r in ROWS]
    found = by_organ(study(tmp_path, rows=rows), "blood")
    assert found.percent_id_per_g.value < 0
    assert found.detected is False


def test_a_dose_nobody_measured_is_noted_and_refused_when_strict(tmp_path):
    log = NoticeLog()
    study(tmp_path, animals=None, log=log)
    assert "NOMINAL_DOSE_ASSUMED" in [n.code for n in log]
    with pytest.raises(StrictRefusal):
        study(tmp_path, animals=None, log=NoticeLog(strict=True))


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        (",6.75,6.5,", ",6.5,6.75,", "wet mass above 0"),
        (",6.75,6.5,", ",6.75,,", "full_g and empty_g together"),
        (",0.5,,,", ",-0.5,,,", "wet mass above 0"),
        (",0.5,,,", ",0.5,7,6.5,", "not both"),
        ("m1,tumor", "m1,blood", "each once"),
        ("m1,tumor", "m9,tumor", "table of animals"),
        ("m1,tumor", ",tumor", "each tissue"),
        ("standard", "sample", "each tissue"),
        (",0.01", ",", "amount of the standard"),
        (",0.01", ",0", "above 0"),
        ("60060", "30", "above background"),
        ("12060,60", "12060,0", "at least 0.001"),
        ("12060", "12 060 cpm", "plain number"),
        (",blank,60", ",other,60", "one of"),
        ("T12:04:00", " later", "that exists"),
        ("12060,60,2026", "12060,,2026", "live_time_s"),
    ],
)
def test_a_bad_table_is_one_sentence(tmp_path, old, new, word):
    with pytest.raises(FusinError) as caught:
        study(tmp_path, rows=[r.replace(old, new, 1) for r in ROWS])
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("animals", "word"),
    [
        ("animal,injected_fraction,injection_time\nm1,1,2026-03-02T13:00:00\n", "injection_time"),
        ("animal,injection_time,sacrifice_time\nm1,2026-03-02T11:00:00,2026-03-02T10:00:00\n", "after the injection"),
        ("animal,injected_fraction\nm1,0\n", "full syringe"),
        ("animal,body_weight_g\nm1,0\n", "weight above 0"),
        ("animal,time_h,time_min\nm1,1,60\n", "the time once"),
        ("animal,injected_fraction\nm1,0.02\n", "less than all of it"),
    ],
)
def test_impossible_animals_are_one_sentence(tmp_path, animals, word):
    with pytest.raises(FusinError) as caught:
        study(tmp_path, animals=animals)
    assert word in str(caught.value)


def test_a_missing_blank_or_standard_is_one_sentence(tmp_path):
    for row, code in ((0, "NO_BLANK"), (1, "NO_STANDARD")):
        with pytest.raises(MissingValue) as caught:
            study(tmp_path, rows=[r for i, r in enumerate(ROWS) if i != row])
        assert caught.value.code == code


def test_standards_in_two_units_are_refused_and_scatter_is_kept(tmp_path):
    head = HEAD + ",stock_g"
    rows = [r + "," for r in ROWS] + [",,standard,60060,60,2026-03-02T12:20:00,,,,,0.01"]
    with pytest.raises(InvalidValue, match="one unit"):
        study(tmp_path, rows=rows, head=head)
    log = NoticeLog()
    found = study(tmp_path, rows=[*ROWS, ",,standard,66060,60,2026-03-02T12:20:00,,,,0.01"], log=log)
    assert "STANDARDS_SCATTER" in [n.code for n in log]
    assert found.calibration.rate_per_unit.u / found.calibration.rate_per_unit.value > 0.04


def test_counts_may_stand_in_a_counter_file(tmp_path):
    """The same study with its counts in a Hidex-like CSV of ours gives the same numbers."""
    once = by_organ(study(tmp_path), "tumor").percent_id_per_g.value
    counts = ["tube,counts,live_time_s,start_time"]
    tubes = ["animal,organ,kind,tube,mass_g,full_g,empty_g,fraction_of_dose"]
    for i, row in enumerate(ROWS):
        c = row.split(",")
        counts.append(f"t{i},{c[3]},{c[4]},{c[5]}")
        tubes.append(",".join([*c[:3], f"t{i}", *c[6:]]))
    for name, lines in (("c.csv", counts), ("t.csv", tubes), ("a.csv", ANIMALS.splitlines())):
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    readings = read_counter_file(tmp_path / "c.csv", NoticeLog())
    files = StudyFiles(samples=tmp_path / "t.csv", animals=tmp_path / "a.csv", readings=readings)
    found, _ = read_study(files, StudySetup(run=RunSetup(nuclide="Lu-177")), NoticeLog())
    assert by_organ(found, "tumor").percent_id_per_g.value == once
    (tmp_path / "t.csv").write_text("\n".join(tubes).replace("t2", "t9") + "\n")
    with pytest.raises(InputError, match="counter file"):
        read_study(files, StudySetup(run=RunSetup(nuclide="Lu-177")), NoticeLog())


def values(tmp_path, text):
    (tmp_path / "v.csv").write_text(text)
    return read_values(tmp_path / "v.csv", NoticeLog())


def test_tables_are_told_apart_by_their_columns(tmp_path):
    for text, kind in (("animal,organ,value\na,b,1\n", "values"), ("organ,mean,sd,n\na,1,1,3\n", "means"),
                       ("animal,organ,counts\na,b,1\n", "counts")):  # fmt: skip
        (tmp_path / "x.csv").write_text(text)
        assert kind_of_table(tmp_path / "x.csv") == kind


def test_values_without_a_unit_are_taken_as_percent_per_gram_with_a_notice(tmp_path):
    log = NoticeLog()
    (tmp_path / "v.csv").write_text("animal;organ;value;group\nm1;blood;1,25;a\n")
    found, quantity = read_values(tmp_path / "v.csv", log)
    assert quantity == "percent_id_per_g"
    assert found.values[0].percent_id_per_g.value == 1.25
    assert {"VALUE_UNIT_ASSUMED", "DECIMAL_COMMA"} <= {n.code for n in log}


def test_groups_have_the_mean_and_sd_of_their_animals_and_spelling_is_kept(tmp_path):
    found, quantity = values(tmp_path, "animal,organ,percent_id_per_g,group,time_h\n" + "".join(
        f"m{i},Bludd,{x},a,1\n" for i, x in enumerate((1.0, 2.0, 4.0))))  # fmt: skip
    (one,) = summarise(found.values, quantity)
    assert (one.organ, one.n) == ("Bludd", 3)
    assert (one.mean.value, one.sd) == (pytest.approx(7 / 3), pytest.approx(np.std([1, 2, 4], ddof=1)))
    low, high = stats.t.interval(0.95, 2, loc=7 / 3, scale=one.sem)
    assert (one.mean.low, one.mean.high) == (pytest.approx(low), pytest.approx(high))


def test_sem_of_a_printed_table_becomes_its_sd(tmp_path):
    (tmp_path / "m.csv").write_text("organ,mean,sem,n\nblood,1,0.1,4\n")
    assert read_means(tmp_path / "m.csv", NoticeLog())[0].sd == pytest.approx(0.2)


def two_groups(tmp_path):
    rng = np.random.default_rng(8)
    rows, data = ["animal,organ,percent_id_per_g,group"], {}
    for group, factor in (("a", 1.0), ("b", 0.5)):
        for i in range(5):
            for organ, mean in (("tumor", 16.0), ("blood", 1.0), ("kidney", 2.0)):
                value = mean * (factor if organ == "tumor" else 1.0) * np.exp(0.2 * rng.standard_normal())
                rows.append(f"{group}{i},{organ},{value:.6f},{group}")
                data.setdefault((organ, group), []).append(float(f"{value:.6f}"))
    found, _ = values(tmp_path, "\n".join(rows) + "\n")
    return found.values, data


def test_tests_are_welch_and_holm_as_others_compute_them(tmp_path):
    found, data = two_groups(tmp_path)
    compared = compare_groups(found, [("a", "b")], target="tumor")
    own = [c for c in compared if c.quantity == "value"]
    expected = [stats.ttest_ind(data[c.organ, "a"], data[c.organ, "b"], equal_var=False).pvalue for c in own]
    assert [c.test.p for c in own] == pytest.approx(expected)
    assert [c.p_adjusted for c in own] == pytest.approx(multipletests(expected, method="holm")[1])
    ratio = next(c for c in compared if (c.quantity, c.organ) == ("ratio", "blood"))
    logs = [np.log(np.array(data["tumor", g]) / data["blood", g]) for g in "ab"]
    assert ratio.test.p == pytest.approx(stats.ttest_ind(*logs, equal_var=False).pvalue)
    assert ratio.test.effect.value == pytest.approx(np.exp(logs[0].mean() - logs[1].mean()))


def test_ratios_use_the_animals_that_have_both(tmp_path):
    found, data = two_groups(tmp_path)
    kept = [v for v in found if (v.animal, v.organ) != ("a0", "blood")]
    blood = next(r for r in organ_ratios(kept, "tumor") if (r.group, r.organ) == ("a", "blood"))
    ratios = np.array(data["tumor", "a"][1:]) / data["blood", "a"][1:]
    assert blood.per_animal.n == 4
    assert blood.per_animal.mean.value == pytest.approx(ratios.mean())


def test_a_label_that_is_no_group_is_refused(tmp_path):
    found, _ = two_groups(tmp_path)
    with pytest.raises(InputError, match="two groups or two times"):
        compare_groups(found, [("a", "c")])


@pytest.mark.parametrize(("hours", "said"), [(1, False), (1.2, False), (4, True)])
def test_a_time_point_that_the_clock_contradicts_is_said(tmp_path, hours, said):
    animals = (
        "animal,time_h,injected_fraction,injection_time,sacrifice_time\n"
        f"m1,{hours},1,2026-03-02T10:00:00,2026-03-02T11:03:00\n"
    )
    log = NoticeLog()
    study(tmp_path, animals=animals, log=log)
    assert ("TIME_POINT_CONTRADICTED" in {n.code for n in log}) is said
