"""Events for TensorBoard in `RUN/tensorboard`: a copy of `metrics.jsonl` and of the grids of samples.

A run that is resumed, or begun without them, has its events written anew from what the run has kept: no update
is there twice, and none is missing.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from infogan import record
from infogan.errors import InputError

FOLDER = "tensorboard"


def library() -> ModuleType:
    """The library that writes events. Raises `InputError` where it is not installed."""
    try:
        return importlib.import_module("tensorboardX")
    except ImportError:
        raise InputError(
            "--log tensorboard needs the library tensorboardX: pip install 'infogan[tensorboard]'"
        ) from None


class Events:
    """The events of the run in `run_dir`: those up to update `step` at once, later ones as they are told.

    A context, which closes the file however training ends.
    """

    def __init__(self, run_dir: Path, step: int) -> None:
        folder, lines = run_dir / FOLDER, record.read(run_dir)
        for old in folder.glob("events.out.tfevents.*"):
            old.unlink()
        self._writer = library().SummaryWriter(str(folder))
        self._begun = time.time() - (lines[-1]["seconds"] if lines else 0.0)
        for row in lines:
            self.line(row)
        for grid in sorted(record.grid_path(run_dir, 0).parent.glob("samples-*.png")):
            if (at := int(grid.stem.rpartition("-")[2])) <= step:
                self.picture(grid, at)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._writer.close()

    def line(self, row: Mapping[str, Any]) -> None:
        """The numbers of a line of `metrics.jsonl`, those of a code under its kind: `bound/c1`."""
        for name, value in _scalars(row):
            self._writer.add_scalar(name, value, row["step"], walltime=self._begun + row["seconds"])

    def picture(self, path: Path, step: int) -> None:
        """The grid of samples after update `step`."""
        import numpy as np
        from PIL import Image

        with Image.open(path) as image:
            pixels = np.asarray(image)
        self._writer.add_image("samples", pixels, step, dataformats="HW" if pixels.ndim == 2 else "HWC")


def _scalars(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for key, value in row.items():
        named = {f"{key}/{name}": one for name, one in value.items()} if isinstance(value, Mapping) else {key: value}
        yield from ((name, one) for name, one in named.items() if isinstance(one, (int, float)) and name != "step")
