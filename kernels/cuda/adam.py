"""Adam in one pass over memory on CUDA, float32."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from math import sqrt

from kernels.cuda import Kernel, adam_bodies, flat, launch
from kernels.device import Array

THREADS = 256


@functools.cache
def _step() -> Kernel:
    return Kernel("adam_step", adam_bodies.adam, adam_bodies.ADAM_TYPES, THREADS)


def kernels() -> Iterator[Kernel]:
    """The kernel of this file."""
    yield _step()


def adam_step(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
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
    launch(_step(), -(-p.size // THREADS), written[0], flat(g), *written[1:], p.size, *constants)
    for a, f in zip((p, m, v), written, strict=True):
        if not a.flags.c_contiguous:
            a[...] = f.reshape(a.shape)
