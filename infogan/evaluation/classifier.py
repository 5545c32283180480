"""A classifier that has seen labels. For measurement only: nothing it says reaches a network of a run.

It names what generated pictures show, and its last hidden layer is where sets of pictures are compared. It
is trained by this engine on labelled training pictures, once a data set, and kept in the user's cache folder.

    5×5 conv /2, 16, BN, ReLU → 5×5 conv /2, 32, BN, ReLU → FC 64, BN, ReLU: the features → FC a logit a class
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg
from infogan import cache, checkpoints
from infogan.draws import Order
from infogan.errors import InputError
from infogan.moved import moved
from infogan.progress import bar
from infogan.run import in_batches
from minigrad import nn, optim, random
from minigrad.nn import functional as F
from minigrad.nn import init

VERSION = 1
"""To be raised with every change after which this file would train another classifier from the same recipe."""

FEATURES = 64
"""Entries of the last hidden layer: few, as a covariance is estimated from as few as 1,000 pictures."""


@dataclass(frozen=True)
class Recipe:
    """How long it is trained: `epochs` over the pictures, though never fewer than `least_updates`."""

    epochs: float = 6
    least_updates: int = 400
    batch_size: int = 128
    learning_rate: float = 6e-3

    def updates(self, count: int) -> int:
        """Updates on `count` pictures."""
        return max(self.least_updates, round(self.epochs * count / self.batch_size))


class Classifier:
    """Names the class of pictures (N, C, S, S) in [0, 1], S a multiple of 4; `learnt_from` pictures taught it."""

    def __init__(self, network: nn.Sequential, classes: np.ndarray, learnt_from: int) -> None:
        self._network, self._classes, self.learnt_from = network.eval(), classes, learnt_from

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """The class of each picture: (N,) int64."""
        return self._classes[in_batches(self._network, images).argmax(axis=1)]

    def features(self, images: np.ndarray) -> np.ndarray:
        """The last hidden layer of each picture: (N, 64) float32, none below 0."""
        return in_batches(self._network[:-1], images)

    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Share of `images` it names rightly."""
        return float(np.mean(self(images) == labels))


def cache_folder() -> Path:
    """Where classifiers are kept: the user's cache folder."""
    return cache.folder("classifiers")


def obtain(
    images: np.ndarray,
    labels: np.ndarray,
    recipe: Recipe | None = None,
    folder: Path | None = None,
    say: Callable[[str], None] | None = None,
) -> Classifier:
    """The classifier taught by labelled pictures (N, C, S, S) and (N,): kept from an earlier time, or trained now.

    It is kept in `folder`, by default `cache_folder()`, under the sha256 of pictures, labels and
    `recipe`. A kept file that is damaged is trained anew and a folder that cannot be written is done without;
    `say` gets a line for each, by default on standard error.
    """
    recipe = recipe or Recipe()
    say = say or (lambda line: print(line, file=sys.stderr))
    path = (folder or cache_folder()) / f"{_key(images, labels, recipe)}.safetensors"
    classes, targets = np.unique(labels, return_inverse=True)
    network = _build(images.shape, len(classes))
    if not _read(network, path, say):
        say(f"a classifier learns {len(classes)} classes from {len(images):,} labelled pictures, once, to measure with")
        _train(network, images, targets, recipe)
        _keep(network, path, recipe.updates(len(images)), say)
    return Classifier(network, classes, len(images))


def _key(images: np.ndarray, labels: np.ndarray, recipe: Recipe) -> str:
    about: dict[str, Any] = {"version": VERSION, **asdict(recipe), "shape": images.shape, "type": images.dtype.str}
    total = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for array in (images, labels):
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()[:32]


def _build(shape: tuple[int, ...], classes: int) -> nn.Sequential:
    _, channels, side, _ = shape
    network = nn.Sequential(
        nn.Conv2d(channels, 16, 5, stride=2, padding=2),
        nn.BatchNorm2d(16, activation="relu"),
        nn.Conv2d(16, 32, 5, stride=2, padding=2),
        nn.BatchNorm2d(32, activation="relu"),
        nn.Flatten(),
        nn.Linear(32 * (side // 4) ** 2, FEATURES),
        nn.BatchNorm1d(FEATURES, activation="relu"),
        nn.Linear(FEATURES, classes),
    )
    rng = random.stream(0, "weights of the classifier")
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=rng)
            init.zeros_(layer.bias)
    return network


def _train(network: nn.Sequential, images: np.ndarray, targets: np.ndarray, recipe: Recipe) -> None:
    """Adam under a cosine, on slightly moved pictures: a few thousand stand for many more."""
    updates = recipe.updates(len(images))
    optimiser = optim.Adam(network.parameters(), recipe.learning_rate)
    rate = optim.lr_scheduler.CosineAnnealingLR(optimiser, updates)
    order = Order(0, len(images), recipe.batch_size)
    for update in bar(range(1, updates + 1), desc="classifier"):
        chosen = order.batch(update)
        x = moved(images[chosen], random.stream(0, "movements of the classifier", update))
        loss = F.cross_entropy(network(mg.Tensor(x)), mg.Tensor(targets[chosen]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()


def _read(network: nn.Sequential, path: Path, say: Callable[[str], None]) -> bool:
    """Whether the file at `path` was there and whole, and its weights are now the network's."""
    if not path.exists():
        return False
    try:
        network.load_state_dict(checkpoints.read(path).part("classifier"))
    except (InputError, ValueError, OSError) as error:
        say(f"{error}; the classifier is trained anew")
        return False
    return True


def _keep(network: nn.Sequential, path: Path, step: int, say: Callable[[str], None]) -> None:
    try:
        checkpoints.write(path, {"classifier": network.state_dict()}, {"step": step})
    except OSError as error:
        say(f"{path}: cannot be written ({error.strerror or error}); the classifier is not kept")
