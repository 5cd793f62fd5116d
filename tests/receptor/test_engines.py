"""Experiments: doses, blockers, rest before time 0, ranges, and two engines on every shipped model."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from reaction_models import LIGAND

from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog
from fusin.receptor.engines import Experiment, open_model, run_experiment
from fusin.receptor.experiments import chosen_columns, parse_range, silent
from fusin.receptor.monte_carlo import ranges_of, run_draws
from fusin.receptor.network import MODELS
from fusin.receptor.quantities import parse_pairs, parse_quantity
from fusin.receptor.scan import half_response, run_scan
from fusin.receptor.scipy_engine import Tolerances
from fusin.receptor.sensitivity import run_sensitivity
from fusin.receptor.steady_state import find_steady_state

pytest.importorskip("antimony")
pytest.importorskip("libsbml")

OPTIONS = {"log": NoticeLog(), "progress": silent}


def experiment(until="90min", **given):
    pairs = {key: parse_pairs(value, f"--{key}") for key, value in given.items()}
    return Experiment(until=parse_quantity(until, "--until"), points=46, **pairs)


@pytest.fixture(scope="module")
def ligand(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "ligand.ant"
    path.write_text(LIGAND)
    return open_model(str(path))


@pytest.mark.parametrize("name", MODELS)
def test_two_engines_agree_on_every_shipped_model(name):
    """Required: 1e-6 of each value, or of a millionth of the largest value of its column."""
    pytest.importorskip("roadrunner")
    asked = replace(experiment(dose=["CXCL12=110nM"]), tolerances=Tolerances(relative=1e-11))
    ours = run_experiment(open_model(name), asked, log=NoticeLog())
    theirs = run_experiment(open_model(name, engine="roadrunner"), asked, log=NoticeLog())
    for column in theirs.names:
        a, b = ours[column], theirs[column]
        assert np.abs(a - b).max() <= 1e-6 * max(np.abs(b).max(), 1e-3), column


def test_a_dose_takes_the_place_of_what_is_there_and_a_setting_holds_too(ligand):
    course = run_experiment(ligand, experiment("10 s", dose=["L=40nM"]), log=NoticeLog())
    assert course["L"][0] == 40.0
    assert run_experiment(ligand, experiment("10 s", setting=["koff=0"]), log=NoticeLog())["koff"][0] == 0.0


def test_rest_before_the_start_leaves_the_equilibrium_without_the_dose(ligand):
    """At rest, L R / C = 5; then L is set to 40 and C is what it was."""
    rested = replace(experiment("1 s", dose=["L=40nM"]), equilibrate=parse_quantity("1d", "--equilibrate"))
    course = run_experiment(ligand, rested, log=NoticeLog())
    r, c = course["R"][0], course["C"][0]
    total = 10 * 2.0
    free = (total - 0.5 * c) / 2.0
    assert free * r / c == pytest.approx(5.0, rel=1e-6)
    assert course["L"][0] == 40.0


def test_other_parameters_of_a_shipped_model_bring_it_to_rest_first():
    log = NoticeLog()
    course = run_experiment(open_model("cxcr4"), experiment(setting=["k_rec_R4=1.4e-4"]), log=log)
    assert "RESTED_FIRST" in [n.code for n in log]
    assert course["R4"] == pytest.approx(np.full(46, course["R4"][0]), rel=1e-6)


def test_the_rest_of_other_parameters_gives_a_blocker_no_head_start():
    """A change of 1e-9 in a parameter that the blocker does not know changes nothing, with the rest before it or without."""
    opened, asked = open_model("cxcr4"), {"dose": ["CXCL12=110nM"], "block": ["pentixafor=5nM"]}
    plain = run_experiment(opened, experiment(**asked), log=NoticeLog())
    rested = run_experiment(opened, experiment(**asked, setting=["k_rec_R4=6.9000000069e-5"]), log=NoticeLog())
    assert rested["C4Bp"] == pytest.approx(plain["C4Bp"], rel=1e-5, abs=1e-3)
    waited = replace(experiment(**asked), equilibrate=parse_quantity("1h", "--equilibrate"))
    assert run_experiment(opened, waited, log=NoticeLog())["C4Bp"].max() < 0.9 * plain["C4Bp"].max()


def test_a_species_is_dosed_or_blocked_and_not_both(ligand):
    with pytest.raises(InputError, match="--block"):
        run_experiment(ligand, experiment("1 s", dose=["L=1nM"], block=["L=2nM"]), log=NoticeLog())


def test_a_negative_dose_is_refused(ligand):
    with pytest.raises(InputError, match="at least 0"):
        run_experiment(ligand, experiment("1 s", dose=["L=-1nM"]), log=NoticeLog())


def test_a_dose_response_is_the_run_of_each_dose(ligand):
    span = parse_range("L=1nM:100nM:5:log", "--dose-response", counted=True)
    found = run_scan(ligand, experiment("1 h"), span, ["C"], option="--dose-response", **OPTIONS)
    alone = run_experiment(ligand, experiment("1 h", dose=["L=10nM"]), log=NoticeLog())
    assert found.x == pytest.approx([1, 10**0.5, 10, 10**1.5, 100])
    assert found.responses("C")[2].end == pytest.approx(alone["C"][-1], rel=1e-9)


def test_half_of_a_simple_saturation_is_found_at_its_constant():
    x = np.geomspace(1e-3, 1e5, 81)
    assert half_response(x, x / (5 + x)) == pytest.approx(5.0, rel=2e-3)
    assert half_response(x, 1 - x / (5 + x)) == pytest.approx(5.0, rel=2e-3)
    assert half_response(x, np.sin(x)) is None
    assert half_response(x, np.ones(81)) is None


@pytest.mark.parametrize(
    "text", ["k", "k=1", "k=1:2", "k=2:1:5", "k=0:1:5:log", "k=1:2:1", "k=1nM:2min:5", "k=1:2nM:5", "=1:2:3"]
)
def test_ranges_that_are_none_are_refused(text):
    with pytest.raises(InputError):
        parse_range(text, "--scan", counted=True)


def test_sensitivity_of_first_order_loss_is_minus_k_t(tmp_path):
    """A = A0 exp(-k t): d ln A / d ln k = -k t, at the end -1.4."""
    path = tmp_path / "loss.ant"
    path.write_text("model m; species A; compartment c = 1; A in c; A = 3; J: A -> ; k*A*c; k = 0.7; end")
    found = run_sensitivity(open_model(str(path)), experiment("2"), ["A"], **OPTIONS)
    assert [(s.parameter, s.output) for s in found] == [("k", "A")]
    assert found[0].end == pytest.approx(-1.4, rel=1e-5)


def test_steady_state_has_the_equilibrium_and_its_relaxation(ligand):
    """Near rest: d(dC)/dt = -(kon (R + 0.25 L) .. ) by the two volumes; compared with the slope of a late time course."""
    y, p = ligand.own.start()
    found = find_steady_state(
        ligand, y, p, first=100.0, tolerances=Tolerances(), amounts=False, log=NoticeLog()
    )  # fmt: skip
    values = dict(zip(found.columns, found.values.tolist(), strict=True))
    assert values["L"] * values["R"] / values["C"] == pytest.approx(5.0, rel=1e-7)
    course = ligand.own.run(until=200, points=201, tolerances=Tolerances(relative=1e-12))
    away = np.abs(course["C"] - values["C"])
    slope = -math.log(away[40] / away[30]) / 10
    assert found.stable
    assert found.slowest_time == pytest.approx(1 / slope, rel=0.02)


def test_a_model_that_grows_has_no_steady_state(tmp_path):
    path = tmp_path / "growth.ant"
    path.write_text("model m; x = 1; x' = 0.5; end")
    opened = open_model(str(path))
    with pytest.raises(NotComputable) as caught:
        find_steady_state(
            opened, *opened.own.start(), first=1.0, tolerances=Tolerances(), amounts=False, log=NoticeLog()
        )
    assert caught.value.code == "NO_STEADY_STATE"


def test_bands_of_a_uniform_rate_have_the_percentiles_of_its_distribution(tmp_path):
    """A(1) = exp(-k), k uniform from 0 to 2: its median is exp(-1), its 97.5 % point exp(-0.05)."""
    path = tmp_path / "loss.ant"
    path.write_text("model m; A = 1; A' = -k*A; k = 0.7; end")
    opened = open_model(str(path))
    ranges = ranges_of(opened, ["k=0:2"])
    found = run_draws(opened, experiment("1"), ranges, ["A"], draws=800, seed=3, **OPTIONS)
    low, _, middle, _, high = found.bands("A")[:, -1]
    assert [middle, high, low] == pytest.approx([math.exp(-1), math.exp(-0.05), math.exp(-1.95)], rel=0.08)
    assert found.rank_correlations("A")["k"] == pytest.approx(-1.0)
    again = run_draws(opened, experiment("1"), ranges, ["A"], draws=800, seed=3, **OPTIONS)
    assert np.array_equal(found.values, again.values)


def test_draws_need_ranges_and_enough_runs(ligand):
    with pytest.raises(InputError, match="--range"):
        ranges_of(ligand, [])
    ranges = ranges_of(ligand, ["kon=0.001:0.1:log"])
    with pytest.raises(InputError, match="10 draws"):
        run_draws(ligand, experiment("1 s"), ranges, ["C"], draws=5, seed=0, **OPTIONS)


def test_a_shipped_model_brings_its_own_ranges_without_its_switch():
    ranges = ranges_of(open_model("cxcr4"), [])
    assert "KD_L_R4" in ranges
    assert "volume_ratio" not in ranges


def test_columns_that_move_are_chosen_and_others_can_be_asked_for():
    values = np.column_stack([np.ones(5), np.linspace(0, 1, 5), np.linspace(5, 6, 5)])
    assert chosen_columns([], ["a", "b", "c"], values, ["a", "b", "c"]) == ("b", "c")
    assert chosen_columns(["a"], ["a", "b", "c"], values, ["b"]) == ("a",)
    with pytest.raises(InputError, match="--output"):
        chosen_columns(["z"], ["a"], values, ["a"])
