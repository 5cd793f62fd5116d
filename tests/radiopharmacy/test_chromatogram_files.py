"""Readers: units are stated or refused, and every mistake is one sentence with its line."""

from __future__ import annotations

import numpy as np
import pytest
from chromatogram_builders import codes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fusin.errors import FusinError, InputError, StrictRefusal
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.chromatogram_files import read_chromatogram
from fusin.radiopharmacy.chromatogram_map import ColumnMap, column_map, read_column_map
from fusin.radiopharmacy.chromatogram_units import read_heading, signal_unit


def read(tmp_path, text, mapping=None, log=None, name="run.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return read_chromatogram(path, NoticeLog() if log is None else log, mapping=mapping)


@pytest.mark.parametrize(
    ("heading", "role", "unit"),
    [
        ("time_min", "position", "min"),
        ("R.Time (min)", "position", "min"),
        ("Time [s]", "position", "s"),
        ("distance_mm", "position", "mm"),
        ("Distance (cm)", "position", "cm"),
        ("counts", "signal", "counts"),
        ("CPM", "signal", "cpm"),
        ("region_counts_per_s", "signal", "counts_per_s"),
        ("intensity_mV", "signal", "mV"),
        ("Absorbance (mAU)", "signal", "mAU"),
        ("Signal [µV]", "signal", "µV"),
        ("live_time_s", "live_time", "s"),
        ("Intensity", "", ""),
        ("x", "position", ""),
    ],
)
def test_a_heading_says_its_role_and_unit(heading, role, unit):
    found = read_heading(heading)
    assert (found.role, found.unit) == (role, unit)


@pytest.mark.parametrize(
    ("unit", "quantity", "factor", "channel"),
    [
        ("counts", "counts", 1.0, "radio"),
        ("cpm", "rate", 1.0 / 60.0, "radio"),
        ("kcps", "rate", 1000.0, "radio"),
        ("mAU", "analogue", 1.0, "uv"),
        ("mV", "analogue", 1.0, "unknown"),
    ],
)
def test_a_unit_says_what_is_measured(unit, quantity, factor, channel):
    found = signal_unit(unit, where="", field="")
    assert (found.quantity, found.factor, found.channel) == (quantity, pytest.approx(factor), channel)


@pytest.mark.parametrize(
    "text",
    [
        "time_min,counts\n0.1,5\n0.2,6\n0.3,7\n",
        "time_min;counts\r\n0.1;5\r\n0.2;6\r\n0.3;7\r\n",
        "\ufefftime_min\tcounts\n0.1\t5\n0.2\t6\n0.3\t7",
        "Detector 7\nSerial,12\n\ntime_min,counts\n0.1,5\n0.2,6\n0.3,7\n\n",
        "time_min,counts\n0.1,5,\n0.2,6,\n0.3,7,\n",
        "time_s counts\n6 5\n12 6\n18 7\n",
        '"time_min","counts"\n"0.1","5"\n"0.2","6"\n"0.3","7"\n',
    ],
)
def test_layouts_of_one_table_read_alike(tmp_path, text):
    (found,) = read(tmp_path, text)
    assert found.axis == "min"
    np.testing.assert_allclose(found.x, [0.1, 0.2, 0.3], rtol=1e-12)
    np.testing.assert_array_equal(found.y, [5.0, 6.0, 7.0])


def test_utf16_with_its_mark_is_read(tmp_path):
    (found,) = read(tmp_path, "time_min\tcounts\n1\t5\n2\t6\n3\t7\n".encode("utf-16"))
    np.testing.assert_array_equal(found.y, [5.0, 6.0, 7.0])


def test_a_decimal_comma_beside_semicolons_is_read_with_a_notice_and_refused_in_strict_mode(tmp_path):
    text = "time_min;counts\n0,1;5\n0,2;6\n0,3;7\n"
    log = NoticeLog()
    (found,) = read(tmp_path, text, log=log)
    assert found.x[0] == pytest.approx(0.1)
    assert codes(log) == ["DECIMAL_COMMA"]
    with pytest.raises(StrictRefusal):
        read(tmp_path, text, log=NoticeLog(strict=True))
    read(tmp_path, text, ColumnMap(decimal=","), log=NoticeLog(strict=True))


def test_minutes_and_seconds_of_one_run_agree(tmp_path):
    (minutes,) = read(tmp_path, "time_min,counts\n1,5\n2,6\n3,7\n")
    (seconds,) = read(tmp_path, "time_s,counts\n60,5\n120,6\n180,7\n")
    np.testing.assert_allclose(minutes.x, seconds.x, rtol=1e-12)


def test_radio_and_uv_side_by_side_give_two_channels_radio_first(tmp_path):
    radio, uv = read(tmp_path, "time_min,uv_mAU,counts\n1,0.1,5\n2,0.2,6\n3,-0.3,7\n")
    assert (radio.channel, uv.channel) == ("radio", "uv")


def test_a_map_names_columns_units_and_live_time(tmp_path):
    mapping = column_map(
        {
            "x_column": "Weg",
            "x_unit": "cm",
            "y_column": 3,
            "y_unit": "counts",
            "delimiter": "semicolon",
            "live_time_s": 2,
        },
        where="map.toml",
    )
    (found,) = read(tmp_path, "Nr;Weg;Imp\n1;1.0;5\n2;2.0;6\n3;3.0;7\n", mapping)
    assert found.axis == "mm"
    np.testing.assert_allclose(found.x, [10.0, 20.0, 30.0])
    np.testing.assert_array_equal(found.live_time_s, [2.0, 2.0, 2.0])


def test_a_block_without_headings_is_read_by_number_and_step(tmp_path):
    mapping = ColumnMap(header_line=0, x_step=0.5, x_unit="s", y_column=1, y_unit="counts", delimiter=",")
    (found,) = read(tmp_path, "5,1\n6,1\n7,1\n", mapping)
    np.testing.assert_allclose(found.x * 60.0, [0.0, 0.5, 1.0])


@pytest.mark.parametrize(
    ("text", "place", "field"),
    [
        ("time_min,counts\n0,1,5\n0,2,6\n0,3,7\n", "line 2", "fields"),
        ("distance_mm,counts\n1,5\n2,6\n2,7\n3,4\n", "line 4", "distance_mm"),
        ("distance_mm,counts\n1,5\n3,6\n2,7\n4,4\n", "line 4", "distance_mm"),
        ("distance_mm,counts\n1,5\n2,nan\n3,7\n4,4\n5,5\n", "line 3", "number"),
        ("distance_mm,counts\n1,5\n2,6\n3,7\n4,4\n5,many\n6,4\n7,8\n", "line 6", "counts"),
        ("distance_mm,counts\n1,5\n2,6\n3,7\n4,inf\n5,1\n", "line 5", "counts"),
        ("distance_mm\n1\n3\n5\n", "x.csv", "table"),
        ("", "x.csv", "file"),
        ("   \n\n", "x.csv", "file"),
        ("a,b\nc,d\n", "x.csv", "table"),
        ("time,counts\n1,4\n2,5\n3,4\n", "x.csv", "time"),
        ("time_min,intensity\n1,4\n2,5\n3,4\n", "x.csv", "signal"),
        ("time_min,counts\n-1,4\n2,5\n3,4\n", "line 2", "time_min"),
        ("time_min;counts\n1;1,234\n2;1,235\n3;1,236\n", "line 2", "number"),
        ("time_min;counts\n1,5;4\n2.5;5\n3,5;4\n", "line 2", "number"),
        ("distance_mm,counts,live_time_s\n1,12,1\n2,5,0\n3,4,1\n", "line 3", "live_time_s"),
        ("distance_mm,counts\n1,0\n2,0\n3,0\n", "x.csv", "counts"),
        ("distance_mm,time_min,counts\n1,1,0\n2,2,0\n3,3,0\n", "x.csv", "positions"),
        (b"\x00\x01\x02\xff\xfe", "x.csv", "text"),
        ("time_min,counts (\xb5)\n1,2\n".encode("latin-1"), "x.csv", "text"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_place(tmp_path, text, place, field):
    with pytest.raises(InputError) as refused:
        read(tmp_path, text, name="x.csv")
    assert place in refused.value.where
    assert field in refused.value.field
    assert "\n" not in str(refused.value)


def test_two_detectors_in_one_file_need_a_section(tmp_path):
    block = "time_min,counts\n1,{}\n2,6\n3,7\n4,8\n"
    text = f"[Detector A]\n{block.format(5)}\n[Detector B]\nname,B\n{block.format(9)}"
    with pytest.raises(InputError, match="section"):
        read(tmp_path, text)
    (found,) = read(tmp_path, text, ColumnMap(section="[Detector B]"))
    assert found.y[0] == 9.0


def test_a_unit_of_the_map_that_contradicts_the_heading_is_refused(tmp_path):
    with pytest.raises(InputError, match="min"):
        read(tmp_path, "time_min,counts\n1,5\n2,6\n3,7\n", ColumnMap(x_unit="s"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x_colum = 1", "x_colum"),
        ("delimiter = 'pipe'", "pipe"),
        ("live_time_s = -1", "-1"),
        ("x_column = 0", "0"),
        ("x_column =", "TOML"),
    ],
)
def test_a_map_with_a_mistake_is_refused(tmp_path, text, found):
    path = tmp_path / "map.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=found):
        read_column_map(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.one_of(st.binary(max_size=300), st.text(alphabet="0123456789,;.\t\n-eE nNaA\"'cmpstu_[](){}", max_size=300))
)
def test_no_bytes_whatever_end_in_a_traceback(tmp_path, data):
    """Random bytes are read or refused by type."""
    raw = data if isinstance(data, bytes) else ("time_min,counts\n" + data).encode()
    path = tmp_path / "fuzz.csv"
    path.write_bytes(raw)
    try:
        found = read_chromatogram(path, NoticeLog())
    except FusinError:
        found = ()
    assert all(np.isfinite(t.y).all() for t in found)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("distance_mm,counts\n0,10\n5,inf\n10,30\n", "line 3", "inf"),
        ("distance_mm,counts\n0,5,10\n1,0,20\n", "line 2", "decimal comma"),
        ("distance_mm,counts\n0,10\n5,20\n", "strip.csv", "2 rows of numbers"),
        ("distance_mm,counts\n", "strip.csv", "no rows of numbers"),
        ("", "strip.csv", "an empty file"),
        ("distance_mm,counts\n\n0,10\n\n5,-20\n10,30\n", "line 5", "background_subtracted"),
        ("distance_mm,counts\n\n0,10\n\n5,20\n5,30\n", "line 6", "line 5"),
    ],
)
def test_a_short_or_broken_table_is_refused_with_its_line(tmp_path, text, place, words):
    (tmp_path / "strip.csv").write_text(text)
    with pytest.raises(InputError) as refused:
        read_chromatogram(tmp_path / "strip.csv", NoticeLog())
    assert place in str(refused.value)
    assert words in str(refused.value)


def test_counts_that_are_net_already_are_read_when_the_map_says_so(tmp_path):
    (tmp_path / "strip.csv").write_text("distance_mm,counts\n0,10\n5,-20\n10,30\n")
    (trace,) = read_chromatogram(tmp_path / "strip.csv", NoticeLog(), mapping=ColumnMap(background_subtracted=True))
    assert trace.background_subtracted
    assert trace.y.tolist() == [10.0, -20.0, 30.0]


def test_a_heading_that_is_only_a_unit_is_one(tmp_path):
    (tmp_path / "run.csv").write_text("min,mAU\n0,10\n5,20\n10,30\n")
    (trace,) = read_chromatogram(tmp_path / "run.csv", NoticeLog())
    assert (trace.axis, trace.y_unit, trace.channel) == ("min", "mAU", "uv")
