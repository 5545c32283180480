"""Sums, products, powers, choices and comparisons, element by element, with broadcasting."""

from __future__ import annotations

import math
from typing import Any

from kernels.device import Array, array_module
from minigrad.tape import Primitive, primitive


def _pair(r: Any) -> list:
    return [
        ((r.normal(size=(3, 4)), r.normal(size=4)), {}),
        ((r.normal(size=(2, 1)), r.normal(size=(2, 3))), {}),
    ]


def _positive(r: Any) -> list:
    return [((r.uniform(0.5, 2, (3, 4)),), {})]


def _apart(r: Any) -> list:
    """Arguments that stay further from each other than any difference quotient steps."""
    a = r.permutation(12).reshape(3, 4) * 0.3
    return [((a, a.T.reshape(3, 4) + 0.15), {}), ((a, r.permutation(4) * 0.6 + 0.75), {})]


@primitive(promotes="same", samples=_pair)
def add(input: Array, other: Array) -> Array:
    """input + other."""
    return input + other


add.defvjp(lambda g: g, lambda g: g)


@primitive(promotes="same", samples=_pair)
def sub(input: Array, other: Array) -> Array:
    """input - other."""
    return input - other


sub.defvjp(lambda g: g, lambda g: -g)


@primitive(promotes="same", samples=_pair)
def mul(input: Array, other: Array) -> Array:
    """input * other."""
    return input * other


mul.defvjp(lambda g, other: g * other, lambda g, input: g * input)


@primitive(promotes="float", samples=lambda r: [((r.normal(size=(3, 4)), r.uniform(0.5, 2, 4)), {})])
def div(input: Array, other: Array) -> Array:
    """input / other, always a floating point quotient."""
    return input / other


div.defvjp(lambda g, other: g / other, lambda g, other, out: -g * out / other)


@primitive(promotes="same", samples=lambda r: [((r.normal(size=(3, 4)),), {})])
def neg(input: Array) -> Array:
    """-input."""
    return -input


neg.defvjp(lambda g: -g)


def _power_base(g: Any, input: Any, exponent: Any) -> Any:
    # At exponent 0 the slope is 0 for every base, also where base ** -1 is infinite.
    lowered = where(exponent == 0, 1.0, exponent - 1) if hasattr(exponent, "shape") else exponent - (exponent != 0)
    return g * exponent * pow(input, lowered)


def _power_exponent(g: Any, input: Any, out: Any) -> Any:
    # d/de x^e = x^e log x; its limit at x = 0 is 0, where log would give nan.
    if not hasattr(input, "shape"):  # a Python number: its logarithm in full precision
        return g * out * (math.log(input) if input > 0 else math.nan if input < 0 else 0.0)
    safe = where(input == 0, 1.0, input)
    return g * out * safe.log()


@primitive(promotes="same", samples=lambda r: [((r.uniform(0.5, 2, (3, 4)), r.normal(size=4)), {}),
                                               ((r.normal(size=3), 3), {})])  # fmt: skip
def pow(input: Array, exponent: Array) -> Array:
    """input ** exponent."""
    return input**exponent


pow.defvjp(_power_base, _power_exponent)


@primitive(promotes="float", samples=_positive)
def sqrt(input: Array) -> Array:
    """The square root."""
    return array_module(input).sqrt(input)


sqrt.defvjp(lambda g, out: g * 0.5 / out)


@primitive(promotes="float", samples=_positive)
def rsqrt(input: Array) -> Array:
    """1 / sqrt(input)."""
    return 1 / array_module(input).sqrt(input)


rsqrt.defvjp(lambda g, out: g * -0.5 * out * out * out)


@primitive(promotes="same", samples=lambda r: [((r.normal(size=(3, 4)),), {})])
def square(input: Array) -> Array:
    """input * input."""
    return input * input


square.defvjp(lambda g, input: g * 2 * input)


@primitive(promotes="same", samples=lambda r: [((r.uniform(0.3, 2, (3, 4)) * r.choice([-1, 1], (3, 4)),), {})])
def abs(input: Array) -> Array:
    """|input|, with derivative 0 at 0."""
    return array_module(input).abs(input)


abs.defvjp(lambda g, input: g * sign(input))


@primitive(promotes="same", samples=lambda r: [((r.uniform(0.3, 2, (3, 4)) * r.choice([-1, 1], (3, 4)),), {})])
def sign(input: Array) -> Array:
    """-1, 0 or 1."""
    return array_module(input).sign(input)


sign.defvjp(None)


def _clamp_vjp(g: Any, input: Any, min: Any, max: Any) -> Any:
    if min is not None:
        g = g * (input >= min).to(g.dtype)
    return g if max is None else g * (input <= max).to(g.dtype)


@primitive(samples=lambda r: [((r.choice([-2.0, -0.5, 0.4, 1.5], (3, 4)) + r.uniform(0, 0.2, (3, 4)), -1, 1), {}),
                              ((r.uniform(1, 2, 3), None, 1.5 + 3), {})])  # fmt: skip
def clamp(input: Array, min: float | None = None, max: float | None = None) -> Array:
    """input, no less than the number `min` and no more than the number `max`; slope 1 on the bounds."""
    if min is None and max is None:
        raise ValueError("one of min and max must be given")
    return array_module(input).clip(input, min, max)


clamp.defvjp(_clamp_vjp)


def _share(g: Any, mine: Any, other: Any) -> Any:
    # Equal arguments share the gradient, as ties do in amax.
    return g * ((mine > other).to(g.dtype) + 0.5 * (mine == other).to(g.dtype))


@primitive(promotes="same", samples=_apart)
def maximum(input: Array, other: Array) -> Array:
    """The larger of the two; equal arguments share the gradient evenly."""
    return array_module(input, other).maximum(input, other)


maximum.defvjp(lambda g, input, other: _share(g, input, other), lambda g, input, other: _share(g, other, input))


@primitive(promotes="same", samples=_apart)
def minimum(input: Array, other: Array) -> Array:
    """The smaller of the two; equal arguments share the gradient evenly."""
    return array_module(input, other).minimum(input, other)


minimum.defvjp(lambda g, input, other: _share(g, -input, -other), lambda g, input, other: _share(g, -other, -input))


@primitive(
    promotes="rest",
    samples=lambda r: [((r.normal(size=(3, 4)) > 0, r.normal(size=4), r.normal(size=(3, 1))), {})],
)
def where(condition: Array, input: Array, other: Array) -> Array:
    """input where the condition holds, else other."""
    return array_module(condition, input, other).where(condition, input, other)


where.defvjp(
    None,
    lambda g, condition: where(condition, g, 0.0),
    lambda g, condition: where(condition, 0.0, g),
)


def _comparison(name: str, symbol: str, function: str) -> Primitive:
    def compare(input: Array, other: Array) -> Array:
        return getattr(array_module(input, other), function)(input, other)

    compare.__doc__ = f"Whether input {symbol} other, element by element, as booleans."
    rule = primitive(compare, name=name, promotes="same")
    rule.defvjp(None, None)
    return rule


eq = _comparison("eq", "==", "equal")
ne = _comparison("ne", "!=", "not_equal")
lt = _comparison("lt", "<", "less")
le = _comparison("le", "<=", "less_equal")
gt = _comparison("gt", ">", "greater")
ge = _comparison("ge", ">=", "greater_equal")
