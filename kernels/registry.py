"""Operation -> implementations: who there is, who is asked for, who serves.

An implementation is named by the operation it serves, its own name and its device. Its function is a
callable or a `"module:function"` string that is imported at the first call, so listing costs nothing.
Asked for by name (`use`) an implementation serves everything or says why not; otherwise the choice goes
down `AUTOMATIC` and depends on device, dtype and shapes alone, so that equal runs have equal bits.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

log = logging.getLogger("kernels")

OPERATIONS = (
    "conv2d",
    "conv2d_grad_input",
    "conv2d_grad_weight",
    "batch_norm",
    "batch_norm_grad",
    "batch_norm_inference",
    "matmul",
    "adam_step",
)
AUTOMATIC = {"cpu": ("numba", "blas"), "cuda": ("blas",)}
"""Per device, the implementations tried in this order when none is asked for."""

FLOATS = ("float32", "float64")


class KernelError(ValueError):
    """A kernel was asked for that is not there or cannot do this; the message is one line."""


@dataclass(frozen=True)
class Spec:
    """What is to be computed, without the numbers: all that a choice may depend on.

    `shapes` holds the shape of each array argument by its name, `settings` the other arguments.
    """

    op: str
    device: str
    dtype: np.dtype
    shapes: Mapping[str, tuple[int, ...]]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        shapes = ", ".join(f"{name} {shape}" for name, shape in self.shapes.items())
        return f"{self.op} of {shapes} in {self.dtype} on {self.device}"


def _always(spec: Spec) -> bool:
    return True


@dataclass(frozen=True)
class Implementation:
    """One way to compute an operation, with its limits."""

    op: str
    name: str
    device: str
    target: str | Callable[..., Any]
    dtypes: tuple[str, ...] | None
    supports: Callable[[Spec], bool]
    worthwhile: Callable[[Spec], bool]
    requires: tuple[str, ...]
    builtin: bool = False

    def missing(self) -> str | None:
        """The first library this needs that is not installed; nothing is imported to find out."""
        return next((m for m in self.requires if importlib.util.find_spec(m) is None), None)

    def objection(self, spec: Spec) -> str | None:
        """Why this cannot compute `spec`, or `None` if it can."""
        if self.device != spec.device:
            return f"it runs on {self.device}, the arrays are on {spec.device}"
        if self.dtypes is not None and spec.dtype.name not in self.dtypes:
            return f"it takes {' or '.join(self.dtypes)}, not {spec.dtype}"
        if (module := self.missing()) is not None:
            return f"it needs {module}, which is not installed"
        return None if self.supports(spec) else "its supports() turns this down"

    def function(self) -> Callable[..., Any]:
        """The function itself; a `"module:function"` string is imported now."""
        if callable(self.target):
            return self.target
        module, _, name = self.target.partition(":")
        return getattr(importlib.import_module(module), name)


_table: dict[tuple[str, str, str], Implementation] = {}
_asked: dict[str, str] = {}
_resolved: dict[tuple, tuple[str, Callable[..., Any]]] = {}
_served: dict[str, Counter[str]] = {op: Counter() for op in OPERATIONS}
_told: set[str] = set()


def check_operation(op: str) -> None:
    """Raise `KernelError` unless `op` is one of `OPERATIONS`."""
    if op not in OPERATIONS:
        raise KernelError(f"no operation {op!r}: there are {', '.join(OPERATIONS)}")


def _add(implementation: Implementation) -> None:
    check_operation(implementation.op)
    key = (implementation.op, implementation.name, implementation.device)
    if key in _table and _table[key].builtin and not implementation.builtin:
        raise KernelError(
            f"{implementation.op} has a built-in implementation {implementation.name!r} on "
            f"{implementation.device}: register yours under another name"
        )
    _table[key] = implementation
    _resolved.clear()


def register(
    op: str,
    *,
    name: str,
    device: str = "cpu",
    dtypes: Iterable[str] | None = FLOATS,
    supports: Callable[[Spec], bool] = _always,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: make a function of raw arrays an implementation of `op` called `name`.

    The function has the arguments of `kernels.<op>`, gets stride and padding as pairs, writes to no
    argument (`adam_step` aside) and returns new arrays of the same dtype, in any strides. It serves once
    `use` asks for it. `supports(spec)` states its limits; `dtypes=None` takes every dtype.
    Registering the same name again replaces it; the names of built-in implementations are taken.
    """

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        kinds = None if dtypes is None else tuple(np.dtype(d).name for d in dtypes)
        _add(Implementation(op, name, device, function, kinds, supports, _always, ()))
        return function

    return add


def register_builtin(
    op: str,
    name: str,
    device: str,
    target: str,
    *,
    dtypes: tuple[str, ...] | None = FLOATS,
    supports: Callable[[Spec], bool] = _always,
    worthwhile: Callable[[Spec], bool] = _always,
    requires: tuple[str, ...] = (),
) -> None:
    """Enter one of the package's own implementations.

    `worthwhile(spec)` keeps the automatic choice from it where it would not pay; by name it serves all.
    """
    _add(Implementation(op, name, device, target, dtypes, supports, worthwhile, requires, builtin=True))


def implementations(op: str | None = None) -> list[Implementation]:
    """All implementations, or those of one operation, in the order they were registered."""
    return [i for i in _table.values() if op is None or i.op == op]


def _names(op: str) -> list[str]:
    return list(dict.fromkeys(i.name for i in implementations(op)))


def _operations_of(name: str) -> list[str]:
    ops = [op for op in OPERATIONS if name in _names(op)]
    if not ops:
        known = ", ".join(dict.fromkeys(i.name for i in _table.values()))
        raise KernelError(f"no kernel is called {name!r}: there are {known}")
    return ops


class use:
    """Ask for implementations by name, for good (`use(conv2d="mine")`) or in a `with` block.

    `use("mine")` asks for `mine` in all operations that it has and leaves the others alone;
    `use(conv2d=None)` goes back to the automatic choice. Raises `KernelError` for an unknown name.
    """

    def __init__(self, everything: str | None = None, /, **names: str | None) -> None:
        wanted: dict[str, str | None] = {}
        if everything is not None:
            wanted.update(dict.fromkeys(_operations_of(everything), everything))
        wanted.update(names)
        for op, name in wanted.items():
            check_operation(op)
            if name is not None and name not in _names(op):
                raise KernelError(f"{op} has no kernel {name!r}: there are {', '.join(_names(op))}")
        self._before = {op: _asked.get(op) for op in wanted}
        _ask(wanted)

    def __enter__(self) -> use:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _ask(self._before)


def _ask(wanted: Mapping[str, str | None]) -> None:
    for op, name in wanted.items():
        if name is None:
            _asked.pop(op, None)
        else:
            _asked[op] = name
    _resolved.clear()


def parse_kernels(text: str) -> dict[str, str]:
    """`"conv2d=mine,matmul=blas"` or `"mine"` (every operation it has) as arguments for `use`."""
    wanted: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        op, equals, name = (p.strip() for p in part.partition("="))
        if not equals:
            wanted.update(dict.fromkeys(_operations_of(op), op))
            continue
        check_operation(op)
        if name not in _names(op):
            raise KernelError(f"{op} has no kernel {name!r}: there are {', '.join(_names(op))}")
        wanted[op] = name
    if not wanted:
        raise KernelError(f"kernels {text!r} names nothing: write OP=NAME,OP=NAME or NAME")
    return wanted


def load_kernel_file(path: str | Path) -> dict[str, str]:
    """Run a Python file that registers kernels; operation -> name of what it registered.

    Nothing is asked for yet: `use(**load_kernel_file(path))` does that. Raises `KernelError` for a file
    that is missing, fails or registers nothing.
    """
    path = Path(path)
    if not path.is_file():
        raise KernelError(f"kernel file {path}: no such file")
    before = dict(_table)
    module_name = f"kernel_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise KernelError(f"kernel file {path}: not a Python file (its name must end in .py)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        sys.modules.pop(module_name, None)
        raise KernelError(f"kernel file {path}: {type(error).__name__}: {error}") from error
    new = {op: name for (op, name, _), i in _table.items() if before.get((op, name, i.device)) is not i}
    if not new:
        raise KernelError(f"kernel file {path}: registers nothing (decorate with @kernels.register(op, name=…))")
    return new


def _by_name(spec: Spec, name: str) -> Implementation:
    implementation = _table.get((spec.op, name, spec.device))
    if implementation is None:
        devices = [i.device for i in implementations(spec.op) if i.name == name]
        raise KernelError(f"{spec.op}: kernel {name!r} runs on {', '.join(devices)}, the arrays are on {spec.device}")
    if (why := implementation.objection(spec)) is not None:
        raise KernelError(f"kernel {name!r} cannot do {spec}: {why}")
    return implementation


def _tell(line: str) -> None:
    if line not in _told:
        _told.add(line)
        log.info(line)


def _automatic(spec: Spec) -> Implementation:
    for name in AUTOMATIC.get(spec.device, ()):
        implementation = _table.get((spec.op, name, spec.device))
        if implementation is None:
            continue
        if (why := implementation.objection(spec)) is not None:
            _tell(f"{spec.op}: kernel {name!r} passed over: {why}")
        elif implementation.worthwhile(spec):
            return implementation
    raise KernelError(f"no kernel can do {spec}")


def choose(spec: Spec) -> Implementation:
    """The implementation that serves `spec`. Raises `KernelError` if the one asked for cannot."""
    asked = _asked.get(spec.op)
    return _automatic(spec) if asked is None else _by_name(spec, asked)


def resolve(key: tuple, spec: Callable[[], Spec]) -> Callable[..., Any]:
    """The function that serves the call `key` stands for; `spec` is asked for only the first time."""
    found = _resolved.get(key)
    if found is None:
        implementation = choose(spec())
        found = _resolved[key] = (implementation.name, implementation.function())
    _served[key[0]][found[0]] += 1
    return found[1]


def chosen(device: str = "cpu") -> dict[str, str]:
    """Operation -> the name asked for, or the first automatic choice that is installed."""
    return {op: _asked.get(op) or _first_installed(op, device) for op in OPERATIONS}


def _first_installed(op: str, device: str) -> str:
    found = (_table.get((op, name, device)) for name in AUTOMATIC.get(device, ()))
    return next((i.name for i in found if i is not None and i.missing() is None), "none")


def served() -> dict[str, dict[str, int]]:
    """Operation -> calls by name of the implementation, since the process began."""
    return {op: dict(counts) for op, counts in _served.items() if counts}
