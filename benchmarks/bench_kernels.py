"""Every kernel on the shapes of the paper's networks, forward and backward; right before it is timed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kernels.bench import oracle
from kernels.bench.contestants import kernels_for
from kernels.bench.peers import peers
from kernels.bench.problems import DIFFERENTIABLE, infogan, parse
from kernels.bench.work import build
from kernels.registry import OPERATIONS

TINY = {"matmul": "5x7x4", "adam_step": "12", "conv": "2x3x6x6:4x4x4:s2:p1", "norm": "4x3x2x2"}


def _problems(op: str, tiny: bool) -> list[Any]:
    family = "conv" if op.startswith("conv") else "norm" if op.startswith("batch") else op
    return parse(op, TINY[family]) if tiny else infogan(op)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    option = metafunc.config.getoption
    others = peers("cpu")[0] if option("--peers") else []
    found = []
    for op in OPERATIONS:
        for problem in _problems(op, option("--tiny")):
            for which in ("forward", "both") if op in DIFFERENTIABLE else ("forward",):
                work = build(problem, which, "float32", "nhwc", np.random.default_rng(0))
                for contestant in [*kernels_for(op, "cpu", None), *others]:
                    try:
                        contestant.note(work)
                    except NotImplementedError:
                        continue
                    name = f"{op}-{problem}-{which}-{contestant.name}"
                    found.append(pytest.param(problem, which, contestant, id=name.replace(" ", "_")))
    metafunc.parametrize(("problem", "which", "contestant"), found)


def test_kernel(benchmark: Any, problem: Any, which: str, contestant: Any) -> None:
    work = build(problem, which, "float32", "nhwc", np.random.default_rng(1))
    prepared = contestant.prepare(work)
    wanted = [oracle.answers(call) for call in work.calls]
    wrong = oracle.fault(wanted, contestant.results(work, prepared()), np.dtype("float32"))
    assert wrong is None, wrong
    benchmark.group = f"{problem.op} {problem} {which}"
    benchmark.extra_info.update(flops=work.flops, bytes=work.bytes)
    benchmark(contestant.prepare(work))
