"""From the formulas of an SBML file to our own: functions are put in place, local names get the name of their reaction."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

from fusin.errors import InputError, Unsupported
from fusin.receptor.expressions import FALSE, NAN, ONE, TIME, TRUE, Expr, Num, Op, Sym, choose, op

__all__ = ["AVOGADRO", "MathReader"]

AVOGADRO = 6.02214179e23
"""The number that SBML Level 3 fixes for the csymbol ``avogadro``."""

_DEEPEST = 50
_DIRECT = {
    "ABS": "abs", "ARCCOS": "acos", "ARCCOSH": "acosh", "ARCSIN": "asin", "ARCSINH": "asinh", "ARCTAN": "atan",
    "ARCTANH": "atanh", "CEILING": "ceil", "COS": "cos", "COSH": "cosh", "EXP": "exp", "FACTORIAL": "factorial",
    "FLOOR": "floor", "LN": "ln", "SIN": "sin", "SINH": "sinh", "TAN": "tan", "TANH": "tanh",
    "POWER": "pow", "REM": "rem", "QUOTIENT": "quotient",
}  # fmt: skip
_RECIPROCAL = {"SEC": "cos", "CSC": "sin", "COT": "tan", "SECH": "cosh", "CSCH": "sinh", "COTH": "tanh"}
_INVERSE = {
    "ARCSEC": "acos",
    "ARCCSC": "asin",
    "ARCCOT": "atan",
    "ARCSECH": "acosh",
    "ARCCSCH": "asinh",
    "ARCCOTH": "atanh",
}
_RELATIONS = {"EQ": "eq", "NEQ": "ne", "LT": "lt", "LEQ": "le", "GT": "gt", "GEQ": "ge"}


@cache
def _kinds() -> Mapping[int, str]:
    """Number of a node's type to its name without ``AST_``."""
    import libsbml

    return {
        getattr(libsbml, n): n.removeprefix("AST_") for n in dir(libsbml) if n.startswith("AST_") and n != "AST_UNKNOWN"
    }


class MathReader:
    """Reads the formulas of one model.

    Parameters
    ----------
    functions : name to (arguments, root of the formula) of the function definitions
    where : file, for messages
    """

    def __init__(self, functions: Mapping[str, tuple[tuple[str, ...], Any]], where: str) -> None:
        self._functions, self._where = functions, where

    def read(self, node: Any, renamed: Mapping[str, Expr] | None = None, depth: int = 0) -> Expr:
        """Our formula of a node.

        Parameters
        ----------
        node : libSBML's ASTNode
        renamed : local names to their formulas
        depth : how many functions stand around it

        Raises
        ------
        Unsupported
            For a delay, by its name.
        InputError
            For a node that is no formula.
        """
        renamed = renamed or {}
        if node.isNumber():
            return Num(float(node.getValue()))
        kind = _kinds().get(node.getType(), "UNKNOWN")
        if kind == "NAME":
            name = node.getName()
            return renamed.get(name, Sym(name))
        if kind.startswith(("NAME_", "CONSTANT_")):
            return self._constant(kind)
        args = (
            [self.read(node.getChild(i), renamed, depth) for i in range(node.getNumChildren())]
            if kind != "LAMBDA"
            else []
        )
        if kind == "FUNCTION":
            return self._call(node.getName(), args, depth)
        if kind == "FUNCTION_PIECEWISE":
            return _piecewise(args)
        made = _operation(kind.removeprefix("FUNCTION_").removeprefix("RELATIONAL_").removeprefix("LOGICAL_"), args)
        if made is not None:
            return made
        if kind == "FUNCTION_RATE_OF" and isinstance(args[0], Sym):
            return Sym(f"$rate:{args[0].name}")
        if kind == "FUNCTION_DELAY":
            raise Unsupported(
                "the simulation", f"{self._where} uses the csymbol delay (a value of the past)",
                "a model without delay", "SBML_UNSUPPORTED",
            )  # fmt: skip
        raise InputError(self._where, "formula", node.getName() or kind.lower(), "a formula of SBML")

    def _constant(self, kind: str) -> Expr:
        known: Mapping[str, Expr] = {
            "NAME_TIME": Sym(TIME), "NAME_AVOGADRO": Num(AVOGADRO), "CONSTANT_E": Num(math.e),
            "CONSTANT_PI": Num(math.pi), "CONSTANT_TRUE": TRUE, "CONSTANT_FALSE": FALSE,
        }  # fmt: skip
        if kind not in known:
            raise InputError(self._where, "formula", kind.lower(), "a constant of SBML")
        return known[kind]

    def _call(self, name: str, args: Sequence[Expr], depth: int) -> Expr:
        found = self._functions.get(name)
        if found is None or depth > _DEEPEST:
            raise InputError(self._where, "function", name, "a function that the file defines, not by itself")
        formals, body = found
        if len(formals) != len(args):
            raise InputError(self._where, f"function {name}", f"{len(args)} arguments", f"{len(formals)} arguments")
        return self.read(body, dict(zip(formals, args, strict=True)), depth + 1) if body is not None else NAN


def _operation(kind: str, args: Sequence[Expr]) -> Expr | None:
    if kind in _DIRECT:
        return op(_DIRECT[kind], *args)
    if kind in _RECIPROCAL:
        return op("div", ONE, op(_RECIPROCAL[kind], *args))
    if kind in _INVERSE:
        return op(_INVERSE[kind], op("div", ONE, args[0]))
    if kind in _RELATIONS:
        return _joined([Op(_RELATIONS[kind], (a, b)) for a, b in pairwise(args)], "and", TRUE)
    special = _SPECIAL.get(kind)
    return special(args) if special is not None else None


def _joined(parts: Sequence[Expr], name: str, empty: Expr) -> Expr:
    if not parts:
        return empty
    return parts[0] if len(parts) == 1 else op(name, *parts)


def _fold(args: Sequence[Expr], name: str) -> Expr:
    value = args[0] if args else NAN
    for other in args[1:]:
        value = op(name, value, other)
    return value


def _logarithm(args: Sequence[Expr]) -> Expr:
    base, value = (Num(10.0), args[0]) if len(args) == 1 else (args[0], args[1])
    below = Num(math.log(base.value)) if isinstance(base, Num) and base.value > 0 else op("ln", base)
    return op("div", op("ln", value), below)


def _root(args: Sequence[Expr]) -> Expr:
    if len(args) == 1 or args[0] == Num(2.0):
        return op("sqrt", args[-1])
    return op("pow", args[1], op("div", ONE, args[0]))


def _piecewise(args: Sequence[Expr]) -> Expr:
    value: Expr = args[-1] if len(args) % 2 else NAN
    for i in range(len(args) // 2 - 1, -1, -1):
        value = choose(args[2 * i + 1], args[2 * i], value)
    return value


_SPECIAL: Mapping[str, Callable[[Sequence[Expr]], Expr]] = {
    "PLUS": lambda a: op("add", *a),
    "TIMES": lambda a: op("mul", *a) if a else ONE,
    "MINUS": lambda a: op("neg", a[0]) if len(a) == 1 else _fold(a, "sub"),
    "DIVIDE": lambda a: op("div", a[0], a[1]),
    "LOG": _logarithm,
    "ROOT": _root,
    "MAX": lambda a: _fold(a, "max"),
    "MIN": lambda a: _fold(a, "min"),
    "AND": lambda a: _joined(a, "and", TRUE),
    "OR": lambda a: _joined(a, "or", FALSE),
    "XOR": lambda a: _joined(a, "xor", FALSE),
    "NOT": lambda a: op("not", a[0]),
    "IMPLIES": lambda a: op("or", op("not", a[0]), a[1]),
}
