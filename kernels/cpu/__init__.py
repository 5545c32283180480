"""Numba kernels for the CPU: one pool of threads, work cut by shapes alone, NHWC memory."""
