"""Convolutions of many channels and pictures, which take no columns, against the definition."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.cases import LAYOUTS, Case
from kernels.verify import check_case, find

SHAPES = {
    # n, c, h, w, o, kh, kw, stride, padding
    "as in the network": (30, 32, 6, 6, 90, 4, 4, (2, 2), (1, 1)),
    "odd sizes": (9, 58, 5, 7, 61, 3, 3, (1, 1), (1, 1)),
    "a stride beyond the kernel": (35, 155, 7, 8, 153, 2, 1, (3, 2), (0, 0)),
    "a padding beyond the kernel": (40, 57, 3, 2, 91, 2, 3, (1, 2), (3, 4)),
    "a kernel beyond the picture": (129, 32, 3, 2, 60, 5, 4, (2, 1), (2, 1)),
    "more depth than stays in cache": (44, 80, 2, 3, 93, 5, 5, (1, 1), (2, 2)),
}


def _arrays(label, dtype):
    n, c, h, w, o, kh, kw, stride, padding = SHAPES[label]
    random = np.random.default_rng(3)
    out = (h + 2 * padding[0] - kh) // stride[0] + 1, (w + 2 * padding[1] - kw) // stride[1] + 1
    shapes = (n, c, h, w), (o, c, kh, kw), (n, o, *out), (o,)
    return *(random.normal(size=s).astype(dtype) for s in shapes), {"stride": stride, "padding": padding}


@pytest.fixture
def columns_raise(monkeypatch):
    """So that a shape which falls back to columns is no silent pass."""
    from kernels.cpu import conv

    for name in ("_forward", "_grad_input", "_grad_weight"):
        monkeypatch.setattr(conv, name, None)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("label", SHAPES)
@pytest.mark.usefixtures("columns_raise")
def test_the_three_are_the_definition(label, dtype):
    x, w, gy, b, options = _arrays(label, dtype)
    arrange = LAYOUTS["reversed axes" if x.shape[0] % 2 else "gaps, backwards"]
    calls = {
        "conv2d": ({"x": arrange(x), "w": arrange(w), "b": b}, {"activation": "leaky_relu"}),
        "conv2d_grad_input": ({"gy": arrange(gy), "w": w}, {"input_shape": x.shape}),
        "conv2d_grad_weight": ({"gy": arrange(gy), "x": arrange(x)}, {"weight_shape": w.shape}),
    }
    for op, (arrays, settings) in calls.items():
        lines, _ = check_case(find(op, "numba")[0], Case(label, arrays, settings | options))
        assert not lines, (op, lines)


def test_what_lies_outside_is_not_multiplied():
    """An infinite number in the weight meets no zero of a padding, which would give NaN."""
    x, w, gy, _, options = _arrays("as in the network", "float32")
    w = abs(w)
    w[:, :, 0] = np.inf  # the first row of taps, outside at the first row of places
    y = find("conv2d", "numba")[0].function()(abs(x), w, **options)
    assert np.isfinite(y[:, :, 0]).all() and np.isposinf(y[:, :, 1:]).all()
    gx = find("conv2d_grad_input", "numba")[0].function()(abs(gy), w, input_shape=x.shape, **options)
    assert np.isfinite(gx[:, :, ::2]).all() and np.isposinf(gx[:, :, 1:-1:2]).all() and np.isfinite(gx[:, :, -1]).all()
