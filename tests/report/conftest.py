"""A small analytic patient as a `Reading`, made without any other wing's search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fusin.imaging.volume import Grid, Region, Volume
from fusin.provenance import InputFile, Method, Notice, Provenance
from fusin.quantification.adrenal import AdrenalIndices
from fusin.quantification.lesions import Burden, Lesion, Tbr
from fusin.quantification.metrics import RegionMetrics
from fusin.quantification.positivity import Readout, RuleResult
from fusin.quantification.reading import Reading
from fusin.quantification.references import ReferenceRegion

LESIONS = (
    ((40.0, -20.0, 150.0), 14.0, 21.4, "left adrenal"),
    ((-60.0, 20.0, 40.0), 12.0, 12.9, "liver, right lobe"),
    ((5.0, 60.0, -90.0), 11.0, 8.6, "L4 vertebra"),
    ((-35.0, 5.0, -170.0), 10.0, 7.1, ""),
    ((70.0, -40.0, 210.0), 9.0, 5.4, "left axillary node"),
)


def make_grid(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Grid:
    """Axial grid (column to the left, row to the back, slice to the head) centred on the origin."""
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = [-(n - 1) / 2 * s for n, s in zip(shape[::-1], spacing, strict=True)]
    return Grid(shape=shape, affine=affine, frame_of_reference_uid="1.2.3.4")


def coordinates(grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Open x, y, z coordinates in LPS millimetres of an axis-parallel grid."""
    k, j, i = (np.arange(n) for n in grid.shape)
    a = grid.affine
    return (
        (a[0, 0] * i + a[0, 3])[None, None],
        (a[1, 1] * j + a[1, 3])[None, :, None],
        (a[2, 2] * k + a[2, 3])[:, None, None],
    )


def ellipsoid(grid: Grid, centre: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
    """Boolean ellipsoid."""
    x, y, z = coordinates(grid)
    parts = ((v - c) / r for v, c, r in zip((x, y, z), centre, radii, strict=True))
    inside: np.ndarray = sum(p**2 for p in parts) <= 1.0
    return inside


def smooth(values: np.ndarray, times: int = 2) -> np.ndarray:
    """Blur with a short binomial kernel along each axis."""
    for _ in range(times):
        for axis in range(3):
            values = 0.25 * np.roll(values, 1, axis) + 0.5 * values + 0.25 * np.roll(values, -1, axis)
    return values


def metrics_of(name: str, region: Region, pet: Volume, peak: float) -> RegionMetrics:
    """Enough metrics for a table; the peak is given so that a test can look for it."""
    values = region.values_in(pet).astype(float)
    hottest = region.indices()[int(np.argmax(values))][::-1]
    x, y, z = region.grid.to_mm(hottest)
    cx, cy, cz = region.centroid_mm()
    return RegionMetrics(
        name=name, voxels=region.voxels, volume_ml=region.volume_ml, suv_max=float(values.max()),
        suv_mean=float(values.mean()), suv_min=float(values.min()), suv_median=float(np.median(values)),
        suv_sd=float(values.std()), suv_peak=peak, total_lesion_uptake=float(values.mean() * region.volume_ml),
        centroid_mm=(float(cx), float(cy), float(cz)), max_mm=(float(x), float(y), float(z)),
    )  # fmt: skip


def make_volumes(grid: Grid, lesions: Any, seed: int) -> tuple[Volume, Volume, dict[str, np.ndarray]]:
    """SUV and HU of a torso with a few organs, and the organs' masks."""
    rng = np.random.default_rng(seed)
    body = ellipsoid(grid, (0, 0, 0), (175, 112, 1000))
    organs = {
        "liver": ellipsoid(grid, (-70, -15, 50), (75, 70, 62)),
        "spleen": ellipsoid(grid, (95, 45, 70), (30, 32, 48)),
        "kidney_left": ellipsoid(grid, (65, 55, -20), (25, 24, 50)),
        "kidney_right": ellipsoid(grid, (-65, 55, -30), (25, 24, 50)),
        "aorta": ellipsoid(grid, (14, 38, 60), (12, 12, 190)),
        "bladder": ellipsoid(grid, (0, -35, -235), (40, 32, 28)),
        "spine": ellipsoid(grid, (0, 70, 0), (20, 18, 1000)),
    }
    suv = {
        "liver": 1.3,
        "spleen": 5.2,
        "kidney_left": 3.3,
        "kidney_right": 3.3,
        "aorta": 1.7,
        "bladder": 24.0,
        "spine": 1.8,
    }
    hu = {"liver": 60, "spleen": 50, "kidney_left": 35, "kidney_right": 35, "aorta": 45, "bladder": 8, "spine": 240}
    pet = 0.45 * body
    ct = np.where(body, np.where(ellipsoid(grid, (0, 0, 0), (158, 95, 1000)), 38.0, -95.0), -1000.0)
    for side in (-1, 1):
        ct[ellipsoid(grid, (side * 75, 0, 205), (62, 78, 95))] = -820.0
    for name, mask in organs.items():
        pet = np.where(mask, suv[name], pet)
        ct[mask] = hu[name]
    for centre, radius, value, *_ in lesions:
        spot = ellipsoid(grid, centre, (radius,) * 3)
        pet = np.where(spot, value, pet)
        ct[spot & (ct < 0)] = 40.0
    pet = smooth(pet) * (1 + 0.09 * rng.standard_normal(grid.shape)) + 0.02 * rng.random(grid.shape)
    ct = smooth(ct, 1) + 12 * rng.standard_normal(grid.shape)
    return (
        Volume(values=pet.astype(np.float32), grid=grid, unit="g/ml{SUVbw}"),
        Volume(values=np.round(ct).astype(np.int16), grid=grid, unit="[hnsf'U]"),
        {**organs, "body": body},
    )


def make_reference(kind: Any, grid: Grid, mask: np.ndarray, pet: Volume, **more: Any) -> ReferenceRegion:
    """Reference region with a made-up interval of the mean."""
    region = Region.from_mask(f"{kind} reference", grid, mask)
    values = region.values_in(pet).astype(float)
    x, y, z = region.centroid_mm()
    return ReferenceRegion(
        kind=kind, region=region, mean=float(values.mean()), sd=float(values.std()), voxels=region.voxels,
        volume_ml=region.volume_ml, mean_low=float(values.mean()) - 0.06, mean_high=float(values.mean()) + 0.06,
        method="automatic", confidence=0.86, centre_mm=(float(x), float(y), float(z)), **more,
    )  # fmt: skip


def make_lesion(number: int, grid: Grid, pet: Volume, spot: Any, refs: Any, taken: np.ndarray | None = None) -> Lesion:
    """Lesion around an analytic sphere."""
    centre, radius, value, site = spot
    mask = ellipsoid(grid, centre, (radius,) * 3)
    region = Region.from_mask(f"lesion {number}", grid, mask)
    metrics = metrics_of(region.name, region, pet, 0.93 * value)
    tbrs = tuple(
        Tbr(reference=r.kind, statistic="max/mean", value=metrics.suv_max / r.mean, low=0.9 * metrics.suv_max / r.mean,
            high=1.12 * metrics.suv_max / r.mean, method="Fieller")
        for r in refs
    )  # fmt: skip
    identity = "L" + "".join(f"{round(abs(c)):03d}" for c in centre)
    return Lesion(number=number, identity=identity, region=region, metrics=metrics, tbrs=tbrs, site=site,
                  reason="connected voxels above the threshold")  # fmt: skip


def make_readout(lesions: Any) -> Readout:
    """One rule of each verdict."""
    rules = (
        RuleResult(rule_id="tbr-blood-pool", title="Any lesion above blood pool", verdict=bool(lesions),
                   because="lesion 1: SUVmax 20.9 against 1.70", citation="Dreher 2023, EJNMMI, doi:10.1007/s00259-023-06547-z",
                   tag="V", lesions=tuple(x.number for x in lesions[:3])),
        RuleResult(rule_id="marrow-above-liver", title="Diffuse marrow uptake above liver", verdict=None,
                   because="no marrow reference was placed", citation="Luo 2019, J Nucl Med", tag="V"),
        RuleResult(rule_id="lcr-2.12", title="LCR at least 2.12", verdict=False, because="LCR 1.40",
                   citation="Ding 2020, EJNMMI", tag="D"),
    )  # fmt: skip
    return Readout(rules=rules, score=5 if lesions else None, score_name="Uptake scale",
                   score_because="hottest lesion above spleen" if lesions else "no lesion")  # fmt: skip


NOTICES = (
    Notice(
        "HALF_LIFE_DIFFERS",
        "info",
        "The header's half-life of 4057.7 s differs by 0.1 % from 4062.6 s.",
        "PET AC",
        4057.7,
        4062.6,
    ),
    Notice("REFERENCE_DECLINED", "warning", "Confidence 0.31 is below 0.60; marrow was not measured.", "marrow"),
    Notice(
        "DATE_REBUILT",
        "adapted",
        "The injection date was taken from the series across midnight.",
        "PET AC",
        "23:58",
        "00:04",
    ),
)

SERIES = {
    "series_uid": "1.2.826.0.1.3680043.10.1", "description": "PET AC CXCR4", "modality": "PT", "manufacturer": "SIEMENS",
    "model": "Biograph mCT", "patient_id": "PHANTOM-01", "study_date": "20260412", "radiopharmaceutical": "Pentixafor",
    "nuclide": "Ga-68", "activity_mbq": 148.2, "injection_time": "2026-04-12 09:31:00", "uptake_time_min": 61.0,
    "weight_kg": 74.0, "units": "BQML", "rule": "BQML, DecayCorrection START, series time",
    "factor_suvbw_per_bqml": 0.00092418, "slices": 180, "spacing_mm": (4.0, 4.0, 3.5),
}  # fmt: skip


def build_reading(
    *,
    shape: tuple[int, int, int] = (90, 64, 64),
    spacing: tuple[float, float, float] = (6.5, 6.5, 6.5),
    spots: Any = LESIONS,
    seed: int = 0,
    with_ct: bool = True,
    with_references: bool = True,
    with_adrenal: bool = True,
    **changes: Any,
) -> Reading:
    """Assemble the reading; ``changes`` replace its fields."""
    grid = make_grid(shape, spacing)
    pet, ct, organs = make_volumes(grid, spots, seed)
    refs = ()
    if with_references:
        refs = (
            make_reference("blood_pool", grid, ellipsoid(grid, (14, 38, 110), (9, 9, 20)), pet,
                           detail="1 cm x 4 cm cylinder in the descending aorta, eroded"),
            make_reference("liver", grid, ellipsoid(grid, (-95, -10, 45), (16, 16, 16)), pet,
                           detail="3 cm sphere in the right lobe, lowest variation"),
        )  # fmt: skip
    lesions = tuple(make_lesion(n, grid, pet, spot, refs) for n, spot in enumerate(spots, start=1))
    hot = [("urinary bladder", organs["bladder"]), ("spleen", organs["spleen"]), ("left kidney", organs["kidney_left"])]
    physiological = []
    for n, (name, mask) in enumerate(hot, start=1):
        region = Region.from_mask(name, grid, mask)
        physiological.append(
            Lesion(number=n, identity=f"P{n}", region=region, metrics=metrics_of(name, region, pet, 5.0), site=name,
                   status="physiological", reason=f"more than half of its voxels lie in the {name}")
        )  # fmt: skip
    volumes = [x.metrics.volume_ml for x in lesions]
    uptake = [x.metrics.total_lesion_uptake or 0.0 for x in lesions]
    reading = Reading(
        series=SERIES, pet=pet, ct=ct if with_ct else None, references=refs, lesions=lesions,
        physiological=tuple(physiological), excluded=(Region.from_mask("brain", grid, organs["spine"]),),
        threshold={"rule": "blood-2mean-2sd", "suv": 3.78, "because": "2 x 1.70 + 2 x 0.19 of the blood pool.",
                   "citation": "Wahl 2009, J Nucl Med 50 Suppl 1:122S (PERCIST)"},
        burden=Burden(lesions=len(lesions), tumour_volume_ml=sum(volumes), total_lesion_uptake=sum(uptake),
                      suv_max=21.0 if lesions else None, suv_mean=None),
        readout=make_readout(lesions),
        adrenal=AdrenalIndices(dominant="left", suv_max_left=20.9, suv_max_right=None, li=None, llr=15.8, lcr=3.1, lar=None,
                               cutoffs=(
            {"id": "adrenal-lcr-ding2020", "metric": "lcr", "op": ">=", "cutoff": 2.12, "value": 3.1, "applicable": True,
             "verdict": True, "because": "LCR 3.10 against >= 2.12.", "citation": "Ding 2020", "tag": "V"},
        ),
        because="No right adrenal was given.") if with_adrenal else None,
        notices=NOTICES,
        provenance=Provenance(
            inputs=tuple(InputFile(f"PET/{n:04d}.dcm", f"{n:064x}", f"1.2.3.{n}") for n in range(1, 6)),
            parameters={"threshold": {"rule": "blood-2mean-2sd", "minimum_ml": 0.5}, "strict": False},
            methods=(Method("suvpeak-exact-1ml", "Sphere of 1 cm3 with partial voxels, largest mean in the lesion"),),
            versions={"fusin": "0.1.0", "numpy": "2.0"}),
        outputs={"lesions": "lesions.csv"},
    )  # fmt: skip
    return replace(reading, **changes)


@pytest.fixture(scope="session")
def make_reading() -> Callable[..., Reading]:
    """Return the builder of readings."""
    return build_reading


@pytest.fixture(scope="session")
def reading() -> Reading:
    """A usual reading: five lesions, two references, CT."""
    return build_reading()
