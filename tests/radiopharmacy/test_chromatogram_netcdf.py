"""ANDI/AIA files: seconds are not minutes, and what is missing is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import netcdf_file

from fusin.errors import FusinError, InputError
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.chromatogram_files import read_chromatogram
from fusin.radiopharmacy.chromatogram_map import ColumnMap


def andi(path, *, unit="seconds", detector="mAU", step=0.5, delay=0.25, run=None, y=None, retention=None):
    y = np.arange(1.0, 41.0) if y is None else np.asarray(y, dtype=float)
    with netcdf_file(str(path), "w") as file:
        file.createDimension("point_number", y.size)
        if unit is not None:
            file.retention_unit = unit
        if detector is not None:
            file.detector_unit = detector
        file.sample_name = "made up"
        values = {"actual_sampling_interval": step, "actual_delay_time": delay, "actual_run_time_length": run}
        for name, value in values.items():
            if value is not None:
                file.createVariable(name, "d", ()).data[...] = value
        file.createVariable("ordinate_values", "f", ("point_number",))[:] = y
        if retention is not None:
            file.createVariable("raw_data_retention", "d", ("point_number",))[:] = retention
    return path


def read(path, mapping=None):
    return read_chromatogram(path, NoticeLog(), mapping=mapping)[0]


def test_seconds_and_minutes_differ_by_sixty(tmp_path):
    seconds = read(andi(tmp_path / "s.cdf", unit="seconds"))
    minutes = read(andi(tmp_path / "m.cdf", unit="Minutes"))
    np.testing.assert_allclose(minutes.x, 60.0 * seconds.x)
    np.testing.assert_allclose(seconds.x[:2] * 60.0, [0.25, 0.75])


def test_stated_times_of_each_point_are_used(tmp_path):
    times = np.cumsum(np.linspace(0.4, 0.6, 40))
    found = read(andi(tmp_path / "r.cdf", retention=times))
    np.testing.assert_allclose(found.x * 60.0, times)


def test_a_file_without_a_unit_of_time_needs_one_that_is_stated(tmp_path):
    path = andi(tmp_path / "n.cdf", unit=None)
    with pytest.raises(InputError, match="seconds or minutes"):
        read(path)
    assert read(path, ColumnMap(x_unit="s")).x[1] * 60.0 == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"detector": None}, "detector_unit"),
        ({"unit": "furlongs"}, "retention_unit"),
        ({"step": None}, "actual_sampling_interval"),
        ({"step": 0.0}, "actual_sampling_interval"),
        ({"delay": None}, "actual_delay_time"),
        ({"run": 19.5 / 60.0}, "actual_run_time_length"),
        ({"y": [1.0, np.nan, 2.0, 3.0]}, "ordinate_values"),
    ],
)
def test_what_is_missing_or_contradicts_is_refused_by_field(tmp_path, change, field):
    with pytest.raises(InputError) as refused:
        read(andi(tmp_path / "bad.cdf", **change))
    assert refused.value.field == field


def test_a_netcdf4_file_is_refused_with_the_way_out(tmp_path):
    path = tmp_path / "new.cdf"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(InputError, match="classic"):
        read(path)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 700), value=st.integers(0, 255), cut=st.integers(0, 900))
def test_damaged_files_are_refused_and_never_a_traceback(tmp_path, at, value, cut):
    raw = bytearray(andi(tmp_path / "whole.cdf").read_bytes())
    raw[min(at, len(raw) - 1)] = value
    path = tmp_path / "damaged.cdf"
    path.write_bytes(bytes(raw[: max(len(raw) - cut, 4)]))
    refused = ""
    try:
        found = read(path)
    except FusinError as err:
        refused = str(err)
    assert "\n" not in refused
    assert refused or np.isfinite(found.x).all()
