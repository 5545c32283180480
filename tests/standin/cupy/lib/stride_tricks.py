"""`cupy.lib.stride_tricks` of the stand-in."""

from .._functions import as_strided as as_strided
from .._functions import sliding_window_view as sliding_window_view
