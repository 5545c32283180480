"""`python -m minigrad gradcheck` in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "minigrad", "gradcheck", "--second-order"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "conv2d_grad_weight" in done.stdout
