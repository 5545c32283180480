"""PyTorch and JAX in the bench: held to the same answers, so that a ratio compares the same work."""

from __future__ import annotations

import pytest
from witnesses import witness

from kernels.bench import clock, measure, peers, problems
from kernels.bench.problems import DIFFERENTIABLE, parse
from kernels.registry import OPERATIONS

pytestmark = pytest.mark.peers

CONV = "2x3x7x6:4x3x2:s2x1:p1"
SHAPES = {
    "matmul": "5x7x4",
    "adam_step": "12",
    **{op: CONV for op in problems.CONVOLUTIONS},
    **{op: "4x3x2x3" for op in problems.NORMS},
}


@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize("name", ["torch", "jax"])
def test_a_peer_gives_the_right_answers(op, name, monkeypatch):
    witness(name)
    monkeypatch.setattr(clock, "BUDGET", 1e-6)
    monkeypatch.setattr(clock, "SAMPLE", 1e-6)
    monkeypatch.setattr(measure, "WARM", 0.0)
    field = [p for p in peers.peers("cpu")[0] if p.name.startswith(name)]
    plan = measure.Plan(
        problems=parse(op, SHAPES[op]),
        passes=problems.PASSES if op in DIFFERENTIABLE else ("forward",),
        rounds=1,
        kernels="conv2d=blas" if op != "conv2d" else "matmul=blas",
        peers=field,
    )
    lines = [x for x in measure.run(plan) if x.kind == "peer"]
    assert lines and [x.fault for x in lines] == [""] * len(lines)
