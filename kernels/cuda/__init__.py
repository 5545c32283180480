"""Numba CUDA kernels: plain Python functions, compiled and launched here.

`numba.cuda` is imported in this file alone and only once a kernel is wanted; the bodies take it from here
(`from kernels.cuda import cuda`). The same function is launched on a device, translated to PTX where there is
none, and run thread by thread in Numba's simulator (`NUMBA_ENABLE_CUDASIM=1` before Numba is imported).

A body is handed flat C-contiguous arrays and 32-bit numbers, calls no other function (PTX for a kernel with
device functions cannot be made without a driver) and mentions no stream: `launch` queues it on CuPy's.
"""

from __future__ import annotations

import functools
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from kernels import device
from kernels.device import Array

launches: Counter[str] = Counter()
"""How often each kernel, by its name, was launched since the process began."""


def _numba_cuda() -> ModuleType:
    from numba import cuda

    return cuda


def __getattr__(name: str) -> Any:
    if name == "cuda":
        return _numba_cuda()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@dataclass(frozen=True, eq=False)
class Kernel:
    """A body with the types of its arguments, the threads of a block, and the registers a thread may take."""

    name: str
    body: Callable[..., None]
    signature: str
    threads: int
    max_registers: int | None = None

    @functools.cached_property
    def compiled(self) -> Any:
        """The kernel for the device (or the simulator) at hand, compiled now."""
        options = {} if simulated() else {"max_registers": self.max_registers}
        if simulated():
            make_shared_arrays_once()
        return _numba_cuda().jit(self.signature, **options)(self.body)


class _Allocations(dict):
    """Shared arrays of a simulated block by source line, each made by one thread while the others wait.

    Numba looks an array up and makes it where it is missing, in two steps; between them another of the
    block's threads may do the same, and then sums into an array that nobody else sees.
    """

    def __init__(self) -> None:
        super().__init__()
        self._making = threading.RLock()

    def get(self, line: Any, default: Any = None) -> Any:
        self._making.acquire()
        if line in self:
            self._making.release()
            return self[line]
        return default  # the lock is held until the array is entered

    def __setitem__(self, line: Any, array: Any) -> None:
        super().__setitem__(line, array)
        self._making.release()


@functools.cache
def make_shared_arrays_once() -> None:
    """Close the race between the threads of a simulated block over who makes a shared array."""
    from numba.cuda.simulator import kernelapi

    shared = kernelapi.FakeCUDAShared
    begin = shared.__init__

    def with_lock(self: Any, *arguments: Any, **named: Any) -> None:
        begin(self, *arguments, **named)
        self._allocations = _Allocations()

    shared.__init__ = with_lock  # type: ignore[method-assign]


def simulated() -> bool:
    """Whether Numba runs kernels in its simulator in this process."""
    from numba.core import config

    return bool(getattr(config, "ENABLE_CUDASIM", False))


class _HostView:
    """The simulator's device memory is the host's: an array there, for NumPy to look at in place."""

    def __init__(self, x: Array) -> None:
        described = dict(x.__cuda_array_interface__)
        described.pop("stream", None)
        self.__array_interface__ = described
        self.owner = x


def _argument(x: Any) -> Any:
    """What the kernel gets: the same memory, never a copy."""
    if isinstance(x, (int, float, np.generic)):
        return x
    if simulated():
        return x if isinstance(x, np.ndarray) else np.asarray(_HostView(x))
    return _numba_cuda().as_cuda_array(x, sync=False)


def _current_stream() -> Any:
    if simulated():
        return 0
    return _numba_cuda().external_stream(device.module("cuda").cuda.get_current_stream().ptr)


def launch(kernel: Kernel, grid: int | tuple[int, ...], *args: Any) -> None:
    """Queue `kernel` on CuPy's current stream, a block of `kernel.threads` for each point of `grid`.

    Arrays are CuPy's (in the simulator NumPy's will do) and are handed over as they are: no copy, and no
    waiting for other streams. An empty grid is no work.
    """
    if np.prod(grid) == 0:
        return
    launches[kernel.name] += 1
    kernel.compiled[grid, kernel.threads, _current_stream()](*map(_argument, args))


def flat(a: Array) -> Array:
    """`a` as one dimension in C order: a view where that can be, else a copy on its device."""
    return (a if a.flags.c_contiguous else device.array_module(a).ascontiguousarray(a)).reshape(-1)
