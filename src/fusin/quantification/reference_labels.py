"""Reference regions inside organ labels, and the optional program that makes such labels.

Labels are `Region` objects on the PET grid with the names TotalSegmentator gives them; which label serves which
tissue, and how, is data in ``reference_labels.toml``.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from fusin.errors import InputError, MissingExtra, NotComputable
from fusin.imaging.volume import BoolArray, FloatArray, Grid, Region, Volume
from fusin.provenance import NoticeLog
from fusin.quantification.references import (
    ReferenceKind,
    ReferenceRegion,
    reference_from_region,
    reference_shape,
    reference_table,
    shape_region,
)

__all__ = ["descending_aorta", "references_from_labels", "run_totalsegmentator"]

ASCENDING_TO_DESCENDING_MM = 25.0
ARCH_MM = 10.0
BELOW_HEART_MM = 60.0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Tissue:
    """Where a shape may be searched: voxels of a crop, where its centre may lie, and the textbook place."""

    allowed: BoolArray
    centres: BoolArray
    ideal: FloatArray
    sentence: str


def references_from_labels(
    pet: Volume,
    labels: Sequence[Region],
    *,
    log: NoticeLog,
    fwhm_mm: float = 6.0,
    kinds: Sequence[ReferenceKind] = get_args(ReferenceKind),
) -> tuple[ReferenceRegion, ...]:
    """Place a reference in each tissue for which a label exists.

    Parameters
    ----------
    pet : SUVbw volume
    labels : organ labels on the grid of `pet`, named as by TotalSegmentator (case, blanks and hyphens do not matter)
    log : receives REFERENCE_PLACED, REFERENCE_LABEL_UNUSABLE, REFERENCE_LEVEL_UNKNOWN and the doubts of
        `reference_from_region`
    fwhm_mm : resolution of the PET, for the interval of the mean
    kinds : tissues wanted

    Returns
    -------
    tuple of ReferenceRegion
        At most one per kind, both sides for the adrenals. A kind without a usable label is absent.

    Raises
    ------
    InputError
        When a label lies on another grid.
    """
    named = {_plain(label.name): label for label in labels}
    placed: list[ReferenceRegion] = []
    for row in reference_table()["label"]:
        kind: ReferenceKind = row["kind"]
        whole = row["place"] == "whole"
        if kind not in kinds or (not whole and any(r.kind == kind for r in placed)):
            continue
        for name in row["names"]:
            label = named.get(_plain(name))
            if label is None:
                continue
            reference = _place(pet, label, row, log, fwhm_mm)
            if reference is not None:
                placed.append(reference)
                break
    return tuple(placed)


def descending_aorta(label: Region) -> tuple[Region, bool]:
    """Descending thoracic part of an aorta label.

    At the levels of the ascending aorta an axial plane cuts the vessel twice: the cut behind is the descending part.
    It is followed 60 mm further down; the topmost 10 mm, where both cuts join in the arch, are left out.

    Parameters
    ----------
    label : whole aorta on any grid within 20 degrees of the patient axes

    Returns
    -------
    region, known
        The part, and whether its level is known; without an ascending part the label is returned as it is.

    Raises
    ------
    InputError
        When the grid is tilted by more than 20 degrees.
    """
    from scipy import ndimage as ndi

    from fusin.quantification.placement_anatomy import patient_axes

    axes = patient_axes(label.grid)
    if axes is None:
        raise InputError(label.name, "grid", "tilted by more than 20 degrees", "axial planes within 20 degrees")
    order, flips = axes
    mask = label.crop.transpose(order)[flips]
    steps = [label.grid.spacing_mm[2 - a] for a in order]
    planes = [ndi.label(plane, np.ones((3, 3))) for plane in mask]
    behind = [_cut_behind(numbers, count, steps[1]) for numbers, count in planes]
    double = [k for k, n in enumerate(behind) if n > 0]
    if not double:
        return label, False
    part = np.zeros_like(mask)
    top = double[-1] - round(ARCH_MM / steps[0])
    low = max(0, double[0] - round(BELOW_HEART_MM / steps[0]))
    above: BoolArray | None = None
    for k in range(max(top, double[0]), low - 1, -1):
        numbers, count = planes[k]
        chosen = behind[k]
        if chosen == 0 and above is not None and count:
            shared = np.bincount(numbers[above], minlength=count + 1)
            shared[0] = 0
            chosen = int(shared.argmax()) if shared.any() else 0
        if chosen == 0:
            continue
        part[k] = numbers == chosen
        above = part[k]
    back = np.empty_like(label.crop)
    back.transpose(order)[flips] = part
    full = np.zeros(label.grid.shape, dtype=bool)
    full[label.box] = back
    return Region.from_mask(label.name, label.grid, full, source=label.source), True


def run_totalsegmentator(
    ct_path: Path, out_folder: Path, *, log: NoticeLog, fast: bool = False, device: str = "gpu"
) -> Path:
    """Segment the organs of a CT with TotalSegmentator, an optional extra.

    Parameters
    ----------
    ct_path : DICOM folder or NIfTI file of the CT
    out_folder : receives one NIfTI mask per organ; made if absent
    log : receives TOTALSEGMENTATOR_RUN
    fast : use the 3 mm model
    device : ``"gpu"``, ``"cpu"`` or ``"gpu:1"``; without a GPU the program falls back to the CPU

    Returns
    -------
    Path
        The folder with the masks, to be read with `fusin.imaging.masks.read_regions`.

    Raises
    ------
    MissingExtra
        When TotalSegmentator is not installed.
    InputError
        When the CT does not exist.
    NotComputable
        When the program fails, for example because its weights cannot be had.
    """
    if not ct_path.exists():
        raise InputError(str(ct_path), "CT", "nothing", "a DICOM folder or a NIfTI file")
    try:
        from totalsegmentator.config import set_config_key, setup_totalseg
        from totalsegmentator.python_api import totalsegmentator
    except ImportError as err:
        raise MissingExtra("totalsegmentator", "totalsegmentator", "organ segmentation") from err
    out_folder.mkdir(parents=True, exist_ok=True)
    rois = list(reference_table()["totalsegmentator"]["roi_subset"])
    # The program prints to standard output, which belongs to --json here.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            setup_totalseg()
            # On by default there: facts about each run would leave the hospital.
            set_config_key("send_usage_stats", False)
            totalsegmentator(ct_path, out_folder, task="total", roi_subset=rois, fast=fast, quiet=True, device=device)
        except (Exception, SystemExit) as err:  # any failure of a foreign program, sys.exit included
            raise NotComputable(
                "organ labels", f"TotalSegmentator failed: {err}", "its weights on this machine, and enough memory"
            ) from err
    if not any(out_folder.glob("*.nii.gz")):
        raise NotComputable("organ labels", "TotalSegmentator wrote no mask", "a CT that shows one of its organs")
    log.info(
        "TOTALSEGMENTATOR_RUN",
        f"organs were segmented by TotalSegmentator ({'3 mm' if fast else '1.5 mm'} model, "
        "doi:10.1148/ryai.230024); its usage statistics were switched off",
        where=ct_path.name,
    )
    return out_folder


def _plain(name: str) -> str:
    """Label name without case, blanks and hyphens."""
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _cut_behind(numbers: Any, count: int, step_mm: float) -> int:
    """Number of the hindmost of two cuts that lie well apart, 0 where the plane has no such pair."""
    from scipy import ndimage as ndi

    if count < 2:
        return 0
    rows = [float(c[0]) * step_mm for c in ndi.center_of_mass(numbers > 0, numbers, range(1, count + 1))]
    if max(rows) - min(rows) < ASCENDING_TO_DESCENDING_MM:
        return 0
    return int(np.argmax(rows)) + 1


def _place(
    pet: Volume, label: Region, row: Mapping[str, Any], log: NoticeLog, fwhm_mm: float
) -> ReferenceRegion | None:
    """Reference of one row of the table in one label, or None with a notice."""
    from fusin.quantification.reference_search import quiet_place, shape_offsets

    kind: ReferenceKind = row["kind"]
    where = label.name
    try:
        if row["place"] == "whole":
            detail = f"the whole label {label.name} ({label.volume_ml:.1f} mL)"
            return reference_from_region(pet, label, kind, "labels", log=log, fwhm_mm=fwhm_mm, detail=detail)
        if not label.grid.matches(pet.grid):
            raise InputError(label.name, "grid", label.grid.shape, f"the PET's grid {pet.shape}; resample first")
        tissue, organ = _tissue(label, kind, row, log)
        offsets = shape_offsets(reference_shape(kind), pet.grid)
        spacing = pet.spacing_mm[::-1]
        values = np.ascontiguousarray(pet.values[organ.box], dtype=np.float32)
        place = quiet_place(values, tissue.allowed, offsets, tissue.ideal.tolist(), spacing, centres_in=tissue.centres)
        if place is None:
            text = (
                f"a {reference_shape(kind).text} does not fit into {label.name}, {row['erode_mm']:g} mm from its edge"
            )
            log.warning("REFERENCE_LABEL_UNUSABLE", text, where=where)
            return None
        centre = pet.grid.to_mm((np.array(place.index) + organ.start)[::-1])
        region = shape_region(pet.grid, kind, centre.tolist(), log=log, source=f"label {label.name}")
        x, y, z = centre
        detail = (
            f"{reference_shape(kind).text} in {tissue.sentence} at LPS ({x:.0f}, {y:.0f}, {z:.0f}) mm, more than "
            f"{row['erode_mm']:g} mm from voxels outside the label, in the quietest quarter of {place.centres} places"
        )
        reference = reference_from_region(pet, region, kind, "labels", log=log, fwhm_mm=fwhm_mm, detail=detail)
    except NotComputable as err:
        log.warning("REFERENCE_LABEL_UNUSABLE", f"label {label.name} gives no {kind} reference: {err}", where=where)
        return None
    log.info("REFERENCE_PLACED", f"{kind}: {detail}", where=kind)
    return reference


def _tissue(label: Region, kind: ReferenceKind, row: Mapping[str, Any], log: NoticeLog) -> tuple[_Tissue, Region]:
    """Voxels to search for one kind, and the (part of the) label whose box they refer to."""
    from fusin.quantification.reference_search import eroded

    organ, sentence = label, label.name
    if row["place"] == "descending_aorta":
        organ, known = descending_aorta(label)
        sentence = f"the descending thoracic part of {label.name}"
        if not known:
            sentence = f"{label.name} (no ascending part in view: the level is not known)"
            log.warning(
                "REFERENCE_LEVEL_UNKNOWN",
                f"{label.name} shows no ascending part, so that its descending thoracic part cannot be told; "
                "the cylinder may lie in the abdominal aorta",
                where=label.name,
            )
    allowed = eroded(organ.crop, row["erode_mm"], organ.grid.spacing_mm[::-1])
    inside = np.argwhere(allowed)
    if inside.shape[0] == 0:
        return _Tissue(allowed=allowed, centres=allowed, ideal=np.zeros(3), sentence=sentence), organ
    mm = _millimetres(organ.grid, inside, organ.start)
    keep = np.ones(inside.shape[0], dtype=bool)
    target = mm.mean(axis=0)
    if kind == "liver":
        # LPS x grows to the left: the right lobe lies on the lower side of the centroid.
        keep = mm[:, 0] <= target[0]
        low, high = mm[:, 2].min(), mm[:, 2].max()
        target = np.array([mm[keep, 0].mean(), mm[keep, 1].mean(), 0.5 * (low + high)])
        sentence = f"the right lobe of {label.name}"
    elif kind == "brain":
        # Off the midline and above the middle: no ventricle in the centre, no pituitary below.
        keep = (mm[:, 0] < target[0] - 10.0) & (mm[:, 2] > target[2])
        target = mm[keep].mean(axis=0) if keep.any() else target
        sentence = f"the upper right part of {label.name}"
    centres = np.zeros_like(allowed)
    centres[tuple(inside[keep].T)] = True
    ideal = organ.grid.to_index(target)[::-1] - np.array(organ.start)
    return _Tissue(allowed=allowed, centres=centres, ideal=ideal, sentence=sentence), organ


def _millimetres(grid: Grid, index: np.ndarray, start: tuple[int, int, int]) -> FloatArray:
    """LPS millimetres of crop indices (z, y, x)."""
    return grid.to_mm((index + np.array(start))[:, ::-1])
