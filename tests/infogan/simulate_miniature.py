"""Trains a miniature InfoGAN twice, on the CPU and by the CUDA kernels in Numba's simulator; prints JSON."""

from __future__ import annotations

import json
import sys

import simulated

simulated.prepare()

import numpy as np  # noqa: E402
import standin  # noqa: E402

import kernels  # noqa: E402
from infogan import config as configs  # noqa: E402
from infogan.data.dataset import Dataset  # noqa: E402
from infogan.training import Trainer  # noqa: E402
from kernels.cuda import launches  # noqa: E402

UPDATES = 3
SETTINGS = {
    "image_size": 8,
    "batch_size": 2,
    "codes": "cat:3,uniform",
    "noise": 3,
    "generator_dense": 8,
    "generator_channels": (8, 6),
    "trunk_channels": (4, 8),
    "trunk_dense": 8,
    "q_dense": 6,
    "steps": UPDATES,
}


def trained(where: str, **settings: float) -> dict:
    """The losses of every update, and pictures in evaluation mode after the last."""
    images = np.random.default_rng(8).uniform(size=(6, 1, 8, 8)).astype(np.float32)
    data = Dataset(images, None, "noise", "0" * 64, "all")
    trainer = Trainer(configs.make(SETTINGS | settings), data, where)
    losses = []
    for _ in range(UPDATES):
        m = trainer.advance()
        losses.append([m.loss_d, m.loss_g, m.info_loss])
    samples, _ = trainer.samples()
    return {"losses": losses, "samples": samples.ravel().tolist()}


def main() -> None:
    report = {"cpu": trained("cpu"), "idle": trained("cpu", learning_rate_d=1e-12, learning_rate_g=1e-12)}
    before = kernels.served()
    with kernels.use("cuda"), simulated.small_blocks(), standin.cupy._crossings.forbid_implicit():
        report["cuda"] = trained("cuda")
    served = {op: c["cuda"] - before.get(op, {}).get("cuda", 0) for op, c in kernels.served().items() if "cuda" in c}
    json.dump(report | {"served": served, "launches": launches}, sys.stdout)


if __name__ == "__main__":
    main()
