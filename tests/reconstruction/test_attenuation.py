"""Attenuation maps from CT."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.errors import InputError, StrictRefusal
from fusin.imaging.volume import Grid, Volume
from fusin.provenance import NoticeLog
from fusin.reconstruction.attenuation import MU_UNIT, ct_to_mu, mu_on_grid
from fusin.reconstruction.attenuation_lines import (
    hounsfield_line,
    mass_attenuation_cm2_g,
    published_lines,
    scanner_names,
)


def line(energy_kev, kvp, scanner="generic", log=None):
    return hounsfield_line(energy_kev=energy_kev, kvp=kvp, scanner=scanner, log=NoticeLog() if log is None else log)


def grid_of(shape, spacing_mm, frame="1.2.3", middle=(0.0, 0.0, 0.0)):
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = np.array(middle) - 0.5 * (np.array(shape[::-1]) - 1) * np.array(spacing_mm)
    return Grid(shape=shape, affine=affine, frame_of_reference_uid=frame)


def ct_of(values, spacing_mm=(2.0, 2.0, 3.0), **more):
    return Volume(values=values, grid=grid_of(values.shape, spacing_mm, **more), unit="[hnsf'U]")


def patient(rows=200, slices=20, semi=(70, 50)):
    """An elliptic cylinder of water in air, and a couch below it."""
    y, x = np.ogrid[:rows, :rows]
    middle = (rows - 1) / 2
    inside = ((x - middle) / semi[0]) ** 2 + ((y - middle) / semi[1]) ** 2 <= 1
    plane = np.where(inside, 0, -1000).astype(np.int16)
    return np.repeat(plane[None], slices, axis=0)


def codes(log):
    return [n.code for n in log.notices]


def test_the_ge_lines_meet_the_generic_one_at_their_break():
    """UCL/STIR ct_slopes.json: at 50 HU the four lines of GE give 0.1008 1/cm, as 0.096 + 9.6e-5 x 50 does."""
    for kvp in (80, 100, 120, 140):
        ge = line(511, kvp, "GE")
        assert ge.mu_per_cm(50.0) == pytest.approx(0.1008, abs=2e-5)
        assert ge.a2 + ge.b2 * 50 == pytest.approx(0.1008, abs=5e-5)


def test_bone_is_overstated_by_a_line_of_the_wrong_voltage():
    """The 120 kVp line on an 80 kVp scan overstates mu by 8.7 % at 1000 HU."""
    wrong, right = line(511, 120, "GE").mu_per_cm(1000.0), line(511, 80, "GE").mu_per_cm(1000.0)
    assert wrong / right - 1 == pytest.approx(0.087, abs=0.001)


def test_the_generic_line_of_pet_is_the_published_one():
    log = NoticeLog()
    found = line(511, 120, log=log)
    assert (found.a1, found.b1, found.a2, found.b2, found.break_hu) == (0.096, 9.6e-5, 0.096, 5.73e-5, 0)
    assert found.published
    assert codes(log) == []


@pytest.mark.parametrize(("energy", "water"), [(112.95, 0.1644), (208.37, 0.1352), (140.51, 0.1538), (511, 0.096)])
def test_water_attenuates_as_published(energy, water):
    """Water of PyTomography's table of scanners (113, 208, 140 keV) and of STIR (511 keV)."""
    assert line(energy, 120).mu_per_cm(0.0) == pytest.approx(water, rel=1.5e-3)


@pytest.mark.parametrize("kvp", [80, 100, 110, 120, 130, 140])
def test_a_derived_line_gives_bone_as_measured_lines_of_scanners_do(kvp):
    """Lines of four scanner families by their makers, at five energies: within 2 % from 0 to 1000 HU."""
    compared = [p for p in published_lines() if p.kvp == kvp and p.scanner not in ("generic", "ge", "mediso")]
    for published in compared:
        hu = np.array([0.0, 300.0, 1000.0])
        derived = line(published.energy_kev, kvp).mu_per_cm(hu)
        assert published.mu_per_cm(hu) == pytest.approx(derived, rel=0.02)
    assert compared


def test_mass_attenuation_agrees_with_the_table_of_nist():
    """Hubbell & Seltzer, NISTIR 5632, table 4, water and cortical bone (ICRU-44) at 100, 200 and 500 keV."""
    for energy, water, bone in ((100, 0.1707, 0.1855), (200, 0.1370, 0.1309), (500, 0.09687, 0.09022)):
        assert mass_attenuation_cm2_g("water", energy) == pytest.approx(water, rel=5e-4)
        assert mass_attenuation_cm2_g("cortical_bone", energy) == pytest.approx(bone, rel=5e-4)


def test_a_published_line_that_starves_the_lung_is_named():
    log = NoticeLog()
    found = line(208.37, 130, "Symbia Intevo 16", log)
    assert found.published
    assert codes(log) == ["MU_LINE_LOW_IN_LUNG"]


def test_air_attenuates_nothing_and_no_line_goes_below_zero():
    for published in published_lines():
        assert published.mu_per_cm([-1024, -3024, -1000]).min() >= 0
    assert line(208.37, 120).mu_per_cm(-1000.0) == 0


@settings(max_examples=60, deadline=None)
@given(st.floats(40, 600), st.floats(80, 140), st.floats(-1000, 3000), st.floats(0.5, 200))
def test_denser_tissue_attenuates_more(energy, kvp, hu, more):
    found = line(energy, kvp)
    assert found.mu_per_cm(hu + more) >= found.mu_per_cm(hu)


def test_a_missing_voltage_is_assumed_with_a_notice_and_refused_when_strict():
    log = NoticeLog()
    assert line(511, None, log=log).kvp == 120
    assert codes(log) == ["KVP_ASSUMED"]
    with pytest.raises(StrictRefusal):
        line(511, None, log=NoticeLog(strict=True))


def test_a_scanner_without_a_line_gets_a_derived_one_with_a_notice():
    log = NoticeLog()
    found = line(208.37, 100, "mediso", log)
    assert not found.published
    assert codes(log) == ["NO_LINE_OF_SCANNER", "MU_LINE_DERIVED"]


@pytest.mark.parametrize(
    ("energy", "kvp", "scanner", "field"),
    [
        (20, 120, "generic", "energy_kev"), (1e6, 120, "generic", "energy_kev"), (float("nan"), 120, "generic", "energy_kev"),
        (208.37, 60, "generic", "kvp"), (208.37, -120, "generic", "kvp"), (208.37, "120", "generic", "kvp"),
        (208.37, 120000, "generic", "kvp"), (511, 120, "Philips", "scanner"), (511, 120, "", "scanner"),
        (True, 120, "ge", "energy_kev"),
    ],
)  # fmt: skip
def test_unusable_numbers_get_one_sentence(energy, kvp, scanner, field):
    with pytest.raises(InputError) as caught:
        line(energy, kvp, scanner)
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


def test_every_scanner_of_the_table_has_a_line():
    assert {p.scanner for p in published_lines()} == set(scanner_names())


def test_a_water_cylinder_becomes_its_coefficient():
    log = NoticeLog()
    mu = ct_to_mu(ct_of(patient()), energy_kev=208.37, kvp=120, log=log)
    assert mu.unit == MU_UNIT
    assert float(mu.values.max()) == pytest.approx(0.13513, rel=1e-4)
    assert float(mu.values.min()) == 0
    assert codes(log) == ["MU_LINE_DERIVED"]


def test_averaging_over_image_voxels_keeps_the_integral():
    """The sum of mu times volume is that of the CT, where the value at voxel centres would miss thin things."""
    rng = np.random.default_rng(1)
    values = np.full((20, 200, 200), -1000, np.int16)
    values[:, 60:140, 60:140] = rng.integers(-1000, 1000, (20, 80, 80))
    mu = ct_to_mu(ct_of(values), energy_kev=511, kvp=120, log=NoticeLog())
    coarse = mu_on_grid(mu, grid_of((12, 80, 80), (5.0, 5.0, 5.0)), NoticeLog())
    fine_sum = float(mu.values.sum(dtype=np.float64)) * mu.voxel_volume_ml
    coarse_sum = float(coarse.values.sum(dtype=np.float64)) * coarse.voxel_volume_ml
    assert coarse_sum == pytest.approx(fine_sum, rel=2e-3)


def test_a_thin_plate_keeps_its_path_length_on_the_image():
    values = np.full((8, 128, 128), -1000, np.int16)
    values[:, :, 64] = 0
    mu = ct_to_mu(ct_of(values, (1.0, 1.0, 4.0)), energy_kev=511, kvp=120, log=NoticeLog())
    coarse = mu_on_grid(mu, grid_of((8, 32, 32), (4.0, 4.0, 4.0)), NoticeLog())
    assert coarse.values[4, 16].sum() * 4.0 == pytest.approx(0.096 * 1.0, rel=1e-3)


def test_the_noise_of_air_does_not_add_up_along_a_ray():
    """16 HU of noise, cut at -1024 as scanners do, over 300 mm: cut off at 0 voxel by voxel it would be 0.017 of optical depth."""
    rng = np.random.default_rng(5)
    values = np.clip(np.rint(rng.normal(-1000.0, 16.0, (12, 150, 150))), -1024, 3071).astype(np.int16)
    values[:, 65:85, 65:85] = 0
    mu = ct_to_mu(
        ct_of(values, (2.0, 2.0, 2.0)),
        energy_kev=511,
        kvp=120,
        log=NoticeLog(),
        grid=grid_of((4, 50, 50), (6.0, 6.0, 6.0)),
    )
    air = mu.values[:, :18]
    cut_first = np.maximum(0.096 + 9.6e-5 * values[:, :50].astype(float), 0.0)
    assert cut_first.mean() * 30.0 > 0.015
    assert air.mean() * 30.0 < 0.005
    assert mu.values.min() >= 0
    assert float(mu.values[:, 24:26, 24:26].mean()) == pytest.approx(0.096, rel=1e-5)


def test_the_same_grid_is_returned_untouched():
    mu = ct_to_mu(ct_of(patient()), energy_kev=511, kvp=120, log=NoticeLog())
    assert mu_on_grid(mu, mu.grid, NoticeLog()) is mu


def test_slices_beyond_the_ct_are_named():
    log = NoticeLog()
    grid = grid_of((40, 80, 80), (5.0, 5.0, 5.0))
    mu = ct_to_mu(ct_of(patient()), energy_kev=511, kvp=120, log=log, grid=grid)
    assert codes(log) == ["CT_SHORTER_THAN_IMAGE"]
    assert log.notices[0].raw == int((mu.values.sum(axis=(1, 2)) == 0).sum())


def test_a_map_of_another_frame_or_place_is_refused():
    mu = ct_to_mu(ct_of(patient()), energy_kev=511, kvp=120, log=NoticeLog())
    with pytest.raises(InputError, match="Frame of Reference"):
        mu_on_grid(mu, grid_of((10, 50, 50), (5.0, 5.0, 5.0), frame="9.9"), NoticeLog())
    with pytest.raises(InputError, match="place of the image"):
        mu_on_grid(mu, grid_of((10, 50, 50), (5.0, 5.0, 5.0), middle=(0, 0, 5000.0)), NoticeLog())


def test_metal_is_named_with_its_volume():
    values = patient()
    values[8:12, 98:102, 98:102] = 3071
    log = NoticeLog()
    ct_to_mu(ct_of(values), energy_kev=511, kvp=120, log=log)
    assert codes(log) == ["METAL_IN_CT"]
    assert log.notices[0].raw == pytest.approx(4 * 4 * 4 * 12e-3, rel=0.01)


@pytest.mark.parametrize("padding", [-1000, -1024, -2000, -3024])
def test_a_patient_wider_than_the_round_field_of_view_is_named(padding):
    values = patient(semi=(110, 60))
    y, x = np.ogrid[:200, :200]
    values[:, (x - 99.5) ** 2 + (y - 99.5) ** 2 > 100**2] = padding
    log = NoticeLog()
    ct_to_mu(ct_of(values), energy_kev=511, kvp=120, log=log)
    assert codes(log) == ["CT_TRUNCATED"]


def test_a_patient_wider_than_a_square_field_of_view_is_named():
    log = NoticeLog()
    ct_to_mu(ct_of(patient(semi=(110, 60))), energy_kev=511, kvp=120, log=log)
    assert codes(log) == ["CT_TRUNCATED"]


def test_a_couch_is_named_and_kept():
    values = patient()
    values[:, 165:172, 30:170] = -150
    log = NoticeLog()
    mu = ct_to_mu(ct_of(values), energy_kev=511, kvp=120, log=log)
    assert codes(log) == ["COUCH_IN_CT"]
    assert mu.values[10, 168, 100] == pytest.approx(0.096 * 0.85, rel=1e-3)


def test_a_ct_without_air_is_doubted():
    log = NoticeLog()
    ct_to_mu(ct_of(np.maximum(patient() + 1000, 0)), energy_kev=511, kvp=120, log=log)
    assert "CT_WITHOUT_AIR" in codes(log)


def test_a_volume_that_is_no_ct_is_refused():
    values = patient().astype(np.float32)
    pet = Volume(values=values, grid=grid_of(values.shape, (2.0, 2.0, 3.0)), unit="Bq/ml")
    with pytest.raises(InputError, match="Hounsfield"):
        ct_to_mu(pet, energy_kev=511, kvp=120, log=NoticeLog())
    values[3, 4, 5] = np.nan
    with pytest.raises(InputError, match="no number"):
        ct_to_mu(ct_of(values), energy_kev=511, kvp=120, log=NoticeLog())


def test_a_map_with_negative_coefficients_is_refused():
    grid = grid_of((4, 8, 8), (4.0, 4.0, 4.0))
    bad = Volume(values=np.full((4, 8, 8), -0.1, np.float32), grid=grid, unit=MU_UNIT)
    with pytest.raises(InputError, match="0 or more"):
        mu_on_grid(bad, grid, NoticeLog())
