"""Thousands of damaged files: each is read, or refused in one line, in bounded memory and time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("readers.py")


def test_damaged_files_are_read_or_refused_in_one_line():
    count = 100
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "--count", str(count)], capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    wrong = {name: of["wrong"][:3] for name, of in found.items() if of["wrong"]}
    assert not wrong, wrong
    assert all(of["tried"] == count and of["refused"] > count / 10 for of in found.values())


@pytest.mark.parametrize(
    ("broken", "told"),
    [("raise KeyError('x')", "KeyError"), ("while True: pass", "Hang"), ("return bytearray(1 << 30)", "MemoryError")],
)
def test_the_program_tells_what_is_no_line(broken, told):
    """The program's own test: a reader that raises, hangs or takes a gigabyte is reported."""
    script = f"""
import signal, sys
sys.path.insert(0, {str(PROGRAM.parent)!r})
import readers
readers.SECONDS = 0.2
calls = []
def read(path):
    calls.append(path)
    if len(calls) > 1:  # the first file is whole
        {broken}
readers.READERS = {{"broken": readers.Reader(readers.weights, read)}}
sys.argv = ["readers", "--count", "1"]
readers.main()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    (wrong,) = json.loads(done.stdout)["broken"]["wrong"]
    assert wrong["error"].startswith(told)
