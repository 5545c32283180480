"""An edit anywhere in the package leaves no compiled code in use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kernels

CODE = """
import numpy as np
import kernels
x, one, zero = -np.ones((1, 1), np.float32), np.ones(1, np.float32), np.zeros(1, np.float32)
with kernels.use("numba"):
    print(kernels.batch_norm_inference(x, one, zero, zero, one, eps=0.0, activation=("leaky_relu", 0.5)).item())
"""
LINE = "compiling kernels (once)"


@pytest.fixture
def run(tmp_path):
    package = tmp_path / "kernels"
    shutil.copytree(Path(kernels.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))

    def call(cache="cache"):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
        environment |= {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / cache)}
        done = subprocess.run(
            [sys.executable, "-c", CODE], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return float(done.stdout), LINE in done.stderr

    return package, call


def test_an_edit_in_a_helper_of_another_file_recompiles(run):
    package, call = run
    assert call() == (-0.5, True)
    assert call() == (-0.5, False)
    helper = package / "cpu" / "epilogue.py"
    text = helper.read_text()
    changed = text.replace("else slope * low", "else slope * low - 3")
    assert changed != text
    helper.write_text(changed)
    assert call() == (-3.5, True)


def test_a_damaged_or_unwritable_cache_is_no_obstacle(run, tmp_path):
    _, call = run
    assert call() == (-0.5, True)
    entries = list((tmp_path / "cache").rglob("*.nbc"))
    assert entries
    for entry in entries:
        entry.write_bytes(b"damaged")
    assert call() == (-0.5, True)
    (tmp_path / "file").write_text("not a folder")
    assert call("file") == (-0.5, True)
