"""Reading models: every mistake is one sentence, and what is not simulated is refused by its name."""

from __future__ import annotations

import random
import sys

import pytest
from reaction_models import LIGAND, MATH, level3, sbml

from fusin.errors import FusinError, InputError, MissingExtra, Unsupported
from fusin.receptor.sbml_read import antimony_to_sbml, model_from_sbml, read_model, shipped_models

pytest.importorskip("antimony")
pytest.importorskip("libsbml")

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def test_units_of_symbols_are_those_of_the_file():
    units = model_from_sbml(sbml(LIGAND), where="m").units
    assert units["L"].powers == (("metre", -3.0), ("mole", 1.0))
    assert units["L"].factor == pytest.approx(1e-6)
    assert units["$time"].factor == 1.0
    assert units["koff"].powers == (("second", -1.0),)


def test_an_algebraic_rule_is_refused_by_its_name():
    rule = "<listOfRules><algebraicRule>" + MATH.format("<ci>x</ci>") + "</algebraicRule></listOfRules>"
    parameter = '<listOfParameters><parameter id="x" value="1" constant="false"/></listOfParameters>'
    with pytest.raises(Unsupported, match="algebraic rule"):
        model_from_sbml(level3(parameter + rule), where="m.xml")


def test_a_delay_is_refused_by_its_name():
    symbol = '<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/delay">delay</csymbol>'
    rule = f"<apply>{symbol}<ci>x</ci><cn>1</cn></apply>"
    parameters = '<listOfParameters><parameter id="x" value="1" constant="false"/>'
    parameters += '<parameter id="z" constant="false"/></listOfParameters>'
    text = parameters + f'<listOfRules><assignmentRule variable="z">{MATH.format(rule)}</assignmentRule></listOfRules>'
    with pytest.raises(Unsupported, match="delay"):
        model_from_sbml(level3(text), where="m.xml")


def test_a_required_package_is_refused_by_its_name():
    comp = ' xmlns:comp="http://www.sbml.org/sbml/level3/version1/comp/version1" comp:required="true"'
    with pytest.raises(Unsupported, match="comp"):
        model_from_sbml(level3("", comp), where="m.xml")


def test_a_fast_reaction_is_refused_by_its_name():
    text = f'{HEAD}<sbml xmlns="http://www.sbml.org/sbml/level2/version4" level="2" version="4"><model>'
    text += '<listOfReactions><reaction id="J" fast="true"/></listOfReactions></model></sbml>'
    with pytest.raises(Unsupported, match="fast reaction J"):
        model_from_sbml(text, where="m.xml")


@pytest.mark.parametrize(
    ("inside", "found"),
    [
        ('<listOfParameters><parameter id="x" value="abc" constant="true"/></listOfParameters>', "line"),
        ('<listOfRules><rateRule variable="nix">' + MATH.format("<cn>1</cn>") + "</rateRule></listOfRules>", "nix"),
        ('<listOfParameters><parameter id="x" value="1" constant="true"/>'
         '<parameter id="x" value="2" constant="true"/></listOfParameters>', "x"),
    ],
)  # fmt: skip
def test_mistakes_of_a_model_are_named(inside, found):
    with pytest.raises(InputError, match=found):
        model_from_sbml(level3(inside), where="m.xml")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.xml", b""), ("table.csv", b"a,b\n1,2\n"), ("page.xml", b"<html><body/></html>"), ("picture.xml", bytes(range(256))),
        ("broken.xml", b'<?xml version="1.0"?><sbml level="3"'), ("bad.ant", b"model ???"),
    ],
)  # fmt: skip
def test_files_that_hold_no_model_are_refused_in_one_sentence(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_model(tmp_path / name)
    assert caught.value.where == name
    assert "\n" not in str(caught.value)


def test_a_missing_model_names_those_that_come_with_fusin():
    with pytest.raises(InputError, match=shipped_models()[0]):
        read_model("nowhere.xml")


def test_damaged_files_never_raise_anything_else(tmp_path):
    """Bytes of a good file are changed, cut and doubled; each result is a model or one sentence."""
    good, rng = bytearray(sbml(LIGAND).encode()), random.Random(1)
    sentences = []
    for number in range(150):
        bad = bytearray(good)
        for _ in range(rng.randint(1, 6)):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        if number % 3 == 0:
            del bad[rng.randrange(len(bad)) :]
        path = tmp_path / "damaged.xml"
        path.write_bytes(bytes(bad))
        try:
            read = read_model(path)
        except FusinError as refusal:
            sentences.append(str(refusal))
        else:
            assert read.source == "damaged.xml"
    assert sentences
    assert not [s for s in sentences if "\n" in s]


@pytest.mark.parametrize(("package", "wheel"), [("libsbml", "python-libsbml"), ("antimony", "antimony")])
def test_a_missing_package_names_the_extra(monkeypatch, package, wheel):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf"{wheel}: pip install 'fusin\[receptor\]'"):
        antimony_to_sbml("model m; end", where="m.ant") if package == "antimony" else model_from_sbml(
            level3(""), where="m.xml"
        )


@pytest.mark.parametrize(
    "head",
    [
        "",
        '<?xml version="1.0"?>',
        '\n  <?xml version="1.0" encoding="UTF-8"?>\n',
        '<?xml version="1.0" encoding="ascii"?>',
    ],
    ids=["none", "no-encoding", "behind-a-line", "ascii"],
)
def test_a_model_is_read_whatever_its_first_line_declares(tmp_path, head):
    text = sbml(LIGAND)
    path = tmp_path / "model.xml"
    path.write_text(head + text[text.index("<sbml") :], encoding="utf-8")
    assert [s.id for s in read_model(path).species] == [s.id for s in model_from_sbml(text, where="m").species]


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_model_in_another_encoding_keeps_its_names(tmp_path, encoding):
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n' + level3(
        '<listOfCompartments><compartment id="c" name="Zelle \u00e4" size="1" constant="true"/></listOfCompartments>'
    ).removeprefix(HEAD)
    path = tmp_path / "model.xml"
    path.write_bytes(text.encode(encoding))
    assert read_model(path).compartments[0].name == "Zelle \u00e4"
