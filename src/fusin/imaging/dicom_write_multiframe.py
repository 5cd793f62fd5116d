"""Writers of multi-frame images: Enhanced PET, Legacy Converted Enhanced PET, and NM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import EnhancedPETImageStorage, ExplicitVRLittleEndian, NuclearMedicineImageStorage

from fusin.errors import InputError
from fusin.imaging.dicom_headers import (
    InjectionHeader,
    PlaneGeometry,
    SliceTags,
    StudyHeader,
    TagMap,
    apply_tags,
    code_item,
    common_modules,
    ds_text,
    dt_text,
    make_uid,
    nuclide_code,
    pixel_module,
    plane_geometry,
    save_instance,
    series_frame_of_reference,
)
from fusin.imaging.pet_encoding import (
    DecayReference,
    PetFrames,
    Quantised,
    SuvType,
    concentration_at_start,
    decay_factors,
    encode_units,
    pet_frames,
    quantise,
)
from fusin.imaging.volume import FloatArray, Volume

__all__ = ["write_enhanced_pet", "write_legacy_enhanced_pet", "write_nm"]

# CID 84 and 85: unit code of each SUV type.
_SUV_UNITS = {
    "": ("g/ml{SUVbw}", "Standardized Uptake Value body weight"),
    "BW": ("g/ml{SUVbw}", "Standardized Uptake Value body weight"),
    "LBM": ("g/ml{SUVlbm}", "Standardized Uptake Value lean body mass (James)"),
    "LBMJAMES128": ("g/ml{SUVlbm(James128)}", "Standardized Uptake Value lean body mass (James 128 multiplier)"),
    "LBMJANMA": ("g/ml{SUVlbm(Janma)}", "Standardized Uptake Value lean body mass (Janma)"),
    "IBW": ("g/ml{SUVibw}", "Standardized Uptake Value ideal body weight"),
    "BSA": ("cm2/ml{SUVbsa}", "Standardized Uptake Value body surface area"),
}


def _sequence(**attributes: Any) -> DicomSequence:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return DicomSequence([item])


def _series_and_equipment(ds: Dataset, *, moment: datetime, description: str, number: int, uid: str) -> None:
    ds.SeriesDate, ds.SeriesTime = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S.%f")
    ds.ContentDate, ds.ContentTime = ds.SeriesDate, ds.SeriesTime
    ds.SeriesInstanceUID, ds.SeriesNumber, ds.SeriesDescription = uid, number, description
    ds.InstanceNumber = 1
    ds.SOPInstanceUID = make_uid("instance", uid)
    ds.Manufacturer, ds.ManufacturerModelName = "Synthetic", "Synthetic scanner"
    ds.DeviceSerialNumber, ds.SoftwareVersions = "1", "1"
    ds.PositionReferenceIndicator = ""


def write_enhanced_pet(
    path: Path,
    volume: Volume,
    *,
    study: StudyHeader,
    injection: InjectionHeader,
    acquisition_start: datetime,
    seed_uid: str,
    units: Literal["BQML", "GML", "CM2ML"] = "BQML",
    suv_type: SuvType = "BW",
    decay: DecayReference = "START",
    frame_duration_s: float = 180.0,
    beds: int = 1,
    description: str = "PET AC enhanced",
    series_number: int = 5,
    slopes: float | Sequence[float] | None = None,
    tags: TagMap | None = None,
    injection_tags: TagMap | None = None,
    frame_content_tags: SliceTags | None = None,
) -> Path:
    """Write one Enhanced PET Image with one frame per slice and a slope per frame.

    The volume and the decay reference mean what they mean in ``write_pet_series``; DecayCorrected
    (0018,9758) is YES with the DecayCorrectionDateTime (0018,9701) for START and ADMIN, and NO for
    NONE. The standard wants the dose of this object in MBq.

    Parameters
    ----------
    path : file to write; its folder is created when absent
    volume ... slopes : see ``write_pet_series``
    tags, injection_tags : attributes to set or delete, at the top and in the radiopharmaceutical item
    frame_content_tags : frame index to changes of its Frame Content item

    Raises
    ------
    InputError
        As ``write_pet_series``.
    """
    frames = pet_frames(volume.shape[0], injection, start=acquisition_start, duration_s=frame_duration_s, beds=beds)
    at_start = concentration_at_start(volume, study, injection, start=acquisition_start)
    code = encode_units(at_start, study, injection, frames, units=units, suv_type=suv_type, decay=decay)
    coded = quantise(code.values, slopes)
    ds = common_modules(study, sop_class=EnhancedPETImageStorage, modality="PT")
    uid = make_uid("series", seed_uid, study.study_uid, str(series_number))
    _series_and_equipment(ds, moment=acquisition_start, description=description, number=series_number, uid=uid)
    ds.FrameOfReferenceUID = series_frame_of_reference(study, volume.grid)
    pixel_module(ds, *volume.shape[1:], signed=True)
    _enhanced_pet_image(ds, frames, decay, injection, injection_tags)
    unit = _SUV_UNITS[code.suv_type] if units != "BQML" else ("Bq/ml", "Becquerels/milliliter")
    ds.SharedFunctionalGroupsSequence = DicomSequence([_shared_groups(plane_geometry(volume.grid))])
    factors = None if decay == "NONE" else decay_factors(decay, frames, injection)
    ds.PerFrameFunctionalGroupsSequence = _per_frame_groups(
        volume, coded, frames, factors=factors, unit=unit, frame_tags=frame_content_tags
    )
    ds.NumberOfFrames = volume.shape[0]
    apply_tags(ds, tags)
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_instance(ds, path, coded.stored, ExplicitVRLittleEndian)


def _enhanced_pet_image(
    ds: Dataset, frames: PetFrames, decay: DecayReference, injection: InjectionHeader, injection_tags: TagMap | None
) -> None:
    ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.PixelPresentation, ds.VolumetricProperties, ds.VolumeBasedCalculationTechnique = "MONOCHROME", "VOLUME", "NONE"
    ds.ContentQualification, ds.BurnedInAnnotation, ds.LossyImageCompression = "RESEARCH", "NO", "00"
    ds.PresentationLUTShape = "IDENTITY"
    ds.AcquisitionDateTime = dt_text(frames.scan_start)
    last = len(frames.offset_s) - 1
    ds.AcquisitionDuration = float(frames.offset_s[last] + frames.duration_s)
    ds.CardiacSynchronizationTechnique = ds.RespiratoryMotionCompensationTechnique = "NONE"
    ds.AcquisitionContextSequence = DicomSequence([])
    ds.ViewCodeSequence = DicomSequence([code_item("62824007", "SCT", "Transverse")])
    ds.DecayCorrected = "NO" if decay == "NONE" else "YES"
    if decay != "NONE":
        ds.DecayCorrectionDateTime = dt_text(frames.scan_start if decay == "START" else injection.time)
    for keyword in (
        "AttenuationCorrected",
        "ScatterCorrected",
        "DeadTimeCorrected",
        "RandomsCorrected",
        "SensitivityCalibrated",
        "DetectorNormalizationCorrection",
    ):
        setattr(ds, keyword, "YES")
    ds.NonUniformRadialSamplingCorrected = ds.GantryMotionCorrected = ds.PatientMotionCorrected = (
        ds.CountLossNormalizationCorrected
    ) = "NO"
    ds.AttenuationCorrectionSource, ds.AttenuationCorrectionTemporalRelationship = "CT", "SEPARATE"
    ds.ScatterCorrectionMethod, ds.RandomsCorrectionMethod = "Model-based", "DLYD"
    _enhanced_acquisition(ds)
    _enhanced_dimensions(ds)
    item = Dataset()
    item.RadiopharmaceuticalAgentNumber = 1
    item.RadionuclideCodeSequence = DicomSequence([nuclide_code(injection.nuclide)])
    item.AdministrationRouteCodeSequence = DicomSequence([code_item("47625008", "SCT", "Intravenous route")])
    item.RadiopharmaceuticalStartDateTime = dt_text(injection.time)
    item.RadionuclideTotalDose = ds_text(injection.activity_mbq)
    item.RadionuclideHalfLife = ds_text(injection.half_life_s)
    item.RadionuclidePositronFraction = "1"
    item.RadiopharmaceuticalSpecificActivity = None
    item.Radiopharmaceutical = injection.radiopharmaceutical
    item.RadiopharmaceuticalCodeSequence = DicomSequence(
        [code_item(injection.radiopharmaceutical.upper()[:16], "99FUSIN", injection.radiopharmaceutical)]
    )
    apply_tags(item, injection_tags, where="injection_tags")
    ds.RadiopharmaceuticalInformationSequence = DicomSequence([item])


def _enhanced_acquisition(ds: Dataset) -> None:
    ds.TypeOfDetectorMotion, ds.CollimatorType, ds.CountsSource = "STATIONARY", "NONE", "EMISSION"
    ds.TableMotion, ds.TimeOfFlightInformationUsed = "STATIC", "FALSE"
    ds.AcquisitionStartCondition, ds.AcquisitionTerminationCondition = "MANU", "TIME"
    ds.TerminationTimeThreshold = ds.AcquisitionDuration
    ds.DetectorGeometry = "CYLINDRICAL_RING"
    ds.TransverseDetectorSeparation, ds.AxialDetectorDimension = 842.0, 218.0
    ds.CoincidenceWindowWidth = 4.1
    ds.EnergyWindowRangeSequence = _sequence(EnergyWindowLowerLimit="435", EnergyWindowUpperLimit="650")


def _enhanced_dimensions(ds: Dataset) -> None:
    uid = make_uid("dimensions", ds.SOPInstanceUID)
    ds.DimensionOrganizationSequence = _sequence(DimensionOrganizationUID=uid)
    items = []
    for group, pointer in ((0x00209111, 0x00209056), (0x00209111, 0x00209057)):
        item = Dataset()
        item.DimensionOrganizationUID = uid
        item.DimensionIndexPointer, item.FunctionalGroupPointer = pointer, group
        items.append(item)
    ds.DimensionIndexSequence = DicomSequence(items)


def _shared_groups(geometry: PlaneGeometry) -> Dataset:
    shared = Dataset()
    spacing = ds_text(abs(geometry.slice_spacing))
    shared.PixelMeasuresSequence = _sequence(
        PixelSpacing=[ds_text(s) for s in geometry.pixel_spacing], SliceThickness=spacing, SpacingBetweenSlices=spacing
    )
    shared.PlaneOrientationSequence = _sequence(ImageOrientationPatient=[ds_text(c) for c in geometry.orientation])
    shared.FrameAnatomySequence = _sequence(
        FrameLaterality="U", AnatomicRegionSequence=DicomSequence([code_item("38266002", "SCT", "Entire body")])
    )
    shared.PETFrameTypeSequence = _sequence(
        FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="NONE",
    )
    shared.RadiopharmaceuticalUsageSequence = _sequence(RadiopharmaceuticalAgentNumber=1)
    shared.PETFrameAcquisitionSequence = _sequence(
        TableHeight=100.0, GantryDetectorTilt=0.0, GantryDetectorSlew=0.0, DataCollectionDiameter=700.0
    )
    shared.PETPositionSequence = _sequence(
        TablePosition=0.0,
        DataCollectionCenterPatient=[0.0, 0.0, 0.0],
        ReconstructionTargetCenterPatient=[0.0, 0.0, 0.0],
    )
    shared.PETReconstructionSequence = _sequence(
        ReconstructionType="3D",
        ReconstructionAlgorithm="MLEM",
        IterativeReconstructionMethod="YES",
        NumberOfIterations=4,
        NumberOfSubsets=5,
        ReconstructionDiameter=700.0,
    )
    return shared


def _per_frame_groups(
    volume: Volume,
    coded: Quantised,
    frames: PetFrames,
    *,
    factors: FloatArray | None,
    unit: tuple[str, str],
    frame_tags: SliceTags | None,
) -> DicomSequence:
    positions = plane_geometry(volume.grid).positions
    groups = []
    for index, slope in enumerate(coded.slopes):
        group = Dataset()
        content = Dataset()
        content.FrameReferenceDateTime = dt_text(frames.mean(index))
        content.FrameAcquisitionDateTime = dt_text(frames.start(index))
        content.FrameAcquisitionDuration = frames.duration_s * 1000.0
        content.FrameAcquisitionNumber = 1
        content.TemporalPositionIndex = 1
        content.StackID, content.InStackPositionNumber = "1", index + 1
        content.DimensionIndexValues = [1, index + 1]
        if frame_tags is not None:
            apply_tags(content, frame_tags(index), where="frame_content_tags")
        group.FrameContentSequence = DicomSequence([content])
        group.PETFrameCorrectionFactorsSequence = DicomSequence(
            [_correction_factors(None if factors is None else float(factors[index]))]
        )
        group.PlanePositionSequence = _sequence(ImagePositionPatient=[ds_text(c) for c in positions[index]])
        group.PixelValueTransformationSequence = _sequence(RescaleIntercept="0", RescaleSlope=slope, RescaleType="US")
        group.RealWorldValueMappingSequence = DicomSequence([_real_world_value(coded.stored[index], slope, unit)])
        top = max(float(coded.stored[index].max()) * float(slope), 1e-3)
        group.FrameVOILUTSequence = _sequence(WindowCenter=ds_text(top / 2.0), WindowWidth=ds_text(top))
        groups.append(group)
    return DicomSequence(groups)


def _correction_factors(decay_factor: float | None) -> Dataset:
    item = Dataset()
    item.PrimaryPromptsCountsAccumulated, item.SliceSensitivityFactor = 100_000, 1.0
    item.ScatterFractionFactor, item.DeadTimeFactor = 0.3, 1.0
    if decay_factor is not None:
        item.DecayFactor = format(decay_factor, ".9g")
    return item


def _real_world_value(stored: NDArray[Any], slope: str, unit: tuple[str, str]) -> Dataset:
    item = Dataset()
    low, high = int(stored.min()), int(stored.max())
    vr = "SS" if stored.dtype.kind == "i" else "US"
    item.add_new(0x00409216, vr, low)
    item.add_new(0x00409211, vr, high)
    item.RealWorldValueIntercept, item.RealWorldValueSlope = 0.0, float(slope)
    item.LUTExplanation, item.LUTLabel = unit[1], unit[0][:16]
    item.MeasurementUnitsCodeSequence = DicomSequence([code_item(unit[0], "UCUM", unit[1])])
    return item


def write_legacy_enhanced_pet(path: Path, slices: Sequence[Dataset], *, seed_uid: str, series_number: int = 6) -> Path:
    """Convert a classic PET series into one Legacy Converted Enhanced PET Image.

    Parameters
    ----------
    path : file to write; its folder is created when absent
    slices : data sets of one classic PET series, with pixel data
    seed_uid : UIDs depend on it and on the series only
    series_number : of the new series
    """
    from highdicom.legacy import LegacyConvertedEnhancedPETImage

    uid = make_uid("legacy", seed_uid, str(slices[0].SeriesInstanceUID))
    converted = LegacyConvertedEnhancedPETImage(
        legacy_datasets=list(slices),
        series_instance_uid=uid,
        series_number=series_number,
        sop_instance_uid=make_uid("instance", uid),
        instance_number=1,
    )
    # The library stamps the wall clock and a random UID; without them equal input gives equal bytes.
    converted.InstanceCreationDate, converted.InstanceCreationTime = slices[0].ContentDate, slices[0].ContentTime
    for equipment in converted.ContributingEquipmentSequence:
        equipment.pop("ContributionDateTime", None)
    for item in (*converted.DimensionOrganizationSequence, *converted.DimensionIndexSequence):
        item.DimensionOrganizationUID = make_uid("dimensions", uid)
    path.parent.mkdir(parents=True, exist_ok=True)
    converted.save_as(path, enforce_file_format=True)
    return path


@dataclass(frozen=True, slots=True)
class _NmKind:
    image_type: tuple[str, str]
    increments: tuple[int, ...]


# A reconstruction does not know its projections; the number is that of a common SPECT protocol.
_RECONSTRUCTED_VIEWS = 64

_NM_KINDS = {
    "RECON TOMO": _NmKind(("DERIVED", "PRIMARY"), (0x00540080,)),
    "TOMO": _NmKind(("ORIGINAL", "PRIMARY"), (0x00540010, 0x00540020, 0x00540050, 0x00540090)),
}


def write_nm(
    path: Path,
    volume: Volume,
    *,
    study: StudyHeader,
    injection: InjectionHeader,
    acquisition_start: datetime,
    seed_uid: str,
    kind: Literal["RECON TOMO", "TOMO"] = "RECON TOMO",
    frame_duration_s: float = 20.0,
    description: str = "SPECT",
    series_number: int = 7,
    slope: float | None = None,
    tags: TagMap | None = None,
    injection_tags: TagMap | None = None,
) -> Path:
    """Write a multi-frame NM image: a reconstructed SPECT or a set of projections.

    Parameters
    ----------
    path : file to write; its folder is created when absent
    volume : (slices or views, rows, columns), not negative; unit ``"{counts}"`` stores rounded
        counts, ``"Bq/ml"`` stores integers with one Real World Value slope
    study, injection : patient, study and injection
    acquisition_start : start of the acquisition
    seed_uid : UIDs depend on it, on the study and on the series number only
    kind : third value of the image type
    frame_duration_s : counting time of a view in seconds
    slope : real world value of one stored unit for ``"Bq/ml"``; default: maximum over 65535
    tags, injection_tags : as in ``write_pet_series``

    Raises
    ------
    InputError
        For another unit, and for values outside the 16 bits.
    """
    values = np.asarray(volume.values, dtype=np.float64)
    if volume.unit not in ("{counts}", "Bq/ml"):
        raise InputError("NM volume", "unit", volume.unit, "'{counts}' or 'Bq/ml'")
    per_unit = 1.0 if volume.unit == "{counts}" else slope or float(values.max()) / 65535.0 or 1.0
    stored = np.rint(values / per_unit)
    if not np.isfinite(stored).all() or stored.min() < 0.0 or stored.max() > 65535.0:
        raise InputError("NM volume", "stored value", (stored.min(), stored.max()), "0 to 65535; a larger slope")
    ds = common_modules(study, sop_class=NuclearMedicineImageStorage, modality="NM")
    uid = make_uid("series", seed_uid, study.study_uid, str(series_number))
    _series_and_equipment(ds, moment=acquisition_start, description=description, number=series_number, uid=uid)
    ds.FrameOfReferenceUID = series_frame_of_reference(study, volume.grid)
    _nm_image(ds, volume, kind, acquisition_start, frame_duration_s)
    _nm_isotope(ds, injection, injection_tags)
    if volume.unit == "Bq/ml":
        unit = ("Bq/ml", "Becquerels/milliliter")
        ds.RealWorldValueMappingSequence = DicomSequence(
            [_real_world_value(stored.astype(np.uint16), repr(per_unit), unit)]
        )
    apply_tags(ds, tags)
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_instance(ds, path, stored.astype(np.uint16), ExplicitVRLittleEndian)


def _nm_image(ds: Dataset, volume: Volume, kind: str, start: datetime, frame_duration_s: float) -> None:
    geometry = plane_geometry(volume.grid)
    count, rows, columns = volume.shape
    ds.ImageType = [*_NM_KINDS[kind].image_type, kind, "EMISSION"]
    ds.AcquisitionDate, ds.AcquisitionTime = start.strftime("%Y%m%d"), start.strftime("%H%M%S.%f")
    end = start + timedelta(seconds=frame_duration_s * count)
    ds.ContentDate, ds.ContentTime = end.strftime("%Y%m%d"), end.strftime("%H%M%S.%f")
    pixel_module(ds, rows, columns, signed=False)
    ds.PixelSpacing = [ds_text(s) for s in geometry.pixel_spacing]
    ds.SliceThickness = ds_text(abs(geometry.slice_spacing))
    ds.SpacingBetweenSlices = ds_text(geometry.slice_spacing)
    ds.NumberOfFrames = count
    ds.CountsAccumulated = int(np.rint(np.asarray(volume.values).sum())) if volume.unit == "{counts}" else None
    ds.BodyPartExamined = "WHOLEBODY"
    ds.PatientOrientationCodeSequence = DicomSequence([])
    ds.PatientGantryRelationshipCodeSequence = DicomSequence([])
    ds.FrameIncrementPointer = list(_NM_KINDS[kind].increments)
    detector = Dataset()
    detector.CollimatorGridName, detector.CollimatorType = "LEHR", "PARA"
    detector.ImageOrientationPatient = [ds_text(c) for c in geometry.orientation]
    detector.ImagePositionPatient = [ds_text(c) for c in geometry.positions[0]]
    ds.DetectorInformationSequence = DicomSequence([detector])
    ds.NumberOfDetectors = 1
    ds.NumberOfEnergyWindows = 1
    window = Dataset()
    window.EnergyWindowLowerLimit, window.EnergyWindowUpperLimit = "187.2", "228.8"
    ds.EnergyWindowInformationSequence = _sequence(
        EnergyWindowName="photopeak", EnergyWindowRangeSequence=DicomSequence([window])
    )
    if kind == "TOMO":
        ds.EnergyWindowVector = ds.DetectorVector = ds.RotationVector = [1] * count
        ds.AngularViewVector = list(range(1, count + 1))
        _nm_rotation(ds, count, frame_duration_s)
    else:
        ds.NumberOfSlices = count
        ds.SliceVector = list(range(1, count + 1))
        _nm_rotation(ds, _RECONSTRUCTED_VIEWS, frame_duration_s)


def _nm_rotation(ds: Dataset, views: int, frame_duration_s: float) -> None:
    ds.NumberOfRotations = 1
    rotation = Dataset()
    rotation.StartAngle, rotation.AngularStep = "0", ds_text(360.0 / views)
    rotation.RotationDirection, rotation.ScanArc = "CW", "360"
    rotation.ActualFrameDuration = round(frame_duration_s * 1000.0)
    rotation.RadialPosition = "250"
    rotation.NumberOfFramesInRotation = views
    ds.RotationInformationSequence = DicomSequence([rotation])
    ds.TypeOfDetectorMotion = "STEP AND SHOOT"


def _nm_isotope(ds: Dataset, injection: InjectionHeader, injection_tags: TagMap | None) -> None:
    item = Dataset()
    item.RadionuclideCodeSequence = DicomSequence([nuclide_code(injection.nuclide)])
    item.Radiopharmaceutical = injection.radiopharmaceutical
    item.RadiopharmaceuticalStartTime = injection.time.strftime("%H%M%S.%f")
    item.RadiopharmaceuticalStartDateTime = dt_text(injection.time)
    item.RadionuclideTotalDose = ds_text(injection.activity_mbq)
    item.RadionuclideHalfLife = ds_text(injection.half_life_s)
    apply_tags(item, injection_tags, where="injection_tags")
    ds.RadiopharmaceuticalInformationSequence = DicomSequence([item])
