"""The operations by name: arguments checked, implementation chosen, called.

Arrays are logically NCHW (input, output) and OIHW (weight), in any strides, never written to
(`adam_step` writes to p, m and v); results are new, of the same dtype, in any strides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kernels import builtin as _builtin  # noqa: F401  (enters the package's own implementations)
from kernels import checks
from kernels.activation import Activation, slope_of
from kernels.device import Array, array_module, device_of
from kernels.registry import Spec, resolve

_Pair = int | Sequence[int]


def _serve(op: str, dtype: np.dtype, arrays: dict[str, Any], **settings: Any) -> Any:
    """The implementation for these arrays; `arrays` may hold shapes in place of arrays."""
    array_module(*arrays.values())
    shapes = {n: tuple(getattr(a, "shape", a)) for n, a in arrays.items() if a is not None}
    device = next(device_of(a) for a in arrays.values() if hasattr(a, "shape"))
    key = (op, device, dtype, tuple(shapes.items()), tuple(settings.items()))
    return resolve(key, lambda: Spec(op, device, dtype, shapes, settings))


def conv2d(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: _Pair,
    padding: _Pair,
    activation: Activation = None,
) -> Array:
    """y[n,o,i,j] = act(b[o] + sum over c,k,l of x[n,c,i*s+k-p,j*s+l-p] * w[o,c,k,l]), zeros outside x.

    x (N, C, H, W), w (O, C, KH, KW), b (O,) or None -> y (N, O, OH, OW) with
    OH = (H + 2p - KH) // s + 1. Raises `ValueError` for shapes that do not fit.
    """
    op = "conv2d"
    stride, padding = checks.pair(op, "stride", stride, 1), checks.pair(op, "padding", padding, 0)
    checks.output_shape(op, x.shape, w.shape, stride, padding)
    if b is not None:
        checks.shape_is(op, "bias", b.shape, (w.shape[0],), f"weight {tuple(w.shape)}")
    dtype = checks.same_dtype(op, input=x, weight=w, bias=b)
    slope_of(activation)
    f = _serve(op, dtype, {"x": x, "w": w, "b": b}, stride=stride, padding=padding, activation=activation)
    return f(x, w, b, stride=stride, padding=padding, activation=activation)


def conv2d_grad_input(gy: Array, w: Array, *, input_shape: Sequence[int], stride: _Pair, padding: _Pair) -> Array:
    """The gradient of sum(gy * conv2d(x, w)) in x, which is the up-convolution of gy with w.

    gy (N, O, OH, OW), w (O, C, KH, KW) -> gx of `input_shape` (N, C, H, W).
    """
    op = "conv2d_grad_input"
    stride, padding = checks.pair(op, "stride", stride, 1), checks.pair(op, "padding", padding, 0)
    shape = tuple(int(n) for n in input_shape)
    out = checks.output_shape(op, shape, w.shape, stride, padding)
    checks.shape_is(op, "gy", gy.shape, out, f"input {shape} with weight {tuple(w.shape)}")
    dtype = checks.same_dtype(op, gy=gy, weight=w)
    f = _serve(op, dtype, {"gy": gy, "w": w, "x": shape}, stride=stride, padding=padding)
    return f(gy, w, input_shape=shape, stride=stride, padding=padding)


def conv2d_grad_weight(gy: Array, x: Array, *, weight_shape: Sequence[int], stride: _Pair, padding: _Pair) -> Array:
    """The gradient of sum(gy * conv2d(x, w)) in w: gy (N, O, OH, OW), x (N, C, H, W) -> `weight_shape`."""
    op = "conv2d_grad_weight"
    stride, padding = checks.pair(op, "stride", stride, 1), checks.pair(op, "padding", padding, 0)
    shape = tuple(int(n) for n in weight_shape)
    out = checks.output_shape(op, x.shape, shape, stride, padding)
    checks.shape_is(op, "gy", gy.shape, out, f"input {tuple(x.shape)} with weight {shape}")
    dtype = checks.same_dtype(op, gy=gy, input=x)
    f = _serve(op, dtype, {"gy": gy, "x": x, "w": shape}, stride=stride, padding=padding)
    return f(gy, x, weight_shape=shape, stride=stride, padding=padding)


def batch_norm(
    x: Array, gamma: Array, beta: Array, *, eps: float, activation: Activation = None
) -> tuple[Array, Array, Array]:
    """y = act(gamma * (x - mean) * rstd + beta) with the statistics of x itself, per channel.

    x (N, C, ...), gamma and beta (C,) -> y like x, mean (C,), rstd (C,) = 1 / sqrt(var + eps), where var
    is the mean of (x - mean)^2 (Ioffe and Szegedy 2015, algorithm 1). An empty batch has mean and var 0.
    """
    op = "batch_norm"
    checks.channels(op, x, gamma=gamma, beta=beta)
    dtype = checks.same_dtype(op, input=x, gamma=gamma, beta=beta)
    slope_of(activation)
    f = _serve(op, dtype, {"x": x, "gamma": gamma, "beta": beta}, activation=activation)
    return f(x, gamma, beta, eps=eps, activation=activation)


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
    """The gradients of sum(gy * batch_norm(x, gamma, beta)[0]) in x, gamma and beta.

    `mean` and `rstd` are what `batch_norm` returned for this x. With g = gy * act'(z) and
    h = (x - mean) * rstd: gbeta = sum g, ggamma = sum g h, gx = gamma rstd (g - gbeta/M - h ggamma/M),
    M values a channel.
    """
    op = "batch_norm_grad"
    checks.channels(op, x, gamma=gamma, beta=beta, mean=mean, rstd=rstd)
    checks.shape_is(op, "gy", gy.shape, tuple(x.shape), "the input")
    dtype = checks.same_dtype(op, gy=gy, input=x, gamma=gamma, beta=beta, mean=mean, rstd=rstd)
    slope_of(activation)
    arrays = {"gy": gy, "x": x, "gamma": gamma, "beta": beta, "mean": mean, "rstd": rstd}
    return _serve(op, dtype, arrays, activation=activation)(gy, x, gamma, beta, mean, rstd, activation=activation)


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
    """y = act(gamma * (x - mean) / sqrt(var + eps) + beta) with given statistics; shapes as `batch_norm`."""
    op = "batch_norm_inference"
    checks.channels(op, x, gamma=gamma, beta=beta, mean=mean, var=var)
    dtype = checks.same_dtype(op, input=x, gamma=gamma, beta=beta, mean=mean, var=var)
    slope_of(activation)
    arrays = {"x": x, "gamma": gamma, "beta": beta, "mean": mean, "var": var}
    return _serve(op, dtype, arrays, activation=activation)(x, gamma, beta, mean, var, eps=eps, activation=activation)


def matmul(a: Array, b: Array) -> Array:
    """The matrix product of NumPy's `matmul`: any dtype, leading dimensions broadcast."""
    dtype = a.dtype if a.dtype == b.dtype else np.result_type(a.dtype, b.dtype)
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ValueError(f"matmul: shapes {tuple(a.shape)} and {tuple(b.shape)} do not fit: (…, M, K) @ (…, K, N)")
    return _serve("matmul", dtype, {"a": a, "b": b})(a, b)


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
    """One update of Adam (Kingma and Ba 2015) in place on p, m and v; `step` counts from 1.

    g += weight_decay p; m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
    p -= lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps). The array g itself is left as it is.
    """
    op = "adam_step"
    for name, a in (("g", g), ("m", m), ("v", v)):
        checks.shape_is(op, name, a.shape, tuple(p.shape), "the parameter")
    if step < 1:
        raise ValueError(f"{op}: step {step} must be at least 1: it counts the updates, this one included")
    dtype = checks.same_dtype(op, p=p, g=g, m=m, v=v)
    f = _serve(op, dtype, {"p": p, "g": g, "m": m, "v": v})
    f(p, g, m, v, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, step=step)
