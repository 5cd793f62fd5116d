"""Voxel S values: dose to a voxel per decay in another, for any spacing, density and nuclide.

The energy that a point source spreads over its surroundings (`point_kernels`) is shared out exactly: for a source voxel with even
activity, a deposit at a displacement d counts to the voxels around it with the weights of linear interpolation, because the
overlap of two equal boxes falls linearly with their shift along each axis. No random number is used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fusin.dosimetry.alpha_particles import ALPHA_STOPPING_U
from fusin.dosimetry.emissions import EVALUATION_U, JOULE_PER_KEV, emissions
from fusin.dosimetry.point_kernels import RadialEnergy, radial_energy
from fusin.dosimetry.spheres import ATTENUATION_U, STOPPING_U
from fusin.errors import InputError

__all__ = ["MEDIA", "Medium", "Part", "VoxelKernel", "default_size", "voxel_kernel"]

FloatArray = NDArray[np.float64]
Part = Literal["all", "electrons", "photons"]
Medium = Literal["soft-tissue", "water"]

MEDIA: dict[str, float] = {"soft-tissue": 0.54967 / 0.55508, "water": 1.0}
"""Electrons per gram relative to water, by which path lengths scale; soft tissue of four components (ICRU Report 33: H 10.1,
C 11.1, N 2.6, O 76.2 % by mass)."""

SMALLEST_MM, LARGEST_MM = 0.2, 50.0
LOWEST_DENSITY, HIGHEST_DENSITY = 0.1, 3.0
LARGEST_SIZE = 151
DIRECTIONS = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VoxelKernel:
    """Dose to the voxels around one that holds activity.

    Attributes
    ----------
    nuclide : canonical name
    values : (n, n, n) over (slices, rows, columns), the source in the middle [mGy/(MBq s)]
    spacing_mm : (slices, rows, columns)
    density_g_ml : of the medium
    medium : soft-tissue or water
    part : what is in the values: all, electrons (with bremsstrahlung, and alphas where there are) or photons
    energy_emitted_kev : per decay, of that part
    energy_absorbed_kev : per decay, by all voxels of the kernel
    energy_outside_kev : per decay, beyond the kernel; photons mostly
    u_relative : relative standard uncertainty of the value of the source voxel
    """

    nuclide: str
    values: FloatArray
    spacing_mm: tuple[float, float, float]
    density_g_ml: float
    medium: str
    part: str
    energy_emitted_kev: float
    energy_absorbed_kev: float
    energy_outside_kev: float
    u_relative: float

    @property
    def size(self) -> int:
        """Voxels along each axis."""
        return int(self.values.shape[0])

    @property
    def self_mgy_per_mbq_s(self) -> float:
        """Dose to the source voxel [mGy/(MBq s)]."""
        middle = self.size // 2
        return float(self.values[middle, middle, middle])


def default_size(nuclide: str, spacing_mm: tuple[float, float, float], density_g_ml: float) -> int:
    """Voxels along each axis: 11, or the odd number that holds 99.9 % of what the electrons deposit.

    Parameters
    ----------
    nuclide : name
    spacing_mm : (slices, rows, columns)
    density_g_ml : of the medium
    """
    energy = radial_energy(emissions(nuclide).nuclide)
    reach = float(np.interp(0.999 * energy.electron_kev[-1], energy.electron_kev, energy.radius_g_cm2))
    return max(11, 2 * math.ceil(10.0 * reach / density_g_ml / min(spacing_mm)) + 1)


def voxel_kernel(
    nuclide: str, spacing_mm: tuple[float, float, float], density_g_ml: float = 1.04, size: int | None = None,
    *, medium: Medium = "soft-tissue", part: Part = "all",
) -> VoxelKernel:  # fmt: skip
    """Voxel S values in an unbounded uniform medium.

    Parameters
    ----------
    nuclide : name, for example ``"Lu-177"``
    spacing_mm : (slices, rows, columns), each from 0.2 to 50 mm
    density_g_ml : of the medium, 0.1 to 3 g/mL
    size : odd number of voxels along each axis; by default 11, or more where electrons go further
    medium : ``soft-tissue`` or ``water``; only its electrons per gram matter
    part : ``all``, or electrons (with alphas) and photons apart, so that a coarse grid can take the photons far out

    Raises
    ------
    InputError
        For an unknown nuclide, or a spacing, density or size outside of its range.
    NotComputable
        For a nuclide whose emissions are known in part.

    References
    ----------
    Bolch WE et al. MIRD Pamphlet No. 17. J Nucl Med 40 (1999) 11S-36S.
    """
    name = emissions(nuclide).nuclide
    _check(spacing_mm, density_g_ml)
    radial_energy(name)
    spacing = (float(spacing_mm[0]), float(spacing_mm[1]), float(spacing_mm[2]))
    if medium not in MEDIA:
        raise InputError("voxel kernel", "medium", medium, "one of " + ", ".join(MEDIA))
    if part not in ("all", "electrons", "photons"):
        raise InputError("voxel kernel", "part", part, "all, electrons or photons")
    count = default_size(name, spacing, density_g_ml) if size is None else size
    if size is None and count > LARGEST_SIZE:
        needed = f"larger voxels or a size of your own: electrons reach over {count} voxels, more than {LARGEST_SIZE}"
        raise InputError("voxel kernel", "spacing_mm", ",".join(f"{s:g}" for s in spacing), needed)
    if isinstance(count, bool) or not isinstance(count, int) or count % 2 == 0 or not 1 <= count <= LARGEST_SIZE:
        raise InputError("voxel kernel", "size", count, f"an odd number of voxels from 1 to {LARGEST_SIZE}")
    return _kernel(name, spacing, float(density_g_ml), count, medium, part)


def _check(spacing_mm: tuple[float, float, float], density_g_ml: float) -> None:
    if len(spacing_mm) != 3 or not all(math.isfinite(s) and SMALLEST_MM <= s <= LARGEST_MM for s in spacing_mm):
        needed = f"three distances (slices, rows, columns) from {SMALLEST_MM:g} to {LARGEST_MM:g} mm"
        raise InputError("voxel kernel", "spacing_mm", ",".join(f"{s:g}" for s in spacing_mm), needed)
    if not (math.isfinite(density_g_ml) and LOWEST_DENSITY <= density_g_ml <= HIGHEST_DENSITY):
        needed = f"a density from {LOWEST_DENSITY:g} to {HIGHEST_DENSITY:g} g/mL"
        raise InputError("voxel kernel", "density", density_g_ml, needed)


@lru_cache(maxsize=16)
def _kernel(
    name: str, spacing: tuple[float, float, float], density: float, size: int, medium: str, part: str
) -> VoxelKernel:
    energy = radial_energy(name)
    parts = {
        "electrons": energy.charged_kev,
        "photons": energy.photon_kev,
        "all": energy.charged_kev + energy.photon_kev,
    }
    emitted = {
        "electrons": energy.emitted_charged_kev,
        "photons": energy.emitted_photon_kev,
        "all": energy.emitted_charged_kev + energy.emitted_photon_kev,
    }
    # A path in the medium meets as many electrons as this distance in water of 1 g/mL.
    scale = density * MEDIA[medium] / 10.0
    steps = np.array(spacing) * scale
    octant = _octant(energy.radius_g_cm2, parts[part], steps, size // 2 + 1)
    own = _octant(energy.radius_g_cm2, energy.electron_kev, steps, 1)[0, 0, 0]
    spun = _octant(energy.radius_g_cm2, energy.electron_spin_kev, steps, 1)[0, 0, 0]
    wider = _octant(energy.radius_g_cm2, energy.electron_kev, steps * (1.0 + STOPPING_U), 1)[0, 0, 0]
    heavy = [
        float(_octant(energy.radius_g_cm2, energy.alpha_kev, steps * f, 1)[0, 0, 0])
        if energy.emitted_alpha_kev
        else 0.0
        for f in (1.0, 1.0 + ALPHA_STOPPING_U)
    ]
    full = _mirrored(octant)
    per_kev = JOULE_PER_KEV * 1e6 * 1e3 / (math.prod(spacing) * 1e-3 * density * 1e-3)
    values = full * per_kev
    values.setflags(write=False)
    absorbed = float(full.sum())
    return VoxelKernel(
        nuclide=name,
        values=values,
        spacing_mm=spacing,
        density_g_ml=density,
        medium=medium,
        part=part,
        energy_emitted_kev=emitted[part],
        energy_absorbed_kev=absorbed,
        energy_outside_kev=emitted[part] - absorbed,
        u_relative=_uncertainty(
            name,
            energy,
            (float(own), heavy[0]),
            (float(spun - own) / math.sqrt(3.0), float(wider - own), heavy[1] - heavy[0]),
            part,
        ),
    )


def _uncertainty(
    name: str, energy: RadialEnergy, own: tuple[float, float], transport: tuple[float, float, float], part: str
) -> float:
    """Relative standard uncertainty of the source voxel: emissions, and the transport's parts [keV].

    ``own`` is what it keeps of the electrons and of the alphas [keV].
    """
    emitted = emissions(name)
    if part == "photons":
        lines = math.hypot(*(p.energy_kev * p.intensity_u for p in emitted.photons), 0.0)
        return math.hypot(lines / emitted.photon_kev_per_decay if lines else 0.0, EVALUATION_U, ATTENUATION_U)
    statistical = float(energy.statistical_u.max())
    electron, alpha = own
    kept = electron + alpha
    emission_u = emitted.electron_u_kev / energy.emitted_electron_kev * electron / kept
    if alpha > 0:
        emission_u = math.hypot(emission_u, emitted.alpha_u_kev / energy.emitted_alpha_kev * alpha / kept)
    return math.hypot(emission_u, EVALUATION_U, *(share / kept for share in (*transport, statistical)))


def _directions() -> tuple[FloatArray, FloatArray]:
    """Unit vectors of one octant with weights that sum to 1; each axis takes its turn as the pole."""
    nodes, weights = np.polynomial.legendre.leggauss(DIRECTIONS)
    cosine, azimuth = 0.5 * (nodes + 1.0), 0.25 * math.pi * (nodes + 1.0)
    c, a = (grid.ravel() for grid in np.meshgrid(cosine, azimuth, indexing="ij"))
    share = np.outer(0.5 * weights, 0.5 * weights).ravel() / 3.0
    s = np.sqrt(1.0 - c * c)
    one = np.stack([c, s * np.cos(a), s * np.sin(a)], axis=1)
    return np.concatenate([np.roll(one, k, axis=1) for k in range(3)]), np.tile(share, 3)


def _octant(radius: FloatArray, within: FloatArray, steps: FloatArray, count: int) -> FloatArray:
    """Energy by absolute displacement in voxels, (count, count, count); what lies further out is left out."""
    furthest = math.sqrt(float((steps**2).sum())) * count
    # Shells no thicker than a twelfth of a voxel, so that the energy is even within each.
    fine = np.arange(0.0, min(furthest, float(radius[-1])), float(steps.min()) / 12.0)
    edges = np.unique(np.concatenate([radius[radius <= furthest], fine]))
    energy = np.diff(np.interp(edges, radius, within))
    vectors, weights = _directions()
    tally = np.zeros(count**3)
    for axis_nodes in _batches(edges, energy):
        distance, amount = axis_nodes
        at = distance[:, None, None] * (vectors / steps)[None]
        low = at.astype(np.int64)
        part = at - low
        share = amount[:, None] * weights[None]
        _scatter(tally, low.reshape(-1, 3), part.reshape(-1, 3), share.ravel(), count)
    return tally.reshape(count, count, count)


def _batches(edges: FloatArray, energy: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
    """Two Gauss points per shell, in groups that fit into the processor's cache."""
    middle, half = 0.5 * (edges[1:] + edges[:-1]), 0.5 * np.diff(edges)
    radii = np.concatenate([middle - half / math.sqrt(3.0), middle + half / math.sqrt(3.0)])
    amounts = np.concatenate([0.5 * energy, 0.5 * energy])
    keep = amounts != 0.0
    radii, amounts = radii[keep], amounts[keep]
    return [(radii[i : i + 64], amounts[i : i + 64]) for i in range(0, len(radii), 64)]


def _scatter(tally: FloatArray, low: NDArray[np.int64], part: FloatArray, share: FloatArray, count: int) -> None:
    """Add energy to the eight voxels around each displacement, with the weights of linear interpolation."""
    for corner in np.ndindex(2, 2, 2):
        weight = share.copy()
        index = np.zeros(len(share), dtype=np.int64)
        inside = np.ones(len(share), dtype=bool)
        for axis, step in enumerate(corner):
            weight *= part[:, axis] if step else 1.0 - part[:, axis]
            place = low[:, axis] + step
            inside &= place < count
            index = index * count + place
        tally += np.bincount(index[inside], weights=weight[inside], minlength=len(tally))


def _mirrored(octant: FloatArray) -> FloatArray:
    """Kernel on both sides of the source: a displacement along an axis is as likely forth as back."""
    count = octant.shape[0]
    half = np.where(np.arange(count) == 0, 1.0, 0.5)
    shared = octant * half[:, None, None] * half[None, :, None] * half[None, None, :]
    index = np.abs(np.arange(1 - count, count))
    return np.asarray(shared[np.ix_(index, index, index)])
