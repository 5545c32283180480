"""Exponentials, trigonometry and activations, element by element."""

from __future__ import annotations

from typing import Any

from kernels import device
from kernels.device import Array, array_module
from minigrad.rules.arithmetic import where
from minigrad.tape import primitive


def _normal(r: Any) -> list:
    return [((r.normal(size=(3, 4)),), {})]


def _positive(r: Any) -> list:
    return [((r.uniform(0.5, 2, (3, 4)),), {})]


def _off_zero(r: Any) -> list:
    return [((r.uniform(0.3, 2, (3, 4)) * r.choice([-1, 1], (3, 4)),), {})]


@primitive(promotes="float", samples=_normal)
def exp(input: Array) -> Array:
    """e ** input."""
    return array_module(input).exp(input)


exp.defvjp(lambda g, out: g * out)


@primitive(promotes="float", samples=_normal)
def expm1(input: Array) -> Array:
    """e ** input - 1, exact near 0."""
    return array_module(input).expm1(input)


expm1.defvjp(lambda g, out: g * (out + 1))


@primitive(promotes="float", samples=_positive)
def log(input: Array) -> Array:
    """The natural logarithm."""
    return array_module(input).log(input)


log.defvjp(lambda g, input: g / input)


@primitive(promotes="float", samples=_positive)
def log1p(input: Array) -> Array:
    """log(1 + input), exact near 0."""
    return array_module(input).log1p(input)


log1p.defvjp(lambda g, input: g / (input + 1))


@primitive(promotes="float", samples=_normal)
def sin(input: Array) -> Array:
    """The sine of an angle in radians."""
    return array_module(input).sin(input)


sin.defvjp(lambda g, input: g * cos(input))


@primitive(promotes="float", samples=_normal)
def cos(input: Array) -> Array:
    """The cosine of an angle in radians."""
    return array_module(input).cos(input)


cos.defvjp(lambda g, input: -g * sin(input))


@primitive(promotes="float", samples=_normal)
def tanh(input: Array) -> Array:
    """The hyperbolic tangent."""
    return array_module(input).tanh(input)


tanh.defvjp(lambda g, out: g * (1 - out * out))


@primitive(promotes="float", samples=_normal)
def erf(input: Array) -> Array:
    """The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to input."""
    return device.erf(input)


erf.defvjp(lambda g, input: g * 1.1283791670955126 * exp(-input * input))


@primitive(promotes="float", samples=_normal)
def sigmoid(input: Array) -> Array:
    """1 / (1 + exp(-input)), without overflow."""
    xp = array_module(input)
    e = xp.exp(-xp.abs(input))
    return xp.where(input >= 0, 1, e) / (1 + e)


sigmoid.defvjp(lambda g, out: g * (out * (1 - out)))


@primitive(promotes="same", samples=_off_zero)
def relu(input: Array) -> Array:
    """max(input, 0), with derivative 0 at 0."""
    return array_module(input).maximum(input, 0)


relu.defvjp(lambda g, out: g * (out > 0).to(g.dtype))


@primitive(promotes="float", samples=lambda r: [((_off_zero(r)[0][0][0], 0.2), {})])
def leaky_relu(input: Array, negative_slope: float = 0.01) -> Array:
    """input where positive, else negative_slope * input; the slope at 0 is the negative side's."""
    return array_module(input).where(input > 0, input, input * negative_slope)


leaky_relu.defvjp(lambda g, input, negative_slope: where(input > 0, g, g * negative_slope))


@primitive(promotes="float", samples=_off_zero)
def elu(input: Array, alpha: float = 1.0) -> Array:
    """input where positive, else alpha * (exp(input) - 1)."""
    xp = array_module(input)
    return xp.where(input > 0, input, alpha * xp.expm1(xp.minimum(input, 0)))


elu.defvjp(lambda g, input, out, alpha: g * where(input > 0, 1.0, out + alpha))


@primitive(
    promotes="float",
    samples=lambda r: [(a, {}) for (a, _) in _normal(r)] + [((r.normal(size=3), 2.0, 3.0), {})],
)
def softplus(input: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """log(1 + exp(beta * input)) / beta, and input itself where beta * input > threshold."""
    xp = array_module(input)
    z = input * beta
    soft = (xp.maximum(z, 0) + xp.log1p(xp.exp(-xp.abs(z)))) / beta
    return xp.where(z > threshold, input, soft)


softplus.defvjp(lambda g, input, beta, threshold: g * where(input * beta > threshold, 1.0, sigmoid(input * beta)))


def silu(input: Any) -> Any:
    """input * sigmoid(input)."""
    return input * sigmoid(input)


def gelu(input: Any, approximate: str = "none") -> Any:
    """input * Phi(input), Phi the standard normal's distribution function; or its "tanh" approximation."""
    if approximate == "tanh":
        return input * 0.5 * (1 + tanh(0.7978845608028654 * (input + 0.044715 * input * input * input)))
    if approximate != "none":
        raise ValueError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")
    return input * 0.5 * (1 + erf(input * 0.7071067811865476))
