"""CUDA kernels with no GPU: Numba's simulator, which has to be switched on before Numba is imported."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from kernels.cuda import make_shared_arrays_once
from kernels.registry import Implementation, KernelError, implementations

SWITCH = "NUMBA_ENABLE_CUDASIM"


def simulated() -> bool:
    """Whether this process was started with the simulator on."""
    return os.environ.get(SWITCH) == "1"


def rerun(arguments: Sequence[str]) -> int:
    """`python -m kernels` with `arguments` in a process with the simulator on; its exit status."""
    return subprocess.run(
        [sys.executable, "-m", "kernels", *arguments], env={**os.environ, SWITCH: "1"}, check=False
    ).returncode


def find(op: str, name: str | None) -> list[Implementation]:
    """The CUDA kernels of `op`, or the one called `name`, as functions of NumPy arrays.

    The simulator's device memory is the host's. What is CuPy's alone is left out: it launches no kernel of ours.
    """
    make_shared_arrays_once()
    found = [i for i in implementations(op) if i.device == "cuda" and i.name in ((name,) if name else (i.name,))]
    if name is not None and not found:
        raise KernelError(f"{op} {name}: not a CUDA kernel, so there is nothing to simulate")
    return [
        dataclasses.replace(i, device="cpu", target=_as_on_device(i))
        for i in found
        if not (i.builtin and i.name == "blas")
    ]


def _as_on_device(implementation: Implementation) -> Callable[..., Any]:
    """Its function, given what a device gives it: no array there is read-only."""

    def call(*arrays: Any, **settings: Any) -> Any:
        there = [a if a is None or a.flags.writeable else a.copy(order="K") for a in arrays]
        return implementation.function()(*there, **settings)

    return call
