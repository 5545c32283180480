"""The clock of a device: seconds of a call, with the caches warm or emptied before it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from kernels import device as devices

SAMPLE = 1e-3
"""Seconds that a warm sample should last; shorter calls are repeated and the mean of them is a sample."""
BUDGET = 0.1
"""Seconds of samples a round."""
FEWEST, MOST, MOST_COLD = 3, 50, 5
"""Samples a round; emptying the caches takes longer than most calls."""
LARGEST_CACHE = 1 << 27


class Clock(Protocol):
    """Times calls on one device."""

    def time(self, run: Callable[[], Any], repeats: int) -> tuple[float, Any]:
        """Mean seconds of `repeats` calls in a row, and the result of the last."""
        ...

    def flush(self) -> None:
        """Leave nothing of earlier arrays in the caches."""
        ...


class HostClock:
    """The processor's, by `time.perf_counter`."""

    def __init__(self) -> None:
        self._scrub: np.ndarray | None = None

    def time(self, run: Callable[[], Any], repeats: int) -> tuple[float, Any]:
        started = time.perf_counter()
        for _ in range(repeats):
            result = run()
        return (time.perf_counter() - started) / repeats, result

    def flush(self) -> None:
        if self._scrub is None:
            self._scrub = np.zeros(2 * last_level_cache(), np.uint8)
        self._scrub += 1


class CudaClock:
    """The device's, by events on CuPy's current stream; a device transfer or launch delay inside counts."""

    def __init__(self) -> None:
        self._cupy = devices.module("cuda")
        self._scrub: Any = None

    def time(self, run: Callable[[], Any], repeats: int) -> tuple[float, Any]:
        stream = self._cupy.cuda.get_current_stream()
        begin, end = self._cupy.cuda.Event(), self._cupy.cuda.Event()
        begin.record(stream)
        for _ in range(repeats):
            result = run()
        end.record(stream)
        end.synchronize()
        return self._cupy.cuda.get_elapsed_time(begin, end) / 1000 / repeats, result

    def flush(self) -> None:
        if self._scrub is None:
            self._scrub = self._cupy.zeros(LARGEST_CACHE, np.uint8)  # several times any second-level cache
        self._scrub += 1


def clock(device: str) -> Clock:
    """The clock of `device`. Raises `DeviceError` where there is no such device."""
    return HostClock() if device == "cpu" else CudaClock()


def last_level_cache() -> int:
    """Bytes of the largest cache as Linux tells, at most 128 MiB; 64 MiB where it does not tell."""
    sizes = [64 << 20]
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = path.read_text().strip()
        if text.endswith("K") and text[:-1].isdigit():
            sizes.append(int(text[:-1]) << 10)
    return min(max(sizes), LARGEST_CACHE)


def samples(clock: Clock, run: Callable[[], Any], guess: float, *, cold: bool) -> tuple[list[float], Any]:
    """Seconds of a call, sample by sample, and the last result; `guess` is about how long one takes."""
    repeats = 1 if cold else max(1, min(1000, round(SAMPLE / max(guess, 1e-7))))
    count = max(FEWEST, min(MOST_COLD if cold else MOST, int(BUDGET / max(guess * repeats, 1e-7))))
    found = []
    result = None
    for _ in range(count):
        if cold:
            clock.flush()
        seconds, result = clock.time(run, repeats)
        found.append(seconds)
    return found, result
