"""Several processes that train one run together, each on its share of every batch.

`mpiexec -n K infogan train …` starts K processes, which MPI's environment tells apart; `infogan train` by itself is
`Alone`, to which every method is a matter of course, and MPI is never loaded. All that passes between processes
goes through the two functions of a `Wire`. `docs/scaling.md` says what is exchanged, why, and what it costs.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np

import minigrad as mg
from infogan.errors import LONGEST, Diverged, InfoganError, InputError, Interrupted
from kernels import get_num_threads, nccl
from kernels.device import Array, DeviceError, array_module, device_of

LAUNCHERS = (("PMI_SIZE", "PMI_RANK"), ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"))
"""Where MPICH (Intel's MPI, Slurm) and Open MPI tell a process how many there are and which it is."""
_TEXT = 4 * LONGEST + 8


class Failed(InfoganError):
    """What failed in one process, raised in all of them; it ends the program as it would have there."""

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class Wire(Protocol):
    """What processes exchange arrays by. Every process calls the same functions in the same order."""

    rank: int
    size: int

    def sum_(self, array: Array) -> None:
        """Put the sum over all processes of a contiguous `array` in its place."""

    def rows(self, array: np.ndarray) -> np.ndarray:
        """The rows of all processes, as many each, in the order of their ranks."""

    def abort(self, status: int) -> None:
        """End all processes at once with that exit status."""


class Alone:
    """One process: the whole batch is its share, and every sum its own."""

    rank = 0
    size = 1

    def sum_(self, array: Array) -> Array:
        """The sum of `array` over all processes, in its place and returned."""
        return array

    def mean(self, *values: float) -> tuple[float, ...]:
        """The mean over all processes of each of some numbers."""
        return values

    def mean_(self, parameters: Iterable[mg.Tensor]) -> None:
        """Put the mean over all processes of the gradients of `parameters` in their place, by one message."""

    def rows(self, array: np.ndarray) -> np.ndarray:
        """The rows of all processes, in the order of the batch."""
        return array

    def share(self, array: np.ndarray) -> np.ndarray:
        """This process's rows of what was drawn for the whole batch."""
        return array

    def share_of_pairs(self, array: np.ndarray) -> np.ndarray:
        """This process's rows of what was drawn for pairs, n and N + n of 2N rows: whole pairs, in the same order."""
        return array

    def any(self, flag: bool) -> bool:
        """Whether `flag` is set in any process."""
        return flag

    def agreed(self) -> AbstractContextManager[None]:
        """Within it a process may fail by itself: `Failed` is then raised in all of them."""
        return nullcontext()

    def told(self, text: str) -> str:
        """What the first process says."""
        return text

    def threads(self) -> int | None:
        """How many threads a process may have where nobody asked for a number; `None`: all there are."""
        return None

    def guard(self) -> AbstractContextManager[None]:
        """Within it an error that all processes know is told by the first one alone.

        An error that the others cannot know of, in the middle of an update, ends them too, once its line is told.
        """
        return nullcontext()


class Together(Alone):
    """One of K processes with a K-th of every batch. What passes between them goes through `wire`."""

    def __init__(self, wire: Wire) -> None:
        self.wire, self.rank, self.size = wire, wire.rank, wire.size
        self._buffers: dict[tuple[int, str], Array] = {}

    def sum_(self, array: Array) -> Array:
        """See `Alone`."""
        self.wire.sum_(array)
        return array

    def mean(self, *values: float) -> tuple[float, ...]:
        """See `Alone`."""
        return tuple((self.sum_(np.array(values, np.float64)) / self.size).tolist())

    def mean_(self, parameters: Iterable[mg.Tensor]) -> None:
        """See `Alone`. The gradients become views of one buffer, which the next update writes anew."""
        owners = [p for p in parameters if p.grad is not None]
        grads = [p.grad.data.reshape(-1) for p in owners if p.grad is not None]
        flat = self._buffer(sum(g.size for g in grads), grads[0])
        array_module(flat).concatenate(grads, out=flat)
        self.sum_(flat)
        flat /= self.size
        at = 0
        for p, g in zip(owners, grads, strict=True):
            p.grad = mg.Tensor(flat[at : at + g.size].reshape(p.shape))
            at += g.size

    def _buffer(self, count: int, like: Array) -> Array:
        key = count, f"{device_of(like)} {like.dtype}"
        if key not in self._buffers:
            self._buffers[key] = array_module(like).empty(count, like.dtype)
        return self._buffers[key]

    def rows(self, array: np.ndarray) -> np.ndarray:
        """See `Alone`."""
        return self.wire.rows(np.ascontiguousarray(array))

    def share(self, array: np.ndarray) -> np.ndarray:
        """See `Alone`."""
        n = len(array) // self.size
        return array[self.rank * n : (self.rank + 1) * n]

    def share_of_pairs(self, array: np.ndarray) -> np.ndarray:
        """See `Alone`."""
        return np.concatenate([self.share(side) for side in np.split(array, 2)])

    def any(self, flag: bool) -> bool:
        """See `Alone`."""
        return self.mean(float(flag))[0] > 0

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """See `Alone`. The failure told is that of the lowest rank that has one."""
        failure: Exception | None = None
        try:
            yield
        except Exception as error:
            failure = error
        if self.any(failure is not None):
            raise self._failed(failure) from failure

    def _failed(self, failure: Exception | None) -> Failed:
        text = f"{getattr(failure, 'exit_status', 1)} {_line(failure)}" if failure else ""
        rank, first = next((rank, said) for rank, said in enumerate(self._texts(text)) if said)
        status, _, message = first.partition(" ")
        return Failed(f"process {rank} of {self.size}: {message}" if rank else message, int(status))

    def told(self, text: str) -> str:
        """See `Alone`."""
        return self._texts(text)[0]

    def _texts(self, text: str) -> list[str]:
        row = np.zeros((1, _TEXT), np.uint8)
        content = text.encode()[:_TEXT]
        row[0, : len(content)] = np.frombuffer(content, np.uint8)
        return [bytes(r).rstrip(b"\0").decode(errors="ignore") for r in self.rows(row)]

    def threads(self) -> int | None:
        """See `Alone`. The cores this process may use, divided among those that may use the same ones."""
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        place = hashlib.sha256(f"{platform.node()} {cores}".encode()).digest()
        places = self.rows(np.frombuffer(place, np.uint8)[None])
        alike = int((places == places[self.rank]).all(axis=1).sum())
        return max(1, get_num_threads() // alike)

    @contextmanager
    def guard(self) -> Iterator[None]:
        """See `Alone`."""
        try:
            yield
        except (Failed, Interrupted, Diverged) as error:
            if self.rank:
                raise SystemExit(error.exit_status) from None
            raise
        except BaseException as error:
            atexit.register(self.wire.abort, getattr(error, "exit_status", 1))
            raise


def _line(failure: Exception) -> str:
    return failure.message if isinstance(failure, InfoganError) else f"{type(failure).__name__}: {failure}"


class Mpi:
    """A `Wire` of MPI's: host arrays go by MPI, device arrays by NCCL, a device a process."""

    def __init__(self, MPI: Any, device: str) -> None:
        self._sum, comm = MPI.SUM, MPI.COMM_WORLD
        self._in_place, self._comm = MPI.IN_PLACE, comm
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        self._sums: dict[str, Callable[[Array], None]] = {"cpu": self._sum_on_host}
        if device == "cuda":
            neighbour = comm.Split_type(MPI.COMM_TYPE_SHARED).Get_rank()
            self._sums["cuda"] = nccl.Sums(self.size, self.rank, neighbour, self._from_first).sum_

    def _sum_on_host(self, array: np.ndarray) -> None:
        self._comm.Allreduce(self._in_place, array, self._sum)

    def _from_first(self, row: np.ndarray) -> np.ndarray:
        self._comm.Bcast(row, 0)
        return row

    def sum_(self, array: Array) -> None:
        """See `Wire`."""
        self._sums[device_of(array)](array)

    def rows(self, array: np.ndarray) -> np.ndarray:
        """See `Wire`."""
        whole = np.empty((self.size * len(array), *array.shape[1:]), array.dtype)
        self._comm.Allgather(array, whole)
        return whole

    def abort(self, status: int) -> None:
        """See `Wire`."""
        self._comm.Abort(status)


def join(device: str = "cpu", environment: Mapping[str, str] = os.environ) -> Alone:
    """The processes that MPI's launcher started this one with, or `Alone`.

    Raises `InputError` where there are several and mpi4py is not installed, or is another MPI's.
    """
    told = [(int(environment[size]), environment.get(rank, "0")) for size, rank in LAUNCHERS if size in environment]
    size, rank = max(told, default=(1, "0"))
    if size == 1:
        return Alone()
    try:
        wire = _mpi(device)
        if wire.size != size:
            raise InputError(
                f"mpiexec started {size} processes and mpi4py sees {wire.size}: use that MPI's own mpiexec"
            )
    except InputError:
        if rank != "0":
            raise SystemExit(2) from None  # the first process tells it
        raise
    return Together(wire)


def _mpi(device: str) -> Wire:
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError):
        raise InputError(
            "several processes need mpi4py and an MPI: pip install 'infogan[mpi]' brings both, and mpiexec"
        ) from None
    try:
        return Mpi(MPI, device)
    except DeviceError as error:
        raise InputError(str(error)) from None


def describe(across: Alone, run_dir: Path, every: int) -> str:
    """How a run is shared, and how it goes on where a process should be lost."""
    return (
        f"every batch shared by {across.size} processes | should one be killed, all end: "
        f"infogan train --out {run_dir} --resume goes on from the last checkpoint, one every {every:,} updates"
    )
