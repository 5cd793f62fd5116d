"""Threshold and contour rules by the names that a command line can say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np

from fusin.errors import InputError, NotComputable
from fusin.imaging.dicom_values import parse_number
from fusin.imaging.volume import Region, Volume
from fusin.provenance import NoticeLog
from fusin.quantification.references import ReferenceKind, ReferenceRegion, parse_kind
from fusin.quantification.segmentation import SEED_RULES, SeedRule, segment_gradient, segment_majority, segment_seed
from fusin.quantification.thresholds import (
    Threshold,
    threshold_fixed,
    threshold_jentzen,
    threshold_liver,
    threshold_percist_blood,
    threshold_reference,
    threshold_reference_max,
    threshold_schaefer,
    threshold_van_dalen,
)

__all__ = [
    "CONTOUR_RULES",
    "THRESHOLD_RULES",
    "check_contour",
    "check_threshold",
    "contour_lesion",
    "named_threshold",
    "own_surroundings",
]

THRESHOLD_RULES = {
    "blood-pool": "2 x blood-pool mean + 2 SD (default)",
    "percist-blood": "PERCIST form for the blood pool",
    "liver": "1.5 x liver mean + 2 SD (PERCIST; far too low for CXCR4 tracers, whose liver is cold)",
    "liver-max": "highest voxel of the liver reference",
    "fixed:SUV": "a fixed SUV",
    "KIND:K or KIND:K:S": "K x mean + S x SD of a reference, for example spleen:1 or blood_pool:3:0",
}
CONTOUR_RULES = {
    **dict.fromkeys(SEED_RULES, "per-lesion rule"),
    "gradient": "watershed on the gradient",
    "majority-2": "at least two of fixed 2.5, fixed 4, 41 % of max, liver max and PERCIST (MUST MV2)",
    "majority-3": "at least three of them (MUST MV3)",
    "van-dalen:FWHM": "iterative, for a resolution in mm",
    "jentzen:A:B": "iterative, with phantom coefficients",
    "schaefer:A:B": "A x mean70 + B x background, with phantom coefficients",
}


def _numbers(parts: Sequence[str], option: str, text: str, counts: tuple[int, ...]) -> list[float]:
    values = [parse_number(part) for part in parts]
    if len(values) not in counts or any(v is None for v in values):
        raise InputError(option, "rule", text, "numbers separated by colons, as in the list of rules")
    return [v for v in values if v is not None]


def _threshold_rule(text: str) -> tuple[str, list[float]]:
    """Name and numbers of a threshold.

    Raises
    ------
    InputError
        For an unknown name, or numbers that it does not take.
    """
    name, *parts = text.strip().split(":")
    if name == "fixed":
        numbers = _numbers(parts, "--threshold", text, (1,))
    elif name in ("blood-pool", "percist-blood", "liver-max") or (name == "liver" and not parts):
        numbers = _numbers(parts, "--threshold", text, (0,))
    elif name in get_args(ReferenceKind):
        numbers = _numbers(parts, "--threshold", text, (1, 2))
    else:
        raise InputError("--threshold", "rule", text, f"one of {', '.join(THRESHOLD_RULES)}")
    if numbers and numbers[0] <= 0:
        raise InputError("--threshold", "rule", text, "a positive SUV or factor, for else all of the image is a lesion")
    return name, numbers


def named_threshold(text: str, references: Sequence[ReferenceRegion], pet: Volume) -> Threshold:
    """Whole-body threshold from its name.

    Parameters
    ----------
    text : see ``THRESHOLD_RULES``
    references : reference regions of the reading
    pet : SUV volume

    Raises
    ------
    NotComputable
        When the rule needs a reference that could not be placed.
    InputError
        For an unknown rule.
    """
    name, numbers = _threshold_rule(text)
    if name == "fixed":
        return threshold_fixed(numbers[0])
    if name == "blood-pool":
        return threshold_reference(_reference(references, "blood_pool", text))
    if name == "percist-blood":
        return threshold_percist_blood(_reference(references, "blood_pool", text))
    if name == "liver-max":
        return threshold_reference_max(_reference(references, "liver", text), pet)
    if not numbers:
        return threshold_liver(_reference(references, "liver", text))
    reference = _reference(references, parse_kind(name, option="--threshold"), text)
    return threshold_reference(reference, factor=numbers[0], sd_factor=numbers[1] if len(numbers) > 1 else 0.0)


def _reference(references: Sequence[ReferenceRegion], kind: ReferenceKind, rule: str) -> ReferenceRegion:
    found = next((r for r in references if r.kind == kind), None)
    if found is None:
        raise NotComputable(
            "the search for lesions",
            f"the threshold {rule!r} needs a {kind.replace('_', ' ')} reference and none could be placed",
            f"--at {kind}=x,y,z, --labels with organ labels, or --threshold fixed:SUV",
            "NO_THRESHOLD",
        )
    return found


def check_threshold(text: str) -> None:
    """Refuse an unknown threshold before any long work.

    Raises
    ------
    InputError
        For an unknown rule.
    """
    _threshold_rule(text)


def check_contour(text: str) -> None:
    """Refuse an unknown contour rule before any long work.

    Raises
    ------
    InputError
        For an unknown rule.
    """
    _seed_rule(text)


def _seed_rule(text: str) -> SeedRule | str:
    name, *parts = text.strip().split(":")
    if not parts and name in SEED_RULES:
        return SEED_RULES[name]
    if not parts and name in ("gradient", "majority-2", "majority-3"):
        return name
    if name == "van-dalen":
        (fwhm,) = _numbers(parts, "--contour", text, (1,))
        if fwhm <= 0:
            raise InputError("--contour", "rule", text, "a positive resolution in mm")
        return lambda s: threshold_van_dalen(
            s.volume_at, suv_max=s.suv_max, background=s.need_background(), fwhm_mm=fwhm
        )
    if name == "jentzen":
        a, b = _numbers(parts, "--contour", text, (2,))
        return lambda s: threshold_jentzen(s.volume_at, suv_max=s.suv_max, background=s.need_background(), a=a, b=b)
    if name == "schaefer":
        a, b = _numbers(parts, "--contour", text, (2,))
        return lambda s: threshold_schaefer(s.mean70, s.need_background(), a=a, b=b)
    raise InputError("--contour", "rule", text, f"one of {', '.join(CONTOUR_RULES)}")


def own_surroundings(region: Region, others: Sequence[Region], *, margin_mm: float = 30.0) -> Region:
    """Where a lesion may be drawn again: its box widened by a margin, without the voxels of other candidates."""
    mask = np.zeros(region.grid.shape, dtype=bool)
    steps = [int(np.ceil(margin_mm / s)) for s in reversed(region.grid.spacing_mm)]
    low = [max(0, start - step) for start, step in zip(region.start, steps, strict=True)]
    high = [start + size + step for start, size, step in zip(region.start, region.crop.shape, steps, strict=True)]
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    for other in others:
        mask[other.box][other.crop] = False
    return Region.from_mask(f"surroundings of {region.name}", region.grid, mask)


def contour_lesion(
    pet: Volume, region: Region, rule: str, *, references: Sequence[ReferenceRegion], voi: Region | None, log: NoticeLog
) -> Region:
    """Draw one lesion again by a rule of its own, from the hottest voxel of its candidate region.

    Parameters
    ----------
    pet : SUV volume
    region : the candidate
    rule : see ``CONTOUR_RULES``
    references : reference regions, for rules that need the liver
    voi : where the contour may go; None for anywhere connected
    log : receives doubts

    Raises
    ------
    FusinError
        When the rule cannot be applied to this lesion.
    """
    chosen = _seed_rule(rule)
    if chosen == "gradient":
        return segment_gradient(pet, region, log=log, name=region.name)
    if isinstance(chosen, str):
        liver = _reference(references, "liver", rule)
        return segment_majority(pet, region, liver, needed=int(chosen[-1]), log=log, voi=voi, name=region.name)
    return segment_seed(pet, region, chosen, log=log, voi=voi, name=region.name)
