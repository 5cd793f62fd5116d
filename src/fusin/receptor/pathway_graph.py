"""A model as a graph of what turns into what and what drives or blocks what, read from its reactions and their formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fusin.receptor.expressions import Expr, substitute, symbols
from fusin.receptor.expressions_derivative import derivative
from fusin.receptor.expressions_evaluate import evaluate
from fusin.receptor.network import NodeWords
from fusin.receptor.sbml_model import Model, Reaction
from fusin.receptor.simulation import TimeCourse

__all__ = ["GraphEdge", "GraphNode", "PathwayGraph", "node_levels", "pathway_graph", "taking_part"]

FloatArray = NDArray[np.float64]
EdgeKind = Literal["turns", "drives", "blocks"]
_LANES = ("medium", "membrane", "cytosol", "reticulum", "endosome", "nucleus")


@dataclass(frozen=True, slots=True)
class GraphNode:
    """Species that are shown as one.

    Attributes
    ----------
    label : in words
    species, active : ids; active is all of them where the node has one form only
    lane : compartment in which it is drawn
    """

    label: str
    species: tuple[str, ...]
    active: tuple[str, ...]
    lane: str

    @property
    def switches(self) -> bool:
        """Whether the node has an active and an inactive form."""
        return set(self.active) != set(self.species)


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """What one node does to another; indices of nodes."""

    source: int
    target: int
    kind: EdgeKind


@dataclass(frozen=True, slots=True, eq=False)
class PathwayGraph:
    """Nodes, edges, and lanes from the outside to the inside."""

    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    lanes: tuple[str, ...]


def pathway_graph(model: Model, words: Sequence[NodeWords] = ()) -> PathwayGraph:
    """Graph of a model.

    Parameters
    ----------
    model : as read
    words : species that are drawn as one node; any other species is a node of its own
    """
    nodes = _nodes(model, words)
    place = {species: k for k, node in enumerate(nodes) for species in node.species}
    rules = {a.variable: a.math for a in model.rules}
    values = {p.id: 1.0 if p.value is None else p.value for p in model.parameters}
    edges: dict[GraphEdge, None] = {}
    for reaction in model.reactions:
        for edge in _edges(reaction, nodes, place, rules, values):
            edges[edge] = None
    used = {node.lane for node in nodes}
    lanes = [lane for lane in _LANES if lane in used]
    lanes += [c.id for c in model.compartments if c.id in used and c.id not in lanes]
    return PathwayGraph(nodes, tuple(edges), tuple(lanes))


def _nodes(model: Model, words: Sequence[NodeWords]) -> tuple[GraphNode, ...]:
    home = {s.id: s.compartment for s in model.species}
    found: list[GraphNode] = []
    named: set[str] = set()
    for one in words:
        species = tuple(s for s in one.species if s in home)
        if not species:
            continue
        active = tuple(s for s in one.active if s in home)
        named.update(species)
        found.append(GraphNode(one.label, species, active, home[(active or species)[0]]))
    found += [GraphNode(s.name or s.id, (s.id,), (s.id,), s.compartment) for s in model.species if s.id not in named]
    return tuple(found)


def _edges(
    reaction: Reaction,
    nodes: Sequence[GraphNode],
    place: Mapping[str, int],
    rules: Mapping[str, Expr],
    values: Mapping[str, float],
) -> list[GraphEdge]:
    """Edges of one reaction: from each reactant to each product, and from what its rate depends on."""
    change: dict[str, float] = {}
    for part in reaction.participants:
        amount = float(evaluate(part.stoichiometry, lambda name: values.get(name, 1.0)))
        change[part.species] = change.get(part.species, 0.0) + amount
    reactants = [place[s] for s, n in change.items() if n < 0 and s in place]
    products = [place[s] for s, n in change.items() if n > 0 and s in place]
    found = [GraphEdge(a, b, "turns") for a in dict.fromkeys(reactants) for b in dict.fromkeys(products) if a != b]
    target = next((k for k in (*reactants, *products) if nodes[k].switches), None)
    if target is None:
        target = products[0] if products else (reactants[0] if reactants else None)
    if target is None or reaction.rate is None:
        return found
    gain = sum(n for s, n in change.items() if s in nodes[target].active) or -1.0
    for name, slope in _drivers(reaction.rate, rules, values, place, set(change)).items():
        source = place[name]
        if source != target and slope != 0:
            found.append(GraphEdge(source, target, "drives" if slope * gain > 0 else "blocks"))
    return found


def _drivers(
    rate: Expr, rules: Mapping[str, Expr], values: Mapping[str, float], place: Mapping[str, int], own: set[str]
) -> dict[str, float]:
    """Species that a rate depends on without using them up, and the slope of the rate there."""
    for _ in range(len(rules)):
        needed = {s: rules[s] for s in symbols(rate) if s in rules}
        if not needed:
            break
        rate = substitute(rate, needed)
    with np.errstate(all="ignore"):
        slopes = {
            name: float(evaluate(derivative(rate, name), lambda s: values.get(s, 1.0)))
            for name in sorted(symbols(rate))
            if name in place and name not in own
        }
    return {name: slope for name, slope in slopes.items() if np.isfinite(slope)}


def node_levels(graph: PathwayGraph, course: TimeCourse) -> FloatArray:
    """Levels of the nodes over time, (times, nodes): the active share of a node with two forms, else its amount."""
    columns = []
    for node in graph.nodes:
        active = sum((course[s] for s in node.active), np.zeros_like(course.time))
        whole = sum((course[s] for s in node.species), np.zeros_like(course.time))
        share = np.divide(active, whole, out=np.zeros_like(active), where=whole > 0)
        columns.append(share if node.switches else active)
    return np.stack(columns, axis=1)


def taking_part(graph: PathwayGraph, levels: Sequence[FloatArray], *, least: float = 1e-9) -> PathwayGraph:
    """The graph without nodes that stay empty in every simulation, and their edges.

    Parameters
    ----------
    levels : one array (times, nodes) per simulation
    least : share of the greatest level of all nodes of one form, below which a node counts as empty
    """
    peak = np.max([level.max(axis=0) for level in levels], axis=0)
    amounts = [p for p, node in zip(peak, graph.nodes, strict=True) if not node.switches]
    floor = least * max(amounts, default=0.0)
    kept = [k for k, node in enumerate(graph.nodes) if node.switches or peak[k] > floor]
    new = {old: k for k, old in enumerate(kept)}
    edges = tuple(
        GraphEdge(new[e.source], new[e.target], e.kind) for e in graph.edges if e.source in new and e.target in new
    )
    nodes = tuple(graph.nodes[k] for k in kept)
    used = {node.lane for node in nodes}
    return PathwayGraph(nodes, edges, tuple(lane for lane in graph.lanes if lane in used))
