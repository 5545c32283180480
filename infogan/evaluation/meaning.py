"""What a continuous code means: how far a property of the picture follows it. Functions of plain arrays.

A sweep moves one code over evenly spaced values with all else fixed. `rho` says whether a property rises
(or falls) steadily with the code, `effect` how much, in units of the spread real digits show.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata


def rho(sweeps: np.ndarray) -> float:
    """|mean over sweeps of the signed Spearman ρ| between a property and its place in the sweep.

    `sweeps` is (sweeps, steps). A property that does not move within a sweep has ρ = 0 there. Signed values
    are averaged: a property that rises in half of the sweeps and falls in the others gets 0.
    """
    ranks = rankdata(sweeps, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    steps = np.arange(sweeps.shape[1]) - (sweeps.shape[1] - 1) / 2
    scale = np.sqrt((ranks**2).sum(axis=1) * (steps**2).sum())
    each = np.divide(ranks @ steps, scale, out=np.zeros(len(sweeps)), where=scale > 0)
    return float(abs(each.mean()))


def effect(sweeps: np.ndarray, spread: float) -> float:
    """Median over sweeps of a property's range within the sweep, divided by `spread`."""
    return float(np.median(np.ptp(sweeps, axis=1)) / spread)


def within_class_deviation(values: np.ndarray, labels: np.ndarray) -> float:
    """√ of the mean squared distance of `values` (N,) from the mean of their class, NaN left out."""
    known = np.isfinite(values)
    values, labels = values[known], labels[known]
    totals = np.bincount(labels, weights=values)
    counts = np.bincount(labels)
    return float(np.sqrt(np.mean((values - (totals / np.maximum(counts, 1))[labels]) ** 2)))


def follow(sweeps: np.ndarray, spread: float) -> dict[str, float | int | None]:
    """`rho` and `effect` of a property over `sweeps` (sweeps, steps), and on how many sweeps they rest.

    A sweep with a picture that lacks the property (NaN) is left out; with none left both are `None`.
    """
    whole = sweeps[np.isfinite(sweeps).all(axis=1)]
    if not len(whole) or not spread > 0:
        return {"rho": None, "effect": None, "sweeps": len(whole)}
    return {"rho": rho(whole), "effect": effect(whole, spread), "sweeps": len(whole)}


def assign(effects: Mapping[str, Mapping[str, float | None]]) -> dict[str, dict[str, str | float | None]]:
    """Which property each code stands for: one each, so that the sum of effects is largest.

    `effects[code][property]`. `cross` is the largest effect of another code on that property over the
    code's own: 0 where no other code moves it, `None` where there is no other code.
    """
    codes = list(effects)
    properties = list(effects[codes[0]])
    table = np.array([[effects[code][p] or 0.0 for p in properties] for code in codes])
    found: dict[str, dict[str, str | float | None]] = {}
    for row, column in zip(*linear_sum_assignment(table, maximize=True), strict=True):
        own, others = table[row, column], np.delete(table[:, column], row)
        cross = float(others.max() / own) if len(others) and own > 0 else None
        found[codes[row]] = {"property": properties[column], "cross": cross}
    return found
