"""`cupy.lib` of the stand-in."""

from . import stride_tricks as stride_tricks
