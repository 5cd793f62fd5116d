"""The verbs of the bench that start from counts, as a user types them: numbers, files, and one sentence for each mistake."""

from __future__ import annotations

import pytest

from fusin.assays.synthetic_uptake import UptakeDesign, make_uptake
from fusin.report.demo_biodistribution import demo_files


@pytest.fixture
def bench(tmp_path, monkeypatch):
    for name, text in demo_files().items():
        (tmp_path / name).write_text(text)
    (tmp_path / "uptake.csv").write_text(make_uptake(UptakeDesign()))
    monkeypatch.chdir(tmp_path)
    return tmp_path


GA = ("--nuclide", "Ga-68")
STUDY = ("assay", "biodistribution", "tubes.csv", "--animals", "animals.csv", *GA)


def test_two_counters_give_the_same_rates(fusin, bench):
    hidex = fusin("assay", "counts", "hidex.csv", *GA, "--blank", "blank-1", "--blank", "blank-2", "--json").document()
    wizard = fusin("assay", "counts", "gamma_counter.csv", "--map", "gamma_counter.toml", *GA, "--blank", "1/blank-1",
                   "--blank", "1/blank-2", "--json").document()  # fmt: skip
    assert [t["net_cps"]["value"] for t in hidex["tubes"]] == [t["net_cps"]["value"] for t in wizard["tubes"]]
    assert hidex["background"][0]["n"] == 2


def test_spill_over_is_removed_with_named_standards(fusin, bench):
    rows = ["tube,window,counts,live_time_s,start_time"]
    for tube, high, low in (("std-Ga", 60000, 12000), ("std-Lu", 600, 60000), ("x", 24600, 28800)):
        rows += [f"{tube},high,{high},60,2026-03-02T09:00:00", f"{tube},low,{low},60,2026-03-02T09:00:00"]
    (bench / "two.csv").write_text("\n".join(rows))
    found = fusin("assay", "counts", "two.csv", "--background-cpm", "0", "--spill-over",
                  "Ga-68=high:std-Ga", "--spill-over", "Lu-177=low:std-Lu", "--json").document()  # fmt: skip
    rates = {n["nuclide"]: n["net_cps"]["value"] * 60 for n in found["nuclides"]}
    # x holds 24360.. Ga and 23926.. Lu: solve [[1, .01], [.2, 1]]; 68Ga loses 0.51 % of its mean in the minute of the count
    assert rates["Ga-68"] == pytest.approx((24600 - 0.01 * 28800) / 0.998 * 1.0051272, rel=1e-6)
    assert rates["Lu-177"] == pytest.approx((28800 - 0.2 * 24600) / 0.998, rel=1e-3)


def test_a_study_is_written_with_table_figure_and_exclusion(fusin, bench):
    done = fusin(*STUDY, "--tail-limit", "5", "--out", "out")
    assert done.code == 0, done.err
    for name in ("report.html", "results.json", "tables/organs.csv", "tables/ratios.csv", "figures/organs.svg"):
        assert (bench / "out" / name).is_file(), name
    assert "m05" in done.out + done.err
    document = fusin(*STUDY, "--tail-limit", "5", "--json").document()
    assert [e["animal"] for e in document["exclusions"]] == ["m05"]
    assert {r["organ"] for r in document["ratios"]} == {o["organ"] for o in document["organs"]} - {"tumor"}


def test_strict_refuses_what_was_assumed(fusin, bench):
    (bench / "v.csv").write_text("animal,organ,value\na,blood,1\nb,blood,2\n")
    assert fusin("assay", "biodistribution", "v.csv").code == 0
    assert fusin("assay", "biodistribution", "v.csv", "--strict").code == 3


def test_uptake_gives_rates_and_normalisation(fusin, bench):
    document = fusin("assay", "uptake", "uptake.csv", *GA, "--reference", "reference", "--json").document()
    rates = {r["tracer"]: r["rate_per_min"]["value"] for r in document["internalisation_rate"]}
    assert rates["test"] == pytest.approx(0.03, rel=0.05)
    assert {r["tracer"] for r in document["reference_normalised"]} == {"test"}
    assert document["recovery"]["outside"] == []


@pytest.mark.parametrize(
    "typed",
    [
        ("counts", "hidex.csv"),
        ("counts", "hidex.csv", *GA),
        ("counts", "hidex.csv", *GA, "--blank", "nobody"),
        ("counts", "hidex.csv", *GA, "--background-cpm", "-5"),
        ("counts", "hidex.csv", "--nuclide", "Xx-1", "--background-cpm", "5"),
        ("counts", "hidex.csv", *GA, "--background-cpm", "5", "--dead-time-us", "3"),
        ("counts", "hidex.csv", *GA, "--background-cpm", "5", "--efficiency", "0"),
        ("counts", "hidex.csv", *GA, "--background-cpm", "5", "--efficiency", "high"),
        ("counts", "hidex.csv", *GA, "--background-cpm", "5", "--applied", "everything"),
        ("counts", "hidex.csv", *GA, "--background-cpm", "5", "--reference-time", "noon"),
        ("counts", "hidex.csv", *GA, "--background-cpm", "5", "--reference-time", "2026-03-02T09:00Z"),
        ("counts", "hidex.csv", *GA, "--background-cpm", "5", "--spill-over", "Ga-68"),
        ("counts", "hidex.csv", *GA, "--map", "gamma_counter.toml"),
        ("counts", "gamma_counter.csv", *GA),
        ("counts", "gamma_counter.csv", *GA, "--map", "nothing.toml"),
        ("counts", "tubes.csv", *GA),
        ("counts", "nothing.csv", *GA),
        ("biodistribution", "tubes.csv", *GA, "--animals", "tubes.csv"),
        ("biodistribution", "tubes.csv", *GA, "--animals", "nothing.csv"),
        ("biodistribution", "tubes.csv", *GA),
        ("biodistribution", "time_course.csv", "--animals", "animals.csv"),
        ("biodistribution", "time_course.csv", "--target", "heart"),
        ("biodistribution", "time_course.csv", "--compare", "1 h"),
        ("biodistribution", "time_course.csv", "--compare", "1 h,9 h"),
        ("biodistribution", "time_course.csv", "--dispersion", "CI"),
        ("biodistribution", "animals.csv", *GA),
        ("biodistribution", "tubes.csv", "--animals", "animals.csv", *GA, "--map", "gamma_counter.toml"),
        ("biodistribution", "tubes.csv", "--animals", "animals.csv", *GA, "--window", "low"),
        ("biodistribution", "tubes.csv", "--animals", "animals.csv", *GA, "--half-life-h", "1.1"),
        ("counts", "hidex.csv", *GA, "--background-cpm", "5", "--spill-over", "Ga-68=high:tumour"),
        ("counts", "hidex.csv", *GA, "--background-cpm", "5", "--reference-time", "1999-03-02T09:00"),
        ("counts", "hidex.csv", "--half-life-h", "-1", "--background-cpm", "5"),
        ("uptake", "tubes.csv", *GA),
        ("uptake", "uptake.csv"),
        ("uptake", "uptake.csv", *GA, "--reference", "nobody"),
        ("uptake", "uptake.csv", *GA, "--recovery-limits", "105"),
    ],
)
def test_every_mistake_is_one_sentence_with_exit_3(fusin, bench, typed):
    ran = fusin("assay", *typed)
    assert ran.code == 3, (ran.out, ran.err)
    assert ran.refusal


def test_a_counter_file_without_its_map_is_told_of_the_map(fusin, bench):
    assert "--map" in fusin("assay", "counts", "gamma_counter.csv", *GA).err


def test_the_page_has_one_row_per_group_and_the_file_one_per_quantity(fusin, bench):
    document = fusin("assay", "uptake", "uptake.csv", *GA, "--out", "uptake", "--json").document()
    wide = (bench / "uptake" / document["outputs"]["groups-printed_csv"]).read_text().splitlines()
    tidy = (bench / "uptake" / document["outputs"]["groups_csv"]).read_text().splitlines()
    groups = {(g["tracer"], g["phase"], g["condition"], g["time_min"]) for g in document["groups"]}
    assert len(wide) - 1 == len(groups)
    assert len(tidy) - 1 == sum(g["per"] == "percent" for g in document["groups"])
    assert "groups_markdown" not in document["outputs"]


@pytest.mark.parametrize(
    ("typed", "used", "unused"),
    [
        (["uptake", "uptake.csv", "--nuclide", "Ga-68", "--reference", "reference"],
         {"Fieller", "Welch", "Cunningham", "Student", "Currie", "Cherry"}, {"Holm"}),
        (["biodistribution", "tubes.csv", "--animals", "animals.csv", "--nuclide", "Ga-68"],
         {"Fieller", "Welch", "Holm", "Oehlert", "Currie"}, {"Cunningham", "Efron", "Müller"}),
        (["counts", "hidex.csv", "--nuclide", "Ga-68", "--background-cpm", "70"], {"Knoll", "Currie", "Müller"}, {"Welch"}),
        (["biodistribution", "time_course.csv", "--compare", "none"], {"Student", "Fieller"}, {"Welch", "Knoll", "Cherry"}),
    ],
)  # fmt: skip
def test_methods_are_those_that_were_used_each_with_its_citation(fusin, bench, typed, used, unused):
    methods = fusin("assay", *typed, "--json").document()["provenance"]["methods"]
    text = " ".join(m["citation"] for m in methods)
    assert {name for name in used | unused if name in text} == used
    assert len({m["id"] for m in methods}) == len(methods)
