"""Values of formulas by numpy, for one moment or for all moments at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np

from fusin.receptor.expressions import BOOLEAN, Expr, Num, Op, Sym

__all__ = ["evaluate"]

Value = Any
"""A float or an array of floats."""


def _factorial(x: Value) -> Value:
    from scipy.special import gamma

    return gamma(np.asarray(x, dtype=float) + 1.0)


def _quotient(a: Value, b: Value) -> Value:
    return np.trunc(np.divide(a, b))


_FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "neg": np.negative, "exp": np.exp, "ln": np.log, "sqrt": np.sqrt, "abs": np.abs, "floor": np.floor,
    "ceil": np.ceil, "factorial": _factorial, "sign": np.sign, "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "sub": np.subtract, "div": np.divide,
    "pow": np.power, "rem": np.fmod, "quotient": _quotient, "max": np.maximum, "min": np.minimum,
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal,
}  # fmt: skip
_FOLDED: Mapping[str, Callable[[Value, Value], Value]] = {
    "add": np.add, "mul": np.multiply, "and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor,
}  # fmt: skip


def evaluate(expr: Expr, lookup: Callable[[str], Value]) -> Value:
    """Value of a formula by the rules of IEEE 754; call it under ``np.errstate(all="ignore")``.

    Parameters
    ----------
    expr : formula
    lookup : value of a symbol, a float or an array

    Returns
    -------
    float or array
        Truth values are 1 and 0 where a number is needed.
    """
    if isinstance(expr, Num):
        return np.float64(expr.value)
    if isinstance(expr, Sym):
        return np.asarray(lookup(expr.name), dtype=float)[()]
    if expr.name == "if":
        return _chosen(expr, lookup)
    if expr.name == "not":
        return np.logical_not(evaluate(expr.args[0], lookup))
    args = [evaluate(a, lookup) for a in expr.args]
    if expr.name in _FOLDED:
        if expr.name not in BOOLEAN:
            args = [np.asarray(a, dtype=float)[()] for a in args]
        return reduce(_FOLDED[expr.name], args)
    return _FUNCTIONS[expr.name](*(np.asarray(a, dtype=float)[()] for a in args))


def _chosen(expr: Op, lookup: Callable[[str], Value]) -> Value:
    condition = np.asarray(evaluate(expr.args[0], lookup), dtype=bool)
    if condition.ndim == 0:
        return evaluate(expr.args[1] if condition else expr.args[2], lookup)
    return np.where(condition, *(np.asarray(evaluate(a, lookup), dtype=float) for a in expr.args[1:]))
