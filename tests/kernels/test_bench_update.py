"""The whole update: every contestant computes the same, a wrong one is found out, and the floor counts products."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from witnesses import witness

from benchmarks import contestants, floor
from benchmarks.contestants import CLOSE, Problem, departure, disagreement

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tiny():
    return Problem.tiny()


def test_the_projects_update_agrees_with_the_definition(tiny):
    assert disagreement(tiny, "infogan") is None


@pytest.mark.peers
@pytest.mark.parametrize("name", ["torch", "torch channels_last", "jax"])
def test_a_peer_does_the_same_work(tiny, name):
    witness(name.split()[0])
    assert disagreement(tiny, name) is None


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate_g": 2e-3},
        {"learning_rate_d": 4e-4},
        {"lambda_categorical": 0.9},
        {"leaky_slope": 0.11},
        {"beta1": 0.6},
    ],
    ids=str,
)
def test_an_update_that_computes_something_else_is_found_out(tiny, change):
    def make(problem):
        return contestants.own(Problem(problem.config.model_copy(update=change), problem.batches))

    assert "by the definition" in departure(tiny, make, CLOSE)


def test_the_floor_counts_the_products_of_the_paper_by_hand():
    import numpy as np

    from kernels import dispatch

    x, w = np.ones((2, 3, 6, 6), np.float32), np.ones((4, 3, 4, 4), np.float32)
    place = {"stride": 2, "padding": 1}
    before = dispatch.resolve
    with floor.recorded() as found:
        y = dispatch.conv2d(x, w, **place)
        dispatch.conv2d_grad_input(y, w, input_shape=x.shape, **place)
        dispatch.conv2d_grad_weight(y, x, weight_shape=w.shape, **place)
        for _ in range(2):
            dispatch.matmul(np.ones((5, 7)), np.ones((7, 2)))
    assert dispatch.resolve is before
    places, depth = 2 * 3 * 3, 3 * 4 * 4
    assert found == {(places, depth, 4): 1, (places, 4, depth): 1, (4, places, depth): 1, (5, 7, 2): 2}
    assert floor.flops(found) == 3 * 2 * places * depth * 4 + 2 * 2 * 5 * 7 * 2


def _python_m(*arguments):
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=200)


def test_the_command(tmp_path):
    out = tmp_path / "u.json"
    done = _python_m("benchmarks.update", "--tiny", "--no-peers", "--rounds", "1", "--updates", "1", "--json", str(out))
    assert done.returncode == 0, done.stderr
    assert "floor" in done.stdout and "infogan" in done.stdout and out.exists()


@pytest.mark.slow
def test_growth_memory_and_start_are_measured():
    done = _python_m("benchmarks.growth", "--tiny", "--rounds", "1")
    assert done.returncode == 0, done.stderr
    assert "a + b · batch" in done.stdout and "conv2d_grad_weight" in done.stdout
    done = _python_m("benchmarks.memory", "--tiny", "--updates", "20", "--peer-updates", "2")
    assert done.returncode == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if line.startswith("infogan"))
    assert 0.5 < float(row.split()[-1]) < 1.5
    done = _python_m("benchmarks.startup", "--tiny", "--rounds", "1")
    assert done.returncode == 0 and done.stdout.count("first update") == 2, done.stderr


@pytest.mark.slow
def test_the_suites_run():
    pytest.importorskip("pytest_benchmark")
    done = _python_m("pytest", "benchmarks", "--tiny", "--benchmark-disable")
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.slow
def test_two_commits_in_turns():
    if subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True).returncode:
        pytest.skip("not a git repository")
    options = ("matmul", "--shapes", "8x9x7", "--rounds", "3", "--kernels", "blas")
    done = _python_m("benchmarks.commits", "--turns", "1", "HEAD", *options)
    assert done.returncode == 0, done.stderr
    assert "matmul 8x9x7 forward" in done.stdout
