"""The pathway drawn from the model itself: its species as boxes in their compartments, coloured by a simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from fusin.receptor.pathway_graph import PathwayGraph
from fusin.report.graph_layout import Laid, lay_out
from fusin.report.plate import DOUBLE_MM, FONT, SMALL, Figure, Plate, text_width, wrap
from fusin.report.svg import INK, MUTED, short

__all__ = ["PathwayState", "Style", "pathway_figure", "shade"]

LEFT, TOP = 18.0, 22.0
_BANDS = ("#F4F1EA", "#FBFAF6")
_EDGE = {"turns": ("#4A4A4A", None), "drives": ("#0072B2", "3 2"), "blocks": ("#D55E00", "3 2")}
_PALE, _DEEP = (0xFF, 0xFF, 0xFF), (0x1B, 0x7F, 0x5C)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Sizes in points: width and height of a box, distance of rows, boxes in a row; and whether a legend stands below."""

    box: float = 66.0
    tall: float = 29.0
    step: float = 52.0
    most: int = 6
    legend: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class PathwayState:
    """How the nodes look.

    Attributes
    ----------
    title : heading of the figure
    shares : 0 (pale) to 1 (deep) for each node; None draws all of them without colour
    texts : small line below the name of each node
    """

    title: str
    shares: Sequence[float] | None
    texts: Sequence[str]


def shade(share: float) -> str:
    """Colour of a share from white at 0 to deep green at 1; shares beyond are those of the ends."""
    at = min(max(share, 0.0), 1.0)
    return "#" + "".join(f"{round(a + at * (b - a)):02X}" for a, b in zip(_PALE, _DEEP, strict=True))


def pathway_figure(
    graph: PathwayGraph,
    state: PathwayState,
    *,
    name: str,
    caption: str,
    notes: Sequence[str] = (),
    style: Style | None = None,
) -> Figure:
    """Draw a graph.

    Parameters
    ----------
    graph : nodes and edges
    state : colours and small lines
    name : stem of the file
    caption : of the figure
    notes : lines at its foot, such as what is not calibrated
    style : sizes
    """
    style = style or Style()
    edges = _merged(graph)
    width = DOUBLE_MM * 72.0 / 25.4 - LEFT - 10
    lanes = [graph.lanes.index(node.lane) for node in graph.nodes]
    laid = lay_out(lanes, list(edges), width=width, gap=9.0, box=style.box, most=style.most)
    foot = TOP + laid.rows * style.step
    height = foot + (26 if style.legend else 8) + 10 * len(notes)
    plate = Plate(DOUBLE_MM, height, label=f"{state.title}. {caption}")
    plate.label(LEFT, 9, state.title, size=FONT + 1, font_weight="bold")
    for k, lane in enumerate(graph.lanes):
        first, last = laid.bands[k]
        top, bottom = TOP + first * style.step, TOP + (last + 1) * style.step
        plate.add("rect", x=2, y=top, width=plate.width - 4, height=bottom - top, fill=_BANDS[k % 2])
        plate.turned(9, (top + bottom) / 2, lane, size=SMALL, fill=MUTED, text_anchor="middle")
    _draw_edges(plate, laid, edges, style)
    for k, node in enumerate(graph.nodes):
        share = None if state.shares is None else state.shares[k]
        middle = (LEFT + laid.x[k], _middle(laid.row[k], style))
        _draw_node(plate, middle, node.label, state.texts[k], share, switches=node.switches, style=style)
    if style.legend:
        _draw_legend(plate, foot + 8, coloured=state.shares is not None)
    plate.notes(list(notes), LEFT, foot + (18 if style.legend else 4))
    return plate.figure(name, caption)


def _merged(graph: PathwayGraph) -> dict[tuple[int, int], tuple[str, bool]]:
    """(source, target) to (kind, both ways); what turns back and forth is one line, and turning wins over driving."""
    kinds: dict[tuple[int, int], str] = {}
    for edge in graph.edges:
        key = (edge.source, edge.target)
        if kinds.get(key) != "turns":
            kinds[key] = edge.kind
    found: dict[tuple[int, int], tuple[str, bool]] = {}
    for (a, b), kind in kinds.items():
        back = (b, a)
        if back in found and found[back][0] == kind == "turns":
            found[back] = (kind, True)
        else:
            found[a, b] = (kind, False)
    return found


def _middle(row: int, style: Style) -> float:
    return TOP + (row + 0.5) * style.step


def _ports(
    laid: Laid, edges: Mapping[tuple[int, int], tuple[str, bool]], style: Style
) -> list[tuple[float, float, float, float]]:
    """Where each edge leaves and enters, spread along the boxes in the order in which the edges fan out."""
    ends: dict[tuple[int, int], list[tuple[float, int, int]]] = {}
    sides: list[list[int]] = []
    for e, (a, b) in enumerate(edges):
        route = laid.routes[e]
        after = route[0] if route else (laid.row[b], laid.x[b])
        before = route[-1] if route else (laid.row[a], laid.x[a])
        down = 1 if after[0] >= laid.row[a] else -1
        up = 1 if before[0] > laid.row[b] else -1
        sides.append([down, up])
        ends.setdefault((a, down), []).append((after[1], e, 0))
        ends.setdefault((b, up), []).append((before[1], e, 1))
    at = [[0.0, 0.0] for _ in edges]
    for (node, _), many in ends.items():
        many.sort()
        for n, (_, e, end) in enumerate(many):
            at[e][end] = laid.x[node] + style.box * 0.8 * ((n + 0.5) / len(many) - 0.5)
    found = []
    for e, (a, b) in enumerate(edges):
        y0 = _middle(laid.row[a], style) + sides[e][0] * style.tall / 2
        y1 = _middle(laid.row[b], style) + sides[e][1] * style.tall / 2
        found.append((LEFT + at[e][0], y0, LEFT + at[e][1], y1))
    return found


def _draw_edges(plate: Plate, laid: Laid, edges: Mapping[tuple[int, int], tuple[str, bool]], style: Style) -> None:
    for (kind, both), route, (x0, y0, x1, y1) in zip(
        edges.values(), laid.routes, _ports(laid, edges, style), strict=True
    ):
        colour, dash = _EDGE[kind]
        level = y0 == y1
        down = 1.0 if y1 >= y0 else -1.0
        points = [(x0, y0)]
        for row, x in route:
            # A line goes straight past the boxes of a row and bends between rows only.
            half = down * (style.tall / 2 + 2)
            points += [(LEFT + x, _middle(row, style) - half), (LEFT + x, _middle(row, style) + half)]
        points.append((x1, y1))
        d = f"M{short(x0)} {short(y0)}"
        for (ax, ay), (bx, by) in pairwise(points):
            bend = ay + 9 if level else (ay + by) / 2
            d += f"C{short(ax)} {short(bend)} {short(bx)} {short(bend)} {short(bx)} {short(by)}"
        plate.add("path", d=d, fill="none", stroke=colour, stroke_width=0.8, stroke_dasharray=dash, stroke_opacity=0.85)
        toward = -1.0 if level else (1.0 if y1 > points[-2][1] else -1.0)
        _head(plate, x1, y1, toward, kind, colour)
        if both:
            _head(plate, x0, y0, 1.0 if y0 > points[1][1] else -1.0, kind, colour)


def _head(plate: Plate, x: float, y: float, toward: float, kind: str, colour: str) -> None:
    """Arrow head, or a bar for what blocks; ``toward`` is 1 for a line that comes from above."""
    if kind == "blocks":
        plate.line(x - 4, y - 1.2 * toward, x + 4, y - 1.2 * toward, stroke=colour, stroke_width=1.6)
        return
    d = f"M{short(x)} {short(y)}l-2.3 {short(-5 * toward)}l4.6 0Z"
    plate.add("path", d=d, fill=colour)


def _draw_node(
    plate: Plate, at: tuple[float, float], label: str, text: str, share: float | None, *, switches: bool, style: Style
) -> None:
    x, y = at
    fill = "#FFFFFF" if share is None else shade(share)
    ink = "#FFFFFF" if share is not None and share > 0.62 else INK
    plate.add(
        "rect", x=x - style.box / 2, y=y - style.tall / 2, width=style.box, height=style.tall, rx=9 if switches else 3,
        fill=fill, stroke="#3A3A3A", stroke_width=0.7, title=f"{label}: {text}" if text else label,
    )  # fmt: skip
    lines = wrap(label, style.box - 5, SMALL, most=2)
    rows = [*lines, *([text] if text else [])]
    for n, line in enumerate(rows):
        size = SMALL - 0.5 if n >= len(lines) else SMALL
        bold = {"font_weight": "bold"} if n < len(lines) else {}
        plate.label(x, y + 8.0 * (n - (len(rows) - 1) / 2), line, size=size, fill=ink, text_anchor="middle", **bold)


def _draw_legend(plate: Plate, y: float, *, coloured: bool) -> None:
    x = LEFT
    for kind, words in (("turns", "turns into"), ("drives", "drives"), ("blocks", "holds back")):
        colour, dash = _EDGE[kind]
        plate.line(x, y, x + 16, y, stroke=colour, stroke_width=1.0, stroke_dasharray=dash)
        if kind == "blocks":
            plate.line(x + 17, y - 3, x + 17, y + 3, stroke=colour, stroke_width=1.6)
        else:
            plate.add("path", d=f"M{short(x + 20)} {short(y)}l-5 -2.3l0 4.6Z", fill=colour)
        plate.label(x + 24, y, words, size=SMALL)
        x += 34 + text_width(words, SMALL)
    plate.add("rect", x=x, y=y - 4, width=14, height=8, rx=4, fill="#FFFFFF", stroke="#3A3A3A", stroke_width=0.6)
    plate.label(x + 18, y, "has an active form", size=SMALL)
    x += 30 + text_width("has an active form", SMALL)
    if not coloured:
        return
    for n in range(20):
        plate.add("rect", x=x + 3 * n, y=y - 4, width=3.2, height=8, fill=shade(n / 19))
    plate.add("rect", x=x, y=y - 4, width=60.2, height=8, fill="none", stroke=MUTED, stroke_width=0.4)
    plate.label(x + 64, y, "none to the most in any panel", size=SMALL)
