"""Yin et al., Front Endocrinol 2024;15:1291775: 26 patients with PET and AVS, 13 lateralised by both, 4 by PET only, 2 by
AVS only, 7 by neither. Agreement 77 % as published; kappa and McNemar derived from the four counts."""

from __future__ import annotations

import json

import pytest

from fusin.cohort.aldosteronism import PetScan, subtype_table
from fusin.cohort.concordance import concordance
from fusin.provenance import NoticeLog

COUNTS = {("left", "left"): 13, ("left", "bilateral"): 4, ("bilateral", "left"): 2, ("bilateral", "bilateral"): 7}


@pytest.fixture(scope="module")
def found():
    scans, verdicts = [], {}
    for (pet, avs), count in COUNTS.items():
        for _ in range(count):
            name = f"P{len(scans)}"
            scans.append(PetScan(patient=name, tracer="68Ga-pentixafor", time_min=10.0, reader_verdict=pet))
            verdicts[name] = {"ct": None, "avs": avs}
    log = NoticeLog()
    return concordance(subtype_table(scans, verdicts=verdicts, log=log).lines, "pet", "avs", log=log)


def test_the_four_counts_come_back(found):
    assert (found.both, found.first_only, found.second_only, found.neither) == (13, 4, 2, 7)
    assert found.n == found.comparable == 26


def test_agreement_is_20_of_26(found):
    assert (found.agreement.k, found.agreement.n) == (20, 26)
    assert 100 * found.agreement.value == pytest.approx(76.92, abs=0.005)


def test_kappa_and_mcnemar_are_those_of_the_sheet(found):
    assert found.kappa_lateralised.value == pytest.approx(0.5155, abs=0.00005)
    assert found.mcnemar.exact.p == pytest.approx(0.6875)


def test_the_comparison_is_plain_json(found):
    text = json.dumps(found.to_json(), allow_nan=False)
    assert json.loads(text)["kappa_lateralised"]["value"] == pytest.approx(0.5155, abs=0.00005)
