"""Keys that nobody would read are refused with the choice that would read them."""

from __future__ import annotations

import tomllib

import pytest

from fusin.errors import InputError
from fusin.reconstruction.config_conflicts import refuse_unread


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[scatter]\nlower = "low"', 'method = "tew" or "dew"'),
        ('[scatter]\nmethod = "tew"\nlower = "low"\nk = 0.5', '"dew", or no k'),
        ('[scatter]\nmethod = "simulated"\nfile = "s.hs"', '"file", or no file'),
        ("[resolution]\nslope = 0.04\nintercept_mm = 2\nwidths_mm = [3, 4]", "distances_mm for it, or no widths_mm"),
        ('[attenuation]\nmu_map = "mu.nii"\nkvp = 120', "ct for it, or no kvp"),
        ('[[region]]\nname = "a"\ncentre_mm = [0, 0, 0]\nradius_mm = 5\nlabel = 2', "region 1: label"),
        ("[algorithm]\nstep = 0.5", "bsrem or map, or no step"),
        ('[algorithm]\nname = "map"\ndecay = 0.5', "bsrem, or no decay"),
    ],
)
def test_a_key_beside_another_choice_is_refused(text, words):
    with pytest.raises(InputError, match=words) as caught:
        refuse_unread(tomllib.loads(text), "c.toml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "", '[scatter]\nmethod = "tew"\nlower = "low"\nupper = 3\nsmooth_mm = 4',
        '[algorithm]\nname = "bsrem"\nstep = 1.0\ndecay = 0.2',
        "[resolution]\nhole_mm = 1.5\nlength_mm = 35\nmu_per_cm = 13\nintrinsic_fwhm_mm = 3.8\ngap_mm = 4",
        '[attenuation]\nct = "ct"\nkvp = 120\nenergy_kev = 208', "[scatter]\nmethod = 7", '[attenuation]\nmu_map = "a"\nct = "b"',
    ],
)  # fmt: skip
def test_what_is_read_or_refused_elsewhere_passes(text):
    document = tomllib.loads(text)
    refuse_unread(document, "c.toml")
    assert document == tomllib.loads(text)
