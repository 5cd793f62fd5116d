"""The digital patient: a whole-body PET/CT whose every organ and lesion is known.

An anatomical phantom of analytic shapes (``phantom.toml``) is painted on a PET grid and on a CT grid that share one
frame of reference. Voxels on a surface are supersampled, so a voxel holds the share of each tissue in it. The PET is
blurred by the point-spread function and given noise that keeps every expectation; the CT is given noise. The truth
(organ labels, lesions with analytic volume and planted uptake) comes with the images.

    >>> patient = make_patient(spacing_mm=(8.0, 8.0, 8.0), seed=1)
    >>> patient.pet.unit, len(patient.lesions)
    ('g/ml{SUVbw}', 11)
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError
from fusin.imaging.volume import Grid, Region, Volume

if TYPE_CHECKING:
    from pydicom import Dataset

    from fusin.imaging.phantom_anatomy import Arms, LesionPlan, Sex

__all__ = [
    "TRUTH_ORGANS",
    "Acquisition",
    "DigitalPatient",
    "Subject",
    "TrueLesion",
    "WrittenPatient",
    "make_patient",
    "write_patient",
]

# The usual fields of view: PET bore 81 cm, CT 50 cm, from above the vertex to the middle of the thigh.
_PET_SPACING_MM = (4.0728, 4.0728, 3.0)
_CT_PIXEL_MM = 0.9766
_PET_WIDTH_MM = 814.56
_CT_WIDTH_MM = 500.0
_LENGTH_MM = 1002.0
_TOP_MM = 17.0
_BED_MM = 160.0
_BED_SECONDS = 150.0
_CT_BEFORE_PET = timedelta(minutes=4)

TRUTH_ORGANS = (
    "adrenal_gland_left",
    "adrenal_gland_right",
    "aorta",
    "brain",
    "heart",
    "kidney_left",
    "kidney_right",
    "liver",
    "spleen",
    "urinary_bladder",
    "vertebrae_L3",
    "vertebrae_L4",
    "waldeyer_ring",
)
"""Organs that `write_patient` writes by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who was scanned, and what was injected; nobody real.

    Attributes
    ----------
    name, identifier : DICOM person name and ID
    weight_kg, height_m : body size
    birth_date : date of birth
    injected_mbq : activity at `injected_at`
    injected_at, scan_start : naive clock times of injection and of the first bed position
    nuclide, radiopharmaceutical : what was injected
    """

    name: str = "Digital^Patient"
    identifier: str = "FUSIN-PHANTOM"
    weight_kg: float = 65.0
    height_m: float = 1.76
    birth_date: date = date(1961, 5, 4)
    injected_mbq: float = 152.0
    injected_at: datetime = datetime(2024, 3, 12, 9, 4)
    scan_start: datetime = datetime(2024, 3, 12, 10, 4)
    nuclide: str = "Ga-68"
    radiopharmaceutical: str = "Pentixafor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquisition:
    """How the images are degraded.

    Attributes
    ----------
    psf_fwhm_mm : width of the Gaussian point-spread function of the PET; 0 for none
    noise : standard deviation of a PET voxel of SUV 1; the variance is proportional to the SUV; 0 for none
    noise_fwhm_mm : width of the Gaussian that correlates the PET noise
    ct_noise_hu : standard deviation of the CT noise; 0 for none
    """

    psf_fwhm_mm: float = 5.5
    noise: float = 0.13
    noise_fwhm_mm: float = 5.5
    ct_noise_hu: float = 12.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise InputError("phantom", name, value, "a finite number, 0 or more")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TrueLesion:
    """One planted lesion.

    Attributes
    ----------
    name, site : short name and anatomical site in words
    centre_mm, semi_axes_mm : (3,) LPS millimetres of the ellipsoid
    volume_ml : analytic volume
    suv : planted SUVbw, uniform inside; the image shows less where blurring takes from it
    region : voxels of the PET grid that lie at least half inside
    """

    name: str
    site: str
    centre_mm: tuple[float, float, float]
    semi_axes_mm: tuple[float, float, float]
    volume_ml: float
    suv: float
    region: Region


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DigitalPatient:
    """Images and truth.

    Attributes
    ----------
    pet : SUVbw, float32
    ct : Hounsfield units, int16
    organs : voxels of the PET grid more than half filled by the organ, by name as TotalSegmentator spells it;
        ``attributes["occupancy_ml"]`` is the volume without rounding to voxels, lesions taken out
    lesions : what was planted
    sex, arms : anatomy chosen
    subject : patient and injection facts
    acquisition : blur and noise
    seed : of the noise
    """

    pet: Volume
    ct: Volume
    organs: Mapping[str, Region]
    lesions: tuple[TrueLesion, ...]
    sex: Sex
    arms: Arms
    subject: Subject
    acquisition: Acquisition
    seed: int

    @property
    def weight_kg(self) -> float:
        """Body weight [kg]."""
        return self.subject.weight_kg

    @property
    def height_m(self) -> float:
        """Body height [m]."""
        return self.subject.height_m


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenPatient:
    """Where a patient was written.

    Attributes
    ----------
    folder : holds everything below
    pet, ct : folders with one DICOM file per slice
    seg, rtstruct : lesions as DICOM Segmentation and RT Structure Set; None for a patient without lesions
    organs : normal organs as DICOM Segmentation; None when none was asked for
    """

    folder: Path
    pet: Path
    ct: Path
    seg: Path | None
    rtstruct: Path | None
    organs: Path | None


def make_patient(
    *,
    seed: int = 0,
    spacing_mm: tuple[float, float, float] = _PET_SPACING_MM,
    shape: tuple[int, int, int] | None = None,
    slices: int | None = None,
    ct_spacing_mm: tuple[float, float, float] | None = None,
    ct_shape: tuple[int, int, int] | None = None,
    adenoma: bool = False,
    lesions: bool = True,
    sex: Sex = "M",
    arms: Arms = "down",
    subject: Subject | None = None,
    acquisition: Acquisition | None = None,
) -> DigitalPatient:
    """Build a patient from the vertex to the middle of the thigh.

    Parameters
    ----------
    seed : of the PET and CT noise; equal arguments give equal voxels
    spacing_mm : PET voxel along x, y, z [mm]
    shape : (slices, rows, columns) of the PET; by default 814.56 mm across and 1002 mm long
    slices : PET slices counted from the vertex downwards; overrides the length of `shape`
    ct_spacing_mm : CT voxel; by default 0.9766 x 0.9766 mm for the default PET voxel or a finer one and half the
        PET pixel for a coarser one, with the slices of the PET
    ct_shape : (slices, rows, columns) of the CT; by default 500 mm across and as long as the PET
    adenoma : plant a left aldosterone-producing adenoma instead of the lymphoma lesions
    lesions : False for a patient without any lesion
    sex, arms : anatomy
    subject, acquisition : patient facts, and blur and noise; the defaults of their classes

    Raises
    ------
    InputError
        For a grid without voxels, an adenoma without lesions, or an unknown sex or position of the arms.
    """
    from fusin.imaging.phantom_anatomy import anatomy, lesion_plans
    from fusin.imaging.phantom_paint import paint_ct, paint_pet

    if adenoma and not lesions:
        raise InputError("phantom", "adenoma", "adenoma=True with lesions=False", "one of them")
    subject, acquisition = subject or Subject(), acquisition or Acquisition()
    frame = _frame_uid(subject, spacing_mm, seed)
    pet_grid = _grid(spacing_mm, shape, slices, _PET_WIDTH_MM, _LENGTH_MM, frame)
    length = pet_grid.shape[0] * spacing_mm[2]
    ct_grid = _grid(ct_spacing_mm or _ct_spacing(spacing_mm), ct_shape, None, _CT_WIDTH_MM, length, frame)
    parts = anatomy(sex, arms)
    plans = lesion_plans("adenoma" if adenoma else "lymphoma") if lesions else ()
    pet_rng, ct_rng = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(2))
    activity, organs, regions = paint_pet(parts, plans, pet_grid)
    activity = _degraded(activity, spacing_mm, acquisition, pet_rng)
    hounsfield = paint_ct(parts, plans, ct_grid, noise_hu=acquisition.ct_noise_hu, rng=ct_rng)
    return DigitalPatient(
        pet=Volume(values=activity, grid=pet_grid, unit="g/ml{SUVbw}"),
        ct=Volume(values=hounsfield, grid=ct_grid, unit="[hnsf'U]"),
        organs=organs,
        lesions=tuple(_true_lesion(plan, regions[plan.name]) for plan in plans),
        sex=sex,
        arms=arms,
        subject=subject,
        acquisition=acquisition,
        seed=seed,
    )


def _degraded(
    activity: NDArray[np.float32], spacing_mm: Sequence[float], acquisition: Acquisition, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Blur, then noise."""
    from fusin.imaging.phantom_paint import add_pet_noise, blurred

    image = blurred(activity, spacing_mm, acquisition.psf_fwhm_mm)
    add_pet_noise(image, spacing_mm, noise=acquisition.noise, fwhm_mm=acquisition.noise_fwhm_mm, rng=rng)
    return image


def _true_lesion(plan: LesionPlan, region: Region) -> TrueLesion:
    return TrueLesion(
        name=plan.name,
        site=plan.site,
        centre_mm=plan.centre_mm,
        semi_axes_mm=plan.semi_axes_mm,
        volume_ml=plan.volume_ml,
        suv=plan.suv,
        region=region,
    )


def _frame_uid(subject: Subject, spacing_mm: Sequence[float], seed: int) -> str:
    from fusin.imaging.dicom_headers import make_uid

    return make_uid(
        "phantom frame", subject.identifier, subject.scan_start.isoformat(), str(tuple(spacing_mm)), str(seed)
    )


def _ct_spacing(pet: tuple[float, float, float]) -> tuple[float, float, float]:
    usual = min(pet[0], pet[1]) <= _PET_SPACING_MM[0]
    return (_CT_PIXEL_MM, _CT_PIXEL_MM, pet[2]) if usual else (pet[0] / 2, pet[1] / 2, pet[2])


def _grid(
    spacing: tuple[float, float, float], shape: tuple[int, int, int] | None, slices: int | None,
    width_mm: float, length_mm: float, frame: str,
) -> Grid:  # fmt: skip
    """Axis-aligned grid, centred left to right and front to back, whose upper face lies above the vertex."""
    if min(spacing) <= 0.0:
        raise InputError("phantom", "spacing_mm", spacing, "three positive numbers")
    count = shape or (round(length_mm / spacing[2]), round(width_mm / spacing[1]), round(width_mm / spacing[0]))
    count = (slices if slices is not None else count[0], count[1], count[2])
    if min(count) < 1:
        raise InputError("phantom", "shape", count, "at least one voxel along each axis")
    nz, ny, nx = count
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = [-0.5 * (nx - 1) * spacing[0], -0.5 * (ny - 1) * spacing[1], _TOP_MM - (nz - 0.5) * spacing[2]]
    return Grid(shape=count, affine=affine, frame_of_reference_uid=frame)


def write_patient(
    folder: Path | str, patient: DigitalPatient, *, dialect: str = "SIEMENS", organs: Sequence[str] = TRUTH_ORGANS
) -> WrittenPatient:
    """Write a patient as DICOM: PET and CT series, and the truth as SEG and RTSTRUCT.

    The PET is written in Bq/mL, decay-corrected to the start of the scan, as scanners do. Everything is built beside
    the folder and moved into place at the end.

    Parameters
    ----------
    folder : must not exist or be empty
    dialect : ``"SIEMENS"``, ``"GE"``, ``"PHILIPS"`` or ``"SYNTHETIC"``
    organs : names of organs to write; those without a voxel in the scan are left out

    Raises
    ------
    InputError
        For a folder that holds something, an unknown organ or dialect.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise InputError(str(folder), "folder", "something in it", "a new or an empty folder")
    unknown = sorted(set(organs) - set(patient.organs))
    if unknown:
        raise InputError("phantom", "organs", unknown, f"names among {sorted(patient.organs)}")
    beside = folder.with_name(f"{folder.name}.writing")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        pet, ct = beside / "PET", beside / "CT"
        headers = _write_images(pet, ct, patient, dialect)
        kept = [patient.organs[name] for name in organs if patient.organs[name].voxels]
        seg, rtstruct, organ_file = _write_truth(beside, patient, headers, kept)
        if folder.exists():
            folder.rmdir()
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return WrittenPatient(
        folder=folder,
        pet=folder / "PET",
        ct=folder / "CT",
        seg=_moved(seg, folder),
        rtstruct=_moved(rtstruct, folder),
        organs=_moved(organ_file, folder),
    )


def _moved(name: str | None, folder: Path) -> Path | None:
    return folder / name if name else None


def _write_images(pet: Path, ct: Path, patient: DigitalPatient, dialect: str) -> list[Dataset]:
    """Write both series; return the PET headers, which the truth refers to."""
    from pydicom import dcmread

    from fusin.imaging.dicom_write import InjectionHeader, StudyHeader, write_ct_series, write_pet_series
    from fusin.nuclides import nuclide

    who = patient.subject
    study = StudyHeader(
        patient_name=who.name,
        patient_id=who.identifier,
        sex=patient.sex,
        weight_kg=who.weight_kg,
        height_m=who.height_m,
        birth_date=who.birth_date,
        frame_of_reference_uid=patient.pet.frame_of_reference_uid,
        study_datetime=who.scan_start - _CT_BEFORE_PET,
        study_description="Digital patient, PET/CT whole body",
    )
    injection = InjectionHeader(
        activity_mbq=who.injected_mbq,
        time=who.injected_at,
        half_life_s=nuclide(who.nuclide).half_life_s,
        nuclide=who.nuclide,
        radiopharmaceutical=who.radiopharmaceutical,
    )
    seed = patient.pet.frame_of_reference_uid
    write_ct_series(ct, patient.ct, study=study, seed_uid=seed, dialect=dialect)
    beds = max(1, math.ceil(patient.pet.shape[0] * patient.pet.spacing_mm[2] / _BED_MM))
    paths = write_pet_series(
        pet, patient.pet, study=study, injection=injection, acquisition_start=who.scan_start, seed_uid=seed,
        dialect=dialect, frame_duration_s=_BED_SECONDS, beds=beds, description="PET WB AC (digital patient)",
    )  # fmt: skip
    return [dcmread(path, stop_before_pixels=True) for path in paths]


def _write_truth(
    folder: Path, patient: DigitalPatient, headers: Sequence[Dataset], organs: Sequence[Region]
) -> tuple[str | None, str | None, str | None]:
    """Write what is known; return the names of the lesion SEG, the RTSTRUCT and the organ SEG."""
    from fusin.imaging.rtstruct import write_rtstruct
    from fusin.imaging.segment_objects import write_seg
    from fusin.provenance import NoticeLog

    log, created = NoticeLog(), patient.subject.scan_start
    names: list[str | None] = [None, None, None]
    regions = [lesion.region for lesion in patient.lesions if lesion.region.voxels]
    if regions:
        write_seg(
            folder / "SEG_lesions.dcm", regions, source=headers, log=log, created=created, series_number=901,
            series_description="Truth: lesions of the digital patient", algorithm_name="fusin phantom",
        )  # fmt: skip
        write_rtstruct(
            folder / "RTSTRUCT_lesions.dcm", regions, source=headers, log=log, created=created, label="truth",
            description="Truth: lesions of the digital patient",
        )  # fmt: skip
        names[:2] = "SEG_lesions.dcm", "RTSTRUCT_lesions.dcm"
    if organs:
        write_seg(
            folder / "SEG_organs.dcm", organs, source=headers, log=log, created=created, series_number=902,
            series_description="Truth: organs of the digital patient", algorithm_name="fusin phantom",
        )  # fmt: skip
        names[2] = "SEG_organs.dcm"
    return names[0], names[1], names[2]
