"""``fusin generator`` and ``fusin dispense`` as a user types them."""

from __future__ import annotations

import pytest

CASE_A = ("--ge68-mbq", "1850", "--yield", "0.70", "--elute-at-min", "0,180,360")
CASE_B = ("--vial-mbq", "600", "--volume-ml", "10", "--nuclide", "Ga-68", "--lead-min", "10")


def test_case_a_is_printed_as_json(fusin):
    ran = fusin("generator", *CASE_A, "--json")
    rows = ran.document()["elutions"]
    assert [r["time"] for r in rows] == [0.0, 180.0, 360.0]
    assert [r["eluted_mbq"] for r in rows] == pytest.approx([1295.2, 1151.2, 1144.0], abs=0.05)
    assert [r["residual_mbq"] for r in rows] == pytest.approx([555.1, 493.4, 490.3], abs=0.05)


def test_clock_times_come_back_as_iso(fusin):
    ran = fusin("generator", "--ge68-mbq", 1850, "--calibrated", "2026-03-02T12:00+01:00", "--yield", 0.7,
                "--elute-at", "2026-03-03T08:00+01:00,2026-03-03T11:00+01:00", "--json")  # fmt: skip
    assert [r["time"] for r in ran.document()["elutions"]] == ["2026-03-03T08:00:00+01:00", "2026-03-03T11:00:00+01:00"]


def test_one_yield_for_each_elution(fusin):
    ran = fusin("generator", "--ge68-mbq", 1850, "--yield", "0.7,0.6,0.5", "--elute-at-min", "0,180,360", "--json")
    assert [r["efficiency"] for r in ran.document()["elutions"]] == pytest.approx([0.7, 0.6, 0.5])


def test_an_empty_column_grows_in(fusin):
    ran = fusin("generator", "--ge68-mbq", 1850, "--yield", 1, "--elute-at-min", 240, "--start", "empty", "--json")
    assert ran.document()["elutions"][0]["eluted_mbq"] == pytest.approx(1690.956, abs=5e-4)


def test_the_next_elution_says_when_there_is_enough(fusin):
    ran = fusin("generator", *CASE_A, "--want-mbq", 1000, "--want-at-min", 420, "--json")
    plan = ran.document()["plan"]
    assert plan["enough"] is False
    # 490.3 MBq left, 1849.5 MBq in equilibrium, 1428.6 MBq needed: 67.71 min x log2(1359.2 / 420.9) = 114.5 min
    assert plan["earliest_time"] == pytest.approx(360 + 114.5, abs=0.3)
    assert "ELUTION_TOO_SMALL" in {n["code"] for n in ran.document()["notices"]}


# Minutes by bisection on the chain integrated as differential equations.
@pytest.mark.parametrize(("wanted", "earliest"), [(500, 12.814), (900, 81.155), (1290, 529.628), (1400, None)])
def test_without_a_time_the_next_elution_is_as_early_as_possible(fusin, wanted, earliest):
    ran = fusin("generator", "--ge68-mbq", 1850, "--yield", 0.7, "--elute-at-min", 0, "--want-mbq", wanted, "--json")
    plan = ran.document()["plan"]
    assert plan["earliest_time"] == (None if earliest is None else pytest.approx(earliest, abs=0.001))
    assert plan["enough"] is (earliest is not None)
    assert plan["time"] == pytest.approx(plan["largest_time"] if earliest is None else earliest, abs=0.001)


def test_68ga_that_is_on_the_column_is_taken_at_its_word(fusin):
    ran = fusin("generator", "--ge68-mbq", 1500, "--ga68-mbq", 200, "--yield", 0.7, "--elute-at-min", "15,33", "--json")
    assert [r["eluted_mbq"] for r in ran.document()["elutions"]] == pytest.approx([269.5332, 243.9445], abs=1e-4)
    assert ran.document()["generators"][0]["start_ga68_mbq"] == 200.0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--ge68-mbq", "1850", "--yield", "70", "--elute-at-min", "0"), "0.7, not 70"),
        (("--ge68-mbq", "1850", "--elute-at-min", "0"), "--yield"),
        (("--yield", "0.7", "--elute-at-min", "0"), "ge68_mbq"),
        (("--ge68-mbq", "-5", "--yield", "0.7", "--elute-at-min", "0"), "above 0"),
        (("--ge68-mbq", "1850", "--yield", "0.7"), "a log, times"),
        (("--ge68-mbq", "1850", "--yield", "0.7", "--elute-at-min", "0,x"), "'x'"),
        (("--ge68-mbq", "1850", "--yield", "0.7", "--elute-at-min", "180,0"), "rising times"),
        (("--ge68-mbq", "1850", "--yield", "0.7,0.6", "--elute-at-min", "0"), "number of yields"),
        (("--ge68-mbq", "1850", "--yield", "0.7", "--elute-at", "2026-03-03T08:00"), "--calibrated"),
        (("--ge68-mbq", "1850", "--yield", "0.7", "--want-mbq", "500"), "--want-at"),
        ((*CASE_A, "--want-at-min", "100"), "after the last elution"),
        ((*CASE_A, "--retire", "mine"), "itm"),
        ((*CASE_A, "--control", "cusum"), "regression"),
        ((*CASE_A, "--breakthrough-limit-percent", "0.001"), "breakthrough_limit_of"),
        ((*CASE_A, "--yield-u", "nan"), "plain number"),
        ((*CASE_A, "--ge68-u-percent", "-3"), "at least 0"),
        (("nothing.csv",), "nothing.csv"),
        (("nothing.toml",), "nothing.toml"),
    ],
)
def test_a_generator_that_cannot_be_is_refused_in_one_sentence(fusin, arguments, said):
    ran = fusin("generator", *arguments)
    assert ran.code == 3
    assert said in ran.refusal


def test_case_b_is_printed_as_json(fusin):
    patients = [w for i, m in enumerate((20, 50, 80, 110), start=1) for w in ("--patient", f"P{i}=150@{m}")]
    found = fusin("dispense", *CASE_B, *patients, "--json").document()
    assert found["feasible"] is False
    assert [p["volume_ml"] for p in found["patients"]] == pytest.approx([3.068, 4.171, 5.670, 7.709], abs=5e-4)
    assert [p["draw_time"] for p in found["patients"]] == [10.0, 40.0, 70.0, 100.0]
    assert [p["served"] for p in found["patients"]] == [True, True, False, False]
    assert "12.909" in found["reason"]


def test_a_day_that_fits_has_no_reason(fusin):
    found = fusin(
        "dispense", *CASE_B, "--at", "2026-03-02T09:00", "--patient", "P1=150@2026-03-02T09:20", "--json"
    ).document()
    assert (found["feasible"], found["reason"]) == (True, None)
    assert found["patients"][0]["draw_time"] == "2026-03-02T09:10:00"


def test_the_console_prints_a_draw_sheet_with_blanks(fusin):
    ran = fusin("dispense", *CASE_B, "--patient", "P1=150@20")
    assert ran.code == 0
    assert "Draw sheet" in ran.out
    assert "________ MBq" in ran.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--vial-mbq"),
        (CASE_B, "at least one patient"),
        (("--vial-mbq", "600", "--volume-ml", "10", "--patient", "P=1@2"), "--nuclide"),
        ((*CASE_B, "--patient", "P1=150"), "ID=MBq@time"),
        ((*CASE_B, "--patient", "P1=1,5@20"), "ID=MBq@time"),
        ((*CASE_B, "--patient", "P1=150@2026-03-02T09:20"), "--at"),
        ((*CASE_B, "--patient", "P1=150@20", "--limit", "peptide"), "NAME=AMOUNT"),
        ((*CASE_B, "--patient", "P1=150@20", "--what-if", "maybe"), "later=15"),
        ((*CASE_B, "--patient", "P1=150@20", "--dead-volume-ml", "12"), "below the volume"),
        ((*CASE_B, "--patient", "P1=150@1e9"), "hundred years"),
        ((*CASE_B, "--patient", "P1=150@1e7"), "half-lives"),
        (("nothing.csv", *CASE_B), "nothing.csv"),
    ],
)
def test_a_day_that_cannot_be_is_refused_in_one_sentence(fusin, arguments, said):
    ran = fusin("dispense", *arguments)
    assert ran.code == 3
    assert said in ran.refusal
