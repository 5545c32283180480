"""Data types: what a value becomes as an array, and what comes of two that meet. The rules are PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels import device
from kernels.device import Array

_CATEGORY = {"b": 0, "i": 1, "u": 1, "f": 2}
PYTHON = {bool: np.dtype(bool), int: np.dtype(np.int64), float: np.dtype(np.float32)}


def _wider(a: np.dtype | None, b: np.dtype) -> np.dtype:
    if a is None:
        return b
    if _CATEGORY[a.kind] != _CATEGORY[b.kind]:
        return a if _CATEGORY[a.kind] > _CATEGORY[b.kind] else b
    return np.promote_types(a, b)


def result_type(*arguments: Any) -> np.dtype:
    """The dtype of an operation's result, by PyTorch's rules.

    Kinds rank bool < integer < float. Among the arguments of the highest kind, arrays with dimensions
    outrank 0-d arrays, and these outrank Python numbers; within a rank NumPy's promotion decides.
    """
    ranks: list[np.dtype | None] = [None, None, None]
    for a in arguments:
        kind = type(a)
        rank = 2 if kind in PYTHON else (0 if a.ndim else 1)
        ranks[rank] = _wider(ranks[rank], PYTHON[kind] if rank == 2 else a.dtype)
    found: np.dtype | None = None
    for dtype in ranks:
        if dtype is not None and (found is None or _CATEGORY[dtype.kind] > _CATEGORY[found.kind]):
            found = dtype
    assert found is not None
    return found


def as_array(value: Any) -> Array:
    """`value` as a raw array: Python numbers as int64 and float32, NumPy's with the dtype they have."""
    if device.is_array(value):
        return value
    array = np.asarray(value)
    if array.dtype == np.float64 and not isinstance(value, np.generic):
        array = array.astype(np.float32)
    if array.dtype.kind not in _CATEGORY:
        raise TypeError(f"a tensor holds numbers or booleans, not {type(value).__name__} ({array.dtype})")
    return array
