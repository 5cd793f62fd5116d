"""From texts of the command line to the options of a reading."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusin.errors import InputError

if TYPE_CHECKING:
    from fusin.quantification.pipeline import ReadOptions
    from fusin.quantification.study import StudyOptions

__all__ = ["check_out", "read_options", "study_options", "window_limits"]


def study_options(
    series: str | None,
    phase: int | None,
    norm: str,
    residual: str | None,
    half_life_from_code: bool,
    item: int | None,
    protocol: str,
    strict: bool,
) -> StudyOptions:
    """Options of opening a study.

    Raises
    ------
    InputError
        For an unknown norm or protocol, or a residual that is no number.
    """
    from fusin.imaging.body_size import NORMS
    from fusin.imaging.dicom_values import parse_number
    from fusin.imaging.suv import SuvOptions
    from fusin.quantification.protocols import protocol as named_protocol
    from fusin.quantification.study import StudyOptions

    if norm not in NORMS:
        raise InputError("--norm", "norm", norm, f"one of {', '.join(NORMS)}")
    named_protocol(protocol)
    left: float | str | None = residual
    if residual is not None and residual != "header":
        left = parse_number(residual)
        if left is None or left < 0:
            raise InputError("--residual", "residual activity", residual, "a number of MBq, or 'header'")
    suv = SuvOptions(norm=norm, residual=left, half_life_from_code=half_life_from_code, item=item)
    return StudyOptions(series=series, phase=phase, suv=suv, protocol=protocol, strict=strict)


def read_options(
    study: StudyOptions,
    *,
    reference: Sequence[str] | None,
    at: Sequence[str] | None,
    exclude: Sequence[str] | None,
    visual: Sequence[str] | None,
    min_volume: float,
    split: bool,
    **simple: Any,
) -> ReadOptions:
    """Options of a reading; ``simple`` passes on what needs no parsing."""
    from fusin.quantification.candidates import CandidateSearch
    from fusin.quantification.pipeline import ReadOptions
    from fusin.quantification.references import parse_kind

    drawn = []
    for text in reference or ():
        name, _, file = text.partition("=")
        if not file:
            raise InputError("--reference", "reference", text, "kind=FILE, for example liver=liver.nii.gz")
        drawn.append((parse_kind(name, option="--reference"), Path(file)))
    answers = {}
    for text in visual or ():
        rule, _, word = text.partition("=")
        if word.lower() not in ("yes", "no"):
            raise InputError("--visual", "answer", text, "RULE_ID=yes or RULE_ID=no")
        answers[rule] = word.lower() == "yes"
    return ReadOptions(
        study=study, references=tuple(drawn), at=tuple(at or ()), exclude=tuple(exclude or ()), visual=answers,
        search=CandidateSearch(min_volume_ml=min_volume, split=split), **simple,
    )  # fmt: skip


def window_limits(text: str) -> tuple[float, float]:
    """SUV limits of the pictures from ``low,high``.

    Raises
    ------
    InputError
        When the text is not two rising numbers.
    """
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low, high = 0.0, 0.0
    if not low < high < math.inf or low == -math.inf:
        raise InputError("--window", "window", text, "low,high with low below high, for example 0,10")
    return low, high


def check_out(out: Path, dicom: Path) -> None:
    """Refuse to write results into the study that is read.

    Raises
    ------
    InputError
        When the output folder is the study's folder or lies inside it.
    """
    if dicom.is_dir() and out.resolve().is_relative_to(dicom.resolve()):
        raise InputError(str(out), "--out", "a folder inside the study", "a folder beside it")
