"""Shares that somebody computed before: rates and plateaus from them, and what two of them say about the third."""

from __future__ import annotations

import math

import pytest

from fusin.assays.uptake_groups import group_wells, specific_uptake
from fusin.assays.uptake_kinetics import effluxes, internalisation_rates
from fusin.assays.uptake_shares import holds_shares, read_shares
from fusin.errors import FusinError, InputError
from fusin.provenance import NoticeLog


def shares(tmp_path, text, log=None):
    (tmp_path / "s.csv").write_text(text)
    assert holds_shares(tmp_path / "s.csv")
    return read_shares(tmp_path / "s.csv", NoticeLog() if log is None else log)


def test_the_third_share_follows_from_two(tmp_path):
    text = "well,time_min,uptake_percent,membrane_percent,internalised_percent\n"
    for row in ("a,5,,4,6", "a,5,10,4,", "a,5,10,,6", "a,5,10,4,6"):
        (one,) = shares(tmp_path, text + row + "\n")
        found = (one.uptake_percent, one.membrane_percent, one.internalised_percent, one.internalised_of_cell_percent)
        assert [f.value for f in found] == pytest.approx([10.0, 4.0, 6.0, 60.0])
    assert one.uptake_percent.estimate().low is None


def test_the_rate_of_a_closed_form_comes_back(tmp_path):
    """M = 10 (1 - exp(-0.1 t)) and I its integral times 0.03, on a grid so dense that the integral is exact to 1e-4."""
    rows = [
        (t, 10 * (1 - math.exp(-0.1 * t)), 0.03 * 10 * (t - (1 - math.exp(-0.1 * t)) / 0.1)) for t in range(0, 61, 2)
    ]
    text = "time_min,membrane_percent,internalized_percent\n" + "".join(f"{t},{m:.9f},{i:.9f}\n" for t, m, i in rows)
    (rate,) = internalisation_rates(shares(tmp_path, text), NoticeLog())
    assert rate.rate.value == pytest.approx(0.03, rel=1e-4)


def test_retained_percent_is_an_efflux_and_keeps_its_scale(tmp_path):
    text = "time_min,retained_percent\n" + "".join(
        f"{t},{45 + 55 * math.exp(-0.06 * t):.12f}\n" for t in (0, 5, 10, 20, 30, 60, 90, 120)
    )
    (found,) = effluxes(shares(tmp_path, text), NoticeLog())
    assert found.plateau.value == pytest.approx(45.0, rel=1e-6)
    assert found.half_life.value == pytest.approx(math.log(2) / 0.06, rel=1e-6)


def test_an_efflux_that_was_left_too_early_has_no_plateau_and_no_half_life(tmp_path):
    """A half-life of 173 min followed for 15 min: least squares would print a plateau of 84 % and a half-life of 21 min."""
    values = (98.5, 101.3, 103.9, 99.8, 102.5, 98.9, 99.5, 90.3, 95.0, 95.8, 93.0, 96.9)
    text = "time_min,retained_percent\n" + "".join(f"{5 * (k // 3)},{v}\n" for k, v in enumerate(values))
    log = NoticeLog()
    (found,) = effluxes(shares(tmp_path, text, log), log)
    for e in (found.plateau, found.rate, found.half_life):
        assert (e.value, e.low, e.high) == (None, None, None)
        assert "not identifiable" in e.note
    assert "plateau and rate and half-life" in next(n.message for n in log if n.code == "KINETICS_NOT_COMPUTED")


def test_a_rate_that_is_bound_on_one_side_keeps_its_value_and_names_the_open_one(tmp_path):
    noise = (1.2, -0.8, 0.3, -1.1, 0.9, -0.4, 1.0, -0.6, -0.9, 0.7, 0.2, -0.5)
    values = [
        60 + 40 * math.exp(-0.03 * t) + 3 * noise[k] for k, t in enumerate(t for t in (0, 10, 20, 30) for _ in range(3))
    ]
    text = "time_min,retained_percent\n" + "".join(f"{10 * (k // 3)},{v:.4f}\n" for k, v in enumerate(values))
    (found,) = effluxes(shares(tmp_path, text), NoticeLog())
    assert found.rate.high is not None
    assert found.half_life.low == pytest.approx(math.log(2) / found.rate.high)
    if found.rate.low is None or found.rate.low <= 0:
        assert found.half_life.high is None
        assert found.half_life.note.startswith("upper limit open")


def test_means_and_specific_shares_need_no_counts(tmp_path):
    text = "replicate,condition,time_min,internalised_percent\n" + "".join(
        f"{k},{c},30,{v}\n"
        for c, vs in (("unblocked", (6.0, 6.4, 6.2)), ("blocked", (0.2, 0.3, 0.1)))
        for k, v in enumerate(vs)
    )
    groups = group_wells(shares(tmp_path, text))
    (found,) = specific_uptake(groups, NoticeLog())
    assert found.mean.value == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ("a,5,10,4,7", "membrane + internalised"),
        ("a,5,,,", "one of"),
        ("a,-5,10,4,6", "at least 0"),
        ("a,5,x,4,6", "number"),
    ],
)
def test_shares_that_cannot_be_are_one_sentence(tmp_path, row, word):
    with pytest.raises(FusinError, match=word.replace("+", r"\+")):
        shares(tmp_path, f"well,time_min,uptake_percent,membrane_percent,internalised_percent\n{row}\n")


def test_a_well_that_stands_twice_is_refused_and_one_of_another_time_is_not(tmp_path):
    head = "well,time_min,internalised_percent\n"
    assert len(shares(tmp_path, head + "1,5,3\n1,15,4\n")) == 2
    with pytest.raises(InputError, match="once"):
        shares(tmp_path, head + "1,5,3\n1,5,4\n")


def test_a_table_with_counts_is_no_table_of_shares(tmp_path):
    (tmp_path / "s.csv").write_text("well,fraction,counts,uptake_percent\na,S,5,3\n")
    assert not holds_shares(tmp_path / "s.csv")
