"""A run's pictures as a classifier sees them: beside real ones, and category by category."""

from __future__ import annotations

from typing import Any

import numpy as np

from infogan.data import Dataset
from infogan.evaluation import quality
from infogan.evaluation.classifier import Classifier
from infogan.run import Run
from minigrad import random

PER_CATEGORY = 100


def against_real(run: Run, reader: Classifier, training: Dataset, shown: Dataset, draws: int) -> dict[str, Any]:
    """`frechet` and `coverage` of `draws` fresh pictures of `run`, and of real ones for scale.

    `frechet`: the distance to real pictures `shown`, of `generated` ones and of `real` training pictures, in
    squared units of the reader's last hidden layer. All sets hold the same number of `pictures`, `draws` or as
    many as there are, since the figure falls with that number. The reader has learnt from the training
    pictures, which takes them a little further from the others than two fresh sets would be.

    `coverage`: `quality.coverage` of the `draws` pictures against the training labels, and `kl_real`, that of
    the real pictures compared with.
    """
    assert training.labels is not None
    n = min(draws, len(training), len(shown))
    fresh, real = run.G(*run.latents(draws, "quality")), _some(shown.images, n)
    features = reader.features(real)
    return {
        "frechet": {
            "generated": quality.frechet(reader.features(fresh[:n]), features),
            "real": quality.frechet(reader.features(_some(training.images, n)), features),
            "pictures": n,
        },
        "coverage": {
            **quality.coverage(reader(fresh), training.labels),
            "pictures": draws,
            "kl_real": quality.coverage(reader(real), training.labels)["kl"],
        },
    }


def of_categories(run: Run, reader: Classifier) -> dict[str, dict[str, Any]]:
    """Of every categorical code, `quality.distinct` of 100 fresh pictures a category."""
    found: dict[str, dict[str, Any]] = {}
    for name in categorical(run):
        k = run.code[name].width
        z, c = run.latents(k * PER_CATEGORY, f"categories of {name}")
        images = run.G(z, run.fix(c, name, np.arange(k).repeat(PER_CATEGORY)))
        found[name] = quality.distinct(reader(images).reshape(k, PER_CATEGORY))
    return found


def categorical(run: Run) -> list[str]:
    """The names of the categorical codes of a run."""
    return [name for name in run.code.names if run.code[name].discrete]


def _some(images: np.ndarray, n: int) -> np.ndarray:
    """`n` of the pictures, a fixed choice whatever their order."""
    return images[random.stream(0, "pictures to compare with").permutation(len(images))[:n]]
