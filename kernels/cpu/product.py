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
    return ROWS * panel_width(n, dtype) + ROWS * DEPTH + lanes(dtype)


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


def _line(wide, narrow):
    @inlined
    def line(rows, n, k, a, ao, lda, b, bo, apart, width, vector, c, co, ldc, add, spare, so):
        at = bo
        for j in range(0, n, width):
            to = co + j
            left = n - j
            target, place, gap = c, to, ldc
            if left < width:
                target, place, gap = spare, so, width
                for r in range(rows if add else 0):
                    for q in range(left):
                        spare[so + r * width + q] = c[to + r * ldc + q]
            if width == vector:
                narrow(rows, k, a, ao, lda, b, at, target, place, gap, add)
            else:
                wide(rows, k, a, ao, lda, b, at, target, place, gap, add)
            if left < width:
                for r in range(rows):
                    for q in range(left):
                        c[to + r * ldc + q] = spare[so + r * width + q]
            at += apart

    return line


line = _line(block, block_narrow)
"""`strips` for as many rows as a block has."""
line_across = _line(block_across, block_across_narrow)
"""The same for an A that lies transposed, (k, rows)."""


def _strips(across, line):
    @inlined
    def strips(m, n, k, a, ao, lda, b, bo, apart, width, vector, c, co, ldc, add, spare, so):
        i = 0
        while i < m:
            rows = height(m - i)
            if across:
                source, start, step = spare, so + ROWS * width, ROWS
                gather(a, ao + i, lda, k, rows, vector, spare, start)
            else:
                source, start, step = a, ao + i * lda, lda
            line(rows, n, k, source, start, step, b, bo, apart, width, vector, c, co + i * ldc, ldc, add, spare, so)
            i += rows

    return strips


@helper
def gather(a, ao, lda, k, rows, vector, out, oo):
    """out[oo + q ROWS + i] = a[ao + q lda + i]: rows of A far apart would share places in the cache."""
    for q in range(k):
        for i in range(0, rows, vector):
            if ao + q * lda + i + vector <= a.size:
                copy_vector(out, oo + q * ROWS + i, a, ao + q * lda + i)
            else:
                for r in range(i, rows):
                    out[oo + q * ROWS + r] = a[ao + q * lda + r]


strips = _strips(False, line)
"""C (m, n) = A B or, if `add`, C += A B, for a few panels that start at b[bo:], `apart` apart.

A is (m, k) at a[ao:], k <= DEPTH. `spare[so:]`, of `spare_size`, takes a block that is wider than C.
"""
strips_across = _strips(True, line_across)
"""The same for an A that lies transposed, (k, m)."""


@helper
def group(k, width):
    """Panels that are used together."""
    return max(1, TOGETHER // (min(k, DEPTH) * width))


def _product(strips, across):
    @inlined
    def product(m, n, k, a, ao, lda, b, bo, width, vector, c, co, ldc, add, spare, so):
        step = group(k, width) * width
        for j in range(0, n, step):
            for k0 in range(0, k, DEPTH):
                strips(
                    m, min(step, n - j), min(DEPTH, k - k0), a, ao + (k0 * lda if across else k0), lda,
                    b, bo + j * k + k0 * width, k * width, width, vector,
                    c, co + j, ldc, add or k0 > 0, spare, so,
                )  # fmt: skip

    return product


product = _product(strips, False)
"""C (m, n) = A B or, if `add`, C += A B, for all panels of B, which start at b[bo:] and are k deep."""
product_across = _product(strips_across, True)
"""The same for an A that lies transposed, (k, m)."""
