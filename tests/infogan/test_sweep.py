"""Several seeds side by side: what fails stops no other, and what was begun is gone on with."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import small_runs
from small_runs import gone, until

from infogan import checkpoints, cli, sweep, workers
from infogan.errors import InfoganError, InputError
from infogan.sweep import Outcome
from infogan.tables import markdown, number, spread
from infogan.workers import Backend, is_trained, shares, trained


@pytest.fixture
def pictures(tmp_path) -> Path:
    return small_runs.write_pictures(tmp_path)


def arguments(pictures: Path, out: Path, seeds: str = "0-1", **changes) -> list[str]:
    _, _, _, *fields = small_runs.arguments(pictures, out, **changes)
    return ["sweep", "--seeds", seeds, "--out", str(out), *fields]


def quietly(settings, folder: Path) -> None:
    trained(settings, folder, progress=False, say=lambda line: None)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def tensors(run_dir: Path) -> dict[str, bytes]:
    return {k: v.tobytes() for k, v in checkpoints.latest(run_dir).tensors.items()}


def test_a_seed_that_fails_stops_no_other_and_is_tried_again(pictures, tmp_path, capsys):
    out = tmp_path / "out"
    (out / "seed-1").mkdir(parents=True)
    (out / "seed-1" / "checkpoints").write_text("in the way")
    assert cli.main(arguments(pictures, out, "0-2")) == 1
    told = capsys.readouterr()
    (line,) = [text for text in told.err.splitlines() if text.startswith("infogan: ")]
    assert "1 of 3 seeds failed: seed 1: " in line and "File exists" in line and "Traceback" not in told.err
    assert "seed 1 " in told.out and "failed" in told.out
    assert [checkpoints.latest(out / f"seed-{seed}").step for seed in (0, 2)] == [12, 12]
    assert (out / "seed-0" / "figures" / "bounds.png").exists()
    before = contents(out / "seed-0")

    (out / "seed-1" / "checkpoints").unlink()
    assert cli.main(arguments(pictures, out, "0-2")) == 0
    assert contents(out / "seed-0") == before
    told = capsys.readouterr()
    assert "worst" in told.out and "next: infogan evaluate" in told.out
    assert "updates" in told.err
    found = json.loads((out / "sweep.json").read_text())
    bounds = [found["seeds"][seed]["bound"]["c1"] for seed in "012"]
    assert len(set(bounds)) == 3
    assert found["bound"]["c1"] == spread(bounds)
    assert found["settings"]["codes"] == "cat:3,uniform" and "seed" not in found["settings"]
    alone = tmp_path / "alone"
    quietly(small_runs.settings(pictures, seed=1), alone)
    assert tensors(alone) == tensors(out / "seed-1")


def living(parent: int) -> list[int]:
    """The processes that train, of those `parent` has started."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [int(p) for p in children if b"spawn_main" in Path(f"/proc/{p}/cmdline").read_bytes()]


def test_the_bar_says_who_is_in_a_head_start(pictures, tmp_path):
    """In its minutes there is no update to show yet."""
    runs = {
        tmp_path / "seed-0": small_runs.settings(pictures, head_start=3),
        tmp_path / "seed-1": small_runs.settings(pictures),
    }
    crew, told = workers._Crew(runs, Backend(), 2), []
    crew.members = [workers._Member(folder, None, None) for folder in runs]
    bar = SimpleNamespace(set_postfix_str=lambda text, refresh: told.append(text), update=lambda n: None)
    crew._show(bar, dict.fromkeys(runs, 12))
    assert told == ["seed-0 in its head start, seed-1 0"] and bar.n == 0


def test_what_happens_in_a_run_is_told_with_its_name(pictures, tmp_path, capsys):
    settings = small_runs.settings(pictures, head_start=2, invariance_batch=8)
    quietly(settings, tmp_path / "seed-7")
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'seed-7'}: head start of 2 updates: ")


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="processes are found by Linux's /proc")
def test_killed_interrupted_and_gone_on_with(pictures, tmp_path):
    """Its processes end with it, each with a checkpoint; a killed one is a failed seed; the bits stay the same."""
    out = tmp_path / "out"
    folders = [out / "seed-0", out / "seed-1"]
    many = arguments(pictures, out, steps=200_000, checkpoint_every=100_000)

    def begun() -> tuple:
        for folder in folders:
            (folder / "metrics.jsonl").unlink(missing_ok=True)
        process = small_runs.launch(*many, "--jobs", "2", "--threads", "1")
        until(lambda: all((folder / "metrics.jsonl").exists() for folder in folders) or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        return process, living(process.pid)

    process, children = begun()
    assert len(children) == 2
    process.kill()
    process.communicate(timeout=60)
    until(lambda: all(gone(pid) for pid in children))
    killed = [checkpoints.latest(folder).step for folder in folders]
    assert all(0 < step < 100_000 for step in killed)

    process, _ = begun()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "the same command goes on" in err, err
    assert "Traceback" not in err
    stopped = [checkpoints.latest(folder).step for folder in folders]
    assert all(later > step for later, step in zip(stopped, killed, strict=True))

    process, children = begun()
    os.kill(children[0], signal.SIGKILL)
    until(lambda: gone(children[0]))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)

    steps = max(checkpoints.latest(folder).step for folder in folders) + 5
    assert small_runs.command(*arguments(pictures, out, steps=steps)).returncode == 0
    alone = tmp_path / "alone"
    quietly(small_runs.settings(pictures, seed=1, steps=steps), alone)
    assert tensors(alone) == tensors(out / "seed-1")


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="processes are found by Linux's /proc")
def test_a_process_that_the_system_kills_is_a_failed_seed(pictures, tmp_path):
    out = tmp_path / "out"
    process = small_runs.launch(*arguments(pictures, out, seeds="3", steps=200_000, checkpoint_every=100_000))
    until(lambda: (out / "seed-3" / "metrics.jsonl").exists())
    (child,) = living(process.pid)
    os.kill(child, signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "seed 3: its process was killed by signal 9" in err and "Traceback" not in err


def test_a_run_is_trained_once(pictures, tmp_path):
    folder, settings = tmp_path / "run", small_runs.settings(pictures)
    assert not is_trained(settings, folder)
    quietly({**settings, "steps": 6}, folder)
    assert not is_trained(settings, folder)
    quietly(settings, folder)
    assert is_trained(settings, folder)
    before = contents(folder)
    quietly(settings, folder)
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": 1}, "seed 0, not 1"),
        ({"noise": 6}, "noise 5, not 6"),
        ({"codes": None}, "codes 'cat:3,uniform', not 'cat:10,uniform,uniform'"),
        ({"steps": 5}, "12 updates, 5 are asked for"),
        ({"milestones": "4,5"}, "did not keep update 5"),
    ],
)
def test_a_run_of_other_settings_is_refused(pictures, tmp_path, changes, words):
    folder = tmp_path / "run"
    quietly(small_runs.settings(pictures, milestones=(4,)), folder)
    before = contents(folder)
    asked = {k: v for k, v in small_runs.settings(pictures, **changes).items() if v is not None}
    with pytest.raises(InputError, match=words):
        trained(asked, folder)
    assert contents(folder) == before


def test_a_run_on_other_data_is_refused_and_on_moved_ones_not(pictures, tmp_path):
    folder = tmp_path / "run"
    quietly(small_runs.settings(pictures), folder)
    moved, other = tmp_path / "moved.npz", small_runs.write_pictures(tmp_path, count=44, name="other.npz")
    pictures.rename(moved)
    assert is_trained(small_runs.settings(moved), folder)
    with pytest.raises(InputError, match=r"not '.*other\.npz'"):
        is_trained(small_runs.settings(other), folder)


@pytest.mark.parametrize(
    ("cores", "runs", "jobs", "threads", "device", "expected"),
    [
        (2, 5, None, None, "cpu", (2, 1)),
        (8, 3, None, None, "cpu", (3, 2)),
        (8, 5, None, 4, "cpu", (2, 4)),
        (8, 5, 2, None, "cpu", (2, 4)),
        (2, 5, 4, None, "cpu", (4, 1)),
        (4, 1, None, None, "cpu", (1, 4)),
        (4, 0, None, None, "cpu", (1, 4)),
        (8, 5, None, None, "cuda", (1, 8)),
    ],
)
def test_processes_and_threads_fill_the_cores(monkeypatch, cores, runs, jobs, threads, device, expected):
    monkeypatch.setattr(workers.kernels, "get_num_threads", lambda: cores)
    assert shares(runs, jobs, Backend(device, threads)) == expected


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--seeds", "4-2"], "write 0-4"),
        (["--seeds", "0,x"], "write 0-4"),
        (["--seeds", "0-5000"], "write 0-4"),
        (["--seeds", ""], "write 0-4"),
        (["--set", "seed=3"], "--seeds"),
        (["--jobs", "0"], "jobs 0"),
        (["--threads", "0"], "threads 0"),
        (["--data", "absent"], "absent"),
        (["--codes", "cat:1"], "cat:10"),
        (["--set", "stepz=3"], "stepz"),
    ],
)
def test_a_wrong_option_is_named_before_anything_begins(capsys, tmp_path, monkeypatch, given, words):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["sweep", *given]) == 2
    err = capsys.readouterr().err
    assert words in err and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_seeds_are_read_in_order_and_once():
    from infogan.commands.options import Seeds

    assert Seeds().convert("7,0-2, 1", None, None) == [0, 1, 2, 7]


def test_every_failed_seed_is_named():
    outcomes = [Outcome(0, Path("a"), None), Outcome(1, Path("b"), "disk full"), Outcome(2, Path("c"), "diverged")]
    with pytest.raises(InfoganError, match="2 of 3 seeds failed: seed 1: disk full; seed 2: diverged"):
        sweep.check(outcomes)
    sweep.check(outcomes[:1])


def test_the_spread_of_a_figure_over_seeds():
    assert spread([1.0, 2.0, 6.0]) == {"mean": 3.0, "deviation": pytest.approx(7**0.5), "median": 2.0, "worst": 1.0}
    assert spread([2.0], worst=max) == {"mean": 2.0, "deviation": None, "median": 2.0, "worst": 2.0}


def test_tables_are_markdown():
    assert markdown(["a", "much"], [["seed 0", number(-0.5)], ["", number(None)]]).splitlines() == [
        "| a      |   much |",
        "| ------ | -----: |",
        "| seed 0 | −0.500 |",
        "|        |      – |",
    ]
    assert number(-0.0001) == "0.000"
