"""The error tree: exit codes, words, and survival in process pools."""

from __future__ import annotations

import copy
import inspect
import pickle
from concurrent.futures import ProcessPoolExecutor

import pytest

from fusin import errors
from fusin.errors import (
    Ambiguous,
    FusinError,
    InputError,
    InvalidValue,
    MissingExtra,
    MissingValue,
    NotComputable,
    PartlyFailed,
    Refused,
    StrictRefusal,
    Unsupported,
)

SAMPLES = [
    FusinError("plain"),
    InputError("file.dcm", "Rows", (3, 4), "a matrix"),
    MissingExtra("pylibjpeg", "compressed", "decoding"),
    PartlyFailed(("a: no", "b: no"), 7),
    *(
        kind("SUV", "the weight is absent", "the weight", "WEIGHT_MISSING")
        for kind in (NotComputable, MissingValue, InvalidValue, Unsupported, Ambiguous, Refused, StrictRefusal)
    ),
]
CODES = {
    FusinError: 1, InputError: 3, NotComputable: 3, MissingValue: 3, InvalidValue: 3, Unsupported: 3, Ambiguous: 3,
    Refused: 3, StrictRefusal: 3, MissingExtra: 2, PartlyFailed: 4,
}  # fmt: skip


def classes():
    return {c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, BaseException)}


def refuse(index):
    raise SAMPLES[index]


def test_every_class_of_the_tree_has_a_sample_here():
    assert {type(sample) for sample in SAMPLES} == classes() == set(CODES)


@pytest.mark.parametrize("error", SAMPLES, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_errors_survive_pickling_with_all_they_say(error, protocol):
    again = pickle.loads(pickle.dumps(error, protocol))
    assert type(again) is type(error)
    assert (again.args, str(again), vars(again)) == (error.args, str(error), vars(error))


@pytest.mark.parametrize("error", SAMPLES, ids=lambda e: type(e).__name__)
def test_errors_can_be_copied(error):
    assert str(copy.deepcopy(error)) == str(error)


def test_an_error_of_a_process_pool_arrives_as_itself():
    """A class that cannot be unpickled breaks the whole pool and loses every other result."""
    with ProcessPoolExecutor(1) as pool:
        caught = [pool.submit(refuse, index).exception() for index in range(len(SAMPLES))]
    assert [type(e) for e in caught] == [type(e) for e in SAMPLES]
    assert [str(e) for e in caught] == [str(e) for e in SAMPLES]


@pytest.mark.parametrize("error", SAMPLES, ids=lambda e: type(e).__name__)
def test_the_exit_code_belongs_to_the_class(error):
    assert error.exit_code == CODES[type(error)]


@pytest.mark.parametrize("error", [s for s in SAMPLES if type(s) is not FusinError], ids=lambda e: type(e).__name__)
def test_the_sentence_holds_every_argument(error):
    text = str(error)
    for argument in error.args[:3]:
        parts = argument if isinstance(argument, tuple) else (argument,)
        assert all(str(part) in text for part in parts), argument


@pytest.mark.parametrize("error", [s for s in SAMPLES if isinstance(s, NotComputable)], ids=lambda e: type(e).__name__)
def test_a_refusal_has_a_stable_code(error):
    assert error.code == "WEIGHT_MISSING"


def test_all_errors_are_exported():
    assert set(errors.__all__) == {c.__name__ for c in classes()}
