"""Forward and gradient kernels held against each other by finite differences.

An operation f and a cotangent g make the number L = <g, f(…)>. Its change along a random direction d, by
central differences in float64, must equal <dL, d> with dL from the gradient operation. The three convolutions
are linear in each argument, so for them the difference is exact at any step: <gy, conv2d(x, w)> =
<x, conv2d_grad_input(gy, w)> = <w, conv2d_grad_weight(gy, x)>.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels import device as devices
from kernels.cases import Case, norm_arrays
from kernels.registry import Implementation, implementations
from kernels.verify import spec_of

DIRECTIONS = 3
STEPS = {"float64": 1e-5, "float32": 1e-2}
TOLERANCES = {"float64": 1e-6, "float32": 2e-2}
LINEAR_TOLERANCES = {"float64": 1e-12, "float32": 1e-4}
EPS = 1e-3


@dataclass(frozen=True)
class Gradient:
    """The gradient operation for one argument: its arrays, settings, and which of its results."""

    argument: str
    op: str
    arrays: dict[str, Any]
    settings: dict[str, Any]
    result: int = 0


@dataclass(frozen=True)
class _Trial:
    """An operation at a point, a cotangent of its first result, and the gradients that belong to it."""

    case: Case
    cotangent: np.ndarray
    gradients: tuple[Gradient, ...]
    linear: bool


def check(implementation: Implementation) -> tuple[list[str], float] | None:
    """Failures, and the largest error as a share of the allowed; `None` where there is nothing to check."""
    dtype = "float64" if "float64" in (implementation.dtypes or ("float64",)) else "float32"
    make = _TRIALS.get(implementation.op)
    if make is None or dtype not in (implementation.dtypes or (dtype,)):
        return None
    random = np.random.default_rng(5)
    lines: list[str] = []
    worst, done = 0.0, False
    for trial in make(dtype, random):
        if implementation.objection(spec_of(implementation.op, trial.case, dtype, implementation.device)) is None:
            done = True
            for gradient in trial.gradients:
                line, share = _compare(implementation, trial, gradient, dtype, random)
                lines += [line] if line else []
                worst = max(worst, share)
    return (lines, worst) if done else None


def _call(implementation: Implementation, arrays: dict[str, Any], settings: dict[str, Any]) -> tuple[np.ndarray, ...]:
    there = [None if a is None else devices.to_device(a, implementation.device) for a in arrays.values()]
    results = implementation.function()(*there, **settings)
    results = results if isinstance(results, tuple) else (results,)
    return tuple(devices.to_host(r).astype(np.float64) for r in results)


def _partner(implementation: Implementation, op: str) -> Implementation:
    """The same author's gradient kernel on the same device, else the plain product."""
    mine = [i for i in implementations(op) if i.name == implementation.name and not i.builtin]
    return next((i for i in mine if i.device == implementation.device), _plain(op))


def _plain(op: str) -> Implementation:
    return next(i for i in implementations(op) if (i.name, i.device) == ("blas", "cpu"))


def _compare(
    implementation: Implementation, trial: _Trial, gradient: Gradient, dtype: str, random: np.random.Generator
) -> tuple[str, float]:
    partner = _partner(implementation, gradient.op)
    slope = _call(partner, gradient.arrays, gradient.settings)[gradient.result]
    step = 1.0 if trial.linear else STEPS[dtype]
    tolerance = (LINEAR_TOLERANCES if trial.linear else TOLERANCES)[dtype]
    worst = 0.0
    for _ in range(DIRECTIONS):
        point = np.asarray(trial.case.arrays[gradient.argument])
        direction = random.normal(size=point.shape)

        def number(sign: float, point: np.ndarray = point, direction: np.ndarray = direction) -> float:
            moved = (point + sign * step * direction).astype(dtype)
            arrays = {**trial.case.arrays, gradient.argument: moved}
            return float((trial.cotangent * _call(implementation, arrays, trial.case.settings)[0]).sum())

        measured = (number(1) - number(-1)) / (2 * step)
        given = float((slope * direction).sum())
        allowed = tolerance * (float(np.abs(slope * direction).sum()) + 1e-3)
        error = abs(measured - given)
        if not error <= allowed:
            return (
                f"gradient in {gradient.argument}: {implementation.op} {implementation.name} changes by {measured:.9g} "
                f"along a direction, {gradient.op} {partner.name} says {given:.9g} (allowed error {allowed:.2g})"
            ), np.inf
        worst = max(worst, error / allowed)
    return "", worst


_CONVS = (
    # x, w, stride, padding
    ((2, 3, 7, 6), (4, 3, 3, 2), (2, 1), (1, 0)),
    ((2, 2, 6, 6), (3, 2, 4, 4), (2, 2), (1, 1)),
)


def _conv_trials(op: str) -> Callable[[str, np.random.Generator], Iterator[_Trial]]:
    def trials(dtype: str, random: np.random.Generator) -> Iterator[_Trial]:
        for shape, weight, stride, padding in _CONVS:
            out = tuple((shape[i] + 2 * padding[i - 2] - weight[i]) // stride[i - 2] + 1 for i in (2, 3))
            shapes = {"x": shape, "w": weight, "gy": (shape[0], weight[0], *out)}
            a = {n: random.normal(size=s).astype(dtype) for n, s in shapes.items()}
            place = {"stride": stride, "padding": padding}
            # All three are one trilinear form of x, w, gy; each gives its derivative in one of them.
            forms: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
                "gy": ("conv2d", {"x": a["x"], "w": a["w"], "b": None}, place),
                "x": ("conv2d_grad_input", {"gy": a["gy"], "w": a["w"]}, {"input_shape": shape, **place}),
                "w": ("conv2d_grad_weight", {"gy": a["gy"], "x": a["x"]}, {"weight_shape": weight, **place}),
            }
            mine = next(n for n, form in forms.items() if form[0] == op)
            gradients = tuple(Gradient(n, *form) for n, form in forms.items() if n != mine)
            yield _Trial(Case("gradient", *forms[mine][1:]), a[mine], gradients, linear=True)

    return trials


def _norm_trials(dtype: str, random: np.random.Generator) -> Iterator[_Trial]:
    for shape, activation in (((4, 3, 2, 3), None), ((9, 5), ("leaky_relu", 0.3))):
        x = random.normal(size=shape).astype(dtype)
        arrays = norm_arrays("batch_norm_grad", x, EPS, random)
        forward = {n: arrays[n] for n in ("x", "gamma", "beta")}
        gradients = tuple(
            Gradient(n, "batch_norm_grad", arrays, {"activation": activation}, i) for i, n in enumerate(forward)
        )
        case = Case("gradient", forward, {"eps": EPS, "activation": activation})
        # Where a step could cross the kink the cotangent is zero.
        z = _plain("batch_norm").function()(*forward.values(), eps=EPS)[0]
        cotangent = np.where(np.abs(z) < 10 * STEPS[dtype], 0, arrays["gy"]).astype(dtype)
        arrays["gy"] = cotangent
        yield _Trial(case, cotangent, gradients, linear=False)


def _matmul_trials(dtype: str, random: np.random.Generator) -> Iterator[_Trial]:
    a, b, g = (random.normal(size=s).astype(dtype) for s in ((5, 7), (7, 4), (5, 4)))
    gradients = (
        Gradient("a", "matmul", {"a": g, "b": b.T}, {}),
        Gradient("b", "matmul", {"a": a.T, "b": g}, {}),
    )
    yield _Trial(Case("gradient", {"a": a, "b": b}), g, gradients, linear=True)


_TRIALS: dict[str, Callable[[str, np.random.Generator], Iterator[_Trial]]] = {
    **{op: _conv_trials(op) for op in ("conv2d", "conv2d_grad_input", "conv2d_grad_weight")},
    "batch_norm": _norm_trials,
    "matmul": _matmul_trials,
}
