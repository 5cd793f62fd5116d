"""Choosing the PET and its CT, or saying why the choice is the user's."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fusin.errors import Ambiguous, InputError, NotComputable
from fusin.imaging.instances import Tag
from fusin.imaging.series import Catalogue, Series
from fusin.provenance import NoticeLog

__all__ = ["attenuation_corrected", "choose_ct", "choose_pet", "describe"]

_NAC = re.compile(
    r"(?<![a-z])(nac|no[ _-]?ac|non[ _-]?ac|uncorrected|no[ _-]?att[a-z]*|nonatt[a-z]*)(?![a-z])", re.IGNORECASE
)
_REPROJECTION = ("MIP", "PROJECTION IMAGE", "REPROJECTION")


def attenuation_corrected(series: Series) -> bool | None:
    """Whether a PET series is attenuation corrected; None when the header does not say.

    Corrected Image (0028,0051) decides; then Attenuation Correction Method (0054,1101); then the description.
    """
    corrected = [part.strip().upper() for part in series.text(Tag.CORRECTED_IMAGE).split("\\") if part.strip()]
    if corrected:
        return "ATTN" in corrected or "ATTENUATION" in corrected
    if series.enhanced:
        flag = str(series.dataset().get("AttenuationCorrected", "") or "").upper()
        if flag in ("YES", "NO"):
            return flag == "YES"
    method = series.text(Tag.ATTENUATION_METHOD).upper()
    if method and method != "NONE":
        return True
    if method == "NONE" or _NAC.search(series.description):
        return False
    return None


def _reprojection(series: Series) -> bool:
    kinds = series.text(Tag.IMAGE_TYPE).upper().split("\\") + series.text(0x00541000).upper().split("\\")
    return any(kind.strip() in _REPROJECTION for kind in kinds)


def describe(series: Series) -> str:
    """One line that lets a person choose among series."""
    number = f"#{series.number} " if series.number is not None else ""
    return f"{number}{series.description or '(no description)'} [{series.modality}, {len(series.instances)} files, {series.uid}]"


def choose_pet(catalogue: Catalogue, log: NoticeLog, *, wanted: str | None = None, referenced_uid: str = "") -> Series:
    """The attenuation-corrected PET of a folder.

    Parameters
    ----------
    wanted : Series Instance UID, series number or (part of) the description, when the user chooses
    referenced_uid : UID of the series that a SEG or RTSTRUCT refers to; decides among several

    Raises
    ------
    NotComputable
        When there is no PET, or only PET without attenuation correction.
    Ambiguous
        When several series would do; the message lists them.
    """
    if wanted is not None:
        return _wanted(catalogue, wanted)
    usable = _usable(catalogue, log)
    referenced = [s for s in usable if s.uid == referenced_uid]
    if len(referenced) == 1:
        return referenced[0]
    stacked = [s for s in usable if s.stack is not None]
    if len(stacked) == 1 and len(usable) > 1:
        for series in usable:
            if series.stack is None:
                log.warning(
                    "SERIES_WITHOUT_VOLUME", f"{describe(series)} was set aside: {series.problem}", where=series.label
                )
        usable = stacked
    if len(usable) > 1:
        raise Ambiguous(
            "a PET reading",
            f"{len(usable)} PET series would do: " + "; ".join(describe(s) for s in usable),
            "a choice with --series (UID, number or description)",
            "SEVERAL_PET",
        )
    return usable[0]


def _usable(catalogue: Catalogue, log: NoticeLog) -> list[Series]:
    """PET series fit for SUV; without any PET, reconstructed nuclear medicine series stand in."""
    pets = catalogue.of("PT")
    if not pets:
        return _nuclear(catalogue)
    usable = _diagnostic(pets, log)
    if not usable:
        raise NotComputable(
            "a PET reading",
            "every PET series lacks attenuation correction or is a reprojection",
            "an attenuation-corrected PET series",
            "NO_CORRECTED_PET",
        )
    return usable


def _nuclear(catalogue: Catalogue) -> list[Series]:
    found = list(catalogue.of("NM"))
    if not found:
        seen = ", ".join(sorted({s.modality for s in catalogue.series})) or "none"
        raise NotComputable(
            "a PET reading",
            f"no PET series among the modalities found ({seen})",
            "a folder with a PET series",
            "NO_PET",
        )
    if all(s.stack is None for s in found) and found[0].problem is not None:
        raise found[0].problem
    return found


def _diagnostic(pets: Sequence[Series], log: NoticeLog) -> list[Series]:
    """Series that are neither uncorrected nor a reprojection; the others are named."""
    usable = []
    for series in pets:
        if attenuation_corrected(series) is False:
            words = f"{describe(series)} is not attenuation corrected and was set aside"
            log.info("NAC_SET_ASIDE", words, where=series.label)
        elif _reprojection(series):
            words = f"{describe(series)} is a reprojection and was set aside"
            log.info("REPROJECTION_SET_ASIDE", words, where=series.label)
        else:
            usable.append(series)
    return usable


def _wanted(catalogue: Catalogue, wanted: str) -> Series:
    """The series a user names; a PET goes before a CT whose description fits too."""
    series = catalogue.series
    fits = [s for s in series if s.uid == wanted]
    fits = fits or [s for s in series if wanted.isdecimal() and s.number == int(wanted)]
    fits = fits or [s for s in series if s.description.lower() == wanted.lower()]
    fits = fits or [s for s in series if wanted.lower() in s.description.lower()]
    candidates = [s for s in fits if s.modality in ("PT", "NM")]
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        known = "; ".join(describe(s) for s in series if s.modality in ("PT", "NM")) or "no PET series is there"
        raise InputError("--series", "series", describe(fits[0]) if fits else wanted, f"one of the PET series: {known}")
    raise Ambiguous(
        "the choice of series",
        f"{wanted!r} fits " + "; ".join(describe(s) for s in candidates),
        "a Series Instance UID",
        "SEVERAL_SERIES",
    )


def choose_ct(catalogue: Catalogue, pet: Series, log: NoticeLog) -> Series | None:
    """The CT that belongs to a PET: same study and frame of reference, longest overlap, most slices; None without one."""
    pet_grid = pet.require_stack().grid
    fitting: list[tuple[float, int, Series]] = []
    for series in catalogue.of("CT"):
        if series.stack is None or series.study_uid != pet.study_uid or series.stack.grid.shape[0] < 2:
            continue
        if not series.stack.grid.frame_of_reference_uid or not pet_grid.frame_of_reference_uid:
            log.warning(
                "CT_FRAME_UNKNOWN",
                f"{describe(series)} or the PET has no frame of reference; it is not used",
                where=series.label,
            )
            continue
        if not pet_grid.same_frame(series.stack.grid):
            log.warning(
                "CT_FRAME_DIFFERS",
                f"{describe(series)} lies in another frame of reference than the PET; it is not used",
                where=series.label,
            )
            continue
        fitting.append((_overlap_mm(pet, series), series.stack.grid.shape[0], series))
    fitting = [item for item in fitting if item[0] > 0]
    if not fitting:
        return None
    fitting.sort(key=lambda item: (-round(item[0]), -item[1], item[2].uid))
    if len(fitting) > 1:
        log.info(
            "CT_CHOSEN",
            f"{len(fitting)} CT series fit; {describe(fitting[0][2])} covers most of the PET",
            where=pet.label,
        )
    return fitting[0][2]


def _overlap_mm(pet: Series, ct: Series) -> float:
    """Length along the patient's z axis that both series cover."""
    ranges = []
    for series in (pet, ct):
        grid = series.require_stack().grid
        ends = grid.to_mm([[0, 0, 0], [grid.shape[2] - 1, grid.shape[1] - 1, grid.shape[0] - 1]])[:, 2]
        ranges.append((ends.min(), ends.max()))
    return float(min(ranges[0][1], ranges[1][1]) - max(ranges[0][0], ranges[1][0]))
