"""Batch normalisation with its activation on CUDA, float32, contiguous (N, C, ...)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

from kernels import device
from kernels.activation import Activation, slope_of
from kernels.cuda import Kernel, flat, launch
from kernels.cuda import normalise_bodies as bodies
from kernels.device import Array

THREADS = 256
LANES = 32
"""Channels of a block where a channel has fewer pixels in a row than this."""
MOST_CHUNKS = 64
DEPTH = 16
"""Elements a thread has at least, so that a small batch is not cut into crumbs."""

_OVER_ELEMENTS: dict[str, tuple[Callable[[int], Callable[..., None]], str]] = {
    "batch_norm statistics": (bodies.statistics, bodies.STATISTICS_TYPES),
    "batch_norm normalise": (bodies.normalise, bodies.NORMALISE_TYPES),
    "batch_norm_grad drift": (bodies.drift, bodies.DRIFT_TYPES),
    "batch_norm_grad sums": (bodies.grad_sums, bodies.GRAD_SUMS_TYPES),
    "batch_norm_grad input": (bodies.grad_input, bodies.GRAD_INPUT_TYPES),
}
_OVER_CHANNELS: dict[str, tuple[Callable[..., None], str]] = {
    "batch_norm merge": (bodies.merge, bodies.MERGE_TYPES),
    "batch_norm_grad merge": (bodies.grad_merge, bodies.GRAD_MERGE_TYPES),
}


@functools.cache
def _kernel(name: str) -> Kernel:
    if name in _OVER_CHANNELS:
        return Kernel(name, *_OVER_CHANNELS[name], THREADS)
    make, types = _OVER_ELEMENTS[name]
    return Kernel(name, make(THREADS), types, THREADS)


def kernels() -> Iterator[Kernel]:
    """Every kernel of this file."""
    return map(_kernel, (*_OVER_ELEMENTS, *_OVER_CHANNELS))


class _Cut(NamedTuple):
    """How x is shared out, from its shape alone; the first five are the kernels' arguments."""

    n: int
    c: int
    l: int
    width: int
    chunk: int
    chunks: int

    @property
    def per_channel(self) -> int:
        return self.n * self.l

    @property
    def over_elements(self) -> tuple[int, int]:
        return -(-self.c // self.width), self.chunks

    @property
    def over_channels(self) -> int:
        return -(-self.c // THREADS)


def _cut(x: Array) -> _Cut:
    n, c = x.shape[:2]
    l = x.size // (n * c)
    width = 1 if l >= LANES else LANES
    chunk = max(DEPTH * (THREADS // width), -(-n * l // MOST_CHUNKS))
    return _Cut(n, c, l, width, chunk, -(-n * l // chunk))


def _normalise(
    x: Array, mean: Array, scale: Array, shift: Array, cut: _Cut, shape: tuple[int, ...], activation: Activation
) -> Array:
    y = device.empty(shape, x.dtype, device.device_of(x))
    arrays = x, flat(mean), flat(scale), flat(shift), flat(y)
    launch(_kernel("batch_norm normalise"), cut.over_elements, *arrays, *cut[:5], slope_of(activation))
    return y


def batch_norm(
    x: Array, gamma: Array, beta: Array, *, eps: float, activation: Activation = None
) -> tuple[Array, Array, Array]:
    """See `kernels.batch_norm`: statistics of chunks, their merger, one pass."""
    xp, c = device.array_module(x), x.shape[1]
    if not x.size:
        return xp.empty(x.shape, x.dtype), xp.zeros(c, x.dtype), xp.full(c, eps**-0.5, x.dtype)
    new = functools.partial(device.empty, dtype=x.dtype, device=device.device_of(x))
    cut, memory = _cut(x), flat(x)
    part, work, mean, rstd = new((cut.chunks * 3 * c,)), new((2 * c,)), new((c,)), new((c,))
    launch(_kernel("batch_norm statistics"), cut.over_elements, memory, part, *cut[:5])
    launch(
        _kernel("batch_norm merge"), cut.over_channels,
        part, flat(gamma), flat(beta), mean, rstd, work, cut.per_channel, c, cut.chunk, cut.chunks, eps,
    )  # fmt: skip
    return _normalise(memory, mean, work[:c], work[c:], cut, x.shape, activation), mean, rstd


def batch_norm_grad(
    gy: Array,
    x: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    rstd: Array,
    *,
    activation: Activation = None,
) -> tuple[Array, Array, Array]:
    """See `kernels.batch_norm_grad`: sums of chunks, their merger, one pass."""
    xp, c = device.array_module(x), x.shape[1]
    if not x.size:
        return xp.empty(x.shape, x.dtype), xp.zeros(c, x.dtype), xp.zeros(c, x.dtype)
    new = functools.partial(device.empty, dtype=x.dtype, device=device.device_of(x))
    cut, slope = _cut(x), slope_of(activation)
    g, memory, centre, by, scale, shift = map(flat, (gy, x, mean, rstd, gamma, beta))
    lost, part, work = new((cut.chunks * c,)), new((cut.chunks * 2 * c,)), new((4 * c,))
    gx, ggamma, gbeta = new(x.shape), new((c,)), new((c,))
    launch(_kernel("batch_norm_grad drift"), cut.over_elements, memory, centre, by, lost, *cut[:5])
    launch(
        _kernel("batch_norm_grad sums"), cut.over_elements,
        g, memory, scale, shift, centre, by, lost, part, *cut[:5], slope,
    )  # fmt: skip
    launch(
        _kernel("batch_norm_grad merge"), cut.over_channels,
        part, lost, scale, shift, by, ggamma, gbeta, work, cut.per_channel, c, cut.chunk, cut.chunks,
    )  # fmt: skip
    launch(_kernel("batch_norm_grad input"), cut.over_elements, g, memory, centre, work, flat(gx), *cut[:5], slope)
    return gx, ggamma, gbeta


def batch_norm_inference(
    x: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    var: Array,
    *,
    eps: float,
    activation: Activation = None,
) -> Array:
    """See `kernels.batch_norm_inference`."""
    xp = device.array_module(x)
    if not x.size:
        return xp.empty(x.shape, x.dtype)
    return _normalise(flat(x), mean, gamma / xp.sqrt(var + eps), beta, _cut(x), x.shape, activation)
