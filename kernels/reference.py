"""The definitions: plain loops in float64 that every other implementation is checked against.

Slow and short on purpose. Results are cast to the dtype of the first argument at the very end.
"""

from __future__ import annotations

from itertools import product
from math import fsum, sqrt

import numpy as np

from kernels.activation import Activation, slope_of


def _f(*arrays: np.ndarray) -> list[np.ndarray]:
    return [np.asarray(a, np.float64) for a in arrays]


def _places(x: tuple[int, ...], out: tuple[int, ...], kernel: tuple[int, ...], stride, padding):
    """Every picture, output place and kernel place, with the input place they meet, inside the input."""
    for n, i, j, k, l in product(range(x[0]), *map(range, (*out, *kernel))):
        row, column = i * stride[0] + k - padding[0], j * stride[1] + l - padding[1]
        if 0 <= row < x[2] and 0 <= column < x[3]:
            yield n, i, j, k, l, row, column


def _activate(z: np.ndarray, slope: float) -> np.ndarray:
    below = z <= 0
    out = z.copy()
    out[below] = 0.0 if slope == 0 else slope * z[below]
    return out


def conv2d(x, w, b=None, *, stride, padding, activation: Activation = None) -> np.ndarray:
    """See `kernels.conv2d`."""
    dtype = x.dtype
    x, w = _f(x, w)
    out = [(x.shape[d] + 2 * padding[d - 2] - w.shape[d]) // stride[d - 2] + 1 for d in (2, 3)]
    y = np.zeros((x.shape[0], w.shape[0], *out))
    for n, i, j, k, l, row, column in _places(x.shape, tuple(out), w.shape[2:], stride, padding):
        y[n, :, i, j] += w[:, :, k, l] @ x[n, :, row, column]
    if b is not None:
        y += np.asarray(b, np.float64)[:, None, None]
    return _activate(y, slope_of(activation)).astype(dtype)


def conv2d_grad_input(gy, w, *, input_shape, stride, padding) -> np.ndarray:
    """See `kernels.conv2d_grad_input`."""
    dtype = gy.dtype
    gy, w = _f(gy, w)
    gx = np.zeros(input_shape)
    for n, i, j, k, l, row, column in _places(gx.shape, gy.shape[2:], w.shape[2:], stride, padding):
        gx[n, :, row, column] += gy[n, :, i, j] @ w[:, :, k, l]
    return gx.astype(dtype)


def conv2d_grad_weight(gy, x, *, weight_shape, stride, padding) -> np.ndarray:
    """See `kernels.conv2d_grad_weight`."""
    dtype = gy.dtype
    gy, x = _f(gy, x)
    gw = np.zeros(weight_shape)
    for n, i, j, k, l, row, column in _places(x.shape, gy.shape[2:], gw.shape[2:], stride, padding):
        gw[:, :, k, l] += np.outer(gy[n, :, i, j], x[n, :, row, column])
    return gw.astype(dtype)


def _centred(values: np.ndarray) -> tuple[np.ndarray, float]:
    """The values less their mean, and the mean. The mean's own rounding is taken off the differences: it
    is 1e-10 of a deviation of 1e-2 at mean 1e4."""
    count = max(1, values.size)
    mean = fsum(values.ravel()) / count
    rest = fsum((values - mean).ravel()) / count
    return (values - mean) - rest, mean + rest


def batch_norm(x, gamma, beta, *, eps, activation: Activation = None):
    """See `kernels.batch_norm`."""
    dtype = x.dtype
    x, gamma, beta = _f(x, gamma, beta)
    y, mean, rstd = np.empty(x.shape), np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for c in range(x.shape[1]):
        d, mean[c] = _centred(x[:, c])
        rstd[c] = 1 / sqrt(fsum((d * d).ravel()) / max(1, d.size) + eps)
        y[:, c] = gamma[c] * d * rstd[c] + beta[c]
    return _activate(y, slope_of(activation)).astype(dtype), mean.astype(dtype), rstd.astype(dtype)


def batch_norm_grad(gy, x, gamma, beta, mean, rstd, *, activation: Activation = None):
    """See `kernels.batch_norm_grad`; the mean is taken from x anew, since `mean` has been rounded."""
    dtype = x.dtype
    gy, x, gamma, beta, rstd = _f(gy, x, gamma, beta, rstd)
    gx, ggamma, gbeta = np.empty(x.shape), np.zeros(x.shape[1]), np.zeros(x.shape[1])
    slope = slope_of(activation)
    for c in range(x.shape[1]):
        count = max(1, x[:, c].size)
        h = _centred(x[:, c])[0] * rstd[c]
        g = gy[:, c] * np.where(gamma[c] * h + beta[c] > 0, 1.0, slope)
        gbeta[c], ggamma[c] = g.sum(), (g * h).sum()
        gx[:, c] = gamma[c] * rstd[c] * (g - gbeta[c] / count - h * ggamma[c] / count)
    return gx.astype(dtype), ggamma.astype(dtype), gbeta.astype(dtype)


def batch_norm_inference(x, gamma, beta, mean, var, *, eps, activation: Activation = None) -> np.ndarray:
    """See `kernels.batch_norm_inference`."""
    dtype = x.dtype
    x, gamma, beta, mean, var = _f(x, gamma, beta, mean, var)
    y = np.empty(x.shape)
    for c in range(x.shape[1]):
        y[:, c] = gamma[c] * (x[:, c] - mean[c]) / sqrt(var[c] + eps) + beta[c]
    return _activate(y, slope_of(activation)).astype(dtype)


def matmul(a, b) -> np.ndarray:
    """See `kernels.matmul`, for two matrices."""
    dtype = a.dtype
    a, b = _f(a, b)
    y = np.zeros((a.shape[0], b.shape[1]))
    for i, j in product(*map(range, y.shape)):
        y[i, j] = (a[i] * b[:, j]).sum()
    return y.astype(dtype)


def adam_step(p, g, m, v, *, lr, betas, eps, weight_decay, step) -> None:
    """See `kernels.adam_step`."""
    for i in np.ndindex(p.shape):
        grad = float(g[i]) + weight_decay * float(p[i])
        first = betas[0] * float(m[i]) + (1 - betas[0]) * grad
        second = betas[1] * float(v[i]) + (1 - betas[1]) * grad * grad
        denominator = sqrt(second) / sqrt(1 - betas[1] ** step) + eps
        m[i], v[i], p[i] = first, second, float(p[i]) - lr / (1 - betas[0] ** step) * first / denominator
