"""Formulas as instructions of LLVM, one line each, equal ones once."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from fusin.receptor.expressions import Expr, Num, Op, Sym

__all__ = ["LIBRARY_FUNCTIONS", "function_text"]

_INTRINSICS = {"exp": "exp", "ln": "log", "sqrt": "sqrt", "abs": "fabs", "floor": "floor", "ceil": "ceil",
               "sin": "sin", "cos": "cos", "trunc": "trunc", "pow": "pow"}  # fmt: skip
LIBRARY_FUNCTIONS: Mapping[str, str] = {
    "tan": "tan", "asin": "asin", "acos": "acos", "atan": "atan", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh",
    "asinh": "asinh", "acosh": "acosh", "atanh": "atanh", "factorial": "tgamma", "fmod": "fmod",
}  # fmt: skip
"""Operations that call the C library, with the names of its functions."""
_ARITHMETIC = {"add": "fadd", "mul": "fmul", "sub": "fsub", "div": "fdiv"}
# Unordered for "not equal": NaN differs from everything.
_RELATIONS = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}
_SMALL_POWER = 4


class _Writer:
    """Instructions of one function; the same instruction on the same values is written once."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.lines: list[str] = []
        self.values = dict(values)
        self.registers: dict[str, str] = {}
        self.called: set[str] = set()

    def emit(self, instruction: str) -> str:
        register = self.registers.get(instruction)
        if register is None:
            register = self.registers[instruction] = f"%r{len(self.registers)}"
            self.lines.append(f"  {register} = {instruction}")
        return register

    def number(self, expr: Expr) -> str:
        if isinstance(expr, Num):
            return _hexadecimal(expr.value)
        if isinstance(expr, Sym):
            return self.values[expr.name]
        if expr.name in _RELATIONS or expr.name in ("and", "or", "xor", "not"):
            return self.emit(f"uitofp i1 {self.truth(expr)} to double")
        if expr.name == "if":
            condition, then, other = self.truth(expr.args[0]), self.number(expr.args[1]), self.number(expr.args[2])
            return self.emit(f"select i1 {condition}, double {then}, double {other}")
        return self.operation(expr.name, [self.number(a) for a in expr.args], expr)

    def operation(self, name: str, args: list[str], expr: Op) -> str:
        if name in _ARITHMETIC:
            value = args[0]
            for other in args[1:]:
                value = self.emit(f"{_ARITHMETIC[name]} double {value}, {other}")
            return value
        if name == "neg":
            return self.emit(f"fneg double {args[0]}")
        if name == "pow":
            return self.power(args, expr.args[1])
        if name in ("max", "min"):
            relation = "oge" if name == "max" else "ole"
            condition = self.emit(f"fcmp {relation} double {args[0]}, {args[1]}")
            return self.emit(f"select i1 {condition}, double {args[0]}, double {args[1]}")
        if name == "sign":
            above, below = (self.emit(f"fcmp {r} double {args[0]}, 0.0") for r in ("ogt", "olt"))
            above, below = (self.emit(f"uitofp i1 {c} to double") for c in (above, below))
            return self.emit(f"fsub double {above}, {below}")
        if name == "quotient":
            return self.call("trunc", [self.emit(f"fdiv double {args[0]}, {args[1]}")])
        if name == "factorial":
            return self.call(name, [self.emit(f"fadd double {args[0]}, {_hexadecimal(1.0)}")])
        return self.call("fmod" if name == "rem" else name, args)

    def power(self, args: list[str], exponent: Expr) -> str:
        if isinstance(exponent, Num) and exponent.value in range(2, _SMALL_POWER + 1):
            value = args[0]
            for _ in range(int(exponent.value) - 1):
                value = self.emit(f"fmul double {value}, {args[0]}")
            return value
        return self.call("pow", args)

    def call(self, name: str, args: list[str]) -> str:
        function = f"llvm.{_INTRINSICS[name]}.f64" if name in _INTRINSICS else LIBRARY_FUNCTIONS[name]
        double = ", ".join(["double"] * len(args))
        self.called.add(f"declare double @{function}({double})")
        return self.emit(f"call double @{function}({', '.join(f'double {a}' for a in args)})")

    def truth(self, expr: Expr) -> str:
        if isinstance(expr, Op) and expr.name in _RELATIONS:
            left, right = (self.number(a) for a in expr.args)
            return self.emit(f"fcmp {_RELATIONS[expr.name]} double {left}, {right}")
        if isinstance(expr, Op) and expr.name == "not":
            return self.emit(f"xor i1 {self.truth(expr.args[0])}, true")
        if isinstance(expr, Op) and expr.name in ("and", "or", "xor"):
            value = self.truth(expr.args[0])
            for other in expr.args[1:]:
                value = self.emit(f"{expr.name} i1 {value}, {self.truth(other)}")
            return value
        return self.emit(f"fcmp une double {self.number(expr)}, 0.0")


def function_text(
    name: str,
    definitions: Sequence[tuple[str, Expr]],
    results: Mapping[int, Expr],
    *,
    places: Mapping[str, tuple[str, int]],
) -> str:
    """A module of LLVM with one function ``void name(double t, double* y, double* p, double* out)``.

    Parameters
    ----------
    name : of the function
    definitions : symbols with their formulas, each after those that it needs
    results : place in ``out`` to formula
    places : symbol to ``("t", 0)``, or ``("y" or "p", place)``
    """
    writer = _Writer({})
    for symbol, (array, place) in places.items():
        if array == "t":
            writer.values[symbol] = "%t"
            continue
        address = writer.emit(f"getelementptr double, ptr %{array}, i64 {place}")
        writer.values[symbol] = writer.emit(f"load double, ptr {address}")
    for symbol, expr in definitions:
        writer.values[symbol] = writer.number(expr)
    for place, expr in results.items():
        value = writer.number(expr)
        address = writer.emit(f"getelementptr double, ptr %out, i64 {place}")
        writer.lines.append(f"  store double {value}, ptr {address}")
    head = f"define void @{name}(double %t, ptr noalias %y, ptr noalias %p, ptr noalias %out) {{\nentry:"
    return "\n".join([*sorted(writer.called), head, *writer.lines, "  ret void", "}", ""])


def _hexadecimal(value: float) -> str:
    """Exact text of a double; LLVM reads decimal text only where it is exact."""
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
