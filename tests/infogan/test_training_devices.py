"""Training, checkpoints and resume on every device, and from one to the other."""

from __future__ import annotations

import pytest
import small_runs

from infogan import checkpoints, start, training


@pytest.fixture
def trained(device, tmp_path):
    run_dir = tmp_path / "run"
    fields = small_runs.settings(small_runs.write_pictures(tmp_path), steps=4, checkpoint_every=2)
    training.train(start.new_run(fields, run_dir, device, None), run_dir, progress=False)
    return run_dir


def test_a_run_resumed_on_the_device_ends_the_same(trained, device):
    kept = checkpoints.latest(trained).tensors
    (trained / "checkpoints" / checkpoints.name(4)).unlink()
    trainer = start.resumed_run({}, trained, device, None)
    assert trainer.step == 2
    assert trainer.networks.G[0].weight.device == device
    training.train(trainer, trained, progress=False)
    found = checkpoints.latest(trained).tensors
    assert {k for k in kept if kept[k].tobytes() != found[k].tobytes()} == set()


def test_a_run_made_on_a_device_goes_on_on_the_host(trained, device):
    trainer = start.resumed_run({"steps": 6}, trained, "cpu", None)
    assert trainer.networks.G[0].weight.device == "cpu"
    training.train(trainer, trained, progress=False)
    assert checkpoints.latest(trained).step == 6
