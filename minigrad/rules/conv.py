"""Convolution, its two gradients (each other's derivatives), up-convolution and pooling. NCHW and OIHW."""

from __future__ import annotations

from typing import Any

import kernels
from kernels.device import Array, array_module
from minigrad.rules.elementwise import leaky_relu, relu
from minigrad.rules.reductions import argmax
from minigrad.rules.shape import cat, gather, getitem, pad, reshape, split, stack, unsqueeze
from minigrad.tape import as_array, once_differentiable, primitive

Pair = int | tuple[int, int]


def pair(value: Pair, name: str) -> tuple[int, int]:
    """`value` for both directions, (rows, columns)."""
    two = (value, value) if isinstance(value, int) else tuple(value)
    if len(two) != 2 or not all(isinstance(n, int) for n in two):
        raise ValueError(f"{name} is an integer or a pair of integers, not {value!r}")
    return two  # type: ignore[return-value]


def _conv_samples(r: Any) -> list:
    x, w = r.normal(size=(2, 3, 5, 4)), r.normal(size=(2, 3, 3, 2))
    return [
        ((x, w, r.normal(size=2), (2, 1), (1, 0)), {}),
        ((r.normal(size=(1, 2, 4, 4)), r.normal(size=(3, 2, 4, 4)), None, (2, 2), (1, 1)), {}),
    ]


@primitive(name="conv2d", samples=_conv_samples)
def _conv2d(input: Array, weight: Array, bias: Array | None, stride: tuple, padding: tuple) -> Array:
    return kernels.conv2d(input, weight, bias, stride=stride, padding=padding)


@primitive(name="conv2d_grad_input", samples=lambda r: [
    ((r.normal(size=(2, 2, 3, 4)), r.normal(size=(2, 3, 3, 2)), None, (2, 3, 6, 5), (2, 1), (1, 0)), {}),
    ((r.normal(size=(1, 2, 2, 2)), r.normal(size=(2, 1, 4, 4)), r.normal(size=1), (1, 1, 4, 4), (2, 2), (1, 1)), {}),
])  # fmt: skip
def _conv2d_grad_input(
    gy: Array, weight: Array, bias: Array | None, input_shape: tuple, stride: tuple, padding: tuple
) -> Array:
    gx = kernels.conv2d_grad_input(gy, weight, input_shape=input_shape, stride=stride, padding=padding)
    if bias is not None:
        gx += bias.reshape(-1, 1, 1)
    return gx


@primitive(name="conv2d_grad_weight", samples=lambda r: [
    ((r.normal(size=(2, 2, 3, 4)), r.normal(size=(2, 3, 6, 5)), (2, 3, 3, 2), (2, 1), (1, 0)), {}),
])  # fmt: skip
def _conv2d_grad_weight(gy: Array, input: Array, weight_shape: tuple, stride: tuple, padding: tuple) -> Array:
    return kernels.conv2d_grad_weight(gy, input, weight_shape=weight_shape, stride=stride, padding=padding)


# With y = conv(x, w) bilinear, <gy, conv(x, w)> = <grad_input(gy, w), x> = <grad_weight(gy, x), w>;
# so the derivative of each of the three is one of the other two.
_conv2d.defvjp(
    lambda g, weight, stride, padding, shapes: _conv2d_grad_input(g, weight, None, shapes[0], stride, padding),
    lambda g, input, stride, padding, shapes: _conv2d_grad_weight(g, input, shapes[1], stride, padding),
    lambda g: g.sum((0, 2, 3)),
)
_conv2d_grad_input.defvjp(
    lambda g, weight, stride, padding: _conv2d(g, weight, None, stride, padding),
    lambda g, gy, stride, padding, shapes: _conv2d_grad_weight(gy, g, shapes[1], stride, padding),
    lambda g: g.sum((0, 2, 3)),
)
_conv2d_grad_weight.defvjp(
    lambda g, input, stride, padding: _conv2d(input, g, None, stride, padding),
    lambda g, gy, stride, padding, shapes: _conv2d_grad_input(gy, g, None, shapes[1], stride, padding),
)


def activate(x: Any, activation: Any) -> Any:
    """The activation of the fused kernels as an operation: None, "relu", "leaky_relu", ("leaky_relu", slope)."""
    slope = kernels.slope_of(activation)
    if slope == 1:
        return x
    return relu(x) if slope == 0 else leaky_relu(x, slope)


def _conv_then_activation(input: Any, weight: Any, bias: Any, *, stride: tuple, padding: tuple, activation: Any) -> Any:
    return activate(_conv2d(input, weight, bias, stride, padding), activation)


@primitive(name="conv2d_activated", plain=_conv_then_activation, samples=lambda r: [
    (args, {"stride": stride, "padding": padding, "activation": ("leaky_relu", 0.2)})
    for (*args, stride, padding), _ in _conv_samples(r)
])  # fmt: skip
def _conv2d_activated(
    input: Array, weight: Array, bias: Array | None, *, stride: tuple, padding: tuple, activation: Any
) -> Array:
    return kernels.conv2d(input, weight, bias, stride=stride, padding=padding, activation=activation)


@once_differentiable
def _conv2d_activated_vjp(
    g: Array, input: Array, weight: Array, out: Array, needs: tuple, stride: tuple, padding: tuple, activation: Any
) -> tuple:
    """The activations keep the sign, so the result tells which side of the kink its argument was on."""
    g = array_module(g).where(out > 0, g, g * kernels.slope_of(activation))
    at = {"stride": stride, "padding": padding}
    return (
        kernels.conv2d_grad_input(g, weight, input_shape=input.shape, **at) if needs[0] else None,
        kernels.conv2d_grad_weight(g, input, weight_shape=weight.shape, **at) if needs[1] else None,
        g.sum((0, 2, 3)) if needs[2] else None,
    )


_conv2d_activated.defvjp(joint=_conv2d_activated_vjp)


def _dilated(weight: Any, dilation: tuple[int, int]) -> Any:
    """The weight with zeros between its rows and columns: its kernel at a dilation."""
    if dilation == (1, 1):
        return weight
    (dh, dw), (o, i, kh, kw) = dilation, as_array(weight).shape
    spread = pad(reshape(weight, (o, i, kh, 1, kw, 1)), (0, dw - 1, 0, 0, 0, dh - 1))
    spread = reshape(spread, (o, i, kh * dh, kw * dw))
    return spread[:, :, : (kh - 1) * dh + 1, : (kw - 1) * dw + 1]


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
    activation: Any = None,
) -> Any:
    """y[n, o, i, j] = bias[o] + sum over c, k, l of weight[o, c, k, l] * input[n, c, i*s + k*d - p, j*s + l*d - p].

    input (N, C, H, W), weight (O, C/groups, KH, KW), bias (O,); y has (H + 2p - d(KH - 1) - 1) // s + 1 rows.
    """
    stride, padding = pair(stride, "conv2d: stride"), pair(padding, "conv2d: padding")
    weight = _dilated(weight, pair(dilation, "conv2d: dilation"))
    if groups == 1 and kernels.slope_of(activation) == 1:
        return _conv2d(input, weight, bias, stride, padding)
    if groups == 1:
        return _conv2d_activated(input, weight, bias, stride=stride, padding=padding, activation=activation)
    parts = zip(_pieces(input, groups, 1), _pieces(weight, groups, 0), strict=True)
    y = cat([_conv2d(x, w, None, stride, padding) for x, w in parts], 1)
    return activate(y if bias is None else y + reshape(bias, (-1, 1, 1)), activation)


def _pieces(x: Any, groups: int, dim: int) -> tuple[Any, ...]:
    length = as_array(x).shape[dim]
    if groups < 1 or length % groups:
        raise ValueError(f"conv2d: {length} channels do not divide into {groups} groups")
    return split(x, length // groups, dim)


def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Pair = 1,
    padding: Pair = 0,
    output_padding: Pair = 0,
    groups: int = 1,
    dilation: Pair = 1,
    activation: Any = None,
) -> Any:
    """The up-convolution: the gradient of `conv2d` with respect to its input, as a layer.

    input (N, C, H, W), weight (C, O/groups, KH, KW); y has (H - 1)s - 2p + d(KH - 1) + output_padding + 1 rows.
    """
    (sh, sw), (ph, pw) = pair(stride, "conv_transpose2d: stride"), pair(padding, "conv_transpose2d: padding")
    oh, ow = pair(output_padding, "conv_transpose2d: output_padding")
    weight = _dilated(weight, pair(dilation, "conv_transpose2d: dilation"))
    (n, _, h, w), (_, o, kh, kw) = as_array(input).shape, as_array(weight).shape
    if oh >= sh or ow >= sw:
        raise ValueError(f"conv_transpose2d: output_padding {(oh, ow)} must be smaller than the stride {(sh, sw)}")
    shape = (n, o, (h - 1) * sh - 2 * ph + kh + oh, (w - 1) * sw - 2 * pw + kw + ow)
    if groups == 1:
        return activate(_conv2d_grad_input(input, weight, bias, shape, (sh, sw), (ph, pw)), activation)
    parts = zip(_pieces(input, groups, 1), _pieces(weight, groups, 0), strict=True)
    y = cat([_conv2d_grad_input(x, v, None, shape, (sh, sw), (ph, pw)) for x, v in parts], 1)
    return activate(y if bias is None else y + reshape(bias, (-1, 1, 1)), activation)


def _windows(
    input: Any, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], fill: float
) -> Any:
    """(KH*KW, N, C, OH, OW): for each place in a window, what all windows have there."""
    (kh, kw), (sh, sw), (ph, pw) = kernel, stride, padding
    if ph or pw:
        input = pad(input, (pw, pw, ph, ph), value=fill)
    h, w = as_array(input).shape[-2:]
    rows, columns = (h - kh) // sh, (w - kw) // sw
    if rows < 0 or columns < 0:
        raise ValueError(f"a window of {kernel} does not fit into {(h, w)}")
    return stack([
        getitem(input, (..., slice(i, i + rows * sh + 1, sh), slice(j, j + columns * sw + 1, sw)))
        for i in range(kh) for j in range(kw)
    ])  # fmt: skip


def max_pool2d(input: Any, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0) -> Any:
    """The largest entry of each window; the first one among equals has the gradient."""
    kernel = pair(kernel_size, "max_pool2d: kernel_size")
    step = kernel if stride is None else pair(stride, "max_pool2d: stride")
    windows = _windows(input, kernel, step, pair(padding, "max_pool2d: padding"), -array_module(as_array(input)).inf)
    return gather(windows, 0, unsqueeze(argmax(windows, 0), 0))[0]


def avg_pool2d(input: Any, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0) -> Any:
    """The mean of each window, padding counted."""
    kernel = pair(kernel_size, "avg_pool2d: kernel_size")
    step = kernel if stride is None else pair(stride, "avg_pool2d: stride")
    return _windows(input, kernel, step, pair(padding, "avg_pool2d: padding"), 0.0).mean(0)
