"""Where the boxes of a graph stand: rows from the top, few crossings, and lines that bend around boxes.

Sugiyama's way: back edges are turned, nodes take rows, long edges get invisible nodes in the rows between, rows are sorted by the
middle of their neighbours, and places are pulled to these middles as far as the boxes allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Laid", "lay_out"]

_SWEEPS = 24


@dataclass(frozen=True, slots=True, eq=False)
class Laid:
    """A layout.

    Attributes
    ----------
    row : of each node
    x : middle of each node, in units of ``width``
    routes : per edge the (row, x) that it passes between its ends, from its source to its target
    rows : number of rows
    bands : first and last row of each lane
    """

    row: tuple[int, ...]
    x: tuple[float, ...]
    routes: tuple[tuple[tuple[int, float], ...], ...]
    rows: int
    bands: tuple[tuple[int, int], ...]


def lay_out(
    lanes: Sequence[int], edges: Sequence[tuple[int, int]], *, width: float, gap: float, box: float, most: int = 7
) -> Laid:
    """Place nodes.

    Parameters
    ----------
    lanes : lane of each node, 0 at the top; each lane takes rows of its own
    edges : (source, target)
    width : room for the rows
    gap : least distance between two boxes, or between a box and a line
    box : width of a box
    most : boxes in a row

    Examples
    --------
    >>> lay_out([0, 1], [(0, 1)], width=100.0, gap=5.0, box=20.0).row
    (0, 1)
    """
    rows, bands = _rows(lanes, edges, most)
    count = len(lanes)
    row = list(rows)
    chains: list[list[int]] = []
    for source, target in edges:
        step = 1 if rows[target] > rows[source] else -1
        between = range(rows[source] + step, rows[target], step) if rows[source] != rows[target] else ()
        chain = []
        for level in between:
            chain.append(len(row))
            row.append(level)
        chains.append(chain)
    links: list[tuple[int, int]] = []
    for (source, target), chain in zip(edges, chains, strict=True):
        path = [source, *chain, target]
        links += list(pairwise(path))
    total = max(row, default=0) + 1
    order = [[k for k in range(len(row)) if row[k] == level] for level in range(total)]
    near: list[list[int]] = [[] for _ in row]
    for a, b in links:
        if row[a] != row[b]:
            near[a].append(b)
            near[b].append(a)
    order = _sorted_rows(order, near, row)
    x = _places(order, near, row, count, width=width, gap=gap, box=box)
    routes = tuple(tuple((row[k], x[k]) for k in chain) for chain in chains)
    return Laid(tuple(row[:count]), tuple(x[:count]), routes, total, bands)


def _forward(count: int, edges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Edges without those that close a circle, found depth first in the order of the nodes."""
    out: list[list[int]] = [[] for _ in range(count)]
    for a, b in edges:
        out[a].append(b)
    state, kept = [0] * count, []
    for start in range(count):
        if state[start]:
            continue
        stack = [(start, iter(out[start]))]
        state[start] = 1
        while stack:
            node, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                state[node] = 2
                stack.pop()
            elif state[following] != 1:
                kept.append((node, following))
                if state[following] == 0:
                    state[following] = 1
                    stack.append((following, iter(out[following])))
    return kept


def _rows(
    lanes: Sequence[int], edges: Sequence[tuple[int, int]], most: int
) -> tuple[list[int], tuple[tuple[int, int], ...]]:
    """Row of each node: longest path within its lane, below the lanes above; a row that is too full is split."""
    count = len(lanes)
    inner = _forward(count, [(a, b) for a, b in edges if lanes[a] == lanes[b]])
    depth = [0] * count
    for _ in range(count):
        moved = False
        for a, b in inner:
            if depth[b] <= depth[a]:
                depth[b], moved = depth[a] + 1, True
        if not moved:
            break
    rows, bands, base = [0] * count, [], 0
    for lane in range(max(lanes, default=-1) + 1):
        first = base
        members = [k for k in range(count) if lanes[k] == lane]
        for level in sorted({depth[k] for k in members}):
            here = [k for k in members if depth[k] == level]
            parts = -(-len(here) // most)
            for n, k in enumerate(here):
                rows[k] = base + n * parts // len(here)
            base += parts
        bands.append((first, max(base - 1, first)))
    return rows, tuple(bands)


def _crossings(order: Sequence[Sequence[int]], near: Sequence[Sequence[int]], row: Sequence[int]) -> int:
    place = {k: n for level in order for n, k in enumerate(level)}
    total = 0
    for level in order:
        pairs = [(n, place[other]) for n, k in enumerate(level) for other in near[k] if row[other] == row[k] + 1]
        total += sum((a - c) * (b - d) < 0 for i, (a, b) in enumerate(pairs) for c, d in pairs[i + 1 :])
    return total


def _sorted_rows(order: list[list[int]], near: Sequence[Sequence[int]], row: Sequence[int]) -> list[list[int]]:
    """Rows with few crossings: sorted by the mean place of the neighbours above, then below, and so on."""
    best, fewest = [list(level) for level in order], _crossings(order, near, row)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for level in range(len(order)) if down else reversed(range(len(order))):
            place = {k: (n + 0.5) / len(one) for one in order for n, k in enumerate(one)}
            side = -1 if down else 1

            def middle(k: int, place: dict[int, float] = place, side: int = side, level: int = level) -> float:
                there = [place[o] for o in near[k] if row[o] == level + side]
                return sum(there) / len(there) if there else place[k]

            order[level] = sorted(order[level], key=middle)
        found = _crossings(order, near, row)
        if found < fewest:
            best, fewest = [list(level) for level in order], found
    return best


def _places(
    order: Sequence[Sequence[int]],
    near: Sequence[Sequence[int]],
    row: Sequence[int],
    count: int,
    *,
    width: float,
    gap: float,
    box: float,
) -> list[float]:
    """Middles of nodes, close to the mean of their neighbours and not closer to each other than boxes and gaps allow."""
    half = [box / 2 if k < count else 0.0 for k in range(len(row))]
    x = [0.0] * len(row)
    for level in order:
        for n, k in enumerate(level):
            x[k] = width * (n + 0.5) / len(level)
    for sweep in range(120):
        levels = order if sweep % 2 == 0 else list(reversed(order))
        for level in levels:
            wanted = [_pull(k, near[k], x, count) for k in level]
            for k, place in zip(level, _apart(wanted, [half[k] for k in level], gap, width), strict=True):
                x[k] = place
    boxes = x[:count] or [0.0]
    shift = width / 2 - (min(boxes) + max(boxes)) / 2
    # Centred as far as the lines beside the boxes leave room.
    shift = min(max(shift, -min(x, default=0.0)), width - max(x, default=width))
    return [place + shift for place in x]


def _pull(k: int, near: Sequence[int], x: Sequence[float], count: int) -> float:
    """Mean place of the neighbours; a line that passes rows pulls on itself most, so that it stays straight."""
    if not near:
        return x[k]
    weights = [(8.0 if o >= count else 2.0) if k >= count else (2.0 if o >= count else 1.0) for o in near]
    return sum(w * x[o] for w, o in zip(weights, near, strict=True)) / sum(weights)


def _apart(wanted: Sequence[float], half: Sequence[float], gap: float, width: float) -> list[float]:
    """Places in the same order, least moved (squares), with room for each; a row that is too full is squeezed evenly."""
    n = len(wanted)
    if n == 0:
        return []
    steps = [half[i] + half[i + 1] + gap for i in range(n - 1)]
    room = width - half[0] - half[-1]
    if sum(steps) > room:
        scale = room / sum(steps)
        steps = [s * scale for s in steps]
    offset = [0.0]
    for s in steps:
        offset.append(offset[-1] + s)
    # Pool adjacent violators: after the needed distances are taken off, places must only rise.
    blocks: list[list[float]] = []
    for i in range(n):
        blocks.append([wanted[i] - offset[i], 1.0])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            value, weight = blocks.pop()
            last = blocks[-1]
            last[0] = (last[0] * last[1] + value * weight) / (last[1] + weight)
            last[1] += weight
    free = [b[0] for b in blocks for _ in range(int(b[1]))]
    low, high = half[0], width - half[-1] - offset[-1]
    return [min(max(f, low), max(high, low)) + o for f, o in zip(free, offset, strict=True)]
