"""The CUDA kernels on a device, on a stream that is not the default one: `pytest -m gpu`.

Without a device they run on the stand-in and in Numba's simulator, smaller; `test_cuda_simulator` starts that
in a process of its own.
"""

from __future__ import annotations

import numpy as np
import pytest
import simulated
from witnesses import gpu_present

import kernels
from kernels import device
from kernels.tolerance import Expected, allowed
from kernels.verify import find, verify

pytestmark = pytest.mark.gpu
REAL = gpu_present()


@pytest.fixture(autouse=True)
def _stream(cuda):
    """A device, or the simulator in place of one, and work queued on a stream of its own."""
    from kernels.cuda import simulated as in_simulator

    if not REAL and not in_simulator():
        pytest.skip("no CUDA device, and Numba's simulator is not on in this process")
    with kernels.use("cuda"), device.module("cuda").cuda.Stream(non_blocking=True):
        if REAL:
            yield
        else:
            with simulated.small_blocks():
                yield


def _on_device(*arrays):
    return [device.to_device(a, "cuda") for a in arrays]


def _close(got, value, magnitude, terms):
    """Within 8 sqrt(K) eps of the sum of the magnitudes, entry by entry."""
    limit = allowed(Expected("", value, magnitude, terms), np.dtype(np.float32))
    error = np.abs(device.to_host(got).astype(np.float64) - value)
    assert (error <= limit).all(), f"{error.max()} at {np.unravel_index(error.argmax(), error.shape)}"


# batch, channels in and out, picture, kernel, stride, padding
LARGE = [
    (64, 64, 128, 14, 4, 2, 1),
    (128, 1, 64, 28, 4, 2, 1),
    (33, 3, 70, 31, 5, 1, 2),
    (16, 256, 96, 9, 3, 1, 1),
    (7, 130, 3, 17, 1, 3, 0),
]
SMALL = [(2, 3, 18, 6, 4, 2, 1), (3, 1, 4, 7, 3, 1, 1), (1, 2, 3, 9, 1, 3, 0)]


@pytest.mark.parametrize(("n", "c", "o", "size", "kernel", "stride", "padding"), LARGE if REAL else SMALL)
def test_convolution_and_its_gradients(n, c, o, size, kernel, stride, padding):
    """Against the BLAS implementation in float64 on the host, which the loops check."""
    out = (size + 2 * padding - kernel) // stride + 1
    random = np.random.default_rng(2)
    x, w, b, gy = (
        random.normal(size=s).astype(np.float32)
        for s in ((n, c, size, size), (o, c, kernel, kernel), (o,), (n, o, out, out))
    )
    at = {"stride": (stride, stride), "padding": (padding, padding)}
    calls = {
        "conv2d": ((x, w, b), {}, c * kernel**2),
        "conv2d_grad_input": ((gy, w), {"input_shape": x.shape}, o * kernel**2),
        "conv2d_grad_weight": ((gy, x), {"weight_shape": w.shape}, n * out**2),
    }
    for op, (arrays, more, terms) in calls.items():
        blas = find(op, "blas")[0].function()
        wide = [a.astype(np.float64) for a in arrays]
        got = getattr(kernels, op)(*_on_device(*arrays), **at, **more)
        assert device.device_of(got) == "cuda" and got.flags.c_contiguous
        _close(got, blas(*wide, **at, **more), blas(*map(np.abs, wide), **at, **more), terms)


@pytest.mark.parametrize(
    "shape",
    [(128, 64, 14, 14), (128, 128, 7, 7), (128, 6272), (1000, 33), (3, 5, 300, 301)]
    if REAL
    else [(6, 3, 5, 4), (9, 11)],
)
@pytest.mark.parametrize("mean", [0.0, 1e4])
def test_batch_norm_and_its_gradient(shape, mean):
    """Against float64 on the host, near 0 and 10^6 deviations away."""
    random = np.random.default_rng(3)
    deviation, eps, c = (1.0 if mean == 0 else 1e-2), 1e-6, shape[1]
    x = (mean + deviation * random.normal(size=shape)).astype(np.float32)
    gamma, beta, gy = (random.normal(size=s).astype(np.float32) for s in (c, c, shape))
    axes, spread = (0, *range(2, x.ndim)), (1, c) + (1,) * (x.ndim - 2)
    d = x - x.mean(axis=axes, keepdims=True, dtype=np.float64)
    rstd = 1 / np.sqrt((d * d).mean(axis=axes) + eps)
    h = d * rstd.reshape(spread)
    z = h * gamma.reshape(spread) + beta.reshape(spread)
    gy = np.where(np.abs(z) < 1e-3, 0, gy).astype(np.float32)  # at the kink rounding decides
    xs, gammas, betas, gys = _on_device(x, gamma, beta, gy)
    y, got_mean, got_rstd = kernels.batch_norm(xs, gammas, betas, eps=eps, activation="relu")
    np.testing.assert_allclose(device.to_host(got_rstd), rstd, rtol=2e-6)
    np.testing.assert_allclose(device.to_host(y), np.maximum(z, 0), rtol=1e-5, atol=1e-5)
    gx, ggamma, gbeta = kernels.batch_norm_grad(gys, xs, gammas, betas, got_mean, got_rstd, activation="relu")
    g = np.where(z > 0, gy, 0).astype(np.float64)
    g_mean, gh_mean = g.mean(axis=axes, keepdims=True), (g * h).mean(axis=axes, keepdims=True)
    want = (gamma * rstd).reshape(spread) * (g - g_mean - h * gh_mean)
    np.testing.assert_allclose(device.to_host(gx), want, rtol=1e-4, atol=1e-5 * float(rstd.max()))
    count = x.size // c
    np.testing.assert_allclose(device.to_host(ggamma), gh_mean.ravel() * count, atol=1e-5 * count)
    np.testing.assert_allclose(device.to_host(gbeta), g_mean.ravel() * count, atol=1e-5 * count)
    var = (d * d).mean(axis=axes).astype(np.float32)
    rest = _on_device(gamma, beta, x.mean(axis=axes, dtype=np.float64).astype(np.float32), var)
    if mean == 0:
        y = kernels.batch_norm_inference(xs, *rest, eps=eps, activation="relu")
        np.testing.assert_allclose(device.to_host(y), np.maximum(z, 0), rtol=1e-4, atol=1e-5)


def test_adam():
    size = 1_000_003 if REAL else 37
    random = np.random.default_rng(4)
    p, g, m, v = (np.abs(random.normal(size=size)).astype(np.float32) for _ in range(4))
    options = {"lr": 1e-3, "betas": (0.5, 0.999), "eps": 1e-8, "weight_decay": 0.1, "step": 3}
    wide = [a.astype(np.float64) for a in (p, g, m, v)]
    find("adam_step", "blas")[0].function()(*wide, **options)
    arrays = _on_device(p, g, m, v)
    kernels.adam_step(*arrays, **options)
    for got, want in zip(arrays, wide, strict=True):
        np.testing.assert_allclose(device.to_host(got), want, rtol=1e-6, atol=1e-6)


def test_the_same_bits_twice():
    """The weight gradient's chunks are added in their order, whichever block is done first."""
    random = np.random.default_rng(5)
    n, c, o, size = (64, 32, 48, 16) if REAL else (5, 2, 3, 8)
    gy, x = _on_device(*(random.normal(size=(n, k, size, size)).astype(np.float32) for k in (o, c)))
    once, again = (
        device.to_host(kernels.conv2d_grad_weight(gy, x, weight_shape=(o, c, 3, 3), stride=1, padding=1))
        for _ in range(2)
    )
    assert once.tobytes() == again.tobytes()


SWEPT = [
    i for i in kernels.implementations() if i.device == "cuda" and (REAL or i.name == "blas" or i.op == "adam_step")
]
"""In the simulator `test_cuda_simulator` sweeps the other kernels, leaving out what is too large for it."""


@pytest.mark.parametrize("implementation", SWEPT, ids=lambda i: f"{i.op}-{i.name}")
def test_the_whole_sweep(implementation):
    report = verify(implementation)
    assert report.ok, str(report)
