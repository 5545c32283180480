"""Derivatives of functions of tensors: products with the Jacobian from either side, Jacobian, Hessian.

`inputs` is a tensor or a tuple of them; results have its structure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kernels import device as devices
from minigrad.rules.shape import stack
from minigrad.sweep import grad
from minigrad.tape import enable_grad, is_grad_enabled
from minigrad.tensor import Tensor


def _evaluate(func: Callable, inputs: Any) -> tuple[Any, tuple[Tensor, ...], bool]:
    """func at fresh leaves, or at aliases of inputs that are themselves being differentiated."""
    single = isinstance(inputs, Tensor)
    given = (inputs,) if single else tuple(inputs)
    with enable_grad():
        xs = tuple(x.reshape(x.shape) if x.requires_grad else x.detach().requires_grad_() for x in given)
        return func(*xs), xs, single


def _like(results: Any, single: bool) -> Any:
    return results[0] if single else tuple(results)


def _derivatives(y: Any, xs: tuple[Tensor, ...], v: Any, create_graph: bool) -> list[Tensor]:
    with enable_grad():
        if not y.requires_grad:
            found: list[Any] = [None] * len(xs)
        else:
            found = grad(y, xs, v, create_graph=create_graph, retain_graph=True, allow_unused=True)
        return [g if g is not None else x.detach() * 0 for g, x in zip(found, xs, strict=True)]


def vjp(func: Callable, inputs: Any, v: Any = None, *, create_graph: bool = False) -> tuple[Any, Any]:
    """(func(inputs), v^T J), by one sweep; v is 1 for a scalar result."""
    y, xs, single = _evaluate(func, inputs)
    live = any(x.requires_grad for x in ((inputs,) if single else inputs))
    create_graph = create_graph or (live and is_grad_enabled())
    return y if create_graph else y.detach(), _like(_derivatives(y, xs, v, create_graph), single)


def jvp(func: Callable, inputs: Any, v: Any = None, *, create_graph: bool = False) -> tuple[Any, Any]:
    """(func(inputs), J v): u^T J is linear in u, so its derivative by u in direction v is J v."""
    y, xs, _ = _evaluate(func, inputs)
    directions = (v,) if isinstance(v, Tensor) else v
    if directions is None:
        directions = tuple(Tensor(devices.array_module(x.data).ones_like(x.data)) for x in xs)
    u = Tensor(devices.array_module(y.data).zeros_like(y.data), requires_grad=True)
    products = _derivatives(y, xs, u, True)
    with enable_grad():
        along = sum((g * d).sum() for g, d in zip(products, directions, strict=True))
    (result,) = _derivatives(along, (u,), None, create_graph)
    return y if create_graph else y.detach(), result


def jacobian(func: Callable, inputs: Any, *, create_graph: bool = False) -> Any:
    """d func_i / d inputs_j, of shape (*func's shape, *the input's shape): a sweep for each entry of func."""
    y, xs, single = _evaluate(func, inputs)
    xp = devices.array_module(y.data)
    rows: list[list[Tensor]] = []
    for k in range(y.size):
        unit = xp.zeros(y.size, y.dtype)
        unit[k] = 1
        rows.append(_derivatives(y, xs, Tensor(unit.reshape(y.shape)), create_graph))
    with enable_grad():
        whole = [
            stack([row[i] for row in rows]).reshape(y.shape + x.shape)
            if rows
            else Tensor(xp.zeros(y.shape + x.shape, x.dtype))
            for i, x in enumerate(xs)
        ]
    return _like(whole, single)


def hessian(func: Callable, inputs: Tensor, *, create_graph: bool = False) -> Tensor:
    """d2 func / d inputs_i d inputs_j of a scalar function; its shape is the input's twice over."""

    def gradient(x: Tensor) -> Tensor:
        y = func(x)
        if y.size != 1:
            raise ValueError(f"hessian needs a scalar function; this one gives shape {y.shape}")
        return _derivatives(y, (x,), Tensor(devices.array_module(y.data).ones_like(y.data)), True)[0]

    return jacobian(gradient, inputs, create_graph=create_graph)
