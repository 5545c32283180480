"""Exact resume: whatever stops a run, it ends with the same bits and the same lines but for times."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_runs

from infogan import checkpoints, start, training
from infogan.errors import InputError

TIMES = ("seconds", "step_ms")


def lines(run_dir: Path) -> list[dict]:
    rows = [json.loads(text) for text in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def tensors(run_dir: Path) -> dict[str, bytes]:
    return {k: v.tobytes() for k, v in checkpoints.latest(run_dir).tensors.items()}


def finish(trainer, run_dir: Path) -> None:
    training.train(trainer, run_dir, progress=False)


def resume(run_dir: Path, say=print, **changes):
    return start.resumed_run(changes, run_dir, "cpu", None, say)


def stop_at(trainer, run_dir: Path, step: int) -> None:
    """Train up to `step` and drop everything, as a kill would."""

    class Killed(BaseException):
        pass

    advance = trainer.advance

    def until():
        if trainer.step == step:
            raise Killed
        return advance()

    trainer.advance = until
    with pytest.raises(Killed):
        finish(trainer, run_dir)


@pytest.fixture
def pictures(tmp_path) -> Path:
    return small_runs.write_pictures(tmp_path)


@pytest.fixture
def whole(pictures, tmp_path) -> Path:
    """A run of twelve updates that was left alone: lines every 2, checkpoints every 3."""
    finish(small_runs.begin(pictures, tmp_path / "whole"), tmp_path / "whole")
    return tmp_path / "whole"


@pytest.mark.parametrize("step", [0, 1, 2, 3, 4, 7, 11])
def test_a_run_stopped_after_any_update_ends_the_same(pictures, whole, tmp_path, step):
    run_dir = tmp_path / "run"
    stop_at(small_runs.begin(pictures, run_dir), run_dir, step)
    trainer = resume(run_dir)
    assert trainer.step == step - step % 3
    finish(trainer, run_dir)
    assert tensors(run_dir) == tensors(whole)
    assert lines(run_dir) == lines(whole)


def test_a_run_with_the_invariance_term_ends_the_same_and_measures_it(pictures, tmp_path):
    settings = {"invariance": 0.5, "invariance_batch": 7}
    finish(small_runs.begin(pictures, tmp_path / "whole", **settings), tmp_path / "whole")
    stop_at(small_runs.begin(pictures, tmp_path / "run", **settings), tmp_path / "run", 5)
    finish(resume(tmp_path / "run"), tmp_path / "run")
    assert tensors(tmp_path / "run") == tensors(tmp_path / "whole")
    assert lines(tmp_path / "run") == lines(tmp_path / "whole")
    assert [list(row["invariance"]) for row in lines(tmp_path / "run")] == [["c1"]] * 6


def test_a_run_whose_steps_halve_ends_the_same(pictures, tmp_path):
    settings = {"halve_every": 4}
    trainer = small_runs.begin(pictures, tmp_path / "whole", **settings)
    finish(trainer, tmp_path / "whole")
    assert [o.param_groups[0]["lr"] for o in trainer.optimisers] == pytest.approx([2e-4 / 8, 1e-3 / 8], rel=1e-12)
    stop_at(small_runs.begin(pictures, tmp_path / "run", **settings), tmp_path / "run", 5)
    finish(resume(tmp_path / "run"), tmp_path / "run")
    assert tensors(tmp_path / "run") == tensors(tmp_path / "whole")


def test_a_copy_taken_on_the_way_goes_on_as_the_run_does(pictures, tmp_path):
    """Its halved steps too: `race` times the very updates that come next."""
    trainer = small_runs.begin(pictures, tmp_path / "run", halve_every=4)
    for _ in range(5):
        trainer.advance()
    copy = trainer.copy()
    rates = [[o.param_groups[0]["lr"] for o in one.optimisers] for one in (copy, trainer)]
    assert rates[0] == pytest.approx(rates[1], rel=1e-12) and rates[0][0] < 2e-4
    assert copy.advance() == trainer.advance()


def test_labels_decide_nothing(pictures, tmp_path):
    with np.load(pictures) as held:
        np.savez(tmp_path / "bare.npz", images=held["images"])
        shuffled = np.random.default_rng(1).permutation(held["labels"])
    for trainer in (
        a := small_runs.begin(tmp_path / "bare.npz", tmp_path / "a", invariance=1.0, invariance_batch=5),
        b := small_runs.begin(tmp_path / "bare.npz", tmp_path / "b", invariance=1.0, invariance_batch=5),
    ):
        trainer.data = replace(trainer.data, labels=None if trainer is a else shuffled[: len(trainer.data)])
        for _ in range(3):
            trainer.advance()
    first, second = (t.networks.state_dict() for t in (a, b))
    assert all((first[key].numpy() == second[key].numpy()).all() for key in first)


def test_seconds_go_on_and_do_not_start_anew(pictures, tmp_path):
    run_dir = tmp_path / "run"
    stop_at(small_runs.begin(pictures, run_dir), run_dir, 7)
    before = checkpoints.latest(run_dir).state["seconds"]
    trainer = resume(run_dir)
    assert trainer.seconds == before > 0
    finish(trainer, run_dir)
    seconds = [json.loads(t)["seconds"] for t in (run_dir / "metrics.jsonl").read_text().splitlines()]
    assert seconds == sorted(seconds)


def test_more_updates_may_be_asked_for(pictures, whole, tmp_path):
    run_dir = tmp_path / "run"
    finish(small_runs.begin(pictures, run_dir, steps=6), run_dir)
    finish(resume(run_dir, steps=12), run_dir)
    assert tensors(run_dir) == tensors(whole)
    assert lines(run_dir) == lines(whole)


@pytest.mark.parametrize(
    ("changes", "named"), [({"seed": 1}, "seed"), ({"codes": "cat:4"}, "codes"), ({"batch_size": 8}, "batch_size")]
)
def test_what_a_run_cannot_change_on_its_way_is_named(whole, changes, named):
    before = (whole / "config.json").read_bytes()
    with pytest.raises(InputError, match=named):
        resume(whole, **changes)
    assert (whole / "config.json").read_bytes() == before


def test_a_run_from_before_a_field_was_there_goes_on_with_its_default(whole):
    checkpoint = checkpoints.latest(whole)
    del checkpoint.state["config"]["invariance"]
    trainer = resume(whole)
    trainer.restore(checkpoint)
    trainer.config = trainer.config.model_copy(update={"invariance": 1.0})
    with pytest.raises(InputError, match=r"invariance 1.0, the run was trained with 0.0"):
        trainer.restore(checkpoint)


def test_other_pictures_than_before_are_refused(pictures, whole, tmp_path):
    small_runs.write_pictures(tmp_path, count=45)
    with pytest.raises(InputError, match="sha256"):
        resume(whole)


def test_pictures_may_move(pictures, whole, tmp_path):
    moved = tmp_path / "elsewhere.npz"
    pictures.rename(moved)
    with pytest.raises(InputError, match=r"pictures\.npz"):
        resume(whole)
    assert resume(whole, data=str(moved)).step == 12


def damage_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


def damage_length(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage_empty(path: Path) -> None:
    path.write_bytes(b"")


def damage_header(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'\\"step\\": 12', b'\\"step\\": 13'))


@pytest.mark.parametrize("damage", [damage_bit, damage_length, damage_empty, damage_header])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(whole, damage, capsys):
    good, kept = tensors(whole), lines(whole)
    newest = whole / "checkpoints" / checkpoints.name(12)
    before = newest.read_bytes()
    damage(newest)
    assert newest.read_bytes() != before
    trainer = resume(whole)
    assert trainer.step == 9
    assert newest.name in capsys.readouterr().err
    assert [row["step"] for row in lines(whole)] == [2, 4, 6, 8]
    finish(trainer, whole)
    assert tensors(whole) == good
    assert lines(whole) == kept


def test_when_every_checkpoint_is_damaged_it_says_so(whole):
    for path in (whole / "checkpoints").glob("step-*"):
        damage_length(path)
    with pytest.raises(InputError, match="every checkpoint is damaged"):
        resume(whole)


def test_a_checkpoint_of_another_run_is_refused(pictures, whole, tmp_path):
    other = tmp_path / "other"
    finish(small_runs.begin(pictures, other, trunk_dense=9), other)
    for path in (other / "checkpoints").glob("step-*"):
        path.replace(whole / "checkpoints" / path.name)
    with pytest.raises(InputError, match="trunk_dense 8, the run was trained with 9"):
        resume(whole)


def test_a_checkpoint_that_lacks_a_tensor_does_not_fit(whole):
    found = checkpoints.latest(whole)
    parts = {name: found.part(name) for name in ("networks", "optimiser_d", "optimiser_g")}
    del parts["networks"]["G.0.weight"]
    checkpoints.save(whole, 12, parts, found.state)
    with pytest.raises(InputError, match=r"does not fit.*G\.0\.weight"):
        resume(whole)


def test_half_a_line_and_leftovers_of_a_kill_are_cleared(pictures, whole, tmp_path):
    run_dir = tmp_path / "run"
    stop_at(small_runs.begin(pictures, run_dir), run_dir, 8)
    with (run_dir / "metrics.jsonl").open("a") as file:
        file.write('{"step": 10, "ima')
    leftover = run_dir / "checkpoints" / ".step-00000009.safetensors.1.tmp"
    leftover.write_bytes(b"half")
    trainer = resume(run_dir)
    assert not leftover.exists()
    finish(trainer, run_dir)
    assert lines(run_dir) == lines(whole)


def test_a_failed_checkpoint_leaves_the_earlier_ones(pictures, tmp_path, monkeypatch):
    run_dir = tmp_path / "run"
    trainer = small_runs.begin(pictures, run_dir)
    import os

    real, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if trainer.step >= 6:
            raise OSError(28, "No space left on device")
        return real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        finish(trainer, run_dir)
    monkeypatch.setattr(os, "fsync", real)
    assert calls
    assert sorted(p.name for p in (run_dir / "checkpoints").iterdir()) == ["latest", checkpoints.name(3)]
    assert resume(run_dir).step == 3


def test_lines_are_on_the_disk_before_the_checkpoint_that_counts_on_them(pictures, tmp_path, monkeypatch):
    import os

    run_dir, flushed = tmp_path / "run", []
    trainer = small_runs.begin(pictures, run_dir, steps=4, checkpoint_every=4)
    real = os.fsync

    def watched(handle):
        flushed.append(os.fstat(handle).st_ino)
        real(handle)

    monkeypatch.setattr(os, "fsync", watched)
    finish(trainer, run_dir)
    inodes = [(run_dir / p).stat().st_ino for p in ("metrics.jsonl", f"checkpoints/{checkpoints.name(4)}")]
    assert [i for i in flushed if i in inodes] == inodes


def test_ctrl_c_between_lines_loses_nothing(pictures, whole, tmp_path):
    """The checkpoint Ctrl-C writes holds what is not yet in metrics.jsonl."""
    run_dir = tmp_path / "run"
    trainer = small_runs.begin(pictures, run_dir)
    advance = trainer.advance

    def press():
        if trainer.step == 4:
            signal.raise_signal(signal.SIGINT)
        return advance()

    trainer.advance = press
    from infogan.errors import Interrupted

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="update 5"):
        finish(trainer, run_dir)
    assert signal.getsignal(signal.SIGINT) is before
    trainer = resume(run_dir)
    assert trainer.step == 5
    finish(trainer, run_dir)
    assert tensors(run_dir) == tensors(whole)
    assert lines(run_dir) == lines(whole)


def test_training_works_in_another_thread(pictures, tmp_path):
    run_dir = tmp_path / "run"
    trainer = small_runs.begin(pictures, run_dir, steps=2)
    thread = threading.Thread(target=finish, args=(trainer, run_dir))
    thread.start()
    thread.join(60)
    assert trainer.step == 2


def killed_again_and_again(pictures: Path, folder: Path, kills: int, steps: int, seed: int) -> None:
    """Kill one run `kills` times, each at a random moment after it began to train, then let it end."""
    changes = {"steps": steps, "checkpoint_every": 7, "log_every": 3, "sample_every": 25}
    alone, killed = folder / "alone", folder / "killed"
    assert small_runs.command(*small_runs.arguments(pictures, alone, **changes)).returncode == 0
    draw = random.Random(seed)
    arguments = [*small_runs.arguments(pictures, killed, **changes), "--resume"]
    survived = 0
    for _ in range(kills):
        process = small_runs.launch(*arguments)
        assert process.stdout is not None
        while "|" not in process.stdout.readline() and process.poll() is None:
            pass  # the line that tells data and kernels comes just before the first update
        time.sleep(draw.uniform(0, 0.4))
        process.kill()
        process.communicate(timeout=60)
        survived += process.returncode == 0
    assert survived < kills / 2, "the run ended before most of the kills: they tested nothing"
    result = small_runs.command(*arguments)
    assert result.returncode == 0, result.stderr
    assert tensors(killed) == tensors(alone)
    assert lines(killed) == lines(alone)
    pictures_of = [{p.name: p.read_bytes() for p in (d / "figures").glob("samples-*")} for d in (alone, killed)]
    assert pictures_of[0] == pictures_of[1]
    assert not list(killed.rglob(".*.tmp"))


def test_killed_at_random_moments(pictures, tmp_path):
    killed_again_and_again(pictures, tmp_path, kills=4, steps=100, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_twenty_random_moments(pictures, tmp_path, seed):
    killed_again_and_again(pictures, tmp_path, kills=20, steps=400, seed=seed)


def test_the_number_of_threads_changes_no_bit(tmp_path):
    """On networks large enough for the compiled kernels, whose work is split among threads."""
    import kernels

    pictures = small_runs.write_pictures(tmp_path, size=28)
    fields = {
        "batch_size": 16, "steps": 3, "generator_dense": 64, "generator_channels": (32, 16),
        "trunk_channels": (16, 32), "trunk_dense": 64,
    }  # fmt: skip
    found = []
    before = kernels.get_num_threads()
    try:
        for threads in sorted({1, before}):
            kernels.set_num_threads(threads)
            run_dir = tmp_path / f"threads{threads}"
            finish(small_runs.begin(pictures, run_dir, **fields), run_dir)
            found.append(tensors(run_dir))
    finally:
        kernels.set_num_threads(before)
    assert all(f == found[0] for f in found)
    assert any(name == "numba" for counts in kernels.served().values() for name in counts)


def test_checkpoints_hold_what_they_should(whole):
    state = checkpoints.latest(whole).state
    assert (state["step"], state["seed"]) == (12, 0)
    assert (state["epoch"], state["position"]) == (1, 16)  # 12 batches of 4 out of 32 pictures
    parts = {key.split("/")[0] for key in checkpoints.latest(whole).tensors}
    assert parts == {"networks", "optimiser_d", "optimiser_g"}
    names = checkpoints.latest(whole).part("networks")
    assert {"G.1.running_mean", "trunk.2.running_var", "Q_head.1.num_batches_tracked"} <= set(names)
    assert all(np.isfinite(v).all() for v in names.values())
