"""Rough physiological organs when nobody gave labels: bladder, kidneys and spleen by place, size and uptake.

A heuristic, declared as one. Each organ has to fulfil all its conditions, kidneys as a pair; a component that fails
one stays a candidate, because a lesion that is set aside is worse than an organ that is listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusin.imaging.volume import BoolArray, Grid, Region, Volume
from fusin.provenance import NoticeLog
from fusin.quantification.placement import PlacementResult
from fusin.quantification.placement_abdomen import liver_level, sides_of_liver
from fusin.quantification.placement_anatomy import Anatomy, Frame, find_anatomy, patient_frame

__all__ = ["physiological_organs"]

BRIDGE_MM = 5.0
"""Organs joined by less than twice this are parted before they are judged."""
BLUR_MM = 14.0
"""How far beyond its hot core an organ's blur is followed downhill."""
KIDNEY_ML = (35.0, 450.0)
BLADDER_ML = (15.0, 1200.0)
SPLEEN_ML = (40.0, 2500.0)
FLUID_HU = (-15.0, 40.0)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Blob:
    """One hot component on the working grid."""

    mask: BoolArray
    volume_ml: float
    centre: tuple[float, float, float]
    mean: float


def physiological_organs(
    pet: Volume, ct_on_pet: Volume | None, placement: PlacementResult, log: NoticeLog
) -> tuple[Region, ...]:
    """Outline bladder, kidneys and spleen roughly, where they can be told from lesions.

    Parameters
    ----------
    pet : SUVbw volume
    ct_on_pet : CT in HU on the grid of `pet`; None gives no organs
    placement : result of `place_automatically` on the same volumes
    log : receives PHYSIOLOGICAL_HEURISTIC for each organ and PHYSIOLOGICAL_UNDECIDED for what stays a candidate

    Returns
    -------
    tuple of Region
        Named ``urinary_bladder``, ``kidney_left``, ``kidney_right`` and ``spleen``, with the reason in
        ``attributes["note"]``. Each is grown downhill over its own blur, so that no hot rim is left behind; growth
        stops where the uptake rises again.
    """
    anatomy = placement.anatomy
    if anatomy is None and ct_on_pet is not None and pet.grid.matches(ct_on_pet.grid):
        frame = patient_frame(pet, ct_on_pet)
        anatomy = None if frame is None else find_anatomy(frame)
    if anatomy is None or anatomy.spine is None:
        log.info("PHYSIOLOGICAL_UNDECIDED", "no organ was set aside: the CT gives no lungs and spine to go by")
        return ()
    liver = placement.get("liver")
    level = liver.mean if liver is not None else liver_level(anatomy, sides_of_liver(anatomy))
    if level is None:
        log.info("PHYSIOLOGICAL_UNDECIDED", "no organ was set aside: there is no liver uptake to compare with")
        return ()
    found: list[tuple[str, BoolArray, str]] = []
    spleen = _spleen(anatomy, placement, log)
    if spleen is not None:
        found.append(("spleen", *spleen))
    taken = spleen[0] if spleen is not None else np.zeros_like(anatomy.body)
    found.extend(_kidneys(anatomy, level, taken, log))
    bladder = _bladder(anatomy, level, log)
    if bladder is not None:
        found.append(("urinary_bladder", *bladder))
    return tuple(_region(pet, anatomy.frame, name, mask, note, level, log) for name, mask, note in found)


def _blobs(frame: Frame, hot: BoolArray) -> Iterator[_Blob]:
    """Components of a mask, parted where they are joined by thin bridges."""
    from scipy import ndimage as ndi

    from fusin.quantification.reference_search import eroded

    cores, count = ndi.label(eroded(hot, BRIDGE_MM, frame.spacing))
    for n, box in enumerate(ndi.find_objects(cores), start=1):
        if box is None or n > count:
            continue
        wide = tuple(slice(max(0, s.start - 4), min(size, s.stop + 4)) for s, size in zip(box, hot.shape, strict=True))
        core = cores[wide] == n
        near = ndi.distance_transform_edt(~core, sampling=frame.spacing) <= BRIDGE_MM + 1.0
        grown = near & hot[wide]
        mask = np.zeros_like(hot)
        mask[wide] = grown
        index = np.argwhere(grown) + np.array([s.start for s in wide])
        z, y, x = index.mean(axis=0)
        yield _Blob(
            mask=mask,
            volume_ml=float(index.shape[0] * frame.grid.voxel_volume_ml),
            centre=(float(z), float(y), float(x)),
            mean=float(frame.pet[wide][grown].mean()),
        )


def _spleen(anatomy: Anatomy, placement: PlacementResult, log: NoticeLog) -> tuple[BoolArray, str] | None:
    """Component above half the spleen's uptake that holds the spleen reference."""
    reference = placement.get("spleen")
    if reference is None or reference.centre_mm is None or anatomy.spine is None:
        return None
    frame = anatomy.frame
    x, y, z = np.rint(frame.grid.to_index(reference.centre_mm)).astype(int)
    # Half of a small spleen's uptake would be reached by its neighbours; 0.55 keeps most kidneys apart.
    hot = anatomy.body & (frame.pet > 0.55 * reference.mean)
    for blob in _blobs(frame, hot):
        if not blob.mask[z, y, x]:
            continue
        column = float(np.nanmedian(anatomy.spine[:, 1]))
        crosses = bool(blob.mask[:, :, : max(0, int(column))].any())
        if not SPLEEN_ML[0] <= blob.volume_ml <= SPLEEN_ML[1] or crosses:
            log.info(
                "PHYSIOLOGICAL_UNDECIDED",
                f"the component around the spleen reference ({blob.volume_ml:.0f} mL) is no spleen by its size or "
                "crosses the midline; it stays a candidate",
                where="spleen",
            )
            return None
        return blob.mask, f"{blob.volume_ml:.0f} mL above 0.55 x the spleen reference, joined to it"
    return None


def _kidneys(anatomy: Anatomy, level: float, taken: BoolArray, log: NoticeLog) -> list[tuple[str, BoolArray, str]]:
    """Paired hot components beside the spine between diaphragm and iliac crests."""
    frame, spine = anatomy.frame, anatomy.spine
    if spine is None or anatomy.dome is None or anatomy.recess is None:
        return []
    dz, dy, dx = frame.spacing
    top = anatomy.dome
    bottom = anatomy.crest if anatomy.crest is not None else max(0, top - round(260.0 / dz))
    zone = np.zeros_like(anatomy.body)
    rows = np.arange(zone.shape[1])[None, :, None]
    cols = np.arange(zone.shape[2])[None, None, :]
    box = slice(max(0, bottom - round(20.0 / dz)), top)
    line = np.nan_to_num(spine[box], nan=0.0)
    aside = (cols - line[:, 1, None, None]) * dx
    behind = (rows - line[:, 0, None, None]) * dy
    zone[box] = (np.abs(aside) > 18.0) & (np.abs(aside) < 110.0) & (behind > -75.0) & (behind < 45.0)
    soft = (frame.ct > -60.0) & (frame.ct < 400.0)
    sides: dict[str, list[_Blob]] = {"left": [], "right": []}
    for blob in _blobs(frame, zone & soft & ~taken & (frame.pet > 1.5 * level)):
        z, y, x = blob.centre
        y0, x0 = spine[round(z)]
        off = (x - x0) * dx
        if not np.isfinite(off) or not (35.0 <= abs(off) <= 85.0 and -45.0 <= (y - y0) * dy <= 30.0):
            continue
        extent = np.ptp(np.flatnonzero(blob.mask.any(axis=(1, 2)))) * dz
        if KIDNEY_ML[0] <= blob.volume_ml <= KIDNEY_ML[1] and 45.0 <= extent <= 170.0:
            sides["left" if off > 0 else "right"].append(blob)
    best = {side: max(blobs, key=lambda b: b.volume_ml, default=None) for side, blobs in sides.items()}
    left, right = best["left"], best["right"]
    if left is None or right is None:
        log.info(
            "PHYSIOLOGICAL_UNDECIDED", "no pair of hot kidneys beside the spine; nothing was set aside", where="kidneys"
        )
        return []
    apart = abs(left.centre[0] - right.centre[0]) * dz
    alike = max(left.mean, right.mean) / min(left.mean, right.mean)
    sizes = max(left.volume_ml, right.volume_ml) / min(left.volume_ml, right.volume_ml)
    if apart > 60.0 or alike > 1.8 or sizes > 2.5:
        log.info(
            "PHYSIOLOGICAL_UNDECIDED",
            f"the hot components beside the spine are no pair (uptake ratio {alike:.1f}, volume ratio {sizes:.1f}, "
            f"{apart:.0f} mm apart in height); they stay candidates",
            where="kidneys",
        )
        return []
    return [
        (
            f"kidney_{side}",
            blob.mask,
            f"{blob.volume_ml:.0f} mL beside the spine, uptake {blob.mean:.1f}, one of a pair",
        )
        for side, blob in (("left", left), ("right", right))
    ]


def _bladder(anatomy: Anatomy, level: float, log: NoticeLog) -> tuple[BoolArray, str] | None:
    """Very hot midline component of fluid density in the pelvis."""
    frame, spine = anatomy.frame, anatomy.spine
    if spine is None or anatomy.crest is None:
        return None
    dz, _, dx = frame.spacing
    high = anatomy.crest - round(40.0 / dz)
    low = max(0, anatomy.crest - round(280.0 / dz))
    if high - low < 3:
        return None
    middle = float(np.nanmedian(spine[max(0, anatomy.crest - 5) : anatomy.crest + 5, 1]))
    pelvis = np.zeros_like(anatomy.body)
    cols = np.abs(np.arange(pelvis.shape[2]) - middle) * dx
    pelvis[low:high] = anatomy.body[low:high] & (cols < 80.0)[None, None, :]
    peak = float(np.quantile(frame.pet[pelvis], 0.9995)) if pelvis.any() else 0.0
    if peak < 3.0 * level:
        return None
    for blob in _blobs(frame, pelvis & (frame.pet > 0.4 * peak)):
        hu = float(np.median(frame.ct[blob.mask & (frame.pet > 0.6 * peak)])) if peak > 0 else np.nan
        aside = abs(blob.centre[2] - middle) * dx
        if (
            aside <= 20.0
            and BLADDER_ML[0] <= blob.volume_ml <= BLADDER_ML[1]
            and FLUID_HU[0] <= hu <= FLUID_HU[1]
            and blob.mean >= 3.0 * level
        ):
            return blob.mask, (
                f"{blob.volume_ml:.0f} mL of {hu:.0f} HU, {aside:.0f} mm off the midline of the pelvis, uptake {blob.mean:.1f}"
            )
    log.info(
        "PHYSIOLOGICAL_UNDECIDED",
        f"the hottest part of the pelvis (SUV {peak:.1f}) is no midline organ of fluid density; it stays a candidate",
        where="urinary_bladder",
    )
    return None


def _region(pet: Volume, frame: Frame, name: str, mask: BoolArray, note: str, level: float, log: NoticeLog) -> Region:
    """Bring a working mask to the PET's voxels and grow it over the organ's own blur."""
    box, core = _on_pet_grid(mask, frame, pet.grid)
    grown = _downhill(np.asarray(pet.values[box], dtype=np.float32), core, level, pet.grid)
    full_start = (box[0].start, box[1].start, box[2].start)
    region = Region(
        name=name,
        grid=pet.grid,
        start=full_start,
        crop=grown,
        source="heuristic: place, size and uptake; no labels were given",
        attributes={"heuristic": True, "note": note},
    )
    log.warning(
        "PHYSIOLOGICAL_HEURISTIC",
        f"{name} ({region.volume_ml:.0f} mL) was set aside as physiological by a heuristic, not by labels: {note}",
        where=name,
    )
    return region


def _on_pet_grid(mask: BoolArray, frame: Frame, grid: Grid) -> tuple[tuple[slice, slice, slice], BoolArray]:
    """Box on the PET grid with a margin for the blur, and the mask's voxels in it."""
    corners = np.argwhere(mask)
    low, high = corners.min(axis=0) - 0.5, corners.max(axis=0) + 0.5
    ends = np.array([[x, y, z] for z in (low[0], high[0]) for y in (low[1], high[1]) for x in (low[2], high[2])])
    index = grid.to_index(frame.grid.to_mm(ends))
    margin = BLUR_MM / np.array(grid.spacing_mm) + 2
    first = np.clip(np.floor(index.min(axis=0) - margin), 0, None).astype(int)
    last = np.minimum(np.ceil(index.max(axis=0) + margin).astype(int) + 1, np.array(grid.shape[::-1]))
    i, j, k = (np.arange(a, b) for a, b in zip(first, last, strict=True))
    voxels = np.stack(np.meshgrid(k, j, i, indexing="ij")[::-1], axis=-1)
    working = np.rint(frame.grid.to_index(grid.to_mm(voxels)))[..., ::-1].astype(int)
    inside = np.all((working >= 0) & (working < np.array(mask.shape)), axis=-1)
    core = np.zeros(inside.shape, dtype=bool)
    core[inside] = mask[tuple(working[inside].T)]
    box = (slice(int(first[2]), int(last[2])), slice(int(first[1]), int(last[1])), slice(int(first[0]), int(last[0])))
    return box, core


def _downhill(values: NDArray[np.float32], core: BoolArray, floor: float, grid: Grid) -> BoolArray:
    """Add neighbours that are not hotter than the region beside them, down to `floor`, over the blur's width."""
    from scipy import ndimage as ndi

    region = core.copy()
    for _ in range(max(1, int(np.ceil(BLUR_MM / min(grid.spacing_mm))))):
        level = ndi.grey_dilation(np.where(region, values, -np.inf), size=(3, 3, 3))
        new = ~region & (values <= level) & (values > floor)
        if not new.any():
            break
        region |= new
    return region
