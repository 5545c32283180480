"""Folders of tiny untrained runs, for tests of what opens them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from infogan import checkpoints, config, networks

SMALL: dict[str, Any] = {
    "generator_dense": 12,
    "generator_channels": (4, 3),
    "trunk_channels": (3, 4),
    "trunk_dense": 12,
    "q_dense": 8,
    "noise": 5,
}


def make_run(folder: Path, **settings: Any) -> Path:
    """A run's folder with a configuration and a checkpoint of the networks as initialised."""
    chosen = config.make({**SMALL, **settings})
    folder.mkdir(parents=True)
    config.write(chosen, {}, folder / config.FILE)
    checkpoints.save(folder, 7, {"networks": networks.build(chosen).state_dict()}, {})
    return folder


def line(step: int, **changes: Any) -> dict[str, Any]:
    """A line of `metrics.jsonl` with what readers need."""
    each = {"c1": 0.5, "c2": 0.1, "c3": 0.1}
    return {"step": step, "loss_d": 1.0, "loss_g": 2.0, "bound": each, "bound_trained": each, **changes}


def write_metrics(folder: Path, lines: list[dict[str, Any]], end: str = "") -> None:
    """`metrics.jsonl` of `lines`, and whatever `end` a killed process left."""
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + end)
