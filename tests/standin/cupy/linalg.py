"""`cupy.linalg` of the stand-in."""

from __future__ import annotations

import numpy as _np

from ._ndarray import device_function as _device_function
from ._signatures import LINALG as _LINALG
from ._signatures import parse as _parse

for _name, _text in _parse(_LINALG).items():
    globals()[_name] = _device_function(_name, getattr(_np.linalg, _name), _text, view=False)
