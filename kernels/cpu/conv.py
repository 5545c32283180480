"""Convolution and its two gradients: tiles of columns that stay in cache, each followed by its product.

All arrays inside are flat NHWC memory. A tile is some pictures, or some rows of one picture, fixed by
shapes alone; each thread lays a tile's columns out in a scratch of its own.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numba
import numpy as np
from numba import prange

from kernels import device, threads
from kernels.activation import Activation, slope_of
from kernels.cpu.arrays import channels_last, flat
from kernels.cpu.epilogue import activate_rows, floor_of
from kernels.cpu.jit import helper, jit
from kernels.cpu.memory import copy, gemm

TILE = 1 << 18
"""Numbers in the columns of a tile: 1 MiB in float32, so that they stay in a core's second-level cache."""
PARTIAL = 1 << 21
"""Numbers in all partial weight gradients together."""


class Geometry(NamedTuple):
    """The sizes of one convolution; `images` and `rows` are the tile."""

    n: int
    h: int
    w: int
    c: int
    o: int
    oh: int
    ow: int
    kh: int
    kw: int
    sh: int
    sw: int
    ph: int
    pw: int
    images: int
    rows: int


def _geometry(x: tuple[int, ...], w: tuple[int, ...], stride, padding, *, by_input: bool) -> Geometry:
    """Tiles of output rows, or of input rows where the input is what is written."""
    (n, c, h, wd), (o, _, kh, kw) = x, w
    oh, ow = (h + 2 * padding[0] - kh) // stride[0] + 1, (wd + 2 * padding[1] - kw) // stride[1] + 1
    height = h if by_input else oh
    row = max(1, ow * kh * kw * c)
    images = max(1, min(TILE // max(1, row * oh), -(-n // 8)))
    rows = max(1, height)
    if images == 1:
        fitting = TILE // row * (stride[0] if by_input else 1)
        rows = max(1, min(height, fitting, -(-height * n // 8)))
    (sh, sw), (ph, pw) = stride, padding
    return Geometry(n, h, wd, c, o, oh, ow, kh, kw, sh, sw, ph, pw, images, rows)


def _scratch(g: Geometry, dtype: np.dtype, *, by_input: bool) -> tuple[np.ndarray, int]:
    rows = min(g.oh, (g.rows + g.kh - 2) // g.sh + 2) if by_input else min(g.oh, g.rows)
    size = g.images * rows * g.ow * g.kh * g.kw * g.c
    return device.empty((threads.get_num_threads() * size,), dtype), size


@helper
def _columns(x, g, n0, n1, r0, r1, cols, at):
    """im2col of output rows r0:r1 of pictures n0:n1 into cols[at:], (places, KH KW C)."""
    run = g.kw * g.c
    for n in range(n0, n1):
        for i in range(r0, r1):
            for j in range(g.ow):
                left = j * g.sw - g.pw
                first = max(0, -left)
                last = min(g.kw, g.w - left)
                for k in range(g.kh):
                    row = i * g.sh - g.ph + k
                    if row < 0 or row >= g.h or last <= first:
                        cols[at : at + run] = 0
                    elif first == 0 and last == g.kw:
                        copy(cols, at, x, ((n * g.h + row) * g.w + left) * g.c, run)
                    else:
                        cols[at : at + first * g.c] = 0
                        source = ((n * g.h + row) * g.w + left + first) * g.c
                        copy(cols, at + first * g.c, x, source, (last - first) * g.c)
                        cols[at + last * g.c : at + run] = 0
                    at += run


@helper
def _add_columns(gx, g, n0, n1, r0, r1, h0, h1, cols, at):
    """col2im: add the columns of output rows r0:r1 to the input rows h0:h1 that they came from."""
    run = g.kw * g.c
    for n in range(n0, n1):
        for i in range(r0, r1):
            for j in range(g.ow):
                left = j * g.sw - g.pw
                first = max(0, -left)
                count = (min(g.kw, g.w - left) - first) * g.c
                for k in range(g.kh):
                    row = i * g.sh - g.ph + k
                    if h0 <= row < h1 and count > 0:
                        to = ((n * g.h + row) * g.w + left + first) * g.c
                        target = gx[to : to + count]
                        source = cols[at + first * g.c : at + first * g.c + count]
                        for q in range(count):
                            target[q] += source[q]
                    at += run


@jit
def _forward(x, w, b, y, scratch, size, g, slope, floor):
    """w is (KH KW C, O)."""
    blocks = (g.oh + g.rows - 1) // g.rows
    tiles = (g.n + g.images - 1) // g.images * blocks
    depth = g.kh * g.kw * g.c
    plain = g.kh == 1 and g.kw == 1 and g.sh == 1 and g.sw == 1 and g.ph == 0 and g.pw == 0
    for t in prange(tiles):
        n0 = t // blocks * g.images
        n1 = min(g.n, n0 + g.images)
        r0 = t % blocks * g.rows
        r1 = min(g.oh, r0 + g.rows)
        places = (n1 - n0) * (r1 - r0) * g.ow
        start = (n0 * g.oh + r0) * g.ow
        if plain:
            gemm(False, False, places, g.o, depth, x, start * depth, depth, w, 0, g.o, 0, y, start * g.o, g.o)
        else:
            at = numba.get_thread_id() * size
            _columns(x, g, n0, n1, r0, r1, scratch, at)
            gemm(False, False, places, g.o, depth, scratch, at, depth, w, 0, g.o, 0, y, start * g.o, g.o)
        activate_rows(y, start, places, g.o, b, slope, floor)


@jit
def _grad_input(gy, w, gx, scratch, size, g):
    """w is (O, KH KW C). A tile is pictures, or rows of the input with all output rows that reach them."""
    blocks = (g.h + g.rows - 1) // g.rows
    tiles = (g.n + g.images - 1) // g.images * blocks
    depth = g.kh * g.kw * g.c
    for t in prange(tiles):
        at = numba.get_thread_id() * size
        n0 = t // blocks * g.images
        n1 = min(g.n, n0 + g.images)
        h0 = t % blocks * g.rows
        h1 = min(g.h, h0 + g.rows)
        r0 = max(0, -((g.kh - 1 - h0 - g.ph) // g.sh))
        r1 = min(g.oh, (h1 - 1 + g.ph) // g.sh + 1)
        gx[(n0 * g.h + h0) * g.w * g.c : ((n1 - 1) * g.h + h1) * g.w * g.c] = 0
        places = (n1 - n0) * (r1 - r0) * g.ow
        if r1 > r0:
            start = (n0 * g.oh + r0) * g.ow * g.o
            gemm(False, False, places, depth, g.o, gy, start, g.o, w, 0, depth, 0, scratch, at, depth)
            _add_columns(gx, g, n0, n1, r0, r1, h0, h1, scratch, at)


@jit
def _grad_weight(gy, x, gw, partial, chunks, scratch, size, g):
    """Each chunk of tiles sums up its own (O, KH KW C); the chunks are added in order."""
    blocks = (g.oh + g.rows - 1) // g.rows
    tiles = (g.n + g.images - 1) // g.images * blocks
    depth = g.kh * g.kw * g.c
    whole = g.o * depth
    for p in prange(chunks):
        at = numba.get_thread_id() * size
        partial[p * whole : (p + 1) * whole] = 0
        for t in range(p * tiles // chunks, (p + 1) * tiles // chunks):
            n0 = t // blocks * g.images
            n1 = min(g.n, n0 + g.images)
            r0 = t % blocks * g.rows
            r1 = min(g.oh, r0 + g.rows)
            places = (n1 - n0) * (r1 - r0) * g.ow
            start = (n0 * g.oh + r0) * g.ow * g.o
            _columns(x, g, n0, n1, r0, r1, scratch, at)
            gemm(
                True,
                False,
                g.o,
                depth,
                places,
                gy,
                start,
                g.o,
                scratch,
                at,
                depth,
                1,
                partial,
                p * whole,
                depth,
            )
    area = g.kh * g.kw
    for o in prange(g.o):
        for k in range(area):
            for c in range(g.c):
                place = o * depth + k * g.c + c
                total = partial[place]
                for p in range(1, chunks):
                    total += partial[p * whole + place]
                gw[o * depth + c * area + k] = total


def _floats(dtype: np.dtype, *values: float) -> list:
    return [dtype.type(v) for v in values]


def conv2d(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray | None = None,
    *,
    stride: tuple[int, int],
    padding: tuple[int, int],
    activation: Activation = None,
) -> np.ndarray:
    """See `kernels.conv2d`."""
    g = _geometry(x.shape, w.shape, stride, padding, by_input=False)
    y = device.empty((g.n, g.oh, g.ow, g.o), x.dtype)
    if y.size:
        bias = np.zeros(g.o, x.dtype) if b is None else b
        slope = slope_of(activation)
        scratch, size = _scratch(g, x.dtype, by_input=False)
        threads.launch(
            _forward,
            flat(channels_last(x)), flat(w.transpose(2, 3, 1, 0)), flat(bias), flat(y), scratch, size, g,
            *_floats(x.dtype, slope, floor_of(slope, x.dtype)),
        )  # fmt: skip
    return y.transpose(0, 3, 1, 2)


def conv2d_grad_input(
    gy: np.ndarray,
    w: np.ndarray,
    *,
    input_shape: tuple[int, ...],
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> np.ndarray:
    """See `kernels.conv2d_grad_input`."""
    g = _geometry(input_shape, w.shape, stride, padding, by_input=True)
    gx = device.empty((g.n, g.h, g.w, g.c), gy.dtype)
    if gx.size:
        scratch, size = _scratch(g, gy.dtype, by_input=True)
        threads.launch(_grad_input, flat(channels_last(gy)), flat(channels_last(w)), flat(gx), scratch, size, g)
    return gx.transpose(0, 3, 1, 2)


def conv2d_grad_weight(
    gy: np.ndarray,
    x: np.ndarray,
    *,
    weight_shape: tuple[int, ...],
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> np.ndarray:
    """See `kernels.conv2d_grad_weight`."""
    g = _geometry(x.shape, weight_shape, stride, padding, by_input=False)
    gw = device.empty(weight_shape, gy.dtype)
    if gw.size:
        tiles = -(-g.n // g.images) * -(-g.oh // g.rows)
        chunks = max(1, min(tiles, 16, PARTIAL // prod(weight_shape)))
        scratch, size = _scratch(g, gy.dtype, by_input=False)
        partial = device.empty((chunks * gw.size,), gy.dtype)
        threads.launch(
            _grad_weight,
            flat(channels_last(gy)), flat(channels_last(x)), flat(gw), partial, chunks, scratch, size, g,
        )  # fmt: skip
    return gw
