"""Every operation in plain NumPy: im2col and a matrix product for the convolutions.

Written against the array's own module, so the same lines serve CuPy. On the CPU the memory is NHWC and a
transposed view is handed out; CuPy gets contiguous NCHW. Nothing but NumPy is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod, sqrt

import numpy as np

from kernels.activation import Activation, apply, derivative_times
from kernels.device import Array, array_module, device_of, empty

TILE_BYTES = 1 << 25
"""The columns of as many pictures as fit in this are laid out at a time."""


def _tiles(n: int, picture: int, itemsize: int) -> Iterator[slice]:
    step = max(1, TILE_BYTES // max(1, picture * itemsize))
    return (slice(i, min(i + step, n)) for i in range(0, n, step))


def _nchw(y: Array) -> Array:
    """NHWC memory as logical NCHW: a view on the CPU, a copy in C order on CUDA."""
    y = y.transpose(0, 3, 1, 2)
    return y if device_of(y) == "cpu" else array_module(y).ascontiguousarray(y)


def _padded(x: Array, padding: tuple[int, int]) -> Array:
    """`x` (N, C, H, W) in NHWC order with a border of zeros."""
    (ph, pw), (n, c, h, w) = padding, x.shape
    nhwc = x.transpose(0, 2, 3, 1)
    if not (ph or pw):
        return nhwc
    out = array_module(x).zeros((n, h + 2 * ph, w + 2 * pw, c), x.dtype)
    out[:, ph : ph + h, pw : pw + w] = nhwc
    return out


def _taps(kernel: Sequence[int], out: Sequence[int], stride: tuple[int, int]) -> Iterator[tuple]:
    """For each place in the kernel, the rows and columns of the padded picture that it meets."""
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            rows = slice(i, i + stride[0] * (out[0] - 1) + 1, stride[0])
            yield i, j, rows, slice(j, j + stride[1] * (out[1] - 1) + 1, stride[1])


def _columns(
    x: Array, kernel: Sequence[int], out: Sequence[int], stride: tuple[int, int], padding: tuple[int, int]
) -> Array:
    """im2col: a row for each output place, (N OH OW, KH KW C)."""
    n, c = x.shape[:2]
    cols = empty((n, *out, *kernel, c), x.dtype, device_of(x))
    full = _padded(x, padding)
    for i, j, rows, columns in _taps(kernel, out, stride):
        cols[:, :, :, i, j] = full[:, rows, columns]
    return cols.reshape(n * out[0] * out[1], kernel[0] * kernel[1] * c)


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
    n, _, h, wd = x.shape
    o, _, *kernel = w.shape
    oh, ow = ((s + 2 * p - k) // t + 1 for s, p, k, t in zip((h, wd), padding, kernel, stride, strict=True))
    matrix = w.transpose(2, 3, 1, 0).reshape(-1, o)
    y = empty((n, oh, ow, o), x.dtype, device_of(x))
    for part in _tiles(n, oh * ow * matrix.shape[0], x.dtype.itemsize):
        z = _columns(x[part], kernel, (oh, ow), stride, padding) @ matrix
        if b is not None:
            z += b
        y[part] = apply(z, activation).reshape(-1, oh, ow, o)
    return _nchw(y)


def conv2d_grad_input(
    gy: Array, w: Array, *, input_shape: tuple[int, ...], stride: tuple[int, int], padding: tuple[int, int]
) -> Array:
    """See `kernels.conv2d_grad_input`: the product first, then col2im."""
    n, o, *out = gy.shape
    _, c, *kernel = w.shape
    (ph, pw), (h, wd) = padding, input_shape[2:]
    matrix = w.transpose(0, 2, 3, 1).reshape(o, -1)
    full = array_module(gy).zeros((n, h + 2 * ph, wd + 2 * pw, c), gy.dtype)
    for part in _tiles(n, prod(out) * matrix.shape[1], gy.dtype.itemsize):
        cols = gy[part].transpose(0, 2, 3, 1).reshape(-1, o) @ matrix
        cols = cols.reshape(-1, *out, *kernel, c)
        for i, j, rows, columns in _taps(kernel, out, stride):
            full[part, rows, columns] += cols[:, :, :, i, j]
    return _nchw(full[:, ph : ph + h, pw : pw + wd])


def conv2d_grad_weight(
    gy: Array, x: Array, *, weight_shape: tuple[int, ...], stride: tuple[int, int], padding: tuple[int, int]
) -> Array:
    """See `kernels.conv2d_grad_weight`."""
    n, o, *out = gy.shape
    _, c, *kernel = weight_shape
    total = array_module(gy).zeros((o, prod(kernel) * c), gy.dtype)
    for part in _tiles(n, prod(out) * total.shape[1], gy.dtype.itemsize):
        rows = gy[part].transpose(0, 2, 3, 1).reshape(-1, o)
        total += rows.T @ _columns(x[part], kernel, out, stride, padding)
    return array_module(gy).ascontiguousarray(total.reshape(o, *kernel, c).transpose(0, 3, 1, 2))


def _per_channel(v: Array, x: Array) -> Array:
    return v.reshape((1, -1) + (1,) * (x.ndim - 2))


def _axes(x: Array) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def _mean(x: Array) -> Array:
    """The mean a channel in float64; 0 where there is nothing."""
    return x.sum(axis=_axes(x), dtype=np.float64) / max(1, x.size // max(1, x.shape[1]))


def _centred(x: Array, mean: Array) -> Array:
    """x less its true mean, which `mean` is but for rounding: x - mean is exact where it matters, so the
    remainder shows in its own mean (at mean 1e4 and deviation 1e-2 a float32 mean alone is 5 % off)."""
    d = x - _per_channel(mean, x)
    d -= _per_channel(_mean(d).astype(x.dtype), x)
    return d


def batch_norm(
    x: Array, gamma: Array, beta: Array, *, eps: float, activation: Activation = None
) -> tuple[Array, Array, Array]:
    """See `kernels.batch_norm`."""
    mean = _mean(x).astype(x.dtype)
    d = _centred(x, mean)
    rstd = (1 / array_module(x).sqrt(_mean(d * d) + eps)).astype(x.dtype)
    d *= _per_channel(rstd * gamma, x)
    d += _per_channel(beta, x)
    return apply(d, activation), mean, rstd


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
    """See `kernels.batch_norm_grad`."""
    h = _centred(x, mean)
    h *= _per_channel(rstd, x)
    g = derivative_times(gy, h * _per_channel(gamma, x) + _per_channel(beta, x), activation)
    g_mean, gh_mean = _mean(g), _mean(g * h)
    count = x.size // max(1, x.shape[1])
    h *= _per_channel(-gh_mean.astype(x.dtype), x)
    h += g
    h -= _per_channel(g_mean.astype(x.dtype), x)
    h *= _per_channel(gamma * rstd, x)
    return h, (gh_mean * count).astype(x.dtype), (g_mean * count).astype(x.dtype)


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
    y = x - _per_channel(mean, x)
    y *= _per_channel(gamma / array_module(x).sqrt(var + eps), x)
    y += _per_channel(beta, x)
    return apply(y, activation)


def matmul(a: Array, b: Array) -> Array:
    """See `kernels.matmul`."""
    return array_module(a, b).matmul(a, b)


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
    if weight_decay:
        g = g + weight_decay * p
    m *= b1
    m += (1 - b1) * g
    v *= b2
    v += (1 - b2) * g * g
    denominator = array_module(p).sqrt(v)
    denominator /= sqrt(1 - b2**step)
    denominator += eps
    p -= lr / (1 - b1**step) * m / denominator
