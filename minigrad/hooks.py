"""Watch every operation and every node of the sweep: where time goes, where the first NaN came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kernels import device
from minigrad import tape
from minigrad.tape import state


@contextmanager
def _observing(observer: Any) -> Iterator[Any]:
    tape.observers.append(observer)
    try:
        yield observer
    finally:
        tape.observers.remove(observer)


# ---- profile ----------------------------------------------------------------------------------------------


@dataclass
class Row:
    """One operation in one direction. `phase` is "forward" or "backward"; `share` is of all `seconds`
    together; `bytes` are those of the arrays read and written."""

    operation: str
    phase: str
    calls: int = 0
    seconds: float = 0.0
    bytes: int = 0
    share: float = 0.0


class Profile:
    """What `profile` collected: `rows`, the longest first; printed as a table.

    What an operation's backward pass calls is part of its backward row, and of no other.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Row] = {}

    def forward(self, name: str, inputs: Sequence[Any], outputs: Sequence[Any], seconds: float) -> None:
        size = _bytes(inputs) + _bytes(outputs)
        if state.visiting is None:
            self._add(name, "forward", 1, seconds, size)
        else:
            self._add(state.visiting.name, "backward", 0, 0.0, size)

    def backward(self, name: str, cotangents: Sequence[Any], results: Sequence[Any], seconds: float) -> None:
        if state.visiting is None:
            self._add(name, "backward", 1, seconds, _bytes(cotangents) + _bytes(results))

    def _add(self, name: str, phase: str, calls: int, seconds: float, size: int) -> None:
        row = self._found.setdefault((name, phase), Row(name, phase))
        row.calls, row.seconds, row.bytes = row.calls + calls, row.seconds + seconds, row.bytes + size

    @property
    def seconds(self) -> float:
        """Time in all operations, both directions."""
        return sum(row.seconds for row in self._found.values() if row.calls)

    @property
    def rows(self) -> list[Row]:
        """A row an operation and direction, the longest first."""
        total = self.seconds or 1.0
        used = [row for row in self._found.values() if row.calls]
        for row in used:
            row.share = row.seconds / total
        return sorted(used, key=lambda row: -row.seconds)

    def __str__(self) -> str:
        head = f"{'operation':<28}{'phase':<10}{'calls':>8}{'time (s)':>12}{'share':>8}{'bytes':>16}"
        return "\n".join(
            [head]
            + [
                f"{r.operation:<28}{r.phase:<10}{r.calls:>8}{r.seconds:>12.6f}{r.share:>8.1%}{r.bytes:>16,}"
                for r in self.rows
            ]
        )


@contextmanager
def profile() -> Iterator[Profile]:
    """Collect calls, time in seconds, share and bytes of every operation within the context.

        with mg.profile() as p:
            loss(model(x)).backward()
        print(p)

    On a CUDA device the times are those of launching, since kernels run on after the call returns.
    """
    with _observing(Profile()) as found:
        yield found


def _bytes(arrays: Sequence[Any]) -> int:
    return sum(a.nbytes for a in arrays if device.is_array(a))


# ---- anomaly ----------------------------------------------------------------------------------------------


class AnomalyError(RuntimeError):
    """An operation produced NaN or infinity: `operation`, `phase` ("forward" or "backward")."""

    def __init__(self, operation: str, phase: str, text: str) -> None:
        super().__init__(text)
        self.operation, self.phase = operation, phase


class _Anomaly:
    def forward(self, name: str, inputs: Sequence[Any], outputs: Sequence[Any], seconds: float) -> None:
        if state.visiting is None:
            _examine(name, "forward", name, inputs, outputs)
        else:
            around = state.visiting.name
            _examine(around, "backward", f"{name} in the backward pass of {around}", inputs, outputs)

    def backward(self, name: str, cotangents: Sequence[Any], results: Sequence[Any], seconds: float) -> None:
        _examine(name, "backward", f"the backward pass of {name}", cotangents, results)


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Raise `AnomalyError` at the first operation within the context that gives NaN or infinity.

    The error names the operation and the phase, the shapes, how many entries are not finite, and whether
    the operation's inputs were finite (then it is the culprit) or not (then the data or parameters are).
    Every result is read once more, which on a CUDA device waits for it.
    """
    with _observing(_Anomaly()):
        yield


def _examine(operation: str, phase: str, what: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    for k, y in enumerate(outputs):
        nan, infinite = _not_finite(y)
        if nan or infinite:
            given = [a for a in inputs if device.is_array(a)]
            sound = not any(sum(_not_finite(a)) for a in given)
            origin = "its inputs are all finite" if sound else "its inputs were not finite already"
            shapes = ", ".join(str(tuple(a.shape)) for a in given)
            raise AnomalyError(
                operation,
                phase,
                f"{what} gave {nan} NaN and {infinite} infinite of {y.size} entries in result {k} of shape "
                f"{tuple(y.shape)}, from inputs of shapes {shapes or 'none'}: {origin}",
            )


def _not_finite(x: Any) -> tuple[int, int]:
    """How many entries of `x` are NaN, and how many infinite."""
    if not device.is_array(x) or x.dtype.kind != "f":
        return 0, 0
    xp = device.array_module(x)
    if bool(xp.isfinite(x).all()):
        return 0, 0
    return int(xp.isnan(x).sum()), int(xp.isinf(x).sum())
