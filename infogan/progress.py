"""How far something is, and how long it took, for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any


def bar(over: Iterable[Any] | None = None, **settings: Any) -> Any:
    """tqdm's bar of updates on standard error: quick on a terminal, a line each half minute in a log."""
    from tqdm import tqdm

    interval = 0.5 if sys.stderr.isatty() else 30.0
    return tqdm(over, unit=" updates", mininterval=interval, dynamic_ncols=True, **settings)


def duration(seconds: float) -> str:
    """`"2 h 5 min"`, `"3 min 20 s"` or `"8 s"`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
