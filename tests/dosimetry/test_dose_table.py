"""A table in, integrals and doses out: units, decay corrections, masses, and every way a table can be wrong."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fusin.dosimetry.dose_table import DoseOptions, dose_table
from fusin.dosimetry.priors import population_priors
from fusin.dosimetry.spheres import sphere_s
from fusin.dosimetry.synthetic_time_activity import STUDY, make_times_csv
from fusin.dosimetry.time_activity_region import IntegrationOptions
from fusin.errors import FusinError, InputError, NotComputable, StrictRefusal
from fusin.provenance import NoticeLog

T = [4.0, 24.0, 72.0, 144.0]
A = [98.0, 75.0, 37.0, 12.0]
LU = 159.528


def frame(**columns):
    return pd.DataFrame({"region": "kidney", "time_h": T, "activity_mbq": A} | columns)


def run(source, *, strict=False, **options):
    log = NoticeLog(strict=strict)
    model = options.pop("model", "mono")
    found = dose_table(
        source,
        options=DoseOptions(**{"nuclide": "Lu-177", "integration": IntegrationOptions(model=model)} | options),
        log=log,
    )
    return found, log


def tia(source, **options):
    return run(source, **options)[0].regions[0].integral.tia_mbq_h.value


def test_the_made_up_study_comes_back_within_its_intervals():
    """Six regions at 95 %: one miss is likely enough, three percent and two misses are not."""
    text = make_times_csv(rng=np.random.default_rng(71))
    found, _ = run(_file_of(text), model="auto", administered_mbq=200.0)
    misses = 0
    for region, truth in zip(found.regions, STUDY, strict=True):
        estimate = region.integral.tia_mbq_h
        assert estimate.value == pytest.approx(truth.tia_mbq_h, rel=0.05)
        assert region.tiac_h.value == pytest.approx(estimate.value / 200.0)
        misses += not estimate.low <= truth.tia_mbq_h <= estimate.high
    assert misses <= 1


def _file_of(text):
    import io

    return pd.read_csv(io.StringIO(text))


def test_a_dose_is_integral_times_s_value():
    found, _ = run(frame(mass_g=150.0, mass_u_g=7.5))
    region = found.regions[0]
    s = sphere_s("Lu-177", 150.0)
    assert region.dose_gy.value == pytest.approx(region.integral.tia_mbq_h.value * s.s_mgy_per_mbq_s * 3600.0 / 1000.0)
    half = math.log(region.dose_gy.high / region.dose_gy.value)
    own = math.log(region.integral.tia_mbq_h.high / region.integral.tia_mbq_h.value)
    assert half == pytest.approx(math.hypot(own, 1.96 * math.hypot(0.05, s.u_relative)), rel=1e-2)


def test_what_gets_no_dose_says_why():
    found, _ = run(pd.concat([frame(), frame(region="bone marrow", mass_g=1000.0), frame(region="big", mass_g=1e6)]))
    reasons = {r.name: r.dose_reason for r in found.regions}
    assert "mass_g" in reasons["kidney"]
    assert "fusin dose marrow" in reasons["bone marrow"]
    assert "mass" in reasons["big"]
    assert all(r.dose_gy is None for r in found.regions)


@pytest.mark.parametrize(
    ("header", "factor", "values"),
    [("activity_kbq", 1e-3, A), ("Activity [Bq]", 1e-6, A), ("activity (GBq)", 1e3, A), ("activity_mci", 37.0, A)],
)
def test_activities_in_other_units_are_converted_and_said(header, factor, values):
    table = frame().drop(columns="activity_mbq")
    table[header] = np.array(values) / factor
    found, log = run(table)
    assert found.regions[0].integral.tia_mbq_h.value == pytest.approx(tia(frame()))
    assert "UNIT_CONVERTED" in {n.code for n in log}


@pytest.mark.parametrize(
    ("header", "factor"), [("Time (min)", 60.0), ("time_s", 3600.0), ("time_d", 1 / 24), ("Time [h]", 1.0)]
)
def test_times_in_other_units_are_converted(header, factor):
    table = frame().drop(columns="time_h")
    table[header] = np.array(T) * factor
    assert tia(table) == pytest.approx(tia(frame()), rel=1e-9)


@pytest.mark.parametrize("header", ["activity", "activity_furlong", "mbq", "activity_mbq_per_ml"])
def test_a_unit_that_is_none_is_refused_with_the_column_that_is_needed(header):
    with pytest.raises(InputError, match="activity_mbq"):
        run(frame().rename(columns={"activity_mbq": header}))


def test_a_correction_to_administration_is_undone_by_column_time_or_option():
    corrected = np.array(A) * np.exp2(np.array(T) / LU)
    expected = tia(frame())
    assert tia(frame(activity_mbq=corrected, decay_correction="ADMIN")) == pytest.approx(expected)
    assert tia(frame(activity_mbq=corrected, decay_corrected_to_h=0.0)) == pytest.approx(expected)
    assert tia(frame(activity_mbq=corrected), decay_correction="admin") == pytest.approx(expected)
    assert tia(frame(decay_correction="start")) == pytest.approx(expected)
    assert tia(frame(decay_correction="NONE")) == pytest.approx(expected)
    mixed = [corrected[0], *A[1:]]
    assert tia(frame(activity_mbq=mixed, **{"Decay Correction": ["admin", "none", "None", "start"]})) == pytest.approx(
        expected
    )
    _, log = run(frame(activity_mbq=corrected, decay_correction="admin"))
    assert "DECAY_CORRECTION_UNDONE" in {n.code for n in log}


def test_an_unknown_correction_is_refused_and_so_are_two_statements():
    with pytest.raises(InputError, match=r"row 1.*none, start or admin"):
        run(frame(decay_correction=["unknown", "none", "none", "none"]))
    with pytest.raises(InputError, match="row 3"):
        run(frame(decay_correction=["none", "none", None, "none"]))
    with pytest.raises(InputError, match="one statement"):
        run(frame(decay_correction="none"), decay_correction="admin")
    with pytest.raises(InputError, match="decay_correction"):
        run(frame(decay_correction="perhaps"))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"activity_mbq": [98, -75, 37, 12]}, r"row 2: activity_mbq.*positive"),
        ({"activity_mbq": [98, 0, 37, 12]}, r"row 2: activity_mbq"),
        ({"activity_mbq": [98, "", 37, 12]}, r"row 2"),
        ({"activity_mbq": [98, "<5", 37, 12]}, r"row 2"),
        ({"time_h": [4, 4, 72, 144]}, r"row 2.*row 1 holds the same"),
        ({"time_h": [-4, 24, 72, 144]}, r"row 1: time_h"),
        ({"mass_g": [0, 0, 0, 0]}, r"row 1: mass_g.*positive"),
        ({"mass_g": [-5, 1, 1, 1]}, r"row 1: mass_g"),
        ({"uncertainty_mbq": [0, 1, 1, 1]}, r"row 1: uncertainty_mbq"),
        ({"uncertainty_mbq": [None, 1, 1, 1]}, r"every time"),
        ({"nuclide": ["Lu-177", "Y-90", "Lu-177", "Lu-177"]}, r"one nuclide"),
        ({"nuclide": ["Lu-177", None, "Lu-177", "Lu-177"]}, r"row 2: nuclide"),
        ({"nuclide": "Y-90"}, r"as --nuclide says"),
        ({"modality": "planar"}, r"planar images alone"),
        ({"modality": "CT"}, r"modality"),
        ({"region": ""}, r"region"),
    ],
)
def test_a_table_that_cannot_be_is_refused_in_one_sentence(changes, word):
    with pytest.raises(FusinError, match=word) as caught:
        run(frame(**changes))
    assert "\n" not in str(caught.value)


def test_options_that_cannot_be_are_refused():
    for options, word in (
        ({"nuclide": ""}, "--nuclide"),
        ({"nuclide": "Xx-7"}, "nuclide"),
        ({"administered_mbq": 0.0}, "administered"),
        ({"administered_mbq": math.nan}, "administered"),
        ({"uncertainty_percent": 0.0}, "percentage"),
        ({"mass_u_percent": 200.0}, "percentage"),
    ):
        with pytest.raises(InputError, match=word):
            run(frame(mass_g=100.0), **options)
    with pytest.raises(InputError, match="one statement"):
        run(frame(uncertainty_mbq=1.0), uncertainty_percent=5.0)


def test_rows_in_any_order_give_the_same_and_a_notice():
    found, log = run(frame().iloc[::-1])
    assert found.regions[0].integral.tia_mbq_h.value == pytest.approx(tia(frame()))
    assert "TIMES_SORTED" in {n.code for n in log}


def test_masses_that_differ_are_averaged_with_a_notice_and_refused_when_strict():
    table = frame(mass_g=[150.0, 152.0, 148.0, 150.0])
    found, log = run(table)
    assert found.regions[0].mass_g == 150.0
    assert "MASS_VARIES" in {n.code for n in log}
    with pytest.raises(StrictRefusal):
        run(table, strict=True)


def test_one_region_that_fails_leaves_the_others():
    found, log = run(pd.concat([frame(), frame(region="spot").iloc[:1]]))
    assert [r.integral is None for r in found.regions] == [False, True]
    assert "spot" in found.failed[0]
    assert "REGION_NOT_INTEGRATED" in {n.code for n in log}
    with pytest.raises(NotComputable):
        run(frame().iloc[:1])


def test_planar_rows_take_the_scale_of_the_one_spect():
    rows = frame(modality="planar", activity_mbq=np.array(A) * 7e3)
    spect = pd.DataFrame({"region": ["kidney"], "time_h": [24.0], "activity_mbq": [75.0], "modality": ["spect"]})
    found, _ = run(pd.concat([rows, spect]))
    assert found.regions[0].integral.model == "hybrid mono"
    assert found.regions[0].integral.tia_mbq_h.value == pytest.approx(tia(frame()), rel=0.05)


def test_the_population_is_used_for_a_region_it_knows():
    table = frame(region="Left kidney", uncertainty_mbq=2.0).iloc[3:]
    found, _ = run(table, model="map", priors=population_priors())
    assert found.regions[0].integral.prior.id == "pentixather-kidney"


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffregion;time_h;activity_mbq\r\nk;4;98,5\r\nk;24;75,25\r\nk;72;37,5\r\nk;144;12,25\r\n",
        "region\ttime_h\tactivity_mbq\nk\t4\t98.5\nk\t24\t75.25\nk\t72\t37.5\nk\t144\t12.25\n",
        'region,time_h,activity_mbq\n"k",4,98.5\n"k",24,75.25\n"k",72,37.5\n"k",144,12.25\n',
        "Region,Time_h,Activity_MBq,remark\nk,4,98.5,x\nk,24,75.25,\nk,72,37.5,\nk,144,12.25,\n",
    ],
)
def test_separators_marks_and_decimal_commas_are_read(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode("utf-8"))
    assert tia(path) == pytest.approx(tia(frame(activity_mbq=[98.5, 75.25, 37.5, 12.25])))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200).map(lambda s: ("region,time_h,activity_mbq\n" + s).encode("utf-8", "replace")),
    )
)
def test_whatever_stands_in_a_file_ends_in_a_result_or_one_sentence(tmp_path, data):
    path = tmp_path / "fuzz.csv"
    path.write_bytes(data)
    sentence = ""
    try:
        found, _ = run(path)
    except FusinError as err:
        sentence = str(err)
    assert sentence or found.regions
