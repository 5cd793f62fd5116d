"""The adrenals of a reading: labelled glands, and the hot nodules that grow from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fusin.imaging.volume import Region, Volume
from fusin.provenance import NoticeLog
from fusin.quantification.adrenal import AdrenalIndices, adrenal_indices
from fusin.quantification.lesions import Lesion
from fusin.quantification.metrics import RegionMetrics, measure_region
from fusin.quantification.morphology import dilate
from fusin.quantification.references import ReferenceRegion
from fusin.quantification.tracer import evidence_tracer

__all__ = ["read_adrenals"]

NODULE_REACH_MM = 5.0
SIDES = ("left", "right")


def read_adrenals(
    pet: Volume,
    labels: Sequence[Region],
    lesions: Sequence[Lesion],
    references: Sequence[ReferenceRegion],
    series: Mapping[str, Any],
    log: NoticeLog,
) -> AdrenalIndices | None:
    """Adrenal indices of the labelled glands, each with the candidates that touch it.

    Organ labels end where a nodule begins, and the cut-offs are made for the hottest voxel of the whole adrenal: a
    candidate within 5 mm of a gland belongs to it, and the gland without it is the adjacent adrenal.
    """
    glands = {r.name.lower(): r for r in labels if r.name.lower().startswith("adrenal_gland") and r.voxels}
    if not glands:
        log.warning(
            "ADRENALS_NOT_LABELLED",
            "adrenal indices need the labels adrenal_gland_left and adrenal_gland_right (--labels)",
            where="adrenal",
        )
        return None
    quiet = NoticeLog()
    whole: dict[str, RegionMetrics | None] = dict.fromkeys(SIDES)
    adjacent: dict[str, RegionMetrics | None] = dict.fromkeys(SIDES)
    for side in SIDES:
        gland = glands.get(f"adrenal_gland_{side}")
        if gland is None:
            continue
        nodules = [lesion for lesion in lesions if _touches(lesion.region, dilate(gland, NODULE_REACH_MM))]
        nodules = [n for n in nodules if _reaches_beyond(n.region, gland)]
        whole[side] = measure_region(pet, _joined(gland, [n.region for n in nodules]), log=quiet)
        if nodules:
            rest = _without(gland, [n.region for n in nodules])
            adjacent[side] = measure_region(pet, rest, log=quiet) if rest.voxels else None
            log.info(
                "ADRENAL_NODULE_JOINED",
                f"{', '.join(f'candidate {n.number}' for n in nodules)} touches the {side} adrenal and is measured with it",
                where=gland.name,
            )
    liver = next((r for r in references if r.kind == "liver"), None)
    return adrenal_indices(
        whole["left"],
        whole["right"],
        liver,
        adjacent_left=adjacent["left"],
        adjacent_right=adjacent["right"],
        time_min=series.get("uptake_time_min"),
        tracer=evidence_tracer(series),
        log=log,
    )


def _touches(lesion: Region, around: Region) -> bool:
    return bool((lesion.mask() & around.mask()).any())


def _reaches_beyond(lesion: Region, gland: Region) -> bool:
    """Whether a candidate is more than the gland's own uptake: most of it lies outside the label."""
    inside = int(np.count_nonzero(lesion.mask() & gland.mask()))
    return lesion.voxels > 2 * inside


def _joined(gland: Region, nodules: Sequence[Region]) -> Region:
    mask = gland.mask()
    for nodule in nodules:
        mask |= nodule.mask()
    return Region.from_mask(gland.name, gland.grid, mask)


def _without(gland: Region, nodules: Sequence[Region]) -> Region:
    mask = gland.mask()
    for nodule in nodules:
        mask &= ~nodule.mask()
    return Region.from_mask(f"{gland.name} beside the nodule", gland.grid, mask)
