"""Physiological organs without labels: outlined where they are certain, left as candidates where they are not."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from analytic_torso import make_torso

from fusin.imaging.volume import Grid, Region, Volume
from fusin.provenance import NoticeLog
from fusin.quantification.placement import PlacementResult, place_automatically
from fusin.quantification.placement_physiology import physiological_organs

# One worker, so that each patient is painted once.
pytestmark = pytest.mark.xdist_group("physiology")

EMPTY = PlacementResult(placed=(), declined=())


@cache
def case(**options):
    patient = make_torso(z_range=(-230.0, 450.0), **options)
    log = NoticeLog()
    placement = place_automatically(patient.pet, patient.ct, log=NoticeLog(), kinds=("liver", "spleen"))
    return patient, {r.name: r for r in physiological_organs(patient.pet, patient.ct, placement, log)}, log


def with_lesion(volume, centre, radius, value):
    k, j, i = np.meshgrid(*(np.arange(n) for n in volume.shape), indexing="ij")
    p = volume.grid.to_mm(np.stack([i, j, k], axis=-1))
    mask = ((p - centre) ** 2).sum(axis=-1) < radius**2
    values = volume.values.copy()
    values[mask] = value
    return Volume(values=values, grid=volume.grid, unit=volume.unit), mask


def test_kidneys_spleen_and_bladder_are_covered():
    patient, organs, _ = case(seed=4)
    assert set(organs) == {"kidney_left", "kidney_right", "spleen", "urinary_bladder"}
    for name, region in organs.items():
        truth = patient.organs[name].mask()
        assert region.mask()[truth].mean() > 0.97, name


def test_nothing_far_from_an_organ_is_taken():
    patient, organs, _ = case(seed=4)
    for name in ("kidney_left", "spleen", "urinary_bladder"):
        extra = organs[name].volume_ml - patient.organs[name].volume_ml
        assert extra < 0.6 * patient.organs[name].volume_ml, name


def test_each_organ_is_declared_as_a_heuristic():
    _, organs, log = case(seed=4)
    declared = {n.where for n in log if n.code == "PHYSIOLOGICAL_HEURISTIC"}
    assert declared == set(organs)
    assert all(r.attributes["heuristic"] and r.attributes["note"] and "heuristic" in r.source for r in organs.values())


def test_a_lesion_beside_the_bladder_is_left_alone():
    patient, organs, _ = case(seed=4)
    x, y, z = organs["urinary_bladder"].centroid_mm()
    pet, lesion = with_lesion(patient.pet, (x + 62.0, y + 10.0, z), 9.0, 12.0)
    placement = place_automatically(pet, patient.ct, log=NoticeLog(), kinds=("liver", "spleen"))
    again = physiological_organs(pet, patient.ct, placement, NoticeLog())
    bladder = next(r for r in again if r.name == "urinary_bladder")
    assert not bladder.mask()[lesion].any()


def test_one_hot_kidney_is_no_pair_and_stays_a_candidate():
    patient, _, _ = case(seed=4)
    values = patient.pet.values.copy()
    right = patient.organs["kidney_right"]
    values[right.box][right.crop] = 0.5
    log = NoticeLog()
    pet = Volume(values=values, grid=patient.pet.grid, unit=patient.pet.unit)
    placement = place_automatically(pet, patient.ct, log=NoticeLog(), kinds=("liver", "spleen"))
    names = {r.name for r in physiological_organs(pet, patient.ct, placement, log)}
    assert not names & {"kidney_left", "kidney_right"}
    assert any(n.code == "PHYSIOLOGICAL_UNDECIDED" and n.where == "kidneys" for n in log)


def test_a_solid_hot_mass_in_the_pelvis_is_no_bladder():
    patient, _, _ = case(seed=4)
    bladder = patient.organs["urinary_bladder"]
    hounsfield = patient.ct.values.copy()
    hounsfield[bladder.box][bladder.crop] = 65
    ct = Volume(values=hounsfield, grid=patient.ct.grid, unit=patient.ct.unit)
    log = NoticeLog()
    placement = place_automatically(patient.pet, ct, log=NoticeLog(), kinds=("liver", "spleen"))
    names = {r.name for r in physiological_organs(patient.pet, ct, placement, log)}
    assert "urinary_bladder" not in names
    assert any(n.code == "PHYSIOLOGICAL_UNDECIDED" and n.where == "urinary_bladder" for n in log)


def test_without_a_spleen_reference_no_spleen_is_set_aside():
    patient, _, _ = case(seed=4)
    names = {r.name for r in physiological_organs(patient.pet, patient.ct, EMPTY, NoticeLog())}
    assert "spleen" not in names
    assert "kidney_right" in names


@pytest.mark.parametrize("with_ct", [True, False])
def test_thighs_or_no_ct_set_nothing_aside(with_ct):
    patient = make_torso(z_range=(-230.0, -150.0))
    log = NoticeLog()
    assert physiological_organs(patient.pet, patient.ct if with_ct else None, EMPTY, log) == ()
    assert {n.code for n in log} == {"PHYSIOLOGICAL_UNDECIDED"}


def test_regions_lie_on_the_grid_of_the_pet_in_any_storage_order():
    patient, organs, _ = case(seed=4)
    affine = patient.pet.grid.affine.copy()
    affine[:3, 3] += affine[:3, 2] * (patient.pet.shape[0] - 1)
    affine[:3, 2] *= -1
    grid = Grid(shape=patient.pet.shape, affine=affine)
    pet, ct = (
        Volume(values=np.ascontiguousarray(v.values[::-1]), grid=grid, unit=v.unit) for v in (patient.pet, patient.ct)
    )
    placement = place_automatically(pet, ct, log=NoticeLog(), kinds=("liver", "spleen"))
    again = {r.name: r for r in physiological_organs(pet, ct, placement, NoticeLog())}
    assert set(again) == set(organs)
    for name, region in again.items():
        assert isinstance(region, Region)
        assert region.grid.matches(grid)
        assert region.mask()[::-1][organs[name].mask()].mean() > 0.97, name
