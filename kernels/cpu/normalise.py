"""Batch normalisation with its activation: two stable levels of statistics, then one pass.

Arrays are (M, C) rows of channels. A block of rows finds its mean and the squares about it while it is in
cache; the blocks are merged in float64 in their order (Chan, Golub and LeVeque 1983), so the bits do not
depend on threads.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from kernels import device, threads
from kernels.activation import Activation, slope_of
from kernels.cpu.arrays import channels_first, channels_last, flat
from kernels.cpu.epilogue import activate, floor_of
from kernels.cpu.jit import helper, jit

BLOCK = 1 << 15
"""Numbers in a block: it is read twice and should stay in the second-level cache."""
WIDTH = 512
"""Channels in a block at most."""
FAR = 4.0
"""Deviations between the mean and 0 from which on the rounding of the mean is made up for in the gradient."""


def _blocks(m: int, c: int) -> tuple[int, int]:
    """Rows and channels of a block."""
    width = min(c, WIDTH if c >= 8 * WIDTH else max(64, -(-c // 8)))
    return max(1, min(m, BLOCK // width)), width


@helper
def _sum_rows(x, c, r0, r1, c0, total):
    """total[i] = sum over rows r0:r1 of x[row, c0 + i]; four rows at a time."""
    width = total.size
    total[:] = 0
    r = r0
    while r + 4 <= r1:
        at = r * c + c0
        a, b = x[at : at + width], x[at + c : at + c + width]
        d, e = x[at + 2 * c : at + 2 * c + width], x[at + 3 * c : at + 3 * c + width]
        for i in range(width):
            total[i] += (a[i] + b[i]) + (d[i] + e[i])
        r += 4
    while r < r1:
        a = x[r * c + c0 : r * c + c0 + width]
        for i in range(width):
            total[i] += a[i]
        r += 1


@helper
def _squares(x, c, r0, r1, c0, centre, rest, squares):
    """Sums over rows r0:r1 of x - centre, which rounding leaves near 0, and of its square."""
    width = centre.size
    rest[:] = 0
    squares[:] = 0
    for r in range(r0, r1):
        a = x[r * c + c0 : r * c + c0 + width]
        for i in range(width):
            d = a[i] - centre[i]
            rest[i] += d
            squares[i] += d * d


@jit
def _statistics(x, m, c, rows, width, partial, eps, mean, low, rstd):
    """mean + low is the mean in twice the precision; rstd = 1 / sqrt(var + eps)."""
    down = (m + rows - 1) // rows
    across = (c + width - 1) // width
    for t in prange(down * across):
        r0, c0 = t // across * rows, t % across * width
        r1, c1 = min(m, r0 + rows), min(c, c0 + width)
        at = t // across * 3 * c
        centre = partial[at + c0 : at + c1]
        _sum_rows(x, c, r0, r1, c0, centre)
        for i in range(c1 - c0):
            centre[i] /= r1 - r0
        _squares(
            x,
            c,
            r0,
            r1,
            c0,
            centre,
            partial[at + c + c0 : at + c + c1],
            partial[at + 2 * c + c0 : at + 2 * c + c1],
        )
    for i in range(c):
        anchor = np.float64(partial[i])
        count, middle, spread = 0.0, 0.0, 0.0  # middle: the mean so far, less the anchor
        for t in range(down):
            more = float(min(m, (t + 1) * rows) - t * rows)
            rest = np.float64(partial[(3 * t + 1) * c + i]) / more
            here = (np.float64(partial[3 * t * c + i]) - anchor) + rest
            apart = here - middle
            spread += np.float64(partial[(3 * t + 2) * c + i]) - rest * rest * more
            spread += apart * apart * (count * more / (count + more))
            count += more
            middle += apart * (more / count)
        mean[i] = anchor + middle
        low[i] = (anchor - np.float64(mean[i])) + middle
        rstd[i] = 1 / np.sqrt(max(spread, 0.0) / m + eps)


@jit
def _normalise(x, m, c, rows, centre, scale, shift, slope, floor, y):
    """y = act((x - centre) * scale + shift)."""
    for t in prange((m + rows - 1) // rows):
        for r in range(t * rows, min(m, (t + 1) * rows)):
            a, b = x[r * c : (r + 1) * c], y[r * c : (r + 1) * c]
            for i in range(c):
                b[i] = activate((a[i] - centre[i]) * scale[i] + shift[i], slope, floor)


@jit
def _grad_sums(gy, x, m, c, rows, width, centre, scale, shift, slope, partial, sums):
    """Sums over the rows of g and of g (x - centre), where g = gy act'(z), in float64."""
    down = (m + rows - 1) // rows
    across = (c + width - 1) // width
    for t in prange(down * across):
        r0, c0 = t // across * rows, t % across * width
        r1, c1 = min(m, r0 + rows), min(c, c0 + width)
        at = t // across * 2 * c + c0
        n = c1 - c0
        s0, s1 = partial[at : at + n], partial[at + c : at + c + n]
        s0[:] = 0
        s1[:] = 0
        mid, sc, sh = centre[c0:c1], scale[c0:c1], shift[c0:c1]
        for r in range(r0, r1):
            a, b = x[r * c + c0 : r * c + c1], gy[r * c + c0 : r * c + c1]
            for i in range(n):
                d = a[i] - mid[i]
                g = b[i] if d * sc[i] + sh[i] > 0 else b[i] * slope
                s0[i] += g
                s1[i] += g * d
    for i in range(2 * c):
        total = 0.0
        for t in range(down):
            total += np.float64(partial[t * 2 * c + i])
        sums[i] = total


@jit
def _grad_input(gy, x, m, c, rows, centre, scale, shift, slope, across, constant, gx):
    """gx = scale g + across (x - centre) + constant."""
    for t in prange((m + rows - 1) // rows):
        for r in range(t * rows, min(m, (t + 1) * rows)):
            a, b, out = x[r * c : (r + 1) * c], gy[r * c : (r + 1) * c], gx[r * c : (r + 1) * c]
            for i in range(c):
                d = a[i] - centre[i]
                g = b[i] if d * scale[i] + shift[i] > 0 else b[i] * slope
                out[i] = scale[i] * g + (across[i] * d + constant[i])


def batch_norm(
    x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, *, eps: float, activation: Activation = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """See `kernels.batch_norm`."""
    last = channels_last(x)
    c, kind = x.shape[1], x.dtype
    m = x.size // max(1, c)
    y = device.empty(last.shape, kind)
    if not x.size:
        return channels_first(y), np.zeros(c, kind), np.full(c, 1 / np.sqrt(eps), kind)
    memory = flat(last)
    mean, low, rstd = _run_statistics(memory, m, c, eps)
    scale = rstd * gamma
    _run_normalise(memory, y, m, c, mean, scale, beta - low * scale, activation)
    return channels_first(y), mean, rstd


def _run_statistics(memory, m, c, eps):
    kind = memory.dtype
    rows, width = _blocks(m, c)
    partial = device.empty((-(-m // rows) * 3 * c,), kind)
    mean, low, rstd = np.empty(c, kind), np.empty(c, kind), np.empty(c, kind)
    threads.launch(_statistics, memory, m, c, rows, width, partial, float(eps), mean, low, rstd)
    return mean, low, rstd


def _run_normalise(memory, y, m, c, centre, scale, shift, activation) -> None:
    slope, kind = slope_of(activation), y.dtype.type
    rows = max(1, BLOCK // c)
    constants = kind(slope), kind(floor_of(slope, y.dtype))
    threads.launch(_normalise, memory, m, c, rows, flat(centre), flat(scale), flat(shift), *constants, y.reshape(-1))


def batch_norm_grad(
    gy: np.ndarray,
    x: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    mean: np.ndarray,
    rstd: np.ndarray,
    *,
    activation: Activation = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """See `kernels.batch_norm_grad`."""
    last = channels_last(x)
    c, kind = x.shape[1], x.dtype
    m = x.size // max(1, c)
    gx = device.empty(last.shape, kind)
    if not x.size:
        return channels_first(gx), np.zeros(c, kind), np.zeros(c, kind)
    slope = kind.type(slope_of(activation))
    rows, width = _blocks(m, c)
    gradient, memory = flat(channels_last(gy)), flat(last)
    centre, low = flat(mean), np.zeros(c, kind)
    if np.abs(mean * rstd).max() > FAR:
        centre, low, _ = _run_statistics(memory, m, c, 0.0)
    scale = rstd * gamma
    shift = beta - low * scale
    partial, sums = device.empty((-(-m // rows) * 2 * c,), kind), np.empty(2 * c)
    threads.launch(_grad_sums, gradient, memory, m, c, rows, width, centre, scale, shift, slope, partial, sums)
    sum_g, sum_gd = sums.reshape(2, c)
    wide = rstd.astype(np.float64)
    ggamma = (sum_gd - low * sum_g) * wide
    across = -scale * wide * ggamma / m
    constant = -scale * sum_g / m - across * low
    threads.launch(
        _grad_input, gradient, memory, m, c, max(1, BLOCK // c), centre, scale, shift, slope,
        across.astype(kind), constant.astype(kind), gx.reshape(-1),
    )  # fmt: skip
    return channels_first(gx), ggamma.astype(kind), sum_g.astype(kind)


def batch_norm_inference(
    x: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
    *,
    eps: float,
    activation: Activation = None,
) -> np.ndarray:
    """See `kernels.batch_norm_inference`."""
    last = channels_last(x)
    c = x.shape[1]
    y = device.empty(last.shape, x.dtype)
    if x.size:
        scale = (gamma / np.sqrt(var.astype(np.float64) + eps)).astype(x.dtype)
        _run_normalise(flat(last), y, x.size // c, c, mean, scale, beta, activation)
    return channels_first(y)
