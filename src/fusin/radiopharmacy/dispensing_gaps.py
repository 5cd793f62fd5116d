"""Days with a least gap between injections: one sequence of all injections, each at its earliest moment.

Given the order of the patients and their vials, the earliest moments are best, because volumes grow with time; a plan is
therefore a sequence. `every_way` builds all sequences patient by patient and keeps for each set of patients the front of (last
injection, volumes used). `improved` takes patients out of a sequence and puts them back where they cost least, over and over,
which finds good plans of days that are too long to try every way.

References
----------
Shaw P, Principles and Practice of Constraint Programming 1998, LNCS 1520, 417-431 (large neighbourhood search).
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Choice", "GapDay", "every_way", "improved"]

_TIME = 1e-6
_ROUNDING = 1e-9
# Extensions of a sequence by one patient, eight comparisons counting as one: about a second of work.
_MOST_TRIED = 60_000
# Rounds of taking out and putting back, and the places looked at in them: the second ends long days after about a second.
_ROUNDS, _MOST_PLACES = 800, 800_000


@dataclass(frozen=True, slots=True)
class Choice:
    """One patient from one vial.

    Attributes
    ----------
    order, vial : indices
    first_s, last_s : window of the injection
    grows_ml, stays_ml : volume at the first moment that grows as the activity decays, and the part that does not
    half_life_s : of the vial's nuclide
    weight : of the patient
    """

    order: int
    vial: int
    first_s: float
    last_s: float
    grows_ml: float
    stays_ml: float
    half_life_s: float
    weight: float

    def volume_ml(self, time_s: float) -> float:
        """Volume to draw for an injection at a time."""
        return self.grows_ml * math.exp2(min((time_s - self.first_s) / self.half_life_s, 1000.0)) + self.stays_ml


@dataclass(frozen=True, slots=True)
class GapDay:
    """What a plan has to keep.

    Attributes
    ----------
    choices : by index of the order
    free_ml : volume of each vial that can still be drawn
    gap_s : least time between two injections
    taken_s : injections of doses that are drawn already, rising
    """

    choices: Mapping[int, tuple[Choice, ...]]
    free_ml: tuple[float, ...]
    gap_s: float
    taken_s: tuple[float, ...]

    def moment_s(self, choice: Choice, last_s: float) -> float:
        """Earliest moment after another injection that keeps the gap to what is drawn already, too."""
        time_s = max(choice.first_s, last_s + self.gap_s)
        for other in self.taken_s:
            if abs(time_s - other) < self.gap_s - _TIME:
                time_s = other + self.gap_s
        return time_s

    def fits(self, vial: int, used_ml: float) -> bool:
        """Whether a vial gives that much in all."""
        return used_ml <= self.free_ml[vial] + _ROUNDING * max(self.free_ml[vial], 1.0)

    def placed(self, sequence: Sequence[Choice]) -> list[tuple[float, float]] | None:
        """Moment and volume of each choice of a sequence; None when it breaks a limit."""
        used, last, found = [0.0] * len(self.free_ml), -math.inf, []
        for choice in sequence:
            last = self.moment_s(choice, last)
            if last > choice.last_s + _TIME:
                return None
            volume = choice.volume_ml(last)
            used[choice.vial] += volume
            if not self.fits(choice.vial, used[choice.vial]):
                return None
            found.append((last, volume))
        return found

    def rank(self, sequence: Sequence[Choice]) -> tuple[float, float]:
        """Smaller is better: weight served, then volume drawn."""
        placed = self.placed(sequence)
        if placed is None:
            return (math.inf, math.inf)
        return (-round(math.fsum(c.weight for c in sequence), 9), math.fsum(volume for _, volume in placed))


@dataclass(frozen=True, slots=True)
class _Label:
    weight: float
    used: tuple[float, ...]
    last_s: float
    sequence: tuple[Choice, ...]


def every_way(day: GapDay, known: Sequence[Choice]) -> tuple[tuple[Choice, ...], bool]:
    """The best sequence, and whether all were tried; follows only what can still serve as much as a known one.

    Parameters
    ----------
    day : limits
    known : a sequence that keeps them
    """
    goal = -day.rank(known)[0]
    ahead = {i: (listed[0].weight, max(c.last_s for c in listed)) for i, listed in day.choices.items()}
    alike = _alike(day)
    level: dict[frozenset[int], list[_Label]] = {frozenset(): [_Label(0.0, (0.0,) * len(day.free_ml), -math.inf, ())]}
    best, tried = tuple(known), 0
    while level:
        grown: dict[frozenset[int], list[_Label]] = {}
        for done, labels in level.items():
            open_ = [i for i in day.choices if i not in done and alike.get(i, i) in done | {i}]
            for label in labels:
                soonest = label.last_s + day.gap_s - _TIME
                left = (w for i, (w, last) in ahead.items() if i not in done and last >= soonest)
                if label.weight + math.fsum(left) < goal - _ROUNDING:
                    continue
                for i in open_:
                    tried += len(day.choices[i])
                    grown.setdefault(done | {i}, []).extend(_extended(day, label, i))
                if tried > _MOST_TRIED:
                    return best, False
        level = {}
        for done, labels in grown.items():
            level[done] = _front(labels)
            tried += len(labels) * len(level[done]) // 8
            if tried > _MOST_TRIED:
                return best, False
        ends = [label.sequence for labels in level.values() for label in labels]
        best = min([best, *ends], key=day.rank)
    return best, True


def _kinds(day: GapDay) -> list[list[int]]:
    """Patients who are alike in everything, each kind in the order in which they are listed."""
    kinds: dict[tuple[object, ...], list[int]] = {}
    for i, listed in day.choices.items():
        kind = tuple((c.vial, c.first_s, c.last_s, c.grows_ml, c.stays_ml, c.weight) for c in listed)
        kinds.setdefault(kind, []).append(i)
    return list(kinds.values())


def _alike(day: GapDay) -> dict[int, int]:
    """For each patient the last one before who is alike: of such patients the first may go first."""
    return {b: a for kind in _kinds(day) for a, b in pairwise(kind)}


def _as_listed(day: GapDay, sequence: Sequence[Choice]) -> tuple[Choice, ...]:
    """The same plan with patients who are alike in the order in which they are listed."""
    found = list(sequence)
    for kind in _kinds(day):
        places = [k for k, c in enumerate(sequence) if c.order in kind]
        for k, i in zip(places, kind, strict=False):
            found[k] = next(c for c in day.choices[i] if c.vial == sequence[k].vial)
    return tuple(found)


def _extended(day: GapDay, label: _Label, order: int) -> list[_Label]:
    found = []
    for choice in day.choices[order]:
        time_s = day.moment_s(choice, label.last_s)
        if time_s > choice.last_s + _TIME:
            continue
        total = label.used[choice.vial] + choice.volume_ml(time_s)
        if day.fits(choice.vial, total):
            used = (*label.used[: choice.vial], total, *label.used[choice.vial + 1 :])
            found.append(_Label(label.weight + choice.weight, used, time_s, (*label.sequence, choice)))
    return found


def _front(labels: list[_Label]) -> list[_Label]:
    """Labels that no other beats in time and in every volume."""
    front: list[_Label] = []
    for label in sorted(labels, key=lambda one: (math.fsum(one.used), one.last_s)):
        if not any(
            other.last_s <= label.last_s + _TIME
            and all(a <= b + _ROUNDING for a, b in zip(other.used, label.used, strict=True))
            for other in front
        ):
            front.append(label)
    return front


def improved(day: GapDay) -> tuple[Choice, ...]:
    """A good sequence by taking out and putting back; equal days give equal sequences."""
    # The same day must give the same sheet again.
    rng = random.Random(0)
    by_end = sorted(day.choices, key=lambda i: (max(c.last_s for c in day.choices[i]), i))
    by_volume = sorted(day.choices, key=lambda i: (min(c.volume_ml(c.first_s) for c in day.choices[i]), i))
    starts = [_filled(day, (), order) for order in (by_end, by_volume, list(reversed(by_volume)))]
    current = best = min(starts, key=day.rank)
    looked = 0
    for _ in range(_ROUNDS):
        kept = _thinned(current, rng)
        inside = {c.order for c in kept}
        waiting = [i for i in by_volume if i not in inside]
        if rng.random() < 0.7:
            rng.shuffle(waiting)
        waiting.sort(key=lambda i: -day.choices[i][0].weight if rng.random() < 0.5 else 0.0)
        tried = _filled(day, kept, waiting)
        looked += len(waiting) * len(day.free_ml) * (len(kept) + 1) ** 2 // 2
        if looked > _MOST_PLACES:
            break
        if day.rank(tried)[0] <= day.rank(current)[0] and (day.rank(tried) <= day.rank(current) or rng.random() < 0.2):
            current = tried
        best = min(best, current, key=day.rank)
    return _as_listed(day, best)


def _thinned(sequence: Sequence[Choice], rng: random.Random) -> tuple[Choice, ...]:
    """A sequence without a few of its patients, neighbours or scattered."""
    if not sequence:
        return ()
    many = rng.randint(1, min(6, len(sequence)))
    start = rng.randrange(len(sequence) - many + 1)
    gone = set(range(start, start + many)) if rng.random() < 0.5 else set(rng.sample(range(len(sequence)), many))
    return tuple(c for k, c in enumerate(sequence) if k not in gone)


def _filled(day: GapDay, sequence: Sequence[Choice], orders: Sequence[int]) -> tuple[Choice, ...]:
    """A sequence with each of the orders where it costs least volume, as far as they fit."""
    found = tuple(sequence)
    for i in orders:
        best: tuple[float, tuple[Choice, ...]] | None = None
        for longer in _insertions(day, found, i):
            if best is None or longer[0] < best[0]:
                best = longer
        found = found if best is None else best[1]
    return found


def _insertions(day: GapDay, sequence: tuple[Choice, ...], order: int) -> list[tuple[float, tuple[Choice, ...]]]:
    """Total volume and sequence of every place and vial where one more patient fits."""
    placed = day.placed(sequence)
    assert placed is not None
    found = []
    before: list[float] = [0.0] * len(day.free_ml)
    for place in range(len(sequence) + 1):
        last = placed[place - 1][0] if place else -math.inf
        for choice in day.choices[order]:
            total = _volume_from(day, (choice, *sequence[place:]), last, before)
            if total is not None:
                found.append((total, (*sequence[:place], choice, *sequence[place:])))
        if place < len(sequence):
            before[sequence[place].vial] += placed[place][1]
    return found


def _volume_from(day: GapDay, rest: Sequence[Choice], last_s: float, before: Sequence[float]) -> float | None:
    """Volume drawn in all when a sequence goes on like this; None when it breaks a limit."""
    used = list(before)
    for choice in rest:
        last_s = day.moment_s(choice, last_s)
        if last_s > choice.last_s + _TIME:
            return None
        used[choice.vial] += choice.volume_ml(last_s)
        if not day.fits(choice.vial, used[choice.vial]):
            return None
    return math.fsum(used)
