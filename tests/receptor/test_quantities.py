"""Quantities with units, in the units of a model."""

from __future__ import annotations

import pytest
from reaction_models import LIGAND, sbml

from fusin.errors import Ambiguous, InputError
from fusin.receptor.quantities import find_symbol, parse_pairs, parse_quantity, time_in_model, unit_text, value_in_model
from fusin.receptor.sbml_read import model_from_sbml

pytest.importorskip("antimony")
pytest.importorskip("libsbml")


@pytest.fixture(scope="module")
def ligand():
    return model_from_sbml(sbml(LIGAND), where="ligand")


def in_model(text, symbol, model, sizes=None):
    return value_in_model(parse_quantity(text, "q"), symbol, model, option="--dose", sizes=sizes or {"medium": 2.0})


@pytest.mark.parametrize(
    ("text", "nanomolar"),
    [
        ("10nM", 10),
        ("10 nM", 10),
        ("2,5 nM", 2.5),
        ("1e-8 M", 10),
        ("0.01 uM", 10),
        ("0.01 µM", 10),
        ("10 pmol/mL", 10),
        ("7", 7),
    ],
)
def test_concentrations_become_those_of_the_model(ligand, text, nanomolar):
    assert in_model(text, "L", ligand) == pytest.approx(nanomolar, rel=1e-12)


def test_an_amount_becomes_a_concentration_by_the_volume(ligand):
    """20 nmol in 2 L are 10 nM; 6.02214076e14 molecules are 1 nmol."""
    assert in_model("20 nmol", "L", ligand) == pytest.approx(10.0, rel=1e-12)
    assert in_model("6.02214076e14 molecules", "L", ligand) == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize(("text", "seconds"), [("90min", 5400), ("1.5h", 5400), ("5400", 5400), ("1 d", 86400)])
def test_times_become_those_of_the_model(ligand, text, seconds):
    assert time_in_model(parse_quantity(text, "t"), ligand, "--until") == seconds


@pytest.mark.parametrize("text", ["", "nM", "1.2.3 nM", "1,000,000", "ten", "nan", "1e999"])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(InputError, match="quantity"):
        parse_quantity(text, "--dose")


def test_an_unknown_unit_is_refused_with_what_comes_close():
    with pytest.raises(InputError, match="did you mean nM"):
        parse_quantity("10 nm", "--dose")


def test_a_quantity_of_another_kind_is_refused(ligand):
    with pytest.raises(InputError, match="concentration"):
        in_model("10 min", "L", ligand)
    with pytest.raises(InputError, match="time"):
        time_in_model(parse_quantity("10nM", "t"), ligand, "--until")


def test_a_model_without_units_takes_plain_numbers_only():
    bare = model_from_sbml(sbml("model m; compartment c = 1; species A in c; A = 1; J: A -> ; A; end"), where="m")
    assert in_model("3", "A", bare) == 3.0
    with pytest.raises(InputError, match="declares no unit"):
        in_model("3nM", "A", bare)
    with pytest.raises(InputError, match="declares no unit of time"):
        time_in_model(parse_quantity("3 min", "t"), bare, "--until")


def test_names_are_found_whatever_their_case_where_one_fits(ligand):
    assert find_symbol(ligand, "l", option="--dose") == "L"
    assert find_symbol(ligand, "KON", option="--set") == "kon"
    with pytest.raises(InputError, match="kon"):
        find_symbol(ligand, "konn", option="--set")


def test_a_name_that_fits_twice_is_refused():
    twins = model_from_sbml(sbml("model m; ab = 1; AB = 2; end"), where="m")
    assert find_symbol(twins, "ab", option="--set") == "ab"
    with pytest.raises(Ambiguous, match="ab, AB"):
        find_symbol(twins, "aB", option="--set")


@pytest.mark.parametrize("texts", [["L"], ["=3"], ["L="], ["L=1", "L=2"]])
def test_pairs_that_are_none_are_refused(texts):
    with pytest.raises(InputError):
        parse_pairs(texts, "--dose")


def test_units_have_short_names(ligand):
    assert unit_text(ligand.units["L"]) == "nM"
    assert unit_text(ligand.units["$time"]) == "s"
    assert unit_text(None) == ""
