"""OpenDose S values of 177Lu in the ICRP 110 phantoms, read through the importer.

Chauvin M et al., J Nucl Med 61 (2020) 1514-1519 (OpenDose). The files are the user's; nothing of them is shipped.
Compared with the OLINDA-derived matrix that PyTheranostics holds (both read only), and with the rescaling of one phantom to
the masses of the other, which is an independent check of it: both phantoms were simulated.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from fusin.dosimetry.organs import organ_doses
from fusin.dosimetry.s_table_files import read_s_tables
from fusin.dosimetry.s_tables import absorbed_kev, with_masses
from fusin.provenance import NoticeLog

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data" / "dosimetry"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the public S values are not in this checkout")
# Electrons of 177Lu in a sphere of an organ's size: 147.9 keV less what leaves; sheet, section 3.1.
ELECTRON_KEV = 147.4


def opendose(phantom):
    return read_s_tables(sorted((DATA / "opendose_rpt_dosi" / f"ICRP_110_{phantom}").glob("lu-*.json")), NoticeLog())


def dose(tia, phantom="AM", masses=None):
    return organ_doses(tia, opendose(phantom), masses, log=NoticeLog(), electron_kev=lambda mass: ELECTRON_KEV)


@pytest.mark.parametrize(
    ("organ", "phantom", "printed"),
    [
        ("liver", "AM", 1.3713e-5), ("spleen", "AM", 1.5967e-4), ("left kidney", "AM", 1.5662e-4),
        ("liver", "AF", 1.7533e-5), ("spleen", "AF", 1.8361e-4), ("left kidney", "AF", 1.6034e-4),
        ("kidneys", "AM", 7.712e-5), ("kidneys", "AF", 8.689e-5),
    ],
)  # fmt: skip
def test_self_dose_of_one_mbq_hour_is_the_printed_s_value(organ, phantom, printed):
    found = dose({organ: 1.0}, phantom).of(organ).dose_gy.value
    assert found == pytest.approx(printed * 3.6, rel=2e-4)


@pytest.mark.parametrize(
    ("organ", "phantom", "olinda"),
    [
        ("kidneys", "AM", 7.76e-5), ("liver", "AM", 1.37e-5), ("spleen", "AM", 1.60e-4),
        ("kidneys", "AF", 8.70e-5), ("liver", "AF", 1.76e-5), ("spleen", "AF", 1.84e-4),
    ],
)  # fmt: skip
def test_self_dose_agrees_with_the_olinda_derived_matrix_within_a_percent(organ, phantom, olinda):
    assert dose({organ: 1.0}, phantom).of(organ).dose_gy.value == pytest.approx(3.6 * olinda, rel=0.01)


def test_one_hour_in_the_kidneys_is_0_278_mgy_per_mbq():
    assert 1000 * dose({"kidneys": 1.0}).of("kidneys").dose_gy.value == pytest.approx(0.278, rel=2e-3)


@pytest.mark.parametrize("organ", ["liver", "spleen", "left kidney", "right kidney"])
def test_the_male_phantom_rescaled_to_female_masses_gives_the_female_s_value(organ):
    female = opendose("AF")
    rescaled = dose({organ: 1.0}, "AM", {organ: female.mass_g(organ)}).of(organ)
    assert rescaled.dose_gy.value == pytest.approx(dose({organ: 1.0}, "AF").of(organ).dose_gy.value, rel=0.01)
    assert rescaled.self_factor != pytest.approx(1.0, abs=0.01)


def test_cross_dose_of_the_male_phantom_stays_when_the_target_is_rescaled():
    plain, scaled = (
        dose({"spleen": 1.0, "left kidney": 1.0}),
        dose({"spleen": 1.0, "left kidney": 1.0}, masses={"spleen": 300.0}),
    )
    assert plain.of("spleen").by_source_gy["left kidney"] == pytest.approx(3.6 * 3.451e-7, rel=1e-3)
    assert scaled.of("spleen").by_source_gy == {
        "spleen": pytest.approx(plain.of("spleen").self_gy * scaled.of("spleen").self_factor),
        "left kidney": pytest.approx(3.6 * 3.451e-7, rel=1e-3),
    }


@pytest.mark.parametrize(("sex", "printed"), [("Male", 1.15e-5), ("Female", 1.49e-5)])
def test_the_matrix_of_the_other_program_is_read_with_its_abbreviations(sex, printed):
    path = DATA / "pytheranostics" / f"Lu177-{sex}-Svalues.csv"
    table = read_s_tables([path], NoticeLog(), nuclide_name="Lu-177", unit="mGy/MBq-s")
    found = organ_doses({"red marrow": 1.0}, table, log=NoticeLog()).of("red marrow")
    assert found.dose_gy.value == pytest.approx(3.6 * printed, rel=1e-3)
    assert found.source


def test_marrow_absorbs_84_kev_per_decay_and_not_the_148_of_all_electrons():
    path = DATA / "pytheranostics" / "Lu177-Male-Svalues.csv"
    table = read_s_tables([path], NoticeLog(), nuclide_name="Lu-177", unit="mGy/(MBq s)")
    table = with_masses(table, {"red marrow": 1170.0}, NoticeLog())
    s = table.column("red marrow", NoticeLog())[table.targets.index(table.target("red marrow"))]
    assert absorbed_kev(s, table.mass_g("red marrow")) == pytest.approx(84.0, rel=2e-3)
