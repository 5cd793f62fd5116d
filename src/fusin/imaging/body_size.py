"""Normalisation factors of SUV: lean body mass, ideal body weight, body surface area.

Weights in kg, heights in cm; the formulas are those that the DICOM SUV Type (0054,1006) names.

References
----------
LBM (Morgan, 120 form) and LBMJAMES128: as in the IBSI SUV manual (oncoray/suv_computation, CC BY 4.0), after Morgan
and Bray 1994 and James and Waterlow 1976. LBMJANMA: Janmahasatian et al. 2005, Clin Pharmacokinet 44:1051.
IBW: Sugawara et al. 1999, Radiology 213:521. BSA: Du Bois and Du Bois 1916.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from fusin.errors import InvalidValue, MissingValue, Unsupported

__all__ = ["NORMS", "Norm", "Sex", "norm_from_suv_type", "normalisation", "parse_sex"]

Norm = Literal["bw", "lbm-janmahasatian", "lbm-james128", "lbm-morgan120", "ibw", "bsa"]
Sex = Literal["M", "F", "O"]
NORMS: dict[Norm, str] = {
    "bw": "body weight",
    "lbm-janmahasatian": "lean body mass, Janmahasatian 2005",
    "lbm-james128": "lean body mass, James 1976 (128 form)",
    "lbm-morgan120": "lean body mass, Morgan 1994 (120 form)",
    "ibw": "ideal body weight, Sugawara 1999",
    "bsa": "body surface area, Du Bois 1916",
}
_SUV_TYPES: dict[str, Norm] = {
    "": "bw",
    "BW": "bw",
    "LBM": "lbm-morgan120",
    "LBMJAMES128": "lbm-james128",
    "LBMJANMA": "lbm-janmahasatian",
    "IBW": "ibw",
    "BSA": "bsa",
}


def norm_from_suv_type(suv_type: str) -> Norm:
    """Norm that an SUV Type (0054,1006) means; an empty one is body weight, as the standard says.

    Raises
    ------
    Unsupported
        For a type the standard does not know.
    """
    norm = _SUV_TYPES.get(suv_type.strip().upper())
    if norm is None:
        raise Unsupported(
            "SUV",
            f"SUV Type (0054,1006) is {suv_type!r}",
            f"one of {', '.join(t for t in _SUV_TYPES if t)}",
            "SUV_TYPE_UNKNOWN",
        )
    return norm


def parse_sex(text: str) -> Sex:
    """Patient's Sex (0010,0040) as M, F or O.

    Raises
    ------
    MissingValue, InvalidValue
        When absent, or when it holds anything else.
    """
    value = text.strip().upper()
    if not value:
        raise MissingValue("the SUV norm", "Patient's Sex (0010,0040) is absent", "M, F or O", "SEX_MISSING")
    if value not in ("M", "F", "O"):
        raise InvalidValue("the SUV norm", f"Patient's Sex (0010,0040) is {text!r}", "M, F or O", "SEX_INVALID")
    return value  # type: ignore[return-value]  # narrowed by the membership test above


def _morgan120(weight: float, height: float, male: bool) -> float:
    return 1.10 * weight - 120.0 * (weight / height) ** 2 if male else 1.07 * weight - 148.0 * (weight / height) ** 2


def _james128(weight: float, height: float, male: bool) -> float:
    return 1.10 * weight - 128.0 * (weight / height) ** 2 if male else 1.07 * weight - 148.0 * (weight / height) ** 2


def _janmahasatian(weight: float, height: float, male: bool) -> float:
    bmi = weight / (height / 100.0) ** 2
    return 9270.0 * weight / (6680.0 + 216.0 * bmi) if male else 9270.0 * weight / (8780.0 + 244.0 * bmi)


def _ideal(weight: float, height: float, male: bool) -> float:
    del weight
    return 48.0 + 1.06 * (height - 152.0) if male else 45.5 + 0.91 * (height - 152.0)


_FORMULAS: dict[str, Callable[[float, float, bool], float]] = {
    "lbm-morgan120": _morgan120,
    "lbm-james128": _james128,
    "lbm-janmahasatian": _janmahasatian,
    "ibw": _ideal,
}


def normalisation(norm: Norm, *, weight_kg: float, height_cm: float | None, sex: Sex | None) -> float:
    """Normalising quantity: kg for weights and lean masses, m2 for the body surface area.

    For sex O the mean of the male and female value is taken, as in the IBSI SUV manual.

    Raises
    ------
    MissingValue
        When the norm needs a height or a sex that is not known.
    InvalidValue
        When the formula gives no positive quantity (the James forms do so in extreme obesity).
    """
    if norm == "bw":
        return weight_kg
    if height_cm is None:
        raise MissingValue(
            f"SUV by {NORMS[norm]}", "Patient's Size (0010,1020) is absent", "the height in metres", "HEIGHT_MISSING"
        )
    if norm == "bsa":
        return float(0.007184 * height_cm**0.725 * weight_kg**0.425)
    if sex is None:
        raise MissingValue(f"SUV by {NORMS[norm]}", "Patient's Sex (0010,0040) is absent", "M, F or O", "SEX_MISSING")
    formula = _FORMULAS[norm]
    values = [
        formula(weight_kg, height_cm, male)
        for male in ([True] if sex == "M" else [False] if sex == "F" else [True, False])
    ]
    value = sum(values) / len(values)
    if value <= 0:
        raise InvalidValue(
            f"SUV by {NORMS[norm]}",
            f"the formula gives {value:.1f} kg for {weight_kg:g} kg and {height_cm:g} cm",
            "another norm, such as lbm-janmahasatian",
            "NORM_NOT_POSITIVE",
        )
    return value
