"""From the folders of ``fusin read`` to a finding table: lesions of several tracers brought together per patient."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fusin.cohort.matching import LesionPlace, Match, match_lesions
from fusin.cohort.tables import FINDINGS
from fusin.errors import InputError, MissingValue
from fusin.provenance import NoticeLog

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ReadingFindings", "findings_from_readings"]

_REFERENCES = ("blood_pool", "liver", "spleen", "marrow", "muscle", "brain")
_METRICS = ("suv_max", "suv_mean", "suv_peak", "volume_ml")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ReadingFindings:
    """A finding table made from readings, and how its lesions were brought together.

    Attributes
    ----------
    findings : columns of the finding schema
    review : one row per lesion match: ``patient, first_tracer, second_tracer`` and the columns of a match
    """

    findings: pd.DataFrame
    review: pd.DataFrame


@dataclass(slots=True, eq=False, kw_only=True)
class _Scan:
    """Lesions of one reading."""

    where: str
    patient: str
    tracer: str
    study_date: str | None
    series_uid: str | None
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    places: list[LesionPlace] = field(default_factory=list)


def findings_from_readings(
    folders: Sequence[Path | str],
    log: NoticeLog,
    *,
    tracers: Sequence[str] | None = None,
    patients: Sequence[str] | None = None,
    alignments: Mapping[tuple[str, str], ArrayLike] | None = None,
    max_distance_mm: float = 15.0,
) -> ReadingFindings:
    """Make a finding table from the outputs of ``fusin read``.

    The first reading of a patient gives the frame; lesions of the other tracers are matched to it by centroid. A lesion
    that only one tracer showed gets a row with ``detected`` False for the others. Physiological uptake that was set aside
    is not a finding.

    Parameters
    ----------
    folders : one per reading, each with ``lesions.parquet`` or ``lesions.csv`` and ``reading.json``, or one of them
    log : receives notices
    tracers : name of the tracer of each folder; the radiopharmaceutical of the header without it
    patients : patient of each folder; the Patient ID of the header without it
    alignments : (patient, tracer) to the rigid 4x4 transform from that scan to the patient's first, LPS millimetres
    max_distance_mm : as for `match_lesions`

    Raises
    ------
    InputError
        For a folder without a reading, or two readings of one patient with one tracer.
    MissingValue
        When patient or tracer is unknown.
    """
    for name, given in (("tracers", tracers), ("patients", patients)):
        if given is not None and len(given) != len(folders):
            raise InputError("readings", name, len(given), f"one for each of the {len(folders)} folders")
    scans: dict[str, list[_Scan]] = {}
    for number, folder in enumerate(folders):
        scan = _scan(Path(folder), tracers[number] if tracers else None, patients[number] if patients else None)
        others = scans.setdefault(scan.patient, [])
        if any(o.tracer == scan.tracer for o in others):
            raise InputError(
                scan.where, "tracer", scan.tracer, f"one reading of patient {scan.patient} with each tracer"
            )
        others.append(scan)
    rows: list[dict[str, Any]] = []
    review: list[dict[str, Any]] = []
    for patient, listed in scans.items():
        found, matches = _merged(listed, log, alignments or {}, max_distance_mm)
        rows.extend(found)
        review.extend({"patient": patient} | m for m in matches)
    log.warning(
        "CANDIDATES_AS_FINDINGS",
        f"{len(rows)} findings come from lesion candidates of {len(folders)} readings; a reader must confirm them",
        where="readings",
    )
    return ReadingFindings(findings=_frame(rows), review=_review(review))


def _frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    columns = [
        c for c in FINDINGS.columns if any(r.get(c.name) is not None for r in rows) or c.required or c.name == "lesion"
    ]
    return pd.DataFrame({c.name: pd.Series([r.get(c.name) for r in rows], dtype=c.dtype) for c in columns})


def _review(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows, columns=["patient", "first_tracer", "second_tracer", *Match.__slots__])


def _scan(folder: Path, tracer: str | None, patient: str | None) -> _Scan:
    """One reading from whichever of its files are there."""
    header, lesions = _contents(folder)
    first = lesions[0] if lesions else {}
    patient = patient or _text(header.get("patient_id")) or _text(first.get("patient_id"))
    tracer = tracer or _text(header.get("radiopharmaceutical")) or _text(first.get("tracer"))
    for name, value in (("patient", patient), ("tracer", tracer)):
        if not value:
            raise MissingValue("finding table", f"{folder.name} names no {name}", f"its {name} as an argument")
    scan = _Scan(where=folder.name, patient=str(patient), tracer=str(tracer),
                 study_date=_text(header.get("study_date")) or _text(first.get("study_date")),
                 series_uid=_text(header.get("series_uid")) or _text(first.get("series_uid")))  # fmt: skip
    for row in lesions:
        if row.get("status") == "physiological":
            continue
        name = str(row["lesion"])
        scan.rows[name] = row
        x, y, z = (float(row[f"centroid_{a}_mm"]) for a in "xyz")
        scan.places.append(LesionPlace(name=name, centroid_mm=(x, y, z), volume_ml=row.get("volume_ml")))
    return scan


def _contents(folder: Path) -> tuple[Mapping[str, Any], list[dict[str, Any]]]:
    import pandas as pd

    paper = folder / "reading.json"
    reading = json.loads(paper.read_text(encoding="utf-8")) if paper.is_file() else None
    header: Mapping[str, Any] = reading["series"] if reading else {}
    if (folder / "lesions.parquet").is_file():
        table = pd.read_parquet(folder / "lesions.parquet")
    elif (folder / "lesions.csv").is_file():
        table = pd.read_csv(folder / "lesions.csv", dtype={"patient_id": "string", "study_date": "string"})
    elif reading:
        return header, [_from_json(lesion) for lesion in reading["lesions"]]
    else:
        raise InputError(
            folder.name, "folder", "no reading", "lesions.parquet, lesions.csv or reading.json of fusin read"
        )
    return header, [{str(k): None if pd.isna(v) else v for k, v in row.items()} for row in table.to_dict("records")]


def _from_json(lesion: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a lesion table from the JSON of one lesion."""
    row = dict(lesion) | {"lesion": lesion["number"]}
    row |= {f"centroid_{axis}_mm": v for axis, v in zip("xyz", lesion["centroid_mm"], strict=True)}
    for ratio in lesion["tbrs"]:
        row[f"tbr_{ratio['statistic'].split('/')[0]}_{ratio['reference']}"] = ratio["value"]
    return row


def _text(value: Any) -> str | None:
    return str(value).strip() or None if value is not None else None


def _merged(
    scans: Sequence[_Scan], log: NoticeLog, alignments: Mapping[tuple[str, str], ArrayLike], max_distance_mm: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of one patient and the matches behind them."""
    base = scans[0]
    known = [
        LesionPlace(name=f"L{i}", centroid_mm=p.centroid_mm, volume_ml=p.volume_ml)
        for i, p in enumerate(base.places, 1)
    ]
    seen = {(f"L{i}", base.tracer): p.name for i, p in enumerate(base.places, 1)}
    matches: list[dict[str, Any]] = []
    for scan in scans[1:]:
        transform = alignments.get((scan.patient, scan.tracer))
        if transform is None:
            log.adapted(
                "SCANS_TAKEN_AS_ALIGNED",
                f"patient {scan.patient}: no alignment of {scan.tracer} to {base.tracer}; both are taken as in one frame",
                where=scan.where,
            )
        result = match_lesions(known, scan.places, log, alignment=transform, max_distance_mm=max_distance_mm)
        for m in result.rows:
            matches.append({"first_tracer": base.tracer, "second_tracer": scan.tracer} | m.to_json())
            if m.second is None:
                continue
            name = m.first
            if name is None:
                name = f"L{len(known) + 1}"
                known.append(_moved(next(p for p in scan.places if p.name == m.second), name, transform))
            seen[name, scan.tracer] = m.second
    if not known:
        return [_case(scan) | {"lesion": None, "detected": False} for scan in scans], matches
    return [
        _finding(scan, p.name, seen.get((p.name, scan.tracer)), scans, seen) for p in known for scan in scans
    ], matches


def _moved(place: LesionPlace, name: str, transform: ArrayLike | None) -> LesionPlace:
    matrix = np.eye(4) if transform is None else np.asarray(transform, dtype=np.float64)
    x, y, z = (float(v) for v in (matrix @ np.array([*place.centroid_mm, 1.0]))[:3])
    return LesionPlace(name=name, centroid_mm=(x, y, z), volume_ml=place.volume_ml)


def _case(scan: _Scan) -> dict[str, Any]:
    return {
        "patient": scan.patient,
        "tracer": scan.tracer,
        "study_date": scan.study_date,
        "series_uid": scan.series_uid,
    }


def _finding(
    scan: _Scan, lesion: str, own: str | None, scans: Sequence[_Scan], seen: Mapping[tuple[str, str], str]
) -> dict[str, Any]:
    """One row; the site is that of the first tracer that names one, because a site belongs to the lesion."""
    sites = (s.rows[seen[lesion, s.tracer]].get("site") for s in scans if (lesion, s.tracer) in seen)
    row = _case(scan) | {"lesion": lesion, "detected": own is not None, "site": next((s for s in sites if s), None)}
    if own is None:
        return row
    values = scan.rows[own]
    row |= {name: values.get(name) for name in _METRICS}
    return row | {f"tbr_{r}": values.get(f"tbr_max_{r}") for r in _REFERENCES}
