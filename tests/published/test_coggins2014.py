"""Coggins et al., PLoS ONE 2014;9:e98328: recruitment of beta-arrestin 2 to CXCR4 and ACKR3 by CXCL12.

The paper's statements judge the model within their wording; numbers to three digits come from an independent computation of the
same equations in another program (libRoadRunner) and hold it in place.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("libsbml", reason="needs the extra receptor")

from fusin.receptor.network import network_sbml, read_layer, resting_state
from fusin.receptor.sbml_read import model_from_sbml, read_model
from fusin.receptor.simulation import Simulator

ROOT = Path(__file__).resolve().parents[2]
PUBLIC = ROOT.parent / "shared" / "data" / "sbml" / "biomodels" / "BIOMD0000000599.xml"
# 1000 ng/mL are 1.16e8 molecules per cell in 1.75 nL of medium (Avogadro 6.02e23 as in the public file).
NM_PER_NG_ML = 1.16e8 / (6.02e23 * 1.75e-9 * 1e-9) / 1000.0
AS_SHIPPED = 1.75e-9 / 8.4e-12


@cache
def simulator(cell: str, ratio: float = 1.0) -> Simulator:
    text = network_sbml("A", cell=cell, values={"volume_ratio": ratio})
    return Simulator(model_from_sbml(text, where=cell))


@cache
def course(cell: str, ng_ml: float, ratio: float = 1.0):
    """Recruitment against the start, and CXCR4 able to bind arrestin against the start, each 10 s for 90 min."""
    found = simulator(cell, ratio).run(until=5400, points=541, changed={"CXCL12": ng_ml * NM_PER_NG_ML})
    probe = found["recruited_ACKR3" if cell == "ackr3" else "recruited_CXCR4"]
    return probe / probe[0], (found["R4"] + found["C4"]) / max(found["R4"][0], 1.0), found


def test_recruitment_to_cxcr4_peaks_about_fourfold_and_keeps_three_quarters():
    """'maximum ~4-fold at 1000 ng/mL', 'at 90 min ~75 % of the peak'."""
    fold, _, _ = course("cxcr4", 1000.0)
    assert fold.max() == pytest.approx(4.0, rel=0.05)
    assert fold.max() == pytest.approx(4.03, rel=0.03)
    assert fold[-1] / fold.max() == pytest.approx(0.75, abs=0.03)


def test_half_of_the_receptor_that_can_bind_arrestin_is_left_after_40_minutes():
    _, able, _ = course("cxcr4", 1000.0)
    assert able[240] == pytest.approx(0.50, abs=0.015)


def test_ackr3_beside_cxcr4_takes_about_30_percent_of_the_peak():
    dual, alone = course("dual", 1000.0)[0].max(), course("cxcr4", 1000.0)[0].max()
    assert dual == pytest.approx(2.84, rel=0.03)
    assert dual / alone == pytest.approx(0.70, abs=0.02)


def test_recruitment_to_ackr3_is_higher_at_90_than_at_40_minutes():
    """'2.4-fold at 40 min, still rising at 90 min'; with ACKR3 alone it levels off in the last minutes."""
    fold, _, _ = course("ackr3", 1000.0)
    assert fold[240] == pytest.approx(2.46, rel=0.03)
    assert fold[540] == pytest.approx(2.59, rel=0.03)
    assert np.all(np.diff(fold[240:480]) > 0)
    found = course("dual", 1000.0)[2]
    probe = found["recruited_ACKR3"] / found["recruited_ACKR3"][0]
    assert (probe[240], probe[540]) == pytest.approx((2.43, 2.57), rel=0.03)


@pytest.mark.parametrize(
    ("cell", "peaks"),
    [
        ("cxcr4", {4: 1.08, 12: 1.23, 37: 1.63, 111: 2.37, 333: 3.32, 1000: 4.03}),
        ("dual", {4: 1.01, 12: 1.02, 37: 1.06, 111: 1.42, 333: 2.15, 1000: 2.84}),
    ],
)
def test_peaks_by_dose(cell, peaks):
    """The corrected volume brings the dose response back."""
    found = {dose: float(course(cell, dose)[0].max()) for dose in peaks}
    assert found == pytest.approx(peaks, rel=0.03)


def test_thresholds_of_detection_are_where_the_paper_has_them():
    """37 ng/mL is seen with CXCR4 alone and not with ACKR3 beside it; ACKR3 alone sees 4 ng/mL."""
    assert course("cxcr4", 37.0)[0].max() > 1.3
    assert course("dual", 37.0)[0].max() < 1.1 < course("dual", 111.0)[0].max()
    assert course("ackr3", 4.0)[0].max() > 1.3


def test_the_volume_of_the_public_file_gives_its_peaks():
    """The switch documents the defect: ligand binds as if 208 times more concentrated, and small doses are no longer small."""
    assert course("cxcr4", 1000.0, AS_SHIPPED)[0].max() == pytest.approx(4.58, abs=0.01)
    dual = course("dual", 1000.0, AS_SHIPPED)[0].max()
    assert dual == pytest.approx(3.46, abs=0.01)
    assert course("dual", 10.0, AS_SHIPPED)[0].max() == pytest.approx(2.0, abs=0.1)
    assert course("dual", 10.0)[0].max() < 1.05


def test_the_time_of_the_peak_is_later_than_in_the_experiment():
    """Not matched, and said so: the experiment peaks at 20 to 22 min, the model at 33 min (20 min with ACKR3)."""
    assert course("cxcr4", 1000.0)[0].argmax() / 6 == pytest.approx(33, abs=1)
    assert course("dual", 1000.0)[0].argmax() / 6 == pytest.approx(20, abs=1)


def test_resting_cells_have_the_surface_receptor_of_table_1():
    """Surface CXCR4: 9.5e4 (CXCR4 alone) and 1.3e5 (with ACKR3) per cell."""
    layer = read_layer("A")
    values = {k: r.value for k, r in layer.parameters.items()}
    assert resting_state(layer.cells["cxcr4"], values)["R4"] == pytest.approx(9.5e4, rel=0.02)
    assert resting_state(layer.cells["dual"], values)["R4"] == pytest.approx(1.3e5, rel=0.04)


@pytest.mark.skipif(not PUBLIC.is_file(), reason="the public model is not redistributed")
def test_the_public_file_as_it_is_still_has_the_defect():
    """BIOMD0000000599 (dual cells) peaks at 3.46, ACKR3 at 2.43 after 40 min."""
    found = Simulator(read_model(PUBLIC)).run(until=5400, points=541)
    probe = found["Total4"]
    assert probe.max() / probe[0] == pytest.approx(3.46, abs=0.01)
    other = found["Total7"]
    assert other[240] / other[0] == pytest.approx(2.43, abs=0.01)


@pytest.mark.skipif(not PUBLIC.is_file(), reason="the public model is not redistributed")
def test_our_equations_with_its_volume_follow_the_public_file_all_along():
    theirs = Simulator(read_model(PUBLIC)).run(until=5400, points=181)
    ours = simulator("dual", AS_SHIPPED).run(until=5400, points=181, changed={"CXCL12": 1000 * NM_PER_NG_ML})
    for mine, other in (("recruited_CXCR4", "Total4"), ("recruited_ACKR3", "Total7")):
        assert np.max(np.abs(ours[mine] / theirs[other] - 1.0)) < 1e-3
