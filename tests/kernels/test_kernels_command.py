"""`python -m kernels`: what it prints and how it exits; and that verify catches wrong kernels."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

HEAD = """
import numpy as np
import kernels
from kernels import blas
"""
RIGHT = """
@kernels.register("conv2d", name="mine")
def conv2d(x, w, b=None, *, stride, padding, activation=None):
    return blas.conv2d(x, w, b, stride=stride, padding=padding, activation=activation)
"""
WRONG = {
    "zeros": ("return 0 * blas.conv2d(x, w, b, stride=stride, padding=padding, activation=activation)", "expected"),
    "flipped": (
        "return blas.conv2d(x, w[:, :, ::-1], b, stride=stride, padding=padding, activation=activation)",
        "entries are wrong",
    ),
    "no bias": ("return blas.conv2d(x, w, stride=stride, padding=padding, activation=activation)", "expected"),
    "writes": (
        "y = blas.conv2d(x, w, b, stride=stride, padding=padding, activation=activation); w *= 2; return y",
        "w was written to|read-only",
    ),
    "dtype": (
        "return blas.conv2d(x, w, b, stride=stride, padding=padding, activation=activation).astype(np.float64)",
        "float64, not",
    ),
    "raises": ("raise IndexError('out of luck')", "raised IndexError: out of luck"),
    "limits": ("pass", "nothing was checked"),
}


def _python_m(*arguments):
    return subprocess.run([sys.executable, "-m", "kernels", *arguments], capture_output=True, text=True, timeout=120)


def test_a_right_kernel_file_passes(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(HEAD + RIGHT)
    done = _python_m("verify", "conv2d", "--kernel-file", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("conv2d mine: ok, 24 cases")


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_kernel_fails(tmp_path, kind, monkeypatch):
    from kernels import load_kernel_file, registry
    from kernels.verify import find, verify

    monkeypatch.setattr(registry, "_table", dict(registry._table))
    body, says = WRONG[kind]
    limits = ", supports=lambda spec: False" if kind == "limits" else ""
    path = tmp_path / "wrong.py"
    path.write_text(
        f'{HEAD}\n@kernels.register("conv2d", name="wrong"{limits})\n'
        f"def conv2d(x, w, b=None, *, stride, padding, activation=None):\n    {body}\n"
    )
    load_kernel_file(path)
    report = verify(find("conv2d", "wrong")[0])
    assert not report.ok
    assert re.search(says, str(report)), str(report)


def test_a_failure_shows_shape_index_and_both_values(tmp_path):
    path = tmp_path / "wrong.py"
    path.write_text(HEAD + RIGHT.replace("return ", "return 1.001 * "))
    done = _python_m("verify", "--kernel-file", str(path))
    assert done.returncode == 1
    assert "float32 x (2, 3, 7, 6), w (4, 3, 3, 2), b (4,); stride=(1, 1)" in done.stdout
    assert "of shape (2, 4, 5, 5) is np.float32(" in done.stdout and "expected" in done.stdout
    done = _python_m("verify", "--kernel-file", str(path), "--rtol", "1e-2")
    assert done.stdout.startswith("conv2d mine: ok")


def test_list():
    done = _python_m("list")
    assert done.returncode == 0
    assert "* conv2d                 numba" in done.stdout and "reference" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["verify", "conv3d"], "no operation 'conv3d'"),
        (["verify", "conv2d", "--name", "x"], "conv2d has no kernel 'x': there are reference, blas, numba"),
        (["verify", "--name", "blas"], "name the operation too"),
        (["verify", "--kernel-file", "absent.py"], "kernel file absent.py: no such file"),
        (["verify", "conv2d", "--rtol", "much"], "'much' is not a valid float"),
        (["frobnicate"], "No such command 'frobnicate'"),
    ],
)
def test_bad_usage_is_one_line_and_exit_2(arguments, says):
    done = _python_m(*arguments)
    assert done.returncode == 2
    assert says in done.stderr and done.stderr.count("\n") == 1 and done.stdout == ""
