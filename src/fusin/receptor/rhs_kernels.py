"""Functions of a model as machine code, made by the compiler that numba brings."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.receptor.expressions_llvm import LIBRARY_FUNCTIONS

__all__ = ["CompiledFunction", "compile_function"]

FloatArray = NDArray[np.float64]


class CompiledFunction:
    """A compiled ``out = f(t, y, p)``; each call gives a new array.

    Parameters
    ----------
    text : module of LLVM
    name : function in it
    shape : of the result
    """

    def __init__(self, text: str, name: str, shape: tuple[int, ...], size: int) -> None:
        self._engine, address = compile_function(text, name)
        pointer = ctypes.c_void_p
        self._call = ctypes.CFUNCTYPE(None, ctypes.c_double, pointer, pointer, pointer)(address)
        self._out = np.zeros(shape)
        self._y = np.zeros(size)
        self._addresses = (self._y.ctypes.data, self._out.ctypes.data)
        self._parameters: FloatArray | None = None
        self._p_address = 0

    def __call__(self, t: float, y: FloatArray, p: FloatArray) -> FloatArray:
        """Values at one moment; ``p`` must be a contiguous array of float64."""
        if p is not self._parameters:
            self._parameters, self._p_address = p, p.ctypes.data
        self._y[:] = y
        self._call(t, self._addresses[0], self._p_address, self._addresses[1])
        return self._out.copy()

    def bound(self, p: FloatArray) -> Callable[[FloatArray, float], FloatArray]:
        """``f(y, t)`` with fixed parameters for one integration; its result is overwritten by the next call."""
        call, place, out = self._call, self._y, self._out
        y_address, out_address = self._addresses
        p_address = p.ctypes.data

        def function(y: FloatArray, t: float, _keep: FloatArray = p) -> FloatArray:
            place[:] = y
            call(t, y_address, p_address, out_address)
            return out

        return function


def compile_function(text: str, name: str) -> tuple[Any, int]:
    """Machine code of a function.

    Parameters
    ----------
    text : module of LLVM
    name : function in it

    Returns
    -------
    engine, address
        The function lives as long as the engine.
    """
    import llvmlite.binding as llvm

    # An engine owns its target machine, so that each needs one of its own.
    target = _native_target().create_target_machine(opt=1, jit=True)
    module = llvm.parse_assembly(text)
    module.verify()
    engine = llvm.create_mcjit_compiler(module, target)
    engine.finalize_object()
    return engine, engine.get_function_address(name)


@cache
def _native_target() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    library = ctypes.CDLL(ctypes.util.find_library("m") or ctypes.util.find_library("msvcrt"))
    for symbol in {*LIBRARY_FUNCTIONS.values(), "exp", "log", "sin", "cos", "pow", "floor", "ceil", "trunc"}:
        llvm.add_symbol(symbol, ctypes.cast(getattr(library, symbol), ctypes.c_void_p).value)
    return llvm.Target.from_default_triple()
