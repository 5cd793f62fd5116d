"""Tables of regions as people write them."""

from __future__ import annotations

import pytest

from fusin.dosimetry.case_fields import CaseFields
from fusin.dosimetry.image_notes import read_notes_file, read_recovery, read_region_notes
from fusin.dosimetry.quantitative_spect import Measured
from fusin.errors import FusinError, InputError
from fusin.provenance import NoticeLog

COLUMNS = "name;kind;mass_g;mass_u_g;recovery;recovery_u;alpha_beta_gy;repair_half_time_h\n"


def notes_of(tmp_path, text, name="regions.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode("utf-8-sig"))
    return read_region_notes(path, NoticeLog())


def test_a_table_with_semicolons_decimal_commas_and_gaps(tmp_path):
    found = notes_of(tmp_path, COLUMNS + "kidney left;organ;160,5;8,0;;;2,6;2,8\r\nlesion 1;lesion;;;0,62;0,05;;\r\n")
    assert (found["kidney left"].mass_g, found["kidney left"].mass_u_g) == (160.5, 8.0)
    assert found["kidney left"].recovery is None
    assert found["lesion 1"].kind == "lesion"
    assert found["lesion 1"].recovery == Measured(0.62, 0.05)
    assert found["lesion 1"].mass_g is None


def test_toml_says_the_same(tmp_path):
    text = '[[region]]\nname = "liver"\ndensity_g_ml = 1.05\n\n[[region]]\nname = "L3"\nkind = "marrow"\n'
    found = notes_of(tmp_path, text, "regions.toml")
    assert (found["liver"].kind, found["liver"].density_g_ml, found["L3"].kind) == ("organ", 1.05, "marrow")


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("kidney;organ;0;;;;;", "mass_g"),
        ("kidney;organ;-5;;;;;", "mass_g"),
        ("kidney;tumour;;;;;;", "kind"),
        ("kidney;organ;;3;;;;", "mass_u_g"),
        ("kidney;organ;;;;0.1;;", "recovery_u"),
        ("kidney;organ;;;62;;;", "recovery"),
        ("kidney;organ;many;;;;;", "mass_g"),
        ("kidney;organ;;;;;;\nkidney;organ;;;;;;", "name"),
    ],
)
def test_impossible_rows_are_refused_by_their_field(tmp_path, row, field):
    with pytest.raises(InputError) as caught:
        notes_of(tmp_path, COLUMNS + row + "\n")
    assert field in str(caught.value)


def test_a_recovery_curve_by_its_parameters_keeps_their_covariance():
    fields = CaseFields({"b1_ml": 2.0, "b2": 1.2, "u_b1_ml": 0.2, "u_b2": 0.1, "correlation": -0.5}, "study.toml")
    curve = read_recovery(fields)
    assert curve.at(2.0).value == pytest.approx(0.5)
    assert curve.covariance[0, 1] == pytest.approx(-0.01)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"b1_ml": 2.0},
        {"volume_ml": [1.0, 2.0]},
        {"volume_ml": [1.0, 2.0], "coefficient": [0.4, 0.5]},
        {"volume_ml": [1.0, 2.0, 5.0], "coefficient": [0.4, 0.5]},
        {"volume_ml": [1.0, True, 5.0], "coefficient": [0.4, 0.5, 0.6]},
        {"b1_ml": 2.0, "b2": 1.0, "volume_ml": [1.0]},
        {"b1_ml": 2.0, "b2": 1.0, "b3": 1.0},
    ],
)
def test_an_incomplete_recovery_curve_is_refused(values):
    with pytest.raises(FusinError) as caught:
        read_recovery(CaseFields(values, "study.toml"))
    assert "\n" not in str(caught.value)


def test_a_file_of_regions_may_hold_the_recovery_curve_of_the_images(tmp_path):
    path = tmp_path / "regions.toml"
    path.write_text('[recovery]\nb1_ml = 2.0\nb2 = 1.2\n\n[[region]]\nname = "liver"\n', encoding="utf-8")
    notes, curve = read_notes_file(path, NoticeLog())
    assert list(notes) == ["liver"]
    assert curve.at(2.0).value == pytest.approx(0.5)
