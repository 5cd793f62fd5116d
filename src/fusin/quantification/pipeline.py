"""The main job, step by step: references, threshold, candidates, ratios, readout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from fusin.errors import FusinError, InputError, NotComputable
from fusin.evidence.catalogue import default_catalogue
from fusin.imaging.masks import read_regions
from fusin.imaging.nifti import write_nifti
from fusin.imaging.suv import SUV_METHOD
from fusin.imaging.volume import Region, Volume
from fusin.provenance import Method, NoticeLog, Provenance, versions
from fusin.quantification.adrenal_reading import read_adrenals
from fusin.quantification.candidates import CandidateSearch, box_region, find_candidates
from fusin.quantification.exclusions import organ_exclusions
from fusin.quantification.lesion_ratios import burden, tbrs_for
from fusin.quantification.lesions import Burden, Lesion
from fusin.quantification.methods import READING_METHODS
from fusin.quantification.metrics import measure_region
from fusin.quantification.placement import place_automatically
from fusin.quantification.placement_physiology import physiological_organs
from fusin.quantification.positivity import read_out
from fusin.quantification.reading import Reading
from fusin.quantification.reference_labels import references_from_labels, run_totalsegmentator
from fusin.quantification.references import (
    ReferenceKind,
    ReferenceRegion,
    parse_at,
    reference_at,
    reference_from_region,
)
from fusin.quantification.rules import check_contour, check_threshold, contour_lesion, named_threshold, own_surroundings
from fusin.quantification.study import Stage, Study, StudyOptions, input_files, open_study, silent
from fusin.quantification.tracer import check_tracer, withheld

__all__ = ["ReadOptions", "read_study", "read_volume"]

AUTOMATIC_KINDS: tuple[ReferenceKind, ...] = ("blood_pool", "liver", "spleen", "marrow", "muscle", "brain")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """Choices of a reading.

    Attributes
    ----------
    study : how the study is opened
    labels : organ labels (SEG, RTSTRUCT, NIfTI, folder of NIfTI), for references and exclusions
    lesions : lesions that somebody drew; then no search is made
    references : (kind, path) of reference regions that somebody drew
    at : ``kind=x,y,z`` texts, LPS millimetres
    automatic : whether the remaining references are placed on the CT
    threshold : name of the whole-body rule
    contour : name of the per-lesion rule, None to keep the whole-body threshold
    exclude : ``name=x0,y0,z0,x1,y1,z1`` boxes in LPS millimetres
    search : parameters of the candidate search
    visual : answers of the reader to visual rules, by rule id
    segment : run TotalSegmentator (an extra) on the CT when no labels are given
    adrenals : whether adrenal indices are computed; always so with a protocol of aldosteronism
    """

    study: StudyOptions = field(default_factory=StudyOptions)
    labels: Path | None = None
    lesions: Path | None = None
    references: tuple[tuple[ReferenceKind, Path], ...] = ()
    at: tuple[str, ...] = ()
    automatic: bool = True
    threshold: str = "blood-pool"
    contour: str | None = None
    exclude: tuple[str, ...] = ()
    search: CandidateSearch = field(default_factory=CandidateSearch)
    visual: dict[str, bool] = field(default_factory=dict)
    segment: bool = False
    adrenals: bool = False

    @property
    def adrenals_wanted(self) -> bool:
        """Whether the adrenals are what is asked about."""
        return self.adrenals or self.study.protocol.startswith("aldosteronism")

    @property
    def region_files(self) -> tuple[Path, ...]:
        """Every file or folder of regions that was given."""
        given = (self.labels, self.lesions, *(path for _, path in self.references))
        return tuple(path for path in given if path is not None)

    def to_json(self) -> dict[str, Any]:
        """Parameters as the provenance records them."""
        return {
            "series": self.study.series,
            "phase": self.study.phase,
            "norm": self.study.suv.norm,
            "residual": self.study.suv.residual,
            "protocol": self.study.protocol,
            "strict": self.study.strict,
            "labels": self.labels.name if self.labels else None,
            "lesions": self.lesions.name if self.lesions else None,
            "references": [[kind, path.name] for kind, path in self.references],
            "at": list(self.at),
            "automatic": self.automatic,
            "threshold": self.threshold,
            "contour": self.contour,
            "exclude": list(self.exclude),
            "search": self.search.to_json(),
            "visual": dict(self.visual),
            "segment": self.segment,
            "adrenals": self.adrenals_wanted,
        }


def read_study(
    dicom: Path, log: NoticeLog, *, options: ReadOptions | None = None, progress: Stage = silent
) -> tuple[Reading, Study]:
    """Read a study from disk: the main job.

    Parameters
    ----------
    dicom : folder, zip archive, DICOMDIR or file
    log : receives every notice
    options : choices of the user
    progress : called with (stage, done, total)

    Raises
    ------
    FusinError
        InputError or NotComputable, naming what is missing.
    """
    options = options or ReadOptions()
    _check(options)
    study = open_study(dicom, log, options=options.study, progress=progress)
    return read_volume(study, log, options=options, progress=progress), study


def _check(options: ReadOptions) -> None:
    """Refuse mistyped options before minutes of work."""
    check_threshold(options.threshold)
    if options.contour is not None:
        check_contour(options.contour)
    for text in options.at:
        parse_at(text)
    for text in options.exclude:
        _box(text)
    answerable = [record.id for record in default_catalogue() if record.method == "visual"]
    for rule in options.visual:
        if rule not in answerable:
            raise InputError("--visual", "rule", rule, f"one of {', '.join(answerable)}")
    for path in options.region_files:
        if not path.exists():
            raise InputError(
                str(path), "regions", "nothing there", "a SEG, RTSTRUCT or NIfTI file, or a folder of them"
            )


def read_volume(
    study: Study, log: NoticeLog, *, options: ReadOptions | None = None, progress: Stage = silent
) -> Reading:
    """Read an opened study; see :func:`read_study`."""
    options = options or ReadOptions()
    if study.pet.unit != "g/ml{SUVbw}":
        raise InputError(
            "--norm", "norm", options.study.suv.norm, "bw: reading rules and references are defined in SUVbw"
        )
    labels = _labels(study, options, log)
    progress("placing references", 0, 1)
    references, hot_organs = _references(study, labels, options, log)
    progress("placing references", 1, 1)
    exclusions = [
        *organ_exclusions(labels, keep_adrenals=options.adrenals_wanted),
        *hot_organs,
        *_boxes(study, options),
    ]
    threshold: dict[str, Any] = {"rule": None, "suv": None, "because": "lesions were given", "citation": ""}
    physiological: tuple[Lesion, ...] = ()
    progress("finding lesions", 0, 1)
    searched = True
    if options.lesions is not None:
        lesions = _given_lesions(study, options.lesions, references, options, log)
    else:
        lesions, physiological, threshold, searched = _search(study, references, exclusions, labels, options, log)
    progress("finding lesions", 1, 1)
    total = burden(lesions) if searched else _unknown_burden()
    marrow = next((r for r in references if r.kind == "marrow"), None)
    marrow_max = float(np.nanmax(marrow.region.values_in(study.pet))) if marrow else None
    readout = read_out(references, lesions, total, marrow_suv_max=marrow_max, visual=options.visual or None, log=log)
    if not check_tracer(study.facts, log):
        readout = withheld(readout, str(study.facts.get("radiopharmaceutical")))
    adrenal = None
    if options.adrenals_wanted:
        adrenal = read_adrenals(study.pet, labels, lesions, references, study.facts, log)
    provenance = Provenance(
        inputs=input_files(study, options.region_files),
        parameters=options.to_json(),
        methods=_methods(threshold),
        versions=versions("numpy", "scipy", "pydicom", "highdicom", "numba"),
    )
    return Reading(
        series=study.facts,
        pet=study.pet,
        ct=study.ct,
        references=tuple(references),
        lesions=lesions,
        physiological=physiological,
        excluded=tuple(exclusions),
        threshold=threshold,
        burden=total,
        readout=readout,
        adrenal=adrenal,
        notices=log.notices,
        provenance=provenance,
    )


def _labels(study: Study, options: ReadOptions, log: NoticeLog) -> tuple[Region, ...]:
    """Organ labels on the PET grid: given, made, or none."""
    if options.labels is not None:
        return read_regions(options.labels, grid=study.pet.grid, log=log)
    return _segmented(study, log) if options.segment else ()


def _segmented(study: Study, log: NoticeLog) -> tuple[Region, ...]:
    """Organ labels of the CT by TotalSegmentator.

    Raises
    ------
    MissingExtra
        When it is not installed.
    NotComputable
        When there is no CT.
    """
    if study.ct_series is None:
        raise NotComputable(
            "organ labels", "there is no CT in the frame of reference of the PET", "a CT, or --labels", "NO_CT"
        )
    with TemporaryDirectory(prefix="fusin-") as folder:
        ct = write_nifti(Path(folder) / "ct.nii", study.ct_series.load(log))
        return read_regions(run_totalsegmentator(ct, Path(folder) / "labels", log=log), grid=study.pet.grid, log=log)


def _methods(threshold: dict[str, Any]) -> tuple[Method, ...]:
    rule = threshold.get("rule")
    own = (Method(f"threshold-{rule}", str(threshold.get("citation") or threshold["because"])),) if rule else ()
    return (SUV_METHOD, *READING_METHODS, *own)


def _references(
    study: Study, labels: Sequence[Region], options: ReadOptions, log: NoticeLog
) -> tuple[list[ReferenceRegion], list[Region]]:
    """References by falling trust: drawn, pointed at, from labels, placed on the CT; and hot organs found on the way."""
    found: dict[str, ReferenceRegion] = {}
    for kind, path in options.references:
        (region, *others) = read_regions(path, grid=study.pet.grid, log=log)
        if others:
            log.info(
                "REFERENCE_FIRST_REGION",
                f"{path.name} holds {1 + len(others)} regions; {region.name} is used",
                where=kind,
            )
        found[kind] = reference_from_region(
            study.pet, region, kind, "given", log=log, detail=f"drawn, from {path.name}"
        )
    for text in options.at:
        kind, point = parse_at(text)
        found.setdefault(kind, reference_at(study.pet, kind, point, log=log))
    if labels:
        # Of two adrenals the colder one is the reference: the contralateral gland of the dominant side.
        placed_in = references_from_labels(study.pet, labels, log=log)
        for reference in sorted(placed_in, key=lambda r: float(np.nanmax(r.region.values_in(study.pet)))):
            found.setdefault(reference.kind, reference)
    organs_known = bool(organ_exclusions(labels))
    if labels and not organs_known:
        names = ", ".join(sorted({label.name for label in labels})[:6])
        log.warning(
            "LABELS_WITHOUT_ORGANS",
            f"no organ is recognised among the labels ({names}); hot organs are sought on the images instead",
            where="labels",
        )
    hot_organs: list[Region] = []
    missing = [kind for kind in AUTOMATIC_KINDS if kind not in found]
    if options.automatic and study.ct is not None and (missing or not organs_known):
        whole = _without_gaps(study.pet)
        placed = place_automatically(whole, study.ct, kinds=missing, log=log)
        for reference in placed.placed:
            if np.isfinite(reference.region.values_in(study.pet)).all():
                found.setdefault(reference.kind, reference)
        if not organs_known:
            # A spleen that the user pointed at tells the heuristic as much as one that was placed.
            spleens = tuple(r for r in found.values() if r.kind == "spleen" and placed.get("spleen") is None)
            known = replace(placed, placed=(*placed.placed, *spleens))
            hot_organs = list(physiological_organs(whole, study.ct, known, log))
    order = ("blood_pool", "liver", "spleen", "marrow", "brain", "adrenal", "muscle")
    return sorted(found.values(), key=lambda r: order.index(r.kind)), hot_organs


def _without_gaps(pet: Volume) -> Volume:
    """The PET with missing slices filled from their neighbours, for finding anatomy only; nothing is measured in it."""
    blank = ~np.isfinite(pet.values).all(axis=(1, 2))
    if not blank.any() or blank.all():
        return pet
    kept = np.flatnonzero(~blank)
    nearest = kept[np.abs(np.arange(len(blank))[:, None] - kept[None, :]).argmin(axis=1)]
    return Volume(values=pet.values[nearest], grid=pet.grid, unit=pet.unit)


def _box(text: str) -> tuple[str, list[float]]:
    name, _, numbers = text.partition("=")
    try:
        values = [float(v) for v in numbers.split(",")]
    except ValueError:
        values = []
    if not name or len(values) != 6:
        raise InputError("--exclude", "box", text, "name=x0,y0,z0,x1,y1,z1 in LPS millimetres")
    return name, values


def _boxes(study: Study, options: ReadOptions) -> list[Region]:
    boxes = []
    for text in options.exclude:
        name, values = _box(text)
        boxes.append(box_region(study.pet.grid, name, values[:3], values[3:]))
    return boxes


def _given_lesions(
    study: Study, path: Path, references: Sequence[ReferenceRegion], options: ReadOptions, log: NoticeLog
) -> tuple[Lesion, ...]:
    """Lesions that somebody drew, ranked by SUVpeak like candidates."""
    from fusin.quantification.candidates import lesion_identity

    measured = []
    for region in read_regions(path, grid=study.pet.grid, log=log):
        metrics = measure_region(study.pet, region, log=log, fwhm_mm=options.search.fwhm_mm)
        ratios = (
            tbrs_for(metrics, region, references, log=log, fwhm_mm=options.search.fwhm_mm) if metrics.suv_max else ()
        )
        identity = lesion_identity(metrics.max_mm) if metrics.max_mm else region.name
        measured.append(
            Lesion(
                number=0, identity=identity, region=region, metrics=metrics, tbrs=ratios, status="given",
                reason=f"drawn, from {path.name}", site=str(region.attributes.get("site") or region.name),
            )
        )  # fmt: skip
    measured.sort(key=lambda lesion: -(lesion.metrics.suv_peak or 0.0))
    return tuple(replace(lesion, number=n) for n, lesion in enumerate(measured, start=1))


def _search(
    study: Study,
    references: Sequence[ReferenceRegion],
    exclusions: Sequence[Region],
    labels: Sequence[Region],
    options: ReadOptions,
    log: NoticeLog,
) -> tuple[tuple[Lesion, ...], tuple[Lesion, ...], dict[str, Any], bool]:
    """(candidates, set aside, threshold as recorded, whether a search was made)."""
    try:
        threshold = named_threshold(options.threshold, references, study.pet)
    except NotComputable as err:
        reasons = [n.message for n in log if n.code in ("REFERENCE_DECLINED", "NO_CT", "CT_FRAME_DIFFERS")]
        why = f" ({'; '.join(reasons[:3])})" if reasons else ""
        log.warning("NO_THRESHOLD", f"no search for lesions was made: {err}{why}", where="lesions")
        return (), (), {"rule": None, "suv": None, "because": str(err), "citation": ""}, False
    result = find_candidates(
        study.pet, threshold, log=log, exclusions=exclusions, references=references, sites=labels, search=options.search
    )
    lesions = result.lesions
    if options.contour is not None:
        lesions = _contoured(study, lesions, references, options, log)
    recorded = {
        **threshold.to_json(),
        "contour": options.contour,
        "components": result.components,
        "too_small": result.too_small,
    }
    return lesions, result.physiological, recorded, True


def _contoured(
    study: Study, lesions: Sequence[Lesion], references: Sequence[ReferenceRegion], options: ReadOptions, log: NoticeLog
) -> tuple[Lesion, ...]:
    """Draw each candidate again by a rule of its own; one that cannot be drawn keeps its first region, with a notice."""
    assert options.contour is not None
    drawn = []
    for lesion in lesions:
        try:
            voi = own_surroundings(lesion.region, [other.region for other in lesions if other is not lesion])
            region = contour_lesion(study.pet, lesion.region, options.contour, references=references, voi=voi, log=log)
        except FusinError as err:
            log.warning("CONTOUR_NOT_DRAWN", f"{lesion.identity} keeps its first contour: {err}", where=lesion.identity)
            drawn.append(lesion)
            continue
        metrics = measure_region(study.pet, region, log=log, fwhm_mm=options.search.fwhm_mm)
        ratios = tbrs_for(metrics, region, references, log=log, fwhm_mm=options.search.fwhm_mm)
        drawn.append(replace(lesion, region=region, metrics=metrics, tbrs=ratios))
    drawn.sort(key=lambda lesion: -(lesion.metrics.suv_peak or 0.0))
    return tuple(replace(lesion, number=n) for n, lesion in enumerate(drawn, start=1))


def _unknown_burden() -> Burden:
    return Burden(lesions=None, tumour_volume_ml=None, total_lesion_uptake=None, suv_max=None, suv_mean=None)
