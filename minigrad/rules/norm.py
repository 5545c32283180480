"""Batch normalisation, fused with the activation that follows it (Ioffe and Szegedy 2015)."""

from __future__ import annotations

from typing import Any, Protocol

import kernels
from kernels.activation import slope_of
from kernels.device import Array, array_module
from minigrad.rules.arithmetic import rsqrt
from minigrad.rules.conv import activate
from minigrad.rules.reductions import mean
from minigrad.rules.shape import reshape
from minigrad.tape import Variable, as_array, once_differentiable, primitive


def _per_channel(v: Any, x: Any) -> Any:
    return reshape(v, (1, -1) + (1,) * (x.ndim - 2))


def _normalise(x: Any, weight: Any, bias: Any, *, eps: float, activation: Any) -> Any:
    dims = (0, *range(2, x.ndim))
    centred = x - mean(x, dims, True)
    scaled = centred * rsqrt(mean(centred * centred, dims, True) + eps)
    return activate(scaled * _per_channel(weight, x) + _per_channel(bias, x), activation)


def _samples(r: Any) -> list:
    gamma, beta = r.uniform(0.5, 2, 3), r.normal(size=3)
    return [
        ((r.normal(size=(4, 3, 2, 2)), gamma, beta), {"eps": 1e-5, "activation": None}),
        ((r.normal(size=(6, 3)), gamma, beta), {"eps": 1e-3, "activation": ("leaky_relu", 0.2)}),
    ]


@primitive(
    name="batch_norm",
    outputs=("y", "mean", "rstd"),
    constant=("mean", "rstd"),
    plain=_normalise,
    samples=_samples,
)
def _batch_norm(x: Array, weight: Array, bias: Array, *, eps: float, activation: Any) -> tuple:
    return kernels.batch_norm(x, weight, bias, eps=eps, activation=activation)


@once_differentiable
def _batch_norm_vjp(g: tuple, x: Array, weight: Array, bias: Array, mean: Array, rstd: Array, activation: Any) -> tuple:
    return kernels.batch_norm_grad(g[0], x, weight, bias, mean, rstd, activation=activation)


_batch_norm.defvjp(joint=_batch_norm_vjp)


class Processes(Protocol):
    """Processes that hold equal parts of a batch and take the same steps."""

    size: int

    def sum_(self, array: Array) -> Array:
        """The sum of `array` over the processes, in its place and returned."""


def pooled(processes: Processes, mean: Array, var: Array) -> tuple[Array, Array]:
    """Mean and (biased) variance of a whole batch from those of this process's part of it.

    m = E mₖ and v = E [vₖ + (mₖ − m)²], E over the processes: two sums, and nothing of size m² cancels.
    """
    whole = processes.sum_(mean.copy()) / processes.size
    return whole, processes.sum_(var + (mean - whole) ** 2) / processes.size


class _One:
    """A process by itself."""

    size = 1

    def sum_(self, array: Array) -> Array:
        return array


@primitive(name="sum_over", samples=lambda r: [((r.normal(size=(2, 3)),), {"processes": _One()})])
def sum_over(x: Array, *, processes: Processes) -> Array:
    """Σ over the processes of their x. Each process's own loss being its part of a sum, so is the gradient."""
    return processes.sum_(x.copy())


sum_over.defvjp(lambda g, processes: sum_over(g, processes=processes))


def _normalise_shared(x: Any, weight: Any, bias: Any, *, eps: float, activation: Any, processes: Processes) -> Any:
    def over_batch(v: Any) -> Any:
        return sum_over(mean(v, (0, *range(2, x.ndim)), True), processes=processes) / processes.size

    centred = x - over_batch(x)
    scaled = centred * rsqrt(over_batch(centred * centred) + eps)
    return activate(scaled * _per_channel(weight, x) + _per_channel(bias, x), activation)


@primitive(
    name="batch_norm_shared",
    outputs=("y", "mean", "rstd"),
    constant=("mean", "rstd"),
    plain=_normalise_shared,
    samples=lambda r: [(args, {**settings, "processes": _One()}) for args, settings in _samples(r)],
)
def _batch_norm_shared(x: Array, weight: Array, bias: Array, *, eps: float, activation: Any,
                       processes: Processes) -> tuple:  # fmt: skip
    """Batch-norm by the statistics of the parts of all processes: those of this one, pooled."""
    _, mean, rstd = kernels.batch_norm(x, weight, bias, eps=eps)
    mean, var = pooled(processes, mean, 1 / rstd**2 - eps)
    y = kernels.batch_norm_inference(x, weight, bias, mean, var, eps=eps, activation=activation)
    return y, mean, (var + eps) ** -0.5


@once_differentiable
def _batch_norm_shared_vjp(g: tuple, x: Array, weight: Array, bias: Array, mean: Array, rstd: Array, activation: Any,
                           processes: Processes) -> tuple:  # fmt: skip
    """With h = (x − m)·r and g behind the activation: γ r (g − E g − h E[g h]), E over the whole batch.

    The means stand for what x moves in the rows of all processes: two sums a channel go round, by one message.
    Those of this process alone are its gradients of γ and β, which are summed later, with all other gradients.
    """
    dims, shape = (0, *range(2, x.ndim)), (-1,) + (1,) * (x.ndim - 2)
    h = (x - mean.reshape(shape)) * rstd.reshape(shape)
    passed = h * weight.reshape(shape) + bias.reshape(shape) > 0
    inner = g[0] * array_module(x).where(passed, 1, x.dtype.type(slope_of(activation)))
    own = array_module(x).stack([inner.sum(dims), (inner * h).sum(dims)])
    means = processes.sum_(own.copy()) / (processes.size * (x.size // x.shape[1]))
    inner -= means[0].reshape(shape)
    h *= means[1].reshape(shape)
    inner -= h
    inner *= (weight * rstd).reshape(shape)
    return inner, own[1], own[0]


_batch_norm_shared.defvjp(joint=_batch_norm_shared_vjp)


def _normalise_by(x: Any, weight: Any, bias: Any, mean: Any, var: Any, *, eps: float, activation: Any) -> Any:
    scaled = (x - _per_channel(mean, x)) * rsqrt(_per_channel(var, x) + eps)
    return activate(scaled * _per_channel(weight, x) + _per_channel(bias, x), activation)


@primitive(name="batch_norm_inference", plain=_normalise_by, samples=lambda r: [
    ((r.normal(size=(2, 3, 2, 2)), *(r.uniform(0.5, 2, 3) for _ in range(4))), {"eps": 1e-5, "activation": None}),
    ((r.normal(size=(3, 2)), *(r.uniform(0.5, 2, 2) for _ in range(4))), {"eps": 1e-3, "activation": "leaky_relu"}),
])  # fmt: skip
def _batch_norm_inference(x: Array, weight: Array, bias: Array, mean: Array, var: Array, *, eps: float,
                          activation: Any) -> Array:  # fmt: skip
    return kernels.batch_norm_inference(x, weight, bias, mean, var, eps=eps, activation=activation)


def _update(running: Any, batch: Array, momentum: float) -> None:
    """running <- (1 - momentum) running + momentum batch, in place."""
    data = as_array(running)
    data *= 1 - momentum
    data += momentum * batch
    if isinstance(running, Variable):
        running.written("batch_norm")


def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    activation: Any = None,
    processes: Processes | None = None,
) -> Any:
    """activation(weight * (x - m) / sqrt(v + eps) + bias), a mean m and a variance v for each channel.

    input (N, C) or (N, C, …). In training m and v are the batch's (v biased), and the running statistics move
    towards them by `momentum` (the running variance unbiased, as PyTorch's); else they are the running ones.
    With `processes` the batch is that of all of them together, `input` being an equal part of it.
    """
    raw = as_array(input)
    if raw.ndim < 2:
        raise ValueError(f"batch_norm: the input is (N, C) or (N, C, …), not {raw.shape}")
    xp, channels = array_module(raw), raw.shape[1]
    weight = Variable.concrete(xp.ones(channels, raw.dtype)) if weight is None else weight
    bias = Variable.concrete(xp.zeros(channels, raw.dtype)) if bias is None else bias
    x = input if raw.ndim in (2, 4) else reshape(input, (raw.shape[0], channels, -1, 1))
    if training:
        n = (raw.size // channels if channels else 0) * (processes.size if processes else 1)
        if n < 2:
            raise ValueError(
                f"batch_norm: in training each channel needs two values or more, not the {n} of {raw.shape}"
            )
        if processes is None:
            y, m, rstd = _batch_norm(x, weight, bias, eps=eps, activation=activation)
        else:
            y, m, rstd = _batch_norm_shared(x, weight, bias, eps=eps, activation=activation, processes=processes)
        if running_mean is not None:
            _update(running_mean, m.data, momentum)
            _update(running_var, (1 / rstd.data**2 - eps) * (n / (n - 1)), momentum)
    else:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: outside training the running mean and variance must be given")
        y = _batch_norm_inference(x, weight, bias, running_mean, running_var, eps=eps, activation=activation)
    return y if y.ndim == raw.ndim else reshape(y, raw.shape)
