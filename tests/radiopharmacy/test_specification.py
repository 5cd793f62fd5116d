"""Specifications: what ships, what a site derives, what is refused."""

from __future__ import annotations

import pytest

from fusin.errors import InputError
from fusin.radiopharmacy.recipe import departures, find_recipe, shipped_recipes
from fusin.radiopharmacy.specification import (
    VERIFIED,
    find_specification,
    shipped_specifications,
    specification_from_text,
)

SITE = """
id = "site-pentixafor"
version = 1
base = "pentixafor-daniel-2023@1"

[[override]]
id = "itlc_product"
operator = ">="
bound = "97"
reason = "own validation"
source = "VAL-12"
"""


def read(text):
    return specification_from_text(text, where="site.toml")


def test_the_products_of_the_house_have_specifications():
    products = {s.product for s in shipped_specifications().values()}
    assert {
        "[68Ga]GaCl3",
        "[68Ga]Ga-Pentixafor",
        "[68Ga]Ga-PSMA-11",
        "[177Lu]Lu-Pentixather",
        "[90Y]Y-Pentixather",
    } <= products


@pytest.mark.parametrize("name", list(shipped_specifications()))
def test_every_row_has_a_source_and_an_unverified_one_has_no_limit(name):
    for row in find_specification(name).rows:
        assert row.source, row.id
        assert row.tag in VERIFIED or row.limit.operator == "none", row.id
        assert row.judged == (row.limit.operator != "none")


@pytest.mark.parametrize(
    ("name", "row", "text"),
    [
        ("ga68-chloride-generator", "endotoxin", "< 175 IU/V"), ("ga68-chloride-generator", "ge68", "<= 0.001 %"),
        ("ga68-chloride-accelerator", "half_life", "64.6 to 71.4 min"), ("edotreotide-ph-eur-applied", "impurity_a", "<= 3 %"),
        ("edotreotide-ph-eur-applied", "impurity_b", "<= 2 %"), ("edotreotide-ph-eur-applied", "peptide", "<= 50 ug"),
        ("psma11-fda-ucla-ucsf", "half_life", "64.4 to 71.2 min"), ("psma11-fda-ucla-ucsf", "bubble_point", "> 50 psi"),
        ("psma11-um-cyclotron", "endotoxin", "<= 10.9 EU/mL"), ("pentixather-lu177", "lu177m", "<= 0.05 %"),
        ("pentixather-y90", "sr90", "no limit: site must set"),
    ],
)  # fmt: skip
def test_limits_are_those_that_the_sources_print(name, row, text):
    assert find_specification(name).row(row).limit.text() == text


def test_a_site_derives_its_own_and_the_change_is_on_record():
    site, base = read(SITE), find_specification("pentixafor-daniel-2023")
    assert site.row("itlc_product").limit.text() == ">= 97 %"
    assert site.row("itlc_product").tag == "site"
    assert site.row("ph") == base.row("ph")
    assert (site.base, site.stability_h) == (base.name, base.stability_h)
    change = site.overrides[0]
    assert (change.before, change.after, change.reason, change.source) == (
        ">= 95 %",
        ">= 97 %",
        "own validation",
        "VAL-12",
    )


def test_a_site_sets_the_limit_that_an_unverified_row_lacks():
    text = SITE.replace("pentixafor-daniel-2023@1", "pentixather-y90@1").replace('id = "itlc_product"', 'id = "sr90"')
    row = read(text.replace('operator = ">="', 'operator = "<="').replace('"97"', '"0.001"')).row("sr90")
    assert (row.judged, row.limit.text(), row.phase) == (True, "<= 0.001 %", "pre-release")


def test_the_hash_changes_with_any_content_and_with_nothing_else():
    assert read(SITE).sha256 == read(SITE + "\n# a comment\n").sha256
    assert (
        len({read(SITE).sha256, read(SITE.replace("97", "96")).sha256, read(SITE.replace("VAL-12", "VAL-13")).sha256})
        == 3
    )


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ('reason = "own validation"\n', "", "reason"),
        ('source = "VAL-12"\n', "", "source"),
        ("version = 1", "version = 0", "version"),
        ('"itlc_product"', '"itcl_product"', "itlc_product"),
        ('bound = "97"', 'bound = "x"', "bound"),
        ('">="', '"=>"', "operator"),
        ("@1", "@7", "pentixafor-daniel-2023@1"),
        ('bound = "97"', 'buond = "97"', "buond"),
        ("version = 1", "version = ", "TOML"),
        ('bound = "97"', 'bound = "97"\ntag = "M"', "unverified"),
        ('operator = ">="', 'operator = "range"', "low and high"),
        ('bound = "97"', 'bound = "97"\nrounding = "up"', "rounding"),
        ('bound = "97"', 'bound = "97"\nunit = "furlong"', "unit"),
        ('bound = "97"', 'bound = "97"\nphase = "later"', "phase"),
    ],
)
def test_a_broken_specification_is_refused_in_one_sentence(old, new, word):
    with pytest.raises(InputError, match=word) as refusal:
        read(SITE.replace(old, new, 1))
    assert "\n" not in str(refusal.value)


def test_no_recipe_is_a_default_and_unverified_ones_say_so():
    assert {r.tag for r in shipped_recipes().values()} == {"V", "S"}
    with pytest.raises(InputError):
        find_recipe("")


def test_departures_name_what_was_run_otherwise_and_what_was_not_recorded():
    recipe = find_recipe("gaia-luna-daniel-2023")
    found = departures(recipe, {"module": "gaia/luna", "temperature_c": "97,0", "reaction_time_min": 5})
    assert [(d.parameter, d.found) for d in found] == [("reaction_time_min", "5"), ("precursor_ug", "")]


def test_a_range_of_a_recipe_is_kept_by_anything_inside():
    recipe = find_recipe("pentixather-guide")
    assert {d.parameter for d in departures(recipe, {"reaction_time_min": 25})} == set(recipe.parameters) - {
        "reaction_time_min"
    }
