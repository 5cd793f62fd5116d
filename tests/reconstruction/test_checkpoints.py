"""Checkpoints as files; that a run goes on identically is tested with the algorithms."""

from __future__ import annotations

import numpy as np
import pytest

from fusin.errors import InputError
from fusin.reconstruction.algorithms import State
from fusin.reconstruction.checkpoints import read_checkpoint, write_checkpoint

STATE = State(
    image=np.ones((2, 3, 4), np.float32), iteration=2, log_likelihood=(None, 3.5), objective=(None, 3.0), delta=1e-6
)


def test_a_state_survives_its_file(tmp_path):
    write_checkpoint(tmp_path / "c.npz", STATE, {"subsets": 4})
    found = read_checkpoint(tmp_path / "c.npz", {"subsets": 4})
    assert np.array_equal(found.image, STATE.image)
    assert (found.iteration, found.log_likelihood, found.objective, found.delta) == (2, (None, 3.5), (None, 3.0), 1e-6)


def test_the_first_setting_that_differs_is_named(tmp_path):
    write_checkpoint(tmp_path / "c.npz", STATE, {"subsets": 4, "counts": "aa"})
    with pytest.raises(InputError) as caught:
        read_checkpoint(tmp_path / "c.npz", {"subsets": 8, "counts": "aa"})
    assert (caught.value.field, caught.value.found) == ("subsets", 4)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY\x01\x00v\x00{}", b"text"])
def test_another_file_is_refused_in_one_sentence(tmp_path, content):
    (tmp_path / "c.npz").write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        read_checkpoint(tmp_path / "c.npz", {})


@pytest.mark.parametrize("keep", [10, 200, 900])
def test_a_truncated_checkpoint_is_refused(tmp_path, keep):
    path = write_checkpoint(tmp_path / "c.npz", STATE, {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError):
        read_checkpoint(path, {})


def test_a_missing_checkpoint_is_refused(tmp_path):
    with pytest.raises(InputError, match="nothing"):
        read_checkpoint(tmp_path / "none.npz", {})
