"""Reference regions: blood pool, liver, spleen, marrow, brain, adrenal, muscle.

A reference region is given by the reader, placed at a point (``--at liver=x,y,z``), found inside an organ label
(`fusin.quantification.reference_labels`) or placed on the CT (`fusin.quantification.placement`). Shapes and limits
are data in ``reference_labels.toml``.
"""

from __future__ import annotations

import itertools
import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal, cast, get_args

import numpy as np

from fusin.errors import InputError, InvalidValue
from fusin.imaging.volume import FloatArray, Grid, Region, Volume
from fusin.provenance import NoticeLog, jsonable

__all__ = [
    "ReferenceKind",
    "ReferenceMethod",
    "ReferenceRegion",
    "ReferenceShape",
    "check_normal_band",
    "check_overlap",
    "cylinder_region",
    "parse_at",
    "parse_kind",
    "reference_at",
    "reference_from_region",
    "reference_shape",
    "reference_table",
    "shape_region",
    "sphere_region",
]

ReferenceKind = Literal["blood_pool", "liver", "spleen", "marrow", "brain", "adrenal", "muscle"]
ReferenceMethod = Literal["given", "point", "labels", "automatic"]

SUV_BW_UNIT = "g/ml{SUVbw}"
NORMAL_RECORDS = {
    "blood_pool": "normal-uptake-heart",
    "liver": "normal-uptake-liver",
    "spleen": "normal-uptake-spleen",
    "marrow": "normal-uptake-marrow",
}
"""Evidence records with the published range of an organ's SUVmean; the heart's stands for the blood pool."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ReferenceRegion:
    """Uptake of a reference tissue in one region.

    Attributes
    ----------
    kind : tissue
    region : voxels on the PET grid
    mean, sd : SUVbw mean and population SD of the voxels [g/mL]
    voxels, volume_ml : size
    mean_low, mean_high : 95 % interval of the mean; the standard error counts resolution elements, not voxels
    method : how the region was placed
    confidence : 0 to 1 for automatic placement, None otherwise
    detail : one sentence on how it was placed
    centre_mm : LPS millimetres of the centroid
    """

    kind: ReferenceKind
    region: Region
    mean: float
    sd: float
    voxels: int
    volume_ml: float
    mean_low: float
    mean_high: float
    method: ReferenceMethod
    confidence: float | None = None
    detail: str = ""
    centre_mm: tuple[float, float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what the JSON contract and the report need (without voxels)."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__ if name != "region"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceShape:
    """Shape of the region that stands for one tissue.

    Attributes
    ----------
    form : ``"sphere"``, or ``"cylinder"`` along the patient's head-foot axis
    diameter_mm : diameter
    length_mm : length of a cylinder, 0 for a sphere
    source : where the size comes from
    """

    form: Literal["sphere", "cylinder"]
    diameter_mm: float
    length_mm: float
    source: str

    @property
    def text(self) -> str:
        """Size in words."""
        if self.form == "sphere":
            return f"{self.diameter_mm:g} mm sphere"
        return f"{self.diameter_mm:g} mm x {self.length_mm:g} mm cylinder"


@cache
def reference_table() -> Mapping[str, Any]:
    """Return ``reference_labels.toml``: limits, shapes, aliases and labels."""
    text = resources.files("fusin.quantification").joinpath("reference_labels.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def reference_shape(kind: ReferenceKind) -> ReferenceShape:
    """Shape that stands for one tissue, with the source of its size."""
    row = reference_table()["shape"][kind]
    return ReferenceShape(
        form=row["form"],
        diameter_mm=float(row["diameter_mm"]),
        length_mm=float(row.get("length_mm", 0.0)),
        source=row["source"],
    )


def sphere_region(
    grid: Grid,
    centre_mm: Sequence[float],
    diameter_mm: float,
    name: str,
    *,
    log: NoticeLog | None = None,
    source: str = "",
) -> Region:
    """Voxels whose centres lie within a sphere.

    Parameters
    ----------
    grid : voxels to choose from
    centre_mm : LPS millimetres, inside the grid
    diameter_mm : diameter, positive
    name, source : stored in the region
    log : receives REFERENCE_PARTLY_OUTSIDE and REFERENCE_NEAREST_VOXEL

    Raises
    ------
    InputError
        For a centre outside the grid or a size that is not positive.
    """
    point = _checked_point(grid, centre_mm, name)
    _require_positive(diameter_mm, name, "diameter_mm")
    radius = diameter_mm / 2.0

    def inside(offset: FloatArray) -> FloatArray:
        excess: FloatArray = (offset**2).sum(axis=-1) - radius**2
        return excess

    return _solid_region(grid, point, radius, inside, name, log, source, {"form": "sphere", "diameter_mm": diameter_mm})


def cylinder_region(
    grid: Grid,
    centre_mm: Sequence[float],
    diameter_mm: float,
    length_mm: float,
    axis: Sequence[float] = (0.0, 0.0, 1.0),
    *,
    name: str = "cylinder",
    log: NoticeLog | None = None,
    source: str = "",
) -> Region:
    """Voxels whose centres lie within a cylinder.

    Parameters
    ----------
    grid : voxels to choose from
    centre_mm : LPS millimetres of the middle, inside the grid
    diameter_mm, length_mm : size, positive
    axis : direction in LPS, by default the head-foot axis
    name, source : stored in the region
    log : as for `sphere_region`

    Raises
    ------
    InputError
        For a centre outside the grid, a size that is not positive or an axis without a direction.
    """
    point = _checked_point(grid, centre_mm, name)
    _require_positive(diameter_mm, name, "diameter_mm")
    _require_positive(length_mm, name, "length_mm")
    direction = np.asarray(axis, dtype=np.float64)
    norm = float(np.linalg.norm(direction))
    if direction.shape != (3,) or not math.isfinite(norm) or norm == 0.0:
        raise InputError(name, "axis", tuple(axis), "a direction of three finite numbers")
    unit = direction / norm
    radius, half = diameter_mm / 2.0, length_mm / 2.0

    def inside(offset: FloatArray) -> FloatArray:
        along = offset @ unit
        across2 = (offset**2).sum(axis=-1) - along**2
        excess: FloatArray = np.maximum(across2 - radius**2, np.abs(along) - half)
        return excess

    attributes = {"form": "cylinder", "diameter_mm": diameter_mm, "length_mm": length_mm}
    return _solid_region(grid, point, math.hypot(radius, half), inside, name, log, source, attributes)


def shape_region(
    grid: Grid, kind: ReferenceKind, centre_mm: Sequence[float], *, log: NoticeLog | None = None, source: str = ""
) -> Region:
    """Region of the shape that stands for a tissue, at a point."""
    shape = reference_shape(kind)
    if shape.form == "sphere":
        return sphere_region(grid, centre_mm, shape.diameter_mm, kind, log=log, source=source)
    return cylinder_region(grid, centre_mm, shape.diameter_mm, shape.length_mm, name=kind, log=log, source=source)


def reference_from_region(
    pet: Volume,
    region: Region,
    kind: ReferenceKind,
    method: ReferenceMethod,
    *,
    log: NoticeLog,
    fwhm_mm: float = 6.0,
    confidence: float | None = None,
    detail: str = "",
) -> ReferenceRegion:
    """Measure a region and check that it can serve as a reference.

    Parameters
    ----------
    pet : SUVbw volume
    region : voxels on the grid of `pet`
    kind, method, confidence, detail : kept in the result
    log : receives doubts: REFERENCE_NOT_UNIFORM, REFERENCE_HOT_VOXELS, REFERENCE_OUTSIDE_NORMAL_BAND
    fwhm_mm : resolution of the image, for the standard error of the mean

    Raises
    ------
    NotComputable
        For an empty region, a value that is not finite or a mean that is not positive.
    InputError
        When the region lies on another grid.
    """
    from fusin.quantification.resels import mean_interval

    values = region.values_in(pet).astype(np.float64)
    what, needed = f"reference {kind} from region {region.name!r}", "a region inside the organ on an image with counts"
    if values.size == 0:
        raise InvalidValue(what, "the region holds no voxel", needed, "REFERENCE_EMPTY")
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise InvalidValue(what, f"{bad} of {values.size} voxels are not finite", needed, "REFERENCE_NOT_FINITE")
    mean, sd = float(values.mean()), float(values.std())
    if mean <= 0.0:
        raise InvalidValue(what, f"its mean is {mean:.4g} {pet.unit}", needed, "REFERENCE_NOT_POSITIVE")
    _check_uniformity(values, kind, region.name, log)
    low, high, _ = mean_interval(mean, sd, region.volume_ml, fwhm_mm=fwhm_mm)
    centre = region.centroid_mm()
    reference = ReferenceRegion(
        kind=kind,
        region=region,
        mean=mean,
        sd=sd,
        voxels=region.voxels,
        volume_ml=region.volume_ml,
        mean_low=low,
        mean_high=high,
        method=method,
        confidence=confidence,
        detail=detail,
        centre_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
    )
    if pet.unit == SUV_BW_UNIT:
        check_normal_band(reference, log)
    return reference


def reference_at(
    pet: Volume, kind: ReferenceKind, point_mm: Sequence[float], *, log: NoticeLog, fwhm_mm: float = 6.0
) -> ReferenceRegion:
    """Reference of the shape that stands for `kind`, centred on a point that a person chose.

    Parameters
    ----------
    pet : SUVbw volume
    kind : tissue
    point_mm : LPS millimetres
    log, fwhm_mm : as for `reference_from_region`

    Raises
    ------
    InputError
        When the point lies outside the volume.
    NotComputable
        As for `reference_from_region`.
    """
    region = shape_region(pet.grid, kind, point_mm, log=log, source="point")
    shape = reference_shape(kind)
    where = ", ".join(f"{float(v):.1f}" for v in point_mm)
    detail = f"{shape.text} at LPS ({where}) mm, as given; size: {shape.source}"
    return reference_from_region(pet, region, kind, "point", log=log, fwhm_mm=fwhm_mm, detail=detail)


def parse_at(text: str) -> tuple[ReferenceKind, tuple[float, float, float]]:
    """Read ``KIND=X,Y,Z`` (LPS millimetres), as given to ``--at``.

    Raises
    ------
    InputError
        For an unknown kind, or anything but three finite numbers.

    Examples
    --------
    >>> parse_at("liver=10,-20.5,300")
    ('liver', (10.0, -20.5, 300.0))
    """
    name, equals, rest = text.partition("=")
    if not equals:
        raise InputError("--at", "value", text, "KIND=X,Y,Z in LPS millimetres, for example liver=10,-20.5,300")
    kind = parse_kind(name)
    try:
        numbers = [float(part) for part in rest.split(",")]
    except ValueError as err:
        raise InputError("--at", kind, rest, "three numbers in LPS millimetres, X,Y,Z") from err
    if len(numbers) != 3 or not all(math.isfinite(v) for v in numbers):
        raise InputError("--at", kind, rest, "three finite numbers in LPS millimetres, X,Y,Z")
    return kind, (numbers[0], numbers[1], numbers[2])


def parse_kind(text: str, *, option: str = "--at") -> ReferenceKind:
    """Read the name of a reference tissue, in any of its spellings (``aorta`` is the blood pool).

    Raises
    ------
    InputError
        For an unknown tissue.
    """
    name = text.strip().lower().replace("-", "_")
    kind = reference_table()["alias"].get(name, name)
    kinds = get_args(ReferenceKind)
    if kind not in kinds:
        raise InputError(option, "kind", name, "one of " + ", ".join(kinds))
    return cast(ReferenceKind, kind)


def check_overlap(references: Iterable[ReferenceRegion], lesions: Iterable[Region], log: NoticeLog) -> None:
    """Warn (REFERENCE_OVERLAPS_LESION) where a reference shares voxels with a lesion on the same grid."""
    for reference, lesion in itertools.product(references, lesions):
        shared = _shared_voxels(reference.region, lesion)
        if shared:
            log.warning(
                "REFERENCE_OVERLAPS_LESION",
                f"{shared} of {reference.voxels} voxels of the {reference.kind} reference belong to {lesion.name!r}, "
                "so that ratios over this reference are too low",
                where=reference.region.name,
                raw=shared,
            )


def check_normal_band(reference: ReferenceRegion, log: NoticeLog) -> None:
    """Warn (REFERENCE_OUTSIDE_NORMAL_BAND) when the mean lies outside the published range of that organ.

    The ranges are evidence records (``normal-uptake-*``); a kind without one is not checked.
    """
    from fusin.evidence.catalogue import evidence

    if reference.kind not in NORMAL_RECORDS:
        return
    record = evidence(NORMAL_RECORDS[reference.kind])
    low, high = record.low, record.high
    if low is None or high is None or low <= reference.mean <= high:
        return
    log.warning(
        "REFERENCE_OUTSIDE_NORMAL_BAND",
        f"the {reference.kind} reference has SUVmean {reference.mean:.2f}; published range {low:g} to {high:g} "
        f"(n = {record.n}, {record.citation}); check the placement, the SUV and the disease",
        where=reference.region.name,
        raw=reference.mean,
    )


def _checked_point(grid: Grid, point_mm: Sequence[float], name: str) -> FloatArray:
    """Refuse a point that is not three finite numbers inside the grid."""
    try:
        point = np.asarray(point_mm, dtype=np.float64)
    except (TypeError, ValueError) as err:
        raise InputError(name, "point", point_mm, "three finite LPS millimetres") from err
    if point.shape != (3,) or not np.isfinite(point).all():
        raise InputError(name, "point", point_mm, "three finite LPS millimetres")
    if not grid.contains(point):
        faces = [(-0.5, n - 0.5) for n in grid.shape[::-1]]
        corners = grid.to_mm(np.array(np.meshgrid(*faces)).reshape(3, -1).T)
        low, high = corners.min(axis=0), corners.max(axis=0)
        span = ", ".join(f"{axis} {a:.0f} to {b:.0f}" for axis, a, b in zip("xyz", low, high, strict=True))
        raise InputError(name, "point", tuple(float(v) for v in point), f"a point inside the volume ({span} mm)")
    return point


def _require_positive(value: float, name: str, field: str) -> None:
    """Refuse a length that is not positive and finite."""
    if not (math.isfinite(value) and value > 0.0):
        raise InputError(name, field, value, "a positive length in mm")


def _solid_region(
    grid: Grid,
    point: FloatArray,
    reach_mm: float,
    inside: Any,
    name: str,
    log: NoticeLog | None,
    source: str,
    attributes: dict[str, Any],
) -> Region:
    """Voxels for which ``inside(offset_mm) <= 0``, searched within `reach_mm` of the point."""
    centre = grid.to_index(point)
    # A ball of this radius spans, along an index axis, the norm of that row of the inverse affine.
    extent = reach_mm * np.linalg.norm(np.linalg.inv(grid.affine[:3, :3]), axis=1)
    low = np.floor(centre - extent).astype(int)
    high = np.ceil(centre + extent).astype(int) + 1
    axes = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    index = np.stack(np.meshgrid(*axes[::-1], indexing="ij")[::-1], axis=-1)
    # A relative slack keeps voxels that lie exactly on the surface on one side of it on every platform.
    hits = index[inside(grid.to_mm(index) - point) <= 1e-9 * reach_mm**2]
    within = np.all((hits >= 0) & (hits < np.array(grid.shape[::-1])), axis=1)
    lost = int(hits.shape[0] - np.count_nonzero(within))
    hits = hits[within]
    if lost and log is not None:
        log.warning(
            "REFERENCE_PARTLY_OUTSIDE",
            f"{lost} of {lost + hits.shape[0]} voxels of {name} lie outside the volume and are missing",
            where=name,
            raw=lost,
        )
    if hits.shape[0] == 0:
        hits = np.clip(np.rint(centre).astype(int), 0, np.array(grid.shape[::-1]) - 1)[None, :]
        if log is not None:
            log.adapted(
                "REFERENCE_NEAREST_VOXEL",
                f"no voxel centre lies inside {name}: voxels of {np.round(grid.spacing_mm, 2).tolist()} mm are too "
                "large for it, the nearest voxel stands for it",
                where=name,
            )
    zyx = hits[:, ::-1]
    first = zyx.min(axis=0)
    crop = np.zeros(tuple(zyx.max(axis=0) - first + 1), dtype=bool)
    crop[tuple((zyx - first).T)] = True
    start = (int(first[0]), int(first[1]), int(first[2]))
    return Region(name=name, grid=grid, start=start, crop=crop, source=source, attributes=attributes)


def _check_uniformity(values: FloatArray, kind: ReferenceKind, where: str, log: NoticeLog) -> None:
    """Warn of a region that is too uneven, or holds hot voxels, to be a reference."""
    limits = reference_table()["limit"]
    cov = float(values.std() / values.mean())
    if cov > limits["cov"]:
        log.warning(
            "REFERENCE_NOT_UNIFORM",
            f"the {kind} reference varies by {100 * cov:.0f} % (SD/mean), more than {100 * limits['cov']:.0f} %",
            where=where,
            raw=cov,
        )
    middle = float(np.median(values))
    # 1.4826 x the median absolute deviation is the SD of Gaussian noise and does not feel a few hot voxels.
    spread = 1.4826 * float(np.median(np.abs(values - middle)))
    level = max(limits["hot_ratio"] * middle, middle + limits["hot_sigmas"] * spread)
    hot = int(np.count_nonzero(values > level))
    if hot and level > 0.0:
        log.warning(
            "REFERENCE_HOT_VOXELS",
            f"{hot} of {values.size} voxels of the {kind} reference stand out (limit {level:.2f}, "
            f"median {middle:.2f}, hottest {values.max():.2f}): a lesion or another organ may lie inside",
            where=where,
            raw=hot,
        )


def _shared_voxels(one: Region, other: Region) -> int:
    """Number of voxels in both regions, on the same grid."""
    if not one.grid.matches(other.grid):
        raise InputError(other.name, "grid", other.grid.shape, f"the grid of {one.name!r} {one.grid.shape}")
    low = np.maximum(one.start, other.start)
    high = np.minimum(np.add(one.start, one.crop.shape), np.add(other.start, other.crop.shape))
    if np.any(high <= low):
        return 0
    parts = []
    for region in (one, other):
        a, b = low - np.array(region.start), high - np.array(region.start)
        parts.append(region.crop[a[0] : b[0], a[1] : b[1], a[2] : b[2]])
    return int(np.count_nonzero(parts[0] & parts[1]))
