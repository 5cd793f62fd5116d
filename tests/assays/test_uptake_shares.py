"""Shares that somebody computed before: rates and plateaus from them, and what two of them say about the third."""

from __future__ import annotations

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
    import math

    rows = [
        (t, 10 * (1 - math.exp(-0.1 * t)), 0.03 * 10 * (t - (1 - math.exp(-0.1 * t)) / 0.1)) for t in range(0, 61, 2)
    ]
    text = "time_min,membrane_percent,internalized_percent\n" + "".join(f"{t},{m:.9f},{i:.9f}\n" for t, m, i in rows)
    (rate,) = internalisation_rates(shares(tmp_path, text), NoticeLog())
    assert rate.rate.value == pytest.approx(0.03, rel=1e-4)


def test_retained_percent_is_an_efflux_and_keeps_its_scale(tmp_path):
    import math

    text = "time_min,retained_percent\n" + "".join(
        f"{t},{45 + 55 * math.exp(-0.06 * t):.12f}\n" for t in (0, 5, 10, 20, 30, 60, 90, 120)
    )
    (found,) = effluxes(shares(tmp_path, text), NoticeLog())
    assert found.plateau.value == pytest.approx(45.0, rel=1e-6)
    assert found.half_life.value == pytest.approx(math.log(2) / 0.06, rel=1e-6)


def test_an_efflux_that_was_left_too_early_says_that_its_ends_are_open(tmp_path):
    values = (98.5, 101.3, 103.9, 99.8, 102.5, 98.9, 99.5, 90.3, 95.0, 95.8, 93.0, 96.9)
    text = "time_min,retained_percent\n" + "".join(f"{5 * (k // 3)},{v}\n" for k, v in enumerate(values))
    (found,) = effluxes(shares(tmp_path, text), NoticeLog())
    assert found.plateau.low is None
    assert found.half_life.high is None
    assert "upper limit open" in found.half_life.note


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
