"""Immunohistochemistry scores of CXCR4 and their relation to uptake."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fusin.errors import InputError, InvalidValue, MissingValue
from fusin.provenance import NoticeLog
from fusin.stats.effects import EffectTest
from fusin.stats.groups import spearman

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["correlate_with_uptake", "extent_class", "h_score", "immunoreactive_score", "irs_category", "score_table"]

_EXTENT_LIMITS = (0.0, 10.0, 50.0, 80.0)
_CATEGORIES = ((1, "negative"), (3, "weak"), (8, "moderate"), (12, "strong"))


def extent_class(stained_percent: float) -> int:
    """Class of the share of stained cells: 0 none, 1 below 10 %, 2 10-50 %, 3 51-80 %, 4 above 80 %.

    Raises
    ------
    InvalidValue
        For a share outside 0-100 %.

    References
    ----------
    Remmele and Stegner, Pathologe 1987;8:138.
    """
    share = _percent(stained_percent, "stained cells")
    if share == 0.0:
        return 0
    # Below 10 % is class 1 and exactly 10 % class 2; exactly 50 and 80 % belong to the lower class.
    if share < _EXTENT_LIMITS[1]:
        return 1
    return 2 + sum(share > limit for limit in _EXTENT_LIMITS[2:])


def immunoreactive_score(intensity: int, extent: int) -> int:
    """Immunoreactive score (IRS), 0-12: intensity 0-3 times extent class 0-4.

    Raises
    ------
    MissingValue, InvalidValue
        For missing, fractional or impossible scores, and for stain without stained cells (or the reverse).

    References
    ----------
    Remmele and Stegner, Pathologe 1987;8:138.
    """
    stain, cells = _grade(intensity, "intensity", 3), _grade(extent, "extent class", 4)
    if (stain == 0) != (cells == 0):
        raise InvalidValue(
            "IRS", f"intensity {stain} with extent class {cells}", "both 0 or both above 0", "SCORE_CONTRADICTS"
        )
    return stain * cells


def irs_category(score: int) -> str:
    """Words for an IRS: 0-1 negative, 2-3 weak, 4-8 moderate, 9-12 strong.

    Raises
    ------
    InvalidValue
        For a number that no product of the two scores gives, such as 5.
    """
    value = _grade(score, "IRS", 12)
    if value not in {i * e for i in range(4) for e in range(5)}:
        raise InvalidValue("IRS", f"IRS is {value}", "a product of 0-3 and 0-4", "SCORE_IMPOSSIBLE")
    return next(word for top, word in _CATEGORIES if value <= top)


def h_score(weak_percent: float, moderate_percent: float, strong_percent: float) -> float:
    """H-score, 0-300: 1 x weak + 2 x moderate + 3 x strong share of cells in percent.

    Raises
    ------
    MissingValue, InvalidValue
        For a missing share, one outside 0-100 %, or shares above 100 % together.

    References
    ----------
    McCarty et al., Cancer Res 1986;46:4244s.
    """
    weak, moderate, strong = (
        _percent(value, name)
        for value, name in ((weak_percent, "weak"), (moderate_percent, "moderate"), (strong_percent, "strong"))
    )
    total = weak + moderate + strong
    if total > 100.0 + 1e-9:
        raise InvalidValue("H-score", f"shares of {total:g} % together", "at most 100 %", "SCORE_IMPOSSIBLE")
    if 0.0 < total <= 1.0:
        needed = "percentages; these look like fractions"
        raise InvalidValue("H-score", f"shares of {total:g} % together", needed, "FRACTION_FOR_PERCENT")
    return weak + 2.0 * moderate + 3.0 * strong


def _percent(value: float, name: str) -> float:
    if value is None or math.isnan(value):
        raise MissingValue("IHC score", f"the share of {name} is missing", "a percentage", "SCORE_MISSING")
    if not 0.0 <= value <= 100.0:
        raise InvalidValue("IHC score", f"the share of {name} is {value:g} %", "0 to 100 %", "SCORE_IMPOSSIBLE")
    return float(value)


def _grade(value: int, name: str, most: int) -> int:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise MissingValue("IHC score", f"{name} is missing", f"0 to {most}", "SCORE_MISSING")
    if isinstance(value, bool) or value != int(value) or not 0 <= value <= most:
        raise InvalidValue("IHC score", f"{name} is {value}", f"a whole number from 0 to {most}", "SCORE_IMPOSSIBLE")
    return int(value)


def correlate_with_uptake(scores: ArrayLike, uptake: ArrayLike, log: NoticeLog, *, level: float = 0.95) -> EffectTest:
    """Spearman correlation of an IHC score with uptake over the lesions that have both.

    Parameters
    ----------
    scores, uptake : (n,) lesion by lesion, NaN where missing
    log : receives the number of lesions left out
    level : confidence level
    """
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(uptake, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        found = f"{x.shape} scores and {y.shape} uptakes"
        raise InvalidValue("IHC correlation", found, "one of each per lesion")
    both = ~(np.isnan(x) | np.isnan(y))
    if not both.all():
        log.warning(
            "PAIRS_INCOMPLETE", f"{int((~both).sum())} of {x.size} lesions lack the score or the uptake", where="IHC"
        )
    return spearman(x[both], y[both], level=level)


def score_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Add ``irs`` and ``h_score`` to a table of the IHC schema, missing where the parts are missing.

    Raises
    ------
    InputError
        For a row whose scores are impossible, with its number.
    """
    import pandas as pd

    out = frame.copy()
    extent = [_extent_of(i, row) for i, row in enumerate(frame.to_dict("records"), start=1)]
    rows = frame.to_dict("records")
    out["irs"] = pd.Series([_scored(i, "irs", immunoreactive_score, r.get("intensity"), e)
                            for i, (r, e) in enumerate(zip(rows, extent, strict=True), start=1)],
                           index=frame.index, dtype="Int64")  # fmt: skip
    parts = ("weak_percent", "moderate_percent", "strong_percent")
    out["h_score"] = pd.Series([_scored(i, "h_score", h_score, *(r.get(p) for p in parts)) for i, r in enumerate(rows, start=1)],
                               index=frame.index, dtype="float64")  # fmt: skip
    return out


def _extent_of(number: int, row: dict[Any, Any]) -> Any:
    import pandas as pd

    stated, share = row.get("extent_class"), row.get("stained_fraction")
    if share is None or pd.isna(share):
        return stated
    counted = extent_class(100.0 * share)
    if stated is not None and not pd.isna(stated) and int(stated) != counted:
        raise InputError(
            f"IHC table row {number}", "extent_class", int(stated), f"{counted}, the class of {100 * share:g} %"
        )
    return counted


def _scored(number: int, name: str, function: Any, *values: Any) -> Any:
    import pandas as pd

    if any(v is None or pd.isna(v) for v in values):
        return None
    try:
        return function(*values)
    except InvalidValue as err:
        raise InputError(f"IHC table row {number}", name, err.because, err.needed) from err
