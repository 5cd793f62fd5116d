"""Moments: ISO only, zones never mixed, nothing guessed."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest

from fusin.errors import InputError
from fusin.radiopharmacy.moments import Clock, clock_of, day_of, moment

NINE = datetime(2026, 3, 2, 9, 0)


@pytest.mark.parametrize("text", ["2026-03-02T09:00", "2026-03-02 09:00:00", " 20260302T0900 "])
def test_iso_texts_are_one_moment(text):
    assert moment(text, "here", "time") == NINE


@pytest.mark.parametrize("value", ["2026-03-02", "03/04/2026 08:00", "09:00", "", 9.0, None, date(2026, 3, 2)])
def test_what_is_no_date_with_time_is_refused(value):
    with pytest.raises(InputError, match="ISO date with time"):
        moment(value, "here", "time")


def test_a_day_is_told_from_a_moment():
    assert day_of("2026-03-02") == date(2026, 3, 2)
    assert day_of(date(2026, 3, 2)) == date(2026, 3, 2)
    assert [day_of(v) for v in (NINE, "2026-03-02T09:00", "2.3.2026", 3)] == [None] * 4


def test_zones_are_compared_in_utc_and_shown_as_the_origin_has_them():
    east = timezone(timedelta(hours=2))
    clock = Clock(datetime(2026, 3, 2, 9, 0, tzinfo=east))
    assert clock.seconds(moment("2026-03-02T08:00Z", "w", "f"), "w", "f") == 3600.0
    assert clock.json(3600.0) == "2026-03-02T10:00:00+02:00"


@pytest.mark.parametrize(
    ("origin", "other"), [("2026-03-02T09:00", "2026-03-02T09:00Z"), ("2026-03-02T09:00Z", "2026-03-02T09:00")]
)
def test_a_zone_against_none_is_refused(origin, other):
    with pytest.raises(InputError, match="UTC offset"):
        Clock(moment(origin, "w", "f")).seconds(moment(other, "w", "f"), "row 3", "time")


def test_a_clock_time_among_minutes_is_refused():
    with pytest.raises(InputError, match="row 3"):
        Clock().seconds(NINE, "row 3", "time")


def test_a_wrong_century_is_refused():
    with pytest.raises(InputError, match="hundred years"):
        Clock(NINE).seconds(datetime(1026, 3, 2), "row 3", "time")


def test_relative_times_are_minutes():
    clock = clock_of([20.0, 50.0])
    assert clock.seconds(20.0, "w", "f") == 1200.0
    assert clock.json(1200.0) == 20.0
    assert clock.text(1230.0) == "20.5 min"


def test_seconds_are_shown_where_there_are_any():
    assert Clock(NINE).text(60.0) == "2026-03-02 09:01"
    assert Clock(NINE).text(89.6, day=False) == "09:01:30"


def test_no_moment_is_a_dash_and_null():
    assert Clock(NINE).text(None) == "—"
    assert Clock(NINE).json(float("-inf")) is None


def test_a_time_beyond_the_calendar_is_no_time():
    clock = Clock(datetime(9000, 1, 1))
    assert clock.json(1e12) is None
    assert clock.text(1e12) == "—"
