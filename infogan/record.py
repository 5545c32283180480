"""`metrics.jsonl`: one JSON object a line, the means over the updates since the line before.

`step`; `images` (real pictures seen); `seconds` (since the start of the run, interruptions left out);
`step_ms` (median of those updates); `loss_d` = −V(D, G), `loss_g` = −E log D(G), `info_loss` = −λ L_I as
trained; by code, in nats and with H(c) included: `bound` (σ fitted), `bound_trained` (σ of the objective),
`entropy`; `L_I`, the sum of `bound_trained`; `residual`, √E(c − μ)² of continuous codes; `spread`,
deviation of a pixel over the pictures of a batch; `confused`, by categorical code the two categories that Q tells
apart worst and how often it takes one for the other; `notices`, what `watch` says of a collapse; where that term is
on, `invariance`, the information between two readings of categorical codes in moved real pictures, and
`supervision`, E log Q(c1 = y|x) + H(c1) on labelled pictures of class y; `contrast`, what two generated pictures
tell of the code they share.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from infogan import watch
from infogan.codes import Code
from infogan.errors import InputError
from infogan.update import Measured
from minigrad import serialize

FILE = "metrics.jsonl"
FIGURES = "figures"
"""The folder of a run's pictures."""


class Line(BaseModel):
    """What a line must hold for others to read it; the rest is not looked at."""

    model_config = ConfigDict(strict=True)

    step: int
    loss_d: float
    loss_g: float
    bound: dict[str, float]
    bound_trained: dict[str, float]
    seconds: float = 0.0
    step_ms: float = 0.0
    notices: list[str] = []


def grid_path(run_dir: Path, step: int) -> Path:
    """Where the grid of samples after update `step` lies."""
    return run_dir / FIGURES / f"samples-{step:08d}.png"


def line(
    code: Code, measured: list[Measured], *, step: int, images: int, seconds: float, step_ms: float
) -> dict[str, Any]:
    """The object for the updates `measured`, the last of which was update `step`."""
    rows = [asdict(m) for m in measured]
    read = [row.pop("readings") for row in rows]
    supervision = [value for row in rows if (value := row.pop("supervision")) is not None]
    contrast = [value for row in rows if (value := row.pop("contrast")) is not None]
    mean = {key: np.mean([row[key] for row in rows], axis=0).tolist() for key in rows[0]}
    continuous = [name for name, v in zip(code.names, code, strict=True) if not v.discrete]
    found = {
        "step": step,
        "images": images,
        "seconds": round(seconds, 3),
        "step_ms": round(step_ms, 3),
        "loss_d": mean["loss_d"],
        "loss_g": mean["loss_g"],
        "bound": dict(zip(code.names, mean["bound"], strict=True)),
        "bound_trained": dict(zip(code.names, mean["bound_trained"], strict=True)),
        "entropy": dict(zip(code.names, code.entropy, strict=True)),
        "L_I": float(np.sum(mean["bound_trained"])),
        "info_loss": mean["info_loss"],
        "residual": dict(zip(continuous, mean["residual"], strict=True)),
        "spread": mean["spread"],
        "confused": watch.confused(code, read),
    }
    if mean["invariance"]:
        found["invariance"] = dict(zip(code.categorical, mean["invariance"], strict=True))
    if supervision:
        found["supervision"] = float(np.mean(supervision))
    if contrast:
        found["contrast"] = float(np.mean(contrast))
    return found


def append(run_dir: Path, content: dict[str, Any]) -> None:
    """Add a line, and hand it to the system at once; on an error (a full disk) the file is as it was."""
    rest = memoryview((json.dumps(content, ensure_ascii=False) + "\n").encode())
    with (run_dir / FILE).open("ab", buffering=0) as file:
        length = file.tell()
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:
            file.truncate(length)
            raise


def flush(run_dir: Path) -> None:
    """Make the lines durable before a checkpoint is written that counts on them."""
    path = run_dir / FILE
    if path.exists():
        with path.open("ab") as file:
            os.fsync(file.fileno())


def read(run_dir: str | Path) -> list[dict[str, Any]]:
    """Every whole line of a run, oldest first, none before it has begun.

    What a killed process left half-written is passed over. Raises `InputError` for a line that is no `Line`.
    """
    path = Path(run_dir) / FILE
    try:
        whole = path.read_bytes().rpartition(b"\n")[0]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    return [_line(path, number, text) for number, text in enumerate(whole.splitlines(), start=1)]


def _line(path: Path, number: int, text: bytes) -> dict[str, Any]:
    try:
        content = json.loads(text)
        Line.model_validate(content)
    except (ValueError, RecursionError):
        raise InputError(f"{path}, line {number}: is damaged: infogan train --resume cuts the file back") from None
    return content


def cut_back(run_dir: Path, step: int) -> None:
    """Drop every line after update `step`, and what is no line; a kill leaves the old file or the new one."""
    path = run_dir / FILE
    if path.exists():
        kept = [text for text in path.read_bytes().splitlines(keepends=True) if _up_to(path, step, text)]
        serialize.write_atomically(path, b"".join(kept))


def _up_to(path: Path, step: int, text: bytes) -> bool:
    try:
        return text.endswith(b"\n") and _line(path, 0, text)["step"] <= step
    except InputError:
        return False
