"""The stream triad a = b + s c on all threads: how fast memory delivers."""

from __future__ import annotations

import numpy as np
from numba import prange

from kernels import threads
from kernels.cpu.jit import jit

BLOCKS = 64


@jit
def _triad(a, b, c, s, blocks):
    n = a.size
    for t in prange(blocks):
        # Slices looped over from 0 vectorise; the same loop with offsets does not.
        x = a[t * n // blocks : (t + 1) * n // blocks]
        y = b[t * n // blocks : (t + 1) * n // blocks]
        z = c[t * n // blocks : (t + 1) * n // blocks]
        for i in range(x.size):
            x[i] = y[i] + s * z[i]


def triad(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    """a = b + 3 c; counts as three arrays moved."""
    threads.launch(_triad, a, b, c, a.dtype.type(3), BLOCKS)
