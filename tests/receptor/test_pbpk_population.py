"""Virtual patients: a stopped run goes on where it was, and ends with the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from fusin.errors import InputError
from fusin.receptor.pbpk import Administration
from fusin.receptor.pbpk_body import Tumour
from fusin.receptor.pbpk_population import Setup, read_population, run_population, write_population

PATIENTS = 60


def setup(**changed):
    fields = {
        "ligand": "pentixafor", "given": (Administration(nuclide="Ga-68", activity_mbq=150.0, peptide_nmol=30.0),),
        "times_min": (10.0, 60.0), "tumours": (Tumour(name="lesion", volume_ml=10.0),), "seed": 3,
    }  # fmt: skip
    return Setup(**{**fields, **changed})


@pytest.fixture(scope="module")
def whole():
    return run_population(setup(), PATIENTS)


def same(one, other):
    return all(
        np.array_equal(getattr(one, n), getattr(other, n), equal_nan=True)
        for n in ("parameters", "suv", "tia_h", "done")
    )


def test_an_interrupted_run_keeps_what_is_finished_and_ends_the_same(whole, tmp_path):
    path = tmp_path / "patients.npz"
    seen = []

    def stop(done):
        write_population(done, path)
        seen.append(int(done.done.sum()))
        if len(seen) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_population(setup(), PATIENTS, keep=stop)
    kept = read_population(path, setup())
    assert 0 < kept.done.sum() < PATIENTS
    assert same(run_population(setup(), PATIENTS, earlier=kept), whole)


def test_fewer_patients_are_the_first_of_more(whole):
    part = run_population(setup(), 5, workers=1)
    assert np.array_equal(part.suv, whole.suv[:5])
    assert same(run_population(setup(), PATIENTS, earlier=part), whole)
    assert np.array_equal(run_population(setup(), 5, earlier=whole).suv, part.suv)


def test_progress_comes_to_its_end():
    calls = []
    run_population(setup(), 3, progress=lambda *call: calls.append(call))
    assert calls[-1] == ("patients", 3, 3)


def test_bands_are_in_order(whole):
    bands = whole.bands("spleen")
    assert bands.shape == (5, 2)
    assert np.all(np.diff(bands, axis=0) > 0)


def test_a_file_of_another_case_is_refused(whole, tmp_path):
    path = tmp_path / "patients.npz"
    write_population(whole, path)
    with pytest.raises(InputError, match="settings"):
        read_population(path, setup(seed=4))
    with pytest.raises(InputError, match="settings"):
        run_population(setup(seed=4), 3, earlier=whole)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04broken"])
def test_a_file_that_is_none_is_refused(content, tmp_path):
    path = tmp_path / "patients.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"patients\.npz"):
        read_population(path, setup())


def test_an_archive_of_something_else_is_refused(tmp_path):
    path = tmp_path / "patients.npz"
    np.savez(path, x=np.zeros(3))
    with pytest.raises(InputError, match="format"):
        read_population(path, setup())


@pytest.mark.parametrize("patients", [0, -1, 2_000_000])
def test_a_number_of_patients_that_is_none_is_refused(patients):
    with pytest.raises(InputError):
        run_population(setup(), patients)


def test_stated_numbers_hold_in_every_patient():
    found = run_population(
        setup(stated={"kd_nm": (2.7, 2.7), "gfr_l_min": (0.06, 0.06), "k_int_per_min": (0.01, 0.02)}), 6
    )
    columns = {name: found.parameters[:, found.names.index(name)] for name in ("kd_nm", "gfr_l_min", "k_int_per_min")}
    assert columns["kd_nm"] == pytest.approx(2.7)
    assert columns["gfr_l_min"] == pytest.approx(0.06)
    assert np.all((columns["k_int_per_min"] >= 0.01) & (columns["k_int_per_min"] <= 0.02))


def test_pentixather_takes_its_own_protein_binding():
    given = (Administration(nuclide="Lu-177", activity_mbq=7400.0, peptide_nmol=100.0),)
    found = run_population(setup(ligand="pentixather", given=given, times_min=(1440.0,)), 6)
    free = found.parameters[:, found.names.index("free_in_plasma")]
    assert np.all((free >= 0.005) & (free <= 0.04))
