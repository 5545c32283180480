"""Checkpoints: all that a run needs to go on as if it had never stopped, each in one checked file.

`RUN/checkpoints/step-XXXXXXXX.safetensors` holds tensors by name and, as text, a JSON object `state` and
the SHA-256 of both. A file is written beside its place and renamed, so a name never stands for half a
checkpoint. The text file `latest` names the newest. The last three are kept.

`RUN/milestones/` holds files of the same format with the networks alone: enough to use, not to go on from.
They are kept for good.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg
from infogan.errors import InputError
from kernels.device import to_host
from minigrad import serialize

FOLDER = "checkpoints"
MILESTONES = "milestones"
LATEST = "latest"
PATTERN = f"step-{'[0-9]' * 8}.safetensors"
KEPT = 3


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint as read: `tensors` by name (host arrays) and the JSON object `state`."""

    path: Path
    step: int
    tensors: dict[str, np.ndarray]
    state: dict[str, Any]

    def part(self, name: str) -> dict[str, np.ndarray]:
        """The tensors of `networks`, `optimiser_d` or `optimiser_g` under their own names."""
        return {k.removeprefix(name + "/"): v for k, v in self.tensors.items() if k.startswith(name + "/")}


def name(step: int) -> str:
    """The file name of the checkpoint after `step` updates."""
    return f"step-{step:08d}.safetensors"


def path(run_dir: Path, step: int) -> Path:
    """Where the checkpoint after `step` updates lies."""
    return run_dir / FOLDER / name(step)


def save(run_dir: Path, step: int, parts: Mapping[str, Mapping[str, Any]], state: Mapping[str, Any]) -> Path:
    """Write the checkpoint of `step`, point `latest` at it and drop all but the last three.

    `parts` are tensors or numbers by name, under the name of their part. Raises `OSError` (a full disk, say)
    with every earlier checkpoint intact.
    """
    written = write(path(run_dir, step), parts, {**state, "step": step})
    serialize.write_atomically(written.with_name(LATEST), (written.name + "\n").encode())
    for old in _all(run_dir)[KEPT:]:
        old.unlink(missing_ok=True)
    return written


def keep(run_dir: Path, step: int, networks: Mapping[str, Any], state: Mapping[str, Any]) -> Path:
    """Write the networks after `step` updates as a milestone, which nothing drops. Raises `OSError` as `save`."""
    return write(run_dir / MILESTONES / name(step), {"networks": networks}, {**state, "step": step})


def write(path: Path, parts: Mapping[str, Mapping[str, Any]], state: Mapping[str, Any]) -> Path:
    """Write one file that `read` can check; `state` holds the `step`. Raises `OSError` with an older file intact."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {f"{part}/{key}": _host(value) for part, values in parts.items() for key, value in values.items()}
    text = json.dumps(state, sort_keys=True)
    serialize.save(tensors, path, {"state": text, "sha256": _digest(tensors, text)})
    return path


def read(path: str | Path) -> Checkpoint:
    """Read one checkpoint and check its SHA-256.

    Raises `InputError`, naming the file, if it is missing or damaged.
    """
    path = Path(path)
    try:
        notes = serialize.load_metadata(path)
        tensors = {key: value.numpy() for key, value in serialize.load(path).items()}
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such checkpoint") from None
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error})") from None
    if "sha256" not in notes or "state" not in notes:
        raise InputError(f"{path} is no checkpoint of infogan: its metadata hold no state and no sha256")
    if notes["sha256"] != _digest(tensors, notes["state"]):
        raise InputError(f"{path} is damaged: its content does not match its sha256")
    state = json.loads(notes["state"])
    return Checkpoint(path, state["step"], tensors, state)


def latest(run_dir: str | Path, report: Callable[[str], None] | None = None) -> Checkpoint:
    """The newest checkpoint of a run that is whole.

    A damaged one is named through `report` (by default a line on standard error) and the one before it is
    tried. Raises `InputError` if there is none, or none that is whole.
    """
    report = report or (lambda line: print(line, file=sys.stderr))
    found = _all(Path(run_dir))
    if not found:
        raise InputError(f"{run_dir} holds no checkpoint: train first, infogan train --out {run_dir}")
    for path in found:
        try:
            return read(path)
        except InputError as error:
            report(f"{error.message}; trying the checkpoint before it")
    raise InputError(f"{Path(run_dir) / FOLDER}: every checkpoint is damaged: train anew with another --out")


def at(run_dir: str | Path, step: int) -> Checkpoint:
    """What was kept after `step` updates: a milestone, or one of the last checkpoints.

    Raises `InputError`, which lists the steps there are, if neither is there, or if the file is damaged.
    """
    run_dir = Path(run_dir)
    for path in (run_dir / folder / name(step) for folder in (MILESTONES, FOLDER)):
        if path.exists():
            return read(path)
    there = ", ".join(f"{s:,}" for s in steps(run_dir)) or "none"
    raise InputError(f"{run_dir} keeps nothing of update {step:,}; the updates kept are: {there}")


def steps(run_dir: Path) -> list[int]:
    """The updates of which a run keeps its networks, as milestones or as checkpoints, first to last."""
    kept = (path for folder in (MILESTONES, FOLDER) for path in (run_dir / folder).glob(PATTERN))
    return sorted({int(path.stem.removeprefix("step-")) for path in kept})


def exist(run_dir: Path) -> bool:
    """Whether a run has any checkpoint."""
    return bool(_all(run_dir))


def _all(run_dir: Path) -> list[Path]:
    """Every checkpoint, newest first."""
    return sorted((run_dir / FOLDER).glob(PATTERN), reverse=True)


def _host(value: Any) -> np.ndarray:
    return to_host(value.data if isinstance(value, mg.Tensor) else value)


def _digest(tensors: Mapping[str, np.ndarray], text: str) -> str:
    """SHA-256 of the text and of every tensor's name, type, shape and bytes, by name."""
    total = hashlib.sha256(text.encode())
    for key in sorted(tensors):
        array = np.ascontiguousarray(tensors[key])
        total.update(f"\n{key} {array.dtype.str} {tensors[key].shape}\n".encode())
        total.update(array.reshape(-1).view(np.uint8).data)
    return total.hexdigest()
