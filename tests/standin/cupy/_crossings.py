"""Counts what crosses between host and device, asked for or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

counts = {"to_device": 0, "to_host": 0, "implicit": 0}
"""Crossings since the process began. `implicit` are those among `to_host` that no `asnumpy` or `get` asked
for: `bool(x)`, `float(x)`, `x.item()`, printing, a boolean mask whose number of hits sizes the result."""

_forbidden = 0


class ImplicitTransfer(RuntimeError):
    """A device array was read by the host where that is forbidden."""


def to_device() -> None:
    """Count one array or number copied to the device."""
    counts["to_device"] += 1


def to_host(implicit: str | None = None) -> None:
    """Count one array copied to the host; `implicit` names what did it unasked."""
    if implicit and _forbidden:
        raise ImplicitTransfer(f"{implicit} reads a device array on the host, where that is forbidden")
    counts["to_host"] += 1
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
