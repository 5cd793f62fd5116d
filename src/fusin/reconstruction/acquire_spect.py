"""A SPECT as a configuration describes it: counts of the photopeak, scatter windows, attenuation, collimator, calibration."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from fusin.errors import InputError
from fusin.provenance import Method, NoticeLog
from fusin.reconstruction.acquire_attenuation import read_attenuation
from fusin.reconstruction.acquire_dead_time import read_dead_time
from fusin.reconstruction.acquired import Acquired
from fusin.reconstruction.collimator import CollimatorResponse
from fusin.reconstruction.config import Config, Fields
from fusin.reconstruction.data import Measured
from fusin.reconstruction.scatter_windows import SMOOTH_MM, Scatter, dual_window, triple_window
from fusin.reconstruction.spect import SpectProjector
from fusin.reconstruction.spect_acquisition import SpectAcquisition, decay_weights
from fusin.reconstruction.spect_calibration import spect_scale

__all__ = ["acquire_spect"]

_METHODS = (
    Method("rotate-attenuate-blur", "Rotate, attenuate, blur by depth: Zeng GL, Gullberg GT, IEEE Trans Nucl Sci 39 (1992) "
           "1487-1490."),
)  # fmt: skip
_SCATTER = {
    "tew": Method("triple-energy-window", "Ogawa K et al., IEEE Trans Med Imaging 10 (1991) 408-412."),
    "dew": Method("dual-energy-window", "Jaszczak RJ et al., J Nucl Med 25 (1984) 893-900."),
}


def acquire_spect(config: Config, *, log: NoticeLog) -> Acquired:
    """Read the projections and build projector and counts.

    Parameters
    ----------
    config : with the modality ``spect``
    log : receives notices

    Raises
    ------
    InputError, NotComputable
        For files and tables that cannot be used or do not fit together.
    """
    data = config.fields("data")
    acquisition = _completed(_read(data, log), config)
    window = _window(data, "window")
    counts = acquisition.of_window(window)
    geometry, view_time, decay = decay_weights(acquisition, log)
    dead = read_dead_time(config, acquisition, log)
    if dead is not None:
        geometry = replace(geometry, weights=geometry.weights * dead.shares)
    grid = geometry.grid(frame_of_reference_uid=acquisition.frame_of_reference_uid)
    attenuation = read_attenuation(config, grid, energy_kev=None, log=log)
    response = _response(config.fields("resolution")) if config.has("resolution") else None
    scatter, method = _scatter(config, acquisition, window, log)
    used = acquisition.windows[acquisition.index(window)]
    sentences = [
        *acquisition.corrections,
        f"Counts: energy window {used.words()}.",
        attenuation.sentence,
        "Resolution: "
        + ("not corrected." if response is None else f"collimator by depth, {response.words()}, within the model."),
        "Scatter: not corrected." if scatter is None else scatter.sentence,
        *(() if dead is None else (dead.sentence,)),
    ]
    scale, u_relative = _calibration(config, view_time, grid.voxel_volume_ml)
    if dead is not None and scale is not None:
        u_relative = math.hypot(u_relative, dead.u_relative)
    return Acquired(
        projector=SpectProjector(geometry, grid, mu=attenuation.mu, response=response),
        measured=Measured(
            counts=counts, additive=None if scatter is None else scatter.counts, corrections=tuple(sentences),
            redraw_additive=None if scatter is None else scatter.redraw, name=acquisition.name,
        ),
        grid=grid, angles_deg=geometry.angles_deg, scale=scale, u_relative=u_relative, mu=attenuation.mu,
        started=acquisition.started, nuclide=acquisition.nuclide, duration_s=view_time, decay=decay,
        header=acquisition.header if acquisition.header is not None else config.study_header(), views_in_turn=_in_turn(acquisition),
        energy_kev=None if used.low_kev is None or used.high_kev is None else (used.low_kev, used.high_kev),
        decayed_to_start=bool(acquisition.nuclide) and acquisition.starts_s is not None and view_time is not None,
        terms=_terms(attenuation.mu is not None, scatter is not None, dead is not None, config),
        inputs=(*acquisition.inputs, *attenuation.inputs),
        fingerprint=_fingerprint(geometry, response), methods=(*_METHODS, *((_SCATTER[method],) if method in _SCATTER else ())),
    )  # fmt: skip


def _read(data: Fields, log: NoticeLog) -> SpectAcquisition:
    from fusin.reconstruction.spect_files import read_spect

    path = data.path("projections", required=True)
    assert path is not None
    return read_spect(
        path, log=log, radius_mm=data.number("radius_mm", above=0.0), zero_angle_deg=data.number("zero_angle_deg")
    )


def _in_turn(acquisition: SpectAcquisition) -> int | None:
    if acquisition.starts_s is None:
        return None
    return int(np.unique(np.round(acquisition.starts_s, 2)).size)


def _terms(attenuation: bool, scatter: bool, dead: bool, config: Config) -> tuple[str, ...]:
    dead_time = dead or (config.calibration is not None and config.calibration.dead_time_factor > 1.0)
    done = (("ATTN", attenuation), ("SCAT", scatter), ("DTIM", dead_time))
    return tuple(term for term, made in done if made)


def _completed(acquisition: SpectAcquisition, config: Config) -> SpectAcquisition:
    """What the file does not say, from the configuration; a contradiction is refused."""
    where = f"{config.path.name}, acquisition"
    changes: dict[str, Any] = {}
    if config.nuclide:
        if acquisition.nuclide and acquisition.nuclide != config.nuclide:
            raise InputError(
                where, "nuclide", config.nuclide, f"{acquisition.nuclide}, as {acquisition.name} states, or nothing"
            )
        changes["nuclide"] = config.nuclide
    if config.start is not None:
        if acquisition.started is not None and acquisition.started.replace(tzinfo=None) != config.start.replace(
            tzinfo=None
        ):
            raise InputError(where, "start", config.start.isoformat(), f"{acquisition.started.isoformat()}, as {acquisition.name} "
                             "states, or nothing")  # fmt: skip
        changes["started"] = acquisition.started or config.start
    duration = None if config.calibration is None else config.calibration.duration_s
    if duration is not None:
        stated = acquisition.view_time_s()
        if stated is not None and abs(stated - duration) > 1e-3 * duration:
            raise InputError(f"{config.path.name}, calibration", "duration_s", duration,
                             f"{stated:g} s, the time of a view in {acquisition.name}, or nothing")  # fmt: skip
        if stated is None:
            changes["durations_s"] = np.full(acquisition.geometry.views, duration)
    return replace(acquisition, **changes) if changes else acquisition


def _window(fields: Fields, name: str, *, required: bool = False) -> str | float | None:
    value = fields.take(name)
    if value is None and not required:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or value == "":
        raise InputError(
            fields.where, name, "nothing" if value is None else str(value), "an energy window: its name or its number"
        )
    return value


def _scatter(
    config: Config, acquisition: SpectAcquisition, window: str | float | None, log: NoticeLog
) -> tuple[Scatter | None, str]:
    fields = config.fields("scatter")
    method = fields.word("method", ("none", "tew", "dew"), "none")
    if method == "none":
        return None, method
    smooth = fields.number("smooth_mm", least=0.0)
    lower = _window(fields, "lower", required=True)
    assert lower is not None
    more: dict[str, Any] = {
        "peak": window,
        "lower": lower,
        "smooth_mm": SMOOTH_MM if smooth is None else smooth,
        "log": log,
    }
    if method == "dew":
        return dual_window(acquisition, k=fields.needed("k", above=0.0), **more), method
    return triple_window(acquisition, upper=_window(fields, "upper"), **more), method


def _response(fields: Fields) -> CollimatorResponse:
    """The collimator by one of its three descriptions."""
    kinds = [n for n in ("slope", "distances_mm", "hole_mm") if n in fields]
    if len(kinds) != 1:
        raise InputError(fields.where, "collimator", " and ".join(kinds) or "nothing",
                         "one of slope with intercept_mm, distances_mm with widths_mm, or hole_mm with length_mm")  # fmt: skip
    if kinds == ["slope"]:
        return CollimatorResponse.linear(slope=fields.needed("slope", least=0.0),
                                         intercept_mm=fields.needed("intercept_mm", least=0.0))  # fmt: skip
    if kinds == ["distances_mm"]:
        widths = fields.numbers("widths_mm")
        return CollimatorResponse.table(np.array(fields.numbers("distances_mm") or ()), np.array(widths or ()))
    return CollimatorResponse.holes(
        hole_mm=fields.needed("hole_mm", above=0.0), length_mm=fields.needed("length_mm", above=0.0),
        mu_per_cm=fields.needed("mu_per_cm", above=0.0), intrinsic_fwhm_mm=fields.needed("intrinsic_fwhm_mm", least=0.0),
        gap_mm=fields.number("gap_mm", least=0.0) or 0.0,
    )  # fmt: skip


def _calibration(config: Config, view_time_s: float | None, voxel_ml: float) -> tuple[float | None, float]:
    calibration = config.calibration
    if calibration is None:
        return None, 0.0
    if view_time_s is None:
        raise InputError(
            f"{config.path.name}, calibration",
            "duration_s",
            "nothing",
            "the time of a view; the file does not state it",
        )
    scale = spect_scale(
        cps_per_mbq=calibration.factor, u_cps_per_mbq=calibration.factor * calibration.u_relative, view_time_s=view_time_s,
        voxel_ml=voxel_ml, dead_time_factor=calibration.dead_time_factor,
    )  # fmt: skip
    return scale.bq_ml_per_count, scale.u_relative


def _fingerprint(geometry: Any, response: CollimatorResponse | None) -> dict[str, Any]:
    names = ("angles_deg", "radii_mm", "first_row_mm", "bin_shift_mm", "weights")
    held = {n: np.round(getattr(geometry, n), 6).tolist() for n in names}
    return {"geometry": held, "collimator": None if response is None else response.words()}
