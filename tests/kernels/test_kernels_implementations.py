"""Every implementation of every operation against the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kernels
from kernels.cases import LAYOUTS, Case
from kernels.verify import check_case, find, verify

EVERY = [i for op in kernels.OPERATIONS for i in kernels.implementations(op) if i.device == "cpu"]
CONVS = [i for i in EVERY if i.op.startswith("conv2d") and i.name != "reference"]
NORMS = [i for i in EVERY if i.op.startswith("batch_norm") and i.name != "reference"]


def _name(implementation):
    return f"{implementation.op}-{implementation.name}"


@pytest.mark.parametrize("implementation", EVERY, ids=_name)
def test_sweep(implementation):
    report = verify(implementation)
    assert report.ok, str(report)


@st.composite
def geometries(draw):
    small = st.integers(1, 3)
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    least = [max(1, k - 2 * p) for k, p in zip(kernel, padding, strict=True)]
    size = tuple(draw(st.integers(n, n + 6)) for n in least)
    x = (draw(st.integers(0, 4)), draw(small), *size)
    return x, (draw(small), x[1], *kernel), draw(st.tuples(small, small)), padding


@pytest.mark.parametrize("implementation", CONVS, ids=_name)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(geometries(), st.sampled_from(list(LAYOUTS)), st.sampled_from(["float32", "float64"]), st.integers(0, 99))
def test_any_shape_of_convolution(implementation, geometry, layout, dtype, seed):
    x, w, stride, padding = geometry
    out = (x[0], w[0], *((x[2 + i] + 2 * padding[i] - w[2 + i]) // stride[i] + 1 for i in (0, 1)))
    random = np.random.default_rng(seed)

    def draw(shape):
        return LAYOUTS[layout](random.normal(size=shape).astype(dtype))

    options = {"stride": stride, "padding": padding}
    if implementation.op == "conv2d":
        arrays = {"x": draw(x), "w": draw(w), "b": draw(w[:1])}
        options["activation"] = "leaky_relu"
    elif implementation.op == "conv2d_grad_input":
        arrays = {"gy": draw(out), "w": draw(w)}
        options["input_shape"] = x
    else:
        arrays = {"gy": draw(out), "x": draw(x)}
        options["weight_shape"] = w
    lines, _ = check_case(implementation, Case(layout, arrays, options))
    assert not lines, lines


@pytest.mark.parametrize("implementation", NORMS, ids=_name)
@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(1, 5), min_size=2, max_size=4),
    st.sampled_from(list(LAYOUTS)),
    st.sampled_from(["float32", "float64"]),
    st.integers(0, 99),
)
def test_any_shape_of_batch_norm(implementation, shape, layout, dtype, seed):
    from kernels.cases import norm_arrays

    random = np.random.default_rng(seed)
    x = random.normal(size=shape).astype(dtype)
    arrays = {n: LAYOUTS[layout](a) for n, a in norm_arrays(implementation.op, x, 1e-3, random).items()}
    options = {"activation": "relu"} | ({} if implementation.op == "batch_norm_grad" else {"eps": 1e-3})
    lines, _ = check_case(implementation, Case(layout, arrays, options))
    assert not lines, lines


NETWORK = [((20, 1, 28, 28), (64, 1, 4, 4)), ((20, 64, 14, 14), (128, 64, 4, 4))]


@pytest.mark.parametrize(("x", "w"), NETWORK)
def test_the_networks_own_convolutions_against_float64(x, w):
    """Too large for the loops: the oracle is the BLAS implementation in float64, which they check."""
    random = np.random.default_rng(3)
    stride, padding = (2, 2), (1, 1)
    out = (x[0], w[0], x[2] // 2, x[3] // 2)
    a, b, g = (random.normal(size=s).astype(np.float32) for s in (x, w, out))
    calls = {
        "conv2d": ((a, b), {}, w[1] * 16),
        "conv2d_grad_input": ((g, b), {"input_shape": x}, w[0] * 16),
        "conv2d_grad_weight": ((g, a), {"weight_shape": w}, x[0] * out[2] * out[3]),
    }
    for op, (arrays, options, terms) in calls.items():
        options = options | {"stride": stride, "padding": padding}
        mine = find(op, "numba")[0].function()(*arrays, **options)
        blas = find(op, "blas")[0].function()
        wide = [v.astype(np.float64) for v in arrays]
        limit = 8 * np.sqrt(terms) * np.finfo(np.float32).eps * blas(*map(np.abs, wide), **options)
        assert (np.abs(mine - blas(*wide, **options)) <= limit).all(), op


@pytest.mark.parametrize("shape", [(3000, 5), (40, 64, 14, 14), (128, 6272), (700, 96, 3, 3)])
def test_large_batch_norm_far_from_zero(shape):
    """Statistics over many blocks, float32 at mean 1e4 and deviation 1e-2, against float64."""
    random = np.random.default_rng(4)
    x = (1e4 + 1e-2 * random.normal(size=shape)).astype(np.float32)
    c = shape[1]
    gamma, beta, gy = (random.normal(size=s).astype(np.float32) for s in (c, c, shape))
    axes, spread = (0, *range(2, x.ndim)), (1, c) + (1,) * (x.ndim - 2)
    d = x - x.mean(axis=axes, keepdims=True, dtype=np.float64)
    rstd = 1 / np.sqrt((d * d).mean(axis=axes) + 1e-6)
    h = d * rstd.reshape(spread)
    y, mean, got = kernels.batch_norm(x, gamma, beta, eps=1e-6)
    np.testing.assert_allclose(got, rstd, rtol=2e-6)
    np.testing.assert_allclose(y, h * gamma.reshape(spread) + beta.reshape(spread), rtol=1e-5, atol=1e-5)
    gx, ggamma, gbeta = kernels.batch_norm_grad(gy, x, gamma, beta, mean, got)
    wide = gy.astype(np.float64)
    g_mean, gh_mean = wide.mean(axis=axes, keepdims=True), (wide * h).mean(axis=axes, keepdims=True)
    want = (gamma * rstd).reshape(spread) * (wide - g_mean - h * gh_mean)
    np.testing.assert_allclose(gx, want, rtol=1e-4, atol=1e-5 * float(rstd.max()))
    count = x.size // c
    np.testing.assert_allclose(ggamma, gh_mean.ravel() * count, atol=1e-5 * count)
    np.testing.assert_allclose(gbeta, g_mean.ravel() * count, atol=1e-5 * count)


@pytest.mark.parametrize("name", ["blas", "numba"])
def test_activations_at_the_edges_of_float(name):
    values = np.array([-np.inf, -1.0, -0.0, 0.0, 2.0, np.inf, np.nan], np.float32).reshape(1, 1, 1, -1)
    w = np.ones((1, 1, 1, 1), np.float32)
    with kernels.use(name):
        for activation, low in (("relu", 0.0), ("leaky_relu", -np.inf), (None, -np.inf)):
            y = kernels.conv2d(values, w, stride=1, padding=0, activation=activation).ravel()
            assert y[0] == low and y[4] == 2 and y[5] == np.inf and np.isnan(y[6])
            assert y[1] == pytest.approx(-kernels.slope_of(activation))


@pytest.mark.parametrize("name", ["blas", "numba"])
def test_matmul_of_transposed_and_strided_operands(name):
    random = np.random.default_rng(5)
    a, b = random.normal(size=(70, 30)), random.normal(size=(30, 90))
    with kernels.use(name):
        for left in (a, a.T.copy().T, np.repeat(a, 2, axis=1)[:, ::2]):
            for right in (b, b.T.copy().T, np.repeat(b, 2, axis=0)[::2]):
                np.testing.assert_allclose(kernels.matmul(left, right), a @ b, rtol=1e-12, atol=1e-12)


def test_matmul_takes_what_numpy_takes():
    integers = np.arange(6).reshape(2, 3)
    assert kernels.matmul(integers, integers.T).tolist() == (integers @ integers.T).tolist()
    batch = np.arange(24.0).reshape(2, 3, 4)
    assert kernels.matmul(batch, batch.swapaxes(1, 2)).shape == (2, 3, 3)
    assert kernels.matmul(np.ones(3), np.ones(3)) == 3
