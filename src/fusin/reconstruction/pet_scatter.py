"""Scatter of a PET by simulation of photon pairs of which one scattered once.

For the crystals A and B, in the units of `PetSinogramProjector` before efficiencies::

    S = R_AB^2 / (c_A c_B) sum over points P of  mu dV  p(t) e(E') / e(511)  c_A(P) c_B(P) / (R_AP^2 R_BP^2)  (I_A + I_B)
    I_A = int_P^A image  exp(-int_P^A mu - m(E') int_P^B mu),      E' = 511 keV / (2 - cos t)

with the density p of Klein and Nishina per solid angle, the cosines c of incidence, the efficiency e of the energy window, and m
the Compton cross section relative to that at 511 keV. The scale is absolute. Points lie on a coarse grid in the patient and
crystals are a sparse sample; what lies between is interpolated, since scatter is smooth. Photons that scatter twice, or outside the
map, are not in it.

With time of flight a pair that was emitted at the distance r from the scatter point P on the leg to A seems to come from
``(R_AP - R_BP) / 2 - r`` on the line, from its middle towards B; on the leg to B from ``(R_AP - R_BP) / 2 + r``. Each leg is kept
as what a timing bin counts of it, over the distance that the middle of the bin stands for.

References
----------
Watson C et al., in: Three-dimensional image reconstruction in radiology and nuclear medicine, Kluwer 1996, p. 255 · Watson C,
IEEE Trans Nucl Sci 2000;47:1587 · Watson C, IEEE Trans Nucl Sci
2007;54:1679 (time of flight) · Klein O, Nishina Y, Z Phys 1929;52:853 · Tsoumpas C et al., IEEE NSS-MIC 2004, 3619 (STIR).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fusin.errors import InputError, MissingValue, NotComputable
from fusin.imaging.volume import Grid, Volume
from fusin.reconstruction.pet_geometry import CylindricalScanner, SinogramGeometry, TofBins
from fusin.reconstruction.pet_lines import axial_lines, spacing
from fusin.reconstruction.projector import FloatImage

__all__ = [
    "ScatterSampling",
    "TailScale",
    "energy_efficiency",
    "klein_nishina",
    "single_scatter",
    "tail_scale",
    "total_cross_section",
]

FloatArray = NDArray[np.float64]
WHERE = "scatter simulation"
ELECTRON_KEV = 510.99895
_COSINES = 401
_MU_OF_AIR_PER_CM = 0.01
# Samples of a leg in a standard deviation of the time of flight, and scatter points whose legs are held at once.
_SAMPLES_IN_SIGMA, _POINTS_AT_ONCE = 6.0, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ScatterSampling:
    """How finely scatter is simulated.

    Attributes
    ----------
    point_mm : distance of scatter points
    crystals : sampled around a ring
    rings : sampled along the axis
    """

    point_mm: float = 20.0
    crystals: int = 40
    rings: int = 6

    def __post_init__(self) -> None:
        if not (np.isfinite(self.point_mm) and self.point_mm > 0):
            raise InputError(WHERE, "point_mm", self.point_mm, "a positive distance")
        if self.crystals < 8 or self.rings < 1:
            raise InputError(WHERE, "samples", (self.crystals, self.rings), "8 or more crystals and 1 or more rings")


@dataclass(frozen=True, slots=True)
class TailScale:
    """Factor that brings simulated scatter to the counts beside the patient, and its standard error."""

    scale: float
    standard_error: float
    bins: int


def klein_nishina(cosine: ArrayLike) -> FloatArray:
    """Probability density per solid angle of the direction after Compton scattering at 511 keV [1/sr]."""
    c = np.asarray(cosine, dtype=np.float64)
    p = 1.0 / (2.0 - c)
    return np.asarray(0.5 * p**2 * (p + 1.0 / p - (1.0 - c**2)) / total_cross_section(ELECTRON_KEV), dtype=np.float64)


def total_cross_section(energy_kev: ArrayLike) -> FloatArray:
    """Compton cross section of an electron at rest, in units of the squared classical electron radius."""
    a = np.asarray(energy_kev, dtype=np.float64) / ELECTRON_KEV
    log = np.log1p(2.0 * a)
    found = (1 + a) / a**2 * (2 * (1 + a) / (1 + 2 * a) - log / a) + log / (2 * a) - (1 + 3 * a) / (1 + 2 * a) ** 2
    return np.asarray(2.0 * np.pi * found, dtype=np.float64)


def energy_efficiency(energy_kev: ArrayLike, scanner: CylindricalScanner) -> FloatArray:
    """Share of photons of an energy that the scanner's window accepts, with a resolution that grows as the root of the energy.

    Raises
    ------
    MissingValue
        Without a window or a resolution.
    """
    from scipy.special import ndtr

    if scanner.energy_window_kev is None or scanner.energy_resolution is None:
        raise MissingValue("scatter", f"the scanner {scanner.name} has no energy window or resolution",
                           "energy_window_kev and energy_resolution of the scanner", "ENERGY_WINDOW_MISSING")  # fmt: skip
    low, high = scanner.energy_window_kev
    energy = np.asarray(energy_kev, dtype=np.float64)
    sigma = scanner.energy_resolution * np.sqrt(energy * ELECTRON_KEV) / (2.0 * np.sqrt(2.0 * np.log(2.0)))
    return np.asarray(ndtr((high - energy) / sigma) - ndtr((low - energy) / sigma), dtype=np.float64)


def single_scatter(
    geometry: SinogramGeometry, image: FloatImage, grid: Grid, mu: Volume, *, sampling: ScatterSampling | None = None
) -> FloatImage:
    """Expected scatter of each bin for an image, on an absolute scale and before efficiencies.

    Parameters
    ----------
    geometry : of the sinogram
    image : (slices, rows, columns), in the units of the reconstruction
    grid : of the image
    mu : coefficient of attenuation at 511 keV [1/cm], in the image's frame of reference
    sampling : how finely; the defaults without it

    Returns
    -------
    ndarray
        (views, bins, planes), with time of flight (views, timing bins, bins, planes), to be multiplied with the efficiencies and
        added to the expected counts.

    Raises
    ------
    MissingValue
        For a scanner without energy window or resolution.
    NotComputable
        Where nothing in the map scatters.
    """
    from fusin.reconstruction.pet_scatter_kernels import pair_sums

    if tuple(image.shape) != grid.shape:
        raise InputError(WHERE, "image", tuple(image.shape), f"the grid's shape {grid.shape}")
    grid.require_frame(mu.grid, "attenuation map")
    chosen = ScatterSampling() if sampling is None else sampling
    scanner = geometry.scanner
    table = _angles(scanner)
    points, strength = _points(mu, chosen.point_mm)
    detectors, normals, around, z = _sampled(geometry, chosen)
    emission = _integrals(np.ascontiguousarray(image, dtype=np.float32), grid, points, detectors)
    depth = _integrals(np.ascontiguousarray(mu.values, dtype=np.float32), mu.grid, points, detectors) * 0.1
    pairs = (around, z.size, around, z.size)
    if geometry.tof is None:
        sums = np.empty((len(detectors), len(detectors)))
        pair_sums(detectors, normals, points, strength, emission, depth, table, sums)
        return _in_bins(geometry, sums.reshape(pairs), z)
    timed = _timed_sums(geometry.tof, image, grid, detectors, normals, (points, strength), (emission, depth), table)
    out = np.empty(geometry.data_shape, np.float32)
    for t in range(geometry.tof.count):
        out[:, t] = _in_bins(geometry, np.ascontiguousarray(timed[..., t]).reshape(pairs), z)
    return out


def _timed_sums(
    tof: TofBins, image: FloatImage, grid: Grid, detectors: FloatArray, normals: FloatArray,
    scatterers: tuple[FloatArray, FloatArray], integrals: tuple[FloatArray, FloatArray], table: FloatArray,
) -> FloatArray:  # fmt: skip
    """(detectors, detectors, timing bins) sums; ``scatterers`` are points and strength, ``integrals`` emission and depth."""
    from fusin.reconstruction.pet_scatter_kernels import timed_pair_sums

    (points, strength), (emission, depth) = scatterers, integrals
    width = float(tof.edges_mm[1] - tof.edges_mm[0])
    # A whole number of samples in a timing bin: interpolated samples then sum over the bins to exactly the leg.
    spacing_mm = width / np.ceil(_SAMPLES_IN_SIGMA * width / tof.sigma_mm)
    counted, first_mm = _counted(tof, grid, points, spacing_mm)
    centres = 0.5 * (tof.edges_mm[1:] + tof.edges_mm[:-1])
    out = np.zeros((len(detectors), len(detectors), tof.count))
    for start in range(0, len(points), _POINTS_AT_ONCE):
        part = slice(start, start + _POINTS_AT_ONCE)
        where = _profiles(image, grid, points[part], detectors, spacing_mm, len(counted))
        whole = where.sum(axis=1, dtype=np.float64)
        scale = np.divide(emission[part].ravel(), whole, out=np.zeros_like(whole), where=whole > 0)
        legs = ((where @ counted) * scale[:, None].astype(np.float32)).reshape(-1, len(detectors), counted.shape[1])
        timed_pair_sums(
            detectors,
            normals,
            points[part],
            strength[part],
            legs,
            first_mm,
            spacing_mm,
            depth[part],
            table,
            centres,
            out,
        )
    return out + out.transpose(1, 0, 2)[..., ::-1]


def _counted(tof: TofBins, grid: Grid, points: FloatArray, spacing_mm: float) -> tuple[FloatImage, float]:
    """(bins of a profile, samples) share that a timing bin counts of emission, and the distance of the first sample [mm]."""
    from scipy.special import erf

    from fusin.reconstruction.pet_ray_kernels import CUT

    def below(distance: FloatArray) -> FloatArray:
        inside = np.clip(distance, -CUT, CUT)
        return np.asarray(0.5 + 0.5 * erf(inside / np.sqrt(2.0)) / erf(CUT / np.sqrt(2.0)), dtype=np.float64)

    half = 0.5 * float(tof.edges_mm[1] - tof.edges_mm[0])
    bins = int(np.ceil(_reach(grid, points).max() / spacing_mm)) + 2
    beyond = int(np.ceil((half + CUT * tof.sigma_mm) / spacing_mm)) + 1
    place = (np.arange(bins) + 0.5) * spacing_mm
    samples = (np.arange(bins + 2 * beyond) - beyond + 0.5) * spacing_mm
    away = place[:, None] - samples
    found = below((away + half) / tof.sigma_mm) - below((away - half) / tof.sigma_mm)
    return found.astype(np.float32), float(samples[0])


def _reach(grid: Grid, points: FloatArray) -> FloatArray:
    """(points,) distance to the farthest corner of the image [mm]."""
    corners = np.stack(np.meshgrid(*[(-0.5, n - 0.5) for n in grid.shape[::-1]], indexing="ij"), axis=-1).reshape(-1, 3)
    away = points[:, None] - grid.to_mm(corners)
    return np.asarray(np.linalg.norm(away, axis=-1).max(axis=1), dtype=np.float64)


def _profiles(
    image: FloatImage, grid: Grid, points: FloatArray, detectors: FloatArray, bin_mm: float, bins: int
) -> FloatImage:
    """(points x detectors, bins) where the way from a point to a detector passes activity."""
    from fusin.reconstruction.pet_scatter_kernels import leg_profiles

    size, origin = spacing(grid), grid.affine[:3, 3]
    step_mm = 0.5 * float(size.min())
    way = detectors[None] - points[:, None]
    length = np.linalg.norm(way, axis=-1)
    steps = (way * (step_mm / length)[..., None] / size).reshape(-1, 3)
    starts = np.repeat((points - origin) / size, len(detectors), axis=0) + 0.5 * steps
    counts = np.floor(np.minimum(length, _reach(grid, points)[:, None]) / step_mm).astype(np.intp).ravel()
    out = np.empty((len(steps), bins), np.float32)
    leg_profiles(np.ascontiguousarray(image, dtype=np.float32), starts, steps, counts, step_mm, bin_mm, out)
    return out


def _sampled(geometry: SinogramGeometry, sampling: ScatterSampling) -> tuple[FloatArray, FloatArray, int, FloatArray]:
    """Places and normals of sampled detectors (around, then along), their number around, and their z about the middle."""
    scanner = geometry.scanner
    around = min(sampling.crystals, scanner.crystals)
    z = np.linspace(scanner.rings_z_mm[0], scanner.rings_z_mm[-1], max(1, min(sampling.rings, scanner.rings)))
    angle = 2 * np.pi * np.arange(around) / around + np.deg2rad(scanner.tilt_deg)
    normals = np.column_stack([scanner.outwards(angle), np.zeros(around)]).repeat(z.size, axis=0)
    detectors = scanner.radius_mm * normals + np.array(geometry.centre_mm)
    detectors[:, 2] += np.tile(z, around)
    return detectors, normals, around, z


def _in_bins(geometry: SinogramGeometry, sums: FloatArray, z: FloatArray) -> FloatImage:
    """Interpolate sums of sampled pairs in all bins, in the units of the projector."""
    from fusin.reconstruction.pet_scatter_kernels import interpolate_pairs

    scanner = geometry.scanner
    lines = axial_lines(geometry, "mean")
    order = np.argsort(lines.planes)
    ends = [0.5 * (lines.sums + sign * lines.differences)[order] for sign in (-1, 1)]
    places_z = np.stack([np.interp(e, np.arange(scanner.rings), scanner.rings_z_mm) for e in ends], axis=1)
    along = np.interp(places_z, z, np.arange(z.size)) if z.size > 1 else np.zeros_like(places_z)
    pairs = geometry.crystals_at_ends.reshape(-1, 2)
    across = (
        geometry.ends_mm.reshape(-1, 2, 2)
        if geometry.bin_mm is not None
        else scanner.crystals_xy_mm[pairs.astype(np.intp)]
    )
    out = np.empty((len(pairs), geometry.planes), np.float32)
    interpolate_pairs(
        sums, pairs * (sums.shape[0] / scanner.crystals), along, ((across[:, 1] - across[:, 0]) ** 2).sum(axis=1),
        places_z[:, 1] - places_z[:, 0], scanner.radius_mm, out,
    )  # fmt: skip
    out *= geometry.lines_per_plane.astype(np.float32)
    return out.reshape(geometry.views, geometry.bins, geometry.planes)


def tail_scale(
    counts: FloatImage,
    randoms: FloatImage | None,
    scatter: FloatImage,
    attenuation: FloatImage,
    *,
    least_factor: float = 0.99,
) -> TailScale:
    """Compare simulated scatter, with efficiencies, with the counts of lines that pass beside the patient.

    Parameters
    ----------
    counts, randoms, scatter : (views, bins, planes)
    attenuation : factors of the same bins
    least_factor : attenuation from which on a line passes beside the patient

    Returns
    -------
    TailScale
        Weighted by the expected scatter; the standard error is that of the Poisson counts alone.

    Raises
    ------
    NotComputable
        Where no line passes beside the patient, or none is expected to hold scatter.
    """
    beside = attenuation >= least_factor
    expected = float(scatter[beside].sum(dtype=np.float64))
    if expected <= 0:
        raise NotComputable("the scale of scatter", "no line with expected scatter passes beside the patient",
                            "a wider sinogram, or the absolute scale", "NO_SCATTER_TAIL")  # fmt: skip
    measured = float(counts[beside].sum(dtype=np.float64))
    noise = 0.0 if randoms is None else float(randoms[beside].sum(dtype=np.float64))
    return TailScale((measured - noise) / expected, float(np.sqrt(max(measured, 1.0))) / expected, int(beside.sum()))


def _angles(scanner: CylindricalScanner) -> FloatArray:
    """(2, cosines): density times efficiency relative to that at 511 keV, and relative cross section."""
    cosine = np.linspace(-1.0, 1.0, _COSINES)
    energy = ELECTRON_KEV / (2.0 - cosine)
    efficiency = energy_efficiency(energy, scanner) / energy_efficiency(ELECTRON_KEV, scanner)
    thinner = total_cross_section(energy) / total_cross_section(ELECTRON_KEV)
    return np.stack([klein_nishina(cosine) * efficiency, thinner])


def _points(mu: Volume, distance_mm: float) -> tuple[FloatArray, FloatArray]:
    """Scatter points (points, 3) [mm] and their coefficient times volume [mm^2]: means of blocks of voxels."""
    size = spacing(mu.grid)
    step = np.maximum(1, np.round(distance_mm / size)).astype(int)
    values = np.asarray(mu.values, dtype=np.float64)
    if not np.isfinite(values).all() or (values < 0).any():
        raise InputError(
            "attenuation map", "values", "negative coefficients or no numbers", "0 or a positive number in each voxel"
        )
    edges = [np.arange(0, n, s) for n, s in zip(values.shape, step[::-1], strict=True)]
    sums, moments = values, [values * axis for axis in np.ogrid[tuple(slice(n) for n in values.shape)]]
    for k, edge in enumerate(edges):
        sums = np.add.reduceat(sums, edge, axis=k)
        moments = [np.add.reduceat(m, edge, axis=k) for m in moments]
    keep = sums > _MU_OF_AIR_PER_CM
    if not keep.any():
        raise NotComputable(
            "scatter", "the attenuation map holds nothing that scatters", "a map of the patient", "NOTHING_SCATTERS"
        )
    index = np.stack([m[keep] / sums[keep] for m in moments[::-1]], axis=1)
    return mu.grid.to_mm(index), 0.1 * sums[keep] * float(np.prod(size))


def _integrals(values: FloatImage, grid: Grid, points: FloatArray, detectors: FloatArray) -> FloatArray:
    """(points, detectors) line integrals [value mm]."""
    from fusin.reconstruction.pet_ray_kernels import rays_forward

    size, origin = spacing(grid), grid.affine[:3, 3]
    rays = np.empty((len(points), len(detectors), 6))
    rays[..., :3] = ((points - origin) / size)[:, None]
    rays[..., 3:] = (detectors[None] - points[:, None]) / size
    out = np.empty(rays.shape[0] * rays.shape[1], np.float32)
    rays_forward(values, rays.reshape(-1, 6), size, np.zeros((1, 2)), 1.0, out)
    return out.reshape(rays.shape[:2]).astype(np.float64)
