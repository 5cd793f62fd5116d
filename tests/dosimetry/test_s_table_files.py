"""S values from files of users: units, separators, decimal commas, lists and matrices, and every way to spoil them."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fusin.dosimetry.organ_energy import refuse_impossible_energy
from fusin.dosimetry.s_table_files import S_UNITS, read_masses, read_s_json, read_s_tables
from fusin.errors import FusinError, InputError, NotComputable
from fusin.provenance import NoticeLog

MATRIX = "target [mGy/(MBq s)],Liver,Kidneys\nLiver,1.37e-5,1.18e-7\nKidneys,1.2e-7,7.76e-5\n"


def written(tmp_path, text, name="s.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def read(path, **more):
    more.setdefault("nuclide_name", "Lu-177")
    return read_s_tables([path], NoticeLog(), **more)


@pytest.mark.parametrize(
    "spelling", ["mGy/(MBq s)", "mGy/MBq-s", "mGy/MBq/s", "mGy/(MBq·s)", "mGy MBq^-1 s^-1", "mgy/mbq.s", "mGy/MBq*s"]
)
def test_spellings_of_one_unit_are_one_unit(tmp_path, spelling):
    found = read(written(tmp_path, MATRIX.replace("mGy/(MBq s)", spelling)) if "^" not in spelling else
                 written(tmp_path, MATRIX.replace(" [mGy/(MBq s)]", "")), unit=spelling)  # fmt: skip
    assert found.values[0, 0] == pytest.approx(1.37e-5)


@pytest.mark.parametrize("unit", list(S_UNITS))
def test_units_are_converted_by_their_definition(tmp_path, unit):
    path = written(tmp_path, MATRIX.replace(" [mGy/(MBq s)]", ""))
    assert read(path, unit=unit).values[0, 0] == pytest.approx(1.37e-5 * S_UNITS[unit])


def test_factors_of_units_by_hand():
    """1 Gy/(GBq h) = 1e3 mGy / (1e3 MBq x 3600 s); 1 rad/(uCi h) = 10 mGy / (0.037 MBq x 3600 s)."""
    assert S_UNITS["Gy/(GBq h)"] == pytest.approx(1 / 3600)
    assert S_UNITS["rad/(uCi h)"] == pytest.approx(10 / 0.037 / 3600)
    assert S_UNITS["Gy/(Bq s)"] == pytest.approx(1e9)


def test_semicolons_with_decimal_commas_and_a_byte_order_mark(tmp_path):
    text = "\ufefftarget [mGy/(MBq s)];Liver;mass_g\r\nLiver;0,0000137;1800,5\r\n"
    log = NoticeLog()
    found = read_s_tables([written(tmp_path, text)], log, nuclide_name="177Lu")
    assert found.values[0, 0] == pytest.approx(1.37e-5)
    assert found.mass_g("liver") == 1800.5
    assert "DECIMAL_COMMA" in [n.code for n in log]


def test_a_list_of_pairs_is_a_table_with_holes(tmp_path):
    text = "source,target,s_mgy_per_mbq_s,u_percent,target_mass_g\nLiver,Liver,1.37e-5,2,1800\nKidneys,Kidneys,7.76e-5,,310\n"
    found = read(written(tmp_path, text))
    assert found.values[0, 0] == pytest.approx(1.37e-5)
    assert str(found.values[0, 1]) == "nan"
    assert found.u_relative[0, 0] == pytest.approx(0.02)
    assert found.mass_g("kidney") == 310


@pytest.mark.parametrize(
    ("text", "more"),
    [
        (MATRIX.replace(" [mGy/(MBq s)]", ""), {}),
        (MATRIX.replace("mGy/(MBq s)", "mSv/(MBq s)"), {}),
        (MATRIX, {"unit": "Gy/(Bq s)"}),
        (MATRIX, {"unit": "furlongs"}),
        (MATRIX, {"nuclide_name": None}),
        (MATRIX, {"nuclide_name": "Lu-99999"}),
        (MATRIX.replace("1.37e-5", "-1.37e-5"), {}),
        (MATRIX.replace("1.37e-5", "high"), {}),
        (MATRIX.replace("Kidneys,1.2e-7", "Liver,1.2e-7"), {}),
        (MATRIX.replace(",Kidneys\n", ",Liver\n"), {}),
        ("target [mGy/(MBq s)]\nLiver\n", {}),
        ("", {}),
        ("source,target,s_mgy_per_mbq_s\nLiver,Liver,1e-5\nLiver,Liver,2e-5\n", {}),
        ("source,target,s_mgy_per_mbq_s,target_mass_g\nLiver,Liver,1e-5,5\nSpleen,Liver,2e-8,6\n", {}),
        ("source,target,dose\nLiver,Liver,1e-5\n", {}),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_in_one_sentence(tmp_path, text, more):
    with pytest.raises(InputError) as caught:
        read(written(tmp_path, text), **more)
    assert "\n" not in str(caught.value)


def test_opendose_rows_take_nuclide_and_source_from_the_name_of_the_file(tmp_path):
    rows = [["Liver", "1.3713e-5", "1e-9", "1799.8"], ["Spleen", 4.2e-8, 1e-10, 150]]
    path = written(tmp_path, json.dumps(rows), "lu-177_liver.json")
    found = read_s_tables([path], NoticeLog())
    assert (found.nuclide, found.sources) == ("Lu-177", ("liver",))
    assert found.u_relative[0, 0] == pytest.approx(1e-9 / 1.3713e-5)
    with pytest.raises(InputError, match="Y-90"):
        read_s_tables([path], NoticeLog(), nuclide_name="Y-90")
    other = written(tmp_path, json.dumps(rows), "values.json")
    with pytest.raises(InputError):
        read_s_tables([other], NoticeLog())
    assert read_s_json(other, NoticeLog(), nuclide_name="Lu-177", source="liver").sources == ("liver",)


_TWICE = '[["Liver","1","0","1"],["Liver","1","0","1"]]'


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "[1]", '[["Liver", "x", "0", "1"]]', '[["Liver", "1", "0"]]', _TWICE,
             '[["Liver", "-1", "0", "1"]]', '[["Liver", "NaN", "0", "1"]]', "[" * 100_000],
)  # fmt: skip
def test_json_of_another_kind_is_refused(tmp_path, text):
    with pytest.raises(InputError):
        read_s_tables([written(tmp_path, text, "lu-177_liver.json")], NoticeLog())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=200), suffix=st.sampled_from([".json", ".csv", ".saf"]))
def test_no_bytes_make_the_readers_fail_without_a_sentence(tmp_path, data, suffix):
    path = tmp_path / f"rcp-am_photon_lu-177_liver{suffix}"
    path.write_bytes(data)
    sentence = ""
    try:
        read_s_tables([path], NoticeLog(), nuclide_name="Lu-177", unit="Gy/(GBq h)")
    except FusinError as err:
        sentence = str(err)
    assert "\n" not in sentence


def test_a_table_in_the_wrong_unit_is_found_by_its_energy(tmp_path):
    """1.37e-5 mGy/(MBq s) x 1800 g is 154 keV; read as Gy/(GBq h) it would be 0.04 keV, as Gy/(Bq s) 1e11."""
    text = "target,Liver,mass_g\nLiver,1.37e-5,1800\n"
    refuse_impossible_energy(read(written(tmp_path, text), unit="mGy/(MBq s)"), NoticeLog())
    for unit in ("Gy/(GBq h)", "Gy/(Bq s)", "Gy/(MBq s)"):
        with pytest.raises(NotComputable) as caught:
            refuse_impossible_energy(read(written(tmp_path, text), unit=unit), NoticeLog())
        assert caught.value.code == "S_VALUE_IMPOSSIBLE"
    with pytest.raises(NotComputable):
        refuse_impossible_energy(
            read(written(tmp_path, text.replace("1.37e-5", "8e-5")), unit="mGy/(MBq s)"), NoticeLog()
        )


def test_masses_are_read_and_zero_is_refused(tmp_path):
    assert read_masses(written(tmp_path, "organ,mass_g\nliver,1800\n"), NoticeLog()) == {"liver": 1800.0}
    with pytest.raises(InputError):
        read_masses(written(tmp_path, "organ,mass_g\nliver,0\n"), NoticeLog())
