"""What is random in a run: the noise and codes of a batch, and the order of the pictures.

Everything is drawn from `minigrad.random.stream`, keyed by the seed, a purpose and a number, so that any
update can be repeated without those before it.
"""

from __future__ import annotations

import numpy as np

from infogan.codes import Code
from infogan.config import Config
from minigrad import random


def draw_noise(config: Config, code: Code, purpose: str, step: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """z ~ Unif(−1, 1), (n, noise), and c ~ P(c), (n, code.width), float32, for `purpose` of update `step`."""
    rng = random.stream(config.seed, purpose, step)
    z = rng.uniform(-1, 1, (n, config.noise)).astype(np.float32)
    return z, code.sample(rng, n)


def draw_pairs(config: Config, code: Code, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """N = `contrastive_batch` pairs that share one variable of the code: z (2N, noise), c (2N, code.width), k (N,).

    Rows n and N + n have equal values of variable k[n], drawn evenly; all else is drawn for each by itself.
    """
    n = config.contrastive_batch
    z, c = draw_noise(config, code, "pairs", step, 2 * n)
    held = random.stream(config.seed, "what pairs share", step).integers(len(code), size=n)
    for k, columns in enumerate(code.columns):
        rows = np.flatnonzero(held == k)
        c[n + rows, columns] = c[rows, columns]
    return z, c, held


class Order:
    """Which pictures update t sees: every epoch in a new random order, batches run on across its end.

    Orders of another `purpose` are independent.
    """

    def __init__(self, seed: int, count: int, batch_size: int, purpose: str = "order") -> None:
        self.seed, self.count, self.batch_size, self.purpose = seed, count, batch_size, purpose
        self._epoch, self._permutation = -1, np.empty(0, np.int64)

    def batch(self, step: int) -> np.ndarray:
        """Indices of the pictures of update `step`, 1 the first: (batch_size,) int64."""
        places = np.arange((step - 1) * self.batch_size, step * self.batch_size)
        epochs = places // self.count
        return np.concatenate([self._order(int(e))[places[epochs == e] % self.count] for e in np.unique(epochs)])

    def _order(self, epoch: int) -> np.ndarray:
        if epoch != self._epoch:
            self._epoch = epoch
            self._permutation = random.stream(self.seed, self.purpose, epoch).permutation(self.count)
        return self._permutation
