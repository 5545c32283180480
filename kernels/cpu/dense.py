"""The product of two matrices, cut into blocks of output rows or columns that depend on shapes alone."""

from __future__ import annotations

import numpy as np
from numba import prange

from kernels import device, threads
from kernels.cpu.arrays import flat
from kernels.cpu.jit import jit
from kernels.cpu.memory import gemm

GRAIN = 1 << 21
"""Multiplications that are worth a block of their own."""
BLOCKS = 8


@jit
def _product(ta, tb, m, n, k, a, b, y, blocks, by_rows):
    lda = m if ta else k
    ldb = k if tb else n
    for t in prange(blocks):
        if by_rows:
            i0 = t * m // blocks
            i1 = (t + 1) * m // blocks
            gemm(ta, tb, i1 - i0, n, k, a, i0 if ta else i0 * k, lda, b, 0, ldb, 0, y, i0 * n, n)
        else:
            j0 = t * n // blocks
            j1 = (t + 1) * n // blocks
            gemm(ta, tb, m, j1 - j0, k, a, 0, lda, b, j0 * k if tb else j0, ldb, 0, y, j0, n)


def _operand(a: np.ndarray) -> tuple[np.ndarray, bool]:
    """The matrix as flat memory, and whether that memory holds its transpose."""
    transposed = a.flags.f_contiguous and not a.flags.c_contiguous
    return flat(a.T if transposed else a), transposed


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """See `kernels.matmul`; two matrices of one floating dtype."""
    (m, k), n = a.shape, b.shape[1]
    if not (m and n and k):
        return np.zeros((m, n), a.dtype)
    y = device.empty((m, n), a.dtype)
    (fa, ta), (fb, tb) = _operand(a), _operand(b)
    by_rows = m >= n
    blocks = max(1, min(BLOCKS, m * n * k // GRAIN, max(m, n) // 16))
    threads.launch(_product, ta, tb, m, n, k, fa, fb, y.reshape(-1), blocks, by_rows)
    return y
