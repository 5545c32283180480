"""What crosses between host and device in an update, to the array: nothing unseen, nothing unasked."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import infogan.config
from infogan import checkpoints
from infogan.data import load
from infogan.training import Trainer, save
from kernels import device as devices

BATCH, Z, C, READING = 6, 62, 12, 12
SMALL = {
    "preset": "mnist",
    "batch_size": BATCH,
    "generator_dense": 32,
    "generator_channels": (8, 8),
    "trunk_channels": (8, 8),
    "trunk_dense": 32,
    "q_dense": 16,
}
IN = [(BATCH, 1, 28, 28), (BATCH, Z), (BATCH, C), (BATCH, Z), (BATCH, C)]
"""The real pictures, then z and c of each player's batch."""
OUT = [
    (), (),  # D and Q: the loss, for the check that it is finite; V
    (), (), (), (), (), (),  # G: the loss, for the same check; its parts, and L_I of each of the three variables
    (BATCH, READING), (BATCH, C),  # what Q reads and the code it should read, for the bounds
    (),  # how far G's pictures differ
]  # fmt: skip
"""Everything an update measures."""


def make_trainer(device: str) -> Trainer:
    return Trainer(infogan.config.make(SMALL), load("mnist-5k"), device)


def test_an_update_makes_exactly_these_transfers(cuda, crossings):
    trainer = make_trainer(cuda)
    trainer.advance()  # compiles, builds the optimisers' state
    for _ in range(2):
        seen, counted = dict(crossings.counts), dict(devices.transfers)
        crossings.recorded.clear()
        with crossings.forbid_implicit():
            trainer.advance()
        assert [shape for way, shape in crossings.recorded if way == "to_device"] == IN
        assert [shape for way, shape in crossings.recorded if way == "to_host"] == OUT
        for way in ("to_device", "to_host"):
            assert devices.transfers[way] - counted[way] == crossings.counts[way] - seen[way], way


def test_building_a_run_moves_weights_there_and_reads_nothing_back(cuda, crossings):
    seen, counted = dict(crossings.counts), dict(devices.transfers)
    trainer = make_trainer(cuda)
    assert crossings.counts["to_host"] == seen["to_host"]
    state = trainer.networks.state_dict()
    assert {value.device for value in state.values()} == {cuda}
    moved = crossings.counts["to_device"] - seen["to_device"]
    assert moved == devices.transfers["to_device"] - counted["to_device"] == len(state)


def test_the_device_trains_as_the_cpu_does(cuda):
    here, there = make_trainer("cpu"), make_trainer(cuda)
    for _ in range(2):
        expected, found = (dataclasses.asdict(trainer.advance()) for trainer in (here, there))
        for exact in ("readings", "supervision", "contrast"):
            assert found.pop(exact) == expected.pop(exact)
        np.testing.assert_allclose(np.hstack([*found.values()]), np.hstack([*expected.values()]), rtol=1e-3)


def test_a_run_on_the_device_saves_and_goes_on_as_the_cpus_files_say(cuda, crossings, tmp_path):
    trainer = make_trainer(cuda)
    trainer.advance()
    seen, counted = dict(crossings.counts), dict(devices.transfers)
    with crossings.forbid_implicit():
        trainer.samples()
        save(trainer, tmp_path)
        other = make_trainer(cuda)
        other.restore(checkpoints.latest(tmp_path))
    for way in ("to_device", "to_host"):
        assert devices.transfers[way] - counted[way] == crossings.counts[way] - seen[way], way
    first, second = (dataclasses.astuple(t.advance()) for t in (trainer, other))
    assert first == second


@pytest.mark.parametrize("unseen", [lambda x: x.item(), lambda x: x.get(), bool], ids=["item", "get", "bool"])
def test_a_crossing_past_the_device_room_would_be_seen(cuda, crossings, unseen):
    x = devices.to_device(np.ones(1), cuda)
    seen, counted = dict(crossings.counts), dict(devices.transfers)
    unseen(x)
    assert crossings.counts["to_host"] - seen["to_host"] == 1
    assert devices.transfers == counted
