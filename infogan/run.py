"""A finished or running run, opened to be used: arrays in, arrays out, evaluation mode.

run = infogan.load("runs/mnist")
threes = run.generate(n=16, c1=3)       # (16, 1, 28, 28) float32 in (0, 1)
run.encode(threes)["c1"]                # (16, 10) probabilities
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

import minigrad as mg
from infogan import checkpoints, config, networks, record
from infogan.codes import Code
from infogan.config import Config
from infogan.draws import draw_noise
from infogan.errors import InputError

BATCH = 500
"""Pictures through a network at once: bounds the memory, changes no result."""


def load(folder: str | Path, step: int | None = None, weights: str | Path | None = None) -> Run:
    """Open the run in `folder` with its newest whole checkpoint, or as it was after `step` updates.

    `step` is a milestone of the run or one of its last checkpoints. Raises `InputError`, in one line, where
    the folder holds no run, no checkpoint or none of that step (the line lists those kept), or other networks.

    `weights` is a safetensors file whose tensors, under the names of `state_dict()`, take the place of the
    checkpoint's: what `infogan export --format torch` wrote and PyTorch may have trained further.
    """
    folder = Path(folder)
    settings, _ = config.read(folder)
    checkpoint = checkpoints.latest(folder) if step is None else checkpoints.at(folder, step)
    nets = networks.build(settings)
    try:
        nets.load_state_dict(checkpoint.part("networks"))
    except ValueError as error:
        raise InputError(f"{checkpoint.path} does not fit {folder / config.FILE}: {error}") from None
    if weights is not None:
        try:
            nets.load_state_dict(mg.load(weights))
        except (ValueError, OSError) as error:
            raise InputError(f"weights {weights} do not fit {folder / config.FILE}: {error}") from None
    return Run(folder, settings, nets.eval(), checkpoint.step)


class Run:
    """The networks of a run after `step` updates, in evaluation mode (batch-norm by running statistics)."""

    def __init__(self, folder: Path, config: Config, networks: networks.Networks, step: int) -> None:
        self.folder, self.config, self.networks, self.step = folder, config, networks, step
        self.code: Code = config.code

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, updates={self.step}, codes={self.code.spec!r})"

    def _repr_html_(self) -> str:
        """In a notebook: where the run is, how far it is, and its code with the bounds last measured."""
        bounds = self.metrics[-1]["bound"] if self.metrics else {}
        notes = {name: f"bound {bound:.3f} nats" for name, bound in bounds.items()}
        return f"<p>{escape(repr(self))}</p>{self.code.table(notes)}"

    def G(self, z: np.ndarray, c: np.ndarray) -> np.ndarray:
        """Pictures (N, C, H, W) float32 in (0, 1) from noise (N, noise) and code rows (N, code.width)."""
        return in_batches(self.networks.generate, z, c)

    def D(self, images: ArrayLike) -> np.ndarray:
        """The logit of the probability that each picture is real: (N,)."""
        return in_batches(self.networks.D, self.pictures(images))

    def Q(self, images: ArrayLike) -> np.ndarray:
        """The parameters of Q(c|x): (N, code.parameters), columns as `code.outputs` says."""
        return in_batches(self.networks.Q, self.pictures(images))

    @cached_property
    def metrics(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`, as written so far."""
        return record.read(self.folder)

    def latents(self, n: int, purpose: str, seed: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """`n` draws of z ~ Unif(−1, 1) and c ~ P(c), (n, noise) and (n, code.width), by training's own function.

        The stream is that of `purpose` under `seed`, by default the run's.
        """
        settings = self.config if seed is None else self.config.model_copy(update={"seed": seed})
        return draw_noise(settings, self.code, purpose, 0, n)

    def generate(self, n: int = 64, seed: int = 0, **codes: ArrayLike) -> np.ndarray:
        """`n` pictures, (n, C, H, W) float32 in (0, 1), with the codes named held at the values given.

        A value is a number, or `n` of them; for a categorical code the number of the category. Codes not
        named are drawn from their prior. The same `seed` gives the same noise whatever the codes.
        Raises `InputError` for an unknown code or a value it cannot take.
        """
        if n < 1:
            raise InputError(f"n is {n}: at least one picture must be asked for")
        if not 0 <= seed < 2**63:
            raise InputError(f"seed is {seed}: it must be from 0 to 2^63 - 1")
        z, c = self.latents(n, "generate", seed)
        for name, value in codes.items():
            c = self.fix(c, name, value)
        return self.G(z, c)

    def fix(self, c: np.ndarray, name: str, value: ArrayLike) -> np.ndarray:
        """A copy of the code rows `c` with the code `name` at `value`, one number or one a row."""
        index = self.code.index(name)
        try:
            values = np.broadcast_to(np.asarray(value, dtype=np.float64), len(c))
        except (ValueError, TypeError):
            raise InputError(f"{name}: {value!r} is neither a number nor {len(c)} numbers") from None
        variable = self.code[index]
        return self.code.put(c, index, np.stack([variable.column(name, v) for v in values.tolist()]))

    def encode(self, images: ArrayLike) -> dict[str, np.ndarray]:
        """What Q reads in each picture, by code: probabilities (N, K), or mean and deviation (N, 2)."""
        return self.code.posterior(self.Q(images))

    def pictures(self, images: ArrayLike) -> np.ndarray:
        """`images` as the networks take them: (N, C, H, W) float32 in [0, 1].

        Bytes are scaled from 0 to 255, and (N, H, W) is taken for grey. Raises `InputError` for another size
        than the run's, or values outside [0, 1].
        """
        given = np.asarray(images)
        right = (self.config.channels, self.config.image_size, self.config.image_size)
        x = given[:, None] if given.ndim == 3 and right[0] == 1 else given
        if x.ndim != 4 or x.shape[1:] != right or not len(x):
            wanted = ", ".join(map(str, right))
            raise InputError(f"pictures have shape {given.shape}: this run takes (N, {wanted})")
        if x.dtype == np.uint8:
            return x.astype(np.float32) / np.float32(255)
        if x.dtype.kind not in "bf" or not ((x >= 0) & (x <= 1)).all():
            raise InputError(f"pictures of type {x.dtype} hold values outside [0, 1]: give floats in it, or uint8")
        return x.astype(np.float32)


def in_batches(network: Callable[..., mg.Tensor], *inputs: np.ndarray) -> np.ndarray:
    """What `network` makes of host arrays (N, …), `BATCH` rows at a time and with no gradient: (N, …)."""
    parts = range(0, len(inputs[0]), BATCH)
    with mg.no_grad():
        return np.concatenate([network(*(mg.Tensor(x[at : at + BATCH]) for x in inputs)).numpy() for at in parts])


def parse_codes(text: str) -> dict[str, float]:
    """`"c1=3,c2=-0.5"` as `{"c1": 3.0, "c2": -0.5}`. Raises `InputError` for anything else."""
    codes: dict[str, float] = {}
    for entry in text.split(","):
        found = re.fullmatch(r"\s*(c\d+)\s*=\s*(\S+)\s*", entry)
        try:
            name, value = found.groups() if found else ("", "")
            codes[name] = float(value)
        except ValueError:
            raise InputError(f"--set {entry!r}: write a code and a number, such as c1=3,c2=-0.5") from None
    return codes
