"""`infogan train --log tensorboard`: the events read back, by the format's own definition."""

from __future__ import annotations

import io
import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_runs import arguments, write_pictures
from witnesses import witness

from infogan import cli
from infogan.events import Events


def events(run_dir: Path) -> Iterator[Any]:
    """Every event of a run: a record is its length, a checksum, the event and a checksum."""
    from tensorboardX.proto import event_pb2

    (path,) = (run_dir / "tensorboard").glob("events.out.tfevents.*")
    content = path.read_bytes()
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        event = event_pb2.Event()
        event.ParseFromString(content[12 : 12 + length])
        content = content[16 + length :]
        yield event


def scalars(run_dir: Path) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for event in events(run_dir):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def lines(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in (run_dir / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    witness("tensorboardX")
    write_pictures(tmp_path)
    return tmp_path / "run"


def train(run_dir: Path, *more: str, **changes: Any) -> int:
    return cli.main([*arguments(run_dir.parent / "pictures.npz", run_dir, **changes), *more])


def agree(run_dir: Path) -> None:
    """Whether the events are the lines of metrics.jsonl, each once and in order."""
    found, rows = scalars(run_dir), lines(run_dir)
    for tag in ("loss_d", "loss_g", "L_I", "info_loss", "step_ms"):
        assert [step for step, _ in found[tag]] == [row["step"] for row in rows]
        np.testing.assert_allclose([v for _, v in found[tag]], [row[tag] for row in rows], rtol=1e-6)
    for name in ("c1", "c2"):
        np.testing.assert_allclose([v for _, v in found[f"bound/{name}"]], [row["bound"][name] for row in rows], 1e-6)
    assert "residual/c2" in found and "step" not in found


def test_events_are_the_lines_of_the_metrics(run_dir):
    assert train(run_dir, "--log", "tensorboard", sample_every=6) == 0
    assert len(lines(run_dir)) == 6
    agree(run_dir)
    pictures = {e.step: v.image for e in events(run_dir) for v in e.summary.value if v.tag == "samples"}
    assert sorted(pictures) == [6, 12]
    with Image.open(io.BytesIO(pictures[12].encoded_image_string)) as image:
        shown = np.asarray(image)
    with Image.open(run_dir / "figures" / "samples-00000012.png") as image:
        np.testing.assert_array_equal(shown if shown.ndim == 2 else shown[..., 0], np.asarray(image))
    times = [e.wall_time for e in events(run_dir) if e.step]
    assert times == sorted(times)


def test_a_resumed_run_has_every_step_once(run_dir):
    assert train(run_dir, "--log", "tensorboard", sample_every=3, steps=8, checkpoint_every=5) == 0
    newest = run_dir / "checkpoints" / "step-00000008.safetensors"
    newest.unlink()  # as if killed after update 8: the run goes on from update 5
    assert train(run_dir, "--resume", "--log", "tensorboard", sample_every=3, steps=10, checkpoint_every=5) == 0
    agree(run_dir)
    pictures = [e.step for e in events(run_dir) for v in e.summary.value if v.tag == "samples"]
    assert pictures == [3, 6, 9, 10]


def test_a_run_begun_without_events_has_them_all_once_it_is_asked(run_dir):
    assert train(run_dir, steps=6) == 0
    assert not (run_dir / "tensorboard").exists()
    assert train(run_dir, "--resume", "--log", "tensorboard", steps=12) == 0
    agree(run_dir)


def test_only_numbers_are_scalars(run_dir):
    run_dir.mkdir()
    row = {"step": 3, "seconds": 1.5, "confused": {"c1": [1, 4, 0.25]}, "bound": {"c1": 2.0}, "notices": ["a collapse"]}
    with Events(run_dir, 0) as told:
        told.line(row)
    assert scalars(run_dir) == {"seconds": [(3, 1.5)], "bound/c1": [(3, 2.0)]}


def test_without_the_library_nothing_is_begun(run_dir, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    assert train(run_dir, "--log", "tensorboard") == 2
    assert capsys.readouterr().err.strip().endswith("pip install 'infogan[tensorboard]'")
    assert not run_dir.exists()
