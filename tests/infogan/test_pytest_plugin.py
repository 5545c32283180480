"""The plugin as a user meets it: a test file of theirs, run by pytest in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

OPERATION = """
import numpy as np
import minigrad as mg


@mg.primitive
def softsign(x):
    return x / (1 + abs(x))


softsign.defvjp(lambda g, x: g / (1 + x.abs()).square())
X = np.array([-2.0, -0.5, 1.0, 3.0])
"""

RIGHT = """
from operations import X, mg, np, softsign


def test_softsign(gradcheck):
    gradcheck(softsign, mg.tensor(X, requires_grad=True))


def test_twice(gradgradcheck):
    report = gradgradcheck(softsign, mg.tensor(X, requires_grad=True))
    assert report.entries > 0


def normalise(x, axis=-1):
    return x / np.sqrt((x * x).sum(axis, keepdims=True))


def normalise_backward(g, x):
    n = np.sqrt((x * x).sum(-1, keepdims=True))
    return (g - x * (g * x).sum(-1, keepdims=True) / n**2) / n


def test_a_pair_of_another_library(check_vjp):
    check_vjp(normalise, normalise_backward, np.arange(1.0, 7.0).reshape(2, 3))
"""

WRONG = """
from operations import X, mg, np, softsign


def test_one_entry(check_vjp):
    def backward(g, x):
        gx = 2 * g * x
        gx[2] = 0.0
        return gx

    check_vjp(np.square, backward, X)


def test_a_rule(gradcheck):
    with mg.override_vjp("softsign", lambda g, x: -g / (1 + x.abs()).square()):
        gradcheck(softsign, mg.tensor(X, requires_grad=True))


def test_asked_not_to_raise(gradcheck):
    with mg.override_vjp("softsign", lambda g, x: -g / (1 + x.abs()).square()):
        assert not gradcheck(softsign, mg.tensor(X, requires_grad=True), raise_exception=False)
"""

LIGHT = """
import sys

HEAVY = ("numpy", "minigrad", "kernels", "numba", "scipy", "matplotlib", "click")


def test_nothing_is_loaded(pytestconfig):
    assert pytestconfig.pluginmanager.hasplugin("gradcheck")
    assert not [name for name in HEAVY if name in sys.modules]


def test_the_fixture_loads_the_engine(gradcheck):
    assert "minigrad" in sys.modules
    assert not [name for name in HEAVY[3:] if name in sys.modules]
"""


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """pytest's exit status and what it said, from the entry point of the installed distribution alone."""
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", *arguments]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "operations.py").write_text(OPERATION)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def test_right_operations_pass(folder: Path) -> None:
    (folder / "test_right.py").write_text(RIGHT)
    status, said = run(folder)
    assert status == 0, said
    assert "3 passed" in said


def test_a_wrong_one_fails_at_the_users_line_and_names_the_entry(folder: Path) -> None:
    (folder / "test_wrong.py").write_text(WRONG)
    status, said = run(folder)
    assert status == 1 and "2 failed, 1 passed" in said, said
    assert "entry [2], output 0 entry [2]: analytic 0, numerical 2" in said
    assert "all wrong entries have index 2 of axis 0 (of 4)" in said
    assert "wrong sign" in said
    assert "> " in said and "check_vjp(np.square, backward, X)" in said
    assert "_settle" not in said and "pytest_plugin.py" not in said, "the traceback ends at the test"


def test_pytest_starts_without_the_engine(folder: Path) -> None:
    (folder / "test_light.py").write_text(LIGHT)
    status, said = run(folder)
    assert status == 0, said
    assert "2 passed" in said


def test_the_fixtures_say_what_they_are(folder: Path) -> None:
    status, said = run(folder, "--fixtures")
    assert status in (0, 5)
    for name in ("gradcheck", "gradgradcheck", "check_vjp"):
        assert f"\n{name} [session scope]" in said
