"""Milestones: networks kept for good at chosen updates, and runs opened as they were then."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import small_runs

import infogan
from infogan import checkpoints, cli, start, training
from infogan.errors import InputError

KEPT = (1, 4, 7)


@pytest.fixture
def pictures(tmp_path) -> Path:
    return small_runs.write_pictures(tmp_path)


@pytest.fixture
def run_dir(pictures, tmp_path) -> Path:
    """Twelve updates with checkpoints every two: those of 8, 10 and 12 are left."""
    run_dir = tmp_path / "run"
    trainer = small_runs.begin(pictures, run_dir, milestones=KEPT, checkpoint_every=2)
    training.train(trainer, run_dir, progress=False)
    return run_dir


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("step-*"))


def test_milestones_outlive_the_checkpoints(run_dir):
    assert names(run_dir / "milestones") == [checkpoints.name(step) for step in KEPT]
    assert names(run_dir / "checkpoints") == [checkpoints.name(step) for step in (8, 10, 12)]
    assert checkpoints.steps(run_dir) == [1, 4, 7, 8, 10, 12]
    assert checkpoints.latest(run_dir).step == 12


def test_a_milestone_holds_the_networks_alone(run_dir):
    found = checkpoints.at(run_dir, 4)
    assert found.step == 4
    assert {name.split("/")[0] for name in found.tensors} == {"networks"}
    assert found.state["config"]["milestones"] == list(KEPT)


def test_a_run_is_opened_as_it_was(pictures, run_dir, tmp_path):
    other = tmp_path / "shorter"
    training.train(small_runs.begin(pictures, other, steps=4), other, progress=False)
    then, now, shorter = infogan.load(run_dir, step=4), infogan.load(run_dir), infogan.load(other)
    assert (then.step, now.step) == (4, 12)
    np.testing.assert_array_equal(then.generate(5), shorter.generate(5))
    assert not np.array_equal(then.generate(5), now.generate(5))
    np.testing.assert_array_equal(infogan.load(run_dir, step=12).generate(5), now.generate(5))


def test_a_step_that_was_not_kept_is_refused_with_those_that_were(run_dir):
    with pytest.raises(InputError, match="keeps nothing of update 5; the updates kept are: 1, 4, 7, 8, 10, 12"):
        infogan.load(run_dir, step=5)


def test_a_damaged_milestone_is_named(run_dir):
    path = run_dir / "milestones" / checkpoints.name(4)
    content = bytearray(path.read_bytes())
    content[-50] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{path.name} is damaged"):
        infogan.load(run_dir, step=4)


def test_milestones_to_come_may_be_named_on_the_way(run_dir):
    trainer = start.resumed_run({"steps": 15, "milestones": (4, 14)}, run_dir, "cpu", None)
    training.train(trainer, run_dir, progress=False)
    assert names(run_dir / "milestones") == [checkpoints.name(step) for step in (*KEPT, 14)]


def test_a_milestone_that_is_past_cannot_be_kept(run_dir):
    before = (run_dir / "config.json").read_bytes()
    with pytest.raises(InputError, match="did not keep update 5"):
        start.resumed_run({"milestones": (5, 14)}, run_dir, "cpu", None)
    assert (run_dir / "config.json").read_bytes() == before


def test_milestones_from_the_command(pictures, tmp_path):
    run_dir = tmp_path / "run"
    assert cli.main(small_runs.arguments(pictures, run_dir, steps=4, milestones="3,1,3")) == 0
    assert json.loads((run_dir / "config.json").read_text())["milestones"] == [1, 3]
    assert names(run_dir / "milestones") == [checkpoints.name(1), checkpoints.name(3)]


@pytest.mark.parametrize(("text", "words"), [("0,4", "count from 1"), ("2,many", "milestones: input should")])
def test_milestones_that_are_none(pictures, tmp_path, capsys, text, words):
    assert cli.main(small_runs.arguments(pictures, tmp_path / "run", milestones=text)) == 2
    assert words in capsys.readouterr().err


def test_no_milestone_is_written_of_networks_that_are_not_finite(pictures, tmp_path, monkeypatch):
    from infogan.errors import Diverged

    run_dir = tmp_path / "run"
    trainer = small_runs.begin(pictures, run_dir, milestones=(1,), checkpoint_every=100)
    advance = trainer.advance

    def spoil():
        measured = advance()
        trainer.networks.G[0].weight.data[0, 0] = np.inf
        return measured

    monkeypatch.setattr(trainer, "advance", spoil)
    with pytest.raises(Diverged, match="diverged at update 1"):
        training.train(trainer, run_dir, progress=False)
    assert not (run_dir / "milestones").exists()
