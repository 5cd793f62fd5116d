"""Threshold and contour rules by name: each word does what the list of rules says, everything else is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.errors import FusinError, InputError, NotComputable
from fusin.imaging.volume import Grid, Region, Volume
from fusin.provenance import NoticeLog
from fusin.quantification.references import ReferenceRegion
from fusin.quantification.rules import (
    CONTOUR_RULES,
    THRESHOLD_RULES,
    check_contour,
    check_threshold,
    contour_lesion,
    named_threshold,
)
from fusin.quantification.segmentation import SEED_RULES

MEAN, SD = (
    {"blood_pool": 1.6, "liver": 1.3, "spleen": 5.0, "marrow": 1.8, "muscle": 0.6, "brain": 0.2, "adrenal": 3.0},
    0.1,
)
GRID = Grid(shape=(24, 24, 24), affine=np.diag([3.0, 3.0, 3.0, 1.0]))


@pytest.fixture(scope="module")
def pet():
    """A Gaussian of SUV 10 and FWHM 22 mm on a background of 1."""
    z, y, x = np.indices(GRID.shape) - 12
    values = 1.0 + 9.0 * np.exp(-math.log(2) * (9.0 * (x**2 + y**2 + z**2)) / 11.0**2)
    return Volume(values=values.astype(np.float32), grid=GRID, unit="g/ml{SUVbw}")


@pytest.fixture(scope="module")
def references():
    region = Region(name="r", grid=GRID, start=(0, 0, 0), crop=np.ones((2, 2, 2), dtype=bool))
    return [
        ReferenceRegion(
            kind=kind, region=region, mean=mean, sd=SD, voxels=8, volume_ml=0.216, mean_low=mean - 0.05,
            mean_high=mean + 0.05, method="given",
        )
        for kind, mean in MEAN.items()
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "suv"),
    [
        ("fixed:4", 4.0),
        ("fixed:2.5", 2.5),
        (" fixed:4 ", 4.0),
        ("blood-pool", 2 * 1.6 + 2 * SD),
        ("percist-blood", 2 * 1.6 + 2 * SD),
        ("liver", 1.5 * 1.3 + 2 * SD),
        ("spleen:1", 5.0),
        ("blood_pool:3:0", 4.8),
        ("marrow:2:1", 3.7),
        ("liver:2:-1", 2.5),
    ],
)
def test_a_name_gives_the_threshold_that_it_says(pet, references, text, suv):
    check_threshold(text)
    assert named_threshold(text, references, pet).suv == pytest.approx(suv)


def test_liver_max_is_the_highest_voxel_of_the_reference(pet, references):
    highest = float(pet.values[:2, :2, :2].max())
    assert named_threshold("liver-max", references, pet).suv == pytest.approx(highest)


@pytest.mark.parametrize("kind", sorted(MEAN))
def test_every_reference_may_carry_a_threshold(pet, references, kind):
    assert named_threshold(f"{kind}:1.5", references, pet).suv == pytest.approx(1.5 * MEAN[kind])


@pytest.mark.parametrize("text", ["blood-pool", "percist-blood", "liver", "liver-max", "spleen:1"])
def test_a_rule_without_its_reference_cannot_be_computed_and_says_what_would_do(pet, text):
    with pytest.raises(NotComputable, match="--at"):
        named_threshold(text, (), pet)


@pytest.mark.parametrize(
    "text",
    [
        "", "nonsense", "fixed", "fixed:", "fixed:x", "fixed:1:2", "fixed:nan", "fixed:inf", "fixed:0", "fixed:-2",
        "spleen:", "spleen:x", "spleen:1:2:3", "spleen:0", "spleen", "blood_pool", "blood-pool:2", "liver-max:1", "FIXED:4",
        "percist-blood:1", "fixed;4",
    ],
)  # fmt: skip
def test_an_unknown_threshold_is_refused_before_any_work(text):
    with pytest.raises(InputError, match="--threshold"):
        check_threshold(text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=20) | st.from_regex(r"[a-z_-]{0,12}(:-?[0-9.]{0,6}){0,3}", fullmatch=True))
def test_what_the_check_lets_pass_the_rules_can_name(text):
    """After the check only a missing or unsuitable reference may stand in the way, never a mistyped name."""
    pet = Volume(
        values=np.ones((2, 2, 2), dtype=np.float32), grid=Grid(shape=(2, 2, 2), affine=np.eye(4)), unit="g/ml{SUVbw}"
    )
    try:
        check_threshold(text)
    except InputError:
        return
    try:
        suv = named_threshold(text, (), pet).suv
    except NotComputable:
        suv = 1.0
    assert suv > 0


@pytest.mark.parametrize("rule", [*SEED_RULES, "gradient", "majority-2", "majority-3", "van-dalen:6"])
def test_every_contour_rule_draws_a_region_around_the_maximum(pet, references, rule):
    check_contour(rule)
    seed = Region(name="lesion", grid=GRID, start=(8, 8, 8), crop=np.ones((9, 9, 9), dtype=bool))
    drawn = contour_lesion(pet, seed, rule, references=references, voi=None, log=NoticeLog())
    assert drawn.name == "lesion"
    assert drawn.mask()[12, 12, 12]


def test_a_contour_at_half_of_the_maximum_is_the_analytic_sphere(pet, references):
    """1 + 9 exp(-ln2 r2/121 mm2) = 5 at r = 11.9 mm, between two shells of voxel centres; 5 % for counting voxels."""
    seed = Region(name="lesion", grid=GRID, start=(8, 8, 8), crop=np.ones((9, 9, 9), dtype=bool))
    drawn = contour_lesion(pet, seed, "percent-max-50", references=references, voi=None, log=NoticeLog())
    radius = 11.0 * math.sqrt(math.log(9 / 4) / math.log(2))
    assert drawn.volume_ml == pytest.approx(4 / 3 * math.pi * radius**3 / 1000, rel=0.05)


def test_a_majority_without_the_liver_cannot_be_drawn(pet):
    seed = Region(name="lesion", grid=GRID, start=(8, 8, 8), crop=np.ones((9, 9, 9), dtype=bool))
    with pytest.raises(NotComputable, match="liver"):
        contour_lesion(pet, seed, "majority-2", references=(), voi=None, log=NoticeLog())


@pytest.mark.parametrize(
    "text",
    [
        "", "nonsense", "van-dalen", "van-dalen:x", "van-dalen:1:2", "jentzen:1", "schaefer", "majority-4", "gradient:1",
        "van-dalen:0", "van-dalen:-3",
    ],
)  # fmt: skip
def test_an_unknown_contour_is_refused(text):
    with pytest.raises(InputError, match="--contour"):
        check_contour(text)


@pytest.mark.parametrize("rule", ["jentzen:0:0", "schaefer:0:0", "schaefer:-1:-1"])
def test_coefficients_without_sense_are_refused_when_they_are_used(pet, references, rule):
    seed = Region(name="lesion", grid=GRID, start=(8, 8, 8), crop=np.ones((9, 9, 9), dtype=bool))
    with pytest.raises(FusinError):
        contour_lesion(pet, seed, rule, references=references, voi=None, log=NoticeLog())


def test_every_listed_rule_has_words(pet):
    assert all(THRESHOLD_RULES.values())
    assert all(CONTOUR_RULES.values())
    assert set(SEED_RULES) <= set(CONTOUR_RULES)
