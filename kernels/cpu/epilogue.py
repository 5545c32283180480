"""Bias and activation on rows that have just been computed and are still in cache."""

from __future__ import annotations

import numpy as np

from kernels.cpu.jit import helper


def floor_of(slope: float, dtype: np.dtype) -> float:
    """The least number that is multiplied by the slope: relu of minus infinity is 0, not 0 * -inf = NaN."""
    return float(np.finfo(dtype).min) if slope == 0 else -np.inf


@helper
def activate(z, slope, floor):
    """max(z, 0) + slope * min(z, 0); NaN stays NaN."""
    low = floor if z < floor else z
    return z if z > 0 else slope * low


@helper
def activate_rows(y, start, rows, width, bias, slope, floor):
    """y[row] = act(y[row] + bias) for `rows` rows of `width` from row `start` on."""
    for r in range(start, start + rows):
        line = y[r * width : (r + 1) * width]
        for i in range(width):
            line[i] = activate(line[i] + bias[i], slope, floor)
