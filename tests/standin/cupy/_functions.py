"""The module's functions that no table gives: transfers, creation like another array, products, choice."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _crossings
from ._ndarray import c_order, garbage, host, is_number, ndarray, no_host_array, wrap


def is_available() -> bool:
    return True


def array(
    obj: Any,
    dtype: Any = None,
    copy: bool = True,
    order: str = "K",
    subok: bool = False,
    ndmin: int = 0,
    *,
    blocking: bool = False,
) -> ndarray:
    if isinstance(obj, ndarray):
        if not copy and dtype in (None, obj.dtype) and obj.ndim >= ndmin:
            return obj
        return wrap(np.array(obj._a, dtype, order=order, ndmin=ndmin))  # type: ignore[call-overload]
    if order in "KA":  # a transposed host array keeps its order, any other one becomes C
        order = "F" if isinstance(obj, np.ndarray) and obj.flags.fnc else "C"
    result = np.array(obj, dtype, order=order, ndmin=ndmin)  # type: ignore[call-overload]
    if result.dtype.kind not in "biufc":
        raise ValueError(f"Unsupported dtype {result.dtype}")
    _crossings.to_device(result.shape)
    return wrap(result)


def asarray(
    a: Any, dtype: Any = None, order: str | None = None, *, copy: bool | None = None, blocking: bool = False
) -> ndarray:
    return array(a, dtype, bool(copy), order or "K")


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    if not isinstance(a, ndarray):
        return array(a, dtype, order="C", ndmin=1)
    if a.flags.c_contiguous and dtype in (None, a.dtype) and a.ndim:
        return a
    return wrap(np.array(a._a, dtype, order="C", ndmin=1))


class _Capsule:
    """A device array's memory as NumPy takes it."""

    def __init__(self, owner: Any) -> None:
        self.owner = owner

    def __dlpack__(self, **request: Any) -> Any:
        return self.owner.__dlpack__(max_version=request.get("max_version"))

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


def from_dlpack(array: Any, *, device: Any = None, copy: Any = None) -> ndarray:
    if array.__dlpack_device__()[0] != 2:
        raise TypeError("CPU arrays cannot be directly imported to CuPy. Use `cupy.array(numpy.from_dlpack(input))`.")
    return wrap(np.from_dlpack(_Capsule(array)))


def asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True) -> np.ndarray:
    return a.get(stream, order, out) if isinstance(a, ndarray) else np.asarray(a, order=order)  # type: ignore[call-overload]


def get_array_module(*args: Any) -> Any:
    import cupy

    return cupy if any(isinstance(a, ndarray) for a in args) else np


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return ndarray(shape, dtype, order=order)


def full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C") -> ndarray:
    return wrap(np.full(shape, host(fill_value), dtype, order))  # type: ignore[call-overload]


def empty_like(
    prototype: ndarray, dtype: Any = None, order: str = "K", subok: None = None, shape: Any = None
) -> ndarray:
    return full_like(prototype, garbage(dtype or prototype.dtype), dtype, order, subok, shape)


def full_like(
    a: ndarray, fill_value: Any, dtype: Any = None, order: str = "K", subok: None = None, shape: Any = None
) -> ndarray:
    return wrap(np.full_like(_device(a), host(fill_value), dtype, order, shape=shape))  # type: ignore[call-overload]


def ones_like(a: ndarray, dtype: Any = None, order: str = "K", subok: None = None, shape: Any = None) -> ndarray:
    return full_like(a, 1, dtype, order, subok, shape)


def zeros_like(a: ndarray, dtype: Any = None, order: str = "K", subok: None = None, shape: Any = None) -> ndarray:
    return full_like(a, 0, dtype, order, subok, shape)


def copy(a: ndarray, order: str = "K") -> ndarray:
    return wrap(np.array(_device(a), order=order))  # type: ignore[call-overload]


def copyto(dst: ndarray, src: Any, casting: str = "same_kind", where: Any = None) -> None:
    np.copyto(_device(dst), host(src), casting, True if where is None else host(where))  # type: ignore[arg-type]


def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None and y is None:
        return condition.nonzero()
    for value in (condition, x, y):
        if not isinstance(value, ndarray) and not is_number(value):
            raise TypeError(f"Unsupported type {type(value)}")
    return wrap(c_order(np.where(*map(host, (condition, x, y)))))  # type: ignore[call-overload]


def matmul(
    *args: Any,
    axes: Any = None,
    axis: Any = None,
    keepdims: bool = False,
    casting: str = "same_kind",
    dtype: Any = None,
    signature: Any = None,
    order: str = "K",
    out: Any = None,
) -> ndarray:
    if axes is not None or axis is not None or keepdims or signature is not None:
        raise NotImplementedError("the stand-in's matmul multiplies the last two axes")
    a, b = (_device(x) for x in args[:2])
    out = args[2] if len(args) > 2 else out
    with np.errstate(all="ignore"):
        result = np.matmul(a, b, casting=casting, dtype=dtype)  # type: ignore[call-overload]
    if out is None:
        return wrap(c_order(result))
    out._a[...] = result
    return out


def einsum(*operands: Any, **kwargs: Any) -> ndarray:
    if unknown := set(kwargs) - {"dtype", "optimize"}:
        raise TypeError(f"Did not understand the following kwargs: {sorted(unknown)}")
    if not isinstance(operands[0], str):
        raise NotImplementedError("the stand-in's einsum takes the subscripts as a string")
    arrays = [_device(x) for x in operands[1:]]
    with np.errstate(all="ignore"):
        return wrap(c_order(np.einsum(operands[0], *arrays, **kwargs)))


def take(a: ndarray, indices: Any, axis: int | None = None, out: ndarray | None = None) -> ndarray:
    return a.take(indices, axis, out)


def take_along_axis(a: ndarray, indices: ndarray, axis: int | None) -> ndarray:
    source = _device(a).ravel() if axis is None else _device(a)
    wrapped = _device(indices) % source.shape[axis or 0]
    return wrap(np.take_along_axis(source, wrapped, axis or 0))


def unique(
    ar: ndarray,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
) -> Any:
    _crossings.to_host((), implicit="unique()")
    asked = {"return_index": return_index, "return_inverse": return_inverse, "return_counts": return_counts}
    return wrap(np.unique(_device(ar), axis=axis, equal_nan=equal_nan, **asked))  # type: ignore[call-overload]


def nonzero(a: ndarray) -> tuple[ndarray, ...]:
    return a.nonzero()


def argwhere(a: ndarray) -> ndarray:
    _crossings.to_host((), implicit="argwhere()")
    return wrap(np.argwhere(_device(a)))


def flatnonzero(a: ndarray) -> ndarray:
    _crossings.to_host((), implicit="flatnonzero()")
    return wrap(np.flatnonzero(_device(a)))


def bincount(x: ndarray, weights: ndarray | None = None, minlength: int | None = None) -> ndarray:
    _crossings.to_host((), implicit="bincount()")
    return wrap(np.bincount(_device(x), host(weights), minlength or 0))


def may_share_memory(a: ndarray, b: ndarray, max_work: Any = None) -> bool:
    return np.may_share_memory(_device(a), _device(b))


def shares_memory(a: ndarray, b: ndarray, max_work: Any = None) -> bool:
    return np.shares_memory(_device(a), _device(b))


def broadcast_shapes(*args: Any) -> tuple[int, ...]:
    return np.broadcast_shapes(*args)


def result_type(*arrays_and_dtypes: Any) -> np.dtype:
    return np.result_type(*map(host, arrays_and_dtypes))


def can_cast(from_: Any, to: Any, casting: str = "safe") -> bool:
    return np.can_cast(from_.dtype if isinstance(from_, ndarray) else from_, to, casting)  # type: ignore[arg-type]


def meshgrid(*xi: ndarray, **kwargs: Any) -> list[ndarray]:
    return wrap(list(np.meshgrid(*map(_device, xi), **kwargs)))


def ndim(a: Any) -> int:
    return a.ndim if isinstance(a, ndarray) else np.ndim(no_host_array(a))


def shape(a: Any) -> tuple[int, ...]:
    return a.shape if isinstance(a, ndarray) else np.shape(no_host_array(a))


def isscalar(element: Any) -> bool:
    return np.isscalar(element)


def as_strided(x: ndarray, shape: Any = None, strides: Any = None) -> ndarray:
    return wrap(np.lib.stride_tricks.as_strided(_device(x), shape, strides))


def sliding_window_view(
    x: ndarray, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> ndarray:
    return wrap(np.lib.stride_tricks.sliding_window_view(_device(x), window_shape, axis))


def scatter_add(a: ndarray, slices: Any, value: Any) -> None:
    _device(a)
    a.scatter_add(slices, value)


def scatter_max(a: ndarray, slices: Any, value: Any) -> None:
    _device(a)
    a.scatter_max(slices, value)


def scatter_min(a: ndarray, slices: Any, value: Any) -> None:
    _device(a)
    a.scatter_min(slices, value)


def _device(x: Any) -> np.ndarray:
    if not isinstance(x, ndarray):
        raise TypeError(f"a device array is needed, not {type(x)}")
    return x._a
