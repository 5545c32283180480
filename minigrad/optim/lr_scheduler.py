"""Learning rates over time: lr = base·f(t), t the number of `step` calls so far.

Every schedule is a closed form of t, so a resumed run has the same bits; its state is t and the base rates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from minigrad.optim.optimizer import Optimizer


class LRScheduler:
    """Sets each group's `lr` from its `initial_lr`; call `step()` once after every period.

    Subclasses write `rate`. Made at t = 0, it sets the first rate at once.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.last_epoch = 0
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.base_lrs: list[float] = [float(group["initial_lr"]) for group in optimizer.param_groups]
        self._set()

    def rate(self, base: float, t: int, group: int) -> float:
        """The learning rate of group number `group` at time `t`, where `base` is its initial one."""
        raise NotImplementedError

    def step(self) -> None:
        """Advance the time by one."""
        self.last_epoch += 1
        self._set()

    def get_last_lr(self) -> list[float]:
        """The rate in force in each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def _set(self) -> None:
        for i, (group, base) in enumerate(zip(self.optimizer.param_groups, self.base_lrs, strict=True)):
            group["lr"] = self.rate(base, self.last_epoch, i)

    def state_dict(self) -> dict[str, Any]:
        """The time and the base rates."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over time and base rates, and set the rates of that time."""
        if len(state_dict["base_lrs"]) != len(self.base_lrs):
            raise ValueError(
                f"{type(self).__name__}: the state has {len(state_dict['base_lrs'])} groups, "
                f"the optimiser {len(self.base_lrs)}"
            )
        self.last_epoch = int(state_dict["last_epoch"])
        self.base_lrs = [float(lr) for lr in state_dict["base_lrs"]]
        self._set()


class LambdaLR(LRScheduler):
    """lr = base·lr_lambda(t); one function for all groups or one for each."""

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]]
    ) -> None:
        count = len(optimizer.param_groups)
        self.lr_lambdas = [lr_lambda] * count if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != count:
            raise ValueError(f"LambdaLR: {len(self.lr_lambdas)} functions for {count} groups")
        super().__init__(optimizer)

    def rate(self, base: float, t: int, group: int) -> float:
        """See the class."""
        return base * self.lr_lambdas[group](t)


class StepLR(LRScheduler):
    """lr = base·gamma^⌊t/step_size⌋."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def rate(self, base: float, t: int, group: int) -> float:
        """See the class."""
        return base * self.gamma ** (t // self.step_size)


class ExponentialLR(LRScheduler):
    """lr = base·gammaᵗ."""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = gamma
        super().__init__(optimizer)

    def rate(self, base: float, t: int, group: int) -> float:
        """See the class."""
        return base * self.gamma**t


class CosineAnnealingLR(LRScheduler):
    """lr = eta_min + (base − eta_min)·(1 + cos(π·t/T_max))/2 (Loshchilov and Hutter 2017, eq. 5)."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def rate(self, base: float, t: int, group: int) -> float:
        """See the class."""
        return self.eta_min + (base - self.eta_min) * (1.0 + math.cos(math.pi * t / self.T_max)) / 2.0


class LinearLR(LRScheduler):
    """lr = base·(start + (end − start)·min(t, total_iters)/total_iters): a warm-up by default."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3.0,
        end_factor: float = 1.0,
        total_iters: int = 5,
    ) -> None:
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer)

    def rate(self, base: float, t: int, group: int) -> float:
        """See the class."""
        share = min(t, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * share)
