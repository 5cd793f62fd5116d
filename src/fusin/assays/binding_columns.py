"""Headers of binding tables: which column is the concentration, in which unit, and which one the response.

A unit stands in the header (``concentration_nM``, ``Competitor [µM]``, ``log10_concentration_M``); it is never guessed from
the size of the numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from fusin.errors import InputError

__all__ = ["UNITS", "Amount", "Header", "amount_unit", "plain", "recognise"]

UNITS = {"pm": 1e-12, "nm": 1e-9, "um": 1e-6, "mm": 1e-3, "m": 1.0}
"""Molar units by their lower-case letters, in mol/L."""

_PREFIX = {"": "", "p": "p", "n": "n", "u": "u", "µ": "u", "μ": "u", "m": "m"}
_UNIT = re.compile(r"^(?P<name>.*?)[\s_\-/(\[]*(?P<unit>[pnuµμm]?(?:m|mol[\s_/]*(?:/|per|_)?[\s_]*l))[)\]]?$")
_MASS = re.compile(r"(?:^|[\s_/(\[])(?:[pnuµμm]?g)[\s_/]*(?:/|per|_)?[\s_]*[muµ]?l[)\]]?$")
_LOG = re.compile(r"^(?:log10|log|lg)[\s_(\[]*")
_NUMBERED = re.compile(r"^(?P<stem>.*?[a-z)\]%])[\s_.\-]*(?P<number>\d{1,2})$")

_CONCENTRATION = (
    "concentration", "conc", "competitor", "competitor_concentration", "cold", "cold_concentration", "dose", "inhibitor",
    "inhibitor_concentration", "ligand", "ligand_concentration", "compound_concentration", "c", "x", "added", "free",
)  # fmt: skip
_HOT = (
    "hot",
    "radioligand",
    "tracer",
    "labelled",
    "labeled",
    "hot_ligand",
    "radioligand_concentration",
    "hot_concentration",
    "l",
)
_KD = ("kd", "kd_hot", "kd_radioligand", "radioligand_kd")
_HOT_U = tuple(f"{name}_u" for name in _HOT)
_KD_U = tuple(f"{name}_u" for name in _KD)
_RECEPTOR = ("receptor", "receptors", "receptor_total", "total_receptor", "binding_sites", "sites")
_RECEPTOR_U = tuple(f"{name}_u" for name in _RECEPTOR)
_ROLES = {
    "compound": (
        "compound", "ligand", "competitor", "inhibitor", "substance", "peptide", "group", "state", "condition", "cell_line",
    ),
    "experiment": ("experiment", "exp", "run", "assay", "day", "plate"),
    "replicate": ("replicate", "rep", "well", "tube", "position"),
    "kind": ("kind", "type", "control"),
    "reference": ("reference", "is_reference"),
    "sd": ("sd", "response_sd", "standard_deviation", "counts_sd", "cpm_sd", "bound_sd", "bound_percent_sd"),
    "added": ("added", "added_counts", "added_cpm", "added_dpm", "total_added", "total_added_cpm", "total_added_counts"),
}  # fmt: skip
_IGNORED = (
    "rownames",
    "row",
    "id",
    "no",
    "nr",
    "index",
    "unnamed:_0",
    "",
    "comment",
    "comments",
    "note",
    "notes",
    "date",
    "file",
)
_RESPONSE = (
    "response", "counts", "count", "cpm", "dpm", "cps", "bq", "kbq", "bound", "binding", "specific", "total_bound", "signal",
    "activity", "y", "percent", "fraction", "fmol", "bound_percent", "percent_bound", "percent_binding", "net",
)  # fmt: skip
_BANNED = ("se", "sem", "weight")


@dataclass(frozen=True, slots=True)
class Amount:
    """A column that holds a concentration: its header, the molar value of its unit, and whether it holds log10 values."""

    column: str
    unit: str
    log10: bool = False

    @property
    def molar(self) -> float:
        """Mol/L of one unit."""
        return UNITS[self.unit]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the columns of a file are.

    Attributes
    ----------
    concentration : of the competitor, or of the ligand of a saturation
    responses : one column, or several replicates side by side
    roles : compound, experiment, replicate, kind, reference, sd, added -> header
    again : further columns of concentrations, which have to agree with the first
    amounts : columns of the radioligand and the receptor: ``hot``, ``hot_u``, ``kd``, ``kd_u``, ``receptor``, ``receptor_u``
    """

    concentration: Amount
    responses: tuple[str, ...]
    roles: dict[str, str]
    again: tuple[Amount, ...] = ()
    amounts: dict[str, Amount] = field(default_factory=dict)


def plain(name: object) -> str:
    """A header as it is compared: lower case, blanks and hyphens as underscores."""
    return str(name).strip().lstrip("\ufeff").lower().replace(" ", "_").replace("-", "_")


def amount_unit(text: str, option: str) -> str:
    """Unit by its lower-case letters.

    Raises
    ------
    InputError
        For what is no molar unit.
    """
    word = _unit_of(text.strip().lower())
    if word is None:
        raise InputError(option, "unit", text, "one of pM, nM, uM, mM, M")
    return word


def _unit_of(text: str) -> str | None:
    found = _UNIT.match(text)
    if not found or found["name"]:
        return None
    return _short(found["unit"])


def _short(unit: str) -> str | None:
    prefix = unit[0] if len(unit) > 1 and unit[0] in "pnuµμ" else ("m" if unit.startswith("mm") else "")
    word = _PREFIX[prefix] + "m"
    return word if word in UNITS else None


def _amount(header: str) -> tuple[str, Amount] | None:
    """(name without unit, column) of a header that ends in a molar unit."""
    text = plain(header)
    found = _UNIT.match(text)
    if found is None or not found["name"]:
        return None
    # The letter of the unit must stand apart from the name: ``form`` ends in m and holds no unit.
    before = text[: found.start("unit")]
    if before and before[-1].isalnum():
        return None
    unit = _short(found["unit"])
    if unit is None:
        return None
    name = found["name"].strip("_([ /")
    log = _LOG.match(name)
    return (name[log.end() :].strip("_([ ") if log else name, Amount(header, unit, log is not None))


def recognise(columns: Sequence[str], where: str, *, unit: str | None = None, response: str | None = None) -> Header:
    """Find the columns of a binding table.

    Parameters
    ----------
    columns : headers as they stand
    where : name of the file for messages
    unit : molar unit of a concentration column whose header has none
    response : header of the response where several could be it

    Raises
    ------
    InputError
        When no column is a concentration with a unit, or none or several could be the response.
    """
    twice = sorted({c for c in columns if list(columns).count(c) > 1 and c})
    if twice:
        raise InputError(where, f"column {twice[0]}", f"{list(columns).count(twice[0])} times", "each column once")
    amounts = {c: a for c in columns if (a := _amount(c)) is not None}
    taken: set[str] = set()
    known = {
        "kd": _KD, "kd_u": _KD_U, "hot": _HOT, "hot_u": _HOT_U, "receptor": _RECEPTOR, "receptor_u": _RECEPTOR_U,
    }  # fmt: skip
    found = {name: amount for name, words in known.items() if (amount := _first(amounts, words, taken)) is not None}
    concentration = _concentration(columns, amounts, taken, where, unit)
    again = tuple(a for c, (name, a) in amounts.items() if c not in taken and name in _CONCENTRATION)
    roles: dict[str, str] = {}
    for role, words in _ROLES.items():
        for column in columns:
            if column not in taken and plain(column) in words and role not in roles:
                roles[role] = column
                taken.add(column)
    taken |= set(amounts)
    responses = _responses(columns, taken, where, response)
    return Header(concentration=concentration, responses=responses, roles=roles, again=again, amounts=found)


def _first(amounts: dict[str, tuple[str, Amount]], words: Sequence[str], taken: set[str]) -> Amount | None:
    for column, (name, amount) in amounts.items():
        if column not in taken and name in words:
            taken.add(column)
            return amount
    return None


def _concentration(
    columns: Sequence[str],
    amounts: dict[str, tuple[str, Amount]],
    taken: set[str],
    where: str,
    unit: str | None,
) -> Amount:
    found = _first(amounts, _CONCENTRATION, taken)
    free = [a for c, (_, a) in amounts.items() if c not in taken]
    if found is None and len(free) == 1:
        found = free[0]
    if found is not None:
        if unit is not None and amount_unit(unit, "--unit") != found.unit:
            raise InputError("--unit", "unit", unit, f"no unit, or that of the column {found.column}")
        taken.add(found.column)
        return found
    bare = [c for c in columns if (_LOG.sub("", plain(c)) or plain(c)) in _CONCENTRATION]
    if bare and unit is not None:
        taken.add(bare[0])
        return Amount(bare[0], amount_unit(unit, "--unit"), _LOG.match(plain(bare[0])) is not None)
    mass = [c for c in columns if _MASS.search(plain(c))]
    if mass:
        raise InputError(where, "columns", mass[0], "a molar concentration, such as concentration_nM")
    if bare:
        log = "log10_" if _LOG.match(plain(bare[0])) else ""
        raise InputError(
            where,
            "columns",
            bare[0],
            f"the unit in the header, such as {log}concentration_{'M' if log else 'nM'}, or --unit nM",
        )
    shown = ", ".join(str(c) for c in columns[:8]) + (", ..." if len(columns) > 8 else "")
    raise InputError(where, "columns", shown, "a column of concentrations with its unit, such as concentration_nM")


def _responses(columns: Sequence[str], taken: set[str], where: str, response: str | None) -> tuple[str, ...]:
    free = [c for c in columns if c not in taken and plain(c) not in _IGNORED]
    if response is not None:
        named = [c for c in columns if plain(c) == plain(response)]
        if not named:
            raise InputError("--response", "column", response, "one of " + ", ".join(free))
        return (named[0],)
    numbered = _side_by_side(free)
    if numbered:
        return numbered
    words = [c for c in free if _like_response(plain(c))]
    if len(words) == 1:
        return (words[0],)
    others = words or free
    if len(others) == 1:
        return (others[0],)
    found = ", ".join(others) if others else "none besides the concentration"
    needed = "--response NAME to say which column is fitted" if others else "a column of responses, such as counts"
    raise InputError(where, "response", found, needed)


def _side_by_side(free: Sequence[str]) -> tuple[str, ...]:
    """Replicates in columns that differ by a number: counts_1, counts_2."""
    stems: dict[str, list[str]] = {}
    for column in free:
        found = _NUMBERED.match(plain(column))
        if found:
            stems.setdefault(found["stem"].strip("_. "), []).append(column)
    several = [names for names in stems.values() if len(names) > 1]
    return tuple(several[0]) if len(several) == 1 else ()


def _like_response(name: str) -> bool:
    parts = [p for p in re.split(r"[_\s()\[\]/%]+", name) if p]
    if any(p in _BANNED for p in parts):
        return False
    return name in _RESPONSE or "%" in name or any(p in _RESPONSE for p in parts)
