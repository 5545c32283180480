"""Convolution and its gradients on CUDA, float32, contiguous NCHW: an implicit matrix product each."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from kernels import device
from kernels.activation import Activation, slope_of
from kernels.cuda import Kernel, conv_bodies, flat, launch, tiles
from kernels.cuda.tiles import Tile
from kernels.device import Array

BLOCKS = 512
"""Blocks to aim for when the terms of a weight gradient are cut up: a few on each core of a large device."""
DEPTH = 16
"""Tiles of terms a chunk has at least, so that little is written for what is added up."""
PARTIAL = 1 << 28
"""Most numbers in the chunks' partial sums."""
REGISTERS = 128
"""Of a thread: what lets four blocks of a wide tile share a core, and nothing is spilt at that."""
THREADS = 256


def _registers(tile: Tile) -> int | None:
    return REGISTERS if tile == tiles.WIDE else None


@functools.cache
def gather(tile: Tile, up: bool) -> Kernel:
    """The kernel of `conv2d` or, `up`, of `conv2d_grad_input` for one tile."""
    name = f"{'conv2d_grad_input' if up else 'conv2d'} {tile.m}x{tile.n}"
    return Kernel(name, conv_bodies.gather(tile, up), conv_bodies.GATHER_TYPES, tile.threads, _registers(tile))


@functools.cache
def weight(tile: Tile) -> Kernel:
    """The kernel of `conv2d_grad_weight` for one tile: the sums of chunks."""
    name = f"conv2d_grad_weight {tile.m}x{tile.n}"
    return Kernel(name, conv_bodies.weight(tile), conv_bodies.WEIGHT_TYPES, tile.threads, _registers(tile))


@functools.cache
def reduce() -> Kernel:
    """The kernel that adds the chunks."""
    return Kernel("conv2d_grad_weight reduce", conv_bodies.reduce, conv_bodies.REDUCE_TYPES, THREADS)


def kernels() -> Iterator[Kernel]:
    """Every kernel of this file, for each tile."""
    for tile in (tiles.WIDE, tiles.FLAT):
        yield from (gather(tile, False), gather(tile, True), weight(tile))
    yield reduce()


def _up(a: int, b: int) -> int:
    return -(-a // b)


def conv2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: tuple[int, int],
    padding: tuple[int, int],
    activation: Activation = None,
) -> Array:
    """See `kernels.conv2d`."""
    (n, c, h, wd), (o, _, kh, kw) = x.shape, w.shape
    oh, ow = (h + 2 * padding[0] - kh) // stride[0] + 1, (wd + 2 * padding[1] - kw) // stride[1] + 1
    y = device.empty((n, o, oh, ow), x.dtype, device.device_of(x))
    tile = tiles.fitting(o)
    launch(
        gather(tile, False), (_up(n * oh * ow, tile.n), _up(o, tile.m)),
        flat(x), flat(w), flat(w if b is None else b), flat(y),
        n, o, c, h, wd, kh, kw, oh, ow, *stride, *padding, int(b is not None), slope_of(activation),
    )  # fmt: skip
    return y


def conv2d_grad_input(
    gy: Array, w: Array, *, input_shape: tuple[int, ...], stride: tuple[int, int], padding: tuple[int, int]
) -> Array:
    """See `kernels.conv2d_grad_input`: every phase of the stride is a convolution of its own."""
    (n, o, oh, ow), (_, c, kh, kw), (h, wd) = gy.shape, w.shape, input_shape[2:]
    gx = device.empty(tuple(input_shape), gy.dtype, device.device_of(gy))
    tile = tiles.fitting(c)
    pixels = n * _up(h, stride[0]) * _up(wd, stride[1])
    kernel, weights = gather(tile, True), flat(w)
    launch(
        kernel, (_up(pixels, tile.n), _up(c, tile.m), stride[0] * stride[1]),
        flat(gy), weights, weights, flat(gx),
        n, c, o, oh, ow, kh, kw, h, wd, *stride, *padding, 0, 1.0,
    )  # fmt: skip
    return gx


def _chunks(size: int, terms: int, tile: Tile, blocks: int) -> tuple[int, int]:
    """How many chunks the terms are cut into and the terms of one: a function of shapes alone."""
    wanted = max(1, min(_up(BLOCKS, blocks), _up(terms, DEPTH * tile.k), PARTIAL // size))
    chunk = _up(_up(terms, wanted), tile.k) * tile.k
    return _up(terms, chunk), chunk


def conv2d_grad_weight(
    gy: Array, x: Array, *, weight_shape: tuple[int, ...], stride: tuple[int, int], padding: tuple[int, int]
) -> Array:
    """See `kernels.conv2d_grad_weight`: sums of fixed chunks, added in their order, so the bits are the same
    at every run."""
    (n, o, oh, ow), (_, c, h, wd), (kh, kw) = gy.shape, x.shape, weight_shape[2:]
    where = device.device_of(gy)
    if not n:
        return device.module(where).zeros(tuple(weight_shape), gy.dtype)
    tile = tiles.fitting(o)
    grid, size = (_up(c * kh * kw, tile.n), _up(o, tile.m)), o * c * kh * kw
    count, chunk = _chunks(size, n * oh * ow, tile, grid[0] * grid[1])
    gw = device.empty(tuple(weight_shape), gy.dtype, where)
    part = gw if count == 1 else device.empty((count * size,), gy.dtype, where)
    launch(
        weight(tile), (*grid, count),
        flat(gy), flat(x), flat(part), n, o, c, h, wd, kh, kw, oh, ow, *stride, *padding, chunk,
    )  # fmt: skip
    if count > 1:
        launch(reduce(), _up(size, THREADS), flat(part), flat(gw), size, count)
    return gw
