"""The innermost loop of every product: a block of C that stays in registers for the whole of k.

Numba has no vector type, so these are written as LLVM code. `block` keeps R rows by one or two vectors
of C in registers and adds one row of B times R numbers of A in each step; with AVX-512 a block of
14 x 2 vectors takes 28 registers of 32 and runs at about the rate of the multiply-add units.
`transpose` turns a square of numbers around inside registers, `copy` copies a block of memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

_SIZE = ir.IntType(64)
_INDEX = ir.IntType(32)
_BYTE = ir.IntType(8)
UNROLL = 2


def _machine() -> tuple[int, int]:
    """Bytes in a vector register, and rows of a block so that two vectors a row fit the registers."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 64, 12
    if features.get("avx"):
        return 32, 6
    return 16, 12 if llvm.get_default_triple().startswith(("aarch64", "arm64")) else 6


VECTOR_BYTES, ROWS = _machine()
HEIGHTS = tuple(r for r in (1, 2, 4, 6, 8, 11, 12) if r <= ROWS)
"""Rows of the blocks that exist; others are put together from them."""


def lanes(dtype: np.dtype) -> int:
    """Numbers of `dtype` in a vector register."""
    return VECTOR_BYTES // dtype.itemsize


def _constant(n: int) -> Any:
    return ir.Constant(_SIZE, n)


class _Code:
    """LLVM code on vectors of one element type, written through one builder."""

    def __init__(self, context: Any, builder: Any, kind: Any) -> None:
        self.context, self.builder = context, builder
        element = context.get_value_type(kind)
        self.bytes = context.get_abi_sizeof(element)
        self.lanes = VECTOR_BYTES // self.bytes
        self.vector = ir.VectorType(element, self.lanes)
        self.zero = ir.Constant(self.vector, [0.0] * self.lanes)
        name = f"llvm.fmuladd.v{self.lanes}f{8 * self.bytes}"
        self._fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(self.vector, [self.vector] * 3), name
        )

    def address(self, kind: Any, array: Any, offset: Any) -> Any:
        return self.builder.gep(self.context.make_array(kind)(self.context, self.builder, array).data, [offset])

    def step(self, pointer: Any, offset: Any) -> Any:
        return self.builder.gep(pointer, [_constant(offset) if isinstance(offset, int) else offset])

    def load(self, pointer: Any) -> Any:
        value = self.builder.load(self.builder.bitcast(pointer, self.vector.as_pointer()))
        value.align = self.bytes
        return value

    def store(self, value: Any, pointer: Any) -> None:
        self.builder.store(value, self.builder.bitcast(pointer, self.vector.as_pointer())).align = self.bytes

    def spread(self, number: Any) -> Any:
        """A vector of equal numbers."""
        nothing = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(nothing, number, ir.Constant(_INDEX, 0))
        return self.shuffle(first, nothing, [0] * self.lanes)

    def shuffle(self, a: Any, b: Any, places: Sequence[int]) -> Any:
        mask = ir.Constant(ir.VectorType(_INDEX, self.lanes), list(places))
        return self.builder.shuffle_vector(a, b, mask)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        return self.builder.call(self._fma, [a, b, c])

    def phi(self, incoming: Sequence[tuple[Any, Any]]) -> Any:
        value = self.builder.phi(incoming[0][0].type)
        for v, block in incoming:
            value.add_incoming(v, block)
        return value


def _loop(code: _Code, left: Any, by: int, state: list[Any], body: Callable[[list[Any]], list[Any]]) -> tuple:
    """`while left >= by: state = body(state); left -= by`."""
    builder = code.builder
    before = builder.basic_block
    head, inside, after = (builder.append_basic_block(n) for n in ("head", "inside", "after"))
    builder.branch(head)
    builder.position_at_end(head)
    variables = [code.phi([(v, before)]) for v in (left, *state)]
    builder.cbranch(builder.icmp_signed(">=", variables[0], _constant(by)), inside, after)
    builder.position_at_end(inside)
    results = [builder.sub(variables[0], _constant(by)), *body(variables[1:])]
    for variable, result in zip(variables, results, strict=True):
        variable.add_incoming(result, builder.basic_block)
    builder.branch(head)
    builder.position_at_end(after)
    return variables[0], variables[1:]


_GROUP = 4
"""Rows of A that share a pointer: x86 addresses multiples 0, 1, 2, 4 of a stride, and 3 costs a register."""


def _rows(
    code: _Code, rows: int, wide: int, across: bool, a: Any, lda: Any, b: Any, k: Any, c: Any, ldc: Any, add: Any
) -> None:
    """The block of C for a number of rows known beforehand."""
    builder = code.builder
    places = [
        code.step(c, builder.add(builder.mul(ldc, _constant(i)), _constant(v * code.lanes)))
        for i in range(rows)
        for v in range(wide)
    ]
    before = builder.basic_block
    loading, ready = builder.append_basic_block("loading"), builder.append_basic_block("ready")
    builder.cbranch(add, loading, ready)
    builder.position_at_end(loading)
    loaded = [code.load(p) for p in places]
    builder.branch(ready)
    builder.position_at_end(ready)
    sums = [code.phi([(code.zero, before), (v, loading)]) for v in loaded]
    groups = 1 if across else -(-rows // _GROUP)
    pointers = [code.step(a, builder.mul(lda, _constant(_GROUP * g))) for g in range(groups)]

    def number(pointers: list[Any], i: int, u: int) -> Any:
        if across:
            return builder.load(code.step(pointers[0], i))
        group, j = divmod(i, _GROUP)
        offset = builder.add(builder.mul(lda, _constant(j)), _constant(u)) if j else _constant(u)
        return builder.load(code.step(pointers[group], offset))

    def steps(count: int) -> Callable[[list[Any]], list[Any]]:
        def body(state: list[Any]) -> list[Any]:
            b, pointers, sums = state[0], state[1 : 1 + groups], state[1 + groups :]
            for u in range(count):
                line = [code.load(code.step(b, (u * wide + v) * code.lanes)) for v in range(wide)]
                for i in range(rows):
                    x = code.spread(number(pointers, i, u))
                    for v in range(wide):
                        sums[i * wide + v] = code.multiply_add(x, line[v], sums[i * wide + v])
                if across:
                    pointers = [code.step(pointers[0], lda)]
            if not across:
                pointers = [code.step(p, count) for p in pointers]
            return [code.step(b, count * wide * code.lanes), *pointers, *sums]

        return body

    left, state = _loop(code, k, UNROLL, [b, *pointers, *sums], steps(UNROLL))
    _, state = _loop(code, left, 1, state, steps(1))
    for value, place in zip(state[1 + groups :], places, strict=True):
        code.store(value, place)


def _function(context: Any, module: Any, kind: Any, across: bool, wide: int) -> Any:
    """The LLVM function that chooses among the numbers of rows; on its own, so that it is compiled alone."""
    element = context.get_value_type(kind)
    name = f"infogan_block_{kind}_{wide}_{int(across)}"
    if name in module.globals:
        return module.globals[name]
    pointer = element.as_pointer()
    arguments = [_SIZE, _SIZE, pointer, _SIZE, pointer, pointer, _SIZE, ir.IntType(1)]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block("start"))
    code = _Code(context, builder, kind)
    rows, k, a, lda, b, c, ldc, add = function.args
    done = builder.append_basic_block("done")
    choice = builder.switch(rows, done)
    for r in HEIGHTS:
        case = builder.append_basic_block(f"rows{r}")
        choice.add_case(_constant(r), case)
        builder.position_at_end(case)
        _rows(code, r, wide, across, a, lda, b, k, c, ldc, add)
        builder.branch(done)
    builder.position_at_end(done)
    builder.ret_void()
    return function


def _block(across: bool, wide: int) -> Any:
    def block(typing_context, rows, k, a, ao, lda, b, bo, c, co, ldc, add):
        integer = types.intp
        signature = types.void(integer, integer, a, integer, integer, b, integer, c, integer, integer, types.boolean)

        def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
            rows, k, a, ao, lda, b, bo, c, co, ldc, add = arguments
            kind = sig.args[2].dtype
            code = _Code(context, builder, kind)
            pa, pb = code.address(sig.args[2], a, ao), code.address(sig.args[5], b, bo)
            pc = code.address(sig.args[7], c, co)
            function = _function(context, builder.module, kind, across, wide)
            builder.call(function, [rows, k, pa, lda, pb, pc, ldc, cgutils.is_true(builder, add)])
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(block)


block: Any = _block(False, 2)
"""block(rows, k, a, ao, lda, b, bo, c, co, ldc, add): C = A B, or C += A B if `add`, for rows of `HEIGHTS`.

All are flat arrays with offsets. A number of A is a[ao + i * lda + k]; B is packed, two vectors for each k;
a row of C is two vectors at c[co + i * ldc].
"""
block_across: Any = _block(True, 2)
"""The same for an A that lies transposed: a[ao + k * lda + i]."""
block_narrow: Any = _block(False, 1)
"""`block` with one vector a row."""
block_across_narrow: Any = _block(True, 1)
"""`block_across` with one vector a row."""


def _transpose(typing_context, source, i, lds, target, j, ldt):
    signature = types.void(source, types.intp, types.intp, target, types.intp, types.intp)

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        source, i, lds, target, j, ldt = arguments
        code = _Code(context, builder, sig.args[0].dtype)
        start, end = code.address(sig.args[0], source, i), code.address(sig.args[3], target, j)
        rows = [code.load(code.step(start, builder.mul(lds, _constant(r)))) for r in range(code.lanes)]
        apart = 1
        while apart < code.lanes:  # exchange the off-diagonal halves of ever larger squares
            for r in range(code.lanes):
                if r & apart:
                    continue
                a, b = rows[r], rows[r + apart]
                low = [q if not q & apart else code.lanes + q - apart for q in range(code.lanes)]
                high = [q + apart if not q & apart else code.lanes + q for q in range(code.lanes)]
                rows[r], rows[r + apart] = code.shuffle(a, b, low), code.shuffle(a, b, high)
            apart *= 2
        for r, row in enumerate(rows):
            code.store(row, code.step(end, builder.mul(ldt, _constant(r))))
        return context.get_dummy_value()

    return signature, generate


transpose: Any = intrinsic(_transpose)
"""transpose(source, i, lds, target, j, ldt): target[j + q ldt + r] = source[i + r lds + q], a square of one vector."""


def _copy_vector(typing_context, target, i, source, j):
    signature = types.void(target, types.intp, source, types.intp)

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        target, i, source, j = arguments
        code = _Code(context, builder, sig.args[0].dtype)
        code.store(code.load(code.address(sig.args[2], source, j)), code.address(sig.args[0], target, i))
        return context.get_dummy_value()

    return signature, generate


copy_vector: Any = intrinsic(_copy_vector)
"""copy_vector(target, i, source, j): one vector from source[j:] to target[i:]."""


def _copy(typing_context, target, i, source, j, count):
    signature = types.void(target, types.intp, source, types.intp, types.intp)

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        target, i, source, j, count = arguments
        code = _Code(context, builder, sig.args[0].dtype)
        to, start = code.address(sig.args[0], target, i), code.address(sig.args[2], source, j)
        pointer = _BYTE.as_pointer()
        length = builder.mul(count, _constant(code.bytes))
        cgutils.raw_memcpy(builder, builder.bitcast(to, pointer), builder.bitcast(start, pointer), length, 1)
        return context.get_dummy_value()

    return signature, generate


copy: Any = intrinsic(_copy)
"""copy(target, i, source, j, count): target[i : i + count] = source[j : j + count], which do not overlap."""
