"""Reading vials and patients, and what if."""

from __future__ import annotations

import numpy as np
import pytest

from fusin.errors import FusinError, InputError
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.dispensing_files import DispenseOptions, read_dispensing
from fusin.radiopharmacy.dispensing_plan import plan_doses
from fusin.radiopharmacy.dispensing_whatif import what_if

VIAL = {"activity_mbq": 600.0, "volume_ml": 10.0, "nuclide": "68Ga"}
CLOCKED = VIAL | {"reference_time": "2026-03-02T09:00"}
DAY = """
[rules]
lead_min = 10
residual_percent = 2
[limits]
peptide_ug = 50
[[vial]]
name = "A"
nuclide = "Ga-68"
activity_gbq = 0.6
reference_time = 2026-03-02T09:00:00
volume_ml = 10
content = { peptide_ug = "<50" }
[[patient]]
id = "P1"
dose_mbq = 150
injection_time = 2026-03-02T09:20:00
[[patient]]
id = 2
dose_mbq = 100
earliest = 2026-03-02T09:40:00
latest = 2026-03-02T11:00:00
lead_min = 5
"""


def read(tmp_path, text, name="day.toml", vial=None, **more):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return read_dispensing(path, DispenseOptions(vial=vial or {}, **more), NoticeLog())


def planned(request):
    return plan_doses(request.orders, request.vials, request.rules, clock=request.clock, log=NoticeLog())


def test_a_day_in_toml_is_read_with_its_rules(tmp_path):
    request = read(tmp_path, DAY)
    assert request.vials[0].activity_mbq == pytest.approx(600.0)
    assert request.vials[0].content_per_ml == {"peptide_ug": 5.0}
    first, second = request.orders
    assert (first.id, first.lead_s, first.residual_fraction) == ("P1", 600.0, 0.02)
    assert (second.id, second.lead_s, second.earliest_s, second.latest_s) == ("2", 300.0, 2400.0, 7200.0)


def test_a_csv_of_patients_with_semicolons_and_commas_is_read(tmp_path):
    text = "Patient;time;dose_mbq\r\nP1;2026-03-02T09:20;150,5\r\nP2;2026-03-02T09:50;150,0\r\n"
    request = read(tmp_path, text, "patients.csv", CLOCKED)
    assert [o.dose_mbq for o in request.orders] == [150.5, 150.0]
    assert request.orders[1].earliest_s == 3000.0


def test_minutes_and_typed_patients_give_case_b():
    patients = tuple(f"P{i}=150@{m}" for i, m in enumerate((20, 50, 80, 110), start=1))
    options = DispenseOptions(vial=VIAL, rules={"lead_min": 10.0}, patients=patients)
    plan = planned(read_dispensing(None, options, NoticeLog()))
    assert [s.volume_ml for s in plan.servings] == pytest.approx([3.068, 4.171, 5.670, 7.709], abs=5e-4)


def test_zones_of_vial_and_patient_may_differ(tmp_path):
    vial = VIAL | {"reference_time": "2026-03-02T09:00+01:00"}
    request = read(tmp_path, "id,time,dose_mbq\nP1,2026-03-02T08:20Z,150\n", "p.csv", vial)
    assert request.orders[0].earliest_s == 1200.0


@pytest.mark.parametrize(
    ("change", "served", "of"),
    [
        ("later=15", 2, 2),
        ("later=60", 1, 2),
        ("later:2=600", 1, 2),
        ("dose:P1=700", 1, 2),
        ("extra:P9=400@20", 2, 3),
        ("drop:P1", 1, 1),
    ],
)
def test_what_if_plans_the_day_again(tmp_path, change, served, of):
    text = "id,time_min,dose_mbq\nP1,20,200\n2,40,150\n"
    found = what_if(read(tmp_path, text, "p.csv", VIAL), change).plan
    assert (sum(s.served for s in found.servings), len(found.servings)) == (served, of)


@pytest.mark.parametrize(
    "change", ["", "later", "later=x", "dose=5", "dose:P9=5", "dose:P1=-5", "extra:P9=150", "drop:P1=3", "sooner=5"]
)
def test_a_change_that_is_not_understood_is_refused(tmp_path, change):
    request = read(tmp_path, "id,time_min,dose_mbq\nP1,20,200\n", "p.csv", VIAL)
    with pytest.raises(InputError, match=r"--(what-if|patient)"):
        what_if(request, change)


BAD = {
    "no vial": ("id,time_min,dose_mbq\nP1,20,150\n", {}),
    "no nuclide": ("id,time_min,dose_mbq\nP1,20,150\n", {"activity_mbq": 600.0, "volume_ml": 10.0}),
    "an unknown nuclide": ("id,time_min,dose_mbq\nP1,20,150\n", VIAL | {"nuclide": "Xx-1"}),
    "a dead volume above the volume": ("id,time_min,dose_mbq\nP1,20,150\n", VIAL | {"dead_volume_ml": 11.0}),
    "an expiry before the vial": ("id,time_min,dose_mbq\nP1,20,150\n", VIAL | {"expires_min": -5.0}),
    "no time": ("id,dose_mbq\nP1,150\n", VIAL),
    "no dose": ("id,time_min\nP1,20\n", VIAL),
    "a dose of 0": ("id,time_min,dose_mbq\nP1,20,0\n", VIAL),
    "a patient twice": ("id,time_min,dose_mbq\nP1,20,150\nP1,50,150\n", VIAL),
    "a window that ends before it begins": ("id,earliest_min,latest_min,dose_mbq\nP1,50,20,150\n", VIAL),
    "a clock time and a vial without": ("id,time,dose_mbq\nP1,2026-03-02T09:20,150\n", VIAL),
    "a clock time of another kind": ("id,time,dose_mbq\nP1,2026-03-02T09:20Z,150\n", CLOCKED),
    "a time of day alone": ("id,time,dose_mbq\nP1,09:20,150\n", CLOCKED),
    "all of it in the syringe": ("id,time_min,dose_mbq,residual_percent\nP1,20,150,100\n", VIAL),
    "text": ("id,time_min,dose_mbq\nP1,20,much\n", VIAL),
}


@pytest.mark.parametrize(("text", "vial"), BAD.values(), ids=BAD)
def test_what_cannot_be_used_is_refused_in_one_sentence(tmp_path, text, vial):
    with pytest.raises(InputError) as refused:
        planned(read(tmp_path, text, "patients.csv", vial))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("residual_percent", "residal_percent"),
        ("volume_ml = 10", "volume_ml = '10'"),
        ("[limits]", "[limit]"),
        ('name = "A"', "name = []"),
    ],
)
def test_a_misspelt_day_is_refused(tmp_path, old, new):
    with pytest.raises(InputError, match=r"day\.toml"):
        read(tmp_path, DAY.replace(old, new))


@pytest.mark.parametrize("seed", range(40))
def test_broken_days_end_in_a_refusal_or_a_plan(tmp_path, seed):
    rng = np.random.default_rng(seed)
    good = bytearray(DAY.encode())
    for _ in range(int(rng.integers(1, 5))):
        good[int(rng.integers(len(good)))] = int(rng.choice(list(b'0123456789-.=[]"\n{}e')))
    try:
        said = [f"{len(planned(read(tmp_path, bytes(good))).servings)} doses"]
    except FusinError as err:
        said = str(err).split("\n")
    assert len(said) == 1
    assert said[0] != "0 doses"


@pytest.mark.parametrize(("column", "said"), [("lead", "'lead_min'"), ("residual", "'residual_ml'")])
def test_a_column_that_lacks_its_unit_is_warned_of(tmp_path, column, said):
    path = tmp_path / "patients.csv"
    path.write_text(f"id,dose_mbq,injection_min,{column}\nP1,150,30,2\n", encoding="utf-8")
    log = NoticeLog()
    read_dispensing(path, DispenseOptions(vial=VIAL), log)
    (notice,) = list(log)
    assert notice.code == "COLUMN_NOT_USED"
    assert said in notice.message


@pytest.mark.parametrize("header", ["Dose (MBq)", "Dose [MBq]", "dose-mbq", "DOSE MBQ", "Activity (MBq)"])
def test_brackets_and_capitals_of_a_column_do_not_matter(tmp_path, header):
    request = read(tmp_path, f"Patient,{header},Injection (min)\nP1,150,30\n", "patients.csv", VIAL)
    assert request.orders[0].dose_mbq == 150.0


def test_a_dose_without_unit_is_asked_for_it(tmp_path):
    with pytest.raises(InputError, match="dose_mbq or dose_gbq or dose_mci"):
        read(tmp_path, "id,dose,injection_min\nP1,150,30\n", "patients.csv", VIAL)


def test_a_moment_of_the_draw_is_pointed_to_the_lead(tmp_path):
    with pytest.raises(InputError, match="lead_min"):
        read(tmp_path, DAY.replace("lead_min = 5", "draw_min = 40"))


@pytest.mark.parametrize("text", ["P1=1e300@20", "P1=1e-300@20"])
def test_a_typed_dose_that_nothing_has_is_refused(text):
    with pytest.raises(InputError, match="an activity that exists"):
        read_dispensing(None, DispenseOptions(vial=VIAL, patients=(text,)), NoticeLog())
