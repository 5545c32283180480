"""Pieces of work in several processes: all are done, and none outlives what asked for it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from small_runs import gone, until

from infogan.errors import InfoganError, InputError, Interrupted
from infogan.workers import side_by_side


def squared(number: int, tell) -> tuple[int, int]:
    tell(f"squaring {number}")
    return number * number, os.getpid()


def refused(number: int, tell) -> int:
    if number == 2:
        raise InputError("two is not taken")
    return number


def killed(number: int, tell) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def slept(folder: str, number: int, tell) -> None:
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(300)


def all_gone(marks: Path) -> bool:
    return all(gone(int(path.name)) for path in marks.iterdir())


in_proc = pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="processes are found by Linux's /proc")


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_piece_is_done_and_told(jobs):
    heard: list[str] = []
    found = dict(side_by_side(squared, [(n,) for n in range(5)], jobs, heard.append))
    assert {place: value for place, (value, _) in found.items()} == {n: n * n for n in range(5)}
    assert sorted(heard) == [f"squaring {n}" for n in range(5)]
    assert (os.getpid() in {pid for _, pid in found.values()}) is (jobs == 1)


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_the_work_raises_is_raised(jobs):
    with pytest.raises(InputError, match="two is not taken"):
        list(side_by_side(refused, [(n,) for n in range(4)], jobs))
    until(lambda: not multiprocessing.active_children())


def test_a_killed_process_is_said_in_one_line():
    with pytest.raises(InfoganError, match="was killed"):
        list(side_by_side(killed, [(n,) for n in range(4)], 2))


@in_proc
def test_ctrl_c_ends_all_processes_at_once(tmp_path):
    def press() -> None:
        until(lambda: len(list(tmp_path.iterdir())) == 2)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    begun = time.monotonic()
    with pytest.raises(Interrupted, match="what was measured is kept"):
        list(side_by_side(slept, [(str(tmp_path), n) for n in range(3)], 2))
    assert time.monotonic() - begun < 120
    until(lambda: all_gone(tmp_path))


@in_proc
def test_processes_end_when_their_parent_is_killed(tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from test_side_by_side import slept, side_by_side\n"
        "if __name__ == '__main__': list(side_by_side(slept, [(sys.argv[1], n) for n in range(2)], 2))\n"
    )
    (tmp_path / "main.py").write_text(code)
    marks = tmp_path / "marks"
    marks.mkdir()
    parent = subprocess.Popen([sys.executable, tmp_path / "main.py", marks, Path(__file__).parent])
    until(lambda: len(list(marks.iterdir())) == 2)
    parent.kill()
    parent.wait()
    until(lambda: all_gone(marks))
