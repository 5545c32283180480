"""Who is chosen, who can be asked for, and what is said when it cannot be."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import kernels
from kernels import registry

X, W = np.ones((2, 3, 5, 5), np.float32), np.ones((4, 3, 3, 3), np.float32)


@pytest.fixture(autouse=True)
def _as_before():
    table, asked = dict(registry._table), dict(registry._asked)
    yield
    registry._table.clear()
    registry._table.update(table)
    registry._asked.clear()
    registry._asked.update(asked)
    registry._resolved.clear()


def _mine(answer=7.0, **options):
    @kernels.register("conv2d", name="mine", **options)
    def conv2d(x, w, b=None, *, stride, padding, activation=None):
        assert stride == (1, 1) and padding == (1, 1)
        return np.full((2, 4, 5, 5), answer, np.float32)

    return conv2d


def _call():
    return kernels.conv2d(X, W, stride=1, padding=1)


def test_a_kernel_of_ones_own_serves_only_when_asked_for():
    _mine()
    assert _call()[0, 0, 0, 0] == 12
    with kernels.use(conv2d="mine"):
        assert _call()[0, 0, 0, 0] == 7
        assert kernels.chosen()["conv2d"] == "mine"
    assert _call()[0, 0, 0, 0] == 12
    kernels.use("mine")
    assert _call()[0, 0, 0, 0] == 7
    kernels.use(conv2d=None)
    assert _call()[0, 0, 0, 0] == 12


def test_registering_again_replaces():
    _mine(1.0)
    kernels.use(conv2d="mine")
    assert _call()[0, 0, 0, 0] == 1
    _mine(2.0)
    assert _call()[0, 0, 0, 0] == 2


def test_small_problems_go_to_blas_and_large_ones_to_numba():
    def name(op, **shapes):
        settings = {"stride": (1, 1), "padding": (1, 1)} if op.startswith("conv2d") else {}
        return registry.choose(kernels.Spec(op, "cpu", np.dtype("float32"), shapes, settings)).name

    assert name("conv2d", x=(1, 1, 28, 28), w=(8, 1, 3, 3)) == "blas"
    assert name("conv2d", x=(128, 64, 14, 14), w=(128, 64, 4, 4)) == "numba"
    assert name("conv2d_grad_weight", gy=(128, 128, 13, 13), x=(128, 64, 14, 14), w=(128, 64, 4, 4)) == "numba"
    assert name("matmul", a=(4, 5), b=(5, 6)) == "blas"
    assert name("matmul", a=(128, 1024), b=(1024, 1024)) == "numba"
    assert name("matmul", a=(9, 128, 1024), b=(1024, 1024)) == "blas"
    assert name("batch_norm", x=(128, 1024), gamma=(1024,), beta=(1024,)) == "numba"
    assert name("adam_step", p=(10,), g=(10,), m=(10,), v=(10,)) == "blas"


def test_automatic_choice_passes_on_what_is_not_supported_and_says_so(caplog, monkeypatch):
    monkeypatch.setattr(registry, "_told", set())
    monkeypatch.setitem(registry.AUTOMATIC, "cpu", ("mine", "blas"))
    _mine(supports=lambda spec: spec.shapes["x"][0] > 100)
    with caplog.at_level(logging.INFO, "kernels"):
        assert _call()[0, 0, 0, 0] == 12
    assert [r.getMessage() for r in caplog.records] == [
        "conv2d: kernel 'mine' passed over: its supports() turns this down"
    ]


def test_without_numba_blas_serves(monkeypatch):
    find_spec = registry.importlib.util.find_spec
    monkeypatch.setattr(registry.importlib.util, "find_spec", lambda n: None if n == "numba" else find_spec(n))
    big = kernels.Spec("matmul", "cpu", np.dtype("float32"), {"a": (900, 900), "b": (900, 900)})
    assert registry.choose(big).name == "blas"
    assert kernels.chosen()["matmul"] == "blas"
    kernels.use(matmul="numba")
    with pytest.raises(kernels.KernelError, match=r"needs numba, which is not installed"):
        registry.choose(big)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"dtypes": ["float64"]}, r"cannot do conv2d of x \(2, 3, 5, 5\).* it takes float64, not float32"),
        ({"supports": lambda spec: False}, r"its supports\(\) turns this down"),
        ({"device": "cuda"}, r"runs on cuda, the arrays are on cpu"),
    ],
)
def test_asked_for_outside_its_limits(options, says):
    _mine(**options)
    kernels.use(conv2d="mine")
    with pytest.raises(kernels.KernelError, match=says) as caught:
        _call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("action", "says"),
    [
        (lambda: kernels.use("none such"), r"no kernel is called 'none such': there are reference, blas, numba"),
        (lambda: kernels.use(conv2d="x"), r"conv2d has no kernel 'x': there are reference, blas, numba"),
        (lambda: kernels.use(conv3d="x"), r"no operation 'conv3d': there are conv2d"),
        (lambda: kernels.register("conv3d", name="x")(print), r"no operation 'conv3d'"),
        (lambda: kernels.register("conv2d", name="blas")(print), r"built-in implementation 'blas'.* another name"),
        (lambda: kernels.parse_kernels("conv2d=x"), r"conv2d has no kernel 'x'"),
        (lambda: kernels.parse_kernels(" , "), r"names nothing: write OP=NAME"),
        (lambda: kernels.load_kernel_file("absent.py"), r"kernel file absent.py: no such file"),
    ],
)
def test_what_is_said(action, says):
    with pytest.raises(kernels.KernelError, match=says) as caught:
        action()
    assert "\n" not in str(caught.value)


def test_parse_kernels():
    assert kernels.parse_kernels("conv2d=blas, matmul=numba") == {"conv2d": "blas", "matmul": "numba"}
    assert kernels.parse_kernels("blas") == dict.fromkeys(kernels.OPERATIONS, "blas")
    _mine()
    assert kernels.parse_kernels("blas,conv2d=mine")["conv2d"] == "mine"
    assert kernels.parse_kernels("mine") == {"conv2d": "mine"}


FILE = """
import numpy as np
import kernels

@kernels.register("matmul", name="from_file")
def matmul(a, b):
    return np.asarray(a) @ b
"""


def test_kernel_file(tmp_path):
    path = tmp_path / "my_kernel.py"
    path.write_text(FILE)
    loaded = kernels.load_kernel_file(path)
    assert loaded == {"matmul": "from_file"}
    with kernels.use(**loaded):
        kernels.matmul(np.ones((2, 2)), np.ones((2, 2)))
    assert kernels.served()["matmul"]["from_file"] == 1
    assert kernels.load_kernel_file(path) == loaded


@pytest.mark.parametrize(
    ("text", "says"),
    [("x = 1", "registers nothing"), ("1 / 0", "ZeroDivisionError: division by zero"), ("def", "SyntaxError")],
)
def test_kernel_file_that_fails(tmp_path, text, says):
    path = tmp_path / "bad.py"
    path.write_text(text)
    with pytest.raises(kernels.KernelError, match=says):
        kernels.load_kernel_file(path)


def test_served_counts_calls():
    before = kernels.served().get("conv2d", {}).get("blas", 0)
    _call()
    assert kernels.served()["conv2d"]["blas"] == before + 1
