"""Where an array lives: the lowest room, which every other one may enter and which enters none.

An array is NumPy's or CuPy's; nothing above this file asks which. CuPy is imported here alone, and only
once somebody asks for a CUDA device. The two functions `to_device` and `to_host` are the only crossings
between host and device, and each is counted.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""A `numpy.ndarray` or a `cupy.ndarray`."""

_cupy: ModuleType | None = None
transfers = {"to_device": 0, "to_host": 0}
"""How many arrays have crossed each way since the process began."""


_DLPACK_HOST, _DLPACK_CUDA = (1, 3), (2, 13)
"""DLPack's numbers: CPU and pinned memory, CUDA and managed memory."""


class DeviceError(RuntimeError):
    """Arrays of two devices met, or a device was asked for that is not there."""


def module(device: str) -> ModuleType:
    """The array module of `"cpu"` or `"cuda"`.

    Raises `DeviceError`, in one line, where there is no such device.
    """
    global _cupy
    if device == "cpu":
        return np
    if device != "cuda":
        raise DeviceError(f"unknown device {device!r}: devices are 'cpu' and 'cuda'")
    if _cupy is None:
        try:
            import cupy
        except ImportError:
            raise DeviceError(
                "device 'cuda' needs CuPy: install the extra cuda12 or cuda13, or use --device cpu"
            ) from None
        if not cupy.is_available():
            raise DeviceError("no CUDA device was found (no driver or no GPU): use --device cpu")
        _cupy = cupy
    return _cupy


def is_available(device: str) -> bool:
    """Whether `device` can be used here."""
    try:
        module(device)
    except DeviceError:
        return False
    return True


def device_of(x: Array) -> str:
    """`"cuda"` for a CuPy array, `"cpu"` for everything NumPy understands."""
    return "cuda" if _cupy is not None and isinstance(x, _cupy.ndarray) else "cpu"


def is_array(x: object) -> bool:
    """Whether `x` is an array of either device."""
    return isinstance(x, np.ndarray) or (_cupy is not None and isinstance(x, _cupy.ndarray))


def array_module(*arrays: Array) -> ModuleType:
    """The module that owns `arrays`; whatever is not an array (numbers, `None`) is passed over.

    Raises `DeviceError` if arrays of both devices are given.
    """
    if _cupy is None:
        return np
    found = {device_of(a) for a in arrays if is_array(a)}
    if len(found) > 1:
        raise DeviceError(
            "arrays of devices 'cpu' and 'cuda' in one operation: move one with .to('cpu') or .to('cuda')"
        )
    return _cupy if "cuda" in found else np


def asarray(x: object, device: str) -> Array:
    """`x`, data of any kind, as an array on `device`; counted if it has to cross."""
    if is_array(x):
        return to_host(x) if device == "cpu" else to_device(x, device)
    return to_device(np.asarray(x), device)


def to_device(x: Array, device: str) -> Array:
    """Copy a host array to `device`; an array already there is returned as it is."""
    if device_of(x) == device:
        return x
    if device == "cpu":
        return to_host(x)
    transfers["to_device"] += 1
    return module(device).asarray(x)


def to_host(x: Array) -> np.ndarray:
    """The NumPy array behind `x`, or a host copy of a device array."""
    if device_of(x) == "cpu":
        return np.asarray(x)
    transfers["to_host"] += 1
    return _cupy.asnumpy(x)  # type: ignore[union-attr]


def from_dlpack(x: Any) -> Array:
    """The array on the memory of `x`, an array of any library that speaks DLPack; nothing is copied.

    Raises `DeviceError` for memory that neither the host nor CUDA can read.
    """
    kind = int(x.__dlpack_device__()[0])
    if kind in _DLPACK_HOST:
        return np.from_dlpack(x)
    if kind in _DLPACK_CUDA:
        return module("cuda").from_dlpack(x)
    raise DeviceError(f"from_dlpack: an array of DLPack device {kind}: only host and CUDA memory can be shared")


def empty(shape: tuple[int, ...], dtype: Any, device: str = "cpu") -> Array:
    """A new uninitialised C-contiguous array: the one allocator of every kernel."""
    return module(device).empty(shape, dtype)


def add_at(x: Array, index: Any, values: Array) -> None:
    """`x[index] += values` in place, where repeated indices add up."""
    if device_of(x) == "cpu":
        np.add.at(x, index, values)
    else:
        import cupyx

        cupyx.scatter_add(x, index, values)


def erf(x: Array) -> Array:
    """The error function: SciPy's where it is installed, else the standard library's element by element."""
    if device_of(x) == "cuda":
        from cupyx.scipy import special
    else:
        try:
            from scipy import special
        except ImportError:
            return np.vectorize(math.erf, otypes=[x.dtype])(x)
    return special.erf(x)


def own(x: Array) -> Array:
    """`x` itself if each entry has memory of its own that may be written, else a copy.

    Broadcasting makes read-only views in which many entries share a place; they must not be handed out
    as somebody's gradient.
    """
    if device_of(x) == "cpu" and not x.flags.writeable:
        return x.copy()
    return x.copy() if any(s == 0 and n > 1 for s, n in zip(x.strides, x.shape, strict=True)) else x


def synchronize(device: str) -> None:
    """Wait until everything queued on `device` is done; the CPU has no queue."""
    if device == "cuda":
        module("cuda").cuda.get_current_stream().synchronize()
