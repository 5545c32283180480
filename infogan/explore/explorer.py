"""The page's questions about a run, answered in plain dictionaries: no HTTP here."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from infogan import figures, record
from infogan.codes import Categorical, Variable
from infogan.errors import InputError
from infogan.explore import pictures
from infogan.run import Run

MOST_CATEGORIES = 12
"""Categories in a row or column of the grid; of more, those beside the chosen one."""
MOST_POINTS = 400
"""Points of a curve: more than a screen has columns for."""
_GRID_VALUES = 1 << 20
"""Values of pictures G makes at once for a grid, which bounds the memory of large ones."""


class Noise(BaseModel):
    """z of one picture: that of `seed`, moved by the share `mix` of the way towards that of `towards`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    seed: int = Field(ge=0, lt=2**63)
    towards: int = Field(default=0, ge=0, lt=2**63)
    mix: float = Field(default=0.0, ge=0, le=1)


class Asked(BaseModel):
    """A picture: a value for every code (a category's number, or a real value) and a noise."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    codes: dict[str, float]
    noise: Noise


class AskedGrid(Asked):
    """A grid around a picture: `across` takes its values from column to column, `down` from row to row."""

    across: str
    down: str | None = None


class Explorer:
    """A run on show. Nothing it is asked changes anything; one question is computed at a time."""

    def __init__(self, run: Run) -> None:
        self.run, self.code = run, run.code
        self._one_at_a_time = threading.Lock()

    def warm_up(self) -> None:
        """Ask for one picture, so that no visitor waits for kernels to be compiled."""
        z, c = self.run.latents(1, "explore")
        self._read(self.run.G(z, c))

    def about(self) -> dict[str, Any]:
        """What the page needs to know to draw its controls."""
        config = self.run.config
        return {
            "name": self.run.folder.resolve().name,
            "folder": str(self.run.folder),
            "step": self.run.step,
            "data": config.data.replace("\\", "/").rpartition("/")[2],
            "side": config.image_size,
            "channels": config.channels,
            "noise": config.noise,
            "sigma": config.sigma,
            "codes": [_describe(name, v) for name, v in zip(self.code.names, self.code, strict=True)],
        }

    def picture(self, asked: Asked) -> dict[str, Any]:
        """The picture asked for, and what Q and D make of it."""
        with self._one_at_a_time:
            image = self.run.G(self._noise(asked.noise), self._codes(asked.codes))
            return {"picture": _data_url(figures.bytes_of(image)[0]), **self._read(image)}

    def grid(self, asked: AskedGrid) -> dict[str, Any]:
        """Pictures of every pair of values of two codes, one below the other in a single strip, row by row."""
        if asked.across == asked.down:
            raise InputError(f"the grid: {asked.across} is asked for twice: choose two codes")
        c, z = self._codes(asked.codes), self._noise(asked.noise)
        columns = self._values(asked.across, asked.codes)
        rows = self._values(asked.down, asked.codes) if asked.down else []
        c = self.run.fix(c.repeat(max(1, len(rows)) * len(columns), axis=0), asked.across, columns * max(1, len(rows)))
        if asked.down:
            c = self.run.fix(c, asked.down, np.repeat(rows, len(columns)))
        at_once = max(1, _GRID_VALUES // (self.run.config.channels * self.run.config.image_size**2))
        with self._one_at_a_time:
            parts = [c[at : at + at_once] for at in range(0, len(c), at_once)]
            made = [figures.bytes_of(self.run.G(z.repeat(len(part), axis=0), part)) for part in parts]
        strip = np.concatenate(made).reshape(-1, *made[0].shape[2:])
        return {"strip": _data_url(strip), "across": columns, "down": rows}

    def read(self, content: bytes, *, invert: bool = False, centre: bool = False) -> dict[str, Any]:
        """A file's picture as the networks see it, and what Q and D make of it."""
        config = self.run.config
        shape = (config.channels, config.image_size)
        seen = pictures.take(content, *shape, fit=config.fit, invert=invert, centre=centre)
        with self._one_at_a_time:
            return {"picture": _data_url(seen), **self._read(self.run.pictures(seen.transpose(2, 0, 1)[None]))}

    def curves(self) -> dict[str, Any]:
        """The lines of `metrics.jsonl` so far, by curve, thinned to what a screen can show."""
        lines = record.read(self.run.folder)
        lines = lines[:: -(-len(lines) // MOST_POINTS) or 1] + lines[-1:]
        bounds = {name: [_finite(line["bound"].get(name)) for line in lines] for name in self.code.names}
        losses = {key: [_finite(line[key]) for line in lines] for key in ("loss_d", "loss_g")}
        return {"step": [line["step"] for line in lines], "losses": losses, "bounds": bounds}

    def _codes(self, given: dict[str, float]) -> np.ndarray:
        """The row of G's input, (1, width), that `given` asks for."""
        _, c = self.run.latents(1, "explore")
        for name, value in given.items():
            variable = self.code[name]
            if not isinstance(variable, Categorical):
                low, high = _ends(variable)
                if not low <= value <= high:
                    raise InputError(f"{name}: {value:g} is not from {low:g} to {high:g}")
            c = self.run.fix(c, name, value)
        missing = [name for name in self.code.names if name not in given]
        if missing:
            raise InputError(f"codes: {', '.join(missing)} not given: this run has {', '.join(self.code.names)}")
        return c

    def _noise(self, noise: Noise) -> np.ndarray:
        """z, (1, noise): for a `mix` of 0 that of `infogan generate -n 1 --seed`."""
        z = self.run.latents(1, "generate", noise.seed)[0]
        if not noise.mix:
            return z
        other = self.run.latents(1, "generate", noise.towards)[0]
        return z + np.float32(noise.mix) * (other - z)

    def _values(self, name: str, codes: dict[str, float]) -> list[float]:
        values: list[float] = figures.sweep_values(self.code[name]).tolist()
        if self.code[name].discrete and len(values) > MOST_CATEGORIES:
            first = int(codes[name]) // MOST_CATEGORIES * MOST_CATEGORIES
            return values[first : first + MOST_CATEGORIES]
        return values

    def _read(self, image: np.ndarray) -> dict[str, Any]:
        logit = float(self.run.D(image)[0])
        reading = {name: found[0].tolist() for name, found in self.run.encode(image).items()}
        return {"reading": reading, "real": float(np.exp(-np.logaddexp(0, -logit)))}


def _describe(name: str, variable: Variable) -> dict[str, Any]:
    if isinstance(variable, Categorical):
        return {"name": name, "kind": "categorical", "p": variable.p, "entropy": variable.entropy}
    (low, high), (usual_low, usual_high) = _ends(variable), variable.sweep
    usual = {"usual_low": usual_low, "usual_high": usual_high}
    kind = type(variable).__name__.lower()
    return {"name": name, "kind": kind, "low": low, "high": high, **usual}


def _ends(variable: Variable) -> tuple[float, float]:
    """The ends of a slider, those of the paper's traversals."""
    values = figures.sweep_values(variable)
    return float(values[0]), float(values[-1])


def _data_url(pixels: np.ndarray) -> str:
    return figures.data_url(figures.png(pixels), "png")


def _finite(value: float | None) -> float | None:
    """A number for JSON, which has no infinities."""
    return value if value is not None and math.isfinite(value) else None
