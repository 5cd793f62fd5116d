"""Automatic placement: inside the right organ, or declined with a reason."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from analytic_torso import make_torso

from fusin.errors import InputError
from fusin.imaging.volume import Grid, Volume
from fusin.provenance import NoticeLog
from fusin.quantification.placement import place_automatically
from fusin.quantification.placement_criteria import CONFIDENCE_FLOOR, Criterion, confidence, ramp

TRUTH = {
    "blood_pool": ("aorta",),
    "liver": ("liver",),
    "spleen": ("spleen",),
    "marrow": ("vertebrae_L2", "vertebrae_L3", "vertebrae_L4"),
    "brain": ("brain",),
}
HU = "[hnsf'U]"

# One worker, so that each patient is painted once.
pytestmark = pytest.mark.xdist_group("placement")


@cache
def torso(**options):
    return make_torso(**options)


@cache
def placed(**options):
    patient = torso(**options)
    log = NoticeLog()
    return patient, place_automatically(patient.pet, patient.ct, log=log), log


def inside(organs, reference):
    """Largest share of the region that lies in one of the true organs."""
    mask = reference.region.mask()
    return max(float(organs[n].mask()[mask].mean()) for n in TRUTH[reference.kind] if n in organs)


def stored(volume, axes):
    """Same patient, array axes reversed."""
    affine = volume.grid.affine.copy()
    for axis in axes:
        column = 2 - axis
        affine[:3, 3] += affine[:3, column] * (volume.shape[axis] - 1)
        affine[:3, column] *= -1
    values = np.ascontiguousarray(np.flip(volume.values, axes))
    return Volume(values=values, grid=Grid(shape=volume.shape, affine=affine), unit=volume.unit)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"contrast": True, "seed": 1, "arms": "down"},
        {"lean": 1.0, "trabecular_hu": 95.0, "seed": 2},
        {"lesion_near_aorta": True, "seed": 5, "noise": 0.2},
        {"size": 1.15, "seed": 8, "spacing_mm": (5.47, 5.47, 3.27)},
    ],
    ids=["native", "contrast", "scoliosis-osteopenia", "lesion-at-the-aorta", "large-coarse"],
)
def test_every_region_lies_in_its_organ(options):
    patient, result, _ = placed(**options)
    assert {"blood_pool", "liver", "spleen", "marrow"} <= {r.kind for r in result.placed}
    for reference in result.placed:
        assert reference.method == "automatic"
        assert reference.confidence is not None
        assert CONFIDENCE_FLOOR <= reference.confidence <= 0.95
        if reference.kind != "muscle":
            assert inside(patient.organs, reference) >= 0.95, reference.detail


def test_the_means_are_those_that_were_painted():
    _, result, _ = placed()
    painted = {"blood_pool": 1.7, "liver": 1.3, "spleen": 5.5, "marrow": 1.8, "muscle": 0.55, "brain": 0.15}
    assert {r.kind for r in result.placed} == set(painted)
    for reference in result.placed:
        assert reference.mean == pytest.approx(painted[reference.kind], rel=0.12), reference.kind


def test_each_region_says_how_it_was_placed():
    _, result, log = placed()
    notes = {n.where: n for n in log if n.code == "REFERENCE_PLACED"}
    for reference in result.placed:
        assert "confidence" in reference.detail
        assert "LPS" in reference.detail
        assert notes[reference.kind].used
    assert "not counted from the sacrum" in next(r.detail for r in result.placed if r.kind == "marrow")


@pytest.mark.parametrize("axes", [(0,), (2,), (0, 2), (1, 2)])
def test_storage_order_does_not_move_a_region(axes):
    """Feet-first and prone scans differ from others in their affine alone."""
    patient, result, _ = placed()
    again = place_automatically(stored(patient.pet, axes), stored(patient.ct, axes), log=NoticeLog())
    expected = {r.kind: np.array(r.centre_mm) for r in result.placed}
    assert {r.kind for r in again.placed} == set(expected)
    for reference in again.placed:
        # Averaging to the working grid starts from the other end; a voxel of difference is that.
        assert np.abs(np.array(reference.centre_mm) - expected[reference.kind]).max() < 4.5


def test_mirrored_organs_are_declined():
    _, result, log = placed(mirrored=True)
    declined = {d.kind: d.because for d in result.declined}
    assert {"blood_pool", "liver", "spleen"} <= set(declined)
    assert "mirrored" in declined["liver"]
    assert any(n.code == "REFERENCE_DECLINED" for n in log)


def test_a_mirrored_chest_without_liver_is_declined_by_its_aorta():
    _, result, _ = placed(mirrored=True, z_range=(150.0, 450.0))
    assert "left-of-spine" in {d.kind: d.because for d in result.declined}["blood_pool"]


def test_a_chest_alone_gives_the_blood_pool_and_declines_the_abdomen():
    patient, result, _ = placed(z_range=(150.0, 450.0))
    assert [r.kind for r in result.placed] == ["blood_pool"]
    assert inside(patient.organs, result.placed[0]) == 1.0
    assert {d.kind for d in result.declined} == {"liver", "spleen", "marrow", "muscle", "brain"}


def test_an_abdomen_alone_declines_the_blood_pool():
    _, result, _ = placed(z_range=(-230.0, 200.0), seed=12)
    assert "blood_pool" in {d.kind for d in result.declined}


def test_thighs_alone_decline_everything():
    _, result, _ = placed(z_range=(-230.0, -150.0))
    assert result.placed == ()
    assert len(result.declined) == 6


def test_a_missing_spleen_is_not_replaced_by_the_kidney():
    _, result, _ = placed(splenectomy=True, seed=10)
    assert result.get("spleen") is None


def test_a_fatty_liver_costs_confidence():
    _, fatty, _ = placed(fatty_liver=True, seed=11)
    _, usual, _ = placed()
    assert fatty.get("liver").confidence < usual.get("liver").confidence


def test_without_ct_everything_is_declined():
    log = NoticeLog()
    result = place_automatically(torso().pet, None, log=log, kinds=("liver", "brain"))
    assert [(d.kind, d.because) for d in result.declined] == [
        ("liver", "there is no CT to place it on"),
        ("brain", "there is no CT to place it on"),
    ]
    assert {n.code for n in log} == {"REFERENCE_DECLINED"}


def test_a_tilted_scan_is_declined():
    patient = torso()
    turn = np.deg2rad(30.0)
    affine = patient.pet.grid.affine.copy()
    affine[:3, :3] = [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]] @ affine[:3, :3]
    grid = Grid(shape=patient.pet.shape, affine=affine)
    pet = Volume(values=patient.pet.values, grid=grid, unit=patient.pet.unit)
    ct = Volume(values=patient.ct.values, grid=grid, unit=HU)
    result = place_automatically(pet, ct, log=NoticeLog())
    assert result.placed == ()
    assert "tilted" in result.declined[0].because


def test_air_alone_is_declined():
    patient = torso(z_range=(-230.0, -150.0))
    air = Volume(values=np.full(patient.ct.shape, -1000, np.int16), grid=patient.ct.grid, unit=HU)
    assert place_automatically(patient.pet, air, log=NoticeLog()).placed == ()


def test_a_pet_without_counts_is_declined():
    patient = torso()
    empty = Volume(values=np.zeros(patient.pet.shape, np.float32), grid=patient.pet.grid, unit=patient.pet.unit)
    assert place_automatically(empty, patient.ct, log=NoticeLog()).placed == ()


def test_a_ct_on_another_grid_is_refused():
    patient, small = torso(), torso(z_range=(-230.0, -150.0))
    with pytest.raises(InputError, match="resample first"):
        place_automatically(patient.pet, small.ct, log=NoticeLog())


def test_a_ct_that_is_not_in_hounsfield_units_is_refused():
    patient = torso()
    with pytest.raises(InputError):
        place_automatically(patient.pet, patient.pet, log=NoticeLog())


def test_a_kind_without_a_finder_is_refused():
    patient = torso()
    with pytest.raises(InputError):
        place_automatically(patient.pet, patient.ct, log=NoticeLog(), kinds=("adrenal",))


def test_one_failed_criterion_is_not_outvoted():
    good = [Criterion(str(n), 1.0, "") for n in range(6)]
    assert confidence(good) == pytest.approx(0.95)
    assert confidence([*good, Criterion("bad", 0.25, "")]) < CONFIDENCE_FLOOR
    assert confidence([*good, Criterion("none", 0.0, "")]) == 0.0
    assert confidence([]) == 0.0


def test_a_ramp_runs_both_ways_and_turns_nan_into_nothing():
    assert [ramp(v, 1.0, 3.0) for v in (0.0, 2.0, 5.0)] == [0.0, 0.5, 1.0]
    assert [ramp(v, 3.0, 1.0) for v in (0.0, 2.0, 5.0)] == [1.0, 0.5, 0.0]
    assert ramp(float("nan"), 0.0, 1.0) == 0.0


@pytest.mark.slow
def test_every_region_lies_in_its_organ_of_the_digital_patient():
    from fusin.imaging.phantom import Acquisition, make_patient
    from fusin.imaging.resample import resample

    patient = make_patient(
        seed=2,
        spacing_mm=(4.0728, 4.0728, 4.0),
        ct_spacing_mm=(4.0, 4.0, 4.0),
        acquisition=Acquisition(noise=0.2, ct_noise_hu=25.0),
    )
    ct = resample(patient.ct, patient.pet.grid)
    result = place_automatically(patient.pet, ct, log=NoticeLog())
    assert {"blood_pool", "liver", "spleen", "marrow"} <= {r.kind for r in result.placed}
    for reference in result.placed:
        if reference.kind != "muscle":
            assert inside(patient.organs, reference) >= 0.95, reference.detail
