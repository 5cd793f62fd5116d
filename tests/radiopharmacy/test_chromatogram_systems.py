"""Two systems: each impurity counts once, whatever the regions share."""

from __future__ import annotations

import numpy as np
import pytest
from tests.radiopharmacy.chromatogram_builders import codes, gauss, trace

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.chromatogram_method import BaselineRule, ChromatogramMethod, PeakRule, RegionRule, read_method
from fusin.radiopharmacy.chromatogram_systems import combined
from fusin.radiopharmacy.hplc import evaluate_hplc
from fusin.radiopharmacy.tlc import evaluate_tlc

X = np.arange(0.0, 120.0, 0.5)
# What is in the vial, in percent; free gallium moves with citrate only, colloid never.
PRODUCT, FREE, COLLOID = 95.0, 2.0, 3.0
TOTAL = 2000.0


def strip(low, high, name):
    y = gauss(X, TOTAL * low, 20.0, 1.5) + gauss(X, TOTAL * high, 90.0, 2.0)
    return trace(X, np.round(y), axis="mm", where=name)


def method(low, high):
    regions = [
        RegionRule(name=n, mm=b, role=r, contains=c)
        for n, b, (r, c) in (("origin", (5, 50), low), ("front", (60, 115), high))
    ]
    return ChromatogramMethod(
        origin_mm=20.0,
        front_mm=100.0,
        decay_correction=False,
        regions=tuple(regions),
        baseline=BaselineRule(model="none"),
    )


def citrate(**roles):
    low, high = roles.get("low", ("", ("product", "colloid"))), roles.get("high", ("impurity", ("free",)))
    return evaluate_tlc(strip(PRODUCT + COLLOID, FREE, "citrate"), method(low, high), NoticeLog())


def methanol(**roles):
    low, high = roles.get("low", ("impurity", ("colloid", "free"))), roles.get("high", ("product", ("product",)))
    return evaluate_tlc(strip(COLLOID + FREE, PRODUCT, "methanol"), method(low, high), NoticeLog())


def run():
    """The column keeps the colloid."""
    x = np.arange(0.0, 15.0, 1 / 60)
    y = gauss(x, TOTAL * FREE * 5, 2.0, 0.1) + gauss(x, TOTAL * PRODUCT * 5, 10.0, 0.15)
    peaks = (PeakRule(name="free", window_min=(1, 3), role="impurity", contains=("free",)),
             PeakRule(name="product", window_min=(9, 11), role="product"))  # fmt: skip
    rule = ChromatogramMethod(decay_correction=False, peaks=peaks)
    return evaluate_hplc(trace(x, np.round(y), where="hplc"), rule, NoticeLog())


def test_free_gallium_at_the_origin_of_the_second_system_is_not_subtracted_again():
    """Product 95, free 2, colloid 3: 100 - 2 - 5 would be 93; the origin of methanol holds the free gallium of citrate."""
    found, _ = combined([citrate(), methanol()], "tlc-tlc", NoticeLog())
    assert found.formula == "100 - B"
    assert found.rcp.value == pytest.approx(95.0, abs=0.01)
    assert found.rcp.low < 95.0 < found.rcp.high
    assert {s.name: round(s.estimate.value, 2) for s in found.species} == {"free": 2.0, "colloid": 3.0}
    assert [s.formula for s in found.species] == ["B - A", "A"]


def test_regions_without_a_common_species_are_both_subtracted():
    """The formula as it is printed, for systems that part free gallium and colloid."""
    other = evaluate_tlc(strip(COLLOID, PRODUCT + FREE, "other"),
                         method(("impurity", ("colloid",)), ("", ("product", "free"))), NoticeLog())  # fmt: skip
    found, _ = combined([citrate(), other], "tlc-tlc", NoticeLog())
    assert found.formula == "100 - A - B"
    assert found.rcp.value == pytest.approx(95.0, abs=0.01)


def test_the_order_of_the_strips_changes_the_letters_only():
    found, _ = combined([methanol(), citrate()], "tlc-tlc", NoticeLog())
    assert found.formula == "100 - A"
    assert found.rcp.value == pytest.approx(95.0, abs=0.01)


def test_regions_that_do_not_say_what_they_hold_are_doubted():
    log = NoticeLog()
    found, _ = combined([citrate(high=("impurity", ())), methanol(low=("impurity", ()))], "tlc-tlc", log)
    # Both regions were called by different names, so they are subtracted as stated, which the warning doubts.
    assert found.rcp.value == pytest.approx(93.0, abs=0.01)
    assert "SPECIES_NOT_STATED" in codes(log)


def test_the_same_species_with_different_percentages_give_no_purity():
    log = NoticeLog()
    found, reason = combined([citrate(high=("impurity", ("colloid", "free"))), methanol()], "tlc-tlc", log)
    assert found is None
    assert "cannot both be" in reason
    assert "SYSTEMS_CONTRADICT" in codes(log)


def test_regions_that_share_some_species_only_give_no_purity():
    found, reason = combined([citrate(high=("impurity", ("free", "acetate"))), methanol()], "tlc-tlc", NoticeLog())
    assert found is None
    assert "each impurity once" in reason


def test_a_species_that_no_system_parts_from_the_product_is_told():
    log = NoticeLog()
    fragment = methanol(high=("", ("product", "fragment")))
    combined([citrate(), fragment], "tlc-tlc", log)
    assert any("fragment" in n.message for n in log if n.code == "PRODUCT_NOT_ALONE")


def test_a_strip_that_holds_what_the_run_sees_too_is_combined_without_it():
    """Origin 5 % of free and colloid, run 95/97 of product: (100 - 5) x 95/97 would count the free gallium twice."""
    found, _ = combined([methanol(), run()], "tlc-hplc", NoticeLog())
    assert found.rcp.value == pytest.approx(95.0, abs=0.02)
    assert "T without free" in found.formula


def test_colloid_of_a_strip_times_a_run_is_the_product():
    colloid = evaluate_tlc(strip(COLLOID, PRODUCT + FREE, "other"),
                           method(("impurity", ("colloid",)), ("", ("product", "free"))), NoticeLog())  # fmt: skip
    found, _ = combined([colloid, run()], "tlc-hplc", NoticeLog())
    assert found.formula == "(100 - A) x T"
    assert found.rcp.value == pytest.approx(95.0, abs=0.02)


def test_one_strip_whose_region_mixes_product_and_colloid_says_why_it_has_no_purity():
    assert "colloid beside the product" in citrate().rcp_reason
    assert citrate().rcp is None


@pytest.mark.parametrize(
    ("lines", "role", "contains"),
    [
        ('role = "free"', "impurity", ("free",)),
        ('role = "colloid"', "impurity", ("colloid",)),
        ('contains = ["Free", "colloid"]', "impurity", ("free", "colloid")),
        ('contains = "colloid + free"', "impurity", ("colloid", "free")),
        ('contains = ["product"]', "product", ("product",)),
        ('contains = ["product", "colloid"]', "", ("product", "colloid")),
        ('role = "impurity"', "impurity", ()),
    ],
)
def test_what_a_region_contains_settles_its_role(tmp_path, lines, role, contains):
    (tmp_path / "m.toml").write_text(f'kind = "tlc"\n[[regions]]\nname = "a"\nrf = [0.0, 0.5]\n{lines}\n')
    (region,) = read_method(tmp_path / "m.toml").regions
    assert (region.role, region.contains) == (role, contains)


@pytest.mark.parametrize(
    "lines",
    ['role = "product"\ncontains = ["product", "colloid"]', 'role = "impurity"\ncontains = ["product"]',
     'role = "free"\ncontains = ["colloid"]'],
)  # fmt: skip
def test_a_role_that_contradicts_what_the_region_contains_is_refused(tmp_path, lines):
    (tmp_path / "m.toml").write_text(f'[[regions]]\nname = "a"\nrf = [0.0, 0.5]\n{lines}\n')
    with pytest.raises(InputError) as refused:
        read_method(tmp_path / "m.toml")
    assert refused.value.field == "role"
