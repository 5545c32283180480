"""What a compiled kernel is handed: flat, aligned, writable memory, so that it compiles for one layout."""

from __future__ import annotations

import numpy as np


def flat(a: np.ndarray) -> np.ndarray:
    """`a` in C order as one dimension: a view where that can be, else a copy."""
    return np.require(a, requirements=["C", "A", "W"]).reshape(-1)


def channels_last(x: np.ndarray) -> np.ndarray:
    """(N, C, ...) with the channels moved to the end, still a view."""
    return x if x.ndim == 2 else np.moveaxis(x, 1, -1)


def channels_first(x: np.ndarray) -> np.ndarray:
    """Undoes `channels_last`."""
    return x if x.ndim == 2 else np.moveaxis(x, -1, 1)
