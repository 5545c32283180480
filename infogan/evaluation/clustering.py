"""How well categories that were found without labels agree with labels: functions of plain arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score


def contingency(categories: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """How often category i < `k` fell on class j: (k, classes) int64, with classes 0 to the largest label."""
    table = np.zeros((k, int(labels.max()) + 1), dtype=np.int64)
    np.add.at(table, (categories, labels), 1)
    return table


def hungarian(table: np.ndarray) -> tuple[float, list[int | None]]:
    """Accuracy under the best one-to-one matching of categories to classes, and that matching.

    max over injective m of Σᵢ table[i, m(i)] / Σ table (Kuhn 1955). The list holds each category's class,
    `None` for a category left over where there are more categories than classes; its pictures count as wrong.
    """
    rows, columns = linear_sum_assignment(table, maximize=True)
    mapping: list[int | None] = [None] * len(table)
    for row, column in zip(rows, columns, strict=True):
        mapping[row] = int(column)
    return float(table[rows, columns].sum() / table.sum()), mapping


def majority(table: np.ndarray) -> float:
    """Accuracy where each category stands for its most frequent class: several may share one (purity)."""
    return float(table.max(axis=1).sum() / table.sum())


def scores(categories: np.ndarray, labels: np.ndarray, k: int) -> dict[str, Any]:
    """Agreement of `categories` (N,) in 0 to k−1 with `labels` (N,).

    `accuracy_hungarian` (one-to-one), `accuracy_majority` (many-to-one, never lower), `nmi` (mutual
    information over the mean of both entropies), `ari` (Rand index, adjusted: 0 for chance), `mapping` (the
    class of each category under the one-to-one matching).
    """
    table = contingency(categories, labels, k)
    accuracy, mapping = hungarian(table)
    return {
        "accuracy_hungarian": accuracy,
        "accuracy_majority": majority(table),
        "nmi": float(normalized_mutual_info_score(labels, categories)),
        "ari": float(adjusted_rand_score(labels, categories)),
        "mapping": mapping,
    }
