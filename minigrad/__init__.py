"""A small automatic differentiation engine on NumPy and CuPy arrays, for derivatives of any order.

import minigrad as mg
x = mg.tensor([1.0, 2.0], requires_grad=True)
(x * x).sum().backward()
x.grad                                              # tensor([2., 4.])
"""

from pathlib import Path as _Path

import kernels as _kernels

_other = getattr(_kernels, "HOUSE", None) != "infogan"
if _other or list(_Path(str(_kernels.__file__)).parents[1].glob("kernels-*.dist-info")):
    raise ImportError(
        f"another distribution owns the name 'kernels' here ({_kernels.__file__}): "
        "install infogan in a virtual environment of its own"
    )

from kernels.device import DeviceError, is_available
from minigrad import nn, optim, random
from minigrad.creation import (
    arange,
    eye,
    from_dlpack,
    full,
    linspace,
    ones,
    ones_like,
    rand,
    randint,
    randn,
    zeros,
    zeros_like,
)
from minigrad.draw import draw_graph
from minigrad.gradcheck import check_vjp, gradcheck, gradgradcheck
from minigrad.hooks import AnomalyError, detect_anomaly, profile
from minigrad.nn.functional import *  # noqa: F403
from minigrad.nn.functional import __all__ as _functions
from minigrad.random import manual_seed
from minigrad.serialize import load, save
from minigrad.sweep import grad
from minigrad.tape import (
    GradientError,
    enable_grad,
    is_grad_enabled,
    no_grad,
    once_differentiable,
    override_vjp,
    primitive,
    result_type,
)
from minigrad.tensor import Tensor, tensor
from minigrad.transforms import hessian, jacobian, jvp, vjp

__all__ = [
    "AnomalyError", "DeviceError", "GradientError", "Tensor", "arange", "check_vjp", "detect_anomaly",
    "draw_graph", "enable_grad", "eye", "from_dlpack", "full", "grad", "gradcheck", "gradgradcheck", "hessian",
    "is_available", "is_grad_enabled", "jacobian", "jvp", "linspace", "load", "manual_seed", "nn", "no_grad",
    "once_differentiable", "ones", "ones_like", "optim", "override_vjp", "primitive", "profile", "rand",
    "randint", "randn", "random", "result_type", "save", "tensor", "vjp", "zeros", "zeros_like", *_functions,
]  # fmt: skip
