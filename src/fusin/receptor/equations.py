"""From a model to its differential equations: what is integrated, what is fixed, what follows, and in which order.

The integrator carries amounts of species whose symbol stands for a concentration, because amounts are what a change of volume
leaves as they are; a species with a rate rule is carried as the rule states it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fusin.errors import InputError
from fusin.receptor.expressions import NAN, ONE, TIME, ZERO, Expr, Num, Sym, add, div, mul, store_of, symbols
from fusin.receptor.expressions_derivative import derivative
from fusin.receptor.sbml_model import Model, Species

__all__ = ["Equations", "equations_of", "jacobian_of"]

_RATE = "$rate:"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Equations:
    """The equations of a model.

    Attributes
    ----------
    states : symbols that are integrated
    fixed : symbols that only events (and the user) change
    rates : time derivative of each state
    definitions : symbols that follow from others, each after those that it needs
    species : by id
    places : where each symbol that does not follow from others is found: ``("t", 0)``, or an array and a place in it
    """

    model: Model
    states: tuple[str, ...]
    fixed: tuple[str, ...]
    rates: Mapping[str, Expr]
    definitions: Mapping[str, Expr]
    species: Mapping[str, Species]
    places: Mapping[str, tuple[str, int]]

    def needed(self, formulas: Iterable[Expr]) -> list[tuple[str, Expr]]:
        """Definitions that formulas need, in order."""
        wanted: set[str] = set()
        pending = [s for f in formulas for s in symbols(f)]
        while pending:
            name = pending.pop()
            if name in self.definitions and name not in wanted:
                wanted.add(name)
                pending.extend(symbols(self.definitions[name]))
        return [(name, formula) for name, formula in self.definitions.items() if name in wanted]

    def amount(self, species: str) -> Expr:
        """Formula of the amount of a species."""
        one = self.species[species]
        if one.only_substance:
            return Sym(species)
        stored = store_of(species)
        return Sym(stored) if stored in self.places else mul(Sym(species), Sym(one.compartment))

    def concentration(self, species: str) -> Expr:
        """Formula of the concentration of a species; in a compartment without dimensions its amount."""
        one = self.species[species]
        home = next(c for c in self.model.compartments if c.id == one.compartment)
        return div(Sym(species), Sym(one.compartment)) if one.only_substance and home.dimensions else Sym(species)


def equations_of(model: Model) -> Equations:
    """The differential equations of a model.

    Raises
    ------
    InputError
        When a rule governs what nothing may change, two things govern one symbol, or formulas need each other in a circle.
    """
    rules = {a.variable: a.math for a in model.rules}
    ruled_rates = {a.variable: a.math for a in model.rates}
    _check_governed(model, rules, ruled_rates)
    species = {s.id: s for s in model.species}
    definitions: dict[str, Expr] = {r.id: r.rate if r.rate is not None else NAN for r in model.reactions}
    definitions |= rules
    rates: dict[str, Expr] = {}
    by_reactions = _reaction_rates(model, species)
    fixed: list[str] = []
    for one in model.species:
        carried = one.id
        if one.id not in rules and one.id not in ruled_rates and not one.only_substance:
            carried = store_of(one.id)
            definitions[one.id] = div(Sym(carried), Sym(one.compartment))
        if one.id in ruled_rates:
            rates[one.id] = ruled_rates[one.id]
        elif one.id in by_reactions:
            rates[carried] = by_reactions[one.id]
        elif one.id not in rules:
            fixed.append(carried)
    for name in (*(c.id for c in model.compartments), *(p.id for p in model.parameters)):
        if name in ruled_rates:
            rates[name] = ruled_rates[name]
        elif name not in rules:
            fixed.append(name)
    _add_rates_of(model, definitions, rates)
    ordered = _ordered(definitions, model.source)
    places = {
        TIME: ("t", 0),
        **{n: ("y", i) for i, n in enumerate(rates)},
        **{n: ("p", i) for i, n in enumerate(fixed)},
    }
    return Equations(
        model=model, states=tuple(rates), fixed=tuple(fixed), rates=rates, definitions=ordered, species=species,
        places=places,
    )  # fmt: skip


def _check_governed(model: Model, rules: Mapping[str, Expr], rates: Mapping[str, Expr]) -> None:
    governed = [a.variable for a in (*model.rules, *model.rates)]
    twice = sorted({v for v in governed if governed.count(v) > 1})
    if twice:
        raise InputError(model.source, "rules", f"two rules for {twice[0]}", "one rule for each variable")
    both = sorted({a.variable for a in model.initial} & set(rules))
    if both:
        found = f"an initial assignment and an assignment rule for {both[0]}"
        raise InputError(model.source, "rules", found, "one of the two")
    changed = {a.variable for e in model.events for a in e.assignments}
    wrong = sorted(changed & set(rules))
    if wrong:
        raise InputError(model.source, "events", f"an event and an assignment rule for {wrong[0]}", "one of the two")
    reacting = {p.species for r in model.reactions for p in r.participants if r.rate is not None}
    for one in model.species:
        if one.id in reacting and not one.boundary and (one.id in rules or one.id in rates):
            found = f"a rule and a reaction for {one.id}"
            raise InputError(model.source, "rules", found, "one of the two, or boundaryCondition true")


def _reaction_rates(model: Model, species: Mapping[str, Species]) -> dict[str, Expr]:
    terms: dict[str, list[Expr]] = {}
    for reaction in model.reactions:
        if reaction.rate is None:
            continue
        for part in reaction.participants:
            one = species[part.species]
            if one.boundary or one.constant:
                continue
            factor = Sym(one.conversion_factor) if one.conversion_factor else ONE
            terms.setdefault(one.id, []).append(mul(factor, part.stoichiometry, Sym(reaction.id)))
    return {name: add(*parts) for name, parts in terms.items()}


def _add_rates_of(model: Model, definitions: dict[str, Expr], rates: Mapping[str, Expr]) -> None:
    """Define ``$rate:X`` for each X whose derivative a formula asks for, by the chain rule through what X follows from."""
    formulas = [*definitions.values(), *rates.values(), *(a.math for a in model.initial)]
    formulas += [p.stoichiometry for r in model.reactions for p in r.participants]
    for event in model.events:
        formulas += [f for f in (event.trigger, event.delay, event.priority) if f is not None]
        formulas += [a.math for a in event.assignments]
    pending = [s for f in formulas for s in symbols(f) if s.startswith(_RATE)]
    while pending:
        name = pending.pop()
        if name in definitions:
            continue
        of = name.removeprefix(_RATE)
        definitions[name] = _rate_of(of, definitions, rates)
        pending += [s for s in symbols(definitions[name]) if s.startswith(_RATE)]


def _rate_of(name: str, definitions: Mapping[str, Expr], rates: Mapping[str, Expr]) -> Expr:
    if name in rates:
        return rates[name]
    if name not in definitions:
        return ONE if name == TIME else ZERO
    formula = definitions[name]
    terms = []
    for other in sorted(symbols(formula)):
        slope = derivative(formula, other)
        moves = other == TIME or other in rates or other in definitions
        if slope != ZERO and moves:
            terms.append(slope if other == TIME else mul(slope, Sym(f"{_RATE}{other}")))
    return add(*terms) if terms else ZERO


def _ordered(definitions: Mapping[str, Expr], source: str) -> dict[str, Expr]:
    """Definitions so that each stands after those that it needs."""
    done: dict[str, Expr] = {}
    for first in definitions:
        stack: list[tuple[str, list[str]]] = [(first, _needs(definitions, first))] if first not in done else []
        path = {first}
        while stack:
            name, left = stack[-1]
            while left and left[-1] in done:
                left.pop()
            if not left:
                done[name] = definitions[name]
                path.discard(name)
                stack.pop()
            elif left[-1] in path:
                circle = ", ".join(sorted(path - {first} | {left[-1]})[:5])
                raise InputError(source, "rules", f"a circle through {circle}", "formulas that do not need each other")
            else:
                path.add(left[-1])
                stack.append((left[-1], _needs(definitions, left[-1])))
    return done


def _needs(definitions: Mapping[str, Expr], name: str) -> list[str]:
    return [s for s in sorted(symbols(definitions[name])) if s in definitions]


def jacobian_of(equations: Equations) -> tuple[list[tuple[str, Expr]], dict[tuple[int, int], Expr]]:
    """Derivatives of all rates by all states, by the chain rule through the definitions.

    Returns
    -------
    definitions, entries
        What the entries need, in order; and (row, column) to formula for those that are not always 0.
    """
    place = {name: i for i, name in enumerate(equations.states)}
    ordered = equations.needed(equations.rates.values())
    slopes: dict[str, dict[int, Expr]] = {}
    made: list[tuple[str, Expr]] = []
    for name, formula in ordered:
        made.append((name, formula))
        slopes[name] = {}
        for column, slope in _chain(formula, place, slopes).items():
            if isinstance(slope, (Num, Sym)):
                slopes[name][column] = slope
            else:
                symbol = f"$d:{column}:{name}"
                made.append((symbol, slope))
                slopes[name][column] = Sym(symbol)
    rows: Sequence[dict[int, Expr]] = [_chain(f, place, slopes) for f in equations.rates.values()]
    return made, {(i, j): slope for i, row in enumerate(rows) for j, slope in row.items()}


def _chain(formula: Expr, place: Mapping[str, int], slopes: Mapping[str, Mapping[int, Expr]]) -> dict[int, Expr]:
    terms: dict[int, list[Expr]] = {}
    for name in sorted(symbols(formula)):
        if name in place:
            terms.setdefault(place[name], []).append(derivative(formula, name))
        elif slopes.get(name):
            partial = derivative(formula, name)
            for column, slope in slopes[name].items():
                terms.setdefault(column, []).append(mul(partial, slope))
    sums = {column: add(*parts) for column, parts in terms.items()}
    return {column: slope for column, slope in sums.items() if slope != ZERO}
