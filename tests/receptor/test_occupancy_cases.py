"""Cases of occupancy: peptide amounts, drugs by hours, ranges, and answers with their intervals."""

from __future__ import annotations

import json
import math
from datetime import datetime

import numpy as np
import pytest

from fusin.errors import FusinError, InputError
from fusin.provenance import NoticeLog
from fusin.receptor.blocking import absorption_rate_per_h, concentration_nm, drug_by_name
from fusin.receptor.occupancy_answers import answers_to, occupancy_grid
from fusin.receptor.occupancy_case import case_of, published_affinities, read_case
from fusin.receptor.peptide_amount import PeptideAmount, amount_in_batch, hot_nmol
from fusin.receptor.ranges import Range, from_draws, range_of

TRACER = {"kd_nm": 2.0, "amount_nmol": 30, "weight_kg": 75, "free_suv": 1.66}


def case(log=None, **tables):
    return case_of({"tracer": dict(TRACER), **tables}, "case.toml", log=log if log is not None else NoticeLog())


# Amounts


@pytest.mark.parametrize(
    ("mbq", "nuclide", "nmol"),
    [(150.0, "Ga-68", 1.46e-3), (7400.0, "Lu-177", 10.2), (5000.0, "Y-90", 2.76)],
)
def test_hot_moles_of_usual_activities(mbq, nuclide, nmol):
    """A / lambda / N_A, computed apart from this program."""
    assert hot_nmol(mbq, nuclide) == pytest.approx(nmol, rel=5e-3)


@pytest.fixture
def dispensed(tmp_path):
    row = {
        "id": "P1",
        "nuclide": "Ga-68",
        "administered_mbq": 150.0,
        "amounts": [{"name": "peptide_ug", "amount": 12.2139}],
    }
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"patients": [row, {"id": "P2", "amounts": []}]}), encoding="utf-8")
    return path


@pytest.fixture
def released(tmp_path):
    rows = [{"when": "decision", "time": "2026-03-02T09:00:00+00:00", "molar_activity_gbq_umol": 10.0}]
    path = tmp_path / "release.json"
    path.write_text(json.dumps({"activities": rows}), encoding="utf-8")
    return path


def test_the_peptide_of_a_patient_is_that_of_the_dispensed_volume(dispensed):
    found = amount_in_batch(dispensed, log=NoticeLog(), patient="P1", molar_mass_g_mol=1221.39)
    assert found.peptide_nmol == pytest.approx(10.0)
    assert found.hot_nmol == pytest.approx(1.46e-3, rel=5e-3)
    assert found.molar_activity_mbq_nmol == pytest.approx(15.0)


def test_a_later_injection_of_the_same_activity_holds_more_peptide(released):
    """10 GBq/umol at release; one half-life of 67.71 min later 150 MBq hold 30 nmol instead of 15."""
    now = amount_in_batch(
        released, log=NoticeLog(), activity_mbq=150.0, nuclide_name="Ga-68",
        injected_at=datetime.fromisoformat("2026-03-02T09:00:00+00:00"),
    )  # fmt: skip
    later = amount_in_batch(
        released, log=NoticeLog(), activity_mbq=150.0, nuclide_name="Ga-68",
        injected_at=datetime.fromisoformat("2026-03-02T10:07:42.600000+00:00"),
    )  # fmt: skip
    assert now.peptide_nmol == pytest.approx(15.0)
    assert later.peptide_nmol == pytest.approx(30.0, rel=1e-6)


def test_a_release_without_the_time_of_injection_is_doubted(released):
    log = NoticeLog()
    amount_in_batch(released, log=log, activity_mbq=150.0, nuclide_name="Ga-68")
    assert [n.code for n in log] == ["INJECTION_TIME_UNKNOWN"]


def test_more_activity_than_peptide_is_refused_and_mostly_hot_peptide_is_doubted():
    with pytest.raises(InputError, match=r"10\.18 nmol"):
        PeptideAmount(peptide_nmol=5.0, source="x").with_activity(7400.0, "Lu-177", NoticeLog())
    log = NoticeLog()
    PeptideAmount(peptide_nmol=15.0, source="x").with_activity(7400.0, "Lu-177", log)
    assert [n.code for n in log] == ["HOT_PEPTIDE_DOMINATES"]


@pytest.mark.parametrize(
    "arguments",
    [{"patient": "P9", "molar_mass_g_mol": 1221.0}, {"patient": "P1"}, {"patient": "P2", "molar_mass_g_mol": 1221.0}],
)
def test_a_day_that_cannot_answer_is_refused(dispensed, arguments):
    with pytest.raises(InputError):
        amount_in_batch(dispensed, log=NoticeLog(), **arguments)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"patients": 3}', '{"activities": [1]}', "\x00", '{"activities": []}']
)
def test_other_files_get_a_sentence(tmp_path, text):
    path = tmp_path / "results.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError):
        amount_in_batch(path, log=NoticeLog(), activity_mbq=1.0, nuclide_name="Ga-68")
    with pytest.raises(InputError):
        amount_in_batch(tmp_path / "none.json", log=NoticeLog())


# Drugs


def test_the_peak_comes_when_it_is_said_to():
    time = np.linspace(0.0, 24.0, 24001)
    for tmax, half in ((0.5, 3.0), (0.75, 4.0), (1.0, 5.0), (1.2, 2.0)):
        curve = concentration_nm(
            time, dose_mg_per_kg=0.24, molar_mass_g_mol=502.8, tmax_h=np.array(tmax), half_life_h=np.array(half),
            volume_l_per_kg=np.array(0.3),
        )  # fmt: skip
        assert time[curve.argmax()] == pytest.approx(tmax, abs=2e-3)
        late = curve[(time > 20) & (time < 24)]
        assert late[-1] / late[0] == pytest.approx(2 ** (-(3.998) / half), rel=0.02)
        assert curve[0] == 0.0


def test_instant_absorption_fills_the_volume():
    """0.24 mg/kg of 502.8 g/mol in 0.3 L/kg are 1591 nM."""
    found = concentration_nm(
        np.array(0.01), dose_mg_per_kg=0.24, molar_mass_g_mol=502.8, tmax_h=np.array(1e-3), half_life_h=np.array(1e4),
        volume_l_per_kg=np.array(0.3),
    )  # fmt: skip
    assert float(found) == pytest.approx(1591.1, rel=1e-3)


def test_a_peak_later_than_the_mean_lifetime_is_refused():
    with pytest.raises(InputError):
        absorption_rate_per_h(np.array(5.0), np.array(3.0))
    with pytest.raises(InputError, match="tmax_h"):
        case(drug=[{"name": "plerixafor", "tmax_h": 6.0}])


def test_the_dose_of_plerixafor_is_a_thousand_times_an_imaging_amount():
    """0.24 mg/kg in 75 kg are 36 umol."""
    drug = drug_by_name("plerixafor")
    assert drug.dose_mg_per_kg * 75 / drug.molar_mass_g_mol * 1e3 == pytest.approx(36, rel=0.01)


def test_plerixafor_blinds_the_scan_for_hours_and_not_for_two_days():
    rows = answers_to(case(drug=[{"name": "plerixafor", "kd_nm": 100.0}]), log=NoticeLog()).drugs
    by_hour = {row["hours"]: row["suv_ratio"] for row in rows}
    assert by_hour[1.0] < 0.2
    assert by_hour[24.0] > 0.6
    assert by_hour[48.0] > 0.99


# Answers


def test_one_suv_of_30_nmol_in_75_kg_is_0_4_nm():
    found = answers_to(case_of({"tracer": {**TRACER, "free_suv": 1.0}}, "x", log=NoticeLog()), log=NoticeLog())
    assert found.tracer_nm.value == pytest.approx(0.4)


@pytest.mark.parametrize(("kd", "occupied"), [(25.0, 0.04), (2.7, 0.30)])
def test_the_disputed_affinity_decides_whether_an_imaging_dose_saturates(kd, occupied):
    """About 4 % at 25 nM and 30 % at 2.7 nM, for plasma of 1.1 nM."""
    suv = 1.1 / 0.4
    found = answers_to(
        case_of({"tracer": {**TRACER, "kd_nm": kd, "free_suv": suv}}, "x", log=NoticeLog()), log=NoticeLog()
    )
    assert found.occupied["pentixafor"].value == pytest.approx(occupied, abs=0.012)


def test_amounts_for_a_drop_are_where_the_curve_has_fallen():
    """Uptake falls by half where free tracer is KD: 2 nM x 75 kg / 1.66; and by a tenth at a ninth of it."""
    tenth, half = answers_to(case(), log=NoticeLog()).drops
    assert half["amount_nmol"] == pytest.approx(2.0 * 75 / 1.66)
    assert tenth["amount_nmol"] == pytest.approx(half["amount_nmol"] / 9)


def test_a_range_of_kd_gives_an_interval_and_a_number_none():
    wide = answers_to(case_of({"tracer": {**TRACER, "kd_nm": [0.1, 25.0]}}, "x", log=NoticeLog()), log=NoticeLog())
    one = wide.self_ratio
    assert 0.0 < one.low < one.value < one.high < 1.0
    assert one.low == pytest.approx(1 / (1 + 0.664 / 0.1), abs=0.02)
    assert one.high == pytest.approx(1 / (1 + 0.664 / 25.0), abs=0.02)
    assert "4000 draws" in one.method
    narrow = answers_to(case(), log=NoticeLog()).self_ratio
    assert (narrow.low, narrow.high) == (None, None)
    assert narrow.note


def test_tissue_that_must_do_with_its_tracer_runs_out_later():
    rows = answers_to(case(tissue={"receptor_nm": 80.0}), log=NoticeLog()).mass_effect
    assert all(row["closed_uptake"] >= row["relative_uptake"] for row in rows)
    assert rows[0]["closed_uptake"] == pytest.approx(1.0, abs=1e-4)


def test_a_competitor_lowers_the_suv_and_unspecific_uptake_hides_it():
    rival = [{"name": "AMD3465", "kd_nm": 89.8, "free_nm": 89.8}]
    specific = answers_to(case(competitor=rival), log=NoticeLog()).suv_ratio.value
    kd, tracer = 2.0, 0.664
    assert specific == pytest.approx((1 + tracer / kd) / (2 + tracer / kd))
    half = answers_to(case(competitor=rival, tissue={"nonspecific_share": 0.5}), log=NoticeLog()).suv_ratio.value
    assert half == pytest.approx(0.5 + 0.5 * specific)


def test_shares_of_the_receptor_add_up():
    found = answers_to(case(competitor=[{"name": "a", "kd_nm": 5, "free_nm": [1, 9]}]), log=NoticeLog()).occupied
    assert sum(one.value for one in found.values()) == pytest.approx(1.0)


def test_cxcl12_competes_within_the_range_of_its_affinity():
    row = answers_to(case(cxcl12={"free_nm": [10.0]}), log=NoticeLog()).cxcl12[0]
    assert row["occupied_low"] < row["occupied"] < row["occupied_high"]
    assert 10 / (10 + 40 * 1.4) < row["occupied_high"] < 10 / 12


def test_the_conflict_of_published_affinities_is_shown():
    """2.7 and 24.8 nM stand side by side with their tags, and neither is used."""
    log = NoticeLog()
    found = answers_to(
        case_of({"tracer": {"amount_nmol": 30, "weight_kg": 75, "free_suv": 1.66}}, "x", log=log), log=log
    )
    shown = {row["ic50_nm"] for row in found.affinities}
    assert {2.7, 24.8} <= shown
    assert all(row["tag"] in "UMV" for row in found.affinities)
    assert "AFFINITY_RANGE_USED" in {n.code for n in log}
    assert {r.id for r in published_affinities()} >= {"pentixafor-ic50", "pentixafor-ic50-guide"}


def test_an_ic50_with_depletion_is_doubted():
    log = NoticeLog()
    paper = {"name": "paper A", "ic50_nm": 24.8, "radioligand_nm": 0.2, "radioligand_kd_nm": 0.5, "receptor_nm": 1.0}
    rows = answers_to(case(ic50=[paper]), log=log).ki
    assert rows[0]["exact_nm"] < rows[0]["simple_nm"]
    assert "CHENG_PRUSOFF_FAILS" in {n.code for n in log}


def test_equal_seeds_give_equal_intervals_and_the_map_rises_with_amount():
    asked = case_of({"tracer": {**TRACER, "kd_nm": [0.1, 25]}}, "x", log=NoticeLog())
    one, other = (answers_to(asked, log=NoticeLog(), seed=3).self_ratio for _ in range(2))
    assert one == other
    grid = occupancy_grid(asked, [1.0, 10.0, 100.0], [0.1, 1.0])
    assert np.all(np.diff(grid, axis=1) > 0)
    assert np.all(np.diff(grid, axis=0) < 0)


# Reading


def test_options_replace_fields_of_the_file(tmp_path):
    path = tmp_path / "case.toml"
    path.write_text(
        'hours = [1, 24]\n[tracer]\nkd_nm = [1, 4]\namount_nmol = 30\nweight_kg = 75\nfree_suv = "published"\n'
    )
    log = NoticeLog()
    found = read_case(path, overrides={"tracer": {"kd_nm": 7.0}, "drug": [{"name": "plerixafor"}]}, log=log)
    assert (found.kd_nm.low, found.kd_nm.high, found.hours) == (7.0, 7.0, (1.0, 24.0))
    assert found.free_suv == Range(value=1.66, low=0.88, high=2.89)
    assert {"FREE_SUV_PUBLISHED", "DRUG_RANGES_USED", "AFFINITY_RANGE_USED"} == {n.code for n in log}


@pytest.mark.parametrize(
    ("tables", "word"),
    [
        ({"tracer": {"kd": 2.0}}, "kd_nm"),
        ({"tracer": {"kd_nm": 0}}, "above 0"),
        ({"tracer": {"kd_nm": [5, 1]}}, "low, high"),
        ({"tracer": {"kd_nm": "2"}}, "a number"),
        ({"tracer": {"kd_nm": True}}, "a number"),
        ({"tracer": {"kd_nm": 10**400}}, "a number"),
        ({"tracer": {"weight_kg": 10**400}}, "number"),
        ({"tracer": {"amount_nmol": 30}}, "weight"),
        ({"tracer": {"amount_ug": 30, "weight_kg": 75}}, "molar_mass"),
        ({"tracer": {"amount_ug": 30, "amount_nmol": 3, "weight_kg": 75}}, "one of"),
        ({"tracer": {"activity_mbq": 150, "weight_kg": 75}}, "together"),
        ({"tracer": {"activity_mbq": 150, "nuclide": "Ga-68", "weight_kg": 75}}, "amount"),
        ({"tracer": {"name": "octreotide"}}, "octreotide"),
        ({"tracer": {"injected_at": "noon"}}, "ISO time"),
        ({"tracer": [1]}, "table"),
        ({"tissue": {"nonspecific_share": 30}}, "at most 1"),
        ({"competitor": [{"name": "x", "kd_nm": 1}]}, "free_nm"),
        ({"competitor": {"name": "x"}}, "list"),
        ({"drug": [{"name": "motixafortide"}]}, "kd_nm"),
        ({"drug": [{"name": "plerixafor", "dose_mg_per_kg": -1}]}, "above 0"),
        ({"ic50": [{"name": "a", "ic50_nm": 1}]}, "radioligand_nm"),
        ({"hours": "noon"}, "number"),
        ({"cxcl12": {"free_nm": [-1]}}, "number"),
        ({"speed": 1}, "speed"),
    ],
)
def test_a_mistake_in_a_case_gets_one_sentence(tables, word):
    with pytest.raises(FusinError) as caught:
        case_of(tables, "case.toml", log=NoticeLog())
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ranges_are_drawn_within_their_limits_on_a_log_scale():
    one = range_of([0.1, 10.0], "x", "kd")
    draws = one.draws(np.random.default_rng(1), 20000)
    assert one.value == pytest.approx(1.0)
    assert (draws.min() >= 0.1, draws.max() <= 10.0) == (True, True)
    assert np.median(draws) == pytest.approx(1.0, rel=0.05)
    assert from_draws(1.0, np.ones(5)).low is None
    with pytest.raises(InputError):
        Range(value=5.0, low=1.0, high=2.0)
    with pytest.raises(InputError):
        range_of(math.inf, "x", "kd")


def test_too_few_draws_are_refused():
    with pytest.raises(InputError, match="draws"):
        answers_to(case(), log=NoticeLog(), draws=10)


def test_a_number_of_thousands_of_digits_gets_a_sentence(tmp_path):
    path = tmp_path / "case.toml"
    path.write_text("hours = [" + "9" * 5000 + "]", encoding="utf-8")
    with pytest.raises(InputError, match="TOML"):
        read_case(path, log=NoticeLog())


def test_the_decision_of_a_release_counts_and_not_its_expiry(tmp_path):
    rows = [
        {"when": "decision", "time": "2026-03-02T09:00:00", "molar_activity_gbq_umol": 10.0},
        {"when": "expiry", "time": "2026-03-02T12:00:00", "molar_activity_gbq_umol": 1.0},
    ]
    path = tmp_path / "release.json"
    path.write_text(json.dumps({"activities": rows}), encoding="utf-8")
    assert amount_in_batch(
        path, log=NoticeLog(), activity_mbq=150.0, nuclide_name="Ga-68"
    ).peptide_nmol == pytest.approx(15.0)
