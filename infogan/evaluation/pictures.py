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


class Real:
    """Real pictures that generated ones are held against, and their own figures for scale.

    `frechet` is the distance of `training` pictures to those `shown`, in squared units of the reader's last hidden
    layer; both sets hold the same number of `pictures`, `draws` or as many as there are, since the figure falls
    with that number. The reader has learnt from the training pictures, which takes them a little further from
    the others than two fresh sets would be. `kl` is that of `quality.coverage`.
    """

    def __init__(self, reader: Classifier, training: Dataset, shown: Dataset, draws: int) -> None:
        assert training.labels is not None
        self.reader, self.labels, self.draws = reader, training.labels, draws
        self.pictures = min(draws, len(training), len(shown))
        real = _some(shown.images, self.pictures)
        self._features = reader.features(real)
        self.frechet = quality.frechet(reader.features(_some(training.images, self.pictures)), self._features)
        self.kl = quality.coverage(reader(real), self.labels)["kl"]

    def beside(self, run: Run) -> dict[str, Any]:
        """`frechet` and `coverage` of fresh pictures of `run`, and of real ones for scale.

        `frechet`: the distance to the real pictures, of `generated` ones and of `real` ones, on so many `pictures`.
        `coverage`: `quality.coverage` of `draws` pictures against the training labels, and `kl_real`.
        """
        fresh = run.G(*run.latents(self.draws, "quality"))
        generated = quality.frechet(self.reader.features(fresh[: self.pictures]), self._features)
        shares = quality.coverage(self.reader(fresh), self.labels)
        return {
            "frechet": {"generated": generated, "real": self.frechet, "pictures": self.pictures},
            "coverage": {**shares, "pictures": self.draws, "kl_real": self.kl},
        }


def of_categories(run: Run, reader: Classifier) -> dict[str, dict[str, Any]]:
    """Of every categorical code, `quality.distinct` of 100 fresh pictures a category."""
    found: dict[str, dict[str, Any]] = {}
    for name in run.code.categorical:
        k = run.code[name].width
        z, c = run.latents(k * PER_CATEGORY, f"categories of {name}")
        images = run.G(z, run.fix(c, name, np.arange(k).repeat(PER_CATEGORY)))
        found[name] = quality.distinct(reader(images).reshape(k, PER_CATEGORY))
    return found


def _some(images: np.ndarray, n: int) -> np.ndarray:
    """`n` of the pictures, a fixed choice whatever their order."""
    return images[random.stream(0, "pictures to compare with").permutation(len(images))[:n]]
