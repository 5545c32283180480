"""Initialisers: each overwrites a tensor in place and returns it.

Numbers are drawn on the host from `generator`, a `numpy.random.Generator`, or from the engine's own stream
(`minigrad.manual_seed`), and moved to the tensor's device, so every device starts from the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from minigrad import random
from minigrad.tape import no_grad
from minigrad.tensor import Tensor

Generator = np.random.Generator | None

_GAINS = {"linear": 1.0, "conv2d": 1.0, "sigmoid": 1.0, "tanh": 5.0 / 3.0, "relu": math.sqrt(2.0)}


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Every entry `val`."""
    return _fill(tensor, np.full(tensor.shape, val))


def zeros_(tensor: Tensor) -> Tensor:
    """Every entry 0."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Every entry 1."""
    return constant_(tensor, 1.0)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator = None) -> Tensor:
    """Entries ~ N(mean, std²)."""
    return _fill(tensor, _source(generator).normal(mean, std, tensor.shape))


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator = None) -> Tensor:
    """Entries ~ U(a, b)."""
    return _fill(tensor, _source(generator).uniform(a, b, tensor.shape))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator = None,
) -> Tensor:
    """Entries ~ N(mean, std²) given that they lie in [a, b]; drawn again until they do.

    `a` and `b` are absolute bounds, as in PyTorch, not multiples of `std`.

    Raises:
        ValueError: [a, b] holds less than a thousandth of the distribution.
    """
    share = _normal_cdf((b - mean) / std) - _normal_cdf((a - mean) / std)
    if not share > 1e-3:
        raise ValueError(f"trunc_normal_: [{a}, {b}] holds {share:.2g} of N({mean}, {std}²); widen it around the mean")
    draw = _source(generator)
    values = draw.normal(mean, std, tensor.shape)
    outside = (values < a) | (values > b)
    while outside.any():
        values[outside] = draw.normal(mean, std, int(outside.sum()))
        outside = (values < a) | (values > b)
    return _fill(tensor, values)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """Entries ~ U(−r, r), r = gain·√(6/(fan_in + fan_out)) (Glorot and Bengio 2010)."""
    bound = gain * math.sqrt(6.0 / sum(_fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """Entries ~ N(0, s²), s = gain·√(2/(fan_in + fan_out)) (Glorot and Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_fans(tensor))), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator = None,
) -> Tensor:
    """Entries ~ U(−r, r), r = gain·√(3/fan), fan by `mode` (He et al. 2015)."""
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / _fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator = None,
) -> Tensor:
    """Entries ~ N(0, s²), s = gain/√fan, fan by `mode` (He et al. 2015)."""
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode)), generator)


def calculate_gain(nonlinearity: str, param: float = 0.01) -> float:
    """The gain of an activation; for `"leaky_relu"` with slope `param` it is √(2/(1 + param²))."""
    if nonlinearity == "leaky_relu":
        return math.sqrt(2.0 / (1.0 + param**2))
    if nonlinearity not in _GAINS:
        known = ", ".join(sorted([*_GAINS, "leaky_relu"]))
        raise ValueError(f"calculate_gain: unknown nonlinearity {nonlinearity!r}; known are {known}")
    return _GAINS[nonlinearity]


def reset_affine(weight: Tensor, bias: Tensor | None) -> None:
    """The default of linear and convolution layers: weight and bias ~ U(−1/√fan_in, 1/√fan_in)."""
    bound = 1.0 / math.sqrt(_fans(weight)[0]) if weight.size else 0.0
    uniform_(weight, -bound, bound)
    if bias is not None:
        uniform_(bias, -bound, bound)


def _fill(tensor: Tensor, values: np.ndarray) -> Tensor:
    with no_grad():
        tensor.copy_(Tensor(values.astype(tensor.dtype)).to(tensor.device))
    return tensor


def _source(generator: Generator) -> np.random.Generator:
    return random.generator() if generator is None else generator


def _normal_cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def _fans(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight whose first two axes are out and in, the rest its window."""
    if tensor.ndim < 2:
        raise ValueError(f"fans need at least two axes (out, in, …), not shape {tensor.shape}")
    window = math.prod(tensor.shape[2:])
    return tensor.shape[1] * window, tensor.shape[0] * window


def _fan(tensor: Tensor, mode: str) -> int:
    choice: dict[str, Callable[[tuple[int, int]], int]] = {
        "fan_in": lambda fans: fans[0],
        "fan_out": lambda fans: fans[1],
    }
    if mode not in choice:
        raise ValueError(f"mode is 'fan_in' or 'fan_out', not {mode!r}")
    return choice[mode](_fans(tensor))
