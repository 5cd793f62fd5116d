"""Prior knowledge of effective half-lives: a published population, a site's own table, or the patient's earlier cycle.

A prior is lognormal and ends at the physical half-life, because nothing decays slower. The shipped table is never a default.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from fusin.errors import InputError
from fusin.nuclides import nuclide as nuclide_of

__all__ = ["Prior", "lognormal_prior", "population_priors", "prior_for", "read_priors"]

_Z95 = 1.959963984540054
_SIDES = re.compile(r"\b(left|right|l|r|lt|rt|links|rechts|linke|rechte)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """Lognormal distribution of an effective half-life.

    Attributes
    ----------
    id : short name
    regions : lower-case names of the regions it is for; empty for any
    nuclide : for which it holds, empty where a user states it
    median_h : median [h]
    gsd : geometric standard deviation, or None where the spread is not known
    source : citation, or where the user has it from
    tag : V, A (abstract only) or O (the user's own)
    """

    id: str
    regions: tuple[str, ...]
    nuclide: str
    median_h: float
    gsd: float | None
    source: str
    tag: str

    @property
    def sigma(self) -> float | None:
        """Standard deviation of the logarithm."""
        return None if self.gsd is None else math.log(self.gsd)

    def widened(self, gsd: float) -> Prior:
        """The prior with a further independent spread, such as that between two cycles."""
        if not (math.isfinite(gsd) and gsd >= 1.0):
            raise InputError(self.id, "geometric standard deviation", gsd, "1 or more (1.1 for about 10 %)")
        own = self.sigma or 0.0
        return replace(self, gsd=math.exp(math.hypot(own, math.log(gsd))))


def lognormal_prior(
    *, mean_h: float, sd_h: float, id: str = "given", source: str = "given by the user", regions: Sequence[str] = ()
) -> Prior:
    """The lognormal distribution with a given mean and standard deviation.

    Parameters
    ----------
    mean_h, sd_h : arithmetic mean and standard deviation [h]
    id, source, regions : see `Prior`

    Raises
    ------
    InputError
        For numbers that are not positive.
    """
    for name, value in (("mean", mean_h), ("standard deviation", sd_h)):
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"prior {id}", f"{name} of the effective half-life", value, "a positive number of hours")
    variance = math.log1p((sd_h / mean_h) ** 2)
    return Prior(id=id, regions=tuple(regions), nuclide="", median_h=mean_h * math.exp(-variance / 2),
                 gsd=math.exp(math.sqrt(variance)), source=source, tag="O")  # fmt: skip


@cache
def population_priors() -> tuple[Prior, ...]:
    """The shipped table, ``population_priors.toml``."""
    text = resources.files("fusin.dosimetry").joinpath("population_priors.toml").read_text(encoding="utf-8")
    return _from_toml(text, "population_priors.toml")


def read_priors(path: Path, nuclide: str) -> tuple[Prior, ...]:
    """Priors of a TOML table, or of the JSON document of an earlier ``fusin dose``.

    Parameters
    ----------
    path : ``.toml`` laid out like ``population_priors.toml``, or ``.json``
    nuclide : of the new measurement; an earlier cycle with another one is refused

    Raises
    ------
    InputError
        For a file that is neither, and for numbers that cannot be.
    """
    if not path.is_file():
        raise InputError(
            path.name, "file", "nothing", "a TOML table of priors or the JSON document of an earlier cycle"
        )
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise InputError(path.name, "text", f"byte {err.object[err.start]:#04x} at {err.start}", "UTF-8 text") from err
    if path.suffix.lower() == ".json":
        return _from_cycle(text, path.name, nuclide)
    return _from_toml(text, path.name)


def prior_for(priors: Sequence[Prior], region: str, nuclide: str) -> Prior | None:
    """The prior of a region by its name, whatever its side; a prior without regions is for all."""
    plain = _plain(region)
    for prior in priors:
        named = not prior.regions or plain in prior.regions or _SIDES.sub("", plain).strip() in prior.regions
        if named and prior.nuclide in ("", nuclide):
            return prior
    return None


def _plain(region: str) -> str:
    return " ".join(re.sub(r"[_\-.,()/]+", " ", region.casefold()).split())


def _from_toml(text: str, where: str) -> tuple[Prior, ...]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise InputError(where, "TOML", str(err), "a readable TOML document") from err
    rows = document.get("prior")
    if not isinstance(rows, list) or not rows or not all(isinstance(r, dict) for r in rows):
        raise InputError(where, "prior", type(rows).__name__ if rows else None, "at least one table [[prior]]")
    return tuple(_row(row, f"{where} prior {number}") for number, row in enumerate(rows, start=1))


def _row(row: Mapping[str, Any], where: str) -> Prior:
    known = {"id", "nuclide", "regions", "mean_h", "sd_h", "median_h", "gsd", "low_h", "high_h", "n", "source", "tag"}
    for name in row:
        if name not in known:
            raise InputError(where, "key", name, "one of " + ", ".join(sorted(known)))
    source = row.get("source")
    if not isinstance(source, str) or not source.strip():
        raise InputError(where, "source", source, "where the numbers come from")
    regions = row.get("regions", [])
    if not isinstance(regions, list) or not all(isinstance(r, str) for r in regions):
        raise InputError(where, "regions", regions, "a list of names")
    numbers = {name: _number(row[name], where, name) for name in ("mean_h", "sd_h", "median_h", "gsd") if name in row}
    plain = tuple(_plain(r) for r in regions)
    name = str(row.get("id", plain[0] if plain else "given"))
    if "mean_h" in numbers and "sd_h" in numbers and not {"median_h", "gsd"} & set(numbers):
        found = lognormal_prior(mean_h=numbers["mean_h"], sd_h=numbers["sd_h"])
        median, gsd = found.median_h, found.gsd
    elif "median_h" in numbers and not {"mean_h", "sd_h"} & set(numbers):
        median, gsd = numbers["median_h"], numbers.get("gsd")
    else:
        raise InputError(where, "half-life", ", ".join(numbers) or None, "mean_h with sd_h, or median_h with gsd")
    if gsd is not None and gsd <= 1.0:
        raise InputError(where, "gsd", gsd, "a geometric standard deviation above 1, such as 1.3")
    of = nuclide_of(row["nuclide"]).name if isinstance(row.get("nuclide"), str) else ""
    return Prior(
        id=name, regions=plain, nuclide=of, median_h=median, gsd=gsd, source=source, tag=str(row.get("tag", "O"))
    )


def _number(value: object, where: str, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value > 0):
        raise InputError(where, name, value, "a positive number")
    return float(value)


def _from_cycle(text: str, where: str, nuclide: str) -> tuple[Prior, ...]:
    """Effective half-lives of an earlier result, each as wide as its interval."""
    try:
        document = json.loads(text)
    except ValueError as err:
        raise InputError(where, "JSON", str(err), "the JSON document of fusin dose") from err
    regions = document.get("regions") if isinstance(document, dict) else None
    if not isinstance(regions, list):
        raise InputError(where, "regions", None, "the JSON document of fusin dose")
    if document.get("nuclide", nuclide) != nuclide:
        raise InputError(where, "nuclide", document.get("nuclide"), f"an earlier cycle with {nuclide}")
    found = []
    for region in regions:
        value = region.get("t_eff_h") if isinstance(region, dict) else None
        if not isinstance(value, dict) or not isinstance(region.get("name"), str):
            continue
        numbers = [value.get(name) for name in ("value", "low", "high")]
        if not all(isinstance(v, int | float) and math.isfinite(v) and v > 0 for v in numbers):
            continue
        median, low, high = (float(v) for v in numbers if v is not None)
        sigma = max(math.log(high / low) / (2 * _Z95), 1e-3)
        found.append(Prior(id=f"{where}: {region['name']}", regions=(_plain(region["name"]),), nuclide=nuclide, median_h=median,
                           gsd=math.exp(sigma), source=f"earlier cycle, {where}", tag="O"))  # fmt: skip
    if not found:
        raise InputError(
            where, "regions", "no effective half-life with an interval", "an earlier cycle with fitted curves"
        )
    return tuple(found)
