"""New tensors: constants, ranges and random numbers. Floats are float32 unless a dtype is given."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels import device as devices
from minigrad import random
from minigrad.tape import as_array
from minigrad.tensor import Tensor


def _shape(size: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else size


def zeros(*size: Any, dtype: Any = np.float32, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    """Zeros of shape `size`, given as lengths or as a tuple."""
    return Tensor(devices.module(device).zeros(_shape(size), dtype), requires_grad)


def ones(*size: Any, dtype: Any = np.float32, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    """Ones of shape `size`, given as lengths or as a tuple."""
    return Tensor(devices.module(device).ones(_shape(size), dtype), requires_grad)


def full(size: Any, fill_value: Any, *, dtype: Any = None, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    """`fill_value` everywhere; its own dtype by default."""
    dtype = as_array(fill_value).dtype if dtype is None else dtype
    shape = (size,) if isinstance(size, int) else tuple(size)
    return Tensor(devices.module(device).full(shape, fill_value, dtype), requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = np.float32, device: str = "cpu") -> Tensor:
    """Ones on the diagonal of an (n, m) matrix."""
    return Tensor(devices.module(device).eye(n, m, dtype=dtype))


def arange(
    start: float, end: float | None = None, step: float = 1, *, dtype: Any = None, device: str = "cpu"
) -> Tensor:
    """start, start + step, … short of end; `arange(n)` counts from 0. Integers unless an argument is a float."""
    if end is None:
        start, end = 0, start
    if dtype is None:
        dtype = np.float32 if any(isinstance(v, float) for v in (start, end, step)) else np.int64
    return Tensor(devices.module(device).arange(start, end, step, dtype=dtype))


def linspace(start: float, end: float, steps: int, *, dtype: Any = np.float32, device: str = "cpu") -> Tensor:
    """`steps` evenly spaced numbers from start to end, both included."""
    return Tensor(devices.module(device).linspace(start, end, steps, dtype=dtype))


def from_dlpack(x: Any) -> Tensor:
    """A tensor on the memory of another library's array (PyTorch, JAX, NumPy, CuPy), where it lies; no copy."""
    return Tensor(devices.from_dlpack(x))


def zeros_like(input: Any, *, dtype: Any = None) -> Tensor:
    """Zeros of the input's shape, dtype and device."""
    data = as_array(input)
    return Tensor(devices.array_module(data).zeros_like(data, dtype=dtype))


def ones_like(input: Any, *, dtype: Any = None) -> Tensor:
    """Ones of the input's shape, dtype and device."""
    data = as_array(input)
    return Tensor(devices.array_module(data).ones_like(data, dtype=dtype))


def _drawn(values: np.ndarray, dtype: Any, device: str, requires_grad: bool = False) -> Tensor:
    return Tensor(devices.to_device(np.asarray(values, dtype), device), requires_grad)


def rand(*size: Any, dtype: Any = np.float32, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    """Uniform on [0, 1), from the global stream of `manual_seed`."""
    return _drawn(random.generator().random(_shape(size)), dtype, device, requires_grad)


def randn(*size: Any, dtype: Any = np.float32, device: str = "cpu", requires_grad: bool = False) -> Tensor:
    """Standard normal, from the global stream of `manual_seed`."""
    return _drawn(random.generator().standard_normal(_shape(size)), dtype, device, requires_grad)


def randint(low: int, high: Any = None, size: Any = (), *, dtype: Any = np.int64, device: str = "cpu") -> Tensor:
    """Integers from low up to and without high; `randint(high, size)` starts at 0."""
    if isinstance(high, (tuple, list)):
        high, size = None, high
    low, high = (0, low) if high is None else (low, high)
    return _drawn(random.generator().integers(low, high, tuple(size)), dtype, device)
