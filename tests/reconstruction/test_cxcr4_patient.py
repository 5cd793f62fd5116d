"""The patient of convex solids with published uptakes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fusin.errors import InputError
from fusin.imaging.volume import Grid
from fusin.provenance import NoticeLog
from fusin.reconstruction.attenuation import ct_to_mu
from fusin.reconstruction.cxcr4_patient import cxcr4_ct, cxcr4_patient, uptake_sources


def grid_of(pitch=8.0):
    affine = np.diag([pitch, pitch, pitch, 1.0])
    affine[:3, 3] = -200.0, -140.0, -1210.0
    return Grid(shape=(int(1220 / pitch), int(280 / pitch), int(400 / pitch)), affine=affine)


def test_organs_hold_the_published_uptake_with_its_citation():
    """Median SUVmean of 90 patients, doi:10.1007/s11307-022-01717-1."""
    known = uptake_sources()
    for name, suv in (("spleen", 5.2), ("left kidney", 3.27), ("liver", 1.28), ("blood pool", 1.66), ("marrow", 1.76)):
        assert known[name][0] == suv
        assert known[name][1].startswith("published: ")
        assert "10.1007/s11307-022-01717-1" in known[name][1]


def test_every_uptake_states_where_it_comes_from():
    for suv, source in uptake_sources().values():
        assert suv >= 0
        assert source.split(": ")[0] in ("published", "derived", "assumed")
        assert len(source.split(": ", 1)[1]) > 5


def test_organs_have_volumes_of_adults():
    """Reference man: liver 1.8 kg, spleen 0.15 kg, a kidney 0.155 kg (ICRP Publication 89); within a factor of 1.6."""
    patient = cxcr4_patient(bq_ml_per_suv=1000.0)
    for name, volume in (("liver", 1714.0), ("spleen", 143.0), ("left kidney", 148.0), ("right kidney", 148.0)):
        assert volume / 1.6 < patient.volume_ml(name, pitch_mm=2.0) < volume * 1.6


def test_lesions_of_five_to_forty_millimetres_lie_whole_in_the_patient():
    patient = cxcr4_patient(bq_ml_per_suv=1000.0)
    lesions = [p for p in patient.parts if p.name.startswith("lesion")]
    diameters = sorted(2 * p.solid.half_mm[0] for p in lesions)
    assert (diameters[0], diameters[-1]) == (5.0, 40.0)
    for part in lesions:
        d = 2 * part.solid.half_mm[0]
        assert f"{d:g} mm" in part.name
        assert patient.volume_ml(part.name, pitch_mm=d / 80) == pytest.approx(math.pi / 6 * (d / 10) ** 3, rel=0.01)
    body = patient.on_grid(grid_of())[1].values > 0
    for part in lesions:
        column, row, plane = np.rint(grid_of().to_index(part.solid.centre_mm)).astype(int)
        assert body[plane, row, column]


def test_attenuation_is_that_of_the_ct():
    """The CT of the patient through the same line gives the map that the counts were made with."""
    grid = grid_of()
    ct = cxcr4_ct(grid)
    mu = ct_to_mu(ct, energy_kev=208.37, kvp=120, log=NoticeLog())
    exact = cxcr4_patient(bq_ml_per_suv=1.0, energy_kev=208.37).on_grid(grid, samples=(2, 2, 2))[1]
    # Between air and bone the line bends, so that the mean of a voxel is not the value of its mean.
    assert np.abs(mu.values - exact.values).max() < 0.012
    assert float(mu.values.sum()) == pytest.approx(float(exact.values.sum()), rel=2e-3)


def test_activity_scales_and_can_be_replaced():
    one, two = (cxcr4_patient(bq_ml_per_suv=s).activity_bq(pitch_mm=4.0) for s in (1000.0, 2000.0))
    assert two == pytest.approx(2 * one, rel=1e-9)
    other = cxcr4_patient(bq_ml_per_suv=1.0, activity_bq_ml={"marrow": 77.0})
    assert {p.activity_bq_ml for p in other.parts if p.name == "marrow"} == {77.0}


def test_impossible_patients_are_refused():
    with pytest.raises(InputError, match="bq_ml_per_suv"):
        cxcr4_patient(bq_ml_per_suv=0.0)
    with pytest.raises(InputError, match="one of soft tissue"):
        cxcr4_patient(bq_ml_per_suv=1.0, activity_bq_ml={"heart": 1.0})
