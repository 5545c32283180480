"""Wrong arguments: one line that says what is wrong and what would be right."""

from __future__ import annotations

import numpy as np
import pytest

import kernels
from kernels.activation import slope_of

F = np.float32


def z(*shape, dtype=F):
    return np.zeros(shape, dtype)


def norm(**changed):
    arrays = {"gy": z(2, 3), "x": z(2, 3), "gamma": z(3), "beta": z(3), "mean": z(3), "rstd": z(3)} | changed
    return kernels.batch_norm_grad(*arrays.values())


ADAM = {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}
CONV = {"stride": 1, "padding": 0}
WRONG = {
    "channels": (
        lambda: kernels.conv2d(z(1, 3, 5, 5), z(4, 2, 3, 3), **CONV),
        r"conv2d: input \(1, 3, 5, 5\) has 3 channels, weight \(4, 2, 3, 3\) expects 2",
    ),
    "dimensions": (lambda: kernels.conv2d(z(3, 5, 5), z(4, 3, 3, 3), **CONV), r"input must have 4 dimensions"),
    "kernel too large": (
        lambda: kernels.conv2d(z(1, 1, 2, 2), z(1, 1, 3, 3), **CONV),
        r"a 3x3 kernel does not fit an input of 2x2 with padding \(0, 0\)",
    ),
    "bias": (
        lambda: kernels.conv2d(z(1, 1, 3, 3), z(2, 1, 3, 3), z(3), **CONV),
        r"bias has shape \(3,\).*needs \(2,\)",
    ),
    "stride": (
        lambda: kernels.conv2d(z(1, 1, 3, 3), z(2, 1, 3, 3), stride=0, padding=0),
        r"stride 0 must be integers, at least 1",
    ),
    "padding": (
        lambda: kernels.conv2d(z(1, 1, 3, 3), z(2, 1, 3, 3), stride=1, padding=(0.5, 1)),
        r"padding \(0.5, 1\) must be integers",
    ),
    "three strides": (
        lambda: kernels.conv2d(z(1, 1, 3, 3), z(2, 1, 3, 3), stride=(1, 1, 1), padding=0),
        r"stride \(1, 1, 1\) is not an integer or a pair",
    ),
    "mixed dtypes": (
        lambda: kernels.conv2d(z(1, 1, 3, 3), z(2, 1, 3, 3, dtype=np.float64), **CONV),
        r"share one floating dtype, got input float32, weight float64",
    ),
    "integers": (lambda: kernels.conv2d(z(1, 1, 3, 3, dtype=int), z(2, 1, 3, 3, dtype=int), **CONV), r"floating"),
    "half": (
        lambda: kernels.conv2d(z(1, 1, 3, 3, dtype=np.float16), z(2, 1, 3, 3, dtype=np.float16), **CONV),
        r"no kernel can do conv2d of .* in float16",
    ),
    "byte order": (
        lambda: kernels.conv2d(z(1, 1, 3, 3, dtype=">f4"), z(2, 1, 3, 3, dtype=">f4"), **CONV),
        "byte order",
    ),
    "activation": (
        lambda: kernels.conv2d(z(1, 1, 3, 3), z(2, 1, 3, 3), activation="gelu", **CONV),
        r"activation 'gelu' cannot be fused: use None",
    ),
    "gy": (
        lambda: kernels.conv2d_grad_input(z(1, 4, 2, 2), z(4, 3, 3, 3), input_shape=(1, 3, 5, 5), **CONV),
        r"gy has shape \(1, 4, 2, 2\), but input .* needs \(1, 4, 3, 3\)",
    ),
    "gy for the weight": (
        lambda: kernels.conv2d_grad_weight(z(1, 4, 2, 2), z(1, 3, 5, 5), weight_shape=(4, 3, 3, 3), **CONV),
        r"conv2d_grad_weight: gy has shape",
    ),
    "gamma": (lambda: norm(gamma=z(4)), r"gamma has shape \(4,\), but input \(2, 3\) needs \(3,\)"),
    "cotangent": (lambda: norm(gy=z(2, 4)), r"gy has shape \(2, 4\)"),
    "vector": (lambda: kernels.batch_norm(z(3), z(3), z(3), eps=1e-5), r"input must be \(N, C, ...\)"),
    "matmul": (lambda: kernels.matmul(z(2, 3), z(2, 3)), r"matmul: shapes \(2, 3\) and \(2, 3\) do not fit"),
    "adam": (lambda: kernels.adam_step(z(3), z(3), z(3), z(2), step=1, **ADAM), r"v has shape \(2,\)"),
    "step": (lambda: kernels.adam_step(z(3), z(3), z(3), z(3), step=0, **ADAM), r"step 0 must be at least 1"),
    "threads": (lambda: kernels.set_num_threads(0), r"threads 0: must be an integer from 1 to"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_one_clear_line(case):
    call, says = case
    with pytest.raises(ValueError, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_slopes():
    assert [slope_of(a) for a in (None, "relu", "leaky_relu", ("leaky_relu", 0.2))] == [1.0, 0.0, 0.01, 0.2]
