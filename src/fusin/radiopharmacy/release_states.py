"""The states of a batch, and which may follow which (permitted-sequence checks, 21 CFR 11.10(f))."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Literal

from fusin.errors import InputError, Refused

__all__ = ["PERMITTED", "SIGNED_STATES", "STATES", "State", "check_transition", "same_person", "state_of", "states_for"]

State = Literal["draft", "in-process", "qc", "released", "conditionally-released", "rejected", "recalled", "closed"]
STATES: tuple[State, ...] = (
    "draft", "in-process", "qc", "released", "conditionally-released", "rejected", "recalled", "closed",
)  # fmt: skip
PERMITTED: Mapping[State, tuple[State, ...]] = {
    "draft": ("in-process", "rejected"),
    "in-process": ("qc", "rejected"),
    "qc": ("released", "conditionally-released", "rejected"),
    "conditionally-released": ("released", "recalled"),
    "released": ("recalled", "closed"),
    "recalled": ("closed",),
    "rejected": (),
    "closed": ("recalled",),
}
SIGNED_STATES: tuple[State, ...] = ("released", "conditionally-released", "rejected", "recalled")
"""States that nothing enters without a signature."""

_NEEDS: Mapping[State, tuple[str, ...]] = {
    "released": ("release",),
    "conditionally-released": ("conditional",),
    "closed": ("release", "recall"),
}


def state_of(word: str) -> State:
    """A state by its name; blanks and underscores count as hyphens.

    Raises
    ------
    InputError
        For another word.
    """
    name = "-".join(word.strip().lower().replace("_", " ").replace("-", " ").split())
    if name not in STATES:
        raise InputError("batch state", "--to", word, "one of " + ", ".join(STATES))
    return name


def states_for(decision: str) -> tuple[State, ...]:
    """States to which a decision opens the way from quality control."""
    ways: Mapping[str, tuple[State, ...]] = {
        "release": ("released",), "conditional": ("conditionally-released",), "reject": ("rejected",), "recall": ("recalled",),
    }  # fmt: skip
    return ways.get(decision, ())


def check_transition(
    now: State,
    to: State,
    *,
    decision: str,
    gates: tuple[str, ...],
    open_tests: tuple[str, ...],
    actor: str,
    maker: str,
    reason: str,
) -> None:
    """Refuse a step that the sequence, the decision, the gates or the roles do not permit.

    Parameters
    ----------
    now, to : states
    decision : of the last assessment
    gates : reasons that stop a release
    open_tests : post-release tests without a result, which keep a batch from being closed
    actor, maker : who acts, and who made the batch
    reason : why

    Raises
    ------
    Refused
        With what stands against the step.
    """
    what = f"the step from {now} to {to}"
    if not reason.strip():
        raise Refused(what, "no reason is given", "a reason (--reason)", "REASON_MISSING")
    if to not in PERMITTED[now]:
        ways = ", ".join(PERMITTED[now]) or "no further state"
        raise Refused(what, "the sequence does not permit it", ways, "STEP_NOT_PERMITTED")
    if to in _NEEDS and decision not in _NEEDS[to]:
        because = f"the decision is '{decision}'" + (f": {gates[0]}" if gates else "")
        raise Refused(what, because, f"the decision {' or '.join(_NEEDS[to])}", "DECISION_STANDS_AGAINST")
    if to in ("released", "conditionally-released") and same_person(actor, maker):
        raise Refused(what, f"{actor} made the batch", "a releaser who is not its maker", "MAKER_IS_RELEASER")
    if to == "closed" and now == "released" and open_tests:
        because = f"post-release tests are open: {', '.join(open_tests)}"
        raise Refused(what, because, "their results", "POST_RELEASE_TESTS_OPEN")


def same_person(one: str, other: str) -> bool:
    """Whether two names are the same but for case, blanks, stops and the form of their letters."""

    def plain(name: str) -> str:
        letters = unicodedata.normalize("NFKC", name).casefold()
        return " ".join(letters.replace(".", " ").replace(",", " ").split())

    return bool(plain(one)) and plain(one) == plain(other)
