"""One pool, one launch at a time, the same bits at any number of threads, and nobody else's BLAS touched."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import kernels
from kernels import threads

needs_two = pytest.mark.skipif(threads._limit() < 2, reason="one core")


def _everything():
    random = np.random.default_rng(0)

    def draw(*shape):
        return random.normal(size=shape).astype(np.float32)

    x, w, gy = draw(33, 32, 14, 14), draw(64, 32, 4, 4), draw(33, 64, 7, 7)
    options = {"stride": (2, 2), "padding": (1, 1)}
    yield kernels.conv2d(x, w, draw(64), activation="leaky_relu", **options)
    yield kernels.conv2d_grad_input(gy, w, input_shape=x.shape, **options)
    yield kernels.conv2d_grad_weight(gy, x, weight_shape=w.shape, **options)
    for v in (draw(128, 6272), draw(128, 1024), x):
        c = v.shape[1]
        gamma, beta = draw(c), draw(c)
        y, mean, rstd = kernels.batch_norm(v, gamma, beta, eps=1e-5, activation="relu")
        yield from (y, mean, rstd)
        yield from kernels.batch_norm_grad(draw(*v.shape), v, gamma, beta, mean, rstd, activation="relu")
        yield kernels.batch_norm_inference(v, gamma, beta, mean, abs(beta), eps=1e-5)
    for m, k, n in ((128, 500, 700), (1000, 128, 64), (128, 1024, 1), (74, 128, 1024)):
        yield kernels.matmul(draw(m, k), draw(k, n))
        yield kernels.matmul(draw(k, m).T, draw(n, k).T)
    p, g, m, v = draw(4, 50_000)
    kernels.adam_step(p, g, m, abs(v), lr=0.1, betas=(0.5, 0.9), eps=1e-8, weight_decay=0.0, step=2)
    yield p


@needs_two
def test_same_bits_at_any_number_of_threads():
    before = kernels.get_num_threads()
    results = {}
    try:
        for n in {1, 2, threads._limit()}:
            kernels.set_num_threads(n)
            assert kernels.get_num_threads() == n
            results[n] = [np.ascontiguousarray(a).tobytes() for a in _everything()]
    finally:
        kernels.set_num_threads(before)
    first = results.pop(1)
    assert all(other == first for other in results.values())


def _run(code, **environment):
    full = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")} | environment
    done = subprocess.run([sys.executable, "-c", code], env=full, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


MANY = """
import threading
import numpy as np
import kernels
from kernels import threads
from numba import threading_layer

kernels.use("numba")
x, w = np.random.default_rng(0).normal(size=(2, 6, 4, 8, 8)).astype(np.float32)[:, :4].reshape(2, 4, 4, 8, 8)
w = w[:, :, :3, :3]
kernel = lambda: kernels.conv2d(x, w, stride=(1, 1), padding=(1, 1)).tobytes()
expected, wrong = kernel(), []

def work():
    for _ in range(100):
        if kernel() != expected:
            wrong.append(1)

workers = [threading.Thread(target=work) for _ in range(4)]
for t in workers: t.start()
for t in workers: t.join()
print(len(wrong), threading_layer(), threads.layer())
"""


@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_four_python_threads_times_a_hundred_launches(layer):
    if layer == "omp" and not threads._has_openmp():
        pytest.skip("no OpenMP library here")
    assert _run(MANY, NUMBA_THREADING_LAYER=layer) == f"0 {layer} {layer}"


BLAS = """
import numpy as np
import scipy.linalg
from threadpoolctl import threadpool_info

def settings():
    return {i["filepath"]: i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"}

before = settings()
import kernels
from kernels import threads
assert settings() == before
a = np.ones((300, 300), np.float32)
with kernels.use("numba"):
    kernels.matmul(a, a)
assert settings() == before
assert threads.launch(settings) == before
assert settings() == before
print("kept")
"""


def test_blas_keeps_its_own_settings():
    assert _run(BLAS) == "kept"


def test_a_launch_that_fails_lets_the_next_one_in():
    def fail():
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        threads.launch(fail)
    found = []
    other = threading.Thread(target=lambda: found.append(threads.launch(int)))
    other.start()
    other.join(20)
    assert found == [0]


IMPORT = """
import sys
import kernels
import numpy as np
kernels.conv2d(np.ones((1, 1, 28, 28), np.float32), np.ones((8, 1, 3, 3), np.float32), stride=1, padding=1)
print(sorted(m for m in ("numba", "scipy", "cupy", "threadpoolctl", "click") if m in sys.modules))
"""


def test_a_first_small_convolution_needs_numpy_alone():
    assert _run(IMPORT) == "[]"
