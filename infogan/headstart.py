"""A head start: before the game, trunk and Q learn with no label to tell real pictures apart.

In the game the categories of c1 settle early, and where one takes two kinds of picture while another kind is
torn in two, no small step leads out again. A finer division is found with fewer such accidents: here some heads
with more categories than c1 learn on the trunk by `objective.invariance` alone, those of each are merged into as
many as c1 has (`merging`), and Q learns to read c1 as the head does whose merged categories are worth the most.
Where a run has labelled pictures, they decide which of the merged categories is which.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import numpy as np

import minigrad as mg
from infogan import merging, objective
from infogan.codes import Code
from infogan.config import Config
from infogan.draws import Order
from infogan.errors import Interrupted
from infogan.labelled import Labelled, in_class_order
from infogan.moved import moved
from infogan.networks import Networks, mnist, trunk_width
from infogan.parallel import Alone
from infogan.progress import bar
from infogan.update import ALONE, NotFinite
from minigrad import nn, optim, random
from minigrad.nn import functional as F

HEADS = 5
"""Divisions found side by side on one trunk: now and then one holds two kinds together, and shows it by its worth."""
LEARNING_RATE = 5e-4
"""At the first update, falling to nothing in a line: divisions still sway from update to update at the full rate."""
LOOKED_AT = 5000
"""Pictures on whose moved copies the joint law of readings is measured, and from which Q learns it."""
FIT_STEPS, FIT_RATE = 200, 1e-3
PURPOSE = "head start 0"
"""What the names of its random streams begin with."""
BATCH = 500


@dataclass
class HeadStart:
    """The fine heads on the trunk, and the updates that train all of it.

    `images` are training pictures (N, C, H, W); everything is decided by the seed of `config`. Several processes,
    `across`, share the batches of its updates; merging and Q's lessons each does for itself, with the same result.
    """

    config: Config
    networks: Networks
    images: np.ndarray
    device: str = "cpu"
    labelled: Labelled | None = None
    across: Alone = ALONE

    def __post_init__(self) -> None:
        config = self.config
        self.fine = Code.parse(f"{HEADS}xcat:{config.head_start_categories}")
        self.head = nn.Linear(trunk_width(config), self.fine.parameters)
        mnist.initialise(self.head, self._stream("weights", 0))
        self.head.to(self.device)
        trained = [*self.networks.trunk.parameters(), *self.head.parameters()]
        self.optimiser = optim.Adam(trained, LEARNING_RATE, (config.beta1, config.beta2))
        self.rate = optim.lr_scheduler.LinearLR(self.optimiser, 1.0, 0.0, config.head_start)
        self.order = Order(config.seed, len(self.images), config.invariance_batch, f"{PURPOSE} order")

    def take(self, *, stop: threading.Event, progress: bool) -> float:
        """All updates that the configuration asks for, then `finish`: the information kept, in nats.

        Raises `Interrupted` where `stop` is set on the way, in any process, and `NotFinite`.
        """
        for step in bar(range(1, self.config.head_start + 1), desc="head start", disable=not progress):
            self.advance(step)
            if self.across.any(stop.is_set()):
                raise Interrupted("stopped in the head start, of which nothing is kept: --resume begins it again")
        return self.finish()

    def advance(self, step: int) -> float:
        """Update `step`, the first being 1: the information between two readings of a batch, nats, the heads' mean."""
        with self.across.agreed():
            pictures = self.images[self.order.batch(step)]
            copies = moved(np.concatenate([pictures, pictures]), self._stream("movements", step))
        reading = self.head(self.networks.trunk(self._tensor(self.across.share_of_pairs(copies))))
        terms = objective.invariance(self.fine, reading, self.across)
        term = objective.weighted(terms, [1 / HEADS] * HEADS)
        if not math.isfinite(term.item()):
            raise NotFinite(f"the information of update {step} of the head start is {term.item()}")
        self.optimiser.zero_grad()
        (-term).backward()
        self.across.mean_(p for group in self.optimiser.param_groups for p in group["params"])
        self.optimiser.step()
        self.rate.step()
        return term.item()

    def finish(self) -> float:
        """Merge the fine categories and teach Q to read c1 as they are merged: the information kept, in nats.

        It is measured between evaluation-mode readings of two moved copies of 5,000 training pictures, and is
        at most log K. Runs that came out whole show more of it than those where categories are mixed.
        """
        code = self.config.code
        (rows,) = (s for s, variable in zip(code.outputs, code, strict=True) if variable.discrete)
        k = rows.stop - rows.start
        features, q = self._readings()
        half = len(q) // 2
        laws = [merging.joint(q[:half, head], q[half:, head]) for head in self.fine.outputs]
        groups = [merging.merge(P, k) for P in laws]
        best = np.argmax([merging.worth(merging.merged(P, g, k)) for P, g in zip(laws, groups, strict=True)])
        head, P, group = self.fine.outputs[best], laws[best], groups[best]
        if self.labelled is not None:
            _, known = self._read(self.images[self.labelled.places])
            group = in_class_order(group, known[:, head], self.labelled.classes, k)
        self._teach(rows, features, q[:, head] @ np.eye(k)[group])
        return merging.information(merging.merged(P, group, k))

    def _readings(self) -> tuple[np.ndarray, np.ndarray]:
        """What the trunk makes of moved copies (2N, ·) and fine readings (2N, ·), n and N + n of one picture."""
        pictures = self.images[:LOOKED_AT]
        return self._read(moved(np.concatenate([pictures, pictures]), self._stream("look", 0)))

    def _read(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the trunk makes of pictures (n, ·), and all heads' readings, side by side, in evaluation mode."""
        self.networks.eval()
        with mg.no_grad():
            found = [self.networks.trunk(self._tensor(images[at : at + BATCH])) for at in range(0, len(images), BATCH)]
            heads = [self.head(features) for features in found]
            readings = [[of[:, head].softmax(1).numpy() for head in self.fine.outputs] for of in heads]
        self.networks.train()
        return np.concatenate([f.numpy() for f in found]), np.block(readings)

    def _teach(self, columns: slice, features: np.ndarray, q: np.ndarray) -> None:
        """Q's head learns to give the readings `q` (N, k) in `columns` for what the trunk made: cross-entropy."""
        Q_head = self.networks.Q_head
        optimiser = optim.Adam(Q_head.parameters(), FIT_RATE)
        order = Order(self.config.seed, len(q), min(BATCH, len(q)), f"{PURPOSE} lessons")
        for step in range(1, FIT_STEPS + 1):
            batch = order.batch(step)
            target = self._tensor(q[batch].astype(np.float32))
            log_q = F.log_softmax(Q_head(self._tensor(features[batch]))[:, columns], dim=1)
            optimiser.zero_grad()
            (-(log_q * target).sum(1).mean()).backward()
            optimiser.step()

    def _stream(self, purpose: str, step: int) -> np.random.Generator:
        return random.stream(self.config.seed, f"{PURPOSE} {purpose}", step)

    def _tensor(self, array: np.ndarray) -> mg.Tensor:
        return mg.tensor(array, device=self.device)
