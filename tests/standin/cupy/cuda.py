"""`cupy.cuda` of the stand-in: streams that are always done, events, one device."""

from __future__ import annotations

import threading as _threading
import time as _time
from typing import Any as _Any

_local = _threading.local()


class Stream:
    """A queue of work. Here each piece of work is done when its call returns."""

    null: Stream

    def __init__(
        self, null: bool = False, non_blocking: bool = False, ptds: bool = False, priority: _Any = None
    ) -> None:
        self.is_non_blocking = non_blocking
        self.ptr = 0 if null else id(self)
        self.done = True

    def __enter__(self) -> Stream:
        _stack().append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _stack().pop()

    def use(self) -> Stream:
        _stack()[-1] = self
        return self

    def synchronize(self) -> None:
        """Wait for the work queued so far: there is none."""

    def record(self, event: Event | None = None) -> Event:
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Work queued later starts after `event`."""


class Event:
    """A moment in a stream."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        self._moment: float | None = None
        self.done = True

    def record(self, stream: Stream | None = None) -> None:
        self._moment = _time.perf_counter()

    def synchronize(self) -> None:
        """Wait for the moment: it has passed."""


Stream.null = Stream(null=True)


def _stack() -> list[Stream]:
    if not hasattr(_local, "stack"):
        _local.stack = [Stream.null]
    return _local.stack


def get_current_stream(device_id: int | None = None) -> Stream:
    return _stack()[-1]


def get_elapsed_time(start_event: Event, end_event: Event) -> float:
    """Milliseconds between two recorded events."""
    if start_event._moment is None or end_event._moment is None:
        raise ValueError("an event was not recorded")
    return 1e3 * (end_event._moment - start_event._moment)


def is_available() -> bool:
    return True


class Device:
    """The one device."""

    def __init__(self, device: int | None = None) -> None:
        self.id = 0

    def synchronize(self) -> None:
        """Wait for all streams."""
