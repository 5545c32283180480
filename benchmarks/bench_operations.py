"""Operations of the engine forward and backward, and gradcheck; each result is checked before it is timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.gradcheck import GradcheckError
from minigrad.nn import functional as F

ROWS, COLUMNS = 128, 6272

Forward = Callable[..., mg.Tensor]
OPERATIONS: dict[str, tuple[Forward, Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]] = {
    # name: operation, its value, its derivative
    "add": (lambda x: x + 1, lambda x: x + 1, np.ones_like),
    "mul": (lambda x: x * x, lambda x: x * x, lambda x: 2 * x),
    "exp": (lambda x: x.exp(), np.exp, np.exp),
    "tanh": (lambda x: x.tanh(), np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "sigmoid": (lambda x: F.sigmoid(x), lambda x: 1 / (1 + np.exp(-x)), lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2),
    "softplus": (lambda x: F.softplus(x), lambda x: np.logaddexp(0, x), lambda x: 1 / (1 + np.exp(-x))),
    "leaky_relu": (
        lambda x: F.leaky_relu(x, 0.1),
        lambda x: np.where(x > 0, x, 0.1 * x),
        lambda x: np.where(x > 0, 1.0, 0.1),
    ),
    "log_softmax": (
        lambda x: F.log_softmax(x, dim=1),
        lambda x: x - np.log(np.exp(x).sum(1, keepdims=True)),
        lambda x: 1 - x.shape[1] * np.exp(x) / np.exp(x).sum(1, keepdims=True),
    ),
    "sum": (lambda x: x.sum(1), lambda x: x.sum(1), np.ones_like),
    "transpose": (lambda x: x.transpose(0, 1), lambda x: x.T, np.ones_like),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.benchmark(group="operations, forward and backward")
def test_operation(benchmark: Any, tiny: bool, name: str) -> None:
    operation, value, derivative = OPERATIONS[name]
    shape = (3, 5) if tiny else (ROWS, COLUMNS)
    data = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    x = mg.tensor(data, requires_grad=True)

    def both() -> tuple[mg.Tensor, mg.Tensor]:
        y = operation(x)
        return y, mg.grad(y.sum(), [x])[0]

    y, gradient = both()
    wide = data.astype(np.float64)
    np.testing.assert_allclose(y.detach().numpy(), value(wide), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(gradient.numpy(), derivative(wide), rtol=1e-3, atol=1e-3)
    benchmark(both)


@pytest.mark.benchmark(group="overhead of the tape")
def test_tape(benchmark: Any) -> None:
    """A thousand operations on single numbers: all overhead. d/dx of x + 1000 · 0.001 x is 2."""
    x = mg.tensor(1.0, requires_grad=True)

    def chain() -> mg.Tensor:
        y = x
        for _ in range(1000):
            y = y + x * 0.001
        return mg.grad(y, [x])[0]

    assert chain().item() == pytest.approx(2.0, rel=1e-4)
    benchmark(chain)


@pytest.mark.benchmark(group="gradcheck")
def test_gradcheck(benchmark: Any) -> None:
    random = np.random.default_rng(0)
    x, w = (mg.tensor(random.normal(size=s), requires_grad=True) for s in ((2, 2, 4, 4), (3, 2, 3, 3)))

    def check() -> bool:
        return mg.gradcheck(lambda x, w: F.conv2d(x, w, stride=1, padding=1).tanh(), (x, w))

    assert check()

    def wrong(g: mg.Tensor, out: mg.Tensor) -> mg.Tensor:
        return g

    with mg.override_vjp("tanh", wrong), pytest.raises(GradcheckError):
        check()
    benchmark.pedantic(check, rounds=3)
