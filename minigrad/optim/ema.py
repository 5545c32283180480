"""An exponential moving average of parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from kernels.device import Array, asarray, device_of
from minigrad.tensor import Tensor


class EMA:
    """Shadow copies s ← decay·s + (1 − decay)·p of `params`, started at their present values.

    `update()` after every optimiser step; within `with ema.applied():` the parameters hold the averages.
    """

    def __init__(self, params: Iterable[Tensor], decay: float = 0.999) -> None:
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"EMA: decay must lie in [0, 1), got {decay}")
        self.params, self.decay = list(params), decay
        self.shadow: list[Array] = [p.data.copy() for p in self.params]

    def update(self) -> None:
        """Move each average towards its parameter."""
        for s, p in zip(self.shadow, self.params, strict=True):
            s *= self.decay
            s += (1.0 - self.decay) * p.data

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The parameters hold their averages inside and their own values again afterwards."""
        own = [p.data.copy() for p in self.params]
        self._write(self.shadow)
        try:
            yield
        finally:
            self._write(own)

    def _write(self, values: list[Array]) -> None:
        for p, value in zip(self.params, values, strict=True):
            p.data[...] = value
            p.written("EMA.applied")

    def state_dict(self) -> dict[str, Array]:
        """The averages (not copied) by position: `shadow.<i>`."""
        return {f"shadow.{i}": s for i, s in enumerate(self.shadow)}

    def load_state_dict(self, state_dict: Mapping[str, Array | Tensor]) -> None:
        """Take over averages, copied to the devices of the present ones.

        Raises:
            ValueError: their number or a shape differs.
        """
        expected = {key: s.shape for key, s in self.state_dict().items()}
        given = {k: v.data if isinstance(v, Tensor) else v for k, v in state_dict.items()}
        if {key: tuple(v.shape) for key, v in given.items()} != expected:
            raise ValueError(
                f"EMA: the state holds {len(given)} averages that do not fit these {len(expected)} parameters"
            )
        for key, s in self.state_dict().items():
            s[...] = asarray(given[key], device_of(s))
