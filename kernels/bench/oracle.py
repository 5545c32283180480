"""The right answers for timed shapes: by the loops while these are quick, by a float64 product above that.

The product (`kernels.blas` in float64) is itself held to the loops, on the sweep of `verify`, before it is
asked for the first time.
"""

from __future__ import annotations

from functools import cache
from math import prod
from typing import Any

import numpy as np

from kernels import blas
from kernels.bench.work import Call
from kernels.builtin import conv_products
from kernels.cases import cases
from kernels.registry import KernelError, implementations
from kernels.tolerance import Expected, expected
from kernels.verify import check_case, compare

LOOPS = 1 << 16
"""Up to so many multiplications, or elements of an update, the loops answer; they do a million in seconds."""


def answers(call: Call) -> list[Expected]:
    """What `call` should give, with the magnitude behind each entry.

    Raises `KernelError` if the float64 product does not agree with the loops here.
    """
    if _size(call) <= LOOPS:
        return expected(call.op, call.case)
    trust(call.op)
    return expected(call.op, call.case, by=blas)


def _size(call: Call) -> int:
    if call.op.startswith("conv2d"):
        return conv_products(call.spec("cpu"))
    if call.op == "matmul":
        a, b = call.case.arrays.values()
        return a.size * b.shape[1]  # type: ignore[union-attr]
    return max(prod(a.shape) for a in call.case.arrays.values() if a is not None)


@cache
def trust(op: str) -> None:
    """Hold the float64 product of `op` to the loops. Raises `KernelError`, naming the case, if it differs."""
    product = next(i for i in implementations(op) if (i.name, i.device) == ("blas", "cpu"))
    for case in cases(op, "float64"):
        lines, _ = check_case(product, case)
        if lines:
            raise KernelError(f"{op}: the float64 product differs from the loops, so nothing is timed: {lines[0]}")


def fault(wanted: list[list[Expected]], got: list[tuple[Any, ...]], dtype: np.dtype) -> str | None:
    """The first thing wrong with the results of all calls; `None` stands for a result that a peer does not give."""
    for expected_of_call, results in zip(wanted, got, strict=True):
        if len(results) != len(expected_of_call):
            return f"returned {len(results)} results, not {len(expected_of_call)}"
        for one, result in zip(expected_of_call, results, strict=True):
            if result is not None and (line := compare(one, result, dtype)[0]):
                return line
    return None
