"""`python -m kernels new`: every template is right, as it is written."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from kernels import device, load_kernel_file, registry
from kernels.bench import gradients
from kernels.bench.new import KINDS, source
from kernels.bench.simulate import SWITCH
from kernels.registry import OPERATIONS, KernelError
from kernels.verify import find, verify

compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_table", dict(registry._table))


def _write(tmp_path, op, kind):
    path = tmp_path / f"{kind}_{op}.py"
    path.write_text(source(op, kind, path.name))
    return path


def _mine(path, op):
    assert load_kernel_file(path) == {op: "mine"}
    return next(i for i in registry.implementations(op) if i.name == "mine")


def _right(implementation):
    report = verify(implementation)
    assert report.ok, str(report)
    checked = gradients.check(implementation)
    assert checked is None or checked[0] == []


@compiler
@pytest.mark.parametrize("op", OPERATIONS)
def test_ctypes(tmp_path, op):
    _right(_mine(_write(tmp_path, op, "ctypes"), op))


def test_ctypes_without_a_compiler_says_so_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(KernelError, match="no C compiler 'no-such-compiler' here: install gcc or clang") as caught:
        load_kernel_file(_write(tmp_path, "matmul", "ctypes"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("op", ["conv2d", *(pytest.param(op, marks=pytest.mark.slow) for op in OPERATIONS[1:])])
def test_numba_compiled(tmp_path, op):
    _right(_mine(_write(tmp_path, op, "numba"), op))


def test_numba_as_python(tmp_path):
    """All of them, without waiting for the compiler."""
    files = [str(_write(tmp_path, op, "numba")) for op in OPERATIONS]
    script = (
        "import sys\nfrom kernels import load_kernel_file\nfrom kernels.verify import find, verify\n"
        "for path in sys.argv[1:]:\n    for op, name in load_kernel_file(path).items():\n"
        "        print(verify(find(op, name)[0]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *files],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^(\w+) mine: ok", done.stdout, re.M) == list(OPERATIONS), done.stdout


def _simulated(path):
    return subprocess.run(
        [sys.executable, "-m", "kernels", "verify", "--kernel-file", str(path), "--simulate"],
        env={k: v for k, v in os.environ.items() if k != SWITCH}, capture_output=True, text=True, timeout=250,
    )  # fmt: skip


@pytest.mark.parametrize("op", ["conv2d", *(pytest.param(op, marks=pytest.mark.slow) for op in OPERATIONS[1:])])
def test_cuda_in_the_simulator(tmp_path, op):
    done = _simulated(_write(tmp_path, op, "cuda"))
    assert done.returncode == 0 and f"{op} mine: ok" in done.stdout, done.stdout + done.stderr


def test_a_wrong_cuda_kernel_fails_in_the_simulator(tmp_path):
    path = _write(tmp_path, "matmul", "cuda")
    path.write_text(path.read_text().replace("total +=", "total -="))
    done = _simulated(path)
    assert done.returncode == 1 and "entries are wrong" in done.stdout


def test_a_kernel_of_the_cpu_is_not_simulated(tmp_path):
    done = _simulated(_write(tmp_path, "matmul", "numba"))
    assert (done.returncode, done.stdout) == (2, "") and "not a CUDA kernel" in done.stderr


_SHIM = """
struct Place { int x; };
static struct Place blockIdx, threadIdx, blockDim;
"""
_LOOP = """
void grid(int blocks, int threads, PARAMETERS) {
    blockDim.x = threads;
    for (blockIdx.x = 0; blockIdx.x < blocks; blockIdx.x++)
        for (threadIdx.x = 0; threadIdx.x < threads; threadIdx.x++) body(NAMES);
}
"""


class _HostModule:
    """`cupy.RawModule` on the CPU: the same source, every thread of the grid in turn."""

    def __init__(self, code, options):
        head = re.search(r"void body\((.*?)\)\s*{", code, re.S)
        assert head is not None
        parameters = head[1].strip()
        names = ", ".join(re.findall(r"(\w+)(?=,|$)", parameters.replace("\n", " ")))
        text = "#include <math.h>\n" + _SHIM + code.replace('extern "C" __global__', "static")
        text += _LOOP.replace("PARAMETERS", parameters).replace("NAMES", names)
        real = next(o for o in options if o.startswith("-Dreal="))
        folder = _HostModule.folder / f"{abs(hash(code + real))}"
        folder.mkdir(exist_ok=True)
        (folder / "k.c").write_text(text)
        subprocess.run(
            ["cc", "-O1", "-shared", "-fPIC", real, "-o", folder / "k.so", folder / "k.c", "-lm"], check=True
        )
        self.library = ctypes.CDLL(str(folder / "k.so"))

    def get_function(self, name):
        assert name == "body"

        def launch(blocks, threads, arguments):
            kinds = {np.int32: ctypes.c_int, np.float64: ctypes.c_double}
            given = [
                ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else kinds[type(a)](a.item())
                for a in arguments
            ]
            self.library.grid(blocks[0], threads[0], *given)

        return launch


@compiler
@pytest.mark.parametrize("op", OPERATIONS)
def test_rawkernel_source_thread_by_thread(tmp_path, op, monkeypatch):
    """NVRTC needs a device; the C of the kernel does not."""
    implementation = _mine(_write(tmp_path, op, "rawkernel"), op)
    assert implementation.device == "cuda"
    _HostModule.folder = tmp_path
    fake = type("cupy", (), {"RawModule": _HostModule})
    real = device.module
    monkeypatch.setattr(device, "module", lambda name: fake if name == "cuda" else real(name))
    _right(dataclasses.replace(implementation, device="cpu"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("op", OPERATIONS)
def test_a_template_is_small_and_names_its_own_file(op, kind):
    text = source(op, kind, "fast.py")
    compile(text, "fast.py", "exec")
    assert f"verify {op} --kernel-file fast.py" in text and "$" not in text
    assert len(text.splitlines()) < 110 and max(map(len, text.splitlines())) <= 120


def test_the_command_writes_once(tmp_path, capsys):
    from kernels.__main__ import main

    out = tmp_path / "fast.py"
    main.main(["new", "matmul", "--as", "ctypes", "--out", str(out)], standalone_mode=False)
    assert f"wrote {out}" in capsys.readouterr().out and out.read_text() == source("matmul", "ctypes", "fast.py")
    with pytest.raises(KernelError, match="is there already"):
        main.main(["new", "matmul", "--as", "numba", "--out", str(out)], standalone_mode=False)


def _gradient_lines(op, function):
    kept = find(op, "blas")[0]
    return gradients.check(dataclasses.replace(kept, target=function))


@pytest.mark.parametrize("op", ["conv2d", "conv2d_grad_input", "conv2d_grad_weight", "batch_norm", "matmul"])
def test_the_gradient_check_sees_a_forward_that_is_not_its_gradients(op):
    right = find(op, "blas")[0]

    def scaled(*arrays, **settings):
        y = right.function()(*arrays, **settings)
        return tuple(1.001 * r for r in y) if isinstance(y, tuple) else 1.001 * y

    assert gradients.check(right)[0] == []
    lines, worst = _gradient_lines(op, scaled)
    assert lines and lines[0].startswith("gradient in ") and worst == np.inf
