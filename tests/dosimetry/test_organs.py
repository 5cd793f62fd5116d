"""MIRD organ doses: sums, rescaling by mass, wholes and parts, uncertainties, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusin.dosimetry.mass_scaling import mass_exponent, scaled_self_factor
from fusin.dosimetry.organs import log_normal, organ_doses, relative_u
from fusin.dosimetry.s_tables import KEV_PER_S_GRAM, STable, absorbed_kev, joined_tables, with_masses
from fusin.errors import InputError, MissingValue, NotComputable, StrictRefusal
from fusin.provenance import NoticeLog
from fusin.stats.results import Estimate

NAMES = ("kidney_left", "kidney_right", "liver")
MASSES = {"kidney_left": 150.0, "kidney_right": 160.0, "kidneys": 310.0, "liver": 1800.0}
ELECTRON_KEV = 147.0


def table(**changes):
    """Two kidneys and a liver; 150 keV self per decay, 0.2 keV across; the kidneys together as a fourth target."""
    targets = ("kidney_left", "kidney_right", "kidneys", "liver")
    kev = {("kidney_left", "kidney_left"): 150.0, ("kidney_right", "kidney_right"): 150.0, ("liver", "liver"): 153.0}
    values = np.array([[kev.get((t, s), 0.2) * KEV_PER_S_GRAM / MASSES[t] for s in NAMES] for t in targets])
    left, right = values[0], values[1]
    values[2] = (150.0 * left + 160.0 * right) / 310.0
    fields = {
        "name": "made.csv", "nuclide": "Lu-177", "sources": NAMES, "targets": targets, "values": values,
        "u_relative": np.full(values.shape, np.nan), "masses_g": MASSES,
    }  # fmt: skip
    return STable(**{**fields, **changes})


def doses(tia, masses=None, log=None, **more):
    more.setdefault("s_table", table())
    return organ_doses(
        tia,
        more.pop("s_table"),
        masses,
        log=NoticeLog() if log is None else log,
        electron_kev=lambda mass: ELECTRON_KEV,
        **more,
    )


def test_the_dose_is_the_sum_of_activity_times_s_in_hours_and_grays():
    found = doses({"liver": 1000.0, "kidney_left": 100.0}).of("liver")
    s = table().values[3]
    assert found.dose_gy.value == pytest.approx(3.6 * (1000.0 * s[2] + 100.0 * s[0]), rel=1e-12)
    assert found.self_gy == pytest.approx(3.6 * 1000.0 * s[2], rel=1e-12)
    assert found.cross_gy == pytest.approx(3.6 * 100.0 * s[0], rel=1e-9)
    assert found.source


@given(factor=st.floats(0.01, 100.0), mass=st.floats(20.0, 900.0))
def test_dose_is_linear_in_activity(factor, mass):
    once = doses({"kidney_left": 100.0}, {"kidney_left": mass}).of("left kidney").dose_gy.value
    assert doses({"kidney_left": 100.0 * factor}, {"kidney_left": mass}).of(
        "left kidney"
    ).dose_gy.value == pytest.approx(factor * once, rel=1e-9)


def test_a_mass_rescales_the_self_dose_alone_and_cross_dose_stays():
    plain = doses({"liver": 1000.0, "kidney_left": 100.0}).of("liver")
    small = doses({"liver": 1000.0, "kidney_left": 100.0}, {"liver": 900.0}).of("liver")
    assert small.by_source_gy["kidney_left"] == pytest.approx(plain.by_source_gy["kidney_left"], rel=1e-12)
    share = ELECTRON_KEV / 153.0
    assert small.electron_share == pytest.approx(share)
    assert small.self_gy / plain.self_gy == pytest.approx(2 * share + 2 ** (2 / 3) * (1 - share), rel=1e-12)
    assert (small.mass_g, small.reference_mass_g) == (900.0, 1800.0)


@given(mass=st.floats(1.0, 5000.0), reference=st.floats(1.0, 5000.0), share=st.floats(0.0, 1.0))
def test_the_factor_lies_between_photons_and_electrons_and_its_slope_is_the_exponent(mass, reference, share):
    found = scaled_self_factor(mass, reference, share)
    ratio = reference / mass
    assert min(ratio, ratio ** (2 / 3)) * (1 - 1e-12) <= found <= max(ratio, ratio ** (2 / 3)) * (1 + 1e-12)
    step = 1e-4
    slope = math.log(
        scaled_self_factor(mass * (1 + step), reference, share) / scaled_self_factor(mass, reference, share)
    ) / math.log1p(step)
    assert mass_exponent(mass, reference, share) == pytest.approx(slope, abs=1e-4)


def test_both_kidneys_without_a_source_of_their_own_share_the_activity_by_mass():
    log = NoticeLog()
    together = doses({"kidneys": 310.0}, log=log).of("kidneys")
    apart = doses({"kidney_left": 150.0, "kidney_right": 160.0}).of("kidneys")
    assert together.dose_gy.value == pytest.approx(apart.dose_gy.value, rel=1e-12)
    assert [n.code for n in log] == ["SOURCE_SPLIT_BY_MASS"]
    with pytest.raises(StrictRefusal):
        doses({"kidneys": 310.0}, log=NoticeLog(strict=True))


def test_an_organ_made_of_rescaled_parts_is_their_mean_by_mass():
    found = doses({"kidney_left": 100.0, "kidney_right": 100.0}, {"kidney_left": 75.0, "kidney_right": 160.0})
    left, right = found.of("kidney_left"), found.of("kidney_right")
    expected = (75.0 * left.dose_gy.value + 160.0 * right.dose_gy.value) / 235.0
    assert found.of("kidneys").dose_gy.value == pytest.approx(expected, rel=1e-12)
    assert found.of("kidneys").mass_g == 235.0


def test_the_mass_of_both_kidneys_is_shared_as_in_the_model():
    log = NoticeLog()
    found = doses({"kidney_left": 100.0, "kidney_right": 100.0}, {"kidneys": 155.0}, log)
    assert found.of("kidney_left").mass_g == pytest.approx(75.0)
    assert "MASS_SPLIT_BY_MODEL" in [n.code for n in log]


def test_parts_are_added_where_the_table_knows_only_the_whole():
    one = np.array([[2e-5]])
    whole = table(sources=("Kidneys ",), targets=("Kidneys",), values=one, u_relative=one * np.nan, masses_g={})
    log = NoticeLog()
    found = doses({"left kidney": 40.0, "right kidney": 60.0}, s_table=whole, log=log)
    assert found.of("kidneys").dose_gy.value == pytest.approx(3.6 * 100.0 * 2e-5)
    assert [n.code for n in log] == ["SOURCES_ADDED"]
    with pytest.raises(InputError):
        doses({"left kidney": 40.0}, s_table=whole)


def test_sub_regions_are_rescaled_with_the_organ_they_lie_in():
    values = np.array([[1.6e-4], [1.55e-4]])
    sub = table(sources=("left kidney c+m+p",), targets=("Left kidney C+M+P", "Kidney, left, cortex"), values=values,
                u_relative=values * np.nan, masses_g={"Left kidney C+M+P": 150.0, "Kidney, left, cortex": 105.0})  # fmt: skip
    found = doses({"left kidney": 100.0}, {"left kidney": 300.0}, s_table=sub)
    plain = doses({"left kidney": 100.0}, s_table=sub)
    ratio = found.of("left kidney").dose_gy.value / plain.of("left kidney").dose_gy.value
    assert found.of("Kidney, left, cortex").dose_gy.value == pytest.approx(
        ratio * plain.of("Kidney, left, cortex").dose_gy.value, rel=1e-12
    )
    assert ratio == pytest.approx(0.5, abs=0.02)


def test_uncertainties_of_activity_mass_and_s_are_combined_by_hand():
    tia = log_normal(1000.0, 0.10, level=0.95, n=4)
    mass = log_normal(900.0, 0.05, level=0.95, n=1)
    found = doses({"liver": tia}, {"liver": mass}, s_u_relative=0.03).of("liver")
    share = ELECTRON_KEV / 153.0
    u_tia, u_mass = math.log(tia.high / tia.low) / (2 * 1.959964), math.log(mass.high / mass.low) / (2 * 1.959964)
    exponent = -(2 * share + (2 / 3) * 2 ** (2 / 3) * (1 - share)) / (2 * share + 2 ** (2 / 3) * (1 - share))
    expected = math.sqrt(u_tia**2 + (exponent * u_mass) ** 2 + 0.03**2)
    assert math.sqrt(sum(u * u for u in found.u_parts.values())) == pytest.approx(expected, rel=1e-6)
    width = math.log(found.dose_gy.high / found.dose_gy.value)
    assert width == pytest.approx(1.959964 * math.sqrt(math.log1p(expected**2)), rel=1e-6)


def test_the_interval_covers_a_simulation_of_its_own_inputs():
    """First order against 20000 draws: the limits hold 95 % of the doses to a percent."""
    rng = np.random.default_rng(5)
    tia, mass = log_normal(1000.0, 0.12, level=0.95, n=4), log_normal(900.0, 0.08, level=0.95, n=1)
    found = doses({"liver": tia}, {"liver": mass}).of("liver").dose_gy
    n = 20000
    activity = 1000.0 * np.exp(rng.normal(0, math.log(tia.high / 1000.0) / 1.959964, n))
    grams = 900.0 * np.exp(rng.normal(0, math.log(mass.high / 900.0) / 1.959964, n))
    share, ratio = ELECTRON_KEV / 153.0, 1800.0 / grams
    dose = 3.6 * activity * table().values[3, 2] * (share * ratio + (1 - share) * ratio ** (2 / 3))
    assert np.mean((dose > found.low) & (dose < found.high)) == pytest.approx(0.95, abs=0.01)


def test_an_activity_without_uncertainty_gives_a_dose_without_limits_and_says_so():
    found = doses({"liver": 1000.0}).of("liver").dose_gy
    assert (found.low, found.high) == (None, None)
    assert "liver" in found.note


def test_an_organ_whose_self_dose_is_below_that_of_electrons_is_scaled_as_electrons():
    """Red marrow absorbs 84 of 148 keV per decay: no photon share can be told from a sphere."""
    one = np.array([[84.0 * KEV_PER_S_GRAM / 1170.0]])
    marrow = table(sources=("Red Mar.",), targets=("Red Marrow",), values=one, u_relative=one * np.nan,
                   masses_g={"Red Marrow": 1170.0})  # fmt: skip
    log = NoticeLog()
    found = doses({"red marrow": 100.0}, {"red marrow": 585.0}, log, s_table=marrow).of("red_marrow")
    assert found.self_factor == pytest.approx(2.0)
    assert "SELF_DOSE_AS_ELECTRONS" in [n.code for n in log]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: doses({}), InputError),
        (lambda: doses({"pancreas": 1.0}), InputError),
        (lambda: doses({"liver": -1.0}), InputError),
        (lambda: doses({"liver": math.nan}), InputError),
        (lambda: doses({"liver": 1.0, "Liver ": 2.0}), InputError),
        (lambda: doses({"liver": 1.0}, {"liver": 0.0}), InputError),
        (lambda: doses({"liver": 1.0}, {"gallbladder": 10.0}), MissingValue),
        (lambda: doses({"liver": 1.0}, {"liver": 900.0}, s_table=table(masses_g={})), MissingValue),
        (lambda: doses({"liver": Estimate(value=None, low=None, high=None, method="", n=0)}), InputError),
        (lambda: doses({"liver": Estimate(value=5.0, low=6.0, high=7.0, method="", n=0)}), InputError),
        (lambda: table(values=-table().values), InputError),
        (lambda: table(values=table().values[:1]), InputError),
        (lambda: joined_tables([table(), table()]), InputError),
        (lambda: joined_tables([table(), table(nuclide="Y-90")]), InputError),
        (lambda: with_masses(table(), {"liver": 1400.0}, NoticeLog()), InputError),
        (lambda: with_masses(table(), {"toe": 14.0}, NoticeLog()), NotComputable),
    ],
)
def test_what_cannot_be_combined_is_refused_in_one_sentence(call, error):
    with pytest.raises(error) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_missing_s_value_is_refused_for_an_organ_with_activity_and_said_for_others():
    values = table().values.copy()
    values[0, 2] = np.nan
    log = NoticeLog()
    found = doses({"liver": 1.0}, s_table=table(values=values), log=log)
    assert "kidney_left" not in [d.target for d in found.doses]
    assert [n.code for n in log] == ["S_VALUE_MISSING"]
    values[3, 2] = np.nan
    with pytest.raises(MissingValue):
        doses({"liver": 1.0}, s_table=table(values=values))


@given(value=st.floats(0.1, 1e5), u=st.floats(0.001, 0.8))
def test_an_interval_gives_back_the_uncertainty_that_made_it(value, u):
    again = relative_u(log_normal(value, u, level=0.9, n=3), "x")
    assert again[0] == value
    assert again[1] == pytest.approx(math.sqrt(math.log1p(u * u)), rel=1e-9)


def test_shown_are_organs_with_activity_and_what_they_make_up():
    found = doses({"kidney_left": 1.0, "kidney_right": 1.0})
    assert [d.target for d in found.shown()] == ["kidney_left", "kidney_right", "kidneys"]
    assert [d.target for d in found.shown(["LIVER"])] == ["liver"]


def test_energy_per_decay_of_an_s_value_is_its_definition():
    assert absorbed_kev(KEV_PER_S_GRAM, 1.0) == pytest.approx(1.0)


def test_tables_of_two_phantoms_are_refused_in_these_words():
    """Two phantoms of OpenDose list other targets: the message has to say that models were mixed, not count targets alone."""
    other = table(name="female.csv", targets=("kidney_left", "kidney_right", "kidneys", "spleen"))
    with pytest.raises(InputError, match=r"female\.csv: targets: .* targets of made\.csv: tables of one phantom model"):
        joined_tables([table(), other])
