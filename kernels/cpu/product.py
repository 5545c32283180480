"""Products of parts of matrices, by one thread: B packed into panels, then blocks in registers.

A panel is the columns of one block (`panel_width`), row after row, so the innermost loop reads it in order.
"""

from __future__ import annotations

import numpy as np

from kernels.cpu.jit import helper, inlined
from kernels.cpu.micro import (
    HEIGHTS,
    ROWS,
    block,
    block_across,
    block_across_narrow,
    block_narrow,
    copy_vector,
    lanes,
    transpose,
)

DEPTH = 512
"""Rows of a panel that are used before the next: twelve rows of A as deep stay in the first-level cache."""
TOGETHER = 1 << 16
"""Numbers of the panels that each stretch of A meets in a row: they stay in the second-level cache."""


def panel_width(n: int, dtype: np.dtype) -> int:
    """One vector if the n columns fit it, else two."""
    return lanes(dtype) if n <= lanes(dtype) else 2 * lanes(dtype)


def spare_size(n: int, dtype: np.dtype) -> int:
    """Numbers in the `spare` of `strips`."""
    return ROWS * panel_width(n, dtype)


def packed_size(k: int, n: int, dtype: np.dtype) -> int:
    """Numbers in the panels of a (k, n) matrix."""
    width = panel_width(n, dtype)
    return -(-n // width) * width * k


@helper
def pack(tb, b, bo, ldb, k, n, width, vector, out, oo):
    """One panel: k rows and n <= width columns of B at b[bo:], or of its transpose if `tb`; the rest is 0."""
    full = 0  # rows already done
    if not tb and n == width:
        for i in range(k):
            for q in range(0, width, vector):
                copy_vector(out, oo + i * width + q, b, bo + i * ldb + q)
        full = k
    elif tb and n == width:
        full = k // vector * vector
        for q in range(0, width, vector):
            for i in range(0, full, vector):
                transpose(b, bo + q * ldb + i, ldb, out, oo + i * width + q, width)
    for i in range(full, k):
        for q in range(n):
            out[oo + i * width + q] = b[bo + q * ldb + i] if tb else b[bo + i * ldb + q]
        for q in range(n, width):
            out[oo + i * width + q] = 0


@helper
def pack_part(tb, b, bo, ldb, k, n, width, vector, panel, out):
    """Panel number `panel` of the (k, n) matrix B, at its place among all panels in `out`."""
    j = panel * width
    pack(tb, b, bo + (j * ldb if tb else j), ldb, k, min(width, n - j), width, vector, out, j * k)


@helper
def height(left):
    """Rows of the next block: near equal parts of what is left."""
    wanted = (left + (left + ROWS - 1) // ROWS - 1) // ((left + ROWS - 1) // ROWS)
    rows = 1
    for h in HEIGHTS:
        if h <= wanted:
            rows = h
    return rows


def _strips(wide, narrow):
    @inlined
    def strips(m, n, k, a, ao, down, lda, b, bo, apart, width, vector, c, co, ldc, add, spare, so):
        i = 0
        while i < m:
            rows = height(m - i)
            start = ao + i * down
            at = bo
            for j in range(0, n, width):
                to = co + i * ldc + j
                left = n - j
                target, place, gap = c, to, ldc
                if left < width:
                    target, place, gap = spare, so, width
                    for r in range(rows if add else 0):
                        for q in range(left):
                            spare[so + r * width + q] = c[to + r * ldc + q]
                if width == vector:
                    narrow(rows, k, a, start, lda, b, at, target, place, gap, add)
                else:
                    wide(rows, k, a, start, lda, b, at, target, place, gap, add)
                if left < width:
                    for r in range(rows):
                        for q in range(left):
                            c[to + r * ldc + q] = spare[so + r * width + q]
                at += apart
            i += rows

    return strips


strips = _strips(block, block_narrow)
"""C (m, n) = A B or, if `add`, C += A B, for a few panels that start at b[bo:], `apart` apart.

A is (m, k) at a[ao:], its rows lda = down apart. `spare[so:]` takes a block that is wider than C.
"""
strips_across = _strips(block_across, block_across_narrow)
"""The same for an A that lies transposed: (k, m), its rows lda apart and down = 1."""


@helper
def group(k, width):
    """Panels that are used together."""
    return max(1, TOGETHER // (min(k, DEPTH) * width))


@inlined
def product(m, n, k, a, ao, lda, b, width, vector, c, co, ldc, spare, so):
    """C (m, n) = A B for all panels of B, which start at b[0] and are k deep."""
    step = group(k, width) * width
    for j in range(0, n, step):
        for k0 in range(0, k, DEPTH):
            strips(
                m, min(step, n - j), min(DEPTH, k - k0), a, ao + k0, lda, lda,
                b, j * k + k0 * width, k * width, width, vector, c, co + j, ldc, k0 > 0, spare, so,
            )  # fmt: skip
