"""Marrow cases that physics excludes: more energy than a decay has, activity slower than physical decay."""

from __future__ import annotations

import pytest

from fusin.dosimetry.marrow_files import read_marrow_case
from fusin.errors import InputError

CASE = """nuclide = "{nuclide}"
[energy]
absorbed_kev = {kev}
source = "example"
[[region]]
name = "L2-L4"
tia_mbq_h = 12.0
total_g = 1000
share = 0.10
t_eff_h = {t_eff_h}
source = "example"
[cross]
dose_gy = 0.01
t_eff_h = {cross}
"""


def case(folder, **changes):
    path = folder / "marrow.toml"
    given = {"nuclide": "Lu-177", "kev": 84.0, "t_eff_h": 92.0, "cross": 92.0} | changes
    path.write_text(CASE.format(**given), encoding="utf-8")
    return read_marrow_case(path)


@pytest.mark.parametrize(("nuclide", "kev"), [("Lu-177", 840.0), ("Y-90", 4800.0), ("Lu-177", 200.0)])
def test_more_energy_than_a_decay_has_is_refused(tmp_path, nuclide, kev):
    """177Lu emits 147.9 keV of electrons and 35.1 keV of photons per decay (ICRP 107), 90Y 933 keV."""
    with pytest.raises(InputError, match=f"absorbed_kev.*no more energy than {nuclide} emits"):
        case(tmp_path, nuclide=nuclide, kev=kev, t_eff_h=40, cross=40)


@pytest.mark.parametrize("kev", [84.0, 147.9, 183.0])
def test_up_to_all_of_the_energy_of_a_decay_is_taken(tmp_path, kev):
    assert case(tmp_path, kev=kev).absorbed_kev.value == kev


@pytest.mark.parametrize("which", ["t_eff_h", "cross"])
def test_a_half_life_beyond_physical_decay_is_refused(tmp_path, which):
    with pytest.raises(InputError, match=r"t_eff_h: found 400.*159\.53 h of Lu-177"):
        case(tmp_path, **{which: 400})


def test_a_half_life_of_blood_beyond_physical_decay_is_refused(tmp_path):
    path = tmp_path / "marrow.toml"
    blood = "[blood]\ntia_mbq_h_per_g = 0.05\nhematocrit = 0.4\nrmecff = 0.19\nt_eff_h = 200\n"
    path.write_text(f'nuclide = "Lu-177"\n[energy]\nabsorbed_kev = 84\nsource = "example"\n{blood}', encoding="utf-8")
    with pytest.raises(InputError, match="t_eff_h: found 200"):
        read_marrow_case(path)


def test_physical_decay_itself_and_its_rounding_are_taken(tmp_path):
    assert case(tmp_path, t_eff_h=159.528, cross=160).cross_t_eff_h == 160
