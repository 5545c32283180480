"""The problems an implementation is checked on: odd sizes, strides, padding, permuted memory, extreme values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """One call: `arrays` by argument name in order, and the settings."""

    label: str
    arrays: Mapping[str, np.ndarray | None]
    settings: dict[str, Any] = field(default_factory=dict)


def _in_order(*axes: int) -> Callable[[np.ndarray], np.ndarray]:
    """The same values with memory laid out along `axes`."""

    def arrange(a: np.ndarray) -> np.ndarray:
        if a.ndim != len(axes):
            return np.asfortranarray(a)
        return np.ascontiguousarray(a.transpose(axes)).transpose(np.argsort(axes))

    return arrange


def _apart(a: np.ndarray) -> np.ndarray:
    """The same values with gaps in memory, and backwards along the first axis."""
    if a.ndim == 0:
        return a.copy()
    wide = np.zeros(tuple(2 * n for n in a.shape), a.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in a.shape)][::-1]
    view[...] = a
    return view


def _read_only(a: np.ndarray) -> np.ndarray:
    a = a.copy()
    a.flags.writeable = False
    return a


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "C order": np.copy,
    "NHWC memory": _in_order(0, 2, 3, 1),
    "read-only": _read_only,
    "reversed axes": _in_order(3, 2, 1, 0),
    "gaps, backwards": _apart,
}

_CONVS = (
    # n, c, h, w, o, kh, kw, stride, padding
    (2, 3, 7, 6, 4, 3, 2, (1, 1), (0, 0)),
    (3, 1, 8, 8, 5, 4, 4, (2, 2), (1, 1)),
    (1, 5, 9, 7, 3, 1, 1, (1, 1), (0, 0)),
    (2, 4, 5, 6, 2, 1, 1, (2, 1), (1, 0)),
    (1, 2, 11, 4, 3, 5, 3, (3, 2), (2, 3)),
    (17, 2, 4, 3, 3, 3, 3, (1, 1), (1, 1)),
    (1, 1, 1, 1, 1, 1, 1, (1, 1), (0, 0)),
    (2, 2, 2, 3, 3, 4, 5, (1, 2), (2, 3)),
    (1, 3, 13, 5, 7, 2, 2, (4, 3), (0, 1)),
    (0, 3, 5, 5, 2, 3, 3, (1, 1), (1, 1)),
)
_SCALES = {"ordinary": 1.0, "huge": 1e14, "tiny": 1e-17}
_NORMS = ((5, 3, 4, 6), (2, 70, 3, 1), (33, 7), (1, 4, 5, 5), (3, 2, 9), (0, 3, 2, 2), (130, 600))
_ACTIVATIONS = (None, "relu", "leaky_relu", ("leaky_relu", 0.3))
_PRODUCTS = ((3, 4, 5), (1, 7, 1), (40, 33, 1), (1, 9, 50), (65, 3, 34), (2, 0, 3), (0, 4, 2), (17, 130, 19))


def _draw(random: np.random.Generator, shape: tuple[int, ...], dtype: str, scale: float = 1.0) -> np.ndarray:
    return np.asarray(random.normal(size=shape) * scale, dtype)


def _conv_cases(op: str, dtype: str, random: np.random.Generator) -> Iterator[Case]:
    layouts, activations = cycle(LAYOUTS), cycle(_ACTIVATIONS)
    for n, c, h, w, o, kh, kw, stride, padding in _CONVS:
        out = (n, o, (h + 2 * padding[0] - kh) // stride[0] + 1, (w + 2 * padding[1] - kw) // stride[1] + 1)
        x, weight = (n, c, h, w), (o, c, kh, kw)
        for kind, scale in _SCALES.items():
            if kind != "ordinary" and n != 3:
                continue
            layout = next(layouts)
            settings: dict[str, Any] = {"stride": stride, "padding": padding}
            if op == "conv2d":
                first, second = {"x": x}, {"w": weight}
                settings["activation"] = next(activations)
            elif op == "conv2d_grad_input":
                first, second = {"gy": out}, {"w": weight}
                settings["input_shape"] = x
            else:
                first, second = {"gy": out}, {"x": x}
                settings["weight_shape"] = weight
            arrays: dict[str, np.ndarray | None] = {
                name: LAYOUTS[layout](_draw(random, shape, dtype, scale)) for name, shape in (first | second).items()
            }
            if op == "conv2d":
                arrays["b"] = None if o == 3 else _draw(random, (o,), dtype, scale * scale)
            yield Case(f"{layout}, {kind} values", arrays, settings)


def norm_arrays(op: str, x: np.ndarray, eps: float, random: np.random.Generator) -> dict[str, Any]:
    c, dtype = x.shape[1], x.dtype.name
    gamma, beta = _draw(random, (c,), dtype), _draw(random, (c,), dtype)
    if op == "batch_norm":
        return {"x": x, "gamma": gamma, "beta": beta}
    axes = (0, *range(2, x.ndim))
    wide = x.astype(np.float64)
    count = max(1, x.size // c)
    mean = wide.sum(axis=axes) / count
    shape = (1, c) + (1,) * (x.ndim - 2)
    var = ((wide - mean.reshape(shape)) ** 2).sum(axis=axes) / count
    if op == "batch_norm_inference":
        return {"x": x, "gamma": gamma, "beta": beta, "mean": mean.astype(dtype), "var": var.astype(dtype)}
    rstd = (1 / np.sqrt(var + eps)).astype(dtype)
    h = (wide - mean.reshape(shape)) * rstd.reshape(shape)
    z = h * gamma.reshape(shape) + beta.reshape(shape)
    # At the kink rounding decides between two right answers: no gradient arrives there.
    gy = np.where(np.abs(z) < 1e-3, 0, random.normal(size=x.shape)).astype(dtype)
    return {"gy": gy, "x": x, "gamma": gamma, "beta": beta, "mean": mean.astype(dtype), "rstd": rstd}


def _norm_cases(op: str, dtype: str, random: np.random.Generator) -> Iterator[Case]:
    layouts, activations = cycle(LAYOUTS), cycle(_ACTIVATIONS)
    values = {"ordinary values": (0.0, 1.0), "mean 1e4, deviation 1e-2": (1e4, 1e-2), "constant": (0.1, 0.0)}
    for shape in _NORMS:
        for kind, (mean, deviation) in values.items():
            layout, activation = next(layouts), next(activations)
            eps = 1e-5 if deviation == 1.0 else 1e-6
            x = (mean + deviation * random.normal(size=shape)).astype(dtype)
            arrays = {n: LAYOUTS[layout](a) for n, a in norm_arrays(op, x, eps, random).items()}
            settings = {"activation": activation} | ({} if op == "batch_norm_grad" else {"eps": eps})
            yield Case(f"{layout}, {kind}", arrays, settings)


def _matmul_cases(op: str, dtype: str, random: np.random.Generator) -> Iterator[Case]:
    for (m, k, n), (layout, arrange) in zip(_PRODUCTS * 2, cycle(LAYOUTS.items()), strict=False):
        a, b = _draw(random, (m, k), dtype), _draw(random, (k, n), dtype)
        yield Case(layout, {"a": arrange(a), "b": arrange(b)})
        yield Case(f"b in {layout}", {"a": a, "b": arrange(b)})


def _adam_cases(op: str, dtype: str, random: np.random.Generator) -> Iterator[Case]:
    for shape, step, decay in (
        ((7,), 1, 0.0),
        ((3, 5), 10, 0.1),
        ((0,), 1, 0.0),
        ((), 2, 0.0),
        ((4, 3, 2, 2), 5000, 0.0),
    ):
        for layout, arrange in LAYOUTS.items():
            if layout == "read-only":
                continue
            p, g, m, v = (_draw(random, shape, dtype) for _ in range(4))
            arrays: dict[str, np.ndarray | None] = {"p": p, "g": g, "m": m, "v": np.asarray(np.abs(v))}
            yield Case(
                layout,
                {k: arrange(a) for k, a in arrays.items() if a is not None},
                {"lr": 1e-2, "betas": (0.5, 0.999), "eps": 1e-8, "weight_decay": decay, "step": step},
            )


def cases(op: str, dtype: str) -> Iterator[Case]:
    """The sweep of one operation, the same at every call."""
    random = np.random.default_rng(7)
    if op.startswith("conv2d"):
        return _conv_cases(op, dtype, random)
    if op.startswith("batch_norm"):
        return _norm_cases(op, dtype, random)
    return {"matmul": _matmul_cases, "adam_step": _adam_cases}[op](op, dtype, random)
