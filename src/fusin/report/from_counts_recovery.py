"""Recovery for ``fusin demo --from-counts``: measured on spheres of another phantom, through the same camera and reconstruction.

The mean of a region is ``m = B + R (C - B)``. What the blur takes, ``1 - R``, is a layer at the surface: ``c / d`` of a sphere,
with c from the spheres, and of an outline that of the sphere which a Gaussian would blur as much. B comes from a shell of the image
about it. Nothing of what was planted in the patient enters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fusin.dosimetry.image_regions import region_share, sphere_recovery
from fusin.dosimetry.quantitative_spect import Measured
from fusin.imaging.volume import FloatArray, Grid, Region, Volume
from fusin.reconstruction.collimator import FWHM_PER_SIGMA
from fusin.reconstruction.phantoms import Part, Phantom
from fusin.reconstruction.solids import cylinder, sphere
from fusin.reconstruction.spect_calibration import recovered, recovery_coefficient

__all__ = ["Recovery", "SphereResult", "measured_recovery", "recovery_of", "sphere_phantom"]

DIAMETERS_MM = (16.0, 20.0, 28.0, 40.0, 56.0, 24.0, 18.0, 34.0, 48.0, 66.0)
HOT_BQ_ML, WARM_BQ_ML = 5e5, 5e4
_BODY_MM, _HALF_MM, _CIRCLE_MM, _PLANE_MM = 130.0, 120.0, 78.0, 55.0
_SHELL_MM = (8.0, 24.0)
_MOST_LOSS = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class SphereResult:
    """One sphere of the phantom: its recovery beside that of the curve."""

    diameter_mm: float
    volume_ml: float
    recovery: float
    fitted: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recovery:
    """What the spheres say.

    Attributes
    ----------
    layer_mm : c of the loss c / d
    spread : relative standard uncertainty of the loss of the next region
    width_mm : full width at half maximum of the Gaussian that comes nearest to the spheres
    spheres : one by one
    """

    layer_mm: float
    spread: float
    width_mm: float
    spheres: tuple[SphereResult, ...]

    def at(self, diameter_mm: float) -> Measured:
        """Recovery of a sphere; it stays above a twentieth, where no layer is thin."""
        loss = min(self.layer_mm / diameter_mm, _MOST_LOSS)
        return Measured(1.0 - loss, self.spread * loss)


def sphere_phantom(*, middle_z_mm: float, mu_per_cm: float) -> Phantom:
    """A cylinder of warm water with ten hot spheres in two planes, off the middle of any voxel."""
    parts = [Part(name="water", solid=cylinder((0.0, 0.0, middle_z_mm), (_BODY_MM, _BODY_MM, _HALF_MM)), activity_bq_ml=WARM_BQ_ML,
                  mu_per_cm=mu_per_cm)]  # fmt: skip
    for k, d in enumerate(DIAMETERS_MM):
        angle = math.radians(72.0 * (k % 5) + (17.0 if k < 5 else 53.0))
        place = (
            _CIRCLE_MM * math.cos(angle),
            _CIRCLE_MM * math.sin(angle),
            middle_z_mm + (_PLANE_MM if k < 5 else -_PLANE_MM),
        )
        parts.append(Part(name=_name(d), solid=sphere(place, d), activity_bq_ml=HOT_BQ_ML, mu_per_cm=mu_per_cm))
    return Phantom(name="spheres", parts=tuple(parts))


def _name(diameter_mm: float) -> str:
    return f"sphere {diameter_mm:g} mm"


def measured_recovery(image: Volume, phantom: Phantom, outlines: Grid) -> Recovery:
    """Fit the layer to the spheres of a reconstructed image.

    Parameters
    ----------
    image : of the phantom [Bq/mL]
    phantom : of `sphere_phantom`, as it was filled
    outlines : grid to outline the spheres on, finer than the image
    """
    from scipy.optimize import minimize_scalar
    from scipy.stats import norm, t

    volumes = np.array([math.pi / 6000.0 * d**3 for d in DIAMETERS_MM])
    found = np.array([
        recovery_coefficient(_mean(image, phantom.region(_name(d), outlines)), HOT_BQ_ML, u_measured=0.0, u_truth=0.0,
                             background=WARM_BQ_ML).value
        for d in DIAMETERS_MM
    ])  # fmt: skip
    layers = (1.0 - found) * np.array(DIAMETERS_MM)
    count = layers.size
    # The next region is one more sphere.
    spread = (
        float(layers.std(ddof=1) / layers.mean())
        * math.sqrt(1.0 + 1.0 / count)
        * float(t.ppf(0.975, count - 1) / norm.ppf(0.975))
    )

    def misses(width_mm: float) -> float:
        return float(sum((sphere_recovery(v, width_mm) - r) ** 2 for v, r in zip(volumes, found, strict=True)))

    width = float(minimize_scalar(misses, bounds=(3.0, 40.0), method="bounded").x)
    made = Recovery(layer_mm=float(layers.mean()), spread=spread, width_mm=width, spheres=())
    rows = sorted(zip(DIAMETERS_MM, volumes, found, strict=True))
    return replace(made, spheres=tuple(SphereResult(diameter_mm=d, volume_ml=float(v), recovery=float(r), fitted=made.at(d).value)
                                       for d, v, r in rows))  # fmt: skip


def recovery_of(recovery: Recovery, image: Volume, regions: Sequence[Region]) -> Mapping[str, Measured]:
    """What the mean of each region has to be divided by, with its standard uncertainty.

    Parameters
    ----------
    recovery : of the spheres
    image : of the patient
    regions : outlines on one grid
    """
    from scipy.ndimage import distance_transform_edt

    grid = regions[0].grid
    drawn = np.any([r.mask() for r in regions], axis=0)
    # Beyond every other outline, whose own blur would be taken for a background.
    free = distance_transform_edt(~drawn, sampling=grid.spacing_mm[::-1]) > _SHELL_MM[0]
    found = {}
    for region in regions:
        away = distance_transform_edt(~region.mask(), sampling=grid.spacing_mm[::-1])
        shell = _values(image, Region.from_mask("shell", grid, free & (away > _SHELL_MM[0]) & (away <= _SHELL_MM[1])))
        mean, background, spread = _mean(image, region), float(np.median(shell)), float(np.std(shell))
        at = recovery.at(_diameter_like(region, recovery.width_mm))
        value, u = recovered(mean, 0.0, recovery=at.value, u_recovery=at.u, background=background, u_background=spread)
        found[region.name] = Measured(mean / value, mean / value * u / value)
    return found


def _diameter_like(region: Region, width_mm: float) -> float:
    """Diameter of the sphere that keeps as much of its own activity under the blur as the outline does [mm]."""
    from scipy.ndimage import gaussian_filter
    from scipy.optimize import brentq

    mask = region.mask()
    kept = gaussian_filter(mask.astype(np.float64), width_mm / FWHM_PER_SIGMA / np.array(region.grid.spacing_mm[::-1]))
    share = float(kept[mask].mean())
    return float(brentq(lambda d: sphere_recovery(math.pi / 6000.0 * d**3, width_mm) - share, 1.0, 1000.0, xtol=1e-6))


def _values(image: Volume, region: Region) -> FloatArray:
    share = region_share(region, image.grid)
    return np.asarray(np.asarray(image.values)[tuple(share.index.T)], dtype=np.float64)


def _mean(image: Volume, region: Region) -> float:
    share = region_share(region, image.grid)
    values = np.asarray(image.values)[tuple(share.index.T)]
    return float((values * share.volume_ml).sum(dtype=np.float64) / share.volume_ml.sum())
