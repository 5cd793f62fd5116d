"""Opening a study for quantification: the PET in SUV, its CT on the PET grid, and what both say of themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fusin.errors import FusinError
from fusin.imaging.audit import doubts
from fusin.imaging.instances import Tag
from fusin.imaging.resample import resample
from fusin.imaging.select_series import choose_ct, choose_pet
from fusin.imaging.series import Catalogue, Series, scan
from fusin.imaging.suv import SuvOptions, SuvPlan, apply_plan, plan_from_header
from fusin.imaging.suv_activity import header_nuclide
from fusin.imaging.suv_header import read_suv_header
from fusin.imaging.volume import Volume
from fusin.provenance import InputFile, NoticeLog, sha256_of
from fusin.quantification.protocols import DEFAULT_PROTOCOL, protocol

__all__ = ["Stage", "Study", "StudyOptions", "input_files", "open_study", "silent"]

Stage = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    """Show no progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOptions:
    """How a study is opened.

    Attributes
    ----------
    series : UID, number or description of the PET when there is a choice
    phase : 1-based time point of a 4-D series
    suv : choices of the SUV computation
    protocol : name of the protocol that the scan is compared with
    strict : refuse every adaptation
    """

    series: str | None = None
    phase: int | None = None
    suv: SuvOptions = field(default_factory=SuvOptions)
    protocol: str = DEFAULT_PROTOCOL
    strict: bool = False


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Study:
    """A PET in SUV, ready to be measured.

    Attributes
    ----------
    catalogue : everything that was found
    pet_series, ct_series : the series chosen
    pet : SUV volume
    ct : CT on the PET grid (int16 HU), None without one or when it was not asked for
    plan : how SUV was computed
    facts : what the JSON contract carries under ``series``
    """

    catalogue: Catalogue
    pet_series: Series
    ct_series: Series | None
    pet: Volume
    ct: Volume | None
    plan: SuvPlan
    facts: dict[str, Any]

    def source_headers(self) -> list[Any]:
        """pydicom headers of the PET's files in slice order, for objects that refer to them."""
        return [instance.dataset() for instance in self.pet_series.instances]


def open_study(
    path: Path,
    log: NoticeLog,
    *,
    options: StudyOptions | None = None,
    referenced_uid: str = "",
    with_ct: bool = True,
    progress: Stage = silent,
) -> Study:
    """Find the PET and its CT, compute SUV, resample the CT to the PET grid.

    Parameters
    ----------
    path : folder, zip archive, DICOMDIR or file
    log : receives every notice
    options : choices of the user
    referenced_uid : series that given regions refer to; decides among several PET series
    with_ct : whether the CT is looked for
    progress : called with (stage, done, total)

    Raises
    ------
    FusinError
        InputError or NotComputable, naming what is missing.
    """
    options = options or StudyOptions()
    expected = protocol(options.protocol)
    catalogue = scan(path, log, progress=lambda done, total: progress("reading headers", done, total))
    series = choose_pet(catalogue, log, wanted=options.series, referenced_uid=referenced_uid)
    phase = None if options.phase is None else options.phase - 1
    item = None if options.suv.item is None else options.suv.item - 1
    # Headers decide before pixels are read, so that a scan without SUV is refused at once.
    series.require_stack()
    header = read_suv_header(series, item=item, phase=0)
    plan = plan_from_header(header, log, options=options.suv)
    uptake = doubts(header, plan, expected, log)
    stored = series.load(log, phase=phase, progress=lambda done, total: progress("reading PET", done, total))
    if phase:
        plan = plan_from_header(read_suv_header(series, item=item, phase=phase), log, options=options.suv)
    pet = apply_plan(plan, series, stored, phase=phase or 0)
    ct_series = choose_ct(catalogue, series, log) if with_ct else None
    ct = _ct_on_pet(ct_series, pet, log, progress) if ct_series is not None else None
    if ct_series is None and with_ct:
        log.info("NO_CT", "no CT of the same study and frame of reference was found", where=series.label)
    nuclide = header_nuclide(header)
    facts = _facts(series, plan, uptake, nuclide.name if nuclide else None)
    return Study(catalogue=catalogue, pet_series=series, ct_series=ct_series, pet=pet, ct=ct, plan=plan, facts=facts)


def _ct_on_pet(series: Series, pet: Volume, log: NoticeLog, progress: Stage) -> Volume | None:
    try:
        native = series.load(log, progress=lambda done, total: progress("reading CT", done, total))
    except FusinError as err:
        log.warning("CT_NOT_USED", f"the CT could not be read: {err}", where=series.label)
        return None
    return resample(native, pet.grid, order=1)


def _patient_name(series: Series) -> str | None:
    """Name in the header's own character set, None without a readable one."""
    try:
        return str(series.dataset().get("PatientName", "") or "") or None
    except Exception:  # a damaged character set makes pydicom raise many kinds
        return None


def _facts(series: Series, plan: SuvPlan, uptake_min: float | None, nuclide: str | None) -> dict[str, Any]:
    grid = series.require_stack().grid
    weight = plan.weight_kg
    return {
        "series_uid": series.uid,
        "study_uid": series.study_uid,
        "description": series.description or None,
        "modality": series.modality,
        "manufacturer": series.text(Tag.MANUFACTURER) or None,
        "model": series.text(Tag.MODEL) or None,
        "patient_id": series.text(Tag.PATIENT_ID) or None,
        "patient_name": _patient_name(series),
        "study_date": series.text(Tag.STUDY_DATE) or None,
        "radiopharmaceutical": plan.facts.get("radiopharmaceutical"),
        "nuclide": nuclide,
        "activity_mbq": plan.activity_mbq,
        "injection_time": plan.injection_time.isoformat(sep=" ") if plan.injection_time else None,
        "reference_time": plan.reference_time.isoformat(sep=" ") if plan.reference_time else None,
        "uptake_time_min": uptake_min,
        "half_life_s": plan.half_life_s,
        "weight_kg": weight if weight and weight > 0 else None,
        "units": plan.units or None,
        "decay_correction": plan.decay_correction or None,
        "norm": plan.norm,
        "rule": plan.rule,
        "factor_suvbw_per_bqml": plan.factor_suvbw_per_bqml,
        "suv": plan.to_json(),
        "slices": grid.shape[0],
        "matrix": [grid.shape[1], grid.shape[2]],
        "spacing_mm": [round(s, 6) for s in grid.spacing_mm],
        "voxel_volume_ml": grid.voxel_volume_ml,
    }


def input_files(study: Study, extra: tuple[Path, ...] = ()) -> tuple[InputFile, ...]:
    """Every file that went into a result, with its digest.

    Parameters
    ----------
    study : the images
    extra : files, and folders of files, with regions; two files of one name are both listed
    """
    import hashlib

    found: dict[tuple[str, str], InputFile] = {}
    for series in (study.pet_series, study.ct_series):
        for instance in series.instances if series is not None else ():
            digest = hashlib.sha256(instance.source.read()).hexdigest()
            found[instance.name, digest] = InputFile(instance.name, digest, instance.sop_instance_uid)
    for path in extra:
        for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
            name, digest = (
                (file.relative_to(path.parent) if path.is_dir() else Path(file.name)).as_posix(),
                sha256_of(file),
            )
            found[name, digest] = InputFile(name, digest)
    return tuple(found.values())
