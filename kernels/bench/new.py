"""`python -m kernels new`: a small kernel file that is right, with its loop around one of `bodies`."""

from __future__ import annotations

import re
from string import Template
from textwrap import indent

from kernels.bench.bodies import BODIES, Body

KINDS = ("numba", "cuda", "rawkernel", "ctypes")

_HEAD = '''\
"""$title: right, and yours to make fast.

$how"""

from __future__ import annotations

'''
_HOW = """\
    python -m kernels verify $op --kernel-file $file$simulate
    python -m kernels bench $op --kernel-file $file$where
    infogan train --kernel-file $file$where
"""
_REGISTERED = """\


$register
$wrapper"""

_NUMBA = '''\
import math

import numpy as np
from numba import njit, prange

import kernels
from kernels import threads


@njit(parallel=True, error_model="numpy")
def body(count, $parameters):
    """All arrays are flat and in C order."""
    for t in prange(count):
$python

def flat(a):
    """C order, writable: one layout to compile for. A copy only where the memory is something else."""
    return np.require(a, requirements=["C", "W"]).reshape(-1)


def run(count, *arguments):
    threads.launch(body, count, *arguments)  # one launch at a time, with the threads asked for
'''

_CUDA = '''\
import math

import numpy as np

import kernels
from kernels import device
from kernels.cuda import Kernel, cuda, flat, launch

THREADS = 128


def body(count, $parameters):
    """A thread a turn. All arrays are flat and in C order."""
    t = cuda.grid(1)
    if t < count:
$python

def kernel(real):
    signature = f"$signature"
    return Kernel("my_$op", body, signature.replace("real", real), THREADS)


KERNELS = {real: kernel(real) for real in ("float32", "float64")}


def run(count, *arguments):
    blocks = -(-count // THREADS)
    launch(KERNELS[arguments[0].dtype.name], blocks, count, *arguments)  # on CuPy's current stream
'''

_RAWKERNEL = '''\
import functools
import math

import numpy as np

import kernels
from kernels import device

THREADS = 128
KINDS = {int: np.int32, float: np.float64}  # what the source calls int and double; nothing checks it
SOURCE = """
extern "C" __global__ void body(
    int count, $c_parameters)
{
    int t = blockDim.x * blockIdx.x + threadIdx.x;
    if (t < count) {
$c    }
}
"""


@functools.cache
def compiled(real):
    """By NVRTC, at the first call on a device."""
    options = ("-Dreal=" + {"float32": "float", "float64": "double"}[real], "--std=c++14")
    return device.module("cuda").RawModule(code=SOURCE, options=options).get_function("body")


def flat(a):
    """C order: a RawKernel sees memory, not strides."""
    return device.array_module(a).ascontiguousarray(a).reshape(-1)


def run(count, *arguments):
    if count:
        numbers = [KINDS.get(type(a), lambda array: array)(a) for a in (count, *arguments)]
        compiled(arguments[0].dtype.name)((-(-count // THREADS),), (THREADS,), tuple(numbers))
'''

_CTYPES = '''\
import ctypes
import math
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

import kernels

SOURCE = """
#include <math.h>

void body(
    int count, $c_parameters)
{
    /* one thread; for more put "#pragma omp parallel for" here and -fopenmp into BUILD */
    for (int t = 0; t < count; t++) {
$c    }
}
"""
BUILD = "{cc} -O3 -march=native -shared -fPIC -Dreal={real} -o {out} {source} -lm"


def build(real, folder):
    cc = os.environ.get("CC", "cc")
    if shutil.which(cc) is None:
        raise RuntimeError(f"no C compiler {cc!r} here: install gcc or clang, or name yours in CC")
    source, out = Path(folder, f"{real}.c"), Path(folder, f"{real}.so")
    source.write_text(SOURCE)
    command = [word.format(cc=cc, real=real, out=out, source=source) for word in BUILD.split()]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the C source does not compile: {done.stderr.strip()}")
    return ctypes.CDLL(str(out))


with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
    LIBRARIES = {"float32": build("float", folder), "float64": build("double", folder)}


def flat(a):
    """C order: C sees memory, not strides. A copy only where the memory is something else."""
    return np.asarray(a, order="C").reshape(-1)


def run(count, *arguments):
    LIBRARIES[arguments[0].dtype.name].body(ctypes.c_int(count), *map(argument, arguments))


def argument(a):
    if isinstance(a, np.ndarray):
        return ctypes.c_void_p(a.ctypes.data)
    return ctypes.c_double(a) if isinstance(a, float) else ctypes.c_int(a)
'''

_TEXTS = {"numba": _NUMBA, "cuda": _CUDA, "rawkernel": _RAWKERNEL, "ctypes": _CTYPES}
_TITLES = {
    "numba": "$op in Numba on the CPU",
    "cuda": "$op in Numba CUDA",
    "rawkernel": "$op in CUDA C through CuPy's RawModule",
    "ctypes": "$op in C through ctypes",
}


def source(op: str, kind: str, file: str) -> str:
    """The text of a kernel file for `op`, one of `KINDS`, that will be called `file`."""
    body = BODIES[op]
    on_device = kind in ("cuda", "rawkernel")
    values = {
        "title": Template(_TITLES[kind]).substitute(op=op),
        "op": op,
        "file": file,
        "simulate": " --simulate" if kind == "cuda" else "",
        "where": " --device cuda" if on_device else "",
        "parameters": body.parameters,
        "python": indent(body.python, " " * 8),
        "c": indent(body.c, " " * 8),
        "c_parameters": _c_parameters(body),
        "signature": _signature(body),
        "register": _register(op, "cuda" if on_device else "cpu", body.supports),
        "wrapper": _wrapper(body, on_device),
    }
    values["how"] = Template(_HOW).substitute(values)
    return _without_unused_imports(Template(_HEAD + _TEXTS[kind] + _REGISTERED).substitute(values))


def _c_parameters(body: Body) -> str:
    kinds = {"const real *": body.reads, "real *": body.writes, "int ": body.ints, "double ": body.floats}
    rows = [", ".join(f"{kind}{name}" for name in names.split()) for kind, names in kinds.items() if names]
    return ",\n    ".join(rows)


def _signature(body: Body) -> str:
    """Of the CUDA kernel, in Numba's spelling, with `real` for the dtype."""
    counted = {
        "real[::1]": len(f"{body.reads} {body.writes}".split()),
        "int32": len(body.ints.split()),
        "float64": len(body.floats.split()),
    }
    return "void(int32" + "".join(f"{{', {kind}' * {n}}}" for kind, n in counted.items() if n) + ")"


def _register(op: str, device: str, supports: str) -> str:
    if not supports:
        return f'@kernels.register("{op}", name="mine", device="{device}")'
    arguments = (f'"{op}"', 'name="mine"', f'device="{device}"', f"supports={supports}")
    return "@kernels.register(\n" + "".join(f"    {a},\n" for a in arguments) + ")"


def _wrapper(body: Body, on_device: bool) -> str:
    if not on_device:
        return body.wrapper.format(xp="np")
    text = body.wrapper.format(xp="xp")
    if "xp." not in text:
        return text
    line, _, rest = text.partition("\n")
    first = line.partition("(")[2].partition(",")[0]
    return f"{line}\n    xp = device.array_module({first})\n{rest}"


def _without_unused_imports(text: str) -> str:
    for line, use in (
        ("import math\n", r"\bmath\.(?!h>)"),
        ("import numpy as np\n", r"\bnp\."),
        ("from kernels import device\n", r"\bdevice\."),
    ):
        head, _, rest = text.partition(line)
        if not re.search(use, rest):
            text = head + rest
    return re.sub("\n\n\n+(import|from)", r"\n\n\1", text)
