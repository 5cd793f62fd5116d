"""Files that a dose from images leaves behind: maps as NIfTI and RT Dose, a study for a plan, regions for a marrow case."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from fusin.dosimetry.image_dose import ImageDose
from fusin.dosimetry.organ_cases import curve_of
from fusin.dosimetry.rtdose import write_rtdose
from fusin.errors import FusinError, StrictRefusal
from fusin.imaging.nifti import write_nifti
from fusin.imaging.volume import Volume
from fusin.provenance import NoticeLog
from fusin.stats.results import Estimate

__all__ = ["image_dose_files", "marrow_text", "study_text"]


def image_dose_files(found: ImageDose, *, log: NoticeLog, created: datetime | None = None) -> dict[str, str | bytes]:
    """Contents of the files by name; one that cannot be written is named and the others are there.

    Parameters
    ----------
    found : of `image_dose`
    log : receives OUTPUT_NOT_WRITTEN and RTDOSE_WITHOUT_STUDY
    created : moment stamped into the RT Dose, left empty when None

    Returns
    -------
    dict
        ``dose.nii.gz``, ``tia.nii.gz``, ``t_eff.nii.gz``, ``bed.nii.gz``, ``dose.dcm``, ``study.toml``, ``marrow.toml``: those
        that the result has.
    """
    files: dict[str, str | bytes] = {}
    jobs: dict[str, Callable[[Path], Any]] = {}
    for name, volume in _volumes(found).items():
        jobs[name] = _nifti_job(volume)
    source = found.study.source_headers
    if found.voxels is not None and source is None:
        log.info("RTDOSE_WITHOUT_STUDY", "dose.dcm was not written: the images are no DICOM, and an RT Dose belongs to a study",
                 where="dose.dcm")  # fmt: skip
    elif found.voxels is not None:
        dose, thin = found.voxels.dose.dose, found.voxels.dose.heterogeneous
        jobs["dose.dcm"] = lambda path: write_rtdose(
            path, dose, source=source, log=log, heterogeneous=thin, created=created,
            series_description=f"fusin dose {found.study.nuclide} (research use only)",
            comment=f"Absorbed dose of {found.study.nuclide} to infinity from {len(found.study.points)} images",
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for name, write in jobs.items():
            path = Path(folder) / name
            try:
                write(path)
            except StrictRefusal:
                raise
            except FusinError as err:
                log.warning("OUTPUT_NOT_WRITTEN", f"{name} was not written: {err}", where=name)
                continue
            files[name] = path.read_bytes()
    study = study_text(found)
    if study:
        files["study.toml"] = study
    if any(r.kind == "marrow" and r.dose.integral is not None for r in found.regions):
        files["marrow.toml"] = marrow_text(found)
    return files


def study_text(found: ImageDose) -> str:
    """A study for ``fusin plan``: dose per administered GBq, half-life, curve and mass of each region; empty without a dose."""
    rows = [r for r in found.regions if r.dose.dose_gy is not None and r.dose.dose_gy.value]
    if not rows:
        return ""
    lines = [
        "# Written by fusin dose images for fusin plan. Doses are self-doses of the regions, per administered GBq, with the limits",
        "# of their 95 % intervals. Add [[limit]] tables, the marrow from fusin dose marrow, and change_u_percent.",
        f"nuclide = {_quoted(found.study.nuclide)}",
    ]
    common = max(p.u_relative for p in found.study.points)
    if common:
        lines.append(f"common_u_percent = {100 * common:.6g}")
    scale = 1000.0 / found.study.administered_mbq
    for one in rows:
        lines += ["", "[[organ]]", f"name = {_quoted(one.dose.name)}"]
        if one.dose.dose_gy is not None:
            lines += _estimate("dose_gy_per_gbq", one.dose.dose_gy, scale)
        half_life = None if one.dose.integral is None else one.dose.integral.t_eff_h
        if half_life is not None and half_life.value:
            lines += _estimate("t_eff_h", half_life, 1.0)
        curve = None if one.dose.integral is None else curve_of(one.dose.integral.parameters)
        if curve is not None:
            # Twelve digits, so that the components of an uptake still cancel at the administration.
            rates, weights = (", ".join(f"{v:.12g}" for v in values) for values in curve)
            lines.append(f"curve = {{ rates_per_h = [{rates}], weights = [{weights}] }}")
        lines.append(f"mass_g = {one.dose.mass_g:.6g}")
    return "\n".join(lines) + "\n"


def marrow_text(found: ImageDose) -> str:
    """Regions of the skeleton for ``fusin dose marrow``, with what only the user knows left to be filled in."""
    lines = [
        "# Written by fusin dose images for fusin dose marrow. What images do not say is missing and will be asked for: the energy",
        "# that active marrow absorbs, and the active marrow of each region (total_g with share, or volume_ml with",
        "# marrow_volume_share and cellularity), with their sources. A [blood] table may be added.",
        f"nuclide = {_quoted(found.study.nuclide)}",
        "",
        "[energy]",
        "# absorbed_kev =      or electron_absorbed_fraction =",
        "# source =",
    ]
    for one in found.regions:
        if one.kind != "marrow" or one.dose.integral is None:
            continue
        integral = one.dose.integral
        lines += [
            "",
            "[[region]]",
            f"name = {_quoted(one.dose.name)}",
            *_estimate("tia_mbq_h", integral.tia_mbq_h, 1.0),
        ]
        if integral.t_eff_h is not None and integral.t_eff_h.value:
            lines.append(f"t_eff_h = {integral.t_eff_h.value:.6g}")
        lines += [f"# outlined: {one.volume_ml:.6g} mL", "# total_g =      with share =", "# source ="]
    return "\n".join(lines) + "\n"


def _volumes(found: ImageDose) -> Mapping[str, Volume]:
    if found.voxels is None:
        return {}
    volumes = {"dose.nii.gz": found.voxels.dose.dose, "tia.nii.gz": found.voxels.tia}
    if found.voxels.integral.t_eff_h is not None:
        volumes["t_eff.nii.gz"] = found.voxels.integral.t_eff_h
    if found.bed is not None:
        volumes["bed.nii.gz"] = found.bed
    return volumes


def _nifti_job(volume: Volume) -> Callable[[Path], Path]:
    # Single precision holds seven digits, more than any image.
    single = Volume(values=np.asarray(volume.values, dtype=np.float32), grid=volume.grid, unit=volume.unit)
    return lambda path: write_nifti(path, single)


def _estimate(name: str, estimate: Estimate, scale: float) -> list[str]:
    lines = [f"{name} = {(estimate.value or 0.0) * scale:.6g}"]
    if estimate.low is not None and estimate.high is not None:
        lines += [f"{name}_low = {estimate.low * scale:.6g}", f"{name}_high = {estimate.high * scale:.6g}"]
    return lines


def _quoted(text: str) -> str:
    """A TOML basic string; its escapes are those of JSON, and DEL is the one that JSON leaves alone."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
