"""`cupyx.scipy.special` of the stand-in: the error function, which the standard library has too."""

import math as _math

import numpy as _np

from ...cupy._ndarray import ndarray as _ndarray
from ...cupy._ndarray import wrap as _wrap


def erf(x: _ndarray) -> _ndarray:
    if not isinstance(x, _ndarray):
        raise TypeError(f"Unsupported type {type(x)}")
    dtype = x.dtype if x.dtype.kind == "f" else _np.float64
    return _wrap(_np.array([_math.erf(v) for v in x._a.ravel()], dtype).reshape(x.shape))
