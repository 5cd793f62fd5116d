"""Directions that experiments on CXCR4 report: the layers below the receptor are relative, and owe directions and times only.

J Exp Med 2000;192:313 (PMC2193218): PKB and ERK2 of T cells stay active; displacing SDF-1 or inhibiting PI3K reverses PKB;
restimulation gives more than 60 % of the first PKB activity. PMC3203819: 10 nM CXCL12 raises pERK from 10 to 30 min, and calcium in
a way that pertussis toxin abolishes.
"""

from __future__ import annotations

from functools import cache

import pytest

pytest.importorskip("libsbml", reason="needs the extra receptor")

from fusin.provenance import NoticeLog
from fusin.receptor.sbml_read import read_model
from fusin.receptor.simulation import Simulator

MINUTE = 6  # rows of a course


@cache
def simulator() -> Simulator:
    return Simulator(read_model("cxcr4-pathway"))


@cache
def course(minutes: int = 60, **changed: float):
    return simulator().run(until=60.0 * minutes, points=6 * minutes + 1, changed={"CXCL12": 10.0, **changed})


def test_pertussis_toxin_abolishes_calcium():
    ca, poisoned = course()["Ca"], course(pertussis=1.0)["Ca"]
    assert ca.max() > 5 * ca[0]
    assert poisoned.max() < 1.001 * poisoned[0]


def test_calcium_is_a_matter_of_minutes():
    ca = course()["Ca"]
    assert ca.argmax() < 2 * MINUTE
    assert ca[10 * MINUTE] - ca[0] < 0.1 * (ca.max() - ca[0])


def test_erk_is_active_from_10_to_30_minutes_and_not_in_the_first_two():
    erk = course()["ppERK"]
    assert erk[10 * MINUTE : 30 * MINUTE + 1].min() > 0.5 * erk.max()
    assert erk[: 2 * MINUTE].max() < 0.05 * erk.max()


def test_akt_and_erk_stay_active_for_an_hour():
    for name in ("pAkt", "ppERK"):
        active = course()[name]
        assert active[60 * MINUTE] > 0.3 * active.max()


def test_inhibition_of_pi3k_abolishes_pkb_and_not_calcium():
    blocked = course(PI3K_block=1.0)
    assert blocked["pAkt"].max() < 1e-9
    assert blocked["Ca"].max() > 0.9 * course()["Ca"].max()


def test_inhibition_of_mek_abolishes_erk_in_both_arms():
    blocked = course(MEK_block=1.0)
    assert blocked["ppERK"].max() == 0.0
    assert blocked["pERKarr"].max() == 0.0


def test_pertussis_leaves_the_arm_through_arrestin():
    assert course(pertussis=1.0)["pERKarr"][30 * MINUTE] > 0.5 * course()["pERKarr"][30 * MINUTE]


def _later(state, cxcl12: float, minutes: int):
    """A course that goes on from the last row of another one, with another concentration of CXCL12."""
    model = simulator()
    changed = {s.id: float(state[s.id][-1]) for s in model.model.species} | {"CXCL12": cxcl12}
    return model.run(until=60.0 * minutes, points=6 * minutes + 1, changed=changed, log=NoticeLog())


def test_displacing_the_ligand_reverses_pkb_and_restimulation_brings_it_back():
    first = course(10)
    washed = _later(first, 0.0, 30)
    again = _later(washed, 10.0, 10)
    peak = first["pAkt"].max()
    assert washed["pAkt"][-1] < 0.25 * peak
    assert again["pAkt"].max() > 0.6 * peak


def test_an_antagonist_at_the_receptor_lowers_every_arm():
    free, held = course(30), course(30, pentixafor=100.0)
    for name in ("Gbg", "pAkt", "ppERK", "pERKarr", "Ca"):
        rise, lowered = (c[name].sum() - c[name].size * c[name][0] for c in (free, held))
        assert 0 < lowered < 0.75 * rise, name


def test_stat3_is_off_unless_it_is_asked_for():
    assert "pSTAT3" not in course().names
    with_stat = Simulator(read_model("cxcr4-pathway-stat")).run(until=1800, points=31, changed={"CXCL12": 10.0})
    assert with_stat["pSTAT3"].max() > 0.1
    assert with_stat["ppERK"].max() == pytest.approx(course(30)["ppERK"].max(), rel=1e-3)
