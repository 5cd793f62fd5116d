"""Formulas of a model as small trees: numbers, symbols and operations, with builders that fold constants.

Symbols are texts. Those that begin with ``$`` are made by fusin: ``$time``, ``$rate:X`` (the time derivative of X) and
``$store:X`` (the number that the integrator carries for X).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

__all__ = [
    "ARITY",
    "BOOLEAN",
    "ELEMENTARY",
    "FALSE",
    "NAN",
    "ONE",
    "TIME",
    "TRUE",
    "UNARY",
    "ZERO",
    "Expr",
    "Num",
    "Op",
    "Sym",
    "add",
    "choose",
    "div",
    "is_boolean",
    "jumping",
    "mul",
    "neg",
    "op",
    "power",
    "store_of",
    "sub",
    "substitute",
    "symbols",
]


@dataclass(frozen=True, slots=True)
class Num:
    """A number; truth values are 1 and 0."""

    value: float


@dataclass(frozen=True, slots=True)
class Sym:
    """A symbol."""

    name: str


@dataclass(frozen=True, slots=True)
class Op:
    """An operation on other formulas."""

    name: str
    args: tuple[Expr, ...]


Expr = Num | Sym | Op

ZERO, ONE, NAN = Num(0.0), Num(1.0), Num(math.nan)
TRUE, FALSE = ONE, ZERO
TIME = "$time"

ELEMENTARY = (
    "exp", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh",
)  # fmt: skip
"""Functions that Python's ``math`` has under the same names."""
UNARY = frozenset((*ELEMENTARY, "neg", "ln", "abs", "floor", "ceil", "factorial", "sign", "not"))
BOOLEAN = frozenset(["lt", "le", "gt", "ge", "eq", "ne", "and", "or", "xor", "not"])
_JUMPING = frozenset(("lt", "le", "gt", "ge", "eq", "ne", "floor", "ceil", "quotient", "rem"))
ARITY: Mapping[str, int] = {
    **dict.fromkeys(UNARY, 1),
    **dict.fromkeys(("sub", "div", "pow", "rem", "quotient", "lt", "le", "gt", "ge", "eq", "ne"), 2),
    **dict.fromkeys(("max", "min"), 2),
    "if": 3,
}
"""Numbers of arguments; ``add``, ``mul``, ``and``, ``or`` and ``xor`` take any."""


def store_of(name: str) -> str:
    """Symbol of the number that the integrator carries for a species."""
    return f"$store:{name}"


def add(*terms: Expr) -> Expr:
    """Sum; nested sums are joined and zeros left out."""
    flat: list[Expr] = []
    constant = 0.0
    for term in terms:
        for part in term.args if isinstance(term, Op) and term.name == "add" else (term,):
            if isinstance(part, Num):
                constant += part.value
            else:
                flat.append(part)
    if constant != 0.0 or not flat:
        flat.append(Num(constant))
    return flat[0] if len(flat) == 1 else Op("add", tuple(flat))


def mul(*factors: Expr) -> Expr:
    """Product; a factor of zero makes it zero, as in a reaction with the stoichiometry 0."""
    flat: list[Expr] = []
    constant = 1.0
    for factor in factors:
        for part in factor.args if isinstance(factor, Op) and factor.name == "mul" else (factor,):
            if isinstance(part, Num):
                constant *= part.value
            else:
                flat.append(part)
    if constant == 0.0:
        return ZERO
    if constant == -1.0 and flat:
        return neg(flat[0] if len(flat) == 1 else Op("mul", tuple(flat)))
    if constant != 1.0 or not flat:
        flat.insert(0, Num(constant))
    return flat[0] if len(flat) == 1 else Op("mul", tuple(flat))


def neg(value: Expr) -> Expr:
    """The negative."""
    if isinstance(value, Num):
        return Num(-value.value)
    if isinstance(value, Op) and value.name == "neg":
        return value.args[0]
    return Op("neg", (value,))


def sub(left: Expr, right: Expr) -> Expr:
    """Difference."""
    if isinstance(right, Num):
        return add(left, Num(-right.value))
    if isinstance(left, Num) and left.value == 0.0:
        return neg(right)
    return Op("sub", (left, right))


def div(above: Expr, below: Expr) -> Expr:
    """Quotient; division by the number zero stays, so that it gives what IEEE 754 gives."""
    if isinstance(below, Num):
        if below.value == 1.0:
            return above
        if isinstance(above, Num) and below.value != 0.0:
            return Num(above.value / below.value)
    if isinstance(above, Num) and above.value == 0.0 and not isinstance(below, Num):
        return ZERO
    return Op("div", (above, below))


def power(base: Expr, exponent: Expr) -> Expr:
    """Power; x to the 0 is 1 and x to the 1 is x."""
    if isinstance(exponent, Num):
        if exponent.value == 0.0:
            return ONE
        if exponent.value == 1.0:
            return base
        if exponent.value == 0.5:
            return Op("sqrt", (base,))
        if isinstance(base, Num) and base.value > 0:
            try:
                return Num(base.value**exponent.value)
            except OverflowError:
                return Num(math.inf)
    return Op("pow", (base, exponent))


def choose(condition: Expr, then: Expr, otherwise: Expr) -> Expr:
    """One of two values by a condition."""
    if isinstance(condition, Num):
        return then if condition.value != 0.0 else otherwise
    if then == otherwise:
        return then
    return Op("if", (condition, then, otherwise))


_BUILDERS: Mapping[str, Callable[..., Expr]] = {
    "add": add, "mul": mul, "neg": neg, "sub": sub, "div": div, "pow": power, "if": choose,
}  # fmt: skip


def op(name: str, *args: Expr) -> Expr:
    """An operation by its name, folded where its builder can."""
    builder = _BUILDERS.get(name)
    return builder(*args) if builder is not None else Op(name, args)


def substitute(expr: Expr, values: Mapping[str, Expr]) -> Expr:
    """Replace symbols by formulas."""
    if isinstance(expr, Sym):
        return values.get(expr.name, expr)
    if isinstance(expr, Op):
        args = tuple(substitute(a, values) for a in expr.args)
        return expr if all(a is b for a, b in zip(args, expr.args, strict=True)) else op(expr.name, *args)
    return expr


def walk(expr: Expr) -> Iterator[Expr]:
    """All parts of a formula, itself first."""
    pending = [expr]
    while pending:
        one = pending.pop()
        yield one
        if isinstance(one, Op):
            pending.extend(one.args)


def symbols(expr: Expr) -> frozenset[str]:
    """Names of the symbols of a formula."""
    return frozenset(e.name for e in walk(expr) if isinstance(e, Sym))


def jumping(expr: Expr) -> tuple[Op, ...]:
    """Comparisons and whole numbers inside of a formula, each once: where it may jump."""
    found: list[Op] = []
    for one in walk(expr):
        if isinstance(one, Op) and one.name in _JUMPING:
            found.append(Op("quotient", one.args) if one.name == "rem" else one)
    return tuple(dict.fromkeys(found))


def is_boolean(expr: Expr) -> bool:
    """Whether a formula gives a truth value."""
    return isinstance(expr, Op) and expr.name in BOOLEAN
