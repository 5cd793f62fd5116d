"""Counter files: what a Hidex and other counters write is read as it is meant, and nothing about dates is guessed."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest

from fusin.assays.counter_files import read_counter_file, read_hidex_text, read_mapped_text
from fusin.assays.counting import CountingSetup, background_of_blanks, correct_reading
from fusin.assays.counting_maps import column_map_of, read_column_map
from fusin.assays.counting_runs import RunSetup, correct_run
from fusin.assays.counting_times import parse_clock, parse_time
from fusin.assays.synthetic_counts import REFERENCE, WIZARD_MAP, MadeTube, hidex_text, wizard_text
from fusin.errors import Ambiguous, FusinError, InputError, StrictRefusal
from fusin.provenance import NoticeLog

# Two blocks with the numbers that a Hidex 300 SL printed for a blank and a 177Lu sample, from the documentation of MetPyRad
# (LMRI-Met, 2024): the CPM is Counts / Time * 60 * DTime.
HIDEX = """Lu-177 HS3 011223_ciclo1
Start Time 12:42:53
- ROI1 Free Channel Limits 1 - 1023, Type Beta
Counting type: Low
Sample start
Samp.;1
Repe.;1
Vial;1
WName;A01
CPM;97.770
Counts;163
DTime;1.000
Time;100
EndTime;01/12/2023 12:46:16
Spectrum:;Alpha;Beta
1;0;0
Sample start
Samp.;2
Repe.;1
Vial;8
WName;A08
CPM;223744.100
Counts;335987
DTime;1.110
Time;100
EndTime;01/12/2023 12:49:40
"""
MAP = {
    "columns": {"tube": "Pos", "counts": "Counts", "live_time_s": "Time", "start_time": "Date"},
    "applied": {"dead_time": False, "background": False, "decay": False},
}


def mapped(text, log=None, order=None, **changes):
    return read_mapped_text(
        text,
        "f.txt",
        column_map_of({**MAP, **changes}, "m.toml"),
        NoticeLog() if log is None else log,
        date_order=order,
    )


def test_hidex_blocks_are_read_day_first_and_corrected_once():
    log = NoticeLog()
    blank, sample = read_hidex_text(HIDEX, "h.csv", log)
    assert (blank.tube, sample.tube) == ("A01", "A08")
    # The file has the end of each count.
    assert sample.start == datetime(2023, 12, 1, 12, 49, 40) - timedelta(seconds=100)
    setup = CountingSetup()
    net = correct_reading(sample, background_of_blanks([blank], setup, log), setup, log)
    assert net.gross.value * 60 == pytest.approx(223744.1, rel=1.5e-4)
    assert net.rate.value * 60 == pytest.approx(223744.1 - 97.77, rel=1.5e-4)
    assert len(log) == 0


def test_a_cpm_that_contradicts_its_counts_is_pointed_out():
    log = NoticeLog()
    read_hidex_text(HIDEX.replace("CPM;223744.100", "CPM;201592.200"), "h.csv", log)
    assert [n.code for n in log] == ["CPM_CONTRADICTS_COUNTS"]


def test_vials_that_share_a_window_name_are_told_apart_by_their_numbers():
    text = HIDEX.replace("WName;A01", "WName;ROI 1").replace("WName;A08", "WName;ROI 1")
    assert [r.tube for r in read_hidex_text(text, "h.csv", NoticeLog())] == ["1", "8"]


def test_counts_that_are_no_whole_numbers_are_doubted(tmp_path):
    (tmp_path / "t.csv").write_text("tube,counts,live_time_s,start_time\na,5000.5,60,2026-03-02T09:00\n")
    log = NoticeLog()
    correct_run(read_counter_file(tmp_path / "t.csv", log), RunSetup(nuclide="Lu-177", background_cpm=1.0), log)
    assert "5000.5" in next(n.message for n in log if n.code == "COUNTS_NOT_WHOLE")


def test_a_hidex_date_that_does_not_exist_is_refused_and_another_order_can_be_declared():
    text = HIDEX.replace("01/12/2023", "12/31/2023")
    with pytest.raises(InputError, match="day-first"):
        read_hidex_text(text, "h.csv", NoticeLog())
    assert read_hidex_text(text, "h.csv", NoticeLog(), date_order="month-first")[0].start.month == 12


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [("Counts;163", "Counts;x", "counts"), ("DTime;1.000", "DTime;0.9", "dtime"), ("Time;100", "Time;0", "time"),
     ("Counts;163\n", "", "counts"), ("Samp.;2\nRepe.;1\nVial;8\nWName;A08", "Samp.;1\nRepe.;1\nVial;1\nWName;A01", "tube")],
)  # fmt: skip
def test_a_broken_block_is_one_sentence_that_names_it(old, new, field):
    with pytest.raises(InputError) as caught:
        read_hidex_text(HIDEX.replace(old, new, 1), "h.csv", NoticeLog())
    assert caught.value.field == field
    assert "block" in str(caught.value)


def test_synthetic_hidex_and_wizard_files_hold_the_same_tubes(tmp_path):
    tubes = [MadeTube(name=f"t{i}", counts=1000 * i, start=REFERENCE + timedelta(seconds=70 * i), seconds=60.0, factor=1.01)
             for i in range(1, 5)]  # fmt: skip
    (tmp_path / "h.csv").write_text(hidex_text(tubes))
    (tmp_path / "w.csv").write_text(wizard_text(tubes))
    (tmp_path / "w.toml").write_text(WIZARD_MAP)
    log = NoticeLog()
    hidex = read_counter_file(tmp_path / "h.csv", log)
    wizard = read_counter_file(tmp_path / "w.csv", log, column_map=read_column_map(tmp_path / "w.toml"))
    assert [(r.counts, r.start, r.live_time_s, r.dead_time_factor) for r in hidex] == [
        (r.counts, r.start, r.live_time_s, r.dead_time_factor) for r in wizard
    ]
    assert wizard[0].tube == "1/t1"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_our_own_table_in_any_dialect(tmp_path, separator, newline):
    rows = [["Tube", "counts", "live_time_min", "start_time"], ["a", "1200", "2", "2026-03-02T09:00:00"]]
    text = "\ufeff" + newline.join(separator.join(r) for r in rows)
    (tmp_path / "t.csv").write_bytes(text.encode("utf-8"))
    (one,) = read_counter_file(tmp_path / "t.csv", NoticeLog())
    assert (one.tube, one.counts, one.live_time_s) == ("a", 1200.0, 120.0)


def test_a_date_of_two_readings_is_refused_until_its_order_is_declared():
    text = "Pos;Counts;Time;Date\n1;100;60;03/04/2026 10:00:00\n"
    with pytest.raises(Ambiguous) as caught:
        mapped(text)
    assert caught.value.code == "DATE_ORDER"
    assert mapped(text, order="day-first")[0].start == datetime(2026, 4, 3, 10)
    assert mapped(text, date_order="month-first")[0].start == datetime(2026, 3, 4, 10)


def test_clock_times_pass_midnight_with_a_notice():
    import datetime as dt

    columns = {"tube": "Pos", "counts": "Counts", "live_time_s": "Time", "start_clock": "Clock"}
    text = "Pos,Counts,Time,Clock\n1,100,60,23:58:00\n2,100,60,23:59:30\n3,100,60,00:01:00\n4,100,60,00:02:30\n"
    log = NoticeLog()
    found = mapped(text, log, columns=columns, date=dt.date(2026, 3, 31))
    assert [r.start.day for r in found] == [31, 31, 1, 1]
    assert [n.code for n in log] == ["DATE_AFTER_MIDNIGHT"]
    with pytest.raises(StrictRefusal):
        mapped(text, NoticeLog(strict=True), columns=columns, date=dt.date(2026, 3, 31))
    with pytest.raises(InputError, match="date"):
        mapped(text, columns=columns)


def test_windows_of_a_map_are_separate_readings():
    columns = {"tube": "Pos", "live_time_s": "Time"}
    text = "Pos,Ga,Lu,Time\n1,100,900,60\n"
    found = mapped(text, columns=columns, windows={"high": "Ga", "low": "Lu"})
    assert [(r.window, r.counts) for r in found] == [("high", 100.0), ("low", 900.0)]
    assert mapped(text, columns=columns, windows={"high": "Ga"}, window_unit="cpm")[0].rate_cps == pytest.approx(
        100 / 60
    )


def test_dead_time_in_percent_becomes_a_factor():
    columns = {**MAP["columns"], "dead_time_percent": "Dead"}
    found = mapped("Pos,Counts,Time,Date,Dead\n1,100,60,2026-03-02T09:00,20\n", columns=columns)
    assert found[0].dead_time_factor == pytest.approx(1.25)


@pytest.mark.parametrize(
    "wrong",
    [
        {"columns": {"tube": "Pos"}},
        {"columns": {"counts": "Counts"}},
        {"columns": {"tube": "Pos", "count": "Counts"}},
        {"applied": {"dead_time": True}},
        {"applied": None},
        {"date_order": "european"},
        {"separator": "|"},
        {"colour": 1},
        {"windows": {"a": "A"}},
        {"date": "2026-01-01"},
    ],
)
def test_a_map_that_is_none_is_refused(wrong):
    with pytest.raises(InputError):
        column_map_of({**MAP, **wrong}, "m.toml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2:05:00 PM", (14, 5, 0)), ("12:00:30 am", (0, 0, 30)), ("23:59", (23, 59, 0))],
)
def test_clock_times(text, expected):
    found = parse_clock(text, "f", "t")
    assert (found.hour, found.minute, found.second) == expected


@pytest.mark.parametrize(
    "text", ["2026-02-30T10:00:00", "2026-03-02", "31/12/26 10:00", "tomorrow", "25:00", "13:00 PM", "45000.5"]
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(FusinError):
        parse_time(text, "f", "t", order="day-first")


@pytest.mark.parametrize(
    "row",
    ["a,100,,2026-03-02T09:00", "a,-5,60,2026-03-02T09:00", "a,100,0,2026-03-02T09:00", "a,,60,2026-03-02T09:00",
     "a,100,60 s,2026-03-02T09:00", ",100,60,2026-03-02T09:00", "a,1e999,60,2026-03-02T09:00"],
)  # fmt: skip
def test_a_bad_row_of_our_table_is_refused_by_row(tmp_path, row):
    (tmp_path / "t.csv").write_text(f"tube,counts,live_time_s,start_time\n{row}\n")
    with pytest.raises(InputError) as caught:
        read_counter_file(tmp_path / "t.csv", NoticeLog())
    assert "row 1" in str(caught.value)


def test_an_end_before_its_start_and_a_mix_of_zones_are_refused(tmp_path):
    (tmp_path / "t.csv").write_text(
        "tube,counts,live_time_s,start_time,end_time\na,1,60,2026-03-02T09:00,2026-03-02T08:00\n"
    )
    with pytest.raises(InputError, match="after the start"):
        read_counter_file(tmp_path / "t.csv", NoticeLog())
    (tmp_path / "t.csv").write_text(
        "tube,counts,live_time_s,start_time\na,1,60,2026-03-02T09:00\nb,1,60,2026-03-02T09:00Z\n"
    )
    with pytest.raises(InputError, match="zone"):
        read_counter_file(tmp_path / "t.csv", NoticeLog())


def test_a_tube_that_stands_twice_is_refused_unless_it_was_repeated(tmp_path):
    (tmp_path / "t.csv").write_text("tube,counts,live_time_s\na,1,60\na,2,60\n")
    with pytest.raises(InputError, match="repeat"):
        read_counter_file(tmp_path / "t.csv", NoticeLog())
    (tmp_path / "t.csv").write_text("tube,counts,live_time_s,repeat\na,1,60,1\na,2,60,2\n")
    assert len(read_counter_file(tmp_path / "t.csv", NoticeLog())) == 2


def test_broken_files_end_in_one_sentence_and_never_in_a_traceback(tmp_path):
    """Bytes changed, cut and doubled at random: a refusal of ours, or a reading."""
    rng = np.random.default_rng(6)
    sources = (HIDEX, "Pos;Counts;Time;Date\n1;100;60;2026-04-03 10:00:00\n2;5;60;2026-04-03 10:02:00\n",
               "tube,counts,live_time_s,start_time\na,1,60,2026-03-02T09:00\n")  # fmt: skip
    cmap = column_map_of(MAP, "m.toml")
    refused: list[str] = []
    for number in range(600):
        data = bytearray(sources[number % 3].encode())
        for _ in range(rng.integers(1, 6)):
            place = int(rng.integers(0, len(data)))
            data[place : place + int(rng.integers(0, 4))] = bytes(
                rng.choice([0, 9, 10, 44, 46, 47, 48, 59, 65, 200], 2).tolist()
            )
        path = tmp_path / "x.csv"
        path.write_bytes(bytes(data))
        try:
            read_counter_file(path, NoticeLog(), column_map=cmap if number % 3 == 1 else None)
        except FusinError as err:
            refused.append(str(err))
    assert len(refused) > 50
    assert not any("\n" in sentence for sentence in refused)
