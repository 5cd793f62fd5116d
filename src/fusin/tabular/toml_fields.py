"""Fields of a TOML table, checked one by one; what nothing asks for is refused: a misspelt limit must not vanish."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fusin.errors import InputError

__all__ = ["TomlFields", "is_finite", "read_toml", "shown"]


def read_toml(path: Path) -> dict[str, Any]:
    """The document of a TOML file.

    Raises
    ------
    InputError
        For a missing file, text that is not UTF-8 and text that is no TOML, with the line.
    """
    if not path.is_file():
        raise InputError(path.name, "file", "a folder" if path.is_dir() else "nothing", "a TOML file that exists")
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError as err:
        raise InputError(path.name, "text", f"byte {err.object[err.start]:#04x} at {err.start}", "UTF-8 text") from err
    except (ValueError, RecursionError) as err:
        # A number of thousands of digits is a plain ValueError.
        raise InputError(path.name, "TOML", str(err).splitlines()[0], "a readable TOML document") from err


def is_finite(value: float) -> bool:
    """Whether a number fits into a float; an integer of TOML or JSON may have any number of digits."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


class TomlFields:
    """One table of a TOML document.

    Parameters
    ----------
    values : the table
    where : file and table for messages
    """

    def __init__(self, values: Any, where: str) -> None:
        if not isinstance(values, Mapping):
            raise InputError(where, "table", type(values).__name__, "a table of fields")
        self.where = where
        self._values, self._asked = dict(values), set[str]()

    def take(self, name: str) -> Any:
        """The value as it stands, or None."""
        self._asked.add(name)
        return self._values.get(name)

    def number(
        self, name: str, *, above: float | None = None, least: float | None = None, most: float | None = None
    ) -> float | None:
        """A finite number within its limits, or None when absent.

        Raises
        ------
        InputError
            For anything else.
        """
        value = self.take(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not is_finite(value):
            raise InputError(self.where, name, shown(value), "a plain number")
        if above is not None and not value > above:
            raise InputError(self.where, name, value, f"a number above {above:g}")
        if least is not None and value < least:
            raise InputError(self.where, name, value, f"at least {least:g}")
        if most is not None and value > most:
            hint = "; this looks like a percentage" if most == 1.0 else ""
            raise InputError(self.where, name, value, f"at most {most:g}{hint}")
        return float(value)

    def stated_text(self, name: str, *, required: bool = False) -> str:
        """Text (a number counts as its digits), empty when absent.

        Raises
        ------
        InputError
            For another type, and when it is required and absent.
        """
        value = self.take(name)
        if isinstance(value, bool) or not (value is None or isinstance(value, (str, int))):
            raise InputError(self.where, name, shown(value), "text")
        text = str(value).strip() if value is not None else ""
        if required and not text:
            raise InputError(self.where, name, "nothing", "a value")
        return text

    def finish(self, hints: Mapping[str, str] | None = None) -> None:
        """Refuse fields that nothing asked for.

        Parameters
        ----------
        hints : what is needed instead, for fields that are easily thought to exist

        Raises
        ------
        InputError
            With the nearest field that exists.
        """
        for name in self._values:
            if name not in self._asked:
                near = difflib.get_close_matches(name, sorted(self._asked), n=1, cutoff=0.6)
                known = f"{near[0]} instead" if near else "one of " + ", ".join(sorted(self._asked))
                raise InputError(self.where, "field", name, (hints or {}).get(name, known))


def shown(value: Any) -> Any:
    """A value as a message shows it: a table by its kind, a moment in ISO notation."""
    if isinstance(value, (list, dict)):
        return type(value).__name__
    return value.isoformat() if hasattr(value, "isoformat") else value
