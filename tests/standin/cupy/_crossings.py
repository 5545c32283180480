"""Counts what crosses between host and device, asked for or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

counts = {"to_device": 0, "to_host": 0, "implicit": 0}
"""Crossings since the process began. `implicit` are those among `to_host` that no `asnumpy` or `get` asked
for: `bool(x)`, `float(x)`, `x.item()`, printing, a boolean mask whose number of hits sizes the result."""

recorded: list[tuple[str, tuple[int, ...]]] = []
"""Which way and of what shape, in order: the last `MEMORY` crossings."""

MEMORY = 1000
_forbidden = 0


class ImplicitTransfer(RuntimeError):
    """A device array was read by the host where that is forbidden."""


def _record(way: str, shape: tuple[int, ...]) -> None:
    counts[way] += 1
    recorded.append((way, shape))
    del recorded[:-MEMORY]


def to_device(shape: tuple[int, ...]) -> None:
    """Count one array or number copied to the device."""
    _record("to_device", shape)


def to_host(shape: tuple[int, ...], implicit: str | None = None) -> None:
    """Count one array copied to the host; `implicit` names what did it unasked."""
    if implicit and _forbidden:
        raise ImplicitTransfer(f"{implicit} reads a device array on the host, where that is forbidden")
    _record("to_host", shape)
    counts["implicit"] += bool(implicit)


@contextmanager
def forbid_implicit() -> Iterator[None]:
    """Inside, every implicit crossing raises `ImplicitTransfer`."""
    global _forbidden
    _forbidden += 1
    try:
        yield
    finally:
        _forbidden -= 1
