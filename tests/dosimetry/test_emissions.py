"""What one decay emits: rows with sources, lines that follow from conversion, and the energy of the decay."""

from __future__ import annotations

import pytest

from fusin.dosimetry.emissions import GY_G_PER_MBQ_H_KEV, emissions, known_emitters, say_alpha_assumptions
from fusin.errors import InputError
from fusin.provenance import NoticeLog


@pytest.mark.parametrize("name", known_emitters())
def test_every_row_has_a_source_and_every_intensity_an_uncertainty(name):
    found = emissions(name)
    assert found.source
    for branch in found.betas:
        assert branch.intensity > 0
        # The one branch of 209Pb is certain.
        assert branch.intensity_u > 0 or branch.intensity == 1.0
    for line in (*found.electrons, *found.photons, *found.alphas):
        assert line.energy_kev > 0
        assert line.intensity >= 0
        assert line.intensity_u >= 0


@pytest.mark.parametrize("name", known_emitters())
def test_branches_add_up_to_at_most_one_decay(name):
    found = emissions(name)
    found = found.chain[0][1] if found.chain else found
    total = sum(b.intensity for b in found.betas)
    assert total <= 1.0 + 3 * sum(b.intensity_u**2 for b in found.betas) ** 0.5 + 0.001


@pytest.mark.parametrize("spelling", ["Lu-177", "177Lu", "lu177", "^177^Lutetium"])
def test_a_nuclide_is_found_in_every_spelling(spelling):
    assert emissions(spelling).nuclide == "Lu-177"


@pytest.mark.parametrize("name", ["Lu-177", "Tb-161", "Lu-177m"])
def test_conversion_and_relaxation_carry_the_energy_of_the_transitions(name):
    """Conversion electrons, X rays and Auger electrons together hold what the gamma rays do not take."""
    import tomllib
    from importlib import resources

    text = resources.files("fusin.dosimetry").joinpath("emissions.toml").read_text(encoding="utf-8")
    document = tomllib.loads(text)
    row = document["nuclides"][name]
    binding = document["atoms"][row["atom"]]["binding_kev"]
    converted = sum(
        energy * intensity * coefficient
        for energy, intensity, _, *coefficients in row["gammas"]
        for coefficient, shell in zip(coefficients, binding, strict=True)
        if energy > shell
    )
    found = emissions(name)
    lines = list(found.electrons) + [p for p in found.photons if p.kind == "x"]
    assert sum(e.energy_kev * e.intensity for e in lines) == pytest.approx(converted, rel=1e-9)


def test_the_energy_of_the_decay_is_shared_by_electrons_photons_and_neutrinos():
    """177Lu: the neutrinos take the rest of each branch, and together with all else that is 496.8 keV."""
    found = emissions("Lu-177")
    neutrinos = sum(b.intensity * (b.endpoint_kev - b.mean_kev) for b in found.betas)
    assert found.electron_kev_per_decay + found.photon_kev_per_decay + neutrinos == pytest.approx(496.8, rel=2e-3)


def test_the_energy_of_the_isomer_is_incomplete_and_says_so():
    assert "isomeric transition" in emissions("Lu-177m").missing


def test_delta_is_the_exact_conversion_of_units():
    # 1 keV per decay, 3.6e9 decays in 1 MBq h: 1.602176634e-16 J * 3.6e9 / 1e-3 kg
    assert pytest.approx(5.76783588e-4, rel=1e-9) == GY_G_PER_MBQ_H_KEV


def test_a_nuclide_without_emissions_is_refused_with_those_that_have_them():
    with pytest.raises(InputError, match="Lu-177, Lu-177m, Y-90, Ga-68, Tb-161"):
        emissions("F-18")


def test_two_nuclides_at_once_are_refused():
    with pytest.raises(InputError, match="nuclide"):
        emissions("Lu-177+Y-90")


@pytest.mark.parametrize("name", ["Ac-225", "Fr-221", "At-217", "Po-213"])
def test_a_nuclide_that_decays_by_alphas_alone_has_one_in_each_decay(name):
    own = emissions(name).chain[0][1]
    assert sum(a.intensity for a in own.alphas if a.kind == "alpha") == pytest.approx(1.0)


def test_every_alpha_leaves_a_recoil_of_equal_momentum():
    lines = emissions("At-217").chain[0][1].alphas
    alphas, recoils = ([a for a in lines if a.kind == kind] for kind in ("alpha", "recoil"))
    assert [r.intensity for r in recoils] == [a.intensity for a in alphas]
    assert recoils[0].energy_kev == pytest.approx(alphas[0].energy_kev * 4.0026 / 213.0, rel=1e-4)


def test_the_emissions_of_a_chain_are_those_of_its_members():
    found = emissions("225Ac")
    assert {m.nuclide: share for share, m in found.chain} == pytest.approx(
        {"Ac-225": 1, "Fr-221": 1, "At-217": 1, "Bi-213": 1, "Po-213": 0.9786, "Tl-209": 0.0214, "Pb-209": 1}
    )
    for energy in ("alpha_kev_per_decay", "electron_kev_per_decay", "photon_kev_per_decay"):
        members = sum(share * getattr(member, energy) for share, member in found.chain)
        assert getattr(found, energy) == pytest.approx(members)
    assert {b.daughter_z for b in found.betas} == {82, 83, 84}


def test_the_generator_of_bismuth_is_its_own_chain():
    assert [m.nuclide for _, m in emissions("Bi-213").chain] == ["Bi-213", "Po-213", "Pb-209", "Tl-209"]


def test_nuclides_without_progeny_have_no_alphas_and_nothing_to_say():
    log = NoticeLog()
    for name in ("Lu-177", "Y-90", "F-18"):
        say_alpha_assumptions(name, log)
    assert emissions("Lu-177").alphas == emissions("Lu-177").chain == ()
    assert log.notices == ()


def test_an_alpha_emitter_says_its_assumptions_once():
    log = NoticeLog()
    say_alpha_assumptions("Ac-225", log)
    say_alpha_assumptions("Ac-225", log)
    assert [n.code for n in log.notices] == ["PROGENY_STAYS", "ALPHA_WITHOUT_RBE"]
