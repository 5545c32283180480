"""How far something is, and how long it took, for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import IO, Any, TypeVar

T = TypeVar("T")


def bar(over: Iterable[Any] | None = None, **settings: Any) -> Any:
    """tqdm's bar of updates on standard error: quick on a terminal, a line each half minute in a log."""
    from tqdm import tqdm

    interval = 0.5 if sys.stderr.isatty() else 30.0
    return tqdm(over, unit=" updates", mininterval=interval, dynamic_ncols=True, **settings)


def slow(over: Iterable[T], what: str, unit: str, total: int | None = None) -> Iterable[T]:
    """`over`, with a bar on standard error once it has taken two seconds: `what` is done, `unit` with its space."""
    from tqdm import tqdm

    return tqdm(over, what, total, unit=unit, delay=2, leave=False, file=sys.stderr)


def reading(file: IO[bytes], what: str, size: int) -> Any:
    """`file`, with a bar of the `size` bytes read of it, shown as `slow` shows its own; a context."""
    from tqdm import tqdm

    return tqdm.wrapattr(file, "read", total=size, desc=what, delay=2, leave=False, file=sys.stderr)


def bytes_bar(what: str, total: int, begin: int) -> Any:
    """A bar of `total` bytes of which `begin` are there, shown as `slow` shows its own."""
    from tqdm import tqdm

    settings: dict[str, Any] = {"unit": "B", "unit_scale": True, "delay": 2, "leave": False, "file": sys.stderr}
    return tqdm(desc=what, total=total, initial=begin, **settings)


def duration(seconds: float) -> str:
    """`"2 h 5 min"`, `"3 min 20 s"` or `"8 s"`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
