"""An update with the user's kernels beside one with the defaults: what a kernel is worth in training.

The updates timed are the run's next ones, on copies of its networks and optimisers: the run itself does not move.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from contextlib import nullcontext

import numpy as np

import kernels
from infogan.training import Trainer
from infogan.update import NotFinite

ROUNDS = 5
BUDGET = 10.0
"""Seconds of timed updates after which no further round begins; a first round there always is."""


def beside_defaults(trainer: Trainer, mine: Mapping[str, str], name: str) -> str | None:
    """Time the run's next updates with the kernels in force and without those of `mine`, in turns.

    `mine` is operation → implementation, as the file `name` registered them. Each side goes through the same
    updates, one to warm up (and compile), then up to five. Returns a line with the two medians in seconds and
    their ratio; `None` where another choice replaced every kernel of `mine`, where no update is left to time,
    and where a loss is not finite, which the run itself meets at the same update and tells better.
    """
    in_force = kernels.chosen(trainer.device)
    mine = {op: kernel for op, kernel in mine.items() if in_force[op] == kernel}
    if not mine or trainer.step >= trainer.config.steps:
        return None
    sides: dict[str, tuple[Trainer, dict[str, None]]] = {
        "mine": (trainer.copy(), {}),
        "defaults": (trainer.copy(), dict.fromkeys(mine)),
    }
    try:
        with np.errstate(all="ignore"):  # as in training
            taken = _times(sides)
    except NotFinite:
        return None
    own, default = (statistics.median(taken[side]) for side in sides)
    used = ", ".join(f"{op}={kernel}" for op, kernel in mine.items())
    return (
        f"an update: {own:.3g} s with {name} ({used}), {default:.3g} s with the defaults: ratio {own / default:.2f} "
        f"(medians of {len(taken['mine'])} each, in turns)"
    )


def _times(sides: Mapping[str, tuple[Trainer, dict[str, None]]]) -> dict[str, list[float]]:
    from tqdm import tqdm

    taken: dict[str, list[float]] = {side: [] for side in sides}
    with tqdm(total=2 * (ROUNDS + 1), desc="timing kernels", unit=" updates", leave=False, delay=1) as bar:
        for turn in range(ROUNDS + 1):
            for side, (copy, without) in sides.items():
                with kernels.use(**without) if without else nullcontext():
                    begun = time.perf_counter()
                    copy.advance()
                    seconds = time.perf_counter() - begun
                bar.update()
                if turn:
                    taken[side].append(seconds)
            if sum(map(sum, taken.values())) > BUDGET:
                break
    return taken
