"""Two encoders to hold codes against: one that has learnt nothing, and one that has learnt from the factors."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from minigrad import random

COMPONENTS = 60
"""Principal components of the pictures that the supervised encoder reads."""
HIDDEN = 128
EPOCHS = 50


def random_encoder(images: np.ndarray, d: int, *, seed: int = 0) -> np.ndarray:
    """d sums of all pixels with weights N(0, 1) each, of pictures (N, C, H, W) less their mean: (N, d) float64."""
    pixels = _pixels(images)
    return pixels @ random.stream(seed, "random encoder").standard_normal((pixels.shape[1], d))


@threadpool_limits.wrap(limits=1, user_api="blas")  # the products are small: threads wait longer than they work
def supervised_encoder(images: np.ndarray, factors: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """A code a factor, by a regression that has learnt from other pictures than those it reads: (N, k) float64.

    A network of one hidden layer from the pictures' principal components to the factors as numbers; one half of the
    rows is read by the network that learnt from the other. `factors` is (N, k).
    """
    from sklearn.exceptions import ConvergenceWarning

    pixels, targets = _pixels(images), np.asarray(factors, np.float64)
    targets = (targets - targets.mean(axis=0)) / np.maximum(targets.std(axis=0), 1e-12)
    order = random.stream(seed, "halves of the supervised encoder").permutation(len(pixels))
    half = len(order) // 2
    codes = np.empty_like(targets)
    for learnt, read in ((order[:half], order[half:]), (order[half:], order[:half])):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it ends after `EPOCHS`, as it says
            regression = _regression(min(COMPONENTS, len(learnt), pixels.shape[1]), len(learnt), seed)
            regression.fit(pixels[learnt], targets[learnt])
        codes[read] = regression.predict(pixels[read]).reshape(len(read), -1)
    return codes


def _regression(components: int, rows: int, seed: int) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline

    network = MLPRegressor(
        hidden_layer_sizes=(HIDDEN,),
        learning_rate_init=0.005,
        max_iter=EPOCHS,
        batch_size=min(200, rows),
        random_state=seed,
    )
    return make_pipeline(PCA(components, whiten=True, random_state=seed), network)


def _pixels(images: np.ndarray) -> np.ndarray:
    pixels = np.asarray(images, np.float64).reshape(len(images), -1)
    return pixels - pixels.mean(axis=0)
