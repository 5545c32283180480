"""Difference quotients of a function along a line: their step, their error, their kinks. NumPy only.

A *line* is a function `t -> f(x + t d)` that returns every output entry in one flat float64 array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import factorial

import numpy as np

Line = Callable[[float], np.ndarray]

_POINTS = 9
_ORDERS = (4, 5, 6)


def rounding(line: Line, spacing: float) -> np.ndarray:
    """Standard deviation of the rounding in each output entry, from a table of differences.

    `line` is evaluated at nine points `spacing` apart. Over a short stretch the k-th differences of the
    smooth part vanish and what is left of them is noise: sigma_k^2 = (k!)^2 / (2k)! mean_i (Delta^k f_i)^2.
    The median over k = 4, 5, 6 is taken. An entry that half of the steps leave unchanged is rounded too
    coarsely for its noise to show; there a spacing of 16 and 256 times as much is tried.

    Source: Moré and Wild, "Estimating computational noise", SIAM J. Sci. Comput. 33 (2011), sections 3 and 6.
    """
    found, stuck = np.zeros(()), np.ones((), bool)
    for factor in (1, 16, 256):
        values = np.stack([line((i - _POINTS // 2) * spacing * factor) for i in range(_POINTS)])
        levels = [
            factorial(k) / factorial(2 * k) ** 0.5 * np.sqrt(np.mean(np.diff(values, k, axis=0) ** 2, axis=0))
            for k in _ORDERS
        ]
        found = np.where(stuck, np.median(levels, axis=0), found)
        stuck = np.mean(np.diff(values, axis=0) == 0, axis=0) >= 0.5
        if not stuck.any():
            break
    return found


def balanced_step(lines: Sequence[Line], sigma: float, scale: float) -> tuple[float, float]:
    """The step at which rounding and truncation of a central quotient are smallest together, and that error.

    Rounding costs sigma / h. Truncation is read off two steps: the central quotient's error falls with
    h^2, so it is |D(2h) - D(h)| / 3. Steps are `scale` times powers of two from 1/8 down; the worst entry of
    all `lines` decides.
    """
    best = (scale, np.inf)
    wider: list[np.ndarray] | None = None
    for h in scale * 0.5 ** np.arange(2, 14):
        here = [(line(h) - line(-h)) / (2 * h) for line in lines]
        if wider is not None:
            apart = [np.max(np.abs(w - d), initial=0.0) for w, d in zip(wider, here, strict=True)]
            error = sigma / h + float(np.max(apart, initial=0.0)) / 3
            if error < best[1]:  # never true of NaN: a step that leaves the function's domain is passed over
                best = (float(h), error)
        wider = here
    return best


@dataclass
class Quotient:
    """The derivative along a line, one entry an output: `value`, and at a `kink` the one-sided bounds."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    kink: np.ndarray


def quotient(line: Line, centre: np.ndarray, step: float, atol: float, rtol: float) -> Quotient:
    """Central difference quotient (f(x + hd) - f(x - hd)) / 2h, with kinks told from curvature.

    Left and right quotients disagree by h f'' where f is curved and by the jump of f' at a kink. Where
    they disagree by more than the tolerance the step is quartered: curvature's share falls with it, a
    kink's does not. A kink that lies off x, outside the smaller step, is thus stepped over.
    """
    value, left, right = _sides(line, centre, step)
    gap = np.abs(right - left)
    doubtful = gap > atol + rtol * np.maximum(np.abs(left), np.abs(right))
    kink = np.zeros(value.shape, bool)
    if doubtful.any():
        finer, left4, right4 = _sides(line, centre, step / 4)
        # Rounding weighs four times as much in the smaller step and must not pass for a kink.
        kink = doubtful & (np.abs(right4 - left4) > np.maximum(gap / 2, 4 * atol))
        value = np.where(doubtful, finer, value)
        left, right = np.where(kink, left4, value), np.where(kink, right4, value)
    else:
        left = right = value
    return Quotient(value, np.minimum(left, right), np.maximum(left, right), kink)


def _sides(line: Line, centre: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    up, down = line(step), line(-step)
    return (up - down) / (2 * step), (centre - down) / step, (up - centre) / step
