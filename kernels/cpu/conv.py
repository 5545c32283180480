"""Convolution and its two gradients: tiles of columns that stay in cache, each followed by its product.

All arrays inside are flat NHWC memory. A tile is some pictures, or some rows of one picture, fixed by
shapes alone; each thread lays a tile's columns out in a scratch of its own. Many channels of many pictures
need no columns: `kernels.cpu.direct`.
"""

from __future__ import annotations

from math import prod

import numba
import numpy as np
from numba import prange

from kernels import device, threads
from kernels.activation import Activation, slope_of
from kernels.cpu import direct
from kernels.cpu.arrays import channels_last, flat
from kernels.cpu.epilogue import activate_rows, floor_of
from kernels.cpu.geometry import Geometry
from kernels.cpu.jit import helper, jit
from kernels.cpu.micro import copy, lanes
from kernels.cpu.product import (
    pack_part,
    packed_size,
    panel_width,
    product,
    product_across,
    spare_size,
)

TILE = 1 << 17
"""Numbers in the columns of a tile: half a MiB in float32, so that they stay in a core's second-level cache."""
PARTIAL = 1 << 20
"""Numbers in all partial weight gradients together."""


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


def _places(g: Geometry, *, by_input: bool) -> int:
    """Output places that a tile computes at most."""
    rows = (g.rows + g.kh - 2) // g.sh + 2 if by_input else g.rows
    return g.images * min(g.oh, rows) * g.ow


@helper
def _apart(depth, vector):
    """Numbers between rows of columns: never a multiple of 4 KiB, for such share places in the cache."""
    return depth if depth < 16 * vector else depth + vector


@helper
def _columns(x, g, n0, n1, r0, r1, cols, at, apart):
    """im2col of output rows r0:r1 of pictures n0:n1 into cols[at:], (places, KH KW C) `apart` apart."""
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
                at += apart - run * g.kh


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


@helper
def _channels_last(w, out, o, depth, c):
    """Output channel o of the weight, (C, KH KW), as (KH KW, C)."""
    area = depth // c
    for k in range(area):
        for q in range(c):
            out[o * depth + k * c + q] = w[o * depth + q * area + k]


@jit
def _forward(x, w, b, y, scratch, size, spare, turned, panels, width, vector, g, slope, floor):
    """w is (O, C, KH KW); `turned` and `panels` take it in other orders."""
    blocks = (g.oh + g.rows - 1) // g.rows
    tiles = (g.n + g.images - 1) // g.images * blocks
    depth = g.kh * g.kw * g.c
    apart = _apart(depth, vector)
    plain = g.kh == 1 and g.kw == 1 and g.sh == 1 and g.sw == 1 and g.ph == 0 and g.pw == 0
    for o in prange(g.o):
        _channels_last(w, turned, o, depth, g.c)
    for p in prange((g.o + width - 1) // width):
        pack_part(True, turned, 0, depth, depth, g.o, width, vector, p, panels)
    for t in prange(tiles):
        n0 = t // blocks * g.images
        n1 = min(g.n, n0 + g.images)
        r0 = t % blocks * g.rows
        r1 = min(g.oh, r0 + g.rows)
        places = (n1 - n0) * (r1 - r0) * g.ow
        start = (n0 * g.oh + r0) * g.ow
        at = numba.get_thread_id() * size
        if plain:
            source, first, lda = x, start * depth, depth
        else:
            source, first, lda = scratch, at, apart
            _columns(x, g, n0, n1, r0, r1, scratch, at, apart)
        product(
            places, g.o, depth, source, first, lda, panels, 0, width, vector,
            y, start * g.o, g.o, False, scratch, at + spare,
        )  # fmt: skip
        activate_rows(y, start, places, g.o, b, slope, floor)


@jit
def _grad_input(gy, w, gx, scratch, size, spare, turned, panels, width, vector, g):
    """A tile is pictures, or rows of the input with all output rows that reach them."""
    blocks = (g.h + g.rows - 1) // g.rows
    tiles = (g.n + g.images - 1) // g.images * blocks
    depth = g.kh * g.kw * g.c
    for o in prange(g.o):
        _channels_last(w, turned, o, depth, g.c)
    for p in prange((depth + width - 1) // width):
        pack_part(False, turned, 0, depth, g.o, depth, width, vector, p, panels)
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
            product(
                places, depth, g.o, gy, start, g.o, panels, 0, width, vector,
                scratch, at, depth, False, scratch, at + spare,
            )  # fmt: skip
            _add_columns(gx, g, n0, n1, r0, r1, h0, h1, scratch, at)


@helper
def _spread(x, source, count, out, at, place, places, column, width):
    """Put `count` numbers from x[source:], or zeros if source < 0, at (place, column) of panels of B."""
    while count > 0:
        inside = column % width
        piece = min(count, width - inside)
        to = at + (column // width * places + place) * width + inside
        if source < 0:
            out[to : to + piece] = 0
        else:
            copy(out, to, x, source, piece)
            source += piece
        column += piece
        count -= piece


@helper
def _column_panels(x, g, n0, n1, r0, r1, out, at, places, width):
    """`_columns`, laid out as the panels of a (places, KH KW C) matrix."""
    run = g.kw * g.c
    rest = g.kh * run // width * width + width - g.kh * run
    place = 0
    for n in range(n0, n1):
        for i in range(r0, r1):
            for j in range(g.ow):
                left = j * g.sw - g.pw
                first = min(g.kw, max(0, -left))
                last = max(first, min(g.kw, g.w - left))
                for k in range(g.kh):
                    row = i * g.sh - g.ph + k
                    if row < 0 or row >= g.h:
                        _spread(x, -1, run, out, at, place, places, k * run, width)
                        continue
                    source = ((n * g.h + row) * g.w + left + first) * g.c
                    _spread(x, -1, first * g.c, out, at, place, places, k * run, width)
                    count = (last - first) * g.c
                    _spread(x, source, count, out, at, place, places, k * run + first * g.c, width)
                    _spread(x, -1, (g.kw - last) * g.c, out, at, place, places, k * run + last * g.c, width)
                if rest < width:
                    _spread(x, -1, rest, out, at, place, places, g.kh * run, width)
                place += 1


@jit
def _grad_weight(gy, x, gw, partial, chunks, scratch, size, spare, width, vector, g):
    """Each chunk of tiles sums up its own (O, KH KW C); the chunks are added in order."""
    blocks = (g.oh + g.rows - 1) // g.rows
    tiles = (g.n + g.images - 1) // g.images * blocks
    depth = g.kh * g.kw * g.c
    apart = _apart(depth, vector)
    whole = g.o * apart
    for p in prange(chunks):
        at = numba.get_thread_id() * size
        first = p * tiles // chunks
        for t in range(first, (p + 1) * tiles // chunks):
            n0 = t // blocks * g.images
            n1 = min(g.n, n0 + g.images)
            r0 = t % blocks * g.rows
            r1 = min(g.oh, r0 + g.rows)
            places = (n1 - n0) * (r1 - r0) * g.ow
            start = (n0 * g.oh + r0) * g.ow * g.o
            if depth <= width:  # rows of columns are the one panel there is
                _columns(x, g, n0, n1, r0, r1, scratch, at, width)
            else:
                _column_panels(x, g, n0, n1, r0, r1, scratch, at, places, width)
            product_across(
                g.o, depth, places, gy, start, g.o, scratch, at, width, vector,
                partial, p * whole, apart, t > first, scratch, at + spare,
            )  # fmt: skip
    area = g.kh * g.kw
    for o in prange(g.o):
        total = partial[o * apart : o * apart + depth]
        for p in range(1, chunks):
            more = partial[p * whole + o * apart : p * whole + o * apart + depth]
            for i in range(depth):
                total[i] += more[i]
        for k in range(area):
            for c in range(g.c):
                gw[o * depth + c * area + k] = total[k * g.c + c]


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
    kind, depth = x.dtype, prod(w.shape[1:])
    bias = np.zeros(g.o, kind) if b is None else flat(b)
    slope = slope_of(activation)
    if direct.suits(g, kind):
        return direct.correlate(x, w, bias, g, slope, floor_of(slope, kind)).transpose(0, 3, 1, 2)
    y = device.empty((g.n, g.oh, g.ow, g.o), kind)
    if y.size:
        width, vector = panel_width(g.o, kind), lanes(kind)
        spare = _places(g, by_input=False) * _apart.py_func(depth, vector)
        size = spare + spare_size(g.o, kind)
        threads.launch(
            _forward,
            flat(channels_last(x)), flat(w), bias, y.reshape(-1), _memory(size, kind), size, spare,
            device.empty((w.size,), kind), device.empty((packed_size(depth, g.o, kind),), kind),
            width, vector, g, kind.type(slope), kind.type(floor_of(slope, kind)),
        )  # fmt: skip
    return y.transpose(0, 3, 1, 2)


def _memory(size: int, kind: np.dtype) -> np.ndarray:
    """Scratch for every thread."""
    return device.empty((threads.get_num_threads() * size,), kind)


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
    kind, depth = gy.dtype, prod(w.shape[1:])
    back = direct.turned(g)
    if direct.suits(back, kind):
        return direct.correlate(gy, w, np.zeros(g.c, kind), back, 1.0, -np.inf).transpose(0, 3, 1, 2)
    gx = device.empty((g.n, g.h, g.w, g.c), kind)
    if gx.size:
        width, vector = panel_width(depth, kind), lanes(kind)
        spare = _places(g, by_input=True) * depth
        size = spare + spare_size(depth, kind)
        threads.launch(
            _grad_input,
            flat(channels_last(gy)), flat(w), gx.reshape(-1), _memory(size, kind), size, spare,
            device.empty((w.size,), kind), device.empty((packed_size(g.o, depth, kind),), kind),
            width, vector, g,
        )  # fmt: skip
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
    kind, depth = gy.dtype, prod(weight_shape[1:])
    if not gy.size or not depth:
        return np.zeros(weight_shape, kind)
    if direct.suits_grad_weight(g, kind):
        return direct.grad_weight(gy, x, g, PARTIAL)
    gw = device.empty(weight_shape, kind)
    tiles = -(-g.n // g.images) * -(-g.oh // g.rows)
    chunks = max(1, min(tiles, 16, PARTIAL // gw.size))
    width, vector = panel_width(depth, kind), lanes(kind)
    spare = packed_size(_places(g, by_input=False), depth, kind)
    size = spare + spare_size(depth, kind)
    partial = device.empty((chunks * g.o * _apart.py_func(depth, vector),), kind)
    threads.launch(
        _grad_weight,
        flat(channels_last(gy)), flat(channels_last(x)), gw.reshape(-1),
        partial, chunks, _memory(size, kind), size, spare, width, vector, g,
    )  # fmt: skip
    return gw
