"""225Ac and its progeny against published lines and Q values.

Lines: ENSDF (A = 209: Chen, Kondev, Nuclear Data Sheets 126 (2015) 373; A = 213: Basunia, 181 (2022) 475; A = 217: Kondev et al.,
147 (2018) 382; A = 221: Jain et al., 108 (2007) 883).
"""

from __future__ import annotations

import pytest

from fusin.dosimetry.emissions import emissions
from fusin.dosimetry.spheres import sphere_s

# keV and intensity of the strongest alpha; Q of the decay and the mean energy of the strongest beta branch [keV]
ALPHAS = {
    "Ac-225": (5830.0, 0.507, 0.015),
    "Fr-221": (6341.0, 0.833, 0.007),
    "At-217": (7066.9, 0.999, 0.001),
    "Po-213": (8376.0, 1.000, 0.001),
}
Q_KEV = {"Ac-225": 5935.1, "Fr-221": 6457.7, "At-217": 7201.4, "Po-213": 8536.1, "Tl-209": 3976.0, "Pb-209": 644.0}
BETA_MEANS = {"Bi-213": (1422.0, 491.8), "Tl-209": (1826.58, 660.0), "Pb-209": (644.6, 197.5)}


def members():
    return {m.nuclide: (share, m) for share, m in emissions("Ac-225").chain}


def released(member):
    """Energy of all that a nuclide emits, with the neutrinos [keV]."""
    neutrinos = sum(b.intensity * (b.endpoint_kev - b.mean_kev) for b in member.betas)
    seen = member.alpha_kev_per_decay + member.electron_kev_per_decay + member.photon_kev_per_decay
    return seen + neutrinos


@pytest.mark.parametrize("name", ALPHAS)
def test_the_strongest_alpha_is_that_of_the_evaluation(name):
    energy, intensity, u = ALPHAS[name]
    _, own = members()[name]
    strongest = max((a for a in own.alphas if a.kind == "alpha"), key=lambda a: a.intensity)
    assert strongest.energy_kev == energy
    assert strongest.intensity == pytest.approx(intensity, abs=u)


@pytest.mark.parametrize("name", Q_KEV)
def test_the_energy_of_a_member_is_its_q_value(name):
    _, own = members()[name]
    assert released(own) == pytest.approx(Q_KEV[name], rel=0.005)


def test_the_energy_of_bismuth_is_shared_by_its_two_branches():
    _, own = members()["Bi-213"]
    assert released(own) == pytest.approx(0.9786 * 1422.0 + 0.0214 * 5988.0, rel=0.002)


def test_the_energy_of_the_whole_chain_is_the_sum_of_its_q_values():
    first = 5935.1 + 6457.7 + 7201.4
    whole = first + 0.9786 * (1422.0 + 8536.1) + 0.0214 * (5988.0 + 3976.0) + 644.0
    assert sum(share * released(own) for share, own in members().values()) == pytest.approx(whole, rel=0.001)


@pytest.mark.parametrize("name", BETA_MEANS)
def test_the_mean_of_the_strongest_beta_branch_is_that_of_the_evaluation(name):
    endpoint, mean = BETA_MEANS[name]
    branch = next(b for b in members()[name][1].betas if b.endpoint_kev == pytest.approx(endpoint))
    assert branch.mean_kev == pytest.approx(mean, rel=0.007)


@pytest.mark.parametrize(("energy_kev", "percent"), [(440.45, 25.9), (218.0, 11.44), (1567.08, 0.0214 * 99.663)])
def test_the_gamma_rays_that_a_camera_sees_have_the_published_intensity(energy_kev, percent):
    lines = [p for p in emissions("Ac-225").photons if p.kind == "gamma" and p.energy_kev == energy_kev]
    assert [100.0 * p.intensity for p in lines] == pytest.approx([percent], rel=1e-3)


def test_a_sphere_takes_28_mev_of_alphas_in_each_decay():
    """27.5 MeV of alphas and 0.5 MeV of recoil; 1 MBq s in 1 g is 4.49 Gy of alphas."""
    found = emissions("Ac-225")
    assert sum(a.energy_kev * a.intensity for a in found.alphas if a.kind == "alpha") == pytest.approx(
        27480.0, rel=1e-3
    )
    assert sum(a.energy_kev * a.intensity for a in found.alphas if a.kind == "recoil") == pytest.approx(513.0, rel=5e-3)
    sphere = sphere_s("Ac-225", 1000.0)
    assert sphere.alpha_mgy_per_mbq_s == pytest.approx(27993.0 * 1.602176634e-16 * 1e9, rel=1e-3)
