"""Which series of a folder are quantitative images; what is set aside is said with its reason."""

from __future__ import annotations

from collections.abc import Sequence

from fusin.dosimetry.image_headers import series_name
from fusin.errors import InputError, NotComputable
from fusin.imaging.select_series import attenuation_corrected
from fusin.imaging.series import Catalogue, Series
from fusin.provenance import NoticeLog

__all__ = ["choose_images"]

_REPROJECTIONS = ("MIP", "PROJECTION IMAGE", "REPROJECTION")


def choose_images(catalogue: Catalogue, wanted: Sequence[str], log: NoticeLog) -> tuple[Series, ...]:
    """Series to read: PET and reconstructed SPECT with attenuation correction, or those that the user names.

    Parameters
    ----------
    catalogue : of the folder
    wanted : series numbers, UIDs or (parts of) descriptions; none takes all that fit
    log : receives IMAGE_SET_ASIDE

    Raises
    ------
    InputError
        For a name that fits no series.
    NotComputable
        Where nothing fits: why the first one does not, or ``NO_IMAGES``.
    """
    images = [s for s in catalogue.series if s.modality in ("PT", "NM")]
    if wanted:
        named = [s for s in images if any(_fits(s, name) for name in wanted)]
        for name in wanted:
            if not any(_fits(s, name) for s in images):
                known = "; ".join(series_name(s) for s in images) or "none"
                raise InputError("--series", "series", name, f"one of the PET and SPECT series: {known}")
        for series in named:
            series.require_stack()
            if attenuation_corrected(series) is False:
                log.warning("ATTENUATION_NOT_PROVEN", "the header lists no attenuation correction, and without one no activity is "
                            "right; it was read because it was named", where=series_name(series))  # fmt: skip
        return tuple(named)
    usable = []
    for series in images:
        reason = _unfit(series)
        if reason:
            log.info("IMAGE_SET_ASIDE", f"set aside: {reason}", where=series_name(series))
        else:
            usable.append(series)
            if attenuation_corrected(series) is None:
                log.warning("ATTENUATION_NOT_PROVEN", "the header does not say whether attenuation was corrected, and without it "
                            "no activity is right", where=series_name(series))  # fmt: skip
    if usable:
        return tuple(usable)
    broken = next((s.problem for s in images if s.problem is not None), None)
    if broken is not None:
        raise broken
    seen = ", ".join(sorted({s.modality for s in catalogue.series})) or "none"
    found = "; ".join(f"{series_name(s)}: {_unfit(s)}" for s in images[:3]) or f"modalities found: {seen}"
    raise NotComputable(
        "a dose from images", f"there is no quantitative PET or SPECT series ({found})",
        "reconstructed, attenuation-corrected series, or --series to name one all the same", "NO_IMAGES",
    )  # fmt: skip


def _fits(series: Series, name: str) -> bool:
    if name == series.uid:
        return True
    if name.isdecimal():
        return series.number == int(name)
    return name.lower() in series.description.lower()


def _unfit(series: Series) -> str:
    """Why a series is not read unless it is named; empty when it is."""
    if series.stack is None:
        return str(series.problem)
    kinds = {kind.strip() for kind in series.text(0x00080008).upper().split("\\")}
    if kinds & set(_REPROJECTIONS):
        return "it is a reprojection"
    if attenuation_corrected(series) is False:
        return "its header lists no attenuation correction"
    return ""
