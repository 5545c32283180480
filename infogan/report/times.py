"""Where an update's time goes: a few updates of a copy of a run's networks, every operation timed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

import infogan.data
import kernels
import minigrad as mg
from infogan.errors import InputError
from infogan.run import Run
from infogan.training import Trainer
from infogan.update import NotFinite
from minigrad.hooks import Profile, Row

UPDATES = 3
MOST_ROWS = 12


@dataclass(frozen=True)
class Times:
    """The time of `UPDATES` updates on this machine's CPU: `wall` seconds in all, and by operation."""

    profile: Profile
    wall: float
    threads: int

    @property
    def rows(self) -> Iterator[tuple[str, str, float, float, float]]:
        """Operation, direction, calls and milliseconds an update, share of the whole; the rest last."""
        rows = self.profile.rows
        for row in rows[:MOST_ROWS]:
            yield row.operation, row.phase, row.calls / UPDATES, self._ms(row.seconds), row.seconds / self.wall
        rest = rows[MOST_ROWS:]
        if rest:
            yield self._together(f"{len(rest)} smaller ones", rest)
        outside = max(self.wall - self.profile.seconds, 0.0)
        yield "outside of operations", "", 0.0, self._ms(outside), outside / self.wall

    @property
    def update_ms(self) -> float:
        """Milliseconds of one update."""
        return self._ms(self.wall)

    def _ms(self, seconds: float) -> float:
        return seconds * 1000 / UPDATES

    def _together(self, name: str, rows: list[Row]) -> tuple[str, str, float, float, float]:
        seconds = sum(row.seconds for row in rows)
        return name, "", sum(row.calls for row in rows) / UPDATES, self._ms(seconds), seconds / self.wall


def measure(run: Run) -> Times:
    """Time `UPDATES` updates after one that is not counted; the run's own networks do not move.

    Raises `InputError` where the run's data are gone, or an update gives no finite number.
    """
    trainer = Trainer(run.config, infogan.data.load(run.config.data, frame=run.config.frame))
    trainer.networks.load_state_dict(run.networks.state_dict())
    try:
        with np.errstate(all="ignore"):
            trainer.advance()
            begun = time.perf_counter()
            with mg.profile() as profile:
                for _ in range(UPDATES):
                    trainer.advance()
    except NotFinite as error:
        raise InputError(f"an update cannot be timed: {error}") from None
    return Times(profile, time.perf_counter() - begun, kernels.get_num_threads())
