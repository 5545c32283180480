"""How strongly what Q reads goes with something known of the pictures: functions of plain arrays.

| reading of Q | numbers | words |
|---|---|---|
| continuous: its mean | `rho`, Spearman's rank correlation, −1 to 1 | `eta2`, 0 to 1 |
| categorical: the most probable category | `eta2`, 0 to 1 | `nmi`, 0 to 1 |

`eta2`, the correlation ratio η², is the share of the variance of the numbers' ranks that lies between the groups;
`nmi` is the mutual information over the mean of both entropies. With few pictures η² and NMI are above 0 by chance
alone, so each value comes with what shuffled pictures give.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.stats import rankdata
from sklearn.metrics import normalized_mutual_info_score

from minigrad import random

Kind = Literal["rho", "eta2", "nmi"]
NAMES: dict[str, str] = {
    "rho": "rank correlation ρ",
    "eta2": "correlation ratio η²",
    "nmi": "normalised mutual information",
}

SHUFFLES = 100
"""Times one side is shuffled to see what chance gives."""
FEWEST = 3
"""Pictures below which nothing is said."""


@dataclass(frozen=True)
class Association:
    """`value` of the measure `kind` on so many `pictures`, and what 19 in 20 shuffles stay below in magnitude."""

    kind: Kind
    value: float
    chance: float
    pictures: int

    @property
    def beyond_chance(self) -> bool:
        """Whether it is more than shuffled pictures give."""
        return abs(self.value) > self.chance

    def as_json(self) -> dict[str, Any]:
        """For a JSON file."""
        return {"measure": self.kind, "value": self.value, "chance": self.chance, "pictures": self.pictures}


def associate(reading: np.ndarray, known: np.ndarray) -> Association | None:
    """`reading` (N,), floats or integer categories, beside `known` (N,), floats (NaN: not known) or words ("": not).

    `None` where one of them does not vary, or fewer than `FEWEST` pictures have both.
    """
    there = known != "" if known.dtype.kind == "U" else np.isfinite(known)
    reading, known = reading[there], known[there]
    if len(known) < FEWEST or _same(reading) or _same(known):
        return None
    kind, of, fixed, moved = _measure(reading, known)
    rng = random.stream(0, "shuffles of association")
    by_chance = [abs(of(fixed, moved[rng.permutation(len(moved))])) for _ in range(SHUFFLES)]
    return Association(kind, of(fixed, moved), float(np.quantile(by_chance, 0.95)), len(known))


def _same(values: np.ndarray) -> bool:
    return bool((values == values[0]).all())


def _measure(reading: np.ndarray, known: np.ndarray) -> tuple[Kind, Callable[..., float], np.ndarray, np.ndarray]:
    """The measure that fits, its function, and the two arrays as that takes them."""
    words, categories = known.dtype.kind == "U", reading.dtype.kind in "iu"
    if words:
        known = np.unique(known, return_inverse=True)[1]
    if words and categories:
        return "nmi", lambda a, b: float(normalized_mutual_info_score(a, b)), known, reading
    if words:
        return "eta2", correlation_ratio, known, rankdata(reading)
    if categories:
        return "eta2", correlation_ratio, reading, rankdata(known)
    return "rho", _pearson, rankdata(reading), rankdata(known)


def correlation_ratio(groups: np.ndarray, values: np.ndarray) -> float:
    """η²: Σ over groups of n_g (mean_g − mean)² over Σ (value − mean)²; `groups` (N,) integers from 0."""
    off = values - values.mean()
    counts, sums = np.bincount(groups), np.bincount(groups, weights=off)
    between = (sums**2 / np.maximum(counts, 1)).sum()
    return float(between / (off**2).sum())


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))
