"""Keys of a configuration that the method chosen beside them would not read: they are refused, so that no correction can vanish."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fusin.errors import InputError

__all__ = ["refuse_unread"]

# Per table: the key that chooses, its default, and for each choice what it reads beside it.
_BY_WORD: dict[str, tuple[str, str, dict[str, frozenset[str]]]] = {
    "scatter": ("method", "none", {
        "none": frozenset(), "tew": frozenset({"lower", "upper", "smooth_mm"}), "dew": frozenset({"lower", "k", "smooth_mm"}),
        "file": frozenset({"file"}), "simulated": frozenset(),
    }),
}  # fmt: skip
# Per table: the key whose presence chooses, and what is read beside it.
_BY_KEY: dict[str, dict[str, frozenset[str]]] = {
    "resolution": {
        "slope": frozenset({"intercept_mm"}), "distances_mm": frozenset({"widths_mm"}), "fwhm_mm": frozenset(),
        "hole_mm": frozenset({"length_mm", "mu_per_cm", "intrinsic_fwhm_mm", "gap_mm"}),
    },
    "attenuation": {"mu_map": frozenset(), "ct": frozenset({"kvp", "scanner", "energy_kev"})},
    "region": {"file": frozenset({"name", "label"}), "centre_mm": frozenset({"name", "radius_mm"})},
}  # fmt: skip
_ALGORITHMS = {"step": ("bsrem", "map"), "decay": ("bsrem",)}


def refuse_unread(document: Mapping[str, Any], where: str) -> None:
    """Refuse keys that the chosen method, file or algorithm does not read.

    Parameters
    ----------
    document : the TOML file, its names already checked
    where : name of the file

    Raises
    ------
    InputError
        For the first of them, with the choice that would read it.
    """
    for table, (key, default, reads) in _BY_WORD.items():
        held = document.get(table, {})
        choice = held.get(key, default)
        if not isinstance(choice, str) or choice not in reads:
            continue
        for name in held:
            if name != key and name not in reads[choice]:
                others = " or ".join(f'"{c}"' for c, names in reads.items() if name in names)
                raise InputError(
                    f"{where}, {table}",
                    name,
                    f'{held[name]!r} beside {key} = "{choice}"',
                    f"{key} = {others}, or no {name}",
                )
    for table, kinds in _BY_KEY.items():
        rows = document.get(table, [])
        for number, held in enumerate(rows if isinstance(rows, list) else [rows], start=1):
            place = f"{where}, {table} {number}" if isinstance(rows, list) else f"{where}, {table}"
            _refuse_beside(held, kinds, place)
    held = document.get("algorithm", {})
    chosen = held.get("name", "osem")
    for name, algorithms in _ALGORITHMS.items():
        if name in held and isinstance(chosen, str) and chosen not in algorithms:
            raise InputError(
                f"{where}, algorithm", name, f"{held[name]!r} with {chosen}", f"{' or '.join(algorithms)}, or no {name}"
            )


def _refuse_beside(held: Any, kinds: Mapping[str, frozenset[str]], where: str) -> None:
    chosen = [k for k in kinds if isinstance(held, dict) and k in held]
    # None or several: the reader of the table says so.
    if len(chosen) != 1:
        return
    for name in held:
        if name != chosen[0] and name not in kinds[chosen[0]]:
            others = " or ".join(k for k, names in kinds.items() if name in names or name == k)
            raise InputError(where, name, f"{held[name]!r} beside {chosen[0]}", f"{others} for it, or no {name}")
