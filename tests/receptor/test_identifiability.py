"""Identifiability: models whose answer is known by hand, and the receptor layer."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fusin.errors import InputError, NotComputable
from fusin.receptor.identifiability import identifiability, profile

TIME = np.linspace(0.5, 5.0, 10)


def decay(values):
    return values["a"] * np.exp(-values["k"] * TIME)


def test_a_scale_alone_is_known_to_the_scatter_over_the_root_of_n():
    found = identifiability(lambda v: v["a"] * np.ones(25), {"a": 3.0}, scatter=0.1)
    one = found.parameters[0]
    assert one.alone_percent == pytest.approx(100 * 0.1 / 5, rel=1e-5)
    assert one.together_percent == pytest.approx(one.alone_percent, rel=1e-9)
    assert one.sensitivity == pytest.approx(1.0, rel=1e-5)
    assert (one.verdict, found.rank) == ("bounded", 1)


def test_two_parameters_have_the_covariance_of_a_line():
    """ln y = ln a - k t: a straight line in t with slope k, whose variance is s^2 / sum((t - mean)^2)."""
    found = identifiability(decay, {"a": 2.0, "k": 0.3}, scatter=0.05)
    k = next(p for p in found.parameters if p.name == "k")
    slope = 0.05 / math.sqrt(np.sum((TIME - TIME.mean()) ** 2))
    assert k.together_percent == pytest.approx(100 * slope / 0.3, rel=1e-5)
    assert k.alone_percent < k.together_percent


def test_a_product_of_two_parameters_is_one_combination():
    found = identifiability(lambda v: v["a"] * v["b"] * np.exp(-TIME), {"a": 2.0, "b": 5.0}, scatter=0.1)
    assert found.rank == 1
    assert {p.verdict for p in found.parameters} == {"not identifiable"}
    assert all(p.together_percent is None for p in found.parameters)
    weights = list(found.weakest.values())
    assert weights[0] == pytest.approx(-weights[1], rel=1e-6)


def test_a_parameter_that_nothing_depends_on_is_not_identifiable():
    found = identifiability(lambda v: v["a"] * np.exp(-TIME), {"a": 2.0, "idle": 1.0}, scatter=0.1)
    idle = found.parameters[1]
    assert (idle.alone_percent, idle.together_percent, idle.sensitivity) == (None, None, 0.0)
    assert found.parameters[0].verdict == "bounded"


def test_a_profile_ends_where_chi_squared_says():
    """For y = a at n points: loss is n (factor - 1)^2 / s^2, which is 3.84 at 1 +- s sqrt(3.84 / n)."""
    found = profile(
        lambda v: v["a"] * np.ones(16), {"a": 2.0}, "a", scatter=0.1, factors=np.linspace(0.8, 1.2, 41).tolist()
    )
    half = 0.1 * math.sqrt(3.841458820694124 / 16)
    assert found.low == pytest.approx(2 * (1 - half), rel=1e-3)
    assert found.high == pytest.approx(2 * (1 + half), rel=1e-3)


def test_the_profile_of_a_product_never_ends():
    found = profile(
        lambda v: v["a"] * v["b"] * np.exp(-TIME), {"a": 2.0, "b": 5.0}, "a", scatter=0.1, factors=(0.1, 0.5, 2, 10)
    )
    assert (found.low, found.high) == (None, None)
    assert max(found.loss) < 1e-6


@pytest.mark.parametrize(("values", "scatter"), [({}, 0.1), ({"a": 0.0, "k": 1.0}, 0.1), ({"a": 1.0, "k": 1.0}, 0.0)])
def test_what_cannot_be_asked_is_refused(values, scatter):
    with pytest.raises(InputError):
        identifiability(decay, values, scatter=scatter)
    with pytest.raises(InputError):
        profile(decay, {"a": 1.0, "k": 1.0}, "z", scatter=0.1, factors=(2.0,))


def test_outputs_that_are_not_above_zero_are_refused():
    with pytest.raises(NotComputable, match="above 0"):
        identifiability(lambda v: v["a"] * np.zeros(3), {"a": 1.0}, scatter=0.1)


def test_recruitment_alone_leaves_the_association_rate_of_cxcl12_open():
    """The receptor comes to equilibrium within a minute, so only KD shows; ACKR3 does not show in cells without it."""
    pytest.importorskip("libsbml", reason="needs the extra receptor")
    from fusin.provenance import NoticeLog
    from fusin.receptor.engines import Experiment, open_model
    from fusin.receptor.quantities import parse_pairs, parse_quantity
    from fusin.report.receptor_identify import experiments_by_dose, identify_report

    base = Experiment(until=parse_quantity("90min", "t"), points=10)
    doses = [parse_pairs([f"CXCL12={nm}nM"], "d") for nm in (4, 110)]
    made = identify_report(
        open_model("cxcr4"), experiments_by_dose(base, doses), ["recruited_CXCR4"], scatter=0.1, relative=True,
        parameters=["KD_L_R4", "kf_L_R4", "KD_L_R7"], profiles=(), log=NoticeLog(),
    )  # fmt: skip
    verdicts = {p["name"]: p["verdict"] for p in made.document["parameters"]}
    assert verdicts["KD_L_R4"] in ("bounded", "loosely bounded")
    assert verdicts["kf_L_R4"] == "practically not identifiable"
    assert verdicts["KD_L_R7"] == "not identifiable"
    assert made.document["rank"] == 2
