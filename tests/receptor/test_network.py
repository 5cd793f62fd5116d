"""The network: records, layers that merge by name, resting states and balances."""

from __future__ import annotations

from dataclasses import fields
from importlib import resources

import numpy as np
import pytest

pytest.importorskip("libsbml", reason="needs the extra receptor")

from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog
from fusin.receptor.network import (
    LAYERS,
    MODELS,
    doubts_of,
    network_sbml,
    read_layer,
    records_of,
    resting_state,
    shipped_sbml,
)
from fusin.receptor.network_merge import merged_sbml
from fusin.receptor.sbml_read import model_from_sbml, read_model, shipped_models
from fusin.receptor.scipy_engine import Tolerances
from fusin.receptor.simulation import Simulator

BOUND_CXCR4 = (
    "R4", "C4", "R4Be", "R4Bp", "C4Be", "C4Bp", "A4", "X4", "P4", "R4i", "C4iBe", "C4iBp", "C4ii", "C4gone", "A4i", "X4i", "P4i",
)  # fmt: skip
BOUND_ACKR3 = (
    "R7",
    "C7",
    "R7Be",
    "R7Bp",
    "C7Be",
    "C7Bp",
    "R7iBe",
    "R7iBp",
    "R7ii",
    "C7iBe",
    "C7iBp",
    "C7iiBe",
    "C7iiBp",
)
PROBE = ("Bp", "R4Bp", "C4Bp", "C4iBp", "R7Bp", "C7Bp", "R7iBp", "C7iBp", "C7iiBp")
LIGAND = ("C4", "C4Be", "C4Bp", "C7", "C7Be", "C7Bp", "L12i", "L12gone")
TOTALS = {
    "Gi": ("Gi", "GaGTP", "GaGDP"), "PI3K": ("PI3K", "PI3Ka"), "PIP2": ("PIP2", "PIP3"), "Akt": ("Akt", "pAkt"),
    "mTORC1": ("mTORC1", "mTORC1a"), "S6K": ("S6K", "pS6K"), "Ras": ("Ras", "RasGTP"), "Raf": ("Raf", "pRaf"),
    "MEK": ("MEK", "pMEK", "ppMEK"), "ERK": ("ERK", "pERK", "ppERK"), "ERKarr": ("ERKarr", "pERKarr"),
    "PLC": ("PLC", "PLCa", "PLCd"), "Ca": ("Ca", "CaER"), "channel": ("channel", "channel_shut"), "JAK2": ("JAK2", "pJAK2"),
    "STAT3": ("STAT3", "pSTAT3"),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_the_shipped_sbml_is_what_the_layers_give(name):
    """Somebody who edits a layer and forgets the SBML is told; regenerate with network_sbml(layers, cell=cell)."""
    pytest.importorskip("antimony", reason="needs the extra receptor")
    assert shipped_sbml(name) == network_sbml(MODELS[name].layers, cell=MODELS[name].cell)


def test_every_shipped_model_has_a_name_that_simulate_knows():
    assert set(shipped_models()) == set(MODELS)


@pytest.mark.parametrize("letter", LAYERS)
def test_every_number_of_a_layer_says_where_it_comes_from(letter):
    layer = read_layer(letter)
    assert layer.parameters
    for record in layer.parameters.values():
        assert record.source, record.id
        assert record.meaning, record.id
        assert record.low <= record.value <= record.high, record.id
        assert {f.name for f in fields(record)} == set(record.to_json())


@pytest.mark.parametrize("letter", "BCDEF")
def test_layers_below_the_receptor_say_that_they_are_relative(letter):
    assert read_layer(letter).calibration == "relative, uncalibrated for CXCR4"
    assert {r.status for r in read_layer(letter).parameters.values()} <= {"borrowed", "assumed"}


@pytest.mark.parametrize("letter", LAYERS)
def test_nodes_of_figures_hold_species_of_their_layer_once(letter):
    species = [s for node in read_layer(letter).nodes for s in node.species]
    known = {s.id for s in model_from_sbml(shipped_sbml("cxcr4-pathway-stat"), where="all").species}
    assert len(species) == len(set(species))
    assert set(species) <= known
    assert all(set(node.active) <= set(node.species) for node in read_layer(letter).nodes)


def test_no_unverified_affinity_of_an_antagonist_is_a_default():
    """Quoted IC50 (2.7, 24.8, 651 nM) stand in no record; the value is the middle of a range and says so."""
    for name in ("pentixafor", "pentixather", "plerixafor"):
        record = records_of("cxcr4")[f"KD_{name}"]
        assert record.status == "assumed"
        assert record.value == pytest.approx(np.sqrt(record.low * record.high))


@pytest.mark.parametrize("name", MODELS)
def test_a_cell_without_ligand_stays_at_rest(name):
    found = Simulator(read_model(name)).run(until=86400.0, points=3)
    first, last = found.values[0], found.values[-1]
    assert np.allclose(last, first, rtol=1e-6, atol=1e-9 * np.abs(first).max())


def test_the_resting_state_holds_all_receptor_and_all_arrestin():
    layer = read_layer("A")
    values = {k: r.value for k, r in layer.parameters.items()}
    state = resting_state(layer.cells["dual"], values)
    assert sum(v for k, v in state.items() if k in BOUND_CXCR4) == pytest.approx(6e5, rel=1e-12)
    assert sum(v for k, v in state.items() if k in BOUND_ACKR3) == pytest.approx(1.5e6, rel=1e-12)
    assert sum(v for k, v in state.items() if k in PROBE) == pytest.approx(7.5e5, rel=1e-9)


def test_a_receptor_that_never_comes_back_has_no_state_of_rest():
    values = {k: r.value for k, r in read_layer("A").parameters.items()} | {"k_rec_R4": 0.0}
    with pytest.raises(NotComputable, match="never comes back"):
        resting_state(read_layer("A").cells["cxcr4"], values)


@pytest.mark.parametrize("name", MODELS)
def test_receptor_arrestin_ligand_and_every_protein_are_conserved(name):
    """Balances to 1e-9 of the total over 90 min with CXCL12 and pentixafor."""
    simulator = Simulator(read_model(name))
    found = simulator.run(
        until=5400.0, points=91, amounts=True, changed={"CXCL12": 30.0, "pentixafor": 5.0, "k_int_pentixafor": 1e-3},
        tolerances=Tolerances(relative=1e-10),
    )  # fmt: skip
    groups = {"CXCR4": BOUND_CXCR4, "ACKR3": BOUND_ACKR3, "probe": PROBE, "CXCL12": ("CXCL12", *LIGAND)}
    groups |= {"pentixafor": ("pentixafor", "A4", "A4i")} | TOTALS
    checked = 0
    for label, members in groups.items():
        present = [m for m in members if m in found.names]
        if not present:
            continue
        total = sum(found[m] for m in present)
        if total[0] > 0:
            checked += 1
            assert np.max(np.abs(total / total[0] - 1.0)) < 1e-9, label
    assert checked >= 4


def test_layers_merge_by_name_and_work_alone():
    """The input of layer B is a number when B stands alone, and the species of A when both are there."""
    pytest.importorskip("antimony", reason="needs the extra receptor")
    alone = model_from_sbml(network_sbml("B"), where="B")
    both = model_from_sbml(network_sbml("AB"), where="AB")
    assert "C4" in {p.id for p in alone.parameters}
    assert "C4" not in {p.id for p in both.parameters}
    assert "C4" in {s.id for s in both.species}
    driven = Simulator(alone).run(until=600.0, points=3, changed={"C4": 2e4})
    assert driven["Gbg"][-1] > 0.1
    assert Simulator(alone).run(until=600.0, points=3)["Gbg"][-1] == 0.0


def test_two_definitions_of_one_name_are_refused():
    antimony = pytest.importorskip("antimony", reason="needs the extra receptor")
    texts = []
    for size in (1, 2):
        antimony.clearPreviousLoads()
        antimony.loadAntimonyString(
            f"model m()\n compartment cell = {size}; substanceOnly species S in cell; S = 1; J: S => ; S;\nend"
        )
        texts.append(antimony.getSBMLString("m"))
    with pytest.raises(InputError, match="two definitions"):
        merged_sbml(texts, name="both", values={}, units={}, amounts={})


@pytest.mark.parametrize(
    ("arguments", "found"),
    [({"layers": "AZ"}, "Z"), ({"layers": "AA"}, "AA"), ({"layers": ""}, ""), ({"layers": "A", "cell": "yeast"}, "yeast"),
     ({"layers": "A", "values": {"speed": 1.0}}, "speed")],
)  # fmt: skip
def test_what_is_no_layer_cell_or_parameter_is_refused(arguments, found):
    with pytest.raises(InputError) as caught:
        network_sbml(**arguments)
    assert found in str(caught.value)


def test_a_simulation_says_what_is_assumed_unless_it_is_stated():
    log = NoticeLog()
    doubts_of("cxcr4-pathway", given=["CXCL12", "pentixafor"], changed=[], log=log)
    assert {n.code for n in log} == {"AFFINITY_ASSUMED", "LAYERS_RELATIVE"}
    log = NoticeLog()
    doubts_of("cxcr4", given=["pentixafor"], changed=["KD_pentixafor"], log=log)
    assert len(log) == 0


def test_an_unknown_model_is_refused_with_the_names_that_exist():
    with pytest.raises(InputError, match="cxcr4-ackr3"):
        records_of("cxcr7")


def test_the_models_are_installed_with_the_package():
    names = {p.name for p in resources.files("fusin.receptor").joinpath("models").iterdir()}
    assert {f"{stem}.{kind}" for stem in LAYERS.values() for kind in ("ant", "toml")} <= names


def test_kinetics_without_trafficking_come_to_the_exact_equilibrium():
    """V10: three ligands and no arrestin, until nothing changes, against the mass balance."""
    pytest.importorskip("antimony", reason="needs the extra receptor")
    from fusin.receptor.occupancy import bound_exactly

    simulator = Simulator(read_model("cxcr4"))
    start = {"CXCL12": 3.0, "pentixafor": 0.1, "plerixafor": 20.0, "R4": 6e5, "R4i": 0.0, "k_rec_R4": 0.0}
    start |= {"R4Be": 0.0, "R4Bp": 0.0, "Be": 0.0, "Bp": 0.0}
    found = simulator.run(until=2e5, points=3, changed=start, tolerances=Tolerances(relative=1e-12))
    per_nm = 1053874.633  # molecules per nM in 1.75 nL
    records = records_of("cxcr4")
    constants = [records[k].value for k in ("KD_L_R4", "KD_pentixafor", "KD_plerixafor")]
    exact = bound_exactly(6e5 / per_nm, [3.0, 0.1, 20.0], constants)
    held = [found[k][-1] / 6e5 for k in ("C4", "A4", "P4")]
    assert held == pytest.approx(list(exact.occupied), rel=1e-7)
    assert found["R4"][-1] / 6e5 == pytest.approx(float(exact.free_fraction), rel=1e-7)


@pytest.mark.parametrize("name", MODELS)
def test_two_engines_agree_on_every_shipped_model(name):
    """Our engine and libRoadRunner, at tight tolerances, to 1e-6 of the greatest value of each column."""
    pytest.importorskip("roadrunner", reason="needs the extra receptor")
    from fusin.receptor.engines import Experiment, open_model, run_experiment
    from fusin.receptor.quantities import parse_pairs, parse_quantity

    asked = Experiment(
        until=parse_quantity("90min", "t"), points=91, dose=parse_pairs(["CXCL12=30nM"], "d"),
        block=parse_pairs(["pentixafor=3nM"], "b"), tolerances=Tolerances(relative=1e-11, absolute=1e-13),
    )  # fmt: skip
    ours, theirs = (run_experiment(open_model(name, engine=e), asked, log=NoticeLog()) for e in ("scipy", "roadrunner"))
    shared = [c for c in ours.names if c in theirs.names]
    assert len(shared) > 30
    for column in shared:
        top = np.abs(theirs[column]).max()
        assert np.max(np.abs(ours[column] - theirs[column])) <= 1e-6 * top, column
