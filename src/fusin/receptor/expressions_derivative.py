"""Partial derivatives of formulas."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fusin.receptor.expressions import (
    BOOLEAN,
    NAN,
    ONE,
    ZERO,
    Expr,
    Num,
    Op,
    Sym,
    add,
    choose,
    div,
    mul,
    neg,
    op,
    power,
    sub,
    symbols,
)

__all__ = ["derivative"]


def _square(x: Expr) -> Expr:
    return power(x, Num(2.0))


# Derivative of each function of one argument; where it jumps, the derivative of the branch.
_UNARY: Mapping[str, Callable[[Expr], Expr]] = {
    "exp": lambda x: op("exp", x),
    "ln": lambda x: div(ONE, x),
    "sqrt": lambda x: div(Num(0.5), op("sqrt", x)),
    "abs": lambda x: op("sign", x),
    "floor": lambda x: ZERO,
    "ceil": lambda x: ZERO,
    "sign": lambda x: ZERO,
    "factorial": lambda x: NAN,
    "sin": lambda x: op("cos", x),
    "cos": lambda x: neg(op("sin", x)),
    "tan": lambda x: add(ONE, _square(op("tan", x))),
    "asin": lambda x: div(ONE, op("sqrt", sub(ONE, _square(x)))),
    "acos": lambda x: div(Num(-1.0), op("sqrt", sub(ONE, _square(x)))),
    "atan": lambda x: div(ONE, add(ONE, _square(x))),
    "sinh": lambda x: op("cosh", x),
    "cosh": lambda x: op("sinh", x),
    "tanh": lambda x: sub(ONE, _square(op("tanh", x))),
    "asinh": lambda x: div(ONE, op("sqrt", add(ONE, _square(x)))),
    "acosh": lambda x: div(ONE, op("sqrt", add(Num(-1.0), _square(x)))),
    "atanh": lambda x: div(ONE, sub(ONE, _square(x))),
}


def derivative(expr: Expr, name: str) -> Expr:
    """Partial derivative of a formula by one of its symbols.

    Parameters
    ----------
    expr : formula; other symbols are constants
    name : symbol

    Returns
    -------
    Expr
        NaN inside where none exists (factorial).
    """
    if isinstance(expr, Num) or name not in symbols(expr):
        return ZERO
    if isinstance(expr, Sym):
        return ONE
    return _of(expr, name)


def _of(expr: Op, name: str) -> Expr:
    kind, args = expr.name, expr.args
    if kind in BOOLEAN:
        return ZERO
    if kind == "if":
        return choose(args[0], derivative(args[1], name), derivative(args[2], name))
    parts = [derivative(a, name) for a in args]
    if kind == "add":
        return add(*parts)
    if kind == "neg":
        return neg(parts[0])
    if kind == "sub":
        return sub(parts[0], parts[1])
    if kind == "mul":
        return add(*(mul(d, *args[:i], *args[i + 1 :]) for i, d in enumerate(parts) if d != ZERO))
    if kind in _UNARY:
        return mul(parts[0], _UNARY[kind](args[0]))
    return _binary(kind, args, parts)


def _binary(kind: str, args: tuple[Expr, ...], parts: list[Expr]) -> Expr:
    a, b = args
    da, db = parts
    if kind == "div":
        return sub(div(da, b), div(mul(a, db), _square(b))) if db != ZERO else div(da, b)
    if kind == "pow":
        by_base = mul(b, power(a, sub(b, ONE)), da) if da != ZERO else ZERO
        if db == ZERO:
            return by_base
        # 0 to a varying power is 0 while its logarithm is not finite.
        by_exponent = choose(Op("gt", (a, ZERO)), mul(Op("pow", args), op("ln", a), db), ZERO)
        return add(by_base, by_exponent)
    if kind == "rem":
        return sub(da, mul(Op("quotient", args), db))
    if kind == "quotient":
        return ZERO
    if kind in ("max", "min"):
        return choose(Op("ge" if kind == "max" else "le", (a, b)), da, db)
    raise AssertionError(kind)
