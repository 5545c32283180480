"""How fast a run will go on this machine, told before its first update."""

from __future__ import annotations

import statistics
import time

import numpy as np

from infogan.progress import duration, slow
from infogan.training import Trainer
from infogan.update import NotFinite

UPDATES = 5
BUDGET = 2.0
"""Seconds of timed updates after which no further one begins; a first one there always is."""


def of(trainer: Trainer) -> str | None:
    """Updates a second and the time that is left, measured on a copy: the run itself does not move.

    One update warms up, the median of up to five is taken. `None` where no update is left, and where a loss is
    not finite, which the run itself meets at the same update and tells better.
    """
    left = trainer.config.steps - trainer.step
    if left < 1:
        return None
    copy = trainer.copy()
    try:
        with np.errstate(all="ignore"):  # as in training
            copy.advance()
            taken = _times(copy)
    except NotFinite:
        return None
    seconds = statistics.median(taken)
    return f"{_rate(seconds)}: about {duration(left * seconds)} for {left:,} updates"


def _times(copy: Trainer) -> list[float]:
    taken: list[float] = []
    updates = range(UPDATES)
    for _ in updates if copy.across.rank else slow(updates, "timing updates", " updates"):
        begun = time.perf_counter()
        copy.advance()
        taken.append(time.perf_counter() - begun)
        if copy.across.any(sum(taken) > BUDGET):
            break
    return taken


def _rate(seconds: float) -> str:
    return f"{1 / seconds:.3g} updates/s" if seconds < 1 else f"{seconds:.3g} s an update"
