"""The device array of the stand-in: NumPy inside, and nothing of NumPy outside."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import _crossings
from ._signatures import METHODS, VIEW_METHODS, parse

NUMBERS = (bool, int, float, complex, np.generic)


def garbage(dtype: Any) -> Any:
    """What stands in uninitialised or undefined entries: NaN, or the least integer."""
    dtype = np.dtype(dtype)
    if dtype.kind in "fc":
        return np.nan
    return True if dtype.kind == "b" else np.iinfo(dtype).max


class Flags:
    """Of an array's memory. There is no `writeable`: every device array can be written."""

    def __init__(self, flags: Any) -> None:
        self.c_contiguous: bool = flags.c_contiguous
        self.f_contiguous: bool = flags.f_contiguous
        self.owndata: bool = flags.owndata

    fnc = property(lambda self: self.f_contiguous and not self.c_contiguous)
    forc = property(lambda self: self.f_contiguous or self.c_contiguous)

    def __getitem__(self, name: str) -> bool:
        return getattr(self, name.lower())


class MemoryPointer:
    """The address of an array's first entry."""

    def __init__(self, ptr: int) -> None:
        self.ptr = ptr


class ndarray:
    """An array on the device. `_a` is the memory behind it, for this package alone."""

    __hash__ = None  # type: ignore[assignment]
    __array_ufunc__ = None  # NumPy's operators give way, its functions refuse
    __array_priority__ = 100
    __slots__ = ("__weakref__", "_a", "_base")

    def __init__(self, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None, order: str = "C"):
        if memptr is not None or strides is not None:
            raise NotImplementedError("the stand-in makes no array on given memory")
        self._a = np.full(shape, garbage(dtype), dtype, order)  # type: ignore[call-overload]
        self._base: ndarray | None = None
        _owners[id(self._a)] = self

    # -- what an array is

    shape = property(lambda self: self._a.shape)
    dtype = property(lambda self: self._a.dtype)
    ndim = property(lambda self: self._a.ndim)
    size = property(lambda self: self._a.size)
    itemsize = property(lambda self: self._a.itemsize)
    nbytes = property(lambda self: self._a.nbytes)
    strides = property(lambda self: self._a.strides)
    flags = property(lambda self: Flags(self._a.flags))
    data = property(lambda self: MemoryPointer(self._a.ctypes.data))
    base = property(lambda self: self._base)
    T = property(lambda self: wrap(self._a.T))
    mT = property(lambda self: wrap(self._a.mT))
    real = property(lambda self: wrap(self._a.real))
    imag = property(lambda self: wrap(self._a.imag))

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        described = {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "descr": self.dtype.descr,
            "data": (self.data.ptr, False),
            "version": 3,
            "stream": 1,
        }
        return described | {"strides": None if self._a.flags.c_contiguous else self.strides}

    def __dlpack__(self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None):
        return self._a.__dlpack__(max_version=max_version)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[ndarray]:
        return (self[i] for i in range(len(self)))

    # -- crossings to the host

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`.")

    def __array_function__(self, func: Callable, *rest: Any) -> Any:
        raise TypeError(f"numpy.{func.__name__} was given a device array")

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> np.ndarray:
        _crossings.to_host(self.shape)
        if out is not None:
            out[...] = self._a
            return out
        return np.array(self._a, order=order)  # type: ignore[call-overload]

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        if not isinstance(arr, np.ndarray) or (arr.shape, arr.dtype) != (self.shape, self.dtype):
            raise ValueError(f"set() needs a numpy.ndarray of shape {self.shape} and dtype {self.dtype}")
        _crossings.to_device(self.shape)
        self._a[...] = arr

    def _implicit(self, what: str) -> np.ndarray:
        _crossings.to_host(self.shape, implicit=what)
        return self._a

    def item(self) -> Any:
        return self._implicit("item()").item()

    def tolist(self) -> Any:
        return self._implicit("tolist()").tolist()

    def tobytes(self, order: str = "C") -> bytes:
        return self._implicit("tobytes()").tobytes(order)  # type: ignore[arg-type]

    def nonzero(self) -> tuple[ndarray, ...]:
        return wrap(self._implicit("nonzero()").nonzero())

    def __bool__(self) -> bool:
        return bool(self._implicit("bool()"))

    def __int__(self) -> int:
        return int(self._implicit("int()"))

    def __float__(self) -> float:
        return float(self._implicit("float()"))

    def __complex__(self) -> complex:
        return complex(self._implicit("complex()"))

    def __repr__(self) -> str:
        return repr(self._implicit("repr()"))

    def __str__(self) -> str:
        return str(self._implicit("str()"))

    def __format__(self, spec: str) -> str:
        return format(self._implicit("format()").item() if not self.ndim else self._a, spec)

    # -- copies

    def astype(
        self, dtype: Any, order: str = "K", casting: Any = None, subok: Any = None, copy: bool = True
    ) -> ndarray:
        with np.errstate(all="ignore"):
            result = self._a.astype(dtype, order, casting or "unsafe", copy=copy)  # type: ignore[call-overload]
        return self if result is self._a else wrap(result)

    def copy(self, order: str = "C") -> ndarray:
        return wrap(self._a.copy(order))  # type: ignore[arg-type]

    def view(self, dtype: Any = None, type: Any = None) -> ndarray:
        return wrap(self._a.view() if dtype is None else self._a.view(dtype))

    def fill(self, value: Any) -> None:
        self._a.fill(host(value))

    # -- indexing

    def __getitem__(self, index: Any) -> ndarray:
        index, kinds = device_index(self, index)
        if "b" in kinds:
            _crossings.to_host((), implicit="indexing with a boolean mask")
        if kinds:
            return wrap(c_order(self._a[index]))
        return wrap(self._a[index if any(e is Ellipsis for e in index) else (*index, ...)])  # always an array

    def __setitem__(self, index: Any, value: Any) -> None:
        index, kinds = device_index(self, index)
        if "b" in kinds:
            _crossings.to_host((), implicit="assigning through a boolean mask")
        source = host(value)
        with np.errstate(all="ignore"):
            self._a[index] = source
        if kinds and isinstance(value, ndarray) and value.size > 1:
            poison(self._a, index)

    def take(self, indices: Any, axis: int | None = None, out: ndarray | None = None) -> ndarray:
        if not isinstance(indices, (ndarray, int, np.integer)):
            indices = np.asarray(no_host_array(indices), int)
            _crossings.to_device(indices.shape)
        found = self._a.take(host(indices), axis, mode="wrap")
        if out is None:
            return wrap(found)
        out._a[...] = found
        return out

    def scatter_add(self, slices: Any, value: Any) -> None:
        scatter(np.add, self, slices, value)

    def scatter_max(self, slices: Any, value: Any) -> None:
        scatter(np.maximum, self, slices, value)

    def scatter_min(self, slices: Any, value: Any) -> None:
        scatter(np.minimum, self, slices, value)


# -- in and out of the wrapper


def no_host_array(x: Any) -> Any:
    """`x`, unless it is NumPy's: the two never mix."""
    if isinstance(x, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    return x


def host(x: Any) -> Any:
    """The memory behind `x`; sequences entry by entry; numbers and settings as they are."""
    if isinstance(x, ndarray):
        return x._a
    if isinstance(x, (tuple, list)):
        return type(x)(host(v) for v in x)
    return no_host_array(x)


def wrap(x: Any) -> Any:
    """NumPy's `x` as the device's: scalars become 0-d arrays."""
    if isinstance(x, (np.ndarray, np.generic)):
        memory = np.asarray(x)
        known = _owners.get(id(memory))
        if known is not None:
            return known
        result = ndarray.__new__(ndarray)
        result._a, result._base = memory, _owner(memory.base)
        _owners[id(memory)] = result
        return result
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*map(wrap, x))
    return type(x)(map(wrap, x)) if isinstance(x, (tuple, list)) else x


_owners: weakref.WeakValueDictionary[int, ndarray] = weakref.WeakValueDictionary()
"""Every device array by the identity of the memory behind it: there is one of each, as with CuPy."""


def _owner(memory: Any) -> ndarray | None:
    """The device array that a view's memory belongs to; all its views share it as their base."""
    while not isinstance(memory, np.ndarray) and memory is not None:
        memory = getattr(memory, "base", None)
    return None if memory is None else wrap(memory)


def c_order(x: Any) -> Any:
    """`x` with every array in C order and in memory of its own."""
    if isinstance(x, (tuple, list)):
        return type(x)(*map(c_order, x)) if hasattr(x, "_fields") else type(x)(map(c_order, x))
    return np.array(x, order="C") if isinstance(x, np.ndarray) else x


def is_number(x: Any) -> bool:
    return isinstance(x, NUMBERS)


# -- indexing


def device_index(x: ndarray, index: Any) -> tuple[tuple, str]:
    """NumPy's index for CuPy's, with integers of arrays taken modulo the axis, and the kinds of its arrays.

    A NumPy array is refused, a list is copied to the device, an array of floats is an error.
    """
    entries = index if isinstance(index, tuple) else (index,)
    arrays = [_entry(e) for e in entries]
    spans = [0 if e is None or e is Ellipsis else e.ndim if _is_mask(e) else 1 for e in arrays]
    axis, result = 0, []
    for entry, span in zip(arrays, spans, strict=True):
        if isinstance(entry, np.ndarray) and entry.dtype.kind != "b" and axis < x.ndim and x.shape[axis]:
            entry = entry.astype(np.int64) % x.shape[axis]
        axis += x.ndim - sum(spans) if entry is Ellipsis else span
        result.append(entry)
    return tuple(result), "".join(a.dtype.kind for a in arrays if isinstance(a, np.ndarray))


def _entry(entry: Any) -> Any:
    if isinstance(entry, (list, bool, np.bool_)):
        entry = np.asarray(entry, None if np.size(entry) else np.int32)
        _crossings.to_device(entry.shape)
    elif isinstance(entry, ndarray):
        entry = entry._a
    elif isinstance(entry, np.ndarray):
        raise TypeError("a device array was indexed with a numpy.ndarray")
    if isinstance(entry, np.ndarray) and entry.dtype.kind not in "biu":
        raise IndexError(f"arrays used as indices must be of integer or boolean type, not {entry.dtype}")
    return entry


def _is_mask(entry: Any) -> bool:
    return isinstance(entry, np.ndarray) and entry.dtype.kind == "b"


def poison(a: np.ndarray, index: tuple) -> None:
    """Undefine the entries of `a` that `index` names more than once: nobody knows which write came last."""
    places, hits = np.unique(np.arange(a.size).reshape(a.shape)[index], return_counts=True)
    twice = np.zeros(a.size, bool)
    twice[places[hits > 1]] = True
    a[twice.reshape(a.shape)] = garbage(a.dtype)


def scatter(ufunc: np.ufunc, x: ndarray, slices: Any, value: Any) -> None:
    """`x[slices] = ufunc(x[slices], value)`, repeated indices included, of the types CUDA has atomics for."""
    index, kinds = device_index(x, slices)
    if "b" in kinds:
        _crossings.to_host((), implicit="scattering through a boolean mask")
    elif kinds and x.dtype.name not in ("int32", "float16", "float32", "float64", "uint32", "uint64"):
        raise TypeError(f"scatter_{ufunc.__name__} does not support {x.dtype}")
    with np.errstate(all="ignore"):
        ufunc.at(x._a, index, np.asarray(host(value)).astype(x.dtype))


# -- functions bound by CuPy's signatures


def bound(signature: inspect.Signature, args: tuple, kwargs: dict[str, Any]) -> tuple[list, dict[str, Any]]:
    """The given arguments, required ones by position, others by name; `TypeError` for one CuPy lacks."""
    given = signature.bind(*args, **kwargs).arguments
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for name, value in given.items():
        parameter = signature.parameters[name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional += value
        elif parameter.kind is parameter.VAR_KEYWORD:
            named |= value
        elif parameter.default is parameter.empty:
            positional.append(value)
        else:
            named[name] = value
    return positional, named


def signature_of(text: str) -> inspect.Signature:
    """The signature that `"(a, axis=None)"` writes."""
    return inspect.signature(eval(f"lambda {text[1:-1]}: None"))


def device_function(name: str, numpy_function: Callable, text: str, *, view: bool, first: str = "array") -> Callable:
    """A function of CuPy's signature `text` that computes with `numpy_function`.

    `first` says what its first argument must be: an `array`, a `sequence` of arrays, or `anything`.
    """
    signature = signature_of(text)

    def function(*args: Any, **kwargs: Any) -> Any:
        positional, named = bound(signature, args, kwargs)
        leading = positional[:1] if first == "array" else positional[0] if first == "sequence" else []
        for x in leading:
            if not isinstance(x, ndarray):
                raise TypeError(f"{name}: a device array is needed, not {type(x)}")
        out = named.get("out")
        with np.errstate(all="ignore"):
            result = numpy_function(*map(host, positional), **{k: host(v) for k, v in named.items()})
        if out is not None:
            return out
        return wrap(result if view else c_order(result))

    function.__name__ = function.__qualname__ = name
    function.__signature__ = signature  # type: ignore[attr-defined]
    return function


for _table, _view in ((METHODS, False), (VIEW_METHODS, True)):
    for _name, _text in parse(_table).items():
        setattr(ndarray, _name, device_function(_name, getattr(np.ndarray, _name), _text, view=_view))
