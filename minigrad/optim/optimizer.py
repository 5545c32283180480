"""Optimisers: they write parameters in place, through the kernels, and keep their state as plain arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

import kernels
from kernels.device import Array, array_module, asarray, device_of, to_host
from minigrad.tensor import Tensor

Group = dict[str, Any]


class Optimizer:
    """Parameters in groups with settings of their own, as in PyTorch.

    `params` is an iterable of tensors, or of dicts with `"params"` and settings that differ from the
    defaults. Subclasses write `update`. Only parameters that have a gradient are touched.

    Raises:
        ValueError: no parameters, a parameter twice, or a setting outside its range.
    """

    def __init__(self, params: Iterable[Tensor] | Iterable[Group], **defaults: Any) -> None:
        given = list(params)
        groups = given if given and isinstance(given[0], dict) else [{"params": given}]
        self.param_groups: list[Group] = []
        self.state: list[list[dict[str, Any]]] = []
        for group in groups:
            entries = group["params"]  # type: ignore[index, call-overload]
            entries = [entries] if isinstance(entries, Tensor) else list(entries)
            self.param_groups.append({**defaults, **group, "params": entries})  # type: ignore[dict-item]
            self.state.append([{} for _ in entries])
            self._check(self.param_groups[-1])
        everything = [p for group in self.param_groups for p in group["params"]]
        if not everything:
            raise ValueError(f"{type(self).__name__}: got no parameters")
        if len({id(p) for p in everything}) < len(everything):
            raise ValueError(f"{type(self).__name__}: a parameter is listed twice")

    def _check(self, group: Group) -> None:
        name = type(self).__name__
        for key in ("lr", "eps", "weight_decay", "momentum"):
            if not group.get(key, 0.0) >= 0.0:
                raise ValueError(f"{name}: {key} must not be negative, got {group[key]}")
        for beta in group.get("betas", ()):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"{name}: each of betas must lie in [0, 1), got {group['betas']}")
        for p in group["params"]:
            if not isinstance(p, Tensor) or not np.issubdtype(p.dtype, np.floating):
                what = f"a tensor of {p.dtype}" if isinstance(p, Tensor) else type(p).__name__
                raise ValueError(f"{name}: parameters are floating-point tensors, got {what}")

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        for group, states in zip(self.param_groups, self.state, strict=True):
            for p, state in zip(group["params"], states, strict=True):
                if p.grad is not None:
                    self.update(p.data, p.grad.data, state, group)
                    p.written(f"{type(self).__name__}.step")

    def update(self, p: Array, g: Array, state: dict[str, Any], group: Group) -> None:
        """One parameter's step: writes `p` and what it keeps in `state`, never `g`."""
        raise NotImplementedError

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    # -- state ---------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that a bit-exact resume needs: a flat dict of arrays (not copied) and numbers.

        Keys are `group.<i>.<setting>` and `state.<i>.<j>.<name>`, i the group and j the parameter in it.
        """
        flat: dict[str, Any] = {}
        for i, group in enumerate(self.param_groups):
            for key, value in group.items():
                if key != "params":
                    flat[f"group.{i}.{key}"] = np.asarray(value) if isinstance(value, tuple) else value
            for j, state in enumerate(self.state[i]):
                flat |= {f"state.{i}.{j}.{key}": value for key, value in state.items()}
        return flat

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the state of an equal optimiser; arrays are copied to the parameters' devices.

        Raises:
            ValueError: groups, parameters, settings or shapes differ; nothing is changed then.
        """
        groups = [dict(group) for group in self.param_groups]
        states: list[list[dict[str, Any]]] = [[{} for _ in group["params"]] for group in groups]
        expected = {key for key in self.state_dict() if key.startswith("group.")}
        lacking = sorted(expected - set(state_dict))
        if lacking:
            raise ValueError(f"{type(self).__name__}: the state lacks {', '.join(lacking)}")
        for key, value in state_dict.items():
            kind, *path = key.split(".")
            try:
                if kind == "group" and key in expected:
                    groups[int(path[0])][path[1]] = _number(value)
                elif kind == "state":
                    i, j = int(path[0]), int(path[1])
                    states[i][j][path[2]] = self._adopt(key, value, groups[i]["params"][j])
                else:
                    raise IndexError
            except IndexError:
                raise ValueError(f"{type(self).__name__}: the state has {key}, which fits nothing here") from None
        for group, new in zip(self.param_groups, groups, strict=True):
            group.update(new)
        self.state = states

    def _adopt(self, key: str, value: Any, p: Tensor) -> Any:
        data = value.data if isinstance(value, Tensor) else value
        if key.endswith(".step") and getattr(data, "ndim", 0) == 0:
            return int(to_host(data))
        if tuple(data.shape) != tuple(p.shape):
            raise ValueError(
                f"{type(self).__name__}: {key} has shape {tuple(data.shape)}, its parameter {tuple(p.shape)}"
            )
        return asarray(data, device_of(p.data)).astype(p.dtype, copy=True)


def _number(value: Any) -> Any:
    data = to_host(value.data if isinstance(value, Tensor) else value)
    return tuple(data.tolist()) if data.ndim else data.item()


class SGD(Optimizer):
    """Gradient descent with momentum: g ← g + λ·p, b ← μ·b + (1 − τ)·g, p ← p − lr·b.

    μ is `momentum` (0: b = g), τ `dampening`, λ `weight_decay`; `nesterov` steps along g + μ·b. The first
    b is g itself, as in PyTorch.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("SGD: nesterov needs a momentum above 0 and no dampening")
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
        )

    def update(self, p: Array, g: Array, state: dict[str, Any], group: Group) -> None:
        """See the class."""
        momentum = group["momentum"]
        if group["weight_decay"]:
            g = g + group["weight_decay"] * p
        if momentum:
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = g.copy()
            else:
                state["momentum_buffer"] *= momentum
                state["momentum_buffer"] += (1.0 - group["dampening"]) * g
            buffer = state["momentum_buffer"]
            g = g + momentum * buffer if group["nesterov"] else buffer
        p -= group["lr"] * g


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015, algorithm 1): p ← p − lr·m̂/(√v̂ + eps).

    m ← β₁m + (1 − β₁)g and v ← β₂v + (1 − β₂)g², m̂ = m/(1 − β₁ᵗ), v̂ = v/(1 − β₂ᵗ); `weight_decay` adds
    λ·p to g.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay)

    def update(self, p: Array, g: Array, state: dict[str, Any], group: Group) -> None:
        """See the class."""
        self._adam(p, g, state, group, group["weight_decay"])

    def _adam(self, p: Array, g: Array, state: dict[str, Any], group: Group, weight_decay: float) -> None:
        if not state:
            xp = array_module(p)
            state.update(step=0, exp_avg=xp.zeros_like(p), exp_avg_sq=xp.zeros_like(p))
        state["step"] += 1
        kernels.adam_step(
            p,
            g,
            state["exp_avg"],
            state["exp_avg_sq"],
            lr=group["lr"],
            betas=group["betas"],
            eps=group["eps"],
            weight_decay=weight_decay,
            step=state["step"],
        )


class AdamW(Adam):
    """Adam with decoupled decay (Loshchilov and Hutter 2019): p ← p·(1 − lr·λ), then Adam's step."""

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def update(self, p: Array, g: Array, state: dict[str, Any], group: Group) -> None:
        """See the class."""
        p *= 1.0 - group["lr"] * group["weight_decay"]
        self._adam(p, g, state, group, 0.0)
