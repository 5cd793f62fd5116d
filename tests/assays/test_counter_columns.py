"""Headings as other people spell them: read where they have one meaning, refused where a unit is missing, never guessed."""

from __future__ import annotations

import pytest

from fusin.assays.biodistribution_files import StudyFiles, StudySetup, read_study
from fusin.assays.biodistribution_tables import ANIMALS_TABLE, SAMPLES_TABLE, VALUES_TABLE
from fusin.assays.biodistribution_values import kind_of_table, read_values
from fusin.assays.counter_columns import documented, named_rows, plain_heading
from fusin.assays.counter_files import read_counter_file
from fusin.assays.counter_tables import COUNTS_TABLE
from fusin.assays.counting_runs import RunSetup
from fusin.assays.uptake_tables import SHARES_TABLE, UPTAKE_TABLE
from fusin.errors import InputError
from fusin.provenance import NoticeLog


@pytest.mark.parametrize(
    ("heading", "schema", "name"),
    [
        ("Mass (g)", SAMPLES_TABLE, "mass_g"), ("wet weight [mg]", SAMPLES_TABLE, "mass_mg"), ("Tissue", SAMPLES_TABLE, "organ"),
        ("count_time_s", SAMPLES_TABLE, "live_time_s"), ("Counting time (s)", COUNTS_TABLE, "live_time_s"),
        ("start", COUNTS_TABLE, "start_time"),
        ("Mouse ID", ANIMALS_TABLE, "animal"), ("Weight (g)", ANIMALS_TABLE, "body_weight_g"),
        ("injected_mass_g", ANIMALS_TABLE, "injected_g"), ("%ID/g", VALUES_TABLE, "percent_id_per_g"),
        ("% ID / g", VALUES_TABLE, "percent_id_per_g"), ("%IA/g", VALUES_TABLE, "percent_id_per_g"),
        ("pct_id_per_g", VALUES_TABLE, "percent_id_per_g"), ("Time (min)", UPTAKE_TABLE, "time_min"),
        ("Internalized [%]", SHARES_TABLE, "internalised_percent"), ("Supernatant counts", UPTAKE_TABLE, "supernatant_counts"),
        ("note", SAMPLES_TABLE, None), ("ID/g", VALUES_TABLE, None), ("sample", SAMPLES_TABLE, None),
        ("\ufeffanimal", VALUES_TABLE, "animal"),
    ],
)  # fmt: skip
def test_a_heading_of_one_meaning_is_known(heading, schema, name):
    assert documented(heading, schema.names()) == name


def test_signs_and_blanks_do_not_matter():
    assert plain_heading("  Wet-Weight [mg] ") == "wet_weight_mg"


def test_no_heading_has_two_meanings_in_one_table():
    from fusin.assays import counter_columns

    for schema in (SAMPLES_TABLE, ANIMALS_TABLE, VALUES_TABLE, COUNTS_TABLE, UPTAKE_TABLE, SHARES_TABLE):
        names = set(schema.names())
        every = [s for n, others in counter_columns._MEANS.items() if n in names for s in others]
        assert len(every) == len(set(every))
        assert not set(every) & names


@pytest.mark.parametrize(
    ("text", "schema", "needed"),
    [
        ("animal,organ,counts,mass\na,b,5,120\n", SAMPLES_TABLE, "mass_g or mass_mg"),
        ("animal,organ,percent_id_per_g,timepoint\na,b,5,1\n", VALUES_TABLE, "time_min or time_h or time_d"),
        ("well,fraction,counts,time\na,S,5,30\n", UPTAKE_TABLE, "time_min or time_h"),
        (
            "well,time_min,supernatant,acid wash,lysate\na,5,1,2,3\n",
            UPTAKE_TABLE,
            "supernatant_counts or supernatant_cpm",
        ),
        ("tube,counts,counting time\na,5,60\n", COUNTS_TABLE, "live_time_s or live_time_min"),
        ("tube,counts,start,count_start\na,5,1,2\n", COUNTS_TABLE, "each column once"),
    ],
)
def test_a_heading_without_its_unit_or_meant_twice_is_refused(tmp_path, text, schema, needed):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        named_rows(tmp_path / "t.csv", schema, NoticeLog())
    assert needed in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_synonym_is_said_and_an_error_names_the_heading_of_the_file(tmp_path):
    (tmp_path / "t.csv").write_text("tube;counts;count_time_s;start\na;5;60,5;2026-03-02T09:00\n")
    log = NoticeLog()
    (one,) = read_counter_file(tmp_path / "t.csv", log)
    assert (one.live_time_s, one.start.hour) == (60.5, 9)
    assert "'count_time_s' as live_time_s" in next(n.message for n in log if n.code == "COLUMN_SYNONYM")
    (tmp_path / "t.csv").write_text("tube,counts,count_time_s,start\na,5,0,2026-03-02T09:00\n")
    with pytest.raises(InputError, match=r"row 1: count_time_s \(live_time_s\): found '0'"):
        read_counter_file(tmp_path / "t.csv", NoticeLog())


def test_the_documented_name_wins_over_a_synonym_beside_it(tmp_path):
    (tmp_path / "t.csv").write_text("tube,counts,live_time_s,count_time_s\na,5,60,7\n")
    assert read_counter_file(tmp_path / "t.csv", NoticeLog())[0].live_time_s == 60.0


@pytest.mark.parametrize("head", ["blood_percent_id_per_g,Tumor (%ID/g)", "blood %ID/g,Tumor_pct_ID_per_g"])
def test_organs_in_columns_are_read_as_rows(tmp_path, head):
    (tmp_path / "t.csv").write_text(f"mouse,group,{head}\nm1,a,1.5,16\nm2,a,,14\n")
    assert kind_of_table(tmp_path / "t.csv") == "values"
    found, quantity = read_values(tmp_path / "t.csv", NoticeLog())
    assert quantity == "percent_id_per_g"
    assert [(v.animal, v.organ, v.percent_id_per_g.value) for v in found.values] == [
        ("m1", "blood", 1.5), ("m1", "Tumor", 16.0), ("m2", "Tumor", 14.0)
    ]  # fmt: skip


def test_a_printed_mean_is_no_organ(tmp_path):
    (tmp_path / "t.csv").write_text("organ,mean,sd,n\nblood,1,0.1,4\n")
    assert kind_of_table(tmp_path / "t.csv") == "means"


TUBES = """animal,organ,kind,counts,live_time_s,start_time,mass_g,stock_g,activity_mbq,activity_time
,,blank,60,60,2026-03-02T12:00:00,,,,
,,standard,60060,60,2026-03-02T12:00:00,,0.001,,
m1,blood,,12060,60,2026-03-02T12:00:00,0.5,,,
"""


@pytest.mark.parametrize(
    ("animals", "standard"),
    [
        ("animal,syringe_full_g,syringe_residual_g\nm1,1.35,1.25\n", ",0.001,,"),
        ("animal,injected_mass_g\nm1,0.1\n", ",0.001,,"),
        ("animal,injected_mbq,injection_time\nm1,2,02.03.2026 12:00\n", ",,0.02,02.03.2026 12:00"),
    ],
)
def test_the_injected_dose_in_one_number_is_that_of_the_syringe(tmp_path, animals, standard):
    (tmp_path / "tubes.csv").write_text(TUBES.replace(",0.001,,", standard))
    (tmp_path / "animals.csv").write_text(animals)
    files = StudyFiles(samples=tmp_path / "tubes.csv", animals=tmp_path / "animals.csv")
    setup = StudySetup(run=RunSetup(nuclide="Lu-177", date_order="day-first"))
    found, _ = read_study(files, setup, NoticeLog())
    # The standard holds 1 % of what was injected, so that blood has 12000 / 6e6 in 0.5 g.
    assert found.values[0].percent_id_per_g.value == pytest.approx(0.4, rel=1e-9)


def test_a_dose_in_one_number_beside_the_syringe_is_refused(tmp_path):
    (tmp_path / "tubes.csv").write_text(TUBES)
    (tmp_path / "animals.csv").write_text("animal,injected_g,syringe_full_g,syringe_residual_g\nm1,0.1,1.35,1.25\n")
    files = StudyFiles(samples=tmp_path / "tubes.csv", animals=tmp_path / "animals.csv")
    with pytest.raises(InputError, match="not both"):
        read_study(files, StudySetup(run=RunSetup(nuclide="Lu-177")), NoticeLog())
