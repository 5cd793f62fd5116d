"""The image quality phantom of NEMA NU 2, and its figures: contrast recovery and background variability.

The body is that of IEC 61675-1: a half disc of 147 mm above, and below it a box between two quarter discs of 77 mm. Six spheres of
10, 13, 17, 22, 28 and 37 mm inner diameter lie in one plane on a circle of 114.4 mm, and a lung insert of 50 mm runs through.

    recovery of a hot sphere    Q = (C_H / C_B - 1) / (a_H / a_B - 1)
    of a cold one               Q = 1 - C_C / C_B
    background variability      N = SD of the regions of the background / C_B

    residual of the lung      dC = C_lung / C_B

with discs of the inner diameter on the slice through the spheres, and twelve discs of each size in the background of that slice and
of those nearest to 10 and 20 mm above and below it, sixty in all; the lung has a disc of 30 mm on the same slices, over the
background of discs of 37 mm. Pixels at the rim count by the share that is inside.

References
----------
NEMA Standards Publication NU 2-2018, section 7 · IEC 61675-1:2013.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, NotComputable
from fusin.imaging.volume import Volume
from fusin.reconstruction.bootstrap import interval_of
from fusin.reconstruction.phantoms import Part, Phantom
from fusin.reconstruction.solids import Solid, box, cylinder, sphere
from fusin.stats.results import Estimate

__all__ = [
    "DIAMETERS_MM",
    "NemaSphere",
    "background_places",
    "lung_residual",
    "nema_figures",
    "nema_iq_phantom",
    "sphere_places",
]

FloatArray = NDArray[np.float64]
_Disc = tuple[slice, slice, FloatArray]
DIAMETERS_MM = (10.0, 13.0, 17.0, 22.0, 28.0, 37.0)
_CIRCLE_MM, _LUNG_MM = 114.4, 50.0
_MIDDLE_Y = -35.0
"""The spheres' circle lies about the middle of the body, 35 mm above the flat of the half disc (-y is up)."""

_BACKGROUNDS, _GAP_MM = 12, 15.0
_SLICES_MM = (-20.0, -10.0, 0.0, 10.0, 20.0)
_NORMAL_95 = 1.959963984540054
_LUNG_DISC_MM = 30.0
# The noise of a replicate is that of the image and its own: conditional on the image its variance varies by 3/4 of what two
# acquisitions do, because only half of the noise is drawn.
_HALF_DRAWN = math.sqrt(4.0 / 3.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class NemaSphere:
    """Figures of one sphere, in per cent.

    Attributes
    ----------
    diameter_mm : inner
    hot : whether it holds more than the background
    recovery : with its 95 % interval
    variability : of the background, in discs of that size, with its 95 % interval
    """

    diameter_mm: float
    hot: bool
    recovery: Estimate
    variability: Estimate


def sphere_places() -> dict[float, tuple[float, float, float]]:
    """Middle of each sphere by its diameter [mm]; the plane of the spheres is z = 0."""
    angles = np.deg2rad(60.0 * np.arange(6))
    return {
        d: (float(0.5 * _CIRCLE_MM * np.cos(a)), float(_MIDDLE_Y - 0.5 * _CIRCLE_MM * np.sin(a)), 0.0)
        for d, a in zip(DIAMETERS_MM, angles, strict=True)
    }


def nema_iq_phantom(
    *, background_bq_ml: float, ratio: float = 4.0, cold: Sequence[float] = (), mu_water_per_cm: float = 0.096,
    lung_density: float = 0.3,
) -> Phantom:  # fmt: skip
    """Build the phantom.

    Parameters
    ----------
    background_bq_ml : concentration of the background
    ratio : sphere over background, 4 or 8 in the standard
    cold : diameters of spheres that hold water without activity [mm]; 28 and 37 in NU 2-2007
    mu_water_per_cm : attenuation of its water at the energy of the photons
    lung_density : of the insert, relative to water; it holds no activity

    Raises
    ------
    InputError
        For a diameter that the phantom does not have, and numbers that are not positive.
    """
    unknown = [d for d in cold if d not in DIAMETERS_MM]
    if unknown:
        raise InputError("NEMA phantom", "cold", unknown[0], f"diameters of {DIAMETERS_MM}")
    if not (np.isfinite(ratio) and ratio > 0 and np.isfinite(background_bq_ml) and background_bq_ml > 0):
        raise InputError("NEMA phantom", "ratio and background", (ratio, background_bq_ml), "positive numbers")
    parts = [
        Part(name="background", solid=s, activity_bq_ml=float(background_bq_ml), mu_per_cm=mu_water_per_cm)
        for s in _body()
    ]
    parts.append(Part(name="lung", solid=cylinder((0.0, _MIDDLE_Y, _BODY_Z), (_LUNG_MM / 2, _LUNG_MM / 2, _BODY_HALF)),
                      activity_bq_ml=0.0, mu_per_cm=mu_water_per_cm * lung_density))  # fmt: skip
    for d, place in sphere_places().items():
        activity = 0.0 if d in cold else ratio * background_bq_ml
        parts.append(
            Part(name=f"sphere {d:g} mm", solid=sphere(place, d), activity_bq_ml=activity, mu_per_cm=mu_water_per_cm)
        )
    return Phantom(name="NEMA IQ", parts=tuple(parts))


_BODY_HALF, _BODY_Z = 90.0, 20.0
"""Interior length of 180 mm; the plane of the spheres lies 70 mm from one end."""


def _body() -> list[Solid]:
    # -y is up: the half disc keeps y <= 0.
    upper = cylinder((0.0, 0.0, _BODY_Z), (147.0, 147.0, _BODY_HALF), keep=(0.0, 1.0, 0.0, 0.0))
    middle = box((0.0, 38.5, _BODY_Z), (70.0, 38.5, _BODY_HALF))
    sides = [cylinder((x, 0.0, _BODY_Z), (77.0, 77.0, _BODY_HALF), keep=(0.0, -1.0, 0.0, 0.0)) for x in (-70.0, 70.0)]
    return [upper, middle, *sides]


def _inside_body(x: FloatArray, y: FloatArray) -> NDArray[np.bool_]:
    upper = (y <= 0) & (x**2 + y**2 <= 147.0**2)
    lower = (y > 0) & (y <= 77.0) & (np.hypot(np.maximum(np.abs(x) - 70.0, 0.0), y) <= 77.0)
    return np.asarray(upper | lower)


def background_places() -> FloatArray:
    """(12, 2) middles of the discs in the background [mm].

    A disc of 37 mm lies 15 mm or more from the wall, from the lung insert and from every sphere; the twelve are spread as far from
    each other as that leaves room, and overlap where it leaves too little.
    """
    x, y = (a.ravel() for a in np.meshgrid(np.arange(-147.0, 148.0, 3.0), np.arange(-147.0, 78.0, 3.0)))
    keep = _inside_body(x, y)
    for angle in np.linspace(0, 2 * np.pi, 72, endpoint=False):
        reach = 0.5 * DIAMETERS_MM[-1] + _GAP_MM
        keep &= _inside_body(x + reach * np.cos(angle), y + reach * np.sin(angle))
    obstacles = [(p[0], p[1], d) for d, p in sphere_places().items()] + [(0.0, _MIDDLE_Y, _LUNG_MM)]
    for px, py, d in obstacles:
        keep &= np.hypot(x - px, y - py) >= 0.5 * d + _GAP_MM + 0.5 * DIAMETERS_MM[-1]
    free = np.stack([x[keep], y[keep]], axis=1)
    chosen = [int(np.lexsort((free[:, 1], free[:, 0]))[0])]
    nearest = np.full(len(free), np.inf)
    while len(chosen) < _BACKGROUNDS:
        nearest = np.minimum(nearest, np.hypot(*(free - free[chosen[-1]]).T))
        chosen.append(int(nearest.argmax()))
    return free[chosen]


def nema_figures(
    image: Volume, *, ratio: float, cold: Sequence[float] = (), replicates: Sequence[NDArray[Any]] = (),
) -> tuple[NemaSphere, ...]:  # fmt: skip
    """Contrast recovery and background variability of an image of the phantom.

    Parameters
    ----------
    image : of the phantom in the coordinates of `nema_iq_phantom`
    ratio : sphere over background that was filled in
    cold : diameters without activity
    replicates : reconstructions of redrawn counts on the same grid, 20 or more; their spread gives the intervals, about the value
        of the image, because replicates hold the noise of the image and their own. Without them the interval of the recovery
        comes from the variability of the background in discs of the same size, which leaves the greater noise of a hot sphere
        out, and that of the variability from chi-square, which takes the sixty discs as independent

    Raises
    ------
    InputError
        For a turned image, replicates of another shape, or a ratio of 1.
    NotComputable
        ``NEMA_OUTSIDE_IMAGE`` when a disc or a slice leaves the image.
    """
    if not (np.isfinite(ratio) and ratio > 0 and ratio != 1):
        raise InputError("NEMA figures", "ratio", ratio, "a positive number other than 1")
    _check(image, replicates)
    places, found = background_places(), []
    for d, place in sphere_places().items():
        discs = [_disc(image, place[0], place[1], d)], [_disc(image, x, y, d) for x, y in places]
        is_hot = d not in cold
        value = _figures(np.asarray(image.values), image, discs, ratio, is_hot)
        draws = np.array([_figures(np.asarray(r), image, discs, ratio, is_hot) for r in replicates]).reshape(-1, 2)
        found.append(_sphere(d, is_hot, value, draws, ratio))
    return tuple(found)


def lung_residual(image: Volume, *, replicates: Sequence[NDArray[Any]] = ()) -> Estimate:
    """Mean of the lung insert over that of the background, in per cent: what scatter and attenuation leave uncorrected.

    Parameters
    ----------
    image, replicates : as for `nema_figures`; there is no interval without replicates

    Raises
    ------
    InputError, NotComputable
        As `nema_figures`.
    """
    _check(image, replicates)
    places, largest = background_places(), DIAMETERS_MM[-1]
    lung = _disc(image, 0.0, _MIDDLE_Y, _LUNG_DISC_MM)
    discs = [_disc(image, x, y, largest) for x, y in places]

    def of(values: NDArray[Any]) -> float:
        planes = [values[_slice(image, z)] for z in _SLICES_MM]
        return 100.0 * float(np.mean([_mean(p, lung) for p in planes])) / _level(planes, discs)

    value, draws = of(np.asarray(image.values)), np.array([of(np.asarray(r)) for r in replicates])
    method = "NEMA NU 2-2018; without replicates, no interval"
    if len(draws) < 2:
        return Estimate(value=value, low=None, high=None, method=method, n=len(_SLICES_MM))
    return replace(interval_of(value, draws), method=_by_replicates(len(draws)))


def _by_replicates(count: int) -> str:
    return f"NEMA NU 2-2018; spread of {count} bootstrap replicates of the counts, Student's t"


def _check(image: Volume, replicates: Sequence[NDArray[Any]]) -> None:
    linear = image.affine[:3, :3]
    if not np.allclose(linear, np.diag(np.diag(linear)), atol=1e-6 * np.abs(linear).max()):
        raise InputError("NEMA figures", "image", np.round(linear, 3).tolist(), "voxel axes along x, y and z")
    for replicate in replicates:
        if replicate.shape != image.shape:
            raise InputError("NEMA figures", "replicate", replicate.shape, f"the shape {image.shape} of the image")


def _sphere(d: float, is_hot: bool, value: tuple[float, float], draws: FloatArray, ratio: float) -> NemaSphere:
    from scipy.stats import chi2
    from scipy.stats import t as student_t

    if len(draws) >= 2:
        whole = interval_of(value[0], draws[:, 0])
        # A variability is positive and skewed: its logarithm has the spread.
        logs = np.log(np.maximum(draws[:, 1], 1e-12))
        factor = math.exp(float(student_t.ppf(0.975, len(draws) - 1)) * _HALF_DRAWN * float(logs.std(ddof=1)))
        method = _by_replicates(len(draws))
        kept = replace(whole, method=method), Estimate(value=value[1], low=value[1] / factor, high=value[1] * factor, method=method,
                                                       n=len(draws))  # fmt: skip
        return NemaSphere(diameter_mm=d, hot=is_hot, recovery=kept[0], variability=kept[1])
    recovery, spread = value
    count = _BACKGROUNDS * len(_SLICES_MM)
    half = _NORMAL_95 * spread * math.sqrt(1.0 + 1.0 / count) / (abs(ratio - 1.0) if is_hot else 1.0)
    scale = np.sqrt((count - 1) / chi2.ppf([0.975, 0.025], count - 1))
    ranges = (recovery - half, recovery + half), (spread * float(scale[0]), spread * float(scale[1]))
    first, second = (
        Estimate(value=v, low=a, high=b, method="NEMA NU 2-2018; from the variability of the background", n=count)
        for v, (a, b) in zip(value, ranges, strict=True)
    )
    return NemaSphere(diameter_mm=d, hot=is_hot, recovery=first, variability=second)


def _figures(
    values: NDArray[Any], image: Volume, discs: tuple[list[_Disc], list[_Disc]], ratio: float, is_hot: bool
) -> tuple[float, float]:
    """Recovery and variability in per cent."""
    middle = values[_slice(image, 0.0)]
    concentration = _mean(middle, discs[0][0])
    planes = [values[_slice(image, z)] for z in _SLICES_MM]
    level = _level(planes, discs[1])
    background = np.array([_mean(plane, disc) for plane in planes for disc in discs[1]])
    share = concentration / level
    recovery = (share - 1.0) / (ratio - 1.0) if is_hot else 1.0 - share
    return 100.0 * recovery, 100.0 * float(background.std(ddof=1)) / level


def _level(planes: Sequence[NDArray[Any]], discs: Sequence[_Disc]) -> float:
    level = float(np.mean([_mean(plane, disc) for plane in planes for disc in discs]))
    if level <= 0:
        raise NotComputable("contrast recovery", f"the background has the mean {level:g}", "an image with activity in it",
                            "NEMA_NO_BACKGROUND")  # fmt: skip
    return level


def _mean(plane: NDArray[Any], disc: _Disc) -> float:
    rows, columns, share = disc
    return float((plane[rows, columns] * share).sum(dtype=np.float64) / share.sum())


def _slice(image: Volume, z_mm: float) -> int:
    place = round(float((z_mm - image.affine[2, 3]) / image.affine[2, 2]))
    if not 0 <= place < image.shape[0]:
        raise NotComputable("contrast recovery", f"the image has no slice at z = {z_mm:g} mm", "an image of the whole phantom",
                            "NEMA_OUTSIDE_IMAGE")  # fmt: skip
    return place


def _disc(image: Volume, x: float, y: float, diameter_mm: float, fine: int = 10) -> _Disc:
    """Share of each pixel inside a disc, and which pixels these are."""
    steps = (np.arange(fine) + 0.5) / fine - 0.5
    radius, pieces, places = 0.5 * diameter_mm, [], []
    for axis, middle, size in ((1, y, image.shape[1]), (0, x, image.shape[2])):
        pitch, start = image.affine[axis, axis], image.affine[axis, 3]
        ends = sorted((middle + sign * radius - start) / pitch for sign in (-1, 1))
        first, last = int(np.floor(ends[0] + 0.5)), int(np.floor(ends[1] + 0.5)) + 1
        if first < 0 or last > size:
            raise NotComputable("contrast recovery", f"a disc at ({x:.0f}, {y:.0f}) mm leaves the image",
                                "an image of the whole phantom", "NEMA_OUTSIDE_IMAGE")  # fmt: skip
        pieces.append(slice(first, last))
        places.append((start + pitch * (np.arange(first, last)[:, None] + steps) - middle).ravel())
    inside = (places[0][:, None] ** 2 + places[1][None, :] ** 2 <= radius**2).astype(np.float64)
    rows, columns = (p.stop - p.start for p in pieces)
    return pieces[0], pieces[1], inside.reshape(rows, fine, columns, fine).mean(axis=(1, 3))
