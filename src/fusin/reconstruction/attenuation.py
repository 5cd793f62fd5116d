"""Attenuation maps from CT: Hounsfield numbers to 1/cm, averaged over the voxels of the image.

The map of the CT voxels is averaged over each image voxel, because attenuation along a ray is a sum: the value at the centre of a
5 mm voxel alone would miss ribs and keep the noise of single CT voxels.
"""

from __future__ import annotations

import numpy as np

from fusin.errors import InputError
from fusin.imaging.averaging import covered_slices, resample_mean
from fusin.imaging.volume import Grid, Volume
from fusin.provenance import NoticeLog
from fusin.reconstruction.attenuation_lines import hounsfield_line
from fusin.reconstruction.ct_checks import note_ct

__all__ = ["MU_UNIT", "ct_to_mu", "mu_on_grid"]

MU_UNIT = "/cm"
_HOUNSFIELD = "[hnsf'U]"


def ct_to_mu(
    ct: Volume, *, energy_kev: float, kvp: float | None, scanner: str = "generic", log: NoticeLog, grid: Grid | None = None
) -> Volume:  # fmt: skip
    """Linear attenuation coefficients of a CT at the energy of the photons.

    Parameters
    ----------
    ct : in Hounsfield units
    energy_kev : of the photons, 511 for PET, 208.37 or 112.95 for 177Lu
    kvp : tube voltage of the CT; None assumes 120 with a notice
    scanner : name or alias in ``attenuation.toml``
    log : receives KVP_ASSUMED, NO_LINE_OF_SCANNER, MU_LINE_DERIVED, MU_LINE_LOW_IN_LUNG, and what is doubtful about the CT:
        CT_WITHOUT_AIR, METAL_IN_CT, CT_TRUNCATED, COUCH_IN_CT; with ``grid`` also CT_SHORTER_THAN_IMAGE
    grid : of the image; the CT's own without it

    Returns
    -------
    Volume
        [1/cm], float32; the couch stays in it, since photons pass it too.

    Raises
    ------
    InputError
        For a volume in another unit or with gaps, an energy, voltage or scanner that is not in the tables, another frame of
        reference, and a CT that does not meet the image.
    """
    if ct.unit != _HOUNSFIELD:
        raise InputError("CT", "unit", ct.unit, f"Hounsfield units, {_HOUNSFIELD}")
    line = hounsfield_line(energy_kev=energy_kev, kvp=kvp, scanner=scanner, log=log)
    if np.issubdtype(ct.values.dtype, np.floating) and not np.isfinite(ct.values).all():
        raise InputError(
            "CT", "values", f"{int((~np.isfinite(ct.values)).sum())} voxels that are no number", "a CT without gaps"
        )
    note_ct(ct, log)
    where = "attenuation map"
    if grid is None or ct.grid.matches(grid):
        if grid is not None:
            ct.grid.require_frame(grid, where)
        values = np.stack([line.signed_per_cm(plane) for plane in ct.values])
        mu = Volume(values=values, grid=ct.grid, unit=MU_UNIT)
    else:
        ct.grid.require_frame(grid, where)
        _note_coverage(ct.grid, grid, log, where)
        averaged = resample_mean(ct, grid, each=line.signed_per_cm)
        mu = Volume(values=averaged.values, grid=averaged.grid, unit=MU_UNIT)
    # Cut off before the mean, the noise of air would add up along a ray.
    return Volume(values=np.maximum(mu.values, np.float32(0.0)), grid=mu.grid, unit=MU_UNIT)


def mu_on_grid(mu: Volume, grid: Grid, log: NoticeLog, *, where: str = "attenuation map") -> Volume:
    """Mean of an attenuation map over the voxels of another grid.

    Parameters
    ----------
    mu : [1/cm]
    grid : of the image, in the same frame of reference
    log : receives CT_SHORTER_THAN_IMAGE when slices of the image lie beyond the map; they get 0
    where : name of the map in messages

    Returns
    -------
    Volume
        [1/cm] on ``grid``; the same object when the grids match.

    Raises
    ------
    InputError
        For another unit, negative values, another frame of reference, or a map that does not meet the image at all.
    """
    if mu.unit != MU_UNIT:
        raise InputError(where, "unit", mu.unit, f"linear attenuation coefficients in 1/cm, {MU_UNIT}")
    wrong = int((~np.isfinite(mu.values)).sum())
    if wrong:
        raise InputError(
            where, "values", f"{wrong} voxels that are no number", "finite coefficients of 0 or more, in 1/cm"
        )
    if mu.values.size and mu.values.min() < 0:
        raise InputError(where, "values", float(mu.values.min()), "coefficients of 0 or more, in 1/cm")
    mu.grid.require_frame(grid, where)
    if mu.grid.matches(grid):
        return mu
    _note_coverage(mu.grid, grid, log, where)
    return resample_mean(mu, grid)


def _note_coverage(source: Grid, grid: Grid, log: NoticeLog, where: str) -> None:
    seen = covered_slices(source, grid)
    if not seen.any():
        raise InputError(
            where, "position", np.round(source.affine[:3, 3], 1).tolist(), "a map of the place of the image"
        )
    missing = int((~seen).sum())
    if missing:
        log.warning(
            "CT_SHORTER_THAN_IMAGE",
            f"{missing} of {seen.size} slices of the image lie beyond the map and are not corrected for attenuation",
            where=where, raw=missing, used=0.0,
        )  # fmt: skip
