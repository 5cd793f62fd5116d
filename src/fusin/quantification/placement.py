"""Reference regions placed on the CT without learned weights, each with a confidence or a reason why not.

The CT, resampled to the PET grid, gives the anatomy; the PET only helps to avoid lesions and other organs. Every
finder measures named criteria (`placement_criteria`); their geometric mean is the confidence. Below
``CONFIDENCE_FLOOR`` nothing is placed: a wrong reference changes every ratio of the reading and looks like a result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fusin.errors import InputError, NotComputable
from fusin.imaging.volume import Volume
from fusin.provenance import NoticeLog
from fusin.quantification.placement_criteria import CONFIDENCE_FLOOR, Candidate, confidence
from fusin.quantification.references import (
    ReferenceKind,
    ReferenceRegion,
    reference_from_region,
    reference_shape,
    shape_region,
)

if TYPE_CHECKING:
    from fusin.quantification.placement_abdomen import Side
    from fusin.quantification.placement_anatomy import Anatomy

__all__ = ["Declined", "PlacementResult", "place_automatically"]

KINDS: tuple[ReferenceKind, ...] = ("blood_pool", "liver", "spleen", "marrow", "muscle", "brain")
SIDED: tuple[ReferenceKind, ...] = ("blood_pool", "liver", "spleen")
MIRROR_RATIO = 1.3
"""More liver-like tissue than this on the left, over the right: mirrored organs or mirrored images."""


@dataclass(frozen=True, slots=True)
class Declined:
    """A reference that was not placed, and why."""

    kind: ReferenceKind
    because: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PlacementResult:
    """What automatic placement found.

    Attributes
    ----------
    placed : regions with their confidence
    declined : kinds asked for that were not placed
    anatomy : landmarks behind the places, for `physiological_organs`; None where none were looked for
    """

    placed: tuple[ReferenceRegion, ...]
    declined: tuple[Declined, ...]
    anatomy: Anatomy | None = None

    def get(self, kind: ReferenceKind) -> ReferenceRegion | None:
        """The region of a kind, or None."""
        return next((r for r in self.placed if r.kind == kind), None)


def place_automatically(
    pet: Volume,
    ct_on_pet: Volume | None,
    *,
    kinds: Sequence[ReferenceKind] = KINDS,
    log: NoticeLog,
    fwhm_mm: float = 6.0,
) -> PlacementResult:
    """Place reference regions by the CT's anatomy.

    Parameters
    ----------
    pet : SUVbw volume
    ct_on_pet : CT in HU resampled to the grid of `pet`; None declines everything
    kinds : tissues to place, of blood_pool, liver, spleen, marrow, muscle, brain
    log : receives REFERENCE_PLACED and REFERENCE_DECLINED, and what `reference_from_region` doubts
    fwhm_mm : resolution of the PET, for the interval of the mean

    Raises
    ------
    InputError
        When the CT lies on another grid or is not in HU, or a kind has no finder.

    Notes
    -----
    Positions: blood pool and liver as in PERCIST 1.0 (doi:10.2967/jnumed.108.057307). The finders themselves are
    project-defined; they were judged on two digital anatomies (``tests/quantification/test_placement.py``), never on
    patients. Look at every region before using its ratio.
    """
    unknown = [k for k in kinds if k not in KINDS]
    if unknown:
        raise InputError("placement", "kinds", unknown, "kinds of " + ", ".join(KINDS))
    if ct_on_pet is None:
        return _decline_all(kinds, "there is no CT to place it on", log)
    if not ct_on_pet.grid.matches(pet.grid):
        raise InputError("placement", "CT grid", ct_on_pet.shape, f"the grid of the PET {pet.shape}; resample first")
    if ct_on_pet.unit != "[hnsf'U]":
        raise InputError("placement", "CT unit", ct_on_pet.unit, "[hnsf'U]")
    from fusin.quantification.placement_anatomy import find_anatomy, patient_frame

    if min(pet.shape) < 8:
        return _decline_all(kinds, f"a volume of {pet.shape} voxels is too small to hold a body", log)
    frame = patient_frame(pet, ct_on_pet)
    if frame is None:
        return _decline_all(kinds, "the scan is tilted by more than 20 degrees, or its CT shows air only", log)
    if not np.isfinite(frame.pet).all():
        return _decline_all(kinds, "the PET holds values that are not finite", log)
    placed: list[ReferenceRegion] = []
    declined: list[Declined] = []
    anatomy = find_anatomy(frame)
    for kind, found in _find(anatomy, kinds).items():
        outcome = found if isinstance(found, str) else _accept(pet, found, log, fwhm_mm)
        if isinstance(outcome, str):
            declined.append(_decline(kind, outcome, log))
        else:
            placed.append(outcome)
    return PlacementResult(placed=tuple(placed), declined=tuple(declined), anatomy=anatomy)


def _find(anatomy: Anatomy, kinds: Sequence[ReferenceKind]) -> dict[ReferenceKind, Candidate | str]:
    """Candidate or reason for each kind, in the order asked for."""
    from fusin.quantification.placement_abdomen import find_liver, find_spleen, liver_level, sides_of_liver
    from fusin.quantification.placement_aorta import find_blood_pool
    from fusin.quantification.placement_skeleton import find_brain, find_marrow, find_muscle

    sides = sides_of_liver(anatomy)
    mirrored = _mirrored(sides)
    finders: dict[ReferenceKind, Callable[[], Candidate | str]] = {
        "blood_pool": lambda: find_blood_pool(anatomy),
        "liver": lambda: find_liver(anatomy, sides),
        "spleen": lambda: find_spleen(anatomy, sides),
        "marrow": lambda: find_marrow(anatomy),
        "muscle": lambda: find_muscle(anatomy, liver_level(anatomy, sides)),
        "brain": lambda: find_brain(anatomy),
    }
    return {kind: mirrored if mirrored and kind in SIDED else finders[kind]() for kind in kinds}


def _mirrored(sides: tuple[Side, Side] | None) -> str:
    """Why left and right cannot be trusted, or an empty text."""
    if sides is None:
        return ""
    right, left = sides
    if left.bulk_ml <= MIRROR_RATIO * max(right.bulk_ml, 1.0):
        return ""
    return (
        f"more liver-like tissue lies on the left ({left.bulk_ml:.0f} mL) than on the right ({right.bulk_ml:.0f} mL): "
        "mirrored organs, mirrored images or a very large spleen"
    )


def _accept(pet: Volume, found: Candidate, log: NoticeLog, fwhm_mm: float) -> ReferenceRegion | str:
    """Measure a candidate on the PET's own voxels, or say why its confidence does not allow it."""
    sure = confidence(found.criteria)
    if sure < CONFIDENCE_FLOOR:
        weak = sorted(found.criteria, key=lambda c: c.value)[:2]
        return f"confidence {sure:.2f} is below {CONFIDENCE_FLOOR:g}: " + "; ".join(
            f"{c.name} {c.value:.2f} ({c.because})" for c in weak if c.value < 0.9
        )
    shape = reference_shape(found.kind)
    x, y, z = found.centre_mm
    detail = (
        f"{found.sentence}; {shape.text} at LPS ({x:.0f}, {y:.0f}, {z:.0f}) mm; confidence {sure:.2f} from "
        + ", ".join(f"{c.name} {c.value:.2f}" for c in found.criteria)
    )
    region = shape_region(pet.grid, found.kind, found.centre_mm, log=log, source="automatic placement on CT")
    try:
        reference = reference_from_region(
            pet, region, found.kind, "automatic", log=log, fwhm_mm=fwhm_mm, confidence=sure, detail=detail
        )
    except NotComputable as err:
        return str(err)
    log.info(
        "REFERENCE_PLACED",
        f"{found.kind}: {detail}",
        where=found.kind,
        used={c.name: round(c.value, 3) for c in found.criteria},
    )
    return reference


def _decline(kind: ReferenceKind, because: str, log: NoticeLog) -> Declined:
    """Record a refusal."""
    log.info("REFERENCE_DECLINED", f"no automatic {kind} reference: {because}", where=kind)
    return Declined(kind, because)


def _decline_all(kinds: Sequence[ReferenceKind], because: str, log: NoticeLog) -> PlacementResult:
    """Refuse every kind for one reason."""
    return PlacementResult(placed=(), declined=tuple(_decline(kind, because, log) for kind in kinds))
