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


def balanced_step(lines: Sequence[Line], sigma: float, steps: Sequence[float]) -> tuple[float, float]:
    """The step at which rounding and truncation of a central quotient are smallest together, and that error.

    Rounding costs sigma / h. Truncation is read off two steps: the central quotient's error falls with
    h^2, so it is |D(2h) - D(h)| / 3. `steps` fall by halves, and the first serves only as the second's 2h.
    The worst entry of all `lines` decides.
    """
    best = (float(steps[-1]), np.inf)
    wider: list[np.ndarray] | None = None
    for h in steps:
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
    """The derivative along a line, one entry an output: `value`, and at a `kink` the one-sided bounds.

    `blur` says how many times smaller than asked the step had to be, and so how much larger rounding is.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    kink: np.ndarray
    blur: np.ndarray


def quotient(line: Line, centre: np.ndarray, step: float, atol: float, rtol: float, noisy: bool = False) -> Quotient:
    """Central difference quotient (f(x + hd) - f(x - hd)) / 2h, with kinks told from curvature.

    Left and right quotients disagree by h f'' where f is curved and by the jump of f' at a kink. Where
    they disagree by more than the tolerance the step is quartered, up to three times: curvature's share
    falls by four each time, a kink's stays, and a kink beside x is stepped over. `noisy` says that atol is
    the rounding at `step`, which grows as the step falls.
    """
    value, left, right = _sides(line, centre, step)
    gap = np.abs(right - left)
    kink, blur, ratio = np.zeros(value.shape, bool), np.ones(value.shape), np.zeros(value.shape)
    low = high = value
    doubtful = gap > atol + rtol * np.maximum(np.abs(left), np.abs(right))
    for factor in (4, 16, 64):
        if not doubtful.any():
            break
        finer, left, right = _sides(line, centre, step / factor)
        gap, before = np.abs(right - left), gap
        ratio, ratio_before = gap / np.where(before > 0, before, 1), ratio
        calm = gap <= atol * (factor if noisy else 1) + rtol * np.maximum(np.abs(left), np.abs(right))
        sharp = doubtful & ~calm & (ratio > 0.5)
        curved = doubtful & ~calm & (np.abs(ratio - 0.25) < 0.1) & (np.abs(ratio_before - 0.25) < 0.1)
        taken = doubtful & ~curved
        value, blur = np.where(taken, finer, value), np.where(taken, factor, blur)
        low = np.where(sharp, np.minimum(left, right), np.where(taken, finer, low))
        high = np.where(sharp, np.maximum(left, right), np.where(taken, finer, high))
        kink |= sharp
        doubtful &= ~(calm | sharp | curved)
    return Quotient(value, low, high, kink, blur if noisy else np.ones_like(blur))


def _sides(line: Line, centre: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    up, down = line(step), line(-step)
    return (up - down) / (2 * step), (centre - down) / step, (up - centre) / step
