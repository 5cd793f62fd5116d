"""``fusin dose TABLE`` as a user types it."""

from __future__ import annotations

import pytest

TABLE = "region,time_h,activity_mbq\nkidney,4,98\nkidney,24,75\nkidney,72,37\nkidney,144,12\n"


@pytest.fixture
def table(tmp_path):
    def write(text=TABLE):
        path = tmp_path / "times.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_table_gives_the_contract_as_json(fusin, table):
    ran = fusin("dose", table(), "--nuclide", "177Lu", "--administered-mbq", 200, "--model", "mono", "--json")
    region = ran.document()["regions"][0]
    assert region["name"] == "kidney"
    assert region["model"] == "mono"
    assert region["tiac_h"]["value"] == pytest.approx(region["tia_mbq_h"]["value"] / 200)
    assert region["dose_gy"] is None
    assert region["dose_reason"] == "no mass_g"


def test_options_may_stand_before_the_table(fusin, table):
    one = fusin("dose", "--nuclide", "Lu-177", "--model", "mono", table(), "--json").document()
    two = fusin("dose", table(), "--model", "mono", "--nuclide", "Lu-177", "--json").document()
    assert one["regions"] == two["regions"]


def test_files_are_written(fusin, table, tmp_path):
    fusin("dose", table(), "--nuclide", "Lu-177", "--out", tmp_path / "out")
    names = {p.name for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert names >= {"report.html", "results.json", "doses.csv", "points.csv", "time-activity.svg"}


def test_an_earlier_cycle_is_a_prior_for_the_next(fusin, table, tmp_path):
    fusin("dose", table(), "--nuclide", "Lu-177", "--model", "mono", "--out", tmp_path / "c1")
    second = table("region,time_h,activity_mbq\nkidney,72,40\n")
    ran = fusin("dose", second, "--nuclide", "Lu-177", "--model", "map", "--uncertainty-percent", 5, "--prior",
                tmp_path / "c1" / "results.json", "--prior-gsd", 1.1, "--json")  # fmt: skip
    document = ran.document()
    assert document["regions"][0]["prior"] == "results.json: kidney"
    assert [i["path"] for i in document["provenance"]["inputs"]] == ["times.csv", "results.json"]


def test_a_table_of_which_a_part_fails_exits_with_four(fusin, table):
    ran = fusin("dose", table(TABLE + "spot,24,3\n"), "--nuclide", "Lu-177", "--json")
    assert ran.code == 4
    assert [r["model"] for r in ran.document()["regions"]] == ["mono", None]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ((), "--nuclide"),
        (("--nuclide", "Lu-177", "--model", "quad"), "uptake-bi"),
        (("--nuclide", "Lu-177", "--weights", "given"), "uncertainty_mbq"),
        (("--nuclide", "Lu-177", "--level", "95"), "0.95"),
        (("--nuclide", "Lu-177", "--common-percent", "-1"), "percentage"),
        (("--nuclide", "Lu-177", "--t-eff-sd-h", "3"), "--t-eff-h"),
        (("--nuclide", "Lu-177", "--t-eff-h", "-3"), "positive"),
        (("--nuclide", "Lu-177", "--t-eff-h", "41", "--prior", "population"), "one statement"),
        (("--nuclide", "Lu-177", "--prior", "nothing.toml"), "nothing.toml"),
        (("--nuclide", "Lu-177", "--model", "map"), "--prior"),
        (("--nuclide", "Lu-177", "--model", "bi"), "at least 5 times"),
        (("--nuclide", "Lu-177", "--decay-correction", "maybe"), "none, start, admin"),
        (("--nuclide", "Lu-177", "--interval", "bootstrap", "--resamples", "3"), "at least 100"),
    ],
)
def test_what_cannot_be_answered_is_one_sentence(fusin, table, options, word):
    ran = fusin("dose", table(), *options)
    assert ran.code == 3
    assert word in ran.err
    assert ran.err.strip().count("\n") == 0


def test_a_second_table_and_no_table_are_usage_errors(fusin, table):
    assert fusin("dose", table(), "other.csv", "--nuclide", "Lu-177").code == 2
    assert fusin("dose", "--nuclide", "Lu-177").code == 2


def test_a_verb_of_the_group_is_no_table(fusin):
    assert fusin("dose", "sphere", "--nuclide", "Lu-177", "--mass-g", 10, "--json").code == 0
