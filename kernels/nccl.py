"""Sums of device arrays over processes, by NVIDIA's NCCL through CuPy. It has not run on several devices yet."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kernels import device
from kernels.device import Array


class Sums:
    """One process's end of a communicator of `size`; this process takes the device of number `neighbour`.

    `neighbour` counts the processes of a host from 0, and `from_first` gives a row of int64 as the process of rank
    0 has it. Raises `DeviceError` where a host has fewer devices than processes: NCCL wants one for each.
    """

    def __init__(self, size: int, rank: int, neighbour: int, from_first: Callable[[np.ndarray], np.ndarray]) -> None:
        cuda = device.module("cuda").cuda
        from cupy.cuda import nccl

        devices = cuda.runtime.getDeviceCount()
        if neighbour >= devices:
            raise device.DeviceError(f"more processes on this host than CUDA devices ({devices}): start as many")
        cuda.Device(neighbour).use()
        key = from_first(np.array(nccl.get_unique_id(), np.int64))
        self._communicator = nccl.NcclCommunicator(size, tuple(key.tolist()), rank)
        self._types = {"float32": nccl.NCCL_FLOAT32, "float64": nccl.NCCL_FLOAT64}
        self._sum, self._stream = nccl.NCCL_SUM, cuda.get_current_stream

    def sum_(self, array: Array) -> None:
        """Put the sum over all processes of a contiguous `array` in its place, queued on the current stream."""
        at, kind = array.data.ptr, self._types[array.dtype.name]
        self._communicator.allReduce(at, at, array.size, kind, self._sum, self._stream().ptr)
