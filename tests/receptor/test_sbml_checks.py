"""Doubts about models that can be read."""

from __future__ import annotations

import pytest
from reaction_models import LIGAND, sbml

from fusin.provenance import NoticeLog
from fusin.receptor.sbml_checks import check_model
from fusin.receptor.sbml_read import model_from_sbml

pytest.importorskip("antimony")
pytest.importorskip("libsbml")


def doubts(text):
    log = NoticeLog()
    check_model(text, model_from_sbml(text, where="m"), log)
    return {n.code: n.message for n in log}


def test_a_model_in_order_gives_no_doubt():
    assert doubts(sbml(LIGAND)) == {}


def test_units_that_do_not_agree_are_named_with_their_formula():
    """koff in litre per nmol and second where 1/s belongs."""
    found = doubts(sbml(LIGAND.replace("koff has per_s", "koff has per_nM_s")))
    assert list(found) == ["MODEL_UNITS"]
    assert "koff" in found["MODEL_UNITS"]


def test_units_that_are_not_declared_are_no_contradiction():
    assert doubts(sbml("model m; compartment c = 1; species A in c; A = 1; J: A -> ; k*A; k = 2; end")) == {}


def test_a_negative_start_is_named():
    assert "L" in doubts(sbml(LIGAND.replace("L = 10;", "L = -10;")))["NEGATIVE_START"]
