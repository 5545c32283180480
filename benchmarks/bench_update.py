"""A whole update of the paper's MNIST networks, every contestant on the same weights, pictures and noise."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import pytest

from benchmarks.contestants import Problem, contestants, disagreement


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.parametrize("name", contestants(peers=metafunc.config.getoption("--peers")))


@pytest.fixture(scope="module")
def problem(tiny: bool) -> Problem:
    return Problem.tiny() if tiny else Problem.paper()


@pytest.mark.benchmark(group="update")
def test_update(benchmark: Any, problem: Problem, name: str) -> None:
    wrong = disagreement(problem, name)
    assert wrong is None, wrong
    update = contestants(peers=True)[name](problem)
    batches = cycle(problem.batches)
    benchmark.pedantic(lambda: update(next(batches)), warmup_rounds=2, rounds=10)
