"""Scan protocols by name."""

from __future__ import annotations

import pytest

from fusin.errors import InputError
from fusin.evidence.catalogue import default_catalogue
from fusin.quantification import protocols
from fusin.quantification.protocols import DEFAULT_PROTOCOL, protocol, protocol_names


@pytest.mark.parametrize("name", protocol_names())
def test_every_protocol_has_rising_windows_and_a_source(name):
    found = protocol(name)
    assert found.name == name
    assert 0 <= found.uptake_min[0] < found.uptake_min[1]
    assert 0 <= found.activity_mbq[0] < found.activity_mbq[1]
    assert len(found.source) > 20


def test_the_evidence_that_a_protocol_cites_exists():
    import tomllib
    from importlib import resources

    text = resources.files("fusin.quantification").joinpath("protocols.toml").read_text(encoding="utf-8")
    known = {record.id for record in default_catalogue()}
    cited = {record for row in tomllib.loads(text).values() for record in row["evidence"]}
    assert cited <= known


def test_the_default_is_the_window_of_the_trials():
    """60 min, 45 to 90 min as in NCT06246357 (clinical facts sheet); activity doubts from 50 to 250 MBq (issue)."""
    found = protocol(DEFAULT_PROTOCOL)
    assert (found.uptake_min, found.activity_mbq) == ((45.0, 90.0), (50.0, 250.0))


@pytest.mark.parametrize("name", ["", "Oncology", "nonsense"])
def test_an_unknown_protocol_lists_the_known_ones(name):
    with pytest.raises(InputError, match="aldosteronism-early"):
        protocol(name)


def test_names_are_those_of_the_table():
    assert set(protocol_names()) == {"oncology", "aldosteronism-early", "aldosteronism-late"}
    assert set(protocols.__all__) >= {"protocol", "protocol_names"}
