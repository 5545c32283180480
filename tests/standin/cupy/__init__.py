"""A strict stand-in for CuPy, on NumPy: what runs here uses nothing that the real one lacks.

It is stricter than NumPy wherever CuPy is: host arrays never mix with device arrays, results of reductions
are 0-d arrays, new arrays are in C order, out-of-range indices in arrays wrap, assignment through repeated
indices leaves garbage, uninitialised memory is NaN, NumPy's further keyword arguments are refused, there are
no random generators. `_crossings` counts every copy between host and device, asked for or not.

What it does not show: timing, streams, floating-point results of another machine.
"""

from __future__ import annotations

from typing import Any as _Any

import numpy as _np

from . import _crossings as _crossings
from . import _functions, _ndarray, _signatures, _ufunc
from . import cuda as cuda
from . import lib as lib
from . import linalg as linalg
from ._ndarray import ndarray as ndarray
from ._ufunc import ufunc as ufunc

__version__ = "0+standin"

_OF_NUMPY = """bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64
complex128 dtype finfo iinfo generic number integer signedinteger unsignedinteger inexact floating
complexfloating newaxis pi e inf nan promote_types issubdtype"""
for _n in _OF_NUMPY.split():
    globals()[_n] = getattr(_np, _n)

for _n in _signatures.UFUNCS.split():
    globals()[_n] = ufunc(_n)

for _table, _view, _first in (
    (_signatures.REDUCTIONS, False, "array"),
    (_signatures.VIEWS, True, "array"),
    (_signatures.JOINS, False, "sequence"),
    (_signatures.CREATION, False, "anything"),
):
    for _n, _text in _signatures.parse(_table).items():
        globals()[_n] = _ndarray.device_function(_n, getattr(_np, _n), _text, view=_view, first=_first)

_WRITTEN_OUT = """is_available array asarray ascontiguousarray asnumpy get_array_module empty full empty_like
full_like ones_like zeros_like copy copyto where matmul einsum take take_along_axis unique nonzero argwhere
flatnonzero bincount may_share_memory shares_memory broadcast_shapes result_type can_cast meshgrid ndim shape
isscalar from_dlpack"""
for _n in _WRITTEN_OUT.split():
    globals()[_n] = getattr(_functions, _n)

_ufunc.install_operators(globals())


def __getattr__(name: str) -> _Any:
    raise AttributeError(f"the stand-in for CuPy has no {name!r}: CuPy lacks it, or nothing here used it yet")
