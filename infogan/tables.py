"""Figures of several seeds put together: their spread, and tables in Markdown that are read as they are."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence


def spread(values: Sequence[float], worst: Callable[[Iterable[float]], float] = min) -> dict[str, float | None]:
    """`mean`, `deviation`, `median` and `worst` of one figure over several seeds.

    The deviation is that of a sample, √(Σ (x − mean)² / (n − 1)); of a single seed there is none. `worst` is
    `min` where more is better, and `max` for errors.
    """
    return {
        "mean": statistics.fmean(values),
        "deviation": statistics.stdev(values) if len(values) > 1 else None,
        "median": statistics.median(values),
        "worst": worst(values),
    }


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, its columns padded to one width; the first is set to the left, the others to the right."""
    lines = [list(header), *map(list, rows)]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    padded = [[line[0].ljust(widths[0]), *(t.rjust(w) for t, w in zip(line[1:], widths[1:], strict=True))]
              for line in lines]  # fmt: skip
    return "\n".join("| " + " | ".join(line) + " |" for line in [padded[0], rule, *padded[1:]])


def number(value: float | None, digits: int = 3) -> str:
    """`value` with so many digits after the point, a proper minus, and a dash where there is none."""
    return "–" if value is None else f"{value:z.{digits}f}".replace("-", "−")
