"""Formulas: three ways to compute one value, and derivatives against differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.receptor.expressions import (
    NAN,
    ONE,
    ZERO,
    Num,
    Op,
    Sym,
    add,
    choose,
    jumping,
    mul,
    op,
    power,
    sub,
    substitute,
)
from fusin.receptor.expressions_derivative import derivative
from fusin.receptor.expressions_evaluate import evaluate
from fusin.receptor.expressions_llvm import function_text
from fusin.receptor.expressions_python import FAST, boolean_text, number_text
from fusin.receptor.rhs_kernels import CompiledFunction

X, Y = Sym("x"), Sym("y")
SMOOTH = ("exp", "sin", "cos", "tanh", "atan", "asinh")
leaves = st.sampled_from([X, Y, Num(2.0), Num(0.5), Num(-1.25)])


def extend(inner):
    unary = st.builds(op, st.sampled_from(SMOOTH), inner)
    binary = st.builds(op, st.sampled_from(["add", "mul", "sub", "max"]), inner, inner)
    choice = st.builds(lambda a, b, c: choose(Op("gt", (a, Num(0.1))), b, c), inner, inner, inner)
    return st.one_of(unary, binary, choice)


formulas = st.recursive(leaves, extend, max_leaves=8)
values = st.floats(-1.5, 1.5).map(lambda v: round(v, 3))


def by_numpy(expr, x, y):
    with np.errstate(all="ignore"):
        return float(evaluate(expr, {"x": x, "y": y}.__getitem__))


def by_python(expr, x, y):
    return float(eval(number_text(expr, lambda n: n), {**FAST}, {"x": x, "y": y}))


def by_machine(expr, x, y):
    text = function_text("f", [], {0: expr}, places={"x": ("y", 0), "y": ("p", 0)})
    return float(CompiledFunction(text, "f", (1,), 1)(0.0, np.array([x]), np.array([y]))[0])


@settings(max_examples=60, deadline=None)
@given(formulas, values, values)
def test_text_numpy_and_machine_code_give_the_same_value(expr, x, y):
    wanted = by_numpy(expr, x, y)
    if not math.isfinite(wanted) or abs(wanted) > 1e100:
        return
    assert by_python(expr, x, y) == pytest.approx(wanted, rel=1e-12, abs=1e-12)
    assert by_machine(expr, x, y) == pytest.approx(wanted, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", ["exp", "ln", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh",
                                  "asinh", "atanh", "abs"])  # fmt: skip
def test_derivative_of_each_function_is_its_slope(name):
    expr = mul(Sym("y"), Op(name, (add(mul(Num(0.5), X), Num(0.2)),)))
    slope = (by_numpy(expr, 0.4 + 1e-6, 1.7) - by_numpy(expr, 0.4 - 1e-6, 1.7)) / 2e-6
    assert by_numpy(derivative(expr, "x"), 0.4, 1.7) == pytest.approx(slope, rel=1e-7)


@settings(max_examples=60, deadline=None)
@given(formulas, st.floats(0.2, 1.2), st.floats(0.2, 1.2))
def test_derivative_is_the_slope_of_any_formula(expr, x, y):
    """Away from kinks, where both one-sided slopes agree."""
    h = 1e-6
    low, mid, high = (by_numpy(expr, x + d, y) for d in (-h, 0.0, h))
    if not math.isfinite(high) or max(map(abs, (low, mid, high))) > 1e3 or abs((high - mid) - (mid - low)) > 1e-9:
        return
    assert by_numpy(derivative(expr, "x"), x, y) == pytest.approx((high - low) / (2 * h), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(("a", "b"), [(2.0, 1.5), (0.7, -2.0), (3.0, 2.0)])
def test_derivatives_of_a_power_by_base_and_exponent(a, b):
    expr = power(X, Y)
    assert by_numpy(derivative(expr, "x"), a, b) == pytest.approx(b * a ** (b - 1), rel=1e-12)
    assert by_numpy(derivative(expr, "y"), a, b) == pytest.approx(a**b * math.log(a), rel=1e-12)


def test_builders_fold_what_does_not_depend_on_anything():
    assert add(X, Num(1.0), Num(-1.0)) == X
    assert mul(ZERO, X) == ZERO
    assert mul(Num(2.0), Num(0.5), X) == X
    assert sub(X, ZERO) == X
    assert power(X, ZERO) == ONE
    assert substitute(add(X, Y), {"y": Num(2.0)}) == add(X, Num(2.0))


def test_truth_values_count_as_numbers_and_numbers_as_truth():
    """Level 3 Version 2 permits both."""
    expr = add(Op("gt", (X, Y)), Num(1.0))
    assert by_python(expr, 2.0, 1.0) == by_machine(expr, 2.0, 1.0) == by_numpy(expr, 2.0, 1.0) == 2.0
    assert eval(boolean_text(X, lambda n: n), {}, {"x": 0.5}) is True


@pytest.mark.parametrize(("truths", "wanted"), [((1, 0), 1.0), ((1, 1), 0.0), ((1, 1, 1), 1.0)])
def test_exclusive_or_holds_for_an_odd_number_of_truths(truths, wanted):
    expr = Op("xor", tuple(Op("gt", (Num(float(t)), Num(0.5))) for t in truths))
    assert by_python(expr, 0, 0) == by_machine(expr, 0, 0) == by_numpy(expr, 0, 0) == wanted


def test_remainder_keeps_the_sign_of_the_dividend():
    for name, wanted in (("rem", -1.0), ("quotient", -2.0)):
        expr = Op(name, (X, Y))
        assert by_python(expr, -7.0, 3.0) == by_machine(expr, -7.0, 3.0) == by_numpy(expr, -7.0, 3.0) == wanted


def test_division_by_zero_follows_ieee():
    assert math.isinf(by_machine(op("div", X, Y), 1.0, 0.0))
    assert math.isinf(by_numpy(op("div", X, Y), 1.0, 0.0))
    assert math.isnan(by_numpy(NAN, 0.0, 0.0))


def test_many_pieces_do_not_exceed_what_python_can_nest():
    expr = Num(0.0)
    for i in range(400):
        expr = choose(Op("lt", (X, Num(float(i)))), Num(float(i)), expr)
    assert by_python(expr, 398.5, 0.0) == 399.0


def test_whole_numbers_and_comparisons_are_found_as_jumps():
    expr = add(Op("floor", (X,)), choose(Op("gt", (Y, ONE)), X, Y), Op("rem", (X, Y)))
    assert {one.name for one in jumping(expr)} == {"floor", "gt", "quotient"}
