"""What a bench keeps: a line a contestant, round by round, with all that is needed to read it; as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from kernels.registry import KernelError


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Ceiling(_Strict):
    """What the machine can do with some number of threads: FLOP/s of a product and bytes/s of a stream."""

    device: str
    threads: int
    dtype: str
    flops_per_second: float
    bytes_per_second: float
    rates: dict[str, float]
    """FLOP/s of the product through each library."""

    def least_seconds(self, flops: float, bytes_: float) -> float:
        """The roofline: no less time than the products need, and no less than the memory needs."""
        return max(flops / self.flops_per_second, bytes_ / self.bytes_per_second)


class Line(_Strict):
    """One contestant on one pass of one problem."""

    op: str
    shape: str
    which: str
    dtype: str
    threads: int
    device: str
    layout: str
    cache: str
    name: str
    kind: str
    flops: int
    bytes: int
    first_call: float
    """Seconds of the first call, with whatever is compiled or loaded then."""
    rounds: list[list[float]]
    """Seconds of a call, sample by sample, for each round."""
    note: str = ""
    fault: str = ""
    """What is wrong with it; then nothing was timed after that."""

    @property
    def problem(self) -> tuple[Any, ...]:
        """What two lines must share to be compared."""
        return (
            self.op, self.shape, self.which, self.dtype, self.threads, self.device, self.layout, self.cache,
        )  # fmt: skip

    @property
    def medians(self) -> np.ndarray:
        """The median of each round, seconds."""
        return np.array([np.median(r) for r in self.rounds if r])

    @property
    def median(self) -> float:
        """Median of all samples, seconds."""
        return float(np.median(np.concatenate(self.rounds)))

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles of all samples, as a share of the median."""
        low, high = np.percentile(np.concatenate(self.rounds), [25, 75])
        return float(high - low) / 2 / self.median


class Results(_Strict):
    """A whole bench: the machine, its ceilings, the lines."""

    machine: dict[str, Any]
    ceilings: list[Ceiling]
    lines: list[Line]

    def ceiling(self, line: Line) -> Ceiling | None:
        """The ceiling that belongs to `line`, if it was measured."""
        key = (line.device, line.threads, line.dtype)
        return next((c for c in self.ceilings if (c.device, c.threads, c.dtype) == key), None)

    def share(self, line: Line) -> float | None:
        """Of the ceiling: the least time the roofline allows over the median time."""
        ceiling = self.ceiling(line)
        return None if ceiling is None else ceiling.least_seconds(line.flops, line.bytes) / line.median


def write(results: Results, path: str | Path) -> None:
    """Write `results` as JSON."""
    try:
        Path(path).write_text(results.model_dump_json(indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise KernelError(f"{path}: cannot be written: {error.strerror}") from None


def read(path: str | Path) -> Results:
    """What `write` wrote. Raises `KernelError` for a file that is missing or something else."""
    try:
        return Results.model_validate(json.loads(Path(path).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise KernelError(f"{path}: no such file; `python -m kernels bench --json FILE` writes one") from None
    except (OSError, ValueError, ValidationError, RecursionError):
        raise KernelError(f"{path}: not the JSON that `python -m kernels bench --json` writes") from None


def merge(parts: Iterable[Results]) -> Results:
    """Several benches of the same program on the same machine as one with all their rounds."""
    first, *rest = parts
    lines = {(*line.problem, line.name): line.model_copy(deep=True) for line in first.lines}
    for part in rest:
        for line in part.lines:
            if (found := lines.get((*line.problem, line.name))) is not None:
                found.rounds += line.rounds
                found.fault = found.fault or line.fault
    return Results(machine=first.machine, ceilings=first.ceilings, lines=list(lines.values()))
