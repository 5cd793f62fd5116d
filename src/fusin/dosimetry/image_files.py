"""Images of a treatment from a folder of DICOM, or from a TOML file that describes them, to one study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fusin.dosimetry.image_choice import choose_images
from fusin.dosimetry.image_description import read_described_study
from fusin.dosimetry.image_headers import ImageHeader, agree, read_image_header
from fusin.dosimetry.image_points import ImageOptions, ImageStudy
from fusin.dosimetry.image_scaling import check_options
from fusin.dosimetry.image_series import point_of_series
from fusin.dosimetry.image_study import Found, assemble
from fusin.imaging.select_series import choose_ct
from fusin.imaging.series import Catalogue, scan
from fusin.imaging.volume import Volume
from fusin.provenance import NoticeLog

__all__ = ["read_image_study"]


def read_image_study(source: Path | str, *, options: ImageOptions | None = None, log: NoticeLog) -> ImageStudy:
    """Read all images of a treatment.

    Parameters
    ----------
    source : folder (or zip archive) of DICOM with several PET or reconstructed SPECT series, CT and regions; or a TOML file that
        names each image
    options : what the files do not say
    log : receives a notice of everything that was adapted or is in doubt

    Raises
    ------
    InputError, NotComputable
        One sentence: what cannot be used, and what would do.
    """
    path, chosen = Path(source), options or ImageOptions()
    check_options(chosen)
    if path.suffix.lower() == ".toml":
        return read_described_study(path, options=chosen, log=log)
    catalogue = scan(path, log)
    series = choose_images(catalogue, chosen.series, log)
    headers = [read_image_header(s, chosen, log) for s in series]
    agreed = agree(headers, chosen, log)
    points = [point_of_series(h, agreed, chosen, log) for h in headers]
    ct, ct_files = _ct(catalogue, headers, log)
    files = tuple(o.path for o in catalogue.objects if o.modality in ("SEG", "RTSTRUCT") and o.path.suffix != ".zip")
    first = min(zip(points, headers, strict=True), key=lambda pair: pair[0].time_h)[1]
    read = (*(Path(i.path) for h in headers for i in h.series.instances), *ct_files)
    return assemble(
        points, agreed, chosen,
        Found(region_files=files, ct=ct, source_headers=first.series.dataset(), inputs=tuple(dict.fromkeys(read)),
              catalogue=catalogue), log,
    )  # fmt: skip


def _ct(catalogue: Catalogue, headers: Sequence[ImageHeader], log: NoticeLog) -> tuple[Volume | None, tuple[Path, ...]]:
    """The CT of the earliest image that has one, with its files."""
    for header in headers:
        own = NoticeLog(strict=log.strict)
        series = choose_ct(catalogue, header.series, own)
        if series is not None:
            log.extend(own)
            return series.load(log), tuple(Path(i.path) for i in series.instances)
    return None, ()
