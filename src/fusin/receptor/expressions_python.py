"""Formulas as Python text, for functions that are made while the program runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from fusin.receptor.expressions import ELEMENTARY, Expr, Num, Op, Sym, is_boolean

__all__ = ["FAST", "boolean_text", "number_text", "safe_namespace"]

_CALLS = {
    "exp": "exp", "ln": "log", "sqrt": "sqrt", "floor": "floor", "ceil": "ceil", "factorial": "factorial_",
    "sign": "sign_", "sin": "sin", "cos": "cos", "tan": "tan", "asin": "asin", "acos": "acos", "atan": "atan",
    "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "asinh": "asinh", "acosh": "acosh", "atanh": "atanh",
    "abs": "abs", "rem": "fmod", "quotient": "quotient_", "max": "max_", "min": "min_", "pow": "pow_",
}  # fmt: skip
_INFIX = {"add": " + ", "mul": " * ", "sub": " - ", "div": " / "}
_RELATIONS = {"lt": " < ", "le": " <= ", "gt": " > ", "ge": " >= ", "eq": " == ", "ne": " != "}
_SMALL_POWER = 4

FAST: Mapping[str, Any] = {
    **{name: getattr(math, name) for name in ELEMENTARY},
    "log": math.log,
    "floor": lambda x: float(math.floor(x)),
    "ceil": lambda x: float(math.ceil(x)),
    "fmod": math.fmod,
    "pow_": math.pow,
    "abs": abs,
    "max_": max,
    "min_": min,
    "factorial_": lambda x: math.gamma(x + 1.0),
    "quotient_": lambda a, b: float(math.trunc(a / b)),
    "sign_": lambda x: float((x > 0) - (x < 0)),
    "inf": math.inf,
    "nan": math.nan,
}
"""Names for numbers in the domain of every function; the others raise an ArithmeticError or a ValueError."""


def safe_namespace() -> dict[str, Any]:
    """Names that follow IEEE 754 everywhere; the arguments must be numpy's numbers."""
    import numpy as np
    from scipy.special import gamma

    return {
        "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin,
        "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh,
        "acosh": np.arccosh, "atanh": np.arctanh, "floor": np.floor, "ceil": np.ceil, "fmod": np.fmod,
        "pow_": lambda a, b: np.power(np.float64(a), b), "abs": np.abs, "max_": np.maximum, "min_": np.minimum,
        "factorial_": lambda x: gamma(x + 1.0), "quotient_": lambda a, b: np.trunc(np.divide(a, b)), "sign_": np.sign,
        "inf": np.float64(math.inf), "nan": np.float64(math.nan),
    }  # fmt: skip


def number_text(expr: Expr, name_of: Callable[[str], str]) -> str:
    """Python text of a number.

    Parameters
    ----------
    expr : formula
    name_of : variable of a symbol
    """
    if isinstance(expr, Num):
        return _literal(expr.value)
    if isinstance(expr, Sym):
        return name_of(expr.name)
    if is_boolean(expr):
        return f"(1.0 if {boolean_text(expr, name_of)} else 0.0)"
    if expr.name == "if":
        return _chain(expr, name_of)
    args = [number_text(a, name_of) for a in expr.args]
    if expr.name == "neg":
        return f"(-{args[0]})"
    if expr.name in _INFIX:
        return f"({_INFIX[expr.name].join(args)})"
    if expr.name == "pow" and (times := _whole_power(expr)) and isinstance(expr.args[0], Sym):
        return "(" + " * ".join([args[0]] * times) + ")"
    return f"{_CALLS[expr.name]}({', '.join(args)})"


def _chain(expr: Op, name_of: Callable[[str], str]) -> str:
    """Text of nested choices; side by side, because Python limits how deep parentheses nest."""
    pieces: list[str] = []
    rest: Expr = expr
    while isinstance(rest, Op) and rest.name == "if":
        pieces.append(f"{number_text(rest.args[1], name_of)} if {boolean_text(rest.args[0], name_of)}")
        rest = rest.args[2]
    return "(" + " else ".join([*pieces, number_text(rest, name_of)]) + ")"


def boolean_text(expr: Expr, name_of: Callable[[str], str]) -> str:
    """Python text of a truth value; a number is true unless it is 0."""
    if not (isinstance(expr, Op) and is_boolean(expr)):
        return f"({number_text(expr, name_of)} != 0.0)"
    if expr.name == "not":
        return f"(not {boolean_text(expr.args[0], name_of)})"
    if expr.name in _RELATIONS:
        return f"({_RELATIONS[expr.name].join(number_text(a, name_of) for a in expr.args)})"
    word = {"and": " and ", "or": " or ", "xor": " != "}[expr.name]
    texts = [boolean_text(a, name_of) for a in expr.args]
    if expr.name == "xor":
        # Comparisons of Python chain; parentheses make them one by one.
        joined = texts[0]
        for text in texts[1:]:
            joined = f"({joined} != {text})"
        return joined
    return f"({word.join(texts)})"


def _whole_power(expr: Op) -> int:
    exponent = expr.args[1]
    if isinstance(exponent, Num) and exponent.value in range(2, _SMALL_POWER + 1):
        return int(exponent.value)
    return 0


def _literal(value: float) -> str:
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "(-inf)"
    return repr(value) if value >= 0 else f"({value!r})"
