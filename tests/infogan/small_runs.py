"""Runs small enough for a test: 8×8 pictures, networks of a few hundred weights, batches of four."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from infogan import config, start
from infogan.training import Trainer

FIELDS: dict[str, Any] = {
    "codes": "cat:3,uniform",
    "noise": 5,
    "batch_size": 4,
    "steps": 12,
    "generator_dense": 8,
    "generator_channels": (4, 3),
    "trunk_channels": (3, 4),
    "trunk_dense": 8,
    "q_dense": 6,
    "log_every": 2,
    "checkpoint_every": 3,
    "sample_every": 1000,
}


def make_config(**changes: Any) -> config.Config:
    """A configuration of a small network, no data attached."""
    return config.make({**FIELDS, "image_size": 8, **changes})


def write_pictures(folder: Path, count: int = 40, size: int = 8, name: str = "pictures.npz") -> Path:
    """A file of pictures of three kinds: a bright bar on the left, in the middle, on the right."""
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 0.3, (count, size, size)).astype(np.float32)
    labels = np.arange(count) % 3
    for image, label in zip(images, labels, strict=True):
        image[:, label * size // 3 : label * size // 3 + 2] += 0.7
    np.savez(folder / name, images=images, labels=labels)
    return folder / name


def settings(pictures: Path, **changes: Any) -> dict[str, Any]:
    """The fields of a small run on a file of pictures."""
    return {**FIELDS, "data": str(pictures), **changes}


def begin(pictures: Path, run_dir: Path, **changes: Any) -> Trainer:
    """A new small run, before its first update."""
    return start.new_run(settings(pictures, **changes), run_dir, "cpu", None)


def arguments(pictures: Path, run_dir: Path, **changes: Any) -> list[str]:
    """`infogan train …` for a small run."""
    found = ["train", "--out", str(run_dir)]
    for field, value in settings(pictures, **changes).items():
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        found += ["--set", f"{field}={text}"]
    return found


def launch(*given: str, **options: Any) -> subprocess.Popen[str]:
    """The command in a process of its own, its output readable as text."""
    command = [sys.executable, "-m", "infogan.cli", *given]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def command(*given: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command run to its end in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "infogan.cli", *given], capture_output=True, text=True, timeout=120, **options
    )


def until(done: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for it; a failure where it does not come."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def gone(pid: int) -> bool:
    """Whether a process has ended, by Linux's /proc."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
