"""`Tensor`: an array with a history. Every operation is a method where PyTorch has one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import numpy as np

from kernels import device as devices
from minigrad import sweep
from minigrad.rules import arithmetic as a
from minigrad.rules import elementwise as e
from minigrad.rules import linear as l
from minigrad.rules import reductions as r
from minigrad.rules import shape as s
from minigrad.rules.reductions import Dim
from minigrad.tape import GradientError, Variable, as_array, is_grad_enabled

Operand = Any
"""A tensor, an array or a Python number."""


class Tensor(Variable):
    """An n-dimensional array that remembers how it came about, so that it can be differentiated.

    `Tensor(data)` wraps an array as it is, without a copy; `minigrad.tensor` makes one of any data.
    """

    __slots__ = ()
    __array_ufunc__ = None  # array + tensor is the tensor's business

    @property
    def shape(self) -> tuple[int, ...]:
        """The length along each dimension."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        """The type of an entry; NumPy's."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.data.ndim

    @property
    def size(self) -> int:
        """The number of entries."""
        return self.data.size

    @property
    def device(self) -> str:
        """Where the values are: "cpu" or "cuda"."""
        return devices.device_of(self.data)

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded call made this: what `backward` gives a `.grad`."""
        return self.node is None

    @property
    def T(self) -> Tensor:
        """The dimensions in reverse order."""
        return s.permute(self, tuple(range(self.ndim))[::-1])

    # -- out of the tape ------------------------------------------------------------------------------------

    def numpy(self) -> np.ndarray:
        """The values on the host. A tensor that requires a gradient must be detached first."""
        if self.requires_grad:
            raise GradientError("numpy() on a tensor that requires a gradient would lose it: use .detach().numpy()")
        return devices.to_host(self.data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __dlpack__(self, **request: Any) -> Any:
        """The array for another library, memory shared (DLPack); what it writes there is the caller's risk."""
        if self.requires_grad:
            raise GradientError("DLPack of a tensor that requires a gradient would lose it: give .detach()")
        return self.data.__dlpack__(**request)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.data.__dlpack_device__()

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return devices.to_host(self.data).tolist()

    def item(self) -> float | int | bool:
        """The one value of a tensor of one entry, as a Python number."""
        if self.size != 1:
            raise ValueError(f"item() needs a tensor of one entry, not of shape {self.shape}")
        return devices.to_host(self.data).item()

    def detach(self) -> Tensor:
        """The same memory without the history."""
        out = Tensor(self.data)
        out._version = self._version
        return out

    def clone(self) -> Tensor:
        """A copy, which the gradient passes through."""
        return s.clone(self)

    def to(self, target: Any) -> Tensor:
        """On another device ("cpu", "cuda") or in another dtype; itself if nothing changes."""
        if isinstance(target, str) and target in ("cpu", "cuda"):
            return self if self.device == target else s.transfer(self, target)
        dtype = np.dtype(target)
        return self if self.dtype == dtype else s.cast(self, dtype)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for the gradient of a leaf, or stop asking; returns the tensor. Only floats have one (`TypeError`)."""
        if requires_grad and self.dtype.kind != "f":
            raise TypeError(f"only floating point tensors can require gradients, not {self.dtype}")
        if self.node is not None and not requires_grad:
            raise GradientError("only a leaf can stop to require a gradient: use detach()")
        self.requires_grad = requires_grad
        return self

    def backward(self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
        """Add d self / d leaf to `.grad` of every leaf behind; `gradient` is the cotangent, 1 for a scalar."""
        sweep.backward(self, gradient, retain_graph, create_graph)

    def copy_(self, source: Any) -> Tensor:
        """Write `source`, broadcast and cast, into this tensor's memory."""
        self._writable("copy_")
        self.data[...] = devices.asarray(as_array(source), self.device)
        self.written("copy_")
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        self._writable("__setitem__")
        self.data[s._raw_index(index)] = as_array(value) if isinstance(value, Variable) else value
        self.written("__setitem__")

    def _writable(self, name: str) -> None:
        if self.requires_grad and is_grad_enabled():
            raise GradientError(f"{name} on a tensor that requires a gradient: write under no_grad()")

    # -- Python's protocols ---------------------------------------------------------------------------------

    __hash__ = object.__hash__

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"only an integer tensor can be an index, not {self.dtype}")
        return int(self.item())

    def __repr__(self) -> str:
        values = np.array2string(devices.to_host(self.data), separator=", ", prefix="tensor(", threshold=200)
        notes = [] if self.dtype in (np.float32, np.int64, np.bool_) else [f"dtype={self.dtype}"]
        notes += [] if self.device == "cpu" else [f"device={self.device!r}"]
        notes += [f"from={self.node.name}"] if self.node else ["requires_grad=True"] if self.requires_grad else []
        return f"tensor({', '.join([values, *notes])})"

    def _repr_html_(self) -> str:
        """In a notebook: the values, and below them shape, dtype, device and where the gradient goes."""
        values = escape(np.array2string(devices.to_host(self.data), separator=", ", threshold=200))
        from_rule = f"from {self.node.name}" if self.node else "requires a gradient" if self.requires_grad else ""
        facts = [f"shape {self.shape}", str(self.dtype), self.device, from_rule]
        return f"<pre>{values}</pre><small>{escape(', '.join(filter(None, facts)))}</small>"

    # -- arithmetic -----------------------------------------------------------------------------------------

    def __add__(self, other: Operand) -> Tensor:
        return a.add(self, other)

    def __radd__(self, other: Operand) -> Tensor:
        return a.add(other, self)

    def __sub__(self, other: Operand) -> Tensor:
        return a.sub(self, other)

    def __rsub__(self, other: Operand) -> Tensor:
        return a.sub(other, self)

    def __mul__(self, other: Operand) -> Tensor:
        return a.mul(self, other)

    def __rmul__(self, other: Operand) -> Tensor:
        return a.mul(other, self)

    def __truediv__(self, other: Operand) -> Tensor:
        return a.div(self, other)

    def __rtruediv__(self, other: Operand) -> Tensor:
        return a.div(other, self)

    def __pow__(self, exponent: Operand) -> Tensor:
        return a.square(self) if type(exponent) is int and exponent == 2 else a.pow(self, exponent)

    def __rpow__(self, base: Operand) -> Tensor:
        return a.pow(base, self)

    def __matmul__(self, other: Operand) -> Tensor:
        return l.matmul(self, other)

    def __rmatmul__(self, other: Operand) -> Tensor:
        return l.matmul(other, self)

    def __neg__(self) -> Tensor:
        return a.neg(self)

    def __abs__(self) -> Tensor:
        return a.abs(self)

    def __eq__(self, other: Operand) -> Tensor:  # type: ignore[override]
        return a.eq(self, other)

    def __ne__(self, other: Operand) -> Tensor:  # type: ignore[override]
        return a.ne(self, other)

    def __lt__(self, other: Operand) -> Tensor:
        return a.lt(self, other)

    def __le__(self, other: Operand) -> Tensor:
        return a.le(self, other)

    def __gt__(self, other: Operand) -> Tensor:
        return a.gt(self, other)

    def __ge__(self, other: Operand) -> Tensor:
        return a.ge(self, other)

    def __getitem__(self, index: Any) -> Tensor:
        return s.getitem(self, index)

    # -- the functions as methods ----------------------------------------------------------------------------

    def add(self, other: Operand) -> Tensor:
        return a.add(self, other)

    def sub(self, other: Operand) -> Tensor:
        return a.sub(self, other)

    def mul(self, other: Operand) -> Tensor:
        return a.mul(self, other)

    def div(self, other: Operand) -> Tensor:
        return a.div(self, other)

    def pow(self, exponent: Operand) -> Tensor:
        return self**exponent

    def matmul(self, other: Operand) -> Tensor:
        return l.matmul(self, other)

    def eq(self, other: Operand) -> Tensor:
        return a.eq(self, other)

    def ne(self, other: Operand) -> Tensor:
        return a.ne(self, other)

    def lt(self, other: Operand) -> Tensor:
        return a.lt(self, other)

    def le(self, other: Operand) -> Tensor:
        return a.le(self, other)

    def gt(self, other: Operand) -> Tensor:
        return a.gt(self, other)

    def ge(self, other: Operand) -> Tensor:
        return a.ge(self, other)

    def neg(self) -> Tensor:
        return a.neg(self)

    def abs(self) -> Tensor:
        return a.abs(self)

    def sign(self) -> Tensor:
        return a.sign(self)

    def sqrt(self) -> Tensor:
        return a.sqrt(self)

    def rsqrt(self) -> Tensor:
        return a.rsqrt(self)

    def square(self) -> Tensor:
        return a.square(self)

    def exp(self) -> Tensor:
        return e.exp(self)

    def erf(self) -> Tensor:
        return e.erf(self)

    def expm1(self) -> Tensor:
        return e.expm1(self)

    def log(self) -> Tensor:
        return e.log(self)

    def log1p(self) -> Tensor:
        return e.log1p(self)

    def sin(self) -> Tensor:
        return e.sin(self)

    def cos(self) -> Tensor:
        return e.cos(self)

    def tanh(self) -> Tensor:
        return e.tanh(self)

    def sigmoid(self) -> Tensor:
        return e.sigmoid(self)

    def relu(self) -> Tensor:
        return e.relu(self)

    def clamp(self, min: float | None = None, max: float | None = None) -> Tensor:
        return a.clamp(self, min, max)

    def maximum(self, other: Operand) -> Tensor:
        return a.maximum(self, other)

    def minimum(self, other: Operand) -> Tensor:
        return a.minimum(self, other)

    def where(self, condition: Operand, other: Operand) -> Tensor:
        return a.where(condition, self, other)

    def sum(self, dim: Dim = None, keepdim: bool = False) -> Tensor:
        return r.sum(self, dim, keepdim)

    def mean(self, dim: Dim = None, keepdim: bool = False) -> Tensor:
        return r.mean(self, dim, keepdim)

    def var(
        self, dim: Dim = None, unbiased: bool = True, keepdim: bool = False, *, correction: int | None = None
    ) -> Tensor:
        return r.var(self, dim, unbiased, keepdim, correction=correction)

    def std(
        self, dim: Dim = None, unbiased: bool = True, keepdim: bool = False, *, correction: int | None = None
    ) -> Tensor:
        return r.std(self, dim, unbiased, keepdim, correction=correction)

    def amax(self, dim: Dim = None, keepdim: bool = False) -> Tensor:
        return r.amax(self, dim, keepdim)

    def amin(self, dim: Dim = None, keepdim: bool = False) -> Tensor:
        return r.amin(self, dim, keepdim)

    def any(self, dim: Dim = None, keepdim: bool = False) -> Tensor:
        return r.any(self, dim, keepdim)

    def all(self, dim: Dim = None, keepdim: bool = False) -> Tensor:
        return r.all(self, dim, keepdim)

    def max(self, other: Operand = None) -> Tensor:
        return r.max(self, other)

    def min(self, other: Operand = None) -> Tensor:
        return r.min(self, other)

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        return r.argmax(self, dim, keepdim)

    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        return r.argmin(self, dim, keepdim)

    def argsort(self, dim: int = -1, descending: bool = False) -> Tensor:
        return r.argsort(self, dim, descending)

    def prod(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        return r.prod(self, dim, keepdim)

    def logsumexp(self, dim: Dim, keepdim: bool = False) -> Tensor:
        return r.logsumexp(self, dim, keepdim)

    def cumsum(self, dim: int) -> Tensor:
        return r.cumsum(self, dim)

    def softmax(self, dim: int) -> Tensor:
        return r.softmax(self, dim)

    def log_softmax(self, dim: int) -> Tensor:
        return r.log_softmax(self, dim)

    def reshape(self, *shape: Any) -> Tensor:
        return s.reshape(self, _spread(shape))

    def permute(self, *dims: Any) -> Tensor:
        return s.permute(self, _spread(dims))

    def expand(self, *size: Any) -> Tensor:
        return s.expand(self, _spread(size))

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        return s.transpose(self, dim0, dim1)

    def squeeze(self, dim: int | tuple[int, ...] | None = None) -> Tensor:
        return s.squeeze(self, dim)

    def unsqueeze(self, dim: int) -> Tensor:
        return s.unsqueeze(self, dim)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        return s.flatten(self, start_dim, end_dim)

    def flip(self, *dims: Any) -> Tensor:
        return s.flip(self, _spread(dims))

    def split(self, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
        return s.split(self, split_size, dim)

    def gather(self, dim: int, index: Operand) -> Tensor:
        return s.gather(self, dim, index)


def _spread(arguments: tuple[Any, ...]) -> tuple[int, ...]:
    """f(2, 3) and f((2, 3)) mean the same."""
    one = arguments[0] if len(arguments) == 1 else None
    return tuple(one) if isinstance(one, (tuple, list)) else arguments


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False, device: str = "cpu") -> Tensor:
    """A tensor that owns a copy of `data`: numbers, nested lists, an array. Python floats become float32."""
    array = as_array(data)
    moved = devices.asarray(array, device)
    if dtype is not None:
        moved = moved.astype(dtype)
    return Tensor(moved.copy() if moved is array else moved, requires_grad)
