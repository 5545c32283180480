"""Adam in one pass over memory."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numba import prange

from kernels import threads
from kernels.cpu.arrays import flat
from kernels.cpu.jit import jit

CHUNK = 1 << 14


@jit
def _step(p, g, m, v, b1, c1, b2, c2, rate, root, eps, decay):
    """c1 = 1 - b1, c2 = 1 - b2, rate = lr / (1 - b1^t), root = 1 / sqrt(1 - b2^t), as the arrays are."""
    for t in prange((p.size + CHUNK - 1) // CHUNK):
        i, j = t * CHUNK, min(p.size, (t + 1) * CHUNK)
        pp, gg, mm, vv = p[i:j], g[i:j], m[i:j], v[i:j]
        for q in range(j - i):
            slope = gg[q] + decay * pp[q]
            first = b1 * mm[q] + c1 * slope
            second = b2 * vv[q] + c2 * slope * slope
            mm[q] = first
            vv[q] = second
            pp[q] -= rate * first / (np.sqrt(second) * root + eps)


def adam_step(
    p: np.ndarray,
    g: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    step: int,
) -> None:
    """See `kernels.adam_step`."""
    b1, b2 = betas
    constants = (b1, 1 - b1, b2, 1 - b2, lr / (1 - b1**step), 1 / sqrt(1 - b2**step), eps, weight_decay)
    written = [flat(a) for a in (p, m, v)]
    threads.launch(_step, written[0], flat(g), *written[1:], *map(p.dtype.type, constants))
    for a, f in zip((p, m, v), written, strict=True):
        if not np.shares_memory(a, f):
            a[...] = f.reshape(a.shape)
