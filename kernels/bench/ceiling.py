"""What a machine can do: the rate of a matrix product through each library, and of a stream through memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kernels import device as devices
from kernels import registry
from kernels.bench.clock import Clock, clock, last_level_cache
from kernels.bench.measure import thread_limit
from kernels.bench.results import Ceiling
from kernels.registry import KernelError

SIDES = (1024, 2048)
"""Of the square products; the best rate counts."""
SECONDS = 0.5
"""Repeated for so long, at least thrice: the best is what the machine can do."""

Product = Callable[[np.ndarray, np.ndarray], Callable[[], Any]]
"""Given two host matrices, a function that multiplies them where and as the library likes."""


def measure(
    device: str,
    threads: int,
    dtype: str,
    others: Mapping[str, Product] | None = None,
    *,
    sides: tuple[int, ...] = SIDES,
    elements: int | None = None,
) -> Ceiling:
    """The ceiling of `device` with so many threads; `others` are the products of peers by name.

    `elements` is the length of the streamed arrays [each as large as the last cache]. Raises `KernelError` if a
    product is wrong.
    """
    with thread_limit(threads):
        found = rates(device, dtype, {**products(device), **(others or {})}, sides=sides)
        bandwidth = _stream(clock(device), device, dtype, elements)
    return Ceiling(
        device=device,
        threads=threads,
        dtype=dtype,
        flops_per_second=max(found.values()),
        bytes_per_second=bandwidth,
        rates=found,
    )


def rates(
    device: str, dtype: str, libraries: Mapping[str, Product], *, sides: tuple[int, ...] = SIDES
) -> dict[str, float]:
    """FLOP/s of square products through each library, with the threads set now."""
    watch = clock(device)
    return {
        name: max(_rate(watch, name, product, side, dtype) for side in sides) for name, product in libraries.items()
    }


def products(device: str) -> dict[str, Product]:
    """The products of the project's own kernels, by the library they call."""

    def of(implementation: registry.Implementation) -> Product:
        function = implementation.function()

        def prepare(a: np.ndarray, b: np.ndarray) -> Callable[[], Any]:
            x, y = devices.to_device(a, device), devices.to_device(b, device)
            return lambda: function(x, y)

        return prepare

    there = [i for i in registry.implementations("matmul") if i.device == device and i.missing() is None]
    return {_LIBRARY.get((device, i.name), i.name): of(i) for i in there if i.builtin and i.name != "reference"}


_LIBRARY = {
    ("cpu", "blas"): "NumPy's BLAS",
    ("cpu", "numba"): "the Numba kernels",
    ("cuda", "blas"): "CuPy",
}


def _rate(watch: Clock, name: str, product: Product, side: int, dtype: str) -> float:
    random = np.random.default_rng(side)
    a, b = (random.standard_normal((side, side), dtype=np.dtype(dtype).type) for _ in range(2))
    run = product(a, b)
    run()
    best, result = _best(watch, run)
    got = np.asarray(devices.to_host(result) if devices.is_array(result) else result)
    rows = slice(0, 4)
    wanted, size = (f(a[rows]).astype(np.float64) @ f(b).astype(np.float64) for f in (np.positive, np.abs))
    if not (np.abs(got[rows] - wanted) <= 8 * side**0.5 * np.finfo(dtype).eps * size).all():
        raise KernelError(f"the product of {name} is wrong at {side}x{side}: its rate would mean nothing")
    return 2 * side**3 / best


def _best(watch: Clock, run: Callable[[], Any]) -> tuple[float, Any]:
    ends, result = time.perf_counter() + SECONDS, None
    found: list[float] = []
    while len(found) < 3 or time.perf_counter() < ends:
        seconds, result = watch.time(run, 1)
        found.append(seconds)
    return min(found), result


def _stream(watch: Clock, device: str, dtype: str, elements: int | None) -> float:
    kind = np.dtype(dtype)
    length = elements or last_level_cache() // kind.itemsize
    xp = devices.module(device)
    a, b, c = xp.zeros(length, kind), xp.full(length, 2, kind), xp.full(length, 5, kind)
    if device == "cpu":
        from kernels.bench.stream import triad

        run: Callable[[], Any] = lambda: triad(a, b, c)
        moved = 3
    else:
        run = lambda: xp.add(b, 1, out=a)
        moved = 2
    run()
    best, _ = _best(watch, run)
    if float(a[-1]) != (17 if device == "cpu" else 3):
        raise KernelError("the stream's result is wrong: its rate would mean nothing")
    return moved * a.nbytes / best
