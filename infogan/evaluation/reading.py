"""What generated pictures show, read by a classifier that has seen labels. For measurement only.

A support vector machine (Cortes and Vapnik 1995) on the pixels of labelled training pictures; nothing it
says reaches a network.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.svm import SVC

MOST = 5000
"""Labelled pictures it learns from at most: enough for 95 % of real digits, and two seconds."""


class Reader:
    """Learns classes from labelled pictures (N, C, H, W), then names the class of others."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.learnt_from = min(MOST, len(images))
        self._machine = SVC(C=5.0).fit(_flat(images[:MOST]), labels[:MOST])

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """The class of each picture: (N,) int64."""
        return self._machine.predict(_flat(images))

    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Share of `images` it names rightly, on at most 5,000 of them."""
        return float(np.mean(self(images[:MOST]) == labels[:MOST]))


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


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1)
