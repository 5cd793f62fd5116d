"""A case file for OLINDA/EXM 2, filled into one that the user's own program saved.

The text of a ``.cas`` file holds the masses of its phantoms, which are not ours to ship. Given such a file as template, its
nuclide is replaced, and each source gets its time-integrated activity coefficient [MBq h/MBq] in the block of kinetic data.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

from fusin.dosimetry.organ_names import find_organ, nearest
from fusin.errors import InputError
from fusin.nuclides import nuclide

__all__ = ["olinda_case", "read_template"]

_KINETIC = re.compile(r"(\[BEGIN KINETIC DATA\]\s*\n)(.*?)(\[END KINETIC DATA\])", re.DOTALL)
_NUCLIDES = re.compile(r"(\[BEGIN NUCLIDES\]\s*\n)(.*?)(\[END NUCLIDES\])", re.DOTALL)


def read_template(path: Path) -> str:
    """Text of a case file that OLINDA saved.

    Raises
    ------
    InputError
        For a file without the blocks of nuclides and kinetic data.
    """
    if not path.is_file():
        raise InputError(path.name, "file", "nothing", "a case file saved by OLINDA/EXM 2")
    text = path.read_bytes().decode("utf-8-sig", errors="replace").replace("\r\n", "\n")
    for name, block in (("NUCLIDES", _NUCLIDES), ("KINETIC DATA", _KINETIC)):
        if not block.search(text):
            raise InputError(path.name, f"[BEGIN {name}]", "no such block", "a case file saved by OLINDA/EXM 2")
    return text


def olinda_case(
    template: str, coefficients_h: Mapping[str, float], *, nuclide_name: str, where: str = "template"
) -> str:
    """The case with nuclide and coefficients filled in; sources that are not named get 0, as nothing was measured in them.

    Parameters
    ----------
    template : text of a case file, see `read_template`
    coefficients_h : time-integrated activity per administered activity [MBq h/MBq] by source
    nuclide_name : the nuclide
    where : name of the template for messages

    Raises
    ------
    InputError
        For a source that the case does not have, a coefficient that is negative, or more than one model.
    """
    blocks = _KINETIC.findall(template)
    if len(blocks) != 1:
        raise InputError(where, "models", len(blocks), "a case with one model")
    names = [line.split("|")[0].strip() for line in blocks[0][1].splitlines() if "|" in line]
    values: dict[str, float] = {}
    for source, value in coefficients_h.items():
        if not (math.isfinite(value) and value >= 0):
            raise InputError("OLINDA case", source, value, "a coefficient of zero or more hours")
        found = find_organ(source, names)
        if found is None:
            raise InputError(where, "source", source, f"a source of the case: {nearest(source, names)}")
        values[found] = value
    kinetic = "".join(f"{n}|{values.get(n, 0.0):.6g}\n" for n in names)
    text = _KINETIC.sub(lambda m: m[1] + kinetic + m[3], template)
    return _NUCLIDES.sub(lambda m: f"{m[1]}{nuclide(nuclide_name).name}|\n{m[3]}", text)
