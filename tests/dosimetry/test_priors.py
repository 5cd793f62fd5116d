"""Priors: moments, matching of regions, files, and what is wrong with them."""

from __future__ import annotations

import json
import math

import pytest
from scipy.stats import lognorm

from fusin.dosimetry.priors import lognormal_prior, population_priors, prior_for, read_priors
from fusin.errors import InputError


def test_mean_and_standard_deviation_come_back():
    prior = lognormal_prior(mean_h=41.0, sd_h=10.0)
    law = lognorm(s=prior.sigma, scale=prior.median_h)
    assert (law.mean(), law.std()) == pytest.approx((41.0, 10.0))


def test_the_shipped_table_holds_what_the_abstract_says_and_its_tag():
    """Hänscheid 2022, abstract: kidneys 41 ± 10 h, medians 109, 86 and 92 h of liver, spleen and marrow."""
    rows = {p.id: p for p in population_priors()}
    assert {p.tag for p in rows.values()} == {"A"}
    assert rows["pentixather-kidney"].median_h == pytest.approx(41.0 / math.sqrt(1 + (10 / 41) ** 2))
    assert [rows[f"pentixather-{o}"].median_h for o in ("liver", "spleen", "marrow")] == [109.0, 86.0, 92.0]
    assert [rows[f"pentixather-{o}"].gsd for o in ("liver", "spleen", "marrow")] == [None, None, None]


@pytest.mark.parametrize("name", ["kidney", "Left Kidney", "kidney_left", "Kidney-R", "kidneys", "rt kidney"])
def test_a_region_is_found_whatever_its_side_and_spelling(name):
    assert prior_for(population_priors(), name, "Lu-177").id == "pentixather-kidney"


@pytest.mark.parametrize(("name", "nuclide"), [("lesion 1", "Lu-177"), ("kidney", "Y-90"), ("renal pelvis", "Lu-177")])
def test_no_prior_is_taken_for_another_region_or_nuclide(name, nuclide):
    assert prior_for(population_priors(), name, nuclide) is None


def test_a_table_of_ones_own_is_read(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('[[prior]]\nregions = ["Liver"]\nmedian_h = 100\ngsd = 1.3\nsource = "own"\n', encoding="utf-8")
    (prior,) = read_priors(path, "Lu-177")
    assert (prior.median_h, prior.gsd, prior.tag) == (100.0, 1.3, "O")
    assert prior_for((prior,), "liver", "Y-90") is prior


def test_an_earlier_cycle_becomes_a_prior_as_wide_as_its_interval(tmp_path):
    path = tmp_path / "cycle1.json"
    region = {"name": "Left kidney", "t_eff_h": {"value": 40.0, "low": 40.0 / 1.2, "high": 48.0}}
    path.write_text(
        json.dumps({"nuclide": "Lu-177", "regions": [region, {"name": "x", "t_eff_h": None}]}), encoding="utf-8"
    )
    (prior,) = read_priors(path, "Lu-177")
    assert prior.median_h == 40.0
    assert prior.sigma == pytest.approx(math.log(1.2) / 1.959964)
    assert prior.widened(1.1).sigma == pytest.approx(math.hypot(prior.sigma, math.log(1.1)))
    with pytest.raises(InputError, match="earlier cycle with Y-90"):
        read_priors(path, "Y-90")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "prior"),
        ("[[prior]]\nmedian_h = 3\n", "source"),
        ('[[prior]]\nsource = "x"\n', "mean_h with sd_h"),
        ('[[prior]]\nsource = "x"\nmean_h = 3\n', "mean_h with sd_h"),
        ('[[prior]]\nsource = "x"\nmedian_h = -3\n', "positive"),
        ('[[prior]]\nsource = "x"\nmedian_h = "3"\n', "positive"),
        ('[[prior]]\nsource = "x"\nmedian_h = 3\ngsd = 0.9\n', "above 1"),
        ('[[prior]]\nsource = "x"\nmedian_h = 3\nregions = "liver"\n', "list of names"),
        ('[[prior]]\nsource = "x"\nmedian_h = 3\nnuclide = "Xx-9"\n', "nuclide"),
        ('[[prior]]\nsource = "x"\nhalf_life = 3\n', "half_life"),
        ("prior = 3\n", "prior"),
        ("[[prior", "readable TOML"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_its_place(tmp_path, text, word):
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=word) as caught:
        read_priors(path, "Lu-177")
    assert "own.toml" in str(caught.value) or "nuclide" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["{", "[]", "3", "{}", '{"regions": 3}', '{"regions": []}', '{"regions": [{"name": 3, "t_eff_h": {}}]}']
)
def test_a_json_that_is_no_result_is_refused(tmp_path, text):
    path = tmp_path / "c.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"c\.json"):
        read_priors(path, "Lu-177")


def test_bytes_that_are_no_text_and_files_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match="nothing"):
        read_priors(tmp_path / "none.toml", "Lu-177")
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="UTF-8"):
        read_priors(tmp_path / "b.toml", "Lu-177")
    with pytest.raises(InputError, match="1 or more"):
        lognormal_prior(mean_h=3, sd_h=1).widened(0.5)
    with pytest.raises(InputError, match="positive number of hours"):
        lognormal_prior(mean_h=3, sd_h=0)
