"""Adam, an entry a thread."""

from __future__ import annotations

from math import sqrt

from numba import float32, uint32

from kernels.cuda import cuda

ADAM_TYPES = "void({}, int32, {})".format(", ".join(["float32[::1]"] * 4), ", ".join(["float32"] * 8))


def adam(p, g, m, v, size, b1, c1, b2, c2, rate, root, eps, decay):
    """c1 = 1 - b1, c2 = 1 - b2, rate = lr / (1 - b1^t), root = 1 / sqrt(1 - b2^t)."""
    i = uint32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
    if i < size:
        slope = g[i] + decay * p[i]
        first = b1 * m[i] + c1 * slope
        second = b2 * v[i] + c2 * slope * slope
        m[i] = first
        v[i] = second
        p[i] -= rate * first / (float32(sqrt(second)) * root + eps)
