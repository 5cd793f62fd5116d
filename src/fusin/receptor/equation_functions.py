"""Functions of the equations: Python text for short runs, machine code for long or repeated ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.receptor.equations import Equations, jacobian_of
from fusin.receptor.expressions import Expr, Op, Sym, walk
from fusin.receptor.expressions_evaluate import evaluate
from fusin.receptor.expressions_llvm import function_text
from fusin.receptor.expressions_python import FAST, boolean_text, number_text, safe_namespace

__all__ = ["compiled_jacobian", "compiled_rates", "lookup_of", "operations", "python_function", "values_of"]

FloatArray = NDArray[np.float64]
Function = Callable[[float, Any, Any], list[float]]


def operations(equations: Equations) -> int:
    """Number of operations of one evaluation of all rates."""
    formulas = [*equations.rates.values(), *(f for _, f in equations.needed(equations.rates.values()))]
    return sum(isinstance(part, Op) for formula in formulas for part in walk(formula))


def python_function(equations: Equations, results: Sequence[Expr], *, truth: bool = False) -> Function:
    """A function ``f(t, y, p)`` that returns a list of values.

    Parameters
    ----------
    equations : where symbols are found
    results : formulas
    truth : results are truth values
    """
    definitions = equations.needed(results)
    variables = {name: f"v{i}" for i, name in enumerate([*equations.places, *equations.definitions])}
    name_of = variables.__getitem__
    used = {part.name for _, f in definitions for part in walk(f) if isinstance(part, Sym)}
    used |= {part.name for f in results for part in walk(f) if isinstance(part, Sym)}
    lines = ["def function(t, y, p):"]
    for name, (array, place) in equations.places.items():
        if name in used:
            lines.append(f"    {variables[name]} = " + ("t" if array == "t" else f"{array}[{place}]"))
    lines += [f"    {variables[name]} = {number_text(formula, name_of)}" for name, formula in definitions]
    text_of = boolean_text if truth else number_text
    lines.append("    return [" + ", ".join(text_of(f, name_of) for f in results) + "]")
    code = compile("\n".join(lines), "<equations>", "exec")
    fast = _made(code, FAST)
    safe: list[Function] = []

    def function(t: float, y: FloatArray, p: FloatArray) -> list[float]:
        try:
            return fast(t, y.tolist(), p.tolist())
        except (ArithmeticError, ValueError, TypeError):
            # Outside of the domain of a function: IEEE 754 has an answer where Python has an exception.
            if not safe:
                safe.append(_made(code, safe_namespace()))
            with np.errstate(all="ignore"):
                return [float(v) for v in safe[0](np.float64(t), y, p)]

    return function


def _made(code: Any, namespace: Mapping[str, Any]) -> Function:
    # The text holds only names, numbers and operators that we wrote; identifiers of the file are not in it.
    scope: dict[str, Any] = {"__builtins__": {}, **namespace}
    exec(code, scope)
    found: Function = scope["function"]
    return found


def compiled_rates(equations: Equations) -> Any:
    """Machine code of all rates; a `CompiledFunction` with an array of shape (n,)."""
    from fusin.receptor.rhs_kernels import CompiledFunction

    formulas = list(equations.rates.values())
    text = function_text("rates", equations.needed(formulas), dict(enumerate(formulas)), places=_used_places(equations))
    return CompiledFunction(text, "rates", (len(formulas),), len(equations.states))


def compiled_jacobian(equations: Equations) -> Any:
    """Machine code of the Jacobian; a `CompiledFunction` with an array of shape (n, n)."""
    from fusin.receptor.rhs_kernels import CompiledFunction

    definitions, entries = jacobian_of(equations)
    n = len(equations.states)
    results = {i * n + j: formula for (i, j), formula in entries.items()}
    text = function_text("jacobian", definitions, results, places=_used_places(equations))
    return CompiledFunction(text, "jacobian", (n, n), n)


def _used_places(equations: Equations) -> dict[str, tuple[str, int]]:
    """Places of the symbols that the rates need, so that no others are loaded."""
    formulas = list(equations.rates.values())
    used = {p.name for f in formulas for p in walk(f) if isinstance(p, Sym)}
    used |= {p.name for _, f in equations.needed(formulas) for p in walk(f) if isinstance(p, Sym)}
    return {name: place for name, place in equations.places.items() if name in used}


def lookup_of(equations: Equations, t: Any, y: FloatArray, p: FloatArray) -> Callable[[str], Any]:
    """Values of symbols at one moment, or at all (the arrays then have one row per state or symbol).

    Parameters
    ----------
    equations : where symbols are found
    t : time, or times
    y, p : states and fixed symbols
    """
    arrays: Mapping[str, Any] = {"y": y, "p": p}
    places, definitions = equations.places, equations.definitions
    known: dict[str, Any] = {}

    def lookup(name: str) -> Any:
        if name in known:
            return known[name]
        found = places.get(name)
        if found is None:
            known[name] = evaluate(definitions[name], lookup)
        else:
            known[name] = t if found[0] == "t" else arrays[found[0]][found[1]]
        return known[name]

    return lookup


def values_of(
    equations: Equations, formulas: Sequence[Expr], t: FloatArray, y: FloatArray, p: FloatArray
) -> FloatArray:
    """Values of formulas at many moments.

    Parameters
    ----------
    equations : where symbols are found
    formulas : what is asked for
    t : (n,) times
    y : (states, n)
    p : (fixed,) or (fixed, n)

    Returns
    -------
    array
        (n, formulas)
    """
    lookup = lookup_of(equations, t, y, p)
    found = np.empty((len(t), len(formulas)))
    with np.errstate(all="ignore"):
        for column, formula in enumerate(formulas):
            found[:, column] = evaluate(formula, lookup)
    return found
