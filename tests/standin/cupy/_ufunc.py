"""Element-wise functions and the operators made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ._ndarray import host, is_number, ndarray, wrap


class ufunc:
    """An element-wise function of device arrays and numbers; results are new, in C order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._numpy = getattr(np, name)
        self.nin: int = self._numpy.nin
        self.nout: int = self._numpy.nout
        self.nargs: int = self._numpy.nargs

    def __call__(self, *args: Any, out: Any = None, casting: str = "same_kind", dtype: Any = None) -> Any:
        if not self.nin <= len(args) <= self.nargs:
            raise TypeError(f"Wrong number of arguments for {self.name!r}: {len(args)}")
        args, out = args[: self.nin], args[self.nin] if len(args) > self.nin else out
        for x in args:
            if not isinstance(x, ndarray) and not is_number(x):
                raise TypeError(f"Unsupported type {type(x)}")
        if out is not None and not isinstance(out, ndarray):
            raise TypeError("Output arguments type must be cupy.ndarray")
        settings = {} if dtype is None else {"dtype": dtype}
        with np.errstate(all="ignore"):
            if out is None:
                return wrap(self._numpy(*map(host, args), order="C", casting=casting, **settings))
            self._numpy(*map(host, args), out=out._a, casting=casting, **settings)
        return out


def _operator(f: Callable, *, reflected: bool = False, inplace: bool = False) -> Callable:
    def method(self: ndarray, other: Any) -> Any:
        if not isinstance(other, ndarray) and not is_number(other):
            if isinstance(other, np.ndarray):
                raise TypeError("Unsupported type <class 'numpy.ndarray'>")
            return NotImplemented
        if inplace:
            return f(self, other, out=self)
        return f(other, self) if reflected else f(self, other)

    return method


def install_operators(functions: dict[str, Any]) -> None:
    """Give `ndarray` its operators out of the module's functions."""
    arithmetic = {
        "add": "add",
        "sub": "subtract",
        "mul": "multiply",
        "truediv": "true_divide",
        "floordiv": "floor_divide",
        "mod": "remainder",
        "pow": "power",
        "and": "bitwise_and",
        "or": "bitwise_or",
        "xor": "bitwise_xor",
        "lshift": "left_shift",
        "rshift": "right_shift",
        "matmul": "matmul",
    }
    for operator, name in arithmetic.items():
        f = functions[name]
        setattr(ndarray, f"__{operator}__", _operator(f))
        setattr(ndarray, f"__r{operator}__", _operator(f, reflected=True))
        setattr(ndarray, f"__i{operator}__", _operator(f, inplace=True))
    comparisons = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}
    for operator, name in (comparisons | {"eq": "equal", "ne": "not_equal"}).items():
        setattr(ndarray, f"__{operator}__", _operator(functions[name]))
    unary = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}
    for operator, name in unary.items():
        setattr(ndarray, f"__{operator}__", lambda self, f=functions[name]: f(self))
