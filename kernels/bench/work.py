"""A pass of a problem as calls of operations, on arrays drawn by a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from kernels.bench.problems import CONVOLUTIONS, DIFFERENTIABLE, NORMS, Problem
from kernels.cases import LAYOUTS, Case, norm_arrays
from kernels.registry import KernelError, Spec
from kernels.verify import spec_of

ACTIVATION = ("leaky_relu", 0.1)
"""What the batch-norms fuse, as in the paper's discriminator."""
EPS = 1e-5
ADAM = {"lr": 2e-4, "betas": (0.5, 0.999), "eps": 1e-8, "weight_decay": 0.0, "step": 100}
MEMORY = {"nchw": "C order", "nhwc": "NHWC memory"}


@dataclass(frozen=True)
class Call:
    """One call of an operation."""

    op: str
    case: Case

    def spec(self, device: str) -> Spec:
        """What it asks of an implementation."""
        return spec_of(self.op, self.case, self.dtype.name, device)

    @property
    def dtype(self) -> np.dtype:
        return next(a.dtype for a in self.case.arrays.values() if a is not None)


@dataclass(frozen=True)
class Work:
    """What is timed as one: the calls of a pass, all on the same arrays."""

    problem: Problem
    which: str
    layout: str
    calls: tuple[Call, ...]

    @property
    def arrays(self) -> dict[str, Any]:
        """The arrays of all calls by name; in a convolution or a batch-norm equal names are equal arrays."""
        return {n: a for call in self.calls for n, a in call.case.arrays.items()}

    @property
    def flops(self) -> int:
        """By the definitions of `Problem.flops`; each gradient of a product or a convolution costs as much as it."""
        return self.problem.flops * len(self.calls)

    @property
    def bytes(self) -> int:
        """Each operand and each result of each call once."""
        return sum(_bytes(call) for call in self.calls)


def _bytes(call: Call) -> int:
    arrays = {n: a.size for n, a in call.case.arrays.items() if a is not None}
    settings = call.case.settings
    if call.op == "conv2d":
        n, _, h, w = call.case.arrays["x"].shape  # type: ignore[union-attr]
        weight = call.case.arrays["w"].shape  # type: ignore[union-attr]
        out = prod(Problem(call.op, (n, weight[1], h, w), weight, settings["stride"], settings["padding"]).output)
    elif call.op in CONVOLUTIONS:
        out = prod(settings.get("input_shape") or settings["weight_shape"])
    elif call.op in NORMS:
        out = arrays["x"]
    elif call.op == "matmul":
        a, b = call.case.arrays.values()
        out = a.shape[0] * b.shape[1]  # type: ignore[union-attr]
    else:
        out = 3 * arrays["p"]
    return (sum(arrays.values()) + out) * call.dtype.itemsize


def build(problem: Problem, which: str, dtype: str, layout: str, random: np.random.Generator) -> Work:
    """Fresh arrays for `which` of "forward", "backward", "both", pictures laid out as `layout` says.

    Raises `KernelError` where the operation has no backward pass.
    """
    if which != "forward" and problem.op not in DIFFERENTIABLE:
        raise KernelError(f"{problem.op} has no backward pass to time: use --pass forward")

    def draw(shape: Sequence[int]) -> np.ndarray:
        values = random.standard_normal(tuple(shape), dtype=np.dtype(dtype).type)
        return LAYOUTS[MEMORY[layout]](values) if len(shape) == 4 else values

    calls = _BUILD[problem.op](problem, draw, random)
    chosen = {"forward": calls[:1], "backward": calls[1:], "both": calls}[which]
    return Work(problem, which, layout, tuple(Call(op, Case(which, a, s)) for op, a, s in chosen))


_Draw = Callable[[Sequence[int]], np.ndarray]
_Calls = list[tuple[str, dict[str, Any], dict[str, Any]]]


def _conv(problem: Problem, draw: _Draw, random: np.random.Generator) -> _Calls:
    x, w, gy = draw(problem.shape), np.ascontiguousarray(draw(problem.weight)), draw(problem.output)
    place = {"stride": problem.stride, "padding": problem.padding}
    calls: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
        "conv2d": ("conv2d", {"x": x, "w": w, "b": None}, {**place, "activation": None}),
        "conv2d_grad_input": ("conv2d_grad_input", {"gy": gy, "w": w}, {"input_shape": x.shape, **place}),
        "conv2d_grad_weight": ("conv2d_grad_weight", {"gy": gy, "x": x}, {"weight_shape": w.shape, **place}),
    }
    first = calls.pop(problem.op)
    if not problem.input_gradient:
        calls.pop("conv2d_grad_input", None)
    return [first, *calls.values()]


def _norm(problem: Problem, draw: _Draw, random: np.random.Generator) -> _Calls:
    x = draw(problem.shape)
    settings: dict[str, Any] = {"activation": ACTIVATION}
    if problem.op == "batch_norm_inference":
        return [(problem.op, norm_arrays(problem.op, x, EPS, random), {"eps": EPS, **settings})]
    arrays = norm_arrays("batch_norm_grad", x, EPS, random)
    arrays["gy"] = _like(x, arrays["gy"])
    forward = {n: arrays[n] for n in ("x", "gamma", "beta")}
    backward = ("batch_norm_grad", arrays, settings)
    if problem.op == "batch_norm_grad":
        return [backward]
    return [("batch_norm", forward, {"eps": EPS, **settings}), backward]


def _like(x: np.ndarray, a: np.ndarray) -> np.ndarray:
    """`a` in the memory order of `x`."""
    out = np.empty_like(x)
    out[...] = a
    return out


def _matmul(problem: Problem, draw: _Draw, random: np.random.Generator) -> _Calls:
    m, k, n = problem.shape
    a, b, g = (draw(s) for s in ((m, k), (k, n), (m, n)))
    return [
        ("matmul", {"a": a, "b": b}, {}),
        ("matmul", {"a": g, "b": b.T}, {}),
        ("matmul", {"a": a.T, "b": g}, {}),
    ]


def _adam(problem: Problem, draw: _Draw, random: np.random.Generator) -> _Calls:
    p, g, m, v = (draw((prod(problem.shape),)).reshape(problem.shape) for _ in range(4))
    return [("adam_step", {"p": p, "g": g, "m": m, "v": np.square(v)}, dict(ADAM))]


_BUILD: dict[str, Callable[[Problem, _Draw, np.random.Generator], _Calls]] = {
    **dict.fromkeys(CONVOLUTIONS, _conv),
    **dict.fromkeys(NORMS, _norm),
    "matmul": _matmul,
    "adam_step": _adam,
}
