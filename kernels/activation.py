"""The activations a kernel may fuse: y = max(z, 0) + slope * min(z, 0), told by their slope alone."""

from __future__ import annotations

from typing import TypeAlias

from kernels.device import Array, array_module

Activation: TypeAlias = str | tuple[str, float] | None


def slope_of(activation: Activation) -> float:
    """The slope below zero: `None` 1, `"relu"` 0, `"leaky_relu"` 0.01, `("leaky_relu", s)` s.

    The derivative at z = 0 is the slope, as PyTorch has it. Raises `ValueError` for anything else.
    """
    if activation is None:
        return 1.0
    if activation == "relu":
        return 0.0
    if activation == "leaky_relu":
        return 0.01
    if isinstance(activation, tuple) and len(activation) == 2 and activation[0] == "leaky_relu":
        return float(activation[1])
    raise ValueError(
        f"activation {activation!r} cannot be fused: use None, 'relu', 'leaky_relu' or ('leaky_relu', slope)"
    )


def apply(z: Array, activation: Activation) -> Array:
    """The activation of `z`, written into `z` itself where that saves an array. NaN stays NaN."""
    xp, slope = array_module(z), slope_of(activation)
    if slope == 1.0:
        return z
    if slope == 0.0:
        return xp.maximum(z, 0, out=z)
    return xp.where(z > 0, z, z * slope)


def derivative_times(g: Array, z: Array, activation: Activation) -> Array:
    """`g` times the derivative of the activation at `z`; `g` itself where there is no activation."""
    xp, slope = array_module(g, z), slope_of(activation)
    return g if slope == 1.0 else xp.where(z > 0, g, g * slope)
