"""Energies of organs: the split of self-doses by spheres, and the labelled approximation beside OpenDose's numbers."""

from __future__ import annotations

import pytest

from fusin.dosimetry.organ_energy import approximate_table, electron_self_kev, refuse_impossible_energy
from fusin.dosimetry.organs import organ_doses
from fusin.dosimetry.s_tables import absorbed_kev
from fusin.errors import InputError, NotComputable
from fusin.provenance import NoticeLog

MASSES = {"liver": 1800.0, "kidneys": 310.0, "spleen": 150.0}


def test_electrons_of_a_large_sphere_stay_and_of_a_small_one_leave():
    assert electron_self_kev("Lu-177", 1800.0) == pytest.approx(147.5, rel=0.01)
    assert electron_self_kev("Y-90", 1.0) < 0.75 * electron_self_kev("Y-90", 1800.0)


@pytest.mark.parametrize(("organ", "opendose"), [("liver", 1.3713e-5), ("spleen", 1.5967e-4), ("kidneys", 7.712e-5)])
def test_the_approximation_gives_self_doses_near_those_of_a_phantom(organ, opendose):
    """OpenDose, 177Lu, adult male. An organ is no sphere: within 3 %, and labelled."""
    table = approximate_table(MASSES, nuclide_name="Lu-177", body_mass_g=73000.0)
    found = organ_doses({organ: 1.0}, table, log=NoticeLog())
    assert found.of(organ).dose_gy.value == pytest.approx(3.6 * opendose, rel=0.03)
    assert found.approximate


def test_the_approximation_is_a_warning_in_every_result():
    log = NoticeLog()
    organ_doses({"liver": 1.0}, approximate_table(MASSES, nuclide_name="Lu-177", body_mass_g=73000.0), log=log)
    assert "S_VALUES_APPROXIMATE" in [n.code for n in log]


def test_photons_that_leave_are_spread_over_the_body_and_energy_is_kept():
    from fusin.dosimetry.emissions import emissions

    table = approximate_table(MASSES, nuclide_name="Lu-177", body_mass_g=73000.0)
    cross = absorbed_kev(float(table.values[1, 0]), MASSES["kidneys"]) / MASSES["kidneys"] * (73000.0 - MASSES["liver"])
    own = absorbed_kev(float(table.values[0, 0]), MASSES["liver"])
    kept = own - electron_self_kev("Lu-177", MASSES["liver"])
    assert cross + kept == pytest.approx(emissions("Lu-177").photon_kev_per_decay, rel=1e-6)
    refuse_impossible_energy(table, NoticeLog())


def test_marrow_is_never_a_sphere_and_organs_fit_into_the_body():
    with pytest.raises(NotComputable) as caught:
        approximate_table({"red marrow": 1170.0}, nuclide_name="Lu-177", body_mass_g=73000.0)
    assert caught.value.code == "NO_SPHERE_FOR_SKELETON"
    for masses, body in ((MASSES, 2000.0), (MASSES, 0.0), ({"liver": 0.0}, 73000.0)):
        with pytest.raises(InputError):
            approximate_table(masses, nuclide_name="Lu-177", body_mass_g=body)
