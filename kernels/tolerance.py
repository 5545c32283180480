"""How far a result may be off: 8 sqrt(K) eps times the sum of the magnitudes that went into it.

K is the number of terms of an entry's sum. The magnitudes come from the float64 definition, so a wrong
entry cannot hide behind a large one elsewhere, and zeros never pass.
"""

from __future__ import annotations

from math import prod
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from kernels import reference
from kernels.cases import Case


class Expected(NamedTuple):
    """A result by the definition, the magnitude behind each entry, and the terms in each sum."""

    name: str
    value: np.ndarray
    magnitude: np.ndarray
    terms: int


def _wide(case: Case) -> dict[str, Any]:
    return {n: None if a is None else a.astype(np.float64) for n, a in case.arrays.items()}


def _conv(op: str, case: Case, by: ModuleType) -> list[Expected]:
    wide = _wide(case)
    value = getattr(by, op)(*wide.values(), **case.settings)
    settings = {k: v for k, v in case.settings.items() if k != "activation"}
    sizes = {n: None if a is None else np.abs(a) for n, a in wide.items()}
    magnitude = getattr(by, op)(*sizes.values(), **settings)
    if op == "conv2d":
        terms = prod(wide["w"].shape[1:])
    elif op == "conv2d_grad_input":
        terms = wide["w"].shape[0] * prod(wide["w"].shape[2:])
    else:
        terms = wide["gy"].shape[0] * prod(wide["gy"].shape[2:])
    return [Expected("result", value, magnitude, terms)]


def _spread(v: np.ndarray, x: np.ndarray) -> np.ndarray:
    return v.reshape((1, -1) + (1,) * (x.ndim - 2))


def _sums(a: np.ndarray) -> np.ndarray:
    return a.sum(axis=(0, *range(2, a.ndim)))


def _batch_norm(case: Case, by: ModuleType) -> list[Expected]:
    wide = _wide(case)
    x, gamma, beta = wide.values()
    count = max(1, x.size // x.shape[1])
    y, mean, rstd = by.batch_norm(x, gamma, beta, **case.settings)
    h = np.abs((x - _spread(mean, x)) * _spread(rstd, x))
    # The mean itself is a sum of such terms, at most 1 each on average.
    size = _spread(np.abs(gamma), x) * (h + 1) + _spread(np.abs(beta), x)
    return [
        Expected("y", y, size, count),
        Expected("mean", mean, _sums(np.abs(x)) / count, count),
        Expected("rstd", rstd, rstd, count),
    ]


def _batch_norm_grad(case: Case, by: ModuleType) -> list[Expected]:
    wide = _wide(case)
    gy, x, gamma, _, _, rstd = wide.values()
    count = max(1, x.size // x.shape[1])
    gx, ggamma, gbeta = by.batch_norm_grad(*wide.values(), **case.settings)
    h = np.abs((x - _spread(_sums(x) / count, x)) * _spread(rstd, x)) + 1  # + 1: the mean's share
    g = np.abs(gy)
    sum_g, sum_gh = _sums(g), _sums(g * h)
    size = _spread(np.abs(gamma) * rstd, x) * (g + _spread(sum_g, x) / count + h * _spread(sum_gh, x) / count)
    return [
        Expected("gx", gx, size, count),
        Expected("ggamma", ggamma, sum_gh, count),
        Expected("gbeta", gbeta, sum_g, count),
    ]


def _batch_norm_inference(case: Case, by: ModuleType) -> list[Expected]:
    wide = _wide(case)
    x, gamma, beta, mean, var = wide.values()
    h = np.abs(x - _spread(mean, x)) / np.sqrt(_spread(var, x) + case.settings["eps"])
    # + 1, as above: x·a + b is right where the mean is a few deviations, and wrong where it is thousands.
    size = _spread(np.abs(gamma), x) * (h + 1) + _spread(np.abs(beta), x)
    return [Expected("y", by.batch_norm_inference(*wide.values(), **case.settings), size, 1)]


def _matmul(case: Case, by: ModuleType) -> list[Expected]:
    a, b = _wide(case).values()
    return [Expected("result", by.matmul(a, b), by.matmul(np.abs(a), np.abs(b)), a.shape[1])]


def _adam_step(case: Case, by: ModuleType) -> list[Expected]:
    after = {n: a.copy() for n, a in _wide(case).items()}
    by.adam_step(*after.values(), **case.settings)
    before, s = _wide(case), case.settings
    g = np.abs(before["g"]) + s["weight_decay"] * np.abs(before["p"])
    m = s["betas"][0] * np.abs(before["m"]) + (1 - s["betas"][0]) * g
    v = s["betas"][1] * before["v"] + (1 - s["betas"][1]) * g * g
    root = np.sqrt(after["v"] / (1 - s["betas"][1] ** s["step"])) + s["eps"]
    p = np.abs(before["p"]) + s["lr"] / (1 - s["betas"][0] ** s["step"]) * m / root
    sizes = {"p": p, "m": m, "v": v}
    return [Expected(n, after[n], sizes[n], 4) for n in sizes]


def expected(op: str, case: Case, by: ModuleType = reference) -> list[Expected]:
    """What the definition gives for `case`, result by result.

    `by` is the module that computes it, in float64; another one must itself have been held to the definition.
    """
    if op.startswith("conv2d"):
        return _conv(op, case, by)
    rooms = {
        "batch_norm": _batch_norm,
        "batch_norm_grad": _batch_norm_grad,
        "batch_norm_inference": _batch_norm_inference,
        "matmul": _matmul,
        "adam_step": _adam_step,
    }
    return rooms[op](case, by)


def allowed(wanted: Expected, dtype: np.dtype, *, rtol: float | None = None, atol: float | None = None) -> np.ndarray:
    """The largest error each entry may have: rtol times its magnitude, plus atol.

    By default rtol = 8 sqrt(K) eps and atol covers what underflows: K times the least normal number.
    """
    kind = np.finfo(dtype)
    relative = 8 * np.sqrt(max(1, wanted.terms)) * float(kind.eps) if rtol is None else rtol
    absolute = max(1, wanted.terms) * float(kind.tiny) if atol is None else atol
    return relative * wanted.magnitude + absolute
