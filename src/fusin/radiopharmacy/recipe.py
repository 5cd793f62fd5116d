"""Recipes: named, cited templates of a synthesis. There is no default; what was run is compared with what was named."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib import resources
from typing import Any

from fusin.errors import InputError

__all__ = ["Departure", "Recipe", "departures", "find_recipe", "shipped_recipes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A template of a synthesis.

    Attributes
    ----------
    id, version, title, product, source, tag, note : as for a specification; S, U and M are unverified
    parameters : values, or ``[low, high]``
    """

    id: str
    version: int
    title: str
    product: str
    source: str
    tag: str
    parameters: Mapping[str, Any]
    note: str = ""

    @property
    def name(self) -> str:
        """``ID@version``."""
        return f"{self.id}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """A parameter that was run otherwise than the template says, or was not recorded (``found`` empty)."""

    parameter: str
    template: str
    found: str


@cache
def shipped_recipes() -> Mapping[str, Recipe]:
    """The recipes that ship with fusin, by ``ID@version``."""
    folder = resources.files("fusin.radiopharmacy").joinpath("recipes")
    found = {}
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".toml"):
            row = tomllib.loads(entry.read_text(encoding="utf-8"), parse_float=Decimal)
            recipe = Recipe(**row)
            found[recipe.name] = recipe
    return found


def find_recipe(name: str) -> Recipe:
    """A shipped recipe by ``ID@version``; the version may be left out where there is only one.

    Raises
    ------
    InputError
        For an unknown one, with those that exist.
    """
    shipped = shipped_recipes()
    same = [r for r in shipped.values() if name in (r.name, r.id)]
    if len(same) != 1:
        raise InputError("recipe", "name", name, "one of " + ", ".join(shipped))
    return same[0]


def departures(recipe: Recipe, run: Mapping[str, Any]) -> tuple[Departure, ...]:
    """Where a process departed from its template.

    Parameters
    ----------
    recipe : the template
    run : parameters as run; those that the template does not know are no departures
    """
    found = []
    for key, template in recipe.parameters.items():
        value = run.get(key)
        if value is None or not _same(template, value):
            found.append(
                Departure(parameter=key, template=_text(template), found="" if value is None else _text(value))
            )
    return tuple(found)


def _same(template: Any, value: Any) -> bool:
    if isinstance(template, list):
        number = _number(value)
        return number is not None and Decimal(template[0]) <= number <= Decimal(template[1])
    first, second = _number(template), _number(value)
    if first is not None and second is not None:
        return first == second
    return str(template).strip().casefold() == str(value).strip().casefold()


def _number(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value).strip().replace(",", "."))
    except InvalidOperation:
        return None


def _text(value: Any) -> str:
    return " to ".join(str(v) for v in value) if isinstance(value, list) else str(value)
