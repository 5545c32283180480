"""Gradient clipping, spectral normalisation, and batch statistics held still."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np

from kernels.device import Array, array_module
from minigrad import random
from minigrad.nn.layers import ConvTranspose2d, _BatchNorm
from minigrad.nn.module import Module, Parameter
from minigrad.rules.norm import Processes
from minigrad.tensor import Tensor

M = TypeVar("M", bound=Module)


@contextmanager
def frozen_statistics(*modules: Module) -> Iterator[None]:
    """Within it batch-norm in training mode normalises by the batch but leaves running statistics alone.

    For the generator's step of a GAN, which passes through the discriminator without teaching it anything.
    """
    layers = [m for module in modules for m in module.modules() if isinstance(m, _BatchNorm)]
    before = [layer.frozen for layer in layers]
    for layer in layers:
        layer.frozen = True
    try:
        yield
    finally:
        for layer, frozen in zip(layers, before, strict=True):
            layer.frozen = frozen


def share_statistics(module: Module, processes: Processes | None) -> None:
    """From now on every batch-norm in `module` normalises by the batch of all `processes` together, in training.

    Each holds an equal part of it and must take the same steps. `None` undoes it.
    """
    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            layer.processes = processes


def clip_grad_norm_(
    parameters: Iterable[Tensor] | Tensor,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients by min(1, max_norm/(norm + 1e-6)), norm taken over all of them together.

    Each `.grad` is replaced by a scaled array; arrays that others may hold are not written to.

    Returns:
        The norm before clipping, a 0-d tensor; ‖(‖g₁‖, ‖g₂‖, …)‖ in the norm of order `norm_type`.

    Raises:
        ValueError: `error_if_nonfinite` and the norm is infinite or not a number.
    """
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    owners = [p for p in given if p.grad is not None]
    if not owners:
        return Tensor(np.zeros((), np.float32))
    grads: list[Array] = [p.grad.data for p in owners]  # type: ignore[union-attr]
    xp = array_module(*grads)
    norms = xp.stack([_norm(xp, g.reshape(-1), norm_type) for g in grads])
    total = _norm(xp, norms, norm_type)
    if error_if_nonfinite and not bool(xp.isfinite(total)):
        raise ValueError(f"clip_grad_norm_: the gradients' norm of order {norm_type} is {total}")
    scale = xp.minimum(max_norm / (total + 1e-6), 1.0)
    for owner, g in zip(owners, grads, strict=True):
        owner.grad = Tensor(g * scale.astype(g.dtype))
    return Tensor(xp.asarray(total))


def _norm(xp: object, x: Array, order: float) -> Array:
    return xp.linalg.norm(x, ord=order)  # type: ignore[attr-defined]


class _SpectralNorm:
    """Before each call: weight ← weight_orig/σ, σ ≈ its largest singular value by power iteration."""

    def __init__(self, name: str, n_power_iterations: int, eps: float, dim: int) -> None:
        self.name, self.iterations, self.eps, self.dim = name, n_power_iterations, eps, dim

    def matrix(self, weight: Tensor) -> Tensor:
        order = (self.dim, *(i for i in range(weight.ndim) if i != self.dim))
        return weight.permute(*order).reshape(weight.shape[self.dim], -1)

    def __call__(self, module: Module) -> None:
        weight = getattr(module, self.name + "_orig")
        left, right = getattr(module, self.name + "_u"), getattr(module, self.name + "_v")
        matrix = self.matrix(weight)
        if module.training:
            self.iterate(matrix.data, left, right)
        u, v = Tensor(left.data.copy()), Tensor(right.data.copy())
        sigma = (u * (matrix @ v)).sum()
        setattr(module, self.name, weight / sigma)

    def iterate(self, matrix: Array, left: Tensor, right: Tensor) -> None:
        for _ in range(self.iterations):
            right.data[...] = self.unit(matrix.T @ left.data)
            left.data[...] = self.unit(matrix @ right.data)

    def unit(self, x: Array) -> Array:
        xp = array_module(x)
        return x / xp.maximum(xp.linalg.norm(x), self.eps)


def spectral_norm(
    module: M, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> M:
    """Divide a layer's weight by its largest singular value at every call (Miyato et al. 2018).

    σ = uᵀ W v with u, v from `n_power_iterations` steps per call in training mode, W reshaped to
    (size of axis `dim`, rest); u and v count as constants in the derivative. `dim` is 0, or 1 for
    `ConvTranspose2d`. State is kept as `<name>_orig`, `<name>_u`, `<name>_v`, PyTorch's names.

    Raises:
        ValueError: there is no such parameter, or it is normalised already.
    """
    weight = module._parameters.get(name)
    if weight is None:
        raise ValueError(f"spectral_norm: {type(module).__name__} has no parameter {name!r} to normalise")
    axis = (1 if isinstance(module, ConvTranspose2d) else 0) if dim is None else dim
    hook = _SpectralNorm(name, n_power_iterations, eps, axis)
    rows, columns = hook.matrix(weight.detach()).shape
    delattr(module, name)
    module.register_parameter(name + "_orig", Parameter(weight))
    for suffix, size in (("_u", rows), ("_v", columns)):
        start = Tensor(random.generator().normal(size=size).astype(weight.dtype)).to(weight.device)
        start.data = hook.unit(start.data)
        module.register_buffer(name + suffix, start)
    module._pre_hooks[f"spectral_norm.{name}"] = hook
    hook(module)
    return module
