"""Modules: parameters and buffers by name, in the order they were assigned, as PyTorch has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Self, cast

import numpy as np

from minigrad.tape import no_grad
from minigrad.tensor import Tensor

_STATE = ("_parameters", "_buffers")


class Parameter(Tensor):
    """A tensor that a `Module` trains: assigned as an attribute it appears in `parameters()`."""

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        """Wrap `data` (a raw array, or a tensor whose array is shared)."""
        super().__init__(data.data if isinstance(data, Tensor) else data, requires_grad)


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` did not find in the state, and what it found too much."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """A function with parameters. Subclasses write `forward`; a call runs it.

    Assigning a `Parameter` or a `Module` as an attribute registers it under the attribute's name;
    `register_buffer` does so for state that is kept but not trained. Every walk over them goes in the
    order of registration, a module's own before its children's, so it is the same in every process.
    """

    training: bool

    def __init__(self) -> None:
        for name in ("_parameters", "_buffers", "_modules", "_pre_hooks"):
            object.__setattr__(self, name, {})
        self.training = True

    # -- attributes ----------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if "_modules" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__}: call super().__init__() before assigning {name!r}")
        registries = self._registries()
        if isinstance(value, Parameter):
            self._register(self._parameters, name, value)
        elif isinstance(value, Module):
            self._register(self._modules, name, value)
        elif (known := next((r for r in registries if name in r), None)) is not None:
            if value is not None and not (known is self._buffers and isinstance(value, Tensor)):
                raise TypeError(
                    f"{type(self).__name__}.{name} is registered: assign its own kind or None, "
                    f"not {type(value).__name__}"
                )
            known[name] = value
        else:
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:  # only called where ordinary look-up found nothing
        if "_modules" in self.__dict__:
            for registry in self._registries():
                if name in registry:
                    return registry[name]
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        for registry in self._registries():
            if name in registry:
                del registry[name]
                return
        object.__delattr__(self, name)

    def _registries(self) -> tuple[dict[str, Any], ...]:
        return self._parameters, self._buffers, self._modules

    def _register(self, registry: dict[str, Any], name: str, value: Any) -> None:
        if "." in name:
            raise ValueError(f"{type(self).__name__}: the name {name!r} may not contain a dot")
        for other in self._registries():
            if other is not registry:
                other.pop(name, None)
        self.__dict__.pop(name, None)
        registry[name] = value

    def register_parameter(self, name: str, value: Parameter | None) -> None:
        """Register a parameter; `None` keeps the name with no value (a layer without bias)."""
        self._register(self._parameters, name, value)

    def register_buffer(self, name: str, value: Tensor | None) -> None:
        """Register state that is saved but not trained, such as running statistics."""
        self._register(self._buffers, name, value)

    def add_module(self, name: str, module: Module) -> None:
        """Register a child under any name without a dot, a number for instance."""
        self._register(self._modules, name, module)

    # -- calling -------------------------------------------------------------------------------------

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; written by subclasses."""
        raise NotImplementedError(f"{type(self).__name__} has no forward()")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for hook in self._pre_hooks.values():
            hook(self)
        return self.forward(*args, **kwargs)

    # -- walking -------------------------------------------------------------------------------------

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, each once, parents first."""
        seen: set[int] = set()
        for name, module in self._walk(prefix):
            if id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def modules(self) -> Iterator[Module]:
        """`named_modules` without the names."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules one level below."""
        return ((name, child) for name, child in self._modules.items() if child is not None)

    def children(self) -> Iterator[Module]:
        """`named_children` without the names."""
        return (child for _, child in self.named_children())

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Every parameter with its dotted name; a shared one once, under its first name."""
        return cast("Iterator[tuple[str, Parameter]]", _unique(self._named(("_parameters",), prefix)))

    def parameters(self) -> Iterator[Parameter]:
        """`named_parameters` without the names."""
        return (value for _, value in self.named_parameters())

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """Every buffer with its dotted name; a shared one once, under its first name."""
        return _unique(self._named(("_buffers",), prefix))

    def buffers(self) -> Iterator[Tensor]:
        """`named_buffers` without the names."""
        return (value for _, value in self.named_buffers())

    def _walk(self, prefix: str) -> Iterator[tuple[str, Module]]:
        yield prefix, self
        for name, child in self.named_children():
            yield from child._walk(_join(prefix, name))

    def _named(self, kinds: tuple[str, ...], prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        for path, module in self._walk(prefix):
            for kind in kinds:
                for name, value in getattr(module, kind).items():
                    if value is not None:
                        yield _join(path, name), value

    # -- modes ---------------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Training mode: batch-norm uses the batch's statistics, dropout drops."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Evaluation mode: batch-norm uses running statistics, dropout passes everything."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Record operations on every parameter, or on none."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self) -> None:
        """Forget every parameter's gradient."""
        for parameter in self.parameters():
            parameter.grad = None

    def apply(self, fn: Callable[[Module], object]) -> Self:
        """Call `fn` on every module, children first; for initialisation."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def to(self, target: Any) -> Self:
        """Move everything to a device (`"cpu"`, `"cuda"`), or cast floats to a dtype, in place.

        Gradients go along. An optimiser keeps its parameters, but not state made before the move.
        """
        device = target if target in ("cpu", "cuda") else None
        with no_grad():
            for _, value in self._named(_STATE):
                if device is None and not np.issubdtype(value.dtype, np.floating):
                    continue
                value.data = value.detach().to(target).data
                if value.grad is not None:
                    value.grad = value.grad.detach().to(target)
        return self

    # -- state ---------------------------------------------------------------------------------------

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """Every parameter and buffer by PyTorch's name, detached but sharing memory."""
        return {name: value.detach() for name, value in self._named(_STATE, prefix)}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Copy `state_dict` (tensors or arrays by name) into parameters and buffers, in place.

        Nothing is written unless everything fits. With `strict` a missing or unexpected name is an error.

        Raises:
            ValueError: names or shapes do not fit; all misfits are listed.
        """
        own = dict(self._named(_STATE))
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        given = {name: _as_tensor(state_dict[name]) for name in own if name in state_dict}
        faults = [
            f"{name} has shape {value.shape} where {own[name].shape} is expected"
            for name, value in given.items()
            if value.shape != own[name].shape
        ]
        if strict:
            faults += [f"missing: {', '.join(missing)}"] if missing else []
            faults += [f"unexpected: {', '.join(unexpected)}"] if unexpected else []
        if faults:
            raise ValueError(f"state does not fit {type(self).__name__}: {'; '.join(faults)}")
        with no_grad():
            for name, value in given.items():
                own[name].copy_(value)
        return IncompatibleKeys(missing, unexpected)

    # -- printing ------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """The settings shown between the brackets of `repr`."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = [f"({name}): {repr(child).replace(chr(10), chr(10) + '  ')}"
                 for name, child in self.named_children()]  # fmt: skip
        if not lines:
            return f"{type(self).__name__}({extra})"
        return "\n  ".join([f"{type(self).__name__}({extra}", *lines]) + "\n)"


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _unique(pairs: Iterator[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    seen: set[int] = set()
    for name, value in pairs:
        if id(value) not in seen:
            seen.add(id(value))
            yield name, value


def _as_tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else Tensor(value)
