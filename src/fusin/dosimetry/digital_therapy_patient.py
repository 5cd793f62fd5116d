"""A digital patient of a 177Lu-pentixather study: SPECT and CT at several times, blood samples, and the truth.

The anatomy is that of the digital patient of the imaging room; ``digital_therapy_patient.toml`` says where the activity is. What
a camera does to it is not what an analysis assumes: the blur grows towards the middle of the body, the noise is log-normal,
correlated, and larger where few decays were counted, and the calibration is off by a draw from its stated uncertainty.

The recovery coefficients come from a phantom, as in a clinic: inserts of the same shapes in an even background, blurred by the
same camera. Neighbours and changing contrasts are not in them, so that an analysis that uses them stays a little wrong.

References
----------
Hänscheid H et al., J Nucl Med 2022, cris.fau.de/publications/293386259 (abstract: doses per activity, effective half-lives).
Barrett H, Wilson D, Tsui B, Phys Med Biol 39 (1994) 833 (noise of iterative reconstruction).
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.dosimetry.emissions import emissions
from fusin.dosimetry.s_tables import KEV_PER_S_GRAM
from fusin.errors import InputError
from fusin.imaging.volume import Grid, Region, Volume
from fusin.nuclides import nuclide

__all__ = [
    "OTHER_MARROW",
    "Compartment",
    "TherapyPatient",
    "TherapyStudy",
    "make_therapy_patient",
    "sharp_image",
    "therapy_facts",
]

FloatVolume = NDArray[np.float32]
OTHER_MARROW = "other marrow"
"""Compartment of the marrow outside of the measured vertebrae."""

_LN2 = math.log(2.0)
_CT_PER_SPECT = 2
_SAMPLES = {"coarse": (2, 2, 3), "organ": (3, 3, 4), "lesion": (6, 6, 8)}
_CT_NOISE_HU = 10.0
# Tissues that hold much in a PET at one hour do not stand out of the rest in a therapy study.
_MOST_REST = 1.5
_GY_G_PER_MBQ_H_KEV = KEV_PER_S_GRAM * 3600.0 / 1000.0


@cache
def therapy_facts() -> Mapping[str, Any]:
    """The table of the patient, as in ``digital_therapy_patient.toml``."""
    text = resources.files("fusin.dosimetry").joinpath("digital_therapy_patient.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compartment:
    """Activity that comes and goes as one: a sum of exponentials.

    Attributes
    ----------
    name : of the compartment, which is also that of its region
    kind : ``organ``, ``lesion``, ``marrow``, ``blood`` or ``rest``
    volume_ml : as painted
    density_g_ml : of what it holds
    amplitudes_mbq, half_lives_h : of the exponentials, with the decay of the nuclide
    """

    name: str
    kind: str
    volume_ml: float
    density_g_ml: float
    amplitudes_mbq: tuple[float, ...]
    half_lives_h: tuple[float, ...]

    @property
    def mass_g(self) -> float:
        """Mass [g]."""
        return self.volume_ml * self.density_g_ml

    @property
    def tia_mbq_h(self) -> float:
        """Time-integrated activity from 0 to infinity [MBq h]."""
        return sum(a * t for a, t in zip(self.amplitudes_mbq, self.half_lives_h, strict=True)) / _LN2

    @property
    def t_eff_h(self) -> float:
        """Effective half-life of the slowest exponential [h]."""
        return max(self.half_lives_h)

    def activity_mbq(self, time_h: float, *, duration_h: float = 0.0) -> float:
        """Activity at a time, or its mean over an acquisition that starts then [MBq]."""
        total = 0.0
        for a, half in zip(self.amplitudes_mbq, self.half_lives_h, strict=True):
            x = _LN2 * duration_h / half
            total += a * 2.0 ** (-time_h / half) * (-math.expm1(-x) / x if x else 1.0)
        return total


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TherapyPatient:
    """Images and truth.

    Attributes
    ----------
    spect : MBq/mL, the mean over each acquisition, not decay-corrected
    times_h : starts of the acquisitions after the injection
    duration_s : of each
    ct : Hounsfield units, pixels of half the size
    regions : outlines on the CT, without error
    compartments : truth by name; ``rest`` is what lies in no other
    shares : share of each SPECT voxel that a compartment holds; for ``rest`` weighted by the tissue's uptake
    recovery : coefficients of the phantom's inserts, by region
    blood : (time, MBq/mL) as drawn from the samples' uncertainty
    calibration_factor : what the images are too high by
    injected : time of the injection
    nuclide, administered_mbq, seed : of the study
    """

    spect: tuple[Volume, ...]
    times_h: tuple[float, ...]
    duration_s: float
    ct: Volume
    regions: tuple[Region, ...]
    compartments: Mapping[str, Compartment]
    shares: Mapping[str, FloatVolume] = field(repr=False)
    recovery: Mapping[str, float]
    blood: tuple[tuple[float, float], ...]
    calibration_factor: float
    injected: datetime
    nuclide: str
    administered_mbq: float
    seed: int

    @property
    def grid(self) -> Grid:
        """Voxels of the SPECT."""
        return self.spect[0].grid

    def start(self, index: int) -> datetime:
        """Start of an acquisition."""
        return self.injected + timedelta(hours=self.times_h[index])


@dataclass(frozen=True, slots=True, kw_only=True)
class TherapyStudy:
    """What can be chosen about a study; the defaults are those of the table.

    Attributes
    ----------
    times_h : starts of the acquisitions
    duration_s : of each
    noise : relative standard deviation of a voxel at the table's concentration; 0 for none
    calibration_u : relative standard uncertainty that the calibration error is drawn from; 0 for none
    uptake : multiplies the half-lives of the uptake; 5 makes activity increase during the first day
    blur : multiplies the resolution; 0 for a sharp image
    injected : time of the injection
    """

    times_h: tuple[float, ...] = ()
    duration_s: float = 0.0
    noise: float | None = None
    calibration_u: float | None = None
    uptake: float = 1.0
    blur: float = 1.0
    injected: datetime = datetime(2026, 3, 2, 9, 30)

    def __post_init__(self) -> None:
        for name in ("duration_s", "noise", "calibration_u", "uptake", "blur"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0.0):
                raise InputError("therapy patient", name, value, "a finite number, 0 or more")
        if any(not (math.isfinite(t) and t >= 0) for t in self.times_h) or list(self.times_h) != sorted(
            set(self.times_h)
        ):
            raise InputError("therapy patient", "times_h", self.times_h, "increasing hours after the injection")


def sharp_image(contents_mbq: Mapping[str, float]) -> Volume:
    """Concentration without blur and noise, on the grid of the SPECT.

    Parameters
    ----------
    contents_mbq : what each compartment holds, by name [MBq], or its integral [MBq h]

    Returns
    -------
    Volume
        MBq/mL, or MBq h/mL, by the unit of the contents; the unit is named ``"MBq/ml"``.
    """
    body = _painted()
    values = np.zeros(body.spect.shape, np.float32)
    for name, held in contents_mbq.items():
        share = body.shares[name]
        values += share * np.float32(held / (float(share.sum(dtype=np.float64)) * body.spect.voxel_volume_ml))
    return Volume(values=values, grid=body.spect, unit="MBq/ml")


def make_therapy_patient(*, seed: int = 0, study: TherapyStudy | None = None) -> TherapyPatient:
    """Make a patient.

    Parameters
    ----------
    seed : of noise, calibration and blood samples; equal arguments give equal voxels
    study : times and camera

    Raises
    ------
    InputError
        For a choice that is out of range.
    """
    facts, chosen = therapy_facts(), study or TherapyStudy()
    if seed < 0:
        raise InputError("therapy patient", "seed", seed, "0 or more")
    camera = facts["spect"]
    times = chosen.times_h or tuple(facts["study"]["times_h"])
    duration = chosen.duration_s or float(facts["study"]["duration_s"])
    name, given = nuclide(facts["study"]["nuclide"]).name, float(facts["study"]["administered_mbq"])
    body = _painted()
    compartments = _compartments(body, given, chosen.uptake)
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(len(times) + 2)]
    u = camera["calibration_u_percent"] / 100.0 if chosen.calibration_u is None else chosen.calibration_u
    factor = math.exp(float(streams[-2].normal(0.0, math.sqrt(math.log1p(u**2)))))
    noise = float(camera["noise"]) if chosen.noise is None else chosen.noise
    images = []
    for time, rng in zip(times, streams, strict=False):
        held = {n: part.activity_mbq(time, duration_h=duration / 3600.0) for n, part in compartments.items()}
        sharp = np.asarray(sharp_image(held).values, np.float32)
        image = _measured(sharp, body, chosen.blur, noise, rng)
        images.append(Volume(values=image * np.float32(factor), grid=body.spect, unit="MBq/ml"))
    return TherapyPatient(
        spect=tuple(images), times_h=times, duration_s=duration, ct=body.ct, regions=body.regions, compartments=compartments,
        shares=body.shares, recovery=_recovery(chosen.blur), blood=_samples(compartments["blood"], streams[-1]),
        calibration_factor=factor, injected=chosen.injected, nuclide=name, administered_mbq=given, seed=seed,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Body:
    spect: Grid
    ct: Volume
    shares: Mapping[str, FloatVolume]
    regions: tuple[Region, ...]
    volumes_ml: Mapping[str, float]


@cache
def _painted() -> _Body:
    """Paint the anatomy once; every patient has the same body."""
    from fusin.imaging.phantom_anatomy import LesionPlan, anatomy, tissues
    from fusin.imaging.phantom_kernels import blend
    from fusin.imaging.phantom_paint import paint_ct
    from fusin.imaging.phantom_shapes import Solid, coverage_of, primitives_of

    spect, grid = _grids()
    rows = therapy_facts()["lesion"]
    plans = [
        LesionPlan(
            name=row["name"], site=row["site"], coded_site=row["coded_site"], tissue=tissues()["lesion_soft"],
            centre_mm=tuple(row["at"]), semi_axes_mm=tuple(row["semi"]), suv=0.0,
            solid=Solid.of(primitives_of([{"kind": "ellipsoid", **row}], {})),
        )
        for row in rows
    ]  # fmt: skip
    parts = anatomy("M", "up")
    solids = [(p.solid, "coarse" if p.coarse else "organ", *_owner(p)) for p in parts if not p.ct_only]
    solids += [(plan.solid, "lesion", plan.name, 1.0) for plan in plans]
    maps: dict[str, FloatVolume] = {"rest": np.zeros(grid.shape, np.float32)}
    for solid, samples, owner, weight in solids:
        cover = coverage_of(solid, grid, samples=_SAMPLES[samples])
        if cover is None:
            continue
        if owner not in maps:
            maps[owner] = np.zeros(grid.shape, np.float32)
        for name, values in maps.items():
            blend(values[cover.box], cover.share, weight if name == owner else 0.0)
    rng = np.random.default_rng(0)
    ct = Volume(values=paint_ct(parts, plans, grid, noise_hu=_CT_NOISE_HU, rng=rng), grid=grid, unit="[hnsf'U]")
    named = [
        *(n for n in therapy_facts()["compartment"] if n != "rest"),
        therapy_facts()["marrow"]["name"],
        *(p.name for p in plans),
    ]
    sites = {plan.name: {"code": "lesion", "site": plan.coded_site} for plan in plans}
    sites[therapy_facts()["marrow"]["name"]] = {"code": therapy_facts()["marrow"]["site"]}
    regions = tuple(_region(name, grid, maps[name], sites.get(name, {})) for name in named)
    volumes = {n: float(v.sum(dtype=np.float64)) * grid.voxel_volume_ml for n, v in maps.items()}
    return _Body(spect=spect, ct=ct, shares={n: _averaged(v) for n, v in maps.items()}, regions=regions,
                 volumes_ml=volumes)  # fmt: skip


def _grids() -> tuple[Grid, Grid]:
    """Grids of the SPECT and of the CT, which share their outer faces."""
    from fusin.imaging.dicom_headers import make_uid

    camera = therapy_facts()["spect"]
    slices, rows, columns = camera["shape"]
    step, frame = float(camera["spacing_mm"]), make_uid("therapy patient frame")
    out = []
    for split in (1, _CT_PER_SPECT):
        fine = step / split
        affine = np.diag([fine, fine, step, 1.0])
        affine[:3, 3] = [-0.5 * (columns * split - 1) * fine, -0.5 * (rows * split - 1) * fine,
                         camera["top_mm"] - (slices - 0.5) * step]  # fmt: skip
        out.append(Grid(shape=(slices, rows * split, columns * split), affine=affine, frame_of_reference_uid=frame))
    return out[0], out[1]


def _owner(part: Any) -> tuple[str, float]:
    """Compartment of a part of the anatomy, and the weight of its uptake there."""
    tissue, facts = part.tissue, therapy_facts()
    names = set(part.organs)
    if tissue.name == "marrow":
        measured = {f"vertebrae_{level}" for level in facts["marrow"]["vertebrae"]}
        return (facts["marrow"]["name"] if names & measured else OTHER_MARROW), 1.0
    if tissue.name in ("blood", "heart_muscle", "lung_vessel"):
        return "blood", 1.0
    if tissue.name in ("kidney", "liver", "spleen", "bladder_urine"):
        return next(name for name, row in facts["compartment"].items() if row.get("part") in names), 1.0
    return "rest", min(float(tissue.suv), _MOST_REST)


def _averaged(values: FloatVolume) -> FloatVolume:
    """Mean over the CT pixels of a SPECT pixel."""
    z, y, x = values.shape
    n = _CT_PER_SPECT
    return np.asarray(values.reshape(z, y // n, n, x // n, n).mean(axis=(2, 4)), np.float32)


def _region(name: str, grid: Grid, share: FloatVolume, attributes: dict[str, str]) -> Region:
    """Voxels that a compartment fills by more than half."""
    return Region.from_mask(name, grid, share > 0.5, source="digital therapy patient", attributes=attributes)


def _compartments(body: _Body, administered_mbq: float, uptake: float) -> dict[str, Compartment]:
    """Truth of every compartment."""
    facts = therapy_facts()
    kev = emissions(facts["study"]["nuclide"]).electron_kev_per_decay
    rows = {**facts["compartment"], **{row["name"]: {"kind": "lesion", **row} for row in facts["lesion"]}}
    found = {}
    for name, row in rows.items():
        per_g = row["electron_gy_per_gbq"] * administered_mbq / 1000.0 / (kev * _GY_G_PER_MBQ_H_KEV)
        grams = body.volumes_ml[name] * row["density_g_ml"]
        found[name] = _rising(name, row["kind"], body.volumes_ml[name], row["density_g_ml"], per_g * grams, row, uptake)
    marrow = facts["marrow"]
    per_g = marrow["gy_per_gbq"] * administered_mbq / 1000.0 / (marrow["absorbed_kev"] * _GY_G_PER_MBQ_H_KEV)
    active = marrow["marrow_volume_share"] * marrow["cellularity"] * marrow["density_g_ml"]
    for name in (marrow["name"], OTHER_MARROW):
        volume = body.volumes_ml[name]
        found[name] = _rising(
            name, "marrow", volume, marrow["density_region_g_ml"], per_g * active * volume, marrow, uptake
        )
    blood = facts["blood"]
    litres = body.volumes_ml["blood"] / 1000.0
    found["blood"] = Compartment(
        name="blood", kind="blood", volume_ml=body.volumes_ml["blood"], density_g_ml=blood["density_g_ml"],
        amplitudes_mbq=tuple(p / 100.0 * administered_mbq * litres for p in blood["percent_per_l"]),
        half_lives_h=tuple(blood["t_eff_h"]),
    )  # fmt: skip
    return found


def _rising(
    name: str, kind: str, volume_ml: float, density_g_ml: float, tia_mbq_h: float, row: Mapping[str, Any], uptake: float
) -> Compartment:
    """A compartment that takes up and then clears."""
    rise = row["uptake_h"] * uptake
    if rise >= row["t_eff_h"]:
        raise InputError("therapy patient", "uptake", uptake, f"uptake that is faster than the clearance of {name}")
    amplitude = tia_mbq_h * _LN2 / (row["t_eff_h"] - rise)
    amplitudes = (amplitude, -amplitude) if rise else (amplitude,)
    return Compartment(name=name, kind=kind, volume_ml=volume_ml, density_g_ml=density_g_ml, amplitudes_mbq=amplitudes,
                       half_lives_h=(row["t_eff_h"], rise) if rise else (row["t_eff_h"],))  # fmt: skip


def _measured(sharp: FloatVolume, body: _Body, blur: float, noise: float, rng: np.random.Generator) -> FloatVolume:
    """Blur and noise of a camera."""
    from fusin.imaging.phantom_paint import add_pet_noise

    camera = therapy_facts()["spect"]
    image = _camera(sharp, body.spect, blur)
    unit = np.float32(camera["noise_mbq_ml"])
    scaled = np.ascontiguousarray(image / unit)
    add_pet_noise(scaled, body.spect.spacing_mm, noise=noise, fwhm_mm=float(camera["noise_fwhm_mm"]), rng=rng)
    return scaled * unit


def _camera(sharp: FloatVolume, grid: Grid, blur: float) -> FloatVolume:
    """Blur that grows towards the middle of the body; activity is kept but for what leaves the field of view."""
    from fusin.imaging.phantom_paint import blurred

    if blur == 0.0:
        return sharp
    camera = therapy_facts()["spect"]
    _, rows, columns = grid.shape
    y = grid.affine[1, 3] + grid.affine[1, 1] * np.arange(rows)
    x = grid.affine[0, 3] + grid.affine[0, 0] * np.arange(columns)
    depth = np.hypot(y[:, None], x[None, :]) / float(camera["surface_radius_mm"])
    outer = np.minimum(depth, 1.0).astype(np.float32)[None]
    wide = blurred(sharp * (1 - outer), grid.spacing_mm, blur * float(camera["fwhm_centre_mm"]))
    narrow = blurred(sharp * outer, grid.spacing_mm, blur * float(camera["fwhm_surface_mm"]))
    return np.asarray(wide + narrow, np.float32)


@cache
def _recovery(blur: float) -> Mapping[str, float]:
    """Apparent content of an insert within its outline, over the true one, in an even background."""
    body, camera, lesions = _painted(), therapy_facts()["spect"], {row["name"] for row in therapy_facts()["lesion"]}
    filled = np.minimum(sum(np.minimum(v, 1.0) for v in body.shares.values()), 1.0)
    found = {}
    for region in body.regions:
        own = body.shares[region.name]
        ratio = float(camera["lesion_to_background" if region.name in lesions else "organ_to_background"])
        image = _camera(np.asarray(own + (filled - own) / ratio, np.float32), body.spect, blur)
        seen = float((image * _averaged(region.mask().astype(np.float32))).sum(dtype=np.float64))
        found[region.name] = seen / float(own.sum(dtype=np.float64))
    return found


def _samples(blood: Compartment, rng: np.random.Generator) -> tuple[tuple[float, float], ...]:
    facts = therapy_facts()["study"]
    times: Sequence[float] = facts["blood_times_h"]
    u = float(facts["blood_u_percent"]) / 100.0
    return tuple(
        (float(t), blood.activity_mbq(t) / blood.volume_ml * (1.0 + u * float(rng.standard_normal()))) for t in times
    )
