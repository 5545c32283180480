"""Who computes: the kernels of the registry, and the copy between layouts as a line of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from kernels import device as devices
from kernels import registry
from kernels.bench.work import Work
from kernels.registry import Implementation, KernelError
from kernels.verify import IN_PLACE

Results = list[tuple[Any, ...]]
"""Of each call, its results; `None` for one that is not given."""


class Contestant(Protocol):
    """Prepares arrays outside the clock, computes inside it, hands out host arrays after it."""

    name: str
    kind: str
    """"kernel", "peer" or "layout"."""

    def prepare(self, work: Work) -> Callable[[], Any]:
        """What is timed, on copies of the arrays where it works in place."""
        ...

    def results(self, work: Work, raw: Any) -> Results:
        """What a call of the prepared function returned, as NumPy arrays."""
        ...

    def note(self, work: Work) -> str:
        """What a reader must know about this line."""
        ...


class Kernel:
    """The implementation called `name`; an operation it lacks goes to the automatic choice, and the note says so."""

    kind = "kernel"

    def __init__(self, name: str, device: str) -> None:
        self.name, self.device = name, device

    def implementations(self, work: Work) -> list[Implementation]:
        """Who serves each call. Raises `KernelError` if the implementation of this name cannot."""
        found = []
        for call in work.calls:
            spec = call.spec(self.device)
            own = [i for i in registry.implementations(call.op) if (i.name, i.device) == (self.name, self.device)]
            if own and (why := own[0].objection(spec)) is not None:
                raise KernelError(f"kernel {self.name!r} cannot do {spec}: {why}")
            found.append(own[0] if own else registry.choose(spec))
        return found

    def prepare(self, work: Work) -> Callable[[], Any]:
        steps = []
        for call, implementation in zip(work.calls, self.implementations(work), strict=True):
            in_place = IN_PLACE.get(call.op, ())
            arrays = [self._own(a, copy=n in in_place) for n, a in call.case.arrays.items()]
            steps.append((implementation.function(), arrays, call.case.settings, in_place))

        def run() -> list[Any]:
            out = []
            for function, arrays, settings, in_place in steps:
                result = function(*arrays, **settings)
                out.append((arrays[0], *arrays[2:]) if in_place else result)
            return out

        return run

    def _own(self, a: np.ndarray | None, *, copy: bool) -> Any:
        if a is None:
            return None
        if self.device == "cpu":
            return a.copy() if copy else a
        return devices.to_device(a, self.device)

    def results(self, work: Work, raw: Any) -> Results:
        tuples = [r if isinstance(r, tuple) else (r,) for r in raw]
        return [tuple(devices.to_host(a) if devices.is_array(a) else a for a in r) for r in tuples]

    def note(self, work: Work) -> str:
        others = {c.op: i.name for c, i in zip(work.calls, self.implementations(work), strict=True)}
        lent = [f"{op} by {name}" for op, name in others.items() if name != self.name]
        return ", ".join(lent)


class LayoutCopy:
    """Copies the problem's pictures into the other memory order: what a kernel pays that wants them so."""

    kind = "layout"

    def __init__(self, device: str) -> None:
        self.device, self.name = device, "layout copy"

    @staticmethod
    def picture(work: Work) -> np.ndarray | None:
        """The first array of four dimensions that is no weight and that the two orders lay out differently."""
        for name, a in work.arrays.items():
            if a is not None and a.ndim == 4 and name != "w" and min(a.shape[1], a.shape[2] * a.shape[3]) > 1:
                return a
        return None

    def prepare(self, work: Work) -> Callable[[], Any]:
        picture = self.picture(work)
        assert picture is not None
        array = devices.to_device(picture, self.device)
        xp = devices.array_module(array)
        # The result is the picture again, in the other order.
        if work.layout == "nhwc":
            return lambda: xp.ascontiguousarray(array)
        return lambda: xp.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)

    def results(self, work: Work, raw: Any) -> Results:
        return [(devices.to_host(raw),)]

    def note(self, work: Work) -> str:
        there = "NHWC to NCHW" if work.layout == "nhwc" else "NCHW to NHWC"
        return f"{self.picture(work).shape} from {there}"  # type: ignore[union-attr]


def kernels_for(op: str, device: str, wanted: str | None) -> list[Contestant]:
    """The kernels to time on `op`: those named in `wanted` (`NAME` or `OP=NAME`, several), or all but the loops."""
    there = [i for i in registry.implementations(op) if i.device == device]
    if wanted is None:
        names = [i.name for i in there if i.missing() is None and i.name != "reference"]
        return [Kernel(name, device) for name in names]
    registry.parse_kernels(wanted)
    parts = [p.strip().rpartition("=") for p in wanted.split(",") if p.strip()]
    asked = [name.strip() for of, _, name in parts if of.strip() in ("", op)]
    return [Kernel(name, device) for name in dict.fromkeys(asked) if any(i.name == name for i in there)]
