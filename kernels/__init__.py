"""Convolution, batch normalisation and the few other hot loops, on raw NumPy or CuPy arrays.

`kernels.conv2d(...)` and its siblings check their arguments, choose an implementation and call it;
`kernels.register` adds an implementation, `kernels.use` asks for one by name. Importing this package
loads NumPy alone: Numba, SciPy and CuPy follow when the first kernel that needs them runs.
"""

from __future__ import annotations

from kernels.activation import slope_of
from kernels.dispatch import (
    adam_step,
    batch_norm,
    batch_norm_grad,
    batch_norm_inference,
    conv2d,
    conv2d_grad_input,
    conv2d_grad_weight,
    matmul,
)
from kernels.registry import (
    OPERATIONS,
    KernelError,
    Spec,
    chosen,
    implementations,
    load_kernel_file,
    parse_kernels,
    register,
    served,
    use,
)
from kernels.threads import get_num_threads, set_num_threads

HOUSE = "infogan"
"""Tells this package from another distribution that bears the name `kernels`."""

__all__ = [
    "HOUSE",
    "OPERATIONS",
    "KernelError",
    "Spec",
    "adam_step",
    "batch_norm",
    "batch_norm_grad",
    "batch_norm_inference",
    "chosen",
    "conv2d",
    "conv2d_grad_input",
    "conv2d_grad_weight",
    "get_num_threads",
    "implementations",
    "load_kernel_file",
    "matmul",
    "parse_kernels",
    "register",
    "served",
    "set_num_threads",
    "slope_of",
    "use",
]
