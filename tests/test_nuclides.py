"""Nuclide table: values against ICRP 107 and an evaluation, names, codes."""

from __future__ import annotations

import math
import pickle

import pytest

from fusin.errors import Ambiguous, InputError
from fusin.nuclides import NuclideTable, default_nuclides, nuclide, nuclide_from_code, nuclide_from_half_life

# Second transcription: ICRP-107 half-lives in seconds as printed by radioactivedecay 0.6.1 (dataset
# icrp107_ame2020_nubase2020), a program that shares nothing with this table.
ICRP107_S = {
    "Ge-68": 23410080.0,
    "Ga-68": 4062.6,
    "F-18": 6586.2,
    "Cu-64": 45720.0,
    "Zr-89": 282276.0,
    "In-111": 242326.08,
    "Lu-177": 574300.8,
    "Lu-177m": 13858560.0,
    "Y-90": 230760.0,
    "Tb-161": 596678.4,
    "Ac-225": 864000.0,
    "I-124": 360806.4,
    "C-11": 1223.4,
    "N-13": 597.9,
    "O-15": 122.24,
    "Tc-99m": 21654.0,
    "I-123": 47772.0,
}

# Second transcription of (value, standard uncertainty, seconds per unit), read as numbers out of the isotope table of
# mendeleev 1.3.0 (NUBASE2020) and, for the isomers, out of the NUBASE2020 text file (177mLu) and ENSDF as packed in
# paceENSDF 0.6.3 (99mTc, and the progeny of 225Ac).
EVALUATED = {
    "Ge-68": (271.05, 0.08, 86400),
    "Ga-68": (67.842, 0.016, 60),
    "F-18": (109.734, 0.008, 60),
    "Cu-64": (12.7004, 0.0013, 3600),
    "Zr-89": (78.36, 0.023, 3600),
    "In-111": (2.8048, 0.0001, 86400),
    "Lu-177": (6.6443, 0.0009, 86400),
    "Lu-177m": (160.4, 0.3, 86400),
    "Y-90": (64.05, 0.05, 3600),
    "Tb-161": (6.948, 0.005, 86400),
    "Ac-225": (9.919, 0.0021, 86400),
    "I-124": (4.176, 0.0003, 86400),
    "C-11": (20.3402, 0.0053, 60),
    "N-13": (9.965, 0.004, 60),
    "O-15": (122.266, 0.043, 1),
    "Tc-99m": (6.0072, 0.0009, 3600),
    "I-123": (13.2232, 0.0015, 3600),
    "Fr-221": (4.801, 0.006, 60),
    "At-217": (0.0326, 0.0003, 1),
    "Bi-213": (45.59, 0.06, 60),
    "Po-213": (3.72e-6, 0.02e-6, 1),
    "Tl-209": (2.162, 0.007, 60),
    "Pb-209": (3.234, 0.007, 3600),
}


def test_default_half_lives_are_those_of_icrp_107():
    found = {n.name: n.half_life_s for n in default_nuclides() if n.source.startswith("ICRP")}
    assert found == pytest.approx(ICRP107_S, rel=1e-12)


def test_progeny_of_actinium_has_one_half_life_because_icrp_107_is_older_by_percents():
    progeny = [n for n in default_nuclides() if n.source.startswith("ENSDF")]
    assert [n.name for n in progeny] == ["Fr-221", "At-217", "Bi-213", "Po-213", "Tl-209", "Pb-209"]
    assert all(n.half_life_s == n.evaluated_half_life_s for n in progeny)


def test_evaluated_values_and_uncertainties_agree_with_a_second_transcription():
    assert set(EVALUATED) == {n.name for n in default_nuclides()}
    for name, (value, u, seconds) in EVALUATED.items():
        assert nuclide(name).evaluated_half_life_s == pytest.approx(value * seconds, rel=1e-12)
        assert nuclide(name).half_life_u_s == pytest.approx(u * seconds, rel=1e-12)


def test_default_and_evaluated_half_life_never_differ_by_a_percent():
    # A slip of a unit or of a digit would be far larger; the true spread ends with 225Ac at 0.8 %.
    for n in default_nuclides():
        assert n.half_life_s == pytest.approx(n.evaluated_half_life_s, rel=0.01)


def test_total_uncertainty_holds_the_known_distance_to_the_evaluation():
    # 67.842(16) min against 67.71 min: hypot(0.016, 0.132) min
    assert nuclide("Ga-68").half_life_u_total_s == pytest.approx(60 * math.hypot(0.016, 0.132), rel=1e-9)
    assert all(n.half_life_u_total_s >= n.half_life_u_s for n in default_nuclides())


@pytest.mark.parametrize(
    "spelling",
    ["Ga-68", "68Ga", "Ga68", "^68^Gallium", "68-Ga", "gallium-68", "Gallium 68", "[68Ga]", "GA-68", "ga_68"],
)
def test_every_usual_spelling_names_gallium_68(spelling):
    assert nuclide(spelling).name == "Ga-68"


@pytest.mark.parametrize("spelling", ["177mLu", "Lu-177m", "Lu177m", "177m-Lu", "lutetium-177m"])
def test_an_isomer_is_not_its_ground_state(spelling):
    assert nuclide(spelling).name == "Lu-177m"


def test_names_of_all_nuclides_are_distinct_and_found():
    for n in default_nuclides():
        mass = n.name.split("-")[1]
        for spelling in (
            n.name,
            mass + n.symbol,
            n.symbol + mass,
            f"^{mass}^{n.element.title()}",
            f"{n.element}-{mass}",
        ):
            assert nuclide(spelling) is n
        assert n.mass_number == int(mass.rstrip("m"))


@pytest.mark.parametrize(("wrong", "near"), [("^68^Galium", "Ga-68"), ("F-19", "F-18"), ("Lu-176", "Lu-177")])
def test_an_unknown_name_is_refused_with_near_ones(wrong, near):
    with pytest.raises(InputError, match=near) as caught:
        nuclide(wrong)
    assert pickle.loads(pickle.dumps(caught.value)).found == wrong


def test_codes_are_those_of_the_dicom_dictionaries():
    # pydicom's dictionaries are generated from DICOM PS3.16 (CID 18 and 4020) and its SNOMED CT to RT mapping.
    codes = pytest.importorskip("pydicom.sr.codedict").codes
    from pydicom.sr._snomed_dict import mapping

    listed = {}
    for cid in (codes.cid18, codes.cid4020):
        for keyword in cid.dir():
            code = getattr(cid, keyword)
            listed[code.value] = code.meaning
    for n in default_nuclides():
        by_scheme = {scheme: value for value, scheme in n.codes}
        if by_scheme:
            assert listed[by_scheme["SCT"]] == n.meaning
            assert mapping["SCT"][by_scheme["SCT"]] == by_scheme["SRT"]
            assert nuclide(n.meaning) is n
        else:
            assert n.meaning == ""
            assert not [
                meaning
                for meaning in listed.values()
                if meaning == f"^{n.mass_number}^{n.element.title()}" and "m" not in n.name.split("-")[1]
            ]


@pytest.mark.parametrize(
    ("value", "scheme", "name"),
    [
        ("C-131A3", "SRT", "Ga-68"),
        ("C-131A3", "SNM3", "Ga-68"),
        ("C-131A3 ", "99SDM", "Ga-68"),
        ("35337001", "SCT", "Ga-68"),
        ("C-111A1", "SRT", "F-18"),
        ("77004003", "SCT", "F-18"),
    ],
)
def test_dicom_codes_name_the_nuclide(value, scheme, name):
    assert nuclide_from_code(value, scheme).name == name


def test_a_code_of_another_scheme_is_not_accepted():
    with pytest.raises(InputError, match="0054,0300"):
        nuclide_from_code("35337001", "SRT")


@pytest.mark.parametrize("seconds", [4057.7, 4062.6, 4080.0])
def test_half_lives_that_scanners_write_are_recognised_as_gallium_68(seconds):
    assert nuclide_from_half_life(seconds).name == "Ga-68"


def test_a_half_life_between_nuclides_is_refused():
    with pytest.raises(InputError, match="Ga-68"):
        nuclide_from_half_life(4200.0)
    with pytest.raises(InputError, match="positive"):
        nuclide_from_half_life(0.0)


def test_a_tolerance_that_spans_two_nuclides_is_ambiguous():
    with pytest.raises(Ambiguous, match="Lu-177, Tb-161"):
        nuclide_from_half_life(6.75 * 86400, 0.03)


def test_default_tolerance_tells_all_nuclides_apart():
    assert all(nuclide_from_half_life(n.half_life_s) is n for n in default_nuclides())


def test_positron_fractions_agree_with_icrp_107_and_are_absent_for_others():
    # ICRP 107: 0.8891 positrons per decay of 68Ga
    assert nuclide("Ga-68").positron_fraction == pytest.approx(0.8891, abs=1e-4)
    assert nuclide("Lu-177").positron_fraction is None


TABLE = """
[Xx-9]
element = "xenonium"
half_life = 2.0
unit = "h"
source = "a paper"
evaluated = 2.1
evaluated_u = 0.1
evaluated_source = "another paper"
tag = "{tag}"
"""


def test_another_table_can_be_injected():
    table = NuclideTable.from_text(TABLE.format(tag="V"), where="mine.toml")
    assert nuclide("9xx", table=table).half_life_s == 7200.0
    assert nuclide("Xx-9", table=table).source == "a paper"
    with pytest.raises(InputError):
        nuclide("Ga-68", table=table)


def test_an_unverified_uncertainty_is_never_handed_out():
    entry = NuclideTable.from_text(TABLE.format(tag="U"), where="mine.toml").get("Xx-9")
    assert entry.half_life_u_s is None
    assert entry.half_life_u_total_s is None


@pytest.mark.parametrize(
    ("line", "field"), [('unit = "h"', "unit"), ("half_life = 2.0", "half_life"), ("evaluated_u = 0.1", "evaluated_u")]
)
def test_a_table_with_a_gap_says_which_field(line, field):
    with pytest.raises(InputError, match=f"Xx-9: {field}"):
        NuclideTable.from_text(TABLE.format(tag="V").replace(line, ""), where="mine.toml")


def test_a_table_file_is_read_from_a_path(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(TABLE.format(tag="V"), encoding="utf-8")
    assert len(NuclideTable.load(path)) == 1
    path.write_text("nonsense", encoding="utf-8")
    with pytest.raises(InputError, match="TOML"):
        NuclideTable.load(path)
