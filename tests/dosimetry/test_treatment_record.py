"""The treated patient's record: sums over cycles, BED, grades beside dose, files, refusals."""

from __future__ import annotations

import datetime as dt
import math

import pytest

from fusin.dosimetry.biological import bed, eqd2
from fusin.dosimetry.treatment_files import read_record
from fusin.dosimetry.treatment_record import (
    Cycle,
    CycleDose,
    OrganBiology,
    Toxicity,
    TreatmentRecord,
    organ_courses,
    toxicity_beside_dose,
)
from fusin.errors import FusinError, InputError
from fusin.provenance import NoticeLog
from fusin.stats.results import Estimate

KIDNEYS = OrganBiology(organ="kidneys", citation="made up", alpha_beta_gy=2.6, repair_half_time_h=2.8)


def gray(value, low=None, high=None):
    return Estimate(value=value, low=low, high=high, method="stated", n=1)


def cycle(number, *doses, date=None, given=7.2, prescribed=7.4):
    return Cycle(number=number, nuclide="Lu-177", given_gbq=given, prescribed_gbq=prescribed, date=date, doses=doses)


def kidneys(value, low=None, high=None, t_eff_h=41.0):
    return CycleDose(organ="kidneys", dose_gy=gray(value, low, high), t_eff_h=t_eff_h)


def record(*cycles, toxicity=(), biology=(KIDNEYS,)):
    return TreatmentRecord(patient="P1", cycles=cycles, biology=biology, toxicity=toxicity)


def codes(log):
    return [n.code for n in log]


def test_doses_and_their_limits_are_added_over_cycles():
    log = NoticeLog()
    (course,) = organ_courses(record(cycle(1, kidneys(4.0, 3.0, 5.0)), cycle(2, kidneys(3.0, 2.5, 4.0))), log)
    total = course.cumulative_gy[-1]
    assert (total.value, total.low, total.high) == (7.0, 5.5, 9.0)
    assert "fully correlated" in total.method
    assert codes(log) == []


def test_bed_of_each_cycle_is_that_of_one_exponential_and_beds_are_added():
    (course,) = organ_courses(record(cycle(1, kidneys(4.0)), cycle(2, kidneys(3.0))), NoticeLog())
    rate = math.log(2) / 41.0
    expected = [bed(d, [rate], [1.0], 2.6, 2.8) for d in (4.0, 3.0)]
    assert course.cumulative_bed_gy[-1].value == pytest.approx(sum(expected))
    assert course.cumulative_eqd2_gy[-1].value == pytest.approx(eqd2(sum(expected), 2.6))


def test_a_cycle_without_a_dose_ends_the_sum_and_never_counts_as_zero():
    log = NoticeLog()
    (course,) = organ_courses(record(cycle(1, kidneys(4.0)), cycle(2), cycle(3, kidneys(3.0))), log)
    assert [c.value if c else None for c in course.cumulative_gy] == [4.0, None, None]
    assert course.missing == (2,)
    assert codes(log) == ["CYCLE_WITHOUT_DOSE"]


def test_spellings_of_an_organ_are_one_organ():
    first = cycle(1, CycleDose(organ="Kidneys", dose_gy=gray(1.0), t_eff_h=41.0))
    second = cycle(2, CycleDose(organ="both kidneys", dose_gy=gray(2.0), t_eff_h=41.0))
    (course,) = organ_courses(record(first, second), NoticeLog())
    assert course.cumulative_gy[-1].value == 3.0


def test_no_bed_without_parameters_or_half_life():
    (plain,) = organ_courses(record(cycle(1, kidneys(4.0)), biology=()), NoticeLog())
    assert plain.bed_gy == (None,)
    log = NoticeLog()
    (missing,) = organ_courses(record(cycle(1, kidneys(4.0, t_eff_h=None))), log)
    assert missing.bed_gy == (None,)
    assert codes(log) == ["BED_WITHOUT_T_EFF"]


def test_cycles_that_overlap_are_said():
    """One T_eff of 41 h after 4 days leaves 2^(-96/41) = 20 %."""
    log = NoticeLog()
    days = dt.date(2026, 1, 1), dt.date(2026, 1, 5)
    organ_courses(record(cycle(1, kidneys(4.0), date=days[0]), cycle(2, kidneys(4.0), date=days[1])), log)
    assert codes(log) == ["CYCLES_OVERLAP"]
    assert "19.7 %" in log.notices[0].message


def test_a_grade_stands_beside_the_dose_that_its_organ_had_by_then():
    findings = (
        Toxicity(term="Creatinine increased", grade=1, organ="kidney", date=dt.date(2026, 3, 15)),
        Toxicity(term="Anaemia", grade=2, date=dt.date(2025, 12, 1)),
        Toxicity(term="Proteinuria", grade=0, organ="kidneys", cycle=1),
    )
    found = record(
        cycle(1, kidneys(4.0), date=dt.date(2026, 1, 1)),
        cycle(2, kidneys(3.0), date=dt.date(2026, 3, 1)),
        toxicity=findings,
    )
    rows = toxicity_beside_dose(found, organ_courses(found, NoticeLog()), NoticeLog())
    assert [(r["term"], r["after_cycle"]) for r in rows] == [
        ("Anaemia", 0),
        ("Proteinuria", 1),
        ("Creatinine increased", 2),
    ]
    assert rows[2]["dose_gy"].value == 7.0
    assert rows[1]["dose_gy"].value == 4.0
    assert rows[0]["dose_gy"] is None
    assert rows[2]["given_gbq"] == pytest.approx(14.4)


def test_given_activity_is_compared_with_the_prescribed_one():
    assert cycle(1, given=7.2, prescribed=7.5).deviation_percent == pytest.approx(-4.0)
    assert cycle(1, prescribed=None).deviation_percent is None


TOML = """
patient = "P1"
[[cycle]]
number = 1
date = 2026-01-15
nuclide = "177Lu"
prescribed_gbq = 7.4
given_gbq = 7.2
[[cycle.dose]]
organ = "kidneys"
dose_gy = 4.0
dose_gy_u_percent = 12
t_eff_h = 41
[[organ]]
name = "kidneys"
alpha_beta_gy = 2.6
repair_half_time_h = 2.8
limit_bed_gy = 40
citation = "made up"
[[toxicity]]
term = "Creatinine increased"
grade = 1
organ = "kidneys"
after_cycle = 1
"""


def test_a_record_is_read_from_toml_with_windows_lines_and_a_byte_order_mark(tmp_path):
    path = tmp_path / "record.toml"
    path.write_bytes(b"\xef\xbb\xbf" + TOML.replace("\n", "\r\n").encode())
    found, files = read_record(path, NoticeLog())
    assert files == (path,)
    assert found.cycles[0].nuclide == "Lu-177"
    assert found.cycles[0].doses[0].dose_gy.low < 4.0 < found.cycles[0].doses[0].dose_gy.high
    assert found.biology[0].limit_bed_gy == 40
    assert found.toxicity[0].grade == 1


def test_a_record_is_read_from_tables_with_semicolons_and_decimal_commas(tmp_path):
    (tmp_path / "c.csv").write_text("cycle;date;nuclide;prescribed_gbq;given_gbq\n1;2026-01-15;Lu-177;7,4;7,25\n")
    (tmp_path / "d.csv").write_text("cycle;organ;dose_gy;dose_gy_low;dose_gy_high;t_eff_h\n1;kidneys;4,1;3,25;5,0;41\n")
    (tmp_path / "t.csv").write_text("term;grade;organ;date\nAnaemia;2;;2026-02-01\n")
    path = tmp_path / "record.toml"
    path.write_text('patient = 7\ncycles = "c.csv"\ndoses = "d.csv"\ntoxicity = "t.csv"\n')
    found, files = read_record(path, NoticeLog())
    assert len(files) == 4
    assert found.cycles[0].given_gbq == 7.25
    assert found.cycles[0].doses[0].dose_gy.low == 3.25
    assert found.toxicity[0].date == dt.date(2026, 2, 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('patient = "P1"', ""),
        ("number = 1", "number = 1.5"),
        ("number = 1", 'number = "one"'),
        ("2026-01-15", '"15.01.2026"'),
        ('"177Lu"', '"Lutetium"'),
        ("given_gbq = 7.2", "given_gbq = 0"),
        ("given_gbq = 7.2", "given_mbq = 7200"),
        ("dose_gy = 4.0", "dose_gy = -4.0"),
        ("dose_gy_u_percent = 12", "dose_gy_low = 5.0\ndose_gy_high = 6.0"),
        ("dose_gy_u_percent = 12", "dose_gy_low = 3.0"),
        ('citation = "made up"', ""),
        ("alpha_beta_gy = 2.6", "alpha_beta_gy = 0"),
        ("alpha_beta_gy = 2.6", "alfa_beta_gy = 2.6"),
        ("grade = 1", "grade = 6"),
        ("[[cycle]]", "[[cycle]"),
        ("[[toxicity]]", "[toxicity.x]"),
    ],
)
def test_every_mistake_in_a_record_is_one_sentence(tmp_path, old, new):
    path = tmp_path / "record.toml"
    path.write_text(TOML.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        read_record(path, NoticeLog())
    assert "\n" not in str(caught.value)
    assert "record.toml" in str(caught.value) or "nuclide" in str(caught.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda: organ_courses(record(), NoticeLog()),
        lambda: organ_courses(record(cycle(1), cycle(1)), NoticeLog()),
        lambda: organ_courses(record(cycle(1, kidneys(1.0), kidneys(2.0))), NoticeLog()),
        lambda: organ_courses(
            record(cycle(1, date=dt.date(2026, 2, 1)), cycle(2, date=dt.date(2026, 1, 1))), NoticeLog()
        ),
        lambda: toxicity_beside_dose(
            record(cycle(1), toxicity=(Toxicity(term="x", grade=9, cycle=1),)), (), NoticeLog()
        ),
        lambda: toxicity_beside_dose(
            record(cycle(1), toxicity=(Toxicity(term="x", grade=1, cycle=4),)), (), NoticeLog()
        ),
        lambda: toxicity_beside_dose(record(cycle(1), toxicity=(Toxicity(term="x", grade=1),)), (), NoticeLog()),
        lambda: toxicity_beside_dose(
            record(cycle(1), toxicity=(Toxicity(term="x", grade=1, date=dt.date(2026, 1, 1)),)), (), NoticeLog()
        ),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(call):
    with pytest.raises(FusinError):
        call()


def test_bytes_that_are_no_text_and_files_that_are_not_there_are_refused(tmp_path):
    (tmp_path / "r.toml").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "r.toml", tmp_path / "none.toml", tmp_path):
        with pytest.raises(InputError):
            read_record(path, NoticeLog())
