"""Coded concepts against the dictionary that pydicom makes from PS3.16."""

from __future__ import annotations

import pytest
from pydicom.sr._concepts_dict import concepts
from pydicom.sr.codedict import codes

from fusin.errors import InputError
from fusin.imaging.codes import Concept, code, code_names, has_code, name_of, site_of

PUBLIC = (
    "quantity", "derivation", "method", "category", "finding", "algorithm_family", "image_derivation", "laterality",
    "site", "radionuclide", "report",
)  # fmt: skip
# UCUM atoms that PS3.16 lists in no context group.
NOT_LISTED = {"ml", "g"}


def meanings(concept: Concept) -> set[str]:
    return {entry[concept.value][0] for entry in concepts[concept.scheme].values() if concept.value in entry}


@pytest.mark.parametrize("name", [n for g in (*PUBLIC, "unit") for n in code_names(g) if n not in NOT_LISTED])
def test_every_public_code_has_the_meaning_that_the_standard_gives_it(name):
    concept = code(name)
    assert concept.meaning in meanings(concept)


@pytest.mark.parametrize(
    ("name", "value", "scheme"),
    [
        ("suvbw", "126401", "DCM"), ("suvlbm", "126402", "DCM"), ("suvbsa", "126403", "DCM"), ("suvibw", "126404", "DCM"),
        ("suvlbm_janma", "126405", "DCM"), ("suvlbm_james128", "126406", "DCM"), ("peak", "126031", "DCM"),
        ("max", "56851009", "SCT"), ("mean", "373098007", "SCT"), ("min", "255605001", "SCT"),
        ("median", "373099004", "SCT"), ("sd", "386136009", "SCT"), ("metabolic_volume", "126032", "DCM"),
        ("total_lesion_glycolysis", "126033", "DCM"), ("sam", "126037", "DCM"), ("sam_background", "126038", "DCM"),
        ("lesion_to_background_ratio", "126039", "DCM"), ("lesion_to_background_background", "126040", "DCM"),
        ("method_suvbw", "126410", "DCM"), ("method_suvlbm", "126411", "DCM"), ("method_suvlbm_janma", "126414", "DCM"),
        ("method_suvlbm_james128", "126415", "DCM"), ("blood_pool", "32672002", "SCT"), ("liver", "10200004", "SCT"),
        ("spleen", "78961009", "SCT"), ("Ga-68", "35337001", "SCT"), ("g/ml{SUVbw}", "g/ml{SUVbw}", "UCUM"),
    ],
)  # fmt: skip
def test_codes_are_those_of_ps3_16(name, value, scheme):
    # DICOM PS3.16 CID 7464, 7466, 7469, 85, 4020; annex D for the 1264xx definitions
    assert (code(name).value, code(name).scheme) == (value, scheme)


def test_the_ratio_and_its_background_are_members_of_the_standards_list_of_nuclear_measurements():
    listed = {getattr(codes.cid7466, keyword).value for keyword in codes.cid7466.dir()}
    assert {code(n).value for n in ("lesion_to_background_ratio", "lesion_to_background_background")} <= listed


def test_both_orders_of_the_suv_unit_mean_the_same_name():
    assert code("{SUVbw}g/ml") == code("g/ml{SUVbw}")
    assert name_of("{SUVbw}g/ml", "UCUM") == name_of("g/ml{SUVbw}", "UCUM") == "g/ml{SUVbw}"


def test_private_codes_fit_a_code_value_and_are_declared_private():
    private = [code(name) for name in code_names("private")]
    assert all(c.scheme == "99FUSIN" and len(c.value) <= 16 and len(c.meaning) <= 64 for c in private)
    assert code("pentixafor") in private


def test_every_code_is_written_once_so_that_reading_finds_one_name():
    groups = (*PUBLIC, "unit", "private")
    names = [n for group in groups for n in code_names(group)]
    assert len(names) == len(set(names))
    assert [name_of(code(n).value, code(n).scheme) for n in names] == names


def test_every_alias_leads_to_a_concept():
    assert all(has_code(alias) and code(alias) for alias in code_names("alias"))


@pytest.mark.parametrize(
    ("name", "meaning", "side"),
    [
        ("kidney_left", "Kidney", "Left"), ("Kidney Right", "Kidney", "Right"), ("rib_left_7", "Rib", "Left"),
        ("vertebrae_L3", "L3 vertebra", None), ("lung_upper_lobe_right", "Upper lobe of lung", "Right"),
        ("heart_atrium_left", "Left atrium", None), ("liver", "Liver", None), ("blood_pool", "Descending aorta", None),
        ("gluteus_maximus_left", "Skeletal muscle", "Left"), ("adrenal_gland_right", "Adrenal gland", "Right"),
    ],
)  # fmt: skip
def test_organ_names_are_understood_with_their_side(name, meaning, side):
    site = site_of(name)
    assert site is not None
    assert (site.concept.meaning, site.laterality.meaning if site.laterality else None) == (meaning, side)


@pytest.mark.parametrize("name", ["", "lesion 3", "left", "GTV_Mass", "kidney_left_right", "Ga-68", "max", "ml"])
def test_names_that_are_no_site_give_none(name):
    assert site_of(name) is None


def test_unknown_names_are_refused():
    with pytest.raises(InputError) as caught:
        code("suv_bodyweight")
    assert caught.value.found == "suv_bodyweight"
    with pytest.raises(InputError):
        code_names("colours")


def test_a_code_without_a_name_is_given_back_as_it_stands():
    assert name_of("12345", "99OTHER") == "99OTHER:12345"
