"""The two primitives that Numba lacks: a product on parts of arrays, and a block copy.

Both take flat arrays and offsets. `gemm` calls the BLAS function that Numba's `np.dot` calls, which lets
it work on part of a matrix and add to what is there; `np.dot` can do neither.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

_BYTE = ir.IntType(8)
_POINTER = _BYTE.as_pointer()
_SIZE = ir.IntType(64)
_KIND = {types.float32: "s", types.float64: "d"}


def _address(context: Any, builder: Any, kind: Any, value: Any, offset: Any) -> Any:
    array = context.make_array(kind)(context, builder, value)
    return builder.bitcast(builder.gep(array.data, [offset]), _POINTER)


def _gemm(typing_context, ta, tb, m, n, k, a, ao, lda, b, bo, ldb, beta, c, co, ldc):
    """C = op(A) op(B) + beta C, row-major: C (m, n) at c[co:], rows ldc apart.

    A is (m, k) at a[ao:] with rows lda apart, or (k, m) if `ta`; B is (k, n) at b[bo:], or (n, k) if `tb`.
    """
    integer = types.intp
    signature = types.void(
        types.boolean, types.boolean, integer, integer, integer,
        a, integer, integer, b, integer, integer, a.dtype, c, integer, integer,
    )  # fmt: skip

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        ta, tb, m, n, k, a, ao, lda, b, bo, ldb, beta, c, co, ldc = arguments
        kind = sig.args[5].dtype
        number = context.get_value_type(kind)
        function_type = ir.FunctionType(
            ir.IntType(32),
            [
                _BYTE, _BYTE, _BYTE, _SIZE, _SIZE, _SIZE, _POINTER,
                _POINTER, _SIZE, _POINTER, _SIZE, _POINTER, _POINTER, _SIZE,
            ],
        )  # fmt: skip
        function = cgutils.get_or_insert_function(builder.module, function_type, "numba_xxgemm")
        one = cgutils.alloca_once_value(builder, ir.Constant(number, 1.0))
        scale = cgutils.alloca_once_value(builder, beta)

        def letter(transposed: Any) -> Any:
            yes, no = ir.Constant(_BYTE, ord("t")), ir.Constant(_BYTE, ord("n"))
            return builder.select(cgutils.is_true(builder, transposed), yes, no)

        # BLAS is column-major and so sees every matrix transposed: C^T = op(B)^T op(A)^T.
        builder.call(
            function,
            [
                ir.Constant(_BYTE, ord(_KIND[kind])), letter(tb), letter(ta), n, m, k,
                builder.bitcast(one, _POINTER),
                _address(context, builder, sig.args[8], b, bo), ldb,
                _address(context, builder, sig.args[5], a, ao), lda,
                builder.bitcast(scale, _POINTER),
                _address(context, builder, sig.args[12], c, co), ldc,
            ],
        )  # fmt: skip
        return context.get_dummy_value()

    return signature, generate


gemm: Any = intrinsic(_gemm)


def _copy(typing_context, target, i, source, j, count):
    """target[i : i + count] = source[j : j + count], flat arrays of one dtype that do not overlap."""
    signature = types.void(target, types.intp, source, types.intp, types.intp)

    def generate(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        target, i, source, j, count = arguments
        to = _address(context, builder, sig.args[0], target, i)
        size = context.get_abi_sizeof(context.get_data_type(sig.args[0].dtype))
        length = builder.mul(count, ir.Constant(_SIZE, size))
        cgutils.raw_memcpy(builder, to, _address(context, builder, sig.args[2], source, j), length, 1)
        return context.get_dummy_value()

    return signature, generate


copy: Any = intrinsic(_copy)
