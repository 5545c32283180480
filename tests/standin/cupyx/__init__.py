"""The stand-in's `cupyx`."""

from ..cupy._functions import scatter_add as scatter_add
from ..cupy._functions import scatter_max as scatter_max
from ..cupy._functions import scatter_min as scatter_min
from . import scipy as scipy
