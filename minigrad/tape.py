"""The tape: variables, rules, and the sweep that differentiates what they recorded.

A *rule* (`Primitive`) is a function on raw arrays with one vector-Jacobian product beside it for each array
argument. Calling a rule on variables that want gradients leaves a `Node` behind; the sweep walks the nodes
from last to first and asks each rule for its products. The products are written in differentiable functions
themselves, so that a sweep which records (`create_graph=True`) can be differentiated again, to any order.
"""

from __future__ import annotations

import inspect
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np

from kernels import device
from kernels.device import Array
from minigrad import dtypes
from minigrad.dtypes import result_type


class GradientError(RuntimeError):
    """The graph was used in a way that has no derivative: the message says which rule and why."""


class Version:
    """How often an array was written to, and by whom; shared by a tensor, its views and `detach`."""

    __slots__ = ("count", "writer")

    def __init__(self) -> None:
        self.count, self.writer = 0, ""


class Variable:
    """An array the tape knows: `data`, whether it wants a gradient, and the node it came from.

    `Tensor` is its one concrete class and adds every operation.
    """

    __slots__ = ("__weakref__", "_version", "data", "grad", "index", "node", "requires_grad")
    concrete: type[Any]

    def __init__(self, data: Array, requires_grad: bool = False) -> None:
        if requires_grad and data.dtype.kind != "f":
            raise TypeError(f"only floating point tensors can require gradients, not {data.dtype}")
        self.data = data
        self.requires_grad = requires_grad
        self.grad: Any = None
        self.node: Node | None = None
        self.index = 0
        self._version = Version()

    def __init_subclass__(cls) -> None:
        if not hasattr(Variable, "concrete"):
            Variable.concrete = cls

    def written(self, writer: str) -> None:
        """Record an in-place write to `data` by the operation named `writer`."""
        self._version.count += 1
        self._version.writer = writer


class State(threading.local):
    """What a thread is at: whether it records, and the node a sweep is differentiating."""

    recording = True
    visiting: Node | None = None


state = State()
_serial = itertools.count()
observers: list[Any] = []
"""Objects whose `forward(rule, inputs, outputs, seconds)` and `backward(rule, cotangents, results, seconds)`
are called with raw arrays after each rule; see `hooks.py`."""


def is_grad_enabled() -> bool:
    """Whether rules record at present, in this thread."""
    return state.recording


@contextmanager
def recording(on: bool) -> Iterator[None]:
    before, state.recording = state.recording, on
    try:
        yield
    finally:
        state.recording = before


def no_grad() -> Any:
    """Context (or decorator) in which nothing is recorded, in this thread alone."""
    return recording(False)


def enable_grad() -> Any:
    """Context (or decorator) in which rules record again."""
    return recording(True)


def as_array(value: Any) -> Array:
    """The raw array of a variable, an array, or data of any kind."""
    return value.data if isinstance(value, Variable) else dtypes.as_array(value)


def _raw(value: Any) -> Any:
    """The raw array of an argument; a Python number or `None` stays what it is."""
    if isinstance(value, Variable):
        return value.data
    if value is None or device.is_array(value):
        return value
    if isinstance(value, np.generic):
        value = value.item()
    return value if type(value) in dtypes.PYTHON else as_array(value)


def _number(value: bool | int | float, xp: Any) -> Array:
    """A Python number as a 0-d array of the module `xp`."""
    return device.asarray(np.asarray(value, dtypes.PYTHON[type(value)]), "cpu" if xp is np else "cuda")


# ---- rules ------------------------------------------------------------------------------------------------

TABLE: dict[str, Primitive] = {}
"""Every rule by its name: the engine's own, and whatever a user adds."""


class Primitive:
    """A function on raw arrays, and how it is differentiated. Made by `primitive`."""

    def __init__(self, forward: Callable, *, name: str | None, outputs: tuple[str, ...], saves: tuple[str, ...],
                 constant: tuple[str, ...], plain: Callable | None, samples: Callable | None,
                 promotes: str | None, view: bool) -> None:  # fmt: skip
        self.forward, self.name = forward, name or forward.__name__
        self.outputs, self.saves, self.constant = outputs, saves, constant
        self.plain, self.samples, self.promotes, self.view = plain, samples, promotes, view
        parameters = list(inspect.signature(forward).parameters.values())
        self.variadic = parameters[0].kind is inspect.Parameter.VAR_POSITIONAL
        self._parameters = {p.name: p.default for p in parameters}
        self.arrays: tuple[str, ...] = tuple(self._parameters)[:1]
        self.vjps: list[Callable | None] = []
        self.joint: Callable | None = None
        self._keep: frozenset[str] = frozenset()
        self.__name__ = self.__qualname__ = self.name
        self.__doc__, self.__wrapped__, self.__module__ = forward.__doc__, forward, forward.__module__
        TABLE[self.name] = self
        self._count(1 if plain is None else _positional(plain))

    def _count(self, n: int) -> None:
        self.arrays = tuple(self._parameters)[:n]
        self._defaults = {k: v for k, v in list(self._parameters.items())[n:] if v is not inspect.Parameter.empty}
        self._settings = tuple(self._parameters)[n:]

    def __repr__(self) -> str:
        return f"<rule {self.name}>"

    def defvjp(self, *vjps: Callable | None, joint: Callable | None = None) -> None:
        """State the vector-Jacobian products: one for each array argument, `None` where there is none.

        What a product needs is said by the names of its parameters, and nothing else is kept: `g` the
        cotangent (a tuple where `outputs` has several), `out` or a name in `outputs`, an argument or a
        setting by name, a name in `saves`, `shapes` of the arguments; `i` the argument's number where
        their number varies. `joint` computes all at once and also may ask for `needs`, a boolean an argument.
        """
        if vjps and not self.variadic:
            self._count(len(vjps))
        known = {"g", "out", "shapes", "i", "needs", *self.outputs, *self.saves, *self._parameters}
        wanted = [set(names_of(f)) for f in (*vjps, joint) if f is not None]
        for names in wanted:
            if names - known:
                raise TypeError(f"rule {self.name}: no value is called {sorted(names - known)}; known: {sorted(known)}")
        self.vjps, self.joint = list(vjps), joint
        self._keep = frozenset().union(*wanted) if wanted else frozenset()

    def _bind(self, args: tuple, kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        n = len(args) if self.variadic else len(self.arrays)
        arrays, settings = list(args[:n]), dict(self._defaults)
        settings.update(zip(self._settings, args[n:], strict=False))
        for key, value in kwargs.items():
            if key in self._settings:
                settings[key] = value
            elif key in self.arrays and self.arrays.index(key) >= len(arrays):
                at = self.arrays.index(key)
                arrays.extend([None] * (at + 1 - len(arrays)))
                arrays[at] = value
            else:
                raise TypeError(f"{self.name}: unexpected argument {key!r}")
        if len(args) > len(self._parameters) and not self.variadic:
            raise TypeError(f"{self.name}: {len(args)} arguments, at most {len(self._parameters)} are taken")
        for name in self.arrays[len(arrays) :]:
            if self._parameters[name] is inspect.Parameter.empty:
                raise TypeError(f"{self.name}: argument {name!r} is missing")
            arrays.append(self._parameters[name])
        return arrays, settings

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        arguments, settings = self._bind(args, kwargs)
        raws = [_raw(a) for a in arguments]
        xp = device.array_module(*raws)
        if self.promotes is not None:
            raws = self._promoted(raws, xp)
        else:
            raws = [_number(a, xp) if type(a) in dtypes.PYTHON else a for a in raws]
        start = time.perf_counter()
        try:
            with np.errstate(all="ignore"):  # infinities are values; `detect_anomaly` says where they begin
                result = self.forward(*raws, **settings)
        except (ValueError, TypeError, IndexError) as error:
            given = ", ".join(f"{a.dtype} {a.shape}" if hasattr(a, "shape") else repr(a) for a in raws)
            kind = next(k for k in (ValueError, TypeError, IndexError) if isinstance(error, k))
            raise kind(f"{self.name}({given}): {error}") from None
        results = result if self.outputs or self.saves else (result,)
        n_out = len(self.outputs) or 1
        datas = [y if device.is_array(y) else xp.asarray(y) for y in results[:n_out]]
        for observer in observers:
            observer.forward(self.name, raws, datas, time.perf_counter() - start)
        outs = [Variable.concrete(data) for data in datas]
        if self.view and isinstance(arguments[0], Variable) and xp.may_share_memory(outs[0].data, raws[0]):
            outs[0]._version = arguments[0]._version
        if state.recording:
            self._record(arguments, raws, settings, outs, results[n_out:])
        return tuple(outs) if self.outputs else outs[0]

    def _promoted(self, raws: list[Any], xp: Any) -> list[Any]:
        first, rest = ([], raws) if self.promotes != "rest" else (raws[:1], raws[1:])
        if not any(device.is_array(a) for a in rest):
            rest = [_number(a, xp) for a in rest]
        dtype = result_type(*rest)
        if self.promotes == "float" and dtype.kind != "f":
            dtype = np.dtype(np.float32)
        return first + [a.astype(dtype) if device.is_array(a) and a.dtype != dtype else a for a in rest]

    def _record(self, arguments: list[Any], raws: list[Any], settings: dict[str, Any],
                outs: list[Any], saved: Sequence[Any]) -> None:  # fmt: skip
        whole = self.joint is not None or self.plain is not None
        wanted = [
            isinstance(a, Variable) and a.requires_grad and (whole or self._vjp(i) is not None)
            for i, a in enumerate(arguments)
        ]
        if not any(wanted):
            return
        node = Node(self, arguments, raws, wanted, settings, outs, saved)
        for k, out in enumerate(outs):
            if out.data.dtype.kind == "f" and (not self.outputs or self.outputs[k] not in self.constant):
                out.requires_grad, out.node, out.index = True, node, k

    def _vjp(self, i: int) -> Callable | None:
        if self.variadic:
            return self.vjps[0]
        return self.vjps[i] if i < len(self.vjps) else None


def _positional(f: Callable) -> int:
    kinds = [p.kind for p in inspect.signature(f).parameters.values()]
    return len(kinds) - kinds.count(inspect.Parameter.KEYWORD_ONLY)


@lru_cache(maxsize=1024)
def names_of(f: Callable) -> tuple[str, ...]:
    return tuple(inspect.signature(f).parameters)


def primitive(
    forward: Callable | None = None, *, name: str | None = None, outputs: tuple[str, ...] = (),
    saves: tuple[str, ...] = (), constant: tuple[str, ...] = (), plain: Callable | None = None,
    samples: Callable | None = None, promotes: str | None = None, view: bool = False,
) -> Any:  # fmt: skip
    """Make a rule of a function on raw arrays; then say its derivatives with `.defvjp(...)`.

    outputs   names of several results; `constant` names those which carry no derivative
    saves     names of values which the function returns after its results, for the products alone
    plain     the same function in differentiable operations (settings keyword-only): every derivative that
              no product gives, and every one of higher order where the products are `once_differentiable`
    samples   `rng -> [(args, kwargs), …]`, where gradient checks try the rule
    promotes  cast the arguments to their `result_type` first: "same"; to a floating one: "float"; all but
              the first: "rest"
    view      the result may share memory with the first argument
    """
    if forward is None:
        return lambda f: primitive(f, name=name, outputs=outputs, saves=saves, constant=constant, plain=plain,
                                   samples=samples, promotes=promotes, view=view)  # fmt: skip
    return Primitive(forward, name=name, outputs=outputs, saves=saves, constant=constant, plain=plain,
                     samples=samples, promotes=promotes, view=view)  # fmt: skip


def once_differentiable(vjp: Callable) -> Callable:
    """Mark a vector-Jacobian product written on raw arrays: it takes and gives them, and records nothing."""
    vjp.raw = True  # type: ignore[attr-defined]
    return vjp


@contextmanager
def override_vjp(name: str, *vjps: Callable | None, joint: Callable | None = None) -> Iterator[Primitive]:
    """Within the context the rule `name` has other products: to see what breaks, and that a check sees it."""
    if name not in TABLE:
        raise KeyError(f"no rule is called {name!r}")
    rule = TABLE[name]
    before, keep = (rule.vjps, rule.joint), rule._keep
    try:
        rule.defvjp(*vjps, joint=joint)
        yield rule
    finally:
        (rule.vjps, rule.joint), rule._keep = before, keep


# ---- nodes ------------------------------------------------------------------------------------------------


class Node:
    """One recorded call: its rule, where its arguments came from, and what its products will need.

    It refers to its arguments and never to its results, so a graph dies with its last tensor.
    """

    __slots__ = (
        "__weakref__",
        "edges",
        "outs",
        "rule",
        "saved",
        "serial",
        "settings",
        "shapes",
        "types",
        "versions",
    )

    def __init__(self, rule: Primitive, arguments: list[Any], raws: list[Any], wanted: list[bool],
                 settings: dict[str, Any], outs: list[Any], extra: Sequence[Any]) -> None:  # fmt: skip
        self.rule, self.settings, self.serial = rule, settings, next(_serial)
        self.edges = [slot(a) if w else None for a, w in zip(arguments, wanted, strict=True)]
        self.shapes = tuple(getattr(a, "shape", ()) for a in raws)
        self.types = tuple(getattr(a.data, "dtype", None) if isinstance(a, Variable) else None for a in arguments)
        self.outs = tuple((o.data.shape, o.data.dtype, device.device_of(o.data)) for o in outs)
        self.versions: dict[str, tuple[Version, int]] = {}
        self.saved: dict[str, Any] | None = dict(zip(rule.saves, extra, strict=True))
        named = [(rule.arrays[0], arguments)] if rule.variadic else list(zip(rule.arrays, arguments, strict=True))
        for key, a in named:
            if rule.plain is not None or key in rule._keep:
                self._save(key, a)
        for k, key in enumerate(rule.outputs or ("out",)):
            if key in rule._keep:
                self.saved[key] = (k, outs[k].data)
                self.versions[key] = (outs[k]._version, outs[k]._version.count)

    @property
    def name(self) -> str:
        return self.rule.name

    def _save(self, key: str, a: Any) -> None:
        assert self.saved is not None
        self.saved[key] = a
        if isinstance(a, Variable):
            self.versions[key] = (a._version, a._version.count)

    def memory(self) -> set[int]:
        """The owners of the arrays that were saved."""
        held = [v[1] if isinstance(v, tuple) and len(v) == 2 else v for v in (self.saved or {}).values()]
        return {owner_of(as_array(v)) for v in held if isinstance(v, Variable) or device.is_array(v)}

    def free(self) -> None:
        """Drop what was saved and the way back."""
        self.saved, self.edges, self.versions = None, [], {}

    def value(self, key: str) -> Any:
        """The value a product calls `key`: a tensor for an argument or result, else what was saved."""
        assert self.saved is not None
        if key == "shapes":
            return self.shapes
        if key not in self.saved:
            return self.settings[key]
        if key in self.versions:
            version, count = self.versions[key]
            if version.count != count:
                raise GradientError(
                    f"{self.name} needs {key!r} as it was when computed, but {version.writer} has written to it "
                    f"in place since (version {version.count}, saved at {count})"
                )
        held = self.saved[key]
        if key in self.rule.outputs or key == "out":
            k, data = held
            out = Variable.concrete(data)
            if state.recording:
                out.requires_grad, out.node, out.index = True, self, k
            return out
        if key in self.rule.arrays and not self.rule.variadic:
            return held if isinstance(held, Variable) or not device.is_array(held) else Variable.concrete(held)
        return held


def owner_of(array: Array) -> int:
    """The identity of the object whose memory an array shows."""
    while getattr(array, "base", None) is not None:
        array = array.base
    return id(array)


def slot(v: Variable) -> Any:
    """Where a variable's cotangents add up: the leaf itself, or (its node, which result of it)."""
    return v if v.node is None else (v.node, v.index)


def key_of(at: Any) -> Any:
    """A slot as a dictionary's key."""
    return id(at) if isinstance(at, Variable) else (id(at[0]), at[1])
