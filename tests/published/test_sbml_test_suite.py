"""The public half of the SBML Test Suite (3.3.0): each case's own results within its own tolerances.

Sarah M. Keating et al., Mol Syst Biol 2020;16:e9110; sbmlteam/sbml-test-suite, LGPL-2.1-or-later. Read, not shipped.
"""

from __future__ import annotations

import functools
import tarfile
from pathlib import Path

import numpy as np
import pytest

from fusin.errors import Unsupported
from fusin.receptor.sbml_read import model_from_sbml
from fusin.receptor.simulation import Simulator

pytest.importorskip("libsbml")

ARCHIVE = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "sbml" / "semantic_public_even.tar.xz"
CHUNKS = 8
PLAIN_CORE = {
    "Compartment", "Species", "Reaction", "Parameter", "FunctionDefinition", "AssignmentRule", "RateRule", "InitialAssignment",
}  # fmt: skip
UNSUPPORTED = ("AlgebraicRule", "CSymbolDelay", "FastReaction")
# Tens of thousands of events each: the benchmark runs them.
LONG = {"00966", "01626"}

pytestmark = pytest.mark.skipif(not ARCHIVE.exists(), reason="the SBML Test Suite is not in this checkout")


@functools.cache
def cases():
    """Case number to its files by the ending of their names."""
    found = {}
    with tarfile.open(ARCHIVE, "r:xz") as archive:
        for member in archive:
            if member.isfile():
                number, name = Path(member.name).parts[-2:]
                found.setdefault(number, {})[name.partition("-")[2]] = (
                    archive.extractfile(member).read().decode("utf-8")
                )
    return found


def settings(files):
    pairs = (line.partition(":") for line in files["settings.txt"].splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def tags(files):
    """Component and test tags of a case."""
    lines = [x for x in files["model.m"].splitlines() if x.startswith(("componentTags", "testTags"))]
    return {tag.strip() for line in lines for tag in line.partition(":")[2].split(",")} - {""}


def names(text):
    return [name.strip() for name in text.split(",") if name.strip()]


def wrong_columns(files):
    """Columns of a case that are further from its results than it permits."""
    asked = settings(files)
    model = model_from_sbml(next(text for name, text in files.items() if name.startswith("sbml")), where="case")
    simulator = Simulator(model)
    rows = [line.split(",") for line in files["results.csv"].strip().splitlines()]
    headings = [heading.strip().strip('"') for heading in rows[0]]
    expected = np.array([[float(v) for v in row] for row in rows[1:] if any(row)])
    amounts = set(names(asked.get("amount", "")))
    run = {"until": float(asked["duration"]), "points": int(asked["steps"]) + 1}
    course = simulator.run(**run, amounts=True)
    other = course if amounts >= set(headings[1:]) else simulator.run(**run)
    found = []
    for place, heading in enumerate(headings[1:], start=1):
        x, r = (course if heading in amounts else other)[heading], expected[:, place]
        with np.errstate(invalid="ignore"):
            close = np.abs(x - r) <= float(asked["absolute"]) + float(asked["relative"]) * np.abs(r)
        if not (close | (x == r) | (np.isnan(x) & np.isnan(r))).all():
            found.append(heading)
    return found


@functools.cache
def verdict(number):
    try:
        return "wrong" if wrong_columns(cases()[number]) else "right"
    except Unsupported:
        return "unsupported"


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_case_without_unsupported_constructs_is_within_its_tolerances(chunk):
    """All 727 of them that are not LONG; a case that may be refused must be refused."""
    numbers = [n for i, n in enumerate(sorted(cases())) if i % CHUNKS == chunk and n not in LONG]
    assert len(numbers) > 80
    expected = {n: "unsupported" if tags(cases()[n]) & set(UNSUPPORTED) else "right" for n in numbers}
    found = {n: verdict(n) for n in numbers}
    # A construct may stand in a case without being used, and a tag may be missing.
    differing = {n: found[n] for n in numbers if found[n] != expected[n] and found[n] == "wrong"}
    assert differing == {}
    refused = [n for n in numbers if found[n] == "unsupported" and expected[n] == "right"]
    assert refused == []


def test_the_plain_core_is_a_part_of_what_runs():
    """At least 99 % of the plain core is asked for; none of it needs what we refuse."""
    core = [n for n, files in cases().items() if components(files) <= PLAIN_CORE and "FastReaction" not in tags(files)]
    assert len(core) > 300
    assert not [n for n in core if tags(cases()[n]) & set(UNSUPPORTED)]


def components(files):
    line = next(x for x in files["model.m"].splitlines() if x.startswith("componentTags"))
    return set(names(line.partition(":")[2]))
