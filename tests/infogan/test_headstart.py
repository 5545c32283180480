"""The head start: kinds of picture are told apart with no label, and the game begins from there."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import small_runs

import minigrad as mg
from infogan import checkpoints, cli, networks, start, training
from infogan.errors import InputError, Interrupted
from infogan.evaluation import clustering
from infogan.headstart import HeadStart

UPDATES = 220
SETTINGS = {"head_start": 4, "head_start_categories": 5, "invariance": 1.0, "invariance_batch": 8}


def bars(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Bars of three kinds, upright, level and crossed, no two alike: pictures and kinds."""
    rng = np.random.default_rng(0)
    images, kinds = rng.uniform(0, 0.05, (count, 1, 8, 8)).astype(np.float32), np.arange(count) % 3
    for image, kind in zip(images[:, 0], kinds, strict=True):
        if kind != 1:
            image[1:7, 3:5] += 0.8
        if kind != 0:
            image[3:5, 1:7] += 0.8
    return images.clip(0, 1), kinds


def test_kinds_of_picture_are_found_without_labels():
    settings = small_runs.make_config(
        head_start=UPDATES,
        head_start_categories=7,
        invariance_batch=96,
        trunk_channels=(32, 32),
        trunk_dense=128,
        q_dense=32,
        seed=5,
    )
    images, kinds = bars(300)
    nets = networks.build(settings).train()
    head_start = HeadStart(settings, nets, images)
    values = [head_start.advance(step) for step in range(1, UPDATES + 1)]
    information = head_start.finish()
    assert values[0] < 0.1 and values[-1] > 0.9
    with mg.no_grad():
        read = nets.eval().Q(mg.Tensor(images)).numpy()[:, :3].argmax(axis=1)
    accuracy, _ = clustering.hungarian(clustering.contingency(read, kinds, 3))
    assert accuracy > 0.95
    assert 0.8 * math.log(3) < information <= math.log(3)


def test_q_learns_from_the_head_whose_categories_are_worth_the_most(monkeypatch):
    """One head in five tells the kinds apart, the others read the same in every picture."""
    settings = small_runs.make_config(**SETTINGS)
    images, kinds = bars(60)
    head_start = HeadStart(settings, networks.build(settings).train(), images)
    flat = np.full((120, 5), 0.2)
    sharp = np.where(np.tile(kinds, 2)[:, None] == np.arange(5) % 3, 1.0, 0.01)
    q = np.concatenate([flat, flat, flat, sharp / sharp.sum(1, keepdims=True), flat], axis=1)
    taught = []
    monkeypatch.setattr(HeadStart, "_readings", lambda self: (np.zeros((120, 4)), q))
    monkeypatch.setattr(HeadStart, "_teach", lambda self, columns, features, target: taught.append(target))
    assert head_start.finish() > 0.5
    read = taught[0].argmax(axis=1)
    assert clustering.hungarian(clustering.contingency(read, np.tile(kinds, 2), 3))[0] == 1


def test_only_trunk_and_q_move_but_not_what_reads_a_continuous_code():
    settings = small_runs.make_config(codes="uniform,cat:3", **SETTINGS)
    nets = networks.build(settings).train()
    before = {k: v.numpy().copy() for k, v in nets.state_dict().items()}
    head_start = HeadStart(settings, nets, bars(40)[0])
    head_start.advance(1)
    head_start.finish()
    after = {k: v.numpy() for k, v in nets.state_dict().items()}
    same = {k: (before[k] == after[k]).all() for k in before}
    assert not any(same[k] for k in before if k.startswith(("trunk", "Q_head.0", "Q_head.1")))
    assert all(same[k] for k in before if k.startswith(("G", "D_head")))
    for k in ("Q_head.2.weight", "Q_head.2.bias"):
        assert (before[k][:1] == after[k][:1]).all(), "the row of the continuous code"
        assert (before[k][1:] != after[k][1:]).all(), "the rows of the categorical code"


def finish(trainer, run_dir) -> None:
    training.train(trainer, run_dir, progress=False, say=lambda line: None)


def test_a_run_that_is_stopped_ends_with_the_same_bits(tmp_path):
    pictures = small_runs.write_pictures(tmp_path)
    for name, stops in (("whole", []), ("in two", [3])):
        trainer = small_runs.begin(pictures, tmp_path / name, steps=stops[0] if stops else 6, **SETTINGS)
        finish(trainer, tmp_path / name)
        for _ in stops:
            trainer = start.resumed_run({"steps": 6}, tmp_path / name, "cpu", None, lambda line: None)
            assert trainer.head_start is not None
            finish(trainer, tmp_path / name)
    first, second = (checkpoints.latest(tmp_path / name) for name in ("whole", "in two"))
    assert all((first.tensors[key] == second.tensors[key]).all() for key in first.tensors)
    assert first.state["head_start"] == second.state["head_start"]


def test_ctrl_c_in_the_head_start_keeps_nothing_and_resume_begins_it_again(tmp_path, monkeypatch):
    pictures = small_runs.write_pictures(tmp_path)
    advance = HeadStart.advance

    def pressed(self, step):
        value = advance(self, step)
        if step == 2:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGINT)
        return value

    trainer = small_runs.begin(pictures, tmp_path / "run", **SETTINGS)
    with monkeypatch.context() as patch, pytest.raises(Interrupted, match="--resume begins it again"):
        patch.setattr(HeadStart, "advance", pressed)
        finish(trainer, tmp_path / "run")
    assert not checkpoints.exist(tmp_path / "run")
    again = start.resumed_run({}, tmp_path / "run", "cpu", None, lambda line: None)
    assert (again.step, again.head_start) == (0, None)


def test_the_command_says_what_it_reached(tmp_path, capsys):
    pictures = small_runs.write_pictures(tmp_path)
    assert cli.main(small_runs.arguments(pictures, tmp_path / "run", **{**SETTINGS, "steps": 2})) == 0
    assert "head start of 4 updates: Q reads c1 with" in capsys.readouterr().out
    assert json.loads((tmp_path / "run" / "config.json").read_text())["head_start"] == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"codes": "uniform", "invariance": 0}, "one categorical"),
        ({"codes": "cat:3,cat:3"}, "one categorical"),
        ({"objective": "gan", "invariance": 0}, "objective infogan"),
        ({"head_start_categories": 2}, "3 or more"),
        ({"head_start": 0, "objective": "gan"}, "regular GAN"),
        ({"head_start": 0, "codes": "uniform"}, "invariance needs a categorical code"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_written(changes, words):
    with pytest.raises(InputError, match=words):
        small_runs.make_config(**{**SETTINGS, **changes})
