"""The SUV rules on headers given directly; each expected number is computed by hand from the formula in the docstring."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.errors import (
    Ambiguous,
    InputError,
    InvalidValue,
    MissingValue,
    NotComputable,
    StrictRefusal,
    Unsupported,
)
from fusin.imaging.body_size import normalisation
from fusin.imaging.suv import SuvOptions, SuvPlan, plan_from_header
from fusin.imaging.suv_header import FrameTiming, SuvHeader
from fusin.provenance import NoticeLog

GA68_S = 67.71 * 60  # ICRP Publication 107
START = datetime(2026, 3, 2, 11, 0)


def header(**changes: object) -> SuvHeader:
    """A plain 68Ga scan: 70 kg, 150 MBq at 10:00, series and acquisition at 11:00, decay corrected to the start."""
    base = SuvHeader(
        where="series test",
        manufacturer="SIEMENS",
        units="BQML",
        decay_correction="START",
        corrected_image=("DECY", "ATTN", "SCAT"),
        weight=70.0,
        size=1.75,
        sex="M",
        dose=150e6,
        half_life=GA68_S,
        nuclide_code="C-131A3",
        nuclide_scheme="SRT",
        injection_datetime="20260302100000.000000",
        series_start=START,
        series_time_text="110000.000000",
        radiopharmaceutical_items=1,
        frames=(FrameTiming(acquisition=START, frame_reference_time_ms=89_000.0, duration_ms=180_000.0),) * 2,
        slopes=(1.0, 1.0),
        intercepts=(0.0, 0.0),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def plan(log: NoticeLog | None = None, options: SuvOptions | None = None, **changes: object) -> SuvPlan:
    return plan_from_header(header(**changes), log if log is not None else NoticeLog(), options=options)


def timing(**changes: object) -> FrameTiming:
    return replace(FrameTiming(acquisition=START, frame_reference_time_ms=89_000.0, duration_ms=180_000.0), **changes)  # type: ignore[arg-type]


def codes(log: NoticeLog) -> set[str]:
    return {n.code for n in log}


START_FACTOR = 70_000 / (150e6 * 2 ** (-3600 / GA68_S))


def test_one_hour_after_injection_the_factor_follows_the_formula():
    # 70000 g / (150 MBq * 2**(-60/67.71)) = 8.625e-4 per Bq/mL
    assert plan().factor_suvbw_per_bqml == pytest.approx(START_FACTOR, rel=1e-12)
    assert plan().uptake_time_min == 60.0


def test_admin_corrected_values_need_neither_times_nor_a_half_life():
    p = plan(decay_correction="ADMIN", half_life=None, injection_datetime="", frames=(FrameTiming(),))
    assert p.factor_suvbw_per_bqml == pytest.approx(70_000 / 150e6, rel=1e-12)


def test_uncorrected_frames_each_get_the_factor_of_their_own_mid_count_time():
    later = timing(acquisition=START + timedelta(seconds=600))
    p = plan(decay_correction="NONE", corrected_image=("ATTN",), frames=(timing(), later))
    # T_ave of a 180 s frame of 68Ga is 89.54 s: half the frame less lambda T^2 / 24
    lam = math.log(2) / GA68_S
    average = math.log(lam * 180 / (1 - math.exp(-lam * 180))) / lam
    for factor, elapsed in zip(p.factors, (3600 + average, 4200 + average), strict=True):
        assert factor == pytest.approx(70_000 / (150e6 * 2 ** (-elapsed / GA68_S)), rel=1e-12)
    assert p.factor_suvbw_per_bqml is None


def test_decay_correction_must_be_stated():
    with pytest.raises(MissingValue, match="0054,1102"):
        plan(decay_correction="")


@pytest.mark.parametrize("units", ["PROPCNTS", "PROPCPS", "1CM", "CPS", "HU", "MIXED(a, b)"])
def test_units_outside_the_method_are_refused_by_name(units: str):
    with pytest.raises(Unsupported, match="Units"):
        plan(units=units)


def test_absent_units_are_refused():
    with pytest.raises(MissingValue, match="0054,1001"):
        plan(units="")


def test_private_reference_time_beats_a_later_series_time():
    frames = (
        timing(private_reference=START),
        timing(acquisition=START + timedelta(seconds=600), private_reference=START),
    )
    p = plan(frames=frames, private_vendor="SIEMENS", series_time_text="123000")
    assert p.rule == "BQML/START/start-private-siemens"
    assert p.factor_suvbw_per_bqml == pytest.approx(START_FACTOR, rel=1e-12)


def test_private_reference_on_some_slices_only_is_not_used():
    log = NoticeLog()
    p = plan(log, frames=(timing(private_reference=START + timedelta(hours=1)), timing()), private_vendor="SIEMENS")
    assert p.rule.endswith("start-acquisition-equals-series")
    assert "PRIVATE_TIME_INCOMPLETE" in codes(log)


def test_equal_acquisition_and_series_time_needs_no_frame_reference_time():
    frames = (timing(frame_reference_time_ms=0.0), timing(frame_reference_time_ms=None, duration_ms=None))
    assert plan(frames=frames).factor_suvbw_per_bqml == pytest.approx(START_FACTOR, rel=1e-12)


def test_late_series_time_is_back_computed_bed_by_bed():
    """Frame Reference Time counts to the mid-count time of the bed, so both beds lead back to 11:00."""
    lam = math.log(2) / GA68_S
    average = math.log(lam * 180 / (1 - math.exp(-lam * 180))) / lam
    frames = tuple(
        timing(acquisition=START + timedelta(seconds=s), frame_reference_time_ms=(s + average) * 1000.0)
        for s in (0, 190)
    )
    log = NoticeLog()
    p = plan(log, frames=frames, series_time_text="134500")
    assert p.factors == pytest.approx([START_FACTOR] * 2, rel=1e-9)
    assert "REFERENCE_BACK_COMPUTED" in codes(log)
    with pytest.raises(StrictRefusal):
        plan(NoticeLog(strict=True), frames=frames, series_time_text="134500")


def test_ge_counts_frame_reference_time_from_the_frame_start():
    frames = tuple(
        timing(acquisition=START + timedelta(seconds=s), frame_reference_time_ms=s * 1000.0, duration_ms=None)
        for s in (0, 190)
    )
    p = plan(frames=frames, series_time_text="134500", manufacturer="GE MEDICAL SYSTEMS")
    assert p.rule.endswith("start-ge-frame-reference")
    assert p.factors == pytest.approx([START_FACTOR] * 2, rel=1e-12)


def test_without_frame_duration_the_reference_is_ambiguous_except_for_ge():
    with pytest.raises(Ambiguous, match="0018,1242"):
        plan(frames=(timing(duration_ms=None),), series_time_text="134500")


def test_zero_frame_reference_time_does_not_add_the_average_time():
    log = NoticeLog()
    p = plan(log, frames=(timing(frame_reference_time_ms=0.0),), series_time_text="134500")
    assert p.factors[0] == pytest.approx(START_FACTOR, rel=1e-12)
    assert "FRAME_REFERENCE_ZERO" in codes(log)


def test_a_decay_factor_that_contradicts_the_reference_is_named():
    log = NoticeLog()
    plan(log, frames=(timing(decay_factor=1.4),), series_time_text="134500")
    assert "REFERENCE_DOUBTED" in codes(log)


@pytest.mark.parametrize(
    ("text", "clock", "reference", "expected_s"),
    [
        ("", "100000", START, 3600),
        ("", "10:00:00", START, 3600),
        ("", "1000", START, 3600),
        ("", "100000.12345678", START, 3600 - 0.123456),
        ("", "233000", datetime(2026, 3, 2, 0, 30), 3600),
        ("19600101100000", "", START, 3600),
        ("19600101233000", "", datetime(2026, 3, 2, 0, 30), 3600),
        ("", "001000", datetime(2026, 3, 1, 23, 50), -1200),
        ("20260302110500", "", START, -300),
    ],
)
def test_injection_keeps_its_clock_time_and_gets_a_date_that_fits(text, clock, reference, expected_s):
    p = plan(
        injection_datetime=text,
        injection_time=clock,
        series_time_text=reference.strftime("%H%M%S"),
        frames=(timing(acquisition=reference),),
    )
    assert p.uptake_time_min * 60 == pytest.approx(expected_s, abs=1e-3)


def test_a_dynamic_scan_may_start_before_the_injection_without_a_midnight_shift():
    p = plan(injection_datetime="", injection_time="110300")
    assert p.uptake_time_min == -3.0


def test_a_long_lived_nuclide_needs_a_real_date():
    zr89 = {"half_life": 282_276.0, "nuclide_code": "", "injection_datetime": "", "injection_time": "100000"}
    with pytest.raises(Ambiguous, match="41400"):
        plan(**zr89)
    with pytest.raises(Ambiguous, match="41400"):
        plan(**{**zr89, "injection_datetime": "19600101100000"})
    three_days = plan(**{**zr89, "injection_datetime": "20260227100000"})
    assert three_days.uptake_time_min == pytest.approx(3 * 1440 + 60)


def test_an_injection_ten_half_lives_before_the_scan_is_refused():
    # 22 h before a 68Ga scan nothing is left: the clock time is wrong
    with pytest.raises(InvalidValue, match="half-lives"):
        plan(injection_datetime="", injection_time="130000")


def test_injection_times_that_disagree_are_named_and_the_date_time_wins():
    log = NoticeLog()
    p = plan(log, injection_time="093000")
    assert p.uptake_time_min == 60.0
    assert "INJECTION_TIMES_DISAGREE" in codes(log)


def test_a_utc_offset_on_the_injection_alone_is_read_as_the_scanners_clock():
    log = NoticeLog()
    assert plan(log, injection_datetime="20260302100000+0100").uptake_time_min == 60.0
    assert "TIMEZONE_ON_ONE_SIDE" in codes(log)


def test_with_a_known_time_zone_the_injection_is_converted():
    log = NoticeLog()
    assert plan(log, injection_datetime="20260302090000+0000", timezone="+0100").uptake_time_min == 60.0
    assert "TIMEZONE_CONVERTED" in codes(log)


def test_absent_injection_time_is_refused_unless_ge_states_it_privately():
    with pytest.raises(MissingValue, match="0018,1078"):
        plan(injection_datetime="")
    p = plan(injection_datetime="", private={"administered": "20260302100000"})
    assert p.uptake_time_min == 60.0


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("weight", None, MissingValue),
        ("weight", 0.0, MissingValue),
        ("weight", -3.0, InvalidValue),
        ("weight", math.nan, InvalidValue),
        ("dose", None, MissingValue),
        ("dose", 0.0, InvalidValue),
        ("dose", -1.0, InvalidValue),
        ("dose", math.nan, InvalidValue),
        ("half_life", None, MissingValue),
        ("half_life", 0.0, InvalidValue),
        ("half_life", math.nan, InvalidValue),
    ],
)
def test_an_impossible_quantity_is_refused_by_type(field, value, error):
    with pytest.raises(error):
        plan(**{field: value})


def test_dose_in_mbq_and_weight_in_grams_are_adapted_with_a_notice():
    log = NoticeLog()
    assert plan(log, dose=150.0, weight=70_000.0).factor_suvbw_per_bqml == pytest.approx(START_FACTOR, rel=1e-12)
    assert {"DOSE_IN_MBQ", "WEIGHT_IN_GRAMS"} <= codes(log)
    for change in ({"dose": 150.0}, {"weight": 70_000.0}):
        with pytest.raises(StrictRefusal):
            plan(NoticeLog(strict=True), **change)


def test_a_weight_that_slipped_into_the_size_field_is_pointed_out():
    with pytest.raises(MissingValue, match="may be the weight"):
        plan(weight=None, size=70.0)


def test_missing_half_life_is_refused_and_taken_from_the_code_only_when_asked():
    with pytest.raises(MissingValue, match="Ga-68"):
        plan(half_life=None)
    log = NoticeLog()
    p = plan(log, SuvOptions(half_life_from_code=True), half_life=None)
    assert p.factor_suvbw_per_bqml == pytest.approx(START_FACTOR, rel=1e-12)
    assert "HALF_LIFE_FROM_CODE" in codes(log)


def test_the_headers_half_life_is_used_and_its_difference_named():
    log = NoticeLog()
    p = plan(log, half_life=4080.0)
    assert p.half_life_s == 4080.0
    assert "HALF_LIFE_ROUNDED" in codes(log)
    # G14: the half-life of 18F on a 68Ga scan at 60 min lowers SUV by 21 %
    doubt = NoticeLog()
    f18 = plan(doubt, half_life=6586.2)
    assert f18.factors[0] / START_FACTOR == pytest.approx(0.79, abs=0.01)
    assert "HALF_LIFE_DIFFERS" in codes(doubt)


def test_a_half_life_in_minutes_is_recognised_by_the_nuclide():
    log = NoticeLog()
    assert plan(log, half_life=67.71).factors[0] == pytest.approx(START_FACTOR, rel=1e-9)
    assert "HALF_LIFE_IN_MINUTES" in codes(log)


def test_two_radiopharmaceuticals_need_a_choice():
    with pytest.raises(Ambiguous, match="radiopharmaceutical"):
        plan(radiopharmaceutical_items=2)
    assert plan(options=SuvOptions(item=1), radiopharmaceutical_items=2).factors


def test_ten_percent_residual_raises_suv_by_a_ninth():
    p = plan(options=SuvOptions(residual=15.0))
    assert p.factors[0] / START_FACTOR == pytest.approx(1 / 0.9, rel=1e-12)
    with pytest.raises(InputError, match="residual"):
        plan(options=SuvOptions(residual=150.0))


def test_ge_private_residual_is_decayed_to_the_injection():
    # drawn 200 MBq at 09:00, left 10 MBq at 10:05; at 10:00: 200*2**(-60/67.71) - 10*2**(5/67.71) = 97.69 MBq
    private = {
        "pre_activity": "200",
        "pre_time": "20260302090000",
        "post_activity": "10",
        "post_time": "20260302100500",
    }
    p = plan(options=SuvOptions(residual="header"), private=private)
    expected = 200 * 2 ** (-60 / 67.71) - 10 * 2 ** (5 / 67.71)
    assert p.activity_mbq == pytest.approx(expected, rel=1e-9)
    with pytest.raises(InputError, match="GE private"):
        plan(options=SuvOptions(residual="header"))


def test_gml_is_body_weight_unless_the_suv_type_says_otherwise():
    assert plan(units="GML", weight=None, dose=None).factors == (1.0, 1.0)
    janma = plan(units="GML", suv_type="LBMJANMA")
    assert janma.factors[0] == pytest.approx(
        70 / normalisation("lbm-janmahasatian", weight_kg=70, height_cm=175, sex="M")
    )
    with pytest.raises(Unsupported, match="SUV Type"):
        plan(units="GML", suv_type="NONSENSE")
    with pytest.raises(Ambiguous):
        plan(units="GML", suv_type="BSA")


def test_cm2ml_goes_back_to_body_weight():
    # Du Bois: 0.007184 * 175**0.725 * 70**0.425 = 1.8481 m2; SUVbw = SUVbsa * 70000 g / 18481 cm2
    assert plan(units="CM2ML").factors[0] == pytest.approx(70_000 / 18_481, rel=1e-4)


def test_philips_counts_use_the_activity_factor_and_watch_the_suv_factor():
    both = {"units": "CNTS", "manufacturer": "Philips", "philips_activity_factor": 2.5}
    assert plan(**both).factors[0] == pytest.approx(2.5 * START_FACTOR, rel=1e-12)
    log = NoticeLog()
    plan(log, **both, philips_suv_factor=2.5 * START_FACTOR * 1.05)
    assert "PHILIPS_FACTORS_DISAGREE" in codes(log)
    assert plan(units="CNTS", philips_suv_factor=0.004).factors == (0.004, 0.004)
    with pytest.raises(MissingValue, match="7053"):
        plan(units="CNTS", philips_suv_factor=0.004, decay_correction="NONE", corrected_image=("ATTN",))
    with pytest.raises(MissingValue, match="7053"):
        plan(units="CNTS", philips_suv_factor=0.0, philips_activity_factor=0.0)


def test_bqml_beside_a_philips_count_factor_is_doubted():
    log = NoticeLog()
    plan(log, philips_activity_factor=1.7)
    assert "BQML_WITH_COUNT_FACTOR" in codes(log)


def test_images_without_attenuation_correction_are_refused():
    with pytest.raises(Unsupported, match="attenuation"):
        plan(corrected_image=("DECY", "SCAT"))


def test_enhanced_objects_state_their_reference_moment():
    p = plan(enhanced=True, decay_correction="DATETIME", decay_reference="20260302110000.00", series_time_text="150000")
    assert p.factor_suvbw_per_bqml == pytest.approx(START_FACTOR, rel=1e-12)
    with pytest.raises(MissingValue, match="0018,9701"):
        plan(enhanced=True, decay_correction="DATETIME")


@pytest.mark.parametrize(
    ("norm", "sex", "weight", "height", "expected"),
    [
        # Janmahasatian 2005 against James 1976 in a woman of 150 kg and 160 cm: 60.3 and 30.4 kg (imaging literature, G19)
        ("lbm-janmahasatian", "F", 150, 160, 60.3),
        ("lbm-james128", "F", 150, 160, 30.4),
        ("ibw", "M", 70, 175, 48.0 + 1.06 * 23),
        ("ibw", "O", 70, 175, ((48.0 + 1.06 * 23) + (45.5 + 0.91 * 23)) / 2),
        ("lbm-morgan120", "M", 70, 175, 77.0 - 120 * 0.16),
        ("bsa", "F", 70, 170, 1.8097),
    ],
)
def test_norms_give_the_published_values(norm, sex, weight, height, expected):
    assert normalisation(norm, weight_kg=weight, height_cm=height, sex=sex) == pytest.approx(expected, abs=0.05)


def test_james_collapses_in_extreme_obesity_and_is_refused():
    with pytest.raises(InvalidValue, match="lbm-janmahasatian"):
        normalisation("lbm-james128", weight_kg=300, height_cm=150, sex="F")


@given(
    weight=st.floats(3, 250),
    dose=st.floats(2e4, 1e10),
    minutes=st.floats(-50, 120),
    half_life=st.floats(3600, 41000),
)
@settings(max_examples=60, deadline=None)
def test_suv_scales_with_weight_and_inversely_with_activity(weight, dose, minutes, half_life):
    injected = START - timedelta(minutes=minutes)
    text = injected.strftime("%Y%m%d%H%M%S.%f")
    p = plan(weight=weight, dose=dose, half_life=half_life, injection_datetime=text, nuclide_code="")
    expected = weight * 1000 / (dose * 2 ** (-minutes * 60 / half_life))
    assert p.factors[0] == pytest.approx(expected, rel=1e-6)


_ODD_NUMBERS = st.one_of(
    st.none(), st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0.0, -1.0, 70.0, 1e300, 5e-324])
)
_ODD_TEXT = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["", "20260302100000", "1000", "99999999999999", "20260302100000+0100", "GML"]),
)


_FIELDS = {
    "units": st.one_of(_ODD_TEXT, st.sampled_from(["BQML", "GML", "CM2ML", "CNTS", "PROPCNTS"])),
    "decay_correction": st.one_of(_ODD_TEXT, st.sampled_from(["START", "ADMIN", "NONE", "DATETIME"])),
    "weight": _ODD_NUMBERS,
    "size": _ODD_NUMBERS,
    "dose": _ODD_NUMBERS,
    "half_life": _ODD_NUMBERS,
    "injection_datetime": _ODD_TEXT,
    "injection_time": _ODD_TEXT,
    "series_time_text": _ODD_TEXT,
    "decay_reference": _ODD_TEXT,
    "suv_type": _ODD_TEXT,
    "sex": _ODD_TEXT,
    "timezone": _ODD_TEXT,
    "manufacturer": st.sampled_from(["", "GE MEDICAL SYSTEMS", "Philips", "SIEMENS", "X"]),
    "philips_activity_factor": _ODD_NUMBERS,
    "philips_suv_factor": _ODD_NUMBERS,
    "frames": st.tuples(
        st.builds(timing, duration_ms=_ODD_NUMBERS, frame_reference_time_ms=_ODD_NUMBERS, decay_factor=_ODD_NUMBERS)
    ),
}


@given(data=st.data(), names=st.lists(st.sampled_from(sorted(_FIELDS)), min_size=1, max_size=4, unique=True))
@settings(max_examples=300, deadline=None)
def test_no_header_crashes_and_none_gives_a_silent_wrong_unit(data, names):
    changes = {name: data.draw(_FIELDS[name], label=name) for name in names}
    try:
        p = plan(**changes)
    except (NotComputable, InputError):
        return
    assert str(changes.get("units", "BQML")).strip().upper() in ("BQML", "GML", "CM2ML", "CNTS")
    assert all(math.isfinite(f) and f > 0 for f in p.factors)


@pytest.mark.parametrize("value", [0.0, -1.0, 1e300, 5e-324, math.inf, math.nan])
@pytest.mark.parametrize("correction", ["START", "NONE"])
def test_durations_no_scan_can_have_are_refused_or_harmless(value, correction):
    for frame in (timing(duration_ms=value), timing(frame_reference_time_ms=value), timing(decay_factor=value)):
        try:
            p = plan(decay_correction=correction, series_time_text="134500", frames=(frame,))
        except NotComputable:
            continue
        assert p.factors[0] == pytest.approx(START_FACTOR, rel=0.05)
