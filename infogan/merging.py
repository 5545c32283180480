"""Which categories to merge so that fewer keep much information and are even: functions of plain arrays.

`P` is the joint law (n, n) of two readings that should agree, symmetric, summing to 1. A `group` gives the new
category of each old one: (n,) int64.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from infogan.theory import entropy

EVENNESS = 6.0
"""Weight of the entropy of the categories against the information between readings, in `worth`."""


def joint(q: np.ndarray, q_moved: np.ndarray) -> np.ndarray:
    """The joint law of two readings, row n of both of one picture: (N, n) probabilities twice → (n, n) float64."""
    P = q.astype(np.float64).T @ q_moved / len(q)
    return (P + P.T) / 2


def information(P: np.ndarray) -> float:
    """I = Σ P log(P / p p'), p and p' the margins of `P`: nats."""
    expected = np.outer(P.sum(axis=1), P.sum(axis=0))
    there = P > 0
    return float((P[there] * np.log(P[there] / expected[there])).sum())


def worth(P: np.ndarray) -> float:
    """I + `EVENNESS` · H(p), p the margin of `P`: nats.

    c1 is drawn evenly, so of two divisions that keep nearly the same information the more even one is meant. A
    seven with a bar is taken for a two about as often as for a plain seven: which it joins, sizes tell.
    """
    return information(P) + EVENNESS * entropy(P.sum(axis=1))


def merged(P: np.ndarray, group: np.ndarray, k: int) -> np.ndarray:
    """The joint law of the `k` new categories: (k, k)."""
    members = np.eye(k)[group]
    return members.T @ P @ members


def merge(P: np.ndarray, k: int) -> np.ndarray:
    """The `group` of n ≥ `k` categories into `k` whose joint law is of the most `worth`.

    Two at a time, always those whose union loses the least information (the agglomerative information bottleneck
    of Slonim and Tishby 1999), then single moves and exchanges while one of them gains worth.
    """
    group = np.arange(len(P))
    for left in range(len(P), k, -1):
        group = max(_unions(group, left), key=lambda g: information(merged(P, g, left - 1)))
    best = worth(merged(P, group, k))
    better = True
    while better:
        better = False
        for other in _neighbours(group, k):
            found = worth(merged(P, other, k))
            if found > best + 1e-12:
                group, best, better = other, found, True
                break
    return group


def _unions(group: np.ndarray, k: int) -> Iterator[np.ndarray]:
    """Every way to make one of two of the `k` categories, numbered 0 to k − 2."""
    for first in range(k):
        for second in range(first + 1, k):
            union = np.where(group == second, first, group)
            yield union - (union > second)


def _neighbours(group: np.ndarray, k: int) -> Iterator[np.ndarray]:
    """`group` with one category elsewhere, or two that have changed places."""
    for i in range(len(group)):
        for new in range(k):
            if new != group[i]:
                other = group.copy()
                other[i] = new
                yield other
        for j in range(i):
            if group[i] != group[j]:
                other = group.copy()
                other[i], other[j] = group[j], group[i]
                yield other
