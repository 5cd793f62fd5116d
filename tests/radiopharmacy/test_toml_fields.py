"""Fields of TOML tables: what is wrong is refused by file and field, what is misspelt too."""

from __future__ import annotations

import pytest

from fusin.errors import InputError
from fusin.radiopharmacy.toml_fields import Fields, bound, read_toml


@pytest.mark.parametrize("value", ["12", True, float("nan"), float("inf"), [1], {"a": 1}])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(InputError, match="volume_ml"):
        Fields({"volume_ml": value}, "day.toml").number("volume_ml")


def test_a_misspelt_field_is_refused_with_its_neighbour():
    fields = Fields({"dead_volum_ml": 1.0}, "day.toml, vial 1")
    fields.number("dead_volume_ml")
    with pytest.raises(InputError, match="dead_volume_ml instead"):
        fields.finish()


@pytest.mark.parametrize(
    ("name", "mbq"), [("ge68_mbq", 2.0), ("ge68_gbq", 2000.0), ("ge68_mci", 74.0), ("ge68_bq", 2e-6)]
)
def test_an_activity_is_read_in_its_unit(name, mbq):
    assert Fields({name: 2.0}, "w").activity_mbq("ge68") == pytest.approx(mbq)


def test_two_units_of_one_activity_are_refused():
    with pytest.raises(InputError, match="one unit"):
        Fields({"ge68_mbq": 1.0, "ge68_gbq": 1.0}, "w").activity_mbq("ge68")


@pytest.mark.parametrize(("value", "number"), [("<15", 15.0), ("<= 2.5", 2.5), (3, 3.0), ("0", 0.0)])
def test_a_bound_counts_as_its_worst_value(value, number):
    assert bound(value, "w", "endotoxin") == number


@pytest.mark.parametrize("value", ["> 3", "-1", "nan", None, True, "five"])
def test_what_is_no_bound_is_refused(value):
    with pytest.raises(InputError, match="endotoxin"):
        bound(value, "w", "endotoxin")


@pytest.mark.parametrize("data", [b"[[", b"\xff\xfe", b"a = " + b"[" * 5000])
def test_bytes_that_are_no_toml_are_refused(tmp_path, data):
    path = tmp_path / "bad.toml"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"bad\.toml"):
        read_toml(path)


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path):
    path = tmp_path / "windows.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\r\nb = 2\r\n")
    assert read_toml(path) == {"a": 1, "b": 2}


def test_an_activity_without_its_unit_is_asked_for_it():
    with pytest.raises(InputError, match="activity: found 600, need a unit in the name of the field: activity_mbq"):
        Fields({"activity": 600}, "vial").activity_mbq("activity")


def test_a_hint_replaces_the_nearest_name():
    fields = Fields({"draw_min": 4.0}, "patient")
    fields.take("drawn_ml")
    with pytest.raises(InputError, match="lead_min"):
        fields.finish({"draw_min": "lead_min"})
