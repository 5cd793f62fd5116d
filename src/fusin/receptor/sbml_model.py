"""A reaction model as plain objects: what SBML says, in formulas of our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fusin.receptor.expressions import Expr

__all__ = ["Assignment", "Compartment", "Event", "Model", "Parameter", "Participant", "Reaction", "Species", "UnitSize"]


@dataclass(frozen=True, slots=True)
class UnitSize:
    """A unit in SI.

    Attributes
    ----------
    factor : SI units in one of it; substance counts in moles, and an item is a mole by Avogadro's number
    powers : exponents of the base units other than zero, by their SBML names
    """

    factor: float
    powers: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compartment:
    """A compartment; ``size`` is None where the file gives none."""

    id: str
    name: str
    size: float | None
    dimensions: float
    constant: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Species:
    """A species.

    Attributes
    ----------
    id, name, compartment : as in the file
    amount, concentration : initial values, at most one of them given
    only_substance : its symbol stands for an amount, not for a concentration
    boundary : reactions do not change it
    constant : nothing changes it
    conversion_factor : parameter from extent to substance, the species' own or the model's
    """

    id: str
    name: str
    compartment: str
    amount: float | None
    concentration: float | None
    only_substance: bool
    boundary: bool
    constant: bool
    conversion_factor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter, a local parameter (``reaction.parameter``), or the stoichiometry of a species reference with an id."""

    id: str
    name: str
    value: float | None
    constant: bool
    role: str = "global"


@dataclass(frozen=True, slots=True)
class Participant:
    """A species in a reaction with its signed stoichiometry (negative for a reactant)."""

    species: str
    stoichiometry: Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """A reaction; ``rate`` is in extent per time, and None where the file gives none."""

    id: str
    name: str
    rate: Expr | None
    participants: tuple[Participant, ...]


@dataclass(frozen=True, slots=True)
class Assignment:
    """A variable and the formula of its value (or of its rate)."""

    variable: str
    math: Expr


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event.

    Attributes
    ----------
    id : as in the file, or made from its place
    trigger : truth value; the event fires when it becomes true
    delay, priority : formulas, or None
    initially : value of the trigger just before the start
    persistent : an event that waits is executed even when its trigger is false again
    at_trigger : assignments are computed when it fires, not when it is executed
    assignments : executed at once
    """

    id: str
    trigger: Expr
    delay: Expr | None
    priority: Expr | None
    initially: bool
    persistent: bool
    at_trigger: bool
    assignments: tuple[Assignment, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A reaction model.

    Attributes
    ----------
    units : units of species, compartments and parameters, and of ``$time``, as far as they are declared; a species has the
        unit of its symbol
    """

    id: str
    name: str
    source: str
    compartments: tuple[Compartment, ...]
    species: tuple[Species, ...]
    parameters: tuple[Parameter, ...]
    reactions: tuple[Reaction, ...]
    initial: tuple[Assignment, ...] = ()
    rules: tuple[Assignment, ...] = ()
    rates: tuple[Assignment, ...] = ()
    events: tuple[Event, ...] = ()
    units: Mapping[str, UnitSize] = field(default_factory=dict)

    def ids(self) -> tuple[str, ...]:
        """Identifiers of compartments, species, parameters and reactions."""
        return (
            *(c.id for c in self.compartments), *(s.id for s in self.species), *(p.id for p in self.parameters),
            *(r.id for r in self.reactions),
        )  # fmt: skip
