"""Convolution of many channels and pictures: no columns, and no product with what lies outside a picture.

One place of several pictures is a matrix in memory as it stands, its rows a picture apart, and the pixels that
a row of taps meets there are a stretch of its columns. So each place of the output is a sum of products, over
the taps that lie inside alone. The gradient in the input is the same with the taps turned: those of one phase
of the stride lie together, backwards, and meet neighbours in the gradient of the output. For the gradient in
the weight each tap is a product over the rows of places whose pixels are inside.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import prange

from kernels import device, threads
from kernels.cpu.arrays import channels_last, flat
from kernels.cpu.epilogue import activate_rows
from kernels.cpu.geometry import Geometry
from kernels.cpu.jit import helper, jit
from kernels.cpu.micro import ROWS, copy, copy_vector, lanes
from kernels.cpu.product import (
    DEPTH,
    TOGETHER,
    gather,
    height,
    line_across,
    pack_part,
    packed_size,
    panel_width,
    spare_size,
    strips,
)

IMAGES = 16
"""Pictures of a tile at most: two blocks of 8 rows, as many as a set of the first-level cache holds, for pictures
a power of two apart share one."""
LEAST_IMAGES = 8
"""With fewer pictures the blocks are too low."""
LEAST_STRETCH = 128
"""With shorter stretches the time goes into fetching and storing the block."""


def _fills(n: int, kind: np.dtype) -> bool:
    """Whether n columns fill three quarters of panels of two vectors."""
    width = 2 * lanes(kind)
    return 4 * n >= 3 * width * -(-n // width)


def suits(g: Geometry, kind: np.dtype) -> bool:
    """Whether `correlate` is faster than columns; one tap at every pixel needs no columns either way."""
    taps = -(-g.kw // g.sw) if g.back else g.kw
    return g.n >= LEAST_IMAGES and taps * g.c >= LEAST_STRETCH and _fills(g.o, kind) and g.kh * g.kw > 1


def suits_grad_weight(g: Geometry, kind: np.dtype) -> bool:
    """Whether `grad_weight` is faster than columns."""
    area = g.oh * g.ow
    return area <= DEPTH and g.n * area >= DEPTH // 2 and _fills(g.c, kind) and g.kh * g.kw > 1


def turned(g: Geometry) -> Geometry:
    """The convolution that is the gradient in the input: from the output's side to the input's."""
    return g._replace(h=g.oh, w=g.ow, c=g.o, oh=g.h, ow=g.w, o=g.c, back=True)


def _order(g: Geometry) -> np.ndarray:
    """The numbers of the taps, in the order in which neighbours of the source meet them."""

    def along(taps: int, stride: int) -> list[int]:
        if not g.back:
            return list(range(taps))
        return [k for phase in range(stride) for k in reversed(range(phase, taps, stride))]

    return np.array([k * g.kw + q for k in along(g.kh, g.sh) for q in along(g.kw, g.sw)], np.intp)


@helper
def _meets(back, place, taps, stride, padding, size):
    """The first source position that a place meets, how many, and the number of the first one's tap in `_order`."""
    if not back:
        left = place * stride - padding
        first = max(0, left)
        return first, max(0, min(size, left + taps) - first), first - left
    phase = (place + padding) % stride
    last = (place + padding) // stride
    before = 0
    for other in range(phase):
        before += (taps - other + stride - 1) // stride
    left = last - (taps - phase + stride - 1) // stride + 1
    first = max(0, left)
    return first, max(0, min(size, last + 1) - first), before + first - left


@helper
def _taps_together(w, out, to, start, step, count, order):
    """out[to + t count + i] = w[start + i step + order[t]]: (count, KH KW) as (KH KW, count)."""
    for t in range(order.size):
        for i in range(count):
            out[to + t * count + i] = w[start + i * step + order[t]]


@jit
def _correlate(x, w, b, y, scratch, size, taps, panels, order, width, vector, g, together, slope, floor):
    """A tile is a row of the output in some pictures."""
    area = g.kh * g.kw
    depth = area * g.c
    for o in prange(g.o):
        start, step = (o * area, g.o * area) if g.back else (o * depth, area)
        _taps_together(w, taps, o * depth, start, step, g.c, order)
    for p in prange((g.o + width - 1) // width):
        pack_part(True, taps, 0, depth, depth, g.o, width, vector, p, panels)
    for t in prange((g.n + g.images - 1) // g.images * g.oh):
        at = numba.get_thread_id() * size
        n0 = t // g.oh * g.images
        n1 = min(g.n, n0 + g.images)
        i = t % g.oh
        row, rows, k = _meets(g.back, i, g.kh, g.sh, g.ph, g.h)
        for o in range(0, g.o, together):
            for j in range(g.ow):
                column, columns, q = _meets(g.back, j, g.kw, g.sw, g.pw, g.w)
                for r in range(max(1, rows)):  # with no tap inside, a product of depth 0 writes the zeros
                    strips(
                        n1 - n0, min(together, g.o - o), columns * g.c if rows else 0,
                        x, ((n0 * g.h + row + r) * g.w + column) * g.c, g.h * g.w * g.c,
                        panels, o * depth + ((k + r) * g.kw + q) * g.c * width, depth * width, width, vector,
                        y, ((n0 * g.oh + i) * g.ow + j) * g.o + o, g.oh * g.ow * g.o, r > 0, scratch, at,
                    )  # fmt: skip
        if not g.back:
            for n in range(n0, n1):
                activate_rows(y, (n * g.oh + i) * g.ow, g.ow, g.o, b, slope, floor)


def correlate(x: np.ndarray, w: np.ndarray, bias: np.ndarray, g: Geometry, slope: float, floor: float) -> np.ndarray:
    """act(sum over taps inside of x · w + bias) as (N, OH, OW, O); with a `turned` g the gradient in the input."""
    kind, depth = x.dtype, g.kh * g.kw * g.c
    y = device.empty((g.n, g.oh, g.ow, g.o), kind)
    width, vector = panel_width(g.o, kind), lanes(kind)
    together = width * max(1, 2 * TOGETHER // (depth * width))
    size = spare_size(g.o, kind)
    images = -(-g.n // -(-g.n // IMAGES))
    threads.launch(
        _correlate,
        flat(channels_last(x)), flat(w), bias, y.reshape(-1), device.empty((threads.get_num_threads() * size,), kind),
        size, device.empty((w.size,), kind), device.empty((packed_size(depth, g.o, kind),), kind), _order(g),
        width, vector, g._replace(images=images), together, kind.type(slope), kind.type(floor),
    )  # fmt: skip
    return y


@helper
def _pixels(x, g, n0, n1, i0, i1, k, q, width, vector, out, at):
    """What tap (k, q) meets at places i0:i1 by n0:n1 by all columns, as panels of a (places, C) matrix."""
    panel = (i1 - i0) * (n1 - n0) * g.ow * width
    for i in range(i0, i1):
        for n in range(n0, n1):
            for j in range(g.ow):
                column = j * g.sw - g.pw + q
                source = ((n * g.h + i * g.sh - g.ph + k) * g.w + column) * g.c
                outside = column < 0 or column >= g.w
                to = at
                for c in range(0, g.c, width):
                    if outside:
                        out[to : to + width] = 0
                    elif c + width <= g.c:
                        for v in range(0, width, vector):
                            copy_vector(out, to + v, x, source + c + v)
                    else:
                        copy(out, to, x, source + c, g.c - c)
                        out[to + g.c - c : to + width] = 0
                    to += panel
                at += width


@jit
def _grad_weight(gy, x, gw, partial, chunks, scratch, size, slot, block, width, vector, g):
    """Each chunk of tiles of pictures sums up its own (KH KW, O, C); the chunks are added in order."""
    tiles = (g.n + g.images - 1) // g.images
    area = g.kh * g.kw
    whole = area * g.o * g.c
    for p in prange(chunks):
        pixels = numba.get_thread_id() * size
        turned = pixels + slot
        spare = turned + (g.o + ROWS - 1) // ROWS * 2 * block
        begin = p * tiles // chunks
        for t in range(begin, (p + 1) * tiles // chunks):
            n0 = t * g.images
            n1 = min(g.n, n0 + g.images)
            line = (n1 - n0) * g.ow
            for i in range(g.oh):
                for n in range(n0, n1):
                    o = 0
                    to = turned + (i * line + (n - n0) * g.ow) * ROWS
                    while o < g.o:
                        rows = height(g.o - o)
                        gather(gy, (n * g.oh + i) * g.ow * g.o + o, g.o, g.ow, rows, vector, scratch, to)
                        to += block
                        o += rows
            for k in range(g.kh):
                i0 = min(g.oh, max(0, (g.ph - k + g.sh - 1) // g.sh))
                i1 = max(i0, min(g.oh, (g.h - 1 + g.ph - k) // g.sh + 1))
                places = (i1 - i0) * line
                for q in range(g.kw):
                    _pixels(x, g, n0, n1, i0, i1, k, q, width, vector, scratch, pixels)
                    o = 0
                    source = turned + i0 * line * ROWS
                    while o < g.o:
                        rows = height(g.o - o)
                        line_across(
                            rows, g.c, places, scratch, source, ROWS, scratch, pixels, places * width, width, vector,
                            partial, p * whole + ((k * g.kw + q) * g.o + o) * g.c, g.c, t > begin, scratch, spare,
                        )  # fmt: skip
                        source += block
                        o += rows
    for o in prange(g.o):
        for k in range(area):
            at = (k * g.o + o) * g.c
            total = partial[at : at + g.c]
            for p in range(1, chunks):
                more = partial[p * whole + at : p * whole + at + g.c]
                for c in range(g.c):
                    total[c] += more[c]
            for c in range(g.c):
                gw[(o * g.c + c) * area + k] = total[c]


def grad_weight(gy: np.ndarray, x: np.ndarray, g: Geometry, most: int) -> np.ndarray:
    """The gradient in the weight, (O, C, KH, KW); the partial ones have `most` numbers together."""
    kind = gy.dtype
    gw = device.empty((g.o, g.c, g.kh, g.kw), kind)
    images = max(1, min(DEPTH // (g.oh * g.ow), -(-g.n // 16)))
    chunks = max(1, min(-(-g.n // images), 16, most // gw.size))
    width, vector = panel_width(g.c, kind), lanes(kind)
    slot = packed_size(images * g.oh * g.ow, g.c, kind)
    block = images * g.oh * g.ow * ROWS + vector
    size = slot + -(-g.o // ROWS) * 2 * block + spare_size(g.c, kind)
    threads.launch(
        _grad_weight,
        flat(channels_last(gy)), flat(channels_last(x)), gw.reshape(-1),
        device.empty((chunks * gw.size,), kind), chunks, device.empty((threads.get_num_threads() * size,), kind),
        size, slot, block, width, vector, g._replace(images=images),
    )  # fmt: skip
    return gw
