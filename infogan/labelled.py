"""A few labelled pictures that tie c1 to classes: category k to class k.

Labels are looked at only where a run asks for some (`labelled` above 0). Which pictures are labelled follows from
the seed and is as even over the classes as it can be; the labels of all others are never learnt from. Q learns from
moved copies of them, a new one in every update: a few hundred pictures themselves are soon known by heart.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from infogan.codes import Code
from infogan.data import Dataset
from infogan.errors import InputError
from minigrad import random

PURPOSE = "labelled pictures"
"""The random stream that chooses them."""


@dataclass(frozen=True)
class Labelled:
    """Places of the labelled pictures among those trained on, (N,) int64, and the class of each, (N,) int64."""

    places: np.ndarray
    classes: np.ndarray

    @property
    def sha256(self) -> str:
        """Of places and classes: what a resumed run must find again."""
        return hashlib.sha256(np.stack([self.places, self.classes]).tobytes()).hexdigest()

    def one_hot(self, k: int) -> np.ndarray:
        """The value of c1 that each picture is to have: (N, k) float32."""
        return np.eye(k, dtype=np.float32)[self.classes]


def choose(data: Dataset, code: Code, n: int, seed: int) -> Labelled:
    """`n` pictures of `data`: one of every class, then another of every class, until there are `n`.

    Within a class, and of the last round which classes, the choice is that of `seed`. Raises `InputError` where
    there are no labels, too few pictures, fewer than one a class, or classes that the first categorical variable of
    `code` has no category for.
    """
    if data.labels is None:
        raise InputError(f"labelled: {data.name} has no labels: give labelled pictures as --data, or labelled 0")
    name = code.first_categorical
    assert name is not None
    k, last = code[name].width, int(data.labels.max())
    if last >= k or data.labels.min() < 0:
        raise InputError(
            f"labelled: {data.name} has classes to {last} and {name} has categories 0 to {k - 1}: write cat:{last + 1}"
        )
    classes = len(np.unique(data.labels))
    if not classes <= n <= len(data):
        raise InputError(f"labelled: {n} is not from {classes} (one a class) to {len(data):,}, all of {data.name}")
    shuffled = random.stream(seed, PURPOSE, 0).permutation(len(data))
    of_shuffled = data.labels[shuffled]
    rounds = np.empty(len(data), np.int64)
    for label in np.unique(of_shuffled):
        mine = np.flatnonzero(of_shuffled == label)
        rounds[mine] = np.arange(len(mine))
    places = np.sort(shuffled[np.argsort(rounds, kind="stable")[:n]])
    return Labelled(places, data.labels[places].astype(np.int64))


def in_class_order(group: np.ndarray, q: np.ndarray, classes: np.ndarray, k: int) -> np.ndarray:
    """`group` (n,), the category of each finer one, with categories numbered as the classes they read.

    `q` (N, n) are the fine readings of labelled pictures of `classes` (N,); of all one-to-one matchings the one
    under which labelled pictures are most often read as their class (Kuhn 1955).
    """
    from scipy.optimize import linear_sum_assignment

    table = (q @ np.eye(k)[group]).T @ np.eye(k)[classes]
    _, of_category = linear_sum_assignment(table, maximize=True)
    found: np.ndarray = of_category[group]
    return found
