"""How good generated pictures are: functions of plain arrays, of features and classes that a classifier gave.

Nothing here is free of the number of pictures: compare figures taken on equally many.
"""

from __future__ import annotations

from typing import Any

import numpy as np

PRESENT = 0.01
"""A class is present where it has at least this share of what the data would give it."""


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """The squared Fréchet distance of two sets of features, (N, F) and (M, F), taken for normally distributed.

    ‖μ − μ'‖² + tr(S + S' − 2 (S S')^½) (Dowson and Landau 1982; of generated and real pictures: Heusel et al.
    2017), in squared units of the features. Its expectation for two sets of one kind is above 0 and falls
    about as 1/N.

    With RᵀR = S, R from the QR decomposition of the centred features, tr (S S')^½ is the sum of the singular
    values of R R'ᵀ: no root is taken of a matrix, so features that do not vary do no harm.
    """
    mean_a, root_a = _mean_and_root(a)
    mean_b, root_b = _mean_and_root(b)
    common = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    distance = ((mean_a - mean_b) ** 2).sum() + (root_a**2).sum() + (root_b**2).sum() - 2 * common
    return float(max(distance, 0.0))


def _mean_and_root(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """μ (F,) and R (min(N, F), F) with RᵀR the unbiased covariance, in float64."""
    x = np.asarray(features, dtype=np.float64)
    if x.ndim != 2 or len(x) < 2:
        raise ValueError(f"features have shape {x.shape}: (N, F) with N of 2 or more is needed")
    mean = x.mean(axis=0)
    root = np.linalg.qr((x - mean) / np.sqrt(len(x) - 1)).R
    return mean, root


def coverage(readings: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Which classes of the data, given by their `labels`, appear among `readings`, and how evenly; both (N,).

    `classes`: how many the data have; `present`: how many have at least 1 % of the pictures the data would
    give them; `missing`: the others; `kl`: Σ q ln(q/p) in nats, q the shares among `readings` and p those of
    the data. 0 is the data's own mixture; one class alone of ten equal ones is ln 10. N readings drawn from
    the data themselves give (classes − 1)/(2N) on average.

    Raises `ValueError` for a reading that is no class of the data.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if not np.isin(readings, classes).all():
        raise ValueError("a reading names a class that the data do not have")
    p = counts / counts.sum()
    q = (readings[:, None] == classes).mean(axis=0)
    present = q >= PRESENT * p
    return {
        "classes": len(classes),
        "present": int(present.sum()),
        "missing": classes[~present].tolist(),
        "kl": float(sum(share * np.log(share / of) for share, of in zip(q, p, strict=True) if share > 0)),
    }


def distinct(readings: np.ndarray) -> dict[str, Any]:
    """What the pictures of each category show, from the class of each: `readings` is (categories, pictures).

    `classes`: each category's most frequent class; `purity`: the share of its pictures that show it;
    `distinct_digits`: how many different classes the categories show.
    """
    counts = [np.bincount(row) for row in readings]
    classes = [int(count.argmax()) for count in counts]
    return {
        "distinct_digits": len(set(classes)),
        "classes": classes,
        "purity": [float(count.max() / len(row)) for count, row in zip(counts, readings, strict=True)],
    }
