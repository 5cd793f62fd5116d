"""BioModels 10 and 599 against trajectories of libRoadRunner at tight tolerances (abs 1e-12, rel 1e-10)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fusin.receptor.engines import open_model
from fusin.receptor.scipy_engine import Tolerances

pytest.importorskip("libsbml")

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "sbml"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the curated models are not in this checkout")
# Without an absolute tolerance, because model 9 counts 1e-16 mol: the default follows from the smallest start.
TIGHT = Tolerances(relative=1e-11)


def reference(number):
    lines = (DATA / "biomodels_reference_roadrunner" / f"BIOMD0000000{number}.csv").read_text().split()
    return [name.strip("[]") for name in lines[0].split(",")], np.array(
        [line.split(",") for line in lines[1:]], dtype=float
    )


def model(number, **options):
    return open_model(str(DATA / "biomodels" / f"BIOMD0000000{number}.xml"), **options)


def largest_difference(a, b):
    """Relative, and relative to a millionth of a column's largest value where it is smaller than that."""
    return np.max(np.abs(a - b) / np.maximum(np.abs(b), 1e-6 * np.abs(b).max(axis=0) + 1e-300))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("number", ["010", "599"])
def test_trajectories_agree_with_the_reference(number, compiled):
    """Required: 1e-4. The default tolerances do a thousand times better."""
    names, expected = reference(number)
    opened = model(number, compiled=compiled)
    course = opened.engine.run(until=expected[-1, 0], points=len(expected))
    found = np.column_stack([course[name] for name in names[1:]])
    assert largest_difference(found, expected[:, 1:]) < 1e-6


@pytest.mark.parametrize(("number", "until"), [("009", 100), ("010", 6000), ("271", 300), ("599", 5400)])
def test_two_engines_agree_to_a_millionth(number, until):
    pytest.importorskip("roadrunner")
    ours = model(number).engine.run(until=until, points=101, tolerances=TIGHT)
    theirs = model(number, engine="roadrunner").engine.run(until=until, points=101, tolerances=TIGHT)
    found = np.column_stack([ours[name] for name in theirs.names])
    assert largest_difference(found, theirs.values) < 1e-6


def test_ligand_of_599_rests_on_the_defect_that_is_documented():
    """The file converts binding with 8.4e-12 L, the volume of a cell (parameter_30), not with that of medium per cell."""
    parameters = {p.id: p.value for p in model("599").model.parameters}
    assert parameters["parameter_30"] == pytest.approx(8.4e-12)
