"""ANDI/AIA chromatograms (ASTM E1947): netCDF classic files of many vendors, read with scipy alone."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.chromatogram import Channel, FilePeak, FloatArray, Trace, checked_positions
from fusin.radiopharmacy.chromatogram_map import ColumnMap
from fusin.radiopharmacy.chromatogram_units import position_unit, signal_unit

__all__ = ["is_netcdf", "read_netcdf"]

_MAGIC = b"CDF"
_HDF = b"\x89HDF"
_TOLD = ("sample_name", "sample_id", "injection_date_time_stamp", "detector_name", "detection_method_name",
         "operator_name", "experiment_title")  # fmt: skip


def is_netcdf(head: bytes) -> bool:
    """Whether a file begins like netCDF, classic or HDF5-based."""
    return head.startswith((_MAGIC, _HDF))


def read_netcdf(path: Path, mapping: ColumnMap, log: NoticeLog) -> Trace:
    """Read an ANDI/AIA file.

    Times are ``actual_delay_time + i * actual_sampling_interval``, or ``raw_data_retention`` where it is present.

    Raises
    ------
    InputError
        For a file that is no netCDF classic, lacks a variable, or does not say whether its times are seconds or
        minutes (a factor of 60) and the map does not either.
    """
    where = path.name
    from scipy.io import netcdf_file

    if path.read_bytes()[:4].startswith(_HDF):
        raise InputError(where, "file", "netCDF-4 (HDF5)", "netCDF classic, as ASTM E1947 has it (nccopy -k classic)")
    try:
        with netcdf_file(str(path), "r", mmap=False) as file:
            variables = {str(k): _array(v[:] if v.shape else v.getValue()) for k, v in file.variables.items()}
            attributes = {str(k): _text(v) for k, v in vars(file)["_attributes"].items()}
    except Exception as err:
        # A damaged file breaks scipy's reader in many ways, none of which a user can act on otherwise.
        raise InputError(where, "file", f"bytes that are no readable netCDF ({type(err).__name__})",
                         "an ANDI/AIA file of netCDF classic") from err  # fmt: skip
    y = _numbers(variables, "ordinate_values", where)
    unit = _unit(attributes, "retention_unit", mapping.x_unit, "x_unit", where, "seconds or minutes")
    axis, factor = position_unit(unit, where=where, field="retention_unit")
    if axis != "min":
        raise InputError(where, "retention_unit", unit, "a unit of time")
    measured = signal_unit(
        _unit(attributes, "detector_unit", mapping.y_unit, "y_unit", where, "the unit of the signal, such as mAU"),
        where=where, field="detector_unit",
    )  # fmt: skip
    x = _times(variables, y.size, where) * factor
    _check_length(variables, y.size, where)
    channel: Channel = mapping.channel or measured.channel  # type: ignore[assignment]  # the map allows no other word
    live = None if mapping.live_time_s is None else np.full(y.size, mapping.live_time_s)
    return Trace(
        x=checked_positions(x, where=where, name="retention time"), y=y * measured.factor, axis="min",
        y_unit=measured.text, quantity=measured.quantity, channel=channel, live_time_s=live,
        name=attributes.get("detector_name", ""), where=where,
        sample={k: attributes[k] for k in _TOLD if attributes.get(k)}, file_peaks=_peaks(variables, factor),
    )  # fmt: skip


def _array(value: Any) -> Any:
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype.kind in "iuf" else array.copy()


def _text(value: Any) -> str:
    raw = value if isinstance(value, bytes) else str(value).encode()
    return raw.decode("utf-8", errors="replace").strip("\x00 ").strip()


def _numbers(variables: dict[str, Any], name: str, where: str) -> FloatArray:
    if name not in variables:
        raise InputError(where, name, "nothing", "a variable of that name, as ANDI/AIA chromatograms have")
    values = np.atleast_1d(variables[name])
    if values.dtype.kind != "f" or values.ndim != 1:
        raise InputError(where, name, f"{values.dtype} of shape {values.shape}", "a row of numbers")
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise InputError(f"{where} point {int(bad[0]) + 1}", name, str(values[bad[0]]), "a finite number")
    return np.asarray(values, dtype=np.float64)


def _unit(attributes: dict[str, str], name: str, stated: str | None, key: str, where: str, needed: str) -> str:
    """A unit: the file's own, or the one that the map states where the file has none."""
    own = attributes.get(name, "")
    if own and stated and own.lower() != stated.lower():
        raise InputError(where, name, own, f"the unit of the column map, {stated}, or a map without {key}")
    if not own and not stated:
        raise InputError(where, name, "nothing", f"{needed}: state {key} in a column map")
    return own or str(stated)


def _scalar(variables: dict[str, Any], name: str) -> float | None:
    if name not in variables:
        return None
    values = np.atleast_1d(variables[name])
    return float(values[0]) if values.dtype.kind == "f" and values.size and math.isfinite(float(values[0])) else None


def _times(variables: dict[str, Any], points: int, where: str) -> FloatArray:
    if "raw_data_retention" in variables:
        own = _numbers(variables, "raw_data_retention", where)
        if own.size == points:
            return own
    step, delay = _scalar(variables, "actual_sampling_interval"), _scalar(variables, "actual_delay_time")
    if step is None or step <= 0:
        raise InputError(where, "actual_sampling_interval", step, "a positive number")
    if delay is None:
        raise InputError(where, "actual_delay_time", delay, "a number, 0 when recording begins with the injection")
    return np.asarray(delay + step * np.arange(points), dtype=np.float64)


def _check_length(variables: dict[str, Any], points: int, where: str) -> None:
    """The run time that a file states must be the one of its points; a factor of 60 says that units are mixed."""
    length, step = _scalar(variables, "actual_run_time_length"), _scalar(variables, "actual_sampling_interval")
    if length is None or step is None or length <= 0 or "raw_data_retention" in variables:
        return
    ratio = length / (step * max(points - 1, 1))
    if 50.0 < ratio < 70.0 or 1.0 / 70.0 < ratio < 1.0 / 50.0:
        raise InputError(where, "actual_run_time_length", length,
                         f"{step * (points - 1):g}, as interval and points say; seconds and minutes are mixed")  # fmt: skip


def _peaks(variables: dict[str, Any], factor: float) -> tuple[FilePeak, ...]:
    """Peaks that the file reports; none when the vendor left them out or they are incomplete."""
    times, areas = variables.get("peak_retention_time"), variables.get("peak_area")
    if times is None or areas is None:
        return ()
    times, areas = np.atleast_1d(times), np.atleast_1d(areas)
    if times.dtype.kind != "f" or areas.dtype.kind != "f" or times.shape != areas.shape or times.ndim != 1:
        return ()
    starts, ends = (_bounds(variables, name, times.size) for name in ("peak_start_time", "peak_end_time"))
    return tuple(
        FilePeak(float(t) * factor, a and a * factor, b and b * factor, float(area))
        for t, a, b, area in zip(times, starts, ends, areas, strict=True)
        if math.isfinite(float(t)) and math.isfinite(float(area))
    )


def _bounds(variables: dict[str, Any], name: str, count: int) -> list[float | None]:
    values = np.atleast_1d(variables.get(name, np.zeros(0)))
    if values.dtype.kind != "f" or values.shape != (count,) or not np.isfinite(values).all():
        return [None] * count
    return [float(v) for v in values]
