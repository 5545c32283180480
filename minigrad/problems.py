"""What `gradcheck` checks: tensors' functions and modules, derivatives, plain array functions, in one shape."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from kernels import device
from minigrad import random
from minigrad.sweep import grad
from minigrad.tape import enable_grad, is_grad_enabled, no_grad
from minigrad.tensor import Tensor


class Problem:
    """A function with its backward pass, as `_compare` sees it: named arrays in, flat float64 out."""

    name: str
    names: list[str]
    values: list[Any]
    skipped: list[str]

    def value(self, k: int | None = None, x: Any = None) -> list[Any]:
        """The checked outputs, with input `k` replaced by the array `x`."""
        raise NotImplementedError

    def pull(self, cotangents: list[Any]) -> list[Any]:
        """The cotangent of each checked input (None: the function has none for it)."""
        raise NotImplementedError


class TensorProblem(Problem):
    def __init__(self, func: Callable[..., Any], inputs: tuple[Any, ...], names: list[str] | None = None) -> None:
        self.func, self.inputs = func, inputs
        self.parameters = {
            name: p for name, p in getattr(func, "named_parameters", tuple)() if p.requires_grad and floating(p)
        }
        self.checked = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad and floating(x)]
        labels = names or _argument_names(func, len(inputs))
        self.skipped = [
            f"{labels[i]} ({_why_not(x)})"
            for i, x in enumerate(inputs)
            if hasattr(x, "dtype") and i not in self.checked
        ]
        self.names = [labels[i] for i in self.checked] + [f"parameter {name}" for name in self.parameters]
        # New leaves: a tensor that stands twice among the inputs is two arguments, and no caller's graph is entered.
        self.leaves = {i: Tensor(inputs[i].data, requires_grad=True) for i in self.checked}
        self.values = [inputs[i].data for i in self.checked] + [p.data for p in self.parameters.values()]
        if not self.names:
            raise ValueError("gradcheck: no input requires a gradient: pass floating tensors with requires_grad=True")
        self.name = getattr(func, "__name__", type(func).__name__)
        self.chosen: list[int] | None = None
        self.recorded: list[Tensor] = []
        self.seed = random.get_state()
        self.buffers = {name: (b.data, b.data.copy()) for name, b in getattr(func, "named_buffers", tuple)()}

    def _reset(self) -> None:
        random.set_state(self.seed)
        for name, b in getattr(self.func, "named_buffers", tuple)():
            b.data = self.buffers[name][1].copy()

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Leave buffers and random state as they were found."""
        try:
            yield
        finally:
            random.set_state(self.seed)
            for name, b in getattr(self.func, "named_buffers", tuple)():
                b.data, saved = self.buffers[name]
                b.data[...] = saved

    def _call(self, replaced: dict[int, Tensor]) -> tuple[Any, ...]:
        self._reset()
        return as_tuple(self.func(*(replaced.get(i, x) for i, x in enumerate(self.inputs))))

    def outputs(self) -> list[Tensor]:
        """The recorded outputs to be checked; the first call finds out which those are."""
        if not self.recorded:
            with enable_grad():
                results = self._call(self.leaves)
            self.chosen = [
                i for i, y in enumerate(results) if isinstance(y, Tensor) and y.requires_grad and floating(y)
            ]
            self.skipped += [f"output {i} ({_why_not(y)})" for i, y in enumerate(results) if i not in self.chosen]
            if not self.chosen:
                raise ValueError(f"gradcheck: no output of {self.name} requires a gradient: nothing to check")
            self.recorded = [results[i] for i in self.chosen]
            if self.name == "<lambda>" and (node := self.recorded[0].node) is not None:
                self.name = node.name
        return self.recorded

    def value(self, k: int | None = None, x: Any = None) -> list[Any]:
        self.outputs()
        replaced = dict(self.leaves)
        parameter = None
        if k is not None and k < len(self.checked):
            replaced[self.checked[k]] = Tensor(x)
        elif k is not None:
            parameter = list(self.parameters.values())[k - len(self.checked)]
            kept, parameter.data = parameter.data, x
        try:
            with no_grad():
                results = self._call(replaced)
        finally:
            if parameter is not None:
                parameter.data = kept
        return [results[i].data for i in self.chosen or ()]

    def pull(self, cotangents: list[Any]) -> list[Any]:
        outputs = self.outputs()
        wanted = [*self.leaves.values(), *self.parameters.values()]
        seeds = [Tensor(u) for u in cotangents]
        found = grad(outputs, wanted, seeds, retain_graph=True, allow_unused=True)
        return [None if g is None else g.data for g in found]


class FirstDerivative:
    """(inputs, cotangents) -> the gradients of `func`, itself a function that can be checked."""

    def __init__(self, func: Callable[..., Any], problem: TensorProblem, inputs: tuple[Any, ...]) -> None:
        self.func, self.problem, self.count = func, problem, len(inputs)
        self.named_parameters = getattr(func, "named_parameters", tuple)
        self.named_buffers = getattr(func, "named_buffers", tuple)

    def names(self, cotangents: int) -> list[str]:
        return _argument_names(self.func, self.count) + [f"grad_output {i}" for i in range(cotangents)]

    def __call__(self, *args: Any) -> tuple[Tensor, ...]:
        recording = is_grad_enabled()
        inputs, cotangents = list(args[: self.count]), args[self.count :]
        for i in self.problem.checked:
            if not inputs[i].requires_grad:
                inputs[i] = Tensor(inputs[i].data, requires_grad=True)
        with enable_grad():
            results = as_tuple(self.func(*inputs))
            outputs = [results[i] for i in self.problem.chosen or ()]
            wanted = [inputs[i] for i in self.problem.checked] + list(self.problem.parameters.values())
            found = grad(outputs, wanted, list(cotangents), create_graph=recording, allow_unused=True)
        return tuple(g for g in found if g is not None)


class ArrayProblem(Problem):
    def __init__(self, f: Callable[..., Any], vjp: Callable[..., Any], args: Sequence[Any]) -> None:
        self.f, self.vjp, self.args = f, vjp, list(args)
        self.checked = [i for i, x in enumerate(args) if device.is_array(x) and floating(x)]
        if not self.checked:
            raise ValueError("check_vjp: no argument is a floating array: nothing to check")
        labels = _argument_names(f, len(args))
        self.name = getattr(f, "__name__", type(f).__name__)
        self.names = [labels[i] for i in self.checked]
        self.values = [args[i] for i in self.checked]
        self.skipped = [
            f"{labels[i]} ({_why_not(x)})" for i, x in enumerate(args) if device.is_array(x) and i not in self.checked
        ]

    def value(self, k: int | None = None, x: Any = None) -> list[Any]:
        args = list(self.args)
        if k is not None:
            args[self.checked[k]] = x
        results = self.f(*args)
        return [y if device.is_array(y) else np.asarray(y) for y in as_tuple(results)]

    def pull(self, cotangents: list[Any]) -> list[Any]:
        found = list(as_tuple(self.vjp(cotangents[0] if len(cotangents) == 1 else tuple(cotangents), *self.args)))
        if len(found) == len(self.args):
            found = [found[i] for i in self.checked]
        elif len(found) != len(self.checked):
            raise ValueError(
                f"vjp returned {len(found)} cotangents: one for each of the {len(self.args)} arguments, "
                f"or for each of the {len(self.checked)} floating ones, would be right"
            )
        return found


def as_tuple(x: Any) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, tuple | list) else (x,)


def floating(x: Any) -> bool:
    return np.issubdtype(x.dtype, np.floating)


def like(values: np.ndarray, model: Any) -> Any:
    """The host `values` as an array of the dtype and device of `model`, an array or tensor."""
    raw = model.data if isinstance(model, Tensor) else model
    return device.asarray(np.asarray(values, dtype=raw.dtype), device.device_of(raw))


def _why_not(x: Any) -> str:
    if not hasattr(x, "dtype"):
        return f"a {type(x).__name__}, not a tensor"
    return "detached" if floating(x) else f"of dtype {x.dtype}"


def _argument_names(func: Callable[..., Any], count: int) -> list[str]:
    known: list[str] = []
    with suppress(TypeError, ValueError):  # some builtins have no signature
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        known = [p.name for p in inspect.signature(func).parameters.values() if p.kind in kinds]
    return [f"input {i} ({known[i]})" if i < len(known) else f"input {i}" for i in range(count)]
