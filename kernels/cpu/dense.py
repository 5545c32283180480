"""The product of two matrices, cut into parts of the output that depend on shapes alone."""

from __future__ import annotations

import numba
import numpy as np
from numba import prange

from kernels import device, threads
from kernels.cpu.arrays import flat
from kernels.cpu.jit import jit
from kernels.cpu.micro import ROWS, copy, lanes
from kernels.cpu.product import DEPTH, group, pack, panel_width, spare_size, strips, strips_across

PARTS = 16
"""Parts of the output at most; each packs what it needs."""
ROWS_BYTES = 1 << 19
"""What a part's rows of A may take for a stretch of `DEPTH`, to stay in the second-level cache."""
CONFLICT = 2048
"""Rows of A a multiple of this many bytes apart would share places in the first-level cache."""


@jit
def _product(ta, tb, m, n, k, a, lda, spread, b, y, down, across, width, vector, scratch, size):
    """Packs each stretch of a panel of B, then runs all rows of the part through it.

    If `spread` is not empty, A is copied to it first, its rows `vector` numbers further apart.
    """
    ldb = k if tb else n
    panels = (n + width - 1) // width
    if spread.size:
        for i in prange(m):
            copy(spread, i * (k + vector), a, i * k, k)
        a, lda = spread, k + vector
    together = group(k, width)
    for t in prange(down * across):
        at = numba.get_thread_id() * size
        i0 = t // across * m // down
        i1 = (t // across + 1) * m // down
        last = min(n, (t % across + 1) * panels // across * width)
        for j in range(t % across * panels // across * width, last, together * width):
            columns = min(together * width, last - j)
            for k0 in range(0, k, DEPTH):
                depth = min(DEPTH, k - k0)
                to = at
                for q in range(j, j + columns, width):
                    start = q * ldb + k0 if tb else k0 * ldb + q
                    pack(tb, b, start, ldb, depth, min(width, n - q), width, vector, scratch, to)
                    to += depth * width
                if ta:
                    strips_across(
                        i1 - i0, columns, depth, a, k0 * lda + i0, lda, scratch, at, depth * width,
                        width, vector, y, i0 * n + j, n, k0 > 0, scratch, to,
                    )  # fmt: skip
                else:
                    strips(
                        i1 - i0, columns, depth, a, i0 * lda + k0, lda, scratch, at, depth * width,
                        width, vector, y, i0 * n + j, n, k0 > 0, scratch, to,
                    )  # fmt: skip


def _operand(a: np.ndarray) -> tuple[np.ndarray, bool]:
    """The matrix as flat memory, and whether that memory holds its transpose."""
    transposed = a.flags.f_contiguous and not a.flags.c_contiguous
    return flat(a.T if transposed else a), transposed


def _parts(m: int, n: int, k: int, width: int, itemsize: int) -> tuple[int, int]:
    """Parts down the rows and across the columns."""
    panels = -(-n // width)
    down = -(-m * min(k, DEPTH) * itemsize // ROWS_BYTES)
    if panels < PARTS // 4:
        down = max(down, min(-(-m // (4 * ROWS)), PARTS // 4 // panels))
    return down, min(panels, max(1, PARTS // down))


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """See `kernels.matmul`; two matrices of one floating dtype."""
    (m, k), n, kind = a.shape, b.shape[1], a.dtype
    if not (m and n and k):
        return np.zeros((m, n), kind)
    y = device.empty((m, n), kind)
    (fa, ta), (fb, tb) = _operand(a), _operand(b)
    width, vector = panel_width(n, kind), lanes(kind)
    down, across = _parts(m, n, k, width, kind.itemsize)
    apart = not ta and m > 1 and k * kind.itemsize % CONFLICT == 0
    spread = device.empty((m * (k + vector) if apart else 0,), kind)
    size = group.py_func(k, width) * min(k, DEPTH) * width + spare_size(n, kind)
    scratch = device.empty((threads.get_num_threads() * size,), kind)
    threads.launch(
        _product, ta, tb, m, n, k, fa, m if ta else k, spread, fb, y.reshape(-1), down, across,
        width, vector, scratch, size,
    )  # fmt: skip
    return y
